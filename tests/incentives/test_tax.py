"""Withheld tax goes on to whose it is, once; and a payee is paid in the currency that it chose."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from chassis.testing.kit import given
from contracts.values import money
from services.incentives.domain.exchange import Rate, UnknownCurrency
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.payee_commands import SetPayoutCurrency
from services.incentives.domain.payee_events import PayoutCurrencySet
from services.incentives.domain.sale_events import FactQuarantined, PayoutCalculated
from services.incentives.domain.tax import NothingWithheld, RemitTax, Taxes, TaxRemitted, Withheld, tax_id
from tests.incentives.facts import World, book, credit, plan, win
from tests.incentives.orders import NOW, OPENED, TABLE
from tests.incentives.test_paying import proposed
from tests.incentives.test_service import ADMIN, APPROVER, FINANCE, OTHER_ADMIN, P1, activated, credited, started, won

D = Decimal
US = tax_id("US", "EUR")


def remit(*amounts, books=None):
    parts = [
        Withheld(payee_id=f"p{n}", partner_id=f"p{n}", amount=money(amount, "EUR"), books=books)
        for n, amount in enumerate(amounts, 1)
    ]
    return RemitTax(tax_id=US, jurisdiction="US", reference="1042-S", withheld=tuple(parts), by="fin-2", now=NOW)


def remitted(*wishes):
    """What each wish remits after those before it."""
    events = []
    for wish in wishes:
        before = [one for some in events for one in some]
        events.append(given(TABLE[RemitTax], (Taxes.at(US), before)).when(wish).verdict.events[0])
    return events


def test_what_was_withheld_is_remitted_payee_by_payee_and_once():
    first, second = remitted(remit("30.00", "12.50"), remit("30.00", "20.00"))
    assert [(one.payee_id, one.amount) for one in first] == [
        ("p1", money("30.00", "EUR")),
        ("p2", money("12.50", "EUR")),
    ]
    assert [(one.payee_id, one.amount) for one in second] == [("p2", money("7.50", "EUR"))]
    assert [(e.name, e.amount.amount) for e in first[0].journal.entries] == [("withheld:US", D(30)), ("cash", D(-30))]
    history = (Taxes.at(US), [*first, *second])
    given(TABLE[RemitTax], history).when(remit("30.00", "20.00")).refused(NothingWithheld)


def test_in_the_books_it_leaves_at_what_it_stands_for():
    [[one]] = remitted(remit("30.00", books=money("33.00", "USD")))
    assert [e.in_books for e in one.journal.entries] == [money("33.00", "USD"), money("-33.00", "USD")]


async def test_tax_that_a_payment_withheld_is_remitted_by_an_approver(tmp_path):
    async with started(tmp_path) as asked:
        rules = {"withholding": [{"jurisdiction": "US", "percent": "30"}]}
        draft = {"rulebook_id": "payments", "kind": "payment", "body": rules, "examples": []}
        assert (await asked.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await asked.post(OTHER_ADMIN, "/rulebooks/payments/publish", {"version": 1})).status_code == 200
        payment = await proposed(asked)
        form = {"form": "W-8", "jurisdiction": "US", "tax_year": asked.clock.now().year, "form_sha256": "a" * 64}
        assert (await asked.put(P1, "/payees/p1/tax", form)).status_code == 200
        [form_id] = (await asked.get(P1, "/payees"))["items"][0]["tax_forms"]
        decided = await asked.post(FINANCE, f"/payees/p1/tax/{form_id}/decide", {"outcome": "accepted"})
        assert decided.status_code == 200
        assert (await asked.post(APPROVER, f"{payment}/approve")).json()["state"] == "approved"
        standing = (await asked.get(FINANCE, "/withheld"))["items"]
        assert standing == [{"jurisdiction": "US", "currency": "EUR", "amount": "30.00"}]
        body = {"currency": "EUR", "reference": "1042-S 2026"}
        assert (await asked.post(FINANCE, "/withheld/US/remit", body)).status_code == 403
        assert (await asked.post(APPROVER, "/withheld/US/remit", body)).status_code == 200
        assert (await asked.get(FINANCE, "/withheld"))["items"] == []
        assert (await asked.post(APPROVER, "/withheld/US/remit", body)).json()["slug"] == "nothing-withheld"
        [owed] = (await asked.get(FINANCE, "/liability"))["items"]
        assert (owed["withheld"], owed["in_payment"]) == ("0.00", "70.00")


# The currency of payouts


def choose(currency):
    return SetPayoutCurrency(payee_id="p1", currency=currency, by="per-1", now=NOW)


def test_a_payee_chooses_its_currency_and_may_go_back_to_that_of_the_plans():
    history = (Payees.at("p1"), [OPENED])
    chosen = PayoutCurrencySet(payee_id="p1", partner_id="p1", currency="USD", set_by="per-1", set_at=NOW)
    given(TABLE[SetPayoutCurrency], history).when(choose("USD")).then([chosen])
    given(TABLE[SetPayoutCurrency], history).when(choose("XXX")).refused(UnknownCurrency)
    again = (Payees.at("p1"), [OPENED, chosen])
    given(TABLE[SetPayoutCurrency], again).when(choose("USD")).then_nothing()
    assert (
        Payees.fold([OPENED, chosen, PayoutCurrencySet(**{**vars(chosen), "currency": None})]).payout_currency is None
    )


def paid_in(currency, *rates):
    payees = {"p1": Payee(opened=True, payout_currency=currency)}
    return World(book(plan()), payees=payees, rates=rates).tell(win("1000.00"), credit())


def test_what_is_earned_is_paid_in_the_currency_of_the_payee_at_the_rate_of_the_day_it_was_earned():
    rate = Rate(base="EUR", quote="USD", rate=D("1.0842"), on=date(2026, 3, 16), source="ecb")
    [line] = paid_in("USD", rate).of(PayoutCalculated)
    assert (line.amount, line.derivation.pay) == (money("108.42", "USD"), money("100.00", "EUR"))
    [line] = paid_in(None, rate).of(PayoutCalculated)
    assert line.amount == money("100.00", "EUR")


def test_without_a_rate_into_the_payees_currency_the_sale_is_quarantined_and_never_paid_wrongly():
    world = paid_in("USD")
    assert world.of(PayoutCalculated) == []
    assert [found.reason_code for found in world.of(FactQuarantined)] == ["no-rate"]


async def test_the_service_looks_up_the_rate_into_the_currency_that_a_payee_chose(tmp_path):
    async with started(tmp_path) as asked:
        await asked.hear(activated())
        await asked.publish_plan(plan())
        assert (await asked.put(P1, "/payees/p1/currency", {"currency": "USD"})).status_code == 200
        asked.clock.set(datetime(2026, 3, 17, tzinfo=UTC) + timedelta(hours=9))
        rates = {"source": "ecb", "on": "2026-03-16", "pairs": {"EUR/USD": "1.0842"}}
        assert (await asked.post(FINANCE, "/rates", rates)).status_code == 201
        await asked.hear(won())
        await asked.hear(credited(("p1", "100.00")))
        [line] = (await asked.get(P1, "/lines"))["items"]
        assert line["amount"] == {"amount": "108.42", "currency": "USD"}


def test_an_event_of_remitted_tax_names_its_return():
    [[one]] = remitted(remit("30.00"))
    assert isinstance(one, TaxRemitted)
    assert (one.reference, one.remitted_on, one.remitted_by) == ("1042-S", NOW.date(), "fin-2")
