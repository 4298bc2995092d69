"""How long a hold lasts: to the local midnight that closes the start date plus the length."""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from chassis.event import utc
from contracts.values import Span
from services.registration.domain.rules import SUBMISSION, DealRules

DAYS_OF_A_WEEK = 7


def counted_from(rules: DealRules, *, submitted_at: datetime, approved_at: datetime) -> date:
    """The local day from which the length of a hold is counted."""
    start = submitted_at if rules.protection.starts == SUBMISSION else approved_at
    return start.astimezone(ZoneInfo(rules.zone)).date()


def protection_of(rules: DealRules, *, submitted_at: datetime, approved_at: datetime) -> Span:
    """The hold that an approval gives. It starts at the approval, also where its length counts from the submission."""
    first_day = counted_from(rules, submitted_at=submitted_at, approved_at=approved_at)
    closing = _closing(rules, first_day + timedelta(days=rules.protection.days))
    return Span(start=approved_at, end=max(closing, approved_at))


def extended_end(rules: DealRules, span: Span, first_day: date) -> datetime:
    """The end that an extension would give, within the longest total that the rules allow."""
    last_day = span.end.astimezone(ZoneInfo(rules.zone)).date() - timedelta(days=1)
    protection = rules.protection
    wished, longest = (
        last_day + timedelta(days=protection.extension_days),
        first_day + timedelta(days=protection.total_days_max),
    )
    return _closing(rules, min(wished, longest))


def _closing(rules: DealRules, day: date) -> datetime:
    """The midnight that closes a local day."""
    return utc(datetime.combine(day + timedelta(days=1), time(), ZoneInfo(rules.zone)))


def free_from(rules: DealRules, end: datetime) -> date:
    """The Monday after a hold's end: all that a rival learns of it."""
    day = end.astimezone(ZoneInfo(rules.zone)).date()
    return day + timedelta(days=DAYS_OF_A_WEEK - day.weekday())
