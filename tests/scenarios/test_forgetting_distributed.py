"""Who asks five processes to be forgotten is: on every engine, in what they say and keep, and after restores as well."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pymongo import MongoClient

from chassis import keys_copy
from chassis.service import kept_keys
from chassis.settings import ServiceSettings
from chassis.transport.kafka import sender
from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from services import first_run
from tests.engines.kafka import Broker
from tests.scenarios.distributed import FiveProcesses, five_processes
from tests.scenarios.proofs import every_log_is_what_it_was
from tests.scenarios.system import BEGINNING, System, done, until
from tests.scenarios.test_forgetting import (
    all_texts,
    forgotten,
    key_database,
    known,
    named_nowhere,
    names_somebody,
)
from tests.scenarios.test_poison import PARKED, parked, registered
from tests.scenarios.test_restore import SCRIPT, made_whole, ran

SEALING = ("onboarding", "registration", "incentives")
"""Services that seal personal text."""
TABLES = (
    "SELECT table_schema, table_name FROM information_schema.tables "
    "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')"
)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_who_is_forgotten_on_five_processes_is_named_nowhere_any_more(
    tmp_path: Path, engines: dict[str, str], broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_run, "POLL_SECONDS", 3_600)  # nothing is heard of the CRM meanwhile
    data, kept, logs = tmp_path / "data", tmp_path / "kept", tmp_path / "logs.dump"
    async with five_processes(data) as it:
        person_id, lead_id = await known(it)
        await stumbled_over(it)
    copies = keys_copied(data, kept)
    await asyncio.to_thread(ran, SCRIPT, "backup", logs)
    async with five_processes(data) as it:
        await forgotten(it, person_id, lead_id)
        await named_nowhere(it, person_id)
    left_nowhere(person_id, data, engines, broker)

    keys_of_then(data, copies)
    async with five_processes(data) as it:
        await named_nowhere(it, person_id)

    await asyncio.to_thread(ran, SCRIPT, "restore", logs)
    told = await made_whole(data)
    assert f"PersonForgotten on acme:person-{person_id} at " in "".join(told["onboarding"])
    async with five_processes(data) as it:
        assert not any(map(names_somebody, await all_texts(it, person_id)))
        await forgotten(it, person_id, lead_id)  # entered again, as the page says of what is lost
        await named_nowhere(it, person_id)
    left_nowhere(person_id, data, engines, broker)
    await every_log_is_what_it_was(data, engines["postgres"])


async def stumbled_over(it: FiveProcesses) -> None:
    """A message that broke off is parked, and found by the id of the deal that it is about."""
    about = await registered(it, "Fabrikam")
    headers = [("ce_id", b"broken"), ("ce_type", b"entente.registration.DealApproved.v1")]
    headers += [("ce_subject", f"acme:deal-{about}".encode())]
    async with sender(it._transport.settings) as opened:
        body = f'{{"registration_id": "{about}"'.encode()
        await opened._producer.send_and_wait(topic_of("registration"), value=body, key=b"acme", headers=headers)
    await until(lambda: parked(it, "parked"), it.pause_seconds * 600)
    assert len(await told_about(it, about)) == 1
    assert await told_about(it, "somebody-else") == []
    await registered(it, "Tailspin")  # so that the topic ends with a message whose place can be read


async def told_about(it: System, about: str) -> list[object]:
    operator = await it.who("operator")
    rows: list[object] = done(await operator.get(f"{PARKED}?about={about}"))["items"]
    return rows


def keys_copied(data: Path, to: Path) -> dict[str, Path]:
    """A copy of each service's keys, wherever they lie."""
    copies = {}
    for name in SEALING:
        with kept_keys(ServiceSettings.read(data=data), name) as kept:
            copies[name] = keys_copy.take(kept, name, to, BEGINNING, keep=1)[0]
    return copies


def keys_of_then(data: Path, copies: Mapping[str, Path]) -> None:
    """Keys are lost, and are as they were when the person was still known, under the logs of now."""
    settings = ServiceSettings.read(data=data)
    for name, copy in copies.items():
        for left in (data / name).glob("keys.db*"):
            left.unlink()
        if settings.key_store:
            with psycopg.connect(settings.key_store) as lost:
                lost.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(f"{name}_keys")))
            with closing(key_database(data, name)) as database:
                database.migrate()
        with kept_keys(settings, name) as kept:
            keys_copy.bring_back(copy, kept, name, settings.master_key)


def left_nowhere(person_id: str, data: Path, engines: dict[str, str], broker: Broker) -> None:
    """Nothing is left of the person but an id: in no file of the services, no table, collection or topic, as they lie there."""
    places = {
        "files": list(files(data)),
        "tables": list(tables(engines["postgres"])),
        "topics": list(files(broker.folder / "log")),
    }
    if engines["read_store"].startswith("mongodb"):
        places["collections"] = list(collections(engines["read_store"]))
    for place, texts in places.items():
        there = b'"event"' if place == "files" else person_id.encode()
        assert any(there in text for text in texts), f"{place}: nothing would be found there"
        assert not any(map(names_somebody, texts)), place


def files(folder: Path) -> Iterator[bytes]:
    yield from (path.read_bytes() for path in folder.rglob("*") if path.is_file())


def tables(dsn: str) -> Iterator[bytes]:
    """Every row of every table, in binary: a text, and a sealed event, is found as its bytes."""
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        for schema, table in cursor.execute(TABLES).fetchall():
            of = sql.SQL("COPY {} TO STDOUT (FORMAT binary)").format(sql.Identifier(schema, table))
            with cursor.copy(of) as rows:
                yield b"".join(map(bytes, rows))


def collections(url: str) -> Iterator[bytes]:
    with MongoClient[dict[str, object]](url) as client:
        for name in SERVICES:
            database = client[f"entente_{name}"]
            for collection in database.list_collection_names():
                yield from (repr(one).encode() for one in database[collection].find())
