"""The list of disputes and one dispute: a partner sees its own side, the desk all, an arbiter what it may decide."""

import re
from typing import Any

import httpx
import pytest

from tests.scenarios.cast import key
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done
from tests.scenarios.test_money_pages import portal_of, sent

pytestmark = pytest.mark.asyncio(loop_scope="module")
DISPUTES = "/v1/registration/disputes"
SAID = "We have advised them since January."
TO_DECIDE = "/disputes?stage=to_decide"
EVIDENCE = {"kind": "mail", "dated_on": "2026-01-12", "sha256": "a" * 64}


async def page_of(it: System, name: str, path: str = "/disputes") -> str:
    async with portal_of(it, await it.who(name)) as client:
        return (await client.get(path)).text


def rows(page: str) -> list[str]:
    """The rows of the list, without their markup."""
    body = page.partition("<tbody>")[2].partition("</tbody>")[0]
    told = (re.sub(r"<[^>]+>", " ", one) for one in body.split("<tr>")[1:])
    return [" ".join(one.split()) for one in told]


async def contested(it: System, customer: str, website: str, kind: str = "earlier_work") -> tuple[str, str]:
    """North's deal, which holds the customer, and South's, which waits and disputes that."""
    north, south, dora = [await it.who(name) for name in ("northwind", "southbridge", "dora")]
    held = done(await north.post(DEALS, deal(customer, website), key=key()), 201)["registration_id"]
    done(await dora.post(f"{DEALS}/{held}/approve", key=key()))
    waits = done(await south.post(DEALS, deal(customer, website), key=key()), 201)["registration_id"]
    filed = {"registration_id": waits, "kind": kind, "statement": SAID}
    done(await south.post(DISPUTES, filed, key=key()), 201)
    await it.settle()
    return held, waits


async def test_no_dispute_is_said_and_none_that_fits_and_the_page_is_reached_by_the_menu(it: System) -> None:
    for name in ("northwind", "dora", "ada"):
        page = await page_of(it, name)
        assert "No disputes" in page
        assert re.search(r'<a href="/disputes" aria-current="page" ?>Disputes</a>', page)
        assert "No dispute fits" in await page_of(it, name, "/disputes?stage=decided")


async def test_each_side_reads_its_own_and_the_vendor_both_with_what_waits_for_whom(it: System) -> None:
    held, waits = await contested(it, "Aspen Bakeries", "aspen-bakeries.com")
    filed, holds, desk, arbiter = [await page_of(it, name) for name in ("southbridge", "northwind", "dora", "ada")]

    assert [one for one in rows(filed) if "You contest it Earlier work" in one and "Aspen Bakeries" in one]
    assert f'href="/disputes/{waits}"' in filed
    assert held not in filed
    assert [one for one in rows(holds) if "Another partner contests what you hold Earlier work" in one]
    assert f'href="/disputes/{held}"' in holds
    assert [word for word in (waits, SAID, "Southbridge") if word in holds] == []
    for page in (desk, arbiter):
        (row,) = [one for one in rows(page) if "Aspen Bakeries" in one]
        assert row.index("Southbridge") < row.index("Northwind")
        assert ("yours to decide" in row) == (page is arbiter)


async def test_the_filters_and_the_place_in_the_list_hold_on_the_page(it: System) -> None:
    await contested(it, "Birch Mills", "birch-mills.com", "territory")
    _, waits = await contested(it, "Cedar Mills", "cedar-mills.com", "customer_choice")
    done(await (await it.who("southbridge")).post(f"{DISPUTES}/{waits}/withdraw", key=key()))
    await it.settle()

    async def found(**query: str) -> set[str]:
        told = rows(await page_of(it, "dora", f"/disputes?{httpx.QueryParams(query)}"))
        return {name for name in ("Birch Mills", "Cedar Mills") if any(name in one for one in told)}

    assert await found() == {"Birch Mills", "Cedar Mills"}
    assert await found(kind="territory") == {"Birch Mills"}
    assert await found(stage="withdrawn") == {"Cedar Mills"}
    assert await found(stage="to_decide") == {"Birch Mills"}
    assert await found(stage="going_on") == {"Birch Mills"}
    assert await found(stage="nonsense", kind="nonsense") == {"Birch Mills", "Cedar Mills"}
    first = done(await (await it.who("dora")).get(f"{DISPUTES}?limit=1"))
    assert first["items"][0]["registration_id"] == waits
    assert await found(cursor=first["next_cursor"]) == {"Birch Mills"}


