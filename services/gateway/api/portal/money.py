"""Money: what was earned line by line, statements, and for the vendor payments by two people and books that balance."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Response

from chassis.asgi import Answer
from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal import sums
from services.gateway.api.portal.payees import payee_names
from services.gateway.api.portal.visit import NOTHING, Form, Here, PageRoute, Part, Refusal, Sent, Visit, refused

OWN_PAY = "incentives.read one's own pay"
TOTALS = "incentives.read totals of earnings"
SALES = "incentives.read sales"
WAITING_MAX, IDENTIFIER = 50, 36
WAITING = ("proposed", "blocked", "approved", "failed", "returned", "unknown", "pending_invoice", "submitted")
"""The states of a payment in which it is not over, those first in which a person goes on."""
SALES_SHOWN = 60

router = APIRouter(include_in_schema=False, route_class=PageRoute)


# Earnings


@router.get("/earnings")
async def earnings(here: Here) -> Response:
    """Lines with their state, dates, and why they are held; statements and payments beside them. A person's are its own.

    Who may read sums alone, such as an analyst, is shown these.
    """
    if here.may(TOTALS) and not here.may("incentives.read earnings"):
        return await here.page("earned.html", totals=await here.ask("incentives", "/ledger/totals"))
    return await earnings_page(here)


async def earnings_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not (here.may("incentives.read earnings") or here.may(OWN_PAY)):
        raise Forbidden
    query = here.request.query_params
    named = {name: query.get(name) or None for name in ("state", "period", "partner_id", "cursor")}
    lines, statements, upcoming, totals, progress, disputes = await asyncio.gather(
        here.ask("incentives", "/lines", **named),
        here.ask("incentives", "/statements", partner_id=named["partner_id"], limit=20),
        here.ask("incentives", "/statements/next", partner_id=named["partner_id"], limit=20),
        earned_by(here, named["partner_id"]),
        here.ask_if("incentives.read earnings", "/progress", partner_id=named["partner_id"], limit=50),
        here.ask("incentives", "/disputes", partner_id=named["partner_id"], limit=20),
    )
    payments = await here.ask_if("incentives.read payments", "/payments", partner_id=named["partner_id"], limit=20)
    whose = {"partner_id": named["partner_id"], "limit": WAITING_MAX}
    waiting = await here.ask_if("incentives.read earnings", "/waiting-facts", **whose)
    missed = await here.ask_if("incentives.read earnings", "/missed-awards", **whose)
    parts = (lines, statements, upcoming, progress, disputes, missed)
    concerned = {whom for sale in waiting.items for one in sale["waiting"] for whom in one["partner_ids"] or ()}
    names = await here.names({row["partner_id"] for part in parts for row in part.items} | concerned)
    customers = await here.customers({row.get("registration_id") for row in (*lines.items, *waiting.items)})
    sales_missed = await here.deals_of_sales({row["opportunity_id"] for row in missed.items})
    shown: dict[str, Any] = {
        "lines": lines,
        "statements": statements,
        "upcoming": upcoming,
        "payments": payments,
        "progress": progress,
        "disputes": disputes,
        "waiting": waiting,
        "missed": missed,
        "sales_missed": sales_missed,
        "names": names,
        "customers": customers,
        "opens": await here.opens({one["registration_id"] for one in (*waiting.items, *sales_missed.values())}),
        "filters": named,
    }
    return await here.page("earnings.html", status, **shown, totals=totals, refusal=refusal)


async def earned_by(here: Visit, partner_id: str | None = None) -> Part:
    """What was earned, by currency and state; not asked of who may not know. None where the lines are too many to add up."""
    if partner_id is None and here.may("incentives.read ledger"):
        books = await here.ask("incentives", "/ledger/balances", limit=1)
        return replace(books, body={"items": sums.of_books(books.one.get("trial_balance", []))})
    if not (here.may("incentives.read earnings") or here.may(OWN_PAY)):
        return NOTHING
    lines = await here.ask_all("incentives", "/lines", partner_id=partner_id)
    rows = [] if lines.next_cursor else sums.of_lines(lines.items)
    return replace(lines, body={"items": rows, "next_cursor": lines.next_cursor})


@router.post("/earnings/resolve")
async def resolve(here: Here, sent: Sent) -> Response:
    """Rates again what could not be rated, or says that it earns nothing."""
    body = {
        **sent.given("plan_id", "fact_id"),
        "win_no": sent.number("win_no"),
        "dropped": sent.text("what") == "drop",
    }
    answer = await here.send(sent, "incentives", f"/sales/{sent.text('opportunity_id')}/resolve", body)
    if answer.ok:
        return here.went(answer, "/earnings", "resolved")
    return await earnings_page(here, refused("resolve", sent, answer), answer.status)


@router.get("/lines/{line_id}")
async def line(line_id: str, here: Here) -> Response:
    """One line, step by step from the won deal to the payout."""
    return await line_page(here, line_id)


async def line_page(here: Visit, line_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    found = await here.ask_one("incentives", f"/lines/{line_id}")
    it = found.one
    sale, journals = await asyncio.gather(_sale(here, it), _journals(here, it))
    why = await here.ask("incentives", f"/why/{it['event_id']}") if it else NOTHING
    notes = await _taken_back(here, it)
    concerned = {row["partner_id"] for note in notes for row in note["lines"]}
    names, deals = await here.names({it.get("partner_id")} | concerned), {it.get("registration_id")}
    shown = {"line": it, "part": found, "sale": sale, "journals": journals, "why": why, "names": names, "notes": notes}
    shown |= {"customer": next(iter((await here.customers(deals)).values()), ""), "opens": await here.opens(deals)}
    return await here.page("line.html", status, **shown, refusal=refusal)


async def _sale(here: Visit, it: dict[str, Any]) -> Part:
    """The opportunity that was won; what was earned by another event, or in a window, has none."""
    if not it.get("opportunity_id") or it["derivation"].get("achievement"):
        return NOTHING
    return await here.ask("attribution", f"/opportunities/{it['opportunity_id']}")


async def _taken_back(here: Visit, it: dict[str, Any]) -> list[dict[str, Any]]:
    """What credit notes and refunds took of this win, for who may read the sale."""
    if not it.get("opportunity_id"):
        return []
    known = await here.ask_if(SALES, f"/sales/{it['opportunity_id']}")
    return [note for note in known.one.get("taken_back", ()) if note["win_no"] == it["win_no"]]


async def _journals(here: Visit, it: dict[str, Any]) -> Part:
    """The journals of one line, for who may read the ledger."""
    if not it or not here.may("incentives.read ledger"):
        return NOTHING
    found = await here.ask_all("incentives", "/ledger", payee_id=it["payee_id"])
    rows = [row for row in found.items if row["cause"] == it["line_id"]]
    return Part(status=found.status, body={"items": rows})


@router.post("/lines/{line_id}/postpone")
async def postpone(line_id: str, here: Here, sent: Sent) -> Response:
    """Holds the line until a later day."""
    answer = await here.send(sent, "incentives", f"/lines/{line_id}/postpone", sent.given("until", "reason"))
    if answer.ok:
        return here.went(answer, f"/lines/{line_id}", "postponed")
    return await line_page(here, line_id, refused("postpone", sent, answer), answer.status)


@router.post("/lines/{line_id}/adjust")
async def adjust(line_id: str, here: Here, sent: Sent) -> Response:
    """Proposes to correct the line; a second person confirms."""
    answer = await here.send(sent, "incentives", f"/lines/{line_id}/adjust", sent.given("amount", "reason"))
    return await _adjusted(here, sent, answer, line_id, "adjust")


@router.post("/lines/{line_id}/adjust/confirm")
async def confirm(line_id: str, here: Here, sent: Sent) -> Response:
    """The second person agrees: the line and the ledger are corrected."""
    answer = await here.send(sent, "incentives", f"/lines/{line_id}/adjust/confirm", sent.given("adjustment_id"))
    return await _adjusted(here, sent, answer, line_id, "adjusted")


async def _adjusted(here: Visit, sent: Form, answer: Answer, line_id: str, done: str) -> Response:
    if answer.ok:
        return here.went(answer, f"/lines/{line_id}", done)
    return await line_page(here, line_id, refused("adjust", sent, answer), answer.status)


MONTHS = ("unearned_months", "term_months")


@router.post("/lines/{line_id}/reverse")
async def reverse(line_id: str, here: Here, sent: Sent) -> Response:
    """Enters a credit note of the line's sale."""
    it = await here.needed("incentives", f"/lines/{line_id}")
    if not it["opportunity_id"]:
        raise NotFound
    months = {name: sent.number(name) for name in MONTHS if sent.text(name)}
    named = sent.given("reversal_id", "amount", "currency", "reason_code", "on")
    body = {"win_no": it["win_no"], **named, **months}
    answer = await here.send(sent, "incentives", f"/sales/{it['opportunity_id']}/reverse", body)
    if answer.ok:
        return here.went(answer, f"/lines/{line_id}", _reversed(answer.json()))
    return await line_page(here, line_id, refused("reverse", sent, answer), answer.status)


