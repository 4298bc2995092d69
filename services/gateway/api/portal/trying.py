"""Trying plans: what a sale that might be would pay, and what a plan would have paid on the sales of a time."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden, NotFound
from services.gateway.api.portal.visit import Here, PageRoute, Part, Refusal, Sent, Visit, refused

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
    shown = {"lines": lines, "values": values or {}, "payees": payees, "names": names}
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
    books = await here.ask_all("incentives", "/rulebooks")
    plans = [row for row in books.items if row["kind"] == "plan" and row["versions"]]
    return await here.page("backtests.html", status, books=books, plans=plans, refusal=refusal)


@router.post("/backtests")
async def begin(here: Here, sent: Sent) -> Response:
    """Begins a backtest of a version over the sales of a time, beside what was posted."""
    rulebook_id, _, version = sent.text("plan").rpartition(" ")
    body = {"rulebook_id": rulebook_id, "version": int(version or 0) if version.isdecimal() else 0}
    answer = await here.send(sent, "incentives", "/backtests", {**body, **sent.given("since", "until")})
    if answer.ok:
        return here.went(answer, f"/backtests/{answer.json()['run_id']}", "backtest")
    return await backtests_page(here, refused("backtest", sent, answer), answer.status)


@router.get("/backtests/{run_id}")
async def result(run_id: str, here: Here) -> Response:
    """How far it is; then who would have won and lost how much, and the lines that change with the step that does."""
    found: Part = await here.ask("incentives", f"/backtests/{run_id}")
    if found.status == NotFound.status or not found.one.get("run_id"):
        raise NotFound
    report = found.one.get("report") or {}
    if report and "digest" not in report:
        raise NotFound  # a trial of rules, not a backtest: it has a page of its own
    names = await here.names({row["partner_id"] for row in report.get("partners", [])})
    answer = await here.page("backtest.html", run=found.one, report=report, names=names)
    if found.one["status"] == "running":
        answer.headers["Refresh"] = REFRESH_SECONDS
    return answer
