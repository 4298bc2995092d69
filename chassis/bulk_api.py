"""Bulk imports over HTTP, the same in every service: upload a file, look at its dry run, apply or discard it, take it back."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path, Query, Request, Response

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.bulk import (
    APPLIED,
    GOOD,
    PIECE_ROWS,
    READ_BATCHES,
    ApplyBatch,
    Asker,
    Batch,
    BatchApplied,
    BatchApplyBegun,
    BatchDiscarded,
    Batches,
    BatchRowsDone,
    BatchTried,
    BatchUndoBegun,
    BatchUndone,
    BatchUploaded,
    DiscardBatch,
    FinishBatchRows,
    FinishBatchStep,
    KeepBatchRows,
    Pieces,
    RowResult,
    Stage,
    UndoBatch,
    UploadBatch,
    apply_batch,
    discard_batch,
    finish_rows,
    finish_step,
    keep_rows,
    piece_id,
    subject_of,
    undo_batch,
    upload_batch,
)
from chassis.bulk_file import FileUnreadable, Row, Rows, read_rows, shape_of
from chassis.bulk_work import IN_HAND_MODEL, Bulk, BulkKind
from chassis.event import Seen, encode, human_number, iso, plain, sha256, stable_id
from chassis.execution import Handles, Order
from chassis.http import (
    App,
    Caller,
    Filer,
    Paged,
    Paging,
    Reader,
    Writer,
    listed,
    opened_cursor,
    page,
    perform,
    reads,
    shown,
    signed_cursor,
)
from chassis.projection import Projection
from chassis.tables import Table, table

PIECE_BYTES_MAX = 256 << 10
KEPT_AT_ONCE = 8
PIECES_A_LOOK = 10
Id = Annotated[str, Path(min_length=1, max_length=64)]


# Commands


def _piece(wish: KeepBatchRows | FinishBatchRows) -> tuple[Any, ...]:
    return (Pieces.at(piece_id(wish.batch_id, wish.piece)),)


def _batch(wish: Any) -> tuple[Any, ...]:
    return (Batches.at(wish.batch_id),)


class ImportAnswer(TypedDict):
    """Where the import stands now."""

    batch_id: str
    number: str
    stage: str
    rows: int


def _stands(wish: Any, batch: Batch) -> ImportAnswer:
    first = batch.first
    return {"batch_id": wish.batch_id, "number": first.number, "stage": batch.stage.value, "rows": first.rows}


HANDLES = (
    Handles(KeepBatchRows, keep_rows, streams=_piece),
    Handles(FinishBatchRows, finish_rows, streams=_piece),
    Handles(UploadBatch, upload_batch, streams=_batch, answer=_stands),
    Handles(ApplyBatch, apply_batch, streams=_batch, answer=_stands),
    Handles(UndoBatch, undo_batch, streams=_batch, answer=_stands),
    Handles(DiscardBatch, discard_batch, streams=_batch, answer=_stands),
    Handles(FinishBatchStep, finish_step, streams=_batch),
)


# Read models


STEPS = (BatchUploaded, BatchTried, BatchApplyBegun, BatchApplied, BatchUndoBegun, BatchUndone, BatchDiscarded)
"""What moves a batch from one stage to the next."""


class ImportDocument(TypedDict):
    """An import of a file. `counts`: how many rows came to which result; `done` of `total` rows are through the step in hand."""

    batch_id: str
    number: str
    kind: str
    file_name: str
    partner_id: str | None
    stage: str
    rows: int
    done: int
    total: int
    counts: dict[str, int]
    uploaded_at: str
    applied_at: str | None
    undo_until: str | None


def of_batch(seen: Seen) -> str:
    """The id of the batch that an event is about."""
    return str(seen.event.batch_id)


def evolve(document: ImportDocument | None, seen: Seen) -> ImportDocument | None:
    happened = seen.event
    if isinstance(happened, BatchUploaded):
        return _uploaded(happened)
    if document is None:
        return None
    if isinstance(happened, BatchRowsDone):
        return {**document, "done": document["done"] + len(happened.results), "counts": _counted(document, happened)}
    moved: Any = {**document, **_moved(document["counts"], happened)}
    return moved  # type: ignore[no-any-return]


def _uploaded(it: BatchUploaded) -> ImportDocument:
    return {
        "batch_id": it.batch_id,
        "number": it.number,
        "kind": it.kind,
        "file_name": it.file_name,
        "partner_id": it.partner_id,
        "stage": Stage.UPLOADED.value,
        "rows": it.rows,
        "done": 0,
        "total": it.rows,
        "counts": {},
        "uploaded_at": iso(it.uploaded_at),
        "applied_at": None,
        "undo_until": None,
    }


def _counted(document: ImportDocument, done: BatchRowsDone) -> dict[str, int]:
    counts = dict(document["counts"])
    for one in done.results:
        counts[one.result] = counts.get(one.result, 0) + 1
    return counts


def _moved(counts: dict[str, int], happened: Any) -> dict[str, Any]:
    match happened:
        case BatchTried():
            return {"stage": Stage.DRY_RUN.value}
        case BatchApplyBegun():
            return {"stage": Stage.APPLYING.value, "done": 0, "total": counts.get(GOOD, 0)}
        case BatchApplied():
            ended = {"applied_at": iso(happened.applied_at), "undo_until": iso(happened.undo_until)}
            return {"stage": Stage.APPLIED.value, **ended}
        case BatchUndoBegun():
            return {"stage": Stage.UNDOING.value, "done": 0, "total": counts.get(APPLIED, 0)}
        case BatchDiscarded():
            return {"stage": Stage.DISCARDED.value}
        case _:
            return {"stage": Stage.UNDONE.value, "undo_until": None}


BATCHES = Projection(
    name="import_batches",
    version=1,
    keys=dict.fromkeys((*STEPS, BatchRowsDone), of_batch),
    evolve=evolve,
    indexes=("uploaded_at", "partner_id,uploaded_at"),
)


class InHandDocument(TypedDict):
    """`due_at`: since when rows wait to be worked on; None while none do."""

    batch_id: str
    due_at: str | None


def evolve_in_hand(_: InHandDocument | None, seen: Seen) -> InHandDocument:
    begun = isinstance(seen.event, BatchUploaded | BatchApplyBegun | BatchUndoBegun)
    return {"batch_id": seen.event.batch_id, "due_at": iso(seen.recorded_at) if begun else None}


BATCHES_IN_HAND = Projection(
    name=IN_HAND_MODEL,
    version=1,
    keys=dict.fromkeys(STEPS, of_batch),
    evolve=evolve_in_hand,
    indexes=("due_at",),
)


class PieceDocument(TypedDict):
    """What became of the rows of a piece, by row."""

    batch_id: str
    piece: int
    rows: list[dict[str, Any]]


def of_piece(seen: Seen) -> str:
    """The id of the piece that an event is about."""
    return piece_id(seen.event.batch_id, seen.event.piece)


def evolve_piece(document: PieceDocument | None, seen: Seen) -> PieceDocument:
    happened: BatchRowsDone = seen.event
    rows = {one["row"]: one for one in document["rows"]} if document else {}
    rows |= {one.row: plain(one) for one in happened.results}
    return {"batch_id": happened.batch_id, "piece": happened.piece, "rows": [rows[row] for row in sorted(rows)]}


BATCH_ROWS = Projection(
    name="import_rows",
    version=1,
    keys={BatchRowsDone: of_piece},
    evolve=evolve_piece,
    indexes=("batch_id,piece",),
)
PROJECTIONS = (BATCHES, BATCHES_IN_HAND, BATCH_ROWS)


# Routes


class Column(TypedDict):
    name: str
    means: str


class Columns(TypedDict):
    """The columns that a table may have, in the order of the empty one."""

    columns: list[Column]


router = APIRouter(tags=["imports"])


def bulk_of(app: Application) -> Bulk:
    """The imports of the service behind the route."""
    bulk: Bulk = app.bulk
    return bulk


@router.post("", status_code=201, openapi_extra={"requestBody": {"content": {"text/csv": {}}, "required": True}})
async def upload(
    request: Request,
    caller: Filer,
    app: App,
    kind: Annotated[str, Query(max_length=64)] = "",
    name: Annotated[str, Query(max_length=120)] = "",
) -> Response:
    """Takes a file (CSV, NDJSON, JSON, XLSX) of up to 10,000 rows and begins its dry run; nothing is carried out yet."""
    app.access.check(caller.principal, UploadBatch)
    of_kind = bulk_of(app).kind(kind)
    content = await request.body()
    shape = shape_of(request.headers.get("content-type", ""), name)
    rows = await asyncio.to_thread(read_rows, content, shape)
    _known_columns(of_kind, rows)
    batch_id = caller.new_id("import")
    pieces = list(split(rows.rows))
    await _keep(app, caller, batch_id, pieces)
    wish = UploadBatch(
        batch_id=batch_id,
        number=human_number("I", batch_id),
        kind=of_kind.name,
        file_name=name or shape,
        sha256=sha256(content),
        rows=len(rows.rows),
        pieces=len(pieces),
        asker=Asker.of(caller.principal),
        now=app.clock.now(),
    )
    answer = await perform(caller, app, UploadBatch, wish, status=201)
    answer.headers["Location"] = f"{bulk_of(app).at}/{batch_id}"
    return answer


def _known_columns(kind: BulkKind, rows: Rows) -> None:
    unknown = [name for name in rows.columns or () if name not in kind.columns]
    if unknown:
        raise FileUnreadable(f"there is no column {unknown[0]}", unknown=unknown, columns=list(kind.columns))


def split(rows: Sequence[Row]) -> Iterator[bytes]:
    """The rows as JSON lists: pieces of a hundred rows, fewer where rows are long."""
    piece: list[bytes] = []
    for row in rows:
        text = encode(row)
        if piece and (len(piece) == PIECE_ROWS or sum(map(len, piece)) + len(text) > PIECE_BYTES_MAX):
            yield b"[" + b",".join(piece) + b"]"
            piece = []
        piece.append(text)
    yield b"[" + b",".join(piece) + b"]"


async def _keep(app: Application, caller: Caller, batch_id: str, pieces: Sequence[bytes]) -> None:
    """Keeps the pieces, sealed with the batch's own key. A piece that was kept before is not kept again."""
    asked = caller.order()

    async def keep(number: int, text: bytes) -> None:
        rows = app.seal(caller.tenant, subject_of(batch_id), text.decode())
        order = Order(
            command_id=stable_id("import", batch_id, number, "keep"),
            tenant=asked.tenant,
            actor=asked.actor,
            correlation_id=asked.correlation_id,
            traceparent=asked.traceparent,
        )
        await app.executor.run(order, KeepBatchRows(batch_id=batch_id, piece=number, rows=rows))

    numbered = list(enumerate(pieces, 1))
    for start in range(0, len(numbered), KEPT_AT_ONCE):
        await asyncio.gather(*(keep(*one) for one in numbered[start : start + KEPT_AT_ONCE]))


