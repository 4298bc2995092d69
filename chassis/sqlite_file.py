"""Small SQLite files of the chassis's own (keys, leaves): WAL, every commit flushed, for any thread under a lock."""

import sqlite3
from pathlib import Path
from time import monotonic, sleep

LOCK_SECONDS = 5.0
RETRY_SECONDS = 0.01


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
