"""Settings: API keys, and in development the clock."""

from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import NotFound
from chassis.event import iso
from contracts.catalogue import SERVICES
from services.gateway.api.portal.formats import instant_of
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

DAYS_MAX = 400

router = APIRouter(include_in_schema=False, route_class=PageRoute)


# Keys


@router.get("/settings")
async def settings(here: Here) -> Response:
    """The visitor's rights, the API keys of its side, and the clock."""
    return await settings_page(here)


async def settings_page(
    here: Visit, refusal: Refusal | None = None, status: int = 200, made: dict[str, Any] | None = None
) -> Response:
    await here.settled("clients")
    keys = NOTHING
    if here.may("gateway.read clients"):
        answer = await here.own("GET", "/v1/clients?limit=100")
        keys = Part(status=answer.status, body=answer.json())
    scopes = [f"{service}:{right}" for service in SERVICES for right in ("read", "write")]
    return await here.page("settings.html", status, keys=keys, scopes=scopes, made=made, refusal=refusal)


@router.post("/settings/keys")
async def create(here: Here, sent: Sent) -> Response:
    """Makes a key and shows it, this once."""
    body = {"name": sent.text("name"), "scopes": sent.words("scopes"), "days": _whole(sent.text("days"))}
    answer = await here.own("POST", "/v1/clients", body, sent.key)
    if answer.ok:
        return await settings_page(here, made=answer.json())
    return await settings_page(here, refused("key", sent, answer), answer.status)


def _whole(text: str) -> int | str:
    """A whole number where the text is one; else the text, for the API to refuse."""
    return int(text) if text.isdecimal() and len(text) < 6 else text  # noqa: PLR2004  no field here is longer


@router.post("/settings/keys/{client_id}/revoke")
async def revoke(client_id: str, here: Here, sent: Sent) -> Response:
    """Ends a key at once."""
    answer = await here.own("POST", f"/v1/clients/{client_id}/revoke", None, sent.key)
    if answer.ok:
        return here.went(answer, "/settings", "revoked")
    return await settings_page(here, refused("revoke", sent, answer), answer.status)


# The development clock


@router.post("/settings/clock")
async def clock(here: Here, sent: Sent) -> Response:
    """Sets the clock of all services forward by days, or to an instant."""
    if not here.app.ports.development:
        raise NotFound
    answer = await here.own("POST", "/dev/clock", {"to": _target(here, sent)}, sent.key)
    if answer.ok:
        return here.went(answer, "/settings", "clock")
    return await settings_page(here, refused("clock", sent, answer), answer.status)


def _target(here: Visit, sent: Form) -> str:
    days = _whole(sent.text("days"))
    if isinstance(days, int):
        return iso(here.now + timedelta(days=min(days, DAYS_MAX)))
    wanted = instant_of(f"{sent.text('to')}:00+00:00")
    return iso(wanted) if wanted else sent.text("to")
