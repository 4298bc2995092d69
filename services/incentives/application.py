"""What incentives can do: each command and the streams it touches, what must be prepared, and the port to the bank."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from chassis.application import Application
from chassis.decider import Busy, Problem
from chassis.execution import Handles, Look, Peek
from chassis.read_store.port import PAGE_MAX, Range
from chassis.rulebook import Rulebook, Rules
from contracts.values import Money, money, none_of
from services.incentives.domain import account, earning, payee, payment, sale
from services.incentives.domain.account import Account, Accounts
from services.incentives.domain.meter import Meter, Metered, Meters
from services.incentives.domain.payee import Payees
from services.incentives.domain.payment import Payment, Payments
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale import RecordCredit, RecordReversal, RecordWin, Sale, SaleEvent, Sales

KINDS = {PLANS.name: PLANS}
CATCH_UP_SECONDS = 1.0
PLANS_MAX = PAGE_MAX

# The port to whoever moves the money

ACCEPTED, ABSENT = "accepted", "absent"
PAID, REJECTED, UNKNOWN = payment.PAID, payment.REJECTED, payment.UNKNOWN


class PaymentPort(Protocol):
    """Moves money. The same reference is one transfer, however often it is submitted."""

    async def submit(self, reference: str, destination: str, amount: Money) -> str:
        """Accepted, rejected or unknown. Raises TimeoutError or OSError without an answer: that is unknown too."""
        ...

    async def status(self, reference: str) -> str:
        """Paid, rejected, accepted (under way), unknown, or absent when the provider never heard of the reference."""
        ...


async def provider_says(port: PaymentPort, reference: str, destination: str, amount: Money, asks: int) -> str:
    """What became of a reference: paid, rejected or unknown. It is submitted once; later asked, unless absent."""
    try:
        said = await port.status(reference) if asks else ABSENT
        if said == ABSENT and await port.submit(reference, destination, amount) != UNKNOWN:
            said = await port.status(reference)
    except (TimeoutError, OSError):
        return UNKNOWN
    return said if said in (PAID, REJECTED) else UNKNOWN


# Facts of sales: which plans may rate them and which meters they move is looked up before they are decided

FactCommand = RecordWin | RecordCredit | RecordReversal
DECISIONS: dict[type[Any], Any] = {
    RecordWin: earning.record_win,
    RecordCredit: earning.record_credit,
    RecordReversal: earning.record_reversal,
}


def decide_fact(
    wish: FactCommand, state: Sale, meters: Sequence[Meter], books: Sequence[Rulebook]
) -> tuple[list[SaleEvent], list[list[Metered]]]:
    """The events of the sale, and of each meter in the order of the command's `meter_ids`."""
    at_hand = dict(zip(wish.meter_ids, meters, strict=True))
    happened, metered = DECISIONS[type(wish)](wish, state, at_hand, books)
    return happened, [metered.get(meter, []) for meter in wish.meter_ids]


async def prepared(app: Application, tenant: str, peek: Peek, wish: FactCommand) -> FactCommand:
    """The fact with the plans that may rate it and the meters it will move."""
    plan_ids = await _plan_ids(app, tenant)
    return await with_meters(replace(wish, plan_ids=plan_ids), peek)


async def with_meters(wish: FactCommand, look: Look) -> FactCommand:
    """The fact with the meters that it will move under its plans."""
    books = [await look(Rules.at(plan_id)) for plan_id in wish.plan_ids]
    state = await look(Sales.at(wish.opportunity_id))
    try:
        _, metered = DECISIONS[type(wish)](wish, state, None, books)
    except Problem:
        metered = {}
    return replace(wish, meter_ids=tuple(sorted(metered)))


async def _plan_ids(app: Application, tenant: str) -> tuple[str, ...]:
    await caught_up(app, "rulebooks")
    found = await app.read.find("rulebooks", tenant, where={"kind": PLANS.name}, sort="kind", limit=PLANS_MAX)
    return tuple(sorted(book["rulebook_id"] for book in found.items if book["versions"]))


async def caught_up(app: Application, model: str) -> None:
    """Waits until a read model has seen all that is recorded here. Raises Busy when it does not in time."""
    head = await app.executor.store.head()
    if app.reached and not await app.reached(model, app.name, head, CATCH_UP_SECONDS):
        raise Busy(f"{model} has not read the log up to {head}")


def _fact_streams(wish: FactCommand) -> tuple[Any, ...]:
    return Sales.at(wish.opportunity_id), tuple(Meters.at(meter) for meter in wish.meter_ids)


def _fact_reads(wish: FactCommand) -> tuple[Any, ...]:
    return (tuple(Rules.at(plan_id) for plan_id in wish.plan_ids),)


# Statements and payments: what the ledger says is copied into the command, with its position


@dataclass(frozen=True, kw_only=True)
class Period:
    """A payee's month in one currency, and who asks for its statement."""

    partner_id: str
    currency: str
    period: str
    by: str


