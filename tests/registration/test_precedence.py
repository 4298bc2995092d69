"""Who comes first: the seven policies, in lists, and what a place in line follows from."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from contracts.values import Benefit, Entitlement, OpportunityId
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import AddEvidence, CloseDeal
from services.registration.domain.deal_events import DealApproved, Evidence
from services.registration.domain.entitlement import entitlement
from services.registration.domain.overlap import Place, Reach
from services.registration.domain.rules import BenefitRule, DealRules, faults
from tests.registration.deals import CONTOSO, NOW, Town, approval, details, product

REACH = Reach(products=(product(),), role="resell", deal_type="new", place=Place(country="DE"))


def proof(kind: str, days_ago: int = 0, number: int = 1) -> Evidence:
    return Evidence(kind=kind, dated_on=NOW.date() - timedelta(days=days_ago), sha256=f"{number:064x}")


def with_proof(*evidence: Evidence, **changes: Any) -> dict[str, Any]:
    return {"details": details(evidence=evidence), **changes}


def two(first: dict[str, Any], second: dict[str, Any], **body: Any) -> tuple[str, str]:
    """Two partners ask for the same; where the first and the second stand afterwards."""
    town = Town(**body)
    town.register("a", "p-1", **first)
    town.register("b", "p-2", **second)
    return status(town, "a"), status(town, "b")


def status(town: Town, deal: str) -> str:
    return str(town.state(Deals.at(deal)).status)


def path(town: Town, deal: str) -> tuple[str | None, bool]:
    [conflict] = town.state(Deals.at(deal)).screened.screening.conflicts
    return conflict.path, conflict.wins


def test_first_to_register_is_the_default() -> None:
    assert two({}, {}) == ("in_review", "waiting")


@pytest.mark.parametrize("policy", ["first_to_approve", "shared", "second_reduced"])
def test_where_nobody_is_ahead_nobody_waits(policy: str) -> None:
    assert two({}, {}, priority=policy) == ("in_review", "in_review")


def test_the_customers_newest_letter_comes_first() -> None:
    body = {"priority": ["customer_choice", "first_to_register"]}
    old, new = with_proof(proof("letter", 40)), with_proof(proof("letter", 2, 2))

    assert two(old, new, **body) == ("in_review", "in_review"), "the second is ahead of the first"
    assert two(new, old, **body) == ("in_review", "waiting")


def test_a_letter_of_more_than_ninety_days_says_nothing() -> None:
    body = {"priority": ["customer_choice", "first_to_register"]}

    assert two({}, with_proof(proof("letter", 90)), **body)[1] == "in_review"
    assert two({}, with_proof(proof("letter", 91)), **body)[1] == "waiting"


def test_a_letter_that_comes_later_moves_its_deal_to_the_front() -> None:
    town = Town(priority=["customer_choice", "first_to_register"])
    town.register("a", "p-1")
    town.register("b", "p-2")
    town.run(
        AddEvidence(registration_id="b", accounts=(CONTOSO,), now=NOW, evidence=(proof("letter"),), by="seller-p-2")
    )

    first_look = town.run(approval("a"))[0]

    assert [type(one).__name__ for one in first_look] == ["DealScreened", "ConflictDetected", "DealQueued"]
    assert path(town, "a") == ("customer_choice", False)


def test_the_most_evidence_comes_first_and_a_letter_weighs_as_two_mails() -> None:
    body = {"priority": ["most_evidence", "first_to_register"]}
    mails = with_proof(proof("mail", number=1), proof("mail", number=2), proof("note", number=3))

    assert two(with_proof(proof("letter")), mails, **body)[1] == "in_review", "8 against 4 + 4 + 1"
    assert two(mails, with_proof(proof("letter")), **body)[1] == "waiting"


def test_who_won_it_before_renews_it_first() -> None:
    town = Town(priority=["incumbent_on_renewal", "first_to_register"])
    town.register("old", "p-2")
    town.run(approval("old", "p-2"))
    won = {"result": "won", "opportunity_id": OpportunityId("o"), "source_event_id": "e"}
    town.run(CloseDeal(registration_id="old", accounts=(CONTOSO,), now=NOW, **won))
    town.register("a", "p-1", deal_type="renewal")
    town.register("b", "p-2", deal_type="renewal")

    assert (status(town, "b"), path(town, "b")) == ("in_review", ("incumbent_on_renewal", True))
    town.register("new", "p-1")
    town.register("later", "p-2")
    assert status(town, "later") == "waiting", "a new deal is no renewal"


def test_the_first_policy_that_names_a_winner_decides() -> None:
    body = {"priority": ["customer_choice", "most_evidence", "first_to_register"]}
    mail, letter = with_proof(proof("mail")), with_proof(proof("letter"))

    assert two(mail, letter, **body)[1] == "in_review"
    assert two({}, mail, **body)[1] == "in_review", "no letter on either side: the evidence decides"
    assert two({}, {}, **body)[1] == "waiting", "nothing on either side: who came first"


def test_a_holder_that_the_customer_did_not_choose_is_displaced_by_recommendation_only() -> None:
    town = Town(priority=["customer_choice", "first_to_register"])
    town.register("a", "p-1")
    town.run(approval("a"))
    town.register("b", "p-2", **with_proof(proof("letter")))

    assert status(town, "b") == "waiting"
    assert town.state(Deals.at("b")).screened.screening.displace == ("a",)


def test_where_it_is_shared_both_hold_and_neither_excludes() -> None:
    town = Town(priority="shared")
    town.register("a", "p-1")
    town.run(approval("a"))
    town.register("b", "p-2")
    town.run(approval("b", "p-2"))

    live = town.state(ClaimsOf.at(CONTOSO)).live
    assert [(claim.state, claim.exclusive) for claim in live] == [("held", False), ("held", False)]


# What it entitles to

RULES = (BenefitRule(name="base", percent=Decimal("5.00")), BenefitRule(name="new", percent=Decimal("8.00")))


def test_done_when_3_of_five_and_eight_the_highest_counts_and_the_other_is_not_stacked() -> None:
    assert entitlement(DealRules(benefits=RULES), REACH) == Entitlement(
        percent=Decimal("8.00"),
        benefits=(
            Benefit(name="base", percent=Decimal("5.00"), code="not-stacked"),
            Benefit(name="new", percent=Decimal("8.00")),
        ),
    )


def test_where_the_rules_stack_benefits_add_up() -> None:
    assert entitlement(DealRules(benefits=RULES, stacking="sum"), REACH).percent == Decimal("13.00")


def test_a_benefit_is_for_its_roles_families_and_types() -> None:
    rules = (
        BenefitRule(name="role", percent=Decimal(1), roles=("distribute",)),
        BenefitRule(name="family", percent=Decimal(2), families=("cloud",)),
        BenefitRule(name="type", percent=Decimal(4), deal_types=("renewal",)),
    )
    assert [one.name for one in entitlement(DealRules(benefits=rules, stacking="sum"), REACH).benefits] == ["family"]


def test_an_entitlement_is_frozen_at_the_approval_and_less_for_who_comes_second() -> None:
    town = Town(priority="second_reduced", benefits=[{"name": "base", "percent": "5.00"}])
    town.register("a", "p-1")
    town.register("b", "p-2")
    town.run(approval("a"))
    first, second = town.run(approval("a"))[0][0], town.run(approval("b", "p-2"))[0][0]

    assert isinstance(first, DealApproved)
    assert (first.entitlement.percent, second.entitlement.percent) == (Decimal("5.00"), Decimal("2.50"))


@pytest.mark.parametrize(
    "rules", [DealRules(priority=()), DealRules(priority=("coin_toss",)), DealRules(letter_days=29)]
)
def test_policies_that_nobody_knows_are_refused(rules: DealRules) -> None:
    assert len(faults(rules)) == 1
