"""What is known of a person at a customer, by e-mail address: told when the person asks, and forgotten."""

import re
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from typing import Annotated, Any, TypedDict

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import answers
from chassis.application import Application
from chassis.event import stable_id
from chassis.http import App, Body, Caller, Reader, Writer, perform, reads, shown
from chassis.read_store.port import each
from contracts.values import RegistrationId
from services.registration.access import FIND_CONTACT
from services.registration.api import bodies, lead_bodies, mails
from services.registration.api.bodies import contact_id_of
from services.registration.application.answers import ForgottenAnswer
from services.registration.application.streams import ROUTING
from services.registration.domain.forgotten import ForgetContact, ForgetDeal, subject_of
from services.registration.domain.kept_mail import ForgetMail, Mail, Mails
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


class NamedInDraft(TypedDict):
    """A draft in which the address stands, and what it says of the person as a contact: nothing, where elsewhere."""

    registration_id: str
    number: str
    partner_id: str
    contacts: list[dict[str, Any]]


class NamedInMail(TypedDict):
    """A kept mail in which the address stands."""

    mail_id: str
    registration_id: str
    partner_id: str
    kept_at: str


class NamedPerson(TypedDict):
    """Everything that registration keeps of a person at a customer, opened."""

    contact_id: str
    deals: list[NamedInDeal]
    leads: list[NamedInLead]
    drafts: list[NamedInDraft]
    mails: list[NamedInMail]


@router.post("/people/find")
@answers(NamedPerson)
@reads("contacts", "deal", "leads", "drafts", "mails")
async def find(body: WhoBody, caller: Reader, app: App) -> Response:
    """Everything that deals, leads, drafts and kept mails say of a person; nothing for who is named nowhere."""
    app.access.check(caller.principal, FIND_CONTACT)
    contact_id = contact_id_of(app, caller.tenant, body.email)
    known = await app.read.get("contacts", caller.tenant, contact_id) or {"deals": [], "leads": []}
    deals = await app.read.get_many("deal", caller.tenant, known["deals"])
    leads = await app.read.get_many("leads", caller.tenant, known["leads"])
    found: NamedPerson = {
        "contact_id": contact_id,
        "deals": [_in_deal(app, caller.tenant, deals[one], contact_id) for one in known["deals"] if one in deals],
        "leads": [_in_lead(app, caller.tenant, leads[one]) for one in known["leads"] if one in leads],
        "drafts": [one async for one in _in_drafts(app, caller.tenant, body.email)],
        "mails": [one async for one in _in_mails(app, caller.tenant, body.email)],
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


# Drafts and mails are sealed whole, and who stands in them has no index: all are opened, which few requests ask for.


async def _in_drafts(app: Application, tenant: str, email: str) -> AsyncIterator[NamedInDraft]:
    async for draft in each(app.read, "drafts", tenant):
        text = app.opened(tenant, draft["body"])
        written = orjson.loads(text) if text else {}
        if any(_stands_in(email, one) for one in _texts(written)):
            contacts = written.get("contacts")
            named = [one for one in contacts if _names(one, email)] if isinstance(contacts, list) else []
            yield {
                "registration_id": draft["registration_id"],
                "number": draft["number"],
                "partner_id": draft["partner_id"],
                "contacts": named,
            }


def _names(contact: Any, email: str) -> bool:
    return any(_stands_in(email, one) for one in _texts(contact))


async def _in_mails(app: Application, tenant: str, email: str) -> AsyncIterator[NamedInMail]:
    peek = app.executor.peek(tenant)
    async for one in each(app.read, "mails", tenant):
        kept: Mail = await peek(Mails.at(one["mail_id"]))
        raw = app.keys.open(tenant, kept.first.raw)
        read = app.opened(tenant, one["found"]) if one["found"] else None
        said = [raw or "", *_texts(orjson.loads(read) if read else None)]
        if any(_stands_in(email, text) for text in said):
            yield {
                "mail_id": one["mail_id"],
                "registration_id": one["registration_id"],
                "partner_id": one["partner_id"],
                "kept_at": one["kept_at"],
            }


def _texts(written: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(written, str):
        yield written
    elif isinstance(written, dict | list):
        for part in written.values() if isinstance(written, dict) else written:
            yield from _texts(part)


def _stands_in(email: str, text: str) -> bool:
    """Whether the address stands there by itself, and not as the end or the beginning of another one."""
    whole = rf"(?<![\w.%+-]){re.escape(email)}(?![\w-]|\.\w)"
    return re.search(whole, text, re.IGNORECASE) is not None


@router.post("/people/forget")
@answers(ForgottenAnswer)
async def forget(body: WhoBody, caller: Writer, app: App) -> Response:
    """Destroys the contact that deals and leads name, for good, and those leads', drafts' and mails' words.

    Descriptions and notes keep what was written of a person until the deal is forgotten. Who is named anew after this is
    known again.
    """
    app.access.check(caller.principal, ForgetContact)
    for model in ("contacts", "drafts", "mails"):
        await app.caught_up(model)
    await _forget_written(body.email, caller, app)
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


async def _forget_written(email: str, caller: Caller, app: Application) -> None:
    """Drafts and mails that name the person. A draft that was submitted meanwhile is a deal, and keeps its words."""
    by, now = caller.principal.by, app.clock.now()
    drafts = [RegistrationId(one["registration_id"]) async for one in _in_drafts(app, caller.tenant, email)]
    kept = [one["mail_id"] async for one in _in_mails(app, caller.tenant, email)]
    wishes: list[tuple[str, Any]] = [
        *((bodies.subject_of(one), ForgetDeal(registration_id=one, by=by, now=now)) for one in drafts),
        *((mails.subject_of(one), ForgetMail(mail_id=one, by=by, now=now)) for one in kept),
    ]
    for subject, wish in wishes:
        command_id = stable_id("forgotten", subject, caller.command_id)
        if await app.issue(caller.tenant, command_id, wish):
            app.keys.forget(caller.tenant, subject, command_id)


@router.post("/deals/{registration_id}/forget")
@answers(ForgottenAnswer)
async def forget_deal(registration_id: Id, caller: Writer, app: App) -> Response:
    """Destroys the personal text of a deal that is over, or of a draft: description, notes, disputes, a natural person.

    Of its contacts those without an e-mail address: `/people/forget` forgets the others, each in all deals and leads.
    """
    app.access.check(caller.principal, ForgetDeal)
    await app.exists(caller.tenant, "deal", registration_id)
    wish = ForgetDeal(registration_id=registration_id, by=caller.principal.by, now=app.clock.now())
    answer = await perform(caller, app, ForgetDeal, wish)
    if answer.status_code == HTTPStatus.OK:
        app.keys.forget(caller.tenant, bodies.subject_of(registration_id), caller.command_id)
    return answer