async def statement_of(app: Application, tenant: str, peek: Peek, asked: Period) -> account.IssueStatement:
    """The statement of a payee's period: every change of what is payable since the last one, up to the period's end."""
    identity = account.account_id(asked.partner_id, asked.currency)
    state: Account = await peek(Accounts.at(identity))
    start = state.last.to_position if state.last else 0
    before = account.period_end(asked.period).isoformat()
    lines = await _payable_changes(app, tenant, identity, start, before)
    return account.IssueStatement(
        account_id=identity,
        payee_id=asked.partner_id,
        partner_id=asked.partner_id,
        currency=asked.currency,
        period=asked.period,
        from_position=start,
        to_position=lines[-1].position if lines else start,
        lines=tuple(lines),
        by=asked.by,
        now=app.clock.now(),
    )


async def _payable_changes(
    app: Application, tenant: str, identity: str, after: int, before: str
) -> list[account.StatementLine]:
    """The ledger's changes of one payable balance in order, up to the first whose business date is after the period."""
    await caught_up(app, "ledger")
    where = {"account_id": identity, "touches_payable": 1, "position": Range(at_least=after + 1)}
    lines: list[account.StatementLine] = []
    cursor = None
    while len(lines) < account.LINES_MAX:
        found = await app.read.find("ledger", tenant, where=where, sort="position", after=cursor, limit=PAGE_MAX)
        for document in found.items:
            if document["effective_on"] >= before:
                return lines
            lines.append(_statement_line(document))
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


async def proposal_of(app: Application, tenant: str, *, statement: dict[str, Any], by: str) -> payment.ProposePayment:
    """The wish to pay a statement, with all that ever became payable to its payee."""
    await caught_up(app, "balances")
    identity = statement["account_id"]
    currency = statement["closing"]["currency"]
    balances = await app.read.get("balances", tenant, identity)
    return payment.ProposePayment(
        payment_id=payment.payment_id(identity, statement["number"]),
        account_id=identity,
        statement_id=statement["statement_id"],
        released=released_in(balances, currency),
        released_position=balances["position"] if balances else 0,
        by=by,
        now=app.clock.now(),
    )


def released_in(balances: dict[str, Any] | None, currency: str) -> Money:
    """All that became payable, whatever was paid of it since: what is payable, on its way, and paid."""
    if balances is None:
        return none_of(currency)
    parts = sum((Decimal(balances[name]) for name in ("payable", "in_payment", "cash")), Decimal(0))
    return Money(amount=-parts, currency=currency)


# The table


def _sale_stream(wish: Any) -> tuple[Any, ...]:
    return (Sales.at(wish.opportunity_id),)


def _payee_stream(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.partner_id),)


def _account_stream(wish: Any) -> tuple[Any, ...]:
    return (Accounts.at(wish.account_id),)


def _payment_stream(wish: Any) -> tuple[Any, ...]:
    return (Payments.at(wish.payment_id),)


def _payment_and_account(wish: Any) -> tuple[Any, ...]:
    return Payments.at(wish.payment_id), Accounts.at(wish.account_id)


def _gates(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.payee_id),)


def _line_answer(wish: Any, state: Sale) -> dict[str, Any]:
    line = state.lines.get(wish.line_id)
    return {"line_id": wish.line_id, "state": line.state if line else None}


def _payment_answer(wish: Any, state: Payment, *_: Any) -> dict[str, Any]:
    return {
        "payment_id": wish.payment_id,
        "state": state.stage.value,
        "reference": state.references[-1] if state.references else None,
    }


def _statement_answer(wish: account.IssueStatement, state: Account) -> dict[str, Any]:
    issued = next((known for known in state.statements if known.period == wish.period), None)
    if issued is None:
        return {}
    closing = {"amount": str(issued.closing.amount), "currency": issued.closing.currency}
    return {
        "statement_id": issued.statement_id,
        "number": issued.number,
        "period": issued.period,
        "closing": closing,
        "sha256": issued.sha256,
    }


HANDLES = (
    *(
        Handles(fact, decide_fact, _fact_streams, reads=_fact_reads, prepare=with_meters)
        for fact in (RecordWin, RecordCredit, RecordReversal)
    ),
    Handles(sale.ReleaseLine, sale.release_line, _sale_stream, answer=_line_answer),
    Handles(sale.PostponeLine, sale.postpone_line, _sale_stream, answer=_line_answer),
    Handles(payee.OpenPayee, payee.open_payee, _payee_stream),
    Handles(payee.SuspendPayee, payee.suspend_payee, _payee_stream),
    Handles(payee.ReinstatePayee, payee.reinstate_payee, _payee_stream),
    Handles(account.IssueStatement, account.issue_statement, _account_stream, answer=_statement_answer),
    Handles(payment.ProposePayment, payment.propose_payment, _payment_and_account, answer=_payment_answer),
    Handles(payment.ApprovePayment, payment.approve_payment, _payment_stream, reads=_gates, answer=_payment_answer),
    Handles(payment.ResumePayment, payment.resume_payment, _payment_stream, reads=_gates, answer=_payment_answer),
    Handles(payment.SubmitPayment, payment.submit_payment, _payment_stream, reads=_gates, answer=_payment_answer),
    Handles(payment.ReportOutcome, payment.report_outcome, _payment_and_account, answer=_payment_answer),
    Handles(payment.RetryPayment, payment.retry_payment, _payment_stream, answer=_payment_answer),
    Handles(payment.DeclinePayment, payment.decline_payment, _payment_and_account, answer=_payment_answer),
)
