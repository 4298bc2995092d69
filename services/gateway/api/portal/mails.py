"""Deals by mail: one is pasted and read; each field stands there with the line that says it and how sure that is."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import NOTHING, Here, PageRoute, Refusal, Sent, Visit, refused

SERVICE, KEEP, READ = "registration", "registration.KeepMail", "registration.read mails"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/mails")
async def mails(here: Here) -> Response:
    """Where a mail is pasted, and those that were."""
    return await _list(here)


async def _list(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    found = await here.ask(SERVICE, "/intake/mail", cursor=here.request.query_params.get("cursor"))
    partners = await here.ask("onboarding", "/partners", status="active", limit=200) if here.vendor else NOTHING
    names = await here.names({one["partner_id"] for one in found.items})
    shown: dict[str, Any] = {"mails": found, "partners": partners, "names": names, "refusal": refusal}
    return await here.page("mails.html", status, **shown)


@router.post("/mails")
async def take(here: Here, sent: Sent) -> Response:
    """Hands a mail in, and shows what was read of it."""
    body = {"mail": sent.values.get("mail", ""), **(sent.given("partner_id") if here.vendor else {})}
    answer = await here.send(sent, SERVICE, "/intake/mail", body)
    if answer.ok:
        taken = answer.json()
        return here.went(answer, f"/mails/{taken['mail_id']}", f"mail-{taken['outcome']}")
    return await _list(here, refused("mail", sent, answer), answer.status)


@router.get("/mails/{mail_id}")
async def mail(mail_id: str, here: Here) -> Response:
    """One mail with what was read of it."""
    return await _one(mail_id, here)


async def _one(mail_id: str, here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    it = await here.needed(SERVICE, f"/intake/mail/{mail_id}")
    names, opens = await here.names({it["partner_id"]}), await here.opens({it.get("standing")})
    return await here.page("mail.html", status, it=it, names=names, opens=opens, refusal=refusal)


@router.post("/mails/{mail_id}/{verb}")
async def again(mail_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Reads a mail again, or forgets it."""
    if verb not in ("reparse", "forget"):
        raise NotFound
    answer = await here.send(sent, SERVICE, f"/intake/mail/{mail_id}/{verb}", {})
    if answer.ok:
        return here.went(answer, f"/mails/{mail_id}", f"mail-{verb}")
    return await _one(mail_id, here, refused(verb, sent, answer), answer.status)
