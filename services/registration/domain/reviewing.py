"""What the vendor does with a deal in review, and how a deal gets into the queue and out of it."""

from collections.abc import Iterable
from dataclasses import replace

from chassis.decider import Invalid
from chassis.event import LEFT_OUT
from chassis.rulebook import Reason, Rulebook
from contracts.business_time import BUSINESS_DAY
from contracts.values import AccountId
from services.registration.domain.account import (
    DIFFERENT,
    LINKS,
    SAME,
    Account,
    AccountEvent,
    AccountLinked,
    AccountMerged,
    GroupClaimed,
    KeptApart,
)
from services.registration.domain.claims import ClaimEvent, Claims, place, promote, release
from services.registration.domain.deal import (
    Deal,
    FieldNotEditable,
    NotBlocked,
    evolve,
    may,
    unmoved,
)
from services.registration.domain.deal_commands import (
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
    StepOpened,
)
from services.registration.domain.ending import over_with
from services.registration.domain.grouping import MEMBERS_MAX, GroupTooLarge, unmoved_group
from services.registration.domain.judging import rules_of
from services.registration.domain.looking import Around, look_again
from services.registration.domain.review_clock import appeal_until, begin, end

Reviewed = tuple[list[DealEvent], list[list[ClaimEvent]]]
Screened = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[DealEvent]]]
Others = tuple[Deal, ...]
Lines = tuple[Claims, ...]
Decided = tuple[
    list[DealEvent], list[AccountEvent], list[list[ClaimEvent]], list[list[ClaimEvent]], list[list[AccountEvent]]
]


class NoSuchFinding(Invalid):
    """The last screening of this deal did not name that customer."""

    slug = "no-such-finding"


# Decisions


def return_deal(wish: ReturnDeal, deal: Deal, book: Rulebook) -> list[DealEvent]:
    """Asks the partner to correct the named fields; the deal keeps its place in the order."""
    may(deal, ReturnDeal)
    fixed = [name for name in wish.fields if name not in DETAIL_FIELDS]
    if fixed:
        raise FieldNotEditable(f"{fixed[0]} says what the deal is and cannot change", fields=list(DETAIL_FIELDS))
    rules = rules_of(deal, book)
    returned = DealReturned(
        **deal.header,
        fields=wish.fields,
        message=wish.message,
        returned_by=wish.by,
        returned_at=wish.now,
        due_at=rules.calendar.after(wish.now, rules.clock.answer_days * BUSINESS_DAY),
    )
    return [*end(deal, rules, "returned", wish.now), returned]


def decide_finding(
    wish: DecideFinding, deal: Deal, account: Account, claims: Lines, *found: *tuple[Lines, tuple[Account, ...]]
) -> Decided:
    """Says whether a similar customer is the same, different or related. The claim enters the same one too.

    A claim on a whole group enters that customer's group with it. Where no group is in the way, `MergeFinding` makes one
    customer of the two. A customer that is the deal's own by now, as the two were merged since, is the same already, and
    nothing else.
    """
    lines, heads = found
    told = decide_finding_of_its_own(wish, deal, account, claims, *found)
    if wish.account_id not in deal.accounts:
        return told
    if wish.verdict != SAME:
        raise NoSuchFinding(account_id=wish.account_id)
    return [], [], [[] for _ in claims], [[] for _ in lines], [[] for _ in heads]


def decide_finding_of_its_own(
    wish: DecideFinding, deal: Deal, _: Account, claims: Lines, *found: *tuple[Lines, tuple[Account, ...]]
) -> Decided:
    """As the first evaluator decided: a deal entered a customer twice that was its own already."""
    may(deal, DecideFinding)
    unmoved(wish, deal)
    lines, heads = found
    nothing: list[list[ClaimEvent]] = [[] for _ in claims]
    if found_again(wish.account_id, deal):
        return [], [], nothing, [[] for _ in lines], [[] for _ in heads]
    if lines[0].moved_to is not None:
        raise AccountMerged(account_id=lines[0].moved_to)
    _group_stands(wish, deal, heads)
    same, mine = wish.verdict == SAME, claims[0].counted(deal.claim())
    return (
        [_said(wish, deal)],
        [_related(wish, deal)],
        nothing,
        [place(line, mine, wish.now) if same else [] for line in lines],
        [[_claimed(wish, wish.group.root_id)] for _ in heads if wish.group],
    )


