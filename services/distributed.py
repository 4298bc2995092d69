"""The five services as processes of their own, on the engines that the settings name: `make run-distributed`.

This process starts them, runs the simulated CRM beside them, and ends them in order. What they need to find each other
they are told by settings; engines and keys they find where this process does.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import IO

from chassis.asgi import Api
from chassis.process import free_port, make_world
from chassis.settings import ServiceSettings
from chassis.transport.port import topic_of
from contracts.catalogue import SERVICES
from services import first_run
from services.attribution.adapters.hubspot_simulator import Hub, simulator
from services.attribution.adapters.loopback import on_kept_port
from services.gateway.adapters.upstreams import OverHttp

FRONT = "gateway"
READY_SECONDS, LOOK_SECONDS, OPENING_SECONDS = 180.0, 0.1, 90.0
"""One that ends is noticed at once; where the machine is busy, five that start together take their time."""
STOP_SECONDS = 20.0
"""Longer than a service takes for its own orderly stop."""


class ServiceEnded(RuntimeError):
    """A service ended by itself, or did not become ready; the message names its log."""


@dataclass(frozen=True)
class Member:
    """One service's process, its address, and the file that holds what it says."""

    name: str
    url: str
    log: Path
    process: asyncio.subprocess.Process


@dataclass(frozen=True)
class Distributed:
    """The five at work: the portal's address, each by name, the simulated CRM and its address, how to ask them."""

    members: Mapping[str, Member]
    hub: Hub
    crm_url: str
    api: Mapping[str, Api]

    @property
    def address(self) -> str:
        return self.members[FRONT].url

    async def ended(self) -> Member:
        """The first process that ends though nobody stopped it."""
        waiting = {asyncio.ensure_future(one.process.wait()): one for one in self.members.values()}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[done.pop()]
        finally:
            for task in waiting:
                task.cancel()


@asynccontextmanager
async def distributed(settings: ServiceSettings, ready_seconds: float = READY_SECONDS) -> AsyncIterator[Distributed]:
    """The five services, ready within so long. On leaving, the gateway ends first and then the others, each in order."""
    ports = {name: free_port() for name in SERVICES}
    ports[FRONT] = settings.port or ports[FRONT]
    urls = {name: f"http://{settings.host}:{port}" for name, port in ports.items()}
    world = make_world(settings)
    await world.transport.migrate([topic_of(name) for name in SERVICES])
    crm = settings.data / "crm_simulator"
    hub = Hub(now=world.clock.now, path=crm / "deals.db")
    async with AsyncExitStack() as stack:
        crm_url = await stack.enter_async_context(on_kept_port(simulator(hub), crm / "port"))
        over_http = OverHttp(urls)
        stack.push_async_callback(over_http.close)
        members: dict[str, Member] = {}
        stack.push_async_callback(_stop, members)
        for name in SERVICES:
            members[name] = await _started(name, settings, urls, crm_url, stack)
        api = {name: Api(over_http.of(name)) for name in SERVICES}
        for member in members.values():
            await _ready(member, api[member.name], ready_seconds)
        yield Distributed(members=members, hub=hub, crm_url=crm_url, api=api)


async def opened(it: Distributed) -> str:
    """Does the first run on the five, as `opened_at` does; the connection's id."""
    return await opened_at(it.address, it.api[FRONT], it.hub, it.crm_url)


async def opened_at(address: str, front: Api, hub: Hub, crm_url: str) -> str:
    """Does the first run through the portal's door, and has the CRM tell of its deals there; the connection's id.

    A run that was too early for what has to travel between the services is begun again: it goes on where it was.
    """
    connection_id = await _opened(front, crm_url)
    hub.subscribe(f"{address}/v1/attribution/connections/{connection_id}/push")
    return connection_id


async def _opened(front: Api, crm_url: str) -> str:
    end = monotonic() + OPENING_SECONDS
    while True:
        try:
            return await first_run.ensure(front, crm_url)
        except first_run.FirstRunFailed:
            if monotonic() > end:
                raise
            await asyncio.sleep(LOOK_SECONDS)


async def _started(
    name: str, settings: ServiceSettings, urls: Mapping[str, str], crm_url: str, stack: AsyncExitStack
) -> Member:
    log = settings.data / name / "service.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return await _begun(name, urls[name], log, command_of(name, settings, urls, crm_url), stack)


async def _begun(name: str, url: str, log: Path, command: Sequence[str], stack: AsyncExitStack) -> Member:
    """A process of a service, which says what it says into the log."""
    said: IO[bytes] = stack.enter_context(log.open("ab"))
    process = await asyncio.create_subprocess_exec(*command, stdout=said, stderr=said)
    return Member(name, url, log, process)


def command_of(name: str, settings: ServiceSettings, urls: Mapping[str, str], crm_url: str) -> list[str]:
    """What starts a process of a service at its address, told where everything else is.

    The engines' addresses are inherited: they may hold passwords, which do not belong on a command line.
    """
    upstreams = {other: url for other, url in urls.items() if other != FRONT}
    told = {
        "ENTENTE_CRM_SIMULATOR_URL": crm_url,
        "ENTENTE_PUBLIC_URL": urls[FRONT],
        "ENTENTE_UPSTREAMS": json.dumps(upstreams),
    }
    port = urls[name].rpartition(":")[2]
    places = ["--data", str(settings.data), "--host", settings.host, "--port", port]
    command = ["env", *(f"{key}={value}" for key, value in told.items()), sys.executable, "-m", f"services.{name}"]
    return [*command, "serve", *places]


async def _ready(member: Member, api: Api, seconds: float = READY_SECONDS) -> None:
    """Returns once the service is ready. Raises ServiceEnded when it ends first or takes too long."""
    try:
        async with asyncio.timeout(seconds):
            while member.process.returncode is None:
                if await _is_ready(member.name, api):
                    return
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        pass
    raise ServiceEnded(f"{member.name} is not ready: see {member.log}")


async def _is_ready(name: str, api: Api) -> bool:
    """Whether this service is ready at its address, where another may have come first."""
    answer = await api.get("/readyz")
    return answer.ok and name in answer.json()["services"]


async def _stop(members: Mapping[str, Member]) -> None:
    """Ends the gateway, so that nothing comes in any more, and then the services side by side."""
    front = [member for member in members.values() if member.name == FRONT]
    others = [member for member in members.values() if member.name != FRONT]
    for group in (front, others):
        await asyncio.gather(*(_ended(member.process) for member in group))


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
