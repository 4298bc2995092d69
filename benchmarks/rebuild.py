"""How fast a read model is rebuilt from the own log, beside a bare loop over its rows; and how soon a commit shows.

Each event is about 740 bytes as stored and hits another document than the one before it, so that nothing is saved by
folding neighbours together. The bare loop reads the rows, decodes their JSON, folds dictionaries and writes JSON
documents with the same two indexes, without checkpoints, guards, versions, or a live model beside it. In PostgreSQL, log
and read model lie in one database, as in the compact profile; there one statement that reads the log, takes the fields
out of its JSON, and writes a table with the same two indexes stands beside it.
"""

import asyncio
import gc
import json
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import psycopg
import uuid_utils
import uvloop

from benchmarks._figures import Figure, at_least, at_most, skipped
from chassis.event import Actor, Seen, encode, event
from chassis.projecting import ProjectionRunner
from chassis.projection import Projection
from chassis.read_store.port import ReadStore
from chassis.read_store.postgres import PostgresReadStore
from chassis.read_store.sqlite import SqliteReadStore
from chassis.store.port import Commit, EventStore, NewEvent
from chassis.store.postgres import PostgresEventStore
from chassis.store.sqlite import SqliteEventStore
from tests.engines import postgres

EVENTS = 100_000
DOCUMENTS = 20_000
EVENTS_A_COMMIT = 500
ROUNDS = 3
TARGET_PER_SECOND = 40_000
SAMPLES = 300
SAMPLE_PAUSE_SECONDS = 0.005
VISIBLE_P50_MS, VISIBLE_P99_MS = 5.0, 25.0
SERVICE = "bench"
TENANT = "acme"


@event("bench.DealNoted.v1")
class DealNoted:
    deal_id: str
    stage: str
    amount: int
    text: str


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    noted: DealNoted = seen.event
    return {
        "deal_id": noted.deal_id,
        "stage": noted.stage,
        "amount": noted.amount,
        "notes": (document["notes"] if document else 0) + 1,
        "text": noted.text,
        "version": seen.version,
    }


def _key(seen: Seen) -> str:
    deal_id: str = seen.event.deal_id
    return deal_id


BOARD = Projection(name="board", version=1, keys={DealNoted: _key}, evolve=evolve, indexes=("stage", "amount"))


BARE_SQL = """
CREATE TABLE bare.board AS
  SELECT DISTINCT ON (data ->> 'deal_id') data ->> 'deal_id' AS id,
    data || jsonb_build_object('version', version, 'notes', count(*) OVER (PARTITION BY data ->> 'deal_id')) AS body
  FROM (
    SELECT originator_version AS version, notification_id AS position, convert_from(state, 'UTF8')::jsonb -> 'data' AS data
    FROM bench.stored_events
  ) AS log ORDER BY data ->> 'deal_id', position DESC;
ALTER TABLE bare.board ADD PRIMARY KEY (id);
CREATE INDEX ON bare.board ((body -> 'stage'), id);
CREATE INDEX ON bare.board ((body -> 'amount'), id);
"""


@dataclass(frozen=True)
class Stores:
    """A log and the read models over it, made anew at each use."""

    log: Callable[[], EventStore]
    documents: Callable[[], ReadStore]


def run() -> Iterator[Figure]:
    """The figures of one run."""
    gc.freeze()  # as `serve` does
    with TemporaryDirectory() as name:
        folder = Path(name)
        files = Stores(lambda: SqliteEventStore(folder / "events.db"), lambda: SqliteReadStore(folder / "read.db"))
        yield _rebuilt("sqlite", files, "bare loop", lambda: _bare(folder))
        p50_ms, p99_ms = uvloop.run(_visible(files))
        yield at_most("rebuild.commit_to_visible.p50", p50_ms, "ms", VISIBLE_P50_MS)
        yield at_most("rebuild.commit_to_visible.p99", p99_ms, "ms", VISIBLE_P99_MS)
    yield from on_postgres()


def on_postgres(missing: Callable[[], str | None] = postgres.missing) -> Iterator[Figure]:
    """The figure of PostgreSQL, or why there is none."""
    if reason := missing():
        yield skipped("rebuild.postgres", reason)
        return
    with postgres.running_postgres() as dsn:
        stores = Stores(
            lambda: PostgresEventStore(dsn, schema="bench"), lambda: PostgresReadStore(dsn, schema="bench_read")
        )
        yield _rebuilt("postgres", stores, "one bare statement", lambda: _bare_statement(dsn))


def _rebuilt(engine: str, stores: Stores, peer: str, bare: Callable[[], float]) -> Figure:
    uvloop.run(_write(stores))
    uvloop.run(_first_fill(stores))
    pairs = [(uvloop.run(_rebuild(stores)), bare()) for _ in range(ROUNDS)]
    ours, theirs = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return at_least(f"rebuild.{engine}", ours, "events/s", TARGET_PER_SECOND, (peer, theirs))


