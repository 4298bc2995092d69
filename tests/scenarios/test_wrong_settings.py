"""A setting that cannot be used ends every command with a sentence that names it, and never tells what it holds."""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from chassis.cli import command_line
from chassis.settings import ServiceSettings, variable
from contracts.catalogue import SERVICES
from services.__main__ import cli as whole
from services.gateway.__main__ import gateway
from services.incentives.__main__ import cli as incentives

HIDDEN = "geheim"
"""Stands in every wrong value, and may stand in no sentence."""
ANY_TEXT_DOES = {
    "ENTENTE_CRM_SIMULATOR_URL",
    "ENTENTE_DATA",
    "ENTENTE_ENVIRONMENT",
    "ENTENTE_HOST",
    "ENTENTE_KAFKA_PASSWORD",
    "ENTENTE_KAFKA_TOKEN",
    "ENTENTE_KAFKA_USER",
    "ENTENTE_KMS_TOKEN",
    "ENTENTE_MASTER_KEY",
    "ENTENTE_OPENID_CLIENT",
    "ENTENTE_OPENID_SECRET",
    "ENTENTE_PAYER_NAME",
    "ENTENTE_PROVIDER_SECRET",
    "ENTENTE_SIGNING_KEYS",
}
WRONG_URL = f"http://{HIDDEN}.example"


def app_of(service: str) -> Any:
    return importlib.import_module(f"services.{service}.app")


def commands_of(service: str) -> typer.Typer:
    if service in {"gateway", "incentives"}:
        return {"gateway": gateway(), "incentives": incentives}[service]
    return command_line(service, app_of(service).Settings, app_of(service).build)


