"""Which journals were posted, what does each payee's account hold, and does everything sum to zero?"""

from datetime import date
from decimal import Decimal
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.incentives.domain.journal import ACCOUNTS, Journal
from services.incentives.domain.payment import (
    PaymentApproved,
    PaymentBlocked,
    PaymentDeclined,
    PaymentFailed,
    PaymentMade,
)
from services.incentives.domain.sale import PayoutCalculated, PayoutPostponed, PayoutReleased, PayoutReversed

KINDS: dict[type[Any], str] = {
    PayoutCalculated: "calculated",
    PayoutReversed: "reversed",
    PayoutReleased: "released",
    PayoutPostponed: "postponed",
    PaymentApproved: "payment_approved",
    PaymentBlocked: "payment_blocked",
    PaymentDeclined: "payment_declined",
    PaymentMade: "paid",
    PaymentFailed: "payment_returned",
}


class EntryDocument(TypedDict):
    account: str
    payee_id: str
    amount: str


class JournalDocument(TypedDict):
    """One balanced journal. Amounts are debits; `payable` is what it adds in the payee's favour."""

    event_id: str
    position: int
    kind: str
    account_id: str
    partner_id: str
    payee_id: str
    currency: str
    opportunity_id: str | None
    cause: str
    entries: list[EntryDocument]
    payable: str
    touches_payable: int
    effective_on: str
    booked_on: str


def evolve_ledger(document: JournalDocument | None, seen: Seen) -> JournalDocument | None:
    happened = seen.event
    journal: Journal = happened.journal
    currency = journal.entries[0].amount.currency
    payable = -_sum(journal, "payable")
    return {
        "event_id": seen.id,
        "position": seen.position,
        "kind": KINDS[type(happened)],
        "account_id": f"{happened.payee_id}-{currency}",
        "partner_id": happened.payee_id,
        "payee_id": happened.payee_id,
        "currency": currency,
        "opportunity_id": getattr(happened, "opportunity_id", None),
        "cause": journal.entries[0].cause,
        "entries": [
            {"account": entry.account, "payee_id": entry.payee_id, "amount": str(entry.amount.amount)}
            for entry in journal.entries
        ],
        "payable": str(payable),
        "touches_payable": 1 if payable else 0,
        "effective_on": iso(effective_on(seen)),
        "booked_on": iso(seen.recorded_at)[:10],
    }


def effective_on(seen: Seen) -> date:
    """The business date of a journal; the day it was recorded where it has none of its own."""
    happened = seen.event
    match happened:
        case PayoutCalculated():
            return happened.earned_on
        case PayoutReversed():
            return happened.effective_on
        case PayoutReleased():
            return happened.payable_on
        case PaymentMade():
            return happened.paid_on
        case _:
            return seen.recorded_at.date()


def _sum(journal: Journal, account: str) -> Decimal:
    return sum((entry.amount.amount for entry in journal.entries if entry.account == account), Decimal(0))


def _posted(seen: Seen) -> str | None:
    return seen.id if seen.event.journal.entries else None


LEDGER = Projection(
    name="ledger",
    version=1,
    keys=dict.fromkeys(KINDS, _posted),
    evolve=evolve_ledger,
    indexes=("position", "account_id,position", "effective_on"),
)


class BalanceDocument(TypedDict):
    """The accounts of one payee in one currency, debits above zero; `total` is always zero."""

    account_id: str
    partner_id: str
    payee_id: str
    currency: str
    held: str
    payable: str
    in_payment: str
    expense: str
    cash: str
    total: str
    position: int


def evolve_balances(document: BalanceDocument | None, seen: Seen) -> BalanceDocument:
    sums = _added(document, seen.event.journal)
    currency = seen.event.journal.entries[0].amount.currency
    payee_id = seen.event.payee_id
    return {
        "account_id": f"{payee_id}-{currency}",
        "partner_id": payee_id,
        "payee_id": payee_id,
        "currency": currency,
        "held": str(sums["held"]),
        "payable": str(sums["payable"]),
        "in_payment": str(sums["in_payment"]),
        "expense": str(sums["expense"]),
        "cash": str(sums["cash"]),
        "total": str(sum(sums.values(), Decimal(0))),
        "position": seen.position,
    }


def _added(document: Any, journal: Journal) -> dict[str, Decimal]:
    return {account: Decimal(document[account] if document else 0) + _sum(journal, account) for account in ACCOUNTS}


def _account(seen: Seen) -> str | None:
    entries = seen.event.journal.entries
    return f"{seen.event.payee_id}-{entries[0].amount.currency}" if entries else None


BALANCES = Projection(
    name="balances",
    version=1,
    keys=dict.fromkeys(KINDS, _account),
    evolve=evolve_balances,
    indexes=("partner_id", "account_id"),
)


class TrialDocument(TypedDict):
    """All payees of one currency, debits above zero; `total` is always zero."""

    currency: str
    held: str
    payable: str
    in_payment: str
    expense: str
    cash: str
    total: str
    journals: int
    position: int


def evolve_trial(document: TrialDocument | None, seen: Seen) -> TrialDocument:
    sums = _added(document, seen.event.journal)
    return {
        "currency": seen.event.journal.entries[0].amount.currency,
        "held": str(sums["held"]),
        "payable": str(sums["payable"]),
        "in_payment": str(sums["in_payment"]),
        "expense": str(sums["expense"]),
        "cash": str(sums["cash"]),
        "total": str(sum(sums.values(), Decimal(0))),
        "journals": 1 + (document["journals"] if document else 0),
        "position": seen.position,
    }


def _currency(seen: Seen) -> str | None:
    entries = seen.event.journal.entries
    return entries[0].amount.currency if entries else None


TRIAL_BALANCE = Projection(
    name="trial_balance",
    version=1,
    keys=dict.fromkeys(KINDS, _currency),
    evolve=evolve_trial,
    indexes=("currency",),
)
