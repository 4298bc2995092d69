"""The look-ups of registration done again in a full shadow run: whose customer it is, and which ones resemble it.

A submission, a resubmission and an approval had asked the index of customers; what the service does by itself rests on
what the last screening had found. All else that commands were made with is as recorded.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

from chassis.afresh import Remade
from chassis.event import LEFT_OUT, LeftOut, replace
from chassis.execution import Glimpse
from contracts.values import AccountId, RegistrationId
from services.registration.application.on_deals import followed, seen_before
from services.registration.application.ports import PastAccounts
from services.registration.application.registering import identified, targets_on
from services.registration.domain.deal import Deal, Deals
from services.registration.domain.deal_commands import (
    ApproveDeal,
    GivesWay,
    MergeDuplicate,
    OnDeal,
    QueueDeal,
    RegisterDeal,
    ResubmitDeal,
    Screens,
)
from services.registration.domain.dispute import ConcludeDispute
from services.registration.domain.matching import Candidate, IndexSeen

W = TypeVar("W", bound=OnDeal)


@dataclass(frozen=True)
class LookUps:
    """The commands of one tenant, made again on the index of customers as it was when each came."""

    index: PastAccounts

    @property
    def reads(self) -> frozenset[str]:
        return self.index.reads

    def learn(self, happened: Any, position: int) -> None:
        self.index.learn(happened, position)

    async def prepare(self, wish: Any, glimpse: Glimpse) -> Remade:
        match wish:
            case RegisterDeal():
                return await self._registered(wish, glimpse)
            case Screens():
                return await self._screened(wish, glimpse)
            case OnDeal():
                return Remade(wish=await _where_it_is(wish, glimpse))
            case _:
                return Remade(wish=wish)

    async def _registered(self, wish: RegisterDeal, glimpse: Glimpse) -> Remade:
        who = await identified(glimpse, wish)
        found = self.index.near(wish.customer, who.met, wish.index)
        made = replace(
            wish,
            keys=who.keys,
            accounts=who.accounts,
            candidates=(*who.contradicted.values(), *_reached(found.candidates, wish.candidates)),
            group=who.group,
            groups=tuple(dict.fromkeys(who.groups)),
            replaces=await _giving_way(wish.replaces, glimpse) if wish.replaces else None,
            index=found.index,
        )
        if made.accounts != wish.accounts:
            targets = await targets_on(glimpse, made.accounts, wish.customer, wish.products)
            made = replace(made, targets=targets)
        return _remade(made, found.remarks, same=replace(made, index=wish.index) == wish)

    async def _screened(self, wish: Screens, glimpse: Glimpse) -> Remade:
        made = await _where_it_is(wish, glimpse)
        deal: Deal = await glimpse(Deals.at(wish.registration_id))
        if deal.registered is None:
            return Remade(wish=made)
        if _was_looked_up(wish, deal):
            found = self.index.near(deal.first.customer, made.accounts, wish.index)
            candidates = _reached(found.candidates, wish.candidates)
            made = replace(made, candidates=candidates, index=found.index)
            return _remade(made, found.remarks, same=candidates == wish.candidates)
        if glimpse.differs(Deals.at(wish.registration_id)):
            before = seen_before(deal)
            kept = tuple(one for one in before.candidates if one.account_id not in made.accounts)
            made = replace(made, candidates=kept, index=before.index)
        return Remade(wish=made)


def _reached(found: tuple[Candidate, ...], recorded: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """What telephone numbers told is as it was measured then: since then a person may have been forgotten."""
    then = {one.account_id: one.same_phone for one in recorded}
    return tuple(replace(one, same_phone=then.get(one.account_id, LEFT_OUT)) for one in found)


def _remade(made: Any, remarks: tuple[str, ...], *, same: bool) -> Remade:
    return Remade(wish=made, remarks=() if same else remarks)


def _was_looked_up(wish: Screens, deal: Deal) -> bool:
    """Whether the index was asked for it. The desk queues a deal after a look, the service by the last screening."""
    looked = isinstance(wish, QueueDeal) and _position(wish.index) > _position(seen_before(deal).index)
    return looked or isinstance(wish, ApproveDeal | ResubmitDeal)


def _position(seen: IndexSeen | LeftOut) -> int:
    return seen.position if isinstance(seen, IndexSeen) else 0


async def _where_it_is(wish: W, glimpse: Glimpse) -> W:
    """The command on the accounts that the deals have in the other world."""
    accounts = await _accounts_of(wish.registration_id, wish.accounts, glimpse)
    if isinstance(wish, ConcludeDispute):
        accounts = await followed(glimpse, accounts)
    moved: W = replace(wish, accounts=accounts)
    if isinstance(moved, MergeDuplicate):
        return replace(moved, into_accounts=await _accounts_of(moved.into, moved.into_accounts, glimpse))
    if isinstance(moved, Screens):
        gives_way = tuple([await _giving_way(one, glimpse) for one in moved.gives_way])
        return replace(moved, gives_way=gives_way, targets=await _targets(wish, accounts, glimpse))
    return moved


async def _accounts_of(
    registration_id: RegistrationId, as_recorded: tuple[AccountId, ...], glimpse: Glimpse
) -> tuple[AccountId, ...]:
    """The accounts of a deal that came out differently; those of the others are as recorded."""
    stream = Deals.at(registration_id)
    if not glimpse.differs(stream):
        return as_recorded
    deal: Deal = await glimpse(stream)
    return deal.accounts or as_recorded


async def _giving_way(told: GivesWay, glimpse: Glimpse) -> GivesWay:
    return replace(told, accounts=await _accounts_of(told.registration_id, told.accounts, glimpse))


async def _targets(wish: Any, accounts: tuple[AccountId, ...], glimpse: Glimpse) -> tuple[str, ...]:
    """What an exclusion would be on, where the deal is on other accounts than it was."""
    deal: Deal = await glimpse(Deals.at(wish.registration_id))
    if accounts == wish.accounts or deal.registered is None:
        return tuple(wish.targets)
    return await targets_on(glimpse, accounts, deal.first.customer, deal.first.reach.products)
