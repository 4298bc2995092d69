"""What follows from the facts of a sale, in any order, repeated, corrected, taken back."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from chassis.decider import Raced
from chassis.event import decode, encode, stable_id
from chassis.rulebook import Rulebook
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.application.sales import EVALUATORS, LEARNED
from services.incentives.domain.dues import Known
from services.incentives.domain.earning import record_credit
from services.incentives.domain.journal import Entry, Journal, Unbalanced
from services.incentives.domain.posting import AtHand
from services.incentives.domain.sale import SaleInvalid
from services.incentives.domain.sale_commands import RecordWin
from services.incentives.domain.sale_events import (
    CreditRecorded,
    FactQuarantined,
    PayoutCalculated,
    PayoutReversed,
    WinRecorded,
)
from tests.incentives.facts import World, book, credit, plan, reversal, share, sold, version, win

D = Decimal
EUR = "EUR"


def test_a_win_and_its_final_credit_earn_a_line_with_its_derivation_and_journal():
    world = World(book(plan({"up_to": "10000", "percent": "10"}, {"percent": "20"}, hold_days=60)))
    world.tell(win("15000.00"), credit())
    [line] = world.of(PayoutCalculated)
    assert [type(happened) for happened in world.events] == [WinRecorded, CreditRecorded, PayoutCalculated]
    assert line.amount == money("2000.00", EUR)
    assert (line.key.partner_id, line.plan_version, line.credit_revision, line.rule_id) == ("p1", 1, 1, "band-2")
    assert (line.credited_on, line.earned_on, line.payable_on) == (
        date(2026, 3, 16),
        date(2026, 3, 16),
        date(2026, 5, 15),
    )
    assert line.state == "held"
    assert line.journal == Journal(
        entries=(
            Entry(account="expense", of="commission", payee_id="p1", amount=money("2000.00", EUR), cause=line.line_id),
            Entry(account="held", payee_id="p1", amount=money("-2000.00", EUR), cause=line.line_id),
        )
    )
    assert (line.win_event_id, line.credit_event_id) == ("e-win", "e-credit-1")
    assert decode(line.type, encode(line)) == line


def test_without_a_win_or_without_a_final_credit_nothing_is_earned():
    assert not World(book(plan())).tell(win()).of(PayoutCalculated)
    assert not World(book(plan())).tell(credit()).of(PayoutCalculated)


def test_credit_before_the_win_earns_the_same():
    one = World(book(plan())).tell(win(), credit())
    other = World(book(plan())).tell(credit(), win())
    assert one.standing() == other.standing() == [("o1", 1, "p1", "plan-a", D("100.00"), D("100.00"))]


def test_a_backfilled_win_earns_nothing():
    assert not World(book(plan())).tell(win(backfill=True), credit()).of(PayoutCalculated)


def test_a_repeat_changes_nothing():
    world = World(book(plan())).tell(win(), credit(), reversal("x", "10.00"))
    before = list(world.events)
    world.tell(win(), credit(), reversal("x", "10.00"), win("5.00"), credit(share("p9", "100.00")))
    assert world.events == before


def test_each_share_earns_its_own_line():
    world = World(book(plan())).tell(win(), credit(share("p1", "60.00"), share("p2", "40.00"), share("p3", "0.00")))
    assert world.standing() == [
        ("o1", 1, "p1", "plan-a", D("60.00"), D("60.00")),
        ("o1", 1, "p2", "plan-a", D("40.00"), D("40.00")),
    ]


def test_shares_of_other_months_earn_nothing():
    shares = share("p1", "100.00", until_month="2026-02"), share("p2", "100.00", from_month="2026-03")
    assert [line[2] for line in World(book(plan())).tell(win(), credit(*shares)).standing()] == ["p2"]


def test_of_each_component_the_highest_priority_pays():
    books = (
        book(plan(name="low"), "plan-a"),
        book(plan({"percent": "20"}, priority=5), "plan-b"),
        book(plan({"percent": "1"}, component="bonus"), "plan-c"),
        book(plan({"percent": "50"}, pool="cosell", priority=9), "plan-d"),
    )
    world = World(*books).tell(win(), credit())
    assert [(line[3], line[4]) for line in world.standing()] == [("plan-b", D("200.00")), ("plan-c", D("10.00"))]


def test_the_plan_version_of_the_credited_day_pays():
    later = datetime(2026, 4, 1, tzinfo=UTC)
    first = version(plan(), "plan-a", datetime(2026, 1, 1, tzinfo=UTC), 1)
    second = version(plan({"percent": "50"}), "plan-a", later, 2)
    world = World(Rulebook(versions=(first, second))).tell(win(), credit())
    assert world.of(PayoutCalculated)[0].plan_version == 1


def test_a_plan_published_during_the_day_pays_for_that_day():
    world = World(book(plan(), effective_from=datetime(2026, 3, 16, 15, tzinfo=UTC))).tell(win(), credit())
    assert len(world.standing()) == 1


def test_a_hold_that_is_over_is_payable_at_once():
    world = World(book(plan(hold_days=0))).tell(win(), credit())
    [line] = world.of(PayoutCalculated)
    assert (line.state, line.journal.entries[1].account) == ("payable", "payable")


def test_another_currency_is_quarantined_once_never_zero():
    world = World(book(plan(currency="USD"))).tell(win(), credit(), credit(share("p1", "50.00"), revision=2))
    assert len(world.of(FactQuarantined)) == 1
    assert not world.of(PayoutCalculated)


def test_only_the_products_of_the_plan_earn():
    world = World(book(plan(product_families=["crm"])))
    world.tell(win("1000.00", sold=(sold("1", "crm", "600.00"), sold("2", "erp", "400.00"))), credit())
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("60.00"), D("60.00"))]


def test_a_discount_on_the_whole_deal_spreads_over_its_lines():
    world = World(book(plan(product_families=["crm"])))
    world.tell(win("500.00", sold=(sold("1", "crm", "600.00"), sold("2", "erp", "400.00"))), credit())
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("30.00"), D("30.00"))]


@pytest.mark.parametrize("wish", [win("-1.00"), win("100.00", sold=(sold("1", "crm", "-5.00"),))])
def test_an_amount_below_zero_is_refused(wish):
    with pytest.raises(SaleInvalid):
        World(book(plan())).tell(wish)


# Reversals


def test_done_when_1_refunds_reverse_3_33_then_3_34_then_3_33_then_nothing():
    world = World(book(plan())).tell(win("100.00"), credit())
    for n, amount in enumerate(("33.33", "33.33", "33.34", "5.00")):
        world.tell(reversal(f"x{n}", amount))
    assert [happened.amount.amount for happened in world.of(PayoutReversed)] == [D("3.33"), D("3.34"), D("3.33")]
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("10.00"), D("0.00"))]


def test_a_reversal_is_a_balanced_journal_from_where_the_money_stands():
    world = World(book(plan(hold_days=0))).tell(win("100.00"), credit(), reversal("x", "50.00"))
    [back] = world.of(PayoutReversed)
    assert [(entry.account, entry.amount.amount) for entry in back.journal.entries] == [
        ("payable", D("5.00")),
        ("expense", D("-5.00")),
    ]
    assert (back.effective_on, back.reason_code, back.remaining) == (date(2026, 3, 20), "refund", money("5.00", EUR))


def test_a_reversal_of_one_sold_line_takes_only_what_that_line_earned():
    world = World(book(plan(product_families=["crm"])))
    world.tell(win("1000.00", sold=(sold("1", "crm", "600.00"), sold("2", "erp", "400.00"))), credit())
    world.tell(reversal("x", "400.00", ("2", "400.00")), reversal("y", "300.00", ("1", "300.00")))
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("60.00"), D("30.00"))]


def test_a_late_refund_takes_nothing_but_a_correction_does():
    world = World(book(plan(refund_days=90))).tell(win("100.00"), credit())
    world.tell(reversal("late", "40.00", occurred_on=date(2026, 6, 15)))
    assert not world.of(PayoutReversed)
    world.tell(reversal("wrong", "50.00", occurred_on=date(2026, 6, 15), reason_code="corrected"))
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("10.00"), D("5.00"))]


@pytest.mark.parametrize(("day", "taken"), [(date(2026, 6, 14), ["4.00"]), (date(2026, 6, 15), [])])
def test_where_a_plan_names_no_ageing_a_refund_counts_whole_to_day_90_and_not_on_day_91(day, taken):
    """Earned on 16 March: the ninetieth day after it is 14 June."""
    world = World(book(plan())).tell(win("100.00"), credit(), reversal("x", "40.00", occurred_on=day))
    assert [str(one.amount.amount) for one in world.of(PayoutReversed)] == taken


def test_a_win_after_its_reversal_keeps_both_facts_visible():
    world = World(book(plan())).tell(reversal("x", "50.00"), credit(), win("100.00"))
    assert [type(happened).__name__ for happened in world.events[-3:]] == [
        "WinRecorded",
        "PayoutCalculated",
        "PayoutReversed",
    ]


# Credit revisions


def test_a_new_revision_reverses_and_recalculates_only_the_changed_shares():
    world = World(book(plan())).tell(win(), credit(share("p1", "50.00"), share("p2", "30.00"), share("p3", "20.00")))
    world.tell(credit(share("p1", "50.00"), share("p2", "40.00"), share("p4", "10.00"), revision=2))
    assert world.standing() == [
        ("o1", 1, "p1", "plan-a", D("50.00"), D("50.00")),
        ("o1", 1, "p2", "plan-a", D("40.00"), D("40.00")),
        ("o1", 1, "p4", "plan-a", D("10.00"), D("10.00")),
    ]
    back = [
        (happened.key.partner_id, happened.amount.amount, happened.reason_code) for happened in world.of(PayoutReversed)
    ]
    assert back == [("p2", D("30.00"), "recredited"), ("p3", D("20.00"), "recredited")]
    assert len(world.of(PayoutCalculated)) == 5


def test_a_recalculated_line_keeps_plan_version_and_dates():
    first = version(plan(), "plan-a", datetime(2026, 1, 1, tzinfo=UTC), 1)
    world = World(Rulebook(versions=(first,))).tell(win(), credit(share("p1", "50.00")))
    second = version(plan({"percent": "50"}), "plan-a", datetime(2026, 1, 2, tzinfo=UTC), 2)
    world.books = (Rulebook(versions=(first, second)),)
    world.tell(credit(share("p1", "60.00"), revision=2))
    line = world.of(PayoutCalculated)[-1]
    assert (line.amount, line.plan_version, line.payable_on) == (money("60.00", EUR), 1, date(2026, 4, 15))


def test_a_refunded_sale_that_is_credited_anew_is_refunded_anew():
    world = World(book(plan())).tell(
        win(), credit(), reversal("x", "500.00"), credit(share("p2", "100.00"), revision=2)
    )
    assert world.standing() == [("o1", 1, "p2", "plan-a", D("100.00"), D("50.00"))]
    assert sum(happened.amount.amount for happened in world.of(PayoutReversed)) == D("150.00")


def test_a_share_that_comes_back_earns_again():
    world = World(book(plan())).tell(win(), credit(), credit(share("p2", "100.00"), revision=2), credit(revision=3))
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("100.00"), D("100.00"))]
    assert len({line.line_id for line in world.of(PayoutCalculated)}) == 3


# Meters


def test_done_when_1_a_quarter_meter_pays_3_000_then_5_600_and_a_refund_lowers_it_once():
    body = plan(
        {"up_to": "100", "percent": "5"}, {"percent": "9"}, axis="attainment", quota="100000", accumulate="quarter"
    )
    world = World(book(body)).tell(win("60000.00"), credit())
    world.tell(win("80000.00", opportunity_id="o2"), credit(opportunity_id="o2"))
    assert [line[4] for line in world.standing()] == [D("3000.00"), D("5600.00")]
    assert world.measures == {"plan-a-p1-2026-Q1": D(140_000)}
    world.tell(reversal("x", "30000.00"), reversal("x", "30000.00"))
    assert world.measures == {"plan-a-p1-2026-Q1": D(110_000)}


def test_a_recredited_sale_leaves_the_meter_of_who_lost_it():
    world = World(book(plan(accumulate="year"))).tell(win(), credit(), reversal("x", "100.00"))
    world.tell(credit(share("p2", "50.00"), revision=2))
    assert world.measures == {"plan-a-p1-2026": D(0), "plan-a-p2-2026": D(450)}


def test_the_version_of_the_window_s_opening_rates_the_whole_window():
    first = version(plan(accumulate="quarter"), "plan-a", datetime(2026, 1, 1, tzinfo=UTC), 1)
    second = version(plan({"percent": "50"}, accumulate="quarter"), "plan-a", datetime(2026, 3, 1, tzinfo=UTC), 2)
    world = World(Rulebook(versions=(first, second))).tell(win(), credit())
    assert world.of(PayoutCalculated)[0].plan_version == 1


def test_meters_that_were_not_prepared_mean_preparing_again():
    sale = World(book(plan(accumulate="year"))).tell(win()).sales["o1"]
    with pytest.raises(Raced):
        record_credit(credit(), sale, AtHand({}, {}), Known(books=(book(plan(accumulate="year")),), payees={}))


# Journals


def test_a_journal_that_does_not_sum_to_zero_cannot_be():
    one = Entry(account="held", payee_id="p1", amount=money("1.00", EUR), cause="x")
    with pytest.raises(Unbalanced):
        Journal(entries=(one,))
    with pytest.raises(Unbalanced):
        Journal(entries=(one, Entry(account="payable", payee_id="p1", amount=money("-1.00", "USD"), cause="x")))


def test_the_line_id_says_what_the_line_is_for():
    world = World(book(plan())).tell(win(), credit())
    assert world.of(PayoutCalculated)[0].line_id == stable_id("o1", 1, "sourced", "source", "p1", "plan-a", 1)


def test_each_evaluator_of_facts_decides_with_what_those_before_it_learned() -> None:
    learned = ("billed_later", "rest_in_books", "even_steps", "whole_awards", "waited_for")
    later = ("of_kinds", "deal_in_plan", "alone_later", "names_partners", "own_parts", "of_terms", "holds_true_ups")
    newest = ("of_nothing", "spent_aside", "pays_out_true_ups", "waits_in_window", "began_inside", "keeps_too_much")
    assert (*learned, *later, *newest, "of_own_kind", "answers_reversals", "says_units") == LEARNED
    assert list(EVALUATORS) == list(range(1, 23))
    kept = {handles.evaluator: handles.decide.args for handles in HANDLES if handles.command is RecordWin}
    assert kept == {evaluator: (evaluator,) for evaluator in EVALUATORS}
