"""The same schedule in whole numbers, for many lines at once: backtests, recalculation, benchmarks.

Measures are integers of 10^-14, values of 10^-20, pays of the currency's minor unit; nothing is ever inexact. What it
answers is what `schedule.pay_between` answers, to the minor unit; tests hold the two together.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from contracts.values import MINOR_DIGITS
from services.incentives.domain.schedule import Reach, Schedule, reaches

MEASURE_DIGITS = 14
RATE_DIGITS = 6
VALUE_DIGITS = MEASURE_DIGITS + RATE_DIGITS
FAR = 10**60


def whole(number: Decimal, digits: int) -> int:
    """The number in units of 10^-digits. Raises ValueError when it has more digits than that."""
    scaled = number.scaleb(digits)
    if scaled != int(scaled):
        raise ValueError(f"{number} has more than {digits} digits after the point")
    return int(scaled)


@dataclass(frozen=True)
class Table:
    """F as a table: the band of a measure, and there `(base + measure * rate) // unit` in minor units, half-up.

    `base` already holds what lies below the band, and the half. `low` and `high` bound the sum before the division.
    """

    thresholds: list[int]
    base: list[int]
    rates: list[int]
    unit: int
    low: int
    high: int

    def worth(self, measure: int) -> int:
        """What a measure is worth, in minor units."""
        if measure <= 0:
            return 0
        at = bisect_right(self.thresholds, measure) - 1
        value = self.base[at] + measure * self.rates[at]
        return min(max(value, self.low), self.high) // self.unit


def compiled(schedule: Schedule, currency: str) -> Table:
    """F of a schedule on whole numbers. A measure beyond the last bound is worth what the bound is."""
    unit = 10 ** (VALUE_DIGITS - MINOR_DIGITS[currency])
    half = unit // 2
    low = 0 if schedule.floor is None else whole(schedule.floor, VALUE_DIGITS)
    high = FAR if schedule.cap is None else whole(schedule.cap, VALUE_DIGITS)
    table = Table([], [], [], unit, low + half, high + half)
    below = half
    for reach in reaches(schedule):
        below = _add_band(table, reach, below, half, marginal=schedule.semantics == "marginal")
    last = reaches(schedule)[-1].up_to
    if last is not None:
        _add_row(table, whole(last, MEASURE_DIGITS) + 1, below, 0)
    return table


def _add_band(table: Table, reach: Reach, below: int, half: int, *, marginal: bool) -> int:
    """Adds a band; answers what a measure at its upper bound is worth, with the half."""
    rate, flat = _rate(reach)
    above = whole(reach.above, MEASURE_DIGITS)
    base = below + flat - above * rate if marginal else half + flat
    _add_row(table, above if reach.opens_at_bound else above + 1, base, rate)
    return below if reach.up_to is None else base + whole(reach.up_to, MEASURE_DIGITS) * rate


def _add_row(table: Table, threshold: int, base: int, rate: int) -> None:
    table.thresholds.append(threshold)
    table.base.append(base)
    table.rates.append(rate)


def _rate(reach: Reach) -> tuple[int, int]:
    """What a band pays of each unit of the measure, and what it pays once."""
    band = reach.band
    if band.percent is not None:
        return whole(band.percent, RATE_DIGITS - 2), 0
    if band.per_unit is not None:
        return whole(band.per_unit, RATE_DIGITS), 0
    return 0, whole(band.flat or Decimal(0), VALUE_DIGITS)


Share = tuple[str, int, int]
"""A line to rate: its window, its basis in minor units, its share in 10^-4 percent. None is below nothing."""


def rated(schedule: Schedule, currency: str, lines: Iterable[Share]) -> list[int]:
    """What each line pays, in minor units, in the order of the lines. The loop is written out: it is run by the million."""
    table = compiled(schedule, currency)
    thresholds, base, rates, unit = table.thresholds, table.base, table.rates, table.unit
    low, high = table.low, table.high
    scale = 10 ** (MEASURE_DIGITS - MINOR_DIGITS[currency] - RATE_DIGITS)
    windows: dict[str, list[int]] = {}
    pays: list[int] = []
    for window, basis, share in lines:
        if window in windows:
            state = windows[window]
        else:
            state = windows[window] = [0, 0]
        state[0] = measure = state[0] + basis * share * scale
        at = bisect_right(thresholds, measure) - 1
        value = base[at] + measure * rates[at] if measure else 0
        if value < low:
            value = low if measure else 0
        elif value > high:
            value = high
        value //= unit
        pays.append(value - state[1])
        state[1] = value
    return pays
