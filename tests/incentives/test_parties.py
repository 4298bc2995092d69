"""Who takes part in a deal gets the part of its pay that a plan gives to its party."""

from datetime import UTC, datetime
from typing import Any

import pytest

from chassis.testing.kit import given
from contracts.registration import ParticipantJoined, ParticipantLeft
from services.incentives.application import HANDLES
from services.incentives.domain.approval import Approvals, PartyJoined, PartyLeft, RecordApproval, RecordParty
from tests.incentives.facts import plan
from tests.incentives.test_service import P1, P2, START, activated, credited, incentives, won

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
