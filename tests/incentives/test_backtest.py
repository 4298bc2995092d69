"""What another plan would have paid for what happened, and what a plan would pay for what might."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import canonical_json, plain
from contracts.values import money
from services.incentives.application.trying import TooManySales, Trial
from services.incentives.domain.backtest import Backtest
from services.incentives.domain.choice import Chosen, read_plan
from services.incentives.domain.dues import Known
from services.incentives.domain.exchange import Rate
from services.incentives.domain.meter import RebateSettled
from services.incentives.domain.payee import Payee
from services.incentives.domain.side import Posted, Pot, Side
from services.incentives.domain.taking import decimal_of
from services.incentives.projections.sales import sale_of
from tests.incentives.facts import START as LONG_AGO
from tests.incentives.facts import World, basis, book, credit, plan, reversal, share, sold, version, win
from tests.incentives.test_rating_steps import standing
from tests.incentives.test_service import (
    ADMIN,
    APPROVER,
    FINANCE,
    P1,
    P2,
    activated,
    credited,
    incentives,
    refunded,
    won,
)

__all__ = ["incentives"]
D = Decimal
KNOWN = Known(books=(), payees={})
YEAR = {"since": date(2026, 1, 1), "until": date(2026, 12, 31)}


def side(body, number=1, pot=None, known=KNOWN):
    return Side(Chosen(version(body, "plan-a", LONG_AGO, number), read_plan(body)), known, pot)


def posted(sale):
    """The lines that really stand of a sale, as the read model has them."""
    return [
        Posted(
            partner_id=line.key.partner_id,
            amount=line.remaining.amount,
            step="band-1",
            plan_id="plan-a",
            plan_version=line.plan_version,
            units=line.drawn_units - decimal_of(round(Fraction(line.drawn_units) * line.refilled, 4)),
        )
        for line in sale.lines.values()
    ]


def tried(old, new, sales, pots=(None, None)):
    test = Backtest(old=side(old, 1, pots[0]) if old else None, new=side(new, 2, pots[1]), **YEAR)
    for name, sale in sales.items():
        test.take(name, sale, posted(sale) if test.looks_at_posted else ())
    return test.report()


SOME = World(book(plan())).tell(
    *(win("1000.00", opportunity_id=name) for name in ("a", "b", "c")),
    credit(share("p1", "60.00"), share("p2", "40.00"), opportunity_id="a"),
    credit(share("p1", "100.00"), opportunity_id="b"),
    credit(share("p3", "100.00"), opportunity_id="c"),
    reversal("x", "500.00", opportunity_id="b"),
)


def test_winners_and_losers_are_named_with_their_difference():
    bands = ({"up_to": "700", "percent": "5"}, {"percent": "30"})
    report = tried(plan(), plan(*bands), SOME.sales)
    assert [(row["partner_id"], row["old"], row["new"], row["delta"]) for row in report["partners"]] == [
        ("p2", "40", "20", "-20"),
        ("p1", "110", "92.5", "-17.5"),
        ("p3", "100", "125", "25"),
    ]
    assert (report["winners"], report["losers"]) == (["p3"], ["p2", "p1"])
    assert report["lines"][2] == {
        "opportunity_id": "c",
        "old": [{"partner_id": "p3", "amount": "100.00", "step": "band-1"}],
        "new": [{"partner_id": "p3", "amount": "125.00", "step": "band-2"}],
    }


def test_the_same_backtest_gives_the_same_bytes():
    one, two = [tried(plan(), plan({"percent": "11"}), SOME.sales) for _ in range(2)]
    assert canonical_json(one) == canonical_json(two)
    assert one["digest"] != tried(plan(), plan({"percent": "12"}), SOME.sales)["digest"]


PARTED = [{"party": "partner", "percent": "66.67"}, {"party": "seller", "percent": "33.33"}]
TIMES = {"modifier_id": "m", "when": {"field": "role", "is_one_of": ["source"]}, "multiply": "1.5"}
PLANS = st.sampled_from(
    [
        plan(),
        plan({"up_to": "500", "percent": "7.5"}, {"percent": "12.25"}, semantics="retroactive"),
        plan({"percent": "10"}, line_cap="55", line_floor="20"),
        plan({"percent": "10"}, modifiers=[TIMES]),
    ]
)
CENTS = st.integers(min_value=1, max_value=300_000).map(lambda cents: f"{cents / 100:.2f}")


@given(PLANS, st.lists(st.tuples(CENTS, st.sampled_from(["p1", "p2"]), CENTS, st.booleans()), max_size=6))
def test_done_when_7_the_live_plan_against_itself_and_against_what_was_paid_has_delta_0(body, deals):
    world = World(book(body))
    for n, (amount, partner_id, refund, refunded_too) in enumerate(deals):
        identity = {"opportunity_id": f"o{n}"}
        world.tell(win(amount, **identity), credit(share(partner_id, "66.67"), **identity))
        if refunded_too:
            world.tell(reversal("x", refund, **identity))
    assert tried(body, body, world.sales)["total"]["delta"] == "0"
    beside = tried(None, body, world.sales)
    assert ([row["delta"] for row in beside["partners"] if row["delta"] != "0"], beside["changed"]) == ([], 0)
    paid = sum((line.remaining.amount for sale in world.sales.values() for line in sale.lines.values()), D(0))
    assert (D(beside["total"]["old"]), D(beside["total"]["new"])) == (paid, paid)


def euros_for_dollars(worth, day=16):
    return Rate(base="USD", quote="EUR", rate=D(worth), on=date(2026, 3, day), source="ecb")


DOLLARS = {"amount": "1000.00", "currency": "USD"}


def beside_itself(world, body, known, rate=None):
    """What a plan would have paid for the sales of a world beside what stands of it, in the plan's currency."""
    test = Backtest(old=None, new=side(body, 2, known=known), **YEAR)
    for name, sale in world.sales.items():
        stands = [replace(one, amount=line.stands_in_plan, rate=rate) for one, line in in_lines(sale)]
        test.take(name, sale, stands)
    return test.report()


