"""What a service's processes write into their one file: who sleeps in the middle of it is waited for, until it is killed."""

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from chassis.away import is_away
from chassis.positions import Desk, SqlitePositions

BEGINS_TO_WRITE = """
import sys, time
from pathlib import Path
from chassis.sqlite_file import open_flushed
database = open_flushed(Path(sys.argv[1]), "")
database.execute("BEGIN IMMEDIATE")
print("writing", flush=True)
time.sleep(600)
"""


async def test_who_sleeps_in_the_middle_of_a_write_holds_others_up_until_it_is_killed(tmp_path: Path) -> None:
    positions = SqlitePositions(desk := Desk(tmp_path / "desk.db"))
    await positions.migrate()
    await positions.set("relay", 7)
    command = [sys.executable, "-c", BEGINS_TO_WRITE, str(tmp_path / "desk.db")]
    other = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        assert other.stdout
        assert await other.stdout.readline() == b"writing\n"
        other.send_signal(signal.SIGSTOP)

        with pytest.raises(sqlite3.OperationalError, match="locked") as held_up:
            await positions.set("relay", 8)
        assert is_away(held_up.value), "nobody gives up for it, nor parks a message"
        assert await positions.get("relay") == 7
    finally:
        other.kill()
        await other.wait()

    await positions.set("relay", 8)
    assert await positions.get("relay") == 8
    desk.close()
