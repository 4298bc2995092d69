"""Exclusions, capacity and what others left behind, over HTTP; what the vendor sells directly, as the CRM tells it."""

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from contracts.attribution import Customer, OpportunityMirrored
from contracts.incentives import TierChanged
from contracts.onboarding import CertifiedCountChanged
from contracts.registration import DealApproved
from services.registration.domain.capacity import Capacities
from tests.registration.service import DESK, TENANT, Running, activated, deal, seller, started

VAT = {"scheme": "vat", "value": "DE136695976"}
DUNS = {"scheme": "duns", "value": "123456789"}
NUMBERED = {"name": "Contoso GmbH", "country": "DE"}


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules(capacity=2)
        yield asked


def mirrored(stage: str) -> OpportunityMirrored:
    return OpportunityMirrored(
        opportunity_id="o1",
        connection_id="c1",
        external_id="77",
        customer=Customer(legal_name="Contoso GmbH", domain="contoso.com"),
        product_families=("cloud",),
        stage=stage,
        opened_on=date(2026, 3, 1),
        direct=True,
    )


async def test_an_excluded_customer_is_taken_to_who_asks_and_rejected_to_who_registers(registration: Running) -> None:
    body = {"target": "domain:contoso.com", "kind": "house", "from_on": "2026-01-01"}
    assert (await registration.post(DESK, "/exclusions", body)).status_code == 201
    registration.clock.set(registration.clock.now().replace(hour=11))

    checked = (await registration.post(seller("p1"), "/checks", deal())).json()
    registered = await registration.register("p1")

    assert checked["availability"] == "taken"
    assert (registered["status"], registered["reasons"][0]["code"]) == ("rejected", "excluded")
    assert (await registration.get(seller("p1"), "/exclusions")).status_code == 403
    [entry] = (await registration.get(DESK, "/exclusions")).json()["items"]
    ended = await registration.post(DESK, f"/exclusions/{entry['exclusion_id']}/end", {"target": "domain:contoso.com"})
    assert ended.status_code == 200
    assert (await registration.register("p1"))["status"] == "in_review"


@pytest.mark.parametrize(
    ("typed", "listed", "deal_of"),
    [
        ("domain:WWW.Contoso.com", "domain:contoso.com", {}),
        ("domain:https://shop.contoso.com/de", "domain:contoso.com", {}),
        ("family:Cloud  Backup / Daily", "family:cloud backup/daily", {"products": [{"family": "cloud backup/Daily"}]}),
        ("vat:DE:DE 136 695 976", "vat:DE:136695976", {"customer": {**NUMBERED, "identifiers": [VAT]}}),
        ("duns:12-345-6789", "duns:123456789", {"customer": {**NUMBERED, "identifiers": [DUNS]}}),
    ],
)
async def test_what_is_excluded_is_meant_however_it_was_typed_and_ended_so_too(
    registration: Running, typed: str, listed: str, deal_of: dict[str, Any]
) -> None:
    added = await registration.post(DESK, "/exclusions", {"target": typed, "kind": "named", "from_on": "2026-01-01"})
    assert (added.status_code, added.json().get("target")) == (201, listed)
    registration.clock.set(registration.clock.now().replace(hour=11))
    registered = await registration.register("p1", **deal_of)
    assert (registered["status"], registered["reasons"][0]["code"]) == ("rejected", "excluded")

    ended = await registration.post(DESK, f"/exclusions/{added.json()['exclusion_id']}/end", {"target": typed})
    assert ended.status_code == 200
    assert (await registration.get(DESK, "/exclusions")).json()["items"] == []


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("domain:co.uk", "not-a-domain"),
        ("domain:con toso.com", "not-a-domain"),
        ("vat:DE:DE136695977", "invalid-identifier"),
        ("vat:DE136695976", "country-missing"),
        ("account:nobody", "no-such-account"),
    ],
)
async def test_what_would_keep_nobody_out_is_not_taken_for_an_exclusion(
    registration: Running, target: str, code: str
) -> None:
    body = {"target": target, "kind": "named", "from_on": "2026-01-01"}
    refused = await registration.post(DESK, "/exclusions", body)
    assert (refused.status_code, [one["code"] for one in refused.json()["errors"]]) == (422, [code])


