"""The event stores against their bare databases, with the same flush, in the same run.

A creating command records two rows, its event and its own record, each of about 740 bytes. Bare SQLite and pgbench
insert one such row a transaction. Rounds of ours and of the bare database alternate, and the medians are compared.
`create` is the store alone; `command` is the same through the executor, which first looks for the command's own
record, loads the stream, decides, and writes the record with its answer.
"""

import asyncio
import re
import shutil
import sqlite3
import statistics
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import uuid_utils
import uvloop

from benchmarks._figures import Figure, at_least, beside, skipped
from chassis.clock import SystemClock
from chassis.decider import Decider
from chassis.event import Actor, command, encode, event
from chassis.execution import Executor, Handles, Order
from chassis.store.port import Commit, EventStore, NewEvent
from chassis.store.postgres import PostgresEventStore
from chassis.store.sqlite import SqliteEventStore
from tests.engines import postgres

ROUNDS = 5
ROUND_SECONDS = 1.0
ROW_BYTES = 740
STREAM_EVENTS = 5
ACTOR = Actor(kind="partner", subject="person-1", partner_id="partner-1")

Rate = Callable[[], float]


@event("benchmarks.Noted.v1")
class Noted:
    """What the benchmark records."""

    text: str
    amount: Decimal


@command("benchmarks.Note.v1")
class Note:
    """The command whose record is kept beside it."""

    note_id: str
    text: str


Notes = Decider[int, Noted](kind="note", initial=0, evolve=lambda count, _: count + 1)
HANDLES = Handles(
    Note,
    decide=lambda wish, _: [Noted(text=wish.text, amount=Decimal("100.00"))],
    streams=lambda wish: (Notes.at(wish.note_id),),
    answer=lambda wish, _: {"note_id": wish.note_id},
)
DATA = encode(Noted(text="x" * (ROW_BYTES - 440), amount=Decimal("100.00")))
TYPE = "benchmarks.Noted.v1"


def run() -> Iterable[Figure]:
    yield from _sqlite()
    yield from on_postgres()


def on_postgres(missing: Callable[[], str | None] = postgres.missing) -> Iterable[Figure]:
    """The figures of PostgreSQL, or why there are none."""
    if reason := missing():
        yield skipped("store.postgres", reason)
    else:
        yield from _postgres()


def _sqlite() -> Iterator[Figure]:
    with TemporaryDirectory() as name:
        folder = Path(name)

        def bare() -> float:
            return _bare_sqlite(folder / "bare.sqlite")

        def ours(work: "Work", in_flight: int) -> float:
            return _rate(SqliteEventStore(folder / "ours.sqlite"), work, in_flight)

        for in_flight, target in ((1, 0.4), (16, 1.5), (128, None)):
            yield _compared(
                f"sqlite.create.{in_flight}", partial(ours, _create, in_flight), bare, "bare SQLite inserts/s", target
            )
        for in_flight in (1, 16):
            yield _compared(
                f"sqlite.command.{in_flight}", partial(ours, _command, in_flight), bare, "bare SQLite inserts/s", None
            )
        fresh = folder / "fresh.sqlite"
        rates = [_rate(SqliteEventStore(fresh), _load_and_append, 16) for _ in range(ROUNDS)]
        yield _measured("sqlite.load_decide_append.16", statistics.median(rates), 3_500)
        yield _measured("sqlite.feed_and_decode", uvloop.run(_drain(SqliteEventStore(folder / "ours.sqlite"))), 40_000)


def _postgres() -> Iterator[Figure]:
    with postgres.running_postgres() as dsn:

        def ours(work: "Work", in_flight: int) -> float:
            return _rate(PostgresEventStore(dsn, schema="bench"), work, in_flight)

        for in_flight, target in ((1, 0.3), (16, 0.6), (128, None)):
            clients = min(in_flight, 32)
            yield _compared(
                f"postgres.create.{in_flight}",
                partial(ours, _create, in_flight),
                partial(pgbench, dsn, clients),
                f"pgbench inserts/s, {clients} clients",
                target,
            )
        yield _compared(
            "postgres.command.16", partial(ours, _command, 16), partial(pgbench, dsn, 16), "pgbench inserts/s", None
        )
        pairs = [(ours(_load_and_append, 16), pgbench(dsn, 16)) for _ in range(ROUNDS)]
        value, inserts = (statistics.median(rates) for rates in zip(*pairs, strict=True))
        peer = ("pgbench inserts/s, 16 clients", inserts)
        yield at_least("store.postgres.load_decide_append.16", value, "commands/s", 2_500, peer)
        yield _measured("postgres.feed_and_decode", uvloop.run(_drain(PostgresEventStore(dsn, schema="bench"))), 20_000)


