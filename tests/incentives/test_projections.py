"""Read models: what people see of lines, sales, ledger, statements, payments and gates."""

from dataclasses import replace
from datetime import date

import pytest

from chassis.read_store.port import Due
from chassis.testing.projections import assert_repeatable, project, told
from contracts.values import money
from services.incentives.domain.budget import (
    AllocateBudget,
    Budgets,
    FundShare,
    ReserveBudget,
    allocate_budget,
    reserve_budget,
)
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.line import release_line
from services.incentives.domain.payment_events import PaymentSubmitted
from services.incentives.domain.payment_rules import PaymentRules
from services.incentives.domain.sale_commands import ReleaseLine
from services.incentives.domain.sale_events import PayoutCalculated, PayoutPostponed, PayoutReleased, PayoutReversed
from services.incentives.projections.abuse_looks import ABUSE_LOOKS
from services.incentives.projections.budgets import BUDGETS
from services.incentives.projections.earnings import EARNINGS
from services.incentives.projections.funds import FUNDS
from services.incentives.projections.ledger import BALANCES, LEDGER, TRIAL_BALANCE
from services.incentives.projections.payee_gates import PAYEE_GATES, why_shut
from services.incentives.projections.payments import PAYMENTS
from services.incentives.projections.provider_calls import provider_calls
from services.incentives.projections.releases import RELEASES, release
from services.incentives.projections.sales import SALES
from services.incentives.projections.statements import STATEMENTS
from services.incentives.publishing import publish
from tests.incentives.facts import NOW, World, book, credit, plan, reversal, share, win
from tests.incentives.orders import APPROVE, OPENED, PAYMENT, RETRY, SUBMIT, SUSPENDED, Desk, said

MODELS = (
    EARNINGS,
    SALES,
    LEDGER,
    BALANCES,
    TRIAL_BALANCE,
    STATEMENTS,
    PAYMENTS,
    PAYEE_GATES,
    RELEASES,
    provider_calls(None),
)


FUND_OF_P1 = FundShare(
    fund_id="f1", version=1, programme="default", period="2026", ends_on=date(2027, 1, 1), partner_id="p1"
)


def earned():
    """A line of 100.00, a refund of 33.33 %, its release, and one of another partner."""
    world = World(book(plan())).tell(win(), credit(share("p1", "80.00"), share("p2", "20.00")), reversal("x", "333.30"))
    sale = world.sales["o1"]
    mine = next(line for line in sale.lines.values() if line.payee_id == "p1")
    later = ReleaseLine(opportunity_id="o1", line_id=mine.line_id, now=NOW.replace(month=5))
    return mine.line_id, [*world.events, *release_line(later, sale)]


def paid(bank=None):
    desk = Desk()
    desk.after(desk.proposed, APPROVE, replace(SUBMIT, bank=bank), said("unknown"), said("paid"))
    return [*desk.account, *desk.payment]


def issued(deadline, seen):
    """The commands that the clock issues if it looks after each event, all at one instant: by document."""
    found = {}
    for count in range(1, len(seen) + 1):
        for name, document in project(deadline, seen[:count]).items():
            due = Due(tenant="t-1", id=name, due_at=document["due_at"], document=document)
            found.setdefault(name, set()).add(deadline.command_id(due))
    return {name: len(ids) for name, ids in found.items()}


def test_two_looks_for_abuse_at_the_very_same_instant_are_two_commands():
    refunds = [reversal(name, "100.00") for name in ("x", "y")]
    world = World(book(plan())).tell(win(), credit(), *refunds)
    assert issued(ABUSE_LOOKS, told(*world.of(PayoutReversed))) == {"refunds-p1": 2}


def test_two_calls_to_the_provider_at_the_very_same_instant_are_two_commands():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("rejected"), RETRY, SUBMIT)
    submitted = [happened for happened in desk.payment if isinstance(happened, PaymentSubmitted)]
    assert len({one.submitted_at for one in submitted}) == 1
    assert issued(provider_calls(None), told(*desk.payment)) == {PAYMENT: 2}


def test_repeats_and_other_orders_change_no_model():
    line_id, events = earned()
    seen = told(*events, *paid(), OPENED, SUSPENDED)
    for model in MODELS:
        assert_repeatable(model, seen)
    assert line_id in project(EARNINGS, seen)


