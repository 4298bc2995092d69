"""Deals that are not submitted yet: begin one, change it, look at it, submit it."""

from typing import Any

import orjson
from fastapi import APIRouter, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.event import human_number
from chassis.execution import Peek
from chassis.http import App, Caller, Paged, Reader, Writer, listed, page, perform, reads, shown
from contracts.values import PartnerId, RegistrationId
from services.registration.access import READ_DRAFTS
from services.registration.api.asking import submission
from services.registration.api.bodies import Id, RegisterBody, subject_of
from services.registration.application.answers import DraftAnswer
from services.registration.application.registering import prepare_registration
from services.registration.application.streams import PROGRAMME
from services.registration.domain.deal import Deal, Deals, Incomplete
from services.registration.domain.deal_commands import RegisterDeal, SaveDraft
from services.registration.domain.deal_events import DraftSaved
from services.registration.projections.drafts import ShownDraft

router = APIRouter(tags=["drafts"])


@router.post("/drafts", status_code=201)
@answers(DraftAnswer)
async def begin(body: dict[str, Any], caller: Writer, app: App) -> Response:
    """Keeps what is written of a registration so far; any field may be missing."""
    registration_id, whose = caller.new_id("deal"), PartnerId(caller.principal.partner_id or "")
    answer = await _save(body, registration_id, whose, caller, app, status=201)
    answer.headers["Location"] = f"/deals/{registration_id}"
    return answer


@router.patch("/deals/{registration_id}")
@answers(DraftAnswer)
async def change(registration_id: Id, body: dict[str, Any], caller: Writer, app: App) -> Response:
    """Replaces the fields of a draft that are given; null takes one away."""
    draft = await _mine(registration_id, caller, app)
    merged = {name: value for name, value in {**_written(draft, caller, app), **body}.items() if value is not None}
    return await _save(merged, registration_id, draft.partner_id, caller, app)


async def _save(
    body: dict[str, Any], registration_id: str, whose: PartnerId, caller: Caller, app: App, *, status: int = 200
) -> Response:
    _known_fields(body)
    command = SaveDraft(
        registration_id=RegistrationId(registration_id),
        number=human_number("R", registration_id),
        programme=str(body.get("programme", PROGRAMME)),
        partner_id=whose,
        body=app.seal(caller.tenant, subject_of(registration_id), orjson.dumps(body).decode()),
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, SaveDraft, command, status=status)


def _known_fields(body: dict[str, Any]) -> None:
    unknown = sorted(set(body) - set(RegisterBody.model_fields))
    if unknown:
        errors = [{"path": name, "code": "unknown", "message": "a registration has no such field"} for name in unknown]
        raise Incomplete(f"a registration has no field {unknown[0]}", errors=errors)


@router.post("/deals/{registration_id}/register", status_code=201)
async def register(registration_id: Id, caller: Writer, app: App) -> Response:
    """Submits a draft as it stands: it is checked, screened and answered as any registration."""
    written = _written(await _mine(registration_id, caller, app), caller, app)
    try:
        body = RegisterBody.model_validate(written)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error
    wish = submission(body, caller, app, registration_id)

    async def make(peek: Peek) -> RegisterDeal:
        return await prepare_registration(peek, app.ports.accounts, caller.tenant, wish)

    return await perform(caller, app, RegisterDeal, make, status=201, partner_id=wish.partner_id)


async def _mine(registration_id: str, caller: Caller, app: App) -> DraftSaved:
    """The draft as it was last saved. Another partner's is not found, as one that never was."""
    app.access.check(caller.principal, SaveDraft)
    deal: Deal = await app.executor.peek(caller.tenant)(Deals.at(registration_id))
    if deal.draft is None:
        raise NotFound
    app.access.check(caller.principal, SaveDraft, deal.draft.partner_id)
    return deal.draft


def _written(draft: DraftSaved, caller: Caller, app: App) -> dict[str, Any]:
    text = app.keys.open(caller.tenant, draft.body)
    written: dict[str, Any] = orjson.loads(text) if text else {}
    return written


@router.get("/drafts")
@answers(Page[ShownDraft])
@reads("drafts")
async def drafts(caller: Reader, app: App, paged: Paged) -> Response:
    """The partner's drafts, the newest first."""
    app.access.check(caller.principal, READ_DRAFTS)
    where = {"partner_id": caller.principal.partner_ids}
    items, cursor = await page(caller, app, "drafts", paged, where, "-saved_at")
    return listed([_opened(caller, app, item) for item in items], cursor)


@router.get("/drafts/{registration_id}")
@answers(ShownDraft)
@reads("drafts")
async def draft(registration_id: Id, caller: Reader, app: App) -> Response:
    """One draft with what is written so far."""
    app.access.check(caller.principal, READ_DRAFTS)
    return shown(_opened(caller, app, await app.document(caller.principal, "drafts", registration_id)))


def _opened(caller: Caller, app: App, document: dict[str, Any]) -> dict[str, Any]:
    text = app.opened(caller.tenant, document["body"])
    return {**document, "body": orjson.loads(text) if text else None}
