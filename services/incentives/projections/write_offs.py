"""Which negative balances does somebody want to give up, and which were given up?"""

from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.account import NegativeWrittenOff, WriteOffProposed
from services.incentives.projections.amounts import sorts


class WriteOffDocument(TypedDict):
    """The newest wish for an account. State: proposed or written_off.

    `amount_sorts` is the amount as a text that sorts as the number does.
    """

    account_id: str
    payee_id: str
    partner_id: str
    amount: Annotated[dict[str, str], Money]
    amount_sorts: str
    reason: str
    state: str
    proposed_by: str
    confirmed_by: str | None
    changed_at: str


def evolve(_: WriteOffDocument | None, seen: Seen) -> WriteOffDocument:
    it: WriteOffProposed | NegativeWrittenOff = seen.event
    done = isinstance(it, NegativeWrittenOff)
    amount: dict[str, Any] = plain(it.amount)
    return {
        "account_id": it.account_id,
        "payee_id": it.account_id.rpartition("-")[0],
        "partner_id": it.partner_id,
        "amount": amount,
        "amount_sorts": sorts(amount),
        "reason": it.reason,
        "state": "written_off" if done else "proposed",
        "proposed_by": it.proposed_by,
        "confirmed_by": it.confirmed_by if isinstance(it, NegativeWrittenOff) else None,
        "changed_at": iso(seen.recorded_at),
    }


WRITE_OFFS = Projection(
    name="write_offs",
    version=2,
    keys=dict.fromkeys((WriteOffProposed, NegativeWrittenOff), lambda seen: str(seen.event.account_id)),
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at", "state,changed_at", "amount_sorts"),
)
