"""A registration, and the question whether a customer is free: what is looked up before either is decided."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from chassis.decider import Stream
from chassis.event import LEFT_OUT, LeftOut, frozen, human_number, stable_id
from chassis.execution import Peek
from chassis.rulebook import Rulebook, Rules
from contracts.values import AccountId, PartnerId, ProductLine, RegistrationId
from services.registration.application.ports import AccountIndex
from services.registration.application.streams import (
    capacity_streams,
    exclusions_streams,
    nearby_streams,
    reference_streams,
    slots_streams,
    traces_streams,
)
from services.registration.domain import availability
from services.registration.domain.account import Account, Accounts, Group
from services.registration.domain.account_key import DOMAIN, AccountKeys, Key, formerly, keys_of, own_keys
from services.registration.domain.capacity import Capacity, SlotsSeen, quarter_of, quarters_before
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.customer import Customer
from services.registration.domain.deal import OPEN, Deal, Deals, PartnerUnknown, Status
from services.registration.domain.deal_commands import GivesWay, RegisterDeal
from services.registration.domain.deal_events import Details
from services.registration.domain.exclusion import ACCOUNT, Exclusions, entries, family_targets
from services.registration.domain.exclusive_grants import ExclusiveGrants
from services.registration.domain.fitting import missing
from services.registration.domain.judging import in_force
from services.registration.domain.matching import Candidate
from services.registration.domain.overlap import GROUP, Reach, normal_product
from services.registration.domain.partner_facts import Partners
from services.registration.domain.partner_standing import Exclusive, names_of
from services.registration.domain.partner_tier import TiersOf
from services.registration.domain.rules import ASKED, DealRules, Matching, Step, day_in
from services.registration.domain.screening import DEAL_RULES, Facts, Screening, competitor, screen
from services.registration.domain.submitting import already, background_of, claim_of, facts_of, open_deals
from services.registration.domain.trace import Trace, TracesOf, traces_of
from services.registration.domain.track_record import TrackRecords

SHARED_KEY, CONTRADICTED_DOMAIN = "shared_key", "contradicted_domain"
LOST = (Status.REJECTED, Status.REVOKED)


# Prepared: a registration


@frozen
class Submission:
    """What a partner submits, before it is known whose customer it is. `one_with` are those that it absorbed."""

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
    one_with: tuple[str, ...] = ()
    screening_id: str
    by: str
    now: datetime
    unsaid: tuple[str, ...] = ()


async def prepare_registration(peek: Peek, index: AccountIndex, tenant: str, wish: Submission) -> RegisterDeal:
    """Finds the accounts that the customer's keys belong to, and those that resemble it."""
    who = await identified(peek, wish)
    near = await index.near(tenant, wish.customer, who.met)
    aimed = who.accounts, wish.customer, wish.products
    rules = await rules_for(peek, wish)
    traces = left_behind(wish, rules) if rules else ()
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
        keys=who.keys,
        accounts=who.accounts,
        candidates=(*who.contradicted.values(), *near.candidates),
        screening_id=wish.screening_id,
        submitted_by=wish.by,
        confidential=wish.confidential,
        replaces=await giving_way(peek, wish.replaces),
        targets=targets_of(*aimed) if who.new else await targets_on(peek, *aimed),
        slots=await slots_seen(peek, wish, rules) if rules else None,
        lead_id=wish.lead_id,
        traces=traces,
        lost=await lost_before(peek, wish, traces),
        group=who.group,
        groups=tuple(dict.fromkeys(who.groups)),
        now=wish.now,
        index=near.index,
        in_normal_form=True,
        unsaid=wish.unsaid or LEFT_OUT,
        one_with=tuple(PartnerId(one) for one in wish.one_with) if wish.replaces and wish.one_with else LEFT_OUT,
        in_full=True,
        documents=True,
        exclusives=await exclusives_of(peek, wish, rules) if rules else LEFT_OUT,
    )