@pytest.mark.parametrize(
    ("target", "country", "scheme", "value"),
    [
        ("registry:IE:12345", "IE", "registry", "12345"),
        ("vat:CH:CHE107787577", "CH", "vat", "CHE-107.787.577 MWST"),
        ("vat:CH:CHE107787577MWST", "CH", "vat", "CHE-107.787.577 MWST"),
        ("vat:CH:CHE107787577IVA", "CH", "vat", "CHE-107.787.577 MWST"),
    ],
)
async def test_a_number_excludes_a_customer_also_where_nobody_can_check_it_or_a_tax_is_named_behind_it(
    registration: Running, target: str, country: str, scheme: str, value: str
) -> None:
    body = {"target": target, "kind": "named", "from_on": "2026-01-01"}
    assert (await registration.post(DESK, "/exclusions", body)).status_code == 201
    registration.clock.set(registration.clock.now().replace(hour=11))

    customer = {"name": "Alder", "country": country, "identifiers": [{"scheme": scheme, "value": value}]}
    registered = await registration.register("p1", customer=customer)

    assert (registered["status"], registered["reasons"][0]["code"]) == ("rejected", "excluded")


async def test_who_is_kept_by_one_key_or_as_a_customer_is_not_free_by_another(registration: Running) -> None:
    both = {"name": "Contoso GmbH", "country": "DE", "website": "contoso.com", "identifiers": [VAT]}
    first = await registration.register("p1", customer=both)
    await registration.post(seller("p1"), f"/deals/{first['registration_id']}/withdraw")
    by_number = {**NUMBERED, "identifiers": [VAT]}
    assert (await registration.post(seller("p1"), "/checks", deal(customer=by_number))).json()["availability"] == "free"

    for target in ("domain:contoso.com", f"account:{first['account_id']}"):
        body = {"target": target, "kind": "house", "from_on": "2026-01-01"}
        added = await registration.post(DESK, "/exclusions", body)
        assert added.status_code == 201, added.text
        registration.clock.forward(timedelta(minutes=1))
        registered = await registration.register("p1", customer=by_number)
        assert (registered["status"], registered["reasons"][0]["code"]) == ("rejected", "excluded")
        await registration.post(DESK, f"/exclusions/{added.json()['exclusion_id']}/end", {"target": target})


async def test_what_the_vendor_sells_directly_is_excluded_until_it_is_decided(registration: Running) -> None:
    await registration.hear(mirrored("qualified"))
    registration.clock.set(registration.clock.now().replace(hour=11))
    assert (await registration.register("p1"))["status"] == "rejected"

    await registration.hear(mirrored("lost"))

    assert (await registration.register("p2"))["status"] == "in_review"


async def test_a_partner_has_as_many_open_deals_as_its_slots(registration: Running) -> None:
    first, _ = [await registration.register("p1", products=[{"sku": sku}]) for sku in ("1", "2")]
    third = await registration.register("p1", products=[{"sku": "3"}])

    await registration.post(seller("p1"), f"/deals/{first['registration_id']}/withdraw")
    fourth = await registration.register("p1", products=[{"sku": "4"}])

    assert (third["status"], third["reasons"][0]["code"]) == ("rejected", "capacity-full")
    assert fourth["status"] == "in_review"


async def test_a_slot_is_given_back_as_soon_as_its_deal_is_over(registration: Running) -> None:
    first, second = [await registration.register("p1", products=[{"sku": sku}]) for sku in ("1", "2")]
    await registration.post(seller("p1"), f"/deals/{first['registration_id']}/withdraw")
    await registration.post(DESK, f"/deals/{second['registration_id']}/reject", {"reason_code": "not-credible"})
    peek = registration.service.application.executor.peek(TENANT)

    async def empty() -> bool:
        return bool((await peek(Capacities.at("p1.2026-Q1"))).taken == ())

    assert await registration.seen(empty)


