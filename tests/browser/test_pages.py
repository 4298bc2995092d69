"""Every page that a person can reach: it fits a phone, reads well, is sound to a screen reader, and says so when empty."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Browse
from tests.browser.portal import axis, complaints_of, go, sign_in
from tests.browser.running import Running
from tests.browser.state import HALDEN, OSTSEE

pytestmark = pytest.mark.xdist_group("browser")

PORTAL = Path(__file__).parents[2] / "services" / "gateway" / "api" / "portal"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 1}
IDENTIFIER = re.compile(r"[0-9a-f-]{30,}")

OF_THE_PORTAL, OF_VISITORS = [1, 1, 1], [1, 0, 0]
"""How often main, header and nav stand on a page; a form for visitors of the vendor's website stands alone."""

# What axe-core's rules of the same names look for, as far as a page of this portal could break them.
LOOK = """() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (one) => one.checkVisibility();
  const named = (one) => (one.textContent.trim() || one.getAttribute("aria-label") || "").length > 0;
  const count = (values) => values.filter((value, at) => values.indexOf(value) !== at);
  const references = all("[aria-labelledby], [aria-describedby]").flatMap((one) =>
    `${one.getAttribute("aria-labelledby") || ""} ${one.getAttribute("aria-describedby") || ""}`.trim().split(/ +/));
  return {
    language: document.documentElement.lang,
    title: document.title,
    headings: all("h1, h2, h3, h4").filter(shown).map((one) => Number(one.tagName[1])),
    landmarks: ["main", "header", "nav"].map((name) => all(name).length),
    sideways: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    unlabelled: all("input:not([type=hidden]), select, textarea").filter((one) => one.labels.length === 0).map((one) => one.name),
    nameless: all("a[href], button, summary").filter((one) => shown(one) && !named(one)).map((one) => one.outerHTML),
    twice: count(all("[id]").map((one) => one.id)),
    dangling: references.filter((id) => id && !document.getElementById(id)),
    pictures: all("img:not([alt])").length,
    headless: all("table").filter((one) => !one.querySelector("th")).length,
    inline: all("[style], script:not([src]), style, [onclick], [onsubmit], [onchange], [onload]").length,
    raw: (document.body.innerText.match(/undefined|\\{\\{|\\bNaN\\b|<built-in|Undefined/g) || []),
    links: all("a[href]").map((one) => one.getAttribute("href")),
  };
}"""


def faults(found: dict[str, Any], expected_landmarks: list[int]) -> dict[str, Any]:
    """What is wrong with a page."""
    levels = found["headings"]
    wanted = {
        "language": found["language"] == "en",
        "title": found["title"].endswith(" · Entente"),
        "one h1 first": levels.count(1) == 1 and levels[0] == 1,
        "no heading level skipped": all(after - before <= 1 for before, after in pairwise(levels)),
        "landmarks": found["landmarks"] == expected_landmarks,
        "fits 390 px": found["sideways"] <= 0,
    }
    empty = ("unlabelled", "nameless", "twice", "dangling", "pictures", "headless", "inline", "raw")
    return {
        **{name: found for name, holds in wanted.items() if not holds},
        **{name: found[name] for name in empty if found[name]},
    }


def walked(page: Page) -> dict[str, dict[str, Any]]:
    """The faults of one page of every kind that can be reached from where the page is, by address."""
    ahead, kinds, wrong = ["/"], set(), {}
    while ahead:
        path = ahead.pop(0).partition("#")[0]
        kind = IDENTIFIER.sub("…", path.partition("?")[0])
        if kind in kinds or not path.startswith("/") or path.startswith(("/dev", "/v1", "/static")):
            continue
        kinds.add(kind)
        answer = page.goto(path, wait_until="domcontentloaded")
        assert answer is not None
        found = page.evaluate(LOOK)
        if bad := faults(found, OF_VISITORS if path.startswith("/forms/") else OF_THE_PORTAL) or (
            answer.status != 200 and {"status": answer.status}
        ):
            wrong[path] = bad
        ahead += found["links"]
    assert len(kinds) > 10, kinds
    return wrong


@pytest.mark.parametrize("name", ["ada", "finn", "southbridge"])
def test_every_page_fits_a_phone_and_is_sound(browse: Browse, name: str) -> None:
    assert walked(browse(name, **PHONE)) == {}


CUT_OFF = """() => {
  document.querySelectorAll("main details").forEach((one) => { one.open = true; });
  return [...document.querySelectorAll("main select")].filter((one) => {
    const whole = one.cloneNode(true);
    whole.style.cssText = "position: absolute; width: auto; min-width: 0; max-width: none";
    one.parentNode.append(whole);
    const missing = whole.offsetWidth - one.offsetWidth;
    whole.remove();
    return missing > 1;
  }).map((one) => one.name);
}"""
"""The lists whose longest choice is wider than they are; the names of some countries are wider than a phone."""


