"""A connection to one CRM: where it is, whose key opens it, how its stages are read.

Draft → Active ⇄ Paused.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never
from urllib.parse import urlsplit

from chassis.decider import Decider, Invalid, WrongState
from chassis.event import command, event
from contracts.values import MINOR_DIGITS
from services.attribution.domain.stages import DEFAULT_STAGE_MAP, STAGES

CONNECTORS = {"hubspot": ("hubapi.com",)}
"""Each connector with the domains that its CRM lives under."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
POLL_SECONDS, POLL_SECONDS_RANGE = 60, range(15, 3_601)
OVERLAP_SECONDS, OVERLAP_SECONDS_RANGE = 600, range(86_401)


class Phase(StrEnum):
    EMPTY = "empty"
    DRAFT = "draft"
    ACTIVE = "active"
    PAUSED = "paused"


# Events


@event("attribution.ConnectionAdded.v1")
class ConnectionAdded:
    """`credential_ref` names a secret; the secret itself is never stored."""

    connection_id: str
    connector: str
    base_url: str
    credential_ref: str
    currency: str | None
    zone: str
    poll_seconds: int
    overlap_seconds: int
    stage_map: dict[str, str]
    added_at: datetime


@event("attribution.ConnectionActivated.v1")
class ConnectionActivated:
    """`described` is what the CRM said of itself: its raw stages."""

    connection_id: str
    described_stages: tuple[str, ...]
    activated_at: datetime


@event("attribution.ConnectionPaused.v1")
class ConnectionPaused:
    connection_id: str
    reason: str
    paused_at: datetime


@event("attribution.StagesMapped.v1")
class StagesMapped:
    connection_id: str
    stage_map: dict[str, str]
    mapped_at: datetime


ConnectionEvent = ConnectionAdded | ConnectionActivated | ConnectionPaused | StagesMapped


# Commands


@command("attribution.AddConnection.v1")
class AddConnection:
    """`development` permits a plain-text address on this machine; production never sets it."""

    connection_id: str
    connector: str
    base_url: str
    credential_ref: str
    currency: str | None = None
    zone: str
    poll_seconds: int = POLL_SECONDS
    overlap_seconds: int = OVERLAP_SECONDS
    stage_map: dict[str, str] = field(default_factory=dict)
    development: bool = False
    now: datetime


@command("attribution.ActivateConnection.v1")
class ActivateConnection:
    connection_id: str
    described_stages: tuple[str, ...]
    now: datetime


@command("attribution.PauseConnection.v1")
class PauseConnection:
    connection_id: str
    reason: str
    now: datetime


@command("attribution.MapStages.v1")
class MapStages:
    """Replaces the map from the CRM's raw stages to ours."""

    connection_id: str
    stage_map: dict[str, str]
    now: datetime


# State


@dataclass(frozen=True)
class Connection:
    phase: Phase = Phase.EMPTY
    connector: str = ""
    base_url: str = ""
    credential_ref: str = ""
    currency: str | None = None
    zone: str = "UTC"
    poll_seconds: int = POLL_SECONDS
    overlap_seconds: int = OVERLAP_SECONDS
    stage_map: dict[str, str] = field(default_factory=dict)


# Refusals


class ConnectionInvalid(Invalid):
    """Something about this connection does not fit its connector."""

    slug = "connection-invalid"


# Decisions


def add_connection(wish: AddConnection, connection: Connection) -> list[ConnectionEvent]:
    """Adds a connection as a draft. Raises ConnectionInvalid naming every field that does not fit."""
    if connection.phase is not Phase.EMPTY:
        return []
    faults = [*_faults(wish), *_map_faults(wish.stage_map)]
    if faults:
        raise ConnectionInvalid(faults[0]["message"], errors=faults)
    return [
        ConnectionAdded(
            connection_id=wish.connection_id,
            connector=wish.connector,
            base_url=wish.base_url.rstrip("/"),
            credential_ref=wish.credential_ref,
            currency=wish.currency,
            zone=wish.zone,
            poll_seconds=wish.poll_seconds,
            overlap_seconds=wish.overlap_seconds,
            stage_map=wish.stage_map or DEFAULT_STAGE_MAP,
            added_at=wish.now,
        )
    ]


