"""The customer's page says who sold there before: what was won, and what the vendor says."""

import re

import pytest

from tests.scenarios.browser import browser
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done
from tests.scenarios.test_money_pages import up_to_date

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKEN = re.compile(r'name="token" value="([^"]+)"')


async def test_the_vendor_says_on_the_customers_page_who_sold_there_before_and_registration_hears_it(
    it: System,
) -> None:
    north, dora = await it.who("northwind"), await it.who("dora")
    made = done(await north.post(DEALS, deal("Fabrikam", "fabrikam.com"), key="incumbent"), 201)
    await it.settle()
    partner_id = done(await north.get("/v1/me"))["partner_id"]
    page = f"/customers/{made['account_id']}"
    said = {"product_family": "platform", "partner_id": partner_id, "reason": "They have had them since 2019."}
    async with browser(it.front._app, headers={"origin": it.address}) as cara:
        await cara.post("/dev/sign-in", data={"tenant": "acme", "as": "cara"})
        before = (await cara.get(page)).text
        sealed = TOKEN.search(before)
        assert sealed is not None
        form = {"token": sealed[1], "key": "incumbent-1"}
        over = await cara.post(f"{page}/incumbent", data={**form, **said, "until_on": "2020-01-31"})
        named = {**form, **said, "key": "incumbent-2"}
        saved = await up_to_date(cara, await cara.post(f"{page}/incumbent", data=named, follow_redirects=True))
        nobody = {**form, "key": "incumbent-3", "product_family": "security", "partner_id": "nobody", "reason": "Free."}
        shown = await up_to_date(cara, await cara.post(f"{page}/incumbent", data=nobody, follow_redirects=True))
    await it.settle()

    assert "Nothing was won here, and nobody has said who did before." in before
    assert (over.status_code, "the last day is over" in over.text.lower() or "still to come" in over.text) == (
        422,
        True,
    )
    assert "It is written down who sold there before." in saved.text
    assert "They have had them since 2019." in saved.text
    assert "nobody, said on" in shown.text
    told, none = done(await dora.get(f"/v1/registration/accounts/{made['account_id']}"))["incumbents"]
    assert (told["partner_id"], told["reach"]["products"][0]["family"]) == (partner_id, "platform")
    assert (none["partner_id"], none["reach"]["products"][0]["family"]) == ("", "security")


async def test_the_customers_page_says_also_who_was_named_for_an_entry_that_was_merged_into_it(it: System) -> None:
    """Also for one that came by way of another one."""
    north, cara, dora = [await it.who(name) for name in ("northwind", "cara", "dora")]
    names = ("Wingtip", "Wingtip Europe", "Wingtip Nord")
    made = [
        done(await north.post(DEALS, deal(name, f"wingtip-{number}.com"), key=f"wingtip-{number}"), 201)["account_id"]
        for number, name in enumerate(names)
    ]
    await it.settle()
    partner_id = done(await north.get("/v1/me"))["partner_id"]
    said = {"account_id": made[2], "product_family": "platform", "partner_id": partner_id, "reason": "Since 2020."}
    done(await cara.post("/v1/attribution/incumbents", said, key="said"), 201)
    for into, gone in ((1, 2), (0, 1)):
        joined = {"absorbed": made[gone], "reason": "The same house."}
        done(await dora.post(f"/v1/registration/accounts/{made[into]}/merge", joined, key=f"merged-{gone}"))
    await it.settle()

    async with browser(it.front._app, headers={"origin": it.address}) as page:
        await page.post("/dev/sign-in", data={"tenant": "acme", "as": "cara"})
        shown = (await page.get(f"/customers/{made[0]}")).text

    assert "Since 2020." in shown
    assert f'of <a href="/customers/{made[2]}">Wingtip Nord</a>' in shown
