"""What a tier asks for: rules of the kind `tier`. They only say which level a partner qualifies for; people lower it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import date, datetime
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Literal

from chassis.decider import Refused
from chassis.event import frozen
from chassis.rulebook import Change, Decision, Input, Kind, Reason, Rulebook, Version
from contracts.values import MINOR_DIGITS
from services.incentives.domain.plan import MONTHS_A_YEAR
from services.incentives.domain.rating import tidy
from services.incentives.domain.schedule import PERCENT, sane

TIER = "tier"
LEVELS_MAX, METRICS_MAX, MONTHS_MAX = 10, 20, 60
GRACE_DAYS_MAX = 180
Combine = Literal["all_of", "weighted", "points"]
Source = Literal["reported", "revenue", "deals_won", "deals_approved", "leads_converted", "certified"]
ALL_OF, WEIGHTED, POINTS = "all_of", "weighted", "points"
SUMMED = {WEIGHTED: " % of all weights", POINTS: " points"}
SHOWN = Decimal("0.01")
"""To how many places a sum is shown; never more than there is."""
REVENUE, CERTIFIED, LATEST, ANY_DAY = "revenue", "certified", "latest", "any_day"


class NoTierRules(Refused):
    """No tier rules of that programme are in force: see GET /rulebooks for those that are."""

    slug = "no-tier-rules"


@frozen
class Metric:
    """What is measured: the sum over the calendar year or the trailing months, or the newest value (`latest`).

    `any_day`: the highest of the newest values that held on some day of the trailing months.

    `weight` counts where criteria are weighted, and is the points a unit is worth where they are points. What is not
    `reported` follows from events: `revenue` is the partner's credited part of what was won and not taken back, in
    `currency`, from the credit of `pool`; `deals_won` counts those sales; `certified` is how many of the partner's people
    hold the `certification` now.
    """

    name: str
    window: Literal["calendar", "trailing", "latest", "any_day"] = "calendar"
    months: int = 12
    weight: Decimal = Decimal(1)
    source: Source = "reported"
    currency: str | None = None
    pool: str = "sourced"
    certification: str | None = None


@frozen
class Level:
    """A level: its threshold for each metric, and the total that must be reached where criteria are not `all_of`."""

    name: str
    thresholds: dict[str, Decimal] = field(default_factory=dict)
    pass_at: Decimal = Decimal(0)


@frozen
class TierRules:
    """The body of tier rules; `levels` from the lowest up.

    `all_of`: each threshold is reached. `weighted`: the sum of weight times min(value / threshold, 1), in percent of all
    weights, reaches `pass_at`; with `each_above_zero` no value is nothing. `points`: the sum of weight times value
    reaches `pass_at`, and each threshold is a least value. With `skip_levels` a level may be reached past a lower one
    that is not. Who falls below its level has `grace_days` until a person decides.
    """

    name: str
    metrics: tuple[Metric, ...]
    levels: tuple[Level, ...]
    combine: Combine = "all_of"
    each_above_zero: bool = False
    skip_levels: bool = True
    grace_days: int = 90

    def rank(self, level: str | None) -> int:
        """The place of a level from the lowest up, -1 for none."""
        names = [one.name for one in self.levels]
        return names.index(level) if level in names else -1

    def after(self, level: str | None) -> str | None:
        """The next level: the lowest for who has none; None above the highest, and for a level of other rules."""
        names = [one.name for one in self.levels]
        if level is not None and level not in names:
            return None
        return next(iter(names[self.rank(level) + 1 :]), None)


@frozen
class TierFacts:
    """What a partner has of each metric."""

    values: dict[str, Decimal]


@frozen
class MetricFact:
    """One counted thing of a partner: `value` of a metric on a day. The same `ref` again replaces what it said."""

    metric: str
    ref: str
    value: Decimal
    on: date


@frozen
class Criterion:
    """One threshold of a level: what the partner has, what it needs, and what is missing."""

    metric: str
    value: Decimal
    threshold: Decimal

    @property
    def gap(self) -> Decimal:
        return max(self.threshold - self.value, Decimal(0))


def values_on(rules: TierRules, facts: Mapping[tuple[str, str], MetricFact], on: date) -> dict[str, Decimal]:
    """What each metric comes to on a day."""
    return {
        metric.name: _value(metric, [f for f in facts.values() if f.metric == metric.name], on)
        for metric in rules.metrics
    }


def _value(metric: Metric, facts: list[MetricFact], on: date) -> Decimal:
    known = [fact for fact in facts if fact.on <= on]
    if metric.window == LATEST:
        return _newest(known)
    if metric.window == ANY_DAY:
        return _highest(known, _months_before(on, metric.months))
    begins = date(on.year, 1, 1) if metric.window == "calendar" else _months_before(on, metric.months)
    return sum((fact.value for fact in known if fact.on >= begins), Decimal(0))


def _newest(facts: Iterable[MetricFact]) -> Decimal:
    newest = max(facts, key=lambda fact: (fact.on, fact.ref), default=None)
    return newest.value if newest else Decimal(0)


def _highest(facts: list[MetricFact], begins: date) -> Decimal:
    """The most that it stood at on a day since: what it began with, and what each later day left it at."""
    days = {fact.on for fact in facts if fact.on > begins}
    first = _newest(fact for fact in facts if fact.on <= begins)
    return max([first, *(_newest(fact for fact in facts if fact.on == day) for day in days)])


def _months_before(on: date, months: int) -> date:
    """The first day of a span of months that ends with the month of a day."""
    year, month = divmod(on.year * MONTHS_A_YEAR + on.month - months, MONTHS_A_YEAR)
    return date(year, month + 1, 1)


def criteria(level: Level, values: Mapping[str, Decimal]) -> tuple[Criterion, ...]:
    """Each threshold of a level beside what there is."""
    named = sorted(level.thresholds.items())
    return tuple(Criterion(metric=m, value=values.get(m, Decimal(0)), threshold=t) for m, t in named)


def total_of(rules: TierRules, level: Level, values: Mapping[str, Decimal]) -> Fraction:
    """What `pass_at` is compared with, exactly: percent of all weights, or points."""
    weights = {metric.name: Fraction(metric.weight) for metric in rules.metrics}
    if rules.combine == POINTS:
        return sum((weights[name] * Fraction(values.get(name, 0)) for name in weights), Fraction(0))
    asked = [one for one in criteria(level, values) if one.threshold]
    parts = (weights[it.metric] * min(Fraction(it.value) / Fraction(it.threshold), Fraction(1)) for it in asked)
    whole = sum((weights[one] for one in level.thresholds), Fraction(0))
    return sum(parts, Fraction(0)) * Fraction(PERCENT) / whole if whole else Fraction(0)


def total_as_divided(rules: TierRules, level: Level, values: Mapping[str, Decimal]) -> Fraction:
    """As the third evaluator summed up: a third of 30 was a hair below 10."""
    weights = {metric.name: metric.weight for metric in rules.metrics}
    if rules.combine == POINTS:
        return Fraction(sum((weights[name] * values.get(name, Decimal(0)) for name in weights), Decimal(0)))
    parts = [
        weights[one.metric] * min(one.value / one.threshold, Decimal(1))
        for one in criteria(level, values)
        if one.threshold
    ]
    whole = sum((weights[one] for one in level.thresholds), Decimal(0))
    return Fraction(sum(parts, Decimal(0)) * PERCENT / whole if whole else Decimal(0))


Sum = Callable[[TierRules, Level, Mapping[str, Decimal]], Fraction]


def reached(rules: TierRules, level: Level, values: Mapping[str, Decimal], total: Sum = total_of) -> bool:
    """Whether a level's criteria are met."""
    found = criteria(level, values)
    if rules.each_above_zero and any(one.value <= 0 for one in found):
        return False
    if rules.combine == WEIGHTED:
        return total(rules, level, values) >= Fraction(level.pass_at)
    enough = all(not one.gap for one in found)
    return enough and (rules.combine == ALL_OF or total(rules, level, values) >= Fraction(level.pass_at))


