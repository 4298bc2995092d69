"""A special price: the vendor lets a partner sell some products to a customer below its cost, and pays the difference.

What was sold is claimed row by row: a row counts for a product of the agreement, sold on a day of it to its customer,
up to the agreed units; a serial number or an invoice's line counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Literal, assert_never

from chassis.decider import Decider, Invalid, NotFound, WrongState
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen, iso, stable_id
from contracts.values import Money, none_of

PRODUCTS_MAX, UNITS_MAX = 200, 1_000_000
ELSEWHERE = timedelta(days=1)
"""By so much the day of a person elsewhere on earth may differ from the one in UTC."""
SpecialPriceKind = Literal["bid", "blanket", "meet_competitor"]


@frozen
class PricedProduct:
    """What the partner pays for a unit, what it may sell it for, and how many units at most."""

    sku: str
    cost: Money
    price: Money
    units_max: int


@frozen
class SoldRow:
    """One row of the point of sale: so many units, on a day, with a serial number or an invoice and its line."""

    sku: str
    quantity: int
    sold_on: date
    registration_id: str | None = None
    serial: str | None = None
    invoice: str | None = None
    customer_domain: str | LeftOut = LEFT_OUT

    @property
    def evidence_id(self) -> str:
        """The same unit, or the same product on the same invoice, is the same row."""
        named = ("serial", self.serial) if self.serial else ("invoice", self.invoice or "")
        return f"row-{stable_id(self.sku, *named)}"

    @property
    def names(self) -> tuple[str, ...]:
        """What it is known by: its serial number, else its product on the invoice, as written and as people read it."""
        return self._known_as("serial", self.serial) if self.serial else self._known_as("invoice", self.invoice or "")

    @property
    def part_of(self) -> tuple[str, ...]:
        """The product on the invoice that a unit with a serial number is a part of."""
        return self._known_as("invoice", self.invoice) if self.serial and self.invoice else ()

    def _known_as(self, kind: str, text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(f"row-{stable_id(self.sku, kind, one)}" for one in (text, as_read(text))))


def as_read(text: str) -> str:
    """A number or name as people read it, in which case and blanks tell nothing apart."""
    return " ".join(text.upper().split())


# Events


@event("incentives.SpecialPriceGranted.v1")
class SpecialPriceGranted:
    """`registration_id` names the customer's deal, or `customer_domain` a customer that has none.

    A blanket price names neither and holds for every customer.
    """

    special_price_id: str
    partner_id: str
    kind: str
    registration_id: str | None
    products: tuple[PricedProduct, ...]
    starts_on: date
    ends_on: date
    reason: str
    granted_by: str
    granted_at: datetime
    customer_domain: str | LeftOut = LEFT_OUT


@event("incentives.SpecialPriceUsed.v1")
class SpecialPriceUsed:
    """Units of the agreement that an approved claim has counted, by product."""

    special_price_id: str
    claim_id: str
    units: dict[str, int]
    used_at: datetime


@event("incentives.SpecialPriceEnded.v1")
class SpecialPriceEnded:
    """What is sold after that day is not paid for any more."""

    special_price_id: str
    partner_id: str
    ends_on: date
    reason: str
    ended_by: str
    ended_at: datetime


SpecialPriceEvent = SpecialPriceGranted | SpecialPriceUsed | SpecialPriceEnded

# Commands


@command("incentives.GrantSpecialPrice.v1")
class GrantSpecialPrice:
    special_price_id: str
    partner_id: str
    kind: SpecialPriceKind
    registration_id: str | None = None
    products: tuple[PricedProduct, ...]
    starts_on: date
    ends_on: date
    reason: str
    by: str
    now: datetime
    customer_domain: str | LeftOut = LEFT_OUT


@command("incentives.EndSpecialPrice.v1")
class EndSpecialPrice:
    special_price_id: str
    on: date
    reason: str
    by: str
    now: datetime


# State


@frozen
class SpecialPrice:
    """The agreement, and the units of it that were counted."""

    granted: SpecialPriceGranted | None = None
    ends_on: date | None = None
    used: Mapping[str, int] = field(default_factory=dict)

    @property
    def it(self) -> SpecialPriceGranted:
        """What was agreed. Raises NotFound for what never was."""
        if self.granted is None:
            raise NotFound
        return self.granted

    @property
    def partner_id(self) -> str:
        return self.it.partner_id

    @property
    def currency(self) -> str:
        return self.it.products[0].cost.currency


class SpecialPriceInvalid(Invalid):
    """1 to 200 products, each once, with a price below its cost and units above nothing, over days in their order."""

    slug = "special-price-invalid"


# Decisions


def grant_special_price(wish: GrantSpecialPrice, agreed: SpecialPrice) -> list[SpecialPriceEvent]:
    """Agrees to pay the difference."""
    if agreed.granted is not None:
        return []
    if not _sound(wish):
        raise SpecialPriceInvalid
    named = sum(map(bool, (wish.registration_id, wish.customer_domain)))
    if named != (0 if wish.kind == "blanket" else 1):
        raise SpecialPriceInvalid("a bid names the deal of its customer, or the customer; a blanket price names none")
    return [
        SpecialPriceGranted(
            special_price_id=wish.special_price_id,
            partner_id=wish.partner_id,
            kind=wish.kind,
            registration_id=wish.registration_id,
            products=wish.products,
            starts_on=wish.starts_on,
            ends_on=wish.ends_on,
            reason=wish.reason,
            granted_by=wish.by,
            granted_at=wish.now,
            customer_domain=wish.customer_domain,
        )
    ]


def _sound(wish: GrantSpecialPrice) -> bool:
    products = wish.products
    names = {product.sku for product in products}
    currencies = {money.currency for product in products for money in (product.cost, product.price)}
    once = 1 <= len(products) <= PRODUCTS_MAX and len(names) == len(products) and len(currencies) == 1
    return once and wish.starts_on <= wish.ends_on and all(map(_below_cost, products))


def _below_cost(product: PricedProduct) -> bool:
    nothing = none_of(product.cost.currency)
    return nothing <= product.price < product.cost and 1 <= product.units_max <= UNITS_MAX


def end_special_price(wish: EndSpecialPrice, agreed: SpecialPrice) -> list[SpecialPriceEvent]:
    """Ends the agreement early, today at the earliest: what was sold before still counts."""
    ended = end_special_price_on_any_day(wish, agreed)
    if wish.on < wish.now.astimezone(UTC).date() - ELSEWHERE:
        raise SpecialPriceInvalid("it ends today at the earliest: what was sold before still counts")
    return ended


def end_special_price_on_any_day(wish: EndSpecialPrice, agreed: SpecialPrice) -> list[SpecialPriceEvent]:
    """As the first evaluator decided: the end could lie before what had been sold."""
    it = agreed.it
    if agreed.ends_on is not None and agreed.ends_on <= wish.on:
        raise WrongState(f"it ends on {iso(agreed.ends_on)}", state="ended")
    return [
        SpecialPriceEnded(
            special_price_id=wish.special_price_id,
            partner_id=it.partner_id,
            ends_on=wish.on,
            reason=wish.reason,
            ended_by=wish.by,
            ended_at=wish.now,
        )
    ]


# What a claim is worth


@frozen
class Calculated:
    """What the rows come to: units times cost less price; the units that count, and each row in a sentence."""

    amount: Money
    units: Mapping[str, int]
    steps: tuple[str, ...]


def calculated(
    agreed: SpecialPrice,
    rows: Sequence[SoldRow],
    counted_before: frozenset[str],
    orders: Sequence[str] = (),
    *,
    today: date | None,
) -> Calculated:
    """The sum over the rows in their order; what does not count says why.

    A row that names no deal is of the agreement's, where its invoice has the number of one of the deal's `orders`.
    Without `today` rows are compared as they are written, and may be of days to come, as it was once decided.
    """
    products = {product.sku: product for product in agreed.it.products}
    last = today + ELSEWHERE if today else date.max
    amount = none_of(agreed.currency)
    units: dict[str, int] = {}
    steps, seen = [], set(counted_before)
    for number, row in enumerate(rows, start=1):
        known = bool(_stands_for(row, today) & seen)
        why = _not_counted(agreed, products, _placed(agreed, row, orders), last, known=known)
        counted = 0 if why else _left(agreed, products[row.sku], units, row.quantity)
        seen |= _shown_by(row, today)
        if not counted:
            steps.append(
                f"row {number}: {row.quantity} {row.sku} do not count: {why or 'the agreed units are used up'}"
            )
            continue
        units[row.sku] = units.get(row.sku, 0) + counted
        amount, text = _added(amount, products[row.sku], counted)
        steps.append(f"row {number}: {text}")
    return Calculated(amount=amount, units=units, steps=tuple(steps))


def _stands_for(row: SoldRow, today: date | None) -> set[str]:
    """What must not have been shown before, for the row to count."""
    if today is None:
        return {row.evidence_id}
    parts = () if row.serial else (f"part-{name}" for name in row.names)
    return {*row.names, *row.part_of, *parts}


def _shown_by(row: SoldRow, today: date | None) -> set[str]:
    """What a row shows to those that follow it: a unit with a serial number shows a part of its invoice."""
    return {row.evidence_id} if today is None else {*row.names, *(f"part-{name}" for name in row.part_of)}


def _placed(agreed: SpecialPrice, row: SoldRow, orders: Sequence[str]) -> SoldRow:
    """The row with its deal, where a distributor has booked an order for that under the number of the row's invoice."""
    ordered = row.registration_id is None and row.invoice in orders
    return replace(row, registration_id=agreed.it.registration_id) if ordered else row


