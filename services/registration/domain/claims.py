"""Everything that partners want or hold on one customer, in the order they asked: who blocks whom is decided here.

No two rivals' held exclusive claims overlap, because a claim changes only in this stream, in one commit with its deal.
"""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, assert_never

from chassis.decider import Decider, Raced
from chassis.event import LEFT_OUT, LeftOut, event, replace
from contracts.values import AccountId, PartnerId, RegistrationId, Span
from services.registration.domain.claim import CONTESTED, HELD, PENDING, WAITING, Alias, Claim, Proof, Won
from services.registration.domain.overlap import Reach
from services.registration.domain.precedence import places

WON = "won"
INCUMBENTS_MAX = 20


# Events


@event("registration.ClaimPlaced.v1")
class ClaimPlaced:
    """A deal asks for this customer: its claim is pending. `priority` is the first of `priorities`.

    Of a participant in a deal, `deal_id` is that one. `counts_as` is the partner that its own one is one with.
    """

    registration_id: RegistrationId
    partner_id: PartnerId
    reach: Reach
    priority: str
    submitted_at: datetime
    placed_at: datetime
    priorities: tuple[str, ...] = ()
    letter_days: int = 90
    evidence: tuple[Proof, ...] = ()
    deal_id: RegistrationId | LeftOut = LEFT_OUT
    counts_as: PartnerId | LeftOut = LEFT_OUT


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


@event("registration.ClaimsJoined.v1")
class ClaimsJoined:
    """Another account turned out to be this customer: its claims stand in this line now, each by its instant.

    `contested` are the rivals that now hold the same, `blocks` the claims in review that a holder now keeps out.
    """

    merge_id: str
    from_id: AccountId
    live: tuple[Claim, ...]
    incumbents: tuple[Won, ...]
    contested: tuple[RegistrationId, ...]
    blocks: tuple[RegistrationId, ...]
    joined_at: datetime
    aliases: tuple[Alias, ...] | LeftOut = LEFT_OUT


@event("registration.ClaimsLeft.v1")
class ClaimsLeft:
    """The claims on this account stand in another account's line from now on."""

    merge_id: str
    to_id: AccountId
    left_at: datetime


@event("registration.ClaimsParted.v1")
class ClaimsParted:
    """A merge was taken back: these claims stand in their own line again. `kept` are those that stand in both.

    `incumbents` won what came with the merge. `remaining` are those who won here, in their order, where it is another one
    than that without the first wins that are like those.
    """

    merge_id: str
    registration_ids: tuple[RegistrationId, ...]
    kept: tuple[RegistrationId, ...]
    incumbents: tuple[Won, ...]
    frees: tuple[RegistrationId, ...]
    parted_at: datetime
    remaining: tuple[Won, ...] | LeftOut = LEFT_OUT


@event("registration.ClaimsRestored.v1")
class ClaimsRestored:
    """This account is a customer of its own again, with the claims on it."""

    merge_id: str
    live: tuple[Claim, ...]
    incumbents: tuple[Won, ...]
    frees: tuple[RegistrationId, ...]
    restored_at: datetime
    aliases: tuple[Alias, ...] | LeftOut = LEFT_OUT


@event("registration.ClaimsAliased.v1")
class ClaimsAliased:
    """A partner became one with another one, as which it counts in this line; with None it stands for itself again.

    `contested` are the rivals that hold the same by that, `blocks` the claims in review that a holder keeps out by it,
    `frees` the waiting deals that nothing blocks any more.
    """

    partner_id: PartnerId
    counts_as: PartnerId | None
    contested: tuple[RegistrationId, ...]
    blocks: tuple[RegistrationId, ...]
    frees: tuple[RegistrationId, ...]
    aliased_at: datetime


@event("registration.IncumbentTold.v1")
class IncumbentTold:
    """Attribution told who sold something to this customer before. `frees` are the waiting deals that nothing blocks now."""

    incumbent: Won
    source_event_id: str
    frees: tuple[RegistrationId, ...]
    told_at: datetime


@event("registration.ClaimsCarried.v1")
class ClaimsCarried:
    """The live claims in their order, with which a much wanted customer's claims go on in their next segment."""

    live: tuple[Claim, ...]
    incumbents: tuple[Won, ...] = ()
    moved_to: AccountId | None = None
    aliases: tuple[Alias, ...] | LeftOut = LEFT_OUT


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
    | ClaimsJoined
    | ClaimsLeft
    | ClaimsParted
    | ClaimsRestored
    | ClaimsAliased
    | IncumbentTold
    | ClaimsCarried
)


# State


