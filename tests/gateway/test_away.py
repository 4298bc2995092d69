"""A part that does not answer for the moment is no empty list, and what was typed meanwhile is kept to be sent again."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from services.gateway.adapters.upstreams import Upstreams
from tests.scenarios.system import System, done, until
from tests.scenarios.test_money_pages import portal_of, up_to_date

pytestmark = pytest.mark.asyncio(loop_scope="module")

A_PART = "A part of Entente does not answer for the moment."
PRICE = {
    "kind": "blanket",
    "starts_on": "2031-03-03",
    "ends_on": "2031-06-30",
    "currency": "EUR",
    "reason": "for the fair in Hanover",
    "sku_1": "CLOUD-S",
    "cost_1": "1000.00",
    "price_1": "900.00",
    "units_1": "5",
}


@dataclass
class Away:
    """The services, of which some paths do not answer."""

    services: Upstreams
    paths: re.Pattern[str]

    def knows(self, service: str) -> bool:
        return self.services.knows(service)

    async def forward(self, service: str, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.paths.fullmatch(f"{scope['method']} {service}{scope['path']}"):
            return await self.services.forward(service, scope, receive, send)
        problem = orjson.dumps({"slug": "unavailable", "status": 503, "title": "Unavailable"})
        await send({"type": "http.response.start", "status": 503, "headers": [(b"retry-after", b"1")]})
        return await send({"type": "http.response.body", "body": problem})

    async def close(self) -> None:
        await self.services.close()


@contextmanager
def away(it: System, paths: str) -> Iterator[None]:
    """Without what answers these: `GET incentives/payees`."""
    app: Any = it.services["gateway"].application
    before = app.ports
    app.ports = replace(before, upstreams=Away(before.upstreams, re.compile(paths)))
    try:
        yield
    finally:
        app.ports = before


async def whom(page: Any) -> str:
    """A partner that may be granted a price, as the page names it."""

    async def offered() -> str:
        text = (await page.get("/special-prices")).text
        found = re.search(r'<optgroup label="Without a deal"> <option value="([^"]+)"', text)
        return found[1] if found else ""

    found: str = await until(offered)
    return found


def hidden(text: str, form: str) -> dict[str, str]:
    """The fields that the page filled in of the form that begins so."""
    part = text[text.index(form) :].partition("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', part))


async def test_a_list_that_does_not_answer_is_not_said_to_be_empty(it: System) -> None:
    async with portal_of(it, await it.who("finn")) as finn, portal_of(it, await it.who("faye")) as faye:
        await whom(faye)
        with away(it, "GET incentives/payees"):
            prices, money = (await faye.get("/special-prices")).text, (await finn.get("/money")).text

    assert "No partner is active yet" not in prices
    assert [A_PART in text for text in (prices, money)] == [True, True]
    assert "Who could have one cannot be shown now." in prices
    assert "Whom one can be issued for cannot be shown now." in money


async def test_a_price_that_is_refused_while_the_partners_cannot_be_asked_for_keeps_what_was_typed(it: System) -> None:
    async with portal_of(it, await it.who("faye")) as page:
        partner = await whom(page)
        form = hidden((await page.get("/special-prices")).text, '<form method="post" action="/special-prices"')
        wrong = {**PRICE, "price_1": "1100.00"}
        with away(it, "GET incentives/payees"):
            answer = await page.post("/special-prices", data={**form, **wrong, "whom": partner})

    assert answer.status_code == 422
    assert f'<option value="{partner}" selected>What you chose</option>' in answer.text
    for name in ("starts_on", "ends_on", "reason", "sku_1", "cost_1", "price_1", "units_1"):
        assert re.search(rf'name="{name}"[^>]* value="{re.escape(wrong[name])}"', answer.text), name


async def test_what_nobody_took_in_is_sent_again_from_the_page_and_done_once(it: System) -> None:
    async with portal_of(it, await it.who("faye")) as page:
        partner = await whom(page)
        form = hidden((await page.get("/special-prices")).text, '<form method="post" action="/special-prices"')
        with away(it, "(GET|POST) incentives/.*"):
            answer = await page.post("/special-prices", data={**form, **PRICE, "whom": partner})
        assert answer.status_code == 503
        assert "<dt>Reason</dt><dd>for the fair in Hanover</dd>" in answer.text
        kept = hidden(answer.text[answer.text.index("What you filled in") :], "<form")
        assert kept == {**form, **PRICE, "whom": partner}

        first, second = [await up_to_date(page, await page.post("/special-prices", data=kept)) for _ in range(2)]
        assert [first.status_code, second.status_code] == [200, 200]
        assert (await until_granted(page)).count("for the fair in Hanover") == 1


async def until_granted(page: Any) -> str:
    async def granted() -> str:
        text = (await page.get("/special-prices")).text
        return text if "for the fair in Hanover" in text else ""

    found: str = await until(granted)
    return found


@pytest.mark.parametrize(
    ("path", "needs", "typed"),
    [
        ("/special-prices/claim", "GET incentives/special-prices/.*", {"of_id": "a-price", "sku_1": "CLOUD-S"}),
        ("/claims/some-claim/rewrite", "GET incentives/claims/.*", {"text_1": "The hall", "amount_1": "9000.00"}),
    ],
)
async def test_a_form_that_needs_what_is_away_is_no_page_that_was_never_there(
    it: System, path: str, needs: str, typed: Mapping[str, str]
) -> None:
    async with portal_of(it, await it.who("northwind")) as page:
        form = hidden((await page.get("/deals")).text, '<form method="post" action="/sign-out"')
        with away(it, needs):
            answer = await page.post(path, data={**form, **typed})
        gone = await page.post(path, data={**form, **typed})

    assert (answer.status_code, gone.status_code) == (503, 404)
    assert hidden(answer.text[answer.text.index("What you filled in") :], "<form") == {**form, **typed}


async def test_a_line_that_cannot_be_read_for_the_moment_keeps_its_credit_note(it: System) -> None:
    typed = {"reversal_id": "CN-7", "amount": "100.00", "currency": "EUR", "reason_code": "refund", "on": "2031-03-03"}
    async with portal_of(it, await it.who("finn")) as page:
        form = hidden((await page.get("/deals")).text, '<form method="post" action="/sign-out"')
        with away(it, "GET incentives/lines/.*"):
            answer = await page.post("/lines/some-line/reverse", data={**form, **typed})
    assert answer.status_code == 503
    assert "<dd>CN-7</dd>" in answer.text


async def test_nobody_is_told_that_no_rule_decided_while_who_knows_the_rule_is_away(it: System) -> None:
    who = await it.who("ada")
    told = map(orjson.loads, (await who.get("/v1/events?limit=1000")).body.splitlines())
    event_id = next(one["event_id"] for one in told if one["source"] == "incentives")
    with away(it, "GET incentives/why/.*"):
        assert await Plain(it).get(f"/v1/why/{event_id}", who) == 503
    assert await Plain(it).get(f"/v1/why/{event_id}", who) == 200


@dataclass
class Plain:
    """Asks once, where the client of the tests would come again."""

    it: System

    async def get(self, path: str, who: Any) -> int:
        async with portal_of(self.it, who) as page:
            return int((await page.get(path)).status_code)


async def test_a_deal_is_shown_without_the_explanation_that_cannot_be_had(it: System) -> None:
    nora = await it.who("northwind")
    body = {
        "customer": {"name": "Quarzwerk GmbH", "country": "DE", "website": "quarzwerk-away.de"},
        "products": [{"family": "platform"}],
        "amount": {"amount": "20000.00", "currency": "EUR"},
        "close_on": "2031-05-01",
    }
    deal = done(await nora.post("/v1/registration/deals", body, key="away-deal"), 201)["registration_id"]
    await it.settle()
    async with portal_of(it, nora) as page:
        with away(it, "GET registration/why/.*"):
            answer = await page.get(f"/deals/{deal}")
    assert answer.status_code == 200
    assert "Quarzwerk GmbH" in answer.text
    assert A_PART in answer.text


async def test_who_may_what_is_told_of_every_service_or_not_at_all(it: System) -> None:
    with away(it, "GET attribution/access"):
        assert await Plain(it).get("/v1/access-matrix", await it.who("ada")) == 503


async def test_a_run_is_not_missing_while_a_service_that_may_have_it_is_away(it: System) -> None:
    who = await it.who("ada")
    with away(it, "GET incentives/shadow-runs/.*"):
        assert await Plain(it).get("/v1/shadow-runs/some-run", who) == 503
    assert await Plain(it).get("/v1/shadow-runs/some-run", who) == 404


async def test_nobody_is_forbidden_what_a_service_has_not_told_of_yet(it: System) -> None:
    async with portal_of(it, await it.who("finn")) as page:
        before = (await page.get("/money")).status_code
        it.services["gateway"].api.state.access_tables.clear()
        with away(it, "GET incentives/access"):
            answer = await page.get("/money")
        after = (await page.get("/money")).status_code
    assert (before, answer.status_code, after) == (200, 503, 200)
    assert answer.headers["refresh"] == "5"
    assert "A part of Entente does not answer" in answer.text
