"""Special prices over HTTP: what a partner may sell below its cost, to whom, how much of it, and until when."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.event import LEFT_OUT
from chassis.execution import Peek
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from services.incentives.access import READ_FUNDS
from services.incentives.api.earnings import own
from services.incentives.api.funds import MoneyBody, amount_of
from services.incentives.api.narrowing import Filter
from services.incentives.domain.approval import Approval, Approvals
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.special_price import (
    EndSpecialPrice,
    GrantSpecialPrice,
    PricedProduct,
    SpecialPriceInvalid,
)
from services.incentives.projections.special_prices import SpecialPriceDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(min_length=1, max_length=64)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
Domain = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=253)]

router = APIRouter(tags=["special prices"])


class ProductBody(Body):
    """What the partner pays for a unit, what it may sell it for, and how many at most."""

    sku: Name
    cost: MoneyBody
    price: MoneyBody
    units_max: Annotated[int, Field(ge=1, le=1_000_000)]


class SpecialPriceBody(Body):
    """A bid or the meeting of a competitor's price, for one deal or a customer without one, or a blanket price for all."""

    partner_id: Name
    kind: Literal["bid", "blanket", "meet_competitor"]
    registration_id: Name | None = None
    customer_domain: Domain | None = None
    products: Annotated[list[ProductBody], Field(min_length=1, max_length=200)]
    starts_on: Day
    ends_on: Day
    reason: Text


class EndBody(Body):
    on: Day
    reason: Text


@router.post("/special-prices", status_code=201)
async def grant(body: SpecialPriceBody, caller: Writer, app: App) -> Response:
    """Agrees to pay the difference between cost and price; a deal is an approved one in which the partner takes part."""
    app.access.check(caller.principal, GrantSpecialPrice)
    await app.exists(caller.tenant, "payee", body.partner_id)
    if body.registration_id:
        await _takes_part(app.executor.peek(caller.tenant), body.partner_id, body.registration_id)
    products = tuple(
        PricedProduct(sku=one.sku, cost=amount_of(one.cost), price=amount_of(one.price), units_max=one.units_max)
        for one in body.products
    )
    named = {**body.model_dump(exclude={"products"}), "products": products}
    named["customer_domain"] = body.customer_domain or LEFT_OUT
    wish = GrantSpecialPrice(
        special_price_id=caller.new_id("special-price"), **named, by=caller.principal.by, now=app.clock.now()
    )
    return await perform(caller, app, GrantSpecialPrice, wish, status=201)


async def _takes_part(peek: Peek, partner_id: str, registration_id: str) -> None:
    """Raises SpecialPriceInvalid for a deal that is not known to be approved, or is of others alone."""
    approval: Approval = await peek(Approvals.at(registration_id))
    if approval.partner_id is not None:
        owner: Payee = await peek(Payees.at(approval.partner_id))
        if partner_id in (approval.partner_id, owner.merging.survivor_id, *approval.parties.values()):
            return
    raise SpecialPriceInvalid("the partner has no approved deal of that id: see the deals for those that it has")


@router.post("/special-prices/{special_price_id}/end")
async def end(special_price_id: Id, body: EndBody, caller: Writer, app: App) -> Response:
    """Ends an agreement early; what was sold before still counts."""
    wish = EndSpecialPrice(
        special_price_id=special_price_id,
        on=body.on,
        reason=body.reason,
        by=caller.principal.by,
        now=app.clock.now(),
    )
    return await perform(caller, app, EndSpecialPrice, wish)


@router.get("/special-prices")
@answers(Page[SpecialPriceDocument])
@reads("special_prices")
async def list_special_prices(
    caller: Reader, app: App, paged: Paged, partner_id: Filter = None, kind: Filter = None
) -> Response:
    """Special prices with the units that were claimed; a partner its own. Kind: bid, blanket, meet_competitor."""
    app.access.check(caller.principal, READ_FUNDS)
    where = {"partner_id": own(caller, partner_id), "kind": kind}
    return listed(*await page(caller, app, "special_prices", paged, where, sort="-changed_at"))


@router.get("/special-prices/{special_price_id}")
@answers(SpecialPriceDocument)
@reads("special_prices")
async def one_special_price(special_price_id: Id, caller: Reader, app: App) -> Response:
    """One agreement with its products."""
    app.access.check(caller.principal, READ_FUNDS)
    return shown(await app.document(caller.principal, "special_prices", special_price_id))
