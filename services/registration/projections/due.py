"""What is due: protections that end, waiting deals that are free to move up, deals in review that a rival now blocks.

`reactions` says which command is issued when its time has come.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Key
from services.registration.domain.capacity import SlotReleased, SlotTaken, quarter_of
from services.registration.domain.claims import (
    ClaimHeld,
    ClaimReleased,
    ClaimsAliased,
    ClaimsJoined,
    ClaimsParted,
    ClaimsRestored,
    IncumbentTold,
)
from services.registration.domain.crm_link import LINK_HOURS
from services.registration.domain.deal_events import (
    ActivityNoted,
    DealAmended,
    DealApproved,
    DealClosed,
    DealLinked,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealRevoked,
    DealWithdrawn,
    EvidenceAdded,
    ExtensionAnswered,
    ExtensionRequested,
    InactivityWarned,
    MissingLinkFlagged,
    ProtectionEnded,
    ProtectionExtended,
    ReviewOverdue,
    StepClosed,
    StepOpened,
)
from services.registration.domain.dispute import (
    DisputeAppealed,
    DisputeConcluded,
    DisputeDecided,
    DisputeEvidenceRequested,
    DisputeEvidenceShown,
    DisputeHeard,
    DisputeOpened,
    DisputeWithdrawn,
)
from services.registration.domain.invitation import (
    InvitationAccepted,
    InvitationDeclined,
    InvitationLapsed,
    InvitationRevoked,
    InvitationSent,
)
from services.registration.projections.deal_board import of_deal
from services.registration.projections.disputes import of_dispute


class DueDocument(TypedDict):
    """`due_at` is None while nothing is due."""

    due_at: str | None
    registration_id: str


class MoveDue(DueDocument, total=False):
    """`turn` is the event that made it due."""

    turn: str


class SlotDue(DueDocument):
    """The slot of an open deal, taken in `quarter`."""

    partner_id: str
    quarter: str


class InvitationDue(TypedDict):
    """`due_at` is when the time to answer is over."""

    due_at: str | None
    invitation_id: str


class MootDue(MoveDue):
    """`pending` are the invitations to the deal that nobody has answered."""

    pending: list[str]


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
PROTECTIONS: Mapping[type, Key] = dict.fromkeys((DealApproved, ProtectionExtended, ProtectionEnded), of_deal)
EXTENSIONS: Mapping[type, Key] = dict.fromkeys((ExtensionRequested, ExtensionAnswered, ProtectionEnded), of_deal)
IDLE: Mapping[type, Key] = dict.fromkeys(
    (DealApproved, DealAmended, EvidenceAdded, ActivityNoted, ExtensionRequested, ProtectionEnded), of_deal
)
IDLE_UNWARNED: Mapping[type, Key] = {**IDLE, InactivityWarned: of_deal}
_CASE = (DisputeOpened, DisputeEvidenceRequested, DisputeEvidenceShown, DisputeHeard, DisputeDecided, DisputeWithdrawn)
HEARINGS: Mapping[type, Key] = dict.fromkeys(_CASE, of_dispute)
CONCLUSIONS: Mapping[type, Key] = dict.fromkeys((DisputeDecided, DisputeAppealed, DisputeConcluded), of_dispute)
REVIEWS: Mapping[type, Key] = dict.fromkeys((StepOpened, StepClosed, ReviewOverdue), of_deal)
ANSWERS: Mapping[type, Key] = dict.fromkeys((DealReturned, DealResubmitted, DealWithdrawn), of_deal)
SLOTS: Mapping[type, Key] = dict.fromkeys((SlotTaken, SlotReleased, DealApproved, DealRejected, DealWithdrawn), of_deal)
_FREEING = dict.fromkeys((ClaimReleased, ClaimsParted, ClaimsRestored, ClaimsAliased, IncumbentTold), _freed)
MOVES_UP: Mapping[type, Key] = {**_FREEING, **_OWN}
_ANSWERED = (InvitationAccepted, InvitationDeclined, InvitationLapsed, InvitationRevoked)
INVITATIONS: Mapping[type, Key] = dict.fromkeys((InvitationSent, *_ANSWERED), lambda seen: seen.event.invitation_id)
_OVER = (DealRejected, DealWithdrawn, DealRevoked, ProtectionEnded, DealClosed)
MOOT: Mapping[type, Key] = dict.fromkeys((InvitationSent, *_ANSWERED, DealApproved, *_OVER), of_deal)
LINKS: Mapping[type, Key] = dict.fromkeys((DealApproved, DealLinked, MissingLinkFlagged, ProtectionEnded), of_deal)
MOVES_BACK: Mapping[type, Key] = {**dict.fromkeys((ClaimHeld, ClaimsJoined, ClaimsAliased), _blocked), **_OWN}


def protection_ends(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due at the end of the protection; settled when it has ended."""
    happened = seen.event
    match happened:
        case DealApproved(protection=protection):
            return {"due_at": iso(protection.end), "registration_id": happened.registration_id}
        case ProtectionExtended(new_end=new_end):
            return {"due_at": iso(new_end), "registration_id": happened.registration_id}
        case _:
            return None


class IdleDue(DueDocument):
    """`due_at` is when the protection ends, or its partner is warned, for want of activity."""

    days: int


