"""Fund money in the hands of people: asked for, decided item by item, claimed and approved, all without JavaScript."""

import re
from decimal import Decimal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go_until
from tests.browser.running import Running, until

pytestmark = pytest.mark.xdist_group("browser")
PROOF = {"invoice": "a" * 64, "photo": "b" * 64}


def test_fund_money_is_asked_for_decided_and_claimed(browse: Browse, system: Running) -> None:
    year = system.anyone.get("/dev/clock")["now"][:4]
    pot = {"ref": "year", "amount": "50000.00", "currency": "EUR"}
    system.who("faye").post(f"/v1/incentives/budgets/marketing-{year}/allocate", pot)
    vendor = browse("faye", "/funds", java_script_enabled=False)
    gives(vendor, year)
    partner = browse("northwind", "/funds", java_script_enabled=False)
    path = asks(partner, year)
    decides(vendor, path)
    claims(partner, path, year)
    go_until(vendor, path, vendor.get_by_role("link", name="€2,400.00 claimed")).click()
    charged = "Tax charged on it in DE: €456.00. Payable is the part on what is approved"
    expect(vendor.get_by_text(charged)).to_be_visible()
    vendor.get_by_role("button", name="Decide").click()
    expect(vendor.locator("ul.axes")).to_contain_text("€1,200.00")
    expect(vendor.locator("ol.reasons")).to_contain_text("50 % of the €2,400.00 that are eligible")
    expect(vendor.locator("ul.axes")).to_contain_text("Payable with tax €1,428.00")
    expect(vendor.get_by_text("of which €228.00 on what is approved")).to_be_visible()


def gives(page: Page, year: str) -> None:
    before = given(page, year)
    share = page.locator("section", has=page.get_by_role("heading", name="Give a partner its share"))
    share.get_by_label("Partner").select_option(label="Northwind Partners")
    share.get_by_label("Amount").fill("8000")
    share.get_by_role("button", name="Give").click()
    expect(page.locator("p.note.good")).to_contain_text("The share was given.")
    assert until(lambda: given(page, year) >= before + 8000)


def given(page: Page, year: str) -> Decimal:
    """What Northwind's share of a year was given so far, by its purchases too."""
    rows = page.locator("#shares tbody tr", has_text="Northwind Partners").filter(
        has_text=re.compile(rf"Marketing\s*{year}")
    )
    cells = rows.locator('[data-label="Given"]').all_inner_texts()
    return sum((Decimal(cell.strip("€").replace(",", "")) for cell in cells), Decimal(0))


def asks(page: Page, year: str) -> str:
    """Asks for the costs of an event; the path of the request's page."""
    page.get_by_label("From").fill(f"{year}-12-30")
    page.get_by_label("To").fill(f"{year}-12-30")
    for place, (text, costs) in enumerate((("Hall", "2000"), ("Catering", "1000"))):
        page.get_by_label(f"Item {place + 1}").fill(text)
        page.get_by_label("Costs").nth(place).fill(costs)
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("p.note.good")).to_contain_text("Your request was sent.")
    return urlsplit(page.url).path


def decides(page: Page, path: str) -> None:
    go_until(page, path, page.get_by_label("Decision on Catering")).select_option("accepted_with_changes")
    page.get_by_role("button", name="Decide").click()
    expect(page.get_by_role("alert")).to_contain_text("say why not all of it")
    page.get_by_label("Decision on Catering").select_option("accepted_with_changes")
    page.get_by_label("Accept only this much of Catering").fill("500")
    page.get_by_label("Reason for Catering").fill("no drinks")
    page.get_by_role("button", name="Decide").click()
    expect(page.locator("ul.axes")).to_contain_text("€1,250.00")


def claims(page: Page, path: str, year: str) -> None:
    go_until(page, path, page.get_by_label("What it was for")).fill("The event")
    page.get_by_label("Amount").fill("2400")
    page.get_by_label("Tax charged on it").fill("456")
    page.get_by_label("Its country").fill("DE")
    page.get_by_label("Issued by").fill("Hall Ltd")
    page.get_by_label("On", exact=True).fill(f"{year}-12-30")
    for place, (kind, file) in enumerate(PROOF.items()):
        page.get_by_label(f"{kind.capitalize()}, number").fill("17")
        page.get_by_label("SHA-256 of the file").nth(place).fill(file)
    page.get_by_role("button", name="Claim").click()
    expect(page.locator("p.note.good")).to_contain_text("Your claim was sent.")


@pytest.mark.parametrize(("name", "path"), [("faye", "/funds"), ("finn", "/estimate"), ("ada", "/tiers")])
def test_a_partner_stands_once_where_one_is_chosen_though_its_people_are_paid_too(
    browse: Browse, name: str, path: str
) -> None:
    page = browse(name, path)
    partners = page.locator('select[name="partner_id"]').first.locator("option").all_inner_texts()
    assert sorted(one.strip() for one in partners if one.strip()) == ["Northwind Partners", "Southbridge Systems"]
