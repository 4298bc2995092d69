"""Taking part in another partner's deal: what a partner is asked and has asked, its answers, and who is in a deal."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.deals import DISPUTES_MAX, deal_page_of, dispute_step, ordered
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

SERVICE, READ = "registration", "registration.read invitations"
ANSWERS = ("accept", "decline", "leave")
STEPS = ("revoke", "leave")

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/invitations")
async def invitations(here: Here) -> Response:
    """The invitations to this partner and to its deals; all of them for the vendor."""
    return await _list(here)


async def _list(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    found, disputes = await asyncio.gather(
        here.ask(SERVICE, "/invitations", cursor=here.request.query_params.get("cursor")), _disputes(here)
    )
    both = {one[side] for one in found.items for side in ("host_id", "partner_id")}
    shown = {"found": found, "names": await here.names(both), "disputes": disputes}
    return await here.page("invitations.html", status, **shown, refusal=refusal)


async def _disputes(here: Visit) -> dict[str, dict[str, Any]]:
    """The newest dispute over each part that this partner has in a deal, by its invitation; the vendor's stand by the deal."""
    if here.vendor:
        return {}
    found = await here.ask_if("registration.read disputes", "/disputes", limit=DISPUTES_MAX)
    return {one["invitation_id"]: one for one in reversed(found.items) if one.get("invitation_id")}


@router.post("/invitations/{invitation_id}/dispute/{step}")
async def contest(invitation_id: str, step: str, here: Here, sent: Sent) -> Response:
    """Takes the next step of the dispute over what this partner holds in another one's deal."""
    told = await dispute_step(here, sent, invitation_id, step)
    if told.ok:
        return here.went(told, "/invitations", f"dispute-{step}")
    return await _list(here, refused(f"dispute-{invitation_id}-{step}", sent, told), told.status)


@router.post("/invitations/{invitation_id}/record-order")
async def order(invitation_id: str, here: Here, sent: Sent) -> Response:
    """Writes down an order that this partner booked as the distributor in another one's deal."""
    told = await here.send(sent, SERVICE, f"/deals/{sent.text('registration_id')}/record-order", ordered(sent))
    if told.ok:
        return here.went(told, "/invitations", "record-order")
    return await _list(here, refused(f"record-order-{invitation_id}", sent, told), told.status)


@router.post("/invitations/{invitation_id}/{verb}")
async def answer(invitation_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Accepts, declines or leaves."""
    if verb not in ANSWERS:
        raise NotFound
    told = await here.send(sent, SERVICE, f"/invitations/{invitation_id}/{verb}", _body(verb, sent))
    if told.ok:
        return here.went(told, "/invitations", f"invitation-{verb}")
    return await _list(here, refused(f"{verb}-{invitation_id}", sent, told), told.status)


def _body(verb: str, sent: Form) -> dict[str, Any] | None:
    return sent.given("reason_code") if verb in ("decline", "revoke") else None


@router.post("/deals/{registration_id}/invitations/invite")
async def invite(registration_id: str, here: Here, sent: Sent) -> Response:
    """Asks another partner to take part in a deal."""
    body = {"registration_id": registration_id, **sent.given("partner_id", "role", "message")}
    told = await here.send(sent, SERVICE, "/invitations", body)
    if told.ok:
        return here.went(told, f"/deals/{registration_id}", "invited")
    return await deal_page_of(here, registration_id, refused("invite", sent, told), told.status)


@router.post("/deals/{registration_id}/invitations/{step}")
async def change(registration_id: str, step: str, here: Here, sent: Sent) -> Response:
    """Takes an invitation back, or a participant out."""
    if step not in STEPS:
        raise NotFound
    told = await here.send(sent, SERVICE, f"/invitations/{sent.text('invitation_id')}/{step}", _body(step, sent))
    if told.ok:
        return here.went(told, f"/deals/{registration_id}", f"invitation-{step}")
    return await deal_page_of(here, registration_id, refused(f"invitation-{step}", sent, told), told.status)
