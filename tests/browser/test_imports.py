"""A file of deals or of sales facts in the hands of people: tried, mended by what is said of each row, taken back."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.portal import go
from tests.browser.running import Running

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
    expect(register).to_be_visible()
    expect(page.get_by_role("row", name="4 Cannot be registered")).to_contain_text("country: expected is: its country")
    page.get_by_role("link", name="Show these alone").click()
    expect(page.get_by_role("region", name="Rows").get_by_role("row")).to_have_count(2)
    register.click()
    take_back = page.get_by_text("Take the import back", exact=True)
    expect(take_back).to_be_visible()
    expect(page.get_by_role("row", name="2 Registered").get_by_role("link")).to_be_visible()
    take_back.click()
    page.get_by_role("button", name="Withdraw 2 deals").click()
    expect(page.get_by_text("2 deals were taken back")).to_be_visible()
    go(page, "/batches")
    page.get_by_label("File").set_input_files({"name": "wrong.csv", "mimeType": "text/csv", "buffer": TABLE.encode()})
    page.get_by_role("button", name="Upload and try").click()
    throw_away = page.get_by_role("button", name="Throw it away")
    expect(throw_away).to_be_visible()
    throw_away.click()
    expect(page.get_by_text("No row was registered, and nobody can read the rows")).to_be_visible()


FACTS = """kind,source,sale_id,partner_id,amount,currency,on,external_id
sale,tills,s-1,{partner},1000.00,EUR,{day},
sale,tills,s-2,nobody,1000.00,EUR,{day},
pos,tills,s-1,,400.00,EUR,{day},row-1
"""


def test_sales_facts_are_tried_recorded_and_taken_back_without_script(browse: Browse, system: Running) -> None:
    partner = system.who("northwind").get("/v1/me")["partner_id"]
    day = system.anyone.get("/dev/clock")["now"][:10]
    content = FACTS.format(partner=partner, day=day).encode()
    page = browse("finn", "/money", java_script_enabled=False)
    page.get_by_role("link", name="Sales facts from a file").click()
    page.get_by_label("File").set_input_files({"name": "tills.txt", "mimeType": "text/plain", "buffer": b"\xff\xfe"})
    page.get_by_role("button", name="Upload and try").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("File").set_input_files({"name": "tills.csv", "mimeType": "text/csv", "buffer": content})
    page.get_by_role("button", name="Upload and try").click()
    record = page.get_by_role("button", name="Record 2 rows")
    expect(record).to_be_visible()
    expect(page.get_by_role("row", name="3 Cannot be recorded")).to_contain_text("there is no such partner")
    record.click()
    take_back = page.get_by_text("Take the import back", exact=True)
    expect(take_back).to_be_visible()
    expect(page.get_by_role("row", name="4 Recorded")).to_contain_text("row-1")
    take_back.click()
    page.get_by_role("button", name="Take back 2 rows").click()
    expect(page.get_by_text("2 rows were taken back")).to_be_visible()
