import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from chassis.away import is_away
from chassis.consumer import Projecting, Reactions, Settings, StillAway, bound
from chassis.decider import Busy, NotFound
from chassis.desk.sqlite import SqliteDesk
from chassis.event import Seen, UnknownType
from chassis.logs import with_correlation
from chassis.parking import Parking, Place
from chassis.supervision import Backoff
from chassis.testing.desk_conformance import At
from chassis.testing.feed import CountTold, MemoryFeed, outlet
from chassis.transport.port import Message, Undecodable, translated
from tests.patience import PATIENCE_SECONDS

NOW_AND_THEN = Backoff(first_seconds=0.001, most_seconds=0.002)
QUICK = Settings(backoff=NOW_AND_THEN, retry=NOW_AND_THEN, hold_seconds=0.3)


@dataclass
class Work:
    """A reaction that notes what it did. `troubles` maps a number to the errors it still raises."""

    done: list[int] = field(default_factory=list)
    tried: list[int] = field(default_factory=list)
    troubles: dict[int, list[Exception]] = field(default_factory=dict)

    async def react(self, seen: Seen, app: object) -> None:
        number = seen.event.number
        self.tried.append(number)
        await asyncio.sleep(0)
        if left := self.troubles.get(number):
            raise left.pop() if len(left) > 1 else left[0]
        self.done.append(number)


@dataclass
class Bench:
    work: Work
    parking: Parking
    make: Callable[..., Reactions]

    def __post_init__(self) -> None:
        self.reactions = self.make()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    desk, work = SqliteDesk(tmp_path, "testing", At()), Work()
    await desk.migrate()
    parking = desk.parking
    table = bound({CountTold: work.react}, object())
    yield Bench(
        work, parking, lambda settings=QUICK: Reactions("registration", "entente.testing", table, parking, settings)
    )
    await desk.close()


async def messages_of(*counts: tuple[int, str]) -> list[Message]:
    feed = MemoryFeed()
    for number, counter in counts:
        await feed.commit(number, counter=counter)
    return translated(outlet(feed), feed.recorded)


def changed(message: Message, **fields: object) -> Message:
    return msgspec.structs.replace(message, event=None, decoded=None, **fields)


async def test_a_batch_is_reacted_to_in_order_for_each_subject(bench: Bench) -> None:
    messages = await messages_of((1, "a"), (10, "b"), (2, "a"), (11, "b"), (3, "a"))
    await bench.reactions.on_batch(messages)
    assert sorted(bench.work.done) == [1, 2, 3, 10, 11]
    assert [number for number in bench.work.done if number < 10] == [1, 2, 3]
    assert [number for number in bench.work.done if number >= 10] == [10, 11]
    assert bench.reactions.counters.reacted == 5


async def test_subjects_do_not_wait_for_each_other(bench: Bench) -> None:
    reached = asyncio.Event()

    async def meet(seen: Seen) -> None:
        if seen.event.number == 1:
            await asyncio.wait_for(reached.wait(), 30)
        reached.set()

    reactions = Reactions("registration", "entente.testing", {CountTold.type: meet}, bench.parking, QUICK)
    await reactions.on_batch(await messages_of((1, "a"), (2, "b")))
    assert reactions.counters.reacted == 2


async def test_a_bug_is_tried_three_times_then_parked_and_its_subject_waits_in_order(bench: Bench) -> None:
    bench.work.troubles = {2: [ValueError("no such plan")]}
    messages = await messages_of((1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "a"))
    await bench.reactions.on_batch(messages)
    assert sorted(bench.work.done) == [1, 4]
    assert bench.work.tried.count(2) == 3
    rows = await bench.parking.listed()
    assert [(row.place.offset, row.state, row.reason) for row in rows] == [
        (2, "parked", "ValueError: no such plan"),
        (3, "waiting", "ValueError: no such plan"),
        (5, "waiting", "ValueError: no such plan"),
    ]
    assert (bench.reactions.counters.parked, bench.reactions.counters.parked_behind) == (1, 2)


