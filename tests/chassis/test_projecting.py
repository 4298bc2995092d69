"""The runner of projections: order, repeats, stops, rebuilds, and waiting for a position."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis.clock import SystemClock
from chassis.desk.sqlite import SqliteDesk
from chassis.event import PublicEvent, Seen, encode, event, public_event
from chassis.projecting import (
    CannotRebuild,
    FeedPage,
    ProjectingSettings,
    ProjectionRunner,
    ProjectionStopped,
    StillFilling,
)
from chassis.projection import Projection
from chassis.read_store.port import Model
from chassis.read_store.sqlite import SqliteReadStore
from chassis.stops import Stops
from chassis.testing.projections import TENANT, assert_repeatable, project, told
from chassis.transport.port import Message, Undecodable
from tests.patience import PATIENCE_SECONDS

OURS = "projecting_test"
SETTINGS = ProjectingSettings(batch_events=4, fill_events=8, near_events=4, idle_seconds=0.05, poll_seconds=0.005)
SHARED = replace(SETTINGS, shared=True)


@event("projecting_test.Opened.v1")
class Opened:
    deal_id: str


@event("projecting_test.Noted.v1")
class Noted:
    deal_id: str
    note: str


@event("projecting_test.Ignored.v1")
class Ignored:
    pass


@public_event("entente.neighbour.DealWon.v1", audience="both")
class DealWon(PublicEvent):
    deal_id: str
    amount: int


def by_deal(seen: Seen) -> str:
    identity: str = seen.event.deal_id
    return identity


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    known = document or {"notes": [], "won": None}
    match seen.event:
        case Noted(note="bug"):
            raise RuntimeError("bug")
        case Noted(note="drop"):
            return None
        case Noted() as noted:
            return {**known, "notes": [*known["notes"], noted.note]}
        case DealWon() as won:
            return {**known, "won": won.amount}
        case _:
            return known


def board(version: int = 1, change: Callable[[Any, Seen], Any] = evolve, name: str = "board") -> Projection:
    keys = dict.fromkeys((Opened, Noted, DealWon), by_deal)
    return Projection(name=name, version=version, keys=keys, evolve=change)


@dataclass(frozen=True)
class Line:
    """A recorded event as the fake log keeps it."""

    seen_fact: Seen
    data: bytes
    type: str
    broken: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.seen_fact, name)

    def seen(self, source: str) -> Seen:
        if self.broken:
            raise msgspec.ValidationError("no field `note`")
        return self.seen_fact


class FakeLog:
    """An event store's feed in a list."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.reads = 0
        self._news = asyncio.Event()

    def add(self, *events: Any, tenant: str = TENANT, broken: bool = False, type_name: str | None = None) -> int:
        for fact in told(*events, source=OURS, tenant=tenant, first=len(self.lines) + 1):
            self.lines.append(Line(fact, encode(fact.event), type_name or fact.type, broken))
        self._news.set()
        return len(self.lines)

    async def feed(self, after: int, limit: int) -> list[Line]:
        self.reads += 1
        return self.lines[after : after + limit]

    async def head(self) -> int:
        return len(self.lines)

    def recent(self, after: int) -> list[Line]:
        """What is in the list came from somewhere else."""
        return []

    async def wait_beyond(self, position: int, timeout: float) -> None:
        self._news.clear()
        if len(self.lines) <= position:
            try:
                await asyncio.wait_for(self._news.wait(), timeout)
            except TimeoutError:
                return


@pytest.fixture
async def read_store(tmp_path: Path) -> AsyncIterator[SqliteReadStore]:
    store = SqliteReadStore(tmp_path / "read.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
async def stops(tmp_path: Path) -> AsyncIterator[Stops]:
    desk = SqliteDesk(tmp_path, "testing", SystemClock())
    await desk.migrate()
    yield desk.stops
    await desk.close()


@asynccontextmanager
async def running(runner: ProjectionRunner) -> AsyncIterator[ProjectionRunner]:
    await runner.prepare()
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.002)


