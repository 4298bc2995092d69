"""A client: a program that calls the API with a key, for the vendor or for one partner, within scopes, until it expires."""

from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import assert_never

from chassis.decider import Decider, Forbidden, Invalid, WrongState
from chassis.event import command, event, frozen

DAYS_MAX = 365
SERVICES = ("registration", "attribution", "incentives", "onboarding", "gateway")
SCOPES = tuple(f"{service}:{right}" for service in SERVICES for right in ("read", "write"))

# Events


@event("gateway.ClientCreated.v1")
class ClientCreated:
    """The key itself is shown once and never kept: `secret_sha256` recognises it."""

    client_id: str
    name: str
    kind: str
    partner_id: str | None
    roles: tuple[str, ...]
    duties: tuple[str, ...]
    scopes: tuple[str, ...]
    secret_sha256: str
    created_by: str
    created_at: datetime
    expires_at: datetime


@event("gateway.SecretRotated.v1")
class SecretRotated:
    """The old key still opens until `old_until`."""

    client_id: str
    secret_sha256: str
    old_until: datetime
    rotated_at: datetime


@event("gateway.ClientRevoked.v1")
class ClientRevoked:
    client_id: str
    revoked_by: str
    revoked_at: datetime


ClientEvent = ClientCreated | SecretRotated | ClientRevoked

# Commands


@command("gateway.CreateClient.v1")
class CreateClient:
    """The client acts with the roles of its creator, narrowed to `scopes`."""

    client_id: str
    name: str
    kind: str
    partner_id: str | None = None
    roles: tuple[str, ...]
    duties: tuple[str, ...] = ()
    scopes: tuple[str, ...]
    own_scopes: tuple[str, ...] = ()
    secret_sha256: str
    days: int = 90
    created_by: str
    now: datetime


@command("gateway.RotateSecret.v1")
class RotateSecret:
    """`rotated_by` gets the new key, and with it all that the client may do; "" in what was asked for before it was kept."""

    client_id: str
    secret_sha256: str
    overlap_hours: int = 24
    rotated_by: str = ""
    own_scopes: tuple[str, ...] = ()
    now: datetime


@command("gateway.RevokeClient.v1")
class RevokeClient:
    client_id: str
    revoked_by: str
    now: datetime


# State


@frozen
class Client:
    """What is needed to recognise the client and act as it. `secrets` are (sha256, good until or None)."""

    status: str = "none"
    created_by: str = ""
    kind: str = ""
    partner_id: str | None = None
    roles: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()
    secrets: tuple[tuple[str, datetime | None], ...] = field(default=())
    expires_at: datetime | None = None

    def opens(self, secret_sha256: str, now: datetime) -> bool:
        """Whether a key of that hash is good now."""
        if self.status != "active" or self.expires_at is None or self.expires_at <= now:
            return False
        return any(secret_sha256 == known and (until is None or now < until) for known, until in self.secrets)


# Refusals


class ScopeBeyondOwn(Forbidden):
    """A key cannot reach further than the one who makes it."""

    slug = "scope-beyond-own"
    recorded = True


class KeyOfAnother(Forbidden):
    """A key acts as the person who made it: revoke this one and make a key of your own."""

    slug = "key-of-another"
    recorded = True


# Decisions


def create(wish: CreateClient, client: Client) -> list[ClientEvent]:
    if client.status != "none":
        return []
    _check(wish)
    return [
        ClientCreated(
            client_id=wish.client_id,
            name=wish.name,
            kind=wish.kind,
            partner_id=wish.partner_id,
            roles=wish.roles,
            duties=wish.duties,
            scopes=wish.scopes,
            secret_sha256=wish.secret_sha256,
            created_by=wish.created_by,
            created_at=wish.now,
            expires_at=wish.now + timedelta(days=wish.days),
        )
    ]


def _check(wish: CreateClient) -> None:
    unknown = sorted(set(wish.scopes) - set(SCOPES))
    if unknown or not wish.scopes:
        raise Invalid(f"scopes are of: {', '.join(SCOPES)}", errors=[_fault("scopes", name) for name in unknown])
    if not 1 <= wish.days <= DAYS_MAX:
        raise Invalid(f"a key lives 1 to {DAYS_MAX} days", errors=[_fault("days", str(wish.days))])
    _within(wish.scopes, wish.own_scopes)


def _within(scopes: tuple[str, ...], own: tuple[str, ...]) -> None:
    """Raises ScopeBeyondOwn where a key asks for more than it has; a person, without scopes, has all."""
    if own and not set(scopes) <= set(own):
        raise ScopeBeyondOwn


def rotate(wish: RotateSecret, client: Client) -> list[ClientEvent]:
    _active(client)
    if wish.rotated_by and wish.rotated_by != client.created_by:
        raise KeyOfAnother
    _within(client.scopes, wish.own_scopes)
    if client.secrets[-1][0] == wish.secret_sha256:
        return []
    return [
        SecretRotated(
            client_id=wish.client_id,
            secret_sha256=wish.secret_sha256,
            old_until=wish.now + timedelta(hours=wish.overlap_hours),
            rotated_at=wish.now,
        )
    ]


def revoke(wish: RevokeClient, client: Client) -> list[ClientEvent]:
    if client.status == "revoked":
        return []
    _active(client)
    return [ClientRevoked(client_id=wish.client_id, revoked_by=wish.revoked_by, revoked_at=wish.now)]


def _active(client: Client) -> None:
    if client.status != "active":
        raise WrongState(f"the client is {client.status}", state=client.status, allowed=["active"])


def _fault(path: str, value: str) -> dict[str, str]:
    return {"path": path, "code": "unknown", "message": f"{value!r} does not fit"}


# Evolve


def evolve(client: Client, happened: ClientEvent) -> Client:
    match happened:
        case ClientCreated():
            return _created(happened)
        case SecretRotated():
            old = tuple((secret, until or happened.old_until) for secret, until in client.secrets[-1:])
            return replace(client, secrets=(*old, (happened.secret_sha256, None)))
        case ClientRevoked():
            return replace(client, status="revoked", secrets=())
        case _:
            assert_never(happened)


def _created(it: ClientCreated) -> Client:
    return Client(
        status="active",
        created_by=it.created_by,
        kind=it.kind,
        partner_id=it.partner_id,
        roles=it.roles,
        duties=it.duties,
        scopes=it.scopes,
        secrets=((it.secret_sha256, None),),
        expires_at=it.expires_at,
    )


Clients = Decider[Client, ClientEvent](kind="client", initial=Client(), evolve=evolve)
