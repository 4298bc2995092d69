"""Shows that a store is what it was: its bytes by the witness's leaves and checkpoints, its decisions by deciding."""

import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from chassis.decider import Problem, Stream, stream_base
from chassis.event import decode, encode, frozen
from chassis.execution import Handles, Verdict, decide, writes
from chassis.identity import Recent
from chassis.leaves.port import End, Leaf, Leaves, Place
from chassis.merkle import Frontier
from chassis.note import BadNote, Checkpoint, NoteVerifier
from chassis.record import At, CommandRecorded
from chassis.store.port import EventStore, Recorded
from chassis.witness import leaf_of

PAGE_EVENTS = 1_000
RECORD = "chassis.CommandRecorded.v1"
STATES_LIMIT = 10_000
"""Folded states kept while deciding again, so that long streams are not folded anew for each of their commands."""
NOT_KNOWN: tuple[int, Any, Sequence[Any]] = (0, None, ())


@dataclass(frozen=True)
class Difference:
    """What is not as it was recorded, and the position of the event that it is about."""

    position: int
    what: str


@frozen
class Report:
    """What was compared, how much of it, and every difference found."""

    compared: dict[str, int]
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        return not self.differences

    @property
    def first(self) -> Difference | None:
        """The difference with the lowest position."""
        return min(self.differences, key=lambda found: found.position, default=None)

    def lines(self) -> list[str]:
        """The report for people."""
        counts = ", ".join(f"{count} {name}" for name, count in self.compared.items())
        found = [f"position {one.position}: {one.what}" for one in sorted(self.differences, key=_by_position)]
        return [f"compared {counts}: {'all as recorded' if self.holds else f'{len(found)} differ'}", *found]


def _by_position(found: Difference) -> int:
    return found.position


class Unreadable(Exception):
    """The store holds something at this place that is no stored event any more."""

    def __init__(self, after: int, error: Exception) -> None:
        super().__init__(f"the stored event cannot be read any more: {error}")
        self.after = after


class NotReached(LookupError):
    """The log does not hold a stream up to the version that a command relied on."""


async def _pages(store: EventStore) -> AsyncIterator[Sequence[Recorded]]:
    """All events in pages; before an unreadable one come all that stand before it. Raises Unreadable."""
    after, limit = 0, PAGE_EVENTS
    while True:
        try:
            events = await store.feed(after, limit)
        except (msgspec.MsgspecError, UnicodeDecodeError, sqlite3.DatabaseError) as error:
            if limit == 1:
                raise Unreadable(after, error) from error
            limit = 1
            continue
        if not events:
            return
        yield events
        after = events[-1].position


async def verify(store: EventStore, leaves: Leaves, checkpoints: Iterable[str], key: NoteVerifier) -> Report:
    """Recomputes every leaf, node and root from what the store holds, and compares them with what was kept and signed.

    `checkpoints` are signed notes, kept here or brought by someone who held them. Open the store freshly for this: what
    a running process holds in memory is not what is on its disk. Events after the last leaf are not yet witnessed.
    """
    end = await leaves.end()
    recount = _Recount(leaves, end, await _nodes(leaves, end), _opened(checkpoints, key))
    try:
        await recount.read_on(0)
        async for events in _pages(store):
            await recount.read_on(len(events))
            recount.take(events)
    except Unreadable as found:
        recount.unreadable(found)
    return recount.report()


async def _nodes(leaves: Leaves, end: End) -> dict[Place, bytes]:
    """The kept nodes, without those over leaves that somebody else has added since that end."""
    nodes = await leaves.nodes()
    added = range(end.size + 1, (await leaves.end()).size + 1)
    return {(level, number): found for (level, number), found in nodes.items() if (number + 1) << level not in added}


def _opened(checkpoints: Iterable[str], key: NoteVerifier) -> list[Checkpoint | str]:
    """Each checkpoint, or what is wrong with it."""
    opened: list[Checkpoint | str] = []
    for note in checkpoints:
        try:
            opened.append(Checkpoint.of(key.open(note)))
        except BadNote as error:
            opened.append(f"a checkpoint does not hold: {error}")
    return opened


