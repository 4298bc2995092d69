"""What a partner submits: a draft, a new deal, the corrections it was asked for."""

from collections.abc import Iterable
from typing import Any

from chassis.decider import NotFound, Raced
from chassis.event import LEFT_OUT, replace
from chassis.rulebook import Rulebook, Version
from contracts.values import AccountId, AccountRef, Participant, RegistrationId
from services.registration.domain.account import Account, AccountEvent, Group, GroupClaimed, open_account
from services.registration.domain.account_key import AccountKey, Key, KeyBound, bind
from services.registration.domain.account_key import unmoved as keys_unmoved
from services.registration.domain.background import Background
from services.registration.domain.capacity import Capacities, Capacity, CapacityEvent, settle_slots, take_slot
from services.registration.domain.claim import Claim
from services.registration.domain.claims import ClaimEvent, Claims
from services.registration.domain.customer import Customer
from services.registration.domain.deal import (
    MOVES,
    SUBMITTED,
    AlreadyRegistered,
    Deal,
    PartnerUnknown,
    evolve,
    may,
    stands_in,
    unmoved,
)
from services.registration.domain.deal_commands import RegisterDeal, ResubmitDeal, SaveDraft
from services.registration.domain.deal_events import (
    DealEvent,
    DealRegistered,
    DealResubmitted,
    DraftSaved,
    Terms,
    proofs,
)
from services.registration.domain.exclusion import ExclusionList, entries
from services.registration.domain.fitting import fitting, only
from services.registration.domain.grouping import MEMBERS_MAX, GroupTooLarge, unmoved_group
from services.registration.domain.judging import in_force, reference
from services.registration.domain.keeping import referred, traced, with_documents
from services.registration.domain.looking import Unseen, look, look_again
from services.registration.domain.overlap import Reach
from services.registration.domain.partner_facts import PartnerFacts
from services.registration.domain.partner_reference import PartnerReference, PartnerReferenceTaken
from services.registration.domain.partner_tier import Tiers
from services.registration.domain.rules import DealRules
from services.registration.domain.screening import APPROVE, DEAL_RULES, REJECT, Facts, OnAccount, competitor
from services.registration.domain.trace import TraceLeft, Traces, TracesCarried, look_alikes, same_documents
from services.registration.domain.track_record import TrackRecord

OwnReferences = tuple[PartnerReference, ...]
Taken = list[list[PartnerReferenceTaken]]
Left = list[list[TraceLeft | TracesCarried]]
Registered = tuple[
    list[DealEvent],
    list[AccountEvent],
    list[list[KeyBound]],
    list[list[ClaimEvent]],
    list[list[DealEvent]],
    Taken,
    list[list[CapacityEvent]],
    Left,
    list[list[AccountEvent]],
]
Screened = tuple[list[DealEvent], list[list[ClaimEvent]], list[list[DealEvent]], Taken, Left]
Before = tuple[
    Deal,
    Account,
    tuple[AccountKey, ...],
    tuple[Claims, ...],
    tuple[Deal, ...],
    OwnReferences,
    tuple[Capacity, ...],
    tuple[Traces, ...],
    tuple[Account, ...],
]
"""What a registration writes: the deal, its account, keys, claims, what it replaces, its reference, slots, traces, and
the heads of the groups that it claims."""
Known = tuple[Rulebook, PartnerFacts, tuple[Claims, ...], tuple[ExclusionList, ...], Tiers, TrackRecord]
"""What it reads: the rules, the partner, the claims of the candidates, the exclusions, the partner's tiers and results."""


# Decisions


def save_draft(wish: SaveDraft, deal: Deal) -> list[DealEvent]:
    """Keeps what a partner has written so far; the same again changes nothing."""
    stands_in(deal, *MOVES[SaveDraft].begins, new=True)
    if deal.draft is not None and deal.draft.body == wish.body:
        return []
    return [
        DraftSaved(
            registration_id=wish.registration_id,
            number=wish.number,
            programme=wish.programme,
            partner_id=wish.partner_id,
            body=wish.body,
            saved_by=wish.by,
            saved_at=wish.now,
        )
    ]


