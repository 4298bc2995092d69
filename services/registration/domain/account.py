"""An account is one end customer: its names, its keys, and how it is related to other accounts."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider, NotFound, Refused
from chassis.event import LEFT_OUT, LeftOut, Sealed, command, event, frozen
from contracts.values import AccountId, RegistrationId
from services.registration.domain.account_key import AccountKey, Key, KeyBound, KeyEvent, bind, share_key
from services.registration.domain.claim import Won
from services.registration.domain.customer import Customer, Identifier

SAME, DIFFERENT, RELATED = "same", "different", "related"
LINKS = {SAME: "alias", RELATED: "parent"}


# Events


@event("registration.AccountOpened.v1")
class AccountOpened:
    """By a first registration, or by a person of the vendor (`opened_by`); then `registration_id` is empty."""

    account_id: AccountId
    customer: Customer
    keys: tuple[Key, ...]
    registration_id: RegistrationId
    opened_at: datetime
    opened_by: str | LeftOut = LEFT_OUT


@event("registration.NameAdded.v1")
class NameAdded:
    """A name by which a later registration of the same key called it."""

    account_id: AccountId
    name: str
    normal_names: tuple[str, ...]
    registration_id: RegistrationId
    added_at: datetime


@event("registration.AccountLinked.v1")
class AccountLinked:
    """A person decided that another account is the same customer (alias) or belongs to the same group (parent)."""

    account_id: AccountId
    other_id: AccountId
    link: str
    registration_id: RegistrationId
    linked_by: str
    linked_at: datetime


@event("registration.KeptApart.v1")
class KeptApart:
    """A person decided, for good, that another account is another customer."""

    account_id: AccountId
    other_id: AccountId
    registration_id: RegistrationId
    decided_by: str
    kept_at: datetime


@event("registration.IdentityConfirmed.v1")
class IdentityConfirmed:
    """A person vouches for who this customer is, although it has no key."""

    account_id: AccountId
    confirmed_by: str
    confirmed_at: datetime


@event("registration.AccountsMerged.v1")
class AccountsMerged:
    """Another account turned out to be this customer: its names, keys and claims are this one's from now on.

    `moved` are the claims that came over, `kept` those that were here; both are needed to take it back.
    """

    merge_id: str
    survivor_id: AccountId
    absorbed_id: AccountId
    keys: tuple[Key, ...]
    normal_names: tuple[str, ...]
    moved: tuple[RegistrationId, ...]
    kept: tuple[RegistrationId, ...]
    incumbents: tuple[Won, ...]
    contested: tuple[RegistrationId, ...]
    reason: Sealed
    merged_by: str
    merged_at: datetime


@event("registration.AccountAbsorbed.v1")
class AccountAbsorbed:
    """This account goes on as another one."""

    account_id: AccountId
    merge_id: str
    into_id: AccountId
    absorbed_at: datetime


@event("registration.AccountsSplit.v1")
class AccountsSplit:
    """A merge was taken back. `returned` are the claims that stand on the absorbed account again, or now."""

    merge_id: str
    survivor_id: AccountId
    absorbed_id: AccountId
    returned: tuple[RegistrationId, ...]
    split_by: str
    split_at: datetime


@event("registration.AccountRestored.v1")
class AccountRestored:
    """This account is a customer of its own again."""

    account_id: AccountId
    merge_id: str
    restored_at: datetime


@event("registration.KeyAdded.v1")
class KeyAdded:
    """A person says that this key is the customer's too. `shared`: other customers have it as well."""

    account_id: AccountId
    key: Key
    shared: bool
    added_by: str
    added_at: datetime


@event("registration.ParentLinked.v1")
class ParentLinked:
    """A person says that this customer belongs to another one; `root_id` is the head of that one's group.

    `contested` are the younger ones of the holds that collide by it. `link_id` names the edge.
    """

    account_id: AccountId
    parent_id: AccountId
    root_id: AccountId
    link_id: str
    contested: tuple[RegistrationId, ...]
    reason: Sealed
    linked_by: str
    linked_at: datetime


@event("registration.ParentCut.v1")
class ParentCut:
    """This customer belongs to no other one any more. `members` are those that still belong to it."""

    account_id: AccountId
    parent_id: AccountId
    root_id: AccountId
    link_id: str
    members: tuple[AccountId, ...]
    cut_by: str
    cut_at: datetime


