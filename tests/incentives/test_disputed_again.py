"""A line that was disputed while another payment went out: that one did not pay it, so it can be disputed again, and paid."""

from dataclasses import replace
from datetime import UTC, datetime

from chassis.event import LEFT_OUT
from chassis.testing.kit import given
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.account import Accounts, PaymentClosed, PaymentOpened
from services.incentives.domain.line_dispute import DisputeWithdrawn
from services.incentives.domain.payment import payment_id
from services.incentives.domain.payment_commands import ProposePayment
from tests.incentives.orders import ACCOUNT, NOW, PAYMENT, TABLE, line, proposal
from tests.incentives.test_line_disputes import DISPUTE, DISPUTED, OF, STATED
from tests.incentives.test_paying import next_statement

BACK = DisputeWithdrawn(**OF, withdrawn_by="per-1", withdrawn_at=NOW)
CLOSED = PaymentClosed(account_id=ACCOUNT, payment_id=PAYMENT, paid=True, closed_at=NOW)
DRAWN = replace(line("-60.00", 7, "payment_approved"), cause=PAYMENT)
LATER = datetime(2026, 6, 2, tzinfo=UTC)
SECOND = next_statement(STATED, DRAWN, line("5.00", 8))


def proposing(statement, released, *history, table=TABLE):
    """What is proposed of a statement, and what its account is told, after all that happened."""
    states = (Accounts.at(ACCOUNT), [STATED, *history])
    return given(table[ProposePayment], states).when(proposal(statement, released)).verdict.events


def disputing(*history):
    return given(TABLE[type(DISPUTE)], (Accounts.at(ACCOUNT), [STATED, *history])).when(DISPUTE).verdict.events[0][0]


def paid_without(*between):
    """The account once 60.00 were proposed while 40.00 were disputed, and paid."""
    [order], [opened] = proposing(STATED, "100.00", DISPUTED)
    return order, opened, (DISPUTED, opened, *between, CLOSED)


def test_a_payment_is_for_the_lines_that_nobody_disputes():
    order, opened, _ = paid_without()
    assert (order.amount, order.line_ids, opened.waiting) == (money("60.00", "EUR"), ("line-5",), ("e6",))
    [whole], [told] = proposing(STATED, "100.00")
    assert (whole.amount, whole.line_ids, told.waiting) == (money("100.00", "EUR"), ("line-5", "line-6"), LEFT_OUT)


def test_once_the_dispute_is_over_the_next_payment_is_for_its_line():
    _, _, happened = paid_without()
    [order], [opened] = proposing(SECOND, "105.00", *happened, BACK, SECOND)
    assert (order.amount, order.line_ids) == (money("45.00", "EUR"), ("line-6", "line-8"))
    later = next_statement(
        SECOND, replace(line("-45.00", 9, "payment_approved"), cause="x"), line("7.00", 10), period="2026-05", at=LATER
    )
    closed = replace(CLOSED, payment_id=opened.payment_id)
    [last], _ = proposing(later, "112.00", *happened, BACK, SECOND, opened, closed, later)
    assert (last.amount, last.line_ids) == (money("7.00", "EUR"), ("line-10",))


def test_what_is_withdrawn_and_disputed_again_after_a_payment_without_it_was_not_paid_and_waits():
    _, _, happened = paid_without()
    again = disputing(*happened, BACK)
    assert again.drawn_by is None
    [order], [opened] = proposing(SECOND, "105.00", *happened, BACK, again, SECOND)
    assert (order.amount, order.line_ids, opened.waiting) == (money("5.00", "EUR"), ("line-8",), ("e6",))


def test_it_does_not_stop_the_payment_that_is_made_without_it():
    _, opened, _ = paid_without()
    again = disputing(DISPUTED, opened, BACK)
    assert not Accounts.fold([STATED, DISPUTED, opened, BACK, again]).stops(PAYMENT)


def test_disputed_again_after_the_payment_that_was_for_it_it_was_paid():
    _, _, happened = paid_without()
    _, [opened] = proposing(SECOND, "105.00", *happened, BACK, SECOND)
    again = disputing(*happened, BACK, SECOND, opened)
    assert again.drawn_by == payment_id(ACCOUNT, 2)
    assert Accounts.fold([STATED, *happened, BACK, SECOND, opened, again]).stops(opened.payment_id)


def test_in_a_later_segment_too_the_line_of_an_old_statement_is_paid():
    """The statement is paid and old, so its other lines are gone."""
    _, _, happened = paid_without()
    old = replace(SECOND, issued_at=datetime(2026, 7, 2, tzinfo=UTC))
    assert Accounts.carry is not None
    carried = Accounts.carry(Accounts.fold([STATED, *happened, BACK, old]))
    assert [one.event_id for one in carried.statements[0].lines] == ["e6"]
    states = (Accounts.at(ACCOUNT), [carried])
    [[order], _] = given(TABLE[ProposePayment], states).when(proposal(old, "105.00")).verdict.events
    assert (order.amount, order.line_ids) == (money("45.00", "EUR"), ("line-6", "line-8"))


def test_before_a_payment_said_which_lines_wait_it_was_for_all_of_them():
    third = {one.command: one for one in HANDLES if one.evaluator == 3}
    [order], [opened] = proposing(STATED, "100.00", DISPUTED, table=third)
    assert (order.amount, order.line_ids, opened.waiting) == (money("60.00", "EUR"), ("line-5", "line-6"), LEFT_OUT)
    assert isinstance(opened, PaymentOpened)
    assert disputing(DISPUTED, opened, CLOSED, BACK).drawn_by == PAYMENT
