"""The whole system in this process, driven through the gateway as a client would, and looked into where a test must."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from chassis import deadlines
from chassis.asgi import Answer, Api
from chassis.process import make_world
from chassis.read_store.port import PAGE_MAX, ReadStore
from chassis.service import Service, World
from chassis.settings import ServiceSettings
from chassis.tracing import UNTRACED, Tracing
from chassis.transport.in_process import InProcessTransport
from chassis.transport.kafka import KafkaTransport
from chassis.transport.port import Transport
from services import first_run
from services.__main__ import system
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.browser import HOST
from tests.scenarios.held import Held
from tests.scenarios.patient import Patient

LOOK_SECONDS = 0.005
BEGINNING = datetime(2031, 3, 3, 9, tzinfo=UTC)
"""When scenarios begin, so that every run meets the same calendar."""


async def until(
    look: Callable[[], Awaitable[Any]], seconds: float = PATIENCE_SECONDS, pause_seconds: float = LOOK_SECONDS
) -> Any:
    """What `look` answers, once that is something. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):
            await asyncio.sleep(pause_seconds)
    return found


@dataclass
class System:
    """Five services at work, their simulated CRM, and clients by the name that they sign in with."""

    services: dict[str, Service]
    world: World
    crm_url: str
    connection_id: str = ""
    client: Callable[[Any], Api] = Patient
    clients: dict[str, Api] = field(default_factory=dict)
    pause_seconds: float = LOOK_SECONDS
    """How long it is left alone between two looks whether it is at rest."""
    _published: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where browsers find the portal."""
        return f"http://{HOST}"

    @property
    def front(self) -> Api:
        """The gateway, as nobody."""
        return self.client(Held(self.services["gateway"].api))

    async def who(self, name: str) -> Api:
        """The gateway, as somebody whom the development issuer knows."""
        if name not in self.clients:
            self.clients[name] = await first_run.signed_in(self.front, name)
        return self.clients[name]

    async def crm(self, path: str, body: Any = None) -> Any:
        """Asks the simulated CRM over HTTP: reads without a body, else posts."""
        method = "GET" if body is None else "POST"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.crm_url + path, json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            return await answer.json()

    async def clock(self, to: str) -> None:
        """Sets the clock of all services forward. Sessions may be over by then, so everybody signs in again."""
        done(await self.front.post("/dev/clock", {"to": to}))
        self.clients.clear()

    # Rest

    async def settle(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Waits until every event has reached every reaction and read model, what they committed too, and the CRM.

        Deadlines that have passed are seen to as well.
        """
        await until(self._at_rest, seconds, self.pause_seconds)

    async def _at_rest(self) -> bool:
        heads = await self._heads()
        if not await self._delivered():
            return False
        if any(_is_behind(service, heads[name]) for name, service in self.services.items()):
            return False
        if await self._wished_of_the_crm() or await self._due():
            return False
        return await self._heads() == heads

    async def _wished_of_the_crm(self) -> int:
        read = self.services["attribution"].application.read
        return await read.count("sync_status", first_run.TENANT, where={"pending": True})

    async def _due(self) -> bool:
        """Whether a deadline has passed that nobody has seen to yet."""
        now = self.world.clock.now()
        for service in self.services.values():
            for deadline in service.blueprint.deadlines:
                found = await service.application.read.due(deadline.name, deadlines._until(now), PAGE_MAX)
                if any(deadlines._instant(due.due_at) <= now for due in found):
                    return True
        return False

    async def _heads(self) -> dict[str, int]:
        return {name: await service.store.head() for name, service in self.services.items()}

    async def _delivered(self) -> bool:
        transport = self.world.transport
        if isinstance(transport, InProcessTransport):
            return not await transport._behind()
        assert isinstance(transport, KafkaTransport)
        published = {service.outlet.topic: await self._published_by(service) for service in self.services.values()}
        return all(sum(s.finished.values()) >= published[s.topic] for s in transport._subscriptions)

    async def _published_by(self, service: Service) -> int:
        """How many public events there are of a service."""
        position, count = self._published.get(service.name, (0, 0))
        while events := await service.store.feed(position, 1_000):
            count += sum(service.outlet.translate(event) is not None for event in events)
            position = events[-1].position
        self._published[service.name] = position, count
        return count

    # What there is

    async def documents(self) -> dict[str, list[tuple[Any, bytes]]]:
        """Every document of every read model, as canonical JSON, by `service/model`."""
        return {
            f"{service.name}/{lag.name}": await exported(service.application.read, lag.model)
            for service in self.services.values()
            for lag in service.runner.lag()
            if lag.live
        }

    async def events(self, type_name: str) -> list[Any]:
        """The public events of a type (`registration.DealApproved`), as the vendor's event log has them."""
        ada = await self.who("ada")
        read = await ada.get(f"/v1/events?limit=1000&type=entente.{type_name}.v1")
        assert read.ok, read.body
        return [orjson.loads(line) for line in read.body.splitlines()]

    async def parked(self) -> int:
        return sum([await service.parking.count() for service in self.services.values()])


