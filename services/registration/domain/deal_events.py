"""What happens to a deal: the values and events of its life, from submission to the end of its protection."""

from dataclasses import fields
from datetime import date, datetime

from chassis.event import LEFT_OUT, LeftOut, Sealed, event, frozen
from chassis.rulebook import Reason
from contracts.values import (
    AccountId,
    AccountRef,
    Entitlement,
    Money,
    OpportunityId,
    Participant,
    PartnerId,
    ProductLine,
    RegistrationId,
    RuleRef,
    Span,
)
from services.registration.domain.claim import Proof
from services.registration.domain.customer import Customer
from services.registration.domain.overlap import Reach
from services.registration.domain.screening import Facts, Screening


@frozen
class Evidence:
    """A document that supports a deal, named by the SHA-256 of its content. Kind: letter, mail, meeting, note."""

    kind: str
    dated_on: date
    sha256: str
    size_bytes: int | None = None


@frozen
class Details:
    """What may still change after submission; all the rest says what the deal is and stays."""

    amount: Money
    close_on: date
    tender: str = "none"
    tender_on: date | None = None
    description: Sealed | None = None
    contacts: tuple[Sealed, ...] = ()
    partner_reference: str | None = None
    price_reference: str | None = None
    fund_reference: str | None = None
    crm_reference: str | None = None
    evidence: tuple[Evidence, ...] = ()

    def differing(self, other: "Details") -> tuple[str, ...]:
        """The names of the fields in which the two differ."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name))


def proofs(details: Details) -> tuple[Proof, ...]:
    """What the documents of a deal count for in line."""
    return tuple(Proof(kind=one.kind, dated_on=one.dated_on) for one in details.evidence)


DETAIL_FIELDS = tuple(f.name for f in fields(Details))


@frozen
class Terms:
    """A deal as its events carry it to those who hear of it."""

    account: AccountRef
    participants: tuple[Participant, ...]
    products: tuple[ProductLine, ...]
    role: str
    deal_type: str
    amount: Money
    close_on: date
    territory: str | None = None
    lead_id: str | None = None
    rules: RuleRef
    submitted_at: datetime


@frozen
class OfDeal:
    """What every event of a deal says."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId


@frozen
class Judged(OfDeal):
    """What an event says that tells of a decision: `withheld` is what the rules keep from the partner, by name."""

    withheld: tuple[str, ...] | LeftOut = LEFT_OUT


# Events


@event("registration.DraftSaved.v1")
class DraftSaved(OfDeal):
    """What a partner has written so far, in its own key: nobody screens it, and it holds no place in line."""

    body: Sealed
    saved_by: str
    saved_at: datetime


@event("registration.DraftDiscarded.v1")
class DraftDiscarded(OfDeal):
    discarded_by: str
    discarded_at: datetime


@event("registration.DealRegistered.v1")
class DealRegistered(Judged):
    """`accounts` are all customers that the claim enters, the deal's own first; `zone` is the programme's.

    `replaces` is a deal of the same partner that ends when this one is approved. `group` are those of the accounts that
    it enters only as members of its customer's group. `in_full`: others hear all of it that is not personal; `documents`:
    of the documents too.
    """

    terms: Terms
    customer: Customer
    reach: Reach
    details: Details
    accounts: tuple[AccountId, ...]
    zone: str
    submitted_by: str
    confidential: bool = False
    replaces: RegistrationId | None = None
    group: tuple[AccountId, ...] = ()
    in_full: bool | LeftOut = LEFT_OUT
    documents: bool | LeftOut = LEFT_OUT

    @property
    def unnamed(self) -> bool:
        """Whether others hear nothing by which the customer may be known: it is confidential, or a person."""
        return self.confidential or self.customer.natural_person


@event("registration.DealScreened.v1")
class DealScreened(Judged):
    """One screening with everything it rests on: the facts, the version of the rules, and what each check said."""

    screening_id: str
    rules: RuleRef
    facts: Facts
    screening: Screening
    screened_at: datetime


