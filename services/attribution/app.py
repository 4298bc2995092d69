"""Attribution put together: its settings, its CRM clients, and `build`."""

from pydantic import BaseModel, Field, SecretStr

from chassis.application import Application
from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from services.attribution.access import ACCESS
from services.attribution.adapters.crm_sync import CrmSync
from services.attribution.adapters.hubspot import Credential, HubSpot
from services.attribution.adapters.hubspot_simulator import SimulatedHubSpot
from services.attribution.api import connections, credit, incumbents, opportunities, touches
from services.attribution.application import HANDLES, KINDS, AuthFailed, CrmPort, Ports
from services.attribution.domain.connection import Connection
from services.attribution.domain.explaining import EXPLAIN, disclose
from services.attribution.projections.connections import CONNECTIONS
from services.attribution.projections.credit_view import CREDIT_VIEW
from services.attribution.projections.incumbents import INCUMBENTS
from services.attribution.projections.mergers import MERGERS
from services.attribution.projections.opportunity_board import OPPORTUNITY_BOARD
from services.attribution.projections.opportunity_timeline import OPPORTUNITY_TIMELINE
from services.attribution.projections.quarantine import QUARANTINE
from services.attribution.projections.sync_status import SYNC_STATUS
from services.attribution.projections.touch_log import TOUCH_LOG
from services.attribution.publishing import publish
from services.attribution.reactions import REACTIONS


class CrmSecret(BaseModel):
    """What a connection's `credential_ref` names."""

    token: SecretStr
    client_secret: SecretStr


SIMULATOR = "hubspot-simulator"
SIMULATED = CrmSecret(token=SecretStr("simulated-token"), client_secret=SecretStr("simulated-secret"))
"""Opens the simulator, which development alone runs."""


class Settings(ServiceSettings):
    """`crm_secrets` by the name that connections use; `public_url` is where CRMs reach our `/connections/{id}/push`."""

    crm_secrets: dict[str, CrmSecret] = Field(
        default_factory=dict, description='a JSON object, as in {"hubspot": {"token": "…", "client_secret": "…"}}'
    )
    public_url: str = ""
    crm_simulator_url: str = ""
    """Where the simulator runs now, in development: its port may be another at every start."""
    crm_call_seconds: float = Field(default=10.0, gt=0)


BLUEPRINT = Blueprint(
    declared_in=__name__,
    name="attribution",
    handles=HANDLES,
    access=ACCESS,
    routers=(connections.router, opportunities.router, credit.router, touches.router, incumbents.router),
    publish=publish,
    projections=(
        CONNECTIONS,
        SYNC_STATUS,
        QUARANTINE,
        OPPORTUNITY_BOARD,
        OPPORTUNITY_TIMELINE,
        CREDIT_VIEW,
        TOUCH_LOG,
        MERGERS,
        INCUMBENTS,
    ),
    reactions=REACTIONS,
    kinds=KINDS,
    explain=EXPLAIN,
    disclose=disclose,
    workers={"crm sync": lambda app: _sync(app).run()},
)


def build(settings: Settings, world: World) -> Service:
    """The service on the stores and transport that the settings name."""
    ports = Ports(
        connect=lambda connection: connect(settings, connection),
        development=settings.development,
        public_url=settings.public_url.rstrip("/"),
    )
    service = assemble(BLUEPRINT, settings, world, ports)
    ports.reader = CrmSync(service.application, ports)
    return service


def connect(settings: Settings, connection: Connection) -> CrmPort:
    """The client of a connection. Raises AuthFailed when its secret is not in the settings."""
    secret = settings.crm_secrets.get(connection.credential_ref)
    if settings.development and connection.credential_ref == SIMULATOR:
        secret = SIMULATED
    if secret is None:
        raise AuthFailed(f"no secret is called {connection.credential_ref!r}", retry_after_seconds=60.0)
    credential = Credential(secret.token.get_secret_value(), secret.client_secret.get_secret_value())
    if secret is SIMULATED:
        url = settings.crm_simulator_url or connection.base_url
        return SimulatedHubSpot(url, credential, call_seconds=settings.crm_call_seconds)
    return HubSpot(connection.base_url, credential, call_seconds=settings.crm_call_seconds)


def _sync(app: Application) -> CrmSync:
    reader = app.ports.reader
    assert isinstance(reader, CrmSync)
    return reader
