"""What do partners want to do with fund money, what was accepted of it, and what has become of it?"""

from decimal import Decimal
from typing import Annotated, Any, TypedDict, cast

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money, none_of
from services.incentives.domain.fund_request import ACCEPTED
from services.incentives.domain.fund_request_events import (
    FundClaimReminded,
    FundRequestAmended,
    FundRequestClaimed,
    FundRequestDecided,
    FundRequestDrafted,
    FundRequestDrawn,
    FundRequestEnded,
    FundRequestEscalated,
    FundRequestExtended,
    FundRequestRecalled,
    FundRequestSubmitted,
)
from services.incentives.projections.amounts import sorts

Step = dict[str, Any]


class FundRequestDocument(TypedDict):
    """`reserved` is what is kept for it now, `used` what its claims were paid, `open_claims` what waits to be decided.

    `details` are what waits to be decided, or what was accepted last (`stands`, with the decision on its `items`): a change
    that was not accepted leaves them, and `history` says why it was not.
    `amount_sorts` is what is asked for, as a text that sorts as the number does.
    """

    fund_request_id: str
    partner_id: str
    fund_id: str
    period: str
    state: str
    details: dict[str, Any]
    asked: Annotated[dict[str, str], Money]
    amount_sorts: str
    items: list[dict[str, Any]]
    stands: dict[str, Any] | None
    accepted: Annotated[dict[str, str], Money] | None
    reserved: Annotated[dict[str, str], Money] | None
    used: str
    proofs: list[str]
    claim_by: str | None
    escalated: bool
    open_claims: list[str]
    event_id: str
    history: list[Step]
    changed_at: str


def evolve(document: FundRequestDocument | None, seen: Seen) -> FundRequestDocument | None:
    happened = seen.event
    if isinstance(happened, FundRequestDrafted):
        return _drafted(document, seen, happened)
    if document is None:
        return None
    kind = type(happened)
    changes = CHANGES[kind](document, happened)
    step = {"event_id": seen.id, "kind": kind.__name__, "text": _text(happened), "at": iso(seen.recorded_at)}
    history = [*document["history"], step]
    event_id = seen.id if kind in TELLING else document["event_id"]
    told = {"event_id": event_id, "history": history, "changed_at": iso(seen.recorded_at)}
    changed: Any = {**document, **changes, **told}
    return cast("FundRequestDocument", changed)


def _drafted(document: FundRequestDocument | None, seen: Seen, it: FundRequestDrafted) -> FundRequestDocument:
    return {
        "fund_request_id": it.fund_request_id,
        "partner_id": it.partner_id,
        "fund_id": it.fund_id,
        "period": it.period,
        "state": "draft",
        "details": plain(it.details),
        "asked": plain(it.details.asked),
        "amount_sorts": sorts(it.details.asked),
        "items": [],
        "stands": None,
        "accepted": None,
        "reserved": None,
        "used": str(none_of(it.details.asked.currency).amount),
        "proofs": [],
        "claim_by": None,
        "escalated": False,
        "open_claims": [],
        "event_id": seen.id,
        "history": document["history"] if document else [],
        "changed_at": iso(seen.recorded_at),
    }


def _submitted(_: FundRequestDocument, __: FundRequestSubmitted) -> dict[str, Any]:
    return {"state": "submitted", "escalated": False}


def _recalled(_: FundRequestDocument, __: FundRequestRecalled) -> dict[str, Any]:
    return {"state": "draft", "escalated": False}


def _amended(_: FundRequestDocument, it: FundRequestAmended) -> dict[str, Any]:
    asked = {"asked": plain(it.details.asked), "amount_sorts": sorts(it.details.asked)}
    return {"state": "submitted", "details": plain(it.details), **asked}


def _escalated(_: FundRequestDocument, __: FundRequestEscalated) -> dict[str, Any]:
    return {"escalated": True}


def _decided(document: FundRequestDocument, it: FundRequestDecided) -> dict[str, Any]:
    """An amendment that is not accepted leaves what was accepted before."""
    items = plain(list(it.items))
    if it.terms is None and document["stands"] is not None:
        return {"state": ACCEPTED, **document["stands"], "escalated": False}
    if it.terms is None:
        return {"state": it.outcome, "items": items, "escalated": False}
    stands = {**{name: document[name] for name in ("details", "asked", "amount_sorts")}, "items": items}
    return {
        "state": ACCEPTED,
        "items": items,
        "stands": stands,
        "accepted": plain(it.terms.accepted),
        "reserved": plain(it.terms.reserved),
        "proofs": list(it.terms.proofs),
        "claim_by": iso(it.claim_by) if it.claim_by else None,
        "escalated": False,
    }


def _extended(_: FundRequestDocument, it: FundRequestExtended) -> dict[str, Any]:
    return {"claim_by": iso(it.claim_by)}


def _reminded(_: FundRequestDocument, __: FundClaimReminded) -> dict[str, Any]:
    return {}


def _claimed(document: FundRequestDocument, it: FundRequestClaimed) -> dict[str, Any]:
    return {"open_claims": sorted({*document["open_claims"], it.claim_id})}


def _drawn(document: FundRequestDocument, it: FundRequestDrawn) -> dict[str, Any]:
    used = Decimal(document["used"]) + it.amount.amount
    open_claims = sorted({*document["open_claims"]} - {it.claim_id})
    return {"reserved": plain(it.rest), "used": str(used), "open_claims": open_claims}


def _ended(_: FundRequestDocument, it: FundRequestEnded) -> dict[str, Any]:
    return {"state": it.outcome, "reserved": None}


CHANGES: dict[type[Any], Any] = {
    FundRequestSubmitted: _submitted,
    FundRequestRecalled: _recalled,
    FundRequestAmended: _amended,
    FundRequestEscalated: _escalated,
    FundRequestDecided: _decided,
    FundRequestExtended: _extended,
    FundClaimReminded: _reminded,
    FundRequestClaimed: _claimed,
    FundRequestDrawn: _drawn,
    FundRequestEnded: _ended,
}
TELLING = (FundRequestDecided, FundRequestEscalated, FundRequestEnded)
"""The events that can be asked why."""
TEXTS: dict[type[Any], str] = {
    FundRequestSubmitted: "submitted",
    FundRequestRecalled: "taken back",
    FundRequestAmended: "a change was asked for: {it.reason}",
    FundRequestEscalated: "above a limit: a person with a higher one decides",
    FundRequestDecided: "{it.outcome}, {it.amount.amount} {it.amount.currency} reserved {it.reason}",
    FundRequestExtended: "may be claimed until {it.claim_by}",
    FundClaimReminded: "{it.days_left} days are left to claim",
    FundRequestClaimed: "claimed",
    FundRequestDrawn: "{it.amount.amount} {it.amount.currency} used for a claim, {it.rest.amount} is left",
    FundRequestEnded: "{it.outcome}, {it.released.amount} {it.released.currency} given back: {it.reason}",
}


def _text(happened: Any) -> str:
    return TEXTS[type(happened)].format(it=happened).strip()


FUND_REQUESTS = Projection(
    name="fund_requests",
    version=3,
    keys=dict.fromkeys((FundRequestDrafted, *CHANGES), lambda seen: str(seen.event.fund_request_id)),
    evolve=evolve,
    indexes=(
        *("changed_at", "partner_id,changed_at", "state,changed_at", "fund_id,changed_at", "period,changed_at"),
        *("amount_sorts", "partner_id,amount_sorts"),
    ),
)
