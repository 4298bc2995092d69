"""How values look to a reader: money, dates and times in its locale, times in the programme's zone. What is absent is a dash.

Words, such as the names of countries, are in the language of the pages.
"""

import re
import unicodedata
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_skeleton, format_time, format_timedelta
from babel.numbers import format_currency, format_decimal, format_percent

ABSENT = "\N{EN DASH}"
PERIODS = {"Q": "quarter", "W": "week"}
TAGS_MAX = 5
WORDS = Locale("en")
_COUNTRY = re.compile(r"^[A-Z]{2}$")
NO_COUNTRIES = frozenset(["AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"])
"""Territories of the locale data that nobody has an address in, or that ISO 3166 knows under another code."""
_INSTANT = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d")
_DAY = re.compile(r"^\d{4}-\d\d-\d\d$")
_SAID = re.compile(
    r"\b(?P<instant>\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d))"
    r"|\b(?P<day>\d{4}-\d\d-\d\d)\b|(?P<amount>-?\b\d+\.\d+) (?P<currency>[A-Z]{3})\b|\b(?P<figure>\d+\.\d{4})\b(?!\.)"
)


def locale_of(accept_language: str) -> Locale:
    """The first language of the header that is known here, else English."""
    for tag in accept_language.split(",")[:TAGS_MAX]:
        try:
            return Locale.parse(tag.split(";")[0].strip(), sep="-")
        except (ValueError, UnknownLocaleError):
            continue
    return Locale("en")


def instant_of(value: Any) -> datetime | None:
    """The instant of an ISO text, None for what is none."""
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return found if isinstance(found, datetime) and found.tzinfo else None


def number_of(value: Any) -> Decimal | None:
    """The number of a text, None for what is none."""
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


@dataclass(frozen=True)
class Formats:
    """One reader's way to see values, at `now`."""

    locale: Locale
    zone: ZoneInfo
    now: datetime

    def money(self, value: Any, currency: str = "") -> str:
        """`{"amount": "100.00", "currency": "EUR"}`, or an amount and its currency, as money."""
        if isinstance(value, dict):
            value, currency = value.get("amount"), str(value.get("currency", ""))
        number = number_of(value)
        if number is None or not currency:
            return ABSENT
        return format_currency(number, currency, locale=self.locale)

    def owed(self, value: Any, currency: str) -> str:
        """The balance of an account as what is owed: credits above zero."""
        number = number_of(value)
        return ABSENT if number is None else self.money(0 - number, currency)

    def number(self, value: Any) -> str:
        number = number_of(value)
        return ABSENT if number is None else format_decimal(number, locale=self.locale, decimal_quantization=False)

    def percent(self, value: Any) -> str:
        """A percent text such as `33.34`."""
        number = number_of(value)
        if number is None:
            return ABSENT
        return format_percent(number / 100, locale=self.locale, decimal_quantization=False)

    def day(self, value: Any) -> str:
        """A date, or the date of an instant in the programme's zone."""
        instant = instant_of(value)
        if instant is not None:
            return format_date(instant.astimezone(self.zone).date(), "medium", locale=self.locale)
        try:
            return format_date(date.fromisoformat(value), "medium", locale=self.locale)
        except (TypeError, ValueError):
            return ABSENT

    def month(self, value: Any) -> str:
        """A month such as `2026-03`, by name; a quarter or a week by its number."""
        year, _, part = str(value).partition("-")
        if part[:1] in PERIODS and part[1:].isdecimal():
            return f"{PERIODS[part[0]]} {int(part[1:])}, {year}"
        try:
            return format_skeleton("yMMMM", date.fromisoformat(f"{value}-01"), locale=self.locale)
        except ValueError:
            return ABSENT

    def moment(self, value: Any) -> str:
        """An instant to the minute, with its zone."""
        instant = instant_of(value)
        if instant is None:
            return ABSENT
        there = instant.astimezone(self.zone)
        return f"{self.day(instant)}, {format_time(there, 'short', locale=self.locale)} {there.tzname()}"

    def distance(self, value: Any) -> str:
        """How far an instant is from now: `in 12 days`, `3 hours ago`."""
        instant = instant_of(value)
        if instant is None:
            return ABSENT
        return format_timedelta(instant - self.now, add_direction=True, locale=WORDS)

    def said(self, text: Any) -> str:
        """Words of a service, with the instants, dates, amounts and figures to four places in them as the reader sees them."""
        return _SAID.sub(self._seen, str(text))

    def _seen(self, found: re.Match[str]) -> str:
        if found["figure"]:
            return self.number(Decimal(found["figure"]).normalize())
        if found["instant"]:
            return self.moment(found["instant"])
        return self.day(found["day"]) if found["day"] else self.money(found["amount"], found["currency"])

    def text(self, text: Any) -> str:
        """As `said`, as the beginning of a sentence."""
        said = self.said(text)
        return said[:1].upper() + said[1:]

    def countries(self) -> list[tuple[str, str]]:
        """Code and name of every country, by name."""
        names = (
            (code, name)
            for code, name in WORDS.territories.items()
            if _COUNTRY.match(code) and code not in NO_COUNTRIES
        )
        return sorted(names, key=lambda pair: unicodedata.normalize("NFKD", pair[1]).casefold())

    def country(self, code: Any) -> str:
        """The name of a country."""
        return str(WORDS.territories.get(str(code), code or ABSENT))

    def today(self) -> str:
        return self.now.astimezone(self.zone).date().isoformat()

    def kind(self, value: Any) -> str:
        """Which of money, map, list, instant, day, truth, text or absent a JSON value is."""
        if value is None or value in ("", [], {}):
            return "absent"
        match value:
            case {"amount": _, "currency": _}:
                return "money"
            case dict():
                return "map"
            case list():
                return "list"
            case bool():
                return "truth"
            case _:
                return _text_kind(str(value))


def _text_kind(text: str) -> str:
    if _INSTANT.match(text):
        return "instant"
    return "day" if _DAY.match(text) else "text"
