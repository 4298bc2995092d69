"""A partner contests what was decided: it says why, the desk asks for more, the partner shows a document, without a script."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Browse
from tests.browser.state import TERRAZZO, State

pytestmark = pytest.mark.xdist_group("browser")


def test_a_rejection_is_contested_and_the_desk_asks_for_a_document(browse: Browse, state: State) -> None:
    path = f"/deals/{state.deals[TERRAZZO.website]}"
    partner = browse("southbridge", path, java_script_enabled=False)
    partner.get_by_text("Contest this").click()
    partner.get_by_label("Ground").select_option("earlier_work")
    partner.get_by_label("What happened").fill(
        "We have advised Terrazzo since January; their buyer asked us to register."
    )
    partner.get_by_role("button", name="File the dispute").click()
    expect(partner.locator("#dispute")).to_contain_text("Earlier work.")

    desk = browse("dora", path)
    expect(desk.locator("#dispute")).to_contain_text("We have advised Terrazzo since January")
    desk.get_by_text("Ask for more").click()
    desk.get_by_label("Question").fill("Please show the mail of their buyer.")
    desk.get_by_role("button", name="Ask", exact=True).click()
    expect(desk.locator("#dispute")).to_contain_text("Evidence asked for")

    partner.goto(path)
    expect(partner.locator("#dispute")).to_contain_text("Please show the mail of their buyer.")
    partner.get_by_text("Show a document").click()
    partner.locator("#dispute").get_by_label("Dated").fill("2026-11-20")
    partner.locator("#dispute").get_by_label("SHA-256 of the file").fill("a" * 64)
    partner.get_by_role("button", name="Show", exact=True).click()
    expect(partner.locator("#dispute")).to_contain_text("Under review")
    partner.get_by_text("Write a note").click()
    partner.get_by_label("Note", exact=True).fill("Their buyer is away until Monday.")
    partner.get_by_role("button", name="Write", exact=True).click()
    expect(partner.locator("#notes")).to_contain_text("Their buyer is away until Monday.")
