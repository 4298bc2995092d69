"""What a partner can get at all: every route, event and answer is searched for what is its rival's."""

import re
from collections.abc import AsyncIterator, Iterable, Iterator
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.decider import Invalid
from chassis.event import plain
from chassis.proof import check
from chassis.record import CommandRecorded
from contracts.registration import ConflictDetected, DealQueued, DealRejected
from services.registration.domain.screening import DEAL_RULES
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
    answers = ({}, "not_eligible"), ({"replaces": lost["registration_id"]}, "taken")
    for path, (said, answer) in product(("/deals/preview", "/checks"), answers):
        asked = await registration.post(LOSER, path, deal(evidence=[SHARED], **said))
        assert asked.json()["availability"] == answer
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


# What rules keep from the losing side


NOTHING = {"reasons": [], "place": None, "free_from": None, "rival_since": None}
OF_ANSWER, OF_BOARD, OF_CONFLICT = (
    ("reasons", "place", "free_from"),
    ("place", "free_from"),
    ("free_from", "rival_since"),
)


async def beaten(registration: Running, **disclosure: bool) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rival holds the customer since a day before the loser asks; then other rules come into force."""
    await registration.publish_rules(disclosure=disclosure)
    held = await registration.register(str(RIVAL.partner_id))
    await registration.post(DESK, f"/deals/{held['registration_id']}/approve")
    registration.clock.forward(timedelta(days=1))
    lost = await registration.register(str(LOSER.partner_id))
    await registration.publish_rules()
    return held, lost


def only(names: Iterable[str], known: dict[str, Any]) -> dict[str, Any]:
    return {name: known[name] for name in names}


@pytest.mark.parametrize("field", ["reasons", "place", "free_from", "rival_since"])
async def test_what_the_rules_switch_off_a_losing_partner_reads_nowhere_and_the_vendor_still_does(
    registration: Running, field: str
) -> None:
    whole = {
        "reasons": ["rival-ahead", "review-required"],
        "place": 1,
        "free_from": "2026-06-08",
        "rival_since": "2026-03-03",
    }
    _, lost = await beaten(registration, **{field: False})
    expected = {**whole, field: NOTHING[field]}
    path = f"/deals/{lost['registration_id']}"

    own, desks = [(await registration.get(who, path)).json() for who in (LOSER, DESK)]
    listed = (await registration.get(LOSER, "/deals")).json()["items"][0]
    table = (await registration.get(LOSER, "/deals/export")).text.splitlines()
    row = dict(zip(table[0].split(","), table[1].split(","), strict=True))
    at = {step["event"]: step["event_id"] for step in desks["history"]}
    why = (await registration.get(LOSER, f"/why/{at['ConflictDetected']}")).json()
    told = await registration.told(ConflictDetected) + await registration.told(DealQueued)
    heard = {type(one).__name__: one.for_partner(str(LOSER.partner_id)) for one in told}

    answered = {**expected, "reasons": ["rival-ahead"] if expected["reasons"] else []}
    assert answered == {**expected, **only(OF_ANSWER, lost), "reasons": [one["code"] for one in lost["reasons"]]}
    assert [one["code"] for one in own["reasons"]] == expected["reasons"]
    assert {one["code"] for step in own["history"] for one in step["reasons"]} <= set(answered["reasons"])
    assert only(OF_BOARD, own["board"]) == only(OF_BOARD, listed) == only(OF_BOARD, expected)
    assert row["place"] == str(expected["place"] or "")
    assert row["free_from"] == (expected["free_from"] or "")
    assert only(OF_CONFLICT, own["conflict"]) == only(OF_CONFLICT, expected)
    assert [one["code"] for one in why["reasons"]] == expected["reasons"]
    assert {one["code"] for one in why["would_change"]} == set(expected["reasons"])
    assert why["detail"] == {**only(("place", *OF_CONFLICT), expected), "withheld": [field]}
    assert str(heard["ConflictDetected"].free_from or "") == (expected["free_from"] or "")
    assert heard["DealQueued"].place == (expected["place"] or 0)
    assert str(heard["DealQueued"].free_from or "") == (expected["free_from"] or "")
    assert own["board"]["withheld"] == [field]

    known = {**only(OF_BOARD, desks["board"]), **only(OF_CONFLICT, desks["conflict"])}
    assert {**known, "reasons": [one["code"] for one in desks["reasons"]]} == whole
    assert [(one.free_from or one.place) is not None for one in told] == [True, True]


@pytest.mark.parametrize(
    ("off", "codes", "until"), [({}, ("no-budget",), True), ({"reasons": False, "appeal_until": False}, (), False)]
)
async def test_a_rejection_tells_its_reason_and_until_when_it_may_be_contested_unless_the_rules_switch_that_off(
    registration: Running, off: dict[str, bool], codes: tuple[str, ...], *, until: bool
) -> None:
    holder, lost = await beaten(registration, **off)
    path = f"/deals/{lost['registration_id']}"
    waiting = [(await registration.get(who, path)).json()["contest_until"] for who in (DESK, LOSER)]
    holding = (await registration.get(DESK, f"/deals/{holder['registration_id']}")).json()["contest_until"]
    said = {"reason_code": "no-budget", "message": "There is none for this year."}

    answer = (await registration.post(DESK, f"{path}/reject", said)).json()
    [told] = await registration.told(DealRejected)
    heard = told.for_partner(str(LOSER.partner_id))
    own = (await registration.get(LOSER, path)).json()
    ends = "2026-03-18T10:00:00Z"
    assert (waiting, holding) == ([ends, ends if until else None], None)
    assert own["contest_until"] == (ends if until else None)
    why = (await registration.get(LOSER, f"/why/{own['history'][-1]['event_id']}")).json()
    filed = {"registration_id": lost["registration_id"], "kind": "incumbent", "statement": "We were here long before."}

    assert (heard.reason_codes, heard.appeal_until is not None) == (codes, until)
    assert (told.reason_codes, told.appeal_until is not None) == (("no-budget",), True)
    assert [one["code"] for one in own["history"][-1]["reasons"]] == list(codes)
    assert [one["code"] for one in why["reasons"]] == list(codes)
    assert [one["code"] for one in answer["reasons"]] == ["no-budget"]
    assert (await registration.post(LOSER, "/disputes", filed)).status_code == 201, "the right itself stays"


async def test_with_all_switched_off_no_route_that_a_partner_can_read_tells_when_or_why(registration: Running) -> None:
    names = ("reasons", "place", "free_from", "rival_since", "appeal_until")
    _, lost = await beaten(registration, **dict.fromkeys(names, False))
    recorded = [one for one in await registration.service.store.feed(0, 1_000) if one.type != CommandRecorded.type]
    known = {
        "registration_id": [lost["registration_id"]],
        "account_id": [lost["account_id"]],
        "event_id": [str(one.id) for one in recorded],
        "stream": sorted({one.stream.partition(":")[2] for one in recorded}),
        "rulebook_id": ["default"],
        "version": ["1"],
    }
    read = 0
    for path in asked_of(registration, known):
        answer = await registration.get(LOSER, path)
        read += answer.status_code == 200
        assert not found_in(answer.text, ["rival-ahead", "2026-06-08", "Another partner holds"]), path
    assert read > 20


async def test_a_question_is_answered_as_the_rules_in_force_disclose(registration: Running) -> None:
    await beaten(registration)
    off = dict.fromkeys(("reasons", "place", "free_from"), False)
    await registration.publish_rules(disclosure=off)
    other = deal(amount={"amount": "7.00", "currency": "EUR"})

    own, desks = [
        (await registration.post(who, "/deals/preview", {**other, **named})).json()
        for who, named in ((THIRD, {}), (DESK, {"partner_id": THIRD.partner_id}))
    ]
    checked = (await registration.post(THIRD, "/checks", other)).json()

    assert own["availability"] == desks["availability"] == checked["availability"] == "taken"
    assert only((*OF_ANSWER, "checks"), own) == {"reasons": [], "place": None, "free_from": None, "checks": []}
    assert (desks["place"], desks["free_from"]) == (2, "2026-06-08")
    assert checked["free_from"] is None


def test_fields_of_the_disclosure_can_only_be_switched_off_and_old_rules_disclose_all() -> None:
    assert DEAL_RULES.read({}).disclosure.withheld == ()
    assert DEAL_RULES.read({"disclosure": {"place": False}}).disclosure.withheld == ("place",)
    with pytest.raises(Invalid):
        DEAL_RULES.read_anew({"disclosure": {"rival_name": True}})


# The telephone number of a person whom a rival has named: evidence for the desk alone

NUMBER, OTHER_NUMBER = "+49421555017", "+49421555018"
EAST = seller("p2")
IDS = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def handel(number: int, phone: str, **customer: str) -> dict[str, Any]:
    """A wish for one of two customers of like names, each with a domain of its own."""
    known = {"name": f"Weserglas Handel {'s' * number}".strip(), "country": "DE", "website": f"weserglas{number}.de"}
    return {"customer": {**known, **customer}, "contacts": [{"name": "Ida Berg", "phone": phone}]}


async def east_hears(it: Running, wests: str, **customer: str) -> tuple[list[Any], list[str], Any]:
    """What East is answered where West has named that number: its own view first; then what the desk reads."""
    for partner in ("p1", "p2"):
        await it.hear(activated(partner))
    await it.publish_rules()
    await it.register("p1", **handel(0, wests, **customer))
    wish = deal(**handel(1, NUMBER, **customer))
    asked = [(await it.post(EAST, path, wish)).json() for path in ("/deals/preview", "/checks")]
    mine = (await it.post(EAST, "/deals", wish)).json()
    path = f"/deals/{mine['registration_id']}"
    own, desks = [(await it.get(who, path)).json() for who in (EAST, DESK)]
    whys = [(await it.get(EAST, f"/why/{step['event_id']}")).json() for step in own["history"]]
    heard = [plain(view) for one in await it.told(ConflictDetected) if (view := one.for_partner("p2"))]
    found = (await it.get(DESK, f"{path}/conflicts")).json()
    classes = [desks["conflict"]["class"], found["match"], *(one["match"] for one in found["findings"])]
    listed = (await it.get(EAST, "/deals")).json()
    return [own["conflict"], heard, asked, mine, own, listed, whys], classes, desks["conflict"].get("told_class")


async def test_nothing_tells_a_partner_whether_a_rival_named_somebody_with_the_same_number(tmp_path: Path) -> None:
    async with started(tmp_path / "same") as same, started(tmp_path / "other") as other:
        with_it, desks_with, _ = await east_hears(same, NUMBER)
        without, desks_without, told_then = await east_hears(other, OTHER_NUMBER)

    assert (with_it[0]["class"], [one["conflict_class"] for one in with_it[1]]) == ("possible", ["possible"])
    assert re.sub(IDS, "id", str(with_it)) == re.sub(IDS, "id", str(without))
    assert (desks_with, desks_without, told_then) == (["probable"] * 3, ["possible"] * 3, None)


async def test_a_number_that_is_the_same_changes_nothing_where_the_address_makes_it_probable_already(
    registration: Running,
) -> None:
    [conflict, *_], desks, told = await east_hears(registration, NUMBER, postcode="28195", street="Am Wall 1")

    assert (conflict["class"], desks, told) == ("probable", ["probable"] * 3, None)
