"""What the adapters share about a batch of commits: who loses a race, and what becomes of those who win."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eventsourcing.persistence import StoredEvent

from chassis.store.mapping import at_positions
from chassis.store.port import Commit, Conflict, Recorded, StoreSettings
from chassis.store.ring import Head, Ring

Verdict = list[int] | Conflict
"""The positions of a commit's events, or why none of them is recorded."""


def conflicts_of(batch: list[list[StoredEvent]], is_taken: Callable[[str, int], bool]) -> list[Conflict | None]:
    """For each commit the conflict that keeps it out: a version taken in the store, or by a commit before it."""
    given: set[tuple[str, int]] = set()
    conflicts: list[Conflict | None] = []
    for events in batch:
        wanted = [(str(event.originator_id), event.originator_version) for event in events]
        lost = next((key for key in wanted if key in given or wanted.count(key) > 1 or is_taken(*key)), None)
        conflicts.append(Conflict(lost[0]) if lost else None)
        if lost is None:
            given.update(wanted)
    return conflicts


class Append(NamedTuple):
    """One commit on its way: what it holds, and its events in the form the recorders take."""

    commit: Commit
    events: list[StoredEvent]


def recorded(append: Append, verdict: Verdict) -> list[Recorded] | Conflict:
    """The commit's events with their positions, or its conflict."""
    return verdict if isinstance(verdict, Conflict) else at_positions(append.commit, append.events, verdict)


def publish(ring: Ring, head: Head, results: Sequence[Any]) -> None:
    """Puts what a batch recorded into the ring and wakes the followers; other writes have nothing to publish."""
    events = [event for result in results if isinstance(result, list) for event in result]
    if events:
        ring.add(events)
        head.rise(events[-1].position)


def check_page(limit: int, settings: StoreSettings) -> None:
    """Raises ValueError for a page of the feed beyond the limit."""
    if limit > settings.feed_max_events:
        raise ValueError(f"a page of the feed has at most {settings.feed_max_events} events")
