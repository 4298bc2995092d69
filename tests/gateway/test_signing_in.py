"""The door: who comes in by session or key, as whom, for how long, and everything that does not open it."""

import asyncio
import time
from datetime import timedelta
from itertools import count
from typing import Any

import orjson
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from chassis.asgi import Api
from chassis.event import iso
from chassis.identity import Principal
from services.gateway.app import Settings
from services.gateway.domain.client import SCOPES
from tests.scenarios.browser import HOST, browser
from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
ORIGIN = f"http://{HOST}"


def key() -> str:
    return f"signing-in-{next(NUMBERS)}"


async def colleague(it: System, handle: str, roles: list[str], duties: list[str] | None = None) -> Api:
    """A new member of the vendor's staff, signed in."""
    ada = await it.who("ada")
    mail = f"{handle}@acme.example"
    body = {"handle": handle, "name": handle.title(), "mail": mail, "roles": roles, "duties": duties or []}
    done(await ada.post("/v1/staff", body, key=key()), 201)
    return await it.who(handle)


async def member(it: System, partner: str, name: str, roles: list[str]) -> tuple[str, str]:
    """A new person who has joined a partner: person and membership id."""
    ada = await it.who("ada")
    partner_id = done(await (await it.who(partner)).get("/v1/me"))["partner_id"]
    person = {"name": name, "mail": f"{name.lower()}@{partner}.example"}
    person_id = done(await ada.post("/v1/onboarding/people", person, key=key()), 201)["person_id"]
    wish = {"person_id": person_id, "partner_id": partner_id, "roles": roles}
    membership_id = done(await ada.post("/v1/onboarding/memberships", wish, key=key()), 201)["membership_id"]
    done(await ada.post(f"/v1/onboarding/memberships/{membership_id}/join", key=key()))
    return person_id, membership_id


async def made(owner: Api, *scopes: str, days: int = 90) -> dict[str, Any]:
    """A new key of somebody."""
    body = {"name": "Program", "scopes": list(scopes), "days": days}
    found: dict[str, Any] = done(await owner.post("/v1/clients", body, key=key()), 201)
    return found


async def status(api: Api, path: str = "/v1/me") -> tuple[int, str]:
    answer = await api.get(path)
    return answer.status, answer.json().get("slug", "")


# Sessions


async def test_a_cookie_signs_in_and_is_nobody_else_s_to_read_or_send(it: System) -> None:
    async with browser(it.front._app) as page:
        answer = await page.post("/dev/sign-in", data={"tenant": "acme", "as": "dora"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        cookie = answer.headers["set-cookie"]
        assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "Domain" not in cookie
        assert (await page.get("/v1/me")).json()["roles"] == ["deal_desk"]


async def test_over_tls_the_cookie_is_sent_over_tls_alone(it: System) -> None:
    async with browser(it.front._app) as page:
        answer = await page.post(f"https://{HOST}/dev/sign-in", data={"tenant": "acme", "as": "dora"})
        assert "Secure" in answer.headers["set-cookie"].split("; ")


async def test_signing_out_ends_the_session_everywhere(it: System) -> None:
    async with browser(it.front._app) as page:
        await page.post("/dev/sign-in", data={"tenant": "acme", "as": "dora"})
        held = page.cookies["entente"]
        token = _token_in((await page.get("/settings")).text)
        answer = await page.post("/sign-out", data={"token": token}, headers={"origin": ORIGIN})
        assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
        assert await status(it.front.signed_in(held)) == (401, "unauthenticated")


def _token_in(text: str) -> str:
    return text.split('name="token" value="')[1].split('"', maxsplit=1)[0]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": f"http://{HOST}.evil.example"},
        {"origin": "http://127.0.0.1:8081"},
        {"referer": f"{ORIGIN}/"},
    ],
)
async def test_what_another_site_sends_with_the_cookie_is_refused(it: System, headers: dict[str, str]) -> None:
    async with browser(it.front._app, headers=headers) as page:
        await page.post("/dev/sign-in", data={"tenant": "acme", "as": "ada"})
        token = _token_in((await page.get("/settings")).text)
        form = await page.post(
            "/settings/keys", data={"token": token, "key": key(), "name": "x", "scopes": "gateway:read"}
        )
        api = await page.post(
            "/v1/clients", json={"name": "x", "scopes": SCOPES[:1]}, headers={"idempotency-key": key()}
        )
        service = await page.post(f"/v1/attribution/connections/{it.connection_id}/poll")
        assert form.status_code == 403
        assert [(a.status_code, a.json()["slug"]) for a in (api, service)] == [(403, "cross-site")] * 2