def qualified(rules: TierRules, values: Mapping[str, Decimal], total: Sum = total_of) -> str | None:
    """The highest level whose criteria are met, None below the lowest."""
    highest = None
    for level in rules.levels:
        if reached(rules, level, values, total):
            highest = level.name
        elif not rules.skip_levels:
            break
    return highest


def sum_of(rules: TierRules, level: Level | None, values: Mapping[str, Decimal]) -> Criterion | None:
    """The criterion that weighted criteria or points have beside their thresholds: their sum; None where there is none."""
    if level is None or rules.combine == ALL_OF:
        return None
    exact = total_of(rules, level, values)
    whole = (Decimal(exact.numerator) / exact.denominator).quantize(SHOWN, ROUND_FLOOR)
    return Criterion(metric=rules.combine, value=tidy(whole), threshold=level.pass_at)


def evaluate(facts: TierFacts, rules: TierRules) -> Decision:
    """The level that a partner qualifies for, with every threshold and what is missing to the next level."""
    level = qualified(rules, facts.values)
    return decision_of(rules, facts.values, level)


def decision_of(rules: TierRules, values: Mapping[str, Decimal], level: str | None) -> Decision:
    """Why it is this level: each threshold of it, and what would lead to the next one."""
    rank = rules.rank(level)
    held = rules.levels[rank] if rank >= 0 else None
    ahead = next((one for one in rules.levels if one.name == rules.after(level)), None)
    reasons = tuple(
        Reason(code=one.metric.replace("_", "-"), text=f"{one.metric} {tidy(one.value)} of {one.threshold}")
        for one in (criteria(held, values) if held else ())
    )
    summed, short = sum_of(rules, held, values), sum_of(rules, ahead, values)
    if summed:
        said = f"{summed.value}{SUMMED[rules.combine]} of {summed.threshold} that are needed"
        reasons = (*reasons, Reason(code=rules.combine, text=said))
    gaps = [one for one in criteria(ahead, values) if one.gap] if ahead else []
    changes = tuple(
        Change(
            code=one.metric.replace("_", "-"),
            text=f"{tidy(one.gap)} more {one.metric} would count for {ahead.name}",
            outcome=ahead.name,
        )
        for one in gaps
        if ahead
    )
    if ahead and short and short.gap:
        needed = f"{tidy(short.gap)}{SUMMED[rules.combine]} more are needed for {ahead.name}"
        changes = (Change(code=rules.combine, text=needed, outcome=ahead.name), *changes)
    inputs = tuple(Input(name=name, value=str(value)) for name, value in sorted(values.items()))
    return Decision(outcome=level or "none", reasons=reasons, inputs=inputs, would_change=changes)


