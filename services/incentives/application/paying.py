"""Statements and payments: what the ledger says is copied into the command, with its position."""

from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import takewhile
from typing import Any

from chassis.application import Application
from chassis.event import LEFT_OUT, LeftOut, frozen
from chassis.execution import Peek
from chassis.read_store.port import PAGE_MAX, Range
from chassis.rulebook import Rules
from contracts.values import MINOR_DIGITS, Money, money, none_of, total
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain import account, payment, payment_commands, payment_events
from services.incentives.domain.account import Account, Accounts
from services.incentives.domain.exchange import UnknownCurrency
from services.incentives.domain.journal import FUND_MONEY, Side
from services.incentives.domain.payee import Payee, Payees, stated_with
from services.incentives.domain.payment_rules import PAYMENT, PaymentRules
from services.incentives.domain.periods import period_end
from services.incentives.domain.rating import half_up
from services.incentives.projections.earnings import PAID


@frozen
class Period:
    """A payee's period in one currency, and who asks for its statement. A person's `payee_id` is not its partner's.

    The `final` one holds everything so far, and does not wait for the period's end.
    """

    partner_id: str
    payee_id: str = ""
    currency: str
    period: str
    by: str
    final: bool = False


async def statement_of(app: Application, tenant: str, peek: Peek, asked: Period) -> account.IssueStatement:
    """The statement of a payee's period: every change of what is payable since the last one, up to the period's end.

    A person's, who may have earned at one partner after the other, up to what it earned at another: that partner reads it.
    """
    payee_id = asked.payee_id or asked.partner_id
    identity = account.account_id(payee_id, asked.currency)
    state: Account = await peek(Accounts.at(identity))
    start = state.last.to_position if state.last else 0
    before = date.max.isoformat() if asked.final else period_end(asked.period).isoformat()
    changes = await _payable_changes(app, tenant, identity, start, before)
    payee: Payee = await peek(Payees.at(payee_id))
    partner_id = stated_with(payee, changes[0]["partner_id"] if changes else asked.partner_id)
    told = takewhile(lambda one: stated_with(payee, one["partner_id"]) == partner_id, changes)
    lines = [_statement_line(one) for one in told]
    end = lines[-1].position if lines else start
    opening, moved = await _worths(app, tenant, asked.currency, state, (start, end), identity)
    return account.IssueStatement(
        account_id=identity,
        payee_id=payee_id,
        partner_id=partner_id,
        currency=asked.currency,
        period=asked.period,
        from_position=start,
        to_position=end,
        lines=tuple(lines),
        by=asked.by,
        now=app.clock.now(),
        final=asked.final,
        opening_worth=opening,
        moved_worth=moved,
    )


Worths = tuple[account.SideWorth, ...] | LeftOut


async def _worths(
    app: Application, tenant: str, currency: str, state: Account, between: tuple[int, int], identity: str
) -> tuple[Worths, Worths]:
    """What a payable balance stood for in the books, and what changed of that; nothing where it is in their currency."""
    await app.caught_up("balances")
    balances = await app.read.get("balances", tenant, identity)
    foreign = {name.rpartition(" ")[2] for name in balances["books"]} - {currency} if balances else set()
    if not foreign:
        return LEFT_OUT, LEFT_OUT
    start, end = between
    books = min(foreign)
    known = state.last is not None and state.last.closing_worth
    before = [] if known else await _journals(app, tenant, identity, (0, start))
    since = await _journals(app, tenant, identity, between) if start < end else []
    return _sides(before, currency, books), _sides(since, currency, books)


