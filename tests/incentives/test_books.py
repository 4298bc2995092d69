"""The books: currencies, rates, months that close, what is owed on any day and at any position."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from chassis.testing.kit import given
from chassis.verify import verify_decisions
from contracts.gateway import TenantOpened
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.application.sales import EVALUATORS, decide_fact
from services.incentives.domain.books import (
    AllBooks,
    BooksUnbalanced,
    CloseMonth,
    MonthClosed,
    MonthOpen,
    PreviousOpen,
    RatesInvalid,
    RecordRates,
    booked_month,
    record_rates_once,
)
from services.incentives.domain.exchange import InBooks, NoRate, Rate, exact, exchanged, newest, rate_for
from services.incentives.domain.journal import Entry, Journal, Unbalanced, books_balance, entry
from services.incentives.domain.line import adjust_line, confirm_adjustment, release_line
from services.incentives.domain.rating import OutOfRange, steps
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import AdjustLine, ConfirmAdjustment, RecordWin, ReleaseLine, ResolveFact
from services.incentives.domain.sale_events import FactQuarantined, PayoutAdjusted, PayoutCalculated, PayoutReversed
from tests.incentives.facts import NOW, World, book, credit, plan, reversal, win
from tests.incentives.test_service import (
    APPROVER,
    FINANCE,
    P1,
    activated,
    credited,
    earned,
    incentives,
    refunded,
    started,
    won,
)

__all__ = ["incentives"]
D = Decimal
TABLE = {handles.command: handles for handles in HANDLES}
APRIL = datetime(2026, 4, 2, tzinfo=UTC)


def closing(month="2026-03", **changes):
    fields = {
        "month": month,
        "position": 7,
        "balances": {"held EUR": "-5.00", "expense EUR": "5.00"},
        "totals": {"EUR": "0.00"},
        "first_month": "2026-03",
        "by": "fin-2",
        "now": APRIL,
    }
    return CloseMonth(**{**fields, **changes})


def rates(**changes):
    fields = {"source": "ecb", "on": date(2026, 3, 16), "pairs": {"EUR/USD": D("1.10")}, "by": "fin-1", "now": NOW}
    return RecordRates(**{**fields, **changes})


# Rates


def test_the_newest_rate_of_the_week_counts_also_the_other_way_round():
    known = [
        Rate(base="USD", quote="EUR", rate=D(r), on=date(2026, 3, d), source="ecb")
        for d, r in ((9, "0.9"), (12, "0.8"))
    ]
    assert rate_for(known, "USD", "EUR", date(2026, 3, 16)).rate == D("0.8")
    assert rate_for(known, "EUR", "USD", date(2026, 3, 16)).rate == D("1.2500000000")
    assert rate_for(known, "USD", "EUR", date(2026, 3, 20)) is None
    assert rate_for(known, "USD", "EUR", date(2026, 3, 8)) is None


def in_euros(dong, *, as_now):
    recorded = Rate(base="EUR", quote="VND", rate=D("26000"), on=date(2026, 3, 16), source="ecb")
    [known] = exact([recorded]) if as_now else [recorded]
    return exchanged(money(dong, "VND"), rate_for([known], "VND", "EUR", date(2026, 3, 16))).result


def test_a_pair_that_was_recorded_the_other_way_round_is_divided_by_so_that_large_amounts_are_right_to_the_cent():
    assert in_euros("1000000000", as_now=True) == money("38461.54", "EUR")
    assert in_euros("130", as_now=True) == money("0.01", "EUR"), "half a cent goes up, by an inverse that does not end"
    assert in_euros("1000000000", as_now=False) == money("38461.50", "EUR"), (
        "as what was looked up before is decided again"
    )


def test_a_derivation_says_the_rate_as_it_was_recorded():
    recorded = exact([Rate(base="EUR", quote="USD", rate=D("1.2"), on=date(2026, 3, 16), source="ecb")])
    world = World(book(plan()), rates=recorded).tell(win("1000.00", currency="USD"), credit())
    [line] = world.of(PayoutCalculated)
    told = {step.code: step.text for step in steps(line.derivation)}
    assert told["exchange"] == "1000.00 USD is 833.33 EUR: 1 EUR = 1.2 USD of 2026-03-16, ecb"
    assert line.amount == money("83.33", "EUR")


@pytest.mark.parametrize(
    "wrong",
    [
        {"pairs": {}},
        {"pairs": {"EUR/EUR": D(1)}},
        {"pairs": {"EURUSD": D(1)}},
        {"pairs": {"EUR/USD": D(0)}},
        {"pairs": {"EUR/USD": D("1.00000000001")}},
        {"on": date(2026, 3, 17)},
    ],
)
def test_a_rate_that_cannot_be_is_refused(wrong):
    given(TABLE[RecordRates]).when(rates(**wrong)).refused(RatesInvalid)


def test_rates_that_are_known_change_nothing():
    happened = given(TABLE[RecordRates]).when(rates()).verdict.events[0]
    given(TABLE[RecordRates], (AllBooks.at("2026-03"), happened)).when(rates()).then_nothing()


def test_of_rates_of_one_pair_and_day_the_last_recorded_counts_whichever_way_round():
    day = {"on": date(2026, 3, 16), "source": "ecb"}
    slip, corrected = (Rate(base="EUR", quote="USD", rate=D(r), **day) for r in ("11.0", "1.10"))
    other_way = Rate(base="USD", quote="EUR", rate=D("0.9"), **day)
    other_day = Rate(base="EUR", quote="USD", rate=D("1.2"), on=date(2026, 3, 15), source="ecb")
    assert newest([slip, other_day, corrected]) == (corrected, other_day)
    assert newest([slip, other_way]) == (other_way,)


def test_a_rate_that_was_corrected_can_be_put_back_and_the_first_evaluator_took_it_for_known():
    at = AllBooks.at("2026-03")
    happened = given(TABLE[RecordRates]).when(rates()).verdict.events[0]
    happened += given(TABLE[RecordRates], (at, happened)).when(rates(pairs={"EUR/USD": D("1.20")})).verdict.events[0]
    [back] = given(TABLE[RecordRates], (at, happened)).when(rates()).verdict.events[0]
    assert [one.rate for one in back.rates] == [D("1.10")]
    assert record_rates_once(rates(), AllBooks.fold(happened)) == []


# Months


def test_a_month_closes_once_it_is_over_after_the_one_before_and_balanced():
    given(TABLE[CloseMonth]).when(closing(now=NOW)).refused(MonthOpen)
    given(TABLE[CloseMonth]).when(closing(totals={"EUR": "0.01"})).refused(BooksUnbalanced)
    given(TABLE[CloseMonth]).when(closing(first_month="2026-02")).refused(PreviousOpen)
    [closed] = given(TABLE[CloseMonth]).when(closing()).verdict.events[0]
    assert isinstance(closed, MonthClosed)
    assert (closed.month, closed.position, len(closed.sha256)) == ("2026-03", 7, 64)
    given(TABLE[CloseMonth], (AllBooks.at("2026-03"), [closed])).when(closing()).then_nothing()


@pytest.mark.parametrize(
    ("day", "position", "month"),
    [
        (date(2026, 3, 31), 5, "2026-03"),
        (date(2026, 3, 31), 11, "2026-04"),
        (date(2026, 3, 31), 21, "2026-05"),
        (date(2026, 4, 1), 15, "2026-04"),
        (date(2026, 5, 1), 99, "2026-05"),
    ],
)
def test_a_journal_counts_in_its_month_or_the_first_one_that_was_open(day, position, month):
    assert booked_month(day, position, {"2026-03": 10, "2026-04": 20}) == month


def test_a_fact_that_comes_to_more_than_money_holds_in_the_plan_s_currency_is_kept_until_the_rate_is_corrected():
    """A sale of 1,000.00 EUR under a plan in dollars; the evaluator before refused it, and it was lost."""
    day = {"base": "EUR", "quote": "USD", "on": NOW.date(), "source": "ecb"}
    slip, right = ((Rate(**day, rate=D(rate)),) for rate in ("1000000000000000", "1.10"))
    with pytest.raises(OutOfRange):
        World(book(plan(currency="USD")), rates=slip, keeps_too_much=False).tell(win("1000.00"), credit())
    world = World(book(plan(currency="USD")), rates=slip).tell(win("1000.00"), credit(), reversal("x", "500.00"))
    assert [one.reason_code for one in world.of(FactQuarantined)] == ["no-rate"]
    world.known["rates"] = right
    world.tell(ResolveFact(opportunity_id="o1", win_no=1, plan_id="plan-a", by="fin", plan_ids=("plan-a",), now=NOW))
    assert world.standing() == [("o1", 1, "p1", "plan-a", D("110.00"), D("55.00"))]


# Journals in the books


def test_a_journal_that_does_not_balance_in_the_books_cannot_be():
    one = entry("held", money("1.00", "EUR"), "p1", "x", money("1.10", "USD"))
    other = entry("payable", money("-1.00", "EUR"), "p1", "x", money("-1.11", "USD"))
    with pytest.raises(Unbalanced):
        Journal(entries=(one, other))


def test_done_when_1_100_00_eur_earned_at_1_10_stands_at_110_00_in_the_books_and_is_reversed_at_that():
    known = {"rates": (Rate(base="EUR", quote="USD", rate=D("1.10"), on=date(2026, 3, 16), source="ecb"),)}
    world = World(book(plan()), books_currency="USD", **known).tell(win("1000.00"), credit())
    [line] = world.of(PayoutCalculated)
    assert [e.books_amount for e in line.journal.entries] == [money("110.00", "USD"), money("-110.00", "USD")]
    world.known["rates"] = (Rate(base="EUR", quote="USD", rate=D("9.99"), on=date(2026, 3, 16), source="ecb"),)
    for n, amount in enumerate(("333.33", "333.33", "333.34")):
        world.tell(reversal(f"x{n}", amount))
    back = [one.journal.entries[0].books_amount.amount for one in world.of(PayoutReversed)]
    assert sum(back) == D("110.00")
    assert books_balance(world.posted()) == {"USD": D(0)}
    assert (
        Entry(account="expense", of="spiff", payee_id="p", amount=money("1.00", "EUR"), cause="c").name
        == "expense:spiff"
    )


# At work


def opened(currency="EUR"):
    return TenantOpened(
        slug="acme", name="Acme", sandbox=False, zone="UTC", currency=currency, locales=("en",), opened_at=NOW
    )


async def test_what_is_owed_is_known_for_any_day_and_any_position(incentives):
    await earned(incentives)
    before = await incentives.service.store.head()
    seen_at = incentives.clock.now()
    incentives.clock.set(datetime(2026, 3, 20, tzinfo=UTC))
    await incentives.hear(refunded("x", "500.00"))

    async def owed(query):
        found = (await incentives.get(FINANCE, f"/liability{query}"))["items"]
        return [(one["held"], one["owed"]) for one in found]

    assert await owed("") == [("50.00", "50.00")]
    assert await owed("?as_of=2026-03-16") == [("100.00", "100.00")]
    assert await owed("?as_of=2026-03-15") == []
    assert await owed(f"?position={before}") == [("100.00", "100.00")]
    assert await owed(f"?known_at={seen_at.isoformat().replace('+00:00', 'Z')}") == [("100.00", "100.00")]
    assert await incentives.get(P1, "/liability") == 403
    assert await incentives.get(FINANCE, "/liability?position=1&as_of=2026-03-15") == 400


async def test_a_month_is_closed_by_an_approver_and_told(incentives):
    await earned(incentives)
    assert (await incentives.post(APPROVER, "/books/2026-03/close")).json()["slug"] == "period-open"
    incentives.clock.set(APRIL)
    assert (await incentives.post(FINANCE, "/books/2026-03/close")).status_code == 403
    closed = (await incentives.post(APPROVER, "/books/2026-03/close")).json()
    assert (await incentives.get(FINANCE, "/books/2026-03"))["closed_position"] == closed["position"]
    incentives.clock.set(datetime(2026, 6, 2, tzinfo=UTC))
    assert (await incentives.post(APPROVER, "/books/2026-05/close")).json()["slug"] == "previous-open"


async def test_the_month_that_is_closed_next_is_told_however_long_ago_it_was(incentives):
    await earned(incentives)
    incentives.clock.set(datetime(2029, 1, 2, tzinfo=UTC))
    months = (await incentives.get(FINANCE, "/books"))["items"]
    assert (len(months), months[0]["month"], months[-1]["month"]) == (35, "2029-01", "2026-03")
    assert [one["month"] for one in months if one["next"]] == ["2026-03"]
    for month in ("2026-03", "2026-04"):
        assert (await incentives.post(APPROVER, f"/books/{month}/close")).status_code == 200
    assert [one["month"] for one in (await incentives.get(FINANCE, "/books"))["items"] if one["next"]] == ["2026-05"]


async def test_what_a_clock_that_lags_books_in_a_closed_month_counts_in_the_first_open_one(incentives):
    """100.00 in March, which is closed; then 50.00 by a process whose clock still says the 31st, and a refund in April."""
    await earned(incentives, hold_days=90)
    incentives.clock.set(APRIL)
    assert (await incentives.post(APPROVER, "/books/2026-03/close")).status_code == 200
    incentives.clock.set(datetime(2026, 3, 31, 23, 59, 59, tzinfo=UTC))
    await incentives.hear(won("o2", "500.00"))
    await incentives.hear(credited(("p1", "100.00"), opportunity_id="o2"))
    incentives.clock.set(APRIL)
    await incentives.hear(refunded("x", "300.00"))

    async def booked(month):
        found = (await incentives.get(FINANCE, f"/books/{month}"))["booked"]
        return [(one["accounts"]["held"], one["total"]) for one in found]

    assert [await booked(month) for month in ("2026-03", "2026-04", "2026-05")] == [
        *([("-100.00", "0.00")], [("-20.00", "0.00")], []),
    ]
    told = [(one["booked_on"], one["counts_in"]) for one in (await incentives.get(FINANCE, "/ledger"))["items"]]
    assert told == [("2026-03-16", "2026-03"), ("2026-03-31", "2026-04"), ("2026-04-02", "2026-04")]
    days = [
        line[:10] for line in (await exported(incentives, "beancount")) if "calculated" in line or "reversed" in line
    ]
    assert days == ["2026-03-16", "2026-04-01", "2026-04-02"]
    assert [row.rpartition(",")[2] for row in await exported(incentives, "csv")] == [
        *("counts_in", "2026-03", "2026-03", "2026-04", "2026-04", "2026-04", "2026-04"),
    ]
    incentives.clock.set(datetime(2026, 5, 2, tzinfo=UTC))
    assert (await incentives.post(APPROVER, "/books/2026-04/close")).status_code == 200
    assert await booked("2026-04") == [("-20.00", "0.00")]
    for month, rows in (("2026-03", 2), ("2026-04", 4), ("2026-05", 0)):
        found = await exported(incentives, f"csv&month={month}")
        assert [row.rpartition(",")[2] for row in found[1:]] == [month] * rows, "what the books of the month sum up"
    assert await incentives.get(FINANCE, "/ledger/export?month=2026-04&since=2026-04-01") == 400


async def exported(incentives, shape):
    return (await incentives.text(FINANCE, f"/ledger/export?format={shape}")).splitlines()


async def test_what_is_owed_at_a_position_is_the_same_whatever_was_posted_on_that_day_after_it(incentives):
    """And the instant between two journals of one second finds the first of them."""
    await earned(incentives)
    before = await incentives.service.store.head()
    incentives.clock.set(incentives.clock.now() + timedelta(milliseconds=500))
    await incentives.hear(won("o2", "500.00"))
    await incentives.hear(credited(("p2", "100.00"), opportunity_id="o2"))
    queries = (f"?position={before}", "?known_at=2026-03-16T12:00:00Z", "?position=0", "?known_at=2026-03-15T12:00:00Z")
    found = [(await incentives.get(FINANCE, f"/liability{query}"))["items"] for query in queries]
    assert [[(one["payee_id"], one["owed"]) for one in items] for items in found] == [
        *([("p1", "100.00")], [("p1", "100.00")], [], []),
    ]


async def test_done_when_7_a_closed_month_recalculates_bit_identically(incentives):
    await earned(incentives)
    incentives.clock.set(APRIL)
    closed = (await incentives.post(APPROVER, "/books/2026-03/close")).json()
    executor = incentives.service.application.executor
    march = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
    report = await verify_decisions(executor.store, executor.every_handles, march)
    assert report.lines()[0].endswith("all as recorded")
    assert report.compared["decisions"] > 0
    handles = [replace(one, decide=later) if one.command is RecordWin else one for one in executor.every_handles]
    off = await verify_decisions(executor.store, handles, march)
    assert [one.what.partition(" wrote")[0] for one in off.differences][:1] == ["incentives.RecordWin.v1"]
    again = (await incentives.post(APPROVER, "/books/2026-03/close")).json()
    assert again == closed
    assert (await verify_decisions(executor.store, handles, (march[1], march[1]))).compared == {"decisions": 0}


def later(wish, *states):
    """A decision as it never was: everything is counted a day later."""
    return decide_fact(EVALUATORS[-1], replace(wish, closed_on=date(2026, 3, 17)), *states)


async def test_a_foreign_sale_waits_for_its_rate_and_is_then_resolved(incentives):
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    sale = await incentives.get(FINANCE, "/sales/o1")
    assert sale["quarantined"] == {"1-commission": "no-rate"}
    body = {"source": "ecb", "on": "2026-03-16", "pairs": {"EUR/USD": "1.10"}}
    assert (await incentives.post(FINANCE, "/rates", body)).status_code == 201
    answer = await incentives.post(FINANCE, "/sales/o1/resolve", {"plan_id": "commission"})
    assert answer.status_code == 200, answer.text
    assert (await incentives.get(FINANCE, "/sales/o1"))["quarantined"] == {}
    [journal] = (await incentives.get(FINANCE, "/ledger"))["items"]
    assert [one["books"]["amount"] for one in journal["entries"]] == ["110.00", "-110.00"]
    trial = (await incentives.get(FINANCE, "/ledger/balances"))["trial_balance"]
    assert sum(D(amount) for one in trial for amount in one["books"].values()) == 0
    again = await incentives.post(FINANCE, "/sales/o1/resolve", {"plan_id": "commission"})
    assert again.json()["slug"] == "not-quarantined"


async def test_a_sale_at_a_rate_beyond_all_money_waits_until_the_rate_is_corrected(incentives):
    """The fact is kept: what was parked kept all that followed of its sale from being heard."""
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))

    await recorded(incentives, "2026-03-16", {"EUR/USD": "999999999999999999"})
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    assert (await incentives.get(FINANCE, "/sales/o1"))["quarantined"] == {"1-commission": "no-rate"}
    await recorded(incentives, "2026-03-16", {"EUR/USD": "1.10"})
    assert (await incentives.post(FINANCE, "/sales/o1/resolve", {"plan_id": "commission"})).status_code == 200
    [journal] = (await incentives.get(FINANCE, "/ledger"))["items"]
    assert [one["books"]["amount"] for one in journal["entries"]] == ["110.00", "-110.00"]


async def test_a_corrected_rate_counts_from_then_on_and_what_was_booked_stays(incentives):
    """11.0 was a slip for 1.10: 100.00 EUR stood at 1,100.00 USD, the next 100.00 at 110.00; the first is reversed as booked."""
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))

    async def booked_after(rate, name):
        await recorded(incentives, "2026-03-16", {"EUR/USD": rate})
        await incentives.hear(won(name))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
        return (await incentives.get(FINANCE, "/ledger"))["items"][-1]["entries"][0]["books"]["amount"]

    assert [await booked_after(*one) for one in (("11.0", "o1"), ("1.10", "o2"), ("1.20", "o3"), ("1.10", "o4"))] == [
        *("1100.00", "110.00", "120.00", "110.00"),
    ]
    await incentives.hear(refunded("x", "1000.00"))
    assert (await incentives.get(FINANCE, "/ledger"))["items"][-1]["entries"][0]["books"]["amount"] == "1100.00"
    assert (await incentives.get(FINANCE, "/books/2026-03"))["rates"] == ["1 EUR = 1.10 USD on 2026-03-16, ecb"]


async def test_a_currency_chosen_between_earning_and_payment_counts_for_what_is_earned_then_to_the_cent(incentives):
    """Books in dollars. 100.00 EUR stay euros (110.00, paid at 1.15); 50.00 EUR more are 42.50 GBP (55.25, paid at 1.20)."""
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    await recorded(incentives, "2026-03-16", {"EUR/USD": "1.10", "EUR/GBP": "0.85", "GBP/USD": "1.30"})
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    assert (await incentives.put(P1, "/payees/p1/currency", {"currency": "GBP"})).status_code == 200
    await incentives.hear(won("o2", "500.00"))
    await incentives.hear(credited(("p1", "100.00"), opportunity_id="o2"))
    incentives.clock.set(datetime(2026, 5, 4, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines?state=payable", lambda page: len(page["items"]) == 2)
    await recorded(incentives, "2026-05-04", {"EUR/USD": "1.15", "GBP/USD": "1.20"})
    assert [await paid(incentives, currency) for currency in ("EUR", "GBP")] == ["100.00", "42.50"]
    trial = (await incentives.get(FINANCE, "/ledger/balances"))["trial_balance"]
    assert {one["currency"]: one["total"] for one in trial} == {"EUR": "0.00", "GBP": "0.00"}
    stands = {(one["currency"], name): D(amount) for one in trial for name, amount in one["books"].items() if D(amount)}
    assert stands == {
        ("EUR", "cash:simulator USD"): D("-115.00"),
        ("EUR", "expense:commission USD"): D("110.00"),
        ("EUR", "fx_difference USD"): D("5.00"),
        ("GBP", "cash:simulator USD"): D("-51.00"),
        ("GBP", "expense:commission USD"): D("55.25"),
        ("GBP", "fx_difference USD"): D("-4.25"),
    }
    executor = incentives.service.application.executor
    assert (await verify_decisions(executor.store, executor.every_handles)).lines()[0].endswith("all as recorded")


async def test_the_rate_of_a_line_leads_to_the_event_that_recorded_it_last_before(incentives):
    await incentives.hear(opened("USD"))
    await incentives.publish_plan(plan())
    await incentives.hear(activated())
    incentives.clock.set(datetime(2026, 3, 16, 12, tzinfo=UTC))
    for rate in ("0.85", "0.84", "0.85"):
        await recorded(incentives, "2026-03-16", {"EUR/GBP": rate, "EUR/USD": "1.10", "GBP/USD": "1.30"})
    assert (await incentives.put(P1, "/payees/p1/currency", {"currency": "GBP"})).status_code == 200
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    [line] = (await incentives.get(FINANCE, "/lines"))["items"]
    for rate in ("0.84", "0.85"):
        await recorded(incentives, "2026-03-16", {"EUR/GBP": rate})

    def rate_of(why):
        [found] = [one for one in why["inputs"] if one["name"] == "rate"]
        return found["value"], found["event_id"], found["position"]

    store = incentives.service.application.executor.store
    third = (await store.load(AllBooks.at("2026-03").name("acme")))[2]
    path, value = f"/why/{line['event_id']}", "1 EUR = 0.85 GBP of 2026-03-16, ecb"
    assert rate_of(await incentives.get(FINANCE, path)) == (value, third.id, third.position)
    assert (await incentives.get(FINANCE, f"/why/{third.id}"))["event"]["type"].endswith("RatesRecorded.v1")
    assert rate_of(await incentives.get(P1, path)) == (value, None, None)


async def recorded(incentives, day, pairs):
    body = {"source": "ecb", "on": day, "pairs": pairs}
    assert (await incentives.post(FINANCE, "/rates", body)).status_code == 201


async def paid(incentives, currency, partner_id="p1"):
    """States April and pays it; what came to the bank."""
    body = {"partner_id": partner_id, "period": "2026-04", "currency": currency}
    statement = (await incentives.post(FINANCE, "/statements", body)).json()
    made = await incentives.post(FINANCE, "/payments", {"statement_id": statement["statement_id"]})
    path = f"/payments/{made.json()['payment_id']}"
    assert (await incentives.post(APPROVER, f"{path}/approve")).status_code == 200
    assert (await incentives.post(FINANCE, f"{path}/submit")).status_code == 200
    return (await incentives.until(FINANCE, path, lambda one: one["state"] == "paid"))["amount"]["amount"]


async def test_facts_of_billing_are_taken_row_by_row_and_once(incentives):
    await incentives.publish_plan(plan(basis="invoiced", hold_days=0))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))
    row = {"opportunity_id": "o1", "kind": "invoiced", "external_id": "i1", "amount": "400.00", "currency": "EUR"}
    rows = [
        {**row, "on": "2026-03-20"},
        {**row, "external_id": "i2", "currency": "USD", "on": "2026-03-20"},
        {"opportunity_id": "o1", "kind": "invoiced", "external_id": "i3", "on": "2026-03-20"},
    ]
    answer = await incentives.post(FINANCE, "/sales-facts", {"facts": rows})
    assert [(r["result"], r.get("slug")) for r in answer.json()["results"]] == [
        ("recorded", None),
        ("refused", "sale-invalid"),
        ("recorded", None),
    ]
    again = await incentives.post(FINANCE, "/sales-facts", {"facts": rows})
    assert [r["result"] for r in again.json()["results"]] == ["repeated", "refused", "repeated"]
    assert [one["amount"]["amount"] for one in (await incentives.get(P1, "/lines"))["items"]] == ["40.00"]
    note = {
        "reversal_id": "n1",
        "amount": "100.00",
        "currency": "EUR",
        "reason_code": "credit-note",
        "on": "2026-03-21",
    }
    assert (await incentives.post(FINANCE, "/sales/o1/reverse", note)).status_code == 200
    assert [one["remaining"]["amount"] for one in (await incentives.get(P1, "/lines"))["items"]] == ["30.00"]


async def test_what_was_refused_or_came_without_an_amount_counts_once_it_is_sent_as_it_should_be(incentives):
    await incentives.publish_plan(plan(basis="invoiced", hold_days=0))
    await incentives.hear(won())
    await incentives.hear(credited(("p1", "100.00")))

    async def sent(external_id, **amount):
        row = {"opportunity_id": "o1", "kind": "invoiced", "external_id": external_id, "on": "2026-03-20", **amount}
        [result] = (await incentives.post(FINANCE, "/sales-facts", {"facts": [row]})).json()["results"]
        return result["result"]

    assert (await sent("i1"), await sent("i1")) == ("recorded", "repeated"), "it waits for its amount, once"
    assert await sent("i2", amount="50.00", currency="USD") == "refused"
    whole = {"amount": "400.00", "currency": "EUR"}
    assert (await sent("i1", **whole), await sent("i1", **whole)) == ("recorded", "repeated")
    assert await sent("i2", amount="50.00", currency="EUR") == "recorded"
    lines = (await incentives.get(P1, "/lines?sort=amount"))["items"]
    assert [one["amount"]["amount"] for one in lines] == ["5.00", "40.00"]
    assert (await incentives.get(FINANCE, "/waiting-facts"))["items"] == []


async def test_a_line_is_adjusted_by_two_people(incentives):
    line = await earned(incentives)
    path = f"/lines/{line['line_id']}/adjust"
    both = APPROVER
    assert (await incentives.post(FINANCE, path, {"amount": "-100.01", "reason": "x"})).json()[
        "slug"
    ] == "adjusted-too-far"
    assert (await incentives.post(both, path, {"amount": "-25.00", "reason": "agreed"})).status_code == 201
    waiting = (await incentives.get(FINANCE, f"/lines/{line['line_id']}"))["adjustment"]
    confirm = {"adjustment_id": waiting["adjustment_id"]}
    assert (await incentives.post(both, f"{path}/confirm", confirm)).json()["slug"] == "four-eyes"
    other = type(both)(tenant=both.tenant, subject="fin-3", kind="vendor", roles=("finance",), duties=("approver",))
    assert (await incentives.post(other, f"{path}/confirm", confirm)).status_code == 200
    assert (await incentives.get(P1, f"/lines/{line['line_id']}"))["remaining"]["amount"] == "75.00"
    await incentives.hear(refunded("x", "1000.00"))
    assert (await incentives.get(P1, f"/lines/{line['line_id']}"))["remaining"]["amount"] == "0.00"


# A line of nothing, in another currency than the books


def adjusted(world, amount, rate="1.10", day=NOW, books="USD"):
    """The journal of a correction of the world's one line, confirmed on a day on which a euro is `rate` dollars."""
    [line] = world.sales["o1"].lines.values()
    of = {"opportunity_id": "o1", "line_id": line.line_id, "adjustment_id": f"a{amount}", "now": day}
    rates = tuple(
        Rate(base="EUR", quote="USD", rate=D(r), on=day.date(), source="ecb") for r in ([rate] if rate else [])
    )
    wish = AdjustLine(**of, amount=money(amount, "EUR"), reason="agreed", by="fin-1")
    world.keep(world.sales, Sales, {"o1": adjust_line(wish, world.sales["o1"])})
    confirm = ConfirmAdjustment(**of, by="fin-2", books=InBooks(currency=books, rates=rates))
    world.keep(world.sales, Sales, {"o1": confirm_adjustment(confirm, world.sales["o1"])})
    return [(one.account, one.amount.amount, one.in_books) for one in world.of(PayoutAdjusted)[-1].journal.entries]


