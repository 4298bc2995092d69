"""Cases: what looks like abuse, which rules it met, what it holds, and what a person says it was."""

from typing import Any

from fastapi import APIRouter, Response

from chassis.decider import Forbidden
from services.gateway.api.portal.visit import Here, PageRoute, Refusal, Sent, Visit, refused

STATES = ("open", "seen", "confirmed", "false_alarm")

router = APIRouter(include_in_schema=False, route_class=PageRoute)


@router.get("/cases")
async def cases(here: Here) -> Response:
    """The open cases; others by state."""
    return await cases_page(here)


async def cases_page(
    here: Visit, refusal: Refusal | None = None, status: int = 200, report: dict[str, Any] | None = None
) -> Response:
    if not here.may("incentives.read cases"):
        raise Forbidden
    query = here.request.query_params
    state = query.get("state") if query.get("state") in STATES else "open"
    found = await here.ask("incentives", "/cases", state=state, limit=50, cursor=query.get("cursor"))
    books = await here.ask_all("incentives", "/rulebooks")
    changed = report["changed"] if report else []
    names = await here.names({row["partner_id"] for row in (*found.items, *changed)})
    rules = [row for row in books.items if row["kind"] == "abuse" and (row["versions"] or row.get("draft"))]
    shown = {"cases": found, "state": state, "states": STATES, "names": names, "rules": rules, "report": report}
    return await here.page("cases.html", status, **shown, books=books, refusal=refusal)


@router.post("/cases/{case_id}/close")
async def close(case_id: str, here: Here, sent: Sent) -> Response:
    """Labels a case."""
    answer = await here.send(sent, "incentives", f"/cases/{case_id}/close", sent.given("outcome", "reason"))
    if answer.ok:
        return here.went(answer, "/cases", "case-closed")
    return await cases_page(here, refused(f"close-{case_id}", sent, answer), answer.status)


@router.post("/cases/backtest")
async def backtest(here: Here, sent: Sent) -> Response:
    """What a version of abuse rules would have done with past signals; nothing is stored."""
    rulebook_id, _, version = sent.text("rules").rpartition(" ")
    body = {"rulebook_id": rulebook_id, "version": int(version) if version.isdigit() else None}
    answer = await here.send(sent, "incentives", "/case-backtests", body)
    if answer.ok:
        return await cases_page(here, report=answer.json())
    return await cases_page(here, refused("backtest", sent, answer), answer.status)
