"""Deals: the board, registering one, and the page of one with all that happened to it in every service."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import NotFound
from chassis.http import Paging, Unavailable
from contracts.attribution import CreditAllocated
from services.gateway.access import READ_BOARD
from services.gateway.api.portal.desk import outcome_of
from services.gateway.api.portal.home import mine, mine_to_approve
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused
from services.gateway.api.portal.whys import explanation
from services.gateway.api.reading import card_view, deal_page, found_deals, timeline_of

COLUMNS = {
    "in_review": ("in_review",),
    "action_required": ("action_required",),
    "waiting": ("waiting",),
    "approved": ("approved",),
    "ended": ("closed", "expired", "rejected", "withdrawn", "revoked"),
}
COLUMN_MAX, LIST_MAX, FOUND_MAX, DISPUTES_MAX = 20, 50, 50, 200
CLOSE_DAYS = 90

router = APIRouter(include_in_schema=False, route_class=PageRoute)


# The board


@router.get("/deals")
async def board(here: Here) -> Response:
    """Columns by review status; a search or a filter gives a list."""
    await here.settled("deal_cards")
    query = here.request.query_params
    text, status, stage = query.get("q", "").strip(), query.get("status", ""), query.get("stage", "")
    if len(text) > 1:
        found, cursor = await found_deals(here.app, here.who, text[:100], FOUND_MAX), None
    elif status or stage:
        found, cursor = await _filtered(here, status, stage, query.get("cursor", ""))
    else:
        return await _columns(here)
    names = await here.names({card["partner_id"] for card in found})
    shown: dict[str, Any] = {
        "columns": None,
        "room": NOTHING,
        "cards": found,
        "cursor": cursor,
        "names": names,
        "filters": {"status": status, "stage": stage},
    }
    return await here.page("deals.html", **shown)


async def _filtered(here: Visit, status: str, stage: str, cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    where = {"status": COLUMNS.get(status, status) or None, "stage": stage or None}
    return await deal_page(here.app, here.caller, Paging(LIST_MAX, cursor), where, "-submitted_at")


async def _columns(here: Visit) -> Response:
    here.app.access.check(here.who, READ_BOARD)
    columns = [await _column(here, name, statuses) for name, statuses in COLUMNS.items()]
    names = await here.names({card["partner_id"] for column in columns for card in column["cards"]})
    shown: dict[str, Any] = {
        "columns": columns,
        "room": NOTHING if here.vendor else await here.ask_if("registration.read capacity", "/capacity"),
        "cards": [],
        "cursor": None,
        "names": names,
        "filters": {"status": "", "stage": ""},
    }
    return await here.page("deals.html", **shown)


async def _column(here: Visit, name: str, statuses: tuple[str, ...]) -> dict[str, Any]:
    where = {"status": statuses, **mine(here)}
    found = await here.app.read.find("deal_cards", here.tenant, where=where, sort="-changed_at", limit=COLUMN_MAX)
    count = await here.app.read.count("deal_cards", here.tenant, where=where)
    return {"name": name, "count": count, "cards": [card_view(card, here.who) for card in found.items]}


# Registering


@router.get("/deals/new")
async def new(here: Here) -> Response:
    """An empty form: five fields and a close date."""
    return await _form(here, None)


async def new_page(
    here: Visit, values: Mapping[str, str], chosen: list[str], *, status: int = 200, **context: Any
) -> Response:
    """The form with what is filled in."""
    return await _form(here, None, status=status, values=values, chosen=chosen, **context)


async def _form(here: Visit, sent: Form | None, *, status: int = 200, **context: Any) -> Response:
    partners = await here.ask("onboarding", "/partners", status="active", limit=200) if here.vendor else NOTHING
    rules = await here.ask("registration", "/rulebooks", kind="deal_rules")
    chosen = sent.words("products") if sent else []
    filled = {"values": sent.values if sent else {}, "chosen": chosen, "close_days": CLOSE_DAYS}
    shown = {
        **filled,
        "partners": partners,
        "families": _families(rules, here),
        "preview": None,
        "kept": [],
        "old": None,
    }
    found = {**shown, **context}
    seen = found["preview"] or {}
    names = await here.names({one["partner_id"] for one in seen.get("rivals", ())})
    opens = await here.opens({seen.get("already_registered"), _standing(found.get("refusal"))})
    return await here.page("deal_new.html", status, **found, names=names, opens=opens)


def _standing(refusal: Refusal | None) -> str | None:
    """The deal for which a registration was refused."""
    return refusal.problem.get("registration_id") if refusal else None


def _families(rules: Part, here: Visit) -> list[str]:
    """The products that the programme in force names, offered while typing."""
    now = here.now.isoformat()
    versions = [version for book in rules.items for version in book["versions"] if version["effective_from"] <= now]
    return sorted({family for version in versions for family in version["body"].get("families", ())})


def registration(sent: Form, here: Visit) -> dict[str, Any]:
    """The form as the body of a registration; what does not fit is told by the service."""
    body = {
        "customer": customer(sent),
        "products": [{"family": word} for word in sent.words("products")],
        "amount": {"amount": sent.text("amount"), "currency": sent.text("currency") or here.tenancy.currency},
        **sent.given("close_on", "role", "scope", "partner_reference", "description"),
    }
    return {**body, **sent.given("partner_id")} if here.vendor else body


def customer(sent: Form) -> dict[str, Any]:
    """A customer: a text with a dot is a website, any other an identifier of the scheme that was chosen."""
    named = {"name": sent.text("customer"), "country": sent.text("country").upper(), **sent.given("region", "postcode")}
    known, scheme = sent.text("known_by"), sent.text("scheme") or "website"
    if scheme == "website":
        return {**named, "website": known or None}
    return {**named, "identifiers": [{"scheme": scheme, "value": known}]}


@router.post("/deals/check")
async def check(here: Here, sent: Sent) -> Response:
    """What registering this would come to; nothing is recorded. The script asks this while the form is filled in."""
    answer = await here.send(sent, "registration", "/deals/preview", registration(sent, here), "preview")
    if answer.ok:
        return await _form(here, sent, preview=answer.json())
    return await _form(here, sent, status=answer.status, refusal=refused("check", sent, answer))


@router.post("/deals/new")
async def register(here: Here, sent: Sent) -> Response:
    """Registers the deal and goes to its page."""
    answer = await here.send(sent, "registration", "/deals", registration(sent, here))
    if answer.ok:
        return here.went(answer, f"/deals/{answer.json()['registration_id']}", "registered")
    return await _form(here, sent, status=answer.status, refusal=refused("register", sent, answer))


# One deal


@router.get("/deals/{registration_id}")
async def deal(registration_id: str, here: Here) -> Response:
    """Everything about one deal; `?why=` opens the explanation of one of its events."""
    return await deal_page_of(here, registration_id)


async def deal_page_of(
    here: Visit, registration_id: str, refusal: Refusal | None = None, status: int = 200
) -> Response:
    here.app.access.check(here.who, READ_BOARD)
    await here.settled("deal_cards", "timeline", "event_log")
    card = card_view(await here.app.document(here.who, "deal_cards", registration_id), here.who)
    asked = (
        _told(here, registration_id),
        _registered(here, registration_id),
        _sale(here, registration_id),
        _lines(here, registration_id),
    )
    told, doc, sale, lines = await asyncio.gather(*asked)
    shares = [share for pool in sale["credit"].one.get("pools", []) for share in _current(pool)["shares"]]
    named = {
        card["partner_id"],
        *(share["partner_id"] for share in shares),
        *(line["partner_id"] for line in lines.items),
    }
    beside = await _beside(here, registration_id, doc)
    names = await here.names(named | _disputing(beside))
    shown = {"card": card, "timeline": told, "doc": doc, "lines": lines, "names": names, **sale, **beside}
    shown |= await _taking_part(here, registration_id, doc)
    shown["mine_to_approve"] = doc.ok and "board" in doc.one and mine_to_approve(doc.one["board"], here)
    return await here.page("deal.html", status, **shown, why=await _why(here, told), refusal=refusal)


async def _beside(here: Visit, registration_id: str, doc: Part) -> dict[str, Part]:
    """What people wrote beside the deal, and what is contested about it: for the vendor also of who takes part in it."""
    notes, dispute, contested = await asyncio.gather(
        here.ask_if("registration.read notes", f"/deals/{registration_id}/notes"),
        here.ask_if("registration.read disputes", f"/disputes/{registration_id}"),
        here.ask_if("registration.read disputes", "/disputes", registration_id=registration_id, limit=DISPUTES_MAX)
        if here.vendor
        else _nobody(),
    )
    found = {"dispute": dispute if dispute.ok else NOTHING, "contested": contested if contested.ok else NOTHING}
    return {"notes": notes if doc.ok else NOTHING, **found}


def _disputing(beside: Mapping[str, Part]) -> set[str]:
    """Who stands on either side of what is contested, as far as this side reads it."""
    cases = (beside["dispute"].one, *beside["contested"].items)
    return {one["partner_id"] for it in cases for one in (it, *it.get("holders", ())) if one.get("partner_id")}


async def _taking_part(here: Visit, registration_id: str, doc: Part) -> dict[str, Any]:
    """Who is invited to the deal and takes part, and whom the desk could invite."""
    if not doc.ok:
        return {"invitations": NOTHING, "invitable": NOTHING, "others": {}}
    invited, active = await asyncio.gather(
        here.ask_if("registration.read invitations", "/invitations", registration_id=registration_id),
        here.ask("onboarding", "/partners", status="active", limit=200) if here.vendor else _nobody(),
    )
    others = await here.names({one["partner_id"] for one in invited.items})
    return {"invitations": invited, "invitable": active, "others": others}


async def _nobody() -> Part:
    return NOTHING


def _current(pool: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = pool.get("current") or pool["revisions"][-1]
    return found


async def _told(here: Visit, registration_id: str) -> list[dict[str, Any]]:
    """The newest first."""
    try:
        return list(reversed(await timeline_of(here.app, here.who, registration_id)))
    except NotFound:
        return []


async def _registered(here: Visit, registration_id: str) -> Part:
    return await here.ask_if("registration.read deals", f"/deals/{registration_id}")


async def _lines(here: Visit, registration_id: str) -> Part:
    return await here.ask_if("incentives.read earnings", "/lines", registration_id=registration_id)


async def _sale(here: Visit, registration_id: str) -> dict[str, Part]:
    found = await here.ask("attribution", "/opportunities", registration_id=registration_id, limit=1)
    if not found.first:
        return {"sale": found, "credit": NOTHING}
    credit = await here.ask("attribution", f"/opportunities/{found.first['opportunity_id']}/credit")
    return {"sale": found, "credit": credit}


async def _why(here: Visit, told: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The explanation that was asked for; else that of the newest decision in the timeline."""
    query = here.request.query_params
    newest = next((entry["event_id"] for entry in told if _is_decision(entry)), "")
    event_id = query.get("why", "")[:64] or newest
    try:
        return await explanation(here, event_id, query.get("service", "")) if event_id else None
    except Unavailable:  # the rest of the page is good: it says that a part is away
        here.away.update(entry["source"] for entry in told if entry["event_id"] == event_id)
        return None