def _reversed(told: dict[str, Any]) -> str:
    """What is said of a credit note; the page says what it took of whom."""
    if told["result"] == "repeated":
        return "reversed-before"
    return "reversed" if told["lines"] else "reversed-nothing"


@router.get("/statements/live/{partner_id}")
async def live_statement(partner_id: str, here: Here) -> Response:
    """What the next statement of a payee would say if it were issued now, by cause and line by line."""
    if not (here.may("incentives.read earnings") or here.may(OWN_PAY)):
        raise Forbidden
    query = here.request.query_params
    asked = {"payee_id": query.get("payee_id") or None, "currency": query.get("currency") or here.tenancy.currency}
    found = await here.ask("incentives", "/statements/live", partner_id=partner_id, **asked)
    if found.missing:
        raise NotFound
    statement = found.one
    names, deals = await asyncio.gather(here.names({partner_id}), _deals_of(here, statement))
    shown: dict[str, Any] = {"part": found, "statement": statement, "names": names, "deals": deals}
    return await here.page("statement_live.html", **shown)


@router.get("/statements/{statement_id}")
async def statement(statement_id: str, here: Here) -> Response:
    """A statement as it was issued: opening, lines, closing, and what is disputed of it."""
    return await statement_page(here, statement_id)


async def statement_page(here: Visit, statement_id: str, refusal: Refusal | None = None, status: int = 200) -> Response:
    found = await here.ask_one("incentives", f"/statements/{statement_id}")
    partner_id = found.one.get("partner_id")
    names, deals, disputes = await asyncio.gather(
        here.names({partner_id}),
        _deals_of(here, found.one),
        here.ask("incentives", "/disputes", partner_id=partner_id, limit=200),
    )
    standing = (row for row in disputes.items if row["state"] != "withdrawn")
    disputed = {row["event_id"]: row for row in standing if row["statement_id"] == statement_id}
    causes = {**_lines_of(found.one, disputed), **deals}
    payments = {row["event_id"]: row for row in found.one.get("payments", ()) if row["to_bank"] != row["amount"]}
    shown = {"part": found, "statement": found.one, "names": names, "causes": causes, "disputed": disputed}
    shown |= {"payments": payments}
    return await here.page("statement.html", status, **shown, refusal=refusal)


