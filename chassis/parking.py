"""Messages given up on, visibly and reversibly: one table in the consumer's own database.

A parked message blocks its subject in its group: what comes later waits behind it, in order. `replay` lets the subject
go again from its first unfinished message; one message can be given up for good. Who may order that, and that it takes
two persons, is `chassis.parked`.
"""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from chassis.clock import Clock
from chassis.decider import NotFound
from chassis.event import iso
from chassis.positions import Desk
from chassis.transport.headers import message_of, written
from chassis.transport.port import Message

PARKED, WAITING, REPLAY, DONE, DISCARDED = "parked", "waiting", "replay", "done", "discarded"
FINISHED = frozenset({DONE, DISCARDED})
REASON_CHARACTERS_MAX = 2_000
LIST_MAX = 200
SUBJECTS_MAX = 10_000


class ParkingFull(Exception):
    """More subjects are parked in this partition than the limit: it stands still until some are released."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one message stands for one group."""

    group: str
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, kw_only=True)
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

    async def count(self, group: str | None = None) -> int: ...


TABLES = (
    """CREATE TABLE IF NOT EXISTS parked (
        "group" TEXT NOT NULL, topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL,
        subject TEXT NOT NULL, state TEXT NOT NULL, reason TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
        parked_at TEXT NOT NULL, discard_proposed_by TEXT, discarded_by TEXT,
        PRIMARY KEY ("group", topic, partition, "offset"))""",
    """CREATE INDEX IF NOT EXISTS parked_open ON parked ("group", topic, subject, "offset")
        WHERE state IN ('parked', 'waiting', 'replay')""",
)
OPEN = "state IN ('parked', 'waiting', 'replay')"
RELEASED = f"""state = '{PARKED}' AND (? IS NULL OR "group" = ?) AND (? IS NULL OR subject = ?)"""
NAMES = "(instr(subject, ?) OR instr(headers, ?) OR instr(body, CAST(? AS BLOB)))"
AT = '"group" = ? AND topic = ? AND partition = ? AND "offset" = ?'
COLUMNS = (
    '"group", topic, partition, "offset", subject, state, reason, headers, body, parked_at,'
    " discard_proposed_by, discarded_by"
)
HELD_SUBJECTS = f"""SELECT DISTINCT subject FROM parked WHERE "group" = ? AND topic = ? AND {OPEN}
    AND subject IN (SELECT value FROM json_each(?))"""  # noqa: S608 - constants only
HELD_PLACES = """SELECT p.partition, p."offset" FROM json_each(?) AS place CROSS JOIN parked AS p
    ON p."group" = ? AND p.topic = ? AND p.partition = place.value ->> 0 AND p."offset" = place.value ->> 1"""
ANY = 'SELECT 1 FROM parked WHERE "group" = ? AND topic = ? LIMIT 1'
PARK = f"INSERT OR IGNORE INTO parked ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)"  # noqa: S608
BLOCKED = f"""SELECT 1 FROM parked AS q WHERE q."group" = p."group" AND q.topic = p.topic
    AND q.subject = p.subject AND q.state = '{PARKED}'"""  # noqa: S608 - constants only
RUNNABLE = f"""SELECT {COLUMNS} FROM parked AS p WHERE "group" = ? AND topic = ? AND {OPEN}
    AND NOT EXISTS ({BLOCKED}) ORDER BY subject, "offset" LIMIT ?"""  # noqa: S608 - constants only
SUBJECTS = f"""SELECT count(DISTINCT subject) FROM parked WHERE "group" = ? AND topic = ? AND partition = ?
    AND {OPEN}"""  # noqa: S608 - constants only


