"""What was a payee paid in this year and the last, and what is on its way to it?"""

from typing import TypedDict

from chassis.event import Seen
from chassis.projection import Projection
from services.incentives.domain.payment_events import (
    PaymentApproved,
    PaymentBlocked,
    PaymentDeclined,
    PaymentFailed,
    PaymentMade,
    PaymentSubmitted,
)

YEARS_KEPT = 2


class Counted(TypedDict):
    """The whole of a payment; without `paid_on` it is on its way."""

    amount: str
    currency: str
    paid_on: str | None


class PaidYearsDocument(TypedDict):
    """The payments of a payee by id: those on their way, and those of the newest year with one, and the year before."""

    payee_id: str
    payments: dict[str, Counted]
    position: int


def evolve(document: PaidYearsDocument | None, seen: Seen) -> PaidYearsDocument:
    happened = seen.event
    payments = dict(document["payments"]) if document else {}
    payments.pop(happened.payment_id, None)
    if isinstance(happened, ON_ITS_WAY):
        payments[happened.payment_id] = _counted(happened, None)
    elif isinstance(happened, PaymentMade):
        payments[happened.payment_id] = _counted(happened, happened.paid_on.isoformat())
    return {"payee_id": happened.payee_id, "payments": _recent(payments), "position": seen.position}


ON_ITS_WAY = (PaymentApproved, PaymentSubmitted)


def _counted(it: PaymentApproved | PaymentSubmitted | PaymentMade, paid_on: str | None) -> Counted:
    return {"amount": str(it.amount.amount), "currency": it.amount.currency, "paid_on": paid_on}


def _recent(payments: dict[str, Counted]) -> dict[str, Counted]:
    """Without the payments of years that nothing is asked about any more."""
    years = [int(one["paid_on"][:4]) for one in payments.values() if one["paid_on"]]
    first = max(years, default=0) - YEARS_KEPT + 1
    return {name: one for name, one in payments.items() if not one["paid_on"] or int(one["paid_on"][:4]) >= first}


def _payee(seen: Seen) -> str:
    payee_id: str = seen.event.payee_id
    return payee_id


PAID_YEARS = Projection(
    name="paid_years",
    version=1,
    keys=dict.fromkeys(
        (PaymentApproved, PaymentSubmitted, PaymentMade, PaymentFailed, PaymentBlocked, PaymentDeclined), _payee
    ),
    evolve=evolve,
)
