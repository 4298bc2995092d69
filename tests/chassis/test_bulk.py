"""Bulk imports: what a batch may do when, and how files of rows are read."""

import io
import zipfile
from datetime import UTC, datetime, timedelta
from typing import Any

import openpyxl
import pytest

from chassis import bulk_api
from chassis.bulk import (
    APPLY,
    TRY,
    UNDO,
    ApplyBatch,
    Asker,
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
    NothingToApply,
    Pieces,
    RowResult,
    UndoBatch,
    UndoClosed,
    piece_id,
)
from chassis.bulk_api import PROJECTIONS, split
from chassis.bulk_file import FileUnreadable, Row, TooManyRows, read_rows, shape_of
from chassis.decider import NotFound, WrongState
from chassis.testing.kit import When, given
from chassis.testing.projections import assert_repeatable, told

NOW = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
ASKER = Asker(subject="seller-1", kind="partner", partner_id="p1", roles=("seller",))
UPLOADED = BatchUploaded(
    batch_id="b",
    number="I-1",
    kind="deals",
    file_name="deals.csv",
    sha256="0" * 64,
    rows=2,
    pieces=1,
    partner_id="p1",
    asker=ASKER,
    uploaded_at=NOW,
)
TRIED = BatchTried(batch_id="b", counts={"good": 1, "bad": 1}, tried_at=NOW)
APPLYING = BatchApplyBegun(batch_id="b", asker=ASKER, begun_at=NOW)
APPLIED = BatchApplied(batch_id="b", counts={"applied": 1}, applied_at=NOW, undo_until=NOW + timedelta(days=30))
UNDOING = BatchUndoBegun(batch_id="b", asker=ASKER, begun_at=NOW)
DISCARDED = BatchDiscarded(batch_id="b", asker=ASKER, discarded_at=NOW)
UNDONE = BatchUndone(batch_id="b", counts={"undone": 1}, undone_at=NOW)


HANDLES = {one.command: one for one in bulk_api.HANDLES}
SEQUENCE = (UPLOADED, TRIED, APPLYING, APPLIED, UNDOING, UNDONE)


def when(wish: Any, happened: int) -> When:
    """Decides a wish after so many steps in the life of a batch."""
    return given(HANDLES[type(wish)], (Batches.at("b"), SEQUENCE[:happened])).when(wish)


def asks(wish: type[Any], now: datetime = NOW) -> Any:
    return wish(batch_id="b", asker=ASKER, now=now)


def finish(step: str, **counts: int) -> FinishBatchStep:
    return FinishBatchStep(batch_id="b", step=step, counts=counts, now=NOW)


# The life of a batch


def test_a_batch_is_tried_applied_and_undone() -> None:
    when(finish(TRY, good=1, bad=1), 1).then([TRIED])
    when(asks(ApplyBatch), 2).then([APPLYING])
    when(finish(APPLY, applied=1), 3).then([APPLIED])
    when(asks(UndoBatch), 4).then([UNDOING])
    when(finish(UNDO, undone=1), 5).then([UNDONE])


def test_a_step_ends_once() -> None:
    when(finish(TRY, good=1), 2).then_nothing()


@pytest.mark.parametrize("happened", [1, 3, 4, 5, 6])
def test_only_what_was_tried_is_applied(happened: int) -> None:
    when(asks(ApplyBatch), happened).refused(WrongState)


@pytest.mark.parametrize("happened", [1, 2, 3, 5, 6])
def test_only_what_was_applied_is_undone(happened: int) -> None:
    when(asks(UndoBatch), happened).refused(WrongState)


@pytest.mark.parametrize("happened", [1, 3, 4, 5, 6])
def test_only_what_was_tried_is_discarded(happened: int) -> None:
    when(asks(DiscardBatch), 2).then([DISCARDED])
    when(asks(DiscardBatch), happened).refused(WrongState)


@pytest.mark.parametrize("wish", [ApplyBatch, UndoBatch])
def test_what_was_discarded_is_neither_applied_nor_undone_and_discarding_twice_is_once(wish: type[Any]) -> None:
    history = (Batches.at("b"), [UPLOADED, TRIED, DISCARDED])
    given(HANDLES[wish], history).when(asks(wish)).refused(WrongState)
    given(HANDLES[DiscardBatch], history).when(asks(DiscardBatch)).then_nothing()