def _is_decision(entry: dict[str, Any]) -> bool:
    """Whether rules were applied: what the CRM told was decided by nobody here."""
    return bool(entry["source"] != "attribution" or entry["type"] == CreditAllocated.type)


# What a partner does with its deal


def corrections(sent: Form) -> dict[str, Any]:
    """The fields of a deal that can still change, as far as they are filled in."""
    body: dict[str, Any] = sent.given("close_on", "tender", "partner_reference", "description")
    if sent.text("amount"):
        body["amount"] = {"amount": sent.text("amount"), "currency": sent.text("currency")}
    return body


def shown_evidence(sent: Form) -> dict[str, Any]:
    """One document, by the SHA-256 of its content."""
    return {"evidence": [{name: sent.text(name).lower() for name in ("kind", "dated_on", "sha256")}]}


def contested(sent: Form) -> dict[str, Any]:
    """On which ground a decision is contested, and why; with a document where one is named."""
    shown = shown_evidence(sent) if sent.text("sha256") else {}
    return {"kind": sent.text("ground"), **sent.given("statement"), **shown}


def ordered(sent: Form) -> dict[str, Any]:
    """An order that a distributor booked."""
    amount = {"amount": sent.text("amount"), "currency": sent.text("currency")}
    return {**sent.given("order_ref", "ordered_on"), "amount": amount}


