"""Bulk imports: a file of rows that is tried first, then carried out row by row, and taken back as a whole.

One aggregate serves every kind of import. A batch goes Uploaded → DryRun → Applied → Undone, or is thrown away after its
dry run; its rows stand in pieces,
each a stream of its own, so that no stream and no commit grows with the file. What a row is, its kind knows
(`chassis.bulk_work`).
"""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import assert_never

from chassis.decider import Decider, NotFound, Refused, WrongState
from chassis.event import LEFT_OUT, LeftOut, Sealed, command, event, frozen
from chassis.identity import Principal

ROWS_MAX = 10_000
PIECE_ROWS = 100
UNDO_DAYS = 30
READ_BATCHES = "read imports"
TRY, APPLY, UNDO = "try", "apply", "undo"
GOOD, BAD, APPLIED, REFUSED, UNDONE, STAYS = "good", "bad", "applied", "refused", "undone", "stays"
"""What became of a row: good or bad in the dry run, then applied or refused, then undone, or it stays."""


class Stage(StrEnum):
    NONE = "none"
    UPLOADED = "uploaded"
    DRY_RUN = "dry_run"
    APPLYING = "applying"
    APPLIED = "applied"
    UNDOING = "undoing"
    UNDONE = "undone"
    DISCARDED = "discarded"


IN_HAND = {Stage.UPLOADED: TRY, Stage.APPLYING: APPLY, Stage.UNDOING: UNDO}
"""What is done with the rows of a batch while it stands there."""
ALLOWED = {Stage.DRY_RUN: "apply", Stage.APPLIED: "undo"}


@frozen
class Remark:
    """Something to be said of a row: in which column, "" for the whole row, a stable code, a sentence for people."""

    column: str = ""
    code: str
    text: str


@frozen
class RowResult:
    """What became of one row. `id` and `number` are those of what it made, `outcome` is where that stands."""

    row: int
    result: str
    id: str = ""
    number: str = ""
    outcome: str = ""
    remarks: tuple[Remark, ...] = ()


@frozen
class Asker:
    """On whose behalf rows are carried out: who asked, with the rights held then."""

    subject: str
    kind: str
    partner_id: str | None = None
    roles: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    person: str | None = None
    absorbed: tuple[str, ...] | LeftOut = LEFT_OUT
    home_id: str | LeftOut = LEFT_OUT

    @classmethod
    def of(cls, who: Principal) -> "Asker":
        return cls(
            subject=who.subject,
            kind=who.kind,
            partner_id=who.partner_id,
            roles=who.roles,
            duties=who.duties,
            person=who.person,
            absorbed=who.absorbed or LEFT_OUT,
            home_id=who.home_id or LEFT_OUT,
        )

    def principal(self, tenant: str) -> Principal:
        return Principal(
            tenant=tenant,
            subject=self.subject,
            kind=self.kind,
            partner_id=self.partner_id,
            roles=self.roles,
            duties=self.duties,
            person=self.person,
            absorbed=self.absorbed or (),
            home_id=self.home_id or None,
        )


# Events


@event("chassis.BatchRowsKept.v1")
class BatchRowsKept:
    """A piece of the file: `rows` is the sealed JSON of its rows."""

    batch_id: str
    piece: int
    rows: Sealed


@event("chassis.BatchRowsDone.v1")
class BatchRowsDone:
    batch_id: str
    piece: int
    step: str
    results: tuple[RowResult, ...]
    done_at: datetime


@event("chassis.BatchUploaded.v1")
class BatchUploaded:
    """`partner_id`: whose import it is, None for the vendor's."""

    batch_id: str
    number: str
    kind: str
    file_name: str
    sha256: str
    rows: int
    pieces: int
    partner_id: str | None
    asker: Asker
    uploaded_at: datetime


@event("chassis.BatchTried.v1")
class BatchTried:
    batch_id: str
    counts: dict[str, int]
    tried_at: datetime


@event("chassis.BatchApplyBegun.v1")
class BatchApplyBegun:
    batch_id: str
    asker: Asker
    begun_at: datetime