def test_a_file_without_a_good_row_is_not_applied() -> None:
    none = BatchTried(batch_id="b", counts={"bad": 2}, tried_at=NOW)
    wish = asks(ApplyBatch)
    given(HANDLES[ApplyBatch], (Batches.at("b"), [UPLOADED, none])).when(wish).refused(NothingToApply)


def test_what_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        when(asks(ApplyBatch), 0)


def test_an_import_is_taken_back_within_thirty_days() -> None:
    last = NOW + timedelta(days=30)
    when(asks(UndoBatch, last), 4).then([BatchUndoBegun(batch_id="b", asker=ASKER, begun_at=last)])
    when(asks(UndoBatch, last + timedelta(seconds=1)), 4).refused(UndoClosed)


def test_what_became_of_a_piece_is_written_down_once_a_step() -> None:
    results = (RowResult(row=2, result="good"),)
    wish = FinishBatchRows(batch_id="b", piece=1, step=TRY, results=results, now=NOW)
    done = BatchRowsDone(batch_id="b", piece=1, step=TRY, results=results, done_at=NOW)
    handles = HANDLES[FinishBatchRows]
    given(handles).when(wish).then([done])
    given(handles, (Pieces.at(piece_id("b", 1)), [done])).when(wish).then_nothing()


def test_the_read_models_take_everything_twice() -> None:
    rows = [
        BatchRowsDone(batch_id="b", piece=1, step=step, results=(RowResult(row=2, result=result),), done_at=NOW)
        for step, result in ((TRY, "good"), (APPLY, "applied"), (UNDO, "undone"))
    ]
    happened = told(UPLOADED, rows[0], TRIED, APPLYING, rows[1], APPLIED, UNDOING, rows[2], UNDONE)
    for projection in PROJECTIONS:
        assert_repeatable(projection, happened)
        assert_repeatable(projection, told(UPLOADED, rows[0], TRIED, DISCARDED))


# Files


def workbook(*rows: list[Any]) -> bytes:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


TABLE = b'Customer,Country,close on\nContoso,DE,2026-03-31\n\n,,\n"Fabrikam, Inc.",US,\n'
ROWS = [
    (2, {"customer": "Contoso", "country": "DE", "close_on": "2026-03-31"}),
    (5, {"customer": "Fabrikam, Inc.", "country": "US"}),
]


def numbered(rows: list[Row]) -> list[tuple[int, dict[str, Any]]]:
    return [(one.row, one.values) for one in rows]


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ("csv", TABLE),
        ("csv", b"\xef\xbb\xbf" + TABLE),
        ("csv", TABLE.decode().encode("utf-16")),
        ("csv", TABLE.replace(b"Fabrikam, Inc.", b"Fabrikam# Inc.").replace(b",", b";").replace(b"#", b",")),
        (
            "xlsx",
            workbook(
                ["Customer", "Country", "close on"],
                ["Contoso", "DE", datetime(2026, 3, 31)],  # noqa: DTZ001  a workbook's dates have no zone
                [],
                [None, " "],
                ["Fabrikam, Inc.", "US"],
            ),
        ),
    ],
    ids=["csv", "csv with a mark", "csv in utf-16", "csv with semicolons", "xlsx"],
)
def test_a_table_is_read_by_its_header_and_rows_keep_their_numbers(shape: str, content: bytes) -> None:
    found = read_rows(content, shape)
    assert ("customer", "country", "close_on") == found.columns
    assert ROWS == numbered(found.rows)


def test_numbers_of_a_workbook_are_written_as_one_types_them() -> None:
    found = read_rows(workbook(["a", "b", "c", "d"], [50_000, 0.1, 1e21, True]), "xlsx")
    assert [(2, {"a": "50000", "b": "0.1", "c": "1000000000000000000000", "d": "yes"})] == numbered(found.rows)


def test_a_formula_is_no_value() -> None:
    (row,) = read_rows(workbook(["a", "b"], ["x", "=1+1"]), "xlsx").rows
    assert {"a": "x"} == row.values
    assert [("b", "formula")] == [(one.column, one.code) for one in row.remarks]


def test_a_line_that_is_no_json_says_so_and_the_others_count() -> None:
    found = read_rows(b'{"a":1}\n{"a":\n[1]\n\n{"a":"\\u0000"}\n{"a":2}', "ndjson").rows
    assert [(1, []), (2, ["invalid"]), (3, ["invalid"]), (5, ["invalid"]), (6, [])] == [
        (one.row, [remark.code for remark in one.remarks]) for one in found
    ]


