"""The first page: what waits for the visitor, the figures, and what happened last."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from chassis.http import Paging
from chassis.read_store.port import Contains
from contracts.shared import AttentionCleared, AttentionRaised
from services.gateway.api.portal.money import earned_by
from services.gateway.api.portal.visit import NOTHING, Here, PageRoute, Part, Visit
from services.gateway.api.portal.worklist import named
from services.gateway.api.reading import event_view, sources_of
from services.gateway.api.worklist import task_page
from services.gateway.projections.event_log import readable_by

STATUSES = ("in_review", "action_required", "waiting", "approved", "closed", "rejected", "expired", "withdrawn")
LATEST, LATEST_LOOKED_AT, TASKS, LOOKED_AT_MAX = 12, 60, 6, 100
ASKED = (AttentionRaised.type, AttentionCleared.type)
LISTED = ("deal-review", "deal-returned", "invitation")
"""Topics of the worklist that have a list of their own on this page."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/")
async def home(here: Here) -> Response:
    await here.settled("deal_cards", "event_log", "worklist")
    deals, tasks, money, latest = await asyncio.gather(
        by_status(here), tasks_of(here), earned_by(here), latest_of(here)
    )
    shown = {"deals": deals, "tasks": tasks, "money": money, "latest": latest, **await called(here, latest)}
    return await here.page("home.html", **shown)


async def called(here: Visit, events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the customers and partners of the events are called, as far as this side knows them, and what it may open."""
    deals = {event["data"].get("registration_id") for event in events}
    customers, opens = await here.customers(deals), await here.opens(deals)
    names = await here.names({event["data"].get("partner_id") for event in events}) if here.vendor else {}
    return {"customers": customers, "names": names, "opens": opens}


def mine(here: Visit) -> dict[str, Any]:
    """The filter of deal cards that leaves the visitor's own side."""
    return {"partner_ids": Contains.any_of(here.who.partner_ids)} if here.who.partner_ids else {}


def told(here: Visit) -> dict[str, Any]:
    """The filter of the event log that leaves what the visitor may know."""
    return {"source": sources_of(here.who), **readable_by(here.who.partner_ids)}


async def by_status(here: Visit) -> dict[str, int]:
    """How many deals stand where; not counted for who may not know."""
    if not here.may("gateway.read deal board"):
        return dict.fromkeys(STATUSES, 0)
    read, tenant = here.app.read, here.tenant
    return {s: await read.count("deal_cards", tenant, where={"status": s, **mine(here)}) for s in STATUSES}


async def latest_of(here: Visit) -> list[dict[str, Any]]:
    """The newest events that this side may know; who is asked to look at what stands above them, and in the worklist."""
    found = await here.app.read.find("event_log", here.tenant, where=told(here), sort="-at", limit=LATEST_LOOKED_AT)
    views = (event_view(item, here.who) for item in found.items if item["type"] not in ASKED)
    return [view for view in views if view is not None][:LATEST]


async def tasks_of(here: Visit) -> list[dict[str, Any]]:
    """What waits for this visitor: a kind, the first of them, and how many they are."""
    found = await asyncio.gather(
        _deals(here), _leads(here), _invitations(here), _partners(here), _payments(here), _others(here)
    )
    return [_first(task) for task in found if task["part"].items or task["part"].down]


def _first(task: dict[str, Any]) -> dict[str, Any]:
    """The task with its first rows, their number, and whether there are more than were looked at."""
    part = task["part"]
    body = {"items": part.items[:TASKS]}
    return {**task, "count": len(part.items), "more": part.next_cursor is not None, "part": replace(part, body=body)}


async def _deals(here: Visit) -> dict[str, Any]:
    kind = "review" if here.vendor else "action"
    status = "in_review" if here.vendor else "action_required"
    asked = here.may("registration.ApproveDeal") or here.may("registration.ResubmitDeal")
    if not asked:
        return {"kind": kind, "part": NOTHING}
    part = await here.ask("registration", "/deals", status=status, sort="due_at", limit=LOOKED_AT_MAX)
    rows = [row for row in part.items if not here.vendor or mine_to_approve(row, here)]
    return {"kind": kind, "part": _left(part, rows)}


def _left(part: Part, rows: list[dict[str, Any]]) -> Part:
    """The part with those of its rows that concern the visitor."""
    return replace(part, body={"items": rows, "next_cursor": part.next_cursor}) if part.ok else part


async def _leads(here: Visit) -> dict[str, Any]:
    """What is on offer to a partner; for the vendor, what is held back until a person looks at it."""
    kind, status = ("held_leads", "quarantined") if here.vendor else ("leads", "offered")
    if not here.may("registration.ReleaseLead" if here.vendor else "registration.AcceptLead"):
        return {"kind": kind, "part": NOTHING}
    part = await here.ask("registration", "/leads", status=status, sort="submitted_at", limit=LOOKED_AT_MAX)
    return {"kind": kind, "part": _left(part, [row for row in part.items if here.vendor or row["masked"]])}


async def _others(here: Visit) -> dict[str, Any]:
    """What the services ask the visitor to look at, besides what has a list of its own on this page."""
    found, cursor = await task_page(here.app, here.caller, Paging(LOOKED_AT_MAX, ""), None, None, own=True)
    rows = [row for row in found if row["topic"] not in LISTED]
    body = {"items": rows, "next_cursor": cursor}
    return {"kind": "others", "part": Part(status=200, body=body), **await named(here, rows[:TASKS])}


async def _invitations(here: Visit) -> dict[str, Any]:
    """What other partners ask this one to take part in."""
    if here.vendor or not here.may("registration.AcceptInvitation"):
        return {"kind": "invitations", "part": NOTHING}
    part = await here.ask("registration", "/invitations", status="pending", limit=LOOKED_AT_MAX)
    asked = [row for row in part.items if here.who.acts_for(row["partner_id"])]
    return {"kind": "invitations", "part": _left(part, asked)}


def mine_to_approve(row: dict[str, Any], here: Visit) -> bool:
    """Whether an open step of a deal's review waits for one of the visitor's roles."""
    return here.may("registration.ApproveDeal") and any(step["role"] in here.who.roles for step in row["steps"])


async def _partners(here: Visit) -> dict[str, Any]:
    if not here.may("onboarding.ApprovePartner"):
        return {"kind": "applications", "part": NOTHING}
    part = await here.ask("onboarding", "/partners", status="review", sort="applied_at", limit=LOOKED_AT_MAX)
    return {"kind": "applications", "part": part}


async def _payments(here: Visit) -> dict[str, Any]:
    """Payments proposed by others wait for the approver; approved ones for who submits."""
    approves = here.may("incentives.ApprovePayment")
    if not approves and not here.may("incentives.SubmitPayment"):
        return {"kind": "approve_payment", "part": NOTHING}
    state = "proposed" if approves else "approved"
    part = await here.ask("incentives", "/payments", state=state, limit=LOOKED_AT_MAX)
    names = await here.names({row["partner_id"] for row in part.items})
    return {"kind": "approve_payment" if approves else "submit_payment", "part": part, "partners": names}