@event("registration.GroupChanged.v1")
class GroupChanged:
    """Who belongs to the group that this customer is the head of, now that an edge came or went."""

    root_id: AccountId
    link_id: str
    members: tuple[AccountId, ...]
    changed_at: datetime


@event("registration.GroupClaimed.v1")
class GroupClaimed:
    """A deal claims the whole group that this customer is the head of."""

    root_id: AccountId
    registration_id: RegistrationId
    claimed_at: datetime


AccountEvent = (
    AccountOpened
    | NameAdded
    | AccountLinked
    | KeptApart
    | IdentityConfirmed
    | KeyAdded
    | AccountsMerged
    | AccountAbsorbed
    | AccountsSplit
    | AccountRestored
    | ParentLinked
    | ParentCut
    | GroupChanged
    | GroupClaimed
)


# Commands


@command("registration.OpenAccount.v1")
class OpenAccount:
    """A customer that nobody has registered yet. `keys` are its own: none of them is another customer's."""

    account_id: AccountId
    customer: Customer
    keys: tuple[Key, ...]
    by: str
    now: datetime


@command("registration.ConfirmIdentity.v1")
class ConfirmIdentity:
    account_id: AccountId
    confirmed_by: str
    now: datetime


@command("registration.AddKey.v1")
class AddKey:
    """`share`: the key may be that of another customer already, and is theirs as well from now on."""

    account_id: AccountId
    key: Key
    share: bool = False
    by: str
    now: datetime


class KeyTaken(Refused):
    """This key says that it is another customer: share it, or merge the two."""

    slug = "key-taken"


class AccountMerged(Refused):
    """This account goes on as another one: use that one."""

    slug = "account-merged"


# State


@frozen
class Group:
    """An account and all that belongs to it, as it was when a command was made. `changes` counts who came and went."""

    root_id: AccountId
    members: tuple[AccountId, ...] = ()
    changes: int = 0

    @property
    def accounts(self) -> tuple[AccountId, ...]:
        """All of them, the head first."""
        return (self.root_id, *self.members)


@frozen
class Account:
    """What screenings and approvals ask of an account. `members` are those of the group that it is the head of."""

    opened: bool = False
    name: str = ""
    country: str = ""
    normal_names: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    has_key: bool = False
    confirmed: bool = False
    links: tuple[tuple[AccountId, str], ...] = ()
    apart: tuple[AccountId, ...] = ()
    keys: tuple[Key, ...] = ()
    merged_into: AccountId | None = None
    merges: tuple[AccountsMerged, ...] = ()
    edge: ParentLinked | None = None
    members: tuple[AccountId, ...] = ()
    group_changes: int = 0

    @property
    def parent(self) -> AccountId | None:
        """The account that it belongs to."""
        return self.edge.parent_id if self.edge else None

    @property
    def known(self) -> bool:
        """Whether it is certain who this is."""
        return self.has_key or self.confirmed


# Decisions


def open_account(
    account: Account,
    *,
    account_id: AccountId,
    customer: Customer,
    keys: tuple[Key, ...],
    registration_id: RegistrationId,
    now: datetime,
) -> list[AccountEvent]:
    """Opens the account at its first registration; later ones add the names it was not known by."""
    if not account.opened:
        return [
            AccountOpened(
                account_id=account_id, customer=customer, keys=keys, registration_id=registration_id, opened_at=now
            )
        ]
    new = tuple(name for name in customer.normal_names if name not in account.normal_names)
    return [_named(account_id, customer, new, registration_id, now)] if new else []


def _named(
    account_id: AccountId, customer: Customer, new: tuple[str, ...], registration_id: RegistrationId, now: datetime
) -> NameAdded:
    return NameAdded(
        account_id=account_id, name=customer.name, normal_names=new, registration_id=registration_id, added_at=now
    )


def open_by_hand(
    wish: OpenAccount, account: Account, keys: tuple[AccountKey, ...]
) -> tuple[list[AccountEvent], list[list[KeyBound]]]:
    """Opens an account for a customer by its keys, before any partner asks for it."""
    if account.opened:
        return [], [[] for _ in keys]
    taken = next((state.account_id for state in keys if state.account_id), None)
    if taken is not None:
        raise KeyTaken(account_id=taken)
    opened = AccountOpened(
        account_id=wish.account_id,
        customer=wish.customer,
        keys=wish.keys,
        registration_id=RegistrationId(""),
        opened_at=wish.now,
        opened_by=wish.by,
    )
    named = {"account_id": wish.account_id, "registration_id": "", "now": wish.now}
    bound = zip(wish.keys, keys, strict=True)
    return [opened], [bind(key, state, **named) for key, state in bound]  # type: ignore[arg-type]


