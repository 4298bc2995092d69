"""The worked examples of overlap and protection."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from chassis.event import LEFT_OUT
from contracts.values import ProductLine, Span, money
from services.registration.domain.overlap import Overlap, Place, Reach, overlap
from services.registration.domain.protection import free_from, protection_of
from services.registration.domain.rules import (
    AutoApproval,
    DealRules,
    Matching,
    Protection,
    faults,
)
from services.registration.domain.screening import DEAL_RULES


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_done_when_3_ninety_days_from_an_approval_in_london_end_after_the_change_to_summer_time() -> None:
    approved_at = utc("2026-03-03T10:00")
    rules = DealRules(zone="Europe/London", protection=Protection(days=90))

    span = protection_of(rules, submitted_at=utc("2026-02-20T10:00"), approved_at=approved_at)

    assert span == Span(start=approved_at, end=utc("2026-06-01T23:00"))


def test_done_when_3_sixty_days_may_count_from_the_submission() -> None:
    rules = DealRules(zone="Europe/London", protection=Protection(days=60, starts="submission"))

    span = protection_of(rules, submitted_at=utc("2026-03-02T10:00"), approved_at=utc("2026-03-20T10:00"))

    assert span == Span(start=utc("2026-03-20T10:00"), end=utc("2026-05-01T23:00"))


def test_an_approval_after_the_counted_time_protects_nothing() -> None:
    rules = DealRules(protection=Protection(days=5, starts="submission"))
    approved_at = utc("2026-04-01T10:00")

    assert protection_of(rules, submitted_at=utc("2026-03-02T10:00"), approved_at=approved_at) == Span(
        start=approved_at, end=approved_at
    )


def test_a_loser_learns_only_the_monday_after() -> None:
    rules = DealRules(zone="Europe/London")

    assert free_from(rules, utc("2026-06-01T23:00")) == date(2026, 6, 8)


ENTITY_DE = Place(country="DE")


def reach(*products: ProductLine, role: str = "resell", deal_type: str = "new", place: Place = ENTITY_DE) -> Reach:
    return Reach(products=products, role=role, deal_type=deal_type, place=place)


def line(family: str, sku: str | None = None) -> ProductLine:
    return ProductLine(family=family, sku=sku)


HELD = reach(line("cloud", "100"))


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (reach(line("cloud", "200")), Overlap(False, True, True, True)),
        (reach(line("cloud", "100"), line("cloud", "200")), Overlap(True, True, True, True)),
        (reach(line("cloud", "100"), role="distribute"), Overlap(True, False, True, True)),
        (reach(line("cloud")), Overlap(True, True, True, True)),
        (reach(line("clouds")), Overlap(False, True, True, True)),
        (reach(line("cloud", "100"), deal_type="renewal"), Overlap(True, True, True, False)),
        (reach(line("cloud", "100"), deal_type="expansion"), Overlap(True, True, True, True)),
        (reach(line("cloud", "100"), place=Place(country="FR")), Overlap(True, True, False, True)),
        (reach(line("cloud", "100"), place=Place(country="FR", scope="group")), Overlap(True, True, True, True)),
    ],
)
def test_two_claims_meet_in_every_dimension_or_not(other: Reach, expected: Overlap) -> None:
    assert overlap(HELD, other) == expected
    assert overlap(other, HELD) == expected


def test_a_family_contains_what_lies_below_it() -> None:
    assert overlap(reach(line("cloud")), reach(line("cloud/storage", "7"))).product
    assert overlap(reach(line("cloud/storage")), reach(line("cloud"))).product
    assert not overlap(reach(line("cloud/storage")), reach(line("cloud/compute"))).product


def test_two_sites_meet_at_one_address_only() -> None:
    here = Place(scope="site", country="DE", postcode="80331", street="Marienplatz 1")
    there = Place(scope="site", country="DE", postcode="80331", street="Marienplatz 8")

    assert overlap(reach(line("c"), place=here), reach(line("c"), place=here)).complete
    assert overlap(reach(line("c"), place=here), reach(line("c"), place=there)).only_place_apart
    assert overlap(reach(line("c"), place=here), reach(line("c"), place=ENTITY_DE)).complete


def test_regions_are_territories_of_their_own() -> None:
    texas, ohio, all_us = Place(country="US", region="TX"), Place(country="US", region="OH"), Place(country="US")

    assert not overlap(reach(line("c"), place=texas), reach(line("c"), place=ohio)).place
    assert overlap(reach(line("c"), place=texas), reach(line("c"), place=all_us)).place


def typed(*products: ProductLine, **place: str) -> Reach:
    return replace(reach(*products, place=replace(ENTITY_DE, **place)), in_normal_form=True)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (typed(line("cloud")), typed(line("Cloud"))),
        (typed(line("Cloud / Storage ")), typed(line("cloud"))),
        (typed(line("cloud", "ab-100")), typed(line("other", "AB-100"))),
        (
            typed(line("c"), scope="site", postcode="SW1A 1AA", street="Main St. 1"),
            typed(line("c"), scope="site", postcode="sw1a1aa", street="main st 1"),
        ),
        (
            typed(line("c"), scope="site", postcode="80331", street="Königsplatz 1"),
            typed(line("c"), scope="site", postcode="80331", street="Konigsplatz, 1"),
        ),
        (typed(line("c"), country="US", region="CA"), typed(line("c"), country="US", region="Ca")),
        (typed(line("c"), country="US", region="CA"), typed(line("c"), country="US", region="US-CA")),
    ],
)
def test_what_is_the_same_meets_however_it_was_written(one: Reach, other: Reach) -> None:
    assert overlap(one, other).complete
    assert overlap(other, one).complete
    assert overlap(replace(one, in_normal_form=LEFT_OUT), other).complete
    as_before = replace(one, in_normal_form=LEFT_OUT), replace(other, in_normal_form=LEFT_OUT)
    assert not overlap(*as_before).complete


def test_a_normal_form_makes_no_two_places_or_products_one() -> None:
    here = {"scope": "site", "postcode": "80331", "street": "Marienplatz 1"}

    assert not overlap(typed(line("cloud/storage")), typed(line("cloud/compute"))).product
    assert not overlap(typed(line("cloud", "AB100")), typed(line("cloud", "AB-100"))).product
    assert not overlap(typed(line("c"), **here), typed(line("c"), **{**here, "street": "Marienplatz 11"})).place
    assert not overlap(typed(line("c"), region="BY"), typed(line("c"), region="BE")).place


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (DealRules(), []),
        (DealRules(zone="Europe/Atlantis"), ["zone is an IANA time zone, e.g. Europe/Berlin"]),
        (DealRules(protection=Protection(days=366)), ["protection lasts 0 to 365 days"]),
        (DealRules(queue_max=11), ["a queue holds at most 10"]),
        (DealRules(matching=Matching(possible_percent=69)), ["possible_percent lies between 70 and 100"]),
        (DealRules(minimums=(money(1, "EUR"), money(2, "EUR"))), ["one minimum a currency"]),
        (DealRules(auto_approval=AutoApproval(limits=(money(1, "EUR"), money(2, "EUR")))), ["one limit a currency"]),
    ],
)
def test_rules_say_what_does_not_fit(rules: DealRules, expected: list[str]) -> None:
    assert faults(rules) == expected


WHO = (
    "admin, channel_manager, deal_desk, finance, legal, trainer, signatory, plan_admin, approver, fund_manager, "
    "credit_controller, override, arbiter, auditor"
)
TOO_LATE = "a warning comes fewer days before the end than inactive_days"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, []),
        ({"approval": [{"role": "finance"}, {"role": "legal", "order": 2}]}, []),
        ({"approval": [{"role": "nobody", "all_of": ["ada", "ben"]}]}, []),
        ({"approval": [{"role": "nobody"}]}, [f"a step's role is one of {WHO}"]),
        ({"approval": [{"role": "analyst"}]}, [f"a step's role is one of {WHO}"]),
        ({"approval": [{"all_of": ["ada", "ada"]}]}, ["a step names each person once"]),
        ({"clock": {"escalate_to": "nobody"}}, [f"a late review is escalated to one of {WHO}"]),
        ({"clock": {"appeal_days": 0}}, ["a decision is contested for 1 to 10 days"]),
        ({"clock": {"appeal_days": 999}}, ["a decision is contested for 1 to 10 days"]),
        ({"benefits": [{"name": "b", "percent": "-5"}]}, ["a benefit lies between 0 and 100 percent"]),
        ({"benefits": [{"name": "b", "percent": "500"}]}, ["a benefit lies between 0 and 100 percent"]),
        ({"territories": ["DE", "US-CA"]}, []),
        ({"territories": ["Germany"]}, ["Germany: a territory is a country or a part of it (DE, US-CA)"]),
        ({"protection": {"warn_days": 400}}, [TOO_LATE]),
        ({"protection": {"warn_days": 45}}, [TOO_LATE]),
        ({"protection": {"warn_days": 400, "inactive_days": 0}}, [TOO_LATE]),
        ({"protection": {"inactive_days": 0}}, []),
    ],
)
def test_rules_that_cannot_work_are_refused_where_they_are_written_now(
    body: dict[str, Any], expected: list[str]
) -> None:
    rules = DEAL_RULES.read(body)

    assert DEAL_RULES.check_new(rules) == expected
    assert faults(rules) == [], "what stands is followed as it stands"
