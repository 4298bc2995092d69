"""The books over HTTP: rates of exchange, closing a month, what is owed, budgets."""

from datetime import UTC, date
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.event import iso
from chassis.execution import Peek
from chassis.http import App, BadRequest, Body, Day, Instant, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import Range
from contracts.values import Money, money
from services.incentives.access import READ_LEDGER
from services.incentives.api.narrowing import Currency, Filter, Sort, sorted_by
from services.incentives.application.answers import BudgetAnswer
from services.incentives.application.books import Remittance, close_of, remittance_of
from services.incentives.domain.books import (
    AllBooks,
    Books,
    CloseMonth,
    RecordRates,
    month_before,
    month_name,
    months_back,
)
from services.incentives.domain.budget import AllocateBudget, AllocateUnits, BudgetInvalid, ExpireBudget
from services.incentives.domain.exchange import newest
from services.incentives.domain.tax import RemitTax
from services.incentives.projections.budgets import BudgetDocument
from services.incentives.projections.liability import Booked, Liability, booked_in, liability, position_at
from services.incentives.projections.payee_gates import under_own_partner
from services.incentives.projections.payments import TaxYear, tax_year

Id = Annotated[str, Path(min_length=1, max_length=64)]
Month = Annotated[str, Path(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$")]
Year = Annotated[int | None, Query(ge=2000, le=2100)]
Jurisdiction = Annotated[str, Path(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
MONTHS_SHOWN, MONTHS_MAX = 24, 600
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")]

router = APIRouter(tags=["books"])


class RatesBody(Body):
    """Rates of a source on a day, `{"EUR/USD": "1.0842"}`: one euro is 1.0842 dollars."""

    source: Annotated[str, Field(min_length=1, max_length=64)]
    on: Day
    pairs: Annotated[dict[str, Decimal], Field(min_length=1, max_length=200)]


class BudgetBody(Body):
    """Money that is put into a budget, or units; `ref` names this step, so that it counts once."""

    ref: Annotated[str, Field(min_length=1, max_length=64)]
    amount: Amount | None = None
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")] | None = None
    units: Amount | None = None


class RemitBody(Body):
    """The currency, and the reference of the tax return that it was paid with."""

    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    reference: Annotated[str, Field(min_length=1, max_length=64)]


class RefBody(Body):
    ref: Annotated[str, Field(min_length=1, max_length=64)]


@router.post("/rates", status_code=201)
async def record_rates(body: RatesBody, caller: Writer, app: App) -> Response:
    """Records rates of exchange; a sale in another currency is rated at the newest one of its week."""
    wish = RecordRates(source=body.source, on=body.on, pairs=body.pairs, by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, RecordRates, wish, status=201)


class _Closed(TypedDict):
    month: str
    closed_at: str | None
    closed_position: int | None
    sha256: str | None


class MonthState(_Closed):
    """A month: whether it is over, how many rates it has, when it was closed, and whether it is closed next."""

    over: bool
    rates: int
    next: bool


class MonthBooks(_Closed):
    """A month's rates in words, and what was booked in it."""

    rates: list[str]
    booked: list[Booked]


class Withheld(TypedDict):
    """What is withheld for a jurisdiction and was not remitted."""

    jurisdiction: str
    currency: str
    amount: str


@router.get("/books")
@answers(Page[MonthState])
@reads("trial_balance")
async def all_months(caller: Reader, app: App) -> Response:
    """The months since the first journal, newest first: which are over, which are closed, and which is closed next.

    These are two years, or as many as it takes to the one that is closed next.
    """
    app.access.check(caller.principal, READ_LEDGER)
    trial = await app.read.find("trial_balance", caller.tenant, sort="currency", limit=200)
    now = month_name(app.clock.now().astimezone(UTC).date())
    first = min((one["first_booked_on"][: len(now)] for one in trial.items), default=now)
    found = [(name, await _books(app, caller, name)) for name in months_back(now, first, MONTHS_MAX)]
    rows = [
        {"month": name, "over": name < now, "rates": len(newest(books.rates)), **_closed(books)}
        for name, books in found
    ]
    following = min((row["month"] for row in rows if row["over"] and not row["closed_at"]), default=None)
    told = [{**row, "next": row["month"] == following} for row in rows]
    older = [row for row in told[MONTHS_SHOWN:] if following and row["month"] >= following]
    return listed([*told[:MONTHS_SHOWN], *older], None)


async def _books(app: Application, caller: Reader, month: str) -> Books:
    found: Books = (await app.executor.state(caller.tenant, AllBooks.at(month)))[0]
    return found


def _closed(books: Books) -> dict[str, Any]:
    closed = books.closed
    if closed is None:
        return {"closed_at": None, "closed_position": None, "sha256": None}
    return {"closed_at": iso(closed.closed_at), "closed_position": closed.position, "sha256": closed.sha256}


@router.get("/books/{month}")
@answers(MonthBooks)
@reads("day_balances", "ledger")
async def one_month(month: Month, caller: Reader, app: App) -> Response:
    """A month's rates, what counts in it by account, and at which position it was closed.

    What was booked on a day of a month that was closed before counts in the first one that was open.
    """
    app.access.check(caller.principal, READ_LEDGER)
    found = await _books(app, caller, month)
    rates = [f"1 {rate.base} = {rate.rate:f} {rate.quote} on {rate.on}, {rate.source}" for rate in newest(found.rates)]
    booked = await booked_in(app.read, caller.tenant, month, await _closed_at(app, caller, month))
    return shown({"month": month, "rates": rates, "booked": booked, **_closed(found)})


async def _closed_at(app: Application, caller: Reader, month: str) -> dict[str, int]:
    """At which positions a month and the one before it were closed, those that are."""
    names = (month_before(month), month)
    found = [(name, (await _books(app, caller, name)).closed) for name in names]
    return {name: closed.position for name, closed in found if closed}


@router.post("/books/{month}/close")
async def close(month: Month, caller: Writer, app: App) -> Response:
    """Closes a month that is over, for ever, once everything sums to nothing."""
    app.access.check(caller.principal, CloseMonth)

    async def make(_: Peek) -> CloseMonth:
        return await close_of(app, caller.tenant, month=month, by=caller.principal.by)

    return await perform(caller, app, CloseMonth, make)


@router.get("/liability")
@answers(Liability)
@reads("day_balances", "ledger", "payee_gates")
async def owed(
    caller: Reader,
    app: App,
    as_of: Day | None = None,
    position: Annotated[int | None, Query(ge=0, le=1 << 53)] = None,
    known_at: Instant | None = None,
) -> Response:
    """What is owed to each payee: now, on a day, at a position of the log, or as it was known at an instant."""
    app.access.check(caller.principal, READ_LEDGER)
    if sum(given is not None for given in (as_of, position, known_at)) > 1:
        raise BadRequest("name one of as_of, position and known_at")
    await app.caught_up("day_balances")
    await app.caught_up("ledger")
    at = position if known_at is None else await position_at(app.read, caller.tenant, known_at)
    upto = Range() if as_of is None else Range(below=_day_after(as_of))
    items = await under_own_partner(app.read, caller.tenant, await liability(app.read, caller.tenant, upto, at))
    body: dict[str, Any] = {"items": items, "position": at, "as_of": as_of.isoformat() if as_of else None}
    return shown(body)


def _day_after(day: date) -> str:
    return date.fromordinal(day.toordinal() + 1).isoformat()


# Withheld tax


@router.get("/withheld")
@answers(Page[Withheld])
@reads("trial_balance")
async def withheld(caller: Reader, app: App) -> Response:
    """What is withheld for each jurisdiction in each currency and was not remitted."""
    app.access.check(caller.principal, READ_LEDGER)
    trial = await app.read.find("trial_balance", caller.tenant, sort="currency", limit=200)
    rows = [
        {"jurisdiction": name.partition(":")[2], "currency": one["currency"], "amount": str(-Decimal(amount))}
        for one in trial.items
        for name, amount in one["accounts"].items()
        if name.startswith("withheld:") and Decimal(amount)
    ]
    return listed(rows, None)


@router.get("/tax-years")
@answers(Page[TaxYear])
@reads("payments")
async def paid_in_year(caller: Reader, app: App, year: Year = None) -> Response:
    """What each payee was paid in a year, this one by default, and what of it was withheld for which jurisdiction."""
    app.access.check(caller.principal, READ_LEDGER)
    wanted = year or app.clock.now().astimezone(UTC).year
    return listed([dict(row) for row in await tax_year(app.read, caller.tenant, wanted)], None)


@router.post("/withheld/{jurisdiction}/remit")
async def remit(jurisdiction: Jurisdiction, body: RemitBody, caller: Writer, app: App) -> Response:
    """Books that all that is withheld for a jurisdiction in a currency was paid to it, payee by payee."""
    app.access.check(caller.principal, RemitTax)

    async def make(peek: Peek) -> RemitTax:
        asked = Remittance(jurisdiction=jurisdiction, **body.model_dump(), by=caller.principal.by)
        return await remittance_of(app, caller.tenant, peek, asked)

    return await perform(caller, app, RemitTax, make)


# Budgets


@router.post("/budgets/{budget_id}/allocate", status_code=201)
@answers(BudgetAnswer)
async def allocate(budget_id: Id, body: BudgetBody, caller: Writer, app: App) -> Response:
    """Puts money into a budget, or units into one that has no money."""
    named: dict[str, Any] = {"budget_id": budget_id, "ref": body.ref, "by": caller.principal.by, "now": app.clock.now()}
    if body.units is not None and body.amount is None and body.currency is None:
        units = AllocateUnits(**named, units=Decimal(body.units))
        return await perform(caller, app, AllocateUnits, units, status=201)
    return await perform(caller, app, AllocateBudget, AllocateBudget(**named, amount=_amount(body)), status=201)


def _amount(body: BudgetBody) -> Money:
    if body.units is not None or body.amount is None or body.currency is None:
        raise BudgetInvalid("name an amount with its currency, or units")
    try:
        return money(body.amount, body.currency)
    except ValueError as error:
        raise BudgetInvalid(str(error)) from error


@router.post("/budgets/{budget_id}/expire")
async def expire(budget_id: Id, body: RefBody, caller: Writer, app: App) -> Response:
    """Ends a budget: what is still available is gone."""
    wish = ExpireBudget(budget_id=budget_id, ref=body.ref, now=app.clock.now())
    return await perform(caller, app, ExpireBudget, wish)


@router.get("/budgets")
@answers(Page[BudgetDocument])
@reads("budgets")
async def budgets(
    caller: Reader,
    app: App,
    paged: Paged,
    budget_id: Filter = None,
    currency: Currency = None,
    sort: Sort = "-date",
) -> Response:
    """What of each budget is available, reserved and used; by the day of the last change or by what is available."""
    app.access.check(caller.principal, READ_LEDGER)
    where = {"budget_id": budget_id, "currency": currency}
    return listed(*await page(caller, app, "budgets", paged, where, sorted_by(sort, "changed_at")))
