"""What every route of the five services is made of."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute, iter_route_contexts

from chassis.process import make_world
from chassis.settings import ServiceSettings
from services.__main__ import build_all


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
