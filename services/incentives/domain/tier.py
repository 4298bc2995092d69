"""A partner's tier in a programme: up at once when its criteria are met, down only by a person after a review.

What a tier changes in plans follows from the payee's standing, which moves in the same commit.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, assert_never

from chassis.decider import Decider, Invalid, NotFound, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen, iso, stable_id
from chassis.rulebook import Rulebook
from services.incentives.domain.fund import today
from services.incentives.domain.payee_events import PayeeEvent, StandingRecorded
from services.incentives.domain.periods import Calendar
from services.incentives.domain.tier_rules import (
    Criterion,
    MetricFact,
    Sum,
    TierRules,
    criteria,
    qualified,
    tiers_at,
    total_as_divided,
    total_of,
    values_on,
)
from services.incentives.domain.two_people import FourEyes

FACTS_MAX = 20_000
APPEAL_BUSINESS_DAYS = 10
RECOVERED, LOWER, KEEP, WAIVE, ESCALATED = "recovered", "lower", "keep_until", "waive", "escalated"
ReviewOutcome = Literal["lower", "keep_until", "waive"]

# Events


@event("incentives.TierMetricRecorded.v1")
class TierMetricRecorded:
    programme: str
    partner_id: str
    fact: MetricFact
    source: str
    recorded_at: datetime


@event("incentives.TierEvaluated.v1")
class TierEvaluated:
    """The clock looked at it: what each metric comes to on that day, and what the partner qualifies for."""

    programme: str
    partner_id: str
    level: str | None
    qualifies_for: str | None
    values: dict[str, Decimal]
    version: int
    evaluated_on: date
    evaluated_at: datetime


@event("incentives.TierChanged.v1")
class TierChanged:
    """`cause` is evaluation, review or override. `criteria` are those of the level it came to.

    `lowered`: an override set it below where it was. Earlier ones do not say so, and were not appealed.
    One that was recorded without `tells_criteria` does not tell the others about them.
    """

    programme: str
    partner_id: str
    from_level: str | None
    to_level: str | None
    effective_on: date
    version: int
    cause: str
    values: dict[str, Decimal]
    criteria: tuple[Criterion, ...]
    reason: str
    until: date | None
    changed_by: str
    changed_at: datetime
    tells_criteria: bool | LeftOut = LEFT_OUT
    lowered: bool | LeftOut = LEFT_OUT


@event("incentives.TierReviewOpened.v1")
class TierReviewOpened:
    """The partner qualifies for less than its level; until `grace_until` it may recover, or a person decides."""

    programme: str
    partner_id: str
    level: str
    qualifies_for: str | None
    version: int
    values: dict[str, Decimal]
    criteria: tuple[Criterion, ...]
    grace_until: date
    opened_at: datetime
    tells_criteria: bool | LeftOut = LEFT_OUT


@event("incentives.TierReviewClosed.v1")
class TierReviewClosed:
    """Outcome: recovered, lower, keep_until or waive."""

    programme: str
    partner_id: str
    outcome: str
    keep_until: date | None
    reason: str
    decided_by: str
    closed_at: datetime


@event("incentives.TierReviewEscalated.v1")
class TierReviewEscalated:
    """The grace is over and nobody has decided: the tier stands until somebody does."""

    programme: str
    partner_id: str
    level: str
    escalated_at: datetime


@event("incentives.TierOverrideProposed.v1")
class TierOverrideProposed:
    programme: str
    partner_id: str
    level: str
    until: date
    reason: str
    proposed_by: str
    proposed_at: datetime


@event("incentives.TierAppealed.v1")
class TierAppealed:
    """The partner says that its tier was lowered wrongly."""

    programme: str
    partner_id: str
    reason: str
    appealed_by: str
    appealed_at: datetime


@event("incentives.TierAppealAnswered.v1")
class TierAppealAnswered:
    """Another person looked at the appeal: the tier stays lowered, and why."""

    programme: str
    partner_id: str
    reason: str
    answered_by: str
    answered_at: datetime


Review = TierReviewOpened | TierReviewClosed | TierReviewEscalated
Appeal = TierAppealed | TierAppealAnswered
TierEvent = TierMetricRecorded | TierEvaluated | TierChanged | Review | TierOverrideProposed | Appeal
Changed = tuple[list[TierEvent], list[PayeeEvent]]

# Commands


@command("incentives.RecordTierMetric.v1")
class RecordTierMetric:
    """A fact of a metric; the level is looked at again at once."""

    programme: str
    partner_id: str
    fact: MetricFact
    source: str
    now: datetime


@command("incentives.EvaluateTier.v1")
class EvaluateTier:
    programme: str
    partner_id: str
    now: datetime


@command("incentives.DecideTierReview.v1")
class DecideTierReview:
    programme: str
    partner_id: str
    outcome: ReviewOutcome
    keep_until: date | None = None
    reason: str
    by: str
    now: datetime


@command("incentives.OverrideTier.v1")
class OverrideTier:
    """The first person proposes a level until a day, a second one confirms it by the same words."""

    programme: str
    partner_id: str
    level: str
    until: date
    reason: str
    by: str
    now: datetime


@command("incentives.AppealTier.v1")
class AppealTier:
    programme: str
    partner_id: str
    reason: str
    by: str
    now: datetime


@command("incentives.AnswerTierAppeal.v1")
class AnswerTierAppeal:
    """Lets a lowered tier stand that was appealed; who grants the appeal overrides the tier instead."""

    programme: str
    partner_id: str
    reason: str
    by: str
    now: datetime


# State


@frozen
class Tier:
    """The level, the facts that it follows from, and the open review.

    Until `kept_until` no review is opened; until `pinned_until` an override holds, whatever the partner qualifies for.
    """

    known: bool = False
    level: str | None = None
    facts: Mapping[tuple[str, str], MetricFact] = field(default_factory=dict)
    review: TierReviewOpened | None = None
    escalated: bool = False
    kept_until: date | None = None
    pinned_until: date | None = None
    evaluated_on: date | None = None
    proposed: TierOverrideProposed | None = None
    lowered: TierChanged | None = None
    appealed: bool = False
    answered: bool = False

    @property
    def appeal_until(self) -> date | None:
        """The last day on which it can be appealed that it was lowered; None where it was not, or was appealed."""
        if self.lowered is None or self.appealed:
            return None
        return Calendar().business_days_after(self.lowered.effective_on, APPEAL_BUSINESS_DAYS)


# Refusals


class TierInvalid(Invalid):
    """The level is one of the programme's, the metric one of its metrics, and a day lies ahead."""

    slug = "tier-invalid"


