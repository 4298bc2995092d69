"""What a fund, a special price and a tax table make of money is recomputed by the verifier: each changed number is named."""

import json
from copy import deepcopy
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from chassis.rulebook import body_sha256
from contracts.values import money
from services.incentives.domain.claim import ClaimTax, ReleaseInstalments
from services.incentives.domain.payee_events import TaxFormDecided
from services.incentives.domain.special_price import EndSpecialPrice
from services.incentives.domain.thresholds import YearSoFar
from services.incentives.domain.verifying import as_recorded, earnings, verify
from services.incentives.domain.verifying_claims import COUNTED_BEFORE, NOT_COUNTED
from tests.incentives.fund_facts import NOW, Log, accepted, claimed, eur, fund, funded, proof, verdict
from tests.incentives.orders import APPROVE
from tests.incentives.proving import proof_of_all, proof_of_log
from tests.incentives.test_fund_service import FUND_MANAGER, it_fixture, share
from tests.incentives.test_fund_service import accepted as accepted_by
from tests.incentives.test_fund_service import claimed as claimed_by
from tests.incentives.test_fund_service import eur as in_euros
from tests.incentives.test_paying import RuledDesk, form
from tests.incentives.test_service import ADMIN, APPROVER, FINANCE, OTHER_ADMIN, P1, P2
from tests.incentives.test_special_prices import grant, row, submitted
from tests.incentives.test_special_prices import verdict as priced

__all__ = ["it_fixture"]
AMOUNT, JOURNAL = ("amount", "amount"), ("journal", "entries", 0, "amount", "amount")


def paid(eligible, tolerance="0", **changes):
    """A claim for 10,000.00 at 50 %: what is eligible of it is decided."""
    log = accepted(log=funded(fund(tolerance_percent=tolerance)))
    log.tell(claimed(eligible))
    log.tell(log.submit_claim())
    return log.tell(verdict(eligible, **changes))


def of_two_claims():
    """5,000.00 are reserved and 200.00 of tolerance: 4,500.00 are paid, then what is left of both."""
    log = paid("9000.00", "4")
    log.tell(
        claimed("11000.00", proof("2026-18", "b"), identity="c2", tax=ClaimTax(country="DE", amount=eur("1900.00")))
    )
    log.tell(log.submit_claim("c2"))
    return log.tell(verdict("11000.00", "c2"))


def in_instalments():
    log = paid("9000.00", pay_as="instalments", instalments=7, first_payable_on=date(2026, 4, 1))
    return log.tell(ReleaseInstalments(claim_id="c1", now=NOW + timedelta(days=80)))


def at_a_special_price():
    """Of 15 units two were counted before, two are another deal's, and three are above the agreed ten."""
    log = submitted(Log().tell(grant(10)), (row(2), "40.00"))
    log.tell(priced())
    rows = [(row(2), "40.00"), (row(2, "inv-2", registration_id="d2"), "40.00"), (row(11, "inv-3"), "220.00")]
    submitted(log, *rows, identity="c2", tax=ClaimTax(country="DE", amount=eur("30.00")))
    log.tell(EndSpecialPrice(special_price_id="s1", on=date(2026, 5, 1), reason="x", by="fm", now=NOW))
    return log.tell(priced("c2"), priced("c2", reason="as it was reckoned"))


def of_days_to_come(**evaluators):
    """Of three rows one is sold, one is on what is tomorrow here and today elsewhere, and one is not sold yet."""
    days = [NOW.date() + timedelta(days=ahead) for ahead in (0, 1, 2)]
    rows = [(row(1, f"inv-{day.day}", sold_on=day), "20.00") for day in days]
    log = submitted(Log().tell(grant()).as_then(**evaluators), *rows)
    return log.tell(priced(), *([] if evaluators else [priced(reason="two are sold")]))


WORLDS = [
    lambda: paid("9000.00"),
    lambda: paid("11000.00"),
    of_two_claims,
    in_instalments,
    at_a_special_price,
    of_days_to_come,
]


