"""Tiers over HTTP: the figures they follow from, reviews that people decide, overrides by two, appeals."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.event import iso, plain
from chassis.http import App, Body, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.rulebook import Rules
from services.incentives.access import READ_TIERS
from services.incentives.api.earnings import own
from services.incentives.api.narrowing import ByDay, Filter, sorted_by
from services.incentives.domain.fund import today
from services.incentives.domain.tier import (
    AnswerTierAppeal,
    AppealTier,
    DecideTierReview,
    EvaluateTier,
    OverrideTier,
    RecordTierMetric,
    Tier,
    Tiers,
    tier_id,
)
from services.incentives.domain.tier_rules import (
    TIER,
    TIERS,
    Level,
    MetricFact,
    TierRules,
    criteria,
    decision_of,
    sum_of,
    values_on,
)
from services.incentives.projections.tiers import ShownCriterion, ShownTier, shown_criterion, texts

Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=500)]

router = APIRouter(tags=["tiers"])


class MetricBody(Body):
    """A fact of a metric on a day; the same `ref` again replaces what it said."""

    metric: Name
    ref: Name
    value: Annotated[str, Field(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$")]
    on: Day


class ReviewBody(Body):
    """How a review ends: lowered to what the partner qualifies for, kept until a day, or waived."""

    outcome: Literal["lower", "keep_until", "waive"]
    keep_until: Day | None = None
    reason: Text


class OverrideBody(Body):
    """A level until a day: one person proposes it, another sends the same."""

    level: Name
    until: Day
    reason: Text


class AppealBody(Body):
    reason: Text


@router.post("/tiers/{programme}/{partner_id}/metrics", status_code=201)
async def record(programme: Id, partner_id: Id, body: MetricBody, caller: Writer, app: App) -> Response:
    """Records a fact of a metric; who now qualifies for a higher level has it at once."""
    await _payee(caller, app, partner_id, RecordTierMetric)
    wish = RecordTierMetric(
        programme=programme,
        partner_id=partner_id,
        fact=MetricFact(metric=body.metric, ref=body.ref, value=Decimal(body.value), on=body.on),
        source=caller.principal.kind,
        now=app.clock.now(),
    )
    return await perform(caller, app, RecordTierMetric, wish, status=201)


async def _payee(caller: Caller, app: Application, partner_id: str, action: Any) -> None:
    app.access.check(caller.principal, action)
    await app.exists(caller.tenant, "payee", partner_id)


@router.post("/tiers/{programme}/{partner_id}/evaluate")
async def evaluate(programme: Id, partner_id: Id, caller: Writer, app: App) -> Response:
    """Looks at a tier now; the clock does it on the first of each month and after every grace."""
    await _known(caller, app, programme, partner_id, EvaluateTier)
    wish = EvaluateTier(programme=programme, partner_id=partner_id, now=app.clock.now())
    return await perform(caller, app, EvaluateTier, wish)


async def _known(caller: Caller, app: Application, programme: str, partner_id: str, action: Any) -> dict[str, Any]:
    app.access.check(caller.principal, action)
    return await app.document(caller.principal, "tiers", tier_id(programme, partner_id))


@router.post("/tiers/{programme}/{partner_id}/review")
async def review(programme: Id, partner_id: Id, body: ReviewBody, caller: Writer, app: App) -> Response:
    """Ends a review. Only this lowers a tier."""
    await _known(caller, app, programme, partner_id, DecideTierReview)
    wish = DecideTierReview(
        programme=programme,
        partner_id=partner_id,
        **body.model_dump(),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, DecideTierReview, wish)


@router.post("/tiers/{programme}/{partner_id}/override")
async def override(programme: Id, partner_id: Id, body: OverrideBody, caller: Writer, app: App) -> Response:
    """Sets a level until a day: the first person proposes it, a second one confirms it by the same call."""
    await _payee(caller, app, partner_id, OverrideTier)
    wish = OverrideTier(
        programme=programme,
        partner_id=partner_id,
        **body.model_dump(),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, OverrideTier, wish)


@router.post("/tiers/{programme}/{partner_id}/appeal")
async def appeal(programme: Id, partner_id: Id, body: AppealBody, caller: Writer, app: App) -> Response:
    """The partner contests that its tier was lowered, within ten business days."""
    await _known(caller, app, programme, partner_id, AppealTier)
    wish = AppealTier(
        programme=programme, partner_id=partner_id, reason=body.reason, by=caller.principal.by, now=app.clock.now()
    )
    return await perform(caller, app, AppealTier, wish)


@router.post("/tiers/{programme}/{partner_id}/answer")
async def answer(programme: Id, partner_id: Id, body: AppealBody, caller: Writer, app: App) -> Response:
    """Says of an appeal why the tier stays lowered; who grants it overrides the tier instead, with a second person."""
    await _known(caller, app, programme, partner_id, AnswerTierAppeal)
    wish = AnswerTierAppeal(
        programme=programme, partner_id=partner_id, reason=body.reason, by=caller.principal.by, now=app.clock.now()
    )
    return await perform(caller, app, AnswerTierAppeal, wish)


@router.get("/tiers")
@answers(Page[ShownTier])
@reads("tiers")
async def list_tiers(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, programme: Filter = None, sort: ByDay = "-date"
) -> Response:
    """Tiers with what is missing to the next level; a partner its own."""
    app.access.check(caller.principal, READ_TIERS)
    where = {"partner_id": own(caller, partner_id), "programme": programme}
    items, cursor = await page(caller, app, "tiers", paged, where, sorted_by(sort, "changed_at"))
    return listed([await _with_next(caller, app, item) for item in items], cursor)


@router.get("/tiers/{programme}/{partner_id}")
@answers(ShownTier)
@reads("tiers")
async def one_tier(programme: Id, partner_id: Id, caller: Reader, app: App) -> Response:
    """One tier with its figures, their source events, its review and its history."""
    document = await _known(caller, app, programme, partner_id, READ_TIERS)
    return shown(await _with_next(caller, app, document))


def _day(until: date | None, on: date) -> str | None:
    """A last day while it has not passed."""
    return iso(until) if until and on <= until else None


def _summed(rules: TierRules, levels: list[Level], values: dict[str, Decimal]) -> ShownCriterion | None:
    whole = sum_of(rules, next(iter(levels), None), values)
    return shown_criterion(whole) if whole else None


async def _with_next(caller: Caller, app: Application, document: dict[str, Any]) -> dict[str, Any]:
    """What it comes to now, why it is this level under the rules in force, and what would lead to the next one."""
    peek = app.executor.peek(caller.tenant)
    tier: Tier = await peek(Tiers.at(document["tier_id"]))
    now = app.clock.now()
    document = {**document, "appeal_until": _day(tier.appeal_until, today(now))}
    if caller.principal.kind == "partner":
        document["proposed"] = None
    version = (await peek(Rules.at(document["programme"]))).in_force(now)
    if version is None or version.kind != TIER:
        nothing: dict[str, Any] = {"reasons": [], "to_next": [], "criteria": [], "next_criteria": []}
        return {**document, **nothing, "sum": None, "next_sum": None}
    rules = TIERS.read(version.body)
    values = values_on(rules, tier.facts, today(now))
    why = decision_of(rules, values, document["level"])
    held = [level for level in rules.levels if level.name == document["level"]]
    ahead = [level for level in rules.levels if level.name == rules.after(document["level"])]
    return {
        **document,
        "values": texts(values),
        "reasons": plain(list(why.reasons)),
        "to_next": plain(list(why.would_change)),
        "criteria": [shown_criterion(one) for level in held for one in criteria(level, values)],
        "next_criteria": [shown_criterion(one) for level in ahead for one in criteria(level, values)],
        "sum": _summed(rules, held, values),
        "next_sum": _summed(rules, ahead, values),
    }
