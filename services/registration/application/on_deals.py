"""Commands on a deal: what is looked up before they are decided."""

from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import field, replace
from datetime import date, datetime
from typing import Any, Protocol

from chassis.decider import NotFound
from chassis.event import LEFT_OUT, LeftOut, frozen
from chassis.execution import Peek
from chassis.rulebook import Rules
from contracts.values import AccountId, RegistrationId
from services.registration.application.ports import AccountIndex
from services.registration.application.registering import giving_way, targets_on
from services.registration.domain.claims import Claims, ClaimsOf
from services.registration.domain.deal import Deal, Deals
from services.registration.domain.deal_commands import (
    ApproveDeal,
    GivesWay,
    MergeDuplicate,
    ResubmitDeal,
)
from services.registration.domain.deal_events import Details
from services.registration.domain.judging import rules_of
from services.registration.domain.matching import Candidate, IndexSeen
from services.registration.domain.trace import Trace, traces_of


@frozen
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
        programme = deal.known.programme
        fields = {"registration_id": asked.registration_id, "accounts": deal.accounts, "programme": programme}
        return make(deal, {**fields, "now": asked.now})

    return prepare


def on_shared_deal(asked: Asked, who: Collection[str], make: Callable[[Deal, dict[str, Any]], Any]) -> Make:
    """As `on_deal`, also for a partner that takes part in the deal: `who` are its ids."""

    async def prepare(peek: Peek) -> Any:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        shared = any(one.participant.partner_id in who for one in deal.participants)
        return await on_deal(replace(asked, allow=lambda _: None) if shared else asked, make)(peek)

    return prepare


def screening_again(
    asked: Asked, index: AccountIndex, tenant: str, make: Callable[[Deal, dict[str, Any]], Any], screening_id: str
) -> Make:
    """As `on_deal`, with the accounts that resemble the customer now: `fields` are those of `Screens`."""

    async def prepare(peek: Peek) -> Any:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        asked.allow(deal.first.partner_id)
        found = await index.near(tenant, deal.first.customer, deal.accounts)
        wish = make(deal, await screens(peek, deal, asked, found, screening_id))
        if isinstance(wish, ResubmitDeal):
            return replace(wish, traces=await traces_again(peek, deal, wish.details))
        return wish

    return prepare


async def holders(peek: Peek, deal: Deal, now: datetime) -> tuple[RegistrationId, ...]:
    """The deals that hold what this one asks for. Who only takes part in one is not displaced, and is not disputed for that."""
    lines: list[Claims] = await peek.all([ClaimsOf.at(account) for account in deal.accounts])
    rivals = (c for one in lines for c in one.live if c.protected(now) and c.rivals(one.counted(deal.claim())))
    return tuple(sorted({c.registration_id for c in rivals if not c.deal_id}))


async def followed(peek: Peek, accounts: Iterable[AccountId]) -> tuple[AccountId, ...]:
    """The accounts as which these go on, where they were merged after the deal had ended."""
    return tuple(dict.fromkeys([(await way_of(peek, account))[-1] for account in accounts]))


async def way_of(peek: Peek, account: AccountId) -> tuple[AccountId, ...]:
    """The account, and those as which it went on by one merger after the other; the last one is what it is by now."""
    line: Claims = await peek(ClaimsOf.at(account))
    return (account,) if line.moved_to is None else (account, *await way_of(peek, line.moved_to))


def displacing(peek_make: Make, reason_code: str) -> Make:
    """As `screening_again`, for an approval that is to take the place of the deals that hold now."""

    async def prepare(peek: Peek) -> Any:
        wish: ApproveDeal = await peek_make(peek)
        deal: Deal = await peek(Deals.at(wish.registration_id))
        held = await holders(peek, deal, wish.now)
        others = [(one, (await peek(Deals.at(one))).accounts) for one in held]
        rivals = tuple(GivesWay(registration_id=one, accounts=of, reason_code=reason_code) for one, of in others)
        return replace(wish, displaces=True, gives_way=(*wish.gives_way, *rivals))

    return prepare


def as_screened(asked: Asked, command: type[Any], screening_id: str) -> Make:
    """Prepares a command of the service itself, with the candidates of the last screening."""

    async def prepare(peek: Peek) -> Any:
        deal: Deal = await peek(Deals.at(asked.registration_id))
        before = seen_before(deal)
        return command(**await screens(peek, deal, asked, before, screening_id))

    return prepare


class Found(Protocol):
    """Accounts that resemble the customer of a deal, and the index that named them."""

    @property
    def candidates(self) -> tuple[Candidate, ...]: ...
    @property
    def index(self) -> IndexSeen | LeftOut: ...


@frozen
class _Nothing:
    candidates: tuple[Candidate, ...] = ()
    index: IndexSeen | LeftOut = LEFT_OUT


def seen_before(deal: Deal) -> Found:
    """What the last screening found."""
    return deal.screened.facts if deal.screened else _Nothing()


async def screens(peek: Peek, deal: Deal, asked: Asked, found: Found, screening_id: str) -> dict[str, Any]:
    """The fields of `Screens`."""
    first = deal.first
    replaced = await giving_way(peek, first.replaces)
    return {
        "registration_id": first.registration_id,
        "accounts": deal.accounts,
        "now": asked.now,
        "programme": first.programme,
        "partner_id": first.partner_id,
        "candidates": tuple(one for one in found.candidates if one.account_id not in deal.accounts),
        "index": found.index,
        "screening_id": screening_id,
        "gives_way": (replaced,) if replaced else (),
        "targets": await targets_on(peek, deal.accounts, first.customer, first.reach.products),
        "traces": await traces_again(peek, deal, deal.now_details),
    }


async def traces_again(peek: Peek, deal: Deal, details: Details) -> tuple[Trace, ...]:
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
