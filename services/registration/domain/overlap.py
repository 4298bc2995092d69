"""Whether two claims want the same thing: product, role, place and type must all meet. Time is the claims' own.

Partners write as they like: products and places are compared in a normal form, and shown as they were written.
"""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from chassis.event import LEFT_OUT, LeftOut, frozen
from contracts.values import ProductLine

ENTITY, SITE, GROUP = "entity", "site", "group"
RENEWAL = "renewal"
KNOWN_MAX = 4_096
"""Reaches whose normal form is kept: a line of many rivals is compared again for each of them."""
_SIGNS = re.compile(r"[\W_]+")


@frozen
class Place:
    """Where the customer is meant: one site (postcode, street), the legal entity in a territory, or the whole group."""

    scope: str = ENTITY
    country: str
    region: str | None = None
    postcode: str | None = None
    street: str | None = None


@frozen
class Reach:
    """What a claim is for. A product line without a SKU means its whole family; `cloud` contains `cloud/storage`.

    `in_normal_form` is left out in the claims that were compared letter by letter: two of these still are.
    """

    products: tuple[ProductLine, ...]
    role: str
    deal_type: str
    place: Place
    in_normal_form: bool | LeftOut = LEFT_OUT


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
    if one.in_normal_form or other.in_normal_form:
        one, other = _normal(one), _normal(other)
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


# Normal form


def normal_product(text: str) -> str:
    """A family or a SKU however it was typed: `Cloud / Storage` is `cloud/storage`."""
    parts = (" ".join(part.split()) for part in unicodedata.normalize("NFKC", text).casefold().split("/"))
    return "/".join(part for part in parts if part)


def families_of(families: Iterable[str], *, any_spelling: bool) -> frozenset[str]:
    """Families as rules compare them: however they are written, or letter by letter as rules of older releases do."""
    return frozenset(map(normal_product, families) if any_spelling else families)


def normal_region(region: str, country: str) -> str:
    """The part of ISO 3166-2 that stands behind the country: `us-ca` and `Ca` are `CA`."""
    return unicodedata.normalize("NFKC", region).strip().upper().removeprefix(f"{country}-")


@lru_cache(KNOWN_MAX)
def _normal(reach: Reach) -> Reach:
    return replace(reach, products=tuple(map(_normal_line, reach.products)), place=_normal_place(reach.place))


def _normal_line(line: ProductLine) -> ProductLine:
    return replace(line, family=normal_product(line.family), sku=line.sku and normal_product(line.sku))


def _normal_place(place: Place) -> Place:
    return replace(
        place,
        region=place.region and normal_region(place.region, place.country),
        postcode=place.postcode and _words(place.postcode).replace(" ", ""),
        street=place.street and _words(place.street),
    )


def _words(text: str) -> str:
    """Its letters and digits without case, accents and signs: `Main St. 1` is `main st 1`."""
    plain = "".join(one for one in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(one))
    return _SIGNS.sub(" ", plain).strip()
