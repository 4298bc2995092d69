"""Another partner takes part in a deal: invited, accepted with a claim in its own role, and gone with the deal."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.decider import NotFound, WrongState
from contracts.values import AccountId, Participant, PartnerId, RegistrationId, Span, money
from services.registration.application.on_accounts import cutting, joining, linking, parting
from services.registration.application.on_invitations import invitation_id
from services.registration.application.on_partners import aliasing
from services.registration.domain.claims import ClaimExtended, ClaimHeld, ClaimPlaced, ClaimReleased, ClaimsOf
from services.registration.domain.deal import AlreadyRegistered, Deal, Deals, PartnerUnknown
from services.registration.domain.deal_commands import (
    CloseDeal,
    EndProtection,
    MergeDuplicate,
    PromoteDeal,
    RecordOrder,
    RejectDeal,
    RequestExtension,
    RevokeDeal,
    WithdrawDeal,
)
from services.registration.domain.deal_events import (
    DealApproved,
    Evidence,
    OrderRecorded,
    ParticipantInvited,
    ParticipantJoined,
    ParticipantLeft,
    ProtectionEnded,
)
from services.registration.domain.dispute import Disputes
from services.registration.domain.invitation import (
    AcceptInvitation,
    AlreadyInvited,
    DealOver,
    DeclineInvitation,
    InvitationAccepted,
    InvitationDeclined,
    InvitationLapsed,
    InvitationOver,
    InvitationRevoked,
    Invitations,
    InvitationSent,
    InviteParticipant,
    LapseInvitation,
    LeaveDeal,
    NoNewBusiness,
    OwnDeal,
    RevokeInvitation,
    RoleHeld,
    RoleNotAllowed,
    TooManyInvitations,
    size_of,
)
from services.registration.domain.keeping import NotDistributor
from services.registration.domain.overlap import Reach
from services.registration.domain.partner_facts import Partners
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, customer, partner_facts, product
from tests.registration.test_any_order import Peek, done
from tests.registration.test_merging import FABRIKAM, OTHER_KEY

OF_A = {"registration_id": "a", "number": "R-a", "programme": "default", "partner_id": "p-1"}
ASKED = invitation_id("a", "p-2")
OF_INVITATION = {"invitation_id": ASKED, "registration_id": "a", "partner_id": "p-2", "role": "distribute"}
DISTRIBUTOR = Participant(partner_id=PartnerId("p-2"), role="distribute")
DUE = NOW + timedelta(days=14)


def on(deal: str = "a", **changes: Any) -> dict[str, Any]:
    return {"registration_id": RegistrationId(deal), "accounts": (CONTOSO,), "now": NOW, **changes}


def invite(partner: str = "p-2", role: str = "distribute", **changes: Any) -> InviteParticipant:
    named = invitation_id(changes.get("registration_id", "a"), partner)
    told: dict[str, Any] = {"invitation_id": named, "partner_id": PartnerId(partner), "role": role, "by": "seller-p-1"}
    return InviteParticipant(**{**on(), **told, **changes})


def accept(partner: str = "p-2", **changes: Any) -> AcceptInvitation:
    named = invitation_id(changes.get("registration_id", "a"), partner)
    told = {"invitation_id": named, "partner_id": PartnerId(partner), "by": f"seller-{partner}"}
    return AcceptInvitation(**{**on(), **told, **changes})


def leave(reason_code: str = "left", **changes: Any) -> LeaveDeal:
    return LeaveDeal(**{**on(), "invitation_id": ASKED, "reason_code": reason_code, "by": "seller-p-2", **changes})


def alone(**changes: Any) -> dict[str, Any]:
    return {"invitation_id": ASKED, "by": "seller-p-2", "now": NOW, **changes}


def protected(*partners: str, **body: Any) -> Town:
    """A town in which p-1's deal is approved."""
    town = Town(*partners, **body)
    town.register("a", "p-1")
    town.run(approval())
    return town


def with_distributor() -> Town:
    """As `protected`, with p-2 as its distributor."""
    town = protected()
    town.run(invite())
    town.run(accept())
    return town


