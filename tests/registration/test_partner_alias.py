"""Partners that became one are no rivals, and are rivals again once they are two: nobody loses a hold either way."""

from datetime import timedelta
from typing import Any

import pytest

from chassis.decider import Raced
from contracts.values import AccountId, PartnerId, RegistrationId
from services.registration.domain.claim import CONTESTED, HELD, WAITING
from services.registration.domain.claims import Claims, ClaimsAliased, ClaimsOf, ClaimsParted, meeting, reconciled
from services.registration.domain.deal import AlreadyRegistered, Deals, Status
from services.registration.domain.deal_commands import (
    CloseDeal,
    DecideFinding,
    MergeDuplicate,
    PromoteDeal,
    WithdrawDeal,
)
from services.registration.domain.dispute import DisputeOpened, Disputes, DisputeWithdrawn
from services.registration.domain.ending import NotDuplicate
from services.registration.domain.merging import Collision
from services.registration.domain.partner_alias import AliasPartner
from services.registration.domain.partner_facts import PartnerFacts, RecordPartnerFacts
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, candidate, customer, product
from tests.registration.test_merging import FABRIKAM, OTHER_KEY, apart, merging, splitting
from tests.registration.test_merging import merged as merged_accounts

LATER = NOW + timedelta(days=1)


def line(town: Town) -> Claims:
    state: Claims = town.state(ClaimsOf.at(CONTOSO))
    return state


def states(town: Town) -> dict[str, str]:
    return {claim.registration_id: claim.state for claim in line(town).live}


def aliasing(town: Town, partner: str = "p-1", into: str | None = "p-2", **changes: Any) -> AliasPartner:
    """As `application.on_partners` prepares it."""
    whose = PartnerId(partner), PartnerId(into) if into else None
    pairs = meeting(line(town), *whose, LATER)
    young = {second.deal: tuple(a.deal for a, b in pairs if b.deal == second.deal) for _, second in pairs}
    found = [Collision(registration_id=one, programme="default", against=old) for one, old in young.items()]
    known: dict[str, Any] = {
        "collisions": tuple(found),
        "settled": () if pairs else reconciled(line(town), *whose),
        **changes,
    }
    return AliasPartner(partner_id=whose[0], counts_as=whose[1], accounts=(CONTOSO,), now=LATER, **known)


def held_and_waiting() -> Town:
    """One partner holds the customer, and another one waits for it."""
    town = Town("p-1", "p-2", "p-3")
    town.register("a", "p-1")
    town.run(approval("a", "p-1"))
    town.register("b", "p-2")
    assert states(town) == {"a": HELD, "b": WAITING}
    return town


def test_who_waited_only_for_the_one_that_it_is_one_with_now_moves_up() -> None:
    town = held_and_waiting()

    town.run(aliasing(town))

    [told] = [one for one in town.of(ClaimsOf.at(CONTOSO)) if isinstance(one, ClaimsAliased)]
    assert told == ClaimsAliased(
        partner_id=PartnerId("p-1"),
        counts_as=PartnerId("p-2"),
        contested=(),
        blocks=(),
        frees=(RegistrationId("b"),),
        aliased_at=LATER,
    )
    town.run(promotion("b", "p-2"))
    assert town.state(Deals.at("b")).status == Status.IN_REVIEW
    town.run(approval("b", "p-2", now=LATER))
    assert states(town) == {"a": HELD, "b": HELD}


def promotion(deal: str, partner: str) -> PromoteDeal:
    return PromoteDeal(
        registration_id=RegistrationId(deal),
        accounts=(CONTOSO,),
        programme="default",
        partner_id=PartnerId(partner),
        screening_id=f"promotion-{deal}",
        now=LATER,
    )


def test_a_rival_of_both_waits_behind_either_as_before() -> None:
    town = held_and_waiting()
    town.run(aliasing(town))

    events = town.register("c", "p-3")

    assert [reason.code for reason in events[-1].reasons] == ["rival-ahead"]


def test_the_one_that_goes_on_has_what_the_other_one_has_registered() -> None:
    town = Town()
    town.register("a", "p-1")
    town.run(approval("a", "p-1"))
    town.run(aliasing(town))

    with pytest.raises(AlreadyRegistered) as refused:
        town.register("b", "p-2")
    assert refused.value.fields == {"registration_id": "a"}
    town.register("c", "p-2", products=(product("200"),))


