"""With log, read models and keys in PostgreSQL a service keeps nothing in files: its pods need no volume, and no node."""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from chassis.access import Access
from chassis.cli import order_of
from chassis.clock import FixedClock
from chassis.desk.sqlite import SqliteDesk
from chassis.identity import SigningKeys
from chassis.keys import FileKeyWrapper, Keys
from chassis.note import NoteSigner
from chassis.parking import PARKED
from chassis.presence import InUse
from chassis.process import make_world, opened, running
from chassis.service import Blueprint, Service, assemble
from chassis.settings import ServiceSettings
from chassis.testing.desk_conformance import GROUP, messages_of
from chassis.verify import verify
from chassis.witness_key import WitnessKeyClosed
from tests.engines import at_work, temporary_folder
from tests.engines import postgres as engine

BLUEPRINT = Blueprint(name="testing", handles=(), access=Access({}), routers=(), publish=lambda seen: None)


@pytest.fixture
def key_store(postgres_server: str) -> Iterator[str]:
    """Keys lie in a database that holds no log."""
    with engine.fresh_database(postgres_server) as dsn:
        yield dsn


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """What a secret store brings."""
    folder = tmp_path / "secrets"
    folder.mkdir()
    SigningKeys(folder / "signing.json")
    FileKeyWrapper(folder / "master.key", made=True)
    return folder


def on_node(folder: Path, postgres: str, key_store: str, secrets: Path) -> Service:
    """The service in a pod of some node, whose folder goes with it."""
    settings = ServiceSettings(
        data=folder,
        postgres=postgres,
        read_store=postgres,
        key_store=key_store,
        signing_keys=secrets / "signing.json",
        master_key=secrets / "master.key",
    )
    return assemble(BLUEPRINT, settings, make_world(settings))


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


async def test_pods_of_one_service_share_no_file_and_know_the_same(
    tmp_path: Path, postgres: str, key_store: str, secrets: Path
) -> None:
    one, other = (on_node(tmp_path / name, postgres, key_store, secrets) for name in ("one", "other"))
    async with running([one], one.world), running([other], other.world):
        [message] = await messages_of("a")
        await one.parking.park(GROUP, [(message, PARKED)], "a bug")
        await other.application.parked.replay(order_of("ada"), by="ada")
        sealed = one.application.keys.seal("acme", "anna", "Anna Adams")
        assert one.witness
        assert other.witness
        checkpoint = await one.witness.checkpoint()

        assert [row.state for row in await one.parking.listed()] == ["replay"]
        assert other.application.keys.open("acme", sealed) == "Anna Adams"
        assert await other.witness.checkpoint() == checkpoint
        assert (await other.witness.signer()).verifier.open(checkpoint or "")
        assert (await other.readiness())["parked"] == 1
        leaves, key = other.witness.leaves, (await other.witness.signer()).verifier
        assert (await verify(other.store, leaves, await leaves.checkpoints(), key)).holds
        assert files(tmp_path / "one") == files(tmp_path / "other") == []
    assert files(tmp_path / "one") == files(tmp_path / "other") == []


@pytest.mark.parametrize("wrong", ["of another system", "not set"])
async def test_a_start_with_other_keys_is_refused_and_changes_nothing(
    tmp_path: Path, postgres: str, key_store: str, secrets: Path, postgres_server: str, wrong: str
) -> None:
    one = on_node(tmp_path / "one", postgres, key_store, secrets)
    async with running([one], one.world):
        assert one.witness
        before = (await one.witness.signer()).verifier.vkey
    with engine.fresh_database(postgres_server) as elsewhere:
        other = on_node(tmp_path / "other", postgres, elsewhere if wrong == "of another system" else "", secrets)
        with pytest.raises(
            WitnessKeyClosed, match="see that ENTENTE_KEY_STORE names the store with this service's keys"
        ):
            async with running([other], other.world):
                pass
    again = on_node(tmp_path / "again", postgres, key_store, secrets)
    async with running([again], again.world):
        assert again.witness
        assert (await again.witness.signer()).verifier.vkey == before


