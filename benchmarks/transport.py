"""The way of a fact from its commit to another service's read model, over a real Kafka on this machine.

Drain: 100,000 events from a SQLite store through a relay into a topic, and from there through a batch subscriber into a
document table whose every batch is flushed. Latency: commits paced at 100 and at 500 a second, from a commit's answer to
the flushed document, less what a bare producer and consumer of the client library need in the same run. Outage: the
broker is killed, commits go on at 100 a second for half a minute, it is started again, and what was committed until then
is waited for.
"""

import asyncio
import logging
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uuid_utils
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks._figures import Figure, at_least, at_most, skipped
from chassis.clock import SystemClock
from chassis.consumer import Projecting
from chassis.desk.sqlite import SqliteDesk
from chassis.event import Actor, PublicEvent, Seen, encode
from chassis.relay import Settings as RelaySettings
from chassis.sqlite_file import open_flushed
from chassis.store.port import Commit, NewEvent
from chassis.store.sqlite import SqliteEventStore
from chassis.supervision import Tasks
from chassis.testing.feed import Counted, CountTold
from chassis.transport.kafka import KafkaTransport, Settings, make_topics
from chassis.transport.port import Outlet, Positions, Undecodable, topic_of
from tests.engines import kafka

EVENTS = 100_000
EVENTS_PER_COMMIT = 50
PACES = {"walking": 100, "running": 500}
"""Commits a second, by the name of the service that makes them."""
PACED_SECONDS = 10
OUTAGE_SECONDS, OUTAGE_PER_SECOND = 30, 100
CAUGHT_UP_TARGET_SECONDS = 30
WARM_UP_SECONDS = 2
DEADLINE_SECONDS = 120
DRAIN_TARGET = 20_000
SHARE_TARGETS_MS = {50: 5.0, 99: 25.0}
ACTOR = Actor(kind="partner", subject="person-1", partner_id="partner-1")
SINK = "CREATE TABLE IF NOT EXISTS board (id TEXT PRIMARY KEY, position INTEGER NOT NULL, number INTEGER NOT NULL)"
PUT = """INSERT INTO board VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE
    SET position = excluded.position, number = excluded.number WHERE excluded.position > position"""


def run(missing: Callable[[], str | None] = kafka.missing) -> Iterable[Figure]:
    if reason := missing():
        yield skipped("transport", reason)
        return
    logging.disable(logging.WARNING)
    with kafka.running_kafka() as bootstrap, TemporaryDirectory() as folder:
        relay = RelaySettings(linger_seconds=0)
        settings = Settings(bootstrap=bootstrap, partitions=6, replication=1, relay=relay)
        yield from uvloop.run(_drain(settings, Path(folder)))
        for service, per_second in PACES.items():
            yield from uvloop.run(_latency(service, per_second, settings, Path(folder)))
    logging.disable(logging.CRITICAL)  # that the broker is away is no news there
    with kafka.running_broker() as broker, TemporaryDirectory() as folder:
        settings = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
        caught_up = uvloop.run(_outage(broker, settings, Path(folder)))
    name = f"transport.outage_of_{OUTAGE_SECONDS}_s.caught_up"
    yield at_most(name, caught_up, "s", CAUGHT_UP_TARGET_SECONDS)


def publish(seen: Seen) -> PublicEvent:
    return CountTold(number=seen.event.number)


class Sink:
    """A read model as plain as can be: one row a stream, guarded by position, each batch one flushed transaction."""

    def __init__(self, path: Path) -> None:
        self._database = open_flushed(path, SINK)
        self.applied = 0
        self.visible_at: dict[int, float] = {}

    async def apply(self, _source: str, batch: list[Seen | Undecodable]) -> None:
        rows = [(seen.stream, seen.position, seen.event.number) for seen in batch if isinstance(seen, Seen)]
        await asyncio.to_thread(self._write, rows)
        now = time.perf_counter()
        self.visible_at.update((number, now) for _, _, number in rows)
        self.applied += len(rows)

    def _write(self, rows: list[tuple[str, int, int]]) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        self._database.executemany(PUT, rows)
        self._database.execute("COMMIT")


