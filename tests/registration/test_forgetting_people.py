"""People at customers: told all that is known of them, and forgotten, alone or with all that was said about a deal."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from chassis.event import Sealed
from chassis.forgetting import Forgetting
from chassis.key_store.sqlite import SqliteKeyStore
from chassis.keys import FileKeyWrapper, Keys
from chassis.verify import verify_decisions
from tests.registration.service import ADMIN, DESK, Running, activated, deal, seller, started
from tests.registration.test_leads import route_by

P1, P2 = seller("p1"), seller("p2")
PHONE = "+49421555017"
ERIKA = {"name": "Erika Vanishing", "email": "Erika@vanishing.example", "title": "Buyer", "consent": True}
OTTO = {"name": "Otto Staying", "email": "otto@vanishing.example"}
NAMELESS = {"name": "Nobody Reachable"}
LEAD = {
    "company": {"name": "Weserglas", "country": "DE", "website": "weserglas.de"},
    "contact": {"name": "E. Vanishing", "email": "erika@VANISHING.example", "consent": True},
    "need": "We look for a new platform for our people.",
}
ASKS = {"email": "erika@vanishing.example"}


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for who in ("p1", "p2"):
            await asked.hear(activated(who))
        await asked.publish_rules()
        await route_by(asked)
        yield asked


async def named(it: Running) -> tuple[str, str, str]:
    """Erika stands in deals of two partners, beside others, and in a lead."""
    first = await it.register("p1", contacts=[ERIKA, OTTO, NAMELESS])
    second = await it.register("p2", contacts=[ERIKA], description="Erika wants it before the summer.")
    lead = await it.post(DESK, "/leads", LEAD)
    assert lead.status_code == 201, lead.text
    return first["registration_id"], second["registration_id"], lead.json()["lead_id"]


async def found(it: Running) -> dict[str, Any]:
    answer = await it.post(ADMIN, "/people/find", ASKS)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def contacts(it: Running, registration_id: str) -> list[str | None]:
    shown = (await it.get(P1, f"/deals/{registration_id}")).json()
    listed: list[str | None] = shown["details"]["contacts"]
    return listed


async def test_who_asks_is_told_every_deal_and_lead_that_names_it_whoever_wrote_it(registration: Running) -> None:
    first, second, lead = await named(registration)
    told = await found(registration)
    assert {deal["registration_id"]: [one["name"] for one in deal["contacts"]] for deal in told["deals"]} == {
        first: ["Erika Vanishing"],
        second: ["Erika Vanishing"],
    }
    assert [(one["lead_id"], one["contact"]["name"]) for one in told["leads"]] == [(lead, "E. Vanishing")]
    nobody = (await registration.post(ADMIN, "/people/find", {"email": "nobody@example.com"})).json()
    assert (nobody["deals"], nobody["leads"]) == ([], [])


async def test_a_person_is_forgotten_in_every_deal_and_lead_and_nobody_beside_it(registration: Running) -> None:
    first, second, _ = await named(registration)
    for _ in range(2):
        assert (await registration.post(ADMIN, "/people/forget", ASKS)).json() == {"forgotten": True}
    told = await found(registration)
    assert [deal["contacts"] for deal in told["deals"]] == [[None], [None]]
    assert [one["contact"] for one in told["leads"]] == [None]
    erika, otto, nameless = await contacts(registration, first)
    assert erika is None
    assert "Otto" in str(otto)
    assert "Nobody Reachable" in str(nameless)
    assert (await registration.get(P2, f"/deals/{second}")).json()["details"]["description"] is not None


async def test_who_is_named_anew_after_that_is_known_again(registration: Running) -> None:
    first, _, _ = await named(registration)
    await registration.post(ADMIN, "/people/forget", ASKS)
    assert (await registration.post(DESK, f"/deals/{first}/approve")).is_success
    assert (await registration.post(P1, f"/deals/{first}/amend", {"contacts": [ERIKA]})).is_success
    assert "Erika" in str(await contacts(registration, first))
    service = registration.service
    service.application.keys.follow(1_000_000)  # a log from a backup, which ends before where the keys are
    await Forgetting(service.store, service.application.keys, service.blueprint.forgets).catch_up()
    assert "Erika" in str(await contacts(registration, first))


async def test_who_is_named_anew_and_forgotten_again_stays_so_after_a_backup_brought_the_keys_back(
    tmp_path: Path, registration: Running
) -> None:
    first, _, _ = await named(registration)
    await registration.post(ADMIN, "/people/forget", ASKS)
    assert (await registration.post(DESK, f"/deals/{first}/approve")).is_success
    assert (await registration.post(P1, f"/deals/{first}/amend", {"contacts": [ERIKA]})).is_success
    [before] = [one for one in (await found(registration))["deals"] if one["registration_id"] == first]
    service, copy = registration.service, tmp_path / "copy.db"
    with sqlite3.connect(tmp_path / "registration" / "keys.db") as source, sqlite3.connect(copy) as target:
        source.backup(target)
    [sealed] = (await service.application.read.get("deal", P1.tenant, first))["details"]["contacts"]

    await registration.post(ADMIN, "/people/forget", ASKS)

    keys = Keys(SqliteKeyStore(copy), FileKeyWrapper(tmp_path / "registration" / "master.key"))
    box = Sealed(**sealed)
    assert "Erika" in str(before)
    assert "Erika" in str(keys.open(P1.tenant, box))
    await Forgetting(service.store, keys, service.blueprint.forgets).catch_up()
    assert keys.open(P1.tenant, box) is None


async def test_what_was_said_about_a_deal_is_forgotten_once_it_is_over(registration: Running) -> None:
    _, second, _ = await named(registration)
    refused = await registration.post(ADMIN, f"/deals/{second}/forget")
    assert (refused.status_code, refused.json()["type"].rpartition("/")[2]) == (409, "wrong-state")
    assert (await registration.post(P2, f"/deals/{second}/withdraw", {"reason_code": "no-longer-pursued"})).is_success
    assert (await registration.post(ADMIN, f"/deals/{second}/forget")).json() == {"forgotten": True}
    assert (await registration.get(P2, f"/deals/{second}")).json()["details"]["description"] is None


WRITTEN = {"customer": {"name": "Weserglas"}, "contacts": [ERIKA, OTTO]}
BESIDE = {
    "customer": {"name": "Weserglas"},
    "description": "Ask j.erika@vanishing.example, or erika@vanishing.example.org.",
}
MAIL = """From: Erika Vanishing <erika@Vanishing.example>
To: deals@acme.example
Subject: A platform

