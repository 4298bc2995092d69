"""What a dispute's final decision does, in one commit, to the deals and the claims that it is about."""

from collections.abc import Callable, Container
from datetime import date, datetime
from functools import partial

from chassis.decider import Raced
from services.registration.domain.claim import CONTESTED
from services.registration.domain.claims import ClaimEvent, Claims, ClaimsOf, extend, release, share
from services.registration.domain.deal import Deal, Status, evolve
from services.registration.domain.deal_commands import GivesWay
from services.registration.domain.deal_events import (
    DealApproved,
    DealEvent,
    DealMoved,
    Evidence,
    ProtectionExtended,
)
from services.registration.domain.dispute import (
    DISPUTABLE,
    LETTER_REQUIRED,
    NO_PROTECTION,
    OVERTURNED,
    SERVICE,
    SPLIT,
    UPHELD,
    ConcludeDispute,
    Dispute,
    DisputeConcluded,
    DisputeEvent,
    effects_of,
    lasted,
)
from services.registration.domain.ending import give_way, parted
from services.registration.domain.looking import Around, Look, look_again
from services.registration.domain.screening import APPROVE, QUEUE

LETTER = "letter"
WON_DISPUTE, LOST_DISPUTE = "dispute", "dispute-overturned"

REVIEWED = (Status.IN_REVIEW, Status.ACTION_REQUIRED)

Others = tuple[Deal, ...]
Sides = tuple[tuple[Claims, ...], Others]
Changes = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[DealEvent]]]
Concluded = tuple[list[DisputeEvent], list[DealEvent], list[list[ClaimEvent]], list[list[DealEvent]]]


def conclude_dispute(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
) -> Concluded:
    """Makes a decision final that cannot be appealed any more, with all that follows from it.

    Who wins waits where somebody else came to hold the customer meanwhile, who is no side of the dispute; where nobody
    holds it any more, its review is over. Who takes part in a deal and loses leaves it; the deal goes on.
    """
    return _concluded(wish, dispute, deal, claims, *streams, effect=_effect_with_time, letters=_letters)


def conclude_dispute_by_letters_of_the_deal(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
) -> Concluded:
    """As the fifth evaluator decided: a letter counted on the deal or from the beginning, not one shown in the dispute."""
    return _concluded(wish, dispute, deal, claims, *streams, effect=_effect_with_time)


def conclude_dispute_without_time_in_a_split(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
) -> Concluded:
    """As the fourth evaluator decided: who held and shares from now on got no time for that of the dispute."""
    return _concluded(wish, dispute, deal, claims, *streams, effect=_effect_on_reviews)


def conclude_dispute_of_who_waits(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
) -> Concluded:
    """As the third evaluator decided: who won nothing more than a review, since the holder had gone, stayed in it."""
    return _concluded(wish, dispute, deal, claims, *streams, effect=partial(_effect_on_holds, DISPUTABLE))


def conclude_dispute_between_deals(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
) -> Concluded:
    """As the second evaluator decided: who won held anew what it held already, and who waited for two that lost waited on."""
    return _concluded(wish, dispute, deal, claims, *streams, effect=_effect_between_deals)


def conclude_dispute_at_once(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
) -> Concluded:
    """As the first evaluator decided: who won held the customer beside whoever had come to hold it meanwhile."""
    return _concluded(wish, dispute, deal, claims, *streams, effect=_effect_at_once)


def _concluded(
    wish: ConcludeDispute,
    dispute: Dispute,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[Others, *Around],
    effect: "Chosen",
    letters: "Documents | None" = None,
) -> Concluded:
    others, around = streams[0], streams[1:]
    decided = dispute.decided
    if decided is None or not dispute.case.may_conclude(wish.now):
        return [], [], [[] for _ in claims], [[] for _ in others]
    gone_on = _gone_on(wish, deal, claims)
    deal = evolve(deal, gone_on[0]) if gone_on else deal
    outcome = _outcome(
        decided.outcome, (letters or _filed_letters)(deal, dispute, wish.now), dispute.first.opened_at.date()
    )
    seen = look_again(wish, deal, claims, *around).decided(APPROVE, deal)
    follows = effect(outcome, wish, dispute, seen, claims, others)
    effects = () if follows is _nothing else effects_of(outcome, dispute, others, wish.now)
    concluded = DisputeConcluded(**dispute.header, outcome=outcome, effects=effects, concluded_at=wish.now)
    own, lines, ended = follows(outcome, wish, dispute, seen, claims, others)
    return [concluded], [*gone_on, *own], lines, ended