@router.post("/statements/{statement_id}/dispute")
async def dispute(statement_id: str, here: Here, sent: Sent) -> Response:
    """The payee says what is wrong with a line: it is not paid until that is final."""
    body = {**sent.given("event_id", "reason"), **_shown(sent)}
    answer = await here.send(sent, "incentives", f"/statements/{statement_id}/dispute", body)
    return await _disputed(here, sent, answer, statement_id, "")


def _shown(sent: Form) -> dict[str, Any]:
    """One document, by the SHA-256 of its content, and what it shows; none where neither is filled in."""
    shown = {"sha256": sent.text("sha256").lower(), "text": sent.text("shows")}
    return {"evidence": [shown]} if any(shown.values()) else {}


STEPS: dict[str, Callable[[Form], dict[str, Any]]] = {
    "request-evidence": lambda sent: sent.given("question"),
    "show-evidence": _shown,
    "decide": lambda sent: sent.given("outcome", "reason"),
    "appeal": lambda sent: sent.given("statement"),
    "withdraw": lambda sent: {},
    "corrected": lambda sent: sent.given("reason"),
}


@router.post("/statements/{statement_id}/dispute/{step}")
async def dispute_step(statement_id: str, step: str, here: Here, sent: Sent) -> Response:
    """Takes the next step of a dispute. Raises NotFound where it is none."""
    if step not in STEPS:
        raise NotFound
    body = {**sent.given("event_id"), **STEPS[step](sent)}
    answer = await here.send(sent, "incentives", f"/statements/{statement_id}/dispute/{step}", body)
    return await _disputed(here, sent, answer, statement_id, step)


async def _disputed(here: Visit, sent: Form, answer: Answer, statement_id: str, step: str) -> Response:
    if answer.ok:
        return here.went(answer, f"/statements/{statement_id}", f"dispute-{step}" if step else "disputed")
    form = "-".join(filter(None, ("dispute", sent.text("event_id"), step)))
    return await statement_page(here, statement_id, refused(form, sent, answer), answer.status)


