"""What happens to a payee."""

from datetime import date, datetime
from typing import Literal

from chassis.event import LEFT_OUT, LeftOut, Sealed, event
from services.incentives.domain.condition import Field
from services.incentives.domain.merging import MergeEvent
from services.incentives.domain.settlement import SettlementEvent

StandingField = Field | Literal["domain"]
"""What a payee has from a day on; its domains are no condition of a plan."""


# Events


@event("incentives.PayeeOpened.v1")
class PayeeOpened:
    """A partner, or a person who works for it: then `payee_id` is the person's and its employer has to consent."""

    payee_id: str
    partner_id: str
    revision: int
    opened_at: datetime


@event("incentives.PayeeSuspended.v1")
class PayeeSuspended:
    """Scopes are those of the partner's suspension; only `payouts` shuts the gate. Without `until` it has no end."""

    payee_id: str
    partner_id: str
    revision: int
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None
    suspended_at: datetime


@event("incentives.PayeeReinstated.v1")
class PayeeReinstated:
    payee_id: str
    partner_id: str
    revision: int
    reinstated_at: datetime


@event("incentives.StandingRecorded.v1")
class StandingRecorded:
    """A tier, certification or region that the payee has from a day on. It replaces the values of the same field."""

    payee_id: str
    partner_id: str
    field: StandingField
    values: tuple[str, ...]
    effective_on: date
    source_event_id: str
    recorded_at: datetime


@event("incentives.CertifiedRecorded.v1")
class CertifiedRecorded:
    """How many of the partner's people hold a certification from a day on. What onboarding says later counts instead."""

    payee_id: str
    partner_id: str
    certification: str
    count: int
    effective_on: date
    source_event_id: str
    source_position: int
    recorded_at: datetime


@event("incentives.BankDetailsChanged.v1")
class BankDetailsChanged:
    """Where money goes from now on. The account is sealed; `fingerprint` tells equal accounts without naming them."""

    payee_id: str
    partner_id: str
    bank_id: str
    account: Sealed
    fingerprint: str
    changed_by: str
    changed_at: datetime


@event("incentives.BankDetailsVerified.v1")
class BankDetailsVerified:
    """Method: second_person or test_deposit."""

    payee_id: str
    partner_id: str
    bank_id: str
    method: str
    verified_by: str
    verified_at: datetime


@event("incentives.TaxFormSubmitted.v1")
class TaxFormSubmitted:
    """Which form it is, and the SHA-256 of its file; of a person both are `sealed`, a line each, and empty here."""

    payee_id: str
    partner_id: str
    form_id: str
    form: str
    jurisdiction: str
    payee_kind: str
    tax_year: int
    form_sha256: str
    submitted_by: str
    submitted_at: datetime
    sealed: Sealed | LeftOut = LEFT_OUT


@event("incentives.TaxFormDecided.v1")
class TaxFormDecided:
    """Outcome: accepted or rejected, with its reason."""

    payee_id: str
    partner_id: str
    form_id: str
    outcome: str
    reason: str
    decided_by: str
    decided_at: datetime


@event("incentives.PersonConsented.v1")
class PersonConsented:
    """The employer agrees that its person is paid."""

    payee_id: str
    partner_id: str
    consented_by: str
    consented_at: datetime


@event("incentives.EmployerChanged.v1")
class EmployerChanged:
    """A person works for another partner, or for the same one again, which has to consent anew."""

    payee_id: str
    partner_id: str
    former_id: str
    since: date
    changed_at: datetime


@event("incentives.PersonLeft.v1")
class PersonLeft:
    """A person works for the partner no more. What was earned stays payable, by the consent that there is."""

    payee_id: str
    partner_id: str
    left_on: date
    recorded_at: datetime


@event("incentives.PayeeBlocked.v1")
class PayeeBlocked:
    payee_id: str
    partner_id: str
    reason: str
    blocked_by: str
    blocked_at: datetime


@event("incentives.UnblockProposed.v1")
class UnblockProposed:
    payee_id: str
    partner_id: str
    reason: str
    proposed_by: str
    proposed_at: datetime


@event("incentives.PayeeUnblocked.v1")
class PayeeUnblocked:
    payee_id: str
    partner_id: str
    confirmed_by: str
    unblocked_at: datetime


@event("incentives.PayoutCurrencySet.v1")
class PayoutCurrencySet:
    """What is earned from now on is paid in this currency; None: in that of each plan."""

    payee_id: str
    partner_id: str
    currency: str | None
    set_by: str
    set_at: datetime


@event("incentives.PayeeReviewOpened.v1")
class PayeeReviewOpened:
    """A case makes the payee's payments wait."""

    payee_id: str
    partner_id: str
    case_id: str
    opened_at: datetime


@event("incentives.PayeeReviewClosed.v1")
class PayeeReviewClosed:
    """The case is closed; `others_open` says whether another one still makes payments wait."""

    payee_id: str
    partner_id: str
    case_id: str
    others_open: bool
    closed_at: datetime


@event("incentives.PayeeForgotten.v1")
class PayeeForgotten:
    """A person is forgotten: nothing is paid to it any more. `partner_id` is empty of who was no payee yet."""

    payee_id: str
    partner_id: str
    forgotten_at: datetime


@event("incentives.PaperForgotten.v1")
class PaperForgotten:
    """The key of bank details or of a tax form is destroyed: `paper_id` names it, as its subject."""

    payee_id: str
    partner_id: str
    paper_id: str
    forgotten_at: datetime


@event("incentives.PaymentPassedGates.v1")
class PaymentPassedGates:
    """A payment was handed over to the provider, and every gate of its payee was open: what shuts one later came later."""

    payee_id: str
    partner_id: str
    payment_id: str
    passed_at: datetime


Forgetting = PayeeForgotten | PaperForgotten
Paperwork = BankDetailsChanged | BankDetailsVerified | TaxFormSubmitted | TaxFormDecided | PersonConsented
Employment = EmployerChanged | PersonLeft
Blocking = PayeeBlocked | UnblockProposed | PayeeUnblocked
Reviewing = PayeeReviewOpened | PayeeReviewClosed
PayeeEvent = (
    PayeeOpened
    | Employment
    | PayeeSuspended
    | PayeeReinstated
    | StandingRecorded
    | CertifiedRecorded
    | PayoutCurrencySet
    | Paperwork
    | Blocking
    | Reviewing
    | Forgetting
    | PaymentPassedGates
    | SettlementEvent
    | MergeEvent
)
