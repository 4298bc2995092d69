"""A release whose read models hear another service rolls out on processes of its own, when the topic holds nothing more.

Who may sign in for a partner is such a read model of the gateway: it is asked at each request.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete

from chassis.asgi import Api
from chassis.process import make_world
from chassis.settings import ServiceSettings
from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from services import first_run
from services.gateway.adapters.upstreams import OverHttp
from tests.engines.kafka import Broker
from tests.faults.wire import Wire, wire
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.releases import Release, ordered, releases, started, taken_over
from tests.scenarios.system import done, until

MEMBERS = "gateway/members"
TOPIC = TopicPartition(topic_of("onboarding"), 0)


@dataclass
class Partner:
    """Somebody of a partner, who asks who they are until told to stop: each answer has to be the same."""

    api: Api
    asked: int = 0
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def ask(self) -> None:
        while not self.stopping.is_set():
            assert done(await self.api.get("/v1/me"))["roles"] == ["owner"]
            self.asked += 1

    async def goes_on(self) -> None:
        """Returns when some more answers have come."""
        enough = self.asked + 10

        async def look() -> bool:
            return self.asked >= enough

        await until(look, PATIENCE_SECONDS)


async def retention_passes(bootstrap: str) -> None:
    """The broker deletes all that the topic holds, as it does when the time is over for which it keeps records."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await consumer.start()
    await admin.start()
    try:
        end = (await consumer.end_offsets([TOPIC]))[TOPIC]
        assert end > 0
        await admin.delete_records({TOPIC: RecordsToDelete(before_offset=end)})
        assert await consumer.beginning_offsets([TOPIC]) == {TOPIC: end}
    finally:
        await consumer.stop()
        await admin.close()


async def opened(front: Api) -> Api:
    """The tenant's admin, once there is a tenant."""
    operator = await first_run.signed_in(front, "operator")
    done(await operator.post("/v1/tenants", first_run._tenant(), key="tenant"))
    done(await operator.post("/v1/staff", first_run.colleague(first_run.STAFF[0]), key="ada"))
    return await first_run.signed_in(front, first_run.STAFF[0].handle)


async def owner_of(front: Api, admin: Api, partner: first_run.FirstPartner) -> Api:
    """The owner of a partner that is taken in now, signed in as soon as the gateway has heard of them."""
    identity = await first_run.add_partner(admin, partner, key=partner.domain)

    async def look() -> bool:
        known = done(await front.get("/dev/identities"))["items"]
        return identity in {one["partner_id"] for one in known}

    await until(look, PATIENCE_SECONDS)
    return await first_run.signed_in(front, identity)


@dataclass
class Installation:
    """Onboarding and the gateway as processes of their own; requests come by the door, whichever release is behind it."""

    data: Path
    engines: dict[str, str]
    door: Wire
    running: list[Release]
    over: OverHttp

    @property
    def front(self) -> Api:
        return Api(self.over.of("gateway"))

    async def start(self, which: str, number: int) -> Release:
        self.running.append(release := await started(which, number, self.data, self.engines))
        return release

    async def stop(self) -> None:
        """Ends the gateway in order."""
        assert await self.running[-1].stop() == 0

    async def at_the_door(self, number: int) -> None:
        """Starts a release of the gateway, and lets requests in when it is ready."""
        release = await self.start(MEMBERS, number)
        await release.ready()
        self.door.port = release.port

    async def roll_out(self, number: int) -> None:
        before = self.running[-1]
        await taken_over(self.door, before, await self.start(MEMBERS, number))

    async def rebuild(self, model: str) -> str:
        """What the command says that makes a read model anew, where the other service is a process of its own."""
        log = self.data / "rebuild.log"
        process = await ordered(MEMBERS, 1, self.data, self.engines, log, "rebuild", model)
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0, log.read_text()[-3_000:]
        return log.read_text()


@asynccontextmanager
async def installed(data: Path, dsn: str, bootstrap: str) -> AsyncIterator[Installation]:
    """Both at work. The gateway has heard all that there is."""
    engines = {"ENTENTE_POSTGRES": dsn, "ENTENTE_READ_STORE": dsn, "ENTENTE_KAFKA": bootstrap}
    world = make_world(ServiceSettings(data=data, kafka=bootstrap))
    await world.transport.migrate([topic_of(name) for name in SERVICES])
    async with wire(0) as door, releases() as running:
        over = OverHttp({"gateway": f"http://127.0.0.1:{door.front}"})
        it = Installation(data, engines, door, running, over)
        try:
            onboarding = await it.start("onboarding", 0)
            await onboarding.ready()
            engines["ENTENTE_UPSTREAMS"] = json.dumps({"onboarding": onboarding.url})
            await it.at_the_door(0)
            yield it
        finally:
            await over.close()


@pytest.mark.timeout(300)
async def test_a_partner_keeps_access_while_a_release_that_fills_its_members_anew_takes_over(
    tmp_path: Path, postgres: str, broker: Broker
) -> None:
    async with installed(tmp_path, postgres, broker.bootstrap) as it:
        admin = await opened(it.front)
        before, later = first_run.PARTNERS
        partner = Partner(await owner_of(it.front, admin, before))
        async with asyncio.TaskGroup() as group:
            group.create_task(partner.ask())
            await retention_passes(broker.bootstrap)
            await it.roll_out(1)
            await partner.goes_on()
            partner.stopping.set()
        another = await owner_of(it.front, admin, later)

        await it.stop()
        assert "members__v2_2 is live" in await it.rebuild("members")
        await it.at_the_door(1)
        for one in (partner.api, another):
            assert done(await one.get("/v1/me"))["roles"] == ["owner"]
