"""Runs commands: one at a time for each stream, decided on what the log holds, answered after the flushed commit.

In one commit go the events of all streams, each guarded by its expected version, and the record of the command itself.
A repeat finds that record and gets the first answer. Whoever loses a race decides anew, three times at most.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, TypedDict

import msgspec
import uuid_utils

from chassis import logs
from chassis.clock import Clock
from chassis.decider import Busy, Problem, Raced, Stale, Stream
from chassis.event import Actor, encode, frozen, replace
from chassis.record import ACCEPTED, NOTHING, REFUSED, At, CommandRecorded, command_stream, recorded_refusal
from chassis.segments import Tail, Tails, Written, closes, continued, version_after, written
from chassis.store.port import Commit, Conflict, EventStore, NewEvent, Recorded
from chassis.telemetry import Telemetry
from chassis.tracing import UNTRACED, Tracer

Slot = Stream | tuple[Stream, ...]
Slots = tuple[Slot, ...]
Look = Callable[[Stream], Awaitable[Any]]
"""Reads the state of a stream."""
Besides = Callable[[Any], Iterable[Stream]]
TRIES = 3
QUEUE_MAX = 256


class KeyReused(Problem):
    """This Idempotency-Key already stands for another request: use a new key."""

    status = 422
    slug = "key-reused"


def _no_streams(command: Any) -> Slots:
    return ()


class Done(TypedDict):
    """Nothing but that it is so now."""


def no_answer(command: Any, *states: Any) -> Done:
    return {}


@dataclass(frozen=True)
class Handles:
    """How one command is carried out.

    `decide(command, *states)` gets the states of `streams`, then of `reads`, in order. It returns a list of events for
    one stream, else a tuple with one list a stream. Where a slot is a tuple of streams, its state is a tuple of states
    and its result a list of lists. `answer` makes the body that the caller gets from the states after the command.
    `prepare` looks up again what the command was prepared with, where other rules decide it in a shadow run. It is
    `foreseen` where it then writes no streams but those of its record and those that `besides` tells: of the kind and the
    body of the rules that are tried, which streams they may have a command write besides, or None where they have none.
    """

    command: type[Any]
    decide: Callable[..., Any]
    streams: Callable[[Any], Slots]
    reads: Callable[[Any], Slots] = _no_streams
    answer: Callable[..., Mapping[str, Any]] = no_answer
    evaluator: int = 1
    prepare: Callable[[Any, "Glimpse"], Awaitable[Any]] | None = None
    foreseen: bool = False
    besides: Callable[[str, Mapping[str, Any]], Besides | None] | None = None

    def touched(self, wish: Any) -> "Touched":
        """The streams that the command touches, worked out once for all that is done with it."""
        slots, read_slots = self.streams(wish), self.reads(wish)
        return Touched(slots, read_slots, flatten(slots), flatten(read_slots))


@dataclass(frozen=True, slots=True)
class Touched:
    """The streams of one command: by slot, and the guarded and the read ones each in a row."""

    slots: Slots
    read_slots: Slots
    guarded: list[Stream]
    read: list[Stream]


@frozen
class Order:
    """Who asks for a command, under which id, and what caused it. `digest` is a keyed hash of the request's body."""

    command_id: str
    tenant: str
    actor: Actor
    correlation_id: str
    causation_id: str | None = None
    traceparent: str | None = None
    digest: str | None = None
    expected_version: int | None = None


@frozen
class Outcome:
    """What became of a command. `version` is its first stream's version, `repeated` says it had been decided before."""

    answer: dict[str, Any]
    events: list[Recorded] = field(default_factory=list)
    position: int = 0
    version: int = 0
    repeated: bool = False
    refusal: Problem | None = None

    def made(self) -> "Outcome":
        """The outcome itself. Raises the refusal, which is recorded."""
        if self.refusal:
            raise self.refusal
        return self


@dataclass(frozen=True)
class Verdict:
    """A decision before it is recorded: the events of each stream in the order of the flattened slots, or a refusal.

    `before` are the streams with the states that it was decided on.
    """

    events: tuple[list[Any], ...] = ()
    before: tuple[tuple[Stream, Any], ...] = ()
    refusal: Problem | None = None
    answer: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def after(self) -> tuple[Any, ...]:
        """The states of the streams with these events: a shadow run asks for few of them."""
        changes = zip(self.before, self.events, strict=True)
        return tuple(stream.decider.fold(new, state) if new else state for (stream, state), new in changes)

    @property
    def outcome(self) -> str:
        if self.refusal:
            return REFUSED
        return ACCEPTED if any(self.events) else NOTHING


