"""The HubSpot client against the simulator: what it reads and writes, and every fault on purpose."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest

from services.attribution.adapters.hubspot import Credential, HubSpot, signature
from services.attribution.adapters.hubspot_simulator import SECRET, STAGES, TOKEN, Hub, lost, refunded, simulator, won
from services.attribution.adapters.loopback import on_loopback
from services.attribution.application import AuthFailed, CrmWish, Malformed, RateLimited, Unavailable
from tests.attribution.facts import T0


class Time:
    """A clock that moves a second at every look, so that every change has its own time."""

    def __init__(self) -> None:
        self.at = T0

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at


@pytest.fixture
def hub() -> Hub:
    return Hub(now=Time().now)


@pytest.fixture
async def crm(hub: Hub) -> AsyncIterator[HubSpot]:
    async with on_loopback(simulator(hub)) as url:
        yield HubSpot(url, Credential(TOKEN, SECRET), call_seconds=5)


def wish(name: str = "sale-1", external_id: str | None = None, status: str = "approved") -> CrmWish:
    creation = {"name": "Harbour", "amount": "100.00", "currency": "EUR", "close_on": "2026-06-30", "stage": STAGES[0]}
    return CrmWish(
        opportunity_id=name, external_id=external_id, fields={"status": status, "partner_id": "p1"}, creation=creation
    )


async def test_it_says_what_stages_there_are(crm: HubSpot) -> None:
    assert await crm.describe() == STAGES


async def test_a_wish_makes_a_row_and_again_changes_it(crm: HubSpot, hub: Hub) -> None:
    (first,) = await crm.upsert([wish()])
    (again,) = await crm.upsert([wish(external_id=first.row.external_id, status="expired")])
    assert (first.created, again.created, len(hub.deals)) == (True, False, 1)
    assert hub.deals[first.row.external_id]["properties"]["entente_status"] == "expired"


async def test_a_row_is_read_as_it_was_written(crm: HubSpot) -> None:
    (made,) = await crm.upsert([wish()])
    (row,) = await crm.find(["sale-1", "sale-2"])
    assert row == made.row
    assert (row.stage, row.amount, row.currency, row.opportunity_id) == (STAGES[0], "100.00", "EUR", "sale-1")
    assert row.close_at == datetime(2026, 6, 30, 12, tzinfo=UTC)
    assert await crm.read([row.external_id, "999"]) == [row]


async def test_what_the_crm_owns_is_not_written_into_a_row_that_is_there(crm: HubSpot, hub: Hub) -> None:
    (made,) = await crm.upsert([wish()])
    won(hub, made.row.external_id, "250.00")
    await crm.upsert([wish(external_id=made.row.external_id, status="won")])
    (row,) = await crm.find(["sale-1"])
    assert (row.stage, row.amount) == ("closedwon", "250.00")


async def test_changes_come_oldest_first_and_by_page(crm: HubSpot, hub: Hub) -> None:
    written = await crm.upsert([wish(f"sale-{n}") for n in range(5)])
    refunded(hub, written[0].row.external_id, "5.00")
    lost(hub, written[1].row.external_id)
    first = await crm.changed_since(T0, None, 3)
    rest = await crm.changed_since(T0, first.after, 3)
    assert [row.opportunity_id for row in (*first.rows, *rest.rows)] == [
        "sale-2",
        "sale-3",
        "sale-4",
        "sale-0",
        "sale-1",
    ]
    assert rest.after is None
    assert (rest.rows[0].refunded, rest.rows[1].lost_reason) == ("5.00", "price")


async def test_what_is_not_there_is_refused_by_item(crm: HubSpot) -> None:
    (made,) = await crm.upsert([wish()])
    gone, there = await crm.upsert([wish("sale-2", external_id="999"), wish(external_id=made.row.external_id)])
    assert (gone.row, gone.refusal, there.refusal) == (None, "no such deal", None)


async def test_throttling_says_when_to_come_again(crm: HubSpot, hub: Hub) -> None:
    hub.faults.throttle = 1
    with pytest.raises(RateLimited) as caught:
        await crm.describe()
    assert caught.value.retry_after_seconds == 1
    assert await crm.describe() == STAGES


@pytest.mark.parametrize(("fault", "trouble"), [("errors", Unavailable), ("broken_json", Malformed)])
async def test_their_errors_are_trouble_that_passes(crm: HubSpot, hub: Hub, fault: str, trouble: type) -> None:
    setattr(hub.faults, fault, 1)
    with pytest.raises(trouble):
        await crm.changed_since(T0, None, 10)
    assert (await crm.changed_since(T0, None, 10)).rows == ()


async def test_a_lost_answer_leaves_one_row_that_is_found_again(crm: HubSpot, hub: Hub) -> None:
    hub.faults.lose_answers = 1
    with pytest.raises(Unavailable):
        await crm.upsert([wish()])
    (row,) = await crm.find(["sale-1"])
    await crm.upsert([wish(external_id=row.external_id)])
    assert len(hub.deals) == 1


async def test_a_page_that_comes_twice_names_the_same_rows(crm: HubSpot, hub: Hub) -> None:
    await crm.upsert([wish()])
    hub.faults.repeat_pages = True
    assert [row.opportunity_id for row in (await crm.changed_since(T0, None, 10)).rows] == ["sale-1", "sale-1"]


async def test_a_wrong_token_and_a_silent_crm_are_trouble(hub: Hub) -> None:
    async with on_loopback(simulator(hub)) as url:
        with pytest.raises(AuthFailed):
            await HubSpot(url, Credential("stolen", SECRET)).describe()
    with pytest.raises(Unavailable):
        await HubSpot(url, Credential(TOKEN, SECRET)).describe()


URI, BODY, NOW_MS = "https://entente.example/push", b'[{"objectId": 7}]', 1_772_532_000_000
CRM = HubSpot("https://api.hubapi.com", Credential(TOKEN, SECRET))


def signed(body: bytes = BODY, stamp: int = NOW_MS, secret: str = SECRET) -> dict[str, str]:
    return {
        "x-hubspot-request-timestamp": str(stamp),
        "x-hubspot-signature-v3": signature(secret, "POST", URI, body, str(stamp)),
    }


def test_the_published_signature_is_computed() -> None:
    """HMAC-SHA-256 over method, uri, body and timestamp, in Base64; computed once with openssl."""
    assert signature("s", "POST", "https://a.example/p", b"{}", "1") == "ge+23U7d1M5pMeXaydU4eG+PZfA6Y/i5p1kE1LQVn3E="


def test_only_a_fresh_push_of_the_crm_is_genuine() -> None:
    assert CRM.genuine("POST", URI, BODY, signed(), NOW_MS)
    assert not CRM.genuine("POST", URI, BODY, signed(secret="other"), NOW_MS)
    assert not CRM.genuine("POST", URI, b"[]", signed(), NOW_MS)
    assert not CRM.genuine("POST", URI + "x", BODY, signed(), NOW_MS)
    assert not CRM.genuine("POST", URI, BODY, signed(), NOW_MS + 300_001)
    assert not CRM.genuine("POST", URI, BODY, {}, NOW_MS)


def test_a_push_names_rows_once_and_nothing_else() -> None:
    assert CRM.pushed_ids(b'[{"objectId": 7}, {"objectId": 7}, {"objectId": 8}]') == ("7", "8")
    for body in (b"no", b"7", b'[{"id": 7}]', b"[3]"):
        with pytest.raises(Malformed):
            CRM.pushed_ids(body)


async def test_a_salesperson_can_win_on_the_page(hub: Hub) -> None:
    async with on_loopback(simulator(hub)) as url, aiohttp.ClientSession() as session:
        (made,) = await HubSpot(url, Credential(TOKEN, SECRET)).upsert([wish()])
        answer = await session.post(f"{url}/sim/deals/{made.row.external_id}/win", data={"amount": "90"})
        page = await answer.text()
        assert (answer.status, "closedwon" in page, "Simulated CRM" in page) == (200, True, True)
        unknown = await session.post(f"{url}/sim/deals/{made.row.external_id}/eat", json={})
        assert unknown.status == 400


async def test_the_account_survives_a_restart(tmp_path: object) -> None:
    first = Hub(now=Time().now, path=tmp_path / "crm" / "deals.db")
    first.put(None, {"entente_opportunity_id": "sale-1", "dealname": "Harbour"})
    first.subscribe("http://127.0.0.1:1/push")
    again = Hub(now=Time().now, path=tmp_path / "crm" / "deals.db")
    assert (again.deals, again.ours, again.subscriptions) == (first.deals, first.ours, first.subscriptions)


async def test_an_account_that_cannot_be_written_says_so_and_has_not_changed(tmp_path: Path) -> None:
    hub = Hub(now=Time().now, path=tmp_path / "crm" / "deals.db")
    deal, _ = hub.put(None, {"entente_opportunity_id": "sale-1", "dealstage": STAGES[0]})
    async with on_loopback(simulator(hub)) as url, aiohttp.ClientSession() as session:
        hub.db.execute("PRAGMA query_only = ON")
        refused = await session.post(f"{url}/sim/deals/{deal['id']}/edit", json={"dealstage": "closedwon"})
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert (await refused.json())["category"] == "SERVICE_UNAVAILABLE"
        with pytest.raises(Unavailable):
            await HubSpot(url, Credential(TOKEN, SECRET), call_seconds=5).upsert([wish("sale-2")])
        assert hub.deals == {deal["id"]: deal}
        hub.db.execute("PRAGMA query_only = OFF")
        done = await session.post(f"{url}/sim/deals/{deal['id']}/edit", json={"dealstage": "closedwon"})
        assert (done.status, hub.deals[deal["id"]]["properties"]["dealstage"]) == (200, "closedwon")
