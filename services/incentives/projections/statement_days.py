"""Which period of which account is stated next, and when is its statement due?

What becomes payable opens the period that it falls into; on the period's day its statement is issued, and what came
after it opens the next one.
"""

from datetime import date, datetime
from typing import Annotated, Any, TypedDict

from chassis.application import Application, Prepared
from chassis.deadlines import DUE_AT, Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from services.incentives.application.paying import Period, payment_rules_now, statement_of
from services.incentives.domain.account import IssueStatement, ScheduleStatement, StatementIssued, StatementScheduled
from services.incentives.domain.payee import Payee, Payees, stated_with
from services.incentives.domain.periods import period_end
from services.incentives.projections.ledger import (
    PAYEES,
    account_id_of,
    account_of,
    effective_on,
    partner_of,
    payable_in,
    payee_of,
)
from services.incentives.projections.releases import start_of

OPENS, ISSUES = "opens", "issues"
BY_CALENDAR = "calendar"


class NextStatement(TypedDict):
    """A period that is open, and when its statement is issued and paid."""

    account_id: str
    payee_id: str
    partner_id: str
    currency: str
    period: str
    issues_on: str
    review_until: Annotated[str, date]
    pay_by: Annotated[str, date]
    available_on: str


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, StatementScheduled):
        return _scheduled(document, happened)
    if isinstance(happened, StatementIssued):
        return _after(document, seen)
    return _moved(document, seen) if payable_in(happened.journal) else document


def _moved(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any]:
    """Something became payable, or was taken back: the period that it falls into is opened."""
    day = iso(effective_on(seen))
    if document:
        return {**document, "last_on": max(document["last_on"], day), "last_position": seen.position}
    return {
        DUE_AT: iso(seen.recorded_at),
        "stage": OPENS,
        "account_id": account_id_of(seen),
        "payee_id": payee_of(seen.event),
        "partner_id": partner_of(seen.event),
        "currency": seen.event.journal.entries[0].amount.currency,
        "first_on": day,
        "last_on": day,
        "last_position": seen.position,
    }


def _scheduled(document: dict[str, Any] | None, it: StatementScheduled) -> dict[str, Any] | None:
    if document is None:
        return None
    whose = {"partner_id": it.partner_id}
    dates = {"issues_on": it.issues_on, "review_until": it.review_until, "pay_by": it.pay_by}
    days = {name: iso(day) for name, day in {**dates, "available_on": it.available_on}.items()}
    return {**document, **whose, **days, DUE_AT: iso(start_of(it.issues_on)), "stage": ISSUES, "period": it.period}


def _after(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    """What came after the stated period opens the next one, and so does what its statement left out."""
    end = iso(period_end(seen.event.period))
    if document is None or (document["last_on"] < end and document["last_position"] <= seen.event.to_position):
        return None
    return {**document, DUE_AT: iso(seen.recorded_at), "stage": OPENS, "first_on": max(document["first_on"], end)}


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """Opens the period of what moved, or issues the statement of the one that is open."""

    async def make(app: Application, tenant: str, peek: Peek) -> ScheduleStatement | IssueStatement:
        if document["stage"] == OPENS:
            return await _opening(app, tenant, document)
        return await _statement(app, tenant, peek, document)

    return Prepared(make)


async def _opening(app: Application, tenant: str, document: dict[str, Any]) -> ScheduleStatement:
    rules = await payment_rules_now(app, tenant)
    payee: Payee = await app.executor.peek(tenant)(Payees.at(document["payee_id"]))
    return ScheduleStatement(
        account_id=document["account_id"],
        payee_id=document["payee_id"],
        partner_id=stated_with(payee, document["partner_id"]),
        day=date.fromisoformat(document["first_on"]),
        calendar=rules.calendar,
        now=app.clock.now(),
    )


async def _statement(app: Application, tenant: str, peek: Peek, document: dict[str, Any]) -> IssueStatement:
    asked = Period(
        payee_id=document["payee_id"],
        partner_id=document["partner_id"],
        currency=document["currency"],
        period=document["period"],
        by=BY_CALENDAR,
    )
    return await statement_of(app, tenant, peek, asked)


STATEMENT_DAYS = Deadline(
    name="statement_days",
    version=4,
    keys={
        **dict.fromkeys(PAYEES, account_of),
        **dict.fromkeys((StatementScheduled, StatementIssued), lambda seen: str(seen.event.account_id)),
    },
    evolve=evolve,
    issue=issue,
    indexes=(DUE_AT, "partner_id", "stage"),
)
