"""What a service remembers besides its log: one suite over every adapter, and what is each one's own."""

import asyncio
import json
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest

from chassis import merkle
from chassis.away import is_away
from chassis.desk.port import Desk
from chassis.desk.postgres import PostgresDesk
from chassis.desk.sqlite import SqliteDesk
from chassis.desk.takeover import take_over
from chassis.leaves.port import End
from chassis.parking import DONE, PARKED, WAITING, ParkingFull
from chassis.presence import InUse, at_work
from chassis.stops import Stop
from chassis.store import session
from chassis.store.connections import Connection, Connections
from chassis.store.port import StoreSettings
from chassis.store.postgres import connection_options, lock_key
from chassis.testing.desk_conformance import (
    GROUP,
    OPEN_END,
    SUBJECTS_MAX,
    At,
    DeskConformance,
    enter,
    messages_of,
    place_of,
)
from chassis.testing.leaves_conformance import LeavesConformance, root_of, some_leaves
from tests.chassis.logged import logged
from tests.patience import PATIENCE_SECONDS

BEGINS_TO_WRITE = """
import sys, time
from pathlib import Path
from chassis.sqlite_file import open_flushed
database = open_flushed(Path(sys.argv[1]), "")
database.execute("BEGIN IMMEDIATE")
print("writing", flush=True)
time.sleep(600)
"""


class TestSqliteDesk(DeskConformance, LeavesConformance):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.directory = tmp_path

    def make(self) -> Desk:
        return SqliteDesk(self.directory, "lighting", At(), subjects_max=SUBJECTS_MAX)


class TestPostgresDesk(DeskConformance, LeavesConformance):
    @pytest.fixture(autouse=True)
    def place(self, postgres: str) -> None:
        self.dsn = postgres

    def make(self) -> Desk:
        return PostgresDesk(self.dsn, schema="lighting", clock=At(), subjects_max=SUBJECTS_MAX)

    async def test_ten_replicas_that_start_at_once_make_one_desk(self) -> None:
        replicas = [self.make() for _ in range(10)]

        await asyncio.gather(*(replica.migrate() for replica in replicas))

        await replicas[0].open()
        assert await replicas[0].positions.get("relay") == 0
        await replicas[0].close()

    async def test_a_desk_made_by_hand_needs_no_right_to_make_one(self, postgres: str) -> None:
        role = f"service_{postgres.rpartition('_')[2]}"
        with psycopg.connect(postgres) as connection:
            for statement in PostgresDesk(postgres, schema="lighting", clock=At()).statements():
                connection.execute(statement.encode())
            connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute(f"GRANT USAGE ON SCHEMA lighting TO {role}")
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lighting TO {role}")
        self.dsn = postgres.replace("entente:entente@", f"{role}@")
        desk = self.make()

        await desk.migrate()
        await desk.open()

        await desk.positions.set("relay", 7)
        await desk.close()
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")

    async def test_two_processes_that_park_at_once_keep_to_the_limit(self, desk: Desk, another: Desk) -> None:
        messages = await messages_of(*"abcdefgh")
        at_once = [
            one.parking.park(GROUP, [(message, PARKED)], "a bug")
            for one, message in zip([desk, another] * 4, messages, strict=True)
        ]

        outcomes = await asyncio.gather(*at_once, return_exceptions=True)

        assert [type(one) for one in outcomes].count(ParkingFull) == len(messages) - SUBJECTS_MAX
        assert await desk.parking.count() == SUBJECTS_MAX

    async def test_it_goes_on_when_the_server_has_ended_its_connections(self, desk: Desk, postgres: str) -> None:
        await desk.positions.set("relay", 7)
        with psycopg.connect(postgres, autocommit=True) as other:
            cut_all_others(other)

        assert await desk.positions.get("relay") == 7

    async def test_who_sleeps_in_the_middle_of_a_write_holds_others_up_for_a_moment(self, desk: Desk) -> None:
        """The server ends a transaction whose client says nothing. A file's lock would stay until its holder is killed."""
        [message] = await messages_of("a")
        asleep = psycopg.connect(**connection_options(self.dsn, "lighting", DOZING))
        asleep.execute("SELECT pg_advisory_xact_lock(%s)", (lock_key("lighting.parked"),))

        await desk.parking.park(GROUP, [(message, PARKED)], "a bug")

        with pytest.raises(psycopg.errors.IdleInTransactionSessionTimeout):
            asleep.execute("SELECT 1")
        asleep.close()
        assert await desk.parking.count() == 1

    async def test_who_wakes_does_it_again(self, desk: Desk, postgres: str) -> None:
        dozing = Connections(postgres, "lighting", DOZING, called="desk", most=1)
        await dozing.open()
        tries = 0

        async def falls_asleep_once(db: Connection) -> int:
            nonlocal tries
            tries += 1
            async with db.transaction():
                await db.execute("SELECT 1")
                if tries == 1:
                    await ended(postgres, db.info.backend_pid)
                await db.execute("SELECT 1")
            return tries

        assert await dozing.persist(falls_asleep_once) >= 2, "a slow machine dozes off once more"
        await dozing.close()

    async def test_who_is_at_work_stays_so_when_its_connection_is_cut(
        self, desk: Desk, another: Desk, postgres: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "LOOK_SECONDS", 0.01)
        async with desk.at_work(alone=False):
            with psycopg.connect(postgres, autocommit=True) as other:
                [cut] = holders(other)
                cut_all_others(other)
                async with asyncio.timeout(60):
                    while holders(other) in ([], [cut]):
                        await asyncio.sleep(0.01)
            with pytest.raises(InUse):
                await enter(another.at_work(alone=True))

    @pytest.mark.parametrize("alone", [False, True])
    async def test_whose_end_the_server_has_not_seen_yet_is_waited_for(
        self, desk: Desk, postgres: str, monkeypatch: pytest.MonkeyPatch, alone: bool
    ) -> None:
        monkeypatch.setattr(session, "PATIENT", f"-c lock_timeout={PATIENCE_SECONDS:.0f}s")
        with psycopg.connect(postgres, autocommit=True) as ending:
            ending.execute("SELECT pg_advisory_lock(%s)", (lock_key("lighting.at_work"),))
            asyncio.get_running_loop().call_later(0.05, ending.close)
            await enter(desk.at_work(alone=alone))

    @pytest.mark.parametrize("meanwhile", ["another works alone", "another has restored the log"])
    async def test_who_was_cut_off_while_another_worked_alone_ends(
        self, desk: Desk, postgres: str, monkeypatch: pytest.MonkeyPatch, meanwhile: str
    ) -> None:
        monkeypatch.setattr(session, "LOOK_SECONDS", 0.2)
        told_to_end = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
        with psycopg.connect(postgres, autocommit=True) as other:
            other.execute("CREATE TABLE lighting.meta (name text, value bigint)")
            other.execute("INSERT INTO lighting.meta VALUES ('epoch', 1)")
            async with desk.at_work(alone=False):
                cut_all_others(other)
                if meanwhile == "another works alone":
                    other.execute("SELECT pg_advisory_lock(%s)", (lock_key("lighting.at_work"),))
                else:
                    other.execute("UPDATE lighting.meta SET value = 2")
                async with asyncio.timeout(30):
                    await told_to_end.wait()


