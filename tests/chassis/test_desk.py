"""What a service remembers besides its log: one suite over every adapter, and what is each one's own."""

import asyncio
import signal
import sqlite3
import sys
from pathlib import Path

import pytest

from chassis.away import is_away
from chassis.desk.port import Desk
from chassis.desk.sqlite import SqliteDesk
from chassis.testing.desk_conformance import SUBJECTS_MAX, At, DeskConformance

BEGINS_TO_WRITE = """
import sys, time
from pathlib import Path
from chassis.sqlite_file import open_flushed
database = open_flushed(Path(sys.argv[1]), "")
database.execute("BEGIN IMMEDIATE")
print("writing", flush=True)
time.sleep(600)
"""


class TestSqliteDesk(DeskConformance):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "desk.db"

    def make(self) -> Desk:
        return SqliteDesk(self.path, At(), subjects_max=SUBJECTS_MAX)


async def test_who_sleeps_in_the_middle_of_a_write_holds_others_up_until_it_is_killed(tmp_path: Path) -> None:
    desk = SqliteDesk(tmp_path / "desk.db", At())
    await desk.migrate()
    positions = desk.positions
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
    await desk.close()
