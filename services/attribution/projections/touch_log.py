"""What did each partner do for which sale? One document a touch."""

from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.attribution.domain.touch import TouchRecorded


class TouchDocument(TypedDict):
    """What a partner did for a sale: claimed by itself, or confirmed by the vendor."""

    touch_id: str
    touch_type: str
    role: str
    partner_id: str
    opportunity_id: str | None
    registration_id: str | None
    status: str
    source: str
    touched_at: str
    event_id: str


def evolve(document: TouchDocument | None, seen: Seen) -> TouchDocument:
    it: TouchRecorded = seen.event
    return {
        "touch_id": it.touch_id,
        "touch_type": it.touch_type,
        "role": it.role,
        "partner_id": it.partner_id,
        "opportunity_id": it.opportunity_id,
        "registration_id": it.registration_id,
        "status": it.status,
        "source": it.source,
        "touched_at": iso(it.touched_at),
        "event_id": seen.id,
    }


TOUCH_LOG = Projection(
    name="touch_log",
    version=1,
    keys={TouchRecorded: lambda seen: seen.event.touch_id},
    evolve=evolve,
    indexes=("touched_at", "partner_id", "opportunity_id"),
)
