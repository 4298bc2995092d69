"""Which journals were posted, what does each payee's account hold, and does everything sum to zero?"""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.values import none_of
from services.incentives.domain.account import FUND_APPROVED, FUND_TRANSFERRED, NegativeWrittenOff
from services.incentives.domain.budget import (
    BudgetAllocated,
    BudgetExpired,
    BudgetReduced,
    BudgetReleased,
    BudgetReserved,
    BudgetUsed,
)
from services.incentives.domain.claim import ClaimCredited, ClaimDecided, ClaimInstalmentReleased
from services.incentives.domain.forfeiture import BalanceForfeited
from services.incentives.domain.journal import FUND_MONEY, Entry, Journal
from services.incentives.domain.merging import BalanceTransferred
from services.incentives.domain.meter import (
    RebateAccrued,
    RebateSettled,
    TrueUpHeldLonger,
    TrueUpReduced,
    TrueUpReleased,
    WindowTruedUp,
)
from services.incentives.domain.payment_events import (
    InvoiceTaxed,
    PaymentApproved,
    PaymentBlocked,
    PaymentDeclined,
    PaymentFailed,
    PaymentMade,
)
from services.incentives.domain.sale_events import (
    PayoutAdjusted,
    PayoutCalculated,
    PayoutPostponed,
    PayoutPutUnderReview,
    PayoutReleased,
    PayoutReversed,
)
from services.incentives.domain.tax import TaxRemitted

KINDS: dict[type[Any], str] = {
    PayoutCalculated: "calculated",
    PayoutReversed: "reversed",
    PayoutReleased: "released",
    PayoutPostponed: "postponed",
    PayoutPutUnderReview: "under_review",
    PayoutAdjusted: "adjusted",
    RebateAccrued: "rebate_accrued",
    RebateSettled: "rebate_settled",
    WindowTruedUp: "trued_up",
    TrueUpReduced: "reversed",
    TrueUpReleased: "released",
    TrueUpHeldLonger: "postponed",
    InvoiceTaxed: "invoice_taxed",
    PaymentApproved: "payment_approved",
    PaymentBlocked: "payment_blocked",
    PaymentDeclined: "payment_declined",
    PaymentMade: "paid",
    PaymentFailed: "payment_returned",
    NegativeWrittenOff: "written_off",
    BalanceTransferred: "transferred",
    BalanceForfeited: "forfeited",
    TaxRemitted: "tax_remitted",
    ClaimDecided: "claim_approved",
    ClaimInstalmentReleased: FUND_APPROVED,
    ClaimCredited: "claim_credited",
    BudgetAllocated: "budget_allocated",
    BudgetReserved: "budget_reserved",
    BudgetUsed: "budget_used",
    BudgetReleased: "budget_released",
    BudgetExpired: "budget_expired",
    BudgetReduced: "budget_reduced",
}
MEMO = (BudgetAllocated, BudgetReserved, BudgetUsed, BudgetReleased, BudgetExpired, BudgetReduced)
FUND = ":".join(FUND_MONEY)
FUND_EVENTS = (ClaimDecided, ClaimInstalmentReleased, BalanceTransferred)
OF_FUNDS: dict[type[Any], str] = {ClaimDecided: FUND_APPROVED, BalanceTransferred: FUND_TRANSFERRED}
SHOWN = ("held", "payable", "in_payment", "expense", "cash", "accrued", "withheld", "forfeited", "fx_difference", "vat")


class EntryDocument(TypedDict):
    """One side. `books` is the amount in the currency of the books, where that is another."""

    account: str
    payee_id: str
    amount: str
    books: dict[str, str] | None


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
    plan_id: str | None
    plan_version: int | None
    rule_id: str | None
    entries: list[EntryDocument]
    payable: str
    touches_payable: int
    effective_on: str
    booked_on: str
    booked_at: str