def feed_over(facts: Sequence[Seen]) -> Callable[[int, int], Any]:
    async def feed(after: int, limit: int) -> FeedPage:
        page = [fact for fact in facts if fact.position > after][:limit]
        return FeedPage(page, page[-1].position if page else after)

    return feed


async def exported(store: SqliteReadStore) -> list[Any]:
    (model,) = [model for model in await store.models() if model.live]
    return await store.export(model.model)


async def test_the_own_feed_is_followed_and_waited_for(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(*(Noted(deal_id=f"d-{n % 3}", note=str(n)) for n in range(20)))

    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        assert await runner.reached("board", OURS, 20, PATIENCE_SECONDS)
        last = log.add(Ignored(), Noted(deal_id="d-9", note="late"))
        assert await runner.reached("", OURS, last, PATIENCE_SECONDS)

        assert await read_store.get("board", TENANT, "d-9") == {"notes": ["late"], "won": None}
        assert (await read_store.get("board", TENANT, "d-1") or {})["notes"] == ["1", "4", "7", "10", "13", "16", "19"]
        assert not await runner.reached("board", OURS, last + 1, 0.01)


class OwnLog(FakeLog):
    """A log whose last events were recorded by this process, and never read."""

    def __init__(self, remembered: int) -> None:
        super().__init__()
        self._remembered = remembered

    def recent(self, after: int) -> list[Line]:
        return self.lines[max(after, len(self.lines) - self._remembered) :]

    async def feed(self, after: int, limit: int) -> list[Line]:
        return []


@pytest.mark.parametrize(
    ("remembered", "position", "there"),
    [(3, 2, True), (3, 3, False), (2, 2, False), (0, 1, False)],
    ids=["of no concern", "its own", "one forgotten", "somebody else's"],
)
async def test_what_this_process_recorded_for_others_keeps_nobody_waiting(
    read_store: SqliteReadStore, remembered: int, position: int, there: bool
) -> None:
    log = OwnLog(remembered)
    log.add(Ignored(), Ignored(), Noted(deal_id="d", note="its own"))
    runner = ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)
    await runner.prepare()

    assert await runner.reached("board", OURS, position, 0.0) is there


class Distant(FakeLog):
    """Whoever asks second how far it goes gets the answer last."""

    asked = 0

    async def head(self) -> int:
        self.asked += 1
        await asyncio.sleep(0.01 * self.asked)
        return len(self.lines)


async def test_a_model_that_joins_while_the_head_is_asked_for_does_not_wait_for_news(
    read_store: SqliteReadStore,
) -> None:
    log = Distant()
    patient = replace(SETTINGS, idle_seconds=10 * PATIENCE_SECONDS)
    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=patient)) as runner:
        await until(lambda: log.asked > 1)
        assert await runner.reached("board", OURS, log.add(Noted(deal_id="d", note="n")), PATIENCE_SECONDS)


