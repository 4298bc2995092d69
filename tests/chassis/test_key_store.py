"""The key store's conformance suite over every adapter, and what PostgreSQL alone promises."""

import asyncio
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from threading import Event

import psycopg
import pytest

from chassis import keys_copy
from chassis.backup import NotEmpty
from chassis.decider import Busy
from chassis.event import Sealed
from chassis.key_store.line import Line
from chassis.key_store.port import KeyStore
from chassis.key_store.postgres import NotReached, PostgresKeyStore
from chassis.key_store.sqlite import SqliteKeyStore
from chassis.keys import FileKeyWrapper, Keys, MasterKeyMissing
from chassis.keys_copy import KeysFile, NoKeys
from chassis.presence import InUse
from chassis.presence import at_work as works_in
from chassis.read_store.postgres import PostgresReadStore
from chassis.settings import WrongSetting
from chassis.store.port import NotMigrated
from chassis.store.postgres import PostgresEventStore
from chassis.testing.key_store_conformance import ANNA, BELA, KeyStoreConformance
from tests.chassis.test_store_postgres import cut_connections
from tests.engines import at_work, temporary_folder
from tests.engines.postgres import Server


class TestSqliteKeyStore(KeyStoreConformance):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.here_at, self.there_at = tmp_path / "here", tmp_path / "there"

    def make(self) -> SqliteKeyStore:
        return SqliteKeyStore(self.here_at / "keys.db")

    def kept(self) -> KeysFile:
        return KeysFile(self.here_at)

    def elsewhere(self) -> KeysFile:
        return KeysFile(self.there_at)

    def opened_elsewhere(self) -> SqliteKeyStore:
        return SqliteKeyStore(self.there_at / "keys.db")


class TestPostgresKeyStore(KeyStoreConformance):
    @pytest.fixture(autouse=True)
    def place(self, postgres: str) -> None:
        self.dsn = postgres

    def make(self, schema: str = "here_keys") -> PostgresKeyStore:
        store = PostgresKeyStore(self.dsn, schema=schema)
        store.migrate()
        return store

    def kept(self) -> PostgresKeyStore:
        return self.make()

    def elsewhere(self) -> PostgresKeyStore:
        self.there = self.make("there_keys")
        return self.there

    def opened_elsewhere(self) -> PostgresKeyStore:
        self.there.open()
        return self.there

    async def test_ten_processes_that_start_at_once_make_one_store(self) -> None:
        stores = [PostgresKeyStore(self.dsn, schema="here_keys") for _ in range(10)]
        await asyncio.gather(*(asyncio.to_thread(store.migrate) for store in stores))
        await asyncio.gather(*(asyncio.to_thread(store.open) for store in stores))
        assert {b"first"} == {store.create(ANNA, b"first") for store in stores}

    def test_a_store_made_by_hand_needs_no_right_to_make_one(self) -> None:
        role = f"service_{self.dsn.rpartition('_')[2]}"
        with psycopg.connect(self.dsn) as connection:
            for statement in PostgresKeyStore(self.dsn, schema="here_keys").statements():
                connection.execute(statement.encode())
            connection.execute(f"CREATE ROLE {role} LOGIN")
            connection.execute(f"GRANT USAGE ON SCHEMA here_keys TO {role}")
            connection.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA here_keys TO {role}")
        store = PostgresKeyStore(self.dsn.replace("entente:entente@", f"{role}@"), schema="here_keys")
        store.migrate()
        store.open()
        store.create(ANNA, b"a")
        assert store.renew(lambda slot, wrapped: wrapped.upper(), "master") == 1
        store.destroy("acme", "anna", None)
        assert store.read(ANNA) is None
        store.close()
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")

    def test_a_store_without_tables_is_not_opened(self) -> None:
        with pytest.raises(NotMigrated, match="run `migrate` once"):
            PostgresKeyStore(self.dsn, schema="here_keys").open()

    def test_a_database_that_is_not_there_is_named_as_such(self) -> None:
        with pytest.raises(NotReached):
            PostgresKeyStore(f"{self.dsn}_nobody", schema="here_keys").open()

    async def test_a_database_with_a_log_takes_no_keys(self) -> None:
        already = self.make()
        await PostgresEventStore(self.dsn, schema="other").migrate()
        with pytest.raises(WrongSetting, match=r"ENTENTE_KEY_STORE names a database that holds other\.stored_events"):
            already.open()
        with pytest.raises(WrongSetting, match="Give the keys a database of their own"):
            PostgresKeyStore(self.dsn, schema="new_keys").migrate()

    async def test_a_database_with_read_models_takes_no_keys(self) -> None:
        documents = PostgresReadStore(self.dsn, schema="other_read")
        await documents.open()
        await documents.close()
        with pytest.raises(WrongSetting, match=r"holds other_read\.models"):
            self.make()

    def test_it_goes_on_after_its_connection_was_cut(self, here: KeyStore) -> None:
        here.create(ANNA, b"a")
        cut_connections(self.dsn)
        assert here.read(ANNA) == b"a"
        cut_connections(self.dsn)
        assert here.create(BELA, b"b") == b"b"

    def test_a_database_without_its_tables_does_not_answer_until_they_are_back(self, here: KeyStore) -> None:
        here.create(ANNA, b"a")
        with psycopg.connect(self.dsn) as connection:
            connection.execute("ALTER SCHEMA here_keys RENAME TO not_yet")
        cut_connections(self.dsn)
        assert not here.answers()
        with pytest.raises(Busy, match="does not answer"):
            here.read(ANNA)
        with psycopg.connect(self.dsn) as connection:
            connection.execute("ALTER SCHEMA not_yet RENAME TO here_keys")
        until = time.monotonic() + 30
        while not here.answers():
            assert time.monotonic() < until
            time.sleep(0.05)
        assert here.read(ANNA) == b"a"

    def test_a_look_that_takes_long_turns_nobody_away_who_needs_a_key(self, here: KeyStore) -> None:
        here.create(ANNA, b"a")
        goes_on = Event()
        here._line._queue.put(goes_on.wait)  # type: ignore[attr-defined]
        assert not here.answers()
        goes_on.set()
        assert here.read(ANNA) == b"a"

    async def test_calls_of_one_turn_of_the_loop_ask_once_and_the_next_turn_asks_again(
        self, here: KeyStore, there: KeyStore
    ) -> None:
        here.create(ANNA, b"a")
        assert not there.changed()
        here.destroy("acme", "anna", None)
        assert not there.changed()
        await asyncio.sleep(0)
        assert there.changed()

    def test_what_all_have_in_hand_is_neither_renewed_nor_filled_by_one(
        self, here: KeyStore, there: KeyStore, tmp_path: Path
    ) -> None:
        here.create(ANNA, b"a")
        with pytest.raises(InUse, match="stop it first"):
            here.renew(lambda slot, wrapped: wrapped, "master")
        with closing(self.kept()) as kept:
            kept.copy_to(tmp_path / "copy.db")
            with pytest.raises(InUse, match="stop it first"):
                kept.bring_in(tmp_path / "copy.db")
        there.close()
        assert here.renew(lambda slot, wrapped: wrapped, "master") == 1

    def test_who_was_cut_off_while_the_master_key_was_renewed_wraps_no_key_by_the_old_one_and_ends(
        self, here: KeyStore, there: KeyStore, told_to_end: Event
    ) -> None:
        here.create(ANNA, b"a")
        there.close()
        cut_off = self.opened()
        cut_off._line._queue.put(cut_off._line._hang_up)  # type: ignore[attr-defined]
        cut_off._line._queue.put(self._renew(here))  # type: ignore[attr-defined]
        assert cut_off.create(BELA, b"by the old one") is None
        assert (here.read(BELA), cut_off.read(ANNA)) == (None, b"a")
        assert told_to_end.wait(30)
        cut_off.close()

    @pytest.fixture
    def told_to_end(self) -> Iterator[Event]:
        """Is set when this process is told to end."""
        told = Event()
        before = signal.signal(signal.SIGTERM, lambda *_: told.set())
        yield told
        signal.signal(signal.SIGTERM, before)

    @staticmethod
    def _renew(store: KeyStore):
        return lambda: store.renew(lambda slot, wrapped: wrapped, "master")


