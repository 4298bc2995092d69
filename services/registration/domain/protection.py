"""How long a hold lasts: to the local midnight that closes the start date plus the length."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chassis.event import utc
from contracts.values import Span
from services.registration.domain.rules import SUBMISSION, DealRules

DAYS_OF_A_WEEK = 7


def protection_of(rules: DealRules, *, submitted_at: datetime, approved_at: datetime) -> Span:
    """The hold that an approval gives. It starts at the approval, also where its length counts from the submission."""
    counted_from = submitted_at if rules.protection.starts == SUBMISSION else approved_at
    zone = ZoneInfo(rules.zone)
    last_day = counted_from.astimezone(zone).date() + timedelta(days=rules.protection.days)
    closing = utc(datetime.combine(last_day + timedelta(days=1), time(), zone))
    return Span(start=approved_at, end=max(closing, approved_at))


def free_from(rules: DealRules, end: datetime) -> date:
    """The Monday after a hold's end: all that a rival learns of it."""
    day = end.astimezone(ZoneInfo(rules.zone)).date()
    return day + timedelta(days=DAYS_OF_A_WEEK - day.weekday())
