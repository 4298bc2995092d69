"""What open sales may bring partners: each estimated by the engine that pays, at the probability of its stage."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, NotRequired, TypedDict

from chassis.application import Application
from chassis.decider import Stream
from chassis.event import frozen, iso
from chassis.execution import Look
from chassis.rulebook import Rulebook, Rules
from contracts.values import Money, money, round_half_up, split
from services.incentives.application.sales import rates_about, rules_of_kind, with_survivors
from services.incentives.application.trying import TURN_SALES
from services.incentives.domain.choice import Chosen, overlapping, plans_for
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.exchange import NoRate
from services.incentives.domain.meter import Meter, Meters, meter_id
from services.incentives.domain.payee import Payee, Payees, circumstances_of, standing_for
from services.incentives.domain.plan import PLAN
from services.incentives.domain.rating import RatingFacts, Sold, rate
from services.incentives.projections.liability import every
from services.incentives.projections.open_sales import CLOSED, OPEN, OpenSale, approved_id

STAGE_PERCENT = {
    "prospect": 10,
    "qualified": 25,
    "technical_validation": 40,
    "business_validation": 60,
    "committed": 85,
}
"""How likely a sale is where the CRM says no probability. What is approved and in no CRM yet counts as a prospect."""
FIRST_STAGE = "prospect"
SALES_SHOWN = 200
Line = dict[str, Any]


@frozen
class Possible:
    """A share of a sale that might be."""

    partner_id: str
    sold: tuple[Sold, ...]
    closes_on: date
    percent: Decimal = Decimal(100)
    role: str = "source"
    deal_type: str = "new"


async def possible_facts(peek: Look, it: Possible, chosen: Chosen) -> RatingFacts:
    """What the engine looks at for a sale that might be: the payee's window and whose standing counts, as they are now."""
    metered = meter_id(chosen.plan, chosen.plan_id, it.partner_id, it.closes_on)
    meter: Meter = await peek(Meters.at(metered[0])) if metered else Meter()
    payees: dict[str, Payee] = {
        name: await peek(Payees.at(name)) for name in await with_survivors(peek, {it.partner_id})
    }
    payee = standing_for(payees, it.partner_id, it.closes_on)
    families = tuple(dict.fromkeys(line.family for line in it.sold))
    deal = Circumstances(products=families, deal_type=it.deal_type, role=it.role)
    return RatingFacts(
        sold=it.sold,
        percent=it.percent,
        credited_on=it.closes_on,
        measure_before=meter.measure,
        payee_id=it.partner_id,
        circumstances=circumstances_of(payee, it.closes_on, deal),
        rates=await rates_about(peek, [it.closes_on]),
        payout_currency=payees[it.partner_id].payout_currency,
    )


class ForecastSum(TypedDict):
    """What all lines of a month, or of a partner, would come to in one currency."""

    month: NotRequired[str]
    partner_id: NotRequired[str]
    currency: str
    if_won: str
    expected: str


class ForecastSale(TypedDict):
    """An open sale with what it would bring; `left_out` says why it brings nothing here."""

    opportunity_id: str | None
    registration_id: str | None
    amount: Annotated[dict[str, str], Money] | None
    stage: str
    probability_percent: str
    closes_on: str
    lines: list[Line]
    left_out: str | None


class Forecast(TypedDict):
    """An estimate: what open sales would pay if won, and that times their probability."""

    estimate: bool
    as_of: Annotated[str, datetime]
    months: list[ForecastSum]
    partners: list[ForecastSum]
    items: list[ForecastSale]
    left_out: list[ForecastSale]
    sales: int


async def forecast(app: Application, tenant: str) -> dict[str, Any]:
    """Month by month and partner by partner, what open sales would pay if won, and that times their probability."""
    peek, today = remembering(app.executor.peek(tenant)), app.clock.now().date()
    books = [await peek(Rules.at(name)) for name in await rules_of_kind(app, tenant, PLAN)]
    sales = _joined(await every(app.read, "open_sales", tenant, {}, "state"))
    found = [one async for one in forecasts(peek, sales, books, today)]
    lines = [line for sale in found for line in sale["lines"]]
    left_out = [sale for sale in found if sale["left_out"]]
    return {
        "estimate": True,
        "as_of": iso(app.clock.now()),
        "months": _summed(lines, "month"),
        "partners": _summed(lines, "partner_id"),
        "items": [sale for sale in found if sale["lines"]][:SALES_SHOWN],
        "left_out": left_out[:SALES_SHOWN],
        "sales": len(found),
    }