async def test_a_partner_reads_how_many_more_deals_it_may_have_open_and_the_vendor_of_whom_it_names(
    registration: Running,
) -> None:
    p1, empty = seller("p1"), (await registration.get(seller("p2"), "/capacity")).json()
    first = await registration.register("p1", products=[{"sku": "1"}])
    second = await registration.register("p1", products=[{"sku": "2"}])
    full = (await registration.get(p1, "/capacity")).json()
    await registration.post(p1, f"/deals/{first['registration_id']}/withdraw")
    registration.clock.set(datetime(2026, 7, 1, tzinfo=UTC))
    own = (await registration.get(p1, "/capacity")).json()
    desks = (await registration.get(DESK, "/capacity", partner_id="p1")).json()

    assert empty == {
        "partner_id": "p2",
        "programme": "default",
        "quarter": "2026-Q1",
        "open": 0,
        "limit": 2,
        "left": 2,
        "registration_ids": [],
    }
    assert (full["open"], full["left"]) == (2, 0)
    assert (own["quarter"], own["open"], own["left"]) == ("2026-Q3", 1, 1)
    assert own["registration_ids"] == [second["registration_id"]]
    assert desks == own
    assert (await registration.get(DESK, "/capacity")).status_code == 400
    assert (await registration.get(p1, "/capacity", partner_id="p2")).status_code == 404


async def test_where_the_rules_do_not_count_there_is_no_limit_to_read(registration: Running) -> None:
    await registration.publish_rules()
    found = (await registration.get(seller("p1"), "/capacity")).json()

    assert (found["open"], found["limit"], found["left"]) == (None, None, None)


def codes(answer: dict[str, Any]) -> set[str]:
    return {one["code"] for one in answer["reasons"]}


async def test_a_partner_of_a_higher_tier_has_more_slots(registration: Running) -> None:
    await registration.publish_rules(capacity=1, tier_capacities=[{"tier": "silver", "capacity": 2}])
    news = {"partner_id": "p1", "programme": "tiers", "effective_on": date(2026, 1, 1), "version": 1, "cause": "review"}
    await registration.hear(TierChanged(**news, to_level="silver"))

    statuses = [(await registration.register("p1", products=[{"sku": sku}]))["status"] for sku in ("1", "2", "3")]
    others = [(await registration.register("p2", products=[{"sku": sku}]))["status"] for sku in ("4", "5")]

    assert statuses == ["in_review", "in_review", "rejected"]
    assert others == ["in_review", "rejected"]


async def test_who_has_too_few_certified_people_is_looked_at_and_the_check_names_its_source(
    registration: Running,
) -> None:
    await registration.publish_rules(certifications=[{"certification": "cloud-expert", "count": 2}])
    counted = CertifiedCountChanged(
        partner_id="p1",
        certification="cloud-expert",
        effective_on=date(2026, 3, 1),
        count=2,
        person_ids=("x1", "x2"),
        rule_version=1,
        changed_at=registration.clock.now(),
    )
    await registration.hear(counted)

    certified = await registration.register("p1", products=[{"family": "cloud", "sku": "1"}])
    previewed = (await registration.post(seller("p2"), "/deals/preview", deal(products=[{"family": "cloud"}]))).json()
    assert "certification-missing" in codes(previewed)
    other = await registration.register("p2", products=[{"family": "cloud", "sku": "2"}])

    [checked] = [await check_of(registration, one["registration_id"]) for one in (certified,)]
    assert (checked["value"], checked["event_id"] is None) == ({"certification": "cloud-expert", "people": 2}, False)
    assert (await check_of(registration, other["registration_id"]))["value"]["people"] == 0
    own = (await registration.get(seller("p2"), f"/deals/{other['registration_id']}")).json()["history"][0]
    why = (await registration.get(seller("p2"), f"/why/{own['event_id']}")).json()
    [told] = [one["value"] for one in why["inputs"] if one["name"] == "certification"]
    assert told == {"certification": "cloud-expert", "people": 0}


