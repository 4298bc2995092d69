"""Long streams go on in segments: past about 200 events a stream closes and continues as `<stream>~2`.

The first event of a segment carries the live state of the one before it, in the same commit, so a command reads one
segment, however old its stream is. Versions run on over all segments, and names outside leave `~n` out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chassis.decider import Stream, stream_base
from chassis.event import event
from chassis.identity import Recent
from chassis.record import At
from chassis.store.port import EventStore, Recorded

SEGMENT_EVENTS = 200
KNOWN_MAX = 50_000
"""Streams whose newest segment is remembered; others are followed from their first one, once."""


@event("chassis.StreamContinued.v1")
class StreamContinued:
    """This segment is closed: the stream goes on in the segment `next`."""

    next: str


@dataclass(frozen=True)
class Tail:
    """The newest segment of a stream: its stored name, its events, and the stream's version (0 for an empty one)."""

    stream: str
    events: Sequence[Recorded] = ()

    @property
    def version(self) -> int:
        return self.events[-1].version if self.events else 0

    @property
    def at(self) -> At:
        return At(stream=self.stream, version=self.version)


class Segments:
    """Finds the newest segment of streams."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._newest: Recent[str, str] = Recent(KNOWN_MAX)

    async def load_many(self, names: Iterable[str]) -> Mapping[str, Tail]:
        """The tail of each stream, by the name without `~n`."""
        segments = {name: self._newest.get(name) or name for name in names}
        found: dict[str, Tail] = {}
        while segments:
            log = await self._store.load_many(segments.values())
            found |= {name: Tail(segment, log[segment]) for name, segment in segments.items()}
            segments = {name: following for name in segments if (following := _following(found[name]))}
            for name, segment in segments.items():
                self._newest.put(name, segment)
        return found


def _following(tail: Tail) -> str | None:
    if not tail.events or tail.events[-1].type != StreamContinued.type:  # type: ignore[attr-defined]
        return None
    following: str = tail.events[-1].event.next
    return following


Written = tuple[str, int, Any]
"""What a commit writes: the segment, the version, the event."""


def written(stream: Stream, at: At, events: Sequence[Any], after: Any) -> list[Written]:
    """The events with their places; where the segment is full, they close it, and the next one opens with `after`."""
    own = [(at.stream, version, happened) for version, happened in enumerate(events, start=at.version + 1)]
    last = at.version + len(events)
    carry = stream.decider.carry
    if carry is None or not events or last < _full(at.stream):
        return own
    following = f"{stream_base(at.stream)}~{last // SEGMENT_EVENTS + 1}"
    return [*own, (at.stream, last + 1, StreamContinued(next=following)), (following, last + 2, carry(after))]


def version_after(at: At, changes: Iterable[Written]) -> int:
    """The version of the stream once the changes are written."""
    mine = (version for stream, version, _ in changes if stream_base(stream) == stream_base(at.stream))
    return max(mine, default=at.version)


def _full(segment: str) -> int:
    return SEGMENT_EVENTS * int(segment.partition("~")[2] or 1)
