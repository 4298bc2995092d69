"""The running service for tests: HTTP in, facts of other services in, one process on SQLite."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import httpx

from chassis.clock import FixedClock
from chassis.identity import Principal
from chassis.process import make_world, running
from chassis.service import may_spread
from chassis.shadow_spread import Spread
from chassis.testing.projections import told
from contracts.onboarding import PartnerActivated
from contracts.registration import DealRegistered
from contracts.values import PartnerId
from services.registration.app import Settings, build
from services.registration.reactions import REACTIONS
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.held import Held
from tests.scenarios.patient import PatientTransport, reacted

TENANT = "acme"
START = datetime(2026, 3, 3, 10, 0, tzinfo=UTC)
ADMIN = Principal(tenant=TENANT, subject="admin-1", kind="vendor", roles=("admin",))
OTHER_ADMIN = Principal(tenant=TENANT, subject="admin-2", kind="vendor", roles=("admin",))
DESK = Principal(tenant=TENANT, subject="desk-1", kind="vendor", roles=("deal_desk",))
FINANCE = Principal(tenant=TENANT, subject="finance-1", kind="vendor", roles=("finance",))


def seller(partner: str, tenant: str = TENANT) -> Principal:
    return Principal(tenant=tenant, subject=f"seller-{partner}", kind="partner", partner_id=partner, roles=("seller",))


def activated(partner: str, revision: int = 1) -> PartnerActivated:
    return PartnerActivated(
        partner_id=PartnerId(partner),
        revision=revision,
        country="DE",
        domains=(f"{partner}.example",),
        types=("reseller",),
        locale="en",
        zone="UTC",
        activated_at=START,
    )


def deal(**changes: Any) -> dict[str, Any]:
    body = {
        "customer": {"name": "Contoso GmbH", "country": "DE", "website": "https://www.contoso.com"},
        "products": [{"family": "cloud", "sku": "100"}],
        "amount": {"amount": "10000.00", "currency": "EUR"},
    }
    return {**body, **changes}


class Running:
    """The service, its clock, and who asks it."""

    def __init__(self, service: Any, world: Any, clock: FixedClock) -> None:
        self.service, self.world, self.clock = service, world, clock
        self._positions, self._keys = count(1), count(1)
        self._client = httpx.AsyncClient(
            transport=PatientTransport(app=Held(service.api)), base_url="http://registration"
        )

    async def hear(self, happened: Any) -> None:
        """A public event of another service arrives, twice."""
        [seen] = told(happened, tenant=TENANT, first=next(self._positions), at=self.clock.now())
        for _ in range(2):
            await reacted(lambda: REACTIONS[type(happened)](seen, self.service.application))
        await self.settle()

    def spread(self) -> Spread:
        """How its shadow runs go over two processes, a short one too."""
        service = self.service
        assert may_spread(service.blueprint, service.application.executor.every_handles)
        declared_in = service.blueprint.declared_in
        return Spread(declared_in=declared_in, settings=service.settings, processes=2, from_positions=0)

    async def settle(self) -> None:
        head = await self.service.store.head()
        assert await self.service.runner.reached("", "registration", head, PATIENCE_SECONDS)

    async def send(self, who: Principal, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {**self._as(who), "Idempotency-Key": key or f"k{next(self._keys)}"}
        return await self._client.post(path, json={} if body is None else body, headers=headers)

    async def upload(
        self, who: Principal, content: bytes, media_type: str = "text/csv", key: str | None = None
    ) -> httpx.Response:
        """Sends a file to be imported."""
        headers = {"Idempotency-Key": key or f"k{next(self._keys)}", "Content-Type": media_type}
        answer = await self._client.post("/batches", content=content, headers={**self._as(who), **headers})
        await self.settle()
        return answer

    async def until_batch(self, who: Principal, batch_id: str, stage: str) -> dict[str, Any]:
        """Waits until the import stands in a stage."""

        async def look() -> dict[str, Any] | None:
            found = (await self.get(who, f"/batches/{batch_id}")).json()
            return dict(found) if found.get("stage") == stage else None

        found: dict[str, Any] = await self.seen(look)
        return found

    async def post(self, who: Principal, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        answer = await self.send(who, path, body, key)
        await self.settle()
        return answer

    async def patch(self, who: Principal, path: str, body: Any) -> httpx.Response:
        headers = {**self._as(who), "Idempotency-Key": f"k{next(self._keys)}"}
        answer = await self._client.patch(path, json=body, headers=headers)
        await self.settle()
        return answer

    async def put(self, who: Principal, path: str, body: Any) -> httpx.Response:
        headers = {**self._as(who), "Idempotency-Key": f"k{next(self._keys)}"}
        answer = await self._client.put(path, json=body, headers=headers)
        await self.settle()
        return answer

    async def get(self, who: Principal, path: str, *, at_least: str = "", **query: Any) -> httpx.Response:
        headers = {**self._as(who), "Entente-At-Least": at_least}
        return await self._client.get(path, headers=headers, params=query)

    def _as(self, who: Principal) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.world.signer.sign(who, 'registration')}"}

    async def register(self, partner: str, **changes: Any) -> dict[str, Any]:
        answer = await self.post(seller(partner), "/deals", deal(**changes))
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def seen(self, look: Callable[[], Awaitable[Any]]) -> Any:
        """What `look` answers, once that is something."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (found := await look()):
                await asyncio.sleep(0.02)
        return found

    async def told(self, kind: type[Any]) -> list[Any]:
        """What the service has told others, of one kind."""
        return await self._told(kind)

    async def told_of(self, registration_id: str) -> Any:
        """How others heard of a deal."""
        return next(one for one in await self._told(DealRegistered) if one.registration_id == registration_id)

    async def until(self, registration_id: str, status: str) -> dict[str, Any]:
        """Waits until the deal stands in a status."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = (await self.get(DESK, f"/deals/{registration_id}")).json()
                if found.get("board", {}).get("status") == status:
                    return dict(found)
                await asyncio.sleep(0.02)

    async def until_heard(self, kind: type[Any], *, times: int = 1, **fields: Any) -> None:
        """Waits until the service has told others of such an event, so many times."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len([event for event in await self._told(kind) if _has(event, fields)]) < times:
                await asyncio.sleep(0.02)

    async def _told(self, kind: type[Any]) -> list[Any]:
        publish = self.service.blueprint.publish
        told = [publish(one.seen("registration")) for one in await self._recorded()]
        return [event for event in told if isinstance(event, kind)]

    async def _recorded(self) -> list[Any]:
        return list(await self.service.store.feed(0, 1_000))

    async def publish_rules(self, **body: Any) -> None:
        draft = {"rulebook_id": "default", "kind": "deal_rules", "body": body}
        drafted = await self.post(ADMIN, "/rulebooks", draft)
        assert drafted.status_code == 201, drafted.text
        version = drafted.json()["version"]
        published = await self.post(OTHER_ADMIN, "/rulebooks/default/publish", {"version": version})
        assert published.status_code == 200, published.text

    async def close(self) -> None:
        await self._client.aclose()


def _has(event: Any, fields: dict[str, Any]) -> bool:
    return all(getattr(event, name) == value for name, value in fields.items())


@asynccontextmanager
async def started(data: Path, **given: Any) -> AsyncIterator[Running]:
    settings = Settings(data=data, **given)
    clock = FixedClock(START)
    world = make_world(settings, clock=clock)
    service = build(settings, world)
    async with running([service], world):
        asked = Running(service, world, clock)
        yield asked
        await asked.close()
