"""What happened to one deal, in all services, in order of time?"""

from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts.catalogue import SERVICES, public_events


class Entry(TypedDict):
    event_id: str
    source: str
    position: int
    type: str
    at: str


class TimelineDocument(TypedDict):
    """`partner_ids` are all partners that some entry names; each reads only the entries that are its own."""

    subject: str
    partner_ids: list[str]
    entries: list[Entry]


def evolve(document: TimelineDocument | None, seen: Seen) -> TimelineDocument:
    before = document or {"subject": _subject(seen) or "", "partner_ids": [], "entries": []}
    entry: Entry = {
        "event_id": seen.id,
        "source": seen.source,
        "position": seen.position,
        "type": seen.type,
        "at": iso(seen.recorded_at),
    }
    others = [known for known in before["entries"] if known["event_id"] != seen.id]
    return {
        "subject": before["subject"],
        "partner_ids": sorted({*before["partner_ids"], *seen.event.partners()}),
        "entries": sorted([*others, entry], key=_when),
    }


def _when(entry: Entry) -> tuple[Any, ...]:
    return entry["at"], entry["source"], entry["position"]


def _subject(seen: Seen) -> str | None:
    """The deal that an event is about: its registration, else its opportunity."""
    return getattr(seen.event, "registration_id", None) or getattr(seen.event, "opportunity_id", None)


_ABOUT_DEALS = [
    cls
    for cls in public_events()
    if {"registration_id", "opportunity_id"} & set(cls.__dataclass_fields__)  # type: ignore[attr-defined]
]

TIMELINE = Projection(
    name="timeline",
    version=1,
    keys=dict.fromkeys(_ABOUT_DEALS, _subject),
    evolve=evolve,
    sources=SERVICES,
)
