"""Live streams and the feed: nothing twice, nothing left out, nothing of another's, and no longer than one may listen."""

import asyncio
from itertools import count
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

from chassis.asgi import Api
from chassis.decider import Problem
from services.gateway.adapters.hub import UNSENT_MAX, Hub, TooManyStreams
from services.gateway.api import reading
from tests.patience import PATIENCE_SECONDS
from tests.scenarios.browser import Stream, streaming
from tests.scenarios.cast import joined
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done

pytestmark = pytest.mark.asyncio(loop_scope="module")
NUMBERS = count(1)


def key() -> str:
    return f"stream-{next(NUMBERS)}"


async def register(it: System, who: str) -> str:
    """A new deal of a partner's; its id."""
    number = next(NUMBERS)
    body = deal(f"Customer {number:05d} {who}", f"entente-stream-{number}-{who}.com")
    registration_id: str = done(await (await it.who(who)).post(DEALS, body, key=key()), 201)["registration_id"]
    return registration_id


async def opened(it: System, who: str, last: str = "") -> Any:
    api = await it.who(who)
    headers = {"authorization": f"Bearer {api._token}", **({"last-event-id": last} if last else {})}
    return streaming(it.front._app, headers)


def told_of(stream: Stream) -> list[str]:
    return [told.item["event_id"] for told in stream.told]


async def feed(api: Api, query: str = "") -> list[dict[str, Any]]:
    answer = await api.get(f"/v1/events?limit=1000{query}")
    assert answer.ok, answer.body
    return [orjson.loads(line) for line in answer.body.splitlines()]


def mentions(deal_id: str) -> Any:
    return lambda stream: any(deal_id in str(told.item) for told in stream.told)


async def test_a_stream_tells_what_happens_from_now_on(it: System) -> None:
    before = await register(it, "northwind")
    await it.settle()
    async with await opened(it, "northwind") as stream:
        assert stream.status == 200
        after = await register(it, "northwind")
        await stream.until(mentions(after))
        assert not mentions(before)(stream)
    first = stream.told[0].id
    await it.settle()
    async with await opened(it, "northwind", first) as again:
        await again.until(mentions(after)) if len(stream.told) > 1 else None
        assert not mentions(before)(again)


async def test_a_stream_that_is_cut_anywhere_goes_on_without_gap_or_repeat(it: System) -> None:
    """Streams are cut after each event while more happens; together they told what the feed has, once and in order."""
    last = (await feed_cursor(it, "ada"))[1]
    told: list[str] = []
    for number in range(12):
        work = asyncio.create_task(register(it, ("northwind", "southbridge")[number % 2]))
        stream = await told_something(it, last)
        cut = stream.told[: 1 + number % 3]
        told += [one.item["event_id"] for one in cut]
        last = cut[-1].id
        await work
    await it.settle()
    async with await opened(it, "ada", last) as rest:
        newest = (await feed(await it.who("ada")))[-1]["event_id"]
        await rest.until(lambda stream: newest in told_of(stream) or newest in told)
    told += told_of(rest)
    assert len(told) == len(set(told))
    expected = await feed(await it.who("ada"))
    for source in ("registration", "attribution", "onboarding"):
        mine = [one["event_id"] for one in expected if one["source"] == source]
        heard = [one for one in told if one in mine]
        assert heard == mine[len(mine) - len(heard) :]
    registered = [one for one in expected if one["type"] == "entente.registration.DealRegistered.v1"][-12:]
    assert {one["event_id"] for one in registered} <= set(told)


