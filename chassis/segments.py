"""Long streams go on in segments: past about 200 events a stream closes and continues as `<stream>~2`.

The first event of a segment carries the live state of the one before it, in the same commit, so a command reads one
segment, however old its stream is. Versions run on over all segments, and names outside leave `~n` out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from chassis.decider import Decider, Stream, stream_base
from chassis.event import event
from chassis.identity import Recent
from chassis.record import At
from chassis.store.port import EventStore, Recorded

SEGMENT_EVENTS = 200
KNOWN_MAX = 50_000
"""Streams whose newest segment is remembered; others are followed from their first one, once."""
STATES_MAX = 2_000
"""States kept in memory, those of the streams asked last."""
NEWS_MAX = 20
"""Events kept unfolded behind a state, for when it is asked for again."""


@event("chassis.StreamContinued.v1")
class StreamContinued:
    """This segment is closed: the stream goes on in the segment `next`."""

    next: str


@dataclass(frozen=True)
class Tail:
    """Where a stream stands: its newest segment by the stored name, its version (0 for an empty one), its state.

    `traceparent` is the trace context of its last event, as far as it was read.
    """

    at: At
    state: Any
    traceparent: str | None = None


@dataclass
class Kept:
    """A tail in memory, what this process has recorded behind it, and how often others had when the log was asked."""

    tail: Tail
    others: int | None
    news: list[Recorded] = field(default_factory=list)

    @property
    def version(self) -> int:
        return self.news[-1].version if self.news else self.tail.at.version

    def takes(self, one: Recorded) -> bool:
        """Whether the event goes on where this ends, in the same segment, and there is room for it."""
        follows = (one.stream, one.version) == (self.tail.at.stream, self.version + 1)
        return follows and one.type != StreamContinued.type and len(self.news) < NEWS_MAX  # type: ignore[attr-defined]

    def now(self, decider: Decider[Any, Any]) -> Tail:
        """The tail with the news folded in."""
        if self.news:
            state = decider.fold((one.event for one in self.news), self.tail.state)
            at, last = At(stream=self.tail.at.stream, version=self.version), self.news[-1].traceparent
            self.tail, self.news = Tail(at, state, last), []
        return self.tail


class Tails:
    """The tails of one store's streams, each event folded once.

    What this process records is folded in from memory. What is kept is believed only while nobody else is known to have
    recorded; else, and where a store cannot tell, the log behind the version kept is read at every ask, so that another
    process's commits are seen as soon as they are there.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._newest: Recent[str, str] = Recent(KNOWN_MAX)
        self._kept: Recent[str, Kept] = Recent(STATES_MAX)
        self._followed = 0

    async def now(self, tenant: str, streams: Iterable[Stream]) -> list[Tail]:
        """The tail of each stream in order, in one reading of the log, and one more where a segment was closed."""
        named = [(stream.name(tenant), stream) for stream in streams]
        others = self._follow()
        if all(self._current(name, others) for name, _ in named):
            return [self._known(name, stream) for name, stream in named]
        tails, _ = await self._read(dict(named), others)
        return [tails[name] for name, _ in named]

    async def record(
        self, tenant: str, own: str, streams: Iterable[Stream] = (), *, surely: bool = True
    ) -> Sequence[Recorded]:
        """The events of a command's own stream, read together with those that the command will probably ask for.

        Unless `surely`, where none of those has to be read: then none is found.
        """
        named = {stream.name(tenant): stream for stream in streams}
        _, found = await self._read(named, self._follow(), own, surely=surely)
        return found

    async def _read(
        self, streams: Mapping[str, Stream], others: int | None, own: str = "", *, surely: bool = True
    ) -> tuple[dict[str, Tail], Sequence[Recorded]]:
        tails = {name: self._known(name, stream) for name, stream in streams.items()}
        unread = {name: stream for name, stream in streams.items() if not self._current(name, others)}
        record: Sequence[Recorded] = ()
        wanted = {own: 0} if own and (surely or unread or others is None) else {}
        while unread or wanted:
            news = await self._store.load_many(wanted | {tails[one].at.stream: tails[one].at.version for one in unread})
            record, wanted = news.get(own, record), {}
            before = {name: news[tails[name].at.stream] for name in unread}
            tails |= {name: self._risen(name, stream, tails[name], before[name]) for name, stream in unread.items()}
            self._keep(others, {name: tails[name] for name in unread})
            unread = {name: stream for name, stream in unread.items() if before[name] and not tails[name].at.version}
        return tails, record

    def _follow(self) -> int | None:
        """Notes what this process has recorded since; how often others have, None for unknown."""
        others = self._store.others()
        if others is None:
            return None
        recent = self._store.recent(self._followed)
        if recent and recent[0].position != self._followed + 1:
            self._kept = Recent(STATES_MAX)
        for one in recent:
            self._note(one)
            self._followed = one.position
        return others

    def _note(self, one: Recorded) -> None:
        name = stream_base(one.stream)
        kept = self._kept.peek(name)
        if kept is None or one.version <= kept.version:
            return
        if kept.takes(one):
            kept.news.append(one)
        else:
            self._kept.drop(name)

    def _current(self, name: str, others: int | None) -> bool:
        kept = self._kept.peek(name)
        if kept is None or others is None or kept.others != others:
            return False
        return not self._store.on_the_way(kept.tail.at.stream)

    def _known(self, name: str, stream: Stream) -> Tail:
        kept = self._kept.get(name)
        if kept is not None:
            return kept.now(stream.decider)
        return Tail(At(stream=self._newest.get(name) or name, version=0), stream.decider.initial)

    def _risen(self, name: str, stream: Stream, tail: Tail, news: Sequence[Recorded]) -> Tail:
        if not news:
            return tail
        if news[-1].type == StreamContinued.type:  # type: ignore[attr-defined]
            self._newest.put(name, news[-1].event.next)
            return Tail(At(stream=news[-1].event.next, version=0), stream.decider.initial)
        state = stream.decider.fold((one.event for one in news), tail.state)
        return Tail(At(stream=tail.at.stream, version=news[-1].version), state, news[-1].traceparent)

    def _keep(self, others: int | None, read: Mapping[str, Tail]) -> None:
        for name, tail in read.items():
            if tail.at.version or others is not None:
                self._kept.put(name, Kept(tail, others))