def in_lines(sale):
    return zip(posted(sale), sale.lines.values(), strict=True)


@given(st.lists(st.tuples(CENTS, st.sampled_from(["EUR", "USD"]), CENTS), min_size=1, max_size=5), PLANS)
def test_sales_in_another_currency_than_the_plan_s_count_at_the_recorded_rate(deals, body):
    rates = (euros_for_dollars("0.9"), euros_for_dollars("0.8", 15))
    world = World(book(body), rates=rates)
    for n, (amount, currency, refund) in enumerate(deals):
        identity = {"opportunity_id": f"o{n}"}
        world.tell(win(amount, currency=currency, **identity), credit(share("p1", "66.67"), **identity))
        world.tell(replace(reversal("x", refund, **identity), amount=money(refund, currency)))
    report = beside_itself(world, body, Known(books=(), payees={}, rates=rates))
    assert (report["total"]["delta"], report["changed"], report["quarantined"]) == ("0", 0, 0)


def test_a_sale_counts_at_the_rate_that_it_met_when_another_one_is_recorded_for_its_day_since():
    before, now = euros_for_dollars("0.8", 15), euros_for_dollars("0.9")
    world = World(book(plan()), rates=(before,)).tell(win(**DOLLARS), credit())
    known = Known(books=(), payees={}, rates=(before, now))
    assert beside_itself(world, plan(), known, before)["total"]["new"] == "80"
    assert beside_itself(world, plan(), known)["total"]["new"] == "90"


def test_without_a_rate_a_sale_in_another_currency_is_quarantined_and_pays_nothing():
    world = World(book(plan())).tell(win(**DOLLARS), credit())
    report = beside_itself(world, plan(), KNOWN)
    assert (report["quarantined"], report["total"]["new"]) == (1, "0")


