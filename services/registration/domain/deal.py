"""A deal: one partner's registration of one customer, from submission to the end of its protection.

Here stand its state and refusals; its events and commands stand in `deal_events` and `deal_commands`. Its life is
decided in `submitting` (draft, register, resubmit), `reviewing` (return, findings, approve, reject, queue, promote),
`keeping` (amend, evidence, orders) and `ending` (withdraw, merge a duplicate, protection over, won or lost).
"""

from dataclasses import fields
from datetime import date, datetime
from enum import StrEnum
from typing import Any, assert_never

from chassis.decider import Decider, Forbidden, Invalid, NotFound, Problem, Raced, Refused, Stale, WrongState
from chassis.event import frozen, replace
from chassis.rulebook import Reason
from contracts.values import (
    AccountId,
    Money,
    OpportunityId,
    PartnerId,
    RegistrationId,
    Span,
)
from services.registration.domain.approval import Approval
from services.registration.domain.claim import Claim
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    ApproveDeal,
    CloseDeal,
    DecideFinding,
    EndProtection,
    EscalateReview,
    GrantExtension,
    MergeDuplicate,
    OnDeal,
    PromoteDeal,
    QueueDeal,
    RecordOrder,
    RefuseExtension,
    RegisterDeal,
    RejectDeal,
    RequestExtension,
    ResubmitDeal,
    ReturnDeal,
    RevokeDeal,
    SaveDraft,
    WithdrawDeal,
)
from services.registration.domain.deal_events import (
    ActivityNoted,
    AmendmentApproved,
    ConflictDetected,
    DealAmended,
    DealApproved,
    DealClosed,
    DealEvent,
    DealLinked,
    DealMoved,
    DealPromoted,
    DealQueued,
    DealRegistered,
    DealRejected,
    DealResubmitted,
    DealReturned,
    DealRevoked,
    DealScreened,
    DealWithdrawn,
    Details,
    DisplacementApproved,
    DraftDiscarded,
    DraftSaved,
    DuplicateMerged,
    EvidenceAdded,
    ExtensionAnswered,
    ExtensionRequested,
    FindingDecided,
    InactivityWarned,
    MissingLinkCleared,
    MissingLinkFlagged,
    OfDeal,
    OrderRecorded,
    ParticipantInvited,
    ParticipantJoined,
    ParticipantLeft,
    ProtectionEnded,
    ProtectionExtended,
    ReviewOverdue,
    RevocationProposed,
    StepApproved,
    StepClosed,
    StepOpened,
    Terms,
    proofs,
)
from services.registration.domain.machine import Move, allowed_in
from services.registration.domain.rules import FIRST_TO_REGISTER, LETTER_DAYS


class Status(StrEnum):
    """Where a deal's review stands. The sales stage is the CRM's."""

    NONE = "none"
    DRAFT = "draft"
    IN_REVIEW = "in_review"
    ACTION_REQUIRED = "action_required"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CLOSED = "closed"
    REVOKED = "revoked"
    WITHDRAWN = "withdrawn"


HEADER_FIELDS = tuple(field.name for field in fields(OfDeal))

OPEN = (Status.DRAFT, Status.IN_REVIEW, Status.ACTION_REQUIRED, Status.WAITING)

PARTNER_LEFT = "partner-left"
EXPIRES = ("expired", "inactive", PARTNER_LEFT)
"""Why a protection may end while its deal does not: what the CRM says of the sale is still written down."""

SUBMITTED = (Status.IN_REVIEW, Status.ACTION_REQUIRED, Status.WAITING, Status.APPROVED)


