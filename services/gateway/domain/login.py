"""A login: somebody whom an issuer vouches for, known by issuer and subject, never by mail; and who that is in a tenant.

Kept in tenant `shared`. The first sign-in to a tenant binds the login to one of its people, found by a confirmed mail
address; from then on the address means nothing, and nobody who gets it later becomes that person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider, Refused
from chassis.event import command, event

# Events


@event("gateway.LoginOpened.v1")
class LoginOpened:
    """`login_id` is made of issuer and subject; the subject itself is not kept."""

    login_id: str
    issuer: str
    opened_at: datetime


@event("gateway.PersonLinked.v1")
class PersonLinked:
    """In this tenant the login is this member of staff (kind vendor) or this person (kind partner)."""

    login_id: str
    tenant: str
    kind: str
    subject: str
    linked_at: datetime


LoginEvent = LoginOpened | PersonLinked


@event("gateway.IdentityTaken.v1")
class IdentityTaken:
    """From now on this login alone signs in as the subject."""

    tenant: str
    subject: str
    login_id: str
    taken_at: datetime


@event("gateway.IdentityReleased.v1")
class IdentityReleased:
    """The next login with the subject's confirmed mail address takes it."""

    tenant: str
    subject: str
    released_by: str
    released_at: datetime


IdentityEvent = IdentityTaken | IdentityReleased

# Commands


@command("gateway.LinkPerson.v1")
class LinkPerson:
    """Somebody signs in to a tenant for the first time."""

    login_id: str
    issuer: str
    tenant: str
    kind: str
    subject: str
    now: datetime


@command("gateway.ReleaseIdentity.v1")
class ReleaseIdentity:
    """The subject has lost its account at the issuer, or has another one."""

    tenant: str
    subject: str
    released_by: str
    now: datetime


# State


@dataclass(frozen=True)
class Linked:
    """Who a login is in a tenant."""

    kind: str
    subject: str


@dataclass(frozen=True)
class Login:
    """Who it is, by tenant."""

    opened: bool = False
    links: Mapping[str, Linked] = field(default_factory=dict)


@dataclass(frozen=True)
class Identity:
    """The login that signs in as this subject, None for none yet."""

    login_id: str | None = None


# Refusals


class IdentityHeld(Refused):
    """Another account signs in as this person already: whoever administers the tenant can release it."""

    slug = "identity-taken"


# Decisions


def link_person(wish: LinkPerson, login: Login, identity: Identity) -> tuple[list[LoginEvent], list[IdentityEvent]]:
    if identity.login_id not in (None, wish.login_id):
        raise IdentityHeld
    told: list[LoginEvent] = []
    if not login.opened:
        told.append(LoginOpened(login_id=wish.login_id, issuer=wish.issuer, opened_at=wish.now))
    if login.links.get(wish.tenant) != Linked(wish.kind, wish.subject):
        told.append(
            PersonLinked(
                login_id=wish.login_id, tenant=wish.tenant, kind=wish.kind, subject=wish.subject, linked_at=wish.now
            )
        )
    taken = IdentityTaken(tenant=wish.tenant, subject=wish.subject, login_id=wish.login_id, taken_at=wish.now)
    return told, [] if identity.login_id else [taken]


def release_identity(wish: ReleaseIdentity, identity: Identity) -> list[IdentityEvent]:
    if identity.login_id is None:
        return []
    return [
        IdentityReleased(tenant=wish.tenant, subject=wish.subject, released_by=wish.released_by, released_at=wish.now)
    ]


# Evolve


def evolve(login: Login, happened: LoginEvent) -> Login:
    match happened:
        case LoginOpened():
            return replace(login, opened=True)
        case PersonLinked(tenant=tenant, kind=kind, subject=subject):
            return replace(login, links={**login.links, tenant: Linked(kind, subject)})
        case _:
            assert_never(happened)


def evolve_identity(_: Identity, happened: IdentityEvent) -> Identity:
    match happened:
        case IdentityTaken(login_id=login_id):
            return Identity(login_id)
        case IdentityReleased():
            return Identity()
        case _:
            assert_never(happened)


Logins = Decider[Login, LoginEvent](kind="login", initial=Login(), evolve=evolve)
Identities = Decider[Identity, IdentityEvent](kind="identity", initial=Identity(), evolve=evolve_identity)


def identity_of(tenant: str, subject: str) -> str:
    """The id of a subject's identity."""
    return f"{tenant}.{subject}"
