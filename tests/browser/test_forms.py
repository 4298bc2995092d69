"""Forms in the hands of people: by keyboard, sent twice, refused, stale, after the session; and pages that follow events."""

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Browse
from tests.browser.portal import axis, fill_in, go, go_until, reload_until
from tests.browser.running import Running, until
from tests.browser.state import NORTH, Customer, approve, win
from tests.browser.state import register as registered

pytestmark = pytest.mark.xdist_group("browser")

FOCUSED = """() => {
  const here = document.activeElement;
  return [here.name || here.textContent.trim(), getComputedStyle(here).outlineStyle];
}"""
CEDAR = Customer("Cedar Valley Mills BV", "NL", "cedar-valley-mills.nl", "20000.00")
DRAVA = Customer("Drava Optik GmbH", "DE", "drava-optik.de", "15000.00")
ELMWOOD = Customer("Elmwood Clinics SARL", "FR", "elmwood-clinics.fr", "22000.00")
FIORDO = Customer("Fiordo Marine SpA", "IT", "fiordo-marine.it", "31000.00")
GINSTER = Customer("Ginster Blumen KG", "DE", "ginster-blumen.de", "9500.00")
GRANATA = Customer("Granata Film SL", "ES", "granata-film.es", "17000.00")
IRONBARK = Customer("Ironbark Tools BV", "NL", "ironbark-tools.nl", "13000.00")
JUNIPER = Customer("Juniper Freight Ltd", "GB", "juniper-freight.co.uk", "12500.00")
KORALLE = Customer("Koralle Druck GmbH", "DE", "koralle-druck.de", "11800.00")
LORBEER = Customer("Lorbeer Apotheken GmbH", "DE", "lorbeer-apotheken.de", "16200.00")
OBERTON = Customer("Oberton Orgelbau GmbH", "DE", "oberton-orgelbau.de", "18400.00")
MISTRAL = Customer("Mistral Voiles SARL", "FR", "mistral-voiles.fr", "14700.00")
HOLLOW = Customer("Hollow Creek Inns Ltd", "GB", "hollowcreekinns.co.uk", "9000.00")
TYPED_A_MINUTE = 200
"""Keys that somebody presses who types forty words a minute."""


def test_a_deal_is_registered_by_keyboard_alone_with_as_many_keys_as_are_typed_in_a_minute(browse: Browse) -> None:
    page = browse("northwind", "/deals/new")
    page.evaluate("() => { window.keys = 0; addEventListener('keydown', () => { window.keys += 1; }, true); }")
    reach(page, "Skip to the content")
    page.keyboard.press("Enter")
    reach(page, "customer")
    page.keyboard.type(CEDAR.name)
    page.keyboard.press("Tab")
    page.keyboard.type("Netherl")
    page.keyboard.press("Tab")
    page.keyboard.type(CEDAR.website)
    reach(page, "products")
    page.keyboard.press("Space")
    reach(page, "amount")
    page.keyboard.type(CEDAR.amount)
    assert len(CEDAR.name) < page.evaluate("window.keys") < TYPED_A_MINUTE
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(CEDAR.name)
    expect(axis(page, "Review")).to_contain_text("In review")


def test_the_menu_of_a_phone_opens_and_closes_by_keyboard(browse: Browse) -> None:
    page = browse("northwind", viewport={"width": 390, "height": 844})
    menu, drafts = page.locator("details.nav summary"), page.get_by_role("link", name="Drafts")
    expect(drafts).to_be_hidden()
    menu.focus()
    page.keyboard.press("Enter")
    expect(drafts).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Today")).to_be_focused()
    page.keyboard.press("Escape")
    expect(drafts).to_be_hidden()
    expect(menu).to_be_focused()


def reach(page: Page, wanted: str) -> None:
    """Presses Tab until the focus is on the link of that text or the field of that name, and sees that it shows."""
    for _ in range(40):
        page.keyboard.press("Tab")
        here = page.evaluate(FOCUSED)
        if here[0] == wanted:
            assert here[1] != "none"
            return
    raise AssertionError(f"Tab never reaches {wanted}")


def test_a_form_that_is_sent_twice_does_one_thing(browse: Browse) -> None:
    page = browse("northwind", "/deals/new")
    fill_in(page, DRAVA)
    fields = dict(page.evaluate("[...new FormData(document.querySelector('form.stacked'))]"))
    headers = {"origin": page.evaluate("location.origin")}
    answers = [page.context.request.post("/deals/new", form=fields, headers=headers, max_redirects=0) for _ in range(2)]
    assert [answer.status for answer in answers] == [303, 303]
    assert len({answer.headers["location"] for answer in answers}) == 1
    go_until(page, "/deals?q=drava", page.get_by_role("table").get_by_role("link", name=DRAVA.name))


