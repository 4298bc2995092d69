"""What is known of a person at a customer, by e-mail address: told when the person asks, and forgotten."""

from http import HTTPStatus
from typing import Annotated, Any, TypedDict

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import answers
from chassis.application import Application
from chassis.event import stable_id
from chassis.http import App, Body, Reader, Writer, perform, reads, shown
from contracts.values import RegistrationId
from services.registration.access import FIND_CONTACT
from services.registration.api import bodies, lead_bodies
from services.registration.api.bodies import contact_id_of
from services.registration.application.answers import ForgottenAnswer
from services.registration.application.streams import ROUTING
from services.registration.domain.forgotten import ForgetContact, ForgetDeal, subject_of
from services.registration.domain.lead_commands import ForgetLead

Id = Annotated[RegistrationId, Path(min_length=1, max_length=64)]

router = APIRouter(tags=["people"])


class WhoBody(Body):
    """The person, by the e-mail address under which somebody named it."""

    email: Annotated[str, Field(max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]


class NamedInDeal(TypedDict):
    """A deal that names the person, and what it says of it; null once that is forgotten."""

    registration_id: str
    number: str
    partner_id: str
    contacts: list[dict[str, Any] | None]


class NamedInLead(TypedDict):
    """A lead that the person came by, and what it says of it; null once that is forgotten."""

    lead_id: str
    number: str
    contact: dict[str, Any] | None


class NamedPerson(TypedDict):
    """Everything that registration keeps of a person at a customer, opened."""

    contact_id: str
    deals: list[NamedInDeal]
    leads: list[NamedInLead]


@router.post("/people/find")
@answers(NamedPerson)
@reads("contacts", "deal", "leads")
async def find(body: WhoBody, caller: Reader, app: App) -> Response:
    """Everything that deals and leads say of a person, for its own request; nothing for who is named nowhere."""
    app.access.check(caller.principal, FIND_CONTACT)
    contact_id = contact_id_of(app, caller.tenant, body.email)
    known = await app.read.get("contacts", caller.tenant, contact_id) or {"deals": [], "leads": []}
    deals = await app.read.get_many("deal", caller.tenant, known["deals"])
    leads = await app.read.get_many("leads", caller.tenant, known["leads"])
    found: NamedPerson = {
        "contact_id": contact_id,
        "deals": [_in_deal(app, caller.tenant, deals[one], contact_id) for one in known["deals"] if one in deals],
        "leads": [_in_lead(app, caller.tenant, leads[one]) for one in known["leads"] if one in leads],
    }
    return shown(dict(found))


def _in_deal(app: Application, tenant: str, deal: dict[str, Any], contact_id: str) -> NamedInDeal:
    subject = subject_of(contact_id)
    mine = [one for one in deal["details"]["contacts"] if one["subject"] == subject]
    return {
        "registration_id": deal["registration_id"],
        "number": deal["board"]["number"],
        "partner_id": deal["partner_id"],
        "contacts": [_said(app, tenant, one) for one in mine],
    }


def _in_lead(app: Application, tenant: str, lead: dict[str, Any]) -> NamedInLead:
    said = _said(app, tenant, lead["contact"]) if lead["contact"] else None
    return {"lead_id": lead["lead_id"], "number": lead["number"], "contact": said}


def _said(app: Application, tenant: str, sealed: dict[str, str]) -> dict[str, Any] | None:
    text: str | None = app.opened(tenant, sealed)
    return orjson.loads(text) if text else None


@router.post("/people/forget")
@answers(ForgottenAnswer)
async def forget(body: WhoBody, caller: Writer, app: App) -> Response:
    """Destroys the contact that deals and leads name, for good, and the words of those leads.

    Drafts, descriptions, notes and mails keep what was written of a person until the deal or the mail is forgotten. Who is
    named anew after this is known again.
    """
    app.access.check(caller.principal, ForgetContact)
    await app.caught_up("contacts")
    contact_id = contact_id_of(app, caller.tenant, body.email)
    by, now = caller.principal.by, app.clock.now()
    known = await app.read.get("contacts", caller.tenant, contact_id) or {"leads": []}
    for lead_id in known["leads"]:
        wish = ForgetLead(lead_id=lead_id, rulebook=ROUTING, by=by, now=now)
        command_id = stable_id("forgotten", contact_id, lead_id, caller.command_id)
        await app.issue(caller.tenant, command_id, wish)
        app.keys.forget(caller.tenant, lead_bodies.subject_of(lead_id), command_id)
    answer = await perform(caller, app, ForgetContact, ForgetContact(contact_id=contact_id, by=by, now=now))
    app.keys.forget(caller.tenant, subject_of(contact_id), caller.command_id)
    return answer


@router.post("/deals/{registration_id}/forget")
@answers(ForgottenAnswer)
async def forget_deal(registration_id: Id, caller: Writer, app: App) -> Response:
    """Destroys the personal text of a deal that is over: description, notes, disputes, who a natural person is.

    Of its contacts those without an e-mail address: `/people/forget` forgets the others, each in all deals and leads.
    """
    app.access.check(caller.principal, ForgetDeal)
    await app.exists(caller.tenant, "deal", registration_id)
    wish = ForgetDeal(registration_id=registration_id, by=caller.principal.by, now=app.clock.now())
    answer = await perform(caller, app, ForgetDeal, wish)
    if answer.status_code == HTTPStatus.OK:
        app.keys.forget(caller.tenant, bodies.subject_of(registration_id), caller.command_id)
    return answer
