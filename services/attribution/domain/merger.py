"""Partners that are one: from a day on what one of them does counts as the other's, until that is undone.

No stream moves and no share is rewritten. A sale keeps in its own stream what it heard of its partners.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event, frozen
from contracts.values import PartnerId

# Events


@event("attribution.PartnerMerged.v1")
class PartnerMerged:
    """`revision` is the partner's own at onboarding."""

    partner_id: PartnerId
    survivor_id: PartnerId
    revision: int
    effective_on: date
    recorded_at: datetime


@event("attribution.PartnerUnmerged.v1")
class PartnerUnmerged:
    """It was undone: the partner stands for itself again."""

    partner_id: PartnerId
    survivor_id: PartnerId
    revision: int
    recorded_at: datetime


MergerEvent = PartnerMerged | PartnerUnmerged


# Commands


@command("attribution.MergePartner.v1")
class MergePartner:
    """What is older than what is known changes nothing."""

    partner_id: PartnerId
    survivor_id: PartnerId
    revision: int
    effective_on: date
    now: datetime


@command("attribution.UnmergePartner.v1")
class UnmergePartner:
    partner_id: PartnerId
    survivor_id: PartnerId
    revision: int
    now: datetime


# State


@frozen
class Merger:
    """With whom a partner is one, and from which day on; `survivor_id` is absent where it stands for itself."""

    revision: int = 0
    survivor_id: PartnerId | None = None
    effective_on: date = date.max


Mergers = Mapping[str, Merger]
"""By the partner that was absorbed."""


@frozen
class Alias:
    """What a partner did counts as done by another one."""

    partner_id: PartnerId
    counts_as: PartnerId


def counted_as(partner_id: PartnerId, mergers: Mergers, day: date) -> PartnerId:
    """The partner that another one is on a day, over any number of mergers; itself where it is none."""
    passed: list[PartnerId] = []
    while partner_id not in passed and (merger := mergers.get(partner_id)) and day >= merger.effective_on:
        passed.append(partner_id)
        partner_id = merger.survivor_id or partner_id
    return partner_id


def aliases_of(partner_ids: Sequence[PartnerId], mergers: Mergers, day: date) -> tuple[Alias, ...]:
    """Which of these partners are another one on a day, in the order of their ids."""
    found = {one: counted_as(one, mergers, day) for one in sorted(set(partner_ids))}
    return tuple(Alias(partner_id=one, counts_as=now) for one, now in found.items() if one != now)


# Decisions


def merge_partner(wish: MergePartner, merger: Merger) -> list[MergerEvent]:
    """Keeps with whom a partner is one."""
    if wish.revision <= merger.revision:
        return []
    return [
        PartnerMerged(
            partner_id=wish.partner_id,
            survivor_id=wish.survivor_id,
            revision=wish.revision,
            effective_on=wish.effective_on,
            recorded_at=wish.now,
        )
    ]


def unmerge_partner(wish: UnmergePartner, merger: Merger) -> list[MergerEvent]:
    """Keeps that a partner stands for itself again."""
    if wish.revision <= merger.revision:
        return []
    return [
        PartnerUnmerged(
            partner_id=wish.partner_id, survivor_id=wish.survivor_id, revision=wish.revision, recorded_at=wish.now
        )
    ]


# Evolve


def evolve(merger: Merger, happened: MergerEvent) -> Merger:
    match happened:
        case PartnerMerged():
            return Merger(
                revision=happened.revision, survivor_id=happened.survivor_id, effective_on=happened.effective_on
            )
        case PartnerUnmerged():
            return Merger(revision=happened.revision)
        case _:
            assert_never(happened)


MergersOf = Decider[Merger, MergerEvent](kind="merger", initial=Merger(), evolve=evolve)