def test_the_same_row_twice_is_one_row() -> None:
    found = read_rows(b'[{"a":1,"b":2},{"b":2,"a":1},{"a":2}]', "json").rows
    assert [[], ["same-row"], []] == [[remark.code for remark in one.remarks] for one in found]


def test_a_row_with_more_cells_than_columns_and_one_that_is_too_long_are_not_carried_out() -> None:
    long = "x" * (65 << 10)
    over, large = read_rows(f"a,b\n1,2,3\n1,{long}\n".encode(), "csv").rows
    assert ["too-many-cells"] == [one.code for one in over.remarks]
    assert (["too-large"], {}) == ([one.code for one in large.remarks], large.values)


@pytest.mark.parametrize(
    ("shape", "content"),
    [
        ("csv", b"a,a\n1,2\n"),
        ("csv", b"a,,b\n1,2,3\n"),
        ("csv", b"caf\xe9\n1\n"),
        ("csv", b'a\n"1\n'),
        ("csv", b"a,b\n"),
        ("json", b'{"a":1}'),
        ("json", b"[1"),
        ("xlsx", b"PK no archive"),
        ("xlsx", b""),
    ],
)
def test_what_cannot_be_read_as_a_whole_is_refused(shape: str, content: bytes) -> None:
    with pytest.raises(FileUnreadable):
        read_rows(content, shape)


def test_a_damaged_workbook_is_refused() -> None:
    whole = zipfile.ZipFile(io.BytesIO(workbook(["a"], [1])))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as damaged:
        for name in whole.namelist():
            damaged.writestr(name, whole.read(name)[:-20] if name.startswith("xl/worksheets") else whole.read(name))
    with pytest.raises(FileUnreadable):
        read_rows(out.getvalue(), "xlsx")


def test_what_unpacks_to_too_much_is_refused_before_it_is_unpacked() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("xl/sharedStrings.xml", b"\0" * (51 << 20))
    assert len(out.getvalue()) < 100_000
    with pytest.raises(FileUnreadable, match="too large when unpacked"):
        read_rows(out.getvalue(), "xlsx")


@pytest.mark.parametrize("shape", ["csv", "ndjson", "json"])
def test_ten_thousand_rows_are_taken_and_one_more_is_not(shape: str) -> None:
    def content(count: int) -> bytes:
        rows = [f'{{"a":{n}}}' for n in range(count)]
        texts = {
            "csv": "a\n" + "\n".join(map(str, range(count))),
            "ndjson": "\n".join(rows),
            "json": f"[{','.join(rows)}]",
        }
        return texts[shape].encode()

    assert 10_000 == len(read_rows(content(10_000), shape).rows)
    with pytest.raises(TooManyRows):
        read_rows(content(10_001), shape)


@pytest.mark.parametrize("shape", ["csv", "ndjson"])
def test_empty_rows_are_looked_at_up_to_a_hundred_thousand(shape: str) -> None:
    row = {"csv": b"a\n1\n", "ndjson": b'{"a":1}\n'}[shape]
    assert 1 == len(read_rows(row + b"\n" * 99_998, shape).rows)
    with pytest.raises(TooManyRows, match="delete the empty ones"):
        read_rows(row + b"\n" * (20 << 20), shape)


def test_pieces_hold_a_hundred_rows_and_fewer_where_rows_are_long() -> None:
    short = [Row(row=n, values={"a": "x"}) for n in range(250)]
    assert [100, 100, 50] == [piece.count(b'"row"') for piece in split(short)]
    long = [Row(row=n, values={"a": "x" * (60 << 10)}) for n in range(9)]
    assert [4, 4, 1] == [piece.count(b'"row"') for piece in split(long)]


@pytest.mark.parametrize(
    ("media_type", "name", "shape"),
    [
        ("text/csv; charset=utf-8", "", "csv"),
        ("application/octet-stream", "Deals.XLSX", "xlsx"),
        ("", "deals.jsonl", "ndjson"),
        ("application/json", "deals.csv", "json"),
    ],
)
def test_a_files_shape_is_its_media_type_or_its_ending(media_type: str, name: str, shape: str) -> None:
    assert shape == shape_of(media_type, name)


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(FileUnreadable):
        shape_of("application/pdf", "deals.pdf")
