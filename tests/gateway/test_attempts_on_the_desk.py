"""The review desk reads on a deal what was tried on it and refused."""

import pytest

from tests.scenarios.browser import browser
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_desk_reads_what_was_tried_on_a_deal_and_how_often(it: System) -> None:
    north = await it.who("northwind")
    made = done(await north.post(DEALS, deal("Juniper Mills", "juniper-mills.com"), key="tried"), 201)
    page = f"/desk/{made['registration_id']}"
    await it.settle()
    async with browser(it.front._app, headers={"origin": it.address}) as dora:
        await dora.post("/dev/sign-in", data={"tenant": "acme", "as": "dora"})
        before = (await dora.get(page)).text
        refused = await north.post(
            f"{DEALS}/{made['registration_id']}/amend", {"crm_reference": "C-1"}, key="too-early"
        )
        await it.settle()
        shown = (await dora.get(page)).text

    assert refused.status == 409
    assert "Tried and refused" not in before
    assert "Tried and refused" in shown
    assert "the deal is in review" in shown