async def test_a_form_without_its_token_is_refused(it: System) -> None:
    async with browser(it.front._app, headers={"origin": ORIGIN}) as page:
        await page.post("/dev/sign-in", data={"tenant": "acme", "as": "ada"})
        for token in ("", "0" * 64, "é"):
            answer = await page.post("/settings/keys", data={"token": token, "name": "x", "scopes": "gateway:read"})
            assert answer.status_code == 403


async def test_who_leaves_the_staff_is_signed_out_at_once_with_every_key(it: System) -> None:
    boss = await colleague(it, "zed", ["admin"])
    program = it.front.signed_in((await made(boss, "gateway:read"))["key"])
    assert [(await status(one))[0] for one in (boss, program)] == [200, 200]
    staff_id = done(await boss.get("/v1/me"))["subject"]
    done(await (await it.who("ada")).post(f"/v1/staff/{staff_id}/end", key=key()))
    for one in (boss, program):
        assert await status(one) == (401, "unauthenticated")


async def test_a_session_ends_when_nobody_has_used_it_for_an_hour(it: System) -> None:
    used, unused = await it.who("ada"), await it.who("faye")
    for _ in range(2):
        await it.clock(iso(it.world.clock.now() + timedelta(minutes=45)))
        assert (await status(used))[0] == 200
    assert await status(unused) == (401, "unauthenticated")


async def test_a_right_that_is_taken_away_is_gone_at_once_from_sessions_and_keys(it: System) -> None:
    boss = await colleague(it, "yan", ["admin", "finance"], ["auditor"])
    program = it.front.signed_in((await made(boss, "gateway:read", "gateway:write"))["key"])
    staff_id = done(await boss.get("/v1/me"))["subject"]
    body = {"roles": ["finance"], "duties": []}
    done(await (await it.who("ada")).post(f"/v1/staff/{staff_id}/change-roles", body, key=key()))
    for one in (boss, program):
        me = done(await one.get("/v1/me"))
        assert (me["roles"], me["duties"]) == (["finance"], [])
        answer = await one.post("/v1/clients", {"name": "x", "scopes": ["gateway:read"]}, key=key())
        assert (answer.status, answer.json()["slug"]) == (403, "forbidden")


async def test_who_leaves_a_partner_is_signed_out_of_it(it: System) -> None:
    person_id, membership_id = await member(it, "northwind", "Olga", ["owner"])
    await it.settle()
    olga = await it.who(person_id)
    program = it.front.signed_in((await made(olga, "registration:read", "gateway:read"))["key"])
    assert [(await status(one))[0] for one in (olga, program)] == [200, 200]
    done(await (await it.who("ada")).post(f"/v1/onboarding/memberships/{membership_id}/end", key=key()))
    await it.settle()
    for one in (olga, program):
        for path in ("/v1/me", "/v1/registration/deals"):
            assert await status(one, path) == (401, "unauthenticated")


async def test_who_is_forgotten_is_signed_out_everywhere(it: System) -> None:
    person_id, _ = await member(it, "northwind", "Otto", ["owner"])
    await it.settle()
    otto = await it.who(person_id)
    program = it.front.signed_in((await made(otto, "registration:read", "gateway:read"))["key"])
    assert [(await status(one))[0] for one in (otto, program)] == [200, 200]
    done(await (await it.who("ada")).post(f"/v1/onboarding/people/{person_id}/erase", key=key()))
    await it.settle()
    for one in (otto, program):
        assert await status(one) == (401, "unauthenticated")