def _moves() -> dict[type[Any], Move[Status]]:
    review, correct, wait = Status.IN_REVIEW, Status.ACTION_REQUIRED, Status.WAITING
    held, over = Status.APPROVED, Status.REJECTED
    screened = (review, wait, held, over)
    return {
        SaveDraft: Move("save", (Status.NONE, Status.DRAFT), (Status.DRAFT,)),
        RegisterDeal: Move("register", (Status.NONE, Status.DRAFT), screened),
        ResubmitDeal: Move("resubmit", (correct,), screened),
        ReturnDeal: Move("return", (review,), (correct,)),
        DecideFinding: Move("decide-finding", (review,), ()),
        AmendDeal: Move("amend", (held,), ()),
        ApproveDeal: Move("approve", (review, held, wait), (held, wait)),
        RevokeDeal: Move("revoke", (held,), (Status.REVOKED,)),
        QueueDeal: Move("queue", (review,), (wait, over)),
        PromoteDeal: Move("", (wait,), (review,)),
        EscalateReview: Move("", (review,), (held,)),
        RejectDeal: Move("reject", (review, wait), (over,)),
        AddEvidence: Move("add-evidence", SUBMITTED, ()),
        RecordOrder: Move("record-order", (held,), ()),
        RequestExtension: Move("request-extension", (held,), (), new=True),
        GrantExtension: Move("grant-extension", (held,), (), new=True),
        RefuseExtension: Move("refuse-extension", (held,), (Status.EXPIRED,), new=True),
        EndProtection: Move("", (held,), (Status.EXPIRED,)),
        CloseDeal: Move("", (held, Status.EXPIRED), (Status.CLOSED,)),
        MergeDuplicate: Move("merge", SUBMITTED, (Status.WITHDRAWN,)),
        WithdrawDeal: Move("withdraw", (*OPEN, held), (Status.WITHDRAWN,)),
    }


MOVES = _moves()
"""Each command on a deal: the verb by which it is asked for ("": the service's own), from where, and to where."""


# State


@frozen
class Review:
    """Where the approval stands: the steps that are open, the approvals given, and the clock.

    `due_at` is the limit of the open steps; `late` says that it has passed and was told.
    """

    steps: tuple[int, ...] = ()
    given: tuple[Approval, ...] = ()
    running_since: datetime | None = None
    used_seconds: int = 0
    due_at: datetime | None = None
    late: bool = False


@frozen
class Deal:
    """What decisions ask of a deal."""

    status: Status = Status.NONE
    draft: DraftSaved | None = None
    registered: DealRegistered | None = None
    details: Details | None = None
    accounts: tuple[AccountId, ...] = ()
    group: tuple[AccountId, ...] = ()
    returned_fields: tuple[str, ...] = ()
    screened: DealScreened | None = None
    decided: tuple[AccountId, ...] = ()
    reasons: tuple[Reason, ...] = ()
    place: int | None = None
    free_on: date | None = None
    protection: Span | None = None
    counted_from: datetime | None = None
    orders: tuple[str, ...] = ()
    review: Review = Review()
    approved_amount: Money | None = None
    answer_due_at: datetime | None = None
    displacing: DisplacementApproved | None = None
    revoking: RevocationProposed | None = None
    extension: ExtensionRequested | None = None
    extensions: int = 0
    involved: tuple[str, ...] = ()
    appeal_until: datetime | None = None
    active_at: datetime | None = None
    warned: bool = False
    invitations: int = 0
    participants: tuple[ParticipantJoined, ...] = ()
    opportunity_id: OpportunityId | None = None
    unlinked: bool = False
    approved_at: datetime | None = None
    queued_at: datetime | None = None

    @property
    def first(self) -> DealRegistered:
        """How it was registered. Raises NotFound for a deal that never was."""
        if self.registered is None:
            raise NotFound
        return self.registered

    @property
    def unnamed(self) -> bool:
        """Whether others hear nothing by which its customer may be known."""
        return self.registered is not None and self.registered.unnamed

    @property
    def now_details(self) -> Details:
        return self.details or self.first.details

    @property
    def header(self) -> dict[str, Any]:
        """The fields of `OfDeal`."""
        known = self.known
        return {name: getattr(known, name) for name in HEADER_FIELDS}

    @property
    def judged(self) -> dict[str, Any]:
        """The fields of `Judged`: what the rules that judged it first keep from its partner, they keep throughout."""
        return {**self.header, "withheld": self.first.withheld}

    @property
    def known(self) -> OfDeal:
        """What it was registered or drafted as. Raises NotFound for a deal that never was."""
        return self.registered or self.draft or self.first

    @property
    def partner_id(self) -> PartnerId | None:
        """Whose deal it is, also while it is a draft; None for one that never was."""
        known = self.registered or self.draft
        return known.partner_id if known else None

    @property
    def submitted_at(self) -> datetime:
        """The instant that counts in line: the first complete submission, or that of an earlier duplicate."""
        return self.counted_from or self.first.terms.submitted_at

    def terms(self) -> Terms:
        """The terms as they stand now."""
        details = self.now_details
        terms = self.first.terms
        everybody = (*terms.participants, *(one.participant for one in self.participants))
        now = replace(terms, amount=details.amount, close_on=details.close_on, submitted_at=self.submitted_at)
        return replace(now, participants=everybody)

    def claim(self) -> Claim:
        """The deal's claim as it would be placed on another account."""
        first = self.first
        known = self.screened.facts.mine if self.screened else None
        return Claim(
            registration_id=first.registration_id,
            partner_id=first.partner_id,
            reach=first.reach,
            priority=known.priority if known else FIRST_TO_REGISTER,
            priorities=known.priorities if known else (),
            letter_days=known.letter_days if known else LETTER_DAYS,
            evidence=proofs(self.now_details),
            submitted_at=self.submitted_at,
        )

    def claim_of(self, joined: ParticipantJoined) -> Claim:
        """The claim of who takes part in the deal: on the same customer and products, in its own role."""
        mine = self.claim()
        return replace(
            mine,
            registration_id=RegistrationId(joined.invitation_id),
            partner_id=joined.participant.partner_id,
            reach=replace(mine.reach, role=joined.participant.role),
            evidence=(),
            submitted_at=joined.joined_at,
            deal_id=mine.registration_id,
        )

    def joined(self, invitation_id: str) -> ParticipantJoined | None:
        """Who takes part after that invitation."""
        return next((one for one in self.participants if one.invitation_id == invitation_id), None)


