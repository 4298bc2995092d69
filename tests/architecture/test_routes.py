"""What every route of the five services is made of."""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from chassis.http import reads
from chassis.process import make_world
from chassis.settings import ServiceSettings
from services.__main__ import build_all
from tests.architecture.tree import ROOT


def blocking(api: FastAPI) -> set[str]:
    """The routes and dependencies that the framework would run in a thread: each is two hops for every request."""
    contexts = [context for context in iter_route_contexts(api.routes) if isinstance(context.original_route, APIRoute)]
    calls = [call for context in contexts for call in _calls(context.original_route.dependant)]
    return {call.__qualname__ for call in calls if not inspect.iscoroutinefunction(call)}


def _calls(dependant: Any) -> Iterator[Any]:
    yield dependant.call
    for inner in dependant.dependencies:
        yield from _calls(inner)


@pytest.mark.parametrize("name", ["onboarding", "registration", "attribution", "incentives", "gateway"])
async def test_no_request_hops_into_a_thread(name: str, tmp_path: Path) -> None:
    settings = ServiceSettings(port=0, data=tmp_path)
    service = build_all(settings, make_world(settings))[name]
    assert blocking(service.api) == set()
    service.application.keys.close()


async def test_a_plain_dependency_is_found() -> None:
    api = FastAPI()

    def plain() -> int:
        return 1

    @api.get("/")
    async def route(one: Annotated[int, Depends(plain)]) -> int:
        return one

    assert {name.rpartition(".")[2] for name in blocking(api)} == {"plain"}


CONDUCT = re.compile(r"\bby\b[^=\n]*=[^\n]*principal\.subject")
"""Who answers for a command is `principal.by`: a program's subject would pass as a second person beside its maker's."""


def test_who_answers_for_a_command_is_a_person() -> None:
    found = [path.name for path in (ROOT / "services").rglob("api/**/*.py") if CONDUCT.search(path.read_text())]
    assert found == []
    assert CONDUCT.search("    by=caller.principal.subject,")
    assert CONDUCT.search("    by, now = caller.principal.subject, app.clock.now()")


ASKS = re.compile(r"\bapp\.read\.(?:get|find|count)\(\s*\"(\w+)\"")


def unnamed(endpoint: Any) -> set[str]:
    """The models that a route asks itself though it names others: a read of one's own writes would not wait for them."""
    named = set(getattr(endpoint, "reads", ()))
    return set(ASKS.findall(inspect.getsource(endpoint))) - named if named else set()


@pytest.mark.parametrize("name", ["onboarding", "registration", "attribution", "incentives"])
async def test_a_route_names_each_model_that_it_reads(name: str, tmp_path: Path) -> None:
    settings = ServiceSettings(port=0, data=tmp_path)
    service = build_all(settings, make_world(settings))[name]
    routes = [context.original_route for context in iter_route_contexts(service.api.routes)]
    found = {route.path: unnamed(route.endpoint) for route in routes if isinstance(route, APIRoute)}
    assert {path: models for path, models in found.items() if models} == {}
    service.application.keys.close()


async def test_a_model_that_a_route_reads_and_does_not_name_is_found() -> None:
    @reads("lines")
    async def route(app: Any) -> Any:
        return await app.read.get("payees", "t-1", "p-1")

    assert unnamed(route) == {"payees"}
