"""The rules of one certification: how long a certificate holds, and from when a renewed one counts."""

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from chassis.event import frozen
from chassis.rulebook import Decision, Input, Kind, Reason

EARNED, RENEWED, OVER = "earned", "renewed", "over"
MONTHS_MAX, RENEW_DAYS_MAX = 60, 180
MONTHS_OF_A_YEAR = 12


@frozen
class CertificationRules:
    """The body of the rulebook kind `certification`; the rulebook's id is the certification's.

    A certificate holds so many months, its end exclusive. Renewed in the last `renew_days`, it runs on from its old end.
    Days begin at midnight in `zone`.
    """

    name: str
    months: int = 12
    renew_days: int = 60
    zone: str = "UTC"


@frozen
class Assessment:
    """Someone has shown on a day what it takes, and perhaps holds a certificate until another day."""

    earned_on: date
    held_until: date | None = None
    today: date


def evaluate(facts: Assessment, rules: CertificationRules) -> Decision:
    """From when until when the certificate holds; over where that has passed."""
    runs_on = _runs_on(facts, rules)
    start = facts.held_until if runs_on and facts.held_until else facts.earned_on
    until = months_after(start, rules.months)
    outcome = RENEWED if runs_on else EARNED
    return Decision(
        outcome=OVER if until <= facts.today else outcome,
        reasons=(Reason(code="runs-on", text="It was renewed in time, and runs on from its old end."),)
        if runs_on
        else (),
        inputs=tuple(
            Input(name=name, value=value.isoformat() if value else None)
            for name, value in (("earned_on", facts.earned_on), ("held_until", facts.held_until))
        ),
        detail={"valid_from": facts.earned_on.isoformat(), "valid_until": until.isoformat()},
    )


def _runs_on(facts: Assessment, rules: CertificationRules) -> bool:
    if facts.held_until is None:
        return False
    return facts.held_until - timedelta(days=rules.renew_days) <= facts.earned_on < facts.held_until


def months_after(day: date, months: int) -> date:
    """The same day so many months later; the last of the month where that has no such day."""
    years, month = divmod(day.month - 1 + months, MONTHS_OF_A_YEAR)
    last = calendar.monthrange(day.year + years, month + 1)[1]
    return date(day.year + years, month + 1, min(day.day, last))


def begins_at(day: date, rules: CertificationRules) -> datetime:
    """When the day begins where the certification counts its days."""
    return datetime.combine(day, time(), ZoneInfo(rules.zone)).astimezone(UTC)


def today(now: datetime, rules: CertificationRules) -> date:
    """Which day it is there."""
    return now.astimezone(ZoneInfo(rules.zone)).date()


def faults(rules: CertificationRules) -> list[str]:
    """What a schema cannot say of these rules."""
    return [text for fits, text in _limits(rules) if not fits]


def _limits(rules: CertificationRules) -> Iterator[tuple[bool, str]]:
    yield bool(rules.name.strip()), "a certification has a name"
    yield 1 <= rules.months <= MONTHS_MAX, f"a certificate holds 1 to {MONTHS_MAX} months"
    yield 0 <= rules.renew_days <= RENEW_DAYS_MAX, f"renew_days lies between 0 and {RENEW_DAYS_MAX}"
    yield _is_zone(rules.zone), "zone is an IANA time zone, e.g. Europe/Berlin"


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def span_of(decision: Decision) -> tuple[date, date]:
    """The first day on which the certificate holds, and the first on which it does not any more."""
    detail: dict[str, Any] = decision.detail
    return date.fromisoformat(detail["valid_from"]), date.fromisoformat(detail["valid_until"])


CERTIFICATION = Kind[Assessment, CertificationRules](
    name="certification", body=CertificationRules, facts=Assessment, evaluate=evaluate, check=faults
)
