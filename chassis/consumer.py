"""What a service does with the batches of one topic: its reactions, or its read models.

Reactions of one batch run side by side for different subjects and in order for one. What goes wrong follows one table:
busy or away is held and tried again, a bug is tried three times and parked, what cannot be read is parked at once, an
unknown type is counted and passed. Projections never park: what they raise holds the batch.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from msgspec.structs import replace

from chassis import logs
from chassis.away import is_away
from chassis.error_text import told, without_values
from chassis.event import TYPES, PublicEvent, Seen, UnknownType, frozen
from chassis.parking import DONE, PARKED, WAITING, Held, ParkedRow, Parking, subject_of
from chassis.supervision import Backoff, log
from chassis.tracing import CONSUMER, UNTRACED, Tracer
from chassis.transport.port import Broken, Message, Undecodable, event_name, reactions_group, read, service_of

App = TypeVar("App")
React = Callable[[Seen], Awaitable[None]]


class StillAway(Exception):
    """What a reaction needs is still away after the longest hold: the batch is given back and comes again."""


@frozen
class Settings:
    """The limits of one consumer. `hold_seconds` stays well below the broker's longest time between two polls."""

    tries: int = 3
    side_by_side: int = 64
    hold_seconds: float = 60.0
    replay_rows: int = 500
    replay_seconds: float = 1.0
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.05, most_seconds=5.0))
    retry: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.02, most_seconds=0.5))


@dataclass(kw_only=True)
class Counters:
    """What happened to the messages of one consumer since the process started."""

    reacted: int = 0
    passed: int = 0
    unknown: int = 0
    retried: int = 0
    held: int = 0
    parked: int = 0
    parked_behind: int = 0
    undecodable: int = 0
    replayed: int = 0


def bound(table: Mapping[type[PublicEvent], Callable[[Seen, App], Awaitable[None]]], app: App) -> dict[str, React]:
    """A service's reactions by type name, each with the application it works on."""

    def bind(reaction: Callable[[Seen, App], Awaitable[None]]) -> React:
        return lambda seen: reaction(seen, app)

    return {cls.type: bind(reaction) for cls, reaction in table.items()}


