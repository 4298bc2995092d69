"""The desk in PostgreSQL, in the schema of the service's log: both are one backup, and its processes share no file."""

# ruff: noqa: S608  statements are put together from constants; values are always bound

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, LiteralString

from psycopg import AsyncConnection, sql
from psycopg.rows import tuple_row

from chassis.clock import Clock
from chassis.decider import NotFound
from chassis.desk.takeover import Found, left, take_over
from chassis.leaves.port import Leaves
from chassis.leaves.postgres import MADE as LEAVES_MADE
from chassis.leaves.postgres import TABLES as LEAVES_TABLES
from chassis.leaves.postgres import PostgresLeaves, PostgresSeeds, newest_epoch
from chassis.parking import (
    COLUMNS,
    DISCARDED,
    LIST_MAX,
    PARKED,
    REASON_CHARACTERS_MAX,
    REPLAY,
    SUBJECTS_MAX,
    Held,
    ParkedRow,
    Parking,
    ParkingFull,
    Place,
    parked_row,
    row_of,
)
from chassis.shadow_runs import Document, KeptRuns
from chassis.stops import Stop, Stops
from chassis.store.connections import Connection, Connections
from chassis.store.port import StoreSettings
from chassis.store.postgres import PATIENT, SCHEMA_NAME, connection_options, lock_key
from chassis.store.session import at_work
from chassis.transport.port import Message, Positions
from chassis.witness_key import Seeds