def found_again(account_id: AccountId, deal: Deal) -> bool:
    """Whether the similar customer was decided on before. Raises NoSuchFinding for one that the screening did not name."""
    if account_id in deal.decided:
        return True
    if account_id not in _found_accounts(deal):
        raise NoSuchFinding(account_id=account_id)
    return False


def _group_stands(wish: DecideFinding, deal: Deal, heads: Iterable[Account]) -> None:
    """Raises Raced, GroupTooLarge."""
    for head in heads:
        if wish.group:
            unmoved_group(wish.group, head)
    if len(deal.group) + len(wish.members) > MEMBERS_MAX:
        raise GroupTooLarge


def _said(wish: DecideFinding, deal: Deal) -> DealEvent:
    return FindingDecided(
        **deal.header,
        account_id=wish.account_id,
        verdict=wish.verdict,
        reason=wish.reason,
        decided_by=wish.by,
        decided_at=wish.now,
        group=wish.members or LEFT_OUT,
    )


def _claimed(wish: DecideFinding, root_id: AccountId) -> AccountEvent:
    return GroupClaimed(root_id=root_id, registration_id=wish.registration_id, claimed_at=wish.now)


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


def reject_deal(wish: RejectDeal, deal: Deal, claims: tuple[Claims, ...], book: Rulebook) -> Reviewed:
    """Says no, with a reason; who waited behind it moves up."""
    may(deal, RejectDeal)
    unmoved(wish, deal)
    rules = rules_of(deal, book)
    rejected = DealRejected(
        **deal.judged,
        reasons=(Reason(code=wish.reason_code, text="The vendor decided against this deal."),),
        message=wish.message,
        rejected_by=wish.by,
        rejected_at=wish.now,
        appeal_until=appeal_until(rules, wish.now),
    )
    gone = over_with(wish.now, deal, "rejected")
    return [*end(deal, rules, "rejected", wish.now), rejected, *gone], [
        release(state, wish.registration_id, "rejected", wish.now) for state in claims
    ]


def queue_deal(wish: QueueDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around) -> Screened:
    """Puts a deal in review behind the rival that holds, or is ahead. A full queue rejects it."""
    may(deal, QueueDeal)
    unmoved(wish, deal)
    seen = look_again(wish, deal, claims, *around)
    if not any(conflict.blocks for conflict in seen.screening.conflicts):
        raise NotBlocked
    return [*seen.found(), *seen.outcome()], *seen.settle(wish, claims, others)


def promote_deal(
    wish: PromoteDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Screened:
    """Lets a waiting deal that nothing blocks any more back into review, with a new screening."""
    told, lines, ended = promote_deal_without_due(wish, deal, claims, others, *around)
    due = min((one.due_at for one in told if isinstance(one, StepOpened)), default=None)
    due_at = LEFT_OUT if due is None else due
    return [replace(one, due_at=due_at) if isinstance(one, DealPromoted) else one for one in told], lines, ended


def promote_deal_without_due(
    wish: PromoteDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Screened:
    """As the first evaluator decided: it did not say until when the review goes on."""
    may(deal, PromoteDeal)
    unmoved(wish, deal)
    seen = look_again(wish, deal, claims, *around)
    if any(conflict.blocks for conflict in seen.screening.conflicts):
        return [], [[] for _ in claims], [[] for _ in others]
    promoted = DealPromoted(**deal.header, promoted_at=wish.now)
    moved = [promote(wish.registration_id, wish.now) for _ in deal.accounts]
    begun = begin(evolve(deal, promoted), seen.rules, wish.now)
    return [promoted, *seen.found(), *begun], [*moved, *([] for _ in claims[len(moved) :])], [[] for _ in others]
