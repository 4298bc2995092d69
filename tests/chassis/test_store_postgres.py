"""The PostgreSQL event store keeps the port's promises and the library's, and no tailing reader misses an event."""

import asyncio
import itertools
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from eventsourcing.persistence import StoredEvent
from psycopg.rows import scalar_row

from chassis.decider import Busy
from chassis.store.port import Conflict, EventStore, StoreSettings
from chassis.store.postgres import Factory, PostgresEventStore, PostgresRecorder
from chassis.testing.store_conformance import StoreConformance, commit, lamp
from tests.chassis import library_cases

WRITERS = 8
EVENTS_PER_COMMIT = 5


@pytest.fixture
def recorder(postgres: str) -> Iterator[PostgresRecorder]:
    factory = Factory(postgres, "lighting", StoreSettings(lock_timeout_seconds=60, statement_timeout_seconds=60))
    made = factory.recorder()
    made.create_table()
    yield made
    factory.close()


class TestPostgresEventStore(StoreConformance):
    @pytest.fixture(autouse=True)
    def place(self, postgres: str) -> None:
        self.dsn = postgres

    def make(self, settings: StoreSettings) -> PostgresEventStore:
        return PostgresEventStore(self.dsn, schema="lighting", settings=settings)

    async def holder(self, store: EventStore) -> str:
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute("SELECT holder FROM lighting.leases WHERE name = 'relay'").fetchone()
        assert row is not None
        return str(row[0])

    async def test_ten_replicas_that_start_at_once_make_one_store(self, postgres: str) -> None:
        replicas = [PostgresEventStore(postgres, schema="heating") for _ in range(10)]

        await asyncio.gather(*(replica.migrate() for replica in replicas))

        await replicas[0].open()
        assert (await replicas[0].head(), replicas[0].epoch) == (0, 1)
        await replicas[0].close()

    async def test_a_store_made_by_hand_needs_no_right_to_make_one(self, postgres: str) -> None:
        role = f"service_{postgres.rpartition('_')[2]}"
        made = PostgresEventStore(postgres, schema="heating")
        with psycopg.connect(postgres) as connection:
            for statement in made.statements():
                connection.execute(statement.encode())
            connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute(f"GRANT USAGE ON SCHEMA heating TO {role}")
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA heating TO {role}")
            connection.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA heating TO {role}")
        store = PostgresEventStore(postgres.replace("entente:entente@", f"{role}@"), schema="heating")

        await store.migrate()
        await store.open()

        assert await store.take_lease("relay", "me", 5.0)
        await store.close()
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")

    async def test_two_schemas_of_one_database_are_two_stores(self, store: EventStore) -> None:
        other = PostgresEventStore(self.dsn, schema="heating")
        await other.migrate()
        await other.open()
        await store.append(commit(lamp("acme:lamp-1", 1)))
        assert await other.head() == 0
        assert len(await other.append(commit(lamp("acme:lamp-1", 1)))) == 1
        await other.close()

    async def test_several_stores_on_one_database_race_without_a_gap_or_a_half_commit(self, store: EventStore) -> None:
        stores = [self.make(StoreSettings()) for _ in range(3)]
        for each in stores:
            await each.open()
        rivals = [commit(lamp(f"acme:lamp-{n % 40}", 1), lamp(f"acme:room-{n}", 1)) for n in range(120)]
        answers = await asyncio.gather(
            *(stores[n % 3].append(rival) for n, rival in enumerate(rivals)), return_exceptions=True
        )
        feed = await store.feed(0, 1000)
        for each in stores:
            await each.close()
        assert [type(answer) for answer in answers].count(Conflict) == 80
        assert len(feed) == 80
        assert len({event.stream for event in feed if event.stream.startswith("acme:room-")}) == 40

    async def test_it_goes_on_after_its_connections_were_cut(self, store: EventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1)))
        cut_connections(self.dsn)
        assert len(await store.append(commit(lamp("acme:lamp-1", 2)))) == 1
        cut_connections(self.dsn)
        assert len(await store.load("acme:lamp-1")) == 2

    async def test_it_goes_on_after_the_server_forgot_what_was_prepared(self, store: PostgresEventStore) -> None:
        """As behind a pooler that gives a session to whoever asks next."""
        for version in range(1, 12):
            assert len(await store.append(commit(lamp("acme:lamp-1", version)))) == 1
            assert len(await store.load("acme:lamp-1")) == version
            assert await store.head() == version
            with store._pool.connection() as connection:
                connection.execute(b"DO $$ BEGIN DEALLOCATE ALL; END $$", prepare=False)

    async def test_a_commit_whose_answer_was_lost_is_answered_with_its_positions(
        self, store: PostgresEventStore
    ) -> None:
        lost = LostAnswers(store._recorder)  # the connection breaks after the server has committed
        store._recorder.append_batch = lost  # type: ignore[method-assign]
        answers = await asyncio.gather(
            store.append(commit(lamp("acme:lamp-1", 1), command_id="one")),
            store.append(commit(lamp("acme:lamp-2", 1), command_id="two")),
        )
        assert lost.tries > 1
        assert await store.load("acme:lamp-1") == answers[0][:1]
        assert len(await store.feed(0, 10)) == 4

    async def test_a_lost_answer_to_a_lost_race_is_a_conflict(self, store: PostgresEventStore) -> None:
        await store.append(commit(lamp("acme:lamp-1", 1)))
        store._recorder.append_batch = LostAnswers(store._recorder)  # type: ignore[method-assign]
        with pytest.raises(Conflict):
            await store.append(commit(lamp("acme:lamp-1", 1)))
        assert await store.head() == 1

    async def test_a_database_that_does_not_answer_is_busy(self) -> None:
        settings = StoreSettings(lock_timeout_seconds=0.05, attempt_pause_seconds=0.01)
        store = self.make(settings)
        await store.migrate()
        await store.open()
        with psycopg.connect(self.dsn) as other:
            other.execute("SELECT pg_advisory_xact_lock(%s)", (store._recorder.lock_key,))
            with pytest.raises(Busy):
                await store.append(commit(lamp("acme:lamp-1", 1)))
        assert len(await store.append(commit(lamp("acme:lamp-1", 1)))) == 1
        await store.close()

    async def test_connections_carry_their_timeouts_and_compile_nothing(self, store: PostgresEventStore) -> None:
        names = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "jit")

        def shown(connection: psycopg.Connection[Any]) -> list[Any]:
            return [connection.cursor(row_factory=scalar_row).execute(f"SHOW {name}").fetchone() for name in names]

        with store._pool.connection() as connection:
            assert shown(connection) == ["5s", "2s", "5s", "off"]
            assert "tcp_user_timeout=5000" in connection.info.dsn

    async def test_vacuum_does_not_hold_up_commits(self, store: EventStore) -> None:
        with psycopg.connect(self.dsn) as other:
            other.execute("LOCK TABLE lighting.stored_events IN SHARE UPDATE EXCLUSIVE MODE")  # what VACUUM takes
            assert len(await store.append(commit(lamp("acme:lamp-1", 1)))) == 1