@pytest.mark.parametrize("cap", ["75.5", "300", "1000"])
def test_a_cap_on_the_deal_counts_as_it_did_in_the_order_in_which_things_became_known(cap):
    body = plan(deal_cap=cap)
    world = World(book(body)).tell(
        win("1000.00"),
        credit(share("p1", "60.00"), share("p2", "40.00")),
        basis("added", "a2", "2000.00"),
        reversal("x", "500.00"),
        basis("added", "a1", "3000.00"),
    )
    report = beside_itself(world, body, KNOWN)
    assert {row["partner_id"]: row["delta"] for row in report["partners"]} == {"p1": "0", "p2": "0"}
    assert report["changed"] == 0


def test_beside_what_was_posted_the_sales_that_change_are_named():
    report = tried(None, plan({"up_to": "700", "percent": "10"}, {"percent": "30"}), SOME.sales)
    assert report["lines"] == [
        {
            "opportunity_id": name,
            "old": [{"partner_id": partner_id, "amount": old, "step": "band-1"}],
            "new": [{"partner_id": partner_id, "amount": new, "step": "band-2"}],
        }
        for name, partner_id, old, new in (("b", "p1", "50.00", "80.00"), ("c", "p3", "100.00", "160.00"))
    ]


# Budgets: as much as there is, in the order of days


def spiff(**changes):
    return plan({"flat": "300"}, **{"kind": "spiff", "component": "spiff", "budget_id": "pot", **changes})


def in_turn(body, allocated, *steps):
    """Sales one a day, told in that order; `~` before a name takes the sale of that name back on its day."""
    world = World(book(body)).allocate("pot", allocated)
    for day, step in enumerate(steps, start=1):
        on, name = date(2026, 3, day), step.strip("~")
        told = [win(opportunity_id=name, closed_on=on), credit(share(name[0], "100.00"), opportunity_id=name)]
        if step.startswith("~"):
            told = [reversal(f"x-{name}", "1000.00", opportunity_id=name, occurred_on=on)]
        world.tell(*told)
    return world


def pot_of(world, *versions):
    """The budget as it stands now, and whose lines drew on it."""
    return Pot("pot", world.budgets["pot"].available.amount, frozenset(("plan-a", one) for one in versions))


def test_awards_of_300_from_a_budget_of_1_000_are_300_300_300_100_and_then_nothing():
    world = in_turn(spiff(), "1000.00", "e", "d", "c", "b", "a")
    report = tried(None, spiff(), world.sales, (None, pot_of(world, 1)))
    assert {row["partner_id"]: row["new"] for row in report["partners"]} == {
        **dict.fromkeys("edc", "300"),
        "b": "100",
        "a": "0",
    }
    assert report["budget"] == {"budget_id": "pot", "had": "1000", "used": "1000", "short": 2}
    assert (report["total"]["delta"], report["changed"]) == ("0", 0)


def test_a_plan_that_gives_more_reaches_fewer_partners_and_says_that_the_budget_decides():
    world = in_turn(spiff(), "1000.00", "e", "d", "c", "b")
    richer = plan({"flat": "500"}, kind="spiff", component="spiff", budget_id="pot")
    report = tried(None, richer, world.sales, (None, pot_of(world, 1)))
    assert (report["winners"], report["losers"]) == (["e", "d"], ["c", "b"])
    [last] = [row for row in report["lines"] if row["opportunity_id"] == "c"]
    assert last["new"] == [{"partner_id": "c", "amount": "0.00", "step": "budget"}]


def test_what_is_taken_back_of_an_award_is_there_for_later_sales():
    world = in_turn(spiff(), "600.00", "a", "b", "c", "~a", "d")
    report = tried(None, spiff(), world.sales, (None, pot_of(world, 1)))
    assert {row["partner_id"]: row["new"] for row in report["partners"]} == {"a": "0", "b": "300", "d": "300", "c": "0"}


def test_what_others_drew_on_a_budget_is_not_there():
    world = in_turn(spiff(), "1000.00", "a", "b")
    report = tried(None, spiff(), world.sales, (None, pot_of(world)))
    assert (report["budget"]["had"], report["total"]["new"]) == ("400", "400")


STEPS = st.permutations([*(f"{partner}{n}" for partner in "abc" for n in range(3))])


