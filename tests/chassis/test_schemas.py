"""The schemas of types: what is optional, what may be null, what has a name."""

from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal, NewType, NotRequired, TypedDict

import pytest

from chassis.answers import Page
from chassis.event import LEFT_OUT, LeftOut, Sealed
from chassis.schemas import SameName, Schemas

Id = NewType("Id", str)


class State(StrEnum):
    OPEN = "open"
    SHUT = "shut"


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part."""

    part_id: Id
    told: Sealed | None = None
    names: tuple[str, ...] = ()
    more: dict[str, Any] = field(default_factory=dict)


class WholeDocument(TypedDict):
    """A whole.

    It has parts.
    """

    parts: list[Annotated[dict[str, Any], Part]]
    state: Annotated[str, State]
    kind: Literal["a", "b"]
    made_at: str
    until_on: NotRequired[str | None]
    day: date


def made(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    schemas = Schemas()
    return schemas.of(kind), schemas.named


TEXT, NULL = {"type": "string"}, {"type": "null"}


def test_a_document_is_told_with_its_parts_by_name() -> None:
    schema, named = made(WholeDocument)
    assert schema == {"$ref": "#/components/schemas/Whole"}
    assert named["Whole"] == {
        "type": "object",
        "description": "A whole. It has parts.",
        "properties": {
            "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Part"}},
            "state": {"enum": ["open", "shut"]},
            "kind": {"enum": ["a", "b"]},
            "made_at": {"type": "string", "format": "date-time"},
            "until_on": {"anyOf": [{"type": "string", "format": "date"}, NULL]},
            "day": {"type": "string", "format": "date"},
        },
        "required": ["parts", "state", "kind", "made_at", "day"],
    }


def test_a_value_is_sent_whole_also_where_its_fields_have_defaults() -> None:
    _, named = made(Part)
    told = {"type": ["string", "null"], "description": "Personal text; null once its person is forgotten."}
    assert named["Part"] == {
        "type": "object",
        "description": "One part.",
        "properties": {
            "part_id": TEXT,
            "told": {"anyOf": [told, NULL]},
            "names": {"type": "array", "items": TEXT},
            "more": {"type": "object"},
        },
        "required": ["part_id", "told", "names", "more"],
    }


def test_a_page_is_named_after_what_it_lists() -> None:
    schema, named = made(Page[WholeDocument])
    assert schema == {"$ref": "#/components/schemas/WholePage"}
    assert named["WholePage"]["properties"] == {
        "items": {"type": "array", "items": {"$ref": "#/components/schemas/Whole"}},
        "next_cursor": {"anyOf": [TEXT, NULL]},
    }


def test_maps_and_alternatives_are_told() -> None:
    assert made(dict[str, int])[0] == {"type": "object", "additionalProperties": {"type": "integer"}}
    assert made(int | str | None)[0] == {"anyOf": [{"type": "integer"}, TEXT, NULL]}


@dataclass(frozen=True, kw_only=True)
class Later:
    """It got a field later."""

    first: str
    second: str | LeftOut = LEFT_OUT


def test_a_field_that_may_be_left_out_is_not_required() -> None:
    _, named = made(Later)
    assert (named["Later"]["properties"], named["Later"]["required"]) == ({"first": TEXT, "second": TEXT}, ["first"])


def test_two_types_of_one_name_are_refused() -> None:
    schemas = Schemas()
    schemas.of(Part)
    with pytest.raises(SameName):
        schemas.of(dataclass(type("Part", (), {})))


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(TypeError, match="has no form in JSON"):
        made(complex)
