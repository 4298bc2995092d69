"""How two accounts become one customer, and how that is taken back. Both ways in one commit; nobody loses a hold.

The names, keys and live claims of the absorbed account go over to the survivor. Where rivals then hold the same, both
holds are contested, and a dispute over the younger one decides: a deal's own hold, or that of who takes part in one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from chassis.case import OPEN, Stage
from chassis.decider import Invalid, NotFound, Raced, Refused
from chassis.event import LEFT_OUT, LeftOut, Sealed, command, frozen
from chassis.rulebook import Rulebook
from contracts.business_time import BUSINESS_DAY
from contracts.values import AccountId, RegistrationId
from services.registration.domain.account import (
    Account,
    AccountAbsorbed,
    AccountEvent,
    AccountRestored,
    AccountsMerged,
    AccountsSplit,
    alive,
)
from services.registration.domain.account_key import AccountKey, Key, KeyEvent, move_key, share_key
from services.registration.domain.claim import Claim
from services.registration.domain.claims import (
    ClaimEvent,
    Claims,
    collisions,
    join,
    leave,
    part,
    part_by_first_wins,
    restore,
)
from services.registration.domain.deal import Deal
from services.registration.domain.deal_events import DealEvent, DealMoved
from services.registration.domain.dispute import (
    EVIDENCE_DAYS,
    SERVICE,
    WRONG_MATCH,
    Dispute,
    DisputeEvent,
    DisputeOpened,
    DisputeWithdrawn,
    Holder,
    nothing_to_do,
)
from services.registration.domain.judging import rules_of
from services.registration.domain.overlap import GROUP

CLAIMS_MAX = 100


@frozen
class Collision:
    """A hold that collides with older ones where the two accounts are one, and the programme of its deal's rules.

    Holds are named as claims are. `deal_id` is the deal that this one takes part in, where it is not the deal's own;
    `elders` are the deals of those in `against`.
    """

    registration_id: RegistrationId
    programme: str
    against: tuple[RegistrationId, ...]
    deal_id: RegistrationId | LeftOut = LEFT_OUT
    elders: tuple[RegistrationId, ...] = ()

    @property
    def deal(self) -> RegistrationId:
        """The deal that the hold is of."""
        return self.deal_id or self.registration_id


@command("registration.MergeAccounts.v1")
class MergeAccounts:
    """`keys` and `moved` are the absorbed account's keys and live claims when the command was made."""

    merge_id: str
    survivor_id: AccountId
    absorbed_id: AccountId
    keys: tuple[Key, ...] = ()
    moved: tuple[RegistrationId, ...] = ()
    collisions: tuple[Collision, ...] = ()
    reason: Sealed
    by: str
    now: datetime


@frozen
class Target:
    """Where a claim goes that came after the merge: to the survivor or the absorbed account."""

    registration_id: RegistrationId
    account_id: AccountId


@command("registration.SplitAccounts.v1")
class SplitAccounts:
    """`going` are the claims that go to the absorbed account, `contested` the disputes that the merge opened."""

    merge_id: str
    survivor_id: AccountId
    absorbed_id: AccountId
    keys: tuple[Key, ...] = ()
    going: tuple[RegistrationId, ...] = ()
    contested: tuple[RegistrationId, ...] = ()
    targets: tuple[Target, ...] = ()
    by: str
    now: datetime


class Colliding(Protocol):
    """A wish by which holds may collide: which do, whose it is, and when."""

    @property
    def collisions(self) -> tuple[Collision, ...]: ...
    @property
    def by(self) -> str: ...
    @property
    def now(self) -> datetime: ...


class SameAccount(Invalid):
    """An account cannot be merged into itself."""

    slug = "same-account"


class ApartForGood(Refused):
    """Somebody decided for good that these are two customers."""

    slug = "kept-apart"


class MergeTooLarge(Invalid):
    """An account with more than a hundred live claims cannot be merged into another one: merge the other way round."""

    slug = "merge-too-large"


class InGroup(Refused):
    """One of the two belongs to a group: cut it out first, merge the two, and link the one again."""

    slug = "in-group"


class ParticipantsCollide(Refused):
    """Somebody who takes part in a deal would hold what a rival holds: so the first evaluators refused."""

    slug = "participants-collide"


class NoSuchMerge(Invalid):
    """This account has absorbed no other one under that name: see its `merges`."""

    slug = "no-such-merge"


class SplitIncomplete(Invalid):
    """Name for each of the claims in `claims`, which came after the merge, the account that it belongs to."""

    slug = "split-incomplete"


Merged = tuple[
    list[AccountEvent],
    list[AccountEvent],
    list[list[KeyEvent]],
    list[ClaimEvent],
    list[ClaimEvent],
    list[list[DealEvent]],
    list[list[DisputeEvent]],
]


