"""Why read models stand, remembered for the processes of the service that do not run them, and over restarts."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chassis.positions import Desk

TABLE = """CREATE TABLE IF NOT EXISTS stops (
    model TEXT PRIMARY KEY, reason TEXT NOT NULL, lane TEXT NOT NULL, left_at TEXT NOT NULL
) WITHOUT ROWID"""
NOTE = "INSERT OR REPLACE INTO stops (model, reason, lane, left_at) VALUES (?, ?, ?, ?)"
ALL = "SELECT model, reason, lane, left_at FROM stops"


@dataclass(frozen=True, kw_only=True)
class Stop:
    """A bug that one version of a model met in a lane, and where it left the tenants for whom it had something to do.

    It is over as soon as the model has gone on from there: nobody has to take it back.
    """

    model: str
    reason: str
    lane: str
    left_at: Mapping[str, int]


class Stops:
    """The last stop of each version of a model, in a `Desk`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def migrate(self) -> None:
        """Makes the table; again is harmless."""
        await self._desk.write(lambda db: db.execute(TABLE))

    async def note(self, stop: Stop) -> None:
        """Remembers it in place of an earlier one of the same version; it is durable when this returns."""
        row = (stop.model, stop.reason, stop.lane, json.dumps(stop.left_at))
        await self._desk.write(lambda db: db.execute(NOTE, row))

    def noted(self) -> dict[str, Stop]:
        """Every stop by its model, whether it is over or not."""
        return {stop.model: stop for stop in map(_stop, self._desk.look_up(_rows))}


def _rows(db: sqlite3.Connection) -> list[Any]:
    return db.execute(ALL).fetchall()


def _stop(row: tuple[str, str, str, str]) -> Stop:
    model, reason, lane, left_at = row
    return Stop(model=model, reason=reason, lane=lane, left_at=json.loads(left_at))