def _not_counted(
    agreed: SpecialPrice, products: Mapping[str, PricedProduct], row: SoldRow, last: date, *, known: bool
) -> str | None:
    it = agreed.it
    until = agreed.ends_on or it.ends_on
    reasons = {
        "it was counted before": known,
        "it is not in the agreement": row.sku not in products,
        f"it was not sold from {iso(it.starts_on)} to {iso(until)}": not it.starts_on <= row.sold_on <= until,
        "it is not sold yet": row.sold_on > last,
        "it was sold for another deal": it.registration_id is not None and row.registration_id != it.registration_id,
        "it was sold to another customer": it.customer_domain not in (LEFT_OUT, row.customer_domain),
    }
    return next((reason for reason, is_so in reasons.items() if is_so), None)


def _left(agreed: SpecialPrice, product: PricedProduct, units: Mapping[str, int], wanted: int) -> int:
    used = agreed.used.get(product.sku, 0) + units.get(product.sku, 0)
    return max(0, min(wanted, product.units_max - used))


def _added(amount: Money, product: PricedProduct, counted: int) -> tuple[Money, str]:
    cost, price = product.cost.amount, product.price.amount
    try:
        part = Money(amount=Decimal(counted) * (cost - price), currency=amount.currency)
        return amount + part, f"{counted} {product.sku} x ({cost} - {price}) = {part.amount} {part.currency}"
    except ValueError as error:
        raise SpecialPriceInvalid(f"{counted} {product.sku} come to too much: {error}") from error


def used_up(special_price_id: str, claim_id: str, made: Calculated, now: datetime) -> list[SpecialPriceEvent]:
    """The units that an approved claim takes of the agreement."""
    if not made.units:
        return []
    return [SpecialPriceUsed(special_price_id=special_price_id, claim_id=claim_id, units=dict(made.units), used_at=now)]


# Evolve


def evolve(agreed: SpecialPrice, happened: SpecialPriceEvent) -> SpecialPrice:
    match happened:
        case SpecialPriceGranted():
            return SpecialPrice(granted=happened, ends_on=happened.ends_on)
        case SpecialPriceUsed():
            skus = {*agreed.used, *happened.units}
            used = {sku: agreed.used.get(sku, 0) + happened.units.get(sku, 0) for sku in sorted(skus)}
            return replace(agreed, used=used)
        case SpecialPriceEnded():
            return replace(agreed, ends_on=happened.ends_on)
        case _:
            assert_never(happened)


SpecialPrices = Decider[SpecialPrice, SpecialPriceEvent](kind="special_price", initial=SpecialPrice(), evolve=evolve)