@router.get("/columns")
@answers(Columns)
async def columns(caller: Reader, app: App, kind: Annotated[str, Query(max_length=64)] = "") -> Response:
    """The columns that a table may have, with a word on each."""
    app.access.check(caller.principal, READ_BATCHES)
    return shown({"columns": [{"name": n, "means": text} for n, text in bulk_of(app).kind(kind).columns.items()]})


@router.get("/columns/csv", response_class=Table)
async def template(caller: Reader, app: App, kind: Annotated[str, Query(max_length=64)] = "") -> Response:
    """An empty table with every column, to fill in."""
    app.access.check(caller.principal, READ_BATCHES)
    found = bulk_of(app).kind(kind)
    return table(found.name, tuple(found.columns), [])


@router.get("")
@answers(Page[ImportDocument])
@reads("import_batches")
async def batches(caller: Reader, app: App, paged: Paged) -> Response:
    """The imports, newest first: a partner's own, all of them for the vendor."""
    app.access.check(caller.principal, READ_BATCHES)
    where = {"partner_id": caller.principal.partner_ids or None}
    items, cursor = await page(caller, app, "import_batches", paged, where, "-uploaded_at")
    return listed(items, cursor)


@router.get("/{batch_id}")
@answers(ImportDocument)
@reads("import_batches")
async def batch(batch_id: Id, caller: Reader, app: App) -> Response:
    """One import: where it stands, how far it is, and how many rows came to which result."""
    app.access.check(caller.principal, READ_BATCHES)
    return shown(await app.document(caller.principal, "import_batches", batch_id))


