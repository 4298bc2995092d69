"""How a partner's deals went: counted by day for a year, so that rules may approve by themselves only who wins enough."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import assert_never

from chassis.decider import Decider
from chassis.event import event, frozen
from contracts.values import PartnerId, RegistrationId

YEAR = timedelta(days=365)
WON = "won"


@event("registration.ResultCounted.v1")
class ResultCounted:
    """Result: won or lost."""

    partner_id: PartnerId
    registration_id: RegistrationId
    result: str
    closed_at: datetime


@frozen
class Day:
    """What was closed on one UTC day."""

    closed_on: date
    closed: int
    won: int


@event("registration.ResultsCarried.v1")
class ResultsCarried:
    """A year's results, with which a busy partner's go on in their next segment."""

    days: tuple[Day, ...]


@dataclass(frozen=True)
class TrackRecord:
    """The days with a result of the year up to the newest one, the oldest first."""

    days: tuple[Day, ...] = ()

    def since(self, day: date) -> tuple[int, int]:
        """How many were closed on that day or later, and how many of them won."""
        counted = [one for one in self.days if one.closed_on >= day]
        return sum(one.closed for one in counted), sum(one.won for one in counted)

    def of_a_year(self, now: datetime) -> tuple[int, int]:
        """Closed and won in the 365 days up to now."""
        return self.since((now - YEAR).date())


def evolve(record: TrackRecord, happened: ResultCounted | ResultsCarried) -> TrackRecord:
    match happened:
        case ResultCounted(result=result, closed_at=at):
            return _counted(record, at.date(), result)
        case ResultsCarried(days=days):
            return TrackRecord(days)
        case _:
            assert_never(happened)


def _counted(record: TrackRecord, today: date, result: str) -> TrackRecord:
    """The record with one more result; what is older than a year is left out."""
    before = next((one for one in record.days if one.closed_on == today), Day(closed_on=today, closed=0, won=0))
    day = Day(closed_on=today, closed=before.closed + 1, won=before.won + (result == WON))
    rest = (one for one in record.days if one.closed_on != today and one.closed_on >= today - YEAR)
    return TrackRecord(tuple(sorted((*rest, day), key=lambda one: one.closed_on)))


def carry(record: TrackRecord) -> ResultsCarried:
    return ResultsCarried(days=record.days)


TrackRecords = Decider[TrackRecord, ResultCounted | ResultsCarried](
    kind="track_record", initial=TrackRecord(), evolve=evolve, carry=carry
)
