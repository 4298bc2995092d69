"""What each route answers, for the API's document. Nothing of this runs while a request is answered.

A route that asks for one command answers what `Handles.answer` of that command says that it returns. Every other route
says it itself: `@answers(DealDocument)`, or as its response class, where it answers no JSON.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, Generic, TypedDict, TypeVar, get_args, get_origin, get_type_hints

from fastapi import FastAPI
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts

from chassis.execution import Handles
from chassis.http import JSON
from chassis.schemas import Schemas

Route = TypeVar("Route", bound=Callable[..., Any])


FILE = {"type": "string", "format": "binary"}
Item = TypeVar("Item")


class Page(TypedDict, Generic[Item]):
    """A part of a list. `next_cursor` asks for the part that follows; null where nothing follows."""

    items: list[Item]
    next_cursor: str | None


def answers(*shapes: Any, media: str = JSON) -> Callable[[Route], Route]:
    """Says beside a route what it answers when it succeeds: one of these types as JSON, or a file of that media type."""

    def mark(route: Route) -> Route:
        route.answers = shapes, media  # type: ignore[attr-defined]
        return route

    return mark


class Documented(FastAPI):
    """An app whose document says of every route what it answers. The document is made when it is first asked for."""

    def __init__(self, handles: Iterable[Handles], **named: Any) -> None:
        super().__init__(**named)
        self._commands = {one.command: one.answer for one in handles}

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if not self.openapi_schema:
            document, schemas = super().openapi(), Schemas()
            routes = [one for one in iter_route_contexts(self.routes) if isinstance(one.original_route, APIRoute)]
            for route in (shown := [one for one in routes if one.include_in_schema]):
                self._tell(document["paths"][route.path_format], route, schemas)
            document["tags"] = tags_of(shown)
            named = document.setdefault("components", {}).setdefault("schemas", {})
            if twice := named.keys() & schemas.named.keys():
                raise TypeError(f"bodies and answers have the same names: {sorted(twice)}")
            named.update(schemas.named)
        return self.openapi_schema or {}

    def _tell(self, operations: dict[str, Any], route: RouteContext, schemas: Schemas) -> None:
        for method in {one.lower() for one in route.methods or ()} & operations.keys():
            operation = operations[method]
            operation["operationId"] = operation_id(route)
            shapes, media = self.answer_of(route)
            status = str(route.status_code or int(HTTPStatus.OK))
            told = operation["responses"][status]
            told["description"] = HTTPStatus(int(status)).phrase
            if shapes or media != JSON:
                made = [schemas.of(one) for one in shapes] or [FILE]
                told["content"] = {media: {"schema": made[0] if len(made) == 1 else {"anyOf": made}}}

    def answer_of(self, route: RouteContext) -> tuple[tuple[Any, ...], str]:
        """The types of what a route answers, and its media type; no types where nobody said any."""
        endpoint: Any = route.endpoint
        said: tuple[tuple[Any, ...], str] | None = getattr(endpoint, "answers", None)
        return said or (_of_command(endpoint, self._commands), JSON)


def operation_id(route: RouteContext) -> str:
    """What a generated client calls the route: its resource and its function, `deals_register`."""
    tags = [str(tag) for tag in route.tags or ()]
    return re.sub(r"\W+", "_", "_".join([*tags[:1], route.name or ""])).lower()


def tags_of(routes: Iterable[RouteContext]) -> list[dict[str, str]]:
    """The resources with what they are for: the first sentence of each module that has routes of it."""
    told: dict[str, dict[str, None]] = {}
    for route in routes:
        said = (sys.modules[route.endpoint.__module__].__doc__ or "").partition("\n\n")[0]
        for tag in route.tags or ():
            told.setdefault(str(tag), {})[" ".join(said.split()).replace(" over HTTP", "")] = None
    return [{"name": tag, "description": " ".join(sentences)} for tag, sentences in told.items()]


def _of_command(endpoint: Any, commands: Mapping[type[Any], Callable[..., Any]]) -> tuple[Any, ...]:
    """What the one command that a route's function names answers. None, where it names no or several ones."""
    named = (endpoint.__globals__.get(name) for name in endpoint.__code__.co_names)
    found = [commands[one] for one in named if isinstance(one, type) and one in commands]
    return shapes_of(found[0]) if len(found) == 1 else ()


def shapes_of(answer: Callable[..., Any]) -> tuple[Any, ...]:
    """The types that an answer's function says that it returns; none for a plain dictionary."""
    made = answer.func if isinstance(answer, partial) else answer
    said = get_type_hints(made).get("return")
    return () if said is None or (get_origin(said) or said) is dict else _alternatives(said)


def _alternatives(said: Any) -> tuple[Any, ...]:
    return get_args(said) if isinstance(said, type(int | str)) else (said,)
