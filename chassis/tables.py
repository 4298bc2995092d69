"""Lists to take away: tables for spreadsheets, in which nothing is a formula, made of all documents of a question."""

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fastapi import Response

from chassis.application import Application
from chassis.decider import Problem
from chassis.http import Caller
from chassis.read_store.port import PAGE_MAX

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")  # noqa: RUF001  a sheet in an eastern language reads wide signs as their narrow ones
EXPORT_MAX = 50_000


class Table(Response):
    """Rows with commas between their cells."""

    media_type = "text/csv"


class ExportTooLong(Problem):
    """There is more than one file can hold: name a shorter time, or narrow the list."""

    status = 422
    slug = "export-too-long"


async def every(
    app: Application, caller: Caller, model: str, where: Mapping[str, Any], sort: str
) -> list[dict[str, Any]]:
    """Every document of a question; filters that are None are left out. Raises ExportTooLong beyond one file."""
    named = {name: value for name, value in where.items() if value is not None}
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await app.read.find(model, caller.tenant, where=named, sort=sort, after=cursor, limit=PAGE_MAX)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found
        if len(found) >= EXPORT_MAX:
            raise ExportTooLong(rows_max=EXPORT_MAX)


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """Rows as a CSV file of that name."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([[neutral(value) for value in row] for row in (columns, *rows)])
    return download(f"{name}.csv", out.getvalue(), "text/csv")


def download(name: str, text: str, media_type: str) -> Response:
    """A file that a browser keeps instead of showing it."""
    return Response(text, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def cell(value: Any) -> Any:
    """A list on one line; anything else as it is."""
    return "; ".join(map(str, value)) if isinstance(value, list | tuple) else value


def neutral(value: Any) -> str:
    """A cell that no spreadsheet carries out: what looks like a formula gets an apostrophe; numbers stay numbers."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text
