"""The five services as processes of their own on real engines, driven and watched as `System` drives the one process.

Watching needs no process's help: events, documents and offsets are read where the engines keep them.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from chassis.asgi import Api
from chassis.clock import DevClock
from chassis.process import make_world
from chassis.service import Service
from chassis.settings import ServiceSettings
from chassis.store.postgres import PostgresEventStore
from chassis.transport import kafka
from chassis.transport.kafka import KafkaTransport, read_tails
from contracts.catalogue import SERVICES
from services.__main__ import build_all
from services.distributed import FRONT, Distributed, distributed, opened
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.patient import coming_again
from tests.scenarios.system import BEGINNING, System


@dataclass
class FiveProcesses(System):
    """`services` are opened here to be looked into; those at work are in processes of their own.

    Its clients come again where they are told to: one process may not reach another for a moment.
    """

    at_work: Distributed | None = None
    pause_seconds: float = 0.1
    patience_seconds: float = PATIENCE_SECONDS
    waiting: str = ""
    """What was not yet delivered when last looked."""
    watch: "Watch | None" = None
    """Stays open from one look to the next. Without it each look opens one of its own: the broker may have fallen."""
    _tails: dict[str, int] = field(default_factory=dict)

    @property
    def address(self) -> str:
        assert self.at_work is not None
        return self.at_work.address

    @property
    def front(self) -> Api:
        assert self.at_work is not None
        return Api(coming_again(self.at_work.api[FRONT]._app, self.patience_seconds))

    @cached_property
    def _transport(self) -> KafkaTransport:
        transport = self.world.transport
        assert isinstance(transport, KafkaTransport)
        return transport

    async def settle(self, seconds: float = PATIENCE_SECONDS) -> None:
        try:
            await super().settle(seconds)
        except TimeoutError:
            behind = [
                f"{s.name}/{lag.model}: {lag}" for s in self.services.values() for lag in s.runner.lag() if lag.behind
            ]
            raise TimeoutError(f"waiting for {self.waiting or behind}") from None

    async def _at_rest(self) -> bool:
        self.waiting = ""
        return await super()._at_rest()

    async def _delivered(self) -> bool:
        """Whether each relay has sent the last public event, and each group has committed all that was sent.

        A broker that takes longer than its client waits is asked again.
        """
        try:
            if not (await self._relayed() and await self._consumed()):
                return False
        except KafkaError as slow:
            self.waiting = f"the broker to answer: {slow!r}"
            return False
        await asyncio.gather(*(service.runner.look() for service in self.services.values()))
        return True

    async def _relayed(self) -> bool:
        return all([await self._sent(service, await self._last_public(service)) for service in self.services.values()])

    async def _sent(self, service: Service, last: int) -> bool:
        topic = service.outlet.topic
        if self._tails.get(topic, 0) < last:
            self._tails[topic] = await self._tail(topic, service.store.epoch)
        if (tail := self._tails.get(topic, 0)) < last:
            self.waiting = f"{service.name} to relay {last}: its topic ends with {tail}"
            return False
        return True

    async def _tail(self, topic: str, epoch: int) -> int:
        if self.watch is not None:
            return await self.watch.tail(topic, epoch)
        return (await read_tails([TopicPartition(topic, 0)], epoch, self._transport.settings)).get(0, 0)

    async def _last_public(self, service: Service) -> int:
        position, last = self._published.get(service.name, (0, 0))
        while events := await service.store.feed(position, 1_000):
            last = max([last, *(one.position for one in events if service.outlet.translate(one) is not None)])
            position = events[-1].position
        self._published[service.name] = position, last
        return last

    async def _consumed(self) -> bool:
        if self.watch is not None:
            return await self._consumed_by(self.watch)
        async with watching(self._transport) as watch:
            return await self._consumed_by(watch)

    async def _consumed_by(self, watch: "Watch") -> bool:
        ends = await watch.ends([service.outlet.topic for service in self.services.values()])
        groups = self._groups()
        committed = await asyncio.gather(*map(watch.committed, groups))
        for (group, topics), done in zip(groups.items(), committed, strict=True):
            if late := [topic for topic in topics if done.get(topic, 0) < ends[topic]]:
                self.waiting = f"{group} to read {late}: it has {done} of {ends}"
                return False
        self.waiting = ""
        return True

    def _groups(self) -> dict[str, set[str]]:
        groups: dict[str, set[str]] = {}
        for one in self._transport._subscriptions:
            groups.setdefault(one.group, set()).add(one.topic)
        return groups


@dataclass(frozen=True)
class Watch:
    """Asks the broker how far topics of one partition and their readers are."""

    admin: AIOKafkaAdminClient
    consumer: AIOKafkaConsumer

    async def ends(self, topics: Iterable[str]) -> dict[str, int]:
        found = await self.consumer.end_offsets([TopicPartition(topic, 0) for topic in topics])
        return {where.topic: end for where, end in found.items()}

    async def tail(self, topic: str, epoch: int) -> int:
        """The position in the topic's last record; 0 where there is none of this epoch."""
        where = TopicPartition(topic, 0)
        begins = (await self.consumer.beginning_offsets([where]))[where]
        ends = (await self.consumer.end_offsets([where]))[where]
        self.consumer.assign([where])
        return (await kafka._tail(self.consumer, where, ends, epoch)).get(0, 0) if ends > begins else 0

    async def committed(self, group: str) -> dict[str, int]:
        found = await self.admin.list_consumer_group_offsets(group)
        return {where.topic: one.offset for where, one in found.items()}


