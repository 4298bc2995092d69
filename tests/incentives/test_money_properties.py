"""What holds for every plan and every run of facts."""

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from contracts.values import money, none_of, round_half_up, total
from services.incentives.domain.exchange import Rate
from services.incentives.domain.journal import books_balance, trial_balance
from services.incentives.domain.sale_events import PayoutCalculated, PayoutReversed
from services.incentives.domain.schedule import Band, Schedule, pay_between, value_of
from tests.incentives.facts import NOW, World, book, credit, plan, reversal, share, sold, win

CENTS = st.decimals(min_value=0, max_value=100_000, places=2)
PERCENTS = st.decimals(min_value=0, max_value=100, places=4)


@st.composite
def schedules(draw):
    bounds = sorted(draw(st.sets(st.integers(min_value=1, max_value=200_000), max_size=4)))
    bands = [Band(up_to=Decimal(bound), includes_up_to=draw(st.booleans()), **draw(rates())) for bound in bounds] + (
        [Band(**draw(rates()))] if draw(st.booleans()) or not bounds else []
    )
    return Schedule(semantics=draw(st.sampled_from(["marginal", "retroactive"])), bands=tuple(bands))


def rates():
    return st.one_of(
        st.builds(lambda p: {"percent": p}, PERCENTS),
        st.builds(lambda f: {"flat": f}, st.decimals(min_value=0, max_value=1_000, places=2)),
    )


@given(schedules(), st.lists(CENTS, max_size=8).flatmap(st.permutations))
def test_done_when_1_lines_sum_to_the_rounded_whole_in_any_slicing_and_order(schedule, slices):
    measures = [sum(slices[:n], Decimal(0)) for n in range(len(slices) + 1)]
    paid = total((pay_between(schedule, before, after, "EUR") for before, after in pairwise(measures)), "EUR")
    assert paid == round_half_up(value_of(schedule, measures[-1]), "EUR")


AMOUNT = st.decimals(min_value=Decimal("0.01"), max_value=10_000, places=2).map(lambda amount: f"{amount:.2f}")


@given(AMOUNT, PERCENTS, st.lists(AMOUNT, max_size=6))
def test_done_when_2_random_refunds_and_repeats_never_reverse_more_than_earned_and_a_full_one_reverses_it(
    amount, percent, refunds
):
    world = World(book(plan({"percent": str(percent)}))).tell(win(amount), credit())
    for n, refund in enumerate(refunds):
        world.tell(reversal(f"x{n}", refund), reversal(f"x{n}", refund))
        [line] = world.sales["o1"].lines.values()
        assert none_of("EUR") <= line.reversed <= line.amount
    world.tell(reversal("all", "99999.00"))
    [line] = world.sales["o1"].lines.values()
    assert line.reversed == line.amount


SOLD = (sold("1", "crm", "600.00"), sold("2", "erp", "400.00"))


@st.composite
def facts(draw):
    shares = draw(st.sampled_from([("100.00",), ("60.00", "40.00"), ("33.34", "33.33", "33.33")]))
    vector = tuple(share(f"p{n}", percent) for n, percent in enumerate(shares))
    refunds = [reversal(f"x{n}", amount) for n, amount in enumerate(draw(st.lists(AMOUNT, max_size=3)))]
    named = [
        reversal("n", part, ("1", part)) for part in draw(st.lists(st.sampled_from(["100.00", "600.00"]), max_size=1))
    ]
    return draw(st.permutations([win("1000.00", sold=SOLD), credit(*vector), *refunds, *named]))


PLANS = st.sampled_from(
    [
        plan(),
        plan({"up_to": "500", "percent": "7.5"}, {"percent": "12.25"}),
        plan({"up_to": "500", "percent": "7.5"}, {"percent": "12.25"}, semantics="retroactive"),
    ]
)


@given(PLANS, facts())
def test_facts_in_any_order_leave_equal_lines(body, shuffled):
    order = sorted(shuffled, key=lambda wish: (type(wish).__name__ != "RecordWin", type(wish).__name__))
    assert World(book(body)).tell(*shuffled).standing() == World(book(body)).tell(*order).standing()


RATE = Rate(base="EUR", quote="USD", rate=Decimal("1.0937"), on=NOW.date(), source="ecb")


@given(PLANS, facts(), st.booleans())
def test_done_when_3_in_any_order_and_repeated_the_trial_balance_is_0_per_currency_and_in_the_books(
    body, shuffled, again
):
    world = World(book({**body, "hold_days": 0}), rates=(RATE,), books_currency="USD").tell(*shuffled)
    world.tell(credit(share("p0", "50.00"), share("p7", "50.00"), revision=2), *(shuffled if again else ()))
    entries = world.posted()
    assert all(entry.in_books.currency == "USD" for entry in entries)
    assert trial_balance(entries) == {"EUR": Decimal(0)}
    assert books_balance(entries) == {"USD": Decimal(0)}


@given(st.lists(st.tuples(AMOUNT, st.sampled_from(["p1", "p2"])), max_size=6))
def test_lines_of_a_window_sum_to_the_rounded_whole(sales):
    body = plan({"up_to": "1000", "percent": "3.3333"}, {"percent": "9"}, semantics="retroactive", accumulate="quarter")
    world = World(book(body))
    for n, (amount, partner_id) in enumerate(sales):
        identity = {"opportunity_id": f"o{n}"}
        world.tell(win(amount, **identity), credit(share(partner_id, "100.00"), **identity))
    for partner_id in ("p1", "p2"):
        measure = sum((Decimal(amount) for amount, who in sales if who == partner_id), Decimal(0))
        paid = total((line.amount for line in world.of(PayoutCalculated) if line.payee_id == partner_id), "EUR")
        rate = Decimal("3.3333") if measure <= 1000 else Decimal(9)
        assert paid == round_half_up(measure * rate / 100, "EUR")


def test_done_when_2_a_full_refund_returns_a_window_to_nothing():
    world = World(book(plan({"percent": "3.3333"}, accumulate="year"))).tell(win("777.77"), credit())
    world.tell(reversal("all", "777.77"))
    assert world.measures == {"plan-a-p1-2026": Decimal(0)}
    assert world.of(PayoutReversed)[0].remaining == money("0.00", "EUR")
