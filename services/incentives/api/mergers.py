"""Partners that became one: what moved, and whose statements a partner may read."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from chassis.access import PARTNER
from chassis.answers import answers
from chassis.decider import NotFound
from chassis.http import App, Reader, reads, shown
from chassis.identity import Principal
from services.incentives.access import READ_EARNINGS
from services.incentives.api.earnings import only_payee, shown_to
from services.incentives.projections.mergers import MergerDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]

router = APIRouter(tags=["payees"])


@router.get("/mergers/{partner_id}")
@answers(MergerDocument)
@reads("mergers")
async def merger(partner_id: Id, caller: Reader, app: App) -> Response:
    """With whom a partner is one, and what went over or came back; both of them read it."""
    app.access.check(caller.principal, READ_EARNINGS)
    return shown(known_by(caller.principal, await app.document(caller.principal, "mergers", partner_id)))


def known_by(principal: Principal, merger: dict[str, Any]) -> dict[str, Any]:
    """What moved, as this side may know it: the absorbed partner's own people are told of all of it, whoever goes on for it.

    Others are told of the moves with the partners for which they act, not of those with a survivor before them.
    """
    if principal.kind != PARTNER or principal.home == merger["partner_id"]:
        return merger
    return {**merger, "moves": [move for move in merger["moves"] if principal.acts_for(move["other_id"])]}


async def statement_for(caller: Reader, app: App, statement_id: str) -> dict[str, Any]:
    """A statement that the caller may read. Raises NotFound alike for what is not there and what is not theirs."""
    only = only_payee(caller, app)
    found = await app.read.get("statements", caller.tenant, statement_id)
    theirs = only is not None or caller.principal.kind != PARTNER
    if found is None or not (theirs or caller.principal.acts_for(found["partner_id"])):
        raise NotFound
    return shown_to(only, found)
