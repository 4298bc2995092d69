"""Files to take away: tables for spreadsheets, in which nothing is a formula, and the ledger for accounting tools."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response

from chassis.decider import Invalid
from chassis.http import App, Day, Reader, reads
from chassis.read_store.port import PAGE_MAX, Range
from services.incentives.access import READ_EARNINGS, READ_LEDGER
from services.incentives.adapters.ledger_files import COLUMNS, beancount, table_rows
from services.incentives.api.earnings import LineFilter, own

NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
EXPORT_MAX = 50_000
LINE_COLUMNS = (
    "line_id",
    "partner_id",
    "payee_id",
    "kind",
    "plan_id",
    "plan_version",
    "opportunity_id",
    "registration_id",
    "credited_on",
    "earned_on",
    "payable_on",
    "paid_on",
    "state",
    "currency",
)
AMOUNTS = ("amount", "reversed", "remaining")

router = APIRouter(tags=["exports"])


class Table(Response):
    """Rows with commas between their cells."""

    media_type = "text/csv"


class ExportTooLong(Invalid):
    """There is more than one file can hold: name a shorter time, or narrow the list."""

    slug = "export-too-long"


@router.get("/lines/csv", response_class=Table)
@reads("earnings")
async def lines_table(caller: Reader, app: App, narrowed: LineFilter) -> Response:
    """Earning lines as a table, newest first; a partner's own only."""
    app.access.check(caller.principal, READ_EARNINGS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"])}
    found = await _all(app, caller, "earnings", where, "-earned_on")
    rows = [[line[name] for name in LINE_COLUMNS] + [line[name]["amount"] for name in AMOUNTS] for line in found]
    return table("lines", (*LINE_COLUMNS, *AMOUNTS), rows)


@router.get("/ledger/export", response_class=Table, responses={200: {"content": {"text/plain": {}}}})
@reads("ledger")
async def ledger_file(
    caller: Reader,
    app: App,
    shape: Annotated[Literal["csv", "beancount"], Query(alias="format")] = "csv",
    since: Day | None = None,
    until: Day | None = None,
) -> Response:
    """The journals that were booked from a day to another, both included: a table, or for plain-text accounting."""
    app.access.check(caller.principal, READ_LEDGER)
    first = since.isoformat() if since else None
    after = (until + timedelta(days=1)).isoformat() if until else None
    where = {"booked_on": Range(at_least=first, below=after)} if first or after else {}
    journals = sorted(await _all(app, caller, "ledger", where, "booked_on"), key=lambda one: int(one["position"]))
    if shape == "csv":
        return table("ledger", COLUMNS, table_rows(journals))
    return _file("ledger.beancount", beancount(journals), "text/plain; charset=utf-8")


async def _all(app: App, caller: Reader, model: str, where: dict[str, Any], sort: str) -> list[dict[str, Any]]:
    """Every document of a question. Raises ExportTooLong beyond what one file holds."""
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
    writer.writerow(columns)
    writer.writerows([[neutral(value) for value in row] for row in rows])
    return _file(f"{name}.csv", out.getvalue(), "text/csv")


def _file(name: str, text: str, media_type: str) -> Response:
    return Response(text, media_type=media_type, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def neutral(value: Any) -> str:
    """A cell that no spreadsheet carries out: what looks like a formula gets an apostrophe; numbers stay numbers."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not NUMBER.fullmatch(text) else text
