"""A plan says what is paid for a sale: rules of the kind `plan`, versioned and published like every rulebook."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from contracts.values import MINOR_DIGITS
from services.incentives.domain import schedule as schedules
from services.incentives.domain.schedule import Schedule

PLAN = "plan"
HOLD_DAYS_MAX = 180
REFUND_DAYS_MAX = 3_650
MONTHS_A_QUARTER = 3


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The body of a plan.

    Of the plans with the same component and pool the one with the highest priority pays. `product_families` empty:
    every product counts. `accumulate`: the measure starts anew with each line, quarter or year. A payout is held
    `hold_days` after it is earned. A refund later than `refund_days` takes nothing back; null: it always does.
    """

    kind: Literal["commission"]
    name: str
    currency: str
    schedule: Schedule
    component: str = "commission"
    pool: str = "sourced"
    priority: int = 0
    accumulate: Literal["line", "quarter", "year"] = "line"
    product_families: tuple[str, ...] = ()
    hold_days: int = 30
    refund_days: int | None = 90


def faults(plan: Plan) -> list[str]:
    """What is wrong with a plan, in sentences; nothing for a sound one."""
    found = schedules.faults(plan.schedule)
    if plan.currency not in MINOR_DIGITS:
        found.append(f"{plan.currency!r} is not an ISO 4217 currency")
    if not plan.name.strip():
        found.append("a plan has a name")
    if not 0 <= plan.hold_days <= HOLD_DAYS_MAX:
        found.append(f"hold_days is 0 to {HOLD_DAYS_MAX}")
    if plan.refund_days is not None and not 0 <= plan.refund_days <= REFUND_DAYS_MAX:
        found.append(f"refund_days is 0 to {REFUND_DAYS_MAX}, or null")
    return found


def end_of(day: date) -> datetime:
    """The last instant of a day: rules that hold then judge the day."""
    return datetime.combine(day, time.max, tzinfo=UTC)


def window_of(accumulate: str, day: date) -> tuple[str, date] | None:
    """Name and first day of the window that a day accumulates in, `("2026-Q1", 2026-01-01)`; None for single lines."""
    if accumulate == "year":
        return f"{day.year:04}", date(day.year, 1, 1)
    if accumulate == "quarter":
        quarter = (day.month - 1) // MONTHS_A_QUARTER
        return f"{day.year:04}-Q{quarter + 1}", date(day.year, 1 + quarter * MONTHS_A_QUARTER, 1)
    return None


def payable_on(earned_on: date, hold_days: int) -> date:
    """The day the hold is over: earned 16 March, held 60 days, payable 15 May."""
    return earned_on + timedelta(days=hold_days)
