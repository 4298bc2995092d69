"""The way out of a partnership: proposed and confirmed, called off, settled, ended."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from chassis.decider import Invalid, WrongState
from chassis.rulebook import FourEyes
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from services.onboarding.application import HANDLES
from services.onboarding.domain.offboarding import (
    CancelOffboarding,
    NoticeOver,
    OffboardingCancelled,
    OffboardingProposed,
    OffboardingSettled,
    OffboardingStands,
    OffboardingStarted,
    PartnerOffboarded,
    SettleOffboarding,
    StartOffboarding,
)
from services.onboarding.projections.partners import PARTNERS
from tests.onboarding.test_partner import ACTIVE, HISTORIES, SUSPEND, SUSPENDED, US

NOW = datetime(2026, 4, 1, 10, tzinfo=UTC)
LAST, UNTIL = date(2026, 4, 30), date(2026, 7, 29)
BY_COMMAND = {handles.command: handles for handles in HANDLES}
START = StartOffboarding(partner_id="p-1", reason_code="strategy", last_business_day=LAST, by="ada", now=NOW)
PROPOSED = OffboardingProposed(
    partner_id="p-1",
    reason_code="strategy",
    last_business_day=LAST,
    run_off_days=90,
    proposed_by="ada",
    proposed_at=NOW,
)
STARTED = OffboardingStarted(
    partner_id="p-1",
    reason_code="strategy",
    last_business_day=LAST,
    run_off_until=UNTIL,
    proposed_by="ada",
    started_by="amir",
    started_at=NOW,
)
CANCEL = CancelOffboarding(partner_id="p-1", by="amir", now=NOW)
CANCELLED = OffboardingCancelled(partner_id="p-1", cancelled_by="amir", cancelled_at=NOW)
SETTLE = SettleOffboarding(partner_id="p-1", settled_on=UNTIL, now=NOW)
ENDED = [
    OffboardingSettled(partner_id="p-1", settled_on=UNTIL, settled_at=NOW),
    PartnerOffboarded(partner_id="p-1", offboarded_at=NOW),
]
SECOND = replace(START, by="amir")
LEAVING = [*ACTIVE, PROPOSED, STARTED]


def when(command: Any, *history: Any) -> Any:
    return given(BY_COMMAND[type(command)], (US, history)).when(command)


def test_one_administrator_proposes_and_another_one_confirms_the_same_terms() -> None:
    when(START, *ACTIVE).then([PROPOSED])
    when(START, *ACTIVE, PROPOSED).refused(FourEyes)
    when(SECOND, *ACTIVE, PROPOSED).then([STARTED])
    when(SECOND, *LEAVING).then_nothing()


def test_other_terms_or_a_proposal_of_two_weeks_ago_are_proposed_anew() -> None:
    other = replace(SECOND, run_off_days=30)
    when(other, *ACTIVE, PROPOSED).then([replace(PROPOSED, run_off_days=30, proposed_by="amir")])
    late = replace(SECOND, now=NOW + timedelta(days=14, seconds=1))
    when(late, *ACTIVE, PROPOSED).then([replace(PROPOSED, proposed_by="amir", proposed_at=late.now)])
    when(replace(SECOND, run_off_days=30), *LEAVING).refused(OffboardingStands)


def test_an_owner_leaves_without_anybody_else() -> None:
    when(replace(START, as_owner=True, by="nora"), *ACTIVE, SUSPENDED).then(
        [replace(STARTED, proposed_by=None, started_by="nora")]
    )


@pytest.mark.parametrize(
    "wrong", [{"run_off_days": 366}, {"run_off_days": -1}, {"last_business_day": date(2026, 3, 31)}]
)
def test_days_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    when(replace(START, **wrong), *ACTIVE).refused(Invalid)


def test_it_is_called_off_until_the_last_business_day_is_over() -> None:
    when(CANCEL, *ACTIVE).then_nothing()
    when(CANCEL, *ACTIVE, PROPOSED).then([CANCELLED])
    on_the_day = datetime(2026, 4, 30, 23, 59, tzinfo=UTC)
    when(replace(CANCEL, now=on_the_day), *LEAVING).then([replace(CANCELLED, cancelled_at=on_the_day)])
    when(replace(CANCEL, now=on_the_day + timedelta(minutes=1)), *LEAVING).refused(NoticeOver)
    when(SECOND, *LEAVING, CANCELLED).then([replace(PROPOSED, proposed_by="amir")])


def test_what_is_settled_ends_the_partnership_once() -> None:
    when(SETTLE, *LEAVING).then(ENDED)
    when(SETTLE, *LEAVING, *ENDED).then_nothing()
    when(SETTLE, *LEAVING, CANCELLED).then_nothing()
    when(SUSPEND, *LEAVING, *ENDED).refused(WrongState)


@pytest.mark.parametrize("state", ["none", "review", "declined", "withdrawn"])
def test_who_is_no_partner_does_not_leave(state: str) -> None:
    when(START, *HISTORIES[state]).refused(WrongState)
    when(CANCEL, *HISTORIES[state]).refused(WrongState)


def test_the_partner_shows_its_way_out() -> None:
    seen = told(*LEAVING)
    assert project(PARTNERS, seen)["p-1"]["offboarding"] == {
        "reason_code": "strategy",
        "last_business_day": "2026-04-30",
        "run_off_days": None,
        "run_off_until": "2026-07-29",
        "proposed_by": "ada",
    }
    assert_repeatable(PARTNERS, told(*LEAVING, *ENDED))
    assert project(PARTNERS, told(*LEAVING, *ENDED))["p-1"]["status"] == "offboarded"
    assert project(PARTNERS, told(*LEAVING, CANCELLED))["p-1"]["offboarding"] is None
