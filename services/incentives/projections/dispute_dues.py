"""When is the time over in which evidence of a dispute may be shown, or its decision appealed?"""

from datetime import datetime
from typing import Any

from chassis.application import Application, Prepared
from chassis.deadlines import DUE_AT, Deadline
from chassis.event import Seen, iso
from chassis.execution import Peek
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain.line_dispute import (
    ConcludeDispute,
    DisputeDecided,
    DisputeEvidenceRequested,
    HearDispute,
    LineDisputed,
    RemindCorrection,
)
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.projections.disputes import STEPS, of_dispute

NAMES = ("account_id", "statement_id", "event_id")


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if not isinstance(happened, LineDisputed | DisputeEvidenceRequested | DisputeDecided) or not happened.due_at:
        return None
    named = {name: getattr(happened, name) for name in NAMES}
    return {DUE_AT: iso(happened.due_at), "decided": isinstance(happened, DisputeDecided), **named}


def issue(document: dict[str, Any], now: datetime) -> Prepared:
    """Ends a dispute whose decision cannot be appealed any more, or brings it under review."""
    return by_rules(ConcludeDispute if document["decided"] else HearDispute, document)


def by_rules(step: type[ConcludeDispute | HearDispute | RemindCorrection], document: dict[str, Any]) -> Prepared:
    """A step of a dispute that counts days by the payment rules."""
    named = {name: document[name] for name in NAMES}

    async def make(app: Application, tenant: str, peek: Peek) -> ConcludeDispute | HearDispute | RemindCorrection:
        return step(**named, rules=await rules_of_kind(app, tenant, PAYMENT), now=app.clock.now())

    return Prepared(make)


DISPUTE_DUES = Deadline(
    name="dispute_dues", version=1, keys=dict.fromkeys(STEPS, of_dispute), evolve=evolve, issue=issue
)
