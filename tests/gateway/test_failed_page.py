"""What nobody foresaw, and what is away for now: a person is shown a page, a program a problem, and neither what failed."""

import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from chassis.asgi import Answer, body_of, request_scope
from chassis.event import UnknownType
from tests.scenarios.browser import HOST
from tests.scenarios.system import System
from tests.scenarios.test_money_pages import portal_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Unforeseen(Exception):
    """What a bug raises."""


async def broken() -> None:
    raise Unforeseen("the secret of the house")


async def away() -> None:
    raise sqlite3.OperationalError("the secret of the house")


async def of_a_later_release() -> None:
    raise UnknownType("gateway.HouseMoved.v1")


READERS = pytest.mark.parametrize(
    ("accept", "under", "media_type"),
    [
        ("text/html,application/xhtml+xml", "", "text/html; charset=utf-8"),
        ("application/json", "", "application/problem+json"),
        ("text/html", "/v1", "application/problem+json"),
    ],
)


def opened(it: System, path: str, route: Callable[..., Any]) -> Any:
    """The gateway with one more route."""
    api: Any = it.services["gateway"].api
    api.add_api_route(path, route, methods=["GET", "POST"])
    api.router.routes.insert(0, api.router.routes.pop())  # before the mounts and the catch-alls
    return api


@READERS
async def test_a_bug_is_a_page_for_who_reads_pages_and_a_problem_for_a_program(
    it: System, accept: str, under: str, media_type: str
) -> None:
    path, answer = f"{under}/broken", Answer()
    api = opened(it, path, broken)
    with pytest.raises(Unforeseen):
        await api(request_scope("GET", path, "", {"host": HOST, "accept": accept}), body_of(b""), answer.take)
    assert answer.status == 500
    assert answer.headers["content-type"] == media_type
    assert b"secret" not in answer.body
    assert (b"Something went wrong here" in answer.body) == media_type.startswith("text/html")


@READERS
@pytest.mark.parametrize("route", [away, of_a_later_release])
async def test_what_is_away_is_a_page_that_says_what_to_do_for_a_person_and_a_problem_for_a_program(
    it: System, route: Callable[..., Any], accept: str, under: str, media_type: str
) -> None:
    path, answer = f"{under}/{route.__name__}", Answer()
    api = opened(it, path, route)
    await api(request_scope("GET", path, "", {"host": HOST, "accept": accept}), body_of(b""), answer.take)
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.headers["content-type"] == media_type
    assert b"secret" not in answer.body
    page = media_type.startswith("text/html")
    assert (b"loads again by itself" in answer.body) == page
    assert answer.headers.get("refresh") == ("5" if page else None)


async def test_a_form_that_met_what_is_away_is_not_sent_again_by_itself(it: System) -> None:
    answer = Answer()
    api = opened(it, "/away-form", away)
    await api(request_scope("POST", "/away-form", "", {"host": HOST, "accept": "text/html"}), body_of(b""), answer.take)
    assert answer.status == 503
    assert b"what you sent is done once at most" in answer.body
    assert "refresh" not in answer.headers


@pytest.mark.parametrize("name", ["%00", "x" * 65])
async def test_a_page_of_what_can_have_no_such_name_says_that_there_is_none(it: System, name: str) -> None:
    """The service refuses the name itself: nothing is away, and no page stands on an empty answer."""
    pages = {
        "northwind": (f"/deals/{name}", f"/deals/{name}/replace", f"/mails/{name}", f"/leads/{name}"),
        "dora": (f"/customers/{name}", f"/desk/{name}", f"/mails/{name}", f"/leads/{name}"),
    }
    for who, paths in pages.items():
        async with portal_of(it, await it.who(who)) as client:
            assert {path: (await client.get(path)).status_code for path in paths} == dict.fromkeys(paths, 404)
