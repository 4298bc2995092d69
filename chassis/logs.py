"""Structured logs: JSON lines in production, readable ones in development, the correlation on every line.

Neither bodies nor personal fields are ever written: what a known personal key holds is dropped, however deep it stands.
"""

import logging
import math
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from typing import Any, TextIO

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import EventDict, Processor, WrappedLogger

from chassis import error_text

PERSONAL = frozenset({
    "address", "bank_account", "body", "box", "contact", "contacts", "customer_name", "data", "email", "first_name",
    "given_name", "family_name", "iban", "ip", "ip_address", "last_name", "notes", "person", "phone", "reason_text",
    "request_body", "response_body", "tax_id", "text", "token", "user_agent",
    "authorization", "cookie", "password", "secret", "api_key",
})  # fmt: skip
"""Keys whose values never reach a log: personal fields, bodies and secrets."""
HUSHED = ("uvicorn.access", "aiohttp.access", "httpx")
"""Libraries whose lines of every request hold addresses and queries."""
REPETITIVE = "aiokafka"
"""Its clients say ten times a second that a broker is away."""
REPEATED_SECONDS = 10.0
SAYINGS_MAX = 500
"""Of so many different sayings it is known when they were written last; then all are forgotten."""
TRACEPARENT = re.compile("[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
DEPTH_LIMIT = 4
VALUE_LIMIT_CHARACTERS = 2_000

Known = tuple[str | None, str | None, str | None]
_known: ContextVar[Known] = ContextVar("known", default=(None, None, None))


def configure(*, pretty: bool = False, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends the project's and all libraries' logs to the stream (standard error) in one form. Call it once."""
    # Plain tracebacks: a frame's locals would hold what must not be written, and so may the words of an error.
    traced = structlog.processors.ExceptionRenderer(lambda found: error_text.trace(*found))
    rendered = structlog.dev.ConsoleRenderer() if pretty else structlog.processors.JSONRenderer(default=str)
    ending: list[Processor] = [traced, rendered]
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(Seldom(REPETITIVE))
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_shared(), processors=[strip, *ending]))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for name in HUSHED:
        logging.getLogger(name).setLevel(logging.WARNING)


class Seldom(logging.Filter):
    """Lets what a library says pass once in ten seconds, however often it says so; the next time tells how often it did."""

    def __init__(self, library: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._library = logging.Filter(library)
        self._clock = clock
        self._said: dict[tuple[str, str], float] = {}
        self._left_out: Counter[tuple[str, str]] = Counter()

    def filter(self, record: logging.LogRecord) -> bool:
        if not self._library.filter(record):
            return True
        what, now = (record.name, str(record.msg)), self._clock()
        if now < self._said.get(what, -math.inf) + REPEATED_SECONDS:
            self._left_out[what] += 1
            return False
        if len(self._said) == SAYINGS_MAX:
            self._said.clear()
            self._left_out.clear()
        self._said[what] = now
        if left_out := self._left_out.pop(what, 0):
            record.msg = f"{what[1]} (said {left_out} times more since it was written here)"
        return True


def _shared() -> list[Processor]:
    return [
        merge_contextvars,
        with_correlation,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        without_personal,
    ]


def with_correlation(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """The line with the correlation, tenant and trace that it is written in; what it says itself stands."""
    correlation_id, tenant, traceparent = _known.get()
    known = {"correlation_id": correlation_id, "tenant": tenant, "trace_id": trace_id(traceparent)}
    return {**{name: value for name, value in known.items() if value}, **line}


def without_personal(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """The line without the values of personal keys, and without endless ones."""
    return {key: value if key == "exc_info" else _clean(value, 0) for key, value in line.items() if key not in PERSONAL}


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _clean(one, depth + 1) for key, one in value.items() if str(key).lower() not in PERSONAL}
        return inner if depth < DEPTH_LIMIT else "…"
    if isinstance(value, list | tuple):
        return [_clean(one, depth + 1) for one in value] if depth < DEPTH_LIMIT else "…"
    if isinstance(value, str) and len(value) > VALUE_LIMIT_CHARACTERS:
        return value[:VALUE_LIMIT_CHARACTERS] + "…"
    return value


class correlated:  # noqa: N801  reads as a word at the `with`
    """Everything logged inside carries these, also across awaits and in tasks started there.

    It stands around every command, so it only remembers; what a line needs is made when a line is written.
    """

    __slots__ = ("_before", "_inside")

    def __init__(
        self, *, correlation_id: str | None, tenant: str | None = None, traceparent: str | None = None
    ) -> None:
        self._inside: Known = (correlation_id, tenant, traceparent)

    def __enter__(self) -> None:
        self._before: Token[Known] = _known.set(self._inside)

    def __exit__(self, *_: object) -> None:
        _known.reset(self._before)


def trace_id(traceparent: str | None) -> str | None:
    """The trace id in a W3C `traceparent`; None for anything else."""
    found = TRACEPARENT.fullmatch(traceparent or "")
    return found[1] if found and set(found[1]) != {"0"} else None


def logger(name: str) -> Any:
    """The logger of a module."""
    return structlog.stdlib.get_logger(name)
