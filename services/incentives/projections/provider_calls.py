"""Which payments has the provider still to be told or asked about, and when? One that was made may have come back.

The reference was recorded before; so a call that was lost, repeated or never made is asked about under the same one.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from chassis.application import NothingToDo
from chassis.deadlines import Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from chassis.read_store.port import TURN
from contracts.values import money
from services.incentives.application.ports import PaymentPort, provider_says
from services.incentives.application.sales import in_books
from services.incentives.domain.payment import PAID, REJECTED, RETURNED, UNKNOWN, Payment, Payments
from services.incentives.domain.payment_commands import NoteUnreported, ReportOutcome
from services.incentives.domain.payment_events import PaymentFailed, PaymentMade, PaymentSubmitted, PaymentUnknown

CALL_SECONDS = 5.0
RETURN_DAYS = 5
"""So long after it was made a payment may have come back, and is asked about once more."""
MADE = "made"


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, PaymentSubmitted):
        return {**_call(happened, iso(happened.submitted_at), asks=0), TURN: seen.id}
    if isinstance(happened, PaymentUnknown) and happened.ask_again_at is not None:
        again = {**_call(happened, iso(happened.ask_again_at), asks=happened.asks), TURN: seen.id}
        return {**again, "amount": document["amount"]} if document else again
    if isinstance(happened, PaymentMade) and document is not None:
        later = iso(happened.reported_at + timedelta(days=RETURN_DAYS))
        return {**document, "reference": happened.reference, "due_at": later, MADE: True, TURN: seen.id}
    return None


def _call(happened: PaymentSubmitted | PaymentUnknown, due_at: str, asks: int) -> dict[str, Any]:
    amount = happened.net or happened.amount if isinstance(happened, PaymentSubmitted) else happened.amount
    return {
        "due_at": due_at,
        "payment_id": happened.payment_id,
        "account_id": happened.account_id,
        "payee_id": happened.payee_id,
        "reference": happened.reference,
        "amount": str(amount.amount),
        "currency": amount.currency,
        "asks": asks,
        "earlier": list(happened.earlier) if isinstance(happened, PaymentSubmitted) else [],
    }


def _payment(seen: Seen) -> str:
    payment_id: str = seen.event.payment_id
    return payment_id


def provider_calls(port: PaymentPort) -> Deadline:
    """The deadlines of calls to this provider; each call's answer is the command."""

    def issue(document: dict[str, Any], now: datetime) -> Callable[[Peek], Awaitable[ReportOutcome]]:
        async def make(peek: Peek) -> ReportOutcome:
            if document.get(MADE):
                return replace(await return_of(port, document, now), books=await in_books(peek, now.date()))
            order: Payment = await peek(Payments.at(document["payment_id"]))
            earlier = [one for one in document.get("earlier", ()) if one not in order.returned]
            said = await outcome_of(port, {**document, "earlier": earlier}, now)
            return replace(said, books=await in_books(peek, now.date()))

        return make

    return Deadline(
        name="provider_calls",
        version=3,
        keys=dict.fromkeys((PaymentSubmitted, PaymentUnknown, PaymentMade, PaymentFailed), _payment),
        evolve=evolve,
        issue=issue,
    )


def unreported(days: int) -> Deadline:
    """When a report should have come of each payment that was handed over."""

    def due(_: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
        it = seen.event
        if not isinstance(it, PaymentSubmitted):
            return None
        due_at = iso(it.submitted_at + timedelta(days=days))
        return {"due_at": due_at, "payment_id": it.payment_id, "reference": it.reference, TURN: seen.id}

    def note(document: dict[str, Any], now: datetime) -> NoteUnreported:
        return NoteUnreported(payment_id=document["payment_id"], reference=document["reference"], now=now)

    return Deadline(
        name="unreported",
        version=1,
        keys=dict.fromkeys((PaymentSubmitted, PaymentUnknown, PaymentMade, PaymentFailed), _payment),
        evolve=due,
        issue=note,
    )


async def outcome_of(port: PaymentPort, document: dict[str, Any], now: datetime) -> ReportOutcome:
    """Calls the provider, and reports what it says; no answer in time is unknown.

    Raises NothingToDo once it was handed to one that does not tell: what became of it stands in a report.
    """
    amount = money(document["amount"], document["currency"])
    try:
        async with asyncio.timeout(CALL_SECONDS):
            if paid := await paid_before(port, document.get("earlier", ())):
                return _report(document, paid, PAID, now, unsent=True)
            said = await provider_says(port, document["reference"], document["payee_id"], amount, document["asks"])
    except (TimeoutError, OSError):
        said = UNKNOWN
    if not port.tells:
        raise NothingToDo
    return _report(document, document["reference"], said, now)


async def return_of(port: PaymentPort, document: dict[str, Any], now: datetime) -> ReportOutcome:
    """Reports that a payment came back, or was never made. Raises NothingToDo where it stands."""
    async with asyncio.timeout(CALL_SECONDS):
        said = await port.status(document["reference"])
    if said not in (RETURNED, REJECTED):
        raise NothingToDo
    return _report(document, document["reference"], said, now)


async def paid_before(port: PaymentPort, earlier: Sequence[str]) -> str | None:
    """An earlier reference of the same payment that was paid after all: then no other one is handed over."""
    for reference in earlier:
        if await port.status(reference) == PAID:
            return reference
    return None


def _report(
    document: dict[str, Any], reference: str, said: str, now: datetime, *, unsent: bool = False
) -> ReportOutcome:
    return ReportOutcome(
        payment_id=document["payment_id"],
        account_id=document["account_id"],
        reference=reference,
        outcome=said,
        provider_event_id=f"{reference}-{said}",
        on=now.date(),
        now=now,
        unsent=unsent,
    )