def deal(town: Town, name: str = "a") -> Deal:
    found: Deal = town.state(Deals.at(name))
    return found


def line(town: Town, account: AccountId = CONTOSO) -> list[tuple[str, str, str]]:
    live = town.state(ClaimsOf.at(account)).live
    return [(one.registration_id, one.reach.role, one.state) for one in live]


END = deal(protected()).protection.end  # type: ignore[union-attr]


# Inviting


def test_an_invitation_says_what_it_is_about_and_no_more() -> None:
    town = protected()

    assert town.run(invite(message=SEALED)) == [
        [
            InvitationSent(
                **OF_INVITATION,
                number="R-a",
                programme="default",
                host_id=PartnerId("p-1"),
                families=("cloud",),
                country="DE",
                size=money("10000.00", "EUR"),
                message=SEALED,
                due_at=DUE,
                sent_by="seller-p-1",
                sent_at=NOW,
            )
        ],
        [
            ParticipantInvited(
                **OF_A, invitation_id=ASKED, participant=DISTRIBUTOR, invited_by="seller-p-1", invited_at=NOW
            )
        ],
    ]


@pytest.mark.parametrize(
    ("amount", "size"),
    [("1.00", "1.00"), ("1.01", "10.00"), ("9999.99", "10000.00"), ("10000.00", "10000.00"), ("10000.01", "100000.00")],
)
def test_a_size_is_the_power_of_ten_that_the_amount_does_not_exceed(amount: str, size: str) -> None:
    assert size_of(money(amount, "EUR")) == money(size, "EUR")


def test_who_has_not_answered_or_takes_part_is_not_invited_again() -> None:
    town = protected()
    town.run(invite())

    with pytest.raises(AlreadyInvited) as refused:
        town.run(invite(role="service"))
    assert refused.value.fields == {"invitation_id": ASKED}
    town.run(accept())
    with pytest.raises(AlreadyInvited):
        town.run(invite())


@pytest.mark.parametrize(
    ("answer", "before"),
    [
        (DeclineInvitation(**alone(), reason_code="declined"), []),
        (RevokeInvitation(**alone(), reason_code="revoked"), []),
        (LapseInvitation(**alone(now=DUE)), []),
        (None, [InvitationLapsed(**OF_INVITATION, lapsed_at=DUE)]),
    ],
)
def test_who_did_not_come_may_be_invited_once_more(answer: Any, before: list[Any]) -> None:
    town = protected()
    town.run(invite())
    if answer is not None:
        town.run(answer)

    told, _ = town.run(invite(now=DUE))

    assert [type(one) for one in told] == [*(type(one) for one in before), InvitationSent]
    assert told[:-1] == before
    assert town.state(Invitations.at(ASKED)).answer.value == "pending"


def test_a_partner_is_invited_in_a_role_that_the_programme_takes() -> None:
    town = protected(roles=("resell", "service"))

    with pytest.raises(RoleNotAllowed) as refused:
        town.run(invite())
    assert refused.value.fields == {"roles": ["resell", "service"]}


def test_nobody_is_invited_to_its_own_deal() -> None:
    with pytest.raises(OwnDeal):
        protected().run(invite("p-1"))


def test_a_partner_that_nobody_knows_yet_is_asked_for_again() -> None:
    with pytest.raises(PartnerUnknown):
        protected().run(invite("p-9"))


def test_who_takes_no_new_business_is_not_invited_and_does_not_accept() -> None:
    town = protected()
    town.run(invite())
    town.keep(Partners.at("p-2"), [partner_facts("p-2", suspended=("new_business",))])

    with pytest.raises(NoNewBusiness):
        town.run(accept())
    town.run(DeclineInvitation(**alone(), reason_code="declined"))
    with pytest.raises(NoNewBusiness):
        town.run(invite())


def test_a_deal_takes_twenty_invitations() -> None:
    town = protected()
    for _ in range(20):
        town.run(invite())
        town.run(RevokeInvitation(**alone(), reason_code="revoked"))

    with pytest.raises(TooManyInvitations):
        town.run(invite())


