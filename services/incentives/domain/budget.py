"""A budget: a capped pot of one currency, or of units. Whoever comes first in its stream is served.

Nobody draws it below nothing.
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, assert_never

from chassis.decider import Decider, Invalid, Refused
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen
from contracts.values import Money
from services.incentives.domain import units
from services.incentives.domain.journal import AccountName, Journal, move
from services.incentives.domain.units import (
    NOTHING,
    Units,
    UnitsAllocated,
    UnitsEvent,
    UnitsExpired,
    UnitsReleased,
    UnitsUsed,
)

# Events


@frozen
class FundShare:
    """Whose share of which fund a budget is: of a programme's fund, for the period that `ends_on` is the day after."""

    fund_id: str
    version: int
    programme: str
    period: str
    ends_on: date
    partner_id: str


@event("incentives.BudgetAllocated.v1")
class BudgetAllocated:
    """`fund` is there where the budget is a partner's share of a fund."""

    budget_id: str
    ref: str
    amount: Money
    available: Money
    journal: Journal
    allocated_by: str
    allocated_at: datetime
    fund: FundShare | None = None


@event("incentives.BudgetReserved.v1")
class BudgetReserved:
    budget_id: str
    ref: str
    amount: Money
    available: Money
    journal: Journal
    reserved_at: datetime


@event("incentives.BudgetUsed.v1")
class BudgetUsed:
    """Used from what was reserved under the same ref, or straight from what is available."""

    budget_id: str
    ref: str
    amount: Money
    available: Money
    journal: Journal
    used_at: datetime


@event("incentives.BudgetReleased.v1")
class BudgetReleased:
    """What was reserved or used under a ref is available again. `from_use` says which."""

    budget_id: str
    ref: str
    amount: Money
    from_use: bool
    available: Money
    journal: Journal
    released_at: datetime


@event("incentives.BudgetExpired.v1")
class BudgetExpired:
    """What was still available is gone."""

    budget_id: str
    ref: str
    amount: Money
    journal: Journal
    expired_at: datetime


@event("incentives.BudgetReduced.v1")
class BudgetReduced:
    """Part of what was available is taken out again: what brought it in came to nothing."""

    budget_id: str
    ref: str
    amount: Money
    available: Money
    journal: Journal
    reduced_at: datetime


@event("incentives.BudgetCarried.v1")
class BudgetCarried:
    """The live state with which a busy budget goes on in its next segment."""

    allocated: Money | None
    reserved: dict[str, Decimal]
    used: Decimal
    refs: tuple[str, ...]
    units: Units | LeftOut = LEFT_OUT


OfMoney = BudgetAllocated | BudgetReserved | BudgetUsed | BudgetReleased | BudgetExpired | BudgetReduced
BudgetEvent = OfMoney | UnitsEvent | BudgetCarried

# Commands


@command("incentives.AllocateBudget.v1")
class AllocateBudget:
    budget_id: str
    ref: str
    amount: Money
    by: str
    now: datetime


@command("incentives.AllocateUnits.v1")
class AllocateUnits:
    """Puts units into a budget that has no money."""

    budget_id: str
    ref: str
    units: Decimal
    by: str
    now: datetime


@command("incentives.ReserveBudget.v1")
class ReserveBudget:
    budget_id: str
    ref: str
    amount: Money
    now: datetime


@command("incentives.UseBudget.v1")
class UseBudget:
    budget_id: str
    ref: str
    amount: Money
    now: datetime


@command("incentives.ReleaseBudget.v1")
class ReleaseBudget:
    budget_id: str
    ref: str
    now: datetime


@command("incentives.ExpireBudget.v1")
class ExpireBudget:
    budget_id: str
    ref: str
    now: datetime


# State


@frozen
class Budget:
    """`allocated - reserved - used` is available, never below nothing. `refs` are the steps that were taken.

    A budget of units has `units` and no money.
    """

    allocated: Money | None = None
    reserved: Mapping[str, Decimal] = field(default_factory=dict)
    used: Decimal = Decimal(0)
    refs: frozenset[str] = frozenset()
    units: Units | None = None

    @property
    def available(self) -> Money:
        """What can still be reserved or used. Raises FundsInsufficient before anything is allocated."""
        if self.allocated is None:
            raise FundsInsufficient("nothing was put into this budget yet: allocate to it first", available="0")
        left = self.allocated.amount - sum(self.reserved.values(), Decimal(0)) - self.used
        return Money(amount=left, currency=self.allocated.currency)


# Refusals