def evolve_ledger(document: JournalDocument | None, seen: Seen) -> JournalDocument | None:
    happened = seen.event
    journal: Journal = happened.journal
    payable = payable_in(journal)
    key = getattr(happened, "key", None)
    return {
        "event_id": seen.id,
        "position": seen.position,
        "kind": (_funded(journal) and OF_FUNDS.get(type(happened))) or KINDS[type(happened)],
        "account_id": account_id_of(seen),
        "partner_id": partner_of(happened),
        "payee_id": payee_of(happened),
        "currency": journal.entries[0].amount.currency,
        "opportunity_id": getattr(happened, "opportunity_id", None),
        "cause": journal.entries[0].cause,
        "plan_id": key.plan_id if key else getattr(happened, "plan_id", None),
        "plan_version": getattr(happened, "plan_version", None),
        "rule_id": getattr(happened, "rule_id", None),
        "entries": [_entry(entry) for entry in journal.entries],
        "payable": str(payable),
        "touches_payable": 1 if payable else 0,
        "effective_on": iso(effective_on(seen)),
        "booked_on": iso(seen.recorded_at)[:10],
        "booked_at": iso(seen.recorded_at),
    }


def _entry(entry: Entry) -> EntryDocument:
    books = entry.books_amount
    return {
        "account": entry.name,
        "payee_id": entry.payee_id,
        "amount": str(entry.amount.amount),
        "books": {"amount": str(books.amount), "currency": books.currency} if books else None,
    }


def payee_of(happened: Any) -> str:
    return str(getattr(happened, "payee_id", ""))


def partner_of(happened: Any) -> str:
    """The partner of a journal: a person's line belongs to the partner that it works for, a distributor's to itself."""
    whose = getattr(happened, "whose", None)
    return str(whose or getattr(happened, "partner_id", payee_of(happened)))


def account_id_of(seen: Seen) -> str:
    return f"{payee_of(seen.event)}-{seen.event.journal.entries[0].amount.currency}"


def effective_on(seen: Seen) -> date:
    """The business date of a journal; the day it was recorded where it has none of its own.

    A day that is still to come, of what is payable at once, is that day as well: it would keep all that is recorded after it
    from every statement before it. The bank alone says of a payment on which later day it counts.
    """
    name, recorded_on = DATES.get(type(seen.event)), seen.recorded_at.date()
    found: date = getattr(seen.event, name) if name else recorded_on
    return min(found, recorded_on) if payable_in(seen.event.journal) else found


DATES: dict[type[Any], str] = {
    PayoutCalculated: "earned_on",
    PayoutReversed: "effective_on",
    PayoutReleased: "payable_on",
    PaymentMade: "paid_on",
    TaxRemitted: "remitted_on",
    RebateAccrued: "accrued_on",
    RebateSettled: "settled_on",
    WindowTruedUp: "earned_on",
    TrueUpReduced: "effective_on",
    TrueUpReleased: "payable_on",
    ClaimDecided: "decided_on",
    ClaimInstalmentReleased: "payable_on",
    ClaimCredited: "credited_on",
}


def payable_in(journal: Journal) -> Decimal:
    """What a journal adds to what is payable, above zero in the payee's favour."""
    return -sum((entry.amount.amount for entry in journal.entries if entry.account == "payable"), Decimal(0))


def _funded(journal: Journal) -> Decimal:
    """The fund money that a journal makes payable."""
    return -sum((entry.amount.amount for entry in journal.entries if entry.name == FUND), Decimal(0))


def _posted(seen: Seen) -> str | None:
    return seen.id if seen.event.journal.entries else None


LEDGER = Projection(
    name="ledger",
    version=6,
    keys=dict.fromkeys(KINDS, _posted),
    evolve=evolve_ledger,
    indexes=("position", "account_id,position", "partner_id,position", "effective_on", "booked_on"),
)


# Balances


