"""How a deal is approved step by step, how it takes the place of a holder, and how a protection is revoked."""

from collections.abc import Callable, Sequence

from chassis.decider import Refused
from chassis.rulebook import Reason, Rulebook
from services.registration.domain.approval import Approval, complete, fitting_step, open_steps
from services.registration.domain.claims import ClaimEvent, Claims, release
from services.registration.domain.deal import (
    MOVES,
    AlreadyApproved,
    CheckFailed,
    Deal,
    FindingUndecided,
    IdentityUnconfirmed,
    NotApprover,
    NotBlocked,
    SelfApproval,
    Status,
    evolve,
    may,
    stands_in,
    unmoved,
)
from services.registration.domain.deal_commands import REPLACED, ApproveDeal, EscalateReview, RevokeDeal
from services.registration.domain.deal_events import (
    AmendmentApproved,
    DealEvent,
    DealRevoked,
    DisplacementApproved,
    ReviewOverdue,
    RevocationProposed,
    StepApproved,
)
from services.registration.domain.ending import unprotected
from services.registration.domain.judging import rules_of
from services.registration.domain.looking import Around, Look, look_again
from services.registration.domain.matching import DECIDE_FIRST
from services.registration.domain.review_clock import advance, appeal_until, end
from services.registration.domain.rules import APPROVE_CLEAN, DealRules, Step
from services.registration.domain.screening import APPROVE, QUEUE, REJECT

OVERRIDE = "override"
CUSTOMER_OVERRIDE, LETTER = "customer-override", "letter"
PERSON_MISSING = "review-required"
REVOKED = "The vendor revoked the protection."

Others = tuple[Deal, ...]
Approved = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[DealEvent]]]
Complete = Callable[[int, Step, Sequence[Approval]], bool]


class StillBlocked(Refused):
    """Somebody else is still ahead of this deal: displace that one too, or let it wait."""

    slug = "still-blocked"


class EvidenceMissing(Refused):
    """The customer's choice needs a letter of the customer among the evidence: add it first."""

    slug = "evidence-missing"


# Approve


