"""Windows that close: what was posted is trued up to what the schedule makes of the net measure."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.clock import FixedClock
from chassis.rulebook import Rulebook
from contracts.values import money, round_half_up, total
from services.incentives.api.facts import FactBody, basis_of
from services.incentives.api.imports import row_of
from services.incentives.domain.journal import trial_balance
from services.incentives.domain.merging import Merging
from services.incentives.domain.meter import (
    CloseWindow,
    RebateAccrued,
    RebateSettled,
    WindowClosed,
    WindowOpen,
    WindowTruedUp,
    close_window_by_own_standing,
)
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.rating import PLANS, steps
from services.incentives.domain.sale_events import PayoutCalculated, PayoutReversed, RebateCounted
from services.incentives.projections.windows import issue
from tests.incentives.facts import NOW, World, book, credit, plan, reversal, share, sold, version, win
from tests.incentives.test_rating_steps import standing

D = Decimal
ACCELERATOR = ({"up_to": "1000", "percent": "5"}, {"percent": "10"})
REBATE = (
    {"up_to": "1000000", "percent": "1"},
    {"up_to": "2500000", "percent": "2"},
    {"up_to": "3500000", "percent": "3"},
)
OVER = date(2027, 1, 1)


def rebate(*bands, settle="year", semantics="retroactive", **terms):
    changes = {"kind": "rebate", "component": "rebate", "rebate": {"settle": settle, **terms}}
    return plan(*(bands or REBATE), semantics=semantics, accumulate="year", **changes)


def sale(n, amount, closed_on=date(2026, 3, 16), **changes):
    return win(amount, opportunity_id=f"o{n}", closed_on=closed_on, **changes), credit(opportunity_id=f"o{n}")


def settled(world):
    return [happened.amount.amount for happened in world.of(RebateSettled)]


def accrued(world):
    return [(happened.kind, happened.amount.amount, happened.total.amount) for happened in world.of(RebateAccrued)]


def test_a_closed_window_is_trued_up_to_f_of_its_net_measure():
    world = World(book(plan(*ACCELERATOR, accumulate="year", hold_days=0)))
    world.tell(*sale(1, "1000.00"), *sale(2, "1000.00"), reversal("x", "1000.00", opportunity_id="o1"))
    assert [line.amount.amount for line in world.of(PayoutCalculated)] == [D("50.00"), D("100.00")]
    assert [line.amount.amount for line in world.of(PayoutReversed)] == [D("50.00")]
    world.close("plan-a-p1-2026", OVER)
    [up] = world.of(WindowTruedUp)
    assert (up.amount, up.total) == (money("-50.00", "EUR"), money("50.00", "EUR"))
    assert set(trial_balance(world.posted()).values()) == {D(0)}


def test_a_window_is_closed_once_it_is_over_and_once():
    world = World(book(plan(*ACCELERATOR, accumulate="year"))).tell(*sale(1, "1000.00"))
    with pytest.raises(WindowOpen):
        world.close("plan-a-p1-2026", date(2026, 12, 31))
    world.close("plan-a-p1-2026", OVER).close("plan-a-p1-2026", OVER)
    assert len(world.of(WindowClosed)) == 1
    assert not world.of(WindowTruedUp)


def test_a_fact_that_comes_after_the_close_is_trued_up_at_once():
    world = World(book(plan(*ACCELERATOR, accumulate="year"))).tell(*sale(1, "1000.00"), *sale(2, "1000.00"))
    world.close("plan-a-p1-2026", OVER)
    world.tell(reversal("x", "1000.00", opportunity_id="o1"))
    assert [up.amount.amount for up in world.of(WindowTruedUp)] == [D("-50.00")]


def test_line_caps_are_not_undone_by_the_true_up():
    world = World(book(plan(*ACCELERATOR, accumulate="year", line_cap="30"))).tell(*sale(1, "1000.00"))
    world.close("plan-a-p1-2026", OVER)
    assert not world.of(WindowTruedUp)


PIECES = ({"up_to": "4", "per_unit": "10"}, {"per_unit": "20"})


def credited_again(as_now=True):
    """Four pieces that were sold for nothing, credited wholly to one partner and then half to each of two."""
    body = plan(*PIECES, axis="units", basis="units", accumulate="year", hold_days=0)
    world = World(book(body), of_nothing=as_now).tell(win("0.00", sold=(sold("a", "licences", "0.00", 4),)), credit())
    return world.tell(credit(share("p1", "50.00"), share("p2", "50.00"), revision=2))


def test_pieces_that_were_sold_for_nothing_leave_the_window_of_who_is_credited_with_less_of_them():
    world = credited_again()
    assert world.measures == {"plan-a-p1-2026": D(2), "plan-a-p2-2026": D(2)}
    assert [line.amount.amount for line in world.of(PayoutCalculated)] == [D("40.00"), D("20.00"), D("20.00")]
    assert [line.amount.amount for line in world.of(PayoutReversed)] == [D("40.00")]
    world.close("plan-a-p1-2026", OVER).close("plan-a-p2-2026", OVER)
    assert not world.of(WindowTruedUp)


def test_the_evaluator_before_left_those_pieces_in_the_window_and_paid_the_next_ones_at_a_higher_band():
    world = credited_again(as_now=False)
    assert world.measures == {"plan-a-p1-2026": D(6), "plan-a-p2-2026": D(2)}
    assert [line.amount.amount for line in world.of(PayoutCalculated)] == [D("40.00"), D("40.00"), D("20.00")]


# Rebates


@pytest.mark.parametrize(("semantics", "worth"), [("marginal", "55000.00"), ("retroactive", "90000.00")])
def test_done_when_1_a_rebate_on_3_000_000_is_55_000_marginal_and_90_000_retroactive(semantics, worth):
    world = World(book(rebate(semantics=semantics))).tell(*sale(1, "1000000.00"), *sale(2, "2000000.00"))
    world.close("plan-a-p1-2026", OVER)
    assert settled(world) == [D(worth)]


def test_a_rebate_accrues_as_the_measure_moves_both_ways_and_earns_no_line():
    world = World(book(rebate())).tell(*sale(1, "1000000.00"), *sale(2, "1000000.00"))
    world.tell(reversal("x", "500000.00", opportunity_id="o2"), reversal("x", "500000.00", opportunity_id="o2"))
    assert accrued(world) == [
        ("accrued", D("10000.00"), D("10000.00")),
        ("accrued", D("30000.00"), D("40000.00")),
        ("accrued", D("-10000.00"), D("30000.00")),
    ]
    assert not world.of(PayoutCalculated)
    names = [(entry.name, entry.amount.amount) for entry in world.of(RebateAccrued)[0].journal.entries]
    assert names == [("expense:rebate", D("10000.00")), ("accrued", D("-10000.00"))]


def priced(line, amount, special):
    return replace(sold(line, "licences", amount), **({"special_price_id": "sp-1"} if special else {}))


LINES = st.lists(st.tuples(st.integers(1, 900_000), st.booleans()), min_size=1, max_size=8)


@given(LINES, st.booleans())
def test_what_was_sold_at_a_special_price_counts_for_a_rebate_only_where_its_terms_say_so(lines, counted):
    cheap = [priced(f"l{n}", f"{amount}.00", special) for n, (amount, special) in enumerate(lines)]
    whole, regular = (sum(a for a, special in lines if with_all or not special) for with_all in (True, False))
    terms = {"special_priced": True} if counted else {}
    world = World(book(rebate({"percent": "1"}, **terms)), book(plan(), "plan-b"))
    fact = win(f"{whole}.00", sold=tuple(cheap), plan_ids=("plan-a", "plan-b"))
    world.tell(fact, credit(plan_ids=("plan-a", "plan-b")))
    assert world.measures.get("plan-a-p1-2026", D(0)) == (whole if counted else regular)
    assert [line.derivation.measure for line in world.of(PayoutCalculated)] == [D(whole)]


def test_a_rebate_says_what_it_leaves_out_and_a_refund_of_that_changes_nothing():
    lines = (priced("a", "600.00", special=False), priced("b", "400.00", special=True))
    world = World(book(rebate({"percent": "1"}))).tell(win("1000.00", sold=lines), credit())
    [counted] = world.of(RebateCounted)
    told = {step.code: step.text for step in steps(counted.derivation)}
    assert told["special-price"] == "sold at a special price, which this rebate leaves out: 1 more"
    world.tell(reversal("x", "400.00", ("b", "400.00")))
    assert world.measures == {"plan-a-p1-2026": D(600)}
    world.tell(reversal("y", "600.00", ("a", "600.00")))
    assert world.measures == {"plan-a-p1-2026": D(0)}


def test_a_growth_rebate_pays_for_what_lies_above_the_recorded_baseline():
    terms = {"type": "growth", "baselines": [{"measure": "800"}, {"measure": "600", "payee_id": "p1"}]}
    world = World(book(rebate({"percent": "10"}, **terms))).tell(*sale(1, "500.00"), *sale(2, "500.00"))
    assert accrued(world) == [("accrued", D("40.00"), D("40.00"))]


def test_a_target_rebate_is_a_schedule_on_attainment():
    bands = ({"up_to": "100", "includes_up_to": False, "percent": "0"}, {"percent": "3"})
    body = rebate(*bands)
    body["schedule"] |= {"axis": "attainment", "quota": "1000"}
    world = World(book(body)).tell(*sale(1, "999.00"), *sale(2, "1.00"))
    assert accrued(world) == [("accrued", D("30.00"), D("30.00"))]


def test_a_mix_rebate_pays_while_the_mix_is_reached():
    terms = {"type": "mix", "mix_families": ["cloud"], "mix_percent": "30"}
    lines = (sold("1", "cloud", "400.00"), sold("2", "erp", "600.00"))
    world = World(book(rebate({"percent": "10"}, **terms))).tell(*sale(1, "1000.00", sold=lines), *sale(2, "1000.00"))
    assert accrued(world) == [("accrued", D("100.00"), D("100.00")), ("accrued", D("-100.00"), D("0.00"))]


def test_a_forecast_accrues_a_percent_until_the_settlement_trues_it_up():
    terms = {"accrual": "forecast_percent", "forecast_percent": "2"}
    world = World(book(rebate({"percent": "3"}, **terms))).tell(*sale(1, "1000.00"))
    world.close("plan-a-p1-2026", OVER)
    assert accrued(world) == [("accrued", D("20.00"), D("20.00")), ("true_up", D("10.00"), D("30.00"))]
    assert settled(world) == [D("30.00")]


@pytest.mark.parametrize(("tier", "worth"), [("gold", "100.00"), ("silver", "0.00")])
def test_what_a_rebate_requires_is_asked_at_the_window_s_end(tier, worth):
    body = rebate({"percent": "10"}, requires={"field": "tier", "is_one_of": ["gold"]})
    world = World(book(body)).tell(*sale(1, "1000.00"))
    payee = Payee(standing=(standing("tier", "gold"), standing("tier", tier, on=date(2026, 12, 1))))
    world.close("plan-a-p1-2026", OVER, payee)
    assert settled(world) == [D(worth)]
    assert set(trial_balance(world.posted()).values()) == {D(0)}


GOLD_ONLY = rebate({"percent": "10"}, requires={"field": "tier", "is_one_of": ["gold"]})


@pytest.mark.parametrize(("since", "worth"), [(date(2026, 12, 31), "100.00"), (OVER, "0.00")])
def test_a_tier_that_begins_on_the_day_after_the_window_does_not_count_for_it(since, worth):
    world = World(book(GOLD_ONLY)).tell(*sale(1, "1000.00"))
    world.close("plan-a-p1-2026", OVER, Payee(standing=(standing("tier", "gold", on=since),)))
    assert settled(world) == [D(worth)]


@pytest.mark.parametrize(("since", "worth"), [(date(2026, 12, 31), "100.00"), (OVER, "0.00")])
def test_what_a_rebate_requires_is_asked_of_who_the_payee_is_one_with_at_the_window_s_end(since, worth):
    """Not of the absorbed partner, whose own tier says nothing any more; a merge of later changes nothing."""
    absorbed = Payee(
        standing=(standing("tier", "silver"),), merging=Merging(revision=5, survivor_id="p2", effective_on=since)
    )
    world = World(book(GOLD_ONLY)).tell(*sale(1, "1000.00"))
    world.close("plan-a-p1-2026", OVER, absorbed, {"p2": Payee(standing=(standing("tier", "gold"),))})
    assert settled(world) == [D(worth)]


def test_a_window_that_was_closed_before_is_decided_again_by_the_payee_s_own_standing():
    absorbed = Payee(merging=Merging(revision=5, survivor_id="p2", effective_on=date(2026, 6, 1)))
    gold = replace(absorbed, standing=(standing("tier", "gold", on=OVER),))
    world = World(book(GOLD_ONLY)).tell(*sale(1, "1000.00"))
    now = datetime(2027, 1, 1, 12, tzinfo=UTC)
    wish = CloseWindow(meter_id="plan-a-p1-2026", plan_id="plan-a", payee_id="p1", now=now)
    for payee, entitled in ((absorbed, False), (gold, True)):
        closed, *_ = close_window_by_own_standing(wish, world.meters["plan-a-p1-2026"], world.books, payee, ())
        assert closed.entitled is entitled


async def test_the_clock_names_whom_the_payee_has_become_one_with():
    one_with = {"p1": "p2", "p2": "p3"}

    async def peek(stream):
        if stream.decider is not Payees:
            return stream.decider.initial
        return Payee(merging=Merging(revision=1, survivor_id=one_with.get(stream.identity), effective_on=OVER))

    due = {"meter_id": "m", "plan_id": "plan-a", "payee_id": "p1", "due_at": "2027-01-01", "closes_at": "2027-01-01"}
    wish = await issue(due, datetime(2027, 1, 1, tzinfo=UTC))(peek)
    assert (type(wish), wish.survivor_ids) == (CloseWindow, ("p2", "p3"))


AMOUNTS = st.lists(st.integers(min_value=1, max_value=400_000), min_size=1, max_size=8)
PAID_ON = {
    "month": [date(2026, month, 1) for month in range(4, 13)] + [OVER],
    "quarter": [date(2026, month, 1) for month in (4, 7, 10)] + [OVER],
}


@given(
    AMOUNTS,
    st.integers(min_value=0, max_value=7),
    st.sampled_from(["marginal", "retroactive"]),
    st.sampled_from(["month", "quarter"]),
)
def test_done_when_1_a_yearly_rebate_is_one_whether_paid_monthly_quarterly_or_yearly(
    cents, refunded, semantics, cadence
):
    sales = [fact for n, amount in enumerate(cents) for fact in sale(n, f"{amount / 100:.2f}")]
    back = reversal("x", "999999.00", opportunity_id=f"o{refunded % len(cents)}")
    bands = ({"up_to": "1500", "percent": "1.3333"}, {"percent": "7.7"})
    often = World(book(rebate(*bands, settle=cadence, semantics=semantics)))
    yearly = World(book(rebate(*bands, semantics=semantics)))
    days = PAID_ON[cadence]
    for n, fact in enumerate(sales):
        often.tell(fact)
        if "plan-a-p1-2026" in often.meters:
            often.settle("plan-a-p1-2026", days[n % len(days)])
    often.tell(back).close("plan-a-p1-2026", OVER)
    yearly.tell(*sales, back).close("plan-a-p1-2026", OVER)
    assert sum(settled(often)) == sum(settled(yearly))
    for world in (often, yearly):
        assert set(trial_balance(world.posted()).values()) <= {D(0)}
        left = sum((e.amount.amount for e in world.posted() if e.account == "accrued"), D(0))
        assert left == 0


@given(AMOUNTS, st.lists(st.integers(min_value=0, max_value=7), max_size=4))
def test_a_closed_window_posted_exactly_f_of_its_net_measure(cents, refunds):
    bands = ({"up_to": "1000", "percent": "3.3333"}, {"percent": "9"})
    world = World(book(plan(*bands, semantics="retroactive", accumulate="year", hold_days=0)))
    for n, amount in enumerate(cents):
        world.tell(*sale(n, f"{amount / 100:.2f}"))
    for n, which in enumerate(refunds):
        world.tell(reversal(f"x{n}", "7.77", opportunity_id=f"o{which % len(cents)}"))
    world.close("plan-a-p1-2026", OVER)
    measure = world.measures["plan-a-p1-2026"]
    rate = D("3.3333") if measure <= 1000 else D(9)
    posted = -total((e.amount for e in world.posted() if e.account == "payable"), "EUR")
    assert posted == round_half_up(measure * rate / 100, "EUR")


def test_a_rebate_without_a_window_is_no_rebate():
    assert PLANS.check(PLANS.read({**rebate(), "accumulate": "line"}))
    assert PLANS.check(PLANS.read({**rebate(), "kind": "commission"}))


def test_a_fact_and_a_row_say_under_which_special_price_they_were_sold():
    app = SimpleNamespace(clock=FixedClock(NOW))
    row = {"kind": "pos", "opportunity_id": "o1", "external_id": "x", "on": "2026-03-20", "amount": "5.00"}
    fact = basis_of(app, FactBody(**row, currency="EUR", special_price_id="sp-1"))
    [line] = World(book(rebate())).tell(*sale(1, "1000.00"), fact).sales["o1"].bases["pos/x"].sold
    assert (line.line_id, line.special_price_id, line.amount) == ("x", "sp-1", money("5.00", "EUR"))
    assert basis_of(app, FactBody(**row, currency="EUR")).sold == ()
    told = {"kind": "sale", "source": "erp", "sale_id": "1", "partner_id": "p1", "amount": "5.00", "currency": "EUR"}
    whole = row_of({**told, "special_price_id": "sp-1", "on": "2026-03-20"})
    assert whole.special_price_id == "sp-1"


def began_again(**known):
    """A plan that ended in January, and began again at twice the percent on 10 March, with a sale two days after it."""
    ended = replace(version_1, effective_until=datetime(2026, 2, 1, tzinfo=UTC))
    again = version(plan({"percent": "20"}, accumulate="month"), "plan-a", datetime(2026, 3, 10, tzinfo=UTC), 2)
    world = World(Rulebook(versions=(ended, again)), **known)
    return world.tell(*sale(1, "1000.00", closed_on=date(2026, 3, 12)))


[version_1] = book(plan({"percent": "10"}, accumulate="month")).versions


def test_a_plan_that_began_inside_a_window_rates_it_by_its_first_version_there():
    [line] = began_again().of(PayoutCalculated)
    assert (line.plan_version, line.amount) == (2, money("200.00", "EUR"))


def test_the_evaluator_before_rated_it_by_a_version_that_had_ended():
    [line] = began_again(began_inside=False).of(PayoutCalculated)
    assert (line.plan_version, line.amount) == (1, money("100.00", "EUR"))