Result = Annotated[str | None, Query(pattern="^(good|bad|applied|refused|undone|stays)$")]


@router.get("/{batch_id}/rows")
@answers(Page[RowResult])
@reads("import_rows")
async def rows(batch_id: Id, caller: Reader, app: App, paged: Paged, result: Result = None) -> Response:
    """What became of each row, in the order of the file; `result` narrows the list."""
    app.access.check(caller.principal, READ_BATCHES)
    await app.document(caller.principal, "import_batches", batch_id)
    of = f"import_rows {batch_id} {result}"
    after: int = opened_cursor(app, caller.tenant, of, paged.cursor) or 0
    found = await _rows_after(app, caller, batch_id, after, Paging(paged.limit + 1, ""), result)
    more = found[paged.limit :]
    items = found[: paged.limit]
    return listed(items, signed_cursor(app, caller.tenant, of, items[-1]["row"]) if more else None)


async def _rows_after(
    app: Application, caller: Caller, batch_id: str, after: int, paged: Paging, result: str | None
) -> list[dict[str, Any]]:
    """Rows of a batch after a row, at most the page's limit."""
    found: list[dict[str, Any]] = []
    cursor = None
    while len(found) < paged.limit:
        where = {"batch_id": batch_id}
        pieces = await app.read.find(
            "import_rows", caller.tenant, where=where, sort="piece", after=cursor, limit=PIECES_A_LOOK
        )
        every = (row for piece in pieces.items for row in piece["rows"])
        found += [row for row in every if row["row"] > after and result in (None, row["result"])]
        cursor = pieces.next_cursor
        if cursor is None:
            break
    return found[: paged.limit]


