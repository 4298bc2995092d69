"""Personal text: who opens it, and that nobody does once its subject is forgotten, by a master key in a file or by a KMS."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis import secret_file
from chassis.event import Sealed
from chassis.key_store.port import KeyStore
from chassis.key_store.postgres import PostgresKeyStore
from chassis.key_store.sqlite import SqliteKeyStore
from chassis.keys import FileKeyWrapper, Keys, KeysLocked
from chassis.master_key import MasterKey
from chassis.transit import Transit
from tests.chassis.transit_engine import TOKEN, TransitEngine

Open = Callable[[Path], Keys]


def in_a_file(directory: Path) -> KeyStore:
    return SqliteKeyStore(directory / "keys.db")


def by_kms(store: Callable[[Path], KeyStore] = in_a_file) -> Open:
    engine = TransitEngine()
    engine.rotate("entente-x")

    async def unlocked(directory: Path) -> Keys:
        keys, token = Keys(store(directory), None), directory / "token"
        await asyncio.to_thread(secret_file.make_once, token, TOKEN.encode())
        async with engine.serving() as url:
            kms = Transit(url, "entente-x", token=token)
            await MasterKey(keys, kms, plain=directory / "master.key", check_seconds=60).unlock()
        return keys

    return lambda directory: asyncio.run(unlocked(directory))


def by_file(store: Callable[[Path], KeyStore]) -> Open:
    return lambda directory: Keys(store(directory), FileKeyWrapper(directory / "master.key", made=True))


@pytest.fixture(params=["SQLite", pytest.param("PostgreSQL", marks=pytest.mark.engine)])
def store(request: pytest.FixtureRequest) -> Callable[[Path], KeyStore]:
    """Opens the key store of a directory, each time the same."""
    if request.param == "SQLite":
        return in_a_file
    dsn = request.getfixturevalue("postgres")

    def opened(directory: Path) -> PostgresKeyStore:
        made = PostgresKeyStore(dsn, schema="here_keys")
        made.migrate()
        made.open()
        return made

    return opened


@pytest.fixture(params=["a file", "a KMS"])
def open_keys(request: pytest.FixtureRequest, store: Callable[[Path], KeyStore]) -> Open:
    """Opens the keys of a directory, each time with the same master key."""
    return by_file(store) if request.param == "a file" else by_kms(store)


@pytest.fixture(params=["a file", "a KMS"])
def open_file(request: pytest.FixtureRequest) -> Open:
    """As `open_keys`, where the keys are a file."""
    return by_file(in_a_file) if request.param == "a file" else by_kms()


@pytest.fixture
def keys(open_keys: Open, tmp_path: Path):
    opened = open_keys(tmp_path)
    yield opened
    opened.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(max_size=300), subject=st.text(min_size=1, max_size=20).filter(lambda s: s.isprintable()))
def test_what_is_sealed_opens_again(keys: Keys, text: str, subject: str) -> None:
    assert text == keys.open("acme", keys.seal("acme", subject, text))


def test_the_same_text_never_gives_the_same_box(keys: Keys) -> None:
    assert keys.seal("acme", "anna", "Anna") != keys.seal("acme", "anna", "Anna")


def test_a_box_opens_under_its_own_tenant_and_subject_only(keys: Keys) -> None:
    sealed = keys.seal("acme", "anna", "Anna")
    keys.seal("acme", "bert", "Bert")
    keys.seal("other", "anna", "Anna")
    assert keys.open("acme", Sealed(subject="bert", box=sealed.box)) is None
    assert keys.open("other", sealed) is None


@pytest.mark.parametrize("box", ["", "A", "AAAA", "é", "A" * 200])
def test_a_damaged_box_does_not_open(keys: Keys, box: str) -> None:
    keys.seal("acme", "anna", "Anna")
    assert keys.open("acme", Sealed(subject="anna", box=box)) is None


def test_a_forgotten_subject_is_unreadable_for_ever(keys: Keys) -> None:
    sealed = keys.seal("acme", "anna", "Anna")
    keys.forget("acme", "anna")
    assert keys.open("acme", sealed) is None
    later = keys.seal("acme", "anna", "Anna again")
    assert keys.open("acme", sealed) is None
    assert keys.open("acme", later) == "Anna again"


def test_forgetting_touches_nobody_else(keys: Keys) -> None:
    kept = keys.seal("acme", "bert", "Bert")
    elsewhere = keys.seal("other", "anna", "Anna")
    natural_key = keys.hmac("acme", "anna@example.org")
    keys.forget("acme", "anna")
    keys.forget("acme", "anna")
    assert (keys.open("acme", kept), keys.open("other", elsewhere)) == ("Bert", "Anna")
    assert natural_key == keys.hmac("acme", "anna@example.org")


def test_what_another_process_forgot_is_forgotten_here_at_once(open_keys: Open, tmp_path: Path) -> None:
    here, there = open_keys(tmp_path), open_keys(tmp_path)
    sealed = here.seal("acme", "anna", "Anna")
    assert there.open("acme", sealed) == "Anna"
    there.forget("acme", "anna")
    assert here.open("acme", sealed) is None


def test_a_forgotten_key_is_gone_from_the_files(open_file: Open, tmp_path: Path) -> None:
    keys = open_file(tmp_path)
    keys.seal("acme", "anna", "Anna")
    wrapped = keys.store._database.execute("SELECT wrapped FROM data_key").fetchone()[0]
    keys.forget("acme", "anna")
    keys.close()
    assert not any(wrapped in path.read_bytes() for path in tmp_path.iterdir())


def test_keys_outlive_a_restart(open_keys: Open, tmp_path: Path) -> None:
    first = open_keys(tmp_path)
    sealed, digest = first.seal("acme", "anna", "Anna"), first.hmac("acme", "x")
    first.close()
    second = open_keys(tmp_path)
    assert ("Anna", digest) == (second.open("acme", sealed), second.hmac("acme", "x"))


def test_only_their_owner_reads_the_keys(tmp_path: Path) -> None:
    Keys.in_directory(tmp_path).close()
    assert {0o600} == {(tmp_path / name).stat().st_mode & 0o777 for name in ("master.key", "keys.db")}


def test_neither_text_nor_key_stands_in_the_files(open_file: Open, tmp_path: Path) -> None:
    keys = open_file(tmp_path)
    keys.seal("acme", "anna", "Annas secret text")
    key = keys._known.get(("acme", "seal", "anna"))
    keys.close()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"secret text" not in stored
    assert key not in stored


def test_another_master_key_opens_nothing(tmp_path: Path) -> None:
    sealed = Keys.in_directory(tmp_path).seal("acme", "anna", "Anna")
    stranger = Keys(SqliteKeyStore(tmp_path / "keys.db"), FileKeyWrapper(tmp_path / "other.key", made=True))
    with pytest.raises(InvalidTag):
        stranger.open("acme", sealed)


def test_equal_texts_of_a_tenant_have_equal_hashes_and_tenants_differ(keys: Keys) -> None:
    assert keys.hmac("acme", "a@b.example") == keys.hmac("acme", "a@b.example")
    assert keys.hmac("acme", "a@b.example") != keys.hmac("other", "a@b.example")
    assert len(keys.hmac("acme", "")) == 64


def test_a_small_cache_only_costs_time(store: Callable[[Path], KeyStore], tmp_path: Path) -> None:
    keys = Keys(store(tmp_path), FileKeyWrapper(tmp_path / "master.key", made=True), cache_limit=2)
    boxes = [keys.seal("acme", f"s-{n}", str(n)) for n in range(20)]
    assert [str(n) for n in range(20)] == [keys.open("acme", box) for box in boxes]
    assert len(keys._known) == 2


def test_threads_and_processes_that_start_together_agree_on_the_keys(open_keys: Open, tmp_path: Path) -> None:
    boxes = []

    def work():
        keys = open_keys(tmp_path)
        boxes.append(keys.seal("acme", "anna", "Anna"))
        keys.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = open_keys(tmp_path)
    assert [keys.open("acme", box) for box in boxes] == ["Anna"] * 8


def test_a_master_key_that_a_secret_store_brings_wraps_the_keys_of_every_service(tmp_path: Path) -> None:
    master = tmp_path / "secret" / "master.key"
    master.parent.mkdir()
    master.write_bytes(b"k" * 32)
    one = Keys.in_directory(tmp_path, master)
    box = one.seal("acme", "person-1", "Anna")
    one.close()
    assert not (tmp_path / "master.key").exists()
    again = Keys.in_directory(tmp_path, master)
    assert again.open("acme", box) == "Anna"
    again.close()


def test_a_master_key_that_is_named_and_not_there_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Keys.in_directory(tmp_path, tmp_path / "master.key")


def test_what_is_sealed_in_passing_is_opened_here_and_leaves_no_key_in_the_store(
    open_keys: Open, tmp_path: Path
) -> None:
    keys, elsewhere = open_keys(tmp_path), open_keys(tmp_path)
    first, again = (keys.seal_in_passing("acme", "anna", text) for text in ("Anna", "Anna Beta"))
    assert [keys.open("acme", one) for one in (first, again)] == ["Anna", "Anna Beta"]
    assert elsewhere.open("acme", first) is None
    assert keys.empty

    kept = keys.seal("acme", "anna", "Anna")
    assert [keys.open("acme", one) for one in (first, kept)] == ["Anna", "Anna"], "also where its key is made meanwhile"
    assert elsewhere.open("acme", keys.seal_in_passing("acme", "anna", "Anna")) == "Anna", "a key that is kept is used"

    keys.forget("acme", "anna")
    assert [keys.open("acme", one) for one in (first, kept)] == [None, None]
    keys.lock()
    with pytest.raises(KeysLocked):
        keys.seal_in_passing("acme", "otto", "Otto")
