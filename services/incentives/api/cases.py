"""Cases of possible abuse over HTTP: what was seen, what it holds, what a person says it was, and rules tried on it."""

from typing import Annotated, Any, Literal, TypedDict

import msgspec
from fastapi import APIRouter, Path, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.application import Application
from chassis.event import plain
from chassis.execution import Peek
from chassis.http import App, Body, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.read_store.port import PAGE_MAX
from chassis.rulebook import UnknownKind
from chassis.shadow_api import SHADOW, ShadowBody, asked_for
from services.incentives.access import READ_CASES
from services.incentives.api.narrowing import Filter
from services.incentives.domain.abuse_rules import ABUSE, ABUSES, CONTRADICTION, AbuseFacts
from services.incentives.domain.case import Case, Cases, CloseCase, Labelled, Stage, Tested, backtest
from services.incentives.projections.cases import CaseDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
SIGNALS_MAX = 10_000
LABELS = (Stage.CONFIRMED.value, Stage.FALSE_ALARM.value)

router = APIRouter(tags=["cases"])


class CloseBody(Body):
    """What it was, and why: this is the label that abuse rules are tested against."""

    outcome: Literal["confirmed", "false_alarm"]
    reason: Annotated[str, Field(min_length=1, max_length=500)]


@router.get("/cases")
@answers(Page[CaseDocument])
@reads("cases")
async def list_cases(
    caller: Reader, app: App, paged: Paged, state: Filter = None, partner_id: Filter = None, signal: Filter = None
) -> Response:
    """Signals and cases, newest first. State: seen (met no rule), open, confirmed, false_alarm."""
    app.access.check(caller.principal, READ_CASES)
    where = {"state": state, "partner_id": partner_id, "signal": signal}
    return listed(*await page(caller, app, "cases", paged, where, sort="-changed_at"))


@router.get("/cases/{case_id}")
@answers(CaseDocument)
@reads("cases")
async def one_case(case_id: Id, caller: Reader, app: App) -> Response:
    """One case with its figures, the rules it met, and what it holds."""
    app.access.check(caller.principal, READ_CASES)
    return shown(await app.document(caller.principal, "cases", case_id))


@router.post("/cases/{case_id}/close")
async def close(case_id: Id, body: CloseBody, caller: Writer, app: App) -> Response:
    """Says what a case was. A false alarm frees what it held; a confirmed one keeps lines held and blocks the payee."""
    app.access.check(caller.principal, CloseCase)
    await app.exists(caller.tenant, Cases.kind, case_id)

    async def make(peek: Peek) -> CloseCase:
        case: Case = await peek(Cases.at(case_id))
        return CloseCase(
            case_id=case_id,
            payee_id=case.payee_id,
            outcome=body.outcome,
            reason=body.reason,
            lines=case.lines,
            by=caller.principal.by,
            now=app.clock.now(),
        )

    return await perform(caller, app, CloseCase, make)


class CaseBacktest(TypedDict):
    """How often the rules would have met signals of each label, what they would have missed, and what would differ."""

    signals: int
    hits: int
    confirmed_hit: int
    false_alarms_hit: int
    unlabelled_hit: int
    confirmed_missed: int
    precision_percent: str
    changed: list[Tested]


@router.post("/case-backtests")
@answers(CaseBacktest)
async def try_rules(body: ShadowBody, caller: Writer, app: App) -> Response:
    """What abuse rules would have done with past signals, beside what people said of them; nothing is stored."""
    app.access.check(caller.principal, SHADOW)
    asked = await asked_for(app, caller.tenant, body, caller.new_id("case-backtest"))
    if asked.candidate.kind != ABUSE:
        raise UnknownKind(f"{asked.candidate.kind} rules are tried elsewhere", known=[ABUSE])
    report = backtest(ABUSES.read(asked.candidate.body), await _signals(app, caller.tenant))
    return shown(plain(report))


async def _signals(app: Application, tenant: str) -> list[Labelled]:
    """The newest signals that were kept, each with its label."""
    await app.caught_up("cases")
    found: list[Labelled] = []
    cursor = None
    while len(found) < SIGNALS_MAX:
        rows = await app.read.find("cases", tenant, sort="-changed_at", after=cursor, limit=PAGE_MAX)
        found += [_labelled(row) for row in rows.items if row["signal"] != CONTRADICTION]
        cursor = rows.next_cursor
        if cursor is None:
            break
    return found


def _labelled(row: dict[str, Any]) -> Labelled:
    return Labelled(
        case_id=row["case_id"],
        partner_id=row["partner_id"],
        facts=msgspec.convert(row["facts"], AbuseFacts),
        was=row["action"],
        label=row["state"] if row["state"] in LABELS else None,
    )