async def test_a_long_page_is_decoded_in_turns(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(*(Noted(deal_id="d-1", note=str(number)) for number in range(1_000)))
    turns: list[int] = []

    class Counting(Line):
        """Counts how often it was read between two turns of the loop."""

        def seen(self, source: str) -> Seen:
            turns[-1] += 1
            return super().seen(source)

    async def others() -> None:
        while True:
            turns.append(0)
            await asyncio.sleep(0)

    log.lines = [Counting(line.seen_fact, line.data, line.type) for line in log.lines]
    counting = asyncio.create_task(others())
    await asyncio.sleep(0)
    runner = ProjectionRunner(OURS, log, read_store, [board()], settings=ProjectingSettings(near_events=10))
    async with running(runner):
        assert await runner.reached("board", OURS, 1_000, PATIENCE_SECONDS)
    counting.cancel()
    assert [count for count in turns if count] == [250, 250, 250, 250]


async def test_several_models_share_one_reading_of_the_feed(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    boards = [board(name=f"board_{n}") for n in range(5)]
    patient = replace(SETTINGS, idle_seconds=10 * PATIENCE_SECONDS)  # it reads at news, and not for being slow

    async with running(ProjectionRunner(OURS, log, read_store, boards, settings=patient)) as runner:
        await until(lambda: all(one.follows for one in runner._running))
        assert await runner.reached("", OURS, log.add(Noted(deal_id="d", note="first")), PATIENCE_SECONDS)
        before = log.reads
        for n in range(10):
            assert await runner.reached("", OURS, log.add(Noted(deal_id="d", note=str(n))), PATIENCE_SECONDS)

    assert log.reads - before < 40
    assert [len((await read_store.get(each.name, TENANT, "d") or {})["notes"]) for each in boards] == [11] * 5


async def test_tenants_never_share_a_document(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(Noted(deal_id="d", note="mine"))
    log.add(Noted(deal_id="d", note="theirs"), tenant="t-2")

    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        assert await runner.reached("", OURS, 2, PATIENCE_SECONDS)

    assert (await read_store.get("board", TENANT, "d") or {})["notes"] == ["mine"]
    assert (await read_store.get("board", "t-2", "d") or {})["notes"] == ["theirs"]


async def test_a_document_that_evolve_answers_none_for_is_gone(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(Opened(deal_id="d"), Noted(deal_id="d", note="drop"))

    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        assert await runner.reached("", OURS, 2, PATIENCE_SECONDS)

    assert await read_store.get("board", TENANT, "d") is None


async def test_messages_of_others_count_once_however_often_they_come(read_store: SqliteReadStore) -> None:
    runner = ProjectionRunner(OURS, FakeLog(), read_store, [board()], settings=SETTINGS)
    await runner.prepare()
    first, second = told(DealWon(deal_id="d", amount=1), DealWon(deal_id="d", amount=2))

    await runner.apply("neighbour", [first, second])
    await runner.apply("neighbour", [first])

    assert await read_store.get("board", TENANT, "d") == {"notes": [], "won": 2}
    assert await runner.reached("board", "neighbour", 2, 0.5, TENANT)
    assert not await runner.reached("board", "neighbour", 2, 0.01, "t-2")


async def test_a_bug_stops_its_model_and_no_other(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(Noted(deal_id="d", note="fine"))

    def careful(document: Any, seen: Seen) -> Any:
        return document or {}

    boards = [board(), board(name="other", change=careful)]
    async with running(ProjectionRunner(OURS, log, read_store, boards, settings=SETTINGS)) as runner:
        assert await runner.reached("", OURS, 1, PATIENCE_SECONDS)
        log.add(Noted(deal_id="d", note="bug"), Noted(deal_id="d", note="after"))
        assert await runner.reached("other", OURS, 3, PATIENCE_SECONDS)
        await until(lambda: runner.stops)

        lag = {lag.name: lag for lag in runner.lag()}

    assert "evolve raised RuntimeError('…')" in (lag["board"].stopped or "")
    assert (lag["board"].position, lag["board"].behind) == (1, 2)
    assert (lag["other"].stopped, lag["other"].behind) == (None, 0)
    assert (await read_store.get("board", TENANT, "d") or {})["notes"] == ["fine"]


async def test_a_repaired_model_goes_on_where_it_stopped(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(Noted(deal_id="d", note="fine"), Noted(deal_id="d", note="bug"))
    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        await until(lambda: runner.stops)

    def repaired(document: Any, seen: Seen) -> Any:
        return {"notes": [*(document or {"notes": []})["notes"], seen.event.note]}

    async with running(ProjectionRunner(OURS, log, read_store, [board(change=repaired)], settings=SETTINGS)) as runner:
        assert await runner.reached("", OURS, 2, PATIENCE_SECONDS)

    assert await read_store.get("board", TENANT, "d") == {"notes": ["fine", "bug"]}


async def test_an_unknown_type_in_the_own_feed_stops_and_is_never_skipped(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(Noted(deal_id="d", note="before"))
    log.add(Ignored(), type_name="projecting_test.FromTomorrow.v1")
    log.add(Noted(deal_id="d", note="after"))

    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        await until(lambda: runner.stops)
        (lag,) = runner.lag()

    assert "projecting_test.FromTomorrow.v1" in (lag.stopped or "")
    assert (await read_store.get("board", TENANT, "d") or {})["notes"] == ["before"]


async def test_what_cannot_be_decoded_is_kept_aside_and_the_model_says_so(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(Noted(deal_id="d", note="one"))
    log.add(Noted(deal_id="d", note="two"), broken=True)
    log.add(Noted(deal_id="d", note="three"))

    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        assert await runner.reached("", OURS, 3, PATIENCE_SECONDS)
        (lag,) = runner.lag()

    (aside,) = await read_store.asides(lag.model)
    assert lag.incomplete
    assert (aside.position, aside.type, aside.body) == (2, "projecting_test.Noted.v1", b'{"deal_id":"d","note":"two"}')
    assert (await read_store.get("board", TENANT, "d") or {})["notes"] == ["one", "three"]


async def test_a_message_without_a_readable_envelope_marks_the_model_but_moves_no_checkpoint(
    read_store: SqliteReadStore,
) -> None:
    runner = ProjectionRunner(OURS, FakeLog(), read_store, [board()], settings=SETTINGS)
    await runner.prepare()
    message = Message(topic="entente.neighbour", partition=1, offset=7, body=b"?", fault="no ce_id")
    broken = Undecodable(source="neighbour", tenant="", stream="", position=0, reason="no ce_id", message=message)

    await runner.apply("neighbour", [broken, *told(DealWon(deal_id="d", amount=1))])

    (model,) = await read_store.models()
    assert model.incomplete
    assert model.checkpoints["neighbour"] == {TENANT: 1}
    assert [aside.id for aside in await read_store.asides(model.model)] == ["entente.neighbour/1/7"]


async def test_a_rebuild_gives_the_same_bytes_and_swaps_without_a_gap(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    won = told(*(DealWon(deal_id=f"d-{n}", amount=n) for n in range(7)))
    log.add(*(Noted(deal_id=f"d-{n % 5}", note=str(n)) for n in range(50)))
    runner = ProjectionRunner(OURS, log, read_store, [board()], feeds={"neighbour": feed_over(won)}, settings=SETTINGS)
    async with running(runner):
        assert await runner.reached("", OURS, 50, PATIENCE_SECONDS)
        assert await runner.reached("", "neighbour", 7, PATIENCE_SECONDS)
        before = await exported(read_store)

        model = await asyncio.wait_for(runner.rebuild("board"), PATIENCE_SECONDS)
        after = await exported(read_store)
        last = log.add(Noted(deal_id="d-1", note="live"))
        assert await runner.reached("board", OURS, last, PATIENCE_SECONDS)

    assert model == "board__v1_2"
    assert len(before) == 7
    assert after == before
    assert "live" in (await read_store.get("board", TENANT, "d-1") or {})["notes"]


async def test_a_rebuild_needs_a_feed_of_every_source(read_store: SqliteReadStore) -> None:
    async with running(ProjectionRunner(OURS, FakeLog(), read_store, [board()], settings=SETTINGS)) as runner:
        with pytest.raises(CannotRebuild, match="neighbour"):
            await runner.rebuild("board")


async def test_a_new_version_answers_only_when_it_is_filled(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    log.add(*(Noted(deal_id="d", note=str(n)) for n in range(30)))
    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)) as runner:
        assert await runner.reached("", OURS, 30, PATIENCE_SECONDS)

    def counting(document: Any, seen: Seen) -> Any:
        return {"count": (document or {"count": 0})["count"] + 1}

    feeds = {"neighbour": feed_over(())}
    second = ProjectionRunner(OURS, log, read_store, [board(2, counting)], feeds=feeds, settings=SETTINGS)
    await second.prepare()
    assert len((await read_store.get("board", TENANT, "d") or {})["notes"]) == 30
    async with running(second):
        await until(lambda: second.lag()[0].live)

    assert await read_store.get("board", TENANT, "d") == {"count": 30}
    assert [model.model for model in await read_store.models()] == ["board__v2"]


async def lived(read_store: SqliteReadStore, known: Sequence[Seen]) -> None:
    """The release before heard this of the neighbour."""
    before = ProjectionRunner(OURS, FakeLog(), read_store, [board()], settings=SETTINGS)
    await before.prepare()
    await before.apply("neighbour", known)


async def test_a_new_version_never_answers_without_what_the_live_one_heard_of_others(
    read_store: SqliteReadStore,
) -> None:
    known = told(*(DealWon(deal_id=f"d-{n}", amount=n) for n in range(6)))
    await lived(read_store, known)

    second = ProjectionRunner(OURS, FakeLog(), read_store, [board(2)], settings=SETTINGS)
    async with running(second):
        await until(lambda: second.lag()[0].filling)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(until(lambda: second.lag()[0].live), 0.2)
        (lag,) = second.lag()

    assert (lag.filling, lag.no_feed) == (("neighbour",), ("neighbour",))
    assert await read_store.count("board", TENANT) == 6
    assert {model.model: model.live for model in await read_store.models()} == {"board__v1": True, "board__v2": False}

    feeds = {"neighbour": feed_over(known)}
    third = ProjectionRunner(OURS, FakeLog(), read_store, [board(2)], feeds=feeds, settings=SETTINGS)
    async with running(third):
        await until(lambda: third.lag()[0].live)

    assert await read_store.count("board", TENANT) == 6
    assert [model.model for model in await read_store.models()] == ["board__v2"]


async def test_messages_wait_where_another_process_may_fill_the_same_version(read_store: SqliteReadStore) -> None:
    """One that came late would be passed, and committed, by a process that ends before it has read the feed again."""
    facts = told(*(DealWon(deal_id=f"d-{n}", amount=n) for n in range(6)))
    await lived(read_store, facts[:4])
    gate = asyncio.Event()

    async def slow(after: int, limit: int) -> FeedPage:
        await gate.wait()
        return await feed_over(facts[:5])(after, limit)

    def release(feed: Any) -> ProjectionRunner:
        feeds = {"neighbour": feed}
        return ProjectionRunner(
            OURS, FakeLog(), read_store, [board(2)], feeds=feeds, settings=replace(SHARED, hold_seconds=0.1)
        )

    late = release(slow)
    async with running(late), running(release(feed_over(facts[:5]))) as quick:
        await until(lambda: quick.lag()[0].live)
        with pytest.raises(StillFilling):
            await late.apply("neighbour", facts[5:])
        assert await read_store.count("board", TENANT) == 5
        gate.set()
        await until(lambda: not late.lag()[0].filling)
        await late.apply("neighbour", facts[5:])

    assert await read_store.count("board", TENANT) == 6


async def test_a_version_that_is_made_again_holds_no_message_of_the_live_one(read_store: SqliteReadStore) -> None:
    facts = told(*(DealWon(deal_id=f"d-{n}", amount=n) for n in range(6)))
    gate, known = asyncio.Event(), facts[:4]

    async def feed(after: int, limit: int) -> FeedPage:
        await gate.wait()
        return await feed_over(known)(after, limit)

    runner = ProjectionRunner(OURS, FakeLog(), read_store, [board()], feeds={"neighbour": feed}, settings=SHARED)
    async with running(runner):
        gate.set()
        await until(lambda: not runner.lag()[0].filling)
        gate.clear()
        again = asyncio.create_task(runner.rebuild("board"))
        await until(lambda: len(runner.lag()) > 1)
        await asyncio.wait_for(runner.apply("neighbour", facts[4:]), PATIENCE_SECONDS)
        assert await read_store.count("board", TENANT) == 6
        known = facts
        gate.set()
        assert await asyncio.wait_for(again, PATIENCE_SECONDS) == "board__v1_2"

    assert await read_store.count("board", TENANT) == 6


class Slow(SqliteReadStore):
    """Whoever asks for the models while it is slow gets the answer of that moment, later."""

    may = asyncio.Event()
    may.set()

    async def models(self) -> list[Model]:
        found = await super().models()
        await self.may.wait()
        return found


async def test_who_asks_for_readiness_while_the_work_begins_turns_nothing_back(tmp_path: Path) -> None:
    """What was filled since the store was asked stays filled."""
    store = Slow(tmp_path / "read.db")
    await store.open()
    feeds = {"neighbour": feed_over(told(DealWon(deal_id="d", amount=1)))}
    runner = ProjectionRunner(OURS, FakeLog(), store, [board()], feeds=feeds, settings=SHARED)
    await runner.prepare()
    store.may = asyncio.Event()
    asked = asyncio.create_task(runner.look())
    await asyncio.sleep(0)
    async with running(runner):
        await until(lambda: not runner.lag()[0].filling)
        store.may.set()
        await asked
        assert not runner.lag()[0].filling
    await store.close()


async def test_a_stopped_model_holds_its_messages_where_another_process_may_fill_it(
    read_store: SqliteReadStore,
) -> None:
    def bug(document: Any, seen: Seen) -> Any:
        raise RuntimeError("bug")

    facts = told(DealWon(deal_id="d", amount=1))
    await lived(read_store, ())
    feeds = {"neighbour": feed_over(())}
    stopping = ProjectionRunner(OURS, FakeLog(), read_store, [board(change=bug)], feeds=feeds, settings=SHARED)
    await stopping.prepare()
    with pytest.raises(ProjectionStopped):
        await stopping.apply("neighbour", facts)
    assert not stopping.lag()[0].filling


async def test_messages_that_come_while_a_model_is_being_filled_are_read_from_the_feed(
    read_store: SqliteReadStore,
) -> None:
    facts = told(*(DealWon(deal_id=f"d-{n}", amount=n) for n in range(6)))
    gate, known = asyncio.Event(), facts[:4]

    async def feed(after: int, limit: int) -> FeedPage:
        await gate.wait()
        page = [fact for fact in known if fact.position > after][:limit]
        return FeedPage(page, page[-1].position if page else after)

    runner = ProjectionRunner(OURS, FakeLog(), read_store, [board()], feeds={"neighbour": feed}, settings=SETTINGS)
    async with running(runner):
        await runner.apply("neighbour", facts[4:])
        assert await read_store.count("board", TENANT) == 0
        known = facts
        gate.set()
        await until(lambda: not runner.lag()[0].filling)
        late = told(DealWon(deal_id="late", amount=9), first=7)
        await runner.apply("neighbour", late)

    assert await read_store.count("board", TENANT) == 7


async def test_a_stopped_model_leaves_messages_to_the_feed_or_else_holds_them(read_store: SqliteReadStore) -> None:
    def bug(document: Any, seen: Seen) -> Any:
        raise RuntimeError("bug")

    facts = told(DealWon(deal_id="d", amount=1))
    holding = ProjectionRunner(OURS, FakeLog(), read_store, [board(change=bug)], settings=SETTINGS)
    await holding.prepare()
    with pytest.raises(ProjectionStopped):
        await holding.apply("neighbour", facts)

    feeds = {"neighbour": feed_over(facts)}
    passing = ProjectionRunner(OURS, FakeLog(), read_store, [board(change=bug)], feeds=feeds, settings=SETTINGS)
    await passing.prepare()
    await passing.apply("neighbour", facts)

    repaired = ProjectionRunner(OURS, FakeLog(), read_store, [board()], feeds=feeds, settings=SETTINGS)
    async with running(repaired):
        assert await repaired.reached("board", "neighbour", 1, PATIENCE_SECONDS)

    assert await read_store.get("board", TENANT, "d") == {"notes": [], "won": 1}


async def test_a_process_that_runs_no_projections_sees_how_far_they_are(read_store: SqliteReadStore) -> None:
    log = FakeLog()
    api = ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)
    await api.prepare()

    async with running(ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS)):
        last = log.add(Noted(deal_id="d", note="x"))
        assert await api.reached("board", OURS, last, PATIENCE_SECONDS)


async def test_it_is_told_of_a_stop_until_every_message_that_met_it_has_come_again(
    read_store: SqliteReadStore, stops: Stops
) -> None:
    def bug(document: Any, seen: Seen) -> Any:
        raise RuntimeError("bug")

    def at_work(change: Callable[[Any, Seen], Any]) -> ProjectionRunner:
        return ProjectionRunner(OURS, FakeLog(), read_store, [board(change=change)], settings=SETTINGS, stops=stops)

    async def told_of_stop() -> str | None:
        await api.look()
        return api.lag()[0].stopped

    known = told(DealWon(deal_id="a", amount=1), tenant="t-2")
    one, other = (told(DealWon(deal_id="b", amount=2), tenant=tenant, first=2) for tenant in (TENANT, "t-3"))
    api, stopping, mended = at_work(evolve), at_work(bug), at_work(evolve)
    await api.prepare()
    await mended.prepare()
    await mended.apply("neighbour", known)
    assert await told_of_stop() is None

    await stopping.prepare()
    with pytest.raises(ProjectionStopped):
        await stopping.apply("neighbour", [*known, *one, *other])
    assert "evolve raised RuntimeError" in (await told_of_stop() or "")

    await mended.apply("neighbour", one)
    assert "evolve raised RuntimeError" in (await told_of_stop() or "")
    await mended.apply("neighbour", other)
    assert await told_of_stop() is None


async def test_it_is_told_of_a_stop_at_an_unknown_type_until_a_release_knows_it(
    read_store: SqliteReadStore, stops: Stops
) -> None:
    log = FakeLog()
    log.add(Noted(deal_id="d", note="before"))
    log.add(Noted(deal_id="d", note="new"), type_name="projecting_test.FromTomorrow.v1")
    api, first, second = (
        ProjectionRunner(OURS, log, read_store, [board()], settings=SETTINGS, stops=stops) for _ in range(3)
    )
    await api.prepare()
    async with running(first):
        await until(lambda: first.stops)
    await api.look()
    assert "projecting_test.FromTomorrow.v1" in (api.lag()[0].stopped or "")

    log.lines[1] = replace(log.lines[1], type="projecting_test.Noted.v1")
    async with running(second):
        assert await second.reached("board", OURS, 2, PATIENCE_SECONDS)
    await api.look()
    assert api.lag()[0].stopped is None


def test_the_kit_shows_documents_and_proves_them_repeatable() -> None:
    seen = [
        *told(Opened(deal_id="d"), Noted(deal_id="d", note="a"), Noted(deal_id="e", note="b")),
        *told(DealWon(deal_id="d", amount=5)),
    ]

    assert project(board(), seen) == {"d": {"notes": ["a"], "won": 5}, "e": {"notes": ["b"], "won": None}}
    assert_repeatable(board(), seen)


def test_the_kit_finds_a_document_that_depends_on_the_order_of_sources() -> None:
    def last_wins(document: Any, seen: Seen) -> Any:
        return {"last": seen.type}

    with pytest.raises(AssertionError, match="another order"):
        assert_repeatable(board(change=last_wins), [*told(Opened(deal_id="d")), *told(DealWon(deal_id="d", amount=5))])


def test_the_kit_finds_an_evolve_that_changes_what_it_was_given() -> None:
    def mutating(document: Any, seen: Seen) -> Any:
        known = document or {"n": 0}
        known["n"] += 1
        return known

    with pytest.raises(AssertionError, match="return a new one"):
        project(board(change=mutating), told(Opened(deal_id="d"), Opened(deal_id="d")))


def test_the_kit_finds_a_document_that_json_changes() -> None:
    def tupled(document: Any, seen: Seen) -> Any:
        known = document["ids"] if document else ()
        return {"ids": (*known, 1) if isinstance(known, tuple) else [*known, 2]}

    with pytest.raises(AssertionError, match="one batch"):
        assert_repeatable(board(change=tupled), told(Opened(deal_id="d"), Opened(deal_id="d")))


def test_a_projection_needs_a_name_and_named_classes() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        Projection(name="deal-board", version=1, keys={Opened: by_deal}, evolve=evolve)
    with pytest.raises(ValueError, match="without a stored name"):
        Projection(name="board", version=1, keys={int: by_deal}, evolve=evolve)