class FundsInsufficient(Refused):
    """There is not that much left in the budget."""

    slug = "funds-insufficient"


class BudgetInvalid(Invalid):
    """A budget has one currency, or units of at most 4 digits after the point, and its steps are above zero."""

    slug = "budget-invalid"


# Decisions: each ref takes each step once


def allocate_budget(wish: AllocateBudget, budget: Budget) -> list[BudgetEvent]:
    """Puts money into the pot."""
    if _taken(budget, "allocated", wish.ref):
        return []
    _sound(budget, wish.amount)
    return [
        BudgetAllocated(
            budget_id=wish.budget_id,
            ref=wish.ref,
            amount=wish.amount,
            available=_with(budget, wish.amount),
            journal=_memo(wish, wish.amount, "budget", "available"),
            allocated_by=wish.by,
            allocated_at=wish.now,
        )
    ]


def _with(budget: Budget, amount: Money) -> Money:
    """What is available with so much more. Raises BudgetInvalid where no money can hold all that was ever allocated."""
    if budget.allocated is None:
        return amount
    try:
        return (budget.allocated + amount) - (budget.allocated - budget.available)
    except ValueError as error:
        raise BudgetInvalid(f"with what is in it that is too much: {error}") from error


def allocate_units(wish: AllocateUnits, budget: Budget) -> list[BudgetEvent]:
    """Puts units into the pot."""
    if _taken(budget, "allocated", wish.ref):
        return []
    if budget.allocated is not None or not units.sound(wish.units):
        raise BudgetInvalid
    before = budget.units.available if budget.units else NOTHING
    return [
        UnitsAllocated(
            budget_id=wish.budget_id,
            ref=wish.ref,
            units=wish.units,
            available=before + wish.units,
            allocated_by=wish.by,
            allocated_at=wish.now,
        )
    ]


def reserve_budget(wish: ReserveBudget, budget: Budget) -> list[BudgetEvent]:
    """Keeps an amount for a later use."""
    if _taken(budget, "reserved", wish.ref):
        return []
    _sound(budget, wish.amount)
    left = _drawn(budget, wish.amount)
    journal = _memo(wish, wish.amount, "available", "reserved")
    return [
        BudgetReserved(
            budget_id=wish.budget_id,
            ref=wish.ref,
            amount=wish.amount,
            available=left,
            journal=journal,
            reserved_at=wish.now,
        )
    ]


def use_budget(wish: UseBudget, budget: Budget) -> list[BudgetEvent]:
    """Uses an amount: what its ref has reserved, else what is available."""
    if _taken(budget, "used", wish.ref):
        return []
    _sound(budget, wish.amount)
    kept = min(budget.reserved.get(wish.ref, Decimal(0)), wish.amount.amount)
    reserved = Money(amount=kept, currency=wish.amount.currency)
    beyond = wish.amount - reserved
    left = _drawn(budget, beyond)
    journals = (_memo(wish, reserved, "reserved", "used"), _memo(wish, beyond, "available", "used"))
    journal = Journal(entries=tuple(entry for one in journals for entry in one.entries))
    return [
        BudgetUsed(
            budget_id=wish.budget_id,
            ref=wish.ref,
            amount=wish.amount,
            available=left,
            journal=journal,
            used_at=wish.now,
        )
    ]


def release_budget(wish: ReleaseBudget, budget: Budget) -> list[BudgetEvent]:
    """Gives back what a ref has reserved."""
    kept = budget.reserved.get(wish.ref)
    if not kept:
        return []
    amount = Money(amount=kept, currency=budget.available.currency)
    return [given_back(wish.budget_id, wish.ref, amount, budget, wish.now, from_use=False)]


def given_back(
    budget_id: str, ref: str, amount: Money, budget: Budget, now: datetime, *, from_use: bool
) -> BudgetReleased:
    """The event by which an amount is available again."""
    account: Literal["used", "reserved"] = "used" if from_use else "reserved"
    return BudgetReleased(
        budget_id=budget_id,
        ref=ref,
        amount=amount,
        from_use=from_use,
        available=budget.available + amount,
        journal=move(amount, debit=account, credit="available", payee_id="", cause=ref),
        released_at=now,
    )


def expire_budget(wish: ExpireBudget, budget: Budget) -> list[BudgetEvent]:
    """What is still available is gone."""
    if budget.units:
        return _units_expired(wish, budget.units)
    if _taken(budget, "expired", wish.ref) or budget.allocated is None or budget.available.zero:
        return []
    amount = budget.available
    journal = _memo(wish, amount, "available", "budget")
    return [BudgetExpired(budget_id=wish.budget_id, ref=wish.ref, amount=amount, journal=journal, expired_at=wish.now)]


