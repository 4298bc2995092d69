"""What waits for somebody's eye: each reads what one of their own roles or duties is asked for."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.http import App, Caller, Paged, Paging, Reader, listed, page, reads
from chassis.identity import Principal
from chassis.read_store.port import Contains
from services.gateway.access import READ_WORKLIST
from services.gateway.projections.worklist import Task, person

router = APIRouter(prefix="/v1", tags=["reading"])


@router.get("/worklist")
@answers(Page[Task])
@reads("worklist")
async def worklist(
    caller: Reader,
    app: App,
    paged: Paged,
    role: Annotated[str | None, Query(max_length=32)] = None,
    topic: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """What waits for the caller, the most urgent first. The vendor's admin reads what waits for any of the vendor's roles."""
    return listed(*await task_page(app, caller, paged, role, topic))


async def task_page(
    app: Application, caller: Caller, paged: Paging, role: str | None, topic: str | None, *, own: bool = False
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of what waits for the caller; `own`: without what an admin reads of others' roles."""
    app.access.check(caller.principal, READ_WORKLIST)
    where = waiting_for(caller.principal, role, own=own)
    if where is None:
        return [], None
    return await page(caller, app, "worklist", paged, {**where, "topic": topic}, "order")


def waiting_for(who: Principal, role: str | None = None, *, own: bool = False) -> dict[str, Any] | None:
    """The filter of the worklist that leaves what is asked of this visitor, in one role where it is named; None: nothing.

    Whoever is asked may know it, also who reads no events of the service that asks.
    """
    side = {"side": who.kind, "partner_id": who.partner_ids or None}
    asked = {name: value for name, value in side.items() if value is not None}
    if reads_all(who) and not own:
        return {**asked, "side": "vendor"} | ({"roles": Contains(role)} if role else {})
    roles = [one for one in (*who.roles, *who.duties, person(who.subject)) if role in (None, one)]
    return {**asked, "roles": Contains.any_of(roles)} if roles else None


def reads_all(who: Principal) -> bool:
    """Whether somebody reads what waits for the vendor's other roles too."""
    return who.kind == "service" or (who.kind == "vendor" and "admin" in who.roles)
