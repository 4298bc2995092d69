"""The gateway put together: its settings, its ports, and `build`."""

from functools import partial
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.staticfiles import StaticFiles
from pydantic import Field, SecretStr, field_validator, model_validator
from starlette.exceptions import HTTPException

from chassis.application import Application
from chassis.bulk_file import FILE_BYTES_MAX
from chassis.event import frozen
from chassis.http import Unavailable
from chassis.identity import Principal, Signer, Unauthenticated
from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from contracts.catalogue import SERVICES
from services.gateway.access import ACCESS
from services.gateway.adapters.hub import Hub
from services.gateway.adapters.limits import Bucket, Limits, Rate, Window
from services.gateway.adapters.openid import Issuer, OpenId
from services.gateway.adapters.upstreams import InProcess, OverHttp, Upstreams
from services.gateway.api import development, documents, identities, people, reading, shadow, worklist
from services.gateway.api.authentication import narrowed, visitor
from services.gateway.api.door import Doors, KnownHost, last_told
from services.gateway.api.portal import pages
from services.gateway.api.portal.sign_in import BACK
from services.gateway.api.portal.visit import away_page, failed_page, no_page
from services.gateway.application import HANDLES
from services.gateway.projections.deal_cards import DEAL_CARDS
from services.gateway.projections.event_log import EVENT_LOG
from services.gateway.projections.partner_cards import PARTNER_CARDS
from services.gateway.projections.people import CLIENTS, MEMBERS, SESSIONS, STAFF
from services.gateway.projections.timeline import TIMELINE
from services.gateway.projections.worklist import WORKLIST
from services.gateway.publishing import publish
from services.gateway.reactions import REACTIONS

LOOPBACK = ("127.0.0.1", "localhost", "::1")
STATIC = Path(__file__).parent / "api" / "portal" / "static"

SEALED = "a URL that begins with https://, or one of this machine"
HOUR_SECONDS = 3_600.0
ALONE = "The gateway's own routes alone. Those of every service: `/v1/openapi.json`."
FORM_BYTES = 1 << 20
"""What the form around a file may come to: a file that is a little too large is refused on a page."""


class Settings(ServiceSettings):
    """What comes in goes on to `upstreams`; without any, the services are in this process.

    `hosts` are the names under which the portal is reached (any, if none is named; in development only loopback).
    What may be asked is limited outside development, or as `limited` says. A session ends `session_hours` after sign-in,
    or unused after `session_idle_minutes`. Outside development people sign in by the OpenID Connect issuer
    `openid_issuer`, which knows us as `openid_client` and sends them back to `/callback` of `public_url`.
    """

    crm_simulator_url: str = ""
    hosts: tuple[str, ...] = ()
    limited: bool | None = None
    key_reads_per_second: float = Field(default=50.0, gt=0)
    key_reads_burst: int = Field(default=100, ge=1)
    key_writes_per_second: float = Field(default=10.0, gt=0)
    key_writes_burst: int = Field(default=20, ge=1)
    partner_per_second: float = Field(default=100.0, gt=0)
    partner_burst: int = Field(default=200, ge=1)
    tenant_per_second: float = Field(default=500.0, gt=0)
    tenant_burst: int = Field(default=1_000, ge=1)
    stranger_per_minute: float = Field(default=20.0, gt=0)
    stranger_burst: int = Field(default=20, ge=1)
    forms_per_hour: int = Field(default=10, ge=1)
    checks_per_hour: int = Field(default=60, ge=1)
    session_idle_minutes: int = Field(default=60, ge=5, le=480)
    session_hours: int = Field(default=12, ge=1, le=24)
    public_url: str = Field(default="", description=SEALED)
    openid_issuer: str = Field(default="", description=SEALED)
    openid_client: str = ""
    openid_secret: SecretStr | None = None
    streams_max: int = Field(default=5_000, ge=1)
    streams_each_max: int = Field(default=100, ge=1)

    @property
    def vouches(self) -> bool:
        """Whether the development issuer may be here: in development, and where nobody else can reach it."""
        return self.development and self.host in LOOPBACK

    @model_validator(mode="after")
    def _issuer_is_whole(self) -> Self:
        if self.openid_issuer and not (self.openid_client and self.openid_secret and self.public_url):
            others = "ENTENTE_OPENID_CLIENT, ENTENTE_OPENID_SECRET and ENTENTE_PUBLIC_URL"
            raise ValueError(f"ENTENTE_OPENID_ISSUER needs {others}")
        return self

    @field_validator("openid_issuer", "public_url")
    @classmethod
    def _travels_sealed(cls, url: str) -> str:
        if url and urlsplit(url).scheme != "https" and urlsplit(url).hostname not in LOOPBACK:
            raise ValueError("it is not sealed by TLS")
        return url

    def issuer(self) -> OpenId | None:
        """Who vouches for people outside development, None where nobody does."""
        if not self.openid_issuer or self.openid_secret is None:
            return None
        back = self.public_url.rstrip("/") + BACK
        return OpenId(Issuer(self.openid_issuer, self.openid_client, self.openid_secret.get_secret_value(), back))

    @property
    def names(self) -> frozenset[str]:
        """The hosts that requests may name; any, if there is none."""
        known = {self.host, *LOOPBACK} if self.vouches else set()
        return frozenset({*self.hosts, *known})

    def limits(self) -> Limits | None:
        """The limits of this instance, None for none."""
        if self.limited is False or (self.limited is None and self.development):
            return None
        return Limits(
            key_reads=Bucket(Rate(per_second=self.key_reads_per_second, burst=self.key_reads_burst)),
            key_writes=Bucket(Rate(per_second=self.key_writes_per_second, burst=self.key_writes_burst)),
            partner=Bucket(Rate(per_second=self.partner_per_second, burst=self.partner_burst)),
            tenant=Bucket(Rate(per_second=self.tenant_per_second, burst=self.tenant_burst)),
            stranger=Bucket(Rate(per_second=self.stranger_per_minute / 60, burst=self.stranger_burst)),
            forms=Window(self.forms_per_hour, HOUR_SECONDS),
            checks=Window(self.checks_per_hour, HOUR_SECONDS),
        )


