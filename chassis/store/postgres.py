"""The event store in PostgreSQL, for services that run as several processes.

Every batch is inserted under an exclusive advisory lock of the store that ends with the transaction. So one transaction
gets all its positions and commits before the next gets any: positions follow the order of commits, and a reader that
remembers the last position misses nothing. A table lock would do that too, but stalls behind VACUUM; a shared lock, or
none, loses events to tailing readers. The lock and the insert are one statement, which is one round trip and one flush.
"""

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any, LiteralString, TypeVar

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow, tuple_row
from psycopg.sql import SQL

from chassis.decider import Busy
from chassis.store.batch import Append, Verdict, check_page, conflicts_of, publish, recorded
from chassis.store.group_commit import Batches
from chassis.store.mapping import to_recorded, to_stored
from chassis.store.port import EPOCH_POSITIONS, Commit, Conflict, NotMigrated, Recorded, StoreSettings
from chassis.store.ring import Head, Ring

Connection = psycopg.Connection[Any]
Load = Mapping[str, int]
"""Streams, each with the version behind which it is wanted."""
Query = Callable[[Connection], Any]
T = TypeVar("T")

FORGOTTEN = psycopg.errors.InvalidSqlStatementName
"""The session has not what the driver says that it prepared there: a pooler gave it to another, or a pipeline failed on
the way to it, of which the driver takes no note. It never comes right again on that connection."""
SLEPT = psycopg.errors.IdleInTransactionSessionTimeout
"""The server has ended a transaction in which this process slept."""
WENT_AWAY = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    FORGOTTEN,
    SLEPT,
)
"""Worth another try on another connection; a server that only reads has become a replica, another one takes writes."""
SCHEMA_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

TABLES: tuple[LiteralString, ...] = (
    "CREATE TABLE IF NOT EXISTS meta (name text PRIMARY KEY, value bigint NOT NULL)",
    "INSERT INTO meta VALUES ('epoch', 1) ON CONFLICT DO NOTHING",
    "CREATE TABLE IF NOT EXISTS leases (name text PRIMARY KEY, holder text NOT NULL, until timestamptz NOT NULL)",
)
OWN_TABLES = ("meta", "leases")
PATIENT: tuple[LiteralString, ...] = ("SET LOCAL lock_timeout = '60s'", "SET LOCAL statement_timeout = '120s'")
"""Of ten replicas that start at once, the last waits for nine."""
# Lists are bound in binary: the driver looks into each text of a text array for what to escape.
LOCK = "SELECT pg_advisory_xact_lock(%s)::text AS held"
INSERT = (
    "INSERT INTO stored_events (originator_id, originator_version, topic, state) "
    "SELECT stream, version, topic, state FROM "
    "unnest(%b::text[], %b::bigint[], %b::text[], %b::bytea[]) WITH ORDINALITY "
    "AS e (stream, version, topic, state, nth), lock WHERE held IS NOT NULL ORDER BY nth RETURNING notification_id"
)
FOUND = (
    "SELECT originator_id, originator_version, state, notification_id FROM stored_events "
    "WHERE (originator_id, originator_version) IN (SELECT * FROM unnest(%b::text[], %b::bigint[]))"
)
# `OFFSET 0` keeps the planner to one look into the index a stream; a join it may turn into a scan of the whole log.
STREAMS = (
    "SELECT notification_id, originator_id, originator_version, topic, state "
    "FROM unnest(%b::text[], %b::bigint[]) AS wanted (stream, after) CROSS JOIN LATERAL "
    "(SELECT * FROM stored_events WHERE originator_id = stream AND originator_version > after OFFSET 0) AS found "
    "ORDER BY originator_id, originator_version"
)
FEED = (
    "SELECT notification_id, originator_id, originator_version, topic, state FROM stored_events "
    "WHERE notification_id > %s ORDER BY notification_id LIMIT %s"
)
HEAD = "SELECT max(notification_id) FROM stored_events"
EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
RAISE_EPOCH: LiteralString = (
    "WITH raised AS (UPDATE meta SET value = greatest(value, %s) + 1 WHERE name = 'epoch' RETURNING value) "
    "SELECT setval(pg_get_serial_sequence('stored_events', 'notification_id'), value * %s) / %s FROM raised"
)
POOL, CONNECTIONS_MAX = 3, 5
"""How many connections to the log stay, and how many there are while many ask."""
TAKE_LEASE = (
    "INSERT INTO leases AS held VALUES (%s, %s, clock_timestamp() + make_interval(secs => %s)) "
    "ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until "
    "WHERE held.holder = excluded.holder OR held.until < clock_timestamp() RETURNING 1"
)
RELEASE_LEASE = "DELETE FROM leases WHERE name = %s AND holder = %s"


