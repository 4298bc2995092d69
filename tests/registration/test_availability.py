"""What a partner that asks before it registers is told of a customer, in one word."""

from typing import Any

import pytest

from chassis.event import replace
from services.registration.domain.availability import availability
from services.registration.domain.partner_facts import Partners
from tests.registration.deals import Town, candidate, partner_facts

MINIMUM = {"minimums": [{"amount": "10000.01", "currency": "EUR"}]}


@pytest.mark.parametrize(
    ("told", "rules", "known", "changes"),
    [
        ("free", {}, True, {}),
        ("likely_free", {}, False, {"keys": ()}),
        ("needs_review", {}, True, {"candidates": (candidate(token_set_percent=100),)}),
        ("needs_review", {"territories": ["GB"]}, True, {}),
        ("not_eligible", MINIMUM, True, {}),
    ],
)
def test_a_customer_is_free_likely_free_or_to_be_looked_at_or_the_partner_is_not_eligible(
    told: str, rules: dict[str, Any], known: bool, changes: dict[str, Any]
) -> None:
    _, screened, *_ = Town(**rules).register("a", **changes)
    assert told == availability(screened.screening, known=known)


def test_a_customer_that_a_rival_asked_for_first_is_taken() -> None:
    town = Town()
    town.register("a", "p-1")
    _, screened, *_ = town.register("b", "p-2")
    assert availability(screened.screening, known=True) == "taken"


@pytest.mark.parametrize(
    ("types", "role"),
    [
        (("referral",), "referral"),
        (("distributor", "reseller"), "distribute"),
        (("reseller", "distributor"), "resell"),
        (("agency",), "influence"),
        ((), "resell"),
    ],
)
def test_a_deal_that_names_no_role_is_in_the_one_of_its_partners_first_type(types: tuple[str, ...], role: str) -> None:
    assert role == Partners.fold([replace(partner_facts(), types=types)]).first_role
