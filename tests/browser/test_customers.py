"""The desk makes one customer of two, and two again, without JavaScript."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import fill_in, go, go_until, reload_until, up_to_date
from tests.browser.running import Running
from tests.browser.state import NORTH, SOUTH, Customer, approve, register

pytestmark = pytest.mark.xdist_group("browser")

LARCH = Customer("Larch Valley Dairies BV", "NL", "larch-valley.nl", "14000.00")
MELK = Customer("Melkerij Larch BV", "NL", "melkerij-larch.nl", "16000.00")

ALDER = Customer("Alder Paper AB", "SE", "alder-paper.se", "24000.00")
ALDER_MILLS = Customer("Alder Mills Oy", "FI", "alder-mills.fi", "26000.00")

WEIR = Customer("Weir Turbines GmbH", "AT", "weir-turbines.at", "31000.00")

TARN = Customer("Tarn Quarries Ltd", "GB", "tarn-quarries.co.uk", "21000.00")


def test_two_entries_become_one_customer_and_two_again(browse: Browse, system: Running) -> None:
    kept, gone = register(system, NORTH, LARCH), register(system, SOUTH, MELK)
    for deal in (kept, gone):
        approve(system, deal)
    page = browse("dora", f"/desk/{gone}", java_script_enabled=False)
    claims = page.get_by_role("region", name="Claims")
    other = customer_of(page, gone)
    reload_until(page, claims.get_by_text("Held"))
    customer_of(page, kept)
    reload_until(page, claims.get_by_text("Held"))
    page.get_by_label("The other entry").fill(other)
    same = page.get_by_role("region", name="The same as another entry?")
    same.get_by_label("How do you know?").fill("One dairy, two websites.")
    page.get_by_role("button", name="Merge").click()
    expect(claims.get_by_text("Contested")).to_have_count(2)
    page.get_by_role("button", name="Take the merge back").click()
    expect(claims.get_by_text("Held")).to_have_count(1)
    expect(page.get_by_text("No other entry was merged into this one")).to_be_visible()


def test_a_customer_is_put_below_another_one_and_taken_out_again(browse: Browse, system: Running) -> None:
    head, below = register(system, NORTH, ALDER), register(system, SOUTH, ALDER_MILLS)
    page = browse("dora", f"/desk/{head}", java_script_enabled=False)
    address = customer_of(page, head)
    customer_of(page, below)
    page.get_by_text("It belongs to another customer").click()
    page.get_by_label("The parent").fill(address)
    page.get_by_role("region", name="Its group").get_by_label("How do you know?").fill("Alder owns the mills.")
    page.get_by_role("button", name="Link").click()
    expect(page.get_by_text("It belongs to Alder Paper AB since")).to_be_visible()
    page.get_by_role("link", name="Alder Paper AB").click()
    reload_until(page, page.get_by_text("It is the head of 1 customer:"))
    page.get_by_role("link", name="Alder Mills Oy").click()
    page.get_by_role("button", name="It belongs to no other one").click()
    expect(page.get_by_text("It stands by itself.")).to_be_visible()


def test_the_vendor_says_who_sold_there_before_and_another_one_and_that_nobody_did(
    browse: Browse, system: Running
) -> None:
    deal = register(system, NORTH, TARN)
    page = browse("cara", f"/desk/{deal}", java_script_enabled=False)
    address = customer_of(page, deal)
    before = page.get_by_role("region", name="Who sold there before")
    expect(before).to_contain_text("Nothing was won here, and nobody has said who did before.")
    say_who(page, "", "Whoever forgets to choose has said nothing.")
    for partner, why in (
        ("Northwind", "It sold the first licences in 2019."),
        ("Southbridge", "It took the contract over."),
        ("Nobody", "The contract has run out."),
    ):
        say_who(page, partner, why)
        reload_until(page, before.get_by_text(why))
        expect(before.locator("dd")).to_have_count(1)
        expect(before.locator("dd")).to_contain_text(re.compile(f"{partner}.*, said on", re.IGNORECASE))

    rival = browse("northwind", f"/deals/{deal}", java_script_enabled=False)
    expect(rival.get_by_role("heading", level=1)).to_have_text(TARN.name)
    expect(rival.get_by_text("The contract has run out.")).to_have_count(0)
    refused = go(rival, address)
    assert refused is not None
    assert refused.status == 403
    expect(rival.get_by_text("The contract has run out.")).to_have_count(0)


def say_who(page: Page, partner: str, why: str) -> None:
    """Says on the customer's page who sold the platform there; where no partner is chosen the browser sends nothing."""
    up_to_date(page)
    form = page.get_by_role("region", name="Who sold there before")
    if not form.get_by_label("Product family").is_visible():
        form.get_by_text("Say who it was").click()
    form.get_by_label("Product family").fill("platform")
    if partner:
        named = form.get_by_role("option", name=re.compile(f"^{partner}"))
        form.get_by_label("Partner").select_option(named.get_attribute("value"))
    form.get_by_label("How do you know?").fill(why)
    form.get_by_role("button", name="Say so").click()


def customer_of(page: Page, deal: str) -> str:
    """Goes from a deal to its customer's page; its address."""
    go_until(page, f"/desk/{deal}", page.get_by_role("link", name="The customer")).click()
    page.wait_for_url("**/customers/*")
    return page.url


def test_the_desk_writes_a_customer_down_and_a_registration_of_it_is_found_there(
    browse: Browse, system: Running
) -> None:
    page = browse("dora", "/customers", java_script_enabled=False)
    page.get_by_text("Write a customer down").click()
    page.get_by_label("Customer name").fill("Kestrel Looms Ltd")
    page.locator("form[method=post]").get_by_label("Country").select_option("GB")
    page.get_by_label("Website or identifier").fill("gmail.com")
    page.get_by_role("button", name="Write down").click()
    expect(page.get_by_role("alert")).to_contain_text("an own domain, or a number that can be checked")
    page.get_by_label("Website or identifier").fill("kestrel-looms.co.uk")
    page.get_by_role("button", name="Write down").click()
    expect(page.get_by_role("status").first).to_contain_text("The customer is written down")
    expect(page.get_by_role("heading", level=1)).to_have_text("Kestrel Looms Ltd")
    register(system, NORTH, Customer("Kestrel Looms", "GB", "kestrel-looms.co.uk", "9000.00"))
    go(page, "/customers?domain=kestrel-looms.co.uk")
    reload_until(page, page.get_by_role("row", name="Kestrel Looms Ltd United Kingdom kestrel-looms.co.uk 1"))


def test_the_desk_that_asks_for_a_partner_sees_who_holds_the_customer(browse: Browse, system: Running) -> None:
    approve(system, deal := register(system, NORTH, WEIR))
    page = browse("dora", "/deals/new", java_script_enabled=False)
    page.locator("[name=partner_id]").select_option(label="Southbridge Systems")
    fill_in(page, WEIR)
    page.get_by_role("button", name="Check first").click()

    preview = page.locator("#preview")
    expect(preview.locator(".outcome")).to_have_text("Taken")
    holder = preview.get_by_role("listitem").filter(has_text="protected until")
    expect(holder).to_contain_text("Northwind")
    expect(holder.get_by_role("link", name="its deal")).to_have_attribute("href", f"/desk/{deal}")
