"""Connections: only the CRM's own domain, only known stages, active once the CRM has answered."""

from dataclasses import replace

import pytest

from chassis.decider import WrongState
from chassis.testing.kit import given
from services.attribution.domain.connection import (
    ActivateConnection,
    AddConnection,
    ConnectionActivated,
    ConnectionInvalid,
    MapStages,
    PauseConnection,
    StagesMapped,
)
from services.attribution.domain.stages import DEFAULT_STAGE_MAP
from tests.attribution.facts import CONN, T0, connected, handles

ADD, ACTIVATE = handles(AddConnection), handles(ActivateConnection)
MAP, PAUSE = handles(MapStages), handles(PauseConnection)

WISH = AddConnection(
    connection_id=CONN,
    connector="hubspot",
    base_url="https://api.hubapi.com",
    credential_ref="main",
    zone="Europe/Berlin",
    now=T0,
)


def test_a_connection_starts_as_a_draft_with_the_crms_own_pipeline() -> None:
    added = given(ADD).when(WISH).verdict.events[0][0]
    assert (added.stage_map, added.poll_seconds, added.overlap_seconds) == (DEFAULT_STAGE_MAP, 60, 600)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"base_url": "http://api.hubapi.com"}, "base_url"),
        ({"base_url": "https://hubapi.com.evil.example"}, "base_url"),
        ({"base_url": "https://api.hubapi.com@evil.example"}, "base_url"),
        ({"base_url": "http://127.0.0.1:9000"}, "base_url"),
        ({"base_url": "https://[::1"}, "base_url"),
        ({"connector": "spreadsheet"}, "connector"),
        ({"poll_seconds": 14}, "poll_seconds"),
        ({"overlap_seconds": 86_401}, "overlap_seconds"),
        ({"currency": "EURO"}, "currency"),
        ({"stage_map": {"closedwon": "victory"}}, "stage_map.closedwon"),
    ],
)
def test_a_connection_that_does_not_fit_names_the_field(changes: dict, path: str) -> None:
    refusal = given(ADD).when(replace(WISH, **changes)).refused(ConnectionInvalid)
    assert path in [error["path"] for error in refusal.fields["errors"]]


def test_development_may_reach_a_simulator_on_this_machine() -> None:
    assert given(ADD).when(replace(WISH, base_url="http://127.0.0.1:9000", development=True)).verdict.events[0]


def test_a_connection_is_activated_once() -> None:
    stream, (added, activated) = connected()
    wish = ActivateConnection(connection_id=CONN, described_stages=(), now=T0)
    given(ACTIVATE, (stream, [added])).when(wish).then([activated])
    given(ACTIVATE, (stream, [added, activated])).when(wish).then_nothing()
    given(ACTIVATE).when(wish).refused(WrongState)
    assert isinstance(activated, ConnectionActivated)


def test_a_draft_cannot_be_paused() -> None:
    stream, (added, _) = connected()
    given(PAUSE, (stream, [added])).when(PauseConnection(connection_id=CONN, reason="x", now=T0)).refused(WrongState)


def test_mapping_the_same_stages_again_is_nothing() -> None:
    given(MAP, connected()).when(MapStages(connection_id=CONN, stage_map=DEFAULT_STAGE_MAP, now=T0)).then_nothing()
    wish = MapStages(connection_id=CONN, stage_map={"a": "won"}, now=T0)
    given(MAP, connected()).when(wish).then([StagesMapped(connection_id=CONN, stage_map={"a": "won"}, mapped_at=T0)])
