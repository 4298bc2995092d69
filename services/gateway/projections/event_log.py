"""What happened, in every service, as this side may know it? One document a public event."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.event import TYPES, PublicEvent, Seen, as_stored, decode, encode, iso, plain
from chassis.projection import Projection
from chassis.read_store.port import Contains
from contracts.catalogue import SERVICES, public_events

EVERYBODY = "*"


class ShownEvent(TypedDict):
    """A public event as this side may know it; `data` is as its type says, see the AsyncAPI document.

    `partner_ids` are the partners that may know of it, or `*` for everybody.
    """

    event_id: str
    source: str
    position: int
    type: str
    subject: str
    partner_ids: list[str]
    at: Annotated[str, datetime]
    causation_id: str | None
    correlation_id: str | None
    data: dict[str, Any]


class EventDocument(ShownEvent):
    """`order` sorts one service's events by position: `registration:00000000000000000042`.

    `partner_ids` are the partners that may know of it, or `EVERYBODY`.
    """

    order: str


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
        "partner_ids": _readers(seen.event),
        "at": iso(seen.recorded_at),
        "causation_id": seen.causation_id,
        "correlation_id": seen.correlation_id,
        "data": plain(seen.event),
    }


def _readers(told: PublicEvent) -> list[str]:
    if told.audience == "all":
        return [EVERYBODY]
    return sorted(partner_id for partner_id in told.partners() if told.for_partner(partner_id) is not None)


def readable_by(partner_ids: Sequence[str]) -> dict[str, Any]:
    """The filter that leaves what these partners may know of; without any, the vendor may know of everything."""
    return {"partner_ids": Contains.any_of((*partner_ids, EVERYBODY))} if partner_ids else {}


def partner_view(document: dict[str, Any], partner_ids: Sequence[str]) -> dict[str, Any] | None:
    """The document as the first of these partners may read it that may know of it, None where none may."""
    if document["type"] not in TYPES.classes:
        return None
    told = decode(document["type"], encode(document["data"]))
    views = ((one, told.for_partner(one)) for one in partner_ids)
    shown = ({**document, "data": as_stored(view), "partner_ids": [one]} for one, view in views if view is not None)
    return next(shown, None)


EVENT_LOG = Projection(
    name="event_log",
    version=1,
    keys=dict.fromkeys(public_events(), lambda seen: seen.id),
    evolve=evolve,
    sources=SERVICES,
    indexes=("order", "source", "type", "subject", "correlation_id", "at", "partner_ids[]"),
)
