"""What was returned, taken back or only drafted is written anew and sent again; what was accepted of a request, amended."""

import csv
import io
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden, NotFound
from chassis.http import BadRequest
from services.gateway.api.portal.funds import (
    ROWS_MAX,
    filled_in,
    in_force,
    money_of,
    planned,
    sold_row,
    tax_of,
    then_submit,
)
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Refusal, Sent, Visit, refused

ASKS, CLAIMS = "incentives.DraftFundRequest", "incentives.claim funds and special prices"
AWARDS = "incentives.DraftClaim"
ANEW = ("draft", "returned")
PROOFS = ("invoice", "photo", "report", "attendance", "advertisement", "payment", "other")
BLANK_ROWS, CLAIM_ROWS_MAX, ITEMS_MAX, PROOFS_MAX = 2, 25, 500, 20
COLUMNS = {"fund": ("text", "amount"), "sold": ("sku", "quantity", "sold_on", "serial", "invoice", "amount")}

router = APIRouter(include_in_schema=False, route_class=PageRoute)


def _rows(count: int, most: int) -> list[str]:
    """The numbers of as many rows as are filled in, and some blank ones."""
    return [str(n) for n in range(1, min(count + BLANK_ROWS, most) + 1)]


def _said(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(value) for name, value in values.items() if value is not None}


# Requests


@router.get("/funds/{fund_request_id}/rewrite")
async def request_form(fund_request_id: str, here: Here) -> Response:
    """The request as it was written, to be changed; of an accepted one, to be amended."""
    return await _request_page(here, fund_request_id)


async def _request_page(
    here: Visit, fund_request_id: str, refusal: Refusal | None = None, status: int = 200
) -> Response:
    if not here.may(ASKS):
        raise Forbidden
    found = await here.ask_one("incentives", f"/fund-requests/{fund_request_id}")
    it: dict[str, Any] = found.one
    books = await here.ask_all("incentives", "/rulebooks")
    rows = _rows(len(it["details"]["items"]) if it else 0, ROWS_MAX)
    shown: dict[str, Any] = {
        "part": found,
        "it": it,
        "funds": in_force(books),
        "rows": rows,
        "filled": _planned_before(it),
    }
    shown["open"] = it.get("state") in (*ANEW, "accepted") or refusal is not None
    return await here.page("fund_rewrite.html", status, **shown, refusal=refusal)


def _planned_before(it: dict[str, Any]) -> dict[str, str]:
    if not it:
        return {}
    plan = it["details"]
    named = {name: plan[name] for name in ("activity_type", "starts_on", "ends_on")}
    expected = {"expected_leads": plan.get("expected_leads"), "expected_revenue": _amount(plan.get("expected_revenue"))}
    values = {"fund_id": it["fund_id"], "period": it["period"], **named, **expected}
    for n, item in enumerate(plan["items"], start=1):
        values |= {f"text_{n}": item["text"], f"amount_{n}": _amount(item["amount"])}
        values |= {f"quote_{n}": item.get("quote_sha256")}
    return _said(values)


def _amount(money: dict[str, str] | None) -> str | None:
    return money["amount"] if money else None


@router.post("/funds/{fund_request_id}/rewrite")
async def rewrite_request(fund_request_id: str, here: Here, sent: Sent) -> Response:
    """Writes the request anew and submits it, or asks to change what was accepted."""
    amends = sent.text("what") == "amend"
    answer = await (_amended if amends else _asked_again)(here, sent, fund_request_id)
    if answer.ok:
        return here.went(answer, f"/funds/{fund_request_id}", "fund-amend" if amends else "asked")
    return await _request_page(here, fund_request_id, refused("rewrite", sent, answer), answer.status)


async def _amended(here: Visit, sent: Form, fund_request_id: str) -> Answer:
    body = {**planned(here, sent), **sent.given("reason")}
    return await here.send(sent, "incentives", f"/fund-requests/{fund_request_id}/amend", body)


async def _asked_again(here: Visit, sent: Form, fund_request_id: str) -> Answer:
    body = {**sent.given("fund_id", "period"), **planned(here, sent)}
    return (await then_submit(here, sent, "/fund-requests", "fund_request_id", body, anew=fund_request_id))[0]


# Claims


@router.get("/claims/{claim_id}/rewrite")
async def claim_form(claim_id: str, here: Here) -> Response:
    """The claim as it was written, with its proofs or sold rows, to be changed."""
    return await _claim_page(here, claim_id)


