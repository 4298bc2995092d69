"""Random lives of imports: whatever is asked in whatever order, only the published stages are met, and each is decided again."""

import contextlib
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from chassis.bulk import (
    ALLOWED,
    APPLY,
    IN_HAND,
    TRY,
    UNDO,
    ApplyBatch,
    Asker,
    Batches,
    DiscardBatch,
    FinishBatchRows,
    FinishBatchStep,
    KeepBatchRows,
    Remark,
    RowResult,
    Stage,
    UndoBatch,
    UploadBatch,
)
from chassis.decider import Problem
from chassis.event import Sealed
from tests.registration.deals import NOW, Town, decided_again

BATCH = st.sampled_from(["b-1", "b-2"])
STEP = st.sampled_from([TRY, APPLY, UNDO])
ASKER = Asker(subject="seller-1", kind="partner", partner_id="p-1", roles=("seller",))
NEXT = {
    Stage.NONE: {Stage.UPLOADED},
    Stage.UPLOADED: {Stage.DRY_RUN},
    Stage.DRY_RUN: {Stage.APPLYING, Stage.DISCARDED},
    Stage.APPLYING: {Stage.APPLIED},
    Stage.APPLIED: {Stage.UNDOING},
    Stage.UNDOING: {Stage.UNDONE},
    Stage.UNDONE: set(),
    Stage.DISCARDED: set(),
}
"""The table of the page: from each stage, those that one command leads to."""


class ImportLives(RuleBasedStateMachine):
    reached: ClassVar[set[Stage]] = set()

    @initialize()
    def open(self) -> None:
        self.town, self.now = Town(), NOW

    def teardown(self) -> None:
        """All that was decided of imports, refusals too, is decided again from its bytes, and is the same to the byte."""
        if hasattr(self, "town"):
            decided_again(self.town, Town())

    def ask(self, command: Any) -> None:
        before = self.town.state(Batches.at(command.batch_id)).stage
        with contextlib.suppress(Problem):
            self.town.told(command)
        after = self.town.state(Batches.at(command.batch_id)).stage
        assert after == before or after in NEXT[before], (command, before, after)
        self.reached.add(after)

    @rule(batch=BATCH, piece=st.integers(1, 2))
    def keep(self, batch: str, piece: int) -> None:
        self.ask(KeepBatchRows(batch_id=batch, piece=piece, rows=Sealed(subject=f"import-{batch}", box="box")))

    @rule(batch=BATCH, absorbed=st.booleans())
    def upload(self, batch: str, *, absorbed: bool) -> None:
        asker = replace(ASKER, absorbed=("p-2",)) if absorbed else ASKER
        told: dict[str, Any] = {"number": "I-1", "kind": "deals", "file_name": "deals.csv", "sha256": "0" * 64}
        self.ask(UploadBatch(batch_id=batch, **told, rows=2, pieces=2, asker=asker, now=self.now))

    @rule(batch=BATCH, piece=st.integers(1, 2), step=STEP)
    def rows(self, batch: str, piece: int, step: str) -> None:
        remark = Remark(column="amount", code="invalid", text="An amount.")
        result = RowResult(row=piece, result="bad", remarks=(remark,))
        self.ask(FinishBatchRows(batch_id=batch, piece=piece, step=step, results=(result,), now=self.now))

    @rule(batch=BATCH, step=STEP, good=st.integers(0, 2))
    def finish(self, batch: str, step: str, good: int) -> None:
        self.finish_step(batch, step, good)

    def finish_step(self, batch: str, step: str, good: int) -> None:
        self.ask(FinishBatchStep(batch_id=batch, step=step, counts={"good": good}, now=self.now))

    @rule(batch=BATCH, wish=st.sampled_from([ApplyBatch, UndoBatch, DiscardBatch]))
    def person(self, batch: str, wish: Any) -> None:
        self.person_asks(batch, wish)

    def person_asks(self, batch: str, wish: Any) -> None:
        self.ask(wish(batch_id=batch, asker=ASKER, now=self.now))

    @rule(batch=BATCH)
    def is_thrown_away(self, batch: str) -> None:
        """A file that was tried and is given up, which chance alone seldom asks for."""
        if self.town.state(Batches.at(batch)).stage == Stage.DRY_RUN:
            self.person_asks(batch, DiscardBatch)

    @rule(batch=BATCH)
    def goes_on(self, batch: str) -> None:
        """What leads on from where it stands, which chance alone seldom asks for."""
        stage = self.town.state(Batches.at(batch)).stage
        if stage in IN_HAND:
            self.finish_step(batch, IN_HAND[stage], 1)
        elif stage in ALLOWED:
            self.person_asks(batch, {Stage.DRY_RUN: ApplyBatch, Stage.APPLIED: UndoBatch}[stage])

    @rule(days=st.sampled_from([1, 31]))
    def wait(self, days: int) -> None:
        self.now += timedelta(days=days)


class TestImportLives(ImportLives.TestCase):  # type: ignore[misc, name-defined]
    settings = settings(max_examples=80, stateful_step_count=40, deadline=None, derandomize=True)

    def runTest(self) -> None:  # noqa: N802  unittest's name
        super().runTest()
        assert ImportLives.reached == set(Stage)
