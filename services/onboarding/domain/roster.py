"""A roster: how many people of a partner hold a certification, counted as people come, go, earn and lose it."""

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event, frozen
from contracts.values import PartnerId, PersonId


@frozen
class Seat:
    """One person on one roster: whether it counts there, since which day it does or does not, under which rules."""

    partner_id: PartnerId
    certification: str
    counts: bool
    effective_on: date
    rule_version: int

    @property
    def roster(self) -> str:
        """The roster's id."""
        return f"{self.partner_id}.{self.certification}"


# Events


@event("onboarding.CertifiedCountChanged.v1")
class CertifiedCountChanged:
    partner_id: PartnerId
    certification: str
    effective_on: date
    count: int
    person_ids: tuple[PersonId, ...]
    rule_version: int
    changed_at: datetime


@event("onboarding.RosterCarried.v1")
class RosterCarried:
    """Who was on the roster when its stream went on in another segment."""

    person_ids: tuple[PersonId, ...]


RosterEvent = CertifiedCountChanged | RosterCarried

# Commands


@command("onboarding.RecordCertified.v1")
class RecordCertified:
    """Where a person counts by now: a seat for each partner that it acted for and each certification that it earned."""

    person_id: PersonId
    seats: tuple[Seat, ...]
    now: datetime


# State


@dataclass(frozen=True)
class Roster:
    """The people who count, in the order of their ids."""

    person_ids: tuple[PersonId, ...] = ()


# Decisions


def record_certified(wish: RecordCertified, rosters: tuple[Roster, ...]) -> tuple[list[list[RosterEvent]]]:
    """Counts anew on each roster where the person comes or goes; the others stay as they are."""
    return ([_counted(wish, seat, roster) for seat, roster in zip(wish.seats, rosters, strict=True)],)


def _counted(wish: RecordCertified, seat: Seat, roster: Roster) -> list[RosterEvent]:
    others = tuple(one for one in roster.person_ids if one != wish.person_id)
    people = tuple(sorted((*others, wish.person_id))) if seat.counts else others
    if people == roster.person_ids:
        return []
    return [
        CertifiedCountChanged(
            partner_id=seat.partner_id,
            certification=seat.certification,
            effective_on=seat.effective_on,
            count=len(people),
            person_ids=people,
            rule_version=seat.rule_version,
            changed_at=wish.now,
        )
    ]


# Evolve


def evolve(roster: Roster, happened: RosterEvent) -> Roster:
    match happened:
        case CertifiedCountChanged() | RosterCarried():
            return replace(roster, person_ids=happened.person_ids)
        case _:
            assert_never(happened)


def carry(roster: Roster) -> RosterCarried:
    return RosterCarried(person_ids=roster.person_ids)


Rosters = Decider[Roster, RosterEvent](kind="roster", initial=Roster(), evolve=evolve, carry=carry)