def connection_options(dsn: str, schema: str, settings: StoreSettings) -> dict[str, Any]:
    """What every connection is opened with: the library passes neither timeouts nor TCP options."""
    given = conninfo_to_dict(dsn)
    session = {
        "search_path": schema,
        "statement_timeout": round(settings.statement_timeout_seconds * 1000),
        "lock_timeout": round(settings.lock_timeout_seconds * 1000),
        "idle_in_transaction_session_timeout": round(settings.idle_in_transaction_timeout_seconds * 1000),
        # While a growing table is not yet analysed, the server expects long answers of it and compiled each load for 6 ms.
        "jit": "off",
    }
    own = " ".join(f"-c {name}={value}" for name, value in session.items())
    return {
        **given,
        "client_encoding": "utf8",
        "connect_timeout": settings.connect_timeout_seconds,
        "tcp_user_timeout": round(settings.tcp_user_timeout_seconds * 1000),
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "options": f"{given.get('options') or ''} {own}".strip(),
    }


class Datastore(PostgresDatastore):
    """The library's datastore; our statements need no composite types, so none are looked up."""

    def register_type_adapters(self) -> None:
        return


class PostgresRecorder(PostgresApplicationRecorder):
    """The library's recorder with our lock, one-statement batches, and tables made by `create_table` alone."""

    lock_statement: str = LOCK

    def __init__(self, datastore: PostgresDatastore, *, events_table_name: str = "stored_events") -> None:
        super().__init__(datastore, events_table_name=events_table_name)
        self.lock_key = lock_key(self.datastore.schema)
        self.lock_table_statements = []  # the insert statement takes our lock
        self.append_statement = f"WITH lock AS MATERIALIZED ({self.lock_statement}) {INSERT}"
        self.sql_create_statements = [
            statement for statement in self.sql_create_statements if _makes_table_or_index(statement.as_string())
        ]

    def create_table(self) -> None:
        """Makes schema and tables where one is missing; processes that start together wait for each other.

        Where all are there, a role is enough that may make none.
        """
        with self.datastore.transaction(commit=True) as curs:
            for timeout in PATIENT:
                curs.execute(timeout)
            curs.execute("SELECT pg_advisory_xact_lock(%s)", (self.lock_key,))
            if self._is_whole(curs):
                return
            for statement in self.statements():
                curs.execute(statement.encode(), prepare=False)

    def statements(self) -> list[str]:
        """The SQL that makes the store, for whoever makes tables by hand."""
        schema = psycopg.sql.Identifier(self.datastore.schema)
        return [
            SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema).as_string(),
            SQL("SET LOCAL search_path TO {}").format(schema).as_string(),
            *(statement.as_string() for statement in self.sql_create_statements),
            *TABLES,
        ]

    def _is_whole(self, curs: psycopg.Cursor[DictRow]) -> bool:
        tables = [f"{self.datastore.schema}.{table}" for table in (self.events_table_name, *OWN_TABLES)]
        curs.execute(
            "SELECT bool_and(to_regclass(name) IS NOT NULL) AS whole FROM unnest(%s::text[]) AS t (name)", (tables,)
        )
        row = curs.fetchone()
        return row is not None and bool(row["whole"])

    def _insert_stored_events(
        self, curs: psycopg.Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any
    ) -> None:
        self._notify_channel(curs)
        curs.execute(self.append_statement.encode(), self._parameters(stored_events))

    def _parameters(self, events: Sequence[StoredEvent]) -> tuple[Any, ...]:
        return (
            self.lock_key,
            [event.originator_id for event in events],
            [event.originator_version for event in events],
            [event.topic for event in events],
            [event.state for event in events],
        )

    def append_batch(self, connection: Connection, batch: list[list[StoredEvent]], *, repeated: bool) -> list[Verdict]:
        """Records each commit of the batch whose versions are free, all in one flushed transaction.

        Most batches hold no conflict and are tried as a whole; only one that failed is sorted out commit by commit.
        `repeated` says that an earlier try may have been recorded without our hearing of it.
        """
        if not repeated:
            try:
                return self._insert(connection, batch, [None] * len(batch))
            except psycopg.errors.UniqueViolation:
                pass
        with connection.transaction():
            return self._sort_out(connection, batch, repeated=repeated)

    def _sort_out(self, connection: Connection, batch: list[list[StoredEvent]], *, repeated: bool) -> list[Verdict]:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (self.lock_key,))
        found = self._found(connection, [event for events in batch for event in events])
        settled = [_settled(events, found) if repeated else None for events in batch]
        conflicts = conflicts_of(
            [[] if positions else events for events, positions in zip(batch, settled, strict=True)],
            lambda stream, version: (stream, version) in found,
        )
        known = [positions or conflict for positions, conflict in zip(settled, conflicts, strict=True)]
        return self._insert(connection, batch, known)

    def _found(self, connection: Connection, events: list[StoredEvent]) -> Mapping[tuple[str, int], tuple[bytes, int]]:
        _, streams, versions, *_ = self._parameters(events)
        rows = _cursor(connection).execute(FOUND, (streams, versions))
        return {(stream, version): (bytes(state), position) for stream, version, state, position in rows}

    def _insert(
        self, connection: Connection, batch: list[list[StoredEvent]], known: Sequence[Verdict | None]
    ) -> list[Verdict]:
        new = [event for events, verdict in zip(batch, known, strict=True) if verdict is None for event in events]
        rows = self._insert_new(connection, new) if new else iter(())
        return [
            [next(rows) for _ in events] if verdict is None else verdict
            for events, verdict in zip(batch, known, strict=True)
        ]

    def _insert_new(self, connection: Connection, new: list[StoredEvent]) -> Any:
        rows = (
            _cursor(connection).execute(self.append_statement.encode(), self._parameters(new), prepare=True).fetchall()
        )
        assert len(rows) == len(new), "the database answered another number of positions than of events"
        return iter([position for (position,) in rows])


