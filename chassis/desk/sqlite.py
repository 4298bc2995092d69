"""The desk in SQLite files, for the processes of one machine. Changes are flushed before they are answered."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeVar

from chassis.clock import Clock
from chassis.decider import NotFound
from chassis.leaves.port import Leaves
from chassis.leaves.sqlite import SqliteLeaves
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
from chassis.presence import at_work
from chassis.shadow_runs import Document, KeptRuns
from chassis.sqlite_file import open_flushed
from chassis.stops import Stop, Stops
from chassis.transport.port import Message, Positions
from chassis.witness_key import Seeds

T = TypeVar("T")
DESK_FILE = "desk.db"

TABLES = (
    "CREATE TABLE IF NOT EXISTS positions (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS parked (
        "group" TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
        subject TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
        parked_at TEXT NOT NULL, discard_proposed_by TEXT, discarded_by TEXT,
        PRIMARY KEY ("group", topic, partition, "offset"))""",
    """CREATE INDEX IF NOT EXISTS parked_open ON parked ("group", topic, subject, "offset")
        WHERE state IN ('parked', 'waiting', 'replay')""",
    """CREATE TABLE IF NOT EXISTS stops (
        model TEXT PRIMARY KEY, reason TEXT NOT NULL, lane TEXT NOT NULL, left_at TEXT NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS shadow_runs (
        tenant TEXT NOT NULL, run_id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant, run_id)) WITHOUT ROWID""",
)
SET_POSITION = (
    "INSERT INTO positions (name, position) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)
NOTE_STOP = "INSERT OR REPLACE INTO stops (model, reason, lane, left_at) VALUES (?, ?, ?, ?)"
KEEP_RUN = "INSERT OR REPLACE INTO shadow_runs (tenant, run_id, body) VALUES (?, ?, ?)"
LIST_RUNS = """SELECT body FROM shadow_runs
    WHERE tenant = :tenant AND body ->> 'asked_as' = :asked_as AND (body ->> 'begun_at', run_id) < (:begun_at, :run_id)
    ORDER BY body ->> 'begun_at' DESC, run_id DESC LIMIT :most"""
OPEN = "state IN ('parked', 'waiting', 'replay')"
RELEASED = f"""state = '{PARKED}' AND (? IS NULL OR "group" = ?) AND (? IS NULL OR subject = ?)"""
NAMES = "(instr(subject, ?) OR instr(headers, ?) OR instr(body, CAST(? AS BLOB)))"
AT = '"group" = ? AND topic = ? AND partition = ? AND "offset" = ?'
HELD_SUBJECTS = f"""SELECT DISTINCT subject FROM parked WHERE "group" = ? AND topic = ? AND {OPEN}
    AND subject IN"""  # noqa: S608 - constants only
HELD_PLACES = """SELECT p.partition, p."offset" FROM json_each(?) AS place CROSS JOIN parked AS p
    ON p."group" = ? AND p.topic = ? AND p.partition = place.value ->> 0 AND p."offset" = place.value ->> 1"""
ANY = 'SELECT 1 FROM parked WHERE "group" = ? AND topic = ? LIMIT 1'
PARK = f"INSERT OR IGNORE INTO parked ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"  # noqa: S608
BLOCKED = f"""SELECT 1 FROM parked AS q WHERE q."group" = p."group" AND q.topic = p.topic
    AND q.subject = p.subject AND q.state = '{PARKED}'"""  # noqa: S608 - constants only
RUNNABLE = f"""SELECT {COLUMNS} FROM parked AS p WHERE "group" = ? AND topic = ? AND {OPEN}
    AND NOT EXISTS ({BLOCKED}) ORDER BY subject, "offset" LIMIT ?"""  # noqa: S608 - constants only
SUBJECTS = f"""SELECT count(DISTINCT subject) FROM parked WHERE "group" = ? AND topic = ? AND partition = ?
    AND {OPEN}"""  # noqa: S608 - constants only


class SqliteDesk:
    """See `chassis.desk.port.Desk`."""

    def __init__(self, directory: Path, service: str, clock: Clock, *, subjects_max: int = SUBJECTS_MAX) -> None:
        self._directory, self._service = directory, service
        self._file = File(directory / DESK_FILE)
        self._leaves: list[SqliteLeaves] = []
        self.seeds: Seeds | None = None
        self.positions: Positions = SqlitePositions(self._file)
        self.parking: Parking = SqliteParking(self._file, clock, subjects_max)
        self.stops: Stops = SqliteStops(self._file)
        self.runs: KeptRuns = SqliteRuns(self._file)

    async def migrate(self) -> None:
        await self._file.write(lambda db: [db.execute(statement) for statement in TABLES])

    @asynccontextmanager
    async def at_work(self, *, alone: bool) -> AsyncIterator[None]:
        with at_work(self._directory, alone=alone):
            yield

    async def open(self) -> None:
        """Has nothing to open: the file is, when it is first needed."""

    async def close(self) -> None:
        for leaves in self._leaves:
            leaves.close()
        self._file.close()

    def leaves(self, epoch: int) -> Leaves:
        made = SqliteLeaves(leaves_file(self._directory, self._service, epoch), f"entente/{self._service}/{epoch}")
        self._leaves.append(made)
        return made

    async def newest_epoch(self) -> int:
        return max(epochs_kept(self._directory, self._service), default=0)


def leaves_file(directory: Path, service: str, epoch: int) -> Path:
    """Where the leaves of an epoch are."""
    return directory / f"{service}-witness-{epoch}.db"


def epochs_kept(directory: Path, service: str) -> list[int]:
    """The epochs of which leaves are kept in files, the oldest first."""
    kept = (path.stem.rpartition("-")[2] for path in directory.glob(f"{service}-witness-*.db"))
    return sorted(int(number) for number in kept if number.isdecimal())


class File:
    """The file and its two connections.

    Writes go through one thread with a connection of its own; short look-ups by key run on the caller's thread, because
    the hop to another thread costs more than the look-up.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="desk")
        self._writer: sqlite3.Connection | None = None
        self._reader: sqlite3.Connection | None = None

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Runs the change in one transaction; it is durable when this returns."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._write, change)

    def _write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        if self._writer is None:
            self._writer = open_flushed(self._path, "")
        with _transaction(self._writer) as connection:
            return change(connection)

    def look_up(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """Answers a short query at once. Only for look-ups by an index."""
        if self._reader is None:
            self._reader = open_flushed(self._path, "")
        return query(self._reader)

    def close(self) -> None:
        """Finishes what is being written and closes the file."""
        self._thread.shutdown(wait=True)
        for connection in (self._writer, self._reader):
            if connection is not None:
                connection.close()
        self._writer = self._reader = None


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class SqlitePositions:
    """See `chassis.transport.port.Positions`."""

    def __init__(self, file: File) -> None:
        self._file = file

    async def get(self, name: str) -> int:
        row = self._file.look_up(
            lambda db: db.execute("SELECT position FROM positions WHERE name = ?", (name,)).fetchone()
        )
        return int(row[0]) if row else 0

    async def set(self, name: str, position: int) -> None:
        await self.set_many({name: position})

    async def set_many(self, positions: Mapping[str, int]) -> None:
        rows = list(positions.items())
        await self._file.write(lambda db: db.executemany(SET_POSITION, rows))


class SqliteParking:
    """See `chassis.parking.Parking`."""

    def __init__(self, file: File, clock: Clock, subjects_max: int) -> None:
        self._file, self._clock, self._subjects_max = file, clock, subjects_max

    async def held(self, group: str, messages: Sequence[Message]) -> Held:
        if not messages:
            return Held()
        return self._file.look_up(lambda db: _held(db, group, messages))

    async def park(self, group: str, messages: Sequence[tuple[Message, str]], reason: str) -> None:
        now = self._clock.now()
        rows = [row_of(group, message, state, reason, now) for message, state in messages]
        await self._file.write(lambda db: self._park(db, rows))

    def _park(self, db: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        (standing,) = db.execute(SUBJECTS, rows[0][:3]).fetchone()
        if standing >= self._subjects_max and any(row[5] == PARKED for row in rows):
            raise ParkingFull(f"{standing} subjects are parked in partition {rows[0][2]} of {rows[0][1]}")
        db.executemany(PARK, rows)

    async def runnable(self, group: str, topic: str, limit: int) -> list[ParkedRow]:
        return self._file.look_up(lambda db: [parked_row(row) for row in db.execute(RUNNABLE, (group, topic, limit))])

    async def settle(self, place: Place, state: str, reason: str = "") -> None:
        change = f"UPDATE parked SET state = ?, reason = coalesce(nullif(?, ''), reason) WHERE {AT} AND {OPEN}"  # noqa: S608
        await self._file.write(
            lambda db: db.execute(change, (state, reason[:REASON_CHARACTERS_MAX], *_key(place))).rowcount
        )

    async def count(self, group: str | None = None) -> int:
        query = f'SELECT count(*) FROM parked WHERE {OPEN} AND (? IS NULL OR "group" = ?)'  # noqa: S608
        return self._file.look_up(lambda db: int(db.execute(query, (group, group)).fetchone()[0]))

    async def listed(
        self, *, everything: bool = False, about: str | None = None, limit: int = LIST_MAX
    ) -> list[ParkedRow]:
        where = f"{'1' if everything else OPEN} AND (? IS NULL OR {NAMES})"
        query = f'SELECT {COLUMNS} FROM parked WHERE {where} ORDER BY "group", topic, subject, "offset" LIMIT ?'  # noqa: S608
        values = (about, about, about, about, limit)
        return self._file.look_up(lambda db: [parked_row(row) for row in db.execute(query, values)])

    async def find(self, place: Place) -> ParkedRow:
        row = self._file.look_up(
            lambda db: db.execute(f"SELECT {COLUMNS} FROM parked WHERE {AT}", _key(place)).fetchone()  # noqa: S608
        )
        if row is None:
            raise NotFound(f"nothing is parked at {place}")
        return parked_row(row)

    async def replay(self, *, group: str | None = None, subject: str | None = None) -> int:
        change = f"UPDATE parked SET state = '{REPLAY}' WHERE {RELEASED}"  # noqa: S608 - constants only
        return await self._file.write(lambda db: db.execute(change, (group, group, subject, subject)).rowcount)

    async def parked(self, *, group: str | None = None, subject: str | None = None) -> int:
        query = f"SELECT count(*) FROM parked WHERE {RELEASED}"  # noqa: S608 - constants only
        return self._file.look_up(lambda db: int(db.execute(query, (group, group, subject, subject)).fetchone()[0]))

    async def note_discard(self, place: Place, proposed_by: str | None, discarded_by: str | None) -> None:
        change = f"""UPDATE parked SET discard_proposed_by = ?, discarded_by = ?,
            state = CASE WHEN ? IS NULL THEN state ELSE '{DISCARDED}' END WHERE {AT} AND {OPEN}"""  # noqa: S608
        values = (proposed_by, discarded_by, discarded_by, *_key(place))
        await self._file.write(lambda db: db.execute(change, values).rowcount)


class SqliteStops:
    """See `chassis.stops.Stops`."""

    def __init__(self, file: File) -> None:
        self._file = file

    async def note(self, stop: Stop) -> None:
        row = (stop.model, stop.reason, stop.lane, json.dumps(stop.left_at))
        await self._file.write(lambda db: db.execute(NOTE_STOP, row))

    async def noted(self) -> dict[str, Stop]:
        rows = self._file.look_up(lambda db: db.execute("SELECT model, reason, lane, left_at FROM stops").fetchall())
        return {
            model: Stop(model=model, reason=reason, lane=lane, left_at=json.loads(left_at))
            for model, reason, lane, left_at in rows
        }


class SqliteRuns:
    """See `chassis.shadow_runs.KeptRuns`."""

    def __init__(self, file: File) -> None:
        self._file = file

    async def keep(self, tenant: str, run_id: str, body: Document) -> None:
        await self._file.write(lambda db: db.execute(KEEP_RUN, (tenant, run_id, json.dumps(body))))

    async def kept(self, tenant: str, run_id: str) -> Document | None:
        query = "SELECT body FROM shadow_runs WHERE tenant = ? AND run_id = ?"
        row = self._file.look_up(lambda db: db.execute(query, (tenant, run_id)).fetchone())
        return json.loads(row[0]) if row else None

    async def listed(self, tenant: str, asked_as: str, before: Sequence[str], limit: int) -> list[Document]:
        begun_at, run_id = before
        where = {"tenant": tenant, "asked_as": asked_as, "begun_at": begun_at, "run_id": run_id, "most": limit}
        rows = self._file.look_up(lambda db: db.execute(LIST_RUNS, where).fetchall())
        return [json.loads(row[0]) for row in rows]


def _key(place: Place) -> tuple[str, str, int, int]:
    return place.group, place.topic, place.partition, place.offset


def _held(db: sqlite3.Connection, group: str, messages: Sequence[Message]) -> Held:
    topic = messages[0].topic
    if db.execute(ANY, (group, topic)).fetchone() is None:
        return Held()
    subjects = {message.subject for message in messages}
    of_subjects = f"{HELD_SUBJECTS} ({', '.join('?' * len(subjects))})"
    places = json.dumps([(message.partition, message.offset) for message in messages])
    return Held(
        subjects=frozenset(row[0] for row in db.execute(of_subjects, (group, topic, *subjects))),
        places=frozenset((row[0], row[1]) for row in db.execute(HELD_PLACES, (places, group, topic))),
    )