def register_deal(wish: RegisterDeal, *streams: *tuple[*Before, *Known]) -> Registered:
    """Writes the wish down with its claim, screens it, and does what the screening says."""
    deal, account, keys, claims, others, references, slots, traces, heads = streams[:9]
    book, partner, nearby, exclusions, tiers, record = streams[9:]
    if deal.status not in MOVES[RegisterDeal].begins:
        rest = _none(others), _none(references), _none(slots), _none(traces), _none(heads)
        return [], [], _none(keys), _none(claims), *rest
    if not partner.known:
        raise PartnerUnknown
    keys_unmoved(wish.keys, keys)
    _still_its_own(wish, others)
    _still_members(wish, account, heads)
    version = in_force(book, wish.now)
    rules = DEAL_RULES.read(version.body)
    mine = claim_of(wish, partner, rules)
    fitting(wish.customer, wish.details, rules, wish.now, wish.unsaid or ())
    own = claims[: len(wish.accounts)]
    if standing := already(mine, own, wish):
        raise AlreadyRegistered(registration_id=standing)
    registered = _registered(wish, mine, version, rules)
    begun = evolve(deal, registered)
    facts = facts_of(wish, mine, own, partner, account, nearby)
    full = replace(
        facts,
        exclusions=entries(exclusions),
        open_deals=open_deals(wish, slots),
        competitor=competitor(wish.customer.domain, rules),
        background=background_of(wish, tiers, record, traces),
    )
    seen = look(begun, full, version, wish.screening_id)
    return (
        [registered, *seen.found(), *seen.outcome()],
        [*_opened(wish, account), *_claimed(wish, wish.accounts[0])],
        [_bound(wish, account, key, state) for key, state in zip(wish.keys, keys, strict=True)],
        *seen.settle(wish, claims, others),
        referred(begun, wish.details.partner_reference, references, wish.now),
        [_slots(wish, seen.verdict, state) for state in slots],
        traced(begun, wish.traces, traces, wish.now),
        [_claimed(wish, group.root_id) for group in other_heads(wish)],
    )


def _none(streams: Iterable[object]) -> list[list[Any]]:
    """No event in any of the streams."""
    return [[] for _ in streams]


def resubmit_deal(
    wish: ResubmitDeal,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[tuple[Deal, ...], OwnReferences, tuple[Traces, ...], *Unseen],
) -> Screened:
    """Takes the corrections of the fields that were named, screens again; the deal keeps its place in the order."""
    made = resubmit_deal_without_documents(wish, deal, claims, *streams)
    return made if deal.unnamed else (with_documents(made[0]), *made[1:])


def resubmit_deal_without_documents(
    wish: ResubmitDeal,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[tuple[Deal, ...], OwnReferences, tuple[Traces, ...], *Unseen],
) -> Screened:
    """Evaluator 3: others heard of no document."""
    chosen = resubmit_deal_in_brief if deal.unnamed else resubmit_deal_in_full
    return chosen(wish, deal, claims, *streams)


def resubmit_deal_in_full(
    wish: ResubmitDeal,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[tuple[Deal, ...], OwnReferences, tuple[Traces, ...], *Unseen],
) -> Screened:
    """Evaluator 2: others heard references and tenders also where they do not hear who the customer is."""
    made = resubmit_deal_in_brief(wish, deal, claims, *streams)
    full = [replace(one, in_full=True) if isinstance(one, DealResubmitted) else one for one in made[0]]
    return full, *made[1:]


def resubmit_deal_in_brief(
    wish: ResubmitDeal,
    deal: Deal,
    claims: tuple[Claims, ...],
    *streams: *tuple[tuple[Deal, ...], OwnReferences, tuple[Traces, ...], *Unseen],
) -> Screened:
    """Evaluator 1: others heard only the amount."""
    others, references, traces, around = streams[0], streams[1], streams[2], streams[3:]
    may(deal, ResubmitDeal)
    unmoved(wish, deal)
    changed = only(deal.returned_fields, deal.now_details.differing(wish.details))
    resubmitted = DealResubmitted(
        **deal.header,
        fields=changed,
        details=wish.details,
        resubmitted_by=wish.by,
        resubmitted_at=wish.now,
        amount=wish.details.amount,
    )
    seen = look_again(wish, evolve(deal, resubmitted), claims, *around, traces)
    fitting(deal.first.customer, wish.details, seen.rules, wish.now)
    return (
        [resubmitted, *seen.found(), *seen.outcome()],
        *seen.settle(wish, claims, others),
        referred(deal, wish.details.partner_reference, references, wish.now),
        traced(deal, wish.traces, traces, wish.now),
    )


