"""Outside development people sign in by an issuer: who is let in, as whom, and everything that does not open the door."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from joserfc.jwk import OctKey, RSAKey

from services.attribution.adapters.loopback import on_loopback
from services.gateway.adapters.openid import Issuer, OpenId
from services.gateway.api.authentication import LOCKED_COOKIE
from services.gateway.app import Settings
from tests.gateway.issuer import CLIENT, SECRET, Account, Pretend, issuer
from tests.scenarios.system import System, done, running_system

pytestmark = pytest.mark.asyncio(loop_scope="module")
FRONT = "https://127.0.0.1:8080"
NORA = "owner@northwind.example"
REST = {"openid_client": CLIENT, "openid_secret": SECRET, "public_url": "https://portal.example"}
NUMBERS = count(1)


def key() -> str:
    return f"openid-{next(NUMBERS)}"


class Door:
    """A system whose people an issuer vouches for."""

    def __init__(self, system: System, pretend: Pretend) -> None:
        self.system, self.pretend = system, pretend

    @property
    def openid(self) -> OpenId:
        found: OpenId = self.system.services["gateway"].application.ports.openid
        return found

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[httpx.AsyncClient]:
        transport = httpx.ASGITransport(app=self.system.front._app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=FRONT) as page:
            yield page

    async def sign_in(self, page: httpx.AsyncClient, who: Account | None = None, to: str = "/") -> httpx.Response:
        """The whole way: to the issuer, in there, and back."""
        self.pretend.who = who or self.pretend.who
        back = await self.let_in(page, to)
        return await page.get(f"{back.path}?{back.query}")

    async def let_in(self, page: httpx.AsyncClient, to: str = "/") -> Any:
        """Where the issuer sends the browser back to."""
        there = await page.get("/sign-in/start", params={"tenant": "acme", "return_to": to})
        assert there.status_code == 303, there.text
        async with httpx.AsyncClient() as outside:
            answer = await outside.get(there.headers["location"])
        return urlsplit(answer.headers["location"])


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="door")
async def fixture(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    data: Path = tmp_path_factory.mktemp("openid")
    pretend = Pretend()
    async with running_system(data) as system, on_loopback(issuer(pretend)) as pretend.url:
        app = system.services["gateway"].application
        await system.who("ada")
        development = app.ports
        openid = OpenId(Issuer(pretend.url, CLIENT, SECRET, f"{FRONT}/callback"))
        app.ports = replace(development, development=False, openid=openid)
        yield Door(system, pretend)
        await openid.close()
        app.ports = development


@pytest.fixture(autouse=True)
def honest(door: Door) -> None:
    fresh = Pretend(key=door.pretend.key, url=door.pretend.url)
    door.pretend.__dict__.update(fresh.__dict__)


async def me(page: httpx.AsyncClient) -> tuple[int, dict[str, Any]]:
    answer = await page.get("/v1/me")
    return answer.status_code, answer.json()


def trouble(answer: httpx.Response) -> tuple[int, str]:
    assert LOCKED_COOKIE not in answer.headers.get("set-cookie", "")
    return answer.status_code, answer.text.partition('role="alert">')[2].partition("</p>")[0]


# In


async def test_staff_come_in_by_the_issuer_and_back_to_the_page_that_they_asked_for(door: Door) -> None:
    async with door.browser() as page:
        asked = await page.get("/deals?status=waiting")
        assert asked.headers["location"] == "/sign-in?return_to=/deals%3Fstatus%3Dwaiting"
        assert 'name="tenant"' in (await page.get(asked.headers["location"])).text
        assert "/sign-in/start?tenant=acme" in (await page.get("/sign-in?tenant=acme")).text
        answer = await door.sign_in(page, Account("ada-1", "Ada@acme.example"), "/deals?status=waiting")
        assert (answer.status_code, answer.headers["location"]) == (303, "/deals?status=waiting")
        kept = next(one for one in answer.headers.get_list("set-cookie") if one.startswith(LOCKED_COOKIE))
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(kept.split("; "))
        assert "Domain" not in kept
        status, who = await me(page)
        assert (status, who["kind"], who["roles"]) == (200, "vendor", ["admin"])


async def test_a_partner_s_people_come_in_as_themselves(door: Door) -> None:
    async with door.browser() as page:
        assert (await door.sign_in(page, Account("nora-1", NORA))).status_code == 303
        _, who = await me(page)
        assert (who["kind"], who["partner_name"], who["roles"]) == ("partner", "Northwind Partners", ["owner"])


async def test_a_login_stays_who_it_was_whatever_its_mail_address_becomes(door: Door) -> None:
    for mail, confirmed in (("dora@acme.example", True), ("d.smith@acme.example", True), (NORA, False)):
        async with door.browser() as page:
            assert (await door.sign_in(page, Account("dora-1", mail, confirmed))).status_code == 303
            assert (await me(page))[1]["roles"] == ["deal_desk"]


async def test_who_gets_somebody_s_mail_address_later_does_not_become_them_until_they_are_released(door: Door) -> None:
    async with door.browser() as first, door.browser() as second:
        assert (await door.sign_in(first, Account("faye-1", "faye@acme.example"))).status_code == 303
        subject = (await me(first))[1]["subject"]
        refused = await door.sign_in(second, Account("faye-2", "faye@acme.example"))
        assert trouble(refused)[0] == 409
        assert (await me(second))[0] == 401
        ada, dora = await door.system.who("ada"), await door.system.who("dora")
        assert (await dora.post(f"/v1/logins/{subject}/release", key=key())).status == 403
        done(await ada.post(f"/v1/logins/{subject}/release", key=key()))
        await door.system.settle()
        assert (await me(first))[0] == 401
        assert (await door.sign_in(second)).status_code == 303
        assert (await me(second))[1]["subject"] == subject
        assert trouble(await door.sign_in(first, Account("faye-1", "faye@acme.example")))[0] == 409


# Not in


@pytest.mark.parametrize(
    ("who", "why"),
    [
        (Account("x", "ada@acme.example", confirmed=False), "an address that nobody has confirmed"),
        (Account("x", "ada@acme.example", confirmed="true"), "a word is not yes"),
        (Account("x", "nobody@acme.example"), "an address that the tenant does not know"),
        (Account("x", ""), "no address"),
    ],
)
async def test_whom_the_tenant_does_not_know_is_told_so(door: Door, who: Account, why: str) -> None:
    async with door.browser() as page:
        status, said = trouble(await door.sign_in(page, who))
        assert (status, said.partition(",")[0]) == (403, "The issuer knows you"), why
        assert (await me(page))[0] == 401


STRANGER = RSAKey.generate_key(2048, {"kid": "first"})


@pytest.mark.parametrize(
    "lie",
    [
        {"lies": {"nonce": "of another sign-in"}},
        {"lies": {"nonce": None}},
        {"lies": {"aud": "another client"}},
        {"lies": {"aud": [CLIENT, "another client"], "azp": "another client"}},
        {"lies": {"iss": "https://elsewhere.example"}},
        {"lies": {"exp": int(time()) - 3_600}},
        {"lies": {"exp": None}},
        {"lies": {"iat": int(time()) + 3_600}},
        {"lies": {"sub": ""}},
        {"lies": {"sub": None}},
        {"signing": STRANGER},
        {"signing": OctKey.import_key(SECRET), "algorithm": "HS256"},
        {"algorithm": "RS384"},
    ],
    ids=count(),
)
async def test_a_token_that_does_not_hold_lets_nobody_in(door: Door, lie: dict[str, Any]) -> None:
    door.pretend.__dict__.update(lie)
    async with door.browser() as page:
        assert trouble(await door.sign_in(page, Account("ada-1", "ada@acme.example")))[0] == 401
        assert (await me(page))[0] == 401


async def test_an_answer_that_belongs_to_no_attempt_of_this_browser_lets_nobody_in(door: Door) -> None:
    door.pretend.who = Account("ada-1", "ada@acme.example")
    async with door.browser() as victim, door.browser() as attacker:
        back = await door.let_in(attacker)
        assert trouble(await victim.get(f"{back.path}?{back.query}"))[0] == 401  # nobody signs me in as somebody else
        assert trouble(await attacker.get(f"{back.path}?{back.query.replace('state=', 'state=x')}"))[0] == 401
        assert trouble(await attacker.get(f"{back.path}?error=access_denied&{back.query.partition('&')[2]}"))[0] == 401
        kept = attacker.cookies["__Host-entente-attempt"]
        attacker.cookies.set("__Host-entente-attempt", f"x{kept}", domain="127.0.0.1")
        assert trouble(await attacker.get(f"{back.path}?{back.query}"))[0] == 401


async def test_a_code_is_good_once(door: Door) -> None:
    door.pretend.who = Account("ada-1", "ada@acme.example")
    async with door.browser() as page:
        back = await door.let_in(page)
        kept = page.cookies["__Host-entente-attempt"]
        assert (await page.get(f"{back.path}?{back.query}")).status_code == 303
        page.cookies.set("__Host-entente-attempt", kept, domain="127.0.0.1")
        assert trouble(await page.get(f"{back.path}?{back.query}"))[0] == 401


@pytest.mark.parametrize("to", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example"])
async def test_nobody_is_sent_elsewhere_after_signing_in(door: Door, to: str) -> None:
    async with door.browser() as page:
        answer = await door.sign_in(page, Account("ada-1", "ada@acme.example"), to)
        assert answer.headers["location"] == "/"


async def test_a_tenant_that_is_not_open_sends_nobody_anywhere(door: Door) -> None:
    async with door.browser() as page:
        for tenant in ("nowhere", "", "shared", "a/b", "x" * 40):
            answer = await page.get("/sign-in/start", params={"tenant": tenant})
            assert (answer.status_code, "location" in answer.headers) == (403, False), tenant


# The issuer itself


async def test_keys_that_the_issuer_has_changed_are_found(door: Door) -> None:
    async with door.browser() as page:
        assert (await door.sign_in(page, Account("ada-1", "ada@acme.example"))).status_code == 303
        door.pretend.key = RSAKey.generate_key(2048, {"kid": "second", "use": "sig"})
        assert door.openid._kept is not None
        door.openid._kept.at += 60
        assert (
            trouble(await door.sign_in(page))[0] == 401
        )  # asked a moment ago: not at every token that somebody makes up
        door.openid._kept.at -= 120
        assert (await door.sign_in(page)).status_code == 303


@pytest.mark.parametrize(
    "state",
    [
        {"away": True},
        {"description": {"issuer": "https://elsewhere.example"}},
        {"description": {"token_endpoint": "ftp://elsewhere.example"}},
        {"description": {"jwks_uri": None}},
    ],
    ids=str,
)
async def test_an_issuer_that_is_away_or_not_itself_is_told_of(door: Door, state: dict[str, Any]) -> None:
    door.pretend.__dict__.update(state)
    door.openid._kept = None
    async with door.browser() as page:
        answer = await page.get("/sign-in/start?tenant=acme")
        assert (answer.status_code, "Continue" in answer.text) == (503, True)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"openid_issuer": "https://id.example"}, "ISSUER needs ENTENTE_OPENID_CLIENT"),
        ({"openid_issuer": "http://id.example", **REST}, "https"),
        ({"openid_issuer": "https://id.example", **REST, "public_url": "http://portal.example"}, "https"),
    ],
)
async def test_settings_that_are_not_whole_are_refused(given: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        Settings(environment="production", **given)


async def test_without_an_issuer_nobody_vouches() -> None:
    assert Settings(environment="production").issuer() is None
