"""What registration can do: every command with the streams it touches, and how those that need facts are prepared."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Protocol

from chassis.case import Stage
from chassis.decider import NotFound, Stream
from chassis.event import human_number, iso, stable_id
from chassis.execution import Handles, Peek, Slots
from chassis.rulebook import Kind, Rulebook, Rules
from contracts.values import AccountId, PartnerId, ProductLine, RegistrationId
from services.registration.domain import availability, partner_reference, rotation
from services.registration.domain.account import (
    Account,
    Accounts,
    AddKey,
    ConfirmIdentity,
    Group,
    add_key,
    confirm_identity,
)
from services.registration.domain.account_key import DOMAIN, AccountKey, AccountKeys, Key, keys_of, own_keys
from services.registration.domain.approving import approve_deal, escalate_review, revoke_deal
from services.registration.domain.availability import CheckCustomer, Checks, check_customer
from services.registration.domain.capacity import (
    Capacities,
    Capacity,
    ReleaseSlot,
    SlotsSeen,
    quarter_of,
    quarters_before,
    release_slot,
)
from services.registration.domain.claim import Claim
from services.registration.domain.claims import Claims, ClaimsOf, collisions
from services.registration.domain.concluding import LOST_DISPUTE, conclude_dispute
from services.registration.domain.customer import Customer
from services.registration.domain.deal import OPEN, Deal, Deals, PartnerUnknown, Status
from services.registration.domain.deal_commands import (
    AddEvidence,
    AmendDeal,
    ApproveDeal,
    CloseDeal,
    DecideFinding,
    EndProtection,
    EscalateReview,
    GivesWay,
    GrantExtension,
    MergeDuplicate,
    NoteActivity,
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
    Screens,
    WarnInactivity,
    WithdrawDeal,
    entered,
)
from services.registration.domain.deal_events import Details
from services.registration.domain.deal_notes import AddNote, DealNotes, add_note
from services.registration.domain.dispute import (
    AppealDispute,
    ConcludeDispute,
    DecideDispute,
    Dispute,
    Disputes,
    FileDispute,
    HearDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
    appeal_dispute,
    decide_dispute,
    file_dispute,
    hear_dispute,
    request_dispute_evidence,
    show_dispute_evidence,
    withdraw_dispute,
)
from services.registration.domain.ending import close_deal, merge_duplicate, withdraw_deal
from services.registration.domain.exclusion import (
    ACCOUNT,
    AddExclusion,
    EndExclusion,
    Exclusions,
    add_exclusion,
    end_exclusion,
    entries,
    family_targets,
)
from services.registration.domain.fitting import missing
from services.registration.domain.grouping import (
    CutParent,
    LinkParent,
    claiming,
    collided,
    crossing,
    cut_parent,
    link_parent,
    staying_of,
    subtree,
)
from services.registration.domain.judging import in_force, rules_of
from services.registration.domain.keeping import add_evidence, amend_deal, record_order
from services.registration.domain.lead import Lead, Leads
from services.registration.domain.lead_commands import (
    AcceptLead,
    AppealLead,
    AssignLead,
    ClaimLead,
    CloseLead,
    ConvertLead,
    DeclineLead,
    ForgetLead,
    LapseOffers,
    OnLead,
    PoolLead,
    ReclaimLead,
    ReleaseLead,
    ReportProgress,
    ReturnLead,
    SubmitLead,
)
from services.registration.domain.lead_gate import appeal_lead, release_lead, submit_lead
from services.registration.domain.lead_mark import Marks
from services.registration.domain.matching import Candidate
from services.registration.domain.merging import (
    Collision,
    MergeAccounts,
    SplitAccounts,
    Target,
    going_of,
    merge_accounts,
    split_accounts,
)
from services.registration.domain.offering import (
    accept_lead,
    assign_lead,
    claim_lead,
    decline_lead,
    lapse_offers,
    pool_lead,
)
from services.registration.domain.overlap import GROUP
from services.registration.domain.partner_facts import Partners, RecordPartnerFacts, record_partner_facts
from services.registration.domain.partner_reference import References
from services.registration.domain.partner_tier import RecordPartnerTier, TiersOf, record_partner_tier
from services.registration.domain.protecting import (
    end_protection,
    grant_extension,
    note_activity,
    refuse_extension,
    request_extension,
    warn_inactivity,
)
from services.registration.domain.pursuing import (
    close_lead,
    convert_lead,
    forget_lead,
    reclaim_lead,
    report_progress,
    return_lead,
)
from services.registration.domain.reviewing import (
    decide_finding,
    promote_deal,
    queue_deal,
    reject_deal,
    return_deal,
)
from services.registration.domain.rotation import Rotations
from services.registration.domain.routing import LEAD_RULES, Taker
from services.registration.domain.rules import ASKED, Matching, Step
from services.registration.domain.screening import DEAL_RULES, Facts, Screening, competitor, screen
from services.registration.domain.submitting import (
    background_of,
    claim_of,
    facts_of,
    open_deals,
    other_heads,
    register_deal,
    resubmit_deal,
    save_draft,
)
from services.registration.domain.trace import Trace, TracesOf, traces_of
from services.registration.domain.track_record import TrackRecords

KINDS: dict[str, Kind[Any, Any]] = {DEAL_RULES.name: DEAL_RULES, LEAD_RULES.name: LEAD_RULES}
PROGRAMME, ROUTING = "default", "routing"
SHARED_KEY, CONTRADICTED_DOMAIN = "shared_key", "contradicted_domain"
LOST = (Status.REJECTED, Status.REVOKED)


# Ports


@dataclass(frozen=True, kw_only=True)
class GivenIdentifier:
    scheme: str
    value: str
    country: str | None = None


@dataclass(frozen=True, kw_only=True)
class GivenCustomer:
    """A customer as it was typed in."""

    name: str
    country: str
    trade_names: tuple[str, ...] = ()
    region: str | None = None
    postcode: str | None = None
    street: str | None = None
    website: str | None = None
    identifiers: tuple[GivenIdentifier, ...] = ()


class CustomerReader(Protocol):
    """Finds what libraries can find in a customer as typed."""

    def read(self, given: GivenCustomer) -> Customer:
        """Checked identifiers, registrable domain, names in normal form. Raises Invalid naming the field."""
        ...


class AccountIndex(Protocol):
    """Knows every account by name, also a little late."""

    async def near(self, tenant: str, customer: Customer, accounts: Iterable[AccountId]) -> tuple[Candidate, ...]:
        """Accounts that resemble the customer or are linked to `accounts`, most alike first, ten at most."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    customers: CustomerReader
    accounts: AccountIndex


