"""Customers that belong together: a claim on the group stands in every member's line, and edges come and go."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from chassis.decider import NotFound, Raced, Stream
from contracts.values import AccountId, RegistrationId
from services.registration.application.on_accounts import cutting, linking
from services.registration.application.on_deals import Asked
from services.registration.application.on_findings import deciding
from services.registration.application.ports import Near
from services.registration.application.registering import Submission, prepare_registration
from services.registration.domain.account import Accounts, Group
from services.registration.domain.account_key import Key
from services.registration.domain.claim import CONTESTED, HELD, PENDING, WAITING
from services.registration.domain.claims import ClaimsOf
from services.registration.domain.deal import Deals, Status
from services.registration.domain.deal_commands import EndProtection, QueueDeal, WithdrawDeal
from services.registration.domain.dispute import DisputeOpened, Disputes, DisputeWithdrawn
from services.registration.domain.grouping import (
    EdgeLoop,
    GroupTooLarge,
    HasParent,
    LinkParent,
    NoParent,
    subtree,
)
from services.registration.domain.matching import Candidate, IndexSeen
from services.registration.domain.merging import InGroup, MergeAccounts
from tests.registration.deals import NOW, SEALED, Town, approval, candidate, customer, wish

LATER = NOW + timedelta(days=1)
HEAD, CHILD, GRANDCHILD = (AccountId(f"account-{name}") for name in ("head", "child", "grandchild"))


EDGE = {"link_id": "edge", "reason": SEALED, "by": "desk-1", "now": LATER}


class Peek:
    """Reads a town as commands are prepared from it."""

    def __init__(self, town: Town) -> None:
        self.town = town

    async def __call__(self, stream: Stream) -> Any:
        return self.town.state(stream)

    async def all(self, streams: Any) -> list[Any]:
        return [self.town.state(stream) for stream in streams]


@dataclass(frozen=True)
class Index:
    """The customers that resemble whichever is asked about."""

    found: tuple[Candidate, ...] = ()

    async def near(self, *_: Any) -> Near:
        return Near(candidates=self.found, index=IndexSeen(version=1, position=1))


def at(account: AccountId) -> dict[str, Any]:
    domain = f"{account}.com"
    keys = (Key(scheme="domain", value=domain),)
    return {"accounts": (account,), "keys": keys, "customer": customer(domain=domain)}


async def register(
    town: Town,
    deal: str,
    partner: str,
    account: AccountId,
    scope: str = "entity",
    hours: int = 0,
    near: Index = Index(),
) -> str:
    """Registers as the API prepares it; where it then stands."""
    made = wish(deal, partner, **at(account), scope=scope, now=NOW + timedelta(hours=hours))
    names = ("registration_id", "programme", "partner_id", "customer", "products", "role", "deal_type", "scope")
    fields = {name: getattr(made, name) for name in (*names, "details", "screening_id", "now")}
    said = Submission(**fields, by=made.submitted_by)
    command = await prepare_registration(Peek(town), near, "acme", said)  # type: ignore[arg-type]
    opens = town.state(Accounts.at(account)).opened
    town.run(command if opens else replace(command, accounts=(account,), groups=_alone(account, command.groups)))
    return str(town.state(Deals.at(deal)).status)


def _alone(account: AccountId, groups: tuple[Group, ...]) -> tuple[Group, ...]:
    return (Group(root_id=account),) if groups else ()


async def link(town: Town, child: AccountId, parent: AccountId) -> LinkParent:
    told = {"link_id": f"{child}-{parent}", "reason": SEALED, "by": "desk-1", "now": LATER}
    made: LinkParent = await linking(child, parent, told)(Peek(town))  # type: ignore[arg-type]
    town.run(made)
    return made


async def cut(town: Town, child: AccountId) -> None:
    town.run(await cutting(child, {"by": "desk-1", "now": LATER})(Peek(town)))  # type: ignore[arg-type]


def approve(town: Town, deal: str, partner: str) -> None:
    state = town.state(Deals.at(deal))
    town.run(approval(deal, partner, accounts=state.accounts))


def line(town: Town, account: AccountId) -> dict[str, str]:
    return {claim.registration_id: claim.state for claim in town.state(ClaimsOf.at(account)).live}


async def town_of(*accounts: AccountId) -> Town:
    """Every account is known by a deal that was withdrawn again."""
    town = Town("p-1", "p-2", "p-3", "p-9")
    for account in accounts:
        await register(town, f"of-{account}", "p-9", account)
        state = town.state(Deals.at(f"of-{account}"))
        gone = {"registration_id": RegistrationId(f"of-{account}"), "accounts": state.accounts, "now": NOW}
        town.run(WithdrawDeal(**gone, programme="default", reason_code="gone", by="seller"))
    return town


async def test_a_claim_on_the_group_stands_in_every_line_and_keeps_rivals_of_every_member_waiting() -> None:
    town = await town_of(HEAD, CHILD, GRANDCHILD)
    await link(town, CHILD, HEAD)
    await link(town, GRANDCHILD, CHILD)

    assert await register(town, "a", "p-1", GRANDCHILD, "group") == "in_review"
    approve(town, "a", "p-1")

    assert [line(town, one) for one in (HEAD, CHILD, GRANDCHILD)] == [{"a": HELD}] * 3
    assert town.state(Deals.at("a")).accounts == (GRANDCHILD, HEAD, CHILD)
    assert await register(town, "b", "p-2", HEAD) == "waiting"
    assert await register(town, "c", "p-3", CHILD, "group") == "waiting"
    [check] = [one for one in town.state(Deals.at("a")).screened.screening.checks if one.name == "accounts"]
    assert (check.value, check.pull) == (1, "approve")


async def test_a_new_member_stands_under_the_group_claims_and_brings_its_own() -> None:
    town = await town_of(HEAD, CHILD)
    await register(town, "a", "p-1", HEAD, "group")
    approve(town, "a", "p-1")
    await register(town, "b", "p-2", CHILD)

    made = await link(town, CHILD, HEAD)

    assert made.collisions == ()
    assert line(town, CHILD) == {"a": HELD, "b": PENDING}
    assert town.of(ClaimsOf.at(CHILD))[-1].blocks == ("b",)
    assert town.state(Deals.at("a")).accounts == (HEAD, CHILD)
    over = {"registration_id": RegistrationId("a"), "accounts": (HEAD, CHILD), "programme": "default"}
    queued = wish_of(town, QueueDeal, "b", "p-2")
    town.run(queued)
    town.run(EndProtection(**over, now=town.state(Deals.at("a")).protection.end))
    assert line(town, CHILD) == {"b": WAITING}
    assert town.of(ClaimsOf.at(CHILD))[-1].frees == ("b",)


def wish_of(town: Town, command: type[Any], deal: str, partner: str) -> Any:
    state = town.state(Deals.at(deal))
    told = {"registration_id": RegistrationId(deal), "accounts": state.accounts, "programme": "default"}
    return command(**told, now=LATER, partner_id=partner, screening_id=f"again-{deal}")


async def collided() -> Town:
    """A holds the group of the head, b the child: then the child comes under the head."""
    town = await town_of(HEAD, CHILD)
    await register(town, "a", "p-1", HEAD, "group")
    approve(town, "a", "p-1")
    await register(town, "b", "p-2", CHILD, hours=1)
    approve(town, "b", "p-2")
    await link(town, CHILD, HEAD)
    return town


async def test_holds_that_collide_by_an_edge_are_contested_and_nobody_loses_one() -> None:
    town = await collided()

    assert (line(town, HEAD), line(town, CHILD)) == ({"a": HELD}, {"a": CONTESTED, "b": CONTESTED})
    [opened] = town.of(Disputes.at("b"))
    assert (type(opened), opened.against, opened.kind) == (DisputeOpened, ("a",), "wrong_match")
    assert {town.state(Deals.at(one)).status for one in ("a", "b")} == {Status.APPROVED}


async def test_cutting_the_edge_gives_each_side_back_what_is_its_own() -> None:
    town = await collided()
    before = town.state(Deals.at("a"))

    await cut(town, CHILD)

    assert (line(town, HEAD), line(town, CHILD)) == ({"a": HELD}, {"b": HELD})
    assert isinstance(town.of(Disputes.at("b"))[-1], DisputeWithdrawn)
    assert (before.accounts, town.state(Deals.at("a")).accounts) == ((HEAD, CHILD), (HEAD,))
    assert [town.state(Accounts.at(one)).members for one in (HEAD, CHILD)] == [(), ()]
    await link(town, CHILD, HEAD)
    assert line(town, CHILD) == {"a": CONTESTED, "b": CONTESTED}


async def test_a_part_that_is_cut_out_keeps_what_is_below_it_and_the_claims_on_its_own_group() -> None:
    town = await town_of(HEAD, CHILD, GRANDCHILD)
    await link(town, CHILD, HEAD)
    await link(town, GRANDCHILD, CHILD)
    await register(town, "a", "p-1", GRANDCHILD, "group")

    await cut(town, CHILD)

    assert [line(town, one) for one in (HEAD, CHILD, GRANDCHILD)] == [{}, {"a": PENDING}, {"a": PENDING}]
    assert town.state(Accounts.at(CHILD)).members == (GRANDCHILD,)
    assert town.state(Deals.at("a")).accounts == (GRANDCHILD, CHILD)


async def test_who_joins_while_a_group_is_claimed_is_not_missed() -> None:
    town = await town_of(HEAD, CHILD)
    prepared = await linking(CHILD, HEAD, {"link_id": "e", "reason": SEALED, "by": "desk-1", "now": LATER})(Peek(town))  # type: ignore[arg-type]
    await register(town, "a", "p-1", HEAD, "group")
    with pytest.raises(Raced):
        town.run(prepared)

    made = wish("b", "p-2", **at(HEAD), scope="group", groups=(Group(root_id=HEAD),))
    await link(town, CHILD, HEAD)
    with pytest.raises(Raced):
        town.run(replace(made, keys=()))


async def test_a_group_claim_enters_the_group_of_a_customer_that_is_the_same() -> None:
    apart = AccountId("account-apart")
    town = await town_of(HEAD, CHILD, GRANDCHILD, apart)
    await link(town, CHILD, HEAD)
    await register(town, "b", "p-2", CHILD)
    await register(town, "a", "p-1", apart, "group", near=Index((candidate(HEAD, link="alias"),)))
    asked = Asked(registration_id="a", now=LATER)
    told = {"account_id": HEAD, "verdict": "same", "reason": SEALED, "by": "desk-1"}
    made = await deciding(asked, told, {})(Peek(town))  # type: ignore[arg-type]
    early = await linking(GRANDCHILD, CHILD, EDGE)(Peek(town))  # type: ignore[arg-type]

    town.run(made)

    assert [line(town, one) for one in (HEAD, CHILD)] == [{"a": PENDING}, {"a": PENDING, "b": PENDING}]
    deal = town.state(Deals.at("a"))
    assert (deal.accounts, deal.group) == ((apart, HEAD, CHILD), (CHILD,))
    with pytest.raises(Raced):
        town.run(early)
    await link(town, GRANDCHILD, CHILD)
    assert line(town, GRANDCHILD) == {"a": PENDING}
    await cut(town, CHILD)
    assert [line(town, one) for one in (HEAD, CHILD)] == [{"a": PENDING}, {"b": PENDING}]


async def test_who_joins_the_group_of_a_customer_before_it_is_said_to_be_the_same_is_not_missed() -> None:
    apart = AccountId("account-apart")
    town = await town_of(HEAD, CHILD, apart)
    await register(town, "a", "p-1", apart, "group", near=Index((candidate(HEAD, link="alias"),)))
    asked = Asked(registration_id="a", now=LATER)
    told = {"account_id": HEAD, "verdict": "same", "reason": SEALED, "by": "desk-1"}
    made = await deciding(asked, told, {})(Peek(town))  # type: ignore[arg-type]
    await link(town, CHILD, HEAD)

    with pytest.raises(Raced):
        town.run(made)


async def test_edges_that_cannot_be_are_refused() -> None:
    town = await town_of(HEAD, CHILD, GRANDCHILD)
    await link(town, CHILD, HEAD)

    with pytest.raises(EdgeLoop):
        await link(town, HEAD, CHILD)
    with pytest.raises(HasParent):
        await link(town, CHILD, GRANDCHILD)
    with pytest.raises(NotFound):
        await link(town, GRANDCHILD, AccountId("nobody"))
    with pytest.raises(NoParent):
        await cut(town, HEAD)
    events = len(town.of(Accounts.at(CHILD)))
    await link(town, CHILD, HEAD)
    assert len(town.of(Accounts.at(CHILD))) == events
    with pytest.raises(InGroup):
        town.run(
            MergeAccounts(
                merge_id="m", survivor_id=GRANDCHILD, absorbed_id=HEAD, keys=(), reason=SEALED, by="desk-1", now=LATER
            )
        )


async def test_a_group_has_a_hundred_members_at_most() -> None:
    many = [AccountId(f"account-{number}") for number in range(101)]
    town = await town_of(HEAD, *many)
    for one in many[:-1]:
        await link(town, one, HEAD)

    with pytest.raises(GroupTooLarge):
        await link(town, many[-1], HEAD)
    assert await register(town, "a", "p-1", many[0], "group") == "in_review"
    assert sum(line(town, one) == {"a": PENDING} for one in (HEAD, *many)) == 101


def test_what_is_below_an_account_is_found_through_its_edges() -> None:
    parents = {CHILD: HEAD, GRANDCHILD: CHILD, AccountId("other"): HEAD}
    assert subtree(CHILD, parents) == (CHILD, GRANDCHILD)
