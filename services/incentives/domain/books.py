"""The books: their currency, the rates of exchange that were recorded, and the months that are closed for ever.

One stream a month, and one (`currency`) that names the currency of the whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider, Invalid, Refused
from chassis.event import canonical_json, command, event, iso, sha256
from contracts.values import MINOR_DIGITS
from services.incentives.domain.exchange import Rate, newest, rate_faults

CURRENCY = "currency"
RATES_MAX = 200
MONTHS_A_YEAR = 12

# Events


@event("incentives.BooksOpened.v1")
class BooksOpened:
    currency: str
    source_event_id: str
    opened_at: datetime


@event("incentives.RatesRecorded.v1")
class RatesRecorded:
    """Rates of one source on one day. They are never changed; a later record of the same day counts first."""

    month: str
    source: str
    rates: tuple[Rate, ...]
    recorded_by: str
    recorded_at: datetime


@event("incentives.MonthClosed.v1")
class MonthClosed:
    """The trial balance of every currency and of the books up to `position` summed to nothing; `sha256` names it."""

    month: str
    position: int
    balances: dict[str, str]
    sha256: str
    closed_by: str
    closed_at: datetime


BooksEvent = BooksOpened | RatesRecorded | MonthClosed

# Commands


@command("incentives.OpenBooks.v1")
class OpenBooks:
    currency: str
    source_event_id: str
    now: datetime


@command("incentives.RecordRates.v1")
class RecordRates:
    source: str
    on: date
    pairs: dict[str, Decimal]
    by: str
    now: datetime


@command("incentives.CloseMonth.v1")
class CloseMonth:
    """`balances` are what the ledger sums to at `position`, by account and currency; `first_month` is its first."""

    month: str
    position: int
    balances: dict[str, str]
    totals: dict[str, str]
    first_month: str | None
    by: str
    now: datetime


# State


@dataclass(frozen=True)
class Books:
    """The currency, or a month's rates and whether it is closed."""

    currency: str | None = None
    rates: tuple[Rate, ...] = ()
    closed: MonthClosed | None = None


# Refusals


class RatesInvalid(Invalid):
    """A rate is of a pair such as EUR/USD, above 0, with at most 10 digits after the point, of a day that has come."""

    slug = "rates-invalid"


class MonthInvalid(Invalid):
    """A month is written 2026-03."""

    slug = "month-invalid"


class MonthOpen(Refused):
    """The month is not over: it can be closed from the first day of the next one."""

    slug = "period-open"


class PreviousOpen(Refused):
    """The month before is not closed: months are closed one after the other."""

    slug = "previous-open"


class BooksUnbalanced(Refused):
    """The ledger does not sum to nothing: it must not be closed before that is understood."""

    slug = "books-unbalanced"


# Decisions


def open_books(wish: OpenBooks, books: Books) -> list[BooksEvent]:
    """Names the currency of the books, once."""
    if books.currency is not None:
        return []
    return [BooksOpened(currency=wish.currency, source_event_id=wish.source_event_id, opened_at=wish.now)]


def record_rates(wish: RecordRates, books: Books) -> list[BooksEvent]:
    """Keeps the rates of a day. What counts already changes nothing; what was corrected since is recorded again."""
    return _recorded(wish, newest(books.rates))


def record_rates_once(wish: RecordRates, books: Books) -> list[BooksEvent]:
    """As the first evaluator decided: what was ever recorded changes nothing, also where it was corrected since."""
    return _recorded(wish, books.rates)


def _recorded(wish: RecordRates, known: tuple[Rate, ...]) -> list[BooksEvent]:
    if not wish.pairs or len(wish.pairs) > RATES_MAX or wish.on > wish.now.astimezone(UTC).date():
        raise RatesInvalid
    rates = tuple(_rate(pair, rate, wish) for pair, rate in sorted(wish.pairs.items()))
    if set(rates) <= set(known):
        return []
    return [
        RatesRecorded(
            month=month_name(wish.on), source=wish.source, rates=rates, recorded_by=wish.by, recorded_at=wish.now
        )
    ]


def _rate(pair: str, rate: Decimal, wish: RecordRates) -> Rate:
    base, _, quote = pair.partition("/")
    if base not in MINOR_DIGITS or quote not in MINOR_DIGITS:
        raise RatesInvalid(f"{pair!r} is not a pair of currencies such as EUR/USD")
    made = Rate(base=base, quote=quote, rate=rate, on=wish.on, source=wish.source)
    if faults := rate_faults(made):
        raise RatesInvalid(faults[0])
    return made


def close_month(wish: CloseMonth, books: Books, previous: Books) -> list[BooksEvent]:
    """Closes a month that is over, after the one before it, when everything sums to nothing."""
    if books.closed:
        return []
    if iso(wish.now.astimezone(UTC).date()) < f"{month_after(wish.month)}-01":
        raise MonthOpen
    if wish.first_month is not None and wish.first_month < wish.month and not previous.closed:
        raise PreviousOpen(previous=month_before(wish.month))
    if off := {name: total for name, total in wish.totals.items() if Decimal(total)}:
        raise BooksUnbalanced(totals=off)
    return [
        MonthClosed(
            month=wish.month,
            position=wish.position,
            balances=wish.balances,
            sha256=sha256(canonical_json(wish.balances)),
            closed_by=wish.by,
            closed_at=wish.now,
        )
    ]


# Months


def month_name(day: date) -> str:
    return f"{day.year:04}-{day.month:02}"


def month_after(month: str) -> str:
    return _shifted(month, 1)


def month_before(month: str) -> str:
    return _shifted(month, -1)


def months_back(last: str, first: str, most: int) -> list[str]:
    """The months from the last one back to the first, at most so many."""
    found = [last]
    while len(found) < most and found[-1] > first:
        found.append(month_before(found[-1]))
    return found


def _shifted(month: str, by: int) -> str:
    year, _, number = month.partition("-")
    try:
        moved = date(int(year), int(number), 1)
    except ValueError:
        raise MonthInvalid from None
    count = moved.year * MONTHS_A_YEAR + moved.month - 1 + by
    return f"{count // MONTHS_A_YEAR:04}-{count % MONTHS_A_YEAR + 1:02}"


def months_about(days: Iterable[date]) -> tuple[str, ...]:
    """The months whose rates may hold on some days: their own and the one before."""
    names = {month_name(day) for day in days}
    return tuple(sorted(names | {month_before(name) for name in names}))


def booked_month(booked_on: date, position: int, closed: Mapping[str, int]) -> str:
    """The month in which a journal counts: that of its day, or the first one open where that closed before it.

    `closed` holds the position at which each closed month was closed.
    """
    month = month_name(booked_on)
    while month in closed and closed[month] < position:
        month = month_after(month)
    return month


# Evolve


def evolve(books: Books, happened: BooksEvent) -> Books:
    match happened:
        case BooksOpened():
            return replace(books, currency=happened.currency)
        case RatesRecorded():
            return replace(books, rates=(*books.rates, *happened.rates))
        case MonthClosed():
            return replace(books, closed=happened)
        case _:
            assert_never(happened)


AllBooks = Decider[Books, BooksEvent](kind="books", initial=Books(), evolve=evolve)
