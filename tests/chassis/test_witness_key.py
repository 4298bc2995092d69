"""The witness's key where no folder is shared: one for all processes, sealed by the keys, taken over from a file."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from chassis.clock import FixedClock
from chassis.desk.port import Desk
from chassis.desk.postgres import PostgresDesk
from chassis.key_store.sqlite import SqliteKeyStore
from chassis.keys import Keys, KeysLocked, PlainKeyWrapper
from chassis.note import NoteSigner
from chassis.witness_key import SUBJECT, SealedSigning, WitnessKeyClosed
from tests.chassis.logged import logged

ORIGIN = "entente/lighting/1"
MASTER = PlainKeyWrapper(bytes(range(32)))


@pytest.fixture
async def desk(postgres: str) -> AsyncIterator[Desk]:
    made = PostgresDesk(postgres, schema="lighting", clock=FixedClock(datetime(2026, 3, 3, tzinfo=UTC)))
    await made.migrate()
    await made.open()
    yield made
    await made.close()


def keys_in(path: Path, *, locked: bool = False) -> Keys:
    keys = Keys(SqliteKeyStore(path), None if locked else MASTER)
    keys.store.migrate()
    keys.prepare()
    return keys


def signing(desk: Desk, keys: Keys, folder: Path) -> SealedSigning:
    assert desk.seeds is not None
    return SealedSigning(ORIGIN, desk.seeds, keys, folder / "lighting-witness.key")


async def key_of(one: SealedSigning) -> str:
    return (await one()).verifier.vkey


async def test_all_processes_of_a_service_sign_with_one_key(desk: Desk, tmp_path: Path) -> None:
    one, other = (signing(desk, keys_in(tmp_path / "keys.db"), tmp_path / name) for name in ("one", "other"))
    assert await key_of(one) == await key_of(other)
    assert await key_of(signing(desk, keys_in(tmp_path / "keys.db"), tmp_path)) == await key_of(one)


async def test_the_key_of_an_older_release_is_taken_over_and_told(desk: Desk, tmp_path: Path) -> None:
    before = NoteSigner.in_file(ORIGIN, tmp_path / "lighting-witness.key").verifier.vkey
    keys = keys_in(tmp_path / "keys.db")
    with logged() as lines:
        assert await key_of(signing(desk, keys, tmp_path)) == before
    assert "witness_key_taken_over" in lines.getvalue()
    (tmp_path / "lighting-witness.key").unlink()
    assert await key_of(signing(desk, keys, tmp_path)) == before


async def test_the_one_key_that_a_release_of_before_kept_sealed_goes_on_signing(
    desk: Desk, postgres: str, tmp_path: Path
) -> None:
    keys = keys_in(tmp_path / "keys.db")
    before = await key_of(signing(desk, keys, tmp_path))
    with psycopg.connect(postgres, options="-c search_path=lighting") as db:
        db.execute("CREATE TABLE witness_key (only_one boolean PRIMARY KEY CHECK (only_one), subject text, box text)")
        db.execute("INSERT INTO witness_key SELECT true, subject, box FROM witness_seeds")
        db.execute("DROP TABLE witness_seeds")
    await desk.migrate()
    assert await key_of(signing(desk, keys, tmp_path)) == before


async def test_who_has_the_database_of_the_log_alone_cannot_sign(desk: Desk, tmp_path: Path) -> None:
    seed = os.urandom(32)
    (tmp_path / "lighting-witness.key").write_bytes(seed)
    await key_of(signing(desk, keys_in(tmp_path / "keys.db"), tmp_path))
    assert desk.seeds is not None
    [kept] = await desk.seeds.kept()
    assert keys_in(tmp_path / "other.db").open("shared", kept) is None


async def test_while_keys_are_locked_nothing_is_signed_and_no_key_is_made(desk: Desk, tmp_path: Path) -> None:
    keys = keys_in(tmp_path / "keys.db", locked=True)
    one = signing(desk, keys, tmp_path)
    with pytest.raises(KeysLocked):
        await one()
    assert desk.seeds is not None
    assert await desk.seeds.kept() == []
    keys.unlock(MASTER)
    assert await key_of(one) == await key_of(signing(desk, keys, tmp_path))


async def test_other_keys_make_no_other_key_of_the_witness_and_are_told_what_to_look_at(
    desk: Desk, tmp_path: Path
) -> None:
    right, wrong = keys_in(tmp_path / "keys.db"), keys_in(tmp_path / "set-wrongly.db")
    before = await key_of(signing(desk, right, tmp_path))
    for _ in range(2):
        with pytest.raises(WitnessKeyClosed, match="ENTENTE_KEY_STORE names the store with this service's keys"):
            await signing(desk, wrong, tmp_path)()
    assert await key_of(signing(desk, right, tmp_path)) == before


async def test_a_key_that_is_lost_for_good_is_followed_by_one_that_somebody_asks_for(
    desk: Desk, tmp_path: Path
) -> None:
    lost = keys_in(tmp_path / "keys.db")
    before = await key_of(signing(desk, lost, tmp_path))
    assert desk.seeds is not None
    [old] = await desk.seeds.kept()
    assert await signing(desk, lost, tmp_path).anew() is None  # it is not lost
    lost.forget("shared", SUBJECT)
    made = await signing(desk, lost, tmp_path).anew()
    assert made is not None
    assert made.verifier.vkey != before
    assert await key_of(signing(desk, lost, tmp_path)) == made.verifier.vkey
    assert (await desk.seeds.kept())[0] == old


async def test_two_that_make_the_first_key_at_once_agree_on_one(desk: Desk, tmp_path: Path) -> None:
    both = [signing(desk, keys_in(tmp_path / "keys.db"), tmp_path) for _ in range(2)]
    one, other = await asyncio.gather(*(key_of(each) for each in both))
    assert one == other
