"""Who approves what: chains by amount, four eyes, amendments far upwards, displacing a holder, revoking a protection."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from chassis.decider import WrongState
from chassis.event import LEFT_OUT
from chassis.testing.projections import project, told
from contracts.values import Money, PartnerId, RegistrationId, ShownDocument, money
from services.registration.domain.approval import Approval, complete, last_step, open_steps
from services.registration.domain.approving import EvidenceMissing, StillBlocked
from services.registration.domain.claims import ClaimHeld, ClaimReleased, ClaimsOf
from services.registration.domain.deal import AlreadyApproved, Deals, NotApprover, NotBlocked, SelfApproval
from services.registration.domain.deal_commands import AddEvidence, AmendDeal, ApproveDeal, GivesWay, RevokeDeal
from services.registration.domain.deal_events import (
    AmendmentApproved,
    DealApproved,
    DealRevoked,
    DisplacementApproved,
    Evidence,
    ProtectionEnded,
    RevocationProposed,
    StepApproved,
    StepClosed,
    StepOpened,
)
from services.registration.domain.rules import Step
from services.registration.projections.deal_board import DEAL_BOARD
from services.registration.publishing import publish
from tests.registration.deals import CONTOSO, NOW, Town, approval, details

OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}
EUR = [{"amount": "50000.00", "currency": "EUR"}]
TWO_STEPS = {"approval": [{"role": "deal_desk"}, {"order": 2, "role": "finance", "above": EUR}]}
CHAIN = (Step(), Step(order=2, role="finance", above=(money("50000.00", "EUR"),)))
LETTER = Evidence(kind="letter", dated_on=date(2026, 3, 1), sha256="b" * 64)
APPEAL = datetime(2026, 3, 13, 17, 0, tzinfo=UTC)


def worth(amount: str) -> Any:
    return details(amount=money(amount, "EUR"))


def status(town: Town, deal: str = "a") -> str:
    return str(town.state(Deals.at(deal)).status)


# Chains


@pytest.mark.parametrize(("amount", "steps"), [("50000.00", 1), ("50000.01", 2)])
def test_done_when_3_above_zero_and_fifty_thousand_one_approval_is_enough_up_to_the_limit(
    amount: str, steps: int
) -> None:
    assert sum(step.needed(money(amount, "EUR")) for step in CHAIN) == steps


def test_a_currency_without_a_limit_is_above_every_limit() -> None:
    assert [step.needed(Money(amount=money("1", "JPY").amount, currency="JPY")) for step in CHAIN] == [True, True]


def test_steps_of_one_order_wait_together_and_the_next_order_after_them() -> None:
    chain = (Step(role="deal_desk"), Step(role="channel_manager", approvals=2), Step(order=2, role="finance"))
    small = money("1.00", "EUR")
    given = [Approval(step=0, by="x"), Approval(step=1, by="y"), Approval(step=1, by="y")]

    assert open_steps(chain, small, ()) == (0, 1)
    assert open_steps(chain, small, given) == (1,)
    assert open_steps(chain, small, [*given, Approval(step=1, by="z")]) == (2,)
    assert last_step(chain, small) == 2


def test_all_of_those_named_have_to_agree() -> None:
    both = Step(all_of=("x", "y"))
    assert [complete(0, both, [Approval(step=0, by=one) for one in people]) for people in ("x", "xz", "xy")] == [
        False,
        False,
        True,
    ]


def test_the_second_step_protects_and_the_first_one_does_not() -> None:
    town = Town(**TWO_STEPS)
    town.register("a", details=worth("50000.01"))

    first = town.told(approval())[0]
    second = town.told(approval(by="finance-1", roles=("finance",)))[0]

    assert [type(one) for one in first] == [StepApproved, StepClosed, StepOpened]
    assert (first[2].step, first[2].role) == (1, "finance")
    assert [type(one) for one in second] == [StepApproved, StepClosed, DealApproved]
    assert status(town) == "approved"


def test_a_step_waits_for_its_own_role() -> None:
    town = Town(**TWO_STEPS)
    town.register("a", details=worth("50000.01"))

    with pytest.raises(NotApprover) as refused:
        town.run(approval(roles=("finance",)))
    assert refused.value.fields == {"roles": ["deal_desk"]}


def test_one_person_gives_one_approval_of_a_deal() -> None:
    town = Town(**TWO_STEPS)
    town.register("a", details=worth("50000.01"))
    both = ("deal_desk", "finance")
    town.run(approval(roles=both))

    with pytest.raises(AlreadyApproved):
        town.run(approval(roles=both))


def test_who_submitted_approves_no_step() -> None:
    town = Town(**TWO_STEPS)
    town.register("a", details=worth("50000.01"))
    town.run(approval())

    with pytest.raises(SelfApproval):
        town.run(approval(by="seller-p-1", roles=("finance",)))


# Amended far upwards


def amended(amount: str) -> AmendDeal:
    return AmendDeal(
        registration_id=RegistrationId("a"),
        accounts=(CONTOSO,),
        now=NOW,
        partner_id=PartnerId("p-1"),
        details=worth(amount),
        by="seller-p-1",
    )


def approved(**body: Any) -> Town:
    town = Town(**body)
    town.register("a")
    town.run(approval())
    return town


def test_an_amendment_up_to_a_quarter_asks_nobody() -> None:
    assert [type(one).__name__ for one in approved().told(amended("12500.00"))[0]] == ["DealAmended"]


def test_an_amendment_of_more_than_a_quarter_asks_the_last_step_again_and_keeps_the_protection() -> None:
    town = approved()
    before = town.state(ClaimsOf.at(CONTOSO))

    told = town.told(amended("12500.01"))[0]
    assert (told[1].step, told[1].role, status(town)) == (0, "deal_desk", "approved")
    agreed = town.told(approval())[0]

    assert agreed[-1] == AmendmentApproved(
        **OF_A, amount=money("12500.01", "EUR"), approved_by="desk-1", approved_at=NOW
    )
    assert town.state(ClaimsOf.at(CONTOSO)) == before
    assert town.told(approval())[0] == [], "nobody is asked any more"


def test_an_amendment_into_another_currency_is_listed_in_that() -> None:
    town = approved()
    town.told(replace(amended("1.00"), details=details(amount=money("100", "JPY"))))

    [listed] = project(DEAL_BOARD, told(*town.of(Deals.at("a")))).values()

    assert (listed["amount"], listed["currency"]) == ("100", "JPY")
    assert listed["steps"] == [{"step": 0, "role": "deal_desk"}]


def test_an_amendment_taken_back_asks_nobody_any_more() -> None:
    town = approved()
    town.run(amended("90000.00"))

    assert [type(one).__name__ for one in town.told(amended("10000.00"))[0]] == ["DealAmended", "StepClosed"]


def named_by_all(evaluator: int | None = None) -> list[list[str]]:
    """An amendment that two people are named for: what each approval comes to."""
    town = Town(approval=[{"all_of": ["desk-1", "desk-2"]}])
    town.register("a")
    for who in ("desk-1", "desk-2"):
        town.run(approval(by=who))
    town.told(amended("90000.00"))
    asked = [town.told(approval(by=who), evaluator)[0] for who in ("desk-1", "desk-2")]
    return [[type(one).__name__ for one in told] for told in asked]


def test_everybody_who_is_named_agrees_to_an_amendment() -> None:
    assert named_by_all() == [["StepApproved"], ["StepApproved", "StepClosed", "AmendmentApproved"]]


def test_an_amendment_that_was_agreed_to_by_number_is_decided_as_it_was() -> None:
    assert named_by_all(evaluator=1) == [["StepApproved", "StepClosed", "AmendmentApproved"], []]


# Displace


def cirrus(letter: bool = True) -> Town:
    """A holds; B, who waits, brings the customer's written choice."""
    town = approved()
    town.register("b", "p-2")
    if letter:
        choice = {"registration_id": "b", "accounts": (CONTOSO,), "now": NOW}
        town.run(AddEvidence(**choice, evidence=(LETTER,), by="seller-p-2"))
    return town


