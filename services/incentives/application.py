"""What incentives can do: each command and the streams it touches, what must be prepared, and the port to the bank."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any, Protocol

from chassis.application import Application
from chassis.decider import Problem
from chassis.event import plain
from chassis.execution import Handles, Look, Peek
from chassis.read_store.port import PAGE_MAX, Range
from chassis.rulebook import Kind, Rulebook, Rules
from contracts.values import Money, money, none_of, total
from services.incentives.domain import (
    account,
    accrual,
    approval,
    batch,
    budget,
    case,
    claim,
    earning,
    forfeiture,
    fund_request,
    fund_share,
    line,
    meter,
    payee,
    payment,
    recognition,
    settlement,
    special_price,
    tax,
    tier,
)
from services.incentives.domain import books as bookkeeping
from services.incentives.domain.abuse_rules import ABUSES
from services.incentives.domain.account import Account, Accounts
from services.incentives.domain.approval import Approval, Approvals
from services.incentives.domain.batch import Batch, Batches
from services.incentives.domain.books import CURRENCY, AllBooks, Books, month_before, month_name, months_about
from services.incentives.domain.budget import Budget, BudgetEvent, Budgets
from services.incentives.domain.claim import Claims
from services.incentives.domain.dues import Known
from services.incentives.domain.evidence import AllEvidence
from services.incentives.domain.exchange import NO_BOOKS, RATE_DAYS_MAX, InBooks, Rate
from services.incentives.domain.fund import FUNDS, next_period
from services.incentives.domain.fund_request import FundRequests
from services.incentives.domain.fund_share import pool_id, share_id
from services.incentives.domain.journal import FUND_MONEY, Side
from services.incentives.domain.meter import Meter, MeterEvent, Meters
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.payment import Payment, Payments
from services.incentives.domain.payment_rules import PAYMENT, PAYMENT_RULES, PaymentRules
from services.incentives.domain.periods import period_end
from services.incentives.domain.posting import AtHand, Decided
from services.incentives.domain.rating import PLANS, half_up
from services.incentives.domain.recognition import Recognitions, recognition_id
from services.incentives.domain.recognition_rules import RECOGNITIONS
from services.incentives.domain.sale import (
    AdjustLine,
    ConfirmAdjustment,
    LookedUp,
    PostponeLine,
    RecordBasis,
    RecordCredit,
    RecordReversal,
    RecordWin,
    ReleaseLine,
    ResolveFact,
    Sale,
    SaleEvent,
    Sales,
)
from services.incentives.domain.special_price import SpecialPrices
from services.incentives.domain.tier import Tier, Tiers, tier_id
from services.incentives.domain.tier_rules import TIERS

KINDS: dict[str, Kind[Any, Any]] = {
    PLANS.name: PLANS,
    PAYMENT_RULES.name: PAYMENT_RULES,
    FUNDS.name: FUNDS,
    TIERS.name: TIERS,
    RECOGNITIONS.name: RECOGNITIONS,
    ABUSES.name: ABUSES,
}
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


# Facts of sales: which plans may rate them and which streams they move is looked up before they are decided

FactCommand = RecordWin | RecordBasis | RecordCredit | RecordReversal | ResolveFact
DECISIONS: dict[type[Any], Callable[..., Decided]] = {
    RecordWin: earning.record_win,
    RecordBasis: earning.record_basis,
    RecordCredit: earning.record_credit,
    RecordReversal: earning.record_reversal,
    ResolveFact: earning.resolve_fact,
}


def decide_fact(
    wish: FactCommand,
    state: Sale,
    meters: Sequence[Meter],
    budgets: Sequence[Budget],
    books: Sequence[Rulebook],
    payees: Sequence[Payee],
) -> tuple[list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    """The events of the sale, and of each meter and budget in the order of the command's ids."""
    return _decided(wish, state, meters, budgets, known_of(wish.looked_up, books, payees))