class EstimateSum(TypedDict):
    """What all lines of a month would come to in one currency."""

    month: str
    currency: str
    if_won: str


class EstimateLine(TypedDict):
    partner_id: str
    plan_id: str
    version: int
    component: str
    month: str
    currency: str
    if_won: str


class EstimatedSale(TypedDict):
    """An open sale and what it would pay; `left_out` says why it brings nothing here."""

    opportunity_id: str | None
    registration_id: str | None
    amount: Annotated[dict[str, str], Money] | None
    stage: str
    closes_on: Annotated[str, date]
    lines: list[EstimateLine]
    left_out: str | None


class Estimates(TypedDict):
    """An estimate: what open sales would pay if they were won on the day on which they are expected."""

    estimate: bool
    as_of: Annotated[str, date]
    months: list[EstimateSum]
    items: list[EstimatedSale]
    sales: int


async def estimates(app: Application, tenant: str, whose: Collection[str] | None) -> dict[str, Any]:
    """What the open sales of the deals of these partners would pay them (None: of all), the first by id."""
    peek, today = remembering(app.executor.peek(tenant)), app.clock.now().date()
    books = [await peek(Rules.at(name)) for name in await rules_of_kind(app, tenant, PLAN)]
    sales = _joined(await every(app.read, "open_sales", tenant, {}, "state"))
    mine = [sale for sale in sales if whose is None or sale["partner_id"] in whose]
    found = [_seen_by(whose, one) async for one in forecasts(peek, mine, books, today)]
    return {
        "estimate": True,
        "as_of": iso(today),
        "months": _summed([line for sale in found for line in sale["lines"]], "month", ("if_won",)),
        "items": found[:SALES_SHOWN],
        "sales": len(found),
    }


def _seen_by(whose: Collection[str] | None, found: dict[str, Any]) -> dict[str, Any]:
    """The sale with what it would pay the partner: how likely it is, and what others get, is the vendor's to know."""
    own = [line for line in found["lines"] if whose is None or line["partner_id"] in whose]
    lines = [{name: value for name, value in line.items() if name != "expected"} for line in own]
    told = {name: value for name, value in found.items() if name != "probability_percent"}
    return {**told, "lines": lines}


async def forecasts(
    peek: Look, sales: Sequence[OpenSale], books: Sequence[Rulebook], today: date
) -> AsyncIterator[dict[str, Any]]:
    """What each sale would bring; whoever else waits has a turn in between."""
    for place, sale in enumerate(sales):
        yield await _forecast_of(peek, sale, books, today)
        if place % TURN_SALES == 0:
            await asyncio.sleep(0)


def remembering(peek: Look) -> Look:
    """The same, asking for each stream once."""
    seen: dict[str, Any] = {}

    async def look(stream: Stream) -> Any:
        name = stream.name("")
        if name not in seen:
            seen[name] = await peek(stream)
        return seen[name]

    return look


def _joined(documents: Iterable[Mapping[str, Any]]) -> list[OpenSale]:
    """The open sales: opportunities with what their registration says, and registrations without an opportunity."""
    known: dict[str, Any] = {_name(one): one for one in documents}
    taken = {approved_id(one["registration_id"]) for one in known.values() if one["opportunity_id"]}
    sales = []
    for name, one in sorted(known.items()):
        said = known.get(approved_id(one["registration_id"] or "")) if one["opportunity_id"] else None
        gone = CLOSED in (one["state"], said["state"] if said else OPEN)
        if not gone and name not in taken:
            sales.append(_completed(one, said) if said else one)
    return sales


def _name(one: Mapping[str, Any]) -> str:
    return str(one["opportunity_id"] or approved_id(one["registration_id"]))


def _completed(one: OpenSale, approved: OpenSale) -> OpenSale:
    """The opportunity; what the CRM does not say of it as the registration has it."""
    kept = {name: one[name] or approved[name] for name in ("amount", "close_on", "partner_id")}
    said = {name: approved[name] for name in ("role", "deal_type", "products")}
    joined: OpenSale = {**one, **kept, **said}  # type: ignore[typeddict-item]
    return joined