def displacement(by: str = "desk-1", roles: tuple[str, ...] = ("override",), **changes: Any) -> ApproveDeal:
    holder = GivesWay(registration_id=RegistrationId("a"), accounts=(CONTOSO,), reason_code="customer-override")
    asked = approval("b", "p-2", by=by, roles=roles, displaces=True, gives_way=(holder,))
    return replace(asked, **changes)


def test_done_when_3_two_people_revoke_the_holder_and_approve_the_customers_choice_in_one_commit() -> None:
    town = cirrus()

    first = town.run(displacement())
    assert isinstance(first[0][0], DisplacementApproved)
    assert (first[1], status(town), status(town, "b")) == ([], "approved", "waiting")
    deal, claims, holder = town.run(displacement(by="desk-2"))

    assert [type(one) for one in deal] == [DealApproved]
    assert deal[0].basis == "customer-override"
    assert [type(one) for one in claims] == [ClaimHeld, ClaimReleased]
    assert [type(one) for one in holder] == [DealRevoked, ProtectionEnded]
    assert [reason.code for reason in holder[0].reasons] == ["customer-override"]
    assert (holder[0].appeal_until, holder[0].for_registration_id) == (APPEAL, "b")
    assert (status(town), status(town, "b")) == ("revoked", "approved")