@event("chassis.BatchApplied.v1")
class BatchApplied:
    batch_id: str
    counts: dict[str, int]
    applied_at: datetime
    undo_until: datetime


@event("chassis.BatchUndoBegun.v1")
class BatchUndoBegun:
    batch_id: str
    asker: Asker
    begun_at: datetime


@event("chassis.BatchUndone.v1")
class BatchUndone:
    batch_id: str
    counts: dict[str, int]
    undone_at: datetime


@event("chassis.BatchDiscarded.v1")
class BatchDiscarded:
    """Nothing of it was carried out, and nothing of it will be."""

    batch_id: str
    asker: Asker
    discarded_at: datetime


PieceEvent = BatchRowsKept | BatchRowsDone
BatchEvent = BatchUploaded | BatchTried | BatchApplyBegun | BatchApplied | BatchUndoBegun | BatchUndone | BatchDiscarded


# Commands


@command("chassis.KeepBatchRows.v1")
class KeepBatchRows:
    batch_id: str
    piece: int
    rows: Sealed


@command("chassis.UploadBatch.v1")
class UploadBatch:
    batch_id: str
    number: str
    kind: str
    file_name: str
    sha256: str
    rows: int
    pieces: int
    asker: Asker
    now: datetime


@command("chassis.ApplyBatch.v1")
class ApplyBatch:
    batch_id: str
    asker: Asker
    now: datetime


@command("chassis.UndoBatch.v1")
class UndoBatch:
    batch_id: str
    asker: Asker
    now: datetime


@command("chassis.DiscardBatch.v1")
class DiscardBatch:
    batch_id: str
    asker: Asker
    now: datetime


@command("chassis.FinishBatchRows.v1")
class FinishBatchRows:
    batch_id: str
    piece: int
    step: str
    results: tuple[RowResult, ...]
    now: datetime


@command("chassis.FinishBatchStep.v1")
class FinishBatchStep:
    """All rows have been through the step; `counts` says how many came to which result."""

    batch_id: str
    step: str
    counts: dict[str, int]
    now: datetime


# State


@frozen
class Piece:
    """The rows of a piece, and the steps that they have been through."""

    rows: Sealed | None = None
    done: Mapping[str, tuple[RowResult, ...]] = field(default_factory=dict)


@frozen
class Batch:
    """`asker` is who asked for the step in hand."""

    stage: Stage = Stage.NONE
    uploaded: BatchUploaded | None = None
    asker: Asker | None = None
    good: int = 0
    undo_until: datetime | None = None

    @property
    def first(self) -> BatchUploaded:
        """Raises NotFound for a batch that never was."""
        if self.uploaded is None:
            raise NotFound
        return self.uploaded


# Refusals


class NothingToApply(Refused):
    """No row of this file can be carried out: mend the rows and upload the file again."""

    slug = "nothing-to-apply"


class UndoClosed(Refused):
    """An import can be taken back for thirty days: `until` was the last instant."""

    slug = "undo-closed"


# Decisions


def keep_rows(wish: KeepBatchRows, piece: Piece) -> list[PieceEvent]:
    """Keeps a piece of a file; the same piece again changes nothing."""
    if piece.rows is not None:
        return []
    return [BatchRowsKept(batch_id=wish.batch_id, piece=wish.piece, rows=wish.rows)]


def finish_rows(wish: FinishBatchRows, piece: Piece) -> list[PieceEvent]:
    """Writes down what became of the rows of a piece, once a step."""
    if wish.step in piece.done:
        return []
    return [
        BatchRowsDone(batch_id=wish.batch_id, piece=wish.piece, step=wish.step, results=wish.results, done_at=wish.now)
    ]


def upload_batch(wish: UploadBatch, batch: Batch) -> list[BatchEvent]:
    """Opens a batch on pieces that are kept already; its dry run begins by itself."""
    if batch.stage != Stage.NONE:
        return []
    return [
        BatchUploaded(
            batch_id=wish.batch_id,
            number=wish.number,
            kind=wish.kind,
            file_name=wish.file_name,
            sha256=wish.sha256,
            rows=wish.rows,
            pieces=wish.pieces,
            partner_id=wish.asker.partner_id,
            asker=wish.asker,
            uploaded_at=wish.now,
        )
    ]