@dataclass
class Chain:
    """One service's store, its topic, and a subscriber of it."""

    store: SqliteEventStore
    service: str
    settings: Settings
    positions: Positions
    folder: Path

    def outlet(self) -> Outlet:
        return Outlet(self.service, self.store, publish)

    def sending(self) -> KafkaTransport:
        transport = KafkaTransport(self.settings)
        transport.offer(self.outlet(), self.positions)
        return transport

    def hearing(self, transport: KafkaTransport) -> Sink:
        sink = Sink(self.folder / f"{self.service}.board.sqlite")
        topic = topic_of(self.service)
        transport.subscribe(topic, f"{topic}.board", Projecting(sink.apply, topic).on_batch, self.positions)
        return sink


async def _chain(service: str, settings: Settings, folder: Path) -> Chain:
    await make_topics([topic_of(service)], settings)
    store = SqliteEventStore(folder / f"{service}.sqlite")
    await store.migrate()
    await store.open()
    desk = SqliteDesk(folder / service, service, SystemClock())
    await desk.migrate()
    return Chain(store, service, settings, desk.positions, folder)


def _commit(numbers: Iterable[int], tenant: str) -> Commit:
    return Commit(
        tenant=tenant,
        actor=ACTOR,
        command_id=str(uuid_utils.uuid7()),
        causation_id=None,
        correlation_id=str(uuid_utils.uuid7()),
        traceparent=f"00-{1:032x}-{1:016x}-01",
        evaluator=1,
        recorded_at=datetime.now(UTC),
        events=tuple(_fact(number, tenant) for number in numbers),
    )


def _fact(number: int, tenant: str) -> NewEvent:
    identity = str(uuid_utils.uuid7())
    stream = f"{tenant}:counter-{identity}"
    return NewEvent(stream, 1, identity, "testing.Counted.v1", encode(Counted(number=number)))


async def _drain(settings: Settings, folder: Path) -> list[Figure]:
    chain = await _chain("draining", settings, folder)
    commits = [
        _commit(range(first, first + EVENTS_PER_COMMIT), f"tenant-{first % 7}")
        for first in range(0, EVENTS, EVENTS_PER_COMMIT)
    ]
    for start in range(0, len(commits), 100):
        await asyncio.gather(*map(chain.store.append, commits[start : start + 100]))
    relayed = await _relay_rate(chain)
    consumed = await _consume_rate(chain)
    await chain.store.close()
    return [
        at_least("transport.relay", relayed, "events/s", DRAIN_TARGET),
        at_least("transport.drain", consumed, "events/s", DRAIN_TARGET),
    ]


async def _relay_rate(chain: Chain) -> float:
    transport = chain.sending()
    began = time.perf_counter()
    await transport.start()
    await _until(lambda: transport.relays[0].sent >= EVENTS)
    seconds = time.perf_counter() - began
    await transport.stop()
    return EVENTS / seconds


async def _consume_rate(chain: Chain) -> float:
    transport = KafkaTransport(chain.settings)
    sink = chain.hearing(transport)
    await transport.start()
    await _until(lambda: sink.applied > 0)
    began, before = time.perf_counter(), sink.applied
    await _until(lambda: sink.applied >= EVENTS)
    rate = (sink.applied - before) / (time.perf_counter() - began)
    await transport.stop()
    return rate


async def _latency(service: str, per_second: int, settings: Settings, folder: Path) -> list[Figure]:
    bare = await _bare(settings, per_second)
    async with _at_work(await _chain(service, settings, folder)) as (chain, sink):
        committed: dict[int, float] = {}

        async def commit(number: int) -> None:
            await chain.store.append(_commit([number], "tenant-1"))
            committed[number] = time.perf_counter()

        numbers = await _paced(commit, per_second, PACED_SECONDS + WARM_UP_SECONDS)
        await _until(lambda: len(sink.visible_at) >= numbers)
    warm = WARM_UP_SECONDS * per_second
    took = [sink.visible_at[number] - at for number, at in committed.items() if number >= warm]
    return list(_shares(took, bare, per_second))