def extensions_due(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due when nobody has answered the wish for an extension in time."""
    happened = seen.event
    if not isinstance(happened, ExtensionRequested):
        return None
    return {"due_at": iso(happened.answer_by), "registration_id": happened.registration_id}


def idle_ends(document: IdleDue | None, seen: Seen) -> IdleDue | None:
    """Due when nothing has happened to a protected deal for as long as its rules allow."""
    return _idle(document, seen, 0)


def idle_warnings(document: IdleDue | None, seen: Seen) -> IdleDue | None:
    """Due some days before that."""
    if isinstance(seen.event, InactivityWarned):
        return {**document, "due_at": None} if document else None
    return _idle(document, seen, seen.event.warn_days if isinstance(seen.event, DealApproved) else 0)


def _idle(document: IdleDue | None, seen: Seen, earlier: int) -> IdleDue | None:
    """The due date counted from the newest sign of life."""
    happened = seen.event
    if isinstance(happened, DealApproved) and happened.inactive_days:
        days = max(0, happened.inactive_days - earlier)
        at = happened.approved_at
        return {"due_at": _after(at, days), "registration_id": happened.registration_id, "days": days}
    if document is None or isinstance(happened, DealApproved | ProtectionEnded):
        return None
    return {**document, "due_at": _after(_alive_at(happened), document["days"])}


def _alive_at(happened: Any) -> datetime:
    match happened:
        case DealAmended(amended_at=at) | EvidenceAdded(added_at=at) | ActivityNoted(noted_at=at):
            return at
        case ExtensionRequested(requested_at=at):
            return at
        case _:
            raise TypeError(type(happened))


def _after(at: datetime, days: int) -> str:
    return iso(at + timedelta(days=days))


def hearings(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due when the time for evidence is over; the dispute is named as its claim is."""
    happened = seen.event
    if not isinstance(happened, DisputeOpened | DisputeEvidenceRequested):
        return None
    return {"due_at": iso(happened.due_at), "registration_id": happened.dispute_id}


def conclusions(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due when a decision cannot be appealed any more; the dispute is named as its claim is."""
    happened = seen.event
    if not isinstance(happened, DisputeDecided):
        return None
    return {"due_at": iso(happened.due_at or happened.decided_at), "registration_id": happened.dispute_id}


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


def invitations_due(_: InvitationDue | None, seen: Seen) -> InvitationDue | None:
    """Due when an invited partner has not answered in time."""
    happened = seen.event
    if not isinstance(happened, InvitationSent):
        return None
    return {"due_at": iso(happened.due_at), "invitation_id": happened.invitation_id}


def invitations_moot(document: MootDue | None, seen: Seen) -> MootDue | None:
    """Due at once when a deal is over to which somebody is invited; once for each."""
    happened = seen.event
    match happened:
        case InvitationSent(invitation_id=invitation_id):
            pending = [*(document["pending"] if document else []), invitation_id]
            return {"due_at": None, "registration_id": happened.registration_id, "pending": pending}
        case _ if document is None:
            return None
        case InvitationAccepted() | InvitationDeclined() | InvitationLapsed() | InvitationRevoked():
            return _answered(document, seen)
        case DealApproved():
            return {**document, "due_at": None}
        case _:
            return {**document, "due_at": iso(seen.recorded_at), "turn": seen.id}


def _answered(document: MootDue, seen: Seen) -> MootDue | None:
    pending = [one for one in document["pending"] if one != seen.event.invitation_id]
    return {**document, "pending": pending, "turn": seen.id} if pending else None


def links_due(_: DueDocument | None, seen: Seen) -> DueDocument | None:
    """Due when the CRM should have had the sale of an approved deal."""
    happened = seen.event
    if not isinstance(happened, DealApproved):
        return None
    due_at = happened.approved_at + timedelta(hours=LINK_HOURS)
    return {"due_at": iso(due_at), "registration_id": happened.registration_id}


def slots_over(document: SlotDue | None, seen: Seen) -> SlotDue | None:
    """Due at once when a deal that has a slot is open no more."""
    happened = seen.event
    match happened:
        case SlotTaken(partner_id=partner_id, taken_at=at):
            quarter, deal = quarter_of(at), happened.registration_id
            return {"due_at": None, "registration_id": deal, "partner_id": partner_id, "quarter": quarter}
        case DealApproved(approved_at=at) | DealRejected(rejected_at=at) | DealWithdrawn(withdrawn_at=at):
            return {**document, "due_at": iso(at)} if document else None
        case _:
            return None


def moves(document: MoveDue | None, seen: Seen) -> MoveDue | None:
    """Due at once when a rival's claim was released or held; settled when the deal itself has moved."""
    match seen.event:
        case DealRegistered(registration_id=registration_id):
            return {"due_at": None, "registration_id": registration_id}
        case DealApproved() | DealRejected() | DealWithdrawn():
            return None
        case DealQueued(registration_id=registration_id):
            known: MoveDue = document or {"due_at": None, "registration_id": registration_id}
            return {**known, "due_at": None}
        case (
            ClaimReleased(released_at=at)
            | ClaimHeld(held_at=at)
            | ClaimsJoined(joined_at=at)
            | IncumbentTold(told_at=at)
        ):
            return {**document, "due_at": iso(at), "turn": seen.id} if document else None
        case ClaimsParted(parted_at=at) | ClaimsRestored(restored_at=at) | ClaimsAliased(aliased_at=at):
            return {**document, "due_at": iso(at), "turn": seen.id} if document else None
        case _:
            return {**document, "due_at": None} if document else None