def test_a_line_shows_dates_derivation_and_what_became_of_it():
    line_id, events = earned()
    line = project(EARNINGS, told(*events))[line_id]
    assert (line["amount"]["amount"], line["reversed"]["amount"], line["remaining"]["amount"]) == (
        "80.00",
        "26.66",
        "53.34",
    )
    assert (line["credited_on"], line["payable_on"], line["paid_on"]) == ("2026-03-16", "2026-04-15", None)
    assert (line["state"], line["why_held"]) == ("payable", None)
    assert line["derivation"]["share_percent"] == "80.00"
    assert [step["kind"] for step in line["history"]] == ["PayoutCalculated", "PayoutReversed", "PayoutReleased"]


def test_a_held_line_says_why():
    world = World(book(plan())).tell(win(), credit())
    [line] = project(EARNINGS, told(*world.events)).values()
    assert (line["state"], line["why_held"]) == ("held", "held until 2026-04-15 by the plan")


def test_cash_of_a_bank_and_cash_from_before_banks_were_named_stand_beside_each_other():
    seen = told(*earned()[1], *paid(), *paid("DE01"))
    assert_repeatable(BALANCES, seen)
    for sums in (project(BALANCES, seen)["p1-EUR"], project(TRIAL_BALANCE, seen)["EUR"]):
        assert (sums["cash"], sums["total"]) == ("-200.00", "0.00")
        assert (sums["accounts"]["cash"], sums["accounts"]["cash:DE01"]) == ("-100.00", "-100.00")


@pytest.mark.parametrize(
    ("currency", "nothing", "held", "left"),
    [("JPY", "0", "100", "800"), ("EUR", "0.00", "100.00", "800.00"), ("KWD", "0.000", "100.000", "800.000")],
)
def test_sums_are_written_in_the_digits_of_their_currency(currency, nothing, held, left):
    world = World(book(plan(currency=currency))).tell(win("1000", currency=currency), credit())
    sums = project(BALANCES, told(*world.events))[f"p1-{currency}"]
    assert (sums["held"], sums["cash"], sums["fund"], sums["total"]) == (f"-{held}", nothing, nothing, nothing)
    trial = project(TRIAL_BALANCE, told(*world.events))[currency]
    assert (trial["expense"], trial["payable"]) == (held, nothing)

    thousand, part = money("1000", currency), money("200", currency)
    given = AllocateBudget(budget_id="b1", ref="x", amount=thousand, by="adm", now=NOW)
    [allocated] = allocate_budget(given, Budgets.initial)
    events = [replace(allocated, fund=FUND_OF_P1)]
    events += reserve_budget(ReserveBudget(budget_id="b1", ref="r1", amount=part, now=NOW), Budgets.fold(events))
    for model in (BUDGETS, FUNDS):
        known = project(model, told(*events))["b1"]
        assert (known["available"], known["used"]) == (left, nothing)
    assert project(FUNDS, told(*events))["b1"]["expired"] == nothing


def test_the_ledger_and_its_balances_sum_to_zero():
    _, events = earned()
    seen = told(*events, *paid())
    assert all(sum(float(e["amount"]) for e in journal["entries"]) == 0 for journal in project(LEDGER, seen).values())
    mine = project(BALANCES, seen)["p1-EUR"]
    assert mine["accounts"] == {
        "cash": "-100.00",
        "expense:commission": "53.34",
        "held": "0.00",
        "in_payment": "0.00",
        "payable": "46.66",
    }
    shown = {name: value for name, value in mine.items() if name not in ("accounts", "books", "position")}
    assert shown == {
        "account_id": "p1-EUR",
        "partner_id": "p1",
        "payee_id": "p1",
        "currency": "EUR",
        "held": "0.00",
        "payable": "46.66",
        "in_payment": "0.00",
        "expense": "53.34",
        "cash": "-100.00",
        "accrued": "0.00",
        "withheld": "0.00",
        "forfeited": "0.00",
        "fx_difference": "0.00",
        "vat": "0.00",
        "total": "0.00",
        "fund": "0.00",
    }
    assert project(TRIAL_BALANCE, seen)["EUR"]["total"] == "0.00"


