"""A backtest: what a candidate plan would have paid for sales that really happened, beside what another one pays.

Beside it stands another version of the plan, or what was really posted. Nothing is posted by it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from chassis.event import canonical_json, sha256
from services.incentives.domain.rating import tidy
from services.incentives.domain.sale import Sale
from services.incentives.domain.side import NOTHING, Posted, Scope, Side, Worth

CHANGED_MAX = 200
Row = dict[str, Any]


@dataclass
class Backtest:
    """Two plans over the same sales, one sale after the other. Without an old one, the new one beside what was posted.

    Where `only` names partners, their lines alone count.
    Where a budget decides, sales are `waiting` to be compared until all of them are in.
    """

    old: Side | None
    new: Side
    since: date
    until: date
    only: frozenset[str] = frozenset()
    actual: Counter[str] = field(default_factory=Counter)
    sales: int = 0
    changed: list[Row] = field(default_factory=list)
    changed_count: int = 0
    waiting: list[tuple[str, list[Worth], list[Worth]]] = field(default_factory=list)

    @property
    def sides(self) -> list[Side]:
        return [side for side in (self.old, self.new) if side]

    @property
    def looks_at_posted(self) -> bool:
        """Whether it has to be told what was really posted."""
        return self.old is None or any(side.pot for side in self.sides)

    def take(self, opportunity_id: str, sale: Sale, posted: Sequence[Posted] = ()) -> None:
        """Adds a sale to both sides, with the lines that were posted for it."""
        self.sales += 1
        for one in posted:
            self.paid(one)
        used = [one.rate for one in posted if one.rate]
        new = self.new.take(opportunity_id, sale, self.scope, used)
        old = [Worth(one.partner_id, one.amount, one.step) for one in posted]
        if self.old:
            old = self.old.take(opportunity_id, sale, self.scope, used)
        if any(worth.awards for worth in (*old, *new)):
            self.waiting.append((opportunity_id, old, new))
        elif row := self._compared(opportunity_id, old, new):
            self.changed_count += 1
            self.changed = [*self.changed, row] if len(self.changed) < CHANGED_MAX else self.changed

    @property
    def scope(self) -> Scope:
        """Which lines count."""
        return Scope(since=self.since, until=self.until, only=self.only)

    def paid(self, posted: Posted) -> None:
        """What was really posted, of a sale or of a window."""
        self.actual[posted.partner_id] += posted.amount  # type: ignore[assignment]
        for side in self.sides:
            side.returns(posted)

    def _compared(self, opportunity_id: str, old: list[Worth], new: list[Worth]) -> Row | None:
        """A sale whose lines differ; what was posted differs by its amounts alone, and not where windows decide."""
        if self.old is None and (self.new.chosen.plan.accumulating or _sums(old) == _sums(new)):
            return None
        if [(w.partner_id, w.amount, w.step) for w in old] == [(w.partner_id, w.amount, w.step) for w in new]:
            return None
        return {"opportunity_id": opportunity_id, "old": _told(old), "new": _told(new)}

    def report(self) -> dict[str, Any]:
        """Who would have gained and lost how much. The same sales and plans give the same bytes."""
        new = self.new.total()
        old: Mapping[str, Decimal] = self.old.total() if self.old else self.actual  # type: ignore[assignment]
        rows = sorted((_row(partner_id, old, new) for partner_id in old.keys() | new.keys()), key=_by_delta)
        waited = self._waited()
        found = {
            "currency": self.new.chosen.plan.currency,
            "sales": self.sales,
            "quarantined": self.new.quarantined,
            "total": _row("", {"": sum(old.values(), NOTHING)}, {"": sum(new.values(), NOTHING)}),
            "partners": rows,
            "winners": [row["partner_id"] for row in reversed(rows) if Decimal(row["delta"]) > 0],
            "losers": [row["partner_id"] for row in rows if Decimal(row["delta"]) < 0],
            "changed": self.changed_count + len(waited),
            "lines": [*self.changed, *waited][:CHANGED_MAX],
            "budget": _budget(self.new),
        }
        return {**found, "digest": sha256(canonical_json(found))}

    def _waited(self) -> list[Row]:
        """The sales that differ once every budget has given."""
        settled = (
            (name, self.old.settled(old) if self.old else old, self.new.settled(new)) for name, old, new in self.waiting
        )
        return [row for one in settled if (row := self._compared(*one))]

    def as_json(self) -> dict[str, Any]:
        """The report, under the name that every run's report has."""
        return self.report()


def _sums(worths: Iterable[Worth]) -> dict[str, Decimal]:
    """What each partner gets of a sale, where it gets anything."""
    sums: dict[str, Decimal] = {}
    for worth in worths:
        sums[worth.partner_id] = sums.get(worth.partner_id, NOTHING) + worth.amount
    return {partner_id: amount for partner_id, amount in sums.items() if amount}


def _told(worths: Iterable[Worth]) -> list[dict[str, str]]:
    return [{"partner_id": one.partner_id, "amount": str(one.amount), "step": one.step} for one in worths]


def _budget(side: Side) -> dict[str, Any] | None:
    """What the plan's budget had in this time, what of it stands with partners, and how many awards fell short.

    Of a budget of units that is in units.
    """
    if side.pot is None:
        return None
    pairs = list(zip(side.awards, side.given, strict=True))
    used = sum((one.drawn for _, one in pairs), NOTHING)
    sums = {"had": side.budget, "used": used}
    return {
        "budget_id": side.pot.budget_id,
        **{name: str(tidy(amount) if amount else NOTHING) for name, amount in sums.items()},
        **({"units": True} if side.pot.of_units else {}),
        "short": sum(one.amount < award.amount.amount for award, one in pairs),
    }


def _row(partner_id: str, old: Mapping[str, Decimal], new: Mapping[str, Decimal]) -> dict[str, str]:
    before, after = old.get(partner_id, NOTHING), new.get(partner_id, NOTHING)
    sums = {"old": before, "new": after, "delta": after - before}
    return {
        "partner_id": partner_id,
        **{name: str(tidy(amount) if amount else NOTHING) for name, amount in sums.items()},
    }


def _by_delta(row: dict[str, str]) -> tuple[Decimal, str]:
    return Decimal(row["delta"]), row["partner_id"]
