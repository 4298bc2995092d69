"""What nobody should send: each is refused clearly, nothing of it is kept, and the system goes on answering.

Afterwards every log is what it was, and every decision in it is decided again alike.
"""

# ruff: noqa: RUF001  letters that look alike are sent on purpose

import re
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio

from chassis.asgi import Answer, Api
from chassis.inspection import WHOLE_FEED_PATH
from tests.scenarios.browser import browser
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.proofs import decided_again, verified
from tests.scenarios.routes import Route, outside, routes_of
from tests.scenarios.system import System, done, running_system

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
REFUSED = range(400, 500)
CUSTOMER = deal("Fabrikam", "fabrikam.com")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="it")
async def running(data: Path) -> AsyncIterator[System]:
    async with running_system(data) as system:
        yield system


def key() -> str:
    return f"hostile-{next(NUMBERS)}"


def clear(answer: Answer) -> None:
    """The answer is a refusal that a program can read: a problem document with a slug."""
    assert answer.status in REFUSED, (answer.status, answer.body[:200])
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert {"type", "title", "status", "detail", "slug"} <= body.keys()
    assert body["status"] == answer.status
    assert len(answer.body) < 100_000


async def post(api: Api, path: str, content: bytes, **headers: str) -> Answer:
    return await api.send("POST", path, content, {"idempotency-key": key(), **headers})


async def still_answers(it: System) -> None:
    north = await it.who("northwind")
    assert (await north.get("/v1/me")).status == 200
    assert (await it.front.get("/livez")).status == 200


def json_with(**changes: Any) -> bytes:
    return orjson.dumps({**CUSTOMER, **changes})


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
BODIES = {
    "ten megabytes": b'{"customer": "' + b"x" * 10_000_000 + b'"}',
    "a hundred thousand items": json_with(products=[{"family": "platform"}] * 100_000),
    "a hundred thousand small items": b'{"products":[' + b"1," * 99_999 + b"1]}",
    "a hundred thousand unknown fields": orjson.dumps({f"f{n}": 1 for n in range(50_000)}),
    "not a number": b'{"amount": NaN}',
    "infinity": b'{"amount": -Infinity}',
    "a number of 400 digits": b'{"amount": {"amount": ' + b"9" * 400 + b', "currency": "EUR"}}',
    "an amount of 400 digits": json_with(amount={"amount": "9" * 400, "currency": "EUR"}),
    "an exponent": json_with(amount={"amount": "1e9", "currency": "EUR"}),
    "a huge exponent": json_with(amount={"amount": "1E+999999999", "currency": "EUR"}),
    "a signed infinity": json_with(amount={"amount": "-Infinity", "currency": "EUR"}),
    "nothing": json_with(amount={"amount": "0.00", "currency": "EUR"}),
    "less than nothing": json_with(amount={"amount": "-15000.00", "currency": "EUR"}),
    "minus nothing": json_with(amount={"amount": "-0.00", "currency": "EUR"}),
    "too many digits of a cent": json_with(amount={"amount": "1.001", "currency": "EUR"}),
    "digits of another script": json_with(amount={"amount": "١٥٠٠٠", "currency": "EUR"}),
    "full-width digits": json_with(amount={"amount": "１５０００.００", "currency": "EUR"}),
    "a space in an amount": json_with(amount={"amount": " 15000.00", "currency": "EUR"}),
    "a line after an amount": json_with(amount={"amount": "15000.00\n", "currency": "EUR"}),
    "a currency that is none": json_with(amount={"amount": "1.00", "currency": "ZZZ"}),
    "a currency in small letters": json_with(amount={"amount": "1.00", "currency": "eur"}),
    "the year one": json_with(close_on="0001-01-01"),
    "the year 9999": json_with(close_on="9999-12-31"),
    "the year nought": json_with(close_on="0000-00-00"),
    "a date as a number": json_with(close_on=10**18),
    "a null character": b'{"customer": {"name": "a\\u0000b", "country": "DE", "website": "x.com"}}',
    "a null byte": b'{"customer": "\x00"}',
    "half a character": b'{"customer": {"name": "\\ud800", "country": "DE", "website": "x.com"}}',
    "half a character in a name of a field": b'{"\\udfff": 1}',
    "bytes that are no text": b'{"customer": "\xff\xfe"}',
    "an overlong encoding": b'{"customer": "\xc0\xaf"}',
    "deep nesting": DEEP[:1_000_000],
    "deep lists": b"[" * 500_000,
    "21 levels": b'{"customer":' * 21 + b"1" + b"}" * 21,
    "nothing at all": b"",
    "no object": b"[]",
    "a text": b'"x"',
    "cut short": b'{"customer": {"name": "Fabrikam"',
    "two values": b"{}{}",
    "a comment": b"{/* */}",
    "a country of two scripts": json_with(customer={"name": "F", "country": "DЕ", "website": "fabrikam.com"}),
    "a website that is a path": json_with(customer={"name": "F", "country": "DE", "website": "../../etc/passwd"}),
    "a quantity beyond measure": json_with().replace(b'"quantity":10', b'"quantity":1' + b"0" * 30),
    "a quantity below nothing": json_with(products=[{"family": "platform", "quantity": -1}]),
    "a quantity that is no whole": json_with(products=[{"family": "platform", "quantity": 1.5}]),
    "true as a quantity": json_with(products=[{"family": "platform", "quantity": "true"}]),
    "somebody else's deal": json_with(partner_id="p-somebody"),
    "a field that is none": json_with(__proto__={"admin": True}),
}


