"""Where a process listens: probes and figures have a port of their own where the settings say so."""

from pathlib import Path

import aiohttp
import pytest

from chassis.access import Access
from chassis.process import listening, make_world, running
from chassis.service import Blueprint, assemble
from chassis.settings import ServiceSettings
from tests.engines import free_port

BLUEPRINT = Blueprint(name="testing", handles=(), access=Access({}), routers=(), publish=lambda seen: None)


async def statuses(settings: ServiceSettings, *paths: str) -> list[int]:
    """What a service answers to each path; `internal` in front of one asks the internal port."""
    world = make_world(settings)
    service = assemble(BLUEPRINT, settings, world)
    async with (
        running([service], world),
        listening(service.api, settings, world) as (address, _),
        aiohttp.ClientSession() as client,
    ):
        inside = f"http://127.0.0.1:{settings.internal_port}"
        found = []
        for path in paths:
            url = inside + path.removeprefix("internal") if path.startswith("internal") else address + path
            async with client.get(url) as answer:
                found.append(answer.status)
        return found


async def test_figures_stand_on_the_internal_port_alone(tmp_path: Path) -> None:
    settings = ServiceSettings(data=tmp_path, port=0, internal_port=free_port())
    asked = ("internal/livez", "internal/readyz", "internal/metrics", "internal/events", "/livez", "/metrics")
    assert [200, 200, 200, 404, 200, 404] == await statuses(settings, *asked)


@pytest.mark.parametrize(("environment", "status"), [("development", 200), ("production", 404)])
async def test_without_an_internal_port_only_development_shows_figures(
    environment: str, status: int, tmp_path: Path
) -> None:
    settings = ServiceSettings(data=tmp_path, port=0, environment=environment)
    assert [status] == await statuses(settings, "/metrics")
