"""Two processes of registration on one database: many approvals of what overlaps at once, and one is held."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from chassis.clock import FixedClock
from chassis.process import make_world
from services.registration.app import Settings, build
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.partner_facts import RecordPartnerFacts
from tests.registration.service import DESK, START, TENANT, Running, deal, seller, started

LONG = [pytest.mark.long, pytest.mark.timeout(3_000)]
SIZES = [
    pytest.param(20, 1, id="short"),
    pytest.param(200, 1, id="200-approvals", marks=LONG),
    pytest.param(8, 1_000, id="1000-rounds", marks=LONG),
]
BUSY, TRIES_MAX = 503, 120


@asynccontextmanager
async def second(one: Running, data: Path, postgres: str) -> AsyncIterator[Running]:
    """The other replica, as far as stores can tell: connections and queues of its own, the same database and clock."""
    settings = Settings(data=data, postgres=postgres, roles=("api",))
    clock: FixedClock = one.clock
    service = build(settings, make_world(settings, clock=clock))
    await service.open()
    await service.start()
    try:
        asked = Running(service, one.world, clock)
        yield asked
        await asked.close()
    finally:
        await service.stop()
        await service.close()


async def known(replica: Running, partners: list[str]) -> None:
    app = replica.service.application
    for number, partner in enumerate(partners):
        facts = {"revision": 1, "types": ("reseller",), "suspended": (), "country": "DE"}
        source = {"source_event_id": f"activated-{partner}", "source_position": number + 1}
        await app.issue(
            TENANT, f"facts-{partner}", RecordPartnerFacts(partner_id=partner, **facts, **source, now=START)
        )


async def sent(replica: Running, who: Any, path: str, body: Any, key: str) -> httpx.Response:
    """Whoever is told that it is busy comes again under the same key."""
    for _ in range(TRIES_MAX):
        answer = await replica.send(who, path, body, key)
        if answer.status_code != BUSY:
            return answer
        await asyncio.sleep(float(answer.headers["retry-after"]))
    raise AssertionError(f"no answer to {path}")


async def one_round(replicas: tuple[Running, Running], partners: list[str], number: int) -> None:
    website = {"name": f"Contoso {number}", "country": "DE", "website": f"contoso-{number}.com"}
    asks = (
        sent(replicas[at % 2], seller(partner), "/deals", deal(customer=website), f"ask-{number}-{partner}")
        for at, partner in enumerate(partners)
    )
    registered = [answer.json() for answer in await asyncio.gather(*asks)]
    assert {one["status"] for one in registered} == {"in_review"}

    approvals = (
        sent(replicas[at % 2], DESK, f"/deals/{one['registration_id']}/approve", {}, f"ok-{number}-{at}")
        for at, one in enumerate(registered)
    )
    answers = [answer.json() for answer in await asyncio.gather(*approvals)]

    statuses = [one.get("status") for one in answers]
    line, _ = await replicas[1].service.application.executor.state(TENANT, ClaimsOf.at(registered[0]["account_id"]))
    held = [claim for claim in line.live if claim.state == "held"]
    assert statuses.count("approved") == 1, statuses
    assert len(held) == 1


@pytest.mark.parametrize(("approvals", "rounds"), SIZES)
async def test_done_when_1_of_approvals_at_once_over_two_replicas_one_is_held_in_each_round(
    tmp_path: Path, postgres: str, approvals: int, rounds: int
) -> None:
    partners = [f"racer-{number}" for number in range(approvals)]
    async with started(tmp_path, postgres=postgres) as one, second(one, tmp_path, postgres) as two:
        await one.publish_rules(priority="first_to_approve")
        await known(one, partners)
        for number in range(rounds):
            await one_round((one, two), partners, number)
