"""What the vendor keeps to itself: customers, keys and product families, listed, added and ended by the desk."""

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from services.gateway.api.portal.customers import named
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

SHOWN_MAX, OF_ACCOUNT = 50, "account:"
NATIONAL = ("vat", "registry", "tax")
"""Numbers that stand behind their country."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/exclusions")
async def exclusions(here: Here) -> Response:
    """The entries, the newest first, and a form for one more."""
    return await _list(here)


async def _list(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("registration.read exclusions"):
        raise Forbidden
    cursor = here.request.query_params.get("cursor")
    found = await here.ask("registration", "/exclusions", cursor=cursor, limit=SHOWN_MAX)
    targets = [row["target"] for row in found.items if row["target"].startswith(OF_ACCOUNT)]
    customers = await named(here, (target.removeprefix(OF_ACCOUNT) for target in targets))
    return await here.page("exclusions.html", status, found=found, customers=customers, refusal=refusal)


def target_of(sent: Form) -> str:
    """What is excluded, as the API names it: a national number stands behind its country."""
    kind, name = sent.text("of"), sent.text("name")
    if kind == "account":
        name = name.rstrip("/").rpartition("/")[2]
    return f"{kind}:{sent.text('country')}:{name}" if kind in NATIONAL else f"{kind}:{name}"


@router.post("/exclusions")
async def add(here: Here, sent: Sent) -> Response:
    """Keeps something for the vendor, from a day on."""
    body = {**sent.given("kind", "from_on", "until_on", "contacted_on"), "target": target_of(sent)}
    answer = await here.send(sent, "registration", "/exclusions", body)
    if answer.ok:
        return here.went(answer, "/exclusions", "exclusion-added")
    return await _list(here, refused("exclusion", sent, answer), answer.status)


@router.post("/exclusions/{exclusion_id}/end")
async def end(exclusion_id: str, here: Here, sent: Sent) -> Response:
    """Takes an entry away; what it decided stays decided."""
    answer = await here.send(sent, "registration", f"/exclusions/{exclusion_id}/end", sent.given("target"))
    if answer.ok:
        return here.went(answer, "/exclusions", "exclusion-ended")
    return await _list(here, refused("end", sent, answer), answer.status)
