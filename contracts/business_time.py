"""Business time: the hours in which somebody is there, so that a due date never falls into a night or a holiday."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from chassis.event import frozen

BUSINESS_DAY = timedelta(minutes=480)
"""One business day: eight hours of the calendar, however long its own days are."""
AHEAD_DAYS_MAX = 3_700
"""How far a due date is looked for; a calendar that is open once a year still has ten of its days in it."""

HOLIDAYS_MAX = 10
"""Places whose public holidays one calendar keeps."""
DAYS_KNOWN = 4_096
"""Days whose hours are not worked out anew: one review looks at the same few several times."""


class NeverOpen(ValueError):
    """The calendar has too few open hours ahead."""


@frozen
class BusinessCalendar:
    """When somebody is there, in local time of `zone`. Weekdays are ISO's: 1 is Monday."""

    zone: str
    opens_at: time = time(9)
    closes_at: time = time(17)
    weekdays: tuple[int, ...] = (1, 2, 3, 4, 5)
    closed_on: tuple[date, ...] = ()

    def after(self, start: datetime, span: timedelta) -> datetime:
        """The instant at which `span` of open time has passed since `start`, in UTC. Raises NeverOpen."""
        left = span
        for opens, closes in self._windows(start):
            begins = max(start, opens)
            if left <= closes - begins:
                return (begins + left).astimezone(UTC)
            left -= max(closes - begins, timedelta())
        raise NeverOpen(f"{span} of open time lies more than {AHEAD_DAYS_MAX} days ahead")

    def between(self, start: datetime, end: datetime) -> timedelta:
        """The open time from `start` to `end`; none when `end` is earlier."""
        passed = timedelta()
        for opens, closes in self._windows(start):
            if opens >= end:
                break
            passed += max(min(closes, end) - max(opens, start), timedelta())
        return passed

    def _windows(self, since: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The open hours of each day from the day of `since` on, in UTC: a change to summer time moves none of them."""
        first, closed = since.astimezone(ZoneInfo(self.zone)).date(), frozenset(self.closed_on)
        for ahead in range(AHEAD_DAYS_MAX):
            day = first + timedelta(days=ahead)
            if day.isoweekday() in self.weekdays and day not in closed:
                yield _hours(self.zone, day, self.opens_at, self.closes_at)


@lru_cache(maxsize=DAYS_KNOWN)
def _hours(zone: str, day: date, opens_at: time, closes_at: time) -> tuple[datetime, datetime]:
    """The open hours of one day in UTC."""
    opens, closes = (datetime.combine(day, at, ZoneInfo(zone)) for at in (opens_at, closes_at))
    return opens.astimezone(UTC), closes.astimezone(UTC)
