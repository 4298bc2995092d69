"""Fund money from allocation to settlement: what is reserved, what a claim is paid, and what goes back."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from chassis.testing.projections import assert_repeatable, project, told
from contracts.values import money
from services.incentives.domain.budget import Budgets
from services.incentives.domain.claim import ClaimTax, SettleClaim
from services.incentives.domain.exchange import InBooks, Rate
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.fund import FUNDS, PeriodInvalid, next_period, period_of
from services.incentives.domain.fund_request_commands import (
    AmendFundRequest,
    CheckFundRequest,
    EndFundRequest,
    RecallFundRequest,
    RequestExtension,
)
from services.incentives.domain.fund_request_events import FundClaimReminded, FundRequestEscalated, ItemDecision
from services.incentives.domain.fund_share import ExpireFundShare, pool_id, share_id
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.projections.claims import CLAIMS
from services.incentives.projections.fund_dues import CLAIM_SETTLEMENTS, FUND_CLAIMS_DUE, FUND_PERIODS
from services.incentives.projections.fund_requests import FUND_REQUESTS
from services.incentives.projections.funds import FUNDS as SHARES
from services.incentives.projections.ledger import BALANCES, LEDGER
from tests.incentives.fund_facts import (
    FUND,
    NOW,
    PARTNER,
    PERIOD,
    SHARE,
    Log,
    accepted,
    allocate,
    as_is,
    asked,
    claimed,
    decide,
    details,
    eur,
    fund,
    funded,
    journals,
    payable,
    proof,
    published,
    verdict,
)


def left(log: Log) -> str:
    return str(log.share.available.amount)


# Worked examples of the page


def test_done_when_1_ten_thousand_at_half_reserve_five_thousand():
    log = accepted("10000.00")
    assert log.request().rest == eur("5000.00")
    assert left(log) == "5000.00"


def test_done_when_1_eligible_nine_thousand_is_paid_4500_and_completion_releases_500():
    log = accepted("10000.00").tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00"))
    assert payable(log) == Decimal("4500.00")
    assert log.request().rest == eur("500.00")
    log.tell(end("completed"))
    assert log.happened[-2].released == eur("500.00")
    assert left(log) == "5500.00"


def test_done_when_1_eligible_eleven_thousand_is_paid_5000():
    log = accepted("10000.00").tell(claimed("11000.00"))
    log.tell(log.submit_claim(), verdict("11000.00"))
    assert payable(log) == Decimal("5000.00")
    assert log.request().rest == eur("0.00")


def test_a_tolerance_pays_beyond_what_is_reserved_out_of_what_is_available():
    log = accepted("10000.00", funded(fund(tolerance_percent="10"))).tell(claimed("11000.00"))
    log.tell(log.submit_claim(), verdict("11000.00"))
    assert payable(log) == Decimal("5500.00")
    assert left(log) == "4500.00"


def twice_beyond(log):
    """What two claims are paid that each go beyond what a request of 10,000 reserved."""
    for identity, amount in (("c1", "10600.00"), ("c2", "2000.00")):
        log.tell(claimed(amount, proof(number=identity, file=identity[1]), identity=identity))
        log.tell(log.submit_claim(identity), verdict(amount, identity=identity))
    return payable(log)


def test_the_claims_for_one_request_share_its_tolerance():
    log = accepted("10000.00", funded(fund(tolerance_percent="10")))
    assert twice_beyond(log) == Decimal("5500.00")
    assert left(log) == "4500.00"


def test_the_evaluator_before_gave_the_tolerance_to_each_claim_again():
    log = accepted("10000.00", funded(fund(tolerance_percent="10"))).as_then(DecideFundClaim=3)
    assert twice_beyond(log) == Decimal("5800.00")


# Shares


def test_a_share_is_drawn_from_what_the_fund_has_in_the_period():
    log = funded(amount="30000.00", pool="50000.00")
    assert log.refused(allocate("20000.01", ref="more", partner_id="p2")) == "funds-insufficient"
    log.tell(allocate("20000.00", ref="more", partner_id="p2"))
    assert log.state(Budgets.at(pool_id(FUND, PERIOD))).available == eur("0.00")


def test_a_share_that_is_given_again_under_its_ref_counts_once():
    log = funded(amount="1000.00").tell(allocate("1000.00"))
    assert left(log) == "1000.00"


def test_without_a_fund_in_force_nothing_is_given():
    assert Log().refused(allocate("1.00")) == "no-fund"


def test_what_a_partner_has_left_at_the_end_of_a_period_expires_and_its_rollover_goes_on():
    log = accepted("4000.00", funded(fund(rollover_percent="25"), amount="10000.00"))
    expire = ExpireFundShare(fund_id=FUND, period=PERIOD, partner_id=PARTNER, now=datetime(2027, 1, 1, tzinfo=UTC))
    assert log.refused(ExpireFundShare(fund_id=FUND, period=PERIOD, partner_id=PARTNER, now=NOW)) == "fund-period-open"
    log.tell(expire, expire)
    assert left(log) == "0.00"
    following = log.state(Budgets.at(share_id(FUND, "2027", PARTNER)))
    assert following.available == eur("2000.00")
    assert log.request().rest == eur("2000.00"), "what was accepted is still there to be claimed"


@pytest.mark.parametrize(
    ("period", "begins", "ends", "following"),
    [
        ("2026", date(2026, 1, 1), date(2027, 1, 1), "2027"),
        ("2026-Q4", date(2026, 10, 1), date(2027, 1, 1), "2027-Q1"),
        ("2026-12", date(2026, 12, 1), date(2027, 1, 1), "2027-01"),
        ("2026-Q2", date(2026, 4, 1), date(2026, 7, 1), "2026-Q3"),
    ],
)
def test_a_period_is_a_year_quarter_or_month(period, begins, ends, following):
    assert period_of(period) == (begins, ends)
    assert next_period(period) == following


@pytest.mark.parametrize("period", ["2026-Q5", "2026-13", "26", "", "2026-1", "0000", "9999", "9999-Q4", "9999-12"])
def test_anything_else_is_no_period(period):
    with pytest.raises(PeriodInvalid):
        period_of(period)


# Requests


def test_any_returned_item_returns_the_request_and_reserves_nothing():
    log = funded().tell(*asked("1000.00", "500.00"))
    log.tell(decide(as_is("1000.00"), ItemDecision(outcome="returned", amount=eur("0.00"), reason="which hall?")))
    assert log.request().stage == "returned"
    assert left(log) == "10000.00"


def test_any_accepted_item_accepts_the_request_for_what_was_accepted():
    log = funded().tell(*asked("1000.00", "500.00", "300.00"))
    less = ItemDecision(outcome="accepted_with_changes", amount=eur("200.00"), reason="one day")
    log.tell(decide(as_is("1000.00"), less, ItemDecision(outcome="denied", amount=eur("0.00"), reason="travel")))
    assert log.request().stage == "accepted"
    assert log.request().rest == eur("600.00")


def test_all_items_denied_reject_the_request():
    log = funded().tell(*asked("1000.00"))
    log.tell(decide(ItemDecision(outcome="denied", amount=eur("0.00"), reason="no customers there")))
    assert log.request().stage == "rejected"


@pytest.mark.parametrize(
    "item",
    [
        ItemDecision(outcome="accepted_with_changes", amount=eur("1000.01"), reason="more"),
        ItemDecision(outcome="accepted_with_changes", amount=eur("900.00")),
        ItemDecision(outcome="accepted_as_is", amount=eur("900.00")),
        ItemDecision(outcome="denied", amount=eur("0.00")),
        ItemDecision(outcome="denied", amount=eur("10.00"), reason="no"),
    ],
)
def test_not_more_is_accepted_than_asked_and_every_no_has_its_reason(item):
    assert funded().tell(*asked("1000.00")).refused(decide(item)) == "fund-request-invalid"


def test_what_is_not_there_cannot_be_accepted():
    log = funded(amount="499.99").tell(*asked("1000.00"))
    assert log.refused(decide(as_is("1000.00"))) == "funds-insufficient"
    assert log.request().stage == "submitted"


def test_above_the_limit_of_who_decides_it_is_escalated_to_a_higher_one():
    limits = {"fund_manager": {"EUR": "400"}, "approver": {"EUR": "5000"}}
    log = funded(fund(limits=limits)).tell(*asked("1000.00"), decide(as_is("1000.00")))
    assert isinstance(log.happened[-1], FundRequestEscalated)
    assert log.request().stage == "submitted"
    assert left(log) == "10000.00"
    log.tell(decide(as_is("1000.00"), roles=("fund_manager", "approver"), by="fin"))
    assert log.request().stage == "accepted"


def test_an_activity_that_the_fund_does_not_pay_for_is_not_taken():
    draft, submit = asked("1000.00", activity_type="golf")
    assert funded().tell(draft).refused(submit) == "fund-request-invalid"


def test_days_outside_the_period_are_not_taken():
    draft, _ = asked("1.00", starts_on=date(2027, 1, 1), ends_on=date(2027, 1, 2))
    assert funded().refused(draft) == "fund-request-invalid"


def test_a_submitted_request_can_be_taken_back_and_written_anew():
    log = funded().tell(*asked("1000.00"), RecallFundRequest(fund_request_id="r1", now=NOW))
    log.tell(*asked("700.00"))
    assert log.request().plan.asked == eur("700.00")


def test_a_draft_is_written_anew_for_another_period_and_was_not_by_the_evaluator_before():
    draft, _ = asked("1000.00", starts_on=date(2026, 11, 1), ends_on=date(2026, 11, 2))
    fourth = replace(draft, period="2026-Q4")
    assert funded().tell(draft, fourth, fourth).request().period == "2026-Q4"
    assert funded().as_then(DraftFundRequest=1).tell(draft, fourth).request().period == "2026"


def amend(amount: str) -> AmendFundRequest:
    return AmendFundRequest(
        fund_request_id="r1", fund_id=FUND, details=details(amount), reason="bigger hall", by="per", now=NOW
    )


def test_an_amendment_keeps_the_old_reservation_until_it_is_decided():
    log = accepted("1000.00").tell(amend("1600.00"))
    assert (log.request().stage, log.request().rest, left(log)) == ("submitted", eur("500.00"), "9500.00")
    log.tell(decide(as_is("1600.00")))
    assert (log.request().rest, left(log)) == (eur("800.00"), "9200.00")


def test_an_amendment_that_is_denied_leaves_what_was_accepted():
    log = accepted("1000.00").tell(amend("1600.00"))
    log.tell(decide(ItemDecision(outcome="denied", amount=eur("0.00"), reason="no")))
    assert (log.request().stage, log.request().rest) == ("accepted", eur("500.00"))
    assert log.request().plan.asked == eur("1000.00")


def test_a_request_shows_what_stands_again_once_its_amendment_is_denied():
    log = accepted("1000.00").tell(amend("1600.00"))
    shown = project(FUND_REQUESTS, told(*log.happened))["r1"]
    assert (shown["state"], shown["asked"]["amount"]) == ("submitted", "1600.00"), "what waits to be decided"

    log.tell(decide(ItemDecision(outcome="denied", amount=eur("0.00"), reason="no")))
    shown = project(FUND_REQUESTS, told(*log.happened))["r1"]
    assert (shown["state"], shown["asked"]["amount"]) == ("accepted", "1000.00")
    assert [item["amount"]["amount"] for item in shown["details"]["items"]] == ["1000.00"]
    assert [item["outcome"] for item in shown["items"]] == ["accepted_as_is"]

    log.tell(amend("1600.00"), decide(as_is("1600.00")))
    shown = project(FUND_REQUESTS, told(*log.happened))["r1"]
    assert (shown["asked"]["amount"], shown["reserved"]["amount"]) == ("1600.00", "800.00")


def end(outcome: str, now: datetime = NOW) -> EndFundRequest:
    return EndFundRequest(fund_request_id="r1", budget_id=SHARE, outcome=outcome, reason="over", by="fm", now=now)


def test_a_cancelled_request_gives_everything_back():
    log = accepted("1000.00").tell(end("cancelled"), end("cancelled"))
    assert (log.request().stage, left(log)) == ("cancelled", "10000.00")


def test_what_has_been_paid_for_is_not_cancelled():
    log = accepted("1000.00").tell(claimed("100.00"))
    log.tell(log.submit_claim(), verdict("100.00"))
    assert log.refused(end("cancelled")) == "wrong-state"


# A fund that has ended

ENDED = datetime(2026, 4, 10, tzinfo=UTC)


def ended_after(log: Log) -> Log:
    """The log with its fund ended on the tenth of April."""
    log.streams["rulebook", FUND] = [
        replace(published(fund(limits={"fund_manager": {"EUR": "4000"}})), effective_until=ENDED)
    ]
    return log


def test_a_claim_is_approved_though_its_fund_has_ended_since_within_the_limits_that_held():
    log = ended_after(accepted("10000.00").tell(claimed("8000.00")))
    log.tell(log.submit_claim(now=ENDED))
    assert log.refused(verdict("8000.02", now=ENDED)) == "claim-invalid"
    log.tell(verdict("8000.00", now=ENDED))
    assert payable(log) == Decimal("4000.00")


def test_above_the_limit_of_a_fund_that_has_ended_nothing_is_approved():
    log = ended_after(accepted("10000.00").tell(claimed("9000.00")))
    log.tell(log.submit_claim(now=ENDED))
    assert log.refused(verdict("9000.00", now=ENDED)) == "over-limit"


def test_the_evaluator_before_approved_no_claim_of_a_fund_that_had_ended():
    log = ended_after(accepted("10000.00").tell(claimed("8000.00")).as_then(DecideFundClaim=5))
    log.tell(log.submit_claim(now=ENDED))
    assert log.refused(verdict("8000.00", now=ENDED)) == "no-fund"


def test_what_was_asked_of_a_fund_that_has_ended_is_denied_or_returned_and_not_accepted():
    log = ended_after(funded().tell(*asked("1000.00")))
    assert log.refused(decide(as_is("1000.00"), now=ENDED)) == "no-fund"
    no = decide(ItemDecision(outcome="denied", amount=eur("0.00"), reason="too late"), now=ENDED)
    before = ended_after(funded().tell(*asked("1000.00"))).as_then(DecideFundRequest=2)
    assert before.refused(no) == "no-fund"
    assert log.tell(no).request().stage == "rejected"


# The day to claim by


def check(now: datetime) -> CheckFundRequest:
    return CheckFundRequest(fund_request_id="r1", budget_id=SHARE, now=now)


def test_a_claim_is_due_45_days_after_the_activity():
    assert accepted().request().claim_by == date(2026, 5, 17)


@pytest.mark.parametrize("days", [14, 3])
def test_the_partner_is_reminded_before_the_deadline(days):
    log = accepted()
    log.tell(check(datetime(2026, 5, 17, 1, tzinfo=UTC) - timedelta(days=days)))
    reminder = log.happened[-1]
    assert isinstance(reminder, FundClaimReminded)
    assert (reminder.days_left, reminder.amount) == (days, eur("5000.00"))


def test_after_the_deadline_what_was_not_claimed_is_available_again():
    log = accepted().tell(check(datetime(2026, 5, 17, 23, tzinfo=UTC)))
    assert log.request().stage == "accepted", "the day to claim by is still a day to claim"
    log.tell(check(datetime(2026, 5, 18, tzinfo=UTC)))
    assert (log.request().stage, left(log)) == ("expired", "10000.00")


def test_what_was_accepted_is_still_due_once_a_change_of_it_was_denied_after_its_day_to_claim():
    log = accepted("1000.00").tell(amend("1600.00"), check(datetime(2026, 5, 18, tzinfo=UTC)))
    no = ItemDecision(outcome="denied", amount=eur("0.00"), reason="no")
    log.tell(decide(no, now=datetime(2026, 5, 20, 12, tzinfo=UTC)))
    due = project(FUND_CLAIMS_DUE, told(*log.happened))["r1"]["due_at"]
    assert due == "2026-05-21T00:00:00Z"
    log.tell(check(datetime.fromisoformat(due)))
    assert (log.request().stage, left(log)) == ("expired", "10000.00")


def extension(now: datetime = NOW) -> RequestExtension:
    return RequestExtension(fund_request_id="r1", reason="printer is late", by="per", now=now)


def test_the_deadline_moves_once_and_only_before_it():
    log = accepted()
    assert log.refused(extension(datetime(2026, 5, 18, tzinfo=UTC))) == "deadline-passed"
    log.tell(extension())
    assert log.request().claim_by == date(2026, 6, 16)
    assert log.refused(extension()) == "extended-before"


def amended_after_extension(**evaluators):
    """A request whose day to claim was moved, and which was amended after that and accepted again."""
    return accepted("1000.00").as_then(**evaluators).tell(extension(), amend("1600.00"), decide(as_is("1600.00")))


def test_an_amendment_keeps_the_days_by_which_the_day_to_claim_was_moved():
    log = amended_after_extension()
    assert log.request().claim_by == date(2026, 6, 16)
    assert log.refused(extension()) == "extended-before"


def test_the_evaluator_before_moved_the_day_to_claim_back_with_an_amendment():
    log = amended_after_extension(DecideFundRequest=1)
    assert log.request().claim_by == date(2026, 5, 17)


def test_a_late_claim_is_refused_even_where_no_clock_has_ticked():
    late = datetime(2026, 5, 18, tzinfo=UTC)
    log = accepted().tell(claimed("9000.00"))
    assert log.refused(log.submit_claim(now=late)) == "deadline-passed"


def test_a_request_with_an_open_claim_outlives_its_deadline_and_ends_with_the_decision():
    late = datetime(2026, 5, 20, tzinfo=UTC)
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim(), check(late))
    assert log.request().stage == "accepted"
    log.tell(verdict("9000.00", now=late))
    assert (log.request().stage, left(log), payable(log)) == ("completed", "5500.00", Decimal("4500.00"))


# Claims


def test_a_request_has_many_claims_and_they_never_pay_more_than_it_reserved():
    log = accepted("10000.00")
    for number, amount in enumerate(("4000.00", "4000.00", "4000.00")):
        identity = f"c{number}"
        log.tell(claimed(amount, proof(number=identity, file=str(number)), identity=identity))
        log.tell(log.submit_claim(identity), verdict(amount, identity=identity))
    paid = [one.amount.amount for one in log.happened if type(one).__name__ == "ClaimDecided"]
    assert paid == [Decimal("2000.00"), Decimal("2000.00"), Decimal("1000.00")]
    assert left(log) == "5000.00"


def test_a_claim_without_the_proof_that_the_activity_needs_waits_for_it():
    log = accepted().tell(claimed("9000.00", proof(kind="photo")))
    assert log.refused(log.submit_claim()) == "proofs-missing"


@pytest.mark.parametrize(
    "again", [proof(file="a", number="other"), proof(file="b"), replace(proof(file="b"), issuer=" hall  LTD")]
)
def test_a_proof_shown_before_by_its_file_or_by_what_is_written_on_it_needs_a_persons_reason(again):
    log = accepted("10000.00").tell(claimed("4000.00"))
    log.tell(log.submit_claim(), claimed("4000.00", again, identity="c2"))
    log.tell(log.submit_claim("c2"))
    assert [one.claim_ids for one in log.claim("c2").reused] == [("c1",)]
    assert log.claim("c1").reused == ()
    assert log.refused(verdict("4000.00", identity="c2")) == "proof-reused"
    log.tell(verdict("4000.00", identity="c2", reason="one invoice, two events: the second half"))
    assert log.claim("c2").stage == "approved"


def test_a_returned_claim_comes_again_with_the_same_proof_and_is_not_its_own_double():
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("0.00", outcome="returned", reason="unreadable"))
    assert log.request().open_claims == frozenset()
    log.tell(claimed("8000.00"))
    log.tell(log.submit_claim())
    assert log.claim().reused == ()


def test_what_is_eligible_is_in_the_currency_of_the_request():
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim())
    assert log.refused(replace(verdict("9000.00"), eligible=money("9000.00", "USD"))) == "claim-invalid"


def test_a_denied_claim_pays_nothing_and_says_why():
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim())
    assert log.refused(verdict("0.00", outcome="denied")) == "claim-invalid"
    log.tell(verdict("0.00", outcome="denied", reason="the event did not happen"))
    assert (payable(log), log.request().rest) == (Decimal(0), eur("5000.00"))


def test_a_claim_above_the_limit_of_who_decides_is_not_approved():
    limits = {"fund_manager": {"EUR": "6000"}, "assistant": {"EUR": "100"}}
    log = accepted("10000.00", funded(fund(limits=limits))).tell(claimed("9000.00"))
    log.tell(log.submit_claim())
    assert log.refused(verdict("9000.00", roles=("assistant",))) == "over-limit"


def taxed(amount: str) -> ClaimTax:
    return ClaimTax(country="DE", amount=eur(amount))


def test_tax_on_what_is_approved_is_payable_on_top_and_stands_on_its_own_account():
    log = accepted().tell(claimed("1000.00", tax=taxed("190.00")))
    log.tell(log.submit_claim(), verdict("1000.00"))
    assert log.claim().approved.steps[-1] == "of the 190.00 EUR of tax in DE, 95.00 EUR are on what was approved"
    posted = {entry.name: entry.amount.amount for entry in journals(log) if entry.cause == "c1"}
    assert posted["vat:DE"] == Decimal("95.00")
    assert payable(log) == Decimal("595.00")


def test_a_claim_charges_no_more_tax_than_the_highest_rate_there_is_makes_of_it():
    log = accepted()
    assert log.refused(claimed("1000.00", tax=taxed("270.01"))) == "claim-invalid"
    assert not log.refused(claimed("1000.00", tax=taxed("270.00")))


def test_tax_counts_in_the_limit_of_who_decides():
    log = accepted("10000.00", funded(fund(limits={"fund_manager": {"EUR": "5000"}})))
    log.tell(claimed("9000.00", tax=taxed("1710.00")))
    log.tell(log.submit_claim())
    assert log.refused(verdict("9000.00")) == "over-limit", "4,500.00 and 855.00 of tax"
    assert not log.refused(verdict("8000.00")), "4,000.00 and 760.00 of tax"


def test_tax_does_not_draw_on_the_fund():
    log = accepted().tell(claimed("1000.00", tax=taxed("190.00")))
    log.tell(log.submit_claim(), verdict("1000.00"))
    assert log.request().rest == eur("4500.00")


def test_tax_that_was_drafted_before_it_had_a_bound_is_payable_up_to_that_bound():
    log = accepted().as_then(DraftClaim=1).tell(claimed("1000.00", tax=taxed("1000000.00")))
    log.tell(log.submit_claim(), verdict("10.00"))
    assert payable(log) == Decimal("6.35"), "5.00 and 27 % of it"


def test_the_evaluators_before_decide_with_all_of_the_tax_and_beside_the_limit():
    log = accepted("10000.00", funded(fund(limits={"fund_manager": {"EUR": "6000"}})))
    log.as_then(DraftClaim=1, DecideFundClaim=2).tell(claimed("1000.00", tax=taxed("1000000.00")))
    log.tell(log.submit_claim(), verdict("10.00"))
    assert payable(log) == Decimal("1000005.00")


def test_a_claim_in_another_currency_is_in_the_books_at_the_rate_of_the_day():
    rate = Rate(base="EUR", quote="USD", rate=Decimal("1.10"), on=date(2026, 3, 16), source="bank")
    log = accepted().tell(claimed("1000.00"))
    log.tell(log.submit_claim(), verdict("1000.00", books=InBooks(currency="USD", rates=(rate,))))
    worth = {entry.name: entry.books_amount for entry in journals(log) if entry.cause == "c1" and entry.books_amount}
    assert worth["expense:fund"].amount == Decimal("550.00")


def test_a_claim_is_settled_by_its_payment_once():
    log = accepted().tell(claimed("1000.00"))
    log.tell(log.submit_claim(), verdict("1000.00"))
    paid = SettleClaim(claim_id="c1", payment_id="pay", paid_on=date(2026, 4, 20), now=NOW)
    count = len(log.tell(paid).happened)
    assert log.claim().stage == "settled"
    assert len(log.tell(paid).happened) == count


# Whatever comes, in whatever order


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("ask", "accept", "claim", "approve", "deny", "complete", "cancel", "give", "expire")),
        st.integers(0, 4),
        st.integers(1, 900_000),
    ),
    max_size=30,
)


def _wish(log: Log, what: str, number: int, cents: int):
    amount, r, c = str(Decimal(cents) / 100), f"r{number}", f"c{number}"
    amount = f"{Decimal(amount):.2f}"
    request = log.request(r)
    asked_for = str(request.details.asked.amount) if request.details else amount
    over = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=number)
    match what:
        case "ask":
            return asked(amount, identity=r)
        case "accept":
            return (decide(as_is(asked_for), identity=r),)
        case "claim":
            return (claimed(amount, proof(number=f"{c}-{cents}", file=str(number)), identity=c, of_id=r),)
        case "approve":
            return (verdict(amount, identity=c, of_id=r, reason="seen"),)
        case "deny":
            return (verdict("0.00", identity=c, of_id=r, outcome="denied", reason="no"),)
        case "give":
            return (allocate(amount, ref=f"{number}-{cents}"),)
        case "expire":
            return (ExpireFundShare(fund_id=FUND, period=PERIOD, partner_id=PARTNER, now=over),)
        case _:
            ending = {"complete": "completed", "cancel": "cancelled"}[what]
            wish = EndFundRequest(fund_request_id=r, budget_id=SHARE, outcome=ending, reason="x", by="fm", now=NOW)
            return (wish,)


@settings(max_examples=60, deadline=None)
@examples(STEPS)
def test_in_any_order_a_share_is_never_overdrawn_and_every_journal_balances(steps):
    log = funded(fund(tolerance_percent="10", rollover_percent="50"))
    for what, number, cents in steps:
        for wish in _wish(log, what, number, cents):
            log.refused(wish)
        if what == "claim" and log.claim(f"c{number}").stage == "draft":
            log.refused(log.submit_claim(f"c{number}"))
        share = log.share
        assert share.available.amount >= 0
        assert all(kept >= 0 for kept in share.reserved.values())
        assert share.used == sum((one.amount.amount for one in _approved(log)), Decimal(0))
        kept = sum((log.request(f"r{n}").rest.amount for n in range(5) if log.request(f"r{n}").rest), Decimal(0))
        assert kept == sum(share.reserved.values(), Decimal(0))
    assert not any(trial_balance(journals(log)).values())
    assert not any(books_balance(journals(log)).values())


def _approved(log: Log):
    return [one for one in log.happened if type(one).__name__ == "ClaimDecided" and one.outcome == "approved"]


# The rules


def test_a_funds_rules_say_what_they_would_pay():
    facts = {
        "accepted": {"amount": "10000.00", "currency": "EUR"},
        "eligible": {"amount": "9000.00", "currency": "EUR"},
    }
    assert FUNDS.answer(facts, fund()).outcome == "4500.00 EUR"


@pytest.mark.parametrize(
    "changes",
    [
        {"participation_percent": "101"},
        {"tolerance_percent": "10.5"},
        {"claim_days": 6},
        {"extension_days": 61},
        {"activities": []},
        {"currency": "XXX"},
        {"name": " "},
    ],
)
def test_a_fund_outside_its_ranges_is_not_published(changes):
    assert FUNDS.check(FUNDS.read(fund(**changes)))


def test_a_sound_fund_has_no_faults():
    assert FUNDS.check(FUNDS.read(fund())) == []
    assert published(fund()).kind == FUNDS.name


# Read models


def test_repeats_and_other_orders_change_no_model_of_funds():
    log = accepted("10000.00").tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00"), extension(), end("completed"))
    log.tell(SettleClaim(claim_id="c1", payment_id="pay", paid_on=date(2026, 4, 20), now=NOW))
    seen = told(*log.happened)
    for model in (SHARES, FUND_REQUESTS, CLAIMS, FUND_PERIODS, FUND_CLAIMS_DUE, CLAIM_SETTLEMENTS, LEDGER, BALANCES):
        assert_repeatable(model, seen)
    request = project(FUND_REQUESTS, seen)["r1"]
    assert (request["state"], request["used"], request["claim_by"]) == ("completed", "4500.00", "2026-06-16")
    claim = project(CLAIMS, seen)["c1"]
    assert (claim["state"], claim["paid_on"], claim["steps"][-1]) == ("settled", "2026-04-20", "makes 4500.00 EUR")
    assert project(SHARES, seen)[SHARE]["used"] == "4500.00"


def test_every_decision_on_fund_money_explains_itself():
    log = accepted("10000.00").tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00"), end("completed"))
    decided = [seen for seen in told(*log.happened) if type(seen.event) in EXPLAIN]
    texts = [reason.text for seen in decided for reason in EXPLAIN[type(seen.event)](seen).reasons]
    assert "50 % of 10000.00 EUR reserves 5000.00 EUR" in texts
    assert "at most the 5000.00 EUR that are reserved and 0.00 EUR of tolerance" in texts
    assert "500.00 EUR is available again" in texts
