"""The deal's page while its protection runs: what warns its partner, and what is over with the deal."""

from datetime import datetime, timedelta

import pytest

from tests.scenarios.browser import browser
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")
WARNED, ASKED = "Nothing has happened for a while.", "Asked to last until"


async def test_the_page_warns_of_inactivity_and_tells_of_an_extension_as_long_as_the_deal_lives(it: System) -> None:
    made = done(
        await (await it.who("northwind")).post(DEALS, deal("Rowan Bakeries", "rowan-bakeries.com"), key="r"), 201
    )
    path = f"{DEALS}/{made['registration_id']}"
    done(await (await it.who("dora")).post(f"{path}/approve", key="r-approved"))
    began = datetime.fromisoformat(done(await (await it.who("dora")).get("/v1/me"))["now"])

    quiet = await page_after(it, made["registration_id"], began + timedelta(days=10))
    warned = await page_after(it, made["registration_id"], began + timedelta(days=39))
    shown = [{"kind": "meeting", "dated_on": "2031-01-02", "sha256": "a" * 64}]
    done(await (await it.who("northwind")).post(f"{path}/add-evidence", {"evidence": shown}, key="r-met"))
    alive = await page_after(it, made["registration_id"], began + timedelta(days=70))
    more = {"evidence": [{**shown[0], "sha256": "b" * 64}]}
    done(await (await it.who("northwind")).post(f"{path}/request-extension", more, key="r-more"))
    asked = await page_after(it, made["registration_id"], began + timedelta(days=71))
    done(await (await it.who("northwind")).post(f"{path}/withdraw", {}, key="r-back"))
    over = await page_after(it, made["registration_id"], began + timedelta(days=72))

    assert [WARNED in one for one in (quiet, warned, alive)] == [False, True, False]
    assert [ASKED in one for one in (alive, asked, over)] == [False, True, False]


async def page_after(it: System, registration_id: str, at: datetime) -> str:
    await it.clock(at.isoformat())
    await it.settle()
    async with browser(it.front._app, headers={"origin": it.address}) as north:
        await north.post("/dev/sign-in", data={"tenant": "acme", "as": "northwind"})
        return (await north.get(f"/deals/{registration_id}")).text
