"""The word on a similar customer: what is looked up before it is decided."""

from dataclasses import replace
from typing import Any

from chassis.execution import Peek
from services.registration.application.on_accounts import joining
from services.registration.application.on_deals import Asked, Make, on_deal
from services.registration.application.registering import group_around
from services.registration.domain.account import SAME, Accounts
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deal, Deals
from services.registration.domain.deal_commands import DecideFinding
from services.registration.domain.finding import MergeFinding
from services.registration.domain.merging import apart_by_group
from services.registration.domain.overlap import GROUP


def deciding(asked: Asked, told: dict[str, Any], merge: dict[str, Any]) -> Make:
    """Prepares the word on a finding. The deal's customer goes on as the one that is the same; `merge` is what that is told.

    Where a group is in the way of that, the claim enters both; one on a whole group the group of the same customer too.
    """

    async def prepare(peek: Peek) -> DecideFinding | MergeFinding:
        wish: DecideFinding = await on_deal(asked, lambda _, fields: DecideFinding(**fields, **told))(peek)
        deal: Deal = await peek(Deals.at(asked.registration_id))
        if wish.verdict != SAME or wish.account_id in (*deal.decided, *deal.accounts):
            return wish
        if deal.first.reach.place.scope == GROUP:
            return replace(wish, group=await group_around(peek, wish.account_id))
        return await _merging_finding(peek, wish, merge)

    return prepare


async def _merging_finding(peek: Peek, wish: DecideFinding, told: dict[str, Any]) -> DecideFinding | MergeFinding:
    """The word `same` with the merge, where neither customer has to be cut out of a group for it."""
    into, own = wish.account_id, wish.accounts[0]
    survivor, absorbed = await peek.all([Accounts.at(into), Accounts.at(own)])
    if apart_by_group(survivor, absorbed, await peek(ClaimsOf.at(own))):
        return wish
    merge = await joining(into, own, told)(peek)
    return MergeFinding(
        registration_id=wish.registration_id,
        accounts=wish.accounts,
        programme=wish.programme,
        reason=wish.reason,
        by=wish.by,
        now=wish.now,
        merge=merge,
    )
