"""Who held a customer at an instant, as it was known at another: both times of the log, business and recorded."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from chassis.event import frozen
from services.registration.domain.claim import Claim
from services.registration.domain.claims import (
    ClaimEvent,
    ClaimExtended,
    ClaimHeld,
    ClaimMerged,
    ClaimPlaced,
    ClaimPromoted,
    ClaimQueued,
    ClaimReleased,
    ClaimsAliased,
    ClaimsCarried,
    ClaimShared,
    ClaimsJoined,
    ClaimsLeft,
    ClaimsOf,
    ClaimsParted,
    ClaimsRestored,
    ClaimSupported,
    IncumbentTold,
)

_WHEN: dict[type[Any], str] = {
    ClaimPlaced: "placed_at",
    ClaimSupported: "supported_at",
    ClaimQueued: "queued_at",
    ClaimPromoted: "promoted_at",
    ClaimHeld: "held_at",
    ClaimExtended: "extended_at",
    ClaimShared: "shared_at",
    ClaimMerged: "merged_at",
    ClaimReleased: "released_at",
    ClaimsJoined: "joined_at",
    ClaimsLeft: "left_at",
    ClaimsParted: "parted_at",
    ClaimsRestored: "restored_at",
    ClaimsAliased: "aliased_at",
    IncumbentTold: "told_at",
}
"""The business time of each change."""


@frozen
class Told:
    """A change of the claims on one customer, and when it was written down."""

    event: ClaimEvent
    recorded_at: datetime


def as_known(told: Iterable[Told], at: datetime, known_at: datetime) -> tuple[Claim, ...]:
    """The claims that counted at `at`, by what had been written down by `known_at`; a hold that was over is none."""
    known = [one.event for one in told if one.recorded_at <= known_at and _happened_by(one.event, at)]
    return tuple(claim for claim in ClaimsOf.fold(known).live if not claim.lapsed(at))


def _happened_by(happened: ClaimEvent, at: datetime) -> bool:
    """Whether it had happened by then. What a new segment begins with repeats what is known, and says nothing new."""
    if isinstance(happened, ClaimsCarried):
        return False
    when: datetime = getattr(happened, _WHEN[type(happened)])
    return when <= at
