"""Two processes of one service that start at once: on engines that hold nothing yet, and again on what they left."""

import asyncio
from pathlib import Path

import pytest

from chassis.process import make_world
from chassis.settings import ServiceSettings
from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from tests.scenarios.releases import releases, started

STARTS = 2


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("service", SERVICES)
async def test_two_processes_that_start_at_once_both_serve(
    service: str, engines: dict[str, str], tmp_path: Path
) -> None:
    await make_world(ServiceSettings(data=tmp_path)).transport.migrate([topic_of(name) for name in SERVICES])
    for _ in range(STARTS):
        async with releases() as both:
            both.extend(await asyncio.gather(*(started(service, 0, tmp_path, {}) for _ in range(2))))
            await asyncio.gather(*(one.ready() for one in both))
            assert await asyncio.gather(*(one.stop() for one in both)) == [0, 0]
