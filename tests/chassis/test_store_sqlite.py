"""The SQLite event store keeps the port's promises and the library's, and flushes what it acknowledges."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from eventsourcing.persistence import ApplicationRecorder, StoredEvent

from chassis.decider import Busy
from chassis.store.port import EventStore, StoreSettings
from chassis.store.sqlite import SqliteEventStore, SqliteFactory, SqliteRecorder
from chassis.testing.store_conformance import StoreConformance, commit, lamp
from tests.chassis import library_cases


class TestSqliteEventStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = tmp_path / "store" / "events.sqlite"

    def make(self, settings: StoreSettings) -> SqliteEventStore:
        return SqliteEventStore(self.path, settings=settings)

    async def holder(self, store: EventStore) -> str:
        with sqlite3.connect(self.path) as connection:
            (holder,) = connection.execute("SELECT holder FROM leases WHERE name = 'relay'").fetchone()
        return str(holder)

    async def test_positions_are_never_used_twice(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1), lamp("acme:lamp-1", 2)))
        with sqlite3.connect(self.path) as connection:
            connection.execute("DELETE FROM stored_events WHERE position = 2")
        (event,) = await store.append(commit(lamp("acme:lamp-1", 2)))
        assert event.position == 3

    async def test_every_connection_flushes_and_the_file_is_in_wal(self, store: SqliteEventStore) -> None:
        for connection in (store._reading, store._writing):
            assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)

    async def test_a_store_that_is_whole_is_migrated_beside_a_busy_writer(self) -> None:
        store = self.make(StoreSettings(busy_timeout_seconds=0.05))
        await store.migrate()
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        await store.migrate()
        other.execute("DELETE FROM meta")
        other.execute("COMMIT")
        other.close()
        await store.migrate()
        await store.open()
        assert store.epoch == 1
        await store.close()

    async def test_a_file_locked_by_another_process_is_busy(self) -> None:
        store = self.make(StoreSettings(busy_timeout_seconds=0.05))
        await store.migrate()
        await store.open()
        assert store._writing.execute("PRAGMA busy_timeout").fetchone() == (50,)
        other = sqlite3.connect(self.path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Busy):
            await store.append(commit(lamp("acme:lamp-1", 1)))
        other.execute("ROLLBACK")
        other.close()
        assert len(await store.append(commit(lamp("acme:lamp-1", 1)))) == 1
        await store.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


class OurRecorder:
    """Makes the recorder that the library's own cases try."""

    def setUp(self) -> None:
        self.threads = set(threading.enumerate())
        self.folder = TemporaryDirectory()
        self.factory = SqliteFactory(Path(self.folder.name) / "events.sqlite", StoreSettings())

    def tearDown(self) -> None:
        # The library's case leaves its readers running; a connection closed under them would end the process.
        for thread in set(threading.enumerate()) - self.threads:
            thread.join()
        self.factory.close()
        self.folder.cleanup()

    def create_recorder(self) -> SqliteRecorder:
        recorder = self.factory.recorder()
        recorder.create_table()
        return recorder

    def new_originator_id(self) -> str:
        return str(uuid4())


class TestLibraryCases(OurRecorder, library_cases.ApplicationRecorderTestCase):
    def close_db_connection(self, *args: object) -> None:
        self.factory.close()


class TestLibraryOrder(OurRecorder, library_cases.NonInterleavingNotificationIDsBaseCase):
    insert_num = 1000


def test_the_library_reads_what_our_batches_wrote(folder: Path) -> None:
    factory = SqliteFactory(folder / "events.sqlite", StoreSettings())
    recorder = factory.recorder()
    recorder.create_table()
    connection = factory.connect()
    recorder.append_batch(
        connection, [[StoredEvent("acme:lamp-1", 1, "a", b"{}"), StoredEvent("acme:lamp-1", 2, "b", b"{}")]]
    )
    connection.close()
    library: ApplicationRecorder = recorder
    assert [event.originator_version for event in library.select_events("acme:lamp-1")] == [1, 2]
    assert [(each.id, each.topic) for each in library.select_notifications(None, 10, topics=["b"])] == [(2, "b")]
    assert library.max_notification_id() == 2
    factory.close()


class Looking:
    """Notes what another connection finds before and after a commit, as the count of the commits of others does."""

    def __init__(self, path: Path) -> None:
        self._other = sqlite3.connect(path, isolation_level=None, timeout=0)
        self.before: tuple[int, bool] | None = None
        self.after: tuple[int, bool] | None = None

    def __enter__(self) -> None:
        self.before = self._found()

    def __exit__(self, *_: object) -> None:
        self.after = self._found()
        self._other.close()

    def _found(self) -> tuple[int, bool]:
        """How many events there are, and whether somebody holds the file."""
        (count,) = self._other.execute("SELECT count(*) FROM stored_events").fetchone()
        try:
            self._other.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return count, True
        self._other.execute("ROLLBACK")
        return count, False


@pytest.mark.parametrize("count", [1, 2, 4, 5, 100])
def test_a_commit_is_noted_as_its_own_while_nobody_else_can_write(folder: Path, count: int) -> None:
    factory = SqliteFactory(folder / "events.sqlite", StoreSettings())
    recorder = factory.recorder()
    recorder.create_table()
    connection = factory.connect()
    looking = Looking(folder / "events.sqlite")
    events = [StoredEvent("acme:lamp-1", version, "a", b"{}") for version in range(1, count + 1)]
    assert recorder.append_batch(connection, [events], looking) == [list(range(1, count + 1))]
    assert (looking.before, looking.after) == ((0, True), (count, False))
    connection.close()
    factory.close()


APPENDS_FOR_EVER = """
import asyncio, itertools, sys
from chassis.store.sqlite import SqliteEventStore
from chassis.testing.store_conformance import commit, lamp

async def main(path):
    store = SqliteEventStore(path)
    await store.migrate()
    await store.open()
    for number in itertools.count():
        commits = [commit(lamp(f"acme:lamp-{number}-{n}", 1), command_id=f"{number}-{n}") for n in range(8)]
        for events in await asyncio.gather(*map(store.append, commits)):
            print(events[0].stream, flush=True)

asyncio.run(main(sys.argv[1]))
"""


async def test_what_was_acknowledged_survives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", APPENDS_FOR_EVER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    acknowledged = [(await process.stdout.readline()).decode().strip() for _ in range(300)]
    process.kill()
    acknowledged += [line.decode().strip() async for line in process.stdout if line.endswith(b"\n")]
    await process.wait()
    store = SqliteEventStore(path)
    await store.open()
    found = await store.load_many(dict.fromkeys(acknowledged, 0))
    feed = await store.feed(0, 10_000)
    await store.close()
    assert [stream for stream, events in found.items() if len(events) != 1] == []
    assert len(feed) % 2 == 0  # each lamp with its command's record, or neither
