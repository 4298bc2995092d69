"""An app that is held to its own OpenAPI document: what is sent is declared, and what is declared is sent."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema_rs
from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from chassis.asgi import Answer, Api
from contracts.catalogue import SERVICES

JSON = "application/json"
NAME = "urn:entente:api"
UNDOCUMENTED = re.compile(r"(/v1/[a-z]+)?/(livez|readyz|metrics|openapi\.json)")
FAULTS_SHOWN = 5


class Contract:
    """A document, and what each of its operations may answer."""

    def __init__(self, document: dict[str, Any]) -> None:
        strict = closed(document)
        schemas = strict.get("components", {}).get("schemas", {})
        self._named = jsonschema_rs.Registry([(NAME, {"components": {"schemas": schemas}})])
        self._operations = [*_operations(strict["paths"])]
        self._validators: dict[str, jsonschema_rs.Validator] = {}

    def fault(self, method: str, path: str, answer: Answer) -> str | None:
        """What an answer has that the document does not say, or lacks; None where it is as documented."""
        media = answer.headers.get("content-type", "").partition(";")[0]
        operation = next((one for verb, fits, one in self._operations if verb == method and fits(path)), None)
        if operation is None:
            return "there is no such operation" if media == JSON else None
        told = operation["responses"].get(str(answer.status))
        if told is None:
            return f"the status {answer.status} is not documented"
        if media not in told.get("content", {}):
            return f"the media type {media} is not documented"
        schema = told["content"][media].get("schema", {})
        return (
            self._difference(f"{operation['operationId']} {answer.status}", schema, answer) if media == JSON else None
        )

    def _difference(self, name: str, schema: dict[str, Any], answer: Answer) -> str | None:
        if name not in self._validators:
            self._validators[name] = jsonschema_rs.Draft202012Validator(
                rooted(schema), registry=self._named, validate_formats=True
            )
        errors = [*self._validators[name].iter_errors(answer.json())][:FAULTS_SHOWN]
        return "; ".join(f"at /{'/'.join(map(str, one.instance_path))}: {one.message[:300]}" for one in errors) or None


def _operations(paths: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The operations, those that name more of their path first, as what a request asks for."""
    for path in sorted(paths, key=lambda one: [part.startswith("{") for part in one.split("/")]):
        shape = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(path)))
        yield from ((verb.upper(), shape.fullmatch, one) for verb, one in paths[path].items())


def closed(value: Any) -> Any:
    """The document with every object closed: a consumer passes over what it does not know, a test does not."""
    if isinstance(value, list):
        return [closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    within = {name: closed(part) for name, part in value.items()}
    is_object = within.get("type") == "object" and isinstance(within.get("properties"), dict)
    return {"additionalProperties": False, **within} if is_object else within


def rooted(value: Any) -> Any:
    if isinstance(value, list):
        return [rooted(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: NAME + part if name == "$ref" else rooted(part) for name, part in value.items()}


_CONTRACTS: dict[str, Contract] = {}
"""By the name of the app: a document is the same in a whole run of the tests, and takes a second to make."""


class Held:
    """The app of a service, or the gateway's. Raises AssertionError where a good answer is not as documented."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = Answer()

        async def sending(message: Message) -> None:
            if scope["type"] == "http":
                await answer.take(message)
            await send(message)

        await self._app(scope, receive, sending)
        if answer.ok and scope["method"] != "HEAD" and not UNDOCUMENTED.fullmatch(scope["path"]):
            contract = await self._contract()
            fault = contract and contract.fault(scope["method"], scope["path"], answer)
            assert not fault, f"{scope['method']} {scope['path']}: {fault}"

    async def _contract(self) -> Contract | None:
        """The app's contract; None for a gateway while a service behind it is away."""
        name = self._app.title
        if name not in _CONTRACTS:
            document = await self._document()
            if name == "Entente gateway" and any(f"/v1/{one}/events" not in document["paths"] for one in SERVICES):
                return None
            _CONTRACTS[name] = Contract(document)
        return _CONTRACTS[name]

    async def _document(self) -> dict[str, Any]:
        door: dict[str, Any] = (await Api(self._app).get("/v1/openapi.json")).json()
        return door if "paths" in door else self._app.openapi()
