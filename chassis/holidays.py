"""Public holidays as dates, from the calendars that a library knows: rules name places, and keep the dates."""

import re
from collections.abc import Callable, Iterable
from datetime import date, datetime
from typing import Any

from chassis.rulebook import RulesInvalid

YEARS_AHEAD = 5
"""Rules name the holidays of the year in which they are drafted, and of so many more."""
PLACE = re.compile("[A-Z]{2}(-[A-Z0-9]{1,5})?")
NAMED, DATES = "holidays", "holiday_dates"


def written_out_in(part: str, places_max: int) -> Callable[[dict[str, Any], datetime], dict[str, Any]]:
    """Completes rules whose `part` names places: with the dates of their holidays, so that whoever publishes sees them.

    Dates that were written out before are written anew. It raises RulesInvalid for a calendar that nobody knows. For more
    places than rules may name nothing is written out: the rules say why they are invalid.
    """

    def written_out(body: dict[str, Any], now: datetime) -> dict[str, Any]:
        found = body.get(part)
        if not isinstance(found, dict):
            return body
        rest = {name: value for name, value in found.items() if name != DATES}
        named = found.get(NAMED)
        if not isinstance(named, list) or not 0 < len(named) <= places_max:
            return {**body, part: rest}
        days = _dates_of(map(str, named), now.year, part)
        return {**body, part: {**rest, DATES: [day.isoformat() for day in days]}}

    return written_out


def _dates_of(places: Iterable[str], first: int, part: str) -> list[date]:
    """The days on which one of the places has a holiday, from the year `first` on."""
    years = range(first, first + YEARS_AHEAD + 1)
    return sorted({day for place in places for day in _of(place, years, part)})


def _of(place: str, years: Iterable[int], part: str) -> Iterable[date]:
    import holidays

    if not PLACE.fullmatch(place):  # any other word may name something else in the library
        raise _unknown(place, part)
    country, _, division = place.partition("-")
    try:
        return list(holidays.country_holidays(country, subdiv=division or None, years=years))
    except NotImplementedError as error:  # how the library says that it knows no such country or part of one
        raise _unknown(place, part) from error


def _unknown(place: str, part: str) -> RulesInvalid:
    text = f"there is no calendar of holidays for {place!r}: name a country, or a part of it as DE-BE"
    return RulesInvalid(text, errors=[{"path": f"body.{part}.{NAMED}", "code": "unknown-calendar", "message": text}])
