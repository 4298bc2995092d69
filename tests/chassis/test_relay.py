import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from chassis.epoch import LogBehind
from chassis.positions import MemoryPositions
from chassis.relay import Relay, Settings
from chassis.store.leases import LeaseSettings
from chassis.supervision import Backoff, Tasks
from chassis.testing.feed import BEGIN, MemoryFeed, outlet
from chassis.transport.port import Message
from tests.patience import PATIENCE_SECONDS

QUICK = Backoff(first_seconds=0.001, most_seconds=0.01)
BRIEF = LeaseSettings(lease_seconds=0.03, renew_seconds=0.01, wait_seconds=0.01)


@dataclass
class Broker:
    """A broker with partitions in memory. `faults` are raised by the next sends, after taking the messages or not."""

    records: dict[int, list[Message]] = field(default_factory=lambda: {0: [], 1: []})
    faults: list[tuple[Exception, bool]] = field(default_factory=list)
    producers: int = 0

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Broker"]:
        self.producers += 1
        yield self

    async def send(self, messages: Sequence[Message]) -> Mapping[int, int]:
        fault, taken = self.faults.pop() if self.faults else (None, True)
        if taken:
            for message in messages:
                self.records[self.partition(message)].append(message)
        if fault:
            raise fault
        return {self.partition(message): message.position for message in messages}

    def partition(self, message: Message) -> int:
        return len(message.tenant) % 2

    async def tails(self, topic: str, epoch: int) -> Mapping[int, int]:
        return {number: held[-1].position if held else 0 for number, held in self.records.items()}

    def positions(self, partition: int = 0) -> list[int]:
        return [message.position for message in self.records[partition]]


