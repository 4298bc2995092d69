"""Carries one service's feed to the broker: in position order, at least once, and never past what is acknowledged.

Any trouble ends `run`, and with it the producer; whoever supervises it starts it again from the saved position. Two
relays at once are harmless, because every reader drops repeats; a lease only keeps one of them idle.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from chassis.epoch import must_hold
from chassis.event import frozen
from chassis.store.leases import Lease, LeaseSettings
from chassis.supervision import log
from chassis.transport.port import Message, Outlet, Positions, relay_name, sending, translated


@frozen
class Settings:
    """The limits of a relay."""

    batch_events: int = 1_000
    linger_seconds: float = 0.01
    poll_seconds: float = 1.0
    save_every_events: int = 10_000
    lease: LeaseSettings = field(default_factory=LeaseSettings)


class Sender(Protocol):
    """A fresh producer, used by one `run` of a relay and thrown away after it."""

    async def send(self, messages: Sequence[Message]) -> Mapping[int, int]:
        """Sends in order and returns when all is acknowledged: the last position that each partition then holds."""

    async def tails(self, topic: str, epoch: int) -> Mapping[int, int]:
        """The position in the last record of each partition, 0 for one that never held any; others are left out."""


OpenSender = Callable[[], AbstractAsyncContextManager[Sender]]


@dataclass(frozen=True)
class Stretch:
    """A piece of the feed behind the position `after`: what of it is public, and its last position."""

    after: int
    messages: list[Message]
    last: int


class LeaseLost(Exception):
    """Another process relays now: this one waits for its turn."""


class Relay:
    """Sends what an outlet publishes. `sent` counts messages, `position` is what is acknowledged and saved."""

    def __init__(
        self,
        outlet: Outlet,
        open_sender: OpenSender,
        positions: Positions,
        settings: Settings | None = None,
    ) -> None:
        self.outlet = outlet
        self.sent = self.position = 0
        self._open_sender, self._positions = open_sender, positions
        self._settings = settings or Settings()
        self._lease = Lease(outlet.store, self._name, self._settings.lease)
        self._saved = 0

    @property
    def _name(self) -> str:
        return relay_name(self.outlet)

    async def run(self) -> None:
        """Relays until something fails or it is cancelled."""
        async with self._lease.hold() as held, self._open_sender() as sender:
            self.position = self._saved = await self._start(sender)
            stretch = await self._read(self.position)
            while held.ours:
                stretch = await self._step(sender, stretch)
            raise LeaseLost(self._name)

    async def _start(self, sender: Sender) -> int:
        """The saved position; further back where the broker lost acknowledged records at the end of a partition.

        Raises LogBehind where the topic holds more than the log does.
        """
        position = await self._positions.get(self._name)
        tails = await sender.tails(self.outlet.topic, self.outlet.store.epoch)
        # After the tails: another process may relay what has been recorded meanwhile.
        await must_hold(self.outlet.service, self.outlet.store, {"the topic": max(tails.values(), default=0)})
        for partition, tail in tails.items():
            sent = await self._positions.get(f"{self._name}/{partition}")
            if tail < sent:
                log.error("broker_lost_records", topic=self.outlet.topic, partition=partition, tail=tail, sent=sent)
                position = min(position, tail)
        return position

    async def _step(self, sender: Sender, stretch: Stretch) -> Stretch:
        """Sends one stretch and reads the next: at the same time in a rush, while the broker answers."""
        if len(stretch.messages) < self._settings.batch_events // 2:
            await self._carry(sender, stretch)
            if stretch.messages and self._settings.linger_seconds:
                # After a batch, not before it: the first event of a quiet time goes at once, a rush gathers.
                await asyncio.sleep(self._settings.linger_seconds)
            return await self._read(self.position)
        async with asyncio.TaskGroup() as group:
            carrying = group.create_task(self._carry(sender, stretch))
            following = group.create_task(self._read(stretch.last))
        # A group says nothing of a task that was cancelled from inside; its result does.
        carrying.result()
        return following.result()

    async def _read(self, after: int) -> Stretch:
        store, settings = self.outlet.store, self._settings
        await store.wait_beyond(after, settings.poll_seconds)
        recorded = await store.feed(after, settings.batch_events)
        return Stretch(after, translated(self.outlet, recorded), recorded[-1].position if recorded else after)

    async def _carry(self, sender: Sender, stretch: Stretch) -> None:
        assert stretch.after == self.position, "a stretch was left out"
        if stretch.last > self.position:
            with sending(self.outlet.tracer, stretch.messages) as messages:
                tails = await sender.send(messages) if messages else {}
            self.sent += len(stretch.messages)
            self.position = stretch.last
            await self._save(tails)

    async def age_seconds(self, now: datetime) -> float:
        """For how long the oldest public event has waited that the broker has not acknowledged; 0 for none."""
        position = max(self.position, await self._positions.get(self._name))
        while recorded := await self.outlet.store.feed(position, self._settings.batch_events):
            if waiting := translated(self.outlet, recorded):
                assert waiting[0].time is not None
                return max(0.0, (now - waiting[0].time).total_seconds())
            position = recorded[-1].position
        return 0.0

    async def _save(self, tails: Mapping[int, int]) -> None:
        """Saves after acks. Where nothing was public, seldom: reading private events again costs little."""
        if not tails and self.position - self._saved < self._settings.save_every_events:
            return
        last = {f"{self._name}/{partition}": position for partition, position in tails.items()}
        await self._positions.set_many({**last, self._name: self.position})
        self._saved = self.position
