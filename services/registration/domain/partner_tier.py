"""In which tiers a partner is, as incentives told it, copied into an own stream so that a check can name it."""

from dataclasses import dataclass
from datetime import date, datetime

from chassis.decider import Decider
from chassis.event import command, event
from contracts.values import PartnerId


@event("registration.PartnerTierRecorded.v1")
class PartnerTierRecorded:
    """`level` of a programme of tiers from `effective_on` on; None: none."""

    partner_id: PartnerId
    programme: str
    level: str | None = None
    effective_on: date
    source_event_id: str
    source_position: int
    recorded_at: datetime


@command("registration.RecordPartnerTier.v1")
class RecordPartnerTier:
    partner_id: PartnerId
    programme: str
    level: str | None = None
    effective_on: date
    source_event_id: str
    source_position: int
    now: datetime


@dataclass(frozen=True)
class Tiers:
    """What was told, the newest last: of each programme what holds, and what is to come."""

    told: tuple[PartnerTierRecorded, ...] = ()

    def on(self, day: date) -> tuple[PartnerTierRecorded, ...]:
        """What holds on a day, one a programme."""
        held = {one.programme: one for one in self.told if one.effective_on <= day}
        return tuple(one for one in held.values() if one.level is not None)


def record_partner_tier(wish: RecordPartnerTier, tiers: Tiers) -> list[PartnerTierRecorded]:
    """Keeps what is newer than what is known; older news, or the same again, change nothing."""
    if any(one.source_position >= wish.source_position for one in tiers.told):
        return []
    return [
        PartnerTierRecorded(
            partner_id=wish.partner_id,
            programme=wish.programme,
            level=wish.level,
            effective_on=wish.effective_on,
            source_event_id=wish.source_event_id,
            source_position=wish.source_position,
            recorded_at=wish.now,
        )
    ]


def evolve(tiers: Tiers, happened: PartnerTierRecorded) -> Tiers:
    """What was to come later than the news is no more; of what held before, the last is kept."""
    of_others = tuple(one for one in tiers.told if one.programme != happened.programme)
    own = (one for one in tiers.told if one.programme == happened.programme)
    before = tuple(one for one in own if one.effective_on < happened.effective_on)[-1:]
    return Tiers((*of_others, *before, happened))


TiersOf = Decider[Tiers, PartnerTierRecorded](kind="partner_tier", initial=Tiers(), evolve=evolve)
