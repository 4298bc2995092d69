"""Special prices: what a partner may sell below its cost and to whom; who may grants one, and ends it early."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from chassis.http import Paging
from services.gateway.api.portal.funds import READ, sold_row, tax_of, then_submit
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused
from services.gateway.api.reading import deal_page

GRANT = "incentives.GrantSpecialPrice"
ROWS = ("1", "2", "3", "4", "5")
DEALS_MAX = 100

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/special-prices")
async def prices(here: Here) -> Response:
    """The special prices that were granted, and how much of them was claimed; a partner its own."""
    return await prices_page(here)


async def prices_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    cursor = here.request.query_params.get("cursor")
    found, claims, payees, deals = await asyncio.gather(
        here.ask("incentives", "/special-prices", limit=50, cursor=cursor),
        here.ask("incentives", "/claims", kind="special_price", limit=50),
        here.ask_if(GRANT, "/payees", limit=200),
        _open_deals(here),
    )
    partners = sorted({row["partner_id"] for row in payees.items})
    of_deals = {row["registration_id"] for row in found.items}
    shown = {
        "prices": found,
        "claims": claims,
        "payees": payees,
        "partners": partners,
        "deals": deals,
        "rows": ROWS,
        "names": await here.names({*partners, *(row["partner_id"] for row in (*found.items, *claims.items, *deals))}),
        "customers": await here.customers(of_deals),
        "opens": await here.opens(of_deals),
    }
    return await here.page("prices.html", status, **shown, refusal=refusal)


async def _open_deals(here: Visit) -> list[dict[str, Any]]:
    """The approved deals, for who may grant a price for one."""
    if not here.may(GRANT) or not here.may("gateway.read deal board"):
        return []
    await here.settled("deal_cards")
    found, _ = await deal_page(here.app, here.caller, Paging(DEALS_MAX, ""), {"status": "approved"}, "-submitted_at")
    return [{**one, "whom": f"{one['partner_id']} {one['registration_id']}"} for one in found]


@router.post("/special-prices")
async def grant(here: Here, sent: Sent) -> Response:
    """Grants a special price."""
    answer = await here.send(sent, "incentives", "/special-prices", _granted(here, sent))
    if answer.ok:
        return here.went(answer, "/special-prices", "price-granted")
    return await prices_page(here, refused("grant", sent, answer), answer.status)


def _granted(here: Visit, sent: Form) -> dict[str, Any]:
    """The body of the call. Who it is for names a partner, or a partner and its deal."""
    partner_id, _, registration_id = sent.text("whom").partition(" ")
    named = {"partner_id": partner_id, **({"registration_id": registration_id} if registration_id else {})}
    products = [_product(here, sent, n) for n in ROWS if sent.text(f"sku_{n}")]
    return {**named, **sent.given("kind", "customer_domain", "starts_on", "ends_on", "reason"), "products": products}


def _product(here: Visit, sent: Form, n: str) -> dict[str, Any]:
    currency = sent.text("currency") or here.tenancy.currency
    amounts = {name: {"amount": sent.text(f"{name}_{n}"), "currency": currency} for name in ("cost", "price")}
    return {"sku": sent.text(f"sku_{n}"), **amounts, "units_max": sent.number(f"units_{n}")}


@router.post("/special-prices/claim")
async def claim(here: Here, sent: Sent) -> Response:
    """Claims what was sold at a special price: writes the claim and submits it."""
    agreed = await here.needed("incentives", f"/special-prices/{sent.text('of_id')}")
    answer, sent = await then_submit(here, sent, "/claims", "claim_id", _claimed(here, sent, agreed))
    if answer.ok:
        return here.went(answer, f"/claims/{answer.json()['claim_id']}", "fund-claim")
    return await prices_page(here, refused("claim", sent, answer), answer.status)


def _claimed(here: Visit, sent: Form, agreed: dict[str, Any]) -> dict[str, Any]:
    """The body of the call. Each row is of the deal, or the customer, that the price is for."""
    whose = {name: agreed[name] for name in ("registration_id", "customer_domain") if agreed[name]}
    items = [sold_row(here, sent, n) for n in ROWS if sent.text(f"sku_{n}")]
    rows = [{**item, "sold": {**item["sold"], **whose}} for item in items]
    return {"kind": "special_price", "of_id": agreed["special_price_id"], "items": rows, **tax_of(here, sent)}


@router.post("/special-prices/{special_price_id}/end")
async def end(special_price_id: str, here: Here, sent: Sent) -> Response:
    """Ends a special price early."""
    body = sent.given("on", "reason")
    answer = await here.send(sent, "incentives", f"/special-prices/{special_price_id}/end", body)
    if answer.ok:
        return here.went(answer, "/special-prices", "price-ended")
    return await prices_page(here, refused("end", sent, answer), answer.status)
