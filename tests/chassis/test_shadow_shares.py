"""A shadow run in several shares reports what one process reports, whatever happened, and leaves no process behind."""

import asyncio
import gc
import os
import threading
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.clock import FixedClock, SystemClock
from chassis.decider import Problem
from chassis.desk.sqlite import SqliteDesk
from chassis.event import Actor
from chassis.execution import Besides, Executor, Glimpse, Handles
from chassis.execution import Order as Ask
from chassis.segments import SEGMENT_EVENTS
from chassis.service import event_store, eyes_of, handles_of
from chassis.settings import ServiceSettings
from chassis.shadow import Candidate, Report, TooDifferent, Window, run
from chassis.shadow_runs import Asked, ShadowRuns
from chassis.shadow_spread import ShareLost, Spread
from chassis.store.port import EventStore
from chassis.telemetry import Telemetry
from tests.chassis import shelves
from tests.chassis.sharing import shared
from tests.chassis.shelves import AT, BEFORE, BLUEPRINT, BOOK, HANDLES, CloseOrder, Order, PublishLimit, Stock
from tests.patience import PATIENCE_SECONDS

ALONE, EYES = handles_of(BLUEPRINT), eyes_of(BLUEPRINT)
SHELVES = tuple("abcdefgh")
TENANTS = ("acme", "acme", "acme", "other")


def happened(seed: int, length: int) -> list[tuple[str, Any]]:
    """Any history: orders from one or two shelves, with an eye on others, some closed, goods that come, rules that change."""
    random = Random(seed)
    history: list[tuple[str, Any]] = []
    for number in range(length):
        shelf, *others = random.sample(SHELVES, random.randint(1, 3))
        wish = Order(
            order_id=f"o{number}",
            customer=random.choice("xy"),
            shelves=(shelf, *others[:1]) if random.random() < 0.3 else (shelf,),
            near=tuple(others[1:]),
            amount=random.randint(1, 9),
        )
        closing = CloseOrder(order_id=f"o{random.randint(0, number)}", shelf=shelf)
        coming = Stock(shelf=shelf, amount=random.randint(1, 9))
        rules = PublishLimit(most=random.randint(1, 9))
        (chosen,) = random.choices((wish, closing, coming, rules), (5, 3, 3, 0.2))
        history.append((random.choice(TENANTS), chosen))
    return history


def candidate(most: int) -> Candidate:
    return Candidate(rulebook_id=BOOK, kind=BOOK, scope=BOOK, version=9, body={"most": most}, sha256="1" * 64)


@asynccontextmanager
async def opened(data: Path) -> AsyncIterator[EventStore]:
    store = event_store(ServiceSettings(data=data), BLUEPRINT.name)
    await store.migrate()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def recorded(store: EventStore, history: Iterable[tuple[str, Any]], handles: Sequence[Any]) -> None:
    executor = Executor(store, handles, FixedClock(AT))
    actor = Actor(kind="vendor", subject="ann")
    before = await store.head()
    for number, (tenant, wish) in enumerate(history):
        name = f"c{before}-{number}"
        with suppress(Problem):
            await executor.run(Ask(command_id=name, tenant=tenant, actor=actor, correlation_id=name), wish)