def _compared(name: str, ours: Rate, bare: Rate, peer: str, least_ratio: float | None) -> Figure:
    pairs = [(ours(), bare()) for _ in range(ROUNDS)]
    value, against = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    return beside(f"store.{name}", value, "commands/s", (peer, against), least_ratio)


def _measured(name: str, value: float, least: float) -> Figure:
    return at_least(f"store.{name}", value, "events/s" if "feed" in name else "commands/s", least)


Work = Callable[[EventStore, str], Awaitable[int]]


def _rate(store: EventStore, work: Work, in_flight: int) -> float:
    return uvloop.run(_run_rate(store, work, in_flight))


async def _run_rate(store: EventStore, work: Work, in_flight: int) -> float:
    async with _opened(store):
        start = time.perf_counter()
        counts = await asyncio.gather(*(_worker(store, work, start) for _ in range(in_flight)))
        return sum(counts) / (time.perf_counter() - start)


async def _worker(store: EventStore, work: Work, start: float) -> int:
    done = 0
    stream = f"acme:deal-{uuid_utils.uuid7()}"
    while time.perf_counter() - start < ROUND_SECONDS:
        done += await work(store, f"{stream}.{done // STREAM_EVENTS}")
    return done


@asynccontextmanager
async def _opened(store: EventStore) -> AsyncIterator[None]:
    await store.migrate()
    await store.open()
    try:
        yield
    finally:
        await store.close()


async def _create(store: EventStore, _: str) -> int:
    await store.append(_commit(f"acme:deal-{uuid_utils.uuid7()}", 1))
    return 1


async def _command(store: EventStore, stream: str) -> int:
    """As a route would do it: one creating command, decided, recorded and answered."""
    executor = Executor(store, (HANDLES,), SystemClock())
    order = Order(command_id=str(uuid_utils.uuid7()), tenant="acme", actor=ACTOR, correlation_id="c")
    await executor.run(order, Note(note_id=str(uuid_utils.uuid7()), text="x" * (ROW_BYTES - 440)))
    return 1


async def _load_and_append(store: EventStore, stream: str) -> int:
    """Loads and decodes a stream of up to five events, and records the next."""
    state = [recorded.event for recorded in await store.load(stream)]
    await store.append(_commit(stream, len(state) + 1))
    return 1


def _commit(stream: str, version: int) -> Commit:
    command_id = str(uuid_utils.uuid7())
    return Commit(
        tenant="acme",
        actor=ACTOR,
        command_id=command_id,
        causation_id=None,
        correlation_id=command_id,
        traceparent=None,
        evaluator=1,
        recorded_at=datetime.now(UTC),
        events=(
            NewEvent(stream, version, str(uuid_utils.uuid7()), TYPE, DATA),
            NewEvent(f"acme:command-{command_id}", 1, str(uuid_utils.uuid7()), TYPE, DATA),
        ),
    )


async def _drain(store: EventStore) -> float:
    async with _opened(store):
        start = time.perf_counter()
        position = count = 0
        while page := await store.feed(position, 1_000):
            position, count = page[-1].position, count + len([recorded.event for recorded in page])
        return count / (time.perf_counter() - start)


def _bare_sqlite(path: Path) -> float:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS events (position INTEGER PRIMARY KEY AUTOINCREMENT, state BLOB)")
    start, done, row = time.perf_counter(), 0, b"x" * ROW_BYTES
    while time.perf_counter() - start < ROUND_SECONDS:
        connection.execute("INSERT INTO events (state) VALUES (?)", (row,))
        done += 1
    rate = done / (time.perf_counter() - start)
    connection.close()
    return rate


def pgbench(dsn: str, clients: int) -> float:
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (position bigserial PRIMARY KEY, state bytea)")
    with TemporaryDirectory() as folder:
        script = Path(folder) / "insert.sql"
        script.write_text(f"INSERT INTO bare (state) VALUES (decode(repeat('78', {ROW_BYTES}), 'hex'));\n")
        seconds = str(round(ROUND_SECONDS))
        printed = subprocess.run(
            [_program(), "-n", "-f", script, "-c", str(clients), "-j", "2", "-T", seconds, "-M", "prepared", dsn],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    found = re.search(r"tps = ([\d.]+)", printed)
    assert found, printed
    return float(found[1])


def _program() -> str:
    """pgbench, which Debian keeps beside the server's programs and off the path."""
    if found := shutil.which("pgbench"):
        return found
    return str(max(Path("/usr/lib/postgresql").glob("*/bin/pgbench")))
