"""A log brought back from a backup older than what was read of it: nothing starts, and one command makes it whole."""

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chassis.epoch import LogBehind
from tests.engines import postgres as engine
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.proofs import every_log_is_what_it_was, every_model_can_be_made_again
from tests.scenarios.system import System, done, running_system

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Place:
    """Where a system keeps what it knows: its logs in files, or in the database at `dsn`."""

    data: Path
    dsn: str | None = None

    def running(self, **how: Any) -> AbstractAsyncContextManager[System]:
        return running_system(self.data, postgres=self.dsn, **how)

    service: str = "registration"

    def back_up(self) -> None:
        """One service's log alone, as the engine's own tools copy it."""
        if self.dsn:
            engine.dump(self.dsn, self.service, self._kept)
        else:
            shutil.copy(self._log, self._kept)

    def restore(self) -> None:
        if self.dsn:
            engine.restore(self.dsn, self._kept)
        else:
            shutil.copy(self._kept, self._log)

    @property
    def _log(self) -> Path:
        return self.data / self.service / "events.db"

    @property
    def _kept(self) -> Path:
        return self.data.with_name("kept")

    def reconciled(self) -> list[str]:
        """What the command says."""
        command = [sys.executable, "-m", "services", "reconcile", "--by", "dana", "--data", str(self.data)]
        stores = {"ENTENTE_POSTGRES": self.dsn} if self.dsn else {}
        ran = subprocess.run(
            command, cwd=ROOT, env=os.environ | stores, capture_output=True, text=True, timeout=120, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout.splitlines()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.engine)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Each engine that logs are kept in."""
    return Place(tmp_path / "data", request.getfixturevalue("postgres") if request.param == "postgres" else None)


async def registered(it: System, name: str) -> str:
    """A deal of that customer, approved, so that other services act on it."""
    north, dora = await it.who("northwind"), await it.who("dora")
    made: str = done(await north.post(DEALS, deal(name, f"www.{name.lower()}.de"), key=name), 201)["registration_id"]
    done(await dora.post(f"{DEALS}/{made}/approve", key=f"approve-{name}"))
    await it.settle()
    return made


async def shown(it: System) -> list[set[str]]:
    """The deals that registration's own read model shows, and those that the gateway has heard of."""
    north = await it.who("northwind")
    lists = [done(await north.get(path))["items"] for path in (DEALS, "/v1/deals")]
    return [{one["registration_id"] for one in found} for found in lists]


async def an_older_log(place: Place) -> tuple[str, str]:
    """A system whose registration was restored from before its second deal: both deals."""
    async with place.running() as it:
        first = await registered(it, "Contoso")
    await asyncio.to_thread(place.back_up)
    async with place.running() as it:
        second = await registered(it, "Fabrikam")
        assert await shown(it) == [{first, second}] * 2
    await asyncio.to_thread(place.restore)
    return first, second


async def test_a_log_older_than_its_readers_is_told_of_and_made_whole(place: Place) -> None:
    first, _ = await an_older_log(place)
    # In PostgreSQL, what the witness and the relay remember is of the same backup; read models are not.
    reader = "read models of registration" if place.dsn else "the witness"
    with pytest.raises(LogBehind, match=rf"registration: the log ends at \d+ and was read further \({reader} to"):
        async with place.running(beginning=None, opened=False):
            pass

    said = await asyncio.to_thread(place.reconciled)
    assert said[0].startswith("registration: the log ends at "), said
    assert said[0].endswith(": epoch 2 begins")
    [lost] = [line for line in said if line.startswith("rests on what is lost: attribution")]
    assert "attribution.OpenOpportunity.v1 on acme:opportunity-" in lost
    assert said[-1].startswith("1 epochs begun, ")

    async with place.running(beginning=None, opened=False) as it:
        assert await shown(it) == [{first}] * 2
        third = await registered(it, "Tailspin")
        assert await shown(it) == [{first, third}] * 2
        [begun] = await it.services["registration"].store.load("shared:epoch-2")
        assert (begun.event.epoch, begun.event.begun_by) == (2, "dana")
        assert begun.position == 2_000_000_000_001
        await every_model_can_be_made_again(it)
    await every_log_is_what_it_was(place.data, place.dsn)


async def test_what_a_restored_service_had_heard_since_the_backup_it_hears_again(place: Place) -> None:
    place = replace(place, service="attribution")
    await an_older_log(place)
    said = await asyncio.to_thread(place.reconciled)
    assert said[0].startswith("attribution: the log ends at "), said

    async with place.running(beginning=None, opened=False) as it:
        await it.settle()
        opened = await it.events("attribution.OpportunityLinked")
        assert len({one["data"]["registration_id"] for one in opened}) == 2
        assert len(opened) == 2
    await every_log_is_what_it_was(place.data, place.dsn)


async def test_a_backup_that_is_brought_back_twice_gives_no_position_twice(place: Place) -> None:
    await an_older_log(place)
    assert (await asyncio.to_thread(place.reconciled))[0].endswith(": epoch 2 begins")
    async with place.running(beginning=None, opened=False) as it:
        await registered(it, "Tailspin")
    place.restore()
    assert (await asyncio.to_thread(place.reconciled))[0].endswith(": epoch 3 begins")


async def test_where_every_log_is_whole_there_is_nothing_to_do(tmp_path: Path) -> None:
    async with running_system(tmp_path):
        pass
    assert await asyncio.to_thread(Place(tmp_path).reconciled) == ["0 epochs begun, 0 commands rest on what is lost"]
