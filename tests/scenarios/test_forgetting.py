"""Who asks to be forgotten is: in events, documents, parked messages, logs and exports, and after a restore as well."""

import asyncio
import shutil
import sys
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest
from typer.testing import CliRunner

from chassis import backup, keys_copy
from chassis.cli import command_line
from chassis.keys import FileKeyWrapper
from chassis.keys_copy import KeyDatabase
from chassis.service import key_store
from chassis.settings import ServiceSettings
from contracts.catalogue import SERVICES
from services.attribution.domain.opening import OpenOpportunity
from services.registration import app as registration
from tests.chassis.logged import logged
from tests.scenarios.main_job import deal
from tests.scenarios.proofs import every_log_is_what_it_was, every_model_can_be_made_again
from tests.scenarios.system import BEGINNING, System, done, running_system, until
from tests.scenarios.test_poison import PARKED, approved, bug, parked, registered

NAME, MAIL = "Erika Vanishing", "erika@vanishing.example"
IBAN = "DE02120300000000202051"
TAX = {
    "form": f"W-9 of {NAME}",
    "jurisdiction": "US",
    "payee_kind": "person",
    "tax_year": 2031,
    "form_sha256": "a" * 64,
}
CONTACT = {"name": NAME, "email": MAIL, "consent": True}
KEYS = count()
LEADS = "/v1/registration/leads"
REGISTRATION = command_line("registration", registration.Settings, registration.build)
LEAD = {
    "company": {"name": "Weserglas", "country": "DE", "website": "weserglas.de"},
    "contact": CONTACT,
    "need": "We look for a new platform for our people.",
}


