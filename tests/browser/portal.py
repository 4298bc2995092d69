"""What a person does in the portal, by what it reads on the page: labels, buttons, links."""

import re
import time

from playwright.sync_api import Browser, Locator, Page, Playwright, Response, expect

from tests.browser.state import Customer
from tests.patience import PATIENCE_SECONDS

SWITCHES = (
    "--no-sandbox",
    "--disable-lcd-text",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = PATIENCE_SECONDS * 1_000
AGAIN = 'meta[http-equiv="refresh"]'
"""Stands in a page without script that lags behind what its reader did."""
expect.set_options(timeout=PATIENCE_MS)


def launched(playwright: Playwright, chromium: str) -> Browser:
    return playwright.chromium.launch(executable_path=chromium, args=list(SWITCHES))


def complaints_of(page: Page, found: list[str]) -> None:
    """Collects errors of scripts, and what the page's own policy or the browser refused: no refused form, no "not now"."""
    page.on("pageerror", lambda error: found.append(f"{page.url}: {error}"))
    page.on(
        "console", lambda said: found.append(f"{page.url}: {said.text}") if _is_fault(said.type, said.text) else None
    )


def _is_fault(kind: str, text: str) -> bool:
    return kind in ("error", "warning") and re.search("status of (4|503)", text) is None


def go(page: Page, path: str) -> Response | None:
    """Goes to another page, once the one before no longer asks for itself again: the browser drops one of two."""
    expect(page.locator(AGAIN)).to_have_count(0)
    return page.goto(path)


def sign_in(page: Page, name: str, path: str = "/", tenant: str = "") -> None:
    """Asks for a page, is sent to the sign-in page, signs in there, and is on the page that was asked for."""
    go(page, f"/dev/sign-in?tenant={tenant}" if tenant else path)
    reload_until(page, page.get_by_role("button", name=re.compile(f"^{name}", re.IGNORECASE))).click()
    page.wait_for_url(f"**{path}")


def fill_in(page: Page, wanted: Customer) -> None:
    """Fills in the five fields of a registration."""
    page.get_by_label("Customer name").fill(wanted.name)
    page.get_by_label("Country").select_option(wanted.country)
    page.get_by_label("Website or identifier").fill(wanted.website)
    for family in wanted.families:
        page.get_by_role("checkbox", name=family).check()
    page.get_by_label("Amount").fill(wanted.amount)


def register(page: Page, wanted: Customer) -> str:
    """Registers a deal by hand; the path of its page."""
    go(page, "/deals/new")
    fill_in(page, wanted)
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(wanted.name)
    return "/" + page.url.split("/", 3)[3].partition("?")[0]


def reload_until(page: Page, wanted: Locator) -> Locator:
    """What a reader without script does: reload until it is there. What somebody else did shows within moments."""
    deadline = time.monotonic() + PATIENCE_MS / 1_000
    while not wanted.count() and time.monotonic() < deadline:
        page.wait_for_timeout(100)
        if not page.locator(AGAIN).count():
            page.reload()
    expect(wanted).to_be_visible()
    return wanted


def go_until(page: Page, path: str, wanted: Locator) -> Locator:
    """Goes to a page that is to show what somebody else did, or what was done on another page; the part that shows it."""
    go(page, path)
    return reload_until(page, wanted)


def up_to_date(page: Page) -> None:
    """Waits until the page shows what was done on it: from then on others find it as well."""
    expect(page.locator('meta[name="entente-late"]')).to_have_count(0)


def axis(page: Page, name: str) -> Locator:
    """One of the facts at the head of a deal: `Review`, `Sales stage`, `Earned`."""
    return page.locator(".axes li").filter(has=page.get_by_text(name, exact=True))


def in_crm(page: Page, customer: str) -> Locator:
    """The row of a customer's deal in the simulated CRM."""
    return page.get_by_role("row").filter(has_text=customer)