@given(STEPS, st.integers(0, 9), st.integers(1, 2_000), st.sampled_from(["rest", "none"]), st.booleans())
def test_a_plan_with_a_budget_against_what_was_paid_has_delta_0(steps, refunds, allocated, last, parted):
    body = spiff(last_award=last, payees=PARTED if parted else [])
    told = [*steps[:5], *(f"~{name}" for name in steps[: min(refunds, 5)]), *steps[5:]]
    world = in_turn(body, f"{allocated}.00", *told)
    forwards, back = world.sales, dict(reversed(world.sales.items()))
    reports = [tried(None, body, sales, (None, pot_of(world, 1))) for sales in (forwards, back)]
    assert reports[0] == reports[1]
    assert [row["delta"] for row in reports[0]["partners"] if row["delta"] != "0"] == []


def in_units(units, *steps, **changes):
    """The same, of a budget of units: fifty a piece, of which the sale of `c2` has two."""
    body = plan({"per_unit": "50"}, axis="units", basis="units", kind="spiff", budget_id="pot", **changes)
    world = World(book(body)).allocate_units("pot", units)
    for day, step in enumerate(steps, start=1):
        on, name = date(2026, 3, day), step.strip("~")
        lines = (sold("1", "cloud", "1000.00", int(name[1:])),)
        told = [
            win(opportunity_id=name, closed_on=on, sold=lines),
            credit(share(name[0], "100.00"), opportunity_id=name),
        ]
        if step.startswith("~"):
            told = [reversal(f"x-{name}", "333.00", opportunity_id=name, occurred_on=on)]
        world.tell(*told)
    pot = Pot("pot", world.budgets["pot"].units.available, frozenset({("plan-a", 1)}), of_units=True)
    return body, world, pot


def test_a_budget_of_6_units_pays_for_4_and_2_of_3_and_says_so_in_units():
    body, world, pot = in_units("6", "a4", "b3", "c1")
    report = tried(None, body, world.sales, (None, pot))
    assert {row["partner_id"]: row["new"] for row in report["partners"]} == {"a": "200", "b": "100", "c": "0"}
    assert report["budget"] == {"budget_id": "pot", "had": "6", "used": "6", "units": True, "short": 2}
    assert (report["total"]["delta"], report["changed"]) == ("0", 0)


UNIT_STEPS = st.permutations([f"{partner}{n}" for partner in "abc" for n in (1, 2, 5)])


@given(UNIT_STEPS, st.integers(0, 5), st.integers(1, 30), st.sampled_from(["rest", "none"]))
def test_a_plan_with_a_budget_of_units_against_what_was_paid_has_delta_0(steps, refunds, allocated, last):
    told = [*steps[:5], *(f"~{name}" for name in steps[:refunds]), *steps[5:]]
    body, world, pot = in_units(str(allocated), *told, last_award=last)
    report = tried(None, body, world.sales, (None, pot))
    assert [row["delta"] for row in report["partners"] if row["delta"] != "0"] == []


REBATES = {
    "volume": {},
    "growth": {"type": "growth", "baselines": [{"measure": "900"}, {"measure": "300", "payee_id": "p2"}]},
    "mix": {"type": "mix", "mix_families": ["cloud"], "mix_percent": "30"},
    "requires": {"requires": {"field": "tier", "is_one_of": ["gold"]}},
}


@pytest.mark.parametrize(
    ("kind", "paid"),
    [
        ("volume", {"p1": "150", "p2": "50"}),
        ("growth", {"p1": "60", "p2": "20"}),
        ("mix", {"p1": "150", "p2": "0"}),
        ("requires", {"p1": "150", "p2": "0"}),
    ],
)
def test_a_rebate_against_what_was_settled_has_delta_0_whatever_its_terms(kind, paid):
    body = plan(kind="rebate", accumulate="quarter", rebate={"settle": "quarter", **REBATES[kind]})
    cloud, erp = ((sold("1", family, "1000.00"),) for family in ("cloud", "erp"))
    gold = Payee(standing=(standing("tier", "gold"),))
    world = World(book(body)).tell(
        win("1000.00", opportunity_id="a", sold=cloud),
        credit(opportunity_id="a"),
        win("1000.00", opportunity_id="b", sold=erp),
        credit(share("p1", "50.00"), share("p2", "50.00"), opportunity_id="b"),
    )
    for meter, state in list(world.meters.items()):
        world.close(meter, date(2026, 4, 1), gold if state.payee_id == "p1" else Payee())
    test = Backtest(old=None, new=side(body, 2, known=Known(books=(), payees={"p1": gold})), **YEAR)
    for name, sale in world.sales.items():
        test.take(name, sale)
    for settled in world.of(RebateSettled):
        test.paid(of_window(settled))
    rows = test.report()["partners"]
    assert {row["partner_id"]: row["new"] for row in rows} == paid
    assert {row["delta"] for row in rows} == {"0"}