class BalanceDocument(TypedDict):
    """The accounts of one payee in one currency, debits above zero; `total` is always zero.

    `fund` is all the fund money that ever became payable. `accounts` holds every account by its full name, `books` the
    same in the currency of the books.
    """

    account_id: str
    partner_id: str
    payee_id: str
    currency: str
    held: str
    payable: str
    in_payment: str
    expense: str
    cash: str
    accrued: str
    withheld: str
    forfeited: str
    fx_difference: str
    vat: str
    total: str
    fund: str
    accounts: dict[str, str]
    books: dict[str, str]
    position: int


def evolve_balances(document: BalanceDocument | None, seen: Seen) -> BalanceDocument:
    funded = _funded(seen.event.journal) if isinstance(seen.event, FUND_EVENTS) else Decimal(0)
    currency = seen.event.journal.entries[0].amount.currency
    before = Decimal(document["fund"]) if document else none_of(currency).amount
    return {
        "account_id": account_id_of(seen),
        "partner_id": partner_of(seen.event),
        "payee_id": payee_of(seen.event),
        "currency": currency,
        **sums_of(document, seen.event.journal),  # type: ignore[typeddict-item]
        "fund": str(funded + before),
        "position": seen.position,
    }


def sums_of(document: Any, journal: Journal) -> dict[str, Any]:
    """Every account with the journal's entries added, by full name and by its first word, in its currency's digits."""
    currency = journal.entries[0].amount.currency
    before = document or {"accounts": {}, "books": {}}
    accounts = _added(before["accounts"], ((entry.name, entry.amount.amount) for entry in journal.entries))
    books = _added(
        before["books"],
        ((f"{entry.name} {entry.in_books.currency}", entry.in_books.amount) for entry in journal.entries),
    )
    return {
        **{name: str(balance_of(accounts, name, currency)) for name in SHOWN},
        "total": str(sum(map(Decimal, accounts.values()), Decimal(0))),
        "accounts": accounts,
        "books": books,
    }


def balance_of(accounts: dict[str, str], name: str, currency: str) -> Decimal:
    """An account with all that it is of: `expense` is every kind of expense."""
    mine = (Decimal(amount) for account, amount in accounts.items() if account.partition(":")[0] == name)
    return sum(mine, none_of(currency).amount)


def _added(before: dict[str, str], entries: Iterable[tuple[str, Decimal]]) -> dict[str, str]:
    sums = {name: Decimal(amount) for name, amount in before.items()}
    for name, amount in entries:
        sums[name] = sums.get(name, Decimal(0)) + amount
    return {name: str(amount) for name, amount in sorted(sums.items())}


def account_of(seen: Seen) -> str | None:
    return account_id_of(seen) if seen.event.journal.entries else None


PAYEES = {kind: account_of for kind in KINDS if kind not in MEMO}

BALANCES = Projection(
    name="balances", version=5, keys=PAYEES, evolve=evolve_balances, indexes=("partner_id", "account_id")
)


class TrialDocument(TypedDict):
    """All payees of one currency, debits above zero; `total` is always zero."""

    currency: str
    held: str
    payable: str
    in_payment: str
    expense: str
    cash: str
    accrued: str
    withheld: str
    forfeited: str
    fx_difference: str
    vat: str
    total: str
    accounts: dict[str, str]
    books: dict[str, str]
    journals: int
    first_booked_on: str
    position: int


def evolve_trial(document: TrialDocument | None, seen: Seen) -> TrialDocument:
    return {
        "currency": seen.event.journal.entries[0].amount.currency,
        **sums_of(document, seen.event.journal),  # type: ignore[typeddict-item]
        "journals": 1 + (document["journals"] if document else 0),
        "first_booked_on": document["first_booked_on"] if document else iso(seen.recorded_at)[:10],
        "position": seen.position,
    }


def _currency(seen: Seen) -> str | None:
    entries = seen.event.journal.entries
    return entries[0].amount.currency if entries else None


TRIAL_BALANCE = Projection(
    name="trial_balance",
    version=4,
    keys=dict.fromkeys(KINDS, _currency),
    evolve=evolve_trial,
    indexes=("currency",),
)
