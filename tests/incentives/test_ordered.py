"""Orders of distributors: a match by registration for what is claimed, which names no product and pays nothing itself."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import decode, encode
from chassis.testing.kit import given as history
from chassis.testing.projections import assert_repeatable, project, told
from chassis.verify import verify_decisions
from contracts.attribution import SoldLine
from contracts.registration import DealApproved, DealRegistered, OrderRecorded
from contracts.samples import sample
from contracts.values import ProductLine, money
from services.incentives.application import HANDLES
from services.incentives.application.ordering import ordered
from services.incentives.domain.approval import ApprovalRecorded, Approvals, NoteOrder, OrderNoted
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import RecordBasis
from services.incentives.domain.sale_events import BasisRecorded, PayoutCalculated
from services.incentives.projections.sales import SALES, sale_of
from tests.incentives.facts import NOW, World, basis, book, credit, plan, share, win
from tests.incentives.fund_facts import Log, published
from tests.incentives.test_awards import FOUR, boost, claim_body, claimed, last, row, verdict
from tests.incentives.test_event_lines import per_event
from tests.incentives.test_fund_service import FUND_MANAGER
from tests.incentives.test_service import FINANCE, P1, activated, credited, started, won
from tests.incentives.test_special_prices import claim, grant
from tests.incentives.test_special_prices import row as sold_row
from tests.incentives.test_special_prices import verdict as price_verdict

TABLE = {handles.command: handles for handles in HANDLES}
AT = datetime(2026, 3, 16, 9, tzinfo=UTC)
SIX = (ProductLine(family="fw", sku="FW-1", quantity=6), ProductLine(family="svc", sku="SV-1"))
UNNAMED = (Sold(line_id="l1", family="fw", amount=money("1000.00", "EUR")),)


def noted(order_ref: str = "inv-1", **changes: Any) -> OrderNoted:
    fields: dict[str, Any] = {
        "registration_id": "r1",
        "order_ref": order_ref,
        "amount": money("900.00", "EUR"),
        "ordered_on": date(2026, 3, 9),
        "source_event_id": f"e-{order_ref}",
        "recorded_at": NOW,
    }
    return OrderNoted(**{**fields, **changes})


def order(order_ref: str = "inv-1", products: tuple[ProductLine, ...] = (), **changes: Any) -> RecordBasis:
    return replace(ordered("o1", 1, noted(order_ref, **changes), products, NOW), plan_ids=("boost",))


def unnamed_log(*facts: Any, **changes: Any) -> Log:
    """A sale of a family of which nothing says what was sold, under a SPIFF of five percent that is claimed."""
    body = plan({"percent": "5"}, kind="spiff", component="spiff", claimed=True, **changes)
    log = Log(published(body, kind="plan", book="boost"))
    return log.tell(win(sold=UNNAMED, plan_ids=("boost",)), credit(share("p1", "100.00"), plan_ids=("boost",)), *facts)


def steps(log: Log, *rows: Any) -> tuple[str, tuple[str, ...]]:
    """What comes of a claim with some rows: the outcome, and a sentence a row."""
    claimed(log, *(rows or (row(),))).tell(verdict())
    return last(log).outcome, last(log).steps[: len(rows or (row(),))]


# A SPIFF that is claimed


def test_a_row_under_the_number_of_an_order_fits_where_nothing_says_which_products_were_sold():
    assert steps(unnamed_log()) == (
        "disputed",
        ("row 1: 4 FW-1 do not fit: the sale has no such product that the SPIFF pays for",),
    )
    assert steps(unnamed_log(order())) == (
        "approved",
        ("row 1: 4 FW-1 fit the order inv-1, which names no product",),
    )


def test_each_row_fits_by_the_order_of_its_own_number():
    log = unnamed_log(order("inv-1"), order("inv-2"))
    rows = row(4), row(9, invoice="inv-2"), row(1, invoice="inv-3")
    assert steps(log, *rows) == (
        "disputed",
        (
            "row 1: 4 FW-1 fit the order inv-1, which names no product",
            "row 2: 9 FW-1 fit the order inv-2, which names no product",
            "row 3: 1 FW-1 do not fit: the sale has no such product that the SPIFF pays for",
        ),
    )


@pytest.mark.parametrize("narrowed", [{"skus": ["FW-1"]}, {"product_families": ["fw"]}])
def test_an_order_vouches_for_no_product_where_the_spiff_pays_for_some(narrowed):
    assert steps(unnamed_log(order(), **narrowed))[0] == "disputed"


def test_an_order_vouches_for_no_product_that_the_sale_has_not():
    log = unnamed_log(order(), basis("added", "a", "10.00", sold=FOUR, plan_ids=("boost",)))
    assert steps(log, row(1, sku="FW-9"))[1] == (
        "row 1: 1 FW-9 do not fit: the sale has no such product that the SPIFF pays for",
    )


def test_an_order_vouches_for_the_registered_units_and_several_orders_for_the_same_ones():
    log = unnamed_log(order("inv-1", SIX), order("inv-2", SIX), product_families=["fw"])
    assert steps(log, row(6)) == ("approved", ("row 1: 6 FW-1 fit the sale",))
    again = unnamed_log(order("inv-1", SIX), order("inv-2", SIX), product_families=["fw"])
    assert steps(again, row(6), row(1, invoice="inv-2"))[1] == (
        "row 1: 6 FW-1 fit the sale",
        "row 2: 1 FW-1 do not fit: the sale has not that many of it",
    )


def test_a_registered_product_that_the_spiff_does_not_pay_for_does_not_fit():
    log = unnamed_log(order("inv-1", SIX), product_families=["fw"])
    assert steps(log, row(1, sku="SV-1"))[0] == "disputed"


def test_what_was_booked_counts_beside_what_was_ordered_and_never_added_to_it():
    log = Log(published(boost(), kind="plan", book="boost"))
    log.tell(win(sold=FOUR, plan_ids=("boost",)), credit(share("p1", "100.00"), plan_ids=("boost",)))
    log.tell(order("inv-1", SIX))
    assert steps(log, row(6), row(1, invoice="inv-2"))[1][1].endswith("the sale has not that many of it")


# Reported twice


ROW = basis("pos", "inv-1", "880.00", quantity=3, plan_ids=("boost",))


@pytest.mark.parametrize("twice", [(ROW, order()), (order(), ROW), (order(), order(), ROW, ROW)])
def test_an_order_and_a_row_of_the_point_of_sale_of_one_number_are_one_fact_and_the_row_says_more(twice):
    log = unnamed_log(*twice)
    [kept] = log.state(Sales.at("o1")).bases.values()
    assert (kept.kind, kept.amount, kept.sold[0].quantity) == ("pos", money("880.00", "EUR"), 3)
    assert steps(log, row(4))[1] == ("row 1: 4 FW-1 do not fit: the sale has not that many of it",)


@given(st.permutations([ROW, order(), order("inv-2"), basis("added", "a", "10.00", plan_ids=("boost",))] * 2))
def test_in_any_order_and_repeated_the_facts_come_to_the_same_sale_and_read_model(facts):
    log = unnamed_log(*facts)
    sale = log.state(Sales.at("o1"))
    assert {name: one.kind for name, one in sale.bases.items()} == {
        "pos/inv-1": "pos",
        "pos/inv-2": "ordered",
        "added/a": "added",
    }
    assert sorted(sale.told) == ["basis added/a", "basis pos/inv-1", "basis pos/inv-2"]
    [document] = project(SALES, told(*log.streams["sale", "o1"])).values()
    assert (sale_of(document).bases, sale_of(document).told) == (sale.bases, sale.told)


def test_the_read_model_holds_an_order_once():
    log = unnamed_log(order(), ROW)
    assert_repeatable(SALES, told(*log.streams["sale", "o1"]))


# What an order does not do


@pytest.mark.parametrize("body", [plan(), plan(basis="invoiced"), plan(basis="collected")])
def test_an_order_pays_nothing(body):
    world = World(book(body)).tell(win(), credit())
    before = world.of(PayoutCalculated)
    world.tell(order("inv-1", SIX))
    assert world.of(PayoutCalculated) == before
    assert [fact.kind for fact in world.of(BasisRecorded)] == ["ordered"]


def test_an_order_in_another_currency_than_the_sale_is_kept_as_it_was_booked():
    world = World(book(plan())).tell(win(), credit(), order(amount=money("990.00", "USD"), products=SIX))
    [kept] = world.of(BasisRecorded)
    assert (kept.amount, [line.quantity for line in kept.sold]) == (money("990.00", "USD"), [6, 1])
    assert [str(line.amount.amount) for line in kept.sold] == ["0.00", "0.00"], "nothing says what each of them is"


def test_an_order_is_noted_once_for_its_deal():
    wish = NoteOrder(
        registration_id="r1",
        order_ref="inv-1",
        amount=money("900.00", "EUR"),
        ordered_on=date(2026, 3, 9),
        source_event_id="e-inv-1",
        now=NOW,
    )
    handles = TABLE[NoteOrder]
    history(handles).when(wish).then([noted()])
    history(handles, (Approvals.at("r1"), [noted()])).when(wish).then([])


def test_an_approval_of_before_its_products_were_kept_has_none():
    kept = ApprovalRecorded(
        registration_id="r1", partner_id="p1", approved_on=NOW.date(), source_event_id="e", recorded_at=NOW
    )
    assert b"products" not in encode(kept)
    assert Approvals.fold([decode("incentives.ApprovalRecorded.v1", encode(kept))]).products == ()


# A special price


def test_a_row_that_names_no_deal_is_of_the_one_that_was_ordered_under_its_number():
    log = Log().tell(grant(), claim((sold_row(10, registration_id=None), "200.00")))
    log.tell(log.submit_claim()).tell(price_verdict())
    assert last(log).steps[0] == "row 1: 10 SW-1 do not count: it was sold for another deal"
    log = Log().tell(grant(), claim((sold_row(10, registration_id=None), "200.00")))
    log.tell(log.submit_claim()).tell(replace(price_verdict(), orders=("inv-0", "inv-1")))
    assert (last(log).outcome, last(log).steps[0]) == ("approved", "row 1: 10 SW-1 x (100.00 - 80.00) = 200.00 EUR")


def test_a_row_of_another_deal_stays_that_whatever_its_number():
    log = Log().tell(grant(), claim((sold_row(10, registration_id="d2"), "200.00")))
    log.tell(log.submit_claim()).tell(replace(price_verdict(), orders=("inv-1",)))
    assert last(log).steps[0] == "row 1: 10 SW-1 do not count: it was sold for another deal"


# The service at work


def of(name: str, **changes: Any) -> Any:
    return replace(decode(name, sample(name)), **changes)


def booked(order_ref: str) -> Any:
    return of(
        OrderRecorded.type,
        registration_id="r1",
        partner_id="p1",
        order_ref=order_ref,
        amount=money("900.00", "EUR"),
        ordered_on=date(2026, 3, 9),
    )


def approved_deal() -> Any:
    return of(DealApproved.type, registration_id="r1", partner_id="p1", products=SIX, approved_at=AT)


async def facts(it: Any) -> dict[str, str]:
    sale = await it.get(FINANCE, "/sales/o1")
    return {name: one["kind"] for name, one in sale["bases"].items()}


async def test_orders_before_and_after_the_win_are_facts_of_its_sale_and_a_claim_fits_by_them(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(boost(hold_days=0, skus=[], product_families=["fw"]), "boost")
        await it.hear(activated())
        await it.hear(approved_deal())
        await it.hear(booked("inv-1"), times=2)
        it.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
        line = SoldLine(line_id="1", product_family="fw", amount=money("1000.00", "EUR"), quantity=4)
        await it.hear(replace(won(), lines=(line,)), times=2)
        await it.hear(credited(("p1", "100.00")))
        await it.hear(booked("inv-2"), times=2)
        assert await facts(it) == {"pos/inv-1": "ordered", "pos/inv-2": "ordered"}
        pos = {"opportunity_id": "o1", "kind": "pos", "external_id": "inv-2", "amount": "90.00", "currency": "EUR"}
        answer = await it.post(FINANCE, "/sales-facts", {"facts": [{**pos, "quantity": 2, "on": "2026-03-10"}]})
        assert answer.json()["results"] == [{"external_id": "inv-2", "result": "recorded"}]
        assert await facts(it) == {"pos/inv-1": "ordered", "pos/inv-2": "pos"}
        path = f"/claims/{(await it.post(P1, '/claims', claim_body())).json()['claim_id']}"
        assert (await it.post(P1, f"{path}/submit")).status_code == 200
        assert (await it.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})).json()["state"] == "approved"
        assert (await it.get(P1, path))["steps"][0] == "row 1: 4 FW-1 fit the sale"
        executor = it.service.application.executor
        assert (await verify_decisions(executor.store, executor.handles.values())).holds


async def test_orders_and_the_win_side_by_side_lose_nothing(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(approved_deal())
        await it.hear_at_once(booked("inv-1"), won(), booked("inv-2"))
        assert await facts(it) == {"pos/inv-1": "ordered", "pos/inv-2": "ordered"}


async def test_a_special_price_is_claimed_by_the_number_of_an_order(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated())
        await it.hear(approved_deal())
        await it.hear(booked("inv-1"))
        eur = {"currency": "EUR"}
        product = {"sku": "SW-1", "cost": {"amount": "100", **eur}, "price": {"amount": "80", **eur}, "units_max": 9}
        granted = {"partner_id": "p1", "kind": "bid", "registration_id": "r1", "products": [product], "reason": "bid"}
        days = {"starts_on": "2026-03-01", "ends_on": "2026-04-01"}
        made = await it.post(FUND_MANAGER, "/special-prices", {**granted, **days})
        assert made.status_code == 201, made.text
        sold = {"sku": "SW-1", "quantity": 2, "sold_on": "2026-03-02", "invoice": "inv-1"}
        item = {"text": "two", "amount": {"amount": "40.00", **eur}, "sold": sold}
        body = {"kind": "special_price", "of_id": made.json()["special_price_id"], "items": [item]}
        path = f"/claims/{(await it.post(P1, '/claims', body)).json()['claim_id']}"
        assert (await it.post(P1, f"{path}/submit")).status_code == 200
        assert (await it.post(FUND_MANAGER, f"{path}/decide", {"outcome": "approved"})).json()["state"] == "approved"


async def test_a_claim_by_registration_is_for_the_sale_and_not_for_what_its_registration_was_paid(tmp_path):
    async with started(tmp_path) as it:
        await it.publish_plan(boost(), "boost")
        await it.publish_plan(per_event(), "starter")
        await it.hear(activated())
        await it.hear(of(DealRegistered.type, registration_id="r1", partner_id="p1", submitted_at=AT))
        assert (await it.post(P1, "/claims", claim_body())).status_code == 404, "it is not won yet"
        await it.hear(booked("inv-1"))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        assert await facts(it) == {"pos/inv-1": "ordered"}
        made = await it.post(P1, "/claims", claim_body())
        assert made.status_code == 201, made.text
        assert (await it.get(P1, f"/claims/{made.json()['claim_id']}"))["opportunity_id"] == "o1"
