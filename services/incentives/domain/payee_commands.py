"""What is asked of a payee.

`revision` is the partner's own, so that an old fact that comes again changes nothing.
"""

from datetime import date, datetime

from chassis.event import Sealed, command
from services.incentives.domain.payee_events import StandingField


@command("incentives.OpenPayee.v1")
class OpenPayee:
    """With `payee_id` a person of that partner."""

    partner_id: str
    revision: int
    now: datetime
    payee_id: str | None = None


@command("incentives.SetPayoutCurrency.v1")
class SetPayoutCurrency:
    payee_id: str
    currency: str | None
    by: str
    now: datetime


@command("incentives.SuspendPayee.v1")
class SuspendPayee:
    """With `payee_id` a person of that partner."""

    partner_id: str
    revision: int
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None = None
    now: datetime
    payee_id: str | None = None


@command("incentives.ReinstatePayee.v1")
class ReinstatePayee:
    """With `payee_id` a person of that partner."""

    partner_id: str
    revision: int
    now: datetime
    payee_id: str | None = None


@command("incentives.RecordStanding.v1")
class RecordStanding:
    partner_id: str
    field: StandingField
    values: tuple[str, ...]
    effective_on: date
    source_event_id: str
    now: datetime


@command("incentives.RecordCertified.v1")
class RecordCertified:
    """`source_position` is onboarding's: which of two words is the newer one."""

    partner_id: str
    certification: str
    count: int
    effective_on: date
    source_event_id: str
    source_position: int
    now: datetime


@command("incentives.ChangeBankDetails.v1")
class ChangeBankDetails:
    payee_id: str
    bank_id: str
    account: Sealed
    fingerprint: str
    by: str
    now: datetime


@command("incentives.VerifyBankDetails.v1")
class VerifyBankDetails:
    payee_id: str
    bank_id: str
    method: str = "second_person"
    by: str
    now: datetime


@command("incentives.SubmitTaxForm.v1")
class SubmitTaxForm:
    """A person's form is `sealed`, as in its event."""

    payee_id: str
    form_id: str
    form: str
    jurisdiction: str
    payee_kind: str
    tax_year: int
    form_sha256: str
    by: str
    now: datetime
    sealed: Sealed | None = None


@command("incentives.ForgetPayee.v1")
class ForgetPayee:
    payee_id: str
    now: datetime


@command("incentives.DecideTaxForm.v1")
class DecideTaxForm:
    payee_id: str
    form_id: str
    outcome: str
    reason: str = ""
    by: str
    now: datetime


@command("incentives.ConsentToPerson.v1")
class ConsentToPerson:
    payee_id: str
    partner_id: str
    by: str
    now: datetime


@command("incentives.EmployPerson.v1")
class EmployPerson:
    """A person acts for a partner from a day on. `primary`: this is the partner that employs it."""

    payee_id: str
    partner_id: str
    primary: bool
    since: date
    now: datetime


@command("incentives.LetPersonGo.v1")
class LetPersonGo:
    payee_id: str
    partner_id: str
    left_on: date
    now: datetime


@command("incentives.BlockPayee.v1")
class BlockPayee:
    payee_id: str
    reason: str
    by: str
    now: datetime


@command("incentives.UnblockPayee.v1")
class UnblockPayee:
    """The first call proposes it, that of a second person confirms it."""

    payee_id: str
    reason: str
    by: str
    now: datetime
