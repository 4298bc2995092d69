"""How fast and how evenly the vendor decides, and how much room a partner has for more deals."""

from datetime import datetime
from typing import Annotated, TypedDict

from fastapi import APIRouter, Query, Response

from chassis.answers import Page, answers
from chassis.http import App, BadRequest, Reader, listed, reads, shown
from chassis.rulebook import Rules
from contracts.business_time import BUSINESS_DAY
from contracts.values import PartnerId
from services.registration.access import READ_ATTAINMENT, READ_CAPACITY, READ_FAIRNESS
from services.registration.api.bodies import Programme
from services.registration.application.registering import room_of
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


class ShownCapacity(TypedDict):
    """How many deals of a partner are open, and how many may be; null where the programme's rules do not count."""

    partner_id: str
    programme: str
    quarter: str
    open: int | None
    limit: int | None
    left: int | None
    registration_ids: list[str]


@router.get("/capacity")
@answers(ShownCapacity)
async def capacity(
    caller: Reader,
    app: App,
    programme: Annotated[Programme, Query()] = PROGRAMME,
    partner_id: Annotated[str | None, Query(min_length=1, max_length=64)] = None,
) -> Response:
    """How many more deals a partner may have open now: its own, or that of the partner whom the vendor names."""
    app.access.check(caller.principal, READ_CAPACITY)
    whose = partner_id or caller.principal.partner_id
    if whose is None:
        raise BadRequest("name the partner: ?partner_id=")
    app.access.check(caller.principal, READ_CAPACITY, whose)
    room = await room_of(app.executor.peek(caller.tenant), programme, PartnerId(whose), app.clock.now())
    taken = None if room.taken is None else len(room.taken)
    left = None if room.limit is None or taken is None else max(0, room.limit - taken)
    return shown(
        {
            "partner_id": whose,
            "programme": programme,
            "quarter": room.quarter,
            "open": taken,
            "limit": room.limit,
            "left": left,
            "registration_ids": list(room.taken or ()),
        }
    )


@router.get("/fairness")
@answers(Page[SizeCounts])
@reads("partner_sizes")
async def fairness(caller: Reader, app: App) -> Response:
    """What became of the deals of partners of each size; of the thousand partners that registered most."""
    app.access.check(caller.principal, READ_FAIRNESS)
    found = await app.read.find("partner_sizes", caller.tenant, sort="-registered", limit=PARTNERS_MAX)
    return listed(by_size(found.items), None)
