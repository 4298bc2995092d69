"""A deal: one partner's registration of one customer, from submission to the end of its protection.

Here stand its events, commands, state and refusals. Its life is decided in `submitting` (register, resubmit, amend),
`reviewing` (return, findings, approve, reject, queue, promote) and `ending` (withdraw, protection over, won or lost).
"""

from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, assert_never

from chassis.decider import Decider, Forbidden, Invalid, NotFound, Problem, Raced, Refused, Stale, WrongState
from chassis.event import Sealed, command, event
from chassis.rulebook import Reason
from contracts.values import (
    AccountId,
    AccountRef,
    Money,
    OpportunityId,
    Participant,
    PartnerId,
    ProductLine,
    RegistrationId,
    RuleRef,
    Span,
)
from services.registration.domain.account_key import Key
from services.registration.domain.claims import Claim
from services.registration.domain.customer import Customer
from services.registration.domain.matching import Candidate
from services.registration.domain.overlap import Reach
from services.registration.domain.rules import FIRST_TO_REGISTER
from services.registration.domain.screening import Facts, Screening


class Status(StrEnum):
    """Where a deal's review stands. The sales stage is the CRM's."""

    NONE = "none"
    IN_REVIEW = "in_review"
    ACTION_REQUIRED = "action_required"
    WAITING = "waiting"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"


OPEN = (Status.IN_REVIEW, Status.ACTION_REQUIRED, Status.WAITING)

ALLOWED = {
    Status.IN_REVIEW: ("return", "decide-finding", "approve", "queue", "reject", "withdraw"),
    Status.ACTION_REQUIRED: ("resubmit", "withdraw"),
    Status.WAITING: ("reject", "withdraw"),
    Status.APPROVED: ("amend", "withdraw"),
}


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """A document that supports a deal, named by the SHA-256 of its content. Kind: letter, mail, meeting, note."""

    kind: str
    dated_on: date
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Details:
    """What may still change after submission; all the rest says what the deal is and stays."""

    amount: Money
    close_on: date
    tender: str = "none"
    description: Sealed | None = None
    contacts: tuple[Sealed, ...] = ()
    partner_reference: str | None = None
    evidence: tuple[Evidence, ...] = ()

    def differing(self, other: "Details") -> tuple[str, ...]:
        """The names of the fields in which the two differ."""
        return tuple(f.name for f in fields(self) if getattr(self, f.name) != getattr(other, f.name))


DETAIL_FIELDS = tuple(f.name for f in fields(Details))


@dataclass(frozen=True, kw_only=True)
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
    rules: RuleRef
    submitted_at: datetime


@dataclass(frozen=True, kw_only=True)
class OfDeal:
    """What every event of a deal says."""

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId


# Events


@event("registration.DealRegistered.v1")
class DealRegistered(OfDeal):
    """`accounts` are all customers that the claim enters, the deal's own first; `zone` is the programme's."""

    terms: Terms
    customer: Customer
    reach: Reach
    details: Details
    accounts: tuple[AccountId, ...]
    zone: str
    submitted_by: str


@event("registration.DealScreened.v1")
class DealScreened(OfDeal):
    """One screening with everything it rests on: the facts, the version of the rules, and what each check said."""

    screening_id: str
    rules: RuleRef
    facts: Facts
    screening: Screening
    screened_at: datetime


@event("registration.ConflictDetected.v1")
class ConflictDetected(OfDeal):
    """A rival wants the same. `rivals` are the deals that were met; they never leave the service."""

    screening_id: str
    match: str
    outcome: str
    rivals: tuple[RegistrationId, ...]
    free_on: date | None
    detected_at: datetime


@event("registration.DealReturned.v1")
class DealReturned(OfDeal):
    fields: tuple[str, ...]
    message: Sealed
    returned_by: str
    returned_at: datetime


@event("registration.DealResubmitted.v1")
class DealResubmitted(OfDeal):
    fields: tuple[str, ...]
    details: Details
    resubmitted_by: str
    resubmitted_at: datetime


@event("registration.FindingDecided.v1")
class FindingDecided(OfDeal):
    """A person said whether a similar customer is the same one (the claim enters it too), different or related."""

    account_id: AccountId
    verdict: str
    reason: Sealed
    decided_by: str
    decided_at: datetime


