"""The same command many times at once: one effect, one answer, also after a restart, also for a refusal."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

from chassis.asgi import Answer, Api
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.system import System, done, running_system

TIMES = 100
WISH = deal("Contoso GmbH", "www.contoso.de")
OTHER_WISH = deal("Contoso GmbH", "www.contoso.de", close_on="2031-04-21")


async def test_a_command_sent_a_hundred_times_at_once_is_done_once_and_answered_alike(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        north = await it.who("northwind")
        first = await all_alike(north, DEALS, WISH, "same")
        assert first[0] == 201
        assert await recorded(it, "registration.DealRegistered.v1") == 1

    async with running_system(tmp_path, beginning=None, opened=False) as it:
        north = await it.who("northwind")
        assert first == await all_alike(north, DEALS, WISH, "same")
        assert await recorded(it, "registration.DealRegistered.v1") == 1


async def test_a_refused_command_sent_a_hundred_times_is_refused_alike_and_recorded_once(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        mine = done(await (await it.who("northwind")).post(DEALS, WISH, key="deal"))["registration_id"]
        path, why = f"{DEALS}/{mine}/reject", {"reason_code": "out-of-programme"}
        done(await (await it.who("dora")).post(path, why, key="no"))
        before = await records(it)
        first = await all_alike(await it.who("dora"), path, why, "no again")
        assert first[0] == 409
        assert await records(it) == before + 1

    async with running_system(tmp_path, beginning=None, opened=False) as it:
        assert first == await all_alike(await it.who("dora"), path, why, "no again")
        assert await records(it) == before + 1


async def test_a_key_stands_for_one_request_of_one_person(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        north, south = await it.who("northwind"), await it.who("southbridge")
        answers = await asyncio.gather(*(north.post(DEALS, body, key="k") for body in (WISH, OTHER_WISH) * 50))
        kinds = Counter((answer.status, answer.json().get("slug")) for answer in answers)
        assert kinds == {(201, None): 50, (422, "key-reused"): 50}
        assert (await south.post(DEALS, WISH, key="k")).status == 201
        mine = next(answer.json()["registration_id"] for answer in answers if answer.ok)
        assert (await north.post(f"{DEALS}/{mine}/withdraw", {}, key="k")).json()["slug"] == "key-reused"

    async with running_system(tmp_path, beginning=None, opened=False) as it:
        north = await it.who("northwind")
        taken = (await north.post(DEALS, WISH, key="k")).status, (await north.post(DEALS, OTHER_WISH, key="k")).status
        assert sorted(taken) == [201, 422]


async def all_alike(who: Api, path: str, body: Any, key: str) -> tuple[int, bytes, str | None]:
    """The one answer of all."""
    answers = await asyncio.gather(*(who.post(path, body, key=key) for _ in range(TIMES)))
    [only] = {_whole(answer) for answer in answers}
    return only


def _whole(answer: Answer) -> tuple[int, bytes, str | None]:
    return answer.status, answer.body, answer.headers.get("etag")


async def recorded(it: System, type_name: str) -> int:
    events = await it.services["registration"].store.feed(0, 10_000)
    return sum(event.type == type_name for event in events)


async def records(it: System) -> int:
    return await recorded(it, "chassis.CommandRecorded.v1")
