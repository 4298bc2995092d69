"""What payments and tiers tell the others since a later evaluator, and that what was recorded before stays as it was."""

from dataclasses import replace
from typing import Any

import pytest

from chassis.event import LEFT_OUT, decode, encode
from chassis.testing.projections import told
from contracts import incentives as public
from contracts.samples import sample
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.batch import ApproveBatch, SendBatch
from services.incentives.domain.forfeiture import ForfeitBalance
from services.incentives.domain.journal import NO_JOURNAL, trial_balance
from services.incentives.domain.payment_commands import ApprovePayment, DeclinePayment, ReportOutcome, SubmitPayment
from services.incentives.domain.telling import back_untold, untold
from services.incentives.domain.tier import DecideTierReview, EvaluateTier, OverrideTier, RecordTierMetric
from services.incentives.publishing import publish
from tests.incentives.orders import APPROVE, DECLINE, RESUME, RETRY, SUBMIT, SUSPENDED, said
from tests.incentives.test_payee import REINSTATED
from tests.incentives.test_paying import RuledDesk, form

TWICE = (ApprovePayment, ApproveBatch, ReportOutcome, OverrideTier)
OF_PAYMENTS = (SubmitPayment, SendBatch, DeclinePayment, ForfeitBalance)
CHANGED = (*TWICE, *OF_PAYMENTS, RecordTierMetric, EvaluateTier, DecideTierReview)
PAYMENTS = ("incentives.PaymentApproved.v1", "incentives.PaymentMade.v1")
UNPAID = ("incentives.PaymentBlocked.v1", "incentives.PaymentFailed.v1", "incentives.PaymentDeclined.v1")
TIERS = ("incentives.TierChanged.v1", "incentives.TierReviewOpened.v1")


def recorded(name: str, **changes: Any) -> Any:
    return replace(decode(name, sample(name)), **changes)


def heard(happened: Any) -> Any:
    return publish(told(happened)[0])


@pytest.mark.parametrize("name", PAYMENTS)
def test_a_payment_tells_what_is_withheld_and_nothing_where_nothing_is(name: str) -> None:
    assert heard(recorded(name)).withheld == recorded(name).withheld
    assert heard(recorded(name, withheld=None)).withheld == money("0.00", "EUR")


@pytest.mark.parametrize("name", TIERS)
def test_a_tier_tells_the_criteria_of_its_level(name: str) -> None:
    [one] = recorded(name).criteria
    expected = public.TierCriterion(metric=one.metric, value=one.value, threshold=one.threshold)
    assert heard(recorded(name)).criteria == (expected,)


@pytest.mark.parametrize(("name", "field"), [(n, "withheld") for n in PAYMENTS] + [(n, "criteria") for n in TIERS])
def test_what_was_recorded_before_says_what_it_said(name: str, field: str) -> None:
    flag = f"tells_{field}"
    before = heard(recorded(name, **{flag: LEFT_OUT}))
    assert getattr(before, field) is LEFT_OUT
    assert f'"{field}"'.encode() not in encode(before)


@pytest.mark.parametrize("command", CHANGED)
def test_a_recorded_command_is_decided_again_as_it_was_before(command: type[Any]) -> None:
    known = sorted((one for one in HANDLES if one.command is command), key=lambda one: one.evaluator)
    *before, now = known[: 2 + (command in TWICE)]
    assert [one.evaluator for one in (*before, now)] == [1, 2, 3][: 2 + (command in TWICE)]
    assert all(one.decide.__wrapped__ is now.decide for one in before)  # type: ignore[attr-defined]


def test_the_first_evaluator_leaves_unsaid_what_came_later_wherever_it_stands() -> None:
    made, changed = recorded(PAYMENTS[1]), recorded(TIERS[0])
    before = untold(lambda: ([made], [[changed]], "x"))()
    assert before == (
        [replace(made, tells_withheld=LEFT_OUT)],
        [[replace(changed, tells_criteria=LEFT_OUT, lowered=LEFT_OUT)]],
        "x",
    )


# What was withheld of a payment that is blocked, fails or is declined


WITHHOLDING = {"withholding": [{"jurisdiction": "US", "percent": "30"}]}
THIRTY, NONE = money("30.00", "EUR"), money("0.00", "EUR")


def approved() -> RuledDesk:
    desk = RuledDesk(WITHHOLDING)
    desk.payee += form()
    return desk.after(desk.proposed, APPROVE)


def told_of(desk: RuledDesk) -> Any:
    return heard(desk.payment[-1]).withheld


def test_a_payment_that_fails_tells_what_is_withheld_of_it_still() -> None:
    assert told_of(approved().after(SUBMIT, said("rejected"))) == THIRTY
    assert told_of(approved().after(SUBMIT, said("paid"), said("returned", provider_event_id="pe-2"))) == THIRTY


def test_a_payment_that_is_declined_tells_what_was_withheld_and_is_payable_again() -> None:
    assert told_of(approved().after(DECLINE)) == THIRTY
    assert told_of(approved().after(SUBMIT, said("rejected"), RETRY, DECLINE)) == THIRTY
    proposed = RuledDesk(WITHHOLDING)
    assert told_of(proposed.after(proposed.proposed, DECLINE)) == NONE


def test_a_payment_that_is_blocked_tells_what_was_withheld_at_its_approval_and_nothing_the_second_time() -> None:
    desk = approved()
    desk.payee.append(SUSPENDED)
    assert told_of(desk.after(SUBMIT)) == THIRTY
    desk.payee.append(REINSTATED)
    desk.after(RESUME)
    desk.payee.append(replace(SUSPENDED, revision=9))
    assert told_of(desk.after(APPROVE)) == NONE
    assert told_of(desk.after(DECLINE)) == NONE
    balance = [one for event in desk.payment for one in getattr(event, "journal", NO_JOURNAL).entries]
    assert trial_balance(balance) == {"EUR": 0}


@pytest.mark.parametrize("name", UNPAID)
def test_what_was_recorded_before_it_was_told_is_heard_without_it(name: str) -> None:
    assert heard(recorded(name)).withheld == recorded(name).withheld
    before = heard(recorded(name, withheld=LEFT_OUT))
    assert before.withheld is LEFT_OUT
    assert b'"withheld"' not in encode(before)


def test_the_evaluators_between_leave_out_what_came_after_them_alone() -> None:
    made, failed = recorded(PAYMENTS[1]), recorded(UNPAID[1])
    assert back_untold(lambda: [made, failed])() == [made, replace(failed, withheld=LEFT_OUT)]
    assert untold(lambda: [made, failed])() == [
        replace(made, tells_withheld=LEFT_OUT),
        replace(failed, withheld=LEFT_OUT),
    ]
