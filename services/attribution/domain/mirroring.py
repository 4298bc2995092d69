"""What the CRM shows becomes what we hold: one observed change in, the facts of the sale, its row and its credit out.

State decides, not authorship: what equals the mirror is nothing, whoever wrote it. What cannot be read is held, listed,
and released when it can. A win and its final credit are one decision.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from chassis.decider import Refused
from chassis.event import command, frozen
from chassis.rulebook import Rulebook
from contracts.values import OpportunityId, PartnerId
from services.attribution.domain.connection import Connection
from services.attribution.domain.credit import Credit, CreditEvent
from services.attribution.domain.crediting import allocate_all, policy_in_force
from services.attribution.domain.crm_change import (
    CLAIMED_ELSEWHERE,
    EXCEEDS_REMAINING,
    MALFORMED,
    CrmChange,
    Held,
    read_change,
)
from services.attribution.domain.crm_record import (
    CrmFieldsWritten,
    CrmRecord,
    CrmRecordEvent,
    CrmWriteRefused,
    Row,
    claimed,
    observed,
    quarantined,
    released,
    superseded,
)
from services.attribution.domain.merger import Merger
from services.attribution.domain.opportunity import (
    CrmRecordKnown,
    DealWon,
    ExceedsRemaining,
    Moment,
    Opportunities,
    Opportunity,
    OpportunityEvent,
    follow,
    follow_mergers,
)

# Commands


@frozen
class Days:
    """A change's day in the connection's zone, and the last instant that a close shown by it counts."""

    seen_on: date
    cutoff_at: datetime


@command("attribution.ObserveCrmChange.v1")
class ObserveCrmChange:
    """`merged` are the partners of the sale that were ever absorbed, and those with whom they are one."""

    opportunity_id: OpportunityId
    record_id: str
    connection_id: str
    change: CrmChange
    days: Days
    pools: tuple[str, ...]
    policy_id: str
    now: datetime
    merged: tuple[PartnerId, ...] = ()


@command("attribution.ReleaseCrmChange.v1")
class ReleaseCrmChange:
    """Reads a held change again under today's map."""

    opportunity_id: OpportunityId
    record_id: str
    connection_id: str
    change_sha256: str
    days: Days
    pools: tuple[str, ...]
    policy_id: str
    now: datetime
    merged: tuple[PartnerId, ...] = ()


@command("attribution.RecordCrmWrite.v1")
class RecordCrmWrite:
    """Our fields stand in the CRM. `created` when this write made the row; `shown` is what the CRM then answered."""

    opportunity_id: OpportunityId
    record_id: str
    connection_id: str
    external_id: str
    wish_sha256: str
    shown: CrmChange | None
    now: datetime


@command("attribution.RecordCrmRefusal.v1")
class RecordCrmRefusal:
    opportunity_id: OpportunityId
    record_id: str
    connection_id: str
    wish_sha256: str
    code: str
    text: str
    now: datetime


Followed = tuple[list[OpportunityEvent], list[CrmRecordEvent], list[list[CreditEvent]]]


@dataclass(frozen=True)
class Told:
    """A sale, and what it has only now heard."""

    heard: list[OpportunityEvent]
    sale: Opportunity


class NotHeld(Refused):
    """Nothing of that record waits under this name."""

    slug = "not-held"


# Decisions


def observe_change(  # noqa: PLR0913, PLR0917  a state a parameter
    wish: ObserveCrmChange,
    sale: Opportunity,
    record: CrmRecord,
    credits: Sequence[Credit],
    connection: Connection,
    book: Rulebook,
    mergers: Sequence[Merger] = (),
) -> Followed:
    """Takes over what a row now shows; nothing if it shows what we know, held if it cannot be read."""
    row = _row(wish)
    if record.shows(wish.change):
        return _nothing(credits)
    made = _understood(wish, wish.change, _told(wish, sale, mergers), record, connection)
    if isinstance(made, Held):
        return [], [quarantined(row, wish.change, made, wish.now)], [[] for _ in credits]
    known = _known(wish, sale)
    kept: list[CrmRecordEvent] = [
        *claimed(row, record, wish.change.external_id, wish.now),
        observed(row, wish.change, wish.now),
        *superseded(row, record, wish.now),
    ]
    return [*known, *made], kept, _credited(wish, sale, made, credits, book)


def release_change(  # noqa: PLR0913, PLR0917  a state a parameter
    wish: ReleaseCrmChange,
    sale: Opportunity,
    record: CrmRecord,
    credits: Sequence[Credit],
    connection: Connection,
    book: Rulebook,
    mergers: Sequence[Merger] = (),
) -> Followed:
    """Applies a held change if it can now be read and nothing came after it; after a later one it is only history."""
    held = record.holds(wish.change_sha256)
    if held is None:
        raise NotHeld
    row = _row(wish)
    if record.mirror_sha256 != held.change_sha256:
        return [], [released(row, held, "history", wish.now)], [[] for _ in credits]
    made = _understood(wish, held.change, _told(wish, sale, mergers), record, connection)
    if isinstance(made, Held):
        return _nothing(credits)
    kept: list[CrmRecordEvent] = [
        *claimed(row, record, held.change.external_id, wish.now),
        released(row, held, "applied", wish.now),
        observed(row, held.change, wish.now),
    ]
    return made, kept, _credited(wish, sale, made, credits, book)


