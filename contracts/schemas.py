"""The public events as JSON Schemas and as one AsyncAPI document, made from their classes.

A reader ignores fields that it does not know, so no schema forbids more of them.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect

from chassis.event import PublicEvent
from contracts.catalogue import SERVICES, public_events

DOCS = Path(__file__).parents[1] / "docs"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
SHARED = ("rules", "attention")
"""Types of these first words may come from every service."""

MONEY = {
    "title": "Money",
    "description": "An amount in one currency of ISO 4217, as text with exactly the digits of its minor unit.",
    "type": "object",
    "properties": {
        "amount": {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["amount", "currency"],
    "examples": [{"amount": "100.00", "currency": "EUR"}],
}
"""Its class checks what the types of its fields cannot say."""

HEADERS = {
    "ce_specversion": "Always 1.0.",
    "ce_id": "The id of the recorded event, unique for ever; a repeat carries the same.",
    "ce_type": "What happened, and the version of the body.",
    "ce_source": "/entente/<service>/<epoch>. The epoch rises when a store was restored from a backup.",
    "ce_subject": "The stream that the event belongs to.",
    "ce_time": "When it was recorded, in UTC.",
    "ce_sequence": "Its position in the service's order, as 20 digits.",
    "ce_tenant": "The tenant; also the key of the Kafka message.",
    "ce_correlationid": "What the whole chain of commands and events began with.",
    "ce_causationid": "The event that led to this one.",
    "ce_commandid": "The command that recorded it.",
    "ce_streamversion": "Its place in its stream, from 1.",
    "content-type": "Always application/json.",
    "traceparent": "The trace that it belongs to, as W3C Trace Context writes it.",
}
ALWAYS = ("ce_specversion", "ce_id", "ce_type", "ce_source", "ce_subject", "ce_time", "ce_sequence", "ce_tenant")


def schema(cls: type[PublicEvent]) -> dict[str, Any]:
    """The JSON Schema of one public event, named by its type."""
    made = msgspec.json.decode(msgspec.json.encode(msgspec.json.schema(cls)))["$defs"]
    for kind in _inside(inspect.type_info(cls)):
        _mark_instants(made[kind.cls.__name__], kind)
    own = _described(cls, made.pop(cls.__name__))
    values = {"$defs": {name: _value(name, made[name]) for name in made}} if made else {}
    return {"$schema": DIALECT, "$id": f"urn:entente:schema:{cls.type}", **own, **values}


def _inside(kind: inspect.Type) -> Iterator[inspect.DataclassType]:
    """The class and all classes within its fields."""
    if isinstance(kind, inspect.DataclassType):
        yield kind
    fields = (field.type for field in getattr(kind, "fields", ()))
    items = (kind.item_type,) if isinstance(kind, inspect.VarTupleType) else ()
    for part in (*fields, *getattr(kind, "types", ()), *items):
        yield from _inside(part)


def _mark_instants(made: dict[str, Any], kind: inspect.DataclassType) -> None:
    """Says `date-time` of instants: ours always have a zone."""
    for field in kind.fields:
        if any(isinstance(option, inspect.DateTimeType) for option in getattr(field.type, "types", (field.type,))):
            told = made["properties"][field.encode_name]
            next(option for option in told.get("anyOf", [told]) if option["type"] == "string")["format"] = "date-time"


def _described(cls: type[PublicEvent], own: dict[str, Any]) -> dict[str, Any]:
    """Title, description and audience, then the fields. A class without words of its own is told by its name."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", cls.__name__).capitalize()
    rest = {name: value for name, value in own.items() if name not in ("title", "description")}
    description = _one_line(own.get("description", f"{words}."))
    return {"title": cls.__name__, "description": description, "x-audience": cls.audience, **rest}


def _value(name: str, made: dict[str, Any]) -> dict[str, Any]:
    if name == "Money":
        return MONEY
    return made | ({"description": _one_line(made["description"])} if "description" in made else {})


def _one_line(text: str) -> str:
    return " ".join(text.split())


def asyncapi() -> dict[str, Any]:
    """The AsyncAPI 3.0 document: a channel for each service's topic, a message for each public event."""
    events = public_events()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Entente's public events",
            "version": "1.0.0",
            "description": "What the services tell each other. Each topic holds one service's events, as CloudEvents 1.0 "
            "in binary mode: attributes in headers, the body in JSON. The key of a message is its tenant, so a "
            "tenant's events of one service keep their order. Delivery is at least once: ce_id tells a repeat.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {service: _channel(service, events) for service in SERVICES},
        "operations": {f"{service}Tells": _operation(service) for service in SERVICES},
        "components": {
            "messages": {_key(cls): _message(cls) for cls in events},
            "messageTraits": {"cloudEvent": _cloud_event()},
            "schemas": _components(events),
        },
    }


def _channel(service: str, events: list[type[PublicEvent]]) -> dict[str, Any]:
    told = [_key(cls) for cls in events if cls.type.split(".")[1] in (service, *SHARED)]
    return {
        "address": f"entente.{service}",
        "title": f"What {service} tells",
        "messages": {key: {"$ref": f"#/components/messages/{key}"} for key in told},
        "bindings": {"kafka": {"topic": f"entente.{service}"}},
    }


def _operation(service: str) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{service}"},
        "summary": f"{service} tells what happened.",
    }


def _message(cls: type[PublicEvent]) -> dict[str, Any]:
    described = schema(cls)
    return {
        "name": cls.type,
        "title": described["title"],
        "summary": described["description"],
        "contentType": "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "payload": {"$ref": f"#/components/schemas/{_key(cls)}"},
        "x-audience": cls.audience,
    }


def _cloud_event() -> dict[str, Any]:
    headers = {name: {"type": "string", "description": text} for name, text in HEADERS.items()}
    return {
        "headers": {"type": "object", "required": list(ALWAYS), "properties": headers},
        "bindings": {"kafka": {"key": {"type": "string", "description": "The tenant."}}},
    }


def _components(events: list[type[PublicEvent]]) -> dict[str, Any]:
    """Each event's schema under its type, and each shared value once under its name."""
    shared: dict[str, Any] = {}
    bodies: dict[str, Any] = {}
    for cls in events:
        made = schema(cls)
        shared |= made.pop("$defs", {})
        bodies[_key(cls)] = {name: value for name, value in made.items() if not name.startswith("$")}
    found: dict[str, Any] = _into_components(shared | bodies)
    return found


def _into_components(value: Any) -> Any:
    match value:
        case {"$ref": str(target)}:
            return {**value, "$ref": target.replace("#/$defs/", "#/components/schemas/")}
        case dict():
            return {name: _into_components(inner) for name, inner in value.items()}
        case list():
            return [_into_components(inner) for inner in value]
        case _:
            return value


def _key(cls: type[PublicEvent]) -> str:
    """The type without its first word: `registration.DealWon.v1`. It is unique, and a key that AsyncAPI allows."""
    return cls.type.removeprefix("entente.")


def write(docs: Path = DOCS) -> list[str]:
    """Writes all schemas and the AsyncAPI document anew. Answers what changed."""
    documents = {f"schemas/{cls.type}.json": schema(cls) for cls in public_events()} | {"asyncapi.json": asyncapi()}
    return [file for file, document in documents.items() if _written(docs / file, document)]


def _written(path: Path, document: Mapping[str, Any]) -> bool:
    text = msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"
    if path.exists() and path.read_bytes() == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return True
