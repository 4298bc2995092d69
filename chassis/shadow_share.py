"""One process's share of a shadow run: it reads the whole window, decides its own commands, and asks the other shares.

All shares read the same log, and from the records alone give each command that may come out differently to one of them:
to the share that has most of its streams, else to the one with the least to do. A share that meets a stream last given to
another asks how that one left it, and waits until it has come so far. Whatever is asked lies earlier in the log than
who asks, so no two wait for each other, and each command is decided on the very states that one process would have had.
"""

import asyncio
import pickle
import socket
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from chassis.afresh import RECORDED, Mode
from chassis.decider import Stream
from chassis.event import canonical_json, frozen
from chassis.execution import Besides, Handles
from chassis.record import At
from chassis.settings import ServiceSettings
from chassis.shadow import PAGE_EVENTS, ROWS_MAX, Again, Apart, Candidate, Eyes, Places, Report, ShadowRow, Sums, Window
from chassis.store.port import EventStore, Recorded

LEAD_POSITIONS = 20_000
"""How far a share may be ahead of another: so much of what it found waits to be told in order."""
SIZE_BYTES = 8

Given = tuple[EventStore, Iterable[Handles], Eyes, Candidate, Window]


@frozen
class Task:
    """What all shares of one run are told. `declared_in` is the module whose `BLUEPRINT` says who decides."""

    declared_in: str
    settings: ServiceSettings
    candidate: Candidate
    window: Window
    mode: Mode = RECORDED


Told = tuple[int, bytes, ShadowRow | None]
"""What came out differently: its position, its row's canonical JSON, and the row as far as a report may show it."""


@dataclass(frozen=True)
class Found:
    """What a share has found up to a position: what differs, and with the last of it what it counted."""

    reached: int
    told: Sequence[Told]
    sums: Sums | None = None
    apart: int = 0
    """How many streams it holds that came out differently."""


Tell = Callable[[Found], Awaitable[None]]


