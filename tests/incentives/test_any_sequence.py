"""Whatever happens, in whatever order and however often: the books balance, nobody is paid beyond what was earned.

Wins in two currencies, additions, refunds, chargebacks in months, re-attributions, tier changes, payees that choose
another currency to be paid in, corrections by hand, plan versions published meanwhile, settlements and closing windows,
each perhaps told twice or again much later, and everything replayed from nothing.
"""

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from chassis.event import decode, encode
from chassis.rulebook import Rulebook
from contracts.values import Money, money, total
from services.incentives.domain.account import Accounts, issue_statement
from services.incentives.domain.budget import Budgets
from services.incentives.domain.claim import ClaimDecided
from services.incentives.domain.exchange import Rate
from services.incentives.domain.journal import FUND_MONEY, NO_JOURNAL, books_balance, expense, move, trial_balance
from services.incentives.domain.line import AdjustedTooFar, adjust_line, confirm_adjustment
from services.incentives.domain.meter import Meters, WindowTruedUp
from services.incentives.domain.payee import Payee
from services.incentives.domain.payment import (
    BelowMinimum,
    Payments,
    approve_payment,
    decline_payment,
    payment_id,
    propose_payment,
    reference_of,
    report_outcome,
    submit_payment,
)
from services.incentives.domain.rating import half_up
from services.incentives.domain.sale import Sales
from services.incentives.domain.sale_commands import AdjustLine, ConfirmAdjustment
from services.incentives.domain.sale_events import PayoutAdjusted, PayoutCalculated, PayoutReversed
from services.incentives.projections.ledger import KINDS
from tests.incentives.facts import NOW, World, basis, credit, plan, reversal, share, version, win
from tests.incentives.orders import APPROVE, DECLINE, SUBMIT, proposal, said, statement
from tests.incentives.orders import line as stated
from tests.incentives.proving import findings
from tests.incentives.test_rating_steps import standing

D = Decimal
DEALS = st.sampled_from(["o1", "o2", "o3", "o4"])
CENTS = st.integers(min_value=1, max_value=500_000).map(lambda cents: f"{cents / 100:.2f}")
VECTORS = st.sampled_from(
    [
        (share("p1", "100.00"),),
        (share("p1", "60.00"), share("p2", "40.00")),
        (share("p3", "33.34"), share("p1", "33.33"), share("p2", "33.33")),
        (share("p2", "50.00", role="resell"), share("p1", "12.50")),
    ]
)
SINCE, LATER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 10, tzinfo=UTC)
QUARTER_OVER = date(2026, 4, 1)
GOLD = {"modifier_id": "gold", "when": {"field": "tier", "is_one_of": ["gold"]}, "multiply": "1.5"}
PARTIES = [{"party": "partner", "percent": "66.67"}, {"party": "seller", "percent": "33.33"}]


def rebate(settle):
    changes = {"accumulate": "quarter", "component": f"rebate-{settle}", "rebate": {"settle": settle}}
    return plan({"percent": "2.5"}, kind="rebate", **changes)


COMMISSION = (
    plan({"up_to": "900", "percent": "7.3333"}, {"percent": "12.25"}, modifiers=[GOLD], line_cap="400"),
    plan({"percent": "9"}, payees=PARTIES),
)
OTHERS = {
    "accelerator": plan(
        {"up_to": "2000", "percent": "3.3333"},
        {"percent": "8"},
        semantics="retroactive",
        accumulate="quarter",
        component="more",
    ),
    "by_month": rebate("month"),
    "at_once": rebate("quarter"),
    "spiff": plan({"flat": "77.77"}, kind="spiff", component="spiff", budget_id="pot"),
    "invoiced": plan({"percent": "1.1111"}, basis="invoiced", component="invoiced", hold_days=0),
}
RATES = tuple(
    Rate(base="USD", quote="EUR", rate=D("0.9137"), on=date(2026, 3, day), source="ecb") for day in (9, 16, 30)
)


def books():
    both = zip(COMMISSION, (SINCE, LATER), strict=True)
    commission = [version(body, "commission", since, number) for number, (body, since) in enumerate(both, 1)]
    single = [Rulebook(versions=(version(body, name, SINCE, 1),)) for name, body in OTHERS.items()]
    return (Rulebook(versions=tuple(commission)), *single)