# Streams


def _deal_and_claims(wish: OnDeal) -> Slots:
    return Deals.at(wish.registration_id), tuple(ClaimsOf.at(account) for account in wish.accounts)


def _deal(wish: OnDeal) -> Slots:
    return (Deals.at(wish.registration_id),)


def _settling(wish: Screens | RegisterDeal) -> Slots:
    """The deal, every claim that the command may change, and the deals that give way to it."""
    claims = tuple(ClaimsOf.at(account) for account in entered(wish))
    return Deals.at(wish.registration_id), claims, tuple(Deals.at(one.registration_id) for one in wish.gives_way)


def _reference(partner_id: str | None, details: Details) -> tuple[Stream, ...]:
    if partner_id is None or details.partner_reference is None:
        return ()
    return (References.at(partner_reference.identity(partner_id, details.partner_reference)),)


def _resubmitting(wish: ResubmitDeal) -> Slots:
    return *_settling(wish), _reference(wish.partner_id, wish.details), _traces(wish)


def _traces(wish: Screens | RegisterDeal | AddEvidence) -> tuple[Stream, ...]:
    return tuple(TracesOf.at(trace.identity) for trace in wish.traces)


def _adding(wish: AddEvidence) -> Slots:
    return *_deal_and_claims(wish), _traces(wish)


def _closing(wish: CloseDeal) -> Slots:
    records = (TrackRecords.at(wish.partner_id),) if wish.partner_id else ()
    return *_deal_and_claims(wish), records


def _amending(wish: AmendDeal) -> Slots:
    return Deals.at(wish.registration_id), _reference(wish.partner_id, wish.details)


def _merging(wish: MergeDuplicate) -> Slots:
    accounts = dict.fromkeys((*wish.accounts, *wish.into_accounts))
    return Deals.at(wish.registration_id), Deals.at(wish.into), tuple(ClaimsOf.at(account) for account in accounts)


def _book(wish: OnDeal) -> Slots:
    return (Rules.at(wish.programme),)


def _around(wish: Screens) -> Slots:
    return *_unseen(wish), _traces(wish)


def _unseen(wish: Screens) -> Slots:
    return (
        Rules.at(wish.programme),
        Partners.at(wish.partner_id),
        Accounts.at(wish.accounts[0]),
        _nearby(wish.candidates),
        _exclusions(wish.targets),
    )


def _exclusions(targets: Iterable[str]) -> tuple[Stream, ...]:
    return tuple(Exclusions.at(target) for target in targets)


def _nearby(candidates: Iterable[Candidate]) -> Any:
    return tuple(ClaimsOf.at(candidate.account_id) for candidate in candidates)


def _registering(wish: RegisterDeal) -> Slots:
    deal, claims, others = _settling(wish)
    keys = tuple(AccountKeys.at(key.identity) for key in wish.keys)
    reference = _reference(wish.partner_id, wish.details)
    heads = tuple(Accounts.at(group.root_id) for group in other_heads(wish))
    return deal, Accounts.at(wish.accounts[0]), keys, claims, others, reference, _slots(wish), _traces(wish), heads


def _slots(wish: RegisterDeal) -> tuple[Stream, ...]:
    return (_capacity(wish.partner_id, wish.slots.quarter),) if wish.slots else ()


def _releasing(wish: ReleaseSlot) -> Slots:
    return (tuple(_capacity(wish.partner_id, quarter) for quarter in wish.quarters),)


def _registering_reads(wish: RegisterDeal) -> Slots:
    around = Rules.at(wish.programme), Partners.at(wish.partner_id), _nearby(wish.candidates)
    return *around, _exclusions(wish.targets), TiersOf.at(wish.partner_id), TrackRecords.at(wish.partner_id)


def _finding(wish: DecideFinding) -> Slots:
    deal, claims = _deal_and_claims(wish)
    return deal, Accounts.at(wish.accounts[0]), claims, ClaimsOf.at(wish.account_id)


def _merging_accounts(wish: MergeAccounts) -> Slots:
    """Both accounts with their lines, the keys that lead elsewhere, the deals that move, the disputes that open."""
    disputes = tuple(Disputes.at(one.registration_id) for one in wish.collisions)
    return *_two_accounts(wish, wish.moved), disputes


def _linking(wish: LinkParent) -> Slots:
    lines = _lines(wish.above.accounts), _lines(wish.below.accounts)
    disputes = tuple(Disputes.at(one.registration_id) for one in wish.collisions)
    return *_edge(wish.account_id, wish.above), *lines, tuple(Deals.at(one) for one in wish.deals), disputes


def _cutting(wish: CutParent) -> Slots:
    lines = _lines(staying_of(wish.group, wish.below)), _lines(wish.below)
    disputes = tuple(Disputes.at(one) for one in wish.contested)
    return *_edge(wish.account_id, wish.group), *lines, tuple(Deals.at(one) for one in wish.deals), disputes


def _edge(account_id: AccountId, group: Group) -> tuple[Stream, Stream]:
    """The customer, and the head of the group that it comes into or goes out of."""
    return Accounts.at(account_id), Accounts.at(group.root_id)


def _lines(accounts: Iterable[AccountId]) -> tuple[Stream, ...]:
    return tuple(ClaimsOf.at(account) for account in accounts)


def _colliding(wish: MergeAccounts | LinkParent) -> Slots:
    young = tuple(Deals.at(one.registration_id) for one in wish.collisions)
    return young, tuple(Rules.at(one.programme) for one in wish.collisions)


def _splitting_accounts(wish: SplitAccounts) -> Slots:
    return *_two_accounts(wish, wish.going), tuple(Disputes.at(one) for one in wish.contested)


def _two_accounts(wish: MergeAccounts | SplitAccounts, deals: Iterable[RegistrationId]) -> Slots:
    return (
        Accounts.at(wish.survivor_id),
        Accounts.at(wish.absorbed_id),
        tuple(AccountKeys.at(key.identity) for key in wish.keys),
        ClaimsOf.at(wish.survivor_id),
        ClaimsOf.at(wish.absorbed_id),
        tuple(Deals.at(one) for one in deals),
    )


