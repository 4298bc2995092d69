"""The engine for many lines answers what the schedule answers, to the minor unit."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.values import MINOR_DIGITS, round_half_up
from services.incentives.domain.bulk import MEASURE_DIGITS, compiled, rated, whole
from services.incentives.domain.schedule import Band, Schedule, value_of

D = Decimal
MONEY = st.decimals(min_value=0, max_value=300_000, places=2)
RATES = st.one_of(
    st.builds(lambda p: {"percent": p}, st.decimals(min_value=0, max_value=100, places=4)),
    st.builds(lambda f: {"flat": f}, st.decimals(min_value=0, max_value=1_000, places=4)),
)


@st.composite
def schedules(draw):
    bounds = sorted(draw(st.sets(st.integers(min_value=1, max_value=200_000), max_size=5)))
    bands = [Band(up_to=D(bound), includes_up_to=draw(st.booleans()), **draw(RATES)) for bound in bounds]
    bands += [Band(**draw(RATES))] if draw(st.booleans()) or not bounds else []
    floor, cap = sorted(draw(st.lists(MONEY, min_size=2, max_size=2)))
    bounded = {"floor": floor, "cap": cap} if draw(st.booleans()) else {}
    return Schedule(semantics=draw(st.sampled_from(["marginal", "retroactive"])), bands=tuple(bands), **bounded)


@given(
    schedules(),
    st.one_of(MONEY, st.integers(min_value=0, max_value=200_000).map(D)),
    st.sampled_from(["EUR", "JPY", "KWD"]),
)
def test_whole_numbers_come_to_what_decimals_come_to(schedule, measure, currency):
    worth = compiled(schedule, currency).worth(whole(measure, MEASURE_DIGITS))
    assert D(worth).scaleb(-MINOR_DIGITS[currency]) == round_half_up(value_of(schedule, measure), currency).amount


@given(
    schedules(), st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 9_999_999), st.integers(0, 1_000_000)))
)
def test_the_lines_of_a_window_sum_to_its_rounded_whole(schedule, lines):
    pays = rated(schedule, "EUR", lines)
    for window in ("a", "b"):
        measure = sum((D(basis) / 100 * D(share) / 1_000_000 for name, basis, share in lines if name == window), D(0))
        paid = sum(pay for (name, _, _), pay in zip(lines, pays, strict=True) if name == window)
        assert D(paid) / 100 == round_half_up(value_of(schedule, measure), "EUR").amount


def test_done_when_1_500_at_2_9_percent_are_15_where_binary_floating_point_gives_14():
    schedule = Schedule(semantics="marginal", bands=(Band(percent=D("2.9")),))
    assert rated(schedule, "JPY", [("a", 500, 1_000_000)]) == [15]
    assert int(500 * (2.9 / 100)) == 14


def test_units_are_paid_each():
    bands = (Band(up_to=D(10), per_unit=D(5)), Band(per_unit=D(7)))
    schedule = Schedule(semantics="marginal", bands=bands, axis="units")
    assert compiled(schedule, "EUR").worth(whole(D(12), MEASURE_DIGITS)) == 6_400


def test_a_number_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="digits"):
        whole(D("0." + "1" * 15), MEASURE_DIGITS)
