"""A small store of boxes for the tests of the witness and of verification: its events, commands and decisions."""

import sqlite3
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chassis.clock import FixedClock
from chassis.decider import Decider, Refused
from chassis.desk.sqlite import SqliteDesk
from chassis.event import Actor, command, event
from chassis.execution import Executor, Handles, Order
from chassis.note import NoteSigner
from chassis.store.sqlite import SqliteEventStore
from chassis.witness import Witness
from chassis.witness_key import held

AT = datetime(2026, 3, 3, 10, tzinfo=UTC)
ANNA = Actor(kind="vendor", subject="anna")


@event("trust_test.BoxFilled.v1")
class BoxFilled:
    box_id: str
    count: int


@command("trust_test.FillBox.v1")
class FillBox:
    box_id: str
    count: int


@command("trust_test.MoveAll.v1")
class MoveAll:
    source_id: str
    target_id: str


class BoxFull(Refused):
    """A box holds ten: take another one."""

    slug = "box-full"


Boxes = Decider("box", 0, lambda held, happened: held + happened.count)


def fill(wish: FillBox, held: int):
    if held + wish.count > 10:
        raise BoxFull(held=held)
    return [BoxFilled(box_id=wish.box_id, count=wish.count)] if wish.count else []


def move(wish: MoveAll, source: int, target: int):
    taken, given = BoxFilled(box_id=wish.source_id, count=-source), BoxFilled(box_id=wish.target_id, count=source)
    return [taken], [given]


FILL = Handles(FillBox, fill, lambda c: (Boxes.at(c.box_id),), answer=lambda c, held: {"held": held})
MOVE = Handles(MoveAll, move, lambda c: (Boxes.at(c.source_id), Boxes.at(c.target_id)))
HANDLES = (FILL, MOVE)


@asynccontextmanager
async def opened(path: Path):
    """The store in that file, freshly opened."""
    store = SqliteEventStore(path)
    await store.migrate()
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class Work:
    """Commands on boxes, one after the other, each with an id of its own."""

    def __init__(self, store: SqliteEventStore):
        self._executor = Executor(store, HANDLES, FixedClock(AT))
        self._done = 0

    async def do(self, wish: Any):
        self._done += 1
        order = Order(command_id=f"c-{self._done}", tenant="acme", actor=ANNA, correlation_id="c")
        return await self._executor.run(order, wish)

    async def fill(self, *counts: int, box_id: str = "a"):
        for count in counts:
            await self.do(FillBox(box_id=box_id, count=count))


@asynccontextmanager
async def witnessed(directory: Path):
    """A store with its witness beside it."""
    async with opened(directory / "store.db") as store, beside(store, directory) as witness:
        yield store, witness


@asynccontextmanager
async def beside(store: SqliteEventStore, directory: Path):
    """A witness of that store, with its leaves and its key in that directory."""
    desk = SqliteDesk(directory, "trust", FixedClock(AT))
    leaves = desk.leaves(store.epoch)
    signer = NoteSigner.in_file(leaves.origin, directory / "trust-witness.key")
    yield Witness(store, leaves, held(signer), FixedClock(AT))
    await desk.close()


def change(path: Path, statement: str, *values: object):
    """Somebody's hand in a database."""
    database = sqlite3.connect(path)
    changed = database.execute(statement, values).rowcount
    database.commit()
    database.close()
    assert changed > 0