async def test_what_comes_later_waits_behind_even_after_a_restart(bench: Bench) -> None:
    bench.work.troubles = {1: [ValueError("a bug")]}
    messages = await messages_of((1, "a"), (2, "a"), (3, "b"))
    await bench.reactions.on_batch(messages[:1])
    restarted = bench.make()
    await restarted.on_batch(messages[1:])
    assert bench.work.done == [3]
    assert [(row.place.offset, row.state) for row in await bench.parking.listed()] == [(1, "parked"), (2, "waiting")]


async def test_a_batch_delivered_again_does_not_try_parked_messages_again(bench: Bench) -> None:
    bench.work.troubles = {1: [ValueError("a bug")]}
    messages = await messages_of((1, "a"), (2, "a"))
    await bench.reactions.on_batch(messages)
    await bench.reactions.on_batch(messages)
    assert bench.work.tried == [1, 1, 1]
    assert len(await bench.parking.listed()) == 2


async def test_replay_after_the_fix_carries_all_out_in_order_and_new_ones_follow(bench: Bench) -> None:
    bench.work.troubles = {1: [ValueError("a bug")]}
    messages = await messages_of((1, "a"), (2, "a"), (3, "a"), (4, "a"))
    await bench.reactions.on_batch(messages[:3])
    assert await bench.reactions.replay() == 0
    bench.work.troubles = {}
    await bench.parking.replay()
    assert await bench.reactions.replay() == 3
    await bench.reactions.on_batch(messages[3:])
    assert bench.work.done == [1, 2, 3, 4]
    assert await bench.parking.count() == 0


async def test_replay_before_the_fix_parks_the_subject_again(bench: Bench) -> None:
    bench.work.troubles = {1: [ValueError("a bug")]}
    await bench.reactions.on_batch(await messages_of((1, "a"), (2, "a")))
    await bench.parking.replay()
    assert await bench.reactions.replay() == 0
    assert [row.state for row in await bench.parking.listed()] == ["parked", "waiting"]
    assert bench.work.done == []


async def test_a_discarded_message_lets_the_waiting_ones_go(bench: Bench) -> None:
    bench.work.troubles = {1: [ValueError("a bug")]}
    await bench.reactions.on_batch(await messages_of((1, "a"), (2, "a")))
    place = Place(group="entente.registration.reactions", topic="entente.testing", partition=0, offset=1)
    await bench.parking.note_discard(place, "ada", "grace")
    await bench.reactions.replay()
    assert bench.work.done == [2]


async def test_a_body_that_breaks_its_contract_is_parked_at_once(bench: Bench) -> None:
    first, second, third = await messages_of((1, "a"), (2, "a"), (3, "b"))
    await bench.reactions.on_batch([changed(first, body=b'{"number":"one"}'), second, third])
    assert bench.work.done == [3]
    rows = await bench.parking.listed()
    assert [row.state for row in rows] == ["parked", "waiting"]
    assert rows[0].reason.startswith("cannot be read: entente.testing.CountTold.v1:")
    assert rows[0].message.body == b'{"number":"one"}'
    assert bench.reactions.counters.undecodable == 1


async def test_an_envelope_that_cannot_be_read_is_parked_and_blocks_nobody(bench: Bench) -> None:
    (good,) = await messages_of((1, "a"))
    broken = Message(topic="entente.testing", offset=9, body=b"?", fault="ce_id is missing")
    await bench.reactions.on_batch([broken, good])
    assert bench.work.done == [1]
    assert [row.reason for row in await bench.parking.listed()] == ["cannot be read: ce_id is missing"]


async def test_an_unknown_type_is_counted_and_passed(bench: Bench) -> None:
    first, second = await messages_of((1, "a"), (2, "a"))
    await bench.reactions.on_batch([changed(first, type="entente.testing.FromTheFuture.v9"), second])
    assert bench.work.done == [2]
    assert bench.reactions.counters.unknown == 1
    assert await bench.parking.count() == 0