@event("registration.DealQueued.v1")
class DealQueued(OfDeal):
    place: int
    free_on: date | None
    reasons: tuple[Reason, ...]
    queued_at: datetime


@event("registration.DealPromoted.v1")
class DealPromoted(OfDeal):
    promoted_at: datetime


@event("registration.DealApproved.v1")
class DealApproved(OfDeal):
    """Basis: the priority rule under which it won. `approved_by` is absent where the rules approved it themselves."""

    terms: Terms
    protection: Span
    exclusive: bool
    basis: str
    screening_id: str
    reasons: tuple[Reason, ...]
    approved_by: str | None
    approved_at: datetime


@event("registration.DealRejected.v1")
class DealRejected(OfDeal):
    reasons: tuple[Reason, ...]
    message: Sealed | None
    rejected_by: str | None
    rejected_at: datetime


@event("registration.DealAmended.v1")
class DealAmended(OfDeal):
    details: Details
    amended_by: str
    amended_at: datetime


@event("registration.DealWithdrawn.v1")
class DealWithdrawn(OfDeal):
    reason_code: str
    withdrawn_by: str
    withdrawn_at: datetime


@event("registration.ProtectionEnded.v1")
class ProtectionEnded(OfDeal):
    """Reason codes: expired, withdrawn, won, lost."""

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
    DealRegistered
    | DealScreened
    | ConflictDetected
    | DealReturned
    | DealResubmitted
    | FindingDecided
    | DealQueued
    | DealPromoted
    | DealApproved
    | DealRejected
    | DealAmended
    | DealWithdrawn
    | ProtectionEnded
    | DealClosed
)


# Commands


@command("registration.RegisterDeal.v1")
class RegisterDeal:
    """`keys` with the accounts they were bound to, and `accounts` that follow from them, the deal's own first.

    Without a role the partner's first one is taken.
    """

    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    customer: Customer
    products: tuple[ProductLine, ...]
    role: str | None = None
    deal_type: str = "new"
    scope: str = "entity"
    details: Details
    keys: tuple[Key, ...]
    accounts: tuple[AccountId, ...]
    candidates: tuple[Candidate, ...] = ()
    screening_id: str
    submitted_by: str
    now: datetime


@dataclass(frozen=True, kw_only=True)
class OnDeal:
    """What every command on an existing deal says. `accounts` are its accounts when the command was made."""

    registration_id: RegistrationId
    accounts: tuple[AccountId, ...]
    now: datetime


@dataclass(frozen=True, kw_only=True)
class Screens(OnDeal):
    """A command that screens the deal again, with the candidates that were found when it was made."""

    programme: str
    partner_id: PartnerId
    candidates: tuple[Candidate, ...] = ()
    screening_id: str


@command("registration.ReturnDeal.v1")
class ReturnDeal(OnDeal):
    fields: tuple[str, ...]
    message: Sealed
    by: str


@command("registration.ResubmitDeal.v1")
class ResubmitDeal(Screens):
    details: Details
    by: str


@command("registration.DecideFinding.v1")
class DecideFinding(OnDeal):
    account_id: AccountId
    verdict: str
    reason: Sealed
    by: str


@command("registration.ApproveDeal.v1")
class ApproveDeal(Screens):
    by: str


@command("registration.RejectDeal.v1")
class RejectDeal(OnDeal):
    reason_code: str
    message: Sealed
    by: str


@command("registration.QueueDeal.v1")
class QueueDeal(Screens):
    pass


@command("registration.PromoteDeal.v1")
class PromoteDeal(Screens):
    pass


@command("registration.AmendDeal.v1")
class AmendDeal(OnDeal):
    details: Details
    by: str


@command("registration.WithdrawDeal.v1")
class WithdrawDeal(OnDeal):
    reason_code: str
    by: str


@command("registration.EndProtection.v1")
class EndProtection(OnDeal):
    pass


@command("registration.CloseDeal.v1")
class CloseDeal(OnDeal):
    result: str
    opportunity_id: OpportunityId
    source_event_id: str


# State


