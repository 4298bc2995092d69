"""Which tier does each partner have, from which figures, what is under review, and when is it looked at again?"""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from chassis.deadlines import Deadline
from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from chassis.rulebook import Change, Reason
from services.incentives.domain.plan import window_end
from services.incentives.domain.rating import tidy
from services.incentives.domain.tier import (
    EvaluateTier,
    TierAppealAnswered,
    TierAppealed,
    TierChanged,
    TierEvaluated,
    TierMetricRecorded,
    TierOverrideProposed,
    TierReviewClosed,
    TierReviewEscalated,
    TierReviewOpened,
    tier_id,
)
from services.incentives.domain.tier_rules import Criterion
from services.incentives.projections.releases import start_of

FACTS_SHOWN = 50


class TierStep(TypedDict):
    event_id: str
    kind: str
    text: str
    at: Annotated[str, datetime]


class TierDocument(TypedDict):
    """`values` are those of the last change or look; `facts` the newest ones, with the events that told them.

    `cause` is how the level came about: evaluation, review or override. Where a person `lowered` it that can be appealed;
    `appealed` is what was said against it since, and `answered` why it stays so all the same.
    """

    tier_id: str
    programme: str
    partner_id: str
    level: str | None
    cause: str | None
    lowered: bool
    values: dict[str, str]
    version: int | None
    review: dict[str, Any] | None
    escalated: bool
    proposed: dict[str, Any] | None
    until: str | None
    appealed: str | None
    answered: str | None
    facts: list[dict[str, Any]]
    event_id: str | None
    history: list[TierStep]
    changed_at: str


class ShownCriterion(TypedDict):
    """A threshold beside what there is, and what is missing."""

    metric: str
    value: str
    threshold: str
    gap: str


class ShownTier(TierDocument):
    """A partner's level with why it is that under the rules in force, and what would lead to the next one.

    `values` are what its figures come to today, `criteria` those of its level, and `next_criteria` of the next one; `sum`
    and `next_sum` what weighted criteria (in percent of all weights) or points come to beside what is needed. Until
    `appeal_until` it may be appealed that it was lowered. A level that one person has `proposed` the vendor alone reads.
    """

    appeal_until: Annotated[str, date] | None

    reasons: list[Reason]
    to_next: list[Change]
    criteria: list[ShownCriterion]
    next_criteria: list[ShownCriterion]
    sum: ShownCriterion | None
    next_sum: ShownCriterion | None


def evolve(document: TierDocument | None, seen: Seen) -> TierDocument:
    happened = seen.event
    known = document or _unknown(happened)
    changes: dict[str, Any] = CHANGES[type(happened)](known, seen)
    changed: Any = {**known, **changes, "changed_at": iso(seen.recorded_at)}
    found: TierDocument = changed
    return found


def _unknown(it: Any) -> TierDocument:
    return {
        "tier_id": tier_id(it.programme, it.partner_id),
        "programme": it.programme,
        "partner_id": it.partner_id,
        "level": None,
        "cause": None,
        "lowered": False,
        "values": {},
        "version": None,
        "review": None,
        "escalated": False,
        "proposed": None,
        "until": None,
        "appealed": None,
        "answered": None,
        "facts": [],
        "event_id": None,
        "history": [],
        "changed_at": "",
    }


