"""Trying rules on what happened: on the customers as they were found then, or found anew."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.state import HALDEN

pytestmark = pytest.mark.xdist_group("browser")


def test_rules_are_tried_on_customers_that_are_found_anew(browse: Browse) -> None:
    page = browse("dora", "/rules/registration/default")
    page.get_by_label("Customers are found").select_option(label="anew, among those known then")
    page.get_by_role("button", name="Try on what happened").click()
    page.wait_for_url(re.compile("/trials/registration/"))
    expect(page.locator("p.lead")).to_contain_text("with customers found anew")
    expect(page.get_by_text(re.compile(r"0 of \d+ decisions"))).to_be_visible()


def test_what_rules_would_have_changed_leads_to_its_deals_and_a_long_list_is_folded(browse: Browse) -> None:
    page = browse("dora", "/rules/registration/default", viewport={"width": 390, "height": 844})
    rules = page.get_by_label("Rules, as JSON")
    rules.fill(rules.input_value().replace('"1000.00"', '"9000000.00"'))
    page.get_by_role("button", name="Try on what happened").click()
    differs = page.locator('[aria-label="Decisions that differ"]')
    expect(differs.first.get_by_role("link", name=HALDEN.name).first).to_be_visible()
    expect(differs.first.locator("tbody tr")).to_have_count(20)
    expect(differs.last).to_be_hidden()
    page.get_by_text(re.compile(r"^\d+ more$")).click()
    expect(differs.last).to_be_visible()


def test_rules_that_look_nobody_up_offer_no_choice_of_how(browse: Browse) -> None:
    page = browse("dora", "/rules/incentives/standard")
    expect(page.get_by_role("button", name="Try on what happened")).to_be_visible()
    expect(page.get_by_label("Customers are found")).to_have_count(0)


def test_a_draft_runs_alongside_and_a_version_in_the_shadow_says_what_it_would_have_come_to(browse: Browse) -> None:
    page = browse("dora", "/rules/registration/default")
    page.get_by_role("button", name="Keep as draft").click()
    page.get_by_role("button", name="Let it run alongside").click()
    page.wait_for_url(re.compile("/trials/registration/"))
    expect(page.locator("p.lead")).to_contain_text("runs alongside: it decides nothing")
    expect(page.get_by_text(re.compile(r"0 of \d+ decisions"))).to_be_visible()
    page.get_by_role("link", name="Deal rules “default”").click()
    expect(page.get_by_role("link", name=re.compile("^Draft of version"))).to_be_visible()

    page = browse("faye", "/rules/registration/default")
    page.get_by_role("button", name="Publish in the shadow").click()
    page.get_by_role("link", name="In the shadow").first.click()
    page.wait_for_url(re.compile("/rules/registration/default/shadow"))
    expect(page.locator("p.lead")).to_contain_text("runs alongside: it decides nothing")