async def under_review(it: System, deal_id: str) -> None:
    """The desk asks for evidence, and gets it."""
    question, shown = {"question": "Who asked first?"}, {"evidence": [EVIDENCE]}
    done(await (await it.who("dora")).post(f"{DISPUTES}/{deal_id}/request-evidence", question, key=key()))
    done(await (await it.who("southbridge")).post(f"{DISPUTES}/{deal_id}/show-evidence", shown, key=key()))
    await it.settle()


async def test_an_arbiter_who_reads_no_deals_decides_on_the_disputes_own_page(it: System) -> None:
    ada = await it.who("ada")
    staff = {"handle": "mia", "name": "Mia", "mail": "mia@acme.example", "roles": ["marketing"], "duties": ["arbiter"]}
    done(await ada.post("/v1/staff", staff, key=key()), 201)
    await it.settle()
    _, waits = await contested(it, "Damson Glass", "damson-glass.com")
    path = f"/disputes/{waits}"
    await under_review(it, waits)
    async with portal_of(it, await it.who("mia")) as mia:
        for asked in ("/worklist", "/"):
            listed = (await mia.get(asked)).text.partition("<main")[2]
            assert f'<a href="{TO_DECIDE}">Damson Glass</a>' in listed, asked
        assert f'href="{path}"' in (await mia.get(TO_DECIDE)).text
        assert f'href="{path}"' in (await mia.get("/disputes")).text
        assert (await mia.get(f"/deals/{waits}")).status_code == 403
        before = (await mia.get(path)).text
        refused = await sent(mia, path, f"{path}/decide", outcome="split", reason="Both were there.", percent="")
        decided = await sent(mia, path, f"{path}/decide", outcome="upheld", reason="They came later.")
    assert SAID in before
    assert "/deals/" not in before.partition("<main")[2]
    assert refused.status_code == 422
    assert "Both were there." in refused.text
    assert "Your decision was recorded." in decided.text
    assert "They came later." in decided.text

    await it.settle()
    mine = {name: await page_of(it, name, path) for name in ("southbridge", "dora")}
    assert ["They came later." in one for one in mine.values()] == [True, True]
    assert f'<a href="/deals/{waits}">this deal</a>' in mine["southbridge"]
    async with portal_of(it, await it.who("northwind")) as north:
        assert (await north.get(path)).status_code == 404
        assert (await north.get(f"{path}/nonsense")).status_code in (404, 405)


async def test_who_took_part_is_told_that_another_arbiter_decides(it: System) -> None:
    south, ada = await it.who("southbridge"), await it.who("ada")
    _, waits = await contested(it, "Elder Forge", "elder-forge.com")
    verdict: dict[str, Any] = {"outcome": "upheld", "reason": "They came later."}
    done(await ada.post(f"{DISPUTES}/{waits}/decide", verdict, key=key()))
    await it.settle()
    done(await south.post(f"{DISPUTES}/{waits}/appeal", {"statement": "Look again."}, key=key()))
    await it.settle()
    told = {name: rows(await page_of(it, name, "/disputes?stage=appealed")) for name in ("ada", "finn")}
    assert [("another arbiter decides" in one, "yours to decide" in one) for (one,) in told.values()] == [
        (True, False),
        (False, True),
    ]
