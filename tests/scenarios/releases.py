"""Releases of a service as processes of their own, one after the other or side by side, as a cluster rolls them out."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from chassis.asgi import Answer, Api
from chassis.process import free_port
from services.gateway.adapters.upstreams import OverHttp
from tests.architecture.tree import ROOT
from tests.faults.wire import Wire
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.system import until


@dataclass
class Release:
    """One replica of a release, at a port of its own; what it says is in its log."""

    which: str
    process: asyncio.subprocess.Process
    port: int
    log: Path

    @property
    def service(self) -> str:
        return self.which.partition("/")[0]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ready(self) -> None:
        own, answer = OverHttp({self.service: self.url}), Answer()

        async def look() -> bool:
            nonlocal answer
            assert self.process.returncode is None, self.log.read_text()[-3_000:]
            answer = await Api(own.of(self.service)).get("/readyz")
            return answer.ok

        try:
            await until(look, PATIENCE_SECONDS)
        except TimeoutError:
            raise AssertionError(f"{self.log} is not ready: {answer.body.decode()}") from None
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


async def started(which: str, number: int, data: Path, settings: Mapping[str, str]) -> Release:
    """A release of a service, or of one with another version of one model, which serves; it need not be ready yet."""
    port = free_port()
    log = data / f"release-{number}-at-{port}.log"
    process = await ordered(which, number, data, settings, log, "serve", "--port", str(port))
    return Release(which, process, port, log)


async def ordered(
    which: str, number: int, data: Path, settings: Mapping[str, str], log: Path, *command: str
) -> asyncio.subprocess.Process:
    """A command of a release, as its operator gives it; what it says is in `log`."""
    release = [sys.executable, "-m", "tests.scenarios.next_release", which, str(number)]
    with log.open("wb") as out:
        return await asyncio.create_subprocess_exec(
            *release, *command, "--data", str(data), cwd=ROOT, env=os.environ | settings, stdout=out, stderr=out
        )


async def taken_over(door: Wire, before: Release, after: Release) -> None:
    """A release that is ready beside the one at work: new connections go to it, and then the old one is told to stop."""
    await after.ready()
    door.port = after.port
    assert await before.stop() == 0