RULED = frozenset({"nothing", "less than nothing", "minus nothing", "the year one", "the year 9999"})
"""What only registering refuses, by a rule; asking before answers that rule, or nothing yet, and keeps nothing."""
SENT = [(DEALS, what) for what in BODIES] + [
    (path, what) for path in (f"{DEALS}/preview", "/v1/registration/checks") for what in BODIES if what not in RULED
]


@pytest.mark.parametrize(("path", "what"), SENT)
async def test_a_hostile_body_is_refused_and_nothing_of_it_is_kept(it: System, what: str, path: str) -> None:
    north = await it.who("northwind")
    await it.settle()
    before = done(await north.get(DEALS))["items"], done(await north.get("/v1/me"))["subject"]
    clear(await post(north, path, BODIES[what]))
    await it.settle()
    assert (done(await north.get(DEALS))["items"], done(await north.get("/v1/me"))["subject"]) == before
    await still_answers(it)


OTHER_ROUTES = (
    "/v1/onboarding/people",
    "/v1/onboarding/partners",
    "/v1/staff",
    "/v1/clients",
    "/v1/registration/rulebooks",
    "/v1/attribution/touches",
    "/v1/attribution/connections",
    "/v1/incentives/rulebooks",
    "/v1/shadow-runs",
    "/dev/token",
)


@pytest.mark.parametrize("path", OTHER_ROUTES)
async def test_no_route_takes_what_cannot_be_read(it: System, path: str) -> None:
    ada = await it.who("ada")
    for what in ("ten megabytes", "not a number", "a null byte", "half a character in a name of a field",
                 "bytes that are no text", "deep nesting", "deep lists", "nothing at all", "no object", "cut short",
                 "a hundred thousand unknown fields", "21 levels"):  # fmt: skip
        clear(await post(ada, path, BODIES[what]))
    await still_answers(it)


@pytest.mark.parametrize("path", ["/v1/clients", "/v1/registration/deals"])
async def test_a_body_too_deep_to_be_read_is_a_bad_request(it: System, path: str) -> None:
    answer = await post(await it.who("ada"), path, b"[" * 50_000 + b"]" * 50_000)
    assert (answer.status, answer.json()["slug"]) == (400, "bad-request")


EDGES = ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-14:00", "+292278994-08-17T07:12:55Z")


