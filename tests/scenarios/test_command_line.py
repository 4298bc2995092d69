"""What an operator types: a rebuild keeps off a system that runs, and refusals are sentences."""

import asyncio
import re
import socket
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from typer.testing import CliRunner, Result

from chassis.cli import command_line
from chassis.keys import FileKeyWrapper, Keys
from chassis.presence import InUse, at_work
from chassis.transport.port import topic_of
from services.__main__ import cli
from services.registration import app as registration
from tests.engines.openbao import TOKEN, OpenBao

ONE = command_line("registration", registration.Settings, registration.build)


def said(result: Result, status: int) -> str:
    """What a command said that ended with this status and without a traceback."""
    assert status == result.exit_code, result.output
    assert "Traceback" not in result.output
    return result.output


@pytest.fixture
def type_in(tmp_path: Path) -> object:
    def typed(command: object, *words: str) -> Result:
        return CliRunner().invoke(command, [*words, "--data", str(tmp_path)])  # type: ignore[arg-type]

    return typed


def test_what_a_service_needs_is_made_once_and_again(type_in) -> None:
    for _ in range(2):
        assert "registration: tables and topic are there" in said(type_in(ONE, "migrate"), 0)


def test_the_sql_of_a_store_is_printed_without_asking_a_database(type_in, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ENTENTE_POSTGRES names no database" in said(type_in(ONE, "migrate", "--sql"), 2)
    monkeypatch.setenv("ENTENTE_POSTGRES", "postgresql://nobody@127.0.0.1:1/none")

    told = said(type_in(ONE, "migrate", "--sql"), 0).strip().splitlines()

    assert told[:2] == ["BEGIN;", 'CREATE SCHEMA IF NOT EXISTS "registration";']
    assert told[-1] == "COMMIT;"
    assert sum("CREATE TABLE IF NOT EXISTS" in line for line in told) == 11
    assert all(line.endswith(";") and not line.endswith(";;") for line in told)

    monkeypatch.setenv("ENTENTE_READ_STORE", "postgresql://nobody@127.0.0.1:1/none")
    more = said(type_in(ONE, "migrate", "--sql"), 0).strip().splitlines()
    assert more[: len(told) - 1] == told[:-1]
    assert more[len(told) - 1] == 'CREATE SCHEMA IF NOT EXISTS "registration_read";'
    assert sum("CREATE TABLE IF NOT EXISTS" in line for line in more) == 15
    assert all(line.endswith(";") for line in more)


def test_the_sql_of_the_keys_own_database_is_printed_apart(
    type_in, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ENTENTE_POSTGRES", "postgresql://nobody@127.0.0.1:1/none")
    assert "ENTENTE_KEY_STORE names no database" in said(type_in(ONE, "migrate", "--sql", "--keys"), 2)
    monkeypatch.setenv("ENTENTE_KEY_STORE", "postgresql://nobody@127.0.0.1:1/keys")
    assert "needs ENTENTE_KMS or ENTENTE_MASTER_KEY beside it" in said(type_in(ONE, "migrate", "--sql", "--keys"), 2)
    FileKeyWrapper(tmp_path / "another.key", made=True)
    monkeypatch.setenv("ENTENTE_MASTER_KEY", str(tmp_path / "another.key"))

    told = said(type_in(ONE, "migrate", "--sql", "--keys"), 0).strip().splitlines()

    assert told[:2] == ["BEGIN;", 'CREATE SCHEMA IF NOT EXISTS "registration_keys";']
    assert told[-1] == "COMMIT;"
    assert sum("CREATE TABLE IF NOT EXISTS" in line for line in told) == 3
    assert not any("_keys" in line for line in said(type_in(ONE, "migrate", "--sql"), 0).splitlines())


def test_keys_in_the_database_of_the_log_are_refused_at_the_start(
    type_in, postgres: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    FileKeyWrapper(tmp_path / "another.key", made=True)
    monkeypatch.setenv("ENTENTE_MASTER_KEY", str(tmp_path / "another.key"))
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    monkeypatch.setenv("ENTENTE_KEY_STORE", postgres.replace("127.0.0.1", "localhost"))
    told = said(type_in(ONE, "migrate"), 2)
    assert "ENTENTE_KEY_STORE names a database that holds registration.stored_events" in told


def test_a_key_store_that_cannot_be_reached_is_named(type_in, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    FileKeyWrapper(tmp_path / "another.key", made=True)
    monkeypatch.setenv("ENTENTE_MASTER_KEY", str(tmp_path / "another.key"))
    monkeypatch.setenv("ENTENTE_KEY_STORE", "postgresql://nobody@127.0.0.1:1/keys")
    assert "ENTENTE_KEY_STORE names what cannot be reached" in said(type_in(ONE, "migrate"), 1)


def test_the_topic_is_made_on_a_broker(type_in, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTENTE_KAFKA", kafka)
    said(type_in(ONE, "migrate"), 0)
    assert topic_of("registration") in asyncio.run(topics_on(kafka))


async def topics_on(kafka: str) -> list[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        return list(await admin.list_topics())
    finally:
        await admin.close()


def test_a_read_model_is_rebuilt_from_its_own_log(type_in) -> None:
    assert "_2 is live" in said(type_in(ONE, "rebuild", "deal_board"), 0)


def test_a_read_model_of_several_logs_is_rebuilt_with_all_services(type_in) -> None:
    alone = said(type_in(ONE, "rebuild", "deal_board_of_all"), 1)
    assert "registration has no read model 'deal_board_of_all': it has deal_board, deal," in alone
    assert "_2 is live" in said(type_in(cli, "rebuild", "gateway", "deal_cards"), 0)


def test_a_rebuild_keeps_off_files_that_another_process_uses(type_in, tmp_path: Path) -> None:
    (tmp_path / "registration").mkdir()
    with at_work(tmp_path / "registration"):
        assert "stop it first, then try again" in said(type_in(ONE, "rebuild", "deal_board"), 1)
        assert "stop it first, then try again" in said(type_in(cli, "rebuild", "gateway", "deal_cards"), 1)
        assert "stop it first, then try again" in said(type_in(cli, "demo"), 1)


def test_many_may_use_the_files_but_only_one_for_itself(tmp_path: Path) -> None:
    with at_work(tmp_path), at_work(tmp_path), pytest.raises(InUse), at_work(tmp_path, alone=True):
        pass
    with at_work(tmp_path, alone=True), pytest.raises(InUse), at_work(tmp_path):
        pass
    with at_work(tmp_path, alone=True):
        pass


def test_an_unknown_service_is_refused_with_the_known_ones(type_in) -> None:
    assert "onboarding, registration, attribution" in said(type_in(cli, "rebuild", "billing", "x"), 2)


# Starting the whole system


def test_a_port_that_is_taken_is_told_of_before_anything_is_made(type_in, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        told = said(type_in(cli, "--port", str(port)), 1)
    assert told.startswith(f"127.0.0.1:{port} cannot be listened on (Address already in use)")
    assert list(tmp_path.iterdir()) == []


def test_a_port_that_there_is_not_is_refused(type_in) -> None:
    assert "equal to 65535" in said(type_in(cli, "--port", "99999"), 2)


def test_a_second_system_keeps_off_the_folder_of_the_first(type_in, tmp_path: Path) -> None:
    (tmp_path / "crm_simulator").mkdir()
    with at_work(tmp_path / "crm_simulator"):
        assert "stop it first, then try again" in said(type_in(cli, "--port", "0"), 1)


def test_the_address_of_the_simulated_crm_is_kept_or_told_of(type_in, tmp_path: Path) -> None:
    (tmp_path / "crm_simulator").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        (tmp_path / "crm_simulator" / "port").write_text(port)
        told = said(type_in(cli, "--port", "0"), 1)
    assert f"127.0.0.1:{port} cannot be listened on, and the simulated CRM of this data keeps that address" in told
    assert "A copy of the data does not run beside its original" in told


@pytest.mark.parametrize("within", ["", "deeper"])
def test_a_data_folder_that_cannot_be_made_is_told_of(tmp_path: Path, within: str) -> None:
    (tmp_path / "file").touch()
    data = tmp_path / "file" / within
    told = said(CliRunner().invoke(cli, ["--port", "0", "--data", str(data)]), 1)
    assert told.startswith(f"the data folder {data} cannot be made")


# Copies of keys


def test_keys_are_copied_out_of_the_data_alone_and_come_back(tmp_path: Path) -> None:
    data, kept = str(tmp_path / "data"), tmp_path / "kept"
    keys = Keys.in_directory(tmp_path / "data" / "registration")
    box = keys.seal("acme", "anna", "Anna")
    keys.close()

    def typed(*words: str) -> Result:
        return CliRunner().invoke(ONE, ["keys", *words, "--data", data])

    assert "lies in the data folder" in said(typed("backup", f"{data}/registration/kept"), 2)
    assert "1 keys: the master key is not in it" in said(typed("backup", str(kept), "--keep", "1"), 0)
    [copy] = kept.iterdir()
    assert re.fullmatch(r"registration-keys-\d{8}T\d{6}Z\.db", copy.name)
    assert "move it away" in said(typed("restore", str(copy)), 1)
    (tmp_path / "data" / "registration" / "keys.db").unlink()
    assert "keys.db is not there" in said(typed("backup", str(tmp_path / "other")), 1)
    assert "missing.db is not there" in said(typed("restore", str(kept / "missing.db")), 1)
    assert "cannot be made" in said(typed("backup", str(copy / "deeper")), 1)
    assert "registration: 1 keys are back" in said(typed("restore", str(copy)), 0)
    keys = Keys.in_directory(tmp_path / "data" / "registration")
    assert keys.open("acme", box) == "Anna"
    keys.close()


def test_keys_that_are_lost_for_good_are_told_of_and_the_witness_is_given_another(
    type_in, postgres: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "has its key in a file" in said(type_in(ONE, "keys", "witness-anew"), 2)
    monkeypatch.setenv("ENTENTE_POSTGRES", postgres)
    said(type_in(ONE, "parked", "list"), 0)
    assert "registration: its key is there" in said(type_in(ONE, "keys", "witness-anew"), 0)
    for lost in (tmp_path / "registration").glob("keys.db*"):
        lost.unlink()
    told = said(type_in(ONE, "parked", "list"), 1)
    assert told.startswith(
        "the key of the witness of entente/registration/1 is kept, and the keys that are here do not"
    )
    assert "`keys witness-anew` makes another one" in told
    assert "its key is entente/registration/1+" in said(type_in(ONE, "keys", "witness-anew"), 0)
    said(type_in(ONE, "parked", "list"), 0)


# The master key that a KMS wraps


@pytest.fixture
def by_kms(bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OpenBao:
    (tmp_path / "token").write_text(TOKEN)
    bao.ask("POST", "transit/keys/entente-registration")
    monkeypatch.setenv("ENTENTE_KMS", f"{bao.url}/transit")
    monkeypatch.setenv("ENTENTE_KMS_TOKEN", str(tmp_path / "token"))
    return bao


def test_a_master_key_is_wrapped_anew_and_renewed(type_in, by_kms: OpenBao, tmp_path: Path) -> None:
    assert "the newest key of the KMS wraps" in said(type_in(ONE, "keys", "rewrap"), 0)
    by_kms.ask("POST", "transit/keys/entente-registration/rotate")
    (tmp_path / "registration").mkdir(exist_ok=True)
    with at_work(tmp_path / "registration"):
        assert "the newest key of the KMS wraps" in said(type_in(ONE, "keys", "rewrap"), 0)
        assert "stop it first, then try again" in said(type_in(ONE, "keys", "renew"), 1)
    assert "another master key wraps 0 keys" in said(type_in(ONE, "keys", "renew"), 0)
    kept = str(tmp_path.parent / f"{tmp_path.name}-kept")
    assert "its KMS alone opens it" in said(type_in(ONE, "keys", "backup", kept), 0)


def test_without_a_kms_or_its_leave_the_master_key_stays_as_it_is(
    type_in, by_kms: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("wrong")
    assert "403: permission denied" in said(type_in(ONE, "keys", "rewrap"), 1)
    monkeypatch.delenv("ENTENTE_KMS")
    assert "set ENTENTE_KMS" in said(type_in(ONE, "keys", "renew"), 1)
