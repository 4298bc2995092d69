"""What does each partner have in each fund and period: given, reserved, used, and what is left?"""

from decimal import Decimal
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.incentives.domain.budget import (
    BudgetAllocated,
    BudgetExpired,
    BudgetReleased,
    BudgetReserved,
    BudgetUsed,
    FundShare,
)
from services.incentives.projections.budgets import evolve as of_budget


class FundDocument(TypedDict):
    """A partner's share. `allocated` is what was given less what expired."""

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
    changed_at: str


def evolve(document: FundDocument | None, seen: Seen) -> FundDocument | None:
    happened = seen.event
    if document is None and (not isinstance(happened, BudgetAllocated) or happened.fund is None):
        return None
    known = document or _opened(happened.fund)
    budget: Any = of_budget(known if document else None, seen)
    expired = Decimal(known["expired"])
    if isinstance(happened, BudgetExpired):
        expired += happened.amount.amount
    return {**known, **budget, "expired": str(expired)}


def _opened(share: FundShare) -> Any:
    return {
        "fund_id": share.fund_id,
        "programme": share.programme,
        "period": share.period,
        "ends_on": iso(share.ends_on),
        "partner_id": share.partner_id,
        "expired": "0.00",
    }


FUNDS = Projection(
    name="funds",
    version=1,
    keys=dict.fromkeys(
        (BudgetAllocated, BudgetReserved, BudgetUsed, BudgetReleased, BudgetExpired),
        lambda seen: str(seen.event.budget_id),
    ),
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at", "fund_id,changed_at", "period,changed_at", "programme,changed_at"),
)