@frozen
class Identified:
    """Whose customer it is: the accounts that its keys name, and those that they name and that it is not for sure."""

    keys: tuple[Key, ...]
    named: tuple[AccountId, ...]
    contradicted: dict[AccountId, Candidate]
    groups: tuple[Group, ...]

    @property
    def new(self) -> bool:
        """Whether none of its keys was ever seen."""
        return all(key.account_id is None for key in self.keys)

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """All that the deal enters, its own first."""
        return tuple(dict.fromkeys((*self.named, *(one for group in self.groups for one in group.accounts))))

    @property
    def group(self) -> tuple[AccountId, ...]:
        """Those that it enters only as members of its customer's group."""
        return self.accounts[len(self.named) :]

    @property
    def met(self) -> tuple[AccountId, ...]:
        """Those that nobody has to look for by name."""
        return (*self.accounts, *self.contradicted)


async def identified(peek: Peek, wish: Submission | RegisterDeal) -> Identified:
    """Finds by its keys whose customer is meant, under the rules in force."""
    keys = await _bound_keys(peek, wish)
    named, contradicted = await _accounts(peek, wish, keys)
    groups = tuple([await group_around(peek, one) for one in named]) if wish.scope == GROUP else ()
    return Identified(keys=keys, named=named, contradicted=contradicted, groups=groups)


async def group_around(peek: Peek, account_id: AccountId) -> Group:
    """The group that an account belongs to: itself, where it belongs to none."""
    head: Account = await peek(Accounts.at(account_id))
    if head.parent is not None:
        return await group_around(peek, head.parent)
    return Group(root_id=account_id, members=head.members, changes=head.group_changes)


async def rules_for(peek: Peek, wish: Submission | RegisterDeal) -> DealRules | None:
    """The rules that judge what is submitted now; None where there are none."""
    version = (await peek(Rules.at(wish.programme))).in_force(wish.now)
    return DEAL_RULES.read(version.body) if version else None


def left_behind(wish: Submission | RegisterDeal, rules: DealRules) -> tuple[Trace, ...]:
    """What the registration leaves behind under these rules."""
    documents = (one.sha256 for one in wish.details.evidence)
    return traces_of(wish.customer, wish.partner_id, documents, rules)


async def exclusives_of(
    peek: Peek, wish: Submission | RegisterDeal, rules: DealRules
) -> tuple[Exclusive, ...] | LeftOut:
    """What others alone are authorised for of what is asked for, where the rules look for that."""
    if not rules.exclusive_territories:
        return LEFT_OUT
    role = wish.role or (await peek(Partners.at(wish.partner_id))).first_role
    place = wish.customer.place(wish.scope)
    reach = Reach(products=wish.products, role=role, deal_type=wish.deal_type, place=place)
    names = sorted({name for line in wish.products for name in names_of(line)})
    noted = await peek.all([ExclusiveGrants.at(name) for name in names])
    others = sorted({one for partners in noted for one in partners} - {wish.partner_id})
    known = zip(others, await peek.all([Partners.at(one) for one in others]), strict=True)
    apart = ((one, facts.stands) for one, facts in known if facts.survivor_id != wish.partner_id)
    met = ((one, stands.exclusive_for(reach, day_in(rules.zone, wish.now))) for one, stands in apart)
    return tuple(
        Exclusive(authorisation_id=it.authorisation_id, partner_id=one, event_id=it.event_id, position=it.position)
        for one, it in met
        if it
    )


async def lost_before(
    peek: Peek, wish: Submission | RegisterDeal, traces: Iterable[Trace]
) -> tuple[RegistrationId, ...]:
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
        *exclusions_streams(targets_of((account,), wish.customer, wish.products)),
        *reference_streams(wish.partner_id, wish.details),
    )


def _new_account(wish: Submission | RegisterDeal) -> AccountId:
    return AccountId(stable_id("account", wish.registration_id))


