"""What may be asked of a lead. Each command already holds what was looked up for it."""

from datetime import datetime

from chassis.event import LEFT_OUT, LeftOut, Sealed, command, frozen
from contracts.values import OpportunityId, PartnerId, RegistrationId
from services.registration.domain.lead import Enquiry
from services.registration.domain.lead_mark import Mark
from services.registration.domain.routing import Taker


@frozen
class OnLead:
    """What every command on a lead says. `rulebook` names the rules that judge it; `by` is who asks."""

    lead_id: str
    rulebook: str
    by: str
    now: datetime


@command("registration.SubmitLead.v1")
class SubmitLead(OnLead):
    """`marks` are those by which a repeat is known; `seconds` is how long a form was open, None where there was none."""

    number: str
    programme: str
    enquiry: Enquiry
    marks: tuple[Mark, ...] = ()
    mail_domain: str | None = None
    seconds: float | None = None
    trapped: bool = False


@command("registration.AppealLead.v1")
class AppealLead(OnLead):
    statement: Sealed
    partner_id: PartnerId


@command("registration.ReleaseLead.v1")
class ReleaseLead(OnLead):
    marks: tuple[Mark, ...] = ()


@command("registration.AssignLead.v1")
class AssignLead(OnLead):
    """Routed by the rules among `takers`, or `named` by a person. `queue` and the day of `now` count the turns."""

    takers: tuple[Taker, ...] = ()
    incumbents: tuple[PartnerId, ...] = ()
    named: PartnerId | None = None
    by_hand: bool = False


@command("registration.PoolLead.v1")
class PoolLead(OnLead):
    pass


@command("registration.ClaimLead.v1")
class ClaimLead(OnLead):
    """Takes a lead out of the pool."""

    taker: Taker


@command("registration.AcceptLead.v1")
class AcceptLead(OnLead):
    partner_id: PartnerId | None = None


@command("registration.DeclineLead.v1")
class DeclineLead(OnLead):
    reason_code: str
    partner_id: PartnerId | None = None


@command("registration.LapseOffers.v1")
class LapseOffers(OnLead):
    """Takes back the offers that nobody has answered in time."""


@command("registration.ReportProgress.v1")
class ReportProgress(OnLead):
    step: str
    partner_id: PartnerId | None = None


@command("registration.ReturnLead.v1")
class ReturnLead(OnLead):
    reason_code: str
    partner_id: PartnerId | None = None


@command("registration.ReclaimLead.v1")
class ReclaimLead(OnLead):
    """Takes a lead back from who has not said anything in time."""


@command("registration.ConvertLead.v1")
class ConvertLead(OnLead):
    """`one_with` are all partners for which its partner's people act, where these are several: the deal is one of theirs."""

    registration_id: RegistrationId | None = None
    opportunity_id: OpportunityId | None = None
    partner_id: PartnerId | None = None
    one_with: tuple[PartnerId, ...] | LeftOut = LEFT_OUT


@command("registration.ForgetLead.v1")
class ForgetLead(OnLead):
    """The person of the lead, or a court, wants it forgotten."""


@command("registration.CloseLead.v1")
class CloseLead(OnLead):
    """`partner_id` is the partner who asks; None: the vendor. `ended` is the end of the pool that has passed."""

    reason_code: str
    partner_id: PartnerId | None = None
    ended: datetime | None = None
