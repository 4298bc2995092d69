"""What makes a plan a rebate: what its window's measure must be like, how it accrues, and how often it is settled."""

from datetime import date
from decimal import Decimal
from typing import Literal

from chassis.event import frozen
from contracts.values import Money, round_half_up
from services.incentives.domain.condition import Circumstances, Condition, condition_faults, holds
from services.incentives.domain.schedule import PERCENT, Schedule, sane, value_of

NOTHING = Decimal(0)
BASELINES_MAX = 10_000


@frozen
class Baseline:
    """What a payee reached before: a growth rebate pays for what lies above it. Without a payee, everyone's."""

    measure: Decimal
    payee_id: str | None = None


@frozen
class RebateTerms:
    """When a window is worth something, how that accrues, and how often it is settled.

    Volume pays F(measure), growth F(measure above the baseline), mix F(measure) while `mix_families` make at least
    `mix_percent` of it; a target is a schedule on attainment. `requires` is asked at the window's end. Until it is
    settled a rebate accrues what F says, or `forecast_percent` of the measure. What was sold at a special price counts
    only where `special_priced` says so.
    """

    type: Literal["volume", "growth", "target", "mix"] = "volume"
    accrual: Literal["actual", "forecast_percent"] = "actual"
    forecast_percent: Decimal | None = None
    settle: Literal["month", "quarter", "year"] = "year"
    baselines: tuple[Baseline, ...] = ()
    mix_families: tuple[str, ...] = ()
    mix_percent: Decimal | None = None
    requires: Condition | None = None
    special_priced: bool = False


@frozen
class Reached:
    """Where a window stands: the measure, and the part of it in the families of a mix."""

    measure: Decimal
    mix: Decimal = NOTHING


def rebate_value(terms: RebateTerms, schedule: Schedule, payee_id: str, reached: Reached) -> Decimal:
    """What the window is worth, not rounded."""
    if terms.type == "growth":
        return value_of(schedule, max(reached.measure - baseline_of(terms, payee_id), NOTHING))
    if terms.type == "mix" and reached.mix * PERCENT < reached.measure * (terms.mix_percent or NOTHING):
        return NOTHING
    return value_of(schedule, reached.measure)


def accrued_value(terms: RebateTerms, schedule: Schedule, payee_id: str, reached: Reached, currency: str) -> Money:
    """What should stand accrued before the window is settled."""
    if terms.accrual == "forecast_percent":
        return round_half_up(reached.measure * (terms.forecast_percent or NOTHING) / PERCENT, currency)
    return round_half_up(rebate_value(terms, schedule, payee_id, reached), currency)


def baseline_of(terms: RebateTerms, payee_id: str) -> Decimal:
    """The payee's recorded baseline, else everyone's, else nothing."""
    known = {baseline.payee_id: baseline.measure for baseline in terms.baselines}
    return known.get(payee_id, known.get(None, NOTHING))


def entitled(terms: RebateTerms, at: Circumstances) -> bool:
    """Whether the payee has, at the window's end, what the rebate requires."""
    return terms.requires is None or holds(terms.requires, at)


def settles_on(terms: RebateTerms, day: date, closes_on: date) -> date:
    """The next day on which the rebate is settled: the end of its month, quarter or window."""
    months = {"month": 1, "quarter": 3, "year": 12}[terms.settle]
    quarter, _ = divmod(day.month - 1, months)
    year, month = divmod(day.year * 12 + (quarter + 1) * months, 12)
    return min(date(year, month + 1, 1), closes_on)


def rebate_faults(terms: RebateTerms) -> list[str]:
    """What is wrong with the terms, in sentences; nothing for sound ones."""
    found = condition_faults(terms.requires) if terms.requires else []
    if (terms.accrual == "forecast_percent") != (terms.forecast_percent is not None):
        found.append("forecast_percent goes with the accrual of that name")
    if (terms.type == "mix") != (terms.mix_percent is not None and bool(terms.mix_families)):
        found.append("a mix has mix_families and mix_percent")
    numbers = [terms.forecast_percent, terms.mix_percent, *(one.measure for one in terms.baselines)]
    if any(number is not None and (not sane(number) or number < 0) for number in numbers):
        found.append("a rebate's numbers are from 0, with at most 4 digits after the point")
    if len(terms.baselines) > BASELINES_MAX:
        found.append(f"there are at most {BASELINES_MAX} baselines")
    return found
