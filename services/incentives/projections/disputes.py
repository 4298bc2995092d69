"""Which lines of statements are disputed, and how was it decided?"""

from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.account import DisputeDecided, LineDisputed
from services.incentives.projections.amounts import sorts


class DisputeDocument(TypedDict):
    """State: open, upheld or rejected. `amount_sorts` is the amount as a text that sorts as the number does."""

    event_id: str
    account_id: str
    partner_id: str
    statement_id: str
    amount: Annotated[dict[str, str], Money]
    amount_sorts: str
    reason: str
    state: str
    decision: str | None
    changed_at: str


def evolve(document: DisputeDocument | None, seen: Seen) -> DisputeDocument | None:
    happened = seen.event
    if isinstance(happened, LineDisputed):
        return _disputed(happened, iso(seen.recorded_at))
    if document is None:
        return None
    it: DisputeDecided = happened
    return {**document, "state": it.outcome, "decision": it.reason, "changed_at": iso(seen.recorded_at)}


def _disputed(it: LineDisputed, at: str) -> DisputeDocument:
    amount: dict[str, Any] = plain(it.amount)
    return {
        "event_id": it.event_id,
        "account_id": it.account_id,
        "partner_id": it.partner_id,
        "statement_id": it.statement_id,
        "amount": amount,
        "amount_sorts": sorts(amount),
        "reason": it.reason,
        "state": "open",
        "decision": None,
        "changed_at": at,
    }


DISPUTES = Projection(
    name="disputes",
    version=2,
    keys=dict.fromkeys((LineDisputed, DisputeDecided), lambda seen: f"{seen.event.account_id}-{seen.event.event_id}"),
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at", "state,changed_at", "amount_sorts", "partner_id,amount_sorts"),
)