class Reactions:
    """One batch subscriber of a topic for a service; `on_batch` goes to the transport, `replay_always` to a task."""

    def __init__(
        self,
        service: str,
        topic: str,
        reactions: Mapping[str, React],
        parking: Parking,
        settings: Settings | None = None,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._tracer = tracer
        self.group, self.topic = reactions_group(service), topic
        self.counters = Counters()
        self._reactions, self._parking = reactions, parking
        self._settings = settings or Settings()
        self._places = asyncio.Semaphore(self._settings.side_by_side)
        # One lock for batches and replays: a subject's new messages must not overtake the parked ones being replayed.
        self._turn = asyncio.Lock()

    async def on_batch(self, messages: list[Message]) -> None:
        """Reacts to a batch. What it could not do and cannot park raises, and the batch comes again."""
        wanted = [message for message in messages if self._is_wanted(message)]
        if wanted:
            async with self._turn:
                await self._side_by_side(wanted, await self._parking.held(self.group, wanted))

    def _is_wanted(self, message: Message) -> bool:
        if message.type in self._reactions or message.fault is not None:
            return True
        if message.type in TYPES.classes:
            self.counters.passed += 1
        else:
            self.counters.unknown += 1
        return False

    async def _side_by_side(self, messages: list[Message], held: Held) -> None:
        lines: dict[str, list[Message]] = {}
        for message in messages:
            if (message.partition, message.offset) not in held.places:
                lines.setdefault(subject_of(message), []).append(message)
        waits = [self._in_order(line, held=subject in held.subjects) for subject, line in lines.items()]
        if len(waits) == 1:
            await waits[0]
        else:
            await _all(waits)

    async def _in_order(self, line: list[Message], *, held: bool) -> None:
        async with self._places:
            for index, message in enumerate(line):
                reason = "" if held else await self._attempt(message)
                if held or reason:
                    await self._park(line[index:], reason, behind=held)
                    return

    async def _park(self, line: Sequence[Message], reason: str, *, behind: bool) -> None:
        states = [WAITING] * len(line) if behind else [PARKED] + [WAITING] * (len(line) - 1)
        rows = list(zip(line, states, strict=True))
        await self._parking.park(self.group, rows, reason or "waits behind a parked message")
        self.counters.parked += states.count(PARKED)
        self.counters.parked_behind += states.count(WAITING)
        if not behind:
            first = line[0]
            log.error("message_parked", group=self.group, subject=first.subject, position=first.position, reason=reason)

    async def _attempt(self, message: Message) -> str:
        """Carries a message out, as often as the table says. Answers "" when done, else why it is to be parked."""
        try:
            seen = message.seen()
        except Broken as error:
            self.counters.undecodable += 1
            return f"cannot be read: {without_values(str(error))}"
        except UnknownType:
            self.counters.unknown += 1
            return ""
        known = logs.correlated(correlation_id=seen.correlation_id, tenant=seen.tenant, traceparent=seen.traceparent)
        with known, self._tracer.span(f"react {event_name(seen.type)}", seen.traceparent, kind=CONSUMER) as span:
            if span.traceparent != seen.traceparent:
                seen = replace(seen, traceparent=span.traceparent)
            reason = await self._tries(self._reactions[message.type], seen)
            span.note(messaging__destination__name=self.topic, messaging__consumer__group__name=self.group)
            if reason:
                span.failed("parked")
            return reason

    async def _tries(self, react: React, seen: Seen) -> str:
        failures = 0
        while True:
            try:
                await self._until_back(react, seen)
            except StillAway:
                raise
            except Exception as error:  # noqa: BLE001 - a bug of any kind: tried again, then parked with its reason
                failures += 1
                log.warning("reaction_failed", group=self.group, type=seen.type, id=seen.id, exc_info=error)
                if failures >= self._settings.tries:
                    return told(error)
                self.counters.retried += 1
                await asyncio.sleep(self._settings.retry.pause_seconds(failures))
            else:
                self.counters.reacted += 1
                return ""

    async def _until_back(self, react: React, seen: Seen) -> None:
        failures, loop = 0, asyncio.get_running_loop()
        give_back_at = loop.time() + self._settings.hold_seconds
        while True:
            try:
                return await react(seen)
            except Exception as error:
                if not is_away(error):
                    raise
                failures += 1
                self.counters.held += 1
                pause = self._settings.backoff.pause_seconds(failures)
                if loop.time() + pause > give_back_at:
                    raise StillAway(f"{type(error).__name__}: {error}") from error
                await asyncio.sleep(pause)

    async def replay_always(self) -> None:
        """Carries out, for ever, what was released from parking. For a supervised task of its own."""
        while True:
            await self.replay()
            await asyncio.sleep(self._settings.replay_seconds)

    async def replay(self) -> int:
        """Carries out the released messages now, each subject in order, and answers how many are done."""
        done = 0
        async with self._turn:
            rows = await self._parking.runnable(self.group, self.topic, self._settings.replay_rows)
            for _, line in groupby(rows, key=lambda row: row.subject):
                done += await self._replay_line(line)
        self.counters.replayed += done
        return done

    async def _replay_line(self, line: Iterable[ParkedRow]) -> int:
        done = 0
        for row in line:
            reason = await self._attempt_replay(row.message)
            await self._parking.settle(row.place, PARKED if reason else DONE, reason)
            if reason:
                break
            done += 1
        return done

    async def _attempt_replay(self, message: Message) -> str:
        if message.fault is None and message.type not in self._reactions:
            return ""
        return await self._attempt(message)


async def _all(waits: Iterable[Awaitable[None]]) -> None:
    """Waits for all, whatever some raise, then raises the first of it: no line is cut off by another's trouble."""
    for outcome in await asyncio.gather(*waits, return_exceptions=True):
        if isinstance(outcome, BaseException):
            raise outcome


class Projecting:
    """One batch subscriber that feeds a read model: whole batches in order, `Undecodable` for what cannot be read."""

    def __init__(self, apply: Callable[[str, list[Seen | Undecodable]], Awaitable[None]], topic: str) -> None:
        self.source = service_of(topic)
        self.counters = Counters()
        self._apply = apply

    async def on_batch(self, messages: list[Message]) -> None:
        """Applies a batch; what the read model raises holds it."""
        batch = [found for found in map(read, messages) if found is not None]
        self.counters.unknown += len(messages) - len(batch)
        self.counters.undecodable += sum(isinstance(found, Undecodable) for found in batch)
        if batch:
            await self._apply(self.source, batch)
        self.counters.reacted += len(batch)
