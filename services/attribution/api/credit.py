"""Credit over HTTP: who has how much of a sale, as known now or at an earlier time, and its revision by hand."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.execution import Peek
from chassis.http import App, Body, Instant, Paged, Reader, Writer, listed, page, perform, reads, shown
from services.attribution.access import READ_CREDIT
from services.attribution.api.whose import named
from services.attribution.application import merged_of
from services.attribution.domain.credit import ReviseCredit, WantedShare, credit_id
from services.attribution.domain.credit_policy import POOLS_MAX
from services.attribution.projections import credit_view
from services.attribution.projections.credit_view import CreditOfSale, ShownCredit

Id = Annotated[str, Path(min_length=1, max_length=64)]
Pool = Annotated[str, Path(pattern="^[a-z][a-z0-9_]{0,39}$")]


class ShareBody(Body):
    """A partner's part in percent, as text with two decimals at most."""

    partner_id: Annotated[str, Field(min_length=1, max_length=64)]
    role: Annotated[str, Field(min_length=1, max_length=16)]
    percent: Annotated[str, Field(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$")]


class ReviseBody(Body):
    """The whole vector of the pool. Reason codes: correction, dispute, customer, split."""

    shares: Annotated[list[ShareBody], Field(max_length=100)]
    reason_code: Annotated[str, Field(max_length=40)] = ""
    reason: Annotated[str, Field(max_length=500)] = ""


router = APIRouter(tags=["credit"])


@router.get("/credit")
@answers(Page[ShownCredit])
@reads("credit_view")
async def credits(
    caller: Reader,
    app: App,
    paged: Paged,
    status: Annotated[str | None, Query(max_length=16)] = None,
    pool: Annotated[str | None, Query(max_length=40)] = None,
) -> Response:
    """Pools of all sales, the last changed first."""
    app.access.check(caller.principal, READ_CREDIT)
    mine = caller.principal.partner_ids
    where = {"status": status, "pool": pool, "partner_ids": named(mine)}
    items, cursor = await page(caller, app, "credit_view", paged, where, "-changed_at")
    return listed([seen for seen in (_seen(mine, item, None) for item in items) if seen], cursor)


@router.get("/opportunities/{opportunity_id}/credit")
@answers(CreditOfSale)
@reads("credit_view")
async def of_opportunity(
    opportunity_id: Id,
    caller: Reader,
    app: App,
    known_at: Annotated[Instant | None, Query()] = None,
) -> Response:
    """Every pool of a sale with its revisions. `known_at` answers as it was known by that instant."""
    app.access.check(caller.principal, READ_CREDIT)
    await app.document(caller.principal, "opportunity_board", opportunity_id)
    mine = caller.principal.partner_ids
    where = {"opportunity_id": opportunity_id, **({"partner_ids": named(mine)} if mine else {})}
    found = await app.read.find("credit_view", caller.tenant, where=where, sort="pool", limit=2 * POOLS_MAX)
    pools = [_seen(mine, item, known_at) for item in found.items]
    return shown({"opportunity_id": opportunity_id, "pools": [pool for pool in pools if pool]})


@router.get("/opportunities/{opportunity_id}/credit/{pool}")
@answers(ShownCredit)
@reads("credit_view")
async def of_pool(
    opportunity_id: Id,
    pool: Pool,
    caller: Reader,
    app: App,
    known_at: Annotated[Instant | None, Query()] = None,
) -> Response:
    """Who is credited with a sale in one pool, and every revision of it."""
    app.access.check(caller.principal, READ_CREDIT)
    document = await app.document(caller.principal, "credit_view", credit_id(opportunity_id, pool))
    known = _seen(caller.principal.partner_ids, document, known_at)
    if known is None:
        raise NotFound("nothing was known by then")
    return shown(known, document["version"])


@router.post("/opportunities/{opportunity_id}/credit/{pool}/revise")
async def revise(opportunity_id: Id, pool: Pool, body: ReviseBody, caller: Writer, app: App) -> Response:
    """Replaces the shares by hand, as a new revision with its reason; earlier revisions stay as they were."""
    app.access.check(caller.principal, ReviseCredit)
    await app.exists(caller.tenant, "credit", credit_id(opportunity_id, pool))
    wish = ReviseCredit(
        opportunity_id=opportunity_id,  # type: ignore[arg-type]
        pool=pool,
        shares=tuple(
            WantedShare(partner_id=s.partner_id, role=s.role, percent=Decimal(s.percent)) for s in body.shares
        ),
        reason_code=body.reason_code,
        reason=body.reason,
        revised_by=caller.principal.by,
        now=app.clock.now(),
    )

    async def make(peek: Peek) -> ReviseCredit:
        return replace(wish, merged=await merged_of(peek, [share.partner_id for share in wish.shares]))

    return await perform(caller, app, ReviseCredit, make)


def _seen(mine: Sequence[str], document: dict[str, Any], known_at: Any) -> dict[str, Any] | None:
    return credit_view.as_known(credit_view.for_partner(document, mine) if mine else document, known_at)
