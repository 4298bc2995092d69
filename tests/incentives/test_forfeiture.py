"""Forfeiture: off by default, announced three times, lifted by papers, and booked when nothing came."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.testing.projections import project, told
from contracts.values import money
from services.incentives.domain.account import Accounts
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.forfeiture import BalanceForfeited, ForfeitBalance, months_after
from services.incentives.domain.journal import NO_JOURNAL
from services.incentives.domain.payee import Payees
from services.incentives.domain.payee_events import BankDetailsChanged, BankDetailsVerified
from services.incentives.domain.payment import Payments, earnings_of
from services.incentives.domain.payment_commands import ProposePayment
from services.incentives.domain.payment_events import PaymentBlocked, PaymentDeclined, PaymentProposed
from services.incentives.domain.payment_rules import PAYMENT_RULES
from services.incentives.domain.thresholds import YearSoFar
from services.incentives.projections.forfeitures import FORFEITURES
from services.incentives.projections.ledger import TRIAL_BALANCE
from services.incentives.publishing import publish
from tests.incentives.fund_facts import Log, published
from tests.incentives.orders import ACCOUNT, OPENED, PAYMENT, issued, line, proposal

BLOCKED_AT = datetime(2026, 4, 3, 9, tzinfo=UTC)
ENDS = date(2026, 10, 3)
"""Six months after it was blocked."""
HUNDRED = money("100.00", "EUR")


def log_of(months: int | None = 6, **rules: Any) -> Log:
    """A payment of 100.00 that waits for the payee's bank details."""
    body = {"gates": ["bank_verified"], "forfeiture_months": months, **rules}
    log = Log(published(body, kind="payment", book="paying"))
    statement = issued(line("100.00", 5))
    log._keep(Payees.at("p1"), [OPENED])
    log._keep(Accounts.at(ACCOUNT), [statement])
    log.tell(replace(proposal(statement), rules=("paying",)))
    [proposed] = [one for one in log.happened if isinstance(one, PaymentProposed)]
    blocked = PaymentBlocked(
        payment_id=PAYMENT,
        statement_id=proposed.statement_id,
        payee_id="p1",
        partner_id="p1",
        amount=HUNDRED,
        gates=("bank_verified",),
        journal=NO_JOURNAL,
        blocked_at=BLOCKED_AT,
    )
    log._keep(Payments.at(PAYMENT), [blocked])
    log.happened.clear()
    return log


def step(now: datetime = BLOCKED_AT) -> ForfeitBalance:
    return ForfeitBalance(
        payment_id=PAYMENT, account_id=ACCOUNT, payee_id="p1", blocked_at=BLOCKED_AT, rules=("paying",), now=now
    )


def before_end(days: int) -> datetime:
    return datetime.combine(ENDS - timedelta(days=days), datetime.min.time(), tzinfo=UTC)


def steps(log: Log) -> list[tuple[str, Any]]:
    return [(type(one).__name__, getattr(one, "notice_days", None)) for one in log.happened]


def test_it_is_announced_60_30_and_7_days_before_and_then_booked():
    log = log_of().tell(step(), *(step(before_end(days)) for days in (61, 60, 59, 30, 7, 1, 0)))

    assert steps(log) == [
        ("ForfeitureScheduled", None),
        ("ForfeitureNoticed", 60),
        ("ForfeitureNoticed", 30),
        ("ForfeitureNoticed", 7),
        ("BalanceForfeited", None),
        ("PaymentDeclined", None),
        ("PaymentClosed", None),
    ]
    lost = log.happened[4]
    assert [(entry.account, entry.amount.amount) for entry in lost.journal.entries] == [
        ("payable", Decimal("100.00")),
        ("forfeited", Decimal("-100.00")),
    ]
    assert log.state(Payments.at(PAYMENT)).stage.value == "declined"
    assert log.state(Accounts.at(ACCOUNT)).open_payment is None
    [books] = project(TRIAL_BALANCE, told(lost)).values()
    assert (books["total"], books["accounts"]) == ("0.00", {"forfeited": "-100.00", "payable": "100.00"})
    assert "announced 60, 30 and 7 days before" in EXPLAIN[BalanceForfeited](told(lost)[0]).reasons[0].text


def test_what_was_taken_back_meanwhile_is_not_forfeited_once_more():
    left = replace(step(), payable=money("60.00", "EUR"))
    log = log_of().tell(step(), *(replace(left, now=before_end(days)) for days in (60, 30, 7, 0)))

    amounts = [one.amount.amount for one in log.happened[:5]]
    assert amounts == [Decimal(a) for a in ("100.00", "60.00", "60.00", "60.00", "60.00")]
    assert [entry.amount.amount for entry in log.happened[4].journal.entries] == [Decimal("60.00"), Decimal("-60.00")]