def test_no_choice_of_a_list_is_cut_off_on_a_phone(browse: Browse) -> None:
    page, found = browse("dora", **PHONE), {}
    for path in ("/deals", "/customers", "/exclusions", "/mails", "/invitations", "/disputes"):
        go(page, path)
        found[path] = [name for name in page.evaluate(CUT_OFF) if name != "country"]
    assert [path for path, names in found.items() if names] == []


def test_the_sign_in_page_lists_who_can_sign_in(browser: Browser, system: Running, state: object) -> None:
    page = browser.new_context(base_url=system.url, **PHONE).new_page()  # type: ignore[arg-type]
    go(page, "/")
    assert faults(page.evaluate(LOOK), [1, 0, 0]) == {}
    names = page.locator("button strong").all_inner_texts()
    assert set(names) == {"Ada", "Cara", "Dora", "Faye", "Finn", "Northwind Partners", "Southbridge Systems"}
    page.context.close()


def test_a_new_vendor_is_told_what_comes_first(browser: Browser, system: Running) -> None:
    tenant = {"slug": "novum", "name": "Novum", "zone": "Europe/Paris", "currency": "EUR", "locales": ["en"]}
    operator = system.who("operator")
    operator.post("/v1/tenants", tenant)
    who = {"handle": "vera", "name": "Vera Vendor", "mail": "vera@novum.example", "roles": ["admin", "deal_desk"]}
    system.who("operator", tenant="novum").post("/v1/staff", who)
    complaints: list[str] = []
    page = browser.new_context(base_url=system.url, **PHONE).new_page()  # type: ignore[arg-type]
    complaints_of(page, complaints)
    sign_in(page, "vera", tenant="novum")
    said = {
        "/": "Nothing waits for you",
        "/deals": "There are no deals yet",
        "/desk": "Nothing to review",
        "/earnings": "Nothing was earned yet",
        "/partners": "No partner yet",
        "/rules": "No rules of its own",
    }
    for path, text in said.items():
        go(page, path)
        expect(page.locator("main")).to_contain_text(text)
        assert faults(page.evaluate(LOOK), [1, 1, 1]) == {}
    page.context.close()
    assert complaints == []


def test_a_reader_gets_amounts_and_dates_in_its_language_and_deadlines_in_its_own_zone_too(browse: Browse) -> None:
    page = browse("dora", locale="de-DE", timezone_id="America/New_York")
    go(page, "/deals?status=approved")
    page.get_by_role("link", name=OSTSEE.name).click()
    expect(axis(page, "Amount")).to_contain_text("127.000,00\N{NO-BREAK SPACE}€")
    # The end of a day in Berlin; five hours apart in the weeks in which one of both has changed its clocks already.
    expect(axis(page, "Protection ends")).to_contain_text(re.compile(r"1[89]:00 your time"))


def test_the_search_finds_a_deal_by_the_beginning_of_a_word(browse: Browse) -> None:
    page = browse("northwind")
    page.get_by_role("searchbox", name="Search deals").fill("hald")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=HALDEN.name).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HALDEN.name)


def test_what_is_not_there_and_what_is_not_for_the_role_say_so(browse: Browse) -> None:
    page = browse("northwind")
    go(page, "/deals/of-nobody")
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no such page")
    go(page, "/money")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not yours to see or do")
    expect(page.get_by_role("link", name="To the first page")).to_be_visible()


# What holds of the files themselves


def test_script_and_stylesheet_stay_small() -> None:
    assert (PORTAL / "static" / "entente.js").stat().st_size <= 15 * 1024
    assert (PORTAL / "static" / "entente.css").stat().st_size <= 30 * 1024


def palettes() -> dict[str, dict[str, str]]:
    """The colours by name, for light and for dark; dark has its own of all."""
    css = (PORTAL / "static" / "entente.css").read_text()
    roots = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{3,6})", root)) for root in roots)
    assert light.keys() == dark.keys()
    return {"light": light, "dark": dark}


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2.2 computes it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


TONES = ("good", "warn", "bad", "info", "plain", "accent")
SERVICES = ("onboarding", "registration", "attribution", "incentives", "gateway")
TEXT = [
    *((ink, ground) for ink in ("ink", "soft", "accent", "bad", *SERVICES) for ground in ("paper", "card")),
    *((tone, f"{tone}-soft") for tone in TONES),
    *(("ink", f"{tone}-soft") for tone in TONES),
    *((soft, "accent-soft") for soft in ("soft", *SERVICES)),
    ("soft", "plain-soft"),
    ("accent-ink", "accent"),
    ("card", "good"),
]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_stands_out_from_its_ground(theme: str) -> None:
    colours = palettes()[theme]
    ratios = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in TEXT}
    assert {pair: ratio for pair, ratio in ratios.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_edges_of_fields_and_the_focus_stand_out(theme: str) -> None:
    colours = palettes()[theme]
    pairs = [(edge, ground) for edge in ("field", "accent") for ground in ("paper", "card")]
    assert [pair for pair in pairs if contrast(colours[pair[0]], colours[pair[1]]) < 3] == []