def flatten(slots: Slots) -> list[Stream]:
    """All streams of the slots in order."""
    found: list[Stream] = []
    for slot in slots:
        if isinstance(slot, tuple):
            found.extend(slot)
        else:
            found.append(slot)
    return found


def decide(handles: Handles, wish: Any, touched: Touched, states: Sequence[Any], reads: Sequence[Any] = ()) -> Verdict:
    """The pure decision on flat states of the guarded streams and of the read ones; the same inputs, the same verdict."""
    verdict = judge(handles, wish, touched, states, reads)
    if verdict.refusal:
        return verdict
    return replace(verdict, answer={**handles.answer(wish, *_shaped(touched.slots, verdict.after))})


def judge(handles: Handles, wish: Any, touched: Touched, states: Sequence[Any], reads: Sequence[Any] = ()) -> Verdict:
    """As `decide`, for whom nobody waits: without the answer."""
    slots = touched.slots
    try:
        made = handles.decide(wish, *_shaped(slots, states), *_shaped(touched.read_slots, reads))
    except Problem as refusal:
        if not refusal.recorded:
            raise
        return Verdict(refusal=refusal)
    return Verdict(events=tuple(_flat_events(slots, made)), before=tuple(zip(touched.guarded, states, strict=True)))


def writes(
    touched: Touched, guarded: Sequence[At], verdict: Verdict, then: Sequence[Recorded] | None = None
) -> list[Written]:
    """What the verdict adds to the log, by stream, from the versions that it was decided on.

    Decided again, it closes just those segments that were closed with what the log holds of the command, `then`.
    """
    if verdict.refusal:
        return []
    found: list[Written] = []
    for number, (stream, at, events) in enumerate(zip(touched.guarded, guarded, verdict.events, strict=True)):
        found += written(at, events)
        if closes(stream, at, events, then):
            found += continued(stream, at, events, verdict.after[number])
    return found


def _shaped(slots: Slots, states: Sequence[Any]) -> list[Any]:
    rest = iter(states)
    return [tuple(islice(rest, len(slot))) if isinstance(slot, tuple) else next(rest) for slot in slots]


def _flat_events(slots: Slots, made: Any) -> Iterable[list[Any]]:
    lists = (made,) if len(slots) == 1 and not isinstance(slots[0], tuple) else made
    for slot, part in zip(slots, lists, strict=True):
        if isinstance(slot, tuple):
            yield from part
        else:
            yield part


class Peek:
    """Reads streams while a command is prepared. What it saw may be outdated when the command is decided."""

    def __init__(self, tails: Tails, tenant: str) -> None:
        self._tails, self._tenant = tails, tenant

    async def __call__(self, stream: Stream) -> Any:
        """The state of a stream now."""
        return (await self.all((stream,)))[0]

    async def all(self, streams: Iterable[Stream]) -> list[Any]:
        """The states of several streams now, from one reading of the log."""
        return [tail.state for tail in await self._tails.now(self._tenant, streams)]


class Glimpse(Peek):
    """Reads streams as the other world of a shadow run had them when a command came."""

    def __init__(self, look: Look, differs: Callable[[Stream], bool]) -> None:
        self._look, self._differs = look, differs

    async def all(self, streams: Iterable[Stream]) -> list[Any]:
        return [await self._look(stream) for stream in streams]

    def differs(self, stream: Stream) -> bool:
        """Whether a stream that was read has come out differently in the other world."""
        return self._differs(stream)


class Queues:
    """Lets one command at a time work on a stream; the rest wait in line, at most `most` a stream."""

    def __init__(self, most: int = QUEUE_MAX) -> None:
        self._most = most
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    def turn(self, names: Iterable[str]) -> "Turn":
        """Waits for the turn on all the streams. Raises Busy when a line is full."""
        return Turn(self, sorted(set(names)))

    async def enter(self, name: str) -> None:
        waiting = self._waiting.get(name, 0)
        if waiting >= self._most:
            raise Busy(f"more than {self._most} commands wait for {name}")
        self._waiting[name] = waiting + 1
        try:
            await self._locks.setdefault(name, asyncio.Lock()).acquire()
        except BaseException:
            self._leave(name)
            raise

    def leave(self, name: str) -> None:
        self._locks[name].release()
        self._leave(name)

    def _leave(self, name: str) -> None:
        self._waiting[name] -= 1
        if not self._waiting[name]:
            del self._waiting[name], self._locks[name]