# Answers


def answer(_: Any, deal: Deal, *__: Any) -> dict[str, Any]:
    """Where the deal stands now, as its partner may know it."""
    first = deal.first
    return {
        "registration_id": first.registration_id,
        "number": first.number,
        "partner_id": first.partner_id,
        "account_id": first.accounts[0],
        "status": deal.status.value,
        "reasons": [{"code": reason.code, "text": reason.text} for reason in deal.reasons],
        "place": deal.place,
        "free_from": iso(deal.free_on) if deal.free_on else None,
        "protection": {"start": iso(deal.protection.start), "end": iso(deal.protection.end)}
        if deal.protection
        else None,
    }


def looked_at(wish: Any, deal: Deal, *rest: Any) -> dict[str, Any]:
    """As `answer`, with the screening that the deal stands on and the steps that still wait for somebody."""
    screening_id = deal.screened.screening_id if deal.screened else None
    return {**answer(wish, deal, *rest), "screening_id": screening_id, "open_steps": list(deal.review.steps)}


def drafted(wish: Any, deal: Deal) -> dict[str, Any]:
    """A draft as its partner knows it."""
    return {"registration_id": wish.registration_id, "number": deal.header["number"], "status": deal.status.value}


def withdrawn(wish: WithdrawDeal, deal: Deal, *rest: Any) -> dict[str, Any]:
    """A deal, or a draft that nobody ever saw."""
    return answer(wish, deal, *rest) if deal.registered else drafted(wish, deal)


def _exclusion(wish: AddExclusion | EndExclusion) -> Slots:
    return (Exclusions.at(wish.target),)


def excluded(wish: AddExclusion | EndExclusion, _: Any) -> dict[str, Any]:
    """The entry as it is named from now on."""
    return {"exclusion_id": wish.exclusion_id, "target": wish.target}


def _dispute(wish: OnDeal) -> Slots:
    return (Disputes.at(wish.registration_id),)


def _disputed(wish: OnDeal) -> Slots:
    return Deals.at(wish.registration_id), Rules.at(wish.programme)


def _filing(wish: FileDispute) -> Slots:
    against = tuple(Deals.at(one) for one in wish.against)
    return Deals.at(wish.registration_id), against, Rules.at(wish.programme)


def _concluding(wish: ConcludeDispute) -> Slots:
    return Disputes.at(wish.registration_id), *_settling(wish)


def case_of(wish: Any, dispute: Dispute, *_: Any) -> dict[str, Any]:
    """Where the dispute stands."""
    case = dispute.case
    due_at = iso(case.due_at) if case.due_at else None
    return {"dispute_id": wish.registration_id, "stage": case.stage.value, "due_at": due_at}


def appealed(wish: AppealDispute, dispute: Dispute, *_: Any) -> dict[str, Any]:
    """As `case_of`, by the deal of who appeals."""
    return {**case_of(wish, dispute), "dispute_id": wish.holder or wish.registration_id}


def merged(wish: MergeAccounts, *_: Any) -> dict[str, Any]:
    """The merge by its name, with which it is taken back, and the deals whose holds are contested now."""
    contested = sorted({one for pair in wish.collisions for one in (pair.registration_id, *pair.against)})
    return {"merge_id": wish.merge_id, "account_id": wish.survivor_id, "moved": wish.moved, "contested": contested}


def linked(wish: LinkParent, *_: Any) -> dict[str, Any]:
    """The edge by its name, and the deals whose holds are contested now."""
    contested = sorted({one for pair in wish.collisions for one in (pair.registration_id, *pair.against)})
    edge = {"account_id": wish.account_id, "parent_id": wish.parent_id, "root_id": wish.above.root_id}
    return {"link_id": wish.link_id, **edge, "contested": contested}


def cut(wish: CutParent, *_: Any) -> dict[str, Any]:
    """The customer that stands by itself again, with what belongs to it."""
    return {"account_id": wish.account_id, "members": wish.below[1:]}


def split(wish: SplitAccounts, *_: Any) -> dict[str, Any]:
    """The account that stands by itself again, with its claims."""
    return {"merge_id": wish.merge_id, "account_id": wish.absorbed_id, "returned": wish.going}


def keyed(wish: AddKey, account: Account, key: AccountKey) -> dict[str, Any]:
    """The key and the accounts that it leads to."""
    return {"scheme": wish.key.scheme, "value": wish.key.value, "accounts": key.accounts}


# Leads


def routing_of(programme: str) -> str:
    """The rulebook for the leads of a programme: `routing` for the one that every vendor has."""
    return ROUTING if programme == PROGRAMME else f"{ROUTING}.{programme}"


def _lead(wish: OnLead) -> Slots:
    return (Leads.at(wish.lead_id),)


def _lead_rules(wish: OnLead) -> Slots:
    return (Rules.at(wish.rulebook),)


def _marking(wish: SubmitLead | ReleaseLead) -> Slots:
    return Leads.at(wish.lead_id), tuple(Marks.at(mark.identity) for mark in wish.marks)


def _assigning(wish: AssignLead) -> Slots:
    return Leads.at(wish.lead_id), Rotations.at(rotation.identity(wish.rulebook, wish.now.date()))


def _converted(wish: ConvertLead) -> Slots:
    return ((Deals.at(wish.registration_id),) if wish.registration_id else (),)


def lead_answer(wish: OnLead, lead: Lead, *_: Any) -> dict[str, Any]:
    """Where the lead stands, for who asked."""
    state = lead.standing.value
    return {"lead_id": wish.lead_id, "number": lead.first.number, "status": state, "held": list(lead.first.held)}


