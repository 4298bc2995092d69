"""Leads over HTTP: bring one, offer it, take it, work on it, make a deal of it; read what each side may."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, Depends, Query, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.event import LEFT_OUT, LeftOut, human_number
from chassis.execution import Peek
from chassis.http import App, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.identity import Principal
from chassis.read_store.port import Contains
from chassis.rulebook import Rules
from chassis.tables import Table, cell, every, table
from contracts.values import PartnerId, RegistrationId
from services.registration.access import (
    READ_LEAD_CONTACTS,
    READ_LEAD_FIGURES,
    READ_LEAD_SHARES,
    READ_LEADS,
)
from services.registration.api.accounts import ANY_COUNTRY
from services.registration.api.asking import submission
from services.registration.api.bodies import ContactBody, CustomerBody, Id, MoneyBody, RegisterBody, between
from services.registration.api.lead_bodies import (
    AppealBody,
    AssignBody,
    CloseBody,
    ConvertBody,
    LeadBody,
    ProgressBody,
    ReasonBody,
    enquiry_of,
    mail_domain_of,
    marks_of,
    subject_of,
)
from services.registration.application.on_leads import AskedOfLead, assigning, on_lead
from services.registration.application.ports import GivenCustomer
from services.registration.application.registering import prepare_registration
from services.registration.application.streams import ROUTING, routing_of
from services.registration.domain.customer import Identifier
from services.registration.domain.deal_commands import RegisterDeal
from services.registration.domain.lead import Lead, Leads, Standing
from services.registration.domain.lead_commands import (
    AcceptLead,
    AppealLead,
    AssignLead,
    ClaimLead,
    CloseLead,
    ConvertLead,
    DeclineLead,
    ForgetLead,
    PoolLead,
    ReleaseLead,
    ReportProgress,
    ReturnLead,
    SubmitLead,
)
from services.registration.domain.routing import LEAD_RULES, Taker
from services.registration.projections.lead_figures import ALL, NONE_YET, LeadFigures, with_parts
from services.registration.projections.lead_takers import LeadShare, shares, takers
from services.registration.projections.leads import ShownLead, for_partner, for_vendor, without_people

STATUSES = Literal["quarantined", "open", "offered", "pooled", "accepted", "converted", "closed"]
SORT = r"^-?(submitted_at|due_at)$"
SHARES_MAX = 1_000

router = APIRouter(tags=["leads"])


# Submitting


@router.post("/leads", status_code=201)
async def submit(body: LeadBody, caller: Writer, app: App) -> Response:
    """Brings a lead: it goes on at once, is held back for a person to look at, or repeats another."""
    app.access.check(caller.principal, SubmitLead)
    lead_id, who = caller.new_id("lead"), caller.principal.partner_id
    direction = _direction(body, caller)
    enquiry = enquiry_of(
        app, caller.tenant, lead_id, body, direction=direction, source=body.source, source_partner_id=who
    )
    command = SubmitLead(
        lead_id=lead_id,
        rulebook=routing_of(body.programme),
        number=human_number("L", lead_id),
        programme=body.programme,
        enquiry=enquiry,
        marks=marks_of(app, caller.tenant, enquiry, body),
        mail_domain=mail_domain_of(body),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    answer = await perform(caller, app, SubmitLead, command, status=201)
    answer.headers["Location"] = f"/leads/{lead_id}"
    return answer


def _direction(body: LeadBody, caller: Caller) -> str:
    """A partner's lead is for the vendor unless it says for a partner; the vendor's is for partners."""
    if caller.principal.partner_id is None:
        return "outbound"
    return "peer" if body.direction == "peer" else "inbound"


# Steps

Fields = dict[str, Any]


def _asked(caller: Caller, app: App, lead_id: str, action: type[Any]) -> AskedOfLead:
    """A wish on a lead; one that a partner may not know of is not found, as one that never was."""
    app.access.check(caller.principal, action)
    who = caller.principal

    def allow(lead: Lead) -> None:
        if who.partner_ids and not _knows(lead, who):
            raise NotFound

    return AskedOfLead(lead_id=lead_id, by=caller.principal.by, now=app.clock.now(), allow=allow)


def _knows(lead: Lead, who: Principal) -> bool:
    """Whether a partner may know of a lead, from what it was told: it brought it, it was offered to it, it is anybody's."""
    told = (lead.first.enquiry.source_partner_id, *_has(lead), *lead.declined)
    return who.named_in(told) is not None or lead.standing == Standing.POOLED


