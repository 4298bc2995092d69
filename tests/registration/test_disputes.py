"""Disputes: filed in time, decided by somebody who took no part, appealed once, and final in one commit."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.case import AppealedBefore, ArbiterInvolved, FilingClosed
from chassis.decider import NotFound, WrongState
from chassis.execution import decide
from chassis.testing.projections import project, told
from contracts.shared import AttentionCleared, AttentionRaised
from contracts.values import Effect, PartnerId, RegistrationId
from services.registration.application import HANDLES
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import AddEvidence, GivesWay, PromoteDeal, RejectDeal, WithdrawDeal
from services.registration.domain.deal_events import DealApproved, DealRevoked, Evidence, ProtectionExtended, StepClosed
from services.registration.domain.dispute import (
    AppealDispute,
    ConcludeDispute,
    DecideDispute,
    DisputeConcluded,
    DisputeDecided,
    DisputeHeard,
    DisputeLetterShown,
    DisputeOpened,
    Disputes,
    FileDispute,
    HearDispute,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
    WrongShare,
)
from services.registration.domain.keeping import TooMuchEvidence
from services.registration.projections.disputes import DISPUTES
from services.registration.publishing import publish
from services.registration.reactions import DEADLINES
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, product

A, B, C = RegistrationId("a"), RegistrationId("b"), RegistrationId("c")
LETTER = Evidence(kind="letter", dated_on=date(2026, 3, 10), sha256="d" * 64)
APPEAL_ENDS = datetime(2026, 3, 13, 17, tzinfo=UTC)
HOLDER = GivesWay(registration_id=A, accounts=(CONTOSO,), reason_code="dispute-overturned")


def on(deal: str = "b", now: datetime = NOW) -> dict[str, Any]:
    return {"registration_id": RegistrationId(deal), "accounts": (CONTOSO,), "now": now}


def contested() -> Town:
    """A holds, B waits behind it and disputes that."""
    town = Town()
    town.register("a", "p-1")
    town.run(approval())
    town.register("b", "p-2")
    town.run(filed())
    return town


def rejected() -> Town:
    """B alone, which the desk rejected."""
    town = Town()
    town.register("b", "p-2")
    town.run(RejectDeal(**on(), reason_code="other", message=SEALED, by="desk-1"))
    return town


def filed(now: datetime = NOW, against: tuple[RegistrationId, ...] = (A,)) -> FileDispute:
    return FileDispute(**on(now=now), kind="earlier_work", statement=SEALED, against=against, by="seller-p-2")


def decision(outcome: str = "overturned", by: str = "arbiter-1", **changes: Any) -> DecideDispute:
    return DecideDispute(**on(), outcome=outcome, reason=SEALED, by=by, **changes)


def conclusion(now: datetime = APPEAL_ENDS, **changes: Any) -> ConcludeDispute:
    fields = {
        **on(now=now),
        "programme": "default",
        "partner_id": PartnerId("p-2"),
        "screening_id": "concluded",
        "gives_way": (HOLDER,),
    }
    return ConcludeDispute(**{**fields, **changes})


def stage(town: Town) -> str:
    return str(town.state(Disputes.at("b")).case.stage)


def statuses(town: Town) -> tuple[str, str]:
    return str(town.state(Deals.at("a")).status), str(town.state(Deals.at("b")).status)


# The case


def test_a_wait_is_contested_within_ten_business_days_from_when_it_began_or_its_rival_was_approved() -> None:
    town, late = Town(), datetime(2026, 3, 16, 17, tzinfo=UTC)
    town.register("a", "p-1")
    town.register("b", "p-2")
    town.run(replace(approval(), now=datetime(2026, 3, 3, 9, tzinfo=UTC)))

    with pytest.raises(FilingClosed) as refused:
        town.run(filed(late + timedelta(seconds=1)))

    assert refused.value.fields == {"until": late.isoformat()}
    assert isinstance(town.run(filed(late))[0][0], DisputeOpened)


def test_a_wait_that_was_contested_late_is_decided_as_it_was() -> None:
    town = Town()
    town.register("a", "p-1")
    town.register("b", "p-2")
    town.run(approval())

    assert isinstance(town.run(filed(NOW + timedelta(days=60)), evaluator=2)[0][0], DisputeOpened)


def test_a_dispute_asks_for_evidence_within_five_business_days_and_for_a_decision_in_five_more() -> None:
    town = contested()
    opened = town.of(Disputes.at("b"))[0]
    assert (opened.due_at, opened.against) == (datetime(2026, 3, 6, 17, tzinfo=UTC), (A,))

    assert town.run(HearDispute(**on(now=opened.due_at - timedelta(seconds=1)))) == [[]]
    [[heard]] = town.run(HearDispute(**on(now=opened.due_at)))

    assert heard == DisputeHeard(
        registration_id=B,
        number="R-b",
        programme="default",
        partner_id=PartnerId("p-2"),
        due_at=datetime(2026, 3, 13, 17, tzinfo=UTC),
        heard_at=opened.due_at,
    )
    assert stage(town) == "under_review"


def test_what_is_asked_for_is_shown_and_then_decided() -> None:
    town = contested()
    town.run(RequestDisputeEvidence(**on(), question=SEALED, by="arbiter-1"))
    assert stage(town) == "evidence_requested"

    town.run(ShowDisputeEvidence(**on(), evidence=(LETTER,), by="seller-p-2"))

    assert stage(town) == "under_review"


@pytest.mark.parametrize("arbiter", ["desk-1", "seller-p-2"])
def test_who_took_part_cannot_decide(arbiter: str) -> None:
    with pytest.raises(ArbiterInvolved):
        contested().run(decision(by=arbiter))


def test_the_appeal_is_decided_by_a_third_person_and_there_is_one_only() -> None:
    town = contested()
    town.run(decision("upheld"))
    town.run(AppealDispute(**on(), statement=SEALED, by="seller-p-2"))
    with pytest.raises(ArbiterInvolved):
        town.run(decision("upheld"))

    [[decided, answered]] = town.run(decision("overturned", by="arbiter-2"))

    assert isinstance(decided, DisputeDecided)
    assert answered.side == "vendor"
    assert decided.due_at is None
    with pytest.raises(AppealedBefore):
        town.run(AppealDispute(**on(), statement=SEALED, by="seller-p-2"))


def test_who_holds_may_appeal_too_and_says_for_which_deal() -> None:
    town = contested()
    town.run(decision("overturned"))

    with pytest.raises(NotFound):
        town.run(AppealDispute(**on(), statement=SEALED, by="seller-p-3", holder=RegistrationId("another")))
    [[appealed]] = town.run(AppealDispute(**on(), statement=SEALED, by="seller-p-1", holder=A))

    assert (appealed.holder, appealed.partner_id, stage(town)) == (A, "p-2", "appealed")
    with pytest.raises(WrongState):
        town.run(AppealDispute(**on(), statement=SEALED, by="seller-p-2"))


def test_an_appeal_comes_within_ten_business_days() -> None:
    town = contested()
    town.run(decision("upheld"))

    with pytest.raises(FilingClosed):
        town.run(AppealDispute(**on(now=APPEAL_ENDS + timedelta(seconds=1)), statement=SEALED, by="seller-p-2"))
    town.run(AppealDispute(**on(now=APPEAL_ENDS), statement=SEALED, by="seller-p-2"))


def test_a_rejection_is_disputed_within_ten_business_days() -> None:
    town = Town()
    town.register("b", "p-2")
    town.run(RejectDeal(**on(), reason_code="other", message=SEALED, by="desk-1"))

    with pytest.raises(FilingClosed):
        town.run(filed(APPEAL_ENDS + timedelta(seconds=1), against=()))
    assert isinstance(town.run(filed(APPEAL_ENDS, against=()))[0][0], DisputeOpened)


@pytest.mark.parametrize(
    ("disclosure", "fields"), [({"appeal_until": False}, {}), ({}, {"until": "2026-03-13T17:00:00+00:00"})]
)
def test_who_contests_too_late_learns_the_last_day_only_where_the_rules_tell_it(
    disclosure: dict[str, bool], fields: dict[str, str]
) -> None:
    town = Town(disclosure=disclosure)
    town.register("b", "p-2")
    town.run(RejectDeal(**on(), reason_code="other", message=SEALED, by="desk-1"))

    with pytest.raises(FilingClosed) as closed:
        town.run(filed(APPEAL_ENDS + timedelta(seconds=1), against=()))
    assert closed.value.fields == fields


def test_only_what_was_lost_is_disputed_and_once_at_a_time() -> None:
    town = Town()
    town.register("b", "p-2")
    with pytest.raises(WrongState):
        town.run(filed(against=()))
    with pytest.raises(WrongState):
        contested().run(filed())


def test_a_dispute_can_be_taken_back_until_it_is_decided() -> None:
    town = contested()
    town.run(WithdrawDispute(**on(), by="seller-p-2"))
    assert stage(town) == "withdrawn"

    decided = contested()
    decided.run(decision())
    with pytest.raises(WrongState):
        decided.run(WithdrawDispute(**on(), by="seller-p-2"))


# What follows


def test_nothing_follows_while_it_can_be_appealed() -> None:
    town = contested()
    town.run(decision())

    assert town.run(conclusion(APPEAL_ENDS - timedelta(seconds=1))) == [[], [], [], []]
    assert statuses(town) == ("approved", "waiting")


def test_overturned_the_loser_is_revoked_and_the_winner_approved_in_one_commit() -> None:
    town = contested()
    town.run(decision())

    case, deal, claims, holder = town.run(conclusion())

    assert isinstance(case[0], DisputeConcluded)
    assert [one.registration_id for one in case[0].effects] == [B]
    assert ([type(one) for one in deal], deal[0].basis) == ([DealApproved], "dispute")
    assert isinstance(holder[0], DealRevoked)
    assert [reason.code for reason in holder[0].reasons] == ["dispute-overturned"]
    assert len(claims) == 2
    assert statuses(town) == ("revoked", "approved")
    assert [claim.registration_id for claim in town.state(ClaimsOf.at(CONTOSO)).live] == [B]


def test_an_overturned_rejection_is_approved() -> None:
    town = Town()
    town.register("b", "p-2")
    town.run(RejectDeal(**on(), reason_code="other", message=SEALED, by="desk-1"))
    town.run(filed(against=()))
    town.run(decision())

    town.run(conclusion(gives_way=()))

    assert str(town.state(Deals.at("b")).status) == "approved"
    assert [claim.state for claim in town.state(ClaimsOf.at(CONTOSO)).live] == ["held"]


def test_upheld_the_time_of_the_dispute_is_added_to_the_holders_end() -> None:
    town = contested()
    before = town.state(Deals.at("a")).protection.end
    town.run(decision("upheld"))

    *_, holder = town.run(conclusion())

    assert isinstance(holder[0], ProtectionExtended)
    assert town.state(Deals.at("a")).protection.end == before + (APPEAL_ENDS - NOW)
    assert town.state(ClaimsOf.at(CONTOSO)).of("a").protection.end == before + (APPEAL_ENDS - NOW)
    assert statuses(town) == ("approved", "waiting")


@pytest.mark.parametrize(("evaluator", "status"), [(3, "in_review"), (4, "approved")])
def test_who_wins_is_approved_where_its_rival_went_meanwhile_and_its_review_is_over_but_as_the_third_evaluator_decided(
    evaluator: int, status: str
) -> None:
    town = contested()
    town.run(decision())
    town.run(WithdrawDeal(**on("a"), programme="default", by="seller-p-1", reason_code="customer-cancelled"))
    told = {"screening_id": "promotion-b", "partner_id": PartnerId("p-2")}
    town.run(PromoteDeal(**on(), programme="default", **told))
    assert statuses(town) == ("withdrawn", "in_review")

    town.run(conclusion(gives_way=()), evaluator)

    assert statuses(town) == ("withdrawn", status)
    closed = [one.outcome for one in town.of(Deals.at("b")) if isinstance(one, StepClosed)]
    assert closed == (["approved"] if evaluator == 4 else [])


def test_a_split_adds_up_to_a_hundred_and_neither_excludes_the_other() -> None:
    town = contested()
    town.run(decision("split", percent=Decimal("30.00")))

    case, *_ = town.run(conclusion())

    shares = case[0].effects
    assert shares == (
        Effect(registration_id=B, partner_id=PartnerId("p-2"), percent=Decimal("30.00"), from_at=APPEAL_ENDS),
        Effect(registration_id=A, partner_id=PartnerId("p-1"), percent=Decimal("70.00"), from_at=APPEAL_ENDS),
    )
    assert sum(share.percent for share in shares) == Decimal("100.00")
    assert statuses(town) == ("approved", "approved")
    assert [claim.exclusive for claim in town.state(ClaimsOf.at(CONTOSO)).live] == [False, False]


@pytest.mark.parametrize(("evaluator", "longer"), [(4, timedelta()), (5, APPEAL_ENDS - NOW)])
def test_who_shares_after_a_split_gets_the_time_of_the_dispute_but_as_the_fourth_evaluator_decided(
    evaluator: int, longer: timedelta
) -> None:
    town = contested()
    before = town.state(Deals.at("a")).protection.end
    town.run(decision("split", percent=Decimal("30.00")))

    town.run(conclusion(), evaluator)

    assert statuses(town) == ("approved", "approved")
    assert town.state(Deals.at("a")).protection.end == before + longer
    assert town.state(ClaimsOf.at(CONTOSO)).of("a").protection.end == before + longer


def two_hold() -> Town:
    """A and C hold a product each, B asks for both, waits and disputes that."""
    town = Town()
    for deal, partner, sku in (("a", "p-1", "100"), ("c", "p-3", "200")):
        town.register(deal, partner, products=(product(sku),))
        town.run(approval(deal, partner))
    town.register("b", "p-2", products=(product("100"), product("200")))
    town.run(filed(against=(A, C)))
    return town


def test_what_a_split_leaves_goes_to_all_who_hold_in_equal_parts() -> None:
    town = two_hold()
    town.run(decision("split", percent=Decimal("33.33")))
    both = tuple(replace(HOLDER, registration_id=one) for one in (A, C))

    case, *_ = town.run(conclusion(gives_way=both))

    assert [(one.registration_id, one.partner_id, one.percent) for one in case[0].effects] == [
        (B, "p-2", Decimal("33.33")),
        (A, "p-1", Decimal("33.34")),
        (C, "p-3", Decimal("33.33")),
    ]
    assert [str(town.state(Deals.at(one)).status) for one in "abc"] == ["approved"] * 3
    assert [claim.exclusive for claim in town.state(ClaimsOf.at(CONTOSO)).live] == [False] * 3


def test_a_split_between_several_that_was_refused_is_refused_again() -> None:
    with pytest.raises(WrongShare):
        two_hold().run(decision("split", percent=Decimal("33.33")), evaluator=1)


def told_of(events: list[Any]) -> list[tuple[str, str, str]]:
    """What others hear of attention: asked for or not any more, of which side, about what."""
    heard = [publish(seen) for one in events for seen in told(one, tenant="acme", first=1, at=NOW)]
    attention = [one for one in heard if isinstance(one, AttentionRaised | AttentionCleared)]
    return [(type(one).__name__.removeprefix("Attention"), one.side, one.attention_id) for one in attention]


def test_whoever_is_asked_hears_of_it_and_that_it_is_asked_no_more() -> None:
    arbiter, filer = ("vendor", "b.dispute"), ("partner", "b.dispute-evidence")
    town = contested()

    def after(command: Any) -> list[tuple[str, ...]]:
        return told_of(town.run(command)[0])

    assert after(RequestDisputeEvidence(**on(), question=SEALED, by="arbiter-1")) == [("Raised", *filer)]
    assert after(ShowDisputeEvidence(**on(), evidence=(LETTER,), by="seller-p-2")) == [
        ("Raised", *arbiter),
        ("Cleared", *filer),
    ]
    assert after(RequestDisputeEvidence(**on(), question=SEALED, by="arbiter-1")) == [
        ("Raised", *filer),
        ("Cleared", *arbiter),
    ]
    assert after(HearDispute(**on(now=NOW + timedelta(days=7)))) == [("Raised", *arbiter), ("Cleared", *filer)]
    assert after(decision("upheld")) == [("Cleared", *arbiter)]
    assert after(AppealDispute(**on(), statement=SEALED, by="seller-p-2")) == [("Raised", *arbiter)]
    assert after(decision("upheld", by="arbiter-2")) == [("Cleared", *arbiter)]


def test_a_dispute_that_is_taken_back_asks_nobody_for_anything() -> None:
    town = contested()
    town.run(RequestDisputeEvidence(**on(), question=SEALED, by="arbiter-1"))

    heard = told_of(town.run(WithdrawDispute(**on(), by="seller-p-2"))[0])

    assert heard == [("Cleared", "vendor", "b.dispute"), ("Cleared", "partner", "b.dispute-evidence")]


def test_a_split_names_a_share_and_needs_a_holder() -> None:
    with pytest.raises(WrongShare):
        contested().run(decision("split"))


def test_no_protection_ends_the_hold_and_gives_none() -> None:
    town = contested()
    town.run(decision("no_protection"))

    town.run(conclusion())

    assert statuses(town) == ("revoked", "waiting")
    assert not any(claim.holds(APPEAL_ENDS) for claim in town.state(ClaimsOf.at(CONTOSO)).live)


@pytest.mark.parametrize(("letter", "outcome"), [(True, "overturned"), (False, "upheld")])
def test_a_required_letter_decides_when_its_time_is_over(letter: bool, outcome: str) -> None:
    town = contested()
    town.run(decision("letter_required"))
    if letter:
        town.run(AddEvidence(**on(), evidence=(LETTER,), by="seller-p-2"))

    case, *_ = town.run(conclusion())

    assert case[0].outcome == outcome


@pytest.mark.parametrize("dated_on", [date(2026, 3, 1), date(2026, 3, 2), APPEAL_ENDS.date() + timedelta(days=1)])
def test_whose_deal_was_rejected_shows_the_required_letter_in_the_dispute(dated_on: date) -> None:
    town, letter = rejected(), replace(LETTER, dated_on=dated_on)
    town.run(filed(against=()))
    town.run(decision("letter_required", by="arbiter-1"))
    show = ShowDisputeEvidence(**on(), evidence=(letter,), by="seller-p-2")

    [[shown]] = town.run(show)
    assert (town.run(show), stage(town)) == ([[]], "decided"), "the same letter again changes nothing"
    [document] = project(DISPUTES, told(*town.of(Disputes.at("b")))).values()
    case, *_ = town.run(conclusion(gives_way=()))

    assert shown == DisputeLetterShown(
        registration_id=B,
        number="R-b",
        programme="default",
        partner_id=PartnerId("p-2"),
        evidence=(letter,),
        shown_by="seller-p-2",
        shown_at=NOW,
    )
    assert (document["stage"], document["due_at"]) == ("decided", "2026-03-13T17:00:00Z")
    assert [one["sha256"] for one in document["evidence"]] == ["d" * 64]
    since_then = NOW.date() <= dated_on <= APPEAL_ENDS.date()
    won = ("overturned", "approved") if since_then else ("upheld", "rejected")
    assert (case[0].outcome, str(town.state(Deals.at("b")).status)) == won


def test_a_required_letter_comes_in_time_and_only_where_it_was_asked_for() -> None:
    town, late = contested(), APPEAL_ENDS + timedelta(seconds=1)
    town.run(decision("letter_required"))
    with pytest.raises(FilingClosed):
        town.run(ShowDisputeEvidence(**on(now=late), evidence=(LETTER,), by="seller-p-2"))
    many = tuple(replace(LETTER, sha256=f"{number:064}") for number in range(21))
    with pytest.raises(TooMuchEvidence):
        town.run(ShowDisputeEvidence(**on(), evidence=many, by="seller-p-2"))

    other = contested()
    other.run(decision("upheld"))
    with pytest.raises(WrongState):
        other.run(ShowDisputeEvidence(**on(), evidence=(LETTER,), by="seller-p-2"))


def test_a_letter_that_was_shown_in_a_dispute_counts_but_not_as_the_fifth_evaluator_decided() -> None:
    def concluded(evaluator: int | None) -> str:
        town = contested()
        town.run(RequestDisputeEvidence(**on(), question=SEALED, by="arbiter-1"))
        town.run(ShowDisputeEvidence(**on(), evidence=(LETTER,), by="seller-p-2"))
        town.run(decision("letter_required"))
        outcome: str = town.run(conclusion(), evaluator)[0][0].outcome
        return outcome

    assert (concluded(None), concluded(5)) == ("overturned", "upheld")


def test_a_case_is_concluded_once() -> None:
    town = contested()
    town.run(decision("upheld"))
    town.run(conclusion())

    assert town.run(replace(conclusion(), now=APPEAL_ENDS + timedelta(days=1))) == [[], [], [], []]


LATE = {"now": NOW + timedelta(days=60), "gives_way": ()}


def overtaken(outcome: str) -> Town:
    """As `decided_late`, and the decision is final."""
    town = decided_late(outcome)
    town.run(conclusion(**LATE))
    return town


def decided_late(outcome: str) -> Town:
    """B was rejected and disputes that while nobody holds; c is approved on the same before the arbiter decides."""
    town = rejected()
    town.run(filed(against=()))
    town.register("c", "p-3")
    town.run(approval("c", "p-3"))
    town.run(HearDispute(**on(now=NOW + timedelta(days=10))))
    town.run(decision(outcome, by="arbiter-1"))
    return town


def test_who_wins_a_dispute_waits_behind_whoever_came_to_hold_the_customer_meanwhile() -> None:
    town = overtaken("overturned")

    live = [(one.registration_id, one.state) for one in town.state(ClaimsOf.at(CONTOSO)).live]
    assert (live, str(town.state(Deals.at("b")).status)) == ([("c", "held"), ("b", "waiting")], "waiting")
    assert town.state(Deals.at("b")).place == 1


def test_who_waits_after_a_won_dispute_moves_up_when_the_holder_is_gone() -> None:
    town = overtaken("overturned")

    _, released = town.run(WithdrawDeal(**on("c"), reason_code="withdrawn", by="seller-p-3"))

    moves_up = next(one for one in DEADLINES if one.name == "moves_up")
    [document] = project(moves_up, told(*town.of(Deals.at("b")), *released)).values()
    assert (document["registration_id"], document["due_at"]) == ("b", "2026-03-02T09:00:00Z")


def test_a_lost_dispute_changes_nothing_for_who_came_to_hold_the_customer_meanwhile() -> None:
    assert str(overtaken("upheld").state(Deals.at("b")).status) == "rejected"
    town = overtaken("no_protection")
    assert str(town.state(Deals.at("b")).status) == "rejected"
    assert [(one.registration_id, one.state) for one in town.state(ClaimsOf.at(CONTOSO)).live] == [("c", "held")]


def test_a_dispute_that_was_concluded_before_is_decided_again_as_it_was() -> None:
    town, wish = decided_late("overturned"), conclusion(**LATE)
    first, *_ = [one for one in HANDLES if one.command is ConcludeDispute]

    touched = first.touched(wish)
    states, reads = ([town.state(one) for one in streams] for streams in (touched.guarded, touched.read))
    verdict = decide(first, wish, touched, states, reads)

    assert first.evaluator == 1
    assert [type(one) for one in verdict.events[1]] == [DealApproved]
