"""What pays although nothing is sold by it: a registered deal, a converted lead, each a flat amount under a plan."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import decode, encode
from chassis.rulebook import RulesInvalid
from chassis.testing.projections import told
from chassis.verify import verify_decisions
from contracts.registration import (
    DealApproved,
    DealRegistered,
    DealRejected,
    DealRevoked,
    DealWithdrawn,
    LeadConverted,
)
from contracts.samples import sample
from contracts.values import ProductLine, money
from services.incentives.application.achieving import Unsold, achieved, again, gone
from services.incentives.domain.approval import RecordDealEnd
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.plan import collide
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale_events import AwardMissed, PayoutCalculated, PayoutReversed, SpiffAwarded
from services.incentives.domain.verifying import verify
from tests.incentives.facts import NOW, World, book, credit, plan, win
from tests.incentives.test_service import ADMIN, FINANCE, P1, activated, incentives, started, won

__all__ = ["incentives"]

D = Decimal
AT = datetime(2026, 3, 16, 9, tzinfo=UTC)
DAY = date(2026, 3, 16)
BOTH = ["deal_registered", "lead_converted"]


def per_event(amount: str = "50", **changes: Any) -> dict[str, Any]:
    """A SPIFF of so much for each registered deal and each converted lead."""
    fields = {"kind": "spiff", "component": "spiff", "axis": "units", "basis": "event", "events": BOTH, **changes}
    return plan({"per_unit": amount}, **fields)


def registered(ref: str = "r1", **changes: Any) -> Unsold:
    fields: dict[str, Any] = {
        "achievement": "deal_registered",
        "ref": ref,
        "registration_id": ref,
        "partner_id": "p1",
        "products": (ProductLine(family="crm", sku="crm-1", quantity=7), ProductLine(family="erp")),
        "on": DAY,
        "source_event_id": f"e-{ref}",
        **changes,
    }
    return Unsold(**fields)


def tell(world: World, it: Unsold) -> World:
    return world.tell(*achieved(it, "EUR", NOW))


def end(world: World, it: Unsold, reason_code: str = "withdrawn") -> World:
    """The deal comes to nothing."""
    ended = RecordDealEnd(
        registration_id=it.ref,
        reason_code=reason_code,
        happened_on=date(2026, 9, 1),
        source_event_id=f"end-{it.ref}-{len(world.events)}",
        now=NOW,
    )
    wish = gone(world.sales[it.sale_id], ended, NOW)
    return world.tell(*([wish] if wish else []))


def paid(world: World) -> list[Decimal]:
    return [line.amount.amount for line in world.of(PayoutCalculated)]


def taken(world: World) -> list[tuple[str, Decimal]]:
    return [(one.reason_code, one.amount.amount) for one in world.of(PayoutReversed)]


def test_a_registered_deal_pays_a_flat_amount_whatever_it_is_worth_or_names():
    world = tell(World(book(per_event())), registered())

    [line] = world.of(PayoutCalculated)
    assert (line.amount, line.registration_id, line.kind) == (money("50.00", "EUR"), "r1", "spiff")
    assert (line.credited_on, line.earned_on, line.payable_on) == (DAY, DAY, date(2026, 4, 15))
    assert (line.state, line.key.partner_id, line.key.pool) == ("held", "p1", "sourced")
    assert [one.amount for one in world.of(SpiffAwarded)] == [money("50.00", "EUR")]
    assert {entry.amount.amount for entry in line.journal.entries} == {D("50.00"), D("-50.00")}


def test_its_derivation_says_what_was_paid_for():
    [line] = tell(World(book(per_event())), registered()).of(PayoutCalculated)
    decision = EXPLAIN[PayoutCalculated](told(line)[0])

    assert decision.outcome == "50.00 EUR"
    texts = {reason.code: reason.text for reason in decision.reasons}
    assert texts["basis"] == "the deal was registered: it counts as one event"
    assert texts["band-1"] == "band 1: 1 at 50 each = 50"
    assert next((one.name, one.event_id) for one in decision.inputs) == ("deal_registered", "e-r1")


def test_a_converted_lead_pays_under_the_same_plan_and_needs_no_product():
    lead = registered("l1", achievement="lead_converted", registration_id=None, products=())
    world = tell(World(book(per_event())), lead)

    assert paid(world) == [D("50.00")]
    [line] = world.of(PayoutCalculated)
    assert EXPLAIN[PayoutCalculated](told(line)[0]).reasons[1].text == "the lead was converted: it counts as one event"


@pytest.mark.parametrize(("events", "sound"), [(BOTH, False), (["deal_won"], True)])
def test_what_nobody_bills_is_taken_back_by_no_bill(events, sound):
    body = per_event(events=events, reversals_from="billing")
    if sound:
        assert PLANS.completed(body, NOW) == body
    else:
        with pytest.raises(RulesInvalid, match="no bill takes a registered deal"):
            PLANS.completed(body, NOW)
    assert PLANS.completed(per_event(events=events, reversals_from="crm"), NOW)
    assert PLANS.check(PLANS.read(body)) == [], "one of an older release is decided as it was"


@pytest.mark.parametrize(("events", "pays"), [(["lead_converted"], []), (["deal_won"], []), (BOTH, [D("50.00")])])
def test_only_the_events_that_the_plan_names_pay(events, pays):
    assert paid(tell(World(book(per_event(events=events))), registered())) == pays


def test_a_win_pays_no_plan_for_registrations_and_a_registration_no_plan_for_wins():
    world = World(book(per_event()), book(plan(), "plan-b"))
    tell(world, registered()).tell(win(), credit())

    assert [(line.key.plan_id, str(line.amount.amount)) for line in world.of(PayoutCalculated)] == [
        ("plan-a", "50.00"),
        ("plan-b", "100.00"),
    ]


def test_a_commission_for_registrations_does_not_stand_in_the_way_of_the_one_for_wins():
    for_events = per_event(kind="commission", component="commission", priority=9)
    world = World(book(for_events), book(plan(), "plan-b")).tell(win(), credit())

    assert [line.key.plan_id for line in world.of(PayoutCalculated)] == ["plan-b"]
    read = [PLANS.read(body) for body in (per_event(kind="commission", component="commission"), plan())]
    assert not collide(*read)
    assert collide(read[0], read[0])


@pytest.mark.parametrize(
    ("filters", "pays"),
    [
        ({"product_families": ["erp"]}, [D("50.00")]),
        ({"skus": ["crm-1"]}, [D("50.00")]),
        ({"product_families": ["hr"]}, []),
        ({"deal_types": ["renewal"]}, []),
    ],
)
def test_the_filters_of_the_plan_look_at_what_was_registered(filters, pays):
    assert paid(tell(World(book(per_event(**filters))), registered())) == pays


@pytest.mark.parametrize("reason_code", ["withdrawn", "rejected", "revoked"])
def test_a_deal_that_comes_to_nothing_takes_it_back_whenever_that_is(reason_code):
    it = registered()
    world = end(tell(World(book(per_event(refund_days=10))), it), it, reason_code)

    assert taken(world) == [(reason_code, D("50.00"))]
    assert [line.remaining.amount for line in world.sales[it.sale_id].lines.values()] == [D("0.00")]
    assert taken(end(world, it)) == [(reason_code, D("50.00"))], "once"


def test_a_deal_that_stands_again_is_paid_again_as_of_its_own_day():
    it = registered()
    world = end(tell(World(book(per_event())), it), it, "rejected")
    world.tell(*again(world.sales[it.sale_id], "e-approved", NOW))

    assert paid(world) == [D("50.00")] * 2
    assert [line.earned_on for line in world.of(PayoutCalculated)] == [DAY, DAY]
    assert again(world.sales[it.sale_id], "e-approved", NOW) == []
    assert taken(end(world, it, "revoked")) == [("rejected", D("50.00")), ("revoked", D("50.00"))]


def test_a_credit_that_was_not_kept_with_its_win_is_kept_when_the_event_comes_once_more():
    it = registered()
    world = end(tell(World(book(per_event())), it), it, "rejected")
    won_again, _ = again(world.sales[it.sale_id], "e-approved", NOW)
    world.tell(won_again)
    world.tell(*again(world.sales[it.sale_id], "e-approved", NOW))

    assert paid(world) == [D("50.00")] * 2


def test_a_budget_gives_the_last_award_the_rest_and_has_it_back_when_a_deal_is_withdrawn():
    world = World(book(per_event(budget_id="pot"))).allocate("pot", "120.00")
    for ref in ("r1", "r2", "r3", "r4"):
        tell(world, registered(ref))

    assert paid(world) == [D("50.00"), D("50.00"), D("20.00")]
    assert [one.reason_code for one in world.of(AwardMissed)] == ["budget-exhausted"]
    end(world, registered("r1"))
    assert world.budgets["pot"].available == money("50.00", "EUR")
    assert paid(tell(world, registered("r5")))[-1] == D("50.00")


def test_a_budget_of_units_counts_events_and_not_the_pieces_that_a_deal_names():
    world = World(book(per_event(budget_id="pot"))).allocate_units("pot", "2")
    for ref in ("r1", "r2", "r3"):
        tell(world, registered(ref))

    assert paid(world) == [D("50.00")] * 2
    end(world, registered("r1"))
    assert world.budgets["pot"].units.available == 1


def test_a_quarter_s_cap_holds_and_what_is_taken_back_leaves_the_window():
    body = plan(
        {"up_to": "2", "per_unit": "50"},
        kind="commission",
        axis="units",
        basis="event",
        events=BOTH,
        accumulate="quarter",
    )
    world = World(book(body))
    for ref in ("r1", "r2", "r3"):
        tell(world, registered(ref))

    assert paid(world) == [D("50.00"), D("50.00"), D("0.00")]
    [meter] = world.meters.values()
    assert meter.measure == 3
    end(world, registered("r1"))
    [meter] = world.meters.values()
    assert meter.measure == 2


def test_an_exclusive_spiff_pays_alone_for_the_same_registration():
    world = World(book(per_event("50", overlap="exclusive"), "s1"), book(per_event("30"), "s2"))

    assert paid(tell(world, registered())) == [D("50.00")]


@given(st.lists(st.tuples(st.sampled_from(["r1", "r2", "r3"]), st.sampled_from(["tell", "end", "again"])), max_size=30))
def test_whatever_becomes_of_deals_each_that_stands_is_paid_once_and_no_other(steps):
    world, standing = World(book(per_event(budget_id="pot"))).allocate("pot", "1000.00"), {}
    for ref, step in steps:
        it = registered(ref)
        if step == "tell":
            tell(world, it)
            standing.setdefault(ref, True)
        elif it.sale_id in world.sales and step == "end":
            end(world, it)
            standing[ref] = False
        elif it.sale_id in world.sales:
            world.tell(*again(world.sales[it.sale_id], f"again-{len(world.events)}", NOW))
            standing[ref] = True
    lines = [line.remaining.amount for sale in world.sales.values() for line in sale.lines.values()]
    assert sum(lines, D(0)) == 50 * sum(standing.values())
    assert world.budgets["pot"].available.amount == 1000 - 50 * sum(standing.values())
    assert sum((entry.amount.amount for entry in world.posted()), D(0)) == 0


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"basis": "units"}, "only a plan of the basis event names events"),
        ({"events": []}, "events are deal_won, deal_registered and lead_converted, each once"),
        ({"events": ["deal_approved"]}, "events are deal_won, deal_registered and lead_converted, each once"),
        ({"events": ["deal_registered"] * 2}, "events are deal_won, deal_registered and lead_converted, each once"),
        ({"claimed": True}, "a rebate, and what is claimed, is paid for won deals alone"),
        ({"pool": "influenced"}, "whoever registers a deal or converts a lead is credited in the pool sourced"),
    ],
)
def test_a_plan_for_events_that_could_never_pay_is_not_drafted(changes, fault):
    assert PLANS.check(PLANS.read(per_event(**changes))) == [fault]


def test_what_was_kept_before_plans_paid_for_events_reads_as_a_win():
    [kept, *_] = World(book(plan())).tell(win(), credit()).events
    stored = encode(kept)

    assert b"achievement" not in stored
    assert decode("incentives.WinRecorded.v1", stored) == kept


# The service at work


def of(name: str, **changes: Any) -> Any:
    return replace(decode(name, sample(name)), **changes)


def deal(kind: Any, **changes: Any) -> Any:
    """What registration tells of the deal r1 of the partner p1."""
    return of(kind.type, registration_id="r1", partner_id="p1", **changes)


async def lines(it: Any, who: Any = P1) -> list[tuple[str, str]]:
    found = (await it.get(who, "/lines"))["items"]
    return sorted((line["amount"]["amount"], line["remaining"]["amount"]) for line in found)


async def test_a_registered_deal_is_paid_once_taken_back_when_it_is_rejected_and_paid_again_when_it_is_approved(
    tmp_path,
):
    async with started(tmp_path) as it:
        await it.publish_plan(per_event(hold_days=0), plan_id="starter")
        await it.hear(activated("p1"))
        it.clock.set(AT)
        await it.hear(deal(DealRegistered, submitted_at=AT), times=2)
        assert await lines(it) == [("50.00", "50.00")]
        [line] = (await it.get(P1, "/lines"))["items"]
        assert (line["registration_id"], line["state"], line["plan_id"]) == ("r1", "payable", "starter")
        why = await it.get(P1, f"/why/{line['event_id']}")
        assert why["reasons"][1]["text"] == "the deal was registered: it counts as one event"

        await it.hear(deal(DealRejected, rejected_at=AT), times=2)
        assert await lines(it) == [("50.00", "0.00")]
        await it.hear(deal(DealApproved, approved_at=AT), times=2)
        assert await lines(it) == [("50.00", "0.00"), ("50.00", "50.00")]
        await it.hear(deal(DealWithdrawn, withdrawn_at=AT))
        assert await lines(it) == [("50.00", "0.00"), ("50.00", "0.00")]
        executor = it.service.application.executor
        assert (await verify_decisions(executor.store, executor.handles.values())).holds


async def test_leads_that_became_one_deal_pay_once_and_not_after_it_was_revoked(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(per_event(), plan_id="leads")
        await it.hear(activated("p1"))
        it.clock.set(AT)
        lead = {"partner_id": "p1", "converted_at": AT}
        await it.hear(of(LeadConverted.type, lead_id="l1", registration_id="r1", **lead))
        await it.hear(of(LeadConverted.type, lead_id="l2", registration_id="r1", **lead))
        await it.hear(of(LeadConverted.type, lead_id="l3", registration_id=None, **lead))
        await it.hear(of(LeadConverted.type, lead_id="l4", registration_id=None, **{**lead, "partner_id": None}))
        assert await lines(it) == [("50.00", "50.00"), ("50.00", "50.00")]
        await it.hear(deal(DealRevoked, revoked_at=AT))
        assert await lines(it) == [("50.00", "0.00"), ("50.00", "50.00")]


async def test_a_lead_that_is_heard_of_after_its_deal_came_to_nothing_keeps_no_pay(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(per_event(), plan_id="leads")
        await it.hear(activated("p1"))
        it.clock.set(AT)
        await it.hear(deal(DealRevoked, revoked_at=AT))
        lead = of(LeadConverted.type, lead_id="l1", registration_id="r1", partner_id="p1", converted_at=AT)
        await it.hear(lead, times=2)
        assert await lines(it) == [("50.00", "0.00")]


async def test_where_no_plan_pays_for_it_nothing_is_kept(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(plan())
        await it.hear(activated("p1"))
        await it.hear(deal(DealRegistered, submitted_at=AT))
        await it.hear(deal(DealRejected, rejected_at=AT))
        assert (await it.get(FINANCE, "/sales"))["items"] == []


async def test_what_was_registered_is_tried_with_another_amount_before_it_holds(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(per_event(), plan_id="starter")
        await it.hear(activated("p1"))
        it.clock.set(AT)
        await it.hear(deal(DealRegistered, submitted_at=AT))
        await it.hear(won())
        body = {"rulebook_id": "starter", "body": per_event("80"), "since": "2026-03-01", "until": "2026-03-31"}
        begun = await it.post(ADMIN, "/backtests", body)
        assert begun.status_code == 202, begun.text
        path = f"/backtests/{begun.json()['run_id']}"
        found = await it.until(ADMIN, path, lambda run: "report" in run)
        assert found["report"]["partners"] == [{"partner_id": "p1", "old": "50", "new": "80", "delta": "30"}]


async def test_a_statement_of_event_lines_follows_from_its_proof(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(per_event(hold_days=0), plan_id="starter")
        await it.hear(activated("p1"))
        it.clock.set(AT)
        await it.hear(deal(DealRegistered, submitted_at=AT))
        await it.hear(replace(deal(DealRegistered, submitted_at=AT), registration_id="r2"))
        await it.hear(deal(DealWithdrawn, withdrawn_at=AT))
        it.clock.set(datetime(2026, 4, 2, tzinfo=UTC))
        body = {"partner_id": "p1", "period": "2026-03", "currency": "EUR"}
        statement = (await it.post(FINANCE, "/statements", body)).json()
        proof = await it.get(P1, f"/statements/{statement['statement_id']}/proof")
        assert statement["closing"]["amount"] == "50.00"
        assert verify(json.dumps(proof)) == []
        altered = json.dumps(proof).replace('"per_unit": "50"', '"per_unit": "51"')
        assert verify(altered) != []


async def test_a_plan_in_the_shadow_has_registrations_kept_and_says_what_it_would_have_paid(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(per_event(), plan_id="starter", mode="shadow")
        await it.hear(activated("p1"))
        it.clock.set(AT)
        await it.hear(deal(DealRegistered, submitted_at=AT))
        assert await lines(it) == []
        found = await it.until(ADMIN, "/shadow/starter", lambda run: run.get("report"))
        assert [(row["partner_id"], row["new"]) for row in found["report"]["partners"]] == [("p1", "50")]
