"""Everything that partners want or hold on one customer, in the order they asked: who blocks whom is decided here.

No two rivals' held exclusive claims overlap, because a claim changes only in this stream, in one commit with its deal.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import event
from contracts.values import PartnerId, RegistrationId, Span
from services.registration.domain.overlap import Reach, overlap
from services.registration.domain.rules import FIRST_TO_REGISTER

PENDING, WAITING, HELD = "pending", "waiting", "held"


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One deal's live claim: pending (in review), waiting (behind a rival) or held (protected)."""

    registration_id: RegistrationId
    partner_id: PartnerId
    reach: Reach
    priority: str
    state: str = PENDING
    submitted_at: datetime
    protection: Span | None = None
    exclusive: bool = True

    def holds(self, now: datetime) -> bool:
        """Whether it binds rivals at `now`: a hold whose end has passed binds nobody."""
        return self.state == HELD and self.exclusive and self.protection is not None and now < self.protection.end

    def rivals(self, other: "Claim") -> bool:
        """Whether two partners want the same thing."""
        return self.partner_id != other.partner_id and self.meets(other)

    def meets(self, other: "Claim") -> bool:
        """Whether both ask for the same thing."""
        return overlap(self.reach, other.reach).complete


# Events


@event("registration.ClaimPlaced.v1")
class ClaimPlaced:
    """A deal asks for this customer: its claim is pending."""

    registration_id: RegistrationId
    partner_id: PartnerId
    reach: Reach
    priority: str
    submitted_at: datetime
    placed_at: datetime


@event("registration.ClaimQueued.v1")
class ClaimQueued:
    registration_id: RegistrationId
    queued_at: datetime


@event("registration.ClaimPromoted.v1")
class ClaimPromoted:
    registration_id: RegistrationId
    promoted_at: datetime


@event("registration.ClaimHeld.v1")
class ClaimHeld:
    """The claim is protected. `blocks` are the rivals in review that it now blocks."""

    registration_id: RegistrationId
    protection: Span
    exclusive: bool
    blocks: tuple[RegistrationId, ...]
    held_at: datetime


@event("registration.ClaimMerged.v1")
class ClaimMerged:
    """A duplicate of this deal stood in line too: the place and the instant of the earlier one count."""

    registration_id: RegistrationId
    merged_id: RegistrationId
    submitted_at: datetime
    merged_at: datetime


@event("registration.ClaimReleased.v1")
class ClaimReleased:
    """The claim is gone. `frees` are the waiting deals that nothing blocks any more, in order."""

    registration_id: RegistrationId
    reason_code: str
    frees: tuple[RegistrationId, ...]
    released_at: datetime


@event("registration.ClaimsCarried.v1")
class ClaimsCarried:
    """The live claims in their order, with which a much wanted customer's claims go on in their next segment."""

    live: tuple[Claim, ...]


ClaimEvent = ClaimPlaced | ClaimQueued | ClaimPromoted | ClaimHeld | ClaimMerged | ClaimReleased | ClaimsCarried


# State


@dataclass(frozen=True)
class Claims:
    """The live claims on one account in the order they were placed."""

    live: tuple[Claim, ...] = ()

    def of(self, registration_id: str) -> Claim | None:
        return next((claim for claim in self.live if claim.registration_id == registration_id), None)


# Decisions


def blockers(live: Iterable[Claim], mine: Claim, now: datetime) -> tuple[Claim, ...]:
    """The rivals that keep `mine` waiting: those that hold, and, where the first to register wins, those ahead of it.

    A waiting rival is ahead only if nothing blocks it: then it is next.
    """
    return next(found for claim, found in _standing(live, now) if claim.registration_id == mine.registration_id)


def _standing(live: Iterable[Claim], now: datetime) -> Iterator[tuple[Claim, tuple[Claim, ...]]]:
    live = tuple(live)
    holding = [claim for claim in live if claim.holds(now)]
    ahead: list[Claim] = []
    for claim in live:
        before = ahead if claim.priority == FIRST_TO_REGISTER else []
        found = tuple(rival for rival in (*holding, *before) if rival.rivals(claim))
        yield claim, found
        if claim.state == PENDING or (claim.state == WAITING and not found):
            ahead.append(claim)


def waiting_ahead(live: Iterable[Claim], mine: Claim) -> int:
    """How many rivals already wait for the same thing."""
    places = [claim.registration_id for claim in live]
    before = tuple(live)[: places.index(mine.registration_id)]
    return sum(claim.state == WAITING and claim.rivals(mine) for claim in before)


