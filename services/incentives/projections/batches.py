"""Which payments go out together, and how far is each batch?"""

from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.batch import BatchApproved, BatchClosed, BatchPrepared, BatchSent
from services.incentives.projections.amounts import sorts


class BatchDocument(TypedDict):
    """State: prepared, approved, sent or closed. `amount_sorts` is the total as a text that sorts as the number does."""

    batch_id: str
    currency: str
    day: str
    payment_ids: list[str]
    total: Annotated[dict[str, str], Money]
    amount_sorts: str
    state: str
    prepared_by: str
    approved_by: str | None
    changed_at: str


def evolve(document: BatchDocument | None, seen: Seen) -> BatchDocument | None:
    happened = seen.event
    known: Any = _prepared(happened) if isinstance(happened, BatchPrepared) else document
    if known is None:
        return None
    changed: Any = {**known, **_change(happened), "changed_at": iso(seen.recorded_at)}
    return changed  # type: ignore[no-any-return]


def _prepared(it: BatchPrepared) -> dict[str, Any]:
    return {
        "batch_id": it.batch_id,
        "currency": it.currency,
        "day": iso(it.day),
        "payment_ids": list(it.payment_ids),
        "total": plain(it.total),
        "amount_sorts": sorts(it.total),
        "state": "prepared",
        "prepared_by": it.prepared_by,
        "approved_by": None,
    }


def _change(happened: Any) -> dict[str, Any]:
    match happened:
        case BatchApproved():
            return {"state": "approved", "approved_by": happened.approved_by}
        case BatchSent():
            return {"state": "sent"}
        case BatchClosed():
            return {"state": "closed"}
        case _:
            return {}


BATCHES = Projection(
    name="batches",
    version=2,
    keys=dict.fromkeys((BatchPrepared, BatchApproved, BatchSent, BatchClosed), lambda seen: str(seen.event.batch_id)),
    evolve=evolve,
    indexes=("changed_at", "state,changed_at", "amount_sorts"),
)