@pytest.mark.parametrize("made", WORLDS)
def test_what_a_claim_is_paid_follows_from_what_was_claimed_reserved_and_agreed(made):
    assert earnings(proof_of_log(made())) == []


def test_a_row_that_is_not_sold_yet_counts_where_it_was_decided_before_that_was_asked():
    assert [log.claim().approved.amount for log in (of_days_to_come(), of_days_to_come(DecideSpecialPriceClaim=3))] == [
        eur("40.00"),
        eur("60.00"),
    ]


def test_the_figures_of_the_page_are_what_the_verifier_makes_of_them():
    """10,000 at 50 % reserve 5,000; of 9,000 eligible it pays 4,500, and of 11,000 the 5,000 that are left."""
    for eligible, pays in (("9000.00", "4500.00"), ("11000.00", "5000.00")):
        document = proof_of_log(paid(eligible))
        assert of_kind(document, "FundRequestDecided")["data"]["terms"]["reserved"]["amount"] == "5000.00"
        assert of_kind(document, "ClaimDecided")["data"]["amount"]["amount"] == pays
        assert named(document, "ClaimDecided", AMOUNT, pays.replace("00.00", "00.01"))


def of_kind(proof, kind, place=0):
    return [one for one in proof["events"] if one["type"].endswith(f".{kind}.v1")][place]


def named(proof, kind, path, value, place=0, line=None):
    """What is found of the event that a line names, where one number says otherwise: of itself, or of what led to it."""
    changed = deepcopy(proof)
    inner = of_kind(changed, kind, place)["data"]
    for step in path[:-1]:
        inner = inner[step]
    assert inner[path[-1]] != value
    inner[path[-1]] = value
    of_line = of_kind(changed, *(line or (kind, place)))["id"]
    return [finding for finding in earnings(changed) if f" {of_line}:" in finding]


@pytest.mark.parametrize(
    ("made", "kind", "path", "value", "line"),
    [
        (of_two_claims, "ClaimDecided", AMOUNT, "4500.01", None),
        (of_two_claims, "ClaimDecided", ("eligible", "amount"), "9000.01", None),
        (of_two_claims, "ClaimDecided", ("claimed", "amount"), "9000.01", None),
        (of_two_claims, "ClaimDecided", JOURNAL, "4500.01", None),
        (of_two_claims, "ClaimDrafted", ("items", 0, "amount", "amount"), "9000.01", ("ClaimDecided", 0)),
        (of_two_claims, "FundRequestDecided", ("terms", "reserved", "amount"), "5000.01", None),
        (of_two_claims, "FundRequestDecided", ("terms", "tolerance", "amount"), "200.01", None),
        (of_two_claims, "FundRequestDecided", ("terms", "participation_percent"), "51", ("ClaimDecided", 0)),
        (of_two_claims, "FundRequestDecided", ("items", 0, "amount", "amount"), "10000.01", None),
        (of_two_claims, "FundRequestDrawn", AMOUNT, "4500.01", None),
        (of_two_claims, "FundRequestDrawn", ("rest", "amount"), "500.01", None),
        (of_two_claims, "FundRequestDrawn", AMOUNT, "4500.01", ("ClaimDecided", 1)),
        (in_instalments, "ClaimDecided", ("instalments", 0, "amount", "amount"), "642.85", None),
        (in_instalments, "ClaimInstalmentReleased", AMOUNT, "642.85", None),
        (in_instalments, "ClaimInstalmentReleased", ("released_at",), "2026-03-31T23:59:59Z", None),
        (at_a_special_price, "ClaimDecided", AMOUNT, "40.01", None),
        (at_a_special_price, "ClaimDecided", ("eligible", "amount"), "40.01", None),
        (at_a_special_price, "SpecialPriceGranted", ("products", 0, "cost", "amount"), "100.01", ("ClaimDecided", 0)),
        (at_a_special_price, "SpecialPriceGranted", ("products", 0, "price", "amount"), "80.01", ("ClaimDecided", 0)),
        (at_a_special_price, "SpecialPriceGranted", ("products", 0, "units_max"), 9, ("ClaimDecided", 2)),
        (at_a_special_price, "ClaimDrafted", ("items", 0, "sold", "quantity"), 3, ("ClaimDecided", 0)),
        (at_a_special_price, "ClaimDrafted", ("items", 0, "sold", "sold_on"), "2026-07-01", ("ClaimDecided", 0)),
        (at_a_special_price, "SpecialPriceUsed", ("units", "SW-1"), 3, None),
    ],
)
def test_one_number_of_a_claim_that_says_otherwise_is_named(made, kind, path, value, line):
    assert named(proof_of_log(made()), kind, path, value, line=line)