def test_a_refused_registration_keeps_what_was_typed_and_says_what_to_do(browse: Browse) -> None:
    page = browse("southbridge", "/deals/new", java_script_enabled=False)
    fill_in(page, ELMWOOD)
    page.get_by_label("Close date").fill("2099-01-01")
    page.get_by_role("button", name="Register").click()
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Some fields do not fit")
    expect(alert).to_contain_text("Close date")
    assert page.get_by_label("Customer name").input_value() == ELMWOOD.name
    assert page.get_by_label("Country").input_value() == "FR"
    assert page.get_by_role("checkbox", name="Platform").is_checked()
    page.get_by_label("Close date").fill("")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(ELMWOOD.name)


def test_a_decision_on_a_page_that_is_out_of_date_is_refused_and_kept(browse: Browse, system: Running) -> None:
    deal = registered(system, NORTH, FIORDO)
    page, other = browse("dora", f"/desk/{deal}", java_script_enabled=False), browse("dora", f"/desk/{deal}")
    reload_until(page, page.get_by_text("Return for correction")).click()
    page.get_by_label("Amount").check()
    page.locator("form[action$='/return'] textarea").fill("Is the second site part of it?")
    reload_until(other, other.get_by_role("button", name="Approve and protect")).click()
    expect(other.locator("#decide")).to_contain_text("This deal is decided")
    page.get_by_role("button", name="Return", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("It has changed in the meantime")
    expect(page.locator("#decide")).to_contain_text("Is the second site part of it?")


def test_a_refused_correction_stays_in_its_form_and_a_good_one_goes_back_to_the_desk(
    browse: Browse, system: Running
) -> None:
    deal = registered(system, NORTH, GRANATA)
    wish = {"fields": ["amount"], "message": "Is the second site part of it?"}
    system.who("dora").post(f"/v1/registration/deals/{deal}/return", wish)
    page = browse("northwind", f"/deals/{deal}")
    reload_until(page, page.locator("#deal-head").filter(has_text="Is the second site part of it?"))
    page.get_by_label("Amount").fill("seventeen")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("alert")).to_contain_text("Amount")
    assert page.get_by_label("Amount").input_value() == "seventeen"
    page.get_by_label("Amount").fill("19000.00")
    page.get_by_role("button", name="Send again").click()
    expect(axis(page, "Review")).to_contain_text("In review")
    expect(axis(page, "Amount")).to_contain_text("€19,000.00")


def test_who_was_signed_out_meanwhile_signs_in_and_is_back(browse: Browse) -> None:
    page = browse("northwind", "/deals/new")
    fill_in(page, GINSTER)
    other = page.context.new_page()
    go(other, "/")
    other.locator("details.me summary").click()
    other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("status")).to_contain_text("your session is over")
    page.get_by_role("button", name="Northwind").click()
    page.wait_for_url("**/deals/new")
    go(other, "/deals?q=ginster")
    expect(other.get_by_text("No deal fits")).to_be_visible()


def test_board_and_earnings_follow_what_happens(browse: Browse, system: Running) -> None:
    board, earnings = browse("dora", "/deals"), browse("northwind", "/earnings")
    expect(board.locator("#live")).to_have_text("Live")
    expect(earnings.locator("#live")).to_have_text("Live")
    deal = registered(system, NORTH, HOLLOW)
    waits = board.locator("section", has=board.get_by_role("heading", name="In review"))
    expect(waits.get_by_role("link", name=HOLLOW.name)).to_be_visible()
    approve(system, deal)
    win(system, deal)
    expect(earnings.locator("#lines").get_by_role("link", name=HOLLOW.name, exact=True)).to_be_visible()
    ended = board.locator("section", has=board.get_by_role("heading", name="Ended"))
    expect(ended.get_by_role("link", name=HOLLOW.name)).to_be_visible()


def test_what_was_typed_stays_when_the_page_follows_what_happens(browse: Browse, system: Running) -> None:
    deal = registered(system, NORTH, OBERTON)
    page = browse("dora", f"/deals/{deal}")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_text("Write a note").click()
    page.get_by_label("Note", exact=True).fill("Their buyer is new.")
    page.get_by_role("heading", level=1).click()
    approve(system, deal)
    expect(axis(page, "Review")).to_contain_text("Approved")
    expect(page.get_by_label("Note", exact=True)).to_have_value("Their buyer is new.")