def approve_deal(
    wish: ApproveDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Approved:
    """Approves the open step; the last one protects the deal, after a second look.

    A rival that holds by now queues it; other news is only written down. Whoever made the command learns from the deal
    which of these it was.
    """
    return _approve(complete, wish, deal, claims, others, *around)


def approve_deal_counting_amendments(
    wish: ApproveDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Approved:
    """As it was decided while the approvals of an amendment were counted, whoever its step names."""
    return _approve(_enough, wish, deal, claims, others, *around)


def _enough(place: int, step: Step, given: Sequence[Approval]) -> bool:
    return sum(one.step == place for one in given) >= step.approvals


def _approve(
    agreed: Complete, wish: ApproveDeal, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Approved:
    waits = () if wish.displaces else (Status.WAITING,)
    stands_in(deal, *(status for status in MOVES[ApproveDeal].begins if status not in waits))
    unmoved(wish, deal)
    if wish.by == deal.first.submitted_by:
        raise SelfApproval
    if deal.status == Status.APPROVED:
        return _approve_amendment(wish, deal, rules_of(deal, around[0]), agreed), *_nothing(claims, others)
    seen = look_again(wish, deal, claims, *around)
    return (_displace if wish.displaces else _approve_step)(wish, seen, claims, others)


def _approve_step(wish: ApproveDeal, seen: Look, claims: tuple[Claims, ...], others: Others) -> Approved:
    deal, rules = seen.deal, seen.rules
    approved = _step_approved(wish, deal, rules)
    if seen.screening.outcome == QUEUE:
        return [*seen.found(), *seen.outcome()], *seen.settle(wish, claims, others)
    if seen.news:
        return seen.found(), *_nothing(claims, others)
    _approvable(seen)
    then = evolve(deal, approved)
    amount = deal.now_details.amount
    if open_steps(rules.approval, amount, then.review.given):
        return [approved, *advance(then, rules, amount, wish.now)], *_nothing(claims, others)
    last = seen.decided(APPROVE, then)
    return [approved, *last.over("approved"), *last.approved(by=wish.by)], *last.settle(wish, claims, others)


def _step_approved(wish: ApproveDeal, deal: Deal, rules: DealRules) -> StepApproved:
    """The approval of the step that waits for this person. Raises NotApprover, AlreadyApproved."""
    waiting = open_steps(rules.approval, deal.now_details.amount, deal.review.given)
    deputy = rules.clock.escalate_to if deal.review.late else None
    step = fitting_step(rules.approval, waiting, by=wish.by, roles=wish.roles, deputy=deputy)
    if step is None:
        raise NotApprover(roles=sorted({rules.approval[one].role for one in waiting}))
    if any(one.by == wish.by for one in deal.review.given):
        raise AlreadyApproved
    role = rules.approval[step].role
    return StepApproved(**deal.header, step=step, role=role, approved_by=wish.by, approved_at=wish.now)


def _approvable(seen: Look) -> None:
    screening = seen.screening
    if screening.outcome == REJECT:
        raise CheckFailed(codes=[check.code for check in screening.deciding])
    undecided = [f.candidate.account_id for f in screening.findings if f.match in DECIDE_FIRST]
    if undecided:
        raise FindingUndecided(accounts=undecided)
    if not seen.facts.known:
        raise IdentityUnconfirmed(account_id=seen.deal.accounts[0])


def _approve_amendment(wish: ApproveDeal, deal: Deal, rules: DealRules, agreed: Complete) -> list[DealEvent]:
    """Agrees to an amount that was amended far upwards; nothing where nobody is asked."""
    if not deal.review.steps:
        return []
    step = fitting_step(rules.approval, deal.review.steps, by=wish.by, roles=wish.roles)
    if step is None:
        raise NotApprover(roles=sorted({rules.approval[one].role for one in deal.review.steps}))
    if any(one.by == wish.by for one in deal.review.given):
        raise AlreadyApproved
    role = rules.approval[step].role
    approved = StepApproved(**deal.header, step=step, role=role, approved_by=wish.by, approved_at=wish.now)
    then = evolve(deal, approved)
    if not agreed(step, rules.approval[step], then.review.given):
        return [approved]
    amount = deal.now_details.amount
    amendment = AmendmentApproved(**deal.header, amount=amount, approved_by=wish.by, approved_at=wish.now)
    return [approved, *end(then, rules, "approved", wish.now), amendment]


# Displace


def _displace(wish: ApproveDeal, seen: Look, claims: tuple[Claims, ...], others: Others) -> Approved:
    """The first of two people agrees to revoke the holders for this deal; the second revokes and approves at once."""
    deal = seen.deal
    displaced = seen.facts.displaces
    reason_code = _displaceable(wish, seen)
    agreed = deal.displacing
    if agreed is None or (agreed.displaces, agreed.reason_code) != (displaced, reason_code):
        first = DisplacementApproved(
            **deal.header, displaces=displaced, reason_code=reason_code, approved_by=wish.by, approved_at=wish.now
        )
        return [first], *_nothing(claims, others)
    if agreed.approved_by == wish.by:
        return [], *_nothing(claims, others)
    last = seen.decided(APPROVE, deal)
    approved = last.approved(by=wish.by, basis=reason_code)
    return [*last.over("approved"), *approved], *last.settle(wish, claims, others)


def _displaceable(wish: ApproveDeal, seen: Look) -> str:
    """The reason for which the holders are to be revoked. Raises what stands against it."""
    if OVERRIDE not in wish.roles:
        raise NotApprover(roles=[OVERRIDE])
    reasons = [one.reason_code for one in wish.gives_way if one.reason_code != REPLACED]
    if not reasons:
        raise NotBlocked
    if seen.screening.outcome == QUEUE:
        raise StillBlocked
    letter = any(one.kind == LETTER for one in seen.deal.now_details.evidence)
    if reasons[0] == CUSTOMER_OVERRIDE and not letter:
        raise EvidenceMissing
    _approvable(seen)
    return reasons[0]


# Revoke


def revoke_deal(
    wish: RevokeDeal, deal: Deal, claims: tuple[Claims, ...], book: Rulebook
) -> tuple[list[DealEvent], list[list[ClaimEvent]]]:
    """The first person proposes to take the protection away, a second one does it."""
    may(deal, RevokeDeal)
    unmoved(wish, deal)
    proposed = deal.revoking
    if proposed is None or proposed.reason_code != wish.reason_code:
        first = RevocationProposed(
            **deal.header,
            reason_code=wish.reason_code,
            evidence=wish.evidence,
            proposed_by=wish.by,
            proposed_at=wish.now,
        )
        return [first], [[] for _ in claims]
    if proposed.proposed_by == wish.by:
        return [], [[] for _ in claims]
    rules = rules_of(deal, book)
    revoked = _revoked(wish, deal, proposed, rules)
    events = [*end(deal, rules, "withdrawn", wish.now), revoked, *unprotected(wish.now, deal, "revoked")]
    return events, [release(state, wish.registration_id, "revoked", wish.now) for state in claims]


def _revoked(wish: RevokeDeal, deal: Deal, proposed: RevocationProposed, rules: DealRules) -> DealRevoked:
    return DealRevoked(
        **deal.judged,
        reasons=(Reason(code=wish.reason_code, text=REVOKED),),
        evidence=tuple(dict.fromkeys((*proposed.evidence, *wish.evidence))),
        revoked_by=(proposed.proposed_by, wish.by),
        revoked_at=wish.now,
        appeal_until=appeal_until(rules, wish.now),
        in_full=wish.in_full,
    )


# Escalate


def escalate_review(
    wish: EscalateReview, deal: Deal, claims: tuple[Claims, ...], others: Others, *around: *Around
) -> Approved:
    """Tells that the limit of a review has passed; where the rules say so, approves what only a person was missing for."""
    due_at = deal.review.due_at
    late = deal.status in MOVES[EscalateReview].begins and due_at is not None and due_at <= wish.now
    if not late or due_at is None or deal.review.late:
        return [], *_nothing(claims, others)
    unmoved(wish, deal)
    seen = look_again(wish, deal, claims, *around)
    clean = {check.code for check in seen.screening.failed} <= {PERSON_MISSING} and not seen.news
    approves = seen.rules.clock.when_late == APPROVE_CLEAN and clean
    told = ReviewOverdue(
        **deal.header,
        kind="review",
        roles=(seen.rules.clock.escalate_to,),
        due_at=due_at,
        minutes=int((wish.now - due_at).total_seconds()) // 60,
        action="approved" if approves else "escalated",
        overdue_at=wish.now,
    )
    if not approves:
        return [told], *_nothing(claims, others)
    last = seen.decided(APPROVE, evolve(deal, told))
    return [told, *last.over("approved"), *last.approved(by=None)], *last.settle(wish, claims, others)


def _nothing(claims: tuple[Claims, ...], others: Others) -> tuple[list[list[ClaimEvent]], list[list[DealEvent]]]:
    return [[] for _ in claims], [[] for _ in others]
