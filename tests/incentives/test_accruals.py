"""Funds that purchases fill: a percent of what was bought, taken back with refunds, in any order the same sum."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from chassis.rulebook import Rules
from chassis.testing.projections import assert_repeatable, project, told
from contracts.values import Money
from services.incentives.domain.accrual import Accruals, AccrueFunds, Accruing, Bought, FundAccrued
from services.incentives.domain.budget import BudgetAllocated, BudgetReduced, Budgets, ReserveBudget
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.fund import FUNDS, today
from services.incentives.domain.fund_share import ExpireFundShare, share_id
from services.incentives.domain.journal import trial_balance
from services.incentives.domain.measuring import accruing_of
from services.incentives.projections.fund_accruals import ACCRUALS
from services.incentives.projections.fund_dues import FUND_PERIODS
from services.incentives.projections.funds import FUNDS as SHARES
from services.incentives.projections.ledger import LEDGER
from services.incentives.publishing import publish
from tests.incentives.facts import World, basis, credit, reversal, share, sold, win
from tests.incentives.fund_facts import FUND, PARTNER, Log, eur, fund, journals, published
from tests.incentives.test_service import (
    ADMIN,
    OTHER_ADMIN,
    P1,
    activated,
    credited,
    refunded,
    started,
    won,
)

MARCH = datetime(2026, 3, 16, 12, tzinfo=UTC)
APRIL = datetime(2026, 4, 2, 12, tzinfo=UTC)
TWO_PERCENT = {"percent": "2"}


def accruing(**changes: Any) -> dict[str, Any]:
    return fund(accrual={**TWO_PERCENT, **changes})


def bought(amount: str, facts: int = 1, *, sale: str = "o1", now: datetime = MARCH, period: str = "2026-Q1") -> Any:
    part = Bought(ref=f"{sale}-1", amount=eur(amount), credited_on=date(2026, 3, 16))
    one = Accruing(fund_id=FUND, partner_id=PARTNER, period=period, bought=(part,))
    return AccrueFunds(opportunity_id=sale, shares=(one,), facts=facts, source_event_id="e1", now=now)


def left(log: Log, period: str = "2026-Q1") -> Money:
    found: Money = log.state(Budgets.at(share_id(FUND, period, PARTNER))).available
    return found


def test_two_percent_of_ten_thousand_bought_bring_two_hundred_into_the_share():
    log = Log(published(accruing())).tell(bought("10000.00"))
    [accrued, given] = log.happened
    assert (accrued.due, accrued.amount, accrued.owed) == (eur("200.00"), eur("200.00"), eur("0.00"))
    assert isinstance(given, BudgetAllocated)
    assert (given.amount, given.fund.partner_id, given.fund.ends_on) == (eur("200.00"), PARTNER, date(2026, 4, 1))
    assert left(log) == eur("200.00")


def test_the_same_figure_again_and_an_older_one_change_nothing():
    log = Log(published(accruing())).tell(bought("10000.00", 3))
    count = len(log.happened)
    log.tell(bought("10000.00", 3), bought("10000.00", 4), bought("50.00", 2))
    assert len(log.happened) == count


def test_a_full_refund_takes_back_all_that_the_sale_brought():
    log = Log(published(accruing())).tell(bought("33.33", 1), bought("0.00", 2))
    assert left(log) == eur("0.00")
    assert [type(one) for one in log.happened[-2:]] == [FundAccrued, BudgetReduced]


def test_what_is_reserved_is_not_taken_back_and_later_purchases_make_up_for_it_first():
    log = Log(published(accruing())).tell(bought("10000.00", 1))
    identity = share_id(FUND, "2026-Q1", PARTNER)
    log.tell(reserve(identity, "150.00"))
    log.tell(bought("0.00", 2))
    assert left(log) == eur("0.00")
    assert (log.happened[-2].amount, log.happened[-2].owed) == (eur("-50.00"), eur("150.00"))
    log.tell(bought("10000.00", 1, sale="o2"))
    assert left(log) == eur("50.00")
    assert log.happened[-2].owed == eur("0.00")


def test_what_becomes_known_after_a_period_is_booked_in_the_open_one():
    log = Log(published(accruing())).tell(bought("10000.00", 1))
    log.tell(bought("5000.00", 2, now=APRIL, period="2026-Q2"))
    assert (left(log), log.happened[-1].owed) == (eur("200.00"), eur("100.00"))
    log.tell(bought("20000.00", 1, sale="o2", now=APRIL, period="2026-Q2"))
    assert left(log, "2026-Q2") == eur("300.00")


def test_the_rollover_of_an_accrued_share_goes_into_the_next_quarter():
    log = Log(published({**accruing(), "rollover_percent": "40"})).tell(bought("10000.00"))
    log.tell(ExpireFundShare(fund_id=FUND, period="2026-Q1", partner_id=PARTNER, now=APRIL))
    assert (left(log), left(log, "2026-Q2")) == (eur("0.00"), eur("80.00"))


@pytest.mark.parametrize(("percent", "kept"), [("0", "0"), ("100", "200.00")])
def test_a_rollover_is_from_nothing_to_all(percent, kept):
    log = Log(published({**accruing(), "rollover_percent": percent})).tell(bought("10000.00"))
    log.tell(ExpireFundShare(fund_id=FUND, period="2026-Q1", partner_id=PARTNER, now=APRIL))
    assert log.state(Budgets.at(share_id(FUND, "2026-Q2", PARTNER))).allocated == (eur(kept) if kept != "0" else None)


def test_the_share_of_a_fund_that_has_ended_expires_and_nothing_rolls_over():
    ended = published({**accruing(), "rollover_percent": "40"})
    log = Log(ended.__class__(**{**vars(ended), "effective_until": datetime(2026, 4, 1, tzinfo=UTC)}))
    log.tell(bought("10000.00"), ExpireFundShare(fund_id=FUND, period="2026-Q1", partner_id=PARTNER, now=APRIL))
    assert left(log) == eur("0.00")
    assert log.state(Budgets.at(share_id(FUND, "2026-Q2", PARTNER))).allocated is None


# What a sale is worth


def brought(world: World, sale: str = "o1", **terms: Any) -> dict[str, str]:
    book = Log(published(accruing(**terms))).state(Rules.at(FUND))
    found = accruing_of(world.sales[sale], FUND, book, (), today(MARCH))
    return {one.partner_id: str(sum(part.amount.amount for part in one.bought)) for one in found}


def test_bookings_are_what_was_won_and_added_and_not_taken_back_by_credit():
    world = World().tell(win("1000.00"), credit(share("p1", "60"), share("p2", "40")))
    world.tell(basis("added", "x1", "500.00"), reversal("r1", "300.00"))
    assert brought(world) == {"p1": "720.00", "p2": "480.00"}


def test_what_is_invoiced_counts_when_it_is_invoiced():
    world = World().tell(win("1000.00"), credit(share("p1", "100")))
    assert brought(world, basis="invoiced") == {"p1": "0.00"}
    world.tell(basis("invoiced", "x1", "400.00"))
    assert brought(world, basis="invoiced") == {"p1": "400.00"}


def test_only_the_named_product_families_count():
    lines = (sold("l1", "cloud", "700.00"), sold("l2", "hardware", "300.00"))
    world = World().tell(
        win("1000.00", sold=lines), credit(share("p1", "100")), reversal("r1", "70.00", ("l1", "70.00"))
    )
    assert brought(world, product_families=["cloud"]) == {"p1": "630.00"}


def test_credit_that_moves_takes_from_one_share_and_brings_to_the_other():
    world = World().tell(win("1000.00"), credit(share("p1", "100")), credit(share("p2", "100"), revision=2))
    assert brought(world) == {"p1": "0.00", "p2": "1000.00"}


def test_a_win_before_the_fund_was_in_force_brings_nothing():
    world = World().tell(win("1000.00", closed_on=date(2025, 12, 31)), credit(share("p1", "100")))
    assert brought(world) == {}


# In any order


FIGURES = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(0, 900_000), st.integers(0, 20_000)), max_size=25
)


@settings(max_examples=60, deadline=None)
@examples(FIGURES)
def test_in_any_order_a_share_holds_the_sum_of_what_its_sales_bring_and_is_never_below_nothing(steps):
    """The newest figure of each sale wins; what was reserved stays, what is missing is owed to the cent."""
    log = Log(published({**accruing(), "accrual": {"percent": "3.3"}}))
    identity = share_id(FUND, "2026-Q1", PARTNER)
    newest: dict[int, tuple[int, Decimal]] = {}
    for sale, facts, cents, kept in steps:
        amount = f"{Decimal(cents) / 100:.2f}"
        log.tell(bought(amount, facts, sale=f"o{sale}"))
        if facts > newest.get(sale, (0, Decimal(0)))[0]:
            due = log.state(Accruals.at(f"{FUND}-{PARTNER}")).counted.get(f"o{sale}-1")
            expected = (Decimal(amount) * Decimal("3.3") / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP")
            assert (due.due if due else Decimal(0)) == expected
            newest[sale] = (due.facts if due else 0, expected)
        log.refused(reserve(identity, f"{Decimal(kept) / 100:.2f}", ref=f"k{len(log.happened)}"))
        accrual, budget = log.state(Accruals.at(f"{FUND}-{PARTNER}")), log.state(Budgets.at(identity))
        assert accrual.booked >= accrual.due
        if budget.allocated is not None:
            assert budget.available.amount >= 0
            assert budget.allocated.amount == accrual.booked
            assert accrual.booked == accrual.due or budget.available.zero
    assert not any(trial_balance(journals(log)).values())


def reserve(identity: str, amount: str, ref: str = "r1") -> Any:
    return ReserveBudget(budget_id=identity, ref=ref, amount=eur(amount), now=MARCH)


# The rules, the models, the explanation


def test_a_fund_says_what_a_purchase_would_bring():
    facts = {"bought": {"amount": "10000.00", "currency": "EUR"}}
    assert FUNDS.answer(facts, accruing()).outcome == "200.00 EUR"


@pytest.mark.parametrize("percent", ["-1", "100.5"])
def test_an_accrual_outside_0_to_100_percent_is_not_published(percent):
    assert FUNDS.check(FUNDS.read(accruing(percent=percent)))


def test_every_accrual_explains_itself_and_is_in_the_ledger():
    log = Log(published(accruing())).tell(bought("10000.00", 1), bought("4000.00", 2))
    seen = told(*log.happened)
    for model in (SHARES, ACCRUALS, FUND_PERIODS, LEDGER):
        assert_repeatable(model, seen)
    texts = [EXPLAIN[FundAccrued](one).reasons for one in seen if isinstance(one.event, FundAccrued)]
    assert texts[1][0].text == "2 % of 4000.00 EUR, credited on 2026-03-16, is 80.00 EUR"
    share_now = project(SHARES, seen)[share_id(FUND, "2026-Q1", PARTNER)]
    assert (share_now["accrued"], share_now["allocated"], share_now["available"]) == ("80.00", "80.00", "80.00")
    assert project(ACCRUALS, seen)[f"{FUND}-{PARTNER}-o1-1"]["due"] == {"amount": "80.00", "currency": "EUR"}
    assert [type(publish(one)).__name__ for one in seen if publish(one)] == ["FundAllocated"]


async def test_a_sale_fills_the_share_and_its_refund_takes_it_back(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        draft = {"rulebook_id": FUND, "kind": "fund", "body": accruing(), "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, f"/rulebooks/{FUND}/publish", {"version": 1})).status_code == 200
        await it.hear(won("o1", "1000.00"))
        it.clock.set(MARCH + timedelta(minutes=1))
        await it.hear(credited(("p1", "100.00")), times=2)
        shares = await it.until(P1, "/funds", lambda page: page["items"])
        assert (shares["items"][0]["period"], shares["items"][0]["available"]) == ("2026-Q1", "20.00")
        it.clock.set(MARCH + timedelta(minutes=2))
        await it.hear(refunded("rev-1", "250.00"))
        await it.until(P1, "/funds", lambda page: page["items"][0]["available"] == "15.00")
        [row] = (await it.get(P1, "/fund-accruals"))["items"]
        assert (row["bought"], row["due"]) == (
            {"amount": "750.00", "currency": "EUR"},
            {"amount": "15.00", "currency": "EUR"},
        )
        assert row["steps"] == [
            "2 % of 750.00 EUR, credited on 2026-03-16, is 15.00 EUR",
            "20.00 EUR of this sale were counted before",
            "-5.00 EUR in the share of 2026-Q1",
        ]
        why = await it.get(ADMIN, f"/why/{row['event_id']}")
        assert [reason["text"] for reason in why["reasons"]] == row["steps"]
