"""Which sales are still open, how far is each, and who would be credited?

What registration and attribution tell stands in documents of its own kind, so that no order between them matters: one
for each approved registration, one for each opportunity, which names its registration.
"""

from typing import Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts import attribution, registration

OPEN, CLOSED = "open", "closed"
ENDS = ("won", "lost")
OF_APPROVED = (
    registration.DealAmended,
    registration.DealRejected,
    registration.DealWithdrawn,
    registration.DealRevoked,
)


class OpenSale(TypedDict):
    """An opportunity or an approved registration. `credits` are the newest shares of each pool, with their revision."""

    opportunity_id: str | None
    registration_id: str | None
    state: str
    stage: str | None
    amount: dict[str, str] | None
    close_on: str | None
    probability_percent: str | None
    partner_id: str | None
    role: str
    deal_type: str
    products: list[dict[str, Any]]
    credits: dict[str, Any]


NOTHING_KNOWN: OpenSale = {
    "opportunity_id": None,
    "registration_id": None,
    "state": OPEN,
    "stage": None,
    "amount": None,
    "close_on": None,
    "probability_percent": None,
    "partner_id": None,
    "role": "source",
    "deal_type": "new",
    "products": [],
    "credits": {},
}


def evolve(document: OpenSale | None, seen: Seen) -> OpenSale | None:
    if document is None and isinstance(seen.event, OF_APPROVED):
        return None
    known = document or NOTHING_KNOWN
    changed: OpenSale = {**known, **_changes(known, seen.event)}  # type: ignore[typeddict-item]
    return changed


def _changes(known: OpenSale, it: Any) -> dict[str, Any]:
    named = {name: getattr(it, name, None) or known[name] for name in ("opportunity_id", "registration_id")}
    match it:
        case registration.DealApproved():
            return {**named, **_approved(it)}
        case registration.DealAmended():
            return {**named, "amount": plain(it.amount), "close_on": iso(it.close_on)}
        case attribution.DealStageChanged():
            return {**named, **_stage(known, it)}
        case attribution.CreditAllocated():
            return {**named, "credits": _credits(known, it)}
        case attribution.OpportunityLinked():
            return {**named, "partner_id": it.partner_id}
        case _:
            return {**named, "state": CLOSED}


def _approved(it: registration.DealApproved) -> dict[str, Any]:
    return {
        "state": OPEN,
        "amount": plain(it.amount),
        "close_on": iso(it.close_on),
        "partner_id": it.partner_id,
        "role": it.role,
        "deal_type": it.deal_type,
        "products": plain(it.products),
    }


def _stage(known: OpenSale, it: attribution.DealStageChanged) -> dict[str, Any]:
    percent = it.probability_percent
    return {
        "state": CLOSED if it.to_stage in ENDS else OPEN,
        "stage": it.to_stage,
        "amount": plain(it.amount) if it.amount else known["amount"],
        "close_on": iso(it.expected_close_on) if it.expected_close_on else known["close_on"],
        "probability_percent": None if percent is None else str(percent),
    }


def _credits(known: OpenSale, it: attribution.CreditAllocated) -> dict[str, Any]:
    if it.revision < known["credits"].get(it.pool, {"revision": 0})["revision"]:
        return known["credits"]
    return {**known["credits"], it.pool: {"revision": it.revision, "shares": plain(it.shares)}}


def _opportunity(seen: Seen) -> str:
    opportunity_id: str = seen.event.opportunity_id
    return opportunity_id


def _registration(seen: Seen) -> str:
    return approved_id(seen.event.registration_id)


def approved_id(registration_id: str) -> str:
    """The document of an approved registration."""
    return f"registration-{registration_id}"


OPEN_SALES = Projection(
    name="open_sales",
    version=1,
    keys={
        registration.DealApproved: _registration,
        registration.DealAmended: _registration,
        registration.DealRejected: _registration,
        registration.DealWithdrawn: _registration,
        registration.DealRevoked: _registration,
        attribution.OpportunityLinked: _opportunity,
        attribution.DealStageChanged: _opportunity,
        attribution.CreditAllocated: _opportunity,
        attribution.DealWon: _opportunity,
        attribution.DealLost: _opportunity,
    },
    evolve=evolve,
    indexes=("state",),
)
