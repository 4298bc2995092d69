"""What every adapter of the event store has to do; a test file subclasses `StoreConformance` once for each.

A subclass says how a store is made; made again, it is a second store over the same data.
"""

# ruff: noqa: PLR2004  expected values are written by hand, as in tests/
import asyncio
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from chassis.decider import Busy
from chassis.event import Actor, UnknownType, encode, event
from chassis.store.leases import Lease, LeaseSettings
from chassis.store.port import Commit, Conflict, EventStore, NewEvent, NotMigrated, Recorded, StoreSettings

AT = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
SALES = Actor(kind="partner", subject="person-1", partner_id="partner-1")


@event("chassis.testing.LampLit.v1")
class LampLit:
    """A fact to record."""

    room: str
    watts: int


numbers = itertools.count(1)


def lamp(stream: str, version: int, room: str = "hall") -> NewEvent:
    """An event of the stream with an id of its own."""
    lit = LampLit(room=room, watts=60)
    return NewEvent(stream, version, f"event-{next(numbers)}", LampLit.type, encode(lit))  # type: ignore[attr-defined]


def commit(*events: NewEvent, command_id: str | None = None) -> Commit:
    """A commit of the events, with the command's own record when it has an id."""
    record = (NewEvent(f"acme:command-{command_id}", 1, f"event-{next(numbers)}", "chassis.Record.v1", b"{}"),)
    return Commit(
        tenant="acme",
        actor=SALES,
        command_id=command_id,
        causation_id="cause-1",
        correlation_id="request-1",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        evaluator=3,
        recorded_at=AT,
        events=events + (record if command_id else ()),
    )