async def check_of(registration: Running, registration_id: str) -> dict[str, Any]:
    """What the screening of a deal looked at when it asked for certified people."""
    seen = await registration.get(DESK, f"/deals/{registration_id}")
    screened = next(one for one in seen.json()["history"] if one["event"] == "DealScreened")
    why = (await registration.get(DESK, f"/why/{screened['event_id']}")).json()
    found: dict[str, Any] = next(one for one in why["inputs"] if one["name"] == "certification")
    return found


@pytest.mark.parametrize("said", [{"watch_for": ["look", "document", "asked"]}, {}])
async def test_a_person_looks_at_look_alikes_same_documents_and_changed_questions(
    registration: Running, said: dict[str, Any]
) -> None:
    await registration.publish_rules(**said)
    shown = {"evidence": [{"kind": "letter", "dated_on": "2026-03-01", "sha256": "d" * 64}]}
    first = await registration.register("p1", role="resell", **shown)
    await registration.post(DESK, f"/deals/{first['registration_id']}/reject", {"reason_code": "not-credible"})

    changed = deal(role="referral")
    previewed = (await registration.post(seller("p1"), "/deals/preview", changed)).json()
    again = (await registration.post(seller("p1"), "/deals", changed)).json()
    other = deal(customer={"name": "Anybody", "country": "DE", "website": "c0ntoso.com"}, **shown)
    alike = await registration.post(seller("p2"), "/deals", other)
    seen = await registration.get(seller("p2"), f"/deals/{alike.json()['registration_id']}")
    why = await registration.get(seller("p2"), f"/why/{seen.json()['history'][0]['event_id']}")

    told = {name: check["code"] for check in previewed["checks"] if (name := check["name"]) in ("asked", "look")}
    assert told == {"asked": "changed-after-loss", "look": None}
    assert again["status"] == alike.json()["status"] == "in_review"
    assert codes(why.json()) >= {"look-alike-domain", "same-evidence"}
    hidden = ("p1", first["registration_id"], first["account_id"], first["number"], "Contoso GmbH")
    assert not [word for word in hidden if word in seen.text + alike.text + why.text]
    assert why.status_code == 200


async def test_rules_that_are_written_now_say_what_they_do_where_nothing_is_said(registration: Running) -> None:
    await registration.publish_rules()
    await registration.publish_rules(watch_for=[])

    _, first, second = (await registration.get(DESK, "/rulebooks/default")).json()["versions"]

    assert first["body"] == {"watch_for": ["look", "document", "asked"], "any_spelling": True}
    assert second["body"] == {"watch_for": [], "any_spelling": True}


FAMILIES = {
    "families": ["Cloud Storage"],
    "certifications": [{"certification": "expert", "families": ["CLOUD storage"]}],
}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, {"certification-missing"}),
        ({"any_spelling": False}, {"product-not-listed"}),
    ],
)
async def test_a_family_is_one_of_the_programme_s_however_it_is_written_and_by_older_rules_letter_by_letter(
    registration: Running, said: dict[str, Any], told: set[str]
) -> None:
    benefit = {"name": "base", "percent": "5", "families": ["cloud-storage", "cloud storage"]}
    await registration.publish_rules(**FAMILIES, **said, benefits=[benefit])
    asked = deal(products=[{"family": "cloud  Storage"}])
    previewed = (await registration.post(seller("p1"), "/deals/preview", asked)).json()
    made = (await registration.post(seller("p1"), "/deals", asked)).json()["registration_id"]
    await registration.post(DESK, f"/deals/{made}/approve")

    approved = (await registration.told(DealApproved))[-1]

    assert {one["code"] for one in previewed["reasons"]} & {"certification-missing", "product-not-listed"} == told
    assert [one.name for one in approved.entitlement.benefits] == ([] if said else ["base"])