@dataclass(frozen=True)
class Claims:
    """The live claims on one account in the order they were placed, and who won what here, the newest last.

    `moved_to` is the account whose line they stand in, where the two turned out to be one customer. `aliases` are the
    partners that became one with another one, of those that claim or won something here.
    """

    live: tuple[Claim, ...] = ()
    incumbents: tuple[Won, ...] = ()
    moved_to: AccountId | None = None
    aliases: tuple[Alias, ...] = ()

    def counted(self, claim: Claim, told: PartnerId | LeftOut = LEFT_OUT) -> Claim:
        """The claim as that of the partner as which its own one counts here; where the line does not know, as is told."""
        as_whom = next((one.counts_as for one in self.aliases if one.partner_id == claim.partner_id), told)
        return replace(claim, counts_as=as_whom) if as_whom or claim.counts_as else claim

    def of(self, registration_id: str) -> Claim | None:
        return next((claim for claim in self.live if claim.registration_id == registration_id), None)

    @property
    def deals(self) -> tuple[RegistrationId, ...]:
        """The deals in line; who takes part in one goes where it goes."""
        return tuple(claim.registration_id for claim in self.live if not claim.deal_id)

    def beside(self, registration_id: str) -> tuple[Claim, ...]:
        """The claims of those who take part in a deal."""
        return tuple(claim for claim in self.live if claim.deal_id == registration_id)


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
    """Writes a claim down, once. Raises Raced where the line has moved to another account."""
    if claims.moved_to is not None:
        raise Raced
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
            deal_id=mine.deal_id,
            counts_as=mine.counts_as,
        )
    ]


def take_part(claims: Claims, mine: Claim, span: Span, now: datetime, *, exclusive: bool) -> list[ClaimEvent]:
    """Places the claim of who takes part in a deal that holds, and protects it as long; nothing keeps it out."""
    placed = place(claims, mine, now)
    if not placed:
        return []
    line = ClaimsOf.fold(placed, claims)
    return [*placed, *hold(line, mine.registration_id, span, now, exclusive=exclusive)]


def kept_out(claims: Claims, mine: Claim, now: datetime) -> bool:
    """Whether a rival holds what a new claim asks for, or asked first."""
    return bool(blockers(replace(claims, live=(*claims.live, mine)), mine, now))


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
    """Lets a hold last until another instant, and with it those of who take part in the deal."""
    if not claims.of(registration_id):
        return []
    all_of_them = (registration_id, *(claim.registration_id for claim in claims.beside(registration_id)))
    return [ClaimExtended(registration_id=one, ends_at=ends_at, extended_at=now) for one in all_of_them]


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
    """Takes a claim away, before it those of who take part in the deal, and names the waiting deals that this frees."""
    gone: list[ClaimEvent] = []
    for one in (*(claim.registration_id for claim in claims.beside(registration_id)), registration_id):
        gone = [*gone, *_released_one(ClaimsOf.fold(gone, claims), one, reason_code, now)]
    return gone


def _released_one(claims: Claims, registration_id: RegistrationId, reason_code: str, now: datetime) -> list[ClaimEvent]:
    if not claims.of(registration_id):
        return []
    rest = replace(claims, live=tuple(c for c in claims.live if c.registration_id != registration_id))
    freed = _free(replace(rest, live=_agreed(rest.live)), now)
    return [ClaimReleased(registration_id=registration_id, reason_code=reason_code, frees=freed, released_at=now)]


def told_incumbent(claims: Claims, incumbent: Won, source_event_id: str, now: datetime) -> list[ClaimEvent]:
    """Names the incumbent of something from now on; whoever holds goes on holding."""
    after = _with_incumbent(claims, incumbent)
    frees = _free(after, now)
    return [IncumbentTold(incumbent=incumbent, source_event_id=source_event_id, frees=frees, told_at=now)]


# Merge and split


def collisions(claims: Claims, other: Claims, now: datetime) -> tuple[tuple[Claim, Claim], ...]:
    """The rivals that would both hold the same if the two lines were one, the earlier one first."""
    mine = {claim.registration_id for claim in claims.live}
    pairs = [(a, b) for a in claims.live for b in other.live if b.registration_id not in mine]
    met = [(a, b) for a, b in pairs if a.holds(now) and b.holds(now) and a.rivals(b)]
    return tuple((a, b) if _instant(a) <= _instant(b) else (b, a) for a, b in met)


def _instant(claim: Claim) -> datetime:
    return claim.submitted_at


