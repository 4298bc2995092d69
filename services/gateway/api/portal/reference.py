"""The API to read: what each operation takes and answers, a service a page, from the document that programs read."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from fastapi import APIRouter, Response

from chassis.decider import NotFound
from chassis.http import JSON, PROBLEM
from contracts.catalogue import SERVICES
from services.gateway.api.documents import REFERENCE, document_of
from services.gateway.api.portal.visit import Here, PageRoute

VERBS = ("get", "post", "put", "patch", "delete")
DEEP_MAX, FIELDS_MAX = 3, 60
"""How deep a body is followed into its parts, and how many of its fields are shown."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/api")
async def overview(here: Here) -> Response:
    """How to begin, and which services there are."""
    document = await document_of(here.request, here.app)
    counts = {name: len(list(_verbs(document, name))) for name in SERVICES}
    return await here.page("reference.html", info=document["info"]["description"], counts=counts)


@router.get("/api/{service}")
async def of_service(service: str, here: Here) -> Response:
    """Every operation of one service, by resource."""
    if service not in SERVICES:
        raise NotFound
    document = await document_of(here.request, here.app)
    said = {tag["name"]: tag["description"] for tag in document["tags"]}
    groups: dict[str, list[dict[str, Any]]] = {}
    for one in _operations(document, service):
        groups.setdefault(one["tag"], []).append(one)
    return await here.page("reference_of.html", service=service, groups=groups, said=said)


def _operations(document: Mapping[str, Any], service: str) -> Iterator[dict[str, Any]]:
    """The operations of a service; the gateway's are those that are of no other, without those of development."""
    schemas = document["components"]["schemas"]
    for path, verb in _verbs(document, service):
        yield _operation(verb, path, document["paths"][path][verb], schemas)


def _verbs(document: Mapping[str, Any], service: str) -> Iterator[tuple[str, str]]:
    for path, verbs in document["paths"].items():
        if not path.startswith("/dev/") and _owner(path) == service:
            yield from ((path, verb) for verb in VERBS if verb in verbs)


def _owner(path: str) -> str:
    name = path.split("/")[2] if path.count("/") > 1 else ""
    return name if name in SERVICES else "gateway"


def _operation(verb: str, path: str, one: Mapping[str, Any], schemas: Mapping[str, Any]) -> dict[str, Any]:
    content = one.get("requestBody", {}).get("content", {})
    takes = content.get(JSON, {})
    answer: dict[str, Any] = next((body for status, body in one["responses"].items() if status.startswith("2")), {})
    gives: dict[str, Any] = next((body for kind, body in answer.get("content", {}).items() if kind != PROBLEM), {})
    return {
        "tag": one["tags"][0] if one.get("tags") else "",
        "verb": verb.upper(),
        "path": path,
        "says": one.get("description") or one.get("summary", ""),
        "parameters": [_parameter(parameter) for parameter in one.get("parameters", [])],
        "takes": _fields(takes.get("schema", {}), schemas),
        "other": [kind for kind in content if kind != JSON],
        "gives": _fields(gives.get("schema", {}), schemas),
        "asked": _text(takes.get("example")),
        "answered": _text(gives.get("example")),
    }


def _parameter(one: Mapping[str, Any]) -> dict[str, Any]:
    said = one.get("description", one["schema"].get("description", ""))
    return {"name": one["name"], "needed": one.get("required", False), "kind": _kind(one["schema"]), "says": said}


def _text(example: Any) -> str:
    return "" if example is None else orjson.dumps(example, option=orjson.OPT_INDENT_2).decode()


# What a body holds


def _fields(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields of a body by their path, such as `customer.name` and `products[].family`; its first FIELDS_MAX."""
    return list(_within(schema, schemas, "", DEEP_MAX))[:FIELDS_MAX]


def _within(schema: Mapping[str, Any], schemas: Mapping[str, Any], path: str, deep: int) -> Iterator[dict[str, Any]]:
    whole, tail = _opened(schema, schemas)
    needed = whole.get("required", ())
    for name, part in whole.get("properties", {}).items() if deep else ():
        here = f"{path}{tail}.{name}".removeprefix(".")
        yield {"name": here, "needed": name in needed, "kind": _kind(part), "says": part.get("description", "")}
        yield from _within(part, schemas, here, deep - 1)


def _opened(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """The schema that is referred to, also as an item of a list or as what may be absent; and `[]` for a list."""
    if "$ref" in schema:
        return schemas.get(schema["$ref"].removeprefix(REFERENCE), {}), ""
    if "items" in schema:
        return _opened(schema["items"], schemas)[0], "[]"
    there = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    return _opened(there[0], schemas) if len(there) == 1 else (schema, "")


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value is, in a word or two."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition(".")[2].rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_kind(one) for one in schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return ", ".join(str(one) for one in schema.get("enum", [schema.get("const")]))
    if "items" in schema:
        return f"list of {_kind(schema['items'])}"
    kinds = schema.get("format") or schema.get("type") or "any"
    return kinds if isinstance(kinds, str) else " or ".join(kinds)
