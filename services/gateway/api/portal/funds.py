"""Funds: what partners have for joint marketing, what they ask for, what was accepted and why, and what they claim."""

import asyncio
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

READ, DECIDE, ALLOCATE = "incentives.read funds", "incentives.DecideFundRequest", "incentives.AllocateFund"
ITEMS = ("1", "2", "3")
ROWS_MAX = 50
DRAFTED = "drafted"
"""The field of a form by which it names what it has drafted already."""

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/funds")
async def funds(here: Here) -> Response:
    """Shares, requests, claims and special prices; for a fund manager what waits for a decision comes first."""
    return await funds_page(here)


async def funds_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(READ):
        raise Forbidden
    cursor = here.request.query_params.get("cursor")
    shares, accruals, requests, claims, prices, books, payees = await asyncio.gather(
        here.ask("incentives", "/funds", limit=200),
        here.ask("incentives", "/fund-accruals", limit=10),
        here.ask("incentives", "/fund-requests", limit=50, cursor=cursor),
        here.ask("incentives", "/claims", limit=50),
        here.ask("incentives", "/special-prices", limit=50),
        here.ask_all("incentives", "/rulebooks"),
        here.ask_if("incentives.read earnings", "/payees", limit=200) if here.may(ALLOCATE) else _nothing(),
    )
    rows = [row for part in (shares, accruals, requests, claims, prices, payees) for row in part.items]
    shown: dict[str, Any] = {
        "shares": shares,
        "accruals": accruals,
        "requests": requests,
        "claims": claims,
        "prices": prices,
        "payees": payees,
    }
    names = await here.names({row["partner_id"] for row in rows})
    pots = await here.ask_if("incentives.read ledger", "/budgets", limit=200)
    shown |= {"names": names, "pots": pots, "funds": in_force(books), "rows": ITEMS}
    return await here.page("funds.html", status, **shown, refusal=refusal)


async def _nothing() -> Part:
    return NOTHING


def in_force(books: Part) -> list[dict[str, Any]]:
    """The funds in force, with what they pay for."""
    found = (row for row in books.items if row["kind"] == "fund" and row["versions"])
    return [{"fund_id": row["rulebook_id"], **row["versions"][-1]["body"]} for row in found]


@router.get("/funds/{fund_request_id}")
async def one(fund_request_id: str, here: Here) -> Response:
    """One request: what is planned, what was accepted item by item, its claims, and every step with its reason."""
    return await request_page(here, fund_request_id)


async def request_page(
    here: Visit, fund_request_id: str, refusal: Refusal | None = None, status: int = 200
) -> Response:
    if not here.may(READ):
        raise Forbidden
    found = await here.ask_one("incentives", f"/fund-requests/{fund_request_id}")
    claims = await here.ask("incentives", "/claims", of_id=fund_request_id, limit=50)
    names = await here.names({found.one.get("partner_id")})
    shown = {"part": found, "it": found.one, "claims": claims, "names": names}
    return await here.page("fund_request.html", status, **shown, refusal=refusal)


# The vendor gives, the partner asks


@router.post("/funds/allocate")
async def allocate(here: Here, sent: Sent) -> Response:
    """Gives a partner a share of a fund."""
    body = {
        **sent.given("partner_id", "period"),
        "ref": sent.key,
        "amount": _money(here, sent.text("amount")),
    }
    answer = await here.send(sent, "incentives", f"/funds/{sent.text('fund_id')}/allocate", body)
    if answer.ok:
        return here.went(answer, "/funds", "share")
    return await funds_page(here, refused("share", sent, answer), answer.status)


@router.post("/funds/requests")
async def ask(here: Here, sent: Sent) -> Response:
    """Asks for fund money: writes the request and submits it."""
    body = {**sent.given("fund_id", "period"), **planned(here, sent)}
    answer, sent = await then_submit(here, sent, "/fund-requests", "fund_request_id", body)
    if answer.ok:
        return here.went(answer, f"/funds/{answer.json()['fund_request_id']}", "asked")
    return await funds_page(here, refused("request", sent, answer), answer.status)


