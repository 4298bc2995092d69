"""What is known of a partner and of earlier registrations when a deal is screened: copied facts, each with its source."""

from chassis.event import frozen
from contracts.values import AccountId, RegistrationId


@frozen
class Background:
    """`tiers` with the event that told of the last; results of the year; deals and accounts that ask for a look.

    `lost` are the partner's own deals that were rejected or revoked and that asked in another country or role.
    """

    tiers: tuple[str, ...] = ()
    tier_event_id: str | None = None
    tier_position: int | None = None
    closed: int = 0
    won: int = 0
    look_alikes: tuple[AccountId, ...] = ()
    same_documents: tuple[RegistrationId, ...] = ()
    lost: tuple[RegistrationId, ...] = ()
