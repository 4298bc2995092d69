"""To whom a lead goes: who may take it, and whose turn it is under each strategy."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from contracts.values import PartnerId
from services.registration.domain.lead_rules import LeadRules, Routed, faults
from services.registration.domain.routing import LEAD_RULES, RoutingFacts, Taker, draw, route

NOW = datetime(2026, 3, 3, 10, tzinfo=UTC)
A, B, C = (PartnerId(name) for name in "ABC")


def taker(who: str, **known: Any) -> Taker:
    return Taker(partner_id=PartnerId(who), **{"country": "DE", **known})


def facts(*takers: Taker, **known: Any) -> RoutingFacts:
    return RoutingFacts(**{"lead_id": "L-1", "rules": "routing@3", "country": "DE", "takers": takers, **known})


def listed(*entries: Routed, strategy: str = "least_recent", **rules: Any) -> LeadRules:
    return LeadRules(strategy=strategy, partners=entries, **rules)


def entry(who: str, **said: Any) -> Routed:
    return Routed(partner_id=who, **said)


def test_done_when_3_weighted_of_5_3_2_gives_c_first_and_after_it_declined_a() -> None:
    rules = listed(entry("A", weight=5), entry("B", weight=3), entry("C", weight=2), strategy="weighted")
    all_three = (taker("B"), taker("C"), taker("A"))

    first = route(facts(*all_three), rules)
    second = route(facts(*all_three, round=2, declined=(C,)), rules)

    assert (first.partners, first.seed, first.draw) == ((C,), "L-1|routing@3|1", Decimal("0.971621"))
    assert (second.partners, second.seed, second.draw) == ((A,), "L-1|routing@3|2", Decimal("0.394156"))
    assert round(draw("L-1|routing@3|2") * 8 / 2**64, 3) == 3.153


def test_weighted_gives_each_its_part_over_many_leads() -> None:
    rules = listed(entry("A", weight=5), entry("B", weight=3), entry("C", weight=2), strategy="weighted")
    all_three = (taker("A"), taker("B"), taker("C"))
    won = [route(facts(*all_three, lead_id=f"L-{n}"), rules).partners[0] for n in range(10_000)]

    assert [won.count(who) for who in (A, B, C)] == pytest.approx([5_000, 3_000, 2_000], abs=150)


def test_least_recent_takes_who_never_had_one_then_whose_last_is_longest_ago() -> None:
    new, old, late = taker("B"), taker("A", last_turn_at=NOW), taker("C", last_turn_at=NOW + timedelta(hours=1))

    assert route(facts(late, old, new), LeadRules()).order == (B, A, C)


def test_ordered_follows_the_list_and_passes_who_may_not() -> None:
    rules = listed(entry("C"), entry("A"), entry("B"), strategy="ordered")
    found = route(facts(taker("A"), taker("B"), taker("C", suspended=True)), rules)

    assert (found.partners, [(one.partner_id, one.code) for one in found.passed]) == ((A,), [(C, "suspended")])


def test_broadcast_asks_several_at_once() -> None:
    found = route(facts(taker("A", last_turn_at=NOW), taker("B"), taker("C")), LeadRules(strategy="broadcast"))

    assert found.partners == (B, C, A)
    assert route(
        facts(taker("A"), taker("B"), taker("C")), LeadRules(strategy="broadcast", broadcast_to=2)
    ).partners == (
        A,
        B,
    )


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"A": ("49.9", "8.0"), "B": ("51.5", "8.1")}, "A"),
        ({"A": ("53.9", "8.0"), "B": ("46.1", "10.9")}, "A"),
        ({"A": ("57.0", "8.0"), "B": ("50.0", "20.0")}, "A"),
        ({"A": ("70.0", "8.0"), "B": ("50.0", "20.0")}, "C"),
    ],
    ids=["within 2 by 1.5 degrees", "within 4 by 3", "within 8 by 8", "else of the same country"],
)
def test_nearest_looks_in_one_box_after_the_other_and_then_in_the_country(
    places: dict[str, tuple[str, str]], expected: str
) -> None:
    known = [entry(who, latitude=Decimal(north), longitude=Decimal(east)) for who, (north, east) in places.items()]
    rules = listed(*known, entry("C"), strategy="nearest")
    found = route(
        facts(
            taker("A", country="SE"),
            taker("B", country="CZ"),
            taker("C"),
            latitude=Decimal(50),
            longitude=Decimal(8),
        ),
        rules,
    )

    assert found.partners == (expected,)


def test_nearest_goes_round_the_world_the_shorter_way() -> None:
    rules = listed(entry("A", latitude=Decimal(-17), longitude=Decimal(-179)), entry("B"), strategy="nearest")
    here = {"latitude": Decimal(-18), "longitude": Decimal("179.9"), "country": "FJ"}

    assert route(facts(taker("A"), taker("B", country="FJ"), **here), rules).partners == (A,)


def test_an_incumbent_comes_first_where_the_rules_say_so() -> None:
    known = facts(taker("A"), taker("B"), incumbents=(B,))

    assert (route(known, LeadRules()).partners, route(known, LeadRules(incumbent_first=True)).partners) == ((A,), (B,))
    assert route(known, LeadRules(incumbent_first=True)).strategy == "incumbent"


@pytest.mark.parametrize(
    ("rules", "known", "code"),
    [
        (LeadRules(), {"declined": (A,)}, "declined"),
        (LeadRules(), {"source": A}, "own-lead"),
        (LeadRules(same_country=True), {"country": "FR"}, "other-country"),
        (LeadRules(daily_cap=2), {"turns": {"A": 2}}, "at-cap"),
        (listed(entry("B")), {}, "not-listed"),
        (listed(entry("A", countries=("FR",))), {}, "other-country"),
        (listed(entry("A", families=("security",))), {"families": ("cloud",)}, "other-family"),
        (listed(entry("A", daily_cap=1), daily_cap=5), {"turns": {"A": 1}}, "at-cap"),
    ],
)
def test_who_may_not_have_a_lead_is_passed_with_the_reason(rules: LeadRules, known: dict[str, Any], code: str) -> None:
    found = route(facts(taker("A"), **known), rules)

    assert (found.partners, [one.code for one in found.passed]) == ((), [code])


def test_a_family_is_the_same_however_it_is_written_and_by_older_rules_letter_by_letter() -> None:
    def takes(**changes: Any) -> bool:
        rules = listed(entry("A", families=("Cloud Storage",)), **changes)
        return bool(route(facts(taker("A"), families=("cloud  storage",)), rules).partners)

    assert takes(any_spelling=True)
    assert not takes()


def test_a_routing_is_explained_without_a_partner_in_what_partners_read() -> None:
    told = LEAD_RULES.evaluate(facts(taker("A"), taker("B", suspended=True)), LeadRules())

    assert (told.outcome, [one.code for one in told.reasons]) == ("offered", ["least-recent"])
    assert {one.name: one.value for one in told.inputs} == {"offered_to": [A], "order": [A], "passed B": "suspended"}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"zone": "Mars"}, "zone is"),
        ({"strategy": "chance"}, "a strategy is one of"),
        ({"broadcast_to": 21}, "2 to 20"),
        ({"partners": [{"partner_id": "A"}, {"partner_id": "A"}]}, "listed once"),
        ({"partners": [{"partner_id": "A", "weight": 0}]}, "somebody has a weight"),
        ({"partners": [{"partner_id": "A", "latitude": "50"}]}, "a latitude and a longitude"),
        ({"rounds": 0}, "rounds"),
        ({"daily_cap": 0}, "daily cap"),
    ],
)
def test_rules_that_cannot_be_are_named(body: dict[str, Any], said: str) -> None:
    assert [one for one in faults(LEAD_RULES.read(body)) if said in one]