def test_nobody_is_invited_to_a_deal_that_is_over() -> None:
    town = protected()
    town.run(WithdrawDeal(**on(), reason_code="withdrawn", by="seller-p-1"))

    with pytest.raises(WrongState):
        town.run(invite())


# Accepting


def test_who_accepts_holds_the_customer_in_its_own_role_as_long_as_the_deal_does() -> None:
    town = protected()
    town.run(invite())
    later = NOW + timedelta(days=3)

    assert town.run(accept(now=later)) == [
        [InvitationAccepted(**OF_INVITATION, accepted_by="seller-p-2", accepted_at=later)],
        [
            ParticipantJoined(
                **OF_A,
                invitation_id=ASKED,
                participant=DISTRIBUTOR,
                held_until=END,
                joined_by="seller-p-2",
                joined_at=later,
            )
        ],
        [
            ClaimPlaced(
                registration_id=ASKED,
                partner_id=PartnerId("p-2"),
                reach=Reach(
                    products=(product(),), role="distribute", deal_type="new", place=customer().place("entity")
                ),
                priority="first_to_register",
                priorities=("first_to_register",),
                submitted_at=later,
                placed_at=later,
                deal_id=RegistrationId("a"),
            ),
            ClaimHeld(
                registration_id=ASKED,
                protection=Span(start=later, end=END),
                exclusive=True,
                blocks=(),
                held_at=later,
            ),
        ],
    ]


def test_a_sub_reseller_in_the_role_of_the_deal_is_no_rival_of_it() -> None:
    town = protected()
    town.run(invite(role="resell"))

    town.run(accept())

    assert line(town) == [("a", "resell", "held"), (ASKED, "resell", "held")]


def test_a_rival_waits_behind_a_participant_in_its_role_and_moves_up_when_that_leaves() -> None:
    town = with_distributor()

    town.register("b", "p-3", role="distribute")
    assert deal(town, "b").status == "waiting"
    gone = town.run(leave())

    assert gone == [
        [],
        [
            ParticipantLeft(
                **OF_A,
                invitation_id=ASKED,
                participant=DISTRIBUTOR,
                reason_code="left",
                deal_over=False,
                left_by="seller-p-2",
                left_at=NOW,
            )
        ],
        [ClaimReleased(registration_id=ASKED, reason_code="left", frees=(RegistrationId("b"),), released_at=NOW)],
    ]
    assert deal(town).status == "approved"


def test_who_would_hold_what_a_rival_holds_or_asked_for_first_cannot_accept() -> None:
    town = protected()
    town.register("b", "p-3", role="distribute")
    town.run(invite())

    with pytest.raises(RoleHeld):
        town.run(accept())
    town.run(approval("b", "p-3"))
    with pytest.raises(RoleHeld):
        town.run(accept())
    assert town.state(Invitations.at(ASKED)).answer.value == "pending"


def test_who_has_claimed_the_same_by_itself_does_not_claim_it_twice() -> None:
    town = protected()
    town.register("b", "p-2", role="distribute")
    town.run(invite())

    with pytest.raises(AlreadyRegistered) as refused:
        town.run(accept())
    assert refused.value.fields == {}
    with pytest.raises(AlreadyRegistered) as before:
        town.run(accept(), evaluator=1)
    assert before.value.fields == {"registration_id": "b"}


def test_who_takes_part_does_not_register_the_same_besides() -> None:
    town = with_distributor()

    with pytest.raises(AlreadyRegistered) as refused:
        town.register("b", "p-2", role="distribute")
    assert refused.value.fields == {"registration_id": "a"}


def test_an_answer_comes_in_time() -> None:
    town = protected()
    town.run(invite())

    assert town.run(LapseInvitation(**alone(now=DUE - timedelta(seconds=1)))) == [[]]
    with pytest.raises(InvitationOver):
        town.run(accept(now=DUE))
    with pytest.raises(InvitationOver):
        town.run(DeclineInvitation(**alone(now=DUE), reason_code="declined"))
    assert town.run(LapseInvitation(**alone(now=DUE))) == [[InvitationLapsed(**OF_INVITATION, lapsed_at=DUE)]]
    assert town.run(LapseInvitation(**alone(now=DUE))) == [[]]


