"""What open sales may bring: the engine's pay for each as if it were won, at the probability of its stage."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from chassis.read_store.port import Page
from chassis.testing.projections import assert_repeatable, project, told
from contracts.attribution import CreditAllocated, DealLost, DealStageChanged, DealWon, OpportunityLinked
from contracts.registration import DealAmended, DealWithdrawn
from contracts.values import money
from services.incentives.application.forecasting import EstimatedSale, EstimateLine, estimates, forecast, forecasts
from services.incentives.application.trying import TURN_SALES
from services.incentives.projections.open_sales import NOTHING_KNOWN, OPEN_SALES
from tests.attribution.facts import approved
from tests.incentives.facts import plan
from tests.incentives.test_awards import SELLER
from tests.incentives.test_service import APPROVER, FINANCE, P1, START, activated, credited, incentives, won
from tests.incentives.test_settlement import LAST, leaves

__all__ = ["incentives"]
REGISTRATION, ATTRIBUTION = "/entente/registration/1", "/entente/attribution/1"


def linked(name, registration_id):
    return OpportunityLinked(
        opportunity_id=name, registration_id=registration_id, partner_id="p1", method="opened", linked_at=START
    )


def stage(name, to, amount=None, **changes):
    fields = {
        "partner_ids": ("p1",),
        "opportunity_id": name,
        "from_stage": "prospect",
        "to_stage": to,
        "true_at": START,
    }
    return DealStageChanged(**fields, amount=money(amount, "EUR") if amount else None, **changes)


def heard(*happened):
    """The events as they come from each service, in its order."""
    of = {name: [one for one in happened if name in one.type] for name in ("registration", "attribution")}
    sources = {"registration": REGISTRATION, "attribution": ATTRIBUTION}
    return [seen for name, found in of.items() for seen in told(*found, source=sources[name])]


class Beside:
    """The read store of a service, with other open sales."""

    def __init__(self, read, documents):
        self._read, self._documents = read, documents

    async def find(self, name, *args, **named):
        if name == "open_sales":
            return Page([self._documents[one] for one in sorted(self._documents)])
        return await self._read.find(name, *args, **named)


async def forecast_of(asked, *happened):
    return await forecast(beside(asked, *happened), "acme")


def beside(asked, *happened):
    """The application with these open sales."""
    app, documents = asked.service.application, project(OPEN_SALES, heard(*happened))
    read = Beside(app.read, documents)
    return SimpleNamespace(executor=app.executor, read=read, clock=app.clock, caught_up=app.caught_up)


SHARED = credited(("p1", "60.00"), ("p2", "40.00"), status="provisional")
HAPPENED = (
    approved(registration_id="r1", partner_id="p1", amount=money("1000.00", "EUR")),
    approved(registration_id="r2", partner_id="p1", amount=money("500.00", "EUR")),
    linked("o1", "r1"),
    SHARED,
    stage("o1", "committed", "2000.00"),
)


async def test_an_open_sale_counts_at_the_probability_of_its_stage_and_an_approved_one_as_a_prospect(incentives):
    await incentives.publish_plan(plan())
    found = await forecast_of(incentives, *HAPPENED)
    assert found["estimate"] is True
    assert [(row["partner_id"], row["if_won"], row["expected"]) for row in found["partners"]] == [
        ("p1", "170.00", "107.00"),
        ("p2", "80.00", "68.00"),
    ]
    assert [(sale["stage"], sale["probability_percent"]) for sale in found["items"]] == [
        ("committed", "85"),
        ("prospect", "10"),
    ]
    said = await forecast_of(incentives, *HAPPENED, stage("o1", "committed", probability_percent=50))
    assert [row["expected"] for row in said["partners"]] == ["65.00", "40.00"]


async def test_it_goes_on_from_what_the_window_of_the_payee_holds(incentives):
    bands = ({"up_to": "1000", "percent": "10"}, {"percent": "20"})
    await incentives.publish_plan(plan(*bands, accumulate="year"))
    await incentives.hear(activated())
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    found = await forecast_of(
        incentives, approved(registration_id="r9", partner_id="p1", amount=money("100.00", "EUR"))
    )
    assert [(row["if_won"], row["expected"]) for row in found["partners"]] == [("20.00", "2.00")]


async def test_of_spiffs_that_do_not_pay_beside_each_other_one_is_expected(incentives):
    spiff = {"kind": "spiff", "component": "spiff", "overlap": "best_of"}
    await incentives.publish_plan(plan(**spiff), "ten")
    await incentives.publish_plan(plan({"percent": "30"}, **spiff), "thirty")
    found = await forecast_of(
        incentives, approved(registration_id="r9", partner_id="p1", amount=money("100.00", "EUR"))
    )
    assert [(line["plan_id"], line["if_won"]) for line in found["items"][0]["lines"]] == [("thirty", "30.00")]


async def test_of_a_partner_that_leaves_nothing_is_expected_after_its_last_business_day(incentives):
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    deal = approved(registration_id="r9", partner_id="p1", amount=money("100.00", "EUR"))
    await incentives.hear(leaves())
    in_time, late = replace(deal, close_on=LAST), replace(deal, close_on=LAST + timedelta(days=1))
    assert [row["if_won"] for row in (await forecast_of(incentives, in_time))["partners"]] == ["10.00"]
    assert (await forecast_of(incentives, late))["partners"] == []


ASKED = {"partner_id": "p1", "amount": "100.00", "currency": "EUR"}


async def test_an_estimate_names_of_spiffs_that_do_not_pay_beside_each_other_the_one_that_would_pay(incentives):
    spiff = {"kind": "spiff", "component": "spiff", "overlap": "best_of"}
    await incentives.publish_plan(plan(), "commission")
    await incentives.publish_plan(plan(**spiff), "ten")
    await incentives.publish_plan(plan({"percent": "30"}, **spiff), "thirty")
    found = (await incentives.post(P1, "/estimates", {**ASKED, "closes_on": "2026-03-20"})).json()["lines"]
    assert {line["plan_id"]: line["pay"] for line in found} == {"commission": "10.00 EUR", "thirty": "30.00 EUR"}
    await incentives.publish_plan(plan({"percent": "1"}, **{**spiff, "overlap": "exclusive"}), "alone")
    found = (await incentives.post(P1, "/estimates", {**ASKED, "closes_on": "2026-03-20"})).json()["lines"]
    assert {line["plan_id"]: line["pay"] for line in found} == {"commission": "10.00 EUR", "alone": "1.00 EUR"}


@pytest.mark.parametrize(("last_award", "pays"), [("rest", "4.00 EUR"), ("none", "0.00 EUR")])
async def test_an_estimate_pays_no_more_than_the_budget_of_a_spiff_has_left(incentives, last_award, pays):
    """Of 10.00 the pot has 4.00: the last award takes the rest of it, or none."""
    terms = {"kind": "spiff", "component": "spiff", "budget_id": "pot", "last_award": last_award}
    await incentives.publish_plan(plan(**terms), "boost")
    asked = {**ASKED, "closes_on": "2026-03-20"}
    [line] = (await incentives.post(P1, "/estimates", asked)).json()["lines"]
    assert line["pay"] == "0.00 EUR", "nothing was put into it yet"
    filled = {"ref": "year", "amount": "4.00", "currency": "EUR"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", filled)).status_code == 201
    [line] = (await incentives.post(P1, "/estimates", asked)).json()["lines"]
    assert line["pay"] == pays
    assert line["steps"][-1]["text"] == f"of 10.00 EUR the budget pot pays {pays} by what it has left now"
    [small] = (await incentives.post(P1, "/estimates", {**asked, "amount": "40.00"})).json()["lines"]
    assert (small["pay"], "budget" in [step["code"] for step in small["steps"]]) == ("4.00 EUR", False)


@pytest.mark.parametrize(("last_award", "pays"), [("rest", "40.00 EUR"), ("none", "0.00 EUR")])
async def test_an_estimate_pays_for_no_more_units_than_the_budget_has_left(incentives, last_award, pays):
    """Of three pieces at 20.00 the pot has two: the last award takes the rest of them, or none."""
    terms = {"kind": "spiff", "component": "spiff", "budget_id": "pot", "last_award": last_award, "axis": "units"}
    await incentives.publish_plan(plan({"per_unit": "20"}, **terms), "boost")
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", {"ref": "year", "units": "2"})).status_code == 201
    asked = {**ASKED, "closes_on": "2026-03-20", "quantity": 3}
    [line] = (await incentives.post(P1, "/estimates", asked)).json()["lines"]
    assert line["pay"] == pays
    assert line["steps"][-1]["text"] == f"of 60.00 EUR the budget pot pays {pays} by what it has left now"
    [half] = (await incentives.post(P1, "/estimates", {**asked, "percent": "50"})).json()["lines"]
    assert (half["pay"], "budget" in [step["code"] for step in half["steps"]]) == ("30.00 EUR", False)


@pytest.mark.parametrize(
    ("filled", "terms"),
    [
        ({"ref": "year", "amount": "14.00", "currency": "EUR"}, {}),
        ({"ref": "year", "units": "7"}, {"axis": "units"}),
    ],
)
async def test_an_estimate_gives_what_a_budget_has_left_once_to_the_plans_that_share_it(incentives, filled, terms):
    """Each would pay 10.00 for the five pieces: the first one leaves 4.00, or two of the seven pieces, to the second."""
    band = {"per_unit": "2"} if terms else {"percent": "10"}
    spiff = {"kind": "spiff", "component": "spiff", "budget_id": "pot", **terms}
    for name in ("first", "second"):
        await incentives.publish_plan(plan(band, **spiff), name)
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", filled)).status_code == 201
    asked = {**ASKED, "closes_on": "2026-03-20", "quantity": 5}
    found = (await incentives.post(P1, "/estimates", asked)).json()["lines"]
    assert {line["plan_id"]: line["pay"] for line in found} == {"first": "10.00 EUR", "second": "4.00 EUR"}


async def test_an_estimate_draws_on_a_budget_in_the_currency_in_which_it_is_paid_out(incentives):
    """10.00 EUR are 20.00 USD, of which the pot has 5.00: a quarter of it."""
    rates = {"source": "ecb", "on": "2026-03-02", "pairs": {"EUR/USD": "2"}}
    assert (await incentives.post(FINANCE, "/rates", rates)).status_code == 201
    terms = {"kind": "spiff", "component": "spiff", "budget_id": "pot", "payout_currency": "USD"}
    await incentives.publish_plan(plan(**terms), "boost")
    filled = {"ref": "year", "amount": "5.00", "currency": "USD"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", filled)).status_code == 201
    [line] = (await incentives.post(P1, "/estimates", {**ASKED, "closes_on": "2026-03-03"})).json()["lines"]
    assert line["pay"] == "2.50 EUR"


async def test_in_an_estimate_a_spiff_whose_budget_has_nothing_left_keeps_no_other_from_paying(incentives):
    spiff = {"kind": "spiff", "component": "spiff"}
    await incentives.publish_plan(plan(**spiff), "ten")
    await incentives.publish_plan(plan({"percent": "30"}, **spiff, overlap="exclusive", budget_id="pot"), "alone")
    asked = {**ASKED, "closes_on": "2026-03-20"}
    found = (await incentives.post(P1, "/estimates", asked)).json()["lines"]
    assert {line["plan_id"]: line["pay"] for line in found} == {"ten": "10.00 EUR", "alone": "0.00 EUR"}
    filled = {"ref": "year", "amount": "100.00", "currency": "EUR"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", filled)).status_code == 201
    found = (await incentives.post(P1, "/estimates", asked)).json()["lines"]
    assert {line["plan_id"]: line["pay"] for line in found} == {"alone": "30.00 EUR"}


async def test_an_estimate_pays_a_partner_that_leaves_nothing_after_its_last_business_day(incentives):
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    await incentives.hear(leaves())
    for day, pays in ((LAST, ["10.00 EUR"]), (LAST + timedelta(days=1), [])):
        found = (await incentives.post(P1, "/estimates", {**ASKED, "closes_on": day.isoformat()})).json()["lines"]
        assert [line["pay"] for line in found] == pays


async def test_of_the_products_of_a_deal_each_counts_for_its_part(incentives):
    await incentives.publish_plan(plan(product_families=["cloud"]))
    deal = approved(registration_id="r9", partner_id="p1", amount=money("100.00", "EUR"))
    assert [line.family for line in deal.products] == ["cloud", "edge", "support"]
    assert [row["if_won"] for row in (await forecast_of(incentives, deal))["partners"]] == ["3.33"]


async def test_others_have_their_turn_while_many_sales_are_estimated():
    async def looked_at(sales):
        return [one async for one in forecasts(None, sales, (), START.date())]

    task, turns = asyncio.ensure_future(looked_at([NOTHING_KNOWN] * (5 * TURN_SALES))), 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert len(await task) == 5 * TURN_SALES
    assert turns > 5


async def test_what_is_won_lost_or_withdrawn_is_expected_no_more(incentives):
    await incentives.publish_plan(plan())
    lost = DealLost(partner_ids=("p1",), opportunity_id="o1", closed_on=START.date(), reason_code="price")
    withdrawn = DealWithdrawn(
        **of(approved(registration_id="r2"), DealWithdrawn), reason_code="gone", withdrawn_at=START
    )
    for end in (won(), lost):
        found = await forecast_of(incentives, *HAPPENED, withdrawn, end)
        assert (found["items"], found["sales"]) == ([], 0)


def of(it, kind):
    """The fields that two events have in common."""
    return {name: getattr(it, name) for name in kind.__dataclass_fields__ if hasattr(it, name)}


async def test_what_has_no_amount_is_left_out_and_an_amendment_counts(incentives):
    await incentives.publish_plan(plan())
    amended = DealAmended(
        **{**of(approved(registration_id="r2"), DealAmended), "partner_id": "p1", "amount": money("900.00", "EUR")},
        amended_at=START,
    )
    found = await forecast_of(incentives, *HAPPENED[1:2], amended, stage("o7", "qualified"))
    assert [(sale["opportunity_id"], sale["left_out"]) for sale in found["left_out"]] == [("o7", "no-amount")]
    assert [row["if_won"] for row in found["partners"]] == ["90.00"]


def test_repeats_and_other_orders_change_no_open_sale():
    assert_repeatable(OPEN_SALES, heard(*HAPPENED, won()))
    assert {CreditAllocated, DealWon} <= set(OPEN_SALES.keys)


async def test_a_partner_reads_what_its_own_open_sales_would_pay_it_and_not_how_likely_they_are(incentives):
    await incentives.publish_plan(plan())
    found = await estimates(beside(incentives, *HAPPENED), "acme", ("p1",))
    assert [(one["registration_id"], one["amount"]["amount"]) for one in found["items"]] == [
        ("r1", "2000.00"),
        ("r2", "500.00"),
    ]
    assert [[(line["partner_id"], line["if_won"]) for line in one["lines"]] for one in found["items"]] == [
        [("p1", "120.00")],
        [("p1", "50.00")],
    ]
    assert {name for one in found["items"] for name in one} == {*EstimatedSale.__annotations__}
    assert {name for one in found["items"] for line in one["lines"] for name in line} == {*EstimateLine.__annotations__}
    assert [row["if_won"] for row in found["months"]] == ["170.00"]
    assert (await estimates(beside(incentives, *HAPPENED), "acme", ("p2",)))["items"] == []


async def test_the_vendor_reads_the_estimates_of_every_open_sale(incentives):
    await incentives.publish_plan(plan())
    found = await estimates(beside(incentives, *HAPPENED), "acme", None)
    assert [len(one["lines"]) for one in found["items"]] == [2, 1]


async def test_a_partner_asks_for_its_own_estimates_whatever_it_names(incentives):
    assert (await incentives.get(P1, "/estimates?partner_id=p2"))["items"] == []
    assert await incentives.get(SELLER, "/estimates") == 403
    assert (await incentives.get(FINANCE, "/estimates?partner_id=p1"))["sales"] == 0
