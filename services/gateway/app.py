"""The gateway put together: its settings, its ports, and `build`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.staticfiles import StaticFiles

from chassis.identity import Principal, Signer
from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from contracts.catalogue import SERVICES
from services.gateway.access import ACCESS
from services.gateway.adapters.hub import Hub
from services.gateway.adapters.upstreams import InProcess, OverHttp, Upstreams
from services.gateway.api import development, identities, reading, shadow
from services.gateway.api.authentication import visitor
from services.gateway.api.door import Door
from services.gateway.api.portal import pages
from services.gateway.application import HANDLES
from services.gateway.projections.deal_cards import DEAL_CARDS
from services.gateway.projections.event_log import EVENT_LOG
from services.gateway.projections.partner_cards import PARTNER_CARDS
from services.gateway.projections.people import CLIENTS, MEMBERS, SESSIONS, STAFF
from services.gateway.projections.timeline import TIMELINE
from services.gateway.publishing import publish
from services.gateway.reactions import REACTIONS

STATIC = Path(__file__).parent / "api" / "portal" / "static"


class Settings(ServiceSettings):
    """`upstreams` are the services' addresses by name; without any, they are in this process."""

    upstreams: dict[str, str] = {}
    crm_simulator_url: str = ""


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What the gateway's routes reach out with."""

    upstreams: Upstreams
    signer: Signer
    hub: Hub
    development: bool
    crm_simulator_url: str


async def identify(request: Request) -> Principal:
    """At the door, who calls is found by session or key."""
    return (await visitor(request)).principal


def blueprint(settings: Settings) -> Blueprint:
    """What the gateway is made of; the development routes exist in development only."""
    own = [identities.router, reading.router, shadow.router, pages.router]
    return Blueprint(
        name="gateway",
        handles=HANDLES,
        access=ACCESS,
        routers=[*own, development.router] if settings.development else own,
        publish=publish,
        projections=(EVENT_LOG, TIMELINE, DEAL_CARDS, PARTNER_CARDS, STAFF, MEMBERS, CLIENTS, SESSIONS),
        reactions=REACTIONS,
        hears=SERVICES,
        identify=identify,
        shared_prefix="/v1/gateway",
        hang_up=lambda app: app.ports.hub.close(),
    )


def build(settings: Settings, world: World) -> Service:
    """The service on the stores and transport that the settings name."""
    upstreams: Any = OverHttp(settings.upstreams) if settings.upstreams else InProcess(world.neighbours)
    ports = Ports(
        upstreams=upstreams,
        signer=world.signer,
        hub=Hub(),
        development=settings.development,
        crm_simulator_url=settings.crm_simulator_url,
    )
    service = assemble(blueprint(settings), settings, world, ports)
    for name in SERVICES:
        if name != "gateway":
            service.api.mount(f"/v1/{name}", Door(name))
    service.api.mount("/static", StaticFiles(directory=STATIC))
    return service
