"""The deals as a list: who registered what, where the review stands, until when it is protected."""

from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.values import Money
from services.registration.domain.deal import Status
from services.registration.domain.deal_events import (
    DealAmended,
    DealApproved,
    DealClosed,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealWithdrawn,
    DuplicateMerged,
    ProtectionEnded,
)


class BoardDocument(TypedDict):
    """`amount` is the decimal text, `amount_sorts` the same so that texts sort as amounts; `products` are families.

    `numbers` are those that lead here: the deal's own and those of its duplicates.
    """

    registration_id: str
    number: str
    numbers: list[str]
    programme: str
    partner_id: str
    account_id: str
    customer: str
    country: str
    role: str
    deal_type: str
    products: list[str]
    amount: str
    amount_sorts: str
    currency: str
    close_on: str
    status: str
    submitted_at: str
    place: int | None
    free_from: str | None
    protection_ends_at: str | None


def of_deal(seen: Seen) -> str:
    """The deal that an event is about."""
    registration_id: str = seen.event.registration_id
    return registration_id


def evolve(document: BoardDocument | None, seen: Seen) -> BoardDocument | None:
    happened = seen.event
    if isinstance(happened, DealRegistered):
        return _registered(happened)
    return _changed(document, happened) if document else None


def _registered(happened: DealRegistered) -> BoardDocument:
    terms = happened.terms
    return {
        "registration_id": happened.registration_id,
        "number": happened.number,
        "numbers": [happened.number],
        "programme": happened.programme,
        "partner_id": happened.partner_id,
        "account_id": terms.account.account_id,
        "customer": happened.customer.name,
        "country": terms.account.country,
        "role": terms.role,
        "deal_type": terms.deal_type,
        "products": sorted({line.family for line in terms.products}),
        "amount": str(terms.amount.amount),
        "amount_sorts": _sorts(terms.amount),
        "currency": terms.amount.currency,
        "close_on": iso(terms.close_on),
        "status": Status.IN_REVIEW.value,
        "submitted_at": iso(terms.submitted_at),
        "place": None,
        "free_from": None,
        "protection_ends_at": None,
    }


def _changed(document: BoardDocument, happened: object) -> BoardDocument:
    match happened:
        case DealQueued(place=place, free_on=day):
            free_from = iso(day) if day else None
            return {**document, "status": Status.WAITING.value, "place": place, "free_from": free_from}
        case DealApproved(protection=protection):
            return {**_in(document, Status.APPROVED), "protection_ends_at": iso(protection.end)}
        case DealAmended(details=details) | DealResubmitted(details=details):
            status = Status.IN_REVIEW if isinstance(happened, DealResubmitted) else Status(document["status"])
            amount = {"amount": str(details.amount.amount), "amount_sorts": _sorts(details.amount)}
            return {**_in(document, status), **amount, "close_on": iso(details.close_on)}  # type: ignore[typeddict-item]
        case DuplicateMerged(merged_number=number):
            return {**document, "numbers": [*document["numbers"], number]}
        case DealWithdrawn(merged_into=into):
            return {**_in(document, Status.WITHDRAWN), "numbers": [] if into else document["numbers"]}
        case ProtectionEnded(reason_code=code, ended_at=at):
            status = Status.EXPIRED if code == "expired" else Status(document["status"])
            return {**_in(document, status), "protection_ends_at": iso(at)}
        case _:
            return _in(document, _STATUS[type(happened)])


_STATUS = {
    DealReturned: Status.ACTION_REQUIRED,
    DealPromoted: Status.IN_REVIEW,
    DealRejected: Status.REJECTED,
    DealClosed: Status.CLOSED,
}


def _sorts(amount: Money) -> str:
    """The amount as a text that sorts as the number does."""
    return f"{amount.amount:020.4f}"


def _in(document: BoardDocument, status: Status) -> BoardDocument:
    """The document in a status in which nobody waits."""
    return {**document, "status": status.value, "place": None, "free_from": None}


READS = (
    *(DealRegistered, DealReturned, DealResubmitted, DealQueued, DealPromoted, DealApproved),
    *(DuplicateMerged, DealRejected, DealAmended, DealWithdrawn, ProtectionEnded, DealClosed),
)

DEAL_BOARD = Projection(
    name="deal_board",
    version=2,
    keys=dict.fromkeys(READS, of_deal),
    evolve=evolve,
    indexes=(
        *("status", "partner_id", "account_id", "submitted_at", "protection_ends_at", "close_on", "amount_sorts"),
        *("numbers[]", "products[]"),
    ),
)
