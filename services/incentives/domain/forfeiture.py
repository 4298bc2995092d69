"""Forfeiture: what waits for a payee's own paperwork too long is lost, where the payment rules say so.

It is announced 60, 30 and 7 days before; each notice leaves at least its days. Papers that come, or anything else that
holds the payment up, lift it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import assert_never

from chassis.decider import Decider
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen
from chassis.rulebook import Rulebook
from contracts.values import Money, none_of
from services.incentives.domain.account import Account, AccountEvent, PaymentClosed
from services.incentives.domain.journal import Journal, move
from services.incentives.domain.payee import BANK_VERIFIED, Payee, unmet
from services.incentives.domain.payment import Payment, Stage, earnings_of, given_back, rules_of, withheld_now
from services.incentives.domain.payment_events import PaymentDeclined, PaymentEvent, PaymentProposed
from services.incentives.domain.plan import MONTHS_A_YEAR
from services.incentives.domain.thresholds import TAX_FORM, YearSoFar

NOTICES = (60, 30, 7)
OWN_PAPERS = frozenset({TAX_FORM, BANK_VERIFIED})
SHORTEST_MONTH = 28
FORFEITED = "forfeited"

# Events


@event("incentives.ForfeitureScheduled.v1")
class ForfeitureScheduled:
    """The payment was blocked by nothing but the payee's own papers at `blocked_at`."""

    payment_id: str
    payee_id: str
    partner_id: str
    amount: Money
    blocked_at: datetime
    forfeits_on: date
    scheduled_at: datetime


@event("incentives.ForfeitureNoticed.v1")
class ForfeitureNoticed:
    """The payee is told, `notice_days` (60, 30 or 7) or more before the day."""

    payment_id: str
    payee_id: str
    partner_id: str
    amount: Money
    notice_days: int
    forfeits_on: date
    noticed_at: datetime


@event("incentives.ForfeitureLifted.v1")
class ForfeitureLifted:
    """The payee's papers are no longer what the payment waits for."""

    payment_id: str
    payee_id: str
    partner_id: str
    lifted_at: datetime


@event("incentives.BalanceForfeited.v1")
class BalanceForfeited:
    payment_id: str
    payee_id: str
    partner_id: str
    amount: Money
    blocked_at: datetime
    journal: Journal
    forfeited_at: datetime


ForfeitureEvent = ForfeitureScheduled | ForfeitureNoticed | ForfeitureLifted | BalanceForfeited

# Command


@command("incentives.ForfeitBalance.v1")
class ForfeitBalance:
    """Takes the next step that is due, if one is.

    `payable` is what the payee's earnings stand at, `payable_books` what the amount stands for in the books.
    """

    payment_id: str
    account_id: str
    payee_id: str
    blocked_at: datetime
    payable_books: Money | None = None
    rules: tuple[str, ...] = ()
    now: datetime
    so_far: YearSoFar | None = None
    payable: Money | LeftOut = LEFT_OUT


# State


@frozen
class Forfeiture:
    """What is scheduled, the notices given of it, and the day as the last notice left it."""

    scheduled: ForfeitureScheduled | None = None
    noticed: frozenset[int] = frozenset()
    forfeits_on: date | None = None


# Decisions

Changed = tuple[list[ForfeitureEvent], list[PaymentEvent], list[AccountEvent]]


def forfeit_balance(
    wish: ForfeitBalance, it: Forfeiture, payment: Payment, _: Account, payee: Payee, books: Sequence[Rulebook]
) -> Changed:
    """Schedules, announces, or forfeits; lifts it once anything else than the payee's own papers is in the way."""
    rules = rules_of(books, wish.now)
    gates = unmet(payee, wish.now, rules, wish.so_far)
    waits = payment.stage is Stage.BLOCKED and bool(gates) and OWN_PAPERS.issuperset(gates)
    if not waits or left_of(payment.order, wish.payable).amount <= 0:
        return ([_lifted(it.scheduled, wish)] if it.scheduled else []), [], []
    if it.scheduled is None or it.scheduled.blocked_at != wish.blocked_at or it.forfeits_on is None:
        months = rules.forfeiture_months
        return ([_scheduled(wish, payment, months)] if months else []), [], []
    left = (it.forfeits_on - _today(wish.now)).days
    due = next((days for days in NOTICES if days not in it.noticed), 0)
    if left > due:
        return [], [], []
    return ([_noticed(wish, payment, it.forfeits_on, due)], [], []) if due else _forfeited(wish, it.scheduled, payment)


