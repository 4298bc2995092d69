"""Who was ever authorised for a product exclusively: where to look, when another partner asks for it."""

from datetime import datetime

from chassis.decider import Decider
from chassis.event import command, event
from contracts.values import PartnerId


@event("registration.ExclusiveNoted.v1")
class ExclusiveNoted:
    """What the authorisation says, and whether it still holds, stands with what is known of the partner."""

    product: str
    partner_id: PartnerId
    noted_at: datetime


@command("registration.NoteExclusive.v1")
class NoteExclusive:
    """`product` is a SKU or a family in its normal form."""

    product: str
    partner_id: PartnerId
    now: datetime


def note_exclusive(wish: NoteExclusive, known: tuple[PartnerId, ...]) -> list[ExclusiveNoted]:
    """Notes a partner once."""
    if wish.partner_id in known:
        return []
    return [ExclusiveNoted(product=wish.product, partner_id=wish.partner_id, noted_at=wish.now)]


def evolve(known: tuple[PartnerId, ...], noted: ExclusiveNoted) -> tuple[PartnerId, ...]:
    return (*known, noted.partner_id)


ExclusiveGrants = Decider[tuple[PartnerId, ...], ExclusiveNoted](kind="exclusive_grants", initial=(), evolve=evolve)
