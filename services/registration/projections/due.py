"""What is due: protections that end, waiting deals that are free to move up, deals in review that a rival now blocks.

`reactions` says which command is issued when its time has come.
"""

from collections.abc import Mapping
from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Key
from services.registration.domain.claims import ClaimHeld, ClaimReleased
from services.registration.domain.deal_events import (
    DealApproved,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealWithdrawn,
    ProtectionEnded,
    ReviewOverdue,
    StepClosed,
    StepOpened,
)
from services.registration.projections.deal_board import of_deal


class DueDocument(TypedDict):
    """`due_at` is None while nothing is due."""

    due_at: str | None
    registration_id: str


class ReviewDue(DueDocument):
    """`steps` are those that are open."""

    steps: list[int]


def _freed(seen: Seen) -> tuple[str, ...]:
    frees: tuple[str, ...] = seen.event.frees
    return frees


def _blocked(seen: Seen) -> tuple[str, ...]:
    blocks: tuple[str, ...] = seen.event.blocks
    return blocks


_OWN: Mapping[type, Key] = dict.fromkeys(
    (DealRegistered, DealQueued, DealPromoted, DealReturned, DealApproved, DealRejected, DealWithdrawn), of_deal
)
PROTECTIONS: Mapping[type, Key] = {DealApproved: of_deal, ProtectionEnded: of_deal}
REVIEWS: Mapping[type, Key] = dict.fromkeys((StepOpened, StepClosed, ReviewOverdue), of_deal)
ANSWERS: Mapping[type, Key] = dict.fromkeys((DealReturned, DealResubmitted, DealWithdrawn), of_deal)
MOVES_UP: Mapping[type, Key] = {ClaimReleased: _freed, **_OWN}
MOVES_BACK: Mapping[type, Key] = {ClaimHeld: _blocked, **_OWN}


def protection_ends(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due at the end of the protection; settled when it has ended."""
    if not isinstance(seen.event, DealApproved):
        return None
    return {"due_at": iso(seen.event.protection.end), "registration_id": seen.event.registration_id}


def review_limits(document: ReviewDue | None, seen: Seen) -> ReviewDue | None:
    """Due at the limit of the open steps; settled when none is open, or when it was told."""
    happened = seen.event
    steps = document["steps"] if document else []
    match happened:
        case StepOpened(step=step, due_at=due_at):
            registration_id = happened.registration_id
            return {"due_at": iso(due_at), "registration_id": registration_id, "steps": [*steps, step]}
        case StepClosed(step=step) if document:
            rest = [one for one in steps if one != step]
            return {**document, "steps": rest} if rest else None
        case _:
            return {**document, "due_at": None} if document else None


def answers_due(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due when a partner that was asked for corrections has not answered in time."""
    happened = seen.event
    if not isinstance(happened, DealReturned) or happened.due_at is None:
        return None
    return {"due_at": iso(happened.due_at), "registration_id": happened.registration_id}


def moves(document: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due at once when a rival's claim was released or held; settled when the deal itself has moved."""
    match seen.event:
        case DealRegistered(registration_id=registration_id):
            return {"due_at": None, "registration_id": registration_id}
        case DealApproved() | DealRejected() | DealWithdrawn():
            return None
        case ClaimReleased(released_at=at) | ClaimHeld(held_at=at):
            return {**document, "due_at": iso(at)} if document else None
        case _:
            return {**document, "due_at": None} if document else None
