"""SPIFFs that are claimed: a person of the partner shows what it sold, and what fits the sale earns its lines."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from chassis.event import LEFT_OUT
from chassis.identity import Principal
from chassis.rulebook import Rules
from chassis.testing.projections import told
from chassis.verify import verify_decisions
from contracts.attribution import DealWon, SoldLine
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.claim import (
    Claim,
    ClaimDecided,
    ClaimedSale,
    ClaimItem,
    ClaimLinesPaid,
    ClaimSettled,
    DraftClaim,
    SettleClaim,
    Stage,
    SubmitClaim,
    award_of,
    evidence_of,
    settle_claim,
)
from services.incentives.domain.exchange import Rate
from services.incentives.domain.rating import PLANS, Sold
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import (
    DecideSpiffClaim,
    LookedUp,
    RecordBasis,
    RecordCredit,
    RecordWin,
    ResolveFact,
)
from services.incentives.domain.sale_events import AwardClaimed, PayoutCalculated, PayoutReversed, SpiffAwarded
from services.incentives.domain.special_price import SoldRow
from services.incentives.publishing import publish
from tests.incentives.facts import NOW, basis, credit, plan, reversal, share, win
from tests.incentives.fund_facts import Log, eur, proof, published
from tests.incentives.test_fund_service import FUND_MANAGER
from tests.incentives.test_service import APPROVER, FINANCE, P1, P2, START, TENANT, activated, credited, incentives

__all__ = ["incentives"]
SELLER = Principal(tenant=TENANT, subject="per-7", kind="partner", partner_id="p1", roles=("seller",))
OTHER_SELLER = Principal(tenant=TENANT, subject="per-8", kind="partner", partner_id="p1", roles=("seller",))
FOUR = (Sold(line_id="l1", family="fw", amount=money("1000.00", "EUR"), quantity=4, sku="FW-1"),)


def boost(**changes: Any) -> dict[str, Any]:
    """25 a piece of FW-1, to be claimed."""
    fields = {"kind": "spiff", "component": "spiff", "basis": "units", "axis": "units", "skus": ["FW-1"]}
    return plan({"per_unit": "25"}, **{**fields, "claimed": True, **changes})


def sold_log(body: dict[str, Any] | None = None, *more: Any, facts: tuple[Any, ...] = ()) -> Log:
    """A log in which four pieces of FW-1 were won by p1."""
    log = Log(published(body or boost(), kind="plan", book="boost"), *more)
    names = ("boost", *(one.rulebook_id for one in more))
    return log.tell(win(sold=FOUR, plan_ids=names), credit(share("p1", "100.00"), plan_ids=names), *facts)


def row(quantity: int = 4, **changes: Any) -> SoldRow:
    return SoldRow(**{"sku": "FW-1", "sold_on": date(2026, 3, 10), "invoice": "inv-1", **changes, "quantity": quantity})


def draft(*rows: SoldRow, identity: str = "c1", **changes: Any) -> DraftClaim:
    fields: dict[str, Any] = {
        "claim_id": identity,
        "kind": "spiff",
        "partner_id": "p1",
        "of_id": "boost",
        "items": tuple(ClaimItem(text="sold", amount=eur("100.00"), sold=one) for one in rows or (row(),)),
        "by": "per-7",
        "now": NOW,
        "sale": ClaimedSale(opportunity_id="o1", win_no=1, claimant_id="per-7"),
    }
    return DraftClaim(**{**fields, **changes})


def submit(log: Log, identity: str = "c1", now: datetime = NOW) -> SubmitClaim:
    it = log.claim(identity).it
    sale_ids, plan_ids = award_of(it)
    return SubmitClaim(
        claim_id=identity,
        request_ids=(),
        evidence_ids=evidence_of(it),
        sale_ids=sale_ids,
        plan_ids=plan_ids,
        now=now,
    )


def claimed(log: Log, *rows: SoldRow, identity: str = "c1", **changes: Any) -> Log:
    log.tell(draft(*rows, identity=identity, **changes))
    return log.tell(submit(log, identity))


def verdict(outcome: str = "approved", reason: str = "", identity: str = "c1", **changes: Any) -> DecideSpiffClaim:
    fields: dict[str, Any] = {
        "claim_id": identity,
        "opportunity_id": "o1",
        "win_no": 1,
        "plan_id": "boost",
        "partner_id": "p1",
        "claimant_id": "per-7",
        "outcome": outcome,
        "reason": reason,
        "by": "fm",
        "plan_ids": ("boost",),
        "now": NOW,
    }
    return DecideSpiffClaim(**{**fields, **changes})


def lines(log: Log) -> list[PayoutCalculated]:
    return [one for one in log.happened if isinstance(one, PayoutCalculated)]


def last(log: Log) -> ClaimDecided:
    return [one for one in log.happened if isinstance(one, ClaimDecided)][-1]


# What is earned


def test_a_spiff_that_is_claimed_pays_nothing_by_itself():
    assert lines(sold_log()) == []


def test_an_approved_claim_earns_what_the_sale_earns_under_the_spiff():
    log = claimed(sold_log()).tell(verdict())
    [line] = lines(log)
    assert (line.amount, line.payee_id, line.kind, line.credited_on) == (
        eur("100.00"),
        "p1",
        "spiff",
        date(2026, 3, 16),
    )
    assert [type(one) for one in log.happened[-4:]] == [ClaimDecided, AwardClaimed, PayoutCalculated, SpiffAwarded]
    decided = last(log)
    assert (decided.outcome, decided.amount, decided.line_ids) == ("approved", eur("100.00"), (line.line_id,))
    assert decided.steps == ("row 1: 4 FW-1 fit the sale", "the sale earns 100.00 EUR under version 1 of boost")
    assert decided.journal.entries == ()


def test_what_is_paid_follows_from_the_facts_and_not_from_what_was_claimed():
    items = (ClaimItem(text="sold", amount=eur("9000.00"), sold=row(1)),)
    log = claimed(sold_log(), items=items).tell(verdict())
    assert last(log).amount == eur("100.00")
    assert last(log).steps[-1] == "claimed 9000.00 EUR"


def test_the_claimant_is_the_seller_whom_a_plan_may_pay():
    body = boost(payees=[{"party": "seller", "percent": "60"}, {"party": "partner", "percent": "40"}])
    log = claimed(sold_log(body)).tell(verdict())
    assert [(line.payee_id, line.amount) for line in lines(log)] == [("per-7", eur("60.00")), ("p1", eur("40.00"))]


def test_a_refund_takes_back_what_was_claimed():
    log = claimed(sold_log()).tell(verdict())
    log.tell(reversal("x", "250.00", plan_ids=("boost",)))
    [taken] = [one for one in log.happened if isinstance(one, PayoutReversed)]
    assert taken.amount == eur("25.00")


def test_what_is_added_later_is_earned_under_the_same_claim():
    added = (Sold(line_id="l2", family="fw", amount=eur("250.00"), quantity=1, sku="FW-1"),)
    log = claimed(sold_log()).tell(verdict())
    log.tell(basis("added", "more", "250.00", sold=added, plan_ids=("boost",)))
    assert [line.amount for line in lines(log)] == [eur("100.00"), eur("25.00")]


def test_who_is_credited_anew_earns_by_the_claim_that_stands_and_nobody_else():
    log = claimed(sold_log()).tell(verdict())
    log.tell(credit(share("p1", "50.00"), share("p2", "50.00"), revision=2, plan_ids=("boost",)))
    assert [(line.key.partner_id, line.amount) for line in lines(log)] == [("p1", eur("100.00")), ("p1", eur("50.00"))]


def test_a_spiff_is_claimed_beside_the_commission_that_was_paid_before():
    log = sold_log(None, published(plan(), kind="plan", book="commission"))
    claimed(log).tell(verdict(plan_ids=("boost", "commission")))
    assert [(line.kind, line.amount) for line in lines(log)] == [
        ("commission", eur("100.00")),
        ("spiff", eur("100.00")),
    ]


DOLLARS = (Sold(line_id="l1", family="fw", amount=money("1000.00", "USD"), quantity=4, sku="FW-1"),)
BOTH = ("boost", "commission")
TO_EUR = LookedUp(rates=(Rate(base="USD", quote="EUR", rate=Decimal("0.90"), on=date(2026, 3, 16), source="ecb"),))


def commissioned(body: dict[str, Any], **changes: Any) -> Log:
    """A log in which four pieces were won in dollars, under a commission and a SPIFF."""
    log = Log(published(boost(currency="USD", **changes), kind="plan", book="boost"))
    log._keep(Rules.at("commission"), [published(body, kind="plan", book="commission")])
    return log.tell(win(sold=DOLLARS, currency="USD", plan_ids=BOTH), credit(plan_ids=BOTH))


def paying(log: Log) -> list[tuple[str, str]]:
    return [(line.key.plan_id, f"{line.amount.amount} {line.amount.currency}") for line in lines(log)]


@pytest.mark.parametrize("component", ["spiff", "commission"])
def test_a_commission_that_waits_for_a_rate_pays_whether_or_not_a_claim_is_approved_before(component):
    resolve = ResolveFact(
        opportunity_id="o1", win_no=1, plan_id="commission", by="fin", plan_ids=BOTH, looked_up=TO_EUR, now=NOW
    )
    approve = verdict(plan_ids=BOTH)
    for wishes in ((approve, resolve), (resolve, approve)):
        log = claimed(commissioned(plan(), component=component)).tell(*wishes)
        assert sorted(paying(log)) == [("boost", "100.00 USD"), ("commission", "90.00 EUR")]


def test_a_commission_on_what_is_billed_pays_after_a_claim_that_was_approved():
    log = commissioned(plan(currency="USD", basis="invoiced"), component="commission")
    claimed(log).tell(verdict(plan_ids=BOTH))
    log.tell(basis("invoiced", "i1", "400.00", currency="USD", plan_ids=BOTH))
    assert paying(log) == [("boost", "100.00 USD"), ("commission", "40.00 USD")]


BILLED = ("boost", "billed")


def billed_log(*, claims: str = "stack", bills: str = "stack", **evaluators: int) -> Log:
    """Four pieces that are claimed under one SPIFF, and then billed, which another SPIFF pays thirty percent for."""
    of_invoices = plan(
        {"percent": "30"}, kind="spiff", component="other", basis="invoiced", overlap=bills, currency="EUR"
    )
    log = sold_log(boost(overlap=claims), published(of_invoices, kind="plan", book="billed")).as_then(**evaluators)
    claimed(log).tell(verdict(plan_ids=BILLED))
    return log.tell(
        basis("invoiced", "i1", "400.00", plan_ids=BILLED), basis("invoiced", "i2", "600.00", plan_ids=BILLED)
    )


ALONE = [("stack", "exclusive"), ("exclusive", "stack"), ("best_of", "best_of")]


@pytest.mark.parametrize(("claims", "bills"), ALONE)
def test_a_spiff_on_what_is_billed_does_not_pay_beside_a_claimed_one_where_one_of_them_pays_alone(claims, bills):
    log = billed_log(claims=claims, bills=bills)
    assert paying(log) == [("boost", "100.00 EUR")]
    log.tell(credit(share("p1", "50.00"), revision=2, plan_ids=BILLED))
    assert [one[0] for one in paying(log)] == ["boost", "boost"], "nor when the credit is revised"


@pytest.mark.parametrize(("claims", "bills"), [("stack", "stack"), ("best_of", "stack")])
def test_a_spiff_on_what_is_billed_pays_beside_a_claimed_one_where_neither_pays_alone(claims, bills):
    assert paying(billed_log(claims=claims, bills=bills)) == [
        ("boost", "100.00 EUR"),
        ("billed", "120.00 EUR"),
        ("billed", "180.00 EUR"),
    ]


@pytest.mark.parametrize(("claims", "bills"), [("stack", "exclusive"), ("best_of", "best_of")])
def test_what_was_billed_beside_a_claim_is_decided_again_as_it_was_by_the_evaluator_of_then(claims, bills):
    before = billed_log(claims=claims, bills=bills, RecordBasis=8, DecideSpiffClaim=4)
    assert ("billed", "120.00 EUR") in paying(before)


def test_what_was_claimed_stays_at_its_version_and_another_spiff_that_pays_alone_does_not_join_it():
    log = claimed(sold_log()).tell(verdict())
    late = published(boost(claimed=False, overlap="exclusive"), kind="plan", book="late")
    newer = published(
        boost() | {"schedule": {"semantics": "marginal", "axis": "units", "bands": [{"per_unit": "50"}]}}, 2
    )
    log._keep(Rules.at("late"), [late])
    log._keep(Rules.at("boost"), [replace(newer, kind="plan", rulebook_id="boost")])
    names = ("boost", "late")
    log.tell(credit(share("p1", "50.00"), revision=2, plan_ids=names))
    assert [(line.key.plan_id, line.plan_version, str(line.amount.amount)) for line in lines(log)] == [
        ("boost", 1, "100.00"),
        ("boost", 1, "50.00"),
    ]


# What does not fit


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((row(5),), "row 1: 5 FW-1 do not fit: the sale has not that many of it"),
        ((row(3), row(2, invoice="inv-2")), "row 2: 2 FW-1 do not fit: the sale has not that many of it"),
        ((row(1, sku="SW-9"),), "row 1: 1 SW-9 do not fit: the sale has no such product that the SPIFF pays for"),
        ((row(1, registration_id="d2"),), "row 1: 1 FW-1 do not fit: it was sold for another deal"),
        (
            (row(1, sold_on=date(2025, 12, 31)),),
            "row 1: 1 FW-1 do not fit: it was not sold from 2026-01-01 to 9999-12-31",
        ),
        ((row(1), row(1)), "row 2: 1 FW-1 do not fit: it was claimed before"),
    ],
)
def test_a_row_that_the_sale_does_not_know_is_disputed_and_then_needs_a_reason(rows, why):
    log = claimed(sold_log(), *rows).tell(verdict())
    assert (log.claim().stage, last(log).steps[-1], lines(log)) == (Stage.DISPUTED, why, [])
    assert log.refused(verdict()) == "claim-invalid"
    log.tell(verdict(reason="the delivery note shows it"))
    assert (log.claim().stage, lines(log)[0].amount) == (Stage.APPROVED, eur("100.00"))


def test_a_row_fits_by_the_point_of_sale_under_its_serial_number_or_invoice():
    unnamed = (Sold(line_id="l1", family="fw", amount=eur("1000.00"), quantity=4),)
    rows = basis("pos", "inv-1", "1000.00", quantity=4, plan_ids=("boost",))
    log = Log(published(boost(skus=[]), kind="plan", book="boost"))
    log.tell(win(sold=unnamed, plan_ids=("boost",)), credit(plan_ids=("boost",)), rows)
    claimed(log, row(4)).tell(verdict())
    assert last(log).steps[0] == "row 1: 4 FW-1 fit the sale"


def test_another_claim_s_row_does_not_fit_again():
    log = claimed(sold_log()).tell(verdict("denied", "no invoice"))
    claimed(log, row(4), identity="c2").tell(verdict(identity="c2"))
    assert last(log).steps == ("row 1: 4 FW-1 do not fit: it was claimed before",)


def test_each_spiff_counts_a_unit_for_itself():
    other = published(boost(), kind="plan", book="other")
    log = claimed(sold_log(None, other)).tell(verdict())
    claimed(log, identity="c2", of_id="other").tell(
        verdict(identity="c2", plan_id="other", plan_ids=("boost", "other"))
    )
    assert [line.key.plan_id for line in lines(log)] == ["boost", "other"]


def test_a_document_that_another_claim_showed_needs_a_reason():
    log = claimed(sold_log(), proofs=(proof(),)).tell(verdict("denied", "wrong SPIFF"))
    claimed(log, row(4, invoice="inv-2"), identity="c2", proofs=(proof(),))
    assert log.refused(verdict(identity="c2")) == "proof-reused"
    log.tell(verdict(identity="c2", reason="the first one was for another SPIFF"))
    assert log.claim("c2").stage == Stage.APPROVED


# Refusals


def test_a_sale_is_claimed_once_for_a_spiff():
    log = claimed(sold_log())
    claimed(log, row(1, invoice="inv-2"), identity="c2").tell(verdict())
    assert log.refused(verdict(identity="c2")) == "award-claimed"
    log.tell(draft(row(1, invoice="inv-3"), identity="c3"))
    assert log.refused(submit(log, "c3")) == "award-claimed"


def test_a_claim_comes_within_the_days_of_the_plan_after_the_win():
    log = sold_log(boost(claim_days=10)).tell(draft())
    assert log.refused(submit(log, now=datetime(2026, 3, 27, tzinfo=UTC))) == "deadline-passed"
    assert log.refused(submit(log, now=datetime(2026, 3, 26, 23, tzinfo=UTC))) == ""


@pytest.mark.parametrize(
    ("changes", "slug"),
    [
        ({"partner_id": "p2"}, "not-found"),
        ({"sale": ClaimedSale(opportunity_id="o2", win_no=1, claimant_id="per-7")}, "not-found"),
        ({"sale": ClaimedSale(opportunity_id="o1", win_no=2, claimant_id="per-7")}, "not-found"),
        ({"of_id": "commission"}, "not-claimed"),
    ],
)
def test_only_a_sale_of_one_s_own_is_claimed_and_only_for_what_is_to_be_claimed(changes, slug):
    log = sold_log(None, published(plan(), kind="plan", book="commission")).tell(draft(**changes))
    assert log.refused(submit(log)) == slug


@pytest.mark.parametrize(
    "changes",
    [
        {"sale": LEFT_OUT},
        {"items": (ClaimItem(text="sold", amount=eur("1.00")),)},
        {"kind": "special_price"},
    ],
)
def test_a_claim_for_a_spiff_names_its_sale_and_its_rows(changes):
    assert Log().refused(draft(**changes)) == "claim-invalid"


def test_a_sale_that_earns_nothing_is_not_awarded_and_stays_to_be_decided():
    limited = boost(budget_id="pot")
    log = claimed(sold_log(limited))
    with_pot = verdict(looked_up=LookedUp(budget_ids=("pot",)))
    assert log.refused(with_pot) == "nothing-awarded"
    assert log.claim().stage == Stage.SUBMITTED


def test_a_spiff_that_pays_alone_is_not_awarded_beside_another():
    automatic = published(boost(claimed=False), kind="plan", book="automatic")
    log = claimed(sold_log(boost(overlap="exclusive"), automatic))
    assert log.refused(verdict(plan_ids=("boost", "automatic"))) == "award-overlaps"


def test_a_denied_or_returned_claim_says_why_and_earns_nothing():
    log = claimed(sold_log())
    assert log.refused(verdict("denied")) == "claim-invalid"
    log.tell(verdict("returned", "which invoice?"), draft())
    assert (lines(log), log.state(Sales.at("o1")).claimed) == ([], {})


@pytest.mark.parametrize(
    "wrong", [{"kind": "commission"}, {"accumulate": "quarter"}, {"claim_days": 6}, {"claim_days": 121}]
)
def test_only_a_spiff_that_rates_each_line_by_itself_is_claimed(wrong):
    assert PLANS.check(PLANS.read(boost(**wrong)))


# What settles it


def test_a_claim_is_settled_with_the_last_of_its_lines_that_is_paid():
    body = boost(release=[{"percent": "50", "after_days": 0}, {"percent": "50", "after_days": 30}])
    claim: Claim = claimed(sold_log(body)).tell(verdict()).claim()
    first, second = claim.approved.line_ids  # type: ignore[union-attr,misc]

    def paid(*line_ids: str, of: Claim = claim) -> list[Any]:
        on = date(2026, 4, 2)
        return settle_claim(SettleClaim(claim_id="c1", payment_id="y", paid_on=on, line_ids=line_ids, now=NOW), of)

    [part] = paid(first)
    assert isinstance(part, ClaimLinesPaid)
    assert [type(one) for one in paid(first, second)] == [ClaimSettled]
    after = Claim(stage=Stage.APPROVED, drafted=claim.drafted, approved=claim.approved, paid=frozenset({first}))
    assert paid(first, of=after) == []
    assert [type(one) for one in paid(second, of=after)] == [ClaimSettled]


# Whom it is told


def test_the_partner_hears_of_a_claim_that_is_not_approved_and_of_an_award_by_its_line():
    log = claimed(sold_log()).tell(verdict("denied", "no invoice"))
    heard: Any = publish(told(last(log))[0])
    assert (heard.topic, heard.side, heard.subject) == ("claim-denied", "partner", "c1")
    assert publish(told(last(claimed(sold_log()).tell(verdict())))[0]) is None


# At work


def won() -> DealWon:
    line = SoldLine(line_id="l1", product_family="fw", amount=money("1000.00", "EUR"), quantity=4, sku="FW-1")
    return DealWon(
        partner_ids=("p1",),
        opportunity_id="o1",
        registration_id="r1",
        win_no=1,
        amount=money("1000.00", "EUR"),
        lines=(line,),
        deal_type="new",
        closed_on=date(2026, 3, 16),
        won_at=START,
    )


def claim_body(**changes: Any) -> dict[str, Any]:
    sold = {"sku": "FW-1", "quantity": 4, "sold_on": "2026-03-10", "invoice": "inv-1"}
    item = {"text": "four firewalls", "amount": {"amount": "100.00", "currency": "EUR"}, "sold": sold}
    return {"kind": "spiff", "of_id": "boost", "registration_id": "r1", "items": [item], **changes}


async def test_a_seller_claims_a_sale_and_the_claim_is_settled_when_its_line_is_paid(incentives):
    await incentives.publish_plan(boost(hold_days=0, budget_id="pot"), "boost")
    budget = {"ref": "year", "amount": "1000.00", "currency": "EUR"}
    assert (await incentives.post(FUND_MANAGER, "/budgets/pot/allocate", budget)).status_code == 201
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    assert (await incentives.get(P1, "/lines"))["items"] == []
    made = await incentives.post(SELLER, "/claims", claim_body())
    assert made.status_code == 201, made.text
    path = f"/claims/{made.json()['claim_id']}"
    assert (await incentives.post(SELLER, f"{path}/submit")).json()["state"] == "submitted"
    answer = await incentives.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})
    assert answer.json()["amount"] == {"amount": "100.00", "currency": "EUR"}, answer.text
    [line] = (await incentives.get(P1, "/lines"))["items"]
    assert (line["state"], line["amount"]["amount"]) == ("payable", "100.00")
    shown = await incentives.get(SELLER, path)
    assert (shown["state"], shown["line_ids"], shown["claimant_id"]) == ("approved", [line["line_id"]], "per-7")
    assert (await incentives.get(FUND_MANAGER, "/budgets"))["items"][0]["available"] == "900.00"
    assert (await incentives.get(FUND_MANAGER, f"/why/{shown['event_id']}"))["outcome"] == "100.00 EUR"
    payment_id = await paid(incentives)
    settled = await incentives.until(SELLER, path, lambda found: found["state"] == "settled")
    assert settled["payment_id"] == payment_id
    executor = incentives.service.application.executor
    report = await verify_decisions(executor.store, executor.handles.values())
    assert report.holds, report.lines()


async def paid(incentives: Any) -> str:
    """March is stated, and its payment made; answers which."""
    incentives.clock.set(datetime(2026, 4, 1, 12, tzinfo=UTC))
    month = {"partner_id": "p1", "period": "2026-03", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", month)).json()
    payment = (await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})).json()
    await incentives.post(APPROVER, f"/payments/{payment['payment_id']}/approve")
    await incentives.post(FINANCE, f"/payments/{payment['payment_id']}/submit")
    return str(payment["payment_id"])


async def test_who_only_sells_claims_and_reads_its_own_and_nobody_claims_another_partner_s_sale(incentives):
    await incentives.publish_plan(boost(), "boost")
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    made = (await incentives.post(SELLER, "/claims", claim_body(opportunity_id="o1", registration_id=None))).json()
    path = f"/claims/{made['claim_id']}"
    assert await incentives.get(OTHER_SELLER, path) == 404
    assert (await incentives.get(OTHER_SELLER, "/claims"))["items"] == []
    assert (await incentives.post(OTHER_SELLER, f"{path}/submit")).status_code == 404
    assert [one["claim_id"] for one in (await incentives.get(P1, "/claims?kind=spiff"))["items"]] == [made["claim_id"]]
    for who, body in ((P2, claim_body()), (SELLER, claim_body(registration_id="r9"))):
        assert (await incentives.post(who, "/claims", body)).status_code == 404
    of_fund = {**claim_body(), "kind": "fund", "registration_id": None}
    assert (await incentives.post(SELLER, "/claims", of_fund)).status_code == 403
    assert Decimal((await incentives.get(SELLER, path))["claimed"]["amount"]) == 100


async def test_a_colleague_s_correction_leaves_the_claim_and_its_money_to_who_sold(incentives):
    body = boost(payees=[{"party": "seller", "percent": "100"}], hold_days=0)
    await incentives.publish_plan(body, "boost")
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    made = (await incentives.post(SELLER, "/claims", claim_body(opportunity_id="o1", registration_id=None))).json()
    path = f"/claims/{made['claim_id']}"
    assert (await incentives.put(OTHER_SELLER, path, claim_body())).status_code == 404
    mended = await incentives.put(P1, path, claim_body(opportunity_id="o1", registration_id=None))
    assert mended.status_code == 200, mended.text
    assert (await incentives.get(SELLER, path))["claimant_id"] == "per-7"
    assert (await incentives.post(P1, f"{path}/submit")).status_code == 200
    answer = await incentives.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})
    assert answer.status_code == 200, answer.text
    [line] = (await incentives.get(P1, "/lines"))["items"]
    assert line["payee_id"] == "per-7"


@pytest.mark.parametrize(
    ("pieces", "said", "state", "outcome"),
    [
        (4, {"outcome": "approved"}, "approved", "100.00 EUR"),
        (9, {"outcome": "approved"}, "disputed", "disputed"),
        (4, {"outcome": "denied", "reason": "no invoice"}, "denied", "denied"),
    ],
)
async def test_whoever_may_read_a_claim_may_ask_why_it_was_decided_so(incentives, pieces, said, state, outcome):
    await incentives.publish_plan(boost(), "boost")
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    body = claim_body(opportunity_id="o1", registration_id=None)
    body["items"][0]["sold"]["quantity"] = pieces
    path = f"/claims/{(await incentives.post(SELLER, '/claims', body)).json()['claim_id']}"
    assert (await incentives.post(SELLER, f"{path}/submit")).status_code == 200
    answer = await incentives.post(FUND_MANAGER, f"{path}/decide", said)
    assert answer.json()["state"] == state, answer.text
    why = f"/why/{(await incentives.get(SELLER, path))['event_id']}"
    explained = await incentives.get(SELLER, why)
    assert (explained["outcome"], explained["event"]["actor"]) == (outcome, None)
    assert (await incentives.get(P1, why))["outcome"] == outcome
    assert [await incentives.get(who, why) for who in (OTHER_SELLER, P2)] == [404, 404]


async def test_what_was_decided_before_a_commission_waited_for_its_rate_is_decided_so_again(incentives):
    executor = incentives.service.application.executor
    now = dict(executor.handles)
    before = {RecordWin: 5, RecordCredit: 5, RecordBasis: 5, ResolveFact: 5, DecideSpiffClaim: 1}
    executor.handles |= {one.command: one for one in HANDLES if one.evaluator == before.get(one.command)}
    await incentives.publish_plan(plan(currency="USD"))
    await incentives.publish_plan(boost(component="commission"), "boost")
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    body = claim_body(opportunity_id="o1", registration_id=None)
    path = f"/claims/{(await incentives.post(SELLER, '/claims', body)).json()['claim_id']}"
    assert (await incentives.post(SELLER, f"{path}/submit")).status_code == 200
    assert (await incentives.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})).status_code == 200
    rates = {"source": "ecb", "on": "2026-03-16", "pairs": {"EUR/USD": "1.10"}}
    assert (await incentives.post(FINANCE, "/rates", rates)).status_code == 201
    assert (await incentives.post(FINANCE, "/sales/o1/resolve", {"plan_id": "commission"})).status_code == 200
    assert [line["plan_id"] for line in (await incentives.get(P1, "/lines"))["items"]] == ["boost"]
    report = await verify_decisions(executor.store, executor.every_handles)
    assert report.holds, report.lines()
    as_now = [replace(now[ResolveFact], evaluator=5) if one.command is ResolveFact else one for one in HANDLES]
    assert not (await verify_decisions(executor.store, as_now)).holds
