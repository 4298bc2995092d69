"""Deals by mail: a mail is kept, read, and comes to a deal, or to a draft where not all of it is sure."""

import asyncio
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any, TypedDict

import orjson
from fastapi import APIRouter, Query, Response
from pydantic import ValidationError

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.decider import NotFound, Problem
from chassis.event import LEFT_OUT, LeftOut, frozen, human_number, stable_id
from chassis.execution import Order, Outcome, Peek
from chassis.http import App, Caller, Paged, Reader, TooLarge, Writer, answered, listed, page, perform, reads, shown
from chassis.read_store.port import Contains
from contracts.values import PartnerId, RegistrationId
from services.registration.access import READ_MAILS
from services.registration.api.asking import partner_of, submission
from services.registration.api.bodies import Id, MailBody, RegisterBody
from services.registration.api.bodies import subject_of as subject_of_deal
from services.registration.application.answers import DealAnswer, MailAnswer
from services.registration.application.registering import asked_for, prepare_registration
from services.registration.domain.deal import AlreadyRegistered, Deal, Deals, PartnerUnknown, Status
from services.registration.domain.deal_commands import RegisterDeal, SaveDraft
from services.registration.domain.kept_mail import (
    DRAFT,
    PARTNER,
    REFUSED,
    REGISTERED,
    VENDOR,
    ForgetMail,
    KeepMail,
    Mail,
    MailIsForgotten,
    Mails,
    ReadMailAgain,
    SettleMail,
)
from services.registration.domain.mail_reading import SURE, Found, Reading
from services.registration.domain.partner_facts import Partners
from services.registration.projections.mails import ShownField, ShownMail, States, WholeMail

router = APIRouter(tags=["mails"])


class TakenMail(TypedDict):
    """What was read of a mail, and what came of it: `outcome` is registered, draft or refused.

    `missing` is what nobody said for sure, by its path in a registration; `refusal` why it was not registered by itself.
    `standing` is the deal of one's own that has the customer already, where that is why.
    """

    mail_id: str
    registration_id: str
    number: str
    outcome: str
    refusal: str | None
    standing: str | None
    parser: int
    fields: list[ShownField]
    missing: list[str]
    remarks: list[str]
    deal: DealAnswer | None


@frozen
class Settled:
    """What a mail came to."""

    outcome: str
    missing: tuple[str, ...] = ()
    refusal: str | None = None
    deal: Any = None
    standing: RegistrationId | LeftOut = LEFT_OUT


def subject_of(mail_id: str) -> str:
    """Whose key seals a mail: its own."""
    return f"mail-{mail_id}"


# Taking one in


