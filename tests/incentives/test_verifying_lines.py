"""Every kind of earning line is recomputed to the cent by the verifier: each sound one holds, one changed number is named."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from services.incentives.domain.exchange import Rate
from services.incentives.domain.line import (
    adjust_line,
    confirm_adjustment,
    postpone_line_paid_or_not,
    put_under_review,
    release_line,
)
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import AdjustLine, ConfirmAdjustment, PostponeLine, ReleaseLine
from services.incentives.domain.verifying import earnings
from tests.incentives.facts import NOW, World, book, credit, plan, reversal, share, win
from tests.incentives.proving import findings, proof_of
from tests.incentives.test_true_ups import RATES, refund, trued_up
from tests.incentives.test_true_ups import in_dollars as in_the_currency_of_its_payee

D = Decimal
PARTIES = [{"party": "partner", "percent": "66.67"}, {"party": "seller", "percent": "33.33"}]
RELEASE = [{"percent": "50", "after_days": 0}, {"percent": "30", "after_days": 30}, {"percent": "20", "after_days": 60}]
DOLLARS = (Rate(base="USD", quote="EUR", rate=D("0.9137"), on=date(2026, 3, 16), source="ecb"),)


def one_line(body, amount="777.77", **known):
    return World(book(body), **known).tell(win(amount, parties={"seller": "person-1"}), credit(share("p1", "66.67")))


def kept(world, decide, wish):
    world.keep(world.sales, Sales, {"o1": decide(wish, world.sales["o1"])})
    return world


def on(world, kind, day=NOW, **fields):
    [line, *_] = world.sales["o1"].lines.values()
    return kind(opportunity_id="o1", line_id=line.line_id, **fields, now=day)


def split_and_released():
    return one_line(plan({"percent": "12.3456"}, payees=PARTIES, release=RELEASE))


def in_dollars():
    body = plan({"percent": "12.3456"}, payees=PARTIES, payout_currency="USD", hold_days=0)
    return one_line(body, rates=DOLLARS, books_currency="EUR")


def of_a_budget(last="rest", **changes):
    body = plan({"flat": "77.77"}, kind="spiff", component="spiff", budget_id="pot", last_award=last, **changes)
    world = World(book(body), rates=DOLLARS, books_currency="EUR").allocate("pot", "100.00")
    for deal in ("o1", "o2"):
        world.tell(win(opportunity_id=deal), credit(opportunity_id=deal))
    return world


def of_a_budget_in_dollars():
    return of_a_budget(payout_currency="USD")


def on_attainment():
    quotas = [{"quota": "1000"}, {"quota": "1200", "payee_id": "p1"}, {"quota": "900", "window": "2026-Q1"}]
    bands = ({"up_to": "50", "percent": "5"}, {"percent": "9"})
    body = plan(*bands, axis="attainment", accumulate="quarter", quotas=quotas, quota_to_date=True)
    return World(book(body)).tell(win("777.77"), credit())


def capped_for_the_deal():
    return one_line(plan({"percent": "50"}, deal_cap="100", hold_days=0))


def a_whole_life(**known):
    """Refunded in part, adjusted, postponed, put under review, released, refunded again, and credited anew."""
    world = one_line(plan(hold_days=30), **known).tell(reversal("x", "123.45"))
    adjustment = {"adjustment_id": "a1", "amount": D("-3.21")}
    wish = on(world, AdjustLine, **{**adjustment, "amount": world.sales["o1"].wins[1].amount}, reason="x", by="fin-1")
    wish = replace(wish, amount=replace(wish.amount, amount=D("-3.21")))
    kept(world, adjust_line, wish)
    kept(world, confirm_adjustment, on(world, ConfirmAdjustment, adjustment_id="a1", by="fin-2"))
    kept(world, postpone_line_paid_or_not, on(world, PostponeLine, until=date(2026, 5, 1), reason="x", by="fin-1"))
    kept(world, release_line, on(world, ReleaseLine, day=datetime(2026, 5, 1, tzinfo=UTC)))
    [line] = world.sales["o1"].lines.values()
    reviewed = put_under_review(world.sales["o1"], line.line_id, "case-1", NOW)
    world.keep(world.sales, Sales, {"o1": reviewed})
    world.tell(reversal("y", "10.00"))
    return world.tell(credit(share("p1", "50.00"), revision=2))


SOUND = [
    split_and_released,
    in_dollars,
    of_a_budget,
    of_a_budget_in_dollars,
    on_attainment,
    capped_for_the_deal,
    a_whole_life,
]


@pytest.mark.parametrize("world", SOUND)
def test_each_line_follows_to_the_cent_from_its_plan_and_all_that_became_of_it(world):
    made = world()
    assert made.events
    assert findings(made) == []


def changed(world, kind, path, value):
    """What is found where one number of an event of that kind says otherwise."""
    proof = deepcopy(proof_of(world))
    event = next(one for one in proof["events"] if one["type"] == f"incentives.{kind}.v1")
    inner = event["data"]
    for step in path[:-1]:
        inner = inner[step]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    return [finding for finding in earnings(proof) if event["id"] in finding]


AMOUNT = ("amount", "amount")


@pytest.mark.parametrize(
    ("world", "kind", "path", "value"),
    [
        (split_and_released, "PayoutCalculated", AMOUNT, "21.35"),
        (split_and_released, "PayoutCalculated", ("part",), 1),
        (split_and_released, "PayoutCalculated", ("payee_id",), "person-1"),
        (split_and_released, "PayoutCalculated", ("payable_on",), "2026-03-17"),
        (split_and_released, "PayoutCalculated", ("state",), "held"),
        (split_and_released, "PayoutCalculated", ("derivation", "share_percent"), "66.68"),
        (in_dollars, "PayoutCalculated", AMOUNT, "46.72"),
        (in_dollars, "PayoutCalculated", ("exchange", "given", "amount"), "42.69"),
        (in_dollars, "PayoutCalculated", ("exchange", "result", "amount"), "46.73"),
        (of_a_budget, "PayoutCalculated", AMOUNT, "77.78"),
        (of_a_budget_in_dollars, "PayoutCalculated", ("drawn", "amount"), "77.76"),
        (of_a_budget_in_dollars, "PayoutCalculated", AMOUNT, "85.11"),
        (on_attainment, "PayoutCalculated", ("derivation", "schedule", "quota"), "1201"),
        (capped_for_the_deal, "PayoutCalculated", AMOUNT, "100.01"),
        (a_whole_life, "PayoutReversed", AMOUNT, "8.24"),
        (a_whole_life, "PayoutReversed", ("earned", "amount"), "51.86"),
        (a_whole_life, "PayoutReversed", ("basis", "amount"), "777.78"),
        (a_whole_life, "PayoutReversed", ("taken",), "123.55"),
        (a_whole_life, "PayoutReversed", ("reversed_before", "amount"), "0.01"),
        (a_whole_life, "PayoutReversed", ("remaining", "amount"), "43.63"),
        (a_whole_life, "PayoutAdjusted", AMOUNT, "-3.20"),
        (a_whole_life, "PayoutAdjusted", ("confirmed_by",), "fin-1"),
        (a_whole_life, "PayoutAdjusted", ("remaining", "amount"), "40.42"),
        (a_whole_life, "PayoutPostponed", AMOUNT, "40.40"),
        (a_whole_life, "PayoutReleased", AMOUNT, "40.42"),
        (a_whole_life, "PayoutReleased", ("released_at",), "2026-04-30T23:59:59Z"),
        (a_whole_life, "PayoutPutUnderReview", AMOUNT, "40.40"),
    ],
)
def test_one_number_of_a_line_that_says_otherwise_is_named(world, kind, path, value):
    assert changed(world(), kind, path, value)


def test_a_budget_that_gives_no_rest_pays_whole_awards_alone():
    whole = of_a_budget("none")
    proof = proof_of(whole)
    [line] = [one["data"] for one in proof["events"] if one["type"] == "incentives.PayoutCalculated.v1"]
    assert earnings(proof) == []
    line["amount"]["amount"] = "22.23"
    assert any("gives no rest" in finding for finding in earnings(proof))


def test_a_month_of_twelve_that_comes_to_half_a_cent_is_recomputed_though_its_digits_never_end():
    """A twelfth of what was sold has a third in it; a twelfth of 74.70 is 6.225."""
    world = World(book(plan({"percent": "10"}, hold_days=0))).tell(win("747.01"), credit())
    world.tell(reversal("x", "0.00", reason_code="churn", unearned_months=1, term_months=12))
    [line] = world.sales["o1"].lines.values()
    assert (line.amount.amount, line.reversed.amount) == (D("74.70"), D("6.23"))
    assert findings(world) == []


def test_what_became_of_a_line_that_is_not_in_the_file_is_named():
    proof = proof_of(a_whole_life())
    left_out = [one for one in proof["events"] if one["type"] != "incentives.PayoutCalculated.v1"]
    found = earnings({**proof, "events": left_out})
    assert found
    assert all("not in the file" in finding for finding in found)


def test_a_step_of_a_line_that_is_left_out_of_the_file_is_missed():
    proof = proof_of(a_whole_life())
    for kind in ("PayoutReversed", "PayoutAdjusted", "PayoutReleased"):
        left_out = [one for one in proof["events"] if one["type"] != f"incentives.{kind}.v1"]
        assert earnings({**proof, "events": left_out}) != [], kind


# Windows


def of_two_months(known=None, **terms):
    """A rebate settled each month, of which a sale is refunded and which then closes."""
    bands = ({"up_to": "1000", "percent": "2.5"}, {"percent": "4"})
    body = plan(*bands, kind="rebate", accumulate="quarter", rebate={"settle": "month", **terms})
    world = World(book(body), **(known or {})).tell(win("1234.56"), credit())
    world.settle("plan-a-p1-2026-Q1", date(2026, 3, 31))
    world.tell(win("800.00", opportunity_id="o2"), credit(opportunity_id="o2"))
    world.tell(reversal("x", "234.56"))
    return world.close("plan-a-p1-2026-Q1", date(2026, 4, 1))


def a_growth_rebate():
    return of_two_months(type="growth", baselines=[{"measure": "500"}, {"measure": "600", "payee_id": "p1"}])


def a_forecast_rebate():
    return of_two_months(accrual="forecast_percent", forecast_percent="3")


def in_parts(known=None):
    """Trued up by 50.00 in two parts, the held one of which is lowered by a late refund, and the rest released."""
    world = trued_up(known, release=[{"percent": "33", "after_days": 0}, {"percent": "67", "after_days": 60}])
    return world.tell(refund("y", "500.00", 2, date(2027, 1, 10))).release_true_ups(date(2027, 3, 2))


def test_a_rebate_is_recomputed_from_all_that_was_counted_in_its_window():
    for made in (of_two_months(), a_growth_rebate(), a_forecast_rebate()):
        assert findings(made) == []


@pytest.mark.parametrize("made", [of_two_months, a_growth_rebate, a_forecast_rebate])
@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("RebateSettled", AMOUNT),
        ("RebateSettled", ("total", "amount")),
        ("RebateAccrued", AMOUNT),
        ("RebateAccrued", ("total", "amount")),
        ("WindowClosed", ("measure",)),
        ("Metered", ("before",)),
    ],
)
def test_one_number_of_a_rebate_that_says_otherwise_is_named(made, kind, path):
    assert changed(made(), kind, path, "12.34")


def test_who_is_not_entitled_at_the_end_is_owed_nothing_of_a_rebate():
    world = of_two_months(requires={"field": "tier", "is_one_of": ["gold"]})
    assert findings(world) == []
    assert changed(world, "WindowClosed", ("entitled",), True) == []
    proof = proof_of(world)
    for event in proof["events"]:
        if event["type"] == "incentives.WindowClosed.v1":
            event["data"]["entitled"] = True
    assert any("RebateSettled" in finding for finding in earnings(proof))


@pytest.mark.parametrize("coarse", ["0.0001", "0.00001"])
def test_what_comes_to_no_cent_in_the_currency_that_it_is_paid_in_is_held_no_longer(coarse):
    """Of 50.00 EUR that are 0.01 USD half is taken: no cent is left to be held. At a tenth of the rate it is paid in EUR."""
    rates = tuple(replace(one, rate=D(coarse)) for one in RATES)
    world = in_the_currency_of_its_payee(rates).tell(refund("y", "500.00", 2, date(2027, 1, 10)))
    assert findings(world) == []
    assert findings(world.tell(refund("z", "100.00", 2, date(2027, 1, 10)))) == []


def test_what_a_window_is_trued_up_by_is_recomputed_from_all_that_was_counted_and_posted_in_it():
    assert findings(trued_up()) == []
    assert findings(in_parts()) == []


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("WindowTruedUp", AMOUNT, "16.51"),
        ("WindowTruedUp", ("total", "amount"), "100.01"),
        ("WindowTruedUp", ("payable_on",), "2027-01-02"),
        ("TrueUpReduced", AMOUNT, "24.99"),
        ("TrueUpReduced", ("remaining", "amount"), "8.51"),
        ("TrueUpReleased", AMOUNT, "8.51"),
        ("TrueUpReleased", ("released_at",), "2027-03-01T23:59:59Z"),
    ],
)
def test_one_number_of_a_true_up_that_says_otherwise_is_named(kind, path, value):
    assert changed(in_parts(), kind, path, value)


def test_a_part_of_a_true_up_that_is_left_out_is_missed():
    proof = proof_of(in_parts())
    ups = [one for one in proof["events"] if one["type"] == "incentives.WindowTruedUp.v1"]
    assert len(ups) == 2
    left_out = [one for one in proof["events"] if one is not ups[1]]
    assert earnings({**proof, "events": left_out}) != []