# Keys


async def test_a_key_acts_with_its_maker_s_roles_within_its_scopes(it: System) -> None:
    north = await it.who("northwind")
    program = it.front.signed_in((await made(north, "registration:read"))["key"])
    assert (await status(program, "/v1/registration/deals"))[0] == 200
    wish = await program.post("/v1/registration/deals", {}, key=key())
    assert (wish.status, wish.json()["slug"], wish.json()["scope"]) == (403, "out-of-scope", "registration:write")
    for path in (
        "/v1/incentives/lines",
        "/v1/attribution/opportunities",
        "/v1/onboarding/partners",
        "/v1/me",
        "/v1/events",
    ):
        assert await status(program, path) == (403, "out-of-scope")


async def test_a_key_without_the_gateway_s_scope_makes_neither_staff_nor_keys(it: System) -> None:
    """Scopes hold at the gateway's own routes as they do behind the door."""
    ada = await it.who("ada")
    program = it.front.signed_in((await made(ada, "registration:read", "gateway:read"))["key"])
    person = {"handle": "mallory", "name": "Mallory", "mail": "m@acme.example", "roles": ["admin"]}
    for path, body in (("/v1/staff", person), ("/v1/clients", {"name": "more", "scopes": list(SCOPES)})):
        answer = await program.post(path, body, key=key())
        assert (answer.status, answer.json()["slug"]) == (403, "out-of-scope")


async def test_a_key_makes_no_key_that_reaches_further(it: System) -> None:
    ada = await it.who("ada")
    program = it.front.signed_in((await made(ada, "gateway:read", "gateway:write"))["key"])
    answer = await program.post("/v1/clients", {"name": "more", "scopes": ["incentives:write"]}, key=key())
    assert (answer.status, answer.json()["slug"]) == (403, "scope-beyond-own")
    assert (await program.post("/v1/clients", {"name": "same", "scopes": ["gateway:read"]}, key=key())).status == 201


async def test_a_key_rotates_no_key_that_reaches_further(it: System) -> None:
    ada = await it.who("ada")
    wide = await made(ada, *SCOPES)
    narrow = it.front.signed_in((await made(ada, "gateway:read", "gateway:write"))["key"])
    answer = await narrow.post(f"/v1/clients/{wide['client_id']}/rotate", {}, key=key())
    assert (answer.status, answer.json()["slug"], "key" in answer.json()) == (403, "scope-beyond-own", False)


async def test_a_second_person_does_not_come_by_the_first_one_s_key(it: System) -> None:
    """Whoever could rotate it would act as two persons: four eyes of one head."""
    ada = await it.who("ada")
    bert = await colleague(it, "bert", ["admin"])
    theirs = await made(ada, *SCOPES)
    path = f"/v1/clients/{theirs['client_id']}"
    answer = await bert.post(f"{path}/rotate", {}, key=key())
    assert (answer.status, answer.json()["slug"], "key" in answer.json()) == (403, "key-of-another", False)
    done(await bert.post(f"{path}/revoke", key=key()))


async def test_a_second_person_is_not_the_first_one_s_program(it: System) -> None:
    """Four eyes: rules are not published, and nobody's own roles changed, through a key of the same person."""
    ada = await it.who("ada")
    program = it.front.signed_in((await made(ada, *SCOPES))["key"])
    book = "/v1/registration/rulebooks"
    draft = {"rulebook_id": "alone", "kind": "deal_rules", "body": {"zone": "Europe/Berlin"}}
    version = done(await ada.post(book, draft, key=key()), 201)["version"]
    answer = await program.post(f"{book}/alone/publish", {"version": version}, key=key())
    assert (answer.status, answer.json()["slug"]) == (409, "four-eyes")
    me = done(await ada.get("/v1/me"))["subject"]
    for verb, body in (("change-roles", {"roles": ["admin", "finance"]}), ("end", None)):
        answer = await program.post(f"/v1/staff/{me}/{verb}", body, key=key())
        assert (answer.status, answer.json()["slug"]) == (409, "own-roles")


