"""A registration that is begun, kept, gone on with and sent; and a deal that is replaced by another."""

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.portal import fill_in, go, go_until, reload_until
from tests.browser.running import Running, until
from tests.browser.state import SOUTH, Customer

pytestmark = pytest.mark.xdist_group("browser")
PENHALLOW = Customer("Penhallow Tin Ltd", "GB", "penhallow-tin.co.uk", "8000.00")


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
    go_until(page, "/drafts", page.locator("main").filter(has_not_text="Dunmore Glass Ltd"))


def test_what_a_program_wrote_in_a_draft_is_kept_by_the_form(browse: Browse, system: Running) -> None:
    south = system.who(SOUTH)
    vat = {"scheme": "vat", "value": "DE136695976", "country": "DE"}
    known = {"website": "arnstein-pumpen.de", "identifiers": [vat], "trade_names": ["Arnstein Pumps"]}
    customer = {"name": "Arnstein Pumpen GmbH", "country": "DE", **known}
    lines = [{"family": "platform", "sku": "P-100", "quantity": 5}]
    begun = south.post("/v1/registration/drafts", {"customer": customer, "products": lines})["registration_id"]
    page = browse("southbridge", f"/drafts/{begun}", java_script_enabled=False)
    reload_until(page, page.get_by_text("Your draft also says: trade names, further identifiers"))
    page.get_by_label("Amount").fill("900.00")
    page.get_by_role("button", name="Check first").click()
    expect(page.locator("#preview .outcome")).to_be_visible()
    page.get_by_role("button", name="Save as a draft").click()
    expect(page.get_by_role("row", name="Arnstein Pumpen GmbH")).to_be_visible()
    kept = until(lambda: amounting(south.get(f"/v1/registration/drafts/{begun}")["body"], "900.00"))
    assert (kept["customer"], kept["products"]) == (customer, lines)
    go(page, f"/drafts/{begun}")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Arnstein Pumpen GmbH")


def amounting(body: dict[str, Any], wanted: str) -> dict[str, Any] | None:
    """What a draft says, once its amount is that."""
    return body if (body.get("amount") or {}).get("amount") == wanted else None


def test_who_asks_for_what_it_has_registered_is_led_to_that_deal(browse: Browse, system: Running) -> None:
    amount = {"amount": "7000.00", "currency": "EUR"}
    customer = {"name": "Penhallow Tin Ltd", "country": "GB", "website": "penhallow-tin.co.uk"}
    body = {"customer": customer, "products": [{"family": "platform"}], "amount": amount}
    mine = system.who(SOUTH).post("/v1/registration/deals", body)["registration_id"]
    page = browse("southbridge", f"/deals/{mine}", java_script_enabled=False)
    reload_until(page, page.get_by_role("link", name="Replace it"))
    for button, told in (("Check first", "Registered already"), ("Register", "You have registered this already")):
        go(page, "/deals/new")
        fill_in(page, PENHALLOW)
        page.get_by_role("button", name=button, exact=True).click()
        expect(page.get_by_text(told)).to_be_visible()
        expect(page.get_by_role("link", name="See that deal")).to_have_attribute("href", f"/deals/{mine}")
    go(page, "/deals/new")
    fill_in(page, PENHALLOW)
    page.get_by_role("button", name="Check first").click()
    page.get_by_role("link", name="Replace it").click()
    expect(page.get_by_label("Website or identifier")).to_have_value("penhallow-tin.co.uk")


def test_a_deal_is_replaced_by_one_that_differs_without_script(browse: Browse, system: Running) -> None:
    customer = {"name": "Carrow Mills Ltd", "country": "GB", "website": "carrow-mills.co.uk", "street": "1 Mill Road"}
    lines = [{"family": "platform", "sku": "P-100", "quantity": 5}]
    amount = {"amount": "7000.00", "currency": "EUR"}
    body = {"customer": customer, "products": lines, "amount": amount, "scope": "site"}
    old = system.who(SOUTH).post("/v1/registration/deals", body)
    page = browse("southbridge", f"/deals/{old['registration_id']}", java_script_enabled=False)
    reload_until(page, page.get_by_role("link", name="Replace it")).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Replace {old['number']}")
    expect(page.get_by_label("Website or identifier")).to_have_value("carrow-mills.co.uk")
    expect(page.get_by_text("also says: street")).to_be_visible()
    page.get_by_label("You ask for").select_option("")
    page.get_by_label("Analytics").check()
    page.get_by_role("button", name="Check first").click()
    expect(page.locator("#preview .outcome")).to_be_visible()
    page.get_by_role("button", name="Register instead").click()
    expect(page.get_by_role("status").first).to_contain_text("The deal before it holds until this one is approved")
    path = f"/v1/registration/deals/{page.url.split('/')[-1].split('?')[0]}"
    new = until(lambda: system.who(SOUTH).look(path))
    assert (new["replaces"], new["scope"], new["customer"]["street"]) == (
        old["registration_id"],
        "entity",
        "1 Mill Road",
    )
    assert new["products"] == [{"family": "analytics", "sku": None, "quantity": 1}, *lines]
    page.get_by_role("link", name="the deal before it").click()
    expect(page).to_have_url(f"{system.url}/deals/{old['registration_id']}")
