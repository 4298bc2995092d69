"""Windows in any currency, with facts and rates that come late: whatever happens, all that they are worth is posted once."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import combinations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from contracts.values import minor_unit, money
from services.incentives.domain.exchange import InBooks, Rate
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.domain.meter import (
    Metered,
    RebateAccrued,
    RebateSettled,
    TrueUpReduced,
    TrueUpReleased,
    WindowTruedUp,
)
from services.incentives.domain.payee import Payee
from services.incentives.domain.sale_commands import ResolveFact
from services.incentives.domain.sale_events import PayoutCalculated
from services.incentives.domain.verifying_numbers import rounded, value_of
from services.incentives.projections.windows import AtHand
from tests.incentives.facts import World, book, credit, plan, reversal, share, win
from tests.incentives.proving import findings

D = Decimal
FIRST, LAST = date(2026, 3, 16), date(2029, 1, 1)
PER_EURO = {"EUR": D(1), "USD": D("1.0837"), "JPY": D("163.41"), "KWD": D("0.3331")}
CURRENCIES = sorted(PER_EURO)
BANDS = ({"up_to": "1000", "percent": "3.3333"}, {"percent": "7.77"})
PARTS = [{"percent": "33.33", "after_days": 0}, {"percent": "66.67", "after_days": 20}]


def rates_of(day):
    """All pairs as they are recorded on a day, on which each is a little dearer than the day before."""
    found = []
    for base, quote in combinations(CURRENCIES, 2):
        per = PER_EURO[quote] / PER_EURO[base] * (1 + D(day.toordinal() % 7) / 100)
        rate = round(per, 10)
        found.append(Rate(base=base, quote=quote, rate=rate, on=day, source="ecb", exact=True))
    return tuple(found)


class Run:
    """A plan, its payee and books; facts are told on a day, and the clock sees to what is due by then."""

    def __init__(self, body, books):
        self.day, self.body, self.days = FIRST, body, [FIRST]
        self.world = World(book(body), payees={"p1": Payee()}, rates=rates_of(FIRST), books_currency=books)

    @property
    def now(self):
        return datetime(self.day.year, self.day.month, self.day.day, 12, tzinfo=UTC)

    def paid_in(self, currency):
        self.world.known["payees"] = {"p1": Payee(payout_currency=currency)}

    def record_rates(self):
        self.world.record_rates(rates_of(self.day))

    def sale(self, n, units):
        amount = f"{units * minor_unit(self.body['currency']):f}"
        at = {"now": self.now, "opportunity_id": f"o{n}"}
        won = win(amount, closed_on=self.day, currency=self.body["currency"], **at)
        self.world.tell(won, credit(**at))

    def refund(self, n, which, units):
        amount = money(f"{units * minor_unit(self.body['currency']):f}", self.body["currency"])
        told = reversal(f"x{n}", "0.00", opportunity_id=f"o{which}", occurred_on=self.day, now=self.now)
        self.world.tell(replace(told, amount=amount))

    def credit(self, n, which, percent):
        self.world.tell(credit(share("p1", f"{percent}"), revision=n + 2, opportunity_id=f"o{which}", now=self.now))

    def pass_days(self, days):
        self.day += timedelta(days=days)

    def clock(self):
        """Closes, settles and resumes what need not wait for a rate, and releases what is held until now."""
        for meter_id, meter in list(self.world.meters.items()):
            if not meter.closed and meter.closes_on <= self.day and not self.missing(meter):
                self.world.close(meter_id, self.day)
            elif not meter.closed and meter.kind == "rebate" and self.day.day < 4 and not self.missing(meter):
                self.world.settle(meter_id, self.day)
            if self.world.meters[meter_id].waits and not self.missing(meter, late=True):
                self.world.resume(meter_id, self.day)
        self.world.release_true_ups(self.day)

    def missing(self, meter, *, late=False):
        rates = self.world.known["rates"]
        books = InBooks(currency=self.world.known["books_currency"], rates=rates)
        chosen = self.world.known["payees"]["p1"].payout_currency
        plan_currency = self.body["currency"]
        payout = plan_currency if meter.kind == "rebate" else chosen or plan_currency
        return AtHand(books, rates, (plan_currency, payout)).missing(self.day, late=late)

    def resolve(self):
        for sale_id, sale in list(self.world.sales.items()):
            for win_no, plan_id, fact_id in sorted(sale.quarantined, key=str):
                wish = ResolveFact(
                    opportunity_id=sale_id, win_no=win_no, plan_id=plan_id, fact_id=fact_id, by="fin-1", now=self.now
                )
                self.world.tell(wish)

    def end(self):
        """All rates of days on which something happened are recorded, what waited is resolved, and every hold is over."""
        for day in (*self.days, LAST):
            self.world.record_rates(rates_of(day))
        self.day = LAST
        self.resolve()
        self.clock()
        self.day += timedelta(days=90)
        self.record_rates()
        self.clock()


AMOUNTS = st.integers(1, 300_000)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("sale"), st.integers(0, 0), AMOUNTS),
        st.tuples(st.just("refund"), st.integers(0, 8), AMOUNTS),
        st.tuples(st.just("credit"), st.integers(0, 8), st.sampled_from(["50.00", "33.34", "100.00"])),
        st.tuples(st.just("pass_days"), st.integers(0, 0), st.integers(1, 60)),
        st.tuples(st.just("record_rates"), st.integers(0, 0), st.just(0)),
        st.tuples(st.just("paid_in"), st.integers(0, 0), st.sampled_from(CURRENCIES)),
        st.tuples(st.just("resolve"), st.integers(0, 0), st.just(0)),
    ),
    max_size=16,
)
TERMS = st.fixed_dictionaries(
    {
        "currency": st.sampled_from(CURRENCIES),
        "accumulate": st.sampled_from(["month", "quarter", "year"]),
        "semantics": st.sampled_from(["marginal", "retroactive"]),
    },
    optional={"release": st.just(PARTS), "hold_days": st.sampled_from([0, 45])},
)
BOOKS = st.sampled_from([None, "EUR", "USD", "JPY"])
LATE_RATE = [("pass_days", 0, 1), ("sale", 0, 299)]
"""A sale is told on a day whose rates are recorded long after it: it stands in the books at those of the day before."""
REBATE = {"kind": "rebate", "component": "rebate"}


def told(body, books, steps):
    """A run of steps, from a first sale on; the clock sees to each day, and each journal leaves the ledger balanced."""
    run = Run(body, books)
    run.sale(100, 150_000)
    for n, (what, which, given_) in enumerate(steps):
        if what in ("sale", "refund", "credit"):
            run.days.append(run.day)
        step = {
            "sale": lambda n=n, units=given_: run.sale(n, units),
            "refund": lambda n=n, which=which, units=given_: run.refund(n, which, units),
            "credit": lambda n=n, which=which, percent=given_: run.credit(n, which, percent),
            "pass_days": lambda days=given_: run.pass_days(days),
            "record_rates": run.record_rates,
            "paid_in": lambda code=given_: run.paid_in(code),
            "resolve": run.resolve,
        }
        step[what]()
        run.clock()
    run.end()
    assert_balanced(run.world)
    return run.world


def assert_balanced(world):
    """Each journal, and so the ledger after it, sums to nothing in every currency and in the books."""
    for happened in world.events:
        entries = getattr(happened, "journal", None)
        if entries is not None:
            sums = (*trial_balance(entries.entries).values(), *books_balance(entries.entries).values())
            assert not any(sums), happened


def left_on(world, account, *kinds, each=True):
    """What stands on an account of what some events posted, by `each` cause or in all, in its currency and in the books."""
    found = {}
    for entry in [entry for happened in world.of(kinds) for entry in happened.journal.entries]:
        if entry.account == account:
            for amount in (entry.amount, entry.in_books):
                key = (entry.cause if each else account, amount.currency, amount is entry.amount)
                found[key] = found.get(key, D(0)) + amount.amount
    return {key: amount for key, amount in found.items() if amount}


def worth(meter, body):
    """What the plan makes of what was counted, by the reckoning of the verifier."""
    exact = rounded(value_of(body["schedule"], Fraction(meter.measure)), body["currency"])
    return D(exact.numerator) / D(exact.denominator)


@given(TERMS, BOOKS, STEPS)
@example({"currency": "EUR", "accumulate": "month", "semantics": "marginal"}, "USD", LATE_RATE)
@settings(max_examples=60, deadline=None)
def test_a_window_posts_what_it_is_worth_whatever_comes_late(terms, books, steps):
    body = plan(*BANDS, **terms)
    world = told(body, books, steps)
    for meter in world.meters.values():
        assert (meter.closed, meter.waits, meter.held) == (True, False, ())
        assert meter.posted == worth(meter, body)
    assert posted_in_plan(world) == sum((worth(meter, body) for meter in world.meters.values()), D(0))
    assert left_on(world, "held", WindowTruedUp, TrueUpReduced, TrueUpReleased) == {}
    assert findings(world) == []


def posted_in_plan(world):
    """What all lines and true-ups come to in the plan's currency."""
    lines = sum((one.derivation.rated.amount for one in world.of(PayoutCalculated) if one.rated is None), D(0))
    ups = sum((one.in_plan.amount for one in world.of(WindowTruedUp)), D(0))
    downs = sum(((one.given or one.amount).amount for one in world.of(TrueUpReduced)), D(0))
    back = sum((one.posted for one in world.of(Metered) if one.posted < 0), D(0))
    return lines + ups - downs + back


@given(TERMS, BOOKS, STEPS, st.sampled_from(["month", "quarter", "year"]))
@settings(max_examples=60, deadline=None)
def test_a_rebate_settles_what_it_is_worth_at_any_cadence_whatever_comes_late(terms, books, steps, settle):
    body = plan(*BANDS, **REBATE, rebate={"settle": settle}, **terms)
    world = told(body, books, steps)
    for meter in world.meters.values():
        assert (meter.closed, meter.waits) == (True, False)
        assert (meter.posted, meter.settled) == (worth(meter, body), worth(meter, body))
    assert left_on(world, "accrued", RebateAccrued, RebateSettled, each=False) == {}
    assert findings(world) == []