@pytest.mark.parametrize("at", EDGES)
async def test_instants_at_the_ends_of_the_calendar_are_refused(it: System, at: str) -> None:
    ada = await it.who("ada")
    partner = done(await ada.get("/v1/onboarding/partners"))["items"][0]["partner_id"]
    touch = {"touch_type": "demo", "partner_id": partner, "opportunity_id": "x", "touched_at": at, "source_key": "x"}
    book = {"rulebook_id": "default", "version": 1}
    for path, body in (
        (f"/v1/onboarding/partners/{partner}/suspend", {"scopes": ["content"], "reason_code": "x", "until": at}),
        ("/v1/attribution/touches", touch),
        ("/v1/registration/rulebooks/default/publish", {"version": 1, "effective_from": at}),
        ("/v1/registration/rulebooks/default/end", {"version": 1, "ended_from": at}),
        ("/v1/registration/shadow-runs", {**book, "from_at": at}),
        ("/v1/registration/shadow-runs", {**book, "until_at": at}),
        ("/dev/clock", {"to": at}),
    ):
        clear(await ada.post(path, body, key=key()))
    for path in ("/v1/attribution/opportunities/x/credit", "/v1/attribution/opportunities/x/credit/sourced"):
        clear(await ada.get(f"{path}?known_at={at.replace('+', '%2B')}"))


@pytest.mark.parametrize("period", ["0000-01", "2031-13", "2031-00", "9999-12", "٢٠٣١-٠١", "2031-1", "2031-011"])
async def test_a_period_that_is_no_month_is_refused(it: System, period: str) -> None:
    finn = await it.who("finn")
    partner = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    body = {"partner_id": partner, "period": period, "currency": "EUR"}
    clear(await finn.post("/v1/incentives/statements", body, key=key()))


IDS = (
    "../../../etc/passwd",
    "..%2F..%2Fetc%2Fpasswd",
    "%2e%2e%2f",
    "%00",
    "a%00b",
    "%ff%fe",
    "%ed%a0%80",
    "'%20OR%201=1--",
    "%22;DROP%20TABLE%20stored_events",
    "x" * 65,
    "x" * 5_000,
    "é" * 20,
    "~2",
    "a~2",
    "acme:deal-x",
    "%E2%80%AEtxt",
    "$.body",
    "*",
    "{}",
)
PATHS = (
    "/v1/registration/deals/{id}",
    "/v1/registration/accounts/{id}",
    "/v1/registration/proofs/{id}",
    "/v1/registration/why/{id}",
    "/v1/registration/rulebooks/{id}",
    "/v1/attribution/opportunities/{id}",
    "/v1/attribution/connections/{id}",
    "/v1/incentives/lines/{id}",
    "/v1/incentives/statements/{id}",
    "/v1/incentives/payments/{id}",
    "/v1/incentives/shadow-runs/{id}",
    "/v1/onboarding/partners/{id}",
    "/v1/onboarding/people/{id}",
    "/v1/events/{id}",
    "/v1/deals/{id}",
    "/v1/timeline/{id}",
    "/v1/why/{id}",
    "/v1/gateway/proofs/{id}",
)


@pytest.mark.parametrize("identity", IDS)
async def test_an_id_that_is_none_is_not_found(it: System, identity: str) -> None:
    ada = await it.who("ada")
    async with browser(it.front._app, headers={"authorization": f"Bearer {ada._token}"}) as client:
        for path in PATHS:
            answer = await client.get(path.replace("{id}", identity))
            assert answer.status_code in (400, 403, 404, 422), (path, answer.status_code, answer.text[:200])
            assert answer.headers["content-type"] == "application/problem+json", path
    await still_answers(it)


ANSWERED_WITHOUT_A_CALLER = {"/livez", "/readyz", "/metrics", "/openapi.json", "/v1/openapi.json"}


def asked_by_a_program(route: Route) -> bool:
    """Reads of the API; the portal's own pages and what needs nobody who asks take links from anywhere.

    Nor the feed, of which nobody but a service hears that it is there.
    """
    service, method, path = route
    untold = {*ANSWERED_WITHOUT_A_CALLER, WHOLE_FEED_PATH}
    return method == "GET" and path not in untold and (service != "gateway" or path.startswith("/v1/"))


