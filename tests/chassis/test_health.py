"""`/readyz`: 200 once all that the process serves was filled, and why not before; trouble since is told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response

from chassis.access import Access
from chassis.asgi import Answer, Api
from chassis.event import Actor, Seen, encode
from chassis.filled import BEHIND_MAX
from chassis.http import Reader, reads
from chassis.identity import Principal
from chassis.process import make_world, running
from chassis.projection import Evolve, Projection
from chassis.service import Blueprint, Service, assemble
from chassis.settings import ServiceSettings
from chassis.store.port import Commit, NewEvent
from chassis.testing.feed import Counted
from tests.patience import PATIENCE_SECONDS

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


def evolve(document: Any, seen: Seen) -> Any:
    if seen.event.number < 0:
        raise ValueError("a bug of this read model")
    return mended(document, seen)


def mended(document: Any, seen: Seen) -> Any:
    return {"sum": (document or {"sum": 0})["sum"] + seen.event.number}


def sums(version: int = 1, change: Evolve = evolve) -> Projection:
    return Projection(name="sums", version=version, keys={Counted: lambda seen: "all"}, evolve=change)


class Mends:
    """A read model whose bug is there until it is `done`."""

    done = False

    def evolve(self, document: Any, seen: Seen) -> Any:
        return mended(document, seen) if self.done else evolve(document, seen)


router = APIRouter()


@router.get("/sums")
@reads("sums")
async def all_sums(caller: Reader) -> Response:
    return Response(caller.tenant)


async def anybody(request: Request) -> Principal:
    return Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",))


@asynccontextmanager
async def serving(
    data: Path, version: int = 1, roles: tuple[str, ...] = ("api", "work"), change: Evolve = evolve
) -> AsyncIterator[Service]:
    settings = ServiceSettings(data=data, roles=roles)
    world = make_world(settings)
    blueprint = Blueprint(
        name="testing",
        handles=(),
        access=Access({}),
        routers=(router,),
        identify=anybody,
        publish=lambda seen: None,
        projections=(sums(version, change),),
    )
    service = assemble(blueprint, settings, world)
    async with running([service], world):
        yield service


async def count(service: Service, *numbers: int) -> None:
    head = await service.store.head()
    events = [
        NewEvent(
            stream="acme:counter-a", version=n, id=f"e-{n}", type=Counted.type, data=encode(Counted(number=number))
        )
        for n, number in enumerate(numbers, start=head + 1)
    ]
    commit = Commit(
        tenant="acme",
        actor=Actor(kind="service", subject="testing"),
        command_id=f"c-{head}",
        causation_id=None,
        correlation_id=None,
        traceparent=None,
        evaluator=1,
        recorded_at=AT,
        events=tuple(events),
    )
    await service.store.append(commit)


async def ready(service: Service) -> Answer:
    return await Api(service.api).get("/readyz")


async def until(service: Service, holds: Callable[[Answer], bool]) -> Any:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds(answer := await ready(service)):
            await asyncio.sleep(0.005)
    return answer.json()["services"]["testing"]


def sums_of(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = answer.json()["services"]["testing"]["models"]["sums"]
    return found


async def test_a_service_with_all_its_read_models_at_the_present_is_ready(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await count(service, 1, 2)
        state = await until(service, lambda answer: answer.status == 200 and not sums_of(answer)["behind"])
        assert state["models"]["sums"] == {
            "live": True,
            "behind": 0,
            "filling": [],
            "no_feed": [],
            "stopped": None,
            "incomplete": False,
        }


async def test_a_read_model_that_met_a_bug_takes_nothing_else_away_and_says_why(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await until(service, lambda answer: answer.status == 200)
        await count(service, 1, -1)
        state = await until(service, lambda answer: sums_of(answer)["stopped"] is not None)
        assert state["ready"] is True
        assert "evolve raised ValueError" in state["models"]["sums"]["stopped"]
        assert b'entente_projection_stopped{projection="sums__v1",service="testing"} 1.0' in await service.figures()
        beyond = {"Entente-At-Least": f"testing={await service.store.head()}"}
        waited = await Api(service.api).get("/sums", **beyond)
        assert (waited.status, waited.json()["slug"]) == (503, "not-there-yet")
        assert waited.json()["detail"].endswith("here: sums met a bug and waits for a release that mends it")


async def test_nor_does_it_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await until(service, lambda answer: answer.status == 200)
        await count(service, 1, -1)
        await until(service, lambda answer: sums_of(answer)["stopped"] is not None)
    async with serving(tmp_path) as again:
        state = await until(again, lambda answer: sums_of(answer)["stopped"] is not None)
        assert state["ready"] is True


@asynccontextmanager
async def stopped_while_another_serves(data: Path) -> AsyncIterator[Service]:
    """The process that serves, where the one that worked met a bug and is gone."""
    async with serving(data, roles=("api",)) as api:
        async with serving(data, roles=("work",)) as work:
            await until(work, lambda answer: answer.status == 200)
            await count(api, 1, -1)
            await until(work, lambda answer: sums_of(answer)["stopped"] is not None)
        yield api


async def test_a_process_that_only_serves_says_what_a_bug_has_stopped_elsewhere(tmp_path: Path) -> None:
    async with stopped_while_another_serves(tmp_path) as api:
        state = (await ready(api)).json()["services"]["testing"]
        assert state["ready"] is True
        assert "evolve raised ValueError" in state["models"]["sums"]["stopped"]
        assert b'entente_projection_stopped{projection="sums__v1",service="testing"} 1.0' in await api.figures()
        waited = await Api(api.api).get("/sums", **{"Entente-At-Least": f"testing={await api.store.head()}"})
        assert waited.json()["detail"].endswith("here: sums met a bug and waits for a release that mends it")


async def test_it_says_so_no_more_once_a_release_has_gone_on(tmp_path: Path) -> None:
    async with (
        stopped_while_another_serves(tmp_path) as api,
        serving(tmp_path, roles=("work",), change=mended) as work,
    ):
        assert await work.runner.reached("sums", "testing", await work.store.head(), PATIENCE_SECONDS)
        assert b'entente_projection_stopped{projection="sums__v1",service="testing"} 0.0' in await api.figures()
        assert sums_of(await ready(api))["stopped"] is None


async def test_nor_once_the_model_was_rebuilt(tmp_path: Path) -> None:
    mends = Mends()
    async with (
        stopped_while_another_serves(tmp_path) as api,
        serving(tmp_path, roles=("work",), change=mends.evolve) as work,
    ):
        await until(work, lambda answer: sums_of(answer)["stopped"] is not None)
        assert sums_of(await ready(api))["stopped"] is not None
        mends.done = True
        await work.runner.rebuild("sums")
        assert (sums_of(await ready(api))["stopped"], sums_of(await ready(api))["behind"]) == (None, 0)


async def test_requests_go_on_while_the_process_that_fills_is_away(tmp_path: Path) -> None:
    async with serving(tmp_path, roles=("work",)) as work:
        await until(work, lambda answer: answer.status == 200)
    async with serving(tmp_path, roles=("api",)) as api:
        await count(api, *[1] * (BEHIND_MAX + 1))
        state = await until(api, lambda answer: sums_of(answer)["behind"] > BEHIND_MAX)
        assert state["ready"] is True


async def test_a_read_model_that_was_never_filled_is_waited_for(tmp_path: Path) -> None:
    async with serving(tmp_path, roles=("api",)) as api:
        await count(api, *[1] * (BEHIND_MAX + 1))
        state = await until(api, lambda answer: sums_of(answer)["behind"] > BEHIND_MAX)
        assert state["ready"] is False
        async with serving(tmp_path, roles=("work",)):
            await until(api, lambda answer: answer.status == 200)


async def test_a_read_model_that_was_lost_is_waited_for_again(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await count(service, *[1] * (BEHIND_MAX + 1))
        await until(service, lambda answer: answer.status == 200)
    for file in (tmp_path / "testing").glob("read.db*"):
        file.unlink()
    async with serving(tmp_path, roles=("api",)) as api:
        state = await until(api, lambda answer: sums_of(answer)["behind"] > BEHIND_MAX)
        assert state["ready"] is False


async def test_one_that_met_a_bug_before_it_was_filled_is_not_ready(tmp_path: Path) -> None:
    async with serving(tmp_path, roles=("api",)) as api:
        await count(api, *[1] * BEHIND_MAX, -1)
        assert (await ready(api)).status == 503
    async with serving(tmp_path, roles=("api", "work")) as service:
        state = await until(service, lambda answer: sums_of(answer)["stopped"] is not None)
        assert state["ready"] is False


async def test_a_new_version_of_a_read_model_is_not_ready_before_it_is_live(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await count(service, 1, 2)
        await until(service, lambda answer: answer.status == 200)
    # The part of the next release that serves does not fill: it is ready once the part that works has filled it.
    async with serving(tmp_path, version=2, roles=("api",)) as api:
        state = await until(api, lambda answer: answer.status == 503)
        assert (state["models"]["sums"]["live"], state["models"]["sums"]["behind"]) == (False, 2)
        async with serving(tmp_path, version=2, roles=("work",)):
            await until(api, lambda answer: answer.status == 200)
            assert sums_of(await ready(api))["live"]
            assert await api.application.read.get("sums", "acme", "all") == {"sum": 3}