def _lines_of(statement: dict[str, Any], disputed: dict[str, Any]) -> dict[str, str]:
    """The earning lines of a statement that are disputed: who decides that reads them, and no others."""
    lines = (line for line in statement.get("lines", ()) if line["event_id"] in disputed and line["opportunity_id"])
    return {line["cause"]: "the line" for line in lines}


async def _deals_of(here: Visit, statement: dict[str, Any]) -> dict[str, str]:
    """The customers' names by the line that a statement tells of."""
    if not statement:
        return {}
    lines = await here.ask_all("incentives", "/lines", partner_id=statement["partner_id"])
    customers = await here.customers({line["registration_id"] for line in lines.items})
    return {line["line_id"]: customers.get(line["registration_id"], "the line") for line in lines.items}


# The vendor's money


@router.get("/money")
async def money(here: Here) -> Response:
    """Statements to issue, payments to propose, approve and submit, the trial balance."""
    return await money_page(here)


async def money_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.vendor or not here.may("incentives.read payments"):
        raise Forbidden
    books, withheld, payments, statements, upcoming, payees = await asyncio.gather(
        here.ask_if("incentives.read ledger", "/ledger/balances", limit=200),
        here.ask_if("incentives.read ledger", "/withheld"),
        here.ask("incentives", "/payments", limit=50, cursor=here.request.query_params.get("cursor")),
        here.ask_if("incentives.read earnings", "/statements", limit=50),
        here.ask_if("incentives.read earnings", "/statements/next", limit=50),
        here.ask_if("incentives.read earnings", "/payees", limit=200),
    )
    waiting = await _waiting(here)
    rows = [row for part in (books, payments, statements, upcoming, payees) for row in part.items]
    names = await here.names({row["partner_id"] for row in (*rows, *waiting)})
    paid_for = {row["statement_id"] for row in (*payments.items, *waiting)}
    shown = {
        "books": books,
        "withheld": withheld,
        "payments": payments,
        "statements": statements,
        "payees": payees,
        "names": names,
    }
    decided = {
        "people": await people_of(here, [*payments.items, *waiting]),
        "payee_names": await payee_names(here, [*(row for row in rows if "payee_id" in row), *waiting]),
        "waiting": waiting,
        "finished": [row for row in payments.items if row["state"] not in WAITING],
        "paid_for": paid_for,
        "last_month": _month_before(here),
        "upcoming": upcoming,
    }
    return await here.page("money.html", status, **shown, **decided, refusal=refusal)


async def _waiting(here: Visit) -> list[dict[str, Any]]:
    """The payments that wait for somebody or for the provider, on the first page."""
    if here.request.query_params.get("cursor"):
        return []
    found = await asyncio.gather(
        *(here.ask("incentives", "/payments", state=state, limit=WAITING_MAX) for state in WAITING)
    )
    return [row for part in found for row in part.items]


async def people_of(here: Visit, payments: list[dict[str, Any]]) -> dict[str, str]:
    """The handles of the staff who proposed and approved."""
    ids = sorted({row[who] for row in payments for who in ("proposed_by", "approved_by") if row.get(who)})
    found = await here.app.read.get_many("staff", here.tenant, ids) if ids else {}
    return {staff_id: item["handle"] for staff_id, item in found.items()}


def _month_before(here: Visit) -> str:
    day = here.now.astimezone(here.tenancy.zone)
    return f"{day.year:04}-{day.month - 1:02}" if day.month > 1 else f"{day.year - 1:04}-12"


@router.post("/money/statements")
async def issue(here: Here, sent: Sent) -> Response:
    """Issues the statement of a month of a partner, or of a person at it, whose id stands behind the partner's."""
    partner_id, _, payee_id = sent.text("payee").partition(" ")
    whose = {"partner_id": partner_id, **({"payee_id": payee_id} if payee_id else {})}
    body = {"currency": here.tenancy.currency, **whose, **sent.given("period", "currency")}
    return await _done(here, sent, "/statements", body, "statement")


@router.post("/money/payments")
async def propose(here: Here, sent: Sent) -> Response:
    """Proposes to pay a statement."""
    return await _done(here, sent, "/payments", sent.given("statement_id"), "propose")


