"""A partner's own number for a deal: the same number never stands for two of its deals."""

from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider, Refused
from chassis.event import event, stable_id
from contracts.values import PartnerId, RegistrationId


@event("registration.PartnerReferenceTaken.v1")
class PartnerReferenceTaken:
    partner_id: PartnerId
    reference: str
    registration_id: RegistrationId
    taken_at: datetime


class ReferenceTaken(Refused):
    """You have used this reference for another deal: give this one its own."""

    slug = "reference-taken"


@dataclass(frozen=True)
class PartnerReference:
    """The deal that a reference stands for; None while it is free."""

    registration_id: RegistrationId | None = None


def identity(partner_id: str, reference: str) -> str:
    """The stream of one partner's reference."""
    return stable_id(partner_id, reference)


def take(
    state: PartnerReference, *, partner_id: PartnerId, reference: str, registration_id: RegistrationId, now: datetime
) -> list[PartnerReferenceTaken]:
    """Takes a free reference. Raises ReferenceTaken where another deal has it."""
    if state.registration_id == registration_id:
        return []
    if state.registration_id is not None:
        raise ReferenceTaken(registration_id=state.registration_id)
    return [
        PartnerReferenceTaken(partner_id=partner_id, reference=reference, registration_id=registration_id, taken_at=now)
    ]


def evolve(_: PartnerReference, happened: PartnerReferenceTaken) -> PartnerReference:
    return PartnerReference(happened.registration_id)


References = Decider[PartnerReference, PartnerReferenceTaken](
    kind="partner_reference", initial=PartnerReference(), evolve=evolve
)
