"""A vendor that is opened by an operator who came through another vendor's door has everything of its own."""

import re
from pathlib import Path

from chassis.asgi import Api
from services.incentives.domain.books import CURRENCY, AllBooks
from tests.scenarios.browser import browser
from tests.scenarios.system import System, done, running_system
from tests.scenarios.test_money_pages import portal_of

NOVUM = {"slug": "novum", "name": "Novum Tools", "zone": "America/New_York", "currency": "USD", "locales": ["en"]}
VERA = {"handle": "vera", "name": "Vera Vendor", "mail": "vera@novum.example", "roles": ["admin", "finance"]}


async def signed_in(it: System, name: str) -> Api:
    answer = await it.front.post("/dev/token", {"tenant": "novum", "as": name})
    return it.front.signed_in(done(answer)["token"])


async def books(it: System, tenant: str) -> list[str]:
    """The currencies that the vendor's books were opened in, by the log."""
    opened = await it.services["incentives"].application.executor.store.load(AllBooks.at(CURRENCY).name(tenant))
    return [one.event.currency for one in opened]


async def test_another_vendor_has_its_own_books_name_zone_and_public_form(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        operator = await it.who("operator")
        done(await operator.post("/v1/tenants", NOVUM, key="novum"), 201)
        again = await operator.post("/v1/tenants", NOVUM, key="novum once more")
        assert (again.status, again.json()["slug"]) == (409, "slug-taken")
        done(await (await signed_in(it, "operator")).post("/v1/staff", VERA, key="vera"), 201)
        await it.settle()

        vera = await signed_in(it, "vera")
        assert (await books(it, "novum"), await books(it, "acme")) == (["USD"], ["EUR"])
        async with portal_of(it, vera) as client:
            first = (await client.get("/")).text
            assert "Novum Tools" in first
            assert "Times in America/New_York" in first
        async with browser(it.front._app) as visitor:
            form = await visitor.get("/forms/contact?tenant=novum")
            assert form.status_code == 200
            assert re.search("<h1>[^<]*Novum Tools", form.text)
