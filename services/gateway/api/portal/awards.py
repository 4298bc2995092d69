"""SPIFFs that are claimed: what is on offer, what a partner's people claimed, and a form that claims a sale."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from chassis.http import Paging
from services.gateway.access import READ_BOARD
from services.gateway.api.portal.funds import sold_row, then_submit
from services.gateway.api.portal.visit import Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused
from services.gateway.api.reading import deal_page

ROWS = ("1", "2", "3")
DEALS_MAX = 100

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/awards")
async def awards(here: Here) -> Response:
    """The SPIFFs that are claimed, and the claims; who only sells sees its own."""
    return await awards_page(here)


async def awards_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("incentives.read claims"):
        raise Forbidden
    claims, books, kinds, deals = await asyncio.gather(
        here.ask("incentives", "/claims", kind="spiff", limit=50, cursor=here.request.query_params.get("cursor")),
        here.ask_all("incentives", "/rulebooks"),
        here.ask("incentives", "/kinds"),
        _won(here),
    )
    names = await here.names({row["partner_id"] for row in claims.items})
    shown = {"claims": claims, "deals": deals, "books": books, "offers": _offers(books, kinds), "names": names}
    return await here.page("awards.html", status, **shown, rows=ROWS, refusal=refusal)


async def _won(here: Visit) -> list[dict[str, Any]]:
    """The won deals of who may claim them."""
    if here.vendor or not here.app.access.allows(here.who, READ_BOARD):
        return []
    await here.settled("deal_cards")
    found, _ = await deal_page(here.app, here.caller, Paging(DEALS_MAX, ""), {"stage": "won"}, "-submitted_at")
    return found


def _offers(books: Part, kinds: Part) -> list[dict[str, Any]]:
    """The newest version of each SPIFF that is claimed and in force, with all that its plan says."""
    newest = [(row["rulebook_id"], row["versions"][-1]) for row in books.items if row["versions"]]
    claimed = [(plan_id, one) for plan_id, one in newest if one["mode"] == "live" and one["body"].get("claimed")]
    unsaid = _unsaid(kinds)
    return [{**one, "plan_id": plan_id, "body": {**unsaid, **one["body"]}} for plan_id, one in claimed]


def _unsaid(kinds: Part) -> dict[str, Any]:
    """What a plan means by a field that it does not name, as the schema of its kind tells."""
    schema = next((one["schema"] for one in kinds.items if one["kind"] == "plan"), None)
    fields = schema["$defs"][schema["$ref"].rpartition("/")[2]]["properties"] if schema else {}
    return {name: field["default"] for name, field in fields.items() if "default" in field}


@router.post("/awards")
async def claim(here: Here, sent: Sent) -> Response:
    """Claims a sale: writes the claim and submits it."""
    answer, sent = await then_submit(here, sent, "/claims", "claim_id", _claim(here, sent))
    if answer.ok:
        return here.went(answer, f"/claims/{answer.json()['claim_id']}", "fund-claim")
    return await awards_page(here, refused("award", sent, answer), answer.status)


def _claim(here: Visit, sent: Form) -> dict[str, Any]:
    items = [sold_row(here, sent, n) for n in ROWS if sent.text(f"sku_{n}")]
    return {"kind": "spiff", **sent.given("of_id", "registration_id"), "items": items}
