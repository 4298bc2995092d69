"""A lead from the first word to the deal: over HTTP, by the clock, and what each side may read of it meanwhile."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.event import LEFT_OUT
from chassis.identity import Principal
from contracts.onboarding import PartnerSuspended
from contracts.registration import LeadAssigned as PublicAssigned
from contracts.registration import LeadSubmitted as PublicSubmitted
from services.registration.domain.lead import LeadAssigned
from tests.registration.service import ADMIN, DESK, OTHER_ADMIN, START, TENANT, Running, activated, seller, started

CM = Principal(tenant=TENANT, subject="cm-1", kind="vendor", roles=("channel_manager",))
ANALYST = Principal(tenant=TENANT, subject="ana-1", kind="vendor", roles=("analyst",))
MARKETER = Principal(tenant=TENANT, subject="m-1", kind="partner", partner_id="p1", roles=("marketer",))
NOBODY = Principal(tenant=TENANT, subject="nobody", kind="anonymous")
CONTACT = {"name": "Petra Prospect", "email": "petra@fabrikam.com", "phone": "+4930123456", "consent": True}
NEED = "We look for a new platform for 200 people; call +49 30 123456 or petra@fabrikam.com."
PII = (b"Petra", b"petra@", b"123456", b"Fabrikam", b"fabrikam", b"10115")


def lead(**changes: Any) -> dict[str, Any]:
    company = {
        "name": "Fabrikam AG",
        "country": "DE",
        "website": "www.fabrikam.com",
        "postcode": "10115",
        "size": "50-249",
    }
    return {"company": company, "contact": CONTACT, "need": NEED, "families": ["cloud"], "source": "event", **changes}


def other(name: str, **changes: Any) -> dict[str, Any]:
    company = {"name": name, "country": "DE", "website": f"www.{name.lower()}.com"}
    contact = {**CONTACT, "email": f"petra@{name.lower()}.com"}
    return lead(company=company, contact=contact, need=f"{name} looks for a new platform.", **changes)


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2", "p3"):
            await asked.hear(activated(partner))
        await asked.publish_rules(zone="Europe/London")
        yield asked


async def route_by(it: Running, **body: Any) -> None:
    draft = {"rulebook_id": "routing", "kind": "lead_rules", "body": {"zone": "Europe/London", **body}}
    drafted = await it.post(ADMIN, "/rulebooks", draft)
    assert drafted.status_code == 201, drafted.text
    version = {"version": drafted.json()["version"]}
    assert (await it.post(OTHER_ADMIN, "/rulebooks/routing/publish", version)).status_code == 200


async def brought(it: Running, who: Principal = DESK, **changes: Any) -> str:
    answer = await it.post(who, "/leads", lead(**changes))
    assert answer.status_code == 201, answer.text
    lead_id: str = answer.json()["lead_id"]
    return lead_id


async def standing(it: Running, lead_id: str, *statuses: str, **fields: Any) -> dict[str, Any]:
    """Waits until the lead stands so."""

    async def look() -> dict[str, Any] | None:
        found = (await it.get(DESK, f"/leads/{lead_id}")).json()
        fits = found.get("status") in statuses and all(found[name] == value for name, value in fields.items())
        return dict(found) if fits else None

    return await it.seen(look)


async def offered_to(it: Running, lead_id: str, *partners: str) -> dict[str, Any]:
    found = await standing(it, lead_id, "offered")
    assert [one["partner_id"] for one in found["offers"]] == list(partners)
    it.clock.forward(timedelta(seconds=1))
    return found


async def test_leads_are_found_by_product_day_and_customer_and_a_masked_one_by_its_customer_never(
    registration: Running,
) -> None:
    async def found(who: Principal, **query: str) -> list[str]:
        answer = await registration.get(who, "/leads", **query)
        assert answer.status_code == 200, answer.text
        return [one["lead_id"] for one in answer.json()["items"]]

    await route_by(registration)
    mine = await brought(registration)
    await offered_to(registration, mine, "p1")
    other_one = await brought(registration, **other("Northwind", families=["storage"]))

    assert await found(DESK, family="storage") == [other_one]
    assert await found(DESK, domain="fabrikam.com") == [mine]
    assert await found(DESK, submitted_from="2026-03-04") == []
    assert await found(DESK, submitted_from="2026-03-03", submitted_before="2026-03-04") == [other_one, mine]
    assert await found(seller("p1"), family="cloud") == [mine]
    assert await found(seller("p1"), domain="fabrikam.com") == []
    await registration.post(seller("p1"), f"/leads/{mine}/accept")
    assert await found(seller("p1"), domain="fabrikam.com") == [mine]
    assert await found(seller("p2"), domain="fabrikam.com") == []


async def test_before_accept_the_need_says_no_name_that_the_lead_itself_tells(registration: Running) -> None:
    await route_by(registration)
    company = {
        "name": "Fabrikam Werke AG",
        "country": "DE",
        "website": "fabrikam-werke.de",
        "street": "Lange Gasse 7",
        "postcode": "10115",
        "trade_names": ["FAWE"],
    }
    contact = {**CONTACT, "name": "Petra van Muster", "email": "p@fabrikam-werke.de"}
    need = (
        "Petra van Muster of FABRIKAM  WERKE (fabrikam-werke.de) looks for new works. "
        "Ms Muster sits in Lange Gasse 7, 10115 Berlin; Petra's Fawe grows in vans."
    )
    lead_id = await brought(registration, company=company, contact=contact, need=need)
    await offered_to(registration, lead_id, "p1")

    masked = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()
    table = (await registration.get(seller("p1"), "/leads/export")).text

    said = "••• of ••• (•••) looks for new works. Ms ••• sits in •••, ••• Berlin; ••• ••• grows in vans."
    assert (masked["need"], said in table) == (said, True)


async def test_done_when_8_before_accept_no_lead_pii_leaves(registration: Running) -> None:
    """Done when 8, first half."""
    await route_by(registration)
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")

    masked = await registration.get(seller("p1"), f"/leads/{lead_id}")
    listed = await registration.get(seller("p1"), "/leads")
    proofs = [
        await registration.get(seller("p1"), "/events"),
        await registration.get(seller("p1"), f"/proofs/lead-{lead_id}"),
    ]
    public = [event for kind in (PublicSubmitted, PublicAssigned) for event in await registration.told(kind)]

    assert masked.json()["company"] == {"country": "DE", "region": None, "size": "50-249"}
    assert masked.json()["need"] == "We look for a new platform for 200 people; call ••• or •••"
    assert masked.json()["masked"] is True
    for answer in (masked, listed, *proofs):
        assert [word for word in PII if word in answer.content] == []
    assert [word for word in PII if word.decode() in str(public)] == []
    assert (await registration.get(seller("p2"), f"/leads/{lead_id}")).status_code == 404

    assert (await registration.post(seller("p1"), f"/leads/{lead_id}/accept")).json()["status"] == "accepted"
    whole = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()

    assert (whole["company"]["name"], whole["contact"]["email"], whole["need"]) == (
        "Fabrikam AG",
        "petra@fabrikam.com",
        NEED,
    )
    marketer = (await registration.get(MARKETER, f"/leads/{lead_id}")).json()
    assert (marketer["company"]["name"], marketer["contact"]) == ("Fabrikam AG", None)
    assert (await registration.get(ANALYST, f"/leads/{lead_id}")).json()["contact"] is None


async def test_done_when_8_a_forgotten_contact_is_unreadable(registration: Running) -> None:
    """Done when 8, second half."""
    await route_by(registration)
    lead_id = await brought(registration)
    assert (await registration.get(DESK, f"/leads/{lead_id}")).json()["contact"]["name"] == "Petra Prospect"

    assert (await registration.post(seller("p1"), f"/leads/{lead_id}/forget")).status_code == 403
    assert (await registration.post(DESK, f"/leads/{lead_id}/forget")).status_code == 200
    found = (await registration.get(DESK, f"/leads/{lead_id}")).json()
    stored = b"".join(one.stored for one in await registration.service.store.feed(0, 1_000))

    assert (found["contact"], found["need"]) == (None, None)
    assert [word for word in (b"Petra", b"petra@", b"200 people") if word in stored] == []


async def test_a_forgotten_contact_stays_so_when_a_backup_brings_its_key_back(tmp_path: Path) -> None:
    async with started(tmp_path) as it:
        await it.publish_rules()
        await route_by(it)
        forgotten, kept = (
            await brought(it),
            await brought(it, company={"name": "Contoso", "country": "DE"}, contact=None),
        )
    keys = tmp_path / "registration" / "keys.db"
    backed_up = keys.read_bytes()
    async with started(tmp_path) as it:
        assert (await it.send(DESK, f"/leads/{forgotten}/forget", key="forget")).json()["forgotten"]
        assert (await it.send(DESK, f"/leads/{forgotten}/forget", key="again")).json()["forgotten"]
        await it.settle()

    keys.write_bytes(backed_up)
    async with started(tmp_path) as it:
        assert (await it.get(DESK, f"/leads/{forgotten}")).json()["contact"] is None
        assert (await it.get(DESK, f"/leads/{forgotten}")).json()["need"] is None
        assert (await it.get(DESK, f"/leads/{kept}")).json()["need"]


async def test_a_lead_goes_round_until_somebody_takes_it(registration: Running) -> None:
    await route_by(registration)
    lead_id = await brought(registration)
    first = await offered_to(registration, lead_id, "p1")
    assert first["due_at"] == "2026-03-04T10:00:00Z"  # a business day of London, from ten to ten

    declined = await registration.post(seller("p1"), f"/leads/{lead_id}/decline", {"reason_code": "no-capacity"})
    assert declined.status_code == 200
    await standing(registration, lead_id, "offered", round=2)
    registration.clock.set(datetime.fromisoformat("2026-03-04T10:00:02+00:00"))
    third = await standing(registration, lead_id, "offered", round=3)
    late = await registration.post(seller("p2"), f"/leads/{lead_id}/accept")
    taken = await registration.post(seller("p3"), f"/leads/{lead_id}/accept")

    assert [one["partner_id"] for one in third["offers"]] == ["p3"]
    assert (late.status_code, late.json()["slug"]) == (409, "offer-lapsed")
    assert taken.json()["status"] == "accepted"
    shown = (await registration.get(DESK, f"/leads/{lead_id}")).json()
    told = [(one["event"], one["partner_id"], [r["code"] for r in one["reasons"]]) for one in shown["history"]]
    assert told[1:] == [
        ("LeadAssigned", "p1", []),
        ("LeadDeclined", "p1", ["no-capacity"]),
        ("LeadAssigned", "p2", []),
        ("LeadDeclined", "p2", ["no-answer"]),
        ("LeadAssigned", "p3", []),
        ("LeadAccepted", "p3", []),
    ]


async def test_a_lead_goes_on_although_the_clock_stands(registration: Running) -> None:
    await route_by(registration, strategy="ordered", partners=[{"partner_id": f"p{n}"} for n in (1, 2, 3)])
    lead_id = await brought(registration)
    for partner, following in (("p1", "p2"), ("p2", "p3")):
        await standing(registration, lead_id, "offered", partner_ids=[partner])
        declined = await registration.post(seller(partner), f"/leads/{lead_id}/decline", {"reason_code": "no-time"})
        assert declined.status_code == 200
        await standing(registration, lead_id, "offered", partner_ids=[following])


async def test_after_the_last_round_a_lead_is_pooled_and_the_first_to_claim_it_has_it(registration: Running) -> None:
    await route_by(registration, rounds=1)
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")
    await registration.post(seller("p1"), f"/leads/{lead_id}/decline", {"reason_code": "no-fit"})
    pooled = await standing(registration, lead_id, "pooled")
    seen = (await registration.get(seller("p3"), "/leads", status="pooled")).json()["items"]

    answers = [await registration.post(seller(who), f"/leads/{lead_id}/claim") for who in ("p2", "p3")]

    assert pooled["due_at"] == "2026-04-02T10:00:01Z"
    assert [(one["lead_id"], one["masked"], one["company"].get("name")) for one in seen] == [(lead_id, True, None)]
    assert [one.status_code for one in answers] == [200, 404]
    assert (await registration.get(seller("p2"), f"/leads/{lead_id}")).json()["company"]["name"] == "Fabrikam AG"
    assert (await registration.get(seller("p3"), f"/leads/{lead_id}")).status_code == 404


async def test_a_pool_ends_after_thirty_days(registration: Running) -> None:
    await route_by(registration, partners=[{"partner_id": "p9"}])
    lead_id = await brought(registration)
    await standing(registration, lead_id, "pooled")
    registration.clock.set(START + timedelta(days=30, seconds=1))

    assert (await standing(registration, lead_id, "closed"))["reason_code"] == "expired"


async def test_a_broadcast_lead_goes_to_the_first_of_three(registration: Running) -> None:
    await route_by(registration, strategy="broadcast")
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1", "p2", "p3")

    declined = await registration.post(seller("p3"), f"/leads/{lead_id}/decline", {"reason_code": "no-fit"})
    won = await registration.post(seller("p2"), f"/leads/{lead_id}/accept")
    lost = await registration.post(seller("p1"), f"/leads/{lead_id}/accept")

    assert (declined.json()["status"], won.status_code) == ("offered", 200)
    assert (lost.status_code, lost.json()["slug"]) == (409, "lead-taken")
    assert (await registration.get(seller("p1"), f"/leads/{lead_id}")).status_code == 404


@pytest.mark.parametrize(("report", "code"), [(False, "no-contact"), (True, "no-update")])
async def test_who_says_nothing_loses_the_lead(registration: Running, *, report: bool, code: str) -> None:
    await route_by(registration)
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")
    accepted = await registration.post(seller("p1"), f"/leads/{lead_id}/accept")
    assert accepted.status_code == 200, accepted.text
    due = datetime.fromisoformat("2026-03-10T10:00:01+00:00")
    if report:
        answer = await registration.post(seller("p1"), f"/leads/{lead_id}/report", {"step": "contacted"})
        assert answer.status_code == 200
        due = START + timedelta(days=14, seconds=1)
    found = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()
    registration.clock.set(due + timedelta(seconds=1))
    after = await standing(registration, lead_id, "offered", round=2)

    assert datetime.fromisoformat(found["due_at"]) == due
    assert [[r["code"] for r in one["reasons"]] for one in after["history"] if one["event"] == "LeadReturned"] == [
        [code]
    ]
    assert [one["partner_id"] for one in after["offers"]] == ["p2"]
    told = [one["progress"] for one in after["history"] if one["event"] == "LeadProgressed"]
    assert told == (["contacted"] if report else [])


async def test_a_lead_becomes_a_deal_once_also_when_it_is_asked_again(registration: Running) -> None:
    await route_by(registration)
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")
    wish = {"products": [{"family": "cloud"}], "amount": {"amount": "10000.00", "currency": "EUR"}}
    early = await registration.post(seller("p1"), f"/leads/{lead_id}/convert", wish)
    await registration.post(seller("p1"), f"/leads/{lead_id}/accept")

    answers = [await registration.post(seller("p1"), f"/leads/{lead_id}/convert", wish, key="once") for _ in range(2)]
    deals = (await registration.get(seller("p1"), "/deals")).json()["items"]
    shown = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()

    assert early.status_code in (404, 409)
    assert [one.json()["status"] for one in answers] == ["converted", "converted"]
    assert [(one["customer"], one["registration_id"]) for one in deals] == [("Fabrikam AG", shown["registration_id"])]
    registered = await registration.told_of(deals[0]["registration_id"])
    assert registered.lead_id == lead_id
    assert (await registration.post(seller("p2"), f"/leads/{lead_id}/convert", wish)).status_code == 404


async def test_what_a_lead_says_of_its_customer_goes_into_the_deal(registration: Running) -> None:
    await route_by(registration)
    company = {
        "name": "Fabrikam Inc.",
        "country": "US",
        "region": "us-ca",
        "website": "www.fabrikam.com",
        "street": "Main St 1",
        "trade_names": ["Blue Mill"],
        "identifiers": [{"scheme": "duns", "value": "150483782"}],
    }
    lead_id = await brought(registration, company=company, role="service")
    await offered_to(registration, lead_id, "p1")
    masked = await registration.get(seller("p1"), f"/leads/{lead_id}")
    await registration.post(seller("p1"), f"/leads/{lead_id}/accept")
    seen = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()
    body = {"products": [{"family": "cloud"}], "amount": {"amount": "10000.00", "currency": "EUR"}}
    converted = await registration.post(seller("p1"), f"/leads/{lead_id}/convert", body)
    assert converted.status_code == 200, converted.text
    became = (await standing(registration, lead_id, "converted"))["registration_id"]
    deal = (await registration.get(DESK, f"/deals/{became}")).json()

    other_id = await brought(registration, company={**company, "name": "Adatum Inc.", "website": "www.adatum.com"})
    assert {one.lead_id: one.role for one in await registration.told(PublicSubmitted)} == {
        lead_id: "service",
        other_id: LEFT_OUT,
    }
    assert masked.json()["company"] == {"country": "US", "region": "CA", "size": None}
    assert "role" not in masked.json()
    assert (seen["company"]["region"], seen["company"]["street"], seen["role"]) == ("CA", "Main St 1", "service")
    told = {name: deal["customer"][name] for name in ("region", "street", "trade_names")}
    assert told == {"region": "CA", "street": "Main St 1", "trade_names": ["Blue Mill"]}
    assert [one["value"] for one in deal["customer"]["identifiers"]] == ["150483782"]
    assert deal["board"]["role"] == "service"


async def test_what_names_a_person_stands_with_the_contact_and_goes_into_the_deal(registration: Running) -> None:
    await route_by(registration)
    company = {"name": "Ada Prospect", "country": "DE", "street": "Marienplatz 1", "natural_person": True}
    lead_id = await brought(registration, company=company)
    await offered_to(registration, lead_id, "p1")
    await registration.post(seller("p1"), f"/leads/{lead_id}/accept")
    seen = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()

    assert "Marienplatz" not in str(seen["company"])
    assert (seen["contact"]["company"], seen["contact"]["street"]) == ("Ada Prospect", "Marienplatz 1")


@pytest.mark.parametrize(
    ("company", "path"), [({"country": "US"}, None), ({"country": "US", "region": "XX"}, "region")]
)
async def test_a_lead_in_the_us_says_where(registration: Running, company: dict[str, Any], path: str | None) -> None:
    await route_by(registration)
    refused = await registration.post(DESK, "/leads", lead(company={"name": "Fabrikam Inc.", **company}))

    assert refused.status_code == 422
    assert path is None or refused.json()["errors"][0]["path"] == "customer.region"


async def test_a_lead_is_not_converted_into_another_partners_deal(registration: Running) -> None:
    await route_by(registration)
    theirs = await registration.register("p2")
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")
    await registration.post(seller("p1"), f"/leads/{lead_id}/accept")
    wish = {"registration_id": theirs["registration_id"]}

    answer = await registration.post(seller("p1"), f"/leads/{lead_id}/convert", wish)

    assert (answer.status_code, answer.json()["slug"]) == (409, "not-your-deal")


async def test_what_a_partner_brings_is_offered_to_the_vendor(registration: Running) -> None:
    await route_by(registration)
    lead_id = await brought(registration, seller("p1"))
    await standing(registration, lead_id, "offered")
    own = (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()

    assert (own["direction"], own["status"], own["contact"]["name"]) == ("inbound", "offered", "Petra Prospect")
    assert (await registration.post(seller("p1"), f"/leads/{lead_id}/accept")).status_code == 404
    assert (await registration.post(CM, f"/leads/{lead_id}/accept")).status_code == 200
    done = await registration.post(CM, f"/leads/{lead_id}/convert", {"opportunity_id": "o-1"})
    assert done.json()["status"] == "converted"
    assert (await registration.get(seller("p1"), f"/leads/{lead_id}")).json()["status"] == "converted"


async def test_a_peer_lead_never_comes_back_to_who_brought_it(registration: Running) -> None:
    await route_by(registration)
    lead_id = await brought(registration, seller("p1"), direction="peer")

    await offered_to(registration, lead_id, "p2")


@pytest.mark.parametrize(
    ("change", "held"),
    [
        ({"contact": {**CONTACT, "email": "petra@gmail.com"}}, ["free-mail"]),
        ({}, []),
    ],
)
async def test_free_mail_is_held_back(registration: Running, change: dict[str, Any], held: list[str]) -> None:
    await route_by(registration)
    found = await registration.post(seller("p1"), "/leads", lead(**change))

    assert (found.json()["status"], found.json()["held"]) == ("quarantined" if held else "open", held)


async def test_a_form_that_comes_too_fast_or_with_a_trapped_field_is_held_back(registration: Running) -> None:
    await route_by(registration)
    form = {name: value for name, value in other("Adatum").items() if name != "source"}
    token = (await registration.get(NOBODY, "/forms/contact")).json()["token"]
    fast = await registration.post(NOBODY, "/forms/contact/leads", {**form, "token": token})
    registration.clock.set(START + timedelta(seconds=5))
    wishes = [{"token": token, "fax": "1"}, {"token": "2026|x"}, {"token": token}]
    sent = [
        await registration.post(NOBODY, "/forms/contact/leads", {**_form(f"Firm{n}"), **wish})
        for n, wish in enumerate(wishes)
    ]
    held = {one["number"]: one["held"] for one in (await registration.get(DESK, "/leads")).json()["items"]}

    assert [one.status_code for one in (fast, *sent)] == [201] * 4
    assert held[fast.json()["number"]] == ["form-too-fast"]
    assert [held[one.json()["number"]] for one in sent] == [["honeypot"], ["form-too-fast"], []]
    assert all(one.json().keys() == {"number"} for one in (fast, *sent))


def _form(name: str) -> dict[str, Any]:
    return {key: value for key, value in other(name).items() if key != "source"}


async def test_the_same_text_is_held_back_the_fifth_time_in_a_day(registration: Running) -> None:
    await route_by(registration)
    wishes = [{**other(f"Firm{n}"), "need": "Buy our wonderful backlinks today."} for n in range(6)]
    found = [(await registration.post(DESK, "/leads", one)).json()["held"] for one in wishes[:5]]
    registration.clock.set(START + timedelta(hours=25))
    later = (await registration.post(DESK, "/leads", wishes[5])).json()["held"]

    assert (found, later) == ([[], [], [], [], ["same-text"]], [])


async def test_a_repeat_within_ninety_days_is_closed_and_the_first_keeps_it(registration: Running) -> None:
    await route_by(registration)
    first = await brought(registration, seller("p1"))
    again = await registration.post(seller("p2"), "/leads", lead(need="We still look for a new platform."))
    elsewhere = await registration.post(
        seller("p2"), "/leads", lead(families=["security"], need="Something quite else.")
    )
    registration.clock.set(START + timedelta(days=91))
    later = await registration.post(seller("p3"), "/leads", lead(need="After a quarter we ask once more."))

    assert [one.json()["status"] for one in (again, elsewhere, later)] == ["closed", "open", "open"]
    seen = await registration.get(seller("p2"), f"/leads/{again.json()['lead_id']}")
    assert (seen.json()["reason_code"], first.encode() in seen.content) == ("duplicate", False)
    assert (await registration.get(DESK, f"/leads/{again.json()['lead_id']}")).json()["first"] == first


async def test_who_brought_a_held_lead_sees_the_rule_and_appeals_and_the_desk_lets_it_go(registration: Running) -> None:
    await route_by(registration)
    lead_id = await brought(registration, seller("p1"), contact={**CONTACT, "email": "petra@gmail.com"})
    statement = {"statement": "She uses it for her shop, I have met her."}
    path = f"/leads/{lead_id}"

    assert (await registration.get(seller("p1"), path)).json()["held"] == ["free-mail"]
    assert (await registration.post(seller("p2"), f"{path}/appeal", statement)).status_code == 404
    assert (await registration.post(seller("p1"), f"{path}/appeal", statement)).status_code == 200
    again = await registration.post(seller("p1"), f"{path}/appeal", statement)
    assert again.json()["slug"] == "appealed-already"
    assert (await registration.get(DESK, path)).json()["appeal"] == statement["statement"]
    assert (await registration.post(DESK, f"{path}/release")).json()["status"] == "open"
    figures = (await registration.get(seller("p2"), "/lead-figures")).json()
    assert (figures["quarantined"], figures["released"], figures["released_percent"]) == (1, 1, "100.00")


async def test_the_desk_names_a_partner_and_a_suspended_one_is_refused(registration: Running) -> None:
    await route_by(registration, partners=[{"partner_id": "p9"}])
    lead_id = await brought(registration)
    await standing(registration, lead_id, "pooled")
    await registration.hear(
        PartnerSuspended(
            partner_id="p1", revision=2, scopes=("new_business",), reason_code="x", until=None, suspended_at=START
        )
    )

    refused = await registration.post(DESK, f"/leads/{lead_id}/assign", {"partner_id": "p1"})
    named = await registration.post(CM, f"/leads/{lead_id}/assign", {"partner_id": "p2"})

    assert (refused.json()["slug"], refused.json()["code"]) == ("not-eligible", "suspended")
    assert named.json()["status"] == "offered"


async def test_a_suspended_partner_loses_its_offers(registration: Running) -> None:
    await route_by(registration)
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1")
    await registration.hear(
        PartnerSuspended(
            partner_id="p1", revision=2, scopes=("new_business",), reason_code="x", until=None, suspended_at=START
        )
    )
    found = await standing(registration, lead_id, "offered", round=2)

    assert [one["partner_id"] for one in found["offers"]] == ["p2"]


async def test_the_news_of_a_suspension_is_taken_in_also_where_the_partner_has_brought_a_lead(
    registration: Running,
) -> None:
    await route_by(registration)
    inbound = await brought(registration, seller("p1"))
    await standing(registration, inbound, "offered")
    lead_id = (await registration.post(DESK, "/leads", other("Adatum"))).json()["lead_id"]
    await offered_to(registration, lead_id, "p1")

    await registration.hear(
        PartnerSuspended(
            partner_id="p1", revision=2, scopes=("new_business",), reason_code="x", until=None, suspended_at=START
        )
    )
    found = await standing(registration, lead_id, "offered", round=2)

    assert [one["partner_id"] for one in found["offers"]] == ["p2"]
    assert (await standing(registration, inbound, "offered"))["offers"] == [
        {"partner_id": None, "due_at": "2026-03-04T10:00:00Z"}
    ]
    assert await registration.service.parking.count() == 0


async def test_turns_go_round_and_each_part_is_shown_beside_what_was_promised(registration: Running) -> None:
    await route_by(registration)
    for name in ("Adatum", "Litware", "Contosa", "Tailspin"):
        answer = await registration.post(DESK, "/leads", other(name))
        await standing(registration, answer.json()["lead_id"], "offered")
    found = (await registration.get(ANALYST, "/lead-shares")).json()["items"]

    assert {one["partner_id"]: one["offered"] for one in found} == {"p1": 2, "p2": 1, "p3": 1}
    assert {(one["expected_percent"], one["flag"]) for one in found} == {("33.33", False)}
    assert (await registration.get(seller("p1"), "/lead-shares")).status_code == 403


async def test_the_why_of_an_offer_names_no_rival_to_a_partner(registration: Running) -> None:
    await route_by(registration, strategy="broadcast")
    lead_id = await brought(registration)
    await offered_to(registration, lead_id, "p1", "p2", "p3")
    [event_id] = [
        one.id
        for one in await registration.service.store.feed(0, 1_000)
        if isinstance(one.event, LeadAssigned) and one.event.partner_id == "p1"
    ]

    by_desk = (await registration.get(DESK, f"/why/{event_id}")).json()
    by_partner = await registration.get(seller("p1"), f"/why/{event_id}")

    assert {"name": "offered_to", "value": ["p1", "p2", "p3"]}.items() <= by_desk["inputs"][0].items()
    assert by_partner.json()["reasons"][0]["code"] == "broadcast"
    assert [name for name in (b"p2", b"p3") if name in by_partner.content] == []


async def test_a_lead_needs_rules_and_a_contact_its_consent(registration: Running) -> None:
    without = await registration.post(DESK, "/leads", lead())
    unasked = await registration.post(DESK, "/leads", lead(contact={**CONTACT, "consent": False}))
    silent = await registration.post(DESK, "/leads", {"company": {"name": "X", "country": "DE"}})

    assert (without.status_code, without.json()["slug"]) == (409, "no-rules")
    assert (unasked.status_code, silent.status_code) == (422, 422)


async def test_done_when_7_the_rules_for_leads_tell_a_partner_of_no_other(registration: Running) -> None:
    """Done when 7, for what the vendor publishes of its routing."""
    await route_by(registration, partners=[{"partner_id": "p2", "weight": 7}], strategy="weighted")
    await route_by(registration, partners=[{"partner_id": "p3", "weight": 9}], strategy="weighted")
    paths = ("/rulebooks", "/rulebooks/routing", "/rulebooks/routing/versions/1")
    answers = [await registration.get(seller("p1"), path) for path in paths]
    answers.append(await registration.get(seller("p1"), "/rulebooks/routing/diff", before=1, after=2))

    assert [one.status_code for one in answers] == [200] * 4
    assert [name for one in answers for name in (b"p2", b"p3") if name in one.content] == []
    assert b"weighted" in answers[1].content
    assert b"p2" in (await registration.get(DESK, "/rulebooks/routing")).content