async def _forecast_of(peek: Look, sale: OpenSale, books: Sequence[Rulebook], today: date) -> dict[str, Any]:
    stage = sale["stage"] or FIRST_STAGE
    percent = Decimal(sale["probability_percent"] or STAGE_PERCENT.get(stage, 0))
    closes_on = max(date.fromisoformat(sale["close_on"]) if sale["close_on"] else today, today)
    named = {name: sale[name] for name in ("opportunity_id", "registration_id", "amount")}
    about = {**named, "stage": stage, "probability_percent": str(percent), "closes_on": iso(closes_on)}
    if sale["amount"] is None:
        return {**about, "lines": [], "left_out": "no-amount"}
    try:
        lines = [
            line
            for pool, it in _shares(sale, closes_on)
            for line in await _lines(peek, it, _fitting(pool, it, books), percent)
        ]
    except NoRate:
        return {**about, "lines": [], "left_out": "no-rate"}
    return {**about, "lines": lines, "left_out": None}


def _shares(sale: OpenSale, closes_on: date) -> list[tuple[str, Possible]]:
    """Who would be credited: the provisional shares, else the partner of the registration alone."""
    sold = _sold(sale)
    alone = {"partner_id": sale["partner_id"], "role": sale["role"], "percent": "100"}
    credits_known = {pool: one["shares"] for pool, one in sorted(sale["credits"].items())}
    return [
        (
            pool,
            Possible(
                partner_id=share["partner_id"],
                sold=sold,
                closes_on=closes_on,
                percent=Decimal(share["percent"]),
                role=share["role"],
                deal_type=sale["deal_type"],
            ),
        )
        for pool, shares in (credits_known or {"sourced": [alone]}).items()
        for share in shares
        if share["partner_id"]
    ]


def _sold(sale: OpenSale) -> tuple[Sold, ...]:
    """The products of the registration, each with the same part of the amount; one line where none are named."""
    given = sale["amount"] or {}
    whole = money(given["amount"], given["currency"])
    products = sale["products"] or [{"family": "", "sku": None, "quantity": 1}]
    parts = zip(products, split(whole, [Decimal(1)] * len(products)), strict=True)
    return tuple(Sold(line_id=str(place), amount=part, **product) for place, (product, part) in enumerate(parts))


def _fitting(pool: str, it: Possible, books: Sequence[Rulebook]) -> list[Chosen]:
    found = plans_for(pool, it.closes_on, books)
    return [chosen for chosen in found if not chosen.plan.deal_types or it.deal_type in chosen.plan.deal_types]


async def _lines(peek: Look, it: Possible, found: Sequence[Chosen], percent: Decimal) -> list[Line]:
    """What a share would be paid by the plans that pay beside each other; nothing once the partner has left."""
    payee: Payee = await peek(Payees.at(it.partner_id))
    if not payee.leaving.earns(it.closes_on):
        return []
    pays = {chosen.plan_id: rate(await possible_facts(peek, it, chosen), chosen.plan).pay for chosen in found}
    paying = overlapping(found, lambda chosen: pays[chosen.plan_id].amount)
    return [_line(it, chosen, pays[chosen.plan_id], percent) for chosen in paying]


def _line(it: Possible, chosen: Chosen, pay: Money, percent: Decimal) -> Line:
    return {
        "partner_id": it.partner_id,
        "plan_id": chosen.plan_id,
        "version": chosen.version.version,
        "component": chosen.plan.component,
        "month": iso(it.closes_on)[:7],
        "currency": pay.currency,
        "if_won": str(pay.amount),
        "expected": str(round_half_up(pay.amount * percent / 100, pay.currency).amount),
    }


def _summed(lines: Sequence[Line], by: str, names: tuple[str, ...] = ("if_won", "expected")) -> list[dict[str, Any]]:
    """The lines by one of their fields and currency."""
    sums: dict[str, Counter[tuple[str, str]]] = {name: Counter() for name in names}
    for line in lines:
        for name, sum_of in sums.items():
            sum_of[line[by], line["currency"]] += Decimal(line[name])  # type: ignore[assignment]
    keys = sorted(sums["if_won"].keys())
    return [{by: key[0], "currency": key[1], **{name: str(one[key]) for name, one in sums.items()}} for key in keys]
