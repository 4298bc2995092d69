"""How reversals eat into a win: each takes what it asks for while there is something left, never more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from contracts.values import Money, largest_remainder, minor_unit
from services.incentives.domain.rating import Sold

NOTHING = Decimal(0)
AGEING = "refund"
"""The one reason that grows old: every other takes back whenever it comes."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a reversal asks of one sold line."""

    line_id: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A reversal: of the named lines, or without any of the whole sale."""

    reversal_id: str
    amount: Money
    parts: tuple[Part, ...]
    reason_code: str
    occurred_on: date

    def share(self, earned_on: date, refund_days: int | None) -> Decimal:
        """The part of it that counts: a refund that comes too late counts nothing."""
        late = refund_days is not None and (self.occurred_on - earned_on).days > refund_days
        return NOTHING if late and self.reason_code == AGEING else Decimal(1)


@dataclass(frozen=True)
class Taken:
    """What one reversal takes of each sold line."""

    asked: Asked
    by_line: Mapping[str, Decimal]

    def of(self, lines: Sequence[str]) -> Decimal:
        """What it takes of some of the sold lines."""
        return sum((self.by_line.get(line, NOTHING) for line in lines), NOTHING)


def taken_by(sold: Sequence[Sold], reversals: Sequence[Asked]) -> tuple[Taken, ...]:
    """What each reversal takes: those that name lines first, then the others over what is left, in order of their days.

    The answer does not depend on the order in which the reversals became known.
    """
    left = {line.line_id: line.amount.amount for line in sold}
    found = []
    for asked in sorted(reversals, key=lambda r: (not r.parts, r.occurred_on, r.reversal_id)):
        by_line = _named(asked, left) if asked.parts else _spread(asked, left)
        left = {line_id: amount - by_line.get(line_id, NOTHING) for line_id, amount in left.items()}
        found.append(Taken(asked, by_line))
    return tuple(found)


def _named(asked: Asked, left: Mapping[str, Decimal]) -> dict[str, Decimal]:
    taken: dict[str, Decimal] = {}
    for part in asked.parts:
        rest = left.get(part.line_id, NOTHING) - taken.get(part.line_id, NOTHING)
        taken[part.line_id] = taken.get(part.line_id, NOTHING) + min(part.amount.amount, rest)
    return taken


def _spread(asked: Asked, left: Mapping[str, Decimal]) -> dict[str, Decimal]:
    amount = min(asked.amount.amount, sum(left.values(), NOTHING))
    if amount <= 0:
        return {}
    shares = largest_remainder(amount, list(left.values()), minor_unit(asked.amount.currency))
    return dict(zip(left, shares, strict=True))


def counted(taken: Sequence[Taken], lines: Sequence[str], earned_on: date, refund_days: int | None) -> Decimal:
    """Σ r p over the reversals, for the sold lines that a payout was earned on."""
    return sum((t.asked.share(earned_on, refund_days) * t.of(lines) for t in taken), NOTHING)
