"""What was tried on a deal and refused, by day: the first fifty of a day are kept, the rest are counted."""

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any, NotRequired, TypedDict

import msgspec

from chassis.event import Seen, iso
from chassis.projection import Projection
from chassis.record import REFUSED, CommandRecorded

KEPT_A_DAY = 50
DAYS_MAX = 366
"""Older days are dropped: the log still holds them."""


class Attempt(TypedDict):
    """What was tried and refused: the command, the slug of the refusal, and what it said."""

    at: Annotated[str, datetime]
    by: str | None
    partner_id: str | None
    command: str
    slug: str | None
    detail: str | None


class Day(TypedDict):
    day: str
    count: int
    kept: list[Attempt]


class AttemptsDocument(TypedDict):
    registration_id: str
    days: list[Day]


class DayCount(TypedDict):
    """How many were refused on a UTC day, those that are not kept among them."""

    day: str
    count: int


class ShownAttempts(TypedDict):
    """The attempts that are kept; `days` counts all, for the vendor."""

    items: list[Attempt]
    next_cursor: str | None
    days: NotRequired[list[DayCount]]


def _deal_of(seen: Seen) -> str | None:
    """The deal that a refused command was about."""
    record: CommandRecorded = seen.event
    if record.outcome != REFUSED:
        return None
    found = msgspec.json.decode(record.command).get("registration_id")
    return found if isinstance(found, str) else None


def evolve(document: AttemptsDocument | None, seen: Seen) -> AttemptsDocument:
    day = iso(seen.recorded_at)[: len("2026-03-02")]
    days = document["days"] if document else []
    today = next((one for one in days if one["day"] == day), Day(day=day, count=0, kept=[]))
    kept = today["kept"] if today["count"] >= KEPT_A_DAY else [*today["kept"], _attempt(seen)]
    others = [one for one in days if one["day"] != day]
    new = Day(day=day, count=today["count"] + 1, kept=kept)
    return {"registration_id": _deal_of(seen) or "", "days": [*others, new][-DAYS_MAX:]}


def _attempt(seen: Seen) -> Attempt:
    record: CommandRecorded = seen.event
    return {
        "at": iso(seen.recorded_at),
        "by": seen.actor.kind if seen.actor else None,
        "partner_id": seen.actor.partner_id if seen.actor else None,
        "command": record.command_type,
        "slug": record.slug,
        "detail": record.detail,
    }


def made_by(document: dict[str, Any] | None, own: Collection[str]) -> list[dict[str, Any]]:
    """The attempts that a side may read: a partner (`own` are its ids) its own, without a count that would tell of others'.

    Without any `own`, the vendor reads all.
    """
    kept = [attempt for day in (document or {}).get("days", ()) for attempt in day["kept"]]
    return [attempt for attempt in kept if not own or attempt["partner_id"] in own]


def counted(document: dict[str, Any] | None) -> list[DayCount]:
    """How many there were on each day, the first day first."""
    return [{"day": one["day"], "count": one["count"]} for one in (document or {}).get("days", ())]


ATTEMPTS = Projection(name="attempts", version=1, keys={CommandRecorded: _deal_of}, evolve=evolve)
