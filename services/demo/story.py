"""What is to happen in the quarter: who takes part, and what becomes of each deal. Drawn from the seed alone.

Deals come in sets of `len(FATES)`, so that a small quarter holds every kind of deal as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import NamedTuple

from chassis.event import frozen
from services.demo.names import COUNTRIES, Company, Country, Names
from services.first_run import PARTNERS, PRODUCTS

WEEKS, WEEKS_AFTER = 13, 2
LAST_START_OF_A_PAIR = 8
AT_HOME_PERCENT, SPLIT_PERCENT, REFUND_PERCENT = 70, 6, 14
MEDIAN_LOG, SPREAD_LOG = 9.3, 0.8
SMALLEST, LARGEST, BELOW_MINIMUM = 1_500, 180_000, 600
UNITS_MAX = 40
TYPES = ("reseller", "reseller", "reseller", "distributor", "referral")
ROLES = {"reseller": "resell", "distributor": "distribute", "referral": "referral"}


@dataclass(frozen=True)
class Size:
    """How much to load. Another seed or size is another story."""

    partners: int
    deals: int
    seed: int

    @property
    def story(self) -> str:
        return f"{self.seed}.{self.partners}.{self.deals}"


class Fate(StrEnum):
    """What becomes of a deal. One that is to be won or lost after the quarter is still open at its end."""

    WON = "won"
    LOST = "lost"
    OPEN = "open"
    FORGOTTEN = "forgotten"
    REJECTED = "rejected"
    TOO_SMALL = "too small"
    RETURNED = "returned"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"
    FRESH = "fresh"


class Tie(StrEnum):
    """How the customer of a deal resembles that of an earlier one, which another partner registered."""

    NONE = "none"
    SAME = "same domain"
    NAMESAKE = "same name in the same country"
    NEIGHBOUR = "same name and address"
    ABROAD = "same name abroad"


class Kind(NamedTuple):
    """One place in a set of deals."""

    fate: Fate
    tie: Tie = Tie.NONE


FATES = (
    *(Kind(fate) for fate in (Fate.LOST, Fate.OPEN, Fate.WON, Fate.WON, Fate.WON, Fate.LOST)),
    *(Kind(fate, Tie.SAME) for fate in (Fate.WON, Fate.OPEN, Fate.REJECTED)),
    *(Kind(Fate.WON, Tie.NAMESAKE), Kind(Fate.OPEN, Tie.NEIGHBOUR), Kind(Fate.WON, Tie.ABROAD)),
    *(Kind(fate) for fate in (Fate.REJECTED, Fate.TOO_SMALL, Fate.RETURNED, Fate.CORRECTED, Fate.WITHDRAWN)),
    *(Kind(fate) for fate in (Fate.FORGOTTEN, Fate.FRESH, Fate.FRESH, Fate.CORRECTED)),
    *[Kind(Fate.WON)] * 11,
    *[Kind(Fate.LOST)] * 5,
    *[Kind(Fate.OPEN)] * 3,
)
"""A set of deals. The first ones are those that the six with a tie resemble, in the same order."""
FIRST_TIED = next(place for place, kind in enumerate(FATES) if kind.tie is not Tie.NONE)


class Standing(StrEnum):
    """What becomes of a partner: in the second half of the quarter some are suspended, in one way or another."""

    ACTIVE = "active"
    NO_NEW_BUSINESS = "new_business"
    NO_PAYOUTS = "payouts"
    APPLIED = "applied"
    DECLINED = "declined"


@frozen
class Partner:
    """A partner, known by its place in the cast. The first two are those of the first run."""

    name: str
    country: Country
    domain: str
    owner: str
    type: str
    standing: Standing

    @property
    def sells(self) -> bool:
        return self.standing not in (Standing.APPLIED, Standing.DECLINED)


@frozen
class Deal:
    """One registration as planned. `week` counts from 1; `closes` is the week in which it is won or lost.

    `refund_percent` of a won one is given back two weeks later; the credit of a `split` one is shared by hand.
    """

    number: int
    week: int
    partner: Partner
    customer: Company
    role: str
    family: str
    units: int
    amount: int
    fate: Fate
    tie: Tie
    closes: int
    refund_percent: int
    split: bool


@dataclass(frozen=True)
class Story:
    """The cast and the deals, in the order of their weeks."""

    partners: tuple[Partner, ...]
    deals: tuple[Deal, ...]

    def of_week(self, week: int) -> list[Deal]:
        return [deal for deal in self.deals if deal.week == week]

    @property
    def sellers(self) -> tuple[Partner, ...]:
        return tuple(partner for partner in self.partners if partner.sells)


def told(size: Size) -> Story:
    """The story of a size and seed; the same one every time."""
    # Chance is only wanted to look like life here: it keeps nothing secret.
    draw = Random(size.story)  # noqa: S311
    names = Names(draw)
    partners = tuple(_cast(size, draw, names))
    deals = _Draft(draw, names, [partner for partner in partners if partner.sells]).deals(size.deals)
    return Story(partners, tuple(sorted(deals, key=lambda deal: (deal.week, deal.number))))


# The cast


def _cast(size: Size, draw: Random, names: Names) -> Iterator[Partner]:
    by_code = {country.code: country for country in COUNTRIES}
    for known in PARTNERS:
        country = by_code[known.country]
        yield Partner(
            name=known.name,
            country=country,
            domain=known.domain,
            owner=known.owner,
            type="reseller",
            standing=Standing.ACTIVE,
        )
    for place, standing in enumerate(_standings(size.partners - len(PARTNERS))):
        company = names.company(COUNTRIES[place % len(COUNTRIES)])
        yield Partner(
            name=company.name,
            country=company.country,
            domain=f"{company.word}.example",
            owner=names.person(company),
            type=draw.choice(TYPES),
            standing=standing,
        )


def _standings(partners: int) -> list[Standing]:
    """Of twenty partners one is asking to become one, one is suspended; of forty one was declined."""
    few = (
        *[Standing.NO_PAYOUTS] * (partners // 20 + (partners > 1)),
        *[Standing.APPLIED] * (partners // 20),
        *[Standing.NO_NEW_BUSINESS] * (partners // 30),
        *[Standing.DECLINED] * (partners // 40),
    )
    return [*few, *[Standing.ACTIVE] * (partners - len(few))]


# The deals


@dataclass
class _Draft:
    """The deals on the way: what is drawn, and those of the set at hand."""

    draw: Random
    names: Names
    sellers: Sequence[Partner]
    done: list[Deal] = field(default_factory=list)

    def deals(self, count: int) -> list[Deal]:
        for number in range(count):
            self.done.append(self._deal(number, FATES[number % len(FATES)]))
        return self.done

    def _deal(self, number: int, kind: Kind) -> Deal:
        first = self.done[number - FIRST_TIED] if kind.tie is not Tie.NONE else None
        partner = self._seller(first)
        week = self._week(number, kind, first)
        return Deal(
            number=number,
            week=week,
            partner=partner,
            customer=self._customer(partner, kind.tie, first),
            role=first.role if first else ROLES[partner.type],
            family=first.family if first else self.draw.choice(PRODUCTS),
            units=self.draw.randint(1, UNITS_MAX),
            amount=self._amount(kind.fate),
            fate=kind.fate,
            tie=kind.tie,
            closes=week + self.draw.randint(2, 7),
            refund_percent=self.draw.choice((20, 35, 100)) if self._happens(REFUND_PERCENT) else 0,
            split=self._happens(SPLIT_PERCENT),
        )

    def _seller(self, first: Deal | None) -> Partner:
        """Few sell much, many sell little. Who registers what another has registered works in the same trade."""
        weights = [1 / (2 + place) for place in range(len(self.sellers))]
        others = [first is None or (one != first.partner) for one in self.sellers]
        return self.draw.choices(self.sellers, [w * fits for w, fits in zip(weights, others, strict=True)])[0]

    def _week(self, number: int, kind: Kind, first: Deal | None) -> int:
        if kind.fate is Fate.FORGOTTEN:
            return 1
        if kind.fate in (Fate.FRESH, Fate.RETURNED):
            return WEEKS
        if first is not None:
            return first.week + 1
        starts_a_pair = number % len(FATES) < FIRST_TIED
        return self.draw.randint(1, LAST_START_OF_A_PAIR if starts_a_pair else WEEKS - 1)

    def _customer(self, partner: Partner, tie: Tie, first: Deal | None) -> Company:
        if first is None:
            return self.names.company(partner.country if self._happens(AT_HOME_PERCENT) else self._country())
        known = first.customer
        match tie:
            case Tie.NAMESAKE:
                return known.namesake()
            case Tie.NEIGHBOUR:
                return known.neighbour()
            case Tie.ABROAD:
                return known.abroad(self.draw.choice([c for c in COUNTRIES if c != known.country]))
            case _:
                return known

    def _country(self) -> Country:
        return self.draw.choice(COUNTRIES)

    def _amount(self, fate: Fate) -> int:
        if fate is Fate.TOO_SMALL:
            return BELOW_MINIMUM
        drawn = self.draw.lognormvariate(MEDIAN_LOG, SPREAD_LOG)
        return min(max(int(round(drawn, -2)), SMALLEST), LARGEST)

    def _happens(self, percent: int) -> bool:
        return self.draw.randrange(100) < percent
