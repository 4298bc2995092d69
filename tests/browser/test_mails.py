"""A deal that comes by mail: pasted, read, registered; or a draft that somebody completes."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go

pytestmark = pytest.mark.xdist_group("browser")

CLEAR = """Customer: Morwen Kilns Ltd
Country: United Kingdom
Website: www.morwen-kilns.co.uk
Products: platform
Amount: EUR 8,400.00
"""


def paste(page: Page, text: str) -> None:
    page.get_by_label("Mail", exact=True).fill(f"From: Ada <ada@southbridge.example>\nSubject: A deal\n\n{text}")
    page.get_by_role("button", name="Read it").click()


def test_a_mail_that_says_all_is_a_deal_and_one_that_does_not_a_draft_without_script(browse: Browse) -> None:
    page = browse("southbridge", "/mails", java_script_enabled=False)
    paste(page, CLEAR)
    expect(page.get_by_role("status").first).to_contain_text("the deal is registered")
    country = page.get_by_role("row", name="Country")
    expect(country).to_contain_text("GB")
    expect(country).to_contain_text("line 2")
    expect(country).to_contain_text("90 %")
    page.get_by_role("link", name="see it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Morwen Kilns Ltd")

    go(page, "/mails")
    paste(
        page, CLEAR.replace("Morwen Kilns", "Penhale Kilns").replace("morwen", "penhale").replace("8,400.00", "8.400")
    )
    expect(page.get_by_role("status").first).to_contain_text("a draft waits")
    expect(page.get_by_role("row", name="Amount")).to_contain_text("50 % Look")
    page.get_by_role("link", name="Complete it").click()
    expect(page.get_by_label("Customer name")).to_have_value("Penhale Kilns Ltd")
    page.get_by_label("Amount").fill("8400.00")
    page.get_by_role("button", name="Register", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Penhale Kilns Ltd")


def test_a_mail_is_forgotten_on_its_page_and_one_too_large_is_refused_with_what_was_pasted(browse: Browse) -> None:
    page = browse("southbridge", "/mails", java_script_enabled=False)
    paste(page, "Customer: Trewin Glass\n")
    page.get_by_text("Forget it").click()
    page.get_by_role("button", name="Forget for good").click()
    expect(page.get_by_role("status").first).to_contain_text("The mail was forgotten")
    expect(page.locator("main")).not_to_contain_text("Trewin Glass")
    go(page, "/mails")
    paste(page, "Customer: Trewin Glass\n" + "x" * 300_000)
    expect(page.get_by_role("alert")).to_contain_text("262144 bytes at most")
    expect(page.locator("textarea[name=mail]")).to_have_value(re.compile("Trewin Glass"))


def test_who_hands_no_mail_in_reads_what_was_handed_in_and_is_not_told_how(browse: Browse) -> None:
    page = browse("ada", "/mails")
    expect(page.get_by_role("heading", name="Handed in")).to_be_visible()
    expect(page.get_by_label("Mail", exact=True)).to_have_count(0)
    expect(page.get_by_role("heading", name="What is understood")).to_have_count(0)
