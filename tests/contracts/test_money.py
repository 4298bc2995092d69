"""Money is exact: its digits, its sums, its splits and its roundings."""

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.event import encode
from contracts.values import (
    MINOR_DIGITS,
    Money,
    largest_remainder,
    minor_unit,
    money,
    none_of,
    round_half_up,
    split,
    total,
)

CURRENCIES = st.sampled_from(sorted(MINOR_DIGITS))
WEIGHTS = st.lists(st.decimals("0", "1000", places=2), min_size=1, max_size=12).filter(lambda them: sum(them) > 0)


@st.composite
def amounts(draw: st.DrawFn) -> Money:
    currency = draw(CURRENCIES)
    return Money(amount=draw(st.integers(-(10**14), 10**14)) * minor_unit(currency), currency=currency)


# Digits


@pytest.mark.parametrize(
    ("text", "currency", "stored"),
    [
        ("100", "EUR", b'{"amount":"100.00","currency":"EUR"}'),
        ("0.1", "EUR", b'{"amount":"0.10","currency":"EUR"}'),
        ("1E2", "EUR", b'{"amount":"100.00","currency":"EUR"}'),
        ("-7.50", "EUR", b'{"amount":"-7.50","currency":"EUR"}'),
        ("100", "JPY", b'{"amount":"100","currency":"JPY"}'),
        ("100.0", "JPY", b'{"amount":"100","currency":"JPY"}'),
        ("1.5", "KWD", b'{"amount":"1.500","currency":"KWD"}'),
        ("1", "CLF", b'{"amount":"1.0000","currency":"CLF"}'),
        ("999999999999999.99", "EUR", b'{"amount":"999999999999999.99","currency":"EUR"}'),
    ],
)
def test_money_is_stored_with_exactly_the_digits_of_its_currency(text: str, currency: str, stored: bytes) -> None:
    assert stored == encode(money(text, currency))


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1.001", "EUR"),
        ("0.5", "JPY"),
        ("1.0001", "KWD"),
        ("1000000000000000", "EUR"),
        ("NaN", "EUR"),
        ("sNaN", "EUR"),
        ("Infinity", "EUR"),
        ("-Infinity", "EUR"),
        ("1", "EURO"),
        ("1", "eur"),
        ("1", ""),
        ("9" * 400, "EUR"),
        ("1E400", "EUR"),
    ],
)
def test_money_that_is_not_exact_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError, match=r"digits|currency|finite"):
        money(text, currency)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"amount": text, "currency": currency}, Money)


@given(amounts())
def test_money_comes_back_from_its_stored_form(amount: Money) -> None:
    stored = encode(amount)
    back = msgspec.json.decode(stored, type=Money)
    assert (amount, stored) == (back, encode(back))


def test_currencies_do_not_mix() -> None:
    for mixed in (lambda: money("1", "EUR") + money("1", "USD"), lambda: money("1", "EUR") < money("1", "USD")):
        with pytest.raises(ValueError, match="do not mix"):
            mixed()


def test_the_sum_of_nothing_is_nothing_of_its_currency() -> None:
    assert money("0", "KWD") == total([], "KWD") == none_of("KWD")
    assert money("6.00", "EUR") == total([money("1", "EUR"), money("2", "EUR"), money("3", "EUR")], "EUR")


# Roundings


@pytest.mark.parametrize(
    ("exact", "currency", "rounded"),
    [
        ("0.005", "EUR", "0.01"),
        ("0.0049999", "EUR", "0.00"),
        ("-0.005", "EUR", "-0.01"),
        ("2.675", "EUR", "2.68"),
        ("2.665", "EUR", "2.67"),
        ("0.5", "JPY", "1"),
        ("1.5", "JPY", "2"),
        ("0.0005", "KWD", "0.001"),
    ],
)
def test_a_half_goes_away_from_zero(exact: str, currency: str, rounded: str) -> None:
    assert money(rounded, currency) == round_half_up(Decimal(exact), currency)


@given(st.decimals(-(10**12), 10**12, places=8), CURRENCIES)
def test_a_rounded_amount_lies_within_half_a_minor_unit(exact: Decimal, currency: str) -> None:
    rounded = round_half_up(exact, currency).amount
    assert abs(rounded - exact) <= minor_unit(currency) / 2
    assert round_half_up(-exact, currency).amount == -rounded


# Splits


@pytest.mark.parametrize(
    ("amount", "weights", "shares"),
    [
        (money("100.00", "EUR"), "1 1 1", ["33.34", "33.33", "33.33"]),
        (money("-100.00", "EUR"), "1 1 1", ["-33.34", "-33.33", "-33.33"]),
        (money("0.05", "EUR"), "70 30", ["0.04", "0.01"]),
        (money("0.01", "EUR"), "1 1", ["0.01", "0.00"]),
        (money("100", "JPY"), "1 1 1", ["34", "33", "33"]),
        (money("1.000", "KWD"), "1 2", ["0.333", "0.667"]),
        (money("10.00", "EUR"), "0 1 0", ["0.00", "10.00", "0.00"]),
        (money("0.00", "EUR"), "3 4", ["0.00", "0.00"]),
    ],
)
def test_a_split_gives_what_is_left_to_the_largest_remainders(amount: Money, weights: str, shares: list[str]) -> None:
    assert shares == [str(share.amount) for share in split(amount, [Decimal(w) for w in weights.split()])]


def test_percents_sum_to_a_hundred() -> None:
    thirds = largest_remainder(Decimal("100.00"), [Decimal(1)] * 3, Decimal("0.01"))
    assert [Decimal("33.34"), Decimal("33.33"), Decimal("33.33")] == thirds


@given(amounts(), WEIGHTS)
def test_the_shares_of_a_split_sum_to_the_amount(amount: Money, weights: list[Decimal]) -> None:
    shares = split(amount, weights)
    assert amount == total(shares, amount.currency)
    assert len(weights) == len(shares)


@given(amounts(), WEIGHTS)
def test_a_share_differs_from_its_ideal_by_less_than_a_minor_unit(amount: Money, weights: list[Decimal]) -> None:
    whole = sum(weights)
    for share, weight in zip(split(amount, weights), weights, strict=True):
        assert abs(share.amount - amount.amount * weight / whole) < minor_unit(amount.currency)


@given(st.decimals("0.01", "100.00", places=2), WEIGHTS)
def test_the_shares_of_a_percentage_are_steps_that_sum_to_it(whole: Decimal, weights: list[Decimal]) -> None:
    shares = largest_remainder(whole, weights, Decimal("0.01"))
    assert whole == sum(shares)
    assert all(share >= 0 and share.as_tuple().exponent == -2 for share in shares)


@pytest.mark.parametrize("weights", [[], ["0"], ["0", "0"], ["1", "-1"], ["2", "-1"]])
def test_a_split_needs_a_weight_and_none_below_zero(weights: list[str]) -> None:
    with pytest.raises(ValueError, match="weights"):
        split(money("1.00", "EUR"), [Decimal(weight) for weight in weights])