class _Recount:
    """The tree counted again from the store, beside the kept one."""

    def __init__(
        self, leaves: Leaves, end: End, nodes: dict[Place, bytes], checkpoints: list[Checkpoint | str]
    ) -> None:
        self._leaves, self._last, self._size = leaves, end.last_position, end.size
        self._checkpoints = [one for one in checkpoints if isinstance(one, Checkpoint)]
        self._expected = {(one.size, one.root) for one in self._checkpoints}
        self._sizes = {one.size for one in self._checkpoints}
        self._frontier = Frontier()
        self._nodes = nodes
        self._kept: deque[Leaf] = deque()
        self._read = 0
        self._stopped = False
        self.events = 0
        self.differences = [Difference(0, one) for one in checkpoints if isinstance(one, str)]

    async def read_on(self, events: int) -> None:
        """Reads as many of the kept leaves as so many events are compared with, and one more if there is one."""
        while len(self._kept) <= events and (page := await self._leaves.after(self._read, PAGE_EVENTS)):
            self._kept += page
            self._read = page[-1].number + 1

    @property
    def _next(self) -> Leaf | None:
        return self._kept[0] if self._kept else None

    def take(self, events: Sequence[Recorded]) -> None:
        for event in events:
            self.events += 1
            if not self._stopped and event.position <= self._last:
                self._compare(event)

    def _compare(self, event: Recorded) -> None:
        kept, found = self._next, leaf_of(event)
        if kept is None or kept.position != event.position:
            self._stop(event.position, kept)
            return
        if kept.hash != found:
            self._differs(event.position, "the stored event is not the one that was witnessed")
        self._check_nodes(event.position, found)
        self._check_root(event.position)
        self._kept.popleft()

    def _stop(self, position: int, kept: Leaf | None) -> None:
        """From here on the numbers of leaves would only say the same again."""
        if kept is None or position < kept.position:
            self._differs(position, "an event stands here that was never witnessed")
        else:
            self._differs(kept.position, "the event that was witnessed here is gone")
        self._stopped = True

    def _check_nodes(self, position: int, found: bytes) -> None:
        for level, number, node in self._frontier.add(found):
            if self._nodes.pop((level, number), None) != node and not self.differences:
                self._differs(position, f"node {number} of level {level} is not over these leaves")

    def _check_root(self, position: int) -> None:
        size = self._frontier.size
        if size not in self._sizes or self.differences:
            return
        for _, root in (one for one in self._expected if one[0] == size):
            if root != self._frontier.root():
                self._differs(position, f"the checkpoint of {size} leaves was signed over others, here or before")

    def unreadable(self, found: Unreadable) -> None:
        self._differs(self._next.position if self._next else found.after + 1, str(found))
        self._stopped = True

    def report(self) -> Report:
        if not self._stopped and self._next is not None:
            self._differs(self._next.position, "the event that was witnessed here is gone")
        if not self._stopped and self._nodes:
            self._differs(self._last, "nodes are kept for leaves that are not there")
        for one in self._checkpoints:
            self._check_reach(one)
        counts = {"events": self.events, "leaves": self._size, "checkpoints": len(self._checkpoints)}
        return Report(compared=counts, differences=tuple(self.differences))

    def _check_reach(self, one: Checkpoint) -> None:
        if one.origin != self._leaves.origin:
            self._differs(0, f"a checkpoint is of {one.origin}, not of {self._leaves.origin}")
        if one.size > self._size:
            self._differs(self._last + 1, f"a checkpoint was signed over {one.size} leaves, {self._size} are kept")

    def _differs(self, position: int, what: str) -> None:
        self.differences.append(Difference(position, what))


Span = tuple[datetime, datetime]
"""From an instant on, and before another."""


async def verify_decisions(store: EventStore, handles: Iterable[Handles], span: Span | None = None) -> Report:
    """Decides every recorded command again, from the log, and compares outcome, refusal, answer and events' bytes.

    A command is decided by the function of the evaluator that it was recorded with. With a span: those recorded in it.
    """
    again = Again(store, handles)
    try:
        async for events in _pages(store):
            for recorded in events:
                if span is None or span[0] <= recorded.recorded_at < span[1]:
                    await again.take(recorded)
    except Unreadable as found:
        again.differs(found.after + 1, str(found))
    return again.report()


