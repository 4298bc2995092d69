"""The pictures of the portal in the documentation, taken of a believable state: `make screenshots`."""

from pathlib import Path

from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.browser.portal import fill_in, go, launched, sign_in
from tests.browser.running import Running, running_system
from tests.browser.state import HALDEN, MARCHETTI, State, believable
from tests.engines.chromium import chromium_path

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
SIZE = {"width": 1200, "height": 800}
HEIGHT_MAX = 760
BYTES_MAX = 200 * 1024


def main() -> None:
    """Writes one picture a scene."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with running_system() as system, sync_playwright() as playwright:
        state = believable(system)
        browser = launched(playwright, chromium_path())
        for name, (who, path) in scenes(system, state).items():
            taken(browser, system, who, path, PICTURES / f"{name}.png")


def scenes(system: Running, state: State) -> dict[str, tuple[str, str]]:
    """Who looks at which page, by the picture's name."""
    won = state.deals[HALDEN.name]
    entries = system.who("northwind").get(f"/v1/timeline/{won}")["entries"]
    payout = next(entry["event_id"] for entry in entries if "PayoutCalculated" in entry["type"])
    line = system.who("finn").get(f"/v1/incentives/lines?registration_id={won}")["items"][0]["line_id"]
    return {
        "board": ("dora", "/deals"),
        "deal": ("northwind", f"/deals/{won}?why={payout}"),
        "desk": ("dora", f"/desk/{state.deals['Ostsee, rival']}"),
        "earnings": ("finn", "/earnings"),
        "line": ("northwind", f"/lines/{line}"),
        "register": ("northwind", "/deals/new"),
    }


def taken(browser: Browser, system: Running, who: str, path: str, file: Path) -> None:
    """One picture: as wide as a small window and as high as what it shows, with a limit."""
    context = browser.new_context(base_url=system.url, viewport=SIZE, timezone_id="Europe/Berlin")  # type: ignore[arg-type]
    page = context.new_page()
    sign_in(page, who)
    go(page, path)
    if path == "/deals/new":
        _with_preview(page)
    if page.locator("[data-live]").count():
        expect(page.locator("#live")).to_have_text("Live")
    height = min(HEIGHT_MAX, page.evaluate("document.querySelector('footer').offsetTop"))
    page.screenshot(path=file, full_page=True, clip={"x": 0, "y": 0, "width": SIZE["width"], "height": height})
    context.close()
    assert file.stat().st_size <= BYTES_MAX, f"{file} has {file.stat().st_size} bytes"


def _with_preview(page: Page) -> None:
    fill_in(page, MARCHETTI)
    page.locator("#preview .outcome").wait_for()


if __name__ == "__main__":
    main()