def test_an_invitation_is_answered_once() -> None:
    town = protected()
    town.run(invite())
    declined = DeclineInvitation(**alone(), reason_code="no-stock")

    assert town.run(declined) == [
        [InvitationDeclined(**OF_INVITATION, reason_code="no-stock", declined_by="seller-p-2", declined_at=NOW)]
    ]
    for again in (declined, accept(), RevokeInvitation(**alone(), reason_code="revoked")):
        with pytest.raises(WrongState) as refused:
            town.run(again)
        assert refused.value.fields == {"state": "declined", "allowed": ["invite"]}


def test_an_invitation_is_taken_back_until_it_is_answered() -> None:
    town = protected()
    town.run(invite())

    assert town.run(RevokeInvitation(**alone(by="seller-p-1"), reason_code="mistake")) == [
        [InvitationRevoked(**OF_INVITATION, reason_code="mistake", revoked_by="seller-p-1", revoked_at=NOW)]
    ]
    with pytest.raises(WrongState):
        town.run(accept())


def test_an_invitation_that_nobody_sent_is_not_found() -> None:
    for wish in (accept(), DeclineInvitation(**alone(), reason_code="no")):
        with pytest.raises(NotFound):
            protected().run(wish)


def test_who_takes_no_part_cannot_leave() -> None:
    with pytest.raises(WrongState) as refused:
        protected().run(leave())
    assert refused.value.fields == {"state": "none", "allowed": ["invite"]}


@pytest.mark.parametrize(
    ("evaluator", "state", "allowed"), [(None, "left", ["invite"]), (1, "accepted", ["invite", "leave"])]
)
def test_who_has_left_cannot_leave_but_was_told_that_it_may_by_the_first_evaluator(
    evaluator: int | None, state: str, allowed: list[str]
) -> None:
    town = protected()
    town.run(invite())
    town.run(accept())
    town.run(leave())

    with pytest.raises(WrongState) as refused:
        town.run(leave(), evaluator)

    assert refused.value.fields == {"state": state, "allowed": allowed}


def test_nobody_joins_a_deal_whose_protection_is_over_though_the_clock_has_not_ticked_yet() -> None:
    town = protected()
    late = END - timedelta(days=1)
    town.run(invite(now=late))

    with pytest.raises(DealOver):
        town.run(accept(now=END))


# Before the approval


def test_who_joins_a_deal_in_review_claims_nothing_until_it_is_approved_and_then_holds_with_it() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(invite())

    _, joined, claims = town.run(accept())
    assert ([one.held_until for one in joined], claims) == ([None], [])
    told, changed = town.run(approval())

    approved = told[-1]
    assert isinstance(approved, DealApproved)
    assert approved.terms.participants == (Participant(partner_id=PartnerId("p-1"), role="resell"), DISTRIBUTOR)
    held = [(one.registration_id, one.protection) for one in changed if isinstance(one, ClaimHeld)]
    assert held == [(RegistrationId("a"), approved.protection), (RegistrationId(ASKED), approved.protection)]


def test_a_participant_whom_a_rival_keeps_out_when_the_deal_is_approved_leaves_and_the_deal_is_approved() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(invite())
    town.run(accept())
    town.register("b", "p-3", role="distribute")
    town.run(approval("b", "p-3"))

    told, changed = town.run(approval())

    assert told[:-1][-1] == ParticipantLeft(
        **OF_A,
        invitation_id=ASKED,
        participant=DISTRIBUTOR,
        reason_code="role-held",
        deal_over=False,
        left_by=None,
        left_at=NOW,
    )
    assert told[-1].terms.participants == (Participant(partner_id=PartnerId("p-1"), role="resell"),)
    assert [one.registration_id for one in changed if isinstance(one, ClaimHeld)] == ["a"]


# The end of the deal


