"""What a mail was read to say of a deal, field by field, and whether that is sure enough to register it."""

from collections.abc import Iterable
from typing import Any

from chassis.event import frozen

SURE = 0.8
"""From this confidence on a field is believed without a person; below, the deal stays a draft."""
NAME, COUNTRY, REGION, WEBSITE = "customer.name", "customer.country", "customer.region", "customer.website"
IDENTIFIERS, PRODUCTS, AMOUNT = "customer.identifiers", "products", "amount"
KNOWN_BY = "known_by"
"""A website or an identifier: one of the two says who the customer is."""
NEEDS_REGION = ("US", "CA")


@frozen
class Found:
    """One field as a mail says it: where, in which words, and what was read of them; None where that makes no sense.

    `name` is its path in the body of a registration. A `guess` stands under no label: it fills a gap, and stops nothing.
    """

    name: str
    value: Any
    text: str
    source: str
    confidence: float
    guess: bool = False

    @property
    def sure(self) -> bool:
        return self.value is not None and self.confidence >= SURE


@frozen
class Reading:
    """All that one version of the parser found. Remarks: no-text, html-only, charset-guessed, too-many-parts."""

    parser: int
    found: tuple[Found, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        return not self.open

    @property
    def open(self) -> tuple[str, ...]:
        """What keeps it a draft: what a registration needs and nobody said for sure, and what was said unclearly."""
        sure = {one.name for one in self.found if one.sure}
        unclear = (one.name for one in self.found if not one.sure and not one.guess and one.name not in sure)
        return tuple(dict.fromkeys((*(name for name in self._needed(sure) if name not in sure), *unclear)))

    def _needed(self, sure: set[str]) -> Iterable[str]:
        yield from (NAME, COUNTRY)
        if not {WEBSITE, IDENTIFIERS} & sure:
            yield KNOWN_BY
        if self.best().get(COUNTRY) in NEEDS_REGION:
            yield REGION
        yield from (PRODUCTS, AMOUNT)

    def best(self, least: float = 0.0) -> dict[str, Any]:
        """Of each field the value that is surest; of two that are as sure, the first. Identifiers add up."""
        chosen: dict[str, Found] = {}
        for one in self.found:
            known = chosen.get(one.name)
            if one.value is not None and one.confidence >= least and (not known or one.confidence > known.confidence):
                chosen[one.name] = one
        best = {name: one.value for name, one in chosen.items()}
        numbers = [one.value for one in self.found if one.name == IDENTIFIERS and one.value and one.confidence >= least]
        return {**best, IDENTIFIERS: numbers} if numbers else best

    def body(self, least: float = 0.0) -> dict[str, Any]:
        """What was found as the body of a registration, as far as it goes."""
        body: dict[str, Any] = {}
        for path, value in self.best(least).items():
            *above, name = path.split(".")
            (body.setdefault(above[0], {}) if above else body)[name] = value
        return body
