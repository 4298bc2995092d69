"""The ticker issues what is due, once, by the injected clock."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.clock import FixedClock
from chassis.deadlines import Deadline, Ticker, TickerSettings
from chassis.decider import Behind, Busy
from chassis.event import Seen, event, iso
from chassis.read_store.port import WHOLE, Change, Kept, NoSuchModel
from chassis.read_store.sqlite import SqliteReadStore
from chassis.supervision import Backoff
from chassis.testing.projections import assert_repeatable, project, told
from tests.chassis.logged import logged

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TENANT = "t-1"
QUICK = TickerSettings(poll_seconds=5.0, batch_commands=3, backoff=Backoff(first_seconds=0.0, most_seconds=0.0))


@event("deadlines_test.Held.v1")
class Held:
    deal_id: str
    until: datetime


@event("deadlines_test.Released.v1")
class Released:
    deal_id: str


def due(document: Any, seen: Seen) -> Any:
    match seen.event:
        case Held() as held:
            return {"deal_id": held.deal_id, "due_at": iso(held.until)}
        case _:
            return None


HOLD_ENDS = Deadline(
    name="hold_ends",
    version=1,
    keys=dict.fromkeys((Held, Released), lambda seen: seen.event.deal_id),
    evolve=due,
    issue=lambda document, now: ("end", document["deal_id"], now) if document["deal_id"] != "nothing" else None,
)


class Desk:
    """Takes the commands down; fails for the deals named."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, Any]] = []
        self.failing: set[str] = set()
        self.fails: Exception = RuntimeError("a bug")
        self.tries = 0

    async def issue(self, tenant: str, command_id: str, command: Any) -> None:
        self.tries += 1
        if command[1] in self.failing:
            raise self.fails
        self.taken.append((tenant, command_id, command))

    @property
    def deals(self) -> list[str]:
        return sorted(command[1] for _, _, command in self.taken)


@pytest.fixture
async def read_store(tmp_path: Path) -> AsyncIterator[SqliteReadStore]:
    store = SqliteReadStore(tmp_path / "read.db")
    await store.open()
    await store.prepare(HOLD_ENDS.name, HOLD_ENDS.version, HOLD_ENDS.indexes)
    yield store
    await store.close()


async def hold(store: SqliteReadStore, *deals: str, at: datetime = NOON, tenant: str = TENANT) -> None:
    documents = {(tenant, deal): Kept({"deal_id": deal, "due_at": iso(at)}, {}) for deal in deals}
    await store.change(
        Change(model=HOLD_ENDS.model, lane="own", keys=list(documents), fold=lambda *_: documents, reached={WHOLE: 1})
    )


def ticker(store: SqliteReadStore, desk: Desk, clock: FixedClock) -> Ticker:
    return Ticker(store, [HOLD_ENDS], clock, desk.issue, QUICK)


async def test_a_deadline_is_issued_when_the_clock_has_passed_it_and_not_before(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON - timedelta(microseconds=1))
    await hold(read_store, "d")
    ticks = ticker(read_store, desk, clock)

    assert await ticks.tick() == 0
    clock.set(NOON)
    assert await ticks.tick() == 1
    assert await ticks.tick() == 0
    assert [(tenant, command) for tenant, _, command in desk.taken] == [(TENANT, ("end", "d", NOON))]


