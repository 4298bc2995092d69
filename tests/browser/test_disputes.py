"""A partner contests what was decided: it says why, the desk asks for more, the partner shows a document, without a script."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import go_until, reload_until, up_to_date
from tests.browser.running import Running
from tests.browser.state import NORTH, SOUTH, TERRAZZO, Customer, State, approve, register

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
    disputed(desk, "We have advised Terrazzo since January")
    desk.get_by_text("Ask for more").click()
    desk.get_by_label("Question").fill("Please show the mail of their buyer.")
    desk.get_by_role("button", name="Ask", exact=True).click()
    expect(desk.locator("#dispute")).to_contain_text("Evidence asked for")

    go_until(partner, path, partner.locator("#dispute").filter(has_text="Please show the mail of their buyer."))
    partner.get_by_text("Show a document").click()
    partner.locator("#dispute").get_by_label("Dated").fill("2026-11-20")
    partner.locator("#dispute").get_by_label("SHA-256 of the file").fill("a" * 64)
    partner.get_by_role("button", name="Show", exact=True).click()
    expect(partner.locator("#dispute")).to_contain_text("Under review")
    partner.get_by_text("Write a note").click()
    partner.get_by_label("Note", exact=True).fill("Their buyer is away until Monday.")
    partner.get_by_role("button", name="Write", exact=True).click()
    expect(partner.locator("#notes")).to_contain_text("Their buyer is away until Monday.")

    arbiter = browse("ada", path, java_script_enabled=False)
    disputed(arbiter, "Under review")
    _decide(arbiter, "letter_required", "Let the customer say it.")
    _brings_the_letter(partner, path)


def _brings_the_letter(partner: Page, path: str) -> None:
    go_until(partner, path, partner.locator("#dispute").filter(has_text="Let the customer say it."))
    partner.get_by_text("Show the customer's letter").click()
    partner.locator("#dispute").get_by_label("Dated").fill("2026-11-21")
    partner.locator("#dispute").get_by_label("SHA-256 of the file").fill("b" * 64)
    partner.get_by_role("button", name="Show", exact=True).click()
    expect(partner.locator("#dispute")).to_contain_text("b" * 64)


def test_a_displaced_holder_contests_it_and_the_new_holder_appeals(browse: Browse, system: Running) -> None:
    wanted = Customer("Quellhof Brauerei GmbH", "DE", "quellhof-brauerei.de", "31000.00")
    held = register(system, NORTH, wanted)
    approve(system, held)
    waits = register(system, SOUTH, wanted)

    first = browse("cara", f"/desk/{waits}", java_script_enabled=False)
    _displace(first)
    up_to_date(first)
    desk = browse("dora", f"/desk/{waits}", java_script_enabled=False)
    _displace(desk)
    expect(desk.locator("main")).to_contain_text("Protection ends")

    revoked = browse("northwind", f"/deals/{held}", java_script_enabled=False)
    reload_until(revoked, revoked.get_by_text("Contest this")).click()
    revoked.get_by_label("What happened").fill("Nobody told us of a breach.")
    revoked.get_by_role("button", name="File the dispute").click()
    expect(revoked.locator("#dispute")).to_contain_text("Nobody told us of a breach.")
    arbiter = browse("ada", f"/deals/{held}", java_script_enabled=False)
    _decide(arbiter, "overturned", "There was no breach.")

    holder = browse("southbridge", f"/deals/{waits}", java_script_enabled=False)
    disputed(holder, "Another partner contests what you hold")
    expect(holder.locator("#dispute")).not_to_contain_text("breach")
    holder.locator("#dispute summary", has_text="Appeal").click()
    holder.get_by_role("textbox", name="Why").fill("We have the customer's order.")
    holder.get_by_role("button", name="Appeal").click()
    expect(holder.locator("#dispute")).to_contain_text("Appealed")

    go_until(arbiter, f"/deals/{held}", arbiter.get_by_text("another arbiter decides"))
    expect(arbiter.locator("#dispute summary")).to_have_count(0)

    third = browse("finn", f"/deals/{held}", java_script_enabled=False)
    disputed(third, "We have the customer's order.")
    _decide(third, "upheld", "The order is real.")
    expect(third.locator("#dispute")).to_contain_text("It stays as it is")


def test_a_document_is_named_by_its_file_which_stays_where_it_is(browse: Browse, system: Running) -> None:
    wanted = Customer("Tannhof Papier GmbH", "DE", "tannhof-papier.de", "21000.00")
    approve(system, register(system, NORTH, wanted))
    path = f"/deals/{register(system, SOUTH, wanted)}"
    partner = browse("southbridge", path)
    reload_until(partner, partner.get_by_text("Contest this")).click()
    partner.get_by_label("Ground").select_option("customer_choice")
    partner.get_by_label("What happened").fill("Tannhof chose us in writing.")
    form = partner.locator("form[action$='/dispute/file']")
    form.get_by_text("With a document, if you like").click()
    letter = {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"abc"}
    form.get_by_label("The file, to take its fingerprint here").set_input_files(letter)
    expect(form.get_by_label("SHA-256 of the file")).to_have_value(ABC)
    form.get_by_label("Dated").fill("2026-01-02")
    partner.get_by_role("button", name="File the dispute").click()
    expect(partner.locator("#dispute")).to_contain_text(ABC)


def test_the_list_leads_to_a_dispute_of_ones_own_and_its_steps_are_taken_there_without_script(
    browse: Browse, system: Running
) -> None:
    wanted = Customer("Lindmoos Textil AG", "CH", "lindmoos-textil.ch", "18000.00")
    approve(system, register(system, NORTH, wanted))
    waits = register(system, SOUTH, wanted)
    filed = {"registration_id": waits, "kind": "territory", "statement": "It lies in our valley."}
    system.who(SOUTH).post("/v1/registration/disputes", filed)

    holder = browse("northwind", "/disputes?kind=territory", java_script_enabled=False)
    row = holder.get_by_role("row", name="Lindmoos Textil AG Another partner contests what you hold Territory")
    reload_until(holder, row)
    expect(holder.locator("main")).not_to_contain_text("Southbridge")

    partner = browse("southbridge", java_script_enabled=False)
    partner.get_by_role("link", name="Disputes").click()
    partner.get_by_label("Ground").select_option("territory")
    partner.get_by_role("button", name="Show").click()
    reload_until(partner, partner.get_by_role("link", name="Lindmoos Textil AG")).click()
    expect(partner.locator("main")).to_contain_text("It lies in our valley.")
    partner.get_by_role("button", name="Take the dispute back").click()
    expect(partner.get_by_role("status").first).to_contain_text("The dispute was taken back.")
    expect(partner.locator("main .chip")).to_have_text("Withdrawn")


ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
"""The SHA-256 of abc, as FIPS 180 gives it."""


def disputed(page: Page, said: str) -> None:
    """Waits until the page tells that of the dispute."""
    reload_until(page, page.locator("#dispute").filter(has_text=said))


def _displace(desk: Page) -> None:
    reload_until(desk, desk.get_by_text("Let it take the place of who holds")).click()
    desk.get_by_label("Because of").select_option("agreement-breach")
    desk.get_by_role("button", name="Displace and approve").click()
    expect(desk.locator("p.note.good")).to_be_visible()


def _decide(arbiter: Page, outcome: str, reason: str) -> None:
    reload_until(arbiter, arbiter.locator("#dispute summary", has_text="Decide")).click()
    arbiter.get_by_label("Outcome").select_option(outcome)
    arbiter.locator("#dispute").get_by_label("Reason").fill(reason)
    arbiter.get_by_role("button", name="Decide").click()
    expect(arbiter.locator("#dispute")).to_contain_text(reason)
