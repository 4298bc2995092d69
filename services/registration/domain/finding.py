"""A similar customer that is the same one: the deal's customer goes on as it, in the commit that says so."""

from typing import Any

from chassis.decider import Raced
from chassis.event import Sealed, command
from contracts.values import AccountId
from services.registration.domain.account import SAME, Account, AccountEvent
from services.registration.domain.account_key import AccountKey, KeyEvent
from services.registration.domain.claims import ClaimEvent, Claims
from services.registration.domain.deal import Deal, may, unmoved
from services.registration.domain.deal_commands import DecideFinding, OnDeal
from services.registration.domain.deal_events import DealEvent, FindingDecided
from services.registration.domain.dispute import Dispute, DisputeEvent
from services.registration.domain.merging import Contested, MergeAccounts, merge_accounts
from services.registration.domain.reviewing import found_again


@command("registration.MergeFinding.v1")
class MergeFinding(OnDeal):
    """The word `same` on a similar customer, with the merge of the deal's own customer into that one."""

    reason: Sealed
    by: str
    merge: MergeAccounts

    @property
    def account_id(self) -> AccountId:
        """The customer that is the same."""
        return self.merge.survivor_id


Merged = tuple[
    list[DealEvent],
    list[AccountEvent],
    list[AccountEvent],
    list[list[KeyEvent]],
    list[ClaimEvent],
    list[ClaimEvent],
    list[list[DealEvent]],
    list[list[DisputeEvent]],
]
Lines = tuple[Claims, Claims, tuple[Deal, ...], tuple[Dispute, ...]]


def merge_finding(
    wish: MergeFinding,
    deal: Deal,
    survivor: Account,
    absorbed: Account,
    keys: tuple[AccountKey, ...],
    *lines: *tuple[*Lines, *Contested],
) -> Merged:
    """Says that a similar customer is the same, and makes one of the two as `merge_accounts` does: it can be taken back."""
    here, there, others, disputes, young, books, old = lines
    may(deal, DecideFinding)
    unmoved(wish, deal)
    if found_again(wish.account_id, deal):
        return [], [], [], [[] for _ in keys], [], [], [[] for _ in others], [[] for _ in disputes]
    if wish.registration_id not in wish.merge.moved:
        raise Raced
    moving = _in_line(wish, deal, others)
    merged = merge_accounts(wish.merge, survivor, absorbed, keys, here, there, moving, disputes, young, books, old)
    one, gone, led, joined, left, moved, opened = merged
    told = dict(zip(wish.merge.moved, moved, strict=True))
    own = told.pop(wish.registration_id)
    return [_said(wish, deal), *own], one, gone, led, joined, left, list(told.values()), opened


def _in_line(wish: MergeFinding, deal: Deal, others: tuple[Deal, ...]) -> tuple[Deal, ...]:
    """The deals that move, in the order of their claims."""
    rest = iter(others)
    return tuple(deal if one == wish.registration_id else next(rest) for one in wish.merge.moved)


def _said(wish: MergeFinding, deal: Deal) -> DealEvent:
    told: dict[str, Any] = {"verdict": SAME, "reason": wish.reason, "decided_by": wish.by, "decided_at": wish.now}
    return FindingDecided(**deal.header, account_id=wish.account_id, **told)
