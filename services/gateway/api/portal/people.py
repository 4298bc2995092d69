"""One person by its mail address: everything that is known, to be told or handed over, and forgetting it."""

from typing import Any

import orjson
from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden
from chassis.http import JSON
from services.gateway.api.people import AWAY, FOUND
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

ASKS = "gateway.read everything about a person"
FORGETS, STAYS = {"person", "deals_and_leads"}, {"staff", "sessions"}
"""What of a person is forgotten on this page, and what names somebody for as long as it is there."""
FILE = {"content-disposition": 'attachment; filename="everything-about-a-person.json"'}

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/people")
async def asked(here: Here) -> Response:
    """The form: whom it is about stands in no address, so that no log has it."""
    return await _shown(here, None)


@router.post("/people")
async def everything(here: Here, sent: Sent) -> Response:
    """All that is known, service by service."""
    return await _shown(here, sent)


@router.post("/people/file")
async def file(here: Here, sent: Sent) -> Response:
    """The same as a file for the person."""
    _may(here)
    answer = await here.own("POST", "/v1/people/everything", {"mail": sent.text("mail")}, sent.key)
    if not answer.ok:
        return await _shown(here, sent)
    return Response(orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2), media_type=JSON, headers=FILE)


@router.post("/people/forget")
async def forget(here: Here, sent: Sent) -> Response:
    """Forgets the person wherever it is known: as somebody who acts for a partner, and as a contact at customers.

    While a service cannot say whether it knows the person, nobody is told that the person is forgotten.
    """
    _may(here)
    found = await here.own("POST", "/v1/people/everything", {"mail": sent.text("mail")}, sent.key)
    if not found.ok:
        return await _shown(here, sent)
    if any(part["state"] == AWAY for part in found.json()["parts"]):
        away = Answer()
        away.status = 503
        return await _shown(here, sent, refused("forget", sent, away), away.status)
    for service, path, body in _wishes(found.json(), sent.text("mail")):
        answer = await here.send(sent, service, path, body, step=service)
        if not answer.ok:
            return await _shown(here, sent, refused("forget", sent, answer), answer.status)
    return here.went(found, "/people", "person-forgotten")


def _wishes(found: dict[str, Any], mail: str) -> list[tuple[str, str, Any]]:
    """What is to be sent where; nothing to who knows nothing, or has forgotten already."""
    wishes: list[tuple[str, str, Any]] = []
    for part in found["parts"]:
        if part["state"] == FOUND and part["about"] == "deals_and_leads" and _named(part["answer"]):
            wishes.append(("registration", "/people/forget", {"email": mail}))
        elif part["state"] == FOUND and part["about"] == "person" and not _erased(part["answer"]):
            wishes.append(("onboarding", f"/people/{found['person_id']}/erase", None))
    return wishes


def _named(known: dict[str, Any]) -> bool:
    """Whether a deal, a lead, a draft or a mail still says something of the person."""
    said = any(any(one["contacts"]) for one in known["deals"]) or any(one["contact"] for one in known["leads"])
    return said or bool(known["drafts"] or known["mails"])


def _erased(known: dict[str, Any]) -> bool:
    return bool(known["person"] and known["person"].get("status") == "erased")


def _may(here: Visit) -> None:
    if not here.may(ASKS):
        raise Forbidden


async def _shown(here: Visit, sent: Form | None, refusal: Refusal | None = None, status: int = 200) -> Response:
    _may(here)
    known = None
    if sent:
        answer = await here.own("POST", "/v1/people/everything", {"mail": sent.text("mail")}, sent.key)
        known = answer.json() if answer.ok else None
        refusal, status = (refusal, status) if answer.ok else (refused("ask", sent, answer), answer.status)
    mail = sent.text("mail") if sent else ""
    wishes = _wishes(known, mail) if known else []
    shown = {"known": known, "mail": mail, "forgets": bool(wishes), "forgotten": not wishes and _forgotten(known)}
    return await here.page("people.html", status, **shown, refusal=refusal)


def _forgotten(known: dict[str, Any] | None) -> bool:
    """Whether the person was known and names nobody any more, once nothing is left to forget."""
    parts = known["parts"] if known else []
    found = {part["about"] for part in parts if part["state"] == FOUND}
    return bool(found & FORGETS) and not found & STAYS and all(part["state"] != AWAY for part in parts)
