"""What a payment that a statement tells of brings to the payee's bank: its amount, with tax on top, less what is withheld."""

from collections.abc import Iterable
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, TypedDict

from chassis.application import Application
from chassis.event import plain
from chassis.store.port import Recorded
from contracts.values import Money, total
from services.incentives.application.paying import payment_rules_at
from services.incentives.application.proving import recorded_at, whole_stream
from services.incentives.domain.account import Account
from services.incentives.domain.journal import INVOICE_TAX, Entry
from services.incentives.domain.payee import Payees, withholding_form_of
from services.incentives.domain.payment_events import PaymentApproved, PaymentBlocked, PaymentDeclined
from services.incentives.domain.payment_rules import percent_of

DRAWS = ("payment_approved", "payment_blocked", "payment_declined")
"""The kinds of statement lines by which a payment draws, or what it drew comes back."""


class StatedPayment(TypedDict):
    """A payment that a line of the statement is of: `to_bank` is the `amount` with the `tax` on top, less the `withheld`.

    The tax is that of its invoice. Where the payment was given up again, and the line is what comes back, all are below
    zero. `withheld_percent` is the rate of the payment rules that held.
    """

    event_id: str
    payment_id: str
    amount: Annotated[dict[str, str], Money]
    tax: Annotated[dict[str, str], Money]
    withheld: Annotated[dict[str, str], Money]
    jurisdiction: str | None
    withheld_percent: str | None
    to_bank: Annotated[dict[str, str], Money]


class StatedOrder(TypedDict):
    """Where a payment stands that a live statement has to do with; `net` is what it brings to the bank, once approved."""

    payment_id: str
    statement_id: str
    statement_number: int
    state: str
    amount: Annotated[dict[str, str], Money]
    tax: Annotated[dict[str, str], Money] | None
    withheld: Annotated[dict[str, str], Money] | None
    net: Annotated[dict[str, str], Money] | None
    gates: list[str]
    paid_on: Annotated[str, date] | None


async def stated_orders(app: Application, tenant: str, account: Account, live: dict[str, Any]) -> list[StatedOrder]:
    """The payment that is under way, that of the last statement, and those of the lines, in the order of their statements.

    What a person earned at another partner is not for this one to see.
    """
    last = account.last.statement_id if account.last else None
    named = {name for name, one in account.payments.items() if one.statement_id == last}
    named |= {line["cause"] for line in live["lines"] if line["kind"] in DRAWS}
    named |= {account.open_payment} if account.open_payment else set()
    await app.caught_up("payments")
    found = (await app.read.get_many("payments", tenant, sorted(named))).values()
    here = sorted(
        (one for one in found if one["partner_id"] == live["partner_id"]), key=lambda one: int(one["statement_number"])
    )
    orders: list[Any] = [{name: one[name] for name in StatedOrder.__annotations__} for one in here]
    return orders


async def stated_payments(app: Application, tenant: str, statement: dict[str, Any]) -> list[StatedPayment]:
    """The payments of a statement's lines, in their order, each as it was approved or given up then."""
    drawn = [await recorded_at(app, line["position"]) for line in statement["lines"] if line["kind"] in DRAWS]
    return [await _stated(app, tenant, one) for one in drawn]


async def _stated(app: Application, tenant: str, recorded: Recorded) -> StatedPayment:
    it: PaymentApproved | PaymentBlocked | PaymentDeclined = recorded.event
    entries, currency = it.journal.entries, it.amount.currency
    kept = [one for one in entries if one.account == "withheld"]
    amount = _sum((one for one in entries if one.account == "payable" and _side(one) != INVOICE_TAX), currency)
    withheld = -_sum(kept, currency)
    to_bank = -_sum((one for one in entries if one.account == "in_payment"), currency)
    return {
        "event_id": recorded.id,
        "payment_id": it.payment_id,
        "amount": plain(amount),
        "tax": plain(to_bank + withheld - amount),
        "withheld": plain(withheld),
        "jurisdiction": next((one.of for one in kept), None),
        "withheld_percent": await _percent(app, tenant, recorded) if kept else None,
        "to_bank": plain(to_bank),
    }


def _side(one: Entry) -> tuple[str, str | None]:
    return one.account, one.of


def _sum(entries: Iterable[Entry], currency: str) -> Money:
    return total((one.amount for one in entries), currency)


async def _percent(app: Application, tenant: str, recorded: Recorded) -> str | None:
    """The rate by the rules and the payee's tax form when it was approved; of what comes back none is told."""
    it = recorded.event
    if not isinstance(it, PaymentApproved):
        return None
    rules = await payment_rules_at(app, tenant, it.approved_at)
    told = await whole_stream(app, Payees.at(it.payee_id).name(tenant))
    payee = Payees.fold(one.event for one in told if one.position < recorded.position)
    form = withholding_form_of(payee, it.approved_at, rules)
    percent = percent_of(rules, it.jurisdiction, form.payee_kind, it.approved_at.year) if form else Decimal(0)
    return str(percent)
