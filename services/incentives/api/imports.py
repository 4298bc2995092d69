"""Sales facts from a file: sales without a CRM, invoices, collections, rows of a point of sale; tried, recorded, taken back."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from chassis.application import Application
from chassis.bulk_work import BulkKind, Made
from chassis.decider import Problem
from chassis.event import LEFT_OUT, stable_id
from chassis.http import Body, Caller, Day
from contracts.attribution import Share
from contracts.values import HUNDRED, Money, OpportunityId, PartnerId
from services.incentives.api.facts import Amount, Currency, FactBody, Text, basis_of, exact_money, making, under
from services.incentives.application.sales import FactCommand
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import ADDED, Sale, SaleInvalid, Sales, fact_name
from services.incentives.domain.sale_commands import RecordBasis, RecordCredit, RecordReversal, RecordWin
from services.incentives.domain.sale_events import BILLING, CRM, BasisRecorded, WinRecorded
from services.incentives.domain.taking import Part

UNDONE = "import-undone"
RECORDED, KNOWN = "recorded", "known"
SALE = "sale"
COLUMNS = {
    "kind": "sale, invoiced, collected, pos or added",
    "source": "the system that the sale is from, where no CRM knows it",
    "sale_id": "the sale's id in that system",
    "opportunity_id": "the sale, where a CRM knows it; instead of source and sale_id",
    "win_no": "which win of a reopened sale; 1 if empty",
    "external_id": "the id of the invoice, collection, row or addition in its system",
    "partner_id": "whom a sale is credited to",
    "family": "product family of a sale",
    "sku": "product of a sale",
    "deal_type": "new, expansion or renewal; new if empty",
    "line_id": "which line of the sale it is about",
    "quantity": "how many; 1 if empty",
    "amount": "net amount, with a dot before the cents",
    "currency": "currency, three letters of ISO 4217",
    "special_price_id": "the special price that it was sold at, if it was: rebates leave it out",
    "on": "the day it happened, as 2026-03-31",
}
NUMBERS, DIGITS_MAX = ("win_no", "quantity"), 18


class SaleRow(Body):
    """A sale that no CRM knows: it is won on its day and credited to one partner."""

    kind: Literal["sale"]
    source: Text
    sale_id: Text
    partner_id: Text
    family: Annotated[str, Field(max_length=64)] = ""
    sku: Annotated[str | None, Field(max_length=64)] = None
    deal_type: Literal["new", "expansion", "renewal"] = "new"
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    amount: Amount
    currency: Currency
    special_price_id: Text | None = None
    on: Day


# What a row says


def row_of(values: dict[str, Any]) -> SaleRow | FactBody:
    """The sale, or the fact of a sale, that a row is. Raises SaleInvalid naming the columns that do not fit."""
    given = {name: _number(value) if name in NUMBERS else value for name, value in values.items()}
    try:
        return SaleRow(**given) if given.get("kind") == SALE else FactBody(**_of_sale(given))
    except ValidationError as error:
        faults = [
            {
                "path": str(one["loc"][0]) if one["loc"] else "kind",
                "code": one["type"].replace("_", "-"),
                "message": one["msg"],
            }
            for one in error.errors()
        ]
        raise SaleInvalid(faults[0]["message"], errors=faults) from error


def _number(value: Any) -> Any:
    text = str(value)
    return int(text) if text.isascii() and text.isdigit() and len(text) <= DIGITS_MAX else value


def _of_sale(given: dict[str, Any]) -> dict[str, Any]:
    """A fact under the sale's own id, where it names the source's."""
    if "source" in given and "sale_id" in given and "opportunity_id" not in given:
        others = {name: value for name, value in given.items() if name not in ("source", "sale_id")}
        return {**others, "opportunity_id": sale_id(str(given["source"]), str(given["sale_id"]))}
    return given


def sale_id(source: str, external_id: str) -> str:
    """The id under which a sale of another system is known here."""
    return stable_id(source, external_id)


def _win(app: Application, row: SaleRow) -> RecordWin:
    amount, identity = exact_money(row.amount, row.currency), sale_id(row.source, row.sale_id)
    return RecordWin(
        opportunity_id=OpportunityId(identity),
        win_no=1,
        amount=amount,
        sold=(_sold(row, amount),),
        deal_type=row.deal_type,
        closed_on=row.on,
        source_event_id=f"{row.source}/{row.sale_id}",
        plan_ids=(),
        now=app.clock.now(),
    )


def _sold(row: SaleRow, amount: Money) -> Sold:
    price = row.special_price_id or LEFT_OUT
    family, sku = row.family, row.sku
    return Sold(line_id="1", family=family, amount=amount, quantity=row.quantity, sku=sku, special_price_id=price)


def _credit(app: Application, row: SaleRow) -> RecordCredit:
    whole = Share(partner_id=PartnerId(row.partner_id), role="source", percent=HUNDRED, from_month=f"{row.on:%Y-%m}")
    return RecordCredit(
        opportunity_id=OpportunityId(sale_id(row.source, row.sale_id)),
        pool="sourced",
        revision=1,
        win_no=1,
        shares=(whole,),
        source_event_id=f"{row.source}/{row.sale_id}",
        plan_ids=(),
        now=app.clock.now(),
    )


async def _wishes(app: Application, caller: Caller, values: dict[str, Any]) -> list[FactCommand]:
    """The commands that a row is, in order. Raises SaleInvalid for a partner that cannot be credited."""
    app.access.check(caller.principal, RecordBasis)
    row = row_of(values)
    if isinstance(row, FactBody):
        return [basis_of(app, row)]
    payee: Payee = await app.executor.peek(caller.tenant)(Payees.at(row.partner_id))
    if not payee.opened or payee.person:
        text = "there is no such partner"
        raise SaleInvalid(text, errors=[{"path": "partner_id", "code": "unknown", "message": text}])
    return [_win(app, row), _credit(app, row)]


# What is done with a row


async def rehearse(app: Application, caller: Caller, values: dict[str, Any]) -> Made:
    """Whether the row would be recorded, or is known."""
    first = (await _wishes(app, caller, values))[0]
    verdict = await app.executor.rehearse(caller.tenant, making(app, caller.tenant, first))
    if verdict.refusal:
        raise verdict.refusal
    return Made(outcome=RECORDED if any(verdict.events) else KNOWN)


async def record(app: Application, caller: Caller, values: dict[str, Any]) -> Made:
    """Records the row: a sale is won and credited, and earns at once what its plans say."""
    order, outcome, made = caller.order(), KNOWN, ""
    for place, wish in enumerate(await _wishes(app, caller, values)):
        own = under(order, stable_id(order.command_id, place))
        done = await app.executor.run(own, making(app, caller.tenant, wish))
        outcome = RECORDED if done.events else outcome
        made = made or _made(wish)
    return Made(id=made, outcome=outcome)


def _made(wish: FactCommand) -> str:
    if isinstance(wish, RecordBasis):
        return f"{wish.opportunity_id}/{fact_name(wish.kind, wish.external_id)}"
    return wish.opportunity_id


async def take_back(app: Application, caller: Caller, made: str) -> Made:
    """Reverses what the row recorded, for the plans that listen to billing and for those that listen to the CRM."""
    opportunity_id, _, name = made.partition("/")
    sale: Sale = await app.executor.peek(caller.tenant)(Sales.at(opportunity_id))
    order = caller.order()
    for wish in reversals_of(sale, opportunity_id, name, app.clock.now()):
        own = under(order, stable_id(order.command_id, wish.source))
        await app.executor.run(own, making(app, caller.tenant, wish))
    return Made(outcome="reversed")


def reversals_of(sale: Sale, opportunity_id: str, name: str, now: datetime) -> list[RecordReversal]:
    """What takes a fact back where its plans listen, or a whole sale everywhere; nothing for what was quarantined."""
    if name:
        fact = sale.bases.get(name) or _by_number(sale, name)
        source = CRM if fact and fact.kind == ADDED else BILLING
        return [_reversal(opportunity_id, name, fact, source, now)] if fact else []
    wins = [sale.wins[1]] if 1 in sale.wins else []
    return [_reversal(opportunity_id, SALE, win, source, now) for win in wins for source in (CRM, BILLING)]


def _by_number(sale: Sale, external_id: str) -> BasisRecorded | None:
    """The first fact of a number: rows were once kept by it alone."""
    return next((one for one in sale.bases.values() if one.external_id == external_id), None)


def _reversal(
    opportunity_id: str, name: str, it: BasisRecorded | WinRecorded, source: str, now: datetime
) -> RecordReversal:
    return RecordReversal(
        opportunity_id=OpportunityId(opportunity_id),
        win_no=it.win_no,
        reversal_id=f"undo-{name}-{source}",
        amount=it.amount,
        parts=tuple(Part(line_id=line.line_id, amount=line.amount) for line in it.sold),
        reason_code=UNDONE,
        occurred_on=now.date(),
        source_event_id=f"undo-{name}",
        plan_ids=(),
        now=now,
        source=source,
        fact_kind=it.kind if isinstance(it, BasisRecorded) else ADDED,
    )


async def sale_of_row(_: Application, __: Caller, values: dict[str, Any]) -> frozenset[str]:
    """The sale that a row is about: its rows are recorded one after the other."""
    try:
        row = row_of(values)
    except Problem:
        return frozenset()  # it is refused anyway, and changes nothing
    return frozenset({sale_id(row.source, row.sale_id) if isinstance(row, SaleRow) else row.opportunity_id})


async def sale_of_made(_: Application, __: Caller, made: str) -> frozenset[str]:
    """The sale that a recorded row is about."""
    return frozenset({made.partition("/")[0]})


SALES_FACTS = BulkKind(
    name="sales_facts",
    columns=COLUMNS,
    action=RecordBasis,
    rehearse=rehearse,
    apply=record,
    undo=take_back,
    about=sale_of_row,
    about_made=sale_of_made,
)
