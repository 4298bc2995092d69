"""What of each budget is still available, reserved, used, in money or in units?"""

from decimal import Decimal
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.values import none_of
from services.incentives.domain.budget import (
    BudgetAllocated,
    BudgetExpired,
    BudgetReduced,
    BudgetReleased,
    BudgetReserved,
    BudgetUsed,
)
from services.incentives.domain.journal import Journal
from services.incentives.domain.rating import tidy
from services.incentives.domain.units import Units, UnitsAllocated, UnitsEvent, UnitsExpired, UnitsReleased, UnitsUsed
from services.incentives.domain.units import evolve as evolve_units
from services.incentives.projections.amounts import sorts

SUMS = ("allocated", "available", "reserved", "used")
OF_MONEY = (BudgetAllocated, BudgetReserved, BudgetUsed, BudgetReleased, BudgetExpired, BudgetReduced)


class BudgetDocument(TypedDict):
    """`allocated` is what was put in less what expired or was taken out. A budget of units has no currency.

    `amount_sorts` is what is available as a text that sorts as the number does.
    """

    budget_id: str
    currency: str | None
    allocated: str
    available: str
    reserved: str
    used: str
    amount_sorts: str
    changed_at: str


def evolve(document: BudgetDocument | None, seen: Seen) -> BudgetDocument:
    happened = seen.event
    if isinstance(happened, UnitsEvent):
        return _of_units(document, happened, iso(seen.recorded_at))
    before: Any = document or dict.fromkeys(SUMS, str(none_of(happened.amount.currency).amount))
    available = _after(before["available"], happened.journal, "available", sign=-1)
    return {
        "budget_id": happened.budget_id,
        "currency": happened.amount.currency,
        "allocated": _after(before["allocated"], happened.journal, "budget"),
        "available": available,
        "reserved": _after(before["reserved"], happened.journal, "reserved", sign=-1),
        "used": _after(before["used"], happened.journal, "used", sign=-1),
        "amount_sorts": sorts({"amount": available}),
        "changed_at": iso(seen.recorded_at),
    }


def _of_units(document: BudgetDocument | None, happened: UnitsEvent, at: str) -> BudgetDocument:
    before = Units(allocated=Decimal(0))
    if document:
        before = Units(allocated=Decimal(document["allocated"]), used=Decimal(document["used"]))
    after = evolve_units(before, happened)
    return {
        "budget_id": happened.budget_id,
        "currency": None,
        "allocated": _text(after.allocated),
        "available": _text(after.available),
        "reserved": _text(Decimal(0)),
        "used": _text(after.used),
        "amount_sorts": sorts({"amount": after.available}),
        "changed_at": at,
    }


def _text(units: Decimal) -> str:
    return f"{tidy(units):f}"


def _after(before: str, journal: Journal, account: str, sign: int = 1) -> str:
    """Memo accounts: what is available, reserved or used stands on the credit side of the budget."""
    moved = sum((entry.amount.amount for entry in journal.entries if entry.account == account), Decimal(0))
    return str(Decimal(before) + sign * moved)


BUDGETS = Projection(
    name="budgets",
    version=4,
    keys=dict.fromkeys(
        (*OF_MONEY, UnitsAllocated, UnitsUsed, UnitsReleased, UnitsExpired),
        lambda seen: str(seen.event.budget_id),
    ),
    evolve=evolve,
    indexes=("changed_at", "currency,changed_at", "amount_sorts"),
)