CONNECTIONS_MAX = 3
TABLES: tuple[LiteralString, ...] = (
    *LEAVES_TABLES,
    "CREATE TABLE IF NOT EXISTS positions (name text PRIMARY KEY, position bigint NOT NULL)",
    (
        'CREATE TABLE IF NOT EXISTS parked ("group" text COLLATE "C", topic text COLLATE "C", partition int, '
        '"offset" bigint, subject text COLLATE "C" NOT NULL, state text NOT NULL, reason text NOT NULL, '
        "headers text NOT NULL, body bytea NOT NULL, parked_at text NOT NULL, discard_proposed_by text, "
        'discarded_by text, PRIMARY KEY ("group", topic, partition, "offset"))'
    ),
    (
        'CREATE INDEX IF NOT EXISTS parked_open ON parked ("group", topic, subject, "offset") '
        "WHERE state IN ('parked', 'waiting', 'replay')"
    ),
    "CREATE TABLE IF NOT EXISTS stops (model text PRIMARY KEY, reason text NOT NULL, lane text NOT NULL, left_at text NOT NULL)",
    (
        'CREATE TABLE IF NOT EXISTS shadow_runs (tenant text, run_id text COLLATE "C", asked_as text, '
        'begun_at text COLLATE "C", body text NOT NULL, PRIMARY KEY (tenant, run_id))'
    ),
)
MADE = (*LEAVES_MADE, "positions", "parked", "parked_open", "stops", "shadow_runs")
"""What these make, in the schema."""
SET_POSITIONS = (
    "INSERT INTO positions SELECT * FROM unnest(%b::text[], %b::bigint[]) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)
RAISE_POSITION = (
    "INSERT INTO positions VALUES (%s, %s) "
    "ON CONFLICT (name) DO UPDATE SET position = greatest(positions.position, excluded.position)"
)
STOP = "INSERT INTO stops VALUES (%s, %s, %s, %s)"
NOTE_STOP = (
    f"{STOP} ON CONFLICT (model) "
    "DO UPDATE SET reason = excluded.reason, lane = excluded.lane, left_at = excluded.left_at"
)
RUN = "INSERT INTO shadow_runs VALUES (%s, %s, %s, %s, %s)"
KEEP_RUN = (
    f"{RUN} ON CONFLICT (tenant, run_id) "
    "DO UPDATE SET asked_as = excluded.asked_as, begun_at = excluded.begun_at, body = excluded.body"
)
LIST_RUNS = (
    "SELECT body FROM shadow_runs WHERE tenant = %s AND asked_as = %s AND (begun_at, run_id) < (%s, %s) "
    "ORDER BY begun_at DESC, run_id DESC LIMIT %s"
)
OPEN = "state IN ('parked', 'waiting', 'replay')"
OF_GROUP = '(%(group)s::text IS NULL OR "group" = %(group)s)'
RELEASED = f"state = '{PARKED}' AND {OF_GROUP} AND (%(subject)s::text IS NULL OR subject = %(subject)s)"
NAMES = (
    "(%(about)s::text IS NULL OR strpos(subject, %(about)s) > 0 OR strpos(headers, %(about)s) > 0 "
    "OR position(%(raw)b::bytea IN body) > 0)"
)
AT = '"group" = %s AND topic = %s AND partition = %s AND "offset" = %s'
HELD = (
    f'SELECT DISTINCT subject, 0, 0::bigint FROM parked WHERE "group" = %s AND topic = %s AND {OPEN} '
    "AND subject = ANY(%b::text[]) UNION ALL "
    'SELECT NULL, p.partition, p."offset" FROM unnest(%b::int[], %b::bigint[]) AS place (partition, "offset") '
    'JOIN parked AS p USING (partition, "offset") WHERE "group" = %s AND topic = %s'
)
LOCK = "SELECT pg_advisory_xact_lock(%s)"
SUBJECTS = f'SELECT count(DISTINCT subject) FROM parked WHERE "group" = %s AND topic = %s AND partition = %s AND {OPEN}'
PARK = f"INSERT INTO parked ({COLUMNS}) VALUES ({', '.join(['%s'] * 12)}) ON CONFLICT DO NOTHING"
RUNNABLE = (
    f'SELECT {COLUMNS} FROM parked AS p WHERE "group" = %s AND topic = %s AND {OPEN} AND NOT EXISTS '
    '(SELECT 1 FROM parked AS q WHERE q."group" = p."group" AND q.topic = p.topic AND q.subject = p.subject '
    f"AND q.state = '{PARKED}') ORDER BY subject, \"offset\" LIMIT %s"
)
SETTLE = f"UPDATE parked SET state = %s, reason = coalesce(nullif(%s, ''), reason) WHERE {AT} AND {OPEN}"
NOTE_DISCARD = (
    "UPDATE parked SET discard_proposed_by = %s, discarded_by = %s, "
    f"state = CASE WHEN %s::text IS NULL THEN state ELSE '{DISCARDED}' END WHERE {AT} AND {OPEN}"
)


class PostgresDesk:
    """See `chassis.desk.port.Desk`. Its connections, timeouts and healing are those of the store."""

    def __init__(
        self,
        dsn: str,
        *,
        schema: str,
        clock: Clock,
        settings: StoreSettings = StoreSettings(),  # noqa: B008
        subjects_max: int = SUBJECTS_MAX,
        before: Path | None = None,
    ) -> None:
        """`before` is the folder in which an older release may have left a desk in files."""
        if not SCHEMA_NAME.fullmatch(schema):
            raise ValueError(f"{schema!r} is no plain schema name")
        self.schema, self.settings, self._dsn, self._before = schema, settings, dsn, before
        self._connections = Connections(dsn, schema, settings, called="desk", most=CONNECTIONS_MAX)
        one_by_one = lock_key(f"{schema}.parked")
        self.positions: Positions = PostgresPositions(self._connections)
        self.parking: Parking = PostgresParking(self._connections, clock, subjects_max, one_by_one)
        self.stops: Stops = PostgresStops(self._connections)
        self.runs: KeptRuns = PostgresRuns(self._connections)
        self.seeds: Seeds | None = PostgresSeeds(self._connections)

    def statements(self) -> list[str]:
        """The SQL that `migrate` runs, for whoever makes tables by hand. Asks no database."""
        schema = sql.Identifier(self.schema)
        return [
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema).as_string(),
            sql.SQL("SET LOCAL search_path TO {}").format(schema).as_string(),
            *TABLES,
        ]

    async def migrate(self) -> None:
        """Makes the tables where one is missing, and takes over the desk of before. Raises InUse as `take_over` does.

        Processes that start together wait for each other.
        """
        await self._make_tables()
        if self._before and left(self._before, self.schema):
            await self.open()
            try:
                await take_over(self._before, self.schema, self._keep, self.leaves)
            finally:
                await self.close()

    async def _make_tables(self) -> None:
        async with await self._connected() as db:
            for timeout in PATIENT:
                await db.execute(timeout)
            await db.execute(LOCK, (lock_key(f"{self.schema}.desk"),))
            # Looked up first: making what is there still asks for the right to make it.
            names = [f"{self.schema}.{name}" for name in MADE]
            [(whole,)] = await _rows(
                db, "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS t (name)", names
            )
            for statement in () if whole else self.statements():
                await db.execute(statement.encode())

    async def _keep(self, found: Found) -> None:
        async with await self._connected() as db, db.cursor() as cursor:
            runs = [(*key, *_told(json.loads(body)), body) for *key, body in found.shadow_runs]
            await cursor.executemany(RAISE_POSITION, found.positions)
            await cursor.executemany(PARK, [tuple(map(_plain, row)) for row in found.parked])
            await cursor.executemany(f"{STOP} ON CONFLICT DO NOTHING", [tuple(map(_plain, row)) for row in found.stops])
            await cursor.executemany(f"{RUN} ON CONFLICT DO NOTHING", runs)

    async def _connected(self) -> AsyncConnection[tuple[Any, ...]]:
        """A connection for one transaction, which ends with it."""
        return await AsyncConnection.connect(**connection_options(self._dsn, self.schema, self.settings))

    def at_work(self, *, alone: bool) -> AbstractAsyncContextManager[None]:
        options, key = connection_options(self._dsn, self.schema, self.settings), lock_key(f"{self.schema}.at_work")
        return at_work(options, key, f"what {self.schema} keeps in PostgreSQL", alone=alone)

    async def open(self) -> None:
        await self._connections.open()

    async def close(self) -> None:
        await self._connections.close()

    def leaves(self, epoch: int) -> Leaves:
        origin, lock = f"entente/{self.schema}/{epoch}", lock_key(f"{self.schema}.witness")
        return PostgresLeaves(self._connections, origin=origin, epoch=epoch, lock=lock)

    async def newest_epoch(self) -> int:
        return await self._connections.persist(newest_epoch)


