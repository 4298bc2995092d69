"""Which partners leave, what of each is still open, and when is that looked at?"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from chassis.application import Application, Prepared
from chassis.deadlines import DUE_AT, Deadline
from chassis.event import Seen, iso, plain
from chassis.execution import Peek
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX, TURN, each
from contracts.values import Money
from services.incentives.application.paying import Period, payment_rules_now, statement_of
from services.incentives.domain.account import Account, Accounts, IssueStatement, StatementIssued
from services.incentives.domain.claim import CREDIT_DUE, HELD_FUND
from services.incentives.domain.fund_request_commands import EndFundRequest
from services.incentives.domain.fund_request_events import FundRequestEnded
from services.incentives.domain.fund_share import share_id
from services.incentives.domain.journal import FUND_MONEY, INVOICE_TAX
from services.incentives.domain.periods import period_of
from services.incentives.domain.settlement import (
    OpenBalance,
    PartnerSettled,
    PayeeLeaving,
    PayeeStays,
    SettledByHandNoted,
    SettlementAwaited,
    SettlePartner,
)
from services.incentives.projections.releases import start_of

OWED = ("held", "payable", "in_payment", "accrued", *map(":".join, (HELD_FUND, FUND_MONEY, INVOICE_TAX, CREDIT_DUE)))
BY, WHY = "run-off", "the partner has left"
RESERVES = ("accepted", "submitted")


# What people see


class SettlementDocument(TypedDict):
    """How far the settlement of a partner that leaves is: running_off, awaited or settled, and what is still open.

    `settled_by_hand`: two of finance ended the partnership on `by_hand_on`, and not all is settled in the ledger yet.
    """

    partner_id: str
    state: str
    last_business_day: Annotated[str, date]
    run_off_until: Annotated[str, date]
    open: list[OpenBalance]
    fund_request_ids: list[str]
    look_again_on: str | None
    settled_on: str | None
    by_hand_on: str | None


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    match happened:
        case PayeeLeaving():
            return _leaving(happened)
        case PayeeStays():
            return None
        case SettlementAwaited() if document:
            said: dict[str, Any] = {"open": plain(happened.open), "fund_request_ids": list(happened.fund_request_ids)}
            state = document["state"] if document["by_hand_on"] else "awaited"
            return {**document, **said, "state": state, "look_again_on": iso(happened.look_again_on)}
        case SettledByHandNoted() if document:
            return {**document, "state": "settled_by_hand", "by_hand_on": iso(happened.settled_on)}
        case PartnerSettled() if document:
            nothing: dict[str, Any] = {"open": [], "fund_request_ids": [], "look_again_on": None}
            return {**document, **nothing, "state": "settled", "settled_on": iso(happened.settled_on)}
    return document


def _leaving(it: PayeeLeaving) -> dict[str, Any]:
    return {
        "partner_id": it.partner_id,
        "state": "running_off",
        "last_business_day": iso(it.last_business_day),
        "run_off_until": iso(it.run_off_until),
        "open": [],
        "fund_request_ids": [],
        "look_again_on": None,
        "settled_on": None,
        "by_hand_on": None,
    }


def _partner(seen: Seen) -> str:
    return str(seen.event.partner_id)


LEAVING = (PayeeLeaving, PayeeStays, SettlementAwaited, PartnerSettled)
SETTLEMENTS = Projection(
    name="settlements",
    version=2,
    keys=dict.fromkeys((*LEAVING, SettledByHandNoted), _partner),
    evolve=evolve,
    indexes=("partner_id",),
)


# What the clock does: one step at a time, until nothing is left to do


def evolve_due(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    match happened:
        case PayeeLeaving():
            due = start_of(happened.run_off_until + timedelta(days=1))
            return {DUE_AT: iso(due), "partner_id": happened.partner_id}
        case PayeeStays() | PartnerSettled():
            return None
        case SettlementAwaited() if document:
            return {**document, DUE_AT: iso(start_of(happened.look_again_on))}
    if document is None or iso(seen.recorded_at) < document[DUE_AT]:
        return document
    return {**document, DUE_AT: iso(seen.recorded_at), TURN: seen.id}


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """The next step: what is reserved is released, then what is not stated is stated, then the partner is settled."""

    async def make(app: Application, tenant: str, peek: Peek) -> EndFundRequest | IssueStatement | SettlePartner:
        partner_id = document["partner_id"]
        requests = await _requests(app, tenant, partner_id)
        for request in requests:
            if not request["open_claims"]:
                return _ending(request, now)
        if asked := await _unstated(app, tenant, peek, partner_id, now.date()):
            return await statement_of(app, tenant, peek, asked)
        return SettlePartner(
            partner_id=partner_id,
            open=await open_balances(app, tenant, partner_id),
            fund_request_ids=tuple(sorted(one["fund_request_id"] for one in requests)),
            now=now,
        )

    return Prepared(make)


async def _requests(app: Application, tenant: str, partner_id: str) -> list[dict[str, Any]]:
    """The partner's fund requests that may still reserve or draw."""
    await app.caught_up("fund_requests")
    where = {"partner_id": partner_id}
    found = await app.read.find("fund_requests", tenant, where=where, sort="changed_at", limit=PAGE_MAX)
    return [one for one in found.items if one["state"] in RESERVES]


def _ending(request: dict[str, Any], now: datetime) -> EndFundRequest:
    used = Decimal(request["used"])
    return EndFundRequest(
        fund_request_id=request["fund_request_id"],
        budget_id=share_id(request["fund_id"], request["period"], request["partner_id"]),
        outcome="completed" if used else "cancelled",
        reason=WHY,
        by=BY,
        now=now,
    )


async def _unstated(app: Application, tenant: str, peek: Peek, partner_id: str, today: date) -> Period | None:
    """The next account with changes that no statement holds, unless this month's is issued: then the next one will."""
    await app.caught_up("statement_days")
    where = {"partner_id": partner_id}
    found = await app.read.find("statement_days", tenant, where=where, sort=DUE_AT, limit=PAGE_MAX)
    period = period_of(today, (await payment_rules_now(app, tenant)).calendar.cadence)
    for one in sorted(found.items, key=lambda item: item["account_id"]):
        account: Account = await peek(Accounts.at(one["account_id"]))
        if account.last is None or account.last.period != period:
            return Period(
                payee_id=one["payee_id"],
                partner_id=partner_id,
                currency=one["currency"],
                period=period,
                by=BY,
                final=True,
            )
    return None


async def open_balances(app: Application, tenant: str, partner_id: str) -> tuple[OpenBalance, ...]:
    """What stands on the accounts of a partner and its people, in one fixed order."""
    await app.caught_up("balances")
    mine = {"partner_id": partner_id}
    found = [one async for one in each(app.read, "balances", tenant, mine, "account_id")]
    return tuple(
        OpenBalance(
            payee_id=one["payee_id"],
            account=account,
            amount=Money(amount=-Decimal(one["accounts"][account]), currency=one["currency"]),
        )
        for one in found
        for account in OWED
        if Decimal(one["accounts"].get(account, "0"))
    )


RUN_OFFS = Deadline(
    name="run_offs",
    version=1,
    keys=dict.fromkeys((*LEAVING, StatementIssued, FundRequestEnded), _partner),
    evolve=evolve_due,
    issue=issue,
)
