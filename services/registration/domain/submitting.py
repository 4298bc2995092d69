"""What a partner submits: a new deal, the corrections it was asked for, an amendment."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from chassis.rulebook import Rulebook, Version
from contracts.values import AccountRef, Participant
from services.registration.domain.account import Account, AccountEvent, open_account
from services.registration.domain.account_key import AccountKey, Key, KeyBound, bind
from services.registration.domain.account_key import unmoved as keys_unmoved
from services.registration.domain.claims import HELD, Claim, ClaimEvent, Claims
from services.registration.domain.customer import Customer
from services.registration.domain.deal import (
    AlreadyRegistered,
    Deal,
    FieldNotEditable,
    Incomplete,
    PartnerUnknown,
    Status,
    evolve,
    stands_in,
    unmoved,
)
from services.registration.domain.deal_commands import AmendDeal, RegisterDeal, ResubmitDeal
from services.registration.domain.deal_events import (
    DealAmended,
    DealEvent,
    DealRegistered,
    DealResubmitted,
    Details,
    Terms,
)
from services.registration.domain.looking import Around, in_force, look, look_again, reference
from services.registration.domain.overlap import Reach
from services.registration.domain.partner_facts import PartnerFacts
from services.registration.domain.rules import DealRules
from services.registration.domain.screening import DEAL_RULES, Facts, OnAccount

CLOSE_YEARS_MAX = 3

Registered = tuple[list[DealEvent], list[AccountEvent], list[list[KeyBound]], list[list[ClaimEvent]]]
Screened = tuple[list[DealEvent], list[list[ClaimEvent]]]


# Decisions


def register_deal(
    wish: RegisterDeal,
    deal: Deal,
    account: Account,
    keys: tuple[AccountKey, ...],
    claims: tuple[Claims, ...],
    *around: *tuple[Rulebook, PartnerFacts, tuple[Claims, ...]],
) -> Registered:
    """Writes the wish down with its claim, screens it, and does what the screening says."""
    if deal.status != Status.NONE:
        return [], [], [[] for _ in keys], [[] for _ in claims]
    book, partner, nearby = around
    if not partner.known:
        raise PartnerUnknown
    keys_unmoved(wish.keys, keys)
    version = in_force(book, wish.now)
    rules = DEAL_RULES.read(version.body)
    mine = claim_of(wish, partner, rules)
    _fitting(wish.customer, wish.details, rules, wish.now)
    _not_twice(mine, claims, wish.now)
    registered = _registered(wish, mine, version, rules.zone)
    facts = facts_of(wish, mine, claims, partner, account, nearby)
    seen = look(evolve(deal, registered), facts, version, wish.screening_id)
    return (
        [registered, *seen.found(), *seen.outcome()],
        _opened(wish, account),
        [_bound(wish, account, key, state) for key, state in zip(wish.keys, keys, strict=True)],
        [seen.settle(state) for state in claims],
    )


def resubmit_deal(wish: ResubmitDeal, deal: Deal, claims: tuple[Claims, ...], *around: *Around) -> Screened:
    """Takes the corrections of the fields that were named, screens again; the deal keeps its place in the order."""
    stands_in(deal, Status.ACTION_REQUIRED)
    unmoved(wish, deal)
    changed = _only(deal.returned_fields, deal.now_details.differing(wish.details))
    resubmitted = DealResubmitted(
        **deal.header, fields=changed, details=wish.details, resubmitted_by=wish.by, resubmitted_at=wish.now
    )
    seen = look_again(wish, evolve(deal, resubmitted), claims, *around)
    _fitting(deal.first.customer, wish.details, seen.rules, wish.now)
    return [resubmitted, *seen.found(), *seen.outcome()], [seen.settle(state) for state in claims]


def amend_deal(wish: AmendDeal, deal: Deal) -> list[DealEvent]:
    """Changes what may change of an approved deal; its protection stays as it is."""
    stands_in(deal, Status.APPROVED)
    if not deal.now_details.differing(wish.details):
        return []
    faults = list(_detail_faults(wish.details, deal.first.zone, wish.now))
    if faults:
        raise Incomplete(faults[0]["message"], errors=faults)
    return [DealAmended(**deal.header, details=wish.details, amended_by=wish.by, amended_at=wish.now)]


# What a registration says


def claim_of(wish: RegisterDeal, partner: PartnerFacts, rules: DealRules) -> Claim:
    """The claim that the wish would place, in the partner's first role where none is named."""
    reach = Reach(
        products=wish.products,
        role=wish.role or partner.first_role,
        deal_type=wish.deal_type,
        place=wish.customer.place(wish.scope),
    )
    return Claim(
        registration_id=wish.registration_id,
        partner_id=wish.partner_id,
        reach=reach,
        priority=rules.priority,
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
        partner=partner,
        accounts=tuple(
            OnAccount(account_id=a, live=(*state.live, mine)) for a, state in zip(wish.accounts, claims, strict=True)
        ),
        candidates=wish.candidates,
        nearby=tuple(OnAccount(account_id=c.account_id, live=state.live) for c, state in near if state.live),
        now=wish.now,
    )


