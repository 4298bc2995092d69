"""Who moves the money."""

from typing import Protocol

from contracts.values import Money
from services.incentives.domain import payment
from services.incentives.domain.bank_account import BankAccount

ACCEPTED, ABSENT = "accepted", "absent"
PAID, REJECTED, UNKNOWN, RETURNED = payment.PAID, payment.REJECTED, payment.UNKNOWN, payment.RETURNED


class PaymentPort(Protocol):
    """Moves money. The same reference is one transfer, however often it is submitted.

    One that `tells` can be asked what became of a reference; of another one only a report says so. Payments are drawn on
    the payer's account.
    """

    tells: bool
    payer: BankAccount

    @property
    def bank(self) -> str:
        """The account that payments are drawn on, as the ledger names it: `cash:{bank}`."""
        ...

    async def submit(self, reference: str, destination: str, amount: Money) -> str:
        """Accepted, rejected or unknown. Raises TimeoutError or OSError without an answer: that is unknown too."""
        ...

    async def status(self, reference: str) -> str:
        """Paid, returned (paid, and back again), rejected, accepted (under way), unknown, or absent: never heard of."""
        ...

    def signed_by_provider(self, content: bytes, signature: str) -> bool:
        """Whether the provider signed a report."""
        ...


async def provider_says(port: PaymentPort, reference: str, destination: str, amount: Money, asks: int) -> str:
    """What became of a reference: paid, rejected or unknown. It is submitted once; later asked, unless absent.

    What came back was paid first; that it came back is told of a payment that was made.
    """
    try:
        said = await port.status(reference) if asks else ABSENT
        if said == ABSENT and await port.submit(reference, destination, amount) != UNKNOWN:
            said = await port.status(reference)
    except (TimeoutError, OSError):
        return UNKNOWN
    return {PAID: PAID, RETURNED: PAID, REJECTED: REJECTED}.get(said, UNKNOWN)
