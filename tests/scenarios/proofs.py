"""What must hold of a system whatever happened to it: its logs verify, and every read model can be made again from them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from chassis.process import make_world
from chassis.service import Service
from chassis.settings import ServiceSettings
from chassis.verify import Report, verify, verify_decisions
from services.__main__ import build_all
from tests.scenarios.system import System, exported


async def every_model_can_be_made_again(it: System) -> None:
    """Read models filled anew from the logs are the same, byte for byte."""
    await it.settle()
    before = await it.documents()
    for service in it.services.values():
        for projection in service.projections:
            again = await service.runner.rebuild(projection.name)
            was, now = (
                dict(before[f"{service.name}/{projection.name}"]),
                dict(await exported(service.application.read, again)),
            )
            assert {key: (was.get(key), now.get(key)) for key in was | now if was.get(key) != now.get(key)} == {}, again


async def every_log_is_what_it_was(data: Path, postgres: str | None = None) -> None:
    """The witness's leaves and every decision hold, of services that nobody has at work."""
    async with on_files(data, postgres) as services:
        for service in services:
            for report in (await verified(service), await decided_again(service)):
                assert report.holds, report.lines()


@asynccontextmanager
async def on_files(data: Path, postgres: str | None = None) -> AsyncIterator[list[Service]]:
    """The services on their files, and logs in PostgreSQL where a DSN is given, opened and not at work."""
    settings = ServiceSettings(port=0, data=data, **({"postgres": postgres} if postgres else {}))
    services = list(build_all(settings, make_world(settings)).values())
    for service in services:
        await service.migrate()
        await service.open()
    try:
        yield services
    finally:
        for service in services:
            await service.close()


async def verified(service: Service) -> Report:
    assert service.witness is not None
    leaves = service.witness.leaves
    return await verify(service.store, leaves, await leaves.checkpoints(), (await service.witness.signer()).verifier)


async def decided_again(service: Service) -> Report:
    return await verify_decisions(service.store, service.application.executor.every_handles)
