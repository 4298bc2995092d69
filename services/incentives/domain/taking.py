"""How reversals eat into a win: each takes what it asks for while there is something left, never more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from contracts.values import Money, largest_remainder, minor_unit, round_half_up
from services.incentives.domain.ageing import Ageing, ageing_share
from services.incentives.domain.rating import Sold

NOTHING = Fraction(0)


@dataclass(frozen=True, kw_only=True)
class Part:
    """What a reversal asks of one sold line."""

    line_id: str
    amount: Money


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A reversal: of the named lines, or without any of the whole sale.

    In months it asks `unearned_months` of `term_months` of each line, unrounded, whatever its amount says.
    """

    reversal_id: str
    amount: Money
    parts: tuple[Part, ...]
    reason_code: str
    occurred_on: date
    unearned_months: int | None = None
    term_months: int | None = None

    def share(self, earned_on: date, refund_days: int | None, ageing: Sequence[Ageing] = ()) -> Fraction:
        """The part of it that counts at its age."""
        return Fraction(ageing_share(self.reason_code, earned_on, self.occurred_on, ageing, refund_days))

    @property
    def months(self) -> Fraction | None:
        """The part of a term that is asked back; None for an amount."""
        if self.unearned_months is None or not self.term_months:
            return None
        return Fraction(self.unearned_months, self.term_months)


@dataclass(frozen=True)
class Taken:
    """What one reversal takes of each sold line, and what it asked beyond what was left."""

    asked: Asked
    by_line: Mapping[str, Fraction]
    excess: Money

    def of(self, lines: Sequence[str]) -> Fraction:
        """What it takes of some of the sold lines."""
        return sum((self.by_line.get(line, NOTHING) for line in lines), NOTHING)


def taken_by(sold: Sequence[Sold], reversals: Sequence[Asked]) -> tuple[Taken, ...]:
    """What each reversal takes: those that name lines first, then the others over what is left, in order of their days.

    The answer does not depend on the order in which the reversals became known.
    """
    whole = {line.line_id: Fraction(line.amount.amount) for line in sold}
    left = dict(whole)
    found = []
    for asked in sorted(reversals, key=lambda r: (not r.parts, r.occurred_on, r.reversal_id)):
        by_line = _taken(asked, whole, left)
        left = {line_id: amount - by_line.get(line_id, NOTHING) for line_id, amount in left.items()}
        found.append(Taken(asked, by_line, _excess(asked, by_line)))
    return tuple(found)


def _taken(asked: Asked, whole: Mapping[str, Fraction], left: Mapping[str, Fraction]) -> dict[str, Fraction]:
    if asked.months is not None:
        named = {part.line_id for part in asked.parts} or set(whole)
        return {line: min(amount * asked.months, left[line]) for line, amount in whole.items() if line in named}
    return _named(asked, left) if asked.parts else _spread(asked, left)


def _named(asked: Asked, left: Mapping[str, Fraction]) -> dict[str, Fraction]:
    taken: dict[str, Fraction] = {}
    for part in asked.parts:
        rest = left.get(part.line_id, NOTHING) - taken.get(part.line_id, NOTHING)
        taken[part.line_id] = taken.get(part.line_id, NOTHING) + min(Fraction(part.amount.amount), rest)
    return taken


def _spread(asked: Asked, left: Mapping[str, Fraction]) -> dict[str, Fraction]:
    """Over the remaining bases by largest remainder; all of them where at least that much is asked."""
    rest, wanted = sum(left.values(), NOTHING), Fraction(asked.amount.amount)
    if rest <= 0 or wanted >= rest:
        return dict(left) if rest > 0 else {}
    weights = [decimal_of(amount) for amount in left.values()]
    shares = largest_remainder(asked.amount.amount, weights, minor_unit(asked.amount.currency))
    return {line: Fraction(share) for line, share in zip(left, shares, strict=True)}


def _excess(asked: Asked, by_line: Mapping[str, Fraction]) -> Money:
    """What was asked beyond what there was: kept, so that a person can see it."""
    if asked.months is not None:
        return round_half_up(Decimal(0), asked.amount.currency)
    over = Fraction(asked.amount.amount) - sum(by_line.values(), NOTHING)
    return round_half_up(decimal_of(max(over, NOTHING)), asked.amount.currency)


def decimal_of(exact: Fraction) -> Decimal:
    """The fraction as a decimal number, to 28 digits where it does not end."""
    return Decimal(exact.numerator) / Decimal(exact.denominator)


def counted(
    taken: Sequence[Taken],
    lines: Sequence[str],
    earned_on: date,
    refund_days: int | None,
    ageing: Sequence[Ageing] = (),
) -> Fraction:
    """Σ r p over the reversals, for the sold lines that a payout was earned on."""
    return sum((t.asked.share(earned_on, refund_days, ageing) * t.of(lines) for t in taken), NOTHING)
