"""Incentives at work: facts in, HTTP out, deadlines by the clock, one process on SQLite."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

import httpx
import pytest

from chassis.clock import FixedClock
from chassis.event import Actor, iso
from chassis.execution import Order
from chassis.identity import Principal
from chassis.process import make_world, running
from chassis.rulebook import DraftRules
from chassis.testing.projections import told
from chassis.verify import verify_decisions
from contracts.attribution import CreditAllocated, DealWon, RevenueReversed, Share
from contracts.onboarding import PartnerActivated, PartnerReinstated, PartnerSuspended
from contracts.values import money
from services.incentives.app import Settings, build
from services.incentives.reactions import REACTIONS
from tests.incentives.facts import plan
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.held import Held
from tests.scenarios.patient import PatientTransport, reacted

TENANT = "acme"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
ADMIN = Principal(tenant=TENANT, subject="adm-1", kind="vendor", roles=("admin",), duties=("plan_admin",))
OTHER_ADMIN = Principal(tenant=TENANT, subject="adm-2", kind="vendor", roles=("admin",), duties=("plan_admin",))
FINANCE = Principal(tenant=TENANT, subject="fin-1", kind="vendor", roles=("finance",))
APPROVER = Principal(tenant=TENANT, subject="fin-2", kind="vendor", roles=("finance",), duties=("approver",))
BOTH = Principal(tenant=TENANT, subject="fin-1", kind="vendor", roles=("finance",), duties=("approver",))
P1 = Principal(tenant=TENANT, subject="per-1", kind="partner", partner_id="p1", roles=("owner",))
P2 = Principal(tenant=TENANT, subject="per-2", kind="partner", partner_id="p2", roles=("owner",))


class Running:
    """The service, its clock, and who asks it."""

    def __init__(self, service: Any, world: Any, clock: FixedClock) -> None:
        self.service, self.world, self.clock = service, world, clock
        self._positions = count(1)
        self._keys = count(1)
        self._client = httpx.AsyncClient(
            transport=PatientTransport(app=Held(service.api)), base_url="http://incentives"
        )

    async def hear(self, happened: Any, times: int = 1) -> None:
        """A public event of another service arrives, perhaps more than once."""
        [seen] = told(happened, tenant=TENANT, first=next(self._positions), at=self.clock.now())
        for _ in range(times):
            await self._react(seen)
        await self.settle()

    async def hear_at_once(self, *happened: Any) -> None:
        """Public events of another service arrive side by side."""
        at = self.clock.now()
        seen = [told(one, tenant=TENANT, first=next(self._positions), at=at)[0] for one in happened]
        await asyncio.gather(*(self._react(one) for one in seen))
        await self.settle()

    async def _react(self, seen: Any) -> None:
        await reacted(lambda: REACTIONS[type(seen.event)](seen, self.service.application))

    async def settle(self) -> None:
        head = await self.service.store.head()
        assert await self.service.runner.reached("", "incentives", head, PATIENCE_SECONDS)

    async def rest(self) -> None:
        """Waits until no deadline is due any more, and everything is read."""
        read, deadlines = self.service.application.read, self.service.blueprint.deadlines
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                head = await self.service.store.head()
                await self.settle()
                now = self.clock.now()
                found = [one for deadline in deadlines for one in await read.due(deadline.name, iso(now), 1)]
                due = [one for one in found if datetime.fromisoformat(one.due_at) <= now]
                if not due and await self.service.store.head() == head:
                    return
                await asyncio.sleep(0.02)

    async def post(self, who: Principal, path: str, body: Any = None, key: str | None = None) -> httpx.Response:
        headers = {**self._as(who), "Idempotency-Key": key or f"k{next(self._keys)}"}
        answer = await self._client.post(path, json=body if body is not None else {}, headers=headers)
        await self.settle()
        return answer

    async def put(self, who: Principal, path: str, body: Any) -> httpx.Response:
        headers = {**self._as(who), "Idempotency-Key": f"k{next(self._keys)}"}
        answer = await self._client.put(path, json=body, headers=headers)
        await self.settle()
        return answer

    async def get(self, who: Principal, path: str) -> Any:
        answer = await self._client.get(path, headers=self._as(who))
        return answer.json() if answer.status_code == 200 else answer.status_code

    async def text(self, who: Principal, path: str) -> str:
        answer = await self._client.get(path, headers=self._as(who))
        assert answer.status_code == 200
        return answer.text

    def _as(self, who: Principal) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.world.signer.sign(who, 'incentives')}"}

    async def until(self, who: Principal, path: str, seen: Any) -> Any:
        """Waits until a read shows what is awaited."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                found = await self.get(who, path)
                if isinstance(found, dict) and seen(found):
                    return found
                await asyncio.sleep(0.02)

    async def publish_plan(self, body: Any, plan_id: str = "commission", **publication: Any) -> None:
        draft = {"rulebook_id": plan_id, "kind": "plan", "body": body, "examples": []}
        assert (await self.post(ADMIN, "/rulebooks", draft)).status_code == 201
        published = await self.post(OTHER_ADMIN, f"/rulebooks/{plan_id}/publish", {"version": 1, **publication})
        assert published.status_code == 200, published.text

    async def close(self) -> None:
        await self._client.aclose()


