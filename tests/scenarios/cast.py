"""Everybody who might knock: each role of the vendor and of a partner, a rival partner, another tenant, nobody."""

from itertools import count
from typing import Any

from chassis.asgi import Api
from tests.scenarios.system import System, done

VENDOR = {
    "admin": "ada",
    "desk": "dora",
    "finance": "finn",
    "approver": "faye",
    "cm": "cam",
    "marketing": "mia",
    "analyst": "ana",
}
"""Names at the vendor by what they are. The admin may write plans too; the approver is of finance, and may as well."""
PARTNER = ("owner", "seller", "marketer", "partner_finance", "learner")
OTHER_TENANT = "beta"
_keys = count(1)


def key() -> str:
    return f"cast-{next(_keys)}"


async def cast(it: System) -> dict[str, Api]:
    """All of them, signed in. `rival` owns another partner; `stranger` has every right at another vendor."""
    await _colleagues(it)
    people = {part: await it.who(name) for part, name in VENDOR.items()}
    people |= {"owner": await it.who("northwind"), "rival": await it.who("southbridge")}
    people |= {part: await _member(it, part) for part in PARTNER[1:]}
    people |= await _another_tenant(it)
    return {**people, "operator": await it.who("operator"), "nobody": it.front}


async def _colleagues(it: System) -> None:
    ada = await it.who("ada")
    for handle, role in (("cam", "channel_manager"), ("mia", "marketing"), ("ana", "analyst")):
        body = {"handle": handle, "name": handle.title(), "mail": f"{handle}@acme.example", "roles": [role]}
        done(await ada.post("/v1/staff", body, key=key()), 201)


async def _member(it: System, part: str) -> Api:
    partner_id = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    person_id = await joined(await it.who("ada"), partner_id, part, [part.removeprefix("partner_")])
    await it.settle()
    return await it.who(person_id)


async def joined(admin: Api, partner_id: str, name: str, roles: list[str]) -> str:
    """The id of a new person who acts for the partner."""
    person = {"name": name.title(), "mail": f"{name}@{partner_id}.example"}
    person_id: str = done(await admin.post("/v1/onboarding/people", person, key=key()), 201)["person_id"]
    wish = {"person_id": person_id, "partner_id": partner_id, "roles": roles}
    made = done(await admin.post("/v1/onboarding/memberships", wish, key=key()), 201)
    done(await admin.post(f"/v1/onboarding/memberships/{made['membership_id']}/join", key=key()))
    return person_id


async def _another_tenant(it: System) -> dict[str, Api]:
    """Another vendor with one colleague who may do everything there, and a partner of its own."""
    tenant: dict[str, Any] = {"slug": OTHER_TENANT, "name": "Beta", "zone": "UTC", "currency": "EUR"}
    done(await (await it.who("operator")).post("/v1/tenants", tenant, key=key()), 201)
    operator = await _signed_in(it, "operator")
    every_right = {
        "roles": ["admin", "channel_manager", "deal_desk", "finance", "marketing", "analyst"],
        "duties": ["plan_admin", "approver", "credit_controller", "auditor", "override", "arbiter", "fund_manager"],
    }
    body = {"handle": "bea", "name": "Bea", "mail": "bea@beta.example", **every_right}
    done(await operator.post("/v1/staff", body, key=key()), 201)
    await it.settle()
    bea = await _signed_in(it, "bea")
    profile = {"legal_name": "Betabridge", "country": "DE", "domains": ["beta.example"], "types": ["reseller"]}
    partner_id = done(await bea.post("/v1/onboarding/partners", profile, key=key()), 201)["partner_id"]
    done(await bea.post(f"/v1/onboarding/partners/{partner_id}/approve", {}, key=key()))
    person_id = await joined(bea, partner_id, "bob", ["owner"])
    await it.settle()
    return {"stranger": bea, "strange_partner": await _signed_in(it, person_id)}


async def _signed_in(it: System, name: str) -> Api:
    answer = await it.front.post("/dev/token", {"tenant": OTHER_TENANT, "as": name})
    return it.front.signed_in(done(answer)["token"])
