"""The first run opens the tenant `acme` through the public API: people, rules, a plan, a CRM connection, two partners."""

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from chassis.asgi import Answer, Api

TENANT = "acme"
CURRENCY = "EUR"
POLL_SECONDS = 15
PRODUCTS = ("platform", "analytics", "security")
SIGN_IN_TRIES, SIGN_IN_PAUSE_SECONDS = 1_500, 0.02
BUSY_TRIES = 60

DEAL_RULES = {
    "zone": "Europe/Berlin",
    "families": list(PRODUCTS),
    "minimums": [{"amount": "1000.00", "currency": CURRENCY}],
    "watch_for": ["look", "document", "asked"],
}
SECURITY = {"name": "Security specialist", "zone": "Europe/Berlin"}
LEAD_RULES = {"zone": "Europe/Berlin"}
PLAN = {
    "kind": "commission",
    "name": "Standard commission",
    "currency": CURRENCY,
    "schedule": {
        "semantics": "marginal",
        "bands": [{"up_to": "10000", "percent": "10"}, {"percent": "20"}],
    },
    "hold_days": 30,
}

FUND = {
    "name": "Joint marketing",
    "currency": CURRENCY,
    "participation_percent": "50",
    "rollover_percent": "25",
    "accrual": {"percent": "2", "every": "year"},
    "activities": [
        {"type": "event", "proofs": ["invoice", "photo"]},
        {"type": "campaign", "proofs": ["invoice", "report"]},
        {"type": "training", "proofs": ["invoice", "attendance"]},
    ],
}

TIERS = {
    "name": "Partner tiers",
    "metrics": [
        {"name": "revenue", "window": "calendar", "source": "revenue", "currency": CURRENCY},
        {"name": "certified", "window": "latest"},
    ],
    "levels": [
        {"name": "registered"},
        {"name": "silver", "thresholds": {"revenue": "50000"}},
        {"name": "gold", "thresholds": {"revenue": "200000", "certified": "2"}},
    ],
}

RECOGNITION = {
    "name": "Partner of the year",
    "points": [
        {"event": "deal_registered", "points": 5},
        {"event": "deal_approved", "points": 10},
        {"event": "deal_won", "points": 50},
        {"event": "lead_converted", "points": 20},
    ],
    "badges": [
        {"name": "first_steps", "at": 50},
        {"name": "rising_star", "at": 250},
        {"name": "champion", "at": 1000},
    ],
}

ABUSE = {
    "name": "What looks like abuse",
    "rules": [
        {"rule_id": "own-customer", "signal": "self_referral", "action": "hold"},
        {"rule_id": "many-refunds", "signal": "refund_ratio", "percent": "25", "least": 3},
        {"rule_id": "same-proof", "signal": "shared_proof"},
        {"rule_id": "same-account", "signal": "shared_bank"},
        {"rule_id": "late-change", "signal": "bank_change", "days": 14},
        {"rule_id": "split-request", "signal": "split_below_limit", "limit": "5000", "currency": CURRENCY, "least": 2},
    ],
}


@dataclass(frozen=True)
class Rules:
    """The first version of a rulebook."""

    service: str
    kind: str
    book: str
    body: dict[str, Any]
    mode: str = "live"


RULES = (
    Rules("onboarding", "certification", "security", SECURITY),
    Rules("registration", "deal_rules", "default", DEAL_RULES),
    Rules("registration", "lead_rules", "routing", LEAD_RULES),
    Rules("incentives", "plan", "standard", PLAN),
    Rules("incentives", "fund", "marketing", FUND),
    Rules("incentives", "tier", "tiers", TIERS),
    Rules("incentives", "recognition", "recognition", RECOGNITION),
    Rules("incentives", "abuse", "abuse", ABUSE),
)
STAGES = {
    "appointmentscheduled": "prospect",
    "qualifiedtobuy": "qualified",
    "presentationscheduled": "technical_validation",
    "decisionmakerboughtin": "business_validation",
    "contractsent": "committed",
    "closedwon": "won",
    "closedlost": "lost",
}


@dataclass(frozen=True)
class Colleague:
    """A member of the vendor's staff, by handle."""

    handle: str
    name: str
    roles: tuple[str, ...]
    duties: tuple[str, ...] = ()


STAFF = (
    Colleague("ada", "Ada Adams", ("admin",), ("plan_admin", "arbiter", "trainer")),
    Colleague("dora", "Dora Desk", ("deal_desk",), ("override",)),
    Colleague("cara", "Cara Channel", ("channel_manager",), ("override", "trainer")),
    Colleague("finn", "Finn Finance", ("finance",), ("credit_controller", "arbiter")),
    Colleague("faye", "Faye Finance", ("finance",), ("approver", "plan_admin", "fund_manager")),
)


@dataclass(frozen=True)
class FirstPartner:
    """A partner and its owner."""

    name: str
    country: str
    domain: str
    owner: str
    types: tuple[str, ...] = ("reseller",)


PARTNERS = (
    FirstPartner("Northwind Partners", "DE", "northwind.example", "Nora North"),
    FirstPartner("Southbridge Systems", "FR", "southbridge.example", "Saul South"),
)


class FirstRunFailed(RuntimeError):
    """The public API refused what the first run needs."""


class Patient(Api):
    """The API as a program should use it: what is busy or away is asked again after `Retry-After`, BUSY_TRIES times."""

    async def send(self, method: str, path: str, content: bytes, headers: Mapping[str, str]) -> Answer:
        answer = await super().send(method, path, content, headers)
        for _ in range(BUSY_TRIES):
            if answer.status != HTTPStatus.SERVICE_UNAVAILABLE or "retry-after" not in answer.headers:
                break
            await asyncio.sleep(float(answer.headers["retry-after"]))
            answer = await super().send(method, path, content, headers)
        return answer