@router.post("/money/withheld/{jurisdiction}")
async def remit(jurisdiction: str, here: Here, sent: Sent) -> Response:
    """Books that what is withheld for a jurisdiction was paid to it."""
    return await _done(here, sent, f"/withheld/{jurisdiction}/remit", sent.given("currency", "reference"), "remit")


VERBS: dict[str, Callable[[Form], dict[str, Any] | None]] = {
    "approve": lambda sent: None,
    "submit": lambda sent: None,
    "resume": lambda sent: None,
    "retry": lambda sent: None,
    "decline": lambda sent: sent.given("category"),
}


@router.post("/money/payments/{payment_id}/{verb}")
async def decide(payment_id: str, verb: str, here: Here, sent: Sent) -> Response:
    """A step of a payment: a second person approves or declines, finance submits."""
    if verb not in VERBS:
        raise NotFound
    return await _done(here, sent, f"/payments/{payment_id}/{verb}", VERBS[verb](sent), f"{verb}-{payment_id}")


async def _done(here: Visit, sent: Form, path: str, body: Any, name: str) -> Response:
    answer = await here.send(sent, "incentives", path, body)
    if answer.ok:
        return here.went(answer, "/money", name.split("-", 1)[0])
    return await money_page(here, refused(name, sent, answer), answer.status)


# What is owed, and what may still be spent


@router.get("/forecast")
async def forecast(here: Here) -> Response:
    """An estimate of what open sales will pay partners, month by month."""
    if not here.may("incentives.read ledger"):
        raise Forbidden
    part = await here.ask("incentives", "/forecast")
    found = {**part.one, "items": part.one.get("items", [])[:SALES_SHOWN]} if part.one else {}
    lines = [line for sale in found.get("items", []) for line in sale["lines"]]
    names = await here.names({line["partner_id"] for line in (*lines, *found.get("partners", []))})
    return await here.page("forecast.html", part=part, it=found, names=names)


@router.get("/owed")
async def owed(here: Here) -> Response:
    """What is owed to each payee on any day, the budgets and what is left of them, and the lines that are disputed."""
    return await owed_page(here)


async def owed_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.vendor or not here.may("incentives.read ledger"):
        raise Forbidden
    day = here.request.query_params.get("as_of") or None
    liability, write_offs, budgets, disputes = await asyncio.gather(
        here.ask("incentives", "/liability", as_of=day),
        here.ask("incentives", "/write-offs", limit=50),
        here.ask("incentives", "/budgets", limit=200),
        here.ask_if("incentives.read earnings", "/disputes", limit=100),
    )
    parts = {"liability": liability, "write_offs": write_offs, "disputes": disputes}
    owners = {row["budget_id"][-IDENTIFIER:] for row in budgets.items}  # a partner's share of a fund ends with its id
    names = await here.names({*owners, *(row["partner_id"] for part in parts.values() for row in part.items)})
    people = await payee_names(here, [*liability.items, *write_offs.items])
    shown = {
        "budgets": budgets,
        "names": names,
        "people": people,
        "as_of": day,
        "owing": [] if day else sums.below_zero(liability.items),
    }
    return await here.page("owed.html", status, **parts, **shown, refusal=refusal)


@router.post("/owed/write-offs")
async def write_off(here: Here, sent: Sent) -> Response:
    """Gives up what a payee owes: one person proposes it, a second one confirms."""
    answer = await here.send(sent, "incentives", "/write-offs", sent.given("payee_id", "currency", "reason"))
    if answer.ok:
        return here.went(answer, "/owed", "write-off")
    return await owed_page(here, refused("write-off", sent, answer), answer.status)


@router.post("/owed/budgets")
async def fill(here: Here, sent: Sent) -> Response:
    """Puts money into a budget, or units."""
    body = {"ref": sent.key, **sent.given("units")}
    if "units" not in body:
        body |= {"currency": here.tenancy.currency, **sent.given("amount", "currency")}
    answer = await here.send(sent, "incentives", f"/budgets/{sent.text('budget_id')}/allocate", body)
    if answer.ok:
        return here.went(answer, "/owed", "filled")
    return await owed_page(here, refused("budget", sent, answer), answer.status)


@router.post("/owed/budgets/end")
async def end(here: Here, sent: Sent) -> Response:
    """Ends a budget: what is left in it is gone."""
    answer = await here.send(sent, "incentives", f"/budgets/{sent.text('budget_id')}/expire", {"ref": sent.key})
    if answer.ok:
        return here.went(answer, "/owed", "budget-ended")
    return await owed_page(here, refused("budget", sent, answer), answer.status)
