"""The clock of a review runs while the vendor has the deal; the worked example of the desk in Berlin; what is late."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chassis.event import LEFT_OUT
from chassis.execution import decide
from services.registration.application import HANDLES
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import (
    EscalateReview,
    PromoteDeal,
    RejectDeal,
    ResubmitDeal,
    ReturnDeal,
    WithdrawDeal,
)
from services.registration.domain.deal_events import DealApproved, DealPromoted, ReviewOverdue, StepClosed, StepOpened
from services.registration.domain.rules import Clock, DealRules, OpenHours, Step, faults
from tests.registration.deals import CONTOSO, SEALED, Town, approval, candidate, details

OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}
BERLIN = {"zone": "Europe/Berlin", "hours": {"closed_on": ["2026-01-01"]}}
ESCALATE = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Berlin")).astimezone(UTC)


def on(now: datetime, deal: str = "a") -> dict[str, Any]:
    return {"registration_id": deal, "accounts": (CONTOSO,), "now": now}


def around(now: datetime, deal: str = "a", partner: str = "p-1") -> dict[str, Any]:
    return {**on(now, deal), "programme": "default", "partner_id": partner, "screening_id": f"again-{deal}"}


def due(town: Town, deal: str = "a") -> datetime | None:
    return town.state(Deals.at(deal)).review.due_at


def test_done_when_3_berlin_registered_on_the_last_day_of_the_year_is_due_on_the_sixth_of_january() -> None:
    town = Town(**BERLIN)

    town.register("a", now=berlin("2025-12-31T15:00"), details=details(close_on=date(2026, 6, 1)))

    assert due(town) == berlin("2026-01-06T15:00")


def test_the_holidays_of_a_place_are_days_off_for_every_clock() -> None:
    hours = {"holidays": ["DE-BE"], "holiday_dates": ["2026-01-01", "2026-01-02"]}
    town = Town(zone="Europe/Berlin", hours=hours)

    town.register("a", now=berlin("2025-12-31T15:00"))

    assert due(town) == berlin("2026-01-07T15:00")


def test_done_when_3_berlin_returned_on_the_second_and_back_on_the_seventh_is_due_on_the_ninth() -> None:
    town = Town(**BERLIN)
    town.register("a", now=berlin("2025-12-31T15:00"))
    returned, back = berlin("2026-01-02T11:00"), berlin("2026-01-07T10:00")

    told = town.told(ReturnDeal(**on(returned), fields=("amount",), message=SEALED, by="desk-1"))[0]
    town.run(ResubmitDeal(**around(back), details=details(), by="seller-p-1"))

    four_hours = 4 * 60 * 60
    assert told[0] == StepClosed(**OF_A, step=0, outcome="returned", used_seconds=four_hours, closed_at=returned)
    assert due(town) == berlin("2026-01-09T14:00")


def test_done_when_5_the_clock_stands_while_the_partner_has_the_deal() -> None:
    town = Town()
    town.register("a")
    early = ESCALATE - timedelta(days=1)
    town.run(ReturnDeal(**on(early), fields=("amount",), message=SEALED, by="desk-1"))

    assert town.told(EscalateReview(**around(ESCALATE + timedelta(days=9))))[0] == []


def test_the_clock_stands_while_the_deal_waits_and_goes_on_when_it_is_promoted() -> None:
    town = Town()
    town.register("a")
    town.register("b", "p-2")
    assert due(town, "b") is None

    later = ESCALATE
    town.run(RejectDeal(**on(later), reason_code="other", message=SEALED, by="desk-1"))
    promoted = town.told(PromoteDeal(**around(later, "b", "p-2")))[0]

    assert isinstance(promoted[-1], StepOpened)
    assert due(town, "b") == datetime(2026, 3, 9, 17, 0, tzinfo=UTC)
    assert promoted[0] == DealPromoted(
        registration_id="b",
        number="R-b",
        programme="default",
        partner_id="p-2",
        promoted_at=later,
        due_at=datetime(2026, 3, 9, 17, 0, tzinfo=UTC),
    )


def test_a_promotion_of_before_is_decided_again_without_the_limit_that_it_did_not_tell() -> None:
    town = Town()
    town.register("a")
    town.register("b", "p-2")
    town.run(RejectDeal(**on(ESCALATE), reason_code="other", message=SEALED, by="desk-1"))
    first, _ = [one for one in HANDLES if one.command is PromoteDeal]
    wish = PromoteDeal(**around(ESCALATE, "b", "p-2"))

    touched = first.touched(wish)
    states, reads = ([town.state(one) for one in streams] for streams in (touched.guarded, touched.read))
    told = decide(first, wish, touched, states, reads).events[0]

    assert first.evaluator == 1
    assert (type(told[0]), told[0].due_at) == (DealPromoted, LEFT_OUT)


def test_a_review_past_its_limit_is_told_once_and_escalated() -> None:
    town = Town()
    town.register("a")
    late = EscalateReview(**around(ESCALATE + timedelta(minutes=90)))

    assert town.told(EscalateReview(**around(ESCALATE - timedelta(seconds=1))))[0] == []
    assert town.told(late)[0] == [
        ReviewOverdue(
            **OF_A,
            kind="review",
            roles=("admin",),
            due_at=ESCALATE,
            minutes=90,
            action="escalated",
            overdue_at=late.now,
        )
    ]
    assert town.told(late)[0] == []


def test_who_a_late_review_was_escalated_to_may_approve_it() -> None:
    town = Town()
    town.register("a")
    town.run(EscalateReview(**around(ESCALATE)))

    events = town.run(approval(now=ESCALATE, by="admin-1", roles=("admin",)))[0]

    assert [type(one) for one in events] == [DealApproved]


def test_a_late_review_of_a_clean_deal_is_approved_where_the_rules_say_so() -> None:
    town = Town(clock={"when_late": "approve"})
    town.register("a")

    overdue, closed, approved = town.told(EscalateReview(**around(ESCALATE)))[0]

    assert (overdue.action, closed.outcome) == ("approved", "approved")
    assert approved.approved_by is None


def test_a_late_review_of_a_doubtful_deal_is_never_approved_by_itself() -> None:
    town = Town(clock={"when_late": "approve"})
    alike = (candidate(token_set_percent=100),)
    town.register("a", candidates=alike)

    events = town.told(EscalateReview(**around(ESCALATE), candidates=alike))[0]

    assert [type(one) for one in events] == [ReviewOverdue]


def test_a_return_unanswered_for_fifteen_business_days_is_withdrawn() -> None:
    town = Town()
    town.register("a")
    town.run(ReturnDeal(**on(berlin("2026-03-02T10:00")), fields=("amount",), message=SEALED, by="desk-1"))
    due_at = datetime(2026, 3, 20, 17, 0, tzinfo=UTC)
    lapse = {"reason_code": "no-answer", "unanswered_since": due_at, "by": "registration"}

    assert town.run(WithdrawDeal(**on(due_at - timedelta(seconds=1)), **lapse))[0] == []
    withdrawn = town.run(WithdrawDeal(**on(due_at), **lapse))[0]

    assert (withdrawn[0].reason_code, str(town.state(Deals.at("a")).status)) == ("no-answer", "withdrawn")


def test_an_answer_in_time_keeps_the_deal() -> None:
    town = Town()
    town.register("a")
    town.run(ReturnDeal(**on(ESCALATE), fields=("amount",), message=SEALED, by="desk-1"))
    due_at = town.state(Deals.at("a")).answer_due_at
    town.run(ResubmitDeal(**around(due_at), details=details(), by="seller-p-1"))

    lapse = {"reason_code": "no-answer", "unanswered_since": due_at, "by": "registration"}

    assert town.run(WithdrawDeal(**on(due_at), **lapse))[0] == []


@pytest.mark.parametrize(
    "rules",
    [
        DealRules(approval=()),
        DealRules(approval=(Step(approvals=0),)),
        DealRules(clock=Clock(target_days=5, limit_days=3)),
        DealRules(clock=Clock(limit_days=31)),
        DealRules(clock=Clock(when_late="forget")),
        DealRules(hours=OpenHours(weekdays=())),
        DealRules(hours=OpenHours(weekdays=(8,))),
        DealRules(hours=OpenHours(holidays=("DE",))),
        DealRules(hours=OpenHours(holiday_dates=(date(2026, 1, 1),))),
    ],
)
def test_rules_that_no_review_could_follow_are_refused(rules: DealRules) -> None:
    assert len(faults(rules)) == 1
