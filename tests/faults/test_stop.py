"""SIGTERM under load: what is in hand is finished, the process ends by itself, and the next one goes on from there."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from tests.faults.checking import all_is_well_after
from tests.faults.child import child
from tests.faults.load import BEGINNING, DEALS, Acknowledged, Load, Sale, clients

LANES, IN_HAND = 6, 8
PATIENT = {"ENTENTE_STOP_SECONDS": "90"}
BEGUN_SECONDS = 2.0
HELD_SECONDS = 60.0
"""Whoever is still there then waited for something that has no end of its own, for as long as the setting lets it."""


async def test_a_process_told_to_stop_under_load_finishes_what_is_in_hand_and_starts_again(tmp_path: Path) -> None:
    with child(tmp_path / "data", PATIENT) as system:
        async with clients(system, seed=1) as load:
            system.start()
            await asyncio.to_thread(system.wait_ready)
            await load.set_clock(BEGINNING)
            async with asyncio.TaskGroup() as group:
                group.create_task(load.run(LANES))
                await stopped_while_someone_watches(load)
                await ready_again(load)
                await asyncio.sleep(0.5)
                load.stopping.set()
            await every_request_that_was_in_hand_is_answered(load)
            await all_is_well_after(load)


MOMENTS = ("signing.json", "crm_simulator/port", "incentives/events.db", "gateway/read.db")
"""Files that a start makes one after the other."""


@pytest.mark.parametrize("files", [MOMENTS[::3], pytest.param(MOMENTS, marks=pytest.mark.long)], ids=["short", "long"])
async def test_a_process_told_to_stop_before_it_serves_ends_in_order(tmp_path: Path, files: tuple[str, ...]) -> None:
    """At any moment of its start, from its first file on; the next one starts on what is there."""
    with child(tmp_path / "data") as system:
        for file in files:
            system.start()
            while not (system.data / file).exists():
                await asyncio.sleep(0.001)
            code, _ = await asyncio.to_thread(system.terminate)
            assert code == 0, system.last_words()
        system.start()
        await asyncio.to_thread(system.wait_ready)


async def stopped_while_someone_watches(load: Load) -> None:
    """A live stream is open all the time; it ends with the process and does not hold it."""
    token, _ = await load.sign_in("ada")
    headers = {"authorization": f"Bearer {token}"}
    async with load.http.get(f"{load.child.address}/v1/stream", headers=headers) as stream:
        assert stream.status == 200
        await stream.content.readuntil(b"event: ")
        code, seconds = await asyncio.to_thread(load.child.terminate)
        assert code == 0, load.child.last_words()
        assert seconds < HELD_SECONDS, f"stopped after {seconds:.1f} s"
        await stream.content.read()


async def ready_again(load: Load) -> None:
    """The next process goes on from what is there."""
    load.child.start()
    await asyncio.to_thread(load.child.wait_ready)
    async with load.http.get(f"{load.child.address}/readyz") as answer:
        assert answer.status == 200, await answer.text()


async def every_request_that_was_in_hand_is_answered(load: Load) -> None:
    """Requests that the process has begun to read when it is told to stop get their answers, and are recorded."""
    begun = asyncio.Barrier(IN_HAND + 1)
    asked = [asyncio.create_task(_held(load, f"held-{number}", begun)) for number in range(IN_HAND)]
    async with asyncio.timeout(HELD_SECONDS):
        await begun.wait()
    await asyncio.sleep(BEGUN_SECONDS)
    code, seconds = await asyncio.to_thread(load.child.terminate)
    await asyncio.gather(*asked)
    assert code == 0, load.child.last_words()
    assert seconds < HELD_SECONDS, f"stopped after {seconds:.1f} s"


async def _held(load: Load, key: str, begun: asyncio.Barrier) -> None:
    """A command whose body is half sent when the stop comes."""
    token, subject = await load.sign_in("northwind")
    wish = load.wish()
    body = orjson.dumps(wish)
    headers = {"authorization": f"Bearer {token}", "idempotency-key": key, "content-type": "application/json"}

    async def slowly() -> AsyncIterator[bytes]:
        yield body[:20]
        await begun.wait()
        await asyncio.sleep(2 * BEGUN_SECONDS)
        yield body[20:]

    headers["content-length"] = str(len(body))
    async with load.http.post(load.child.address + DEALS, data=slowly(), headers=headers) as answer:
        assert answer.status == 201, await answer.text()
        made = Acknowledged("northwind", subject, DEALS, wish, key, answer.status, await answer.json())
    load.acknowledged[key] = made
    load.sales.append(Sale(made.answer["registration_id"]))