@frozen
class Ports:
    """What the gateway's routes reach out with."""

    upstreams: Upstreams
    signer: Signer
    hub: Hub
    limits: Limits | None
    openid: OpenId | None
    session_hours: int
    session_idle_minutes: int
    development: bool
    crm_simulator_url: str


async def identify(request: Request) -> Principal:
    """At the door, who calls is found by session or key; a key reaches as far here as its scopes say."""
    found = await visitor(request)
    if found.by == "nobody":
        raise Unauthenticated
    return narrowed(found.principal, "gateway", request.method)


def blueprint(settings: Settings) -> Blueprint:
    """What the gateway is made of; the development routes exist in development on loopback only."""
    own = [
        *(identities.router, people.router, reading.router, worklist.router),
        *(shadow.router, documents.router, pages.router),
    ]
    return Blueprint(
        name="gateway",
        handles=HANDLES,
        access=ACCESS,
        routers=[*own, development.router] if settings.vouches else own,
        publish=publish,
        projections=(EVENT_LOG, TIMELINE, DEAL_CARDS, PARTNER_CARDS, WORKLIST, STAFF, MEMBERS, CLIENTS, SESSIONS),
        reactions=REACTIONS,
        overhears=lambda app, seen: app.ports.hub.tell(seen),
        everywhere=SERVICES,
        identify=identify,
        shared_prefix="/v1/gateway",
        files={"/batches": FILE_BYTES_MAX + FORM_BYTES},
        hang_up=lambda app: app.ports.hub.close(),
        let_go=_let_go,
    )


async def _let_go(app: Application) -> None:
    await app.ports.upstreams.close()
    if app.ports.openid:
        await app.ports.openid.close()


def build(settings: Settings, world: World) -> Service:
    """The service on the stores and transport that the settings name."""
    upstreams: Any = OverHttp(settings.upstreams) if settings.upstreams else InProcess(world.neighbours)
    ports = Ports(
        upstreams=upstreams,
        signer=world.signer,
        hub=Hub(streams_max=settings.streams_max, streams_each_max=settings.streams_each_max),
        limits=settings.limits(),
        openid=settings.issuer(),
        session_hours=settings.session_hours,
        session_idle_minutes=settings.session_idle_minutes,
        development=settings.vouches,
        crm_simulator_url=settings.crm_simulator_url,
    )
    service = assemble(blueprint(settings), settings, world, ports)
    others = [name for name in SERVICES if name != "gateway"]
    service.api.add_middleware(Doors, services=others, body_bytes_max=settings.body_bytes_max)
    service.api.add_exception_handler(HTTPException, no_page)
    service.api.add_exception_handler(Exception, failed_page)
    service.api.add_exception_handler(Unavailable, away_page)
    service.api.mount("/static", StaticFiles(directory=STATIC))
    service.api.description = ALONE
    service.api.add_middleware(KnownHost, names=settings.names)
    service.application.told = partial(last_told, service.application)
    return service
