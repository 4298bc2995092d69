"""Shadow runs: the recorded commands decided again as if other rules had been in force, with all that follows.

Commands are in the log, so a whole past can be run again. A command that read the rulebook, or a stream that has come
out differently before, is decided on the states that the other rules would have led to; every other command came out
as recorded. A full run (`chassis.afresh`) also looks up again what those commands were made with. Nothing is written. What
nobody asked for in the past is not asked for here either: a command that only the other outcome would have called for is
missing, and one that it would not have called for may be refused.
"""

import asyncio
import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from typing import Any, NotRequired, TypedDict

import msgspec

from chassis.afresh import FULL, Afresh, MakeAfresh, Mode, Remade
from chassis.decider import Problem, Raced, Refused, Stream, stream_base
from chassis.event import TYPES, Seen, canonical_json, decode, encode, frozen, iso
from chassis.execution import Glimpse, Handles, Touched, Verdict, judge, writes
from chassis.identity import Recent
from chassis.record import REFUSED, At, CommandRecorded
from chassis.rulebook import Decision, Rulebook, Rules, Version
from chassis.segments import StreamContinued, Written
from chassis.store.port import EventStore, Recorded
from chassis.verify import RECORD, Past

PAGE_EVENTS = 500
ROWS_MAX = 1_000
"""Rows that a report shows; its counts, totals and digest are over all."""
LOADED_MAX = 1_000
"""Streams besides those of the commands whose events are kept: what many commands look at is read once."""
TURN_SECONDS = 0.02
"""How long a run keeps the event loop before others have their turn."""

Progress = Callable[[int, int], None]
Weigh = Mapping[type[Any], Callable[[Any], tuple[str, str, Decimal]]]
"""By the events that hold money, how it is found: partner, currency, amount."""
Tally = Mapping[type[Any], Callable[[Any], tuple[str, str]]]
"""By the events that are counted, how: what happened, and to whom, a partner or a role."""


class OtherStreams(Refused):
    """In the other world the command would have been prepared on other streams than can be known here."""

    slug = "other-streams"


@frozen
class Candidate:
    """The rules to try: a version of a rulebook, or a body that nobody has published."""

    rulebook_id: str
    kind: str
    scope: str
    version: int
    body: dict[str, Any]
    sha256: str

    def instead(self, book: Rulebook) -> Rulebook:
        """The rulebook as it would be, had this version been in force all along."""
        others = tuple(version for version in book.versions if version.version != self.version)
        mine = Version(
            rulebook_id=self.rulebook_id,
            kind=self.kind,
            scope=self.scope,
            version=self.version,
            body=self.body,
            sha256=self.sha256,
            effective_from=datetime.min.replace(tzinfo=UTC),
            effective_until=None,
            mode="live",
        )
        return replace(book, versions=(*others, mine))


@frozen
class Window:
    """The piece of the log to run again: commands of one tenant with `after` < position ≤ `until`."""

    tenant: str
    after: int
    until: int

    def begins(self, mode: Mode) -> int:
        """Behind which position the log is read: a full run learns from all that was before."""
        return 0 if mode == FULL else self.after


@frozen
class Eyes:
    """How a service's events are read for a report: their explanation, the money in them, and what of them is counted."""

    explain: Mapping[type[Any], Callable[[Seen], Decision | None]] = field(default_factory=dict)
    weigh: Weigh = field(default_factory=dict)
    tally: Tally = field(default_factory=dict)

    def read(self, event_type: str) -> bool:
        """Whether events of this type say anything to a report."""
        kind = TYPES.classes.get(event_type)
        return any(kind in told for told in (self.explain, self.weigh, self.tally))


@frozen
class Side:
    """What one command came to, in one of the two worlds. `refused` is the slug of a refusal."""

    outcome: str
    reasons: tuple[str, ...]
    money: Mapping[tuple[str, str], Decimal]
    refused: str | None = None
    counts: Mapping[tuple[str, str], int] = field(default_factory=dict)


