"""What every desk owes, whichever database keeps it: inherit the suite and say how one is made."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

import pytest
from msgspec.structs import replace

from chassis.decider import NotFound
from chassis.desk.port import Desk
from chassis.parking import DONE, PARKED, REPLAY, WAITING, Held, ParkingFull, Place
from chassis.presence import InUse
from chassis.shadow_runs import LAST
from chassis.stops import Stop
from chassis.testing.feed import MemoryFeed, outlet
from chassis.transport.port import Message, translated

GROUP = "entente.registration.reactions"
SUBJECTS_MAX = 3
OPEN_END = (LAST, LAST)


class At:
    """A clock that stands."""

    def now(self) -> datetime:
        return datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


async def messages_of(*counters: str) -> list[Message]:
    feed = MemoryFeed()
    for number, counter in enumerate(counters, start=1):
        await feed.commit(number, counter=counter)
    return translated(outlet(feed), feed.recorded)


def place_of(message: Message) -> Place:
    return Place(group=GROUP, topic=message.topic, partition=message.partition, offset=message.offset)


async def enter(door: AbstractAsyncContextManager[None]) -> None:
    async with door:
        pass


def a_run(run_id: str, begun_at: str, **found: Any) -> dict[str, Any]:
    return {"run_id": run_id, "asked_as": "shadow_run", "begun_at": begun_at, "status": "ready", **found}


class DeskConformance:
    """Inherit and define `make`: a desk on the same place each time, with room for `SUBJECTS_MAX` parked subjects."""

    def make(self) -> Desk:
        raise NotImplementedError

    @pytest.fixture
    async def desk(self) -> AsyncIterator[Desk]:
        made = self.make()
        await made.migrate()
        await made.open()
        yield made
        await made.close()

    @pytest.fixture
    async def another(self, desk: Desk) -> AsyncIterator[Desk]:
        """The same desk, as another process has it."""
        made = self.make()
        await made.migrate()
        await made.open()
        yield made
        await made.close()

    # Who is at work

    async def test_processes_work_together_or_one_alone(self, desk: Desk, another: Desk) -> None:
        async with desk.at_work(alone=False), another.at_work(alone=False):
            with pytest.raises(InUse, match="another process works"):
                await enter(another.at_work(alone=True))
        async with desk.at_work(alone=True):
            with pytest.raises(InUse, match="another process works"):
                await enter(another.at_work(alone=False))
        await enter(another.at_work(alone=True))

    # Positions

    async def test_a_reader_of_whom_nothing_is_known_stands_at_the_beginning(self, desk: Desk) -> None:
        assert await desk.positions.get("relay") == 0

    async def test_positions_are_set_together_and_seen_by_other_processes(self, desk: Desk, another: Desk) -> None:
        await desk.positions.set_many({"relay": 7, "relay/0": 10**12})
        await another.positions.set("relay", 3 * 10**12)
        assert [await one.positions.get("relay") for one in (desk, another)] == [3 * 10**12] * 2
        assert await another.positions.get("relay/0") == 10**12

    # Stops

    async def test_the_last_stop_of_each_version_is_remembered(self, desk: Desk, another: Desk) -> None:
        first = Stop(model="board__v1", reason="a bug", lane="registration", left_at={"acme": 4})
        second = Stop(model="board__v1", reason="another bug", lane="own", left_at={})
        other = Stop(model="board__v2", reason="a bug", lane="own", left_at={"acme": 1, "zoë": 2})
        for stop in (first, other, second):
            await desk.stops.note(stop)
        assert await another.stops.noted() == {"board__v1": second, "board__v2": other}

    # Shadow runs

    async def test_a_run_is_kept_as_it_was_last(self, desk: Desk, another: Desk) -> None:
        assert await desk.runs.kept("acme", "one") is None
        for report in ({"digest": "d"}, {"digest": "é \u0000", "sum": 1e400, "lines": [1, None]}):
            await desk.runs.keep("acme", "one", a_run("one", "2026-03-02T10:00:00Z", report=report))
            kept = await another.runs.kept("acme", "one")
            assert kept is not None
            assert kept["report"] == report
        assert await another.runs.kept("other", "one") is None

    async def test_runs_are_listed_by_when_they_began_the_newest_first(self, desk: Desk) -> None:
        begun = {"a": "2026-03-02T10:00:00Z", "Z": "2026-03-02T10:00:00Z", "b": "2026-03-02T09:00:00Z"}
        for run_id, at in begun.items():
            await desk.runs.keep("acme", run_id, a_run(run_id, at))
        await desk.runs.keep("acme", "c", {**a_run("c", "2026-03-02T10:00:00Z"), "asked_as": "backtest"})
        await desk.runs.keep("other", "d", a_run("d", "2026-03-02T10:00:00Z"))
        await desk.runs.keep("acme", "e", {"run_id": "e", "status": "ready"})
        first = await desk.runs.listed("acme", "shadow_run", OPEN_END, 2)
        assert [one["run_id"] for one in first] == ["a", "Z"]
        rest = await desk.runs.listed("acme", "shadow_run", ("2026-03-02T10:00:00Z", "Z"), 2)
        assert [one["run_id"] for one in rest] == ["b"]

    # Parking

    async def test_a_parked_message_keeps_all_that_is_needed_to_try_it_again(self, desk: Desk) -> None:
        (message,) = await messages_of("a")
        await desk.parking.park(GROUP, [(message, PARKED)], "ValueError: no such plan")
        (row,) = await desk.parking.listed()
        assert (row.state, row.reason, row.subject) == ("parked", "ValueError: no such plan", "acme:counter-a")
        assert row.parked_at == "2026-03-02T10:00:00Z"
        assert row.message.seen() == message.seen()
        assert (row.message.body, row.message.traceparent) == (message.body, message.traceparent)
        assert dict(row.message.headers)["ce_source"] == b"/entente/testing/1"

    async def test_all_that_is_parked_about_somebody_is_found_by_the_id(self, desk: Desk) -> None:
        a, b = await messages_of("counter-of-anna", "counter-of-bert")
        of_anna = replace(a, stream="acme:other", body=b'{"person_id": "anna-0001"}')
        await desk.parking.park(GROUP, [(of_anna, PARKED)], "a bug")
        await desk.parking.park(GROUP, [(b, PARKED)], "a bug")
        found = [await desk.parking.listed(about=about) for about in ("anna-0001", "counter-of-bert", "nobody-at-all")]
        assert [[row.place.offset for row in rows] for rows in found] == [[a.offset], [b.offset], []]
        await desk.parking.settle(place_of(a), DONE)
        assert await desk.parking.listed(about="anna-0001") == []
        assert [row.state for row in await desk.parking.listed(about="anna-0001", everything=True)] == ["done"]

    async def test_what_one_process_parked_the_others_find(self, desk: Desk, another: Desk) -> None:
        (message,) = await messages_of("a")
        await desk.parking.park(GROUP, [(message, PARKED)], "a bug")
        (row,) = await another.parking.listed()
        assert row.place == place_of(message)

    async def test_only_the_subjects_of_this_group_are_held(self, desk: Desk) -> None:
        a, b, c = await messages_of("a", "b", "a")
        await desk.parking.park(GROUP, [(a, PARKED)], "a bug")
        held = await desk.parking.held(GROUP, [a, b, c])
        assert held.subjects == {"acme:counter-a"}
        assert held.places == {(0, 1)}
        other = await desk.parking.held("entente.incentives.reactions", [a, b, c])
        assert other == Held()

    async def test_nothing_runs_behind_a_parked_message_until_it_is_replayed(self, desk: Desk) -> None:
        first, second = await messages_of("a", "a")
        await desk.parking.park(GROUP, [(first, PARKED), (second, WAITING)], "a bug")
        assert await desk.parking.runnable(GROUP, first.topic, 10) == []
        assert await desk.parking.replay(subject="acme:counter-a") == 1
        assert [(row.place.offset, row.state) for row in await desk.parking.runnable(GROUP, first.topic, 10)] == [
            (1, REPLAY),
            (2, WAITING),
        ]

    async def test_a_settled_subject_is_free_but_its_messages_stay_known(self, desk: Desk) -> None:
        (message,) = await messages_of("a")
        await desk.parking.park(GROUP, [(message, PARKED)], "a bug")
        await desk.parking.replay()
        await desk.parking.settle(place_of(message), DONE)
        held = await desk.parking.held(GROUP, [message])
        assert held.subjects == set()
        assert held.places == {(0, 1)}
        assert await desk.parking.count() == 0
        assert [row.state for row in await desk.parking.listed(everything=True)] == ["done"]

    async def test_a_discarded_message_lets_the_next_go_on_and_a_proposal_changes_nothing(self, desk: Desk) -> None:
        first, second = await messages_of("a", "a")
        await desk.parking.park(GROUP, [(first, PARKED), (second, WAITING)], "a bug")
        await desk.parking.note_discard(place_of(first), "ada", None)
        assert [row.state for row in await desk.parking.listed()] == ["parked", "waiting"]
        await desk.parking.note_discard(place_of(first), "ada", "grace")
        assert [row.place.offset for row in await desk.parking.runnable(GROUP, first.topic, 10)] == [2]
        row = await desk.parking.find(place_of(first))
        assert (row.state, row.discard_proposed_by, row.discarded_by) == ("discarded", "ada", "grace")

    async def test_what_is_done_cannot_be_discarded_any_more(self, desk: Desk) -> None:
        (message,) = await messages_of("a")
        await desk.parking.park(GROUP, [(message, PARKED)], "a bug")
        await desk.parking.settle(place_of(message), DONE)
        await desk.parking.note_discard(place_of(message), "ada", "grace")
        assert (await desk.parking.find(place_of(message))).state == "done"

    async def test_a_place_where_nothing_is_parked_is_not_found(self, desk: Desk) -> None:
        with pytest.raises(NotFound):
            await desk.parking.find(Place(group=GROUP, topic="entente.testing", partition=0, offset=9))

    async def test_parking_twice_changes_nothing(self, desk: Desk) -> None:
        (message,) = await messages_of("a")
        await desk.parking.park(GROUP, [(message, PARKED)], "first")
        await desk.parking.park(GROUP, [(message, PARKED)], "second")
        (row,) = await desk.parking.listed()
        assert row.reason == "first"

    async def test_a_partition_with_too_many_parked_subjects_stands_still(self, desk: Desk) -> None:
        messages = await messages_of("a", "b", "c", "d")
        for message in messages[:3]:
            await desk.parking.park(GROUP, [(message, PARKED)], "a bug")
        with pytest.raises(ParkingFull):
            await desk.parking.park(GROUP, [(messages[3], PARKED)], "a bug")

    async def test_what_a_hostile_message_holds_is_kept_and_holds_its_subject(self, desk: Desk) -> None:
        (message,) = await messages_of("a")
        hostile = replace(message, stream="acme:counter-\0", body=b"\0\xff")
        await desk.parking.park(GROUP, [(hostile, PARKED)], "a \0 bug")
        held = await desk.parking.held(GROUP, [hostile])
        assert held == Held(frozenset({"acme:counter-\0"}), frozenset({(0, 1)}))
        (row,) = await desk.parking.listed()
        assert row.message.body == b"\0\xff"
        assert await desk.parking.listed(about="nobody-\0") == []
        assert await desk.parking.replay(subject="acme:counter-\0") == 1

    async def test_a_message_without_a_readable_subject_stands_alone(self, desk: Desk) -> None:
        broken = Message(
            topic="entente.testing", offset=5, body=b"\xff\x00", headers=(("ce_id", b"\xff"),), fault="ce_id"
        )
        await desk.parking.park(GROUP, [(broken, PARKED)], "cannot be read")
        (row,) = await desk.parking.listed()
        assert row.subject == "?0-5"
        assert (row.message.body, row.message.headers) == (b"\xff\x00", (("ce_id", b"\xff"),))
