"""Being paid: why a payee can or cannot be paid, its bank details and tax forms, each settled by a second person."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import Form, Here, PageRoute, Refusal, Sent, Visit, refused

_YEAR = re.compile("20[0-9]{2}")
NAMES, NAMED_MAX = "onboarding.read the names of who is paid", 200
READ, OWN = "incentives.read bank and tax", "incentives.read one's own pay"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/payees")
async def payees(here: Here) -> Response:
    """Who can be paid and who cannot, and why not; a partner sees itself and its people, a person itself."""
    if not (here.may(READ) or here.may(OWN)):
        raise Forbidden
    query = here.request.query_params
    year = query.get("year", "")
    year = year if _YEAR.fullmatch(year) else here.formats.today()[:4]
    found, paid = await asyncio.gather(
        here.ask("incentives", "/payees", limit=50, cursor=query.get("cursor")),
        here.ask_if("incentives.read ledger", "/tax-years", year=year),
    )
    names = await here.names({row["partner_id"] for part in (found, paid) for row in part.items})
    people = await payee_names(here, [*found.items, *paid.items])
    return await here.page("payees.html", payees=found, paid=paid, year=year, names=names, people=people)


async def payee_names(here: Visit, rows: list[dict[str, Any]], partner_id: str = "") -> dict[str, str]:
    """The names of those payees that are people, as far as this visitor may read them."""
    people = sorted({row["payee_id"] for row in rows} - {row.get("partner_id", partner_id) for row in rows})
    found = [
        await here.ask_if(NAMES, "/payee-names", person_id=people[start : start + NAMED_MAX])
        for start in range(0, len(people), NAMED_MAX)
    ]
    return {row["person_id"]: row["name"] for part in found for row in part.items}


@router.get("/payees/{payee_id}")
async def payee(payee_id: str, here: Here) -> Response:
    """One payee: what keeps it from being paid, bank details, tax forms, currency."""
    return await payee_page(here, payee_id)


async def payee_page(here: Visit, payee_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not (here.may(READ) or here.may(OWN)):
        raise Forbidden
    found = await here.ask_one("incentives", f"/payees/{payee_id}")
    names = await here.names({found.one.get("partner_id")})
    people = await payee_names(here, [found.one] if found.one else [])
    return await here.page("payee.html", status, part=found, it=found.one, names=names, people=people, refusal=refusal)


def _tax(sent: Form) -> dict[str, Any]:
    year = sent.text("tax_year")
    named = sent.given("form", "jurisdiction", "payee_kind", "form_sha256")
    return {**named, **({"tax_year": int(year)} if year.isdecimal() else {})}


def _bank(sent: Form) -> dict[str, Any]:
    """What was entered of an account and its bank, as it is written without spaces."""
    written = {name: "".join(sent.text(name).split()).upper() for name in ("iban", "number", "bic", "clearing_number")}
    return {**sent.given("holder", "clearing"), **{name: text for name, text in written.items() if text}}


VERBS: dict[str, tuple[str, str, Callable[[Form], dict[str, Any] | None]]] = {
    "bank": ("PUT", "bank", _bank),
    "verify": ("POST", "bank/verify", lambda sent: sent.given("bank_id", "method")),
    "tax": ("PUT", "tax", _tax),
    "decide": ("POST", "tax/{form_id}/decide", lambda sent: sent.given("outcome", "reason")),
    "currency": ("PUT", "currency", lambda sent: {"currency": sent.text("currency") or None}),
    "consent": ("POST", "consent", lambda sent: None),
    "block": ("POST", "block", lambda sent: sent.given("reason")),
    "unblock": ("POST", "unblock", lambda sent: sent.given("reason")),
}
"""What each form sends, and where it goes."""


@router.post("/payees/{payee_id}/{verb}")
async def step(payee_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Changes or verifies bank details, hands in or decides a tax form, stops payments or lets them go on."""
    if verb not in VERBS:
        raise NotFound
    method, path, body = VERBS[verb]
    to = f"/payees/{payee_id}/{path.format(form_id=sent.text('form_id'))}"
    answer = await here.send(sent, "incentives", to, body(sent), method=method)
    if answer.ok:
        return here.went(answer, f"/payees/{payee_id}", f"payee-{verb}")
    return await payee_page(here, payee_id, refused(verb, sent, answer), answer.status)