async def _outage(broker: kafka.Broker, settings: Settings, folder: Path) -> float:
    """For how long what was committed until the broker was back is waited for after that."""
    async with _at_work(await _chain("outage", settings, folder)) as (chain, sink):

        async def commit(number: int) -> None:
            await chain.store.append(_commit([number], "tenant-1"))

        before = await _paced(commit, OUTAGE_PER_SECOND, WARM_UP_SECONDS)
        await _until(lambda: len(sink.visible_at) >= before)
        await asyncio.to_thread(broker.kill)
        meanwhile = await _paced(lambda number: commit(before + number), OUTAGE_PER_SECOND, OUTAGE_SECONDS)
        await asyncio.to_thread(broker.start)
        back = time.perf_counter()
        await _until(lambda: len(sink.visible_at) >= before + meanwhile)
        return time.perf_counter() - back


@asynccontextmanager
async def _at_work(chain: Chain) -> AsyncIterator[tuple[Chain, Sink]]:
    transport = chain.sending()
    sink = chain.hearing(transport)
    await transport.start()
    try:
        yield chain, sink
    finally:
        await transport.stop()
        await chain.store.close()


async def _bare(settings: Settings, per_second: int) -> list[float]:
    """What the client library and the broker alone need for the same messages at the same pace."""
    topic = topic_of(f"bare_{per_second}")
    await make_topics([topic], replace(settings, partitions=1))
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=settings.bootstrap, auto_offset_reset="earliest")
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, enable_idempotence=True)
    sent: dict[int, float] = {}
    took: dict[int, float] = {}

    async def send(number: int) -> None:
        sent[number] = time.perf_counter()
        await producer.send_and_wait(topic, str(number).encode().rjust(400))

    async def receive() -> None:
        async for record in consumer:
            took[int(record.value)] = time.perf_counter() - sent[int(record.value)]

    await asyncio.wait_for(consumer.start(), DEADLINE_SECONDS)
    await asyncio.wait_for(producer.start(), DEADLINE_SECONDS)
    tasks = Tasks()
    tasks.start("receive", receive)
    numbers = await _paced(send, per_second, PACED_SECONDS + WARM_UP_SECONDS)
    await _until(lambda: len(took) >= numbers)
    await tasks.stop()
    with suppress(asyncio.CancelledError):
        await asyncio.wait_for(producer.stop(), 5)
        await asyncio.wait_for(consumer.stop(), 5)
    return [seconds for number, seconds in took.items() if number >= WARM_UP_SECONDS * per_second]


async def _paced(act: Any, per_second: int, for_seconds: int) -> int:
    """Acts so many times a second, whether or not the last act is done; answers how often."""
    acts = []
    began = time.perf_counter()
    for number in count():
        if number >= for_seconds * per_second:
            break
        await asyncio.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        acts.append(asyncio.ensure_future(act(number)))
    await asyncio.gather(*acts)
    return len(acts)


async def _until(done: Any) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not done():  # noqa: ASYNC110 - a count that several tasks raise
            await asyncio.sleep(0.002)


def _shares(ours: list[float], bare: list[float], per_second: int) -> Iterator[Figure]:
    for percent, most in SHARE_TARGETS_MS.items():
        mine, broker = _percentile_ms(ours, percent), _percentile_ms(bare, percent)
        peer = (f"ms of the broker's own share, of {mine:.1f} in all", broker)
        yield at_most(f"transport.commit_to_visible_at_{per_second}.p{percent}", mine - broker, "ms", most, peer)


def _percentile_ms(seconds: list[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1000
