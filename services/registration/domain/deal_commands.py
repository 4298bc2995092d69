"""What can be asked of a deal."""

from datetime import date, datetime

from chassis.event import LEFT_OUT, LeftOut, Sealed, command, frozen
from contracts.values import (
    AccountId,
    Money,
    OpportunityId,
    PartnerId,
    ProductLine,
    RegistrationId,
)
from services.registration.domain.account import Group
from services.registration.domain.account_key import Key
from services.registration.domain.capacity import SlotsSeen
from services.registration.domain.customer import Customer
from services.registration.domain.deal_events import Details, Evidence
from services.registration.domain.matching import Candidate, IndexSeen
from services.registration.domain.partner_standing import Exclusive
from services.registration.domain.trace import Trace

REPLACED = "replaced"
PROGRAMME = "default"


@frozen
class GivesWay:
    """A deal that ends in the same commit in which another is approved, with its accounts when the command was made.

    Its partner's own successor replaces it; for any other reason it is revoked. With `invitations` it goes on, and those
    who take part in it after them leave.
    """

    registration_id: RegistrationId
    accounts: tuple[AccountId, ...]
    reason_code: str = REPLACED
    invitations: tuple[str, ...] | LeftOut = LEFT_OUT

    @property
    def holds(self) -> tuple[RegistrationId, ...]:
        """The claims that end, by their names."""
        return tuple(RegistrationId(one) for one in self.invitations) if self.invitations else (self.registration_id,)


@command("registration.SaveDraft.v1")
class SaveDraft:
    registration_id: RegistrationId
    number: str
    programme: str
    partner_id: PartnerId
    body: Sealed
    by: str
    now: datetime


@command("registration.RegisterDeal.v1")
class RegisterDeal:
    """`keys` with the accounts they were bound to, and `accounts` that follow from them, the deal's own first.

    Without a role the partner's first one is taken. `replaces` is the partner's own deal that this one is to succeed,
    `targets` what an exclusion of it would be on; `slots` are given where the rules limit how many deals may be open,
    `lead_id` where it comes of a lead; `traces` are what it leaves behind, `lost` the partner's own deals that asked
    otherwise and were lost. A claim on a whole group enters its members, the `group` accounts; `groups` are those whose
    members were seen; `index` is what named the candidates. `in_normal_form` is that of its `Reach`,
    `unsaid` are the fields that hold a default since nobody said them; where it replaces a deal, `one_with` are those
    that its partner absorbed. `in_full`: others hear all of it that is not personal, with `documents` of the documents
    too. `exclusives` are authorisations of others that the rules have looked for.
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
    confidential: bool = False
    replaces: GivesWay | None = None
    targets: tuple[str, ...] = ()
    slots: SlotsSeen | None = None
    lead_id: str | None = None
    traces: tuple[Trace, ...] = ()
    lost: tuple[RegistrationId, ...] = ()
    group: tuple[AccountId, ...] = ()
    groups: tuple[Group, ...] = ()
    now: datetime
    index: IndexSeen | LeftOut = LEFT_OUT
    in_normal_form: bool | LeftOut = LEFT_OUT
    unsaid: tuple[str, ...] | LeftOut = LEFT_OUT
    one_with: tuple[PartnerId, ...] | LeftOut = LEFT_OUT
    in_full: bool | LeftOut = LEFT_OUT
    exclusives: tuple[Exclusive, ...] | LeftOut = LEFT_OUT
    documents: bool | LeftOut = LEFT_OUT

    @property
    def gives_way(self) -> tuple[GivesWay, ...]:
        return (self.replaces,) if self.replaces else ()


@frozen
class OnDeal:
    """What every command on an existing deal says. `accounts` are its accounts when the command was made."""

    registration_id: RegistrationId
    accounts: tuple[AccountId, ...]
    programme: str = PROGRAMME
    now: datetime


@frozen
class Screens(OnDeal):
    """A command that screens the deal again, with the candidates that were found when it was made.

    `gives_way` are the deals that end where it is approved, `targets` what an exclusion of the deal would be on,
    `traces` what it has left behind, `index` what named the candidates. `counts_as`: the partner that its own one is one
    with, where its claim comes into a line that does not know.
    """

    programme: str
    partner_id: PartnerId
    candidates: tuple[Candidate, ...] = ()
    screening_id: str
    gives_way: tuple[GivesWay, ...] = ()
    targets: tuple[str, ...] = ()
    traces: tuple[Trace, ...] = ()
    index: IndexSeen | LeftOut = LEFT_OUT
    counts_as: PartnerId | LeftOut = LEFT_OUT


def entered(wish: Screens | RegisterDeal) -> tuple[AccountId, ...]:
    """Every account whose claims the command may change: the deal's own first, then those of the deals that give way."""
    return tuple(dict.fromkeys((*wish.accounts, *(account for one in wish.gives_way for account in one.accounts))))


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
    """`group`: that of the customer that is the same, where the deal claims a whole group."""

    account_id: AccountId
    verdict: str
    reason: Sealed
    by: str
    group: Group | None = None

    @property
    def members(self) -> tuple[AccountId, ...]:
        """The customers that the claim enters with that one, for belonging to its group."""
        around = self.group.accounts if self.group else ()
        return tuple(one for one in around if one != self.account_id and one not in self.accounts)


