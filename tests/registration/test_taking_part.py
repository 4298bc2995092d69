"""Who takes part in another partner's deal, over HTTP: what each side reads, what the clock and a leaving partner do."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from chassis.record import CommandRecorded
from chassis.testing.projections import assert_repeatable
from contracts.attribution import OpportunityLinked
from contracts.onboarding import PartnerOffboarded
from contracts.registration import OrderRecorded, ParticipantJoined, ParticipantLeft
from contracts.shared import AttentionCleared, AttentionRaised
from tests.registration.service import DESK, START, Running, activated, seller, started

HOST, INVITED, OTHER = seller("p1"), seller("p2"), seller("p3")
PRIVATE = ("Contoso", "contoso", "10000.00")
"""What nobody reads who does not take part: the customer, and the terms."""


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2", "p3"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        yield asked


async def approved(registration: Running, partner: str = "p1", **changes: Any) -> dict[str, Any]:
    """A deal that holds its customer."""
    found = await registration.register(partner, **changes)
    await registration.post(DESK, f"/accounts/{found['account_id']}/confirm")
    answer = await registration.post(DESK, f"/deals/{found['registration_id']}/approve")
    assert answer.json()["status"] == "approved", answer.text
    return found


async def invited(registration: Running, deal: dict[str, Any], partner: str = "p2", role: str = "distribute") -> str:
    body = {"registration_id": deal["registration_id"], "partner_id": partner, "role": role, "message": "Will you?"}
    answer = await registration.post(HOST, "/invitations", body)
    assert answer.status_code == 201, answer.text
    named: str = answer.json()["invitation_id"]
    return named


async def test_the_invited_reads_what_it_is_about_but_neither_customer_nor_terms_until_it_accepts(
    registration: Running,
) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)

    before = await registration.get(INVITED, f"/invitations/{named}")
    listed = await registration.get(INVITED, "/invitations")
    assert before.json() == {
        "invitation_id": named,
        "host_id": "p1",
        "partner_id": "p2",
        "role": "distribute",
        "status": "pending",
        "families": ["cloud"],
        "country": "DE",
        "size": {"amount": "10000.00", "currency": "EUR"},
        "message": "Will you?",
        "due_at": "2026-03-17T10:00:00Z",
        "sent_at": "2026-03-03T10:00:00Z",
        "joined_at": None,
        "reason_code": None,
    }
    assert listed.json()["items"] == [before.json()]
    assert [word for word in ("ontoso", deal["registration_id"], deal["number"]) if word in before.text] == []

    accepted = await registration.post(INVITED, f"/invitations/{named}/accept")
    assert accepted.json() == {"invitation_id": named, "status": "accepted", "due_at": "2026-03-17T10:00:00Z"}
    after = (await registration.get(INVITED, f"/invitations/{named}")).json()
    assert after["deal"] == {
        "registration_id": deal["registration_id"],
        "number": deal["number"],
        "customer": "Contoso GmbH",
        "domain": "contoso.com",
        "country": "DE",
        "products": ["cloud"],
        "status": "approved",
        "protection_ends_at": "2026-06-02T00:00:00Z",
    }

    left = await registration.post(INVITED, f"/invitations/{named}/leave")
    assert (left.status_code, left.json()["status"]) == (200, "left")
    gone = (await registration.get(INVITED, f"/invitations/{named}")).json()
    assert (gone["status"], gone["reason_code"], "deal" in gone) == ("left", "left", False)


async def test_nobody_else_learns_of_an_invitation_or_answers_it(registration: Running) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)

    assert (await registration.get(OTHER, f"/invitations/{named}")).status_code == 404
    assert (await registration.get(OTHER, "/invitations")).json()["items"] == []
    for verb in ("accept", "decline", "revoke", "leave"):
        assert (await registration.post(OTHER, f"/invitations/{named}/{verb}")).status_code == 404
    assert (await registration.post(HOST, f"/invitations/{named}/accept")).status_code == 404
    assert (await registration.post(INVITED, f"/invitations/{named}/revoke")).status_code == 404
    body = {"registration_id": deal["registration_id"], "partner_id": "p3", "role": "service"}
    assert (await registration.post(INVITED, "/invitations", body)).status_code == 404
    assert (await registration.post(DESK, f"/invitations/{named}/accept")).status_code == 403


async def test_the_host_and_the_vendor_follow_the_invitations_of_a_deal(registration: Running) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")
    await invited(registration, deal, "p3", "service")

    where = {"registration_id": deal["registration_id"]}
    for who in (HOST, DESK):
        items = (await registration.get(who, "/invitations", **where)).json()["items"]
        assert {(one["partner_id"], one["role"], one["status"]) for one in items} == {
            ("p2", "distribute", "accepted"),
            ("p3", "service", "pending"),
        }
    assert (await registration.get(INVITED, "/invitations", **where)).json()["items"] == []
    shown = (await registration.get(HOST, f"/deals/{deal['registration_id']}")).json()
    assert [(one["partner_id"], one["role"]) for one in shown["participants"]] == [("p2", "distribute")]


async def test_invitations_are_found_by_who_is_invited_product_and_day(registration: Running) -> None:
    async def found(**query: str) -> list[str]:
        answer = await registration.get(DESK, "/invitations", **query)
        assert answer.status_code == 200, answer.text
        return [one["invitation_id"] for one in answer.json()["items"]]

    deal = await approved(registration)
    first = await invited(registration, deal, "p2")
    second = await invited(registration, deal, "p3", "service")

    assert await found(partner_id="p3") == [second]
    assert await found(family="storage") == []
    assert sorted(await found(family="cloud", sort="due_at")) == sorted([first, second])
    assert await found(sent_from="2026-03-04") == []
    assert len(await found(sent_before="2026-03-04")) == 2


async def test_the_desk_invites_for_a_deal_and_takes_a_participant_out(registration: Running) -> None:
    deal = await approved(registration)
    body = {"registration_id": deal["registration_id"], "partner_id": "p2", "role": "distribute"}
    named = (await registration.post(DESK, "/invitations", body)).json()["invitation_id"]
    await registration.post(INVITED, f"/invitations/{named}/accept")

    assert (await registration.post(HOST, f"/invitations/{named}/leave")).status_code == 404
    assert (await registration.post(DESK, f"/invitations/{named}/leave")).status_code == 200

    [left] = await registration.told(ParticipantLeft)
    assert (left.partner_id, left.role, left.reason_code, left.deal_over) == ("p2", "distribute", "removed", False)


async def test_the_invited_partner_is_asked_to_look_until_it_answers(registration: Running) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)

    [raised] = [one for one in await registration.told(AttentionRaised) if one.topic == "invitation"]
    assert raised == AttentionRaised(
        attention_id=named,
        side="partner",
        roles=("owner", "seller"),
        topic="invitation",
        subject=named,
        partner_id="p2",
        due_at=START + timedelta(days=14),
    )
    await registration.post(INVITED, f"/invitations/{named}/decline", {"reason_code": "no-stock"})
    assert [one.attention_id for one in await registration.told(AttentionCleared) if one.topic == "invitation"] == [
        named
    ]
    [item] = (await registration.get(HOST, "/invitations")).json()["items"]
    assert (item["status"], item["reason_code"]) == ("declined", "no-stock")


async def test_others_hear_of_who_joined_and_only_that_partner_reads_it(registration: Running) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")

    [joined] = await registration.told(ParticipantJoined)
    assert joined == ParticipantJoined(
        registration_id=deal["registration_id"],
        number=deal["number"],
        programme="default",
        partner_id="p2",
        role="distribute",
        invitation_id=named,
        held_until=joined.held_until,
        joined_at=START,
    )
    assert (joined.for_partner("p2"), joined.for_partner("p1")) == (joined, None)


async def test_an_invitation_lapses_after_fourteen_days(registration: Running) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)

    registration.clock.set(START + timedelta(days=14))

    async def lapsed() -> bool:
        found = (await registration.get(INVITED, f"/invitations/{named}")).json()
        return bool(found["status"] == "lapsed")

    assert await registration.seen(lapsed)
    late = await registration.post(INVITED, f"/invitations/{named}/accept")
    assert (late.status_code, late.json()["slug"]) == (409, "wrong-state")


async def test_every_open_invitation_is_taken_back_when_the_deal_is_over(registration: Running) -> None:
    deal = await approved(registration)
    joined = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{joined}/accept")
    open_ones = [await invited(registration, deal, "p3", "service")]
    await registration.hear(activated("p4"))
    open_ones.append(await invited(registration, deal, "p4", "resell"))

    await registration.post(HOST, f"/deals/{deal['registration_id']}/withdraw")

    async def over() -> bool:
        items = (await registration.get(HOST, "/invitations")).json()["items"]
        states = {one["invitation_id"]: (one["status"], one["reason_code"]) for one in items}
        return states == {joined: ("left", "withdrawn"), **dict.fromkeys(open_ones, ("revoked", "deal-over"))}

    assert await registration.seen(over)
    [left] = await registration.told(ParticipantLeft)
    assert (left.reason_code, left.deal_over) == ("withdrawn", True)


async def test_a_partner_that_leaves_takes_part_in_nothing_and_is_invited_to_nothing(registration: Running) -> None:
    first = await approved(registration)
    second = await approved(registration, products=[{"sku": "2"}])
    joined, pending = await invited(registration, first), await invited(registration, second)
    await registration.post(INVITED, f"/invitations/{joined}/accept")

    await registration.hear(PartnerOffboarded(partner_id="p2", revision=2, offboarded_at=START))

    items = (await registration.get(HOST, "/invitations")).json()["items"]
    assert {one["invitation_id"]: (one["status"], one["reason_code"]) for one in items} == {
        joined: ("left", "partner-left"),
        pending: ("revoked", "partner-left"),
    }
    assert (await registration.get(HOST, f"/deals/{first['registration_id']}")).json()["participants"] == []


async def test_a_distributor_that_joined_records_orders_and_reads_nothing_of_the_deal_by_it(
    registration: Running,
) -> None:
    deal = await approved(registration)
    order = {
        "order_ref": "O-7",
        "amount": {"amount": "500.00", "currency": "EUR"},
        "ordered_on": date(2026, 3, 3).isoformat(),
    }
    path = f"/deals/{deal['registration_id']}/record-order"
    assert (await registration.post(INVITED, path, order)).status_code == 404
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")

    answer = await registration.post(INVITED, path, order)

    about = {"registration_id": deal["registration_id"], "number": deal["number"]}
    assert answer.json() == {**about, "order_ref": "O-7"}
    shown = (await registration.get(HOST, f"/deals/{deal['registration_id']}")).json()
    assert [one["order_ref"] for one in shown["orders"]] == ["O-7"]
    assert (await registration.get(INVITED, f"/deals/{deal['registration_id']}")).status_code == 404
    [booked] = await registration.told(OrderRecorded)
    assert (booked.partner_id, booked.distributor_id, booked.amount.amount) == ("p1", "p2", Decimal("500.00"))
    assert [booked.for_partner(one) for one in ("p1", "p2", "p3")] == [booked, booked, None]


async def test_a_rival_of_a_participant_is_shown_to_the_desk_by_the_deal_it_takes_part_in(
    registration: Running,
) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")

    rival = await registration.register("p3", role="distribute")

    assert (rival["status"], rival["reasons"][0]["code"]) == ("waiting", "rival-ahead")
    found = (await registration.get(DESK, f"/deals/{rival['registration_id']}/conflicts")).json()
    blocking = [one for one in found["rivals"] if one["blocks"]]
    assert [(one["claim"]["registration_id"], one["deal"]["number"]) for one in blocking] == [(named, deal["number"])]
    await registration.post(INVITED, f"/invitations/{named}/leave")
    await registration.until(rival["registration_id"], "in_review")


async def test_who_takes_part_reads_why_it_came_to_leave_and_nothing_of_the_deal_that_was_decided_with_it(
    registration: Running,
) -> None:
    deal = await registration.register("p1")
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")
    await approved(registration, "p3", role="distribute")

    await registration.post(DESK, f"/accounts/{deal['account_id']}/confirm")
    await registration.post(DESK, f"/deals/{deal['registration_id']}/approve")

    recorded = await registration.service.store.feed(0, 1_000)
    about = {one.type.split(".")[1]: one.id for one in recorded if one.type.startswith("registration.Participant")}
    left = await registration.get(INVITED, f"/why/{about['ParticipantLeft']}")
    assert (left.json()["outcome"], left.json()["inputs"]) == ("left", [])
    assert [one["code"] for one in left.json()["reasons"]] == ["role-held"]
    joined = await registration.get(INVITED, f"/why/{about['ParticipantJoined']}")
    assert joined.json()["outcome"] == "joined"
    assert [word for word in PRIVATE if word in left.text + joined.text] == []
    assert (await registration.get(OTHER, f"/why/{about['ParticipantLeft']}")).status_code == 404


async def test_all_that_is_read_of_it_is_the_same_however_often_events_come(registration: Running) -> None:
    deal = await approved(registration)
    named = await invited(registration, deal)
    await registration.post(INVITED, f"/invitations/{named}/accept")
    await invited(registration, deal, "p3", "service")
    registration.clock.set(START + timedelta(hours=24))
    await flagged(registration, deal)
    await registration.hear(linked(deal))
    await registration.post(HOST, f"/deals/{deal['registration_id']}/withdraw")

    recorded = await registration.service.store.feed(0, 1_000)
    seen = [one.seen("own") for one in recorded if one.type != CommandRecorded.type]
    for projection in registration.service.projections:
        assert_repeatable(projection, seen)


# The sale in the CRM


def linked(deal: dict[str, Any]) -> OpportunityLinked:
    return OpportunityLinked(
        opportunity_id="o-1",
        registration_id=deal["registration_id"],
        partner_id="p1",
        external_id="CRM-77",
        method="opened",
        linked_at=START,
    )


async def flagged(registration: Running, deal: dict[str, Any]) -> dict[str, Any]:
    """The deal as the vendor reads it once the missing link is flagged."""

    async def look() -> dict[str, Any] | None:
        found: dict[str, Any] = (await registration.get(DESK, f"/deals/{deal['registration_id']}")).json()
        return found if found["crm_pending"] else None

    found: dict[str, Any] = await registration.seen(look)
    return found


async def crm(registration: Running, kind: type[Any]) -> list[tuple[str, str, str]]:
    told = await registration.told(kind)
    return [(one.side, one.attention_id, one.subject) for one in told if one.topic == "crm-pending"]


async def test_a_deal_that_has_no_sale_a_day_after_its_approval_is_flagged_until_it_has_one(
    registration: Running,
) -> None:
    deal = await approved(registration)
    named = deal["registration_id"]
    assert (await registration.get(DESK, f"/deals/{named}")).json()["crm_pending"] is False

    registration.clock.set(START + timedelta(hours=24))
    await flagged(registration, deal)

    [raised] = [one for one in await registration.told(AttentionRaised) if one.topic == "crm-pending"]
    assert (raised.side, raised.roles, raised.partner_id) == ("vendor", ("admin", "channel_manager"), None)
    mine = await registration.get(HOST, f"/deals/{named}")
    assert ("crm_pending" in mine.json(), "MissingLink" in mine.text) == (False, False)

    await registration.hear(linked(deal))
    shown = (await registration.get(DESK, f"/deals/{named}")).json()
    assert (shown["crm_pending"], shown["sale"]) == (False, {"opportunity_id": "o-1", "external_id": "CRM-77"})
    assert await crm(registration, AttentionCleared) == [("vendor", f"{named}.crm-link", named)]


async def test_a_deal_that_is_linked_in_time_is_never_flagged(registration: Running) -> None:
    deal = await approved(registration)
    late = await approved(registration, products=[{"sku": "2"}])
    await registration.hear(linked(deal))

    registration.clock.set(START + timedelta(hours=25))
    await flagged(registration, late)

    assert [subject for _, _, subject in await crm(registration, AttentionRaised)] == [late["registration_id"]]


async def test_nobody_waits_for_the_sale_of_a_deal_that_is_over(registration: Running) -> None:
    deal = await approved(registration)
    registration.clock.set(START + timedelta(hours=24))
    await flagged(registration, deal)

    await registration.post(HOST, f"/deals/{deal['registration_id']}/withdraw")

    named = deal["registration_id"]
    assert await crm(registration, AttentionCleared) == [("vendor", f"{named}.crm-link", named)]


async def test_who_has_the_customer_already_is_refused_without_a_word_on_whose_customer_it_is(
    registration: Running,
) -> None:
    deal = await approved(registration)
    own = await registration.register("p2", role="distribute")
    named = await invited(registration, deal)

    answer = await registration.post(INVITED, f"/invitations/{named}/accept")

    assert (answer.status_code, answer.json()["slug"]) == (409, "already-registered")
    assert [word for word in (*PRIVATE, own["registration_id"], deal["registration_id"]) if word in answer.text] == []
