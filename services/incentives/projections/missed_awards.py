"""Which sales earned nothing under a plan because its budget had nothing left when they came?"""

from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts.values import Money
from services.incentives.domain.explaining import missed
from services.incentives.domain.sale_events import AwardMissed


class MissedAward(TypedDict):
    """What a plan would have paid, and why it did not. What is given back to a budget is there for later sales alone.

    `partner_id` is whose it would have been; null for the part of somebody else than who is credited with the sale.
    """

    line_id: str
    opportunity_id: str
    partner_id: str | None
    plan_id: str
    budget_id: str
    amount: Annotated[dict[str, str], Money]
    reason_code: str
    why: str
    missed_at: str
    event_id: str


def evolve(_: Any, seen: Seen) -> MissedAward:
    it: AwardMissed = seen.event
    return {
        "line_id": it.line_id,
        "opportunity_id": it.opportunity_id,
        "partner_id": it.key.partner_id if it.payee_id == it.key.partner_id else None,
        "plan_id": it.key.plan_id,
        "budget_id": it.budget_id,
        "amount": plain(it.amount),
        "reason_code": it.reason_code,
        "why": missed(seen).reasons[0].text,
        "missed_at": iso(it.missed_at),
        "event_id": seen.id,
    }


MISSED_AWARDS = Projection(
    name="missed_awards",
    version=1,
    keys={AwardMissed: lambda seen: str(seen.event.line_id)},
    evolve=evolve,
    indexes=("missed_at", "partner_id,missed_at"),
)
