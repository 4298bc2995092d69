"""Numbers of accounts and banks as a person writes them: whether there can be one, and if not, what to look at."""

from stdnum import bic, iban
from stdnum.us import rtn

from services.incentives.domain.bank_account import CLEARING_NUMBERS, numbers_a_bank

ROUTING = "USABA"
"""The clearing system whose numbers have a check digit."""


def bank_number(clearing: str, number: str) -> str:
    """The bank's number in its clearing system. Raises ValueError, saying what is wrong, where it can be none."""
    if clearing not in CLEARING_NUMBERS:
        raise ValueError(f"the clearing system is one of {', '.join(CLEARING_NUMBERS)}")
    if not numbers_a_bank(clearing, number):
        raise ValueError(f"that is no bank's number in {clearing}: leave out spaces and hyphens")
    if clearing == ROUTING and not rtn.is_valid(number):
        raise ValueError("that is no routing number: its check digit does not fit")
    return number


def iban_number(account: str) -> str:
    """The IBAN, if its check digits and what its country asks of one fit: most slips of a hand do not."""
    if not iban.is_valid(account):
        raise ValueError("that is no IBAN: compare it with the contract, a digit may be wrong or missing")
    return account


def bank_code(code: str) -> str:
    """The BIC, if there is one and its country is one."""
    if code and not bic.is_valid(code):
        raise ValueError("that is no BIC: its fifth and sixth letters name no country")
    return code
