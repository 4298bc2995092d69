"""Modifiers change a plan's rate where a condition holds: more points, another factor, another rate.

A plan whose measure accumulates would lose its one function if its rate changed from line to line; there a modifier
weights the measure instead.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from chassis.event import frozen
from services.incentives.domain.condition import (
    Circumstances,
    Condition,
    condition_faults,
    holds,
    text_of_condition,
)
from services.incentives.domain.schedule import PERCENT, Schedule, sane, value_of

MODIFIERS_MAX = 100
ONE = Decimal(1)
Stack = Literal["highest", "sum", "first"]


@frozen
class Modifier:
    """Exactly one of: percent points on top of every band, a factor on the pay, a percent in place of every band's."""

    modifier_id: str
    when: Condition
    add_points: Decimal | None = None
    multiply: Decimal | None = None
    replace_percent: Decimal | None = None


@frozen
class Weighed:
    """A modifier that was looked at: whether it was taken, and why."""

    modifier_id: str
    taken: bool
    why: str


@frozen
class Modified:
    """The schedule that rates a line in the end, the factor on its value or measure, and every modifier looked at."""

    schedule: Schedule
    factor: Decimal = ONE
    weighed: tuple[Weighed, ...] = ()


def modified(
    schedule: Schedule, modifiers: Sequence[Modifier], stack: Stack, at: Circumstances, measure: Decimal
) -> Modified:
    """The schedule under the modifiers that hold. Highest: the one that pays most; sum: all; first: the first listed."""
    fitting = [modifier for modifier in modifiers if holds(modifier.when, at)]
    taken = _taken(schedule, fitting, stack, measure)
    done = _applied(schedule, taken)
    fit, paid = ({one.modifier_id for one in some} for some in (fitting, taken))
    return replace(done, weighed=tuple(_weighed(modifier, fit, paid, stack) for modifier in modifiers))


def _taken(schedule: Schedule, fitting: Sequence[Modifier], stack: Stack, measure: Decimal) -> Sequence[Modifier]:
    if stack == "sum" or not fitting:
        return fitting
    if stack == "first":
        return fitting[:1]
    own = value_of(schedule, measure)
    return [max(fitting, key=lambda modifier: _worth(_applied(schedule, [modifier]), measure, schedule, own))]


def _worth(done: Modified, measure: Decimal, schedule: Schedule, own: Decimal) -> Decimal:
    """What it makes of the measure; where the schedule is as it was, its own value, which is reckoned once."""
    return (own if done.schedule is schedule else value_of(done.schedule, measure)) * done.factor


def _applied(schedule: Schedule, taken: Sequence[Modifier]) -> Modified:
    """Another rate first, then points on top, then factors."""
    replaced = [m.replace_percent for m in taken if m.replace_percent is not None]
    points = sum((m.add_points for m in taken if m.add_points is not None), Decimal(0))
    factor = ONE
    for modifier in taken:
        factor *= ONE if modifier.multiply is None else modifier.multiply
    return Modified(schedule=with_percent(schedule, max(replaced, default=None), points), factor=factor)


def with_percent(schedule: Schedule, percent: Decimal | None, points: Decimal = Decimal(0)) -> Schedule:
    """The schedule with another percent in every percent band (None: its own), and points on top."""
    if percent is None and not points:
        return schedule
    bands = tuple(
        band
        if band.percent is None
        else replace(band, percent=max((band.percent if percent is None else percent) + points, Decimal(0)))
        for band in schedule.bands
    )
    return replace(schedule, bands=bands)


def _weighed(modifier: Modifier, fitting: Collection[str], taken: Collection[str], stack: Stack) -> Weighed:
    """What became of a modifier, by the names of those that fit and of those that were taken."""
    name = modifier.modifier_id
    if name in taken:
        why = f"{_effect(modifier)}, because {text_of_condition(modifier.when)}"
    elif name in fitting:
        why = f"another pays more, and the {stack} counts" if stack == "highest" else "only the first counts"
    else:
        why = f"not so: {text_of_condition(modifier.when)}"
    return Weighed(modifier_id=name, taken=name in taken, why=why)


def _effect(modifier: Modifier) -> str:
    if modifier.add_points is not None:
        return f"{modifier.add_points} points more"
    if modifier.multiply is not None:
        return f"times {modifier.multiply}"
    return f"{modifier.replace_percent} % instead"


def modifier_faults(modifiers: Sequence[Modifier], *, accumulating: bool) -> list[str]:
    """What is wrong with the modifiers, in sentences; nothing for sound ones."""
    if len(modifiers) > MODIFIERS_MAX:
        return [f"a plan has at most {MODIFIERS_MAX} modifiers"]
    names = [modifier.modifier_id for modifier in modifiers]
    found = [] if len(set(names)) == len(names) else ["each modifier has a name of its own"]
    return found + [text for modifier in modifiers for text in _own_faults(modifier, accumulating=accumulating)]


def _own_faults(modifier: Modifier, *, accumulating: bool) -> list[str]:
    said = [n for n in (modifier.add_points, modifier.multiply, modifier.replace_percent) if n is not None]
    if len(said) != 1:
        return ["a modifier has exactly one of add_points, multiply and replace_percent"]
    if accumulating and modifier.multiply is None:
        return ["in a plan that accumulates a modifier can only multiply: it weights the measure"]
    if not sane(said[0]) or abs(said[0]) > PERCENT or (modifier.add_points is None and said[0] < 0):
        return ["a modifier's number is at most 100, with at most 4 digits after the point"]
    return condition_faults(modifier.when)
