"""Plans in the shadow: what each would have paid for the sales since it holds, beside what was really paid."""

from datetime import date, datetime, timedelta
from typing import Annotated, Any, NotRequired, TypedDict

from fastapi import APIRouter, Response

from chassis.answers import answers
from chassis.application import Application
from chassis.decider import NotFound
from chassis.event import iso, stable_id
from chassis.http import App, Reader, reads, shown
from chassis.rulebook import SHADOW as SHADOW_MODE
from chassis.rulebook import Rulebook, Rules, Version
from chassis.rulebook_api import Id
from chassis.shadow import Candidate, Progress, Window
from chassis.shadow_api import SHADOW
from chassis.shadow_runs import Asked, RunState
from services.incentives.api.backtests import BacktestReport
from services.incentives.application.sales import rules_of_kind
from services.incentives.application.trying import Trial, known_between, side_of
from services.incentives.domain.backtest import Backtest
from services.incentives.domain.choice import Chosen, read_plan
from services.incentives.domain.plan import PLAN, Plan

router = APIRouter(tags=["backtests"])


class ShadowPlan(TypedDict):
    """A plan in the shadow, with the first and the last day of the sales that it judges until today."""

    plan_id: str
    version: int
    name: str
    since: Annotated[str, date]
    until: Annotated[str, date]
    ended: bool


class ShadowPlans(TypedDict):
    items: list[ShadowPlan]


class ShadowPlanRun(ShadowPlan, RunState):
    """What the plan would have paid, as of an instant, beside what was paid."""

    kind: str
    rulebook_id: str
    sha256: str
    as_of: Annotated[str, datetime]
    until_position: int
    report: NotRequired[BacktestReport]


@router.get("/shadow")
@answers(ShadowPlans)
@reads("rulebooks")
async def list_plans(caller: Reader, app: App) -> Response:
    """The plans that were published in the shadow, each with its newest such version."""
    app.access.check(caller.principal, SHADOW)
    found = [_newest(book) for book in await _plans(app, caller.tenant)]
    return shown({"items": [_told(version, app.clock.now().date()) for version in found if version]})


@router.get("/shadow/{plan_id}")
@answers(ShadowPlanRun)
@reads("earnings")
async def one_plan(plan_id: Id, caller: Reader, app: App) -> Response:
    """Who would have won and lost how much under a plan in the shadow, and the sales that decide it.

    The report is made when it is asked for: with `status` running there is none yet, or that of before. It is beside
    what was paid by the plans of the same kind, component and pool.
    """
    app.access.check(caller.principal, SHADOW)
    book: Rulebook = await app.executor.peek(caller.tenant)(Rules.at(plan_id))
    version = _newest(book)
    if version is None or version.kind != PLAN or app.shadow_runs is None:
        raise NotFound("no version of that plan was published in the shadow")
    return shown(await _report(app, caller.tenant, version))


async def _report(app: Application, tenant: str, version: Version) -> dict[str, Any]:
    """The report that is there, if nothing happened since or it is fresh; else it is begun."""
    asked = await _asked(app, tenant, version)

    async def work(progress: Progress) -> dict[str, Any]:
        return await (await _trial_of(app, tenant, version, asked.asked)).run(progress)

    return await app.shadow_runs.current(asked, app.clock.now(), work)  # type: ignore[union-attr]


async def _asked(app: Application, tenant: str, version: Version) -> Asked:
    head, now = await app.executor.store.head(), app.clock.now()
    named = {"kind": version.kind, "rulebook_id": version.rulebook_id, "sha256": version.sha256}
    about = {**_told(version, now.date()), "as_of": iso(now), "until_position": head}
    return Asked(
        run_id=stable_id("shadow", version.rulebook_id, version.version),
        candidate=Candidate(**named, scope=version.scope, version=version.version, body=version.body),
        window=Window(tenant=tenant, after=0, until=head),
        asked={**named, **about},
    )


async def _trial_of(app: Application, tenant: str, version: Version, asked: Any) -> Trial:
    peek = app.executor.peek(tenant)
    plan = read_plan(version.body)
    books = [book for book in await _plans(app, tenant) if any(_beside(plan, one) for one in book.versions)]
    since, until = (date.fromisoformat(asked[name]) for name in ("since", "until"))
    known = await known_between(app, tenant, since, until)
    new = await side_of(peek, books, Chosen(version, plan), known)
    beside = frozenset(one.rulebook_id for book in books for one in book.versions)
    test = Backtest(old=None, new=new, since=since, until=until)
    return Trial(app=app, tenant=tenant, test=test, plan_ids=beside)


def _beside(plan: Plan, version: Version) -> bool:
    """Whether a version really pays for what the plan would pay for."""
    other = read_plan(version.body)
    same = (other.kind, other.component, other.pool) == (plan.kind, plan.component, plan.pool)
    return same and version.mode != SHADOW_MODE


async def _plans(app: Application, tenant: str) -> list[Rulebook]:
    peek = app.executor.peek(tenant)
    return [await peek(Rules.at(plan_id)) for plan_id in await rules_of_kind(app, tenant, PLAN)]


def _newest(book: Rulebook) -> Version | None:
    return max((one for one in book.versions if one.mode == SHADOW_MODE), key=lambda one: one.version, default=None)


def _told(version: Version, today: date) -> dict[str, Any]:
    """The version with the first and the last day of the sales that it judges until today."""
    ends = version.effective_until
    last = min(today, ends.date() - timedelta(days=1)) if ends else today
    return {
        "plan_id": version.rulebook_id,
        "version": version.version,
        "name": read_plan(version.body).name,
        "since": iso(version.effective_from.date()),
        "until": iso(last),
        "ended": bool(ends and ends.date() <= today),
    }
