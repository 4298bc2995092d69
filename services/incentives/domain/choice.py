"""Which plans pay for a sale: of each kind, component and pool, the plan in force with the highest priority."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any

from chassis.event import LEFT_OUT, LeftOut, canonical_json
from chassis.rulebook import Rulebook, Version
from services.incentives.domain.plan import PLAN, SPIFF, Plan, end_of, window_of
from services.incentives.domain.rating import PLANS
from services.incentives.domain.recognition_rules import Achievement

READ_MAX = 1_000


@dataclass(frozen=True)
class Chosen:
    """One published version of a plan, read."""

    version: Version
    plan: Plan

    @property
    def plan_id(self) -> str:
        return self.version.rulebook_id


def plans_for(
    pool: str,
    credited_on: date,
    books: Sequence[Rulebook],
    achievement: Achievement | LeftOut = LEFT_OUT,
    *,
    of_kinds: bool = True,
    began_inside: bool = True,
) -> tuple[Chosen, ...]:
    """The plans that pay for a pool's credit on a sale or an achievement of that day: one of each kind and component.

    SPIFFs all do. Not `of_kinds`: one a component whatever it is, as it was once decided.
    """
    known = (governing_version(book, credited_on, began_inside=began_inside) for book in books)
    governing = [chosen for chosen in known if chosen]
    paying = (chosen for chosen in governing if chosen.plan.pays_for(achievement))
    mine = sorted((c for c in paying if c.plan.pool == pool), key=lambda c: (-c.plan.priority, c.plan_id))
    best: dict[tuple[str, str], Chosen] = {}
    for chosen in mine:
        best.setdefault(_rival(chosen, of_kinds=of_kinds), chosen)
    return tuple(best[rival] for rival in sorted(best))


def _rival(chosen: Chosen, *, of_kinds: bool) -> tuple[str, str]:
    """What only one plan pays for."""
    if chosen.plan.kind == SPIFF:
        return f"{SPIFF}-{chosen.plan_id}", ""
    return paid_for(chosen.plan, of_kinds=of_kinds)


def paid_for(plan: Plan, *, of_kinds: bool = True) -> tuple[str, str]:
    """What of a sale a plan pays for that no other one may: its component, of its kind."""
    return plan.component, plan.kind if of_kinds else ""


def overlapping(found: Sequence[Chosen], pays: Callable[[Chosen], Decimal]) -> tuple[Chosen, ...]:
    """The plans that pay beside each other: an exclusive SPIFF alone of all SPIFFs, of those that say best_of the best."""
    spiffs = [chosen for chosen in found if chosen.plan.kind == SPIFF]
    exclusive = [chosen for chosen in spiffs if chosen.plan.overlap == "exclusive" and pays(chosen)]
    best_of = [chosen for chosen in spiffs if chosen.plan.overlap == "best_of"]
    if exclusive:
        first = min(exclusive, key=lambda chosen: (-chosen.plan.priority, chosen.plan_id))
        dropped = [chosen for chosen in spiffs if chosen is not first]
    else:
        best = max(best_of, key=pays, default=None)
        dropped = [chosen for chosen in best_of if chosen is not best]
    return tuple(chosen for chosen in found if chosen not in dropped)


def alone(mine: Plan, paid: Sequence[Plan]) -> bool:
    """Whether a SPIFF may not pay beside those that have paid for the same: one of them pays alone."""
    ways = [plan.overlap for plan in (*paid, mine)]
    return bool(paid) and ("exclusive" in ways or (mine.overlap == "best_of" and ways.count("best_of") > 1))


def governing_version(book: Rulebook, credited_on: date, *, began_inside: bool = True) -> Chosen | None:
    """The version of a plan that rates a sale of that day: the one in force; in a window, the one when it opened.

    A plan that began inside a window governs it with its first version there, so that one window is never rated by two.
    Not `began_inside`: with its first version of all, though that had ended before, as it was once decided.
    """
    now = _read(book.in_force(end_of(credited_on)))
    if now is None:
        return None
    window = window_of(now.plan.accumulate, credited_on)
    if window is None:
        return now
    opened = end_of(window[1])
    opening = _read(book.in_force(opened) or _first_live(book, opened if began_inside else None))
    return opening if opening and opening.plan.accumulate == now.plan.accumulate else now


def version_of(books: Sequence[Rulebook], plan_id: str, number: int) -> Chosen | None:
    """One exact version of a plan among the books."""
    found = (v for book in books for v in book.versions if v.rulebook_id == plan_id and v.version == number)
    return _read(next(found, None))


def _read(version: Version | None) -> Chosen | None:
    if version is None or version.kind != PLAN:
        return None
    return Chosen(version, read_plan(version.body))


def read_plan(body: Mapping[str, Any]) -> Plan:
    """The typed form of a plan's body."""
    return _plan(canonical_json(body))


@lru_cache(maxsize=READ_MAX)
def _plan(body: bytes) -> Plan:
    """A body is read once: versions never change, and reading them is most of a decision's time."""
    return PLANS.read(json.loads(body))


def _first_live(book: Rulebook, after: datetime | None) -> Version | None:
    live = (v for v in book.versions if v.mode == "live" and (after is None or v.effective_from > after))
    return min(live, key=lambda v: v.effective_from, default=None)