def test_where_nothing_is_payable_any_more_nothing_is_forfeited():
    log = log_of().tell(step(), replace(step(before_end(60)), payable=money("-5.00", "EUR")))

    assert steps(log) == [("ForfeitureScheduled", None), ("ForfeitureLifted", None)]
    assert log.state(Payments.at(PAYMENT)).stage.value == "blocked"


def test_fund_money_is_never_forfeited():
    order = log_of().state(Payments.at(PAYMENT)).order

    assert earnings_of(order) == HUNDRED
    assert earnings_of(replace(order, fund=money("40.00", "EUR"))) == money("60.00", "EUR")


def test_it_is_off_where_the_rules_do_not_say_so():
    assert steps(log_of(None).tell(step(), step(before_end(0)))) == []


def test_papers_that_come_lift_it():
    log = log_of().tell(step(), step(before_end(60)))
    bank = BankDetailsChanged(
        payee_id="p1",
        partner_id="p1",
        bank_id="b1",
        account=None,  # type: ignore[arg-type]
        fingerprint="f",
        changed_by="per-1",
        changed_at=BLOCKED_AT,
    )
    verified = BankDetailsVerified(
        payee_id="p1",
        partner_id="p1",
        bank_id="b1",
        method="second_person",
        verified_by="per-2",
        verified_at=BLOCKED_AT,
    )
    log._keep(Payees.at("p1"), [bank, verified])
    log.tell(step(before_end(30)), step(before_end(0)))

    assert steps(log)[2:] == [("ForfeitureLifted", None)]


def test_a_notice_that_comes_late_leaves_its_days():
    late = before_end(0)
    log = log_of().tell(step(), step(late), step(late))

    assert steps(log) == [("ForfeitureScheduled", None), ("ForfeitureNoticed", 60)]
    assert log.happened[1].forfeits_on == ENDS + timedelta(days=60)


def test_the_partner_is_asked_for_its_papers_while_there_is_time():
    log = log_of().tell(step(), step(before_end(60)))

    told_partner = publish(told(log.happened[1])[0])
    assert (told_partner.topic, told_partner.side, told_partner.due_at.date()) == ("balance-forfeits", "partner", ENDS)
    assert told_partner.for_partner("p1") is not None


def test_each_step_is_due_on_its_day():
    log = log_of().tell(step(), step(before_end(60)), step(before_end(30)), step(before_end(7)))
    blocked = log.streams["payment", PAYMENT][-1]
    days = [project(FORFEITURES, told(blocked, *log.happened[:count]))[PAYMENT]["due_at"][:10] for count in range(1, 5)]
    assert days == ["2026-08-04", "2026-09-03", "2026-09-26", "2026-10-03"]


@pytest.mark.parametrize("months", [2, 37])
def test_the_months_are_3_to_36(months):
    assert PAYMENT_RULES.check(PAYMENT_RULES.read({"forfeiture_months": months}))
    assert months_after(date(2026, 1, 31), 13) == date(2027, 2, 28)


def test_the_final_payment_is_made_below_the_minimum():
    statement = issued(line("5.00", 5))
    log = Log(published({"minimums": {"EUR": "10"}}, kind="payment", book="paying"))
    log._keep(Accounts.at(ACCOUNT), [statement])
    wish: ProposePayment = replace(proposal(statement, "5.00"), rules=("paying",))

    assert log.refused(wish) == "below-minimum"
    assert log.refused(replace(wish, final=True)) == ""
    assert PaymentDeclined not in {type(one) for one in log.happened}


def test_a_new_year_in_which_no_form_is_asked_for_yet_lifts_what_waited_for_one():
    threshold = {"asks": "tax_form", "jurisdiction": "DE", "from_amount": "600", "currency": "EUR"}
    log = log_of(gates=[], thresholds=[threshold])
    reached = YearSoFar(tax_year=2026, totals=(money("700.00", "EUR"),), position=9)
    log.tell(replace(step(), so_far=reached))
    assert steps(log) == [("ForfeitureScheduled", None)]
    january = datetime(2027, 1, 2, tzinfo=UTC)
    below = YearSoFar(tax_year=2027, totals=(HUNDRED,), position=9)
    log.tell(replace(step(january), so_far=below))
    assert steps(log)[1:] == [("ForfeitureLifted", None)]
