"""Leads: a partner's inbox, the vendor's lead desk, one lead, and the form that a website's visitor fills in."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

LIST_MAX = 50
OPEN = ("quarantined", "open", "offered", "pooled", "accepted")
ENDED = ("converted", "closed")
SERVICE = "registration"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


# The lists


@router.get("/leads")
async def leads(here: Here) -> Response:
    """What is on offer to a partner, what it has, what anybody may claim; for the vendor, all of them."""
    _readers_only(here)
    return await (_desk(here) if here.vendor else _inbox(here))


def _readers_only(here: Visit) -> None:
    if not here.may("registration.read leads"):
        raise Forbidden


async def _inbox(here: Visit) -> Response:
    own, pooled, ended = await asyncio.gather(
        _listed(here, OPEN[:3] + OPEN[4:], "due_at"), _listed(here, ("pooled",), "due_at"), _listed(here, ENDED)
    )
    groups = {
        "offered": [one for one in own.items if one["masked"]],
        "accepted": [one for one in own.items if here.who.acts_for(one.get("partner_id"))],
        "brought": [one for one in own.items if not (one["masked"] or here.who.acts_for(one.get("partner_id")))],
        "pooled": pooled.items,
        "ended": ended.items,
    }
    return await here.page("leads.html", lists=own, groups=groups, figures=await _figures(here))


async def _desk(here: Visit) -> Response:
    """What waits for a person first, then what is on its way, then the pool."""
    held, opened, taken, ended, shares = await asyncio.gather(
        _listed(here, ("quarantined",), "submitted_at"),
        _listed(here, ("open", "offered", "pooled"), "due_at"),
        _listed(here, ("accepted",), "due_at"),
        _listed(here, ENDED),
        here.ask_if("registration.read lead shares", "/lead-shares"),
    )
    inbound = [one for one in opened.items if one["direction"] == "inbound"]
    groups = {
        "inbound": inbound,
        "held": held.items,
        "open": [one for one in opened.items if one not in inbound],
        "taken": taken.items,
        "ended": ended.items,
    }
    rows = [*opened.items, *taken.items, *ended.items, *held.items]
    names = await here.names({*partners_of(rows), *(one["partner_id"] for one in shares.items)})
    shown: dict[str, Any] = {"lists": opened, "groups": groups, "shares": shares, "names": names}
    return await here.page("lead_desk.html", **shown, figures=await _figures(here))


def partners_of(rows: list[dict[str, Any]]) -> set[str | None]:
    """Everybody whom the leads name: who has one, who brought it, and who has or had it on offer."""
    offered = {offer.get("partner_id") for row in rows for offer in (*row.get("offers", ()), *row.get("history", ()))}
    return {*offered, *(row.get("partner_id") for row in rows), *(row.get("source_partner_id") for row in rows)}


async def _listed(here: Visit, statuses: tuple[str, ...], sort: str = "-submitted_at") -> Part:
    return await here.ask(SERVICE, "/leads", status=statuses, sort=sort, limit=LIST_MAX)


async def _figures(here: Visit) -> dict[str, Any]:
    return (await here.ask(SERVICE, "/lead-figures")).one


# Bringing one


@router.get("/leads/new")
async def new(here: Here) -> Response:
    """An empty form."""
    return await _form(here)


async def _form(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("registration.SubmitLead"):
        raise Forbidden
    rules = await here.ask(SERVICE, "/rulebooks", kind="deal_rules")
    families = {
        family for book in rules.items for one in book["versions"] for family in one["body"].get("families", ())
    }
    return await here.page("lead_new.html", status, families=sorted(families), refusal=refusal)


def enquiry(sent: Form) -> dict[str, Any]:
    """The form as the body of a lead."""
    company = {**sent.given("website", "region", "postcode", "street", "size"), "country": sent.text("country")}
    contact = sent.given("email", "phone", "title")
    person = {"name": sent.text("contact"), **contact, "consent": sent.text("consent") == "yes"}
    return {
        "company": {**company, "name": sent.text("company")},
        "contact": person if sent.text("contact") else None,
        **sent.given("need"),
        "families": sent.words("families"),
    }


@router.post("/leads/new")
async def bring(here: Here, sent: Sent) -> Response:
    """Brings the lead and goes to its page."""
    answer = await here.send(sent, SERVICE, "/leads", {**enquiry(sent), **sent.given("direction", "source")})
    if answer.ok:
        return here.went(answer, f"/leads/{answer.json()['lead_id']}", "lead")
    return await _form(here, refused("lead", sent, answer), answer.status)


# One lead


@router.get("/leads/{lead_id}")
async def lead(lead_id: str, here: Here) -> Response:
    """One lead with what can be done with it now."""
    return await _lead_page(here, lead_id)


async def _lead_page(here: Visit, lead_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    _readers_only(here)
    found = await here.ask(SERVICE, f"/leads/{lead_id}")
    if found.missing:
        raise NotFound
    deciding = here.vendor and here.may("registration.AssignLead")
    partners = await here.ask("onboarding", "/partners", status="active", limit=200) if deciding else NOTHING
    names = await here.names(partners_of([found.one])) if found.ok else {}
    return await here.page("lead.html", status, lead=found, partners=partners, names=names, refusal=refusal)


def became(sent: Form) -> dict[str, Any]:
    """What the lead becomes: an opportunity of the vendor, or a new deal."""
    if sent.text("opportunity_id"):
        return sent.given("opportunity_id")
    amount = {"amount": sent.text("amount"), "currency": sent.text("currency")}
    return {
        "products": [{"family": word} for word in sent.words("products")],
        "amount": amount,
        **sent.given("website"),
    }


VERBS: dict[str, Callable[[Form], dict[str, Any] | None]] = {
    "accept": lambda sent: None,
    "claim": lambda sent: None,
    "release": lambda sent: None,
    "pool": lambda sent: None,
    "forget": lambda sent: None,
    "assign": lambda sent: sent.given("partner_id"),
    "decline": lambda sent: sent.given("reason_code"),
    "return": lambda sent: sent.given("reason_code"),
    "close": lambda sent: sent.given("reason_code"),
    "report": lambda sent: sent.given("step"),
    "appeal": lambda sent: sent.given("statement"),
    "convert": became,
}


@router.post("/leads/{lead_id}/{verb}")
async def change(lead_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Takes one step with a lead. A lead that is gone for who gave it back leads to the list."""
    if verb not in VERBS:
        raise NotFound
    answer = await here.send(sent, SERVICE, f"/leads/{lead_id}/{verb}", VERBS[verb](sent))
    if not answer.ok:
        return await _lead_page(here, lead_id, refused(f"lead-{verb}", sent, answer), answer.status)
    gone = not here.vendor and verb in ("decline", "return")
    return here.went(answer, "/leads" if gone else f"/leads/{lead_id}", f"lead-{verb}")
