"""Facts of sales over HTTP: what billing systems and points of sale tell, corrections by hand, progress."""

from dataclasses import replace
from datetime import UTC, date
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

import orjson
from fastapi import APIRouter, Depends, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import Problem, WrongState
from chassis.event import LEFT_OUT, stable_id
from chassis.execution import Peek
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads
from contracts.values import Money, money
from services.incentives.access import READ_EARNINGS
from services.incentives.api.earnings import own
from services.incentives.api.narrowing import Filter, Sort, sorted_by
from services.incentives.application.answers import ReversalAnswer
from services.incentives.application.sales import FactCommand, in_books, prepared
from services.incentives.domain.choice import read_plan
from services.incentives.domain.plan import Plan, schedule_of
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import SaleInvalid
from services.incentives.domain.sale_commands import (
    AdjustLine,
    ConfirmAdjustment,
    RecordBasis,
    RecordReversal,
    ResolveFact,
)
from services.incentives.domain.schedule import reaches
from services.incentives.domain.taking import Part
from services.incentives.projections.progress import ShownProgress

Id = Annotated[str, Path(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=64)]
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,15}(\.[0-9]{1,4})?$")]
Signed = Annotated[str, Field(pattern=r"^-?[0-9]{1,15}(\.[0-9]{1,4})?$")]
Currency = Annotated[str, Field(pattern="^[A-Z]{3}$")]
FACTS_MAX = 1_000

router = APIRouter(tags=["facts"])


class FactBody(Body):
    """An invoice, a collection, a row of a point of sale, or an addition to a sale, by its id in the source system.

    With `special_price_id` it was sold at a special price, which rebates leave out.
    """

    opportunity_id: Text
    win_no: Annotated[int, Field(ge=1, le=1_000)] = 1
    kind: Literal["invoiced", "collected", "pos", "added"]
    external_id: Text
    line_id: Text | None = None
    quantity: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    amount: Amount | None = None
    currency: Currency | None = None
    special_price_id: Text | None = None
    on: Day


class FactsBody(Body):
    facts: Annotated[list[FactBody], Field(min_length=1, max_length=FACTS_MAX)]


class ReverseBody(Body):
    """A reversal that billing tells: of an amount, or of the unearned months of a term."""

    reversal_id: Text
    win_no: Annotated[int, Field(ge=1, le=1_000)] = 1
    line_id: Text | None = None
    amount: Amount = "0"
    currency: Currency
    unearned_months: Annotated[int | None, Field(ge=0, le=1_200)] = None
    term_months: Annotated[int | None, Field(ge=1, le=1_200)] = None
    reason_code: Annotated[str, Field(pattern="^[a-z0-9-]{1,64}$")]
    on: Day


class ResolveBody(Body):
    """What was quarantined: the win under a plan, or a fact that came without an amount. `dropped`: it needs no line."""

    win_no: Annotated[int, Field(ge=1, le=1_000)] = 1
    plan_id: Annotated[str, Field(max_length=64)] = ""
    fact_id: Annotated[str | None, Field(min_length=1, max_length=96)] = None
    dropped: bool = False


class AdjustBody(Body):
    """A correction of a line, above or below zero, which a second person confirms."""

    amount: Signed
    reason: Annotated[str, Field(min_length=1, max_length=500)]


class ConfirmBody(Body):
    adjustment_id: Text


def exact_money(amount: str, currency: str) -> Money:
    try:
        return money(amount, currency)
    except ValueError as error:
        raise SaleInvalid(str(error)) from error


class FactResult(TypedDict):
    """A row: recorded, repeated, or refused with the slug and what it says."""

    external_id: str
    result: str
    slug: NotRequired[str]
    detail: NotRequired[str]


class FactResults(TypedDict):
    results: list[FactResult]


@router.post("/sales-facts", status_code=201)
@answers(FactResults)
async def sales_facts(body: FactsBody, caller: Writer, app: App) -> Response:
    """Records facts of sales, each once; the answer has a result for each row."""
    app.access.check(caller.principal, RecordBasis)
    return Response(
        orjson.dumps({"results": [await _recorded(app, caller, fact) for fact in body.facts]}),
        status_code=201,
        media_type="application/json",
    )