# What stands already


def already(mine: Claim, claims: Iterable[Claims], wish: RegisterDeal) -> RegistrationId | None:
    """The deal in which the partner asks for, or holds, the same already, other than the one that is to be replaced."""
    replaced = [one.registration_id for one in wish.gives_way]
    for known in (claim for state in claims for claim in state.live if claim.registration_id not in replaced):
        if not known.lapsed(wish.now) and known.whose == mine.whose and known.meets(mine):
            return known.deal
    return None


# What a registration says


def claim_of(wish: RegisterDeal, partner: PartnerFacts, rules: DealRules) -> Claim:
    """The claim that the wish would place, in the partner's first role where none is named."""
    reach = Reach(
        products=wish.products,
        role=wish.role or partner.first_role,
        deal_type=wish.deal_type,
        place=wish.customer.place(wish.scope),
        in_normal_form=wish.in_normal_form,
    )
    return Claim(
        registration_id=wish.registration_id,
        partner_id=wish.partner_id,
        reach=reach,
        priority=rules.priorities[0],
        priorities=rules.priorities,
        letter_days=rules.letter_days,
        evidence=proofs(wish.details),
        submitted_at=wish.now,
    )


def facts_of(
    wish: RegisterDeal,
    mine: Claim,
    claims: Iterable[Claims],
    *around: *tuple[PartnerFacts, Account, tuple[Claims, ...]],
) -> Facts:
    """What a first screening looks at, the new claim last in line."""
    partner, account, nearby = around
    near = zip(wish.candidates, nearby, strict=True)
    return Facts(
        mine=mine,
        amount=wish.details.amount,
        tender=wish.details.tender,
        known=account.known or (not account.opened and bool(_free(wish.keys))),
        partner=partner.about(mine.reach.products),
        accounts=tuple(
            OnAccount(account_id=a, live=(*state.live, mine), incumbents=state.incumbents)
            for a, state in zip(wish.accounts, claims, strict=True)
        ),
        candidates=wish.candidates,
        nearby=tuple(OnAccount(account_id=c.account_id, live=state.live) for c, state in near if state.live),
        group=wish.group,
        now=wish.now,
        index=wish.index,
    )


def background_of(wish: RegisterDeal, tiers: Tiers, record: TrackRecord, traces: tuple[Traces, ...]) -> Background:
    """What is known of the partner and of earlier registrations at this instant."""
    held = tiers.on(wish.now.date())
    closed, won = record.of_a_year(wish.now)
    last = max(held, key=lambda one: one.source_position, default=None)
    return Background(
        tiers=tuple(one.level for one in held if one.level),
        tier_event_id=last.source_event_id if last else None,
        tier_position=last.source_position if last else None,
        closed=closed,
        won=won,
        look_alikes=look_alikes(wish.traces, traces, wish.accounts),
        same_documents=same_documents(wish.traces, traces, wish.partner_id),
        lost=wish.lost,
        exclusives=wish.exclusives,
    )


def open_deals(wish: RegisterDeal, slots: Iterable[Capacity]) -> int | None:
    """How many deals of the partner are open besides this one; None where nobody counts."""
    if wish.slots is None:
        return None
    return sum(len(Capacities.fold(_settled(wish, state), state).taken or ()) for state in slots)


def _settled(wish: RegisterDeal, state: Capacity) -> list[CapacityEvent]:
    return settle_slots(state, wish.partner_id, wish.slots, wish.now) if wish.slots else []