class PostgresPositions:
    """See `chassis.transport.port.Positions`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def get(self, name: str) -> int:
        query = "SELECT position FROM positions WHERE name = %s"
        rows = await self._connections.persist(lambda db: _rows(db, query, name))
        return int(rows[0][0]) if rows else 0

    async def set(self, name: str, position: int) -> None:
        await self.set_many({name: position})

    async def set_many(self, positions: Mapping[str, int]) -> None:
        columns = [list(positions), list(positions.values())]
        await self._connections.persist(lambda db: db.execute(SET_POSITIONS, columns))


class PostgresParking:
    """See `chassis.parking.Parking`."""

    def __init__(self, connections: Connections, clock: Clock, subjects_max: int, lock: int) -> None:
        self._connections, self._clock, self._subjects_max, self._lock = connections, clock, subjects_max, lock

    async def held(self, group: str, messages: Sequence[Message]) -> Held:
        if not messages:
            return Held()
        topic, subjects = messages[0].topic, {message.subject: _plain(message.subject) for message in messages}
        places = [[message.partition for message in messages], [message.offset for message in messages]]
        values = (group, topic, list(subjects.values()), *places, group, topic)
        rows = await self._connections.persist(lambda db: _rows(db, HELD, *values))
        names = {subject for subject, *_ in rows}
        return Held(
            subjects=frozenset(subject for subject, kept in subjects.items() if kept in names),
            places=frozenset((partition, offset) for subject, partition, offset in rows if subject is None),
        )

    async def park(self, group: str, messages: Sequence[tuple[Message, str]], reason: str) -> None:
        now = self._clock.now()
        rows = [(*map(_plain, row_of(group, message, state, reason, now)), None, None) for message, state in messages]
        await self._connections.persist(lambda db: self._park(db, rows))

    async def _park(self, db: Connection, rows: list[tuple[Any, ...]]) -> None:
        async with db.transaction():
            await db.execute(LOCK, (self._lock,))  # what is counted stays so until the rows are there
            [(standing,)] = await _rows(db, SUBJECTS, *rows[0][:3])
            if standing >= self._subjects_max and any(row[5] == PARKED for row in rows):
                raise ParkingFull(f"{standing} subjects are parked in partition {rows[0][2]} of {rows[0][1]}")
            await db.cursor().executemany(PARK, rows)

    async def runnable(self, group: str, topic: str, limit: int) -> list[ParkedRow]:
        rows = await self._connections.persist(lambda db: _rows(db, RUNNABLE, group, topic, limit))
        return [parked_row(row) for row in rows]

    async def settle(self, place: Place, state: str, reason: str = "") -> None:
        values = (state, _plain(reason[:REASON_CHARACTERS_MAX]), *_key(place))
        await self._connections.persist(lambda db: db.execute(SETTLE.encode(), values))

    async def count(self, group: str | None = None) -> int:
        query = f"SELECT count(*) FROM parked WHERE {OPEN} AND {OF_GROUP}"
        return await self._number(query, group=group)

    async def listed(
        self, *, everything: bool = False, about: str | None = None, limit: int = LIST_MAX
    ) -> list[ParkedRow]:
        where = f"{'true' if everything else OPEN} AND {NAMES}"
        query = f'SELECT {COLUMNS} FROM parked WHERE {where} ORDER BY "group", topic, subject, "offset" LIMIT %(limit)s'
        named = {"about": _plain(about), "raw": (about or "").encode(), "limit": limit}
        rows = await self._connections.persist(lambda db: _rows_named(db, query, named))
        return [parked_row(row) for row in rows]

    async def find(self, place: Place) -> ParkedRow:
        rows = await self._connections.persist(
            lambda db: _rows(db, f"SELECT {COLUMNS} FROM parked WHERE {AT}", *_key(place))
        )
        if not rows:
            raise NotFound(f"nothing is parked at {place}")
        return parked_row(rows[0])

    async def replay(self, *, group: str | None = None, subject: str | None = None) -> int:
        change = f"UPDATE parked SET state = '{REPLAY}' WHERE {RELEASED}"
        named = {"group": _plain(group), "subject": _plain(subject)}
        done = await self._connections.persist(lambda db: db.execute(change.encode(), named))
        return int(done.rowcount)

    async def parked(self, *, group: str | None = None, subject: str | None = None) -> int:
        return await self._number(f"SELECT count(*) FROM parked WHERE {RELEASED}", group=group, subject=subject)

    async def note_discard(self, place: Place, proposed_by: str | None, discarded_by: str | None) -> None:
        values = (proposed_by, discarded_by, discarded_by, *_key(place))
        await self._connections.persist(lambda db: db.execute(NOTE_DISCARD.encode(), values))

    async def _number(self, query: str, **named: str | None) -> int:
        values = {name: _plain(value) for name, value in named.items()}
        [(number,)] = await self._connections.persist(lambda db: _rows_named(db, query, values))
        return int(number)


class PostgresStops:
    """See `chassis.stops.Stops`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def note(self, stop: Stop) -> None:
        row = (stop.model, _plain(stop.reason), stop.lane, json.dumps(stop.left_at))
        await self._connections.persist(lambda db: db.execute(NOTE_STOP, row))

    async def noted(self) -> dict[str, Stop]:
        rows = await self._connections.persist(lambda db: _rows(db, "SELECT model, reason, lane, left_at FROM stops"))
        return {
            model: Stop(model=model, reason=reason, lane=lane, left_at=json.loads(left_at))
            for model, reason, lane, left_at in rows
        }


