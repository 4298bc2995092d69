"""Verification: what was recorded still stands, byte by byte, and is still what the rules decide."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chassis.decider import Decider
from chassis.execution import Handles
from chassis.note import Checkpoint, NoteSigner
from chassis.verify import verify, verify_decisions
from tests.chassis.trust import (
    FILL,
    HANDLES,
    MOVE,
    Boxes,
    BoxFull,
    FillBox,
    MoveAll,
    Work,
    beside,
    change,
    opened,
    witnessed,
)

EVENTS = 11
"""Six commands: three fill a, one does nothing, one is refused, one moves; with their records. See `history`."""


async def history(directory: Path):
    """A store of eleven events with three checkpoints."""
    async with witnessed(directory) as (store, witness):
        work = Work(store)
        await work.fill(1, 2)
        await witness.checkpoint()
        await work.fill(3)
        await work.fill(0)
        with contextlib.suppress(BoxFull):
            await work.fill(9)
        await witness.checkpoint()
        await work.do(MoveAll(source_id="a", target_id="b"))
        await witness.checkpoint()
        assert await store.head() == EVENTS


async def check(directory: Path, notes: list[str] | None = None):
    """The report on a store freshly opened."""
    async with opened(directory / "store.db") as store, beside(store, directory) as witness:
        kept = await witness.leaves.checkpoints() if notes is None else notes
        return await verify(store, witness.leaves, kept, (await witness.signer()).verifier)


async def decide_again(directory: Path, handles: tuple[Handles, ...] = HANDLES):
    async with opened(directory / "store.db") as store:
        return await verify_decisions(store, handles)


async def test_what_nobody_touched_holds(tmp_path: Path) -> None:
    await history(tmp_path)
    report = await check(tmp_path)
    assert report.compared == {"events": 11, "leaves": 11, "checkpoints": 3}
    assert report.lines() == ["compared 11 events, 11 leaves, 3 checkpoints: all as recorded"]


@pytest.mark.parametrize("position", range(1, EVENTS + 1))
@pytest.mark.parametrize(
    "column",
    [
        "originator_version = originator_version + 100",
        "topic = topic || 'x'",
        "originator_id = originator_id || 'x'",
        "state = CAST(replace(CAST(state AS TEXT), 'anna', 'olga') AS BLOB)",
        "state = replace(CAST(state AS TEXT), 'anna', 'olga')",
        "state = x'00'",
        "state = x'ff'",
        "originator_id = CAST(x'ff' AS TEXT)",
    ],
)
async def test_a_changed_stored_value_is_named_by_its_position(tmp_path: Path, position: int, column: str) -> None:
    await history(tmp_path)
    change(tmp_path / "store.db", f"UPDATE stored_events SET {column} WHERE position = ?", position)
    report = await check(tmp_path)
    assert position == report.first.position


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_changed_byte_of_any_event_is_named_by_its_position(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    directory = tmp_path_factory.mktemp("byte")
    await history(directory)
    position = data.draw(st.integers(1, EVENTS))
    async with opened(directory / "store.db") as store:
        stored = bytearray((await store.feed(position - 1, 1))[0].stored)
    stored[data.draw(st.integers(0, len(stored) - 1))] ^= data.draw(st.integers(1, 255))
    change(directory / "store.db", "UPDATE stored_events SET state = ? WHERE position = ?", bytes(stored), position)
    assert position == (await check(directory)).first.position


@pytest.mark.parametrize("position", range(1, EVENTS + 1))
async def test_a_missing_event_is_named_by_its_position(tmp_path: Path, position: int) -> None:
    await history(tmp_path)
    change(tmp_path / "store.db", "DELETE FROM stored_events WHERE position = ?", position)
    assert position == (await check(tmp_path)).first.position


async def test_two_events_that_changed_places_are_named(tmp_path: Path) -> None:
    await history(tmp_path)
    for now, then in ((3, 100), (5, 3), (100, 5)):
        change(tmp_path / "store.db", "UPDATE stored_events SET position = ? WHERE position = ?", then, now)
    assert [found.position for found in (await check(tmp_path)).differences] == [3, 5]


async def test_an_event_that_was_moved_out_of_sight_is_named(tmp_path: Path) -> None:
    await history(tmp_path)
    change(tmp_path / "store.db", "UPDATE stored_events SET position = -2 WHERE position = 4")
    report = await check(tmp_path)
    assert report.first.position == 4


async def test_events_that_are_not_yet_witnessed_are_no_difference(tmp_path: Path) -> None:
    await history(tmp_path)
    async with opened(tmp_path / "store.db") as store:
        work = Work(store)
        work._done = 100
        await work.fill(1, box_id="c")
    report = await check(tmp_path)
    assert report.holds
    assert report.compared == {"events": 13, "leaves": 11, "checkpoints": 3}


@pytest.mark.parametrize(
    ("statement", "position"),
    [
        ("UPDATE leaf SET hash = zeroblob(32) WHERE number = 4", 5),
        ("UPDATE leaf SET position = 99 WHERE number = 10", 11),
        ("DELETE FROM leaf WHERE number = 6", 7),
        ("UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND number = 2", 6),
        ("DELETE FROM node WHERE level = 3", 8),
    ],
)
async def test_a_changed_leaf_or_node_is_named_by_its_position(tmp_path: Path, statement: str, position: int) -> None:
    await history(tmp_path)
    change(tmp_path / "trust-witness-1.db", statement)
    assert position == (await check(tmp_path)).first.position


async def test_store_and_leaves_that_were_changed_together_are_betrayed_by_a_checkpoint(tmp_path: Path) -> None:
    await history(tmp_path)
    async with witnessed(tmp_path) as (_, witness):
        held = await witness.leaves.checkpoints()
    change(tmp_path / "store.db", "UPDATE stored_events SET topic = topic || 'x' WHERE position = 6")
    (tmp_path / "trust-witness-1.db").unlink()
    async with witnessed(tmp_path) as (_, witness):
        await witness.checkpoint()
    assert (await check(tmp_path)).holds
    report = await check(tmp_path, held)
    assert [found.position for found in report.differences] == [8]


async def test_a_checkpoint_that_is_not_ours_is_a_difference(tmp_path: Path) -> None:
    await history(tmp_path)
    stranger = NoteSigner("entente/trust/1", bytes(32))
    report = await check(tmp_path, [stranger.sign(Checkpoint("entente/trust/1", 4, bytes(32)).text()), "nonsense"])
    assert len(report.differences) == 2


async def test_a_checkpoint_over_more_than_is_kept_is_a_difference(tmp_path: Path) -> None:
    await history(tmp_path)
    async with witnessed(tmp_path) as (_, witness):
        longer = (await witness.signer()).sign(Checkpoint("entente/trust/1", 12, bytes(32)).text())
    assert [found.position for found in (await check(tmp_path, [longer])).differences] == [12]


async def test_the_same_rules_decide_the_same(tmp_path: Path) -> None:
    await history(tmp_path)
    report = await decide_again(tmp_path)
    assert report.lines() == ["compared 6 decisions: all as recorded"]


def stricter(wish: FillBox, held: int):
    if held + wish.count > 5:
        raise BoxFull(held=held)
    return FILL.decide(wish, held)


def otherwise_refused(wish: FillBox, held: int):
    if held + wish.count > 10:
        raise BoxFull(held=held, most=10)
    return FILL.decide(wish, held)


def renamed(wish: FillBox, held: int):
    return [replace(happened, box_id="z") for happened in FILL.decide(wish, held)]


@pytest.mark.parametrize(
    ("handles", "positions"),
    [
        (replace(FILL, decide=stricter), [6, 7]),
        (replace(FILL, decide=otherwise_refused), [8]),
        (replace(FILL, decide=renamed), [2, 4, 6]),
        (replace(FILL, answer=lambda c, held: {"held": held + 1}), [2, 4, 6, 7]),
        (replace(FILL, evaluator=2), [2, 4, 6, 7, 8]),
        (
            replace(FILL, reads=lambda c: (Boxes.at("other"),), decide=lambda c, held, _: FILL.decide(c, held)),
            [2, 4, 6, 7, 8],
        ),
    ],
)
async def test_rules_that_decide_otherwise_are_named_by_the_commands_position(
    tmp_path: Path, handles: Handles, positions: list[int]
) -> None:
    await history(tmp_path)
    report = await decide_again(tmp_path, (handles, MOVE))
    assert positions == [found.position for found in report.differences]


async def test_each_command_is_decided_by_the_evaluator_it_was_recorded_with(tmp_path: Path) -> None:
    await history(tmp_path)
    later = replace(FILL, decide=stricter, evaluator=2)
    assert (await decide_again(tmp_path, (FILL, later, MOVE))).holds
    assert (await decide_again(tmp_path, (later, FILL, MOVE))).holds


async def test_events_that_a_command_did_not_decide_are_named(tmp_path: Path) -> None:
    await history(tmp_path)
    change(
        tmp_path / "store.db",
        "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), ?, ?) AS BLOB) WHERE position = 5",
        '"count":3',
        '"count":4',
    )
    # The third filling wrote another event, so everything decided on it comes out otherwise too.
    assert {6, 7, 8, 11} == {found.position for found in (await decide_again(tmp_path)).differences}


async def test_an_event_whose_command_is_gone_is_named(tmp_path: Path) -> None:
    await history(tmp_path)
    change(tmp_path / "store.db", "DELETE FROM stored_events WHERE position = 4")
    assert (await decide_again(tmp_path)).first.position == 3


async def test_a_stream_that_lost_its_events_is_named(tmp_path: Path) -> None:
    await history(tmp_path)
    change(tmp_path / "store.db", "DELETE FROM stored_events WHERE position = 1")
    assert (await decide_again(tmp_path)).first.position == 2


async def test_a_command_of_an_unknown_release_is_named(tmp_path: Path) -> None:
    await history(tmp_path)
    assert [found.position for found in (await decide_again(tmp_path, (FILL,))).differences] == [11]


async def test_a_long_stream_is_folded_once(tmp_path: Path) -> None:
    folded = []
    counting = Decider("box", 0, lambda held, happened: folded.append(1) or held + happened.count)
    async with opened(tmp_path / "store.db") as store:
        await Work(store).fill(*[0, 1] * 9)
    handles = Handles(FillBox, FILL.decide, lambda c: (counting.at(c.box_id),), answer=FILL.answer)
    assert (await decide_again(tmp_path, (handles,))).holds
    # Eight of the nine events are needed for later decisions; each of the nine is also folded once for its answer.
    assert len(folded) == 8 + 9