def faults(rules: TierRules) -> list[str]:
    """What is wrong with tier rules, in sentences; nothing for sound ones."""
    metrics, levels = [one.name for one in rules.metrics], [one.name for one in rules.levels]
    thresholds = [(name, value) for level in rules.levels for name, value in level.thresholds.items()]
    wrong = {
        f"there are 1 to {METRICS_MAX} metrics, each once": not 1 <= len(metrics) <= METRICS_MAX
        or len(set(metrics)) != len(metrics),
        f"there are 1 to {LEVELS_MAX} levels, each once": not 1 <= len(levels) <= LEVELS_MAX
        or len(set(levels)) != len(levels),
        "a threshold is of a metric": any(name not in metrics for name, _ in thresholds),
        "thresholds and weights are numbers from 0": any(
            not sane(value) or value < 0 for value in (*(v for _, v in thresholds), *(m.weight for m in rules.metrics))
        ),
        f"months is 1 to {MONTHS_MAX}": any(not 1 <= metric.months <= MONTHS_MAX for metric in rules.metrics),
        f"grace_days is 0 to {GRACE_DAYS_MAX}": not 0 <= rules.grace_days <= GRACE_DAYS_MAX,
        "revenue is in a currency of ISO 4217": any(
            metric.source == REVENUE and metric.currency not in MINOR_DIGITS for metric in rules.metrics
        ),
        "what is certified names its certification, and is the newest value (window latest or any_day)": any(
            _certified_amiss(metric) for metric in rules.metrics
        ),
        "weighted criteria pass at 0 to 100 percent": rules.combine == WEIGHTED
        and any(not 0 <= level.pass_at <= PERCENT for level in rules.levels),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so]


def faults_of_new(rules: TierRules) -> list[str]:
    """What tier rules may have from an older release, and new ones may not: a weighted threshold of 0, never reached."""
    thresholds = [value for level in rules.levels for value in level.thresholds.values()]
    if rules.combine == WEIGHTED and not all(thresholds):
        return ["a weighted threshold is above 0: leave out what a level does not ask for"]
    return []


def _certified_amiss(metric: Metric) -> bool:
    counts = metric.source == CERTIFIED
    return counts != bool(metric.certification) or (counts and metric.window not in (LATEST, ANY_DAY))


TIERS: Kind[TierFacts, TierRules] = Kind(
    name=TIER, body=TierRules, facts=TierFacts, evaluate=evaluate, check=faults, check_new=faults_of_new
)


def tiers_at(book: Rulebook, now: datetime) -> tuple[Version, TierRules]:
    """The version of tier rules in force. Raises NoTierRules."""
    version = book.in_force(now)
    if version is None or version.kind != TIER:
        raise NoTierRules
    return version, TIERS.read(version.body)
