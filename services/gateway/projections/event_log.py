"""What happened, in every service, as this side may know it? One document a public event."""

from typing import Any, TypedDict

from chassis.event import TYPES, Seen, decode, encode, iso, plain
from chassis.projection import Projection
from contracts.catalogue import SERVICES, public_events


class EventDocument(TypedDict):
    """`order` sorts one service's events by position: `registration:00000000000000000042`."""

    event_id: str
    source: str
    position: int
    order: str
    type: str
    subject: str
    partner_ids: list[str]
    at: str
    causation_id: str | None
    correlation_id: str | None
    data: dict[str, Any]


def order_of(source: str, position: int) -> str:
    """The sort text of a place in a service's log."""
    return f"{source}:{position:020d}"


def evolve(document: EventDocument | None, seen: Seen) -> EventDocument:
    return {
        "event_id": seen.id,
        "source": seen.source,
        "position": seen.position,
        "order": order_of(seen.source, seen.position),
        "type": seen.type,
        "subject": seen.stream,
        "partner_ids": sorted(p for p in seen.event.partners() if seen.event.for_partner(p) is not None),
        "at": iso(seen.recorded_at),
        "causation_id": seen.causation_id,
        "correlation_id": seen.correlation_id,
        "data": plain(seen.event),
    }


def partner_view(document: dict[str, Any], partner_id: str) -> dict[str, Any] | None:
    """The document as one partner may read it, None where it may not know of it."""
    if document["type"] not in TYPES.classes:
        return None
    view = decode(document["type"], encode(document["data"])).for_partner(partner_id)
    return None if view is None else {**document, "data": plain(view), "partner_ids": [partner_id]}


EVENT_LOG = Projection(
    name="event_log",
    version=1,
    keys=dict.fromkeys(public_events(), lambda seen: seen.id),
    evolve=evolve,
    sources=SERVICES,
    indexes=("order", "source", "type", "subject", "correlation_id", "at"),
)