def of_nothing(currency="USD"):
    rates = (Rate(base="EUR", quote="USD", rate=D("1.10"), on=NOW.date(), source="ecb"),)
    world = World(book(plan({"percent": "0"})), rates=rates, books_currency=currency)
    return world.tell(win("1000.00"), credit())


def usd(amount):
    return money(amount, "USD")


def test_a_line_of_nothing_is_adjusted_in_the_books_at_the_rate_of_the_day_and_back_at_what_stands_of_it():
    world = of_nothing()
    assert adjusted(world, "50.00") == [("expense", D("50.00"), usd("55.00")), ("held", D("-50.00"), usd("-55.00"))]
    later = datetime(2026, 3, 18, tzinfo=UTC)
    assert adjusted(world, "-20.00", "1.50", later)[0] == ("expense", D("-20.00"), usd("-22.00"))
    [line] = world.sales["o1"].lines.values()
    released = release_line(
        ReleaseLine(opportunity_id="o1", line_id=line.line_id, now=datetime(2026, 5, 1, tzinfo=UTC)), world.sales["o1"]
    )
    moved = [(one.account, one.in_books) for one in released[0].journal.entries]
    assert moved == [("held", usd("33.00")), ("payable", usd("-33.00"))]


def test_a_line_of_nothing_waits_for_a_rate_and_needs_none_in_the_currency_of_the_books():
    with pytest.raises(NoRate):
        adjusted(of_nothing(), "50.00", rate=None)
    assert adjusted(of_nothing("EUR"), "50.00", books="EUR")[0] == ("expense", D("50.00"), money("50.00", "EUR"))


