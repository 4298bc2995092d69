"""Why something happened: the page of one event, and its explanation as a panel of other pages."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Response

from chassis.decider import NotFound
from chassis.http import Unavailable
from services.gateway.api.portal.visit import Here, PageRoute, Visit
from services.gateway.api.reading import explained

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/why/{event_id}")
async def why(event_id: str, here: Here) -> Response:
    """Outcome, reasons, inputs, what would have changed it, causes and effects."""
    await here.settled("event_log")
    found = await explanation(here, event_id, here.request.query_params.get("service", ""))
    if found is None:
        raise NotFound
    opens = await here.opens({found["event"]["data"].get("registration_id")})
    return await here.page("why.html", why=found, opens=opens, proof=await _proof(here, found["event"]))


async def _proof(here: Visit, it: dict[str, Any]) -> str:
    """Where the proof of an event's subject is to be had, "" where this side may not have it."""
    source, stream = it["source"], quote(it["subject"].partition(":")[2], safe="")
    inside = f"/v1/gateway/proofs/{stream}" if source == here.app.name else f"/proofs/{stream}"
    return f"/v1/{source}/proofs/{stream}" if (await here.ask(source, inside)).ok else ""


async def explanation(here: Visit, event_id: str, service: str) -> dict[str, Any] | None:
    """The explanation of a public event, or of one that only `service` keeps; None where this side has none."""
    found: dict[str, Any] | None
    try:
        found = await explained(here.app, here.who, event_id)
    except NotFound:
        found = await _private(here, event_id, service)
    return found and {"outcome": None, "reasons": [], "inputs": [], "would_change": [], "detail": {}, **found}


async def _private(here: Visit, event_id: str, service: str) -> dict[str, Any] | None:
    part = await here.ask(service, f"/why/{event_id}") if service else None
    if part is not None and part.down:
        raise Unavailable
    if part is None or not part.ok:
        return None
    it = part.one["event"]
    told = {
        "event_id": it["id"],
        "source": service,
        "type": it["type"],
        "at": it["recorded_at"],
        "position": it["position"],
    }
    event = {**told, "subject": it["stream"], "data": {}}
    return {**part.one, "event": event, "causes": [], "effects": [], "hidden": 0}