async def _journals(app: Application, tenant: str, identity: str, between: tuple[int, int]) -> list[dict[str, Any]]:
    """All journals of an account after one position of the log, up to another."""
    await app.caught_up("ledger")
    after, up_to = between
    where = {"account_id": identity, "position": Range(at_least=after + 1, below=up_to + 1)}
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await app.read.find("ledger", tenant, where=where, sort="position", after=cursor, limit=PAGE_MAX)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def _sides(journals: list[dict[str, Any]], currency: str, books: str) -> tuple[account.SideWorth, ...]:
    """What these journals come to on each side of what is payable, in its own currency and in that of the books."""
    sums = {"payable": (Decimal(0), Decimal(0))}
    for entry in (one for journal in journals for one in journal["entries"]):
        if entry["account"].partition(":")[0] == "payable":
            amount, worth = sums.get(entry["account"], (Decimal(0), Decimal(0)))
            booked = Decimal((entry["books"] or {"amount": "0"})["amount"])
            sums[entry["account"]] = (amount - Decimal(entry["amount"]), worth - booked)
    return tuple(
        account.SideWorth(side=side, amount=money(str(amount), currency), books=money(str(worth), books))
        for side, (amount, worth) in sorted(sums.items())
    )


async def worth_alone(app: Application, tenant: str, statement: Mapping[str, Any]) -> list[int]:
    """Where in the log something changed what a balance stands for in the books, and not the balance."""
    if not statement.get("opening_worth"):
        return []
    between = (statement["from_position"], statement["to_position"])
    journals = await _journals(app, tenant, statement["account_id"], between)
    return [one["position"] for one in journals if not one["touches_payable"] and _moves_payable(one)]


def _moves_payable(journal: Mapping[str, Any]) -> bool:
    return any(one["account"].partition(":")[0] == "payable" for one in journal["entries"])


async def _payable_changes(
    app: Application, tenant: str, identity: str, after: int, before: str
) -> list[dict[str, Any]]:
    """The ledger's changes of one payable balance in order, up to the first whose business date is after the period."""
    await app.caught_up("ledger")
    where = {"account_id": identity, "touches_payable": 1, "position": Range(at_least=after + 1)}
    lines: list[dict[str, Any]] = []
    cursor = None
    while len(lines) < account.LINES_MAX:
        found = await app.read.find("ledger", tenant, where=where, sort="position", after=cursor, limit=PAGE_MAX)
        for document in found.items:
            if document["effective_on"] >= before:
                return lines
            lines.append(document)
        cursor = found.next_cursor
        if cursor is None:
            break
    return lines[: account.LINES_MAX]


def _statement_line(document: dict[str, Any]) -> account.StatementLine:
    return account.StatementLine(
        event_id=document["event_id"],
        position=document["position"],
        kind=document["kind"],
        cause=document["cause"],
        opportunity_id=document["opportunity_id"],
        amount=money(document["payable"], document["currency"]),
        effective_on=datetime.fromisoformat(document["effective_on"]).date(),
    )


async def proposal_of(
    app: Application, tenant: str, *, statement: dict[str, Any], by: str, final: bool = False
) -> payment_commands.ProposePayment:
    """The wish to pay a statement, with all that ever became payable to its payee."""
    await app.caught_up("balances")
    identity = statement["account_id"]
    currency = statement["closing"]["currency"]
    balances = await app.read.get("balances", tenant, identity)
    partner: Payee = await app.executor.peek(tenant)(Payees.at(statement["partner_id"]))
    return payment_commands.ProposePayment(
        payment_id=payment.payment_id(identity, statement["number"]),
        account_id=identity,
        statement_id=statement["statement_id"],
        released=released_in(balances, currency),
        fund_released=money(balances["fund"], currency) if balances else none_of(currency),
        released_position=balances["position"] if balances else 0,
        by=by,
        now=app.clock.now(),
        rules=await rules_of_kind(app, tenant, PAYMENT),
        final=final or partner.leaving.run_off_over(app.clock.now()),
    )


async def payment_rules_now(app: Application, tenant: str) -> PaymentRules:
    """The payment rules in force now."""
    return await payment_rules_at(app, tenant, app.clock.now())


