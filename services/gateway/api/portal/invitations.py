"""Taking part in another partner's deal: what a partner is asked and has asked, its answers, and who is in a deal."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.deals import deal_page_of
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
    found = await here.ask(SERVICE, "/invitations", cursor=here.request.query_params.get("cursor"))
    both = {one[side] for one in found.items for side in ("host_id", "partner_id")}
    shown = {"found": found, "names": await here.names(both)}
    return await here.page("invitations.html", status, **shown, refusal=refusal)


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
