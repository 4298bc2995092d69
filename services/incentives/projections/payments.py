"""Where does each payment stand, who decided on it, and what did the provider say?"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from chassis.read_store.port import Range, ReadStore
from contracts.values import Money, none_of
from services.incentives.domain.payment import RETURNED
from services.incentives.domain.payment_events import (
    InvoiceAccepted,
    InvoiceTaxed,
    OutcomeContradicted,
    PaymentApproved,
    PaymentBlocked,
    PaymentDeclined,
    PaymentFailed,
    PaymentMade,
    PaymentProposed,
    PaymentResumed,
    PaymentRetried,
    PaymentSubmitted,
    PaymentUnknown,
    PaymentUnreported,
)
from services.incentives.projections.amounts import sorts
from services.incentives.projections.liability import every


class PaymentStep(TypedDict):
    event_id: str
    kind: str
    at: Annotated[str, datetime]


class _Payment(TypedDict):
    payment_id: str
    account_id: str
    statement_id: str
    statement_number: int
    payee_id: str
    partner_id: str
    amount: Annotated[dict[str, str], Money]
    amount_sorts: str
    state: str
    reference: str | None
    attempts: int
    gates: list[str]
    reason_code: str | None
    ask_again_at: str | None
    paid_on: str | None
    net: Annotated[dict[str, str], Money] | None
    withheld: Annotated[dict[str, str], Money] | None
    jurisdiction: str | None
    invoice: str | None
    tax: Annotated[dict[str, str], Money] | None
    tax_country: str | None
    contradiction: str | None
    changed_at: str
    event_id: str
    history: list[PaymentStep]


class PaymentDocument(_Payment):
    """A money order on the board. `event_id` is its latest event, `amount_sorts` its amount as a text that sorts so."""

    proposed_by: str
    approved_by: str | None


class ShownPayment(_Payment):
    """A money order, and its latest event; who proposed and approved it, the vendor reads.

    `amount_sorts` is the amount as a text that sorts as the number does.
    """

    proposed_by: NotRequired[str]
    approved_by: NotRequired[str | None]


def evolve(document: PaymentDocument | None, seen: Seen) -> PaymentDocument | None:
    happened = seen.event
    known = _proposed(happened) if isinstance(happened, PaymentProposed) else document
    if known is None:
        return None
    step: PaymentStep = {"event_id": seen.id, "kind": type(happened).__name__, "at": iso(seen.recorded_at)}
    change = CHANGES.get(type(happened), _nothing)(happened)
    return {
        **known,
        **change,
        "changed_at": iso(seen.recorded_at),
        "event_id": seen.id,
        "history": [*known["history"], step],
    }


def _proposed(it: PaymentProposed) -> PaymentDocument:
    return {
        "payment_id": it.payment_id,
        "account_id": it.account_id,
        "statement_id": it.statement_id,
        "statement_number": it.statement_number,
        "payee_id": it.payee_id,
        "partner_id": it.partner_id,
        "amount": plain(it.amount),
        "amount_sorts": sorts(it.amount),
        "state": "pending_invoice" if it.needs_invoice else "proposed",
        "proposed_by": it.proposed_by,
        "approved_by": None,
        "reference": None,
        "attempts": 0,
        "gates": [],
        "reason_code": None,
        "ask_again_at": None,
        "paid_on": None,
        "net": None,
        "withheld": None,
        "jurisdiction": None,
        "invoice": None,
        "tax": None,
        "tax_country": None,
        "contradiction": None,
        "changed_at": "",
        "event_id": "",
        "history": [],
    }


def _nothing(_: Any) -> dict[str, Any]:
    return {}


def _approved(it: PaymentApproved) -> dict[str, Any]:
    return {
        "state": "approved",
        "approved_by": it.approved_by,
        "net": plain(it.net) if it.net else None,
        "withheld": plain(it.withheld) if it.withheld else None,
        "jurisdiction": it.jurisdiction,
    }


def _invoiced(it: InvoiceAccepted) -> dict[str, Any]:
    return {"state": "proposed", "invoice": it.number}


def _taxed(it: InvoiceTaxed) -> dict[str, Any]:
    return {"tax": plain(it.tax), "tax_country": it.country}


def _contradicted(it: OutcomeContradicted) -> dict[str, Any]:
    return {"contradiction": f"{it.reference} was {it.stage}, then the provider said {it.outcome}"}


def _blocked(it: PaymentBlocked) -> dict[str, Any]:
    return {"state": "blocked", "gates": list(it.gates)}


def _resumed(_: PaymentResumed) -> dict[str, Any]:
    return {"state": "proposed", "gates": [], "approved_by": None}


def _submitted(it: PaymentSubmitted) -> dict[str, Any]:
    return {"state": "submitted", "reference": it.reference, "attempts": it.attempt, "reason_code": None}


def _unknown(it: PaymentUnknown) -> dict[str, Any]:
    return {"state": "unknown", "ask_again_at": iso(it.ask_again_at) if it.ask_again_at else None}


def _made(it: PaymentMade) -> dict[str, Any]:
    return {"state": "paid", "paid_on": iso(it.paid_on), "ask_again_at": None}


def _failed(it: PaymentFailed) -> dict[str, Any]:
    state = "returned" if it.reason_code == RETURNED else "failed"
    return {"state": state, "reason_code": it.reason_code, "ask_again_at": None, "paid_on": None}


def _retried(_: PaymentRetried) -> dict[str, Any]:
    return {"state": "approved"}


def _declined(it: PaymentDeclined) -> dict[str, Any]:
    return {"state": "declined", "reason_code": it.reason_code}


CHANGES: dict[type[Any], Any] = {
    PaymentApproved: _approved,
    PaymentBlocked: _blocked,
    PaymentResumed: _resumed,
    PaymentSubmitted: _submitted,
    PaymentUnknown: _unknown,
    PaymentUnreported: _nothing,
    PaymentMade: _made,
    PaymentFailed: _failed,
    PaymentRetried: _retried,
    PaymentDeclined: _declined,
    InvoiceAccepted: _invoiced,
    InvoiceTaxed: _taxed,
    OutcomeContradicted: _contradicted,
}


def _payment(seen: Seen) -> str:
    payment_id: str = seen.event.payment_id
    return payment_id


PAYMENTS = Projection(
    name="payments",
    version=5,
    keys=dict.fromkeys((PaymentProposed, *CHANGES), _payment),
    evolve=evolve,
    indexes=(
        *("changed_at", "partner_id,changed_at", "state,changed_at", "statement_id", "paid_on"),
        *("amount_sorts", "partner_id,amount_sorts"),
    ),
)


class TaxYear(TypedDict):
    """What a payee was paid in a year in one currency, and what of it was withheld for a jurisdiction."""

    payee_id: str
    partner_id: str
    currency: str
    jurisdiction: str | None
    paid: str
    withheld: str
    payments: int


async def tax_year(read: ReadStore, tenant: str, year: int) -> list[TaxYear]:
    """What was paid and withheld in a year, by payee, currency and jurisdiction; what came back is not in it."""
    where = {"paid_on": Range(at_least=f"{year:04}-01-01", below=f"{year + 1:04}-01-01")}
    sums: dict[tuple[str, str, str], TaxYear] = {}
    for it in await every(read, "payments", tenant, where, "paid_on"):
        key = (it["payee_id"], it["amount"]["currency"], it["jurisdiction"] or "")
        sums[key] = _added(sums.get(key), it)
    return [row for _, row in sorted(sums.items())]


def _added(row: TaxYear | None, it: dict[str, Any]) -> TaxYear:
    withheld = Decimal(it["withheld"]["amount"]) if it["withheld"] else none_of(it["amount"]["currency"]).amount
    return {
        "payee_id": it["payee_id"],
        "partner_id": it["partner_id"],
        "currency": it["amount"]["currency"],
        "jurisdiction": it["jurisdiction"],
        "paid": str(Decimal(it["amount"]["amount"]) + Decimal(row["paid"] if row else 0)),
        "withheld": str(withheld + Decimal(row["withheld"] if row else 0)),
        "payments": 1 + (row["payments"] if row else 0),
    }