def _slots(wish: RegisterDeal, verdict: str, state: Capacity) -> list[CapacityEvent]:
    """Slots given back, and one taken where the deal stays open."""
    taken = [] if verdict in (REJECT, APPROVE) else take_slot(wish.partner_id, wish.registration_id, wish.now)
    return [*_settled(wish, state), *taken]


def _registered(wish: RegisterDeal, mine: Claim, version: Version, rules: DealRules) -> DealRegistered:
    return DealRegistered(
        registration_id=wish.registration_id,
        number=wish.number,
        programme=wish.programme,
        partner_id=wish.partner_id,
        terms=_terms(wish, mine, version),
        customer=wish.customer,
        reach=mine.reach,
        details=wish.details,
        accounts=wish.accounts,
        zone=rules.zone,
        submitted_by=wish.submitted_by,
        confidential=wish.confidential,
        replaces=wish.replaces.registration_id if wish.replaces else None,
        group=wish.group,
        withheld=rules.disclosure.withheld or LEFT_OUT,
        in_full=wish.in_full,
        documents=wish.documents,
    )


def _terms(wish: RegisterDeal, mine: Claim, version: Version) -> Terms:
    customer = wish.customer
    return Terms(
        account=_account(wish),
        participants=(Participant(partner_id=wish.partner_id, role=mine.reach.role),),
        products=wish.products,
        role=mine.reach.role,
        deal_type=wish.deal_type,
        amount=wish.details.amount,
        close_on=wish.details.close_on,
        territory=_territory(customer),
        lead_id=wish.lead_id,
        rules=reference(version),
        submitted_at=wish.now,
    )


def _account(wish: RegisterDeal) -> AccountRef:
    """The customer as others hear of it: unnamed where the deal is confidential or the customer a person."""
    customer, unnamed = wish.customer, wish.confidential or wish.customer.natural_person
    return AccountRef(
        account_id=wish.accounts[0],
        country=customer.country,
        name=None if unnamed else customer.name,
        domain=None if unnamed else customer.domain,
    )


def _territory(customer: Customer) -> str:
    return f"{customer.country}-{customer.region}" if customer.region else customer.country


def _opened(wish: RegisterDeal, account: Account) -> list[AccountEvent]:
    return open_account(
        account,
        account_id=wish.accounts[0],
        customer=wish.customer,
        keys=_free(wish.keys),
        registration_id=wish.registration_id,
        now=wish.now,
    )


def other_heads(wish: RegisterDeal) -> tuple[Group, ...]:
    """The groups that it claims whose head is not its own account."""
    return tuple(group for group in wish.groups if group.root_id != wish.accounts[0])


def _claimed(wish: RegisterDeal, account_id: AccountId) -> list[AccountEvent]:
    """Tells the head of a group that the whole of it is claimed."""
    heads = [group.root_id for group in wish.groups]
    claimed = GroupClaimed(root_id=account_id, registration_id=wish.registration_id, claimed_at=wish.now)
    return [claimed] if account_id in heads else []


def _free(keys: Iterable[Key]) -> tuple[Key, ...]:
    return tuple(key for key in keys if key.account_id is None)


def _bound(wish: RegisterDeal, account: Account, key: Key, state: AccountKey) -> list[KeyBound]:
    """Keys bind only to an account that this registration opens; else a person confirms them."""
    if account.opened:
        return []
    return bind(key, state, account_id=wish.accounts[0], registration_id=wish.registration_id, now=wish.now)


# Guards


def _still_members(wish: RegisterDeal, account: Account, heads: Iterable[Account]) -> None:
    """Raises Raced, GroupTooLarge."""
    known = {group.root_id: head for group, head in zip(other_heads(wish), heads, strict=True)}
    for group in wish.groups:
        unmoved_group(group, known.get(group.root_id, account))
    if len(wish.group) > MEMBERS_MAX:
        raise GroupTooLarge


def _still_its_own(wish: RegisterDeal, others: Iterable[Deal]) -> None:
    for other, told in zip(others, wish.gives_way, strict=True):
        if other.partner_id not in (wish.partner_id, *(wish.one_with or ())):
            raise NotFound
        stands_in(other, *SUBMITTED)
        if other.accounts != told.accounts:
            raise Raced
