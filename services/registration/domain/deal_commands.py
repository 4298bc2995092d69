"""What can be asked of a deal."""

from dataclasses import dataclass
from datetime import datetime

from chassis.event import Sealed, command
from contracts.values import (
    AccountId,
    OpportunityId,
    PartnerId,
    ProductLine,
    RegistrationId,
)
from services.registration.domain.account_key import Key
from services.registration.domain.customer import Customer
from services.registration.domain.deal_events import Details
from services.registration.domain.matching import Candidate


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