def _today(now: datetime) -> date:
    return now.astimezone(UTC).date()


def _scheduled(wish: ForfeitBalance, payment: Payment, months: int) -> ForfeitureScheduled:
    order = payment.order
    return ForfeitureScheduled(
        payment_id=order.payment_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=left_of(order, wish.payable),
        blocked_at=wish.blocked_at,
        forfeits_on=months_after(_today(wish.blocked_at), months),
        scheduled_at=wish.now,
    )


def left_of(order: PaymentProposed, payable: Money | LeftOut) -> Money:
    """What of that is still payable: what was taken back since it was proposed cannot be lost once more."""
    earned = earnings_of(order)
    return min(earned, max(payable, none_of(earned.currency))) if payable else earned


def months_after(day: date, months: int) -> date:
    """The same day some months later; the last days of a month become its 28th."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    return date(year, month + 1, min(day.day, SHORTEST_MONTH))


def _noticed(wish: ForfeitBalance, payment: Payment, forfeits_on: date, days: int) -> ForfeitureNoticed:
    """A notice that comes late moves the day, so that its days are left."""
    order = payment.order
    return ForfeitureNoticed(
        payment_id=order.payment_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=left_of(order, wish.payable),
        notice_days=days,
        forfeits_on=max(forfeits_on, _today(wish.now) + timedelta(days=days)),
        noticed_at=wish.now,
    )


def _lifted(it: ForfeitureScheduled, wish: ForfeitBalance) -> ForfeitureLifted:
    return ForfeitureLifted(
        payment_id=it.payment_id, payee_id=it.payee_id, partner_id=it.partner_id, lifted_at=wish.now
    )


def _forfeited(wish: ForfeitBalance, it: ForfeitureScheduled, payment: Payment) -> Changed:
    """What was payable is the vendor's again, and the payment is over."""
    order = payment.order
    amount = left_of(order, wish.payable)
    journal = move(
        amount,
        debit="payable",
        credit="forfeited",
        payee_id=it.payee_id,
        cause=it.payment_id,
        books=wish.payable_books,
    )
    lost = BalanceForfeited(
        payment_id=it.payment_id,
        payee_id=it.payee_id,
        partner_id=it.partner_id,
        amount=amount,
        blocked_at=it.blocked_at,
        journal=journal,
        forfeited_at=wish.now,
    )
    declined = PaymentDeclined(
        payment_id=order.payment_id,
        statement_id=order.statement_id,
        payee_id=order.payee_id,
        partner_id=order.partner_id,
        amount=order.amount,
        reason_code=FORFEITED,
        journal=given_back(payment),
        declined_by="",
        declined_at=wish.now,
        withheld=withheld_now(payment),
    )
    closed = PaymentClosed(account_id=order.account_id, payment_id=order.payment_id, paid=False, closed_at=wish.now)
    return [lost], [declined], [closed]


# Evolve


def evolve(it: Forfeiture, happened: ForfeitureEvent) -> Forfeiture:
    match happened:
        case ForfeitureScheduled():
            return Forfeiture(scheduled=happened, forfeits_on=happened.forfeits_on)
        case ForfeitureNoticed():
            return replace(it, noticed=it.noticed | {happened.notice_days}, forfeits_on=happened.forfeits_on)
        case ForfeitureLifted() | BalanceForfeited():
            return Forfeiture()
        case _:
            assert_never(happened)


Forfeitures = Decider[Forfeiture, ForfeitureEvent](kind="forfeiture", initial=Forfeiture(), evolve=evolve)
