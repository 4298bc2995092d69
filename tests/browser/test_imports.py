"""A file of deals in the hands of a partner: tried, mended by what is said of each row, registered, taken back."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse

pytestmark = pytest.mark.xdist_group("browser")

TABLE = """customer,country,website,products,amount,currency
Alderwood Mills Ltd,GB,alderwood-mills.co.uk,platform,12000.00,GBP
Birkenau Bau GmbH,DE,birkenau-bau.de,platform,9000.00,EUR
Corsano SpA,Italy,corsano-import.it,platform,8000.00,EUR
"""


def test_a_file_is_tried_registered_and_taken_back_without_script(browse: Browse) -> None:
    page = browse("northwind", "/deals/new", java_script_enabled=False)
    page.get_by_role("link", name="Import them from a file").click()
    page.get_by_label("File").set_input_files({"name": "quarter.csv", "mimeType": "text/csv", "buffer": TABLE.encode()})
    page.get_by_role("button", name="Upload and try").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("quarter.csv")
    register = page.get_by_role("button", name="Register 2 deals")
    expect(register).to_be_visible(timeout=30_000)
    expect(page.get_by_role("row", name="4 Cannot be registered")).to_contain_text("country: expected is: its country")
    register.click()
    take_back = page.get_by_text("Take the import back", exact=True)
    expect(take_back).to_be_visible(timeout=30_000)
    expect(page.get_by_role("row", name="2 Registered").get_by_role("link")).to_be_visible()
    take_back.click()
    page.get_by_role("button", name="Withdraw 2 deals").click()
    expect(page.get_by_text("2 deals were taken back")).to_be_visible(timeout=30_000)
