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
    NoticeRunning,
    OffboardingCancelled,
    OffboardingProposed,
    OffboardingSettled,
    OffboardingStands,
    OffboardingStarted,
    PartnerOffboarded,
    SettleByHand,
    SettlementProposed,
    SettleOffboarding,
    StartOffboarding,
    settle_by_hand_whenever,
)
from services.onboarding.domain.partner import Partners
from services.onboarding.projections.departures import DEPARTURES
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


# By hand

LATER = datetime(2026, 5, 2, 9, tzinfo=UTC)
SHOWN = {"partner_id": "p-1", "settled_on": date(2026, 5, 1), "evidence_sha256": "a" * 64, "reason": "paid elsewhere"}
BY_HAND = SettleByHand(**SHOWN, by="finn", now=LATER)
SETTLING = SettlementProposed(**SHOWN, proposed_by="finn", proposed_at=LATER)


def test_two_of_finance_settle_by_hand_with_the_same_evidence() -> None:
    when(BY_HAND, *LEAVING).then([SETTLING])
    when(BY_HAND, *LEAVING, SETTLING).refused(FourEyes)
    faye = replace(BY_HAND, by="faye", reason="as the bank says")
    settled = OffboardingSettled(**SHOWN, settled_at=LATER, proposed_by="finn", confirmed_by="faye")
    ended = PartnerOffboarded(partner_id="p-1", offboarded_at=LATER)
    when(faye, *LEAVING, SETTLING).then([settled, ended])
    when(faye, *LEAVING, SETTLING, settled, ended).then_nothing()
    other = replace(faye, evidence_sha256="b" * 64)
    when(other, *LEAVING, SETTLING).then(
        [replace(SETTLING, evidence_sha256="b" * 64, reason="as the bank says", proposed_by="faye")]
    )
    proposed, shown = (
        project(PARTNERS, told(*LEAVING, *more))["p-1"]["settling"] for more in ([SETTLING], [SETTLING, settled, ended])
    )
    assert (proposed["confirmed_by"], proposed["confirm_until"]) == (None, "2026-05-16T09:00:00Z")
    assert (shown["evidence_sha256"], shown["confirmed_by"], shown["confirm_until"]) == ("a" * 64, "faye", None)


def test_what_finance_proposed_lapses_after_fourteen_days_and_is_then_proposed_anew() -> None:
    last = LATER + timedelta(days=14)
    faye = replace(BY_HAND, by="faye", now=last)
    settled = OffboardingSettled(**SHOWN, settled_at=last, proposed_by="finn", confirmed_by="faye")
    when(faye, *LEAVING, SETTLING).then([settled, PartnerOffboarded(partner_id="p-1", offboarded_at=last)])
    late = replace(faye, now=last + timedelta(seconds=1))
    again = replace(SETTLING, proposed_by="faye", proposed_at=late.now)
    when(late, *LEAVING, SETTLING).then([again])
    when(replace(late, by="finn"), *LEAVING, SETTLING).then([replace(again, proposed_by="finn")])
    partner = Partners.fold([*LEAVING, SETTLING])
    assert settle_by_hand_whenever(late, partner) == [
        replace(settled, settled_at=late.now),
        PartnerOffboarded(partner_id="p-1", offboarded_at=late.now),
    ]


def test_it_is_settled_by_hand_after_the_last_business_day_only() -> None:
    on_the_day = datetime(2026, 4, 30, 23, 59, tzinfo=UTC)
    when(replace(BY_HAND, now=on_the_day), *LEAVING).refused(NoticeRunning)
    when(BY_HAND, *ACTIVE).refused(WrongState)
    for day in (date(2026, 4, 30), date(2026, 5, 3)):
        when(replace(BY_HAND, settled_on=day), *LEAVING).refused(Invalid)


def test_the_departure_of_a_team_is_due_once_its_partner_has_left() -> None:
    seen = told(*LEAVING, *ENDED)
    assert project(DEPARTURES, told(*LEAVING)) == {}
    assert [one["partner_id"] for one in project(DEPARTURES, seen).values()] == ["p-1"]
    assert_repeatable(DEPARTURES, seen)
