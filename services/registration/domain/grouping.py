"""Customers that belong together: edges from a customer to its parent, and what they mean for claims on a whole group.

A claim on a group stands in the line of every member. An edge lets the group claims of each side into the lines of the
other, in one commit; cutting it takes them out again. Nobody loses a hold: where rivals then hold the same, both holds
are contested, and a dispute over the younger one decides, as where two accounts are merged.

All that changes who belongs to a group, or claims it, is written to the account at its head: so the two never miss each
other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from chassis.decider import Invalid, Raced, Refused
from chassis.event import Sealed, command
from chassis.rulebook import Rulebook
from contracts.values import AccountId, RegistrationId
from services.registration.domain.account import (
    Account,
    AccountEvent,
    Group,
    GroupChanged,
    ParentCut,
    ParentLinked,
    alive,
)
from services.registration.domain.claim import CONTESTED, HELD, Claim
from services.registration.domain.claims import ClaimEvent, Claims, collisions, join, part
from services.registration.domain.deal import Deal
from services.registration.domain.deal_events import DealEvent, DealMoved
from services.registration.domain.dispute import Dispute, DisputeEvent
from services.registration.domain.merging import (
    Collision,
    Contested,
    Opening,
    contests,
    nobody_beside,
    settle,
    young_of,
)
from services.registration.domain.overlap import GROUP

MEMBERS_MAX = 100


@command("registration.LinkParent.v1")
class LinkParent:
    """Says that a customer belongs to another one. `above` is the parent's group, `below` the customer's own.

    `deals` are those that claim one of the two groups.
    """

    link_id: str
    account_id: AccountId
    parent_id: AccountId
    above: Group
    below: Group
    deals: tuple[RegistrationId, ...] = ()
    collisions: tuple[Collision, ...] = ()
    reason: Sealed
    by: str
    now: datetime


@command("registration.CutParent.v1")
class CutParent:
    """Says that a customer stands by itself. `below` is itself and what belongs to it, `group` the whole of before."""

    account_id: AccountId
    group: Group
    below: tuple[AccountId, ...]
    deals: tuple[RegistrationId, ...] = ()
    contested: tuple[RegistrationId, ...] = ()
    by: str
    now: datetime


class HasParent(Refused):
    """This customer belongs to another one already: cut that first."""

    slug = "has-parent"


class NoParent(Refused):
    """This customer belongs to no other one."""

    slug = "no-parent"


class EdgeLoop(Invalid):
    """A customer cannot belong to itself, or to one that belongs to it."""

    slug = "edge-loop"


class GroupTooLarge(Invalid):
    """A group has a hundred members at most besides its head."""

    slug = "group-too-large"


Lines = tuple[Claims, ...]
Changed = tuple[
    list[AccountEvent],
    list[AccountEvent],
    list[list[ClaimEvent]],
    list[list[ClaimEvent]],
    list[list[DealEvent]],
    list[list[DisputeEvent]],
]


# Link


def link_parent(
    wish: LinkParent,
    child: Account,
    head: Account,
    *lines: *tuple[Lines, Lines, tuple[Deal, ...], Opening, *Contested],
) -> Changed:
    """Puts a customer below another one: each side's group claims stand in the lines of the other from now on."""
    above, below, deals, disputes, young, books, old = lines
    if child.parent == wish.parent_id:
        return [], [], _none(above), _none(below), _none(deals), _none(disputes)
    _may_link(wish, child, head)
    return _linked_up(wish, above, below, deals, disputes, young, books, old)


def link_parent_between_deals(
    wish: LinkParent,
    child: Account,
    head: Account,
    *lines: *tuple[Lines, Lines, tuple[Deal, ...], Opening, tuple[Deal, ...], tuple[Rulebook, ...]],
) -> Changed:
    """As the first evaluator decided: it refused where who takes part in a deal would meet a rival that holds the same."""
    above, below, deals, disputes, young, books = lines
    if child.parent == wish.parent_id:
        return [], [], _none(above), _none(below), _none(deals), _none(disputes)
    _may_link(wish, child, head)
    nobody_beside(crossing(above, below, wish.now))
    return _linked_up(wish, above, below, deals, disputes, young, books, ())


def _linked_up(wish: LinkParent, *lines: *tuple[Lines, Lines, tuple[Deal, ...], Opening, *Contested]) -> Changed:
    above, below, deals, disputes, young, books, old = lines
    met = crossing(above, below, wish.now)
    if wish.deals != claiming(above, below) or {one.registration_id for one in wish.collisions} != set(young_of(met)):
        raise Raced
    members = (*wish.above.members, *wish.below.accounts)
    return (
        [_linked(wish, met)],
        [GroupChanged(root_id=wish.above.root_id, link_id=wish.link_id, members=members, changed_at=wish.now)],
        [_entered(line, below[0], wish.account_id, wish) for line in above],
        [_entered(line, above[0], wish.parent_id, wish) for line in below],
        [_reaching(deal, wish) for deal in deals],
        contests(wish, (claim for pair in met for claim in pair), disputes, young, books, old),
    )


def _none(streams: Sequence[object]) -> list[list[Any]]:
    return [[] for _ in streams]


def _may_link(wish: LinkParent, child: Account, head: Account) -> None:
    alive(child)
    if child.parent is not None:
        raise HasParent(account_id=child.parent)
    if wish.account_id in wish.above.accounts:
        raise EdgeLoop
    alive(head)
    unmoved_group(wish.above, head)
    unmoved_group(wish.below, child)
    if len(wish.above.members) + len(wish.below.accounts) > MEMBERS_MAX:
        raise GroupTooLarge


