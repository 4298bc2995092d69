"""Who was invited to take part in which deal, and what became of it."""

from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Sealed, Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.registration.domain.deal import Status
from services.registration.domain.deal_events import ParticipantJoined, ParticipantLeft
from services.registration.domain.invitation import (
    Answer,
    InvitationAccepted,
    InvitationDeclined,
    InvitationLapsed,
    InvitationRevoked,
    InvitationSent,
)


class InvitationDocument(TypedDict):
    """`status` is an `Answer`. `partner_ids` are both sides: the host and the invited."""

    invitation_id: str
    registration_id: str
    number: str
    host_id: str
    partner_id: str
    partner_ids: list[str]
    role: str
    status: str
    families: list[str]
    country: str
    size: Annotated[dict[str, Any], Money]
    message: Annotated[dict[str, Any], Sealed] | None
    due_at: str
    sent_at: str
    joined_at: str | None
    reason_code: str | None


class JoinedDeal(TypedDict):
    """The deal as who takes part in it reads it: whose customer, what, and how long it is protected. No terms.

    `customer` and `domain` are absent for a natural person and in a confidential deal.
    """

    registration_id: str
    number: str
    customer: str | None
    domain: str | None
    country: str
    products: list[str]
    status: Annotated[str, Status]
    protection_ends_at: Annotated[str, datetime] | None


class ShownInvitation(TypedDict):
    """An invitation as one side reads it. Until it accepts, the invited partner learns neither deal nor customer."""

    invitation_id: str
    registration_id: NotRequired[str]
    number: NotRequired[str]
    host_id: str
    partner_id: str
    role: str
    status: str
    families: list[str]
    country: str
    size: Money
    message: Sealed | None
    due_at: str
    sent_at: str
    joined_at: str | None
    reason_code: str | None
    deal: NotRequired[JoinedDeal]


def _of_invitation(seen: Seen) -> str:
    invitation_id: str = seen.event.invitation_id
    return invitation_id


def evolve(document: InvitationDocument | None, seen: Seen) -> InvitationDocument | None:
    happened = seen.event
    if isinstance(happened, InvitationSent):
        return _sent(happened)
    if document is None:
        return None
    return {**document, **_changes(happened)}  # type: ignore[return-value]


def _sent(it: InvitationSent) -> InvitationDocument:
    return {
        "invitation_id": it.invitation_id,
        "registration_id": it.registration_id,
        "number": it.number,
        "host_id": it.host_id,
        "partner_id": it.partner_id,
        "partner_ids": [it.host_id, it.partner_id],
        "role": it.role,
        "status": "pending",
        "families": list(it.families),
        "country": it.country,
        "size": plain(it.size),
        "message": plain(it.message),
        "due_at": iso(it.due_at),
        "sent_at": iso(it.sent_at),
        "joined_at": None,
        "reason_code": None,
    }


def _changes(happened: object) -> dict[str, Any]:
    match happened:
        case InvitationAccepted():
            return {"status": "accepted"}
        case InvitationDeclined(reason_code=code):
            return {"status": "declined", "reason_code": code}
        case InvitationLapsed():
            return {"status": "lapsed"}
        case InvitationRevoked(reason_code=code):
            return {"status": "revoked", "reason_code": code}
        case ParticipantJoined(joined_at=at):
            return {"joined_at": iso(at)}
        case ParticipantLeft(reason_code=code):
            return {"status": Answer.LEFT.value, "reason_code": code}
        case _:
            return {}


def for_invited(document: dict[str, Any], deal: dict[str, Any] | None) -> dict[str, Any]:
    """What the invited partner reads: `deal` is the deal's document, and is used only while it takes part."""
    hidden = ("registration_id", "number", "partner_ids")
    shown = {name: value for name, value in document.items() if name not in hidden}
    if document["status"] != "accepted" or deal is None:
        return shown
    return {**shown, "deal": _joined(document, deal)}


def for_host(document: dict[str, Any]) -> dict[str, Any]:
    """What whose deal it is reads, and the vendor."""
    return {name: value for name, value in document.items() if name != "partner_ids"}


def _joined(document: dict[str, Any], deal: dict[str, Any]) -> JoinedDeal:
    row, customer = deal["board"], deal["customer"]
    unnamed = deal["confidential"] or customer["natural_person"]
    return {
        "registration_id": document["registration_id"],
        "number": document["number"],
        "customer": None if unnamed else customer["name"],
        "domain": None if unnamed else customer["domain"],
        "country": row["country"],
        "products": row["products"],
        "status": row["status"],
        "protection_ends_at": row["protection_ends_at"],
    }


INVITATIONS = Projection(
    name="invitations",
    version=1,
    keys=dict.fromkeys(
        (
            *(InvitationSent, InvitationAccepted, InvitationDeclined, InvitationLapsed, InvitationRevoked),
            *(ParticipantJoined, ParticipantLeft),
        ),
        _of_invitation,
    ),
    evolve=evolve,
    indexes=("status", "partner_id", "host_id", "registration_id", "sent_at", "due_at", "partner_ids[]", "families[]"),
)