LEAD_HANDLES = (
    Handles(SubmitLead, submit_lead, streams=_marking, reads=_lead_rules, answer=lead_answer),
    Handles(AppealLead, appeal_lead, streams=_lead, answer=lead_answer),
    Handles(ReleaseLead, release_lead, streams=_marking, answer=lead_answer),
    Handles(AssignLead, assign_lead, streams=_assigning, reads=_lead_rules, answer=lead_answer),
    Handles(PoolLead, pool_lead, streams=_lead, reads=_lead_rules, answer=lead_answer),
    Handles(ClaimLead, claim_lead, streams=_lead, reads=_lead_rules, answer=lead_answer),
    Handles(AcceptLead, accept_lead, streams=_lead, reads=_lead_rules, answer=lead_answer),
    Handles(DeclineLead, decline_lead, streams=_lead, answer=lead_answer),
    Handles(LapseOffers, lapse_offers, streams=_lead, answer=lead_answer),
    Handles(ReportProgress, report_progress, streams=_lead, reads=_lead_rules, answer=lead_answer),
    Handles(ReturnLead, return_lead, streams=_lead, answer=lead_answer),
    Handles(ReclaimLead, reclaim_lead, streams=_lead, answer=lead_answer),
    Handles(ConvertLead, convert_lead, streams=_lead, reads=_converted, answer=lead_answer),
    Handles(CloseLead, close_lead, streams=_lead, answer=lead_answer),
    Handles(ForgetLead, forget_lead, streams=_lead, answer=lambda c, _: {"lead_id": c.lead_id, "forgotten": True}),
)
HANDLES = (
    *LEAD_HANDLES,
    Handles(SaveDraft, save_draft, streams=_deal, answer=drafted),
    Handles(RegisterDeal, register_deal, streams=_registering, reads=_registering_reads, answer=answer),
    Handles(ReturnDeal, return_deal, streams=_deal, reads=_book, answer=answer),
    Handles(ResubmitDeal, resubmit_deal, streams=_resubmitting, reads=_unseen, answer=answer),
    Handles(AmendDeal, amend_deal, streams=_amending, reads=_book, answer=answer),
    Handles(AddEvidence, add_evidence, streams=_adding, answer=answer),
    Handles(RecordOrder, record_order, streams=_deal, answer=answer),
    Handles(DecideFinding, decide_finding, streams=_finding, answer=answer),
    Handles(ApproveDeal, approve_deal, streams=_settling, reads=_around, answer=looked_at),
    Handles(RevokeDeal, revoke_deal, streams=_deal_and_claims, reads=_book, answer=answer),
    Handles(EscalateReview, escalate_review, streams=_settling, reads=_around, answer=answer),
    Handles(RejectDeal, reject_deal, streams=_deal_and_claims, reads=_book, answer=answer),
    Handles(QueueDeal, queue_deal, streams=_settling, reads=_around, answer=answer),
    Handles(PromoteDeal, promote_deal, streams=_settling, reads=_around, answer=answer),
    Handles(WithdrawDeal, withdraw_deal, streams=_deal_and_claims, reads=_book, answer=withdrawn),
    Handles(MergeDuplicate, merge_duplicate, streams=_merging, reads=_book, answer=answer),
    Handles(
        AddNote,
        add_note,
        streams=lambda c: (DealNotes.at(c.registration_id),),
        reads=lambda c: (Deals.at(c.registration_id),),
        answer=lambda c, _: {"note_id": c.note_id},
    ),
    Handles(RequestExtension, request_extension, streams=_deal_and_claims, reads=_book, answer=answer),
    Handles(GrantExtension, grant_extension, streams=_deal, reads=_book, answer=answer),
    Handles(RefuseExtension, refuse_extension, streams=_deal_and_claims, reads=_book, answer=answer),
    Handles(NoteActivity, note_activity, streams=_deal),
    Handles(WarnInactivity, warn_inactivity, streams=_deal, reads=_book),
    Handles(EndProtection, end_protection, streams=_deal_and_claims, reads=_book, answer=answer),
    Handles(CloseDeal, close_deal, streams=_closing, reads=_book, answer=answer),
    Handles(ConfirmIdentity, confirm_identity, streams=lambda c: (Accounts.at(c.account_id),)),
    Handles(
        AddKey, add_key, streams=lambda c: (Accounts.at(c.account_id), AccountKeys.at(c.key.identity)), answer=keyed
    ),
    Handles(MergeAccounts, merge_accounts, streams=_merging_accounts, reads=_colliding, answer=merged),
    Handles(SplitAccounts, split_accounts, streams=_splitting_accounts, answer=split),
    Handles(LinkParent, link_parent, streams=_linking, reads=_colliding, answer=linked),
    Handles(CutParent, cut_parent, streams=_cutting, answer=cut),
    Handles(
        CheckCustomer,
        check_customer,
        streams=lambda c: (Checks.at(c.day),),
        answer=lambda c, _: availability.answer(c),
    ),
    Handles(FileDispute, file_dispute, streams=_dispute, reads=_filing, answer=case_of),
    Handles(RequestDisputeEvidence, request_dispute_evidence, streams=_dispute, reads=_disputed, answer=case_of),
    Handles(ShowDisputeEvidence, show_dispute_evidence, streams=_dispute, reads=_disputed, answer=case_of),
    Handles(HearDispute, hear_dispute, streams=_dispute, reads=_disputed),
    Handles(DecideDispute, decide_dispute, streams=_dispute, reads=_disputed, answer=case_of),
    Handles(AppealDispute, appeal_dispute, streams=_dispute, reads=_disputed, answer=appealed),
    Handles(WithdrawDispute, withdraw_dispute, streams=_dispute, answer=case_of),
    Handles(ConcludeDispute, conclude_dispute, streams=_concluding, reads=_around),
    Handles(ReleaseSlot, release_slot, streams=_releasing),
    Handles(AddExclusion, add_exclusion, streams=_exclusion, answer=excluded),
    Handles(EndExclusion, end_exclusion, streams=_exclusion, answer=excluded),
    Handles(RecordPartnerFacts, record_partner_facts, streams=lambda c: (Partners.at(c.partner_id),)),
    Handles(RecordPartnerTier, record_partner_tier, streams=lambda c: (TiersOf.at(c.partner_id),)),
)