class Link:
    """Whole messages between two processes that trust each other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def over(cls, end: socket.socket) -> "Link":
        """The link over one end of a pair of sockets."""
        return cls(*await asyncio.open_connection(sock=end))

    async def hear(self) -> Any:
        """The next message. Raises IncompleteReadError when the other side has gone."""
        size = int.from_bytes(await self._reader.readexactly(SIZE_BYTES), "big")
        return pickle.loads(await self._reader.readexactly(size))  # noqa: S301  from our own process

    async def gone(self) -> None:
        """Waits until the other side has gone, which says nothing more."""
        await self._reader.read()

    def say(self, message: Any) -> None:
        """Sends a message without waiting for it to be taken."""
        body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._writer.write(len(body).to_bytes(SIZE_BYTES, "big") + body)

    async def said(self) -> None:
        """Waits while too much is on its way."""
        await self._writer.drain()

    def close(self) -> None:
        self._writer.close()


class Shares:
    """To whom each command goes: the same answer in every process, as it rests on the records alone."""

    def __init__(self, count: int) -> None:
        self.last: dict[str, tuple[int, int]] = {}
        """Of the streams that may have come out differently: whose command wrote them last, and its position."""
        self._given = [0] * count

    def given(self, names: Iterable[str]) -> set[str]:
        """Those of the streams that may have come out differently."""
        return self.last.keys() & names

    def of(self, given: Iterable[str]) -> int:
        """The share with most of these streams; where it has none of them, the one with the least to do."""
        links = [0] * len(self._given)
        for name in given:
            links[self.last[name][0]] += 1
        most = max(links)
        able = [share for share, linked in enumerate(links) if linked == most]
        return min(able, key=self._given.__getitem__)

    def give(self, share: int, guarded: Iterable[str], position: int) -> None:
        """Notes that a command with these streams was given to a share."""
        self._given[share] += 1
        self.last.update(dict.fromkeys(guarded, (share, position)))


class Ours(Apart):
    """The streams that came out differently, of this share as it left them, of the others as they told last.

    What it has left is kept by position too, as others ask for how it was.
    """

    def __init__(self, share: int, shares: Shares) -> None:
        super().__init__()
        self._share, self._shares = share, shares
        self._left: dict[str, list[tuple[int, Any]]] = {}
        self._heard: dict[str, int] = {}
        self.position, self.behind = 0, 0
        """Of the command in hand; up to which all other shares have come."""

    def put(self, states: Iterable[tuple[str, Any]]) -> None:
        for name, state in states:
            self._states[name] = state
            self._forget(left := self._left.setdefault(name, []))
            left.append((self.position, state))

    def count(self) -> int:
        return len(self._left)

    def take_over(self, names: Iterable[str]) -> None:
        """From this command on this share tells of the streams, also where the command left them as it found them."""
        self.put([(name, state[0]) for name in names if self._is_others(name) and (state := self.find(name))])

    def _is_others(self, name: str) -> bool:
        left = self._left.get(name)
        return self._shares.last[name][0] != self._share and (not left or left[-1][0] < self.position)

    def _forget(self, left: list[tuple[int, Any]]) -> None:
        """Lets go of what nobody can ask for any more."""
        while len(left) > 1 and left[1][0] <= self.behind:
            del left[0]

    def left(self, name: str, position: int) -> tuple[Any] | None:
        """How the own commands up to a position left a stream, where it came out differently."""
        for at, state in reversed(self._left.get(name, ())):
            if at <= position:
                return (state,)
        return None

    def unheard(self, given: Iterable[str]) -> dict[int, list[tuple[str, int]]]:
        """The streams that others have to be asked for, with the position up to which, by share."""
        wanted: dict[int, list[tuple[str, int]]] = {}
        for name in given:
            share, position = self._shares.last[name]
            if share != self._share and self._heard.get(name) != position:
                wanted.setdefault(share, []).append((name, position))
        return wanted

    def hear(self, asked: Sequence[tuple[str, int]], states: Sequence[tuple[Any] | None]) -> None:
        for (name, position), state in zip(asked, states, strict=True):
            self._heard[name] = position
            if state is None:
                self._states.pop(name, None)
            else:
                self._states[name] = state[0]


@dataclass(frozen=True)
class Question:
    """Waits until the other has come to `after`, and asks how it had left some streams by some positions."""

    after: int
    streams: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Answer:
    reached: int
    states: Sequence[tuple[Any] | None]


class Peers:
    """The other shares: they are asked, and asked by them is answered as soon as this share has come so far."""

    def __init__(self, links: Mapping[int, Link], ours: Ours, lead: int) -> None:
        self._links, self._ours, self._lead = links, ours, lead
        self.reached = 0
        self.have_reached = dict.fromkeys(links, 0)
        self._waiting: list[tuple[Link, Question]] = []
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self.hearing = [asyncio.ensure_future(self._hear(share, link)) for share, link in links.items()]

    def close(self) -> None:
        """Answers nobody any more."""
        for one in self.hearing:
            one.cancel()

    async def _hear(self, share: int, link: Link) -> None:
        while True:
            heard: Question | Answer = await link.hear()
            if isinstance(heard, Answer):
                self.have_reached[share] = heard.reached
                self._asked.pop(share).set_result(heard)
            else:
                self._waiting.append((link, heard))
                self._answer()

    def come_to(self, position: int) -> None:
        self.reached = position
        if self._waiting:
            self._answer()

    def _answer(self) -> None:
        ready = [one for one in self._waiting if one[1].after <= self.reached]
        self._waiting = [one for one in self._waiting if one[1].after > self.reached]
        for link, question in ready:
            states = [self._ours.left(name, position) for name, position in question.streams]
            link.say(Answer(self.reached, states))

    async def ask(self, share: int, question: Question) -> Answer:
        """The answer of another share, once it has come so far."""
        asked = self._asked[share] = asyncio.Future()
        self._links[share].say(question)
        return await asked

    async def not_far_ahead(self, position: int) -> int:
        """Waits until no other is too far behind; answers up to where all have come."""
        for share, reached in self.have_reached.items():
            if reached < position - self._lead:
                await self.ask(share, Question(position - self._lead))
        return min(self.have_reached.values(), default=position)


class Collected(Report):
    """A report whose rows are kept to be told by whoever has those of all shares."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Told] = []

    def differs(self, row: ShadowRow) -> None:
        self.changed += 1
        self.told.append((row["position"], canonical_json(row), row if self.changed <= ROWS_MAX else None))


