"""Which plans pay for a sale: of each component and pool, the plan in force with the highest priority."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from chassis.rulebook import Rulebook, Version
from services.incentives.domain.plan import PLAN, Plan, end_of, window_of
from services.incentives.domain.rating import PLANS


@dataclass(frozen=True)
class Chosen:
    """One published version of a plan, read."""

    version: Version
    plan: Plan

    @property
    def plan_id(self) -> str:
        return self.version.rulebook_id


def plans_for(pool: str, credited_on: date, books: Sequence[Rulebook]) -> tuple[Chosen, ...]:
    """The plans that pay for a pool's credit on a sale of that day, one a component."""
    governing = [chosen for book in books if (chosen := governing_version(book, credited_on))]
    mine = sorted((c for c in governing if c.plan.pool == pool), key=lambda c: (-c.plan.priority, c.plan_id))
    best: dict[str, Chosen] = {}
    for chosen in mine:
        best.setdefault(chosen.plan.component, chosen)
    return tuple(best[component] for component in sorted(best))


def governing_version(book: Rulebook, credited_on: date) -> Chosen | None:
    """The version of a plan that rates a sale of that day: the one in force; in a window, the one when it opened.

    A plan that began inside a window governs it with its first version, so that one window is never rated by two.
    """
    now = _read(book.in_force(end_of(credited_on)))
    if now is None:
        return None
    window = window_of(now.plan.accumulate, credited_on)
    opening = _read(book.in_force(end_of(window[1])) or _first_live(book)) if window else None
    return opening if opening and opening.plan.accumulate == now.plan.accumulate else now


def version_of(books: Sequence[Rulebook], plan_id: str, number: int) -> Chosen | None:
    """One exact version of a plan among the books."""
    found = (v for book in books for v in book.versions if v.rulebook_id == plan_id and v.version == number)
    return _read(next(found, None))


def _read(version: Version | None) -> Chosen | None:
    if version is None or version.kind != PLAN:
        return None
    return Chosen(version, PLANS.read(version.body))


def _first_live(book: Rulebook) -> Version | None:
    return min((v for v in book.versions if v.mode == "live"), key=lambda v: v.effective_from, default=None)
