"""Files of rows as people keep them: CSV, one JSON object a line, a JSON list, and the first sheet of an XLSX workbook.

What cannot be read as a whole is refused; a row that cannot be read is kept with a remark, and the others count.
Limits are judged before anything is unpacked.
"""

import csv
import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from xml.etree.ElementTree import ParseError

import orjson

from chassis.bulk import ROWS_MAX, Remark
from chassis.decider import Problem
from chassis.event import canonical_json, frozen, sha256
from chassis.http import BadRequest, Unreadable, parse

FILE_BYTES_MAX = 20 << 20
ROW_BYTES_MAX = 64 << 10
COLUMNS_MAX = 100
UNPACKED_BYTES_MAX = 50 << 20
"""What a workbook may come to unpacked; a part never unpacks to more than its entry in the archive says."""
PARTS_MAX = 1_000
LOOKED_AT_MAX = 100_000
"""Rows of a file that are looked at, the empty ones too."""
DAMAGE = (LookupError, ValueError, TypeError, AttributeError, ArithmeticError, EOFError, OSError, RuntimeError)
"""In what a damaged workbook ends the library, by the part that is damaged."""
CSV, LINES, JSON, XLSX = "csv", "ndjson", "json", "xlsx"
MEDIA_TYPES = {
    "text/csv": CSV,
    "application/csv": CSV,
    "application/x-ndjson": LINES,
    "application/jsonl": LINES,
    "application/json": JSON,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": XLSX,
}
HEADER_ROW = 1
T = TypeVar("T")


class FileUnreadable(Problem):
    """The file cannot be read: send CSV in UTF-8, one JSON object a line, a JSON list, or an XLSX workbook."""

    status = 422
    slug = "file-unreadable"


class TooManyRows(Problem):
    """The file has more rows than one import takes: split it."""

    status = 422
    slug = "too-many-rows"


@frozen
class Row:
    """A row as it was given. `row` is its number in the file: the header of a table is row 1, a list begins with 1."""

    row: int
    values: dict[str, Any]
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True)
class Rows:
    """The rows of a file, and the columns of a table; None where each row names its own."""

    rows: list[Row]
    columns: tuple[str, ...] | None = None


def shape_of(media_type: str, file_name: str) -> str:
    """How a file is written, by its media type, else by its name. Raises FileUnreadable for what is none of ours."""
    known = MEDIA_TYPES.get(media_type.partition(";")[0].strip().lower())
    ending = file_name.rpartition(".")[2].lower()
    by_name = LINES if ending == "jsonl" else ending
    if known is None and by_name in MEDIA_TYPES.values():
        return by_name
    if known is None:
        raise FileUnreadable
    return known


def read_rows(content: bytes, shape: str) -> Rows:
    """The rows of a file. Raises FileUnreadable, TooManyRows. It takes a second for 10,000 rows: call it in a thread."""
    found = {CSV: _csv, LINES: _lines, JSON: _list, XLSX: _xlsx}[shape](content)
    rows = list(_bounded(found.rows))
    if not rows:
        raise FileUnreadable("the file holds no row")
    return Rows([_judged(one) for one in _told_apart(rows)], found.columns)


def _bounded(rows: Iterable[Row]) -> Iterator[Row]:
    for count, row in enumerate(rows, 1):
        if count > ROWS_MAX:
            raise TooManyRows(limit_rows=ROWS_MAX)
        yield row


