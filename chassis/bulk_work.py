"""Carries bulk imports out, a row at a time, so that nobody waits for them, and goes on where a process was stopped.

Each row's command has an id of its own, made of batch, row and step: a row that was done is not done again. One process
of a service works on imports at a time; two at once would be harmless.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec

from chassis.application import Application
from chassis.away import is_away
from chassis.bulk import (
    APPLIED,
    APPLY,
    BAD,
    GOOD,
    IN_HAND,
    REFUSED,
    STAYS,
    TRY,
    UNDO,
    UNDONE,
    Asker,
    Batch,
    Batches,
    FinishBatchRows,
    FinishBatchStep,
    Piece,
    Pieces,
    Remark,
    RowResult,
    piece_id,
)
from chassis.bulk_file import Row
from chassis.decider import Problem, Refused, Stream
from chassis.event import frozen, iso, stable_id
from chassis.http import VALUE_ERROR, Caller
from chassis.read_store.port import Due
from chassis.store.leases import Lease
from chassis.supervision import Backoff, log

SIDE_BY_SIDE = 4
"""Batches that are worked on at once, a piece of each in turn."""
POLL_SECONDS = 0.25
WAVE_ROWS = 8
TRIES = 4
AHEAD = timedelta(days=1)
"""What is in hand has been since some time before this."""
IN_HAND_MODEL = "batches_in_hand"
IN_WORDS = {
    "extra-forbidden": "there is no such field: correct its name, or leave it out",
    "missing": "this is needed, and the row does not say it",
}
"""What a person reads where a library's own words are about programs."""
OF_ANOTHER_FORM = "string-pattern-mismatch", "-parsing"
"""How the codes end by which a text is not of the form that its column asks for."""

Given = tuple[Row, RowResult | None]
"""A row, and what became of it in the step before."""


@frozen
class Made:
    """What a row made, or would make: its id, the number that people say, where it stands, and why."""

    id: str = ""
    number: str = ""
    outcome: str = ""
    remarks: tuple[Remark, ...] = ()


@frozen
class BulkKind:
    """One kind of import: what a row is.

    `columns` are the columns that a table may have, with a word on each; `action` is the command that each row is.
    `rehearse` answers what a row would make without recording anything, `apply` makes it, `undo` takes back what has an
    id. Each raises a Problem for a refusal; `errors` among its fields name the columns. `about` and `about_made` say
    whom a row, or what it made, is about: rows that share a word are carried out one after the other, in order.
    """

    name: str
    columns: Mapping[str, str]
    action: type[Any]
    rehearse: Callable[[Application, Caller, dict[str, Any]], Awaitable[Made]]
    apply: Callable[[Application, Caller, dict[str, Any]], Awaitable[Made]]
    undo: Callable[[Application, Caller, str], Awaitable[Made]]
    about: Callable[[Application, Caller, dict[str, Any]], Awaitable[frozenset[str]]]
    about_made: Callable[[Application, Caller, str], Awaitable[frozenset[str]]]


@frozen
class Bulk:
    """The imports of one service: at which route, and of which kinds. The first kind is that of who names none."""

    at: str
    kinds: tuple[BulkKind, ...]

    def kind(self, name: str) -> BulkKind:
        """Raises UnknownImport."""
        found = next((kind for kind in self.kinds if name in ("", kind.name)), None)
        if found is None:
            raise UnknownImport(kinds=[kind.name for kind in self.kinds])
        return found


class UnknownImport(Problem):
    """This service takes no import of that kind: `kinds` are those that it takes."""

    status = 422
    slug = "unknown-import"


class Failed(Refused):
    """Something is wrong on our side with this row; it has been logged, and the others go on."""

    slug = "row-failed"


@frozen
class InHand:
    """A batch with the step that it is in."""

    tenant: str
    batch_id: str
    batch: Batch
    step: str
    kind: BulkKind

    @property
    def key(self) -> tuple[str, str, str]:
        return self.tenant, self.batch_id, self.step

    @property
    def pieces(self) -> list[int]:
        """In the order in which they are worked on: what is taken back begins with the last."""
        found = list(range(1, self.batch.first.pieces + 1))
        return found[::-1] if self.step == UNDO else found

    def caller(self, row: int) -> Caller:
        """Who asked, as if the row had come alone: what it makes has the same id however often it is tried."""
        asker: Asker = self.batch.asker or self.batch.first.asker
        key = f"{self.batch_id}.{row}" + (f".{self.step}" if self.step == UNDO else "")
        return Caller(
            principal=asker.principal(self.tenant),
            key=key,
            expected_version=None,
            correlation_id=self.batch_id,
            traceparent=None,
            digest=None,
        )


