"""What is contested: a partner's own disputes, on whichever side, all of them for the vendor, and one by itself."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.case import DECIDE, STEPS, Stage
from chassis.decider import Forbidden
from contracts.values import DISPUTE_GROUNDS
from services.gateway.api.portal.deals import dispute_step
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, Visit, refused

SERVICE, READ = "registration", "registration.read disputes"
TO_DECIDE = STEPS[DECIDE][0]
GROUPS = {"to_decide": TO_DECIDE, "going_on": (*TO_DECIDE, Stage.DECIDED)}
"""Stages that are asked for together, beside each by itself."""
URGENT_FIRST, NEWEST_FIRST = "due_at", "-opened_at"
SHOWN_MAX = 50

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/disputes")
async def disputes(here: Here) -> Response:
    """The disputes, the newest first; those that wait for an arbiter by when they are due."""
    if not here.may(READ):
        raise Forbidden
    query = here.request.query_params
    stage, kind = query.get("stage", ""), query.get("kind", "")
    stage, kind = stage if stage in (*GROUPS, *Stage) else "", kind if kind in DISPUTE_GROUNDS else ""
    found = await here.ask(
        SERVICE,
        "/disputes",
        stage=GROUPS.get(stage) or stage or None,
        kind=kind or None,
        sort=URGENT_FIRST if stage == "to_decide" else NEWEST_FIRST,
        limit=SHOWN_MAX,
        cursor=query.get("cursor"),
    )
    told = {"stage": stage, "kind": kind}
    shown: dict[str, Any] = {"found": found, "filters": told, "to_decide": TO_DECIDE, **await _named(here, found.items)}
    return await here.page("disputes.html", **shown)


async def _named(here: Visit, cases: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """The partners on both sides and the customers, as far as this side knows them."""
    sides = {one.get("partner_id") for it in cases for one in (it, *it.get("holders", ()))}
    deals = {it["registration_id"] for it in cases}
    return {"names": await here.names(sides), "customers": await here.customers(deals)}


@router.get("/disputes/{dispute_id}")
async def dispute(dispute_id: str, here: Here) -> Response:
    """One dispute with its next steps: also for an arbiter who reads no deals."""
    return await _one(dispute_id, here)


async def _one(dispute_id: str, here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    found = await here.ask_one(SERVICE, f"/disputes/{dispute_id}")
    it = found.one
    opens = await here.opens({it.get("registration_id")})
    shown = {"found": found, "it": it, "named": dispute_id, "opens": opens, **await _named(here, [it] if it else [])}
    return await here.page("dispute.html", status, **shown, refusal=refusal)


@router.post("/disputes/{dispute_id}/{step}")
async def contest(dispute_id: str, step: str, here: Here, sent: Sent) -> Response:
    """Takes the next step of a dispute."""
    told = await dispute_step(here, sent, dispute_id, step)
    if told.ok:
        return here.went(told, f"/disputes/{dispute_id}", f"dispute-{step}")
    return await _one(dispute_id, here, refused(f"dispute-{dispute_id}-{step}", sent, told), told.status)
