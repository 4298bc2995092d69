"""Two entries are one customer, and who takes part in a deal holds what another deal does: it is heard, and may have to leave."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go, go_until, reload_until
from tests.browser.running import Running
from tests.browser.state import NORTH, SOUTH, Customer, approve, register

pytestmark = pytest.mark.xdist_group("browser")

REGISTRATION = "/v1/registration"
JUNIPER = Customer("Juniper Grove Spirits Ltd", "GB", "juniper-grove.co.uk", "44000.00")
JUNIPER_TRADE = Customer("Juniper Trade Ltd", "GB", "juniper-trade.co.uk", "12000.00")


def test_a_participant_is_heard_and_leaves_where_the_arbiter_decides_for_who_held_before(
    browse: Browse, system: Running
) -> None:
    held, deal, named = collided(system)

    desk = browse("dora", f"/deals/{deal}", java_script_enabled=False)
    asks(desk, named)
    go(desk, f"/deals/{held}")
    expect(desk.locator("main")).to_contain_text("What is held here is contested too")

    partner = browse("southbridge", "/invitations", java_script_enabled=False)
    mine = partner.locator(f"#dispute-{named}")
    reload_until(partner, mine.filter(has_text="Since when do you deliver there?"))
    shows(mine)

    arbiter = browse("ada", f"/deals/{deal}", java_script_enabled=False)
    decides(arbiter, named, "The other one delivered first.")
    go_until(partner, "/invitations", mine.filter(has_text="The other one delivered first."))
    mine.locator("summary", has_text="Appeal").click()
    mine.get_by_role("textbox", name="Why").fill("We hold their order.")
    mine.get_by_role("button", name="Appeal").click()
    expect(mine).to_contain_text("Appealed")
    decides(browse("finn", f"/deals/{deal}", java_script_enabled=False), named, "The order came later.")

    left = partner.locator(f"#invitation-{named}").filter(has_text="dispute overturned")
    go_until(partner, "/invitations", left)
    expect(left).to_contain_text("Who held first goes on alone")
    go_until(desk, f"/deals/{deal}", desk.locator("#taking-part").filter(has_text="Left"))
    expect(desk.locator("main")).to_contain_text("Protection ends")


def collided(system: Running) -> tuple[str, str, str]:
    """North distributes for one entry, South for the other beside North's own deal: then both are one customer."""
    north, south, dora = (system.who(name) for name in (NORTH, SOUTH, "dora"))
    held = register(system, NORTH, JUNIPER_TRADE, role="distribute")
    approve(system, held)
    deal = register(system, NORTH, JUNIPER)
    approve(system, deal)
    body = {"registration_id": deal, "partner_id": south.get("/v1/me")["partner_id"], "role": "distribute"}
    named: str = north.post(f"{REGISTRATION}/invitations", body)["invitation_id"]
    south.post(f"{REGISTRATION}/invitations/{named}/accept")
    kept, gone = (dora.get(f"{REGISTRATION}/deals/{one}")["board"]["account_id"] for one in (deal, held))
    merged = dora.post(f"{REGISTRATION}/accounts/{kept}/merge", {"absorbed": gone, "reason": "One company."})
    assert sorted(merged["contested"]) == sorted([named, held])
    return held, deal, named


def asks(desk: Page, named: str) -> None:
    """The desk asks the participant for more; nobody filed the dispute, and nobody can take it back."""
    there = desk.locator(f"#dispute-{named}")
    reload_until(desk, there.filter(has_text="Two partners hold the same"))
    expect(there).not_to_contain_text("Take the dispute back")
    there.get_by_text("Ask for more").click()
    there.get_by_label("Question").fill("Since when do you deliver there?")
    there.get_by_role("button", name="Ask", exact=True).click()
    expect(there).to_contain_text("Evidence asked for")


def shows(dispute: Locator) -> None:
    """The participant, who may not open the deal, shows a document beside its invitation."""
    expect(dispute).to_contain_text("Another partner holds the same")
    dispute.get_by_text("Show a document").click()
    dispute.get_by_label("Dated").fill("2026-11-20")
    dispute.get_by_label("SHA-256 of the file").fill("a" * 64)
    dispute.get_by_role("button", name="Show", exact=True).click()
    expect(dispute).to_contain_text("Under review")


def decides(arbiter: Page, named: str, reason: str) -> None:
    """For who held first."""
    there = arbiter.locator(f"#dispute-{named}")
    reload_until(arbiter, there.locator("summary", has_text="Decide")).click()
    there.get_by_label("Outcome").select_option(label="Who held first goes on alone")
    there.get_by_label("Reason").fill(reason)
    there.get_by_role("button", name="Decide").click()
    expect(there).to_contain_text(reason)