@asynccontextmanager
async def started(data, **faults):
    settings = Settings(data=data, **faults)
    clock = FixedClock(START)
    world = make_world(settings, clock=clock)
    service = build(settings, world)
    async with running([service], world):
        asked = Running(service, world, clock)
        yield asked
        await asked.close()


@pytest.fixture
async def incentives(tmp_path):
    async with started(tmp_path) as asked:
        yield asked


def won(opportunity_id="o1", amount="1000.00"):
    return DealWon(
        partner_ids=("p1",),
        opportunity_id=opportunity_id,
        registration_id="r1",
        win_no=1,
        amount=money(amount, "EUR"),
        lines=(),
        deal_type="new",
        closed_on=date(2026, 3, 16),
        won_at=START,
    )


def credited(*shares, opportunity_id="o1", revision=1, status="final"):
    vector = tuple(Share(partner_id=who, role="source", percent=Decimal(p), from_month="2026-03") for who, p in shares)
    return CreditAllocated(
        opportunity_id=opportunity_id,
        pool="sourced",
        revision=revision,
        status=status,
        win_no=1,
        shares=vector,
        policy_id="default",
        policy_version=1,
        model="last",
        reason_code="model",
        cutoff_at=START,
        decision_sha256="0" * 64,
    )


def refunded(reversal_id, amount, occurred_on=date(2026, 3, 20)):
    return RevenueReversed(
        partner_ids=("p1",),
        opportunity_id="o1",
        win_no=1,
        reversal_id=reversal_id,
        amount=money(amount, "EUR"),
        remaining=money("0.00", "EUR"),
        reason_code="refund",
        occurred_on=occurred_on,
    )


def activated(partner_id="p1", revision=1):
    return PartnerActivated(
        partner_id=partner_id,
        revision=revision,
        country="DE",
        domains=(),
        types=("reseller",),
        locale="en",
        zone="UTC",
        activated_at=START,
    )


def suspended(revision=2, scopes=("payouts",)):
    return PartnerSuspended(partner_id="p1", revision=revision, scopes=scopes, reason_code="audit", suspended_at=START)


async def earned(incentives, hold_days=30):
    """A published plan of 10 %, an active partner, a sale of 1,000.00 that is its own."""
    await incentives.publish_plan(plan(hold_days=hold_days))
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    [line] = (await incentives.get(P1, "/lines"))["items"]
    return line