def decide_fact_by_booking(
    wish: FactCommand,
    state: Sale,
    meters: Sequence[Meter],
    budgets: Sequence[Budget],
    books: Sequence[Rulebook],
    payees: Sequence[Payee],
) -> tuple[list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    """As the first evaluator decided: what was billed paid nothing where another plan had paid on the booking."""
    known = replace(known_of(wish.looked_up, books, payees), billed_later=False, rest_in_books=False)
    return _decided(wish, state, meters, budgets, known)


def decide_fact_whole_in_books(
    wish: FactCommand,
    state: Sale,
    meters: Sequence[Meter],
    budgets: Sequence[Budget],
    books: Sequence[Rulebook],
    payees: Sequence[Payee],
) -> tuple[list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    """As the second evaluator decided: the rest of a budget stood in the books for the whole award."""
    known = replace(known_of(wish.looked_up, books, payees), rest_in_books=False)
    return _decided(wish, state, meters, budgets, known)


def _decided(
    wish: FactCommand, state: Sale, meters: Sequence[Meter], budgets: Sequence[Budget], known: Known
) -> tuple[list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    looked_up = wish.looked_up
    at_hand = AtHand(
        dict(zip(wish.meter_ids, meters, strict=True)), dict(zip(looked_up.budget_ids, budgets, strict=True))
    )
    made = DECISIONS[type(wish)](wish, state, at_hand, known)
    return (
        made.sale,
        [made.meters.get(meter, []) for meter in wish.meter_ids],
        [made.budgets.get(budget, []) for budget in looked_up.budget_ids],
    )


def known_of(looked_up: LookedUp, books: Sequence[Rulebook], payees: Sequence[Payee]) -> Known:
    """What was looked up for a fact, as its rating takes it."""
    return Known(
        books=books,
        payees=dict(zip(looked_up.payee_ids, payees, strict=True)),
        rates=looked_up.rates,
        books_currency=looked_up.books_currency,
    )


async def prepared(app: Application, tenant: str, peek: Peek, wish: FactCommand) -> FactCommand:
    """The fact with the plans that may rate it, what its rating looks at, and the streams it will move."""
    plan_ids = await _plan_ids(app, tenant)
    if isinstance(wish, RecordWin):
        wish = await _with_history(peek, wish)
    return await with_streams(replace(wish, plan_ids=plan_ids), peek)


async def with_streams(wish: FactCommand, look: Look) -> FactCommand:
    """The fact with what its rating looks at under its plans, and with the meters and budgets that it will move."""
    books = [await look(Rules.at(plan_id)) for plan_id in wish.plan_ids]
    state: Sale = await look(Sales.at(wish.opportunity_id))
    looked_up = await _looked_up(look, wish, state, books)
    payees = [await look(Payees.at(payee_id)) for payee_id in looked_up.payee_ids]
    try:
        made = DECISIONS[type(wish)](wish, state, AtHand(), known_of(looked_up, books, payees))
    except Problem:
        made = Decided()
    looked_up = replace(looked_up, budget_ids=tuple(sorted(made.budgets)))
    return replace(wish, meter_ids=tuple(sorted(made.meters)), looked_up=looked_up)


async def _with_history(peek: Peek, wish: RecordWin) -> RecordWin:
    """The win with the day its registration was approved, and the first day of the chain of terms that it renews."""
    approval: Approval = await peek(Approvals.at(wish.registration_id)) if wish.registration_id else Approval()
    renewed: Sale = await peek(Sales.at(wish.renews_id)) if wish.renews_id else Sale()
    first = renewed.wins[max(renewed.wins)] if renewed.wins else None
    started = first and (first.chain_started_on or (first.term.starts_on if first.term else first.credited_on))
    return replace(wish, approved_on=approval.approved_on, chain_started_on=started or wish.chain_started_on)


async def _looked_up(look: Look, wish: FactCommand, state: Sale, books: Sequence[Rulebook]) -> LookedUp:
    shares = [*(share for credit in state.credits.values() for share in credit.shares), *getattr(wish, "shares", ())]
    opened: Books = await look(AllBooks.at(CURRENCY))
    payee_ids = tuple(sorted({str(share.partner_id) for share in shares}))
    preferred = {(await look(Payees.at(payee_id))).payout_currency for payee_id in payee_ids}
    currencies = _currencies(wish, state, books) | ({opened.currency, *preferred} - {None})
    rates: tuple[Rate, ...] = ()
    if len(currencies) > 1:
        rates = await rates_about(look, [*_days_of(wish, state), wish.now.astimezone(UTC).date()])
    return LookedUp(
        payee_ids=payee_ids,
        rates=tuple(rate for rate in rates if {rate.base, rate.quote} <= currencies),
        books_currency=opened.currency,
    )


def _currencies(wish: FactCommand, state: Sale, books: Sequence[Rulebook]) -> set[str]:
    """The currencies of the sale and of every plan, among which rates are looked up."""
    bodies = [version.body for book in books for version in book.versions]
    given = {body.get(name) for body in bodies for name in ("currency", "payout_currency")} - {None}
    sales = {win.amount.currency for win in state.wins.values()}
    return {str(code) for code in given} | sales | ({wish.amount.currency} if isinstance(wish, RecordWin) else set())


def _days_of(wish: FactCommand, state: Sale) -> list[date]:
    days = [win.credited_on for win in state.wins.values()] + [one.happened_on for one in state.bases.values()]
    given = getattr(wish, "closed_on", None) or getattr(wish, "happened_on", None)
    return [*days, given] if given else days


async def all_payees(app: Application, tenant: str, peek: Peek) -> dict[str, Payee]:
    """Every payee that is known, with its standing."""
    found: dict[str, Payee] = {}
    cursor = None
    while True:
        page = await app.read.find("payee_gates", tenant, sort="partner_id", after=cursor, limit=PAGE_MAX)
        found |= {item["payee_id"]: await peek(Payees.at(item["payee_id"])) for item in page.items}
        cursor = page.next_cursor
        if cursor is None:
            return found


async def rates_about(look: Look, days: Sequence[date]) -> tuple[Rate, ...]:
    """The recorded rates that may hold on some days."""
    found = [rate for month in months_about(days) for rate in (await look(AllBooks.at(month))).rates]
    return tuple(rate for rate in found if any(0 <= (day - rate.on).days <= RATE_DAYS_MAX for day in days))


async def in_books(look: Look, today: date) -> InBooks:
    """The currency of the books and the rates of a day."""
    opened: Books = await look(AllBooks.at(CURRENCY))
    return InBooks(currency=opened.currency, rates=await rates_about(look, [today])) if opened.currency else NO_BOOKS


async def _plan_ids(app: Application, tenant: str) -> tuple[str, ...]:
    return await rules_of_kind(app, tenant, PLANS.name)


async def rules_of_kind(app: Application, tenant: str, kind: str) -> tuple[str, ...]:
    """The rulebooks of a kind that have a published version."""
    await app.caught_up("rulebooks")
    found = await app.read.find("rulebooks", tenant, where={"kind": kind}, sort="kind", limit=PLANS_MAX)
    return tuple(sorted(book["rulebook_id"] for book in found.items if book["versions"]))


def _fact_streams(wish: FactCommand) -> tuple[Any, ...]:
    return (
        Sales.at(wish.opportunity_id),
        tuple(Meters.at(meter) for meter in wish.meter_ids),
        tuple(Budgets.at(budget) for budget in wish.looked_up.budget_ids),
    )


def _fact_reads(wish: FactCommand) -> tuple[Any, ...]:
    return (
        tuple(Rules.at(plan_id) for plan_id in wish.plan_ids),
        tuple(Payees.at(payee_id) for payee_id in wish.looked_up.payee_ids),
    )


# The books: a month is closed over what the ledger sums to


async def close_of(app: Application, tenant: str, *, month: str, by: str) -> bookkeeping.CloseMonth:
    """The wish to close a month, with what every account sums to now."""
    await app.caught_up("trial_balance")
    found = await app.read.find("trial_balance", tenant, sort="currency", limit=PAGE_MAX)
    months = [document["first_booked_on"][:7] for document in found.items]
    return bookkeeping.CloseMonth(
        month=month,
        position=max((document["position"] for document in found.items), default=0),
        balances={
            f"{account} {document['currency']}": amount
            for document in found.items
            for account, amount in document["accounts"].items()
        },
        totals=_totals(found.items),
        first_month=min(months, default=None),
        by=by,
        now=app.clock.now(),
    )


def _totals(trial: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What each currency sums to, and the books in theirs."""
    sums = {document["currency"]: Decimal(document["total"]) for document in trial}
    for document in trial:
        for booked, amount in document["books"].items():
            name = f"books {booked.rpartition(' ')[2]}"
            sums[name] = sums.get(name, Decimal(0)) + Decimal(amount)
    return {name: str(total) for name, total in sorted(sums.items())}


# Withheld tax: what the ledger says of each payee is copied into the command


@dataclass(frozen=True, kw_only=True)
class Remittance:
    """Which withheld tax was paid to its jurisdiction, with which return, and who says so."""

    jurisdiction: str
    currency: str
    reference: str
    by: str


async def remittance_of(app: Application, tenant: str, peek: Peek, asked: Remittance) -> tax.RemitTax:
    """The wish to remit all that is withheld for a jurisdiction in one currency."""
    await app.caught_up("balances")
    jurisdiction, currency = asked.jurisdiction, asked.currency
    identity = tax.tax_id(jurisdiction, currency)
    known: tax.Tax = await peek(tax.Taxes.at(identity))
    balances = [one for one in await _all_balances(app, tenant) if one["currency"] == currency]
    parts = [_withheld(one, jurisdiction, known) for one in balances if f"withheld:{jurisdiction}" in one["accounts"]]
    due = [part for part in parts if part.amount != known.remitted.get(part.payee_id)]
    return tax.RemitTax(
        tax_id=identity,
        jurisdiction=jurisdiction,
        reference=asked.reference,
        withheld=tuple(due[: tax.PAYEES_MAX]),
        by=asked.by,
        now=app.clock.now(),
    )


async def _all_balances(app: Application, tenant: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = await app.read.find("balances", tenant, sort="account_id", after=cursor, limit=PAGE_MAX)
        found += page.items
        cursor = page.next_cursor
        if cursor is None:
            return found


def _withheld(balances: dict[str, Any], jurisdiction: str, known: tax.Tax) -> tax.Withheld:
    account, currency, payee_id = f"withheld:{jurisdiction}", balances["currency"], balances["payee_id"]
    stands = Money(amount=-Decimal(balances["accounts"][account]), currency=currency)
    names = (name.rpartition(" ") for name in balances["books"])
    foreign = [code for name, _, code in names if name == account and code != currency]
    worth = [Money(amount=-Decimal(balances["books"][f"{account} {code}"]), currency=code) for code in foreign]
    return tax.Withheld(
        payee_id=payee_id,
        partner_id=balances["partner_id"],
        amount=stands + known.remitted.get(payee_id, none_of(currency)),
        books=worth[0] if worth else None,
    )


# Statements and payments: what the ledger says is copied into the command, with its position


@dataclass(frozen=True, kw_only=True)
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
    """The statement of a payee's period: every change of what is payable since the last one, up to the period's end."""
    payee_id = asked.payee_id or asked.partner_id
    identity = account.account_id(payee_id, asked.currency)
    state: Account = await peek(Accounts.at(identity))
    start = state.last.to_position if state.last else 0
    before = date.max.isoformat() if asked.final else period_end(asked.period).isoformat()
    lines = await _payable_changes(app, tenant, identity, start, before)
    return account.IssueStatement(
        account_id=identity,
        payee_id=payee_id,
        partner_id=asked.partner_id,
        currency=asked.currency,
        period=asked.period,
        from_position=start,
        to_position=lines[-1].position if lines else start,
        lines=tuple(lines),
        by=asked.by,
        now=app.clock.now(),
        final=asked.final,
    )


async def _payable_changes(
    app: Application, tenant: str, identity: str, after: int, before: str
) -> list[account.StatementLine]:
    """The ledger's changes of one payable balance in order, up to the first whose business date is after the period."""
    await app.caught_up("ledger")
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


async def proposal_of(
    app: Application, tenant: str, *, statement: dict[str, Any], by: str, final: bool = False
) -> payment.ProposePayment:
    """The wish to pay a statement, with all that ever became payable to its payee."""
    await app.caught_up("balances")
    identity = statement["account_id"]
    currency = statement["closing"]["currency"]
    balances = await app.read.get("balances", tenant, identity)
    partner: Payee = await app.executor.peek(tenant)(Payees.at(statement["partner_id"]))
    return payment.ProposePayment(
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
    names = await rules_of_kind(app, tenant, PAYMENT)
    peek = app.executor.peek(tenant)
    return payment.rules_of([await peek(Rules.at(name)) for name in names], app.clock.now())


async def carried_of(
    app: Application, tenant: str, order: payment.PaymentProposed
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


async def write_off_of(app: Application, tenant: str, asked: Period, reason: str) -> account.WriteOffNegative:
    """The wish to give up what a payee owes, with what its earnings stand at: fund money is none of them."""
    await app.caught_up("balances")
    identity = account.account_id(asked.partner_id, asked.currency)
    balances = await app.read.get("balances", tenant, identity)
    stands = balances["accounts"].get("payable", "0") if balances else "0"
    payable = Money(amount=-Decimal(stands), currency=asked.currency)
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


# The table


def _sale_stream(wish: Any) -> tuple[Any, ...]:
    return (Sales.at(wish.opportunity_id),)


def _approval_stream(wish: Any) -> tuple[Any, ...]:
    return (Approvals.at(wish.registration_id),)


def _rates_stream(wish: Any) -> tuple[Any, ...]:
    return (AllBooks.at(month_name(wish.on)),)


def _month_stream(wish: Any) -> tuple[Any, ...]:
    return (AllBooks.at(wish.month),)


def _month_before(wish: Any) -> tuple[Any, ...]:
    return (AllBooks.at(month_before(wish.month)),)


def _meter_stream(wish: Any) -> tuple[Any, ...]:
    return (Meters.at(wish.meter_id),)


def _meter_reads(wish: Any) -> tuple[Any, ...]:
    return ((Rules.at(wish.plan_id),), Payees.at(wish.payee_id))


def _budget_stream(wish: Any) -> tuple[Any, ...]:
    return (Budgets.at(wish.budget_id),)


def _payee_stream(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.partner_id),)


def _tax_stream(wish: Any) -> tuple[Any, ...]:
    return (tax.Taxes.at(wish.tax_id),)


def _account_stream(wish: Any) -> tuple[Any, ...]:
    return (Accounts.at(wish.account_id),)


def _payment_stream(wish: Any) -> tuple[Any, ...]:
    return (Payments.at(wish.payment_id),)


def _payment_and_account(wish: Any) -> tuple[Any, ...]:
    return Payments.at(wish.payment_id), Accounts.at(wish.account_id)


def _gates(wish: Any) -> tuple[Any, ...]:
    return Payees.at(wish.payee_id), _rules(wish)[0]


def _rules(wish: Any) -> tuple[Any, ...]:
    return (tuple(Rules.at(rulebook_id) for rulebook_id in wish.rules),)


def _payee(wish: Any) -> tuple[Any, ...]:
    return (Payees.at(wish.payee_id),)


def _opened_payee(wish: payee.OpenPayee) -> tuple[Any, ...]:
    return (Payees.at(wish.payee_id or wish.partner_id),)


def _batch_streams(wish: Any) -> tuple[Any, ...]:
    return Batches.at(wish.batch_id), tuple(Payments.at(payment_id) for payment_id in wish.payment_ids)


def _batch_reads(wish: Any) -> tuple[Any, ...]:
    return tuple(Payees.at(payee_id) for payee_id in wish.payee_ids), _rules(wish)[0]


def _batch_stream(wish: Any) -> tuple[Any, ...]:
    return (Batches.at(wish.batch_id),)


def _batch_payments(wish: Any) -> tuple[Any, ...]:
    return (tuple(Payments.at(payment_id) for payment_id in wish.payment_ids),)


def _fund_book(wish: Any) -> tuple[Any, ...]:
    return (Rules.at(wish.fund_id),)


def _pool_and_share(wish: fund_share.AllocateFund) -> tuple[Any, ...]:
    share = share_id(wish.fund_id, wish.period, wish.partner_id)
    return Budgets.at(pool_id(wish.fund_id, wish.period)), Budgets.at(share)


def _share_and_following(wish: fund_share.ExpireFundShare) -> tuple[Any, ...]:
    following = next_period(wish.period)
    return tuple(Budgets.at(share_id(wish.fund_id, one, wish.partner_id)) for one in (wish.period, following))


def _accruals_and_shares(wish: accrual.AccrueFunds) -> tuple[Any, ...]:
    return (
        tuple(accrual.Accruals.at(accrual.accrual_id(one.fund_id, one.partner_id)) for one in wish.shares),
        tuple(Budgets.at(share_id(one.fund_id, one.period, one.partner_id)) for one in wish.shares),
    )


def _accruing_books(wish: accrual.AccrueFunds) -> tuple[Any, ...]:
    return (tuple(Rules.at(one.fund_id) for one in wish.shares),)


def _fund_request_stream(wish: Any) -> tuple[Any, ...]:
    return (FundRequests.at(wish.fund_request_id),)


def _request_and_share(wish: Any) -> tuple[Any, ...]:
    return FundRequests.at(wish.fund_request_id), Budgets.at(wish.budget_id)


def _claim_stream(wish: Any) -> tuple[Any, ...]:
    return (Claims.at(wish.claim_id),)


def _claim_and_evidence(wish: claim.SubmitClaim) -> tuple[Any, ...]:
    return (
        Claims.at(wish.claim_id),
        tuple(FundRequests.at(request_id) for request_id in wish.request_ids),
        tuple(AllEvidence.at(evidence_id) for evidence_id in wish.evidence_ids),
    )


def _claim_request_and_share(wish: claim.DecideFundClaim) -> tuple[Any, ...]:
    return Claims.at(wish.claim_id), *_request_and_share(wish)


def _claim_and_price(wish: claim.DecideSpecialPriceClaim) -> tuple[Any, ...]:
    return Claims.at(wish.claim_id), SpecialPrices.at(wish.special_price_id)


def _special_price_stream(wish: Any) -> tuple[Any, ...]:
    return (SpecialPrices.at(wish.special_price_id),)


def _tier_stream(wish: Any) -> tuple[Any, ...]:
    return (Tiers.at(tier_id(wish.programme, wish.partner_id)),)


def _tier_and_payee(wish: Any) -> tuple[Any, ...]:
    return *_tier_stream(wish), Payees.at(wish.partner_id)


def _tier_book(wish: Any) -> tuple[Any, ...]:
    return (Rules.at(wish.programme),)


def _forfeiture_streams(wish: forfeiture.ForfeitBalance) -> tuple[Any, ...]:
    return forfeiture.Forfeitures.at(wish.payment_id), *_payment_and_account(wish)


def _case_streams(wish: case.LookForAbuse | case.CloseCase) -> tuple[Any, ...]:
    sales = tuple(Sales.at(opportunity_id) for opportunity_id in case.sales_of(wish.lines))
    return case.Cases.at(wish.case_id), sales, Payees.at(wish.payee_id)


def _case_answer(wish: Any, state: case.Case, *_: Any) -> dict[str, Any]:
    return {"case_id": wish.case_id, "state": state.stage.value}


def _recognition_stream(wish: Any) -> tuple[Any, ...]:
    return (Recognitions.at(recognition_id(wish.payee_id, wish.year)),)


def _tier_answer(wish: Any, state: Tier, *_: Any) -> dict[str, Any]:
    grace = str(state.review.grace_until) if state.review else None
    return {"programme": wish.programme, "partner_id": wish.partner_id, "level": state.level, "grace_until": grace}


def _share_answer(wish: fund_share.AllocateFund, pool: Budget, share: Budget) -> dict[str, Any]:
    return {
        "fund_id": wish.fund_id,
        "period": wish.period,
        "partner_id": wish.partner_id,
        "available": plain(share.available),
        "left_in_fund": plain(pool.available),
    }


def _request_answer(wish: Any, state: fund_request.FundRequest, *_: Any) -> dict[str, Any]:
    return {
        "fund_request_id": wish.fund_request_id,
        "state": state.stage.value,
        "reserved": plain(state.rest) if state.rest else None,
        "claim_by": str(state.claim_by) if state.claim_by else None,
    }


def _claim_answer(wish: Any, state: claim.Claim, *_: Any) -> dict[str, Any]:
    return {
        "claim_id": wish.claim_id,
        "state": state.stage.value,
        "needs_review": bool(state.reused),
        "amount": plain(state.approved.amount) if state.approved else None,
    }


def _price_answer(wish: Any, state: special_price.SpecialPrice) -> dict[str, Any]:
    return {"special_price_id": wish.special_price_id, "ends_on": str(state.ends_on)}


def _batch_answer(wish: Any, state: Batch, *_: Any) -> dict[str, Any]:
    return {"batch_id": wish.batch_id, "state": state.stage}


def _line_answer(wish: Any, state: Sale) -> dict[str, Any]:
    known = state.lines.get(wish.line_id)
    return {"line_id": wish.line_id, "state": known.state if known else None}


def _budget_answer(wish: Any, state: Budget) -> dict[str, Any]:
    return {"budget_id": wish.budget_id, "available": plain(state.available) if state.allocated else None}


def _month_answer(wish: Any, state: Books) -> dict[str, Any]:
    closed = state.closed
    return {"month": closed.month, "position": closed.position, "sha256": closed.sha256} if closed else {}


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
        Handles(fact, decision, _fact_streams, reads=_fact_reads, prepare=with_streams, evaluator=evaluator)
        for evaluator, decision in (
            (1, decide_fact_by_booking),
            (2, decide_fact_whole_in_books),
            (3, decide_fact),
        )
        for fact in (RecordWin, RecordBasis, RecordCredit, RecordReversal, ResolveFact)
    ),
    Handles(ReleaseLine, line.release_line, _sale_stream, answer=_line_answer),
    Handles(PostponeLine, line.postpone_line, _sale_stream, answer=_line_answer),
    Handles(AdjustLine, line.adjust_line, _sale_stream, answer=_line_answer),
    Handles(ConfirmAdjustment, line.confirm_adjustment, _sale_stream, answer=_line_answer),
    Handles(approval.RecordApproval, approval.record_approval, _approval_stream),
    Handles(bookkeeping.OpenBooks, bookkeeping.open_books, lambda _: (AllBooks.at(CURRENCY),)),
    Handles(bookkeeping.RecordRates, bookkeeping.record_rates, _rates_stream),
    Handles(bookkeeping.CloseMonth, bookkeeping.close_month, _month_stream, reads=_month_before, answer=_month_answer),
    Handles(meter.SettleRebate, meter.settle_rebate, _meter_stream, reads=_meter_reads),
    Handles(meter.CloseWindow, meter.close_window, _meter_stream, reads=_meter_reads),
    Handles(budget.AllocateBudget, budget.allocate_budget, _budget_stream, answer=_budget_answer),
    Handles(budget.ReserveBudget, budget.reserve_budget, _budget_stream, answer=_budget_answer),
    Handles(budget.UseBudget, budget.use_budget, _budget_stream, answer=_budget_answer),
    Handles(budget.ReleaseBudget, budget.release_budget, _budget_stream, answer=_budget_answer),
    Handles(budget.ExpireBudget, budget.expire_budget, _budget_stream, answer=_budget_answer),
    Handles(fund_share.AllocateFund, fund_share.allocate_fund, _pool_and_share, reads=_fund_book, answer=_share_answer),
    *(
        Handles(fund_share.ExpireFundShare, decision, _share_and_following, reads=_fund_book, evaluator=evaluator)
        for evaluator, decision in ((1, fund_share.expire_while_in_force), (2, fund_share.expire_fund_share))
    ),
    Handles(accrual.AccrueFunds, accrual.accrue_funds, _accruals_and_shares, reads=_accruing_books),
    *(
        Handles(wish, decision, _fund_request_stream, answer=_request_answer)
        for wish, decision in (
            (fund_request.DraftFundRequest, fund_request.draft_fund_request),
            (fund_request.RecallFundRequest, fund_request.recall_fund_request),
            (fund_request.RequestExtension, fund_request.request_extension),
        )
    ),
    *(
        Handles(wish, decision, _fund_request_stream, reads=_fund_book, answer=_request_answer)
        for wish, decision in (
            (fund_request.SubmitFundRequest, fund_request.submit_fund_request),
            (fund_request.AmendFundRequest, fund_request.amend_fund_request),
        )
    ),
    Handles(
        fund_request.DecideFundRequest,
        fund_request.decide_fund_request,
        _request_and_share,
        reads=_fund_book,
        answer=_request_answer,
    ),
    Handles(fund_request.EndFundRequest, fund_request.end_fund_request, _request_and_share, answer=_request_answer),
    Handles(fund_request.CheckFundRequest, fund_request.check_fund_request, _request_and_share),
    Handles(claim.DraftClaim, claim.draft_claim, _claim_stream, answer=_claim_answer),
    Handles(claim.SubmitClaim, claim.submit_claim, _claim_and_evidence, answer=_claim_answer),
    *(
        Handles(
            claim.DecideFundClaim,
            decision,
            _claim_request_and_share,
            reads=_fund_book,
            answer=_claim_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in ((1, claim.decide_fund_claim_together), (2, claim.decide_fund_claim))
    ),
    Handles(claim.DecideSpecialPriceClaim, claim.decide_special_price_claim, _claim_and_price, answer=_claim_answer),
    Handles(claim.SettleClaim, claim.settle_claim, _claim_stream),
    Handles(claim.ReleaseInstalments, claim.release_instalments, _claim_stream),
    Handles(claim.CreditClaim, claim.credit_claim, _claim_stream, answer=_claim_answer),
    Handles(
        special_price.GrantSpecialPrice,
        special_price.grant_special_price,
        _special_price_stream,
        answer=_price_answer,
    ),
    Handles(
        special_price.EndSpecialPrice, special_price.end_special_price, _special_price_stream, answer=_price_answer
    ),
    *(
        Handles(wish, decision, _tier_and_payee, reads=_tier_book, answer=_tier_answer)
        for wish, decision in (
            (tier.RecordTierMetric, tier.record_tier_metric),
            (tier.EvaluateTier, tier.evaluate_tier),
            (tier.DecideTierReview, tier.decide_tier_review),
            (tier.OverrideTier, tier.override_tier),
        )
    ),
    Handles(recognition.RecordAchievement, recognition.record_achievement, _recognition_stream, reads=_rules),
    Handles(recognition.TakeBackAchievement, recognition.take_back_achievement, _recognition_stream),
    Handles(recognition.ShareRecognition, recognition.share_recognition, _recognition_stream),
    Handles(forfeiture.ForfeitBalance, forfeiture.forfeit_balance, _forfeiture_streams, reads=_gates),
    Handles(case.LookForAbuse, case.look_for_abuse, _case_streams, reads=_rules),
    Handles(case.CloseCase, case.close_case, _case_streams, answer=_case_answer),
    Handles(tier.AppealTier, tier.appeal_tier, _tier_stream, answer=_tier_answer),
    Handles(payee.RecordStanding, payee.record_standing, _payee_stream),
    Handles(payee.OpenPayee, payee.open_payee, _opened_payee),
    Handles(payee.ChangeBankDetails, payee.change_bank_details, _payee),
    Handles(payee.VerifyBankDetails, payee.verify_bank_details, _payee),
    Handles(payee.SubmitTaxForm, payee.submit_tax_form, _payee),
    Handles(payee.DecideTaxForm, payee.decide_tax_form, _payee),
    Handles(payee.ConsentToPerson, payee.consent_to_person, _payee),
    Handles(payee.BlockPayee, payee.block_payee, _payee),
    Handles(payee.UnblockPayee, payee.unblock_payee, _payee),
    Handles(tax.RemitTax, tax.remit_tax, _tax_stream),
    Handles(payee.SetPayoutCurrency, payee.set_payout_currency, _payee),
    Handles(account.ScheduleStatement, account.schedule_statement, _account_stream),
    Handles(account.DisputeLine, account.dispute_line, _account_stream),
    Handles(account.DecideDispute, account.decide_dispute, _account_stream),
    Handles(account.WriteOffNegative, account.write_off_negative, _account_stream),
    Handles(payment.AttachInvoice, payment.attach_invoice, _payment_and_account, answer=_payment_answer),
    Handles(batch.PrepareBatch, batch.prepare_batch, _batch_stream, reads=_batch_payments, answer=_batch_answer),
    Handles(batch.ApproveBatch, batch.approve_batch, _batch_streams, reads=_batch_reads, answer=_batch_answer),
    Handles(batch.SendBatch, batch.send_batch, _batch_streams, reads=_batch_reads, answer=_batch_answer),
    Handles(batch.CloseBatch, batch.close_batch, _batch_stream, reads=_batch_payments, answer=_batch_answer),
    Handles(settlement.LetPayeeLeave, settlement.let_payee_leave, _payee_stream),
    Handles(settlement.KeepPayee, settlement.keep_payee, _payee_stream),
    Handles(settlement.SettlePartner, settlement.settle_partner, _payee_stream),
    Handles(payee.SuspendPayee, payee.suspend_payee, _payee_stream),
    Handles(payee.ReinstatePayee, payee.reinstate_payee, _payee_stream),
    Handles(account.IssueStatement, account.issue_statement, _account_stream, answer=_statement_answer),
    *(
        Handles(
            payment.ProposePayment,
            decision,
            _payment_and_account,
            reads=_rules,
            answer=_payment_answer,
            evaluator=evaluator,
        )
        for evaluator, decision in ((1, payment.propose_payment_together), (2, payment.propose_payment))
    ),
    Handles(payment.ApprovePayment, payment.approve_payment, _payment_stream, reads=_gates, answer=_payment_answer),
    Handles(payment.ResumePayment, payment.resume_payment, _payment_stream, reads=_gates, answer=_payment_answer),
    Handles(payment.SubmitPayment, payment.submit_payment, _payment_stream, reads=_gates, answer=_payment_answer),
    Handles(payment.ReportOutcome, payment.report_outcome, _payment_and_account, answer=_payment_answer),
    Handles(payment.RetryPayment, payment.retry_payment, _payment_stream, answer=_payment_answer),
    Handles(payment.DeclinePayment, payment.decline_payment, _payment_and_account, answer=_payment_answer),
)