MORE = Evidence(kind="mail", dated_on=NOW.date(), sha256="b" * 64)
ENDS = {
    "withdrawn": [WithdrawDeal(**on(), reason_code="withdrawn", by="seller-p-1")],
    "expired": [EndProtection(**on(now=END))],
    "partner-left": [EndProtection(**on(), reason_code="partner-left")],
    "won": [CloseDeal(**on(), result="won", opportunity_id="o-1", source_event_id="e-1")],
    "lost": [CloseDeal(**on(), result="lost", opportunity_id="o-1", source_event_id="e-1")],
    "revoked": [
        RevokeDeal(**on(), reason_code="misuse", evidence=(MORE,), by="desk-1"),
        RevokeDeal(**on(), reason_code="misuse", evidence=(MORE,), by="desk-2"),
    ],
}


@pytest.mark.parametrize(("reason_code", "commands"), ENDS.items())
def test_who_takes_part_goes_with_the_deal_and_its_claim_in_the_same_commit(
    reason_code: str, commands: list[Any]
) -> None:
    town = with_distributor()

    *_, last = [town.run(wish) for wish in commands]

    left = [one for one in last[0] if isinstance(one, ParticipantLeft)]
    assert [(one.invitation_id, one.reason_code, one.deal_over) for one in left] == [(ASKED, reason_code, True)]
    assert (line(town), deal(town).participants) == ([], ())


def test_who_joined_a_deal_that_is_rejected_goes_with_it() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(invite())
    town.run(accept())

    told, _ = town.run(RejectDeal(**on(), reason_code="other", message=SEALED, by="desk-1"))

    assert [(one.reason_code, one.deal_over) for one in told if isinstance(one, ParticipantLeft)] == [
        ("rejected", True)
    ]


def test_who_took_part_in_a_duplicate_goes_with_it() -> None:
    town = with_distributor()
    town.register("b", "p-1", products=(product("200"),))
    town.run(approval("b", "p-1"))

    told, _, _ = town.run(MergeDuplicate(**on(), into=RegistrationId("b"), into_accounts=(CONTOSO,), by="desk-1"))

    assert [type(one) for one in told[-2:]] == [ProtectionEnded, ParticipantLeft]
    assert line(town) == [("b", "resell", "held")]


def test_a_participant_holds_on_while_an_extension_is_asked_for() -> None:
    town = with_distributor()
    later = END - timedelta(days=1)

    _, changed = town.run(RequestExtension(**on(now=later), evidence=(MORE,), by="seller-p-1"))

    longer = {one.registration_id: one.ends_at for one in changed if isinstance(one, ClaimExtended)}
    assert list(longer) == ["a", ASKED]
    assert len(set(longer.values())) == 1


def test_who_has_won_with_the_deal_is_an_incumbent_in_its_role() -> None:
    town = with_distributor()

    town.run(ENDS["won"][0])

    won = town.state(ClaimsOf.at(CONTOSO)).incumbents
    assert [(one.partner_id, one.reach.role) for one in won] == [("p-2", "distribute"), ("p-1", "resell")]


# Orders


def test_the_distributor_of_a_deal_records_its_orders_until_it_leaves() -> None:
    town = with_distributor()
    booked: dict[str, Any] = {"amount": money("500.00", "EUR"), "ordered_on": NOW.date()}
    order = RecordOrder(**on(), order_ref="O-1", **booked, recorded_for=PartnerId("p-2"), by="seller-p-2")

    assert town.run(order) == [
        [
            OrderRecorded(
                **OF_A,
                order_ref="O-1",
                **booked,
                recorded_for=PartnerId("p-2"),
                recorded_by="seller-p-2",
                recorded_at=NOW,
                distributor_id=PartnerId("p-2"),
            )
        ]
    ]
    town.run(leave())
    with pytest.raises(NotDistributor):
        town.run(order)


# Customers that turn out to be one, or to belong together


def two_customers(role: str) -> Town:
    """One deal holds a customer with a distributor, another deal another customer in a role."""
    town = with_distributor()
    other = customer(domain="fabrikam.com")
    town.register("b", "p-3", role=role, keys=(OTHER_KEY,), accounts=(FABRIKAM,), customer=other)
    town.run(approval("b", "p-3", accounts=(FABRIKAM,)))
    return town


