"""What do partners claim, what was approved of it and why, and has it been paid?"""

from datetime import date
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.claim import (
    APPROVED,
    ClaimDecided,
    ClaimDrafted,
    ClaimInstalmentReleased,
    ClaimItem,
    ClaimLinesPaid,
    ClaimSettled,
    ClaimSubmitted,
    Instalment,
)
from services.incentives.projections.amounts import sorts


class _Claim(TypedDict):
    claim_id: str
    kind: str
    partner_id: str
    of_id: str
    state: str
    items: list[Annotated[dict[str, Any], ClaimItem]]
    proofs: list[dict[str, Any]]
    tax: dict[str, Any] | None
    claimed: Annotated[dict[str, str], Money]
    amount_sorts: str
    eligible: Annotated[dict[str, str], Money] | None
    amount: Annotated[dict[str, str], Money] | None
    payable_tax: dict[str, Any] | None
    payable: Annotated[dict[str, str], Money] | None
    steps: list[str]
    reason: str
    pay_as: str | None
    instalments: list[dict[str, Any]]
    opportunity_id: str | None
    claimant_id: str | None
    line_ids: list[str]
    needs_review: bool
    payment_id: str | None
    paid_on: str | None
    event_id: str
    changed_at: str


class ClaimDocument(_Claim):
    """`steps` lead from what was claimed to what was approved. `reused` is for the vendor only: see `seen_by_partner`."""

    reused: list[dict[str, Any]]


class ShownClaim(_Claim):
    """`steps` lead from what was claimed to what was approved. `reused` proofs of other claims, the vendor reads.

    `tax` is what was claimed beside the items; `payable` is the approved `amount` with `payable_tax`, the tax on it.
    `amount_sorts` is what was claimed, as a text that sorts as the number does.
    """

    reused: NotRequired[list[dict[str, Any]]]


def evolve(document: ClaimDocument | None, seen: Seen) -> ClaimDocument | None:
    happened = seen.event
    at = iso(seen.recorded_at)
    if isinstance(happened, ClaimDrafted):
        return _drafted(happened, seen.id, at)
    if document is None:
        return None
    event_id = seen.id if isinstance(happened, ClaimDecided) else document["event_id"]
    return {**document, **CHANGES[type(happened)](document, happened), "event_id": event_id, "changed_at": at}


def _drafted(it: ClaimDrafted, event_id: str, at: str) -> ClaimDocument:
    currency = it.items[0].amount.currency
    claimed = {"amount": str(sum(item.amount.amount for item in it.items)), "currency": currency}
    return {
        "claim_id": it.claim_id,
        "kind": it.kind,
        "partner_id": it.partner_id,
        "of_id": it.of_id,
        "state": "draft",
        "items": plain(list(it.items)),
        "proofs": plain(list(it.proofs)),
        "tax": plain(it.tax) if it.tax else None,
        "claimed": claimed,
        "amount_sorts": sorts(claimed),
        "eligible": None,
        "amount": None,
        "payable_tax": None,
        "payable": None,
        "steps": [],
        "reason": "",
        "pay_as": None,
        "instalments": [],
        "opportunity_id": it.sale.opportunity_id if it.sale else None,
        "claimant_id": it.sale.claimant_id if it.sale else None,
        "line_ids": [],
        "reused": [],
        "needs_review": False,
        "payment_id": None,
        "paid_on": None,
        "event_id": event_id,
        "changed_at": at,
    }


def _submitted(_: ClaimDocument, it: ClaimSubmitted) -> dict[str, Any]:
    return {"state": "submitted", "reused": plain(list(it.reused)), "needs_review": bool(it.reused)}


def _decided(_: ClaimDocument, it: ClaimDecided) -> dict[str, Any]:
    return {
        "state": it.outcome,
        "eligible": plain(it.eligible),
        "amount": plain(it.amount),
        "payable_tax": plain(it.tax) if it.tax else None,
        "payable": plain(it.amount + it.tax.amount if it.tax else it.amount),
        "steps": list(it.steps),
        "reason": it.reason,
        "pay_as": it.pay_as if it.outcome == APPROVED else None,
        "instalments": [_instalment(part, it.decided_on) for part in it.instalments],
        "line_ids": list(it.line_ids or ()),
    }


def _instalment(part: Instalment, decided_on: date) -> dict[str, Any]:
    return {
        "number": part.number,
        "amount": plain(part.amount),
        "payable_on": iso(part.payable_on),
        "payable": part.payable_on <= decided_on,
    }


def _released(known: ClaimDocument, it: ClaimInstalmentReleased) -> dict[str, Any]:
    parts = [{**one, "payable": one["payable"] or one["number"] == it.number} for one in known["instalments"]]
    return {"instalments": parts}


def _settled(_: ClaimDocument, it: ClaimSettled) -> dict[str, Any]:
    return {"state": "settled", "payment_id": it.payment_id, "paid_on": iso(it.paid_on)}


def _lines_paid(_: ClaimDocument, it: ClaimLinesPaid) -> dict[str, Any]:
    return {"payment_id": it.payment_id, "paid_on": iso(it.paid_on)}


CHANGES: dict[type[Any], Any] = {
    ClaimSubmitted: _submitted,
    ClaimDecided: _decided,
    ClaimInstalmentReleased: _released,
    ClaimLinesPaid: _lines_paid,
    ClaimSettled: _settled,
}


def seen_by_partner(document: dict[str, Any]) -> dict[str, Any]:
    """A claim as its claimant may see it: whose claim shows the same document is not its to know."""
    return {name: value for name, value in document.items() if name != "reused"}


CLAIMS = Projection(
    name="claims",
    version=5,
    keys=dict.fromkeys((ClaimDrafted, *CHANGES), lambda seen: str(seen.event.claim_id)),
    evolve=evolve,
    indexes=(
        *("changed_at", "partner_id,changed_at", "state,changed_at", "kind,changed_at", "of_id,changed_at"),
        "claimant_id,changed_at",
        *("amount_sorts", "partner_id,amount_sorts"),
    ),
)
