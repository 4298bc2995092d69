"""How long the vendor takes to answer a deal, for everybody to see: counted by month and by minutes of open time."""

from collections.abc import Iterable, Mapping
from typing import Any, TypedDict

from chassis.event import Seen
from chassis.projection import Projection
from services.registration.domain.deal_events import StepClosed

ANSWERED = ("approved", "returned", "rejected")
"""How an answer closes a step; what is queued, withdrawn or amended was not answered."""
BUCKET_MINUTES = 5
MINUTES_MAX = 60 * 480
"""What takes longer is counted with what takes sixty business days."""
SHARE = "0.01"


class MonthDocument(TypedDict):
    """`answers` counts the answers of a month by their open time, in minutes rounded up to five."""

    month: str
    answers: dict[str, int]


class Attainment(TypedDict):
    """Answers within the aim of the rules, and within how many open minutes half and nine tenths of them came."""

    from_month: str
    answered: int
    in_time: int
    in_time_percent: str | None
    target_minutes: int
    p50_minutes: int | None
    p90_minutes: int | None


def _month(seen: Seen) -> str | None:
    happened: StepClosed = seen.event
    return happened.closed_at.strftime("%Y-%m") if happened.outcome in ANSWERED else None


def evolve(document: MonthDocument | None, seen: Seen) -> MonthDocument:
    happened: StepClosed = seen.event
    before = document or MonthDocument(month=happened.closed_at.strftime("%Y-%m"), answers={})
    minutes = str(_rounded(happened.used_seconds))
    return {**before, "answers": {**before["answers"], minutes: before["answers"].get(minutes, 0) + 1}}


def _rounded(used_seconds: int) -> int:
    buckets = -(-used_seconds // (60 * BUCKET_MINUTES))
    return min(buckets * BUCKET_MINUTES, MINUTES_MAX)


def attainment(months: Iterable[Mapping[str, Any]], target_minutes: int) -> dict[str, Any]:
    """All answers of these months, those within the aim, and how long half and nine tenths of them took at most."""
    counts: dict[int, int] = {}
    for month in months:
        for minutes, count in month["answers"].items():
            counts[int(minutes)] = counts.get(int(minutes), 0) + count
    answered = sum(counts.values())
    in_time = sum(count for minutes, count in counts.items() if minutes <= target_minutes)
    return {
        "answered": answered,
        "in_time": in_time,
        "in_time_percent": f"{100 * in_time / answered:.2f}" if answered else None,
        "target_minutes": target_minutes,
        "p50_minutes": _within(counts, answered, 50),
        "p90_minutes": _within(counts, answered, 90),
    }


def _within(counts: Mapping[int, int], answered: int, percent: int) -> int | None:
    """The minutes within which so many percent of the answers came."""
    met = 0
    for minutes in sorted(counts):
        met += counts[minutes]
        if met * 100 >= percent * answered:
            return minutes
    return None


REVIEW_TIMES = Projection(name="review_times", version=1, keys={StepClosed: _month}, evolve=evolve, indexes=("month",))