def test_the_tax_on_a_claim_is_the_part_of_it_that_is_on_what_was_approved():
    """Of 1,900.00 on 11,000.00, 700.00 approved: 120.91. Of 30.00 on 300.00, 160.00 approved: 16.00."""
    for made, place, tax in ((of_two_claims, 1, "120.91"), (at_a_special_price, 2, "16.00")):
        document = proof_of_log(made())
        assert of_kind(document, "ClaimDecided", place)["data"]["tax"]["amount"]["amount"] == tax
        assert named(document, "ClaimDecided", ("tax", "amount", "amount"), "1.00", place)


def test_a_row_that_counts_is_not_left_out_nor_one_that_does_not_counted():
    document = proof_of_log(at_a_special_price())
    steps = of_kind(document, "ClaimDecided", 2)["data"]["steps"]
    assert [step.partition(NOT_COUNTED)[2] for step in steps[:3]] == [
        COUNTED_BEFORE,
        "it was sold for another deal",
        "",
    ]
    for place, told in ((1, "row 2: 2 SW-1 x (100 - 80) = 40"), (2, f"row 3: 11 SW-1{NOT_COUNTED}nobody knows why")):
        assert named(document, "ClaimDecided", ("steps", place), told, 2) != []


def test_what_a_claim_follows_from_is_missed_where_it_is_not_in_the_file():
    kinds = ("ClaimDrafted", "FundRequestDecided", "RulesPublished")
    for made, left_out in [(of_two_claims, kind) for kind in kinds] + [(at_a_special_price, "SpecialPriceGranted")]:
        document = proof_of_log(made())
        events = [one for one in document["events"] if f".{left_out}." not in one["type"]]
        assert any("not in the file" in finding for finding in earnings({**document, "events": events})), left_out


def test_what_earlier_evaluators_paid_is_recomputed_as_they_reckoned():
    """Each claim had its whole tolerance, and all tax that was claimed was paid."""
    document = proof_of_log(paid_then())
    for one in document["events"]:
        one["state"] = "eyJldmFsdWF0b3IiOiAyfQ=="
    assert earnings(document) == []
    assert earnings(proof_of_log(paid_then())) != []


def paid_then():
    log = accepted(log=funded(fund(tolerance_percent="4"))).as_then(DecideFundClaim=2)
    for identity, document in (("c1", "a"), ("c2", "b")):
        tax = ClaimTax(country="DE", amount=eur("10.00"))
        log.tell(claimed("10400.00", proof(file=document, number=identity), identity=identity, tax=tax))
        log.tell(log.submit_claim(identity), verdict("10400.00", identity))
    return log


# Withholding

RULES = {
    "withholding": [
        {"jurisdiction": "US", "percent": "24.5"},
        {"jurisdiction": "US", "percent": "30", "tax_year": 2026},
        {"jurisdiction": "US", "percent": "10", "payee_kind": "person"},
    ]
}
THRESHOLD = {"asks": "withholding", "jurisdiction": "US", "from_amount": "600", "currency": "EUR"}


def withheld(*forms, so_far=None, **rules):
    """100.00 that are approved, with the payee's forms and the rules before it."""
    desk = RuledDesk({**RULES, **rules})
    desk.payee += forms or form()
    total = YearSoFar(tax_year=2026, totals=(money(so_far, "EUR"),), position=1) if so_far else None
    desk.after(desk.proposed, replace(APPROVE, so_far=total))
    [published] = desk.rules
    body = replace(published, sha256=body_sha256(published.body))
    return proof_of_all(body, *desk.payee[1:], *desk.payment)


