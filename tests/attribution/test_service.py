"""Attribution as one running service: over HTTP, with the simulated CRM beside it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from chassis.asgi import Answer, Api
from chassis.event import Actor, Seen, stable_id
from chassis.identity import Principal
from chassis.process import make_world, running
from chassis.service import Service
from contracts.registration import DealApproved, ParticipantJoined
from contracts.values import Participant, Span
from services.attribution.adapters.hubspot_simulator import Hub, lost, refunded, simulator, won
from services.attribution.adapters.loopback import on_loopback
from services.attribution.app import Settings, build
from services.attribution.application import opportunity_id
from services.attribution.reactions import on_deal_approved, on_participant_joined
from tests.attribution.facts import ANNE, BEN, REG, approved
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.held import Held
from tests.scenarios.patient import Patient

TENANT = "acme"
SALE = opportunity_id(TENANT, REG)


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """What `look` gives as soon as it gives something, within the deadline."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (found := await look()):
            await asyncio.sleep(0.02)
    return found


@dataclass
class Stage:
    """The service, its CRM, and callers."""

    service: Service
    hub: Hub
    crm_url: str
    keys: int = 0

    def api(self, kind: str = "vendor", partner_id: str | None = None, **more: Any) -> Api:
        subject = partner_id or "-".join(more["roles"])
        who = Principal(tenant=TENANT, subject=subject, kind=kind, partner_id=partner_id, **more)
        return Patient(Held(self.service.api), self.service.world.signer.sign(who, "attribution"))

    @property
    def admin(self) -> Api:
        return self.api(roles=("admin",), duties=("credit_controller",))

    async def post(self, path: str, body: Any = None, api: Api | None = None) -> Answer:
        self.keys += 1
        return await (api or self.admin).post(path, body, key=f"key-{self.keys}")

    async def connect(self, **changes: Any) -> str:
        body = {
            "base_url": self.crm_url,
            "credential_ref": "hubspot-simulator",
            "poll_seconds": 15,
            "zone": "Europe/Berlin",
        }
        added = await self.post("/connections", body | changes)
        assert added.status == 201, added.body
        connection_id: str = added.json()["connection_id"]
        activated = await self.post(f"/connections/{connection_id}/activate")
        assert (activated.status, activated.json()["status"]) == (200, "active"), activated.body
        return connection_id

    async def approve(self, **changes: Any) -> None:
        await on_deal_approved(seen_approval(self.service, **changes), self.service.application)

    async def deal(self, sale: str = SALE) -> str:
        """The CRM's id of a sale, once it is there and known."""

        async def look() -> Any:
            row = (await self.admin.get(f"/opportunities/{sale}")).json()
            return row.get("external_id")

        return await until(look)

    async def stage(self, wanted: str, sale: str = SALE) -> dict[str, Any]:
        async def look() -> Any:
            row = (await self.admin.get(f"/opportunities/{sale}")).json()
            return row if row.get("stage") == wanted else None

        return await until(look)

    async def now(self, path: str) -> Any:
        """What the path answers, once that holds all that is recorded so far."""
        recorded = f"attribution={await self.service.store.head()}"

        async def look() -> Any:
            answer = await self.admin.get(path, entente_at_least=recorded)
            return answer.json() if answer.ok else None

        return await until(look)

    async def events(self) -> list[str]:
        found = await self.service.store.feed(0, 10_000)
        return [r.type.split(".")[1] for r in found if r.type.startswith("attribution.")]


def seen_approval(service: Service, **changes: Any) -> Seen:
    now = service.world.clock.now()
    span = Span(start=now, end=now + timedelta(days=90))
    deal = replace(approved(**changes), approved_at=now, protection=span)
    return Seen(
        id=stable_id("approval", deal.registration_id),
        type=DealApproved.type,
        source="registration",
        tenant=TENANT,
        stream=f"{TENANT}:deal-{deal.registration_id}",
        version=2,
        position=2,
        recorded_at=now,
        actor=Actor(kind="vendor", subject="dora"),
        command_id=None,
        causation_id=None,
        correlation_id="journey-1",
        event=deal,
    )


