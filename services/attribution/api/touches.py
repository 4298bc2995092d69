"""Touches over HTTP: tell one, list them. The vendor confirms by telling; a partner claims."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from chassis.access import PARTNER
from chassis.answers import Page, answers
from chassis.http import App, Body, Instant, Paged, Reader, Writer, listed, page, perform, reads
from contracts.values import OpportunityId, PartnerId
from services.attribution.access import READ_TOUCHES
from services.attribution.api.whose import asked_for
from services.attribution.application import POLICY_ID, merged_of, pools_in_force
from services.attribution.domain.touch import CLAIMED, CONFIRMED, RecordTouch, role_of, touch_id
from services.attribution.projections.touch_log import TouchDocument

Word = Annotated[str, Field(min_length=1, max_length=64)]


class TouchBody(Body):
    """`source_key` names the touch at its source: told twice, it is one touch."""

    touch_type: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,39}$")]
    partner_id: Word
    opportunity_id: Word
    role: Annotated[str | None, Field(max_length=16)] = None
    touched_at: Instant
    source: Annotated[str, Field(min_length=1, max_length=32)] = "api"
    source_key: Annotated[str, Field(min_length=1, max_length=128)]
    evidence_sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None


router = APIRouter(tags=["touches"])


@router.post("/touches", status_code=201)
async def record(body: TouchBody, caller: Writer, app: App) -> Response:
    """Records what a partner did for a sale. A partner tells only of itself and of its own sales."""
    app.access.check(caller.principal, RecordTouch, body.partner_id)
    await app.document(caller.principal, "opportunity_board", body.opportunity_id)

    async def make(peek: Any) -> RecordTouch:
        wish = _command(body, caller, await pools_in_force(peek, app.clock.now()), app.clock.now())
        return replace(wish, merged=await merged_of(peek, [body.partner_id]))

    return await perform(caller, app, RecordTouch, make, status=201, partner_id=body.partner_id)


def _command(body: TouchBody, caller: Writer, pools: tuple[str, ...], now: Any) -> RecordTouch:
    claimed = caller.principal.kind == PARTNER
    key = f"{body.partner_id}:{body.source}" if claimed else body.source
    return RecordTouch(
        touch_id=touch_id(caller.tenant, key, body.source_key),
        touch_type=body.touch_type,
        partner_id=PartnerId(body.partner_id),
        role=body.role or role_of(body.touch_type),
        opportunity_id=OpportunityId(body.opportunity_id),
        touched_at=body.touched_at,
        source=body.source,
        source_key=body.source_key,
        status=CLAIMED if claimed else CONFIRMED,
        evidence_sha256=body.evidence_sha256,
        recorded_by=caller.principal.by,
        pools=pools,
        policy_id=POLICY_ID,
        now=now,
    )


@router.get("/touches")
@answers(Page[TouchDocument])
@reads("touch_log")
async def touches(
    caller: Reader,
    app: App,
    paged: Paged,
    opportunity_id: Annotated[str | None, Query(max_length=64)] = None,
    partner_id: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """All touches for the vendor, its own for a partner."""
    app.access.check(caller.principal, READ_TOUCHES)
    whose = await asked_for(caller, app, partner_id)
    where = {"opportunity_id": opportunity_id, "partner_id": whose or None}
    return listed(*await page(caller, app, "touch_log", paged, where, "-touched_at"))
