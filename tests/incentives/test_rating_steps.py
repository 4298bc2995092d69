"""Each step of rating beyond the bare schedule: what changes the pay, by how much, and what is kept of it."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from contracts.values import Term, money
from services.incentives.domain.exchange import Rate
from services.incentives.domain.payee import Payee
from services.incentives.domain.payee_events import StandingRecorded
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale_commands import ResolveFact
from services.incentives.domain.sale_events import (
    FactQuarantined,
    FactResolved,
    PayoutCalculated,
    PayoutReversed,
    RebateCounted,
)
from tests.incentives.facts import NOW, World, basis, book, credit, plan, reversal, share, sold, version, win

D = Decimal
GOLD = {"field": "tier", "is_one_of": ["gold"]}


def paid(world):
    return [line.amount.amount for line in world.of(PayoutCalculated)]


def standing(field, *values, on=date(2026, 1, 1)):
    return StandingRecorded(
        payee_id="p1",
        partner_id="p1",
        field=field,
        values=values,
        effective_on=on,
        source_event_id="e",
        recorded_at=NOW,
    )


def of_gold(*more):
    return {"p1": Payee(opened=True, standing=(standing("tier", "gold"), *more))}


def euros(rate, on=date(2026, 3, 16), quote="USD", base="EUR"):
    return Rate(base=base, quote=quote, rate=D(rate), on=on, source="ecb", event_id="e-rate")


# Step 1: basis


def test_margin_counts_in_part_of_the_products_that_count():
    world = World(book(plan(basis="margin", product_families=["crm"])))
    lines = (sold("1", "crm", "600.00"), sold("2", "erp", "400.00"))
    world.tell(win("1000.00", sold=lines, margin=money("300.00", "EUR")), credit())
    assert paid(world) == [D("18.00")]


def test_of_a_term_of_three_years_the_first_counts():
    term = Term(starts_on=date(2026, 4, 1), ends_on=date(2029, 4, 1))
    world = World(book(plan(basis="first_year"))).tell(win("3600.00", term=term), credit())
    assert paid(world) == [D("120.00")]


def test_a_refund_of_half_the_revenue_takes_half_of_what_a_first_year_earned():
    term = Term(starts_on=date(2026, 4, 1), ends_on=date(2029, 4, 1))
    world = World(book(plan(basis="first_year"))).tell(win("3600.00", term=term), credit(), reversal("x", "1800.00"))
    assert [line.amount.amount for line in world.of(PayoutReversed)] == [D("60.00")]


def test_units_and_events_are_counted_not_priced():
    units = plan({"per_unit": "5"}, axis="units", basis="units")
    world = World(book(units)).tell(win("1000.00", sold=(sold("1", "crm", "1000.00", quantity=7),)), credit())
    assert paid(world) == [D("35.00")]
    event = plan({"per_unit": "50"}, axis="units", basis="event")
    assert paid(World(book(event)).tell(win("1000.00"), credit())) == [D("50.00")]


def test_each_invoice_earns_when_it_is_written_and_each_addition_when_it_is_booked():
    billed = World(book(plan(basis="invoiced", hold_days=0))).tell(win("1000.00"), credit())
    assert paid(billed) == []
    billed.tell(
        basis("invoiced", "i1", "400.00"), basis("invoiced", "i1", "400.00"), basis("collected", "c1", "400.00")
    )
    [line] = billed.of(PayoutCalculated)
    assert (line.amount, line.credited_on, line.earned_on) == (
        money("40.00", "EUR"),
        date(2026, 3, 16),
        date(2026, 3, 20),
    )
    added = World(book(plan())).tell(win("1000.00"), credit(), basis("added", "a1", "200.00"))
    assert paid(added) == [D("100.00"), D("20.00")]


def test_an_invoice_that_comes_after_the_booking_was_paid_still_pays_by_its_own_plan():
    both = (book(plan(hold_days=0)), book(plan(basis="invoiced", component="billed", hold_days=0), plan_id="plan-b"))
    world = World(*both).tell(win("1000.00"), credit(), basis("invoiced", "i1", "400.00"))

    paid = {line.key.plan_id: str(line.amount.amount) for line in world.of(PayoutCalculated)}
    assert paid == {"plan-a": "100.00", "plan-b": "40.00"}
    before = World(*both, billed_later=False).tell(win("1000.00"), credit(), basis("invoiced", "i1", "400.00"))
    assert [line.key.plan_id for line in before.of(PayoutCalculated)] == ["plan-a"], "as the first evaluator decided"


def test_facts_of_billing_wait_for_the_win():
    world = World(book(plan(basis="invoiced"))).tell(basis("invoiced", "i1", "400.00"), credit(), win("1000.00"))
    assert paid(world) == [D("40.00")]


def test_a_fact_without_an_amount_is_quarantined_and_never_zero():
    world = World(book(plan(basis="invoiced"))).tell(win(), credit(), basis("invoiced", "i1", None))
    [kept] = world.of(FactQuarantined)
    assert (kept.reason_code, kept.fact_id) == ("no-amount", "invoiced/i1")
    assert paid(world) == []


BILLED_BOTH = (
    book(plan(basis="invoiced", component="billed")),
    book(plan({"percent": "20"}, basis="collected", component="cash"), plan_id="plan-b"),
)
"""Ten percent of what is invoiced, twenty of what is collected."""


@pytest.mark.parametrize("first", ["invoiced", "collected"])
def test_an_invoice_and_its_collection_of_one_number_count_each_once_in_any_order(first):
    second = "collected" if first == "invoiced" else "invoiced"
    world = World(*BILLED_BOTH).tell(win("1000.00"), credit())
    world.tell(*[basis(kind, "7001", "400.00") for kind in (first, second, first, second)])
    assert [(line[3], line[4]) for line in world.standing()] == [("plan-a", D("40.00")), ("plan-b", D("80.00"))]


def test_an_addition_of_an_invoice_s_number_counts_beside_it():
    booked = book(plan({"percent": "5"}), plan_id="plan-b")
    world = World(BILLED_BOTH[0], booked).tell(win("1000.00"), credit())
    world.tell(basis("invoiced", "7001", "400.00"), basis("added", "7001", "100.00"))
    assert [(line[3], line[4]) for line in world.standing()] == [
        ("plan-a", D("40.00")),
        ("plan-b", D("5.00")),
        ("plan-b", D("50.00")),
    ]


def test_the_evaluator_before_dropped_a_collection_with_the_number_of_its_invoice():
    world = World(*BILLED_BOTH, of_own_kind=False).tell(win("1000.00"), credit())
    world.tell(basis("invoiced", "7001", "400.00"), basis("collected", "7001", "400.00"))
    assert [(line[3], line[4]) for line in world.standing()] == [("plan-a", D("40.00"))]


def test_an_invoice_and_a_collection_of_one_number_wait_each_for_their_own_amount():
    world = World(*BILLED_BOTH).tell(win(), credit())
    world.tell(*[basis(kind, "7001", None) for kind in ("invoiced", "collected", "invoiced")])
    assert [kept.fact_id for kept in world.of(FactQuarantined)] == ["invoiced/7001", "collected/7001"]


def test_what_takes_a_collection_back_leaves_the_invoice_of_its_number_alone():
    world = World(*BILLED_BOTH).tell(win("1000.00"), credit())
    world.tell(basis("invoiced", "7001", "400.00"), basis("collected", "7001", "400.00"))
    world.tell(reversal("undo", "400.00", ("7001", "400.00"), source="billing", fact_kind="collected"))
    assert [(line[3], line[5]) for line in world.standing()] == [("plan-a", D("40.00")), ("plan-b", D("0.00"))]


def test_a_credit_note_of_a_number_takes_back_both_its_invoice_and_its_collection():
    world = World(*BILLED_BOTH).tell(win("1000.00"), credit())
    world.tell(basis("invoiced", "7001", "400.00"), basis("collected", "7001", "400.00"))
    world.tell(reversal("note", "100.00", ("7001", "100.00"), source="billing"))
    assert [(line[3], line[5]) for line in world.standing()] == [("plan-a", D("30.00")), ("plan-b", D("60.00"))]


def test_products_are_filtered_by_family_and_by_stock_keeping_unit():
    one = sold("1", "crm", "600.00")
    lines = (one, type(one)(line_id="2", family="crm", amount=money("400.00", "EUR"), sku="pro"))
    assert paid(World(book(plan(skus=["pro"]))).tell(win("1000.00", sold=lines), credit())) == [D("40.00")]


# Step 2: which plan, which tier


@pytest.mark.parametrize(("as_of", "pays"), [("registration_approved", "200.00"), ("closed", "100.00")])
def test_the_tier_counts_as_of_the_day_that_the_plan_names(as_of, pays):
    silver = standing("tier", "silver", on=date(2026, 3, 1))
    double = {"modifier_id": "gold", "when": GOLD, "multiply": "2"}
    body = plan(tier_as_of=as_of, modifiers=[double])
    world = World(book(body), payees=of_gold(silver)).tell(win(approved_on=date(2026, 2, 1)), credit())
    assert paid(world) == [D(pays)]


def test_without_an_approval_the_tier_of_the_day_of_the_win_counts_and_as_of_the_invoice_that_of_its_day():
    """Gold on the 16th, when it was won, silver from the 18th on, and invoiced on the 20th."""
    silver = standing("tier", "silver", on=date(2026, 3, 18))
    double = {"modifier_id": "gold", "when": GOLD, "multiply": "2"}
    for changes, pays in (({}, "200.00"), ({"tier_as_of": "closed"}, "200.00"), ({"tier_as_of": "invoiced"}, "100.00")):
        body = plan(basis="invoiced", modifiers=[double], **changes)
        world = World(book(body), payees=of_gold(silver)).tell(win(), credit(), basis("invoiced", "i1", "1000.00"))
        assert paid(world) == [D(pays)], changes


def test_only_deals_of_the_plan_s_types_earn():
    assert paid(World(book(plan(deal_types=["renewal"]))).tell(win(), credit())) == []


# Step 3: currency


def test_a_sale_in_another_currency_is_rated_at_the_recorded_rate_of_the_credited_day():
    rates = (euros("1.10", on=date(2026, 3, 10)), euros("1.20", on=date(2026, 3, 15)), euros("9", on=date(2026, 3, 17)))
    world = World(book(plan(currency="USD")), rates=rates).tell(win("1000.00"), credit())
    [line] = world.of(PayoutCalculated)
    assert line.amount == money("120.00", "USD")
    assert line.derivation.exchange.rate == rates[1]


def test_a_rate_of_seven_days_ago_still_holds():
    world = World(book(plan(currency="USD")), rates=(euros("1.10", on=date(2026, 3, 9)),)).tell(
        win("1000.00"), credit()
    )
    assert (len(world.of(FactQuarantined)), paid(world)) == (0, [D("110.00")])


def test_a_rate_older_than_a_week_quarantines_until_it_is_resolved():
    old = (euros("1.10", on=date(2026, 3, 8)),)
    world = World(book(plan(currency="USD")), rates=old).tell(win("1000.00"), credit())
    assert (len(world.of(FactQuarantined)), paid(world)) == (1, [])
    world.known["rates"] = (euros("0.80", base="USD", quote="EUR"),)
    world.tell(ResolveFact(opportunity_id="o1", win_no=1, plan_id="plan-a", by="fin-1", now=NOW))
    assert (len(world.of(FactResolved)), paid(world)) == (1, [D("125.00")])
    assert world.sales["o1"].quarantined == frozenset()


# Step 6: modifiers


def modified(stack="highest", *modifiers, payees=None, **changes):
    body = plan({"percent": "10"}, modifiers=list(modifiers), stack=stack, **changes)
    return World(book(body), payees=payees or of_gold()).tell(win(), credit())


POINTS = {"modifier_id": "points", "when": GOLD, "add_points": "2"}
TIMES = {"modifier_id": "times", "when": GOLD, "multiply": "1.5"}
INSTEAD = {"modifier_id": "instead", "when": GOLD, "replace_percent": "11"}
NEVER = {"modifier_id": "never", "when": {"field": "tier", "is_one_of": ["bronze"]}, "multiply": "9"}


@pytest.mark.parametrize(("stack", "pays"), [("highest", "150.00"), ("sum", "195.00"), ("first", "120.00")])
def test_modifiers_stack_as_the_plan_says(stack, pays):
    assert paid(modified(stack, POINTS, TIMES, INSTEAD, NEVER)) == [D(pays)]


def test_every_modifier_that_was_looked_at_says_why_it_was_taken_or_not():
    [line] = modified("highest", POINTS, TIMES, NEVER).of(PayoutCalculated)
    assert [(one.modifier_id, one.taken, one.why) for one in line.derivation.weighed] == [
        ("points", False, "another pays more, and the highest counts"),
        ("times", True, "times 1.5, because tier is gold"),
        ("never", False, "not so: tier is bronze"),
    ]


def test_in_a_plan_that_accumulates_a_modifier_weights_the_measure():
    world = modified("highest", TIMES, accumulate="year")
    assert (paid(world), world.measures["plan-a-p1-2026"]) == ([D("150.00")], D(1500))
    assert PLANS.check(PLANS.read(plan(accumulate="year", modifiers=[POINTS])))


@pytest.mark.parametrize(
    ("when", "pays"),
    [
        ({"field": "region", "is_one_of": ["DE", "AT"]}, "200.00"),
        ({"field": "certification", "is_one_of": ["expert"]}, "200.00"),
        ({"field": "deal_type", "is_one_of": ["renewal"]}, "100.00"),
        ({"all_of": [{"field": "role", "is_one_of": ["source"]}, GOLD]}, "200.00"),
        ({"any_of": [{"field": "product", "is_one_of": ["crm"]}, {"field": "tier", "is_one_of": ["x"]}]}, "100.00"),
    ],
)
def test_conditions_look_at_who_is_credited_in_what_deal(when, pays):
    payees = of_gold(standing("region", "DE"), standing("certification", "expert", "novice"))
    assert paid(modified("highest", {"modifier_id": "m", "when": when, "multiply": "2"}, payees=payees)) == [D(pays)]


def test_a_condition_is_at_most_four_levels_deep_and_says_one_thing():
    deep = GOLD
    for _ in range(3):
        deep = {"all_of": [deep]}
    assert not PLANS.check(PLANS.read(plan(modifiers=[{"modifier_id": "m", "when": deep, "multiply": "2"}])))
    for wrong in ({"all_of": [deep]}, {}, {"field": "tier"}, {**GOLD, "all_of": [GOLD]}):
        assert PLANS.check(PLANS.read(plan(modifiers=[{"modifier_id": "m", "when": wrong, "multiply": "2"}])))


def test_it_says_what_the_pay_would_be_without_each_modifier():
    facts = {
        "sold": [{"line_id": "1", "family": "crm", "amount": {"amount": "1000.00", "currency": "EUR"}}],
        "percent": "100.00",
        "credited_on": "2026-03-16",
        "circumstances": {"tier": "gold"},
    }
    decision = PLANS.answer(facts, plan({"percent": "10"}, modifiers=[TIMES]))
    assert decision.outcome == "150.00 EUR"
    assert [(change.code, change.outcome) for change in decision.would_change] == [("modifier-times", "100.00 EUR")]


# Step 7: caps and floors


@pytest.mark.parametrize(
    ("bounds", "pays"),
    [
        ({"line_cap": "60"}, ["60.00", "40.00"]),
        ({"line_floor": "50"}, ["60.00", "50.00"]),
        ({"deal_cap": "75.5"}, ["60.00", "15.50"]),
        ({"line_cap": "30", "deal_cap": "50"}, ["30.00", "20.00"]),
    ],
)
def test_caps_and_floors_bound_lines_and_deals(bounds, pays):
    world = World(book(plan(**bounds))).tell(win(), credit(share("p1", "60.00"), share("p2", "40.00")))
    assert paid(world) == [D(pay) for pay in pays]


YEN = (euros("160", quote="JPY"),)
PAID_IN_YEN = {"deal_cap": "1000", "payout_currency": "JPY"}


@pytest.mark.parametrize(("as_now", "pays"), [(True, ["16000", "80000"]), (False, ["16000", "0"])])
def test_a_cap_on_a_deal_counts_what_was_paid_out_in_another_currency_in_that_of_the_plan(as_now, pays):
    world = World(book(plan(**PAID_IN_YEN)), rates=YEN, deal_in_plan=as_now)
    world.tell(win(), credit(), basis("added", "a1", "5000.00"))
    assert paid(world) == [D(pay) for pay in pays]


@pytest.mark.parametrize(("as_now", "pays"), [(True, ["100.00", "100.00"]), (False, ["100.00", "0.00"])])
def test_what_a_refund_took_back_may_be_earned_again_under_the_cap_of_its_deal(as_now, pays):
    world = World(book(plan(deal_cap="100")), deal_in_plan=as_now)
    world.tell(win(), credit(), reversal("x", "1000.00"), basis("added", "a1", "5000.00"))
    assert paid(world) == [D(pay) for pay in pays]


def test_half_of_what_a_deal_earned_is_room_under_its_cap_in_another_currency_too():
    world = World(book(plan(**PAID_IN_YEN | {"deal_cap": "100"})), rates=YEN)
    world.tell(win(), credit(), reversal("x", "500.00"), basis("added", "a1", "5000.00"))
    assert paid(world) == [D("16000"), D("8000")]


@pytest.mark.parametrize(
    ("as_now", "kinds"), [(True, ["PayoutCalculated", "RebateCounted"]), (False, ["RebateCounted"])]
)
def test_a_rebate_and_a_commission_of_one_component_do_not_displace_each_other(as_now, kinds):
    rebate = plan({"percent": "2"}, kind="rebate", accumulate="year")
    world = World(book(plan(), "zz-commission"), book(rebate, "annual-rebate"), of_kinds=as_now).tell(win(), credit())
    assert [type(one).__name__ for one in (*world.of(PayoutCalculated), *world.of(RebateCounted))] == kinds


def test_a_cap_that_was_met_is_kept_with_the_line():
    [line] = World(book(plan(line_cap="60"))).tell(win(), credit()).of(PayoutCalculated)
    [bound] = line.derivation.bounds
    assert (bound.name, bound.before, bound.after) == ("line_cap", money("100.00", "EUR"), money("60.00", "EUR"))


# Step 9: split between payees


def test_done_when_1_a_pay_of_100_00_over_three_payees_is_33_34_33_33_33_33():
    parts = [
        {"party": "partner", "percent": "33.3334"},
        *({"party": p, "percent": "33.3333"} for p in ("seller", "reseller")),
    ]
    world = World(book(plan(payees=parts))).tell(win(parties={"seller": "person-1", "reseller": "p9"}), credit())
    assert [(line.payee_id, line.amount.amount) for line in world.of(PayoutCalculated)] == [
        ("p1", D("33.34")),
        ("person-1", D("33.33")),
        ("p9", D("33.33")),
    ]


def test_a_party_that_the_deal_does_not_have_leaves_its_part_to_the_partner():
    parts = [{"party": "partner", "percent": "60"}, {"party": "seller", "percent": "40"}]
    assert paid(World(book(plan(payees=parts))).tell(win(), credit())) == [D("100.00")]


def test_distributor_and_reseller_are_who_is_credited_in_that_role():
    parts = [{"party": "distributor", "percent": "25"}, {"party": "partner", "percent": "75"}]
    world = World(book(plan(payees=parts))).tell(
        win(), credit(share("p1", "100.00"), share("p2", "0.00", role="distribute"))
    )
    assert [(line.payee_id, line.amount.amount) for line in world.of(PayoutCalculated)] == [
        ("p2", D("25.00")),
        ("p1", D("75.00")),
    ]


def test_a_full_refund_takes_every_payee_s_part_and_the_measure_once():
    parts = [{"party": "partner", "percent": "60"}, {"party": "seller", "percent": "40"}]
    body = plan({"percent": "10"}, payees=parts, accumulate="year")
    world = World(book(body)).tell(win(parties={"seller": "person-1"}), credit(), reversal("x", "1000.00"))
    assert world.measures["plan-a-p1-2026"] == 0
    assert [line[-1] for line in world.standing()] == [D("0.00"), D("0.00")]


# Step 10 and 11: payout currency, release parts


def test_a_payout_in_another_currency_takes_the_rate_of_the_earned_day():
    world = World(book(plan(payout_currency="USD")), rates=(euros("1.25"),)).tell(win(), credit())
    [line] = world.of(PayoutCalculated)
    assert (line.amount, line.derivation.pay) == (money("125.00", "USD"), money("100.00", "EUR"))
    world.known["rates"] = (euros("2.00"),)
    world.tell(reversal("x", "500.00"))
    assert world.of(PayoutReversed)[0].amount == money("62.50", "USD")


def test_each_release_part_is_a_line_with_a_day_of_its_own():
    release = [{"percent": "50", "after_days": 0}, {"percent": "50", "after_days": 60}]
    world = World(book(plan({"percent": "3.3333"}, release=release))).tell(win(), credit())
    lines = world.of(PayoutCalculated)
    assert [(line.part, line.amount.amount, line.state, line.payable_on) for line in lines] == [
        (0, D("16.67"), "payable", date(2026, 3, 16)),
        (1, D("16.66"), "held", date(2026, 5, 15)),
    ]
    assert len({line.line_id for line in lines}) == 2


# Recurring terms


RECURRING = {"new_percent": "20", "renewal_percent": "5", "max_months": 24}


@pytest.mark.parametrize(
    ("max_months", "starts_on", "chain", "pays"),
    [
        (0, date(2026, 4, 1), None, "200.00"),
        (0, date(2026, 4, 1), date(2025, 4, 1), "0.00"),
        (24, date(2026, 4, 1), date(2025, 4, 1), "50.00"),
        (24, date(2026, 4, 1), date(2024, 4, 1), "0.00"),
        (None, date(2026, 4, 1), date(2004, 4, 1), "50.00"),
    ],
)
def test_a_chain_of_terms_pays_as_long_as_the_plan_says(max_months, starts_on, chain, pays):
    body = plan(basis="recurring", recurring={**RECURRING, "max_months": max_months})
    term = Term(starts_on=starts_on, ends_on=date(2027, 4, 1))
    assert paid(World(book(body)).tell(win(term=term, chain_started_on=chain), credit())) == [D(pays)]


def test_a_downgrade_reverses_the_unearned_months_and_the_new_term_earns_anew():
    body = plan(basis="recurring", recurring=RECURRING)
    term = Term(starts_on=date(2026, 3, 16), ends_on=date(2027, 3, 16))
    world = World(book(body)).tell(win("1200.00", term=term), credit())
    world.tell(reversal("down", "0.00", reason_code="downgrade", unearned_months=7, term_months=12))
    world.tell(win("300.00", win_no=2, term=term), credit(revision=2, win_no=2))
    assert [line.amount.amount for line in world.of(PayoutReversed)] == [D("140.00")]
    assert paid(world) == [D("240.00"), D("60.00")]


# Windows' cap, floor and quotas


def test_a_window_s_cap_and_floor_are_part_of_the_function():
    schedule = plan({"percent": "10"}, accumulate="year")
    schedule["schedule"] |= {"floor": "20", "cap": "150"}
    world = World(book(schedule))
    for n, amount in enumerate(("100.00", "1000.00", "1000.00")):
        world.tell(win(amount, opportunity_id=f"o{n}"), credit(opportunity_id=f"o{n}"))
    assert paid(world) == [D("20.00"), D("90.00"), D("40.00")]


def test_a_quota_can_be_a_payee_s_own_and_to_date():
    bands = ({"up_to": "100", "percent": "5"}, {"percent": "10"})
    quotas = [{"quota": "12000"}, {"quota": "2400", "payee_id": "p2", "window": "2026"}]
    body = plan(*bands, axis="attainment", accumulate="year", quotas=quotas, quota_to_date=True)
    world = World(book(body)).tell(win("4000.00"), credit(share("p1", "100.00")))
    world.tell(win("4000.00", opportunity_id="o2"), credit(share("p2", "100.00"), opportunity_id="o2"))
    assert paid(world) == [D("250.00"), D("370.00")]


def test_the_month_s_version_rates_the_whole_month():
    first = version(plan(accumulate="month"), "plan-a", datetime(2026, 1, 1, tzinfo=UTC), 1)
    second = version(plan({"percent": "50"}, accumulate="month"), "plan-a", datetime(2026, 3, 10, tzinfo=UTC), 2)
    world = World(book(plan()))
    world.books = (type(world.books[0])(versions=(first, second)),)
    assert paid(world.tell(win(), credit())) == [D("100.00")]
    assert list(world.measures) == ["plan-a-p1-2026-03"]
