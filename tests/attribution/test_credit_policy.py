"""Credit models: the worked examples, eligibility, and that shares always add up."""

from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.rulebook import RulesInvalid
from services.attribution.domain.credit_policy import (
    CREDIT_POLICY,
    DEFAULT_POLICY,
    MODELS,
    CreditFacts,
    CreditPolicy,
    Pool,
    allocate,
    check,
    evaluate,
)
from services.attribution.domain.touch import CLAIMED, TouchFact
from tests.attribution.facts import at, touch

ALL_ROLES = ("source", "cosell", "fulfil", "influence", "service")


def shares(model: str, *touches: TouchFact, **policy: object) -> list[tuple[str, Decimal]]:
    body = CreditPolicy(pools=(Pool(name="p", roles=ALL_ROLES, model=model),), **policy)
    made = allocate(CreditFacts(pool="p", touches=touches, cutoff_at=at(20)), body)
    return [(part.partner_id, part.percent) for part in made.parts]


def three() -> tuple[TouchFact, ...]:
    return tuple(touch(f"t{n}", partner=f"p{n}", kind="meeting", role="influence", days=n) for n in (1, 2, 3))


def test_linear_of_three_gives_the_missing_hundredth_to_the_oldest() -> None:
    assert shares("linear", *three()) == [("p1", Decimal("33.34")), ("p2", Decimal("33.33")), ("p3", Decimal("33.33"))]


def test_role_weighted_is_sixty_thirty_ten() -> None:
    parts = shares(
        "role_weighted",
        touch("a", "p1", "registration_approved", "source", 1),
        touch("b", "p2", "cosell_accepted", "cosell", 2),
        touch("c", "p3", "order_fulfilled", "fulfil", 3),
    )
    assert parts == [("p1", Decimal("60.00")), ("p2", Decimal("30.00")), ("p3", Decimal("10.00"))]


def test_role_weighted_without_fulfilment_spreads_it_pro_rata() -> None:
    parts = shares(
        "role_weighted",
        touch("a", "p1", "registration_approved", "source", 1),
        touch("b", "p2", "cosell_accepted", "cosell", 2),
    )
    assert parts == [("p1", Decimal("66.67")), ("p2", Decimal("33.33"))]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ["100.00"]),
        (2, ["50.00", "50.00"]),
        (3, ["40.00", "20.00", "40.00"]),
        (4, ["40.00", "10.00", "10.00", "40.00"]),
        (5, ["40.00", "6.67", "6.67", "6.66", "40.00"]),
    ],
)
def test_position_gives_the_ends_forty_each(count: int, expected: list[str]) -> None:
    touches = [touch(f"t{n}", f"p{n}", "meeting", "influence", n) for n in range(count)]
    assert [percent for _, percent in shares("position", *touches)] == [Decimal(text) for text in expected]


def test_first_and_last_take_everything() -> None:
    assert shares("first", *three()) == [("p1", Decimal("100.00"))]
    assert shares("last", *three()) == [("p3", Decimal("100.00"))]


def test_time_decay_halves_every_seven_days() -> None:
    old = touch("a", "p1", "meeting", "influence", 6)
    new = touch("b", "p2", "meeting", "influence", 13)
    assert shares("time_decay", old, new) == [("p1", Decimal("33.33")), ("p2", Decimal("66.67"))]


def test_priority_puts_an_approved_registration_before_an_earlier_referral() -> None:
    referral = touch("a", "p1", "referral", "source", 1)
    registration = touch("b", "p2", "registration_approved", "source", 2)
    assert shares("priority", referral, registration) == [("p2", Decimal("100.00"))]


def test_a_partner_counts_once_with_its_first_touch() -> None:
    again = touch("t4", "p1", "demo", "influence", 4)
    assert shares("linear", *three(), again) == [
        ("p1", Decimal("33.34")),
        ("p2", Decimal("33.33")),
        ("p3", Decimal("33.33")),
    ]


def test_per_touch_a_partner_counts_once_a_type_and_day() -> None:
    touches = (
        touch("a", "p1", "meeting", "influence", 1),
        touch("b", "p1", "meeting", "influence", 1.1),
        touch("c", "p1", "demo", "influence", 1.2),
        touch("d", "p2", "meeting", "influence", 2),
    )
    assert shares("linear", *touches, unit="touch") == [("p1", Decimal("66.67")), ("p2", Decimal("33.33"))]


def codes(
    *touches: TouchFact, cutoff_days: float = 200, pool: str = "sourced", until_days: float | None = None
) -> dict:
    until = at(until_days) if until_days is not None else None
    facts = CreditFacts(pool=pool, touches=touches, cutoff_at=at(cutoff_days), protected_until=until)
    return {row.touch_id: row.code for row in allocate(facts, DEFAULT_POLICY).rows}


def test_every_touch_says_why_it_does_not_count() -> None:
    assert codes(touch("old", days=19), touch("in", days=20), touch("late", days=201)) == {
        "old": "outside-look-back",
        "in": "used",
        "late": "after-cutoff",
    }


