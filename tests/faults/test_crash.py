"""kill -9 of the whole process at random moments under load; nobody repairs anything by hand."""

import asyncio
import random
from pathlib import Path

import pytest

from tests.faults.checking import all_is_well_after
from tests.faults.child import child
from tests.faults.load import BEGINNING, Load, clients

LANES = 6


@pytest.mark.timeout(400)
@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_a_process_killed_at_random_moments_loses_nothing_and_does_nothing_twice(
    tmp_path: Path, kills: int
) -> None:
    seed = random.SystemRandom().randrange(1_000_000)
    print("seed", seed)  # noqa: T201  pytest shows it when the test fails
    with child(tmp_path / "data") as system:
        async with clients(system, seed) as load:
            await killed_under_load(load, kills)
            code, _ = await asyncio.to_thread(system.terminate)
            assert code == 0, system.last_words()
            await all_is_well_after(load)


async def killed_under_load(load: Load, kills: int) -> None:
    """The first crash meets the first run; every second one meets a start."""
    load.child.start()
    await crash(load, 1.0, 2.5)
    load.child.start()
    await asyncio.to_thread(load.child.wait_ready)
    await load.set_clock(BEGINNING)
    async with asyncio.TaskGroup() as group:
        group.create_task(load.run(LANES))
        for number in range(1, kills):
            if number % 2:
                await asyncio.to_thread(load.child.wait_ready)
            await crash(load, 0.2, 2.5)
            load.child.start()
        await asyncio.to_thread(load.child.wait_ready)
        load.stopping.set()


async def crash(load: Load, least_seconds: float, most_seconds: float) -> None:
    await asyncio.sleep(load.chance.uniform(least_seconds, most_seconds))
    await asyncio.to_thread(load.child.kill)