@command("registration.ApproveDeal.v1")
class ApproveDeal(Screens):
    """Approves the open step of one of the approver's `roles` (duties count as roles).

    `displaces`: the deals in `gives_way` that hold are to be revoked for it; two people have to say so.
    """

    by: str
    roles: tuple[str, ...] = ()
    displaces: bool = False


@command("registration.RevokeDeal.v1")
class RevokeDeal(OnDeal):
    """The first proposes, a second person revokes. `in_full`: others hear on which documents."""

    reason_code: str
    evidence: tuple[Evidence, ...]
    by: str
    in_full: bool | LeftOut = LEFT_OUT


@command("registration.EscalateReview.v1")
class EscalateReview(Screens):
    pass


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
    partner_id: PartnerId | None = None
    details: Details
    by: str


@command("registration.AddEvidence.v1")
class AddEvidence(OnDeal):
    """`traces` are those of the documents."""

    evidence: tuple[Evidence, ...]
    traces: tuple[Trace, ...] = ()
    by: str


@command("registration.RecordOrder.v1")
class RecordOrder(OnDeal):
    """`recorded_for` is the distributor; absent where the vendor records it."""

    order_ref: str
    amount: Money
    ordered_on: date
    recorded_for: PartnerId | None = None
    by: str


@command("registration.MergeDuplicate.v1")
class MergeDuplicate(OnDeal):
    """This deal is `into`; `into_accounts` are that deal's accounts."""

    into: RegistrationId
    into_accounts: tuple[AccountId, ...]
    by: str


@command("registration.WithdrawDeal.v1")
class WithdrawDeal(OnDeal):
    """`unanswered_since`: only a deal whose answer was due then is meant."""

    reason_code: str
    unanswered_since: datetime | None = None
    by: str


@command("registration.RequestExtension.v1")
class RequestExtension(OnDeal):
    evidence: tuple[Evidence, ...]
    by: str


@command("registration.GrantExtension.v1")
class GrantExtension(OnDeal):
    """`by` is absent where the service grants what nobody answered in time."""

    by: str | None = None


@command("registration.RefuseExtension.v1")
class RefuseExtension(OnDeal):
    reason_code: str
    by: str


@command("registration.NoteActivity.v1")
class NoteActivity(OnDeal):
    kind: str
    source_event_id: str


@command("registration.LinkDeal.v1")
class LinkDeal(OnDeal):
    """Attribution told that a sale is that of the deal."""

    opportunity_id: OpportunityId
    external_id: str | None = None
    source_event_id: str


@command("registration.FlagMissingLink.v1")
class FlagMissingLink(OnDeal):
    """Only the approval of `approved_at` is meant."""

    approved_at: datetime


@command("registration.WarnInactivity.v1")
class WarnInactivity(OnDeal):
    pass


@command("registration.EndProtection.v1")
class EndProtection(OnDeal):
    """With a reason it ends at once, else where its time is over."""

    reason_code: str | None = None


@command("registration.CloseDeal.v1")
class CloseDeal(OnDeal):
    """`partner_id`: whose track record it counts in."""

    result: str
    opportunity_id: OpportunityId
    source_event_id: str
    partner_id: PartnerId | None = None
