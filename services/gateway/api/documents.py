"""The public API as one OpenAPI document: what every service offers behind the door, and the gateway's own routes."""

import asyncio
from collections.abc import Iterable
from functools import cache
from pathlib import Path
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
    "content": {
        PROBLEM: {
            "schema": {"$ref": f"{REFERENCE}Problem"},
            "example": {
                "type": "/problems/not-found",
                "title": "not found",
                "status": 404,
                "detail": "There is no such thing, or not for you.",
                "slug": "not-found",
            },
        }
    },
}
KEY = "Idempotency-Key"
INTRODUCTION = """\
Everything that partners and the vendor do with each other, and why each thing came about.

**Signing in.** Send `Authorization: Bearer …` with an API key, which you make under Settings or with `POST /v1/clients`.

**Commands** carry an `Idempotency-Key`: sent again with the same body, one has one effect and one answer. What a rule \
refuses is answered 409 or 422 with a `slug` that never changes.

**Reading what you wrote.** A command answers `Entente-Position: registration=123`; a read of the same service with \
`Entente-At-Least: registration=123` shows it.

**Values.** Money is text with its currency, an instant is `…_at` in UTC, a day is `…_on`. Ids are opaque. Pass over \
fields that you do not know: this version only grows.
"""
KEY_SCHEMA = {"type": "string", "minLength": 1, "maxLength": 64}
PARAMETERS = {
    KEY: "1 to 64 characters of your choice, anew for each thing that you want done.",
    "If-Match": "The ETag that you read: the command acts on that version, or answers 412.",
    "Entente-At-Least": "The Entente-Position of a command: the read shows what it wrote, or answers 503.",
    "cursor": "`next_cursor` of the part before; absent for the first.",
    "limit": "How many at most.",
    "sort": "By which field; `-` before it for the highest first.",
}
EXAMPLES = Path(__file__).with_name("examples.json")
"""Requests and answers of a real run of the main job, by operation: `make examples` writes them."""
KEPT_SECONDS = 60.0
OWN_GENERATED = ("HTTPValidationError", "ValidationError")

router = APIRouter(prefix="/v1", tags=["documents"])


class ApiDocument(TypedDict):
    """OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    tags: list[dict[str, str]]
    paths: dict[str, Any]
    components: dict[str, Any]
    security: list[dict[str, Any]]


@router.get("/openapi.json")
@answers(ApiDocument)
async def openapi(request: Request, app: App) -> Response:
    """This document."""
    return Response(orjson.dumps(await document_of(request, app)), media_type=JSON)


async def document_of(request: Request, app: Application) -> dict[str, Any]:
    """What every service that answers says of itself, as one document: to be read, never changed.

    One that misses no service is kept for a while; another process may be of another release by then.
    """
    now = asyncio.get_running_loop().time()
    made_at, kept = getattr(request.app.state, "kept_document", (now, None))
    if kept is not None and now < made_at + KEPT_SECONDS:
        return dict(kept)
    documents = {name: await _of_service(app, name) for name in SERVICES if name != app.name}
    parts = [(f"/v1/{name}", name, document) for name, document in documents.items() if document]
    made = joined([*parts, ("", app.name, request.app.openapi())])
    if all(documents.values()):
        request.app.state.kept_document = now, made
    return made


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
            whole = prefix + path
            paths[whole] = {
                verb: _shown(_operation(name, verb, path, one), verb, whole) for verb, one in operations.items()
            }
        named = document.get("components", {}).get("schemas", {})
        schemas |= {_named(key, name): _renamed(body, name) for key, body in named.items() if key not in OWN_GENERATED}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Entente", "version": "1", "description": INTRODUCTION},
        "tags": _tags(document for _, _, document in parts),
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


def _tags(documents: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    """The resources of all services; what several have is said once."""
    told: dict[str, dict[str, None]] = {}
    for document in documents:
        for tag in document.get("tags", ()):
            told.setdefault(tag["name"], {})[tag["description"]] = None
    return [{"name": name, "description": " ".join(said)} for name, said in told.items()]


@cache
def examples() -> dict[str, dict[str, Any]]:
    """A request, where it has a body, and an answer of each operation of the main job, by `POST /v1/registration/deals`."""
    found: dict[str, dict[str, Any]] = orjson.loads(EXAMPLES.read_bytes())
    return found


def _shown(operation: dict[str, Any], verb: str, path: str) -> dict[str, Any]:
    """The operation with the example of it that there is."""
    example = examples().get(f"{verb.upper()} {path}", {})
    if "request" in example:
        operation["requestBody"]["content"][JSON]["example"] = example["request"]
    if "answer" in example:
        good = next(status for status in operation["responses"] if status.startswith("2"))
        operation["responses"][good]["content"][JSON]["example"] = example["answer"]
    return operation


def _needed(parameter: dict[str, Any]) -> dict[str, Any]:
    """A parameter with what it is for.

    A key is asked for by hand, so that its absence is a problem of its own; the framework takes it for optional.
    """
    said = PARAMETERS.get(parameter["name"])
    made = {"description": said, **parameter} if said else parameter
    return {**made, "required": True, "schema": KEY_SCHEMA} if parameter["name"] == KEY else made


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