VERBS: dict[str, Callable[[Form], dict[str, Any] | None]] = {
    "approve": lambda sent: None,
    "resubmit": corrections,
    "amend": corrections,
    "withdraw": lambda sent: sent.given("reason_code"),
    "add-evidence": shown_evidence,
    "request-extension": shown_evidence,
    "grant-extension": lambda sent: None,
    "refuse-extension": lambda sent: sent.given("reason_code"),
    "revoke": lambda sent: {**sent.given("reason_code"), **shown_evidence(sent)},
    "record-order": ordered,
    "merge": lambda sent: sent.given("into"),
    "notes": lambda sent: sent.given("text", "audience"),
}
STEPS: dict[str, Callable[[Form], dict[str, Any] | None]] = {
    "file": contested,
    "show-evidence": shown_evidence,
    "appeal": lambda sent: sent.given("statement"),
    "withdraw": lambda sent: None,
    "request-evidence": lambda sent: sent.given("question"),
    "decide": lambda sent: sent.given("outcome", "reason", "percent"),
}
"""The steps of a dispute, which is named by its deal, or by the invitation of who takes part in it."""


@router.post("/deals/{registration_id}/dispute/{step}")
async def contest(registration_id: str, step: str, here: Here, sent: Sent) -> Response:
    """Files a dispute about a deal, or takes its next step."""
    answer = await _stepped(here, sent, registration_id, step)
    if answer.ok:
        return here.went(answer, f"/deals/{registration_id}", f"dispute-{step}")
    beside = sent.text("invitation_id")
    form = f"dispute-{beside}-{step}" if beside else f"dispute-{step}"
    return await deal_page_of(here, registration_id, refused(form, sent, answer), answer.status)


