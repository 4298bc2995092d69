"""Rules: every rulebook of every service, with all its versions, what they say, and from when to when they hold."""

import asyncio
from typing import Any

from fastapi import APIRouter, Response

from services.gateway.api.portal.visit import Here, PageRoute, Part, Visit

SERVICES = ("onboarding", "registration", "attribution", "incentives")

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/rules")
async def rules(here: Here) -> Response:
    parts = await asyncio.gather(*(here.ask(service, "/rulebooks") for service in SERVICES))
    shown = [_of_service(service, part, here) for service, part in zip(SERVICES, parts, strict=True)]
    return await here.page("rules.html", services=shown)


def _of_service(service: str, part: Part, here: Visit) -> dict[str, Any]:
    books = [{**book, "versions": newest_first(book["versions"], here)} for book in part.items]
    return {"service": service, "part": part, "books": books}


def newest_first(versions: list[dict[str, Any]], here: Visit) -> list[dict[str, Any]]:
    """The versions with where each stands in time: `law`, `replaced` by a newer one that holds too, `past` or `future`."""
    now, holding = here.now.isoformat(), set[str]()
    shown = []
    for version in sorted(versions, key=_number, reverse=True):
        when = _when(version, now)
        shown.append({**version, "when": "replaced" if when == "law" and version["mode"] in holding else when})
        holding |= {version["mode"]} if when == "law" else set()
    return shown


def _number(version: dict[str, Any]) -> int:
    number: int = version["version"]
    return number


def _when(version: dict[str, Any], now: str) -> str:
    if version["effective_from"] > now:
        return "future"
    until = version.get("effective_until")
    return "past" if until and until <= now else "law"
