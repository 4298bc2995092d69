"""Recognition: points once for each achievement, badges at totals, all of it gone when the reason is taken back."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from chassis.event import decode
from chassis.testing.projections import assert_repeatable, project, told
from contracts.registration import DealApproved, DealRegistered, DealRejected, DealWithdrawn
from contracts.samples import sample
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.recognition import (
    RecognitionAwarded,
    RecognitionRevoked,
    Recognitions,
    RecordAchievement,
    ShareRecognition,
    TakeBackAchievement,
    carry,
    recognition_id,
)
from services.incentives.domain.recognition_rules import RECOGNITIONS
from services.incentives.projections.recognition import RECOGNITION
from services.incentives.publishing import publish
from services.incentives.reactions import REACTIONS
from tests.incentives.fund_facts import NOW, PARTNER, Log, published
from tests.incentives.test_service import ADMIN, OTHER_ADMIN, P1, P2, TENANT, activated, refunded, started, won
from tests.scenarios.patient import reacted

BOOK, DAY = "stars", date(2026, 3, 16)


def rules(**changes: Any) -> dict[str, Any]:
    """Five points a registration, fifty a win; badges at 50 and 100."""
    points = [{"event": "deal_registered", "points": 5}, {"event": "deal_won", "points": 50}]
    badges = [{"name": "champion", "at": 100}, {"name": "starter", "at": 50}]
    return {"name": "Stars", "points": points, "badges": badges, **changes}


def log_of(**changes: Any) -> Log:
    return Log(published(rules(**changes), kind="recognition", book=BOOK))


def achieved(ref: str, achievement: str = "deal_won", on: date = DAY) -> RecordAchievement:
    return RecordAchievement(
        payee_id=PARTNER,
        partner_id=PARTNER,
        year=on.year,
        achievement=achievement,
        ref=ref,
        achieved_on=on,
        source_event_id=f"of-{ref}",
        rules=(BOOK,),
        now=NOW,
    )


def back(ref: str) -> TakeBackAchievement:
    return TakeBackAchievement(
        payee_id=PARTNER,
        partner_id=PARTNER,
        year=2026,
        ref=ref,
        reason_code="refund",
        source_event_id=f"back-{ref}",
        now=NOW,
    )


def share(shared: bool) -> ShareRecognition:
    return ShareRecognition(payee_id=PARTNER, partner_id=PARTNER, year=2026, shared=shared, by="own", now=NOW)


def badges(log: Log) -> list[tuple[str, str, int]]:
    moves = [one for one in log.happened if isinstance(one, RecognitionAwarded | RecognitionRevoked)]
    return [(type(one).__name__.removeprefix("Recognition"), one.badge, one.points) for one in moves]


def state(log: Log) -> Any:
    return log.state(Recognitions.at(recognition_id(PARTNER, 2026)))


def test_two_wins_give_both_badges_and_a_reversal_revokes_the_higher_one():
    log = log_of().tell(achieved("w1"), achieved("w2"), back("w2"))

    assert badges(log) == [("Awarded", "starter", 50), ("Awarded", "champion", 100), ("Revoked", "champion", 50)]
    assert state(log).total(BOOK) == 50


def test_one_achievement_counts_once_and_never_again_after_it_was_taken_back():
    log = log_of().tell(achieved("w1"), achieved("w1"), back("w1"), back("w1"), achieved("w1"))

    assert badges(log) == [("Awarded", "starter", 50), ("Revoked", "starter", 0)]
    assert state(log).total(BOOK) == 0


def test_what_stands_after_all_counts_once_more_and_can_be_taken_back_again():
    again = replace(achieved("w1"), again=True)
    log = log_of().tell(achieved("w1"), back("w1"), again, again)
    assert badges(log) == [("Awarded", "starter", 50), ("Revoked", "starter", 0), ("Awarded", "starter", 50)]
    assert Recognitions.fold([carry(state(log))]) == state(log)
    assert state(log.tell(back("w1"), replace(achieved("w2"), again=True))).total(BOOK) == 0, "w2 never counted"


def test_what_no_rule_of_that_day_names_leaves_no_event():
    log = log_of().tell(achieved("l1", "lead_converted"), achieved("w0", on=date(2025, 12, 31)), back("w9"))

    assert log.happened == []


def test_a_badge_is_told_to_the_partner_and_says_why():
    log = log_of().tell(achieved("w1"), back("w1"))
    awarded, revoked = [one for one in told(*log.happened) if type(one.event).__name__.startswith("Recognition")]

    public = publish(awarded)
    assert (public.payee_id, public.badge, public.points) == (PARTNER, "starter", 50)
    assert EXPLAIN[RecognitionAwarded](awarded).reasons[0].text == "50 points in 2026: starter is given at 50"
    assert EXPLAIN[RecognitionRevoked](revoked).reasons[0].text == (
        "refund: 0 points are left in 2026, starter needs 50"
    )


def test_a_year_goes_on_in_its_next_segment_as_it_was():
    log = log_of().tell(achieved("w1"), achieved("w2"), back("w1"), share(shared=True))

    assert Recognitions.fold([carry(state(log))]) == state(log)


def test_the_read_model_holds_points_badges_steps_and_whether_they_are_shared():
    log = log_of().tell(achieved("r1", "deal_registered"), achieved("w1"), share(shared=True), back("w1"))
    seen = told(*log.happened)

    [found] = project(RECOGNITION, seen).values()
    assert (found["points"], found["badges"], found["shared"]) == ({BOOK: 5}, [], 1)
    assert [(step["points"], step["total"]) for step in found["steps"]] == [(-50, 5), (50, 55), (5, 5)]
    assert_repeatable(RECOGNITION, seen)


def test_nothing_is_shared_twice_and_what_is_unknown_cannot_be_shared():
    log = log_of()
    assert log.refused(share(shared=True)) == "not-found"
    log.tell(achieved("w1"), share(shared=True))
    count = len(log.happened)
    log.tell(share(shared=True))
    assert len(log.happened) == count


@pytest.mark.parametrize(
    ("counts", "expected", "more"),
    [({"deal_won": 1, "deal_registered": 2}, "starter", "40 more points"), ({}, "none", "50 more points")],
)
def test_the_rules_say_which_badge_a_year_has_and_what_is_missing(counts, expected, more):
    decision = RECOGNITIONS.answer({"counts": counts}, rules())

    assert (decision.outcome, decision.would_change[0].text) == (expected, more)


@pytest.mark.parametrize(
    "wrong",
    [
        {"points": []},
        {"points": [{"event": "deal_won", "points": 0}]},
        {"badges": [{"name": "a", "at": 1}, {"name": "a", "at": 2}]},
        {"name": " "},
    ],
)
def test_rules_that_make_no_sense_are_not_drafted(wrong):
    assert RECOGNITIONS.check(RECOGNITIONS.read(rules(**wrong)))


async def test_a_win_is_celebrated_by_those_who_share_it_and_gone_when_it_is_refunded(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        draft = {"rulebook_id": BOOK, "kind": "recognition", "body": rules(), "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, f"/rulebooks/{BOOK}/publish", {"version": 1})).status_code == 200
        await it.hear(won())
        [year] = (await it.get(P1, "/recognition"))["items"]
        assert [badge["badge"] for badge in year["badges"]] == ["starter"]
        assert (await it.get(P2, "/recognition/shared"))["items"] == []
        path = f"/recognition/p1/{year['year']}/share"
        assert (await it.post(P2, path, {"shared": True})).status_code == 404
        assert (await it.post(P1, path, {"shared": True})).status_code == 200
        [celebrated] = (await it.get(P2, "/recognition/shared"))["items"]
        assert celebrated["points"] == 50
        assert set(celebrated) == {"partner_id", "year", "points", "badges"}
        assert (await it.get(P2, "/recognition"))["items"] == []
        await it.hear(refunded("rev-1", "1000.00"))
        [year] = (await it.get(P1, "/recognition"))["items"]
        assert (year["points"], year["badges"]) == ({BOOK: 0}, [])


def of_r1(kind: type[Any], **changes: Any) -> Any:
    return replace(decode(kind.type, sample(kind.type)), registration_id="r1", partner_id="p1", **changes)


async def once_more(it: Any, seen: Any) -> None:
    """The same event, as its service's log has it, perhaps for the second time."""
    await reacted(lambda: REACTIONS[type(seen.event)](seen, it.service.application))
    await it.settle()