def of_window(settled):
    named = {"partner_id": settled.payee_id, "plan_id": settled.plan_id, "plan_version": settled.plan_version}
    return Posted(amount=settled.amount.amount, step=settled.window, **named)


def test_a_window_counts_as_closed():
    bands = ({"up_to": "1500", "percent": "10"}, {"percent": "50"})
    report = tried(plan(), plan(*bands, accumulate="year", semantics="retroactive"), SOME.sales)
    assert {row["partner_id"]: row["new"] for row in report["partners"]} == {"p1": "110", "p2": "40", "p3": "100"}


def year(count):
    """Documents of won deals of a year, as the read model holds them."""
    won_one, credited_one = (
        plain(SOME.sales["a"].wins[1]),
        plain(next(iter(SOME.sales["a"].credits.values()))),
    )
    for n in range(count):
        name, partner_id = f"o{n}", f"p{n % 500}"
        shares = [{**credited_one["shares"][0], "partner_id": partner_id}]
        day = date(2026, 1 + n % 12, 1 + n % 28).isoformat()
        amount = {"amount": f"{1 + n % 100_000}.{n % 100:02}", "currency": "EUR"}
        sold = [{**won_one["sold"][0], "amount": amount}]
        yield {
            "opportunity_id": name,
            "wins": {"1": {**won_one, "opportunity_id": name, "amount": amount, "sold": sold, "credited_on": day}},
            "credits": {"s": {**credited_one, "opportunity_id": name, "shares": shares}},
            "reversals": {},
            "bases": {},
            "told": [],
        }


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_year_of_100_000_won_deals_is_tried_in_under_a_minute_of_one_core():
    documents = list(year(100_000))
    reports = []
    for _ in range(2):
        test = Backtest(old=side(plan()), new=side(plan({"percent": "11"}), 2), **YEAR)
        start = process_time()
        for document in documents:
            test.take(document["opportunity_id"], sale_of(document))
        reports.append(test.report())
        assert process_time() - start < 60
    assert reports[0] == reports[1]
    assert (reports[0]["sales"], len(reports[0]["winners"])) == (100_000, 500)


def test_a_document_holds_all_that_a_backtest_needs():
    documents = {document["opportunity_id"]: document for document in year(3)}
    assert tried(plan(), plan(), {name: sale_of(one) for name, one in documents.items()})["sales"] == 3


# At work


async def quarter(asked):
    await asked.publish_plan(plan())
    await asked.hear(activated())
    await sold_and_refunded(asked)


async def sold_and_refunded(asked):
    for name in ("o1", "o2"):
        await asked.hear(won(name))
        await asked.hear(credited(("p1", "60.00"), ("p2", "40.00"), opportunity_id=name))
    await asked.hear(refunded("x", "500.00"))


async def report_of(asked, **body):
    given = {"rulebook_id": "commission", "since": "2026-01-01", "until": "2026-12-31", **body}
    answer = await asked.post(FINANCE, "/backtests", given)
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    await asked.service.shadow_runs.finished(run_id)
    found = await asked.get(FINANCE, f"/backtests/{run_id}")
    assert found["status"] == "ready", found
    return found["report"]