# Merge


Both = tuple[Claims, Claims, tuple[Deal, ...]]
Opening = tuple[Dispute, ...]
Contested = tuple[tuple[Deal, ...], tuple[Rulebook, ...], tuple[Deal, ...]]
"""What is read of the holds that collide: the deals of the younger ones, their rules, and the deals of the older ones."""


def merge_accounts(
    wish: MergeAccounts,
    survivor: Account,
    absorbed: Account,
    keys: tuple[AccountKey, ...],
    *lines: *tuple[*Both, Opening, *Contested],
) -> Merged:
    """Makes one customer of two, in one commit. Whoever holds goes on holding, also who takes part in a deal."""
    here, there, deals, disputes, young, books, old = lines
    _may_merge(wish, survivor, absorbed)
    _outside_groups(survivor, absorbed, there)
    return _merged(wish, absorbed, keys, here, there, deals, disputes, young, books, old)


def merge_accounts_between_deals(
    wish: MergeAccounts,
    survivor: Account,
    absorbed: Account,
    keys: tuple[AccountKey, ...],
    *lines: *tuple[*Both, Opening, tuple[Deal, ...], tuple[Rulebook, ...]],
) -> Merged:
    """As the first evaluator decided: it refused where who takes part in a deal would meet a rival that holds the same."""
    here, there, deals, disputes, young, books = lines
    _may_merge(wish, survivor, absorbed)
    _outside_groups(survivor, absorbed, there)
    nobody_beside(collisions(here, there, wish.now))
    return _merged(wish, absorbed, keys, here, there, deals, disputes, young, books, ())


def _merged(
    wish: MergeAccounts,
    absorbed: Account,
    keys: tuple[AccountKey, ...],
    *lines: *tuple[*Both, Opening, *Contested],
) -> Merged:
    here, there, deals, disputes, young, books, old = lines
    _as_prepared(wish, absorbed, here, there)
    merged, gone = _joined(wish, absorbed, here, there)
    moved = [_moved(deal, wish.absorbed_id, (wish.survivor_id,), wish.merge_id, wish.now) for deal in deals]
    opened = contests(wish, (*here.live, *there.live), disputes, young, books, old)
    return (
        [merged],
        [gone],
        [_led(key, state, wish.absorbed_id, wish) for key, state in zip(wish.keys, keys, strict=True)],
        join(here, there, wish.absorbed_id, wish.merge_id, wish.now),
        leave(wish.survivor_id, wish.merge_id, wish.now),
        moved,
        opened,
    )


def _may_merge(wish: MergeAccounts, survivor: Account, absorbed: Account) -> None:
    if wish.survivor_id == wish.absorbed_id:
        raise SameAccount
    alive(survivor)
    alive(absorbed)
    if wish.absorbed_id in survivor.apart or wish.survivor_id in absorbed.apart:
        raise ApartForGood
    if len(wish.moved) > CLAIMS_MAX:
        raise MergeTooLarge


def _outside_groups(survivor: Account, absorbed: Account, there: Claims) -> None:
    """Raises InGroup."""
    if apart_by_group(survivor, absorbed, there):
        raise InGroup


def apart_by_group(survivor: Account, absorbed: Account, there: Claims) -> bool:
    """Whether the merge would change who belongs to a group, or what claims one."""
    groups = any(claim.reach.place.scope == GROUP for claim in there.live)
    belongs = survivor.parent or survivor.members
    return bool(absorbed.parent or absorbed.members or (groups and belongs))


def nobody_beside(pairs: Iterable[tuple[Claim, Claim]]) -> None:
    """Raises ParticipantsCollide where who takes part in a deal is on either side."""
    beside = [claim.registration_id for pair in pairs for claim in pair if claim.deal_id]
    if beside:
        raise ParticipantsCollide(invitations=list(dict.fromkeys(beside)))


def collided(pairs: Iterable[tuple[Claim, Claim]]) -> list[tuple[Claim, tuple[Claim, ...]]]:
    """Each younger hold with the older ones that it collides with, each of them once, on however many accounts they meet."""
    found: dict[RegistrationId, tuple[Claim, dict[RegistrationId, Claim]]] = {}
    for first, second in pairs:
        found.setdefault(second.registration_id, (second, {}))[1].setdefault(first.registration_id, first)
    return [(younger, tuple(older.values())) for younger, older in found.values()]


def young_of(pairs: Iterable[tuple[Claim, Claim]]) -> tuple[RegistrationId, ...]:
    """The younger holds, by their names."""
    return tuple(dict.fromkeys(second.registration_id for _, second in pairs))


def _as_prepared(wish: MergeAccounts, absorbed: Account, here: Claims, there: Claims) -> None:
    young = set(young_of(collisions(here, there, wish.now)))
    met = {one.registration_id for one in wish.collisions}
    if (wish.keys, wish.moved) != (absorbed.keys, there.deals) or met != young:
        raise Raced