@dataclass
class BulkWork:
    """The worker of one service. `run` goes to a supervised task."""

    app: Application
    bulk: Bulk
    backoff: Backoff = field(default_factory=lambda: Backoff(first_seconds=0.5, most_seconds=30.0))
    _next: dict[tuple[str, str, str], int] = field(default_factory=dict)
    """How many pieces of a step are known to be over: they are not looked at again."""
    _failed: dict[tuple[str, str], tuple[int, float]] = field(default_factory=dict)

    async def run(self) -> None:
        """Works on what is in hand until it is cancelled."""
        while True:
            async with Lease(self.app.executor.store, "bulk imports").hold() as held:
                while held.ours:
                    if not await self.turn():
                        await self.app.clock.wait(POLL_SECONDS)

    async def turn(self) -> int:
        """Does a piece of each batch that is in hand, and answers of how many there was one to do."""
        now = self.app.clock.now()
        due = await self.app.read.due(IN_HAND_MODEL, iso(now + AHEAD), SIDE_BY_SIDE * 16)
        ready = [one for one in due if self._may_try(one)][:SIDE_BY_SIDE]
        return sum(await asyncio.gather(*(self._try(one) for one in ready)))

    async def _try(self, due: Due) -> bool:
        """Whether there was something to do. A failure is logged and tried again later; it holds up no other batch."""
        try:
            worked = await self._one_piece(due.tenant, due.id)
        except Exception:  # noqa: BLE001  whatever one import meets, the others are in hand as well
            log.exception("import_failed", tenant=due.tenant, batch=due.id)
            failures = self._failed.get((due.tenant, due.id), (0, 0.0))[0] + 1
            again = asyncio.get_running_loop().time() + self.backoff.pause_seconds(failures)
            self._failed[due.tenant, due.id] = failures, again
            return False
        self._failed.pop((due.tenant, due.id), None)
        return worked

    def _may_try(self, due: Due) -> bool:
        return self._failed.get((due.tenant, due.id), (0, 0.0))[1] <= asyncio.get_running_loop().time()

    async def _one_piece(self, tenant: str, batch_id: str) -> bool:
        batch: Batch = await self.app.executor.peek(tenant)(Batches.at(batch_id))
        step = IN_HAND.get(batch.stage)
        if step is None:
            return False  # the read model has not heard yet that it is over
        kind = self.bulk.kind(batch.first.kind)
        it = InHand(tenant=tenant, batch_id=batch_id, batch=batch, step=step, kind=kind)
        for place, number in enumerate(it.pieces):
            if place >= self._next.get(it.key, 0):
                worked = await self._piece(it, number)
                self._next[it.key] = place + 1
                if worked:
                    return True
        await self._finish(it)
        return True

    async def _piece(self, it: InHand, number: int) -> bool:
        """Does the rows of one piece, unless they have been done."""
        piece: Piece = await self._peek(it, [number])
        if it.step in piece.done:
            return False
        results: list[RowResult] = []
        async for wave in self._waves(it, self._rows(it, piece)):
            async with asyncio.TaskGroup() as side_by_side:
                tasks = [side_by_side.create_task(self._row(it, *one)) for one in wave]
            results += [task.result() for task in tasks]
        done = FinishBatchRows(
            batch_id=it.batch_id, piece=number, step=it.step, results=tuple(results), now=self.app.clock.now()
        )
        await self.app.issue(it.tenant, stable_id("import", it.batch_id, number, it.step), done)
        return True

    async def _waves(self, it: InHand, rows: Sequence[Given]) -> AsyncIterator[list[Given]]:
        """The rows in order, in groups that may be done side by side, so that they share the wait for a commit."""
        most = 1 if it.step == TRY else WAVE_ROWS  # a dry run commits nothing
        wave: list[Given] = []
        words: set[str] = set()
        for given in rows:
            about = await self._about(it, *given) if most > 1 else frozenset[str]()
            if wave and (len(wave) == most or not words.isdisjoint(about)):
                yield wave
                wave, words = [], set()
            wave.append(given)
            words |= about
        if wave:
            yield wave

    async def _about(self, it: InHand, row: Row, before: RowResult | None) -> frozenset[str]:
        if it.step == UNDO:
            return await it.kind.about_made(self.app, it.caller(row.row), before.id if before else "")
        return await it.kind.about(self.app, it.caller(row.row), row.values)

    async def _peek(self, it: InHand, numbers: Iterable[int]) -> Any:
        streams: list[Stream] = [Pieces.at(piece_id(it.batch_id, number)) for number in numbers]
        found = await self.app.executor.peek(it.tenant).all(streams)
        return found[0] if len(found) == 1 else found

    def _rows(self, it: InHand, piece: Piece) -> list[Given]:
        """The rows that the step is for."""
        if it.step == UNDO:
            made = [one for one in piece.done.get(APPLY, ()) if one.result == APPLIED]
            return [(Row(row=one.row, values={}), one) for one in reversed(made)]
        text = self.app.keys.open(it.tenant, piece.rows) if piece.rows else None
        rows = msgspec.json.decode(text or "[]", type=list[Row])
        if it.step == TRY:
            return [(row, None) for row in rows]
        good = {one.row: one for one in piece.done.get(TRY, ()) if one.result == GOOD}
        return [(row, good[row.row]) for row in rows if row.row in good]

    async def _row(self, it: InHand, row: Row, before: RowResult | None) -> RowResult:
        await asyncio.sleep(0)  # whoever else waits has a turn between two rows
        if row.remarks:
            return RowResult(row=row.row, result=BAD, remarks=row.remarks)
        good, bad = {TRY: (GOOD, BAD), APPLY: (APPLIED, REFUSED), UNDO: (UNDONE, STAYS)}[it.step]
        known = {"id": before.id, "number": before.number, "outcome": before.outcome} if before and before.id else {}
        try:
            made = await self._carried_out(it, row, before)
        except Problem as refusal:
            if is_away(refusal):
                raise
            return RowResult(row=row.row, result=bad, remarks=remarks_of(refusal, it.kind.columns), **known)
        told = {"id": made.id, "number": made.number, "outcome": made.outcome}
        said = {name: text for name, text in told.items() if text}
        return RowResult(row=row.row, result=good, remarks=made.remarks, **{**known, **said})

    async def _carried_out(self, it: InHand, row: Row, before: RowResult | None) -> Made:
        """Tries again a few times where something is busy, so that a rush of others does not hold up the piece."""
        for failures in range(1, TRIES):
            try:
                return await self._once(it, row, before)
            except Exception as error:
                if not is_away(error):
                    raise
                await asyncio.sleep(self.backoff.pause_seconds(failures))
        return await self._once(it, row, before)

    async def _once(self, it: InHand, row: Row, before: RowResult | None) -> Made:
        caller = it.caller(row.row)
        steps: dict[str, Callable[[], Awaitable[Made]]] = {
            TRY: partial(it.kind.rehearse, self.app, caller, row.values),
            APPLY: partial(it.kind.apply, self.app, caller, row.values),
            UNDO: partial(it.kind.undo, self.app, caller, before.id if before else ""),
        }
        try:
            return await steps[it.step]()
        except Problem:
            raise
        except Exception as error:
            if is_away(error):
                raise
            log.exception("import_row_failed", batch=it.batch_id, row=row.row)
            raise Failed from error

    async def _finish(self, it: InHand) -> None:
        counts: Counter[str] = Counter()
        for number in it.pieces:
            piece: Piece = await self._peek(it, [number])
            counts.update(one.result for one in piece.done[it.step])
        wish = FinishBatchStep(batch_id=it.batch_id, step=it.step, counts=dict(counts), now=self.app.clock.now())
        await self.app.issue(it.tenant, stable_id("import", it.batch_id, it.step), wish)
        self._next.pop(it.key, None)


def remarks_of(refusal: Problem, columns: Mapping[str, str]) -> tuple[Remark, ...]:
    """A refusal as remarks: one for each column that it names, else one for the row."""
    errors = refusal.fields.get("errors") or [{"path": "", "code": refusal.slug, "message": refusal.detail}]
    return tuple(Remark(column=one["path"], code=one["code"], text=_in_words(one, columns)) for one in errors[:10])


def _in_words(fault: Mapping[str, str], columns: Mapping[str, str]) -> str:
    """What a person can do about it: told what the column means where its form is wrong."""
    column, code = fault["path"], fault["code"]
    if column in columns and code.endswith(OF_ANOTHER_FORM):
        return f"expected is: {columns[column]}"
    return IN_WORDS.get(code) or fault["message"].removeprefix(VALUE_ERROR)
