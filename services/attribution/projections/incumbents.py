"""Whom has the vendor named as the incumbent of which family at which customer? One document a customer and family."""

from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.attribution.domain.incumbency import IncumbentChanged


class IncumbentDocument(TypedDict):
    """Who comes first when the family is renewed, from when on and until when; no partner: nobody does."""

    incumbency_id: str
    account_id: str
    product_family: str
    partner_id: str | None
    from_on: str
    until_on: str | None
    reason: str
    set_by: str
    event_id: str


def evolve(_: IncumbentDocument | None, seen: Seen) -> IncumbentDocument:
    it: IncumbentChanged = seen.event
    return {
        "incumbency_id": it.incumbency_id,
        "account_id": it.account_id,
        "product_family": it.product_family,
        "partner_id": it.partner_id,
        "from_on": iso(it.from_on),
        "until_on": iso(it.until_on) if it.until_on else None,
        "reason": it.reason,
        "set_by": it.set_by,
        "event_id": seen.id,
    }


INCUMBENTS = Projection(
    name="incumbents",
    version=1,
    keys={IncumbentChanged: lambda seen: seen.event.incumbency_id},
    evolve=evolve,
    indexes=("account_id", "partner_id", "product_family"),
)
