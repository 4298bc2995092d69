"""Rates of exchange as they were recorded: the newest one that is not younger than the day and not older than a week."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext

from chassis.decider import Invalid, Refused
from chassis.event import LEFT_OUT, LeftOut, frozen, iso
from contracts.values import Money, round_half_up

RATE_DAYS_MAX = 7
RATE_DIGITS, RATE_INTEGER_DIGITS = 10, 18
RATE_STEP = Decimal(1).scaleb(-RATE_DIGITS)
QUOTIENT_DIGITS = 60
"""No quotient of an amount and a rate is so near to half a minor unit that these digits would round it onto it."""


@frozen
class Rate:
    """One unit of `base` is `rate` units of `quote`, by `source`, on a day.

    Where the pair was recorded the other way round, `per` is what was recorded: amounts are divided by it, and `rate` is
    rounded. One that was looked up without `exact` multiplies by the rounded one, as it was once decided.
    """

    base: str
    quote: str
    rate: Decimal
    on: date
    source: str
    event_id: str = ""
    exact: bool | LeftOut = LEFT_OUT
    per: Decimal | LeftOut = LEFT_OUT


@frozen
class Exchange:
    """A conversion that was made: with which rate, from what, to what."""

    rate: Rate
    given: Money
    result: Money


def newest(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """Of each pair and day, whichever way round, the rate that was recorded last. They come in the order of recording."""
    found = {(frozenset((rate.base, rate.quote)), rate.on): rate for rate in rates}
    return tuple(found.values())


def rate_for(rates: Iterable[Rate], base: str, quote: str, on: date) -> Rate | None:
    """The rate that holds on a day, also from the pair the other way round; None when none is a week old or younger."""
    fitting = [
        found for rate in rates if (found := _as(rate, base, quote)) and 0 <= (on - rate.on).days <= RATE_DAYS_MAX
    ]
    return max(fitting, key=lambda rate: (rate.on, rate.event_id), default=None)


def _as(rate: Rate, base: str, quote: str) -> Rate | None:
    if (rate.base, rate.quote) == (base, quote):
        return rate
    if (rate.base, rate.quote) != (quote, base):
        return None
    inverse = (1 / rate.rate).quantize(RATE_STEP, rounding=ROUND_HALF_UP)
    per = rate.rate if rate.exact else LEFT_OUT
    return Rate(base=base, quote=quote, rate=inverse, on=rate.on, source=rate.source, event_id=rate.event_id, per=per)


def exchanged(amount: Money, rate: Rate) -> Exchange:
    """The amount in the rate's other currency, half-up at its minor unit."""
    worth = _divided(amount.amount, rate.per) if rate.per else amount.amount * rate.rate
    return Exchange(rate=rate, given=amount, result=round_half_up(worth, rate.quote))


def _divided(amount: Decimal, by: Decimal) -> Decimal:
    with localcontext(prec=QUOTIENT_DIGITS):
        return amount / by


def exact(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """Recorded rates as they are looked up now: the pair the other way round divides by them."""
    return tuple(replace(rate, exact=True) for rate in rates)


class UnknownCurrency(Invalid):
    """A currency is one of ISO 4217, such as EUR."""

    slug = "unknown-currency"


class NoRate(Refused):
    """No rate of exchange of the week up to the day is recorded: record one, then try again."""

    slug = "no-rate"

    def __init__(self, base: str, quote: str, on: date) -> None:
        super().__init__(f"no rate from {base} to {quote} of the week up to {iso(on)} is recorded", on=iso(on))
        self.pair = f"{base}/{quote}"


@frozen
class InBooks:
    """The currency of the books, with the recorded rates at hand. Without one every amount is in its own."""

    currency: str | None = None
    rates: tuple[Rate, ...] = ()

    def amount(self, amount: Money, on: date) -> Money | None:
        """The amount in the currency of the books at a day's rate; None where it is in it already. Raises NoRate."""
        if self.currency is None or amount.currency == self.currency:
            return None
        rate = rate_for(self.rates, amount.currency, self.currency, on)
        if rate is None:
            raise NoRate(amount.currency, self.currency, on)
        return exchanged(amount, rate).result


NO_BOOKS = InBooks()


def rate_faults(rate: Rate) -> list[str]:
    """What is wrong with a rate, in sentences; nothing for a sound one."""
    sound = rate.rate.is_finite() and rate.rate > 0 and rate.rate.adjusted() < RATE_INTEGER_DIGITS
    if not sound or rate.rate != rate.rate.quantize(RATE_STEP):
        return [
            f"a rate is above 0, with at most {RATE_DIGITS} digits after the point and {RATE_INTEGER_DIGITS} before it"
        ]
    return ["a rate is between two currencies"] if rate.base == rate.quote else []