async def told_something(it: System, last: str) -> Stream:
    """A stream that was cut once it had told something. One that ends before, as the log is late, is asked for again."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with await opened(it, "ada", last) as stream:
                await stream.until(lambda one: one.told or one.ended)
            if stream.told:
                return stream


async def feed_cursor(it: System, who: str) -> tuple[list[dict[str, Any]], str]:
    """What the feed has now, and the place after it."""
    await it.settle()
    answer = await (await it.who(who)).get("/v1/events?limit=1000")
    return [orjson.loads(line) for line in answer.body.splitlines()], answer.headers["entente-next"]


async def test_a_stream_does_not_begin_before_the_log_holds_what_others_were_told(
    it: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the hub told just before, and the log does not hold yet, would be missed: the stream ends, to be asked again."""
    [seen] = await some(it)
    _, place = await feed_cursor(it, "ada")
    hub: Hub = it.services["gateway"].application.ports.hub
    known = hub.told(seen.tenant)
    hub.tell(replace(seen, position=known["registration"] + 1_000))
    with monkeypatch.context() as short:
        short.setattr(it.services["gateway"].application, "wait_seconds", 0.05)
        async with await opened(it, "ada", place) as early:
            await early.until(lambda stream: stream.ended)
    assert early.told == []
    hub._told[seen.tenant] = known
    deal_id = await register(it, "northwind")
    await it.settle()
    async with await opened(it, "ada", place) as stream:
        await stream.until(mentions(deal_id))


async def test_a_partner_s_stream_and_feed_hold_nothing_of_another(it: System) -> None:
    _, place = await feed_cursor(it, "southbridge")
    async with await opened(it, "southbridge") as live, await opened(it, "southbridge", place) as resumed:
        theirs, own = await register(it, "northwind"), await register(it, "southbridge")
        for stream in (live, resumed):
            await stream.until(mentions(own))
    north = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    texts = [str([one.item for one in stream.told]) for stream in (live, resumed)]
    texts.append(str(await feed(await it.who("southbridge"))))
    assert not [text for text in texts if theirs in text or north in text]
    assert told_of(live) == told_of(resumed)


async def test_pages_of_the_feed_are_the_feed(it: System) -> None:
    north = await it.who("northwind")
    whole, _ = await feed_cursor(it, "northwind")
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        answer = await north.get(f"/v1/events?limit=3&cursor={cursor}")
        page = [orjson.loads(line) for line in answer.body.splitlines()]
        found, cursor = found + page, answer.headers["entente-next"]
        if not page:
            break
    assert [one["event_id"] for one in found] == [one["event_id"] for one in whole]
    assert whole


async def test_a_role_reads_events_of_what_it_may_read(it: System) -> None:
    """A partner's learner hears of people and rules, not of deals or money; its seller of deals, not of money."""
    partner_id = done(await (await it.who("northwind")).get("/v1/me"))["partner_id"]
    ada, deal_id = await it.who("ada"), await register(it, "northwind")
    people = {role: await joined(ada, partner_id, f"{role}-listens", [role]) for role in ("learner", "seller")}
    await it.settle()
    seen = {role: await feed(await it.who(person_id)) for role, person_id in people.items()}
    assert {one["source"] for one in seen["learner"]} <= {"onboarding", "gateway"}
    assert {one["source"] for one in seen["learner"]} == {"onboarding"}
    assert "registration" in {one["source"] for one in seen["seller"]}
    assert "incentives" not in {one["source"] for one in seen["seller"]}
    learner = await it.who(people["learner"])
    assert [
        (await learner.get(path)).status for path in (f"/v1/timeline/{deal_id}", "/v1/deals", "/v1/search?q=cu")
    ] == [403] * 3
    async with await opened(it, people["learner"]) as stream:
        await register(it, "northwind")
        await joined(ada, partner_id, "one-more", ["learner"])
        await stream.until(lambda one: any("MembershipStarted" in told.type for told in one.told))
    assert {told.item["source"] for told in stream.told} == {"onboarding"}


@pytest.mark.parametrize(
    "cursor",
    ["x", "e30", "AAAA", "bm9wZQ.0000000000000000", "é", "." * 900, "eyJyZWdpc3RyYXRpb24iOjFlMzB9", "W10.x", "%00"],
)
async def test_a_cursor_that_no_feed_gave_is_refused(it: System, cursor: str) -> None:
    north = await it.who("northwind")
    answer = await north.get(f"/v1/events?cursor={cursor}")
    assert answer.status in (400, 422)
    assert (await north.get("/v1/stream", last_event_id=cursor)).status == 400


