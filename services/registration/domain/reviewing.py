"""What the vendor does with a deal in review, and how a deal gets into the queue and out of it."""

from chassis.decider import Invalid
from chassis.rulebook import Reason
from contracts.values import AccountId
from services.registration.domain.account import (
    DIFFERENT,
    LINKS,
    SAME,
    Account,
    AccountEvent,
    AccountLinked,
    KeptApart,
)
from services.registration.domain.claims import ClaimEvent, Claims, place, promote, release
from services.registration.domain.deal import (
    CheckFailed,
    Deal,
    FieldNotEditable,
    FindingUndecided,
    IdentityUnconfirmed,
    NotBlocked,
    SelfApproval,
    Status,
    stands_in,
    unmoved,
)
from services.registration.domain.deal_commands import (
    ApproveDeal,
    DecideFinding,
    PromoteDeal,
    QueueDeal,
    RejectDeal,
    ReturnDeal,
)
from services.registration.domain.deal_events import (
    DETAIL_FIELDS,
    DealEvent,
    DealPromoted,
    DealRejected,
    DealReturned,
    FindingDecided,
)
from services.registration.domain.looking import Around, Look, look_again
from services.registration.domain.matching import DECIDE_FIRST
from services.registration.domain.screening import APPROVE, QUEUE, REJECT

Reviewed = tuple[list[DealEvent], list[list[ClaimEvent]]]
Screened = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[DealEvent]]]
Others = tuple[Deal, ...]


class NoSuchFinding(Invalid):
    """The last screening of this deal did not name that customer."""

    slug = "no-such-finding"


# Decisions


def return_deal(wish: ReturnDeal, deal: Deal) -> list[DealEvent]:
    """Asks the partner to correct the named fields; the deal keeps its place in the order."""
    stands_in(deal, Status.IN_REVIEW)
    fixed = [name for name in wish.fields if name not in DETAIL_FIELDS]
    if fixed:
        raise FieldNotEditable(f"{fixed[0]} says what the deal is and cannot change", fields=list(DETAIL_FIELDS))
    return [
        DealReturned(**deal.header, fields=wish.fields, message=wish.message, returned_by=wish.by, returned_at=wish.now)
    ]


def decide_finding(
    wish: DecideFinding, deal: Deal, _: Account, claims: tuple[Claims, ...], found: Claims
) -> tuple[list[DealEvent], list[AccountEvent], list[list[ClaimEvent]], list[ClaimEvent]]:
    """Says whether a similar customer is the same, different or related. The claim enters the same one too."""
    stands_in(deal, Status.IN_REVIEW)
    unmoved(wish, deal)
    nothing: list[list[ClaimEvent]] = [[] for _ in claims]
    if wish.account_id in deal.decided:
        return [], [], nothing, []
    if wish.account_id not in _found_accounts(deal):
        raise NoSuchFinding(account_id=wish.account_id)
    decided = FindingDecided(
        **deal.header,
        account_id=wish.account_id,
        verdict=wish.verdict,
        reason=wish.reason,
        decided_by=wish.by,
        decided_at=wish.now,
    )
    entered = place(found, deal.claim(), wish.now) if wish.verdict == SAME else []
    return [decided], [_related(wish, deal)], nothing, entered


def _found_accounts(deal: Deal) -> set[AccountId]:
    return {finding.candidate.account_id for finding in deal.screened.screening.findings} if deal.screened else set()


def _related(wish: DecideFinding, deal: Deal) -> AccountEvent:
    if wish.verdict == DIFFERENT:
        return KeptApart(
            account_id=deal.accounts[0],
            other_id=wish.account_id,
            registration_id=wish.registration_id,
            decided_by=wish.by,
            kept_at=wish.now,
        )
    return AccountLinked(
        account_id=deal.accounts[0],
        other_id=wish.account_id,
        link=LINKS[wish.verdict],
        registration_id=wish.registration_id,
        linked_by=wish.by,
        linked_at=wish.now,
    )


def approve_deal(
    wish: ApproveDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Screened:
    """Protects the deal, after a second look. A rival that holds by now queues it; other news is only written down.

    Whoever made the command learns from the deal's status which of the three it was.
    """
    stands_in(deal, Status.IN_REVIEW)
    unmoved(wish, deal)
    if wish.by == deal.first.submitted_by:
        raise SelfApproval
    seen = look_again(wish, deal, claims, *around)
    if seen.screening.outcome == QUEUE:
        return [*seen.found(), *seen.outcome()], *seen.settle(wish, claims, others)
    if seen.news:
        return seen.found(), [[] for _ in claims], [[] for _ in others]
    _approvable(seen)
    return [seen.approved(by=wish.by)], *seen.decided(APPROVE).settle(wish, claims, others)


def _approvable(seen: Look) -> None:
    screening = seen.screening
    if screening.outcome == REJECT:
        raise CheckFailed(codes=[check.code for check in screening.deciding])
    undecided = [f.candidate.account_id for f in screening.findings if f.match in DECIDE_FIRST]
    if undecided:
        raise FindingUndecided(accounts=undecided)
    if not seen.facts.known:
        raise IdentityUnconfirmed(account_id=seen.deal.accounts[0])


def reject_deal(wish: RejectDeal, deal: Deal, claims: tuple[Claims, ...]) -> Reviewed:
    """Says no, with a reason; who waited behind it moves up."""
    stands_in(deal, Status.IN_REVIEW, Status.WAITING)
    unmoved(wish, deal)
    reason = Reason(code=wish.reason_code, text="The vendor decided against this deal.")
    rejected = DealRejected(
        **deal.header, reasons=(reason,), message=wish.message, rejected_by=wish.by, rejected_at=wish.now
    )
    return [rejected], [release(state, wish.registration_id, "rejected", wish.now) for state in claims]


def queue_deal(wish: QueueDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around) -> Screened:
    """Puts a deal in review behind the rival that holds, or is ahead. A full queue rejects it."""
    stands_in(deal, Status.IN_REVIEW)
    unmoved(wish, deal)
    seen = look_again(wish, deal, claims, *around)
    if not any(conflict.blocks for conflict in seen.screening.conflicts):
        raise NotBlocked
    return [*seen.found(), *seen.outcome()], *seen.settle(wish, claims, others)


def promote_deal(
    wish: PromoteDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Screened:
    """Lets a waiting deal that nothing blocks any more back into review, with a new screening."""
    stands_in(deal, Status.WAITING)
    unmoved(wish, deal)
    seen = look_again(wish, deal, claims, *around)
    if any(conflict.blocks for conflict in seen.screening.conflicts):
        return [], [[] for _ in claims], [[] for _ in others]
    promoted = DealPromoted(**deal.header, promoted_at=wish.now)
    moved = [promote(wish.registration_id, wish.now) for _ in deal.accounts]
    return [promoted, *seen.found()], [*moved, *([] for _ in claims[len(moved) :])], [[] for _ in others]