def test_one_person_alone_displaces_nobody() -> None:
    town = cirrus()
    town.run(displacement())

    assert town.run(displacement()) == [[], [], []]
    with pytest.raises(NotApprover):
        town.run(displacement(by="desk-2", roles=("deal_desk",)))


def test_the_customers_choice_needs_its_letter() -> None:
    with pytest.raises(EvidenceMissing):
        cirrus(letter=False).run(displacement())


def test_who_is_ahead_and_was_not_named_still_blocks() -> None:
    town = cirrus()
    town.register("c", "p-3")
    town.run(AddEvidence(registration_id="c", accounts=(CONTOSO,), now=NOW, evidence=(LETTER,), by="seller-p-3"))

    with pytest.raises(StillBlocked):
        town.run(displacement(registration_id=RegistrationId("c"), partner_id=PartnerId("p-3"), screening_id="again-c"))


def test_where_nobody_holds_there_is_nobody_to_displace() -> None:
    town = Town()
    town.register("b", "p-2", details=details(evidence=(LETTER,)))

    with pytest.raises(NotBlocked):
        town.run(displacement(gives_way=()))


# Revoke


def revocation(by: str = "desk-1", reason_code: str = "misstated") -> RevokeDeal:
    return RevokeDeal(
        registration_id=RegistrationId("a"),
        accounts=(CONTOSO,),
        now=NOW,
        reason_code=reason_code,
        evidence=(LETTER,),
        by=by,
    )


def test_one_person_proposes_and_a_second_one_revokes() -> None:
    town = approved()
    town.register("b", "p-2")

    assert isinstance(town.run(revocation())[0][0], RevocationProposed)
    assert town.run(revocation()) == [[], []], "the same person again is not a second one"
    deal, claims = town.run(revocation(by="desk-2"))

    assert [type(one) for one in deal] == [DealRevoked, ProtectionEnded]
    assert (deal[0].revoked_by, deal[0].evidence, deal[0].appeal_until) == (("desk-1", "desk-2"), (LETTER,), APPEAL)
    assert claims[0].frees == ("b",)
    assert status(town) == "revoked"


def test_the_vendor_hears_on_which_documents_a_protection_was_revoked_and_its_partner_does_not() -> None:
    heard = {}
    for in_full in (LEFT_OUT, True):
        town = approved()
        town.run(revocation())
        deal, _ = town.run(replace(revocation(by="desk-2"), in_full=in_full))
        [heard[in_full]] = [publish(seen) for seen in told(deal[0])]

    before, now = heard[LEFT_OUT], heard[True]
    shown = ShownDocument(kind=LETTER.kind, dated_on=LETTER.dated_on, sha256=LETTER.sha256)
    assert now == replace(before, evidence=(shown,))
    assert before.evidence == LEFT_OUT, "what was asked for before says as much as it did"
    assert now.for_partner("p-1") == before


def test_another_reason_is_another_proposal() -> None:
    town = approved()
    town.run(revocation())

    assert isinstance(town.run(revocation(by="desk-2", reason_code="fraud"))[0][0], RevocationProposed)
    assert status(town) == "approved"


def test_only_a_protection_can_be_revoked() -> None:
    town = Town()
    town.register("a")

    with pytest.raises(WrongState):
        town.run(revocation())