async def test_done_when_7_a_backtest_changes_nothing_and_the_live_plan_against_what_was_posted_has_delta_0(incentives):
    await quarter(incentives)
    await incentives.rest()
    head = await incentives.service.store.head()
    report = await report_of(incentives, version=1)
    assert report["total"] == {"partner_id": "", "old": "150", "new": "150", "delta": "0"}
    richer = await report_of(incentives, body=plan({"percent": "20"}))
    assert [(row["partner_id"], row["delta"]) for row in richer["partners"]] == [("p2", "60"), ("p1", "90")]
    compared = await report_of(incentives, body=plan({"percent": "20"}), baseline="version", baseline_version=1)
    assert (compared["total"], compared["changed"]) == (richer["total"], 2)
    assert await report_of(incentives, body=plan({"percent": "20"})) == richer
    assert await incentives.service.store.head() == head
    body = {"rulebook_id": "commission", "version": 1, "since": "2026-01-01", "until": "2026-12-31"}
    assert (await incentives.post(P1, "/backtests", body)).status_code == 403
    nothing = {**body, "baseline": "version", "baseline_version": 9}
    assert (await incentives.post(FINANCE, "/backtests", nothing)).json()["slug"] == "no-draft"


async def test_who_is_paid_in_another_currency_is_compared_in_the_plan_s(incentives):
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    assert (await incentives.put(P1, "/payees/p1/currency", {"currency": "USD"})).status_code == 200
    incentives.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
    rates = {"source": "ecb", "on": "2026-03-16", "pairs": {"EUR/USD": "1.0842"}}
    assert (await incentives.post(FINANCE, "/rates", rates)).status_code == 201
    await sold_and_refunded(incentives)
    lines = (await incentives.get(P1, "/lines"))["items"]
    assert {line["currency"] for line in lines} == {"USD"}
    report = await report_of(incentives, version=1)
    assert {row["partner_id"]: (row["old"], row["delta"]) for row in report["partners"]} == {
        "p1": ("90", "0"),
        "p2": ("60", "0"),
    }


async def test_a_sale_in_another_currency_counts_in_the_backtest_of_the_live_plan_against_itself(incentives):
    await in_dollars(incentives)
    report = await report_of(incentives, version=1)
    assert (report["total"]["old"], report["total"]["delta"], report["quarantined"]) == ("90", "0", 0)
    richer = await report_of(incentives, body=plan({"percent": "20"}), baseline="version", baseline_version=1)
    assert (richer["total"]["old"], richer["total"]["new"]) == ("90", "180")


async def in_dollars(asked):
    """A sale of 1,000.00 USD under a plan in EUR."""
    await asked.publish_plan(plan())
    asked.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
    rates = {"source": "ecb", "on": "2026-03-16", "pairs": {"USD/EUR": "0.9"}}
    assert (await asked.post(FINANCE, "/rates", rates)).status_code == 201
    await asked.hear(replace(won(), amount=money("1000.00", "USD")))
    await asked.hear(credited(("p1", "100.00")))


async def test_a_backtest_of_more_sales_than_it_looks_at_fails_and_shows_no_part_of_them(incentives):
    await quarter(incentives)
    trial = Trial(
        app=incentives.service.application,
        tenant="acme",
        test=Backtest(old=None, new=side(plan()), **YEAR),
        plan_ids=frozenset({"commission"}),
        sales_max=1,
    )
    with pytest.raises(TooManySales, match="1 sales at most, and there are 2"):
        await trial.run(lambda done, total: None)


async def test_a_backtest_of_a_spiff_gives_no_more_than_its_budget_has(incentives):
    await incentives.publish_plan(spiff(), "spiff")
    pot = {"ref": "first", "amount": "500.00", "currency": "EUR"}
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", pot)).status_code == 201
    for name in ("o1", "o2"):
        await incentives.hear(won(name))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
    same = await report_of(incentives, rulebook_id="spiff", version=1)
    assert (same["total"]["new"], same["total"]["delta"], same["changed"]) == ("500", "0", 0)
    assert same["budget"] == {"budget_id": "pot", "had": "500", "used": "500", "short": 1}
    versions = {"version": 1, "baseline": "version", "baseline_version": 1}
    assert (await report_of(incentives, rulebook_id="spiff", **versions))["total"]["old"] == "500"
    other = spiff(budget_id="nowhere")
    assert (await report_of(incentives, rulebook_id="spiff", body=other))["total"]["new"] == "0"


