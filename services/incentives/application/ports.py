"""Who moves the money."""

from typing import Protocol

from contracts.values import Money
from services.incentives.domain import payment

ACCEPTED, ABSENT = "accepted", "absent"
PAID, REJECTED, UNKNOWN = payment.PAID, payment.REJECTED, payment.UNKNOWN


class PaymentPort(Protocol):
    """Moves money. The same reference is one transfer, however often it is submitted."""

    @property
    def bank(self) -> str:
        """The account that payments are drawn on, as the ledger names it: `cash:{bank}`."""
        ...

    async def submit(self, reference: str, destination: str, amount: Money) -> str:
        """Accepted, rejected or unknown. Raises TimeoutError or OSError without an answer: that is unknown too."""
        ...

    async def status(self, reference: str) -> str:
        """Paid, rejected, accepted (under way), unknown, or absent when the provider never heard of the reference."""
        ...


async def provider_says(port: PaymentPort, reference: str, destination: str, amount: Money, asks: int) -> str:
    """What became of a reference: paid, rejected or unknown. It is submitted once; later asked, unless absent."""
    try:
        said = await port.status(reference) if asks else ABSENT
        if said == ABSENT and await port.submit(reference, destination, amount) != UNKNOWN:
            said = await port.status(reference)
    except (TimeoutError, OSError):
        return UNKNOWN
    return said if said in (PAID, REJECTED) else UNKNOWN
