"""Does the CRM say what we want it to say? One document a sale: what is wanted, what is written, and what is wrong."""

from typing import Any, TypedDict, cast

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.attribution.domain import crm_record, opportunity

PENDING_OUT, IN_SYNC, QUARANTINED, REFUSED = "pending_out", "in_sync", "quarantined", "refused"


class SyncDocument(TypedDict):
    """A sale beside its record in the CRM: `pending_out`, `in_sync`, `quarantined` or `refused` with a `code`.

    `fields` are what the record is to say, `creation` what a new one is to say besides.
    """

    opportunity_id: str
    status: str
    pending: bool
    connection_id: str | None
    external_id: str | None
    fields: dict[str, str]
    creation: dict[str, str]
    wish_sha256: str | None
    wanted_at: str | None
    written_sha256: str | None
    held: list[str]
    code: str | None
    changed_at: str


def evolve(document: SyncDocument | None, seen: Seen) -> SyncDocument:
    before = document or _empty(seen)
    after: Any = {**before, **_change(before, seen.event), "changed_at": iso(seen.recorded_at)}
    pending = after["wish_sha256"] is not None and after["wish_sha256"] != after["written_sha256"]
    return cast("SyncDocument", {**after, "pending": pending, "status": _status(after, pending=pending)})


def _empty(seen: Seen) -> SyncDocument:
    return {
        "opportunity_id": seen.event.opportunity_id,
        "status": IN_SYNC,
        "pending": False,
        "connection_id": None,
        "external_id": None,
        "fields": {},
        "creation": {},
        "wish_sha256": None,
        "wanted_at": None,
        "written_sha256": None,
        "held": [],
        "code": None,
        "changed_at": iso(seen.recorded_at),
    }


def _change(document: SyncDocument, happened: Any) -> dict[str, Any]:
    match happened:
        case opportunity.OpportunityOpened(external_id=external_id):
            return {"external_id": external_id}
        case opportunity.CrmFieldsWanted():
            return _wanted(happened)
        case opportunity.CrmRecordKnown():
            return {"external_id": happened.external_id, "connection_id": happened.connection_id}
        case crm_record.CrmFieldsWritten(wish_sha256=digest):
            return {"written_sha256": digest, "code": None}
        case crm_record.CrmWriteRefused(wish_sha256=digest, code=code):
            return {"written_sha256": digest, "code": code}
        case crm_record.CrmChangeQuarantined(change_sha256=digest):
            return {"held": [*(h for h in document["held"] if h != digest), digest]}
        case crm_record.CrmChangeReleased(change_sha256=digest):
            return {"held": [h for h in document["held"] if h != digest]}
        case _:
            return {}


def _wanted(it: opportunity.CrmFieldsWanted) -> dict[str, Any]:
    return {
        "fields": dict(it.fields),
        "creation": dict(it.creation),
        "wish_sha256": it.wish_sha256,
        "wanted_at": iso(it.wanted_at),
    }


def _status(document: dict[str, Any], *, pending: bool) -> str:
    if document["held"]:
        return QUARANTINED
    if document["code"]:
        return REFUSED
    return PENDING_OUT if pending else IN_SYNC


def _by_sale(seen: Seen) -> str:
    identity: str = seen.event.opportunity_id
    return identity


SYNC_STATUS = Projection(
    name="sync_status",
    version=1,
    keys=dict.fromkeys(
        (
            opportunity.OpportunityOpened,
            opportunity.CrmFieldsWanted,
            opportunity.CrmRecordKnown,
            crm_record.CrmFieldsWritten,
            crm_record.CrmWriteRefused,
            crm_record.CrmChangeQuarantined,
            crm_record.CrmChangeReleased,
        ),
        _by_sale,
    ),
    evolve=evolve,
    indexes=("status", "pending,wanted_at", "changed_at"),
)