def activate_connection(wish: ActivateConnection, connection: Connection) -> list[ConnectionEvent]:
    """Starts reading and writing, once the CRM has answered what it is."""
    if connection.phase is Phase.ACTIVE:
        return []
    _in(connection, Phase.DRAFT, Phase.PAUSED)
    return [
        ConnectionActivated(
            connection_id=wish.connection_id, described_stages=wish.described_stages, activated_at=wish.now
        )
    ]


def pause_connection(wish: PauseConnection, connection: Connection) -> list[ConnectionEvent]:
    """Stops reading and writing until it is activated again."""
    if connection.phase is Phase.PAUSED:
        return []
    _in(connection, Phase.ACTIVE)
    return [ConnectionPaused(connection_id=wish.connection_id, reason=wish.reason, paused_at=wish.now)]


def map_stages(wish: MapStages, connection: Connection) -> list[ConnectionEvent]:
    """Replaces the stage map. What waits for a stage is released afterwards."""
    _in(connection, Phase.DRAFT, Phase.ACTIVE, Phase.PAUSED)
    faults = _map_faults(wish.stage_map)
    if faults:
        raise ConnectionInvalid(faults[0]["message"], errors=faults)
    if connection.stage_map == wish.stage_map:
        return []
    return [StagesMapped(connection_id=wish.connection_id, stage_map=wish.stage_map, mapped_at=wish.now)]


def _in(connection: Connection, *phases: Phase) -> None:
    if connection.phase not in phases:
        raise WrongState(f"this connection is {connection.phase}", state=connection.phase, allowed=list(phases))


def _faults(wish: AddConnection) -> list[dict[str, str]]:
    checks = (
        (wish.connector in CONNECTORS, "connector", f"a connector is one of {', '.join(CONNECTORS)}"),
        (_reachable(wish), "base_url", "the address is https under the CRM's own domain"),
        (wish.currency is None or wish.currency in MINOR_DIGITS, "currency", "a currency is an ISO 4217 code"),
        (wish.poll_seconds in POLL_SECONDS_RANGE, "poll_seconds", "poll_seconds is 15 to 3600"),
        (wish.overlap_seconds in OVERLAP_SECONDS_RANGE, "overlap_seconds", "overlap_seconds is 0 to 86400"),
    )
    return [{"path": path, "code": "connection", "message": text} for holds, path, text in checks if not holds]


def _reachable(wish: AddConnection) -> bool:
    try:
        parts = urlsplit(wish.base_url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if wish.development and host in LOOPBACK:
        return parts.scheme in ("http", "https")
    own = CONNECTORS.get(wish.connector, ())
    plain = not parts.username and not parts.query and not parts.fragment
    return parts.scheme == "https" and plain and any(host == d or host.endswith(f".{d}") for d in own)


def _map_faults(stage_map: dict[str, str]) -> list[dict[str, str]]:
    return [
        {"path": f"stage_map.{raw}", "code": "stage", "message": f"{stage!r} is none of {', '.join(STAGES)}"}
        for raw, stage in stage_map.items()
        if stage not in STAGES
    ]


# Evolve


def evolve(connection: Connection, happened: ConnectionEvent) -> Connection:
    match happened:
        case ConnectionAdded():
            return _added(happened)
        case ConnectionActivated():
            return replace(connection, phase=Phase.ACTIVE)
        case ConnectionPaused():
            return replace(connection, phase=Phase.PAUSED)
        case StagesMapped(stage_map=stage_map):
            return replace(connection, stage_map=stage_map)
        case _:
            assert_never(happened)


def _added(added: ConnectionAdded) -> Connection:
    return Connection(
        phase=Phase.DRAFT,
        connector=added.connector,
        base_url=added.base_url,
        credential_ref=added.credential_ref,
        currency=added.currency,
        zone=added.zone,
        poll_seconds=added.poll_seconds,
        overlap_seconds=added.overlap_seconds,
        stage_map=added.stage_map,
    )


Connections = Decider[Connection, ConnectionEvent](kind="connection", initial=Connection(), evolve=evolve)
