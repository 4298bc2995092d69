"""Release after release rolled out under requests, as a cluster does it: the next one ready first, and none fails.

Log and documents are in PostgreSQL, keys and positions in files that both releases work on, as deployed.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chassis.asgi import Api
from chassis.identity import Principal, Signer, SigningKeys
from chassis.process import free_port
from services.gateway.adapters.upstreams import OverHttp
from tests.architecture.tree import ROOT
from tests.faults.wire import Wire, wire
from tests.scenarios.system import done, until

RELEASES, LANES, EACH = 2, 2, 10
PATIENCE_SECONDS = 90.0
ADMIN = Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",))


@dataclass
class Release:
    """One replica of a release, at a port of its own; what it says is in its log."""

    process: asyncio.subprocess.Process
    port: int
    log: Path

    async def ready(self) -> None:
        own = OverHttp({"onboarding": f"http://127.0.0.1:{self.port}"})
        try:

            async def look() -> bool:
                assert self.process.returncode is None, self.log.read_text()[-3_000:]
                return (await Api(own.of("onboarding")).get("/readyz")).ok

            await until(look, PATIENCE_SECONDS)
        finally:
            await own.close()

    async def stop(self) -> int:
        self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)


@asynccontextmanager
async def releases() -> AsyncIterator[list[Release]]:
    """What is started is ended, however the test ends."""
    started: list[Release] = []
    try:
        yield started
    finally:
        for one in started:
            if one.process.returncode is None:
                one.process.kill()
                await one.process.wait()


async def started(data: Path, dsn: str, number: int) -> Release:
    port = free_port()
    command = [sys.executable, "-m", "tests.scenarios.next_release", str(number), "serve"]
    places = ["--data", str(data), "--port", str(port)]
    stores = {"ENTENTE_POSTGRES": dsn, "ENTENTE_READ_STORE": dsn}
    log = data / f"release-{number}.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *command, *places, cwd=ROOT, env=os.environ | stores, stdout=out, stderr=out
        )
    return Release(process, port, log)


@dataclass
class Callers:
    """They take partners in, one after the other and some at a time, until told to stop. Each answer has to be good."""

    signer: Signer
    over: OverHttp
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    taken_in: dict[str, str] = field(default_factory=dict)

    @property
    def api(self) -> Api:
        return Api(self.over.of("onboarding"), self.signer.sign(ADMIN, "onboarding"))

    async def call(self, lane: int) -> None:
        number = 0
        while not self.stopping.is_set():
            number += 1
            name = f"partner-{lane}-{number}"
            body = {"legal_name": name, "country": "DE", "domains": [f"{name}.example"], "types": ["reseller"]}
            made = done(await self.api.post("/partners", body, key=name), 201)
            self.taken_in[made["partner_id"]] = name
            done(await self.api.get(f"/partners?limit={EACH}"), 200)

    async def take_in(self, more: int) -> None:
        """Returns when so many more are taken in: by the release that is at work."""
        enough = len(self.taken_in) + more

        async def look() -> bool:
            return len(self.taken_in) >= enough

        await until(look, PATIENCE_SECONDS)

    async def known(self) -> set[str]:
        """Every partner that the newest release shows."""
        found: set[str] = set()
        cursor: str | None = ""
        while cursor is not None:
            page = done(await self.api.get(f"/partners?limit=100&cursor={cursor}"))
            found |= {one["partner_id"] for one in page["items"]}
            cursor = page["next_cursor"]
        return found


async def test_releases_roll_out_one_after_the_other_without_a_failed_request(tmp_path: Path, postgres: str) -> None:
    async with wire(0) as door, releases() as running:
        running.append(await started(tmp_path, postgres, 0))
        await running[0].ready()
        door.port = running[0].port
        over = OverHttp({"onboarding": f"http://127.0.0.1:{door.front}"})
        callers = Callers(Signer(SigningKeys(tmp_path / "signing.json")), over)
        try:
            async with asyncio.TaskGroup() as group:
                for lane in range(LANES):
                    group.create_task(callers.call(lane))
                for number in range(1, RELEASES):
                    await rolled_out(tmp_path, postgres, door, running, number)
                    await callers.take_in(EACH)
                callers.stopping.set()
            await until(lambda: all_shown(callers), PATIENCE_SECONDS)
        finally:
            await over.close()


async def rolled_out(data: Path, dsn: str, door: Wire, running: list[Release], number: int) -> None:
    """The next release is ready beside the one at work; new connections go to it, and then the old one is told to stop."""
    running.append(await started(data, dsn, number))
    await running[number].ready()
    door.port = running[number].port
    assert await running[number - 1].stop() == 0


async def all_shown(callers: Callers) -> bool:
    return await callers.known() == set(callers.taken_in)