async def test_a_cursor_serves_its_own_list_and_tenant_alone(it: System) -> None:
    north, ada = await it.who("northwind"), await it.who("ada")
    for _ in range(2):
        await register(it, "northwind")
    _, place = await feed_cursor(it, "northwind")
    cursor = done(await north.get("/v1/registration/deals?limit=1"))["next_cursor"]
    tampered = ("B" if cursor.startswith("A") else "A") + cursor[1:]
    assert (await north.get(f"/v1/registration/deals?limit=1&cursor={cursor}")).status == 200
    for path in (
        f"/v1/registration/deals?limit=1&sort=close_on&cursor={cursor}",
        f"/v1/deals?cursor={cursor}",
        f"/v1/events?cursor={cursor}",
        f"/v1/registration/deals?cursor={place}",
        f"/v1/onboarding/partners?cursor={cursor}",
        f"/v1/registration/deals?cursor={cursor[:-1]}",
        f"/v1/registration/deals?cursor={tampered}",
    ):
        answer = await north.get(path)
        assert (answer.status, answer.json()["slug"]) == (400, "bad-request"), path
    assert (await ada.get(f"/v1/staff?cursor={cursor}")).status == 400


async def test_who_is_signed_out_hears_nothing_more(it: System, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "HEARTBEAT_SECONDS", 0.05)
    ada = await it.who("ada")
    body = {"handle": "eve", "name": "Eve", "mail": "eve@acme.example", "roles": ["admin"]}
    done(await ada.post("/v1/staff", body, key=key()), 201)
    eve = done(await (await it.who("eve")).get("/v1/me"))["subject"]
    async with await opened(it, "eve") as stream:
        deal_id = await register(it, "northwind")
        await stream.until(mentions(deal_id))
        done(await ada.post(f"/v1/staff/{eve}/end", key=key()))
        await stream.until(lambda one: one.ended)
        unheard = await register(it, "northwind")
        await it.settle()
        assert not mentions(unheard)(stream)


async def test_nobody_and_no_key_of_narrower_scope_listens(it: System) -> None:
    async with streaming(it.front._app, {}) as stream:
        assert stream.status == 401
    body = {"name": "Narrow", "scopes": ["registration:read"]}
    narrow = done(await (await it.who("northwind")).post("/v1/clients", body, key=key()), 201)["key"]
    async with streaming(it.front._app, {"authorization": f"Bearer {narrow}"}) as stream:
        assert stream.status == 403


async def test_one_subject_opens_so_many_streams_and_no_more(it: System, monkeypatch: pytest.MonkeyPatch) -> None:
    hub: Hub = it.services["gateway"].application.ports.hub
    monkeypatch.setattr(hub, "_each_max", 2)
    async with await opened(it, "faye") as one, await opened(it, "faye") as two:
        assert (one.status, two.status) == (200, 200)
        token = (await it.who("faye"))._token
        answer = await it.front.signed_in(token).get("/v1/stream")
        assert (answer.status, answer.json()["slug"]) == (429, "too-many-streams")
        assert int(answer.headers["retry-after"]) > 0
        async with await opened(it, "finn") as another:
            assert another.status == 200
    await asyncio.sleep(0)
    async with await opened(it, "faye") as again:
        assert again.status == 200


# The hub


async def test_a_slow_listener_is_cut_and_a_closed_hub_takes_nobody_for_long(it: System) -> None:
    hub = Hub(streams_max=2, streams_each_max=1)
    [seen] = await some(it)
    with hub.listening(seen.tenant, "a") as slow, hub.listening(seen.tenant, "b"):
        with pytest.raises(TooManyStreams):
            hub.check_room(seen.tenant, "c")
        for _ in range(UNSENT_MAX + 10):
            hub.tell(seen)
        heard = [slow.get_nowait() for _ in range(slow.qsize())]
        assert len(heard) == UNSENT_MAX + 1
        assert heard[-1] is None
    assert hub.streams == 0
    hub.close()
    with hub.listening(seen.tenant, "a") as late:
        assert late.get_nowait() is None


async def some(it: System) -> list[Any]:
    store = it.services["registration"].store
    return [recorded.seen("registration") for recorded in await store.feed(0, 1)]


async def test_each_subject_has_room_of_its_own(it: System) -> None:
    hub = Hub(streams_max=10, streams_each_max=1)
    with hub.listening("acme", "a"):
        hub.check_room("acme", "b")
        hub.check_room("beta", "a")
        with pytest.raises(Problem):
            hub.check_room("acme", "a")
