"""Partners become one: new credit is the survivor's, what is final stays, and all of it comes back when that is undone."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
from hypothesis import given as for_all
from hypothesis import strategies as st

from chassis.decider import Stream
from chassis.event import plain, stable_id
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.onboarding import PartnersMerged, PartnersUnmerged
from services.attribution.adapters.hubspot_simulator import refunded, won
from services.attribution.application import POLICY_ID
from services.attribution.domain.credit import CreditAllocated, Credits, ReviseCredit, WantedShare
from services.attribution.domain.explaining import explain_credit
from services.attribution.domain.merger import (
    Alias,
    MergePartner,
    Merger,
    MergersOf,
    PartnerMerged,
    PartnerUnmerged,
    UnmergePartner,
    counted_as,
)
from services.attribution.domain.mirroring import ObserveCrmChange
from services.attribution.domain.opening import FollowMerger, OpenOpportunity
from services.attribution.domain.opportunity import CrmFieldsWanted, MergerFollowed, Opportunities
from services.attribution.domain.touch import RecordTouch
from services.attribution.projections.mergers import MERGERS
from services.attribution.projections.opportunity_timeline import OPPORTUNITY_TIMELINE
from services.attribution.reactions import on_partners_merged, on_partners_unmerged
from tests.attribution.facts import (
    ANNE,
    BEN,
    POOLS,
    REG,
    SALE,
    at,
    change,
    connected,
    credit,
    handles,
    observing,
    open_wish,
    opened,
    percents,
    sale,
    touch_stream,
    touch_wish,
    touched,
)
from tests.attribution.test_service import SALE as RUNNING_SALE
from tests.attribution.test_service import Stage, seen_approval, stage

__all__ = ["stage"]
ZOE = "partner-zoe"
DAY = date(2026, 3, 5)
MERGE, UNMERGE, FOLLOW = handles(MergePartner), handles(UnmergePartner), handles(FollowMerger)
OPEN, TOUCH, OBSERVE, REVISE = (handles(one) for one in (OpenOpportunity, RecordTouch, ObserveCrmChange, ReviseCredit))
HUNDRED = Decimal("100.00")


def merged(who: str = ANNE, into: str = BEN, revision: int = 5, on: date = DAY) -> PartnerMerged:
    return PartnerMerged(partner_id=who, survivor_id=into, revision=revision, effective_on=on, recorded_at=at(2))


def unmerged(who: str = ANNE, into: str = BEN, revision: int = 6) -> PartnerUnmerged:
    return PartnerUnmerged(partner_id=who, survivor_id=into, revision=revision, recorded_at=at(20))


def merger(*events: Any) -> tuple[Stream, list[Any]]:
    return MergersOf.at(events[0].partner_id), list(events)


def heard(who: str = ANNE, into: str | None = BEN, revision: int = 5, on: date | None = DAY) -> MergerFollowed:
    return MergerFollowed(
        opportunity_id=SALE,
        registration_id=REG,
        partner_id=who,
        survivor_id=into,
        effective_on=on,
        revision=revision,
        followed_at=at(2),
    )


def following(*merged_ids: str, undone: bool = False, days: float = 3) -> FollowMerger:
    return FollowMerger(
        opportunity_id=SALE,
        merged=merged_ids or (ANNE,),
        pools=("sourced",),
        policy_id=POLICY_ID,
        undone=undone,
        now=at(days),
    )


def provisional() -> CreditAllocated:
    return given(OPEN).when(open_wish()).verdict.events[2][0]


def won_by(*history: Any, credits: Sequence[CreditAllocated] = (), days: float = 10) -> CreditAllocated:
    """The final credit of the sale after what had happened to it."""
    shown = change(days=days)
    case = given(OBSERVE, sale(opened(), touched(), *history), connected(), credit("sourced", *credits))
    return case.when(observing(shown)).verdict.events[2][0]


# What is known of partners


def test_a_merger_is_kept_once_and_undone_by_what_came_later() -> None:
    wish = MergePartner(partner_id=ANNE, survivor_id=BEN, revision=5, effective_on=DAY, now=at(2))
    back = UnmergePartner(partner_id=ANNE, survivor_id=BEN, revision=6, now=at(20))
    given(MERGE).when(wish).then([merged()])
    given(MERGE, merger(merged())).when(wish).then_nothing()
    given(MERGE, merger(merged(), unmerged())).when(wish).then_nothing()
    given(UNMERGE, merger(merged())).when(back).then([unmerged()])
    given(UNMERGE, merger(merged(), unmerged())).when(back).then_nothing()


def test_a_partner_counts_as_the_last_of_those_that_went_on_for_it_from_each_ones_day() -> None:
    known = {
        ANNE: Merger(revision=5, survivor_id=BEN, effective_on=date(2026, 3, 5)),
        BEN: Merger(revision=9, survivor_id=ZOE, effective_on=date(2026, 4, 1)),
    }
    days = (date(2026, 3, 4), date(2026, 3, 5), date(2026, 3, 31), date(2026, 4, 1))
    assert [counted_as(ANNE, known, day) for day in days] == [ANNE, BEN, BEN, ZOE]
    round_about = {**known, BEN: Merger(revision=9, survivor_id=ANNE, effective_on=DAY)}
    assert counted_as(ANNE, round_about, DAY) == ANNE


# Credit


def test_a_registration_that_is_approved_later_is_credited_to_the_survivor_and_its_touch_stays() -> None:
    wish = replace(open_wish(), merged=(ANNE,), now=at(3))
    sale_events, touches, sourced, *_ = given(OPEN, merger(merged())).when(wish).verdict.events
    assert touches[0].partner_id == ANNE
    assert percents(sourced) == [(BEN, HUNDRED)]
    assert sourced[0].aliases == (Alias(partner_id=ANNE, counts_as=BEN),)
    assert [one.partner_id for one in sourced[0].rows] == [BEN]
    (wanted,) = (one for one in sale_events if isinstance(one, CrmFieldsWanted))
    assert wanted.fields["partner_id"] == BEN


def test_provisional_credit_goes_on_under_the_survivor_and_nothing_else_of_it_changes() -> None:
    before = provisional()
    case = given(FOLLOW, sale(opened(), touched()), credit("sourced", before), merger(merged()))
    (followed, wanted), (after,) = case.when(following()).verdict.events
    assert followed == replace(heard(), followed_at=at(3))
    assert wanted.fields["partner_id"] == BEN
    assert percents([after]) == [(BEN, HUNDRED)]
    same = ("status", "win_no", "total", "policy_id", "policy_version", "policy_sha256", "model", "cutoff_at")
    assert [getattr(after, name) for name in same] == [getattr(before, name) for name in same]
    assert (after.revision, after.reason_code, after.revised_by) == (2, "merge", None)
    again = given(FOLLOW, sale(opened(), touched(), heard()), credit("sourced", before, after), merger(merged()))
    again.when(following()).then_nothing()


def test_what_is_won_after_the_merger_is_the_survivors() -> None:
    made = given(OBSERVE, sale(opened(), touched(), heard()), connected(), credit("sourced", provisional()))
    events = made.when(observing(change())).verdict.events
    (final,) = events[2]
    assert (percents([final]), final.status, final.reason_code) == ([(BEN, HUNDRED)], "final", "model")
    (win,) = (one for one in events[0] if one.type == "attribution.DealWon.v1")
    assert win.partner_ids == (BEN,)


def test_a_win_whose_sale_had_not_heard_yet_is_the_survivors_all_the_same() -> None:
    case = given(OBSERVE, sale(opened(), touched()), connected(), credit("sourced", provisional()), merger(merged()))
    events = case.when(replace(observing(change()), merged=(ANNE,))).verdict.events
    assert isinstance(events[0][1], MergerFollowed)
    assert percents(events[2]) == [(BEN, HUNDRED)]


def test_what_was_won_before_the_day_of_the_merger_stays_with_whom_it_was_of() -> None:
    final = won_by(credits=[provisional()], days=1)
    case = given(
        FOLLOW,
        sale(opened(), touched(), *won_events(days=1)),
        credit("sourced", provisional(), final),
        merger(merged()),
    )
    events = case.when(following()).verdict.events
    assert [type(one) for one in events[0]] == [MergerFollowed, CrmFieldsWanted]
    assert events[1] == []
    late = replace(heard(), effective_on=date(2026, 3, 14))
    assert percents([won_by(late, credits=[provisional()])]) == [(ANNE, HUNDRED)]


def won_events(*history: Any, days: float = 10) -> list[Any]:
    case = given(OBSERVE, sale(opened(), touched(), *history), connected(), credit("sourced", provisional()))
    return list(case.when(observing(change(days=days))).verdict.events[0])


def test_undone_both_what_is_open_and_what_was_won_meanwhile_come_back() -> None:
    mine = provisional()
    theirs = replace(mine, revision=2, shares=(replace(mine.shares[0], partner_id=BEN),), reason_code="merge")
    theirs = replace(theirs, aliases=(Alias(partner_id=ANNE, counts_as=BEN),))
    back = following(undone=True, days=20)
    open_case = given(
        FOLLOW, sale(opened(), touched(), heard()), credit("sourced", mine, theirs), merger(merged(), unmerged())
    )
    (followed, _), (after,) = open_case.when(back).verdict.events
    assert (followed.survivor_id, followed.effective_on, followed.revision) == (None, None, 6)
    assert (percents([after]), after.reason_code, after.revision) == ([(ANNE, HUNDRED)], "merge", 3)

    final = won_by(heard(), credits=[mine, theirs])
    history = sale(opened(), touched(), heard(), *won_events(heard()))
    won_case = given(FOLLOW, history, credit("sourced", mine, theirs, final), merger(merged(), unmerged()))
    (returned,) = won_case.when(back).verdict.events[1]
    assert (percents([returned]), returned.status, returned.win_no) == ([(ANNE, HUNDRED)], "final", 1)
    assert (returned.cutoff_at, returned.shares[0].from_month) == (final.cutoff_at, "2026-03")


def test_undone_what_was_final_before_stays_as_it_was() -> None:
    final = won_by(credits=[provisional()], days=1)
    history = sale(opened(), touched(), *won_events(days=1), heard())
    case = given(FOLLOW, history, credit("sourced", provisional(), final), merger(merged(), unmerged()))
    assert case.when(following(undone=True, days=20)).verdict.events[1] == []


def test_the_shares_that_a_person_named_become_one_and_are_two_again() -> None:
    agreed = given(REVISE, credit("sourced", provisional())).when(revising()).verdict.events[0]
    case = given(FOLLOW, sale(opened(), touched()), credit("sourced", provisional(), *agreed), merger(merged()))
    (one,) = case.when(following()).verdict.events[1]
    assert (percents([one]), one.reason_code, one.revised_by) == ([(BEN, HUNDRED)], "merge", "cara")
    final = won_by(heard(), credits=[provisional(), *agreed, one])
    assert (percents([final]), final.reason_code) == ([(BEN, HUNDRED)], "correction")
    history = sale(opened(), touched(), heard(), *won_events(heard()))
    back = given(FOLLOW, history, credit("sourced", provisional(), *agreed, one, final), merger(merged(), unmerged()))
    (two,) = back.when(following(undone=True, days=20)).verdict.events[1]
    assert percents([two]) == [(ANNE, Decimal("60.00")), (BEN, Decimal("40.00"))]


def revising(**changes: Any) -> ReviseCredit:
    parts = ((ANNE, "60"), (BEN, "40"))
    shares = tuple(WantedShare(partner_id=who, role="source", percent=Decimal(percent)) for who, percent in parts)
    given_ = {"opportunity_id": SALE, "pool": "sourced", "shares": shares, "reason_code": "correction"}
    return ReviseCredit(**{**given_, "reason": "agreed", "revised_by": "cara", "now": at(6), **changes})


def test_a_person_who_names_who_was_absorbed_credits_who_goes_on_for_it() -> None:
    case = given(REVISE, credit("sourced", provisional()), merger(merged()))
    (made,) = case.when(revising(merged=(ANNE,))).verdict.events[0]
    assert percents([made]) == [(BEN, HUNDRED)]
    assert [(one.partner_id, one.percent) for one in made.said] == [(ANNE, Decimal("60.00")), (BEN, Decimal("40.00"))]


def test_a_refund_names_who_won_and_who_goes_on_for_it() -> None:
    history = [*won_events(days=1), heard()]
    case = given(OBSERVE, sale(opened(), touched(), *history), connected())
    shown = change(days=12, refunded="1000.00", closed_on=at(1).date())
    (back,) = (
        one for one in case.when(observing(shown)).verdict.events[0] if one.type == "attribution.RevenueReversed.v1"
    )
    assert back.partner_ids == (BEN, ANNE)


def test_a_touch_of_who_was_absorbed_counts_for_who_goes_on_for_it() -> None:
    late = replace(touch_wish("t2", ANNE, "order_fulfilled", "fulfil"), merged=(ANNE,), now=at(6))
    case = given(TOUCH, sale(opened(), touched()), touch_stream("t2"), merger(merged()))
    sale_events, touches, *pools = case.when(late).verdict.events
    assert isinstance(sale_events[1], MergerFollowed)
    assert touches[0].partner_id == ANNE
    assert percents(pools[POOLS.index("fulfilment")]) == [(BEN, HUNDRED)]


def test_a_credit_of_before_mergers_is_stored_and_explained_as_it_was() -> None:
    assert not {"aliases", "said"} & plain(provisional()).keys()
    (seen,) = told(provisional())
    assert "aliases" not in explain_credit(seen).detail


def test_credit_that_went_on_under_another_name_says_why() -> None:
    case = given(FOLLOW, sale(opened(), touched()), credit("sourced", provisional()), merger(merged()))
    (seen,) = told(case.when(following()).verdict.events[1][0])
    why = explain_credit(seen)
    assert [one.code for one in why.reasons] == ["merge", "model-priority"]
    assert why.detail["aliases"] == ({"partner_id": ANNE, "counts_as": BEN},)


STEPS = st.lists(st.sampled_from([("merge", 5), ("undo", 6), ("merge", 7), ("undo", 8)]), max_size=8)


@for_all(STEPS)
def test_in_whatever_order_and_however_often_told_the_newest_word_on_a_partner_decides_its_open_credit(
    steps: list[tuple[str, int]],
) -> None:
    known: list[Any] = []
    sales: list[Any] = [opened(), touched()]
    credits: list[Any] = [provisional()]
    for kind, revision in steps:
        wish = (
            MergePartner(partner_id=ANNE, survivor_id=BEN, revision=revision, effective_on=DAY, now=at(3))
            if kind == "merge"
            else UnmergePartner(partner_id=ANNE, survivor_id=BEN, revision=revision, now=at(3))
        )
        streams = (MergersOf.at(ANNE), known)
        known += given(MERGE if kind == "merge" else UNMERGE, streams).when(wish).verdict.events[0]
        case = given(FOLLOW, sale(*sales), credit("sourced", *credits), streams)
        more, again = case.when(following(undone=kind == "undo")).verdict.events
        sales += more
        credits += again
    newest = max((revision for _, revision in steps), default=0)
    last = Credits.fold(credits).last
    assert last is not None
    assert percents([last]) == [(BEN if newest in (5, 7) else ANNE, HUNDRED)]
    assert Opportunities.fold(sales).partners_on(at(3).date()) == ((BEN,) if newest in (5, 7) else (ANNE,))


# Read models


def test_who_is_one_with_whom_is_the_same_however_often_it_is_told() -> None:
    facts = told(merged(), merged(BEN, ZOE, 9), unmerged())
    assert_repeatable(MERGERS, facts)
    assert project(MERGERS, facts) == {
        ANNE: {"partner_id": ANNE, "survivor_id": None, "effective_on": None},
        BEN: {"partner_id": BEN, "survivor_id": ZOE, "effective_on": "2026-03-05"},
    }
    assert_repeatable(OPPORTUNITY_TIMELINE, told(opened(), touched(), heard()))


# As one running service


def seen_merger(stage: Stage, fact: Any, position: int) -> Any:
    """A fact of onboarding, as attribution hears it."""
    return msgspec.structs.replace(
        seen_approval(stage.service),
        id=stable_id("merger", position),
        type=fact.type,
        source="onboarding",
        stream=f"acme:partner-{fact.partner_id}",
        version=fact.revision,
        position=position,
        event=fact,
    )


def absorbing(who: str, into: str, revision: int = 5) -> PartnersMerged:
    return PartnersMerged(
        partner_id=who,
        survivor_id=into,
        absorbed_id=who,
        revision=revision,
        effective_on=date(2020, 1, 1),
        merged_at=at(2),
    )


def parting(who: str, into: str, revision: int = 6) -> PartnersUnmerged:
    return PartnersUnmerged(partner_id=who, survivor_id=into, absorbed_id=who, revision=revision, unmerged_at=at(20))


async def shares(stage: Stage, partner_id: str, *absorbed: str) -> list[tuple[str, str]]:
    answer = await stage.api("partner", partner_id, roles=("owner",), absorbed=absorbed).get(
        f"/opportunities/{RUNNING_SALE}/credit/sourced"
    )
    found = answer.json()
    return [(one["partner_id"], one["percent"]) for one in found["current"]["shares"]] if answer.ok else []


async def seen_by(stage: Stage, partner_id: str, *absorbed: str) -> tuple[int, int, int]:
    """How many sales, touches and pools of credit a partner reads, as one with those that it absorbed."""
    api = stage.api("partner", partner_id, roles=("owner",), absorbed=absorbed)
    lists = [(await api.get(path)).json()["items"] for path in ("/opportunities", "/touches", "/credit")]
    return len(lists[0]), len(lists[1]), len(lists[2])


async def merging(stage: Stage) -> str:
    """A sale of Anne's is open; then she is one with Ben, and Ben with Zoe, both told twice. The connection's id."""
    connection = await stage.connect()
    await stage.approve()
    await stage.deal()
    for position, fact in ((11, absorbing(ANNE, BEN)), (12, absorbing(BEN, ZOE, 9))):
        for _ in range(2):
            await on_partners_merged(seen_merger(stage, fact, position), stage.service.application)
    return connection


async def caught_up(stage: Stage) -> None:
    for model in ("opportunity_board", "credit_view", "mergers", "opportunity_timeline", "touch_log"):
        await stage.service.application.caught_up(model)


async def test_the_survivor_reads_the_sales_touches_and_credit_of_who_was_absorbed_until_that_is_undone(
    stage: Stage,
) -> None:
    await merging(stage)
    await caught_up(stage)
    assert await shares(stage, ZOE) == [(ZOE, "100.00")]
    assert await seen_by(stage, ZOE, ANNE, BEN) == (1, 1, 1)
    assert len((await stage.admin.get(f"/opportunities?partner_id={ZOE}")).json()["items"]) == 1
    zoe = stage.api("partner", ZOE, roles=("owner",), absorbed=(ANNE, BEN))
    (row,) = (await zoe.get("/opportunities")).json()["items"]
    assert (row["partner_id"], row["partner_ids"]) == (ANNE, [ANNE])
    await on_partners_unmerged(seen_merger(stage, parting(ANNE, BEN), 13), stage.service.application)
    await caught_up(stage)
    assert await shares(stage, ANNE) == [(ANNE, "100.00")]
    assert (await seen_by(stage, ZOE))[:2] == (0, 0)
    lost = await stage.api("partner", ZOE, roles=("owner",)).get(f"/opportunities/{RUNNING_SALE}")
    assert lost.status == 404


async def test_a_win_under_a_merger_is_the_last_survivors_and_comes_back_with_its_refund(stage: Stage) -> None:
    connection = await merging(stage)
    deal = await stage.deal()
    won(stage.hub, deal)
    await stage.post(f"/connections/{connection}/poll")
    await stage.stage("won")
    await caught_up(stage)
    assert await shares(stage, ZOE) == [(ZOE, "100.00")]
    for _ in range(2):
        await on_partners_unmerged(seen_merger(stage, parting(BEN, ZOE, 10), 13), stage.service.application)
    await caught_up(stage)
    assert await shares(stage, BEN) == [(BEN, "100.00")]
    refunded(stage.hub, deal, "2500.00")
    await stage.post(f"/connections/{connection}/poll")
    found = await stage.service.store.feed(0, 10_000)
    back = next(one.event for one in found if one.type == "attribution.RevenueReversed.v1")
    assert back.partner_ids == (BEN, ZOE)
    credits = [one.event for one in found if one.type == "attribution.CreditAllocated.v1"]
    assert [(one.revision, one.status, one.shares[0].partner_id, one.reason_code) for one in credits] == [
        (1, "provisional", ANNE, "model"),
        (2, "provisional", BEN, "merge"),
        (3, "provisional", ZOE, "merge"),
        (4, "final", ZOE, "model"),
        (5, "final", BEN, "merge"),
    ]


async def test_a_sale_that_was_won_before_hears_of_every_merger_after_it(stage: Stage) -> None:
    connection = await stage.connect()
    await stage.approve()
    deal = await stage.deal()
    won(stage.hub, deal)
    await stage.post(f"/connections/{connection}/poll")
    await stage.stage("won")
    for position, fact in ((11, absorbing(ANNE, BEN)), (12, absorbing(BEN, ZOE, 9))):
        await on_partners_merged(seen_merger(stage, fact, position), stage.service.application)
    sold, _ = await stage.service.application.executor.state("acme", Opportunities.at(RUNNING_SALE))
    assert {who: known.survivor_id for who, known in sold.mergers.items()} == {ANNE: BEN, BEN: ZOE}
    await caught_up(stage)
    assert await shares(stage, ZOE, ANNE, BEN) == [(ANNE, "100.00")]
