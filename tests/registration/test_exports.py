"""Lists to take away: a partner's own only, masked as on the page, and nothing in them is a formula."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.registration.service import ADMIN, DESK, OTHER_ADMIN, Running, activated, seller, started

P1, P2 = seller("p1"), seller("p2")


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        yield asked


def rows(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


async def test_deals_as_a_table_are_a_partners_own_and_no_formula(registration: Running) -> None:
    own = await registration.register("p1", customer={"name": "=1+1", "country": "DE", "website": "contoso.com"})
    other = {"name": "Fabrikam", "country": "DE", "website": "fabrikam.com"}
    await registration.register("p2", customer=other)
    (line,) = rows(await registration.get(P1, "/deals/export"))
    told = (own["number"], "'=1+1", "10000.00", "cloud")
    assert told == tuple(line[name] for name in ("number", "customer", "amount", "products"))
    assert {"p1", "p2"} == {one["partner_id"] for one in rows(await registration.get(DESK, "/deals/export"))}
    assert [] == rows(await registration.get(DESK, "/deals/export", status="approved"))


async def test_leads_as_a_table_name_nobody_to_a_partner_that_has_not_accepted(registration: Running) -> None:
    lead = {
        "company": {"name": "Weserglas", "country": "DE", "website": "weserglas.de"},
        "contact": {"name": "Alex", "email": "alex@weserglas.de", "consent": True},
        "need": "We look for a new platform for our people.",
    }
    body = {"partners": [{"partner_id": "p1"}]}
    await registration.post(ADMIN, "/rulebooks", {"rulebook_id": "routing", "kind": "lead_rules", "body": body})
    await registration.post(OTHER_ADMIN, "/rulebooks/routing/publish", {"version": 1})
    brought = (await registration.post(DESK, "/leads", lead)).json()
    assert [] == rows(await registration.get(P2, "/leads/export"))

    async def offered() -> bool:
        return "offered" in (await registration.get(P1, "/leads/export")).text

    await registration.seen(offered)
    (whole,) = rows(await registration.get(DESK, "/leads/export"))
    assert ("Weserglas", "alex@weserglas.de") == (whole["company_name"], whole["contact_email"])
    masked = (await registration.get(P1, "/leads/export")).text
    assert brought["number"] in masked
    assert "eserglas" not in masked
    assert [] == rows(await registration.get(P2, "/leads/export"))