async def test_who_is_forgotten_is_named_nowhere_any_more(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    with logged() as log:
        async with running_system(data) as it:
            person_id, lead_id = await known(it)
            await stumbled_over(it)
        backup.take(data, SERVICES, kept)
        async with running_system(data, beginning=None, opened=False) as it:
            await forgotten(it, person_id, lead_id)
            await named_nowhere(it, person_id)
            await every_model_can_be_made_again(it)
        keys_of_the_backup(kept, data)
        async with running_system(data, beginning=None, opened=False) as it:
            await named_nowhere(it, person_id)
    assert "message_parked" in log.getvalue()
    assert not names_somebody(log.getvalue().encode())
    assert [] == [path for path in data.rglob("*") if path.is_file() and names_somebody(path.read_bytes())]
    await every_log_is_what_it_was(data)


async def test_who_is_forgotten_stays_so_with_keys_that_were_copied_while_the_system_ran(tmp_path: Path) -> None:
    data, kept = tmp_path / "data", tmp_path / "kept"
    async with running_system(data) as it:
        dora = await it.who("dora")
        forgotten_lead, other = [
            done(await dora.post(LEADS, {**LEAD, "contact": contact}, key=contact["email"]), 201)["lead_id"]
            for contact in (CONTACT, {**CONTACT, "name": "Otto Staying", "email": "otto@staying.example"})
        ]
        assert "the master key is not in it" in typed("backup", kept, data)
        done(await dora.post(f"{LEADS}/{forgotten_lead}/forget", key="forget"))
        await it.settle()
        [copy] = kept.iterdir()
        assert "stop it first, then try again" in typed("restore", copy, data, status=1)
    for left in (data / "registration").glob("keys.db*"):
        left.unlink()
    assert "are back" in typed("restore", copy, data)

    async with running_system(data, beginning=None, opened=False) as it:
        leads = (await (await it.who("dora")).get(LEADS)).body
        assert not names_somebody(leads)
        assert b"Otto Staying" in leads
        assert other.encode() in leads


async def test_who_is_forgotten_stays_so_where_keys_move_into_a_database_and_an_older_copy_comes_back(
    tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, kept, master = tmp_path / "data", tmp_path / "kept", tmp_path / "master.key"
    FileKeyWrapper(master, made=True)
    monkeypatch.setenv("ENTENTE_MASTER_KEY", str(master))
    async with running_system(data) as it:
        person_id, lead_id = await known(it)
    monkeypatch.setenv("ENTENTE_KEY_STORE", postgres)

    async with running_system(data, beginning=None, opened=False) as it:
        assert [] == list(data.rglob("keys.db*"))
        assert all(names_somebody(text) for text in await all_texts(it, person_id))
        copies = {name: copied(data, name, kept) for name in SERVICES}
        assert "stop it first, then try again" in typed("restore", copies["registration"], data, status=1)
        await forgotten(it, person_id, lead_id)
        await named_nowhere(it, person_id)
    for name, copy in copies.items():
        with psycopg.connect(postgres) as lost:
            lost.execute(f"DROP SCHEMA {name}_keys CASCADE")
        brought_back(data, name, copy, master)

    async with running_system(data, beginning=None, opened=False) as it:
        await named_nowhere(it, person_id)
    command = [sys.executable, "-m", "services.registration", "reconcile", "--by", "ops", "--data", str(data)]
    assert await (await asyncio.create_subprocess_exec(*command)).wait() == 0
    await every_log_is_what_it_was(data)


def copied(data: Path, name: str, to: Path) -> Path:
    with closing(key_database(data, name)) as database:
        return keys_copy.take(database, name, to, BEGINNING, keep=1)[0]


def brought_back(data: Path, name: str, copy: Path, master: Path) -> None:
    with closing(key_database(data, name)) as database:
        database.migrate()
        keys_copy.bring_back(copy, database, name, master)


def key_database(data: Path, name: str) -> KeyDatabase:
    store = key_store(ServiceSettings.read(data=data), name)
    assert isinstance(store, KeyDatabase)
    return store


def typed(command: str, path: Path, data: Path, *, status: int = 0) -> str:
    """What `python -m services.registration keys` says to that."""
    result = CliRunner().invoke(REGISTRATION, ["keys", command, str(path), "--data", str(data)])
    assert status == result.exit_code, result.output
    return result.output


def names_somebody(text: bytes) -> bool:
    return any(one.encode() in text for one in (NAME.split()[1], MAIL, IBAN))


async def known(it: System) -> tuple[str, str]:
    """Somebody is a person, and the contact of a lead and of a deal, and all can be read by who may."""
    ada = await it.who("ada")
    person = done(await ada.post("/v1/onboarding/people", {"name": NAME, "mail": MAIL}, key="person"), 201)
    lead = done(await (await it.who("dora")).post("/v1/registration/leads", LEAD, key="lead"), 201)
    partner = await it.who("northwind")
    wish = deal("Weserglas GmbH", "www.weserglas.de", contacts=[CONTACT])
    done(await partner.post("/v1/registration/deals", wish, key="deal"), 201)
    await it.settle()
    await paid(it, person["person_id"])
    assert all(names_somebody(text) for text in await all_texts(it, person["person_id"]))
    return person["person_id"], lead["lead_id"]


async def paid(it: System, person_id: str) -> None:
    """She acts for a partner, and has entered where her own pay goes and how she is taxed."""
    ada = await it.who("ada")
    partner_id = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    wish = {"person_id": person_id, "partner_id": partner_id, "roles": ["seller"]}
    made = done(await ada.post("/v1/onboarding/memberships", wish, key="member"), 201)
    done(await ada.post(f"/v1/onboarding/memberships/{made['membership_id']}/join", key="join"))
    await it.settle()
    erika = await it.who(person_id)
    for paper, body in (("bank", {"iban": IBAN, "holder": NAME}), ("tax", TAX)):
        path = f"/v1/incentives/payees/{person_id}/{paper}"
        done(await erika.send("PUT", path, orjson.dumps(body), {"idempotency-key": paper}))
    await it.settle()


async def stumbled_over(it: System) -> None:
    """A message is parked for an error that quotes what it had opened; it is found by the id of the deal it is about."""
    deal = await registered(it, "Fabrikam")

    def error() -> Exception:
        return ValueError(f"{NAME!r} cannot be written to at {MAIL}")

    with bug(it.services["attribution"], OpenOpportunity, lambda wish: wish.registration_id == deal, error):
        await approved(it, deal)
        await until(lambda: parked(it, "parked"))
    operator = await it.who("operator")
    [row] = done(await operator.get(f"{PARKED}?about={deal}"))["items"]
    assert row["reason"] == "ValueError: '…' cannot be written to at …"
    assert done(await operator.get(f"{PARKED}?about=somebody-else"))["items"] == []


async def all_texts(it: System, person_id: str) -> list[bytes]:
    """What there is to read and to take away about the two."""
    ada, dora = await it.who("ada"), await it.who("dora")
    answers = [
        await ada.get(f"/v1/onboarding/people/{person_id}/everything"),
        await dora.get("/v1/registration/leads"),
        await dora.get("/v1/registration/leads/export"),
        await ada.post("/v1/registration/people/find", {"email": MAIL.upper()}, key=f"find-{next(KEYS)}"),
        await ada.post("/v1/people/everything", {"mail": MAIL}, key=f"everything-{next(KEYS)}"),
        await (await it.who("finn")).get(f"/v1/incentives/payees/{person_id}"),
    ]
    assert all(answer.ok for answer in answers)
    return [answer.body for answer in answers]


async def forgotten(it: System, person_id: str, lead_id: str) -> None:
    done(await (await it.who("ada")).post(f"/v1/onboarding/people/{person_id}/erase", key="erase"))
    done(await (await it.who("ada")).post("/v1/registration/people/forget", {"email": MAIL}, key="forget"))
    await it.settle()


async def named_nowhere(it: System, person_id: str) -> None:
    texts = await all_texts(it, person_id)
    operator = await it.who("operator")
    rows = [await operator.get(f"/v1/{service}/parked?settled=true") for service in SERVICES]
    documents: Any = await it.documents()
    written = [text for model in documents.values() for _, text in model]
    assert not any(map(names_somebody, [*texts, *(answer.body for answer in rows), *written]))
    assert b'"gate":"forgotten"' in texts[-1]


def keys_of_the_backup(kept: Path, data: Path) -> None:
    """The stores of keys as they were when the person was still known, under the logs of now."""
    for service in ("onboarding", "registration", "incentives"):
        for left in (data / service).glob("keys.db*"):
            left.unlink()
        shutil.copy(kept / "keys" / service / "keys.db", data / service / "keys.db")
