"""Who comes first: the seven policies, in lists, and what a place in line follows from."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from contracts.values import Benefit, Entitlement, OpportunityId, PartnerId
from services.registration.domain.claims import ClaimsOf, IncumbentTold
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import AddEvidence, CloseDeal, WithdrawDeal
from services.registration.domain.deal_events import DealApproved, Evidence
from services.registration.domain.entitlement import entitlement
from services.registration.domain.incumbent import RecordIncumbent
from services.registration.domain.overlap import Place, Reach
from services.registration.domain.rules import BenefitRule, DealRules, faults
from tests.registration.deals import CONTOSO, NOW, Town, approval, details, product
from tests.registration.test_merging import FABRIKAM, apart, merging, splitting

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


def told(partner: str | None, position: int = 5, **changes: Any) -> RecordIncumbent:
    about = {"account_id": CONTOSO, "product_family": " Cloud ", "source_event_id": f"said-{position}"}
    who = PartnerId(partner) if partner else None
    return RecordIncumbent(**{**about, "partner_id": who, "source_position": position, "now": NOW, **changes})


def renewing(*partners: str) -> Town:
    """A customer that is known here, whose renewal these partners ask for in turn."""
    town = Town(priority=["incumbent_on_renewal", "first_to_register"])
    town.register("old", "p-3")
    gone = {"reason_code": "lost-interest", "by": "seller-p-3"}
    town.run(WithdrawDeal(registration_id="old", accounts=(CONTOSO,), now=NOW, **gone))
    for name, partner in zip("ab", partners, strict=False):
        town.register(name, partner, deal_type="renewal")
    return town


def test_who_the_vendor_says_has_sold_it_before_renews_it_first() -> None:
    town = renewing()
    town.run(told("p-2"))
    town.register("a", "p-1", deal_type="renewal")
    town.register("b", "p-2", deal_type="renewal")

    assert (status(town, "b"), path(town, "b")) == ("in_review", ("incumbent_on_renewal", True))


def test_who_waits_and_turns_out_to_be_the_incumbent_is_waited_for_no_more() -> None:
    town = renewing("p-1", "p-2")
    assert status(town, "b") == "waiting"

    [[happened]] = town.run(told("p-2"))

    assert isinstance(happened, IncumbentTold)
    assert (happened.frees, happened.source_event_id) == (("b",), "said-5")
    assert happened.incumbent.reach.products == (product(sku=None),), "the family in normal form"


def test_who_has_won_since_comes_before_who_was_said_to_have_sold_it() -> None:
    town = renewing("p-3")
    town.run(told("p-2"))
    won = {"result": "won", "opportunity_id": OpportunityId("o"), "source_event_id": "e"}
    town.run(approval("a", "p-3"))
    town.run(CloseDeal(registration_id="a", accounts=(CONTOSO,), now=NOW, **won))
    town.register("b", "p-2", deal_type="renewal")
    town.register("c", "p-3", deal_type="renewal")

    assert (status(town, "c"), path(town, "c")) == ("in_review", ("incumbent_on_renewal", True))


@pytest.mark.parametrize(
    ("said", "later"),
    [(told("p-2", until_on=NOW.date()), "in_review"), (told("p-2", until_on=date(2026, 3, 1)), "waiting")],
    ids=["its last day", "the day after"],
)
def test_who_was_said_to_be_the_incumbent_is_it_until_the_end_of_the_day_that_was_named(
    said: RecordIncumbent, later: str
) -> None:
    town = renewing()
    town.run(said)
    town.register("a", "p-1", deal_type="renewal")
    town.register("b", "p-2", deal_type="renewal")

    assert status(town, "b") == later


def test_once_nobody_is_said_to_be_the_incumbent_who_asked_first_comes_first() -> None:
    town = renewing()
    town.run(told("p-2"))
    town.run(told(None, 6))
    town.register("a", "p-1", deal_type="renewal")
    town.register("b", "p-2", deal_type="renewal")

    assert status(town, "b") == "waiting"


@pytest.mark.parametrize("again", [told("p-1", 5), told("p-1", 4)], ids=["again", "older"])
def test_of_the_incumbent_older_news_and_the_same_again_change_nothing(again: RecordIncumbent) -> None:
    town = renewing()
    town.run(told("p-2"))

    assert town.run(again) == [[]]
    assert len(town.run(replace(again, product_family="backup"))[0]) == 1, "of another family it is news"


def test_of_a_customer_that_nobody_knows_here_nothing_is_kept() -> None:
    assert Town().run(told("p-2")) == [[]]


def test_the_incumbent_goes_with_its_customer_into_a_merge_and_out_of_it() -> None:
    town = apart()
    town.run(told("p-2", account_id=FABRIKAM))
    town.run(merging(town))
    assert [one.whose for one in town.state(ClaimsOf.at(CONTOSO)).incumbents] == ["p-2"]

    town.run(splitting(town))

    lines = [town.state(ClaimsOf.at(account)).incumbents for account in (CONTOSO, FABRIKAM)]
    assert [[one.whose for one in line] for line in lines] == [[], ["p-2"]]


@pytest.mark.parametrize(("partner", "codes"), [("p-2", {"existing-customer"}), (None, set())])
def test_who_has_an_incumbent_has_bought_before_and_who_has_none_has_not(partner: str | None, codes: set[str]) -> None:
    town = renewing()
    town.run(told(partner))
    town.register("a", "p-1")

    checks = town.state(Deals.at("a")).screened.screening.failed
    assert {check.code for check in checks} - {"review-required"} == codes


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
