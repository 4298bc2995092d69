"""Funds at work: concurrent draws, the clock, a claim on its way to the money, and who sees what. One system for all."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest_asyncio

from chassis.event import decode
from chassis.identity import Principal
from contracts.onboarding import OffboardingStarted
from contracts.registration import DealApproved, ParticipantJoined
from contracts.samples import sample
from tests.incentives.fund_facts import fund
from tests.incentives.test_service import (
    ADMIN,
    APPROVER,
    FINANCE,
    OTHER_ADMIN,
    P1,
    P2,
    START,
    TENANT,
    Running,
    activated,
    started,
)

FUND_MANAGER = Principal(tenant=TENANT, subject="fm-1", kind="vendor", duties=("fund_manager",))
AT_ONCE = 200


@pytest_asyncio.fixture(name="it")
async def it_fixture(tmp_path):
    async with started(tmp_path) as asked:
        for partner_id in ("p1", "p2"):
            await asked.hear(activated(partner_id))
        draft = {"rulebook_id": "mdf", "kind": "fund", "body": fund(rollover_percent="50"), "examples": []}
        assert (await asked.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await asked.post(OTHER_ADMIN, "/rulebooks/mdf/publish", {"version": 1})).status_code == 200
        budget = {"ref": "year", "amount": "50000.00", "currency": "EUR"}
        assert (await asked.post(FUND_MANAGER, "/budgets/mdf-2026/allocate", budget)).status_code == 201
        yield asked


def eur(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "EUR"}


async def share(it: Running, partner_id: str, amount: str) -> None:
    body = {"partner_id": partner_id, "period": "2026", "ref": "first", "amount": eur(amount)}
    assert (await it.post(FUND_MANAGER, "/funds/mdf/allocate", body)).status_code == 201


def wanted(amount: str, **changes: Any) -> dict[str, Any]:
    return {
        "fund_id": "mdf",
        "period": "2026",
        "activity_type": "event",
        "starts_on": "2026-04-01",
        "ends_on": "2026-04-02",
        "items": [{"text": "hall", "amount": eur(amount)}],
        **changes,
    }


async def requested(it: Running, who: Principal, amount: str) -> str:
    made = (await it.post(who, "/fund-requests", wanted(amount))).json()["fund_request_id"]
    assert (await it.post(who, f"/fund-requests/{made}/submit")).status_code == 200
    return str(made)


AS_IS = {"items": [{"outcome": "accepted_as_is"}]}


async def accepted(it: Running, who: Principal, amount: str) -> str:
    made = await requested(it, who, amount)
    answer = await it.post(FUND_MANAGER, f"/fund-requests/{made}/decide", AS_IS)
    assert answer.json()["state"] == "accepted"
    return made


def claim_of(request_id: str, amount: str, file: str = "a") -> dict[str, Any]:
    proof = {
        "kind": "invoice",
        "proof_sha256": file * 64,
        "issuer": "Hall Ltd",
        "number": "17",
        "amount": eur(amount),
        "issued_on": "2026-04-03",
    }
    return {"kind": "fund", "of_id": request_id, "items": [{"text": "hall", "amount": eur(amount)}], "proofs": [proof]}


async def claimed(it: Running, who: Principal, request_id: str, amount: str) -> str:
    made = (await it.post(who, "/claims", claim_of(request_id, amount))).json()["claim_id"]
    assert (await it.post(who, f"/claims/{made}/submit")).json()["state"] == "submitted"
    return str(made)


async def test_done_when_6_200_concurrent_requests_never_overdraw_a_fund(it):
    """Each of 200 requests reserves 500 of 20,000 that are there: 40 are served, whoever comes first."""
    await share(it, "p1", "20000.00")

    async def post(who: Principal, path: str, body: Any, key: str) -> Any:
        return await it._client.post(path, json=body, headers={**it._as(who), "Idempotency-Key": key})

    drafts = [await post(P1, "/fund-requests", wanted("1000.00"), f"d{n}") for n in range(AT_ONCE)]
    ids = [answer.json()["fund_request_id"] for answer in drafts]
    for request_id in ids:
        await post(P1, f"/fund-requests/{request_id}/submit", {}, f"s{request_id}")
    answers = await asyncio.gather(
        *(post(FUND_MANAGER, f"/fund-requests/{one}/decide", AS_IS, f"y{one}") for one in ids)
    )
    codes = [answer.status_code for answer in answers]
    assert (codes.count(200), codes.count(409)) == (40, 160)
    assert {a.json()["type"] for a in answers if a.status_code == 409} == {"/problems/funds-insufficient"}
    await it.settle()
    [found] = (await it.get(P1, "/funds"))["items"]
    assert (found["available"], found["reserved"], found["allocated"]) == ("0.00", "20000.00", "20000.00")


async def test_a_claim_becomes_payable_is_stated_paid_and_then_settled(it):
    await share(it, "p1", "10000.00")
    request_id = await accepted(it, P1, "10000.00")
    claim_id = await claimed(it, P1, request_id, "9000.00")
    answer = await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", {"outcome": "approved"})
    assert answer.json()["amount"] == eur("4500.00")
    await it.post(FUND_MANAGER, f"/fund-requests/{request_id}/complete", {"reason": "all claimed"})
    assert [row["available"] for row in (await it.get(P1, "/funds"))["items"]] == ["5500.00"]
    it.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    month = {"partner_id": "p1", "period": "2026-03", "currency": "EUR"}
    statement = (await it.post(FINANCE, "/statements", month)).json()
    assert statement["closing"] == eur("4500.00")
    payment = (await it.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})).json()["payment_id"]
    assert (await it.post(APPROVER, f"/payments/{payment}/approve")).json()["state"] == "approved"
    await it.post(FINANCE, f"/payments/{payment}/submit")
    found = await it.until(P1, f"/claims/{claim_id}", lambda claim: claim["state"] == "settled")
    assert found["payment_id"] == payment
    assert "reused" not in found
    [trial] = (await it.get(FINANCE, "/ledger/balances"))["trial_balance"]
    assert (trial["total"], trial["expense"], trial["cash"]) == ("0.00", "4500.00", "-4500.00")


async def test_the_clock_reminds_and_expires_and_a_period_ends_by_itself(it):
    await share(it, "p1", "10000.00")
    request_id = await accepted(it, P1, "4000.00")
    path = f"/fund-requests/{request_id}"
    for day in (datetime(2026, 5, 4, tzinfo=UTC), datetime(2026, 5, 15, tzinfo=UTC)):
        it.clock.set(day)
        await it.until(P1, path, lambda one, day=day: one["history"][-1]["at"] >= day.strftime("%Y-%m-%d"))
    reminders = [one["text"] for one in (await it.get(P1, path))["history"] if one["kind"] == "FundClaimReminded"]
    assert reminders == ["13 days are left to claim", "2 days are left to claim"]
    it.clock.set(datetime(2026, 5, 18, 0, 1, tzinfo=UTC))
    await it.until(P1, path, lambda one: one["state"] == "expired")
    it.clock.set(datetime(2027, 1, 1, 0, 1, tzinfo=UTC))
    shares = await it.until(P1, "/funds", lambda page: len(page["items"]) == 2)
    assert {one["period"]: one["available"] for one in shares["items"]} == {"2026": "0.00", "2027": "5000.00"}
    gone = {one["period"]: (one["expired"], one["rolled_over"]) for one in shares["items"]}
    assert gone == {"2026": ("5000.00", "5000.00"), "2027": ("0.00", "0.00")}


async def test_done_when_9_a_reused_proof_names_nobody_to_the_claimant(it):
    """Two partners show the same invoice: the reviewer sees both claims, the second claimant that it needs review."""
    claims = []
    for who, partner_id in ((P1, "p1"), (P2, "p2")):
        await share(it, partner_id, "10000.00")
        claims.append(await claimed(it, who, await accepted(it, who, "1000.00"), "900.00"))
    first, second = claims
    own, reviewed = await it.get(P2, f"/claims/{second}"), await it.get(FUND_MANAGER, f"/claims/{second}")
    assert own["needs_review"]
    assert first not in str(own)
    assert "p1" not in str(own)
    assert {claim for one in reviewed["reused"] for claim in one["claim_ids"]} == {first}
    no_reason = await it.post(FUND_MANAGER, f"/claims/{second}/decide", {"outcome": "approved"})
    assert no_reason.json()["type"] == "/problems/proof-reused"


async def test_a_partner_sees_and_touches_only_its_own(it):
    await share(it, "p1", "10000.00")
    request_id = await accepted(it, P1, "1000.00")
    assert await it.get(P2, f"/fund-requests/{request_id}") == 404
    assert (await it.get(P2, "/funds"))["items"] == []
    assert (await it.post(P2, f"/fund-requests/{request_id}/cancel", {"reason": "x"})).status_code == 404
    assert (await it.post(P2, "/claims", claim_of(request_id, "1.00"))).status_code == 404
    assert (await it.post(P1, f"/fund-requests/{request_id}/decide", AS_IS)).status_code == 403


async def test_amounts_that_nobody_could_add_up_are_not_taken_and_the_lists_go_on(it):
    """A draft whose items came to more than money can hold stopped the list of requests for every partner."""
    await share(it, "p1", "10000.00")
    request_id = await accepted(it, P1, "1000.00")
    items = [{"text": "hall", "amount": eur("999999999999999.00")}] * 2
    assert (await it.post(P1, "/fund-requests", wanted("1.00", items=items))).status_code == 422
    assert (await it.post(P1, "/claims", {**claim_of(request_id, "900.00"), "items": items})).status_code == 422
    taxed = {"country": "DE", "amount": eur("200000000000000.00")}
    dear = {**claim_of(request_id, "1.00"), "items": items[:1], "tax": taxed}
    assert (await it.post(P1, "/claims", dear)).status_code == 422
    await requested(it, P1, "70.00")
    assert len((await it.get(P1, "/fund-requests"))["items"]) == 2


async def test_a_special_price_is_granted_claimed_and_paid(it):
    body = {
        "partner_id": "p1",
        "kind": "blanket",
        "products": [{"sku": "SW-1", "cost": eur("100.00"), "price": eur("80.00"), "units_max": 5}],
        "starts_on": "2026-03-01",
        "ends_on": "2026-06-30",
        "reason": "campaign",
    }
    price_id = (await it.post(FUND_MANAGER, "/special-prices", body)).json()["special_price_id"]
    sold = {"sku": "SW-1", "quantity": 5, "sold_on": "2026-03-02", "invoice": "inv-1"}
    item = {"text": "sold", "amount": eur("100.00"), "sold": sold}
    claim = {"kind": "special_price", "of_id": price_id, "items": [item]}
    claim_id = (await it.post(P1, "/claims", claim)).json()["claim_id"]
    await it.post(P1, f"/claims/{claim_id}/submit")
    answer = await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", {"outcome": "approved"})
    assert answer.json() == {
        "claim_id": claim_id,
        "state": "approved",
        "needs_review": False,
        "amount": eur("100.00"),
    }
    assert (await it.get(P1, f"/special-prices/{price_id}"))["used"] == {"SW-1": 5}
    [balance] = (await it.get(FINANCE, "/ledger/balances"))["items"]
    assert balance["payable"] == "-100.00"


async def test_what_a_partner_that_leaves_has_reserved_is_released_after_its_run_off(it):
    await share(it, "p1", "10000.00")
    request_id = await accepted(it, P1, "4000.00")
    leaves = OffboardingStarted(
        partner_id="p1",
        revision=9,
        reason_code="strategy",
        last_business_day=date(2026, 3, 20),
        run_off_until=date(2026, 4, 10),
        started_at=it.clock.now(),
    )
    await it.hear(leaves)
    it.clock.set(datetime(2026, 4, 11, 0, 1, tzinfo=UTC))
    await it.until(P1, "/settlements/p1", lambda one: one["state"] == "settled")
    found = await it.get(P1, f"/fund-requests/{request_id}")
    said = "cancelled, 2000.00 EUR given back: the partner has left"
    assert (found["state"], found["history"][-1]["text"]) == ("cancelled", said)
    assert [row["reserved"] for row in (await it.get(P1, "/funds"))["items"]] == ["0.00"]


async def test_a_special_price_for_a_customer_without_a_deal_names_it_and_nothing_else(it):
    body = {
        "partner_id": "p1",
        "kind": "bid",
        "customer_domain": "contoso.de",
        "products": [{"sku": "SW-1", "cost": eur("100.00"), "price": eur("80.00"), "units_max": 5}],
        "starts_on": "2026-03-01",
        "ends_on": "2026-06-30",
        "reason": "to win against a rival",
    }
    price_id = (await it.post(FUND_MANAGER, "/special-prices", body)).json()["special_price_id"]
    assert (await it.get(P1, f"/special-prices/{price_id}"))["customer_domain"] == "contoso.de"
    sold = {"sku": "SW-1", "quantity": 5, "sold_on": "2026-03-02", "invoice": "inv-1", "customer_domain": "contoso.de"}
    item = {"text": "sold", "amount": eur("100.00"), "sold": sold}
    claim = {"kind": "special_price", "of_id": price_id, "items": [item]}
    claim_id = (await it.post(P1, "/claims", claim)).json()["claim_id"]
    await it.post(P1, f"/claims/{claim_id}/submit")
    answer = await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", {"outcome": "approved"})
    assert answer.json()["amount"] == eur("100.00")
    both = {**body, "registration_id": "r1"}
    assert (await it.post(FUND_MANAGER, "/special-prices", both)).json()["type"] == "/problems/special-price-invalid"
    wrong = {**body, "customer_domain": "Contoso GmbH"}
    assert (await it.post(FUND_MANAGER, "/special-prices", wrong)).status_code == 422


APPROVED = decode(DealApproved.type, sample(DealApproved.type))


async def test_a_special_price_for_a_deal_is_for_an_approved_one_in_which_its_partner_takes_part(it):
    for registration_id, partner_id in (("r1", "p1"), ("r2", "p2")):
        await it.hear(replace(APPROVED, registration_id=registration_id, partner_id=partner_id, approved_at=START))
    body = {
        "partner_id": "p1",
        "kind": "bid",
        "products": [{"sku": "SW-1", "cost": eur("100.00"), "price": eur("80.00"), "units_max": 5}],
        "starts_on": "2026-03-01",
        "ends_on": "2026-06-30",
        "reason": "to win against a rival",
    }
    unknown, of_another = [
        (await it.post(FUND_MANAGER, "/special-prices", {**body, "registration_id": one})).json()
        for one in ("r9", "r2")
    ]
    assert unknown["slug"] == "special-price-invalid"
    assert (unknown["status"], unknown["detail"]) == (of_another["status"], of_another["detail"])
    assert (await it.get(FUND_MANAGER, "/special-prices"))["items"] == []
    for deal in ({"registration_id": "r1"}, {"partner_id": "p2", "registration_id": "r2"}):
        assert (await it.post(FUND_MANAGER, "/special-prices", {**body, **deal})).status_code == 201
    joined = decode(ParticipantJoined.type, sample(ParticipantJoined.type))
    await it.hear(replace(joined, registration_id="r2", partner_id="p1", role="distribute"))
    assert (await it.post(FUND_MANAGER, "/special-prices", {**body, "registration_id": "r2"})).status_code == 201


async def test_requests_count_as_split_by_when_they_were_sent_in_and_not_by_what_became_of_them(it):
    """Two of 3,000.00 below a limit of 5,000.00, forty days apart: completing the first one makes them no split."""
    watch = {"name": "Watch", "rules": [{"rule_id": "split", "signal": "split_below_limit", "limit": "5000"}]}
    draft = {"rulebook_id": "watch", "kind": "abuse", "body": watch, "examples": []}
    assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await it.post(OTHER_ADMIN, "/rulebooks/watch/publish", {"version": 1})).status_code == 200
    await share(it, "p1", "20000.00")
    first = await accepted(it, P1, "3000.00")
    it.clock.set(datetime(2026, 4, 11, 9, tzinfo=UTC))
    await it.rest()
    assert (
        await it.post(FUND_MANAGER, f"/fund-requests/{first}/complete", {"reason": "paid by others"})
    ).status_code == 200
    await requested(it, P1, "3000.00")
    await it.rest()
    assert (await it.get(FINANCE, "/cases"))["items"] == []
    await requested(it, P1, "2500.00")
    case = (await it.until(FINANCE, "/cases", lambda page: page["items"]))["items"][0]
    assert (case["facts"]["amounts"], first in case["related"]) == (["2500.00", "3000.00"], False)
    assert case["text"] == "2 requests in 30 days: 5500.00 EUR in all"