def seen_joining(service: Service, held_until: datetime | None, **changes: Any) -> Seen:
    """Another partner joins the registration, which is protected until then or not yet."""
    now = service.world.clock.now()
    about: dict[str, Any] = {"registration_id": REG, "number": "R-7Q2M4K9X", "programme": "default"}
    who: dict[str, Any] = {"partner_id": BEN, "role": "distribute", "invitation_id": "invitation-1", **changes}
    joined = ParticipantJoined(**about, **who, held_until=held_until, joined_at=now)
    before = seen_approval(service)
    return msgspec.structs.replace(before, id=stable_id("joined", REG), type=ParticipantJoined.type, event=joined)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    settings = Settings(data=tmp_path)
    world = make_world(settings)
    hub = Hub(now=world.clock.now)
    async with on_loopback(simulator(hub)) as url:
        service = build(settings, world)
        async with running([service], world):
            yield Stage(service, hub, url)


async def test_an_approval_makes_one_crm_record_even_if_the_answer_is_lost(stage: Stage) -> None:
    await stage.connect()
    stage.hub.faults.lose_answers = 2
    await stage.approve()
    deal = await stage.deal()
    assert len(stage.hub.deals) == 1
    said = stage.hub.deals[deal]["properties"]
    assert (said["entente_partner_id"], said["amount"], said["dealstage"]) == (ANNE, "10000.00", "appointmentscheduled")


async def test_a_win_read_from_the_crm_is_final_credit_in_the_same_commit(stage: Stage) -> None:
    connection = await stage.connect(poll_seconds=3_600)
    await stage.approve()
    deal = await stage.deal()
    await stage.approve(registration_id="reg-2")
    await stage.deal(opportunity_id(TENANT, "reg-2"))  # written in a later turn: by now the worker has read as well
    won(stage.hub, deal)
    polled = await stage.post(f"/connections/{connection}/poll")
    assert polled.json()["changes"] == 1
    row = await stage.stage("won")
    assert (row["amount"], row["win_no"]) == ({"amount": "10000.00", "currency": "EUR"}, 1)
    recorded = await stage.service.store.feed(0, 10_000)
    win = next(r for r in recorded if r.type == "attribution.DealWon.v1")
    together = {r.type for r in recorded if r.command_id == win.command_id}
    assert {"attribution.DealWon.v1", "attribution.CreditAllocated.v1"} <= together
    credit = await stage.now(f"/opportunities/{SALE}/credit/sourced")
    assert [(s["partner_id"], s["percent"]) for s in credit["current"]["shares"]] == [(ANNE, "100.00")]
    assert credit["current"]["status"] == "final"


async def test_reading_again_appends_nothing(stage: Stage) -> None:
    connection = await stage.connect()
    await stage.approve()
    won(stage.hub, await stage.deal())
    await stage.post(f"/connections/{connection}/poll")
    await stage.stage("won")
    before = await stage.events()
    stage.hub.faults.repeat_pages = True
    for _ in range(3):
        assert (await stage.post(f"/connections/{connection}/poll")).json()["changes"] == 0
    assert await stage.events() == before


async def test_a_signed_push_is_read_at_once_and_an_unsigned_one_is_401(stage: Stage) -> None:
    connection = await stage.connect()
    await stage.approve()
    deal = await stage.deal()
    async with on_loopback(stage.service.api) as address:
        stage.hub.subscribe(f"{address}/connections/{connection}/push")
        won(stage.hub, deal)
        await stage.stage("won")
        body = b'[{"objectId": 1}]'
        refused = await stage.admin.send("POST", f"/connections/{connection}/push", body, {})
        assert (refused.status, refused.json()["slug"]) == (401, "unauthenticated")


async def test_a_refund_takes_back_what_the_crm_says_and_a_reopening_the_rest(stage: Stage) -> None:
    connection = await stage.connect()
    await stage.approve()
    deal = await stage.deal()
    won(stage.hub, deal)
    await stage.post(f"/connections/{connection}/poll")
    refunded(stage.hub, deal, "2500.00")
    await stage.post(f"/connections/{connection}/poll")
    row = await until(lambda: _with(stage, remaining={"amount": "7500.00", "currency": "EUR"}))
    assert row["stage"] == "won"
    lost(stage.hub, deal)
    await stage.post(f"/connections/{connection}/poll")
    await stage.stage("lost")
    assert (await stage.events())[-3:].count("RevenueReversed") == 1


