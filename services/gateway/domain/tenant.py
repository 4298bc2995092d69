"""A tenant: one vendor with its zone, currency and languages."""

from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider, Refused
from chassis.event import command, event

# Events


@event("gateway.TenantOpened.v1")
class TenantOpened:
    slug: str
    name: str
    sandbox: bool
    zone: str
    currency: str
    locales: tuple[str, ...]
    opened_by: str
    opened_at: datetime


TenantEvent = TenantOpened

# Commands


@command("gateway.OpenTenant.v1")
class OpenTenant:
    """`zone` is an IANA time zone, `currency` an ISO 4217 code; both are checked by the route."""

    slug: str
    name: str
    sandbox: bool = False
    zone: str
    currency: str
    locales: tuple[str, ...] = ("en",)
    opened_by: str
    now: datetime


# State


@dataclass(frozen=True)
class Tenant:
    """Open or not yet."""

    opened: bool = False


# Refusals


class SlugTaken(Refused):
    """A tenant of that name is open already: choose another slug."""

    slug = "slug-taken"


# Decisions


def open_tenant(wish: OpenTenant, tenant: Tenant) -> list[TenantEvent]:
    if tenant.opened:
        raise SlugTaken
    return [
        TenantOpened(
            slug=wish.slug,
            name=wish.name,
            sandbox=wish.sandbox,
            zone=wish.zone,
            currency=wish.currency,
            locales=wish.locales,
            opened_by=wish.opened_by,
            opened_at=wish.now,
        )
    ]


# Evolve


def evolve(tenant: Tenant, happened: TenantEvent) -> Tenant:
    return Tenant(opened=True)


Tenants = Decider[Tenant, TenantEvent](kind="tenant", initial=Tenant(), evolve=evolve)
