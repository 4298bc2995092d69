"""How the vendor keeps its word: answers in time for everybody to see; for the vendor, whether partners are treated alike."""

import asyncio

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from services.gateway.api.portal.visit import Here, PageRoute

router = APIRouter(include_in_schema=False, route_class=PageRoute)
SERVICE = "registration"


@router.get("/fairness")
async def fairness(here: Here) -> Response:
    """Answers in time, what was held back, the shares of leads, and deals by the size of their partner."""
    if not here.may("registration.read attainment"):
        raise Forbidden
    answers, leads, sizes, shares = await asyncio.gather(
        here.ask(SERVICE, "/attainment"),
        here.ask(SERVICE, "/lead-figures"),
        here.ask_if("registration.read fairness", "/fairness"),
        here.ask_if("registration.read lead shares", "/lead-shares"),
    )
    names = await here.names({one["partner_id"] for one in shares.items})
    return await here.page("fairness.html", answers=answers, leads=leads, sizes=sizes, shares=shares, names=names)