def _recorded(known: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierMetricRecorded = seen.event
    fact = {**plain(it.fact), "event_id": seen.id, "source": it.source}
    others = [one for one in known["facts"] if (one["metric"], one["ref"]) != (it.fact.metric, it.fact.ref)]
    return {"facts": [fact, *others][:FACTS_SHOWN]}


def _looked(_: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierEvaluated = seen.event
    return {"values": texts(it.values), "version": it.version}


def texts(values: dict[str, Decimal]) -> dict[str, str]:
    return {name: str(tidy(value)) for name, value in sorted(values.items())}


def _changed(known: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierChanged = seen.event
    text = _moved(it)
    return {
        "level": it.to_level,
        "cause": it.cause,
        "lowered": it.cause == REVIEW or bool(it.lowered),
        "values": texts(it.values),
        "version": it.version,
        "until": iso(it.until) if it.until else None,
        "proposed": None,
        "appealed": None,
        "answered": None,
        "event_id": seen.id,
        "history": _told(known, seen, f"{text}: {it.reason}" if it.reason else text),
    }


EVALUATION, REVIEW = "evaluation", "review"
CAUSES = {EVALUATION: "by its figures", REVIEW: "after a review", "override": "set by two people"}


def _moved(it: TierChanged) -> str:
    """A change of level in words: from what to what, and how it came about."""
    how = CAUSES.get(it.cause, f"by {it.cause}")
    if it.from_level is None:
        return f"joined at {it.to_level}" if it.cause == EVALUATION else f"joined at {it.to_level}, {how}"
    moved = f"{it.from_level} to {it.to_level}" if it.to_level else f"no level any more, {it.from_level} before"
    return f"{moved}, {how}"


def _told(known: TierDocument, seen: Seen, text: str) -> list[TierStep]:
    step: TierStep = {"event_id": seen.id, "kind": type(seen.event).__name__, "text": text, "at": iso(seen.recorded_at)}
    return [*known["history"], step]


def _opened(known: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierReviewOpened = seen.event
    criteria = [shown_criterion(one) for one in it.criteria]
    review = {"qualifies_for": it.qualifies_for, "grace_until": iso(it.grace_until), "criteria": criteria}
    text = f"under review until {iso(it.grace_until)}"
    return {
        "review": {**review, "event_id": seen.id},
        "values": texts(it.values),
        "history": _told(known, seen, text),
    }


def shown_criterion(one: Criterion) -> ShownCriterion:
    """One threshold with what is missing to it."""
    told: Any = {**plain(one), "value": str(tidy(one.value)), "gap": str(tidy(one.gap))}
    found: ShownCriterion = told
    return found


def _closed(known: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierReviewClosed = seen.event
    text = f"review closed, {it.outcome.replace('_', ' ')}: {it.reason}".rstrip(": ")
    return {"review": None, "escalated": False, "history": _told(known, seen, text)}


def _escalated(known: TierDocument, seen: Seen) -> dict[str, Any]:
    return {"escalated": True, "history": _told(known, seen, "the grace is over and nobody has decided")}


def _proposed(_: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierOverrideProposed = seen.event
    return {"proposed": {"level": it.level, "until": iso(it.until), "reason": it.reason}}


def _appealed(known: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierAppealed = seen.event
    return {"appealed": it.reason, "history": _told(known, seen, f"appealed: {it.reason}")}


def _answered(known: TierDocument, seen: Seen) -> dict[str, Any]:
    it: TierAppealAnswered = seen.event
    text = f"the appeal was looked at, and it stays lowered: {it.reason}"
    return {"answered": it.reason, "history": _told(known, seen, text)}


CHANGES: dict[type[Any], Any] = {
    TierMetricRecorded: _recorded,
    TierEvaluated: _looked,
    TierChanged: _changed,
    TierReviewOpened: _opened,
    TierReviewClosed: _closed,
    TierReviewEscalated: _escalated,
    TierOverrideProposed: _proposed,
    TierAppealed: _appealed,
    TierAppealAnswered: _answered,
}


def _tier(seen: Seen) -> str:
    return tier_id(seen.event.programme, seen.event.partner_id)


TIERS = Projection(
    name="tiers",
    version=4,
    keys=dict.fromkeys(CHANGES, _tier),
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at", "programme,changed_at"),
)

# When it is looked at again


def evolve_due(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any]:
    """The first of the next month, since windows move; sooner the day after the grace, or after it was kept or set until.

    What was decided on the last day of a grace and recorded after midnight is looked at on that next day all the same.
    """
    happened, today = seen.event, _looked_on(seen.event)
    known = document or {"programme": happened.programme, "partner_id": happened.partner_id, "ends": None}
    ends = _ends(known["ends"], happened)
    days = [window_end("month", today), *([date.fromisoformat(ends) + timedelta(days=1)] if ends else [])]
    due = min(day for day in days if day > today)
    return {**known, "ends": ends, "due_at": iso(start_of(due))}


INSTANTS = {
    TierMetricRecorded: "recorded_at",
    TierEvaluated: "evaluated_at",
    TierChanged: "changed_at",
    TierReviewOpened: "opened_at",
    TierReviewClosed: "closed_at",
    TierReviewEscalated: "escalated_at",
    TierOverrideProposed: "proposed_at",
    TierAppealed: "appealed_at",
    TierAppealAnswered: "answered_at",
}
"""When each was decided."""


def _looked_on(happened: Any) -> date:
    at: datetime = getattr(happened, INSTANTS[type(happened)])
    return at.astimezone(UTC).date()


def _ends(known: str | None, happened: Any) -> str | None:
    if isinstance(happened, TierReviewOpened):
        return iso(happened.grace_until)
    if isinstance(happened, TierChanged):
        return iso(happened.until) if happened.until else None
    if isinstance(happened, TierReviewClosed):
        return iso(happened.keep_until) if happened.keep_until else None
    return known


def look(document: dict[str, Any], now: datetime) -> EvaluateTier:
    """The command of a day on which a tier is looked at."""
    return EvaluateTier(programme=document["programme"], partner_id=document["partner_id"], now=now)


TIER_DUES = Deadline(name="tier_dues", version=2, keys=dict.fromkeys(CHANGES, _tier), evolve=evolve_due, issue=look)