def _makes_table_or_index(statement: str) -> bool:
    return statement.startswith(("CREATE TABLE", "CREATE UNIQUE INDEX"))


def _cursor(connection: Connection) -> psycopg.Cursor[tuple[Any, ...]]:
    return connection.cursor(row_factory=tuple_row)


def _settled(events: list[StoredEvent], found: Mapping[tuple[str, int], tuple[bytes, int]]) -> list[int] | None:
    """The positions of a commit that an earlier try did record: its very bytes are there."""
    rows = [found.get((str(event.originator_id), event.originator_version)) for event in events]
    if all(row is not None and row[0] == event.state for row, event in zip(rows, events, strict=True)):
        return [row[1] for row in rows if row is not None]
    return None


def lock_key(schema: str) -> int:
    """The advisory lock's number of the store in this schema."""
    return int.from_bytes(hashlib.blake2b(f"{schema}.stored_events".encode(), digest_size=8).digest(), signed=True)


class Factory(PostgresFactory):
    """The library's factory, set up to give our datastore and recorder."""

    application_recorder_class = PostgresRecorder

    def __init__(self, dsn: str, schema: str, settings: StoreSettings) -> None:
        options = connection_options(dsn, schema, settings)
        super().__init__(
            {
                self.POSTGRES_DBNAME: options.get("dbname") or "",
                self.POSTGRES_HOST: options.get("host") or "",
                self.POSTGRES_USER: options.get("user") or "",
                self.POSTGRES_PASSWORD: options.get("password") or "",
                self.ORIGINATOR_ID_TYPE: "text",
                self.CREATE_TABLE: "no",
            }
        )
        self.datastore = Datastore(
            dbname=options.get("dbname") or "",
            host=options.get("host") or "",
            port=options.get("port") or 5432,
            user=options.get("user") or "",
            password=options.get("password") or "",
            connect_timeout=settings.connect_timeout_seconds,
            idle_in_transaction_session_timeout=settings.idle_in_transaction_timeout_seconds,
            pool_size=POOL,
            max_overflow=CONNECTIONS_MAX - POOL,
            schema=schema,
            originator_id_type="text",
        )
        assert isinstance(self.datastore.pool.kwargs, dict)
        self.datastore.pool.kwargs.update(options)

    def recorder(self) -> PostgresRecorder:
        """The one recorder of the store."""
        recorder = self.application_recorder()
        assert isinstance(recorder, PostgresRecorder)
        return recorder