def targets_of(
    accounts: Iterable[str], customer: Customer, products: Iterable[ProductLine], keys: Iterable[Key] = ()
) -> tuple[str, ...]:
    """Everything that an exclusion of such a deal could be on; `keys` are those of its accounts that it does not name."""
    typed = dict.fromkeys(name for line in products for name in (line.family, normal_product(line.family)))
    families = (target for name in typed for target in family_targets(name))
    named = (f"{ACCOUNT}:{account}" for account in accounts)
    unchecked = (f"{one.scheme}:{one.key_value}" for one in customer.identifiers if not one.valid)
    return tuple(dict.fromkeys((*named, *_said_by((*own_keys(customer), *keys)), *unchecked, *families)))


def _said_by(keys: Iterable[Key]) -> Iterator[str]:
    """The keys, also as an earlier release wrote them."""
    yield from (f"{key.scheme}:{key.value}" for own in keys for key in (own, *formerly(own)))


async def targets_on(
    peek: Peek, accounts: Iterable[AccountId], customer: Customer, products: Iterable[ProductLine]
) -> tuple[str, ...]:
    """As `targets_of`, with all that the accounts are known by: who is kept by its domain is not free by its number."""
    known = await _with_absorbed(peek, tuple(accounts))
    return targets_of(known, customer, products, [key for state in known.values() for key in state.keys])


async def _with_absorbed(peek: Peek, accounts: tuple[AccountId, ...]) -> dict[AccountId, Account]:
    """The accounts, and those that they absorbed: what was said of these counts too."""
    states: list[Account] = await peek.all([Accounts.at(one) for one in accounts])
    absorbed = tuple(merge.absorbed_id for state in states for merge in state.merges)
    known = dict(zip(accounts, states, strict=True))
    return {**known, **(await _with_absorbed(peek, absorbed) if absorbed else {})}


async def slots_seen(peek: Peek, wish: Submission | RegisterDeal, rules: DealRules) -> SlotsSeen | None:
    """The partner's slots of this quarter; None where the rules do not count.

    Deals are read only where no slot is left, or the quarter is new: else a registration costs the same however many
    deals are open.
    """
    if not rules.counts_open:
        return None
    quarter = quarter_of(wish.now)
    state: Capacity = await peek(capacity_streams(wish.partner_id, quarter))
    if state.taken is None:
        before = await peek.all([capacity_streams(wish.partner_id, one) for one in quarters_before(quarter)])
        last: tuple[RegistrationId, ...] = next((one.taken for one in before if one.taken is not None), ())
        return SlotsSeen(quarter=quarter, carried=await _still_open(peek, last))
    limit = rules.capacity_of(await _levels(peek, wish.partner_id, wish.now))
    if limit is None or len(state.taken) < limit:
        return SlotsSeen(quarter=quarter)
    still_open = await _still_open(peek, state.taken)
    return SlotsSeen(quarter=quarter, closed=tuple(one for one in state.taken if one not in set(still_open)))


async def _levels(peek: Peek, partner_id: PartnerId, now: datetime) -> tuple[str, ...]:
    """The tiers that the partner is in on this day."""
    tiers = await peek(TiersOf.at(partner_id))
    return tuple(one.level for one in tiers.on(now.date()) if one.level)


async def _still_open(peek: Peek, taken: tuple[RegistrationId, ...]) -> tuple[RegistrationId, ...]:
    deals: list[Deal] = await peek.all([Deals.at(one) for one in taken])
    return tuple(one for one, deal in zip(taken, deals, strict=True) if deal.status in OPEN)


async def giving_way(peek: Peek, registration_id: RegistrationId | None) -> GivesWay | None:
    if registration_id is None:
        return None
    deal: Deal = await peek(Deals.at(registration_id))
    return GivesWay(registration_id=registration_id, accounts=deal.accounts)


async def _bound_keys(peek: Peek, wish: Submission | RegisterDeal) -> tuple[Key, ...]:
    version = (await peek(Rules.at(wish.programme))).in_force(wish.now)
    matching = DEAL_RULES.read(version.body).matching if version else Matching()
    found = [await _as_bound(peek, key) for key in keys_of(wish.customer, matching)]
    bound = await peek.all([AccountKeys.at(key.identity) for key in found])
    pairs = zip(found, bound, strict=True)
    return tuple(replace(key, account_id=state.account_id, sharers=state.accounts[1:]) for key, state in pairs)