REJECTED = TaxFormDecided(
    payee_id="p1", partner_id="p1", form_id="f1", outcome="rejected", reason="x", decided_by="fin-1", decided_at=NOW
)


@pytest.mark.parametrize(
    ("document", "tax"),
    [
        (withheld(), "30.00"),
        (withheld(*form(kind="person")), "10.00"),
        (withheld(*form(), REJECTED), None),
        (withheld(*form(year=2025)), None),
        (withheld(*form(year=2025), thresholds=[THRESHOLD], so_far="600.00"), "30.00"),
        (withheld(thresholds=[THRESHOLD], so_far="599.99"), None),
        (
            withheld(thresholds=[THRESHOLD, {**THRESHOLD, "tax_year": 2026, "from_amount": "100"}], so_far="100.00"),
            "30.00",
        ),
        (withheld(withholding=RULES["withholding"][:1]), "24.50"),
    ],
)
def test_what_is_withheld_follows_from_the_form_of_the_year_and_the_table(document, tax):
    told = of_kind(document, "PaymentApproved")["data"]["withheld"]
    assert (told["amount"] if told else None) == tax
    assert earnings(document) == []


@pytest.mark.parametrize(
    ("document", "kind", "path", "value"),
    [
        (withheld(), "PaymentApproved", ("withheld", "amount"), "29.99"),
        (withheld(), "PaymentApproved", ("jurisdiction",), "DE"),
        (withheld(), "PaymentApproved", AMOUNT, "100.04"),
        (withheld(), "TaxFormSubmitted", ("jurisdiction",), "DE"),
        (withheld(), "TaxFormSubmitted", ("payee_kind",), "person"),
        (withheld(), "TaxFormSubmitted", ("tax_year",), 2025),
        (withheld(), "TaxFormDecided", ("outcome",), "rejected"),
        (withheld(), "RulesPublished", ("body", "withholding", 1, "percent"), "31"),
        (withheld(), "RulesPublished", ("effective_until",), "2026-04-03T00:00:00Z"),
        (withheld(), "RulesPublished", ("effective_from",), "2026-04-03T09:00:01Z"),
        (
            withheld(thresholds=[THRESHOLD], so_far="599.99"),
            "PaymentApproved",
            ("thresholds", 0, "total", "amount"),
            "600.00",
        ),
        (
            withheld(thresholds=[THRESHOLD], so_far="600.00"),
            "PaymentApproved",
            ("thresholds", 0, "threshold", "amount"),
            "599.99",
        ),
    ],
)
def test_one_number_of_what_is_withheld_that_says_otherwise_is_named_with_its_payment(document, kind, path, value):
    assert named(document, kind, path, value, line=("PaymentApproved", 0))


def test_rules_that_do_not_have_their_sha_256_are_named():
    assert named(withheld(), "RulesPublished", ("body", "withholding", 1, "percent"), "31")


def test_rules_that_had_ended_withhold_nothing():
    document = withheld()
    end = {"rulebook_id": "pay", "kind": "payment", "version": 1, "ended_from": "2026-04-03T08:00:00Z", "ended_by": "a"}
    ended = {"id": "end", "position": 1, "version": 2, "type": "chassis.RulesEnded.v1", "data": end}
    assert earnings({**document, "events": [document["events"][0], ended, *document["events"][1:]]}) != []


# Through the service