def fund_money(amount, claim_id):
    approved = money(amount, "EUR")
    return ClaimDecided(
        claim_id=claim_id,
        kind="fund",
        partner_id="p1",
        payee_id="p1",
        of_id="r1",
        outcome="approved",
        claimed=approved,
        eligible=approved,
        amount=approved,
        tax=None,
        steps=(),
        journal=move(approved, debit=expense("fund"), credit=FUND_MONEY, payee_id="p1", cause=claim_id),
        reason="",
        decided_on=NOW.date(),
        decided_by="fm-1",
        decided_at=NOW,
    )


class Account:
    """What one payee is stated and paid in one currency, a period after the other."""

    def __init__(self, currency):
        self.currency = currency
        self.account_id = f"p1-{currency}"
        self.happened = []

    def states(self, events):
        """States all that moved since the statement before."""
        state = Accounts.fold(self.happened)
        start, number = (state.last.to_position, state.last.number) if state.last else (0, 0)
        moved = [moving(place, happened, self.currency) for place, happened in enumerate(events, 1)]
        wish = statement(
            *[one for one in moved if one and one.position > start],
            account_id=self.account_id,
            currency=self.currency,
            period=f"{2000 + number // 12}-{number % 12 + 1:02}",
            from_position=start,
            to_position=len(events),
        )
        self.happened += issue_statement(wish, state)
        return self.happened[-1]

    def proposes(self, issued, world):
        released = sum((e.amount.amount for e in mine(world.posted(), self.currency) if e.account in DRAWN), D(0))
        funds = mine((e for one in world.of(ClaimDecided) for e in one.journal.entries[1:]), self.currency)
        funded = sum((e.amount.amount for e in funds), D(0))
        wish = replace(
            proposal(issued),
            payment_id=payment_id(self.account_id, issued.number),
            account_id=self.account_id,
            released=Money(amount=-released, currency=self.currency),
            released_position=issued.to_position,
            fund_released=Money(amount=-funded, currency=self.currency),
        )
        return propose_payment(wish, Payments.initial, Accounts.fold(self.happened), ())

    def pays(self, issued, world, then, bank):
        """Proposes and approves; then it is paid, or declined by who approved."""
        orders, opened = self.proposes(issued, world)
        self.happened += opened
        named = {"payment_id": orders[0].payment_id, "account_id": self.account_id}
        steps = [(approve_payment, replace(APPROVE, payment_id=named["payment_id"]), (Payee(opened=True), ()))]
        if then == "declined":
            steps.append((decline_payment, replace(DECLINE, **named), (None,)))
        else:
            submit = replace(SUBMIT, **named, bank=bank)
            steps.append((submit_payment, submit, (Accounts.fold(self.happened), Payee(opened=True), ())))
            paid = replace(said("paid"), **named, reference=reference_of(named["payment_id"], 1))
            steps.append((report_outcome, paid, (None,)))
        for decide, wish, others in steps:
            made = decide(wish, Payments.fold(orders), *others)
            events, closed, *_ = made if isinstance(made, tuple) else (made, [])
            orders, self.happened = [*orders, *events], [*self.happened, *closed]
        world.events += orders


DRAWN = ("payable", "in_payment", "withheld", "cash")


def mine(entries, currency):
    return [entry for entry in entries if (entry.payee_id, entry.amount.currency) == ("p1", currency)]


def moving(position, happened, currency):
    """The statement line of an event that moves what is payable."""
    moved = [e for e in mine(getattr(happened, "journal", NO_JOURNAL).entries, currency) if e.account == "payable"]
    amount = Money(amount=-sum((entry.amount.amount for entry in moved), D(0)), currency=currency)
    kind = "fund_approved" if isinstance(happened, ClaimDecided) else KINDS.get(type(happened), "")
    return None if amount.zero else replace(stated("0.00", position, kind), cause=moved[0].cause, amount=amount)


