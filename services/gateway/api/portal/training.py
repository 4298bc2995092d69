"""Training: who is certified in what and until when, how many of a partner's people are, and who loses it."""

import asyncio

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, Visit, refused

SERVICE = "onboarding"
COUNTS_MAX = 200

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/training")
async def training(here: Here) -> Response:
    """The vendor sees everybody, a partner's owner its own people, everybody else there itself."""
    return await training_page(here)


async def training_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("onboarding.read certificates"):
        raise Forbidden
    query = here.request.query_params
    wanted = {name: query.get(name) or None for name in ("certification", "status")}
    held, counts, books = await asyncio.gather(
        here.ask(SERVICE, "/certificates", **wanted, cursor=query.get("cursor")),
        here.ask(SERVICE, "/rosters", limit=COUNTS_MAX),
        certifications(here),
    )
    names = await here.names({row["partner_id"] for part in (held, counts) for row in part.items})
    shown = {"held": held, "counts": counts, "books": books, "names": names, "wanted": wanted}
    return await here.page("training.html", status, **shown, refusal=refusal)


async def certifications(here: Visit) -> dict[str, str]:
    """What people can be certified in, by the id of its rules: the name that the newest version gives it."""
    books = await here.ask_all(SERVICE, "/rulebooks", kind="certification")
    return {row["rulebook_id"]: row["versions"][-1]["body"]["name"] for row in books.items if row["versions"]}


@router.post("/training/{certificate_id}/revoke")
async def revoke(certificate_id: str, here: Here, sent: Sent) -> Response:
    """Takes a certificate away, with a second person."""
    body = sent.given("reason_code")
    answer = await here.send(sent, SERVICE, f"/certificates/{certificate_id}/revoke", body)
    if answer.ok:
        return here.went(answer, "/training", "certificate-revoke")
    return await training_page(here, refused(f"revoke-{certificate_id}", sent, answer), answer.status)
