"""What a sale adds to the figures of tiers and to funds: the credited part of what was won and not taken back."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

from chassis.rulebook import Rulebook
from contracts.values import Money, none_of, total
from services.incentives.domain.accrual import Accruing, Bought, terms_on
from services.incentives.domain.exchange import Rate, exchanged, rate_for
from services.incentives.domain.fund import AccrualTerms, part_of, period_on
from services.incentives.domain.plan import BILLED
from services.incentives.domain.rating import Sold, half_up
from services.incentives.domain.sale import ADDED, Sale, heard_of, shares_in_month
from services.incentives.domain.sale_events import BILLING, CRM, WinRecorded
from services.incentives.domain.schedule import PERCENT
from services.incentives.domain.taking import Asked, Taken, taken_by
from services.incentives.domain.tier_rules import REVENUE, Metric, MetricFact

NOTHING = Decimal(0)
BOOKINGS = "bookings"
FIGURE_STEP = Decimal("0.0001")


@dataclass(frozen=True)
class Standing:
    """What of a win, or of something that was added to it later (named `added`), was not taken back by the CRM."""

    added: str
    on: date
    amount: Money


def figures_of(sale: Sale, metric: Metric, rates: Sequence[Rate]) -> Iterator[tuple[str, MetricFact]]:
    """Each partner that was ever credited with what the sale is worth to it now; nothing for who no longer is.

    What was added counts on its own day, and as the deal that it was added to. What is in a currency without a recorded
    rate of its day is left out.
    """
    for win_no, win in sorted(sale.wins.items()):
        found = [] if win.backfill or win.achievement else standing(sale, win)
        ref = f"{win.opportunity_id}-{win_no}"
        if metric.source != REVENUE:
            yield from _won(sale, win, metric, ref, found)
            continue
        for one in found:
            stands = _in(one.amount, metric.currency, one.on, rates)
            for partner_id in sorted(sale.partners) if stands is not None else ():
                part = percent_of(sale, win, metric.pool, partner_id)
                value = (stands.amount * part / PERCENT).quantize(FIGURE_STEP) if stands is not None else NOTHING
                its = f"{ref}-{one.added}" if one.added else ref
                yield partner_id, MetricFact(metric=metric.name, ref=its, value=value, on=one.on)


def _won(
    sale: Sale, win: WinRecorded, metric: Metric, ref: str, found: Sequence[Standing]
) -> Iterator[tuple[str, MetricFact]]:
    """A deal counts as one for whoever is credited with it, while something of it stands."""
    stands = any(not one.amount.zero for one in found)
    for partner_id in sorted(sale.partners) if found else ():
        counts = stands and percent_of(sale, win, metric.pool, partner_id) > 0
        value = Decimal(1) if counts else NOTHING
        yield partner_id, MetricFact(metric=metric.name, ref=ref, value=value, on=win.credited_on)


def standing(sale: Sale, win: WinRecorded) -> list[Standing]:
    """What stands of a win, and of each thing that was added to it."""
    taken = sale.taken(win.win_no, BOOKINGS, heard_of(sale.reversals_of(win.win_no), CRM, BOOKINGS))
    added = [(one.external_id, one.happened_on, one.sold) for one in sale.bases_of(win.win_no, (ADDED,))]
    return [
        Standing(name, on, _left(sold, taken, win.amount.currency))
        for name, on, sold in (("", win.credited_on, win.sold), *added)
    ]


def _left(sold: Sequence[Sold], taken: Sequence[Taken], currency: str) -> Money:
    names = [line.line_id for line in sold]
    gained = total((line.amount for line in sold), currency)
    return half_up(Fraction(gained.amount) - sum((one.of(names) for one in taken), Fraction(0)), currency)


def accruing_of(sale: Sale, fund_id: str, book: Rulebook, rates: Sequence[Rate], today: date) -> list[Accruing]:
    """What a sale's wins bring to each partner in one fund, each under the terms of its day, booked in today's period.

    A win in a currency without a recorded rate of its day is left out.
    """
    found: dict[str, Accruing] = {}
    for win_no, win in sorted(sale.wins.items()):
        terms = terms_on(book, win.credited_on)
        if terms is None or terms[1].accrual is None or win.achievement:
            continue
        accrual, currency = terms[1].accrual, terms[1].currency
        stands = _in(_on_basis(sale, win, accrual), currency, win.credited_on, rates)
        for partner_id in sorted(sale.partners) if stands is not None else ():
            part = part_of(stands or none_of(currency), percent_of(sale, win, accrual.pool, partner_id))
            bought = Bought(ref=f"{win.opportunity_id}-{win_no}", amount=part, credited_on=win.credited_on)
            period = period_on(accrual.every, today)
            known = found.get(partner_id) or Accruing(fund_id=fund_id, partner_id=partner_id, period=period, bought=())
            found[partner_id] = replace(known, bought=(*known.bought, bought))
    return list(found.values())


def _on_basis(sale: Sale, win: WinRecorded, terms: AccrualTerms) -> Money:
    """What of a win was booked or billed and not taken back. What was won before the product counts for nothing."""
    source = BILLING if terms.basis in BILLED else CRM
    heard = heard_of(sale.reversals_of(win.win_no), source, terms.basis)
    told = [] if win.backfill else sale.told_of(win.win_no, terms.basis, heard)
    lots = [line for one in told if not isinstance(one, Asked) for line in one]
    counted = [line for line in lots if not terms.product_families or line.family in terms.product_families]
    names = [line.line_id for line in counted]
    gained = total((line.amount for line in counted), win.amount.currency)
    days = sale.days_of(win.win_no, terms.basis) if told else ()
    taken = sum((one.of(names) for one in taken_by(told, days)), Fraction(0))
    return half_up(Fraction(gained.amount) - taken, gained.currency)


def facts_of(sale: Sale) -> int:
    """How many facts of a sale are known: it only grows."""
    return len(sale.wins) + len(sale.told) + sum(credit.revision for credit in sale.credits.values())


def _in(amount: Money, currency: str | None, on: date, rates: Sequence[Rate]) -> Money | None:
    """The amount in a currency at the rate of a day; as it is where none is named."""
    if currency in (None, amount.currency):
        return amount
    rate = rate_for(rates, amount.currency, currency or "", on)
    return exchanged(amount, rate).result if rate else none_of(currency or "") if amount.zero else None


def percent_of(sale: Sale, win: WinRecorded, pool: str, partner_id: str) -> Decimal:
    """The percent of a pool that a partner is credited with in the month of a win."""
    credit = next((one for one in sale.credit_of(win.win_no) if one.pool == pool), None)
    shares = shares_in_month(credit.shares, win.credited_on) if credit else ()
    return sum((share.percent for share in shares if share.partner_id == partner_id), NOTHING)