class Telling(Again):
    """The other world, in a process that tells what it finds as it goes."""

    report: Collected

    def __init__(self, *again: Any) -> None:
        super().__init__(*again)
        self.report = Collected()

    async def keep_pace(self, position: int) -> None:
        """Lets others have their turn."""
        await asyncio.sleep(0)

    def finish(self) -> None:
        """Nothing more will be taken."""

    def found(self, position: int, *, last: bool = False) -> Found:
        """What was found since it was asked last."""
        told, self.report.told = self.report.told, []
        return Found(position, told, self.report.sums if last else None, self.apart)


class Share(Telling):
    """This share's part of the other world."""

    def __init__(self, number: int, links: Mapping[int, Link], *again: *Given, lead: int = LEAD_POSITIONS) -> None:
        super().__init__(*again)
        self._number, self._shares = number, Shares(len(links) + 1)
        self._apart: Ours = Ours(number, self._shares)
        self._besides_of = cache(self._besides_of_rules)
        self.peers = Peers(links, self._apart, lead)

    async def take(self, recorded: Recorded) -> None:
        places = Places.of(recorded.event)
        guarded, names = self._streams(recorded, places)
        given = self._shares.given(names)
        if self._book in guarded or not (self._book in names or given):
            self.pass_over(recorded)
            return
        share = self._shares.of(given)
        if share == self._number:
            await self._ask(given)
            self._apart.position = recorded.position
            await self._take(recorded, places)
            self._apart.take_over(given.intersection(guarded))
        else:
            self.pass_over(recorded)
        self._shares.give(share, guarded, recorded.position)
        self.peers.come_to(recorded.position)

    def _streams(self, recorded: Recorded, places: Places) -> tuple[Collection[str], Collection[str]]:
        """The streams that the command writes, and all that it touches, in the log and as it is decided by now."""
        handles = self.handles_of(recorded.event)
        besides = self._besides_of(handles)
        writes = list(besides(self.wish_of(recorded))) if besides else []
        reads: Iterable[Stream] = ()
        if handles.evaluator != recorded.evaluator:
            touched = handles.touched(self.wish_of(recorded))
            writes, reads = writes + touched.guarded, touched.read
        if not (writes or reads):
            return places.guarded, places.all
        guarded = {*places.guarded, *(one.name(self._tenant) for one in writes)}
        return guarded, {*places.all, *guarded, *(one.name(self._tenant) for one in reads)}

    def _besides_of_rules(self, handles: Handles) -> Besides | None:
        return handles.besides(self._candidate.kind, self._candidate.body) if handles.besides else None

    async def _look(self, known: Mapping[str, At], recorded: Recorded, stream: Stream) -> Any:
        """As for one process: what the command's record does not tell is asked for now."""
        name = stream.name(self._tenant)
        if name not in known and name in self._shares.last:
            await self._ask((name,))
        return await super()._look(known, recorded, stream)

    async def _ask(self, given: Iterable[str]) -> None:
        """Learns how the other shares left these streams, and lets them learn how this one did."""
        await asyncio.sleep(0)
        for share, streams in self._apart.unheard(given).items():
            answer = await self.peers.ask(share, Question(max(position for _, position in streams), streams))
            self._apart.hear(streams, answer.states)

    async def keep_pace(self, position: int) -> None:
        """Waits for whoever is too far behind."""
        self.peers.come_to(position)
        self._apart.behind = await self.peers.not_far_ahead(position)

    def finish(self) -> None:
        """All that the others may still ask for is known."""
        self.peers.come_to(sys.maxsize)


async def work(share: Telling, store: EventStore, window: Window, tell: Tell, page: int = PAGE_EVENTS) -> None:
    """Runs the share to its end; what it finds is told as it goes."""
    after = share.begins
    while after < window.until and (events := await store.feed(after, page)):
        for recorded in events:
            if share.is_due(recorded):
                await share.take(recorded)
        after = events[-1].position
        await share.keep_pace(after)
        await tell(share.found(min(after, window.until)))
    share.finish()
    await tell(share.found(window.until, last=True))
