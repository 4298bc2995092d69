"""Partners: who they are, applications to decide, suspensions, and the people who act for each."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import NotFound
from services.gateway.api.portal.payees import payee_names
from services.gateway.api.portal.training import certifications
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

STATUSES = ("review", "active", "suspended", "declined", "withdrawn", "offboarded", "merged")
SCOPES = ("new_business", "access", "content", "payouts")
ROLES = ("owner", "seller", "marketer", "finance", "learner")
TYPES = ("reseller", "referral", "distributor", "service", "technology")
DEALS_MAX = 10
PARTNERS_MAX = 200

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/partners")
async def partners(here: Here) -> Response:
    """The vendor sees all partners, applications first; a partner only itself."""
    return await partners_page(here)


async def partners_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    query = here.request.query_params
    wanted = query.get("status") or None
    found, applied = await asyncio.gather(
        here.ask("onboarding", "/partners", status=wanted, cursor=query.get("cursor")),
        here.ask_if("onboarding.ApprovePartner", "/partners", status="review", sort="applied_at"),
    )
    shown = {"partners": found, "applied": applied, "wanted": wanted, "statuses": STATUSES, "types": TYPES}
    return await here.page("partners.html", status, **shown, refusal=refusal)


@router.post("/partners")
async def add(here: Here, sent: Sent) -> Response:
    """Enters a partner, which is screened at once."""
    body = {
        "legal_name": sent.text("legal_name"),
        "country": sent.text("country").upper(),
        "domains": [word.lower() for word in sent.words("domains")],
        "types": sent.words("types"),
        "source": "portal",
    }
    answer = await here.send(sent, "onboarding", "/partners", body)
    if answer.ok:
        return here.went(answer, f"/partners/{answer.json()['partner_id']}", "added")
    return await partners_page(here, refused("add", sent, answer), answer.status)


@router.get("/partners/{partner_id}")
async def partner(partner_id: str, here: Here) -> Response:
    """One partner with its people, deals and earnings."""
    return await partner_page(here, partner_id)


async def partner_page(here: Visit, partner_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    found = await here.ask_one("onboarding", f"/partners/{partner_id}")
    people, deals, lines, settlement, merger, others = await asyncio.gather(
        here.ask_if("onboarding.read people", f"/partners/{partner_id}/people"),
        here.ask_if("registration.read deals", "/deals", partner_id=partner_id, limit=DEALS_MAX),
        here.ask_if("incentives.read earnings", "/lines", partner_id=partner_id, limit=DEALS_MAX),
        here.ask_if("incentives.read earnings", f"/settlements/{partner_id}"),
        here.ask_if("incentives.read earnings", f"/mergers/{partner_id}"),
        here.ask_if("onboarding.MergePartners", "/partners", limit=PARTNERS_MAX),
    )
    open_ones = settlement.one.get("open", [])
    shown = {
        "part": found,
        "partner": found.one,
        "payee_names": await payee_names(here, open_ones, partner_id),
        "people": people,
        "deals": deals,
        "lines": lines,
        "settlement": settlement.one,
        "merger": merger.one,
        "lapsed": _lapsed(found.one, here.now),
        "names": {one["partner_id"]: one["profile"]["legal_name"] for one in others.items},
        "others": [one for one in others.items if one["status"] == "active" and one["partner_id"] != partner_id],
    }
    words = {"scopes": SCOPES, "roles": ROLES, "partner_id": partner_id, "books": await _books(here)}
    return await here.page("partner.html", status, **shown, **words, refusal=refusal)


def _lapsed(partner: dict[str, Any], now: datetime) -> bool:
    """Whether nobody confirmed in time what one of finance proposed to settle."""
    until = (partner.get("settling") or {}).get("confirm_until")
    return until is not None and datetime.fromisoformat(until) < now


async def _books(here: Visit) -> dict[str, str]:
    """What the visitor may certify people in."""
    return await certifications(here) if here.may("onboarding.AwardCertificate") else {}


def _suspension(sent: Form) -> dict[str, Any]:
    until = sent.text("until")
    body = {"scopes": sent.words("scopes"), "reason_code": sent.text("reason_code")}
    return {**body, "until": f"{until}T00:00:00Z"} if until else body


def _leaving(sent: Form) -> dict[str, Any]:
    days = sent.text("run_off_days")
    body: dict[str, Any] = sent.given("reason_code", "last_business_day")
    return {**body, "run_off_days": int(days)} if days.isdecimal() else body


VERBS: dict[str, Callable[[Form], dict[str, Any] | None]] = {
    "approve": lambda sent: sent.given("reason"),
    "decline": lambda sent: sent.given("reason_code"),
    "suspend": _suspension,
    "reinstate": lambda sent: None,
    "offboard": _leaving,
    "stay": lambda sent: None,
    "settle": lambda sent: sent.given("settled_on", "evidence_sha256", "reason"),
    "merge": lambda sent: sent.given("into", "effective_on"),
    "unmerge": lambda sent: sent.given("into"),
}


@router.post("/partners/{partner_id}/people")
async def invite(partner_id: str, here: Here, sent: Sent) -> Response:
    """Makes a person known and lets it act for the partner."""
    answer = await _invited(here, partner_id, sent)
    if answer.ok:
        return here.went(answer, f"/partners/{partner_id}", "invited")
    return await partner_page(here, partner_id, refused("invite", sent, answer), answer.status)


async def _invited(here: Visit, partner_id: str, sent: Form) -> Answer:
    person = await here.send(sent, "onboarding", "/people", sent.given("name", "mail"), "person")
    if not person.ok:
        return person
    roles = sent.words("roles")
    body = {"person_id": person.json()["person_id"], "partner_id": partner_id, "roles": roles}
    member = await here.send(sent, "onboarding", "/memberships", body, "membership")
    if not member.ok or not here.vendor:
        return member
    return await here.send(sent, "onboarding", f"/memberships/{member.json()['membership_id']}/join", None, "join")


@router.post("/partners/{partner_id}/certificates")
async def certify(partner_id: str, here: Here, sent: Sent) -> Response:
    """Awards one of the partner's people a certificate, or renews it."""
    proof = {"source": sent.text("source"), "reference": sent.text("reference")}
    body = {**sent.given("person_id", "certification", "earned_on"), "proof": proof}
    answer = await here.send(sent, "onboarding", "/certificates", body)
    if answer.ok:
        return here.went(answer, f"/partners/{partner_id}", "certified")
    return await partner_page(here, partner_id, refused("certify", sent, answer), answer.status)


@router.post("/partners/{partner_id}/people/{membership_id}/end")
async def end(partner_id: str, membership_id: str, here: Here, sent: Sent) -> Response:
    """Ends a membership."""
    answer = await here.send(sent, "onboarding", f"/memberships/{membership_id}/end")
    if answer.ok:
        return here.went(answer, f"/partners/{partner_id}", "ended")
    return await partner_page(here, partner_id, refused("people", sent, answer), answer.status)


@router.post("/partners/{partner_id}/{verb}")
async def change(partner_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Approves, declines, suspends or reinstates, lets the partner leave or stay, merges it or undoes that."""
    if verb not in VERBS:
        raise NotFound
    answer = await here.send(sent, "onboarding", f"/partners/{partner_id}/{verb}", VERBS[verb](sent))
    if answer.ok:
        return here.went(answer, f"/partners/{partner_id}", verb)
    return await partner_page(here, partner_id, refused(verb, sent, answer), answer.status)