class GraceRuns(Refused):
    """A tier is lowered once its grace is over: until `grace_until` the partner may recover. Keep or waive it, or wait."""

    slug = "grace-runs"


class AppealLate(Refused):
    """A lowered tier is appealed once, within ten business days."""

    slug = "appeal-late"


# Decisions


def tier_id(programme: str, partner_id: str) -> str:
    """The stream of one partner in one programme."""
    return f"{programme}-{partner_id}"


@dataclass(frozen=True)
class Moment:
    """In which programme, of whom, when, under which rules.

    Not `stands`: a level that the rules no longer name counts as none, as it was once decided. `total` is how criteria
    that are weighted or points are summed up.
    """

    programme: str
    partner_id: str
    now: datetime
    version: int
    rules: TierRules
    stands: bool = True
    total: Sum = total_of

    @property
    def on(self) -> date:
        return today(self.now)

    def qualified(self, values: Mapping[str, Decimal]) -> str | None:
        return qualified(self.rules, values, self.total)

    def gone(self, level: str | None) -> bool:
        """Whether the rules no longer name a level: it stands above and below none, until a person decides."""
        return self.stands and level is not None and self.rules.rank(level) < 0


def _moment(wish: "Wish", book: Rulebook, *, stands: bool = True, total: Sum = total_of) -> Moment:
    version, rules = tiers_at(book, wish.now)
    return Moment(wish.programme, wish.partner_id, wish.now, version.version, rules, stands, total)


Wish = RecordTierMetric | EvaluateTier | DecideTierReview | OverrideTier


