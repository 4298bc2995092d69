"""What other deal rules would have decided on what really happened, with all that follows from it."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from chassis.event import LEFT_OUT, Actor
from chassis.execution import Executor, Order
from chassis.shadow_api import ShadowBody, asked_for
from chassis.store.port import Recorded
from chassis.verify import verify_decisions
from contracts.values import AccountId, RegistrationId
from services.registration.domain.deal_commands import MergeDuplicate
from services.registration.domain.deal_events import DealWithdrawn
from tests.registration.service import ADMIN, DESK, OTHER_ADMIN, TENANT, Running, activated, seller, started

RULES = {"minimums": [{"amount": "1000.00", "currency": "EUR"}]}
HIGHER = {"minimums": [{"amount": "20000.00", "currency": "EUR"}]}


@pytest.fixture
async def history(tmp_path: Path) -> AsyncIterator[Running]:
    """North asks first for little, South waits behind it for much; North is approved, then withdraws."""
    async with started(tmp_path) as asked:
        await asked.publish_rules(**RULES)
        for partner in ("north", "south"):
            await asked.hear(activated(partner))
        first = await asked.register("north", amount={"amount": "10000.00", "currency": "EUR"})
        second = await asked.register("south", amount={"amount": "50000.00", "currency": "EUR"})
        assert second["status"] == "waiting"
        await asked.post(DESK, f"/deals/{first['registration_id']}/approve")
        twice = await asked.post(DESK, f"/deals/{second['registration_id']}/approve")
        assert twice.status_code == 409
        await asked.post(seller("north"), f"/deals/{first['registration_id']}/withdraw")
        await asked.until(second["registration_id"], "in_review")
        yield asked


async def shadow(asked: Running, **body: Any) -> dict[str, Any]:
    answer = await asked.post(DESK, "/shadow-runs", {"rulebook_id": "default", **body})
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    await asked.service.shadow_runs.finished(run_id)
    return dict((await asked.get(DESK, f"/shadow-runs/{run_id}")).json())


async def test_done_when_9_a_shadow_run_of_the_same_version_differs_in_nothing(history: Running) -> None:
    run = await shadow(history, version=1)
    assert (run["status"], run["report"]["changed"]) == ("ready", 0)
    assert run["report"]["decided"] > 3


async def test_a_rejected_rival_would_have_kept_nobody_waiting(history: Running) -> None:
    run = await shadow(history, body=HIGHER)
    first, second, *later = [
        (row["command"].split(".")[1], row["old"]["outcome"], row["new"]["outcome"], row["new"]["reasons"])
        for row in run["report"]["rows"]
    ]
    assert first == ("RegisterDeal", "review", "reject", ["below-minimum", "review-required"])
    assert second == ("RegisterDeal", "queue", "review", ["review-required"])
    assert ("ApproveDeal", "wrong-state") in [(command, new) for command, _, new, _ in later]


async def test_a_shadow_run_counts_what_becomes_of_each_partner_and_who_is_asked(history: Running) -> None:
    same, higher = await shadow(history, version=1), await shadow(history, body=HIGHER)
    names = {"north": "north", "south": "south", "deal_desk": "the desk"}

    def counts(run: dict[str, Any]) -> dict[tuple[str, str], tuple[int, int]]:
        return {(one["what"], names[one["of"]]): (one["old"], one["new"]) for one in run["report"]["counts"]}

    assert counts(same) == {
        ("approved", "north"): (1, 1),
        ("asked", "the desk"): (2, 2),
        ("waiting", "south"): (1, 1),
    }
    assert counts(higher) == {
        ("approved", "north"): (1, 0),
        ("approved", "south"): (0, 1),  # the desk's word on it, too early as it was, comes in time
        ("rejected", "north"): (0, 1),
        ("asked", "the desk"): (2, 1),
        ("waiting", "south"): (1, 0),
    }


async def test_a_shadow_run_counts_the_open_deals_that_another_capacity_would_leave(tmp_path: Path) -> None:
    async with started(tmp_path) as asked:
        await asked.publish_rules(capacity=3)
        await asked.hear(activated("north"))
        for sku in ("1", "2", "3"):
            await asked.register("north", products=[{"sku": sku}])

        run = await shadow(asked, body={"capacity": 1})

    assert run["report"]["counts"] == [
        {"what": "asked", "of": "deal_desk", "old": 3, "new": 1},
        {"what": "rejected", "of": "north", "old": 0, "new": 2},
        {"what": "slots", "of": "north", "old": 3, "new": 1},
    ]


async def test_done_when_9_twice_the_same_run_has_one_digest(history: Running) -> None:
    one, two = [await shadow(history, body=HIGHER) for _ in range(2)]
    assert one["report"]["digest"] == two["report"]["digest"]


async def test_processes_of_its_own_report_what_the_service_reports(history: Running) -> None:
    service = history.service
    wish = ShadowBody(rulebook_id="default", body=HIGHER)
    asked = await asked_for(service.application, TENANT, wish, "apart")
    apart = await history.spread().run(asked.candidate, asked.window, lambda *_: None)
    alone = await service.shadow_runs.report(asked, lambda *_: None)
    assert alone.changed > 0
    assert orjson.dumps(apart.as_json()) == orjson.dumps(alone.as_json())


@pytest.fixture
async def merged_before(tmp_path: Path) -> AsyncIterator[Running]:
    """Two deals of North were one, as the first evaluator wrote it down, and South waited; then North's went on."""
    async with started(tmp_path) as asked:
        await asked.publish_rules(**RULES)
        for partner in ("north", "south"):
            await asked.hear(activated(partner))
        gone, stays = [await asked.register("north", products=[{"sku": sku}]) for sku in ("100", "200")]
        rival = await asked.register("south", products=[{"sku": "100"}, {"sku": "200"}])
        merged = MergeDuplicate(
            registration_id=RegistrationId(gone["registration_id"]),
            accounts=(AccountId(gone["account_id"]),),
            into=RegistrationId(stays["registration_id"]),
            into_accounts=(AccountId(stays["account_id"]),),
            by="desk-1",
            now=asked.clock.now(),
        )
        service = asked.service
        first = [one for one in service.application.executor.every_handles if one.evaluator == 1]
        desk = Actor(kind="vendor", subject="desk-1")
        order = Order(command_id="merged-before", tenant=TENANT, actor=desk, correlation_id="merged-before")
        (await Executor(service.store, first, asked.clock).run(order, merged)).made()
        await asked.settle()
        await asked.post(DESK, f"/deals/{stays['registration_id']}/approve")
        more = {"amount": {"amount": "12000.00", "currency": "EUR"}}
        await asked.post(seller("north"), f"/deals/{stays['registration_id']}/amend", more)
        await asked.post(seller("north"), f"/deals/{stays['registration_id']}/withdraw")
        await asked.until(rival["registration_id"], "in_review")
        yield asked


