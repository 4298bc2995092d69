"""Waiting for a read model of one's own: reactions and deadlines wait where a request is answered that it is to come again."""

from dataclasses import replace
from pathlib import Path

import pytest

from chassis.access import Access
from chassis.application import Application, Prepared
from chassis.decider import Behind, Busy
from chassis.event import Seen
from chassis.process import make_world, running
from chassis.service import Blueprint, assemble
from chassis.settings import ServiceSettings
from chassis.testing.feed import CountTold, MemoryFeed, outlet, publish
from chassis.transport.port import translated


async def two_seconds_behind(_model: str, _source: str, _at: int, seconds: float, _tenant: str | None) -> bool:
    """A read model that has what was recorded two seconds later, however often somebody asks."""
    return seconds >= 2.0


async def test_a_reaction_waits_for_a_read_model_that_stays_a_little_behind_and_a_request_comes_again(
    tmp_path: Path,
) -> None:
    waited: list[Application] = []

    async def react(seen: Seen, app: Application) -> None:
        waited.append(app)
        await replace(app, reached=two_seconds_behind).caught_up("totals")

    settings = ServiceSettings(data=tmp_path)
    blueprint = Blueprint(
        name="reader", handles=(), access=Access({}), routers=(), publish=publish, reactions={CountTold: react}
    )
    service, feed = assemble(blueprint, settings, make_world(settings)), MemoryFeed()
    await feed.commit(1)
    async with running([service], service.world):
        await service.reactions[0].on_batch(translated(outlet(feed), feed.recorded))
        with pytest.raises(Busy):
            await replace(service.application, reached=two_seconds_behind).caught_up("totals")
    assert (len(waited), service.reactions[0].counters.held) == (1, 0)


async def test_a_deadline_waits_for_a_read_model_as_a_reaction_does_and_nobody_for_one_that_stands(
    tmp_path: Path,
) -> None:
    class Prepares(Exception):
        """The command was about to be made."""

    async def make(app: Application, tenant: str, peek: object) -> None:
        await app.caught_up("totals")
        raise Prepares

    settings = ServiceSettings(data=tmp_path)
    blueprint = Blueprint(name="reader", handles=(), access=Access({}), routers=(), publish=publish)
    service = assemble(blueprint, settings, make_world(settings))
    async with running([service], service.world):
        behind = replace(service.application, reached=two_seconds_behind)
        with pytest.raises(Prepares):
            await behind.issue("acme", "command-1", Prepared(make))
        with pytest.raises(Behind):
            await replace(behind, standing=lambda: frozenset({"totals"})).issue("acme", "command-2", Prepared(make))
