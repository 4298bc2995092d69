"""Release after release rolled out under requests, as a cluster does it: the next one ready first, and none fails.

Log and documents are in PostgreSQL; keys in files that both releases work on, or in PostgreSQL too, so that they share none.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from chassis.asgi import Api
from chassis.identity import Principal, Signer, SigningKeys
from chassis.keys import FileKeyWrapper
from services.gateway.adapters.upstreams import OverHttp
from tests.engines.postgres import fresh_database
from tests.faults.wire import wire
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.releases import releases, started, taken_over
from tests.scenarios.system import done, until

RELEASES, LANES, EACH = 2, 2, 10
Places = tuple[Callable[[int], Path], dict[str, str]]
ADMIN = Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",))


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


@pytest.fixture(params=["one volume", "no volume"])
def places(request: pytest.FixtureRequest, tmp_path: Path, postgres_server: str) -> Iterator[Places]:
    """Where each release keeps its files, and where its keys are."""
    keys = {"ENTENTE_SIGNING_KEYS": str(tmp_path / "signing.json")}
    if request.param == "one volume":
        yield (lambda number: tmp_path), keys
        return
    FileKeyWrapper(tmp_path / "master.key", made=True)
    with fresh_database(postgres_server) as dsn:
        keys |= {"ENTENTE_MASTER_KEY": str(tmp_path / "master.key"), "ENTENTE_KEY_STORE": dsn}
        yield (lambda number: made(tmp_path / f"pod-{number}")), keys


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def test_releases_roll_out_one_after_the_other_without_a_failed_request(
    tmp_path: Path, postgres: str, places: Places
) -> None:
    folder, keys = places
    stores = {"ENTENTE_POSTGRES": postgres, "ENTENTE_READ_STORE": postgres, **keys}
    async with wire(0) as door, releases() as running:
        running.append(await started("onboarding", 0, folder(0), stores))
        await running[0].ready()
        door.port = running[0].port
        over = OverHttp({"onboarding": f"http://127.0.0.1:{door.front}"})
        callers = Callers(Signer(SigningKeys(tmp_path / "signing.json")), over)
        try:
            async with asyncio.TaskGroup() as group:
                for lane in range(LANES):
                    group.create_task(callers.call(lane))
                for number in range(1, RELEASES):
                    running.append(await started("onboarding", number, folder(number), stores))
                    await taken_over(door, *running[-2:])
                    await callers.take_in(EACH)
                callers.stopping.set()
            await until(lambda: all_shown(callers), PATIENCE_SECONDS)
        finally:
            await over.close()


async def all_shown(callers: Callers) -> bool:
    return await callers.known() == set(callers.taken_in)