def _is_behind(service: Service, head: int) -> bool:
    """Whether a read model has yet to read the service's own feed, or to fill itself from another's."""
    models = [one for one in service.runner._running if not one.stopped]
    return any(one.behind or (one.projection.own and one.position < head) for one in models)


async def exported(read: ReadStore, model: str) -> list[tuple[Any, bytes]]:
    """All documents of one version of a model."""
    found: list[tuple[Any, bytes]] = []
    while page := await read.export(model, found[-1][0] if found else ("", "")):
        found += page
    return found


def done(answer: Answer, status: int = 0) -> Any:
    """The JSON of an answer that must be good, or have this very status."""
    assert answer.status == status if status else answer.ok, (answer.status, answer.body)
    return answer.json()


@asynccontextmanager
async def running_system(
    data: Path,
    transport: Transport | None = None,
    *,
    beginning: datetime | None = BEGINNING,
    opened: bool = True,
    postgres: str | None = None,
    tracing: Tracing = UNTRACED,
    client: Callable[[Any], Api] = Patient,
) -> AsyncIterator[System]:
    """The system on files under `data`; with `opened`, the first run has been done and all have heard of it."""
    given = {"postgres": postgres} if postgres else {}
    settings = ServiceSettings(port=0, data=data, **given)
    world = make_world(settings, transport=transport)
    world.tracing = tracing
    if beginning and world.clock.now() < beginning:
        world.clock.advance(beginning)  # type: ignore[attr-defined]
    async with system(settings, world) as (services, _, crm_url):
        it = System(services, world, crm_url, client=client)
        if opened:
            it.connection_id = await first_run.ensure(it.front, crm_url)
            await it.settle()
        yield it


async def begun_alike(folder: Path, other: Path) -> None:
    """Both folders hold one beginning: whoever goes on from either has the same keys and derives the same ids."""
    async with running_system(folder):
        pass
    shutil.copytree(folder, other)


# Documents of two runs, made comparable

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b[0-9a-f]{64}\b")
INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|\+00:00)")
PLACE = re.compile(r":\d{20}")
VERSION = re.compile(r',"version":\d+')
POSITIONS = re.compile(r"(^|_)positions?$|^minutes$|^answers$")
"""Places in a log, and how long a review has waited or took by a clock that ran on at its own pace in each run."""


def comparable(documents: dict[str, list[tuple[Any, bytes]]], same: Iterable[str]) -> dict[str, list[str]]:
    """The documents with ids that are not in `same`, instants, positions and sealed texts blotted out, sorted.

    In a list of events of several services, each service's keep their order; how services interleave is not given.
    """
    kept = frozenset(same)
    return {name: sorted(_blotted(key, body, kept) for key, body in found) for name, found in documents.items()}


def _without_versions(documents: dict[str, list[str]]) -> dict[str, list[str]]:
    """In which order events of two services reach a third is not given, and so not which version of a stream each is."""
    return {
        name: sorted(VERSION.sub("", one) for one in found) if name.endswith("/event_places") else found
        for name, found in documents.items()
    }


def _differing(one: dict[str, list[str]], other: dict[str, list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """The documents that only one side has, by read model."""
    return {
        name: (sorted(set(one.get(name, ())) - {*other.get(name, ())}), sorted({*other.get(name, ())} - set(one[name])))
        for name in one | other
        if one.get(name) != other.get(name)
    }


def assert_alike(one: dict[str, list[str]], other: dict[str, list[str]]) -> None:
    """Two runs ended in the same documents, as `comparable` made them; else what only one of them has is said."""
    found = _differing(_without_versions(one), _without_versions(other))
    assert found == {}, orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


def ids_in(documents: dict[str, list[tuple[Any, bytes]]]) -> set[str]:
    """Every id and digest that occurs."""
    return {
        hit[0] for found in documents.values() for key, body in found for hit in UUID.finditer(f"{key}{body.decode()}")
    }


def _blotted(key: Any, body: bytes, same: frozenset[str]) -> str:
    text = orjson.dumps([list(key), _without_places(orjson.loads(body))], option=orjson.OPT_SORT_KEYS).decode()
    text = UUID.sub(lambda hit: hit[0] if hit[0] in same else "<id>", text)
    return PLACE.sub(":<place>", INSTANT.sub("<instant>", text))


def _without_places(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"subject", "box"}:
            return "<sealed>"
        return {name: 0 if POSITIONS.search(name) else _without_places(part) for name, part in value.items()}
    if isinstance(value, list):
        parts = [_without_places(part) for part in value]
        mixed = all(isinstance(part, dict) and {"source", "event_id"} <= part.keys() for part in parts)
        return sorted(parts, key=itemgetter("source")) if mixed else parts
    return value
