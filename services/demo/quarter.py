"""Loads a quarter: the cast joins, then thirteen weeks pass day by day, and two more until the last month is paid."""

from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from chassis.asgi import Api
from services import first_run
from services.demo import cast
from services.demo.calendar import DEALS, FRIDAY, THURSDAY, TUESDAY, Quarter
from services.demo.funding import funds_day
from services.demo.leading import LEADS, leads_day, leads_settled, words_day
from services.demo.office import Crm, Office, Told, until
from services.demo.paying import finance_day, month_to_close, papers_day
from services.demo.registering import desk_afternoon, desk_day, partners_day
from services.demo.selling import sales_day
from services.demo.story import WEEKS, WEEKS_AFTER, Size, Story, told

PARTNERS = "/v1/onboarding/partners"
SUSPENSION_WEEK = 9
OPENING_HOUR, AFTERNOON_HOUR = time(8, tzinfo=UTC), time(12, tzinfo=UTC)
COLUMNS = (TextColumn("{task.description:<34}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())


async def load(api: Api, crm_url: str, connection_id: str, size: Size, console: Console) -> None:
    """Loads the story of a size with a progress bar. What was loaded before stays; a run that was cut off goes on."""
    story = told(size)
    async with Crm(crm_url) as crm:
        office = Office(api, crm, connection_id, size.story)
        with Progress(*COLUMNS, console=console) as progress:
            quarter = await joined(office, story, progress)
            await _pass(quarter, progress)
        console.print(await summary(office))


async def joined(office: Office, story: Story, progress: Progress) -> Quarter:
    """The cast in place. The quarter begins on the first Monday of the month after the first of them joined."""
    new = len(story.partners) - len(first_run.PARTNERS)
    await cast.join(office, story, _counter(progress, progress.add_task("Partners join", total=new)))
    rows = {row["profile"]["legal_name"]: row for row in await office.rows("ada", PARTNERS)}
    first = rows[story.partners[-1].name]
    begins = first_monday_after(datetime.fromisoformat(first["applied_at"]).date())
    quarter = Quarter(office, story, begins, {name: row["partner_id"] for name, row in rows.items()})
    await quarter.recall()
    return quarter


def first_monday_after(day: date) -> date:
    """The first Monday of the next month."""
    first = (day.replace(day=1) + timedelta(days=31)).replace(day=1)
    return first + timedelta(days=-first.weekday() % 7)


def _counter(progress: Progress, task: TaskID) -> Told:
    return lambda: progress.advance(task)


async def _pass(quarter: Quarter, progress: Progress) -> None:
    deals = progress.add_task("Deals are registered", total=len(quarter.story.deals), completed=len(quarter.known))
    weeks = progress.add_task("", total=WEEKS + WEEKS_AFTER)
    for week in range(1, WEEKS + WEEKS_AFTER + 1):
        monday = quarter.day(week, 0)
        progress.update(weeks, description=f"Week {week}, {monday:%d %B %Y}", completed=week - 1)
        await pass_week(quarter, week, _counter(progress, deals))
    await until(lambda: _expired(quarter))
    await until(lambda: leads_settled(quarter))
    await quarter.office.quiet()
    progress.update(weeks, description="The quarter is over", completed=WEEKS + WEEKS_AFTER)


async def pass_week(quarter: Quarter, week: int, told: Told) -> None:
    """One week, from Tuesday to Friday."""
    if week == SUSPENSION_WEEK:
        await cast.suspend(quarter.office, quarter.story, quarter.ids)
    await _on(quarter, week, TUESDAY, lambda: _tuesday(quarter, week, told))
    await _on(quarter, week, TUESDAY, lambda: desk_afternoon(quarter, week), AFTERNOON_HOUR)
    await _on(quarter, week, THURSDAY, lambda: _thursday(quarter, week))
    await _on(quarter, week, FRIDAY, lambda: sales_day(quarter, week))


async def _tuesday(quarter: Quarter, week: int, told: Told) -> None:
    await partners_day(quarter, week, told)
    await leads_day(quarter, week)


async def _thursday(quarter: Quarter, week: int) -> None:
    await desk_day(quarter, week)
    await words_day(quarter, week)
    await funds_day(quarter, week)
    await papers_day(quarter, week)
    if period := month_to_close(quarter, quarter.day(week, THURSDAY)):
        await finance_day(quarter, period)


async def _on(
    quarter: Quarter, week: int, weekday: int, work: Callable[[], Awaitable[None]], hour: time = OPENING_HOUR
) -> None:
    """Does a day's work on its day. A day that is over was done before; one that has begun is done again."""
    day, now = quarter.day(week, weekday), await quarter.office.now()
    if now.date() > day:
        return
    begins = datetime.combine(day, hour)
    if now < begins:
        await quarter.office.move(begins)
    await work()


async def _expired(quarter: Quarter) -> bool:
    """Whether no protection stands whose time is over."""
    rows = (await quarter.office.read("dora", f"{DEALS}?status=approved&sort=protection_ends_at&limit=1"))["items"]
    now = await quarter.office.now()
    return not rows or datetime.fromisoformat(rows[0]["protection_ends_at"]) > now


async def summary(office: Office) -> Table:
    """What there is now, as the API counts it, and where to look."""
    table = Table("", "", box=None, show_header=False)
    for title, name, path, field in COUNTED:
        counts = Counter(str(row[field]).replace("_", " ") for row in await office.rows(name, path))
        shown = ", ".join(f"{count} {value}" for value, count in counts.most_common())
        table.add_row(f"[bold]{title}[/bold]", f"{counts.total()}", shown)
    for trial in (await office.read("finn", "/v1/incentives/ledger/balances?limit=1"))["trial_balance"]:
        table.add_row("[bold]Ledger[/bold]", trial["currency"], f"{trial['journals']} journals, sum {trial['total']}")
    table.add_row("[bold]Next[/bold]", "", NEXT)
    return table


NEXT = "start the system (make run) and sign in as dora for reviews, finn for money, faye for funds, northwind as a partner"
COUNTED = (
    ("Partners", "ada", PARTNERS, "status"),
    ("Deals", "ada", DEALS, "status"),
    ("Leads", "ada", LEADS, "status"),
    ("Sales", "ada", "/v1/attribution/opportunities", "stage"),
    ("Payout lines", "finn", "/v1/incentives/lines", "state"),
    ("Fund requests", "faye", "/v1/incentives/fund-requests", "state"),
    ("Statements", "finn", "/v1/incentives/statements", "period"),
    ("Payments", "finn", "/v1/incentives/payments", "state"),
)