@router.post("/intake/mail", status_code=202)
@answers(TakenMail)
async def take(body: MailBody, caller: Writer, app: App) -> Response:
    """Keeps a mail and reads a deal out of it. What is all there and sure is registered at once; else a draft waits.

    Of a partner that has not been announced here nothing is kept: the same mail again is taken once it is.
    """
    app.access.check(caller.principal, KeepMail)
    partner_id = partner_of(caller, body)
    if not (await app.executor.peek(caller.tenant)(Partners.at(partner_id))).known:
        raise PartnerUnknown
    if len(body.mail.encode()) > app.ports.mail_bytes_max:
        raise TooLarge(f"a mail has {app.ports.mail_bytes_max} bytes at most")
    reading = await asyncio.to_thread(app.ports.mails.read, body.mail)
    mail_id, registration_id = caller.new_id("mail"), RegistrationId(caller.new_id("deal"))
    command = KeepMail(
        mail_id=mail_id,
        partner_id=partner_id,
        registration_id=registration_id,
        programme=body.programme,
        side=PARTNER if caller.principal.kind == PARTNER else VENDOR,
        raw=app.seal(caller.tenant, subject_of(mail_id), body.mail),
        size_bytes=len(body.mail.encode()),
        parser=reading.parser,
        found=_sealed(app, caller, mail_id, reading),
        missing=reading.open,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    await app.executor.run(caller.order(), command)
    settled = await _registered(_Taken(app, caller, partner_id, body.programme, registration_id), reading)
    done = await _settle(app, caller, mail_id, settled)
    answer = answered(app, replace(done, answer=_taken(command, reading, settled)), status=202)
    answer.headers["Location"] = f"/intake/mail/{mail_id}"
    return answer


def _sealed(app: Application, caller: Caller, mail_id: str, reading: Reading) -> Any:
    known = {"found": [asdict(one) for one in reading.found], "remarks": reading.remarks}
    return app.seal(caller.tenant, subject_of(mail_id), orjson.dumps(known).decode())


def _taken(wish: KeepMail, reading: Reading, settled: Settled) -> dict[str, Any]:
    return {
        "mail_id": wish.mail_id,
        "registration_id": wish.registration_id,
        "number": human_number("R", wish.registration_id),
        "outcome": settled.outcome,
        "refusal": settled.refusal,
        "standing": settled.standing or None,
        "parser": reading.parser,
        "fields": [_field(one) for one in reading.found],
        "missing": list(settled.missing),
        "remarks": list(reading.remarks),
        "deal": settled.deal,
    }


def _field(one: Found) -> dict[str, Any]:
    return asdict(one)


# What comes of it


@dataclass(frozen=True)
class _Taken:
    """For whom a mail is turned into a deal or a draft, and under which id."""

    app: Application
    caller: Caller
    partner_id: PartnerId
    programme: str
    registration_id: RegistrationId

    def order(self, step: str) -> Order:
        """The order of one of the steps that follow: the same again when the request is repeated."""
        order = self.caller.order()
        return replace(order, command_id=stable_id("mail", order.command_id, step), expected_version=None)

    def body(self, given: dict[str, Any]) -> dict[str, Any]:
        named = {"partner_id": self.partner_id} if self.caller.principal.partner_id is None else {}
        return {"programme": self.programme, **named, **given}


async def _registered(taken: _Taken, reading: Reading) -> Settled:
    """The deal, where all that it needs is sure and the rules take it; else the draft with all that was found."""
    if not reading.complete:
        return await _drafted(taken, reading.body(), Settled(outcome=DRAFT, missing=reading.open))
    try:
        body = RegisterBody.model_validate(taken.body(reading.body(SURE)))
        done = await _register(taken, body)
    except ValidationError as error:
        wrong = tuple(dict.fromkeys(".".join(map(str, one["loc"])) for one in error.errors()))
        return await _drafted(taken, reading.body(), Settled(outcome=DRAFT, missing=wrong, refusal="invalid"))
    except Problem as refusal:
        return await _instead(taken, reading, refusal)
    return Settled(outcome=REGISTERED, deal=done.answer)


async def _register(taken: _Taken, body: RegisterBody) -> Outcome:
    """As `POST /deals` with that body."""
    app, caller = taken.app, taken.caller
    wish = submission(body, caller, app, taken.registration_id)

    async def make(peek: Peek) -> RegisterDeal:
        return await prepare_registration(peek, app.ports.accounts, caller.tenant, wish)

    app.access.check(caller.principal, RegisterDeal, taken.partner_id)
    return await app.executor.run(taken.order("register"), make, asked_for(wish))


async def _instead(taken: _Taken, reading: Reading, refusal: Problem) -> Settled:
    """What is kept of a registration that the rules refuse; nothing where the deal is there already."""
    if not refusal.recorded:
        raise refusal
    if refusal.slug == AlreadyRegistered.slug:
        return Settled(
            outcome=REFUSED, refusal=refusal.slug, standing=RegistrationId(refusal.fields["registration_id"])
        )
    wrong = tuple(dict.fromkeys(one["path"] for one in refusal.fields.get("errors", ())))
    return await _drafted(taken, reading.body(), Settled(outcome=DRAFT, missing=wrong, refusal=refusal.slug))


async def _drafted(taken: _Taken, given: dict[str, Any], settled: Settled) -> Settled:
    """Keeps what was found as a draft of the partner's."""
    written = orjson.dumps(taken.body(given)).decode()
    command = SaveDraft(
        registration_id=taken.registration_id,
        number=human_number("R", taken.registration_id),
        programme=taken.programme,
        partner_id=taken.partner_id,
        body=taken.app.seal(taken.caller.tenant, subject_of_deal(taken.registration_id), written),
        by=taken.caller.principal.by,
        now=taken.app.clock.now(),
    )
    await taken.app.executor.run(taken.order("draft"), command)
    return settled


async def _settle(app: Application, caller: Caller, mail_id: str, settled: Settled) -> Outcome:
    command = SettleMail(
        mail_id=mail_id,
        outcome=settled.outcome,
        refusal=settled.refusal,
        missing=settled.missing,
        standing=settled.standing,
        now=app.clock.now(),
    )
    order = caller.order()
    again = replace(order, command_id=stable_id("mail", order.command_id, "settle"), expected_version=None)
    return await app.executor.run(again, command)


# Later


@router.post("/intake/mail/{mail_id}/reparse")
@answers(MailAnswer)
async def reparse(mail_id: Id, caller: Writer, app: App) -> Response:
    """Reads a kept mail with the parser of today. What that finds fills gaps of the draft; what a person wrote stays."""
    mail = await _mine(mail_id, caller, app, ReadMailAgain)
    raw = app.keys.open(caller.tenant, mail.first.raw)
    if raw is None:
        raise MailIsForgotten
    reading = await asyncio.to_thread(app.ports.mails.read, raw)
    command = ReadMailAgain(
        mail_id=mail_id,
        parser=reading.parser,
        found=_sealed(app, caller, mail_id, reading),
        missing=reading.open,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    done = await app.executor.run(caller.order(), command)
    settled = await _filled(app, caller, mail, reading)
    return answered(
        app, replace(done if settled is None else await _settle(app, caller, mail_id, settled), answer=done.answer)
    )


async def _filled(app: Application, caller: Caller, mail: Mail, reading: Reading) -> Settled | None:
    """The draft with what was found since; None where there is no draft any more. One that stopped half way goes on."""
    first = mail.first
    taken = _Taken(app, caller, first.partner_id, first.programme, first.registration_id)
    deal: Deal = await app.executor.peek(caller.tenant)(Deals.at(first.registration_id))
    if mail.settled is None and deal.status == Status.NONE:
        return await _registered(taken, reading)
    if deal.status != Status.DRAFT or deal.draft is None or reading.parser <= mail.parser:
        return None
    text = app.keys.open(caller.tenant, deal.draft.body)
    written: dict[str, Any] = orjson.loads(text) if text else {}
    return await _drafted(taken, _gaps_filled(written, reading.body()), Settled(outcome=DRAFT, missing=reading.open))


def _gaps_filled(written: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """What a person wrote, and besides what was found: of the customer field by field."""
    customer = {**found.get("customer", {}), **(written.get("customer") or {})}
    return {**found, **written, **({"customer": customer} if customer else {})}


@router.post("/intake/mail/{mail_id}/forget")
@answers(MailAnswer)
async def forget(mail_id: Id, caller: Writer, app: App) -> Response:
    """Destroys the key of a mail: its words can never be read again. The deal or draft that came of it stays."""
    mail = await _mine(mail_id, caller, app, ForgetMail)
    command = ForgetMail(mail_id=mail_id, by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, ForgetMail, command, partner_id=mail.first.partner_id)


async def _mine(mail_id: str, caller: Caller, app: Application, action: type[Any] | str) -> Mail:
    """The mail, where this side may read it. Raises NotFound as for one that never was.

    The vendor reads what it handed in, and what a deal came of; a draft, and the mail that it came by, are its partner's.
    """
    app.access.check(caller.principal, action)
    peek = app.executor.peek(caller.tenant)
    mail: Mail = await peek(Mails.at(mail_id))
    app.access.check(caller.principal, action, mail.first.partner_id)
    if caller.principal.kind != PARTNER and mail.first.side != VENDOR:
        deal: Deal = await peek(Deals.at(mail.first.registration_id))
        if deal.registered is None:
            raise NotFound
    return mail


# Reading


@router.get("/intake/mail")
@answers(Page[ShownMail])
@reads("mails")
async def mails(caller: Reader, app: App, paged: Paged, state: Annotated[States | None, Query()] = None) -> Response:
    """The mails that were handed in, the newest first, each with what was read of it."""
    app.access.check(caller.principal, READ_MAILS)
    side = PARTNER if caller.principal.kind == PARTNER else VENDOR
    where = {"partner_id": caller.principal.partner_ids or None, "state": state, "readers": Contains(side)}
    items, cursor = await page(caller, app, "mails", paged, where, "-kept_at")
    return listed([_opened(caller, app, item) for item in items], cursor)


@router.get("/intake/mail/{mail_id}")
@answers(WholeMail)
@reads("mails")
async def mail(mail_id: Id, caller: Reader, app: App) -> Response:
    """One mail: as it came, and each field with the line that says it and how sure that is."""
    kept = await _mine(mail_id, caller, app, READ_MAILS)
    found = await app.document(caller.principal, "mails", kept.first.registration_id)
    raw = app.keys.open(caller.tenant, kept.first.raw)
    return shown({**_opened(caller, app, found), "raw": raw})


def _opened(caller: Caller, app: Application, document: dict[str, Any]) -> dict[str, Any]:
    text = app.opened(caller.tenant, document["found"])
    read = orjson.loads(text) if text else {"found": None, "remarks": []}
    kept = {name: value for name, value in document.items() if name not in ("found", "readers")}
    return {**kept, "fields": read["found"], "remarks": read["remarks"]}
