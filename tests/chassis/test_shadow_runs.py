"""Runs that were asked for: a few of one tenant at once, whatever the other tenants ask for."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from chassis.clock import FixedClock, SystemClock
from chassis.decider import Busy
from chassis.desk.sqlite import SqliteDesk
from chassis.shadow import Candidate, Eyes, Progress, Window
from chassis.shadow_runs import RUNNING_IN_ALL_MAX, RUNNING_MAX, Asked, Document, KeptRuns, ShadowRuns
from chassis.store.port import EventStore
from tests.patience import PATIENCE_SECONDS

BEGUN_AT = datetime(2026, 3, 3, 10, tzinfo=UTC)
CANDIDATE = Candidate(rulebook_id="default", kind="some_rules", scope="default", version=1, body={}, sha256="0" * 64)


def asked(tenant: str, run_id: str) -> Asked:
    return Asked(run_id=run_id, candidate=CANDIDATE, window=Window(tenant=tenant, after=0, until=0), asked={})


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[tuple[ShadowRuns, ShadowRuns, FixedClock]]:
    """Two processes of one service, and the clock of their machines."""
    desk, clock = SqliteDesk(tmp_path, "testing", SystemClock()), FixedClock(BEGUN_AT)
    await desk.migrate()
    one, other = (ShadowRuns(desk.runs, cast("EventStore", None), (), Eyes(), clock=clock) for _ in range(2))
    yield one, other, clock
    await one.stop()
    await other.stop()
    await desk.close()


class Failing:
    """What is kept of runs, while `no` is set refused by its database. `asked` is how often something was to be kept."""

    def __init__(self, runs: KeptRuns) -> None:
        self.kept, self.listed, self._keep = runs.kept, runs.listed, runs.keep
        self.no: Exception | None = None
        self.asked = 0

    async def keep(self, tenant: str, run_id: str, body: Document) -> None:
        try:
            if self.no:
                raise self.no
            await self._keep(tenant, run_id, body)
        finally:
            self.asked += 1

    async def was_asked(self, times: int) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.asked < times:
                await asyncio.sleep(0.005)


@pytest.fixture
async def runs(tmp_path: Path) -> AsyncIterator[ShadowRuns]:
    desk = SqliteDesk(tmp_path, "testing", SystemClock())
    await desk.migrate()
    made = ShadowRuns(desk.runs, cast("EventStore", None), (), Eyes())
    yield made
    await made.stop()
    await desk.close()


async def test_of_one_tenant_two_runs_go_on_at_once_and_another_tenant_does_not_wait_for_them(
    runs: ShadowRuns,
) -> None:
    over = asyncio.Event()

    async def work(progress: Progress) -> dict[str, Any]:
        await over.wait()
        return {"digest": "d"}

    for number in range(RUNNING_MAX):
        await runs.begin(asked("acme", f"run-{number}"), work)
    with pytest.raises(Busy, match="2 of them yours"):
        await runs.begin(asked("acme", "one-more"), work)
    assert (await runs.begin(asked("other", "theirs"), work))["status"] == "running"
    over.set()
    for run_id in ("run-0", "run-1", "theirs"):
        await runs.finished(run_id)
    assert (await runs.find("other", "theirs"))["report"] == {"digest": "d"}
    over.clear()
    assert (await runs.begin(asked("acme", "one-more"), work))["status"] == "running"
    over.set()
    await runs.finished("one-more")


async def test_all_tenants_together_have_a_limit_too(runs: ShadowRuns) -> None:
    async def work(progress: Progress) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    for number in range(RUNNING_IN_ALL_MAX):
        await runs.begin(asked(f"tenant-{number}", f"run-{number}"), work)
    with pytest.raises(Busy, match="0 of them yours"):
        await runs.begin(asked("acme", "run"), work)


async def test_a_run_that_another_process_works_on_is_told_as_it_goes_on_there(
    replicas: tuple[ShadowRuns, ShadowRuns, FixedClock],
) -> None:
    one, other, clock = replicas
    told, over = asyncio.Event(), asyncio.Event()

    async def work(progress: Progress) -> dict[str, Any]:
        progress(3, 9)
        told.set()
        await over.wait()
        return {"digest": "d"}

    async def never(progress: Progress) -> dict[str, Any]:
        raise AssertionError("it is worked on already")

    await one.begin(asked("acme", "run"), work)
    await told.wait()
    assert (await one.find("acme", "run"))["progress"] == {"done": 3, "total": 9}
    running = {"run_id": "run", "status": "running"}
    assert await other.find("acme", "run") == {**running, "progress": {"done": 0, "total": 0}}
    assert await other.begin(asked("acme", "run"), never) == await other.find("acme", "run")
    clock.set(BEGUN_AT + timedelta(seconds=11))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await other.find("acme", "run"))["progress"]["done"] != 3:
            await asyncio.sleep(0.005)
    clock.set(BEGUN_AT + timedelta(seconds=45))  # 34 seconds after its last word
    assert (await other.find("acme", "run"))["status"] == "running"
    over.set()
    await one.finished("run")
    assert await other.find("acme", "run") == {"run_id": "run", "status": "ready", "report": {"digest": "d"}}


@pytest.mark.parametrize("no", [sqlite3.OperationalError("database is locked"), Busy(), psycopg.errors.InternalError()])
async def test_a_run_goes_on_and_is_told_of_again_when_its_database_has_failed_for_a_while(
    replicas: tuple[ShadowRuns, ShadowRuns, FixedClock], no: Exception
) -> None:
    one, other, clock = replicas
    kept = one._keeping = Failing(one._keeping)
    begun, over = asyncio.Event(), asyncio.Event()

    async def work(progress: Progress) -> dict[str, Any]:
        begun.set()
        await over.wait()
        return {"digest": "d"}

    await one.begin(asked("acme", "run"), work)
    await begun.wait()
    kept.no = no
    clock.set(BEGUN_AT + timedelta(seconds=11))
    await kept.was_asked(2)
    kept.no = None
    clock.set(BEGUN_AT + timedelta(seconds=45))
    await kept.was_asked(3)
    assert (await other.find("acme", "run"))["status"] == "running"
    kept.no = no
    over.set()
    await kept.was_asked(4)
    kept.no = None
    clock.set(BEGUN_AT + timedelta(seconds=56))
    await one.finished("run")
    assert await other.find("acme", "run") == {"run_id": "run", "status": "ready", "report": {"digest": "d"}}


async def test_a_run_of_which_nothing_is_heard_any_more_is_interrupted_and_begins_again_where_it_is_asked_for(
    replicas: tuple[ShadowRuns, ShadowRuns, FixedClock],
) -> None:
    one, other, clock = replicas

    async def work(progress: Progress) -> dict[str, Any]:
        return {"digest": "d"}

    killed = {
        "run_id": "run",
        "status": "running",
        "beat_at": "2026-03-03T10:00:00Z",
        "progress": {"done": 1, "total": 9},
    }
    await one._keeping.keep("acme", "run", killed)
    clock.set(BEGUN_AT + timedelta(seconds=39))
    assert (await other.find("acme", "run"))["status"] == "running"
    clock.set(BEGUN_AT + timedelta(seconds=41))
    assert await other.find("acme", "run") == {"run_id": "run", "status": "failed", "reason": "interrupted"}
    await other.begin(asked("acme", "run"), work)
    await other.finished("run")
    assert (await one.find("acme", "run"))["status"] == "ready"


async def test_a_process_that_stops_says_that_its_runs_are_interrupted(
    replicas: tuple[ShadowRuns, ShadowRuns, FixedClock],
) -> None:
    one, other, _ = replicas

    async def work(progress: Progress) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    await one.begin(asked("acme", "run"), work)
    await one.stop()
    assert await other.find("acme", "run") == {"run_id": "run", "status": "failed", "reason": "interrupted"}
