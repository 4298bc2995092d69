"""One row of a CRM: which opportunity it is, what it last showed, what of it waits, and what was written to it."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import event, stable_id
from contracts.values import OpportunityId
from services.attribution.domain.crm_change import STAGE_UNMAPPED, CrmChange, Held

HELD_MAX = 20


def record_id(connection_id: str, external_id: str) -> str:
    """The one id of a row of a CRM."""
    return stable_id(connection_id, external_id)


# Events


@event("attribution.CrmRecordClaimed.v1")
class CrmRecordClaimed:
    record_id: str
    connection_id: str
    external_id: str
    opportunity_id: OpportunityId
    claimed_at: datetime


@event("attribution.CrmChangeObserved.v1")
class CrmChangeObserved:
    """The row changed, and what it now shows was understood."""

    record_id: str
    connection_id: str
    opportunity_id: OpportunityId
    change: CrmChange
    change_sha256: str
    observed_at: datetime


@event("attribution.CrmChangeQuarantined.v1")
class CrmChangeQuarantined:
    """What the row now shows cannot be taken over; `code` says why (those of `crm_change`)."""

    record_id: str
    connection_id: str
    opportunity_id: OpportunityId
    change: CrmChange
    change_sha256: str
    code: str
    text: str
    quarantined_at: datetime


@event("attribution.CrmChangeReleased.v1")
class CrmChangeReleased:
    """A held change waits no more. Outcome: applied, history (something later came first) or superseded."""

    record_id: str
    connection_id: str
    opportunity_id: OpportunityId
    change: CrmChange
    change_sha256: str
    outcome: str
    released_at: datetime


@event("attribution.CrmFieldsWritten.v1")
class CrmFieldsWritten:
    """Our fields stand in the CRM. `shown` is the row as this write made it, None when it was there before."""

    record_id: str
    connection_id: str
    external_id: str
    opportunity_id: OpportunityId
    wish_sha256: str
    shown: CrmChange | None
    written_at: datetime


@event("attribution.CrmWriteRefused.v1")
class CrmWriteRefused:
    """The CRM will not take our fields: a person has to look."""

    record_id: str
    connection_id: str
    opportunity_id: OpportunityId
    wish_sha256: str
    code: str
    text: str
    refused_at: datetime


CrmRecordEvent = (
    CrmRecordClaimed | CrmChangeObserved | CrmChangeQuarantined | CrmChangeReleased | CrmFieldsWritten | CrmWriteRefused
)


# State


@dataclass(frozen=True)
class HeldChange:
    code: str
    change: CrmChange
    change_sha256: str


@dataclass(frozen=True)
class CrmRecord:
    """`mirror` is what the row last showed, held or not; `held` what waits of it."""

    opportunity_id: OpportunityId | None = None
    mirror: CrmChange | None = None
    mirror_sha256: str | None = None
    held: tuple[HeldChange, ...] = ()
    written_sha256: str | None = None

    def shows(self, change: CrmChange) -> bool:
        """Whether this change tells nothing new: equal to the mirror, or older than it."""
        if self.mirror is None:
            return False
        return change.sha256 == self.mirror_sha256 or change.modified_at < self.mirror.modified_at

    def holds(self, change_sha256: str) -> HeldChange | None:
        """The held change of that hash."""
        return next((held for held in self.held if held.change_sha256 == change_sha256), None)


# Facts that other decisions record here


@dataclass(frozen=True)
class Row:
    """Where a record stands, for the facts written about it."""

    record_id: str
    connection_id: str
    opportunity_id: OpportunityId


def claimed(row: Row, record: CrmRecord, external_id: str, now: datetime) -> list[CrmRecordEvent]:
    """The claim of a row by its opportunity, once."""
    if record.opportunity_id is not None:
        return []
    return [
        CrmRecordClaimed(
            record_id=row.record_id,
            connection_id=row.connection_id,
            external_id=external_id,
            opportunity_id=row.opportunity_id,
            claimed_at=now,
        )
    ]


def observed(row: Row, change: CrmChange, now: datetime) -> CrmChangeObserved:
    return CrmChangeObserved(
        record_id=row.record_id,
        connection_id=row.connection_id,
        opportunity_id=row.opportunity_id,
        change=change,
        change_sha256=change.sha256,
        observed_at=now,
    )


def quarantined(row: Row, change: CrmChange, held: Held, now: datetime) -> CrmChangeQuarantined:
    return CrmChangeQuarantined(
        record_id=row.record_id,
        connection_id=row.connection_id,
        opportunity_id=row.opportunity_id,
        change=change,
        change_sha256=change.sha256,
        code=held.code,
        text=held.text,
        quarantined_at=now,
    )


def released(row: Row, held: HeldChange, outcome: str, now: datetime) -> CrmChangeReleased:
    return CrmChangeReleased(
        record_id=row.record_id,
        connection_id=row.connection_id,
        opportunity_id=row.opportunity_id,
        change=held.change,
        change_sha256=held.change_sha256,
        outcome=outcome,
        released_at=now,
    )


def superseded(row: Row, record: CrmRecord, now: datetime) -> list[CrmRecordEvent]:
    """What a later, readable change settles: all that waits, except a stage that a person has yet to map."""
    return [released(row, held, "superseded", now) for held in record.held if held.code != STAGE_UNMAPPED]


# Evolve


def evolve(record: CrmRecord, happened: CrmRecordEvent) -> CrmRecord:
    match happened:
        case CrmRecordClaimed(opportunity_id=opportunity_id):
            return replace(record, opportunity_id=opportunity_id)
        case CrmChangeObserved(change=change, change_sha256=digest):
            return replace(record, mirror=change, mirror_sha256=digest)
        case CrmChangeQuarantined(change=change, change_sha256=digest, code=code):
            held = (*record.held, HeldChange(code, change, digest))[-HELD_MAX:]
            return replace(record, mirror=change, mirror_sha256=digest, held=held)
        case CrmChangeReleased(change_sha256=digest):
            return replace(record, held=tuple(h for h in record.held if h.change_sha256 != digest))
        case CrmFieldsWritten():
            return _written(record, happened)
        case CrmWriteRefused(wish_sha256=digest):
            return replace(record, written_sha256=digest)
        case _:
            assert_never(happened)


def _written(record: CrmRecord, written: CrmFieldsWritten) -> CrmRecord:
    record = replace(record, written_sha256=written.wish_sha256)
    if record.mirror is not None or written.shown is None:
        return record
    return replace(record, mirror=written.shown, mirror_sha256=written.shown.sha256)


CrmRecords = Decider[CrmRecord, CrmRecordEvent](kind="crm_record", initial=CrmRecord(), evolve=evolve)
