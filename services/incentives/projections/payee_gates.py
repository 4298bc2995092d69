"""Who can be paid, and which gate is shut before whom?"""

from typing import TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from services.incentives.domain.payee import (
    PAYOUTS,
    SUSPENDED,
    PayeeOpened,
    PayeeReinstated,
    PayeeSuspended,
)


class PayeeDocument(TypedDict):
    """`gates` are those that are shut; a suspension with `until` opens by itself then."""

    payee_id: str
    partner_id: str
    gates: list[str]
    until: str | None
    reason_code: str | None
    changed_at: str


def evolve(document: PayeeDocument | None, seen: Seen) -> PayeeDocument:
    happened: PayeeOpened | PayeeSuspended | PayeeReinstated = seen.event
    kept = document if document and isinstance(happened, PayeeOpened) else None
    shut = happened if isinstance(happened, PayeeSuspended) and PAYOUTS in happened.scopes else None
    return {
        "payee_id": happened.payee_id,
        "partner_id": happened.partner_id,
        "gates": kept["gates"] if kept else [SUSPENDED] if shut else [],
        "until": kept["until"] if kept else iso(shut.until) if shut and shut.until else None,
        "reason_code": kept["reason_code"] if kept else shut.reason_code if shut else None,
        "changed_at": iso(seen.recorded_at),
    }


PAYEE_GATES = Projection(
    name="payee_gates",
    version=1,
    keys=dict.fromkeys((PayeeOpened, PayeeSuspended, PayeeReinstated), lambda seen: str(seen.event.payee_id)),
    evolve=evolve,
    indexes=("partner_id",),
)
