"""The public API as one OpenAPI document: what every service offers behind the door, and the gateway's own routes."""

from typing import Any, TypedDict

import orjson
from fastapi import APIRouter, Request, Response

from chassis.answers import answers
from chassis.application import Application
from chassis.asgi import Answer, body_of, request_scope
from chassis.http import JSON, PROBLEM, App
from chassis.schemas import SHARED
from contracts.catalogue import SERVICES
from services.gateway.api.door import open_to_all

REFERENCE = "#/components/schemas/"
PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457, with a stable slug. `errors` names the fields that do not fit.",
    "required": ["type", "title", "status", "detail", "slug"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "slug": {"type": "string", "pattern": "^[a-z0-9-]+$"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
REFUSED = {
    "description": "Not done; the slug says why.",
    "content": {PROBLEM: {"schema": {"$ref": f"{REFERENCE}Problem"}}},
}
KEY = "Idempotency-Key"
OWN_GENERATED = ("HTTPValidationError", "ValidationError")

router = APIRouter(prefix="/v1", tags=["documents"])


class ApiDocument(TypedDict):
    """OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
    security: list[dict[str, Any]]


@router.get("/openapi.json")
@answers(ApiDocument)
async def openapi(request: Request, app: App) -> Response:
    """This document."""
    documents = {name: await _of_service(app, name) for name in SERVICES if name != app.name}
    own = request.app.openapi()
    parts = [(f"/v1/{name}", name, document) for name, document in documents.items() if document]
    return Response(orjson.dumps(joined([*parts, ("", app.name, own)])), media_type=JSON)


async def _of_service(app: Application, service: str) -> dict[str, Any]:
    """What a service says of itself, {} while it is away."""
    answer = Answer()
    if app.ports.upstreams.knows(service):
        scope = request_scope("GET", "/openapi.json", "", {})
        await app.ports.upstreams.forward(service, scope, body_of(b""), answer.take)
    document: dict[str, Any] = answer.json() if answer.ok else {}
    return document


def joined(parts: list[tuple[str, str, dict[str, Any]]]) -> dict[str, Any]:
    """One document of several: each part's paths under its prefix, its schemas under its own name."""
    paths: dict[str, Any] = {}
    schemas: dict[str, Any] = {"Problem": PROBLEM_SCHEMA}
    for prefix, name, document in parts:
        for path, operations in document["paths"].items():
            paths[prefix + path] = {verb: _operation(name, verb, path, one) for verb, one in operations.items()}
        named = document.get("components", {}).get("schemas", {})
        schemas |= {_named(key, name): _renamed(body, name) for key, body in named.items() if key not in OWN_GENERATED}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Entente", "version": "1"},
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "security": [{"bearer": []}],
    }


def _operation(name: str, verb: str, path: str, operation: dict[str, Any]) -> dict[str, Any]:
    made = _renamed(operation, name)
    answers = {status: body for status, body in made["responses"].items() if status != "422"}
    made["responses"] = {**answers, "default": REFUSED}
    made["operationId"] = f"{name}_{operation['operationId']}"
    if "parameters" in made:
        made["parameters"] = [_needed(one) for one in made["parameters"]]
    open_here = open_to_all(name, verb.upper(), path) or path.startswith("/dev/")
    return {**made, "security": []} if open_here else made


def _needed(parameter: dict[str, Any]) -> dict[str, Any]:
    """A key is asked for by hand, so that its absence is a problem of its own; the framework takes it for optional."""
    return {**parameter, "required": True} if parameter["name"] == KEY else parameter


def _renamed(value: Any, name: str) -> Any:
    """The value with its references pointing at the schemas of that service."""
    if isinstance(value, dict):
        return {key: _reference(part, name) if key == "$ref" else _renamed(part, name) for key, part in value.items()}
    return [_renamed(part, name) for part in value] if isinstance(value, list) else value


def _reference(text: str, name: str) -> str:
    return f"{REFERENCE}{_named(text.removeprefix(REFERENCE), name)}"


def _named(schema: str, name: str) -> str:
    """What a service's schema is called among all: what they share has one name."""
    return schema if schema.startswith(SHARED) else f"{name}.{schema}"
