"""Recognition: points and badges of a year, what they came from, and what partners celebrate with each other."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, Visit, refused

YEARS_SHOWN = 15
"""Each with all its steps: a page stays below 100 KB."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/recognition")
async def recognition(here: Here) -> Response:
    """Each partner's points and badges; a partner sees its own, and those that others share."""
    return await recognition_page(here)


async def recognition_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("incentives.read recognition"):
        raise Forbidden
    found = await here.ask(
        "incentives", "/recognition", limit=YEARS_SHOWN, cursor=here.request.query_params.get("cursor")
    )
    shared = await here.ask("incentives", "/recognition/shared", limit=50)
    books = await here.ask_all("incentives", "/rulebooks")
    names = await here.names({row["partner_id"] for part in (found, shared) for row in part.items})
    plans = [_plan(row) for row in books.items if row["kind"] == "recognition" and row["versions"]]
    shown = {"years": found, "shared": shared, "names": names, "plans": plans, "books": books}
    return await here.page("recognition.html", status, **shown, refusal=refusal)


def _plan(book: dict[str, Any]) -> dict[str, Any]:
    """Rules of recognition in the words of their newest version."""
    body = book["versions"][-1]["body"]
    return {"plan_id": book["rulebook_id"], **body, "badges": sorted(body.get("badges", ()), key=lambda one: one["at"])}


@router.post("/recognition/{partner_id}/{year}/share")
async def share(partner_id: str, year: int, here: Here, sent: Sent) -> Response:
    """Opens a year to the other partners, or closes it again."""
    body = {"shared": sent.text("shared") == "yes"}
    answer = await here.send(sent, "incentives", f"/recognition/{partner_id}/{year}/share", body)
    if answer.ok:
        return here.went(answer, "/recognition", "recognition-shared" if body["shared"] else "recognition-hidden")
    return await recognition_page(here, refused(f"share-{year}", sent, answer), answer.status)
