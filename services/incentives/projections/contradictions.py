"""Which contradictions of a provider have no case yet? One is due at once."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from services.incentives.domain.contradiction import OpenContradictionCase, contradiction_id
from services.incentives.domain.payment import Payment, Payments
from services.incentives.domain.payment_events import OutcomeContradicted


def evolve(_: dict[str, Any] | None, seen: Seen) -> dict[str, Any]:
    it: OutcomeContradicted = seen.event
    return {
        "due_at": iso(seen.recorded_at),
        "case_id": _case(seen),
        "payment_id": it.payment_id,
        "partner_id": it.partner_id,
        "reference": it.reference,
    }


def _case(seen: Seen) -> str:
    return contradiction_id(seen.event.payment_id, seen.event.provider_event_id)


def issue(document: dict[str, Any], now: datetime) -> Callable[[Peek], Awaitable[OpenContradictionCase]]:
    """Opens the case, in the name of the payee."""

    async def make(peek: Peek) -> OpenContradictionCase:
        payment: Payment = await peek(Payments.at(document["payment_id"]))
        named = {name: document[name] for name in ("case_id", "payment_id", "partner_id", "reference")}
        return OpenContradictionCase(**named, payee_id=payment.order.payee_id, now=now)

    return make


CONTRADICTIONS = Deadline(
    name="contradictions", version=1, keys={OutcomeContradicted: _case}, evolve=evolve, issue=issue
)
