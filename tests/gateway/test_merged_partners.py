"""Partners that became one, at the door: as whom their people and programs act, and when that ends."""

from itertools import count
from typing import Any

import pytest

from chassis.asgi import Api
from services.gateway.api import reading
from tests.gateway.test_signing_in import made, status
from tests.gateway.test_stream import mentions, opened
from tests.scenarios.browser import browser
from tests.scenarios.cast import joined
from tests.scenarios.main_job import deal
from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)
PARTNERS = "/v1/onboarding/partners"


def key() -> str:
    return f"merged-{next(NUMBERS)}"


async def partner(it: System, name: str) -> tuple[str, str]:
    """An active partner and its owner."""
    ada = await it.who("ada")
    profile = {"legal_name": name, "country": "DE", "domains": [f"{name.lower()}.example"], "types": ["reseller"]}
    partner_id = done(await ada.post(PARTNERS, profile, key=key()), 201)["partner_id"]
    done(await ada.post(f"{PARTNERS}/{partner_id}/approve", {}, key=key()))
    owner = await joined(ada, partner_id, f"owner-{name}", ["owner"])
    await it.settle()
    return partner_id, owner


async def merge(it: System, absorbed: str, into: str) -> None:
    ada = await it.who("ada")
    colleague = {"handle": "abe", "name": "Abe", "mail": "abe@acme.example", "roles": ["admin"]}
    done(await ada.post("/v1/staff", colleague, key="abe"), 201)
    for admin in (ada, await it.who("abe")):
        wish = {"into": into, "effective_on": "2031-03-03"}
        done(await admin.post(f"{PARTNERS}/{absorbed}/merge", wish, key=key()))
    await it.settle()


async def part(it: System, absorbed: str, into: str) -> None:
    done(await (await it.who("ada")).post(f"{PARTNERS}/{absorbed}/unmerge", {"into": into}, key=key()))
    await it.settle()


async def acts_as(api: Api) -> str:
    partner_id: str = done(await api.get("/v1/me"))["partner_id"]
    return partner_id


async def test_who_was_absorbed_over_two_steps_acts_as_the_last_and_is_shut_out_with_it(it: System) -> None:
    west, wilma = await partner(it, "West")
    east, erik = await partner(it, "East")
    wide, wanda = await partner(it, "Wide")
    people = [await it.who(one) for one in (wilma, erik, wanda)]
    program = it.front.signed_in((await made(people[0], "registration:read", "gateway:read"))["key"])
    await merge(it, west, east)
    await merge(it, east, wide)

    assert [await acts_as(one) for one in (*people, program)] == [wide] * 4
    assert [done(await one.get("/v1/me"))["home_id"] for one in (*people, program)] == [west, east, wide, west]
    mine = done(await people[2].get("/v1/clients"))["items"]
    assert [one["partner_id"] for one in mine] == [west]

    ada, suspended = await it.who("ada"), {"scopes": ["access"], "reason_code": "audit"}
    done(await ada.post(f"{PARTNERS}/{wide}/suspend", suspended, key=key()))
    await it.settle()
    assert [await status(one) for one in people] == [(401, "unauthenticated")] * 3
    assert await status(program) == (403, "partner-suspended")
    done(await ada.post(f"{PARTNERS}/{wide}/reinstate", key=key()))
    await it.settle()
    it.clients.clear()
    await part(it, east, wide)

    assert [await acts_as(await it.who(one)) for one in (wilma, erik, wanda)] == [east, east, wide]
    assert await acts_as(program) == east


