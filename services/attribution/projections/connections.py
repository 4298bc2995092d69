"""Which CRMs are connected, and up to when has each been read? One document a connection.

`due_at` is set while a connection is active, so that the worker finds the active ones of every tenant.
"""

from datetime import datetime
from typing import Any, TypedDict, cast

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.attribution.domain import connection
from services.attribution.domain.crm_record import CrmChangeObserved, CrmChangeQuarantined


class ConnectionDocument(TypedDict):
    """A connected CRM, and up to when it has been read. `due_at` is set while it is active."""

    connection_id: str
    connector: str
    status: str
    base_url: str
    zone: str
    currency: str | None
    poll_seconds: int
    overlap_seconds: int
    stage_map: dict[str, str]
    added_at: str
    due_at: str | None
    checkpoint_at: str | None
    version: int


def evolve(document: ConnectionDocument | None, seen: Seen) -> ConnectionDocument | None:
    happened = seen.event
    if isinstance(happened, connection.ConnectionAdded):
        return _added(seen, happened)
    if document is None:
        return None
    return cast("ConnectionDocument", {**document, **_change(document, seen)})


def _added(seen: Seen, it: connection.ConnectionAdded) -> ConnectionDocument:
    return {
        "connection_id": it.connection_id,
        "connector": it.connector,
        "status": "draft",
        "base_url": it.base_url,
        "zone": it.zone,
        "currency": it.currency,
        "poll_seconds": it.poll_seconds,
        "overlap_seconds": it.overlap_seconds,
        "stage_map": dict(it.stage_map),
        "added_at": iso(it.added_at),
        "due_at": None,
        "checkpoint_at": None,
        "version": seen.version,
    }


def _change(document: ConnectionDocument, seen: Seen) -> dict[str, Any]:
    match seen.event:
        case connection.ConnectionActivated(activated_at=at):
            return {"status": "active", "due_at": iso(at), "version": seen.version}
        case connection.ConnectionPaused():
            return {"status": "paused", "due_at": None, "version": seen.version}
        case connection.StagesMapped(stage_map=stage_map):
            return {"stage_map": dict(stage_map), "version": seen.version}
        case CrmChangeObserved(change=change) | CrmChangeQuarantined(change=change):
            return {"checkpoint_at": _later(document["checkpoint_at"], change.modified_at)}
        case _:
            return {}


def _later(known: str | None, at: datetime) -> str:
    return known if known and datetime.fromisoformat(known) >= at else iso(at)


def _by_connection(seen: Seen) -> str:
    identity: str = seen.event.connection_id
    return identity


CONNECTIONS = Projection(
    name="connections",
    version=1,
    keys=dict.fromkeys(
        (
            connection.ConnectionAdded,
            connection.ConnectionActivated,
            connection.ConnectionPaused,
            connection.StagesMapped,
            CrmChangeObserved,
            CrmChangeQuarantined,
        ),
        _by_connection,
    ),
    evolve=evolve,
    indexes=("due_at", "added_at", "status"),
)
