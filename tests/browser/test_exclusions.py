"""The vendor keeps a customer and a family to itself, and gives them free again, without JavaScript."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import fill_in, go, reload_until, up_to_date
from tests.browser.running import Running
from tests.browser.state import Customer

pytestmark = pytest.mark.xdist_group("browser")

ASPEN = Customer("Aspen Ferries Oy", "FI", "aspen-ferries.fi", "17000.00")


def test_what_the_vendor_keeps_is_taken_to_who_asks_and_free_once_it_is_ended(browse: Browse, system: Running) -> None:
    page = browse("dora", "/exclusions", java_script_enabled=False)
    keep(page, "Website", "co.uk")
    expect(page.get_by_role("alert")).to_contain_text("registrable domain")
    keep(page, "Website", "https://www.Aspen-Ferries.fi/")
    expect(page.get_by_role("status").first).to_contain_text("It is kept from now on.")
    entry = page.get_by_role("row", name="aspen-ferries.fi Website House account")
    reload_until(page, entry)

    partner = browse("northwind", "/deals/new", java_script_enabled=False)
    fill_in(partner, ASPEN)
    partner.get_by_role("button", name="Check first").click()
    expect(partner.get_by_text("Taken", exact=True).first).to_be_visible()
    refused = go(partner, "/exclusions")
    assert refused is not None
    assert refused.status == 403

    entry.get_by_role("button", name="End aspen-ferries.fi").click()
    expect(page.get_by_role("status").first).to_contain_text("It is kept no more.")
    up_to_date(page)
    expect(page.get_by_text("aspen-ferries.fi")).to_have_count(0)


def keep(page: Page, kind: str, name: str) -> None:
    """Fills in the form for one more entry."""
    form = page.locator("form[action='/exclusions']")
    if not form.is_visible():
        page.get_by_text("Keep something").click()
    form.get_by_label("It is a").select_option(label=kind)
    form.get_by_label("Its name, number or address").fill(name)
    form.get_by_label("Kept as").select_option(label="House account")
    form.get_by_label("From").fill("2026-01-01")
    form.get_by_role("button", name="Keep it").click()
