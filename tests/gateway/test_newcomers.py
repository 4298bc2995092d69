"""Who joins a partner: takes no name from its owner, and is shown what is theirs."""

import pytest

from tests.scenarios.cast import joined
from tests.scenarios.system import System, done
from tests.scenarios.test_money_pages import portal_of

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_partners_short_name_signs_its_owner_in_whoever_joins_later(it: System) -> None:
    southbridge = done(await (await it.who("southbridge")).get("/v1/me"))["partner_id"]
    for name in ("ann", "ben", "cem", "dot"):
        await joined(await it.who("ada"), southbridge, name, ["seller"])
    await it.settle()
    assert done(await (await it.who("southbridge")).get("/v1/me"))["roles"] == ["owner"]


async def test_who_may_not_read_deals_is_shown_no_figures_of_them(it: System) -> None:
    northwind = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    learner = await joined(await it.who("ada"), northwind, "lena", ["learner"])
    await it.settle()
    async with portal_of(it, await it.who(learner)) as portal, portal_of(it, await it.who("northwind")) as owner:
        assert "In review" not in (await portal.get("/")).text
        assert "In review" in (await owner.get("/")).text


async def test_the_api_can_be_read_service_by_service(it: System) -> None:
    async with portal_of(it, await it.who("northwind")) as portal:
        first = (await portal.get("/api")).text
        page = (await portal.get("/api/registration")).text
        nobody = await portal.get("/api/weather")
    assert 'href="/api/registration"' in first
    assert "<strong>Commands</strong> carry an <code>Idempotency-Key</code>" in first
    assert "POST /v1/registration/deals</code>" in page
    assert "Registers a deal: it is screened at once, and the answer says where it stands and why." in page
    for field in ("customer.name", "products[].family", "amount.currency", "Idempotency-Key"):
        assert f'<code class="long">{field}</code>' in page
    assert nobody.status_code == 404