def record_write(
    wish: RecordCrmWrite, sale: Opportunity, record: CrmRecord
) -> tuple[list[OpportunityEvent], list[CrmRecordEvent]]:
    """Notes that a wish stands in the CRM, and which row it is. The same again is nothing."""
    known: list[OpportunityEvent] = []
    if sale.external_id != wish.external_id:
        known = [_record_known(wish, wish.external_id)]
    if record.written_sha256 == wish.wish_sha256:
        return known, []
    row = Row(wish.record_id, wish.connection_id, wish.opportunity_id)
    written = CrmFieldsWritten(
        record_id=wish.record_id,
        connection_id=wish.connection_id,
        external_id=wish.external_id,
        opportunity_id=wish.opportunity_id,
        wish_sha256=wish.wish_sha256,
        shown=wish.shown,
        written_at=wish.now,
    )
    return known, [*claimed(row, record, wish.external_id, wish.now), written]


def record_refusal(wish: RecordCrmRefusal, record: CrmRecord) -> list[CrmRecordEvent]:
    """Notes that the CRM will not take a wish, once."""
    if record.written_sha256 == wish.wish_sha256:
        return []
    return [
        CrmWriteRefused(
            record_id=wish.record_id,
            connection_id=wish.connection_id,
            opportunity_id=wish.opportunity_id,
            wish_sha256=wish.wish_sha256,
            code=wish.code,
            text=wish.text,
            refused_at=wish.now,
        )
    ]


def _told(wish: ObserveCrmChange | ReleaseCrmChange, sale: Opportunity, mergers: Sequence[Merger]) -> Told:
    """The sale with what it had not heard yet of its partners' mergers."""
    heard = follow_mergers(wish.opportunity_id, sale, dict(zip(wish.merged, mergers, strict=True)), wish.now)
    return Told(heard, Opportunities.fold(heard, sale))


def _understood(
    wish: ObserveCrmChange | ReleaseCrmChange,
    change: CrmChange,
    told: Told,
    record: CrmRecord,
    connection: Connection,
) -> list[OpportunityEvent] | Held:
    sale = told.sale
    if sale.stage is None:
        return Held(code=MALFORMED, text="the row names a sale that does not exist")
    if record.opportunity_id not in (None, wish.opportunity_id) or sale.external_id not in (None, change.external_id):
        return Held(code=CLAIMED_ELSEWHERE, text="another row already is this sale")
    reading = read_change(change, connection.stage_map, connection.currency, wish.days.seen_on)
    if isinstance(reading, Held):
        return reading
    try:
        return [*told.heard, *follow(reading, sale, _moment(wish, change))]
    except ExceedsRemaining as error:
        return Held(code=EXCEEDS_REMAINING, text=error.detail)


def _credited(
    wish: ObserveCrmChange | ReleaseCrmChange,
    sale: Opportunity,
    made: list[OpportunityEvent],
    credits: Sequence[Credit],
    book: Rulebook,
) -> list[list[CreditEvent]]:
    """Final credit with a win; a change of stage alone moves no credit."""
    if not any(isinstance(happened, DealWon) for happened in made):
        return [[] for _ in credits]
    after = Opportunities.fold(made, sale)
    return allocate_all(wish.opportunity_id, after, wish.pools, credits, policy_in_force(book, wish.now), wish.now)


def _moment(wish: ObserveCrmChange | ReleaseCrmChange, change: CrmChange) -> Moment:
    return Moment(
        opportunity_id=wish.opportunity_id,
        true_at=change.modified_at,
        occurred_on=wish.days.seen_on,
        cutoff_at=wish.days.cutoff_at,
    )


def _known(wish: ObserveCrmChange, sale: Opportunity) -> list[OpportunityEvent]:
    return [] if sale.external_id else [_record_known(wish, wish.change.external_id)]


def _record_known(wish: ObserveCrmChange | RecordCrmWrite, external_id: str) -> CrmRecordKnown:
    return CrmRecordKnown(
        opportunity_id=wish.opportunity_id,
        connection_id=wish.connection_id,
        external_id=external_id,
        known_at=wish.now,
    )


def _row(wish: ObserveCrmChange | ReleaseCrmChange) -> Row:
    return Row(wish.record_id, wish.connection_id, wish.opportunity_id)


def _nothing(credits: Sequence[Credit]) -> Followed:
    return [], [], [[] for _ in credits]
