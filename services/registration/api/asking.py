"""Asking before registering: what a deal would come to, and whether a customer is free."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Annotated, NotRequired, TypedDict

import orjson
from fastapi import APIRouter, Response

from chassis.answers import answers
from chassis.application import Application
from chassis.event import LEFT_OUT, LeftOut, Sealed, canonical_json, plain, stable_id
from chassis.http import App, Caller, Reader, Writer, perform, shown
from chassis.record import REFUSED
from chassis.rulebook import CodedReason
from contracts.values import PartnerId, RegistrationId
from services.registration.api.bodies import CustomerBody, MailBody, RegisterBody, details_of, phones_of, subject_of
from services.registration.application.answers import SeenRival
from services.registration.application.on_deals import default_close
from services.registration.application.registering import Preview, Submission, preview
from services.registration.domain.account_key import own_keys
from services.registration.domain.availability import TWICE, CheckCustomer, Checks, DayOfChecks, for_vendor, rivals_of
from services.registration.domain.customer import Customer, as_person
from services.registration.domain.deal import Incomplete
from services.registration.domain.deal_commands import RegisterDeal
from services.registration.domain.deal_events import Details
from services.registration.domain.disclosure import told
from services.registration.domain.rules import CLOSE_ON
from services.registration.domain.screening import APPROVE

router = APIRouter(tags=["deals"])


def partner_of(caller: Caller, body: RegisterBody | MailBody) -> PartnerId:
    """Whose deal it is: a partner's own, also where it names who it absorbed, or the one that the vendor names."""
    partner_id = caller.principal.partner_id or body.partner_id
    if partner_id is None:
        fault = {"path": "partner_id", "code": "required", "message": "the vendor names the partner"}
        raise Incomplete(fault["message"], errors=[fault])
    if body.partner_id not in (None, partner_id, *caller.principal.absorbed):
        fault = {"path": "partner_id", "code": "not-yours", "message": "a partner registers for itself"}
        raise Incomplete(fault["message"], errors=[fault])
    return PartnerId(partner_id)


def submission(
    body: RegisterBody, caller: Caller, app: App, draft: str | None = None, lead_id: str | None = None
) -> Submission:
    """What the body submits, the customer read by the libraries. Raises Invalid for a wrong identifier or website.

    Texts are sealed last: what is refused here is recorded nowhere, and leaves no key behind.
    """
    registration_id, now = RegistrationId(draft or caller.new_id("deal")), app.clock.now()
    partner_id, customer = partner_of(caller, body), customer_of(body.customer, app, caller.tenant, registration_id)
    given = {"close_on": default_close(now), **details_of(app, caller.tenant, registration_id, body)}
    phones = phones_of(app, caller.tenant, registration_id, body.contacts or ())
    return Submission(
        registration_id=registration_id,
        programme=body.programme,
        partner_id=partner_id,
        customer=reached_at(customer, phones),
        products=tuple(product.line() for product in body.products),
        role=body.role,
        deal_type=body.deal_type,
        scope=body.scope,
        details=Details(**given),
        confidential=body.confidential,
        replaces=RegistrationId(body.replaces) if body.replaces else None,
        lead_id=lead_id,
        one_with=caller.principal.absorbed,
        screening_id=caller.new_id("screening"),
        by=caller.principal.by,
        now=now,
        unsaid=() if body.close_on else (CLOSE_ON,),
    )


def customer_of(given: CustomerBody, app: Application, tenant: str, registration_id: str) -> Customer:
    """The customer as it is stored: of a natural person nothing stands in the open that names it."""
    customer: Customer = app.ports.customers.read(given.given())
    if not given.natural_person:
        return customer
    named = orjson.dumps(given.model_dump()).decode()
    return as_person(
        customer,
        app.seal(tenant, subject_of(registration_id), named),
        lambda value: app.keys.hmac(tenant, value),
    )


def reached_at(customer: Customer, phones: tuple[Sealed, ...] | LeftOut) -> Customer:
    """The customer with the telephone numbers of who was named there; a natural person is found by no likeness."""
    return replace(customer, phones=LEFT_OUT if customer.natural_person else phones or LEFT_OUT)


async def _previewed(wish: Submission, caller: Caller, app: App) -> Preview:
    return await preview(app.executor.peek(caller.tenant), app.ports.accounts, caller.tenant, wish)


def _checked(check_id: str, seen: Preview, wish: Submission) -> CheckCustomer:
    return CheckCustomer(
        check_id=check_id,
        partner_id=wish.partner_id,
        availability=seen.availability,
        free_from=None if "free_from" in seen.withheld or seen.already else seen.screening.free_on,
        now=wish.now,
        already=seen.already or LEFT_OUT,
    )


