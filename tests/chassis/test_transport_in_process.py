import asyncio
from pathlib import Path

import pytest

from chassis.clock import SystemClock
from chassis.desk.sqlite import SqliteDesk
from chassis.event import PublicEvent, Seen
from chassis.positions import MemoryPositions
from chassis.supervision import Backoff
from chassis.testing.feed import MemoryFeed, outlet, publish
from chassis.testing.transport_conformance import Hearing, TransportConformance, Travel
from chassis.transport.in_process import InProcessTransport, Settings
from chassis.transport.port import Message, Outlet, topic_of

QUICK = Backoff(first_seconds=0.01, most_seconds=0.05)


class TestInProcess(TransportConformance):
    @pytest.fixture
    def travel(self) -> Travel:
        return Travel(make=lambda: InProcessTransport(Settings(backoff=QUICK)))


class TestInProcessWithASmallWindow(TransportConformance):
    @pytest.fixture
    def travel(self) -> Travel:
        small = Settings(backoff=QUICK, batch_messages=2, window_messages=2, linger_seconds=0)
        return Travel(make=lambda: InProcessTransport(small))


async def test_positions_survive_a_process_that_was_killed(tmp_path: Path) -> None:
    feed, hearing = MemoryFeed(), Hearing()
    await feed.commit(*range(1, 101))
    desk = SqliteDesk(tmp_path, "testing", SystemClock())
    await desk.migrate()
    positions = desk.positions
    transport = InProcessTransport(Settings(save_seconds=0.01))
    transport.offer(outlet(feed), positions)
    transport.subscribe("entente.testing", "reader", hearing, positions)
    await transport.start()
    async with asyncio.timeout(30):
        while await positions.get("entente.testing/1>reader") < 100:
            await asyncio.sleep(0.005)
    reopened = SqliteDesk(tmp_path, "testing", SystemClock())
    assert await reopened.positions.get("entente.testing/1>reader") == 100
    await reopened.close()
    await transport.stop()
    await desk.close()


async def test_a_restored_store_counts_its_readers_anew() -> None:
    travel = Travel(make=lambda: InProcessTransport(Settings(backoff=QUICK)))
    before, after = Hearing(), Hearing()
    async with travel.running(reader=before):
        await travel.feed.commit(1, 2, 3)
        await before.until(lambda: len(before.heard) >= 3)
    travel.feed = MemoryFeed(epoch=2)
    await travel.feed.commit(1, 9)
    async with travel.running(reader=after):
        await after.until(lambda: len(after.heard) >= 2)
    assert after.numbers() == [1, 9]


async def test_caught_up_waits_for_what_reactions_commit() -> None:
    first, second, last = MemoryFeed(), MemoryFeed(), Hearing()
    transport = InProcessTransport()
    positions = MemoryPositions()
    transport.offer(outlet(first, "first"), positions)
    transport.offer(outlet(second, "second"), positions)

    async def pass_on(messages: list[Message]) -> None:
        await asyncio.sleep(0.01)
        await second.commit(*(message.seen().event.number for message in messages))

    transport.subscribe(topic_of("first"), "reactions", pass_on, positions)
    transport.subscribe(topic_of("second"), "board", last, positions)
    await transport.start()
    await first.commit(1, 2, 3)
    await transport.caught_up()
    assert last.numbers() == [1, 2, 3]
    await transport.stop()


async def test_a_translation_that_fails_is_tried_again_and_nothing_is_lost_or_doubled() -> None:
    feed, hearing, failures = MemoryFeed(), Hearing(), [ValueError("a bug"), ValueError("a bug")]

    def publish_with_a_bug(seen: Seen) -> PublicEvent | None:
        if seen.position == 2 and failures:
            raise failures.pop()
        return publish(seen)

    transport = InProcessTransport(Settings(backoff=QUICK, poll_seconds=0.01))
    positions = MemoryPositions()
    transport.offer(Outlet("testing", feed, publish_with_a_bug), positions)
    transport.subscribe("entente.testing", "reader", hearing, positions)
    await transport.start()
    await feed.commit(1, 2, 3)
    await hearing.until(lambda: len(hearing.heard) >= 3)
    await transport.stop()
    assert hearing.numbers() == [1, 2, 3]
    assert not failures