def test_a_touch_at_the_edges_of_the_window_counts() -> None:
    assert codes(touch("first", days=20), touch("last", "p2", days=200)) == {"first": "used", "last": "outranked"}


def test_a_lapsed_protection_earns_nothing() -> None:
    assert codes(touch("a"), cutoff_days=91, until_days=90) == {"a": "protection-lapsed"}
    assert codes(touch("a"), cutoff_days=90, until_days=90) == {"a": "used"}


def test_what_a_partner_claims_counts_in_report_pools_only() -> None:
    claim = TouchFact(
        touch_id="a", touch_type="meeting", role="influence", partner_id="p1", touched_at=at(1), status=CLAIMED
    )
    service = TouchFact(
        touch_id="b", touch_type="service", role="service", partner_id="p1", touched_at=at(1), status=CLAIMED
    )
    assert codes(claim, cutoff_days=2, pool="influenced") == {"a": "claimed"}
    assert codes(service, cutoff_days=2, pool="service") == {"b": "used"}


def test_nobody_is_credited_without_a_touch() -> None:
    decision = evaluate(CreditFacts(pool="cosell", touches=(touch("a"),), cutoff_at=at(1)), DEFAULT_POLICY)
    assert decision.outcome == "empty"
    assert [reason.code for reason in decision.reasons] == ["no-eligible-touch"]


def test_a_decision_shows_weights_and_what_would_have_changed_it() -> None:
    facts = CreditFacts(pool="sourced", touches=(touch("a"), touch("b", "p2", days=9)), cutoff_at=at(5))
    decision = evaluate(facts, DEFAULT_POLICY)
    assert [(i.value["touch_id"], i.value["code"], i.value["weight"]) for i in decision.inputs] == [
        ("a", "used", "1.000000"),
        ("b", "after-cutoff", "0.000000"),
    ]
    assert [change.code for change in decision.would_change] == ["after-cutoff"]


def test_the_same_facts_have_the_same_hash_and_other_facts_another() -> None:
    one = allocate(CreditFacts(pool="sourced", touches=(touch("a"),), cutoff_at=at(5)), DEFAULT_POLICY)
    same = allocate(CreditFacts(pool="sourced", touches=(touch("a"),), cutoff_at=at(5)), DEFAULT_POLICY)
    other = allocate(CreditFacts(pool="sourced", touches=(touch("a", "p9"),), cutoff_at=at(5)), DEFAULT_POLICY)
    assert one.sha256 == same.sha256 != other.sha256


TOUCHES = st.lists(
    st.builds(
        lambda n, p, kind, hours: TouchFact(
            touch_id=f"t{n}-{p}-{hours}",
            touch_type=kind[0],
            role=kind[1],
            partner_id=f"p{p}",
            touched_at=at(0) + timedelta(hours=hours),
        ),
        st.integers(0, 10**6),
        st.integers(0, 12),
        st.sampled_from(
            [
                ("referral", "source"),
                ("cosell_accepted", "cosell"),
                ("order_fulfilled", "fulfil"),
                ("demo", "influence"),
            ]
        ),
        st.integers(0, 24 * 40),
    ),
    max_size=60,
    unique_by=lambda t: t.touch_id,
)


@given(touches=TOUCHES, model=st.sampled_from(sorted(MODELS)), unit=st.sampled_from(["partner", "touch"]))
def test_shares_make_exactly_a_hundred_or_there_are_none(touches: list[TouchFact], model: str, unit: str) -> None:
    percents = [percent for _, percent in shares(model, *touches, unit=unit)]
    assert sum(percents) == (Decimal("100.00") if percents else 0)
    assert all(percent > 0 for percent in percents)


@given(touches=TOUCHES, model=st.sampled_from(sorted(MODELS)))
def test_the_order_of_telling_does_not_matter(touches: list[TouchFact], model: str) -> None:
    assert shares(model, *touches) == shares(model, *reversed(touches))


def test_a_policy_is_read_from_plain_json() -> None:
    body = {"pools": [{"name": "sourced", "roles": ["source"], "model": "linear"}], "role_weights": {"source": "70"}}
    assert CREDIT_POLICY.read(body).role_weights == {"source": Decimal(70)}
    with pytest.raises(RulesInvalid):
        CREDIT_POLICY.read({"pools": "all"})


@pytest.mark.parametrize(
    ("pool", "fault"),
    [
        ({"model": "removal_effect"}, "model-not-payable"),
        ({"roles": ("seller",)}, "roles are of"),
        ({"total": "more"}, "total is exact or cap"),
        ({"kind": "loan"}, "kind is pay or report"),
    ],
)
def test_a_policy_that_cannot_hold_names_its_fault(pool: dict, fault: str) -> None:
    wanted = {"name": "p", "roles": ("source",), "model": "linear", **pool}
    assert any(fault in text for text in check(CreditPolicy(pools=(Pool(**wanted),))))


def test_the_default_policy_holds() -> None:
    assert check(DEFAULT_POLICY) == []
