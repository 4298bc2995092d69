"""The worklist: all that waits for the visitor's eye, over all services, the most urgent first."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Response

from chassis.http import Paging
from services.gateway.api.portal.visit import Here, PageRoute, Visit
from services.gateway.api.worklist import reads_all, task_page

TASKS_MAX = 50
LENGTH_MAX = 64
VENDOR_ROLES = ("deal_desk", "channel_manager", "finance", "fund_manager", "arbiter", "admin")
"""Whom the services ask something of."""
MINE = "mine"
"""In place of a role: what is asked of the visitor's own, for who reads what waits for others too."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/worklist")
async def worklist(here: Here) -> Response:
    """By role and topic."""
    await here.settled("worklist")
    query = here.request.query_params
    role, topic = (query.get(name, "")[:LENGTH_MAX].strip() for name in ("role", "topic"))
    paging = Paging(TASKS_MAX, query.get("cursor", ""))
    own = role == MINE
    asked = None if own else role or None
    tasks, cursor = await task_page(here.app, here.caller, paging, asked, topic or None, own=own)
    shown: dict[str, Any] = {"tasks": tasks, "cursor": cursor, "filters": {"role": role, "topic": topic}}
    return await here.page("worklist.html", **shown, roles=_roles(here), **await named(here, tasks))


def _roles(here: Visit) -> Sequence[str]:
    return (MINE, *VENDOR_ROLES) if reads_all(here.who) else (*here.who.roles, *here.who.duties)


async def named(here: Visit, tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What the deals and partners of the tasks are called, as far as this side knows them, and what it may open.

    What is asked about a deal names its partner to the vendor, also where only the deal itself was told.
    """
    subjects: set[str | None] = {task["subject"] for task in tasks}
    holders = await here.holders(subjects) if here.vendor else {}
    partners = await here.names({task["partner_id"] for task in tasks} | set(holders.values())) if here.vendor else {}
    called = {"customers": await here.customers(subjects), "opens": await here.opens(subjects)}
    return {**called, "partners": partners, "holders": holders}
