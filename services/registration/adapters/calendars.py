"""Public holidays as dates, from the calendars that a library knows."""

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from chassis.rulebook import RulesInvalid
from services.registration.domain.rules import HOLIDAYS_MAX

YEARS_AHEAD = 5
"""Rules name the holidays of the year in which they are drafted, and of so many more."""
PLACE = re.compile("[A-Z]{2}(-[A-Z0-9]{1,5})?")
HOURS, NAMED, DATES = "hours", "holidays", "holiday_dates"


def written_out(body: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The rules with the dates of the holidays that they name, so that whoever publishes them sees which days are off.

    Dates that were written out before are written anew. Raises RulesInvalid for a calendar that nobody knows. For more
    places than rules may name nothing is written out: the rules say why they are invalid.
    """
    hours = body.get(HOURS)
    if not isinstance(hours, dict):
        return body
    rest = {name: value for name, value in hours.items() if name != DATES}
    named = hours.get(NAMED)
    if not isinstance(named, list) or not 0 < len(named) <= HOLIDAYS_MAX:
        return {**body, HOURS: rest}
    return {**body, HOURS: {**rest, DATES: [day.isoformat() for day in dates_of(map(str, named), now.year)]}}


def dates_of(places: Iterable[str], first: int) -> list[date]:
    """The days on which one of the places has a holiday, from the year `first` on."""
    years = range(first, first + YEARS_AHEAD + 1)
    return sorted({day for place in places for day in _of(place, years)})


def _of(place: str, years: Iterable[int]) -> Iterable[date]:
    import holidays

    if not PLACE.fullmatch(place):  # any other word may name something else in the library
        raise _unknown(place)
    country, _, part = place.partition("-")
    try:
        return list(holidays.country_holidays(country, subdiv=part or None, years=years))
    except NotImplementedError as error:
        raise _unknown(place) from error


def _unknown(place: str) -> RulesInvalid:
    text = f"there is no calendar of holidays for {place!r}: name a country, or a part of it as DE-BE"
    return RulesInvalid(text, errors=[{"path": f"body.{HOURS}.{NAMED}", "code": "unknown-calendar", "message": text}])
