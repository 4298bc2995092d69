"""Which changes of the CRM wait for a person, and why? One document a held change; none once it is released."""

from typing import Any, TypedDict

from chassis.event import Seen, iso, plain, stable_id
from chassis.projection import Projection
from services.attribution.domain.crm_record import CrmChangeQuarantined, CrmChangeReleased


class HeldDocument(TypedDict):
    """A change of the CRM that waits for a person, and why. `change` is what the CRM said."""

    quarantine_id: str
    connection_id: str
    record_id: str
    opportunity_id: str
    change_sha256: str
    code: str
    text: str
    change: dict[str, Any]
    event_id: str
    quarantined_at: str


def quarantine_id(record_id: str, change_sha256: str) -> str:
    """The id of a held change."""
    return stable_id(record_id, change_sha256)


def evolve(document: HeldDocument | None, seen: Seen) -> HeldDocument | None:
    it = seen.event
    if not isinstance(it, CrmChangeQuarantined):
        return None
    return {
        "quarantine_id": quarantine_id(it.record_id, it.change_sha256),
        "connection_id": it.connection_id,
        "record_id": it.record_id,
        "opportunity_id": it.opportunity_id,
        "change_sha256": it.change_sha256,
        "code": it.code,
        "text": it.text,
        "change": plain(it.change),
        "event_id": seen.id,
        "quarantined_at": iso(it.quarantined_at),
    }


def _by_change(seen: Seen) -> str:
    return quarantine_id(seen.event.record_id, seen.event.change_sha256)


QUARANTINE = Projection(
    name="quarantine",
    version=1,
    keys=dict.fromkeys((CrmChangeQuarantined, CrmChangeReleased), _by_change),
    evolve=evolve,
    indexes=("quarantined_at", "connection_id", "code", "opportunity_id"),
)