async def test_a_statement_of_claims_and_a_payment_carries_what_they_follow_from(it):
    """The second claimant showed what the first one did: whose claim that was stands in nobody's proof."""
    await published(it, "pay", {"withholding": [{"jurisdiction": "US", "percent": "30"}]})
    claims = []
    for who, partner_id in ((P1, "p1"), (P2, "p2")):
        await share(it, partner_id, "10000.00")
        claims.append(await claimed_by(it, who, await accepted_by(it, who, "1000.00"), "900.00"))
    for claim_id in (*claims, await sold_at_a_special_price(it)):
        decision = {"outcome": "approved", "reason": "one event of both"}
        assert (await it.post(FUND_MANAGER, f"/claims/{claim_id}/decide", decision)).status_code == 200
    first = await issued(it, "2026-03", datetime(2026, 4, 1, 12, tzinfo=UTC))
    await taxed_in_the_us(it)
    payment = (await it.post(FINANCE, "/payments", {"statement_id": first["statement_id"]})).json()["payment_id"]
    assert (await it.post(APPROVER, f"/payments/{payment}/approve")).json()["state"] == "approved"
    second = await issued(it, "2026-04", datetime(2026, 5, 1, 12, tzinfo=UTC))
    for statement, line in ((first, "ClaimDecided"), (second, "PaymentApproved")):
        for who in (P2, FINANCE):
            document = await it.get(who, f"/statements/{statement['statement_id']}/proof")
            assert verify(json.dumps(document)) == []
            assert claims[0] not in json.dumps(document)
        assert as_recorded(json.dumps(document)) == []
        assert verify(json.dumps(of_lines_alone(document))) != []
        before = {**of_lines_alone(document), "format": "entente-statement-3"}
        assert verify(json.dumps(before)) == []
        assert as_recorded(json.dumps(before)) == [AS_RECORDED[line]]
    withheld = of_kind(document, "PaymentApproved")["data"]
    assert (withheld["amount"]["amount"], withheld["withheld"]["amount"]) == ("550.00", "165.00")


AS_RECORDED = {
    "ClaimDecided": "2 claims: what was approved of them",
    "PaymentApproved": "1 payments: what was withheld of them",
}


def of_lines_alone(document):
    """A proof as it was before: without what its claims and payments follow from."""
    stated = {line["event_id"] for line in document["statement"]["lines"]}
    return {**document, "events": [one for one in document["events"] if one["id"] in stated]}


async def sold_at_a_special_price(it):
    """Five units at 20.00 below cost."""
    product = {"sku": "SW-1", "cost": in_euros("100.00"), "price": in_euros("80.00"), "units_max": 5}
    days = {"starts_on": "2026-03-01", "ends_on": "2026-06-30", "reason": "campaign"}
    grant = {"partner_id": "p2", "kind": "blanket", "products": [product], **days}
    price_id = (await it.post(FUND_MANAGER, "/special-prices", grant)).json()["special_price_id"]
    sold = {"sku": "SW-1", "quantity": 5, "sold_on": "2026-03-02", "invoice": "inv-1"}
    item = {"text": "sold", "amount": in_euros("100.00"), "sold": sold}
    claim = {"kind": "special_price", "of_id": price_id, "items": [item]}
    claim_id = (await it.post(P2, "/claims", claim)).json()["claim_id"]
    assert (await it.post(P2, f"/claims/{claim_id}/submit")).status_code == 200
    return claim_id


async def taxed_in_the_us(it):
    body = {"form": "W-8BEN-E", "jurisdiction": "US", "tax_year": 2026, "form_sha256": "0" * 64}
    assert (await it.put(P2, "/payees/p2/tax", body)).status_code == 200
    [form_id] = (await it.get(P2, "/payees"))["items"][0]["tax_forms"]
    decided = await it.post(FINANCE, f"/payees/p2/tax/{form_id}/decide", {"outcome": "accepted"})
    assert decided.status_code == 200


async def published(it, rulebook_id, body):
    draft = {"rulebook_id": rulebook_id, "kind": "payment", "body": body, "examples": []}
    assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await it.post(OTHER_ADMIN, f"/rulebooks/{rulebook_id}/publish", {"version": 1})).status_code == 200


async def issued(it, period, at):
    it.clock.set(at)
    month = {"partner_id": "p2", "period": period, "currency": "EUR"}
    answer = await it.post(FINANCE, "/statements", month)
    assert answer.status_code == 201, answer.text
    return answer.json()