class PostgresEventStore:
    """The event store port over one schema of a PostgreSQL database; see `EventStore`.

    One thread writes, one answers all waiting loads with one query, one answers the feed and everything else.
    """

    def __init__(self, dsn: str, *, schema: str = "public", settings: StoreSettings = StoreSettings()) -> None:  # noqa: B008
        if not SCHEMA_NAME.fullmatch(schema):
            raise ValueError(f"{schema!r} is no plain schema name")
        self.schema = schema
        self.settings = settings
        self.epoch = 0
        self._dsn = dsn
        self._ring = Ring(settings.ring_events)
        self._head = Head(self.head, settings.poll_seconds)
        self._writer: Batches[Append, Any] = Batches(
            f"{schema} writer", self._write, settings, before_answers=self._told
        )
        self._loader: Batches[Load, dict[str, list[Recorded]]] = Batches(f"{schema} loads", self._load, settings)
        self._asker: Batches[Query, Any] = Batches(f"{schema} queries", self._ask_all, settings)

    async def migrate(self) -> None:
        await asyncio.to_thread(self._migrate)

    def statements(self) -> list[str]:
        """The SQL that `migrate` runs, for whoever makes tables by hand. Asks no database."""
        factory = Factory(self._dsn, self.schema, self.settings)
        try:
            return factory.recorder().statements()
        finally:
            factory.close()

    async def open(self) -> None:
        await asyncio.to_thread(self._open)
        for worker in (self._writer, self._loader, self._asker):
            worker.start()
        self._head.rise(await self.head())

    async def close(self) -> None:
        await self._head.stop()
        for worker in (self._writer, self._loader, self._asker):
            await worker.stop()
        await asyncio.to_thread(self._factory.close)

    async def append(self, commit: Commit) -> list[Recorded]:
        recorded: list[Recorded] = await self._writer.do(Append(commit, to_stored(commit)))
        return recorded

    async def load(self, stream: str, after: int = 0) -> list[Recorded]:
        return (await self._loader.do({stream: after}))[stream]

    async def load_many(self, after: Mapping[str, int]) -> Mapping[str, list[Recorded]]:
        return await self._loader.do(after)

    async def feed(self, after: int, limit: int) -> Sequence[Recorded]:
        check_page(limit, self.settings)
        events = self._ring.after(after, limit)
        return (
            await self._asker.do(lambda connection: _read(connection, FEED, after, limit)) if events is None else events
        )

    async def head(self) -> int:
        return await self._number(HEAD)

    @property
    def known(self) -> int:
        return self._head.position

    def others(self) -> int | None:
        return None

    def on_the_way(self, stream: str) -> bool:
        """Not counted: nobody asks where `others` is not known."""
        return True

    def recent(self, after: int) -> Sequence[Recorded]:
        return self._ring.recent(after)

    async def wait_beyond(self, position: int, timeout: float) -> None:
        await self._head.wait_beyond(position, timeout)

    async def raise_epoch(self, read_to: int = 0) -> int:
        self.epoch = await self._number(RAISE_EPOCH, read_to // EPOCH_POSITIONS, EPOCH_POSITIONS, EPOCH_POSITIONS)
        return self.epoch

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        return await self._number(TAKE_LEASE, name, holder, seconds) == 1

    async def release_lease(self, name: str, holder: str) -> None:
        await self._asker.do(lambda connection: connection.execute(RELEASE_LEASE, (name, holder)))

    async def _number(self, statement: LiteralString, *values: Any) -> int:
        number: int = await self._asker.do(lambda connection: _number(connection, statement, *values))
        return number

    def _migrate(self) -> None:
        factory = Factory(self._dsn, self.schema, self.settings)
        try:
            factory.recorder().create_table()
        finally:
            factory.close()

    def _open(self) -> None:
        self._factory = Factory(self._dsn, self.schema, self.settings)
        self._recorder = self._factory.recorder()
        self._pool = self._factory.datastore.pool
        self._pool.open(wait=True, timeout=self.settings.connect_timeout_seconds)
        try:
            with self._pool.connection() as connection:
                self.epoch = _number(connection, EPOCH)
        except psycopg.errors.UndefinedTable as problem:
            self._factory.close()
            raise NotMigrated(f"schema {self.schema!r} holds no store: run `migrate` once") from problem

    def _write(self, batch: list[Append]) -> list[list[Recorded] | Conflict]:
        events = [append.events for append in batch]
        verdicts = self._persist(
            lambda connection, repeated: self._recorder.append_batch(connection, events, repeated=repeated)
        )
        return [recorded(append, verdict) for append, verdict in zip(batch, verdicts, strict=True)]

    def _load(self, wishes: list[Load]) -> list[dict[str, list[Recorded]]]:
        first: dict[str, int] = {}
        for stream, after in chain.from_iterable(wish.items() for wish in wishes):
            first[stream] = min(after, first.get(stream, after))
        found: dict[str, list[Recorded]] = {stream: [] for stream in first}
        for event in self._persist(lambda connection, _: _read(connection, STREAMS, list(first), list(first.values()))):
            found[event.stream].append(event)
        return [
            {stream: [event for event in found[stream] if event.version > after] for stream, after in wish.items()}
            for wish in wishes
        ]

    def _ask_all(self, queries: list[Query]) -> list[Any]:
        return [self._ask(query) for query in queries]

    def _ask(self, query: Query) -> Any:
        try:
            return self._persist(lambda connection, _: query(connection))
        except Exception as problem:  # noqa: BLE001  the answer of this query alone, not of its neighbours
            return problem

    def _persist(self, work: Callable[[Connection, bool], T]) -> T:
        """What `work` answers, tried again on another connection when the database went away; it learns that it is.

        Raises Busy when the database stays away.
        """
        lost: Exception | None = None
        for attempt in range(self.settings.attempts_max):
            try:
                with self._connected() as connection:
                    return work(connection, attempt > 0)
            except WENT_AWAY as problem:
                lost = problem
                self._pool.check()  # the others of the pool have probably gone too
                time.sleep(self.settings.attempt_pause_seconds)
        raise Busy("The event store does not answer.", retry_after_seconds=self.settings.retry_after_seconds) from lost

    @contextmanager
    def _connected(self) -> Iterator[Connection]:
        with self._pool.connection() as connection:
            try:
                yield connection
            except FORGOTTEN:
                connection.close()
                raise

    def _told(self, _: Sequence[Append], results: Sequence[Any]) -> None:
        publish(self._ring, self._head, results)


def _number(connection: Connection, statement: LiteralString, *values: Any) -> int:
    row = _cursor(connection).execute(statement, values, prepare=True).fetchone()
    return row[0] if row and row[0] is not None else 0


def _read(connection: Connection, statement: LiteralString, *values: Any) -> list[Recorded]:
    rows = connection.cursor(row_factory=tuple_row, binary=True).execute(statement, values, prepare=True).fetchall()
    return [to_recorded(*row) for row in rows]
