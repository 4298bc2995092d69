"""Two accounts that are one customer, and a merge that is taken back: who holds goes on holding."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from contracts.values import AccountId, OpportunityId, PartnerId, RegistrationId
from services.registration.domain.account import AccountMerged, Accounts, AddKey, KeptApart, KeyTaken
from services.registration.domain.account_key import AccountKeys, Key, KeyBound, SharedByTooMany, share_key
from services.registration.domain.claim import CONTESTED, HELD, PENDING, WAITING
from services.registration.domain.claim_history import Told, as_known
from services.registration.domain.claims import Claims, ClaimsJoined, ClaimsOf, collisions
from services.registration.domain.concluding import LOST_DISPUTE
from services.registration.domain.deal import Deals, Status
from services.registration.domain.deal_commands import CloseDeal, DecideFinding, EndProtection, GivesWay
from services.registration.domain.dispute import (
    ConcludeDispute,
    DisputeDecided,
    DisputeOpened,
    Disputes,
    DisputeWithdrawn,
)
from services.registration.domain.merging import (
    ApartForGood,
    Collision,
    MergeAccounts,
    SplitAccounts,
    SplitIncomplete,
    Target,
    going_of,
    merge_of,
)
from services.registration.domain.reviewing import NoSuchFinding
from tests.registration.deals import CONTOSO, NOW, SEALED, Town, approval, candidate, customer

FABRIKAM = AccountId("account-fabrikam")
LATER = NOW + timedelta(days=1)
OTHER_KEY = Key(scheme="domain", value="fabrikam.com")


def apart(*, approved: bool = True) -> Town:
    """One customer under two names: a holds the one and c waits there, b holds the other."""
    town = Town("p-1", "p-2", "p-3", "p-4")
    town.register("a", "p-1")
    town.run(approval("a", "p-1"))
    town.register("c", "p-3")
    town.register("b", "p-2", keys=(OTHER_KEY,), accounts=(FABRIKAM,), customer=customer(domain="fabrikam.com"))
    if approved:
        town.run(approval("b", "p-2", accounts=(FABRIKAM,)))
    return town


def line(town: Town, account: AccountId) -> Claims:
    state: Claims = town.state(ClaimsOf.at(account))
    return state


def states(town: Town, account: AccountId) -> dict[str, str]:
    return {claim.registration_id: claim.state for claim in line(town, account).live}


def merging(town: Town, **changes: Any) -> MergeAccounts:
    """As `application.joining` prepares it."""
    here, there = line(town, CONTOSO), line(town, FABRIKAM)
    pairs = collisions(here, there, LATER)
    young = dict.fromkeys(second.registration_id for _, second in pairs)
    found = [
        Collision(
            registration_id=one,
            programme="default",
            against=tuple(first.registration_id for first, second in pairs if second.registration_id == one),
        )
        for one in young
    ]
    wish = MergeAccounts(
        merge_id="m-1",
        survivor_id=CONTOSO,
        absorbed_id=FABRIKAM,
        keys=town.state(Accounts.at(FABRIKAM)).keys,
        moved=tuple(claim.registration_id for claim in there.live),
        collisions=tuple(found),
        reason=SEALED,
        by="desk-1",
        now=LATER,
    )
    return replace(wish, **changes)


def splitting(town: Town, *targets: Target) -> SplitAccounts:
    """As `application.parting` prepares it."""
    survivor = town.state(Accounts.at(CONTOSO))
    merge = merge_of("m-1", survivor)
    wish = SplitAccounts(
        merge_id="m-1",
        survivor_id=CONTOSO,
        absorbed_id=FABRIKAM,
        keys=merge.keys,
        contested=merge.contested,
        targets=targets,
        by="desk-1",
        now=LATER,
    )
    return replace(wish, going=going_of(wish, merge, line(town, CONTOSO)))


def merged() -> Town:
    town = apart()
    town.run(merging(town))
    return town


# Done when 6


def test_done_when_6_merge_then_split_restores_claims() -> None:
    town = apart()
    before = line(town, CONTOSO), line(town, FABRIKAM), town.state(Accounts.at(CONTOSO))
    town.run(merging(town))
    town.run(splitting(town))
    assert before == (line(town, CONTOSO), line(town, FABRIKAM), town.state(Accounts.at(CONTOSO)))
    assert (FABRIKAM,) == town.state(Deals.at("b")).accounts
    assert (FABRIKAM,) == town.state(AccountKeys.at(OTHER_KEY.identity)).accounts


def won(town: Town, deal: str, partner: str, account: AccountId, **asked: Any) -> None:
    town.register(deal, partner, accounts=(account,), **asked)
    town.run(approval(deal, partner, accounts=(account,)))
    closing = {"result": "won", "opportunity_id": OpportunityId("o"), "source_event_id": "e"}
    town.run(CloseDeal(registration_id=RegistrationId(deal), accounts=(account,), now=LATER, **closing))


def test_done_when_6_who_won_here_last_is_so_again_after_a_split_also_where_it_won_the_same_there() -> None:
    town = Town("p-1", "p-2")
    won(town, "a", "p-1", CONTOSO)
    won(town, "b", "p-2", CONTOSO)
    won(town, "c", "p-1", FABRIKAM, keys=(OTHER_KEY,), customer=customer(domain="fabrikam.com"))
    town.run(merging(town))
    assert ["p-1", "p-2", "p-1"] == [one.partner_id for one in line(town, CONTOSO).incumbents]

    town.run(splitting(town))

    assert ["p-1", "p-2"] == [one.partner_id for one in line(town, CONTOSO).incumbents]
    assert ["p-1"] == [one.partner_id for one in line(town, FABRIKAM).incumbents]


def test_a_split_of_an_earlier_evaluator_left_the_first_of_them_to_the_other_customer() -> None:
    town = Town("p-1", "p-2")
    won(town, "a", "p-1", CONTOSO)
    won(town, "b", "p-2", CONTOSO)
    won(town, "c", "p-1", FABRIKAM, keys=(OTHER_KEY,), customer=customer(domain="fabrikam.com"))
    town.run(merging(town))

    town.run(splitting(town), evaluator=2)

    assert ["p-2", "p-1"] == [one.partner_id for one in line(town, CONTOSO).incumbents]


def found_and_merged() -> Town:
    """A deal on one customer was found to be like the other one, and before anybody decided that, the two are one."""
    town = Town("p-1", "p-2")
    town.register("a", "p-1")
    fabrikam = {"keys": (OTHER_KEY,), "accounts": (FABRIKAM,), "customer": customer(domain="fabrikam.com")}
    town.register("b", "p-2", candidates=(candidate(CONTOSO, token_set_percent=100, link="parent"),), **fabrikam)
    town.run(merging(town))
    assert (CONTOSO,) == town.state(Deals.at("b")).accounts
    return town


def finding(verdict: str) -> DecideFinding:
    deal = {"registration_id": RegistrationId("b"), "accounts": (CONTOSO,), "now": LATER}
    return DecideFinding(**deal, account_id=CONTOSO, verdict=verdict, reason=SEALED, by="desk-1")


def test_a_customer_that_is_the_deals_own_by_now_is_the_same_already() -> None:
    town = found_and_merged()
    before = town.state(Deals.at("b"))
    assert all(events == [] for events in town.run(finding("same")))
    assert before == town.state(Deals.at("b"))


@pytest.mark.parametrize("verdict", ["different", "related"])
def test_a_customer_that_is_the_deals_own_by_now_can_be_nothing_else(verdict: str) -> None:
    with pytest.raises(NoSuchFinding):
        found_and_merged().run(finding(verdict))


def test_the_first_evaluator_let_a_deal_enter_its_own_customer_again() -> None:
    town = found_and_merged()
    town.run(finding("same"), evaluator=1)
    assert (CONTOSO, CONTOSO) == town.state(Deals.at("b")).accounts


def test_done_when_6_a_collision_revokes_nothing() -> None:
    town = merged()
    assert {"a": CONTESTED, "b": CONTESTED, "c": WAITING} == states(town, CONTOSO)
    assert [Status.APPROVED, Status.APPROVED] == [town.state(Deals.at(one)).status for one in ("a", "b")]
    assert line(town, FABRIKAM) == Claims(moved_to=CONTOSO)


def test_a_collision_opens_a_dispute_over_the_younger_hold() -> None:
    town = merged()
    [opened] = town.of(Disputes.at("b"))
    assert isinstance(opened, DisputeOpened)
    assert ("wrong_match", ("a",), None) == (opened.kind, opened.against, opened.statement)
    assert [] == town.of(Disputes.at("a"))


def test_a_split_takes_the_dispute_back_that_the_merge_opened() -> None:
    town = merged()
    town.run(splitting(town))
    assert isinstance(town.of(Disputes.at("b"))[-1], DisputeWithdrawn)


def test_approvals_wait_while_two_holds_are_contested() -> None:
    town = merged()
    events = town.register("d", "p-4")
    assert "rival-ahead" in [reason.code for reason in events[-1].reasons]
    assert WAITING == states(town, CONTOSO)["d"]


def test_a_hold_is_uncontested_again_when_the_other_one_ends() -> None:
    town = merged()
    held = line(town, CONTOSO).of("a")
    assert held is not None
    assert held.protection is not None
    town.run(EndProtection(registration_id=RegistrationId("a"), accounts=(CONTOSO,), now=held.protection.end))
    assert {"b": HELD, "c": WAITING} == states(town, CONTOSO)


def test_a_deal_in_review_is_named_when_a_holder_blocks_it_now() -> None:
    town = apart(approved=False)
    town.run(merging(town))
    joined = town.of(ClaimsOf.at(CONTOSO))[-1]
    assert isinstance(joined, ClaimsJoined)
    assert ("b",) == joined.blocks
    assert {"a": HELD, "c": WAITING, "b": PENDING} == states(town, CONTOSO)


def test_a_key_of_the_absorbed_account_leads_to_the_survivor() -> None:
    town = merged()
    events = town.register("d", "p-4", keys=(OTHER_KEY,), customer=customer(domain="fabrikam.com"))
    assert (CONTOSO,) == events[0].accounts


def test_a_claim_that_came_after_the_merge_goes_where_it_is_told_to() -> None:
    town = merged()
    town.register("d", "p-4", keys=(OTHER_KEY,), customer=customer(domain="fabrikam.com"))
    with pytest.raises(SplitIncomplete) as refused:
        town.run(splitting(town))
    assert {"claims": ["d"]} == refused.value.fields
    town.run(splitting(town, Target(registration_id=RegistrationId("d"), account_id=FABRIKAM)))
    assert {"b": HELD, "d": WAITING} == states(town, FABRIKAM)
    assert (FABRIKAM,) == town.state(Deals.at("d")).accounts


def test_what_was_decided_to_be_apart_for_good_is_not_merged() -> None:
    town = apart()
    kept = KeptApart(
        account_id=CONTOSO, other_id=FABRIKAM, registration_id=RegistrationId("a"), decided_by="desk-1", kept_at=NOW
    )
    town.keep(Accounts.at(CONTOSO), [kept])
    with pytest.raises(ApartForGood):
        town.run(merging(town))


def test_an_absorbed_account_is_merged_nowhere_else() -> None:
    town = merged()
    again = merging(town, merge_id="m-2", keys=(), moved=(), collisions=())
    with pytest.raises(AccountMerged) as refused:
        town.run(again)
    assert {"account_id": CONTOSO} == refused.value.fields


# Whom a dispute over two holds ends in favour of


def decided(outcome: str) -> Town:
    town = merged()
    [opened] = town.of(Disputes.at("b"))
    ruled = DisputeDecided(
        **header(opened),
        outcome=outcome,
        reason=SEALED,
        shares=(),
        due_at=LATER,
        decided_by="arbiter-1",
        decided_at=LATER,
    )
    town.keep(Disputes.at("b"), [ruled])
    rival = GivesWay(registration_id=RegistrationId("a"), accounts=(CONTOSO,), reason_code=LOST_DISPUTE)
    town.run(
        ConcludeDispute(
            registration_id=RegistrationId("b"),
            accounts=(CONTOSO,),
            programme="default",
            partner_id=PartnerId("p-2"),
            screening_id="s-final",
            gives_way=(rival,),
            now=LATER + timedelta(days=30),
        )
    )
    return town


def header(opened: DisputeOpened) -> dict[str, Any]:
    return {name: getattr(opened, name) for name in ("registration_id", "number", "programme", "partner_id")}


@pytest.mark.parametrize(
    ("outcome", "expected", "left"),
    [
        ("upheld", {"a": Status.APPROVED, "b": Status.REVOKED}, {"a": HELD, "c": WAITING}),
        ("overturned", {"a": Status.REVOKED, "b": Status.APPROVED}, {"b": HELD, "c": WAITING}),
        ("split", {"a": Status.APPROVED, "b": Status.APPROVED}, {"a": HELD, "b": HELD, "c": WAITING}),
        ("no_protection", {"a": Status.REVOKED, "b": Status.REVOKED}, {"c": WAITING}),
    ],
)
def test_a_dispute_ends_the_contest(outcome: str, expected: dict[str, Status], left: dict[str, str]) -> None:
    town = decided(outcome)
    assert expected == {one: town.state(Deals.at(one)).status for one in ("a", "b")}
    assert left == states(town, CONTOSO)


# Shared keys


def adding(account: AccountId, *, share: bool) -> AddKey:
    return AddKey(account_id=account, key=Key(scheme="domain", value="contoso.com"), share=share, by="desk-1", now=NOW)


def test_a_key_of_another_customer_is_taken_unless_it_is_shared() -> None:
    town = apart()
    with pytest.raises(KeyTaken) as refused:
        town.run(adding(FABRIKAM, share=False))
    assert {"account_id": CONTOSO} == refused.value.fields
    town.run(adding(FABRIKAM, share=True))
    assert (CONTOSO, FABRIKAM) == town.state(AccountKeys.at(adding(FABRIKAM, share=True).key.identity)).accounts


def test_a_key_leads_to_fifty_customers_and_no_more() -> None:
    key, accounts = adding(FABRIKAM, share=True).key, [AccountId(f"account-{number}") for number in range(50)]
    bound, *others = accounts
    first = KeyBound(scheme=key.scheme, value=key.value, account_id=bound, registration_id="a", bound_at=NOW)
    events: list[Any] = [first]
    for account in others:
        events += share_key(key, AccountKeys.fold(events), account_id=account, now=NOW)

    assert AccountKeys.fold(events).accounts == tuple(accounts)
    with pytest.raises(SharedByTooMany) as refused:
        share_key(key, AccountKeys.fold(events), account_id=FABRIKAM, now=NOW)
    assert refused.value.status == 422


def test_a_key_that_both_had_leads_to_both_again_after_a_split() -> None:
    town = apart()
    town.run(adding(FABRIKAM, share=True))
    town.run(merging(town))
    key = AccountKeys.at(adding(FABRIKAM, share=True).key.identity)
    assert (CONTOSO,) == town.state(key).accounts
    town.run(splitting(town))
    assert (CONTOSO, FABRIKAM) == town.state(key).accounts


# Then, and as known then


def test_who_held_it_then_as_it_was_known_then() -> None:
    told = [Told(event=event, recorded_at=NOW) for event in apart().of(ClaimsOf.at(CONTOSO))]
    late = replace(told[1], recorded_at=LATER)
    assert HELD == as_known(told, NOW, NOW)[0].state
    assert PENDING == as_known([told[0], late], NOW, NOW)[0].state
    assert HELD == as_known([told[0], late], NOW, LATER)[0].state
    assert () == as_known(told, NOW - timedelta(seconds=1), LATER)
