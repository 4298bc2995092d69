"""What a payee has come to in a tax year: copied into the command, with the position of what was read."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from chassis.application import Application
from contracts.values import Money, money, none_of
from services.incentives.application.paying import payment_rules_now
from services.incentives.application.sales import rates_about
from services.incentives.domain.exchange import Rate, exchanged, rate_for
from services.incentives.domain.payment_events import PaymentProposed
from services.incentives.domain.thresholds import Threshold, YearSoFar

Dated = tuple[Money, date]


async def so_far_with(app: Application, tenant: str, order: PaymentProposed) -> YearSoFar | None:
    """The year of a payee with a payment that would go out now; None where the rules have no thresholds."""
    rules = await payment_rules_now(app, tenant)
    if not rules.thresholds:
        return None
    return await so_far(app, tenant, order.payee_id, rules.thresholds, order)


async def so_far(
    app: Application,
    tenant: str,
    payee_id: str,
    thresholds: Iterable[Threshold],
    order: PaymentProposed | None = None,
) -> YearSoFar:
    """The year of a payee until now, with what is on its way to it, in the currencies of the thresholds."""
    now = app.clock.now()
    await app.caught_up("paid_years")
    found = await app.read.get("paid_years", tenant, payee_id) or {"payments": {}, "position": 0}
    others = {name: one for name, one in found["payments"].items() if order is None or name != order.payment_id}
    amounts = [*_in_year(others, now), *([(order.amount, now.date())] if order else [])]
    currencies = sorted({one.currency for one in thresholds})
    foreign = [day for amount, day in amounts if {amount.currency} != set(currencies)]
    rates = await rates_about(app.executor.peek(tenant), foreign) if foreign else ()
    totals = [_total(amounts, currency, rates) for currency in currencies]
    return YearSoFar(tax_year=now.year, totals=tuple(one for one in totals if one), position=found["position"])


def _in_year(payments: dict[str, dict[str, Any]], now: datetime) -> list[Dated]:
    """What was paid this year with the day, and what is on its way as of today."""
    dated = [
        (money(one["amount"], one["currency"]), date.fromisoformat(one["paid_on"]) if one["paid_on"] else now.date())
        for one in payments.values()
    ]
    return [one for one in dated if one[1].year == now.year]


def _total(amounts: Iterable[Dated], currency: str, rates: tuple[Rate, ...]) -> Money | None:
    """The sum in a currency, each amount by the rate of its day; None where one has no rate."""
    whole = none_of(currency)
    for amount, day in amounts:
        worth = _worth(amount, currency, day, rates)
        if worth is None:
            return None
        whole += worth
    return whole


def _worth(amount: Money, currency: str, day: date, rates: tuple[Rate, ...]) -> Money | None:
    if amount.currency == currency:
        return amount
    rate = rate_for(rates, amount.currency, currency, day)
    return exchanged(amount, rate).result if rate else None
