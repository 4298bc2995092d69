"""What says who a customer is: a valid identifier or its own registrable domain. A key belongs to one account.

A key that several customers have, such as the domain of a group, is shared: it says no longer who it is, only that they
are related.

Binding appends at version 0 of the key's stream, so two first registrations of one key share one account.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider, Invalid, Raced
from chassis.event import event, frozen, stable_id
from contracts.values import AccountId
from services.registration.domain.customer import Customer
from services.registration.domain.rules import Matching

DOMAIN = "domain"
SHARED_MAX = 50


@frozen
class Key:
    """One key, e.g. domain `contoso.com`, and the account it was bound to when the command was made.

    `sharers` are the other accounts that it leads to as well.
    """

    scheme: str
    value: str
    account_id: AccountId | None = None
    sharers: tuple[AccountId, ...] = ()

    @property
    def shared(self) -> bool:
        """Whether it says only that several customers are related."""
        return bool(self.sharers)

    @property
    def identity(self) -> str:
        return stable_id(self.scheme, self.value)


def keys_of(customer: Customer, rules: Matching) -> tuple[Key, ...]:
    """The customer's keys, identifiers before the domain; shared domains and unchecked identifiers are none."""
    known = [Key(scheme=i.scheme, value=i.key_value) for i in customer.identifiers if i.valid]
    own_domain = customer.domain and customer.domain not in rules.shared_domains
    return (*known, Key(scheme=DOMAIN, value=customer.domain)) if customer.domain and own_domain else tuple(known)


def own_keys(customer: Customer) -> tuple[Key, ...]:
    """Everything that could be a key of the customer, whatever the rules say of shared domains."""
    known = [Key(scheme=i.scheme, value=i.key_value) for i in customer.identifiers if i.valid]
    return (*known, Key(scheme=DOMAIN, value=customer.domain)) if customer.domain else tuple(known)


def formerly(key: Key) -> tuple[Key, ...]:
    """The keys that an earlier release made of the same number: a Swiss VAT number with the tax named behind it."""
    if key.scheme != "vat" or not key.value.startswith("CH:CHE"):
        return ()
    return tuple(replace(key, value=f"{key.value}{word}") for word in ("MWST", "TVA", "IVA", "TPV"))


# Events


@event("registration.KeyBound.v1")
class KeyBound:
    scheme: str
    value: str
    account_id: AccountId
    registration_id: str
    bound_at: datetime


@event("registration.KeyShared.v1")
class KeyShared:
    """A person says that a bound key is another account's as well."""

    scheme: str
    value: str
    account_id: AccountId
    shared_at: datetime


@event("registration.KeyMoved.v1")
class KeyMoved:
    """The key leads to another account: two accounts were merged, or a merge was taken back."""

    scheme: str
    value: str
    from_id: AccountId
    to_id: AccountId
    merge_id: str
    moved_at: datetime


KeyEvent = KeyBound | KeyShared | KeyMoved


class SharedByTooMany(Invalid):
    """A key is shared by fifty accounts at most: what more have says nothing of any."""

    slug = "shared-by-too-many"


# State


@dataclass(frozen=True)
class AccountKey:
    """The accounts that the key leads to: none while it is free, several where it is shared."""

    accounts: tuple[AccountId, ...] = ()

    @property
    def account_id(self) -> AccountId | None:
        """The first account that it was bound to; None while it is free."""
        return self.accounts[0] if self.accounts else None

    @property
    def shared(self) -> bool:
        return len(self.accounts) > 1


# Decisions


def unmoved(keys: Iterable[Key], states: Iterable[AccountKey]) -> None:
    """Raises Raced when a key was bound after the command was made."""
    if any((k.account_id, k.sharers) != (s.account_id, s.accounts[1:]) for k, s in zip(keys, states, strict=True)):
        raise Raced


def bind(key: Key, state: AccountKey, *, account_id: AccountId, registration_id: str, now: datetime) -> list[KeyBound]:
    """Binds a free key; a bound one stays where it is."""
    if state.account_id is not None:
        return []
    return [
        KeyBound(
            scheme=key.scheme, value=key.value, account_id=account_id, registration_id=registration_id, bound_at=now
        )
    ]


def share_key(key: Key, state: AccountKey, *, account_id: AccountId, now: datetime) -> list[KeyEvent]:
    """Lets a bound key lead to one more account."""
    if len(state.accounts) >= SHARED_MAX:
        raise SharedByTooMany
    return [KeyShared(scheme=key.scheme, value=key.value, account_id=account_id, shared_at=now)]


def move_key(
    key: Key, state: AccountKey, *, from_id: AccountId, to_id: AccountId, merge_id: str, now: datetime
) -> list[KeyEvent]:
    """Lets a key of one account lead to another one; a key that does not lead there stays as it is."""
    if from_id not in state.accounts:
        return []
    named = {"scheme": key.scheme, "value": key.value, "from_id": from_id, "to_id": to_id}
    return [KeyMoved(**named, merge_id=merge_id, moved_at=now)]  # type: ignore[arg-type]


# Evolve


def evolve(key: AccountKey, happened: KeyEvent) -> AccountKey:
    match happened:
        case KeyBound(account_id=account_id) | KeyShared(account_id=account_id):
            return AccountKey((*key.accounts, account_id))
        case KeyMoved(from_id=from_id, to_id=to_id):
            moved = (to_id if account == from_id else account for account in key.accounts)
            return AccountKey(tuple(dict.fromkeys(moved)))
        case _:
            assert_never(happened)


AccountKeys = Decider[AccountKey, KeyEvent](kind="account_key", initial=AccountKey(), evolve=evolve)
