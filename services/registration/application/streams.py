"""The streams that a command writes and reads."""

from collections.abc import Iterable
from typing import Any

from chassis.decider import Stream
from chassis.execution import Slots
from chassis.rulebook import Rules
from contracts.values import AccountId, RegistrationId
from services.registration.domain import partner_reference, rotation
from services.registration.domain.account import Accounts, Group
from services.registration.domain.account_key import AccountKeys
from services.registration.domain.capacity import Capacities, ReleaseSlot
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    CloseDeal,
    DecideFinding,
    MergeDuplicate,
    OnDeal,
    RegisterDeal,
    ResubmitDeal,
    Screens,
    entered,
)
from services.registration.domain.deal_events import Details
from services.registration.domain.dispute import ConcludeDispute, Disputes, FileDispute, OnDispute
from services.registration.domain.exclusion import AddExclusion, EndExclusion, Exclusions
from services.registration.domain.finding import MergeFinding
from services.registration.domain.forgotten import ForgetContact, ForgetDeal, ForgottenOf
from services.registration.domain.grouping import CutParent, LinkParent, staying_of
from services.registration.domain.invitation import (
    AcceptInvitation,
    Invitations,
    InviteParticipant,
    LeaveDeal,
    OnInvitation,
)
from services.registration.domain.kept_mail import Mails, OnMail
from services.registration.domain.lead import Leads
from services.registration.domain.lead_commands import AssignLead, ConvertLead, OnLead, ReleaseLead, SubmitLead
from services.registration.domain.lead_mark import Marks
from services.registration.domain.matching import Candidate
from services.registration.domain.merging import MergeAccounts, SplitAccounts
from services.registration.domain.partner_alias import AliasPartner
from services.registration.domain.partner_facts import Partners
from services.registration.domain.partner_reference import References
from services.registration.domain.partner_tier import TiersOf
from services.registration.domain.rotation import Rotations
from services.registration.domain.submitting import other_heads
from services.registration.domain.trace import TracesOf
from services.registration.domain.track_record import TrackRecords

PROGRAMME, ROUTING = "default", "routing"


# Streams


def deal_and_claims_streams(wish: OnDeal) -> Slots:
    return Deals.at(wish.registration_id), tuple(ClaimsOf.at(account) for account in wish.accounts)


def deal_streams(wish: OnDeal) -> Slots:
    return (Deals.at(wish.registration_id),)


def settling_streams(wish: Screens | RegisterDeal) -> Slots:
    """The deal, every claim that the command may change, and the deals that give way to it."""
    claims = tuple(ClaimsOf.at(account) for account in entered(wish))
    return Deals.at(wish.registration_id), claims, tuple(Deals.at(one.registration_id) for one in wish.gives_way)


def reference_streams(partner_id: str | None, details: Details) -> tuple[Stream, ...]:
    if partner_id is None or details.partner_reference is None:
        return ()
    return (References.at(partner_reference.identity(partner_id, details.partner_reference)),)


def resubmitting_streams(wish: ResubmitDeal) -> Slots:
    return *settling_streams(wish), reference_streams(wish.partner_id, wish.details), traces_streams(wish)


def traces_streams(wish: Screens | RegisterDeal | AddEvidence) -> tuple[Stream, ...]:
    return tuple(TracesOf.at(trace.identity) for trace in wish.traces)


def adding_streams(wish: AddEvidence) -> Slots:
    return *deal_and_claims_streams(wish), traces_streams(wish)


def closing_streams(wish: CloseDeal) -> Slots:
    records = (TrackRecords.at(wish.partner_id),) if wish.partner_id else ()
    return *deal_and_claims_streams(wish), records


def amending_streams(wish: AmendDeal) -> Slots:
    return Deals.at(wish.registration_id), reference_streams(wish.partner_id, wish.details)


def merging_streams(wish: MergeDuplicate) -> Slots:
    accounts = dict.fromkeys((*wish.accounts, *wish.into_accounts))
    return Deals.at(wish.registration_id), Deals.at(wish.into), tuple(ClaimsOf.at(account) for account in accounts)


def book_streams(wish: OnDeal) -> Slots:
    return (Rules.at(wish.programme),)


def around_streams(wish: Screens) -> Slots:
    return *unseen_streams(wish), traces_streams(wish)