class OutcomeCount(TypedDict):
    old: str
    new: str
    count: int


class Total(TypedDict):
    """The money of one partner in one currency, in both worlds."""

    partner_id: str
    currency: str
    old: str
    new: str
    difference: str


class ShadowCount(TypedDict):
    """How often something happened to somebody, in both worlds: `what` to `of`, a partner or a role."""

    what: str
    of: str
    old: int
    new: int


class ShownMoney(TypedDict):
    partner_id: str
    currency: str
    amount: str


class ShownSide(TypedDict):
    """What a command came to: an outcome with the codes of its reasons, and money."""

    outcome: str
    reasons: list[str]
    money: list[ShownMoney]


class ShadowRow(TypedDict):
    """One command that came out differently."""

    position: int
    at: str
    command: str
    stream: str | None
    old: ShownSide
    new: ShownSide


class ShadowReport(TypedDict):
    """What differs: counts and totals of all, the first thousand commands one by one. The same run has the same digest."""

    decided: int
    changed: int
    outcomes: list[OutcomeCount]
    partners: list[Total]
    counts: NotRequired[list[ShadowCount]]
    rows: list[ShadowRow]
    digest: str


@dataclass
class Report:
    """What differs. `rows` are the first `ROWS_MAX` commands that came out differently; money is by partner and currency."""

    decided: int = 0
    changed: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    rows: list[ShadowRow] = field(default_factory=list)
    money: dict[tuple[str, str], tuple[Decimal, Decimal]] = field(default_factory=dict)
    counts: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]] = field(
        default_factory=lambda: (Counter(), Counter())
    )
    _digest: Any = field(default_factory=hashlib.sha256)

    def take(self, recorded: Recorded, record: CommandRecorded, old: Side, new: Side) -> None:
        """Counts one command that was decided in both worlds."""
        self.decided += 1
        self.outcomes[old.outcome, new.outcome] += 1
        for key in {**old.money, **new.money} if old.money or new.money else ():
            before, after = self.money.get(key, (Decimal(0), Decimal(0)))
            self.money[key] = before + old.money.get(key, Decimal(0)), after + new.money.get(key, Decimal(0))
        for counts, side in zip(self.counts, (old, new), strict=True):
            for key, count in side.counts.items():
                counts[key] += count
        if (old.outcome, old.money) != (new.outcome, new.money):
            self.differs(_row(recorded, record, old, new))

    def differs(self, row: ShadowRow) -> None:
        """Tells one command that came out differently."""
        self.tell(canonical_json(row), row)

    def tell(self, canonical: bytes, row: ShadowRow | None) -> None:
        """As `differs`, of a row whose JSON is made already, and which is shown if it is given."""
        self.changed += 1
        self._digest.update(canonical)
        if row is not None and len(self.rows) < ROWS_MAX:
            self.rows.append(row)

    def add(self, sums: "Sums") -> None:
        """Counts what was counted elsewhere; what came out differently there is told apart."""
        self.decided += sums.decided
        self.outcomes.update(sums.outcomes)
        for key, (old, new) in sums.money.items():
            before, after = self.money.get(key, (Decimal(0), Decimal(0)))
            self.money[key] = before + old, after + new
        for counts, more in zip(self.counts, sums.counts, strict=True):
            counts.update(more)

    @property
    def sums(self) -> "Sums":
        return Sums(self.decided, self.outcomes, self.money, self.counts)

    def as_json(self) -> ShadowReport:
        """The report as it is shown. The same run again has the same digest."""
        outcomes: list[OutcomeCount] = [
            {"old": o, "new": n, "count": count} for (o, n), count in sorted(self.outcomes.items())
        ]
        partners = [_total(key, *sums) for key, sums in sorted(self.money.items())]
        found = {"decided": self.decided, "changed": self.changed, "outcomes": outcomes, "partners": partners}
        found |= {"counts": self._counts()} if any(self.counts) else {}
        digest = self._digest.copy()
        digest.update(canonical_json(found))
        return {**found, "rows": self.rows, "digest": digest.hexdigest()}  # type: ignore[typeddict-item]

    def _counts(self) -> list[ShadowCount]:
        old, new = self.counts
        return [
            {"what": what, "of": of, "old": old[what, of], "new": new[what, of]} for what, of in sorted({*old, *new})
        ]


