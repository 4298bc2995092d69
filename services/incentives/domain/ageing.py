"""How much of a refund still counts after some days: a share that falls with age, down to nothing."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from itertools import pairwise

from chassis.event import frozen

AGES_MAX = 50
HUNDRED = Decimal(100)
ALL, NOTHING = Decimal(1), Decimal(0)
AGEING = ("refund", "churn", "downgrade")
"""The reasons that grow old: every other takes back whenever it comes."""


@frozen
class Ageing:
    """Up to this day after it was earned, this percent of a reversal counts. After the last day nothing does."""

    until_day: int
    percent: Decimal


def ageing_share(
    reason_code: str, earned_on: date, occurred_on: date, ageing: Sequence[Ageing], days: int | None
) -> Decimal:
    """The share of a reversal that counts; where no ageing is named, all of it up to `days` (None: for ever)."""
    age = (occurred_on - earned_on).days
    if reason_code not in AGEING:
        return ALL
    if ageing:
        return next((step.percent / HUNDRED for step in ageing if age <= step.until_day), NOTHING)
    return NOTHING if days is not None and age > days else ALL


def ageing_faults(ageing: Sequence[Ageing]) -> list[str]:
    """What is wrong with an ageing, in sentences; nothing for a sound one."""
    if len(ageing) > AGES_MAX or any(not NOTHING <= step.percent <= HUNDRED for step in ageing):
        return [f"an ageing has at most {AGES_MAX} steps of 0 to 100 percent"]
    falls = all(a.until_day < b.until_day and a.percent >= b.percent for a, b in pairwise(ageing))
    return [] if falls else ["each step of an ageing is later and not more than the one before"]
