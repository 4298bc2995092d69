"""A payment's life: two people, open gates, one reference a submission, and the provider's word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from chassis.decider import WrongState
from chassis.event import encode
from chassis.testing.kit import given
from contracts.values import money, none_of
from services.incentives.domain.account import Accounts, PaymentClosed, PaymentHandedOver, PaymentOpened
from services.incentives.domain.journal import balance, trial_balance
from services.incentives.domain.payee_events import PayeeReinstated
from services.incentives.domain.payment import (
    AlreadyOpen,
    AttemptsSpent,
    BelowMinimum,
    GateUnmet,
    Payments,
    UnknownPayment,
    UnknownReference,
    propose_payment,
    propose_payment_alone,
    reference_of,
)
from services.incentives.domain.payment_commands import ProposePayment
from services.incentives.domain.payment_events import (
    OutcomeContradicted,
    PaymentApproved,
    PaymentBlocked,
    PaymentDeclined,
    PaymentFailed,
    PaymentMade,
    PaymentSubmitted,
    PaymentUnknown,
)
from services.incentives.domain.two_people import FourEyes
from tests.incentives.orders import (
    ACCOUNT,
    APPROVE,
    DECLINE,
    NOW,
    OPENED,
    PAYMENT,
    RESUME,
    RETRY,
    SUBMIT,
    SUSPENDED,
    TABLE,
    Desk,
    issued,
    line,
    proposal,
    said,
)

REINSTATED = PayeeReinstated(payee_id="p1", partner_id="p1", revision=3, reinstated_at=NOW)


def entries(events):
    return [entry for happened in events for entry in happened.journal.entries]


def test_a_statement_is_proposed_approved_submitted_and_paid():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("paid"))
    assert [type(happened).__name__ for happened in desk.payment] == [
        "PaymentProposed",
        "PaymentApproved",
        "PaymentSubmitted",
        "PaymentMade",
    ]
    made = desk.payment[-1]
    assert (made.amount, made.reference, made.line_ids) == (
        money("100.00", "EUR"),
        reference_of(PAYMENT, 1),
        ("line-5",),
    )
    assert [type(happened) for happened in desk.account[1:]] == [PaymentOpened, PaymentHandedOver, PaymentClosed]
    assert len(made.reference) == 35


def test_the_money_moves_from_payable_over_in_payment_to_cash():
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    approved = desk.payment[-1].journal
    assert [(entry.account, str(entry.amount.amount)) for entry in approved.entries] == [
        ("payable", "100.00"),
        ("in_payment", "-100.00"),
    ]
    desk.after(SUBMIT, said("paid"))
    assert [(entry.account, str(entry.amount.amount)) for entry in desk.payment[-1].journal.entries] == [
        ("in_payment", "100.00"),
        ("cash", "-100.00"),
    ]


def drawn_on(bank):
    return replace(SUBMIT, bank=bank)


def posted(happened):
    return [(entry.name, str(entry.amount.amount)) for entry in happened.journal.entries]


def test_the_money_is_that_of_the_bank_that_pays_and_comes_back_to_it():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, drawn_on("DE01"), said("paid"))
    assert posted(desk.payment[-1]) == [("in_payment", "100.00"), ("cash:DE01", "-100.00")]
    desk.after(said("returned", provider_event_id="pe-2"))
    assert posted(desk.payment[-1]) == [("in_payment", "-100.00"), ("cash:DE01", "100.00")]


def test_each_attempt_is_drawn_on_its_own_bank_also_where_an_earlier_one_was_paid_after_all():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, drawn_on("DE01"), said("rejected"), RETRY, drawn_on("FR02"))
    other = Desk()
    other.payment, other.account = list(desk.payment), list(desk.account)
    desk.after(said("paid", attempt=2, provider_event_id="pe-2"))
    assert posted(desk.payment[-1])[-1] == ("cash:FR02", "-100.00")
    other.after(said("paid", attempt=1, provider_event_id="pe-3", unsent=True))
    assert posted(other.payment[-1])[-1] == ("cash:DE01", "-100.00")


def test_what_was_submitted_before_banks_were_told_is_paid_from_cash_as_it_was():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    assert b'"bank"' not in encode(desk.payment[-1])
    desk.after(said("paid"))
    assert posted(desk.payment[-1])[-1] == ("cash", "-100.00")


def test_who_proposes_does_not_approve():
    desk = Desk()
    desk.after(desk.proposed)
    refusal = desk.asks(replace(APPROVE, by="fin-1")).refused(FourEyes)
    assert (refusal.status, refusal.slug) == (403, "four-eyes")


def test_who_proposes_does_not_decline():
    desk = Desk()
    desk.after(desk.proposed)
    desk.asks(replace(DECLINE, by="fin-1")).refused(FourEyes)


def test_it_pays_what_the_statement_closes_with_or_less_if_less_is_payable_now():
    assert Desk().after(proposal(issued(line("100.00", 5)), "80.00")).payment[0].amount == money("80.00", "EUR")
    assert Desk().after(proposal(issued(line("100.00", 5)), "180.00")).payment[0].amount == money("100.00", "EUR")


@pytest.mark.parametrize("released", ["0.00", "-20.00"])
def test_nothing_payable_is_carried_forward(released):
    Desk().asks(proposal(issued(line("100.00", 5)), released)).refused(BelowMinimum)


def test_what_was_drawn_before_is_not_paid_again_whatever_the_ledger_still_shows():
    first = issued(line("100.00", 5))
    later = datetime(2026, 5, 2, tzinfo=UTC)
    second = issued(line("50.00", 8), history=(first,), period="2026-04", from_position=5, to_position=8, now=later)
    paid = Desk()
    paid.after(paid.proposed, APPROVE, SUBMIT, said("paid"))
    history = (Accounts.at(ACCOUNT), [*paid.account, second])
    proposed = given(TABLE[ProposePayment], history).when(proposal(second, "150.00")).verdict.events[0][0]
    assert (second.closing, proposed.amount) == (money("150.00", "EUR"), money("50.00", "EUR"))


def test_one_payment_of_an_account_at_a_time():
    first = issued(line("100.00", 5))
    later = datetime(2026, 5, 2, tzinfo=UTC)
    second = issued(history=(first,), period="2026-04", from_position=5, to_position=5, now=later)
    open_ = PaymentOpened(
        account_id=ACCOUNT, payment_id=PAYMENT, statement_id=first.statement_id, amount=first.closing, opened_at=NOW
    )
    history = (Accounts.at(ACCOUNT), [first, second, open_])
    given(TABLE[ProposePayment], history).when(proposal(second)).refused(AlreadyOpen)


def test_a_repeat_of_any_step_changes_nothing():
    desk = Desk()
    for wish in (desk.proposed, APPROVE, SUBMIT, said("paid")):
        desk.after(wish)
        desk.asks(wish).then_nothing()


def test_an_unknown_payment_is_not_found():
    with pytest.raises(UnknownPayment):
        Desk().asks(APPROVE)


# Gates


def test_a_suspended_partner_is_blocked_and_resumed_once_reinstated():
    desk = Desk(payee=(OPENED, SUSPENDED))
    desk.after(desk.proposed, APPROVE)
    assert isinstance(desk.payment[-1], PaymentBlocked)
    assert desk.payment[-1].gates == ("suspended",)
    desk.asks(RESUME).refused(GateUnmet)
    desk.payee.append(REINSTATED)
    desk.after(RESUME, APPROVE)
    assert desk.stage == "approved"


@pytest.mark.parametrize(("payable", "stage"), [("100.00", "approved"), ("99.99", "blocked"), ("-5.00", "blocked")])
def test_what_was_taken_back_since_it_was_proposed_is_not_paid(payable, stage):
    desk = Desk()
    desk.after(desk.proposed, replace(APPROVE, payable=money(payable, "EUR")))
    assert desk.stage == stage
    if stage == "blocked":
        assert desk.payment[-1].gates == ("taken_back",)
        assert desk.after(DECLINE).stage == "declined"


def test_the_gate_is_asked_again_before_submission_and_the_money_goes_back():
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    desk.payee.append(SUSPENDED)
    desk.after(SUBMIT)
    assert isinstance(desk.payment[-1], PaymentBlocked)
    assert not any(isinstance(happened, PaymentSubmitted) for happened in desk.payment)
    ledger = entries([desk.payment[1], desk.payment[2]])
    assert balance(ledger, "in_payment", "p1", "EUR") == none_of("EUR")


def test_who_was_never_activated_is_never_paid():
    desk = Desk(payee=())
    desk.after(desk.proposed, APPROVE)
    assert desk.payment[-1].gates == ("not_active",)


# The provider's word


def test_unknown_is_asked_again_after_a_minute_doubling_to_an_hour_then_by_a_person():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    now, waits = NOW, []
    while True:
        desk.after(said("unknown", now=now))
        again = desk.payment[-1].ask_again_at
        if again is None:
            break
        waits.append(int((again - now).total_seconds()))
        now = again
    assert waits[:8] == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    assert now - NOW <= timedelta(hours=24)
    desk.after(said("paid", now=now))
    assert desk.stage == "paid"


def test_an_unknown_payment_is_never_submitted_under_a_new_reference():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("unknown"))
    desk.asks(SUBMIT).then_nothing()
    desk.asks(RETRY).refused(WrongState)
    desk.asks(DECLINE).refused(WrongState)


def test_a_rejected_payment_is_retried_under_a_new_reference_five_times_at_most():
    desk = Desk()
    desk.after(desk.proposed, APPROVE)
    for attempt in range(1, 6):
        desk.after(SUBMIT, said("rejected", attempt=attempt, provider_event_id=f"pe-{attempt}"))
        assert desk.stage == "failed"
        if attempt < 5:
            desk.after(RETRY)
    desk.asks(RETRY).refused(AttemptsSpent)
    references = [happened.reference for happened in desk.payment if isinstance(happened, PaymentSubmitted)]
    assert references == [reference_of(PAYMENT, attempt) for attempt in range(1, 6)]


def test_a_reference_that_was_never_submitted_is_not_found():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    with pytest.raises(UnknownReference):
        desk.asks(said("paid", attempt=2))


def test_the_provider_may_not_contradict_itself_unseen():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("paid"))
    kept, _ = desk.asks(said("rejected", provider_event_id="pe-2")).verdict.events
    assert [(type(one), one.stage, one.outcome) for one in kept] == [(OutcomeContradicted, "paid", "rejected")]
    desk.asks(said("rejected", provider_event_id="pe-2")).then_nothing()
    failed = Desk()
    failed.after(failed.proposed, APPROVE, SUBMIT, said("rejected"), RETRY, SUBMIT)
    kept, _ = failed.asks(said("paid", attempt=1, provider_event_id="pe-2")).verdict.events
    assert [type(one) for one in kept] == [OutcomeContradicted]


def test_money_that_comes_back_can_be_sent_again_or_given_up():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("paid"), said("returned", provider_event_id="pe-2"))
    assert isinstance(desk.payment[-1], PaymentFailed)
    assert (desk.stage, desk.payment[-1].reason_code) == ("returned", "returned")
    desk.after(DECLINE)
    assert isinstance(desk.payment[-1], PaymentDeclined)
    ledger = entries([h for h in desk.payment if hasattr(h, "journal")])
    assert balance(ledger, "payable", "p1", "EUR") == none_of("EUR")
    assert Accounts.fold(desk.account).drawn == []


def test_a_declined_payment_frees_the_account():
    desk = Desk()
    desk.after(desk.proposed, DECLINE)
    state = Accounts.fold(desk.account)
    assert (state.open_payment, state.drawn) == (None, [])


class PaymentLife(RuleBasedStateMachine):
    """Any commands in any order: one effective transfer at most, the ledger balances, no two people are one."""

    def __init__(self):
        super().__init__()
        self.desk = Desk()
        self.paid = 0

    @rule(wish=st.sampled_from([APPROVE, SUBMIT, RESUME, RETRY, DECLINE]))
    def decides(self, wish):
        self._asks(wish)

    @rule()
    def proposes(self):
        self._asks(self.desk.proposed)

    @rule(
        outcome=st.sampled_from(["paid", "rejected", "unknown", "returned"]),
        attempt=st.integers(1, 6),
        event=st.integers(1, 3),
    )
    def reports(self, outcome, attempt, event):
        self._asks(said(outcome, attempt=attempt, provider_event_id=f"pe-{outcome}-{event}"))

    @rule(gate=st.sampled_from([SUSPENDED, REINSTATED]))
    def moves_the_gate(self, gate):
        self.desk.payee.append(gate)

    def _asks(self, wish):
        try:
            self.desk.asks(wish)
        except (UnknownPayment, UnknownReference):
            return

    @invariant()
    def money_is_paid_once(self):
        made = sum(isinstance(happened, PaymentMade) for happened in self.desk.payment)
        back = sum(getattr(happened, "reason_code", "") == "returned" for happened in self.desk.payment)
        assert 0 <= made - back <= 1

    @invariant()
    def the_ledger_balances_and_nothing_is_in_payment_twice(self):
        ledger = entries([happened for happened in self.desk.payment if hasattr(happened, "journal")])
        assert set(trial_balance(ledger).values()) <= {none_of("EUR").amount}
        assert balance(ledger, "payable", "p1", "EUR").amount in (0, 100)

    @invariant()
    def two_people_decided(self):
        for happened in self.desk.payment:
            if isinstance(happened, PaymentApproved):
                assert happened.proposed_by != happened.approved_by

    @invariant()
    def the_account_draws_what_the_payment_holds(self):
        drawn = Accounts.fold(self.desk.account).drawn
        assert bool(drawn) == (self.desk.stage not in ("none", "declined"))


TestPaymentLife = PaymentLife.TestCase


def test_unknown_is_a_fact_of_its_own():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("unknown"))
    assert isinstance(desk.payment[-1], PaymentUnknown)


def test_a_payment_is_for_what_was_carried_into_its_statement_unpaid():
    first = issued(line("1.00", 5))
    later = datetime(2026, 5, 2, tzinfo=UTC)
    second = issued(line("99.00", 8), history=(first,), period="2026-04", from_position=5, to_position=8, now=later)
    account = Accounts.fold([first, second])
    [proposed], _ = propose_payment(proposal(second), Payments.initial, account, ())
    assert proposed.line_ids == ("line-5", "line-8")
    [before], _ = propose_payment_alone(proposal(second), Payments.initial, account, ())
    assert before.line_ids == ("line-8",)
    _, [opened] = propose_payment(proposal(first, "1.00"), Payments.initial, Accounts.fold([first]), ())
    paid = PaymentClosed(account_id=ACCOUNT, payment_id=opened.payment_id, paid=True, closed_at=NOW)
    after = Accounts.fold([first, opened, paid, second])
    [last], _ = propose_payment(proposal(second), Payments.initial, after, ())
    assert last.line_ids == ("line-8",)