def unseen_streams(wish: Screens) -> Slots:
    return (
        Rules.at(wish.programme),
        Partners.at(wish.partner_id),
        Accounts.at(wish.accounts[0]),
        nearby_streams(wish.candidates),
        exclusions_streams(wish.targets),
    )


def exclusions_streams(targets: Iterable[str]) -> tuple[Stream, ...]:
    return tuple(Exclusions.at(target) for target in targets)


def nearby_streams(candidates: Iterable[Candidate]) -> Any:
    return tuple(ClaimsOf.at(candidate.account_id) for candidate in candidates)


def registering_streams(wish: RegisterDeal) -> Slots:
    deal, claims, others = settling_streams(wish)
    keys = tuple(AccountKeys.at(key.identity) for key in wish.keys)
    reference = reference_streams(wish.partner_id, wish.details)
    heads = tuple(Accounts.at(group.root_id) for group in other_heads(wish))
    return (
        deal,
        Accounts.at(wish.accounts[0]),
        keys,
        claims,
        others,
        reference,
        slots_streams(wish),
        traces_streams(wish),
        heads,
    )


def slots_streams(wish: RegisterDeal) -> tuple[Stream, ...]:
    return (capacity_streams(wish.partner_id, wish.slots.quarter),) if wish.slots else ()


def releasing_streams(wish: ReleaseSlot) -> Slots:
    return (tuple(capacity_streams(wish.partner_id, quarter) for quarter in wish.quarters),)


def registering_reads(wish: RegisterDeal) -> Slots:
    around = Rules.at(wish.programme), Partners.at(wish.partner_id), nearby_streams(wish.candidates)
    return *around, exclusions_streams(wish.targets), TiersOf.at(wish.partner_id), TrackRecords.at(wish.partner_id)


def finding_streams(wish: DecideFinding) -> Slots:
    """The deal with its customer and claims, the lines that the claim enters, and the head of the group behind them."""
    deal, claims = deal_and_claims_streams(wish)
    heads = (Accounts.at(wish.group.root_id),) if wish.group and wish.group.root_id != wish.accounts[0] else ()
    return deal, Accounts.at(wish.accounts[0]), claims, lines_streams((wish.account_id, *wish.members)), heads


def merging_accounts_streams(wish: MergeAccounts) -> Slots:
    """Both accounts with their lines, the keys that lead elsewhere, the deals that move, the disputes that open."""
    disputes = tuple(Disputes.at(one.registration_id) for one in wish.collisions)
    return *two_accounts_streams(wish, wish.moved), disputes


def merging_finding_streams(wish: MergeFinding) -> Slots:
    """As of a merge, with the deal of the finding in front."""
    others = tuple(one for one in wish.merge.moved if one != wish.registration_id)
    disputes = tuple(Disputes.at(one.registration_id) for one in wish.merge.collisions)
    return Deals.at(wish.registration_id), *two_accounts_streams(wish.merge, others), disputes


def linking_streams(wish: LinkParent) -> Slots:
    lines = lines_streams(wish.above.accounts), lines_streams(wish.below.accounts)
    disputes = tuple(Disputes.at(one.registration_id) for one in wish.collisions)
    return *_edge(wish.account_id, wish.above), *lines, tuple(Deals.at(one) for one in wish.deals), disputes


def aliasing_streams(wish: AliasPartner) -> Slots:
    opening = tuple(Disputes.at(one.registration_id) for one in wish.collisions)
    return lines_streams(wish.accounts), opening, tuple(Disputes.at(one) for one in wish.settled)


def cutting_streams(wish: CutParent) -> Slots:
    lines = lines_streams(staying_of(wish.group, wish.below)), lines_streams(wish.below)
    disputes = tuple(Disputes.at(one) for one in wish.contested)
    return *_edge(wish.account_id, wish.group), *lines, tuple(Deals.at(one) for one in wish.deals), disputes


def _edge(account_id: AccountId, group: Group) -> tuple[Stream, Stream]:
    """The customer, and the head of the group that it comes into or goes out of."""
    return Accounts.at(account_id), Accounts.at(group.root_id)


def lines_streams(accounts: Iterable[AccountId]) -> tuple[Stream, ...]:
    return tuple(ClaimsOf.at(account) for account in accounts)