def apply_batch(wish: ApplyBatch, batch: Batch) -> list[BatchEvent]:
    """Begins to carry out the rows that were good in the dry run."""
    _stands_in(batch, Stage.DRY_RUN)
    if batch.good == 0:
        raise NothingToApply
    return [BatchApplyBegun(batch_id=wish.batch_id, asker=wish.asker, begun_at=wish.now)]


def undo_batch(wish: UndoBatch, batch: Batch) -> list[BatchEvent]:
    """Begins to take back what the rows made, the last one first."""
    _stands_in(batch, Stage.APPLIED)
    if batch.undo_until is not None and batch.undo_until < wish.now:
        raise UndoClosed(until=batch.undo_until.isoformat())
    return [BatchUndoBegun(batch_id=wish.batch_id, asker=wish.asker, begun_at=wish.now)]


def discard_batch(wish: DiscardBatch, batch: Batch) -> list[BatchEvent]:
    """Throws away what was tried and not applied; its rows are unreadable from then on. Twice changes nothing."""
    if batch.stage == Stage.DISCARDED:
        return []
    _stands_in(batch, Stage.DRY_RUN)
    return [BatchDiscarded(batch_id=wish.batch_id, asker=wish.asker, discarded_at=wish.now)]


def _stands_in(batch: Batch, stage: Stage) -> None:
    if batch.stage == Stage.NONE:
        raise NotFound
    if batch.stage != stage:
        said, allowed = batch.stage.replace("_", " "), ALLOWED.get(batch.stage)
        raise WrongState(f"the import is {said}", state=batch.stage.value, allowed=[allowed] if allowed else [])


def finish_step(wish: FinishBatchStep, batch: Batch) -> list[BatchEvent]:
    """Ends the step in hand; the same end again changes nothing."""
    if IN_HAND.get(batch.stage) != wish.step:
        return []
    match wish.step:
        case "try":
            return [BatchTried(batch_id=wish.batch_id, counts=wish.counts, tried_at=wish.now)]
        case "apply":
            until = wish.now + timedelta(days=UNDO_DAYS)
            return [BatchApplied(batch_id=wish.batch_id, counts=wish.counts, applied_at=wish.now, undo_until=until)]
        case _:
            return [BatchUndone(batch_id=wish.batch_id, counts=wish.counts, undone_at=wish.now)]


# Evolve


def evolve_piece(piece: Piece, happened: PieceEvent) -> Piece:
    match happened:
        case BatchRowsKept():
            return replace(piece, rows=happened.rows)
        case BatchRowsDone():
            return replace(piece, done={**piece.done, happened.step: happened.results})
        case _:
            assert_never(happened)


def evolve(batch: Batch, happened: BatchEvent) -> Batch:
    match happened:
        case BatchUploaded():
            return Batch(stage=Stage.UPLOADED, uploaded=happened, asker=happened.asker)
        case BatchTried():
            return replace(batch, stage=Stage.DRY_RUN, good=happened.counts.get(GOOD, 0))
        case BatchApplyBegun():
            return replace(batch, stage=Stage.APPLYING, asker=happened.asker)
        case BatchApplied():
            return replace(batch, stage=Stage.APPLIED, undo_until=happened.undo_until)
        case BatchUndoBegun():
            return replace(batch, stage=Stage.UNDOING, asker=happened.asker)
        case BatchUndone():
            return replace(batch, stage=Stage.UNDONE)
        case BatchDiscarded():
            return replace(batch, stage=Stage.DISCARDED)
        case _:
            assert_never(happened)


def piece_id(batch_id: str, piece: int) -> str:
    """The id of a piece's stream."""
    return f"{batch_id}.{piece}"


def subject_of(batch_id: str) -> str:
    """Whose key seals the rows of a batch: its own. It is destroyed once they are carried out or thrown away."""
    return f"import-{batch_id}"


Batches = Decider[Batch, BatchEvent](kind="import", initial=Batch(), evolve=evolve)
Pieces = Decider[Piece, PieceEvent](kind="import_rows", initial=Piece(), evolve=evolve_piece)