async def test_nobody_vouches_for_their_own_bank_details_through_a_key(it: System) -> None:
    """Four eyes over money: who changed where it goes is not the second person, by session or by key."""
    north = await it.who("northwind")
    program = it.front.signed_in((await made(north, "incentives:read", "incentives:write"))["key"])
    payee = f"/v1/incentives/payees/{done(await north.get('/v1/me'))['partner_id']}"
    body = orjson.dumps({"iban": "DE89370400440532013000", "holder": "Northwind Partners"})
    for changing, verifying in ((north, program), (program, north)):
        done(await changing.send("PUT", f"{payee}/bank", body, {"idempotency-key": key()}))
        await it.settle()
        bank = {"bank_id": done(await north.get(payee))["bank"]["bank_id"], "method": "second_person"}
        answer = await verifying.post(f"{payee}/bank/verify", bank, key=key())
        assert (answer.status, answer.json()["slug"]) == (403, "four-eyes")


async def test_a_key_is_shown_again_to_the_same_request_and_kept_nowhere(it: System) -> None:
    ada, again = await it.who("ada"), key()
    body = {"name": "Once", "scopes": ["gateway:read"]}
    first, second = [done(await ada.post("/v1/clients", body, key=again), 201) for _ in range(2)]
    assert first == second
    secret = first["key"].rpartition(".")[2]
    for name in it.services:
        for file in (it.services[name].directory).glob("*.db"):
            assert secret.encode() not in file.read_bytes()


async def test_a_revoked_key_opens_nothing_more(it: System) -> None:
    ada = await it.who("ada")
    it_is = await made(ada, "gateway:read")
    program = it.front.signed_in(it_is["key"])
    assert (await status(program))[0] == 200
    done(await ada.post(f"/v1/clients/{it_is['client_id']}/revoke", key=key()))
    assert await status(program) == (401, "unauthenticated")


async def test_a_rotated_key_s_old_secret_opens_no_longer_than_the_overlap(it: System) -> None:
    ada = await it.who("ada")
    old = await made(ada, "gateway:read")
    path = f"/v1/clients/{old['client_id']}/rotate"
    new = done(await ada.post(path, {"overlap_hours": 1}, key=key()))
    for one in (old, new):
        assert (await status(it.front.signed_in(one["key"])))[0] == 200
    newest = done(await ada.post(path, {"overlap_hours": 0}, key=key()))
    assert [(await status(it.front.signed_in(one["key"])))[0] for one in (old, new, newest)] == [401, 401, 200]


async def test_one_side_s_keys_are_not_the_other_side_s_to_see_or_to_take_over(it: System) -> None:
    """Whoever could rotate a partner's key would hold a key that acts as the partner."""
    ada, north, south = [await it.who(name) for name in ("ada", "northwind", "southbridge")]
    theirs = (await made(north, "registration:read"))["client_id"]
    own = (await made(ada, "registration:read"))["client_id"]
    await it.settle()
    for who, other in ((ada, theirs), (south, theirs), (north, own)):
        for verb, body in (("rotate", {}), ("revoke", None)):
            answers = [await who.post(f"/v1/clients/{one}/{verb}", body, key=key()) for one in (other, "absent")]
            assert [a.status for a in answers] == [404, 404]
            assert answers[0].body == answers[1].body
        listed = [item["client_id"] for item in done(await who.get("/v1/clients?limit=200"))["items"]]
        assert other not in listed
    assert theirs in [item["client_id"] for item in done(await north.get("/v1/clients?limit=200"))["items"]]


# What opens nothing