async def in_shares(
    count: int, store: EventStore, tried: Candidate, window: Window, page: int = 4, handles: Sequence[Handles] = ALONE
) -> Report:
    return await shared(count, (store, handles, EYES, tried, window), page)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    seed=st.integers(0, 1 << 32),
    lengths=st.tuples(st.integers(0, 80), st.integers(0, 80)),
    most=st.integers(1, 9),
    share=st.integers(0, 100),
)
async def test_shares_report_what_one_process_reports(
    tmp_path_factory: pytest.TempPathFactory, seed: int, lengths: tuple[int, int], most: int, share: int
) -> None:
    async with opened(tmp_path_factory.mktemp("shelves")) as store:
        start = [(tenant, PublishLimit(most=5)) for tenant in ("acme", "other")]
        stocked = [(tenant, Stock(shelf=shelf, amount=9)) for tenant in ("acme", "other") for shelf in SHELVES]
        await recorded(store, [*start, *stocked, *happened(seed, lengths[0])], (*HANDLES[:-2], BEFORE))
        await recorded(store, happened(seed + 1, lengths[1]), HANDLES)
        head = await store.head()
        for window in (
            Window(tenant="acme", after=0, until=head),
            Window(tenant="acme", after=head * share // 200, until=head - head * share // 300),
        ):
            alone = await run(store, ALONE, EYES, candidate(most), window)
            for count, page in ((2, 3), (2, 40), (3, 10)):
                shares = await in_shares(count, store, candidate(most), window, page)
                assert orjson.dumps(shares.as_json()) == orjson.dumps(alone.as_json())


async def test_what_came_before_a_stream_carried_is_no_other_world(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        shelf = [("acme", Stock(shelf="a", amount=1)) for _ in range(SEGMENT_EVENTS)]
        wishes = [Order(order_id=f"o{n}", customer="x", shelves=("a",), near=(), amount=1) for n in range(3)]
        orders = [("acme", wish) for wish in wishes]
        await recorded(store, [("acme", PublishLimit(most=5)), *shelf, *orders, *shelf[:9]], HANDLES)
        carrying = replace(shelves.Shelves, carry=lambda count: shelves.Stocked(amount=count))
        monkeypatch.setattr(shelves, "Shelves", carrying)
        await recorded(store, [("acme", replace(wish, order_id=f"{wish.order_id}-now")) for wish in wishes], HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        alone = await run(store, ALONE, EYES, candidate(5), window)
        assert (alone.decided, alone.changed) == (2 * len(wishes), 0)
        assert (await in_shares(2, store, candidate(5), window, 40)).as_json() == alone.as_json()


async def test_what_is_prepared_again_asks_other_shares_for_what_its_record_does_not_tell(tmp_path: Path) -> None:
    """Of an order that finds little on the shelf *a* the half is ordered, from a shelf that it had not named besides."""

    async def looking_around(wish: Order, glimpse: Glimpse) -> Order:
        left = await glimpse(shelves.Shelves.at("a"))
        return replace(wish, amount=wish.amount // 2, shelves=(*wish.shelves, "z")) if left < 20 else wish

    def besides(kind: str, body: Mapping[str, Any]) -> Besides | None:
        return lambda _: [shelves.Shelves.at("z")]

    handles = [
        replace(one, prepare=looking_around, foreseen=True, besides=besides) if one.command is Order else one
        for one in ALONE
    ]
    async with opened(tmp_path) as store:
        stocked = [Stock(shelf=shelf, amount=30) for shelf in "abcz"]
        orders = [
            Order(order_id=f"o{n}", customer=f"x{n}", shelves=("abc"[n % 3],), near=(), amount=n % 5) for n in range(30)
        ]
        await recorded(store, [("acme", wish) for wish in (PublishLimit(most=2), *stocked, *orders)], HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        alone = await run(store, handles, EYES, candidate(5), window)
        shares = await in_shares(3, store, candidate(5), window, handles=handles)
    assert alone.changed > len(orders) // 2
    assert orjson.dumps(shares.as_json()) == orjson.dumps(alone.as_json())


def busy(orders: int) -> list[tuple[str, Any]]:
    """Orders that take from shelves of each other, so that the shares have to ask."""
    history: list[tuple[str, Any]] = [("acme", PublishLimit(most=5))]
    for number in range(orders):
        shelf, next_one = f"s{number % 7}", f"s{(number + 3) % 7}"
        history.append(("acme", Stock(shelf=shelf, amount=number % 5 + 1)))
        wish = Order(
            order_id=f"o{number}", customer=f"x{number % 3}", shelves=(shelf,), near=(next_one,), amount=number % 6 + 1
        )
        history.append(("acme", wish))
        history.append(("acme", CloseOrder(order_id=f"o{number - 2}", shelf=next_one)))
    return history


def refusals() -> list[object]:
    return [one for one in gc.get_objects() if isinstance(one, shelves.TooMuch)]


async def test_what_a_run_refuses_goes_without_being_looked_for(tmp_path: Path) -> None:
    """Its processes look for nothing that holds itself in a circle."""
    async with opened(tmp_path) as store:
        await recorded(store, busy(20), HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        gc.collect()
        before = refusals()
        gc.disable()
        try:
            report = await run(store, ALONE, EYES, candidate(3), window)
            left = [one for one in refusals() if not any(one is known for known in before)]
        finally:
            gc.enable()
    assert shelves.TooMuch.slug in {count["new"] for count in report.as_json()["outcomes"]}
    assert left == []


def spread(data: Path, declared_in: str = BLUEPRINT.declared_in) -> Spread:
    return Spread(declared_in=declared_in, settings=ServiceSettings(data=data), processes=2, from_positions=0)


async def test_processes_report_what_one_process_reports_and_tell_how_far_they_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await recorded(store, busy(400), HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        told: list[tuple[int, int]] = []
        alone = await run(store, ALONE, EYES, candidate(3), window)
        apart = await spread(tmp_path).run(candidate(3), window, lambda *told_now: told.append(told_now))
    assert orjson.dumps(apart.as_json()) == orjson.dumps(alone.as_json())
    assert alone.changed > 100
    assert told == sorted(told)
    assert len(told) > 4
    assert told[-1] == (window.until, window.until)
    assert workers() == []


async def test_a_run_whose_processes_are_lost_goes_on_without_them(tmp_path: Path) -> None:
    """The log says that it was so, and a figure how often; what is reported stays the same."""
    async with opened(tmp_path) as store:
        await recorded(store, busy(5), HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        with pytest.raises(ShareLost):
            await spread(tmp_path, "tests.chassis.nowhere").run(candidate(3), window, lambda *_: None)
        assert workers() == []
        desk = SqliteDesk(tmp_path, "testing", SystemClock())
        await desk.migrate()
        runs = ShadowRuns(desk.runs, store, ALONE, EYES, spread(tmp_path, "tests.chassis.nowhere"))
        asked = Asked(run_id="run", candidate=candidate(3), window=window, asked={})
        telemetry = runs.telemetry = Telemetry("testing")
        report = await runs.report(asked, lambda *_: None)
        alone = await run(store, ALONE, EYES, candidate(3), window)
        await desk.close()
    assert 'entente_shadow_runs_not_spread_total{service="testing"} 1.0' in telemetry.text().decode()
    assert report.as_json() == alone.as_json()


async def test_a_run_is_given_up_where_too_much_comes_out_differently_for_its_memory(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await recorded(store, busy(400), HANDLES)
        window = Window(tenant="acme", after=0, until=await store.head())
        with pytest.raises(TooDifferent, match="more than 1 streams came out differently"):
            await run(store, ALONE, EYES, candidate(3), window, streams_max=1)
        one_stream = ServiceSettings.model_construct(data=tmp_path, shadow_streams_max=1)
        narrow = replace(spread(tmp_path), settings=one_stream)
        with pytest.raises(TooDifferent):
            await narrow.run(candidate(3), window, lambda *_: None)
        assert workers() == []
        desk = SqliteDesk(tmp_path, "testing", SystemClock())
        await desk.migrate()
        runs = ShadowRuns(desk.runs, store, ALONE, EYES, narrow, streams_max=1)
        asked = Asked(run_id="run", candidate=candidate(3), window=window, asked={})
        await runs.begin(asked)
        await runs.finished("run")
        found = await runs.find("acme", "run")
        await desk.close()
    assert found["status"] == "failed"
    assert found["reason"].startswith(
        "TooDifferent: more than 1 streams came out differently: ask for a shorter window"
    )


async def test_a_run_that_is_stopped_leaves_no_process_behind(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await recorded(store, busy(600), HANDLES)
        window, begun = Window(tenant="acme", after=0, until=await store.head()), asyncio.Event()
        running = asyncio.ensure_future(spread(tmp_path).run(candidate(3), window, lambda *_: begun.set()))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await begun.wait()
        assert len(workers()) == 2
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        assert workers() == []


def workers() -> list[int]:
    """The processes that work for this one on a share."""
    found = Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text().split()
    return [int(pid) for pid in found if "shadow_worker" in Path(f"/proc/{pid}/cmdline").read_text()]
