"""The short way to an endpoint answers as the framework's own way does."""

from typing import Annotated, Any

import orjson
import pytest
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import Field

from chassis.asgi import Answer, body_of, request_scope
from chassis.decider import Refused
from chassis.http import Body
from chassis.short_way import Directory, ShortWay, shortened

Id = Annotated[str, Path(min_length=2, max_length=8)]
JSON = "application/json"
GOOD = b'{"text": "hello", "times": 2}'


class Closed(Refused):
    """The door is closed."""

    slug = "closed"


class Words(Body):
    text: Annotated[str, Field(max_length=20)]
    times: int = 1


async def visitor(request: Request) -> str:
    if request.headers.get("who") == "stranger":
        raise Closed
    return request.headers.get("who", "")


def told(body: Any, status_code: int = 200) -> Response:
    return Response(orjson.dumps(body, default=str), status_code, media_type=JSON)


Visitor = Annotated[str, Depends(visitor)]


def app(*, short: bool) -> FastAPI:
    router = APIRouter()

    @router.post("/rooms/{room_id}/words")
    async def say(room_id: Id, body: Words, who: Visitor) -> Response:
        if body.text == "closed":
            raise Closed
        return told({"room": room_id, "who": who, "text": body.text, "times": f"{body.times:x}"}, status_code=201)

    @router.post("/rooms/{room_id}/close")
    async def close(room_id: Id, who: Visitor) -> Response:
        return told({"room": room_id, "who": who})

    @router.get("/rooms/all")
    async def rooms(page: int = 1) -> Response:
        return told({"rooms": "all", "page": page})

    @router.get("/rooms/{room_id}")
    async def room(room_id: Id, who: Visitor, page: Annotated[int, Query(ge=1)] = 1) -> Response:
        return told({"room": room_id, "who": who, "page": page})

    made = FastAPI()
    made.router.routes += [shortened(route, {visitor: visitor}) for route in router.routes] if short else router.routes
    if short:
        made.router.routes.insert(0, Directory(made.router.routes))
    made.add_exception_handler(RequestValidationError, lambda _, error: told(_kinds(error), status_code=422))
    made.add_exception_handler(Refused, lambda _, error: told({"slug": error.slug}, status_code=409))
    return made


def _kinds(error: Any) -> list[Any]:
    return [(one["type"], one["loc"]) for one in error.errors()]


async def answer(to: FastAPI, method: str, path: str, content: bytes, headers: dict[str, str]) -> Answer:
    got = Answer()
    bare, _, query = path.partition("?")
    await to(request_scope(method, bare, query, headers), body_of(content), got.take)
    return got


def test_routes_that_ask_for_ids_a_body_and_what_can_be_found_have_the_short_way() -> None:
    ways = {route.path: isinstance(route.app, ShortWay) for route in app(short=True).routes if hasattr(route, "app")}
    assert {path: short for path, short in ways.items() if path.startswith("/rooms")} == {
        "/rooms/{room_id}/words": True,
        "/rooms/{room_id}/close": True,
        "/rooms/all": False,
        "/rooms/{room_id}": False,
    }


@pytest.mark.parametrize(
    ("path", "content", "headers"),
    [
        ("/rooms/blue/words", GOOD, {"content-type": JSON, "who": "anna"}),
        ("/rooms/blue/words", GOOD, {"content-type": f"{JSON}; charset=utf-8"}),
        ("/rooms/blue/words", GOOD, {"content-type": "application/merge-patch+json"}),
        ("/rooms/blue/words", GOOD, {"content-type": "text/plain"}),
        ("/rooms/blue/words", GOOD, {}),
        ("/rooms/blue/words", b"", {"content-type": JSON}),
        ("/rooms/blue/words", b"null", {"content-type": JSON}),
        ("/rooms/blue/words", b"[1]", {"content-type": JSON}),
        ("/rooms/blue/words", b'{"text": ', {"content-type": JSON}),
        ("/rooms/blue/words", b'{"text": "x", "times": NaN}', {"content-type": JSON}),
        ("/rooms/blue/words", b'{"text": "x", "times": 1' + b"0" * 400 + b"}", {"content-type": JSON}),
        ("/rooms/blue/words", b'{"text": "x", "more": 1}', {"content-type": JSON}),
        ("/rooms/blue/words", b'{"text": "' + b"x" * 21 + b'"}', {"content-type": JSON}),
        ("/rooms/blue/words", b'{"text": "closed"}', {"content-type": JSON}),
        ("/rooms/b/words", GOOD, {"content-type": JSON}),
        ("/rooms/b/words", GOOD, {"content-type": JSON, "who": "stranger"}),
        ("/rooms/blue/close", b"", {"who": "anna"}),
        ("/rooms/blue/close", b"", {"who": "stranger"}),
        ("/rooms/b/close", GOOD, {"content-type": JSON}),
        ("/rooms/blue?page=0", b"", {}),
        ("/rooms/blue?page=2", b"", {}),
        ("/rooms/all?page=2", b"", {}),
        ("/rooms/blue", b"", {}),
        ("/rooms/blue/", b"", {}),
        ("/rooms", b"", {}),
        ("", b"", {}),
        ("*", b"", {}),
        ("/rooms//words", GOOD, {"content-type": JSON}),
    ],
)
async def test_whatever_is_sent_is_answered_as_the_framework_answers_it(
    path: str, content: bytes, headers: dict[str, str]
) -> None:
    method = "GET" if "?" in path else "POST"
    given: list[Any] = [await answer(app(short=short), method, path, content, headers) for short in (True, False)]
    assert (given[0].status, given[0].body) == (given[1].status, given[1].body)
    assert given[0].status < 500


async def test_who_hangs_up_while_the_body_is_read_is_not_answered() -> None:
    got = Answer()

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    await app(short=True)(request_scope("POST", "/rooms/blue/words", "", {"content-type": JSON}), gone, got.take)
    assert got.status == 0
