"""The event store in one SQLite file: WAL, every commit flushed (`synchronous=FULL`), positions never used twice.

The library's recorder and datastore are the base. Ours adds explicit positions, the batch append and the feed; one
thread writes, and the loop reads on a connection of its own, which takes microseconds.
"""

import json
import re
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteDatastore,
    SQLiteFactory,
)

from chassis.decider import Busy
from chassis.sqlite_file import insert
from chassis.store.batch import Append, Verdict, check_page, conflicts_of, publish, recorded
from chassis.store.group_commit import Batches
from chassis.store.mapping import to_recorded, to_stored
from chassis.store.port import EPOCH_POSITIONS, Commit, Conflict, NotMigrated, Recorded, StoreSettings
from chassis.store.ring import Head, Ring
from chassis.wal_index import Others

TABLES = """
CREATE TABLE IF NOT EXISTS stored_events (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    originator_id TEXT NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (originator_id, originator_version)
);
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO meta VALUES ('epoch', 1);
CREATE TABLE IF NOT EXISTS leases (name TEXT PRIMARY KEY, holder TEXT NOT NULL, until REAL NOT NULL) WITHOUT ROWID
"""
TABLE_NAMES = tuple(re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", TABLES))
INSERT = "INSERT INTO stored_events (originator_id, originator_version, topic, state) VALUES (?,?,?,?)"
INSERT_AT_ONCE = {rows: f"{INSERT}{', (?,?,?,?)' * (rows - 1)} RETURNING position" for rows in (1, 2, 3, 4)}
"""By the number of rows: most commands record two, and a row that is returned costs as much as a small statement."""
IS_TAKEN = "SELECT 1 FROM stored_events WHERE originator_id = ? AND originator_version = ?"
HEAD = "SELECT MAX(position) FROM stored_events"
LAST_GIVEN = "SELECT seq FROM sqlite_sequence WHERE name = 'stored_events'"
"""The highest position ever given, which a table emptied by hand would no longer show."""
STREAM = (
    "SELECT position, originator_id, originator_version, topic, state FROM stored_events "
    "WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version"
)
STREAMS = (
    "SELECT position, originator_id, originator_version, topic, state FROM json_each(?) AS wanted "
    "CROSS JOIN stored_events ON originator_id = wanted.value ->> 0 AND originator_version > wanted.value ->> 1 "
    "ORDER BY wanted.id, originator_version"
)
FEED = (
    "SELECT position, originator_id, originator_version, topic, state FROM stored_events "
    "WHERE position > ? ORDER BY position LIMIT ?"
)
NOTIFICATIONS = (
    "SELECT * FROM stored_events WHERE position BETWEEN ? AND ? "
    "AND (? = '[]' OR topic IN (SELECT value FROM json_each(?))) ORDER BY position LIMIT ?"
)
WAL_PAGES = 2_000
"""Pages before SQLite copies the WAL into the file. Every commit writes the last pages of table and index anew: they are copied
once for many. Not more of them, as a commit also flushes the WAL's new length until it was that long once: twice the time."""
POSITION_MAX = 2**63 - 1
MADE = f"SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ({', '.join('?' * len(TABLE_NAMES))})"  # noqa: S608
EPOCH = "SELECT value FROM meta WHERE name = 'epoch'"
RAISE_EPOCH = (
    "UPDATE meta SET value = max(value, :read_to / :positions) + 1 WHERE name = 'epoch'",
    "DELETE FROM sqlite_sequence WHERE name = 'stored_events'",
    "INSERT INTO sqlite_sequence SELECT 'stored_events', value * :positions FROM meta WHERE name = 'epoch'",
)
TAKE_LEASE = (
    "INSERT INTO leases VALUES (:name, :holder, :now + :seconds) ON CONFLICT (name) DO UPDATE "
    "SET holder = :holder, until = :now + :seconds WHERE holder = :holder OR until < :now RETURNING holder"
)
RELEASE_LEASE = "DELETE FROM leases WHERE name = ? AND holder = ?"


Noted = AbstractContextManager[None]
"""Entered while the writer holds the file for itself, left once it has committed."""
Row = tuple[UUID | str, int, str, bytes]


class FlushedPool(SQLiteConnectionPool):
    """Connections that flush every commit; the library leaves `synchronous` to how SQLite was compiled."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        connection.cursor().execute("PRAGMA synchronous=FULL")
        connection.cursor().execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES}")
        return connection


class SqliteDatastore(SQLiteDatastore):
    """The library's datastore with flushed connections and text stream names."""

    def __init__(self, db_name: str, *, lock_timeout: int) -> None:
        super().__init__(db_name, lock_timeout=lock_timeout, originator_id_type="text")
        self.pool = FlushedPool(db_name=db_name, lock_timeout=lock_timeout)

    def connect(self) -> sqlite3.Connection:
        """A plain connection that the caller keeps and closes."""
        connection = self.pool._create_connection()._sqlite_conn  # noqa: SLF001  the library has no public way to it
        connection.row_factory = None
        return connection


class SqliteRecorder(SQLiteApplicationRecorder):
    """The library's recorder over our table, whose `position` is an AUTOINCREMENT key: no position is used twice."""

    def __init__(self, datastore: SQLiteDatastore) -> None:
        super().__init__(datastore)
        self.insert_events_statement = INSERT
        self.select_max_notification_id_statement = HEAD

    def construct_create_table_statements(self) -> list[str]:
        return TABLES.split(";")

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """The library's notification log over our column; it reads a `rowid` that our table does not name."""
        first = (start or 0) + (0 if inclusive_of_start else 1)
        wanted = json.dumps(list(topics))
        with self.datastore.transaction(commit=False) as c:
            c.execute(NOTIFICATIONS, (first, POSITION_MAX if stop is None else stop, wanted, wanted, limit))
            return [self._notification(row) for row in c.fetchall()]

    def _notification(self, row: sqlite3.Row) -> Notification:
        return Notification(
            originator_id=self.convert_originator_id(row["originator_id"]),
            originator_version=row["originator_version"],
            topic=row["topic"],
            state=row["state"],
            id=row["position"],
        )

    def append_batch(
        self, connection: sqlite3.Connection, batch: list[list[StoredEvent]], noted: Noted | None = None
    ) -> list[Verdict]:
        """Records each commit of the batch whose versions are free, all in one flushed transaction.

        Most batches hold no conflict and are tried as a whole; only one that failed is sorted out commit by commit.
        """
        noted = noted or nullcontext()
        try:
            if sum(map(len, batch)) in INSERT_AT_ONCE:
                return self._insert_at_once(connection, batch, noted)
            return self._in_transaction(connection, batch, noted, [None] * len(batch))
        except sqlite3.IntegrityError:
            return self._in_transaction(connection, batch, noted)

    def _insert_at_once(
        self, connection: sqlite3.Connection, batch: list[list[StoredEvent]], noted: Noted
    ) -> list[Verdict]:
        """One statement begins, inserts and commits: each further one would wait for another turn of the interpreter.

        Its first step inserts and holds the file, its last one commits (https://www.sqlite.org/lang_returning.html, 3).
        """
        rows = [row for events in batch for row in map(_row, events)]
        inserted = connection.execute(INSERT_AT_ONCE[len(rows)], list(chain.from_iterable(rows)))
        with noted:
            positions = iter(sorted(position for (position,) in inserted.fetchall()))
        return [[next(positions) for _ in events] for events in batch]

    def _in_transaction(
        self,
        connection: sqlite3.Connection,
        batch: list[list[StoredEvent]],
        noted: Noted,
        conflicts: Sequence[Conflict | None] | None = None,
    ) -> list[Verdict]:
        """Looks for the conflicts where they are not given."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            known = conflicts_of(batch, partial(self._is_taken, connection)) if conflicts is None else conflicts
            verdicts = self._insert(connection, batch, known)
            with noted if any(isinstance(one, list) for one in verdicts) else nullcontext():
                connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return verdicts

    def _insert(
        self, connection: sqlite3.Connection, batch: list[list[StoredEvent]], conflicts: Sequence[Conflict | None]
    ) -> list[Verdict]:
        position = self.last_position(connection)
        rows: list[tuple[int, *Row]] = []
        verdicts: list[Verdict] = []
        for events, conflict in zip(batch, conflicts, strict=True):
            if conflict is not None:
                verdicts.append(conflict)
                continue
            verdicts.append(list(range(position + 1, position + 1 + len(events))))
            for event in events:
                position += 1
                rows.append((position, *_row(event)))
        insert(connection, "stored_events", rows)
        return verdicts

    def _is_taken(self, connection: sqlite3.Connection, stream: str, version: int) -> bool:
        return connection.execute(IS_TAKEN, (stream, version)).fetchone() is not None

    def last_position(self, connection: sqlite3.Connection) -> int:
        """The highest position given so far; 0 for a new store."""
        row = connection.execute(LAST_GIVEN).fetchone()
        return 0 if row is None else row[0]


def _row(event: StoredEvent) -> Row:
    return event.originator_id, event.originator_version, event.topic, event.state


class SqliteFactory(SQLiteFactory):
    """The library's factory, set up to give our datastore and recorder."""

    application_recorder_class: type[SQLiteApplicationRecorder] = SqliteRecorder

    def __init__(self, path: str | Path, settings: StoreSettings) -> None:
        super().__init__({self.SQLITE_DBNAME: str(path), self.ORIGINATOR_ID_TYPE: "text", self.CREATE_TABLE: "no"})
        self._busy_timeout_ms = round(settings.busy_timeout_seconds * 1_000)
        self.datastore.close()
        self.datastore: SqliteDatastore = SqliteDatastore(str(path), lock_timeout=round(settings.busy_timeout_seconds))

    def recorder(self) -> SqliteRecorder:
        """The one recorder of the store."""
        recorder: ApplicationRecorder = self.application_recorder()
        assert isinstance(recorder, SqliteRecorder)
        return recorder

    def connect(self) -> sqlite3.Connection:
        """A connection that the caller keeps and closes."""
        connection: sqlite3.Connection = self.datastore.connect()
        # The library counts in whole seconds, and takes none for five.
        connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        return connection


Job = Callable[[sqlite3.Connection], Any]
"""A small write beside the log, for the writer's thread."""


class SqliteEventStore:
    """The event store port over one SQLite file; see `EventStore`."""

    def __init__(self, path: str | Path, *, settings: StoreSettings = StoreSettings()) -> None:  # noqa: B008  frozen
        self.path = Path(path)
        self.settings = settings
        self.epoch = 0
        self._ring = Ring(settings.ring_events)
        self._head = Head(self.head, settings.poll_seconds)
        self._on_the_way: dict[str, int] = {}
        self._writer: Batches[Append | Job, Any] = Batches(
            f"writer of {self.path.name}", self._write, settings, before_answers=self._told
        )

    async def migrate(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        factory = SqliteFactory(self.path, self.settings)
        # Looked for first: making them takes the turn of the one writer, who may be another process and busy.
        if not _is_whole(factory):
            factory.recorder().create_table()
        factory.close()

    async def open(self) -> None:
        if not self.path.exists():
            raise NotMigrated(f"there is no store at {self.path}: run `migrate` once")
        self._factory = SqliteFactory(self.path, self.settings)
        self._recorder = self._factory.recorder()
        self._reading = self._factory.connect()
        self._writing = self._factory.connect()
        self._others = Others(self.path)
        try:
            self.epoch = self._one(EPOCH)
        except sqlite3.OperationalError as problem:
            self._let_go()
            raise NotMigrated(f"the store at {self.path} has no tables: run `migrate` once") from problem
        self._head.rise(await self.head())
        self._writer.start()

    async def close(self) -> None:
        await self._writer.stop()
        await self._head.stop()
        self._let_go()

    async def append(self, commit: Commit) -> list[Recorded]:
        append = Append(commit, to_stored(commit))
        recorded: list[Recorded] = await self._writer.do(append, self._sent)
        return recorded

    async def load(self, stream: str, after: int = 0) -> list[Recorded]:
        return self._read(STREAM, stream, after)

    async def load_many(self, after: Mapping[str, int]) -> Mapping[str, list[Recorded]]:
        found: dict[str, list[Recorded]] = {stream: [] for stream in after}
        for event in self._read(STREAMS, orjson.dumps(list(after.items())).decode()):
            found[event.stream].append(event)
        return found

    async def feed(self, after: int, limit: int) -> Sequence[Recorded]:
        check_page(limit, self.settings)
        events = self._ring.after(after, limit)
        return self._read(FEED, after, limit) if events is None else events

    async def head(self) -> int:
        return self._one(HEAD)

    @property
    def known(self) -> int:
        return self._head.position

    def others(self) -> int | None:
        return self._others.seen()

    def on_the_way(self, stream: str) -> bool:
        return stream in self._on_the_way

    def recent(self, after: int) -> Sequence[Recorded]:
        return self._ring.recent(after)

    async def wait_beyond(self, position: int, timeout: float) -> None:
        await self._head.wait_beyond(position, timeout)

    async def raise_epoch(self, read_to: int = 0) -> int:
        await self._writer.do(lambda connection: _raise_epoch(connection, read_to))
        self.epoch = self._one(EPOCH)
        return self.epoch

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool:
        wish = {"name": name, "holder": holder, "seconds": seconds, "now": time.time()}
        taken = await self._writer.do(lambda connection: connection.execute(TAKE_LEASE, wish).fetchone())
        return taken is not None

    async def release_lease(self, name: str, holder: str) -> None:
        await self._writer.do(lambda connection: connection.execute(RELEASE_LEASE, (name, holder)))

    def _let_go(self) -> None:
        self._reading.close()
        self._writing.close()
        self._factory.close()
        self._others.close()

    def _one(self, statement: str, *values: Any) -> int:
        row = self._reading.execute(statement, values).fetchone()
        return row[0] if row and row[0] is not None else 0

    def _read(self, statement: str, *values: Any) -> list[Recorded]:
        return [to_recorded(*row) for row in self._reading.execute(statement, values)]

    def _write(self, items: list[Append | Job]) -> list[Any]:
        batch = [item for item in items if isinstance(item, Append)]
        try:
            verdicts = iter(self._append(batch) if batch else ())
            return [next(verdicts) if isinstance(item, Append) else self._do(item) for item in items]
        except sqlite3.OperationalError as problem:
            raise Busy(f"The event store cannot write now: {problem}.") from problem

    def _do(self, job: Job) -> Any:
        try:
            return job(self._writing)
        finally:
            self._others.start_anew()

    def _append(self, batch: list[Append]) -> list[list[Recorded] | Conflict]:
        events = [append.events for append in batch]
        verdicts = self._recorder.append_batch(self._writing, events, self._others)
        return [recorded(append, verdict) for append, verdict in zip(batch, verdicts, strict=True)]

    def _sent(self, item: Append | Job) -> None:
        """A commit can be read from the file before the loop is told of it, and may be acted on."""
        for stream in _streams_of(item):
            self._on_the_way[stream] = self._on_the_way.get(stream, 0) + 1

    def _told(self, items: Sequence[Append | Job], results: Sequence[Any]) -> None:
        publish(self._ring, self._head, results)
        for stream in chain.from_iterable(map(_streams_of, items)):
            self._on_the_way[stream] -= 1
            if not self._on_the_way[stream]:
                del self._on_the_way[stream]


def _streams_of(item: Append | Job) -> list[str]:
    return [event.stream for event in item.commit.events] if isinstance(item, Append) else []


def _raise_epoch(connection: sqlite3.Connection, read_to: int) -> None:
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in RAISE_EPOCH:
            connection.execute(statement, {"positions": EPOCH_POSITIONS, "read_to": read_to})


def _is_whole(factory: SqliteFactory) -> bool:
    """Whether every table of this release, and the store's epoch, is there."""
    with closing(factory.connect()) as connection:
        made = connection.execute(MADE, TABLE_NAMES).fetchall()
        return len(made) == len(TABLE_NAMES) and connection.execute(EPOCH).fetchone() is not None
