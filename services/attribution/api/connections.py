"""Connections to CRMs over HTTP: add, activate, map stages, read now, be pushed; what is in step and what is held."""

from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from chassis.answers import Page, answers
from chassis.decider import NotFound
from chassis.http import App, Body, Paged, Reader, Unavailable, Writer, listed, page, perform, reads, shown
from chassis.identity import Unauthenticated
from services.attribution.access import POLL, READ_SYNC
from services.attribution.application import CrmTrouble, Ports, release
from services.attribution.domain.connection import (
    OVERLAP_SECONDS,
    POLL_SECONDS,
    ActivateConnection,
    AddConnection,
    Connections,
    MapStages,
    PauseConnection,
)
from services.attribution.domain.mirroring import ReleaseCrmChange
from services.attribution.projections.connections import ConnectionDocument
from services.attribution.projections.quarantine import HeldDocument
from services.attribution.projections.sync_status import SyncDocument

Id = Annotated[str, Path(min_length=1, max_length=64)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
Stages = Annotated[dict[Annotated[str, Field(min_length=1, max_length=80)], str], Field(max_length=100)]
FOREVER, CONNECTIONS_MAX = "9999", 1_000
UNSIGNED = "this push is not signed by the CRM"


class ConnectionBody(Body):
    """`credential_ref` names a secret of this installation. `stage_map` gives the CRM's raw stages our names."""

    connector: Name = "hubspot"
    base_url: Annotated[str, Field(min_length=8, max_length=200)]
    credential_ref: Name
    currency: Annotated[str | None, Field(pattern="^[A-Z]{3}$")] = None
    zone: Annotated[str, Field(pattern=r"^[A-Za-z_]+(/[A-Za-z0-9_+-]+){0,2}$", max_length=64)] = "UTC"
    poll_seconds: int = POLL_SECONDS
    overlap_seconds: int = OVERLAP_SECONDS
    stage_map: Stages = Field(default_factory=dict)


class PauseBody(Body):
    reason: Annotated[str, Field(min_length=1, max_length=200)]


class StagesBody(Body):
    stage_map: Annotated[Stages, Field(min_length=1)]


class PushedChanges(TypedDict):
    """How many rows showed something new."""

    changes: int


class Changes(PushedChanges):
    connection_id: str


router = APIRouter(tags=["connections"])


@router.post("/connections", status_code=201)
async def add(body: ConnectionBody, caller: Writer, app: App) -> Response:
    """Adds a connection as a draft; nothing is read or written before it is activated."""
    ports: Ports = app.ports
    command = AddConnection(
        connection_id=caller.new_id("connection"),
        development=ports.development,
        now=app.clock.now(),
        **body.model_dump(),
    )
    return await perform(caller, app, AddConnection, command, status=201)


@router.post("/connections/{connection_id}/activate")
async def activate(connection_id: Id, caller: Writer, app: App) -> Response:
    """Asks the CRM what it is, then starts reading and writing."""
    app.access.check(caller.principal, ActivateConnection)
    await app.exists(caller.tenant, "connection", connection_id)
    settings, _ = await app.executor.state(caller.tenant, Connections.at(connection_id))
    ports: Ports = app.ports
    try:
        stages = await ports.connect(settings).describe()
    except CrmTrouble as trouble:
        raise Unavailable(f"the CRM cannot be reached: {trouble}") from trouble
    command = ActivateConnection(connection_id=connection_id, described_stages=stages, now=app.clock.now())
    return await perform(caller, app, ActivateConnection, command)


@router.post("/connections/{connection_id}/pause")
async def pause(connection_id: Id, body: PauseBody, caller: Writer, app: App) -> Response:
    """Stops reading and writing; what has been read stays."""
    app.access.check(caller.principal, PauseConnection)
    await app.exists(caller.tenant, "connection", connection_id)
    command = PauseConnection(connection_id=connection_id, reason=body.reason, now=app.clock.now())
    return await perform(caller, app, PauseConnection, command)


@router.post("/connections/{connection_id}/map-stages")
async def map_stages(connection_id: Id, body: StagesBody, caller: Writer, app: App) -> Response:
    """Replaces the stage map; what waits for a stage is read again at the next turn."""
    app.access.check(caller.principal, MapStages)
    await app.exists(caller.tenant, "connection", connection_id)
    command = MapStages(connection_id=connection_id, stage_map=body.stage_map, now=app.clock.now())
    return await perform(caller, app, MapStages, command)


@router.post("/connections/{connection_id}/poll")
@answers(Changes)
async def poll(connection_id: Id, caller: Reader, app: App) -> Response:
    """Reads what changed in the CRM now. Answers how many rows showed something new."""
    app.access.check(caller.principal, POLL)
    await app.exists(caller.tenant, "connection", connection_id)
    ports: Ports = app.ports
    if ports.reader is None:
        raise NotFound
    try:
        return shown({"connection_id": connection_id, "changes": await ports.reader.poll(caller.tenant, connection_id)})
    except CrmTrouble as trouble:
        raise Unavailable(f"the CRM cannot be read: {trouble}") from trouble


@router.post("/connections/{connection_id}/push", status_code=202)
@answers(PushedChanges)
async def push(connection_id: Id, request: Request, app: App) -> Response:
    """The CRM says that something changed. Only its signature is believed; what changed is read from it."""
    tenant, body = await _tenant_of(app, connection_id), await request.body()
    settings, _ = await app.executor.state(tenant, Connections.at(connection_id))
    ports: Ports = app.ports
    uri = ports.push_url(connection_id) or str(request.url)
    now_ms = int(app.clock.now().timestamp() * 1000)
    try:
        if not ports.connect(settings).genuine("POST", uri, body, request.headers, now_ms):
            raise Unauthenticated(UNSIGNED)
        changes = await ports.reader.pushed(tenant, connection_id, body) if ports.reader else 0
    except CrmTrouble:
        changes = 0
    return Response(b'{"changes":%d}' % changes, status_code=202, media_type="application/json")


async def _tenant_of(app: Any, connection_id: str) -> str:
    for active in await app.read.due("connections", FOREVER, CONNECTIONS_MAX):
        if active.id == connection_id:
            tenant: str = active.tenant
            return tenant
    raise Unauthenticated(UNSIGNED)


@router.get("/connections")
@answers(Page[ConnectionDocument])
@reads("connections")
async def connections(caller: Reader, app: App, paged: Paged) -> Response:
    """The CRMs that are connected, and where each stands."""
    app.access.check(caller.principal, READ_SYNC)
    return listed(*await page(caller, app, "connections", paged, {}, "added_at"))


@router.get("/connections/{connection_id}")
@answers(ConnectionDocument)
@reads("connections")
async def connection(connection_id: Id, caller: Reader, app: App) -> Response:
    """One connected CRM, and where it stands."""
    app.access.check(caller.principal, READ_SYNC)
    document = await app.document(caller.principal, "connections", connection_id)
    return shown(document, document["version"])


@router.get("/sync-records")
@answers(Page[SyncDocument])
@reads("sync_status")
async def sync_records(
    caller: Reader, app: App, paged: Paged, status: Annotated[str | None, Query(max_length=16)] = None
) -> Response:
    """Which sales are in step with the CRM, and which wait."""
    app.access.check(caller.principal, READ_SYNC)
    return listed(*await page(caller, app, "sync_status", paged, {"status": status}, "-changed_at"))


@router.get("/quarantine")
@answers(Page[HeldDocument])
@reads("quarantine")
async def quarantine(
    caller: Reader, app: App, paged: Paged, code: Annotated[str | None, Query(max_length=32)] = None
) -> Response:
    """Changes of the CRM that wait for a person."""
    app.access.check(caller.principal, READ_SYNC)
    return listed(*await page(caller, app, "quarantine", paged, {"code": code}, "quarantined_at"))


@router.post("/quarantine/{quarantine_id}/release")
async def release_held(quarantine_id: Id, caller: Writer, app: App) -> Response:
    """Reads a held change again under today's map; it stays held if it still cannot be read."""
    app.access.check(caller.principal, ReleaseCrmChange)
    held = await app.document(caller.principal, "quarantine", quarantine_id)

    async def make(peek: Any) -> ReleaseCrmChange:
        return await release(peek, held, app.clock.now())

    return await perform(caller, app, ReleaseCrmChange, make)
