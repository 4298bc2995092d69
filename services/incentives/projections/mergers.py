"""Which partners are one, what of the absorbed one's money went to the survivor or came back, and what is to move now?"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict

from chassis.application import Application, NothingToDo, Prepared
from chassis.deadlines import DUE_AT, Deadline
from chassis.event import Seen, iso, plain
from chassis.execution import Peek
from chassis.projection import Projection
from chassis.read_store.port import PAGE_MAX, TURN
from contracts.values import Money, money
from services.incentives.application.paying import carried, released_in
from services.incentives.domain.account import Account, Accounts, account_id
from services.incentives.domain.journal import FUND_MONEY, Side
from services.incentives.domain.line_dispute import DisputeConcluded, DisputeDecided, DisputeWithdrawn
from services.incentives.domain.merging import (
    BalanceTransferred,
    PayeeMerged,
    PayeeUnmerged,
    Stands,
    TransferBalance,
    transfer_balance,
)
from services.incentives.domain.payee import Payee, Payees
from services.incentives.projections.ledger import PAYEES, payee_of
from services.incentives.projections.releases import start_of

ONE, TWO = "merged", "undone"
MOVES_SHOWN = 200


# What people see


class Move(TypedDict):
    """What went over, above zero where the survivor got it; `undone`: it came back."""

    event_id: str
    amount: Money
    fund: bool
    undone: bool
    other_id: str
    moved_at: str


class MergerDocument(TypedDict):
    """With whom a partner is one, and what of its money the survivor has now, by currency. State: merged or undone."""

    partner_id: str
    survivor_id: str
    partner_ids: list[str]
    effective_on: str
    state: str
    moves: list[Move]
    moved: dict[str, str]


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    match happened:
        case PayeeMerged():
            return _merged(document, happened)
        case PayeeUnmerged() if document:
            return {**document, "state": TWO, "partner_ids": [happened.partner_id]}
        case BalanceTransferred() if document and happened.absorbed:
            moves = [*document["moves"], _move(happened, seen)][-MOVES_SHOWN:]
            return {**document, "moves": moves, "moved": _moved(document["moved"], happened)}
    return document


def _merged(document: dict[str, Any] | None, it: PayeeMerged) -> dict[str, Any]:
    return {
        "moves": [],
        "moved": {},
        **(document or {}),
        "partner_id": it.partner_id,
        "survivor_id": it.survivor_id,
        "partner_ids": [it.partner_id, it.survivor_id],
        "effective_on": iso(it.effective_on),
        "state": ONE,
    }


def _move(it: BalanceTransferred, seen: Seen) -> dict[str, Any]:
    """What went over, above zero where the survivor got it."""
    said = {"event_id": seen.id, "amount": plain(-it.amount), "fund": it.fund, "undone": it.undone}
    return {**said, "other_id": it.other_id, "moved_at": iso(it.transferred_at)}


def _moved(before: Mapping[str, str], it: BalanceTransferred) -> dict[str, str]:
    """What the survivor has of it now, by currency."""
    code = it.amount.currency
    return {**before, code: str(Decimal(before.get(code, "0")) - it.amount.amount)}


MERGERS = Projection(
    name="mergers",
    version=1,
    keys=dict.fromkeys((PayeeMerged, PayeeUnmerged, BalanceTransferred), lambda seen: str(seen.event.payee_id)),
    evolve=evolve,
    indexes=("partner_id", "survivor_id"),
)


# What the clock does: whenever something becomes payable to who was absorbed, it moves on


def evolve_due(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, PayeeMerged):
        due = max(start_of(happened.effective_on), happened.recorded_at)
        return {DUE_AT: iso(due), TURN: seen.id, "partner_id": happened.partner_id}
    if document is None or iso(seen.recorded_at) < document[DUE_AT]:
        return document
    return {**document, DUE_AT: iso(seen.recorded_at), TURN: seen.id}


def _absorbed(seen: Seen) -> str:
    return payee_of(seen.event)


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """The transfer of the next currency in which something is free, or is to come back."""

    async def make(app: Application, tenant: str, peek: Peek) -> TransferBalance:
        payee_id = document["partner_id"]
        payee: Payee = await peek(Payees.at(payee_id))
        await app.caught_up("balances")
        where = {"partner_id": payee_id}
        found = await app.read.find("balances", tenant, where=where, sort="account_id", limit=PAGE_MAX)
        for balances in found.items:
            account: Account = await peek(Accounts.at(balances["account_id"]))
            for survivor_id in _survivors(account, payee):
                wish = await _transfer(app, tenant, balances, survivor_id)
                if balances["payee_id"] == payee_id and any(transfer_balance(wish, account, account, payee)):
                    return wish
        raise NothingToDo

    return Prepared(make)


def _survivors(account: Account, payee: Payee) -> list[str]:
    """Who got something once, and then who gets it now."""
    now = payee.merging.survivor_id
    before = {survivor_id for survivor_id, _ in account.transferred} - {now}
    return [*sorted(before), *([now] if now else [])]


async def _transfer(app: Application, tenant: str, balances: dict[str, Any], survivor_id: str) -> TransferBalance:
    identity, currency = balances["account_id"], balances["currency"]
    fund = money(balances["fund"], currency)
    return TransferBalance(
        account_id=identity,
        to_account_id=account_id(survivor_id, currency),
        payee_id=balances["payee_id"],
        survivor_id=survivor_id,
        earned=await _stands(app, tenant, balances, released_in(balances, currency) - fund, "payable"),
        fund=await _stands(app, tenant, balances, fund, FUND_MONEY),
        now=app.clock.now(),
    )


async def _stands(app: Application, tenant: str, balances: dict[str, Any], released: Money, side: Side) -> Stands:
    """What of one kind of money became payable, what of it is, and what that stands for in the books."""
    name = side if isinstance(side, str) else ":".join(side)
    payable = Money(amount=-Decimal(balances["accounts"].get(name, "0")), currency=balances["currency"])
    books = await carried(app, tenant, balances["account_id"], payable, side)
    return Stands(released=released, payable=payable, books=books)


TRANSFERS = Deadline(
    name="transfers",
    version=1,
    keys=dict.fromkeys(
        (PayeeMerged, PayeeUnmerged, DisputeDecided, DisputeConcluded, DisputeWithdrawn, *PAYEES), _absorbed
    ),
    evolve=evolve_due,
    issue=issue,
)