class StoreConformance(ABC):
    """The promises of the event store port."""

    @abstractmethod
    def make(self, settings: StoreSettings) -> EventStore:
        """A store over the data of this test; a second one sees what the first recorded."""

    @pytest.fixture
    async def store(self) -> AsyncIterator[EventStore]:
        store = self.make(StoreSettings())
        await store.migrate()
        await store.open()
        yield store
        await store.close()

    async def test_a_recorded_event_reads_back_as_it_was_written(self, store: EventStore) -> None:
        (written,) = await store.append(commit(lamp("acme:lamp-1", 1, "cellar")))
        (read,) = await store.load("acme:lamp-1")
        assert read == written
        assert read.event == LampLit(room="cellar", watts=60)
        assert (read.stream, read.version, read.position) == ("acme:lamp-1", 1, 1)
        assert (read.tenant, read.actor, read.evaluator, read.recorded_at) == ("acme", SALES, 3, AT)
        assert (read.command_id, read.causation_id, read.correlation_id) == (None, "cause-1", "request-1")
        assert read.traceparent == "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        assert read.stored.endswith(b'"data":{"room":"cellar","watts":60}}')
        seen = read.seen("lighting")
        assert (seen.source, seen.position, seen.event) == ("lighting", 1, read.event)

    async def test_a_stream_loads_in_version_order_and_behind_a_version(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1), lamp("acme:lamp-1", 2)))
        await store.append(commit(lamp("acme:lamp-2", 1)))
        await store.append(commit(lamp("acme:lamp-1", 3)))
        assert [event.version for event in await store.load("acme:lamp-1")] == [1, 2, 3]
        assert [event.version for event in await store.load("acme:lamp-1", after=1)] == [2, 3]
        assert await store.load("acme:lamp-3") == []

    async def test_many_streams_load_at_once_and_an_unknown_one_is_empty(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1), lamp("acme:lamp-2", 1), lamp("acme:lamp-2", 2)))
        found = await store.load_many({"acme:lamp-1": 0, "acme:lamp-2": 0, "acme:lamp-3": 0})
        assert {stream: [event.version for event in events] for stream, events in found.items()} == {
            "acme:lamp-1": [1],
            "acme:lamp-2": [1, 2],
            "acme:lamp-3": [],
        }

    async def test_many_streams_load_each_behind_its_own_version(self, store: EventStore) -> None:
        await store.append(commit(*(lamp(stream, n) for stream in ('acme:lamp-"1"', "acme:lamp-2") for n in (1, 2, 3))))
        found = await store.load_many({'acme:lamp-"1"': 2, "acme:lamp-2": 0, "acme:lamp-3": 9})
        assert {stream: [event.version for event in events] for stream, events in found.items()} == {
            'acme:lamp-"1"': [3],
            "acme:lamp-2": [1, 2, 3],
            "acme:lamp-3": [],
        }

    async def test_loads_of_one_stream_side_by_side_are_each_behind_their_own_version(self, store: EventStore) -> None:
        await store.append(commit(*(lamp("acme:lamp-1", n) for n in (1, 2, 3))))
        found = await asyncio.gather(*(store.load("acme:lamp-1", after=n) for n in range(4)))
        assert [[event.version for event in events] for events in found] == [[1, 2, 3], [2, 3], [3], []]

    async def test_loads_side_by_side_get_each_their_own_stream(self, store: EventStore) -> None:
        await store.append(commit(*(lamp(f"acme:lamp-{number}", 1, f"room {number}") for number in range(20))))
        found = await asyncio.gather(*(store.load(f"acme:lamp-{number}", after=0) for number in range(20)))
        assert [event.event.room for (event,) in found] == [f"room {number}" for number in range(20)]

    async def test_a_taken_version_is_a_conflict_that_records_nothing(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1)))
        with pytest.raises(Conflict) as raised:
            await store.append(commit(lamp("acme:lamp-2", 1), lamp("acme:lamp-1", 1), command_id="lost"))
        assert raised.value.stream == "acme:lamp-1"
        assert await store.load("acme:lamp-2") == []
        assert await store.load("acme:command-lost") == []
        assert await store.head() == 1

    async def test_the_very_same_commit_twice_is_a_conflict(self, store: EventStore) -> None:
        once = commit(lamp("acme:lamp-1", 1), command_id="once")
        await store.append(once)
        with pytest.raises(Conflict):
            await store.append(once)

    async def test_a_command_is_recorded_once(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1), command_id="one"))
        with pytest.raises(Conflict) as raised:
            await store.append(commit(lamp("acme:lamp-2", 1), command_id="one"))
        assert raised.value.stream == "acme:command-one"
        assert await store.load("acme:lamp-2") == []

    async def test_a_conflict_leaves_its_neighbours_in_the_same_batch(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-7", 1)))
        commits = [commit(lamp(f"acme:lamp-{number}", 1), lamp(f"acme:room-{number}", 1)) for number in range(40)]
        answers = await asyncio.gather(*(store.append(each) for each in commits), return_exceptions=True)
        assert [number for number, answer in enumerate(answers) if isinstance(answer, Conflict)] == [7]
        assert await store.load("acme:room-7") == []
        assert await store.head() >= 79
        feed = await store.feed(0, 1000)
        assert len(feed) == 79

    async def test_of_rivals_in_one_batch_exactly_one_wins(self, store: EventStore) -> None:
        rivals = [commit(lamp("acme:lamp-1", 1), lamp(f"acme:room-{number}", 1)) for number in range(30)]
        answers = await asyncio.gather(*(store.append(each) for each in rivals), return_exceptions=True)
        assert [type(answer) for answer in answers].count(Conflict) == 29
        rooms = await store.load_many({f"acme:room-{number}": 0 for number in range(30)})
        assert sum(len(events) for events in rooms.values()) == 1

    async def test_64_concurrent_appends_are_each_whole_and_in_commit_order(self, store: EventStore) -> None:
        commits = [commit(lamp(f"acme:lamp-{number}", 1), command_id=f"c-{number}") for number in range(64)]
        answers = await asyncio.gather(*(store.append(each) for each in commits))
        positions = [event.position for answer in answers for event in answer]
        assert positions == list(range(1, 129))
        assert [event.position for event in await store.feed(0, 1000)] == positions

    async def test_the_feed_pages_without_gap_or_repeat(self, store: EventStore) -> None:
        await asyncio.gather(*(store.append(commit(lamp(f"acme:lamp-{number}", 1))) for number in range(95)))
        seen: list[int] = []
        while page := await store.feed(seen[-1] if seen else 0, 10):
            assert len(page) <= 10
            seen += [event.position for event in page]
        assert seen == list(range(1, 96))
        assert await store.feed(95, 10) == []

    async def test_the_feed_beyond_the_ring_comes_from_the_database_and_is_the_same(self) -> None:
        small = self.make(StoreSettings(ring_events=8))
        await small.migrate()
        await small.open()
        for number in range(30):
            await small.append(commit(lamp(f"acme:lamp-{number}", 1)))
        from_database = await small.feed(0, 100)
        from_ring = await small.feed(25, 100)
        await small.close()
        assert [event.position for event in from_database] == list(range(1, 31))
        assert from_database[25:] == from_ring

    async def test_a_page_beyond_the_limit_is_refused(self, store: EventStore) -> None:
        with pytest.raises(ValueError, match="at most"):
            await store.feed(0, 10_001)

    async def test_an_unknown_type_reads_as_raw(self, store: EventStore) -> None:
        await store.append(commit(NewEvent("acme:lamp-1", 1, "event-1", "lighting.FromTomorrow.v9", b'{"glow": 7}')))
        (event,) = await store.load("acme:lamp-1")
        assert event.type == "lighting.FromTomorrow.v9"
        assert bytes(event.data) == b'{"glow": 7}'
        with pytest.raises(UnknownType):
            _ = event.event

    async def test_text_of_any_script_survives(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-%C3%BC", 1, "Küche 厨房 \N{ELECTRIC LIGHT BULB} \"'\\ %s")))
        (event,) = await store.load("acme:lamp-%C3%BC")
        assert event.event.room == "Küche 厨房 \N{ELECTRIC LIGHT BULB} \"'\\ %s"

    async def test_a_restart_keeps_everything(self, store: EventStore) -> None:
        written = await store.append(commit(lamp("acme:lamp-1", 1), lamp("acme:lamp-2", 1), command_id="kept"))
        again = self.make(StoreSettings())
        await again.open()
        read = await again.feed(0, 10)
        more = await again.append(commit(lamp("acme:lamp-1", 2)))
        marks = (await again.head(), again.epoch)
        await again.close()
        assert list(read) == written
        assert more[0].position > written[-1].position
        assert marks == (more[0].position, 1)

    async def test_migrating_again_changes_nothing(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1)))
        await asyncio.gather(*(self.make(StoreSettings()).migrate() for _ in range(4)))
        assert len(await store.load("acme:lamp-1")) == 1

    async def test_a_store_without_tables_says_what_to_do(self) -> None:
        with pytest.raises(NotMigrated, match="migrate"):
            await self.make(StoreSettings()).open()

    async def test_a_follower_wakes_with_the_commit(self, store: EventStore) -> None:
        waiting = asyncio.create_task(store.wait_beyond(0, timeout=60))
        await store.append(commit(lamp("acme:lamp-1", 1)))
        async with asyncio.timeout(30):
            await waiting
        assert [event.position for event in await store.feed(0, 10)] == [1]

    async def test_a_follower_comes_back_when_nothing_is_recorded(self, store: EventStore) -> None:
        async with asyncio.timeout(30):
            await store.wait_beyond(0, timeout=0.01)
        assert await store.head() == 0

    async def test_a_follower_wakes_for_the_commit_of_another_store_on_the_same_data(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1)))
        other = self.make(StoreSettings())
        await other.open()
        await other.append(commit(lamp("acme:lamp-2", 1)))
        async with asyncio.timeout(30):
            await store.wait_beyond(1, timeout=60)
        await other.close()
        await store.append(commit(lamp("acme:lamp-1", 2)))
        seen: list[Recorded] = []
        while page := await store.feed(seen[-1].position if seen else 0, 10):
            seen += page
        assert [(event.stream, event.version) for event in seen] == [
            ("acme:lamp-1", 1),
            ("acme:lamp-2", 1),
            ("acme:lamp-1", 2),
        ]

    async def test_beyond_the_queue_a_commit_is_answered_busy(self) -> None:
        narrow = self.make(StoreSettings(queue_max=8, retry_after_seconds=3))
        await narrow.migrate()
        await narrow.open()
        commits = (commit(lamp(f"acme:lamp-{number}", 1)) for number in range(20))
        answers = await asyncio.gather(*(narrow.append(each) for each in commits), return_exceptions=True)
        busy = [answer for answer in answers if isinstance(answer, Busy)]
        recorded = await narrow.feed(0, 100)
        await narrow.close()
        assert (len(busy), len(recorded)) == (12, 8)
        assert (busy[0].status, busy[0].slug, busy[0].retry_after_seconds) == (503, "busy", 3)

    async def test_closing_finishes_what_is_waiting(self) -> None:
        store = self.make(StoreSettings(max_batch=2))
        await store.migrate()
        await store.open()
        waiting = [asyncio.create_task(store.append(commit(lamp(f"acme:lamp-{n}", 1)))) for n in range(50)]
        await asyncio.sleep(0)
        await store.close()
        assert [len(await each) for each in waiting] == [1] * 50

    async def test_a_cancelled_caller_harms_nobody(self, store: EventStore) -> None:
        waiting = [asyncio.create_task(store.append(commit(lamp(f"acme:lamp-{n}", 1)))) for n in range(20)]
        await asyncio.sleep(0)
        waiting[3].cancel()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [n for n, answer in enumerate(answers) if isinstance(answer, BaseException)] == [3]

    async def test_the_epoch_rises_and_stays(self, store: EventStore) -> None:
        assert store.epoch == 1
        assert await store.raise_epoch() == 2
        again = self.make(StoreSettings())
        await again.open()
        await again.close()
        assert again.epoch == 2

    async def test_positions_of_a_new_epoch_lie_above_all_that_an_older_one_gave_out(self, store: EventStore) -> None:
        [before] = await store.append(commit(lamp("acme:lamp-1", 1)))
        await store.raise_epoch()
        after = await store.append(commit(lamp("acme:lamp-1", 2), lamp("acme:lamp-2", 1)))
        assert [event.position for event in after] == [2_000_000_000_001, 2_000_000_000_002]
        assert [event.position for event in await store.feed(0, 10)] == [before.position, *(e.position for e in after)]
        assert await store.head() == after[-1].position

    async def test_a_new_epoch_lies_above_what_was_read_in_one_that_the_backup_does_not_know(
        self, store: EventStore
    ) -> None:
        assert await store.raise_epoch(4_000_000_000_007) == 5
        [after] = await store.append(commit(lamp("acme:lamp-1", 1)))
        assert after.position == 5_000_000_000_001

    async def test_a_lease_has_one_holder_until_it_is_freed_or_runs_out(self, store: EventStore) -> None:
        assert await store.take_lease("relay", "a", 30)
        assert await store.take_lease("relay", "a", 30)
        assert not await store.take_lease("relay", "b", 30)
        await store.release_lease("relay", "b")
        assert not await store.take_lease("relay", "b", 30)
        await store.release_lease("relay", "a")
        assert await store.take_lease("relay", "b", -1)
        assert await store.take_lease("relay", "a", 30)

    async def test_a_held_lease_passes_to_the_next_when_let_go(self, store: EventStore) -> None:
        quick = LeaseSettings(wait_seconds=0.01)
        order: list[str] = []

        async def work(name: str) -> None:
            async with Lease(store, "relay", quick).hold() as held:
                assert held.ours
                order.append(f"{name} in")
                await store.append(commit(lamp(f"acme:lamp-{name}", 1)))
                order.append(f"{name} out")

        await asyncio.gather(work("a"), work("b"))
        assert [step.split()[1] for step in order] == ["in", "out", "in", "out"]

    async def test_a_lease_that_cannot_be_renewed_is_lost(self, store: EventStore) -> None:
        short = LeaseSettings(lease_seconds=0.05, renew_seconds=0.01)
        async with Lease(store, "relay", short).hold() as held:
            while not await store.take_lease("relay", "thief", 30):
                await store.release_lease("relay", (await self.holder(store)))
            async with asyncio.timeout(30):
                await held.lost.wait()
        assert not held.ours

    @abstractmethod
    async def holder(self, store: EventStore) -> str:
        """Who holds the lease `relay`."""