def _money(here: Visit, amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": here.tenancy.currency}


def planned(here: Visit, sent: Form) -> dict[str, Any]:
    """What is planned: the activity, its days, each thing that it costs, and what is expected of it."""
    leads, revenue = sent.number("expected_leads"), sent.text("expected_revenue")
    expected: dict[str, Any] = {} if leads == "" else {"expected_leads": leads}
    expected |= {"expected_revenue": money_of(here, sent, revenue)} if revenue else {}
    items = [_item(here, sent, n) for n in filled_in(sent, "text", "amount")]
    return {**sent.given("activity_type", "starts_on", "ends_on"), "items": items, **expected}


def _item(here: Visit, sent: Form, n: str) -> dict[str, Any]:
    quote = sent.text(f"quote_{n}")
    item = {"text": sent.text(f"text_{n}"), "amount": money_of(here, sent, sent.text(f"amount_{n}"))}
    return {**item, "quote_sha256": quote} if quote else item


def filled_in(sent: Form, *names: str, most: int = ROWS_MAX) -> list[str]:
    """The numbers of a form's rows in which one of these fields is filled in."""
    rows = map(str, range(1, most + 1))
    return [n for n in rows if any(sent.text(f"{name}_{n}") for name in names)]


def money_of(here: Visit, sent: Form, amount: str) -> dict[str, str]:
    """An amount in the currency that the form names, or that of the tenant."""
    return {"amount": amount, "currency": sent.text("currency") or here.tenancy.currency}


async def then_submit(
    here: Visit, sent: Form, path: str, identity: str, body: Any, anew: str = ""
) -> tuple[Answer, Form]:
    """Drafts under the form's key, or writes `anew` anew, and submits in the same breath; a refused draft is answered.

    The form that comes back names a draft that was not submitted: sent again, it is written anew and none is left over.
    """
    known = anew or sent.text(DRAFTED)
    method, to = ("PUT", f"{path}/{known}") if known else ("POST", path)
    drafted = await here.send(sent, "incentives", to, body, step="draft", method=method)
    if not drafted.ok:
        return drafted, sent
    one = known or drafted.json()[identity]
    answer = await here.send(sent, "incentives", f"{path}/{one}/submit", step="submit")
    return answer, sent if answer.ok else _drafted(here, sent, one)


def _drafted(here: Visit, sent: Form, one: str) -> Form:
    """The form with what it has drafted: sent again that is another request, under a key of its own."""
    given = {DRAFTED: one, "key": here.new_key()}
    lists = {name: [value] for name, value in given.items()}
    return replace(sent, values={**sent.values, **given}, lists={**sent.lists, **lists})


def sold_row(here: Visit, sent: Form, n: str) -> dict[str, Any]:
    """A row of the point of sale as a claim's item, from the fields of that number."""
    sku, pieces = sent.text(f"sku_{n}"), sent.number(f"quantity_{n}")
    sold = {"sku": sku, "quantity": pieces, "sold_on": sent.text(f"sold_on_{n}")}
    named = {name: sent.text(f"{name}_{n}") for name in ("serial", "invoice") if sent.text(f"{name}_{n}")}
    amount = money_of(here, sent, sent.text(f"amount_{n}"))
    return {"text": f"{pieces} {sku}", "amount": amount, "sold": {**sold, **named}}


def tax_of(here: Visit, sent: Form) -> dict[str, Any]:
    """The tax that is charged on a claim, where the form names some."""
    amount = sent.text("tax")
    if not amount:
        return {}
    return {"tax": {"country": sent.text("tax_country"), "amount": money_of(here, sent, amount)}}


VERBS = ("recall", "extend", "complete", "cancel")


@router.post("/funds/{fund_request_id}/{verb}")
async def step(fund_request_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """A step of a request: decided item by item, claimed, recalled, extended, completed, cancelled."""
    if verb not in (*VERBS, "decide", "claim"):
        raise NotFound
    answer, sent = await _stepped(here, fund_request_id, verb, sent)
    if answer.ok:
        return here.went(answer, f"/funds/{fund_request_id}", f"fund-{verb}")
    return await request_page(here, fund_request_id, refused(verb, sent, answer), answer.status)


async def _stepped(here: Visit, fund_request_id: str, verb: str, sent: Form) -> tuple[Answer, Form]:
    if verb == "claim":
        return await then_submit(here, sent, "/claims", "claim_id", _claim(here, fund_request_id, sent))
    body: Any = sent.given("reason")
    if verb == "decide":
        body = {"items": _decisions(here, sent), **sent.given("reason")}
    return await here.send(sent, "incentives", f"/fund-requests/{fund_request_id}/{verb}", body or None), sent


def _decisions(here: Visit, sent: Form) -> list[dict[str, Any]]:
    made = []
    for place, outcome in enumerate(sent.lists.get("outcome", [])):
        amount = _at(sent, "accepted", place)
        part = {"amount": _money(here, amount)} if outcome == "accepted_with_changes" and amount else {}
        made.append({"outcome": outcome, "reason": _at(sent, "item_reason", place), **part})
    return made


def _at(sent: Form, name: str, place: int) -> str:
    values = sent.lists.get(name, [])
    return values[place].strip() if place < len(values) else ""


def _claim(here: Visit, fund_request_id: str, sent: Form) -> dict[str, Any]:
    amount = _money(here, sent.text("amount"))
    names = {name: _lines(sent, name) for name in ("proof_kind", "proof_sha256", "number")}
    proofs = [
        {
            "kind": kind,
            "proof_sha256": file,
            "issuer": sent.text("issuer"),
            "number": number,
            "amount": amount,
            "issued_on": sent.text("issued_on"),
        }
        for kind, file, number in zip(*names.values(), strict=False)
        if file or number
    ]
    item = {"text": sent.text("text"), "amount": amount}
    return {"kind": "fund", "of_id": fund_request_id, "items": [item], "proofs": proofs, **tax_of(here, sent)}


def _lines(sent: Form, name: str) -> list[str]:
    return [value.strip() for value in sent.lists.get(name, [])]


# Claims


@router.get("/claims/{claim_id}")
async def claim(claim_id: str, here: Here) -> Response:
    """One claim: what is claimed, its proofs, and each step from there to what was approved."""
    return await claim_page(here, claim_id)


async def claim_page(here: Visit, claim_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may("incentives.read claims"):
        raise Forbidden
    found = await here.ask_one("incentives", f"/claims/{claim_id}")
    names = await here.names({found.one.get("partner_id")})
    return await here.page("claim.html", status, part=found, it=found.one, names=names, refusal=refusal)


@router.post("/claims/{claim_id}/decide")
async def decide_claim(claim_id: str, here: Here, sent: Sent) -> Response:
    """Approves, denies or returns a claim."""
    eligible = sent.text("eligible")
    approved = sent.text("outcome") == "approved"
    part: dict[str, Any] = {"eligible": _money(here, eligible)} if eligible and approved else {}
    if approved and sent.text("pay_as"):
        part |= sent.given("pay_as")
    if part.get("pay_as") == "instalments":
        part |= {"instalments": sent.number("instalments"), **sent.given("first_payable_on")}
    body = {**sent.given("outcome", "reason"), **part}
    answer = await here.send(sent, "incentives", f"/claims/{claim_id}/decide", body)
    if answer.ok:
        return here.went(answer, f"/claims/{claim_id}", "claim-decided")
    return await claim_page(here, claim_id, refused("decide", sent, answer), answer.status)


@router.post("/claims/{claim_id}/credit")
async def credit(claim_id: str, here: Here, sent: Sent) -> Response:
    """Keeps the credit note of a claim that is to be credited."""
    body = sent.given("credit_note", "credited_on")
    answer = await here.send(sent, "incentives", f"/claims/{claim_id}/credit", body)
    if answer.ok:
        return here.went(answer, f"/claims/{claim_id}", "claim-credited")
    return await claim_page(here, claim_id, refused("credit", sent, answer), answer.status)