async def _recorded(app: App, caller: Writer, fact: FactBody) -> dict[str, Any]:
    """One row of this request. Its sale knows by its id what counts already, so a file that is sent twice counts once.

    What was refused, or came without an amount, is decided anew when it is sent again.
    """
    row = {"external_id": fact.external_id}
    try:
        wish = basis_of(app, fact)
        order = caller.order()
        identity = stable_id(order.command_id, fact.model_dump_json())
        outcome = await app.executor.run(under(order, identity), making(app, caller.tenant, wish))
    except Problem as refusal:
        return {**row, "result": "refused", "slug": refusal.slug, "detail": refusal.detail}
    return {**row, "result": "repeated" if outcome.repeated or not outcome.events else "recorded"}


def under(order: Any, command_id: str) -> Any:
    """The same order under an id of its own; what it holds is not the request's body."""
    return type(order)(
        command_id=command_id,
        tenant=order.tenant,
        actor=order.actor,
        correlation_id=order.correlation_id,
        traceparent=order.traceparent,
    )


def basis_of(app: App, fact: FactBody) -> RecordBasis:
    known = fact.amount is not None and fact.currency is not None
    amount = exact_money(fact.amount or "", fact.currency or "") if known else None
    return RecordBasis(
        opportunity_id=fact.opportunity_id,
        win_no=fact.win_no,
        kind=fact.kind,
        external_id=fact.external_id,
        line_id=fact.line_id,
        quantity=fact.quantity,
        amount=amount,
        sold=_priced(fact, amount) if amount and fact.special_price_id else (),
        happened_on=fact.on,
        source_event_id=fact.external_id,
        plan_ids=(),
        now=app.clock.now(),
    )


def _priced(fact: FactBody, amount: Money) -> tuple[Sold, ...]:
    """The one sold line of a fact that names a special price."""
    price = fact.special_price_id or LEFT_OUT
    return (Sold(line_id="", family="", amount=amount, quantity=fact.quantity, special_price_id=price),)


def making(app: App, tenant: str, wish: FactCommand) -> Any:
    async def make(peek: Peek) -> FactCommand:
        return await prepared(app, tenant, peek, wish)

    return make


@router.post("/sales/{opportunity_id}/reverse")
@answers(ReversalAnswer)
async def reverse(opportunity_id: Id, body: ReverseBody, caller: Writer, app: App) -> Response:
    """Takes back what a credit note or a cancelled term takes of a sale, for the plans that listen to billing.

    The answer says which lines hear it and which do not. One of an id that is known changes nothing.
    """
    amount = _asked_back(body)
    wish = RecordReversal(
        opportunity_id=opportunity_id,
        win_no=body.win_no,
        reversal_id=body.reversal_id,
        amount=amount,
        parts=(Part(line_id=body.line_id, amount=amount),) if body.line_id else (),
        reason_code=body.reason_code,
        occurred_on=body.on,
        source_event_id=body.reversal_id,
        plan_ids=(),
        now=app.clock.now(),
        unearned_months=body.unearned_months,
        term_months=body.term_months,
        source="billing",
    )
    return await perform(caller, app, RecordReversal, making(app, caller.tenant, wish))


def _asked_back(body: ReverseBody) -> Money:
    """What a credit note asks; nothing where it asks months. Raises SaleInvalid for one that asks neither, or both."""
    amount, unearned, term = exact_money(body.amount, body.currency), body.unearned_months, body.term_months
    if (unearned is None) != (term is None) or (unearned or 0) > (term or 0):
        raise SaleInvalid("unearned_months go with the term_months that they are of, and are no more than those")
    if bool(unearned) != amount.zero:
        raise SaleInvalid("a credit note has an amount above zero, or the unearned_months of a term, and not both")
    return amount


