"""A person disputes its own pay: it alone is asked for more, and answers on its statement; finance reads its name."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.portal import complaints_of, go, go_until, reload_until, sign_in
from tests.browser.running import Running, running_system, until
from tests.browser.state import LUMIERE, MONEY, SOUTH, approve, register, win

pytestmark = pytest.mark.xdist_group("browser")
SPIFF = {
    "kind": "spiff",
    "name": "Spring bonus",
    "currency": "EUR",
    "component": "spiff",
    "schedule": {"semantics": "marginal", "bands": [{"flat": "50"}]},
    "claimed": True,
    "hold_days": 0,
    "payees": [{"party": "seller", "percent": "100"}],
}


@pytest.fixture
def bonus() -> Iterator[tuple[Running, str]]:
    """A system where who sells for Southbridge earned a bonus of its own, which its month's statement holds."""
    with running_system() as it:
        deal = register(it, SOUTH, LUMIERE)
        approve(it, deal)
        it.who("ada").post(
            f"{MONEY}/rulebooks", {"rulebook_id": "spring", "kind": "plan", "body": SPIFF, "examples": []}
        )
        it.who("faye").post(f"{MONEY}/rulebooks/spring/publish", {"version": 1})
        it.forward(days=3)
        win(it, deal)
        claims(it, deal)
        it.forward(days=35)
        yield it, until(lambda: stated(it))


def claims(it: Running, deal: str) -> None:
    day = it.anyone.get("/dev/clock")["now"][:10]
    sold = {"sku": "SEC-1", "quantity": 1, "sold_on": day, "invoice": "17"}
    row = {"text": "one", "amount": {"amount": "50.00", "currency": "EUR"}, "sold": sold}
    who = it.who(SOUTH)
    made = who.post(f"{MONEY}/claims", {"kind": "spiff", "of_id": "spring", "registration_id": deal, "items": [row]})
    who.post(f"{MONEY}/claims/{made['claim_id']}/submit")
    decision = {"outcome": "approved", "reason": "The order names it."}
    it.who("faye").post(f"{MONEY}/claims/{made['claim_id']}/decide", decision)
    if it.who("faye").get(f"{MONEY}/claims/{made['claim_id']}")["state"] == "disputed":
        it.who("faye").post(f"{MONEY}/claims/{made['claim_id']}/decide", decision)


def stated(it: Running) -> Any:
    """The id of the person's own statement, once it is issued."""
    found = it.who("finn").get(f"{MONEY}/statements?limit=50")["items"]
    return next((one["statement_id"] for one in found if one["payee_id"] != one["partner_id"]), None)


def test_a_person_disputes_its_own_pay_is_asked_alone_and_shows_what_it_has(
    browser: Browser, bonus: tuple[Running, str]
) -> None:
    system, statement_id = bonus
    complaints = list[str]()
    path = f"/statements/{statement_id}"
    seller = opened(browser, system, SOUTH, path, complaints)
    seller.locator("summary", has_text="Dispute").first.click()
    seller.get_by_label("What is wrong").first.fill("I sold two of them")
    seller.get_by_role("button", name="Send").first.click()
    expect(seller.locator("section", has_text="Dispute over").last).to_contain_text("I sold two of them")
    finance = opened(browser, system, "finn", path, complaints)
    reload_until(finance, finance.locator("summary", has_text="Ask for more")).click()
    finance.get_by_label("Question").fill("Which two?")
    finance.get_by_role("button", name="Ask").click()
    waits = seller.get_by_role("link", name="Disputed line: evidence is asked for")
    go_until(seller, "/worklist", waits)
    waits.click()
    expect(seller.locator("main")).to_contain_text("The vendor asks: “Which two?”")
    seller.locator("summary", has_text="Show a document").click()
    seller.get_by_label("SHA-256 of a file that shows it").fill("a" * 64)
    seller.get_by_label("What it shows").fill("Both invoices")
    seller.get_by_role("button", name="Show", exact=True).click()
    expect(seller.locator("main")).to_contain_text("Both invoices")
    go_until(finance, path, finance.locator("main").filter(has_text="Both invoices"))
    go(seller, "/worklist")
    reload_until(seller, seller.locator("main").filter(has_not=waits))
    payees = go_until(finance, "/payees", finance.locator("#payees td", has_text="Southbridge Systems, "))
    expect(payees).not_to_have_text(re.compile("person [0-9a-f]{8}"))
    for page in (seller, finance):
        page.context.close()
    assert complaints == []


def opened(browser: Browser, system: Running, name: str, path: str, complaints: list[str]) -> Page:
    """A page as somebody sees it without script."""
    page = browser.new_context(base_url=system.url, java_script_enabled=False).new_page()
    complaints_of(page, complaints)
    sign_in(page, name, path)
    return page