class Turn:
    """A turn on some streams, while its block runs. Each command takes two: `asynccontextmanager` costs more than all this."""

    def __init__(self, queues: Queues, names: Sequence[str]) -> None:
        self._queues, self._names = queues, names
        self._entered: list[str] = []

    async def __aenter__(self) -> None:
        try:
            for name in self._names:
                await self._queues.enter(name)
                self._entered.append(name)
        except BaseException:
            self._leave()
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        for name in self._entered:
            self._queues.leave(name)


Make = Callable[[Peek], Awaitable[Any]]


class Executor:
    """Carries out the commands of one service.

    Of several evaluators of a command the highest decides what is new; the others stay for what they once decided.
    """

    def __init__(self, store: EventStore, handles: Iterable[Handles], clock: Clock, queue_max: int = QUEUE_MAX) -> None:
        self.store, self.clock = store, clock
        self.every_handles = tuple(handles)
        self.handles = {h.command: h for h in sorted(self.every_handles, key=lambda h: h.evaluator)}
        self.telemetry: Telemetry | None = None
        self.tracer: Tracer = UNTRACED
        self._tails = Tails(store)
        self._queues = Queues(queue_max)

    def peek(self, tenant: str) -> Peek:
        """Reads streams without guarding them."""
        return Peek(self._tails, tenant)

    async def state(self, tenant: str, stream: Stream) -> tuple[Any, int]:
        """A stream's state and version, read without guarding it."""
        (tail,) = await self._tails.now(tenant, (stream,))
        return tail.state, tail.at.version

    async def run(self, order: Order, make: Any, ahead: Iterable[Stream] = ()) -> Outcome:
        """Carries out a command once. `make` is the command, or prepares it anew for each try, also for a repeat.

        `ahead` are streams that it will probably ask for: they are read in one go with the command's own.

        Raises the refusal (after it is recorded), Stale if the expected version has passed, Busy after three lost races.
        """
        with logs.correlated(correlation_id=order.correlation_id, tenant=order.tenant, traceparent=order.traceparent):
            try:
                outcome = await self._run(order, make, tuple(ahead) if callable(make) else self._streams_of(make))
            except Problem as problem:
                self._count(problem.slug, ())
                raise
            self._count("repeated" if outcome.repeated else ACCEPTED if outcome.events else NOTHING, outcome.events)
            return outcome

    def _count(self, outcome: str, events: Sequence[Recorded]) -> None:
        if self.telemetry:
            self.telemetry.command(outcome)
            for recorded in events:
                self.telemetry.recorded(recorded.type)

    def _streams_of(self, wish: Any) -> tuple[Stream, ...]:
        touched = self.handles[type(wish)].touched(wish)
        return (*touched.guarded, *touched.read)

    async def rehearse(self, tenant: str, make: Make) -> Verdict:
        """What a command would come to now, decided as ever and not recorded. Raises refusals that are never recorded."""
        wish = await make(self.peek(tenant))
        handles = self.handles[type(wish)]
        touched = handles.touched(wish)
        states = [tail.state for tail in await self._tails.now(tenant, (*touched.guarded, *touched.read))]
        count = len(touched.guarded)
        return decide(handles, wish, touched, states[:count], states[count:])

    async def _run(self, order: Order, make: Any, ahead: Iterable[Stream]) -> Outcome:
        """Decides first where the log need not be asked: a repeat cannot be recorded, and is looked up then."""
        own = command_stream(order.tenant, order.command_id)
        async with self._queues.turn([own]):
            for tried in range(TRIES):
                record = await self._tails.record(order.tenant, own, ahead, surely=tried > 0)
                if record:
                    return _repeated(order, record)
                try:
                    wish = await make(self.peek(order.tenant)) if callable(make) else make
                    done = await self._once(order, wish)
                except (Conflict, Raced) as lost:
                    if self.telemetry:
                        self.telemetry.conflict()
                    if order.expected_version is not None:
                        return await self._first(order, own, Stale(), lost)
                except Problem as problem:
                    return await self._first(order, own, problem, problem.__cause__)
                else:
                    return done.made()
        raise Busy("other commands kept changing the same streams")

    async def _first(self, order: Order, own: str, problem: Problem, cause: BaseException | None) -> Outcome:
        """The command's first answer if it was decided before; else raises the problem that it has met now."""
        record = await self._tails.record(order.tenant, own)
        if not record:
            raise problem from cause
        return _repeated(order, record)

    async def _once(self, order: Order, wish: Any) -> Outcome:
        handles = self.handles[type(wish)]
        touched = handles.touched(wish)
        async with self._queues.turn(stream.name(order.tenant) for stream in touched.guarded):
            tails = await self._tails.now(order.tenant, (*touched.guarded, *touched.read))
            contexts = [tail.traceparent for tail in tails[: len(touched.guarded)]]
            # Who has no trace of its own (a deadline, a poll of the CRM) goes on with the trace of what it works on.
            parent = order.traceparent or next(filter(None, contexts), None)
            with self.tracer.span(f"command {type(wish).__name__}", parent, links=contexts) as span:
                traced = (
                    order if order.traceparent == span.traceparent else replace(order, traceparent=span.traceparent)
                )
                return await self._decided(traced, wish, handles, touched, tails)

    async def _decided(self, order: Order, wish: Any, handles: Handles, touched: Touched, tails: list[Tail]) -> Outcome:
        """Decides on the tails, first those of the guarded streams, and commits."""
        ats, states, count = tuple(tail.at for tail in tails), [tail.state for tail in tails], len(touched.guarded)
        if order.expected_version not in (None, ats[0].version if count else 0):
            raise Stale(version=ats[0].version)
        verdict = decide(handles, wish, touched, states[:count], states[count:])
        changes = writes(touched, ats[:count], verdict)
        version = version_after(ats[0], changes) if count and not verdict.refusal else 0
        record = _record(order, wish, verdict, version, ats[:count], ats[count:])
        return await self._commit(order, handles, changes, verdict, record)

    async def _commit(
        self,
        order: Order,
        handles: Handles,
        changes: Sequence[Written],
        verdict: Verdict,
        record: CommandRecorded,
    ) -> Outcome:
        own = command_stream(order.tenant, order.command_id)
        events = [_new(*change) for change in (*changes, (own, 1, record))]
        with (
            self.telemetry.append() if self.telemetry else nullcontext(),
            self.tracer.span("append", order.traceparent) as span,
        ):
            span.note(db__operation__batch__size=len(events))
            recorded = await self.store.append(self._as_commit(order, handles, events))
        return _outcome(verdict, recorded[:-1], record.version)

    def _as_commit(self, order: Order, handles: Handles, events: list[NewEvent]) -> Commit:
        return Commit(
            tenant=order.tenant,
            actor=order.actor,
            command_id=order.command_id,
            causation_id=order.causation_id,
            correlation_id=order.correlation_id,
            traceparent=order.traceparent,
            evaluator=handles.evaluator,
            recorded_at=self.clock.now(),
            events=tuple(events),
        )


