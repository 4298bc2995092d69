"""What of a sale cannot be rated, and finance that resolves it."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.portal import go_until
from tests.browser.running import Running
from tests.browser.state import HALDEN, State

pytestmark = pytest.mark.xdist_group("browser")


def test_finance_says_of_what_came_without_an_amount_that_it_earns_nothing(
    browse: Browse, system: Running, state: State
) -> None:
    finance = system.who("finn")
    of_deal = f"/v1/incentives/lines?registration_id={state.deals[HALDEN.name]}"
    sale_id, today = finance.get(of_deal)["items"][0]["opportunity_id"], system.anyone.get("/dev/clock")["now"][:10]
    fact = {"opportunity_id": sale_id, "kind": "added", "external_id": "more-seats", "on": today}
    assert finance.post("/v1/incentives/sales-facts", {"facts": [fact]})["results"][0]["result"] == "recorded"
    page = browse("finn", "/earnings", java_script_enabled=False)
    row = page.locator("#waiting tbody tr", has_text="more-seats")
    go_until(page, "/earnings", row)
    expect(row.get_by_role("button", name="Rate it again")).to_have_count(0)
    partner = browse("northwind", "/earnings", java_script_enabled=False)
    expect(partner.locator("#waiting tbody tr", has_text="more-seats").get_by_role("button")).to_have_count(0)

    row.get_by_role("button", name="It earns nothing").click()
    expect(page.locator("p.note.good")).to_contain_text("It is resolved")
    expect(row).to_have_count(0)
