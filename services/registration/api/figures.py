"""How fast and how evenly the vendor decides: for everybody the answers in time, for the vendor each size of partner."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response

from chassis.answers import Page, answers
from chassis.http import App, Reader, listed, reads, shown
from chassis.rulebook import Rules
from contracts.business_time import BUSINESS_DAY
from services.registration.access import READ_ATTAINMENT, READ_FAIRNESS
from services.registration.application.streams import PROGRAMME
from services.registration.domain.screening import DEAL_RULES
from services.registration.projections.partner_sizes import SizeCounts, by_size
from services.registration.projections.review_times import Attainment, attainment

MONTHS_MAX, PARTNERS_MAX = 24, 1_000

router = APIRouter(tags=["figures"])


@router.get("/attainment")
@answers(Attainment)
@reads("review_times")
async def attained(caller: Reader, app: App, months: Annotated[int, Query(ge=1, le=MONTHS_MAX)] = 3) -> Response:
    """How many deals were answered within the aim of the rules in force, and how long half and nine tenths took.

    This month and those before it, in open minutes of the desk.
    """
    app.access.check(caller.principal, READ_ATTAINMENT)
    names = _months(app.clock.now(), months)
    found = await app.read.find("review_times", caller.tenant, where={"month": names}, limit=MONTHS_MAX)
    version = (await app.executor.peek(caller.tenant)(Rules.at(PROGRAMME))).in_force(app.clock.now())
    days = (DEAL_RULES.read(version.body) if version else DEAL_RULES.read({})).clock.target_days
    target_minutes = days * int(BUSINESS_DAY.total_seconds()) // 60
    return shown({"from_month": names[-1], **attainment(found.items, target_minutes)})


def _months(now: datetime, count: int) -> tuple[str, ...]:
    """The month of an instant and those before it, the newest first: `2026-03`, `2026-02`."""
    last = now.year * 12 + now.month - 1
    return tuple(f"{one // 12:04}-{one % 12 + 1:02}" for one in range(last, last - count, -1))


@router.get("/fairness")
@answers(Page[SizeCounts])
@reads("partner_sizes")
async def fairness(caller: Reader, app: App) -> Response:
    """What became of the deals of partners of each size; of the thousand partners that registered most."""
    app.access.check(caller.principal, READ_FAIRNESS)
    found = await app.read.find("partner_sizes", caller.tenant, sort="-registered", limit=PARTNERS_MAX)
    return listed(by_size(found.items), None)
