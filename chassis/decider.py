"""Decisions without I/O: a decider folds events into a state; a decision turns a command and states into events.

`decide` returns the events (`[]`: it is so already) or raises a refusal. `evolve` never raises.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, reduce
from typing import Any, ClassVar, Generic, TypeVar
from urllib.parse import quote, unquote

from chassis.event import Light

S = TypeVar("S")
E = TypeVar("E")


class Problem(Exception):
    """Something the caller can act on. Each concrete problem has a stable slug and its own fields."""

    status: ClassVar[int] = 400
    slug: ClassVar[str] = "problem"
    recorded: ClassVar[bool] = False
    headers: ClassVar[Mapping[str, str]] = {}

    def __init__(self, detail: str = "", **fields: Any) -> None:
        super().__init__(detail or self.slug)
        self.detail = detail or (self.__doc__ or self.slug).strip().splitlines()[0]
        self.fields = fields


class Refused(Problem):
    """A rule says no; the refusal is recorded with its command."""

    status = 409
    slug = "refused"
    recorded = True


class Invalid(Problem):
    """A value breaks a rule; the refusal is recorded with its command. `errors` is a list of {path, code, message}."""

    status = 422
    slug = "invalid"
    recorded = True


class NotFound(Problem):
    """There is no such thing, or not for you."""

    status = 404
    slug = "not-found"


class Forbidden(Problem):
    """You may see this, but not do that."""

    status = 403
    slug = "forbidden"


class Stale(Problem):
    """It has changed since you read it: read it again and decide anew."""

    status = 412
    slug = "stale"


class Busy(Problem):
    """Too much is waiting, or a database is away: try the same again after `retry_after_seconds`."""

    status = 503
    slug = "busy"

    def __init__(self, detail: str = "", *, retry_after_seconds: int = 1, **fields: Any) -> None:
        super().__init__(detail, retry_after_seconds=retry_after_seconds, **fields)
        self.retry_after_seconds = retry_after_seconds


class Behind(Busy):
    """What a command reads has not seen all that is recorded, though it was waited for: try again."""


class WrongState(Refused):
    """The command does not fit the present state. `state` is that state, `allowed` the commands that fit."""

    slug = "wrong-state"


class Raced(Exception):
    """What the command was prepared from has changed: prepare and decide again."""


@dataclass(frozen=True)
class Decider(Generic[S, E]):
    """One kind of stream: its empty state and how an event changes a state."""

    kind: str
    initial: S
    evolve: Callable[[S, E], S]
    carry: Callable[[S], E] | None = None
    """The live state as one event, for streams that may grow long: with it the next segment opens (`chassis.segments`)."""

    def fold(self, events: Iterable[E], state: S | None = None) -> S:
        """The state after the events, from `state` or from the empty one."""
        return reduce(self.evolve, events, self.initial if state is None else state)

    def at(self, identity: str) -> "Stream":
        """The stream of one aggregate of this kind; the tenant is added when a command runs."""
        return Stream(decider=self, identity=identity)


class Stream(Light, frozen=True, kw_only=True):
    """One stream that a command touches, with the decider that reads it."""

    decider: Decider[Any, Any]
    identity: str

    def name(self, tenant: str) -> str:
        """The stored name: `<tenant>:<kind>-<id>`, other characters percent-encoded, readable by a person."""
        return stream_name(tenant, self.decider.kind, self.identity)


NAMES_KNOWN = 4_096
"""Names of streams that are not made anew: one command asks for each of its own several times."""
_to_escape = re.compile(r"[^A-Za-z0-9_.~@-]+").sub
"""Finds what is percent-encoded: nothing in nearly every id, and one colon in most of the others."""


@lru_cache(maxsize=NAMES_KNOWN)
def stream_name(tenant: str, kind: str, identity: str) -> str:
    """The text under which a stream is stored."""
    return f"{tenant}:{kind}-{_to_escape(_escaped, identity)}"


def _escaped(found: re.Match[str]) -> str:
    return _quoted(found[0])


@lru_cache(maxsize=NAMES_KNOWN)
def _quoted(text: str) -> str:
    return quote(text, safe="")


def stream_base(name: str) -> str:
    """The stored name without the number of its segment: `acme:claims-7~2` is a part of `acme:claims-7`."""
    return name.partition("~")[0]


def stream_parts(name: str) -> tuple[str, str, str]:
    """The tenant, kind and id of a stored stream name; a segment's `~n` is left out."""
    tenant, _, rest = stream_base(name).partition(":")
    kind, _, identity = rest.partition("-")
    return tenant, kind, unquote(identity)
