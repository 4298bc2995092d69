"""The defaults of the page and both ends of their ranges, rules by rules; and how far a line is postponed."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest

from services.incentives.domain.account import PeriodOpen
from services.incentives.domain.batch import Batches, BatchInvalid, PrepareBatch, prepare_batch
from services.incentives.domain.books import BooksUnbalanced, MonthOpen
from services.incentives.domain.budget import FundsInsufficient
from services.incentives.domain.claim import ClaimItem
from services.incentives.domain.fund import FUNDS
from services.incentives.domain.fund_request import DeadlinePassed
from services.incentives.domain.line import OnHold, PostponedTooFar, UnderReview, postpone_line
from services.incentives.domain.payment import (
    AlreadyOpen,
    AttemptsSpent,
    GateUnmet,
    InvoiceDiffers,
    InvoiceDuplicate,
    OverLimit,
    Payments,
    UnknownReference,
)
from services.incentives.domain.payment_rules import PAYMENT_RULES
from services.incentives.domain.periods import Calendar
from services.incentives.domain.plan import PlanOverlap
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale_commands import PostponeLine
from services.incentives.domain.sharing import ReleasePart
from services.incentives.domain.tier_rules import TIERS
from services.incentives.domain.two_people import FourEyes
from tests.incentives.facts import NOW, World, book, credit, plan, win
from tests.incentives.fund_facts import accepted, asked, claimed, eur, fund, funded, proof
from tests.incentives.orders import Desk
from tests.incentives.test_service import incentives
from tests.incentives.test_tiers import rules

__all__ = ["incentives"]
D = Decimal
TOLD = ("reason", "statement", "question")


def test_done_when_1_the_defaults_are_those_of_the_page():
    standard, money, market = PLANS.read(plan()), PAYMENT_RULES.read({}), FUNDS.read(fund())
    assert standard.released == (ReleasePart(percent=D(100), after_days=30),)
    assert (standard.stack, standard.tier_as_of, standard.accumulate) == ("highest", "registration_approved", "line")
    assert (standard.overlap, standard.last_award, standard.refund_days) == ("stack", "rest", 90)
    assert (money.minimums, money.forfeiture_months, money.cool_down_hours) == ({}, None, 120)
    assert money.calendar == Calendar(
        cadence="month", statement_day=3, review_day=10, pay_by_day=15, available_day=15, roll="none"
    )
    assert (market.claim_days, market.extension_days, market.participation_percent) == (45, 30, D(50))
    assert (market.tolerance_percent, market.rollover_percent) == (D(0), D(0))
    assert TIERS.read(rules()).grace_days == 90


@pytest.mark.parametrize(
    ("kind", "body", "field", "ends", "beyond"),
    [
        (PLANS, plan, "hold_days", (0, 180), (-1, 181)),
        (PAYMENT_RULES, dict, "cool_down_hours", (24, 240), (23, 241)),
        (PAYMENT_RULES, dict, "minimums", ({"EUR": "0"}, {"EUR": "1000"}), ({"EUR": "-1"}, {"EUR": "1000.01"})),
        (PAYMENT_RULES, dict, "forfeiture_months", (3, 36), (2, 37)),
        (FUNDS, fund, "claim_days", (7, 120), (6, 121)),
        (FUNDS, fund, "extension_days", (0, 60), (-1, 61)),
        (FUNDS, fund, "tolerance_percent", ("0", "10"), ("-1", "10.01")),
        (FUNDS, fund, "rollover_percent", ("0", "100"), ("-1", "100.01")),
        (TIERS, rules, "grace_days", (0, 180), (-1, 181)),
    ],
)
def test_done_when_1_the_ranges_are_those_of_the_page(kind, body, field, ends, beyond):
    faults = {str(value): kind.check(kind.read(body(**{field: value}))) for value in (*ends, *beyond)}
    assert [bool(faults[str(value)]) for value in (*ends, *beyond)] == [False, False, True, True]


@pytest.mark.parametrize(("bands", "sound"), [(50, True), (51, False)])
def test_a_plan_has_at_most_50_bands(bands, sound):
    many = [{"up_to": str(n + 1), "percent": "1"} for n in range(bands)]
    assert (PLANS.check(PLANS.read(plan(*many))) == []) is sound


@pytest.mark.parametrize(("modifiers", "sound"), [(100, True), (101, False)])
def test_a_plan_has_at_most_100_modifiers(modifiers, sound):
    many = [
        {"modifier_id": f"m{n}", "when": {"field": "tier", "is_one_of": ["gold"]}, "multiply": "2"}
        for n in range(modifiers)
    ]
    assert (PLANS.check(PLANS.read(plan(modifiers=many))) == []) is sound


def test_a_line_is_postponed_180_days_at_most_and_only_to_a_later_day():
    world = World(book(plan())).tell(win(), credit())
    [line] = world.sales["o1"].lines.values()
    wish = PostponeLine(
        opportunity_id="o1", line_id=line.line_id, until=date(2026, 9, 12), reason="x", by="fin", now=NOW
    )
    assert (wish.until - NOW.date()).days == 180
    [postponed] = postpone_line(wish, world.sales["o1"], ())
    assert postponed.payable_on == date(2026, 9, 12)
    for until in (wish.until + timedelta(days=1), line.payable_on - timedelta(days=1)):
        with pytest.raises(PostponedTooFar):
            postpone_line(replace(wish, until=until), world.sales["o1"], ())


@pytest.mark.parametrize(("items", "slug"), [(50, ""), (51, "fund-request-invalid")])
def test_a_fund_request_has_at_most_50_items(items, slug):
    draft, _ = asked(*["1.00"] * items)
    assert funded().refused(draft) == slug


@pytest.mark.parametrize(
    ("items", "proofs", "slug"), [(500, 20, ""), (501, 20, "claim-invalid"), (500, 21, "claim-invalid")]
)
def test_a_claim_has_at_most_500_items_and_20_proofs(items, proofs, slug):
    shown = [proof(number=f"{n}", file=f"{n % 10}") for n in range(proofs)]
    wish = claimed("1.00", *shown, items=(ClaimItem(text="hall", amount=eur("1.00")),) * items)
    assert accepted("1000.00").refused(wish) == slug


def test_a_batch_has_at_most_500_payments():
    desk = Desk()
    desk.after(desk.proposed)
    order = Payments.fold(desk.payment)
    names = tuple(f"payment-{n}" for n in range(501))
    wish = PrepareBatch(batch_id="b1", currency="EUR", day=date(2026, 6, 3), payment_ids=names[:500], by="fin", now=NOW)
    [prepared] = prepare_batch(wish, Batches.initial, [order] * 500)
    assert len(prepared.payment_ids) == 500
    with pytest.raises(BatchInvalid):
        prepare_batch(replace(wish, payment_ids=names), Batches.initial, [order] * 501)


@pytest.mark.parametrize(
    ("refusal", "slug", "status"),
    [
        (OnHold, "on-hold", 409),
        (UnderReview, "under-review", 409),
        (PeriodOpen, "period-open", 409),
        (MonthOpen, "period-open", 409),
        (AlreadyOpen, "payment-open", 409),
        (InvoiceDiffers, "invoice-differs", 409),
        (InvoiceDuplicate, "invoice-duplicate", 409),
        (OverLimit, "over-limit", 403),
        (FourEyes, "four-eyes", 403),
        (UnknownReference, "unknown-reference", 404),
        (AttemptsSpent, "attempts-spent", 409),
        (GateUnmet, "gate-unmet", 409),
        (BooksUnbalanced, "books-unbalanced", 409),
        (FundsInsufficient, "funds-insufficient", 409),
        (DeadlinePassed, "deadline-passed", 409),
        (PlanOverlap, "plan-overlap", 409),
    ],
)
def test_a_refusal_has_the_name_and_the_status_of_the_page(refusal, slug, status):
    assert (refusal.slug, refusal.status) == (slug, status)


async def test_a_reason_has_at_most_500_characters_wherever_one_is_asked_for(incentives):
    """Whoever asks for a reason, a statement or a question bounds it so."""
    schemas = incentives.service.api.openapi()["components"]["schemas"]
    bodies = {name: one["properties"] for name, one in schemas.items() if name.endswith("Body") and "properties" in one}
    told = {(name, field): body[field] for name, body in bodies.items() for field in TOLD if field in body}
    assert len(told) > 15
    assert {place: one.get("maxLength") for place, one in told.items()} == dict.fromkeys(told, 500)
