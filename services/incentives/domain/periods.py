"""Periods of statements: which one a day is in, on which days its statement is issued, reviewed and paid; business days.

A period is a month (2026-03), a quarter (2026-Q1) or a week (2026-W14, as ISO 8601 counts them).
"""

from datetime import date, timedelta
from typing import Literal

from chassis.decider import Invalid
from chassis.event import frozen, iso
from contracts.business_time import HOLIDAYS_MAX

Cadence = Literal["week", "month", "quarter"]
Roll = Literal["none", "preceding", "following"]
MONTHS, QUARTER_MONTHS, MONTH_CHARACTERS = 12, 3, 7
SATURDAY = 5
DAY_MAX = 28
OFF_DAYS_MAX = 60
"""Days off in a row; after so many a day is taken for a business day."""
ONE_DAY = timedelta(days=1)


class PeriodInvalid(Invalid):
    """A period is a month such as 2026-03, a quarter such as 2026-Q1 or a week such as 2026-W14."""

    slug = "period-invalid"


@frozen
class Calendar:
    """When a period's statement is issued and paid: days counted from its end, the first one is 1.

    A day off moves to the business day before (preceding) or after it (following), or stays (none). Days off are
    Saturdays, Sundays, those `closed_on`, and the public `holidays` of a country (`DE`) or a part of it (`DE-BE`), whose
    dates are `holiday_dates`.
    """

    cadence: Cadence = "month"
    statement_day: int = 3
    review_day: int = 10
    pay_by_day: int = 15
    available_day: int = 15
    roll: Roll = "none"
    closed_on: tuple[date, ...] = ()
    holidays: tuple[str, ...] = ()
    holiday_dates: tuple[date, ...] = ()

    def off(self, day: date) -> bool:
        """Whether nobody works on a day."""
        return day.weekday() >= SATURDAY or day in self.closed_on or day in self.holiday_dates

    def business_day(self, day: date, step: timedelta = ONE_DAY) -> date:
        """The day itself, or the first one after it in the direction of `step` that is no day off."""
        return next((one for n in range(OFF_DAYS_MAX) if not self.off(one := day + n * step)), day)

    def business_days_after(self, day: date, count: int) -> date:
        """The day some business days later; from a day off they are counted from the first business day after it."""
        found = self.business_day(day)
        for _ in range(count):
            found = self.business_day(found + ONE_DAY)
        return found


@frozen
class Dates:
    """A statement is issued, may be reviewed until, is to be paid by, and its money is with the payee on these days."""

    issues_on: date
    review_until: date
    pay_by: date
    available_on: date


def period_of(day: date, cadence: Cadence) -> str:
    """The period that a day is in."""
    if cadence == "week":
        year, week, _ = day.isocalendar()
        return f"{year}-W{week:02}"
    if cadence == "quarter":
        return f"{day.year}-Q{(day.month - 1) // QUARTER_MONTHS + 1}"
    return iso(day)[:MONTH_CHARACTERS]


def period_end(period: str) -> date:
    """The first day after a period. Raises PeriodInvalid for what is none."""
    year, _, part = period.partition("-")
    try:
        found, cadence = _end_of(int(year), part)
        if period_of(found - timedelta(days=1), cadence) != period:
            raise PeriodInvalid
    except (ValueError, OverflowError):
        raise PeriodInvalid from None
    return found


def _end_of(year: int, part: str) -> tuple[date, Cadence]:
    if part.startswith("W"):
        return date.fromisocalendar(year, int(part[1:]), 1) + timedelta(weeks=1), "week"
    quarter = part.startswith("Q")
    last = int(part[1:]) * QUARTER_MONTHS if quarter else int(part)
    first = date(year, last, 1)
    following = date(first.year + first.month // MONTHS, first.month % MONTHS + 1, 1)
    return following, "quarter" if quarter else "month"


def dates_of(period: str, calendar: Calendar) -> Dates:
    """The days of a period's statement."""
    end = period_end(period)
    return Dates(
        issues_on=_day_after(end, calendar.statement_day, calendar),
        review_until=_day_after(end, calendar.review_day, calendar),
        pay_by=_day_after(end, calendar.pay_by_day, calendar),
        available_on=_day_after(end, calendar.available_day, calendar),
    )


def _day_after(end: date, number: int, calendar: Calendar) -> date:
    """The day of that number after a period; never before its end, so that a statement leaves nothing out."""
    day = end + timedelta(days=number - 1)
    if calendar.roll == "none":
        return day
    before = calendar.business_day(day, -ONE_DAY)
    return before if calendar.roll == "preceding" and before >= end else calendar.business_day(day)


def calendar_faults(calendar: Calendar) -> list[str]:
    """What is wrong with the days, in sentences; nothing for sound ones."""
    days = [calendar.statement_day, calendar.review_day, calendar.pay_by_day, calendar.available_day]
    found = [] if all(1 <= day <= DAY_MAX for day in days) else [f"a day of the calendar is 1 to {DAY_MAX}"]
    if days != sorted(days):
        found.append("a statement is issued, then reviewed, then paid, then available")
    if len(calendar.holidays) > HOLIDAYS_MAX:
        found.append(f"holidays are those of {HOLIDAYS_MAX} places at most")
    if bool(calendar.holiday_dates) != bool(calendar.holidays):
        found.append("holidays are written out as dates")
    return found
