"""Looking at a SQLite file's shared memory takes from nobody the locks by which its processes know of each other."""

import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from chassis.keys import Keys
from chassis.read_store.sqlite import SqliteReadStore
from chassis.store.sqlite import SqliteEventStore
from chassis.wal_index import WalIndex

AM_I_ALONE = """
import fcntl, sys
with open(sys.argv[1], "r+b") as memory:
    try:
        fcntl.lockf(memory, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 128)
    except BlockingIOError:
        print("no")
    else:
        print("yes")
"""
"""Asks what SQLite asks when it opens a file: the lock on this byte says whether the memory may be cleared."""

Close = Callable[[], Awaitable[None]]
Open = Callable[[Path], Awaitable[Close]]


def another_process_believes_itself_alone(path: Path) -> bool:
    command = [sys.executable, "-S", "-c", AM_I_ALONE, f"{path}-shm"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout == "yes\n"


def left_in(folder: Path) -> set[str]:
    """The last one to close takes what the processes shared away."""
    return {one.name for one in folder.iterdir()}


async def events(path: Path) -> Close:
    store = SqliteEventStore(path)
    await store.migrate()
    await store.open()
    return store.close


async def documents(path: Path) -> Close:
    store = SqliteReadStore(path)
    await store.open()
    return store.close


async def keys(path: Path) -> Close:
    opened = Keys.in_directory(path.parent)

    async def close() -> None:
        opened.close()

    return close


@pytest.mark.parametrize(("name", "open_one"), [("events.db", events), ("read.db", documents), ("keys.db", keys)])
async def test_a_store_that_is_open_is_never_taken_for_closed_by_another_process(
    tmp_path: Path, name: str, open_one: Open
) -> None:
    path = tmp_path / name
    close = await open_one(path)
    assert not another_process_believes_itself_alone(path)
    close_other = await open_one(path)
    assert not another_process_believes_itself_alone(path)
    await close_other()
    assert not another_process_believes_itself_alone(path)
    await close()
    assert left_in(tmp_path) <= {name, "master.key"}


def test_who_looks_at_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        WalIndex(tmp_path / "none.db")
