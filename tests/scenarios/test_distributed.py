"""The main job on five processes, real Kafka and PostgreSQL, and each read store: as in one process, to the document."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from chassis.asgi import Api
from chassis.transport.in_process import InProcessTransport
from services import first_run
from services.distributed import Member, ServiceEnded, _ready
from tests.scenarios.distributed import five_processes, move_logs, no_engines
from tests.scenarios.main_job import main_job
from tests.scenarios.proofs import every_model_can_be_made_again, verified
from tests.scenarios.system import assert_alike, begun_alike, comparable, ids_in, running_system
from tests.scenarios.test_main_job import came_out_right, every_step_says_why, told_in


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_the_main_job_on_five_processes_ends_in_the_same_documents(
    tmp_path: Path, engines: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_run, "POLL_SECONDS", 3_600)  # the CRM is read when the story says so
    on_engines, in_process = tmp_path / "five", tmp_path / "one"
    with no_engines(monkeypatch):
        await begun_alike(in_process, on_engines)
        alone = await told_in(in_process, None)
    await move_logs(on_engines, engines["postgres"])

    async with five_processes(on_engines) as it:
        story = await main_job(it)
        await came_out_right(it, story)
        await every_step_says_why(it, story)
        assert await it.parked() == 0
        together = await it.documents()
        assert it.at_work is not None
        processes = [member.process for member in it.at_work.members.values()]
    assert [process.returncode for process in processes] == [0] * 5, "each stopped in order"

    same = ids_in(together) & ids_in(alone)
    assert_alike(comparable(alone, same), comparable(together, same))
    await one_process_takes_over(on_engines)


async def one_process_takes_over(data: Path) -> None:
    """What five processes left on the engines, one goes on with: every model can be made again, every log holds."""
    async with running_system(data, InProcessTransport(), opened=False) as it:
        await every_model_can_be_made_again(it)
        for service in it.services.values():
            report = await verified(service)
            assert report.holds, report.lines()


async def test_a_service_that_does_not_become_ready_is_named_with_its_log(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("false")
    await process.wait()

    async def nobody(*_: Any) -> None:
        return

    member = Member("onboarding", "http://127.0.0.1:1", tmp_path / "service.log", process)
    with pytest.raises(ServiceEnded, match=r"onboarding is not ready: see .*service\.log"):
        await _ready(member, Api(nobody))


async def test_a_service_is_not_ready_because_another_one_is_where_it_should_be(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)
    member = Member("onboarding", "http://127.0.0.1:1", tmp_path / "service.log", process)
    try:
        with pytest.raises(ServiceEnded):
            await _ready(member, Api(says_it_is("registration")), seconds=0.3)
        await _ready(member, Api(says_it_is("onboarding")))
    finally:
        process.kill()
        await process.wait()


def says_it_is(name: str) -> JSONResponse:
    return JSONResponse({"ready": True, "services": {name: {"ready": True}}})
