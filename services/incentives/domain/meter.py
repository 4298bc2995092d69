"""A meter: what one payee has counted in one window of an accumulating plan. Bands look at it; sales move it."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider
from chassis.event import event
from services.incentives.domain.plan import Plan, window_of


@event("incentives.Metered.v1")
class Metered:
    """A line of a sale moved the measure, up when it was earned and down when it was taken back."""

    meter_id: str
    plan_id: str
    payee_id: str
    window: str
    opportunity_id: str
    line_id: str
    before: Decimal
    after: Decimal
    metered_at: datetime


@event("incentives.MeterCarried.v1")
class MeterCarried:
    """The measure with which a busy meter goes on in its next segment."""

    measure: Decimal


MeterEvent = Metered | MeterCarried


@dataclass(frozen=True)
class Meter:
    """The measure now."""

    measure: Decimal = Decimal(0)


def meter_id(plan: Plan, plan_id: str, payee_id: str, credited_on: date) -> tuple[str, str] | None:
    """The id and window of the meter that a sale of that day moves; None where each line stands alone."""
    window = window_of(plan.accumulate, credited_on)
    return (f"{plan_id}-{payee_id}-{window[0]}", window[0]) if window else None


def evolve(_: Meter, happened: MeterEvent) -> Meter:
    match happened:
        case Metered():
            return Meter(measure=happened.after)
        case MeterCarried():
            return Meter(measure=happened.measure)
        case _:
            assert_never(happened)


def carry(meter: Meter) -> MeterEvent:
    return MeterCarried(measure=meter.measure)


Meters = Decider[Meter, MeterEvent](kind="meter", initial=Meter(), evolve=evolve, carry=carry)