@router.get("/{batch_id}/rows/csv", response_class=Table)
@reads("import_rows")
async def rows_table(batch_id: Id, caller: Reader, app: App, result: Result = None) -> Response:
    """As `rows`, all of them as a table, a line a row."""
    app.access.check(caller.principal, READ_BATCHES)
    it = await app.document(caller.principal, "import_batches", batch_id)
    found = await _rows_after(app, caller, batch_id, 0, Paging(it["rows"], ""), result)
    names = ("row", "result", "number", "outcome", "id")
    lines = [[*(one[name] for name in names), said(one["remarks"])] for one in found]
    return table(it["number"], (*names, "remarks"), lines)


def said(remarks: Sequence[dict[str, Any]]) -> str:
    """The remarks of a row on one line."""
    return "; ".join(f"{one['column']}: {one['text']}" if one["column"] else one["text"] for one in remarks)


@router.post("/{batch_id}/apply")
async def apply(batch_id: Id, caller: Writer, app: App) -> Response:
    """Begins to carry out the rows that were good in the dry run, as the commands that they are, one by one."""
    kind = await _kind_of(app, caller, batch_id, ApplyBatch)
    app.access.check(caller.principal, kind.action)
    wish = ApplyBatch(batch_id=batch_id, asker=Asker.of(caller.principal), now=app.clock.now())
    return await perform(caller, app, ApplyBatch, wish)


@router.post("/{batch_id}/undo")
async def undo(batch_id: Id, caller: Writer, app: App) -> Response:
    """Begins to take back what the rows made, the last one first, within thirty days; what stays says why."""
    await _kind_of(app, caller, batch_id, UndoBatch)
    wish = UndoBatch(batch_id=batch_id, asker=Asker.of(caller.principal), now=app.clock.now())
    return await perform(caller, app, UndoBatch, wish)


@router.post("/{batch_id}/discard")
async def discard(batch_id: Id, caller: Writer, app: App) -> Response:
    """Throws away an import that was tried and not applied; nobody can read its rows any more."""
    await _kind_of(app, caller, batch_id, DiscardBatch)
    wish = DiscardBatch(batch_id=batch_id, asker=Asker.of(caller.principal), now=app.clock.now())
    return await perform(caller, app, DiscardBatch, wish)


async def _kind_of(app: Application, caller: Caller, batch_id: str, action: type[Any]) -> BulkKind:
    """The kind of a batch. Another partner's is not found, as one that never was."""
    app.access.check(caller.principal, action)
    batch: Batch = await app.executor.peek(caller.tenant)(Batches.at(batch_id))
    app.access.check(caller.principal, action, batch.first.partner_id or "")
    return bulk_of(app).kind(batch.first.kind)
