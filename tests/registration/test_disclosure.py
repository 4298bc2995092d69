"""What a partner can get at all: every route, event and answer is searched for what is its rival's."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.event import plain
from chassis.proof import check
from chassis.record import CommandRecorded
from tests.registration.service import DESK, TENANT, Running, activated, deal, seller, started
from tests.scenarios.routes import routes_of

RIVAL, LOSER, THIRD = seller("rival-7c1e"), seller("p2"), seller("p3-4e")
SHARED = {"kind": "letter", "dated_on": "2026-03-01", "sha256": "ab" * 32}
OF_RIVAL = {
    "customer": {
        "name": "Contoso Geheimrat GmbH",
        "country": "DE",
        "website": "www.contoso.com",
        "street": "Verborgene Gasse 7",
        "trade_names": ["Contoso Undercover"],
    },
    "products": [{"family": "cloud", "sku": "100"}, {"family": "undisclosed", "sku": "HIDDEN-SKU-7"}],
    "amount": {"amount": "98765.43", "currency": "EUR"},
    "contacts": [{"name": "Ida Verschwiegen", "email": "ida@contoso.com"}],
    "description": "Replaces everything that runs in their secret plant.",
    "partner_reference": "PO-RIVAL-1",
    "price_reference": "PRICE-RIVAL-1",
    "evidence": [SHARED, {"kind": "mail", "dated_on": "2026-03-01", "sha256": "cd" * 32}],
}
NEEDLES = (
    *("rival-7c1e", "Geheimrat", "Undercover", "Verborgene", "undisclosed", "HIDDEN-SKU-7", "98765.43"),
    *("Verschwiegen", "ida@contoso.com", "secret plant", "PO-RIVAL-1", "PRICE-RIVAL-1", "cd" * 32),
)


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for who in (RIVAL, LOSER, THIRD):
            await asked.hear(activated(str(who.partner_id)))
        await asked.publish_rules(watch_for=["look", "document", "asked"])
        yield asked


async def contested(registration: Running) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rival holds the customer; the loser waits, shows the same document, and contests it."""
    held = await registration.register(str(RIVAL.partner_id), **OF_RIVAL)
    await registration.post(DESK, f"/deals/{held['registration_id']}/approve")
    lost = await registration.register(str(LOSER.partner_id), evidence=[SHARED])
    assert lost["status"] == "waiting"
    filed = {"registration_id": lost["registration_id"], "kind": "incumbent", "statement": "We were here long before."}
    assert (await registration.post(LOSER, "/disputes", filed)).status_code == 201
    return held, lost


def asked_of(registration: Running, known: dict[str, list[str]]) -> Iterator[str]:
    """Every route that reads, with everything that could stand in its place."""
    for _, method, path in routes_of(registration.service):
        names = re.findall(r"{(\w+)}", path)
        if method == "GET":
            for values in product(*(known.get(name, known["registration_id"]) for name in names)):
                yield path.format(**dict(zip(names, values, strict=True)))


def found_in(text: str, needles: Iterable[str]) -> list[str]:
    return [needle for needle in needles if needle in text]


async def test_done_when_7_nothing_a_partner_can_read_holds_a_rivals_name_terms_or_customer(
    registration: Running,
) -> None:
    held, lost = await contested(registration)
    recorded = [one for one in await registration.service.store.feed(0, 1_000) if one.type != CommandRecorded.type]
    known = {
        "registration_id": [held["registration_id"], lost["registration_id"]],
        "account_id": [held["account_id"]],
        "event_id": [str(one.id) for one in recorded],
        "stream": sorted({one.stream.partition(":")[2] for one in recorded}),
        "rulebook_id": ["default"],
        "version": ["1"],
    }
    needles = (*NEEDLES, held["registration_id"], held["number"])
    mine, theirs = 0, 0
    for path in asked_of(registration, known):
        asks_for = found_in(path, needles)  # what was asked for may be named in the answer
        answer = await registration.get(LOSER, path)
        mine += answer.status_code == 200
        theirs += answer.status_code in (403, 404)
        assert not found_in(answer.text, [one for one in needles if one not in asks_for]), path
    assert mine > 20, "the partner reads its own"
    assert theirs > 20, "and nothing else"

    told = [registration.service.blueprint.publish(one.seen("registration")) for one in recorded]
    heard = [event.for_partner(str(LOSER.partner_id)) for event in told if event is not None]
    assert not found_in(orjson.dumps([plain(event) for event in heard if event]).decode(), needles)
    for path in ("/deals/preview", "/checks"):
        asked = await registration.post(LOSER, path, deal(evidence=[SHARED]))
        assert asked.json()["availability"] == "taken"
        assert not found_in(asked.text, needles)


async def test_the_proof_of_a_deal_holds_for_the_vendor_and_with_hashes_alone_for_its_partner(
    registration: Running,
) -> None:
    held, lost = await contested(registration)
    path = f"/deals/{lost['registration_id']}/proof"

    to_desk, to_loser = [(await registration.get(who, path)).json() for who in (DESK, LOSER)]

    for copy in (to_desk, to_loser):
        proofs = [copy["deal"], *copy["claims"], copy["rules"]]
        assert [check(one).wrong for one in proofs] == [(), (), ()]
    assert to_desk["claims"][0]["stream"] == f"{TENANT}:claims-{held['account_id']}"
    assert to_desk["rules_version"] == 1
    assert {event["state"] for event in (*to_loser["deal"]["events"], *to_loser["claims"][0]["events"])} == {None}
    assert {event["type"] for event in to_loser["claims"][0]["events"]} == {""}
    to_desk["claims"][0]["events"][0]["state"] = "YWJj"
    assert not check(to_desk["claims"][0]).holds
    assert (await registration.get(LOSER, f"/deals/{held['registration_id']}/proof")).status_code == 404


async def test_the_proof_of_a_deal_shows_its_partner_nothing_of_what_came_after_its_last_step(
    registration: Running,
) -> None:
    held, lost = await contested(registration)
    path = f"/deals/{lost['registration_id']}/proof"
    before = [len((await registration.get(who, path)).json()["claims"][0]["events"]) for who in (DESK, LOSER)]
    assert before[0] == before[1]

    other = await registration.register(str(THIRD.partner_id), **{**OF_RIVAL, "partner_reference": "PO-3"})
    assert other["account_id"] == held["account_id"]

    after = [len((await registration.get(who, path)).json()["claims"][0]["events"]) for who in (DESK, LOSER)]
    assert after[0] > before[0]
    assert after[1] == before[1]


async def test_what_rules_watch_for_is_published_and_what_they_found_names_nobody(registration: Running) -> None:
    """Rules are for everybody to read, those against abuse too; the finding says which rule, never about whom."""
    _, lost = await contested(registration)

    rules = (await registration.get(LOSER, "/rulebooks/default")).json()
    own = (await registration.get(LOSER, f"/deals/{lost['registration_id']}")).json()

    assert rules["versions"][-1]["body"]["watch_for"] == ["look", "document", "asked"]
    assert "same-evidence" in [reason["code"] for reason in own["reasons"]]
    assert "found" not in own
