"""A read model of one process is filled from the feed of a service in another; and who is no service reads none of it."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from chassis.access import Access
from chassis.asgi import Api
from chassis.event import SHARED, Actor, Seen, encode
from chassis.far_feed import FarFeeds, FeedNotRead
from chassis.identity import Principal, Signer, SigningKeys
from chassis.process import listening, make_world, running
from chassis.projecting import CannotRebuild, feed_of
from chassis.projection import Projection
from chassis.service import Blueprint, Service, assemble
from chassis.settings import ServiceSettings
from chassis.store.port import Commit, NewEvent
from chassis.testing.feed import BEGIN, Counted, CountTold, MemoryFeed, outlet, publish
from chassis.transport.lines import line_of, message_in
from tests.patience import PATIENCE_SECONDS

READER = Principal(tenant=SHARED, subject="reader", kind="service")


def total(document: Any, seen: Seen) -> Any:
    return {"sum": (document or {"sum": 0})["sum"] + seen.event.number}


def totals(version: int) -> Projection:
    return Projection(name="totals", version=version, keys={CountTold: lambda seen: "all"}, evolve=total)


def blueprint(name: str, *projections: Projection) -> Blueprint:
    return Blueprint(name=name, handles=(), access=Access({}), routers=(), publish=publish, projections=projections)


@asynccontextmanager
async def telling(data: Path) -> AsyncIterator[tuple[Service, str]]:
    """A service that listens at an address, as another process sees it."""
    settings = ServiceSettings(data=data, port=0)
    world = make_world(settings)
    service = assemble(blueprint("testing"), settings, world)
    async with running([service], world), listening(service.api, settings, world) as (address, _):
        yield service, address


@asynccontextmanager
async def hearing(data: Path, address: str | None, version: int = 1) -> AsyncIterator[Service]:
    """A service that hears the other one and nothing of it but by HTTP: there is no broker."""
    upstreams = {"testing": address} if address else {}
    settings = ServiceSettings(data=data, port=0, upstreams=upstreams)
    world = make_world(settings)
    service = assemble(blueprint("reader", totals(version)), settings, world)
    async with running([service], world):
        yield service


async def count(service: Service, tenant: str, *numbers: int, public: bool = True) -> None:
    head = await service.store.head()
    events = tuple(
        NewEvent(
            stream=f"{tenant}:counter-{head}",
            version=n,
            id=f"e-{head}-{n}",
            type=Counted.type,
            data=encode(Counted(number=number, public=public)),
        )
        for n, number in enumerate(numbers, start=1)
    )
    commit = Commit(
        tenant=tenant,
        actor=Actor(kind="service", subject="testing"),
        command_id=f"c-{head}",
        causation_id="because",
        correlation_id=None,
        traceparent=f"00-{1:032x}-{1:016x}-01",
        evaluator=1,
        recorded_at=BEGIN,
        events=events,
    )
    await service.store.append(commit)


async def live(service: Service) -> None:
    """Waits until the read model is filled and answers."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (await service.readiness())["ready"]:
            await asyncio.sleep(0.005)


async def sums(service: Service) -> dict[str, Any]:
    read = service.application.read
    return {tenant: (await read.get("totals", tenant, "all") or {}).get("sum") for tenant in ("acme", "globex")}


async def test_what_is_read_over_http_is_what_the_store_tells_of_every_tenant(tmp_path: Path) -> None:
    async with telling(tmp_path) as (service, address):
        await count(service, "acme", 1, 2)
        await count(service, "globex", 3)
        await count(service, "acme", 4, public=False)
        await count(service, "acme", 5)
        far = FarFeeds("reader", {"testing": address + "/"}, service.world.signer)
        read, here = far.of("testing"), feed_of(service.outlet)
        pages, after = [], 0
        while (page := await read(after, 2)).position > after:
            assert page == await here(after, 2)
            pages.append([(fact.tenant, fact.position) for fact in page.facts])
            after = page.position
        assert await read(after, 5_000) == await here(after, 5_000)
        await far.close()

    assert pages == [[("acme", 1), ("acme", 2)], [("globex", 3)], [("acme", 5)]]


async def test_a_new_version_is_filled_from_the_feed_of_a_service_in_another_process(tmp_path: Path) -> None:
    async with telling(tmp_path) as (service, address):
        await count(service, "acme", 1, 2)
        await count(service, "globex", 3)
        async with hearing(tmp_path, address) as first:
            await live(first)
            assert await sums(first) == {"acme": 3, "globex": 3}
        async with hearing(tmp_path, address, version=2) as second:
            await live(second)
            assert await sums(second) == {"acme": 3, "globex": 3}
            (model,) = await live_models(second)
            assert model == "totals__v2"
            await second.figures()
            assert await second.runner.rebuild("totals") == "totals__v2_2"
            assert await versions_with_figures(second) == {"totals__v2_2"}
            assert await sums(second) == {"acme": 3, "globex": 3}


async def versions_with_figures(service: Service) -> set[str]:
    return {name for name in re.findall(r'projection="(\w+)"', (await service.figures()).decode()) if "totals" in name}


