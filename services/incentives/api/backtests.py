"""Plans tried on what happened and on what might: backtests of a whole year, and estimates of one sale."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import AliasChoices, Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.decider import NotFound
from chassis.event import iso, plain
from chassis.execution import Peek
from chassis.http import JSON, App, Body, Day, Paged, Reader, Writer, reads, shown
from chassis.rulebook import Change, Decision, NoDraft, Reason, Rulebook, Rules
from chassis.rulebook_api import RulebookId
from chassis.shadow import Candidate
from chassis.shadow_api import SHADOW, ShadowBody, asked_for, runs_of
from chassis.shadow_runs import Asked, ListedRun, RunState
from contracts.values import Money, money, none_of
from services.incentives.access import READ_EARNINGS, READ_LEDGER
from services.incentives.api.earnings import own
from services.incentives.api.narrowing import Filter
from services.incentives.application.forecasting import (
    Estimates,
    Forecast,
    Possible,
    estimates,
    forecast,
    possible_facts,
)
from services.incentives.application.sales import rules_of_kind
from services.incentives.application.trying import Trial, budget_of, known_between, side_of
from services.incentives.domain.backtest import Backtest
from services.incentives.domain.budget import Budget
from services.incentives.domain.choice import Chosen, overlapping, plans_for, read_plan, version_of
from services.incentives.domain.exchange import NoRate
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.plan import Plan, schedule_of
from services.incentives.domain.rating import PLANS, QUARANTINED, RatingFacts, Sold, at_tier, evaluate, rate, text_of
from services.incentives.domain.sale import SaleInvalid
from services.incentives.domain.schedule import reaches
from services.incentives.domain.spending import given_now
from services.incentives.domain.tier_rules import TIER, TIERS, TierRules

BACKTEST = "backtest"
PARTNERS_MAX = 200
Text = Annotated[str, Field(min_length=1, max_length=64)]

router = APIRouter(tags=["backtests"])


class ScopeBody(Body):
    """Whose lines count: those of some partners, or without any of all."""

    partner_ids: Annotated[list[Text], Field(max_length=PARTNERS_MAX)] = []


class BacktestBody(Body):
    """A candidate (a version, the draft, or a `body`) over the sales of a time, `from` to `to` (or `since` to `until`).

    The baseline is what was actually posted under the plan, or the version of it that is named. `scope` narrows it to
    some partners.
    """

    rulebook_id: RulebookId
    version: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    body: dict[str, Any] | None = None
    baseline: Literal["actual", "version"] = "actual"
    baseline_version: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    since: Annotated[Day, Field(validation_alias=AliasChoices("from", "since"))]
    until: Annotated[Day, Field(validation_alias=AliasChoices("to", "until"))]
    scope: ScopeBody = ScopeBody()


class PartnerDelta(TypedDict):
    partner_id: str
    old: str
    new: str
    delta: str


class BacktestReport(TypedDict):
    """Who would have gained and lost how much; `lines` are the first sales that differ, `budget` what the plan's had."""

    currency: str
    sales: int
    quarantined: int
    total: PartnerDelta
    partners: list[PartnerDelta]
    winners: list[str]
    losers: list[str]
    changed: int
    lines: list[dict[str, Any]]
    budget: dict[str, Any] | None
    digest: str


class BacktestRun(RunState):
    """A backtest as it was asked for, and its report once it is ready.

    It looks at sales `since` to `until`, of `partner_ids` where some are named.
    """

    kind: str
    rulebook_id: str
    version: int
    sha256: str
    from_at: str
    until_at: str
    after_position: int
    until_position: int
    baseline: NotRequired[str]
    since: NotRequired[str]
    until: NotRequired[str]
    partner_ids: NotRequired[list[str]]
    report: NotRequired[BacktestReport]


class ListedBacktest(ListedRun):
    """A backtest without its report."""

    baseline: str
    since: str
    until: str
    partner_ids: list[str]


@router.post("/backtests", status_code=202)
@answers(BacktestRun)
async def begin(body: BacktestBody, caller: Writer, app: App) -> Response:
    """Begins a backtest and answers where to ask for its report. It stores nothing but that."""
    app.access.check(caller.principal, SHADOW)
    if app.shadow_runs is None:
        raise NotFound
    shadow = ShadowBody(rulebook_id=body.rulebook_id, version=body.version, body=body.body)
    asked = _over(body, await asked_for(app, caller.tenant, shadow, caller.new_id("backtest"), BACKTEST))
    trial = await _trial_of(app, caller.tenant, asked.candidate, body)
    return Response(orjson.dumps(await app.shadow_runs.begin(asked, trial.run)), status_code=202, media_type=JSON)


