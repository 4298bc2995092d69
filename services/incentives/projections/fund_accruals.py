"""What did each win bring into each partner's share of a fund, and which sales are to be looked at for it?"""

from datetime import datetime, timedelta
from typing import Annotated, Any, TypedDict

from chassis.application import Application, NothingToDo, Prepared
from chassis.deadlines import Deadline
from chassis.event import Seen, iso, plain
from chassis.execution import Peek
from chassis.projection import Projection
from chassis.rulebook import Rules
from contracts.values import Money
from services.incentives.application.sales import rates_about, rules_of_kind
from services.incentives.domain.accrual import AccrueFunds, FundAccrued, accrual_id, steps_of
from services.incentives.domain.fund import FUND, today
from services.incentives.domain.measuring import accruing_of, facts_of
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.sale_events import BasisRecorded, CreditRecorded, ReversalRecorded, WinRecorded


class AccrualDocument(TypedDict):
    """`due` is what the win brings now, `owed` what of the last change was missing; `period` is where that was booked."""

    accrual_id: str
    fund_id: str
    partner_id: str
    period: str
    opportunity_id: str
    bought: Annotated[dict[str, Any], Money]
    percent: str
    due: Annotated[dict[str, Any], Money]
    owed: Annotated[dict[str, Any], Money]
    credited_on: str
    steps: list[str]
    event_id: str
    changed_at: str


def evolve(_: AccrualDocument | None, seen: Seen) -> AccrualDocument:
    it: FundAccrued = seen.event
    return {
        "accrual_id": _key(seen),
        "fund_id": it.fund_id,
        "partner_id": it.partner_id,
        "period": it.period,
        "opportunity_id": it.opportunity_id,
        "bought": plain(it.bought),
        "percent": str(it.percent),
        "due": plain(it.due),
        "owed": plain(it.owed),
        "credited_on": iso(it.credited_on),
        "steps": list(steps_of(it).values()),
        "event_id": seen.id,
        "changed_at": iso(seen.recorded_at),
    }


def _key(seen: Seen) -> str:
    it: FundAccrued = seen.event
    return f"{accrual_id(it.fund_id, it.partner_id)}-{it.ref}"


ACCRUALS = Projection(
    name="fund_accruals",
    version=1,
    keys={FundAccrued: _key},
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at", "fund_id,changed_at", "period,changed_at"),
)

# Sales to be looked at: each fact of a sale is due at once


def evolve_due(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any]:
    """Due at once, and again with each fact: of two at one instant the later is due a microsecond after."""
    at = seen.recorded_at
    if document is not None:
        at = max(at, datetime.fromisoformat(document["due_at"]) + timedelta(microseconds=1))
    return {"opportunity_id": seen.event.opportunity_id, "due_at": iso(at), "fact_event_id": seen.id}


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """Brings what the sale is worth now into the shares of those who are credited; nothing to do where no fund accrues."""

    async def make(app: Application, tenant: str, peek: Peek) -> AccrueFunds:
        books = [(fund, await peek(Rules.at(fund))) for fund in await rules_of_kind(app, tenant, FUND)]
        filled = [(fund, book) for fund, book in books if any(one.body.get("accrual") for one in book.versions)]
        sale: Sale = await peek(Sales.at(document["opportunity_id"])) if filled else Sale()
        rates = await rates_about(peek, [win.credited_on for win in sale.wins.values()])
        shares = [share for fund, book in filled for share in accruing_of(sale, fund, book, rates, today(now))]
        if not shares:
            raise NothingToDo
        return AccrueFunds(
            opportunity_id=document["opportunity_id"],
            shares=tuple(shares),
            facts=facts_of(sale),
            source_event_id=document["fact_event_id"],
            now=now,
        )

    return Prepared(make)


FUND_ACCRUALS = Deadline(
    name="fund_accruals_due",
    version=1,
    keys=dict.fromkeys(
        (WinRecorded, BasisRecorded, CreditRecorded, ReversalRecorded), lambda seen: str(seen.event.opportunity_id)
    ),
    evolve=evolve_due,
    issue=issue,
)