async def _stepped(here: Visit, sent: Form, registration_id: str, step: str) -> Answer:
    if step == "file":
        filed = {"registration_id": registration_id, **(STEPS[step](sent) or {})}
        return await here.send(sent, "registration", "/disputes", filed)
    return await dispute_step(here, sent, sent.text("invitation_id") or registration_id, step)


async def dispute_step(here: Visit, sent: Form, dispute_id: str, step: str) -> Answer:
    """Takes the next step of a dispute. Raises NotFound where it is none."""
    if step not in STEPS or step == "file":
        raise NotFound
    return await here.send(sent, "registration", f"/disputes/{dispute_id}/{step}", STEPS[step](sent))


@router.post("/deals/{registration_id}/credit/{pool}")
async def revise_credit(registration_id: str, pool: str, here: Here, sent: Sent) -> Response:
    """Replaces the shares of a pool by hand, with a reason."""
    fields = ("share_partner", "share_role", "share_percent")
    rows = zip(*(sent.lists.get(name, []) for name in fields), strict=False)
    shares = [{"partner_id": p, "role": r, "percent": n.strip()} for p, r, n in rows if n.strip()]
    body = {"shares": shares, **sent.given("reason_code", "reason")}
    path = f"/opportunities/{sent.text('opportunity_id')}/credit/{pool}/revise"
    answer = await here.send(sent, "attribution", path, body)
    if answer.ok:
        return here.went(answer, f"/deals/{registration_id}", "revised")
    return await deal_page_of(here, registration_id, refused("credit", sent, answer), answer.status)


@router.post("/deals/{registration_id}/{verb}")
async def change(registration_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Resubmits, amends or withdraws; or approves, for a role that has no desk."""
    if verb not in VERBS:
        raise NotFound
    answer = await here.send(sent, "registration", f"/deals/{registration_id}/{verb}", VERBS[verb](sent))
    if answer.ok:
        return here.went(answer, f"/deals/{registration_id}", outcome_of(verb, answer))
    return await deal_page_of(here, registration_id, refused(verb, sent, answer), answer.status)
