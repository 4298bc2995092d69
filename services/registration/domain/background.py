"""What is known of a partner and of earlier registrations when a deal is screened: copied facts, each with its source."""

from chassis.event import LEFT_OUT, LeftOut, frozen
from contracts.values import AccountId, RegistrationId
from services.registration.domain.partner_standing import Exclusive


@frozen
class Background:
    """`tiers` with the event that told of the last; results of the year; deals and accounts that ask for a look.

    `lost` are the partner's own deals that were rejected or revoked and that asked in another country or role,
    `exclusives` what others may sell there alone.
    """

    tiers: tuple[str, ...] = ()
    tier_event_id: str | None = None
    tier_position: int | None = None
    closed: int = 0
    won: int = 0
    look_alikes: tuple[AccountId, ...] = ()
    same_documents: tuple[RegistrationId, ...] = ()
    lost: tuple[RegistrationId, ...] = ()
    exclusives: tuple[Exclusive, ...] | LeftOut = LEFT_OUT
