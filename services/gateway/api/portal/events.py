"""The event explorer: all that happened, in every service, as this side may know it."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.http import Paging, page
from contracts.catalogue import SERVICES
from services.gateway.api.portal.home import called, told
from services.gateway.api.portal.visit import Here, PageRoute, Visit
from services.gateway.api.reading import event_view

EVENTS_MAX = 40
FILTERS = ("type", "source", "subject", "correlation_id")
LENGTH_MAX = 200

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/events")
async def events(here: Here) -> Response:
    """The newest first, by type, service, subject or chain of causes."""
    await here.settled("event_log")
    query = here.request.query_params
    filters = {name: query.get(name, "")[:LENGTH_MAX].strip() for name in FILTERS}
    found, cursor = await _found(here, filters, query.get("cursor", ""))
    shown: dict[str, Any] = {"events": found, "cursor": cursor, "filters": filters, **await called(here, found)}
    return await here.page("events.html", **shown, sources=SERVICES)


async def _found(here: Visit, filters: dict[str, str], cursor: str) -> tuple[list[dict[str, Any]], str | None]:
    where = {**told(here), **{name: value for name, value in filters.items() if value}}
    items, following = await page(here.caller, here.app, "event_log", Paging(EVENTS_MAX, cursor), where, "-at")
    views = (event_view(item, here.who) for item in items)
    return [view for view in views if view is not None], following
