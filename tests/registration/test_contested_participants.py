"""Who takes part in a deal holds as its deal does: where customers turn out to be one, its hold is contested as any other."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.case import ArbiterInvolved, Stage
from chassis.decider import NotFound
from contracts.values import AccountId, Effect, PartnerId, RegistrationId
from services.registration.application.on_accounts import cutting, joining, linking, parting
from services.registration.application.on_deals import Asked
from services.registration.application.on_disputes import appealing, concluding, on_dispute
from services.registration.application.on_invitations import invitation_id
from services.registration.application.on_partners import aliasing
from services.registration.domain.account import Accounts
from services.registration.domain.claims import Claims, ClaimsOf
from services.registration.domain.deal import Deals
from services.registration.domain.deal_commands import PromoteDeal
from services.registration.domain.deal_events import DealRevoked, ParticipantLeft, ProtectionExtended
from services.registration.domain.dispute import (
    PARTNER,
    AppealDispute,
    DecideDispute,
    Dispute,
    DisputeAnswered,
    DisputeConcluded,
    DisputeOpened,
    Disputes,
    DisputeWithdrawn,
    Holder,
    NotFiled,
    RequestDisputeEvidence,
    WithdrawDispute,
)
from services.registration.domain.invitation import RoleHeld
from services.registration.domain.merging import ParticipantsCollide
from services.registration.domain.partner_facts import Partners
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, customer, partner_facts, product
from tests.registration.test_any_order import Peek, done
from tests.registration.test_invitations import ASKED, accept, alias_them, invite, leave, protected
from tests.registration.test_merging import FABRIKAM, OTHER_KEY

EARLY, LATE, MERGED = (NOW + timedelta(hours=hours) for hours in (1, 2, 3))
FINAL = NOW + timedelta(days=30)
THERE = invitation_id("b", "p-4")
"""The invitation of p-4 to the deal of p-3."""
OTHER = {"keys": (OTHER_KEY,), "accounts": (FABRIKAM,), "customer": customer(domain="fabrikam.com")}
PARTNERS = ("p-1", "p-2", "p-3", "p-4")


def apart(*, joined: bool = False, role: str = "distribute") -> Town:
    """P-1 holds the one customer with p-2 as its distributor; p-3 holds the other one, as a distributor itself.

    With `joined` p-3 resells other goods there, and p-4 is its distributor.
    """
    town = protected(*PARTNERS)
    town.run(invite())
    town.register("b", "p-3", role="service" if joined else role, now=EARLY, **OTHER)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,), now=EARLY, by="desk-2"))
    there = {"registration_id": RegistrationId("b"), "accounts": (FABRIKAM,), "now": EARLY}
    if joined:
        town.run(invite("p-4", **there))
        town.run(accept("p-4", **there))
    town.run(accept(now=LATE))
    return town


def elder() -> Town:
    """As `apart`, but p-2 took part before p-3 asked for the other customer."""
    town = protected(*PARTNERS)
    town.run(invite())
    town.run(accept())
    town.register("b", "p-3", role="distribute", now=EARLY, **OTHER)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,), now=EARLY, by="desk-2"))
    return town


def merge(town: Town, evaluator: int | None = None) -> Town:
    told = {"merge_id": "m-1", "reason": SEALED, "by": "desk-9", "now": MERGED}
    town.run(done(joining(CONTOSO, FABRIKAM, told)(Peek(town))), evaluator)
    return town


def split(town: Town, evaluator: int | None = None) -> None:
    town.run(done(parting(CONTOSO, "m-1", (), {"by": "desk-9", "now": MERGED})(Peek(town))), evaluator)


def line(town: Town, account: AccountId = CONTOSO) -> Claims:
    state: Claims = town.state(ClaimsOf.at(account))
    return state


def states(town: Town, account: AccountId = CONTOSO) -> dict[str, str]:
    return {claim.registration_id: claim.state for claim in line(town, account).live}


def statuses(town: Town) -> tuple[str, str]:
    return str(town.state(Deals.at("a")).status), str(town.state(Deals.at("b")).status)


def taking_part(town: Town, deal: str = "a") -> list[str]:
    return [one.participant.partner_id for one in town.state(Deals.at(deal)).participants]


def dispute(town: Town, name: str) -> Dispute:
    state: Dispute = town.state(Disputes.at(name))
    return state


def decide(town: Town, name: str, outcome: str, by: str = "arbiter-1", **more: Any) -> None:
    told = {"outcome": outcome, "reason": SEALED, "by": by, **more}
    asked = Asked(registration_id=name, now=MERGED)
    town.run(done(on_dispute(asked, lambda fields: DecideDispute(**fields, **told))(Peek(town))))


def conclude(town: Town, name: str, evaluator: int | None = None) -> list[list[Any]]:
    """The case, its deal, the claims, and the deals of the other side."""
    wish = done(concluding(Asked(registration_id=name, now=FINAL), "final")(Peek(town)))
    return town.run(wish, evaluator)


def decided(town: Town, name: str, outcome: str, **more: Any) -> list[list[Any]]:
    decide(town, name, outcome, **more)
    return conclude(town, name)


# Done when 6


def test_done_when_6_a_collision_with_a_participant_revokes_nothing_and_lets_nobody_leave() -> None:
    town = merge(apart())

    assert states(town) == {"a": "held", "b": "contested", ASKED: "contested"}
    assert (statuses(town), taking_part(town)) == (("approved", "approved"), ["p-2"])


def test_done_when_6_merge_then_split_restores_the_claims_of_participants() -> None:
    town = apart(joined=True)
    before = line(town), line(town, FABRIKAM), town.state(Accounts.at(CONTOSO))
    merge(town)
    assert states(town) == {"a": "held", "b": "held", THERE: "contested", ASKED: "contested"}

    split(town)

    assert before == (line(town), line(town, FABRIKAM), town.state(Accounts.at(CONTOSO)))
    assert isinstance(town.of(Disputes.at(ASKED))[-1], DisputeWithdrawn)


def request_evidence(town: Town) -> None:
    asked = Asked(registration_id=ASKED, now=MERGED)
    told = {"question": SEALED, "by": "desk-1"}
    town.run(done(on_dispute(asked, lambda fields: RequestDisputeEvidence(**fields, **told))(Peek(town))))


@pytest.mark.parametrize(("evaluator", "told"), [(1, []), (2, [(PARTNER, MERGED)])])
def test_whoever_was_asked_for_evidence_is_not_any_more_where_the_merge_is_taken_back_but_as_the_first_evaluator_decided(
    evaluator: int, told: list[Any]
) -> None:
    town = merge(apart())
    request_evidence(town)

    split(town, evaluator)

    ended = town.of(Disputes.at(ASKED))
    assert [(one.side, one.answered_at) for one in ended if isinstance(one, DisputeAnswered)] == told
    assert dispute(town, ASKED).case.stage == Stage.WITHDRAWN


def test_a_dispute_opens_over_the_younger_hold_of_a_participant_and_is_named_as_its_claim_is() -> None:
    town = merge(apart())

    assert town.of(Disputes.at(ASKED)) == [
        DisputeOpened(
            registration_id=RegistrationId("a"),
            number="R-a",
            programme="default",
            partner_id=PartnerId("p-2"),
            invitation_id=ASKED,
            kind="wrong_match",
            statement=None,
            evidence=(),
            against=(RegistrationId("b"),),
            holders=(Holder(registration_id=RegistrationId("b"), partner_id=PartnerId("p-3")),),
            barred=("desk-1", "desk-2", "desk-9"),
            due_at=dispute(town, ASKED).first.due_at,
            opened_by="registration",
            opened_at=MERGED,
        )
    ]
    assert [town.of(Disputes.at(one)) for one in ("a", "b")] == [[], []]


def test_a_dispute_over_a_deals_own_hold_names_the_participant_that_held_before() -> None:
    town = merge(elder())

    opened = dispute(town, "b").first
    assert (opened.partner_id, opened.invitation_id or None, opened.against) == ("p-3", None, (ASKED,))
    assert opened.holders == (
        Holder(registration_id=RegistrationId("a"), partner_id=PartnerId("p-2"), invitation_id=ASKED),
    )


def test_approvals_and_invitations_wait_while_a_participants_hold_is_contested() -> None:
    town = merge(apart())
    for partner in ("p-5", "p-6"):
        town.keep(Partners.at(partner), [partner_facts(partner)])

    told = town.register("d", "p-5", role="distribute", now=MERGED)
    town.register("e", "p-4", products=(product("100"), product("200")), role="service", now=MERGED)
    town.run(approval("e", "p-4", now=MERGED))
    here = {"registration_id": RegistrationId("e"), "now": MERGED}
    town.run(invite("p-6", **here))

    assert "rival-ahead" in [reason.code for reason in told[-1].reasons]
    with pytest.raises(RoleHeld):
        town.run(accept("p-6", **here))


def test_who_approved_either_deal_decides_nothing_of_it() -> None:
    town = merge(apart())

    for involved in ("desk-1", "desk-2", "desk-9"):
        with pytest.raises(ArbiterInvolved):
            decide(town, ASKED, "upheld", by=involved)


def test_holds_are_uncontested_again_where_the_participant_leaves_of_itself() -> None:
    town = merge(apart())
    decide(town, ASKED, "overturned")
    town.run(leave(now=MERGED))

    told, deal, claims, *others = conclude(town, ASKED)

    assert states(town) == {"a": "held", "b": "held"}
    assert (told[0].outcome, told[0].effects) == ("overturned", ())
    assert ([deal, claims], others) == ([[], []], [])


# What a decision does


@pytest.mark.parametrize(
    ("outcome", "expected", "with_a", "left"),
    [
        ("upheld", ("approved", "approved"), [], {"a": "held", "b": "held"}),
        ("overturned", ("approved", "revoked"), ["p-2"], {"a": "held", ASKED: "held"}),
        ("letter_required", ("approved", "approved"), [], {"a": "held", "b": "held"}),
        ("no_protection", ("approved", "revoked"), [], {"a": "held"}),
    ],
)
def test_a_participant_that_loses_leaves_and_its_deal_goes_on(
    outcome: str, expected: tuple[str, str], with_a: list[str], left: dict[str, str]
) -> None:
    town = merge(apart())

    decided(town, ASKED, outcome)

    assert (statuses(town), taking_part(town), states(town)) == (expected, with_a, left)
    assert dispute(town, ASKED).case.stage == Stage.FINAL


@pytest.mark.parametrize(
    ("outcome", "expected", "with_a", "left"),
    [
        ("upheld", ("approved", "revoked"), ["p-2"], {"a": "held", ASKED: "held"}),
        ("overturned", ("approved", "approved"), [], {"a": "held", "b": "held"}),
        ("no_protection", ("approved", "revoked"), [], {"a": "held"}),
    ],
)
def test_a_participant_that_held_before_leaves_where_the_younger_deal_wins(
    outcome: str, expected: tuple[str, str], with_a: list[str], left: dict[str, str]
) -> None:
    town = merge(elder())

    decided(town, "b", outcome)

    assert (statuses(town), taking_part(town), states(town)) == (expected, with_a, left)


@pytest.mark.parametrize(
    ("outcome", "with_a", "with_b"),
    [("upheld", [], ["p-4"]), ("overturned", ["p-2"], []), ("no_protection", [], [])],
)
def test_of_two_participants_one_leaves_and_both_deals_go_on(
    outcome: str, with_a: list[str], with_b: list[str]
) -> None:
    town = merge(apart(joined=True))

    decided(town, ASKED, outcome)

    assert statuses(town) == ("approved", "approved")
    assert (taking_part(town), taking_part(town, "b")) == (with_a, with_b)
    assert set(states(town).values()) == {"held"}


def test_who_leaves_by_a_decision_is_told_why_in_the_same_commit() -> None:
    town = merge(apart())

    case, deal, claims, holder = decided(town, ASKED, "upheld")

    assert case == [
        DisputeConcluded(
            registration_id=RegistrationId("a"),
            number="R-a",
            programme="default",
            partner_id=PartnerId("p-2"),
            invitation_id=ASKED,
            outcome="upheld",
            effects=(),
            concluded_at=FINAL,
        )
    ]
    [gone] = deal
    assert isinstance(gone, ParticipantLeft)
    told = (gone.invitation_id, gone.reason_code, gone.deal_over, gone.left_by, gone.left_at)
    assert told == (ASKED, "dispute-overturned", False, None, FINAL)
    assert [(one.registration_id, getattr(one, "reason_code", "longer")) for one in claims] == [
        (ASKED, "dispute-overturned"),
        ("b", "longer"),
    ]
    [longer] = holder
    assert isinstance(longer, ProtectionExtended)
    assert longer.new_end - longer.old_end == FINAL - MERGED


def test_a_participants_hold_ends_with_its_deal_also_after_a_dispute_that_it_won() -> None:
    town = merge(elder())
    before = line(town).of(ASKED)

    _, deal, _, _ = decided(town, "b", "upheld")

    after = line(town).of(ASKED)
    assert before is not None
    assert after is not None
    assert before.protection == after.protection
    assert isinstance(deal[0], DealRevoked)
    assert deal[0].for_registration_id == "a"


def test_a_split_lets_a_participant_and_its_rival_hold_together() -> None:
    town = merge(apart())

    case, *_ = decided(town, ASKED, "split", percent=Decimal("40.00"))

    assert case[0].effects == (
        Effect(
            registration_id=RegistrationId("a"), partner_id=PartnerId("p-2"), percent=Decimal("40.00"), from_at=FINAL
        ),
        Effect(
            registration_id=RegistrationId("b"), partner_id=PartnerId("p-3"), percent=Decimal("60.00"), from_at=FINAL
        ),
    )
    assert {one.registration_id: (one.state, one.exclusive) for one in line(town).live} == {
        "a": ("held", True),
        "b": ("held", False),
        ASKED: ("held", False),
    }


def test_a_split_between_two_participants_names_each_of_them() -> None:
    town = merge(apart(joined=True))

    case, *_ = decided(town, ASKED, "split", percent=Decimal("40.00"))

    assert [(one.registration_id, one.partner_id) for one in case[0].effects] == [("a", "p-2"), ("b", "p-4")]


def test_against_a_deal_and_who_takes_part_in_it_the_whole_deal_gives_way() -> None:
    town = merge(both_hold())
    opened = dispute(town, ASKED).first
    assert (set(opened.against), {one.registration_id for one in opened.holders}) == ({"b", THERE}, {"b"})

    decided(town, ASKED, "overturned")

    assert (statuses(town), states(town)) == (("approved", "revoked"), {"a": "held", ASKED: "held"})
    assert taking_part(town, "b") == []


def test_a_split_with_a_deal_and_who_takes_part_in_it_names_each_of_them() -> None:
    town = merge(both_hold())

    case, *_ = decided(town, ASKED, "split", percent=Decimal("40.00"))

    assert [(one.registration_id, one.partner_id, one.percent) for one in case[0].effects] == [
        ("a", "p-2", Decimal("40.00")),
        ("b", "p-3", Decimal("30.00")),
        ("b", "p-4", Decimal("30.00")),
    ]
    assert [one.registration_id for one in line(town).live if one.exclusive] == ["a"]


def both_hold() -> Town:
    """P-3 distributes, and has p-4 to distribute with it; then p-2 takes part in the deal of p-1 in the same role."""
    town = protected(*PARTNERS)
    town.run(invite())
    town.register("b", "p-3", role="distribute", now=EARLY, **OTHER)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,), now=EARLY, by="desk-2"))
    there = {"registration_id": RegistrationId("b"), "accounts": (FABRIKAM,), "now": EARLY}
    town.run(invite("p-4", **there))
    town.run(accept("p-4", **there))
    town.run(accept(now=LATE))
    return town


def test_either_side_appeals_by_the_name_of_its_own_hold() -> None:
    town = merge(elder())
    decide(town, "b", "overturned")
    told = {"statement": SEALED, "by": "seller-p-2"}

    async def contesting(holder: str) -> RegistrationId | None:
        return RegistrationId("b") if holder == ASKED else None

    wish = done(appealing(Asked(registration_id=ASKED, now=MERGED), contesting, told)(Peek(town)))
    town.run(wish)

    assert isinstance(wish, AppealDispute)
    assert (wish.registration_id, wish.holder, dispute(town, "b").case.stage) == ("b", ASKED, Stage.APPEALED)


def test_nobody_but_the_participant_takes_the_steps_of_its_dispute() -> None:
    town = merge(apart())

    def allow(partner_id: str) -> None:
        if partner_id != "p-2":
            raise NotFound

    def ask(name: str) -> RequestDisputeEvidence:
        wish = on_dispute(
            Asked(registration_id=name, now=MERGED, allow=allow),
            lambda fields: RequestDisputeEvidence(**fields, question=SEALED, by="desk"),
        )
        found: RequestDisputeEvidence = done(wish(Peek(town)))
        return found

    assert (ask(ASKED).registration_id, ask(ASKED).invitation_id) == ("a", ASKED)
    for name in ("a", "nobody"):
        with pytest.raises(NotFound):
            ask(name)


# Edges, and partners that are two again


def group() -> Town:
    """P-1 holds a whole group with p-2 as its distributor; p-3 distributes on a customer that is to come under it."""
    town = Town(*PARTNERS)
    town.register("a", "p-1", scope="group")
    town.run(approval())
    town.run(invite())
    town.run(accept())
    town.register("b", "p-3", role="distribute", now=EARLY, **OTHER)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,), now=EARLY))
    return town


def link(town: Town, evaluator: int | None = None) -> None:
    told = {"link_id": "l-1", "reason": SEALED, "by": "desk-9", "now": MERGED}
    town.run(done(linking(FABRIKAM, CONTOSO, told)(Peek(town))), evaluator)


def test_a_participant_in_a_group_deal_is_contested_by_an_edge_and_held_again_once_that_is_cut() -> None:
    town = group()

    link(town)

    assert states(town, FABRIKAM) == {"a": "held", "b": "contested", ASKED: "contested"}
    assert states(town) == {"a": "held", ASKED: "held"}
    assert dispute(town, "b").first.against == (ASKED,)
    town.run(done(cutting(FABRIKAM, {"by": "desk-9", "now": MERGED})(Peek(town))))
    assert (states(town), states(town, FABRIKAM)) == ({"a": "held", ASKED: "held"}, {"b": "held"})
    assert isinstance(town.of(Disputes.at("b"))[-1], DisputeWithdrawn)


def test_who_leaves_a_group_deal_by_a_decision_leaves_every_line_of_it() -> None:
    town = group()
    link(town)

    decided(town, "b", "overturned")

    assert (states(town), states(town, FABRIKAM)) == ({"a": "held"}, {"a": "held", "b": "held"})


def test_a_dispute_opens_where_a_participant_and_who_was_one_with_it_are_two_again_and_ends_as_they_are_one() -> None:
    town = one_partner()
    alias_them(town, None)

    assert states(town) == {"a": "held", ASKED: "contested", "b": "contested"}
    assert dispute(town, "b").first.against == (ASKED,)
    alias_them(town, PartnerId("p-2"))
    assert set(states(town).values()) == {"held"}
    assert isinstance(town.of(Disputes.at("b"))[-1], DisputeWithdrawn)


def one_partner() -> Town:
    """P-2 takes part in the deal of p-1; p-3, one with it by then, holds the customer in the same role."""
    town = protected()
    town.run(invite())
    town.run(accept())
    town.register("b", "p-3", role="distribute", now=EARLY)
    alias_them(town, PartnerId("p-2"))
    promoted = {"screening_id": "promotion-b", "partner_id": PartnerId("p-3"), "now": EARLY}
    town.run(PromoteDeal(registration_id=RegistrationId("b"), accounts=(CONTOSO,), programme="default", **promoted))
    town.run(approval("b", "p-3", now=EARLY))
    return town


def test_the_first_evaluator_of_partners_that_are_two_again_opened_no_dispute_with_a_participant() -> None:
    town = one_partner()
    wish = done(aliasing(RegistrationId("b"), PartnerId("p-3"), None, MERGED)(Peek(town)))

    town.run(replace(wish, collisions=()), 1)

    assert states(town) == {"a": "held", ASKED: "contested", "b": "contested"}
    assert town.of(Disputes.at("b")) == []


# As it was decided before


def test_the_first_evaluators_of_a_merge_and_an_edge_refused_where_a_participant_would_meet_a_holder() -> None:
    for attempt, town in ((merge, apart()), (link, group())):
        with pytest.raises(ParticipantsCollide) as refused:
            attempt(town, 1)
        assert refused.value.fields == {"invitations": [ASKED]}


@pytest.mark.parametrize(("evaluator", "barred"), [(1, ("desk-2", "desk-9")), (2, ("desk-2", "desk-1", "desk-9"))])
def test_the_first_evaluator_of_a_merge_let_who_approved_the_older_deal_decide(
    evaluator: int, barred: tuple[str, ...]
) -> None:
    town = protected(*PARTNERS)
    town.register("b", "p-3", now=EARLY, **OTHER)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,), now=EARLY, by="desk-2"))

    merge(town, evaluator)

    assert states(town) == {"a": "contested", "b": "contested"}
    assert dispute(town, "b").first.barred == barred


@pytest.mark.parametrize("name", [ASKED, "b"])
def test_a_dispute_that_nobody_filed_is_taken_back_by_nobody_but_as_the_first_evaluator_decided(name: str) -> None:
    town = merge(apart() if name == ASKED else elder())
    prepare = on_dispute(Asked(registration_id=name, now=MERGED), lambda fields: WithdrawDispute(**fields, by="seller"))
    wish = done(prepare(Peek(town)))

    with pytest.raises(NotFiled):
        town.run(wish)
    town.run(wish, 1)

    assert dispute(town, name).case.stage == Stage.WITHDRAWN


def two_deals() -> Town:
    """P-1 and p-3 hold the same, and p-4 waits for it."""
    town = protected(*PARTNERS)
    town.register("c", "p-4")
    town.register("b", "p-3", now=EARLY, **OTHER)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,), now=EARLY, by="desk-2"))
    return merge(town)


def frees(told: list[list[Any]]) -> list[str]:
    return [free for events in told for one in events for free in getattr(one, "frees", ())]


@pytest.mark.parametrize(("evaluator", "freed"), [(2, []), (3, ["c"])])
def test_who_waited_for_two_that_both_lose_moves_up_but_as_the_second_evaluator_decided(
    evaluator: int, freed: list[str]
) -> None:
    town = two_deals()
    decide(town, "b", "no_protection")

    told = conclude(town, "b", evaluator)

    assert (statuses(town), states(town)) == (("revoked", "revoked"), {"c": "waiting"})
    assert frees(told) == freed


@pytest.mark.parametrize("outcome", ["overturned", "split"])
@pytest.mark.parametrize("evaluator", [2, 3])
def test_a_decision_after_which_the_merge_was_taken_back_renews_no_hold_but_as_the_second_evaluator_decided(
    outcome: str, evaluator: int
) -> None:
    town = two_deals()
    decide(town, "b", outcome, percent=Decimal("40.00"))
    split(town)
    before = line(town, FABRIKAM)

    conclude(town, "b", evaluator)

    assert (line(town, FABRIKAM) == before) is (evaluator == 3)
    assert statuses(town) == ("approved", "approved")