def _joined(
    wish: MergeAccounts, absorbed: Account, here: Claims, there: Claims
) -> tuple[AccountsMerged, AccountAbsorbed]:
    pairs = collisions(here, there, wish.now)
    merged = AccountsMerged(
        merge_id=wish.merge_id,
        survivor_id=wish.survivor_id,
        absorbed_id=wish.absorbed_id,
        keys=wish.keys,
        normal_names=absorbed.normal_names,
        moved=wish.moved,
        kept=here.deals,
        incumbents=there.incumbents,
        contested=tuple(dict.fromkeys(claim.registration_id for pair in pairs for claim in pair)),
        reason=wish.reason,
        merged_by=wish.by,
        merged_at=wish.now,
    )
    into = {"merge_id": wish.merge_id, "into_id": wish.survivor_id, "absorbed_at": wish.now}
    return merged, AccountAbsorbed(account_id=wish.absorbed_id, **into)  # type: ignore[arg-type]


def _led(key: Key, state: AccountKey, from_id: AccountId, wish: MergeAccounts) -> list[KeyEvent]:
    return move_key(key, state, from_id=from_id, to_id=wish.survivor_id, merge_id=wish.merge_id, now=wish.now)


def _moved(deal: Deal, from_id: AccountId, to: tuple[AccountId, ...], merge_id: str, now: datetime) -> list[DealEvent]:
    """The deal with other accounts in the place of one."""
    changed = [new for account in deal.accounts for new in (to if account == from_id else (account,))]
    accounts = tuple(dict.fromkeys(changed))
    return [DealMoved(**deal.header, accounts=accounts, merge_id=merge_id, moved_at=now)]


def contests(
    wish: Colliding,
    claims: Iterable[Claim],
    disputes: tuple[Dispute, ...],
    *around: *Contested,
) -> list[list[DisputeEvent]]:
    """The disputes over the holds that collide, in their order. Whoever approved one of the deals may decide none of them."""
    young, books, old = around
    known = {claim.registration_id: claim for claim in claims}
    met = zip(wish.collisions, disputes, young, books, strict=True)
    return [_contest(one, dispute, deal, _terms(one, deal, book, old, wish), known) for one, dispute, deal, book in met]


def _terms(one: Collision, deal: Deal, book: Rulebook, old: Iterable[Deal], wish: Colliding) -> dict[str, Any]:
    """Who may not decide it, and until when evidence is shown."""
    until = rules_of(deal, book).calendar.after(wish.now, EVIDENCE_DAYS * BUSINESS_DAY)
    return {"barred": _barred(one, deal, old, wish.by), "due_at": until, "opened_at": wish.now}


def _barred(one: Collision, deal: Deal, old: Iterable[Deal], by: str) -> tuple[str, ...]:
    """Who had a hand in one of the deals, or in what made them collide."""
    elders = (who for other in old if other.first.registration_id in one.elders for who in other.involved)
    return tuple(dict.fromkeys((*deal.involved, *elders, by)))


Known = Mapping[RegistrationId, Claim]


def _contest(one: Collision, dispute: Dispute, deal: Deal, terms: dict[str, Any], known: Known) -> list[DisputeEvent]:
    """A dispute over the younger hold, which nobody had to file; one that is going on decides this too."""
    if dispute.case.stage not in (Stage.NONE, Stage.WITHDRAWN, Stage.FINAL):
        return []
    return [
        DisputeOpened(
            **_whose(one, deal, known),
            kind=WRONG_MATCH,
            statement=None,
            evidence=(),
            against=one.against,
            holders=tuple(_holder(known[other]) for other in one.against),
            opened_by=SERVICE,
            **terms,
        )
    ]


def _whose(one: Collision, deal: Deal, known: Known) -> dict[str, Any]:
    """The fields of `OfDispute`: of a deal's own hold, or of who takes part in the deal."""
    if not one.deal_id:
        return deal.header
    beside = {"partner_id": known[one.registration_id].partner_id, "invitation_id": one.registration_id}
    return {**deal.header, **beside}


def _holder(claim: Claim) -> Holder:
    """Whose an older hold is."""
    beside = claim.registration_id if claim.deal_id else LEFT_OUT
    return Holder(registration_id=claim.deal, partner_id=claim.partner_id, invitation_id=beside)


# Split