@dataclass(frozen=True, kw_only=True)
class Deal:
    """What decisions ask of a deal."""

    status: Status = Status.NONE
    registered: DealRegistered | None = None
    details: Details | None = None
    accounts: tuple[AccountId, ...] = ()
    returned_fields: tuple[str, ...] = ()
    screened: DealScreened | None = None
    decided: tuple[AccountId, ...] = ()
    reasons: tuple[Reason, ...] = ()
    place: int | None = None
    free_on: date | None = None
    protection: Span | None = None

    @property
    def first(self) -> DealRegistered:
        """How it was registered. Raises NotFound for a deal that never was."""
        if self.registered is None:
            raise NotFound
        return self.registered

    @property
    def now_details(self) -> Details:
        return self.details or self.first.details

    @property
    def header(self) -> dict[str, Any]:
        """The fields of `OfDeal`."""
        return {field.name: getattr(self.first, field.name) for field in fields(OfDeal)}

    def terms(self) -> Terms:
        """The terms as they stand now."""
        return replace(self.first.terms, amount=self.now_details.amount, close_on=self.now_details.close_on)

    def claim(self) -> Claim:
        """The deal's claim as it would be placed on another account."""
        first = self.first
        return Claim(
            registration_id=first.registration_id,
            partner_id=first.partner_id,
            reach=first.reach,
            priority=self.priority,
            submitted_at=first.terms.submitted_at,
        )

    @property
    def priority(self) -> str:
        return self.screened.facts.mine.priority if self.screened else FIRST_TO_REGISTER


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


def stands_in(deal: Deal, *statuses: Status) -> None:
    """Raises NotFound for a deal that never was, WrongState outside the statuses."""
    if deal.status == Status.NONE:
        raise NotFound
    if deal.status not in statuses:
        allowed = list(ALLOWED.get(deal.status, ()))
        raise WrongState(f"the deal is {deal.status.value.replace('_', ' ')}", state=deal.status.value, allowed=allowed)


def unmoved(wish: OnDeal, deal: Deal) -> None:
    """Raises Raced when the deal entered another account after the command was made."""
    if wish.accounts != deal.accounts:
        raise Raced


# Evolve


def evolve(deal: Deal, happened: DealEvent) -> Deal:
    match happened:
        case DealRegistered():
            return replace(deal, registered=happened, status=Status.IN_REVIEW, accounts=happened.accounts)
        case DealScreened():
            return replace(deal, screened=happened)
        case DealReturned():
            return replace(deal, status=Status.ACTION_REQUIRED, returned_fields=happened.fields)
        case DealResubmitted():
            return replace(deal, status=Status.IN_REVIEW, details=happened.details, returned_fields=())
        case FindingDecided():
            return _decided(deal, happened)
        case DealAmended():
            return replace(deal, details=happened.details)
        case ConflictDetected():
            return deal
        case _:
            return _moved(deal, happened)


def _moved(
    deal: Deal,
    happened: DealQueued | DealPromoted | DealApproved | DealRejected | DealWithdrawn | ProtectionEnded | DealClosed,
) -> Deal:
    match happened:
        case DealQueued(place=place, free_on=free_on, reasons=reasons):
            return replace(deal, status=Status.WAITING, place=place, free_on=free_on, reasons=reasons)
        case DealPromoted():
            return replace(deal, status=Status.IN_REVIEW, place=None, free_on=None, reasons=())
        case DealApproved(protection=protection, reasons=reasons):
            return replace(deal, status=Status.APPROVED, protection=protection, reasons=reasons)
        case DealRejected(reasons=reasons):
            return replace(deal, status=Status.REJECTED, place=None, reasons=reasons)
        case DealWithdrawn():
            return replace(deal, status=Status.WITHDRAWN, place=None)
        case ProtectionEnded(reason_code=code):
            return replace(deal, status=Status.EXPIRED) if code == "expired" else deal
        case DealClosed():
            return replace(deal, status=Status.CLOSED)
        case _:
            assert_never(happened)


def _decided(deal: Deal, happened: FindingDecided) -> Deal:
    entered = (happened.account_id,) if happened.verdict == "same" else ()
    return replace(deal, decided=(*deal.decided, happened.account_id), accounts=(*deal.accounts, *entered))


Deals = Decider[Deal, DealEvent](kind="deal", initial=Deal(), evolve=evolve)
