"""A deal in place of another: the form of a registration, filled in as the deal stands."""

from typing import Any

import orjson
from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from services.gateway.api.portal.deals import new_page
from services.gateway.api.portal.drafts import SERVICE, beside, filled, merged, written
from services.gateway.api.portal.visit import Form, Here, PageRoute, Sent, Visit, refused

REGISTER = "registration.RegisterDeal"
KEPT = ("tender", "tender_on", "price_reference", "fund_reference", "crm_reference", "description")
"""What the new deal takes over besides customer, products, amount and date."""
USUAL = ("new", "none")
"""Said of a deal of which nobody said otherwise."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/deals/{registration_id}/replace")
async def replacing(registration_id: str, here: Here) -> Response:
    """The form with what the deal says, to be changed where the new one is to differ."""
    old = await _old(here, registration_id)
    values, chosen = filled(as_registered(old))
    return await new_page(here, values, chosen, **_shown(old))


async def _old(here: Visit, registration_id: str) -> dict[str, Any]:
    if not here.may(REGISTER):
        raise Forbidden
    return await here.needed(SERVICE, f"/deals/{registration_id}")


def _shown(old: dict[str, Any]) -> dict[str, Any]:
    return {"old": old["board"], "kept": beside(as_registered(old))}


def as_registered(old: dict[str, Any]) -> dict[str, Any]:
    """A deal as the body of a registration that says the same."""
    board, details = old["board"], old["details"]
    said = {name: details.get(name) for name in ("amount", "close_on", *KEPT)}
    asked = {"role": board["role"], "scope": old["scope"], "deal_type": board["deal_type"]}
    body = {"customer": _customer(old["customer"]), "products": old["products"], **asked, **said}
    named = {**body, "confidential": old["confidential"]}
    return {name: value for name, value in named.items() if value and value not in USUAL}


def _customer(customer: dict[str, Any]) -> dict[str, Any]:
    """A natural person is named in the sealed text alone."""
    if customer.get("private"):
        person: dict[str, Any] = orjson.loads(customer["private"])
        return person
    known = {name: customer.get(name) for name in ("name", "country", "region", "postcode", "street", "trade_names")}
    numbers = [{name: one[name] for name in ("scheme", "value", "country")} for one in customer["identifiers"]]
    return {**known, "website": customer.get("domain"), "identifiers": numbers}


def _whole(old: dict[str, Any], sent: Form, here: Visit) -> dict[str, Any]:
    """The deal with what the form says instead; left empty, the scope is the company."""
    before = as_registered(old)
    now = {name: value for name, value in merged(before, written(sent, here)).items() if value is not None}
    return {**before, "scope": "entity", **now}


@router.post("/deals/{registration_id}/replace/check")
async def check(registration_id: str, here: Here, sent: Sent) -> Response:
    """What the new deal would come to; nothing is kept."""
    old = await _old(here, registration_id)
    named = {"partner_id": old["partner_id"]} if here.vendor else {}
    answer = await here.send(sent, SERVICE, "/deals/preview", {**_whole(old, sent, here), **named}, "preview")
    if answer.ok:
        return await new_page(here, sent.values, sent.words("products"), **_shown(old), preview=answer.json())
    problem = refused("check", sent, answer)
    return await new_page(
        here, sent.values, sent.words("products"), status=answer.status, **_shown(old), refusal=problem
    )


@router.post("/deals/{registration_id}/replace")
async def replace(registration_id: str, here: Here, sent: Sent) -> Response:
    """Registers the new deal and goes to its page."""
    old = await _old(here, registration_id)
    answer = await here.send(sent, SERVICE, f"/deals/{registration_id}/replace", _whole(old, sent, here))
    if answer.ok:
        return here.went(answer, f"/deals/{answer.json()['registration_id']}", "replace")
    problem = refused("register", sent, answer)
    return await new_page(
        here, sent.values, sent.words("products"), status=answer.status, **_shown(old), refusal=problem
    )
