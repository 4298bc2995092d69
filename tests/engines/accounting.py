"""The accounting program ledger, from the system's packages: what it makes of a journal."""

import csv
import io
import shutil
import subprocess
from decimal import Decimal

from tests.engines import INSTALL

PROGRAM = "ledger"
NAME, CURRENCY, AMOUNT = 3, 4, 5
"""Where the account, its currency and the amount stand in a row of its table."""


def missing() -> str | None:
    """Why nothing can be read here, or None."""
    return None if shutil.which(PROGRAM) else f"the accounting program {PROGRAM} is not installed: {INSTALL}"


def balances(text: str) -> dict[tuple[str, str], Decimal]:
    """What stands in each account and currency. Raises CalledProcessError for what the program does not accept."""
    command = [PROGRAM, "--file", "/dev/stdin", "--strict", "--pedantic", "csv"]
    said = subprocess.run(command, input=text, capture_output=True, text=True, check=True).stdout
    found: dict[tuple[str, str], Decimal] = {}
    for row in csv.reader(io.StringIO(said)):
        key = (row[NAME], row[CURRENCY])
        found[key] = found.get(key, Decimal(0)) + Decimal(row[AMOUNT])
    return {key: amount for key, amount in found.items() if amount}