def _over(body: BacktestBody, asked: Asked) -> Asked:
    """The run with what it looks at, to be shown beside its report."""
    over = {"baseline": body.baseline, "since": iso(body.since), "until": iso(body.until)}
    return replace(asked, asked={**asked.asked, **over, "partner_ids": body.scope.partner_ids})


@router.get("/backtests")
@answers(Page[ListedBacktest])
async def list_backtests(caller: Reader, app: App, paged: Paged) -> Response:
    """The backtests that were asked for, the newest first, without their reports."""
    return await runs_of(BACKTEST, caller, app, paged)


@router.get("/backtests/{run_id}")
@answers(BacktestRun)
async def result(run_id: Annotated[str, Path(min_length=1, max_length=64)], caller: Reader, app: App) -> Response:
    """How far the backtest is, and its report once it is ready."""
    app.access.check(caller.principal, SHADOW)
    if app.shadow_runs is None:
        raise NotFound
    return shown(await app.shadow_runs.find(caller.tenant, run_id))


async def _trial_of(app: Application, tenant: str, candidate: Candidate, body: BacktestBody) -> Trial:
    peek = app.executor.peek(tenant)
    known = await known_between(app, tenant, body.since, body.until)
    book: Rulebook = await peek(Rules.at(body.rulebook_id))
    tried = Chosen(candidate.instead(Rulebook()).versions[-1], read_plan(candidate.body))
    new, old = await side_of(peek, [book], tried, known), None
    if body.baseline == "version":
        found = version_of([book], body.rulebook_id, body.baseline_version or 0)
        if found is None:
            raise NoDraft(f"version {body.baseline_version} is not published", draft=None)
        old = await side_of(peek, [book], found, known)
    only = frozenset(body.scope.partner_ids)
    test = Backtest(old=old, new=new, since=body.since, until=body.until, only=only)
    return Trial(app=app, tenant=tenant, test=test, plan_ids=frozenset({body.rulebook_id}))


# Estimates


class EstimateBody(Body):
    """A sale that might be: whose, of what, how much of it credited."""

    partner_id: Text
    amount: Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    closes_on: Day
    family: Annotated[str, Field(max_length=64)] = ""
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    deal_type: Annotated[str, Field(max_length=64)] = "new"
    role: Annotated[str, Field(max_length=64)] = "source"
    pool: Annotated[str, Field(max_length=64)] = "sourced"
    percent: Annotated[str, Field(pattern=r"^(100(\.0{1,4})?|[0-9]{1,2}(\.[0-9]{1,4})?)$")] = "100"


class EstimatedLine(TypedDict):
    """What a plan would pay, by which steps, what is missing to its next band, and what the next tier would pay."""

    plan_id: str
    version: int
    kind: str
    component: str
    pay: str
    steps: list[Reason]
    would_change: list[Change]
    to_next_band: str | None


class Estimate(TypedDict):
    lines: list[EstimatedLine]


@router.post("/estimates")
@answers(Estimate)
async def estimate(body: EstimateBody, caller: Writer, app: App) -> Response:
    """What the plans that pay beside each other would pay for a sale, by the engine that pays; nothing is stored.

    Nothing is paid after the last business day of a partner that leaves.
    """
    app.access.check(caller.principal, READ_EARNINGS)
    if caller.principal.kind == "partner" and not caller.principal.acts_for(body.partner_id):
        raise NotFound
    peek = app.executor.peek(caller.tenant)
    books = [await peek(Rules.at(name)) for name in await rules_of_kind(app, caller.tenant, PLANS.name)]
    found = plans_for(body.pool, body.closes_on, books)
    it = Possible(
        partner_id=body.partner_id,
        sold=(_sold(body),),
        closes_on=body.closes_on,
        percent=Decimal(body.percent),
        role=body.role,
        deal_type=body.deal_type,
    )
    payee: Payee = await peek(Payees.at(body.partner_id))
    fitting = [one for one in found if not one.plan.deal_types or body.deal_type in one.plan.deal_types]
    earning = fitting if payee.leaving.earns(body.closes_on) else []
    facts = {chosen.plan_id: await possible_facts(peek, it, chosen) for chosen in earning}
    pots = {name: await budget_of(peek, name) for name in {one.plan.budget_id for one in earning} if name}
    paying = overlapping(earning, lambda chosen: _pay(facts[chosen.plan_id], chosen.plan, pots)[0].amount)
    ladders = await _ladders(app, caller.tenant, peek)
    lines = []
    for one in paying:
        pays, pots = _pay(facts[one.plan_id], one.plan, pots)
        lines.append(_within(_estimated(it, one, facts[one.plan_id], ladders), one.plan, pays))
    return shown({"lines": lines})