# Refusals


class AlreadyRegistered(Refused):
    """You have registered this customer for these products already: see that deal."""

    slug = "already-registered"


class PartnerUnknown(Problem):
    """The partner has not been announced here yet: try again shortly."""

    status = 409
    slug = "partner-unknown"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail, retry_after_seconds=2)


class NoRules(Refused):
    """The programme has no rules in force: publish them first."""

    slug = "no-rules"


class Incomplete(Invalid):
    """Some fields are missing or do not fit the programme's rules."""

    slug = "invalid"


class FieldNotEditable(Invalid):
    """Only the fields that were named can be changed."""

    slug = "field-not-editable"


class SelfApproval(Forbidden):
    """Who submitted a deal cannot approve it: ask a second person."""

    slug = "self-approval"


class NotApprover(Forbidden):
    """No open step of this deal is yours to approve: `roles` are those that it waits for."""

    slug = "not-approver"


class AlreadyApproved(Refused):
    """You have approved this deal already: another person gives the next approval."""

    slug = "already-approved"


class IdentityUnconfirmed(Refused):
    """It is not certain who the customer is: confirm the account first."""

    slug = "identity-unconfirmed"


class FindingUndecided(Refused):
    """Similar customers have to be decided first."""

    slug = "finding-undecided"


class CheckFailed(Refused):
    """The rules do not allow this deal: reject it, or mend what the checks name."""

    slug = "check-failed"


class EvidenceChanged(Stale):
    """Something new was found since you looked: it is on the deal now, look and decide again."""

    slug = "evidence-changed"


class NotBlocked(Refused):
    """No rival holds this customer or is ahead: there is nothing to wait for."""

    slug = "not-blocked"


def stands_in(deal: Deal, *statuses: Status, new: bool = False) -> None:
    """Raises WrongState outside the statuses, NotFound for a deal that never was unless it may be `new`."""
    if deal.status == Status.NONE and not new:
        raise NotFound
    if deal.status not in statuses:
        allowed = allowed_in(MOVES, deal.status)
        raise WrongState(f"the deal is {deal.status.value.replace('_', ' ')}", state=deal.status.value, allowed=allowed)


def may(deal: Deal, command: type[Any]) -> None:
    """Raises WrongState, NotFound where the command cannot be given to the deal as it stands."""
    stands_in(deal, *MOVES[command].begins)


def unmoved(wish: OnDeal, deal: Deal) -> None:
    """Raises Raced when the deal entered another account after the command was made."""
    if wish.accounts != deal.accounts:
        raise Raced


# Evolve