def cut_connections(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


class LostAnswers:
    """Records the first batch it is given, then says that the connection broke, as a cut network does."""

    def __init__(self, recorder: PostgresRecorder) -> None:
        self._append_batch = recorder.append_batch
        self.tries = 0

    def __call__(self, connection: Any, batch: Any, *, repeated: bool) -> Any:
        self.tries += 1
        answer = self._append_batch(connection, batch, repeated=repeated)
        if self.tries == 1:
            connection.close()
            raise psycopg.OperationalError("server closed the connection unexpectedly")
        return answer


class UnlockedRecorder(PostgresRecorder):
    """The same recorder without the lock."""

    lock_statement = "SELECT (%s)::text AS held"


def write_held_open(recorder: PostgresRecorder, connection: psycopg.Connection[Any], first: int) -> None:
    """One commit of a writer whose transaction stays open for a while after its positions were given."""
    stream = f"acme:lamp-{uuid4()}"
    events = [StoredEvent(stream, version, str(first), b"{}") for version in range(1, EVENTS_PER_COMMIT + 1)]
    with connection.transaction():
        recorder.append_batch(connection, [events], repeated=False)
        time.sleep(random.uniform(0, 0.002))  # the network and the flush of a slow client


def missed_by_a_tailing_reader(dsn: str, recorder: PostgresRecorder, events: int) -> int:
    """How many of the events a reader never sees that always asks for what is behind the last position it saw."""
    commits = itertools.count()
    done = threading.Event()
    with ThreadPoolExecutor(WRITERS + 1) as threads:
        reader = threads.submit(tail, dsn, recorder, done)
        writers = [
            threads.submit(write_all, dsn, recorder, commits, events // EVENTS_PER_COMMIT) for _ in range(WRITERS)
        ]
        for writer in writers:
            writer.result()
        done.set()
        seen = reader.result()
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT count(*) FROM lighting.stored_events").fetchone()
    assert row == (events,)
    return events - seen


def write_all(dsn: str, recorder: PostgresRecorder, commits: Iterator[int], limit: int) -> None:
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=lighting") as connection:
        while (number := next(commits)) < limit:
            write_held_open(recorder, connection, number)


def tail(dsn: str, recorder: PostgresRecorder, done: threading.Event) -> int:
    seen = position = 0
    with psycopg.connect(dsn, autocommit=True, options="-c search_path=lighting") as connection:
        while True:
            was_done = done.is_set()
            rows = connection.execute(
                "SELECT notification_id FROM stored_events WHERE notification_id > %s ORDER BY 1 LIMIT 500",
                (position,),
            ).fetchall()
            if rows:
                seen, position = seen + len(rows), rows[-1][0]
            elif was_done:
                return seen


@pytest.mark.parametrize("events", [5_000, pytest.param(100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_a_tailing_reader_misses_nothing_of_8_writers(postgres: str, recorder: PostgresRecorder, events: int) -> None:
    assert missed_by_a_tailing_reader(postgres, recorder, events) == 0


def test_without_the_lock_a_tailing_reader_misses_events(postgres: str, recorder: PostgresRecorder) -> None:
    assert missed_by_a_tailing_reader(postgres, UnlockedRecorder(recorder.datastore), 5_000) > 0


class OurRecorder:
    """Makes the recorder that the library's own cases try."""

    @pytest.fixture(autouse=True)
    def place(self, recorder: PostgresRecorder) -> Iterator[None]:
        self.recorder = recorder
        threads = set(threading.enumerate())
        yield
        for thread in set(threading.enumerate()) - threads:  # the library's case leaves its readers running
            thread.join(timeout=10)

    def create_recorder(self) -> PostgresRecorder:
        return self.recorder

    def new_originator_id(self) -> str:
        return str(uuid4())


class TestLibraryCases(OurRecorder, library_cases.ApplicationRecorderTestCase):
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False  # a refused insert uses up its positions

    test_insert_subscribe: Callable[..., None] = (
        library_cases.ApplicationRecorderTestCase.optional_test_insert_subscribe
    )


class TestLibraryOrder(OurRecorder, library_cases.NonInterleavingNotificationIDsBaseCase):
    insert_num = 1000
