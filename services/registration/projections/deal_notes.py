"""What was written beside a deal, the oldest first. Texts are sealed until they are read."""

from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from services.registration.domain.deal_notes import PARTNER_ONLY, SHARED, VENDOR_ONLY, NoteAdded
from services.registration.projections.deal_board import of_deal


class NoteDocument(TypedDict):
    """`audience` is who reads it; `by` the kind of who wrote it."""

    note_id: str
    audience: str
    text: Annotated[dict[str, Any], Sealed]
    at: Annotated[str, datetime]
    by: str | None


class NotesDocument(TypedDict):
    """Which of the notes a side reads is said by `read_by`."""

    registration_id: str
    partner_id: str
    notes: list[NoteDocument]


def evolve(document: NotesDocument | None, seen: Seen) -> NotesDocument:
    happened: NoteAdded = seen.event
    note: NoteDocument = {
        "note_id": happened.note_id,
        "audience": happened.audience,
        "text": plain(happened.text),
        "at": iso(happened.written_at),
        "by": seen.actor.kind if seen.actor else None,
    }
    return {
        "registration_id": happened.registration_id,
        "partner_id": happened.partner_id,
        "notes": [*(document["notes"] if document else []), note],
    }


def read_by(document: dict[str, Any], *, partner: bool) -> dict[str, Any]:
    """The notes that one side may read: the shared ones, and its own internal ones."""
    own = PARTNER_ONLY if partner else VENDOR_ONLY
    return {**document, "notes": [note for note in document["notes"] if note["audience"] in (SHARED, own)]}


DEAL_NOTES = Projection(name="deal_notes", version=1, keys={NoteAdded: of_deal}, evolve=evolve)
