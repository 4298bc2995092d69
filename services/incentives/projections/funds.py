"""What does each partner have in each fund and period: given, reserved, used, and what is left?"""

from decimal import Decimal
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.values import none_of
from services.incentives.domain.accrual import ACCRUAL
from services.incentives.domain.budget import (
    BudgetAllocated,
    BudgetExpired,
    BudgetReduced,
    BudgetReleased,
    BudgetReserved,
    BudgetUsed,
    FundShare,
)
from services.incentives.domain.fund_share import rolled_from
from services.incentives.projections.budgets import evolve as of_budget


class FundDocument(TypedDict):
    """A partner's share. `allocated` is what was given less what is gone; `accrued` what of it purchases brought.

    What is left at the end of a period goes: `rolled_over` is there in the next one, `expired` is lost.
    """

    budget_id: str
    fund_id: str
    programme: str
    period: str
    ends_on: str
    partner_id: str
    currency: str
    allocated: str
    available: str
    reserved: str
    used: str
    expired: str
    rolled_over: str
    accrued: str
    amount_sorts: str
    changed_at: str


def evolve(document: FundDocument | None, seen: Seen) -> FundDocument | None:
    happened = seen.event
    if document is None and (not isinstance(happened, BudgetAllocated) or happened.fund is None):
        return None
    known = document or _opened(happened.fund, str(none_of(happened.amount.currency).amount))
    if document and happened.budget_id != document["budget_id"]:
        return _rolled_over(document, happened.amount.amount, iso(seen.recorded_at))
    before: Any = known if document else None
    budget: Any = of_budget(before, seen)
    expired = happened.amount.amount if isinstance(happened, BudgetExpired) else Decimal(0)
    return {
        **known,
        **budget,
        "expired": str(Decimal(known["expired"]) + expired),
        "accrued": str(Decimal(known["accrued"]) + _accrued(happened)),
    }


def _rolled_over(document: FundDocument, amount: Decimal, at: str) -> FundDocument:
    """What is told of the next period's share: so much of what went is not lost."""
    expired, rolled = Decimal(document["expired"]) - amount, Decimal(document["rolled_over"]) + amount
    return {**document, "expired": str(expired), "rolled_over": str(rolled), "changed_at": at}


def _accrued(happened: Any) -> Decimal:
    """What purchases bring, less what refunds take of it."""
    if isinstance(happened, BudgetReduced):
        return Decimal(0) - happened.amount.amount
    brought = isinstance(happened, BudgetAllocated) and happened.allocated_by == ACCRUAL
    return Decimal(happened.amount.amount) if brought else Decimal(0)


def _opened(share: FundShare, nothing: str) -> Any:
    return {
        "fund_id": share.fund_id,
        "programme": share.programme,
        "period": share.period,
        "ends_on": iso(share.ends_on),
        "partner_id": share.partner_id,
        "expired": nothing,
        "rolled_over": nothing,
        "accrued": nothing,
    }


def _shares(seen: Seen) -> tuple[str, ...]:
    """The share, and the one of the period before from which it was rolled over."""
    happened = seen.event
    before = rolled_from(happened) if isinstance(happened, BudgetAllocated) else None
    return (happened.budget_id, before) if before else (happened.budget_id,)


FUNDS = Projection(
    name="funds",
    version=5,
    keys=dict.fromkeys(
        (BudgetAllocated, BudgetReserved, BudgetUsed, BudgetReleased, BudgetExpired, BudgetReduced), _shares
    ),
    evolve=evolve,
    indexes=(
        "changed_at",
        "partner_id,changed_at",
        "fund_id,changed_at",
        "period,changed_at",
        "programme,changed_at",
        "amount_sorts",
        "partner_id,amount_sorts",
    ),
)