class PostgresRuns:
    """See `chassis.shadow_runs.KeptRuns`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def keep(self, tenant: str, run_id: str, body: Document) -> None:
        row = (tenant, run_id, *_told(body), json.dumps(body))
        await self._connections.persist(lambda db: db.execute(KEEP_RUN, row))

    async def kept(self, tenant: str, run_id: str) -> Document | None:
        query = "SELECT body FROM shadow_runs WHERE tenant = %s AND run_id = %s"
        rows = await self._connections.persist(lambda db: _rows(db, query, tenant, run_id))
        return json.loads(rows[0][0]) if rows else None

    async def listed(self, tenant: str, asked_as: str, before: Sequence[str], limit: int) -> list[Document]:
        rows = await self._connections.persist(lambda db: _rows(db, LIST_RUNS, tenant, asked_as, *before, limit))
        return [json.loads(body) for (body,) in rows]


def _key(place: Place) -> tuple[str, str, int, int]:
    return _plain(place.group), _plain(place.topic), place.partition, place.offset


def _told(run: Document) -> tuple[str | None, str | None]:
    """How a run was asked for, and when it began."""
    return run.get("asked_as"), run.get("begun_at")


def _plain(value: Any) -> Any:
    """The value without NUL, for which a text of PostgreSQL has no place."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


async def _rows(db: Connection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return await _rows_named(db, query, values)


async def _rows_named(db: Connection, query: str, values: Any) -> list[tuple[Any, ...]]:
    return await (await db.cursor(row_factory=tuple_row).execute(query.encode(), values)).fetchall()
