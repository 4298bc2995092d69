"""Drafts: what a partner has begun to register, kept as far as it is written, gone on with, registered or thrown away."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.deals import new_page, registration
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

SERVICE, SAVE = "registration", "registration.SaveDraft"
FIELDS = ("customer", "products", "amount", "close_on", "role", "partner_reference", "description")
"""What the form can say of a registration; what else a draft holds stays as it is."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/drafts")
async def drafts(here: Here) -> Response:
    """What is begun and not registered yet."""
    return await _list(here)


async def _list(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(SAVE):
        raise Forbidden
    found = await here.ask(SERVICE, "/drafts", cursor=here.request.query_params.get("cursor"))
    return await here.page("drafts.html", status, drafts=found, refusal=refusal)


@router.get("/drafts/{registration_id}")
async def go_on(registration_id: str, here: Here) -> Response:
    """The form as far as it is filled in."""
    if not here.may(SAVE):
        raise Forbidden
    found = await here.ask(SERVICE, f"/drafts/{registration_id}")
    if not found.ok:
        raise NotFound
    values, chosen = filled(found.one["body"] or {})
    return await new_page(here, {**values, "draft": registration_id}, chosen)


def filled(body: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """A draft as the fields of the form, and the families that are chosen."""
    customer, amount = body.get("customer") or {}, body.get("amount") or {}
    named = (customer.get("identifiers") or [{}])[0]
    known = {"known_by": customer.get("website") or named.get("value"), "scheme": named.get("scheme") or "website"}
    values = {
        "customer": customer.get("name"),
        **{name: customer.get(name) for name in ("country", "region", "postcode")},
        **known,
        "amount": amount.get("amount"),
        "currency": amount.get("currency"),
        **{name: body.get(name) for name in ("close_on", "role", "partner_reference", "description")},
    }
    products = [one.get("family") or one.get("sku") for one in body.get("products") or []]
    return {name: str(value) for name, value in values.items() if value}, [str(one) for one in products if one]


def written(sent: Form, here: Visit) -> dict[str, Any]:
    """The form as a draft: every field that it has, None for what is not filled in."""
    body = registration(sent, here)
    body["customer"] = {name: value for name, value in body["customer"].items() if value}
    body["customer"] |= {"identifiers": [one for one in body["customer"].get("identifiers", []) if one["value"]]}
    amount = body["amount"] if sent.text("amount") else None
    return {name: body.get(name) for name in FIELDS} | {"amount": amount}


async def save(here: Visit, sent: Form) -> Answer:
    """Keeps the form, as a draft of its own or in place of the one that it came from."""
    body, draft = written(sent, here), sent.text("draft")
    if draft:
        return await here.send(sent, SERVICE, f"/deals/{draft}", body, "save", "PATCH")
    given = {name: value for name, value in body.items() if value is not None}
    return await here.send(sent, SERVICE, "/drafts", given, "save")


@router.post("/drafts")
async def keep(here: Here, sent: Sent) -> Response:
    """Keeps what is filled in so far."""
    answer = await save(here, sent)
    if answer.ok:
        return here.went(answer, "/drafts", "draft-saved")
    return await new_page(here, sent.values, sent.words("products"), refused("register", sent, answer), answer.status)


@router.post("/drafts/{registration_id}/register")
async def register(registration_id: str, here: Here, sent: Sent) -> Response:
    """Keeps the form as it is now and registers it."""
    answer = await save(here, sent)
    if answer.ok:
        answer = await here.send(sent, SERVICE, f"/deals/{registration_id}/register")
    if answer.ok:
        return here.went(answer, f"/deals/{registration_id}", "registered")
    return await new_page(here, sent.values, sent.words("products"), refused("register", sent, answer), answer.status)


@router.post("/drafts/{registration_id}/discard")
async def discard(registration_id: str, here: Here, sent: Sent) -> Response:
    """Throws a draft away."""
    answer = await here.send(sent, SERVICE, f"/deals/{registration_id}/withdraw", {})
    if answer.ok:
        return here.went(answer, "/drafts", "draft-gone")
    return await _list(here, refused("discard", sent, answer), answer.status)
