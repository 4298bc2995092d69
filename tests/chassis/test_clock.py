"""Clocks: the machine's, one that stands still, and one that development sets ahead."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from chassis.clock import ClockBackwards, ClockTooFar, DevClock, FixedClock, SystemClock
from chassis.decider import Invalid
from tests.patience import PATIENCE_SECONDS

AT = datetime(2026, 3, 3, 10, tzinfo=UTC)
LONG_SECONDS = 60.0
NEAR = timedelta(seconds=PATIENCE_SECONDS)


def test_the_machines_clock_is_aware_and_in_utc() -> None:
    assert timedelta() == SystemClock().now().utcoffset()


def test_a_fixed_clock_stands_still_until_it_is_set() -> None:
    clock = FixedClock(AT)
    assert AT == clock.now() == clock.now()
    clock.set(datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2))))
    assert datetime(2026, 1, 1, 10, tzinfo=UTC) == clock.now()
    clock.forward(timedelta(days=1))
    assert datetime(2026, 1, 2, 10, tzinfo=UTC) == clock.now()


def test_a_development_clock_goes_on_from_the_instant_it_was_set_to(tmp_path: Path) -> None:
    clock = DevClock(tmp_path / "clock.json")
    to = clock.now() + timedelta(days=90)
    clock.advance(to)
    assert to <= clock.now() < to + NEAR


def test_a_development_clock_is_where_it_was_after_a_restart(tmp_path: Path) -> None:
    to = DevClock(tmp_path / "clock.json").now() + timedelta(days=90)
    DevClock(tmp_path / "clock.json").advance(to)
    assert to <= DevClock(tmp_path / "clock.json").now() < to + NEAR
    assert [path.name for path in tmp_path.iterdir()] == ["clock.json"]


def test_a_clock_never_goes_backwards(tmp_path: Path) -> None:
    clock = DevClock(tmp_path / "clock.json")
    clock.advance(clock.now() + timedelta(days=2))
    with pytest.raises(ClockBackwards) as refused:
        clock.advance(clock.now() - timedelta(days=1))
    assert (refused.value.slug, refused.value.status) == ("clock-backwards", 409)


@pytest.mark.parametrize("to", [datetime(9999, 12, 31, tzinfo=UTC), datetime(2400, 1, 1, tzinfo=UTC)])
def test_a_clock_stays_within_a_century(tmp_path: Path, to: datetime) -> None:
    clock = DevClock(tmp_path / "clock.json")
    with pytest.raises(ClockTooFar):
        clock.advance(to)
    assert clock.now() < SystemClock().now() + NEAR


WITHOUT_ZONE = AT.replace(tzinfo=None)
BEYOND_UTC = datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5)))


@pytest.mark.parametrize("to", [WITHOUT_ZONE, BEYOND_UTC])
def test_an_instant_without_a_place_in_utc_is_invalid(tmp_path: Path, to: datetime) -> None:
    with pytest.raises(Invalid):
        DevClock(tmp_path / "clock.json").advance(to)


async def test_who_waits_comes_back_when_the_clock_is_moved(tmp_path: Path) -> None:
    clock = DevClock(tmp_path / "clock.json")
    waiting = asyncio.create_task(clock.wait(LONG_SECONDS))
    await asyncio.sleep(0)
    clock.advance(clock.now() + timedelta(days=1))
    await asyncio.wait_for(waiting, 30)


async def test_a_move_in_another_thread_wakes_too() -> None:
    clock = FixedClock(AT)
    waiting = [asyncio.create_task(clock.wait(LONG_SECONDS)) for _ in range(3)]
    await asyncio.sleep(0)
    mover = threading.Thread(target=clock.forward, args=(timedelta(hours=1),))
    mover.start()
    await asyncio.wait_for(asyncio.gather(*waiting), 30)
    mover.join()


async def test_who_waits_comes_back_when_the_time_is_over() -> None:
    await asyncio.wait_for(FixedClock(AT).wait(0.001), 30)
    await asyncio.wait_for(SystemClock().wait(0.001), 30)


async def test_a_clock_that_another_process_moves_is_followed_and_wakes(tmp_path: Path) -> None:
    mine, others = DevClock(tmp_path / "clock.json"), DevClock(tmp_path / "clock.json")
    waiting = asyncio.create_task(mine.wait(60.0))
    await asyncio.sleep(0)

    others.advance(datetime(2131, 1, 1, tzinfo=UTC) - timedelta(days=365 * 10))
    await asyncio.wait_for(waiting, 30)

    assert abs(mine.now() - others.now()) < NEAR