Customer: Weserglas
"""


async def written(it: Running) -> tuple[str, str, str, str]:
    """Erika stands in a draft, in the words of another and in a mail; a fourth one names others of like addresses."""
    about = {"customer": {"name": "Weserglas"}, "description": "Erika\nerika@vanishing.example"}
    made = [await it.post(P1, "/drafts", body) for body in (WRITTEN, about, BESIDE)]
    mail = await it.post(P1, "/intake/mail", {"mail": MAIL})
    assert [one.status_code for one in (*made, mail)] == [201, 201, 201, 202]
    first, second, beside = [one.json()["registration_id"] for one in made]
    return first, second, beside, mail.json()["mail_id"]


async def test_who_asks_is_told_the_drafts_and_mails_in_which_its_address_stands(registration: Running) -> None:
    first, second, _, mail = await written(registration)
    told = await found(registration)
    assert {one["registration_id"]: [each["name"] for each in one["contacts"]] for one in told["drafts"]} == {
        first: ["Erika Vanishing"],
        second: [],
    }
    assert [one["mail_id"] for one in told["mails"]] == [mail]


async def test_a_person_is_forgotten_in_drafts_and_mails_too_and_they_can_be_written_anew(
    registration: Running,
) -> None:
    first, second, beside, mail = await written(registration)
    for _ in range(2):
        assert (await registration.post(ADMIN, "/people/forget", ASKS)).json() == {"forgotten": True}
    told = await found(registration)
    assert (told["drafts"], told["mails"]) == ([], [])
    shown = {one: (await registration.get(P1, f"/drafts/{one}")).json()["body"] for one in (first, second, beside)}
    assert shown == {first: None, second: None, beside: BESIDE}
    assert (await registration.get(P1, f"/intake/mail/{mail}")).json()["raw"] is None
    anew = await registration.patch(P1, f"/deals/{first}", {"customer": {"name": "Weserglas"}})
    assert anew.status_code == 200, anew.text
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_only_an_admin_of_the_vendor_finds_and_forgets_people(registration: Running) -> None:
    first, _, _ = await named(registration)
    for who in (P1, DESK):
        for path in ("/people/find", "/people/forget", f"/deals/{first}/forget"):
            assert (await registration.post(who, path, ASKS if "people" in path else None)).status_code == 403


# The telephone number, by which two customers of like names may be one


def glass(number: int) -> dict[str, Any]:
    """Customers whose names are alike, each with a domain of its own."""
    name = f"Weserglas Handel {'s' * number}".strip()
    return {"name": f"{name} GmbH", "country": "DE", "website": f"weserglas{number}.de"}


async def alike(it: Running, registration_id: str) -> list[tuple[str, str, bool]]:
    """The customers that resemble a deal's, as the desk reads them: name, class, whether the number is the same."""
    shown = (await it.get(DESK, f"/deals/{registration_id}/conflicts")).json()["findings"]
    return [(one["candidate"]["name"], one["match"], one["candidate"].get("same_phone", False)) for one in shown]