# Prepared: a registration


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a partner submits, before it is known whose customer it is."""

    registration_id: RegistrationId
    programme: str
    partner_id: PartnerId
    customer: Customer
    products: tuple[ProductLine, ...]
    role: str | None
    deal_type: str
    scope: str
    details: Details
    confidential: bool = False
    replaces: RegistrationId | None = None
    lead_id: str | None = None
    screening_id: str
    by: str
    now: datetime


async def prepare_registration(peek: Peek, index: AccountIndex, tenant: str, wish: Submission) -> RegisterDeal:
    """Finds the accounts that the customer's keys belong to, and those that resemble it."""
    keys = await _bound_keys(peek, wish)
    named, contradicted = await _accounts(peek, wish, keys)
    groups = tuple([await _group(peek, one) for one in named]) if wish.scope == GROUP else ()
    accounts = tuple(dict.fromkeys((*named, *(one for group in groups for one in group.accounts))))
    candidates = await index.near(tenant, wish.customer, (*accounts, *contradicted))
    opens = all(key.account_id is None for key in keys)
    here = accounts if opens else await _with_absorbed(peek, accounts)
    traces = await _left_behind(peek, wish)
    return RegisterDeal(
        registration_id=wish.registration_id,
        number=human_number("R", wish.registration_id),
        programme=wish.programme,
        partner_id=wish.partner_id,
        customer=wish.customer,
        products=wish.products,
        role=wish.role,
        deal_type=wish.deal_type,
        scope=wish.scope,
        details=wish.details,
        keys=keys,
        accounts=accounts,
        candidates=(*contradicted.values(), *candidates),
        screening_id=wish.screening_id,
        submitted_by=wish.by,
        confidential=wish.confidential,
        replaces=await _giving_way(peek, wish.replaces),
        targets=targets_of(here, wish.customer, wish.products),
        slots=await _slots_seen(peek, wish),
        lead_id=wish.lead_id,
        traces=traces,
        lost=await _lost(peek, wish, traces),
        group=accounts[len(named) :],
        groups=tuple(dict.fromkeys(groups)),
        now=wish.now,
    )


async def _group(peek: Peek, account_id: AccountId) -> Group:
    """The group that an account belongs to: itself, where it belongs to none."""
    head: Account = await peek(Accounts.at(account_id))
    if head.parent is not None:
        return await _group(peek, head.parent)
    return Group(root_id=account_id, members=head.members, changes=head.group_changes)


async def _left_behind(peek: Peek, wish: Submission) -> tuple[Trace, ...]:
    """What the registration leaves behind under the rules in force."""
    version = (await peek(Rules.at(wish.programme))).in_force(wish.now)
    if version is None:
        return ()
    documents = (one.sha256 for one in wish.details.evidence)
    return traces_of(wish.customer, wish.partner_id, documents, DEAL_RULES.read(version.body))


async def _lost(peek: Peek, wish: Submission, traces: Iterable[Trace]) -> tuple[RegistrationId, ...]:
    """The partner's deals with this customer that were lost, and that named another country or role."""
    asked = await peek.all([TracesOf.at(trace.identity) for trace in traces if trace.kind == ASKED])
    if not any(state.left for state in asked):
        return ()
    role = wish.role or (await peek(Partners.at(wish.partner_id))).first_role
    mine = (role, wish.customer.country)
    other = {left.registration_id for state in asked for left in state.left if (left.role, left.country) != mine}
    lost = [one for one in sorted(other) if (await peek(Deals.at(one))).status in LOST]
    return tuple(lost)


def asked_for(wish: Submission) -> tuple[Stream, ...]:
    """The streams of a registration whose customer nobody has registered yet."""
    account = _new_account(wish)
    return (
        Deals.at(wish.registration_id),
        Accounts.at(account),
        ClaimsOf.at(account),
        *(AccountKeys.at(key.identity) for key in own_keys(wish.customer)),
        *_exclusions(targets_of((account,), wish.customer, wish.products)),
        *_reference(wish.partner_id, wish.details),
    )


def _new_account(wish: Submission) -> AccountId:
    return AccountId(stable_id("account", wish.registration_id))


def targets_of(accounts: Iterable[str], customer: Customer, products: Iterable[ProductLine]) -> tuple[str, ...]:
    """Everything that an exclusion of such a deal could be on."""
    families = (target for line in products for target in family_targets(line.family))
    named = (f"{ACCOUNT}:{account}" for account in accounts)
    return tuple(dict.fromkeys((*named, *(f"{key.scheme}:{key.value}" for key in own_keys(customer)), *families)))


async def _with_absorbed(peek: Peek, accounts: Iterable[AccountId]) -> tuple[AccountId, ...]:
    """The accounts, and those that they absorbed: what was said of these counts too."""
    known = tuple(accounts)
    states: list[Account] = await peek.all([Accounts.at(one) for one in known])
    absorbed = tuple(merge.absorbed_id for state in states for merge in state.merges)
    return (*known, *(await _with_absorbed(peek, absorbed) if absorbed else ()))


async def _slots_seen(peek: Peek, wish: Submission) -> SlotsSeen | None:
    """The partner's slots of this quarter; None where the rules do not count.

    Deals are read only where no slot is left, or the quarter is new: else a registration costs the same however many
    deals are open.
    """
    version = (await peek(Rules.at(wish.programme))).in_force(wish.now)
    rules = DEAL_RULES.read(version.body) if version else None
    if rules is None or not rules.counts_open:
        return None
    quarter = quarter_of(wish.now)
    state: Capacity = await peek(_capacity(wish.partner_id, quarter))
    if state.taken is None:
        before = await peek.all([_capacity(wish.partner_id, one) for one in quarters_before(quarter)])
        last: tuple[RegistrationId, ...] = next((one.taken for one in before if one.taken is not None), ())
        return SlotsSeen(quarter=quarter, carried=await _still_open(peek, last))
    limit = rules.capacity_of(await _levels(peek, wish))
    if limit is None or len(state.taken) < limit:
        return SlotsSeen(quarter=quarter)
    still_open = await _still_open(peek, state.taken)
    return SlotsSeen(quarter=quarter, closed=tuple(one for one in state.taken if one not in set(still_open)))


def _capacity(partner_id: str, quarter: str) -> Stream:
    return Capacities.at(f"{partner_id}.{quarter}")


async def _levels(peek: Peek, wish: Submission) -> tuple[str, ...]:
    """The tiers that the partner is in on this day."""
    tiers = await peek(TiersOf.at(wish.partner_id))
    return tuple(one.level for one in tiers.on(wish.now.date()) if one.level)


