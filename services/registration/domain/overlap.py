"""Whether two claims want the same thing: product, role, place and type must all meet. Time is the claims' own."""

from dataclasses import dataclass
from typing import NamedTuple

from contracts.values import ProductLine

ENTITY, SITE, GROUP = "entity", "site", "group"
RENEWAL = "renewal"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the customer is meant: one site (postcode, street), the legal entity in a territory, or the whole group."""

    scope: str = ENTITY
    country: str
    region: str | None = None
    postcode: str | None = None
    street: str | None = None


@dataclass(frozen=True, kw_only=True)
class Reach:
    """What a claim is for. A product line without a SKU means its whole family; `cloud` contains `cloud/storage`."""

    products: tuple[ProductLine, ...]
    role: str
    deal_type: str
    place: Place


class Overlap(NamedTuple):
    """Where two claims meet, dimension by dimension."""

    product: bool
    role: bool
    place: bool
    deal_type: bool

    @property
    def complete(self) -> bool:
        return all(self)

    @property
    def only_place_apart(self) -> bool:
        """The same wish for another place: both may hold, after someone has looked."""
        return not self.place and self.product and self.role and self.deal_type


def overlap(one: Reach, other: Reach) -> Overlap:
    """Where the two meet; the same in both directions."""
    return Overlap(
        product=any(_lines_meet(a, b) for a in one.products for b in other.products),
        role=one.role == other.role,
        place=_places_meet(one.place, other.place),
        deal_type=(one.deal_type == RENEWAL) == (other.deal_type == RENEWAL),
    )


def _lines_meet(one: ProductLine, other: ProductLine) -> bool:
    if one.sku and other.sku:
        return one.sku == other.sku
    if one.sku:
        return _contains(other.family, one.family)
    if other.sku:
        return _contains(one.family, other.family)
    return _contains(one.family, other.family) or _contains(other.family, one.family)


def _contains(family: str, inner: str) -> bool:
    return inner == family or inner.startswith(f"{family}/")


def _places_meet(one: Place, other: Place) -> bool:
    if GROUP in (one.scope, other.scope):
        return True
    if one.scope == SITE and other.scope == SITE:
        return (one.country, one.postcode, one.street) == (other.country, other.postcode, other.street)
    return one.country == other.country and (one.region is None or other.region in (None, one.region))