@dataclass(frozen=True)
class Sums:
    """What a report counts, without what came out differently one by one."""

    decided: int
    outcomes: Counter[tuple[str, str]]
    money: Mapping[tuple[str, str], tuple[Decimal, Decimal]]
    counts: tuple[Counter[tuple[str, str]], Counter[tuple[str, str]]]


def _total(key: tuple[str, str], old: Decimal, new: Decimal) -> Total:
    partner_id, currency = key
    return {
        "partner_id": partner_id,
        "currency": currency,
        "old": str(old),
        "new": str(new),
        "difference": str(new - old),
    }


def _row(recorded: Recorded, record: CommandRecorded, old: Side, new: Side) -> ShadowRow:
    return {
        "position": recorded.position,
        "at": iso(recorded.recorded_at),
        "command": record.command_type,
        "stream": stream_base(record.guarded[0].stream) if record.guarded else None,
        "old": _side(old),
        "new": _side(new),
    }


def _side(side: Side) -> ShownSide:
    money: list[ShownMoney] = [
        {"partner_id": p, "currency": c, "amount": str(amount)} for (p, c), amount in sorted(side.money.items())
    ]
    return {"outcome": side.outcome, "reasons": list(side.reasons), "money": money}


async def run(  # noqa: PLR0913, PLR0917  who decides, what is read, what is tried
    store: EventStore,
    handles: Iterable[Handles],
    eyes: Eyes,
    candidate: Candidate,
    window: Window,
    progress: Progress = lambda done, total: None,
    afresh: MakeAfresh | None = None,
    streams_max: int = sys.maxsize,
) -> Report:
    """Runs the window again under the candidate. Two runs over the same log give the same report.

    Raises TooDifferent when more than so many streams come out differently.
    """
    again = Again(store, handles, eyes, candidate, window, afresh)
    after, turn_ends = again.begins, 0.0
    loop = asyncio.get_running_loop()
    while after < window.until and (events := await store.feed(after, PAGE_EVENTS)):
        for recorded in events:
            if not again.is_due(recorded):
                continue
            if loop.time() > turn_ends:
                progress(recorded.position - again.begins, window.until - again.begins)
                await asyncio.sleep(0)
                turn_ends = loop.time() + TURN_SECONDS
            await again.take(recorded)
        after = events[-1].position
        keep_within(again.apart, streams_max)
    progress(window.until - again.begins, window.until - again.begins)
    return again.report


class TooDifferent(Exception):
    """More streams came out differently than a run may hold in memory."""


def keep_within(apart: int, streams_max: int) -> None:
    """Gives a run up before it takes the memory of everything beside it. Raises TooDifferent."""
    if apart > streams_max:
        raise TooDifferent(
            f"more than {streams_max} streams came out differently:"
            " ask for a shorter window, or allow more with ENTENTE_SHADOW_STREAMS_MAX"
        )


async def position_at(store: EventStore, at: datetime) -> int:
    """The position of the last event recorded up to an instant; 0 where there is none."""
    low, high = 0, await store.head()
    while low < high:
        middle = (low + high) // 2
        found = await store.feed(middle, 1)
        if found and found[0].recorded_at <= at:
            low = found[0].position
        else:
            high = middle
    return low


@dataclass(frozen=True, slots=True)
class Places:
    """The streams of a recorded command by name, with the versions before it: those that it guarded, and all."""

    guarded: Mapping[str, At]
    all: Mapping[str, At]

    @classmethod
    def of(cls, record: CommandRecorded) -> "Places":
        guarded = {stream_base(at.stream): at for at in record.guarded}
        return cls(guarded, guarded | {stream_base(at.stream): at for at in record.read})


