# ruff: noqa: PLR2004 - expected values are written by hand
"""What every transport owes its subscribers. Subclass it and give the fixture `travel`."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from chassis.positions import MemoryPositions
from chassis.testing.feed import BEGIN, CountTold, MemoryFeed, outlet
from chassis.transport.port import Message, OnBatch, Positions, Transport, topic_of

DEADLINE_SECONDS = 60.0


@dataclass
class Hearing:
    """A subscriber that notes what it hears. The first `refusals` batches raise."""

    refusals: int = 0
    heard: list[Message] = field(default_factory=list)
    batches: int = 0

    async def __call__(self, messages: list[Message]) -> None:
        self.batches += 1
        if self.batches <= self.refusals:
            raise ConnectionError("the database is away")
        self.heard.extend(messages)

    def numbers(self, tenant: str = "acme") -> list[int]:
        """The counts of one tenant in the order they came."""
        return [message.seen().event.number for message in self.heard if message.tenant == tenant]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Waits, with a deadline, until enough was heard."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not enough():  # noqa: ASYNC110 - a condition on whatever was heard
                await asyncio.sleep(0.005)


@dataclass
class Travel:
    """One medium on which transports come and go, as processes do. `make` opens a new transport on it."""

    make: Callable[[], Transport]
    service: str = "testing"
    feed: MemoryFeed = field(default_factory=MemoryFeed)
    sent: Positions = field(default_factory=MemoryPositions)
    finished: Positions = field(default_factory=MemoryPositions)

    @asynccontextmanager
    async def running(self, *, listening: OnBatch | None = None, **subscribers: OnBatch) -> AsyncIterator[Transport]:
        """A process that publishes the feed and has these groups."""
        transport = self.make()
        transport.offer(outlet(self.feed, self.service), self.sent)
        for group, on_batch in subscribers.items():
            transport.subscribe(topic_of(self.service), f"{self.service}.{group}", on_batch, self.finished)
        if listening is not None:
            transport.listen(topic_of(self.service), listening)
        await transport.start()
        try:
            yield transport
        finally:
            await transport.stop()

    async def noted(self, transport: Transport) -> None:
        """Waits until all that was told is noted as told: else who comes back tells it again."""
        later = BEGIN + timedelta(days=1)
        async with asyncio.timeout(DEADLINE_SECONDS):
            while any([await relay.age_seconds(later) for relay in transport.relays]):  # noqa: ASYNC110 - a relay tells nobody
                await asyncio.sleep(0.005)


def first_times(numbers: list[int]) -> list[int]:
    """Each number where it came first: at least once allows repeats, never a new order."""
    return list(dict.fromkeys(numbers))


def place(message: Message) -> tuple[int, int]:
    """Where the message lies in its topic."""
    return message.partition, message.offset


class TransportConformance:
    """Inherit and define the fixture `travel`."""

    async def test_a_group_hears_a_tenant_in_position_order(self, travel: Travel) -> None:
        hearing = Hearing()
        async with travel.running(reader=hearing):
            for number in range(1, 31):
                await travel.feed.commit(number, tenant="acme" if number % 2 else "globex", counter=str(number % 7))
            await hearing.until(lambda: len(hearing.heard) >= 30)
        assert hearing.numbers("acme") == list(range(1, 31, 2))
        assert hearing.numbers("globex") == list(range(2, 31, 2))

    async def test_every_group_hears_everything(self, travel: Travel) -> None:
        one, other = Hearing(), Hearing()
        async with travel.running(one=one, other=other):
            await travel.feed.commit(1, 2, 3)
            await one.until(lambda: len(one.heard) >= 3)
            await other.until(lambda: len(other.heard) >= 3)
        assert one.numbers() == other.numbers() == [1, 2, 3]

    async def test_every_process_that_listens_hears_all_from_then_on_and_nothing_from_before(
        self, travel: Travel
    ) -> None:
        await travel.feed.commit(1, 2, 3)
        one, other, group = Hearing(), Hearing(), Hearing()
        async with travel.running(reader=group) as transport:
            await group.until(lambda: len(group.heard) >= 3)
            await travel.noted(transport)
        async with travel.running(reader=group, listening=one), travel.running(reader=group, listening=other):
            number = 10
            # A listener hears nothing before it has joined, and nobody tells when that is.
            while not (one.heard and other.heard):
                number += 1
                await travel.feed.commit(number)
                await asyncio.sleep(0.05)
            await travel.feed.commit(*range(1_001, 1_051))
            await one.until(lambda: 1_050 in one.numbers())
            await other.until(lambda: 1_050 in other.numbers())
        for hearing in (one, other):
            assert first_times(hearing.numbers())[-50:] == list(range(1_001, 1_051))
            assert min(hearing.numbers()) > 3

    async def test_what_was_committed_before_a_group_existed_is_heard(self, travel: Travel) -> None:
        await travel.feed.commit(*range(1, 1201))
        hearing = Hearing()
        async with travel.running(reader=hearing):
            await hearing.until(lambda: len(hearing.heard) >= 1200)
            await travel.feed.commit(1201)
            await hearing.until(lambda: len(hearing.heard) >= 1201)
        assert hearing.numbers() == list(range(1, 1202))

    async def test_the_envelope_arrives_whole(self, travel: Travel) -> None:
        hearing = Hearing()
        async with travel.running(reader=hearing):
            await travel.feed.commit(7, public=False)
            await travel.feed.commit(8)
            await hearing.until(lambda: len(hearing.heard) >= 1)
        (message,) = hearing.heard
        recorded = travel.feed.recorded[1]
        assert message.fault is None
        assert message.type == "entente.testing.CountTold.v1"
        assert (message.source, message.epoch, message.position) == (travel.service, 1, 2)
        assert (message.traceparent, message.topic) == (f"00-{2:032x}-{2:016x}-01", topic_of(travel.service))
        assert message.body == b'{"number":8}'
        seen = message.seen()
        assert seen.event == CountTold(number=8)
        assert (seen.id, seen.tenant, seen.stream, seen.version) == (recorded.id, "acme", "acme:counter-a", 2)
        assert seen.recorded_at == BEGIN + timedelta(seconds=2)
        assert (seen.command_id, seen.causation_id, seen.correlation_id) == ("command-2", "cause-2", "correlation-2")

    async def test_what_is_not_public_does_not_travel(self, travel: Travel) -> None:
        hearing = Hearing()
        async with travel.running(reader=hearing):
            await travel.feed.commit(1, 2, public=False)
            await travel.feed.commit(3)
            await hearing.until(lambda: len(hearing.heard) >= 1)
        assert hearing.numbers() == [3]

    async def test_a_batch_that_raises_comes_again_and_nothing_is_lost(self, travel: Travel) -> None:
        hearing, other = Hearing(refusals=2), Hearing()
        async with travel.running(reader=hearing, other=other):
            await travel.feed.commit(1, 2, 3)
            await other.until(lambda: len(other.heard) >= 3)
            await hearing.until(lambda: len(hearing.heard) >= 3)
        assert first_times(hearing.numbers()) == [1, 2, 3]
        assert hearing.batches >= 3

    async def test_a_group_goes_on_where_it_was_when_its_process_comes_back(self, travel: Travel) -> None:
        before, after = Hearing(), Hearing()
        async with travel.running(reader=before) as transport:
            await travel.feed.commit(1, 2, 3)
            await before.until(lambda: len(before.heard) >= 3)
            await travel.noted(transport)
        await travel.feed.commit(4, 5)
        async with travel.running(reader=after):
            await travel.feed.commit(6)
            await after.until(lambda: 6 in after.numbers())
        assert first_times(before.numbers() + after.numbers()) == [1, 2, 3, 4, 5, 6]
        assert after.numbers() == [4, 5, 6]

    async def test_a_stop_finishes_the_batch_in_hand(self, travel: Travel) -> None:
        begun, done = asyncio.Event(), Counter[tuple[int, int]]()

        async def slow(messages: list[Message]) -> None:
            begun.set()
            await asyncio.sleep(0.2)
            done.update(map(place, messages))

        async with travel.running(reader=slow):
            await travel.feed.commit(1)
            async with asyncio.timeout(DEADLINE_SECONDS):
                await begun.wait()
        assert list(done.values()) == [1]
        again = Hearing()
        async with travel.running(reader=again):
            await travel.feed.commit(2)
            await again.until(lambda: 2 in again.numbers())
        # By place: a relay that is stopped before it has noted an acknowledgement tells the same again, in another one.
        assert not done.keys() & set(map(place, again.heard))

    async def test_lag_ends_at_nothing(self, travel: Travel) -> None:
        hearing = Hearing()
        async with travel.running(reader=hearing) as transport:
            await travel.feed.commit(1, 2, 3)
            await hearing.until(lambda: len(hearing.heard) >= 3)
            await hearing.until(lambda: [lag.behind for lag in transport.lag()] == [0])
            (lag,) = transport.lag()
            assert lag.finished == 3
