"""Sales over HTTP: the board and one sale with its timeline. Each partner sees its own part."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from chassis.answers import Page, answers
from chassis.http import App, Paged, Reader, listed, page, reads, shown
from services.attribution.access import READ_OPPORTUNITIES
from services.attribution.api.whose import asked_for, named
from services.attribution.projections import opportunity_board, opportunity_timeline
from services.attribution.projections.opportunity_board import BoardDocument
from services.attribution.projections.opportunity_timeline import SaleWithTimeline

Id = Annotated[str, Path(min_length=1, max_length=64)]


class Wanted(BaseModel):
    """Which sales, and in which order."""

    status: Annotated[str | None, Field(max_length=16)] = None
    stage: Annotated[str | None, Field(max_length=32)] = None
    partner_id: Annotated[str | None, Field(max_length=64)] = None
    registration_id: Annotated[str | None, Field(max_length=64)] = None
    sort: Annotated[str, Field(pattern="^-?(changed_at|opened_at)$")] = "-changed_at"


Filters = Annotated[Wanted, Query()]

router = APIRouter(tags=["opportunities"])


@router.get("/opportunities")
@answers(Page[BoardDocument])
@reads("opportunity_board")
async def opportunities(caller: Reader, app: App, paged: Paged, wanted: Filters) -> Response:
    """All sales for the vendor; for a partner those it has a part in, or one that it goes on for."""
    app.access.check(caller.principal, READ_OPPORTUNITIES)
    mine = caller.principal.partner_ids
    where = {
        "status": wanted.status,
        "stage": wanted.stage,
        "registration_id": wanted.registration_id,
        "partner_ids": named(await asked_for(caller, app, wanted.partner_id)),
    }
    items, cursor = await page(caller, app, "opportunity_board", paged, where, wanted.sort)
    return listed([_row(mine, item) for item in items], cursor)


@router.get("/opportunities/{opportunity_id}")
@answers(SaleWithTimeline)
@reads("opportunity_board", "opportunity_timeline")
async def opportunity(opportunity_id: Id, caller: Reader, app: App) -> Response:
    """One sale, with what happened to it in order; each entry's event can be asked why."""
    app.access.check(caller.principal, READ_OPPORTUNITIES)
    mine = caller.principal.partner_ids
    document = await app.document(caller.principal, "opportunity_board", opportunity_id)
    told = await app.read.get("opportunity_timeline", caller.tenant, opportunity_id)
    entries = _timeline(mine, told)["entries"] if told else []
    return shown({**_row(mine, document), "timeline": entries}, document["version"])


def _row(mine: Sequence[str], document: dict[str, Any]) -> dict[str, Any]:
    return opportunity_board.for_partner(document, mine) if mine else document


def _timeline(mine: Sequence[str], document: dict[str, Any]) -> dict[str, Any]:
    return opportunity_timeline.for_partner(document, mine) if mine else document