def forms(cls: type[ServiceSettings]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field with its JSON Schema, that of nothing left out."""
    for field, form in cls.model_json_schema()["properties"].items():
        yield field, next((one for one in form.get("anyOf", ()) if one.get("type") != "null"), form)


def wrong(service: str, field: str, form: dict[str, Any]) -> list[str]:
    """Values that a field of this form does not take."""
    beyond = [str(form[bound] + by) for bound, by in (("minimum", -1), ("maximum", 1)) if bound in form]
    beyond += [str(form["exclusiveMinimum"])] if "exclusiveMinimum" in form else []
    if form.get("type") in {"integer", "number", "boolean"}:
        return [HIDDEN, "", *beyond]
    if form.get("type") in {"array", "object"}:
        return [HIDDEN, f'"{HIDDEN}"', f'[{{"{HIDDEN}": 1}}]', f'{{"{HIDDEN}": {{"{HIDDEN}": 1}}}}']
    if "enum" in form or "pattern" in form or form.get("format") == "file-path":
        return [f"{HIDDEN} {HIDDEN}"]
    if field in ("postgres", "key_store"):
        return [f"postgresql://me:{HIDDEN}@host:port/name {HIDDEN}"]
    sealed = {("gateway", "openid_issuer"), ("gateway", "public_url")}
    return [WRONG_URL] if (service, field) in sealed else []


def ended(command: typer.Typer, *words: str) -> str:
    """What a command said that ended as one does that was called wrongly."""
    result = CliRunner().invoke(command, list(words))
    assert result.exit_code == 2, (words, result.output, result.exception)
    assert "Traceback" not in result.output
    assert HIDDEN not in result.output
    return result.output


@pytest.mark.parametrize("service", SERVICES)
def test_each_setting_of_a_service_is_named_where_it_cannot_be_used(
    service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command, untested = commands_of(service), set()
    for field, form in forms(app_of(service).Settings):
        values = wrong(service, field, form)
        if not values:
            untested.add(variable(field))
        for value in values:
            monkeypatch.setenv(variable(field), value)
            (line,) = ended(command, "migrate", "--data", str(tmp_path / "data")).splitlines()
            assert line.startswith(f"{variable(field)} ")
            assert ": it takes " in line
        monkeypatch.delenv(variable(field), raising=False)
    assert untested <= ANY_TEXT_DOES | ({"ENTENTE_PUBLIC_URL"} if service == "attribution" else set())
    assert not (tmp_path / "data").exists()


def test_the_whole_system_names_the_settings_of_each_of_its_services(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for service in SERVICES:
        for field, form in forms(app_of(service).Settings):
            for value in wrong(service, field, form) if field != "port" else ():
                monkeypatch.setenv(variable(field), value)
                told = ended(whole, "--port", "0", "--data", str(tmp_path / "data"))
                assert told.startswith(f"{variable(field)} ")
            monkeypatch.delenv(variable(field), raising=False)
    assert not (tmp_path / "data").exists()


def test_a_file_that_is_named_by_nothing_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    files = (
        "kafka_ca",
        "kafka_certificate",
        "kafka_key",
        "kafka_token",
        "kms_ca",
        "kms_token",
        "master_key",
        "signing_keys",
    )
    for field in files:
        monkeypatch.setenv(variable(field), "")
    settings = ServiceSettings.read()
    assert {field: getattr(settings, field) for field in files} == dict.fromkeys(files)


@pytest.mark.parametrize(("written", "level"), [("WARN", "WARNING"), ("warn", "WARNING"), ("debug", "DEBUG")])
def test_the_level_of_logs_may_be_written_as_elsewhere(
    written: str, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENTENTE_LOG_LEVEL", written)
    assert ServiceSettings.read().log_level == level


def test_a_port_that_is_none_is_told_of_by_the_name_it_was_given_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = ended(commands_of("registration"), "serve", "--port", "99999", "--data", str(tmp_path))
    assert told.startswith("--port cannot be used (it should be less than or equal to 65535): it takes a whole number")
    monkeypatch.setenv("ENTENTE_PORT", "eighty")
    assert "ENTENTE_PORT" in ended(whole, "--data", str(tmp_path))


def test_several_settings_are_told_of_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTENTE_PORT", "99999")
    monkeypatch.setenv("ENTENTE_LOG_LEVEL", "loud")
    told = ended(commands_of("registration"), "migrate", "--data", str(tmp_path)).splitlines()
    port, level = told
    assert port.endswith("65535): it takes a whole number of at least 0 and at most 65535")
    assert level == (
        "ENTENTE_LOG_LEVEL cannot be used (it should be 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL'): "
        "it takes one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    )


def test_what_only_fits_together_with_others_names_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTENTE_OPENID_ISSUER", "https://id.example.com")
    told = ended(commands_of("gateway"), "migrate", "--data", str(tmp_path))
    others = "ENTENTE_OPENID_CLIENT, ENTENTE_OPENID_SECRET and ENTENTE_PUBLIC_URL"
    assert told == f"ENTENTE_OPENID_ISSUER needs {others}\n"
    for name, value in {"CLIENT": "us", "SECRET": HIDDEN}.items():
        monkeypatch.setenv(f"ENTENTE_OPENID_{name}", value)
    assert f"needs {others}" in ended(commands_of("gateway"), "migrate", "--data", str(tmp_path))


def test_a_file_of_no_use_and_a_password_without_tls_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ca.pem").write_text(HIDDEN)
    monkeypatch.setenv("ENTENTE_KAFKA", "127.0.0.1:1")
    monkeypatch.setenv("ENTENTE_KAFKA_TLS", "true")
    monkeypatch.setenv("ENTENTE_KAFKA_CA", str(tmp_path / "ca.pem"))
    told = ended(commands_of("registration"), "migrate", "--data", str(tmp_path))
    assert told == "the file of ENTENTE_KAFKA_CA cannot be read: it takes one that holds PEM\n"
    monkeypatch.setenv("ENTENTE_KAFKA_TLS", "false")
    monkeypatch.setenv("ENTENTE_KAFKA_MECHANISM", "OAUTHBEARER")
    told = ended(commands_of("registration"), "migrate", "--data", str(tmp_path))
    assert told == "OAUTHBEARER needs the file that holds the token: set ENTENTE_KAFKA_TOKEN\n"
    monkeypatch.setenv("ENTENTE_ENVIRONMENT", "production")
    assert "set ENTENTE_KAFKA_TLS" in ended(commands_of("registration"), "migrate", "--data", str(tmp_path))


@pytest.mark.parametrize(
    ("key", "where"),
    [
        *(("ENTENTE_SIGNING_KEYS", where) for where in ("", "junk", "junk/deeper")),
        *(("ENTENTE_MASTER_KEY", where) for where in ("", "junk", "junk/deeper", "nowhere")),
    ],
)
def test_keys_of_no_use_are_told_of(key: str, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "junk").write_text(HIDDEN)
    monkeypatch.setenv(key, str(tmp_path / where))
    told = ended(commands_of("registration"), "migrate", "--data", str(tmp_path / "data"))
    assert told.startswith(f"{key} cannot be used: it takes a file")


def test_a_host_that_nobody_knows_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTENTE_HOST", "nowhere.invalid")
    result = CliRunner().invoke(commands_of("registration"), ["serve", "--port", "0", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.startswith("nowhere.invalid:0 cannot be listened on (")


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ENTENTE_KAFKA", "127.0.0.1:1"),
        ("ENTENTE_POSTGRES", f"postgresql://me:{HIDDEN}@127.0.0.1:1/x?connect_timeout=1"),
    ],
)
def test_an_engine_that_cannot_be_reached_is_told_of(
    name: str, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, address)
    result = CliRunner().invoke(commands_of("registration"), ["migrate", "--data", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout == f"{name} names what cannot be reached: see that it is right, and that it runs\n"


# Every command

ONE = (
    "serve",
    "migrate",
    "reconcile --by me",
    "rebuild deal_board",
    "verify",
    "verify deal d-1",
    "shadow-run default acme",
    "parked list",
    "parked replay --by me",
    "parked discard group topic 0 0 --by me",
    "keys backup kept",
    "keys restore kept.db",
    "keys rewrap",
    "keys renew",
    "keys witness-anew",
)
TOLD: dict[str, tuple[str, ...]] = {
    "gateway": (
        "open-tenant acme --by me --name Acme --zone Europe/Berlin --currency EUR",
        "add-admin acme ada --by me --name Ada --mail ada@acme.example",
    ),
    "incentives": ("recalculate --from 2026-10-01 --to 2026-10-31",),
}
WHOLE = (
    "",
    "distributed",
    "first-run",
    "rebuild registration deal_board",
    "reconcile --by me",
    "kafka-manifests",
    "demo",
)
NO_SETTINGS = {"backup", "keys make", "restore", "verify-proof", "verify-statement"}
"""What reads none, or only where the files are."""


def names(group: Any, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        path = f"{before} {name}".strip()
        yield from names(command, path) if hasattr(command, "commands") else (path,)


@pytest.mark.parametrize("service", [*SERVICES, "services"])
def test_every_command_reads_its_settings_so(service: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = whole if service == "services" else commands_of(service)
    lines = WHOLE if service == "services" else (*ONE, *TOLD.get(service, ()))
    monkeypatch.setenv("ENTENTE_STOP_SECONDS", HIDDEN)
    monkeypatch.setenv("ENTENTE_DATA", str(tmp_path / "data"))
    for line in lines:
        assert ended(command, *line.split()).startswith("ENTENTE_STOP_SECONDS cannot be used")
    for name in set(names(typer.main.get_command(command))) - NO_SETTINGS:
        assert any(line.startswith(name) for line in lines), f"{name} is not tried here"