Effect = Callable[[str, ConcludeDispute, Dispute, Look, tuple[Claims, ...], Others], Changes]
Documents = Callable[[Deal, Dispute, datetime], tuple[Evidence, ...]]
Chosen = Callable[[str, ConcludeDispute, Dispute, Look, tuple[Claims, ...], Others], Effect]


def _effect_with_time(
    outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Effect:
    """The time of the dispute is added to the end of who held, also where it shares from now on."""
    follows = _effect_on_reviews(outcome, wish, dispute, seen, claims, others)
    return _sharing_longer(follows) if outcome == SPLIT and follows is not _nothing else follows


def _sharing_longer(effect: Effect) -> Effect:
    def changed(outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, *streams: *Sides) -> Changes:
        own, lines, theirs = effect(outcome, wish, dispute, seen, *streams)
        claims, others = streams
        longer = _longer_deals(dispute, wish, others)
        extended = [_extended(state, longer, wish) for state in _after(lines, claims)]
        both = [[*one, *more] for one, more in zip(theirs, longer, strict=True)]
        return own, _joined(lines, extended), both

    return changed


def _effect_on_reviews(
    outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Effect:
    """Who filed and won is approved, also out of a review that began as its rival had gone."""
    follows = _effect_on_holds((*DISPUTABLE, *REVIEWED), outcome, wish, dispute, seen, claims, others)
    return follows if follows is _nothing else _out_of_review(follows)


def _out_of_review(effect: Effect) -> Effect:
    def ended(outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, *streams: *Sides) -> Changes:
        own, lines, theirs = effect(outcome, wish, dispute, seen, *streams)
        over = seen.over("approved") if any(isinstance(one, DealApproved) for one in own) else []
        return [*over, *own], lines, theirs

    return ended


def _effect_on_holds(
    winning: Container[Status],
    outcome: str,
    wish: ConcludeDispute,
    dispute: Dispute,
    seen: Look,
    *streams: *Sides,
) -> Effect:
    """Whoever filed nothing wins what it held, and a deal that has ended otherwise wins nothing."""
    claims, others = streams
    if others and _contested(wish, claims):
        return _between_holds
    filed = dispute.first.opened_by != SERVICE and seen.deal.status in winning
    over = wish.invitation_id or (outcome in (OVERTURNED, SPLIT) and not filed)
    return _nothing if over else _effect_between_deals(outcome, wish, dispute, seen, claims, others)


def _nothing(
    _: str, __: ConcludeDispute, ___: Dispute, ____: Look, claims: tuple[Claims, ...], others: Others
) -> Changes:
    """Nobody contests the hold any more: a split took the merge back, or the other side is gone."""
    return [], [[] for _ in claims], [[] for _ in others]


def _effect_at_once(
    _: str, wish: ConcludeDispute, __: Dispute, ___: Look, claims: tuple[Claims, ...], others: Others
) -> Effect:
    return _contested_changes if others and _contested(wish, claims) else _changes


def _effect_between_deals(
    outcome: str, wish: ConcludeDispute, _: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Effect:
    if others and _contested(wish, claims):
        return _contested_changes
    held = any(met.blocks and met.claim.holds(wish.now) for met in seen.screening.conflicts)
    return _behind if held and outcome in (OVERTURNED, SPLIT) else _changes


def _behind(
    outcome: str, wish: ConcludeDispute, _: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Changes:
    """Who won stands in line behind a holder who is no side of it; whoever lost is revoked all the same."""
    queued = seen.decided(QUEUE, seen.deal)
    placed, kept = queued.settle(wish, claims, others)
    if outcome == SPLIT:
        return queued.outcome(), placed, kept
    lines = [ClaimsOf.fold(more, state) for more, state in zip(placed, claims, strict=True)]
    gone, ended = seen.ended(wish, lines, others)
    return queued.outcome(), [[*more, *theirs] for more, theirs in zip(placed, gone, strict=True)], ended


def _gone_on(wish: ConcludeDispute, deal: Deal, claims: tuple[Claims, ...]) -> list[DealMoved]:
    """The move of a deal that had ended when its customer was merged into another one."""
    if wish.accounts == deal.accounts:
        return []
    if any(state.moved_to is not None for state in claims):
        raise Raced
    return [DealMoved(**deal.header, accounts=wish.accounts, merge_id="", moved_at=wish.now)]


def _filed_letters(deal: Deal, dispute: Dispute, _: datetime) -> tuple[Evidence, ...]:
    return (*deal.now_details.evidence, *dispute.first.evidence)


def _letters(deal: Deal, dispute: Dispute, now: datetime) -> tuple[Evidence, ...]:
    """All that was shown; nobody has a letter yet that is dated later than now."""
    shown = (*deal.now_details.evidence, *dispute.evidence)
    return tuple(one for one in shown if one.dated_on <= now.date())


def _outcome(decided: str, shown: tuple[Evidence, ...], asked_on: date) -> str:
    """A letter that was required and came wins the dispute; else it stays as it was."""
    if decided != LETTER_REQUIRED:
        return decided
    return OVERTURNED if any(one.kind == LETTER and one.dated_on >= asked_on for one in shown) else UPHELD


def _changes(
    outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Changes:
    match outcome:
        case _ if outcome == OVERTURNED:
            return _approved(seen), *seen.settle(wish, claims, others)
        case _ if outcome == SPLIT:
            return _split(wish, seen.shared(), claims, others)
        case _ if outcome == NO_PROTECTION:
            ended, kept = seen.ended(wish, claims, others)
            return [], ended, kept
        case _:
            longer = [_longer(other, dispute, wish) for other in others]
            return [], [_extended(state, longer, wish) for state in claims], longer


def _contested(wish: ConcludeDispute, claims: tuple[Claims, ...]) -> bool:
    """Whether this side holds too: two accounts with a holder each turned out to be one customer."""
    mine = (state.of(wish.dispute_id) for state in claims)
    return any(claim is not None and claim.state == CONTESTED for claim in mine)


def _between_holds(
    outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Changes:
    """Of two that hold, one gives way, or both, or neither and they share."""
    match outcome:
        case _ if outcome == OVERTURNED:
            return [], *seen.ended(wish, claims, others)
        case _ if outcome == SPLIT:
            return [], [_opened(state, wish, dispute) for state in claims], [[] for _ in others]
        case _ if outcome == NO_PROTECTION:
            gone = _gone(wish, claims)
            ended, kept = seen.ended(wish, _after(gone, claims), others)
            return _given_up(wish, seen, others), _joined(gone, ended), kept
        case _:
            longer = _longer_deals(dispute, wish, others)
            gone = _gone(wish, claims)
            extended = [_extended(state, longer, wish) for state in _after(gone, claims)]
            return _given_up(wish, seen, others), _joined(gone, extended), longer


def _after(changes: list[list[ClaimEvent]], claims: tuple[Claims, ...]) -> list[Claims]:
    return [ClaimsOf.fold(more, state) for more, state in zip(changes, claims, strict=True)]


def _joined(first: list[list[ClaimEvent]], second: list[list[ClaimEvent]]) -> list[list[ClaimEvent]]:
    return [[*one, *other] for one, other in zip(first, second, strict=True)]


def _opened(state: Claims, wish: ConcludeDispute, dispute: Dispute) -> list[ClaimEvent]:
    """The holds of both sides keep no rival out any more: a deal's own, and of who takes part in it."""
    still = {told.registration_id for told in wish.gives_way}
    theirs = [claim for name in dispute.first.against if (claim := state.of(name)) and claim.deal in still]
    names = (wish.dispute_id, *(claim.registration_id for claim in theirs))
    return [change for name in names for change in share(state, name, wish.now)]


def _given_up(wish: ConcludeDispute, seen: Look, others: Others) -> list[DealEvent]:
    """The end of this side: of its deal, or of its part in it."""
    if not wish.invitation_id:
        return _lost(wish, seen, others)
    joined = seen.deal.joined(wish.invitation_id)
    return [parted(seen.deal, joined, LOST_DISPUTE, wish.now, deal_over=False)] if joined else []


def _longer_deals(dispute: Dispute, wish: ConcludeDispute, others: Others) -> list[list[DealEvent]]:
    """As `_longer` for each; the hold of who takes part in a deal ends with that, which nobody contested."""
    told = zip(others, wish.gives_way, strict=True)
    return [[] if one.invitations else _longer(other, dispute, wish) for other, one in told]


def _contested_changes(
    outcome: str, wish: ConcludeDispute, dispute: Dispute, seen: Look, claims: tuple[Claims, ...], others: Others
) -> Changes:
    """As the first two evaluators decided between two that hold: who waited for both was not freed where both lost."""
    match outcome:
        case _ if outcome == OVERTURNED:
            ended, kept = seen.ended(wish, claims, others)
            return [], ended, kept
        case _ if outcome == SPLIT:
            both = [_shared(state, share(state, wish.registration_id, wish.now), others, wish) for state in claims]
            return [], both, [[] for _ in others]
        case _ if outcome == NO_PROTECTION:
            ended, kept = seen.ended(wish, claims, others)
            gone = zip(_gone(wish, claims), ended, strict=True)
            return _lost(wish, seen, others), [[*own, *theirs] for own, theirs in gone], kept
        case _:
            longer = [_longer(other, dispute, wish) for other in others]
            gone = zip(_gone(wish, claims), (_extended(state, longer, wish) for state in claims), strict=True)
            return _lost(wish, seen, others), [[*own, *theirs] for own, theirs in gone], longer


def _gone(wish: ConcludeDispute, claims: tuple[Claims, ...]) -> list[list[ClaimEvent]]:
    return [release(state, wish.dispute_id, LOST_DISPUTE, wish.now) for state in claims]


def _lost(wish: ConcludeDispute, seen: Look, others: Others) -> list[DealEvent]:
    """The end of the deal that the dispute was about."""
    told = GivesWay(registration_id=wish.registration_id, accounts=wish.accounts, reason_code=LOST_DISPUTE)
    return give_way(seen.deal, told, others[0], seen.rules, wish.now)


def _split(wish: ConcludeDispute, both: Look, claims: tuple[Claims, ...], others: Others) -> Changes:
    """Both hold from now on, and neither keeps the other out."""
    changed, nothing = both.settle(wish, claims, others)
    opened = [_shared(state, more, others, wish) for state, more in zip(claims, changed, strict=True)]
    return _approved(both), opened, nothing


def _approved(seen: Look) -> list[DealEvent]:
    if seen.deal.status == Status.APPROVED:
        return []
    return seen.approved(by=None, basis=WON_DISPUTE)


def _shared(state: Claims, more: list[ClaimEvent], others: Others, wish: ConcludeDispute) -> list[ClaimEvent]:
    """The holders' claims keep no rival out any more."""
    now = ClaimsOf.fold(more, state)
    open_up = [one for other in others for one in share(now, other.first.registration_id, wish.now)]
    return [*open_up, *more]


def _longer(other: Deal, dispute: Dispute, wish: ConcludeDispute) -> list[DealEvent]:
    """The time of the dispute is added to the end of the hold that was contested."""
    if other.status != Status.APPROVED or other.protection is None:
        return []
    old_end = other.protection.end
    new_end = old_end + lasted(dispute, wish.now)
    return [ProtectionExtended(**other.header, old_end=old_end, new_end=new_end, extended_at=wish.now)]


def _extended(state: Claims, longer: list[list[DealEvent]], wish: ConcludeDispute) -> list[ClaimEvent]:
    ends = [one for events in longer for one in events if isinstance(one, ProtectionExtended)]
    return [change for one in ends for change in extend(state, one.registration_id, one.new_end, wish.now)]
