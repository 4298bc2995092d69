"""Notes beside a deal, and what was tried on it and refused, over HTTP."""

from typing import Any, Literal

from fastapi import APIRouter, Response

from chassis.answers import Page, answers
from chassis.http import App, Body, Reader, Writer, listed, perform, reads, shown
from services.registration.access import READ_ATTEMPTS, READ_NOTES
from services.registration.api.bodies import Id, Text, subject_of
from services.registration.api.deals import asked
from services.registration.application.on_deals import on_deal
from services.registration.domain.deal import Deal
from services.registration.domain.deal_notes import PARTNER_ONLY, SHARED, VENDOR_ONLY, AddNote
from services.registration.projections.attempts import ShownAttempts, counted, made_by
from services.registration.projections.deal_notes import Note, read_by

router = APIRouter(tags=["notes"])


class NoteBody(Body):
    """Shared notes are read by both sides, internal ones by the writer's side only."""

    text: Text
    audience: Literal["shared", "internal"] = "shared"


@router.post("/deals/{registration_id}/notes", status_code=201)
async def add_note(registration_id: Id, body: NoteBody, caller: Writer, app: App) -> Response:
    """Writes a note beside the deal."""
    text = app.seal(caller.tenant, subject_of(registration_id), body.text)
    internal = PARTNER_ONLY if caller.principal.kind == "partner" else VENDOR_ONLY

    def make(deal: Deal, fields: dict[str, Any]) -> AddNote:
        return AddNote(
            note_id=caller.new_id("note"),
            registration_id=fields["registration_id"],
            audience=SHARED if body.audience == SHARED else internal,
            text=text,
            by=caller.principal.by,
            now=fields["now"],
        )

    wish = asked(caller, app, registration_id, AddNote)
    return await perform(caller, app, AddNote, on_deal(wish, make), status=201)


@router.get("/deals/{registration_id}/notes")
@answers(Page[Note])
@reads("deal_notes")
async def notes(registration_id: Id, caller: Reader, app: App) -> Response:
    """The notes that the caller's side may read, the oldest first."""
    app.access.check(caller.principal, READ_NOTES)
    await app.document(caller.principal, "deal", registration_id)
    partner = caller.principal.kind == "partner"
    mine = await read_by(app.read, caller.tenant, registration_id, partner=partner)
    return listed(app.opened(caller.tenant, mine), None)


@router.get("/deals/{registration_id}/attempts")
@answers(ShownAttempts)
@reads("attempts")
async def attempts(registration_id: Id, caller: Reader, app: App) -> Response:
    """What was tried on this deal and refused: the vendor sees all of it, a partner its own.

    Of a day the first fifty are listed; the vendor is told in `days` how many there were.
    """
    app.access.check(caller.principal, READ_ATTEMPTS)
    await app.document(caller.principal, "deal", registration_id)
    found = await app.read.get("attempts", caller.tenant, registration_id)
    own = caller.principal.partner_ids
    days = {} if own else {"days": counted(found)}
    return shown({"items": made_by(found, own), "next_cursor": None, **days})