def record_tier_metric(wish: RecordTierMetric, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """Keeps a fact once and looks at the level again."""
    return _record(wish, tier, _moment(wish, book))


def record_tier_metric_of_named_levels(wish: RecordTierMetric, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """As the second evaluator decided: who had a level that the rules no longer name was moved to whatever it met."""
    return _record(wish, tier, _moment(wish, book, stands=False, total=total_as_divided))


def record_tier_metric_as_divided(wish: RecordTierMetric, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """As the third evaluator decided: who reached a sum exactly could be a hair below it."""
    return _record(wish, tier, _moment(wish, book, total=total_as_divided))


def _record(wish: RecordTierMetric, tier: Tier, at: Moment) -> Changed:
    if wish.fact.metric not in {metric.name for metric in at.rules.metrics}:
        raise TierInvalid(f"the programme measures {', '.join(one.name for one in at.rules.metrics)}")
    if tier.facts.get((wish.fact.metric, wish.fact.ref)) == wish.fact:
        return [], []
    if len(tier.facts) >= FACTS_MAX:
        raise TierInvalid(f"a partner has at most {FACTS_MAX} facts")
    recorded = TierMetricRecorded(
        programme=wish.programme, partner_id=wish.partner_id, fact=wish.fact, source=wish.source, recorded_at=wish.now
    )
    events, standing = _evaluated(Tiers.fold([recorded], tier), at)
    return [recorded, *events], standing


def evaluate_tier(wish: EvaluateTier, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """Up at once; below its level a review with grace; after the grace the tier stands and somebody is asked.

    A level that the rules no longer name is reviewed like one that the partner fell below.
    """
    return _evaluate(wish, tier, _moment(wish, book))


def evaluate_tier_of_named_levels(wish: EvaluateTier, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """As the second evaluator decided: who had a level that the rules no longer name was moved to whatever it met."""
    return _evaluate(wish, tier, _moment(wish, book, stands=False, total=total_as_divided))


def evaluate_tier_as_divided(wish: EvaluateTier, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """As the third evaluator decided: who reached a sum exactly could be a hair below it."""
    return _evaluate(wish, tier, _moment(wish, book, total=total_as_divided))


def _evaluate(wish: EvaluateTier, tier: Tier, at: Moment) -> Changed:
    if not tier.known:
        raise NotFound
    if tier.evaluated_on == at.on:
        return [], []
    values = values_on(at.rules, tier.facts, at.on)
    looked = TierEvaluated(
        programme=wish.programme,
        partner_id=wish.partner_id,
        level=tier.level,
        qualifies_for=at.qualified(values),
        values=values,
        version=at.version,
        evaluated_on=at.on,
        evaluated_at=wish.now,
    )
    events, standing = _evaluated(tier, at)
    return [looked, *events], standing


def _evaluated(tier: Tier, at: Moment) -> Changed:
    if tier.pinned_until is not None and at.on <= tier.pinned_until:
        return [], []
    values = values_on(at.rules, tier.facts, at.on)
    level = at.qualified(values)
    if at.rules.rank(level) > at.rules.rank(tier.level) and not at.gone(tier.level):
        closed = [_closed(tier.review, RECOVERED, at)] if tier.review else []
        events, standing = _changed(tier, at, level, "evaluation", values)
        return [*closed, *events], standing
    if level == tier.level:
        return ([_closed(tier.review, RECOVERED, at)] if tier.review else []), []
    return _below(tier, at, level, values), []


def _below(tier: Tier, at: Moment, level: str | None, values: dict[str, Decimal]) -> list[TierEvent]:
    """What follows from qualifying for less: nothing while it is kept, else a review, and its escalation in the end."""
    if tier.kept_until is not None and at.on <= tier.kept_until:
        return []
    if tier.review is None:
        return [_opened(tier, at, level, values)]
    if tier.escalated or at.on <= tier.review.grace_until:
        return []
    held = tier.level or ""
    return [TierReviewEscalated(programme=at.programme, partner_id=at.partner_id, level=held, escalated_at=at.now)]


def _opened(tier: Tier, at: Moment, level: str | None, values: dict[str, Decimal]) -> TierReviewOpened:
    held = None if at.gone(tier.level) else at.rules.levels[at.rules.rank(tier.level)]
    return TierReviewOpened(
        programme=at.programme,
        partner_id=at.partner_id,
        level=held.name if held else tier.level or "",
        qualifies_for=level,
        version=at.version,
        values=values,
        criteria=criteria(held, values) if held else (),
        grace_until=at.on + timedelta(days=at.rules.grace_days),
        opened_at=at.now,
        tells_criteria=True,
    )


def _closed(review: TierReviewOpened, outcome: str, at: Moment) -> TierReviewClosed:
    return TierReviewClosed(
        programme=review.programme,
        partner_id=review.partner_id,
        outcome=outcome,
        keep_until=None,
        reason="",
        decided_by="",
        closed_at=at.now,
    )


def _changed(tier: Tier, at: Moment, level: str | None, cause: str, values: dict[str, Decimal]) -> Changed:
    """The new level, and what the payee's plans see of it from today on."""
    rank = at.rules.rank(level)
    changed = TierChanged(
        programme=at.programme,
        partner_id=at.partner_id,
        from_level=tier.level,
        to_level=level,
        effective_on=at.on,
        version=at.version,
        cause=cause,
        values=values,
        criteria=criteria(at.rules.levels[rank], values) if rank >= 0 else (),
        reason="",
        until=None,
        changed_by="",
        changed_at=at.now,
        tells_criteria=True,
    )
    standing = StandingRecorded(
        payee_id=at.partner_id,
        partner_id=at.partner_id,
        field="tier",
        values=(level,) if level else (),
        effective_on=at.on,
        source_event_id=stable_id("tier", at.programme, at.partner_id, iso(at.now)),
        recorded_at=at.now,
    )
    return [changed], [standing]


def decide_tier_review(wish: DecideTierReview, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """A person keeps the tier until a day, waives the review, or after the grace lowers it to what the partner qualifies for.

    Who qualifies for its level by then has recovered. Raises GraceRuns while it still may.
    """
    return _decide_after_grace(wish, tier, _moment(wish, book))


def decide_tier_review_as_divided(wish: DecideTierReview, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """As the third evaluator decided: who reached a sum exactly could be a hair below it."""
    return _decide_after_grace(wish, tier, _moment(wish, book, total=total_as_divided))


def _decide_after_grace(wish: DecideTierReview, tier: Tier, at: Moment) -> Changed:
    decided = _decide_review(wish, tier, at)
    if tier.review is None or wish.outcome != LOWER:
        return decided
    if _grace_runs(tier.review, at.on):
        raise GraceRuns(grace_until=iso(tier.review.grace_until))
    recovered, standing = _evaluated(tier, at)
    return (recovered, standing) if any(isinstance(one, TierReviewClosed) for one in recovered) else decided


def _grace_runs(review: TierReviewOpened, on: date) -> bool:
    """Whether a day is one of the grace; a grace of no days has none."""
    return on <= review.grace_until and today(review.opened_at) < review.grace_until


def decide_tier_review_at_any_time(wish: DecideTierReview, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """As the second evaluator decided: a tier was lowered on any day of its grace, and though the partner had recovered."""
    return _decide_review(wish, tier, _moment(wish, book, total=total_as_divided))


def _decide_review(wish: DecideTierReview, tier: Tier, at: Moment) -> Changed:
    if not tier.known:
        raise NotFound
    if tier.review is None:
        raise WrongState("no review of this tier is open", state="none")
    if (wish.outcome == KEEP) != (wish.keep_until is not None and wish.keep_until > at.on):
        raise TierInvalid("keep_until goes with a day ahead")
    closed = replace(
        _closed(tier.review, wish.outcome, at), keep_until=wish.keep_until, reason=wish.reason, decided_by=wish.by
    )
    if wish.outcome == WAIVE:
        return [replace(closed, keep_until=tier.review.grace_until)], []
    if wish.outcome == KEEP:
        return [closed], []
    values = values_on(at.rules, tier.facts, at.on)
    events, standing = _changed(tier, at, at.qualified(values), "review", values)
    return [closed, *_by(events, wish.reason, wish.by)], standing


def _by(events: list[TierEvent], reason: str, by: str, until: date | None = None) -> list[TierEvent]:
    return [replace(one, reason=reason, changed_by=by, until=until) for one in events if isinstance(one, TierChanged)]


def override_tier(wish: OverrideTier, tier: Tier, _payee: object, book: Rulebook) -> Changed:
    """Sets a level until a day; two people have to say so."""
    at = _moment(wish, book)
    if at.rules.rank(wish.level) < 0 or wish.until <= at.on:
        raise TierInvalid(f"the levels are {', '.join(one.name for one in at.rules.levels)}, until a day ahead")
    same = tier.proposed and (tier.proposed.level, tier.proposed.until) == (wish.level, wish.until)
    if not same or tier.proposed is None:
        return [_proposal(wish)], []
    if tier.proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    values = values_on(at.rules, tier.facts, at.on)
    closed: list[TierEvent] = [_closed(tier.review, WAIVE, at)] if tier.review else []
    changed, standing = _changed(tier, at, wish.level, "override", values)
    events = _by(changed, wish.reason, wish.by, wish.until)
    if at.rules.rank(wish.level) < at.rules.rank(tier.level):
        events = [replace(one, lowered=True) for one in events if isinstance(one, TierChanged)]
    return [*closed, *events], standing


def _proposal(wish: OverrideTier) -> TierOverrideProposed:
    return TierOverrideProposed(
        programme=wish.programme,
        partner_id=wish.partner_id,
        level=wish.level,
        until=wish.until,
        reason=wish.reason,
        proposed_by=wish.by,
        proposed_at=wish.now,
    )


def appeal_tier(wish: AppealTier, tier: Tier) -> list[TierEvent]:
    """The partner contests that it was lowered, by a review or by two people, once and in time; a person overrides it or not."""
    if not tier.known:
        raise NotFound
    last = tier.appeal_until
    if last is None:
        raise AppealLate("it was appealed before" if tier.appealed else "nobody has lowered this tier")
    if today(wish.now) > last:
        raise AppealLate(f"it could be appealed until {iso(last)}")
    return [
        TierAppealed(
            programme=wish.programme,
            partner_id=wish.partner_id,
            reason=wish.reason,
            appealed_by=wish.by,
            appealed_at=wish.now,
        )
    ]


def answer_tier_appeal(wish: AnswerTierAppeal, tier: Tier) -> list[TierEvent]:
    """Another person than who lowered it says why it stays so. Raises WrongState unless an appeal waits."""
    if not tier.known:
        raise NotFound
    if not tier.appealed or tier.answered:
        raise WrongState("no appeal waits for an answer", state="answered" if tier.answered else "none")
    if tier.lowered and tier.lowered.changed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    return [
        TierAppealAnswered(
            programme=wish.programme,
            partner_id=wish.partner_id,
            reason=wish.reason,
            answered_by=wish.by,
            answered_at=wish.now,
        )
    ]


# Evolve


def evolve(tier: Tier, happened: TierEvent) -> Tier:
    match happened:
        case TierMetricRecorded():
            fact = happened.fact
            return replace(tier, known=True, facts={**tier.facts, (fact.metric, fact.ref): fact})
        case TierEvaluated():
            return replace(tier, evaluated_on=happened.evaluated_on)
        case TierChanged():
            return _moved(tier, happened)
        case TierOverrideProposed():
            return replace(tier, known=True, proposed=happened)
        case TierAppealed():
            return replace(tier, appealed=True)
        case TierAppealAnswered():
            return replace(tier, answered=True)
        case _:
            return _reviewed(tier, happened)


def _moved(tier: Tier, it: TierChanged) -> Tier:
    lowered = it if it.cause == "review" or it.lowered else None
    pinned = it.until if it.cause == "override" else tier.pinned_until
    moved = replace(tier, known=True, level=it.to_level, lowered=lowered, proposed=None, pinned_until=pinned)
    return replace(moved, appealed=False, answered=False)


def _reviewed(tier: Tier, happened: Review) -> Tier:
    match happened:
        case TierReviewOpened():
            return replace(tier, review=happened, escalated=False)
        case TierReviewClosed():
            return replace(tier, review=None, escalated=False, kept_until=happened.keep_until or tier.kept_until)
        case TierReviewEscalated():
            return replace(tier, escalated=True)
        case _:
            assert_never(happened)


Tiers = Decider[Tier, TierEvent](kind="tier", initial=Tier(), evolve=evolve)
