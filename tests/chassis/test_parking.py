from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from chassis.decider import NotFound
from chassis.parking import DONE, PARKED, REPLAY, WAITING, Parking, ParkingFull, Place, SqliteParking
from chassis.positions import Desk
from chassis.testing.feed import MemoryFeed, outlet
from chassis.transport.port import Message, translated

GROUP = "entente.registration.reactions"


class At:
    def now(self) -> datetime:
        return datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


@pytest.fixture
async def parking(tmp_path: Path) -> AsyncIterator[SqliteParking]:
    desk = Desk(tmp_path / "desk.sqlite")
    made = SqliteParking(desk, At(), subjects_max=3)
    await made.migrate()
    yield made
    desk.close()


async def messages_of(*counters: str) -> list[Message]:
    feed = MemoryFeed()
    for number, counter in enumerate(counters, start=1):
        await feed.commit(number, counter=counter)
    return translated(outlet(feed), feed.recorded)


def place_of(message: Message) -> Place:
    return Place(group=GROUP, topic=message.topic, partition=message.partition, offset=message.offset)


async def test_a_parked_message_keeps_all_that_is_needed_to_try_it_again(parking: SqliteParking) -> None:
    (message,) = await messages_of("a")
    await parking.park(GROUP, [(message, PARKED)], "ValueError: no such plan")
    (row,) = await parking.listed()
    assert (row.state, row.reason, row.subject) == ("parked", "ValueError: no such plan", "acme:counter-a")
    assert row.parked_at == "2026-03-02T10:00:00Z"
    assert row.message.seen() == message.seen()
    assert (row.message.body, row.message.traceparent) == (message.body, message.traceparent)
    assert dict(row.message.headers)["ce_source"] == b"/entente/testing/1"


async def test_all_that_is_parked_about_somebody_is_found_by_the_id(parking: SqliteParking) -> None:
    a, b = await messages_of("counter-of-anna", "counter-of-bert")
    of_anna = replace(a, stream="acme:other", body=b'{"person_id": "anna-0001"}')
    await parking.park(GROUP, [(of_anna, PARKED)], "a bug")
    await parking.park(GROUP, [(b, PARKED)], "a bug")
    found = [await parking.listed(about=about) for about in ("anna-0001", "counter-of-bert", "nobody-at-all")]
    assert [[row.place.offset for row in rows] for rows in found] == [[a.offset], [b.offset], []]
    await parking.settle(place_of(a), DONE)
    assert await parking.listed(about="anna-0001") == []
    assert [row.state for row in await parking.listed(about="anna-0001", everything=True)] == ["done"]


async def test_parked_rows_survive_a_restart(parking: SqliteParking, tmp_path: Path) -> None:
    (message,) = await messages_of("a")
    await parking.park(GROUP, [(message, PARKED)], "a bug")
    desk = Desk(tmp_path / "desk.sqlite")
    (row,) = await SqliteParking(desk, At()).listed()
    desk.close()
    assert row.place == place_of(message)


async def test_only_the_subjects_of_this_group_are_held(parking: SqliteParking) -> None:
    a, b, c = await messages_of("a", "b", "a")
    await parking.park(GROUP, [(a, PARKED)], "a bug")
    held = await parking.held(GROUP, [a, b, c])
    assert held.subjects == {"acme:counter-a"}
    assert held.places == {(0, 1)}
    other = await parking.held("entente.incentives.reactions", [a, b, c])
    assert (other.subjects, other.places) == (set(), set())


async def test_nothing_runs_behind_a_parked_message_until_it_is_replayed(parking: SqliteParking) -> None:
    first, second = await messages_of("a", "a")
    await parking.park(GROUP, [(first, PARKED), (second, WAITING)], "a bug")
    assert await parking.runnable(GROUP, first.topic, 10) == []
    assert await parking.replay(subject="acme:counter-a") == 1
    assert [(row.place.offset, row.state) for row in await parking.runnable(GROUP, first.topic, 10)] == [
        (1, REPLAY),
        (2, WAITING),
    ]


async def test_a_settled_subject_is_free_but_its_messages_stay_known(parking: SqliteParking) -> None:
    (message,) = await messages_of("a")
    await parking.park(GROUP, [(message, PARKED)], "a bug")
    await parking.replay()
    await parking.settle(place_of(message), DONE)
    held = await parking.held(GROUP, [message])
    assert held.subjects == set()
    assert held.places == {(0, 1)}
    assert await parking.count() == 0
    assert [row.state for row in await parking.listed(everything=True)] == ["done"]


async def test_a_discarded_message_lets_the_next_go_on_and_a_proposal_changes_nothing(parking: SqliteParking) -> None:
    first, second = await messages_of("a", "a")
    await parking.park(GROUP, [(first, PARKED), (second, WAITING)], "a bug")
    await parking.note_discard(place_of(first), "ada", None)
    assert [row.state for row in await parking.listed()] == ["parked", "waiting"]
    await parking.note_discard(place_of(first), "ada", "grace")
    assert [row.place.offset for row in await parking.runnable(GROUP, first.topic, 10)] == [2]
    row = await parking.find(place_of(first))
    assert (row.state, row.discard_proposed_by, row.discarded_by) == ("discarded", "ada", "grace")


async def test_what_is_done_cannot_be_discarded_any_more(parking: SqliteParking) -> None:
    (message,) = await messages_of("a")
    await parking.park(GROUP, [(message, PARKED)], "a bug")
    await parking.settle(place_of(message), DONE)
    await parking.note_discard(place_of(message), "ada", "grace")
    assert (await parking.find(place_of(message))).state == "done"


async def test_a_place_where_nothing_is_parked_is_not_found(parking: SqliteParking) -> None:
    with pytest.raises(NotFound):
        await parking.find(Place(group=GROUP, topic="entente.testing", partition=0, offset=9))


async def test_parking_twice_changes_nothing(parking: SqliteParking) -> None:
    (message,) = await messages_of("a")
    await parking.park(GROUP, [(message, PARKED)], "first")
    await parking.park(GROUP, [(message, PARKED)], "second")
    (row,) = await parking.listed()
    assert row.reason == "first"


async def test_a_partition_with_too_many_parked_subjects_stands_still(parking: SqliteParking) -> None:
    messages = await messages_of("a", "b", "c", "d")
    for message in messages[:3]:
        await parking.park(GROUP, [(message, PARKED)], "a bug")
    with pytest.raises(ParkingFull):
        await parking.park(GROUP, [(messages[3], PARKED)], "a bug")


async def test_a_message_without_a_readable_subject_stands_alone(parking: SqliteParking) -> None:
    broken = Message(topic="entente.testing", offset=5, body=b"\xff\x00", headers=(("ce_id", b"\xff"),), fault="ce_id")
    port: Parking = parking
    await port.park(GROUP, [(broken, PARKED)], "cannot be read")
    (row,) = await parking.listed()
    assert row.subject == "?0-5"
    assert (row.message.body, row.message.headers) == (b"\xff\x00", (("ce_id", b"\xff"),))
