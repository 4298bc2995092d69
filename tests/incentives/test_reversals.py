"""What reversals take: never more than there is, at their age, from one source, and the excess is kept."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import money
from services.incentives.domain.ageing import Ageing, ageing_faults
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale_events import PayoutReversed
from services.incentives.domain.taking import Asked, Part, taken_by
from tests.incentives.facts import World, basis, book, credit, plan, reversal, share, sold, win

D = Decimal
DOWNGRADED = {"reason_code": "downgrade", "unearned_months": 6, "term_months": 12, "occurred_on": date(2026, 4, 1)}
AGEING = [{"until_day": 30, "percent": "100"}, {"until_day": 60, "percent": "50"}]


def taken(world):
    return [line.amount.amount for line in world.of(PayoutReversed)]


def asked(reversal_id, amount, *parts, **months):
    named = tuple(Part(line_id=line, amount=money(part, "EUR")) for line, part in parts)
    return Asked(
        reversal_id=reversal_id,
        amount=money(amount, "EUR"),
        parts=named,
        reason_code="refund",
        occurred_on=date(2026, 4, 1),
        **months,
    )


def test_done_when_1_refunds_of_33_33_33_33_33_34_and_5_00_leave_an_excess_of_5_00():
    lines = (sold("1", "crm", "100.00"),)
    found = taken_by([lines, *(asked(f"x{n}", a) for n, a in enumerate(("33.33", "33.33", "33.34", "5.00")))])
    assert [one.excess for one in found] == [money(a, "EUR") for a in ("0.00", "0.00", "0.00", "5.00")]
    assert sum(one.by_line.get("1", Fraction(0)) for one in found) == 100


def test_without_a_line_a_reversal_spreads_over_the_remaining_bases_by_largest_remainder():
    lines = (sold("1", "crm", "50.00"), sold("2", "erp", "50.00"), sold("3", "hr", "50.00"))
    first, second = taken_by([lines, asked("a", "50.00", ("1", "50.00")), asked("b", "0.01")])
    assert (first.of(["1"]), second.of(["1"]), second.of(["2"]), second.of(["3"])) == (50, 0, Fraction(1, 100), 0)


def test_months_are_taken_unrounded_so_that_three_thirds_are_the_whole():
    lines = (sold("1", "crm", "100.00"),)
    found = taken_by([lines, *(asked(f"m{n}", "0.00", unearned_months=4, term_months=12) for n in range(3))])
    assert [one.of(["1"]) for one in found] == [Fraction(100, 3)] * 3


def billed_on(day, as_now=True, told_first=False):
    """What a downgrade on 1 April takes of lines of 100.00 and 30.00, the second one billed on a day."""
    world = World(book(plan(basis="invoiced")), of_terms=as_now).tell(win("1300.00"), credit())
    later = basis("invoiced", "i2", "300.00", happened_on=day)
    down = reversal("down", "0.00", source="billing", **DOWNGRADED)
    world.tell(basis("invoiced", "i1", "1000.00"), *((later, down) if told_first else (down, later)))
    return taken(world)


@pytest.mark.parametrize("told_first", [False, True])
def test_a_downgrade_takes_months_of_what_was_billed_until_then_and_the_new_term_earns_whole(told_first):
    assert billed_on(date(2026, 4, 2), told_first=told_first) == [D("50.00")]
    assert billed_on(date(2026, 4, 1), told_first=told_first) == [D("50.00"), D("15.00")]


def test_what_was_added_after_a_downgrade_earns_whole():
    world = World(book(plan())).tell(win("1000.00"), credit(), reversal("down", "0.00", **DOWNGRADED))
    world.tell(basis("added", "a1", "300.00", happened_on=date(2026, 5, 1)))
    assert taken(world) == [D("50.00")]


def test_the_evaluator_before_took_the_months_of_the_new_term_too():
    assert billed_on(date(2026, 4, 2), as_now=False) == [D("50.00"), D("15.00")]


@pytest.mark.parametrize(
    ("day", "reason", "amount"),
    [(15, "refund", "50.00"), (16, "refund", "25.00"), (30, "churn", "25.00"), (31, "fraud", "50.00")],
)
def test_a_reversal_counts_at_its_ageing_share(day, reason, amount):
    world = World(book(plan(ageing=AGEING))).tell(win("1000.00"), credit())
    month = 4 if day < 31 else 5
    world.tell(reversal("x", "500.00", occurred_on=date(2026, month, day), reason_code=reason))
    assert taken(world) == [D(amount)]


def test_at_half_its_share_a_refund_lowers_the_measure_by_half():
    world = World(book(plan({"percent": "10"}, ageing=AGEING, accumulate="year"))).tell(win("1000.00"), credit())
    world.tell(reversal("x", "1000.00", occurred_on=date(2026, 5, 1)))
    assert (taken(world), world.measures["plan-a-p1-2026"]) == ([D("50.00")], D(500))


def test_a_measure_that_was_taken_back_in_twelfths_and_credited_away_is_nothing():
    rebate = plan({"percent": "2.5"}, kind="rebate", accumulate="quarter", rebate={"settle": "quarter"})
    world = World(book(rebate)).tell(win("674.77"), credit(share("p1", "60.00"), share("p2", "40.00")))
    world.tell(reversal("x", "0.00", reason_code="churn", unearned_months=8, term_months=12))
    world.tell(credit(share("p1", "100.00"), revision=2))
    assert list(world.measures.values()) == [D("224.923333333333"), 0]


WEIGHTS = [
    {"modifier_id": f"m{n}", "when": {"field": "deal_type", "is_one_of": ["new"]}, "multiply": f"1.{n}{n}{n}1"}
    for n in range(1, 6)
]


WEIGHED = {"a": "7.07", "b": "70000000007.31", "c": "501.29", "d": "3300451.77", "e": "88.01"}


@pytest.mark.parametrize(("as_now", "left"), [(True, D(0)), (False, D("7.8815649E-18"))])
def test_a_measure_with_many_weights_that_is_credited_away_is_nothing_and_was_a_hair_beside_it(as_now, left):
    """Five weights of four digits make twenty-six digits after the point, which beside large sales no decimal holds."""
    weighted = plan(accumulate="quarter", modifiers=WEIGHTS, stack="sum")
    world = World(book(weighted), whole_awards=as_now)
    for deal, amount in WEIGHED.items():
        shares = (share("p1", "33.33"), share("p2", "66.67"))
        world.tell(win(amount, opportunity_id=deal), credit(*shares, opportunity_id=deal))
    for deal in ("b", "e", "a", "d", "c"):
        world.tell(credit(share("p2", "100.00"), opportunity_id=deal, revision=2))
    assert world.measures["plan-a-p1-2026-Q1"] == left


def test_an_ageing_only_falls():
    assert not ageing_faults((Ageing(until_day=30, percent=D(100)), Ageing(until_day=60, percent=D(50))))
    assert PLANS.check(PLANS.read(plan(ageing=[*reversed(AGEING)])))


def test_a_plan_hears_a_refund_from_one_source_alone():
    booked = World(book(plan())).tell(win("1000.00"), credit(), reversal("crm", "100.00"))
    booked.tell(reversal("note", "100.00", source="billing"))
    assert taken(booked) == [D("10.00")]
    billed = World(book(plan(basis="invoiced"))).tell(win("1000.00"), credit(), basis("invoiced", "i1", "1000.00"))
    billed.tell(reversal("crm", "100.00"), reversal("note", "100.00", source="billing"))
    assert taken(billed) == [D("10.00")]


def test_a_credit_note_names_its_invoice_or_spreads_over_all():
    world = World(book(plan(basis="invoiced"))).tell(win("1000.00"), credit())
    world.tell(basis("invoiced", "i1", "300.00"), basis("invoiced", "i2", "700.00"))
    world.tell(reversal("n1", "300.00", ("i1", "300.00"), source="billing"), reversal("n2", "70.00", source="billing"))
    assert taken(world) == [D("30.00"), D("7.00")]
    assert sorted(line[-1] for line in world.standing()) == [D("0.00"), D("63.00")]


def test_what_a_refund_asked_beyond_the_sale_is_taken_of_what_is_added_later_and_nothing_twice():
    world = World(book(plan(accumulate="year"))).tell(win("100.00"), credit(), reversal("x", "130.00"))
    world.tell(basis("added", "f1", "50.00"))
    assert (taken(world), world.measures["plan-a-p1-2026"]) == ([D("10.00"), D("3.00")], D(20))


def test_a_refunded_sale_that_is_credited_anew_and_grows_leaves_every_window_in_step():
    body = plan({"percent": "2.5"}, kind="rebate", accumulate="quarter", rebate={"settle": "month"})
    world = World(book(body)).tell(win("174.08", closed_on=date(2026, 3, 5)), credit(), reversal("x", "175.85"))
    world.tell(credit(share("p1", "60.00"), share("p2", "40.00"), revision=2), basis("added", "f1", "7.40"))
    assert standing_of(world) == {"p1": (D("3.378"), D("0.08")), "p2": (D("2.252"), D("0.06"))}
    world.tell(credit(revision=3))
    assert standing_of(world) == {"p1": (D("5.63"), D("0.14")), "p2": (D(0), D("0.00"))}


def standing_of(world):
    return {meter.payee_id: (meter.measure, meter.posted) for meter in world.meters.values()}


AMOUNT = st.integers(min_value=1, max_value=20_000).map(lambda cents: f"{cents / 100:.2f}")
WHOLE = (share("p1", "100.00"),)
HALVES = (share("p1", "50.00"), share("p2", "50.00"))


@given(st.lists(st.tuples(st.sampled_from(["refunded", "added", "credited"]), AMOUNT), max_size=8))
def test_a_refund_leaves_the_measure_once_however_it_meets_additions_and_credit(steps):
    body = plan({"percent": "2.5"}, kind="rebate", accumulate="year", rebate={"settle": "month"})
    world = World(book(body)).tell(win("100.00"), credit())
    sums = {"added": D(100), "refunded": D(0)}
    for n, (step, amount) in enumerate(steps):
        if step == "credited":
            world.tell(credit(*(HALVES if n % 2 else WHOLE), revision=n + 2))
        else:
            world.tell(reversal(f"x{n}", amount) if step == "refunded" else basis("added", f"f{n}", amount))
            sums[step] += D(amount)
        assert sum(world.measures.values()) == max(sums["added"] - sums["refunded"], D(0))