class Apart:
    """The states of the streams that came out differently, by name."""

    def __init__(self) -> None:
        self._states: dict[str, Any] = {}

    def any_of(self, names: Collection[str]) -> bool:
        """Whether one of the streams came out differently."""
        return not self._states.keys().isdisjoint(names)

    def find(self, name: str) -> tuple[Any] | None:
        """The state of the stream where it came out differently."""
        return (self._states[name],) if name in self._states else None

    def put(self, states: Iterable[tuple[str, Any]]) -> None:
        self._states.update(states)

    def count(self) -> int:
        """How many streams are held."""
        return len(self._states)


class Again:
    """The other world: in `apart` the streams that came out differently; all others are as recorded."""

    def __init__(
        self,
        store: EventStore,
        handles: Iterable[Handles],
        eyes: Eyes,
        candidate: Candidate,
        window: Window,
        afresh: MakeAfresh | None = None,
    ) -> None:
        self.report = Report()
        self.begins = window.begins(FULL) if afresh else window.after
        self._window = window
        self._afresh: Afresh | None = afresh() if afresh else None
        self._apart = Apart()
        self._reads = cache(eyes.read)
        self._store, self._eyes, self._candidate, self._tenant = store, eyes, candidate, window.tenant
        self._book = Rules.at(candidate.rulebook_id).name(window.tenant)
        self._books: tuple[Rulebook, Rulebook] | None = None
        self._newest = {one.command.type: one for one in sorted(handles, key=lambda one: one.evaluator)}
        self._written: dict[str, list[Recorded]] = {}
        self._wish: tuple[Recorded, Any] | None = None
        self._past = Past(store)
        self._loaded: Recent[str, list[Recorded]] = Recent(LOADED_MAX)

    @property
    def apart(self) -> int:
        """How many streams have come out differently."""
        return self._apart.count()

    def is_due(self, recorded: Recorded) -> bool:
        """Keeps an event until its command is met; True for the record of one that is to be taken now."""
        if recorded.tenant != self._tenant or recorded.position > self._window.until:
            return False
        if recorded.position <= self._window.after:
            self._learn([recorded])
            return False
        if recorded.type == RECORD:
            return True
        self._written.setdefault(recorded.command_id or "", []).append(recorded)
        return False

    async def take(self, recorded: Recorded) -> None:
        """Decides the recorded command again, where it may come out differently."""
        await self._take(recorded, Places.of(recorded.event))

    async def _take(self, recorded: Recorded, places: Places) -> None:
        written = self._written.pop(recorded.command_id or "", [])
        other = await self._decide(recorded, places, written) if self._may_differ(places) else None
        if other is None:
            self._learn(written)
        else:
            self._learn_other(other, recorded.position)

    def _learn(self, events: Iterable[Recorded]) -> None:
        if self._afresh is not None:
            for one in events:
                if one.type in self._afresh.reads:
                    self._afresh.learn(one.event, one.position)

    def _learn_other(self, events: Iterable[Any], position: int) -> None:
        if self._afresh is not None:
            for one in events:
                if one.type in self._afresh.reads:
                    self._afresh.learn(one, position)

    def pass_over(self, recorded: Recorded) -> None:
        """Takes a command's record without deciding it."""
        self._written.pop(recorded.command_id or "", None)

    def handles_of(self, record: CommandRecorded) -> Handles:
        """Who decides such a command by now."""
        return self._newest[record.command_type]

    def wish_of(self, recorded: Recorded) -> Any:
        """The command itself, read once while it is in hand."""
        if self._wish is None or self._wish[0] is not recorded:
            record: CommandRecorded = recorded.event
            self._wish = recorded, decode(record.command_type, record.command)
        return self._wish[1]

    def _may_differ(self, places: Places) -> bool:
        if self._book in places.guarded:
            return False
        return self._book in places.all or self._apart.any_of(places.all)

    async def _decide(self, recorded: Recorded, places: Places, written: Sequence[Recorded]) -> Sequence[Any] | None:
        """What the command wrote in the other world, where that is something else."""
        record: CommandRecorded = recorded.event
        handles, known = self.handles_of(record), places.all
        wish = self.wish_of(recorded)
        remade = await self._prepared(handles, wish, known, recorded)
        touched = handles.touched(remade.wish)
        guarded = touched.guarded
        names = [one.name(self._tenant) for one in guarded]
        states = await self._states(zip(guarded, names, strict=True), known, recorded)
        reads = await self._states([(one, one.name(self._tenant)) for one in touched.read], known, recorded)
        ats = [known.get(name) or At(stream=name, version=0) for name in names]
        verdict = _decided(handles, remade.wish, touched, states, reads)
        wrote = writes(touched, ats, verdict, written)
        made = [event for _, _, event in wrote]
        now = self._now(verdict, made, recorded)
        same = record.slug == now.refused and _same(wrote, written)
        if not same or self._apart.any_of(names):
            self._apart.put(zip(names, verdict.after or states, strict=True))
            if remade.wish is not wish:
                await self._leave(handles.touched(wish).guarded, names, known, recorded)
        elif verdict.events and known.keys() >= set(names):
            self._past.know(ats, verdict)
        other = replace(now, reasons=(*now.reasons, *remade.remarks)) if remade.remarks else now
        self.report.take(recorded, record, now if same else self._then(record, written, recorded), other)
        return None if same else made

    async def _leave(
        self, guarded: Iterable[Stream], names: Collection[str], known: Mapping[str, At], recorded: Recorded
    ) -> None:
        """The streams that the recorded command guarded and this one does not are as they were before it."""
        left = [one for one in guarded if one.name(self._tenant) not in names]
        self._apart.put([(one.name(self._tenant), await self._look(known, recorded, one)) for one in left])

    async def _prepared(self, handles: Handles, wish: Any, known: Mapping[str, At], recorded: Recorded) -> Remade:
        if handles.prepare is None and self._afresh is None:
            return Remade(wish=wish)
        glimpse = Glimpse(partial(self._look, known, recorded), self._differs)
        if handles.prepare is not None:
            wish = await handles.prepare(wish, glimpse)
        return await self._afresh.prepare(wish, glimpse) if self._afresh else Remade(wish=wish)

    def _differs(self, stream: Stream) -> bool:
        return self._apart.find(stream.name(self._tenant)) is not None

    def _now(self, verdict: Verdict, made: Sequence[Any], recorded: Recorded) -> Side:
        if verdict.refusal:
            return _refused(verdict.refusal.slug)
        return self._side(verdict.outcome, [(event, None) for event in made if self._reads(event.type)], recorded)

    def _then(self, record: CommandRecorded, written: Sequence[Recorded], recorded: Recorded) -> Side:
        if record.outcome == REFUSED:
            return _refused(record.slug or REFUSED)
        told = [(one.event, one) for one in written if self._reads(one.type)]
        return self._side(record.outcome, told, recorded)

    async def _look(self, known: Mapping[str, At], recorded: Recorded, stream: Stream) -> Any:
        """The state of a stream as the other world had it when the command came."""
        return await self._state(stream, stream.name(self._tenant), known, recorded)

    async def _states(
        self, streams: Iterable[tuple[Stream, str]], known: Mapping[str, At], recorded: Recorded
    ) -> list[Any]:
        """The states of several streams. Nearly all are at hand: nothing is awaited for those."""
        found = []
        for stream, name in streams:
            state = self._at_hand(stream, name, known)
            found.append(state[0] if state else await self._state(stream, name, known, recorded))
        return found

    def _at_hand(self, stream: Stream, name: str, known: Mapping[str, At]) -> tuple[Any] | None:
        if apart := self._apart.find(name):
            return apart
        at = known.get(name)
        state = self._past.at_hand(stream, at) if at else None
        return (self._other(state[0]),) if state and name == self._book else state

    async def _state(self, stream: Stream, name: str, known: Mapping[str, At], recorded: Recorded) -> Any:
        if apart := self._apart.find(name):
            return apart[0]
        at = known.get(name)
        state = await (self._past.at(stream, at) if at else self._before(stream, recorded.position))
        return self._other(state) if name == self._book else state

    def _other(self, book: Rulebook) -> Rulebook:
        """The rulebook with the candidate in force; made once while it stays as it is."""
        if self._books is None or self._books[0] is not book:
            self._books = book, self._candidate.instead(book)
        return self._books[1]

    async def _before(self, stream: Stream, position: int) -> Any:
        """The state of a stream that the recorded command did not touch."""
        segment = stream.name(self._tenant)
        while before := [one for one in await self._besides(segment) if one.position < position]:
            if before[-1].type != StreamContinued.type:  # type: ignore[attr-defined]
                return stream.decider.fold(one.event for one in before)
            segment = before[-1].event.next
        return stream.decider.initial

    async def _besides(self, segment: str) -> list[Recorded]:
        """The events of a stream that the run may ever look at: behind the window nothing is asked for."""
        if (found := self._loaded.get(segment)) is None:
            found = [one for one in await self._store.load(segment) if one.position <= self._window.until]
            self._loaded.put(segment, found)
        return found

    def _side(self, outcome: str, events: Sequence[tuple[Any, Recorded | None]], by: Recorded) -> Side:
        decisions: list[Decision] = []
        money: dict[tuple[str, str], Decimal] = {}
        counts: dict[tuple[str, str], int] = {}
        for event, one in events:
            kind = type(event)
            if (found := self._explained(event, one, by)) is not None:
                decisions.append(found)
            if weigh := self._eyes.weigh.get(kind):
                partner_id, currency, amount = weigh(event)
                money[partner_id, currency] = money.get((partner_id, currency), 0) + amount
            if tally := self._eyes.tally.get(kind):
                counts[tally(event)] = counts.get(tally(event), 0) + 1
        told = " + ".join(one.outcome for one in decisions) if decisions else outcome
        reasons = tuple(reason.code for one in decisions for reason in one.reasons)
        return Side(outcome=told, reasons=reasons, money=money, counts=counts)

    def _explained(self, event: Any, one: Recorded | None, by: Recorded) -> Decision | None:
        explain = self._eyes.explain.get(type(event))
        if explain is None:
            return None
        seen = one.seen("shadow") if one else msgspec.structs.replace(by.seen("shadow"), type=event.type, event=event)
        return explain(seen)


def _decided(handles: Handles, wish: Any, touched: Touched, states: Sequence[Any], reads: Sequence[Any]) -> Verdict:
    """The decision in the other world, where also what would not have been recorded is an answer.

    A refusal's traceback, which nobody reads here, holds all that was at hand, and itself in a circle.
    """
    try:
        verdict = judge(handles, wish, touched, states, reads)
    except Problem as refusal:
        verdict = Verdict(refusal=refusal)
    except Raced:
        verdict = Verdict(refusal=OtherStreams())
    if verdict.refusal:
        verdict.refusal.with_traceback(None)
    return verdict


def _refused(slug: str) -> Side:
    return Side(outcome=slug, reasons=(), money={}, refused=slug)


def _same(wrote: Sequence[Written], written: Sequence[Recorded]) -> bool:
    return len(wrote) == len(written) and all(
        event.type == one.type
        and encode(event) == bytes(one.data)
        and (segment == one.stream or stream_base(segment) == stream_base(one.stream))
        for (segment, _, event), one in zip(wrote, written, strict=True)
    )
