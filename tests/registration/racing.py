"""Many approvals of what overlaps at once, through two replicas on one database: one is held, round after round.

    make test-races                                        200 approvals in each of 1,000 rounds
    make test-races ARGS="--first 240 --minutes 60"        from round 240 on, as many of them as begin within the hour

The deals are registered once, and each has been looked at once more when all stood in line, so that its approval is
decided by the race alone. A round is a copy of that database: two replicas open it with connections, queues and memories
of their own, and all approvals are sent at once, in an order and to replicas that the number of the round draws.
"""

import argparse
import asyncio
import math
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from chassis.clock import FixedClock
from chassis.process import make_world
from services.registration.app import Settings, build
from services.registration.domain.claim import HELD
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.partner_facts import RecordPartnerFacts
from tests.engines.postgres import copied_database, fresh_database, running_postgres
from tests.registration.service import DESK, START, TENANT, Running, deal, seller, started

APPROVALS, ROUNDS, WORKERS = 200, 1_000, 2
BUSY, LOOKED_AT_AGAIN, TRIES_MAX = 503, 412, 120
ROUNDS_A_PROCESS = 10
"""What two services leave behind each round is collected late: 140 rounds in one process came to 3.6 GB."""


@dataclass(frozen=True)
class Line:
    """The deals that stand in one line, in a database of which each round gets a copy."""

    server: str
    database: str
    data: Path
    account_id: str
    deals: Sequence[str]


@asynccontextmanager
async def replica(data: Path, postgres: str) -> AsyncIterator[Running]:
    """One replica of registration, as far as stores can tell: connections and queues of its own."""
    settings, clock = Settings(data=data, postgres=postgres, roles=("api",)), FixedClock(START)
    world = make_world(settings, clock=clock)
    service = build(settings, world)
    await service.open()
    await service.start()
    try:
        asked = Running(service, world, clock)
        yield asked
        await asked.close()
    finally:
        await service.stop()
        await service.close()


async def known(one: Running, partners: Sequence[str]) -> None:
    for number, partner in enumerate(partners):
        facts = {"revision": 1, "types": ("reseller",), "suspended": (), "country": "DE"}
        source = {"source_event_id": f"activated-{partner}", "source_position": number + 1}
        wish = RecordPartnerFacts(partner_id=partner, **facts, **source, now=START)
        await one.service.application.issue(TENANT, f"facts-{partner}", wish)


async def sent(one: Running, who: Any, path: str, body: Any, key: str) -> httpx.Response:
    """Whoever is told that it is busy comes again under the same key."""
    for _ in range(TRIES_MAX):
        answer = await one.send(who, path, body, key)
        if answer.status_code != BUSY:
            return answer
        await asyncio.sleep(float(answer.headers["retry-after"]))
    raise AssertionError(f"no answer to {path}")


async def approved(one: Running, registration_id: str, key: str) -> httpx.Response:
    return await sent(one, DESK, f"/deals/{registration_id}/approve", {}, key)


@asynccontextmanager
async def in_line(server: str, data: Path, approvals: int) -> AsyncIterator[Line]:
    """So many rivals ask for one customer, and each of them could be approved."""
    partners = [f"racer-{number}" for number in range(approvals)]
    with fresh_database(server) as database:
        async with started(data, postgres=database) as one:
            await one.publish_rules(priority="first_to_approve")
            await known(one, partners)
            asks = [await sent(one, seller(partner), "/deals", deal(), f"ask-{partner}") for partner in partners]
            registered = [answer.json() for answer in asks]
            assert {answer["status"] for answer in registered} == {"in_review"}
            names = [answer["registration_id"] for answer in registered]
            # All but the last one were screened before all of the others had come.
            looked = [(await approved(one, name, f"look-{name}")).status_code for name in names[:-1]]
            assert set(looked) <= {LOOKED_AT_AGAIN}
        yield Line(server, database, data, registered[0]["account_id"], names)


async def one_round(line: Line, number: int) -> str:
    """All approvals at once: answers which deal was approved, once it is sure that it was the only one."""
    dice = random.Random(number)
    deals = dice.sample(line.deals, len(line.deals))
    with copied_database(line.server, line.database) as copy:
        async with replica(line.data, copy) as one, replica(line.data, copy) as two:
            asks = [approved(dice.choice((one, two)), name, f"ok-{number}-{name}") for name in deals]
            answers = [answer.json() for answer in await asyncio.gather(*asks)]
            state, _ = await dice.choice((one, two)).service.application.executor.state(
                TENANT, ClaimsOf.at(line.account_id)
            )
    won = [name for name, answer in zip(deals, answers, strict=True) if answer.get("status") == "approved"]
    held = [claim.registration_id for claim in state.live if claim.state == HELD]
    assert held == won, f"round {number}: approved {won}, held {held}"
    assert len(held) == 1, f"round {number}: {held} are held"
    return held[0]


# The command


def raced(line: Line, number: int) -> str:
    """The winner of a round, in another process."""
    return asyncio.run(one_round(line, number))


@contextmanager
def _given(approvals: int) -> Iterator[Line]:
    """The line, in a database that nobody is connected to, until the block ends."""
    with running_postgres() as server, tempfile.TemporaryDirectory() as data, asyncio.Runner() as runner:
        entered = in_line(server, Path(data), approvals)
        yield runner.run(entered.__aenter__())
        runner.run(entered.__aexit__(None, None, None))


def race(approvals: int, numbers: range, workers: int, minutes: float = math.inf) -> Counter[str]:
    """How often each deal won; raises AssertionError where another than one was held.

    After so many minutes no further rounds begin.
    """
    won: Counter[str] = Counter()
    began = time.perf_counter()
    with _given(approvals) as line:
        for some in batched(numbers, workers * ROUNDS_A_PROCESS):
            if time.perf_counter() - began > minutes * 60:
                break
            with ProcessPoolExecutor(workers) as pool:
                won.update(pool.map(partial(raced, line), some))
            print(f"{won.total()} of {len(numbers)} rounds, {time.perf_counter() - began:.0f} s", flush=True)  # noqa: T201
    return won


def batched(numbers: range, most: int) -> Iterator[range]:
    """The numbers in their order, so many at a time."""
    return (numbers[at : at + most] for at in range(0, len(numbers), most))


def main() -> None:
    """Runs the rounds, and says how often one was held and how many deals were the one."""
    parser = argparse.ArgumentParser(prog="python -m tests.registration.racing", description=__doc__)
    parser.add_argument("--approvals", type=int, default=APPROVALS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--first", type=int, default=0, help="the number of the first round, which draws its order")
    parser.add_argument("--minutes", type=float, default=math.inf, help="how long further rounds begin")
    parser.add_argument("--workers", type=int, default=WORKERS)
    given = parser.parse_args()
    won = race(given.approvals, range(given.first, given.rounds), given.workers, given.minutes)
    told = f"{given.approvals} approvals at once over two replicas, {won.total()} rounds: one held in each"
    print(f"{told}; {len(won)} different deals won")  # noqa: T201


if __name__ == "__main__":
    main()