def place(claims: Claims, mine: Claim, now: datetime) -> list[ClaimEvent]:
    """Writes a claim down, once."""
    if claims.of(mine.registration_id):
        return []
    return [
        ClaimPlaced(
            registration_id=mine.registration_id,
            partner_id=mine.partner_id,
            reach=mine.reach,
            priority=mine.priority,
            submitted_at=mine.submitted_at,
            placed_at=now,
        )
    ]


def queue(registration_id: RegistrationId, now: datetime) -> list[ClaimEvent]:
    """Puts a claim in review behind its rivals, at its old place in the order."""
    return [ClaimQueued(registration_id=registration_id, queued_at=now)]


def promote(registration_id: RegistrationId, now: datetime) -> list[ClaimEvent]:
    """Lets a waiting claim back into review."""
    return [ClaimPromoted(registration_id=registration_id, promoted_at=now)]


def hold(claims: Claims, registration_id: RegistrationId, span: Span, now: datetime) -> list[ClaimEvent]:
    """Protects a claim that nothing blocks (its deal made sure of that) and names the rivals that it now blocks."""
    mine = next(claim for claim in claims.live if claim.registration_id == registration_id)
    blocked = tuple(c.registration_id for c in claims.live if c.state == PENDING and c.rivals(mine))
    return [ClaimHeld(registration_id=registration_id, protection=span, exclusive=True, blocks=blocked, held_at=now)]


def merge(
    claims: Claims, into: RegistrationId, gone: RegistrationId, submitted_at: datetime, now: datetime
) -> list[ClaimEvent]:
    """Gives a claim the earlier place of its duplicate, and releases the duplicate."""
    merged = [ClaimMerged(registration_id=into, merged_id=gone, submitted_at=submitted_at, merged_at=now)]
    both = claims.of(into) and claims.of(gone)
    placed: list[ClaimEvent] = [*merged] if both else []
    return [*placed, *release(ClaimsOf.fold(placed, claims), gone, "duplicate", now)]


def release(claims: Claims, registration_id: RegistrationId, reason_code: str, now: datetime) -> list[ClaimEvent]:
    """Takes a claim away and names the waiting deals that this frees."""
    if not claims.of(registration_id):
        return []
    rest = [claim for claim in claims.live if claim.registration_id != registration_id]
    freed = tuple(c.registration_id for c, found in _standing(rest, now) if c.state == WAITING and not found)
    return [ClaimReleased(registration_id=registration_id, reason_code=reason_code, frees=freed, released_at=now)]


# Evolve


def evolve(claims: Claims, happened: ClaimEvent) -> Claims:
    match happened:
        case ClaimPlaced():
            return Claims((*claims.live, _placed(happened)))
        case ClaimQueued():
            return _changed(claims, happened.registration_id, state=WAITING)
        case ClaimPromoted():
            return _changed(claims, happened.registration_id, state=PENDING)
        case ClaimHeld():
            return _changed(
                claims,
                happened.registration_id,
                state=HELD,
                protection=happened.protection,
                exclusive=happened.exclusive,
            )
        case ClaimMerged():
            return _merged(claims, happened)
        case ClaimReleased():
            return Claims(tuple(c for c in claims.live if c.registration_id != happened.registration_id))
        case ClaimsCarried():
            return Claims(happened.live)
        case _:
            assert_never(happened)


def _placed(happened: ClaimPlaced) -> Claim:
    return Claim(
        registration_id=happened.registration_id,
        partner_id=happened.partner_id,
        reach=happened.reach,
        priority=happened.priority,
        submitted_at=happened.submitted_at,
    )


def _changed(claims: Claims, registration_id: str, **fields: object) -> Claims:
    return Claims(
        tuple(replace(c, **fields) if c.registration_id == registration_id else c for c in claims.live)  # type: ignore[arg-type]
    )


def _merged(claims: Claims, happened: ClaimMerged) -> Claims:
    both = (happened.registration_id, happened.merged_id)
    mine = next(c for c in claims.live if c.registration_id == happened.registration_id)
    moved = replace(mine, submitted_at=happened.submitted_at)
    first = min(n for n, claim in enumerate(claims.live) if claim.registration_id in both)
    rest = [claim for claim in claims.live if claim != mine]
    return Claims((*rest[:first], moved, *rest[first:]))


def carry(claims: Claims) -> ClaimEvent:
    return ClaimsCarried(live=claims.live)


ClaimsOf = Decider[Claims, ClaimEvent](kind="claims", initial=Claims(), evolve=evolve, carry=carry)