async def test_no_read_passes_over_a_parameter_that_it_does_not_know(it: System) -> None:
    ada = await it.who("ada")
    routes = sorted({route for service in it.services.values() for route in routes_of(service)})
    paths = [re.sub("{[^}]*}", "x", outside(route)[1]) for route in routes if asked_by_a_program(route)]
    for path in paths:
        answer = await ada.get(f"{path}?no-such-thing=1")
        clear(answer)
        assert (answer.status, answer.json()["slug"]) == (422, "invalid"), path
        assert [error["path"] for error in answer.json()["errors"]] == ["query.no-such-thing"], path
    assert len(paths) > 150


KNOWN = "currency, cursor, fund_id, limit, partner_id, period, programme, sort, state"


async def test_an_unknown_parameter_is_named_beside_those_that_are_known(it: System) -> None:
    ada = await it.who("ada")
    answer = await ada.get("/v1/incentives/funds?partner=x&limit=2")
    assert answer.json()["errors"] == [
        {"path": "query.partner", "code": "extra-forbidden", "message": f"this route takes {KNOWN}"}
    ]
    answer = await post(ada, f"{DEALS}?dry_run=true", json_with())
    detail = "unknown in the query: dry_run; this route takes no parameters"
    assert (answer.status, answer.json()["detail"]) == (422, detail)


@pytest.mark.parametrize(("path", "status"), [("/nonsense", 404), ("/rules/registration/default/draft", 405)])
async def test_an_address_that_nothing_answers_is_a_page_for_who_reads_pages(
    it: System, path: str, status: int
) -> None:
    page = await it.front.get(path, accept="text/html,*/*;q=0.8")
    assert (page.status, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert b"There is no such page" in page.body

    for path_of_a_program, reads in ((path, "application/json"), (f"/v1{path}", "text/html")):
        answer = await it.front.get(path_of_a_program, accept=reads)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.status == (status if reads == "application/json" else 404)


async def test_hostile_headers_are_refused_or_harmless(it: System) -> None:
    north = await it.who("northwind")
    for headers in (
        {"idempotency-key": "x" * 65},
        {"idempotency-key": ""},
        {"if-match": "x"},
        {"if-match": '"' + "9" * 400 + '"'},
        {"if-match": '"-1"'},
    ):
        clear(await north.send("POST", DEALS, json_with(), {"idempotency-key": key(), **headers}))
    for headers in (
        {"entente-at-least": "registration=" + "9" * 400},
        {"entente-at-least": "x"},
        {"entente-at-least": "registration=1," * 5_000 + "registration=-1"},
    ):
        clear(await north.send("GET", DEALS, b"", headers))
    answer = await north.send("GET", DEALS, b"", {"entente-at-least": "registration=9999999999"})
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    position = (await it.services["registration"].store.head()) - 1
    done(await north.send("GET", DEALS, b"", {"entente-at-least": f"registration={position}, unheard-of=5"}), 200)
    for cursor in ("x" * 2_001, "x" * 100_000, "a.b", "é.é", "..."):
        clear(await north.get(f"{DEALS}?cursor={cursor}"))


async def test_a_trace_that_is_none_and_a_long_correlation_are_not_kept(it: System) -> None:
    north = await it.who("northwind")
    headers = {"traceparent": "x" * 10_000, "entente-correlation": "y" * 10_000}
    done(await post(north, DEALS, orjson.dumps(deal("Traced", "entente-traced.com")), **headers), 201)
    recorded = (await it.services["registration"].store.feed(0, 1_000))[-1]
    assert recorded.traceparent is None
    assert recorded.correlation_id == "y" * 64


async def test_a_body_without_a_length_is_counted(it: System) -> None:
    north = await it.who("northwind")

    async def endless() -> AsyncIterator[bytes]:
        yield b'{"customer": "'
        for _ in range(40):
            yield b"x" * 65_536

    headers = {"authorization": f"Bearer {north._token}", "idempotency-key": key(), "content-type": "application/json"}
    async with browser(it.front._app, headers=headers) as client:
        for path in (DEALS, "/v1/clients", "/dev/token"):
            answer = await client.post(path, content=endless())
            assert (answer.status_code, answer.json()["slug"]) == (413, "too-large"), path
        answer = await client.post(DEALS, content=b"{}", headers={"content-length": "-1"})
        assert answer.status_code == 413
    await still_answers(it)


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=x", "application/json; charset=utf-16", ""]
)
async def test_another_content_type_is_refused(it: System, kind: str) -> None:
    north = await it.who("northwind")
    headers = {"authorization": f"Bearer {north._token}", "idempotency-key": key(), "content-type": kind}
    async with browser(it.front._app, headers=headers) as client:
        answer = await client.post(DEALS, content=b"<xml/>")
        assert answer.status_code in REFUSED
        assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_of_another_type_is_told_which_type_it_has_to_be(it: System) -> None:
    north = await it.who("northwind")
    headers = {"authorization": f"Bearer {north._token}", "idempotency-key": key(), "content-type": "text/plain"}
    async with browser(it.front._app, headers=headers) as client:
        answer = await client.post(DEALS, content=json_with())
    assert answer.json()["errors"] == [
        {
            "path": "body",
            "code": "model-attributes-type",
            "message": "send a JSON object here, with Content-Type: application/json",
        }
    ]