def forged(it: System) -> list[str]:
    """Tokens that look like ours: of the services' kind, of other algorithms, of other lengths, of nobody."""
    ada = Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",))
    now = int(time.time())
    claims = {"iss": "entente", "aud": "gateway", "sub": "ada", "iat": now, "exp": now + 60, "principal": {}}
    guess = OctKey.generate_key(256)
    return [
        it.world.signer.sign(ada, "gateway"),
        it.world.signer.sign(ada, "registration"),
        jwt.encode({"alg": "HS256"}, claims, guess),
        "ses_",
        "ses_guess",
        "ent_live_acme.client.secret",
        "ent_live_acme..",
        "ent_",
        "ent_live_a:b.c.d",
        "x" * 10_000,
        "é" * 10,
    ]


async def test_no_forged_token_opens_the_door(it: System) -> None:
    for token in forged(it):
        for path in ("/v1/me", "/v1/registration/deals", "/v1/stream"):
            async with browser(it.front._app) as page:
                answer = await page.get(path, headers={"authorization": f"Bearer {token}".encode()})
            assert (answer.status_code, answer.json()["slug"]) == (401, "unauthenticated"), (token, path)
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_nobody_is_told_to_sign_in(it: System) -> None:
    for path in ("/v1/me", "/v1/deals", "/v1/registration/deals", "/v1/staff"):
        assert await status(it.front, path) == (401, "unauthenticated")


async def test_a_service_believes_only_the_gateway_s_own_word_for_it(it: System) -> None:
    """Straight to a service: a session, a key, a word for another service or for no service at all."""
    ada = await it.who("ada")
    program = await made(ada, *SCOPES)
    principal = Principal(tenant="acme", subject="ada", kind="vendor", roles=("admin",))
    signed = it.world.signer.sign(principal, "registration")
    for name, service in it.services.items():
        if name == "gateway":
            continue
        path = "/access"
        for token in ("", ada._token, program["key"], *forged(it)[:6]):
            good = token and token == signed and name == "registration"
            answer = await Api(service.api, token).get(path)
            assert answer.status == (200 if good else 401), (name, token)
    assert (await Api(it.services["registration"].api, signed).get("/access")).status == 200


async def test_headers_that_say_who_one_is_say_nothing(it: System) -> None:
    south = await it.who("southbridge")
    vendor = it.world.signer.sign(
        Principal(tenant="acme", subject="x", kind="vendor", roles=("admin",)), "registration"
    )
    lies = {
        "x-forwarded-user": "ada",
        "entente-principal": vendor,
        "x-original-authorization": f"Bearer {vendor}",
        "entente-tenant": "other",
        "x-http-method-override": "DELETE",
        "cookie": f"entente={vendor}",
    }
    async with browser(it.front._app, headers={**lies, "authorization": f"Bearer {south._token}"}) as page:
        me = (await page.get("/v1/me")).json()
        assert (me["kind"], me["tenant"]) == ("partner", "acme")
        assert (await page.get("/v1/registration/accounts")).status_code == 403
    async with browser(it.front._app, headers=lies) as page:
        assert (await page.get("/v1/registration/deals")).status_code == 401


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8080", "[::2]", "["]
)
async def test_a_name_that_is_not_ours_is_not_answered(it: System, host: str) -> None:
    async with browser(it.front._app, headers={"host": host}) as page:
        for method, path in (("GET", "/"), ("POST", "/dev/token"), ("GET", "/v1/registration/deals")):
            answer = await page.request(method, path, json={"tenant": "acme", "as": "ada"})
            assert (answer.status_code, answer.json()["slug"]) == (421, "misdirected-request")


@pytest.mark.parametrize("host", ["127.0.0.1:1", "localhost", "[::1]:8080"])
async def test_every_name_of_this_machine_is_ours(it: System, host: str) -> None:
    async with browser(it.front._app, headers={"host": host}) as page:
        assert (await page.get("/livez")).status_code == 200
        assert (await page.get("/dev/identities")).status_code == 200


