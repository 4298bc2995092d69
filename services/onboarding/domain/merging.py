"""Two partners become one: an alias from a day, which can be undone for thirty days. No stream moves.

One administrator proposes it, another one confirms the same terms. The absorbed partner does nothing new while it is
merged; undone, it is as before.
"""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol, assert_never

from chassis.decider import Invalid, Refused, WrongState
from chassis.event import command, event, frozen
from chassis.rulebook import FourEyes
from contracts.values import PartnerId
from services.onboarding.domain.offboarding import LIVE, PROPOSAL_DAYS, Offboarding

MERGED = "merged"
UNDO_DAYS, BACK_DAYS_MAX = 30, 365

# Events


@event("onboarding.MergeProposed.v1")
class MergeProposed:
    """One administrator wants it; another one confirms the same terms within 14 days."""

    partner_id: PartnerId
    into: PartnerId
    effective_on: date
    proposed_by: str
    proposed_at: datetime


@event("onboarding.PartnersMerged.v1")
class PartnersMerged:
    """Of the absorbed partner's stream. `into` is the survivor."""

    partner_id: PartnerId
    into: PartnerId
    effective_on: date
    proposed_by: str
    merged_by: str
    merged_at: datetime


@event("onboarding.PartnerAbsorbed.v1")
class PartnerAbsorbed:
    """Of the survivor's stream: another partner is one with it from a day on."""

    partner_id: PartnerId
    absorbed_id: PartnerId
    effective_on: date
    absorbed_at: datetime


@event("onboarding.PartnersUnmerged.v1")
class PartnersUnmerged:
    """Of the partner that was absorbed: it is as before, with these scopes closed where it was suspended."""

    partner_id: PartnerId
    survivor_id: PartnerId
    scopes: tuple[str, ...]
    unmerged_by: str
    unmerged_at: datetime


@event("onboarding.PartnerParted.v1")
class PartnerParted:
    """Of the stream of who had survived: the other partner stands for itself again."""

    partner_id: PartnerId
    absorbed_id: PartnerId
    parted_at: datetime


MergeEvent = MergeProposed | PartnersMerged | PartnerAbsorbed | PartnersUnmerged | PartnerParted
Both = tuple[list[MergeEvent], list[MergeEvent]]

# Commands


@command("onboarding.MergePartners.v1")
class MergePartners:
    """`into` goes on; the partner becomes one with it."""

    partner_id: PartnerId
    into: PartnerId
    effective_on: date
    by: str
    now: datetime


@command("onboarding.UndoMerge.v1")
class UndoMerge:
    partner_id: PartnerId
    into: PartnerId
    by: str
    now: datetime


# State


@frozen
class Merging:
    """What was proposed, and what stands; neither where a partner stands for itself."""

    proposed: MergeProposed | None = None
    merged: PartnersMerged | None = None


class Merger(Protocol):
    """A partner, as far as its merging goes."""

    @property
    def status(self) -> str: ...

    @property
    def scopes(self) -> tuple[str, ...]: ...

    @property
    def until(self) -> datetime | None: ...

    @property
    def offboarding(self) -> Offboarding: ...

    @property
    def merging(self) -> Merging: ...


# Refusals


class MergeInvalid(Refused):
    """These two are no merge: both do business, neither leaves, and they are not the same, see `why`."""

    slug = "merge-invalid"


class TooLate(Refused):
    """A merge can be undone for 30 days."""

    slug = "too-late"


# Decisions


def merge_partners(wish: MergePartners, absorbed: Merger, survivor: Merger) -> Both:
    """The first administrator proposes it; another one who asks for the same terms makes two partners one."""
    merged = absorbed.merging.merged
    if merged and (merged.into, merged.effective_on) == (wish.into, wish.effective_on):
        return [], []
    _sound(wish, absorbed, survivor)
    proposed = absorbed.merging.proposed
    if proposed is None or not _same(wish, proposed) or wish.now > proposed.proposed_at + timedelta(days=PROPOSAL_DAYS):
        return [_proposed(wish)], []
    if proposed.proposed_by == wish.by:
        raise FourEyes(proposed_by=wish.by)
    return [_merged(wish, proposed)], [
        PartnerAbsorbed(
            partner_id=wish.into, absorbed_id=wish.partner_id, effective_on=wish.effective_on, absorbed_at=wish.now
        )
    ]


def _sound(wish: MergePartners, absorbed: Merger, survivor: Merger) -> None:
    if absorbed.status not in LIVE:
        raise WrongState(f"the partner is {absorbed.status}", state=absorbed.status, allowed=list(LIVE))
    if survivor.status not in LIVE:
        raise MergeInvalid(why="survivor-not-live")
    if absorbed.offboarding.started or survivor.offboarding.started:
        raise MergeInvalid(why="leaving")
    today = wish.now.astimezone(UTC).date()
    if not today - timedelta(days=BACK_DAYS_MAX) <= wish.effective_on <= today:
        message = f"a merge is recorded once it holds: today, or up to {BACK_DAYS_MAX} days back"
        fault = {"path": "effective_on", "code": "range", "message": message}
        raise Invalid(message, errors=[fault])


def _same(wish: MergePartners, proposed: MergeProposed) -> bool:
    return (wish.into, wish.effective_on) == (proposed.into, proposed.effective_on)


def _proposed(wish: MergePartners) -> MergeProposed:
    return MergeProposed(
        partner_id=wish.partner_id,
        into=wish.into,
        effective_on=wish.effective_on,
        proposed_by=wish.by,
        proposed_at=wish.now,
    )


def _merged(wish: MergePartners, proposed: MergeProposed) -> PartnersMerged:
    return PartnersMerged(
        partner_id=wish.partner_id,
        into=wish.into,
        effective_on=wish.effective_on,
        proposed_by=proposed.proposed_by,
        merged_by=wish.by,
        merged_at=wish.now,
    )


def undo_merge(wish: UndoMerge, absorbed: Merger, survivor: Merger) -> Both:
    """Within thirty days two partners that became one are two again; a suspension that ended meanwhile is over."""
    merged = absorbed.merging.merged
    if merged is None:
        return [], []
    if merged.into != wish.into:
        raise MergeInvalid(why="another-survivor")
    if wish.now > merged.merged_at + timedelta(days=UNDO_DAYS):
        raise TooLate(merged_at=merged.merged_at.isoformat())
    over = absorbed.until is not None and absorbed.until <= wish.now
    return [
        PartnersUnmerged(
            partner_id=wish.partner_id,
            survivor_id=wish.into,
            scopes=() if over else absorbed.scopes,
            unmerged_by=wish.by,
            unmerged_at=wish.now,
        )
    ], [PartnerParted(partner_id=wish.into, absorbed_id=wish.partner_id, parted_at=wish.now)]


# Evolve


def evolve(it: Merging, happened: MergeEvent) -> Merging:
    match happened:
        case MergeProposed():
            return replace(it, proposed=happened)
        case PartnersMerged():
            return Merging(merged=happened)
        case PartnersUnmerged():
            return Merging()
        case PartnerAbsorbed() | PartnerParted():
            return it
        case _:
            assert_never(happened)
