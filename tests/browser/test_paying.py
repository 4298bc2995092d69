"""Money goes out in a batch, comes back by the bank's report, goes out again, and what is owed later is given up."""

import hashlib
import hmac
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.portal import complaints_of, go, go_until, reload_until, sign_in
from tests.browser.running import PROVIDER_SECRET, Client, Running, running_system, until
from tests.browser.state import LUMIERE, MONEY, SOUTH, approve, payable, refund, register, win

pytestmark = pytest.mark.xdist_group("browser")
BATCHES = "/payment-batches"


@pytest.fixture
def till() -> Iterator[tuple[Running, str]]:
    """A system of its own, so that nobody else pays it: what a deal earned is payable, and its month is over."""
    with running_system() as it:
        deal = register(it, SOUTH, LUMIERE)
        approve(it, deal)
        it.forward(days=3)
        win(it, deal)
        it.forward(days=34)
        payable(it, deal)
        it.forward(days=31)
        yield it, deal


def test_a_batch_is_paid_comes_back_is_paid_again_and_a_debt_is_given_up(
    browser: Browser, till: tuple[Running, str]
) -> None:
    system, deal = till
    complaints = list[str]()
    finance, approver = (opened(browser, system, name, complaints) for name in ("finn", "faye"))
    finn = system.who("finn")
    payment_id = proposes(finn, deal)
    prepares(finance, payment_id)
    step(approver, "Approve all", "The batch was approved.")
    step(finance, "Send", "The batch was handed to the provider.")
    paid = until(lambda: stands(finn, payment_id, "paid"))
    no_file_without_bank_details(finance)
    reports(finance, f"{paid['reference']},returned,{paid['paid_on']},R-1")
    retry = finance.get_by_role("button", name="Try again under a new reference")
    go_until(finance, f"/payments/{payment_id}", retry).click()
    finance.get_by_role("button", name="Submit to the provider").click()
    again = until(lambda: stands(finn, payment_id, "paid"))
    go(finance, BATCHES)
    reports(finance, f"{again['reference']},rejected,{again['paid_on']},R-2")
    contradicted(finance, approver, payment_id)
    go(finance, BATCHES)
    step(finance, "Close", "The batch is closed.")
    refund(system, deal, LUMIERE.amount)
    gives_up(finance, approver)
    for page in (finance, approver):
        page.context.close()
    assert complaints == []


def opened(browser: Browser, system: Running, name: str, complaints: list[str]) -> Page:
    """The batches as somebody sees them without script."""
    page = browser.new_context(base_url=system.url, java_script_enabled=False).new_page()
    complaints_of(page, complaints)
    sign_in(page, name, BATCHES)
    return page


def proposes(finn: Client, deal: str) -> str:
    """The payment of what the deal earned in a month that is over; its id."""
    line = finn.get(f"{MONEY}/lines?registration_id={deal}")["items"][0]

    def stated() -> Any:
        rows = finn.get(f"{MONEY}/statements?partner_id={line['partner_id']}")["items"]
        return rows[0] if rows else None

    statement = until(stated)
    payment_id: str = finn.post(f"{MONEY}/payments", {"statement_id": statement["statement_id"]})["payment_id"]
    return payment_id


def stands(finn: Client, payment_id: str, wanted: str) -> Any:
    """The payment, once it is in that state."""
    found = finn.look(f"{MONEY}/payments/{payment_id}")
    return found if found and found["state"] == wanted else None


def prepares(page: Page, payment_id: str) -> None:
    """Nothing ticked is refused beside the form; the payment of a payee without bank details says so."""
    tick = page.locator(f'input[value="{payment_id}"]')
    reload_until(page, page.get_by_role("listitem").filter(has=tick).filter(has_text="No bank details"))
    for one in page.get_by_role("checkbox").all():
        one.uncheck()
    page.get_by_role("button", name="Prepare in EUR").click()
    expect(page.get_by_role("alert")).to_contain_text("Tick at least one payment.")
    expect(tick).not_to_be_checked()
    tick.check()
    page.get_by_role("button", name="Prepare in EUR").click()
    expect(page.locator("p.note.good")).to_contain_text("The batch was prepared.")


def step(page: Page, button: str, said: str) -> None:
    go_until(page, BATCHES, page.get_by_role("button", name=button, exact=True)).click()
    expect(page.locator("p.note.good")).to_contain_text(said)


def no_file_without_bank_details(page: Page) -> None:
    page.get_by_role("button", name="pain.001").click()
    expect(page.get_by_role("alert")).to_contain_text("A bank's file names an account for every payment")
    expect(page.get_by_role("link", name=re.compile("^Southbridge"))).to_be_visible()


def reports(page: Page, row: str) -> None:
    """What is no report, and what the bank did not sign, changes nothing; then each row says what it changed."""
    head = "reference,outcome,on,provider_event_id"
    upload(page, "who,what", "first row is reference")
    upload(page, f"{head}\n{row}", "not signed by the provider", signature="0" * 64)
    content = f"{head}\r\n{row}\r\nnot ours,paid,2026-01-01,R-2\r\n"
    page.get_by_label("Kind").select_option("csv")
    file = {"name": "report.csv", "mimeType": "text/csv", "buffer": content.encode()}
    page.get_by_label("File").set_input_files(file)
    page.get_by_label("Signature").fill(signed(content))
    page.get_by_role("button", name="Take it in").click()
    results = page.get_by_role("region", name="What the report changed").get_by_role("listitem")
    expect(results.nth(0)).to_contain_text("recorded")
    expect(results.nth(1)).to_contain_text("never submitted")


def upload(page: Page, content: str, said: str, signature: str = "f" * 64) -> None:
    page.get_by_label("Kind").select_option("csv")
    page.get_by_label("or its content").fill(content)
    page.get_by_label("Signature").fill(signature)
    page.get_by_role("button", name="Take it in").click()
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_label("or its content")).to_have_value(content)


def contradicted(finance: Page, approver: Page, payment_id: str) -> None:
    """What the provider says against its word is a case, which a person closes."""
    go_until(finance, f"/payments/{payment_id}", finance.get_by_text("The provider contradicts itself."))
    finance.get_by_role("link", name="its case").click()
    expect(finance.get_by_text("Provider contradiction")).to_be_visible()
    close = approver.get_by_role("button", name="Close")
    go_until(approver, "/cases", close)
    approver.get_by_label("It was").select_option("false_alarm")
    approver.get_by_label("Reason").fill("the bank erred")
    close.click()
    expect(approver.get_by_text("The case is closed")).to_be_visible()


def signed(content: str) -> str:
    return hmac.new(PROVIDER_SECRET.encode(), content.encode(), hashlib.sha256).hexdigest()


def gives_up(finance: Page, approver: Page) -> None:
    """Who proposes to give up what is owed does not confirm it."""
    owing = finance.locator("#negative").get_by_role("listitem").filter(has_text="Southbridge")
    go_until(finance, "/owed", owing)
    owing.get_by_label("Why give it up").fill("The customer is insolvent.")
    owing.get_by_role("button", name="Propose").click()
    expect(finance.locator("p.note.good")).to_contain_text("Two people give up what is owed.")
    expect(owing).to_contain_text("so a second person has to confirm it")
    go_until(approver, "/owed", approver.get_by_role("button", name="Confirm: give it up")).click()
    given_up = approver.get_by_role("listitem").filter(has_text="The customer is insolvent.")
    expect(given_up).to_contain_text("given up")
    expect(approver.get_by_role("button", name="Confirm: give it up")).to_have_count(0)