async def test_an_application_goes_to_an_open_tenant_alone(it: System) -> None:
    body = {"legal_name": "New", "country": "DE", "domains": ["new.example"], "types": ["reseller"]}
    path = "/v1/onboarding/applications"
    before = await it.services["onboarding"].store.head()
    for tenant in ("", "other", "shared", "acme:x", "ACME", "a" * 4_000):
        answer = await it.front.post(path, body, key=key(), entente_tenant=tenant)
        assert (answer.status, answer.json()["slug"]) == (404, "not-found")
    assert await it.services["onboarding"].store.head() == before
    assert (await it.front.post(path, body, key=key(), entente_tenant="acme")).status == 202
    for route in ("/partners", "/people", "/applications/x"):
        answer = await it.front.post(f"/v1/onboarding{route}", body, key=key(), entente_tenant="acme")
        assert answer.status == 401


async def test_an_application_is_answered_alike_whether_the_organisation_is_known(it: System) -> None:
    body = {"legal_name": "N", "country": "DE", "domains": ["northwind.example"], "types": ["reseller"]}
    path = "/v1/onboarding/applications"
    answers = [
        await it.front.post(path, {**body, "domains": [domain]}, key=key(), entente_tenant="acme")
        for domain in ("northwind.example", "nobody-knows.example")
    ]
    assert answers[0].body == answers[1].body
    assert answers[0].headers == answers[1].headers


# Development only


@pytest.mark.parametrize(
    ("environment", "host", "there"),
    [("development", "127.0.0.1", True), ("development", "0.0.0.0", False), ("production", "127.0.0.1", False)],
)
async def test_the_development_issuer_is_there_in_development_on_loopback_alone(
    environment: str, host: str, there: bool
) -> None:
    assert Settings(environment=environment, host=host).vouches is there


async def test_somebody_who_is_nobody_cannot_sign_in(it: System) -> None:
    for tenant, who in (("acme", "nobody"), ("other", "ada"), ("shared", "ada"), ("acme", "owner")):
        answer = await it.front.post("/dev/token", {"tenant": tenant, "as": who})
        assert (answer.status, answer.json()["slug"]) == (422, "unknown-person")


async def test_who_signed_in_at_the_last_moment_is_signed_out_too(it: System, monkeypatch: pytest.MonkeyPatch) -> None:
    person_id, _ = await member(it, "southbridge", "Nick", ["owner"])
    await it.settle()
    partner = f"/v1/onboarding/partners/{done(await (await it.who(person_id)).get('/v1/me'))['partner_id']}"
    await it.settle()
    read, heard = it.services["gateway"].application.read, asyncio.Event()
    change = read.change

    async def late(wish: Any) -> None:
        if "sessions" in wish.model:
            await heard.wait()
        await change(wish)

    monkeypatch.setattr(read, "change", late)
    it.clients.clear()
    nick, ada = await it.who(person_id), await it.who("ada")
    done(await ada.post(f"{partner}/suspend", {"scopes": ["access"], "reason_code": "audit"}, key=key()))
    asyncio.get_running_loop().call_later(0.5, heard.set)
    await it.settle()
    done(await ada.post(f"{partner}/reinstate", key=key()))
    await it.settle()
    assert await status(nick) == (401, "unauthenticated")
    it.clients.clear()


async def test_a_partner_is_shut_out_while_it_is_suspended_and_comes_back(it: System) -> None:
    ada = await it.who("ada")
    person_id, _ = await member(it, "southbridge", "Sven", ["owner"])
    await it.settle()
    sven = await it.who(person_id)
    program = it.front.signed_in((await made(sven, "registration:read"))["key"])
    partner = f"/v1/onboarding/partners/{done(await sven.get('/v1/me'))['partner_id']}"
    done(await ada.post(f"{partner}/suspend", {"scopes": ["access"], "reason_code": "audit"}, key=key()))
    await it.settle()
    assert await status(sven) == (401, "unauthenticated")
    assert await status(program, "/v1/registration/deals") == (403, "partner-suspended")
    done(await ada.post(f"{partner}/reinstate", key=key()))
    await it.settle()
    assert (await status(program, "/v1/registration/deals"))[0] == 200
    it.clients.clear()
