"""What a window brings at its end: a line of no deal that says what it came from, and waits as the plan's lines do."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.running import Running, until
from tests.browser.state import MONEY, NORTH, Customer, approve, refund, register, win

pytestmark = pytest.mark.xdist_group("browser")
HABICHT = Customer("Habicht Optik AG", "DE", "habicht-optik.de", "30000.00")
MEERWIND = Customer("Meerwind Segel KG", "DE", "meerwind-segel.de", "45000.00")
CLIMB = {
    "kind": "commission",
    "name": "Monthly climb",
    "component": "monthly climb",
    "currency": "EUR",
    "accumulate": "month",
    "schedule": {"semantics": "retroactive", "bands": [{"up_to": "50000", "percent": "1"}, {"percent": "3"}]},
    "hold_days": 30,
}


def test_a_true_up_says_what_its_window_came_to_and_until_when_it_is_held(browse: Browse, system: Running) -> None:
    system.forward(days=32)  # a month in which nothing was sold yet
    draft = system.who("ada").post(f"{MONEY}/rulebooks", {"rulebook_id": "climb", "kind": "plan", "body": CLIMB})
    system.who("faye").post(f"{MONEY}/rulebooks/climb/publish", {"version": draft["version"]})
    first, second = [register(system, NORTH, one) for one in (HABICHT, MEERWIND)]
    for one in (first, second):
        approve(system, one)
        win(system, one)
    refund(system, second, "20000.00")
    system.forward(days=32)
    finn = system.who("finn")
    [line] = until(lambda: [one for one in finn.get(f"{MONEY}/lines?limit=200")["items"] if one["kind"] == "true_up"])

    page = browse("northwind", "/earnings", viewport={"width": 390, "height": 844})
    page.get_by_role("link", name=f"True-up of {line['rule_id']}").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("€266.67")
    expect(page.get_by_role("heading", name="From the end of its window to the bank")).to_be_visible()
    expect(page.locator("main")).to_contain_text("is worth €1,650.00; its lines differ by €266.67")
    expect(page.locator("#line-head")).to_contain_text("Held until")
