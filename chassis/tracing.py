"""Where a request's time goes: spans that follow one wish through requests, commands, commits, messages and reactions.

The trace context travels as text (W3C `traceparent`) in requests, commands, events and messages, also while tracing is
off. `Untraced` makes no spans and imports nothing; `chassis.spans` makes them with OpenTelemetry, where settings say so.
"""

from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol, Self

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis.settings import ServiceSettings

SERVER, PRODUCER, CONSUMER, INTERNAL = "server", "producer", "consumer", "internal"
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
HEADER = b"traceparent"
FAULT_STATUS = 500

_serving: ContextVar[str | None] = ContextVar("serving", default=None)


class Span(Protocol):
    """One piece of work; used as a context, it ends with it. What goes wrong inside is noted and goes on."""

    traceparent: str | None
    """The context for what is done because of it."""

    def name(self, text: str) -> None:
        """Calls it something else, once more is known."""

    def note(self, **attributes: Any) -> None:
        """Adds to what is known of it; two underscores in a name stand for a dot."""

    def failed(self, why: str) -> None:
        """Marks it as having gone wrong on our side."""


class Tracer(Protocol):
    """Makes the spans of one service."""

    on: bool

    def span(
        self, name: str, parent: str | None, *, kind: str = INTERNAL, links: Iterable[str | None] = ()
    ) -> AbstractContextManager[Span]:
        """A span beneath the context `parent`, or the first one of a trace; `links` are contexts that led to it too."""


class Tracing(Protocol):
    """The tracers of the services of one process."""

    def of(self, service: str) -> Tracer: ...

    def close(self) -> None:
        """Sends what is still to be sent, for a bounded time."""


class NoSpan:
    """The span that is not made: what is done inside keeps the context that it came with."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str | None) -> None:
        self.traceparent = traceparent

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def name(self, text: str) -> None: ...

    def note(self, **attributes: Any) -> None: ...

    def failed(self, why: str) -> None: ...


class Untraced:
    """Tracing that is off."""

    on = False

    def of(self, service: str) -> "Untraced":
        return self

    def span(self, name: str, parent: str | None, *, kind: str = INTERNAL, links: Iterable[str | None] = ()) -> NoSpan:
        return NoSpan(parent)

    def close(self) -> None: ...


UNTRACED = Untraced()


def make_tracing(settings: ServiceSettings) -> Tracing:
    """Spans to the collector that the settings name; without one, none."""
    if not settings.traces:
        return UNTRACED
    from chassis import spans  # imported only where it is used: 220 ms

    return spans.to_collector(settings.traces, settings.trace_percent, settings.stop_seconds)


def serving() -> str | None:
    """The context of the request that is being answered here; None where none is traced."""
    return _serving.get()


class Traced:
    """A span for every request but the probes. What answers it finds the span's context in the request's header."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self.app, self.tracer = app, tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in PROBES:
            return await self.app(scope, receive, send)
        with self.tracer.span(scope["method"], _given(scope), kind=SERVER) as span:
            scope["headers"] = _with_context(scope["headers"], span.traceparent)
            before = _serving.set(span.traceparent)
            try:
                await self.app(scope, receive, _noting(span, send))
            finally:
                _serving.reset(before)
                _describe(span, scope)


def _given(scope: Scope) -> str | None:
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == HEADER), None)


def _with_context(headers: Iterable[tuple[bytes, bytes]], traceparent: str | None) -> list[tuple[bytes, bytes]]:
    others = [(name, value) for name, value in headers if name != HEADER]
    return [*others, (HEADER, traceparent.encode())] if traceparent else others


def _noting(span: Span, send: Send) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.note(http__response__status_code=message["status"])
            if message["status"] >= FAULT_STATUS:
                span.failed(str(message["status"]))
        await send(message)

    return noting


def _describe(span: Span, scope: Mapping[str, Any]) -> None:
    route = getattr(scope.get("route"), "path", "")
    if route:
        span.name(f"{scope['method']} {route}")
    span.note(http__request__method=scope["method"], http__route=route)
