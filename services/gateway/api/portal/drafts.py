"""Drafts: what a partner has begun to register, kept as far as it is written, gone on with, registered or thrown away."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden
from services.gateway.api.portal.deals import new_page, registration
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

SERVICE, SAVE = "registration", "registration.SaveDraft"
FIELDS = ("customer", "products", "amount", "close_on", "role", "scope", "partner_reference", "description")
"""What the form can say of a registration; what else a draft holds stays as it is."""
OF_CUSTOMER = ("name", "country", "region", "postcode", "website", "identifiers")
"""What the form can say of a customer. Of a website and identifiers it shows one; the others stay."""

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
    body = (await here.needed(SERVICE, f"/drafts/{registration_id}"))["body"] or {}
    values, chosen = filled(body)
    return await new_page(here, {**values, "draft": registration_id}, chosen, kept=beside(body))


def filled(body: dict[str, Any]) -> tuple[dict[str, str], list[str]]:
    """A draft as the fields of the form, and the families that are chosen."""
    customer, amount = body.get("customer") or {}, body.get("amount") or {}
    named = (customer.get("identifiers") or [{}])[0]
    known = {"known_by": customer.get("website") or named.get("value"), "scheme": _shown_scheme(customer)}
    values = {
        "customer": customer.get("name"),
        **{name: customer.get(name) for name in ("country", "region", "postcode")},
        **known,
        "amount": amount.get("amount"),
        "currency": amount.get("currency"),
        **{name: body.get(name) for name in ("close_on", "role", "scope", "partner_reference", "description")},
    }
    products = dict.fromkeys(_word(one) for one in body.get("products") or [])
    return {name: str(value) for name, value in values.items() if value}, [one for one in products if one]


def beside(body: dict[str, Any]) -> list[str]:
    """What a draft holds that the form has no field for, as names."""
    customer = body.get("customer") or {}
    spare = len(customer.get("identifiers") or []) - (not customer.get("website"))
    named = [name for name in customer if name not in OF_CUSTOMER and customer[name]]
    more = [name for name in body if name not in FIELDS and body[name]]
    return [*named, *(["further_identifiers"] if spare > 0 else []), *more]


def _shown_scheme(customer: dict[str, Any]) -> str:
    """Which one thing the form shows that the customer is known by."""
    named = customer.get("identifiers") or [{}]
    return "website" if customer.get("website") else str(named[0].get("scheme") or "website")


def _word(product: dict[str, Any]) -> str:
    return str(product.get("family") or product.get("sku") or "")


def written(sent: Form, here: Visit) -> dict[str, Any]:
    """The form as a draft: every field that it has, None for what is not filled in."""
    body = registration(sent, here)
    body["customer"] = {name: value for name, value in body["customer"].items() if value}
    body["customer"] |= {"identifiers": [one for one in body["customer"].get("identifiers", []) if one["value"]]}
    amount = body["amount"] if sent.text("amount") else None
    return {name: body.get(name) for name in FIELDS} | {"amount": amount}


def merged(before: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The form with what the draft says besides: names, identifiers and lines that the form cannot show are kept."""
    customer = _customer(before.get("customer") or {}, body["customer"])
    return {**body, "customer": customer, "products": _lines(before.get("products") or [], body["products"])}


def _customer(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """The one thing that the form showed it to be known by is replaced by the one that is written now."""
    kept = {name: value for name, value in before.items() if name not in OF_CUSTOMER}
    spare = before.get("identifiers") or []
    shown = spare[:1] if _shown_scheme(before) != "website" else []
    rest = [one for one in spare[len(shown) :] if one not in now["identifiers"]]
    mine = [_as_before(one, spare) for one in now["identifiers"]]
    return {**kept, **now, "identifiers": [*mine, *(one for one in rest if one not in mine)]}


def _as_before(identifier: dict[str, Any], known: list[dict[str, Any]]) -> dict[str, Any]:
    """The identifier with the country that it was written with, where its number is still the same."""
    same = (one for one in known if all(one.get(name) == identifier[name] for name in ("scheme", "value")))
    return next(same, identifier)


def _lines(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The products that are chosen, each with the articles and quantities that were written of it."""
    return [line for one in now for line in ([old for old in before if _word(old) == one["family"]] or [one])]


async def whole(here: Visit, sent: Form) -> dict[str, Any]:
    """What is filled in, with what its draft says besides. Raises Unavailable where that cannot be read now."""
    body, draft = written(sent, here), sent.text("draft")
    if not draft:
        return body
    return merged((await here.needed(SERVICE, f"/drafts/{draft}"))["body"] or {}, body)


async def save(here: Visit, sent: Form) -> Answer:
    """Keeps the form, as a draft of its own or in place of the one that it came from."""
    body, draft = await whole(here, sent), sent.text("draft")
    if draft:
        return await here.send(sent, SERVICE, f"/deals/{draft}", body, "save", "PATCH")
    given = {name: value for name, value in body.items() if value is not None}
    return await here.send(sent, SERVICE, "/drafts", given, "save")


async def _again(here: Visit, sent: Form, **context: Any) -> Response:
    """The form as it was sent, with what its draft holds besides."""
    draft = sent.text("draft")
    found = await here.ask(SERVICE, f"/drafts/{draft}") if draft else None
    kept = beside(found.one["body"] or {}) if found and found.ok else []
    return await new_page(here, sent.values, sent.words("products"), kept=kept, **context)


@router.post("/drafts")
async def keep(here: Here, sent: Sent) -> Response:
    """Keeps what is filled in so far."""
    answer = await save(here, sent)
    if answer.ok:
        return here.went(answer, "/drafts", "draft-saved")
    return await _again(here, sent, refusal=refused("register", sent, answer), status=answer.status)


@router.post("/drafts/{registration_id}/check")
async def check(registration_id: str, here: Here, sent: Sent) -> Response:
    """What registering the draft as it is filled in now would come to; nothing is kept."""
    body = {name: value for name, value in (await whole(here, sent)).items() if value is not None}
    answer = await here.send(sent, SERVICE, "/deals/preview", body, "preview")
    if answer.ok:
        return await _again(here, sent, preview=answer.json())
    return await _again(here, sent, refusal=refused("check", sent, answer), status=answer.status)


@router.post("/drafts/{registration_id}/register")
async def register(registration_id: str, here: Here, sent: Sent) -> Response:
    """Keeps the form as it is now and registers it."""
    answer = await save(here, sent)
    if answer.ok:
        answer = await here.send(sent, SERVICE, f"/deals/{registration_id}/register")
    if answer.ok:
        return here.went(answer, f"/deals/{registration_id}", "registered")
    return await _again(here, sent, refusal=refused("register", sent, answer), status=answer.status)


@router.post("/drafts/{registration_id}/discard")
async def discard(registration_id: str, here: Here, sent: Sent) -> Response:
    """Throws a draft away."""
    answer = await here.send(sent, SERVICE, f"/deals/{registration_id}/withdraw", {})
    if answer.ok:
        return here.went(answer, "/drafts", "draft-gone")
    return await _list(here, refused("discard", sent, answer), answer.status)