async def test_a_window_closes_by_itself_and_its_true_up_is_a_line(tmp_path):
    async with started(tmp_path) as asked:
        body = plan({"up_to": "1000", "percent": "5"}, {"percent": "10"}, accumulate="quarter")
        await asked.publish_plan(body)
        for name in ("o1", "o2"):
            await asked.hear(won(name))
            await asked.hear(credited(("p1", "100.00"), opportunity_id=name))
        await asked.hear(refunded("x", "1000.00"))
        [window] = (await asked.get(P1, "/progress"))["items"]
        assert (window["measure"], window["band"], window["to_next_band"]) == ("1000", 1, "0")
        asked.clock.set(datetime(2026, 4, 1, 9, tzinfo=UTC))
        lines = await asked.until(P1, "/lines", lambda page: len(page["items"]) > 2)
        ups = [one["amount"]["amount"] for one in lines["items"] if one["kind"] == "true_up"]
        assert ups == ["-50.00"]


async def test_a_spiff_s_budget_is_shown_as_it_is_used(incentives):
    body = plan({"flat": "300"}, kind="spiff", component="spiff", budget_id="pot")
    await incentives.publish_plan(body)
    fund = {"ref": "q1", "amount": "500.00", "currency": "EUR"}
    assert (await incentives.post(FINANCE, "/budgets/pot/allocate", fund)).status_code == 403
    assert (await incentives.post(APPROVER, "/budgets/pot/allocate", fund)).status_code == 201
    for name in ("o1", "o2", "o3"):
        await incentives.hear(won(name))
        await incentives.hear(credited(("p1", "100.00"), opportunity_id=name))
    [shown] = (await incentives.get(FINANCE, "/budgets"))["items"]
    assert (shown["available"], shown["used"]) == ("0.00", "500.00")
    amounts = sorted(one["amount"]["amount"] for one in (await incentives.get(P1, "/lines"))["items"])
    assert amounts == ["200.00", "300.00"]
