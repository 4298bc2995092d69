"""What cannot be rated: whose shares wait for it is told, and the partner reads on its earnings that it waits, and why."""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import LEFT_OUT, decode, encode
from chassis.testing.projections import assert_repeatable, project, told
from chassis.verify import verify_decisions
from services.incentives.application import HANDLES
from services.incentives.domain.exchange import Rate
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import RecordCredit, RecordWin, ResolveFact
from services.incentives.domain.sale_events import FactQuarantined, PayoutCalculated
from services.incentives.projections.sales import SALES
from services.incentives.publishing import publish
from tests.incentives.facts import NOW, World, basis, book, credit, plan, share, win
from tests.incentives.test_service import FINANCE, P1, P2, activated, credited, incentives, won

__all__ = ["incentives"]
RATE = Rate(base="EUR", quote="USD", rate=Decimal("1.10"), on=date(2026, 3, 16), source="ecb", event_id="e-rate")
BOTH = (share("p1", "50.00"), share("p2", "50.00"))


def in_dollars(**known: Any) -> World:
    """A plan in dollars for a sale in euros, without a rate of exchange."""
    return World(book(plan(currency="USD")), **known)


def named(world: World) -> list[Any]:
    return [one.partner_ids for one in world.of(FactQuarantined)]


def document(world: World) -> Any:
    return project(SALES, told(*world.streams["sale", "o1"]))["o1"]


def resolve() -> ResolveFact:
    return ResolveFact(opportunity_id="o1", win_no=1, plan_id="plan-a", by="fin", now=NOW)


def test_whose_shares_wait_is_told_once_for_all_of_them():
    world = in_dollars().tell(win(), credit(*BOTH), win(), credit(*BOTH))
    assert named(world) == [("p1", "p2")]
    assert world.of(PayoutCalculated) == []


def test_it_is_told_again_when_others_are_credited():
    world = in_dollars().tell(win(), credit())
    world.tell(credit(*BOTH, revision=2), credit(share("p2", "100.00"), revision=3))
    assert named(world) == [("p1",), ("p1", "p2"), ("p2",)]
    assert document(world)["waiting_partner_ids"] == ["p2"]


def test_one_partner_s_waiting_is_the_partner_s_and_that_of_several_is_nobody_s_alone():
    world = in_dollars().tell(win(), credit(), credit(*BOTH, revision=2))
    assert [publish(one).partner_id for one in told(*world.of(FactQuarantined))] == ["p1", None]


def test_a_fact_without_an_amount_names_whoever_is_credited_by_then():
    world = World(book(plan(basis="invoiced"))).tell(win(), basis("invoiced", "i0", None), credit(*BOTH))
    world.tell(basis("invoiced", "i1", None))
    assert named(world) == [LEFT_OUT, ("p1", "p2")]
    assert document(world)["waiting_partner_ids"] == ["p1", "p2"], "who is credited later is concerned as well"


def test_as_was_decided_before_partners_were_named_nobody_is():
    world = in_dollars(names_partners=False).tell(win(), credit(*BOTH), credit(revision=2))
    assert named(world) == [LEFT_OUT]
    assert b"partner_ids" not in encode(world.of(FactQuarantined)[0])
    assert document(world)["waiting_partner_ids"] == ["p1"], "then it concerns whoever is credited"
    world.known["names_partners"] = True
    world.tell(basis("added", "a", "10.00"))
    assert named(world)[1:] == [("p1",), ("p1",)], "told with the next fact: the win, and what was added"


def test_what_was_rated_after_all_waits_no_more():
    world = in_dollars().tell(win(), credit(*BOTH))
    world.known["rates"] = (RATE,)
    world.tell(resolve())
    assert (document(world)["waiting"], document(world)["waits"], document(world)["quarantined"]) == ([], 0, {})
    world = in_dollars().tell(win(), credit())
    world.known["rates"] = (RATE,)
    world.tell(basis("added", "a", "10.00"))
    assert (document(world)["waiting"], document(world)["waits"]) == ([], 0), (
        "nor what was rated without being resolved"
    )


def test_a_fact_that_comes_once_more_with_its_amount_waits_no_more():
    world = World(book(plan(basis="invoiced"))).tell(win(), credit(), basis("invoiced", "i1", None))
    assert [one["reason_code"] for one in document(world)["waiting"]] == ["no-amount"]
    assert document(world.tell(basis("invoiced", "i1", "400.00")))["waiting"] == []