def keys_in(dsn: str, schema: str, master: Path) -> Keys:
    """The keys of a schema, ready, wrapped by a master key in a file."""
    store = PostgresKeyStore(dsn, schema=schema)
    store.migrate()
    keys = Keys(store, FileKeyWrapper(master, made=True))
    keys.prepare()
    return keys


@pytest.mark.usefixtures("postgres_server")
def test_a_database_that_freezes_holds_its_callers_up_once_and_for_a_second(tmp_path: Path) -> None:
    with temporary_folder("entente-keys-") as folder:
        server = Server(folder / "postgres")
        with at_work(server), closing(keys_in(server.dsn, "here_keys", tmp_path / "master.key")) as keys:
            box, digest = keys.seal("acme", "anna", "Anna"), keys.hmac("acme", "x")
            server.freeze()
            try:
                assert 0.9 < waited(keys, box) < 20
                assert sum(waited(keys, box) for _ in range(20)) < 10, "who comes later does not wait for a second each"
                assert keys.hmac("acme", "x") == digest, "no one forgets a tenant's own key"
            finally:
                server.thaw()
            assert opened_in_time(keys, box) == "Anna"
            server.kill()
            assert waited(keys, box) < 20
            server.start()
            assert opened_in_time(keys, box) == "Anna"


def test_a_database_that_comes_back_before_what_it_holds_is_waited_for(postgres: str) -> None:
    met = [psycopg.OperationalError(), psycopg.OperationalError(), psycopg.errors.UndefinedTable()]

    def connect() -> psycopg.Connection:
        if met:
            raise met.pop(0)
        return psycopg.connect(postgres, autocommit=True)

    with closing(Line("keys", connect)) as line:
        with pytest.raises(Busy, match="does not answer"):
            line.ask(lambda db: db.execute("SELECT 1"))
        until = time.monotonic() + 30
        while True:
            with suppress(Busy):
                assert line.ask(lambda db: db.execute("SELECT 7").fetchone()) == (7,)
                return
            assert time.monotonic() < until
            time.sleep(0.05)


