"""What says who a customer is: a valid identifier or its own registrable domain. A key belongs to one account.

Binding appends at version 0 of the key's stream, so two first registrations of one key share one account.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider, Raced
from chassis.event import event, stable_id
from contracts.values import AccountId
from services.registration.domain.customer import Customer
from services.registration.domain.rules import Matching

DOMAIN = "domain"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One key, e.g. domain `contoso.com`, and the account it was bound to when the command was made."""

    scheme: str
    value: str
    account_id: AccountId | None = None

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


# Events


@event("registration.KeyBound.v1")
class KeyBound:
    scheme: str
    value: str
    account_id: AccountId
    registration_id: str
    bound_at: datetime


# State


@dataclass(frozen=True)
class AccountKey:
    """The account that the key is bound to; None while it is free."""

    account_id: AccountId | None = None


# Decisions


def unmoved(keys: Iterable[Key], states: Iterable[AccountKey]) -> None:
    """Raises Raced when a key was bound after the command was made."""
    if any(key.account_id != state.account_id for key, state in zip(keys, states, strict=True)):
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


# Evolve


def evolve(_: AccountKey, happened: KeyBound) -> AccountKey:
    return AccountKey(happened.account_id)


AccountKeys = Decider[AccountKey, KeyBound](kind="account_key", initial=AccountKey(), evolve=evolve)
