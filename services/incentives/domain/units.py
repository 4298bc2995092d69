"""A budget of units instead of money: how many pieces may be paid for in all, whoever comes first.

It is one of the two kinds of budget, in the same stream; it moves no money, so nothing of it stands in the ledger.
"""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import assert_never

from chassis.event import event, frozen

NOTHING = Decimal(0)
UNITS_MAX = Decimal(1_000_000_000)
UNIT_DIGITS = 4

# Events, of the budget's stream


@event("incentives.UnitsAllocated.v1")
class UnitsAllocated:
    budget_id: str
    ref: str
    units: Decimal
    available: Decimal
    allocated_by: str
    allocated_at: datetime


@event("incentives.UnitsUsed.v1")
class UnitsUsed:
    budget_id: str
    ref: str
    units: Decimal
    available: Decimal
    used_at: datetime


@event("incentives.UnitsReleased.v1")
class UnitsReleased:
    """Units that were used are available again."""

    budget_id: str
    ref: str
    units: Decimal
    available: Decimal
    released_at: datetime


@event("incentives.UnitsExpired.v1")
class UnitsExpired:
    """What was still available is gone."""

    budget_id: str
    ref: str
    units: Decimal
    expired_at: datetime


UnitsEvent = UnitsAllocated | UnitsUsed | UnitsReleased | UnitsExpired

# State


@frozen
class Units:
    """How many there were put in less what expired, and how many of them are used."""

    allocated: Decimal
    used: Decimal = NOTHING

    @property
    def available(self) -> Decimal:
        return self.allocated - self.used


@frozen
class UnitsPaid:
    """How many of the units that a share asked of a budget are paid for."""

    given: Decimal
    asked: Decimal


def sound(units: Decimal) -> bool:
    """Whether it is a number of units that a budget can have."""
    return units.is_finite() and 0 < units <= UNITS_MAX and units == round(units, UNIT_DIGITS)


# Evolve


def evolve(units: Units, happened: UnitsEvent) -> Units:
    match happened:
        case UnitsAllocated():
            return replace(units, allocated=units.allocated + happened.units)
        case UnitsUsed():
            return replace(units, used=units.used + happened.units)
        case UnitsReleased():
            return replace(units, used=units.used - happened.units)
        case UnitsExpired():
            return replace(units, allocated=units.allocated - happened.units)
        case _:
            assert_never(happened)
