"""The leaves of one epoch in PostgreSQL, beside the log. Theirs are only inserted; nothing here changes or removes one.

A batch is two bulk copies in one commit, under a lock that lets one process at a time number leaves.
"""

import asyncio
import struct
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, LiteralString

from psycopg.rows import tuple_row

from chassis.event import Sealed
from chassis.leaves.port import End, Hashed, Leaf, Place, found_all
from chassis.merkle import Frontier
from chassis.merkle import Node as Made
from chassis.store.connections import Connection, Connections

TABLES: tuple[LiteralString, ...] = (
    (
        "CREATE TABLE IF NOT EXISTS witness_leaves (epoch int, number bigint, position bigint NOT NULL, "
        "hash bytea NOT NULL, PRIMARY KEY (epoch, number), UNIQUE (epoch, position))"
    ),
    (
        "CREATE TABLE IF NOT EXISTS witness_nodes (epoch int, level int, number bigint, hash bytea NOT NULL, "
        "PRIMARY KEY (epoch, level, number))"
    ),
    (
        "CREATE TABLE IF NOT EXISTS witness_checkpoints (epoch int, size bigint, signed_at text NOT NULL, "
        "note text NOT NULL, PRIMARY KEY (epoch, size))"
    ),
    "CREATE TABLE IF NOT EXISTS witness_seeds (number int PRIMARY KEY, subject text NOT NULL, box text NOT NULL)",
    (  # A release of before kept the one key of the witness elsewhere; without it another one would sign the same log.
        "DO $$ BEGIN IF to_regclass('witness_key') IS NOT NULL THEN "
        "INSERT INTO witness_seeds SELECT 1, subject, box FROM witness_key ON CONFLICT DO NOTHING; END IF; END $$"
    ),
)
MADE = ("witness_leaves", "witness_nodes", "witness_checkpoints", "witness_seeds")
PAGE_ROWS = 10_000
"""Of what has no end, so that no question takes longer than one may."""
LOCK = "SELECT pg_advisory_xact_lock(%s)"
END = "SELECT number + 1, position FROM witness_leaves WHERE epoch = %s ORDER BY number DESC LIMIT 1"
COPY_LEAVES: LiteralString = "COPY witness_leaves (epoch, number, position, hash) FROM STDIN (FORMAT BINARY)"
COPY_NODES: LiteralString = "COPY witness_nodes (epoch, level, number, hash) FROM STDIN (FORMAT BINARY)"
HASHES = (
    "SELECT 0, number, hash FROM witness_leaves WHERE epoch = %(epoch)s AND number = ANY(%(leaves)b::bigint[]) "
    "UNION ALL SELECT level, number, hash FROM witness_nodes WHERE epoch = %(epoch)s "
    "AND (level, number) IN (SELECT * FROM unnest(%(levels)b::int[], %(numbers)b::bigint[]))"
)
NUMBERS = "SELECT position, number FROM witness_leaves WHERE epoch = %s AND position = ANY(%b::bigint[])"
AFTER = "SELECT number, position, hash FROM witness_leaves WHERE epoch = %s AND number >= %s ORDER BY number LIMIT %s"
NODES = (
    "SELECT level, number, hash FROM witness_nodes WHERE epoch = %s AND (level, number) > (%s, %s) "
    "ORDER BY level, number LIMIT %s"
)
KEEP_CHECKPOINT = "INSERT INTO witness_checkpoints VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING"
CHECKPOINTS = "SELECT size, note FROM witness_checkpoints WHERE epoch = %s AND size > %s ORDER BY size LIMIT %s"
LATEST = "SELECT size, note FROM witness_checkpoints WHERE epoch = %s ORDER BY size DESC LIMIT 1"
SEEDS = "SELECT subject, box FROM witness_seeds ORDER BY number"
ADD_SEED = "INSERT INTO witness_seeds VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"
NEWEST_EPOCH = "SELECT max(epoch) FROM witness_leaves"

# https://www.postgresql.org/docs/current/sql-copy.html, "Binary Format": each row says how many fields it has, each
# field how many bytes. Rows of fixed length are packed in one go; the driver would ask a dumper about each value.
HEAD, END_OF_ROWS = b"PGCOPY\n\xff\r\n\0" + bytes(8), struct.pack("!h", -1)
_leaf = struct.Struct("!hiiiqiqi32s").pack
_node = struct.Struct("!hiiiiiqi32s").pack


