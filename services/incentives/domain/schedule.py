"""A schedule is one pure function from a measure to a value: `F(measure)`. Bands, accelerators and rebates are all it.

A line of an accumulating plan pays `round(F(after)) - round(F(before))`, so the lines of a window sum to
`round(F(total))` however the total was sliced and in whatever order the slices came.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import takewhile
from typing import Literal, NamedTuple

from chassis.event import frozen
from contracts.values import Money, round_half_up

NOTHING = Decimal(0)
PERCENT = Decimal(100)
BANDS_MAX = 50
DIGITS_MAX = 4
NUMBER_MAX = 1_000_000_000_000


@frozen
class Band:
    """One band up to a bound, with exactly one rate. Without `up_to` it has no end; only the last may."""

    up_to: Decimal | None = None
    includes_up_to: bool = True
    percent: Decimal | None = None
    per_unit: Decimal | None = None
    flat: Decimal | None = None


@frozen
class Schedule:
    """Marginal: each slice at its band, each flat that is reached. Retroactive: everything at the band reached.

    On the axis `amount` the measure is money of the plan, on `units` pieces, on `attainment` money whose bounds are
    percent of `quota`. A finite last bound caps the measure; `cap` and `floor` bound the value of what is above nothing.
    """

    semantics: Literal["marginal", "retroactive"]
    bands: tuple[Band, ...]
    axis: Literal["amount", "units", "attainment"] = "amount"
    quota: Decimal | None = None
    cap: Decimal | None = None
    floor: Decimal | None = None


@frozen
class Slice:
    """What one band makes of a measure. `band` counts from 1."""

    band: int
    measure: Decimal
    rate: str
    value: Decimal


class Reach(NamedTuple):
    """A band with its bounds on the measure. A tuple, because an estimate makes thousands of them."""

    number: int
    above: Decimal
    up_to: Decimal | None
    opens_at_bound: bool
    band: Band

    def reached(self, measure: Decimal) -> bool:
        return measure > self.above or (self.opens_at_bound and measure == self.above)


ReachedParts = list[tuple[Reach, Decimal]]
"""The bands that a measure reaches, lowest first, each with what it rates of it."""


def value_of(schedule: Schedule, measure: Decimal) -> Decimal:
    """F(measure), not rounded."""
    return bounded(schedule, sum((_value(it.band, part) for it, part in _parts(schedule, measure)), NOTHING), measure)


def bounded(schedule: Schedule, value: Decimal, measure: Decimal) -> Decimal:
    """The value within the window's floor and cap; nothing earns nothing."""
    if measure <= 0:
        return value
    lifted = value if schedule.floor is None else max(value, schedule.floor)
    return lifted if schedule.cap is None else min(lifted, schedule.cap)


def pay_between(schedule: Schedule, before: Decimal, after: Decimal, currency: str) -> Money:
    """What a step of the measure pays: `round(F(after)) - round(F(before))`."""
    return round_half_up(value_of(schedule, after), currency) - round_half_up(value_of(schedule, before), currency)


def slices(schedule: Schedule, measure: Decimal) -> tuple[Slice, ...]:
    """The parts of F(measure), band by band."""
    return tuple(
        Slice(band=it.number, measure=part, rate=_rate_text(it.band), value=_value(it.band, part))
        for it, part in _parts(schedule, measure)
    )


def _parts(schedule: Schedule, measure: Decimal) -> ReachedParts:
    """The bands that count, lowest first, each with the part of the measure that it rates."""
    reached = _reached_parts(schedule, measure)
    return reached if schedule.semantics == "marginal" else reached[-1:]


def _reached_parts(schedule: Schedule, measure: Decimal) -> ReachedParts:
    """The bands that are reached, lowest first, each with what it would rate: its slice, or retroactively everything."""
    counted = capped(schedule, max(measure, NOTHING))
    reached = takewhile(lambda it: it.reached(counted), _reaches(schedule))
    if schedule.semantics == "marginal":
        return [(it, counted - it.above if it.up_to is None else min(counted, it.up_to) - it.above) for it in reached]
    return [(it, counted) for it in reached]


def capped(schedule: Schedule, measure: Decimal) -> Decimal:
    """The part of the measure that counts: all of it, unless the last band ends."""
    last = _bound(schedule, schedule.bands[-1])
    return measure if last is None else min(measure, last)


def reaches(schedule: Schedule) -> tuple[Reach, ...]:
    """The bands with their bounds on the measure, lowest first."""
    return tuple(_reaches(schedule))


def _reaches(schedule: Schedule) -> Iterator[Reach]:
    below: Band | None = None
    above = NOTHING
    for number, band in enumerate(schedule.bands, start=1):
        up_to = _bound(schedule, band)
        yield Reach(number, above, up_to, below is not None and not below.includes_up_to, band)
        below, above = band, up_to or NOTHING


def _bound(schedule: Schedule, band: Band) -> Decimal | None:
    if band.up_to is None:
        return None
    if schedule.axis == "attainment" and schedule.quota is not None:
        return band.up_to * schedule.quota / PERCENT
    return band.up_to