def _units_expired(wish: ExpireBudget, left: Units) -> list[BudgetEvent]:
    if not left.available:
        return []
    return [UnitsExpired(budget_id=wish.budget_id, ref=wish.ref, units=left.available, expired_at=wish.now)]


def reduced(budget_id: str, ref: str, amount: Money, budget: Budget, now: datetime) -> BudgetReduced:
    """The event by which part of what is available is taken out. Raises FundsInsufficient when it is not there."""
    return BudgetReduced(
        budget_id=budget_id,
        ref=ref,
        amount=amount,
        available=_drawn(budget, amount),
        journal=move(amount, debit="available", credit="budget", payee_id="", cause=ref),
        reduced_at=now,
    )


def _taken(budget: Budget, step: str, ref: str) -> bool:
    return f"{step}:{ref}" in budget.refs


def _sound(budget: Budget, amount: Money) -> None:
    other = budget.units or (budget.allocated is not None and budget.allocated.currency != amount.currency)
    if other or amount.amount <= 0:
        raise BudgetInvalid


def _drawn(budget: Budget, amount: Money) -> Money:
    """What is available once the amount is drawn. Raises FundsInsufficient when it is not there."""
    if budget.available < amount:
        raise FundsInsufficient(available=str(budget.available.amount))
    return budget.available - amount


Step = AllocateBudget | ReserveBudget | UseBudget | ExpireBudget


def _memo(wish: Step, amount: Money, debit: AccountName, credit: AccountName) -> Journal:
    return move(amount, debit=debit, credit=credit, payee_id="", cause=wish.ref)


# Evolve


def evolve(budget: Budget, happened: BudgetEvent) -> Budget:
    match happened:
        case BudgetAllocated():
            allocated = budget.allocated + happened.amount if budget.allocated else happened.amount
            return replace(budget, allocated=allocated, refs=budget.refs | {f"allocated:{happened.ref}"})
        case BudgetReserved():
            reserved = {**budget.reserved, happened.ref: happened.amount.amount}
            return replace(budget, reserved=reserved, refs=budget.refs | {f"reserved:{happened.ref}"})
        case BudgetUsed():
            return _used(budget, happened)
        case BudgetReleased():
            return _released(budget, happened)
        case BudgetExpired() | BudgetReduced():
            left = budget.allocated - happened.amount if budget.allocated else None
            step = "expired" if isinstance(happened, BudgetExpired) else "reduced"
            return replace(budget, allocated=left, refs=budget.refs | {f"{step}:{happened.ref}"})
        case UnitsAllocated() | UnitsUsed() | UnitsReleased() | UnitsExpired():
            return _with_units(budget, happened)
        case BudgetCarried():
            return _carried(happened)
        case _:
            assert_never(happened)


def _with_units(budget: Budget, happened: UnitsEvent) -> Budget:
    after = units.evolve(budget.units or Units(allocated=NOTHING), happened)
    allocated = {f"allocated:{happened.ref}"} if isinstance(happened, UnitsAllocated) else set()
    return replace(budget, units=after, refs=budget.refs | allocated)


def _carried(it: BudgetCarried) -> Budget:
    return Budget(
        allocated=it.allocated, reserved=it.reserved, used=it.used, refs=frozenset(it.refs), units=it.units or None
    )


def _used(budget: Budget, happened: BudgetUsed) -> Budget:
    left = budget.reserved.get(happened.ref, Decimal(0)) - happened.amount.amount
    reserved = {ref: amount for ref, amount in budget.reserved.items() if ref != happened.ref}
    reserved |= {happened.ref: left} if left > 0 else {}
    used = budget.used + happened.amount.amount
    return replace(budget, reserved=reserved, used=used, refs=budget.refs | {f"used:{happened.ref}"})


def _released(budget: Budget, happened: BudgetReleased) -> Budget:
    if happened.from_use:
        return replace(budget, used=budget.used - happened.amount.amount)
    return replace(budget, reserved={ref: kept for ref, kept in budget.reserved.items() if ref != happened.ref})


def carry(budget: Budget) -> BudgetEvent:
    return BudgetCarried(
        allocated=budget.allocated,
        reserved=dict(budget.reserved),
        used=budget.used,
        refs=tuple(sorted(budget.refs)),
        units=budget.units or LEFT_OUT,
    )


Budgets = Decider[Budget, BudgetEvent](kind="budget", initial=Budget(), evolve=evolve, carry=carry)
