"""What compose.yaml runs, as plain processes on real engines: whoever comes in by the door can sign in and go on."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
import yaml

from chassis.process import free_port
from contracts.catalogue import SERVICES
from tests.architecture.tree import ROOT
from tests.engines.kafka import Broker

COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
STARTING_SECONDS, STOP_SECONDS = 240.0, 60.0
DOORS = ("18080", "18090")


class Machine:
    """The one network of compose's containers, on this machine: its ports are others here, each always the same one."""

    def __init__(self, data: Path, engines: dict[str, str]) -> None:
        self.data, self.engines = data, engines
        inside = [COMPOSE[name]["environment"]["ENTENTE_PORT"] for name in SERVICES]
        self.ports = {port: str(free_port()) for port in (*inside, "8090", *DOORS)}

    def here(self, text: str) -> str:
        text = re.sub(r"\d+", lambda number: self.ports.get(number[0], number[0]), text)
        return text.replace("/data", str(self.data)).replace("/door.py", str(ROOT / "deploy/compose/door.py"))

    def environment(self, name: str) -> dict[str, str]:
        given = {key: self.here(str(value)) for key, value in COMPOSE[name].get("environment", {}).items()}
        engines = {key: self.engines[key] for key in given if key in self.engines}
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        return {**given, **engines, "PATH": path, "SERVICE": name, "ENTENTE_DATA": str(self.data)}

    async def start(self, name: str) -> asyncio.subprocess.Process:
        command = [self.here(part.replace("$$", "$")) for part in COMPOSE[name]["entrypoint"]]
        log = (self.data.parent / f"{name}.log").open("wb")
        environment = self.environment(name)
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=environment, stdout=log, stderr=log)

    async def healthy(self, name: str) -> None:
        """As compose's own check finds it, as often: each is a program, and what starts has need of the processors."""
        how = COMPOSE[name]["healthcheck"]
        check, seconds = [self.here(part) for part in how["test"][1:]], float(how["interval"].removesuffix("s"))
        quiet = asyncio.subprocess.DEVNULL
        while await (
            await asyncio.create_subprocess_exec(*check, env=self.environment(name), stdout=quiet, stderr=quiet)
        ).wait():
            await asyncio.sleep(seconds)


@asynccontextmanager
async def up(machine: Machine) -> AsyncIterator[None]:
    """`docker compose up`: who waits for others' health begins after them."""
    running: list[asyncio.subprocess.Process] = []
    try:
        async with asyncio.timeout(STARTING_SECONDS):
            running += [await machine.start(name) for name in ("door", *SERVICES)]
            assert set(COMPOSE["first-run"]["depends_on"]) == set(SERVICES)
            await asyncio.gather(*(machine.healthy(name) for name in SERVICES))
            running.append(await machine.start("first-run"))
        yield
    finally:
        for process in reversed(running):
            if process.returncode is None:
                process.terminate()
        await asyncio.wait_for(asyncio.gather(*(process.wait() for process in running)), STOP_SECONDS)


async def shown(client: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    try:
        async with client.get(url) as answer:
            return answer.status, await answer.text()
    except aiohttp.ClientError:
        return 0, ""


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_whoever_starts_compose_signs_in_and_finds_the_simulated_crm(
    tmp_path: Path, broker: Broker, postgres: str
) -> None:
    engines = {"ENTENTE_POSTGRES": postgres, "ENTENTE_READ_STORE": postgres, "ENTENTE_KAFKA": broker.bootstrap}
    (tmp_path / "data").mkdir()
    machine = Machine(tmp_path / "data", engines)
    portal, crm = (f"http://127.0.0.1:{machine.ports[door]}" for door in DOORS)
    jar = aiohttp.CookieJar(unsafe=True)  # it takes an address without a name to be nobody's otherwise
    async with up(machine), aiohttp.ClientSession(cookie_jar=jar) as client, asyncio.timeout(STARTING_SECONDS):
        # The first run ends with the partners; its people are on the page as they are let in.
        while "Southbridge" not in (await shown(client, f"{portal}/dev/sign-in"))[1]:
            await asyncio.sleep(0.2)
        async with client.post(f"{portal}/dev/sign-in", data={"tenant": "acme", "as": "ada"}) as home:
            assert home.status == 200, (tmp_path / "gateway.log").read_text()[-2_000:]
            assert f"http://127.0.0.1:{machine.ports['8090']}" in await home.text()
        while (await shown(client, f"{crm}/"))[0] != 200:
            await asyncio.sleep(0.2)