def _value(band: Band, measure: Decimal) -> Decimal:
    if band.percent is not None:
        return measure * band.percent / PERCENT
    return measure * band.per_unit if band.per_unit is not None else band.flat or NOTHING


def _rate_text(band: Band) -> str:
    if band.percent is not None:
        return f"{band.percent} %"
    return f"{band.per_unit} each" if band.per_unit is not None else "flat"


def values_without_bands(schedule: Schedule, measure: Decimal) -> list[Decimal]:
    """F(measure) without each band in turn, which is given to the one below it (the first: to the one above it).

    It is reckoned from what the bands rate now, not anew for each schedule: an estimate tells it of fifty bands.
    """
    parts = _reached_parts(schedule, measure)
    values = [_value(it.band, part) for it, part in parts]
    whole = sum(values, NOTHING) if schedule.semantics == "marginal" else sum(values[-1:], NOTHING)
    instead = _merged if schedule.semantics == "marginal" else _fallen_back
    found = [instead(schedule, parts, values, place, whole) for place in range(len(parts))]
    missing = len(schedule.bands) - len(found)
    return [bounded(schedule, value, measure) for value in (*found, *[whole] * missing)]


def _merged(schedule: Schedule, parts: ReachedParts, values: list[Decimal], place: int, whole: Decimal) -> Decimal:
    """Marginal: the slice of a band is rated with that of the band below it; of the first, with that above it."""
    heir = place - 1 if place else 1
    if heir == len(parts):
        return _value(schedule.bands[heir], parts[place][1])
    both = _value(parts[heir][0].band, parts[heir][1] + parts[place][1])
    return whole - values[place] - values[heir] + both


def _fallen_back(schedule: Schedule, parts: ReachedParts, _: list[Decimal], place: int, whole: Decimal) -> Decimal:
    """Retroactive: everything falls to the band below the one reached; from the first, to the one above it."""
    if place < len(parts) - 1:
        return whole
    counted = parts[-1][1]
    return _value(schedule.bands[place - 1 if place else 1], counted)


def without_cap(schedule: Schedule) -> Schedule | None:
    """The same schedule whose last band has no end and whose value no cap. None when there is neither."""
    last = schedule.bands[-1]
    if last.up_to is None and schedule.cap is None:
        return None
    return replace(schedule, cap=None, bands=(*schedule.bands[:-1], replace(last, up_to=None)))


def faults(schedule: Schedule) -> list[str]:
    """What is wrong with a schedule, in sentences; nothing for a sound one."""
    if not 1 <= len(schedule.bands) <= BANDS_MAX:
        return [f"a schedule has 1 to {BANDS_MAX} bands"]
    return [*_bound_faults(schedule), *_quota_faults(schedule), *_rate_faults(schedule), *_value_faults(schedule)]


def _bound_faults(schedule: Schedule) -> list[str]:
    bounds = [band.up_to for band in schedule.bands]
    if any(bound is None for bound in bounds[:-1]):
        return ["only the last band may be without up_to"]
    known = [bound for bound in bounds if bound is not None]
    if any(not sane(bound) or bound <= 0 for bound in known):
        return [
            f"up_to is a number above 0 and not above {NUMBER_MAX}, with at most {DIGITS_MAX} digits after the point"
        ]
    return [] if known == sorted(set(known)) else ["each band ends above the one before"]


def _quota_faults(schedule: Schedule) -> list[str]:
    if schedule.axis != "attainment":
        return [] if schedule.quota is None else ["only the axis attainment has a quota"]
    if schedule.quota is None or not sane(schedule.quota) or schedule.quota <= 0:
        return ["the axis attainment needs a quota above 0"]
    return []


def _value_faults(schedule: Schedule) -> list[str]:
    given = [number for number in (schedule.floor, schedule.cap) if number is not None]
    if any(not sane(number) or number < 0 for number in given):
        return [f"cap and floor are from 0 to {NUMBER_MAX}, with at most {DIGITS_MAX} digits after the point"]
    return ["the floor is not above the cap"] if given != sorted(given) else []


def _rate_faults(schedule: Schedule) -> list[str]:
    return [text for band in schedule.bands for text in _band_faults(band, schedule.axis)]


def _band_faults(band: Band, axis: str) -> list[str]:
    rates = [rate for rate in (band.percent, band.per_unit, band.flat) if rate is not None]
    if len(rates) != 1:
        return ["a band has exactly one of percent, per_unit and flat"]
    if not sane(rates[0]) or rates[0] < 0:
        return [f"a rate is a number from 0 to {NUMBER_MAX}, with at most {DIGITS_MAX} digits after the point"]
    if (band.percent is not None and axis == "units") or (band.per_unit is not None and axis != "units"):
        return ["percent goes with money, per_unit with the axis units"]
    if band.percent is not None and band.percent > PERCENT:
        return ["percent is at most 100"]
    return []


def sane(number: Decimal) -> bool:
    """Whether a number is one that money can be reckoned with."""
    if not number.is_finite() or abs(number) > NUMBER_MAX:
        return False
    return int(number.normalize().as_tuple().exponent) >= -DIGITS_MAX
