"""What a sale adds to the figures of tiers: the credited part of what was won and not taken back."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from contracts.values import Money, none_of
from services.incentives.domain.exchange import Rate, exchanged, rate_for
from services.incentives.domain.sale import Sale, WinRecorded, shares_in_month
from services.incentives.domain.schedule import PERCENT
from services.incentives.domain.tier_rules import REVENUE, Metric, MetricFact

NOTHING = Decimal(0)
FIGURE_STEP = Decimal("0.0001")


def figures_of(sale: Sale, metric: Metric, rates: Sequence[Rate]) -> Iterator[tuple[str, MetricFact]]:
    """Each partner that was ever credited with what the sale is worth to it now; nothing for who no longer is.

    A win in a currency without a recorded rate of its day is left out.
    """
    for win_no, win in sorted(sale.wins.items()):
        stands = None if win.backfill else _in(standing(sale, win), metric, win, rates)
        for partner_id in sorted(sale.partners) if stands is not None else ():
            part = percent_of(sale, win, metric.pool, partner_id)
            value = (stands.amount * part / PERCENT).quantize(FIGURE_STEP) if stands is not None else NOTHING
            if metric.source != REVENUE:
                value = Decimal(1) if value > 0 else NOTHING
            ref = f"{win.opportunity_id}-{win_no}"
            yield partner_id, MetricFact(metric=metric.name, ref=ref, value=value, on=win.credited_on)


def standing(sale: Sale, win: WinRecorded) -> Money:
    """What of a win was not taken back by the CRM."""
    taken = [one.asked.amount for one in sale.reversals_of(win.win_no) if one.source == "crm"]
    left = win.amount.amount - sum((amount.amount for amount in taken), NOTHING)
    return Money(amount=max(left, NOTHING), currency=win.amount.currency)


def _in(amount: Money, metric: Metric, win: WinRecorded, rates: Sequence[Rate]) -> Money | None:
    """The amount in the metric's currency at the rate of the win's day; as it is where none is named."""
    if metric.currency in (None, amount.currency):
        return amount
    rate = rate_for(rates, amount.currency, metric.currency or "", win.credited_on)
    return exchanged(amount, rate).result if rate else none_of(metric.currency or "") if amount.zero else None


def percent_of(sale: Sale, win: WinRecorded, pool: str, partner_id: str) -> Decimal:
    """The percent of a pool that a partner is credited with in the month of a win."""
    credit = next((one for one in sale.credit_of(win.win_no) if one.pool == pool), None)
    shares = shares_in_month(credit.shares, win.credited_on) if credit else ()
    return sum((share.percent for share in shares if share.partner_id == partner_id), NOTHING)
