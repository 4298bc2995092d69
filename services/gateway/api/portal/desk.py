"""The vendor's review desk: the queue, and one deal with both claims side by side and all that there is to decide."""

import asyncio
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.home import mine_to_approve
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

QUEUE_MAX, EARLIER_MAX = 50, 20
RETURNABLE = ("amount", "close_on", "tender", "description", "contacts", "partner_reference", "evidence")

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/desk")
async def queue(here: Here) -> Response:
    """What is in review, the next due first; and what waits behind a rival."""
    _desk_only(here)
    await here.settled("deal_cards")
    cursor = here.request.query_params.get("cursor")
    review, waiting = await asyncio.gather(
        here.ask("registration", "/deals", status="in_review", cursor=cursor, sort="due_at", limit=QUEUE_MAX),
        here.ask("registration", "/deals", status="waiting", sort="submitted_at", limit=QUEUE_MAX),
    )
    rows = [*review.items, *waiting.items]
    names = await here.names({row["partner_id"] for row in rows})
    classes = await _classes(here, [row["registration_id"] for row in rows])
    return await here.page("desk.html", review=review, waiting=waiting, names=names, classes=classes)


def _desk_only(here: Visit) -> None:
    if not here.may("registration.read conflicts"):
        raise Forbidden


async def _classes(here: Visit, ids: list[str]) -> dict[str, str]:
    """The class of the conflict that was found on each deal."""
    cards = await here.app.read.get_many("deal_cards", here.tenant, ids) if ids else {}
    found = {deal_id: card["parts"].get("registration", {}).get("conflict") for deal_id, card in cards.items()}
    return {deal_id: conflict for deal_id, conflict in found.items() if conflict}


@router.get("/desk/{registration_id}")
async def review(registration_id: str, here: Here) -> Response:
    """One deal to decide."""
    return await review_page(here, registration_id)


async def review_page(here: Visit, registration_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    _desk_only(here)
    doc, conflicts = await asyncio.gather(
        here.ask("registration", f"/deals/{registration_id}"),
        here.ask("registration", f"/deals/{registration_id}/conflicts"),
    )
    if doc.missing:
        raise NotFound
    rivals = conflicts.one.get("rivals", [])
    account_id = doc.one.get("board", {}).get("account_id") if doc.ok else None
    screening, account, others, tried = await asyncio.gather(
        _screening(here, doc),
        _account(here, account_id),
        _others(here, account_id),
        here.ask_if("registration.read attempts", f"/deals/{registration_id}/attempts"),
    )
    shown_above = {registration_id, *(rival["claim"]["registration_id"] for rival in rivals)}
    earlier = [deal for deal in others.items if deal["registration_id"] not in shown_above]
    named = {doc.one.get("partner_id"), *(rival["claim"]["partner_id"] for rival in rivals)}
    named |= {deal["partner_id"] for deal in earlier}
    shown = {"doc": doc, "conflicts": conflicts, "screening": screening, "account": account}
    facts: dict[str, Any] = {
        "names": await here.names(named),
        "decided": _decided(doc),
        "returnable": RETURNABLE,
        "earlier": earlier,
        "tried": tried,
    }
    facts["mine_to_approve"] = mine_to_approve(doc.one["board"], here) if doc.ok else False
    return await here.page("review.html", status, **shown, **facts, refusal=refusal, registration_id=registration_id)


async def _screening(here: Visit, doc: Part) -> Part:
    """The explanation of the last screening: every check with its value, and what would change the outcome."""
    events = [step["event_id"] for step in doc.one.get("history", []) if step["event"] == "DealScreened"]
    return await here.ask("registration", f"/why/{events[-1]}") if events else NOTHING


async def _account(here: Visit, account_id: str | None) -> Part:
    return await here.ask("registration", f"/accounts/{account_id}") if account_id else NOTHING


async def _others(here: Visit, account_id: str | None) -> Part:
    """All deals with the same customer, the newest first."""
    if not account_id:
        return NOTHING
    return await here.ask("registration", "/deals", account_id=account_id, limit=EARLIER_MAX)


def _decided(doc: Part) -> dict[str, str]:
    return {one["account_id"]: one["verdict"] for one in doc.one.get("found", {}).get("decided", [])}


def displacing(sent: Form) -> dict[str, Any] | None:
    """An approval; with a reason for it, one that takes the place of those that hold."""
    return {"displace": True, **sent.given("reason_code")} if sent.text("displace") else None


VERBS: dict[str, Callable[[Form], dict[str, Any] | None]] = {
    "approve": displacing,
    "queue": lambda sent: None,
    "return": lambda sent: {"fields": sent.words("fields"), "message": sent.text("message")},
    "reject": lambda sent: sent.given("reason_code", "message"),
    "decide-finding": lambda sent: sent.given("account_id", "verdict", "reason"),
}


@router.post("/desk/{registration_id}/confirm-identity")
async def confirm(registration_id: str, here: Here, sent: Sent) -> Response:
    """Vouches for who the customer is."""
    answer = await here.send(sent, "registration", f"/accounts/{sent.text('account_id')}/confirm")
    if answer.ok:
        return here.went(answer, f"/desk/{registration_id}", "confirmed")
    return await review_page(here, registration_id, refused("confirm", sent, answer), answer.status)


def outcome_of(verb: str, answer: Answer) -> str:
    """What a decision came to: an approval may be one step of several."""
    return "agreed" if verb == "approve" and answer.json().get("status") in ("in_review", "waiting") else verb


@router.post("/desk/{registration_id}/{verb}")
async def decide(registration_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Approves, returns, rejects, queues, or decides a finding."""
    if verb not in VERBS:
        raise NotFound
    answer = await here.send(sent, "registration", f"/deals/{registration_id}/{verb}", VERBS[verb](sent))
    if answer.ok:
        return here.went(answer, f"/desk/{registration_id}", outcome_of(verb, answer))
    return await review_page(here, registration_id, refused(verb, sent, answer), answer.status)