def _has(lead: Lead) -> tuple[PartnerId | None, ...]:
    """Who has it, or has it on offer."""
    return lead.holder, *(one.partner_id for one in lead.offers)


async def _take(
    lead_id: str, action: type[Any], caller: Caller, app: App, make: Callable[[Lead, Fields], Any]
) -> Response:
    return await perform(caller, app, action, on_lead(_asked(caller, app, lead_id, action), make))


def _mine(caller: Caller, lead: Lead, fields: Fields) -> Fields:
    """The fields with the partner that asks: of those for which it acts the one that has it, or that brought it."""
    who = caller.principal
    named = who.named_in(_has(lead)) or who.named_in((lead.first.enquiry.source_partner_id,)) or who.partner_id
    return {**fields, "partner_id": PartnerId(named) if named else None}


@router.post("/leads/{lead_id}/appeal")
async def appeal(lead_id: Id, body: AppealBody, caller: Writer, app: App) -> Response:
    """Asks the vendor to look again at a lead that was held back."""
    statement = app.seal(caller.tenant, subject_of(lead_id), body.statement)
    return await _take(
        lead_id, AppealLead, caller, app, lambda it, f: AppealLead(**_mine(caller, it, f), statement=statement)
    )


@router.post("/leads/{lead_id}/release")
async def release(lead_id: Id, caller: Writer, app: App) -> Response:
    """Lets a lead go on that was held back."""
    return await _take(lead_id, ReleaseLead, caller, app, lambda lead, f: ReleaseLead(**f, marks=lead.first.marks))


@router.post("/leads/{lead_id}/assign")
async def assign(lead_id: Id, body: AssignBody, caller: Writer, app: App) -> Response:
    """Offers an open lead to a partner: the one named, or whom the rules find."""
    asked = _asked(caller, app, lead_id, AssignLead)
    named = PartnerId(body.partner_id) if body.partner_id else None
    make = assigning(asked, partial(takers, app.read, caller.tenant), named, by_hand=True)
    return await perform(caller, app, AssignLead, make)


@router.post("/leads/{lead_id}/pool")
async def pool(lead_id: Id, caller: Writer, app: App) -> Response:
    """Puts an open lead where every partner may claim it."""
    return await _take(lead_id, PoolLead, caller, app, lambda _, f: PoolLead(**f))


@router.post("/leads/{lead_id}/claim")
async def claim(lead_id: Id, caller: Writer, app: App) -> Response:
    """Takes a lead out of the pool: the first has it."""
    found = await takers(app.read, caller.tenant, "", (caller.principal.partner_id or "",))
    who = PartnerId(caller.principal.partner_id or "")
    taker = found[0] if found else Taker(partner_id=who, suspended=True)
    return await _take(lead_id, ClaimLead, caller, app, lambda _, f: ClaimLead(**f, taker=taker))


@router.post("/leads/{lead_id}/accept")
async def accept(lead_id: Id, caller: Writer, app: App) -> Response:
    """Takes a lead that was offered; from now on all of it may be read."""
    return await _take(lead_id, AcceptLead, caller, app, lambda it, f: AcceptLead(**_mine(caller, it, f)))