@asynccontextmanager
async def _runner(stores: Stores) -> AsyncIterator[tuple[EventStore, ReadStore, ProjectionRunner]]:
    store, read_store = stores.log(), stores.documents()
    await store.open()
    await read_store.open()
    runner = ProjectionRunner(SERVICE, store, read_store, [BOARD])
    await runner.prepare()
    task = asyncio.create_task(runner.run())
    try:
        yield store, read_store, runner
    finally:
        task.cancel()
        await asyncio.wait([task])
        await read_store.close()
        await store.close()


async def _write(stores: Stores) -> None:
    store = stores.log()
    await store.migrate()
    await store.open()
    for first in range(0, EVENTS, EVENTS_A_COMMIT):
        await store.append(_commit(range(first, first + EVENTS_A_COMMIT)))
    await store.close()


def _commit(numbers: range) -> Commit:
    return Commit(
        tenant=TENANT,
        actor=Actor(kind="vendor", subject="staff-1"),
        command_id=str(uuid_utils.uuid7()),
        causation_id=None,
        correlation_id=str(uuid_utils.uuid7()),
        traceparent=None,
        evaluator=1,
        recorded_at=datetime.now(UTC),
        events=tuple(_event(number) for number in numbers),
    )


def _event(number: int) -> NewEvent:
    deal_id = f"deal-{number % DOCUMENTS}"
    noted = DealNoted(deal_id=deal_id, stage=f"s{number % 7}", amount=number, text="x" * 300)
    version = number // DOCUMENTS + 1
    return NewEvent(f"{TENANT}:deal-{deal_id}", version, str(uuid_utils.uuid7()), "bench.DealNoted.v1", encode(noted))


async def _first_fill(stores: Stores) -> None:
    async with _runner(stores) as (_, _, runner):
        assert await runner.reached("board", SERVICE, EVENTS, 60)


async def _rebuild(stores: Stores) -> float:
    async with _runner(stores) as (_, read_store, runner):
        await runner.reached("board", SERVICE, EVENTS, 60)
        start = time.perf_counter()
        await runner.rebuild("board")
        rate = EVENTS / (time.perf_counter() - start)
        assert await read_store.count("board", TENANT) == DOCUMENTS
        return rate


def _bare(folder: Path) -> float:
    source = sqlite3.connect(folder / "events.db")
    target = sqlite3.connect(folder / "bare.db", isolation_level=None)
    target.execute("PRAGMA journal_mode=WAL")
    target.execute("PRAGMA synchronous=NORMAL")
    target.execute("DROP TABLE IF EXISTS board")
    target.execute("CREATE TABLE board (id TEXT PRIMARY KEY, body TEXT NOT NULL)")
    for field in BOARD.indexes:
        target.execute(f"CREATE INDEX by_{field} ON board (json_extract(body, '$.{field}'), id)")
    start = time.perf_counter()
    rows = source.execute("SELECT position, originator_version, state FROM stored_events ORDER BY position")
    while page := rows.fetchmany(2_000):
        _bare_batch(target, page)
    rate = EVENTS / (time.perf_counter() - start)
    source.close()
    target.close()
    return rate


def _bare_statement(dsn: str) -> float:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS bare CASCADE")
        connection.execute("CREATE SCHEMA bare")
        start = time.perf_counter()
        connection.execute(BARE_SQL)
        return EVENTS / (time.perf_counter() - start)


def _bare_batch(target: sqlite3.Connection, page: list[tuple[int, int, bytes]]) -> None:
    events = [(version, orjson.loads(state)["data"]) for _, version, state in page]
    wanted = json.dumps([data["deal_id"] for _, data in events])
    target.execute("BEGIN")
    kept = target.execute("SELECT id, body FROM board WHERE id IN (SELECT value FROM json_each(?))", (wanted,))
    documents = {one: orjson.loads(body) for one, body in kept}
    for version, data in events:
        before = documents.get(data["deal_id"])
        documents[data["deal_id"]] = {**data, "notes": (before["notes"] if before else 0) + 1, "version": version}
    rows = [(one, orjson.dumps(document).decode()) for one, document in documents.items()]
    target.executemany("INSERT INTO board VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body", rows)
    target.execute("COMMIT")


async def _visible(stores: Stores) -> tuple[float, float]:
    """From the acknowledged commit of one event to its document, in milliseconds: median and 99th percentile."""
    async with _runner(stores) as (store, _, runner):
        await runner.reached("board", SERVICE, EVENTS, 60)
        waited = sorted([await _one_visible(store, runner, EVENTS + number) for number in range(SAMPLES)])
        return waited[SAMPLES // 2] * 1_000, waited[SAMPLES * 99 // 100] * 1_000


async def _one_visible(store: EventStore, runner: ProjectionRunner, number: int) -> float:
    (recorded,) = await store.append(_commit(range(number, number + 1)))
    start = time.perf_counter()
    assert await runner.reached("board", SERVICE, recorded.position, 5)
    waited = time.perf_counter() - start
    await asyncio.sleep(SAMPLE_PAUSE_SECONDS)
    return waited