def confirm_identity(wish: ConfirmIdentity, account: Account) -> list[AccountEvent]:
    """Vouches for the customer, once."""
    if not account.opened:
        raise NotFound
    if account.confirmed:
        return []
    return [IdentityConfirmed(account_id=wish.account_id, confirmed_by=wish.confirmed_by, confirmed_at=wish.now)]


def add_key(wish: AddKey, account: Account, key: AccountKey) -> tuple[list[AccountEvent], list[KeyEvent]]:
    """Binds a free key to a customer that is known, or shares one that is another's."""
    alive(account)
    if wish.account_id in key.accounts:
        return [], []
    if key.account_id is not None and not wish.share:
        raise KeyTaken(account_id=key.account_id)
    shared = key.account_id is not None
    added = KeyAdded(account_id=wish.account_id, key=wish.key, shared=shared, added_by=wish.by, added_at=wish.now)
    if shared:
        return [added], share_key(wish.key, key, account_id=wish.account_id, now=wish.now)
    named = {"account_id": wish.account_id, "registration_id": "", "now": wish.now}
    return [added], [*bind(wish.key, key, **named)]  # type: ignore[arg-type]


def alive(account: Account) -> None:
    """Raises NotFound for an account that never was, AccountMerged for one that goes on as another."""
    if not account.opened:
        raise NotFound
    if account.merged_into is not None:
        raise AccountMerged(account_id=account.merged_into)


# Evolve


def evolve(account: Account, happened: AccountEvent) -> Account:
    match happened:
        case AccountOpened():
            return _opened(happened)
        case NameAdded():
            return replace(account, normal_names=(*account.normal_names, *happened.normal_names))
        case AccountLinked():
            return replace(account, links=(*account.links, (happened.other_id, happened.link)))
        case KeptApart():
            return replace(account, apart=(*account.apart, happened.other_id))
        case IdentityConfirmed():
            return replace(account, confirmed=True)
        case KeyAdded(key=key, shared=shared):
            return replace(account, keys=(*account.keys, key), has_key=account.has_key or not shared)
        case ParentLinked() | ParentCut() | GroupChanged() | GroupClaimed():
            return _grouped(account, happened)
        case _:
            return _joined(account, happened)


def _grouped(account: Account, happened: ParentLinked | ParentCut | GroupChanged | GroupClaimed) -> Account:
    changes = account.group_changes + 1
    match happened:
        case ParentLinked():
            return replace(account, edge=happened, members=(), group_changes=changes)
        case ParentCut(members=members):
            return replace(account, edge=None, members=members, group_changes=changes)
        case GroupChanged(members=members):
            return replace(account, members=members, group_changes=changes)
        case GroupClaimed():
            return account
        case _:
            assert_never(happened)


def _joined(account: Account, happened: AccountsMerged | AccountAbsorbed | AccountsSplit | AccountRestored) -> Account:
    match happened:
        case AccountsMerged(keys=keys):
            merged = replace(account, keys=(*account.keys, *keys), merges=(*account.merges, happened))
            return replace(merged, has_key=account.has_key or bool(keys))
        case AccountAbsorbed(into_id=into_id):
            return replace(account, merged_into=into_id)
        case AccountsSplit(merge_id=merge_id):
            return _parted(account, merge_id)
        case AccountRestored():
            return replace(account, merged_into=None)
        case _:
            assert_never(happened)


def _parted(account: Account, merge_id: str) -> Account:
    """The account as it would be without the merge; what came since stays."""
    gone = next(one for one in account.merges if one.merge_id == merge_id)
    keys = account.keys
    for key in gone.keys:
        last = len(keys) - 1 - keys[::-1].index(key)
        keys = (*keys[:last], *keys[last + 1 :])
    rest = tuple(one for one in account.merges if one is not gone)
    return replace(account, keys=keys, has_key=account.has_key and bool(keys), merges=rest)


def _opened(happened: AccountOpened) -> Account:
    customer = happened.customer
    return Account(
        opened=True,
        name=customer.name,
        country=customer.country,
        normal_names=customer.normal_names,
        identifiers=customer.identifiers,
        has_key=bool(happened.keys),
        keys=happened.keys,
    )


Accounts = Decider[Account, AccountEvent](kind="account", initial=Account(), evolve=evolve)