async def stated(incentives):
    """The line's hold is over, and May has its statement."""
    await earned(incentives, hold_days=60)
    incentives.clock.set(datetime(2026, 6, 3, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines", lambda page: page["items"][0]["state"] == "payable")
    body = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    answer = await incentives.post(FINANCE, "/statements", body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def proposed(incentives):
    statement = await stated(incentives)
    answer = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    assert answer.status_code == 201, answer.text
    return f"/payments/{answer.json()['payment_id']}"


async def balances(incentives):
    found = await incentives.get(FINANCE, "/ledger/balances")
    assert all(Decimal(trial["total"]) == 0 for trial in found["trial_balance"])
    return {item["account_id"]: item for item in found["items"]}


async def test_a_won_and_credited_deal_is_earned_held_released_stated_approved_and_paid(incentives):
    payment = await proposed(incentives)
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
    assert (await incentives.post(FINANCE, f"{payment}/submit")).json()["state"] == "submitted"
    await incentives.until(FINANCE, payment, lambda found: found["state"] == "paid")
    await incentives.settle()
    [line] = (await incentives.get(P1, "/lines"))["items"]
    assert (line["state"], line["payable_on"], line["paid_on"]) == ("paid", "2026-05-15", "2026-06-03")
    mine = (await balances(incentives))["p1-EUR"]
    assert (mine["held"], mine["payable"], mine["in_payment"], mine["cash"]) == ("0.00", "0.00", "0.00", "-100.00")
    assert len(incentives.service.application.ports.transfers()) == 1


async def test_the_statement_says_all_and_the_partner_reads_its_own(incentives):
    issued = await stated(incentives)
    whole = await incentives.get(P1, f"/statements/{issued['statement_id']}")
    assert (whole["opening"]["amount"], whole["closing"]["amount"]) == ("0.00", "100.00")
    assert [(line["kind"], line["amount"]["amount"]) for line in whole["lines"]] == [("released", "100.00")]
    assert whole["sha256"] == issued["sha256"]
    assert await incentives.get(P2, f"/statements/{issued['statement_id']}") == 404


async def test_every_step_says_why(incentives):
    line = await earned(incentives)
    why = await incentives.get(P1, f"/why/{line['event_id']}")
    assert why["outcome"] == "100.00 EUR"
    assert {"plan", "basis", "share", "before", "after", "rounding", "dates"} <= {r["code"] for r in why["reasons"]}
    assert await incentives.get(P2, f"/why/{line['event_id']}") == 404


async def test_who_may_not_read_what_the_partner_earns_is_not_told_why_either(incentives):
    payment = await proposed(incentives)
    approved = await incentives.post(APPROVER, f"{payment}/approve")
    assert approved.json()["state"] == "approved"
    [line] = (await incentives.get(P1, "/lines"))["items"]
    steps = [line["event_id"], *(one["event_id"] for one in (await incentives.get(FINANCE, payment))["history"])]
    of_people = [replace(P1, subject="per-8", roles=(role,)) for role in ("seller", "marketer")]
    for person in of_people:
        assert {await incentives.get(person, f"/why/{step}") for step in steps} == {404}
    assert (await incentives.get(P1, f"/why/{steps[0]}"))["outcome"] == "100.00 EUR"


async def test_a_partner_sees_only_its_own(incentives):
    line = await earned(incentives)
    assert await incentives.get(P2, f"/lines/{line['line_id']}") == 404
    assert (await incentives.get(P2, "/lines?partner_id=p1"))["items"] == []
    assert await incentives.get(P1, "/ledger") == 403
    assert await incentives.get(P1, "/sales") == 403


async def test_events_that_come_twice_count_once(incentives):
    await incentives.publish_plan(plan())
    for happened in (activated(), won(), credited(("p1", "100.00")), refunded("x", "500.00")):
        await incentives.hear(happened, times=3)
    [line] = (await incentives.get(P1, "/lines"))["items"]
    assert (line["amount"]["amount"], line["remaining"]["amount"]) == ("100.00", "50.00")


async def test_provisional_credit_earns_nothing(incentives):
    await incentives.publish_plan(plan())
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00"), status="provisional"))
    assert (await incentives.get(FINANCE, "/lines"))["items"] == []


async def test_a_quarter_s_meter_runs_over_sales(incentives):
    bands = ({"up_to": "100", "percent": "5"}, {"percent": "9"})
    body = plan(*bands, semantics="retroactive", axis="attainment", quota="100000", accumulate="quarter")
    await incentives.publish_plan(body)
    for opportunity_id, amount in (("o1", "60000.00"), ("o2", "80000.00")):
        await incentives.hear(won(opportunity_id, amount))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=opportunity_id))
    amounts = {
        line["opportunity_id"]: line["amount"]["amount"] for line in (await incentives.get(P1, "/lines"))["items"]
    }
    assert amounts == {"o1": "3000.00", "o2": "9600.00"}


async def test_sales_that_race_on_one_meter_sum_to_the_whole(incentives):
    await incentives.publish_plan(plan({"up_to": "5000", "percent": "5"}, {"percent": "9"}, accumulate="quarter"))
    names = [f"o{n}" for n in range(8)]
    for name in names:
        await incentives.hear(won(name))
    await incentives.hear_at_once(*(credited(("p1", "100.00"), opportunity_id=name) for name in names))
    paid = [Decimal(line["amount"]["amount"]) for line in (await incentives.get(P1, "/lines"))["items"]]
    assert (len(paid), sum(paid)) == (8, Decimal("520.00"))


async def test_a_refund_after_payment_carries_a_negative_balance_forward(incentives):
    payment = await proposed(incentives)
    await incentives.post(APPROVER, f"{payment}/approve")
    await incentives.post(FINANCE, f"{payment}/submit")
    await incentives.until(FINANCE, payment, lambda found: found["state"] == "paid")
    await incentives.hear(refunded("x", "1000.00"))
    assert (await balances(incentives))["p1-EUR"]["payable"] == "100.00"
    incentives.clock.set(datetime(2026, 7, 3, tzinfo=UTC))
    body = {"partner_id": "p1", "period": "2026-06", "currency": "EUR"}
    closing = (await incentives.post(FINANCE, "/statements", body)).json()
    assert closing["closing"] == {"amount": "-100.00", "currency": "EUR"}
    answer = await incentives.post(FINANCE, "/payments", {"statement_id": closing["statement_id"]})
    assert (answer.status_code, answer.json()["slug"]) == (409, "below-minimum")


async def test_done_when_5_no_one_prepares_and_approves(incentives):
    payment = await proposed(incentives)
    answer = await incentives.post(BOTH, f"{payment}/approve")
    assert (answer.status_code, answer.json()["slug"]) == (403, "four-eyes")
    assert (await incentives.post(FINANCE, f"{payment}/approve")).status_code == 403
    assert (await incentives.post(P1, f"{payment}/approve")).status_code == 403


async def test_a_suspended_partner_is_blocked_until_reinstated_even_if_the_old_event_comes_again(incentives):
    payment = await proposed(incentives)
    await incentives.hear(suspended())
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "blocked"
    assert (await incentives.post(FINANCE, f"{payment}/resume")).json()["slug"] == "gate-unmet"
    await incentives.hear(PartnerReinstated(partner_id="p1", revision=3, reinstated_at=START))
    await incentives.hear(suspended())
    assert (await incentives.post(FINANCE, f"{payment}/resume")).json()["state"] == "proposed"
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
    assert (await incentives.get(P1, "/payees"))["items"][0]["gates"] == []


@pytest.mark.parametrize("fault", ["late", "twice", "unknown", "lost"])
async def test_done_when_4_under_every_fault_of_the_provider_there_is_one_transfer(tmp_path, fault):
    async with started(tmp_path, **{f"provider_{fault}_percent": 100}) as incentives:
        payment = await proposed(incentives)
        await incentives.post(APPROVER, f"{payment}/approve")
        await incentives.post(FINANCE, f"{payment}/submit")
        for minutes in (5, 15, 30):
            found = await incentives.until(FINANCE, payment, lambda row: row["state"] in ("paid", "unknown"))
            if found["state"] == "paid":
                break
            asks = len(found["history"])
            incentives.clock.set(datetime(2026, 6, 3, 9, minutes, tzinfo=UTC))
            await incentives.until(FINANCE, payment, lambda row, asks=asks: len(row["history"]) > asks)
        assert (await incentives.get(FINANCE, payment))["state"] == "paid"
        assert len(incentives.service.application.ports.transfers()) == 1
        references = {row[0] for row in incentives.service.application.ports.transfers()}
        assert references == {(await incentives.get(FINANCE, payment))["reference"]}


async def test_a_rejected_payment_can_be_retried(tmp_path):
    async with started(tmp_path, provider_rejected_percent=100) as incentives:
        payment = await proposed(incentives)
        await incentives.post(APPROVER, f"{payment}/approve")
        await incentives.post(FINANCE, f"{payment}/submit")
        await incentives.until(FINANCE, payment, lambda found: found["state"] == "failed")
        assert (await incentives.post(FINANCE, f"{payment}/retry")).json()["state"] == "approved"
        again = (await incentives.post(FINANCE, f"{payment}/submit")).json()
        assert again["reference"].endswith("-02")


async def test_a_postponed_line_is_released_on_its_new_day(incentives):
    line = await earned(incentives)
    path = f"/lines/{line['line_id']}"
    answer = await incentives.post(FINANCE, f"{path}/postpone", {"until": "2026-05-01", "reason": "audit"})
    assert answer.json()["state"] == "held"
    incentives.clock.set(datetime(2026, 4, 20, tzinfo=UTC))
    assert (await incentives.get(P1, path))["why_held"] == "postponed until 2026-05-01: audit"
    incentives.clock.set(datetime(2026, 5, 1, 0, 1, tzinfo=UTC))
    await incentives.until(P1, path, lambda found: found["state"] == "payable")


async def test_a_line_that_is_paid_or_in_a_payment_is_not_postponed(incentives):
    payment = await proposed(incentives)
    [line] = (await incentives.get(P1, "/lines"))["items"]
    path, until = f"/lines/{line['line_id']}/postpone", {"until": "2026-07-01", "reason": "audit"}
    assert (await incentives.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
    refused = (await incentives.post(FINANCE, path, until)).json()
    assert (refused["status"], refused["slug"], refused["state"]) == (409, "wrong-state", "in_payment")
    assert refused["payment_id"] == payment.removeprefix("/payments/")
    await incentives.post(FINANCE, f"{payment}/submit")
    await incentives.until(FINANCE, payment, lambda found: found["state"] == "paid")
    refused = (await incentives.post(FINANCE, path, until)).json()
    assert (refused["status"], refused["slug"], refused["state"]) == (409, "wrong-state", "paid")
    assert refused["allowed"] == ["held", "payable"]
    assert (await balances(incentives))["p1-EUR"]["payable"] == "0.00"


async def test_a_line_whose_payment_was_declined_is_postponed(incentives):
    payment = await proposed(incentives)
    [line] = (await incentives.get(P1, "/lines"))["items"]
    await incentives.post(APPROVER, f"{payment}/approve")
    assert (await incentives.post(APPROVER, f"{payment}/decline", {"category": "wait"})).status_code == 200
    until = {"until": "2026-07-01", "reason": "audit"}
    assert (await incentives.post(FINANCE, f"/lines/{line['line_id']}/postpone", until)).json()["state"] == "held"
    assert (await balances(incentives))["p1-EUR"]["held"] == "-100.00"


async def test_a_plan_without_semantics_is_refused(incentives):
    body = plan()
    del body["schedule"]["semantics"]
    draft = {"rulebook_id": "x", "kind": "plan", "body": body, "examples": []}
    answer = await incentives.post(ADMIN, "/rulebooks", draft)
    assert (answer.status_code, answer.json()["slug"]) == (422, "rules-invalid")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (plan(holddays=3), "body.holddays"),
        (plan({"percent": "10", "upto": "100"}), "body.schedule.bands.0.upto"),
    ],
)
async def test_a_field_that_no_plan_has_is_refused_by_its_place(incentives, body, field):
    draft = {"rulebook_id": "typo", "kind": "plan", "body": body, "examples": []}
    answer = await incentives.post(ADMIN, "/rulebooks", draft)
    assert (answer.status_code, answer.json()["slug"]) == (422, "rules-invalid")
    assert [error["path"] for error in answer.json()["errors"]] == [field]