def _registered(wish: RegisterDeal, mine: Claim, version: Version, zone: str) -> DealRegistered:
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
        zone=zone,
        submitted_by=wish.submitted_by,
    )


def _terms(wish: RegisterDeal, mine: Claim, version: Version) -> Terms:
    customer = wish.customer
    return Terms(
        account=AccountRef(
            account_id=wish.accounts[0], country=customer.country, name=customer.name, domain=customer.domain
        ),
        participants=(Participant(partner_id=wish.partner_id, role=mine.reach.role),),
        products=wish.products,
        role=mine.reach.role,
        deal_type=wish.deal_type,
        amount=wish.details.amount,
        close_on=wish.details.close_on,
        territory=_territory(customer),
        rules=reference(version),
        submitted_at=wish.now,
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


def _free(keys: Iterable[Key]) -> tuple[Key, ...]:
    return tuple(key for key in keys if key.account_id is None)


def _bound(wish: RegisterDeal, account: Account, key: Key, state: AccountKey) -> list[KeyBound]:
    """Keys bind only to an account that this registration opens; else a person confirms them."""
    if account.opened:
        return []
    return bind(key, state, account_id=wish.accounts[0], registration_id=wish.registration_id, now=wish.now)


# Guards


def _not_twice(mine: Claim, claims: Iterable[Claims], now: datetime) -> None:
    for known in (claim for state in claims for claim in state.live):
        live = known.state != HELD or known.holds(now)
        if live and known.partner_id == mine.partner_id and known.meets(mine):
            raise AlreadyRegistered(registration_id=known.registration_id)


def _fitting(customer: Customer, details: Details, rules: DealRules, now: datetime) -> None:
    faults = [*_missing(customer, details, rules), *_detail_faults(details, rules.zone, now)]
    if faults:
        raise Incomplete(faults[0]["message"], errors=faults)


def _missing(customer: Customer, details: Details, rules: DealRules) -> Iterator[dict[str, Any]]:
    for name in rules.required:
        if not (getattr(details, name, None) or getattr(customer, name, None)):
            yield _fault(name, "required", f"the programme requires {name}")


def _detail_faults(details: Details, zone: str, now: datetime) -> Iterator[dict[str, Any]]:
    today = now.astimezone(ZoneInfo(zone)).date()
    if details.amount.amount <= 0:
        yield _fault("amount", "not-positive", "the amount is more than nothing")
    if not today <= details.close_on <= _years_later(today, CLOSE_YEARS_MAX):
        yield _fault("close_on", "out-of-range", f"the close date lies within {CLOSE_YEARS_MAX} years from today")


def _fault(path: str, code: str, message: str) -> dict[str, Any]:
    return {"path": path, "code": code, "message": message}


def _years_later(day: date, years: int) -> date:
    try:
        return day.replace(year=day.year + years)
    except ValueError:
        return day.replace(year=day.year + years, day=28)


def _only(named: tuple[str, ...], changed: tuple[str, ...]) -> tuple[str, ...]:
    others = [name for name in changed if name not in named]
    if others:
        errors = [_fault(name, "field-not-editable", "this field was not asked for") for name in others]
        raise FieldNotEditable(f"{others[0]} was not asked for", errors=errors)
    return changed
