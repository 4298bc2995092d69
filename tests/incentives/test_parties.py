"""Who takes part in a deal gets the part of its pay that a plan gives to its party."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.event import LEFT_OUT
from chassis.testing.kit import given
from contracts import incentives as public
from contracts.registration import ParticipantJoined, ParticipantLeft
from services.incentives.application import HANDLES
from services.incentives.domain.approval import Approvals, PartyJoined, PartyLeft, RecordApproval, RecordParty
from services.incentives.domain.sale_events import PayoutCalculated, PayoutReversed
from services.incentives.domain.verifying import kept_back, verify
from services.incentives.publishing import publish
from tests.incentives.facts import World, book, credit, plan, reversal, win
from tests.incentives.test_service import FINANCE, P1, P2, START, activated, credited, incentives, refunded, won

__all__ = ["incentives"]

TABLE = {handles.command: handles for handles in HANDLES}
OF_DEAL: dict[str, Any] = {"registration_id": "r1", "number": "R-1", "programme": "default", "partner_id": "p2"}
SPLIT = [{"party": "partner", "percent": "70"}, {"party": "distributor", "percent": "30"}]


def joined(role: str = "distribute", **changes: Any) -> ParticipantJoined:
    return ParticipantJoined(**{**OF_DEAL, "role": role, "invitation_id": "i1", "joined_at": START, **changes})


def left(reason_code: str, *, deal_over: bool = False) -> ParticipantLeft:
    told = {"role": "distribute", "invitation_id": "i1", "reason_code": reason_code, "left_at": START}
    return ParticipantLeft(**OF_DEAL, **told, deal_over=deal_over)


def party(partner_id: str = "p2", *, joins: bool = True) -> RecordParty:
    told: dict[str, Any] = {"registration_id": "r1", "party": "distributor", "partner_id": partner_id}
    return RecordParty(**told, joins=joins, source_event_id="e1", now=START)


def record(partner_id: str = "p2") -> dict[str, Any]:
    who = {"registration_id": "r1", "party": "distributor", "partner_id": partner_id}
    return {**who, "source_event_id": "e1", "recorded_at": START}


def test_a_party_comes_and_goes_once() -> None:
    there = (Approvals.at("r1"), [PartyJoined(**record())])
    asked = TABLE[RecordParty]

    given(asked).when(party()).then([PartyJoined(**record())])
    given(asked, there).when(party()).then_nothing()
    given(asked, there).when(party(joins=False)).then([PartyLeft(**record())])
    given(asked, there).when(party("p3", joins=False)).then_nothing()
    given(asked, there).when(party("p3")).then([PartyJoined(**record("p3"))])
    given(asked).when(party(joins=False)).then_nothing()


def test_an_approval_keeps_who_joined_before_it() -> None:
    wish = RecordApproval(
        registration_id="r1", partner_id="p1", approved_on=START.date(), source_event_id="e2", now=START
    )
    [approved] = (
        given(TABLE[RecordApproval], (Approvals.at("r1"), [PartyJoined(**record())])).when(wish).verdict.events[0]
    )
    after = Approvals.fold([PartyJoined(**record()), approved])
    assert (after.approved_on, after.parties) == (START.date(), {"distributor": "p2"})


async def paid(incentives: Any, *happened: Any) -> dict[str, str]:
    """What each payee earns of a won deal of 1,000.00 at 10 percent, after what happened to its participants."""
    await incentives.publish_plan(plan(payees=SPLIT))
    await incentives.hear(activated())
    for one in happened:
        await incentives.hear(one, times=2)
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    recorded = await incentives.service.store.feed(0, 1_000)
    lines = [one.event for one in recorded if one.type == "incentives.PayoutCalculated.v1"]
    return {line.payee_id: str(line.amount.amount) for line in lines}


@pytest.mark.parametrize(
    ("happened", "pays"),
    [
        ((), {"p1": "100.00"}),
        ((joined(),), {"p1": "70.00", "p2": "30.00"}),
        ((joined(), left("left")), {"p1": "100.00"}),
        ((joined(), left("won", deal_over=True)), {"p1": "70.00", "p2": "30.00"}),
        ((joined("service"),), {"p1": "100.00"}),
    ],
)
async def test_a_plan_splits_its_pay_with_the_distributor_of_the_deal(
    incentives: Any, happened: tuple[Any, ...], pays: dict[str, str]
) -> None:
    assert await paid(incentives, *happened) == pays


async def test_a_distributor_is_stated_what_it_earned_of_the_deals_of_others_and_they_are_not(incentives: Any) -> None:
    await incentives.publish_plan(plan(payees=SPLIT, hold_days=0))
    for one in (activated(), activated("p2"), joined()):
        await incentives.hear(one)
    incentives.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    for reader in (P1, P2):
        mine = await incentives.until(reader, "/statements/next", lambda found: found["items"])
        assert [one["payee_id"] for one in mine["items"]] == [reader.partner_id]
    incentives.clock.set(datetime(2026, 4, 3, 1, tzinfo=UTC))
    for reader, amount in ((P1, "70.00"), (P2, "30.00")):
        mine = await incentives.until(reader, "/statements", lambda found: found["items"])
        assert [(one["payee_id"], one["closing"]["amount"]) for one in mine["items"]] == [(reader.partner_id, amount)]


@pytest.fixture
async def shared(incentives: Any) -> Any:
    """p1 won a deal of 1,000.00, of whose pay of 100.00 its distributor p2 has 30.00; both are payable at once."""
    await incentives.publish_plan(plan(payees=SPLIT, hold_days=0))
    for one in (activated(), activated("p2"), joined()):
        await incentives.hear(one)
    incentives.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    return incentives


async def test_a_distributor_and_its_reseller_each_read_their_own_line_and_not_the_other_s(shared: Any) -> None:
    for reader, amount in ((P1, "70.00"), (P2, "30.00")):
        [line] = (await shared.get(reader, "/lines"))["items"]
        assert (line["partner_id"], line["payee_id"]) == (reader.partner_id, reader.partner_id)
        assert line["amount"]["amount"] == amount
        assert await shared.get(reader, f"/lines/{line['line_id']}") == line
        _, row = (await shared.text(reader, "/lines/csv")).splitlines()
        assert row.endswith(f"{amount},0.00,{amount}")
        other = P1 if reader is P2 else P2
        assert await shared.get(other, f"/lines/{line['line_id']}") == 404
        assert await shared.get(other, f"/why/{line['event_id']}") == 404


async def test_a_distributor_reads_of_its_line_neither_whose_deal_it_was_nor_what_that_sold_and_earned(
    shared: Any,
) -> None:
    [line] = (await shared.get(P2, "/lines"))["items"]
    why = await shared.get(P2, f"/why/{line['event_id']}")

    assert (line["credited_id"], line["derivation"]) == (None, {})
    assert [reason["code"] for reason in why["reasons"]] == ["part", "plan", "dates"]
    assert (why["outcome"], why["inputs"], why["would_change"], why["detail"]) == ("30.00 EUR", [], [], {})
    vendor = await shared.get(FINANCE, f"/lines/{line['line_id']}")
    assert (vendor["partner_id"], vendor["credited_id"]) == ("p2", "p1")
    assert vendor["derivation"]["basis"] == {"amount": "1000.00", "currency": "EUR"}
    assert (await shared.get(FINANCE, f"/why/{line['event_id']}"))["detail"]["credited_id"] == "p1"


async def test_what_a_distributor_gives_back_is_told_to_it_alone(shared: Any) -> None:
    await shared.hear(refunded("x", "500.00"))
    for reader, remaining in ((P1, "35.00"), (P2, "15.00")):
        [line] = (await shared.get(reader, "/lines"))["items"]
        assert line["remaining"]["amount"] == remaining
    assert {
        reason["code"] for reason in (await shared.get(P2, f"/why/{line['history'][1]['event_id']}"))["reasons"]
    } == {
        "part",
        "remaining",
    }
    recorded = await shared.service.store.feed(0, 1_000)
    told = [publish(one.seen("incentives")) for one in recorded]
    lines = [one for one in told if isinstance(one, public.PayoutCalculated | public.PayoutReversed)]
    assert [(one.partner_id, one.payee_id) for one in lines] == [("p1", "p1"), ("p2", "p2")] * 2
    assert [[who for who in ("p1", "p2") if one.for_partner(who)] for one in lines] == [["p1"], ["p2"]] * 2


async def test_a_distributor_disputes_its_line_and_the_reseller_cannot(shared: Any) -> None:
    [line] = (await shared.get(P2, "/lines"))["items"]
    shared.clock.set(datetime(2026, 4, 3, 1, tzinfo=UTC))
    await shared.until(P2, "/statements", lambda found: found["items"])
    path, reason = f"/lines/{line['line_id']}/dispute", {"reason": "we agreed on 40"}
    assert (await shared.post(P1, path, reason)).status_code == 404
    assert (await shared.post(P2, path, reason)).status_code == 201


async def test_the_proof_of_a_distributor_s_statement_shows_that_its_part_stands_in_the_log_and_holds(
    shared: Any,
) -> None:
    shared.clock.set(datetime(2026, 4, 3, 1, tzinfo=UTC))
    [statement] = (await shared.until(P2, "/statements", lambda found: found["items"]))["items"]
    path = f"/statements/{statement['statement_id']}/proof"
    mine, whole = await shared.get(P2, path), await shared.get(FINANCE, path)

    [kept] = mine["events"]
    assert (kept["data"], kept["state"], kept["sha256"], mine["plans"]) == (None, None, None, [])
    assert "1000.00" not in json.dumps(mine)
    assert (verify(json.dumps(mine)), kept_back(json.dumps(mine))) == ([], 1)
    assert (verify(json.dumps(whole)), kept_back(json.dumps(whole))) == ([], 0)
    forged = {**mine, "events": [{**kept, "leaf_hash": whole["events"][0]["proof"][0]}]}
    assert verify(json.dumps(forged)) == [
        f"event {kept['id']} (incentives.PayoutCalculated.v1) is not in the log that the checkpoint covers"
    ]


async def test_a_balance_stands_under_the_payee_s_own_partner(shared: Any) -> None:
    for path in ("/liability", "/ledger/balances"):
        found = (await shared.get(FINANCE, path))["items"]
        assert [(one["payee_id"], one["partner_id"]) for one in found] == [("p1", "p1"), ("p2", "p2")]


@pytest.mark.parametrize(("learned", "whose"), [(True, "p2"), (False, LEFT_OUT)])
def test_what_was_decided_before_leaves_the_part_of_a_distributor_with_the_partner_whose_deal_it_is(
    learned: bool, whose: Any
) -> None:
    world = World(book(plan(payees=SPLIT, hold_days=0)), own_parts=learned)
    world.tell(win(parties={"distributor": "p2"}), credit(), reversal("x", "100.00"))
    for kind in (PayoutCalculated, PayoutReversed):
        assert [(line.payee_id, line.partner_id) for line in world.of(kind)] == [("p1", LEFT_OUT), ("p2", whose)]
    assert [line.partner_id for line in world.sales["o1"].lines.values()] == ["p1", whose or "p1"]
