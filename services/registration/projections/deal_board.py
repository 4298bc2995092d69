"""The deals as a list: who registered what, where the review stands, until when it is protected."""

from collections.abc import Callable, Iterable
from datetime import date
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.values import Money, ProductLine
from services.registration.domain.deal import EXPIRES, Status
from services.registration.domain.deal_events import (
    DealAmended,
    DealApproved,
    DealClosed,
    DealMoved,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealRevoked,
    DealWithdrawn,
    DuplicateMerged,
    ProtectionEnded,
    ProtectionExtended,
    StepClosed,
    StepOpened,
)
from services.registration.domain.overlap import normal_product


class OpenStep(TypedDict):
    """A step of the approval that waits for somebody with this role."""

    step: int
    role: str


class Worth(TypedDict):
    """What a deal is worth now."""

    amount: str
    amount_sorts: str
    currency: str


class BoardDocument(Worth):
    """A deal as a row of the list.

    `due_at` is when the review, or else the partner's answer, is due; `steps` are those that are open.

    `amount` is the decimal text, `amount_sorts` the same so that texts sort as amounts; `products` are families,
    `product_names` these and the SKUs in normal form, by which it is found.

    `numbers` are those that lead here: the deal's own and those of its duplicates; `withheld` is what the rules keep from
    the partner, by name.
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
    product_names: list[str]
    close_on: str
    status: Annotated[str, Status]
    submitted_at: str
    place: int | None
    free_from: Annotated[str, date] | None
    protection_ends_at: str | None
    due_at: str | None
    steps: list[OpenStep]
    withheld: list[str]


Change = Callable[[BoardDocument, Any], dict[str, Any]]


def of_deal(seen: Seen) -> str:
    """The deal that an event is about."""
    registration_id: str = seen.event.registration_id
    return registration_id


def evolve(document: BoardDocument | None, seen: Seen) -> BoardDocument | None:
    happened = seen.event
    if isinstance(happened, DealRegistered):
        return _registered(happened)
    if document is None:
        return None
    return {**document, **_CHANGES[type(happened)](document, happened)}  # type: ignore[return-value]


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
        "product_names": sorted(_names(terms.products)),
        **_worth(terms.amount),
        "close_on": iso(terms.close_on),
        "status": Status.IN_REVIEW.value,
        "submitted_at": iso(terms.submitted_at),
        "place": None,
        "free_from": None,
        "protection_ends_at": None,
        "due_at": None,
        "steps": [],
        "withheld": list(happened.withheld or ()),
    }


# What each event changes


def _returned(document: BoardDocument, it: DealReturned) -> dict[str, Any]:
    return {**_in(Status.ACTION_REQUIRED), "due_at": iso(it.due_at) if it.due_at else None}


def _queued(document: BoardDocument, it: DealQueued) -> dict[str, Any]:
    free_from = iso(it.free_on) if it.free_on else None
    return {"status": Status.WAITING.value, "place": it.place, "free_from": free_from}


def _approved(document: BoardDocument, it: DealApproved) -> dict[str, Any]:
    return {**_in(Status.APPROVED), "protection_ends_at": iso(it.protection.end)}


def _details(document: BoardDocument, it: DealAmended | DealResubmitted) -> dict[str, Any]:
    changed = {**_worth(it.details.amount), "close_on": iso(it.details.close_on)}
    return {**changed, **_in(Status.IN_REVIEW)} if isinstance(it, DealResubmitted) else changed


def _opened(document: BoardDocument, it: StepOpened) -> dict[str, Any]:
    return {"steps": [*_without(document, it.step), {"step": it.step, "role": it.role}], "due_at": iso(it.due_at)}


def _closed(document: BoardDocument, it: StepClosed) -> dict[str, Any]:
    rest = _without(document, it.step)
    return {"steps": rest, "due_at": document["due_at"] if rest else None}


def _without(document: BoardDocument, step: int) -> list[OpenStep]:
    return [one for one in document["steps"] if one["step"] != step]


def _merged(document: BoardDocument, it: DuplicateMerged) -> dict[str, Any]:
    return {"numbers": [*document["numbers"], it.merged_number]}


def _moved(document: BoardDocument, it: DealMoved) -> dict[str, Any]:
    return {"account_id": it.accounts[0]}


def _withdrawn(document: BoardDocument, it: DealWithdrawn) -> dict[str, Any]:
    return {**_in(Status.WITHDRAWN), "due_at": None, "numbers": [] if it.merged_into else document["numbers"]}


def _ended(document: BoardDocument, it: ProtectionEnded) -> dict[str, Any]:
    status = _in(Status.EXPIRED) if it.reason_code in EXPIRES else {}
    return {**status, "protection_ends_at": iso(it.ended_at)}


def _extended(document: BoardDocument, it: ProtectionExtended) -> dict[str, Any]:
    return {"protection_ends_at": iso(it.new_end)}


def _now(status: Status) -> Change:
    return lambda document, it: _in(status)


def _in(status: Status) -> dict[str, Any]:
    """A status in which nobody waits."""
    return {"status": status.value, "place": None, "free_from": None}


_CHANGES: dict[type[Any], Change] = {
    DealReturned: _returned,
    DealResubmitted: _details,
    DealAmended: _details,
    DealQueued: _queued,
    DealPromoted: _now(Status.IN_REVIEW),
    DealApproved: _approved,
    DealRejected: _now(Status.REJECTED),
    DealRevoked: _now(Status.REVOKED),
    DealWithdrawn: _withdrawn,
    DealClosed: _now(Status.CLOSED),
    StepOpened: _opened,
    StepClosed: _closed,
    DuplicateMerged: _merged,
    DealMoved: _moved,
    ProtectionExtended: _extended,
    ProtectionEnded: _ended,
}


def _names(products: Iterable[ProductLine]) -> set[str]:
    return {normal_product(name) for line in products for name in (line.family, line.sku) if name}


def _worth(amount: Money) -> Worth:
    return {"amount": str(amount.amount), "amount_sorts": _sorts(amount), "currency": amount.currency}


def _sorts(amount: Money) -> str:
    """The amount as a text that sorts as the number does."""
    return f"{amount.amount:020.4f}"


READS: tuple[type[Any], ...] = (DealRegistered, *_CHANGES)

DEAL_BOARD = Projection(
    name="deal_board",
    version=6,
    keys=dict.fromkeys(READS, of_deal),
    evolve=evolve,
    indexes=(
        *(
            "status",
            "partner_id",
            "account_id",
            "submitted_at",
            "protection_ends_at",
            "close_on",
            "amount_sorts",
            "due_at",
        ),
        *("numbers[]", "product_names[]"),
    ),
)