async def live_models(service: Service) -> list[str]:
    return [model.model for model in await service.application.read.models() if model.live and model.name == "totals"]


async def test_without_an_address_a_new_version_says_what_it_waits_for_and_the_live_one_answers(tmp_path: Path) -> None:
    async with telling(tmp_path) as (service, address):
        await count(service, "acme", 1, 2)
        async with hearing(tmp_path, address) as first:
            await live(first)
        async with hearing(tmp_path, None, version=2) as second:
            told = await second.readiness()
            assert not told["ready"]
            assert told["models"]["totals"]["no_feed"] == ["testing"]
            figure = f'entente_projection_no_feed{{projection="totals__v2",service="{second.name}"}} 1.0'
            assert figure in (await second.figures()).decode()
            assert (await sums(second))["acme"] == 3
            assert await live_models(second) == ["totals__v1"]
            with pytest.raises(CannotRebuild, match="testing: ENTENTE_UPSTREAMS names their addresses"):
                await second.runner.rebuild("totals")
        async with hearing(tmp_path, address, version=2) as third:
            await live(third)
            assert await sums(third) == {"acme": 3, "globex": None}


async def test_a_service_that_is_away_is_waited_for(tmp_path: Path) -> None:
    async with telling(tmp_path) as (service, address):
        await count(service, "acme", 1, 2)
        async with hearing(tmp_path, address) as first:
            await live(first)
    async with hearing(tmp_path, address, version=2) as second:
        assert not (await second.readiness())["ready"]
        assert (await sums(second))["acme"] == 3
    async with telling(tmp_path) as (service, address), hearing(tmp_path, address, version=2) as third:
        await live(third)
        assert (await sums(third))["acme"] == 3


STRANGERS = {
    "a tenant's admin": Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",)),
    "an admin who says to be of no tenant": Principal(tenant=SHARED, subject="ada", kind="vendor", roles=("admin",)),
    "a partner": Principal(tenant="acme", subject="pat", kind="partner", partner_id="p-1", roles=("owner",)),
    "a service on a tenant's behalf": Principal(tenant="acme", subject="gateway", kind="service"),
    "an operator": Principal(tenant=SHARED, subject="olga", kind="operator"),
    "nobody": Principal(tenant=SHARED, subject="nobody", kind="anonymous"),
}


async def test_nobody_but_the_services_themselves_reads_the_feed_of_every_tenant(tmp_path: Path) -> None:
    async with telling(tmp_path) as (service, _):
        await count(service, "acme", 1)
        await count(service, "globex", 2)
        sign, api = service.world.signer.sign, Api(service.api)
        for who, principal in STRANGERS.items():
            answer = await api.signed_in(sign(principal, "testing")).get("/feed?after=0&limit=1")
            assert (answer.status, b"globex" in answer.body) == (404, False), who
        assert (await api.get("/feed")).status == 401
        assert (await api.signed_in(sign(READER, "registration")).get("/feed")).status == 401
        assert (await api.signed_in(sign(READER, "testing")).get("/feed?tenant=globex")).status == 422
        assert (await api.signed_in(sign(READER, "testing")).get("/feed")).ok
        one_tenant = replace(READER, tenant="acme")
        assert b"globex" not in (await api.signed_in(sign(one_tenant, "testing")).get("/events")).body


async def test_an_answer_that_is_no_feed_is_said_with_its_address(tmp_path: Path) -> None:
    async with telling(tmp_path) as (_, address):
        unknown = Signer(SigningKeys(tmp_path / "another.json"))
        stranger = FarFeeds("reader", {"testing": address, "elsewhere": f"{address}/livez#"}, unknown)
        with pytest.raises(FeedNotRead, match=f"{address}/feed answers 401"):
            await stranger.of("testing")(0, 10)
        with pytest.raises(FeedNotRead, match="answers 200"):
            await stranger.of("elsewhere")(0, 10)
        await stranger.close()
    nobody = FarFeeds("reader", {"testing": address}, unknown)
    with pytest.raises(aiohttp.ClientConnectionError):
        await nobody.of("testing")(0, 10)
    await nobody.close()


async def test_a_line_holds_all_that_a_message_says() -> None:
    feed = MemoryFeed(epoch=3)
    await feed.commit(1, counter='a"\n\\ü~2', tenant="acme")
    message = outlet(feed).translate(feed.recorded[0])
    assert message is not None
    line = line_of(message)
    assert line.count(b"\n") == 1
    again = message_in(line, "testing", position=message.offset)
    assert (again.fault, again.body) == (None, message.body)
    assert again.seen() == message.seen()
    assert (again.topic, again.epoch, again.stream) == (message.topic, 3, 'acme:counter-a"\n\\ü')


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"data": {}, "id": 7}', b"<html>"])
def test_what_is_no_line_of_a_feed_is_not_passed_over(line: bytes) -> None:
    with pytest.raises(ValueError, match="line of the feed of testing"):
        message_in(line, "testing")
