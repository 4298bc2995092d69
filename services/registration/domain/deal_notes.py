"""What people write beside a deal: shared notes are for the partner and the vendor, internal ones for the writer's side."""

from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider, Invalid, NotFound
from chassis.event import Sealed, command, event
from contracts.values import PartnerId, RegistrationId
from services.registration.domain.deal import Deal

SHARED, VENDOR_ONLY, PARTNER_ONLY = "shared", "vendor", "partner"
NOTES_MAX = 1_000


@event("registration.NoteAdded.v1")
class NoteAdded:
    """Audience: shared, vendor (internal to it), partner (internal to that one)."""

    note_id: str
    registration_id: RegistrationId
    partner_id: PartnerId
    audience: str
    text: Sealed
    written_by: str
    written_at: datetime


@command("registration.AddNote.v1")
class AddNote:
    note_id: str
    registration_id: RegistrationId
    audience: str
    text: Sealed
    by: str
    now: datetime


class TooManyNotes(Invalid):
    """A deal takes a thousand notes: no more can be added."""

    slug = "too-many-notes"


@dataclass(frozen=True)
class Notes:
    """How many notes a deal has."""

    count: int = 0


def add_note(wish: AddNote, notes: Notes, deal: Deal) -> list[NoteAdded]:
    """Writes a note beside a deal that exists."""
    if deal.partner_id is None:
        raise NotFound
    if notes.count >= NOTES_MAX:
        raise TooManyNotes(limit=NOTES_MAX)
    return [
        NoteAdded(
            note_id=wish.note_id,
            registration_id=wish.registration_id,
            partner_id=deal.partner_id,
            audience=wish.audience,
            text=wish.text,
            written_by=wish.by,
            written_at=wish.now,
        )
    ]


def evolve(notes: Notes, _: NoteAdded) -> Notes:
    return Notes(notes.count + 1)


DealNotes = Decider[Notes, NoteAdded](kind="deal_notes", initial=Notes(), evolve=evolve)
