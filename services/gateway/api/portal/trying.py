"""Trying plans: what a sale that might be would pay, what a plan would have paid, and what one in the shadow would."""

import asyncio
from decimal import Decimal
from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.rulebook import open_draft
from services.gateway.api.portal.visit import NOTHING, Here, PageRoute, Refusal, Sent, Visit, refused

EARNINGS, TRIES = "incentives.read earnings", "incentives.shadow runs"
REFRESH_SECONDS = "1"

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/estimate")
async def estimate(here: Here) -> Response:
    """Asks what a sale would pay."""
    return await estimate_page(here)


async def estimate_page(
    here: Visit, lines: Any = None, values: Any = None, refusal: Refusal | None = None, status: int = 200
) -> Response:
    if not here.may(EARNINGS):
        raise Forbidden
    payees = await here.ask("incentives", "/payees", limit=200)
    names = await here.names({row["partner_id"] for row in payees.items})
    ahead = NOTHING if here.vendor else await here.ask("incentives", "/estimates")
    customers = await here.customers({row["registration_id"] for row in ahead.items})
    shown = {"lines": lines, "values": values or {}, "payees": payees, "names": names}
    shown |= {"ahead": ahead, "customers": customers}
    return await here.page("estimate.html", status, **shown, refusal=refusal)


@router.post("/estimate")
async def estimated(here: Here, sent: Sent) -> Response:
    """What each plan in force would pay, with every step; nothing is stored."""
    own = {"partner_id": here.who.partner_id} if here.who.partner_id else {}
    body = {
        "currency": here.tenancy.currency,
        **sent.given("partner_id", "amount", "currency", "closes_on", "family"),
        **own,
    }
    answer = await here.send(sent, "incentives", "/estimates", body)
    if answer.ok:
        return await estimate_page(here, answer.json()["lines"], sent.values)
    return await estimate_page(here, None, sent.values, refused("estimate", sent, answer), answer.status)


@router.get("/backtests")
async def backtests(here: Here) -> Response:
    """Asks what a plan would have paid."""
    return await backtests_page(here)


async def backtests_page(here: Visit, refusal: Refusal | None = None, status: int = 200) -> Response:
    if not here.may(TRIES):
        raise Forbidden
    books, shadow, runs = await asyncio.gather(
        here.ask_all("incentives", "/rulebooks"),
        here.ask("incentives", "/shadow"),
        here.ask("incentives", "/backtests", limit=50, cursor=here.request.query_params.get("cursor")),
    )
    plans = [plan for row in books.items if row["kind"] == "plan" for plan in _to_try(row)]
    chosen = here.request.query_params.get("plan", "")
    shown = {"books": books, "plans": plans, "chosen": chosen, "shadow": shadow, "runs": runs}
    return await here.page("backtests.html", status, **shown, refusal=refusal)


def _to_try(book: dict[str, Any]) -> list[dict[str, Any]]:
    """What can be tried of a plan: its draft, and its versions, the newest first."""
    draft = open_draft(book)
    versions = sorted((one["version"] for one in book["versions"]), reverse=True)
    plan_id = book["rulebook_id"]
    drafted = [{"plan_id": plan_id, "version": draft["version"], "draft": True}] if draft else []
    return [*drafted, *({"plan_id": plan_id, "version": one, "draft": False} for one in versions)]


@router.post("/backtests")
async def begin(here: Here, sent: Sent) -> Response:
    """Begins a backtest of a version, or of the draft, over the sales of a time, beside what was posted."""
    rulebook_id, _, version = sent.text("plan").rpartition(" ")
    body = {"rulebook_id": rulebook_id, "version": int(version or 0) if version.isdecimal() else 0}
    answer = await here.send(sent, "incentives", "/backtests", {**body, **sent.given("since", "until")})
    if answer.ok:
        return here.went(answer, f"/backtests/{answer.json()['run_id']}", "backtest")
    return await backtests_page(here, refused("backtest", sent, answer), answer.status)


@router.get("/backtests/{run_id}")
async def result(run_id: str, here: Here) -> Response:
    """How far it is; then who would have won and lost how much, and the lines that change with the step that does."""
    run = await here.needed("incentives", f"/backtests/{run_id}")
    report = run.get("report") or {}
    if report and "digest" not in report:
        raise NotFound  # a trial of rules, not a backtest: it has a page of its own
    return await _report_page(here, "backtest.html", run, report)


@router.get("/shadow/{plan_id}")
async def shadow(plan_id: str, here: Here) -> Response:
    """What a plan in the shadow would have paid since it holds, beside what was paid."""
    if not here.may(TRIES):
        raise Forbidden
    found = await here.ask_one("incentives", f"/shadow/{plan_id}")
    return await _report_page(here, "shadow.html", found.one, found.one.get("report") or {}, part=found)


async def _report_page(
    here: Visit, template: str, run: dict[str, Any], report: dict[str, Any], **more: Any
) -> Response:
    """The page of a report; while it is made, the page asks again by itself."""
    rows = _changed_rows(report)
    names = await here.names({row["partner_id"] for row in (*report.get("partners", []), *rows)})
    deals = await here.deals_of_sales({row["opportunity_id"] for row in rows})
    answer = await here.page(template, run=run, report=report, rows=rows, names=names, deals=deals, **more)
    if run.get("status") == "running":
        answer.headers["Refresh"] = REFRESH_SECONDS
    return answer


def _changed_rows(report: dict[str, Any]) -> list[dict[str, Any]]:
    """The sales that change, a row a partner: both sums, and the steps that decide what the plan would pay."""
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for sale in report.get("lines", []):
        for line in sale["old"]:
            _row_of(rows, sale, line)["old"] += Decimal(line["amount"])
        for line in sale["new"]:
            row = _row_of(rows, sale, line)
            row["new"] += Decimal(line["amount"])
            row["steps"] |= {line["step"]: None}
    return list(rows.values())


def _row_of(rows: dict[tuple[str, str], dict[str, Any]], sale: dict[str, Any], line: dict[str, Any]) -> dict[str, Any]:
    key = (sale["opportunity_id"], line["partner_id"])
    nothing = {"opportunity_id": key[0], "partner_id": key[1], "old": Decimal(0), "new": Decimal(0), "steps": {}}
    return rows.setdefault(key, nothing)