class AnySequence(RuleBasedStateMachine):
    """The world while things happen to it."""

    @initialize(vector=VECTORS, amounts=st.lists(CENTS, min_size=3, max_size=3), days=st.permutations([5, 12, 16]))
    def begin(self, vector, amounts, days):
        self.world = World(*books(), rates=RATES, books_currency="USD", payees={}).allocate("pot", "200.00")
        self.numbers = {}
        self.delivered = []
        self.accounts = {currency: Account(currency) for currency in ("EUR", "USD")}
        for deal, amount, day in zip(("o1", "o2", "o3"), amounts, days, strict=True):
            self.a_deal_is_won(deal, amount, deal == "o3", day, twice=False)
            self.credit_is_allocated(deal, vector, twice=False)

    def tell(self, wish, twice):
        self.world.tell(*[wish] * (1 + twice))
        self.delivered.append(wish)

    @rule(place=st.integers(0, 200))
    def something_old_is_delivered_again(self, place):
        """Whatever happened since, a fact that is known changes nothing."""
        before = len(self.world.events)
        self.world.tell(self.delivered[place % len(self.delivered)])
        assert len(self.world.events) == before

    @rule(percent=st.integers(1, 20))
    def another_version_of_the_plan_is_published(self, percent):
        """It holds from today on; what an earlier version rated stays with that."""
        commission = self.world.books[0]
        number = len(commission.versions) + 1
        newest = version(plan({"percent": str(percent)}), "commission", NOW, number)
        self.world.books = (Rulebook(versions=(*commission.versions, newest)), *self.world.books[1:])

    def number(self, name):
        self.numbers[name] = self.numbers.get(name, 0) + 1
        return self.numbers[name]

    def currency(self, deal):
        sale = self.world.sales.get(deal)
        return sale.wins[1].amount.currency if sale and sale.wins else "EUR"

    @rule(
        deal=st.sampled_from(["o1", "o3", "o4", "o5"]),
        amount=CENTS,
        foreign=st.booleans(),
        day=st.integers(5, 16),
        twice=st.booleans(),
    )
    def a_deal_is_won(self, deal, amount, foreign, day, twice):
        fields = {"opportunity_id": deal, "closed_on": date(2026, 3, day), "parties": {"seller": "person-1"}}
        self.tell(win(amount, currency="USD" if foreign and deal == "o3" else "EUR", **fields), twice)

    @rule(deal=DEALS, vector=VECTORS, twice=st.booleans())
    def credit_is_allocated(self, deal, vector, twice):
        self.tell(credit(*vector, opportunity_id=deal, revision=self.number(f"credit-{deal}")), twice)

    @rule(deal=DEALS, amount=CENTS, source=st.sampled_from(["crm", "billing"]), twice=st.booleans())
    def a_part_is_refunded(self, deal, amount, source, twice):
        self.refund(deal, amount, twice, source=source)

    @rule(deal=DEALS, months=st.integers(0, 12), twice=st.booleans())
    def unearned_months_are_charged_back(self, deal, months, twice):
        self.refund(deal, "0.00", twice, reason_code="churn", unearned_months=months, term_months=12)

    def refund(self, deal, amount, twice, **changes):
        wish = reversal(f"x{self.number('reversal')}", amount, opportunity_id=deal, **changes)
        self.tell(type(wish)(**{**vars(wish), "amount": money(amount, self.currency(deal))}), twice)

    @rule(deal=DEALS, amount=CENTS, kind=st.sampled_from(["added", "invoiced", "collected"]), twice=st.booleans())
    def more_happens_to_a_deal(self, deal, amount, kind, twice):
        if deal in self.world.sales:
            fields = {"opportunity_id": deal, "currency": self.currency(deal)}
            self.tell(basis(kind, f"f{self.number('fact')}", amount, **fields), twice)

    @rule(tier=st.sampled_from(["gold", "silver"]), day=st.integers(1, 28))
    def a_tier_changes(self, tier, day):
        before = self.payee("p1")
        changed = standing("tier", tier, on=date(2026, 2, day))
        self.known_as("p1", replace(before, standing=(*before.standing, changed)))

    @rule(payee=st.sampled_from(["p1", "p2"]), currency=st.sampled_from(["EUR", "USD", None]))
    def another_currency_is_chosen_to_be_paid_in(self, payee, currency):
        """What is earned from then on is paid in it; what was earned before stays in its own."""
        self.known_as(payee, replace(self.payee(payee), payout_currency=currency))

    def payee(self, payee):
        return self.world.known["payees"].get(payee, Payee(opened=True))

    def known_as(self, payee, state):
        self.world.known["payees"] = {**self.world.known["payees"], payee: state}

    @rule(amount=st.integers(-5_000, 5_000))
    def a_line_is_adjusted(self, amount):
        stand = ((deal, line) for deal, sale in sorted(self.world.sales.items()) for line in sale.lines.values())
        for deal, line in [one for one in stand if not one[1].remaining.zero][:1]:
            of = {"opportunity_id": deal, "line_id": line.line_id, "adjustment_id": f"a{self.number('adjustment')}"}
            given = money(f"{amount / 100:.2f}", line.amount.currency)
            try:
                self.keep(deal, adjust_line, AdjustLine(**of, amount=given, reason="x", by="fin-1", now=NOW))
                self.keep(deal, confirm_adjustment, ConfirmAdjustment(**of, by="fin-2", now=NOW))
            except AdjustedTooFar:
                pass

    def keep(self, deal, decide, wish):
        self.world.keep(self.world.sales, Sales, {deal: decide(wish, self.world.sales[deal])})

    @rule()
    def a_rebate_is_settled(self):
        for meter in self.meters_of("by_month"):
            self.world.settle(meter, date(2026, 3, 31))

    @rule()
    def windows_close(self):
        for meter in self.meters_of("accelerator", "by_month"):
            self.world.close(meter, QUARTER_OVER)

    @rule(day=st.dates(date(2026, 4, 1), date(2026, 6, 1)))
    def holds_of_windows_are_over(self, day):
        self.world.release_true_ups(day)

    def meters_of(self, *plan_ids):
        return [meter for meter, state in self.world.meters.items() if state.plan_id in plan_ids]

    @rule(amount=CENTS)
    def fund_money_is_approved(self, amount):
        self.world.events.append(fund_money(amount, f"c{self.number('claim')}"))

    @rule(
        then=st.sampled_from(["paid", "declined", "left"]),
        currency=st.sampled_from(["EUR", "USD"]),
        bank=st.sampled_from([None, "DE01", "FR02"]),
    )
    def what_is_payable_is_stated_and_perhaps_paid(self, then, currency, bank):
        account = self.accounts[currency]
        earned, fund = self.stands("payable", currency), self.stands("payable:fund", currency)
        statement = account.states(self.world.events)
        if earned <= 0 and fund == 0:
            with pytest.raises(BelowMinimum):
                account.proposes(statement, self.world)
        elif then != "left":
            cash = f"cash:{bank}" if bank else "cash"
            before, unpaid = self.stands(cash, currency), then == "declined"
            account.pays(statement, self.world, then, bank)
            assert self.stands(cash, currency) - before == (0 if unpaid else fund + max(earned, 0))
            assert self.stands("payable:fund", currency) == (fund if unpaid else 0)
            assert self.stands("payable", currency) == (earned if unpaid else min(earned, 0))

    def stands(self, name, currency):
        mine = (e for e in self.world.posted() if (e.name, e.payee_id, e.amount.currency) == (name, "p1", currency))
        return -sum((entry.amount.amount for entry in mine), D(0))

    @invariant()
    def every_entry_balances_in_every_currency_and_in_the_books(self):
        entries = self.world.posted()
        assert set(trial_balance(entries).values()) <= {D(0)}
        assert set(books_balance(entries).values()) <= {D(0)}

    @invariant()
    def no_line_pays_more_than_it_earned_and_none_is_below_nothing(self):
        for line in self.lines():
            assert line.reversed.amount >= 0
            assert 0 <= line.remaining.amount <= line.amount.amount + line.adjusted
            assert line.remaining.zero or not line.superseded

    def lines(self):
        return [line for sale in self.world.sales.values() for line in sale.lines.values()]

    @invariant()
    def what_stands_in_the_ledger_is_what_stands_of_the_lines(self):
        moved = self.world.of((PayoutCalculated, PayoutReversed, PayoutAdjusted))
        entries = [entry for happened in moved for entry in happened.journal.entries]
        owed = [-entry.amount for entry in entries if entry.account in ("held", "payable")]
        stand = [line.remaining for line in self.lines()]
        for currency in ("EUR", "USD"):
            sums = [total((one for one in all_ if one.currency == currency), currency) for all_ in (owed, stand)]
            assert sums[0] == sums[1]

    @invariant()
    def the_parts_of_a_pay_add_up_to_it(self):
        parts, pays = {}, {}
        for line in [line for line in self.world.of(PayoutCalculated) if line.budget_id is None]:
            whole = (line.opportunity_id, line.key, line.credit_revision)
            part = line.exchange.given if line.exchange else line.amount
            parts[whole] = parts.get(whole, D(0)) + part.amount
            pays[whole] = line.derivation.pay.amount
        assert parts == pays

    @invariant()
    def a_budget_is_never_overdrawn(self):
        assert 0 <= self.world.budgets["pot"].available.amount <= 200

    @invariant()
    def what_a_budget_has_given_is_what_stands_of_its_awards(self):
        """In its own currency, whatever the payees have chosen, and whatever was corrected by hand."""
        awards = [line for line in self.lines() if line.drawn]
        given = [line.drawn - half_up(Fraction(line.drawn.amount) * line.refilled, "EUR") for line in awards]
        assert self.world.budgets["pot"].used == total(given, "EUR").amount

    @invariant()
    def a_rebate_has_accrued_what_its_window_is_worth(self):
        for meter in self.meters_of("by_month", "at_once"):
            state = self.world.meters[meter]
            assert state.measure >= 0
            assert state.posted == (state.measure * D("2.5") / 100).quantize(D("0.01"), ROUND_HALF_UP)

    @invariant()
    def a_closed_window_has_posted_what_its_schedule_makes_of_it(self):
        for state in [self.world.meters[meter] for meter in self.meters_of("accelerator")]:
            if state.closed:
                rate = D("3.3333") if state.measure <= D(2000) else D(8)
                assert state.posted == (state.measure * rate / 100).quantize(D("0.01"), ROUND_HALF_UP)

    @invariant()
    def what_a_window_holds_stands_in_the_ledger_as_held(self):
        stand, ups = D(0), {happened.line_id for happened in self.world.of(WindowTruedUp)}
        for state in self.world.meters.values():
            assert all(one.amount.amount > 0 for one in state.held)
            stand += sum(one.amount.amount for one in state.held)
        mine = (e.amount.amount for e in self.world.posted() if e.cause in ups and e.account == "held")
        assert -sum(mine, D(0)) == stand

    def teardown(self):
        if hasattr(self, "world"):
            self.a_rebate_settled_monthly_is_the_one_settled_at_once()
            self.a_partner_recomputes_every_line_and_window()
            self.replayed_from_nothing_everything_is_the_same()

    def a_rebate_settled_monthly_is_the_one_settled_at_once(self):
        for meter in self.meters_of("by_month", "at_once"):
            self.world.close(meter, QUARTER_OVER)
        paid = {
            name: {
                self.world.meters[meter].payee_id: self.world.meters[meter].settled for meter in self.meters_of(name)
            }
            for name in ("by_month", "at_once")
        }
        assert paid["by_month"] == paid["at_once"]

    def a_partner_recomputes_every_line_and_window(self):
        """The offline verifier, which reckons by itself, finds nothing."""
        assert findings(self.world) == []

    def replayed_from_nothing_everything_is_the_same(self):
        world = self.world
        for decider, known in ((Sales, world.sales), (Meters, world.meters), (Budgets, world.budgets)):
            for identity, state in known.items():
                events = world.streams.get((decider.kind, identity), [])
                assert decider.fold([decode(happened.type, encode(happened)) for happened in events]) == state


class ManySequences(AnySequence):
    """The same world, looked at for minutes."""


TestAnySequence = AnySequence.TestCase
TestAnySequence.pytestmark = pytest.mark.timeout(600)
TestAnySequence.settings = settings(max_examples=12, stateful_step_count=30)

TestManySequences = ManySequences.TestCase
TestManySequences.pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
TestManySequences.settings = settings(max_examples=60, stateful_step_count=30)
