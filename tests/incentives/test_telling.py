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
from services.incentives.domain.batch import ApproveBatch
from services.incentives.domain.payment_commands import ApprovePayment, ReportOutcome
from services.incentives.domain.telling import untold
from services.incentives.domain.tier import DecideTierReview, EvaluateTier, OverrideTier, RecordTierMetric
from services.incentives.publishing import publish

CHANGED = (ApprovePayment, ApproveBatch, ReportOutcome, RecordTierMetric, EvaluateTier, DecideTierReview, OverrideTier)
PAYMENTS = ("incentives.PaymentApproved.v1", "incentives.PaymentMade.v1")
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
    first, second = sorted((one for one in HANDLES if one.command is command), key=lambda one: one.evaluator)
    assert (first.evaluator, second.evaluator) == (1, 2)
    assert first.decide.__wrapped__ is second.decide  # type: ignore[attr-defined]


def test_the_first_evaluator_leaves_unsaid_what_came_later_wherever_it_stands() -> None:
    made, changed = recorded(PAYMENTS[1]), recorded(TIERS[0])
    before = untold(lambda: ([made], [[changed]], "x"))()
    assert before == (
        [replace(made, tells_withheld=LEFT_OUT)],
        [[replace(changed, tells_criteria=LEFT_OUT)]],
        "x",
    )