@pytest.mark.parametrize("mode", ["recorded", "full"])
async def test_a_duplicate_that_was_merged_before_others_heard_into_which_deal_runs_again_to_the_same(
    merged_before: Running, mode: str
) -> None:
    """Today's evaluator writes more of it down: no difference of the rules, and nothing that follows differs by it."""
    run = await shadow(merged_before, version=1, mode=mode)

    report = run["report"]
    assert (run["status"], report["changed"], report["rows"]) == ("ready", 0, [])
    assert report["decided"] == 8, "three registrations, then merged, approved, amended, withdrawn, promoted"
    assert [one for one in report["outcomes"] if one["old"] != one["new"]] == []
    assert [one for one in report["counts"] if one["old"] != one["new"]] == []
    assert {(one["what"], one["of"]): one["new"] for one in report["counts"]} == {
        ("approved", "north"): 1,
        ("asked", "deal_desk"): 3,
        ("waiting", "south"): 1,
    }


async def test_verify_proves_a_duplicate_that_was_merged_before_by_the_evaluator_of_then(
    merged_before: Running,
) -> None:
    service = merged_before.service
    [merged] = [one for one in await service.store.feed(0, 1_000) if one.command_id == "merged-before" and at_deal(one)]

    found = await verify_decisions(service.store, service.application.executor.every_handles)

    assert (found.differences, merged.evaluator, merged.event.told_into) == ((), 1, LEFT_OUT)


def at_deal(one: Recorded) -> bool:
    return isinstance(one.event, DealWithdrawn)


async def test_rules_that_name_holidays_are_tried_as_they_would_be_published(history: Running) -> None:
    named = {**RULES, "hours": {"holidays": ["DE-BE"]}, "zone": "Europe/Berlin"}
    tried = await shadow(history, body=named)
    await history.publish_rules(**named)
    published = await shadow(history, version=2)
    assert (tried["version"], tried["sha256"]) == (2, published["sha256"])
    [book] = (await history.get(DESK, "/rulebooks", kind="deal_rules")).json()["items"]
    assert "2026-03-08" in book["versions"][-1]["body"]["hours"]["holiday_dates"]
    body = {"rulebook_id": "default", "body": {"hours": {"holidays": ["DE-history"]}}}
    refused = await history.post(DESK, "/shadow-runs", body)
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (422, "unknown-calendar")


async def publish_in_shadow(asked: Running, **body: Any) -> int:
    drafted = await asked.post(ADMIN, "/rulebooks", {"rulebook_id": "default", "kind": "deal_rules", "body": body})
    version = int(drafted.json()["version"])
    wish = {"version": version, "mode": "shadow"}
    assert (await asked.post(OTHER_ADMIN, "/rulebooks/default/publish", wish)).status_code == 200
    later(asked)
    return version


def later(asked: Running) -> None:
    """Longer than a report counts as fresh."""
    asked.clock.set(asked.clock.now() + timedelta(minutes=10))


async def beside(asked: Running, path: str = "/rulebooks/default/shadow") -> dict[str, Any]:
    begun = (await asked.get(DESK, path)).json()
    await asked.service.shadow_runs.finished(begun["run_id"])
    return dict((await asked.get(DESK, path)).json())


def differences(run: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row["old"]["outcome"], row["new"]["outcome"]) for row in run["report"]["rows"]]


def customer(name: str) -> dict[str, str]:
    return {"name": name, "country": "DE", "website": f"https://www.{name.lower()}.de"}


LITTLE = {"amount": {"amount": "5000.00", "currency": "EUR"}}


async def test_a_version_in_the_shadow_decides_nothing_and_says_what_it_would_have_come_to(history: Running) -> None:
    await publish_in_shadow(history, **HIGHER)
    deal = await history.register("north", customer=customer("Fabrikam"), **LITTLE)
    assert deal["status"] == "in_review"
    head = await history.service.store.head()

    run = await beside(history)

    assert (run["version"], run["live"], run["ends_at"], run["mode"]) == (2, True, None, "recorded")
    assert differences(run) == [("review", "reject")]
    assert run["report"]["rows"][0]["new"]["reasons"][0] == "below-minimum"
    assert await history.service.store.head() == head


async def test_what_was_asked_before_a_version_was_in_the_shadow_is_not_decided_under_it(history: Running) -> None:
    await publish_in_shadow(history, **HIGHER)

    assert (await beside(history))["report"]["decided"] == 0


async def test_the_report_of_a_version_in_the_shadow_follows_what_happens_until_it_ends(history: Running) -> None:
    version = await publish_in_shadow(history, **HIGHER)
    for name in ("Fabrikam", "Litware"):
        await history.register("north", customer=customer(name), **LITTLE)
        later(history)
        assert (await beside(history))["report"]["changed"] == 1 + (name == "Litware")
    ended = await history.post(ADMIN, "/rulebooks/default/end", {"version": version})
    assert ended.status_code == 200, ended.text
    later(history)
    await history.register("north", customer=customer("Northwind"), **LITTLE)
    later(history)

    run = await beside(history)

    assert run["ends_at"] is not None
    assert run["report"]["changed"] == 2


async def test_a_draft_runs_alongside_as_it_was_when_it_was_asked_for(history: Running) -> None:
    later(history)
    await history.post(ADMIN, "/rulebooks", {"rulebook_id": "default", "kind": "deal_rules", "body": HIGHER})
    begun = await history.post(DESK, "/programmes/default/shadow-runs", {"live": True})
    assert begun.status_code == 202, begun.text
    await history.post(ADMIN, "/rulebooks", {"rulebook_id": "default", "kind": "deal_rules", "body": RULES})
    later(history)
    await history.register("north", customer=customer("Fabrikam"), **LITTLE)
    later(history)

    run = await beside(history, f"/shadow-runs/{begun.json()['run_id']}")

    assert differences(run) == [("review", "reject")]
    assert "candidate" not in run
    [listed] = (await history.get(DESK, "/shadow-runs")).json()["items"]
    assert (listed["run_id"], listed["live"], "candidate" in listed) == (run["run_id"], True, False)


async def test_a_draft_that_runs_alongside_until_a_day_hears_nothing_that_comes_later(history: Running) -> None:
    later(history)
    await history.post(ADMIN, "/rulebooks", {"rulebook_id": "default", "kind": "deal_rules", "body": HIGHER})
    until = history.clock.now() + timedelta(minutes=5)
    wish = {"rulebook_id": "default", "live": True, "until_at": until.isoformat()}
    run_id = (await history.post(DESK, "/shadow-runs", wish)).json()["run_id"]
    later(history)
    await history.register("north", customer=customer("Fabrikam"), **LITTLE)
    later(history)

    assert (await beside(history, f"/shadow-runs/{run_id}"))["report"]["decided"] == 0


async def test_partners_do_not_read_what_runs_alongside_and_live_rules_are_not_in_the_shadow(history: Running) -> None:
    assert (await history.get(DESK, "/rulebooks/default/shadow")).status_code == 404
    await publish_in_shadow(history, **HIGHER)
    assert (await history.get(DESK, "/rulebooks/default/shadow", version=1)).status_code == 404
    assert (await history.get(seller("north"), "/rulebooks/default/shadow")).status_code == 403