@dataclass
class Running:
    feed: MemoryFeed = field(default_factory=MemoryFeed)
    broker: Broker = field(default_factory=Broker)
    saved: MemoryPositions = field(default_factory=MemoryPositions)

    @asynccontextmanager
    async def relay(self, batch_events: int = 1000) -> AsyncIterator[Relay]:
        settings = Settings(batch_events=batch_events, linger_seconds=0, poll_seconds=0.05)
        made = Relay(outlet(self.feed), self.broker.open, self.saved, settings)
        tasks = Tasks(QUICK)
        tasks.start("relay", made.run)
        try:
            yield made
        finally:
            await tasks.stop()

    async def until(self, position: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.saved.by_name.get("relay entente.testing/1", 0) < position:
                await asyncio.sleep(0.001)


async def test_the_feed_is_sent_in_position_order_and_the_position_saved() -> None:
    running = Running()
    async with running.relay(batch_events=2):
        await running.feed.commit(1, 2, 3, 4, 5)
        await running.until(5)
    assert running.broker.positions() == [1, 2, 3, 4, 5]


async def test_a_restarted_relay_goes_on_from_its_saved_position() -> None:
    running = Running()
    async with running.relay():
        await running.feed.commit(1, 2)
        await running.until(2)
    await running.feed.commit(3)
    async with running.relay():
        await running.until(3)
    assert running.broker.positions() == [1, 2, 3]


@pytest.mark.parametrize("error", [TimeoutError("no ack"), asyncio.CancelledError()])
async def test_any_trouble_recreates_the_producer_and_sends_again_from_the_saved_position(error: Exception) -> None:
    running = Running()
    running.broker.faults = [(error, True), (error, False)]
    async with running.relay():
        await running.feed.commit(1, 2)
        await running.until(2)
    assert running.broker.positions() == [1, 2, 1, 2]
    assert running.broker.producers == 3


@pytest.mark.parametrize("error", [TimeoutError("no ack"), asyncio.CancelledError()])
async def test_trouble_in_a_rush_leaves_nothing_out(error: Exception) -> None:
    running = Running()
    await running.feed.commit(*range(1, 51))
    running.broker.faults = [(error, False), (error, True), (error, False)]
    async with running.relay(batch_events=4):
        await running.until(50)
    assert list(dict.fromkeys(running.broker.positions())) == list(range(1, 51))


async def test_a_relay_goes_back_when_the_broker_lost_what_it_had_acknowledged() -> None:
    running = Running()
    async with running.relay():
        await running.feed.commit(1, 2, 3)
        await running.feed.commit(4, tenant="globex")
        await running.until(4)
    assert running.broker.positions(0) == [1, 2, 3, 4]
    del running.broker.records[0][1:]
    await running.feed.commit(5)
    async with running.relay():
        await running.until(5)
    assert running.broker.positions(0) == [1, 2, 3, 4, 5]


async def test_a_relay_sends_nothing_while_the_topic_holds_more_than_the_log() -> None:
    running = Running()
    async with running.relay():
        await running.feed.commit(1, 2, 3)
        await running.until(3)
    restored = Running(broker=running.broker)
    await restored.feed.commit(1, 2)
    made = Relay(outlet(restored.feed), restored.broker.open, restored.saved)
    with pytest.raises(LogBehind, match=r"ends at 2 and was read further \(the topic to 3\)"):
        await asyncio.wait_for(made.run(), PATIENCE_SECONDS)
    assert running.broker.positions() == [1, 2, 3]


async def test_what_is_not_public_is_passed_without_a_message() -> None:
    running = Running()
    async with running.relay() as relay:
        await running.feed.commit(1, 2, public=False)
        await running.feed.commit(3)
        await running.until(3)
    assert running.broker.positions() == [3]
    assert relay.sent == 1


async def test_a_lease_keeps_one_relay_busy_and_the_other_takes_over() -> None:
    running = Running()
    settings = Settings(linger_seconds=0, poll_seconds=0.02, lease=BRIEF)
    one, other = (Relay(outlet(running.feed), running.broker.open, running.saved, settings) for _ in range(2))
    first, second = Tasks(QUICK), Tasks(QUICK)
    first.start("one", one.run)
    await running.feed.commit(1, 2, 3)
    await running.until(3)
    second.start("other", other.run)
    await running.feed.commit(4)
    await running.until(4)
    assert (one.sent, other.sent, running.broker.producers) == (4, 0, 1)
    await first.stop()
    await running.feed.commit(5)
    await running.until(5)
    assert (one.sent, other.sent, running.broker.producers) == (4, 1, 2)
    await second.stop()
    assert running.broker.positions() == [1, 2, 3, 4, 5]


async def test_a_relay_that_lost_its_lease_stops_sending() -> None:
    running = Running()
    settings = Settings(linger_seconds=0, poll_seconds=0.005, lease=BRIEF)
    relay = Relay(outlet(running.feed), running.broker.open, running.saved, settings)
    tasks = Tasks(QUICK)
    tasks.start("relay", relay.run)
    await running.feed.commit(1)
    await running.until(1)
    running.feed.leases["relay entente.testing/1"] = "somebody else"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not tasks.failures:
            await asyncio.sleep(0.001)
    await running.feed.commit(2)
    await asyncio.sleep(0.05)
    assert running.broker.positions() == [1]
    await tasks.stop()


async def test_the_age_of_what_the_broker_lacks_is_that_of_the_oldest_public_event() -> None:
    running = Running()
    relay = Relay(outlet(running.feed), running.broker.open, running.saved)
    assert await relay.age_seconds(BEGIN) == 0
    await running.feed.commit(1, public=False)
    await running.feed.commit(2, 3)
    assert await relay.age_seconds(BEGIN + timedelta(seconds=32)) == 30
    await running.saved.set("relay entente.testing/1", 2)
    assert await relay.age_seconds(BEGIN + timedelta(seconds=32)) == 29
    await running.saved.set("relay entente.testing/1", 3)
    assert await relay.age_seconds(BEGIN + timedelta(seconds=32)) == 0
