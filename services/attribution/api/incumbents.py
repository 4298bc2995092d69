"""Incumbents over HTTP: say who sold a family to a customer before, and read what was said. The vendor's alone."""

from typing import Annotated, cast

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.http import App, Body, Day, Paged, Reader, Writer, listed, page, perform, reads
from contracts.values import AccountId, PartnerId
from services.attribution.access import READ_INCUMBENTS
from services.attribution.domain.incumbency import SetIncumbent, incumbency_id
from services.attribution.projections.incumbents import IncumbentDocument, as_of

Word = Annotated[str, Field(min_length=1, max_length=64)]


class IncumbentBody(Body):
    """Without `partner_id` nobody is the incumbent any more; without `until_on` it counts until it is changed."""

    account_id: Word
    product_family: Annotated[str, Field(min_length=1, max_length=120)]
    partner_id: Word | None = None
    until_on: Day | None = None
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


router = APIRouter(tags=["incumbents"])


@router.post("/incumbents", status_code=201)
async def say(body: IncumbentBody, caller: Writer, app: App) -> Response:
    """Says who the incumbent of a family at a customer is, from today on."""
    now = app.clock.now()
    wish = SetIncumbent(
        incumbency_id=incumbency_id(caller.tenant, body.account_id, body.product_family),
        account_id=AccountId(body.account_id),
        product_family=body.product_family,
        partner_id=PartnerId(body.partner_id) if body.partner_id else None,
        until_on=body.until_on,
        reason=body.reason,
        by=caller.principal.by,
        today=now.date(),
        now=now,
    )
    return await perform(caller, app, SetIncumbent, wish, status=201)


@router.get("/incumbents")
@answers(Page[IncumbentDocument])
@reads("incumbents")
async def incumbents(
    caller: Reader,
    app: App,
    paged: Paged,
    account_id: Annotated[str | None, Query(max_length=64)] = None,
    partner_id: Annotated[str | None, Query(max_length=64)] = None,
    at: Annotated[Day | None, Query()] = None,
) -> Response:
    """What was said last of each family at each customer; with `at`, by the end of that day. A page may hold fewer then."""
    app.access.check(caller.principal, READ_INCUMBENTS)
    where = {"account_id": account_id, "partner_id": None if at else partner_id}
    found, following = await page(caller, app, "incumbents", paged, where, "product_family")
    if at is None:
        return listed(found, following)
    then = [said for one in found if (said := as_of(cast("IncumbentDocument", one), at))]
    return listed([one for one in then if partner_id in (None, one["partner_id"])], following)