def holders(connection: psycopg.Connection[tuple[int]]) -> list[int]:
    """The sessions at work with the desk. One that was told to end holds its lock until it has."""
    here = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    return [
        pid
        for (pid,) in connection.execute(f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND {here}".encode())
    ]


def cut_all_others(connection: psycopg.Connection[tuple[int]]) -> None:
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    connection.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}".encode())


DOZING = StoreSettings(idle_in_transaction_timeout_seconds=0.5)


async def ended(dsn: str, session: int) -> None:
    """Waits until the server has ended a session."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as looking, asyncio.timeout(60):
        there = "SELECT 1 FROM pg_stat_activity WHERE pid = %s"
        while await (await looking.execute(there, (session,))).fetchone():
            await asyncio.sleep(0.05)


# The file of an older release


@pytest.fixture
async def left(tmp_path: Path) -> Path:
    """A desk in a file, as an older release left it: a position, a parked message and one behind it, a stop, a run."""
    path = tmp_path / "registration" / "desk.db"
    await fill(path)
    return path


async def fill(path: Path, position: int = 7) -> None:
    desk = SqliteDesk(path.parent, "registration", At())
    await desk.migrate()
    first, second = await messages_of("a", "a")
    await desk.positions.set("relay", position)
    await desk.parking.park(GROUP, [(first, PARKED), (second, WAITING)], "a bug \0")
    await desk.parking.note_discard(place_of(first), "ada", None)
    await desk.stops.note(STOP)
    await desk.runs.keep("acme", "one", RUN)
    await desk.close()


STOP = Stop(model="board__v1", reason="a bug", lane="own", left_at={"acme": 4})
RUN = {"run_id": "one", "asked_as": "shadow_run", "begun_at": "2026-03-02T10:00:00Z", "status": "ready"}


def files(left: Path) -> list[str]:
    """The desks that lie there, under whichever name."""
    return sorted(path.name for path in left.parent.glob("desk.db*"))


def copy_of(path: Path, to: Path) -> None:
    to.write_bytes(path.read_bytes())


def taking(dsn: str, before: Path) -> PostgresDesk:
    return PostgresDesk(dsn, schema="registration", clock=At(), before=before.parent)


@asynccontextmanager
async def at_hand(dsn: str, before: Path) -> AsyncIterator[PostgresDesk]:
    desk = taking(dsn, before)
    await desk.migrate()
    await desk.open()
    yield desk
    await desk.close()


async def test_the_desk_of_an_older_release_is_taken_over_whole_and_told(postgres: str, left: Path) -> None:
    kept = SqliteDesk(left.parent, "registration", At())
    rows = await kept.parking.listed()
    await kept.close()
    with logged() as lines:
        await taking(postgres, left).migrate()
    async with at_hand(postgres, left) as desk:
        assert await desk.positions.get("relay") == 7
        found = await desk.parking.listed()
        assert [(row.place, row.state, row.message, row.discard_proposed_by) for row in found] == [
            (row.place, row.state, row.message, row.discard_proposed_by) for row in rows
        ]
        assert found[0].reason == "a bug \ufffd", "PostgreSQL has no place for a NUL"
        assert await desk.stops.noted() == {"board__v1": STOP}
        assert await desk.runs.listed("acme", "shadow_run", OPEN_END, 9) == [RUN]
    assert files(left) == ["desk.db.taken-over-1"]
    [told] = [line for line in map(json.loads, lines.getvalue().splitlines()) if line["event"] == "desk_taken_over"]
    counts = {"positions": 1, "parked": 2, "stops": 1, "shadow_runs": 1}
    assert {name: told[name] for name in counts} == counts
    assert told["put_aside"] == "desk.db.taken-over-1"


async def test_what_was_done_since_is_not_undone_by_taking_the_same_file_over_again(postgres: str, left: Path) -> None:
    """As after a crash between the commit and the file's new name."""
    copy_of(left, left.with_name("copy"))
    async with at_hand(postgres, left) as desk:
        await desk.positions.set("relay", 9)
        for row in await desk.parking.listed():
            await desk.parking.settle(row.place, DONE)
    copy_of(left.with_name("copy"), left)

    async with at_hand(postgres, left) as desk:
        assert await desk.positions.get("relay") == 9
        assert [row.state for row in await desk.parking.listed(everything=True)] == ["done", "done"]


