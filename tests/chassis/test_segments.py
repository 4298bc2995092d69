"""A stream that lives long is read a segment at a time, and nobody outside can tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from chassis.clock import FixedClock
from chassis.decider import Decider, Stale, stream_base
from chassis.event import command, event
from chassis.execution import Executor, Handles, Order
from chassis.segments import SEGMENT_EVENTS, StreamContinued
from chassis.store.port import EventStore
from chassis.store.postgres import PostgresEventStore
from chassis.verify import verify_decisions
from tests.chassis.trust import ANNA, AT, opened


@event("segments_test.Stepped.v1")
class Stepped:
    odometer_id: str
    steps: int


@event("segments_test.OdometerCarried.v1")
class OdometerCarried:
    steps: int


@command("segments_test.Step.v1")
class Step:
    odometer_id: str
    steps: int = 1


@command("segments_test.Read.v1")
class Read:
    odometer_id: str


def evolve(walked: int, happened: Stepped | OdometerCarried) -> int:
    return happened.steps if isinstance(happened, OdometerCarried) else walked + happened.steps


Odometers = Decider[int, Stepped | OdometerCarried](
    "odometer", 0, evolve, carry=lambda walked: OdometerCarried(steps=walked)
)
STEP = Handles(
    Step,
    lambda wish, walked: [Stepped(odometer_id=wish.odometer_id, steps=1) for _ in range(wish.steps)],
    lambda wish: (Odometers.at(wish.odometer_id),),
    answer=lambda wish, walked: {"walked": walked},
)
BEFORE = replace(STEP, streams=lambda wish: (replace(Odometers, carry=None).at(wish.odometer_id),))
"""The step of a release whose odometers did not carry: their streams are never closed."""
READ = Handles(
    Read,
    lambda wish, walked: [],
    lambda wish: (),
    reads=lambda wish: (Odometers.at(wish.odometer_id),),
)


class Walk:
    """Steps on one odometer, each a command."""

    def __init__(self, store: EventStore, step: Handles = STEP, done: int = 0) -> None:
        self.executor = Executor(store, (step, READ), FixedClock(AT))
        self.done = done

    async def step(self, steps: int = 1, *, key: str = "", expected: int | None = None):
        self.done += 1
        order = Order(
            command_id=key or f"c-{self.done}",
            tenant="acme",
            actor=ANNA,
            correlation_id="c",
            expected_version=expected,
        )
        return await self.executor.run(order, Step(odometer_id="car", steps=steps))

    async def walked(self) -> tuple[int, int]:
        return await self.executor.state("acme", Odometers.at("car"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return request.getfixturevalue("postgres") if request.param == "postgres" else str(tmp_path / "store.db")


@asynccontextmanager
async def store_at(place: str) -> AsyncIterator[EventStore]:
    if place.endswith(".db"):
        async with opened(Path(place)) as store:
            yield store
        return
    store = PostgresEventStore(place, schema="segments")
    await store.migrate()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def test_a_full_segment_is_closed_and_the_next_one_opens_with_the_state(place: str) -> None:
    async with store_at(place) as store:
        walk = Walk(store)
        outcomes = [await walk.step() for _ in range(SEGMENT_EVENTS)]
        first, second = await store.load("acme:odometer-car"), await store.load("acme:odometer-car~2")
        assert [e.version for e in (*first, *second)] == list(range(1, SEGMENT_EVENTS + 3))
        assert first[-1].event == StreamContinued(next="acme:odometer-car~2")
        assert [e.event for e in second] == [OdometerCarried(steps=SEGMENT_EVENTS)]
        assert len({e.command_id for e in (first[-2], first[-1], second[0])}) == 1
        assert outcomes[-1].answer == {"walked": SEGMENT_EVENTS}
        assert await walk.walked() == (SEGMENT_EVENTS, SEGMENT_EVENTS + 2)


async def test_the_version_of_an_answer_is_the_one_that_the_next_command_expects(place: str) -> None:
    async with store_at(place) as store:
        walk = Walk(store)
        last = await walk.step(SEGMENT_EVENTS)
        assert (await walk.step(expected=last.version)).answer == {"walked": SEGMENT_EVENTS + 1}
        with pytest.raises(Stale):
            await walk.step(expected=last.version)


async def test_a_restarted_process_finds_the_newest_of_many_segments(place: str) -> None:
    async with store_at(place) as store:
        walk = Walk(store)
        for _ in range(7):
            await walk.step(150)
        again = Walk(store)
        again.done = walk.done
        assert (await again.walked())[0] == 1_050
        assert (await again.step()).answer == {"walked": 1_051}
        streams = {e.stream for e in await store.feed(0, 2_000) if e.type == "segments_test.Stepped.v1"}
        assert len(streams) == 6
        assert {stream_base(one) for one in streams} == {"acme:odometer-car"}


async def test_two_processes_that_meet_at_the_end_of_a_segment_lose_nothing(place: str) -> None:
    async with store_at(place) as store:
        one, other = Walk(store), Walk(store)
        await one.step(SEGMENT_EVENTS - 20)
        for turn in range(40):
            outcomes = await asyncio.gather(
                one.step(key=f"one-{turn}"), other.step(key=f"other-{turn}"), return_exceptions=True
            )
            assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
        assert (await Walk(store).walked())[0] == SEGMENT_EVENTS + 60


async def test_a_repeat_finds_its_first_answer_although_the_segment_is_closed(place: str) -> None:
    async with store_at(place) as store:
        walk = Walk(store)
        first = await walk.step(3, key="same")
        await walk.step(SEGMENT_EVENTS)
        again = await walk.step(3, key="same")
        assert (again.answer, again.version, again.repeated) == (first.answer, first.version, True)


async def test_every_decision_over_segments_is_decided_alike_from_the_log(place: str) -> None:
    async with store_at(place) as store:
        walk = Walk(store)
        for _ in range(5):
            await walk.step(99)
        order = Order(command_id="read", tenant="acme", actor=ANNA, correlation_id="c")
        await walk.executor.run(order, Read(odometer_id="car"))
        report = await verify_decisions(store, (STEP, READ))
        assert (report.compared, report.lines()[1:]) == ({"decisions": 6}, [])


async def test_a_log_of_a_release_that_did_not_carry_is_decided_alike(place: str) -> None:
    async with store_at(place) as store:
        before = Walk(store, BEFORE)
        for _ in range(5):
            await before.step(99)
        assert (await verify_decisions(store, (STEP,))).lines() == ["compared 5 decisions: all as recorded"]


async def test_a_stream_that_did_not_carry_goes_on_in_a_segment_at_its_next_command(place: str) -> None:
    async with store_at(place) as store:
        before = Walk(store, BEFORE)
        for _ in range(5):
            await before.step(99)
        walk = Walk(store, done=before.done)
        assert (await walk.step()).answer == {"walked": 496}
        assert (await store.load("acme:odometer-car"))[-1].event == StreamContinued(next="acme:odometer-car~3")
        assert [e.event for e in await store.load("acme:odometer-car~3")] == [OdometerCarried(steps=496)]
        assert (await walk.step(200)).answer == {"walked": 696}
        assert (await verify_decisions(store, (STEP,))).lines() == ["compared 7 decisions: all as recorded"]


async def test_what_a_stream_went_on_with_is_compared_whole(place: str) -> None:
    async with store_at(place) as store:
        last = await Walk(store).step(SEGMENT_EVENTS)
        shorter = replace(Odometers, carry=lambda walked: OdometerCarried(steps=walked - 1))
        report = await verify_decisions(store, (replace(STEP, streams=lambda wish: (shorter.at(wish.odometer_id),)),))
        said = f"segments_test.Step.v1 wrote another segments_test.OdometerCarried.v1 as version {last.version}"
        assert [one.what for one in report.differences] == [f"{said} of acme:odometer-car~2"]
        report = await verify_decisions(store, (BEFORE,))
        assert [one.what for one in report.differences] == [
            f"segments_test.Step.v1 wrote {last.version} events, now it writes {SEGMENT_EVENTS}"
        ]
