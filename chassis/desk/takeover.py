"""The desk of an older release, a file, taken over into PostgreSQL: once, all of it, and whatever stops in between.

Whoever still works on the file is waited for: what it would write later nobody would find. The file is kept under another
name. A release of before that comes back makes a new one, which is taken over in its turn.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any

from chassis.parking import COLUMNS
from chassis.presence import InUse, at_work
from chassis.sqlite_file import open_flushed
from chassis.supervision import log

WAIT_SECONDS, LOOK_SECONDS = 30.0, 0.2
LOG_FILE = "events.db"
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True, kw_only=True)
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


async def take_over(path: Path, keep: Keep, wait_seconds: float = WAIT_SECONDS) -> None:
    """Takes a desk over and puts its file aside. Raises InUse where others go on working on it.

    One that lies beside a log in a file is that log's, and is left there.
    """
    until = monotonic() + wait_seconds
    while _is_there(path):
        try:
            with at_work(path.parent, alone=True):
                await _carry(path, keep)
        except InUse:
            if monotonic() > until:
                raise
            await asyncio.sleep(LOOK_SECONDS)


def _is_there(path: Path) -> bool:
    return path.exists() and not path.with_name(LOG_FILE).exists()


async def _carry(path: Path, keep: Keep) -> None:
    if _is_there(path):  # else another process has done so meanwhile
        found = await asyncio.to_thread(_read, path)
        await keep(found)
        aside = _put_aside(path)
        log.info("desk_taken_over", desk=str(path), put_aside=aside.name, **found.counts())


def _read(path: Path) -> Found:
    with closing(open_flushed(path, "")) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        database.execute("PRAGMA journal_mode=DELETE")  # so that all of it is in the one file that is put aside
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
    names = (path.with_name(f"{path.stem}.taken-over-{number}{path.suffix}") for number in count(1))
    return path.rename(next(one for one in names if not one.exists()))