async def test_keys_on_the_server_of_the_log_are_warned_of_and_others_not(
    tmp_path: Path, postgres: str, key_store: str, secrets: Path
) -> None:
    with temporary_folder("entente-keys-") as folder, engine.serving(folder / "postgres") as elsewhere:
        for keys, warned in ((key_store.replace("127.0.0.1", "localhost"), True), (elsewhere, False)):
            service = on_node(tmp_path / "one", postgres, keys, secrets)
            with capture_logs() as logs:
                await service._look_where_keys_lie()
            assert ["keys_share_a_server" in line["event"] for line in logs] == [True] * warned


async def test_keys_whose_database_is_away_are_told_of_and_the_rest_is_ready(
    tmp_path: Path, postgres: str, secrets: Path
) -> None:
    with temporary_folder("entente-keys-") as folder:
        server = engine.Server(folder / "postgres")
        with at_work(server):
            one = on_node(tmp_path / "one", postgres, server.dsn, secrets)
            async with running([one], one.world):
                assert "keys" not in await one.readiness()
                server.kill()
                told = await one.readiness()
                assert (told["ready"], told["keys"]) == (True, {"away": True})
                assert b'entente_keys_away{service="testing"} 1.0' in await one.figures()
                server.start()
                async with asyncio.timeout(60):
                    while "keys" in await one.readiness():
                        await asyncio.sleep(0.05)
                assert b'entente_keys_away{service="testing"} 0.0' in await one.figures()


async def test_whoever_has_to_be_alone_is_told_of_a_pod_on_another_node(
    tmp_path: Path, postgres: str, key_store: str, secrets: Path
) -> None:
    one, other = (on_node(tmp_path / name, postgres, key_store, secrets) for name in ("one", "other"))
    async with running([one], one.world):
        with pytest.raises(InUse, match="another process works with what testing keeps in PostgreSQL"):
            async with opened([other], other.world, alone=True):
                pass


async def test_the_key_of_a_witness_with_a_volume_signs_on_where_there_is_none(
    tmp_path: Path, postgres: str, key_store: str, secrets: Path
) -> None:
    """Also where nothing was recorded in between, which would have been signed."""
    (tmp_path / "volume" / "testing").mkdir(parents=True)
    before = NoteSigner.in_file("entente/testing/1", tmp_path / "volume" / "testing" / "testing-witness.key")
    one, other = (on_node(tmp_path / name, postgres, key_store, secrets) for name in ("volume", "pod"))
    async with running([one], one.world):
        pass
    async with running([other], other.world):
        assert other.witness
        assert (await other.witness.signer()).verifier.vkey == before.verifier.vkey


async def test_replicas_that_find_the_files_of_an_older_release_at_once_all_start(
    tmp_path: Path, postgres: str, key_store: str, secrets: Path
) -> None:
    """On one volume: one moves keys and desk, the others wait for it, and none is in the way of who goes on."""
    folder = tmp_path / "volume" / "testing"
    with closing(Keys.in_directory(folder, secrets / "master.key")) as keys:
        sealed = keys.seal("acme", "anna", "Anna Adams")
    desk = SqliteDesk(folder, "testing", FixedClock(datetime(2026, 3, 3, tzinfo=UTC)))
    await desk.migrate()
    await desk.positions.set("relay", 7)
    await desk.close()
    replicas = [on_node(tmp_path / "volume", postgres, key_store, secrets) for _ in range(4)]
    async with AsyncExitStack() as stack:
        starting = [stack.enter_async_context(running([one], one.world)) for one in replicas]
        await asyncio.gather(*starting)
        for one in replicas:
            assert one.application.keys.open("acme", sealed) == "Anna Adams"
            assert await one.positions.get("relay") == 7
