"""Open hours, counted as people in the office count them."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.business_time import BUSINESS_DAY, BusinessCalendar, NeverOpen

BERLIN = BusinessCalendar(zone="Europe/Berlin", closed_on=(date(2026, 1, 1),))
INSTANTS = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001  hypothesis adds the zone


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin"))


def test_three_business_days_pass_over_new_year_and_a_weekend() -> None:
    assert BERLIN.after(berlin("2025-12-31T15:00"), 3 * BUSINESS_DAY) == berlin("2026-01-06T15:00")


def test_what_begins_in_the_night_begins_in_the_morning() -> None:
    assert BERLIN.after(berlin("2026-03-02T22:00"), timedelta(hours=1)) == berlin("2026-03-03T10:00")
    assert BERLIN.after(berlin("2026-03-06T18:00"), timedelta()) == berlin("2026-03-09T09:00")


def test_a_span_that_ends_at_closing_time_is_due_that_evening() -> None:
    assert BERLIN.after(berlin("2026-03-02T09:00"), BUSINESS_DAY) == berlin("2026-03-02T17:00")


def test_summer_time_moves_no_office_hour() -> None:
    assert BERLIN.after(berlin("2026-03-27T16:00"), timedelta(hours=2)) == berlin("2026-03-30T10:00")


def test_short_days_make_a_business_day_longer() -> None:
    mornings = BusinessCalendar(zone="UTC", opens_at=time(8), closes_at=time(12))
    assert mornings.after(datetime(2026, 3, 2, 8, tzinfo=UTC), BUSINESS_DAY) == datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_a_calendar_that_is_never_open_is_told() -> None:
    with pytest.raises(NeverOpen):
        BusinessCalendar(zone="UTC", weekdays=()).after(datetime(2026, 3, 2, tzinfo=UTC), BUSINESS_DAY)


@given(INSTANTS, st.integers(1, 100_000))
def test_the_time_to_a_due_date_is_the_time_that_was_given(start: datetime, minutes: int) -> None:
    span = timedelta(minutes=minutes)
    assert BERLIN.between(start, BERLIN.after(start, span)) == span


@given(INSTANTS, INSTANTS, INSTANTS)
def test_open_time_adds_up(one: datetime, two: datetime, three: datetime) -> None:
    a, b, c = sorted((one, two, three))
    assert BERLIN.between(a, c) == BERLIN.between(a, b) + BERLIN.between(b, c)