@pytest.mark.parametrize("trouble", [Busy(), ConnectionError("reset"), TimeoutError(), UnknownType("x.Y.v2")])
async def test_what_is_away_is_waited_for_and_never_parked(bench: Bench, trouble: Exception) -> None:
    bench.work.troubles = {1: [trouble, trouble, trouble, trouble]}
    reactions = bench.make(replace(QUICK, hold_seconds=PATIENCE_SECONDS))

    async def comes_back() -> None:
        while reactions.counters.held < 6:
            await asyncio.sleep(0.001)
        bench.work.troubles = {}

    await asyncio.gather(reactions.on_batch(await messages_of((1, "a"), (2, "a"))), comes_back())
    assert bench.work.done == [1, 2]
    assert await bench.parking.listed(everything=True) == []


async def test_what_stays_away_gives_the_batch_back_after_the_others_are_done(bench: Bench) -> None:
    bench.work.troubles = {1: [ConnectionError("refused")]}
    messages = await messages_of((1, "a"), (2, "a"), (3, "b"))
    with pytest.raises(StillAway):
        await bench.reactions.on_batch(messages)
    assert bench.work.done == [3]
    bench.work.troubles = {}
    await bench.reactions.on_batch(messages)
    assert sorted(bench.work.done) == [1, 2, 3, 3]
    assert await bench.parking.count() == 0


def test_a_mistake_in_a_reaction_is_not_taken_for_something_away() -> None:
    assert not is_away(KeyError("plan"))
    assert not is_away(NotFound())
    assert not is_away(FileNotFoundError(2, "no such file"))
    assert is_away(type("ReadOnlySqlTransaction", (Exception,), {"__module__": "psycopg.errors"})())
    assert is_away(OSError(28, "No space left on device"))
    assert is_away(type("OperationalError", (Exception,), {"__module__": "psycopg"})())


async def test_a_read_model_gets_whole_batches_with_a_marker_for_what_cannot_be_read() -> None:
    given: list[tuple[str, list[Seen | Undecodable]]] = []

    async def apply(source: str, batch: list[Seen | Undecodable]) -> None:
        given.append((source, batch))

    first, second, third = await messages_of((1, "a"), (2, "a"), (3, "a"))
    bad = changed(second, body=b"{")
    unknown = changed(third, type="entente.testing.FromTheFuture.v9")
    projecting = Projecting(apply, "entente.testing")
    await projecting.on_batch([first, bad, unknown])
    ((source, batch),) = given
    assert source == "testing"
    assert batch[0] == first.seen()
    marker = batch[1]
    assert isinstance(marker, Undecodable)
    assert (marker.position, marker.tenant, marker.message) == (2, "acme", bad)
    assert len(batch) == 2
    assert (projecting.counters.unknown, projecting.counters.undecodable) == (1, 1)


async def test_what_a_read_model_raises_holds_the_batch() -> None:
    async def apply(source: str, batch: list[Seen | Undecodable]) -> None:
        raise RuntimeError("a bug in evolve")

    with pytest.raises(RuntimeError):
        await Projecting(apply, "entente.testing").on_batch(await messages_of((1, "a")))


def test_settings_leave_the_broker_time_to_spare() -> None:
    assert 2 * replace(Settings()).hold_seconds < 300


async def test_what_a_reaction_logs_names_its_trace(bench: Bench) -> None:
    (message,) = await messages_of((1, "a"))
    bench.work.troubles = {1: [RuntimeError("a bug")]}
    with capture_logs(processors=[with_correlation]) as lines:
        await bench.reactions.on_batch([message])
    told = [(line["event"], line.get("trace_id"), line.get("correlation_id")) for line in lines]
    assert told == [("reaction_failed", f"{1:032x}", "correlation-1")] * 3 + [("message_parked", None, None)]
