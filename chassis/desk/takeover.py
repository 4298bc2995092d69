"""The desk of an older release, in files, taken over into PostgreSQL: once, all of it, and whatever stops in between.

Whoever still works on the files is waited for: what it would write later nobody would find. They are kept under other
names. A release of before that comes back makes new ones, which are taken over in their turn.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, closing
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from chassis.desk.sqlite import DESK_FILE, epochs_kept, leaves_file
from chassis.event import frozen
from chassis.leaves.port import Leaves
from chassis.leaves.sqlite import SqliteLeaves
from chassis.parking import COLUMNS
from chassis.presence import MOVED_SECONDS, moving
from chassis.sqlite_file import INTO_ONE_FILE, open_flushed
from chassis.supervision import log

LOG_FILE = "events.db"
PAGE_LEAVES = 10_000
Rows = list[tuple[Any, ...]]


@frozen
class Found:
    """What a file holds: the rows of each table, as it has them."""

    positions: Rows
    parked: Rows
    stops: Rows
    shadow_runs: Rows

    def counts(self) -> dict[str, int]:
        """How many of each, for the log."""
        return {name: len(rows) for name, rows in vars(self).items()}


Keep = Callable[[Found], Awaitable[None]]
"""Keeps all that was found, in one transaction; what is there already stays as it is."""
LeavesOf = Callable[[int], Leaves]


def left(directory: Path, service: str) -> list[Path]:
    """The files of a desk that is to be taken over. One that lies beside a log in a file is that log's, and stays there."""
    if (directory / LOG_FILE).exists():
        return []
    files = [directory / DESK_FILE, *(leaves_file(directory, service, one) for one in epochs_kept(directory, service))]
    return [path for path in files if path.exists()]


async def take_over(
    directory: Path, service: str, keep: Keep, leaves_of: LeavesOf, wait_seconds: float = MOVED_SECONDS
) -> None:
    """Takes a desk over and puts its files aside. Raises InUse where others go on working on them."""
    remain = partial(left, directory, service)
    with ExitStack() as held:
        while remain():
            if await asyncio.to_thread(held.enter_context, moving(directory, remain, wait_seconds)):
                await _carry(directory, service, keep, leaves_of)
            held.close()


async def _carry(directory: Path, service: str, keep: Keep, leaves_of: LeavesOf) -> None:
    for path in left(directory, service):
        if path.name == DESK_FILE:
            found = await asyncio.to_thread(_read, path)
            await keep(found)
            counts = found.counts()
        else:
            counts = await _carry_leaves(path, leaves_of(int(path.stem.rpartition("-")[2])))
        aside = _put_aside(path)
        log.info("desk_taken_over", desk=str(path), put_aside=aside.name, **counts)


async def _carry_leaves(path: Path, to: Leaves) -> dict[str, int]:
    with closing(SqliteLeaves(path, to.origin)) as kept:
        added, last = 0, (await to.end()).size
        while page := await kept.after(last, PAGE_LEAVES):
            added += await to.append([(leaf.position, leaf.hash) for leaf in page])
            last = page[-1].number + 1
        signed = kept.signed()
        for checkpoint in signed:
            await to.keep_checkpoint(*checkpoint)
        await asyncio.to_thread(kept.into_one_file)
    return {"leaves": added, "checkpoints": len(signed)}


def _read(path: Path) -> Found:
    with closing(open_flushed(path, "")) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        database.execute(INTO_ONE_FILE)
        return Found(
            positions=_rows(database, tables, "positions", "name, position"),
            parked=_rows(database, tables, "parked", COLUMNS),
            stops=_rows(database, tables, "stops", "model, reason, lane, left_at"),
            shadow_runs=_rows(database, tables, "shadow_runs", "tenant, run_id, body"),
        )


def _rows(database: sqlite3.Connection, tables: set[str], table: str, columns: str) -> Rows:
    """All rows; none of a table that the release which made the file did not know."""
    return database.execute(f"SELECT {columns} FROM {table}").fetchall() if table in tables else []  # noqa: S608


def _put_aside(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.taken-over-{number}") for number in count(1))
    return path.rename(next(one for one in names if not one.exists()))
