"""What waits is on the worklist of who should look, with the way to it, and goes from there when it is seen to."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.portal import reload_until
from tests.browser.running import Running
from tests.browser.state import NORTH, Customer, register

pytestmark = pytest.mark.xdist_group("browser")
WANTED = Customer("Perlmutt Knopf AG", "DE", "perlmutt-knopf.de", "8800.00")


def test_a_deal_waits_for_the_desk_then_for_its_partner(browse: Browse, system: Running) -> None:
    deal = register(system, NORTH, WANTED)
    desk = browse("dora", "/worklist?topic=deal-review")
    row = desk.get_by_role("row").filter(has_text=WANTED.name)
    expect(reload_until(desk, row)).to_contain_text("Deal desk")
    expect(row.get_by_role("link", name="Northwind Partners")).to_be_visible()
    expect(row.get_by_role("link", name=WANTED.name)).to_have_attribute("href", f"/desk/{deal}")
    wish = {"fields": ["amount"], "message": "Is the second site part of it?"}
    system.who("dora").post(f"/v1/registration/deals/{deal}/return", wish)
    expect(row).to_have_count(0)
    partner = browse("northwind", "/worklist", java_script_enabled=False)
    waits = partner.get_by_role("row").filter(has_text=WANTED.name)
    expect(reload_until(partner, waits)).to_contain_text("Deal to correct")
    waits.get_by_role("link", name=WANTED.name).click()
    expect(partner.get_by_role("button", name="Send again")).to_be_visible()
