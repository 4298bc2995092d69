"""The short way to an endpoint, past the framework's search for the route and its resolver.

FastAPI looks through a route's declaration at each request, which costs more than the command behind most of them. Nearly
all routes that write ask for the same: ids of the path, the caller, the application, a JSON body. What that is, is found
out once, and a request that fits is answered by it. All others go the framework's way from the start: another kind of
parameter, a body of another type, and whatever does not validate, so that there is one answer to a bad request.
"""

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

import orjson
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.datastructures import URLPath
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.asgi import header

Find = Callable[[Request], Awaitable[Any]]
"""Finds the value of a dependency for a request."""
Places = tuple[int, ...]
"""Where in a path there are fixed words, counted by slashes."""
Words = tuple[str, ...]
"""The words there."""


@dataclass(frozen=True)
class Asked:
    """What an endpoint asks for: dependencies by parameter, fields of the path, the body's field."""

    finds: Mapping[str, Find]
    path: tuple[Any, ...]
    body: Any

    async def values(self, request: Request, raw: bytes) -> dict[str, Any] | None:
        """The arguments for the endpoint; None where something does not fit. Raises what the dependencies raise."""
        given = _json(request, raw) if self.body else {}
        if given is None:
            return None
        found = {name: await find(request) for name, find in self.finds.items()}
        fields = [(field, request.path_params[field.alias]) for field in self.path]
        for field, value in [*fields, (self.body, given)] if self.body else fields:
            found[field.name], errors = field.validate(value, {}, loc=())
            if errors:
                return None
        return found


class ShortWay:
    """An endpoint's ASGI app in front of the framework's own."""

    def __init__(self, endpoint: Callable[..., Awaitable[Response]], asked: Asked, framework: ASGIApp) -> None:
        self.endpoint, self.asked, self.framework = endpoint, asked, framework

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            raw = await request.body()
        except ClientDisconnect:
            return
        values = await self.asked.values(request, raw)
        if values is None:
            await self.framework(scope, _once_more(raw, receive), send)
        else:
            response = await self.endpoint(**values)
            await response(scope, receive, send)


class Directory(BaseRoute):
    """Stands before all routes and knows which few of them a request can mean, by method and the path's fixed words.

    What it does not find, the routes behind it are searched for, one after the other.
    """

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._alike: dict[tuple[str, int], dict[Places, dict[Words, list[tuple[int, APIRoute]]]]] = {}
        for number, route in enumerate(routes):
            if isinstance(route, APIRoute) and ":" not in route.path:  # such a parameter may hold a slash
                self._add(number, route, route.path.split("/"))

    def _add(self, number: int, route: APIRoute, parts: Sequence[str]) -> None:
        places = tuple(at for at, part in enumerate(parts) if "{" not in part)
        for method in route.methods or ():
            alike = self._alike.setdefault((method, len(parts)), {}).setdefault(places, {})
            alike.setdefault(_words(parts, places), []).append((number, route))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and not scope.get("root_path"):
            parts = scope["path"].split("/")
            alike = self._alike.get((scope["method"], len(parts)), {})
            found = [one for places in alike for one in alike[places].get(_words(parts, places), ())]
            for _, route in sorted(found):
                match, child = route.matches(scope)
                if match == Match.FULL:
                    return match, child
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["route"].handle(scope, receive, send)

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        raise NoMatchFound(name, path_params)


def _words(parts: Sequence[str], places: Places) -> Words:
    return tuple([parts[at] for at in places])


def shortened(route: BaseRoute, finds: Mapping[Any, Find]) -> BaseRoute:
    """The route, with the short way where its endpoint asks for nothing but ids, a body, and what `finds` can find."""
    if type(route) is APIRoute and not isinstance(route.app, ShortWay) and (asked := _asked(route, finds)):
        route.app = ShortWay(route.endpoint, asked, route.app)
    return route


def _asked(route: APIRoute, finds: Mapping[Any, Find]) -> Asked | None:
    wants = route.dependant
    simple = (*wants.path_params, *wants.body_params)
    named = {one.name: finds[one.call] for one in wants.dependencies if one.name and one.call in finds}
    parameters = inspect.signature(route.endpoint).parameters
    fits = (
        set(parameters) == {*named, *(field.name for field in simple)}
        and len(named) == len(wants.dependencies)
        and len(wants.body_params) <= 1
        and not getattr(route, "_embed_body_fields", False)
        and inspect.iscoroutinefunction(route.endpoint)
        and get_type_hints(route.endpoint).get("return") is Response
    )
    return Asked(named, tuple(wants.path_params), next(iter(wants.body_params), None)) if fits else None


def _json(request: Request, raw: bytes) -> Any:
    """The JSON of a body that is said to be JSON; None for any other, and for null."""
    if (header(request, b"content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return None
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _once_more(raw: bytes, receive: Receive) -> Receive:
    """A body that was read, to be read again."""
    unread = True

    async def again() -> Message:
        nonlocal unread
        if unread:
            unread = False
            return {"type": "http.request", "body": raw, "more_body": False}
        return await receive()

    return again
