"""The main job through the portal: two partners collide, the desk decides, the CRM wins and refunds, all see it and why."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import axis, fill_in, go, go_until, in_crm, register, reload_until
from tests.browser.running import Running
from tests.browser.state import Customer

pytestmark = pytest.mark.xdist_group("browser")

AURELIA = Customer("Aurelia Glas GmbH", "DE", "aurelia-glas.de", "30000.00")
BORDEN = Customer("Borden Wagons BV", "NL", "borden-wagons.nl", "12000.00", ("analytics", "security"))


def test_a_deal_goes_from_registration_to_its_reversal_before_the_eyes_of_its_partner(
    browse: Browse, system: Running
) -> None:
    north, south, dora, finn = browse("northwind"), browse("southbridge"), browse("dora"), browse("finn")
    go(north, "/deals/new")
    fill_in(north, AURELIA)
    preview = north.locator("#preview")
    expect(preview).to_contain_text("Free")
    north.get_by_role("button", name="Register").click()
    expect(axis(north, "Review")).to_contain_text("In review")

    collide(south)
    decide(dora)
    expect(axis(north, "Review")).to_contain_text("Approved")
    # To the end of the ninetieth day: an hour short of it late in an evening before the clocks go forward.
    expect(axis(north, "Protection ends")).to_contain_text(re.compile(r"in (90|89) days"))
    expect(north.locator("#timeline")).to_contain_text("Opened in the CRM")

    go(dora, "/")
    dora.get_by_role("link", name="Simulated CRM").click()
    in_crm(dora, AURELIA.name).get_by_role("button", name="Win").click()
    expect(axis(north, "Sales stage")).to_contain_text("Won")
    expect(north.locator("#sale")).to_contain_text("100%")
    expect(axis(north, "Earned")).to_contain_text("€")
    earned = axis(north, "Earned").inner_text()

    in_crm(dora, AURELIA.name).get_by_label("refund").fill("10000.00")
    in_crm(dora, AURELIA.name).get_by_role("button", name="Refund").click()
    expect(north.locator("#timeline")).to_contain_text("Payout reversed")
    expect(axis(north, "Earned")).not_to_have_text(earned)
    every_entry_says_why(north)

    go(finn, "/money")
    expect(finn.locator("#trial")).to_contain_text("balances")
    expect(finn.locator("#trial strong")).to_have_text("€0.00")


def collide(south: Page) -> None:
    """Another partner asks for the same customer: it learns that it is taken before and after, and not by whom."""
    go(south, "/deals/new")
    fill_in(south, AURELIA)
    expect(south.locator("#preview")).to_contain_text("Taken")
    expect(south.locator("#preview")).to_contain_text("number 1 in line")
    south.get_by_role("button", name="Register").click()
    expect(axis(south, "Review")).to_contain_text("Waiting")
    expect(south.locator("#why")).to_contain_text("Another partner holds this customer, or asked first.")
    expect(south.locator("body")).not_to_contain_text("Northwind")


def decide(dora: Page) -> None:
    """The desk sees both claims side by side and approves the one that came first."""
    dora.get_by_role("link", name="Review desk").click()
    reload_until(dora, dora.locator("#line").get_by_role("link", name=AURELIA.name)).click()
    claims = dora.get_by_role("region", name="Claims", exact=True)
    expect(claims).to_contain_text("Southbridge Systems")
    expect(claims).to_contain_text("Northwind Partners")
    dora.get_by_role("link", name="Review desk").first.click()
    reload_until(dora, dora.locator("#queue").get_by_role("link", name=AURELIA.name)).click()
    dora.get_by_role("button", name="Approve and protect").click()
    expect(dora.get_by_role("status").filter(has_text="Approved.")).to_be_visible()


def every_entry_says_why(page: Page) -> None:
    """Each entry of the timeline opens in the panel, and what was decided has its reasons there."""
    entries = page.locator("#timeline > ol > li")
    for number in range(entries.count()):
        title = entries.nth(number).locator("strong").inner_text()
        entries.nth(number).get_by_role("link", name="Why").click()
        expect(page.locator("#why strong").first).to_have_text(title)
    panel = page.locator("#why")
    page.locator("#timeline li").filter(has_text="Payout calculated").get_by_role("link", name="Why").click()
    expect(panel).to_contain_text("€30,000.00 of 1 sold line")
    page.locator("#timeline li").filter(has_text="Deal registered").get_by_role("link", name="Why").click()
    expect(panel).to_contain_text("A person of the vendor decides deals of this kind")


def test_the_same_job_is_done_without_script(browse: Browse, system: Running) -> None:
    plain = {"java_script_enabled": False}
    north, south, dora = (browse(name, **plain) for name in ("northwind", "southbridge", "dora"))
    go(north, "/deals/new")
    fill_in(north, BORDEN)
    north.get_by_role("button", name="Check first").click()
    expect(north.locator("#preview")).to_contain_text("Free")
    assert north.get_by_label("Customer name").input_value() == BORDEN.name
    north.get_by_role("button", name="Register").click()
    mine = north.url.partition("?")[0]

    register(south, BORDEN)
    expect(axis(south, "Review")).to_contain_text("Waiting")
    expect(south.locator("#why")).to_contain_text("Another partner holds this customer")

    go_until(dora, "/desk", dora.locator("#queue").get_by_role("link", name=BORDEN.name)).click()
    dora.get_by_role("button", name="Approve and protect").click()
    go_until(north, mine, axis(north, "Review").filter(has_text="Approved"))

    go(dora, "/")
    dora.get_by_role("link", name="Simulated CRM").click()
    reload_until(dora, in_crm(dora, BORDEN.name)).get_by_role("button", name="Win").click()
    reload_until(north, north.locator("#timeline li").filter(has_text="Payout calculated"))
    reload_until(north, north.locator("#lines").get_by_role("link")).click()
    expect(north.get_by_role("heading", level=1)).to_contain_text(BORDEN.name)
    expect(north.get_by_role("heading", name="From the won deal to the bank")).to_be_visible()


def test_finance_pays_what_is_payable_and_a_second_person_agrees(browse: Browse) -> None:
    finn, faye, south = browse("finn", "/money"), browse("faye"), browse("southbridge", "/earnings")
    month = finn.get_by_label("Month").input_value()
    payee = finn.get_by_role("combobox", name="Payee")
    expect(payee.locator("option").filter(has_text="Southbridge Systems, Saul South")).to_have_count(1)
    payee.select_option("Southbridge Systems")
    finn.get_by_label("Month").fill(month)
    finn.get_by_role("button", name="Issue").click()
    statement = finn.locator("#statements").get_by_role("row", name="Southbridge")
    expect(statement).to_contain_text("€3,980.00")
    statement.get_by_role("button", name="Propose payment").click()
    payment = finn.locator("#payments").get_by_role("row", name="Southbridge")
    expect(payment).to_contain_text("waits for an approver")
    expect(payment.get_by_role("button", name="Approve")).to_have_count(0)

    go_until(faye, "/", faye.locator("#needs").get_by_role("link", name="€3,980.00")).click()
    faye.get_by_role("row", name="Southbridge").get_by_role("button", name="Approve").click()
    expect(faye.get_by_role("row", name="Southbridge").first).to_contain_text("Approved")
    payment.get_by_role("button", name="Submit").click()
    expect(payment.get_by_role("button", name="Submit")).to_have_count(0)
    reload_until(finn, payment.filter(has_text="Paid"))
    expect(finn.locator("#trial")).to_contain_text("balances")

    line = south.locator("#lines").get_by_role("row", name="Lumière Optique")
    expect(line).to_contain_text("Paid")
    issued = south.locator("#statements").get_by_role(
        "link", name=re.compile("[0-9]{4}$")
    )  # the next one ends in "so far"
    issued.click()
    expect(south.get_by_role("row", name="Released")).to_contain_text("Lumière Optique")
    south.get_by_role("row", name="Released").get_by_role("link", name="Why").click()
    expect(south.locator("main")).to_contain_text("The hold ended")
