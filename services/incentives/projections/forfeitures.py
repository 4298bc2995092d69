"""Which blocked payments wait for nothing but the payee's own papers, and when is the next notice, or the end?"""

from datetime import datetime, timedelta
from typing import Any

from chassis.application import Application, Prepared
from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from services.incentives.application.paying import carried, payable_now
from services.incentives.application.sales import rules_of_kind
from services.incentives.application.tax_years import so_far_with
from services.incentives.domain.forfeiture import (
    NOTICES,
    OWN_PAPERS,
    BalanceForfeited,
    ForfeitBalance,
    ForfeitureLifted,
    ForfeitureNoticed,
    ForfeitureScheduled,
    left_of,
)
from services.incentives.domain.payment import Payment, Payments
from services.incentives.domain.payment_events import PaymentBlocked, PaymentDeclined, PaymentResumed
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.projections.releases import start_of


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, PaymentBlocked):
        return _blocked(happened, seen) if OWN_PAPERS.issuperset(happened.gates) else None
    if document is None or isinstance(happened, ForfeitureLifted | BalanceForfeited):
        return None
    if isinstance(happened, ForfeitureScheduled | ForfeitureNoticed):
        return {**document, "due_at": iso(start_of(happened.forfeits_on - timedelta(days=_ahead(happened))))}
    return {**document, "due_at": iso(seen.recorded_at)}


def _blocked(it: PaymentBlocked, seen: Seen) -> dict[str, Any]:
    return {
        "due_at": iso(seen.recorded_at),
        "payment_id": it.payment_id,
        "payee_id": it.payee_id,
        "blocked_at": iso(it.blocked_at),
    }


def _ahead(it: ForfeitureScheduled | ForfeitureNoticed) -> int:
    """How many days before its end the next step is due."""
    later = [days for days in NOTICES if isinstance(it, ForfeitureScheduled) or days < it.notice_days]
    return max(later, default=0)


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """The next step of what may be forfeited."""

    async def make(app: Application, tenant: str, peek: Peek) -> ForfeitBalance:
        payment: Payment = await peek(Payments.at(document["payment_id"]))
        account = payment.order.account_id
        payable = await payable_now(app, tenant, account, payment.order.amount.currency)
        return ForfeitBalance(
            payment_id=document["payment_id"],
            account_id=account,
            payee_id=document["payee_id"],
            blocked_at=datetime.fromisoformat(document["blocked_at"]),
            payable_books=await carried(app, tenant, account, left_of(payment.order, payable)),
            rules=await rules_of_kind(app, tenant, PAYMENT),
            now=now,
            so_far=await so_far_with(app, tenant, payment.order),
            payable=payable,
        )

    return Prepared(make)


FORFEITURES = Deadline(
    name="forfeitures",
    version=1,
    keys=dict.fromkeys(
        (
            PaymentBlocked,
            PaymentResumed,
            PaymentDeclined,
            ForfeitureScheduled,
            ForfeitureNoticed,
            ForfeitureLifted,
            BalanceForfeited,
        ),
        lambda seen: str(seen.event.payment_id),
    ),
    evolve=evolve,
    issue=issue,
)
