"""A payee: who may be paid, and the gates that stand before a payment. Lines still earn while a gate is shut."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event
from services.incentives.domain.condition import Circumstances, Field

PAYOUTS = "payouts"
SUSPENDED, NOT_ACTIVE = "suspended", "not_active"

# Events


@event("incentives.PayeeOpened.v1")
class PayeeOpened:
    payee_id: str
    partner_id: str
    revision: int
    opened_at: datetime


@event("incentives.PayeeSuspended.v1")
class PayeeSuspended:
    """Scopes are those of the partner's suspension; only `payouts` shuts the gate. Without `until` it has no end."""

    payee_id: str
    partner_id: str
    revision: int
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None
    suspended_at: datetime


@event("incentives.PayeeReinstated.v1")
class PayeeReinstated:
    payee_id: str
    partner_id: str
    revision: int
    reinstated_at: datetime


@event("incentives.StandingRecorded.v1")
class StandingRecorded:
    """A tier, certification or region that the payee has from a day on. It replaces the values of the same field."""

    payee_id: str
    partner_id: str
    field: Field
    values: tuple[str, ...]
    effective_on: date
    source_event_id: str
    recorded_at: datetime


PayeeEvent = StandingRecorded | PayeeOpened | PayeeSuspended | PayeeReinstated

# Commands: `revision` is the partner's own, so that an old fact that comes again changes nothing


@command("incentives.OpenPayee.v1")
class OpenPayee:
    partner_id: str
    revision: int
    now: datetime


@command("incentives.SuspendPayee.v1")
class SuspendPayee:
    partner_id: str
    revision: int
    scopes: tuple[str, ...]
    reason_code: str
    until: datetime | None = None
    now: datetime


@command("incentives.ReinstatePayee.v1")
class ReinstatePayee:
    partner_id: str
    revision: int
    now: datetime


@command("incentives.RecordStanding.v1")
class RecordStanding:
    partner_id: str
    field: Field
    values: tuple[str, ...]
    effective_on: date
    source_event_id: str
    now: datetime


# State


@dataclass(frozen=True)
class Payee:
    """Whether the partner is known, its last revision, the suspension of its payouts, if any, and its standing."""

    opened: bool = False
    revision: int = 0
    suspended: bool = False
    suspended_until: datetime | None = None
    standing: tuple[StandingRecorded, ...] = ()


def circumstances_of(payee: Payee, day: date, deal: Circumstances) -> Circumstances:
    """What a modifier may look at: the deal, and the tier, certifications and region that the payee had on a day."""
    known: dict[Field, tuple[str, ...]] = {}
    for recorded in sorted(payee.standing, key=lambda one: one.effective_on):
        if recorded.effective_on <= day:
            known[recorded.field] = recorded.values
    return replace(
        deal,
        tier=next(iter(known.get("tier", ())), None),
        certifications=known.get("certification", ()),
        region=next(iter(known.get("region", ())), None),
    )


def unmet(payee: Payee, now: datetime) -> tuple[str, ...]:
    """The gates that are shut at an instant; a suspension whose end has passed shuts none."""
    if not payee.opened:
        return (NOT_ACTIVE,)
    over = payee.suspended_until is not None and payee.suspended_until <= now
    return (SUSPENDED,) if payee.suspended and not over else ()


# Decisions


def open_payee(wish: OpenPayee, payee: Payee) -> list[PayeeEvent]:
    if payee.opened:
        return []
    return [
        PayeeOpened(payee_id=wish.partner_id, partner_id=wish.partner_id, revision=wish.revision, opened_at=wish.now)
    ]


def suspend_payee(wish: SuspendPayee, payee: Payee) -> list[PayeeEvent]:
    if wish.revision <= payee.revision:
        return []
    return [
        PayeeSuspended(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            revision=wish.revision,
            scopes=wish.scopes,
            reason_code=wish.reason_code,
            until=wish.until,
            suspended_at=wish.now,
        )
    ]


def reinstate_payee(wish: ReinstatePayee, payee: Payee) -> list[PayeeEvent]:
    if wish.revision <= payee.revision:
        return []
    return [
        PayeeReinstated(
            payee_id=wish.partner_id, partner_id=wish.partner_id, revision=wish.revision, reinstated_at=wish.now
        )
    ]


def record_standing(wish: RecordStanding, payee: Payee) -> list[PayeeEvent]:
    """Keeps what the payee has from a day on; the same again changes nothing."""
    if any(known.source_event_id == wish.source_event_id and known.field == wish.field for known in payee.standing):
        return []
    return [
        StandingRecorded(
            payee_id=wish.partner_id,
            partner_id=wish.partner_id,
            field=wish.field,
            values=wish.values,
            effective_on=wish.effective_on,
            source_event_id=wish.source_event_id,
            recorded_at=wish.now,
        )
    ]


# Evolve


def evolve(payee: Payee, happened: PayeeEvent) -> Payee:
    match happened:
        case PayeeOpened():
            return replace(payee, opened=True, revision=max(payee.revision, happened.revision))
        case PayeeSuspended():
            suspended = PAYOUTS in happened.scopes
            return replace(payee, revision=happened.revision, suspended=suspended, suspended_until=happened.until)
        case PayeeReinstated():
            return replace(payee, revision=happened.revision, suspended=False, suspended_until=None)
        case StandingRecorded():
            return replace(payee, standing=(*payee.standing, happened))
        case _:
            assert_never(happened)


Payees = Decider[Payee, PayeeEvent](kind="payee", initial=Payee(), evolve=evolve)