async def test_a_part_of_a_body_that_has_to_be_an_object_is_told_so(it: System) -> None:
    north = await it.who("northwind")
    answer = await north.send("POST", DEALS, json_with(amount=12_000), {"idempotency-key": key()})
    assert answer.json()["errors"] == [
        {"path": "body.amount", "code": "model-attributes-type", "message": "send a JSON object here"}
    ]


async def test_the_last_of_two_equal_fields_counts_everywhere(it: System) -> None:
    """Both readers of a body, the one that decides and the one that recognises a retry, see the same."""
    north, again = await it.who("northwind"), key()
    once = orjson.dumps(deal("Twice", "entente-twice.com"))
    twice = b'{"amount": {"amount": "1.00", "currency": "EUR"}, ' + once[1:]
    first = await north.send("POST", DEALS, twice, {"idempotency-key": again})
    second = await north.send("POST", DEALS, once, {"idempotency-key": again})
    assert (first.status, first.body) == (201, second.body)


NAMES = {
    "right to left": "Fabrikam\u202eGmbH",
    "nothing to see": "\u200b\u200b\u200b",
    "combining": "Z" + "\u0351" * 100,
    "emoji": "👩‍👩‍👧‍👦 GmbH",
    "markup": "<script>alert(1)</script>",
    "template": "{{ 7*7 }} ${7*7}",
    "formula": "=cmd|' /C calc'!A0",
    "quotes": "Robert'); DROP TABLE deals;--",
    "lines": "a\r\nSet-Cookie: x=y",
}


@pytest.mark.parametrize("what", NAMES)
async def test_a_strange_name_is_kept_as_it_is_or_refused_and_runs_nowhere(it: System, what: str) -> None:
    north, number = await it.who("northwind"), next(NUMBERS)
    body = deal(NAMES[what], f"entente-strange-{number}.com")
    answer = await north.post(DEALS, body, key=key())
    if answer.status != 201:
        return clear(answer)
    await it.settle()
    deal_id = answer.json()["registration_id"]
    async with browser(it.front._app, cookies={"entente": north._token}) as client:
        page = (await client.get(f"/deals/{deal_id}")).text
        board = (await client.get("/deals")).text
    assert "<script>alert" not in page + board
    assert ">49" not in page
    return None


async def test_afterwards_every_log_is_what_it_was_and_is_decided_again_alike(it: System, data: Path) -> None:
    await it.settle()
    assert await it.parked() == 0
    for service in it.services.values():
        assert service.witness is not None
        await service.witness.checkpoint()
        for report in (await verified(service), await decided_again(service)):
            assert report.holds, report.lines()
