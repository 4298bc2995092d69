"""A partner leaves: nothing is earned after its last business day, and it is settled once nothing is open."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.onboarding import OffboardingCancelled, OffboardingStarted, PartnerOffboarded
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.payee import Payees
from services.incentives.domain.sale_events import PayoutCalculated
from services.incentives.domain.settlement import (
    KeepPayee,
    LetPayeeLeave,
    NoteSettledByHand,
    OpenBalance,
    PartnerSettled,
    PayeeLeaving,
    PayeeStays,
    SettledByHandNoted,
    SettlementAwaited,
    SettlePartner,
)
from services.incentives.projections.settlements import RUN_OFFS, SETTLEMENTS
from tests.incentives.facts import World, book, credit, plan, win
from tests.incentives.test_service import (
    APPROVER,
    FINANCE,
    P1,
    P2,
    credited,
    earned,
    started,
    won,
)

NOW = datetime(2026, 6, 11, 9, tzinfo=UTC)
LAST, UNTIL = date(2026, 3, 20), date(2026, 6, 10)
TABLE = {handles.command: handles for handles in HANDLES}
US = Payees.at("p1")
LEAVE = LetPayeeLeave(partner_id="p1", revision=5, last_business_day=LAST, run_off_until=UNTIL, now=NOW)
LEAVING = PayeeLeaving(
    payee_id="p1", partner_id="p1", revision=5, last_business_day=LAST, run_off_until=UNTIL, recorded_at=NOW
)
STAYS = PayeeStays(payee_id="p1", partner_id="p1", revision=6, recorded_at=NOW)
OWED = OpenBalance(payee_id="p1", account="payable", amount=money("-5.00", "EUR"))
SETTLE = SettlePartner(partner_id="p1", now=NOW)
AWAITED = SettlementAwaited(
    payee_id="p1",
    partner_id="p1",
    open=(OWED,),
    fund_request_ids=("f1",),
    look_again_on=date(2026, 6, 12),
    awaited_at=NOW,
)
NOTE = NoteSettledByHand(partner_id="p1", settled_on=date(2026, 6, 11), now=NOW)
BY_HAND = SettledByHandNoted(payee_id="p1", partner_id="p1", settled_on=date(2026, 6, 11), noted_at=NOW)
SETTLED = PartnerSettled(payee_id="p1", partner_id="p1", settled_on=date(2026, 6, 11), settled_at=NOW)


def when(command, *history):
    return given(TABLE[type(command)], (US, history)).when(command)


def test_a_partner_s_last_day_is_kept_once_and_called_off_by_what_came_later():
    when(LEAVE).then([LEAVING])
    when(LEAVE, LEAVING).then_nothing()
    when(LEAVE, LEAVING, STAYS).then_nothing()
    when(KeepPayee(partner_id="p1", revision=6, now=NOW), LEAVING).then([STAYS])
    when(KeepPayee(partner_id="p1", revision=6, now=NOW), LEAVING, STAYS).then_nothing()


def test_a_partner_is_settled_after_its_run_off_once_nothing_is_open():
    when(SETTLE, LEAVING).then([SETTLED])
    when(SETTLE, LEAVING, SETTLED).then_nothing()
    when(SETTLE, LEAVING, STAYS).then_nothing()
    when(SETTLE).then_nothing()
    when(replace(SETTLE, now=NOW - timedelta(days=1)), LEAVING).then_nothing()


def test_what_is_open_in_either_direction_or_reserved_is_named_and_looked_at_again():
    asked = replace(SETTLE, open=(OWED,), fund_request_ids=("f1",))
    when(asked, LEAVING).then([AWAITED])
    when(replace(asked, open=()), LEAVING).then([replace(AWAITED, open=())])
    later = [replace(AWAITED, look_again_on=date(2026, 6, 18))]
    when(asked, LEAVING, *[AWAITED] * 14).then(later)


def test_a_settlement_by_hand_is_noted_once_and_the_ledger_is_looked_at_until_nothing_is_open():
    when(NOTE, LEAVING, AWAITED).then([BY_HAND])
    when(NOTE, LEAVING, AWAITED, BY_HAND).then_nothing()
    when(NOTE, LEAVING, SETTLED).then_nothing()
    when(NOTE).then_nothing()
    when(replace(SETTLE, open=(OWED,), fund_request_ids=("f1",)), LEAVING, BY_HAND).then([AWAITED])
    when(SETTLE, LEAVING, AWAITED, BY_HAND).then([SETTLED])


def test_a_settlement_by_hand_says_so_with_what_still_stands_until_that_is_settled_too():
    shown = [
        project(SETTLEMENTS, told(LEAVING, *events))["p1"]
        for events in ((AWAITED, BY_HAND), (BY_HAND, AWAITED), (AWAITED, BY_HAND, SETTLED))
    ]
    assert [(one["state"], one["by_hand_on"], len(one["open"]), one["settled_on"]) for one in shown] == [
        ("settled_by_hand", "2026-06-11", 1, None),
        ("settled_by_hand", "2026-06-11", 1, None),
        ("settled", "2026-06-11", 0, "2026-06-11"),
    ]
    assert project(RUN_OFFS, told(LEAVING, AWAITED, BY_HAND)) == project(RUN_OFFS, told(LEAVING, AWAITED))
    assert project(SETTLEMENTS, told(BY_HAND)) == {}


def test_the_models_follow_and_a_repeat_changes_nothing():
    seen = told(LEAVING, AWAITED, BY_HAND, SETTLED)
    for model in (SETTLEMENTS, RUN_OFFS):
        assert_repeatable(model, seen)
    assert project(SETTLEMENTS, told(LEAVING, AWAITED))["p1"]["open"] == [
        {"payee_id": "p1", "account": "payable", "amount": {"amount": "-5.00", "currency": "EUR"}}
    ]
    assert project(SETTLEMENTS, seen)["p1"]["settled_on"] == "2026-06-11"
    assert project(RUN_OFFS, told(LEAVING))["p1"]["due_at"] == "2026-06-11T00:00:00Z"
    assert project(RUN_OFFS, told(LEAVING, STAYS)) == project(RUN_OFFS, seen) == {}


@for_all(st.dates(date(2026, 3, 1), date(2026, 4, 30)), st.dates(date(2026, 3, 1), date(2026, 4, 30)))
def test_what_happens_up_to_the_last_business_day_earns_and_nothing_after_it(day, last):
    payee = Payees.fold([replace(LEAVING, last_business_day=last)])
    world = World(book(plan()), payees={"p1": payee}).tell(win(closed_on=day), credit())
    lines = [one for one in world.events if isinstance(one, PayoutCalculated)]
    assert [one.amount for one in lines] == ([money("100.00", "EUR")] if day <= last else [])


def leaves(revision=5):
    return OffboardingStarted(
        partner_id="p1",
        revision=revision,
        reason_code="strategy",
        last_business_day=LAST,
        run_off_until=UNTIL,
        started_at=NOW,
    )


async def test_a_partner_that_two_people_settled_by_hand_is_not_awaited_and_what_stands_is_still_named(tmp_path):
    async with started(tmp_path) as incentives:
        await earned(incentives, hold_days=60)
        await incentives.hear(leaves())
        incentives.clock.set(NOW)
        await incentives.until(P1, "/settlements/p1", lambda it: it["state"] == "awaited")
        await incentives.hear(PartnerOffboarded(partner_id="p1", revision=6, offboarded_at=NOW), times=2)
        found = await incentives.until(FINANCE, "/settlements/p1", lambda it: it["state"] == "settled_by_hand")
        assert (found["by_hand_on"], found["settled_on"]) == ("2026-06-11", None)
        assert [owed["amount"]["amount"] for owed in found["open"]] == ["100.00"]
        await pays(incentives)
        incentives.clock.set(NOW + timedelta(days=1))
        found = await incentives.until(FINANCE, "/settlements/p1", lambda it: it["state"] == "settled")
        assert (found["by_hand_on"], found["settled_on"], found["open"]) == ("2026-06-11", "2026-06-12", [])


@pytest.mark.parametrize("called_off", [False, True])
async def test_a_partner_leaves_is_stated_paid_and_settled(tmp_path, called_off):
    async with started(tmp_path) as incentives:
        await earned(incentives, hold_days=60)
        await incentives.hear(leaves(), times=2)
        if called_off:
            await incentives.hear(OffboardingCancelled(partner_id="p1", revision=6, cancelled_at=NOW))
        await incentives.hear(replace(won("o2"), closed_on=LAST + timedelta(days=1)))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id="o2"))
        lines = (await incentives.get(P1, "/lines"))["items"]
        assert len(lines) == (2 if called_off else 1)
        if called_off:
            assert await incentives.get(P1, "/settlements/p1") == 404
            return
        incentives.clock.set(NOW)
        found = await incentives.until(P1, "/settlements/p1", lambda it: it["state"] == "awaited")
        [owed] = found["open"]
        assert (owed["account"], owed["amount"]["amount"]) == ("payable", "100.00")
        assert await incentives.get(P2, "/settlements/p1") == 404
        await pays(incentives)
        incentives.clock.set(NOW + timedelta(days=1))
        found = await incentives.until(P1, "/settlements/p1", lambda it: it["state"] == "settled")
        assert (found["open"], found["settled_on"]) == ([], "2026-06-12")


async def pays(incentives):
    """The final statement was issued by itself, and holds everything; two people pay it."""
    [statement] = (await incentives.get(P1, "/statements"))["items"]
    assert statement["closing"]["amount"] == "100.00"
    made = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    payment = f"/payments/{made.json()['payment_id']}"
    await incentives.post(APPROVER, f"{payment}/approve")
    await incentives.post(FINANCE, f"{payment}/submit")
    await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