async def _with(stage: Stage, **fields: Any) -> Any:
    row = (await stage.admin.get(f"/opportunities/{SALE}")).json()
    return row if all(row.get(name) == value for name, value in fields.items()) else None


async def test_a_throttled_and_failing_crm_is_asked_again_until_it_answers(stage: Stage) -> None:
    await stage.connect()
    stage.hub.faults.errors, stage.hub.faults.broken_json = 1, 1
    await stage.approve()
    assert await stage.deal()
    assert len(stage.hub.deals) == 1


async def test_an_unmapped_stage_is_listed_and_released_when_mapped(stage: Stage) -> None:
    connection = await stage.connect()
    await stage.approve()
    deal = await stage.deal()
    stage.hub.put(deal, {"dealstage": "legal_review"})
    await stage.post(f"/connections/{connection}/poll")

    async def held() -> Any:
        return (await stage.admin.get("/quarantine")).json()["items"]

    (one,) = await until(held)
    assert (one["code"], one["change"]["stage"]) == ("stage-unmapped", "legal_review")
    why = (await stage.admin.get(f"/why/{one['event_id']}")).json()
    assert (why["outcome"], why["reasons"][0]["code"]) == ("held", "stage-unmapped")
    mapped = await stage.post(f"/connections/{connection}/map-stages", {"stage_map": {"legal_review": "committed"}})
    assert mapped.status == 200
    released = await stage.post(f"/quarantine/{one['quarantine_id']}/release")
    assert released.status == 200, released.body
    await stage.stage("committed")


async def test_credit_is_revised_with_a_reason_and_known_at_answers_as_before(stage: Stage) -> None:
    await stage.connect()
    await stage.approve()
    await stage.deal()
    before = stage.service.world.clock.now()
    path = f"/opportunities/{SALE}/credit/sourced"
    as_before = (await stage.now(path))["current"]
    halves = [{"partner_id": p, "role": "source", "percent": "50.00"} for p in (ANNE, BEN)]
    body = {"shares": halves, "reason_code": "correction", "reason": "both brought it"}
    assert (await stage.post(f"{path}/revise", body, stage.api(roles=("finance",)))).status == 403
    assert (await stage.post(f"{path}/revise", body | {"reason": ""})).json()["slug"] == "reason-required"
    assert (await stage.post(f"{path}/revise", body | {"shares": halves[:1]})).json()["slug"] == "percent-sum"
    revised = await stage.post(f"{path}/revise", body)
    assert (revised.status, revised.json()["revision"]) == (200, 2)

    async def second() -> Any:
        found = (await stage.admin.get(path)).json()
        return found if found["current"]["revision"] == 2 else None

    assert (await until(second))["current"]["reason"] == "both brought it"
    known = before.isoformat().replace("+00:00", "Z")
    assert (await stage.admin.get(f"{path}?known_at={known}")).json()["current"] == as_before


async def test_a_partner_sees_its_own_share_and_nothing_of_another(stage: Stage) -> None:
    await stage.connect()
    await stage.approve()
    await stage.deal()
    halves = [{"partner_id": p, "role": "source", "percent": "50.00"} for p in (ANNE, BEN)]
    body = {"shares": halves, "reason_code": "correction", "reason": "both"}
    await stage.post(f"/opportunities/{SALE}/credit/sourced/revise", body)
    anne, stranger = (stage.api("partner", who, roles=("owner",)) for who in (ANNE, "partner-zoe"))

    async def both() -> Any:
        found = (await anne.get(f"/opportunities/{SALE}/credit")).json()["pools"]
        return found if found and found[0]["current"]["revision"] == 2 else None

    (pool,) = await until(both)
    assert (pool["current"]["shares"][0]["partner_id"], pool["current"]["others_percent"]) == (ANNE, "50.00")
    pages = ["/opportunities", f"/opportunities/{SALE}", f"/opportunities/{SALE}/credit", "/touches", "/credit"]
    shown = b"".join([(await anne.get(page)).body for page in pages])
    assert BEN.encode() not in shown
    for page in (f"/opportunities/{SALE}", f"/opportunities/{SALE}/credit", f"/opportunities/{SALE}/credit/sourced"):
        assert (await stranger.get(page)).status == 404
    assert (await stranger.get("/opportunities")).json()["items"] == []
    assert (await stranger.get("/connections")).status == 403


