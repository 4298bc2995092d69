"""Tiers: which level a partner has, from which figures, what is missing to the next one, and what is under review."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

FORMS: dict[str, tuple[str, ...]] = {
    "metrics": ("metric", "value", "on", "ref"),
    "review": ("outcome", "keep_until", "reason"),
    "override": ("level", "until", "reason"),
    "appeal": ("reason",),
    "answer": ("reason",),
}

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/tiers")
async def tiers(here: Here) -> Response:
    """Each partner's tier; a partner sees its own."""
    return await tiers_page(here)


async def tiers_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("incentives.read tiers"):
        raise Forbidden
    cursor = here.request.query_params.get("cursor")
    found = await here.ask("incentives", "/tiers", limit=50, cursor=cursor)
    books = await here.ask_all("incentives", "/rulebooks")
    payees = await here.ask_if("incentives.read earnings", "/payees", limit=200)
    names = await here.names({row["partner_id"] for part in (found, payees) for row in part.items})
    programmes = [_programme(row) for row in books.items if row["kind"] == "tier" and row["versions"]]
    shown = {"tiers": found, "names": names, "programmes": programmes, "payees": payees, "books": books}
    return await here.page("tiers.html", status, **shown, refusal=refusal)


def _programme(book: dict[str, Any]) -> dict[str, Any]:
    """A programme in the words of its newest version."""
    return {"programme": book["rulebook_id"], **book["versions"][-1]["body"]}


@router.post("/tiers/{programme}/{partner_id}/{verb}")
async def step(programme: str, partner_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Records a figure, decides a review, sets a level with a second person, appeals, or answers that."""
    if verb not in FORMS:
        raise NotFound
    partner = sent.text("partner_id") or partner_id
    answer = await here.send(sent, "incentives", f"/tiers/{programme}/{partner}/{verb}", _body(verb, sent))
    if answer.ok:
        return here.went(answer, "/tiers", f"tier-{verb}")
    return await tiers_page(here, refused(f"{verb}-{partner_id}", sent, answer), answer.status)


def _body(verb: str, sent: Form) -> dict[str, Any]:
    body: dict[str, Any] = sent.given(*FORMS[verb])
    if verb == "metrics" and "ref" not in body:
        body["ref"] = f"{body.get('metric', '')}-{body.get('on', '')}"
    if body.get("outcome") != "keep_until":
        body.pop("keep_until", None)
    return body
