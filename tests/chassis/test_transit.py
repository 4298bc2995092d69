"""A KMS keeps the master key: a transit engine, real and made to fail, and what a service does when it is away or refuses."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag

from chassis.key_store.sqlite import SqliteKeyStore
from chassis.keys import Keys, KeysLocked, MasterKeyMissing
from chassis.master_key import REFUSALS_MAX, KmsAway, KmsRefused, MasterKey
from chassis.settings import ServiceSettings
from chassis.transit import ANSWER_BYTES_MAX, InsecureKms, Transit
from tests.chassis.transit_engine import TOKEN, TransitEngine
from tests.engines import openbao

KEY = b"k" * 32


@dataclass(frozen=True)
class Place:
    """A transit engine with the key `entente-x`."""

    url: str
    token: str
    rotate: Callable[[], Any]


class KmsConformance:
    """What every KMS promises. `place` is one with its key."""

    @pytest.fixture
    def kms(self, place: Place, tmp_path: Path) -> Transit:
        return self.of(place, place.token, tmp_path)

    def of(self, place: Place, token: str, folder: Path) -> Transit:
        (folder / "token").write_text(f"{token}\n")
        return Transit(place.url, "entente-x", token=folder / "token")

    async def test_what_is_wrapped_is_unwrapped_and_stands_nowhere_in_between(self, kms: Transit) -> None:
        wrapped = await kms.wrap(KEY)
        assert wrapped != await kms.wrap(KEY)
        assert KEY.hex() not in wrapped.encode().hex()
        assert KEY == await kms.unwrap(wrapped)

    async def test_after_a_rotation_the_old_opens_and_is_wrapped_anew(self, kms: Transit, place: Place) -> None:
        old = await kms.wrap(KEY)
        place.rotate()
        new = await kms.rewrap(old)
        assert new.split(":")[1] != old.split(":")[1]
        assert KEY == await kms.unwrap(old) == await kms.unwrap(new)

    async def test_a_wrong_token_and_what_it_never_wrapped_are_refused(
        self, kms: Transit, place: Place, tmp_path: Path
    ) -> None:
        wrapped = await kms.wrap(KEY)
        with pytest.raises(KmsRefused, match="403: permission denied"):
            await self.of(place, "wrong", tmp_path).unwrap(wrapped)
        (tmp_path / "token").write_text(place.token)
        with pytest.raises(KmsRefused, match="400: invalid ciphertext"):
            await kms.unwrap("vault:v1:AAAA")
        with pytest.raises(KmsRefused, match="400: encryption key not found"):
            await Transit(place.url, "entente-y", token=tmp_path / "token").unwrap(wrapped)


class TestEngineOfTests(KmsConformance):
    @pytest.fixture
    async def place(self) -> AsyncIterator[Place]:
        engine = TransitEngine()
        engine.rotate("entente-x")
        async with engine.serving() as url:
            yield Place(url, TOKEN, lambda: engine.rotate("entente-x"))


class TestOpenBao(KmsConformance):
    @pytest.fixture
    def place(self, bao: openbao.OpenBao) -> Place:
        bao.ask("POST", "transit/keys/entente-x")
        return Place(f"{bao.url}/transit", openbao.TOKEN, lambda: bao.ask("POST", "transit/keys/entente-x/rotate"))

    async def test_the_rights_that_the_documents_name_are_enough(
        self, bao: openbao.OpenBao, place: Place, tmp_path: Path
    ) -> None:
        rules = "".join(
            f'path "transit/{what}/entente-x" {{ capabilities = ["update"] }}\n'
            for what in ("encrypt", "decrypt", "rewrap")
        )
        bao.ask("PUT", "sys/policies/acl/entente-x", {"policy": rules})
        made = bao.ask("POST", "auth/token/create", {"policies": ["entente-x"]})
        token = made.split(b'"client_token":"')[1].split(b'"')[0].decode()
        kms = self.of(place, token, tmp_path)
        assert KEY == await kms.unwrap(await kms.rewrap(await kms.wrap(KEY)))


# Away, and how long a caller waits


@pytest.fixture
async def engine() -> TransitEngine:
    engine = TransitEngine()
    engine.rotate("entente-x")
    return engine


@pytest.mark.parametrize(("status", "text"), [(503, None), (429, None), (412, None), (500, "<html>"), (200, "{}")])
async def test_an_engine_that_cannot_now_is_asked_three_times(
    engine: TransitEngine, status: int, text: str | None, tmp_path: Path
) -> None:
    engine.status, engine.text = status, text
    async with engine.serving() as url:
        with pytest.raises(KmsAway, match=str(status)):
            await transit(url, tmp_path).wrap(KEY)
    assert engine.calls == 3


async def test_an_engine_that_never_answers_keeps_nobody(
    engine: TransitEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.transit.CALL_SECONDS", 0.05)
    engine.silent = True
    async with engine.serving() as url:
        with pytest.raises(KmsAway, match="TimeoutError"):
            await transit(url, tmp_path).wrap(KEY)
    with pytest.raises(KmsAway, match="does not answer"):
        await transit(url, tmp_path).wrap(KEY)


async def test_what_is_no_base64_is_no_key(engine: TransitEngine, tmp_path: Path) -> None:
    engine.text = '{"data": {"plaintext": "?"}}'
    async with engine.serving() as url:
        with pytest.raises(KmsAway, match="no base64"):
            await transit(url, tmp_path).unwrap("vault:v1:AAAA")


async def test_an_answer_may_come_in_pieces_and_is_not_read_without_end(engine: TransitEngine, tmp_path: Path) -> None:
    engine.text, engine.pieces = '{"data": {"plaintext": "a2V5"}}', 3
    async with engine.serving() as url:
        assert await transit(url, tmp_path).unwrap("vault:v1:AAAA") == b"key"
        engine.text = " " * ANSWER_BYTES_MAX + engine.text
        with pytest.raises(KmsAway, match="more than"):
            await transit(url, tmp_path).unwrap("vault:v1:AAAA")


async def test_a_token_that_is_not_there_yet_is_a_refusal(engine: TransitEngine, tmp_path: Path) -> None:
    async with engine.serving() as url:
        with pytest.raises(KmsRefused, match="no token"):
            await Transit(url, "entente-x", token=tmp_path / "none").wrap(KEY)


def test_outside_development_the_way_to_it_is_closed_to_others() -> None:
    def asked_at(url: str, environment: str = "production") -> Transit:
        return Transit.of(ServiceSettings(environment=environment, kms=url), "x")

    asked_at("https://kms.example.com/v1/transit")
    asked_at("http://127.0.0.1:8100/v1/transit")
    asked_at("http://localhost:8100/v1/transit")
    asked_at("http://kms.example.com/v1/transit", "development")
    with pytest.raises(InsecureKms, match="ENTENTE_KMS"):
        asked_at("http://kms.example.com/v1/transit")


# The master key of a service


@pytest.fixture
async def url(engine: TransitEngine) -> AsyncIterator[str]:
    async with engine.serving() as url:
        yield url


@pytest.fixture
def opened() -> Iterator[list[Keys]]:
    keys: list[Keys] = []
    yield keys
    for one in keys:
        one.close()


@pytest.fixture
def master(url: str, tmp_path: Path, opened: list[Keys]) -> Callable[..., MasterKey]:
    def make(plain: Path | None = None) -> MasterKey:
        opened.append(Keys(SqliteKeyStore(tmp_path / "keys.db"), None))
        plain = plain or tmp_path / "master.key"
        return MasterKey(opened[-1], transit(url, tmp_path), plain=plain, check_seconds=0.01)

    return make


def transit(url: str, folder: Path) -> Transit:
    (folder / "token").write_text(TOKEN)
    kms = Transit(url, "entente-x", token=folder / "token")
    kms._backoff = NO_PAUSE
    return kms


class NoPause:
    def pause_seconds(self, failures: int) -> float:
        return 0.001 * failures


NO_PAUSE: Any = NoPause()


async def test_until_the_engine_answers_the_keys_are_locked_and_nothing_is_lost(
    engine: TransitEngine, master: Callable[..., MasterKey]
) -> None:
    first = master()
    assert await first.check()
    box = first.keys.seal("acme", "anna", "Anna")

    engine.status = 503
    again = master()
    assert not await again.check()
    assert again.state() == {"locked": True, "kms": again.said}
    with pytest.raises(KeysLocked) as locked:
        again.keys.open("acme", box)
    assert (locked.value.status, locked.value.slug, locked.value.retry_after_seconds) == (503, "keys-locked", 5)
    with pytest.raises(KeysLocked):
        again.keys.hmac("acme", "x")
    again.keys.forget("acme", "bela")  # to forget, no key is needed

    watching = asyncio.create_task(again.watch())
    again._backoff = NO_PAUSE
    engine.status = None
    async with asyncio.timeout(30):
        while again.locked:
            await asyncio.sleep(0.01)
    watching.cancel()
    assert (again.keys.open("acme", box), again.state()) == ("Anna", {"locked": False, "kms": "agrees"})


async def test_an_engine_that_goes_away_stops_nobody_who_is_unlocked(
    engine: TransitEngine, master: Callable[..., MasterKey]
) -> None:
    here = master()
    await here.check()
    engine.status = 503
    for _ in range(REFUSALS_MAX + 1):
        assert not await here.check()
    assert "503" in str(here.said)
    assert here.keys.open("acme", here.keys.seal("acme", "anna", "Anna")) == "Anna"


async def test_a_key_that_is_withdrawn_locks_what_is_in_memory_and_one_that_is_given_back_unlocks_it(
    engine: TransitEngine, master: Callable[..., MasterKey]
) -> None:
    here = master()
    await here.check()
    box = here.keys.seal("acme", "anna", "Anna")
    engine.token = "another"
    for _ in range(REFUSALS_MAX - 1):
        await here.check()
        assert here.keys.open("acme", box) == "Anna"  # a token that is being renewed is no withdrawal
    await here.check()
    with pytest.raises(KeysLocked):
        here.keys.open("acme", box)
    engine.token = TOKEN
    await here.check()
    assert here.keys.open("acme", box) == "Anna"


async def test_two_that_start_together_agree_on_one_master_key(master: Callable[..., MasterKey]) -> None:
    both = [master(), master()]
    await asyncio.gather(*(one.unlock() for one in both))
    assert both[1].keys.open("acme", both[0].keys.seal("acme", "anna", "Anna")) == "Anna"


def stored_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_the_master_key_stands_nowhere_in_the_clear(master: Callable[..., MasterKey], tmp_path: Path) -> None:
    here = master()
    await here.unlock()
    key = await here._kms.unwrap(str(here.keys.master))
    here.keys.seal("acme", "anna", "Anna")
    assert key not in stored_in(tmp_path)
    assert not (tmp_path / "master.key").exists()


# From a file to the engine, and to newer keys


async def test_a_master_key_in_a_file_is_taken_over(
    master: Callable[..., MasterKey], opened: list[Keys], tmp_path: Path
) -> None:
    opened.append(Keys.in_directory(tmp_path))
    box = opened[-1].seal("acme", "anna", "Anna")
    await master().unlock()
    (tmp_path / "master.key").unlink()
    here = master()
    await here.unlock()
    assert here.keys.open("acme", box) == "Anna"
    with pytest.raises(MasterKeyMissing, match="ENTENTE_KMS"):
        Keys.in_directory(tmp_path)


async def test_keys_whose_master_key_is_lost_or_another_get_no_new_one(
    master: Callable[..., MasterKey], opened: list[Keys], tmp_path: Path
) -> None:
    opened.append(Keys.in_directory(tmp_path))
    opened[-1].seal("acme", "anna", "Anna")
    (tmp_path / "wrong.key").write_bytes(KEY)
    for plain in (tmp_path / "none.key", tmp_path / "wrong.key"):
        with pytest.raises(MasterKeyMissing, match=plain.name):
            await master(plain).check()
        assert master().keys.master is None


async def test_an_engine_that_unwraps_another_key_unlocks_nothing(
    master: Callable[..., MasterKey], url: str, tmp_path: Path
) -> None:
    here = master()
    here.keys.keep_master(await transit(url, tmp_path).wrap(b"short"))
    with pytest.raises(KmsRefused, match="no master key"):
        await here.unlock()
    assert here.locked


async def test_a_rotated_key_of_the_engine_wraps_the_master_key_anew_beside_those_who_use_it(
    engine: TransitEngine, master: Callable[..., MasterKey]
) -> None:
    here = master()
    await here.unlock()
    box = here.keys.seal("acme", "anna", "Anna")
    engine.rotate("entente-x")
    await master().rewrap()
    assert str(here.keys.master).startswith("vault:v2:")
    assert await here.check()
    assert here.keys.open("acme", box) == "Anna"


async def test_another_master_key_wraps_every_key_in_one_step_and_the_old_one_opens_none(
    master: Callable[..., MasterKey], tmp_path: Path
) -> None:
    here = master()
    await here.unlock()
    old, boxes = here.keys.master, [here.keys.seal("acme", f"s-{n}", str(n)) for n in range(50)]
    digest = here.keys.hmac("acme", "x")
    assert await master().renew() == 51
    again = master()
    await again.unlock()
    assert [again.keys.open("acme", box) for box in boxes] == [str(n) for n in range(50)]
    assert (again.keys.master != old, again.keys.hmac("acme", "x")) == (True, digest)
    with sqlite3.connect(tmp_path / "keys.db") as database:
        wrapped = [row[0] for row in database.execute("SELECT wrapped FROM data_key")]
    assert len(set(wrapped)) == 51


async def test_a_renewal_that_fails_changes_nothing(engine: TransitEngine, master: Callable[..., MasterKey]) -> None:
    here = master()
    await here.unlock()
    box, kept = here.keys.seal("acme", "anna", "Anna"), here.keys.master
    never = bytes(60)  # what no master key ever wrapped
    here.keys.store._database.execute("INSERT INTO data_key VALUES ('acme', 'seal', 'bela', ?)", (never,))
    with pytest.raises(InvalidTag):
        await master().renew()
    again = master()
    await again.unlock()
    assert (again.keys.open("acme", box), again.keys.master) == ("Anna", kept)
    engine.destroy("entente-x")
    with pytest.raises(KmsRefused):
        await again.renew()
    assert again.keys.open("acme", box) == "Anna"