async def _still_open(peek: Peek, taken: tuple[RegistrationId, ...]) -> tuple[RegistrationId, ...]:
    deals: list[Deal] = await peek.all([Deals.at(one) for one in taken])
    return tuple(one for one, deal in zip(taken, deals, strict=True) if deal.status in OPEN)


async def _giving_way(peek: Peek, registration_id: RegistrationId | None) -> GivesWay | None:
    if registration_id is None:
        return None
    deal: Deal = await peek(Deals.at(registration_id))
    return GivesWay(registration_id=registration_id, accounts=deal.accounts)


async def _bound_keys(peek: Peek, wish: Submission) -> tuple[Key, ...]:
    version = (await peek(Rules.at(wish.programme))).in_force(wish.now)
    matching = DEAL_RULES.read(version.body).matching if version else Matching()
    found = keys_of(wish.customer, matching)
    bound = await peek.all([AccountKeys.at(key.identity) for key in found])
    pairs = zip(found, bound, strict=True)
    return tuple(replace(key, account_id=state.account_id, sharers=state.accounts[1:]) for key, state in pairs)


async def _accounts(
    peek: Peek, wish: Submission, keys: Iterable[Key]
) -> tuple[tuple[AccountId, ...], dict[AccountId, Candidate]]:
    """The accounts of the keys, identifiers first, or a new one; and those that an identifier contradicts."""
    own = [key for key in keys if not key.shared]
    named = [key.account_id for key in own if key.account_id and key.scheme != DOMAIN]
    by_domain = [key.account_id for key in own if key.account_id and key.scheme == DOMAIN]
    contradicted = await _sharers(peek, wish, keys)
    for account_id in by_domain:
        account = await peek(Accounts.at(account_id))
        if account_id not in named and _contradicts(wish.customer, account):
            contradicted[account_id] = _linked(account_id, account, wish.customer, CONTRADICTED_DOMAIN)
    entered = tuple(dict.fromkeys(a for a in (*named, *by_domain) if a not in contradicted))
    return entered or (_new_account(wish),), contradicted


async def _sharers(peek: Peek, wish: Submission, keys: Iterable[Key]) -> dict[AccountId, Candidate]:
    """The accounts that a shared key leads to: related, and for a person to tell apart."""
    shared = [key for key in keys if key.shared and key.account_id]
    accounts = dict.fromkeys(one for key in shared for one in (key.account_id, *key.sharers) if one)
    states = await peek.all([Accounts.at(one) for one in accounts])
    found = zip(accounts, states, strict=True)
    return {one: _linked(one, account, wish.customer, SHARED_KEY) for one, account in found}


def _contradicts(customer: Customer, account: Account) -> bool:
    known = {(i.scheme, i.country): i.value for i in account.identifiers if i.valid}
    mine = [i for i in customer.identifiers if i.valid]
    return any(known.get((i.scheme, i.country), i.value) != i.value for i in mine)


def _linked(account_id: AccountId, account: Account, customer: Customer, link: str) -> Candidate:
    return Candidate(
        account_id=account_id,
        name=account.name,
        country=account.country,
        same_country=account.country == customer.country,
        link=link,
    )


# Prepared: a question


@dataclass(frozen=True, kw_only=True)
class Preview:
    """What a registration would come to now."""

    screening: Screening
    known: bool
    steps: tuple[Step, ...] = ()
    missing: tuple[str, ...] = ()

    @property
    def availability(self) -> str:
        return availability.availability(self.screening, known=self.known)


async def preview(peek: Peek, index: AccountIndex, tenant: str, wish: Submission) -> Preview:
    """Screens a submission without recording anything. Raises PartnerUnknown, NoRules."""
    command = await prepare_registration(peek, index, tenant, wish)
    book: Rulebook = await peek(Rules.at(wish.programme))
    partner = await peek(Partners.at(wish.partner_id))
    if not partner.known:
        raise PartnerUnknown
    rules = DEAL_RULES.read(in_force(book, wish.now).body)
    claims = await peek.all([ClaimsOf.at(account) for account in command.accounts])
    nearby = tuple(await peek.all(_nearby(command.candidates)))
    account = await peek(Accounts.at(command.accounts[0]))
    exclusions = [await peek(Exclusions.at(target)) for target in command.targets]
    seen: Facts = facts_of(command, claim_of(command, partner, rules), claims, partner, account, nearby)
    slots = await peek.all(_slots(command))
    found = competitor(wish.customer.domain, rules)
    tiers, record = await peek.all([TiersOf.at(wish.partner_id), TrackRecords.at(wish.partner_id)])
    traces = tuple(await peek.all(_traces(command)))
    behind = background_of(command, tiers, record, traces)
    known = {"exclusions": entries(exclusions), "open_deals": open_deals(command, slots), "background": behind}
    facts = replace(seen, competitor=found, **known)  # type: ignore[arg-type]
    steps = tuple(step for step in rules.approval if step.needed(wish.details.amount))
    lacking = tuple(fault["path"] for fault in missing(wish.customer, wish.details, rules))
    return Preview(screening=screen(facts, rules), known=facts.known, steps=steps, missing=lacking)


