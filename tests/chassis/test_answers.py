"""What a route's answer is taken to be, and that an answer is held to it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import pytest
from fastapi import APIRouter, Response

from chassis.answers import Documented, Page, answers
from chassis.asgi import Api
from chassis.execution import Handles
from chassis.http import listed, shown
from tests.scenarios.held import Held


@dataclass
class Knock:
    """A command."""


@dataclass
class Ring:
    """Another one."""


class Knocked(TypedDict):
    times: int


class Visitor(TypedDict):
    """Who came."""

    name: str
    came_at: NotRequired[str]


def _knocked(wish: Knock, _: Any) -> Knocked:
    return {"times": 1}


def _streams(_: Any) -> tuple[Any, ...]:
    return ()


HANDLES = (Handles(Knock, list, _streams, answer=_knocked), Handles(Ring, list, _streams))
router = APIRouter(tags=["front door"])
SENT: dict[str, Any] = {}


@router.post("/knock", status_code=201)
async def knock() -> Response:
    """Knocks."""
    return shown({"times": len([Knock])})


@router.post("/ring")
async def ring() -> Response:
    """Rings."""
    return shown(vars(Ring()))


@router.post("/both")
async def both() -> Response:
    """Knocks or rings."""
    return shown({"times": len([Knock, Ring])})


@router.get("/visitors")
@answers(Page[Visitor])
async def visitors() -> Response:
    """Who came."""
    return listed([SENT], None)


@pytest.fixture
def app() -> Iterator[Documented]:
    made = Documented(HANDLES, title="Door")
    made.include_router(router)
    yield made
    SENT.clear()


def told(app: Documented, verb: str, path: str) -> dict[str, Any]:
    operation: dict[str, Any] = app.openapi()["paths"][path][verb]
    return operation


def content(operation: dict[str, Any], status: str = "200") -> Any:
    return operation["responses"][status]["content"]["application/json"]["schema"]


def test_a_route_answers_what_its_one_command_answers(app: Documented) -> None:
    assert content(told(app, "post", "/knock"), "201") == {"$ref": "#/components/schemas/Knocked"}
    assert content(told(app, "post", "/ring")) == {"$ref": "#/components/schemas/shared.Done"}


def test_a_route_of_two_commands_has_to_say_itself(app: Documented) -> None:
    assert content(told(app, "post", "/both")) == {}


def test_a_route_is_named_by_its_resource_and_what_it_does(app: Documented) -> None:
    assert told(app, "post", "/knock")["operationId"] == "front_door_knock"


def test_a_resource_is_for_what_the_module_of_its_routes_says(app: Documented) -> None:
    said = {"name": "front door", "description": __doc__}
    assert app.openapi()["tags"] == [said]


@pytest.mark.parametrize(
    ("sent", "fault"),
    [
        ({"name": "Ada", "came_at": "2026-03-02T10:00:00Z"}, None),
        ({"name": "Ada"}, None),
        ({}, '"name" is a required property'),
        ({"name": "Ada", "shoes": 2}, "Additional properties are not allowed"),
        ({"name": None}, "null is not of type"),
        ({"name": "Ada", "came_at": "at ten"}, 'is not a "date-time"'),
    ],
    ids=["whole", "without what is optional", "too little", "too much", "null", "no instant"],
)
async def test_an_answer_is_held_to_the_document(app: Documented, sent: dict[str, Any], fault: str | None) -> None:
    SENT.update(sent)
    client = Api(Held(app))
    if fault is None:
        assert (await client.get("/visitors")).json()["items"] == [sent]
    else:
        with pytest.raises(AssertionError, match=fault):
            await client.get("/visitors")
