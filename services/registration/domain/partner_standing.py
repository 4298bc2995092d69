"""What a partner has signed and what it is authorised to sell, as onboarding told it, and which of it holds on a day.

Each thing is known by the newest news of it, so that news in another order, or twice, come to the same.
"""

from collections.abc import Iterable
from datetime import date
from typing import Protocol, TypeVar

from chassis.event import LEFT_OUT, LeftOut, frozen, replace
from contracts.values import PartnerId, ProductLine
from services.registration.domain.overlap import Place, Reach, normal_product

KEPT_MAX = 100
"""The most that is kept of a partner, of each sort: the newest."""


@frozen
class Signed:
    """One signed version of an agreement, with the event that told of it."""

    agreement_id: str
    kind: str
    version: int
    effective_from: date
    effective_until: date | None = None
    event_id: str
    position: int

    @property
    def named(self) -> str:
        return f"{self.agreement_id}.{self.version}"

    @property
    def of(self) -> str:
        return self.agreement_id


@frozen
class Granted:
    """An authorisation as it was granted last; without territories or roles: in all of them."""

    authorisation_id: str
    products: tuple[str, ...]
    territories: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    exclusive: bool = False
    effective_from: date
    effective_until: date | None = None
    event_id: str
    position: int

    @property
    def named(self) -> str:
        return self.authorisation_id

    @property
    def of(self) -> str:
        return self.authorisation_id

    def covers(self, line: ProductLine, reach: Reach) -> bool:
        """Whether it is for this product in the role and the place of the deal."""
        here = not self.territories or not set(self.territories).isdisjoint(places_of(reach.place))
        return here and (not self.roles or reach.role in self.roles) and self.about((line,))

    def about(self, lines: Iterable[ProductLine]) -> bool:
        """Whether it names one of these products, or a family that contains it."""
        named = {normal_product(one) for one in self.products}
        return any(not named.isdisjoint(names_of(line)) for line in lines)


@frozen
class Ended:
    """The end of an agreement or an authorisation, whatever was told of it before, with the event that said so."""

    of: str
    effective_on: date
    event_id: str
    position: int

    @property
    def named(self) -> str:
        return self.of


@frozen
class Exclusive:
    """Another partner's exclusive authorisation that a deal meets, with the event that told of it."""

    authorisation_id: str
    partner_id: PartnerId
    event_id: str
    position: int


def places_of(place: Place) -> tuple[str, str]:
    """How a territory may name a place: by its country, or that and its region."""
    return place.country, f"{place.country}-{place.region}"


def names_of(line: ProductLine) -> frozenset[str]:
    """How an authorisation may name a product: by its SKU, its family, or a wider one."""
    parts = normal_product(line.family).split("/")
    families = ("/".join(parts[:length]) for length in range(1, len(parts) + 1))
    return frozenset((*families, normal_product(line.sku or line.family)))


class Told(Protocol):
    """Something that news are told of, at a place in their source's log."""

    @property
    def named(self) -> str: ...

    @property
    def position(self) -> int: ...


T = TypeVar("T", bound=Told)
Holds = TypeVar("Holds", Signed, Granted)


def is_news(known: Iterable[T], news: T) -> bool:
    """Whether it is newer than what is known of the same thing."""
    return all(one.position < news.position for one in known if one.named == news.named)


def with_news(known: Iterable[T], news: T) -> tuple[T, ...]:
    """What is known with the news in place of the older ones, in the order of their positions."""
    others = (one for one in known if one.named != news.named)
    return tuple(sorted((*others, news), key=lambda one: one.position)[-KEPT_MAX:])


@frozen
class Standing:
    """All that is known of one partner."""

    signed: tuple[Signed, ...] = ()
    granted: tuple[Granted, ...] = ()
    ended: tuple[Ended, ...] = ()

    def bound_by(self, kind: str, day: date) -> Signed | None:
        """The version of an agreement of a kind that is in force on a day: of several, the latest signed."""
        return next((one for one in reversed(self.signed) if one.kind == kind and self._holds(one, day)), None)

    def authorised_for(self, line: ProductLine, reach: Reach, day: date) -> Granted | None:
        """The authorisation for a product of a deal on a day: of several, the one told last."""
        fitting = (one for one in reversed(self.granted) if one.covers(line, reach))
        return next((one for one in fitting if self._holds(one, day)), None)

    def _holds(self, one: Holds, day: date) -> bool:
        over = any(end.of == one.of and end.position > one.position and end.effective_on <= day for end in self.ended)
        return not over and one.effective_from <= day and (one.effective_until is None or day < one.effective_until)

    def exclusive_for(self, reach: Reach, day: date) -> Granted | None:
        """The exclusive authorisation for one of the products of a deal on a day: of several, the one told last."""
        fitting = (one for one in reversed(self.granted) if one.exclusive and self._holds(one, day))
        return next((one for one in fitting if any(one.covers(line, reach) for line in reach.products)), None)

    def about(self, lines: tuple[ProductLine, ...]) -> "Standing":
        """What of it a deal with these products may rest on."""
        granted = tuple(one for one in self.granted if one.about(lines))
        kept = {*(one.of for one in self.signed), *(one.of for one in granted)}
        return Standing(signed=self.signed, granted=granted, ended=tuple(one for one in self.ended if one.of in kept))


@frozen
class StandingNews:
    """What one event of onboarding tells: something signed, granted, or ended."""

    signed: Signed | LeftOut = LEFT_OUT
    granted: Granted | LeftOut = LEFT_OUT
    ended: Ended | LeftOut = LEFT_OUT

    def is_new(self, known: Standing) -> bool:
        """Whether it is newer than what is known."""
        if self.signed:
            return is_news(known.signed, self.signed)
        if self.granted:
            return is_news(known.granted, self.granted)
        return is_news(known.ended, self.ended) if self.ended else False

    def on_top_of(self, known: Standing) -> Standing:
        """What is known by then."""
        return replace(
            known,
            signed=with_news(known.signed, self.signed) if self.signed else known.signed,
            granted=with_news(known.granted, self.granted) if self.granted else known.granted,
            ended=with_news(known.ended, self.ended) if self.ended else known.ended,
        )