def test_told_twice_nothing_changes() -> None:
    town = held_and_waiting()
    town.run(aliasing(town))

    assert town.run(aliasing(town)) == [[]]
    assert town.run(aliasing(town, "p-3", None)) == [[]]
    town.run(aliasing(town, "p-2", "p-3"))
    assert town.run(aliasing(town)) == [[]]


def test_holds_of_both_are_contested_once_they_are_two_again_and_a_dispute_opens_over_the_younger() -> None:
    town = held_and_waiting()
    town.run(aliasing(town))
    town.run(promotion("b", "p-2"))
    town.run(approval("b", "p-2", now=LATER))

    town.run(aliasing(town, into=None))

    assert states(town) == {"a": CONTESTED, "b": CONTESTED}
    [opened] = town.of(Disputes.at("b"))
    assert isinstance(opened, DisputeOpened)
    assert (opened.against, [one.partner_id for one in opened.holders]) == (("a",), ["p-1"])
    assert [town.state(Deals.at(one)).status for one in ("a", "b")] == [Status.APPROVED, Status.APPROVED]


def test_who_waits_is_kept_out_again_where_only_one_of_the_two_holds() -> None:
    town = held_and_waiting()
    town.run(aliasing(town))
    town.run(promotion("b", "p-2"))

    town.run(aliasing(town, into=None))

    told = town.of(ClaimsOf.at(CONTOSO))[-1]
    assert (told.counts_as, told.blocks, told.contested) == (None, ("b",), ())
    assert town.of(Disputes.at("b")) == []


def test_holds_that_the_two_contested_between_them_are_contested_no_more_and_the_dispute_ends() -> None:
    town = merged_accounts()
    assert states(town) == {"a": CONTESTED, "b": CONTESTED, "c": WAITING}

    town.run(aliasing(town))

    assert states(town) == {"a": HELD, "b": HELD, "c": WAITING}
    assert isinstance(town.of(Disputes.at("b"))[-1], DisputeWithdrawn)


def test_a_split_of_the_customer_leaves_partners_one() -> None:
    town = merged_accounts()
    town.run(aliasing(town))

    town.run(splitting(town))

    assert isinstance(town.of(ClaimsOf.at(CONTOSO))[-1], ClaimsParted)
    assert [one.counts_as for one in line(town).aliases] == ["p-2"]
    assert states(town) == {"a": HELD, "c": WAITING}


def withdrawal(deal: str) -> WithdrawDeal:
    of = {"registration_id": RegistrationId(deal), "accounts": (CONTOSO,), "programme": "default"}
    return WithdrawDeal(**of, reason_code="lost-interest", by="seller-1", now=LATER)  # type: ignore[arg-type]


def closing(deal: str, partner: str, *accounts: AccountId) -> CloseDeal:
    told = {"result": "won", "opportunity_id": "o-1", "source_event_id": "e-1", "partner_id": PartnerId(partner)}
    of = {"registration_id": RegistrationId(deal), "accounts": accounts or (CONTOSO,), "programme": "default"}
    return CloseDeal(**of, **told, now=LATER)  # type: ignore[arg-type]


def whose(claims: Claims) -> dict[str, str]:
    return {one.partner_id: one.counts_as for one in claims.aliases}


def test_a_line_forgets_as_whom_a_partner_counts_once_that_has_nothing_there() -> None:
    town = held_and_waiting()
    town.run(aliasing(town))

    town.run(withdrawal("a"))

    assert whose(line(town)) == {}
    assert town.run(aliasing(town)) == [[]]
    town.run(promotion("b", "p-2"))
    town.run(approval("b", "p-2", now=LATER))
    events = town.register("a-2", "p-1")
    assert [reason.code for reason in events[-1].reasons] == ["rival-ahead"]


def test_a_line_knows_as_whom_a_partner_counts_while_that_has_another_claim_there_or_has_won() -> None:
    town = Town()
    town.register("a", "p-1")
    town.register("more", "p-1", products=(product("200"),))
    town.run(approval("a", "p-1"))
    town.run(aliasing(town))

    town.run(withdrawal("more"))
    assert whose(line(town)) == {"p-1": "p-2"}

    town.run(closing("a", "p-1"))
    assert whose(line(town)) == {"p-1": "p-2"}
    town.run(aliasing(town, into=None))
    assert ([one.whose for one in line(town).incumbents], whose(line(town))) == (["p-1"], {})


