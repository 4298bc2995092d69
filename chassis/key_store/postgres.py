"""The key store in a PostgreSQL database of its own, so that the processes of a service need no machine in common.

A call asks the database where SQLite asks a file: what another process forgot is forgotten here at the next call. The calls
that one turn of the event loop makes share the question whether anybody was forgotten, for no turn sees what came after it.
"""

import asyncio
import hashlib
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from chassis.backup import NotEmpty
from chassis.decider import Busy
from chassis.key_store.line import ANSWER_SECONDS, Connection, Line
from chassis.key_store.port import SEAL, Slot, Wrap
from chassis.key_store.sqlite import SCHEMA as OF_COPIES
from chassis.presence import InUse
from chassis.settings import WrongSetting, variable
from chassis.store.port import NotMigrated, StoreSettings
from chassis.store.postgres import PATIENT, SCHEMA_NAME, connection_options, lock_key
from chassis.supervision import end_process

LONG_SECONDS = 300.0
"""For what is done with nobody waiting: tables made, all keys copied or wrapped anew."""
PAGE_ROWS = 1_000
LIMITS = replace(
    StoreSettings(),
    connect_timeout_seconds=2,
    statement_timeout_seconds=ANSWER_SECONDS,
    lock_timeout_seconds=ANSWER_SECONDS,
)
GONE = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""After so long the server lets go of what a machine held that is no more."""

# A key that was destroyed stays in its page until the table is vacuumed, so that is done as soon as there is one.
TABLES: tuple[LiteralString, ...] = (
    (
        "CREATE TABLE IF NOT EXISTS data_key ("
        "tenant text, purpose text, subject text, wrapped bytea NOT NULL, PRIMARY KEY (tenant, purpose, subject)"
        ") WITH (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0)"
    ),
    "CREATE TABLE IF NOT EXISTS forgotten (tenant text, subject text, cause text, PRIMARY KEY (tenant, subject, cause))",
    (
        "CREATE TABLE IF NOT EXISTS state ("
        "only_one boolean PRIMARY KEY CHECK (only_one), destroyed bigint NOT NULL, renewed bigint NOT NULL, "
        "followed bigint NOT NULL, master text, taken_over text)"
    ),
    "INSERT INTO state VALUES (true, 0, 0, 0, NULL, NULL) ON CONFLICT DO NOTHING",
)
OWN_TABLES = ("data_key", "forgotten", "state")
IS_WHOLE = "SELECT bool_and(to_regclass(name) IS NOT NULL) FROM unnest(%s::text[]) AS t (name)"
LOG_HERE = (
    "SELECT schemaname || '.' || tablename FROM pg_catalog.pg_tables "
    "WHERE tablename = 'stored_events' OR (tablename = 'models' AND right(schemaname, 5) = '_read') LIMIT 1"
)
HERE_TOO, ALONE = "SELECT pg_try_advisory_lock_shared(%s)", "SELECT pg_advisory_xact_lock(%s)"
LOCK_KEYS = "LOCK TABLE data_key IN SHARE ROW EXCLUSIVE MODE"

READ = "SELECT wrapped FROM data_key WHERE (tenant, purpose, subject) = (%s, %s, %s)"
# Not by whoever still holds a master key that has been replaced.
CREATE = (
    "INSERT INTO data_key SELECT %s, %s, %s, %s FROM state WHERE renewed = %s ON CONFLICT DO NOTHING RETURNING wrapped"
)
REMEMBER = "INSERT INTO forgotten VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
DESTROY = "DELETE FROM data_key WHERE (tenant, purpose, subject) = (%s, %s, %s)"
ONE = "SELECT tenant, purpose, subject, wrapped FROM data_key LIMIT 1"
ALL = "SELECT tenant, purpose, subject, wrapped FROM data_key"
FORGOTTEN = "SELECT tenant, subject, cause FROM forgotten"
WRAP_ANEW = "UPDATE data_key SET wrapped = %s WHERE (tenant, purpose, subject) = (%s, %s, %s)"
FILLED = (
    "UPDATE state SET destroyed = destroyed + 1, renewed = renewed + 1, followed = %s, master = %s, "
    "taken_over = coalesce(%s, taken_over)"
)


class NotReached(Exception):
    """The database of the keys does not answer."""


class HeldAlone(psycopg.OperationalError):
    """Another process has the keys for itself: no connection is made until it lets go of them."""


class PostgresKeyStore:
    """See `chassis.key_store.port.KeyStore`: one schema of a database that holds no log and no read model."""

    def __init__(self, dsn: str, *, schema: str) -> None:
        if not SCHEMA_NAME.fullmatch(schema):
            raise ValueError(f"{schema!r} is no plain schema name")
        self.schema = schema
        options = connection_options(dsn, schema, LIMITS)
        self._options = {**options, "options": f"{options['options']} {GONE}"}
        self._at_work = lock_key(f"{schema}.at_work")
        self._line = Line(f"{schema} keys", self._connect)
        self._destroyed = 0
        self._renewed: int | None = None
        self._asked_in: asyncio.AbstractEventLoop | None = None

    def _connect(self) -> Connection:
        """A connection that says, as long as it lasts, that somebody works with these keys."""
        connection = psycopg.connect(**self._options, autocommit=True, row_factory=tuple_row)
        try:
            if not _one(connection, HERE_TOO, self._at_work):
                raise HeldAlone(self._in_use())
            if self._renewed is not None and self._renewed != _one(connection, "SELECT renewed FROM state"):
                end_process("keys_renewed_meanwhile", on=self.schema, holding="the old master key")
        except psycopg.Error:
            connection.close()
            raise
        return connection

    def _in_use(self) -> str:
        return f"another process works with the keys in {self.schema}: stop it first, then try again"

    def migrate(self) -> None:
        self._begin(self._make_tables)

    def open(self) -> None:
        self._begin(self._look)

    def _begin(self, work: Any) -> None:
        try:
            self._line.ask(work, LONG_SECONDS)
        except Busy as no:
            if isinstance(no.__cause__, HeldAlone):
                raise InUse(self._in_use()) from None
            raise NotReached(str(no.__cause__)) from no

    def _make_tables(self, db: Connection) -> None:
        _must_hold_no_log(db)
        with db.transaction():
            _be_patient(db)
            db.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key(self.schema),))
            if not _one(db, IS_WHOLE, [f"{self.schema}.{table}" for table in OWN_TABLES]):
                for statement in self.statements():
                    db.execute(statement.encode())

    def statements(self) -> list[str]:
        """The SQL that `migrate` runs, for whoever makes tables by hand. Asks no database."""
        schema = sql.Identifier(self.schema)
        return [
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema).as_string(),
            sql.SQL("SET LOCAL search_path TO {}").format(schema).as_string(),
            *TABLES,
        ]

    def _look(self, db: Connection) -> None:
        _must_hold_no_log(db)
        try:
            found = db.execute("SELECT destroyed, renewed FROM state").fetchone()
        except psycopg.errors.UndefinedTable:
            raise NotMigrated(f"schema {self.schema!r} holds no keys: run `migrate` once") from None
        assert found is not None, "the tables are made with their one row"
        self._destroyed, self._renewed = found

    def answers(self) -> bool:
        return self._line.answers()

    def changed(self) -> bool:
        loop = _running_loop()
        if loop is not None and self._asked_in is loop:
            return False
        before, self._destroyed = self._destroyed, self._line.ask(lambda db: _one(db, "SELECT destroyed FROM state"))
        if loop is not None:
            self._asked_in = loop
            loop.call_soon(self._turned)
        return before != self._destroyed

    def _turned(self) -> None:
        self._asked_in = None

    def read(self, slot: Slot) -> bytes | None:
        return self._line.ask(lambda db: _wrapped(db, slot))

    def create(self, slot: Slot, wrapped: bytes) -> bytes | None:
        def make(db: Connection) -> bytes | None:
            made: bytes | None = _one(db, CREATE, *slot, wrapped, self._renewed)
            return made or _wrapped(db, slot)

        return self._line.ask(make)

    def destroy(self, tenant: str, subject: str, cause: str | None) -> None:
        def forget(db: Connection) -> None:
            with db.transaction():
                known = cause is not None and not db.execute(REMEMBER, (tenant, subject, cause)).rowcount
                if not known and db.execute(DESTROY, (tenant, SEAL, subject)).rowcount:
                    db.execute("UPDATE state SET destroyed = destroyed + 1")

        self._line.ask(forget)

    def followed(self) -> int:
        position: int = self._line.ask(lambda db: _one(db, "SELECT followed FROM state"))
        return position

    def follow(self, position: int) -> None:
        self._line.ask(lambda db: db.execute("UPDATE state SET followed = %s", (position,)))

    def master(self) -> str | None:
        wrapped: str | None = self._line.ask(lambda db: _one(db, "SELECT master FROM state"))
        return wrapped

    def keep_master(self, wrapped: str) -> str:
        self._line.ask(lambda db: db.execute("UPDATE state SET master = %s WHERE master IS NULL", (wrapped,)))
        return self.master() or wrapped

    def replace_master(self, old: str, new: str) -> None:
        self._line.ask(lambda db: db.execute("UPDATE state SET master = %s WHERE master = %s", (new, old)))

    def one(self) -> tuple[Slot, bytes] | None:
        found = self._line.ask(lambda db: db.execute(ONE).fetchone())
        return ((found[0], found[1], found[2]), found[3]) if found else None

    def renew(self, again: Wrap, master: str) -> int:
        def wrap(db: Connection) -> int:
            with db.transaction():
                self._be_alone(db)
                rows = db.execute(ALL).fetchall()
                db.cursor().executemany(WRAP_ANEW, [(again(row[:3], row[3]), *row[:3]) for row in rows])
                self._renewed = _one(
                    db, "UPDATE state SET master = %s, renewed = renewed + 1 RETURNING renewed", master
                )
            return len(rows)

        return self._line.ask(wrap, LONG_SECONDS)

    def _be_alone(self, db: Connection) -> None:
        _be_patient(db)
        try:
            db.execute("SET LOCAL lock_timeout = '1s'")  # the server lets go a moment after a process has stopped
            db.execute(ALONE, (self._at_work,))
            db.execute(LOCK_KEYS)
        except psycopg.errors.LockNotAvailable:
            raise InUse(self._in_use()) from None

    def copy_to(self, draft: Path) -> None:
        """Writes the keys of one moment into an empty file, in the form that every copy has."""
        self._line.ask(lambda db: _copy(db, draft), LONG_SECONDS)

    def bring_in(self, copy: Path, *, once: bool = False) -> bool:
        """Puts the keys of a copy where there are none; whether it did. With `once`, the same ones again are nothing.

        Raises InUse while anybody else works with them, and NotEmpty where keys are.
        """
        return self._line.ask(lambda db: self._fill(db, copy, once=once), LONG_SECONDS)

    def _fill(self, db: Connection, copy: Path, *, once: bool) -> bool:
        with db.transaction(), closing(sqlite3.connect(copy)) as given:
            self._be_alone(db)
            these = _print_of(given) if once else None
            if these and these == _one(db, "SELECT taken_over FROM state"):
                return False
            if _one(db, "SELECT count(*) FROM (SELECT FROM data_key LIMIT 1) AS any_key"):
                raise NotEmpty(f"schema {self.schema} holds keys that no copy may have: see docs/operations.md")
            with db.cursor().copy("COPY data_key FROM STDIN (FORMAT BINARY)") as into:
                into.set_types(["text", "text", "text", "bytea"])
                for row in given.execute(ALL):
                    into.write_row(row)
            db.cursor().executemany(REMEMBER, given.execute(FORGOTTEN).fetchall())
            followed, master = (
                given.execute(sql).fetchone() for sql in ("SELECT position FROM followed", "SELECT wrapped FROM master")
            )
            db.execute(FILLED, (followed[0] if followed else 0, master[0] if master else None, these))
        return True

    def close(self) -> None:
        self._line.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _one(db: Connection, statement: LiteralString, *values: Any) -> Any:
    found = db.execute(statement, values).fetchone()
    return found[0] if found else None


def _wrapped(db: Connection, slot: Slot) -> bytes | None:
    found: bytes | None = _one(db, READ, *slot)
    return found


def _be_patient(db: Connection) -> None:
    for timeout in PATIENT:
        db.execute(timeout)


def _must_hold_no_log(db: Connection) -> None:
    if found := _one(db, LOG_HERE):
        raise WrongSetting(
            f"{variable('key_store')} names a database that holds {found}: whoever is forgotten would live on in its "
            "backups. Give the keys a database of their own"
        )


def _print_of(copy: sqlite3.Connection) -> str:
    """What tells the keys of one copy from those of another."""
    digest = hashlib.sha256()
    for row in copy.execute(f"{ALL} ORDER BY tenant, purpose, subject"):
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _copy(db: Connection, draft: Path) -> None:
    with db.transaction(), closing(sqlite3.connect(draft)) as copy:
        db.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        _be_patient(db)
        copy.executescript(OF_COPIES)
        for statement, into in ((ALL, "data_key VALUES (?, ?, ?, ?)"), (FORGOTTEN, "forgotten VALUES (?, ?, ?)")):
            with db.cursor(name="copied") as rows:
                rows.itersize = PAGE_ROWS
                copy.executemany(f"INSERT INTO {into}", rows.execute(statement))
        found = db.execute("SELECT followed, master FROM state").fetchone()
        assert found is not None
        copy.execute("INSERT INTO followed VALUES (1, ?)", found[:1])
        copy.executemany("INSERT INTO master VALUES (1, ?)", [found[1:]] if found[1] else [])
        copy.commit()