async def test_every_percent_says_why(stage: Stage) -> None:
    await stage.connect()
    await stage.approve()
    await stage.deal()
    credit = (await stage.now(f"/opportunities/{SALE}/credit/sourced"))["current"]
    why = (await stage.admin.get(f"/why/{credit['event_id']}")).json()
    assert why["outcome"] == "provisional revision 1"
    assert why["inputs"][0]["value"]["code"] == "used"
    assert why["detail"]["policy"]["version"] == 0


async def test_a_touch_told_over_http_moves_credit_once(stage: Stage) -> None:
    await stage.connect()
    await stage.approve()
    await stage.deal()
    body = {
        "touch_type": "cosell_accepted",
        "partner_id": BEN,
        "opportunity_id": SALE,
        "touched_at": stage.service.world.clock.now().isoformat(),
        "source_key": "call-17",
    }
    first = await stage.post("/touches", body)
    again = await stage.post("/touches", body)
    assert (first.status, again.json()["touch_id"]) == (201, first.json()["touch_id"])
    assert (await stage.events()).count("TouchRecorded") == 2
    refused = await stage.post("/touches", body | {"touch_type": "bribe", "source_key": "x"})
    assert (refused.status, refused.json()["slug"]) == (422, "touch-invalid")
    foreign = await stage.post("/touches", body, stage.api("partner", "partner-zoe", roles=("owner",)))
    assert foreign.status == 404


async def test_a_published_policy_decides_the_next_credit(stage: Stage) -> None:
    body = {"pools": [{"name": "all", "roles": ["source", "fulfil"], "model": "linear"}]}
    draft = {"rulebook_id": "credit-default", "kind": "credit_policy", "scope": "default", "body": body}
    drafted = await stage.post("/rulebooks", draft, stage.api(roles=("finance",)))
    published = await stage.post("/rulebooks/credit-default/publish", {"version": drafted.json()["version"]})
    assert published.status == 200, published.body
    await stage.connect()
    await stage.approve()
    await stage.deal()
    pools = (await stage.now(f"/opportunities/{SALE}/credit"))["pools"]
    assert [(p["pool"], p["current"]["policy_version"]) for p in pools] == [("all", 1)]


async def test_who_joins_an_approved_registration_leaves_the_touch_of_its_role_once(stage: Stage) -> None:
    await stage.approve()
    app = stage.service.application
    joined = seen_joining(stage.service, held_until=stage.service.world.clock.now() + timedelta(days=90))

    for _ in range(2):
        await on_participant_joined(joined, app)

    recorded = await stage.service.store.feed(0, 10_000)
    touches = [one.event for one in recorded if one.type == "attribution.TouchRecorded.v1"]
    assert [(one.partner_id, one.touch_type, one.role) for one in touches[1:]] == [(BEN, "order_fulfilled", "fulfil")]
    credit = await stage.now(f"/opportunities/{opportunity_id(TENANT, REG)}/credit/fulfilment")
    assert [(one["partner_id"], one["percent"]) for one in credit["current"]["shares"]] == [(BEN, "100.00")]


async def test_who_joins_before_the_approval_is_touched_once_by_the_approval_that_names_it(stage: Stage) -> None:
    await on_participant_joined(seen_joining(stage.service, held_until=None), stage.service.application)
    assert "TouchRecorded" not in await stage.events()

    both = (Participant(partner_id=ANNE, role="resell"), Participant(partner_id=BEN, role="distribute"))
    await stage.approve(participants=both)

    assert (await stage.events()).count("TouchRecorded") == 2
