"""A partner invites another one to its deal, who accepts, and the desk takes it out again; all without a script."""

from http import HTTPStatus

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go, go_until, reload_until
from tests.browser.running import Running, until
from tests.browser.state import NORTH, SOUTH, Customer, approve, register

pytestmark = pytest.mark.xdist_group("browser")
JOINED = "/events?type=entente.registration.ParticipantJoined.v1"
WANTED = Customer("Aurora Fjordkraft AS", "NO", "aurora-fjordkraft.no", "61000.00")


def test_a_partner_takes_part_in_the_deal_of_another_one(browse: Browse, system: Running) -> None:
    deal = register(system, NORTH, WANTED)
    approve(system, deal)
    path, south = f"/deals/{deal}", system.who(SOUTH).get("/v1/me")["partner_id"]

    invites(browse, path, south)

    invited = browse("southbridge", "/invitations", java_script_enabled=False)
    asked = invited.locator("article").filter(has_text="Can you deliver in May?")
    reload_until(invited, asked)
    expect(asked).to_contain_text("Norway")
    expect(asked).to_contain_text("100,000.00")
    expect(invited.locator("main")).not_to_contain_text("Aurora")
    go(invited, "/")
    expect(invited.locator("#needs")).to_contain_text("Invitations to answer")
    go(invited, "/invitations")
    asked.get_by_role("button", name="Accept").click()
    expect(asked).to_contain_text("Aurora Fjordkraft AS")
    expect(asked).to_contain_text("You hold this customer in that role until")
    records_an_order(asked)
    until(lambda: system.who(NORTH).get(f"/v1/registration/deals/{deal}")["orders"])
    [order] = system.who(NORTH).get(f"/v1/registration/deals/{deal}")["orders"]
    assert (order["order_ref"], order["amount"]["amount"]) == ("SO-4711", "1200.00")
    number = system.who(NORTH).get(f"/v1/registration/deals/{deal}")["board"]["number"]
    reads_of_it_without_a_way_to_its_page(invited, deal, number)

    desk = browse("dora", path, java_script_enabled=False)
    there = desk.locator("#taking-part")
    go_until(desk, path, there.filter(has_text="Accepted"))
    there.get_by_role("button", name="Take out").click()
    expect(there).to_contain_text("Left")
    go_until(invited, "/invitations", asked.filter(has_text="removed"))
    expect(invited.locator("main")).not_to_contain_text("Aurora")


def records_an_order(asked: Locator) -> None:
    """The distributor writes down what it booked, on the invitation by which it takes part: the deal's page is not its own."""
    asked.get_by_text("Record an order").click()
    asked.get_by_label("Order number").fill("SO-4711")
    asked.get_by_label("Amount in EUR").fill("1200.00")
    asked.get_by_label("Ordered on").fill("2026-11-02")
    asked.get_by_role("button", name="Record").click()
    expect(asked.page.get_by_role("status").first).to_contain_text("The order was recorded.")


def reads_of_it_without_a_way_to_its_page(invited: Page, deal: str, number: str) -> None:
    """Who takes part in a deal is told of that, and may not open the deal: no page leads where none answers."""
    joined = invited.locator("#events li").filter(has_text="Partner takes part").filter(has_text=number)
    go_until(invited, JOINED, joined)
    joined.locator("summary").click()
    expect(joined).to_contain_text(deal)
    for path in (JOINED, "/"):
        go(invited, path)
        expect(invited.locator(f'a[href="/deals/{deal}"]')).to_have_count(0)
    assert go(invited, f"/deals/{deal}").status == HTTPStatus.NOT_FOUND  # type: ignore[union-attr]


def invites(browse: Browse, path: str, partner_id: str) -> None:
    """The host invites a partner that nobody knows, reads why not, and invites the other one."""
    host = browse("northwind", path, java_script_enabled=False)
    host.get_by_text("Invite a partner").click()
    host.get_by_label("Partner\u2019s id").fill("nobody")
    host.get_by_role("button", name="Invite", exact=True).click()
    expect(host.locator("main")).to_contain_text("has not been announced here yet")
    host.get_by_label("Partner\u2019s id").fill(partner_id)
    host.get_by_label("In which role").select_option("distribute")
    host.get_by_label("A word to them").fill("Can you deliver in May?")
    host.get_by_role("button", name="Invite", exact=True).click()
    expect(host.locator("#taking-part")).to_contain_text("Pending")