async def _as_bound(peek: Peek, key: Key) -> Key:
    """The key, or the form of it under which an earlier release bound it."""
    for old in formerly(key):
        if (await peek(AccountKeys.at(old.identity))).account_id is not None:
            return old
    return key


async def _accounts(
    peek: Peek, wish: Submission | RegisterDeal, keys: Iterable[Key]
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


async def _sharers(peek: Peek, wish: Submission | RegisterDeal, keys: Iterable[Key]) -> dict[AccountId, Candidate]:
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


# Asked: how much room is left


@frozen
class Room:
    """How many deals of a partner are open, of how many that may be; None of each where the rules do not count."""

    quarter: str
    taken: tuple[RegistrationId, ...] | None
    limit: int | None


async def room_of(peek: Peek, programme: str, partner_id: PartnerId, now: datetime) -> Room:
    """The slots that a partner's deals take now. Raises NoRules."""
    quarter, rules = quarter_of(now), DEAL_RULES.read(in_force(await peek(Rules.at(programme)), now).body)
    if not rules.counts_open:
        return Room(quarter=quarter, taken=None, limit=None)
    states = await peek.all([capacity_streams(partner_id, one) for one in (quarter, *quarters_before(quarter))])
    last: tuple[RegistrationId, ...] = next((one.taken for one in states if one.taken is not None), ())
    limit = rules.capacity_of(await _levels(peek, partner_id, now))
    return Room(quarter=quarter, taken=await _still_open(peek, last), limit=limit)


# Prepared: a question


@frozen
class Preview:
    """What a registration would come to now, and what of it the rules would keep from the partner.

    `already` is the deal of the partner's own for which it would be refused.
    """

    screening: Screening
    known: bool
    steps: tuple[Step, ...] = ()
    missing: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    already: RegistrationId | None = None

    @property
    def availability(self) -> str:
        return availability.availability(self.screening, known=self.known, already=self.already)


async def preview(peek: Peek, index: AccountIndex, tenant: str, wish: Submission) -> Preview:
    """Screens a submission without recording anything. Raises PartnerUnknown, NoRules."""
    command = await prepare_registration(peek, index, tenant, wish)
    book: Rulebook = await peek(Rules.at(wish.programme))
    partner = await peek(Partners.at(wish.partner_id))
    if not partner.known:
        raise PartnerUnknown
    rules = DEAL_RULES.read(in_force(book, wish.now).body)
    claims = await peek.all([ClaimsOf.at(account) for account in command.accounts])
    nearby = tuple(await peek.all(nearby_streams(command.candidates)))
    account = await peek(Accounts.at(command.accounts[0]))
    exclusions = [await peek(Exclusions.at(target)) for target in command.targets]
    mine = claim_of(command, partner, rules)
    seen: Facts = facts_of(command, mine, claims, partner, account, nearby)
    slots = await peek.all(slots_streams(command))
    found = competitor(wish.customer.domain, rules)
    tiers, record = await peek.all([TiersOf.at(wish.partner_id), TrackRecords.at(wish.partner_id)])
    traces = tuple(await peek.all(traces_streams(command)))
    behind = background_of(command, tiers, record, traces)
    known = {"exclusions": entries(exclusions), "open_deals": open_deals(command, slots), "background": behind}
    facts = replace(seen, competitor=found, **known)  # type: ignore[arg-type]
    steps = tuple(step for step in rules.approval if step.needed(wish.details.amount))
    lacking = tuple(fault["path"] for fault in missing(wish.customer, wish.details, rules, wish.unsaid))
    kept = rules.disclosure.withheld
    return Preview(
        screening=screen(facts, rules),
        known=facts.known,
        steps=steps,
        missing=lacking,
        withheld=kept,
        already=already(mine, claims, command),
    )
