"""Who moves the money: a bank that is brought files, or a provider on this machine that can misbehave on purpose.

The latter remembers every transfer durably, and is idempotent by reference as a real one is. Which fault meets a
reference follows from the seed and the reference alone, so a run can be repeated.
"""

import asyncio
import hashlib
import hmac
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

from chassis.event import frozen, sha256
from chassis.sqlite_file import open_flushed
from contracts.values import Money
from services.incentives.application.ports import ABSENT, ACCEPTED, PAID, REJECTED, RETURNED, UNKNOWN, PaymentPort
from services.incentives.domain.bank_account import BankAccount

__all__ = ["Faults", "FileBank", "PaymentPort", "Simulator"]

Fault = Literal["none", "late", "twice", "unknown", "lost", "rejected", "never", "contradicting", "returned"]
SILENT = "silent"
LATE_ASKS = 2
"""A late transfer is still under way so many times before it is paid."""
PERCENT = 100
HEX_DIGITS, HEX = 8, 16

TABLES = """
CREATE TABLE IF NOT EXISTS transfers (
  reference TEXT PRIMARY KEY, destination TEXT NOT NULL, amount TEXT NOT NULL, currency TEXT NOT NULL,
  fault TEXT NOT NULL, state TEXT NOT NULL, submissions INTEGER NOT NULL, asks INTEGER NOT NULL
)
"""


@frozen
class Faults:
    """How many of a hundred references meet each fault.

    Lost: the call never arrives. Unknown: its answer does not. Never: nobody ever learns what became of it.
    Contradicting: it is rejected, and asked again it was paid after all. Returned: it is paid, and the money comes back.
    """

    seed: int = 1
    late_percent: int = 0
    twice_percent: int = 0
    unknown_percent: int = 0
    lost_percent: int = 0
    rejected_percent: int = 0
    never_percent: int = 0
    contradicting_percent: int = 0
    returned_percent: int = 0

    def of(self, reference: str) -> Fault:
        """The fault of a reference, the same every time."""
        drawn = int(sha256(f"{self.seed}:{reference}".encode())[:HEX_DIGITS], HEX) % PERCENT
        for fault, percent in self._shares():
            if drawn < percent:
                return fault
            drawn -= percent
        return "none"

    def _shares(self) -> tuple[tuple[Fault, int], ...]:
        return (
            ("late", self.late_percent),
            ("twice", self.twice_percent),
            ("unknown", self.unknown_percent),
            ("lost", self.lost_percent),
            ("rejected", self.rejected_percent),
            ("never", self.never_percent),
            ("contradicting", self.contradicting_percent),
            ("returned", self.returned_percent),
        )


NOBODY = BankAccount(number="", holder="")


class _Reporting:
    """On whose account payments are drawn, and the secret under which the provider signs what it reports."""

    itself: str

    def __init__(self, payer: BankAccount) -> None:
        self.payer, self.secret = payer, b""

    def signed_by_provider(self, content: bytes, signature: str) -> bool:
        """Whether the provider signed a report with the secret that is shared with it; without a secret, nobody did."""
        wanted = hmac.new(self.secret, content, hashlib.sha256).hexdigest()
        return bool(self.secret) and hmac.compare_digest(wanted, signature)

    @property
    def bank(self) -> str:
        """The payer's account; without one the provider is its own bank."""
        return self.payer.number or self.itself


class FileBank(_Reporting):
    """A bank that is brought its payments in files, pain.001 or a table: only its report says what became of them."""

    itself, tells = "file", False

    async def submit(self, reference: str, destination: str, amount: Money) -> str:
        """Accepted: it stands in the file from now on."""
        return ACCEPTED

    async def status(self, reference: str) -> str:
        """Under way, as far as anybody here knows."""
        return ACCEPTED


class Simulator(_Reporting):
    """The provider. Its file outlives this process; several may use it."""

    itself, tells = "simulator", True

    def __init__(self, path: Path, faults: Faults, payer: BankAccount = NOBODY) -> None:
        super().__init__(payer)
        self._path, self._faults = path, faults
        open_flushed(path, TABLES).close()

    async def submit(self, reference: str, destination: str, amount: Money) -> str:
        return await asyncio.to_thread(self._submit, reference, destination, amount)

    async def status(self, reference: str) -> str:
        return await asyncio.to_thread(self._status, reference)

    def transfers(self) -> list[tuple[str, str, str, str]]:
        """Reference, destination, amount and currency of all that was really paid and did not come back."""
        with self._open() as database:
            return database.execute(
                "SELECT reference, destination, amount, currency FROM transfers WHERE state = 'paid' ORDER BY reference"
            ).fetchall()

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(open_flushed(self._path, "")) as database:
            yield database

    def _submit(self, reference: str, destination: str, amount: Money) -> str:
        fault = self._faults.of(reference)
        with self._open() as database:
            heard = database.execute("SELECT state FROM transfers WHERE reference = ?", (reference,)).fetchone()
            if heard is None and fault == "lost" and self._lost(database, reference, destination, amount):
                return UNKNOWN
            for _ in range(2 if fault == "twice" else 1):
                self._take(database, reference, destination, amount, fault)
        return {"rejected": REJECTED, "unknown": UNKNOWN, "never": UNKNOWN}.get(fault, ACCEPTED)

    def _lost(self, database: sqlite3.Connection, reference: str, destination: str, amount: Money) -> bool:
        """The first call is lost on the way; only the simulator knows."""
        row = (reference, destination, str(amount.amount), amount.currency, "lost", ABSENT)
        database.execute("INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, 0, 0)", row)
        return True

    def _take(
        self, database: sqlite3.Connection, reference: str, destination: str, amount: Money, fault: Fault
    ) -> None:
        state = {"rejected": REJECTED, "late": ACCEPTED, "never": SILENT, "contradicting": REJECTED}.get(fault, PAID)
        row = (reference, destination, str(amount.amount), amount.currency, fault, state)
        database.execute(
            "INSERT INTO transfers VALUES (?, ?, ?, ?, ?, ?, 1, 0) ON CONFLICT (reference) DO UPDATE SET "
            "submissions = submissions + 1, state = CASE state WHEN 'absent' THEN excluded.state ELSE state END",
            row,
        )

    def _status(self, reference: str) -> str:
        with self._open() as database:
            found = database.execute(
                "UPDATE transfers SET asks = asks + 1, "
                "state = CASE WHEN state = 'accepted' AND asks >= ? THEN 'paid' "
                "WHEN fault = 'contradicting' AND asks >= 1 THEN 'paid' "
                "WHEN fault = 'returned' AND asks >= 1 THEN ? ELSE state END "
                "WHERE reference = ? RETURNING CASE state WHEN 'silent' THEN 'unknown' ELSE state END",
                (LATE_ASKS, RETURNED, reference),
            ).fetchone()
        return str(found[0]) if found else ABSENT
