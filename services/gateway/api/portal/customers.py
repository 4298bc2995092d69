"""One end customer, for the vendor's desk: who claims it now or then, what says who it is, and what it was merged with."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.deals import customer as written_down
from services.gateway.api.portal.visit import Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

SCHEMES = ("domain", "vat", "lei", "duns", "registry", "tax")
TARGET = "target-"
NOBODY = "nobody"
MEMBERS_SHOWN, MERGED_SHOWN, FAMILIES_SHOWN, PARTNERS_MAX = 20, 20, 50, 200
NAMELESS = "a customer without a name"
DAYS = {"at": "on", "known_at": "known_on"}
"""The days in a page's address; `at` is where the portal itself says what it has just done."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/customers")
async def customers(here: Here) -> Response:
    """The customers by name, and where the desk writes one down that nobody has registered yet."""
    return await _list(here)


async def _list(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("registration.read conflicts"):
        raise Forbidden
    query = here.request.query_params
    filters = {name: query.get(name, "").strip() for name in ("country", "domain")}
    found = await here.ask(
        "registration",
        "/accounts",
        cursor=query.get("cursor"),
        country=filters["country"].upper() or None,
        domain=filters["domain"].casefold() or None,
    )
    return await here.page("customers.html", status, customers=found, filters=filters, refusal=refusal)


@router.post("/customers")
async def open_one(here: Here, sent: Sent) -> Response:
    """Writes a customer down before any partner asks for it."""
    answer = await here.send(sent, "registration", "/accounts", written_down(sent))
    if answer.ok:
        return here.went(answer, f"/customers/{answer.json()['account_id']}", "customer-open")
    return await _list(here, refused("open", sent, answer), answer.status)


@router.get("/customers/{account_id}")
async def customer(account_id: str, here: Here) -> Response:
    """The customer, with its claims as of a day, and as they were known on a day."""
    return await _shown(here, account_id)


async def _shown(here: Visit, account_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("registration.read conflicts"):
        raise Forbidden
    query = here.request.query_params
    then = {name: f"{query[day]}T23:59:59Z" for name, day in DAYS.items() if query.get(day)}
    account, claims, others, partners = await asyncio.gather(
        here.ask("registration", f"/accounts/{account_id}"),
        here.ask("registration", f"/accounts/{account_id}/claims", **then),
        here.ask("registration", "/deals", account_id=account_id, limit=50),
        here.ask("onboarding", "/partners", status="active", limit=PARTNERS_MAX),
    )
    if account.missing:
        raise NotFound
    deals = {deal["registration_id"]: deal for deal in others.items}
    related, merged = await asyncio.gather(_related(here, account.one), _merged(here, account.one))
    said = await _said(here, (account_id, *merged))
    won = [one for one in account.one.get("incumbents", []) if not one.get("source_position")]
    named = {claim.get(of) for claim in (*claims.items, *won) for of in ("partner_id", "counts_as")}
    shown = {
        "account": account,
        "claims": claims,
        "deals": deals,
        "names": await here.names({*named, *(one["partner_id"] for one in said.items)}),
        "won": won,
        "said": said,
        "merged": merged,
        "partners": partners,
        "then": {name: query.get(day, "") for name, day in DAYS.items()},
        "related": related,
        "schemes": SCHEMES,
        "later": refusal.problem.get("claims", []) if refusal else [],
    }
    return await here.page("customer.html", status, **shown, refusal=refusal)


async def _related(here: Visit, account: dict[str, Any]) -> dict[str, str]:
    """The names of the customers that belong together with this one, as far as they are shown."""
    parent = [account["parent"]["account_id"]] if account.get("parent") else []
    shown = [
        *parent,
        *account.get("members", [])[:MEMBERS_SHOWN],
        *(one["account_id"] for one in account.get("links", [])),
    ]
    return await named(here, shown)


async def named(here: Visit, account_ids: Iterable[str]) -> dict[str, str]:
    """The names of these customers, of those that are known."""
    asked = list(dict.fromkeys(account_ids))
    found = await asyncio.gather(*(here.ask("registration", f"/accounts/{one}") for one in asked))
    parts = zip(asked, found, strict=True)
    return {one: part.one.get("name") or NAMELESS for one, part in parts if part.ok}


async def _merged(here: Visit, account: dict[str, Any]) -> dict[str, str]:
    """The entries that were merged into this one, also by way of another one, as far as they are shown: their names by id."""
    found: dict[str, str] = {}
    wanted = _absorbed(account)
    while wanted and len(found) < MERGED_SHOWN:
        parts = await asyncio.gather(*(here.ask("registration", f"/accounts/{one}") for one in wanted[:MERGED_SHOWN]))
        entries = [part.one for part in parts if part.ok]
        found |= {one["account_id"]: one.get("name") or NAMELESS for one in entries}
        wanted = [one for entry in entries for one in _absorbed(entry) if one not in found]
    return found


def _absorbed(account: dict[str, Any]) -> list[str]:
    return [one["account_id"] for one in account.get("merges", [])]


async def _said(here: Visit, entries: Iterable[str]) -> Part:
    """What the vendor said of who sold to a customer before, of each of its entries; none of it where a part is missing."""
    asked = (here.ask("attribution", "/incumbents", account_id=one, limit=FAMILIES_SHOWN) for one in entries)
    parts = await asyncio.gather(*asked)
    missing = next((part for part in parts if not part.ok), None)
    return missing or Part(status=parts[0].status, body={"items": [one for part in parts for one in part.items]})


def _parting(sent: Form) -> dict[str, Any]:
    """The merge to take back, and where each later claim goes."""
    targets = {name.removeprefix(TARGET): to for name, to in sent.values.items() if name.startswith(TARGET) and to}
    return {"merge_id": sent.text("merge_id"), "targets": targets}


def _joining(sent: Form) -> dict[str, Any]:
    """The other entry by its id, or by the address of its page."""
    absorbed = sent.text("absorbed").rstrip("/").rpartition("/")[2]
    return {**sent.given("reason"), "absorbed": absorbed}


def _belonging(sent: Form) -> dict[str, Any]:
    """The parent by its id, or by the address of its page."""
    return {**sent.given("reason"), "parent": sent.text("parent").rstrip("/").rpartition("/")[2]}


def _key(sent: Form) -> dict[str, Any]:
    return {**sent.given("scheme", "value"), "share": sent.text("share") == "yes"}


BODIES: dict[str, Callable[[Form], dict[str, Any]]] = {
    "merge": _joining,
    "split": _parting,
    "add-key": _key,
    "link-parent": _belonging,
    "cut-parent": lambda sent: {},
}


@router.post("/customers/{account_id}/incumbent")
async def incumbent(account_id: str, here: Here, sent: Sent) -> Response:
    """Says who sold a family to the customer before; which attribution keeps, and registration hears."""
    named = {} if sent.text("partner_id") == NOBODY else sent.given("partner_id")
    body = {**sent.given("product_family", "until_on", "reason"), **named, "account_id": account_id}
    answer = await here.send(sent, "attribution", "/incumbents", body)
    if answer.ok:
        return here.went(answer, f"/customers/{account_id}", "customer-incumbent")
    return await _shown(here, account_id, refused("incumbent", sent, answer), answer.status)


@router.post("/customers/{account_id}/{verb}")
async def change(account_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """Merges, splits, adds a key, or says to whom it belongs."""
    if verb not in BODIES:
        raise NotFound
    answer = await here.send(sent, "registration", f"/accounts/{account_id}/{verb}", BODIES[verb](sent))
    if answer.ok:
        return here.went(answer, f"/customers/{account_id}", f"customer-{verb}")
    return await _shown(here, account_id, refused(verb, sent, answer), answer.status)