async def payment_rules_at(app: Application, tenant: str, at: datetime) -> PaymentRules:
    """The payment rules that were in force at an instant."""
    names = await rules_of_kind(app, tenant, PAYMENT)
    peek = app.executor.peek(tenant)
    return payment.rules_of([await peek(Rules.at(name)) for name in names], at)


async def carried_of(
    app: Application, tenant: str, order: payment_events.PaymentProposed
) -> tuple[Money | None, Money | None]:
    """What a payment's amount stands for in the books, and what of that its fund money does."""
    fund = order.fund or none_of(order.amount.currency)
    earned = await carried(app, tenant, order.account_id, order.amount - fund)
    funded = await carried(app, tenant, order.account_id, fund, FUND_MONEY)
    both = [one for one in (earned, funded) if one]
    return (total(both, both[0].currency) if both else None), funded


async def carried(
    app: Application, tenant: str, account_id: str, amount: Money, side: Side = "payable"
) -> Money | None:
    """What a part of a payable balance stands for in the books: the part of all that stands there.

    None where the balance is in the currency of the books.
    """
    await app.caught_up("balances")
    balances = await app.read.get("balances", tenant, account_id) or {"accounts": {}, "books": {}}
    account = side if isinstance(side, str) else ":".join(side)
    names = (name.rpartition(" ") for name in balances["books"])
    foreign = [code for name, _, code in names if name == account and code != amount.currency]
    payable = -Decimal(balances["accounts"].get(account, "0"))
    if not foreign or not payable or amount.zero:
        return None
    worth = -Decimal(balances["books"][f"{account} {foreign[0]}"])
    return half_up(Fraction(worth) * Fraction(amount.amount) / Fraction(payable), foreign[0])


async def payable_now(app: Application, tenant: str, account_id: str, currency: str) -> Money:
    """What a payee's earnings stand at, below zero where it owes."""
    await app.caught_up("balances")
    balances = await app.read.get("balances", tenant, account_id)
    stands = balances["accounts"].get("payable", "0") if balances else "0"
    return Money(amount=-Decimal(stands), currency=currency)


async def is_disputed(peek: Peek, order: payment_events.PaymentProposed) -> bool:
    """Whether a line that a payment pays is disputed, which stops it until it is sent."""
    state: Account = await peek(Accounts.at(order.account_id))
    return state.stops(order.payment_id)


async def paying(peek: Peek, line: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a command that say which payments pay an earning line, and whether it is known to be paid."""
    state: Account = await peek(Accounts.at(account.account_id(line["payee_id"], line["currency"])))
    return {"payment_ids": state.paying(line["line_id"]), "paid": line["state"] == PAID}


async def write_off_of(app: Application, tenant: str, asked: Period, reason: str) -> account.WriteOffNegative:
    """The wish to give up what a payee owes, with what its earnings stand at: fund money is none of them.

    Raises UnknownCurrency.
    """
    if asked.currency not in MINOR_DIGITS:
        raise UnknownCurrency(currency=asked.currency)
    await app.caught_up("balances")
    identity = account.account_id(asked.partner_id, asked.currency)
    balances = await app.read.get("balances", tenant, identity)
    payable = await payable_now(app, tenant, identity, asked.currency)
    return account.WriteOffNegative(
        account_id=identity,
        payee_id=asked.partner_id,
        partner_id=balances["partner_id"] if balances else asked.partner_id,
        payable=payable,
        payable_books=await carried(app, tenant, identity, payable),
        reason=reason,
        by=asked.by,
        now=app.clock.now(),
    )


def released_in(balances: dict[str, Any] | None, currency: str) -> Money:
    """All that became payable, whatever was paid of it since: what is payable, on its way, and paid."""
    if balances is None:
        return none_of(currency)
    parts = sum((Decimal(balances[name]) for name in ("payable", "in_payment", "withheld", "cash")), Decimal(0))
    return Money(amount=-parts, currency=currency)