def evolve(deal: Deal, happened: DealEvent) -> Deal:
    match happened:
        case DealRegistered():
            return replace(deal, registered=happened, status=Status.IN_REVIEW, **_entered(happened))
        case DealScreened() | ConflictDetected():
            return replace(deal, screened=happened) if isinstance(happened, DealScreened) else deal
        case DealReturned() | DealResubmitted():
            return _corrected(deal, happened)
        case StepOpened() | StepApproved() | StepClosed() | ReviewOverdue():
            decided = (happened.approved_by,) if isinstance(happened, StepApproved) else ()
            return replace(deal, review=_reviewed(deal.review, happened), involved=(*deal.involved, *decided))
        case DealAmended() | EvidenceAdded() | OrderRecorded() | DuplicateMerged() | AmendmentApproved():
            return _kept(deal, happened)
        case DraftSaved() | DisplacementApproved() | RevocationProposed() | FindingDecided() | DealMoved():
            return _begun(deal, happened)
        case ExtensionRequested() | ExtensionAnswered() | ProtectionExtended() | ActivityNoted() | InactivityWarned():
            return _lasting(deal, happened)
        case _:
            return _moved(deal, happened)


def _entered(happened: DealRegistered) -> dict[str, Any]:
    return {"accounts": happened.accounts, "group": happened.group}


Begun = DraftSaved | DisplacementApproved | RevocationProposed | FindingDecided | DealMoved


def _begun(deal: Deal, happened: Begun) -> Deal:
    match happened:
        case DealMoved(accounts=accounts, group=group):
            return replace(deal, accounts=accounts, group=deal.group if group is None else group)
        case FindingDecided():
            return _decided(deal, happened)
        case DraftSaved():
            return replace(deal, draft=happened, status=Status.DRAFT)
        case DisplacementApproved():
            return replace(deal, displacing=happened)
        case RevocationProposed():
            return replace(deal, revoking=happened)
        case _:
            assert_never(happened)


def _corrected(deal: Deal, happened: DealReturned | DealResubmitted) -> Deal:
    if isinstance(happened, DealResubmitted):
        details = happened.details
        return replace(deal, status=Status.IN_REVIEW, details=details, returned_fields=(), answer_due_at=None)
    again = replace(deal.review, given=())
    fields, due_at = happened.fields, happened.due_at
    return replace(deal, status=Status.ACTION_REQUIRED, returned_fields=fields, answer_due_at=due_at, review=again)


def _reviewed(review: Review, happened: StepOpened | StepApproved | StepClosed | ReviewOverdue) -> Review:
    match happened:
        case StepOpened(step=step, due_at=due_at, opened_at=at):
            return replace(review, steps=(*review.steps, step), running_since=at, due_at=due_at, late=False)
        case StepApproved(step=step, approved_by=by):
            return replace(review, given=(*review.given, Approval(step=step, by=by)))
        case StepClosed(step=step, used_seconds=used, closed_at=at):
            rest = tuple(one for one in review.steps if one != step)
            return replace(review, steps=rest, used_seconds=used, running_since=at if rest else None)
        case ReviewOverdue():
            return replace(review, late=True)
        case _:
            assert_never(happened)


Kept = DealAmended | EvidenceAdded | OrderRecorded | DuplicateMerged | AmendmentApproved


def _kept(deal: Deal, happened: Kept) -> Deal:
    match happened:
        case DealAmended():
            return replace(deal, details=happened.details, active_at=happened.amended_at)
        case AmendmentApproved(amount=amount):
            return replace(deal, approved_amount=amount, review=Review())
        case EvidenceAdded(evidence=added):
            details = deal.now_details
            more = replace(details, evidence=(*details.evidence, *added))
            return replace(deal, details=more, active_at=happened.added_at)
        case OrderRecorded(order_ref=order_ref):
            return replace(deal, orders=(*deal.orders, order_ref))
        case DuplicateMerged(submitted_at=at):
            return replace(deal, counted_from=at)
        case _:
            assert_never(happened)


Ending = DealWithdrawn | DraftDiscarded | DealRevoked | ProtectionEnded | DealClosed
Moving = DealQueued | DealPromoted | DealApproved | DealRejected
Accompanied = ParticipantInvited | ParticipantJoined | ParticipantLeft
Linked = DealLinked | MissingLinkFlagged | MissingLinkCleared