class SqliteParking:
    """The parked messages of one service in a `Desk`."""

    def __init__(self, desk: Desk, clock: Clock, *, subjects_max: int = SUBJECTS_MAX) -> None:
        self.desk, self._clock, self._subjects_max = desk, clock, subjects_max

    async def migrate(self) -> None:
        """Makes the table; again is harmless."""
        await self.desk.write(lambda db: [db.execute(statement) for statement in TABLES])

    async def held(self, group: str, messages: Sequence[Message]) -> Held:
        if not messages:
            return Held()
        return self.desk.look_up(lambda db: _held(db, group, messages))

    async def park(self, group: str, messages: Sequence[tuple[Message, str]], reason: str) -> None:
        now = self._clock.now()
        rows = [_row(group, message, state, reason, now) for message, state in messages]
        await self.desk.write(lambda db: self._park(db, rows))

    def _park(self, db: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> None:
        (standing,) = db.execute(SUBJECTS, rows[0][:3]).fetchone()
        if standing >= self._subjects_max and any(row[5] == PARKED for row in rows):
            raise ParkingFull(f"{standing} subjects are parked in partition {rows[0][2]} of {rows[0][1]}")
        db.executemany(PARK, rows)

    async def runnable(self, group: str, topic: str, limit: int) -> list[ParkedRow]:
        return self.desk.look_up(lambda db: [_parked(row) for row in db.execute(RUNNABLE, (group, topic, limit))])

    async def settle(self, place: Place, state: str, reason: str = "") -> None:
        change = f"UPDATE parked SET state = ?, reason = coalesce(nullif(?, ''), reason) WHERE {AT} AND {OPEN}"  # noqa: S608
        await self.desk.write(
            lambda db: db.execute(change, (state, reason[:REASON_CHARACTERS_MAX], *_key(place))).rowcount
        )

    async def count(self, group: str | None = None) -> int:
        """How many messages stand unfinished."""
        query = f'SELECT count(*) FROM parked WHERE {OPEN} AND (? IS NULL OR "group" = ?)'  # noqa: S608
        return self.desk.look_up(lambda db: int(db.execute(query, (group, group)).fetchone()[0]))

    async def listed(
        self, *, everything: bool = False, about: str | None = None, limit: int = LIST_MAX
    ) -> list[ParkedRow]:
        """The unfinished messages in the order of their subjects; with `everything`, the finished too.

        With `about`, those alone whose subject, headers or body name this id.
        """
        where = f"{'1' if everything else OPEN} AND (? IS NULL OR {NAMES})"
        query = f'SELECT {COLUMNS} FROM parked WHERE {where} ORDER BY "group", topic, subject, "offset" LIMIT ?'  # noqa: S608
        values = (about, about, about, about, limit)
        return self.desk.look_up(lambda db: [_parked(row) for row in db.execute(query, values)])

    async def find(self, place: Place) -> ParkedRow:
        """The message at a place. Raises NotFound."""
        row = self.desk.look_up(
            lambda db: db.execute(f"SELECT {COLUMNS} FROM parked WHERE {AT}", _key(place)).fetchone()  # noqa: S608
        )
        if row is None:
            raise NotFound(f"nothing is parked at {place}")
        return _parked(row)

    async def replay(self, *, group: str | None = None, subject: str | None = None) -> int:
        """Lets parked messages be tried again, all of them or those of one group or subject. Answers how many."""
        change = f"UPDATE parked SET state = '{REPLAY}' WHERE {RELEASED}"  # noqa: S608 - constants only
        return await self.desk.write(lambda db: db.execute(change, (group, group, subject, subject)).rowcount)

    async def parked(self, *, group: str | None = None, subject: str | None = None) -> int:
        """How many messages `replay` would let go."""
        query = f"SELECT count(*) FROM parked WHERE {RELEASED}"  # noqa: S608 - constants only
        return self.desk.look_up(lambda db: int(db.execute(query, (group, group, subject, subject)).fetchone()[0]))

    async def note_discard(self, place: Place, proposed_by: str | None, discarded_by: str | None) -> None:
        """Writes down who wants to give a message up; with a second person it is given up.

        What waited behind it goes on by itself.
        """
        change = f"""UPDATE parked SET discard_proposed_by = ?, discarded_by = ?,
            state = CASE WHEN ? IS NULL THEN state ELSE '{DISCARDED}' END WHERE {AT} AND {OPEN}"""  # noqa: S608
        values = (proposed_by, discarded_by, discarded_by, *_key(place))
        await self.desk.write(lambda db: db.execute(change, values).rowcount)


def _key(place: Place) -> tuple[str, str, int, int]:
    return place.group, place.topic, place.partition, place.offset


def _held(db: sqlite3.Connection, group: str, messages: Sequence[Message]) -> Held:
    topic = messages[0].topic
    if db.execute(ANY, (group, topic)).fetchone() is None:
        return Held()
    subjects = json.dumps(sorted({message.subject for message in messages}))
    places = json.dumps([(message.partition, message.offset) for message in messages])
    return Held(
        subjects=frozenset(row[0] for row in db.execute(HELD_SUBJECTS, (group, topic, subjects))),
        places=frozenset((row[0], row[1]) for row in db.execute(HELD_PLACES, (places, group, topic))),
    )


def _row(group: str, message: Message, state: str, reason: str, now: datetime) -> tuple[Any, ...]:
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


def _parked(row: Iterable[Any]) -> ParkedRow:
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