@router.post("/sales/{opportunity_id}/resolve")
async def resolve(opportunity_id: Id, body: ResolveBody, caller: Writer, app: App) -> Response:
    """Rates again what was quarantined, now that what was missing is recorded, or drops it."""
    wish = ResolveFact(opportunity_id=opportunity_id, **body.model_dump(), by=caller.principal.by, now=app.clock.now())
    return await perform(caller, app, ResolveFact, making(app, caller.tenant, wish))


# Corrections by hand


@router.post("/lines/{line_id}/adjust", status_code=201)
async def adjust(line_id: Id, body: AdjustBody, caller: Writer, app: App) -> Response:
    """Proposes to correct a line."""
    line = await _of_sale(caller, app, line_id, AdjustLine)
    wish = AdjustLine(
        opportunity_id=line["opportunity_id"],
        line_id=line_id,
        adjustment_id=caller.new_id("adjustment"),
        amount=exact_money(body.amount, line["currency"]),
        reason=body.reason,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, AdjustLine, wish, status=201)


async def _of_sale(caller: Writer, app: App, line_id: str, action: type[Any]) -> dict[str, Any]:
    """The line of a sale. Raises WrongState for that of a window, which follows from what was counted in it."""
    app.access.check(caller.principal, action)
    line = await app.document(caller.principal, "earnings", line_id)
    if line["opportunity_id"] is None:
        raise WrongState("the line of a window follows from its sales: correct one of them", state=line["state"])
    return line


@router.post("/lines/{line_id}/adjust/confirm")
async def confirm(line_id: Id, body: ConfirmBody, caller: Writer, app: App) -> Response:
    """A second person confirms; the line and the ledger are corrected."""
    line = await _of_sale(caller, app, line_id, ConfirmAdjustment)
    wish = ConfirmAdjustment(
        opportunity_id=line["opportunity_id"],
        line_id=line_id,
        adjustment_id=body.adjustment_id,
        by=caller.principal.by,
        now=app.clock.now(),
    )

    async def make(peek: Peek) -> ConfirmAdjustment:
        return replace(wish, books=await in_books(peek, wish.now.astimezone(UTC).date()))

    return await perform(caller, app, ConfirmAdjustment, make)


# Progress


async def window_filter(partner_id: Filter = None, kind: Filter = None, period: Filter = None) -> dict[str, str | None]:
    """Narrows a list of windows by partner, kind of plan, and the window."""
    return {"partner_id": partner_id, "kind": kind, "window": period}


WindowFilter = Annotated[dict[str, str | None], Depends(window_filter)]


@router.get("/progress")
@answers(Page[ShownProgress])
@reads("progress")
async def progress(caller: Reader, app: App, paged: Paged, narrowed: WindowFilter, sort: Sort = "-date") -> Response:
    """Where each payee stands in the windows of its plans (`period`), the band reached, and how far the next one is."""
    app.access.check(caller.principal, READ_EARNINGS)
    where = {**narrowed, "partner_id": own(caller, narrowed["partner_id"])}
    items, cursor = await page(caller, app, "progress", paged, where, sorted_by(sort, "changed_at"))
    books = await app.read.get_many("rulebooks", caller.tenant, sorted({item["plan_id"] for item in items}))
    return listed([{**item, **_band(item, books.get(item["plan_id"]))} for item in items], cursor)


def _band(item: dict[str, Any], book: dict[str, Any] | None) -> dict[str, Any]:
    """The band that a window has reached and what is missing to the next one."""
    versions = book["versions"] if book else []
    body = next((one["body"] for one in versions if one["version"] == item["plan_version"]), None)
    if body is None:
        return {"band": None, "to_next_band": None}
    plan: Plan = read_plan(body)
    last_day = date.fromisoformat(item["closes_on"]) if item["closes_on"] else date.max
    bands = reaches(schedule_of(plan, item["partner_id"], date.fromordinal(last_day.toordinal() - 1)))
    measure = Decimal(item["measure"])
    reached = [band for band in bands if band.reached(measure)]
    ahead = next((band for band in bands if not band.reached(measure)), None)
    return {
        "band": reached[-1].number if reached else None,
        "to_next_band": str(ahead.above - measure) if ahead else None,
    }