@event("registration.ConflictDetected.v1")
class ConflictDetected(Judged):
    """A rival wants the same. `rivals` are the deals that were met; they never leave the service.

    `told_match` is the class that the partner is told, left out where it is `match`.
    """

    screening_id: str
    match: str
    outcome: str
    rivals: tuple[RegistrationId, ...]
    free_on: date | None
    detected_at: datetime
    told_match: str | LeftOut = LEFT_OUT


@event("registration.StepOpened.v1")
class StepOpened(OfDeal):
    """A step of the approval waits for people of its role. `step` is its place in the rules' chain, from 0."""

    step: int
    role: str
    target_at: datetime
    due_at: datetime
    opened_at: datetime


@event("registration.StepApproved.v1")
class StepApproved(OfDeal):
    step: int
    role: str
    approved_by: str
    approved_at: datetime


@event("registration.StepClosed.v1")
class StepClosed(OfDeal):
    """A step waits no more. `used_seconds` is the open time that the whole review has used by now.

    Outcomes: approved, returned, queued, rejected, withdrawn, amended.
    """

    step: int
    outcome: str
    used_seconds: int
    closed_at: datetime


@event("registration.ReviewOverdue.v1")
class ReviewOverdue(OfDeal):
    """The limit of a review has passed. Action: escalated (to `roles`), approved (nothing but a person was missing)."""

    kind: str
    roles: tuple[str, ...]
    due_at: datetime
    minutes: int
    action: str
    overdue_at: datetime


@event("registration.DealReturned.v1")
class DealReturned(OfDeal):
    """`due_at`: without an answer by then, the deal is withdrawn."""

    fields: tuple[str, ...]
    message: Sealed
    returned_by: str
    returned_at: datetime
    due_at: datetime | None = None


@event("registration.DealResubmitted.v1")
class DealResubmitted(OfDeal):
    """`amount` is that of the details, told to others since it stands here; `in_full`: what else is not personal too.

    With `documents` they hear of the documents besides. Where the customer is unnamed, both are left out: a reference, a
    tender or a document may tell who it is.
    """

    fields: tuple[str, ...]
    details: Details
    resubmitted_by: str
    resubmitted_at: datetime
    amount: Money | None = None
    in_full: bool | LeftOut = LEFT_OUT
    documents: bool | LeftOut = LEFT_OUT


@event("registration.FindingDecided.v1")
class FindingDecided(OfDeal):
    """A person said whether a similar customer is the same one (the claim enters it too), different or related.

    `group` are the members of that customer's group that a claim on the whole group enters with it.
    """

    account_id: AccountId
    verdict: str
    reason: Sealed
    decided_by: str
    decided_at: datetime
    group: tuple[AccountId, ...] | LeftOut = LEFT_OUT


@event("registration.DealQueued.v1")
class DealQueued(Judged):
    place: int
    free_on: date | None
    reasons: tuple[Reason, ...]
    queued_at: datetime


@event("registration.DealPromoted.v1")
class DealPromoted(OfDeal):
    """`due_at` is the limit of the review that goes on, told to others since it stands here."""

    promoted_at: datetime
    due_at: datetime | LeftOut = LEFT_OUT


@event("registration.DealApproved.v1")
class DealApproved(Judged):
    """Basis: the priority rule under which it won, or the reason for which it displaced a holder.

    `approved_by` is absent where the rules approved it themselves. After `inactive_days` without a sign of life (0: never)
    the protection ends.
    """

    terms: Terms
    protection: Span
    exclusive: bool
    basis: str
    screening_id: str
    reasons: tuple[Reason, ...]
    approved_by: str | None
    approved_at: datetime
    entitlement: Entitlement | None = None
    inactive_days: int = 0
    warn_days: int = 0


@event("registration.DealRejected.v1")
class DealRejected(Judged):
    reasons: tuple[Reason, ...]
    message: Sealed | None
    rejected_by: str | None
    rejected_at: datetime
    appeal_until: datetime | None = None


