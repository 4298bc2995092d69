"""What nobody foresaw: a person is shown a page, a program a problem, and neither what failed."""

from typing import Any

import pytest

from chassis.asgi import Answer, body_of, request_scope
from tests.scenarios.browser import HOST
from tests.scenarios.system import System

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Unforeseen(Exception):
    """What a bug raises."""


async def broken() -> None:
    raise Unforeseen("the secret of the house")


@pytest.mark.parametrize(
    ("path", "accept", "media_type"),
    [
        ("/broken", "text/html,application/xhtml+xml", "text/html; charset=utf-8"),
        ("/broken", "application/json", "application/problem+json"),
        ("/v1/broken", "text/html", "application/problem+json"),
    ],
)
async def test_a_bug_is_a_page_for_who_reads_pages_and_a_problem_for_a_program(
    it: System, path: str, accept: str, media_type: str
) -> None:
    api: Any = it.services["gateway"].api
    api.add_api_route(path, broken)
    api.router.routes.insert(0, api.router.routes.pop())  # before the mounts and the catch-alls
    answer = Answer()
    with pytest.raises(Unforeseen):
        await api(request_scope("GET", path, "", {"host": HOST, "accept": accept}), body_of(b""), answer.take)
    assert answer.status == 500
    assert answer.headers["content-type"] == media_type
    assert b"secret" not in answer.body
    assert (b"Something went wrong here" in answer.body) == media_type.startswith("text/html")
