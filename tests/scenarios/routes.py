"""Every route of the running services, as their own tables have it."""

from collections.abc import Iterator
from typing import Any

from starlette.routing import Mount

from chassis.service import Service
from chassis.short_way import Directory

Route = tuple[str, str, str]
"""Service, method, path as that service has it."""


def routes_of(service: Service) -> Iterator[Route]:
    """The routes of one service; what is mounted on it has routes of its own."""
    for route in service.api.routes:
        for one in _within(route):
            yield from ((service.name, method, one.path) for method in sorted({*one.methods} - {"HEAD"}))


def mounts_of(service: Service) -> set[str]:
    return {route.path for route in service.api.routes if isinstance(route, Mount)}


def _within(route: Any) -> Iterator[Any]:
    if hasattr(route, "effective_candidates"):
        for candidate in route.effective_candidates():
            yield from _within(candidate)
    elif not isinstance(route, Mount | Directory):
        yield route


def outside(route: Route) -> tuple[str, str]:
    """Method and path of a route at the door."""
    service, method, path = route
    return method, path if service == "gateway" else f"/v1/{service}{path}"