def _within(line: dict[str, Any], plan: Plan, pays: Money) -> dict[str, Any]:
    """The line with no more than its budget has left for it, of money or of units."""
    given = text_of(pays)
    if plan.budget_id is None or line["pay"] in (given, QUARANTINED):
        return line
    text = f"of {line['pay']} the budget {plan.budget_id} pays {given} by what it has left now"
    return {**line, "steps": [*line["steps"], plain(Reason(code="budget", text=text))], "pay": given}


Pots = dict[str, Budget]
"""The budgets that plans draw on, by id, as they are left."""


def _pay(facts: RatingFacts, plan: Plan, pots: Pots) -> tuple[Money, Pots]:
    """What a plan would pay out of its budget, if it has one; nothing where it waits for a rate of exchange.

    With it what the budgets then have left for the others that draw on them.
    """
    try:
        pay = rate(facts, plan).pay
    except NoRate:
        return none_of(plan.currency), pots
    if plan.budget_id is None:
        return pay, pots
    given, left = given_now(pay, plan, facts, pots[plan.budget_id])
    return given, {**pots, plan.budget_id: left}


async def _ladders(app: Application, tenant: str, peek: Peek) -> list[TierRules]:
    """The levels of each programme, as they are in force now."""
    books = [await peek(Rules.at(name)) for name in await rules_of_kind(app, tenant, TIER)]
    versions = [book.in_force(app.clock.now()) for book in books]
    return [TIERS.read(version.body) for version in versions if version]


def _estimated(it: Possible, chosen: Chosen, facts: RatingFacts, ladders: Sequence[TierRules]) -> dict[str, Any]:
    plan = chosen.plan
    decision: Decision = evaluate(facts, plan)
    ahead_of_it = dict.fromkeys(one.after(facts.circumstances.tier) for one in ladders)
    tiers = [at_tier(facts, plan, tier) for tier in ahead_of_it if tier]
    differing = [change for change in tiers if change and change.outcome != decision.outcome]
    bands = reaches(schedule_of(plan, it.partner_id, it.closes_on))
    ahead = next((band for band in bands if not band.reached(facts.measure_before)), None)
    return {
        "plan_id": chosen.plan_id,
        "version": chosen.version.version,
        "kind": plan.kind,
        "component": plan.component,
        "pay": decision.outcome,
        "steps": [plain(reason) for reason in decision.reasons],
        "would_change": [plain(change) for change in (*decision.would_change, *differing)],
        "to_next_band": str(ahead.above - facts.measure_before) if ahead else None,
    }


def _sold(body: EstimateBody) -> Sold:
    try:
        amount = money(body.amount, body.currency)
    except ValueError as error:
        raise SaleInvalid(str(error)) from error
    return Sold(line_id="estimate", family=body.family, amount=amount, quantity=body.quantity)


# Forecast


@router.get("/estimates")
@answers(Estimates)
@reads("open_sales")
async def estimated(caller: Reader, app: App, partner_id: Filter = None) -> Response:
    """What open sales would pay if they were won on the day on which they are expected; a partner its own."""
    app.access.check(caller.principal, READ_EARNINGS)
    return shown(await estimates(app, caller.tenant, own(caller, partner_id)))


@router.get("/forecast")
@answers(Forecast)
@reads("open_sales")
async def forecasted(caller: Reader, app: App) -> Response:
    """An estimate: what open sales would pay if they are won, by month and partner, and that times their probability."""
    app.access.check(caller.principal, READ_LEDGER)
    return shown(await forecast(app, caller.tenant))
