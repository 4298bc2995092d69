"""What was written beside a deal, the oldest first. Texts are sealed until they are read."""

from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from chassis.read_store.port import ReadStore
from services.registration.domain.deal_notes import NOTES_MAX, PARTNER_ONLY, SHARED, VENDOR_ONLY, NoteAdded


class Note(TypedDict):
    """`audience` is who reads it; `by` the kind of who wrote it."""

    note_id: str
    audience: str
    text: Annotated[dict[str, Any], Sealed]
    at: Annotated[str, datetime]
    by: str | None


class NoteDocument(TypedDict):
    """A note by itself, in the deal's order by `position`: all of a deal together grew with each one that was added."""

    registration_id: str
    position: int
    note: Note


def evolve(_: NoteDocument | None, seen: Seen) -> NoteDocument:
    happened: NoteAdded = seen.event
    note: Note = {
        "note_id": happened.note_id,
        "audience": happened.audience,
        "text": plain(happened.text),
        "at": iso(happened.written_at),
        "by": seen.actor.kind if seen.actor else None,
    }
    return {"registration_id": happened.registration_id, "position": seen.position, "note": note}


async def read_by(read: ReadStore, tenant: str, registration_id: str, *, partner: bool) -> list[dict[str, Any]]:
    """The notes of a deal that one side may read, the oldest first: the shared ones, and its own internal ones."""
    where = {"registration_id": registration_id}
    found = await read.find("deal_notes", tenant, where=where, sort="position", limit=NOTES_MAX)
    own = PARTNER_ONLY if partner else VENDOR_ONLY
    return [one["note"] for one in found.items if one["note"]["audience"] in (SHARED, own)]


DEAL_NOTES = Projection(
    name="deal_notes",
    version=2,
    keys={NoteAdded: lambda seen: seen.event.note_id},
    evolve=evolve,
    indexes=("registration_id,position",),
)
