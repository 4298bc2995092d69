"""A seeded workload: a story of the demo, drawn from a seed, pressed into few weeks, one act after the other.

What two services do at the same time has no order between them. So that one run can be compared with another, each act
is over, in every service, before the next begins.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from io import StringIO
from typing import Any

from rich.console import Console
from rich.progress import Progress

from chassis.asgi import Answer
from services import first_run
from services.demo.calendar import DEALS, Quarter
from services.demo.office import Crm, Office
from services.demo.quarter import joined, pass_week
from services.demo.story import WEEKS, Deal, Size, Story, told
from tests.scenarios.system import System

WEEKS_HERE = 6
"""Enough for a fund's event with its claims, and for the end of a month, which finance states, pays and closes."""
DISPUTES = "/v1/registration/disputes"
Rest = Callable[[], Awaitable[None]]


class CalmCrm(Crm):
    """A CRM in which a salesperson waits until it was read and all have heard of what it did."""

    heard: Rest

    async def act(self, deal_id: str, verb: str, **said: str) -> None:
        await super().act(deal_id, verb, **said)
        await self.heard()


@dataclass
class CalmOffice(Office):
    """An office in which nobody begins before all have heard of what came before."""

    at_once: int = 1
    joining: bool = True
    """While the cast joins, much is done past this office; from then on each act has its rest."""
    rest: Rest = field(kw_only=True)

    async def do(
        self, name: str, path: str, body: Any = None, *, key: str, also: tuple[int, ...] = (), method: str = "POST"
    ) -> Answer:
        answer = await super().do(name, path, body, key=key, also=also, method=method)
        await self.rest()
        return answer

    async def move(self, to: datetime) -> None:
        await super().move(to)
        await self.rest()

    async def quiet(self) -> None:
        if self.joining:
            await self.rest()

    async def read_crm(self) -> None:
        await super().read_crm()
        await self.rest()


async def seeded_workload(it: System, size: Size) -> None:
    """A story of this size and seed, with its disputes."""
    async with CalmCrm(it.crm_url) as crm:
        patient = first_run.Patient(it.front._app)
        office = CalmOffice(patient, crm, it.connection_id, size.story, rest=it.settle)
        crm.heard = office.read_crm
        quarter = await joined(office, pressed(told(size)), Progress(console=Console(file=StringIO())))
        office.joining = False
        for week in range(1, WEEKS_HERE + 1):
            await pass_week(quarter, week, lambda: None)
            await contest(quarter)
    await it.settle()


def pressed(story: Story) -> Story:
    """The story in fewer weeks; who comes later still comes later, or in the same week after the other."""
    deals = sorted(map(_earlier, story.deals), key=lambda deal: (deal.week, deal.number))
    return replace(story, deals=tuple(deals))


def _earlier(deal: Deal) -> Deal:
    week, closes = (1 + (when - 1) * WEEKS_HERE // (WEEKS + 1) for when in (deal.week, deal.closes))
    return replace(deal, week=week, closes=max(closes, week + 1))


async def contest(quarter: Quarter) -> None:
    """Whoever was rejected contests it; an arbiter decides, and every second decision goes to another one."""
    for row in await quarter.office.rows("ada", f"{DEALS}?status=rejected&sort=submitted_at"):
        deal = quarter.known[row["registration_id"]]
        if row["registration_id"] not in await _contested(quarter):
            await _contest(quarter, row["partner_id"], row["registration_id"], deal)


async def _contested(quarter: Quarter) -> set[str]:
    return {row["dispute_id"] for row in await quarter.office.rows("ada", DISPUTES)}


async def _contest(quarter: Quarter, partner_id: str, dispute_id: str, deal: Deal) -> None:
    office, mine = quarter.office, f"{DISPUTES}/{dispute_id}"
    said = {"registration_id": dispute_id, "kind": "earlier_work", "statement": "Their buyer asked us in January."}
    await office.do(partner_id, DISPUTES, said, key=f"dispute-{deal.number}")
    first, second = ("overturned", "upheld") if deal.number % 2 else ("upheld", "overturned")
    await office.do("ada", f"{mine}/decide", {"outcome": first, "reason": "So it is."}, key=f"decide-{deal.number}")
    if deal.number % 2:
        await office.do(partner_id, f"{mine}/appeal", {"statement": "It is not."}, key=f"appeal-{deal.number}")
        wish = {"outcome": second, "reason": "It is."}
        await office.do("finn", f"{mine}/decide", wish, key=f"decide-again-{deal.number}")
