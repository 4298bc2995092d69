"""Tables for spreadsheets: nothing in them is a formula."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import Response

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def table(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """Rows as a CSV file of that name."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(columns)
    writer.writerows([[neutral(value) for value in row] for row in rows])
    disposition = f'attachment; filename="{name}.csv"'
    return Response(out.getvalue(), media_type="text/csv", headers={"Content-Disposition": disposition})


def neutral(value: Any) -> str:
    """A cell that no spreadsheet carries out: what looks like a formula gets an apostrophe; numbers stay numbers."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text
