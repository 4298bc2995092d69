"""Where a payee is paid: an IBAN, or an account number at a bank that is named, where a country has no IBAN."""

import re

from chassis.event import frozen

DIGITS_SHOWN = 4
BIC = "[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?"
"""As ISO 20022 writes it (BICFIDec2014Identifier)."""
CLEARING_NUMBERS = {
    "AUBSB": r"[0-9]{6}",
    "CACPA": r"[0-9]{9}",
    "CNAPS": r"[0-9]{12}",
    "HKNCC": r"[0-9]{3}",
    "INFSC": r"[A-Z]{4}0[A-Z0-9]{6}",
    "JPZGN": r"[0-9]{7}",
    "NZNCC": r"[0-9]{6}",
    "SGIBG": r"[0-9]{7}",
    "TWNCC": r"[0-9]{7}",
    "USABA": r"[0-9]{9}",
    "ZANCC": r"[0-9]{6}",
}
"""How a bank is numbered in each clearing system, by its code in ISO 20022 (ExternalClearingSystemIdentification1Code):
those of countries without IBANs."""


@frozen
class BankAccount:
    """An account as it is sealed: the IBAN alone, or the number with the bank's BIC, its number in a clearing system, or both."""

    number: str
    holder: str
    bic: str = ""
    clearing: str = ""
    clearing_number: str = ""

    @property
    def is_iban(self) -> bool:
        return not (self.bic or self.clearing)

    @property
    def last_digits(self) -> str:
        """What is shown of it: never more than half."""
        return self.number[-min(DIGITS_SHOWN, len(self.number) // 2) :] if len(self.number) > 1 else ""

    @property
    def identity(self) -> str:
        """What two entries of the same account have in common: the bank, by its number where it has one, and the account's."""
        if self.is_iban:
            return self.number
        return f"{self.clearing} {self.clearing_number} {self.number}" if self.clearing else f"{self.bic} {self.number}"

    def sealed_text(self) -> str:
        """What is sealed: of an IBAN as from the first day on, of another account behind an empty line. The holder is last."""
        if self.is_iban:
            return f"{self.number}\n{self.holder}"
        return f"\n{self.number}\n{self.bic}\n{self.clearing}\n{self.clearing_number}\n{self.holder}"


def bank_account(sealed_text: str) -> BankAccount:
    """The account that was sealed so."""
    number, _, rest = sealed_text.partition("\n")
    if number:
        return BankAccount(number=number, holder=rest)
    number, bic, clearing, clearing_number, holder = rest.split("\n", 4)
    return BankAccount(number=number, holder=holder, bic=bic, clearing=clearing, clearing_number=clearing_number)


def numbers_a_bank(clearing: str, number: str) -> bool:
    """Whether a bank may have that number in that clearing system; none may in one that is not known."""
    return re.fullmatch(CLEARING_NUMBERS.get(clearing, ""), number) is not None and bool(number)