def join(claims: Claims, other: Claims, from_id: AccountId, merge_id: str, now: datetime) -> list[ClaimEvent]:
    """Takes over the live claims of another account. Whoever holds goes on holding."""
    both = (claim.registration_id for pair in collisions(claims, other, now) for claim in pair)
    together = _together(claims.live, other.live)
    holding = [claim for claim in together if claim.holds(now)]
    blocked = (c.registration_id for c in together if c.state == PENDING and any(h.rivals(c) for h in holding))
    return [
        ClaimsJoined(
            merge_id=merge_id,
            from_id=from_id,
            live=other.live,
            incumbents=other.incumbents,
            contested=tuple(dict.fromkeys(both)),
            blocks=tuple(blocked),
            joined_at=now,
            aliases=other.aliases or LEFT_OUT,
        )
    ]


def leave(to_id: AccountId, merge_id: str, now: datetime) -> list[ClaimEvent]:
    """Says in whose line the claims of this account stand."""
    return [ClaimsLeft(merge_id=merge_id, to_id=to_id, left_at=now)]


def part(
    claims: Claims,
    going: tuple[RegistrationId, ...],
    kept: tuple[RegistrationId, ...],
    incumbents: tuple[Won, ...],
    merge_id: str,
    now: datetime,
) -> list[ClaimEvent]:
    """Gives the claims of another account back to it; those `kept` stay in this line too.

    Of wins that are alike those go that came last: who won here before stands in the old order again.
    """
    [parted] = part_by_first_wins(claims, going, kept, incumbents, merge_id, now)
    remaining = _taken_from(claims.incumbents[::-1], incumbents[::-1])[::-1]
    left = _without(claims, going, kept, incumbents)
    if remaining == left.incumbents:
        return [parted]
    frees = _free(replace(left, incumbents=remaining), now)
    return [replace(parted, frees=frees, remaining=remaining)]


def part_by_first_wins(
    claims: Claims,
    going: tuple[RegistrationId, ...],
    kept: tuple[RegistrationId, ...],
    incumbents: tuple[Won, ...],
    merge_id: str,
    now: datetime,
) -> list[ClaimsParted]:
    """As the first evaluators decided: of wins that are alike the first ones go."""
    left = _without(claims, going, kept, incumbents)
    return [
        ClaimsParted(
            merge_id=merge_id,
            registration_ids=going,
            kept=kept,
            incumbents=incumbents,
            frees=_free(left, now),
            parted_at=now,
        )
    ]


def restore(
    claims: Claims,
    going: tuple[RegistrationId, ...],
    incumbents: tuple[Won, ...],
    merge_id: str,
    now: datetime,
    order: tuple[RegistrationId, ...] = (),
) -> list[ClaimEvent]:
    """The claims of `claims`, the line that they stood in meanwhile, as the line of their own account.

    Those of `order` stand in it: in the line of both, what stood in either had one place.
    """
    live = _in_order(tuple(claim for claim in claims.live if claim.deal in going), order)
    return [
        ClaimsRestored(
            merge_id=merge_id,
            live=live,
            incumbents=incumbents,
            frees=_free(_restored(live, incumbents, claims.aliases), now),
            restored_at=now,
            aliases=claims.aliases or LEFT_OUT,
        )
    ]


def _in_order(live: tuple[Claim, ...], order: tuple[RegistrationId, ...]) -> tuple[Claim, ...]:
    known = {claim.registration_id: claim for claim in live if claim.registration_id in order}
    placed = iter([known[name] for name in order if name in known])
    return tuple(next(placed) if claim.registration_id in known else claim for claim in live)


def _restored(live: tuple[Claim, ...], incumbents: tuple[Won, ...], aliases: tuple[Alias, ...]) -> Claims:
    return _as_counted(Claims(_agreed(live), incumbents, aliases=aliases))


