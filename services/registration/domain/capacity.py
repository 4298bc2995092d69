"""How many deals of one partner may be open at once, counted by quarter: a slot is taken by each, and given back.

A slot is given back when its deal is open no more; a quarter opens with those still open. A registration counts slots
and looks at the deals themselves only where the count leaves no place: what was to be given back is given back first.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import assert_never

from chassis.decider import Decider
from chassis.event import command, event, frozen
from contracts.values import PartnerId, RegistrationId

MONTHS_OF_A_QUARTER = 3
QUARTERS_BACK_MAX = 16
"""How far back the last quarter is looked for in which a partner registered something."""


def quarter_of(at: datetime) -> str:
    """The quarter of an instant in UTC: `2026-Q1`."""
    return f"{at.year}-Q{(at.month - 1) // MONTHS_OF_A_QUARTER + 1}"


def quarter_before(quarter: str) -> str:
    """The quarter before: `2026-Q1` → `2025-Q4`."""
    year, number = int(quarter[:4]), int(quarter[-1])
    return f"{year - 1}-Q4" if number == 1 else f"{year}-Q{number - 1}"


def quarters_before(quarter: str) -> tuple[str, ...]:
    """The quarters before, the last one first."""
    found = [quarter]
    while len(found) <= QUARTERS_BACK_MAX:
        found.append(quarter_before(found[-1]))
    return tuple(found[1:])


@command("registration.ReleaseSlot.v1")
class ReleaseSlot:
    """A deal is open no more. `quarters` are those in which it may have a slot."""

    partner_id: PartnerId
    registration_id: RegistrationId
    quarters: tuple[str, ...]
    now: datetime


@frozen
class SlotsSeen:
    """What was seen of a partner's slots when a registration was made: `closed` are of deals that are open no more.

    Deals are looked at, and `closed` is told, only where all slots are taken. `carried` are open deals of the last
    quarter that had any, where this quarter has no slot yet. `open` was told in earlier releases.
    """

    quarter: str
    open: tuple[RegistrationId, ...] = ()
    closed: tuple[RegistrationId, ...] = ()
    carried: tuple[RegistrationId, ...] = ()


@event("registration.CapacityOpened.v1")
class CapacityOpened:
    partner_id: PartnerId
    quarter: str
    open: tuple[RegistrationId, ...]
    opened_at: datetime


@event("registration.SlotTaken.v1")
class SlotTaken:
    partner_id: PartnerId
    registration_id: RegistrationId
    taken_at: datetime


@event("registration.SlotReleased.v1")
class SlotReleased:
    partner_id: PartnerId
    registration_id: RegistrationId
    released_at: datetime


CapacityEvent = CapacityOpened | SlotTaken | SlotReleased


@dataclass(frozen=True)
class Capacity:
    """The deals that have a slot; None before the quarter is opened."""

    taken: tuple[RegistrationId, ...] | None = None


def settle_slots(state: Capacity, partner_id: PartnerId, seen: SlotsSeen, now: datetime) -> list[CapacityEvent]:
    """Opens the quarter where it is new, and gives back the slots of deals that are open no more."""
    if state.taken is None:
        return [CapacityOpened(partner_id=partner_id, quarter=seen.quarter, open=seen.carried, opened_at=now)]
    gone = [one for one in state.taken if one in seen.closed]
    return [SlotReleased(partner_id=partner_id, registration_id=one, released_at=now) for one in gone]


def take_slot(partner_id: PartnerId, registration_id: RegistrationId, now: datetime) -> list[CapacityEvent]:
    return [SlotTaken(partner_id=partner_id, registration_id=registration_id, taken_at=now)]


def release_slot(wish: ReleaseSlot, capacities: tuple[Capacity, ...]) -> tuple[list[list[CapacityEvent]]]:
    """Gives a slot back, in every quarter that counts it."""
    one = wish.registration_id
    gone = SlotReleased(partner_id=wish.partner_id, registration_id=one, released_at=wish.now)
    return ([[gone] if one in (state.taken or ()) else [] for state in capacities],)


def evolve(capacity: Capacity, happened: CapacityEvent) -> Capacity:
    taken = capacity.taken or ()
    match happened:
        case CapacityOpened(open=still_open):
            return Capacity(still_open)
        case SlotTaken(registration_id=one):
            return Capacity((*taken, one))
        case SlotReleased(registration_id=one):
            return Capacity(tuple(other for other in taken if other != one))
        case _:
            assert_never(happened)


Capacities = Decider[Capacity, CapacityEvent](kind="capacity", initial=Capacity(), evolve=evolve)