Written = tuple[str, int, Any]
"""What a commit writes: the segment, the version, the event."""


def written(at: At, events: Sequence[Any]) -> list[Written]:
    """The events with their places behind a version."""
    return [(at.stream, version, happened) for version, happened in enumerate(events, start=at.version + 1)]


def closes(stream: Stream, at: At, events: Sequence[Any], then: Iterable[Recorded] | None = None) -> bool:
    """Whether the segment is full with these events, and the stream goes on in another one.

    `then`: what the log holds of the same command. A segment that it did not close stays open, however full: a kind of
    streams may have come to carry only later.
    """
    if stream.decider.carry is None or not events or at.version + len(events) < _full(at.stream):
        return False
    return then is None or any(one.stream == at.stream and isinstance(one.event, StreamContinued) for one in then)


def continued(stream: Stream, at: At, events: Sequence[Any], after: Any) -> list[Written]:
    """What closes the segment behind the events, and opens the next one with `after`."""
    assert stream.decider.carry is not None
    last = at.version + len(events)
    following = f"{stream_base(at.stream)}~{last // SEGMENT_EVENTS + 1}"
    return [(at.stream, last + 1, StreamContinued(next=following)), (following, last + 2, stream.decider.carry(after))]


def version_after(at: At, changes: Iterable[Written]) -> int:
    """The version of the stream once the changes are written."""
    mine = (version for stream, version, _ in changes if stream_base(stream) == stream_base(at.stream))
    return max(mine, default=at.version)


def _full(segment: str) -> int:
    return SEGMENT_EVENTS * int(segment.partition("~")[2] or 1)