@router.post("/leads/{lead_id}/decline")
async def decline(lead_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """Says no: it goes on to the next."""
    code = body.reason_code
    return await _take(
        lead_id, DeclineLead, caller, app, lambda it, f: DeclineLead(**_mine(caller, it, f), reason_code=code)
    )


@router.post("/leads/{lead_id}/report")
async def report(lead_id: Id, body: ProgressBody, caller: Writer, app: App) -> Response:
    """Says how far it is."""
    step = body.step
    return await _take(
        lead_id, ReportProgress, caller, app, lambda it, f: ReportProgress(**_mine(caller, it, f), step=step)
    )


@router.post("/leads/{lead_id}/return")
async def give_back(lead_id: Id, body: ReasonBody, caller: Writer, app: App) -> Response:
    """Gives an accepted lead back: it goes on to the next."""
    code = body.reason_code
    return await _take(
        lead_id, ReturnLead, caller, app, lambda it, f: ReturnLead(**_mine(caller, it, f), reason_code=code)
    )


@router.post("/leads/{lead_id}/close")
async def close(lead_id: Id, body: CloseBody, caller: Writer, app: App) -> Response:
    """Ends a lead."""
    code = body.reason_code
    return await _take(
        lead_id, CloseLead, caller, app, lambda it, f: CloseLead(**_mine(caller, it, f), reason_code=code)
    )


@router.post("/leads/{lead_id}/forget")
async def forget(lead_id: Id, caller: Writer, app: App) -> Response:
    """Records that a lead is forgotten, and destroys the key: its contact and its words can never be read again."""
    answer = await _take(lead_id, ForgetLead, caller, app, lambda _, fields: ForgetLead(**fields))
    app.keys.forget(caller.tenant, subject_of(lead_id), caller.command_id)
    return answer


# Converting


@router.post("/leads/{lead_id}/convert")
async def convert(lead_id: Id, body: ConvertBody, caller: Writer, app: App) -> Response:
    """Makes a deal of a lead: registers one from its customer, or names one that stands; the vendor names an opportunity."""
    app.access.check(caller.principal, ConvertLead)
    registration_id = body.registration_id
    if body.amount is not None:
        registration_id = await _registered(lead_id, body, body.amount, caller, app)

    def make(lead: Lead, fields: Fields) -> ConvertLead:
        mine, one_with = _mine(caller, lead, fields), _one_with(caller)
        return ConvertLead(
            **mine, registration_id=registration_id, opportunity_id=body.opportunity_id, one_with=one_with
        )

    return await _take(lead_id, ConvertLead, caller, app, make)


def _one_with(caller: Caller) -> tuple[PartnerId, ...] | LeftOut:
    """Every partner for which the caller acts, where these are several."""
    who = caller.principal
    return tuple(PartnerId(one) for one in who.partner_ids) if who.absorbed else LEFT_OUT


async def _registered(lead_id: str, body: ConvertBody, amount: MoneyBody, caller: Caller, app: App) -> RegistrationId:
    """The deal of a lead, registered under an id of its own: however often it is asked, there is one."""
    asked = _asked(caller, app, lead_id, ConvertLead)
    peek = app.executor.peek(caller.tenant)
    lead: Lead = await peek(Leads.at(lead_id))
    asked.allow(lead)
    wish = submission(_deal_body(lead, body, amount, caller, app), caller, app, lead_id=lead_id)
    if lead.standing != Standing.ACCEPTED or lead.holder not in (wish.partner_id, *caller.principal.partner_ids):
        return wish.registration_id  # the conversion is refused, and the refusal recorded

    async def make(peek: Peek) -> RegisterDeal:
        return await prepare_registration(peek, app.ports.accounts, caller.tenant, wish)

    order = replace(caller.order(), command_id=caller.new_id("deal command"), expected_version=None)
    await app.executor.run(order, make)
    return wish.registration_id


def _deal_body(lead: Lead, body: ConvertBody, amount: MoneyBody, caller: Caller, app: App) -> RegisterBody:
    company = lead.first.enquiry.company
    sealed = lead.first.enquiry.contact
    contact = orjson.loads((app.keys.open(caller.tenant, sealed) if sealed else None) or "{}")
    name, website = company.name or contact.get("company") or "", body.website or company.domain
    customer: dict[str, Any] = {
        "name": name or str(website),
        "country": company.country,
        "website": website,
        "region": company.region,
        "postcode": company.postcode or contact.get("postcode"),
        "street": company.street or contact.get("street"),
        "trade_names": company.trade_names or contact.get("trade_names") or (),
        "identifiers": [_as_given(one) for one in company.identifiers or ()] or contact.get("identifiers") or (),
        "natural_person": "company" in contact,
    }
    role: dict[str, Any] = {"role": body.role or lead.first.enquiry.role or None}
    person = {key: contact.get(key) for key in ContactBody.model_fields}
    try:
        return RegisterBody(
            programme=lead.first.programme,
            customer=CustomerBody(**customer),
            products=body.products,
            amount=amount,
            **role,
            contacts=[ContactBody(**person)] if contact.get("name") else None,
        )
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


def _as_given(one: Identifier) -> dict[str, Any]:
    return {"scheme": one.scheme, "country": one.country, "value": one.value}


# Reading


@router.get("/lead-figures")
@answers(LeadFigures)
@reads("lead_figures")
async def figures(caller: Reader, app: App) -> Response:
    """How the vendor handles leads, in numbers."""
    app.access.check(caller.principal, READ_LEAD_FIGURES)
    return shown(with_parts(await app.read.get("lead_figures", caller.tenant, ALL) or NONE_YET))


@router.get("/lead-shares")
@answers(Page[LeadShare])
@reads("lead_takers")
async def lead_shares(caller: Reader, app: App) -> Response:
    """Each partner's part of the leads beside the part that the rules promise it."""
    app.access.check(caller.principal, READ_LEAD_SHARES)
    found = await app.read.find("lead_takers", caller.tenant, sort="turn", limit=SHARES_MAX)
    version = (await app.executor.peek(caller.tenant)(Rules.at(ROUTING))).in_force(app.clock.now())
    routed = LEAD_RULES.read(version.body).partners if version else ()
    return listed(shares(found.items, {one.partner_id: one.weight for one in routed}), None)


POOLED_ONLY = ("pooled",)


async def named(
    family: Annotated[str | None, Query(max_length=80)] = None,
    domain: Annotated[str | None, Query(max_length=253)] = None,
    submitted_from: Day | None = None,
    submitted_before: Day | None = None,
) -> dict[str, Any]:
    """What a list is narrowed by besides status, direction and partner: a product family, the customer's domain, UTC days."""
    submitted = between(submitted_from, submitted_before)
    return {"families": Contains(family) if family else None, "domain": domain, "submitted_at": submitted}


async def filters(
    names: Annotated[dict[str, Any], Depends(named)],
    status: Annotated[list[STATUSES] | None, Query(max_length=7)] = None,
    direction: Literal["inbound", "outbound", "peer"] | None = None,
    partner_id: Annotated[str | None, Query(max_length=64)] = None,
) -> dict[str, Any]:
    """Which leads a list is asked for."""
    return {"status": tuple(status) if status else None, "direction": direction, "partner_id": partner_id, **names}


@router.get("/leads")
@answers(Page[ShownLead])
@reads("leads")
async def leads(
    caller: Reader,
    app: App,
    paged: Paged,
    wanted: Annotated[dict[str, Any], Depends(filters)],
    sort: Annotated[str, Query(pattern=SORT)] = "-submitted_at",
) -> Response:
    """The leads: a partner's own and those on offer to it, all of them for the vendor. `status=pooled`: anybody's."""
    app.access.check(caller.principal, READ_LEADS)
    items, cursor = await page(caller, app, "leads", paged, _where(caller, wanted), sort)
    seen = [_view(caller, app, item) for item in items]
    return listed([one for one in seen if one is not None], cursor)


def _where(caller: Caller, wanted: dict[str, Any]) -> dict[str, Any]:
    """The filters as conditions; a partner asks for what concerns it only, or for the pool.

    By domain it finds only what it has: a lead that is masked names no customer.
    """
    own = caller.principal.partner_ids
    if not own:
        return wanted
    if wanted["domain"]:
        return {**wanted, "partner_id": own}
    concerns = None if wanted["status"] == POOLED_ONLY else Contains.any_of(own)
    return {**wanted, "partner_id": None, "partner_ids": concerns}


COLUMNS = (
    *("lead_id", "number", "status", "direction", "source", "partner_id", "families"),
    *("progress", "reason_code", "registration_id", "opportunity_id", "due_at", "submitted_at"),
)
COMPANY = ("name", "country", "region", "domain", "size")
CONTACT = ("name", "email", "phone")


@router.get("/leads/export", response_class=Table)
@reads("leads")
async def export(
    caller: Reader,
    app: App,
    wanted: Annotated[dict[str, Any], Depends(filters)],
    sort: Annotated[str, Query(pattern=SORT)] = "-submitted_at",
) -> Response:
    """As the list, all of it as a table, 50,000 leads at most; what is masked there is empty here."""
    app.access.check(caller.principal, READ_LEADS)
    found = await every(app, caller, "leads", _where(caller, wanted), sort)
    seen = [one for item in found if (one := _view(caller, app, item)) is not None]
    named = (*(f"company_{name}" for name in COMPANY), *(f"contact_{name}" for name in CONTACT), "need")
    return table("leads", (*COLUMNS, *named), [_line(one) for one in seen])


def _line(lead: dict[str, Any]) -> list[Any]:
    company, contact = lead.get("company") or {}, lead.get("contact") or {}
    told = [*(company.get(name) for name in COMPANY), *(contact.get(name) for name in CONTACT), lead.get("need")]
    return [*(cell(lead.get(name)) for name in COLUMNS), *told]


@router.get("/leads/{lead_id}")
@answers(ShownLead)
@reads("leads")
async def lead(lead_id: Id, caller: Reader, app: App) -> Response:
    """One lead: without a name until it is accepted."""
    app.access.check(caller.principal, READ_LEADS)
    found = await app.read.get("leads", caller.tenant, lead_id)
    seen = _view(caller, app, found) if found else None
    if seen is None:
        raise NotFound
    return shown(seen)


def _view(caller: Caller, app: App, document: dict[str, Any]) -> dict[str, Any] | None:
    """The lead as this side may read it, personal text opened for who may."""
    own = caller.principal.partner_ids
    seen = for_partner(document, own) if own else for_vendor(document)
    if seen is None:
        return None
    opened: dict[str, Any] = app.opened(caller.tenant, seen)
    if seen["masked"] or not app.access.allows(caller.principal, READ_LEAD_CONTACTS):
        return {**opened, "contact": None, "need": _masked(caller, app, document, opened.get("need")), "appeal": None}
    contact = opened.get("contact")
    return {**opened, "contact": orjson.loads(contact) if contact else None}


def _masked(caller: Caller, app: App, document: dict[str, Any], need: str | None) -> str | None:
    """What is needed, without what names or reaches the company and its contact, whose names the lead knows."""
    if not need:
        return need
    sealed: str | None = app.opened(caller.tenant, {"contact": document["contact"]})["contact"]
    contact: dict[str, Any] = orjson.loads(sealed) if sealed else {}
    company = document["company"]
    told = [company["name"], contact.get("company"), *company.get("trade_names", ()), *contact.get("trade_names", ())]
    names = tuple(name for name in told if name)
    places = (one.get(place) for one in (company, contact) for place in ("domain", "street", "postcode"))
    said = (*names, *_normal(app, names), *(place for place in places if place))
    return without_people(need, said, contact.get("name") or "")


def _normal(app: App, names: tuple[str, ...]) -> tuple[str, ...]:
    """The names as they are said in passing: without their legal forms."""
    given = GivenCustomer(name="", country=ANY_COUNTRY, trade_names=names)
    normal: tuple[str, ...] = app.ports.customers.read(given).normal_names
    return normal