def test_a_payment_s_board_row_holds_its_history():
    row = project(PAYMENTS, told(*paid()))[PAYMENT]
    assert (row["state"], row["attempts"], row["proposed_by"], row["approved_by"]) == ("paid", 1, "fin-1", "fin-2")
    assert [step["kind"] for step in row["history"]] == [
        "PaymentProposed",
        "PaymentApproved",
        "PaymentSubmitted",
        "PaymentUnknown",
        "PaymentMade",
    ]


def test_a_held_line_is_due_on_its_day_and_never_after_its_release():
    line_id, events = earned()
    before = project(RELEASES, told(*events[:-1]))[line_id]
    assert before == {"due_at": "2026-04-15T00:00:00Z", "opportunity_id": "o1", "line_id": line_id}
    assert release(before, NOW) == ReleaseLine(opportunity_id="o1", line_id=line_id, now=NOW)
    assert line_id not in project(RELEASES, told(*events))


def test_the_provider_is_due_until_it_has_answered_and_once_more_when_money_may_have_come_back():
    model = provider_calls(None)
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    assert project(model, told(*desk.payment))[PAYMENT]["due_at"] == "2026-04-03T09:00:00Z"
    desk.after(said("unknown"))
    asked = project(model, told(*desk.payment))[PAYMENT]
    assert (asked["due_at"], asked["asks"]) == ("2026-04-03T09:01:00Z", 1)
    desk.after(said("paid"))
    assert project(model, told(*desk.payment))[PAYMENT]["due_at"] == "2026-04-08T09:00:00Z"
    desk.after(said("returned", provider_event_id="pe-back"))
    assert project(model, told(*desk.payment)) == {}


def test_a_shut_gate_is_shown():
    assert project(PAYEE_GATES, told(OPENED, SUSPENDED))["p1"]["gates"] == ["suspended"]


def test_every_public_event_explains_itself():
    _, events = earned()
    for seen in told(*events, *paid()):
        if publish(seen) is not None:
            assert EXPLAIN[type(seen.event)](seen).reasons


def test_an_explanation_follows_from_the_event_alone():
    _, events = earned()
    seen = next(one for one in told(*events) if isinstance(one.event, PayoutCalculated))
    why = EXPLAIN[PayoutCalculated](seen)
    assert why.outcome == "80.00 EUR"
    assert [reason.text for reason in why.reasons] == [
        "version 1 of plan-a was in force on 2026-03-16",
        "1000.00 EUR of 1 sold lines count",
        "80.00 % of it is credited: 800",
        "F(0) = 0",
        "band 1: 800 at 10 % = 80",
        "F(800) = 80",
        "80.00 EUR less 0.00 EUR, half-up at the minor unit",
        "credited 2026-03-16, earned 2026-03-16, payable 2026-04-15",
    ]
    assert [(one.name, one.event_id) for one in why.inputs[:2]] == [("win", "e-win"), ("credit_revision", "e-credit-1")]


def test_a_partner_s_public_line_names_no_other_partner():
    _, events = earned()
    for seen in told(*events):
        public = publish(seen)
        if public is not None:
            assert public.for_partner("p9") is None
            assert public.partners() in (("p1",), ("p2",))


def test_what_is_postponed_is_due_later():
    world = World(book(plan())).tell(win(), credit())
    [line] = world.of(PayoutCalculated)
    postponed = PayoutPostponed(
        line_id=line.line_id,
        opportunity_id="o1",
        partner_id="p1",
        payee_id="p1",
        amount=line.amount,
        payable_on=date(2026, 5, 1),
        reason="audit",
        postponed_by="fin-1",
        journal=type(line.journal)(entries=()),
        postponed_at=NOW,
    )
    seen = told(line, postponed)
    assert project(RELEASES, seen)[line.line_id]["due_at"] == "2026-05-01T00:00:00Z"
    assert project(EARNINGS, seen)[line.line_id]["why_held"] == "postponed until 2026-05-01: audit"
    assert PayoutReleased not in {type(happened) for happened in world.events}


@pytest.mark.parametrize(
    "gate",
    ["suspended", "blocked", "under_review", "employer_consent", "bank_verified", "bank_cool_down", "tax_form"],
)
def test_every_gate_of_a_payee_says_why_it_is_shut(gate):
    document = {"bank": None, "until": None, "reason_code": "late", "blocked_reason": "fraud"}
    assert why_shut(gate, document, PaymentRules(), NOW)
