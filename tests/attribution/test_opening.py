"""An approved registration opens a sale, with a touch, provisional credit and a wish for the CRM, in one decision."""

from dataclasses import replace
from decimal import Decimal

from chassis.testing.kit import given
from contracts.values import money
from services.attribution.domain.credit import CreditAllocated
from services.attribution.domain.opening import FollowRegistration, OpenOpportunity
from services.attribution.domain.opportunity import (
    CrmFieldsWanted,
    Opportunities,
    OpportunityTouched,
    RegistrationFollowed,
)
from services.attribution.domain.touch import RecordTouch, TouchInvalid, TouchRecorded
from tests.attribution.facts import (
    ANNE,
    BEN,
    REG,
    SALE,
    T0,
    at,
    credit,
    handles,
    open_wish,
    opened,
    percents,
    sale,
    touch,
    touch_stream,
    touch_wish,
    touched,
)

OPEN, TOUCH, FOLLOW = handles(OpenOpportunity), handles(RecordTouch), handles(FollowRegistration)


def test_an_approved_registration_opens_touches_credits_and_wishes() -> None:
    made = given(OPEN).when(open_wish()).verdict.events
    sale_events, touch_events, sourced, *others = made
    assert sale_events[:2] == [opened(), touched()]
    assert [type(e) for e in sale_events] == [type(opened()), OpportunityTouched, CrmFieldsWanted]
    assert [type(e) for e in touch_events] == [TouchRecorded]
    assert percents(sourced) == [(ANNE, Decimal("100.00"))]
    assert (sourced[0].status, sourced[0].revision, sourced[0].model) == ("provisional", 1, "priority")
    assert others == [[], [], [], []]


def test_the_wish_names_the_partner_and_what_a_new_row_needs() -> None:
    wish = given(OPEN).when(open_wish()).verdict.events[0][-1]
    assert wish.fields == {
        "opportunity_id": SALE,
        "registration_id": REG,
        "registration_number": "R-7Q2M4K9X",
        "partner_id": ANNE,
        "status": "approved",
        "protected_until": "2026-06-01T10:00:00Z",
        "partner_amount": "10000.00",
        "partner_currency": "EUR",
        "partner_close_on": "2026-06-30",
    }
    assert wish.creation == {
        "name": "Harbour Works R-7Q2M4K9X",
        "amount": "10000.00",
        "currency": "EUR",
        "close_on": "2026-06-30",
        "stage": "prospect",
    }


def test_an_approval_told_twice_opens_once() -> None:
    given(OPEN, sale(opened(), touched())).when(open_wish()).then_nothing()


def test_every_participant_leaves_the_touch_of_its_role() -> None:
    wish = open_wish(touch_wish(), touch_wish("t2", BEN, "order_fulfilled", "fulfil"))
    _, first, second, sourced, _, fulfilment, *_ = given(OPEN).when(wish).verdict.events
    assert [first[0].touch_type, second[0].touch_type] == ["registration_approved", "order_fulfilled"]
    assert percents(sourced) == [(ANNE, Decimal("100.00"))]
    assert percents(fulfilment) == [(BEN, Decimal("100.00"))]


def test_a_touch_told_before_the_sale_opens_waits_and_then_counts() -> None:
    early = touch_wish("t2", BEN, "order_fulfilled", "fulfil")
    sale_events, touch_events, *pools = given(TOUCH).when(early).verdict.events
    assert sale_events == [touched(touch("t2", BEN, "order_fulfilled", "fulfil"))]
    assert len(touch_events) == 1
    assert pools == [[], [], [], [], []]
    later = given(OPEN, sale(*sale_events)).when(open_wish()).verdict.events
    assert percents(later[4]) == [(BEN, Decimal("100.00"))]


def test_a_touch_of_an_open_sale_moves_provisional_credit_at_once() -> None:
    wish = touch_wish("t2", BEN, "cosell_accepted", "cosell")
    _, _, sourced, cosell, *_ = given(TOUCH, sale(opened(), touched())).when(wish).verdict.events
    assert percents(sourced) == [(ANNE, Decimal("100.00"))]
    assert percents(cosell) == [(BEN, Decimal("100.00"))]


def test_a_touch_told_twice_is_one_touch() -> None:
    wish = touch_wish()
    recorded = given(TOUCH).when(wish).verdict.events[1]
    given(TOUCH, sale(touched()), touch_stream("t1", *recorded)).when(wish).then_nothing()


def test_a_touch_names_what_does_not_fit() -> None:
    wish = replace(touch_wish(), touch_type="bribe", role="friend", touched_at=at(1), source="")
    refusal = given(TOUCH).when(wish).refused(TouchInvalid)
    assert [error["path"] for error in refusal.fields["errors"]] == ["touch_type", "role", "touched_at", "source"]


def following(**changes: object) -> FollowRegistration:
    return FollowRegistration(opportunity_id=SALE, registration_id=REG, now=at(5), **changes)


def test_ended_protection_clears_the_partner_from_the_crm_and_keeps_the_touch() -> None:
    made = (
        given(FOLLOW, sale(opened(), touched()))
        .when(following(status="expired", protection_ended_at=at(5)))
        .verdict.events[0]
    )
    assert [type(e) for e in made] == [RegistrationFollowed, CrmFieldsWanted]
    assert (made[1].fields["partner_id"], made[1].fields["status"]) == ("", "expired")
    after = Opportunities.fold([opened(), touched(), *made])
    assert [t.touch_id for t in after.touches] == ["t1"]
    assert after.registration.protected_until == at(5)


def test_protection_that_the_win_itself_ended_takes_nothing_away() -> None:
    made = (
        given(FOLLOW, sale(opened(), touched()))
        .when(following(status="won", protection_ended_at=at(5)))
        .verdict.events[0]
    )
    assert Opportunities.fold([opened(), *made]).registration.protected_until == at(90)
    assert made[1].fields["partner_id"] == ANNE


def test_an_amended_registration_changes_the_partners_own_amount_only() -> None:
    made = given(FOLLOW, sale(opened())).when(following(amount=money("12000.00", "EUR"))).verdict.events[0]
    after = Opportunities.fold([opened(), *made])
    assert (after.amount, after.registration.amount) == (money("10000.00", "EUR"), money("12000.00", "EUR"))


def test_the_same_change_of_a_registration_again_is_nothing() -> None:
    wish = following(status="withdrawn", protection_ended_at=at(5))
    made = given(FOLLOW, sale(opened())).when(wish).verdict.events[0]
    given(FOLLOW, sale(opened(), *made)).when(wish).then_nothing()


def test_a_change_of_a_registration_without_a_sale_is_nothing() -> None:
    given(FOLLOW).when(following(status="withdrawn")).then_nothing()


def test_credit_that_would_be_the_same_is_not_allocated_again() -> None:
    sourced = given(OPEN).when(open_wish()).verdict.events[2]
    assert isinstance(sourced[0], CreditAllocated)
    wish = touch_wish("t2", BEN, "cosell_accepted", "cosell")
    made = given(TOUCH, sale(opened(), touched()), credit("sourced", *sourced)).when(wish).verdict.events
    assert made[2] == []
    assert T0 == made[1][0].touched_at