async def test_what_an_older_release_left_that_came_back_is_taken_over_too(postgres: str, left: Path) -> None:
    async with at_hand(postgres, left):
        pass
    await fill(left, position=12)

    async with at_hand(postgres, left) as desk:
        assert await desk.positions.get("relay") == 12
        assert await desk.parking.count() == 2
    assert files(left) == ["desk.db.taken-over-1", "desk.db.taken-over-2"]


async def test_a_desk_on_which_others_still_work_is_not_taken_from_them(postgres: str, left: Path) -> None:
    desk = taking(postgres, left)
    with at_work(left.parent), pytest.raises(InUse):
        await take_over(left.parent, "registration", desk._keep, desk.leaves, wait_seconds=0)
    assert files(left) == ["desk.db"]


async def test_of_replicas_that_start_at_once_one_takes_the_desk_over(postgres: str, left: Path) -> None:
    await asyncio.gather(*(taking(postgres, left).migrate() for _ in range(5)))

    assert files(left) == ["desk.db.taken-over-1"]
    async with at_hand(postgres, left) as desk:
        assert await desk.parking.count() == 2


async def test_a_desk_beside_a_log_in_a_file_is_that_logs_and_left_alone(postgres: str, left: Path) -> None:
    left.with_name("events.db").touch()

    async with at_hand(postgres, left) as desk:
        assert await desk.positions.get("relay") == 0
    assert files(left) == ["desk.db"]


async def test_leaves_and_checkpoints_of_an_older_release_are_taken_over_of_each_epoch(
    postgres: str, left: Path
) -> None:
    for epoch, size in ((1, 11), (2, 3)):
        kept = SqliteDesk(left.parent, "registration", At())
        leaves = kept.leaves(epoch)
        await leaves.append(some_leaves(size))
        await leaves.keep_checkpoint(size, "2026-03-02T10:00:00Z", f"signed over {size}")
        await kept.close()
    with logged() as lines:
        await taking(postgres, left).migrate()
    async with at_hand(postgres, left) as desk:
        assert await desk.newest_epoch() == 2
        for epoch, size in ((1, 11), (2, 3)):
            leaves = desk.leaves(epoch)
            assert await leaves.end() == End(size, 10 * size)
            assert await root_of(leaves, size) == merkle.root(merkle.over([one for _, one in some_leaves(size)]), size)
            assert await leaves.latest() == (size, f"signed over {size}")
    assert sorted(path.name for path in left.parent.glob("*witness*")) == [
        "registration-witness-1.db.taken-over-1",
        "registration-witness-2.db.taken-over-1",
    ]
    assert '"leaves": 11' in lines.getvalue()


async def test_leaves_that_were_carried_in_part_are_carried_on_with(postgres: str, left: Path) -> None:
    kept = SqliteDesk(left.parent, "registration", At())
    await kept.leaves(1).append(some_leaves(9))
    await kept.close()
    desk = PostgresDesk(postgres, schema="registration", clock=At())
    await desk.migrate()
    await desk.open()
    await desk.leaves(1).append(some_leaves(4))
    await desk.close()

    async with at_hand(postgres, left) as taken:
        assert await taken.leaves(1).end() == End(9, 90)
        assert [leaf.hash for leaf in await taken.leaves(1).after(0, 99)] == [one for _, one in some_leaves(9)]


# A file's own


async def test_who_sleeps_in_the_middle_of_a_write_holds_others_up_until_it_is_killed(tmp_path: Path) -> None:
    desk = SqliteDesk(tmp_path, "testing", At())
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
