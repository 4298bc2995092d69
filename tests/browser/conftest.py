"""One system with a believable state and one browser for all these tests; each person has a browser context of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.portal import complaints_of, launched, sign_in
from tests.browser.running import Running, running_system
from tests.browser.state import State, believable

Browse = Callable[..., Page]


# The package's scope ends the browser's event loop before other tests start theirs.
@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        yield launched(playwright, chromium)


@pytest.fixture(scope="package")
def system() -> Iterator[Running]:
    with running_system() as running:
        yield running


@pytest.fixture(scope="package")
def state(system: Running) -> State:
    return believable(system)


@pytest.fixture
def browse(browser: Browser, system: Running, state: State) -> Iterator[Browse]:
    """Opens the portal as somebody; what the browser complained of by the end fails the test."""
    contexts, complaints = list[BrowserContext](), list[str]()

    def opened(name: str, path: str = "/", **options: Any) -> Page:
        context = browser.new_context(base_url=system.url, **options)
        contexts.append(context)
        page = context.new_page()
        complaints_of(page, complaints)
        sign_in(page, name, path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []
