"""A programme's rules by its own name, which is another way to its rulebook."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.registration.service import ADMIN, DESK, OTHER_ADMIN, Running, activated, seller, started

RULES = "/programmes/default/rules"


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        await asked.hear(activated("p1"))
        yield asked


async def published(registration: Running, **body: Any) -> int:
    drafted = await registration.put(ADMIN, RULES, {"body": body})
    assert (drafted.status_code, drafted.json()["rulebook_id"]) == (200, "default"), drafted.text
    version: int = drafted.json()["version"]
    answer = await registration.post(OTHER_ADMIN, f"{RULES}/publish", {"version": version})
    assert answer.status_code == 200, answer.text
    return version


async def test_rules_are_drafted_published_and_read_by_the_name_of_the_programme(registration: Running) -> None:
    version = await published(registration, zone="Europe/London")

    found = (await registration.get(DESK, RULES)).json()
    assert found == (await registration.get(DESK, "/rulebooks/default")).json()
    assert [one["version"] for one in found["versions"]] == [version]
    assert (await registration.get(seller("p1"), RULES)).status_code == 200
    assert (await registration.register("p1"))["status"] == "in_review"


async def test_they_are_held_to_what_every_draft_is(registration: Running) -> None:
    unfit = await registration.put(ADMIN, RULES, {"body": {"approval": [{"role": "nobody"}]}})
    own = await registration.put(ADMIN, RULES, {"body": {}})
    alone = await registration.post(ADMIN, f"{RULES}/publish", {"version": own.json()["version"]})
    other = await registration.put(seller("p1"), RULES, {"body": {}})

    assert (unfit.status_code, unfit.json()["type"].rpartition("/")[2]) == (422, "rules-invalid")
    assert (alone.status_code, alone.json()["type"].rpartition("/")[2]) == (409, "four-eyes")
    assert other.status_code == 403


async def test_rules_of_another_kind_are_no_programme_s(registration: Running) -> None:
    leads = {"rulebook_id": "routing", "kind": "lead_rules", "body": {}}
    await registration.post(ADMIN, "/rulebooks", leads)

    assert (await registration.get(DESK, "/programmes/routing/rules")).status_code == 404
    assert (await registration.get(DESK, "/programmes/unknown/rules")).status_code == 404


async def test_a_programme_s_rules_are_tried_on_what_was_recorded(registration: Running) -> None:
    await published(registration, zone="UTC")
    await registration.register("p1")

    begun = await registration.post(DESK, "/programmes/default/shadow-runs", {"body": {"tenders_allowed": True}})

    assert begun.status_code == 202, begun.text
    path = f"/shadow-runs/{begun.json()['run_id']}"

    async def ready() -> Any:
        answer = (await registration.get(DESK, path)).json()
        return answer if answer["status"] not in ("running", "begun", "waiting") else None

    assert (await registration.seen(ready))["report"]
