"""What is due on leads: the next offer, an answer, the first contact, word of progress, the end of the pool."""

from collections.abc import Mapping
from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Key
from services.registration.domain.lead import (
    LeadAccepted,
    LeadAssigned,
    LeadClosed,
    LeadConverted,
    LeadDeclined,
    LeadPooled,
    LeadProgressed,
    LeadReleased,
    LeadReturned,
    LeadSubmitted,
)
from services.registration.projections.leads import of_lead


class LeadDue(TypedDict):
    """`due_at` is None while nothing is due; `turn` is the event that made it so."""

    due_at: str | None
    lead_id: str
    turn: str


OFFERS: Mapping[type, Key] = dict.fromkeys(
    (LeadSubmitted, LeadReleased, LeadDeclined, LeadReturned, LeadAssigned, LeadPooled, LeadClosed), of_lead
)
ANSWERS: Mapping[type, Key] = dict.fromkeys((LeadAssigned, LeadAccepted, LeadDeclined, LeadPooled, LeadClosed), of_lead)
WORDS: Mapping[type, Key] = dict.fromkeys(
    (LeadAccepted, LeadProgressed, LeadReturned, LeadConverted, LeadClosed), of_lead
)
POOLS: Mapping[type, Key] = dict.fromkeys((LeadPooled, LeadAssigned, LeadClosed), of_lead)


def offers_due(document: LeadDue | None, seen: Seen) -> LeadDue | None:
    """Due at once when a lead is open."""
    match seen.event:
        case LeadSubmitted(held=(), first=None, submitted_at=at) | LeadReleased(released_at=at):
            return {"due_at": iso(at), "lead_id": seen.event.lead_id, "turn": seen.id}
        case LeadDeclined(reopened=True, declined_at=at) | LeadReturned(returned_at=at):
            return {"due_at": iso(at), "lead_id": seen.event.lead_id, "turn": seen.id}
        case LeadDeclined():
            return document
        case _:
            return None


def answers_due(document: LeadDue | None, seen: Seen) -> LeadDue | None:
    """Due when the time to accept is over."""
    match seen.event:
        case LeadAssigned(due_at=at, lead_id=lead_id):
            return {"due_at": iso(at), "lead_id": lead_id, "turn": seen.id}
        case LeadDeclined(reopened=False):
            return document
        case _:
            return None


def words_due(_: LeadDue | None, seen: Seen) -> LeadDue | None:
    """Due when nothing was heard in time of a lead that somebody has."""
    match seen.event:
        case LeadAccepted(due_at=at, lead_id=lead_id) | LeadProgressed(due_at=at, lead_id=lead_id):
            return {"due_at": iso(at), "lead_id": lead_id, "turn": seen.id}
        case _:
            return None


def pool_ends(_: LeadDue | None, seen: Seen) -> LeadDue | None:
    """Due when nobody has claimed it for long enough."""
    match seen.event:
        case LeadPooled(ends_at=at, lead_id=lead_id):
            return {"due_at": iso(at), "lead_id": lead_id, "turn": seen.id}
        case _:
            return None
