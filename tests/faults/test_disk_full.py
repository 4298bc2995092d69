"""A disk that takes no more: commands are told to come again, nothing is half written, and room alone heals it."""

import asyncio
import resource
from pathlib import Path

from tests.faults.checking import all_is_well_after
from tests.faults.child import child
from tests.faults.load import BEGINNING, DEALS, Load, clients

LANES = 4
FULL_BYTES = 4_096
"""No file may grow beyond this, which for the process is a full disk: WAL, keys, leaves, positions alike."""


async def test_commands_on_a_full_disk_are_told_to_come_again_and_room_heals_it(tmp_path: Path) -> None:
    with child(tmp_path / "data") as system:
        async with clients(system, seed=2) as load:
            system.start()
            await asyncio.to_thread(system.wait_ready)
            await load.set_clock(BEGINNING)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(LANES))
                await load.register("northwind", "before")  # its partner is known by then
                await asyncio.sleep(1.0)
                await full_for_a_while(load)
                await asyncio.sleep(1.0)
                load.stopping.set()
            code, _ = await asyncio.to_thread(system.terminate)
            assert code == 0, system.last_words()
            await all_is_well_after(load)


async def full_for_a_while(load: Load) -> None:
    before = resource.prlimit(load.child.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(load.child.pid, resource.RLIMIT_FSIZE, (FULL_BYTES, before[1]))
    try:
        await refused_for_now_and_still_read(load)
        await asyncio.sleep(1.5)
    finally:
        resource.prlimit(load.child.pid, resource.RLIMIT_FSIZE, before)


async def refused_for_now_and_still_read(load: Load) -> None:
    """The answer is a problem that says when to come again; what is there can still be read."""
    token, _ = await load.sign_in("northwind")
    headers = {"authorization": f"Bearer {token}"}
    url = load.child.address + DEALS
    # The second needs a new key for its personal text before there is anything to record.
    for number, wish in enumerate((load.wish(), {**load.wish(), "description": "Ms Gray wants ten seats."})):
        async with load.http.post(url, json=wish, headers={**headers, "idempotency-key": f"full-{number}"}) as answer:
            told = await answer.json(content_type=None)
            assert (answer.status, answer.content_type) == (503, "application/problem+json"), told
            assert (answer.headers["Retry-After"], told["retry_after_seconds"]) == ("1", 1)
    async with load.http.get(url, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
