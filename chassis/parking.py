"""Messages given up on, visibly and reversibly, kept at the consumer's own desk (`chassis.desk`).

A parked message blocks its subject in its group: what comes later waits behind it, in order. `replay` lets the subject
go again from its first unfinished message; one message can be given up for good. Who may order that, and that it takes
two persons, is `chassis.parked`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chassis.event import frozen, iso
from chassis.transport.headers import message_of, written
from chassis.transport.port import Message

PARKED, WAITING, REPLAY, DONE, DISCARDED = "parked", "waiting", "replay", "done", "discarded"
FINISHED = frozenset({DONE, DISCARDED})
REASON_CHARACTERS_MAX = 2_000
LIST_MAX = 200
COLUMNS = (
    '"group", topic, partition, "offset", subject, state, reason, headers, body, parked_at, '
    "discard_proposed_by, discarded_by"
)
"""How adapters that speak SQL keep a message, in this order: `row_of` makes all but the last two."""
SUBJECTS_MAX = 10_000


class ParkingFull(Exception):
    """More subjects are parked in this partition than the limit: it stands still until some are released."""


@frozen
class Place:
    """Where one message stands for one group."""

    group: str
    topic: str
    partition: int
    offset: int


@frozen
class ParkedRow:
    """One message that waits. State: parked (failed), waiting (behind one), replay, done or discarded."""

    place: Place
    subject: str
    state: str
    reason: str
    message: Message
    parked_at: str
    discard_proposed_by: str | None = None
    discarded_by: str | None = None


@dataclass(frozen=True)
class Held:
    """What one batch meets: subjects with unfinished rows, and its own messages that already stand in the table."""

    subjects: frozenset[str] = frozenset()
    places: frozenset[tuple[int, int]] = frozenset()


class Parking(Protocol):
    """Where consumers put what they cannot do now. Every change is durable when it returns."""

    async def held(self, group: str, messages: Sequence[Message]) -> Held: ...

    async def park(self, group: str, messages: Sequence[tuple[Message, str]], reason: str) -> None:
        """Puts messages of one subject away in order, each with its state. Raises ParkingFull."""

    async def runnable(self, group: str, topic: str, limit: int) -> list[ParkedRow]:
        """The unfinished messages of subjects that nothing blocks, in offset order within a subject."""

    async def settle(self, place: Place, state: str, reason: str = "") -> None: ...

    async def count(self, group: str | None = None) -> int:
        """How many messages stand unfinished."""

    async def listed(
        self, *, everything: bool = False, about: str | None = None, limit: int = LIST_MAX
    ) -> list[ParkedRow]:
        """The unfinished messages in the order of their subjects; with `everything`, the finished too.

        With `about`, those alone whose subject, headers or body name this id.
        """

    async def find(self, place: Place) -> ParkedRow:
        """The message at a place. Raises NotFound."""

    async def replay(self, *, group: str | None = None, subject: str | None = None) -> int:
        """Lets parked messages be tried again, all of them or those of one group or subject. Answers how many."""

    async def parked(self, *, group: str | None = None, subject: str | None = None) -> int:
        """How many messages `replay` would let go."""

    async def note_discard(self, place: Place, proposed_by: str | None, discarded_by: str | None) -> None:
        """Writes down who wants to give a message up; with a second person it is given up.

        What waited behind it goes on by itself.
        """


def row_of(group: str, message: Message, state: str, reason: str, now: datetime) -> tuple[Any, ...]:
    """A message as every adapter keeps it: the columns of a `ParkedRow` but the last two."""
    headers = json.dumps([[name, value.decode("latin-1")] for name, value in written(message)])
    return (
        group,
        message.topic,
        message.partition,
        message.offset,
        subject_of(message),
        state,
        reason[:REASON_CHARACTERS_MAX],
        headers,
        message.body,
        iso(now),
    )


def subject_of(message: Message) -> str:
    """What waits behind a message. One whose subject cannot be read stands alone."""
    return message.subject or f"?{message.partition}-{message.offset}"


def parked_row(row: Iterable[Any]) -> ParkedRow:
    """What was kept, as it is read."""
    group, topic, partition, offset, subject, state, reason, headers, body, parked_at, proposed_by, discarded_by = row
    pairs = [(name, value.encode("latin-1")) for name, value in json.loads(headers)]
    return ParkedRow(
        place=Place(group=group, topic=topic, partition=partition, offset=offset),
        subject=subject,
        state=state,
        reason=reason,
        message=message_of(pairs, body, topic=topic, partition=partition, offset=offset),
        parked_at=parked_at,
        discard_proposed_by=proposed_by,
        discarded_by=discarded_by,
    )