@event("registration.DealAmended.v1")
class DealAmended(OfDeal):
    """`in_full`: others hear all of the details that is not personal; before, only the amount and the close date.

    With `documents` they hear of the documents besides. Both are left out where the customer is unnamed: a reference, a
    tender or a document may tell who it is.
    """

    details: Details
    amended_by: str
    amended_at: datetime
    in_full: bool | LeftOut = LEFT_OUT
    documents: bool | LeftOut = LEFT_OUT


@event("registration.AmendmentApproved.v1")
class AmendmentApproved(OfDeal):
    """Who decides last agreed to an amount that was amended far upwards."""

    amount: Money
    approved_by: str
    approved_at: datetime


@event("registration.DisplacementApproved.v1")
class DisplacementApproved(OfDeal):
    """One of the two people who are needed agreed that this deal takes the place of those that hold."""

    displaces: tuple[RegistrationId, ...]
    reason_code: str
    approved_by: str
    approved_at: datetime


@event("registration.RevocationProposed.v1")
class RevocationProposed(OfDeal):
    """One of the two people who are needed wants the protection revoked."""

    reason_code: str
    evidence: tuple[Evidence, ...]
    proposed_by: str
    proposed_at: datetime


@event("registration.DealRevoked.v1")
class DealRevoked(Judged):
    """`for_registration_id` is the deal that took its place, in the same commit; it never leaves the service.

    `in_full`: the vendor hears on which documents.
    """

    reasons: tuple[Reason, ...]
    evidence: tuple[Evidence, ...]
    for_registration_id: RegistrationId | None = None
    revoked_by: tuple[str, ...]
    revoked_at: datetime
    appeal_until: datetime | None = None
    in_full: bool | LeftOut = LEFT_OUT


@event("registration.EvidenceAdded.v1")
class EvidenceAdded(OfDeal):
    evidence: tuple[Evidence, ...]
    added_by: str
    added_at: datetime


@event("registration.OrderRecorded.v1")
class OrderRecorded(OfDeal):
    """A distributor booked an order for this deal. `recorded_for` is that distributor, told to others as `distributor_id`.

    That stands here since others are told.
    """

    order_ref: str
    amount: Money
    ordered_on: date
    recorded_for: PartnerId
    recorded_by: str
    recorded_at: datetime
    distributor_id: PartnerId | LeftOut = LEFT_OUT


@event("registration.DuplicateMerged.v1")
class DuplicateMerged(OfDeal):
    """Another deal of the same partner was this one: its number leads here, the earlier of both instants counts."""

    merged_id: RegistrationId
    merged_number: str
    submitted_at: datetime
    merged_by: str
    merged_at: datetime


@event("registration.DealMoved.v1")
class DealMoved(OfDeal):
    """The customers that the deal is on, now that two accounts were merged, or a merge was taken back.

    Or that its customer's group has other members: then `group` are the accounts that it is on as such, and `merge_id`
    names the edge.
    """

    accounts: tuple[AccountId, ...]
    merge_id: str
    moved_at: datetime
    group: tuple[AccountId, ...] | None = None


@event("registration.DealWithdrawn.v1")
class DealWithdrawn(OfDeal):
    """`merged_into` is the deal that goes on for it, where it was a duplicate; others hear of it as `told_into`."""

    merged_into: RegistrationId | None = None
    reason_code: str
    withdrawn_by: str
    withdrawn_at: datetime
    told_into: RegistrationId | LeftOut = LEFT_OUT


@event("registration.ExtensionRequested.v1")
class ExtensionRequested(OfDeal):
    """A partner asks for more time. Until it is answered the hold runs on; unanswered at `answer_by`, it is granted."""

    evidence: tuple[Evidence, ...]
    old_end: datetime
    new_end: datetime
    answer_by: datetime
    requested_by: str
    requested_at: datetime


