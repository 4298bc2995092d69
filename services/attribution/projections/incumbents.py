"""Whom has the vendor named as the incumbent of which family at which customer? One document a customer and family."""

from datetime import date
from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.attribution.domain.incumbency import IncumbentChanged

EARLIER_MAX = 100
"""So much of what was said before is kept of a family at a customer, the newest."""


class SaidOfIncumbent(TypedDict):
    """Who comes first when the family is renewed, from when on and until when; no partner: nobody does."""

    partner_id: str | None
    from_on: str
    until_on: str | None
    reason: str
    set_by: str
    event_id: str


class IncumbentDocument(SaidOfIncumbent):
    """What was said last of a family at a customer, and what was said `earlier`, the newest last."""

    incumbency_id: str
    account_id: str
    product_family: str
    earlier: list[SaidOfIncumbent]


def evolve(document: IncumbentDocument | None, seen: Seen) -> IncumbentDocument:
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
        "earlier": _said(document)[-EARLIER_MAX:] if document else [],
    }


def _said(document: IncumbentDocument) -> list[SaidOfIncumbent]:
    last: SaidOfIncumbent = {
        "partner_id": document["partner_id"],
        "from_on": document["from_on"],
        "until_on": document["until_on"],
        "reason": document["reason"],
        "set_by": document["set_by"],
        "event_id": document["event_id"],
    }
    return [*document["earlier"], last]


def as_of(document: IncumbentDocument, day: date) -> IncumbentDocument | None:
    """What had been said by the end of a day; None where nothing had."""
    said = [one for one in _said(document) if one["from_on"] <= iso(day)]
    return {**document, **said[-1], "earlier": said[:-1]} if said else None


INCUMBENTS = Projection(
    name="incumbents",
    version=2,
    keys={IncumbentChanged: lambda seen: seen.event.incumbency_id},
    evolve=evolve,
    indexes=("account_id", "partner_id", "product_family"),
)