def waited(keys: Keys, box: Sealed) -> float:
    begun = time.monotonic()
    with pytest.raises(Busy, match="does not answer"):
        keys.open("acme", box)  # though it is in memory: nobody knows whether it was destroyed
    return time.monotonic() - begun


def opened_in_time(keys: Keys, box: Sealed) -> str | None:
    until = time.monotonic() + 60
    while True:
        try:
            return keys.open("acme", box)
        except Busy:
            assert time.monotonic() < until
            time.sleep(0.05)


def test_keys_of_another_master_key_are_told_of_before_anybody_is_served(postgres: str, tmp_path: Path) -> None:
    keys = keys_in(postgres, "here_keys", tmp_path / "master.key")
    keys.seal("acme", "anna", "Anna")
    keys.close()
    with pytest.raises(MasterKeyMissing, match="opens no key that is kept"):
        keys_in(postgres, "here_keys", tmp_path / "another.key")
    store = keys_in(postgres, "other_keys", tmp_path / "master.key").store
    store.keep_master("wrapped by a KMS")
    with pytest.raises(MasterKeyMissing, match="set ENTENTE_KMS"):
        keys_in(postgres, "other_keys", tmp_path / "master.key")


class TestTakingAFileOver:
    @pytest.fixture(autouse=True)
    def a_file(self, postgres: str, tmp_path: Path) -> None:
        self.dsn, self.folder = postgres, tmp_path / "registration"
        self.master = self.folder / "master.key"
        before = Keys.in_directory(self.folder)
        self.box = before.seal("acme", "anna", "Anna")
        before.forget("acme", "bela", "cause-1")
        before.follow(12)
        before.close()

    def store(self) -> PostgresKeyStore:
        store = PostgresKeyStore(self.dsn, schema="here_keys")
        store.migrate()
        return store

    def test_its_keys_go_on_and_the_file_is_gone(self) -> None:
        assert keys_copy.take_over(KeysFile(self.folder), self.store(), self.master)
        keys = keys_in(self.dsn, "here_keys", self.master)
        assert (keys.open("acme", self.box), keys.followed()) == ("Anna", 12)
        assert {"master.key", "at-work.lock", "moving.lock"} == {path.name for path in self.folder.iterdir()}
        assert not keys_copy.take_over(KeysFile(self.folder), self.store(), self.master)

    def test_broken_off_before_the_file_was_gone_it_brings_nobody_back_who_was_forgotten_since(
        self, tmp_path: Path
    ) -> None:
        shutil.copytree(self.folder, tmp_path / "as before")
        with closing(self.store()) as store:
            keys_copy.take_over(KeysFile(self.folder), store, self.master)
        with closing(keys_in(self.dsn, "here_keys", self.master)) as keys:
            keys.forget("acme", "anna")
        shutil.copy(tmp_path / "as before" / "keys.db", self.folder)

        with closing(self.store()) as store:
            assert keys_copy.take_over(KeysFile(self.folder), store, self.master)

        keys = keys_in(self.dsn, "here_keys", self.master)
        assert keys.open("acme", self.box) is None
        assert not (self.folder / "keys.db").exists()

    def test_keys_that_were_made_beside_it_are_not_mixed_with_its_own(self) -> None:
        with closing(keys_in(self.dsn, "here_keys", self.master)) as keys:
            keys.seal("acme", "cora", "Cora")
        with pytest.raises(NotEmpty):
            keys_copy.take_over(KeysFile(self.folder), self.store(), self.master)
        assert (self.folder / "keys.db").exists()

    def test_keys_that_an_older_release_made_anew_are_not_thrown_away(self) -> None:
        with closing(self.store()) as store:
            keys_copy.take_over(KeysFile(self.folder), store, self.master)
        with closing(Keys.in_directory(self.folder)) as anew:
            anew.seal("acme", "cora", "Cora")
        with pytest.raises(NotEmpty):
            keys_copy.take_over(KeysFile(self.folder), self.store(), self.master)
        assert (self.folder / "keys.db").exists()

    def test_it_waits_until_nobody_works_with_the_file(self) -> None:
        store = self.store()
        with works_in(self.folder), pytest.raises(InUse):
            keys_copy.take_over(KeysFile(self.folder), store, self.master)
        assert keys_copy.take_over(KeysFile(self.folder), store, self.master)

    def test_a_damaged_file_and_one_of_another_master_key_stay(self, tmp_path: Path) -> None:
        FileKeyWrapper(tmp_path / "another.key", made=True)
        with pytest.raises(MasterKeyMissing, match="opens no key"):
            keys_copy.take_over(KeysFile(self.folder), self.store(), tmp_path / "another.key")
        (self.folder / "keys.db").write_bytes(b"damaged" * 1000)
        with pytest.raises(NoKeys):
            keys_copy.take_over(KeysFile(self.folder), self.store(), self.master)
        assert (self.folder / "keys.db").exists()
