"""Whether a deal's fields fit: what the programme requires, and what no deal may say."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from services.registration.domain.customer import Customer
from services.registration.domain.deal import FieldNotEditable, Incomplete
from services.registration.domain.deal_events import Details
from services.registration.domain.rules import DealRules

CLOSE_YEARS_MAX = 3


def fitting(
    customer: Customer, details: Details, rules: DealRules, now: datetime, unsaid: tuple[str, ...] = ()
) -> None:
    """Raises Incomplete naming every field that is missing or out of range."""
    faults = [*missing(customer, details, rules, unsaid), *detail_faults(details, rules.zone, now)]
    if faults:
        raise Incomplete(faults[0]["message"], errors=faults)


def missing(
    customer: Customer, details: Details, rules: DealRules, unsaid: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    """The fields that the programme requires and nobody filled in; `unsaid` are those that hold a default."""
    for name in rules.required:
        if name in unsaid or not (getattr(details, name, None) or getattr(customer, name, None)):
            yield _fault(name, "required", f"the programme requires {name}")


def detail_faults(details: Details, zone: str, now: datetime) -> Iterator[dict[str, Any]]:
    """What is out of range in the programme's zone now."""
    today = now.astimezone(ZoneInfo(zone)).date()
    if details.amount.amount <= 0:
        yield _fault("amount", "not-positive", "the amount is more than nothing")
    if not today <= details.close_on <= _years_later(today, CLOSE_YEARS_MAX):
        yield _fault("close_on", "out-of-range", f"the close date lies within {CLOSE_YEARS_MAX} years from today")


def only(named: tuple[str, ...], changed: tuple[str, ...]) -> tuple[str, ...]:
    """The changed fields. Raises FieldNotEditable for one that was not named."""
    others = [name for name in changed if name not in named]
    if others:
        errors = [_fault(name, "field-not-editable", "this field was not asked for") for name in others]
        raise FieldNotEditable(f"{others[0]} was not asked for", errors=errors)
    return changed


def _fault(path: str, code: str, message: str) -> dict[str, Any]:
    return {"path": path, "code": code, "message": message}


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)