async def test_a_deadline_that_cannot_be_read_holds_up_no_other(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    await hold(read_store, "d")
    never_made = replace(HOLD_ENDS, name="never_made")
    ticks = Ticker(read_store, [never_made, HOLD_ENDS], clock, desk.issue, QUICK)

    with pytest.raises(NoSuchModel):
        await ticks.tick()
    assert desk.deals == ["d"]


async def test_fractions_of_a_second_are_not_due_early(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    await hold(read_store, "d", at=NOON + timedelta(milliseconds=500))
    ticks = ticker(read_store, desk, clock)

    assert await ticks.tick() == 0
    clock.forward(timedelta(milliseconds=500))
    assert await ticks.tick() == 1


async def test_the_same_deadline_is_the_same_command_after_a_restart(
    read_store: SqliteReadStore, tmp_path: Path
) -> None:
    first, second, clock = Desk(), Desk(), FixedClock(NOON)
    await hold(read_store, "d")
    found = await read_store.due("hold_ends", iso(NOON), 10)
    await ticker(read_store, first, clock).tick()

    again = HOLD_ENDS.command_id(found[0])
    assert [command_id for _, command_id, _ in first.taken] == [again]
    assert await ticker(read_store, second, clock).tick() == 0


async def test_a_deadline_moved_to_another_date_is_issued_for_that_date_too(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    ticks = ticker(read_store, desk, clock)
    await hold(read_store, "d")
    await ticks.tick()

    await hold(read_store, "d", at=NOON + timedelta(days=1))
    assert await ticks.tick() == 0
    clock.forward(timedelta(days=1))
    assert await ticks.tick() == 1
    assert len({command_id for _, command_id, _ in desk.taken}) == 2


async def test_a_command_that_fails_holds_up_no_other_and_comes_again(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    desk.failing = {"a", "b", "c", "d"}
    await hold(read_store, "a", "b", "c", "d", "z", at=NOON)
    ticks = Ticker(
        read_store,
        [HOLD_ENDS],
        clock,
        desk.issue,
        TickerSettings(batch_commands=3, backoff=Backoff(first_seconds=60, most_seconds=60)),
    )

    await ticks.tick()
    await ticks.tick()
    assert desk.deals == ["z"]
    assert desk.tries == 5

    desk.failing.clear()
    await ticker(read_store, desk, clock).tick()
    await ticker(read_store, desk, clock).tick()
    assert desk.deals == ["a", "b", "c", "d", "z"]


async def test_however_many_wait_for_another_try_what_is_due_later_has_its_turn(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    waiting = [f"w-{number:02}" for number in range(20)]
    desk.failing, desk.fails = set(waiting), Busy("no rate yet")
    await hold(read_store, *waiting, at=NOON - timedelta(days=1))
    await hold(read_store, "z", tenant="t-2")
    settings = TickerSettings(batch_commands=3, failing_max=5)
    ticks = Ticker(read_store, [HOLD_ENDS], clock, desk.issue, settings)

    assert [await ticks.tick() for _ in range(7)] == [0, 0, 0, 0, 0, 0, 1]
    assert desk.deals == ["z"]


@pytest.mark.parametrize(
    ("fails", "said"),
    [(RuntimeError("a bug"), ("error", "deadline_failed")), (Busy("not read yet"), ("info", "deadline_put_off"))],
)
async def test_who_finds_somebody_busy_comes_again_without_an_alarm(
    read_store: SqliteReadStore, fails: Exception, said: tuple[str, str]
) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    desk.failing, desk.fails = {"a"}, fails
    await hold(read_store, "a", at=NOON)
    with logged() as stream:
        await ticker(read_store, desk, clock).tick()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(one["level"], one["event"]) for one in lines] == [said]
    desk.failing.clear()
    await ticker(read_store, desk, clock).tick()
    assert desk.deals == ["a"]


class OnceMoreAtOnce(Backoff):
    """No pause after one failure, and a long one after two in a row."""

    def pause_seconds(self, failures: int) -> float:
        return 0.0 if failures == 1 else 3_600.0


@pytest.mark.parametrize(("fails", "deals"), [(Behind("rulebooks"), ["a"]), (Busy("no rate yet"), [])])
async def test_who_waited_for_a_read_model_comes_again_at_once_however_often(
    read_store: SqliteReadStore, fails: Exception, deals: list[str]
) -> None:
    desk, clock = Desk(), FixedClock(NOON)
    desk.failing, desk.fails = {"a"}, fails
    await hold(read_store, "a")
    ticks = Ticker(read_store, [HOLD_ENDS], clock, desk.issue, TickerSettings(backoff=OnceMoreAtOnce()))
    await ticks.tick()
    await ticks.tick()
    desk.failing.clear()
    await ticks.tick()
    assert desk.deals == deals


async def test_a_deadline_with_nothing_to_do_is_settled(read_store: SqliteReadStore) -> None:
    desk = Desk()
    await hold(read_store, "nothing")
    ticks = ticker(read_store, desk, FixedClock(NOON))

    assert (await ticks.tick(), await ticks.tick(), desk.tries) == (1, 0, 0)


async def test_a_batch_is_bounded_and_the_rest_follows(read_store: SqliteReadStore) -> None:
    desk = Desk()
    await hold(read_store, *(f"d-{n}" for n in range(8)))
    ticks = ticker(read_store, desk, FixedClock(NOON))

    assert [await ticks.tick() for _ in range(4)] == [3, 3, 2, 0]


async def test_a_moved_clock_wakes_the_ticker(read_store: SqliteReadStore) -> None:
    desk, clock = Desk(), FixedClock(NOON - timedelta(days=30))
    await hold(read_store, "d", tenant="t-2")
    task = asyncio.create_task(ticker(read_store, desk, clock).run())
    await asyncio.sleep(0)
    clock.set(NOON)
    async with asyncio.timeout(30):
        while not desk.taken:
            await asyncio.sleep(0.002)
    task.cancel()

    assert [tenant for tenant, _, _ in desk.taken] == ["t-2"]


def test_a_deadline_is_a_projection_like_any_other() -> None:
    seen = told(Held(deal_id="a", until=NOON), Held(deal_id="b", until=NOON), Released(deal_id="a"))

    assert project(HOLD_ENDS, seen) == {"b": {"deal_id": "b", "due_at": "2026-03-02T12:00:00Z"}}
    assert_repeatable(HOLD_ENDS, seen)
