"""Plans tried on sales that happened: read page by page, beside what was really posted for them."""

import asyncio
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from chassis.application import Application
from chassis.decider import Refused
from chassis.event import frozen
from chassis.execution import Peek
from chassis.read_store.port import PAGE_MAX
from chassis.rulebook import Rulebook
from chassis.shadow import Progress
from services.incentives.application.sales import all_payees
from services.incentives.domain.backtest import Backtest
from services.incentives.domain.books import AllBooks, month_before, month_name, months_back
from services.incentives.domain.budget import Budget, Budgets
from services.incentives.domain.choice import Chosen
from services.incentives.domain.dues import Known
from services.incentives.domain.exchange import Rate, exact, newest
from services.incentives.domain.plan import Plan
from services.incentives.domain.rating import half_up
from services.incentives.domain.side import NOTHING, Posted, Pot, Side
from services.incentives.domain.taking import decimal_of
from services.incentives.domain.units import UNIT_DIGITS
from services.incentives.projections.earnings import credited_with
from services.incentives.projections.liability import every
from services.incentives.projections.sales import SaleDocument, sale_of

SALES_MAX = 5_000_000
MONTHS_MAX = 600
"""So many months are looked through for rates, the last ones of a longer time."""
TURN_SALES = 50
"""How many sales are taken before others have their turn."""


class TooManySales(Refused):
    """A part of the sales would say nothing of all: there are more than a backtest looks at."""

    slug = "too-many-sales"


async def known_between(app: Application, tenant: str, since: date, until: date) -> Known:
    """What rating needs of a time beside its sales: the payees as they are now, and the recorded rates."""
    peek = app.executor.peek(tenant)
    months = months_back(month_name(until), month_before(month_name(since)), MONTHS_MAX)
    rates: list[Rate] = []
    for month in reversed(months):
        rates += exact(newest((await peek(AllBooks.at(month))).rates))
    return Known(books=(), payees=await all_payees(app, tenant, peek), rates=tuple(rates))


async def side_of(peek: Peek, books: Sequence[Rulebook], chosen: Chosen, known: Known) -> Side:
    """A plan with what its budget has to give. `books` hold the versions whose lines drew on that budget."""
    return Side(chosen, known, await pot_of(peek, books, chosen.plan))


async def budget_of(peek: Peek, budget_id: str) -> Budget:
    """A budget that plans draw on, as it is now."""
    budget: Budget = await peek(Budgets.at(budget_id))
    return budget


async def pot_of(peek: Peek, books: Sequence[Rulebook], plan: Plan) -> Pot | None:
    """The budget that a plan draws on, with what it has left now; None for a plan without one."""
    if plan.budget_id is None:
        return None
    budget = await budget_of(peek, plan.budget_id)
    versions = (one for book in books for one in book.versions)
    drew = frozenset((one.rulebook_id, one.version) for one in versions if one.body.get("budget_id") == plan.budget_id)
    if budget.units:
        return Pot(plan.budget_id, budget.units.available, drew, of_units=True)
    there = budget.allocated is not None and budget.allocated.currency == plan.currency
    return Pot(plan.budget_id, budget.available.amount if there else NOTHING, drew)


@frozen
class Trial:
    """A backtest with the plans whose lines it is beside."""

    app: Application
    tenant: str
    test: Backtest
    plan_ids: frozenset[str]
    sales_max: int = SALES_MAX

    async def run(self, progress: Progress) -> dict[str, Any]:
        """Feeds every sale to the test, page by page; between pages others have their turn. Raises TooManySales."""
        read, test = self.app.read, self.test
        total, cursor = await read.count("sales", self.tenant), None
        if total > self.sales_max:
            raise TooManySales(f"a backtest looks at {self.sales_max} sales at most, and there are {total}")
        while test.sales < total:
            page = await read.find("sales", self.tenant, sort="opportunity_id", after=cursor, limit=PAGE_MAX)
            await self._take(page.items)  # type: ignore[arg-type]
            progress(test.sales, total)
            cursor = page.next_cursor
            if cursor is None:
                break
        if test.looks_at_posted:
            for line in await self._posted(None):
                test.paid(_posted(line))
        return test.report()

    async def _take(self, sales: Sequence[SaleDocument]) -> None:
        lines: dict[str, list[Posted]] = {}
        if self.test.looks_at_posted:
            for line in await self._posted(tuple(sale["opportunity_id"] for sale in sales)):
                lines.setdefault(line["opportunity_id"], []).append(_posted(line))
        for place, sale in enumerate(sales):
            self.test.take(sale["opportunity_id"], sale_of(sale), lines.get(sale["opportunity_id"], ()))
            if place % TURN_SALES == 0:
                await asyncio.sleep(0)

    async def _posted(self, opportunity_ids: tuple[str, ...] | None) -> list[dict[str, Any]]:
        """The lines of those plans for some sales of that time; without a sale, those of whole windows."""
        where = {"opportunity_id": opportunity_ids}
        found = await every(self.app.read, "earnings", self.tenant, where, "earned_on")
        return [line for line in found if self._mine(line)]

    def _mine(self, line: dict[str, Any]) -> bool:
        test = self.test
        currency = line["plan_amount"]["currency"]
        counts = not test.only or credited_with(line) in test.only
        theirs = counts and line["plan_id"] in self.plan_ids and currency == test.new.chosen.plan.currency
        return theirs and test.since.isoformat() <= line["credited_on"] <= test.until.isoformat()


def _posted(line: dict[str, Any]) -> Posted:
    return Posted(
        partner_id=credited_with(line),
        amount=_stands(line),
        step=line["rule_id"],
        plan_id=line["plan_id"],
        plan_version=line["plan_version"],
        units=_units(line),
        rate=_rate(line["derivation"].get("exchange")),
    )


def _rate(exchange: dict[str, Any] | None) -> Rate | None:
    """The rate at which the sale was taken to the plan's currency."""
    return msgspec.convert(exchange["rate"], Rate, strict=False) if exchange else None


def _stands(line: dict[str, Any]) -> Decimal:
    """What of a line stands, in the plan's currency: whatever the payee is paid in, at the rate of its exchange."""
    amount, remaining, whole = (Fraction(line[name]["amount"]) for name in ("amount", "remaining", "plan_amount"))
    currency = line["plan_amount"]["currency"]
    if line["currency"] == currency or not amount:
        return Decimal(line["remaining"]["amount"])
    return half_up(whole * remaining / amount, currency).amount


def _units(line: dict[str, Any]) -> Decimal:
    """How many units of a budget stand for what of the line stands."""
    amount, drawn = Fraction(line["amount"]["amount"]), Decimal(line["drawn_units"] or 0)
    if not amount or not drawn:
        return NOTHING
    back = (
        min(Fraction(line["reversed"]["amount"]) / amount, Fraction(1)) if Decimal(line["remaining"]["amount"]) else 1
    )
    return drawn - decimal_of(round(Fraction(drawn) * back, UNIT_DIGITS))
