"""Files to take away: tables for spreadsheets, in which nothing is a formula, and the ledger for accounting tools."""

from datetime import date, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from chassis.http import App, BadRequest, Day, Reader, reads
from chassis.read_store.port import Range
from chassis.tables import Table, download, every, table
from services.incentives.access import READ_EARNINGS, READ_LEDGER
from services.incentives.adapters.ledger_files import COLUMNS, beancount, plain_ledger, table_rows
from services.incentives.api.earnings import LineFilter, own
from services.incentives.api.narrowing import Month
from services.incentives.application.books import with_months
from services.incentives.domain.books import AllBooks, Books, month_after, month_before

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


@router.get("/lines/csv", response_class=Table)
@reads("earnings")
async def lines_table(caller: Reader, app: App, narrowed: LineFilter) -> Response:
    """Earning lines as a table, newest first; a partner's own only."""
    app.access.check(caller.principal, READ_EARNINGS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"])}
    found = await every(app, caller, "earnings", where, "-earned_on")
    rows = [[line[name] for name in LINE_COLUMNS] + [line[name]["amount"] for name in AMOUNTS] for line in found]
    return table("lines", (*LINE_COLUMNS, *AMOUNTS), rows)


@router.get("/ledger/export", response_class=Table, responses={200: {"content": {"text/plain": {}}}})
@reads("ledger")
async def ledger_file(
    caller: Reader,
    app: App,
    shape: Annotated[Literal["csv", "beancount", "ledger"], Query(alias="format")] = "csv",
    since: Day | None = None,
    until: Day | None = None,
    month: Month = None,
) -> Response:
    """The journals that were booked from a day to another, both included: a table, or for plain-text accounting.

    With `month` those that count in it: what its books, once it is closed, sum up.
    """
    app.access.check(caller.principal, READ_LEDGER)
    if month and (since or until):
        raise BadRequest("name a month, or the days from and to which something was booked")
    asked = await _of_month(app, caller, month) if month else [_booked(since, until)]
    found = [one for where in asked for one in await every(app, caller, "ledger", where, "booked_on")]
    known = await with_months(app.executor.peek(caller.tenant), sorted(found, key=lambda one: int(one["position"])))
    journals = [one for one in known if month in (None, one["counts_in"])]
    if shape == "csv":
        return table("ledger", COLUMNS, table_rows(journals))
    text = beancount(journals) if shape == "beancount" else plain_ledger(journals)
    return download(f"ledger.{shape}", text, "text/plain; charset=utf-8")


def _booked(since: date | None, until: date | None) -> dict[str, Range]:
    first = since.isoformat() if since else None
    after = (until + timedelta(days=1)).isoformat() if until else None
    return {"booked_on": Range(at_least=first, below=after)} if first or after else {}


async def _of_month(app: App, caller: Reader, month: str) -> list[dict[str, Range]]:
    """What can count in a month: what was booked on its days, or before them once the month before was closed."""
    first = f"{month}-01"
    before: Books = await app.executor.peek(caller.tenant)(AllBooks.at(month_before(month)))
    late = (
        [{"booked_on": Range(below=first), "position": Range(at_least=before.closed.position + 1)}]
        if before.closed
        else []
    )
    return [{"booked_on": Range(at_least=first, below=f"{month_after(month)}-01")}, *late]
