"""A special price in the hands of people: granted after a refusal that says why, read by its partner, and ended."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go_until
from tests.browser.running import Running

pytestmark = pytest.mark.xdist_group("browser")


def the_form(page: Page) -> Locator:
    return page.locator("section", has=page.get_by_role("heading", name="Grant a special price"))


def test_a_fund_manager_grants_a_special_price_for_a_deal_and_ends_it(browse: Browse, system: Running) -> None:
    vendor = browse("faye", "/special-prices", java_script_enabled=False)
    customer, partner = fills_in(vendor)
    is_refused(vendor)
    the_form(vendor).get_by_role("button", name="Grant").click()
    expect(vendor.locator("p.note.good")).to_contain_text("The special price holds on its days.")

    row = go_until(vendor, "/special-prices", vendor.locator("#prices tbody tr", has_text="SW-1"))
    for said in ("Bid", partner, customer, "€80.00 instead of €100.00, 0 of 50 claimed", "to win against Contoso"):
        expect(row).to_contain_text(said)
    owner = "northwind" if partner.startswith("Northwind") else "southbridge"
    mine = browse(owner, "/special-prices", java_script_enabled=False)
    expect(mine.locator("#prices tbody tr", has_text="SW-1")).to_contain_text(customer)
    expect(the_form(mine)).to_have_count(0)
    ends(vendor, row, system.anyone.get("/dev/clock")["now"][:10])


def fills_in(page: Page) -> tuple[str, str]:
    """Fills in a price above its cost for the newest deal; the deal's customer and partner."""
    form = the_form(page)
    deal = form.get_by_label("Whose, and for which deal")
    deal.select_option(index=0)
    form.get_by_label("Until").fill("2099-12-31")
    form.get_by_label("Reason").fill("to win against Contoso")
    for label, text in (
        ("Product 1", "SW-1"),
        ("Cost of a unit", "100"),
        ("Its price", "120"),
        ("Units at most", "50"),
    ):
        form.get_by_label(label).nth(0).fill(text)
    customer, partner, *_ = deal.locator("option").nth(0).inner_text().split(",")
    return customer.strip(), partner.strip()


def is_refused(page: Page) -> None:
    """Sends what cannot be granted, is told why, and mends it."""
    form = the_form(page)
    form.get_by_role("button", name="Grant").click()
    expect(page.get_by_role("alert")).to_contain_text("These prices cannot be granted.")
    expect(page.get_by_role("alert")).to_contain_text("a price below its cost")
    expect(form.get_by_label("Reason")).to_have_value("to win against Contoso")
    form.get_by_label("Its price").nth(0).fill("80")
    form.get_by_label("Kind").select_option("blanket")
    form.get_by_role("button", name="Grant").click()
    expect(page.get_by_role("alert")).to_contain_text("a blanket price names none")
    form.get_by_label("Kind").select_option("bid")


def ends(page: Page, row: Locator, today: str) -> None:
    row.get_by_text("End", exact=False).first.click()
    row.get_by_label("Sold until").fill(today)
    row.get_by_label("Why").fill("the bid is lost")
    row.get_by_role("button", name="End it").click()
    expect(page.locator("p.note.good")).to_contain_text("The special price ends on that day")


def test_what_does_not_fit_is_named_field_by_field_and_kept(browse: Browse) -> None:
    page = browse("faye", "/special-prices", java_script_enabled=False)
    form = the_form(page)
    form.get_by_label("Kind").select_option("blanket")
    form.get_by_label("Whose, and for which deal").select_option(label="Southbridge Systems")
    form.get_by_label("Until").fill("2099-12-31")
    form.get_by_label("Reason").fill("stock")
    for label, text in (("Product 1", "SW-2"), ("Cost of a unit", "10"), ("Its price", "5"), ("Units at most", "0")):
        form.get_by_label(label).nth(0).fill(text)
    form.get_by_role("button", name="Grant").click()
    expect(page.get_by_role("alert")).to_contain_text("Units at most")
    expect(form.get_by_label("Product 1")).to_have_value("SW-2")
    expect(form.get_by_label("Kind")).to_have_value("blanket")


def test_a_partner_claims_what_it_sold_at_a_special_price_with_the_tax_on_it(browse: Browse, system: Running) -> None:
    today = system.anyone.get("/dev/clock")["now"][:10]
    euros = {"currency": "EUR"}
    product = {"sku": "SW-3", "cost": {"amount": "100", **euros}, "price": {"amount": "80", **euros}, "units_max": 5}
    northwind = system.who("northwind").get("/v1/incentives/payees")["items"][0]["partner_id"]
    days = {"starts_on": today, "ends_on": "2099-12-31", "reason": "a bid for the mill"}
    bid = {"partner_id": northwind, "kind": "bid", "customer_domain": "muehle.de", "products": [product], **days}
    system.who("faye").post("/v1/incentives/special-prices", bid)
    partner = browse("northwind", "/special-prices", java_script_enabled=False)
    form = partner.locator("section", has=partner.get_by_role("heading", name="Claim what you sold"))
    price = "Bid, muehle.de: SW-3 €80.00"
    go_until(partner, "/special-prices", partner.locator("#prices tbody tr", has_text="muehle.de"))
    form.get_by_label("Special price").select_option(label=price)
    sold = (("Product 1", "SW-3"), ("Pieces", "2"), ("Sold on", today), ("or invoice", "M-1"), ("Difference", "40"))
    for label, text in (*sold, ("Tax charged on it", "20"), ("Its country", "DE")):
        form.get_by_label(label).nth(0).fill(text)
    form.get_by_role("button", name="Claim").click()
    expect(partner.get_by_role("alert")).to_contain_text("27 %")
    form.get_by_label("Tax charged on it").fill("7.60")
    form.get_by_role("button", name="Claim").click()
    expect(partner.get_by_text("Your claim was sent.")).to_be_visible()

    vendor = browse("faye", java_script_enabled=False)
    go_until(vendor, "/special-prices", vendor.locator("#claims a", has_text="€40.00 claimed")).click()
    vendor.get_by_role("button", name="Decide").click()
    expect(vendor.locator("ol.reasons")).to_contain_text("2 SW-3 x (")
    expect(vendor.locator("ul.axes")).to_contain_text("Payable with tax €47.60")


def test_who_only_sells_reads_no_special_prices_and_finance_grants_none(browse: Browse) -> None:
    page = browse("finn", "/special-prices", java_script_enabled=False)
    expect(page.get_by_role("heading", name="Special prices", level=1)).to_be_visible()
    expect(the_form(page)).to_have_count(0)
