"""The leaves of one epoch in a SQLite file of their own, for the processes of one machine."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

from chassis.leaves.port import End, Hashed, Leaf, Place, found_all
from chassis.merkle import Frontier
from chassis.sqlite_file import INTO_ONE_FILE, insert, open_flushed

SCHEMA = """
CREATE TABLE IF NOT EXISTS leaf (number INTEGER PRIMARY KEY, position INTEGER NOT NULL UNIQUE, hash BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS node (
    level INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL, PRIMARY KEY (level, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (size INTEGER PRIMARY KEY, signed_at TEXT NOT NULL, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS origin (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL);
"""
END = "SELECT coalesce(max(number), -1) + 1, coalesce(max(position), 0) FROM leaf"
LEAF = "SELECT hash FROM leaf WHERE number = ?"
NODE = "SELECT hash FROM node WHERE level = ? AND number = ?"


class SqliteLeaves:
    """See `chassis.leaves.port.Leaves`. Safe between threads and between processes on one file."""

    def __init__(self, path: Path, origin: str) -> None:
        self.origin = origin
        self._lock = RLock()
        self._database = open_flushed(path, SCHEMA)
        self._claim()

    def _claim(self) -> None:
        self._database.execute("INSERT INTO origin VALUES (1, ?) ON CONFLICT DO NOTHING", (self.origin,))
        [(owner,)] = self._rows("SELECT name FROM origin")
        if owner != self.origin:
            raise ValueError(f"these leaves belong to {owner}, not to {self.origin}: keep a file for each origin")

    def close(self) -> None:
        """Closes the file. A cancelled follower may have left its thread in the middle of a batch."""
        with self._lock:
            self._database.close()

    async def end(self) -> End:
        return self._end()

    def _end(self) -> End:
        return End(*self._rows(END)[0])

    async def append(self, events: Sequence[Hashed]) -> int:
        return await asyncio.to_thread(self._append, events)

    def _append(self, events: Sequence[Hashed]) -> int:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                added = self._add(events)
                self._database.execute("COMMIT")
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            return added

    def _add(self, events: Sequence[Hashed]) -> int:
        end = self._end()
        frontier = Frontier(end.size, lambda level, number: self._hash((level, number)))
        new = [event for event in events if event[0] > end.last_position]
        nodes = [node for _, found in new for node in frontier.add(found)]
        insert(self._database, "leaf", [(end.size + place, *event) for place, event in enumerate(new)])
        insert(self._database, "node", nodes)
        return len(new)

    async def hashes(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        return await asyncio.to_thread(lambda: {place: self._hash(place) for place in places})

    def _hash(self, place: Place) -> bytes:
        rows = self._rows(NODE, *place) if place[0] else self._rows(LEAF, place[1])
        found_all([place], [place] * len(rows), self.origin)
        return bytes(rows[0][0])

    async def numbers_at(self, positions: Collection[int]) -> Mapping[int, int]:
        rows = [self._rows("SELECT position, number FROM leaf WHERE position = ?", one) for one in positions]
        found = {position: number for one in rows for position, number in one}
        found_all(positions, found, self.origin)
        return found

    async def after(self, number: int, limit: int) -> list[Leaf]:
        query = "SELECT number, position, hash FROM leaf WHERE number >= ? ORDER BY number LIMIT ?"
        return [Leaf(place, position, bytes(found)) for place, position, found in self._rows(query, number, limit)]

    async def nodes(self) -> dict[Place, bytes]:
        rows = self._rows("SELECT level, number, hash FROM node")
        return {(level, number): bytes(found) for level, number, found in rows}

    async def keep_checkpoint(self, size: int, signed_at: str, note: str) -> None:
        self._rows("INSERT INTO checkpoint VALUES (?, ?, ?) ON CONFLICT DO NOTHING", size, signed_at, note)

    async def checkpoints(self) -> list[str]:
        return [note for (note,) in self._rows("SELECT note FROM checkpoint ORDER BY size")]

    async def latest(self) -> tuple[int, str] | None:
        rows = self._rows("SELECT size, note FROM checkpoint ORDER BY size DESC LIMIT 1")
        return (rows[0][0], rows[0][1]) if rows else None

    def signed(self) -> list[tuple[int, str, str]]:
        """All checkpoints with their sizes and when they were signed, for whoever takes them over."""
        return self._rows("SELECT size, signed_at, note FROM checkpoint ORDER BY size")

    def into_one_file(self) -> None:
        """Leaves nothing beside the file."""
        self._rows(INTO_ONE_FILE)

    def _rows(self, statement: str, *values: Any) -> list[Any]:
        with self._lock:
            return self._database.execute(statement, values).fetchall()