class PostgresLeaves:
    """See `chassis.leaves.port.Leaves`."""

    def __init__(self, connections: Connections, *, origin: str, epoch: int, lock: int) -> None:
        self.origin = origin
        self._connections, self._epoch, self._lock = connections, epoch, lock
        self._edge: Frontier | None = None
        """The right edge of the tree as this process left it, so that it is not asked for before each batch."""

    async def end(self) -> End:
        return await self._connections.persist(self._end)

    async def _end(self, db: Connection) -> End:
        rows = await _rows(db, END, self._epoch)
        return End(*rows[0]) if rows else End()

    async def append(self, events: Sequence[Hashed]) -> int:
        return await self._connections.persist(lambda db: self._append(db, events))

    async def _append(self, db: Connection, events: Sequence[Hashed]) -> int:
        async with db.transaction():
            await db.execute(LOCK, (self._lock,))
            end = await self._end(db)
            new = [event for event in events if event[0] > end.last_position]
            if not new:
                return 0
            edge, self._edge = await self._edge_of(db, end.size), None
            leaves, nodes = await asyncio.to_thread(_grown, edge, self._epoch, new)
            await _copy(db, COPY_LEAVES, leaves)
            await _copy(db, COPY_NODES, nodes)
        self._edge = edge
        return len(new)

    async def _edge_of(self, db: Connection, size: int) -> Frontier:
        if self._edge is not None and self._edge.size == size:
            return self._edge
        places = [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]
        kept = await self._hashes(db, places)
        return Frontier(size, lambda level, number: kept[level, number])

    async def hashes(self, places: Collection[Place]) -> Mapping[Place, bytes]:
        return await self._connections.persist(lambda db: self._hashes(db, places))

    async def _hashes(self, db: Connection, places: Collection[Place]) -> Mapping[Place, bytes]:
        nodes = [place for place in places if place[0]]
        wanted = {
            "epoch": self._epoch,
            "leaves": [number for level, number in places if not level],
            "levels": [level for level, _ in nodes],
            "numbers": [number for _, number in nodes],
        }
        cursor = await db.cursor(row_factory=tuple_row).execute(HASHES.encode(), wanted)
        found = {(level, number): bytes(one) for level, number, one in await cursor.fetchall()}
        found_all(places, found, self.origin)
        return found

    async def numbers_at(self, positions: Collection[int]) -> Mapping[int, int]:
        rows = await self._connections.persist(lambda db: _rows(db, NUMBERS, self._epoch, list(positions)))
        found: dict[int, int] = dict(rows)
        found_all(positions, found, self.origin)
        return found

    async def after(self, number: int, limit: int) -> list[Leaf]:
        rows = await self._connections.persist(lambda db: _rows(db, AFTER, self._epoch, number, limit))
        return [Leaf(place, position, bytes(found)) for place, position, found in rows]

    async def nodes(self) -> dict[Place, bytes]:
        rows = await self._paged(NODES, (0, 0), lambda row: (row[0], row[1]))
        return {(level, number): bytes(found) for level, number, found in rows}

    async def keep_checkpoint(self, size: int, signed_at: str, note: str) -> None:
        row = (self._epoch, size, signed_at, note)
        await self._connections.persist(lambda db: db.execute(KEEP_CHECKPOINT, row))

    async def checkpoints(self) -> list[str]:
        return [note for _, note in await self._paged(CHECKPOINTS, (0,), lambda row: (row[0],))]

    async def latest(self) -> tuple[int, str] | None:
        rows = await self._connections.persist(lambda db: _rows(db, LATEST, self._epoch))
        return (rows[0][0], rows[0][1]) if rows else None

    async def _paged(
        self, query: str, after: tuple[int, ...], key: Callable[[tuple[Any, ...]], tuple[int, ...]]
    ) -> list[tuple[Any, ...]]:
        """All rows behind a key, in pages."""
        found: list[tuple[Any, ...]] = []
        while True:
            at = key(found[-1]) if found else after
            page = await self._connections.persist(lambda db: _rows(db, query, self._epoch, *at, PAGE_ROWS))  # noqa: B023
            found += page
            if len(page) < PAGE_ROWS:
                return found


class PostgresSeeds:
    """See `chassis.witness_key.Seeds`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    async def kept(self) -> list[Sealed]:
        rows = await self._connections.persist(lambda db: _rows(db, SEEDS))
        return [Sealed(subject=subject, box=box) for subject, box in rows]

    async def add(self, seed: Sealed, before: int) -> Sealed:
        values = (before + 1, seed.subject, seed.box)
        await self._connections.persist(lambda db: db.execute(ADD_SEED, values))
        return (await self.kept())[-1]


async def newest_epoch(db: Connection) -> int:
    """The newest epoch of which leaves are kept; 0 for none."""
    return int((await _rows(db, NEWEST_EPOCH))[0][0] or 0)


def _grown(edge: Frontier, epoch: int, new: Sequence[Hashed]) -> tuple[bytes, bytes]:
    """The rows of new leaves, and of the nodes that they complete."""
    size = edge.size
    nodes: list[Made] = [node for _, found in new for node in edge.add(found)]
    leaves = (
        _leaf(4, 4, epoch, 8, number, 8, position, 32, found) for number, (position, found) in enumerate(new, size)
    )
    return _binary(leaves), _binary(
        _node(4, 4, epoch, 4, level, 8, number, 32, found) for level, number, found in nodes
    )


def _binary(rows: Iterable[bytes]) -> bytes:
    return HEAD + b"".join(rows) + END_OF_ROWS


async def _copy(db: Connection, statement: LiteralString, rows: bytes) -> None:
    async with db.cursor() as cursor, cursor.copy(statement) as copy:
        await copy.write(rows)


async def _rows(db: Connection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    return await (await db.cursor(row_factory=tuple_row).execute(query.encode(), values)).fetchall()
