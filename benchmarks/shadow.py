"""A shadow run: recorded registrations decided again under other rules, with all that follows, in one core's time.

The history is made through the service's own routes: every tenth deal asks for the customer of an earlier one and waits
behind it, most are approved, some rejected. Then it is run again under the rules that held, which changes nothing, and under a
higher minimum, which about half of the deals do not reach. What is told is the time on the wall: to begin the processes,
measured by a run over nothing, once, and what the deals took besides, as often as they fit into a year.

A full run looks every customer up again and has one process to itself. Of it is told how many deals a second it takes,
beside how many the processes of the recorded run do, under the same rules.
"""

import asyncio
import time
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks._figures import Figure, at_most, beside, skipped
from benchmarks.http import company
from chassis.afresh import FULL
from chassis.service import spread_of
from chassis.shadow import Window
from chassis.shadow_api import ShadowBody, asked_for
from tests.registration.service import DESK, TENANT, Running, activated, deal, seller, started

DEALS, PARTNERS, TOGETHER = 6_000, 40, 32
RIVAL_EACH, REJECTED_EACH, UNDECIDED_EACH = 10, 7, 9
HELD = {"minimums": [{"amount": "1000.00", "currency": "EUR"}]}
HIGHER = {"minimums": [{"amount": "11000.00", "currency": "EUR"}]}
SAME, FULLY = "same", "full"
TRIED: dict[str, dict[str, Any]] = {
    SAME: {"version": 1},
    "stricter": {"body": HIGHER},
    FULLY: {"version": 1, "mode": FULL},
}
YEAR_DEALS, YEAR_SECONDS = 100_000, 60


def run() -> Iterable[Figure]:
    """Seconds that a year of 100,000 deals takes; of a full run, deals a second."""
    taken = asyncio.run(_taken())
    for name, seconds in taken.items():
        if seconds is None:
            yield skipped(f"shadow.{name}", "one process alone")
        elif name == FULLY:
            recorded = taken[SAME]
            assert recorded is not None
            yield beside("shadow.full", DEALS / seconds[1], "deals/s", ("recorded", DEALS / recorded[1]))
        else:
            begin, all_deals = seconds
            year = begin + all_deals * YEAR_DEALS / DEALS
            yield at_most(f"shadow.{name}", year, "s", YEAR_SECONDS)


async def _taken() -> dict[str, tuple[float, float] | None]:
    """Of each run the seconds that its processes took to begin, and those that the deals took besides."""
    with TemporaryDirectory() as folder:
        async with started(Path(folder)) as asked:
            await _history(asked)
            return {name: await _again(asked, name, **rules) for name, rules in TRIED.items()}


async def _history(asked: Running) -> None:
    await asked.publish_rules(**HELD)
    for number in range(PARTNERS):
        await asked.hear(activated(f"p{number}"))
    for first in range(0, DEALS, TOGETHER):
        await asyncio.gather(*(_deal(asked, number) for number in range(first, min(first + TOGETHER, DEALS))))
    await asked.settle()


async def _deal(asked: Running, number: int) -> None:
    customer = number - TOGETHER if number % RIVAL_EACH == 0 and number >= TOGETHER else number
    wish = deal(
        customer={"name": company(f"{customer}"), "country": "DE", "website": f"www.customer-{customer}.com"},
        amount={"amount": f"{2_000 + number * 9 % 18_000}.00", "currency": "EUR"},
    )
    answer = await asked.send(seller(f"p{number % PARTNERS}"), "/deals", wish)
    assert answer.status_code == HTTPStatus.CREATED, answer.text
    if number % UNDECIDED_EACH:
        verb: tuple[str, dict[str, Any]] = ("approve", {})
        if number % REJECTED_EACH == 0:
            verb = ("reject", {"reason_code": "no-fit", "message": "We cannot protect this one."})
        await asked.send(DESK, f"/deals/{answer.json()['registration_id']}/{verb[0]}", verb[1])


async def _again(asked: Running, name: str, **rules: Any) -> tuple[float, float] | None:
    service = asked.service
    spread = spread_of(service.blueprint, service.settings, service.application.executor.every_handles)
    if spread is None:
        return None
    wanted = await asked_for(service.application, TENANT, ShadowBody(rulebook_id="default", **rules), name)
    window = wanted.window
    nothing = Window(tenant=TENANT, after=0, until=0)
    times = []
    for taken in (nothing, window):
        began = time.perf_counter()
        await spread.run(wanted.candidate, taken, lambda done, total: None, wanted.mode)
        times.append(time.perf_counter() - began)
    begin, all_deals = times
    return begin, all_deals - begin