def test_what_happens_before_the_live_stream_opens_is_not_missed(browse: Browse, system: Running) -> None:
    page = browse("dora")

    def late(route: Route) -> None:
        registered(system, NORTH, IRONBARK)
        route.continue_()

    page.route("**/v1/stream*", late)
    go(page, "/deals")
    expect(page.locator("#board").get_by_role("link", name=IRONBARK.name)).to_be_visible()


def test_a_part_that_comes_late_or_not_at_all_is_asked_for_again(browse: Browse, system: Running) -> None:
    page = browse("dora", "/deals")
    board = page.locator("#board")
    expect(board).to_be_visible()
    before = page.content()
    answers = [
        lambda route: route.fulfill(status=503, body="not now"),
        lambda route: route.fulfill(
            body=before.replace("<head>", '<head><meta name="entente-late" content="registration">')
        ),
    ]
    asked = []

    def answer(route: Route) -> None:
        asked.append(route.request.headers["entente-at-least"])
        if answers:
            answers.pop(0)(route)
        else:
            route.continue_()

    page.route(lambda url: url.endswith("/deals"), answer)
    registered(system, NORTH, JUNIPER)
    expect(board.get_by_role("link", name=JUNIPER.name)).to_be_visible()
    assert len(asked) > len(answers) + 1


@pytest.mark.parametrize(("script", "wanted"), [(True, LORBEER), (False, MISTRAL)])
def test_a_page_that_lags_behind_what_its_reader_did_asks_again_by_itself(
    browse: Browse, system: Running, script: bool, wanted: Customer
) -> None:
    page = browse("dora", java_script_enabled=script)
    page.route("**/v1/stream*", lambda route: route.fulfill(status=503, body="later"))
    go(page, "/deals?at=registration=999999999")
    expect(page.locator("main noscript p")).to_have_count(0 if script else 1)
    registered(system, NORTH, wanted)
    expect(page.locator("#board").get_by_role("link", name=wanted.name)).to_be_visible()


def test_a_page_without_live_parts_that_lags_behind_what_its_reader_did_asks_again_too(
    browse: Browse, system: Running
) -> None:
    page = browse("ada")
    go(page, "/settings?done=revoked&at=gateway=999999999")
    said = page.get_by_role("status").filter(has_text="revoked")
    expect(said).to_be_visible()
    key = {"name": "Weekly figures", "scopes": ["registration:read"], "days": 30}
    system.who("ada").post("/v1/clients", key)
    expect(page.get_by_role("cell", name=key["name"], exact=True)).to_be_visible()
    expect(said).to_be_visible()


def test_a_stream_that_is_refused_is_asked_for_again(browse: Browse, system: Running) -> None:
    page = browse("dora")
    refusals = [429, 503]

    def answer(route: Route) -> None:
        if refusals:
            route.fulfill(status=refusals.pop(), body="later")
        else:
            route.continue_()

    page.route("**/v1/stream*", answer)
    go(page, "/deals")
    registered(system, NORTH, KORALLE)
    expect(page.locator("#board").get_by_role("link", name=KORALLE.name)).to_be_visible()
    assert refusals == []


def test_a_key_is_shown_once_and_ends_when_it_is_revoked(browse: Browse) -> None:
    page = browse("ada", "/settings")
    page.get_by_label("Name").fill("Nightly report")
    page.get_by_role("button", name="Make the key").click()
    key = page.locator("code.key").inner_text()
    answers(page, key, 200)
    revoke = go_until(page, "/settings", page.get_by_role("button", name="Revoke Nightly report"))
    expect(page.locator("main")).not_to_contain_text(key)
    revoke.click()
    row = page.get_by_role("row", name="Nightly report")
    reload_until(page, row.filter(has_text="Revoked"))
    answers(page, key, 401)


def answers(page: Page, key: str, status: int) -> None:
    """Waits until a call with the key is answered so: what was done to it is known within moments."""
    call = {"authorization": f"Bearer {key}"}
    until(lambda: page.request.get("/v1/registration/deals", headers=call).status == status)


def test_every_form_carries_a_token_that_only_this_session_has(browse: Browse) -> None:
    page, other = browse("northwind", "/deals/new"), browse("southbridge", "/deals/new")
    fill_in(page, DRAVA)
    fields = dict(other.evaluate("[...new FormData(document.querySelector('form.stacked'))]"))
    headers = {"origin": page.evaluate("location.origin")}
    answer = page.context.request.post("/deals/new", form=fields, headers=headers, max_redirects=0)
    assert answer.status == 403
    assert "This form is too old" in answer.text()
