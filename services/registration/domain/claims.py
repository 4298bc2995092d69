"""Everything that partners want or hold on one customer, in the order they asked: who blocks whom is decided here.

No two rivals' held exclusive claims overlap, because a claim changes only in this stream, in one commit with its deal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

from chassis.decider import Decider
from chassis.event import event
from contracts.values import PartnerId, RegistrationId, Span
from services.registration.domain.claim import HELD, PENDING, WAITING, Claim, Proof, Won
from services.registration.domain.overlap import Reach
from services.registration.domain.precedence import places

WON = "won"
INCUMBENTS_MAX = 20


# Events


@event("registration.ClaimPlaced.v1")
class ClaimPlaced:
    """A deal asks for this customer: its claim is pending. `priority` is the first of `priorities`."""

    registration_id: RegistrationId
    partner_id: PartnerId
    reach: Reach
    priority: str
    submitted_at: datetime
    placed_at: datetime
    priorities: tuple[str, ...] = ()
    letter_days: int = 90
    evidence: tuple[Proof, ...] = ()


@event("registration.ClaimSupported.v1")
class ClaimSupported:
    """Documents came to a claim: its place in line may change."""

    registration_id: RegistrationId
    evidence: tuple[Proof, ...]
    supported_at: datetime


@event("registration.ClaimExtended.v1")
class ClaimExtended:
    """A hold lasts until another instant."""

    registration_id: RegistrationId
    ends_at: datetime
    extended_at: datetime


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


@event("registration.ClaimShared.v1")
class ClaimShared:
    """A hold keeps no rival out any more."""

    registration_id: RegistrationId
    shared_at: datetime


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
    incumbents: tuple[Won, ...] = ()


ClaimEvent = (
    ClaimPlaced
    | ClaimSupported
    | ClaimQueued
    | ClaimPromoted
    | ClaimHeld
    | ClaimExtended
    | ClaimShared
    | ClaimMerged
    | ClaimReleased
    | ClaimsCarried
)


# State


@dataclass(frozen=True)
class Claims:
    """The live claims on one account in the order they were placed, and who won what here, the newest last."""

    live: tuple[Claim, ...] = ()
    incumbents: tuple[Won, ...] = ()

    def of(self, registration_id: str) -> Claim | None:
        return next((claim for claim in self.live if claim.registration_id == registration_id), None)


# Decisions


def blockers(claims: Claims, mine: Claim, now: datetime) -> tuple[Claim, ...]:
    """The rivals that keep `mine` waiting: those that hold, and those that its rules put ahead of it.

    A waiting rival is ahead only if nothing blocks it: then it is next.
    """
    return next(found for claim, found in _standing(claims, now) if claim.registration_id == mine.registration_id)


Ranked = list[tuple[list[int], Claim]]


def ranked(claims: Claims, now: datetime) -> Ranked:
    """The live claims in the order in which they are served, each with its places under the policies.

    Where rules changed between two claims, those of whoever stands first in line order the whole line.
    """
    policies = claims.live[0].policies if claims.live else ()
    today = now.date()
    line = [(places(c, n, policies, claims.incumbents, today), c) for n, c in enumerate(claims.live)]
    return sorted(line, key=lambda one: one[0])


def _standing(claims: Claims, now: datetime) -> Iterator[tuple[Claim, tuple[Claim, ...]]]:
    holding = [claim for claim in claims.live if claim.holds(now)]
    ahead: Ranked = []
    for rank, claim in ranked(claims, now):
        before = [other for higher, other in ahead if higher < rank]
        found = tuple(rival for rival in (*holding, *before) if rival.rivals(claim))
        yield claim, found
        if claim.state == PENDING or (claim.state == WAITING and not found):
            ahead.append((rank, claim))


def waiting_ahead(claims: Claims, mine: Claim, now: datetime) -> int:
    """How many rivals already wait for the same thing before it, in the order in which they are served."""
    line = [claim for _, claim in ranked(claims, now)]
    before = line[: [claim.registration_id for claim in line].index(mine.registration_id)]
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
            priorities=mine.priorities,
            letter_days=mine.letter_days,
            evidence=mine.evidence,
        )
    ]


def queue(registration_id: RegistrationId, now: datetime) -> list[ClaimEvent]:
    """Puts a claim in review behind its rivals, at its old place in the order."""
    return [ClaimQueued(registration_id=registration_id, queued_at=now)]


def promote(registration_id: RegistrationId, now: datetime) -> list[ClaimEvent]:
    """Lets a waiting claim back into review."""
    return [ClaimPromoted(registration_id=registration_id, promoted_at=now)]


def support(
    claims: Claims, registration_id: RegistrationId, evidence: tuple[Proof, ...], now: datetime
) -> list[ClaimEvent]:
    """Adds documents to a live claim."""
    if not claims.of(registration_id):
        return []
    return [ClaimSupported(registration_id=registration_id, evidence=evidence, supported_at=now)]


def extend(claims: Claims, registration_id: RegistrationId, ends_at: datetime, now: datetime) -> list[ClaimEvent]:
    """Lets a hold last until another instant."""
    if not claims.of(registration_id):
        return []
    return [ClaimExtended(registration_id=registration_id, ends_at=ends_at, extended_at=now)]


def share(claims: Claims, registration_id: RegistrationId, now: datetime) -> list[ClaimEvent]:
    """Opens an exclusive hold to others."""
    mine = claims.of(registration_id)
    return [ClaimShared(registration_id=registration_id, shared_at=now)] if mine and mine.exclusive else []


def hold(
    claims: Claims, registration_id: RegistrationId, span: Span, now: datetime, *, exclusive: bool = True
) -> list[ClaimEvent]:
    """Protects a claim that nothing blocks (its deal made sure of that) and names the rivals that it now blocks."""
    mine = next(claim for claim in claims.live if claim.registration_id == registration_id)
    rivals = (c.registration_id for c in claims.live if c.state == PENDING and c.rivals(mine))
    return [
        ClaimHeld(
            registration_id=registration_id,
            protection=span,
            exclusive=exclusive,
            blocks=tuple(rivals) if exclusive else (),
            held_at=now,
        )
    ]


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
    rest = replace(claims, live=tuple(c for c in claims.live if c.registration_id != registration_id))
    freed = tuple(c.registration_id for c, found in _standing(rest, now) if c.state == WAITING and not found)
    return [ClaimReleased(registration_id=registration_id, reason_code=reason_code, frees=freed, released_at=now)]


# Evolve


def evolve(claims: Claims, happened: ClaimEvent) -> Claims:
    match happened:
        case ClaimPlaced():
            return replace(claims, live=(*claims.live, _placed(happened)))
        case ClaimMerged():
            return _merged(claims, happened)
        case ClaimReleased():
            return _released(claims, happened)
        case ClaimsCarried():
            return Claims(happened.live, happened.incumbents)
        case _:
            return _changed(claims, happened.registration_id, **_changes(claims, happened))


def _changes(
    claims: Claims, happened: ClaimSupported | ClaimQueued | ClaimPromoted | ClaimHeld | ClaimExtended | ClaimShared
) -> dict[str, Any]:
    """What the event says anew of its claim."""
    mine = claims.of(happened.registration_id)
    match happened:
        case ClaimSupported():
            return {"evidence": (*(mine.evidence if mine else ()), *happened.evidence)}
        case ClaimShared():
            return {"exclusive": False}
        case ClaimQueued():
            return {"state": WAITING}
        case ClaimPromoted():
            return {"state": PENDING}
        case ClaimHeld():
            return {"state": HELD, "protection": happened.protection, "exclusive": happened.exclusive}
        case ClaimExtended(ends_at=end):
            return {"protection": replace(mine.protection, end=end) if mine and mine.protection else None}
        case _:
            assert_never(happened)


def _released(claims: Claims, happened: ClaimReleased) -> Claims:
    """Who won is remembered: it is the incumbent of what it won, up to `INCUMBENTS_MAX` of them."""
    gone = claims.of(happened.registration_id)
    rest = tuple(c for c in claims.live if c.registration_id != happened.registration_id)
    if gone is None or happened.reason_code != WON:
        return replace(claims, live=rest)
    won = Won(partner_id=gone.partner_id, reach=gone.reach)
    return Claims(rest, (*claims.incumbents, won)[-INCUMBENTS_MAX:])


def _placed(happened: ClaimPlaced) -> Claim:
    return Claim(
        registration_id=happened.registration_id,
        partner_id=happened.partner_id,
        reach=happened.reach,
        priority=happened.priority,
        submitted_at=happened.submitted_at,
        priorities=happened.priorities,
        letter_days=happened.letter_days,
        evidence=happened.evidence,
    )


def _changed(claims: Claims, registration_id: str, **fields: Any) -> Claims:
    live = tuple(replace(c, **fields) if c.registration_id == registration_id else c for c in claims.live)
    return replace(claims, live=live)


def _merged(claims: Claims, happened: ClaimMerged) -> Claims:
    both = (happened.registration_id, happened.merged_id)
    mine = next(c for c in claims.live if c.registration_id == happened.registration_id)
    moved = replace(mine, submitted_at=happened.submitted_at)
    first = min(n for n, claim in enumerate(claims.live) if claim.registration_id in both)
    rest = [claim for claim in claims.live if claim != mine]
    return replace(claims, live=(*rest[:first], moved, *rest[first:]))


def carry(claims: Claims) -> ClaimEvent:
    return ClaimsCarried(live=claims.live, incumbents=claims.incumbents)


ClaimsOf = Decider[Claims, ClaimEvent](kind="claims", initial=Claims(), evolve=evolve, carry=carry)
