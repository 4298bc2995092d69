"""Values that every service means in the same way: money, percent, ids, products, accounts."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from typing import Literal, NewType, get_args

from chassis.event import frozen

PartnerId = NewType("PartnerId", str)
PersonId = NewType("PersonId", str)
RegistrationId = NewType("RegistrationId", str)
AccountId = NewType("AccountId", str)
OpportunityId = NewType("OpportunityId", str)
LineId = NewType("LineId", str)
StatementId = NewType("StatementId", str)
PaymentId = NewType("PaymentId", str)

INTEGER_DIGITS_MAX = 15
PERCENT_STEP = Decimal("0.01")
HUNDRED = Decimal("100.00")

# ISO 4217, list one: active codes by the number of minor digits.
_DIGITS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR "
    "MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK "
    "SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XCD "
    "YER ZAR ZMW ZWG",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
MINOR_DIGITS = {code: digits for digits, codes in _DIGITS.items() for code in codes.split()}


@frozen
class Money:
    """An amount in one currency, exactly to its minor unit: `{"amount": "100.00", "currency": "EUR"}`.

    Raises ValueError for an unknown currency, more digits than the currency has, more than 15 integer digits, NaN.
    """

    amount: Decimal
    currency: str

    def __post_init__(self) -> None:
        exact = _exact(self.amount, self.currency)
        if exact is not self.amount:
            object.__setattr__(self, "amount", exact)

    def __add__(self, other: "Money") -> "Money":
        return Money(amount=self.amount + self._same(other), currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(amount=self.amount - self._same(other), currency=self.currency)

    def __neg__(self) -> "Money":
        return Money(amount=-self.amount, currency=self.currency)

    def __lt__(self, other: "Money") -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: "Money") -> bool:
        return self.amount <= self._same(other)

    def _same(self, other: "Money") -> Decimal:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} do not mix")
        return other.amount

    @property
    def zero(self) -> bool:
        return self.amount == 0


class AmountTooLarge(ValueError):
    """More than money can hold."""


def _exact(amount: Decimal, currency: str) -> Decimal:
    if currency not in MINOR_DIGITS:
        raise ValueError(f"{currency!r} is not an ISO 4217 currency")
    if not amount.is_finite():
        raise ValueError("an amount is a finite number")
    if amount.adjusted() >= INTEGER_DIGITS_MAX:
        raise AmountTooLarge(f"an amount has at most {INTEGER_DIGITS_MAX} integer digits")
    digits = MINOR_DIGITS[currency]
    if amount.as_tuple().exponent == -digits:
        return amount
    exact = amount.quantize(minor_unit(currency), rounding=ROUND_DOWN)
    if exact != amount:
        raise ValueError(f"{currency} has {digits} minor digits")
    return exact


def minor_unit(currency: str) -> Decimal:
    """The smallest amount of a currency: EUR 0.01, JPY 1, KWD 0.001."""
    return Decimal(1).scaleb(-MINOR_DIGITS[currency])


def money(amount: str | int, currency: str) -> Money:
    """Money from its text, as people write it: `money("100.00", "EUR")`."""
    return Money(amount=Decimal(amount), currency=currency)


def none_of(currency: str) -> Money:
    """No money of that currency."""
    return Money(amount=Decimal(0), currency=currency)


def round_half_up(amount: Decimal, currency: str) -> Money:
    """The nearest minor unit; a half goes away from zero (the rule of design §8)."""
    return Money(amount=amount.quantize(minor_unit(currency), rounding=ROUND_HALF_UP), currency=currency)


def round_percent(percent: Decimal) -> Decimal:
    """The percent to two digits; a half goes away from zero."""
    return percent.quantize(PERCENT_STEP, rounding=ROUND_HALF_UP)


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum, zero of `currency` for nothing."""
    return sum(amounts, none_of(currency))


def largest_remainder(whole: Decimal, weights: Sequence[Decimal], step: Decimal) -> list[Decimal]:
    """Shares of `whole` in proportion to the weights, each a multiple of `step`, that sum to `whole` exactly.

    Shares are floored to the step (Hamilton's method); missing steps go to the largest remainders, ties in listed order.
    Raises ValueError without a positive weight.
    """
    weight = sum(weights, Decimal(0))
    if weight <= 0 or any(w < 0 for w in weights):
        raise ValueError("weights are not negative, and one is positive")
    ideal = [whole * w / weight for w in weights]
    floors = [(i / step).to_integral_value(rounding=ROUND_DOWN) * step for i in ideal]
    missing = int((whole - sum(floors)) / step)
    order = sorted(range(len(weights)), key=lambda i: (-(abs(ideal[i] - floors[i])), i))
    direction = step if missing >= 0 else -step
    for i in order[: abs(missing)]:
        floors[i] += direction
    return [floor.quantize(step) for floor in floors]


def split(amount: Money, weights: Sequence[Decimal]) -> list[Money]:
    """The amount in shares by weight that add up to it exactly, e.g. 100.00 over three: 33.34, 33.33, 33.33."""
    shares = largest_remainder(amount.amount, weights, minor_unit(amount.currency))
    return [Money(amount=share, currency=amount.currency) for share in shares]


@frozen
class ProductLine:
    """What is sold: a stock keeping unit or a whole family, and how many."""

    family: str
    sku: str | None = None
    quantity: int = 1


@frozen
class Participant:
    """A partner in a deal and what it does there: referral, resell, distribute, service or influence."""

    partner_id: PartnerId
    role: str


@frozen
class AccountRef:
    """An end customer. Name and domain are absent for a natural person and in confidential deals."""

    account_id: AccountId
    country: str
    name: str | None = None
    domain: str | None = None


@frozen
class Span:
    """A time `[start, end)`."""

    start: datetime
    end: datetime


@frozen
class Benefit:
    """One benefit that fits a deal. Where it does not count, `code` says why."""

    name: str
    percent: Decimal
    code: str | None = None


@frozen
class Entitlement:
    """What a deal entitles its partner to, in percent, and the benefits that this was made of."""

    percent: Decimal
    benefits: tuple[Benefit, ...] = ()


@frozen
class AuthorisationNeed:
    """What an authorisation needs: an agreement of a kind in force, or so many people who hold a certification."""

    agreement_kind: str | None = None
    certification: str | None = None
    count: int = 1


@frozen
class ShownDocument:
    """A document by the SHA-256 of its content. Kind: letter, mail, meeting, note."""

    kind: str
    dated_on: date
    sha256: str


DisputeGround = Literal["earlier_work", "incumbent", "customer_choice", "territory", "wrong_match", "conduct"]
"""Why a partner contests what was decided on its deal."""
DISPUTE_GROUNDS: tuple[DisputeGround, ...] = get_args(DisputeGround)


@frozen
class Effect:
    """What a dispute's outcome gives a deal: its percent of the sale, from an instant on."""

    registration_id: RegistrationId
    partner_id: PartnerId | None = None
    percent: Decimal
    from_at: datetime | None = None


@frozen
class Term:
    """The dates a contract runs: from `starts_on` up to and without `ends_on`."""

    starts_on: date
    ends_on: date


@frozen
class RuleRef:
    """The published version of a rulebook that a decision followed."""

    rulebook_id: str
    version: int
    sha256: str
