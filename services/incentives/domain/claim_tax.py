"""What value-added tax a claim may charge, and what of it goes with what is approved."""

from decimal import Decimal

from contracts.values import Money, round_half_up

TAX_PERCENT_MAX = Decimal(27)
"""The highest general rate of value-added tax of any country (Hungary's)."""
PERCENT = Decimal(100)


def most_tax(claimed: Money) -> Money:
    """The most tax that can be on what is claimed, by the highest rate there is."""
    return round_half_up(claimed.amount * TAX_PERCENT_MAX / PERCENT, claimed.currency)


def tax_on(approved: Money, claimed: Money, tax: Money) -> Money:
    """The part of a claim's tax that is on what was approved of it, half-up at the minor unit; never more than a rate makes.

    Of 1,000 with 190 of tax, 500 approved: 95.
    """
    most = min(tax, most_tax(claimed))
    return round_half_up(most.amount * approved.amount / claimed.amount, approved.currency)