def _moved(deal: Deal, happened: Moving | Ending | Accompanied | Linked) -> Deal:
    match happened:
        case DealQueued(place=place, free_on=free_on, reasons=reasons, queued_at=at):
            behind = replace(deal, status=Status.WAITING, place=place, free_on=free_on, reasons=reasons, queued_at=at)
            return replace(behind, review=replace(deal.review, given=()))
        case DealPromoted():
            return replace(deal, status=Status.IN_REVIEW, place=None, free_on=None, reasons=())
        case DealApproved():
            return _protected(deal, happened)
        case DealRejected(reasons=reasons, rejected_by=by, appeal_until=until):
            involved = (*deal.involved, *((by,) if by else ()))
            rejected = replace(deal, status=Status.REJECTED, place=None, reasons=reasons)
            return replace(rejected, involved=involved, appeal_until=until)
        case ParticipantInvited() | ParticipantJoined() | ParticipantLeft():
            return _accompanied(deal, happened)
        case DealLinked() | MissingLinkFlagged() | MissingLinkCleared():
            return _linked(deal, happened)
        case _:
            return _ended(deal, happened)


def _protected(deal: Deal, happened: DealApproved) -> Deal:
    return replace(
        deal,
        status=Status.APPROVED,
        place=None,
        protection=happened.protection,
        reasons=happened.reasons,
        involved=(*deal.involved, *((happened.approved_by,) if happened.approved_by else ())),
        approved_amount=happened.terms.amount,
        active_at=happened.approved_at,
        approved_at=happened.approved_at,
        review=Review(),
        displacing=None,
    )


Lasting = ExtensionRequested | ExtensionAnswered | ProtectionExtended | ActivityNoted | InactivityWarned


def _lasting(deal: Deal, happened: Lasting) -> Deal:
    match happened:
        case ExtensionRequested(requested_at=at):
            return replace(deal, extension=happened, active_at=at)
        case ExtensionAnswered():
            return replace(deal, extension=None)
        case ProtectionExtended(new_end=new_end):
            span = replace(deal.protection, end=new_end) if deal.protection else None
            return replace(deal, protection=span, extensions=deal.extensions + 1)
        case ActivityNoted(noted_at=at):
            return replace(deal, active_at=at, warned=False)
        case InactivityWarned():
            return replace(deal, warned=True)
        case _:
            assert_never(happened)


def _accompanied(deal: Deal, happened: Accompanied) -> Deal:
    match happened:
        case ParticipantInvited():
            return replace(deal, invitations=deal.invitations + 1)
        case ParticipantJoined():
            return replace(deal, participants=(*deal.participants, happened))
        case ParticipantLeft(invitation_id=gone):
            return replace(deal, participants=tuple(one for one in deal.participants if one.invitation_id != gone))
        case _:
            assert_never(happened)


def _linked(deal: Deal, happened: Linked) -> Deal:
    match happened:
        case DealLinked(opportunity_id=opportunity_id):
            return replace(deal, opportunity_id=opportunity_id)
        case MissingLinkFlagged():
            return replace(deal, unlinked=True)
        case MissingLinkCleared():
            return replace(deal, unlinked=False)
        case _:
            assert_never(happened)


def _ended(deal: Deal, happened: Ending) -> Deal:
    match happened:
        case DealWithdrawn() | DraftDiscarded():
            return replace(deal, status=Status.WITHDRAWN, place=None)
        case DealRevoked(reasons=reasons, revoked_by=people, appeal_until=until):
            revoked = replace(deal, status=Status.REVOKED, reasons=reasons, revoking=None)
            return replace(revoked, involved=(*deal.involved, *people), appeal_until=until)
        case ProtectionEnded(reason_code=code):
            return replace(deal, status=Status.EXPIRED) if code in EXPIRES else deal
        case DealClosed():
            return replace(deal, status=Status.CLOSED)
        case _:
            assert_never(happened)


def _decided(deal: Deal, happened: FindingDecided) -> Deal:
    members = happened.group or ()
    entered = (happened.account_id, *members) if happened.verdict == "same" else ()
    accounts, group = (*deal.accounts, *entered), (*deal.group, *members)
    return replace(deal, decided=(*deal.decided, happened.account_id), accounts=accounts, group=group)


Deals = Decider[Deal, DealEvent](kind="deal", initial=Deal(), evolve=evolve)
