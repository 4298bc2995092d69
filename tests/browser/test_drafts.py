"""A registration that is begun, kept, gone on with and sent, and one that is thrown away."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse

pytestmark = pytest.mark.xdist_group("browser")


def test_a_draft_is_kept_gone_on_with_and_registered_without_script(browse: Browse) -> None:
    page = browse("southbridge", "/deals/new", java_script_enabled=False)
    page.get_by_label("Customer name").fill("Dunmore Glass Ltd")
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_role("status").first).to_contain_text("The draft was saved")
    row = page.get_by_role("row", name="Dunmore Glass Ltd")
    row.get_by_role("link", name="Go on").click()
    expect(page.get_by_label("Customer name")).to_have_value("Dunmore Glass Ltd")
    page.get_by_label("Country").select_option("GB")
    page.get_by_label("Website or identifier").fill("dunmore-glass.co.uk")
    page.get_by_label("Platform").check()
    page.get_by_label("Amount").fill("12.345")
    page.get_by_role("button", name="Register", exact=True).click()
    assert page.get_by_label("Amount").input_value() == "12.345"
    page.get_by_label("Amount").fill("14000.00")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Dunmore Glass Ltd")
    page.goto("/drafts")
    expect(page.locator("main")).not_to_contain_text("Dunmore Glass Ltd")