@asynccontextmanager
async def watching(transport: KafkaTransport) -> AsyncIterator[Watch]:
    client = transport.settings.client()
    async with AsyncExitStack() as stack:
        watch = Watch(AIOKafkaAdminClient(**client), AIOKafkaConsumer(**client, group_id=None))
        await watch.admin.start()
        stack.push_async_callback(watch.admin.close)
        stack.push_async_callback(watch.consumer.stop)
        await watch.consumer.start()
        yield watch


@asynccontextmanager
async def five_processes(data: Path, *, working: bool = True) -> AsyncIterator[FiveProcesses]:
    """The system on the engines that the environment names, begun anew or going on where `data` and engines are.

    Without `working` the processes only answer: there is no first run, and rest is not waited for.
    """
    settings = ServiceSettings(port=0, data=data)
    clock = DevClock(data / "clock.json")
    if clock.now() < BEGINNING:
        clock.advance(BEGINNING)
    async with distributed(settings, PATIENCE_SECONDS) as at_work, looked_into(settings) as (services, world):
        it = FiveProcesses(services, world, at_work.crm_url, at_work=at_work)
        async with watching(it._transport) as it.watch:
            if working:
                it.connection_id = await opened(at_work)
                await it.settle()
            yield it


@contextmanager
def no_engines(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """For a while the environment names no engine: the system is on files."""
    with monkeypatch.context() as none:
        for name in ("ENTENTE_KAFKA", "ENTENTE_POSTGRES", "ENTENTE_READ_STORE", "ENTENTE_KEY_STORE"):
            none.delenv(name, raising=False)
        yield


@asynccontextmanager
async def looked_into(settings: ServiceSettings) -> AsyncIterator[tuple[dict[str, Service], Any]]:
    """The services opened beside those at work, doing nothing."""
    world = make_world(settings)
    services = build_all(settings, world)
    for service in services.values():
        await service.open()
    try:
        yield services, world
    finally:
        for service in services.values():
            await service.close()


async def move_logs(data: Path, dsn: str) -> None:
    """Moves the logs of SQLite files into PostgreSQL, each event to the position that it has."""
    for name in SERVICES:
        store = PostgresEventStore(dsn, schema=name)
        await store.migrate()
        await asyncio.to_thread(_copy, data / name / "events.db", dsn, name)
        for left in ("events.db", "events.db-wal", "events.db-shm", "read.db", "read.db-wal", "read.db-shm"):
            (data / name / left).unlink(missing_ok=True)


def _copy(file: Path, dsn: str, schema: str) -> None:
    columns = "originator_id, originator_version, topic, state"
    with sqlite3.connect(file) as log:
        rows = log.execute(f"SELECT position, {columns} FROM stored_events ORDER BY position").fetchall()
    with psycopg.connect(dsn, options=f"-c search_path={schema}") as connection, connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO stored_events (notification_id, {columns}) VALUES (%s, %s, %s, %s, %s)", rows)
        last = rows[-1][0] if rows else 1
        cursor.execute("SELECT setval(pg_get_serial_sequence('stored_events', 'notification_id'), %s)", (last,))