def _checked_for_vendor(check_id: str, seen: Preview, wish: Submission) -> CheckCustomer:
    """The same for a person of the vendor, from whom the programme's rules keep nothing."""
    made = _checked(check_id, replace(seen, withheld=()), wish)
    return replace(made, for_vendor=for_vendor(wish.by, seen.screening, seen.already))


class PreviewCheck(TypedDict):
    """One rule; where it does not pass, `code` says why."""

    name: str
    passes: bool
    code: str | None


class PreviewStep(TypedDict):
    """One step of the approval, and how many people would have to agree."""

    order: int
    approvals: int


class DealPreview(TypedDict):
    """What registering would come to now. `missing` are fields that would be asked for.

    A partner is told in `checks_left` how many more it may ask this UTC day, the vendor in `rivals` who wants the same.
    Outcome: approve, review, queue or reject; refused where the partner's deal `already_registered` is on the same.
    """

    availability: str
    outcome: str
    reasons: list[CodedReason]
    checks: list[PreviewCheck]
    steps: list[PreviewStep]
    missing: list[str]
    place: int | None
    free_from: Annotated[str, date] | None
    already_registered: NotRequired[str]
    checks_left: NotRequired[int]
    rivals: NotRequired[list[SeenRival]]


@router.post("/deals/preview")
@answers(DealPreview)
async def preview_deal(body: RegisterBody, caller: Reader, app: App) -> Response:
    """What registering this would come to now: availability, reasons, place in the queue.

    A partner's question counts as one of its checks of the day, however often it is asked that day.
    """
    app.access.check(caller.principal, RegisterDeal)
    wish = submission(body, caller, app.in_passing())
    seen = await _previewed(wish, caller, app)
    if caller.principal.kind != "partner":
        return shown({**_shown(seen), "rivals": plain(rivals_of(seen.screening))})
    return shown({**told(_shown(seen), seen.withheld), "checks_left": await _counted(seen, wish, caller, app)})


async def _counted(seen: Preview, wish: Submission, caller: Caller, app: App) -> int:
    """Counts the question as one of the day's; answers how many are left. Raises TooManyChecks."""
    question = question_of(wish, lambda text: app.keys.hmac(caller.tenant, text))
    order, made = replace(caller.order(), command_id=question, expected_version=None), _checked(question, seen, wish)
    await app.executor.run(order, made)
    day: DayOfChecks = await app.executor.peek(caller.tenant)(Checks.at(made.day))
    return day.left


def question_of(wish: Submission, hashed: Callable[[str], str]) -> str:
    """The id of one question of a partner on one UTC day: which customer, for what. Its amount and texts do not matter."""
    customer = wish.customer
    known = [f"{key.scheme}:{key.value}" for key in own_keys(customer)]
    who = known or [customer.country, *customer.normal_names]
    about = [who, plain(wish.products), wish.role, wish.deal_type, wish.scope, wish.programme]
    said = hashed(canonical_json(about).decode())
    return stable_id("preview", wish.partner_id, wish.now.date().isoformat(), said)


def _shown(seen: Preview) -> DealPreview:
    return _refused(seen.already, _screened(seen)) if seen.already else _screened(seen)


def _refused(already: RegistrationId, shown: DealPreview) -> DealPreview:
    """The same where nothing would come of it: why, and which deal the partner has."""
    why: list[CodedReason] = [{"code": TWICE.code, "text": TWICE.text}]
    nothing: DealPreview = {**shown, "outcome": REFUSED, "reasons": why, "steps": [], "place": None, "free_from": None}
    return {**nothing, "already_registered": already}


def _screened(seen: Preview) -> DealPreview:
    screening = seen.screening
    return {
        "availability": seen.availability,
        "outcome": screening.outcome,
        "reasons": [{"code": check.code, "text": check.text} for check in screening.failed],
        "checks": [{"name": c.name, "passes": c.pull == APPROVE, "code": c.code or None} for c in screening.checks],
        "steps": [{"order": step.order, "approvals": len(step.all_of) or step.approvals} for step in seen.steps],
        "missing": list(seen.missing),
        "place": screening.place,
        "free_from": plain(screening.free_on),
    }


@router.post("/checks")
async def check(body: RegisterBody, caller: Writer, app: App) -> Response:
    """Whether the customer is free for these products; recorded, and told how many such questions are left today.

    A partner has 30 a UTC day. So has each person of the vendor, who asks for a partner, and learns who wants the same.
    """
    app.access.check(caller.principal, CheckCustomer)
    wish = submission(body, caller, app.in_passing())
    seen = await _previewed(wish, caller, app)
    made = _checked if caller.principal.kind == "partner" else _checked_for_vendor
    return await perform(caller, app, CheckCustomer, made(caller.new_id("check"), seen, wish))
