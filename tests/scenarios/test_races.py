"""Partners who race for one customer: whoever asks, in whatever order, no two rivals ever hold the same thing."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from chassis.asgi import Answer, Api
from chassis.event import sha256
from chassis.identity import Principal
from chassis.process import make_world
from chassis.service import Service
from services import first_run
from services.registration import app as registration
from tests.scenarios.main_job import deal
from tests.scenarios.system import System, done, running_system

FAMILIES = (("platform",), ("analytics",), ("platform", "analytics"), ("platform",))
DESK = tuple(
    Principal(tenant=first_run.TENANT, subject=f"desk-{n}", kind="vendor", roles=("deal_desk",)) for n in "abc"
)
BUSY_TRIES, WAITING_TOO = 60, 5
SIDE_BY_SIDE = 32
LONG = [pytest.mark.long, pytest.mark.timeout(1_200)]
SIZES = [
    pytest.param(20, 2, id="short"),
    pytest.param(200, 15, id="many", marks=LONG),
    pytest.param(200, 50, id="full", marks=[*LONG, pytest.mark.nightly]),
]
SIZES_OF_TWO = [pytest.param(8, 1, id="short"), pytest.param(60, 5, id="full", marks=LONG)]


@dataclass
class Racers:
    """Partners of one vendor, and the instances of registration that they ask in turn."""

    it: System
    instances: Sequence[Service]
    partners: list[Principal] = field(default_factory=list)
    busy: int = 0
    _asked: int = 0

    async def post(self, who: Principal, path: str, body: Any, key: str) -> Answer:
        """Asks one of the instances; whoever is told that it is busy comes again, as it is told to."""
        self._asked += 1
        service = self.instances[self._asked % len(self.instances)]
        for _ in range(BUSY_TRIES):
            api = Api(service.api, self.it.world.signer.sign(who, "registration"))
            answer = await api.post(path, body, key=key)
            if answer.status != 503:
                return answer
            self.busy += 1
            await asyncio.sleep(float(answer.headers["retry-after"]))
        raise AssertionError(f"{who.subject} got no answer to {path}")

    async def enter(self, count: int) -> None:
        """So many partners are added and approved."""
        ada = await self.it.who("ada")

        async def one(number: int) -> Principal:
            profile = {"legal_name": f"Racer {number}", "country": "DE", "domains": [f"racer-{number}.example"]}
            added = done(
                await ada.post("/v1/onboarding/partners", {**profile, "types": ["reseller"]}, key=f"r{number}")
            )
            partner_id = added["partner_id"]
            done(await ada.post(f"/v1/onboarding/partners/{partner_id}/approve", {}, key=f"ok-{number}"))
            subject = f"seller-{number}"
            return Principal(
                tenant=first_run.TENANT, subject=subject, kind="partner", partner_id=partner_id, roles=("seller",)
            )

        self.partners = await side_by_side([lambda n=n: one(n) for n in range(count)])  # type: ignore[misc]
        await self.it.settle()


async def side_by_side(work: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
    gate = asyncio.Semaphore(SIDE_BY_SIDE)

    async def one(each: Callable[[], Awaitable[Any]]) -> Any:
        async with gate:
            return await each()

    return await asyncio.gather(*map(one, work))


@pytest.mark.parametrize(("partners", "rounds"), SIZES)
async def test_of_partners_who_race_for_one_customer_never_two_hold_what_overlaps(
    tmp_path: Path, partners: int, rounds: int
) -> None:
    async with running_system(tmp_path) as it:
        racers = Racers(it, [it.services["registration"]])
        await raced(racers, partners, rounds)


@pytest.mark.parametrize(("partners", "rounds"), SIZES_OF_TWO)
async def test_of_partners_who_race_over_two_instances_on_one_store_never_two_hold_what_overlaps(
    tmp_path: Path, postgres: str, partners: int, rounds: int
) -> None:
    async with running_system(tmp_path, postgres=postgres) as it, second_instance(tmp_path, postgres) as second:
        racers = Racers(it, [it.services["registration"], second])
        await raced(racers, partners, rounds)


@asynccontextmanager
async def second_instance(data: Path, postgres: str) -> AsyncIterator[Service]:
    """One more process's registration, as far as stores can tell: own connections, own queues, the same database."""
    settings = registration.Settings(data=data, postgres=postgres, roles=("api",))
    service = registration.build(settings, make_world(settings))
    await service.open()
    await service.start()
    try:
        yield service
    finally:
        await service.stop()
        await service.close()