async def test_a_deal_that_is_approved_after_all_has_its_points_again_as_of_its_own_day(tmp_path):
    registered, approved = datetime(2026, 3, 9, 9, 0, tzinfo=UTC), datetime(2026, 3, 20, 9, 0, tzinfo=UTC)
    points = [{"event": "deal_registered", "points": 5}, {"event": "deal_approved", "points": 10}]
    async with started(tmp_path) as it:
        await it.hear(activated())
        draft = {"rulebook_id": BOOK, "kind": "recognition", "body": rules(points=points), "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, f"/rulebooks/{BOOK}/publish", {"version": 1})).status_code == 200

        async def has() -> int:
            [year] = (await it.get(P1, "/recognition"))["items"]
            return year["points"][BOOK]

        await it.hear(of_r1(DealRegistered, submitted_at=registered))
        await it.hear(of_r1(DealRejected, rejected_at=registered))
        assert await has() == 0
        [first] = told(of_r1(DealApproved, submitted_at=registered, approved_at=approved), tenant=TENANT, first=90)
        await once_more(it, first)
        assert await has() == 15
        await it.hear(of_r1(DealWithdrawn, withdrawn_at=approved))
        await once_more(it, first)
        assert await has() == 0, "an old word is no new approval"
        assert await has() == 0
        await it.hear(of_r1(DealApproved, submitted_at=registered, approved_at=approved))
        assert await has() == 15
