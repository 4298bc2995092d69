"""Commands made again in a full shadow run: on what the other world held when each of them came."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.afresh import FULL, Remade
from chassis.execution import Glimpse
from chassis.segments import SEGMENT_EVENTS
from chassis.settings import ServiceSettings
from chassis.shadow import Window, run
from chassis.shadow_spread import Spread
from tests.chassis import shelves
from tests.chassis.shelves import BOOK, HANDLES, Order, PublishLimit, Stock, Stocked, Taken
from tests.chassis.test_shadow_shares import ALONE, EYES, busy, candidate, opened, recorded, workers


@dataclass
class Fullest:
    """Takes each order from the shelf that had most, as far as events have told."""

    counts: dict[str, int] = field(default_factory=dict)
    learnt: list[tuple[int, Any]] = field(default_factory=list)
    reads = frozenset({Stocked.type, Taken.type})  # type: ignore[attr-defined]

    def learn(self, happened: Any, position: int) -> None:
        self.learnt.append((position, happened))

    async def prepare(self, wish: Any, glimpse: Glimpse) -> Remade:
        if not isinstance(wish, Order):
            return Remade(wish=wish)
        names = sorted({*wish.shelves, *wish.near})
        counts = await glimpse.all(shelves.shelves(names))
        fullest = max(names, key=dict(zip(names, counts, strict=True)).__getitem__)
        moved = fullest not in wish.shelves
        return Remade(wish=replace(wish, shelves=(fullest,)), remarks=("moved",) if moved else ())


BLUEPRINT = replace(shelves.BLUEPRINT, declared_in=__name__, afresh={BOOK: Fullest})


async def test_a_command_is_made_again_on_what_the_other_world_holds_and_later_ones_follow_from_it(
    tmp_path: Path,
) -> None:
    """The first order takes from the fuller shelf, so the second finds its own one as it was before either."""
    stocked = [Stock(shelf="a", amount=3), Stock(shelf="b", amount=5)]
    orders = [
        Order(order_id=name, customer="x", shelves=("a",), near=("b",), amount=amount)
        for name, amount in (("o1", 3), ("o2", 2), ("o3", 3))
    ]
    async with opened(tmp_path) as store:
        await recorded(store, [("acme", one) for one in (PublishLimit(most=5), *stocked, *orders)], HANDLES)
        window, fullest = Window(tenant="acme", after=0, until=await store.head()), Fullest()
        report = (await run(store, ALONE, EYES, candidate(5), window, afresh=lambda: fullest)).as_json()

    found = [(row["old"]["outcome"], row["new"]["outcome"], row["new"]["reasons"]) for row in report["rows"]]
    assert found == [("empty", "taken", ["of-5"])]
    assert [happened.amount for _, happened in fullest.learnt] == [3, 5, 3, 2]


async def test_a_full_run_over_a_part_of_the_log_learns_from_all_that_came_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        history = [
            ("acme", PublishLimit(most=5)),
            ("acme", Stock(shelf="a", amount=3)),
            ("other", Stock(shelf="a", amount=4)),
        ]
        await recorded(store, history, HANDLES)
        middle = await store.head()
        await recorded(store, [("acme", Stock(shelf="a", amount=5))], HANDLES)
        fullest, told = Fullest(), list[tuple[int, int]]()
        window = Window(tenant="acme", after=middle, until=await store.head())
        await run(store, ALONE, EYES, candidate(5), window, lambda *now: told.append(now), lambda: fullest)

    assert [happened.amount for _, happened in fullest.learnt] == [3, 5]
    assert told[-1] == (window.until, window.until)


async def test_a_stream_that_the_recorded_command_had_not_named_is_read_over_all_its_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrying = replace(shelves.Shelves, carry=lambda count: Stocked(amount=count))
    monkeypatch.setattr(shelves, "Shelves", carrying)
    stocked = [("acme", Stock(shelf="b", amount=1)) for _ in range(SEGMENT_EVENTS + 50)]
    wish = Order(order_id="o1", customer="x", shelves=("a",), near=(), amount=240)

    class FromB(Fullest):
        async def prepare(self, wish: Any, glimpse: Glimpse) -> Remade:
            return Remade(wish=replace(wish, shelves=("b",)) if isinstance(wish, Order) else wish)

    async with opened(tmp_path) as store:
        await recorded(store, [("acme", PublishLimit(most=500)), *stocked, ("acme", wish)], HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        report = await run(store, ALONE, EYES, candidate(500), window, afresh=FromB)

    assert report.outcomes == {("empty", "taken"): 1}


def spread(data: Path) -> Spread:
    return Spread(declared_in=__name__, settings=ServiceSettings(data=data), processes=2, from_positions=0)


async def test_a_full_run_has_one_process_to_itself_and_reports_what_the_service_reports(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await recorded(store, busy(400), HANDLES)
        window = Window(tenant="acme", after=200, until=await store.head())
        told, seen = list[tuple[int, int]](), set[int]()

        def telling(done: int, total: int) -> None:
            told.append((done, total))
            seen.add(len(workers()))

        apart = await spread(tmp_path).run(candidate(3), window, telling, FULL)
        alone = await run(store, ALONE, EYES, candidate(3), window, afresh=Fullest)

    assert alone.changed > 50
    assert orjson.dumps(apart.as_json()) == orjson.dumps(alone.as_json())
    assert seen == {1}
    assert told == sorted(told)
    assert told[-1] == (window.until, window.until)
    assert workers() == []


async def test_a_full_run_that_is_stopped_leaves_no_process_behind(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await recorded(store, busy(600), HANDLES)
        window, begun = Window(tenant="acme", after=0, until=await store.head()), asyncio.Event()
        told: Callable[..., None] = lambda *_: begun.set()  # noqa: E731
        running = asyncio.ensure_future(spread(tmp_path).run(candidate(3), window, told, FULL))
        async with asyncio.timeout(60):
            await begun.wait()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    assert workers() == []


async def test_the_same_events_on_another_stream_are_another_outcome_to_what_follows(tmp_path: Path) -> None:
    """Both shelves hold the same, so that only the stream tells which of them was taken from."""
    stocked = [Stock(shelf=shelf, amount=3) for shelf in "ab"]
    orders = [Order(order_id=f"o{n}", customer="x", shelves=("a",), near=(), amount=3) for n in range(2)]

    class FirstFromB(Fullest):
        async def prepare(self, wish: Any, glimpse: Glimpse) -> Remade:
            return Remade(wish=replace(wish, shelves=("b",)) if wish == orders[0] else wish)

    async with opened(tmp_path) as store:
        await recorded(store, [("acme", one) for one in (PublishLimit(most=5), *stocked, *orders)], HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        report = await run(store, ALONE, EYES, candidate(5), window, afresh=FirstFromB)

    assert report.outcomes == {("taken", "taken"): 1, ("empty", "taken"): 1}