async def _claim_page(here: Visit, claim_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(CLAIMS) and not here.may(AWARDS):
        raise Forbidden
    found = await here.ask_one("incentives", f"/claims/{claim_id}")
    it: dict[str, Any] = found.one
    if it and not here.may(AWARDS if it["kind"] == "spiff" else CLAIMS):
        raise NotFound
    of_fund = it.get("kind") == "fund"
    request = await here.ask("incentives", f"/fund-requests/{it['of_id']}") if of_fund else NOTHING
    items, proofs = it.get("items", []), it.get("proofs", [])
    shown: dict[str, Any] = {
        "open": it.get("state") in ANEW or refusal is not None,
        "rows": _rows(len(items), CLAIM_ROWS_MAX),
        "columns": COLUMNS["fund" if of_fund else "sold"] if len(items) > CLAIM_ROWS_MAX else None,
        "proof_rows": _rows(len(proofs), PROOFS_MAX),
        "proofs": request.one.get("proofs", []),
        "kinds": PROOFS,
        "filled": {**_claimed_before(it), "table": _table(it)},
    }
    return await here.page("claim_rewrite.html", status, part=found, it=it, **shown, refusal=refusal)


def _claimed_before(it: dict[str, Any]) -> dict[str, str]:
    tax = it.get("tax") or {}
    values: dict[str, Any] = {"tax": _amount(tax.get("amount")), "tax_country": tax.get("country")}
    for n, item in enumerate(it.get("items", []), start=1):
        values |= {f"text_{n}": item["text"], f"amount_{n}": _amount(item["amount"])}
        sold = item.get("sold") or {}
        values |= {f"{name}_{n}": sold.get(name) for name in ("sku", "quantity", "sold_on", "serial", "invoice")}
    for n, one in enumerate(it.get("proofs", []), start=1):
        values |= {f"{name}_{n}": one[name] for name in ("kind", "issuer", "number", "issued_on")}
        values |= {f"shown_{n}": _amount(one["amount"]), f"sha256_{n}": one["proof_sha256"]}
    return _said(values)


@router.post("/claims/{claim_id}/rewrite")
async def rewrite_claim(claim_id: str, here: Here, sent: Sent) -> Response:
    """Writes the claim anew and submits it."""
    it = await here.needed("incentives", f"/claims/{claim_id}")
    rows = _from_table(sent, COLUMNS["fund" if it["kind"] == "fund" else "sold"]) if sent.text("table") else sent
    written = _costs(here, rows) if it["kind"] == "fund" else await _sold(here, rows, it)
    body = {"kind": it["kind"], "of_id": it["of_id"], **written, **tax_of(here, sent)}
    answer, sent = await then_submit(here, sent, "/claims", "claim_id", body, anew=claim_id)
    if answer.ok:
        return here.went(answer, f"/claims/{claim_id}", "fund-claim")
    return await _claim_page(here, claim_id, refused("rewrite", sent, answer), answer.status)


def _table(it: dict[str, Any]) -> str:
    """The rows of a claim as a table, one a line, for what is too long for a form of fields."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=";", lineterminator="\n")
    for item in it.get("items", []):
        cells = {"text": item["text"], **(item.get("sold") or {}), "amount": item["amount"]["amount"]}
        writer.writerow([cells.get(name) or "" for name in COLUMNS["sold" if item.get("sold") else "fund"]])
    return out.getvalue()


def _from_table(sent: Form, columns: tuple[str, ...]) -> Form:
    """The form as if each cell of its table had been a field."""
    try:
        lines = [line for line in csv.reader(io.StringIO(sent.text("table"), newline=""), delimiter=";") if any(line)]
    except csv.Error as error:
        raise BadRequest(f"the table cannot be read: {error}") from error
    rows = enumerate(lines, start=1)
    cells = {f"{name}_{n}": cell for n, line in rows for name, cell in zip(columns, line, strict=False)}
    return replace(sent, values={**sent.values, **cells})


def _costs(here: Visit, sent: Form) -> dict[str, Any]:
    rows = filled_in(sent, "text", "amount", most=ITEMS_MAX)
    items = [{"text": sent.text(f"text_{n}"), "amount": money_of(here, sent, sent.text(f"amount_{n}"))} for n in rows]
    shown = filled_in(sent, "sha256", "number", "issuer", "shown")
    return {"items": items, "proofs": [_proof(here, sent, n) for n in shown]}


def _proof(here: Visit, sent: Form, n: str) -> dict[str, Any]:
    named = {name: sent.text(f"{name}_{n}") for name in ("kind", "issuer", "number", "issued_on")}
    amount = money_of(here, sent, sent.text(f"shown_{n}"))
    return {**named, "proof_sha256": sent.text(f"sha256_{n}"), "amount": amount}


async def _sold(here: Visit, sent: Form, it: dict[str, Any]) -> dict[str, Any]:
    """The rows, each of the deal or customer that it named before; a new one, of what the price is for."""
    agreed = await here.needed("incentives", f"/special-prices/{it['of_id']}") if it["kind"] != "spiff" else {}
    before = [item["sold"] or agreed for item in it["items"]]
    rows = []
    for n in filled_in(sent, "sku", most=ITEMS_MAX):
        row, place = sold_row(here, sent, n), int(n) - 1
        whose = before[place] if place < len(before) else agreed
        named = {name: whose[name] for name in ("registration_id", "customer_domain") if whose.get(name)}
        rows.append({**row, "sold": {**row["sold"], **named}})
    return {"items": rows}