async def test_a_new_plan_of_201_products_is_refused_and_one_drafted_before_is_decided_as_it_was(incentives):
    body = plan(skus=[f"sku-{number}" for number in range(201)])
    refused = await incentives.post(ADMIN, "/rulebooks", {"rulebook_id": "now", "kind": "plan", "body": body})
    assert (refused.status_code, refused.json()["slug"]) == (422, "rules-invalid")
    assert refused.json()["errors"] == [{"path": "body", "code": "rule", "message": "skus names at most 200"}]
    executor = incentives.service.application.executor
    wish = DraftRules(rulebook_id="then", kind="plan", scope="default", body=body, author="ada", now=START)
    actor = Actor(kind="vendor", subject="ada")
    await executor.run(Order(command_id="then", tenant="acme", actor=actor, correlation_id="then"), wish)
    published = await incentives.post(OTHER_ADMIN, "/rulebooks/then/publish", {"version": 1})
    assert published.status_code == 200, published.text
    report = await verify_decisions(executor.store, executor.handles.values())
    assert report.holds, report.lines()


async def test_the_same_key_is_one_statement(incentives):
    await stated(incentives)
    body = {"partner_id": "p1", "period": "2026-04", "currency": "EUR"}
    answers = [await incentives.post(FINANCE, "/statements", body, key="once") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [409, 409]
    assert answers[0].json()["slug"] == answers[1].json()["slug"] == "period-stated"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/statements", {"partner_id": "p1", "period": "2026-13", "currency": "EUR"}),
        ("/statements", {"partner_id": "p1", "period": "2026-03", "currency": "XXX"}),
        ("/statements", {"partner_id": "nobody", "period": "2026-01", "currency": "EUR"}),
        ("/payments", {"statement_id": "nothing"}),
        ("/payments/nothing/decline", {"category": "x"}),
        ("/payments/nothing/approve", {}),
        ("/lines/nothing/postpone", {"until": "2026-05-01", "reason": "x"}),
    ],
)
async def test_nonsense_is_refused_clearly(incentives, path, body):
    await incentives.hear(activated())
    who = Principal(tenant=TENANT, subject="fin-9", kind="vendor", roles=("finance",), duties=("approver",))
    answer = await incentives.post(who, path, body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("rate", ["NaN", "Infinity", "-1", "0", "1e400", 1e308, "1e18", "0.00000000001"])
async def test_a_rate_that_no_money_can_be_reckoned_with_is_refused(incentives, rate):
    answer = await incentives.post(FINANCE, "/rates", {"source": "x", "on": "2026-03-02", "pairs": {"EUR/USD": rate}})
    assert answer.status_code == 422, answer.text


async def test_what_is_owed_in_a_currency_that_there_is_not_is_not_written_off(incentives):
    answer = await incentives.post(FINANCE, "/write-offs", {"payee_id": "p1", "currency": "ZZZ", "reason": "x"})
    assert (answer.status_code, answer.json()["slug"]) == (422, "unknown-currency")


async def whole_run(incentives):
    """Earned, refunded in part, stated, paid, refused, suspended: something of everything."""
    payment = await proposed(incentives)
    await incentives.post(BOTH, f"{payment}/approve")
    await incentives.post(APPROVER, f"{payment}/approve")
    await incentives.post(FINANCE, f"{payment}/submit")
    await incentives.until(FINANCE, payment, lambda found: found["state"] == "paid")
    await incentives.hear(refunded("x", "333.33"))
    await incentives.hear(credited(("p1", "50.00"), ("p2", "50.00"), revision=2))
    await incentives.hear(suspended())


async def test_every_decision_is_decided_alike_from_the_log(incentives):
    await whole_run(incentives)
    executor = incentives.service.application.executor
    report = await verify_decisions(executor.store, executor.handles.values())
    assert report.holds, report.lines()
    assert report.compared["decisions"] > 10


async def test_every_read_model_is_rebuilt_byte_for_byte(incentives):
    await whole_run(incentives)
    await incentives.rest()
    service = incentives.service
    read = service.application.read
    own = {projection.name for projection in service.projections if not projection.heard}
    live = [model for model in await read.models() if model.live and model.name in own]
    before = {model.name: await read.export(model.model) for model in live}
    assert own == before.keys()
    assert own == {projection.name for projection in service.projections} - {"open_sales"}
    again = await asyncio.gather(*(service.runner.rebuild(name) for name in before))
    assert {name: await read.export(model) for name, model in zip(before, again, strict=True)} == before


async def test_a_recredited_sale_after_payment_owes_the_difference(incentives):
    await whole_run(incentives)
    mine, other = (await balances(incentives))["p1-EUR"], (await balances(incentives))["p2-EUR"]
    lines = {
        (line["partner_id"], line["credit_revision"]): (line["amount"]["amount"], line["remaining"]["amount"])
        for line in (await incentives.get(FINANCE, "/lines"))["items"]
    }
    assert lines == {("p1", 1): ("100.00", "0.00"), ("p1", 2): ("50.00", "33.33"), ("p2", 2): ("50.00", "33.33")}
    assert (mine["payable"], mine["cash"], mine["expense"]) == ("66.67", "-100.00", "33.33")
    assert (other["payable"], other["expense"]) == ("-33.33", "33.33")
