"""What all SQLite files here need: many rows in few statements; and small files of our own (keys, leaves).

Those are in WAL, every commit flushed, for any thread under a lock.
"""

# ruff: noqa: S608  tables are named by the code; values are always bound

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from time import monotonic, sleep

LOCK_SECONDS = 5.0
INTO_ONE_FILE = "PRAGMA journal_mode=DELETE"
"""Brings all that was written into the file itself; for who has it alone, as his last word."""
RETRY_SECONDS = 0.01
ROWS_A_STATEMENT = (64, 16, 4, 1)
"""Few sizes, so that their statements stay prepared."""


def insert(database: sqlite3.Connection, table: str, rows: Sequence[Sequence[object]], conflict: str = "") -> None:
    """Inserts the rows in order, many with each statement. `conflict` says what to do with one that is there.

    `executemany` lets go of the interpreter at every row, and waits for its next turn while the event loop is busy.
    """
    done = 0
    while done < len(rows):
        size = next(size for size in ROWS_A_STATEMENT if size <= len(rows) - done)
        row = f"({', '.join('?' * len(rows[done]))})"
        values = [value for one in rows[done : done + size] for value in one]
        database.execute(f"INSERT INTO {table} VALUES {', '.join([row] * size)} {conflict}", values)
        done += size


def open_flushed(path: Path, schema: str) -> sqlite3.Connection:
    """The file with its tables, made at first use, also when two processes start together."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=LOCK_SECONDS)
    _to_wal(database)
    database.execute("PRAGMA synchronous=FULL")
    database.executescript(schema)
    return database


def _to_wal(database: sqlite3.Connection) -> None:
    # The change to WAL needs the file for itself, and does not wait for it as statements do.
    until = monotonic() + LOCK_SECONDS
    while True:
        try:
            database.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if monotonic() > until:
                raise
            sleep(RETRY_SECONDS)
        else:
            return