def unmoved_group(group: Group, head: Account) -> None:
    """Raises Raced where somebody joined or left the group after the command was made."""
    if head.parent is not None or (head.members, head.group_changes) != (group.members, group.changes):
        raise Raced


def crossing(above: Sequence[Claims], below: Sequence[Claims], now: datetime) -> list[tuple[Claim, Claim]]:
    """The rivals that would both hold the same if each side's group claims stood in the other's lines."""
    ways = [(line, below[0]) for line in above] + [(line, above[0]) for line in below]
    return [pair for line, others in ways for pair in collisions(line, _entering(line, others), now)]


def claiming(above: Sequence[Claims], below: Sequence[Claims]) -> tuple[RegistrationId, ...]:
    """The deals that claim one of the two groups."""
    both = (claim for line in (above[0], below[0]) for claim in line.live if _of_group(claim))
    return tuple(dict.fromkeys(claim.deal for claim in both))


def _entering(line: Claims, others: Claims) -> Claims:
    """The group claims of another line that do not stand in this one yet."""
    new = (claim for claim in others.live if _of_group(claim) and line.of(claim.registration_id) is None)
    return Claims(tuple(replace(one, state=HELD) if one.state == CONTESTED else one for one in new))


def _of_group(claim: Claim) -> bool:
    return claim.reach.place.scope == GROUP


def _entered(line: Claims, others: Claims, from_id: AccountId, wish: LinkParent) -> list[ClaimEvent]:
    new = _entering(line, others)
    return join(line, new, from_id, wish.link_id, wish.now) if new.live else []


def _linked(wish: LinkParent, met: Sequence[tuple[Claim, Claim]]) -> ParentLinked:
    return ParentLinked(
        account_id=wish.account_id,
        parent_id=wish.parent_id,
        root_id=wish.above.root_id,
        link_id=wish.link_id,
        contested=young_of(met),
        reason=wish.reason,
        linked_by=wish.by,
        linked_at=wish.now,
    )


def _reaching(deal: Deal, wish: LinkParent) -> list[DealEvent]:
    """The deal on every member of the group."""
    new = tuple(one for one in (*wish.above.accounts, *wish.below.accounts) if one not in deal.accounts)
    accounts, group = (*deal.accounts, *new), (*deal.group, *new)
    moved = DealMoved(**deal.header, accounts=accounts, group=group, merge_id=wish.link_id, moved_at=wish.now)
    return [moved] if new else []


# Cut


def cut_parent(
    wish: CutParent,
    child: Account,
    head: Account,
    *lines: *tuple[Lines, Lines, tuple[Deal, ...], tuple[Dispute, ...]],
) -> Changed:
    """Takes a customer, with what belongs to it, out of its group: each side keeps the claims that are its own."""
    staying, below, deals, disputes = lines
    alive(child)
    edge = child.edge
    if edge is None:
        raise NoParent
    unmoved_group(wish.group, head)
    rest = staying_of(wish.group, wish.below)
    if (wish.deals, wish.contested) != (claiming(staying, below), edge.contested):
        raise Raced
    gone = {deal.first.registration_id: _leaving(deal, rest, wish.below) for deal in deals}
    return (
        [_cut(wish, edge)],
        [GroupChanged(root_id=wish.group.root_id, link_id=edge.link_id, members=rest[1:], changed_at=wish.now)],
        [_left(line, one, gone, edge.link_id, wish.now) for one, line in zip(rest, staying, strict=True)],
        [_left(line, one, gone, edge.link_id, wish.now) for one, line in zip(wish.below, below, strict=True)],
        [_parted(deal, gone[deal.first.registration_id], edge.link_id, wish.now) for deal in deals],
        [settle(dispute, wish.now) for dispute in disputes],
    )


def staying_of(group: Group, below: Sequence[AccountId]) -> tuple[AccountId, ...]:
    """What is left of the group without a part of it, its head first."""
    return tuple(one for one in group.accounts if one not in below)


def subtree(account_id: AccountId, parents: Mapping[AccountId, AccountId | None]) -> tuple[AccountId, ...]:
    """The account and all that belongs to it."""
    own = [one for one, parent in parents.items() if parent == account_id]
    return (account_id, *(one for child in own for one in subtree(child, parents)))


def _leaving(deal: Deal, *sides: Sequence[AccountId]) -> tuple[AccountId, ...]:
    """The members that a group deal is on no more: those of the side on which it names no customer."""
    named = set(deal.accounts) - set(deal.group)
    homes = {one for side in sides if not named.isdisjoint(side) for one in side}
    apart = {one for side in sides for one in side} - homes
    return tuple(one for one in deal.group if homes and one in apart)


def _cut(wish: CutParent, edge: ParentLinked) -> ParentCut:
    return ParentCut(
        account_id=wish.account_id,
        parent_id=edge.parent_id,
        root_id=wish.group.root_id,
        link_id=edge.link_id,
        members=wish.below[1:],
        cut_by=wish.by,
        cut_at=wish.now,
    )


def _left(
    line: Claims, account_id: AccountId, gone: Mapping[RegistrationId, Sequence[AccountId]], link_id: str, now: datetime
) -> list[ClaimEvent]:
    going = tuple(one for one, accounts in gone.items() if account_id in accounts and line.of(one))
    return part(line, going, (), (), link_id, now) if going else []


def _parted(deal: Deal, gone: Sequence[AccountId], link_id: str, now: datetime) -> list[DealEvent]:
    accounts, group = (tuple(one for one in of if one not in gone) for of in (deal.accounts, deal.group))
    moved = DealMoved(**deal.header, accounts=accounts, group=group, merge_id=link_id, moved_at=now)
    return [moved] if gone else []