def merging(town: Town, survivor: AccountId, absorbed: AccountId) -> list[list[Any]]:
    told = {"merge_id": "m-1", "reason": SEALED, "by": "desk-1", "now": NOW}
    return town.run(done(joining(survivor, absorbed, told)(Peek(town))))


def linking_them(town: Town) -> list[list[Any]]:
    told = {"link_id": "l-1", "reason": SEALED, "by": "desk-1", "now": NOW}
    return town.run(done(linking(FABRIKAM, CONTOSO, told)(Peek(town))))


def test_a_participant_moves_with_its_deal_when_customers_are_merged_and_back_when_they_are_split() -> None:
    town = two_customers("service")

    merging(town, FABRIKAM, CONTOSO)
    assert line(town, FABRIKAM) == [("b", "service", "held"), ("a", "resell", "held"), (ASKED, "distribute", "held")]
    town.run(done(parting(FABRIKAM, "m-1", (), {"by": "desk-1", "now": NOW})(Peek(town))))

    assert line(town) == [("a", "resell", "held"), (ASKED, "distribute", "held")]
    assert line(town, FABRIKAM) == [("b", "service", "held")]


def test_who_joined_after_a_merge_goes_where_its_deal_goes_when_it_is_taken_back() -> None:
    town = protected()
    other = customer(domain="fabrikam.com")
    town.register("b", "p-3", role="service", keys=(OTHER_KEY,), accounts=(FABRIKAM,), customer=other)
    merging(town, FABRIKAM, CONTOSO)
    town.run(invite(accounts=(FABRIKAM,)))
    town.run(accept(accounts=(FABRIKAM,)))

    town.run(done(parting(FABRIKAM, "m-1", (), {"by": "desk-1", "now": NOW})(Peek(town))))

    assert line(town) == [("a", "resell", "held"), (ASKED, "distribute", "held")]


def test_a_participant_in_a_deal_on_a_whole_group_stands_in_every_line_of_it() -> None:
    town = Town()
    town.register("a", "p-1", scope="group")
    town.run(approval())
    other = customer(domain="fabrikam.com")
    town.register("b", "p-3", role="distribute", keys=(OTHER_KEY,), accounts=(FABRIKAM,), customer=other)
    town.run(invite())
    town.run(accept())

    linking_them(town)
    told = {"by": "desk-1", "now": NOW}

    assert line(town, FABRIKAM) == [
        ("b", "distribute", "pending"),
        ("a", "resell", "held"),
        (ASKED, "distribute", "held"),
    ]
    town.run(done(cutting(FABRIKAM, told)(Peek(town))))
    assert line(town, FABRIKAM) == [("b", "distribute", "pending")]
    assert line(town) == [("a", "resell", "held"), (ASKED, "distribute", "held")]


def test_a_participant_meets_who_was_one_with_it_once_they_are_two_again_and_nobody_loses_a_hold() -> None:
    town = with_distributor()
    town.register("b", "p-3", role="distribute")
    alias_them(town, PartnerId("p-2"))
    frees = town.of(ClaimsOf.at(CONTOSO))[-1].frees
    promoted = {"screening_id": "promotion-b", "partner_id": PartnerId("p-3"), "now": NOW}
    town.run(PromoteDeal(registration_id=RegistrationId("b"), accounts=(CONTOSO,), programme="default", **promoted))
    town.run(approval("b", "p-3"))

    alias_them(town, None)

    assert frees == ("b",)
    assert line(town) == [("a", "resell", "held"), (ASKED, "distribute", "contested"), ("b", "distribute", "contested")]
    assert town.state(Disputes.at("b")).first.against == (ASKED,)
    town.run(leave("removed"))
    assert line(town) == [("a", "resell", "held"), ("b", "distribute", "held")]


def alias_them(town: Town, counts_as: PartnerId | None) -> None:
    town.run(done(aliasing(RegistrationId("b"), PartnerId("p-3"), counts_as, NOW)(Peek(town))))