def _told_apart(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows, with a remark at each that says what one before it says."""
    seen: dict[str, int] = {}
    for row in rows:
        first = seen.setdefault(sha256(canonical_json(row.values)), row.row) if row.values else row.row
        same = Remark(code="same-row", text=f"it says the same as row {first}")
        yield row if first == row.row else replace(row, remarks=(*row.remarks, same))


def _judged(row: Row) -> Row:
    """The row, emptied where it cannot be kept."""
    text = orjson.dumps(row.values)
    if len(text) > ROW_BYTES_MAX:
        return replace(row, values={}, remarks=(Remark(code="too-large", text="a row takes 64 KiB at most"),))
    if b"\\u0000" in text:
        return replace(row, values={}, remarks=(Remark(code="invalid", text="text must not hold null characters"),))
    return row


# Tables


def _table(records: Iterable[Sequence[Any]]) -> Rows:
    """Rows by the names in the header; empty cells and empty rows count for nothing."""
    lines = _looked_at(records)
    columns = [_column(cell) for cell in next(lines, ())]
    while columns and not columns[-1]:
        columns.pop()
    if not columns or not all(columns) or len(columns) > COLUMNS_MAX:
        raise FileUnreadable(f"the first row names the columns, {COLUMNS_MAX} at most", limit_columns=COLUMNS_MAX)
    twice = next((name for name in columns if columns.count(name) > 1), None)
    if twice:
        raise FileUnreadable(f"two columns are called {twice}", column=twice)
    made = (_named(columns, cells, row) for row, cells in enumerate(lines, HEADER_ROW + 1))
    return Rows(list(_bounded(one for one in made if one)), tuple(columns))


def _looked_at(rows: Iterable[T]) -> Iterator[T]:
    """The rows, as long as they are not too many with those that are empty."""
    for count, row in enumerate(rows, 1):
        if count > LOOKED_AT_MAX:
            raise TooManyRows(f"the file goes on for more than {LOOKED_AT_MAX:,} rows: delete the empty ones")
        yield row


def _column(cell: Any) -> str:
    return str(cell or "").strip().lower().replace(" ", "_")


def _named(columns: Sequence[str], cells: Sequence[Any], row: int) -> Row | None:
    cells = list(cells)
    over = any(_text(cell) for cell in cells[len(columns) :])
    values = {name: text for name, cell in zip(columns, cells, strict=False) if (text := _text(cell))}
    formulas = [name for name, cell in zip(columns, cells, strict=False) if isinstance(cell, Formula)]
    remarks = [Remark(column=name, code="formula", text="a formula is no value: paste its result") for name in formulas]
    if over:
        remarks.append(Remark(code="too-many-cells", text="the row has more cells than there are columns"))
    return Row(row=row, values=values, remarks=tuple(remarks)) if values or remarks else None


class Formula:
    """A cell that a spreadsheet would reckon; its text is not kept."""


def _text(cell: Any) -> str:
    """A cell as one would type it: dates as 2026-03-31, numbers without exponents."""
    match cell:
        case None | Formula():
            return ""
        case bool():
            return "yes" if cell else "no"
        case datetime():
            return cell.date().isoformat()
        case date():
            return cell.isoformat()
        case float():
            return f"{Decimal(str(cell)).normalize():f}"
        case _:
            return str(cell).strip()


def _csv(content: bytes) -> Rows:
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnreadable("the file is not in UTF-8: save it as “CSV UTF-8”") from error
    header = text[:ROW_BYTES_MAX].partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    try:
        return _table(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise FileUnreadable(f"the file is not CSV: {error}") from error


# JSON


def _lines(content: bytes) -> Rows:
    numbered = _looked_at(enumerate(io.BytesIO(content), 1))
    return Rows(list(_bounded(_line(row, line) for row, line in numbered if line.strip())))


def _line(row: int, line: bytes) -> Row:
    try:
        return _object(row, parse(line))
    except (BadRequest, Unreadable) as error:
        return Row(row=row, values={}, remarks=(Remark(code="invalid", text=error.detail),))


def _list(content: bytes) -> Rows:
    try:
        found = parse(content)
    except (BadRequest, Unreadable) as error:
        raise FileUnreadable(error.detail) from error
    if not isinstance(found, list):
        raise FileUnreadable("the file is not a JSON list")
    return Rows(list(_bounded(_object(row, value) for row, value in enumerate(found, 1))))


def _object(row: int, value: Any) -> Row:
    if isinstance(value, dict):
        return Row(row=row, values=value)
    return Row(row=row, values={}, remarks=(Remark(code="invalid", text="a row is a JSON object"),))


# Workbooks


def _xlsx(content: bytes) -> Rows:
    import openpyxl  # imported only where it is used: 150 ms

    _no_bomb(content)
    try:
        book = openpyxl.load_workbook(io.BytesIO(content), read_only=True, data_only=False, keep_links=False)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # what a workbook says of its own size is not believed
        # One column more than a table may have, so that too many are seen and no more are read.
        return _table([_cell(one) for one in cells] for cells in sheet.iter_rows(max_col=COLUMNS_MAX + 1))
    except (*DAMAGE, ParseError, zipfile.BadZipFile, zlib.error) as error:
        raise FileUnreadable("the workbook is damaged") from error


def _cell(cell: Any) -> Any:
    return Formula() if cell.data_type == "f" else cell.value


def _no_bomb(content: bytes) -> None:
    """Raises FileUnreadable for an archive that would unpack to more than a workbook comes to."""
    try:
        parts = zipfile.ZipFile(io.BytesIO(content)).infolist()
    except zipfile.BadZipFile as error:
        raise FileUnreadable("the file is no XLSX workbook") from error
    if len(parts) > PARTS_MAX or sum(part.file_size for part in parts) > UNPACKED_BYTES_MAX:
        raise FileUnreadable("the workbook is too large when unpacked", limit_bytes=UNPACKED_BYTES_MAX)