def test_a_split_leaves_each_customer_with_those_that_have_something_there() -> None:
    town = merged_accounts()
    town.run(aliasing(town, "p-2", "p-1"))

    town.run(splitting(town))

    assert (whose(line(town)), whose(town.state(ClaimsOf.at(FABRIKAM)))) == ({}, {"p-2": "p-1"})


def test_what_was_won_before_a_merge_counts_after_its_split_as_that_of_whoever_goes_on_by_then() -> None:
    town = apart()
    town.run(closing("b", "p-2", FABRIKAM))
    town.run(merging(town))
    town.run(aliasing(town, "p-2", "p-3"))

    town.run(splitting(town))

    there = town.state(ClaimsOf.at(FABRIKAM))
    assert ([one.whose for one in there.incumbents], whose(there), whose(line(town))) == (["p-3"], {"p-2": "p-3"}, {})


def test_what_the_absorbed_partner_won_makes_the_other_one_the_incumbent() -> None:
    town = Town("p-1", "p-2", "p-3", priority=["incumbent_on_renewal", "first_to_register"])
    town.register("a", "p-1")
    town.run(approval("a", "p-1"))
    town.run(closing("a", "p-1"))
    town.run(aliasing(town))
    town.register("c", "p-3", deal_type="renewal")

    events = town.register("b", "p-2", deal_type="renewal")

    [met] = next(one for one in events if hasattr(one, "screening")).screening.conflicts
    assert (met.path, met.wins) == ("incumbent_on_renewal", True)


def test_two_deals_of_partners_that_are_one_can_be_one_deal() -> None:
    town = held_and_waiting()
    of = {"registration_id": RegistrationId("b"), "into": RegistrationId("a"), "programme": "default"}
    both = {"accounts": (CONTOSO,), "into_accounts": (CONTOSO,), "by": "desk-1", "now": LATER}
    merge = MergeDuplicate(**of, **both)  # type: ignore[arg-type]
    with pytest.raises(NotDuplicate):
        town.run(merge)

    town.run(aliasing(town))
    town.run(merge)

    assert states(town) == {"a": HELD}


def test_a_claim_that_enters_another_customer_counts_there_too_as_that_of_the_one_that_goes_on() -> None:
    town = Town()
    other = candidate(link="alias")
    town.register("b", "p-2", keys=(OTHER_KEY,), accounts=(other.account_id,), customer=customer(domain="fabrikam.com"))
    town.run(approval("b", "p-2", accounts=(other.account_id,)))
    town.register("a", "p-1", candidates=(other,))
    town.run(aliasing(town))
    same = {"account_id": other.account_id, "verdict": "same", "reason": SEALED, "by": "desk-1", "now": LATER}
    of = {"registration_id": RegistrationId("a"), "accounts": (CONTOSO,), "programme": "default"}

    town.run(DecideFinding(**of, **same))  # type: ignore[arg-type]

    there = town.state(ClaimsOf.at(other.account_id))
    assert {one.registration_id: one.whose for one in there.live} == {"b": "p-2", "a": "p-2"}
    both = {"accounts": (CONTOSO, other.account_id), "now": LATER}
    town.run(approval("a", "p-1", **both))
    assert "rivals" not in {check.name for check in town.state(Deals.at("a")).screened.screening.failed}
    town.run(approval("a", "p-1", **both))
    assert town.state(Deals.at("a")).status == Status.APPROVED


def test_a_collision_that_was_not_looked_up_is_decided_anew() -> None:
    town = held_and_waiting()
    town.run(aliasing(town))
    town.run(promotion("b", "p-2"))
    town.run(approval("b", "p-2", now=LATER))

    with pytest.raises(Raced):
        town.run(aliasing(town, into=None, collisions=()))


def test_what_the_absorbed_partner_asked_for_before_goes_on() -> None:
    told: dict[str, Any] = {"types": ("reseller",), "source_position": 1, "now": NOW}
    town = Town("p-2")
    for revision, more in enumerate(({}, {"suspended": ("new_business",), "survivor_id": PartnerId("p-2")}), 1):
        of = {"partner_id": PartnerId("p-1"), "revision": revision, "source_event_id": f"e-{revision}"}
        town.run(RecordPartnerFacts(**of, **told, **more))  # type: ignore[arg-type]
        if revision == 1:
            town.register("a", "p-1")

    town.run(approval("a", "p-1"))

    assert town.state(Deals.at("a")).status == Status.APPROVED
    assert not PartnerFacts(revision=1, suspended=("new_business",)).for_open_deals.may_register(NOW.date())
