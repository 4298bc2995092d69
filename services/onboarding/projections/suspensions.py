"""Which suspensions end by themselves, and when?"""

from datetime import datetime
from typing import Any

from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from services.onboarding.domain.partner import PartnerReinstated, PartnerSuspended, ReinstatePartner


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, PartnerSuspended) and happened.until is not None:
        return {"due_at": iso(happened.until), "partner_id": happened.partner_id}
    return None


def reinstate(document: dict[str, Any], now: datetime) -> ReinstatePartner:
    """The command of a suspension whose end has passed."""
    return ReinstatePartner(
        partner_id=document["partner_id"],
        reinstated_by="deadline",
        suspension_until=datetime.fromisoformat(document["due_at"]),
        now=now,
    )


SUSPENSION_ENDS = Deadline(
    name="suspension_ends",
    version=1,
    keys=dict.fromkeys((PartnerSuspended, PartnerReinstated), lambda seen: seen.event.partner_id),
    evolve=evolve,
    issue=reinstate,
)