async def test_a_live_stream_ends_when_its_partner_is_one_with_another_or_two_again(
    it: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HEARTBEAT_SECONDS", 0.05)
    north, nora = await partner(it, "North")
    south, sven = await partner(it, "South")
    async with await opened(it, nora) as stream:
        await merge(it, south, north)
        await stream.until(lambda one: one.ended)
    async with await opened(it, nora) as stream:
        wish = deal("Fabrikam", "fabrikam.com")
        made = done(await (await it.who(sven)).post("/v1/registration/deals", wish, key=key()), 201)
        await stream.until(mentions(made["registration_id"]))
        await part(it, south, north)
        await stream.until(lambda one: one.ended)


async def test_who_may_act_for_the_other_partner_gives_nobody_access_to_it_that_outlives_the_merge(it: System) -> None:
    low, lena = await partner(it, "Low")
    high, hugo = await partner(it, "High")
    await merge(it, low, high)
    people = [await it.who(one) for one in (lena, hugo)]
    for who, hers, his in ((people[0], lena, high), (people[1], hugo, low)):
        asked = await who.post("/v1/onboarding/memberships", invitation(hers, his), key=key())
        assert (asked.status, asked.json()["slug"]) == (403, "of-the-other-partner")
        kept = done(await who.get(f"{PARTNERS}/{his}/people"))["items"]
        ending = await who.post(f"/v1/onboarding/memberships/{kept[0]['membership_id']}/end", key=key())
        assert (ending.status, ending.json()["slug"]) == (403, "of-the-other-partner")
    await part(it, low, high)
    it.clients.clear()
    assert [await acts_as(await it.who(one)) for one in (lena, hugo)] == [low, high]
    kept = [done(await (await it.who("ada")).get(f"{PARTNERS}/{one}/people"))["items"] for one in (low, high)]
    assert [[(one["person_id"], one["status"]) for one in each] for each in kept] == [
        [(lena, "active")],
        [(hugo, "active")],
    ]


def invitation(person_id: str, partner_id: str) -> dict[str, Any]:
    return {"person_id": person_id, "partner_id": partner_id, "roles": ["owner"]}


async def test_the_portal_offers_no_form_for_what_is_the_other_partner_s_own(it: System) -> None:
    up, ulla = await partner(it, "Up")
    down, _ = await partner(it, "Down")
    await merge(it, up, down)
    async with browser(it.front._app) as page:
        await page.post("/dev/sign-in", data={"tenant": "acme", "as": ulla})
        own, others = [(await page.get(f"/partners/{one}")).text for one in (up, down)]
        papers = [(await page.get(f"/payees/{one}")).text for one in (up, down)]
    assert (">People</h2>" in own, f'action="/partners/{up}/people"' in own) == (True, True)
    assert (">People</h2>" in others, f'action="/partners/{down}/' in others) == (True, False)
    assert [">Bank details</h2>" in one for one in papers] == [True, True]
    assert (f'action="/payees/{up}/bank"' in papers[0], f'action="/payees/{down}/' in papers[1]) == (True, False)


async def test_a_key_made_while_merged_opens_then_and_after_it_for_its_owner_s_partner_alone(it: System) -> None:
    left, lara = await partner(it, "Left")
    right, rosa = await partner(it, "Right")
    await merge(it, left, right)
    keys = [await made(await it.who(one), "registration:read", "gateway:read") for one in (lara, rosa)]
    programs = [it.front.signed_in(one["key"]) for one in keys]
    assert [await acts_as(one) for one in programs] == [right, right]
    await part(it, left, right)
    assert [await acts_as(one) for one in programs] == [left, right]


async def test_a_key_is_ended_by_an_owner_of_the_partner_whose_it_is_alone(it: System) -> None:
    front, fred = await partner(it, "Front")
    back, bert = await partner(it, "Back")
    client_id = (await made(await it.who(fred), "gateway:read"))["client_id"]
    await merge(it, front, back)
    refused = await (await it.who(bert)).post(f"/v1/clients/{client_id}/revoke", key=key())
    assert (refused.status, refused.json()["slug"]) == (403, "of-the-other-partner")
    assert done(await (await it.who(fred)).post(f"/v1/clients/{client_id}/revoke", key=key()))["status"] == "revoked"