async def test_an_estimate_is_what_the_engine_would_pay_and_stores_nothing(incentives):
    bands = ({"up_to": "1000", "percent": "10"}, {"percent": "20"})
    await incentives.publish_plan(plan(*bands, accumulate="quarter"))
    await incentives.hear(activated())
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "60.00")))
    await incentives.rest()
    head = await incentives.service.store.head()
    asked = {"partner_id": "p1", "amount": "1000.00", "currency": "EUR", "closes_on": "2026-03-20"}
    answer = await incentives.post(P1, "/estimates", asked)
    [line] = answer.json()["lines"]
    assert (line["pay"], line["to_next_band"], line["plan_id"]) == ("160.00 EUR", "400", "commission")
    assert await incentives.service.store.head() == head
    assert (await incentives.post(P2, "/estimates", asked)).status_code == 404
    await incentives.hear(won("o2"))
    await incentives.hear(credited(("p1", "100.00"), opportunity_id="o2"))
    amounts = {one["opportunity_id"]: one["amount"]["amount"] for one in (await incentives.get(P1, "/lines"))["items"]}
    assert amounts["o2"] == "160.00"
    assert (await incentives.post(ADMIN, "/estimates", {**asked, "amount": "1.001"})).json()["slug"] == "sale-invalid"


def test_a_scope_counts_the_lines_of_the_partners_that_it_names_alone():
    test = Backtest(old=None, new=side(plan({"percent": "20"}), 2), only=frozenset({"p1"}), **YEAR)
    for name, sale in SOME.sales.items():
        test.take(name, sale, [one for one in posted(sale) if one.partner_id == "p1"])
    report = test.report()
    assert [(row["partner_id"], row["old"], row["new"]) for row in report["partners"]] == [("p1", "110", "220")]


def test_under_a_cap_on_the_deal_others_take_up_their_room_in_a_scope_too():
    world = World(book(plan(deal_cap="75.5"))).tell(win(), credit(share("p1", "60.00"), share("p2", "40.00")))
    test = Backtest(old=side(plan(deal_cap="75.5")), new=side(plan(), 2), only=frozenset({"p2"}), **YEAR)
    test.take("o1", world.sales["o1"])
    assert [(row["partner_id"], row["old"], row["new"]) for row in test.report()["partners"]] == [("p2", "15.5", "40")]


async def test_backtests_are_asked_for_in_the_words_of_either_name_and_listed_newest_first(incentives):
    await quarter(incentives)
    await incentives.rest()
    whole = {"rulebook_id": "commission", "version": 1, "from": "2026-01-01", "to": "2026-12-31"}
    first = (await incentives.post(FINANCE, "/backtests", {**whole, "scope": {"partner_ids": ["p1"]}})).json()
    await incentives.service.shadow_runs.finished(first["run_id"])
    found = await incentives.get(FINANCE, f"/backtests/{first['run_id']}")
    assert [row["partner_id"] for row in found["report"]["partners"]] == ["p1"]
    assert (found["since"], found["until"], found["partner_ids"]) == ("2026-01-01", "2026-12-31", ["p1"])
    assert found["report"]["total"]["delta"] == "0"
    incentives.clock.set(incentives.clock.now() + timedelta(minutes=1))
    await report_of(incentives, version=1)
    rows = await incentives.get(FINANCE, "/backtests?limit=1")
    assert ("report" in rows["items"][0], rows["items"][0]["status"]) == (False, "ready")
    following = await incentives.get(FINANCE, f"/backtests?limit=1&cursor={rows['next_cursor']}")
    assert ([row["run_id"] for row in following["items"]], following["next_cursor"]) == ([first["run_id"]], None)
    assert (await incentives.get(FINANCE, "/shadow-runs"))["items"] == []
    assert await incentives.get(P1, "/backtests") == 403
