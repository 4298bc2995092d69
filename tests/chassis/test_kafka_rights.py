"""The rights of deploy/kafka on a broker that asks for them: each service can do its own work, and nothing else."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import yaml
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.protocol.admin import CreateAclsRequest
from pydantic import SecretStr

from chassis.positions import MemoryPositions
from chassis.process import make_transport
from chassis.settings import ServiceSettings
from chassis.testing.feed import MemoryFeed, outlet
from chassis.testing.transport_conformance import Hearing
from chassis.transport.kafka import KafkaTransport, make_topics
from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from tests.architecture.tree import ROOT
from tests.engines.kafka import guarded_broker
from tests.patience import PATIENCE_SECONDS

OWNER, PASSWORD = "administrator", "not-a-secret-of-anybody"
USERS = [topic_of(service) for service in SERVICES]
RESOURCES = {"topic": 2, "group": 3}
OPERATIONS = {"Read": 3, "Write": 4, "Describe": 8, "DescribeConfigs": 10}
PATTERNS = {"literal": 3, "prefix": 4}
ALLOW, ANY_HOST = 3, "*"


def transport(bootstrap: str, user: str) -> KafkaTransport:
    given: dict[str, Any] = {"kafka_mechanism": "PLAIN", "kafka_user": user, "kafka_password": SecretStr(PASSWORD)}
    made = make_transport(ServiceSettings(kafka=bootstrap, **given))
    assert isinstance(made, KafkaTransport)
    return made


def rights() -> dict[str, list[dict[str, Any]]]:
    """What the manifests give each principal."""
    manifests = yaml.safe_load_all((ROOT / "deploy/kafka/entente.yaml").read_text())
    users = [one for one in manifests if one["kind"] == "KafkaUser"]
    return {one["metadata"]["name"]: one["spec"]["authorization"]["acls"] for one in users}


async def give(bootstrap: str, user: str, acls: Sequence[dict[str, Any]]) -> None:
    admin = AIOKafkaAdminClient(**transport(bootstrap, OWNER).settings.client())
    await admin.start()
    try:
        for acl in acls:
            what = acl["resource"]
            for operation in acl["operations"]:
                asked = CreateAclsRequest(
                    RESOURCES[what["type"]], what["name"], PATTERNS[what["patternType"]],
                    f"User:{user}", ANY_HOST, OPERATIONS[operation], ALLOW,
                )  # fmt: skip
                answer = await admin._send_to_controller(asked)
                assert [code for code, _ in answer.creation_responses] == [0]
    finally:
        await admin.close()


@pytest.fixture(scope="module")
def guarded(kafka: str) -> Iterator[str]:
    with guarded_broker(OWNER, USERS, PASSWORD) as bootstrap:
        asyncio.run(prepare(bootstrap))
        yield bootstrap


async def prepare(bootstrap: str) -> None:
    await make_topics(USERS, transport(bootstrap, OWNER).settings)
    for user, acls in rights().items():
        await give(bootstrap, user, acls)


@asynccontextmanager
async def at_work(*transports: KafkaTransport) -> AsyncIterator[None]:
    for one in transports:
        await one.start()
    try:
        yield
    finally:
        await asyncio.gather(*(one.stop() for one in transports))


def refused(one: KafkaTransport) -> dict[str, str]:
    """What a transport says it may not read, by group."""
    return {lag.group: lag.refused for lag in one.lag() if lag.refused}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():
            await asyncio.sleep(0.05)


def heard_by(service: str) -> set[str]:
    """The topics that the manifests let a service read."""
    acls = [acl for acl in rights()[topic_of(service)] if acl["resource"]["type"] == "topic"]
    return {acl["resource"]["name"] for acl in acls if "Read" in acl["operations"]}


@pytest.mark.long
async def test_each_service_tells_on_its_own_topic_and_reads_what_it_listens_to(guarded: str) -> None:
    feeds = {service: MemoryFeed() for service in SERVICES}
    hearings = {service: Hearing() for service in SERVICES}
    transports = []
    for service in SERVICES:
        one = transport(guarded, topic_of(service))
        await one.migrate([topic_of(service)])
        one.offer(outlet(feeds[service], service), MemoryPositions())
        for topic in heard_by(service):
            one.subscribe(topic, f"{topic_of(service)}.reactions", hearings[service], MemoryPositions())
        transports.append(one)
    async with at_work(*transports):
        for feed in feeds.values():
            await feed.commit(1)
        for service, hearing in hearings.items():
            await until(lambda service=service, hearing=hearing: topics(hearing) == heard_by(service))
        assert [refused(one) for one in transports] == [{}] * len(SERVICES)


def topics(hearing: Hearing) -> set[str]:
    return {message.topic for message in hearing.heard}


@pytest.mark.long
async def test_what_a_service_has_no_right_to_is_refused_and_said_and_the_rest_goes_on(guarded: str) -> None:
    one, own, others, feed = transport(guarded, "entente.registration"), Hearing(), Hearing(), MemoryFeed()
    one.offer(outlet(feed, "registration"), MemoryPositions())
    one.offer(outlet(feed, "onboarding"), MemoryPositions())
    one.subscribe("entente.registration", "entente.registration.own", own, MemoryPositions())
    one.subscribe("entente.gateway", "entente.registration.nosy", others, MemoryPositions())
    one.subscribe("entente.onboarding", "entente.gateway.reactions", others, MemoryPositions())
    async with at_work(one):
        await feed.commit(7)
        await until(lambda: 7 in own.numbers())
        await until(lambda: len(refused(one)) == 2 and one.tasks.failures.get("relay entente.onboarding", 0) > 0)
    said = refused(one)
    assert "TopicAuthorizationFailedError" in said["entente.registration.nosy"]
    assert "GroupAuthorizationFailedError" in said["entente.gateway.reactions"]
    assert others.heard == []
    with pytest.raises(TopicAuthorizationFailedError):
        await one.migrate(["entente.of-somebody-else"])


@pytest.mark.long
async def test_a_right_that_is_given_later_is_used_without_a_restart(guarded: str) -> None:
    telling, reading = transport(guarded, "entente.gateway"), transport(guarded, "entente.attribution")
    feed, hearing = MemoryFeed(), Hearing()
    telling.offer(outlet(feed, "gateway"), MemoryPositions())
    reading.subscribe("entente.gateway", "entente.attribution.later", hearing, MemoryPositions())
    topic = {"type": "topic", "name": "entente.gateway", "patternType": "literal"}
    await give(guarded, "entente.attribution", [{"resource": topic, "operations": ["Describe"]}])
    async with at_work(telling, reading):
        await feed.commit(3)
        await until(lambda: "entente.attribution.later" in refused(reading))
        await give(guarded, "entente.attribution", [{"resource": topic, "operations": ["Read"]}])
        await until(lambda: 3 in hearing.numbers() and refused(reading) == {})