FACTS = (
    win(),
    credit(*BOTH),
    credit(share("p2", "100.00"), revision=2),
    basis("added", "a", "10.00"),
    basis("added", "b", None),
)


@given(st.permutations(FACTS * 2))
def test_in_any_order_and_repeated_what_waits_concerns_who_is_credited_in_the_end(facts):
    world = in_dollars().tell(*facts)
    found = document(world)
    assert found["waiting_partner_ids"] == ["p2"]
    assert {(one["plan_id"], one["fact_id"]) for one in found["waiting"]} == {
        ("plan-a", None),
        ("plan-a", "a"),
        ("", "added/b"),
    }
    state = world.sales["o1"]
    assert state.named.keys() == state.quarantined


def test_the_read_model_of_sales_bears_repeats():
    world = in_dollars().tell(*FACTS)
    assert_repeatable(SALES, told(*world.streams["sale", "o1"]))


def test_a_quarantine_of_before_partners_were_named_reads_as_one_without():
    stored = encode(
        FactQuarantined(opportunity_id="o1", win_no=1, plan_id="x", reason_code="no-rate", quarantined_at=NOW)
    )
    kept = decode("incentives.FactQuarantined.v1", stored)
    assert (kept.partner_ids, Sales.fold([kept]).named) == (LEFT_OUT, {(1, "x", None): ()})


# The service at work


async def waiting(it: Any, who: Any, query: str = "") -> list[Any]:
    found = await it.get(who, f"/waiting-facts{query}")
    return [
        (sale["opportunity_id"], one["reason_code"], one["partner_ids"])
        for sale in found["items"]
        for one in sale["waiting"]
    ]


async def quarantined(it: Any) -> None:
    """One sale of p1, and one of p1 and p2, under a plan in dollars without a rate."""
    await it.publish_plan(plan(currency="USD"))
    await it.hear(activated("p1"))
    await it.hear(activated("p2"))
    it.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    for name, shares in (("o1", [("p1", "100.00")]), ("o2", [("p1", "50.00"), ("p2", "50.00")])):
        await it.hear(won(name))
        await it.hear(credited(*shares, opportunity_id=name))


async def test_a_partner_reads_what_its_own_shares_wait_for_and_the_vendor_all_or_one_partner_s(incentives):
    await quarantined(incentives)
    assert await waiting(incentives, P1) == [("o2", "no-rate", None), ("o1", "no-rate", None)]
    assert await waiting(incentives, P2) == [("o2", "no-rate", None)]
    assert await waiting(incentives, P2, "?partner_id=p1") == [("o2", "no-rate", None)], "whatever it asks for"
    assert await waiting(incentives, FINANCE) == [("o2", "no-rate", ["p1", "p2"]), ("o1", "no-rate", ["p1"])]
    assert await waiting(incentives, FINANCE, "?partner_id=p2") == [("o2", "no-rate", ["p1", "p2"])]
    [sale] = (await incentives.get(P2, "/waiting-facts"))["items"]
    assert sale["waiting"][0]["why"].startswith("no rate of exchange of that week is recorded")

    rates = {"source": "ecb", "on": "2026-03-16", "pairs": {"EUR/USD": "1.10"}}
    assert (await incentives.post(FINANCE, "/rates", rates)).status_code == 201
    assert (await incentives.post(FINANCE, "/sales/o2/resolve", {"plan_id": "commission"})).status_code == 200
    assert await waiting(incentives, P2) == []
    assert await waiting(incentives, P1) == [("o1", "no-rate", None)]


async def test_a_principal_of_a_partner_that_has_no_id_reads_nobody_s(incentives):
    await quarantined(incentives)
    assert await incentives.get(replace(P1, partner_id=None), "/waiting-facts") in (401, 403)


@pytest.mark.parametrize("evaluator", [9, None])
async def test_what_was_decided_before_partners_were_named_is_decided_so_again(incentives, evaluator):
    executor = incentives.service.application.executor
    before = {RecordWin: evaluator, RecordCredit: evaluator}
    executor.handles |= {one.command: one for one in HANDLES if evaluator and one.evaluator == before.get(one.command)}
    await quarantined(incentives)
    kept = await waiting(incentives, FINANCE)
    assert kept == [("o2", "no-rate", ["p1", "p2"]), ("o1", "no-rate", ["p1"])], "named, or credited"
    report = await verify_decisions(executor.store, executor.every_handles)
    assert report.holds, report.lines()
