"""Revisions of credit by hand: they say why, they add up, and they stand."""

from dataclasses import replace
from decimal import Decimal

import pytest

from chassis.decider import WrongState
from chassis.testing.kit import given
from services.attribution.domain.credit import (
    CreditAllocated,
    PercentCap,
    PercentScale,
    PercentSum,
    ReasonRequired,
    ReviseCredit,
    WantedShare,
)
from services.attribution.domain.mirroring import ObserveCrmChange
from services.attribution.domain.opening import OpenOpportunity
from tests.attribution.facts import (
    ANNE,
    BEN,
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
    touched,
)

REVISE, OPEN, OBSERVE = handles(ReviseCredit), handles(OpenOpportunity), handles(ObserveCrmChange)


def first() -> CreditAllocated:
    return given(OPEN).when(open_wish()).verdict.events[2][0]


def revising(*parts: tuple[str, str], reason: str = "agreed on the call", code: str = "correction") -> ReviseCredit:
    shares = tuple(WantedShare(partner_id=who, role="source", percent=Decimal(percent)) for who, percent in parts)
    return ReviseCredit(
        opportunity_id=SALE,
        pool="sourced",
        shares=shares,
        reason_code=code,
        reason=reason,
        revised_by="cara",
        now=at(3),
    )


def test_a_revision_replaces_the_vector_and_keeps_who_and_why() -> None:
    made = given(REVISE, credit("sourced", first())).when(revising((ANNE, "70"), (BEN, "30"))).verdict.events[0]
    assert percents(made) == [(ANNE, Decimal("70.00")), (BEN, Decimal("30.00"))]
    assert (made[0].revision, made[0].reason_code, made[0].reason, made[0].revised_by) == (
        2,
        "correction",
        "agreed on the call",
        "cara",
    )


@pytest.mark.parametrize(
    ("wish", "refusal"),
    [
        (revising((ANNE, "70"), (BEN, "29.99")), PercentSum),
        (revising((ANNE, "70"), (BEN, "30.01")), PercentSum),
        (revising((ANNE, "50"), (ANNE, "50")), PercentSum),
        (revising((ANNE, "33.333"), (BEN, "66.667")), PercentScale),
        (revising((ANNE, "0"), (BEN, "100")), PercentScale),
        (revising((ANNE, "100"), reason=" "), ReasonRequired),
        (revising((ANNE, "100"), code="because"), ReasonRequired),
    ],
)
def test_a_revision_that_does_not_hold_is_refused(wish: ReviseCredit, refusal: type) -> None:
    given(REVISE, credit("sourced", first())).when(wish).refused(refusal)


def test_a_capped_pool_may_hold_less_but_not_more_than_a_hundred() -> None:
    capped = replace(first(), total="cap")
    assert given(REVISE, credit("sourced", capped)).when(revising((ANNE, "40"))).verdict.events[0]
    given(REVISE, credit("sourced", capped)).when(revising((ANNE, "60"), (BEN, "41"))).refused(PercentCap)


def test_an_empty_pool_has_nothing_to_revise() -> None:
    given(REVISE).when(revising((ANNE, "100"))).refused(WrongState)


def test_the_same_revision_again_is_nothing() -> None:
    made = given(REVISE, credit("sourced", first())).when(revising((BEN, "100"))).verdict.events[0]
    given(REVISE, credit("sourced", first(), *made)).when(revising((BEN, "100"))).then_nothing()


def test_a_persons_revision_stands_when_the_deal_is_won() -> None:
    made = given(REVISE, credit("sourced", first())).when(revising((ANNE, "70"), (BEN, "30"))).verdict.events[0]
    history = (sale(opened(), touched()), connected(), credit("sourced", first(), *made))
    final = given(OBSERVE, *history).when(observing(change())).verdict.events[2]
    assert percents(final) == [(ANNE, Decimal("70.00")), (BEN, Decimal("30.00"))]
    assert (final[0].status, final[0].win_no, final[0].reason_code) == ("final", 1, "correction")
