"""How a case may go: the steps from each stage, the times to file and to appeal, and who may decide."""

from datetime import UTC, datetime, timedelta

import pytest

from chassis.case import (
    APPEAL,
    CONCLUDE,
    DECIDE,
    HEAR,
    REQUEST,
    SHOW,
    STEPS,
    WITHDRAW,
    AppealedBefore,
    ArbiterInvolved,
    Case,
    FilingClosed,
    Stage,
    in_time,
)
from chassis.decider import NotFound, WrongState

NOW = datetime(2026, 3, 2, tzinfo=UTC)
DUE = NOW + timedelta(days=10)
OPENED = Case().opened(("ada",), DUE)


def test_a_case_that_never_was_is_not_found() -> None:
    with pytest.raises(NotFound):
        Case().may(HEAR)


@pytest.mark.parametrize("stage", [stage for stage in Stage if stage != Stage.NONE])
def test_each_stage_allows_its_own_steps_only(stage: Stage) -> None:
    case = Case(stage=stage)
    for step, (stages, _) in STEPS.items():
        if stage in stages:
            case.may(step)
        else:
            with pytest.raises(WrongState) as refused:
                case.may(step)
            assert step not in refused.value.fields["allowed"]


def test_a_case_goes_from_filing_to_its_end() -> None:
    steps = (REQUEST, SHOW, DECIDE, APPEAL, DECIDE, CONCLUDE)
    case, stages = OPENED, []
    for step in steps:
        case.may(step)
        case = case.moved(step, DUE, "ben")
        stages.append(case.stage.value)

    assert stages == ["evidence_requested", "under_review", "decided", "appealed", "decided", "final"]
    assert not [step for step, (from_stages, _) in STEPS.items() if case.stage in from_stages]


def test_who_took_part_or_has_decided_before_does_not_decide() -> None:
    decided = OPENED.moved(DECIDE, DUE, "ben").moved(APPEAL, DUE)

    for involved in ("ada", "ben"):
        with pytest.raises(ArbiterInvolved):
            decided.may_decide(involved)
    decided.may_decide("cleo")


def test_an_appeal_comes_once_and_in_time() -> None:
    decided = OPENED.moved(DECIDE, DUE, "ben")
    decided.may_appeal(DUE)
    with pytest.raises(FilingClosed):
        decided.may_appeal(DUE + timedelta(seconds=1))
    again = decided.moved(APPEAL, DUE).moved(DECIDE, DUE, "cleo")
    with pytest.raises(AppealedBefore):
        again.may_appeal(NOW)


def test_a_decision_is_final_when_its_time_is_over_or_it_was_appealed() -> None:
    decided = OPENED.moved(DECIDE, DUE, "ben")
    appealed = decided.moved(APPEAL, DUE).moved(DECIDE, None, "cleo")

    assert [decided.may_conclude(at) for at in (DUE - timedelta(seconds=1), DUE)] == [False, True]
    assert appealed.may_conclude(NOW)
    assert not OPENED.may_conclude(DUE)


def test_a_withdrawn_case_is_over() -> None:
    assert OPENED.moved(WITHDRAW, None).stage == Stage.WITHDRAWN


def test_without_a_last_day_it_is_always_in_time() -> None:
    in_time(None, NOW)
    in_time(NOW, NOW)
