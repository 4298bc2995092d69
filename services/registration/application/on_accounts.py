"""Two accounts that are one customer, and one that turned out to be two: what is looked up before."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from chassis.execution import Peek
from contracts.values import AccountId
from services.registration.application.on_deals import Make
from services.registration.application.registering import group_around
from services.registration.application.streams import lines_streams
from services.registration.domain.account import Account, Accounts, Group
from services.registration.domain.claim import Claim
from services.registration.domain.claims import Claims, ClaimsOf, collisions
from services.registration.domain.deal import Deals
from services.registration.domain.grouping import (
    CutParent,
    LinkParent,
    claiming,
    crossing,
    staying_of,
    subtree,
)
from services.registration.domain.merging import Collision, MergeAccounts, SplitAccounts, Target, collided, going_of


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
            moved=there.deals,
            collisions=await colliding_deals(peek, pairs),
            **told,
        )

    return prepare


async def colliding_deals(peek: Peek, pairs: Iterable[tuple[Claim, Claim]]) -> tuple[Collision, ...]:
    """The younger holds with the older ones that each collides with."""
    found = collided(pairs)
    deals = await peek.all([Deals.at(one.deal) for one, _ in found])
    return tuple(
        Collision(
            registration_id=one.registration_id,
            programme=deal.first.programme,
            against=tuple(other.registration_id for other in older),
            deal_id=one.deal_id,
            elders=tuple(dict.fromkeys(other.deal for other in older)),
        )
        for (one, older), deal in zip(found, deals, strict=True)
    )


def linking(account_id: AccountId, parent_id: AccountId, told: dict[str, Any]) -> Make:
    """Prepares an edge from a customer to its parent; `told` is what the caller said of it."""

    async def prepare(peek: Peek) -> LinkParent:
        above = await group_around(peek, parent_id)
        own: Account = await peek(Accounts.at(account_id))
        below = Group(root_id=account_id, members=own.members, changes=own.group_changes)
        lines = [await peek.all(lines_streams(group.accounts)) for group in (above, below)]
        return LinkParent(
            account_id=account_id,
            parent_id=parent_id,
            above=above,
            below=below,
            deals=claiming(*lines),
            collisions=await colliding_deals(peek, crossing(lines[0], lines[1], told["now"])),
            **told,
        )

    return prepare


def cutting(account_id: AccountId, told: dict[str, Any]) -> Make:
    """Prepares to take a customer, with what belongs to it, out of its group."""

    async def prepare(peek: Peek) -> CutParent:
        own: Account = await peek(Accounts.at(account_id))
        group = await group_around(peek, account_id)
        states: list[Account] = await peek.all([Accounts.at(one) for one in group.members])
        below = subtree(account_id, {one: state.parent for one, state in zip(group.members, states, strict=True)})
        lines = [await peek.all(lines_streams(one)) for one in (staying_of(group, below), below)]
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