# Prepared: a command on a deal


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who may touch the deal is checked before anything of it is used: `allow(partner_id)` raises NotFound."""

    registration_id: str
    now: datetime
    allow: Callable[[str], None] = field(default=lambda partner_id: None)


Make = Callable[[Peek], Awaitable[Any]]


def on_deal(asked: Asked, make: Callable[[Deal, dict[str, Any]], Any]) -> Make:
    """Prepares a command on a deal: `make(deal, fields)` gets the deal and the fields of `OnDeal`."""

    async def prepare(peek: Peek) -> Any:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        if deal.partner_id is None:
            raise NotFound
        asked.allow(deal.partner_id)
        programme = str(deal.header["programme"])
        fields = {"registration_id": asked.registration_id, "accounts": deal.accounts, "programme": programme}
        return make(deal, {**fields, "now": asked.now})

    return prepare


def screening_again(
    asked: Asked, index: AccountIndex, tenant: str, make: Callable[[Deal, dict[str, Any]], Any], screening_id: str
) -> Make:
    """As `on_deal`, with the accounts that resemble the customer now: `fields` are those of `Screens`."""

    async def prepare(peek: Peek) -> Any:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        asked.allow(deal.first.partner_id)
        found = await index.near(tenant, deal.first.customer, deal.accounts)
        wish = make(deal, await _screens(peek, deal, asked, found, screening_id))
        if isinstance(wish, ResubmitDeal):
            return replace(wish, traces=await _traces_again(peek, deal, wish.details))
        return wish

    return prepare


async def _holding(peek: Peek, deal: Deal, now: datetime) -> tuple[RegistrationId, ...]:
    """The deals that hold what this one asks for."""
    live = [claim for account in deal.accounts for claim in (await peek(ClaimsOf.at(account))).live]
    return tuple(sorted({c.registration_id for c in live if c.protected(now) and c.rivals(deal.claim())}))


def filing(asked: Asked, told: dict[str, Any]) -> Make:
    """Prepares a dispute against the deals that hold what the disputed one asked for."""

    async def prepare(peek: Peek) -> FileDispute:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        asked.allow(deal.first.partner_id)
        return FileDispute(
            registration_id=deal.first.registration_id,
            accounts=deal.accounts,
            programme=deal.first.programme,
            against=await _holding(peek, deal, asked.now),
            now=asked.now,
            **told,
        )

    return prepare


Contesting = Callable[[str], Awaitable[RegistrationId | None]]
"""Finds the deal over which a dispute against this one was decided and may be appealed."""


def appealing(asked: Asked, contesting: Contesting, told: dict[str, Any]) -> Make:
    """Prepares the appeal of either side; each names its own deal."""

    async def prepare(peek: Peek) -> AppealDispute:
        mine: Deal = await peek(Deals.at(asked.registration_id))
        asked.allow(mine.first.partner_id)
        filed: Dispute = await peek(Disputes.at(asked.registration_id))
        other = None if filed.case.stage == Stage.DECIDED else await contesting(asked.registration_id)
        deal: Deal = await peek(Deals.at(other)) if other else mine
        return AppealDispute(
            registration_id=deal.first.registration_id,
            accounts=deal.accounts,
            programme=deal.first.programme,
            holder=mine.first.registration_id if other else None,
            now=asked.now,
            **told,
        )

    return prepare


async def _followed(peek: Peek, accounts: Iterable[AccountId]) -> tuple[AccountId, ...]:
    """The accounts as which these go on, where they were merged after the deal had ended."""
    return tuple(dict.fromkeys([await _goes_on_as(peek, account) for account in accounts]))


async def _goes_on_as(peek: Peek, account: AccountId) -> AccountId:
    line: Claims = await peek(ClaimsOf.at(account))
    return account if line.moved_to is None else await _goes_on_as(peek, line.moved_to)


def concluding(asked: Asked, screening_id: str) -> Make:
    """Prepares the end of a dispute, with those of its opponents that still hold."""

    async def prepare(peek: Peek) -> ConcludeDispute:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        dispute: Dispute = await peek(Disputes.at(asked.registration_id))
        holding = await _holding(peek, deal, asked.now)
        named = [one for one in dispute.first.against if one in holding]
        others = [(one, (await peek(Deals.at(one))).accounts) for one in named]
        before = deal.screened.facts.candidates if deal.screened else ()
        here = await _followed(peek, deal.accounts)
        fields = {**await _screens(peek, deal, asked, before, screening_id), "accounts": here}
        rivals = tuple(GivesWay(registration_id=one, accounts=of, reason_code=LOST_DISPUTE) for one, of in others)
        return ConcludeDispute(**{**fields, "gives_way": rivals})

    return prepare


def displacing(peek_make: Make, reason_code: str) -> Make:
    """As `screening_again`, for an approval that is to take the place of the deals that hold now."""

    async def prepare(peek: Peek) -> Any:
        wish: ApproveDeal = await peek_make(peek)
        deal: Deal = await peek(Deals.at(wish.registration_id))
        held = await _holding(peek, deal, wish.now)
        others = [(one, (await peek(Deals.at(one))).accounts) for one in held]
        rivals = tuple(GivesWay(registration_id=one, accounts=of, reason_code=reason_code) for one, of in others)
        return replace(wish, displaces=True, gives_way=(*wish.gives_way, *rivals))

    return prepare


def as_screened(asked: Asked, command: type[Any], screening_id: str) -> Make:
    """Prepares a command of the service itself, with the candidates of the last screening."""

    async def prepare(peek: Peek) -> Any:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        before = deal.screened.facts.candidates if deal.screened else ()
        return command(**await _screens(peek, deal, asked, before, screening_id))

    return prepare


async def _screens(
    peek: Peek, deal: Deal, asked: Asked, found: Iterable[Candidate], screening_id: str
) -> dict[str, Any]:
    first = deal.first
    replaced = await _giving_way(peek, first.replaces)
    return {
        "registration_id": first.registration_id,
        "accounts": deal.accounts,
        "now": asked.now,
        "programme": first.programme,
        "partner_id": first.partner_id,
        "candidates": tuple(candidate for candidate in found if candidate.account_id not in deal.accounts),
        "screening_id": screening_id,
        "gives_way": (replaced,) if replaced else (),
        "targets": targets_of(await _with_absorbed(peek, deal.accounts), first.customer, first.reach.products),
        "traces": await _traces_again(peek, deal, deal.now_details),
    }


async def _traces_again(peek: Peek, deal: Deal, details: Details) -> tuple[Trace, ...]:
    """What the deal leaves behind with these details, under the rules that judge it."""
    first = deal.first
    rules = rules_of(deal, await peek(Rules.at(first.programme)))
    return traces_of(first.customer, first.partner_id, (one.sha256 for one in details.evidence), rules)


def default_close(now: datetime, days: int = 90) -> date:
    """The close date of a deal that names none."""
    return date.fromordinal(now.date().toordinal() + days)


def merging(asked: Asked, into: RegistrationId, by: str) -> Make:
    """Prepares the merge of a duplicate into another deal."""

    async def prepare(peek: Peek) -> MergeDuplicate:
        deal, other = await peek(Deals.at(asked.registration_id)), await peek(Deals.at(into))
        asked.allow(deal.first.partner_id)
        return MergeDuplicate(
            registration_id=deal.first.registration_id,
            accounts=deal.accounts,
            into=into,
            into_accounts=other.accounts,
            programme=deal.first.programme,
            by=by,
            now=asked.now,
        )

    return prepare


# Prepared: two accounts


def joining(survivor_id: AccountId, absorbed_id: AccountId, told: dict[str, Any]) -> Make:
    """Prepares the merge of one account into another; `told` is what the caller said of it."""

    async def prepare(peek: Peek) -> MergeAccounts:
        here: Claims = await peek(ClaimsOf.at(survivor_id))
        there: Claims = await peek(ClaimsOf.at(absorbed_id))
        absorbed: Account = await peek(Accounts.at(absorbed_id))
        pairs = collisions(here, there, told["now"])
        return MergeAccounts(
            survivor_id=survivor_id,
            absorbed_id=absorbed_id,
            keys=absorbed.keys,
            moved=tuple(claim.registration_id for claim in there.live),
            collisions=await _colliding_deals(peek, pairs),
            **told,
        )

    return prepare


async def _colliding_deals(peek: Peek, pairs: Iterable[tuple[Claim, Claim]]) -> tuple[Collision, ...]:
    found = collided(pairs)
    deals = await peek.all([Deals.at(one) for one in found])
    return tuple(
        Collision(registration_id=one, programme=deal.first.programme, against=against)
        for (one, against), deal in zip(found.items(), deals, strict=True)
    )


def linking(account_id: AccountId, parent_id: AccountId, told: dict[str, Any]) -> Make:
    """Prepares an edge from a customer to its parent; `told` is what the caller said of it."""

    async def prepare(peek: Peek) -> LinkParent:
        above = await _group(peek, parent_id)
        own: Account = await peek(Accounts.at(account_id))
        below = Group(root_id=account_id, members=own.members, changes=own.group_changes)
        lines = [await peek.all(_lines(group.accounts)) for group in (above, below)]
        return LinkParent(
            account_id=account_id,
            parent_id=parent_id,
            above=above,
            below=below,
            deals=claiming(*lines),
            collisions=await _colliding_deals(peek, crossing(lines[0], lines[1], told["now"])),
            **told,
        )

    return prepare


def cutting(account_id: AccountId, told: dict[str, Any]) -> Make:
    """Prepares to take a customer, with what belongs to it, out of its group."""

    async def prepare(peek: Peek) -> CutParent:
        own: Account = await peek(Accounts.at(account_id))
        group = await _group(peek, account_id)
        states: list[Account] = await peek.all([Accounts.at(one) for one in group.members])
        below = subtree(account_id, {one: state.parent for one, state in zip(group.members, states, strict=True)})
        lines = [await peek.all(_lines(one)) for one in (staying_of(group, below), below)]
        return CutParent(
            account_id=account_id,
            group=group,
            below=below,
            deals=claiming(*lines) if own.edge else (),
            contested=own.edge.contested if own.edge else (),
            **told,
        )

    return prepare


def parting(survivor_id: AccountId, merge_id: str, targets: tuple[Target, ...], told: dict[str, Any]) -> Make:
    """Prepares to take a merge back; `targets` place the claims that came after it."""

    async def prepare(peek: Peek) -> SplitAccounts:
        survivor: Account = await peek(Accounts.at(survivor_id))
        here: Claims = await peek(ClaimsOf.at(survivor_id))
        merge = next((one for one in survivor.merges if one.merge_id == merge_id), None)
        if merge is None:
            none = {"merge_id": merge_id, "survivor_id": survivor_id, "absorbed_id": survivor_id}
            return SplitAccounts(**none, **told)  # type: ignore[arg-type]
        wish = SplitAccounts(
            merge_id=merge_id,
            survivor_id=survivor_id,
            absorbed_id=merge.absorbed_id,
            keys=merge.keys,
            contested=merge.contested,
            targets=targets,
            **told,
        )
        return replace(wish, going=going_of(wish, merge, here))

    return prepare


# Prepared: a command on a lead


@dataclass(frozen=True, kw_only=True)
class AskedOfLead:
    """A wish on a lead. `allow(lead)` raises NotFound for who may not know of it."""

    lead_id: str
    by: str
    now: datetime
    allow: Callable[[Lead], None] = field(default=lambda lead: None)


def on_lead(asked: AskedOfLead, make: Callable[[Lead, dict[str, Any]], Any]) -> Make:
    """Prepares a command on a lead: `make(lead, fields)` gets the lead and the fields of `OnLead`."""

    async def prepare(peek: Peek) -> Any:
        lead: Lead = await peek(Leads.at(asked.lead_id))
        rulebook = routing_of(lead.first.programme)
        asked.allow(lead)
        return make(lead, {"lead_id": asked.lead_id, "rulebook": rulebook, "by": asked.by, "now": asked.now})

    return prepare


Takers = Callable[[str, Iterable[str]], Awaitable[tuple[Taker, ...]]]
"""Finds who could take a lead of a country; with partners named, only those."""


def assigning(asked: AskedOfLead, takers: Takers, named: PartnerId | None = None, *, by_hand: bool = False) -> Make:
    """Prepares the next offer of a lead: who could take it, and who has sold to its customer before."""

    async def prepare(peek: Peek) -> AssignLead:
        lead: Lead = await peek(Leads.at(asked.lead_id))
        company, rulebook = lead.first.enquiry.company, routing_of(lead.first.programme)
        version = (await peek(Rules.at(rulebook))).version(lead.first.rules.version)
        rules = LEAD_RULES.read(version.body) if version else None
        listed = (named,) if named else tuple(one.partner_id for one in rules.partners) if rules else ()
        country = company.country if rules and rules.same_country and not named else ""
        asks = rules is not None and rules.incumbent_first and company.domain
        return AssignLead(
            lead_id=asked.lead_id,
            rulebook=rulebook,
            takers=await takers(country, listed),
            incumbents=await _incumbents(peek, company.domain) if asks and company.domain else (),
            named=named,
            by_hand=by_hand,
            by=asked.by,
            now=asked.now,
        )

    return prepare


async def _incumbents(peek: Peek, domain: str) -> tuple[PartnerId, ...]:
    """The partners that have won something of the customer with this domain."""
    bound = await peek(AccountKeys.at(Key(scheme=DOMAIN, value=domain).identity))
    if bound.account_id is None:
        return ()
    claims = await peek(ClaimsOf.at(bound.account_id))
    return tuple(dict.fromkeys(one.partner_id for one in claims.incumbents))