async def raced(racers: Racers, partners: int, rounds: int) -> None:
    chance = random.Random(partners * rounds)
    await racers.enter(partners)
    for number in range(rounds):
        await one_round(racers, number, chance)
    await racers.it.settle()
    print("told that it is busy", racers.busy)  # noqa: T201  shown when a test fails
    await no_two_ever_held_what_overlaps(racers)
    assert await racers.it.parked() == 0


async def one_round(racers: Racers, number: int, chance: random.Random) -> None:
    """All register at once, the desk approves all at once, those who hold go away, the desk approves what moves up."""
    wishes = [wish(number, chance.choice(FAMILIES)) for _ in racers.partners]
    placed = await asyncio.gather(
        *(racers.post(who, "/deals", body, f"deal-{number}") for who, body in zip(racers.partners, wishes, strict=True))
    )
    deals = [done(answer, 201) for answer in placed]
    assert {one["status"] for one in deals} <= {"in_review", "waiting", "rejected"}, "the line has its length"
    assert any(one["status"] == "in_review" for one in deals)
    assert len({one["account_id"] for one in deals}) == 1, "one customer is one account"
    await racers.it.settle()
    holding = await approved(racers, deals, f"first-{number}")
    assert holding
    await asyncio.gather(*(withdrawn(racers, one, number) for one in holding))
    # An approval only writes down what has changed since the deal was last looked at: those who move up are let arrive.
    await racers.it.settle()
    assert await someone_moved_up(racers, deals[0]["account_id"])
    assert await approved(racers, deals, f"second-{number}")


def wish(number: int, families: tuple[str, ...]) -> dict[str, Any]:
    products = [{"family": family, "quantity": 1} for family in families]
    # A name that resembles none of the other rounds': similar customers are another test's matter.
    name = "".join(chr(ord("a") + int(digit, 16)) for digit in sha256(f"customer {number}".encode())[:12])
    return deal(name.title(), f"www.{name}.de", products=products)


async def approved(racers: Racers, deals: Sequence[Any], key: str) -> list[Any]:
    """Three people of the desk go through the deals at once, each in an order of its own; the deals that hold then."""
    read = racers.instances[0].application.read
    where = {"account_id": deals[0]["account_id"], "status": "in_review"}
    page = await read.find("deal_board", first_run.TENANT, where=where, sort="submitted_at")
    wanted = {one["registration_id"] for one in page.items} | {one["registration_id"] for one in deals[:WAITING_TOO]}

    async def through(desk: Principal) -> list[Answer]:
        mine = sorted(wanted, key=lambda registration_id: sha256(f"{desk.subject}{registration_id}".encode()))
        return [await racers.post(desk, f"/deals/{one}/approve", None, f"{key}-{one[:24]}") for one in mine]

    answers = [answer for found in await asyncio.gather(*map(through, DESK)) for answer in found]
    assert {answer.status for answer in answers} <= {200, 409, 412}
    holding = {a.json()["registration_id"] for a in answers if a.ok and a.json()["status"] == "approved"}
    return [one for one in deals if one["registration_id"] in holding]


async def someone_moved_up(racers: Racers, account_id: str) -> int:
    read = racers.instances[0].application.read
    where = {"account_id": account_id, "status": "in_review"}
    return await read.count("deal_board", first_run.TENANT, where=where)


async def withdrawn(racers: Racers, one: Any, number: int) -> None:
    who = next(partner for partner in racers.partners if partner.partner_id == one["partner_id"])
    done(await racers.post(who, f"/deals/{one['registration_id']}/withdraw", {}, f"back-{number}"))


async def no_two_ever_held_what_overlaps(racers: Racers) -> None:
    """Walks the log: whenever a claim is held, no rival on that customer holds one of its products."""
    asked: dict[str, tuple[str, set[str]]] = {}
    held: dict[str, set[str]] = {}
    store, position, holds = racers.it.services["registration"].store, 0, 0
    while page := await store.feed(position, 1_000):
        position = page[-1].position
        for fact in page:
            if fact.type == "registration.ClaimPlaced.v1":
                families = {line.family for line in fact.event.reach.products}
                asked[fact.event.registration_id] = fact.event.partner_id, families
            elif fact.type == "registration.ClaimHeld.v1":
                partner, families = asked[fact.event.registration_id]
                for other in held.setdefault(fact.stream, set()):
                    rival, theirs = asked[other]
                    assert rival == partner or not families & theirs, (fact.position, fact.event)
                held[fact.stream].add(fact.event.registration_id)
                holds += 1
            elif fact.type == "registration.ClaimReleased.v1":
                held.setdefault(fact.stream, set()).discard(fact.event.registration_id)
    assert holds > 0
