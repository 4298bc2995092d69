"""SPIFFs: awards from a capped budget, served in the order of its stream, beside or instead of each other."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.testing.kit import given as history
from chassis.testing.projections import assert_repeatable, project, told
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.budget import (
    AllocateBudget,
    AllocateUnits,
    Budget,
    BudgetAllocated,
    BudgetInvalid,
    BudgetReleased,
    Budgets,
    ExpireBudget,
    FundsInsufficient,
    ReleaseBudget,
    ReserveBudget,
    UseBudget,
    allocate_budget,
    allocate_units,
    carry,
    expire_budget,
)
from services.incentives.domain.exchange import Rate
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.line import adjust_line, confirm_adjustment
from services.incentives.domain.payee import Payee
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import AdjustLine, ConfirmAdjustment, ResolveFact
from services.incentives.domain.sale_events import AwardMissed, FactQuarantined, PayoutCalculated, PayoutReversed
from services.incentives.domain.taking import decimal_of
from services.incentives.projections.missed_awards import MISSED_AWARDS
from tests.incentives.facts import NOW, World, basis, book, credit, plan, reversal, share, sold, win
from tests.incentives.test_service import APPROVER, FINANCE, P1, P2, credited, incentives, won

__all__ = ["incentives"]
AT_ONCE = 200

D = Decimal
TABLE = {handles.command: handles for handles in HANDLES}


def spiff(flat="300", **changes):
    return plan({"flat": flat}, **{"kind": "spiff", "component": "spiff", "budget_id": "pot", **changes})


def awards(world):
    return [line.amount.amount for line in world.of(PayoutCalculated)]


def sold_deals(world, *names):
    for name in names:
        world.tell(win(opportunity_id=name), credit(opportunity_id=name))
    return world


def test_done_when_1_a_budget_of_1_000_gives_awards_of_300_as_300_300_300_100_then_it_is_exhausted():
    world = sold_deals(World(book(spiff())).allocate("pot", "1000.00"), "a", "b", "c", "d", "e")
    assert awards(world) == [D("300.00"), D("300.00"), D("300.00"), D("100.00")]
    [missed] = world.of(AwardMissed)
    assert (missed.opportunity_id, missed.reason_code) == ("e", "budget-exhausted")
    assert world.budgets["pot"].available == money("0.00", "EUR")


def test_the_rest_of_a_budget_stands_in_the_books_for_the_rest_alone():
    rate = Rate(base="EUR", quote="USD", rate=D("1.10"), on=NOW.date(), source="bank", event_id="e1")
    world = World(book(spiff()), rates=(rate,), books_currency="USD").allocate("pot", "100.00")
    [line] = sold_deals(world, "a").of(PayoutCalculated)
    assert {entry.in_books for entry in line.journal.entries} == {money("110.00", "USD"), -money("110.00", "USD")}


def test_a_spend_limit_caps_what_a_commission_pays_in_all_and_refunds_make_room():
    limited = plan(budget_id="limit", kind="commission")
    world = sold_deals(World(book(limited)).allocate("limit", "250.00"), "a", "b", "c", "d")
    assert awards(world) == [D("100.00"), D("100.00"), D("50.00")]
    [missed] = world.of(AwardMissed)
    assert (missed.opportunity_id, missed.budget_id) == ("d", "limit")
    world.tell(reversal("x", "1000.00", opportunity_id="a"))
    assert awards(sold_deals(world, "e"))[-1] == D("100.00")
    assert EXPLAIN[PayoutCalculated](told(world.of(PayoutCalculated)[2])[0]).reasons[-2].text == (
        "50.00 EUR drawn from the budget limit, at most what it had left"
    )


@pytest.mark.parametrize("wrong", [{"kind": "rebate", "accumulate": "year"}, {"accumulate": "quarter"}])
def test_what_is_trued_up_has_no_spend_limit(wrong):
    assert PLANS.check(PLANS.read(plan(**{"budget_id": "limit", **wrong})))


def test_a_budget_that_gives_no_rest_keeps_it():
    world = sold_deals(World(book(spiff(last_award="none"))).allocate("pot", "1000.00"), "a", "b", "c", "d")
    assert awards(world) == [D("300.00")] * 3
    assert world.budgets["pot"].available == money("100.00", "EUR")


def test_done_when_1_a_reversal_refills_the_budget_for_later_awards_not_for_earlier_ones():
    world = sold_deals(World(book(spiff())).allocate("pot", "300.00"), "a", "b")
    world.tell(reversal("x", "1000.00", opportunity_id="a"))
    world.tell(credit(opportunity_id="b", revision=2))
    assert awards(world) == [D("300.00")]
    assert awards(sold_deals(world, "c")) == [D("300.00"), D("300.00")]


@pytest.mark.parametrize(
    ("one", "other", "pays"),
    [("stack", "stack", ["50.00", "30.00"]), ("exclusive", "stack", ["50.00"]), ("best_of", "best_of", ["50.00"])],
)
def test_spiffs_for_the_same_sale_stack_exclude_each_other_or_leave_the_best(one, other, pays):
    first = spiff("50", overlap=one, budget_id=None)
    second = spiff("30", overlap=other, budget_id=None)
    world = sold_deals(World(book(first, "s1"), book(second, "s2")), "a")
    assert awards(world) == [D(pay) for pay in pays]


def beside_a_budget(pot, overlap="exclusive", other="stack", last_award="rest", **known):
    """Two SPIFFs for the same sales: one of 50.00 out of a budget, and one of 30.00 without."""
    first = spiff("50", overlap=overlap, last_award=last_award)
    world = World(book(first, "s1"), book(spiff("30", overlap=other, budget_id=None), "s2"), **known)
    return world.allocate("pot", pot)


@pytest.mark.parametrize(("overlap", "other"), [("exclusive", "stack"), ("best_of", "best_of")])
def test_a_spiff_whose_budget_has_nothing_left_keeps_no_other_from_paying(overlap, other):
    world = sold_deals(beside_a_budget("50.00", overlap, other), "a", "b")
    assert [(line.opportunity_id, line.key.plan_id) for line in world.of(PayoutCalculated)] == [
        ("a", "s1"),
        ("b", "s2"),
    ]
    world.tell(reversal("x", "1000.00", opportunity_id="a"), credit(opportunity_id="b", revision=2))
    assert awards(world) == [D("50.00"), D("30.00")], "what comes back is there for later sales"


def test_the_rest_of_a_budget_pays_alone_and_what_it_does_not_give_does_not():
    assert awards(sold_deals(beside_a_budget("40.00"), "a")) == [D("40.00")]
    assert awards(sold_deals(beside_a_budget("40.00", last_award="none"), "a")) == [D("30.00")]
    assert awards(sold_deals(beside_a_budget("20.00", "best_of", "best_of"), "a")) == [D("30.00")]


def test_of_two_shares_of_one_sale_the_second_is_paid_by_the_other_spiff_once_the_first_took_the_rest():
    world = beside_a_budget("50.00").tell(win(), credit(share("p1", "50.00"), share("p2", "50.00")))
    paid = [(line.payee_id, line.key.plan_id, str(line.amount.amount)) for line in world.of(PayoutCalculated)]
    assert paid == [("p1", "s1", "50.00"), ("p2", "s2", "30.00")]


def test_the_evaluator_before_let_a_spent_spiff_keep_others_from_paying():
    world = sold_deals(beside_a_budget("50.00", spent_aside=False), "a", "b")
    assert awards(world) == [D("50.00")]


def test_a_spiff_pays_beside_the_commission():
    world = World(book(plan()), book(spiff(), "s")).allocate("pot", "1000.00")
    assert sorted(awards(sold_deals(world, "a"))) == [D("100.00"), D("300.00")]


def test_a_spiff_may_go_to_the_seller():
    body = spiff(payees=[{"party": "seller", "percent": "100"}], budget_id=None)
    world = World(book(body)).tell(win(parties={"seller": "person-1"}), credit())
    assert [line.payee_id for line in world.of(PayoutCalculated)] == ["person-1"]


# Paid in another currency than the budget's

TO_USD = Rate(base="EUR", quote="USD", rate=D("1.10"), on=NOW.date(), source="bank", event_id="e1")
IN_USD = {"p1": Payee(opened=True, payee_id="p1", partner_id="p1", payout_currency="USD")}


def test_who_is_paid_in_another_currency_draws_on_the_budget_in_the_plan_s():
    world = World(book(spiff()), rates=(TO_USD,), payees=IN_USD).allocate("pot", "500.00")
    first, last = sold_deals(world, "a", "b").of(PayoutCalculated)
    assert (first.amount, first.drawn) == (money("330.00", "USD"), money("300.00", "EUR"))
    assert (last.amount, last.drawn) == (money("220.00", "USD"), money("200.00", "EUR"))
    assert [reason.text for reason in EXPLAIN[PayoutCalculated](told(last)[0]).reasons[-3:-1]] == [
        "200.00 EUR drawn from the budget pot, at most what it had left",
        "200.00 EUR is 220.00 USD: 1 EUR = 1.10 USD of 2026-03-16, bank",
    ]
    assert world.budgets["pot"].available == money("0.00", "EUR")


def test_what_is_taken_back_of_it_is_there_again_in_the_budget_s_currency():
    world = sold_deals(World(book(spiff("100")), rates=(TO_USD,), payees=IN_USD).allocate("pot", "500.00"), "a")
    for n, left in enumerate(("433.34", "466.66", "500.00")):
        world.tell(reversal(f"x{n}", "333.34", opportunity_id="a"))
        assert world.budgets["pot"].available == money(left, "EUR")
    assert sum(one.amount.amount for one in world.of(PayoutReversed)) == D("110.00")


def test_a_budget_in_the_payout_s_currency_is_drawn_in_that():
    world = World(book(spiff(payout_currency="USD")), rates=(TO_USD,))
    wish = AllocateBudget(budget_id="pot", ref="first", amount=money("500.00", "USD"), by="adm", now=NOW)
    world.keep(world.budgets, Budgets, {"pot": allocate_budget(wish, Budgets.initial)})
    paid = [line.amount for line in sold_deals(world, "a", "b").of(PayoutCalculated)]
    assert paid == [money("330.00", "USD"), money("170.00", "USD")]
    world.tell(reversal("x", "1000.00", opportunity_id="a"))
    assert world.budgets["pot"].available == money("330.00", "USD")


def test_no_more_than_was_drawn_comes_back_where_the_line_was_adjusted():
    for by, opened in (("50.00", "700.00"), ("-50.00", "700.00")):
        world = sold_deals(World(book(spiff())).allocate("pot", "1000.00"), "a")
        [line] = world.of(PayoutCalculated)
        of = {"opportunity_id": "a", "line_id": line.line_id, "adjustment_id": "a1"}
        wish = AdjustLine(**of, amount=money(by, "EUR"), reason="x", by="fin-1", now=NOW)
        world.keep(world.sales, Sales, {"a": adjust_line(wish, world.sales["a"])})
        confirm = ConfirmAdjustment(**of, by="fin-2", now=NOW)
        world.keep(world.sales, Sales, {"a": confirm_adjustment(confirm, world.sales["a"])})
        assert world.budgets["pot"].available == money(opened, "EUR")
        world.tell(credit(share("p2", "100.00"), opportunity_id="a", revision=2))
        [refilled] = world.of(BudgetReleased)
        assert refilled.amount == money("300.00", "EUR")


def test_as_it_was_decided_before_an_award_in_another_currency_is_missed_again():
    world = World(book(spiff()), rates=(TO_USD,), payees=IN_USD, whole_awards=False).allocate("pot", "500.00")
    assert [one.amount for one in sold_deals(world, "a").of(AwardMissed)] == [money("330.00", "USD")]


# Beside a commission that pays later

EUROS = (Rate(base="USD", quote="EUR", rate=D("0.90"), on=NOW.date(), source="bank", event_id="e1"),)
COMMISSION = "plan-a"


def resolve(plan_id=COMMISSION):
    return ResolveFact(opportunity_id="o1", win_no=1, plan_id=plan_id, by="fin-1", now=NOW)


def in_dollars(*others, **known):
    """A world in which the commission of a sale in dollars waits for its rate, and other plans have paid."""
    world = World(book(plan()), *others, **known).tell(win(currency="USD"), credit())
    assert [one.plan_id for one in world.of(FactQuarantined)] == [COMMISSION]
    return world


def at_a_rate(world, *wishes):
    world.known["rates"] = EUROS
    return by_plan(world.tell(*wishes))


def by_plan(world):
    return {line.key.plan_id: f"{line.amount.amount} {line.amount.currency}" for line in world.of(PayoutCalculated)}


def dollars(**changes):
    return book(plan({"percent": "30"}, kind="spiff", component="spiff", currency="USD", **changes), "s")


def test_a_commission_that_waits_for_a_rate_pays_though_a_spiff_has_paid_meanwhile():
    assert at_a_rate(in_dollars(dollars()), resolve()) == {"s": "300.00 USD", COMMISSION: "90.00 EUR"}
    before = in_dollars(dollars(), waited_for=False)
    assert at_a_rate(before, resolve()) == {"s": "300.00 USD"}, "as the fifth evaluator decided"


def test_a_spiff_that_waits_for_a_rate_pays_beside_the_commission_and_not_beside_one_that_pays_alone():
    mine = book(plan({"percent": "10"}, currency="USD"), COMMISSION)
    waits = book(plan({"percent": "5"}, kind="spiff", component="spiff"), "w")
    world = World(mine, waits).tell(win(currency="USD"), credit())
    assert at_a_rate(world, resolve("w")) == {COMMISSION: "100.00 USD", "w": "45.00 EUR"}
    alone = book(plan({"percent": "5"}, kind="spiff", component="spiff", overlap="exclusive"), "w")
    world = World(dollars(), alone).tell(win(currency="USD"), credit())
    assert at_a_rate(world, resolve("w")) == {"s": "300.00 USD"}


def test_what_waited_pays_once_and_nothing_where_its_component_has_paid():
    world = in_dollars(dollars())
    at_a_rate(world, resolve())
    before = len(world.of(PayoutCalculated))
    world.tell(basis("added", "a", "100.00", currency="USD"), credit(share("p1", "50.00"), revision=2))
    again = world.of(PayoutCalculated)[before:]
    assert [(line.key.plan_id, line.key.fact_id, str(line.amount.amount)) for line in again] == [
        ("s", "a", "30.00"),
        (COMMISSION, "a", "9.00"),
        ("s", None, "150.00"),
        ("s", "a", "15.00"),
        (COMMISSION, None, "45.00"),
        (COMMISSION, "a", "4.50"),
    ]


def test_a_new_plan_of_a_component_that_has_paid_does_not_pay_by_waiting_for_somebody_else():
    world = World(book(plan())).tell(win(), credit())
    world.books = (*world.books, book(plan(priority=9, currency="USD"), "newer"))
    world.tell(credit(share("p1", "50.00"), share("p2", "50.00"), revision=2))
    assert [one.plan_id for one in world.of(FactQuarantined)] == ["newer"]
    world.known["rates"] = (TO_USD,)
    world.tell(resolve("newer"))
    paid = [(line.key.partner_id, line.key.plan_id) for line in world.of(PayoutCalculated)]
    assert paid == [("p1", COMMISSION), ("p1", COMMISSION), ("p2", "newer")]


def test_what_was_dropped_does_not_pay_beside_a_spiff():
    added = basis("added", "a", "100.00", currency="USD")
    assert at_a_rate(in_dollars(dollars()), replace(resolve(), dropped=True), added) == {"s": "30.00 USD"}


@pytest.mark.parametrize(
    ("as_now", "pays"), [(True, {"s": "300.00 EUR", "plan-a": "40.00 EUR"}), (False, {"s": "300.00 EUR"})]
)
def test_a_spiff_stands_for_no_component_before_what_is_billed(as_now, pays):
    both = book(plan(basis="invoiced", hold_days=0)), book(plan({"percent": "30"}, kind="spiff"), "s")
    world = World(*both, waited_for=as_now).tell(win(), credit(), basis("invoiced", "i1", "400.00"))
    assert by_plan(world) == pays


@pytest.mark.parametrize(
    ("booked", "bills", "pays"),
    [
        ("stack", "exclusive", {"s": "300.00 EUR"}),
        ("exclusive", "stack", {"s": "300.00 EUR"}),
        ("stack", "stack", {"s": "300.00 EUR", "b": "40.00 EUR"}),
    ],
)
def test_of_two_spiffs_of_which_one_pays_alone_the_one_that_was_first_has_paid(booked, bills, pays):
    first = book(plan({"percent": "30"}, kind="spiff", overlap=booked), "s")
    second = book(plan(kind="spiff", basis="invoiced", overlap=bills), "b")
    world = World(first, second).tell(win(), credit(), basis("invoiced", "i1", "400.00"))
    assert by_plan(world) == pays


def test_a_spiff_that_came_to_nothing_stands_in_the_way_of_none():
    first = book(plan({"up_to": "5000", "percent": "0"}, {"percent": "30"}, kind="spiff", overlap="exclusive"), "s")
    second = book(plan(kind="spiff", basis="invoiced"), "b")
    world = World(first, second).tell(win(), credit(), basis("invoiced", "i1", "400.00"))
    assert by_plan(world)["b"] == "40.00 EUR"


# Budgets of units


def per_piece(**changes):
    """Fifty for each piece of cloud."""
    fields = {"axis": "units", "basis": "units", "product_families": ["cloud"], "kind": "spiff", "component": "spiff"}
    return plan({"per_unit": "50"}, **{"budget_id": "pot", **fields, **changes})


def pieces(name, quantity, *shares):
    lines = (sold("1", "cloud", "600.00", quantity), sold("2", "erp", "400.00", 9))
    return win(sold=lines, opportunity_id=name), credit(*shares, opportunity_id=name)


def left(world):
    return world.budgets["pot"].units.available


def test_a_budget_of_10_units_pays_for_4_4_and_2_of_them_then_it_is_exhausted():
    world = World(book(per_piece())).allocate_units("pot", "10")
    for name in ("a", "b", "c", "d"):
        world.tell(*pieces(name, 4))
    assert awards(world) == [D("200.00"), D("200.00"), D("100.00")]
    assert [line.drawn_units for line in world.of(PayoutCalculated)] == [D(4), D(4), D(2)]
    [missed] = world.of(AwardMissed)
    assert (missed.opportunity_id, missed.amount, left(world)) == ("d", money("200.00", "EUR"), D(0))
    whole, in_part = ([why_drawn(line)] for line in world.of(PayoutCalculated)[1:])
    assert whole == ["4 units drawn from the budget pot, at most what it had left"]
    assert in_part == [
        "2 of the 4 units of this share drawn from the budget pot, which had no more left: that part of the pay is paid"
    ]


def why_drawn(line):
    return next(one.text for one in EXPLAIN[PayoutCalculated](told(line)[0]).reasons if one.code == "spend-limit")


def test_a_budget_of_units_that_gives_no_rest_keeps_it_and_nothing_of_it_stands_in_the_ledger():
    world = World(book(per_piece(last_award="none"))).allocate_units("pot", "10")
    for name in ("a", "b", "c"):
        world.tell(*pieces(name, 4))
    assert (awards(world), left(world)) == ([D("200.00"), D("200.00")], D(2))
    assert {entry.account for entry in world.posted()} == {"expense", "held"}


def test_a_refund_gives_its_units_back_for_later_awards():
    world = World(book(per_piece(product_families=["cloud", "erp"]))).allocate_units("pot", "13")
    world.tell(*pieces("a", 4), reversal("x", "250.00", opportunity_id="a"))
    assert (awards(world), left(world)) == ([D("650.00")], D("3.25"))
    world.tell(reversal("y", "750.00", opportunity_id="a"))
    assert left(world) == D(13)


def test_units_are_drawn_by_share_and_held_by_one_of_the_lines_that_a_share_is_split_into():
    parts = [{"percent": "40", "after_days": 0}, {"percent": "60", "after_days": 30}]
    world = World(book(per_piece(release=parts))).allocate_units("pot", "5")
    world.tell(*pieces("a", 8, share("p1", "75.00"), share("p2", "25.00")))
    lines = [(line.payee_id, line.amount.amount, line.drawn_units or None) for line in world.of(PayoutCalculated)]
    assert lines == [("p1", D("100.00"), None), ("p1", D("150.00"), D(5))]
    said = {why_drawn(line).partition(" drawn")[0] for line in world.of(PayoutCalculated)}
    assert said == {"5 of the 6 units of this share"}, "each line of the share says it"
    assert [one.payee_id for one in world.of(AwardMissed)] == ["p2", "p2"]
    world.tell(credit(share("p2", "100.00"), opportunity_id="a", revision=2))
    assert (len(world.of(PayoutCalculated)), left(world)) == (2, D(5))


def test_a_commission_s_limit_in_units_pays_the_part_of_the_pay_that_the_units_are_of_the_pieces():
    body = plan(budget_id="pot", kind="commission", product_families=["cloud"])
    world = World(book(body)).allocate_units("pot", "3").tell(*pieces("a", 4))
    assert (awards(world), left(world)) == ([D("45.00")], D(0))


def test_a_budget_has_money_or_units_and_both_expire():
    funded = Budgets.fold(after())
    wish = AllocateUnits(budget_id="pot", ref="u", units=D("2.5"), by="adm", now=NOW)
    with pytest.raises(BudgetInvalid):
        allocate_units(wish, funded)
    for wrong in ("0", "-1", "0.00001", "NaN"):
        with pytest.raises(BudgetInvalid):
            allocate_units(replace(wish, units=D(wrong)), Budget())
    events = allocate_units(wish, Budget())
    assert allocate_units(wish, Budgets.fold(events)) == []
    history(TABLE[AllocateBudget], (Budgets.at("pot"), events)).when(
        AllocateBudget(budget_id="pot", ref="m", amount=money("1.00", "EUR"), by="adm", now=NOW)
    ).refused(BudgetInvalid)
    end = ExpireBudget(budget_id="pot", ref="end", now=NOW)
    [expired] = expire_budget(end, Budgets.fold(events))
    assert (expired.units, expire_budget(end, Budgets.fold([*events, expired]))) == (D("2.5"), [])
    assert Budgets.fold([carry(Budgets.fold(events))]) == Budgets.fold(events)


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 6), st.booleans()), max_size=12))
def test_whatever_is_sold_and_taken_back_a_budget_of_units_is_never_overdrawn(steps):
    world, sales = World(book(per_piece())).allocate_units("pot", "9"), set()
    for place, (name, quantity, refunded) in enumerate(steps):
        if refunded and name in sales:
            world.tell(reversal(f"x{place}", f"{quantity}11.11", opportunity_id=name))
        elif name not in sales:
            sales.add(name)
            world.tell(*pieces(name, quantity))
        lines = [line for sale in world.sales.values() for line in sale.lines.values()]
        stand = sum(
            line.drawn_units - decimal_of(round(Fraction(line.drawn_units) * line.refilled, 4)) for line in lines
        )
        assert left(world) == 9 - stand
        assert 0 <= left(world) <= 9


async def test_units_are_put_in_over_http_and_drawn_and_read(incentives):
    await incentives.publish_plan(per_piece(product_families=[]))
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", {"ref": "first", "units": "2.5"})).json() == {
        "budget_id": "pot",
        "available": None,
        "available_units": "2.5",
    }
    both = {"ref": "x", "units": "1", "amount": "1.00", "currency": "EUR"}
    for wrong in (both, {"ref": "x"}, {"ref": "x", "amount": "1.00"}):
        assert (await incentives.post(APPROVER, "/budgets/pot/allocate", wrong)).status_code == 422
    await incentives.hear(won("o1"))
    await incentives.hear(credited(("p1", "100.00"), opportunity_id="o1"))
    [found] = (await incentives.get(FINANCE, "/budgets"))["items"]
    assert (found["currency"], found["allocated"], found["available"], found["used"]) == (None, "2.5", "1.5", "1")


async def test_what_a_spent_budget_had_nothing_for_is_told_to_the_vendor_and_to_whom_it_would_have_been(incentives):
    await incentives.publish_plan(plan(kind="spiff", component="spiff", budget_id="pot"))
    filled = {"ref": "year", "amount": "100.00", "currency": "EUR"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", filled)).status_code == 201
    for name, partner_id in (("o1", "p1"), ("o2", "p1"), ("o3", "p2")):
        await incentives.hear(won(name))
        await incentives.hear(credited((partner_id, "100.00"), opportunity_id=name))
    for who, theirs in ((FINANCE, ["o2", "o3"]), (P1, ["o2"]), (P2, ["o3"])):
        found = (await incentives.get(who, "/missed-awards"))["items"]
        assert sorted(one["opportunity_id"] for one in found) == theirs
    [mine] = (await incentives.get(P1, "/missed-awards?partner_id=p2"))["items"]
    assert (mine["partner_id"], mine["plan_id"], mine["amount"]["amount"]) == ("p1", "commission", "100.00")
    assert mine["why"] == "the budget pot had nothing left for 100.00 EUR when this sale came"


def test_the_missed_part_of_somebody_else_is_the_vendors_to_read():
    world = sold_deals(World(book(spiff())).allocate("pot", "300.00"), "a", "b")
    [missed] = world.of(AwardMissed)
    seen = told(missed, replace(missed, line_id="l2", payee_id="p9"))
    assert_repeatable(MISSED_AWARDS, seen)
    whose = {name: one["partner_id"] for name, one in project(MISSED_AWARDS, seen).items()}
    assert whose == {missed.line_id: "p1", "l2": None}


# The budget itself


def allocated(amount="1000.00"):
    wish = AllocateBudget(budget_id="pot", ref="first", amount=money(amount, "EUR"), by="adm", now=NOW)
    when = history(TABLE[AllocateBudget]).when(wish)
    [happened] = when.verdict.events[0]
    assert isinstance(happened, BudgetAllocated)
    return happened


def after(*wishes, amount="1000.00"):
    events = [allocated(amount)]
    for wish in wishes:
        when = history(TABLE[type(wish)], (Budgets.at("pot"), events)).when(wish)
        assert when.verdict.refusal is None, when.verdict.refusal
        events += when.verdict.events[0]
    return events


def step(kind, amount=None, ref="r1"):
    fields = {} if amount is None else {"amount": money(amount, "EUR")}
    return kind(budget_id="pot", ref=ref, now=NOW, **fields)


def test_what_is_reserved_is_used_and_the_rest_released_once_each():
    events = after(
        step(ReserveBudget, "600.00"),
        step(ReserveBudget, "600.00"),
        step(UseBudget, "450.00"),
        step(ReleaseBudget),
        step(ReleaseBudget),
    )
    state = Budgets.fold(events)
    assert (state.available, state.used) == (money("550.00", "EUR"), D("450.00"))
    assert [(type(e).__name__, e.available.amount) for e in events[1:]] == [
        ("BudgetReserved", D("400.00")),
        ("BudgetUsed", D("400.00")),
        ("BudgetReleased", D("550.00")),
    ]
    assert isinstance(events[-1], BudgetReleased)


def test_a_budget_is_never_drawn_below_nothing():
    wish = step(UseBudget, "1000.01")
    history(TABLE[UseBudget], (Budgets.at("pot"), [allocated()])).when(wish).refused(FundsInsufficient)


def test_a_budget_into_which_nothing_was_put_says_so():
    wish = step(UseBudget, "1.00")
    refusal = history(TABLE[UseBudget], (Budgets.at("pot"), [])).when(wish).verdict.refusal
    assert isinstance(refusal, FundsInsufficient)
    assert refusal.detail == "nothing was put into this budget yet: allocate to it first"


def test_a_budget_holds_no_more_than_money_can():
    wish = AllocateBudget(budget_id="pot", ref="more", amount=money("999999999999999.00", "EUR"), by="fin", now=NOW)
    history(TABLE[AllocateBudget], (Budgets.at("pot"), [allocated()])).when(wish).refused(BudgetInvalid)


def test_what_is_left_expires():
    assert Budgets.fold(after(step(UseBudget, "1.00"), step(ExpireBudget, ref="end"))).available == money("0.00", "EUR")


@given(
    st.lists(
        st.tuples(st.sampled_from([ReserveBudget, UseBudget, ReleaseBudget]), st.integers(1, 600), st.integers(1, 4))
    )
)
def test_whatever_is_asked_what_is_allocated_is_available_reserved_or_used(steps):
    events = [allocated()]
    for kind, amount, ref in steps:
        wish = step(kind, None if kind is ReleaseBudget else f"{amount}.00", f"r{ref}")
        verdict = history(TABLE[kind], (Budgets.at("pot"), events)).when(wish).verdict
        events += [] if verdict.refusal else verdict.events[0]
        state = Budgets.fold(events)
        assert state.available.amount >= 0
        assert state.available.amount + sum(state.reserved.values()) + state.used == 1000
        entries = [e for happened in events for e in happened.journal.entries]
        held = -sum((e.amount.amount for e in entries if e.account == "available"), D(0))
        assert held == state.available.amount
        assert Budgets.fold([carry(state)]) == state, "a long one goes on in its next segment as it was"


async def test_done_when_6_200_concurrent_sales_never_overdraw_a_spiff(incentives):
    """Each of 200 sales is worth 300 of the 20,000 that are there: 66 are served, one more gets the rest."""
    await incentives.publish_plan(spiff())
    pot = {"ref": "first", "amount": "20000.00", "currency": "EUR"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", pot)).status_code == 201
    names = [f"o{n}" for n in range(AT_ONCE)]
    await incentives.hear_at_once(*(won(name) for name in names))
    await incentives.hear_at_once(*(credited(("p1", "100.00"), opportunity_id=name) for name in names))
    lines = (await incentives.get(FINANCE, "/lines?limit=200"))["items"]
    assert sorted(D(line["amount"]["amount"]) for line in lines) == [D("200.00"), *[D("300.00")] * 66]
    [found] = (await incentives.get(FINANCE, "/budgets"))["items"]
    assert (found["available"], found["used"], found["allocated"]) == ("0.00", "20000.00", "20000.00")
