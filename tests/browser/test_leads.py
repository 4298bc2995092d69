"""Leads in the hands of people: a partner takes one that has no name, and the desk lets one go that was held back."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.portal import go, reload_until
from tests.browser.running import Running, until
from tests.browser.state import State, offered

pytestmark = pytest.mark.xdist_group("browser")


def test_a_partner_takes_a_lead_and_only_then_reads_whose_it_is(browse: Browse, system: Running, state: State) -> None:
    who = offered(system, state, "Weserglas", "DE")
    page = browse(who, "/leads", java_script_enabled=False)
    page.locator("#offered").get_by_role("link", name="Somebody in Germany").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Somebody in Germany")
    expect(page.locator("main")).to_contain_text("wants to see analytics")
    assert "Weserglas" not in page.content()
    assert "alex@" not in page.content()
    page.get_by_role("button", name="Accept").click()
    expect(page.get_by_role("status").first).to_contain_text("The lead is yours")
    expect(page.get_by_role("heading", level=1)).to_have_text("Weserglas")
    expect(page.locator("main")).to_contain_text("alex@weserglas.de")
    page.get_by_text("Make a deal of it").click()
    page.get_by_label("Amount").fill("21000.00")
    page.get_by_role("button", name="Register the deal").click()
    page.get_by_role("link", name="a deal", exact=True).click()
    page.wait_for_url("**/deals/*")
    reload_until(page, page.get_by_role("heading", level=1, name="Weserglas"))


def test_the_desk_lets_go_on_what_was_held_back_and_sees_why_it_was(browse: Browse, state: State) -> None:
    page = browse("dora", "/leads")
    reload_until(page, page.locator("#held").get_by_role("link", name="Blanca Ortiz")).click()
    expect(page.locator("#lead-head")).to_contain_text("The e-mail is of a free mail provider.")
    page.get_by_role("button", name="Let it go on").click()
    expect(page.get_by_role("status").first).to_contain_text("The lead goes on")


def test_a_visitor_of_a_website_asks_to_be_called_without_signing_in(browse: Browse, system: Running) -> None:
    page = browse("dora", java_script_enabled=False)
    page.context.clear_cookies()
    go(page, "/forms/contact?tenant=acme&tracking_code=spring")
    page.get_by_label("Company").fill("Quayside Freight")
    page.get_by_label("Country").select_option("NL")
    page.get_by_label("What do you need?").fill("We look for software for forty people at the quay.")
    page.get_by_label("Your name").fill("Marit Quay")
    page.get_by_label("E-mail").fill("marit@quayside-freight.nl")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_role("alert")).to_contain_text("without consent leave the contact out")
    expect(page.get_by_label("Company")).to_have_value("Quayside Freight")
    page.get_by_label("A partner may contact me about this").check()
    page.get_by_role("button", name="Send").click()
    said = page.get_by_role("status").first
    expect(said).to_contain_text("Your number is L-")
    number = said.inner_text().partition("Your number is ")[2].rstrip(".")

    def known() -> bool:
        rows = system.who("dora").get("/v1/registration/leads?limit=200")["items"]
        return number in [row["number"] for row in rows]

    assert until(known)
