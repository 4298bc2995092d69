"""Terms that renew: what a first term and a renewal pay, and for how long a chain of terms goes on paying."""

from datetime import date
from decimal import Decimal

from chassis.event import frozen
from contracts.values import Term
from services.incentives.domain.schedule import PERCENT, sane

NOTHING = Decimal(0)
MONTHS_MAX = 1_200
MONTHS_A_YEAR = 12


@frozen
class Recurring:
    """`max_months` 0 pays the first term only, n the terms that start within n months of the chain's start, null all."""

    new_percent: Decimal
    renewal_percent: Decimal
    max_months: int | None = 0


def percent_of_term(terms: Recurring, starts_on: date, chain_started_on: date) -> Decimal:
    """The percent that a term of a chain pays."""
    if starts_on <= chain_started_on:
        return terms.new_percent
    if terms.max_months is None or starts_on < months_after(chain_started_on, terms.max_months):
        return terms.renewal_percent
    return NOTHING


def months_after(day: date, months: int) -> date:
    """The same day some months later; the month's last one where it has no such day."""
    year, month = divmod(day.year * MONTHS_A_YEAR + day.month - 1 + months, MONTHS_A_YEAR)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError(day)


def months_of(term: Term) -> int:
    """How many months a term has; a started one counts."""
    return _months(term.starts_on, term.ends_on)


def unearned_months(term: Term, ended_on: date) -> int:
    """The months of a term that are left when it ends early; the month that has begun is used."""
    return max(months_of(term) - _months(term.starts_on, max(ended_on, term.starts_on)), 0)


def _months(first: date, until: date) -> int:
    whole = (until.year - first.year) * MONTHS_A_YEAR + until.month - first.month
    return whole + (1 if months_after(first, whole) < until else 0)


def recurring_faults(terms: Recurring) -> list[str]:
    """What is wrong with the terms, in sentences; nothing for sound ones."""
    found = [
        "a recurring percent is a number from 0 to 100, with at most 4 digits after the point"
        for percent in (terms.new_percent, terms.renewal_percent)
        if not sane(percent) or not 0 <= percent <= PERCENT
    ]
    if terms.max_months is not None and not 0 <= terms.max_months <= MONTHS_MAX:
        found.append(f"max_months is 0 to {MONTHS_MAX}, or null for ever")
    return found