def split_accounts(
    wish: SplitAccounts,
    survivor: Account,
    absorbed: Account,
    keys: tuple[AccountKey, ...],
    *lines: *tuple[Claims, Claims, tuple[Deal, ...], tuple[Dispute, ...]],
) -> Merged:
    """Takes a merge back: its claims return to their account, later ones go where they are told to."""
    here, _, deals, disputes = lines
    alive(survivor)
    merge = merge_of(wish.merge_id, survivor)
    _all_placed(wish, survivor, here)
    going = going_of(wish, merge, here)
    if (wish.keys, wish.going, wish.absorbed_id) != (merge.keys, going, merge.absorbed_id):
        raise Raced
    in_both = tuple(one for one in going if one in merge.moved and one in merge.kept)
    line = (merge.incumbents, wish.merge_id, wish.now)
    return (
        [_split(wish)],
        [AccountRestored(account_id=wish.absorbed_id, merge_id=wish.merge_id, restored_at=wish.now)],
        [_led_back(key, state, survivor, wish) for key, state in zip(wish.keys, keys, strict=True)],
        part(here, going, in_both, *line),
        restore(here, going, *line, merge.moved),
        [_returned(deal, in_both, wish) for deal in deals],
        [settle(dispute, wish.now) for dispute in disputes],
    )


def split_accounts_by_first_wins(
    wish: SplitAccounts,
    survivor: Account,
    absorbed: Account,
    keys: tuple[AccountKey, ...],
    *lines: *tuple[Claims, Claims, tuple[Deal, ...], tuple[Dispute, ...]],
) -> Merged:
    """As the first evaluators decided.

    Of wins that are alike the absorbed account got the first ones, and its line came back in the order of both.
    """
    told = split_accounts(wish, survivor, absorbed, keys, *lines)
    merge, going = merge_of(wish.merge_id, survivor), wish.going
    in_both = tuple(one for one in going if one in merge.moved and one in merge.kept)
    line = (merge.incumbents, wish.merge_id, wish.now)
    parted = part_by_first_wins(lines[0], going, in_both, *line)
    return *told[:3], [*parted], restore(lines[0], going, *line), *told[5:]


def merge_of(merge_id: str, survivor: Account) -> AccountsMerged:
    """The merge that is to be taken back. Raises NotFound, NoSuchMerge."""
    if not survivor.opened:
        raise NotFound
    merge = next((one for one in survivor.merges if one.merge_id == merge_id), None)
    if merge is None:
        raise NoSuchMerge
    return merge


def going_of(wish: SplitAccounts, merge: AccountsMerged, here: Claims) -> tuple[RegistrationId, ...]:
    """The live claims that go to the absorbed account: those that came with it, and later ones that are told to."""
    told = {one.registration_id for one in wish.targets if one.account_id == merge.absorbed_id}
    before = set(merge.moved) | (told - set(merge.kept))
    return tuple(one for one in here.deals if one in before)


def _all_placed(wish: SplitAccounts, survivor: Account, here: Claims) -> None:
    """Raises SplitIncomplete for claims that came after the merge and that nobody has placed."""
    merge = merge_of(wish.merge_id, survivor)
    known = {*merge.kept, *(one for any_merge in survivor.merges for one in any_merge.moved)}
    sides = (merge.survivor_id, merge.absorbed_id)
    told = {target.registration_id for target in wish.targets if target.account_id in sides}
    later = [one for one in here.deals if one not in known | told]
    if later:
        raise SplitIncomplete(claims=later)


def _split(wish: SplitAccounts) -> AccountsSplit:
    return AccountsSplit(
        merge_id=wish.merge_id,
        survivor_id=wish.survivor_id,
        absorbed_id=wish.absorbed_id,
        returned=wish.going,
        split_by=wish.by,
        split_at=wish.now,
    )


def _led_back(key: Key, state: AccountKey, survivor: Account, wish: SplitAccounts) -> list[KeyEvent]:
    """A key that both had before leads to both again."""
    if survivor.keys.count(key) > 1:
        return share_key(key, state, account_id=wish.absorbed_id, now=wish.now)
    back = {"from_id": wish.survivor_id, "to_id": wish.absorbed_id, "merge_id": wish.merge_id}
    return move_key(key, state, **back, now=wish.now)  # type: ignore[arg-type]


def _returned(deal: Deal, in_both: Sequence[RegistrationId], wish: SplitAccounts) -> list[DealEvent]:
    both = deal.first.registration_id in in_both
    to = (wish.survivor_id, wish.absorbed_id) if both else (wish.absorbed_id,)
    return _moved(deal, wish.survivor_id, to, wish.merge_id, wish.now)


def settle(dispute: Dispute, now: datetime) -> list[DisputeEvent]:
    """A dispute that nobody had to file has no object any more."""
    opened = dispute.opened
    if opened is None or opened.opened_by != SERVICE or dispute.case.stage not in OPEN:
        return []
    withdrawn = DisputeWithdrawn(**dispute.header, withdrawn_by=SERVICE, withdrawn_at=now)
    return [withdrawn, *nothing_to_do(dispute, now)]
