"""Which special prices hold for whom, and how many of their units were claimed?"""

from typing import Any, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from services.incentives.domain.special_price import SpecialPriceEnded, SpecialPriceGranted, SpecialPriceUsed


class SpecialPriceDocument(TypedDict):
    """`used` are the units counted so far, by product."""

    special_price_id: str
    partner_id: str
    kind: str
    registration_id: str | None
    customer_domain: str | None
    products: list[dict[str, Any]]
    starts_on: str
    ends_on: str
    reason: str
    used: dict[str, int]
    changed_at: str


def evolve(document: SpecialPriceDocument | None, seen: Seen) -> SpecialPriceDocument | None:
    happened = seen.event
    at = iso(seen.recorded_at)
    if isinstance(happened, SpecialPriceGranted):
        return _granted(happened, at)
    if document is None:
        return None
    if isinstance(happened, SpecialPriceUsed):
        before = document["used"]
        units = {sku: before.get(sku, 0) + happened.units.get(sku, 0) for sku in sorted({*before, *happened.units})}
        return {**document, "used": units, "changed_at": at}
    return {**document, "ends_on": iso(happened.ends_on), "changed_at": at}


def _granted(it: SpecialPriceGranted, at: str) -> SpecialPriceDocument:
    return {
        "special_price_id": it.special_price_id,
        "partner_id": it.partner_id,
        "kind": it.kind,
        "registration_id": it.registration_id,
        "customer_domain": it.customer_domain or None,
        "products": plain(list(it.products)),
        "starts_on": iso(it.starts_on),
        "ends_on": iso(it.ends_on),
        "reason": it.reason,
        "used": {},
        "changed_at": at,
    }


SPECIAL_PRICES = Projection(
    name="special_prices",
    version=2,
    keys=dict.fromkeys(
        (SpecialPriceGranted, SpecialPriceUsed, SpecialPriceEnded), lambda seen: str(seen.event.special_price_id)
    ),
    evolve=evolve,
    indexes=("changed_at", "partner_id,changed_at"),
)