def people_lines() -> list[str]:
    """Who can sign in, for the welcome on the terminal."""
    staff = "  ".join(f"{one.handle} ({', '.join(one.roles)})" for one in STAFF)
    partners = "  ".join(f"{one.name.split()[0].lower()} (partner)" for one in PARTNERS)
    return [f"    vendor       {staff}", f"    partners     {partners}"]


async def ensure(api: Api, crm_url: str) -> str:
    """Opens the tenant unless it is open already; a run that was cut off goes on. The id of the CRM connection.

    Who is staff already keeps the roles and duties that they have by now.
    """
    operator = await signed_in(api, "operator")
    await done(operator.post("/v1/tenants", _tenant(), key="first-run-tenant"), also=(409,))
    for one in STAFF:
        key = "-".join(("first-run", one.handle, *one.roles, *one.duties))
        await done(operator.post("/v1/staff", colleague(one), key=key), also=(409,))
    ada, faye = [await signed_in(api, handle) for handle in ("ada", "faye")]
    for rules in RULES:
        await publish(ada, faye, rules, key=f"first-run-{rules.kind}")
    for partner in PARTNERS:
        await add_partner(ada, partner, key=f"first-run-{partner.domain}")
    return await _connect(ada, crm_url)


async def signed_in(api: Api, name: str, tenant: str = TENANT) -> Api:
    """The API as somebody that the development issuer vouches for; waits for one who has just been added."""
    answer = await api.post("/dev/token", {"tenant": tenant, "as": name})
    for _ in range(SIGN_IN_TRIES):
        if answer.ok:
            return api.signed_in(answer.json()["token"])
        await asyncio.sleep(SIGN_IN_PAUSE_SECONDS)
        answer = await api.post("/dev/token", {"tenant": tenant, "as": name})
    raise FirstRunFailed(f"cannot sign in as {name}: {answer.body.decode()}")


def _tenant() -> dict[str, Any]:
    return {
        "slug": TENANT,
        "name": "Acme Software",
        "zone": "Europe/Berlin",
        "currency": CURRENCY,
        "locales": ["en", "de"],
    }


def colleague(one: Colleague) -> dict[str, Any]:
    return {
        "handle": one.handle,
        "name": one.name,
        "mail": f"{one.handle}@acme.example",
        "roles": list(one.roles),
        "duties": list(one.duties),
    }


async def done(call: Awaitable[Answer], also: tuple[int, ...] = ()) -> Answer:
    """The answer of a call, if it is a good one or has one of these statuses. Raises FirstRunFailed."""
    return good(await call, also)


def good(answer: Answer, also: tuple[int, ...] = ()) -> Answer:
    """The answer, if it is a good one or has one of these statuses. Raises FirstRunFailed."""
    if not answer.ok and answer.status not in also:
        raise FirstRunFailed(f"{answer.status}: {answer.body.decode()}")
    return answer


async def publish(author: Api, publisher: Api, rules: Rules, key: str) -> None:
    """Rules need two people: one drafts, another publishes. What an earlier release published first stands."""
    draft = {"rulebook_id": rules.book, "kind": rules.kind, "scope": "default", "body": rules.body}
    drafted = await author.post(f"/v1/{rules.service}/rulebooks", draft, key=key)
    stands = drafted.json()["type"].endswith("/key-reused") if not drafted.ok else False
    version = 1 if stands else good(drafted).json()["version"]
    path = f"/v1/{rules.service}/rulebooks/{rules.book}/publish"
    await done(publisher.post(path, {"version": version, "mode": rules.mode}, key=f"{key}-publish"))


async def _connect(admin: Api, crm_url: str) -> str:
    """Connects the simulated CRM; the id of the connection."""
    body = {
        "connector": "hubspot",
        "base_url": crm_url,
        "credential_ref": "hubspot-simulator",
        "currency": CURRENCY,
        "zone": "Europe/Berlin",
        "poll_seconds": POLL_SECONDS,
        "stage_map": STAGES,
    }
    added = await done(admin.post("/v1/attribution/connections", body, key="first-run-crm"))
    connection_id: str = added.json()["connection_id"]
    path = f"/v1/attribution/connections/{connection_id}/activate"
    await done(admin.post(path, {}, key="first-run-crm-activate"))
    return connection_id


async def add_partner(admin: Api, partner: FirstPartner, key: str) -> str:
    """Adds and approves a partner with an owner who has joined; its id."""
    profile = {
        "legal_name": partner.name,
        "country": partner.country,
        "domains": [partner.domain],
        "types": list(partner.types),
        "source": "first-run",
    }
    added = await done(admin.post("/v1/onboarding/partners", profile, key=key))
    partner_id: str = added.json()["partner_id"]
    await done(admin.post(f"/v1/onboarding/partners/{partner_id}/approve", {}, key=f"{key}-approve"))
    await _add_owner(admin, partner, partner_id, key)
    return partner_id


async def _add_owner(admin: Api, partner: FirstPartner, partner_id: str, key: str) -> None:
    person = {"name": partner.owner, "mail": f"owner@{partner.domain}"}
    known = await done(admin.post("/v1/onboarding/people", person, key=f"{key}-owner"))
    member = {"person_id": known.json()["person_id"], "partner_id": partner_id, "roles": ["owner"]}
    invited = await done(admin.post("/v1/onboarding/memberships", member, key=f"{key}-invite"))
    membership_id = invited.json()["membership_id"]
    path = f"/v1/onboarding/memberships/{membership_id}/join"
    await done(admin.post(path, key=f"{key}-join"))