def _together(live: tuple[Claim, ...], others: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """One line of two, each in its own order; a claim that stood in both stands once."""
    known = {claim.registration_id for claim in live}
    new = [claim for claim in others if claim.registration_id not in known]
    return tuple(heapq.merge(live, new, key=_instant))


def _agreed(live: tuple[Claim, ...]) -> tuple[Claim, ...]:
    """The claims, where one that was contested is held again once no rival contests it any more."""
    contested = [claim for claim in live if claim.state == CONTESTED]
    alone = {
        c.registration_id for c in contested if not any(c.exclusive and o.exclusive and c.rivals(o) for o in contested)
    }
    return tuple(replace(claim, state=HELD) if claim.registration_id in alone else claim for claim in live)


def _without(
    claims: Claims, going: tuple[RegistrationId, ...], kept: tuple[RegistrationId, ...], incumbents: tuple[Won, ...]
) -> Claims:
    gone = set(going) - set(kept)
    live = _agreed(tuple(claim for claim in claims.live if claim.deal not in gone))
    return replace(claims, live=live, incumbents=_taken_from(claims.incumbents, incumbents))


def _taken_from(wins: Iterable[Won], others: Iterable[Won]) -> tuple[Won, ...]:
    """The wins without the first one like each of the others."""
    rest = list(wins)
    for won in others:
        if won in rest:
            rest.remove(won)
    return tuple(rest)


def _free(claims: Claims, now: datetime) -> tuple[RegistrationId, ...]:
    """The waiting claims that nothing blocks, in order."""
    return tuple(c.registration_id for c, found in _standing(claims, now) if c.state == WAITING and not found)


# Partners that became one


def meeting(
    claims: Claims, partner_id: PartnerId, counts_as: PartnerId | None, now: datetime
) -> tuple[tuple[Claim, Claim], ...]:
    """The rivals that would both hold the same if a partner counted as another one, or by itself; the earlier first."""
    after = _aliased(claims, partner_id, counts_as).live
    holding = [claim for claim in after if claim.holds(now)]
    met = [(a, b) for n, a in enumerate(holding) for b in holding[n + 1 :] if a.rivals(b) and not _met(claims, a, b)]
    return tuple((a, b) if _instant(a) <= _instant(b) else (b, a) for a, b in met)


def _met(claims: Claims, one: Claim, other: Claim) -> bool:
    before, beside = claims.of(one.registration_id), claims.of(other.registration_id)
    return before is not None and beside is not None and before.rivals(beside)


def reconciled(claims: Claims, partner_id: PartnerId, counts_as: PartnerId | None) -> tuple[RegistrationId, ...]:
    """The deals whose holds nobody contests any more where a partner counts as another one."""
    after = _aliased(claims, partner_id, counts_as)
    left = replace(after, live=_agreed(after.live))
    return tuple(c.registration_id for c in claims.live if c.state == CONTESTED and _held(left.of(c.registration_id)))


def _held(claim: Claim | None) -> bool:
    return claim is not None and claim.state == HELD


def alias(claims: Claims, partner_id: PartnerId, counts_as: PartnerId | None, now: datetime) -> list[ClaimEvent]:
    """Lets a partner count as another one, or by itself again. Whoever holds goes on holding."""
    after = _aliased(claims, partner_id, counts_as)
    if after == claims:
        return []
    pairs = meeting(claims, partner_id, counts_as, now)
    holding = [claim for claim in after.live if claim.holds(now)]
    blocked = (c.registration_id for c in after.live if c.state == PENDING and any(h.rivals(c) for h in holding))
    left = replace(after, live=_agreed(after.live))
    return [
        ClaimsAliased(
            partner_id=partner_id,
            counts_as=counts_as,
            contested=tuple(dict.fromkeys(claim.registration_id for pair in pairs for claim in pair)),
            blocks=tuple(blocked),
            frees=_free(left, now),
            aliased_at=now,
        )
    ]


def _aliased(claims: Claims, partner_id: PartnerId, counts_as: PartnerId | None) -> Claims:
    """The line in which a partner counts as another one, if it claims or won something there."""
    known = {**{one.partner_id: one.counts_as for one in claims.aliases}, partner_id: counts_as}
    aliases = tuple(Alias(partner_id=who, counts_as=as_whom) for who, as_whom in known.items() if as_whom)
    return _as_counted(_used(replace(claims, aliases=aliases)))


def _used(claims: Claims) -> Claims:
    """The line without the aliases of those that neither claim nor won anything in it.

    Once the two are two again, nothing would lead to this line by which it could learn that.
    """
    here = {one.partner_id for one in claims.live} | {one.partner_id for one in claims.incumbents}
    aliases = tuple(one for one in claims.aliases if one.partner_id in here)
    return claims if aliases == claims.aliases else replace(claims, aliases=aliases)


def _with(claims: Claims, placed: Claim) -> Claims:
    line = _learned(claims, (placed,)) if placed.counts_as else claims
    return replace(line, live=(*line.live, line.counted(placed)))


def _learned(claims: Claims, told: Iterable[Alias | Claim | Won]) -> Claims:
    """The line that knows as whom the partners count that come into it, as far as it has not known."""
    known = {one.partner_id for one in claims.aliases}
    new = [(one.partner_id, one.counts_as) for one in told if one.counts_as and one.partner_id not in known]
    aliases = (Alias(partner_id=who, counts_as=as_whom) for who, as_whom in dict(new).items())
    return replace(claims, aliases=(*claims.aliases, *aliases)) if new else claims


def _as_counted(claims: Claims) -> Claims:
    """The line, each claim and each win that of the partner as which its own one counts."""
    known = {one.partner_id: one.counts_as for one in claims.aliases}
    won = tuple(replace(one, counts_as=known.get(one.partner_id, LEFT_OUT)) for one in claims.incumbents)
    return replace(claims, live=tuple(claims.counted(one) for one in claims.live), incumbents=won)


# Evolve


def evolve(claims: Claims, happened: ClaimEvent) -> Claims:
    after = _evolved(claims, happened)
    return _used(after) if after.aliases else after


def _evolved(claims: Claims, happened: ClaimEvent) -> Claims:
    match happened:
        case ClaimPlaced():
            return _with(claims, _placed(happened))
        case ClaimMerged():
            return _merged(claims, happened)
        case ClaimReleased():
            return _released(claims, happened)
        case ClaimsJoined() | ClaimsLeft() | ClaimsParted() | ClaimsRestored() | ClaimsCarried():
            return _moved(claims, happened)
        case ClaimsAliased(partner_id=partner_id, counts_as=counts_as, contested=contested):
            after = _aliased(claims, partner_id, counts_as)
            return replace(after, live=_agreed(_contested(after.live, contested)))
        case IncumbentTold(incumbent=incumbent):
            return _with_incumbent(claims, incumbent)
        case _:
            return _changed(claims, happened.registration_id, **_changes(claims, happened))


def _moved(
    claims: Claims, happened: ClaimsJoined | ClaimsLeft | ClaimsParted | ClaimsRestored | ClaimsCarried
) -> Claims:
    match happened:
        case ClaimsJoined():
            live = _contested(_together(claims.live, happened.live), happened.contested)
            both = _learned(claims, (*(happened.aliases or ()), *happened.live, *happened.incumbents))
            joined = replace(both, live=live, incumbents=(*claims.incumbents, *happened.incumbents))
            return _as_counted(joined) if joined.aliases else joined
        case ClaimsLeft(to_id=to_id):
            return Claims(moved_to=to_id)
        case ClaimsParted():
            left = _without(claims, happened.registration_ids, happened.kept, happened.incumbents)
            return replace(left, incumbents=happened.remaining or left.incumbents)
        case ClaimsRestored():
            return _restored(happened.live, happened.incumbents, happened.aliases or ())
        case ClaimsCarried():
            return Claims(happened.live, happened.incumbents, happened.moved_to, happened.aliases or ())
        case _:
            assert_never(happened)


def _contested(live: tuple[Claim, ...], contested: tuple[RegistrationId, ...]) -> tuple[Claim, ...]:
    return tuple(replace(claim, state=CONTESTED) if claim.registration_id in contested else claim for claim in live)


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
    rest = _agreed(tuple(c for c in claims.live if c.registration_id != happened.registration_id))
    if gone is None or happened.reason_code != WON:
        return replace(claims, live=rest)
    won = Won(partner_id=gone.partner_id, reach=gone.reach, counts_as=gone.counts_as)
    return _with_incumbent(replace(claims, live=rest), won)


def _with_incumbent(claims: Claims, won: Won) -> Claims:
    known = next((one.counts_as for one in claims.aliases if one.partner_id == won.partner_id), won.counts_as)
    return replace(claims, incumbents=(*claims.incumbents, replace(won, counts_as=known))[-INCUMBENTS_MAX:])


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
        deal_id=happened.deal_id,
        counts_as=happened.counts_as,
    )


def _changed(claims: Claims, registration_id: str, **fields: Any) -> Claims:
    live = tuple(replace(c, **fields) if c.registration_id == registration_id else c for c in claims.live)
    return replace(claims, live=_agreed(live))


def _merged(claims: Claims, happened: ClaimMerged) -> Claims:
    both = (happened.registration_id, happened.merged_id)
    mine = next(c for c in claims.live if c.registration_id == happened.registration_id)
    moved = replace(mine, submitted_at=happened.submitted_at)
    first = min(n for n, claim in enumerate(claims.live) if claim.registration_id in both)
    rest = [claim for claim in claims.live if claim != mine]
    return replace(claims, live=(*rest[:first], moved, *rest[first:]))


def carry(claims: Claims) -> ClaimEvent:
    return ClaimsCarried(
        live=claims.live,
        incumbents=claims.incumbents,
        moved_to=claims.moved_to,
        aliases=claims.aliases or LEFT_OUT,
    )


ClaimsOf = Decider[Claims, ClaimEvent](kind="claims", initial=Claims(), evolve=evolve, carry=carry)
