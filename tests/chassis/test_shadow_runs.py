"""Runs that were asked for: a few of one tenant at once, whatever the other tenants ask for."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from chassis.clock import SystemClock
from chassis.decider import Busy
from chassis.desk.sqlite import SqliteDesk
from chassis.shadow import Candidate, Eyes, Progress, Window
from chassis.shadow_runs import RUNNING_IN_ALL_MAX, RUNNING_MAX, Asked, ShadowRuns
from chassis.store.port import EventStore

CANDIDATE = Candidate(rulebook_id="default", kind="some_rules", scope="default", version=1, body={}, sha256="0" * 64)


def asked(tenant: str, run_id: str) -> Asked:
    return Asked(run_id=run_id, candidate=CANDIDATE, window=Window(tenant=tenant, after=0, until=0), asked={})


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