async def test_customers_of_like_names_with_one_telephone_number_are_probably_one_until_the_person_is_forgotten(
    registration: Running,
) -> None:
    known = {**ERIKA, "phone": PHONE}
    await registration.register("p1", customer=glass(0), contacts=[known])
    mine = await registration.register("p2", customer=glass(1), contacts=[{"name": "Otto", "phone": PHONE}])

    assert await alike(registration, mine["registration_id"]) == [("Weserglas Handel GmbH", "probable", True)]
    refused = await registration.post(DESK, f"/deals/{mine['registration_id']}/approve")
    assert (refused.status_code, refused.json()["slug"]) == (409, "finding-undecided")
    told = await registration.get(P2, f"/deals/{mine['registration_id']}")
    assert "phone" not in told.text.replace(PHONE, "").replace('\\"phone\\"', "")
    assert "Weserglas Handel GmbH" not in told.text

    assert (await registration.post(ADMIN, "/people/forget", ASKS)).is_success
    later = await registration.register("p2", customer=glass(2), contacts=[{"name": "Otto", "phone": PHONE}])

    names = ["Weserglas Handel s GmbH", "Weserglas Handel GmbH"]
    assert sorted(await alike(registration, later["registration_id"])) == sorted(
        [(names[0], "probable", True), (names[1], "possible", False)]
    )
    handles = registration.service.application.executor.every_handles
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


def subjects(registration: Running) -> set[str]:
    """Whom a key is kept of."""
    rows = registration.service.application.keys.store._database.execute(  # type: ignore[attr-defined]
        "SELECT subject FROM data_key WHERE purpose = 'seal'"
    )
    return {subject for (subject,) in rows}


async def test_a_question_a_dry_run_and_what_does_not_fit_leave_no_key_behind(registration: Running) -> None:
    await registration.register("p1", customer=glass(0), contacts=[{**ERIKA, "phone": PHONE}])
    kept, person = subjects(registration), {"name": "Otto", "email": "otto@glass.example", "phone": PHONE}
    told = {"contacts": [person], "description": "They want it by the end of the year."}
    wish = deal(customer=glass(1), **told)
    wrong = deal(customer={**glass(1), "identifiers": [{"scheme": "vat", "country": "DE", "value": "DE1"}]}, **told)
    natural = deal(customer={**glass(1), "natural_person": True}, **told)

    for path, body, status in (
        ("/deals/preview", wish, 200),
        ("/deals/preview", natural, 200),
        ("/checks", wish, 200),
        ("/deals", wrong, 422),
    ):
        answer = await registration.send(P2, path, body)
        assert answer.status_code == status, answer.text
    table = "customer,country,website,products,amount,currency,contact_name,contact_email,contact_consent,description\n"
    row = f"Sesam Glas,DE,sesam-glas.de,cloud,1000.00,EUR,Otto,otto@glass.example,yes,{told['description']}\n"
    batch = (await registration.upload(P2, (table + row).encode())).json()["batch_id"]
    assert (await registration.until_batch(P2, batch, "dry_run"))["counts"] == {"good": 1}
    assert {one for one in subjects(registration) - kept if not one.startswith("import-")} == set()


async def test_no_telephone_number_stands_in_the_log_nor_a_hash_of_one_that_can_be_read(registration: Running) -> None:
    keys = registration.service.application.keys
    await registration.register("p1", customer=glass(0), contacts=[{**ERIKA, "phone": PHONE}])
    log = b"".join(bytes(one.data) for one in await registration.service.store.feed(0, 1_000))

    assert PHONE.encode() not in log
    assert keys.hmac("acme", f"phone|{PHONE}").encode() not in log
