"""Registration at work: HTTP in and out, deadlines by the clock, facts of other services."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from chassis.event import Seen, plain
from chassis.execution import Executor, Order
from chassis.identity import Principal
from chassis.record import CommandRecorded
from chassis.testing.projections import assert_repeatable
from chassis.verify import verify_decisions
from contracts.attribution import DealWon
from contracts.onboarding import PartnerOffboarded, PartnerReinstated, PartnerSuspended
from contracts.values import PartnerId, money
from services.registration.domain.availability import CHECKS_A_DAY, CheckCustomer
from services.registration.domain.claims import ClaimsOf
from tests.registration.service import (
    ADMIN,
    DESK,
    FINANCE,
    START,
    TENANT,
    Running,
    activated,
    deal,
    seller,
    started,
)


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2", "p3"):
            await asked.hear(activated(partner))
        await asked.publish_rules(zone="Europe/London")
        yield asked


def won(registration_id: str) -> DealWon:
    return DealWon(
        partner_ids=("p1",),
        opportunity_id="o1",
        registration_id=registration_id,
        win_no=1,
        amount=money("10000.00", "EUR"),
        lines=(),
        deal_type="new",
        closed_on=date(2026, 3, 9),
        won_at=datetime(2026, 3, 9, tzinfo=UTC),
    )


async def test_a_partner_that_left_holds_nothing_any_more_and_who_waited_behind_it_moves_up(
    registration: Running,
) -> None:
    held = await registration.register("p1")
    await registration.post(DESK, f"/deals/{held['registration_id']}/approve")
    behind = await registration.register("p2")
    other = {"name": "Fabrikam GmbH", "country": "DE", "website": "fabrikam.com"}
    open_deal = await registration.register("p1", customer=other)
    draft = (await registration.post(seller("p1"), "/drafts", {"customer": other})).json()

    await registration.hear(PartnerOffboarded(partner_id="p1", revision=2, offboarded_at=START))

    await registration.until(held["registration_id"], "expired")
    await registration.until(open_deal["registration_id"], "withdrawn")
    await registration.until(behind["registration_id"], "in_review")
    assert (await registration.get(seller("p1"), "/drafts")).json()["items"] == []
    assert draft["status"] == "draft"
    late = await registration.register("p1", customer=other)
    assert (late["status"], late["reasons"][0]["code"]) == ("rejected", "partner-not-active")


async def test_a_deal_goes_from_a_conflict_to_a_win_and_the_next_one_moves_up(registration: Running) -> None:
    first = await registration.register("p1")
    second = await registration.register("p2")
    approved = (await registration.post(DESK, f"/deals/{first['registration_id']}/approve")).json()

    assert first["status"] == "in_review"
    assert (second["status"], second["place"], second["free_from"]) == ("waiting", 1, None)
    assert [reason["code"] for reason in second["reasons"]] == ["rival-ahead"]
    assert approved["protection"] == {"start": "2026-03-03T10:00:00Z", "end": "2026-06-01T23:00:00Z"}

    await registration.hear(won(first["registration_id"]))
    closed = await registration.until(first["registration_id"], "closed")
    assert closed["version"] == 8
    [ended] = [step for step in closed["history"] if "ProtectionEnded" in step["event"]]
    why = (await registration.get(seller("p1"), f"/why/{ended['event_id']}")).json()
    assert (why["outcome"], [one["code"] for one in why["reasons"]]) == ("ended", ["won"])
    assert why["reasons"][0]["text"] == "The CRM says that the deal is won: there is nothing left to protect."
    await registration.until(second["registration_id"], "in_review")


async def test_another_spelling_of_a_product_is_no_way_around_a_hold_or_an_exclusion(registration: Running) -> None:
    first = await registration.register("p1", products=[{"family": "platform"}])
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    kept = {"target": "family:House/Own", "kind": "house", "from_on": "2026-01-01"}
    assert (await registration.post(ADMIN, "/exclusions", kept)).status_code == 201
    registration.clock.set(START + timedelta(minutes=1))

    second = await registration.register("p2", products=[{"family": "Platform"}])
    other = {"name": "Fabrikam", "country": "DE", "website": "fabrikam.com"}
    excluded = await registration.register("p2", products=[{"family": "HOUSE/own"}], customer=other)

    assert (second["status"], [one["code"] for one in second["reasons"]]) == ("waiting", ["rival-ahead"])
    assert (excluded["status"], [one["code"] for one in excluded["reasons"]]) == ("rejected", ["excluded"])


async def test_a_name_of_a_blank_is_none(registration: Running) -> None:
    blank = {"name": " ", "country": "DE", "website": "contoso.com"}

    refused = await registration.post(seller("p1"), "/deals", deal(customer=blank))

    assert (refused.status_code, [one["path"] for one in refused.json()["errors"]]) == (422, ["body.customer.name"])


async def test_protection_ends_by_the_clock(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")

    registration.clock.set(datetime(2026, 6, 1, 23, 0, tzinfo=UTC))

    expired = await registration.until(first["registration_id"], "expired")
    assert [step["event"] for step in expired["history"]][-2:] == ["DealApproved", "ProtectionEnded"]
    assert (await registration.register("p2"))["status"] == "in_review"


async def test_a_held_customer_is_taken_until_a_monday(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")

    preview = (await registration.get(seller("p2"), "/deals")).json()
    asked = await registration.post(seller("p2"), "/deals/preview", deal())
    checked = await registration.post(seller("p2"), "/checks", deal())
    free = await registration.post(
        seller("p2"),
        "/deals/preview",
        deal(customer={"name": "Fabrikam", "country": "DE", "website": "fabrikam.example.com"}),
    )

    assert preview["items"] == []
    assert (asked.json()["availability"], asked.json()["place"], asked.json()["free_from"]) == (
        "taken",
        1,
        "2026-06-08",
    )
    assert (checked.json()["availability"], checked.json()["free_from"]) == ("taken", "2026-06-08")
    assert free.json()["availability"] == "free"
    assert "p1" not in asked.text


async def test_a_preview_counts_as_a_check_once_a_partner_a_day_and_a_question(registration: Running) -> None:
    def of(name: str, euros: int = 10_000) -> dict[str, Any]:
        known = {"name": name, "country": "DE", "website": f"{name}-works.com"}
        return deal(customer=known, amount={"amount": f"{euros}.00", "currency": "EUR"})

    for number in range(CHECKS_A_DAY):
        answer = await registration.send(seller("p1"), "/deals/preview", of(f"customer{number}"))
        assert answer.status_code == 200, answer.text
        assert answer.json()["checks_left"] == CHECKS_A_DAY - 1 - number
    again = await registration.send(seller("p1"), "/deals/preview", of("customer0", euros=12_345))
    one_more = await registration.send(seller("p1"), "/deals/preview", of("another"))
    asked = await registration.send(seller("p1"), "/checks", of("customer0"))

    assert (again.status_code, again.json()["availability"], again.json()["checks_left"]) == (200, "free", 0)
    assert (one_more.status_code, asked.status_code) == (429, 429)
    assert (await registration.send(seller("p2"), "/deals/preview", of("another"))).status_code == 200
    assert (await registration.send(seller("p1"), "/deals", of("another"))).status_code == 201
    registration.clock.set(START + timedelta(days=1))
    assert (await registration.send(seller("p1"), "/deals/preview", of("another"))).status_code == 200


async def test_a_rejection_opens_its_message_to_the_partner_and_to_nobody_without_the_right(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    path = f"/deals/{first['registration_id']}"
    body = {"reason_code": "existing-customer", "message": "Our own customer since 2024."}
    assert (await registration.post(DESK, f"{path}/reject", body)).json()["status"] == "rejected"
    assert (await registration.get(seller("p1"), path)).json()["rejected"] == {
        "message": "Our own customer since 2024."
    }
    assert (await registration.get(FINANCE, path)).json()["rejected"] is None


async def test_a_return_names_fields_and_opens_its_message_to_the_partner(registration: Running) -> None:
    contact = {"name": "Erika Mustermann", "email": "erika@contoso.com"}
    first = await registration.register("p1", contacts=[contact])
    path = f"/deals/{first['registration_id']}"

    body = {"fields": ["amount"], "message": "The quote says less."}
    assert (await registration.post(DESK, f"{path}/return", body)).json()["status"] == "action_required"
    seen = (await registration.get(seller("p1"), path)).json()
    other = await registration.post(seller("p1"), f"{path}/resubmit", {"close_on": "2026-05-05"})
    again = await registration.post(
        seller("p1"), f"{path}/resubmit", {"amount": {"amount": "9000.00", "currency": "EUR"}}
    )

    assert seen["returned"] == {"fields": ["amount"], "message": "The quote says less."}
    assert "erika@contoso.com" in seen["details"]["contacts"][0]
    assert (other.status_code, other.json()["slug"]) == (422, "field-not-editable")
    assert again.json()["status"] == "in_review"
    by_finance = (await registration.get(FINANCE, path)).json()
    assert "contacts" not in by_finance["details"]
    stored = [r.stored for r in await registration.service.store.feed(0, 1000)]
    assert not any(b"Erika" in body or b"quote" in body for body in stored)


async def test_new_evidence_answers_412_once(registration: Running) -> None:
    first = await registration.register("p1")
    energy = {"name": "Contoso Energy AG", "country": "DE", "website": "contoso-energy.de"}
    await registration.register("p2", customer=energy)
    path = f"/deals/{first['registration_id']}/approve"

    stale = await registration.post(DESK, path, key="first-look")
    repeated = await registration.post(DESK, path, key="first-look")
    approved = await registration.post(DESK, path)

    assert (stale.status_code, stale.json()["slug"]) == (412, "evidence-changed")
    assert (repeated.status_code, repeated.json()["slug"]) == (412, "evidence-changed")
    assert approved.json()["status"] == "approved"


async def test_the_desk_sees_both_claims_side_by_side_and_the_loser_sees_neither(registration: Running) -> None:
    await registration.register("p1")
    second = await registration.register("p2")
    path = f"/deals/{second['registration_id']}"

    conflict = (await registration.get(DESK, f"{path}/conflicts")).json()
    mine = await registration.get(seller("p2"), path)

    assert conflict["mine"]["partner_id"] == "p2"
    assert [(r["deal"]["partner_id"], r["match"], r["blocks"]) for r in conflict["rivals"]] == [
        ("p1", "identical", True)
    ]
    assert conflict["rivals"][0]["meets"] == {"product": True, "role": True, "place": True, "deal_type": True}
    assert (await registration.get(seller("p2"), f"{path}/conflicts")).status_code == 403
    assert "p1" not in mine.text
    assert mine.json()["conflict"]["class"] == "identical"


async def test_who_moves_up_after_the_only_rival_is_told_of_no_conflict_any_more(registration: Running) -> None:
    first = await registration.register("p1")
    second = await registration.register("p2")
    path = f"/deals/{second['registration_id']}"

    waiting = (await registration.get(seller("p2"), path)).json()
    await registration.post(seller("p1"), f"/deals/{first['registration_id']}/withdraw")
    await registration.until(second["registration_id"], "in_review")
    moved_up = (await registration.get(seller("p2"), path)).json()

    assert waiting["conflict"]["class"] == "identical"
    assert moved_up["conflict"] is None


async def test_why_is_answered_to_both_sides_in_their_form(registration: Running) -> None:
    await registration.register("p1")
    second = await registration.register("p2")
    deal_seen = (await registration.get(seller("p2"), f"/deals/{second['registration_id']}")).json()
    queued = next(step for step in deal_seen["history"] if step["event"] == "DealQueued")

    to_desk = (await registration.get(DESK, f"/why/{queued['event_id']}")).json()
    to_loser = await registration.get(seller("p2"), f"/why/{queued['event_id']}")
    to_rival = await registration.get(seller("p1"), f"/why/{queued['event_id']}")

    assert to_desk["outcome"] == "queue"
    assert to_desk["detail"]["conflicts"][0]["claim"]["partner_id"] == "p1"
    assert [change["outcome"] for change in to_desk["would_change"]] == ["review", "queue"]
    assert to_loser.json()["detail"] == {"place": 1, "free_from": None, "rival_since": "2026-03-03"}
    assert [reason["code"] for reason in to_loser.json()["reasons"]] == ["rival-ahead", "review-required"]
    assert "p1" not in to_loser.text
    assert to_rival.status_code == 404


async def test_who_is_displaced_is_told_why_its_own_protection_ended_and_not_why_the_rival_was_approved(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    second = await registration.register("p2")
    displacing = {"displace": True, "reason_code": "other"}
    for person in ("desk-1", "desk-2"):
        who = replace(DESK, subject=person, duties=("override",))
        agreed = await registration.post(who, f"/deals/{second['registration_id']}/approve", displacing)
        assert agreed.status_code == 200, agreed.text

    own = (await registration.get(seller("p1"), f"/deals/{first['registration_id']}")).json()
    ended = next(step for step in own["history"] if step["event"] == "ProtectionEnded")
    told = (await registration.get(seller("p1"), f"/why/{ended['event_id']}")).json()

    assert told["outcome"] == "revoke"
    assert [reason["text"] for reason in told["reasons"]] == ["The customer is worked on by another partner now."]


@pytest.mark.parametrize(
    ("verb", "body"),
    [("withdraw", {}), ("amend", {"partner_reference": "x"}), ("resubmit", {"partner_reference": "x"})],
)
async def test_another_partners_deal_is_not_found_as_one_that_never_was(
    registration: Running, verb: str, body: dict[str, Any]
) -> None:
    first = await registration.register("p1")

    foreign = await registration.post(seller("p2"), f"/deals/{first['registration_id']}/{verb}", body)
    never = await registration.post(seller("p2"), f"/deals/never/{verb}", body)

    assert (foreign.status_code, foreign.json()) == (404, never.json())
    read = await registration.get(seller("p2"), f"/deals/{first['registration_id']}")
    assert (read.status_code, read.json()) == (404, (await registration.get(seller("p2"), "/deals/never")).json())


async def test_a_suspended_partner_starts_nothing_new_until_it_is_reinstated(registration: Running) -> None:
    suspended = PartnerSuspended(
        partner_id="p1", revision=2, scopes=("new_business",), reason_code="audit", suspended_at=START
    )
    await registration.hear(suspended)
    rejected = await registration.register("p1")
    await registration.hear(PartnerReinstated(partner_id="p1", revision=3, reinstated_at=START))
    await registration.hear(suspended)

    assert (rejected["status"], rejected["reasons"][0]["code"]) == ("rejected", "partner-not-active")
    assert (await registration.register("p1"))["status"] == "in_review"


async def test_done_when_11_one_call_with_five_fields_registers_a_deal_also_when_retried(registration: Running) -> None:
    answers = await asyncio.gather(*(registration.send(seller("p1"), "/deals", deal(), "once") for _ in range(20)))
    other = await registration.send(seller("p1"), "/deals", deal(role="service"), "once")

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert (other.status_code, other.json()["slug"]) == (422, "key-reused")


async def test_two_hundred_partners_race_for_one_customer_and_one_wins(registration: Running) -> None:
    await registration.publish_rules(auto_approval={"on": True, "limits": [{"amount": "10000.00", "currency": "EUR"}]})
    partners = [f"racer-{n}" for n in range(200)]
    for partner in partners:
        await registration.hear(activated(partner))

    answers = await asyncio.gather(*(registration.send(seller(partner), "/deals", deal()) for partner in partners))

    statuses = [answer.json().get("status") for answer in answers]
    account = answers[0].json()["account_id"]
    claims, _ = await registration.service.application.executor.state(TENANT, ClaimsOf.at(account))
    held = [claim for claim in claims.live if claim.state == "held"]
    assert {answer.status_code for answer in answers} == {201}
    assert {status: statuses.count(status) for status in set(statuses)} == {
        "approved": 1,
        "waiting": 10,
        "rejected": 189,
    }
    assert not [pair for pair in combinations(held, 2) if pair[0].rivals(pair[1])]


async def test_done_when_13_events_twice_or_in_other_batches_give_equal_documents(registration: Running) -> None:
    first = await registration.register("p1")
    second = await registration.register("p2")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    await registration.post(seller("p1"), f"/deals/{first['registration_id']}/withdraw")
    await registration.until(second["registration_id"], "in_review")
    recorded = await registration.service.store.feed(0, 1_000)
    seen: list[Seen] = [r.seen("own") for r in recorded if r.type != CommandRecorded.type]

    for projection in registration.service.projections:
        assert_repeatable(projection, seen)


async def test_done_when_13_a_rebuild_gives_equal_documents(registration: Running) -> None:
    first = await registration.register("p1")
    await registration.register("p2")
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    await registration.post(seller("p2"), "/intake/mail", {"mail": "Subject: A deal\n\nCustomer: Fabrikam\n"})
    service = registration.service
    read = service.application.read
    own = {projection.name for projection in service.projections}
    before = {one.name: await read.export(one.model) for one in await read.models() if one.live and one.name in own}

    again = {name: await read.export(await service.runner.rebuild(name)) for name in before}

    assert before.keys() == own
    assert again == before
    assert {"deal", "deal_board", "mails", "accounts"} <= {name for name, documents in before.items() if documents}


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"amount": {"amount": "NaN", "currency": "EUR"}}, "body.amount.amount"),
        ({"amount": {"amount": "9" * 400, "currency": "EUR"}}, "body.amount.amount"),
        ({"amount": {"amount": "1.001", "currency": "EUR"}}, "body.amount"),
        ({"amount": {"amount": "1.00", "currency": "XXX"}}, "body.amount"),
        ({"products": []}, "body.products"),
        ({"products": [{"family": "c"}] * 51}, "body.products"),
        ({"surprise": 1}, "body.surprise"),
        ({"customer": {"name": "C", "country": "DE"}}, "body"),
        ({"customer": {"name": "C", "country": "ZZ", "website": "c.com"}}, "customer.country"),
        ({"customer": {"name": "C", "country": "US", "website": "c.com"}}, "body.customer"),
        ({"products": [{"quantity": 1}]}, "body.products.0"),
        ({"customer": {"name": "C", "country": "DE", "website": "co.uk"}}, "website"),
        ({"close_on": "9999-12-31"}, "close_on"),
        ({"close_on": "0001-01-01"}, "close_on"),
        ({"partner_id": "p2"}, "partner_id"),
    ],
)
async def test_bad_input_is_refused_by_name(registration: Running, changes: dict[str, Any], path: str) -> None:
    answer = await registration.post(seller("p1"), "/deals", deal(**changes))

    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["path"] == path


async def test_the_vendor_registers_for_a_partner_and_cannot_approve_that_itself(registration: Running) -> None:
    for_p1 = (await registration.post(DESK, "/deals", deal(partner_id="p1"))).json()
    answer = await registration.post(DESK, f"/deals/{for_p1['registration_id']}/approve")

    assert for_p1["partner_id"] == "p1"
    assert (answer.status_code, answer.json()["slug"]) == (403, "self-approval")
    assert (await registration.post(ADMIN, f"/deals/{for_p1['registration_id']}/approve")).status_code == 403


async def test_a_partner_asks_thirty_times_a_day(registration: Running) -> None:
    answers = [await registration.send(seller("p1"), "/checks", deal()) for _ in range(31)]
    registration.clock.set(datetime(2026, 3, 4, 0, 0, tzinfo=UTC))

    assert [answer.status_code for answer in answers] == [*[200] * 30, 429]
    assert [answer.json()["checks_left"] for answer in answers[:30]] == list(range(29, -1, -1))
    assert "retry-after" in answers[-1].headers
    assert (await registration.send(seller("p1"), "/checks", deal())).status_code == 200


async def test_who_asks_for_what_it_has_registered_learns_of_which_deal_that_is(registration: Running) -> None:
    mine = await registration.register("p1")
    both = deal(products=[{"family": "cloud", "sku": "100"}, {"family": "storage", "sku": "7"}])
    why = [
        {
            "code": "already-registered",
            "text": "You have registered this customer for these products already: see that deal.",
        }
    ]

    previewed = (await registration.send(seller("p1"), "/deals/preview", both)).json()
    checked = (await registration.send(seller("p1"), "/checks", both)).json()
    for_p1 = (await registration.send(DESK, "/checks", {**both, "partner_id": "p1"})).json()
    refused = await registration.send(seller("p1"), "/deals", both)

    told = ("already_registered", "availability", "outcome", "reasons", "place", "free_from", "steps")
    assert [previewed[name] for name in told] == [
        mine["registration_id"],
        "not_eligible",
        "refused",
        why,
        None,
        None,
        [],
    ]
    assert (checked["availability"], checked["already_registered"]) == ("not_eligible", mine["registration_id"])
    assert (for_p1["already_registered"], for_p1["reasons"]) == (mine["registration_id"], why)
    assert (refused.status_code, refused.json()["registration_id"]) == (409, mine["registration_id"])


async def test_who_asks_for_what_is_to_take_the_place_of_its_deal_or_meets_none_hears_of_none(
    registration: Running,
) -> None:
    mine = await registration.register("p1")
    instead = deal(replaces=mine["registration_id"])
    other = deal(products=[{"family": "storage", "sku": "7"}])

    answers = [
        await registration.send(seller("p1"), "/deals/preview", instead),
        await registration.send(seller("p1"), "/deals/preview", other),
        await registration.send(seller("p2"), "/deals/preview", deal()),
        await registration.send(seller("p2"), "/checks", deal(replaces=mine["registration_id"])),
    ]

    assert [one.json()["availability"] for one in answers] == ["free", "free", "taken", "taken"]
    assert [one.text for one in answers if "already" in one.text or mine["registration_id"] in one.text] == []


MANAGER = Principal(tenant=TENANT, subject="manager-1", kind="vendor", roles=("channel_manager",))


@pytest.mark.parametrize("who", [DESK, MANAGER])
async def test_the_vendor_asks_for_a_partner_and_reads_who_holds_the_customer_and_why(
    registration: Running, who: Principal
) -> None:
    held = await registration.register("p1")
    await registration.post(DESK, f"/deals/{held['registration_id']}/approve")

    for_p2 = (await registration.send(who, "/checks", deal(partner_id="p2"))).json()
    by_p2 = (await registration.send(seller("p2"), "/checks", deal())).json()
    previewed = (await registration.post(DESK, "/deals/preview", deal(partner_id="p2"))).json()

    [holder] = for_p2.pop("rivals")
    assert holder == {
        "registration_id": held["registration_id"],
        "partner_id": "p1",
        "match": "identical",
        "state": "held",
        "submitted_at": "2026-03-03T10:00:00Z",
        "protected_until": "2026-06-01T23:00:00Z",
        "blocks": True,
    }
    assert [one["code"] for one in for_p2.pop("reasons")] == ["rival-ahead", "review-required"]
    told = {"availability": "taken", "free_from": "2026-06-08", "checks_left": 29}
    assert {name: value for name, value in for_p2.items() if name != "check_id"} == told
    assert {name: value for name, value in by_p2.items() if name != "check_id"} == told, "and nothing of the holder"
    assert previewed["rivals"] == [holder]


async def test_who_asks_for_a_partner_says_for_whom_and_uses_up_none_of_its_checks(registration: Running) -> None:
    nameless = await registration.send(DESK, "/checks", deal())
    asked = [await registration.send(DESK, "/checks", deal(partner_id="p1")) for _ in range(31)]
    another = await registration.send(MANAGER, "/checks", deal(partner_id="p1"))

    assert (nameless.status_code, [one["path"] for one in nameless.json()["errors"]]) == (422, ["partner_id"])
    assert [one.status_code for one in asked] == [*[200] * 30, 429]
    assert another.json()["checks_left"] == 29, "each person of the vendor has its own"
    assert (await registration.send(seller("p1"), "/checks", deal())).json()["checks_left"] == 29


async def test_a_check_of_before_is_decided_again_without_a_word_on_how_many_are_left(registration: Running) -> None:
    handles = registration.service.application.executor.every_handles
    before = Executor(registration.service.store, [one for one in handles if one.evaluator == 1], registration.clock)
    asked = {"check_id": "c-1", "partner_id": PartnerId("p1"), "availability": "free", "free_from": None}
    order = Order(command_id="c-1", tenant=TENANT, actor=seller("p1").actor, correlation_id="c-1")

    outcome = await before.run(order, CheckCustomer(**asked, now=START))

    assert outcome.answer == {"check_id": "c-1", "availability": "free", "free_from": None}
    assert (await verify_decisions(registration.service.store, handles)).differences == ()


async def test_the_board_filters_and_sorts(registration: Running) -> None:
    first = await registration.register("p1")
    second = await registration.register("p2")

    waiting = (await registration.get(DESK, "/deals", status="waiting")).json()["items"]
    everything = (await registration.get(DESK, "/deals", sort="submitted_at", limit=1)).json()
    own = (await registration.get(seller("p1"), "/deals", partner_id="p2")).json()["items"]
    accounts = (await registration.get(DESK, "/accounts")).json()["items"]

    assert [item["registration_id"] for item in waiting] == [second["registration_id"]]
    assert everything["next_cursor"]
    assert [item["registration_id"] for item in own] == [first["registration_id"]]
    assert [(a["name"], a["domain"], [c["registration_id"] for c in a["claims"]]) for a in accounts] == [
        ("Contoso GmbH", "contoso.com", [first["registration_id"], second["registration_id"]])
    ]


async def test_done_when_7_no_rival_is_named_in_what_a_partner_may_hear(registration: Running) -> None:
    await registration.register("p1")
    await registration.register("p2")
    told = [registration.service.blueprint.publish(r.seen("registration")) for r in await all_of(registration)]

    heard = [event.for_partner("p2") for event in told if event is not None]

    names = [type(event).__name__ for event in heard if event]
    assert names == ["RulesPublished", "DealRegistered", "ConflictDetected", "DealQueued"]
    assert "p1" not in str([plain(event) for event in heard])


async def test_a_read_waits_for_what_its_reader_has_just_written(registration: Running) -> None:
    written = await registration.send(seller("p1"), "/deals", deal())
    position = written.headers["Entente-Position"]

    seen = await registration.get(seller("p1"), "/deals", at_least=position)

    assert [written.json()["number"]] == [item["number"] for item in seen.json()["items"]]


async def test_a_read_says_when_it_has_not_come_that_far(registration: Running) -> None:
    refused = await registration.get(DESK, "/deals", at_least="registration=999999")

    assert (refused.status_code, refused.json()["slug"], refused.headers["Retry-After"]) == (503, "not-there-yet", "1")
    assert (await registration.get(DESK, "/deals", at_least="incentives=999999")).status_code == 200
    assert (await registration.get(DESK, "/deals", at_least="registration")).status_code == 400


async def all_of(registration: Running) -> list[Any]:
    return [r for r in await registration.service.store.feed(0, 1_000) if r.type != CommandRecorded.type]
