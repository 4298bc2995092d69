"""What the vendor keeps for itself, and since when. The vendor's only."""

from typing import Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.registration.domain.exclusion import ExclusionAdded, ExclusionEnded


class ExclusionDocument(TypedDict):
    """One entry; `by_crm` says that a sale of the vendor's own in the CRM led to it."""

    exclusion_id: str
    target: str
    kind: str
    from_on: str
    until_on: str | None
    contacted_on: str | None
    recorded_at: str
    by_crm: bool


def _entry(seen: Seen) -> str:
    happened: Any = seen.event
    identity: str = happened.exclusion.exclusion_id if isinstance(happened, ExclusionAdded) else happened.exclusion_id
    return identity


def evolve(_: ExclusionDocument | None, seen: Seen) -> ExclusionDocument | None:
    happened = seen.event
    if not isinstance(happened, ExclusionAdded):
        return None
    entry = happened.exclusion
    return {
        "exclusion_id": entry.exclusion_id,
        "target": happened.target,
        "kind": entry.kind,
        "from_on": iso(entry.from_on),
        "until_on": iso(entry.until_on) if entry.until_on else None,
        "contacted_on": iso(entry.contacted_on) if entry.contacted_on else None,
        "recorded_at": iso(entry.recorded_at),
        "by_crm": happened.source_event_id is not None,
    }


EXCLUSIONS = Projection(
    name="exclusions",
    version=1,
    keys={ExclusionAdded: _entry, ExclusionEnded: _entry},
    evolve=evolve,
    indexes=("target", "kind", "from_on"),
)