def colliding_deals_streams(wish: MergeAccounts | LinkParent | AliasPartner) -> Slots:
    """As the first evaluators read them: without the deals of the older holds."""
    young = tuple(Deals.at(one.deal) for one in wish.collisions)
    return young, tuple(Rules.at(one.programme) for one in wish.collisions)


def colliding_streams(wish: MergeAccounts | LinkParent | AliasPartner) -> Slots:
    elders = dict.fromkeys(elder for one in wish.collisions for elder in one.elders)
    return *colliding_deals_streams(wish), tuple(Deals.at(one) for one in elders)


def splitting_accounts_streams(wish: SplitAccounts) -> Slots:
    return *two_accounts_streams(wish, wish.going), tuple(Disputes.at(one) for one in wish.contested)


def two_accounts_streams(wish: MergeAccounts | SplitAccounts, deals: Iterable[RegistrationId]) -> Slots:
    return (
        Accounts.at(wish.survivor_id),
        Accounts.at(wish.absorbed_id),
        tuple(AccountKeys.at(key.identity) for key in wish.keys),
        ClaimsOf.at(wish.survivor_id),
        ClaimsOf.at(wish.absorbed_id),
        tuple(Deals.at(one) for one in deals),
    )


# Answers


def exclusion_streams(wish: AddExclusion | EndExclusion) -> Slots:
    return (Exclusions.at(wish.target),)


def filed_streams(wish: FileDispute) -> Slots:
    return (Disputes.at(wish.registration_id),)


def dispute_streams(wish: OnDispute) -> Slots:
    return (Disputes.at(wish.dispute_id),)


def disputed_streams(wish: OnDeal) -> Slots:
    return Deals.at(wish.registration_id), Rules.at(wish.programme)


def filing_streams(wish: FileDispute) -> Slots:
    against = tuple(Deals.at(one) for one in wish.against)
    return Deals.at(wish.registration_id), against, Rules.at(wish.programme)


def concluding_streams(wish: ConcludeDispute) -> Slots:
    return Disputes.at(wish.dispute_id), *settling_streams(wish)


# Invitations


def invitation_streams(wish: OnInvitation) -> Slots:
    return (Invitations.at(wish.invitation_id),)


def inviting_streams(wish: InviteParticipant) -> Slots:
    return Invitations.at(wish.invitation_id), Deals.at(wish.registration_id)


def inviting_reads(wish: InviteParticipant) -> Slots:
    return Partners.at(wish.partner_id), Rules.at(wish.programme)


def joining_streams(wish: AcceptInvitation | LeaveDeal) -> Slots:
    return Invitations.at(wish.invitation_id), *deal_and_claims_streams(wish)


def joining_reads(wish: AcceptInvitation) -> Slots:
    return (Partners.at(wish.partner_id),)


# Leads


def routing_of(programme: str) -> str:
    """The rulebook for the leads of a programme: `routing` for the one that every vendor has."""
    return ROUTING if programme == PROGRAMME else f"{ROUTING}.{programme}"


def mail_streams(wish: OnMail) -> Slots:
    return (Mails.at(wish.mail_id),)


def lead_streams(wish: OnLead) -> Slots:
    return (Leads.at(wish.lead_id),)


def lead_rules_streams(wish: OnLead) -> Slots:
    return (Rules.at(wish.rulebook),)


def marking_streams(wish: SubmitLead | ReleaseLead) -> Slots:
    return Leads.at(wish.lead_id), tuple(Marks.at(mark.identity) for mark in wish.marks)


def assigning_streams(wish: AssignLead) -> Slots:
    return Leads.at(wish.lead_id), Rotations.at(rotation.identity(wish.rulebook, wish.now.date()))


def converted_streams(wish: ConvertLead) -> Slots:
    return ((Deals.at(wish.registration_id),) if wish.registration_id else (),)


# Prepared: a registration


def capacity_streams(partner_id: str, quarter: str) -> Stream:
    return Capacities.at(f"{partner_id}.{quarter}")


def forgotten_streams(wish: ForgetContact | ForgetDeal) -> Slots:
    return (ForgottenOf.at(wish.registration_id if isinstance(wish, ForgetDeal) else wish.contact_id),)


def forgotten_reads(wish: ForgetDeal) -> Slots:
    return (Deals.at(wish.registration_id),)