@event("registration.ExtensionAnswered.v1")
class ExtensionAnswered(OfDeal):
    """`answered_by` is absent where nobody answered in time."""

    granted: bool
    reason_code: str | None
    answered_by: str | None
    answered_at: datetime


@event("registration.ProtectionExtended.v1")
class ProtectionExtended(OfDeal):
    old_end: datetime
    new_end: datetime
    extended_at: datetime


@event("registration.ActivityNoted.v1")
class ActivityNoted(OfDeal):
    """A sign of work on the customer: stage, amendment, evidence, extension. `warned`: it answers a warning."""

    kind: str
    warned: bool
    source_event_id: str | None
    noted_at: datetime


@event("registration.InactivityWarned.v1")
class InactivityWarned(OfDeal):
    """Without a sign of life the protection ends at `ends_at`."""

    ends_at: datetime
    warned_at: datetime


@event("registration.ParticipantInvited.v1")
class ParticipantInvited(OfDeal):
    """Another partner is asked to take part in the deal, in a role of its own."""

    invitation_id: str
    participant: Participant
    invited_by: str
    invited_at: datetime


@event("registration.ParticipantJoined.v1")
class ParticipantJoined(OfDeal):
    """An invited partner takes part. Its claim stands until `held_until`; None while the deal itself holds nothing yet."""

    invitation_id: str
    participant: Participant
    held_until: datetime | None
    joined_by: str
    joined_at: datetime


@event("registration.ParticipantLeft.v1")
class ParticipantLeft(OfDeal):
    """A participant takes part no more. With `deal_over` the whole deal ended, for the reason code of its end.

    Else one of: left, removed, partner-left, role-held (a rival kept it out when the deal was approved).
    """

    invitation_id: str
    participant: Participant
    reason_code: str
    deal_over: bool
    left_by: str | None
    left_at: datetime


@event("registration.DealLinked.v1")
class DealLinked(OfDeal):
    """The CRM has the sale. `external_id` is the number that it has there, once it has one."""

    opportunity_id: OpportunityId
    external_id: str | None
    source_event_id: str
    linked_at: datetime


@event("registration.MissingLinkFlagged.v1")
class MissingLinkFlagged(OfDeal):
    """The deal was approved, and a day later nobody had told of a sale in the CRM."""

    approved_at: datetime
    flagged_at: datetime


@event("registration.MissingLinkCleared.v1")
class MissingLinkCleared(OfDeal):
    """The sale is there, or nobody waits for it any more. Reason codes: linked, ended."""

    reason_code: str
    cleared_at: datetime


@event("registration.ProtectionEnded.v1")
class ProtectionEnded(OfDeal):
    """Reason codes: expired, inactive, partner-left, withdrawn, revoked, won, lost."""

    reason_code: str
    ended_at: datetime


@event("registration.DealClosed.v1")
class DealClosed(OfDeal):
    """The CRM says how it went. Result: won or lost; `source_event_id` is attribution's event."""

    result: str
    opportunity_id: OpportunityId
    source_event_id: str
    closed_at: datetime


DealEvent = (
    DraftSaved
    | DraftDiscarded
    | DealRegistered
    | DealScreened
    | ConflictDetected
    | StepOpened
    | StepApproved
    | StepClosed
    | ReviewOverdue
    | AmendmentApproved
    | DisplacementApproved
    | RevocationProposed
    | DealRevoked
    | DealReturned
    | DealResubmitted
    | FindingDecided
    | DealQueued
    | DealPromoted
    | DealApproved
    | DealRejected
    | DealAmended
    | EvidenceAdded
    | ExtensionRequested
    | ExtensionAnswered
    | ProtectionExtended
    | ActivityNoted
    | InactivityWarned
    | OrderRecorded
    | DuplicateMerged
    | DealMoved
    | DealWithdrawn
    | ParticipantInvited
    | ParticipantJoined
    | ParticipantLeft
    | DealLinked
    | MissingLinkFlagged
    | MissingLinkCleared
    | ProtectionEnded
    | DealClosed
)
