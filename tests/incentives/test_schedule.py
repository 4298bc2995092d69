"""The worked examples of the incentives page: what a schedule makes of a measure."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.rulebook import RulesInvalid
from services.incentives.domain.rating import PLANS
from services.incentives.domain.schedule import (
    Band,
    Schedule,
    faults,
    pay_between,
    value_of,
    values_without_bands,
)
from tests.incentives.facts import plan

D = Decimal
AT = datetime(2026, 3, 2, tzinfo=UTC)
MILLION = 1_000_000
REBATE = (
    Band(up_to=D(1 * MILLION), percent=D(1)),
    Band(up_to=D(2_500_000), percent=D(2)),
    Band(up_to=D(3_500_000), percent=D(3)),
)


def test_done_when_1_marginal_10_percent_to_10_000_then_20_percent_is_2_000_on_15_000():
    schedule = Schedule(semantics="marginal", bands=(Band(up_to=D(10_000), percent=D(10)), Band(percent=D(20))))
    assert value_of(schedule, D(15_000)) == D(2_000)


def test_done_when_1_a_rebate_on_3_000_000_is_worth_55_000_marginal_and_90_000_retroactive():
    assert value_of(Schedule(semantics="marginal", bands=REBATE), D(3 * MILLION)) == D(55_000)
    assert value_of(Schedule(semantics="retroactive", bands=REBATE), D(3 * MILLION)) == D(90_000)


@pytest.mark.parametrize(("measure", "pays"), [(110_000, 1_000), (100_000, 1_000), (90_000, 0), (0, 0)])
@pytest.mark.parametrize("semantics", ["marginal", "retroactive"])
def test_done_when_1_a_flat_1_000_from_100_000_is_1_000_on_110_000_and_nothing_on_90_000(semantics, measure, pays):
    bands = (Band(up_to=D(100_000), includes_up_to=False, flat=D(0)), Band(flat=D(1_000)))
    assert value_of(Schedule(semantics=semantics, bands=bands), D(measure)) == D(pays)


def test_a_bound_belongs_to_the_lower_band_unless_it_says_otherwise():
    lower, upper = Band(up_to=D(100), percent=D(1)), Band(percent=D(2))
    assert value_of(Schedule(semantics="retroactive", bands=(lower, upper)), D(100)) == D(1)
    exclusive = Band(up_to=D(100), includes_up_to=False, percent=D(1))
    assert value_of(Schedule(semantics="retroactive", bands=(exclusive, upper)), D(100)) == D(2)


def test_a_finite_last_bound_caps_the_measure():
    schedule = Schedule(semantics="marginal", bands=(Band(up_to=D(1_000), percent=D(10)),))
    assert value_of(schedule, D(5_000)) == D(100)


@pytest.mark.parametrize(("measure", "currency", "pays"), [("0.03", "EUR", "0.01"), ("3", "JPY", "1")])
def test_done_when_1_3_minor_units_at_20_percent_are_1(measure, currency, pays):
    schedule = Schedule(semantics="marginal", bands=(Band(percent=D(20)),))
    assert pay_between(schedule, D(0), D(measure), currency).amount == D(pays)


@pytest.mark.parametrize(
    ("measure", "percent", "currency", "pays"),
    [
        ("500", "2.9", "JPY", "15"),
        ("5.00", "2.9", "EUR", "0.15"),
        ("1.000", "0.05", "KWD", "0.001"),
    ],
)
def test_rounding_is_half_up_at_the_minor_unit(measure, percent, currency, pays):
    schedule = Schedule(semantics="marginal", bands=(Band(percent=D(percent)),))
    assert pay_between(schedule, D(0), D(measure), currency).amount == D(pays)


@pytest.mark.parametrize(("semantics", "second"), [("marginal", "5600.00"), ("retroactive", "9600.00")])
def test_done_when_1_a_quarter_with_a_quota_pays_3_000_then_5_600_or_9_600(semantics, second):
    bands = (Band(up_to=D(100), percent=D(5)), Band(percent=D(9)))
    schedule = Schedule(semantics=semantics, bands=bands, axis="attainment", quota=D(100_000))
    assert pay_between(schedule, D(0), D(60_000), "EUR").amount == D("3000.00")
    assert pay_between(schedule, D(60_000), D(140_000), "EUR").amount == D(second)


def test_units_are_paid_each():
    bands = (Band(up_to=D(10), per_unit=D(5)), Band(per_unit=D(7)))
    assert value_of(Schedule(semantics="marginal", bands=bands, axis="units"), D(12)) == D(64)
    assert value_of(Schedule(semantics="retroactive", bands=bands, axis="units"), D(12)) == D(84)


@pytest.mark.parametrize(
    "bands",
    [
        (),
        (Band(),),
        (Band(percent=D(1), flat=D(1)),),
        (Band(percent=D(-1)),),
        (Band(percent=D(101)),),
        (Band(percent=D("1.00001")),),
        (Band(percent=D("NaN")),),
        (Band(per_unit=D(1)),),
        (Band(percent=D(1)), Band(up_to=D(5), percent=D(1))),
        (Band(up_to=D(5), percent=D(1)), Band(up_to=D(5), percent=D(2))),
        (Band(up_to=D("Infinity"), percent=D(1)),),
        (Band(flat=D("1e400")),),
        (Band(up_to=D("1e13"), percent=D(1)),),
        (Band(flat=D("0." + "1" * 400)),),
        tuple(Band(up_to=D(n + 1), percent=D(1)) for n in range(51)),
    ],
)
def test_a_schedule_that_says_two_things_or_none_is_faulty(bands):
    assert faults(Schedule(semantics="marginal", bands=bands))


def test_semantics_is_never_a_default():
    body = plan()
    del body["schedule"]["semantics"]
    with pytest.raises(RulesInvalid):
        PLANS.read(body)


def test_an_attainment_needs_a_quota():
    assert faults(Schedule(semantics="marginal", bands=(Band(percent=D(1)),), axis="attainment"))
    assert not faults(Schedule(semantics="marginal", bands=(Band(percent=D(1)),), axis="attainment", quota=D(1)))


def test_a_sound_plan_has_no_faults():
    assert PLANS.check(PLANS.read(plan())) == []


@pytest.mark.parametrize("wrong", [{"currency": "EURO"}, {"hold_days": 181}, {"name": " "}, {"refund_days": -1}])
def test_a_plan_names_what_is_wrong_with_it(wrong):
    assert PLANS.check(PLANS.read(plan(**wrong)))


@pytest.mark.parametrize("name", ["product_families", "skus", "deal_types"])
def test_a_new_plan_names_at_most_200_families_products_or_deal_types(name):
    full = plan(**{name: [f"n{place}" for place in range(200)]})
    assert PLANS.completed(full, AT) == full
    with pytest.raises(RulesInvalid, match=f"{name} names at most 200"):
        PLANS.completed(plan(**{name: ["n"] * 201}), AT)


def test_a_plan_that_named_more_before_is_decided_as_it_was():
    assert PLANS.check(PLANS.read(plan(skus=["n"] * 201))) == []


# Without each band


def without_band(schedule: Schedule, place: int) -> Schedule:
    """The schedule written anew without a band: its end goes to the band below it."""
    kept = list(schedule.bands)
    gone = kept.pop(place)
    if place:
        kept[place - 1] = replace(kept[place - 1], up_to=gone.up_to, includes_up_to=gone.includes_up_to)
    return replace(schedule, bands=tuple(kept))


BOUNDS = st.lists(st.integers(1, 30), min_size=1, max_size=5, unique=True).map(sorted)
RATES = st.tuples(st.sampled_from(["percent", "flat"]), st.integers(0, 40), st.booleans())


@st.composite
def schedules(draw):
    bounds = [D(bound * 10) for bound in draw(BOUNDS)]
    ends = [*bounds, draw(st.sampled_from([None, D(310)]))]
    bands = []
    for end in ends:
        name, number, includes = draw(RATES)
        bands.append(Band(up_to=end, includes_up_to=includes, **{name: D(number)}))
    cap, floor = draw(st.sampled_from([(None, None), (D(40), D(3))]))
    semantics = draw(st.sampled_from(["marginal", "retroactive"]))
    return Schedule(semantics=semantics, bands=tuple(bands), cap=cap, floor=floor)


@given(schedules(), st.integers(-1, 66))
def test_what_is_reckoned_without_a_band_is_what_the_schedule_without_it_is_worth(schedule, fives):
    measure = D(fives * 5)
    plain = [value_of(without_band(schedule, place), measure) for place in range(len(schedule.bands))]
    assert values_without_bands(schedule, measure) == plain


def test_without_the_second_band_its_slice_is_rated_with_the_first():
    thirds = Schedule(
        semantics="marginal",
        bands=(Band(up_to=D(100), percent=D(10)), Band(up_to=D(200), percent=D(20)), Band(percent=D(30))),
    )
    assert value_of(thirds, D(250)) == D(45)
    assert values_without_bands(thirds, D(250)) == [D(55), D(35), D(40)]
    assert values_without_bands(replace(thirds, semantics="retroactive"), D(250)) == [D(75), D(75), D(50)]
