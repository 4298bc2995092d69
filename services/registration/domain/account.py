"""An account is one end customer: its names, its keys, and how it is related to other accounts."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider, NotFound
from chassis.event import command, event
from contracts.values import AccountId, RegistrationId
from services.registration.domain.account_key import Key
from services.registration.domain.customer import Customer, Identifier

SAME, DIFFERENT, RELATED = "same", "different", "related"
LINKS = {SAME: "alias", RELATED: "parent"}


# Events


@event("registration.AccountOpened.v1")
class AccountOpened:
    account_id: AccountId
    customer: Customer
    keys: tuple[Key, ...]
    registration_id: RegistrationId
    opened_at: datetime


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


AccountEvent = AccountOpened | NameAdded | AccountLinked | KeptApart | IdentityConfirmed


# Commands


@command("registration.ConfirmIdentity.v1")
class ConfirmIdentity:
    account_id: AccountId
    confirmed_by: str
    now: datetime


# State


@dataclass(frozen=True, kw_only=True)
class Account:
    """What screenings and approvals ask of an account."""

    opened: bool = False
    name: str = ""
    country: str = ""
    normal_names: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    has_key: bool = False
    confirmed: bool = False
    links: tuple[tuple[AccountId, str], ...] = ()
    apart: tuple[AccountId, ...] = ()

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


def confirm_identity(wish: ConfirmIdentity, account: Account) -> list[AccountEvent]:
    """Vouches for the customer, once."""
    if not account.opened:
        raise NotFound
    if account.confirmed:
        return []
    return [IdentityConfirmed(account_id=wish.account_id, confirmed_by=wish.confirmed_by, confirmed_at=wish.now)]


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
        case _:
            assert_never(happened)


def _opened(happened: AccountOpened) -> Account:
    customer = happened.customer
    return Account(
        opened=True,
        name=customer.name,
        country=customer.country,
        normal_names=customer.normal_names,
        identifiers=customer.identifiers,
        has_key=bool(happened.keys),
    )


Accounts = Decider[Account, AccountEvent](kind="account", initial=Account(), evolve=evolve)
