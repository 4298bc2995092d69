"""How far readers have come, by name, in the service's own database."""

import asyncio
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from chassis.sqlite_file import open_flushed

T = TypeVar("T")

POSITIONS = "CREATE TABLE IF NOT EXISTS positions (name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID"
SET = (
    "INSERT INTO positions (name, position) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)


class Desk:
    """One SQLite file for what a service's readers must remember. Changes are flushed before they are answered.

    Writes go through one thread with a connection of its own; short look-ups by key run on the caller's thread, because
    the hop to another thread costs more than the look-up.
    """

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
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
    """Positions in a `Desk`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def migrate(self) -> None:
        """Makes the table; again is harmless."""
        await self._desk.write(lambda db: db.execute(POSITIONS))

    async def get(self, name: str) -> int:
        row = self._desk.look_up(
            lambda db: db.execute("SELECT position FROM positions WHERE name = ?", (name,)).fetchone()
        )
        return int(row[0]) if row else 0

    async def set(self, name: str, position: int) -> None:
        await self.set_many({name: position})

    async def set_many(self, positions: Mapping[str, int]) -> None:
        rows = list(positions.items())
        await self._desk.write(lambda db: db.executemany(SET, rows))


class MemoryPositions:
    """Positions that last as long as the object."""

    def __init__(self) -> None:
        self.by_name: dict[str, int] = {}

    async def get(self, name: str) -> int:
        return self.by_name.get(name, 0)

    async def set(self, name: str, position: int) -> None:
        self.by_name[name] = position

    async def set_many(self, positions: Mapping[str, int]) -> None:
        self.by_name.update(positions)
