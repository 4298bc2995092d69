"""A rating answers as a decision: pay, steps, and what would have changed it."""

from datetime import date
from decimal import Decimal

import pytest

from contracts.values import money
from services.incentives.domain.plan import payable_on
from services.incentives.domain.rating import PLANS, OutOfRange, reversed_by
from tests.incentives.facts import plan

FACTS = {
    "sold": [{"line_id": "1", "family": "crm", "amount": {"amount": "15000.00", "currency": "EUR"}}],
    "percent": "100.00",
    "credited_on": "2026-03-16",
}
BANDS = ({"up_to": "10000", "percent": "10"}, {"percent": "20"})


def test_the_outcome_is_the_pay_and_every_step_is_kept():
    decision = PLANS.answer(FACTS, plan(*BANDS, hold_days=60))
    assert decision.outcome == "2000.00 EUR"
    assert [(reason.code, reason.text) for reason in decision.reasons] == [
        ("basis", "15000.00 EUR of 1 sold lines count"),
        ("share", "100.00 % of it is credited: 15000"),
        ("before", "F(0) = 0"),
        ("band-1", "band 1: 10000 at 10 % = 1000"),
        ("band-2", "band 2: 5000 at 20 % = 1000"),
        ("after", "F(15000) = 2000"),
        ("rounding", "2000.00 EUR less 0.00 EUR, half-up at the minor unit"),
        ("dates", "earned 2026-03-16, held 60 days, payable 2026-05-15"),
    ]


def test_it_says_what_each_band_was_worth():
    decision = PLANS.answer(FACTS, plan(*BANDS))
    assert [(change.code, change.outcome) for change in decision.would_change] == [
        ("band-1", "3000.00 EUR"),
        ("band-2", "1500.00 EUR"),
    ]


def test_it_says_what_the_cap_was_worth():
    decision = PLANS.answer(FACTS, plan({"up_to": "10000", "percent": "10"}))
    assert decision.outcome == "1000.00 EUR"
    assert [(change.code, change.outcome) for change in decision.would_change] == [("cap", "1500.00 EUR")]


def test_only_products_of_the_plan_count():
    decision = PLANS.answer(FACTS, plan(product_families=["erp"]))
    assert decision.outcome == "0.00 EUR"


def test_a_currency_without_a_rate_is_quarantined_never_paid_as_if_it_were_another():
    assert PLANS.answer(FACTS, plan(currency="USD")).outcome == "quarantined"


@pytest.mark.parametrize("percent", ["1e30", "NaN", "Infinity"])
def test_facts_beyond_all_money_are_refused_clearly(percent):
    with pytest.raises(OutOfRange):
        PLANS.answer({**FACTS, "percent": percent}, plan(*BANDS))


def test_done_when_1_earned_on_16_march_and_held_60_days_is_payable_on_15_may():
    assert payable_on(date(2026, 3, 16), 60) == date(2026, 5, 15)


@pytest.mark.parametrize(
    ("taken", "total"),
    [
        ("33.33", "3.33"),
        ("66.66", "6.67"),
        ("100.00", "10.00"),
        ("105.00", "10.00"),
        ("0", "0.00"),
    ],
)
def test_what_is_reversed_follows_what_was_taken_of_the_basis(taken, total):
    assert reversed_by(money("10.00", "EUR"), Decimal("100.00"), Decimal(taken)) == money(total, "EUR")