@dataclass
class Again:
    """The commands of a store, decided again in the order in which they were recorded."""

    store: EventStore
    handles: Iterable[Handles]
    differences: list[Difference] = field(default_factory=list)
    decided: int = 0

    def __post_init__(self) -> None:
        self._by_type = {(one.command.type, one.evaluator): one for one in self.handles}
        self._written: dict[str, list[Recorded]] = {}
        self._past = Past(self.store)

    async def take(self, recorded: Recorded) -> None:
        if recorded.type == RECORD:
            await self._decide(recorded, self._written.pop(recorded.command_id or "", []))
        elif recorded.command_id is not None:
            self._written.setdefault(recorded.command_id, []).append(recorded)

    async def _decide(self, recorded: Recorded, written: list[Recorded]) -> None:
        try:
            self.decided += 1
            for what in await self._compared(recorded, written):
                self.differs(recorded.position, what)
        except (Problem, LookupError, msgspec.MsgspecError) as error:
            self.differs(recorded.position, f"it cannot be decided again: {error}")

    async def _compared(self, recorded: Recorded, written: list[Recorded]) -> list[str]:
        record: CommandRecorded = recorded.event
        handles = self._by_type.get((record.command_type, recorded.evaluator))
        if handles is None:
            return [f"nothing here decides {record.command_type} as evaluator {recorded.evaluator}"]
        wish = decode(record.command_type, record.command)
        touched = handles.touched(wish)
        guarded, read = touched.guarded, touched.read
        if _names(recorded, guarded) != _stored(record.guarded) or _names(recorded, read) != _stored(record.read):
            return [f"{record.command_type} now decides on other streams"]
        states = [await self._past.at(stream, at) for stream, at in zip(guarded, record.guarded, strict=True)]
        reads = [await self._past.at(stream, at) for stream, at in zip(read, record.read, strict=True)]
        verdict = decide(handles, wish, touched, states, reads)
        now = [(s, v, e.type, encode(e)) for s, v, e in writes(touched, record.guarded, verdict, written)]
        return list(_unlike(record, verdict, now, written))

    def differs(self, position: int, what: str) -> None:
        self.differences.append(Difference(position, what))

    def report(self) -> Report:
        for events in self._written.values():
            self.differs(events[0].position, "no command is recorded for this event")
        return Report(compared={"decisions": self.decided}, differences=tuple(self.differences))


def _names(recorded: Recorded, streams: Sequence[Stream]) -> list[str]:
    return [stream.name(recorded.tenant) for stream in streams]


def _stored(ats: Sequence[At]) -> list[str]:
    return [stream_base(at.stream) for at in ats]


Bytes = tuple[str, int, str, bytes]
"""A written event: stream, version, type, the bytes of its data."""


def _unlike(
    record: CommandRecorded, verdict: Verdict, now: Sequence[Bytes], written: Sequence[Recorded]
) -> Iterable[str]:
    """What the verdict has otherwise than the record and the events that were written with it."""
    if verdict.outcome != record.outcome:
        yield f"{record.command_type} was {record.outcome}, now it is {verdict.outcome}"
        return
    refusal = verdict.refusal
    if (refusal.slug if refusal else None) != record.slug:
        yield f"{record.command_type} was refused with {record.slug}, now with {refusal.slug if refusal else None}"
    if _json(refusal.fields if refusal else None) != _json(record.fields):
        yield f"{record.command_type} was refused with other fields"
    if _json(verdict.answer) != _json(record.answer):
        yield f"{record.command_type} was answered otherwise"
    yield from _unlike_events(record, now, written)


def _unlike_events(record: CommandRecorded, now: Sequence[Bytes], written: Sequence[Recorded]) -> Iterable[str]:
    then = [(one.stream, one.version, one.type, bytes(one.data)) for one in written]
    if len(now) != len(then):
        yield f"{record.command_type} wrote {len(then)} events, now it writes {len(now)}"
    for ours, theirs in zip(now, then, strict=False):
        if ours != theirs:
            yield f"{record.command_type} wrote another {theirs[2]} as version {theirs[1]} of {theirs[0]}"


def _json(value: Any) -> Any:
    return msgspec.json.decode(encode(value))


class Past:
    """States as they were at a version, folded from the log."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._states: Recent[str, tuple[int, Any, Sequence[Any]]] = Recent(STATES_LIMIT)

    def know(self, ats: Sequence[At], verdict: Verdict) -> None:
        """Takes over what a decision on those versions led to, where the log holds just its events.

        They are folded once they are asked for: most streams never are again.
        """
        for at, (_, state), new in zip(ats, verdict.before, verdict.events, strict=True):
            if new:
                self._states.put(at.stream, (at.version + len(new), state, new))

    def at_hand(self, stream: Stream, at: At) -> tuple[Any] | None:
        """The state of the stream when it had that version, where the log need not be read for it."""
        if at.version == 0:
            return (stream.decider.initial,)
        version, state, new = self._states.get(at.stream) or NOT_KNOWN
        if version != at.version:
            return None
        if new:
            state = stream.decider.fold(new, state)
            self._states.put(at.stream, (version, state, ()))
        return (state,)

    async def at(self, stream: Stream, at: At) -> Any:
        """The state of the stream when it had that version. Raises NotReached."""
        if found := self.at_hand(stream, at):
            return found[0]
        version, state, new = self._states.get(at.stream) or NOT_KNOWN
        if not 0 < version < at.version:
            version, state, new = 0, stream.decider.initial, ()
        read = [one for one in await self._store.load(at.stream, version) if one.version <= at.version]
        if not read or read[-1].version != at.version:
            raise NotReached(f"the log does not hold {at.stream} up to version {at.version}")
        state = stream.decider.fold((*new, *(one.event for one in read)), state)
        self._states.put(at.stream, (at.version, state, ()))
        return state