def _new(stream: str, version: int, happened: Any) -> NewEvent:
    identity = str(uuid_utils.uuid7())
    return NewEvent(stream=stream, version=version, id=identity, type=happened.type, data=encode(happened))


def _record(
    order: Order, wish: Any, verdict: Verdict, version: int, guarded: tuple[At, ...], read: tuple[At, ...]
) -> CommandRecorded:
    accepted = CommandRecorded(
        command_type=wish.type,
        command=msgspec.Raw(encode(wish)),
        outcome=verdict.outcome,
        answer=verdict.answer,
        version=version,
        digest=order.digest,
        guarded=guarded,
        read=read,
    )
    no = verdict.refusal
    if no is None:
        return accepted
    return replace(accepted, status=no.status, slug=no.slug, detail=no.detail, fields=no.fields)


def _outcome(verdict: Verdict, events: list[Recorded], version: int) -> Outcome:
    position = events[-1].position if events else 0
    answer, refusal = verdict.answer, verdict.refusal
    return Outcome(answer=answer, events=events, position=position, version=version, refusal=refusal)


def _repeated(order: Order, log: Sequence[Recorded]) -> Outcome:
    """The first answer of a command that was decided before; its refusal is raised again."""
    record: CommandRecorded = log[0].event
    if order.digest and record.digest and order.digest != record.digest:
        raise KeyReused
    if record.outcome == REFUSED:
        raise recorded_refusal(record)
    position = log[0].position - 1 if record.outcome == ACCEPTED else 0
    return Outcome(answer=record.answer, position=position, version=record.version, repeated=True)
