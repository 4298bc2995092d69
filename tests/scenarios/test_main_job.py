"""The main job over both transports: what it comes to, that every read model can be made again, that nothing differs."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from chassis.transport.kafka import KafkaTransport, Settings, make_topics
from chassis.transport.port import Transport, topic_of
from contracts.catalogue import SERVICES
from services import first_run
from tests.engines.kafka import Broker
from tests.scenarios.main_job import Story, main_job
from tests.scenarios.proofs import every_log_is_what_it_was, every_model_can_be_made_again, on_files, verified
from tests.scenarios.system import System, assert_alike, begun_alike, comparable, done, ids_in, running_system

STEPS = (
    "registration.DealRegistered",
    "registration.DealApproved",
    "attribution.OpportunityLinked",
    "attribution.DealWon",
    "attribution.CreditAllocated",
    "registration.ProtectionEnded",
    "incentives.PayoutCalculated",
    "attribution.RevenueReversed",
    "incentives.PayoutReversed",
    "incentives.PayoutReleased",
)


async def test_the_main_job_in_one_process(tmp_path: Path) -> None:
    await told_in(tmp_path, None)


async def test_the_main_job_over_kafka_ends_in_the_same_documents(
    tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_run, "POLL_SECONDS", 3_600)  # the CRM is read when the story says so
    settings = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
    await make_topics([topic_of(service) for service in SERVICES], settings)

    await begun_alike(tmp_path / "process", tmp_path / "kafka")
    over_kafka = await told_in(tmp_path / "kafka", KafkaTransport(settings))
    in_process = await told_in(tmp_path / "process", None)

    same = ids_in(over_kafka) & ids_in(in_process)
    assert_alike(comparable(in_process, same), comparable(over_kafka, same))


async def told_in(data: Path, transport: Transport | None) -> dict[str, Any]:
    """Tells the job, sees that all of it holds, and answers the documents that it ended in."""
    async with running_system(data, transport) as it:
        story = await main_job(it)
        await came_out_right(it, story)
        await every_step_says_why(it, story)
        await every_model_can_be_made_again(it)
        assert await it.parked() == 0
        documents = await it.documents()
        for service in it.services.values():
            assert service.witness is not None
            await service.witness.checkpoint()
    await every_log_is_what_it_was(data)
    await one_byte_more_or_less_is_found(data, data.with_name(f"{data.name}-copy"))
    return documents


async def came_out_right(it: System, story: Story) -> None:
    seen = story.seen
    assert seen["preview"]["availability"] == "taken"
    assert seen["waiting"]["status"] == "waiting"
    assert [reason["code"] for reason in seen["waiting"]["reasons"]] == ["rival-ahead"]
    assert [rival["claim"]["registration_id"] for rival in seen["both claims"]["rivals"]] == [story.deal_id]
    assert (seen["first approval"][0], seen["first approval"][1]["slug"]) == (412, "evidence-changed")
    assert seen["approved"]["status"] == "approved"
    assert (seen["approved alone"], seen["submitted early"]) == (403, 409)
    assert seen["statement"]["closing"] == {"amount": "1333.33", "currency": "EUR"}
    assert seen["paid"]["amount"] == {"amount": "1333.33", "currency": "EUR"}
    await public_events_came_out_right(it)
    await the_ledger_balances(it)


async def public_events_came_out_right(it: System) -> None:
    [won] = await it.events("attribution.DealWon")
    assert won["data"]["amount"] == {"amount": "15000.00", "currency": "EUR"}
    final = [one["data"] for one in await it.events("attribution.CreditAllocated") if one["data"]["status"] == "final"]
    assert [[share["percent"] for share in one["shares"]] for one in final] == [["100.00"]]
    [earned] = await it.events("incentives.PayoutCalculated")
    assert earned["data"]["amount"] == {"amount": "2000.00", "currency": "EUR"}
    [reversed_] = await it.events("incentives.PayoutReversed")
    assert reversed_["data"]["amount"] == {"amount": "666.67", "currency": "EUR"}
    assert reversed_["data"]["remaining"] == {"amount": "1333.33", "currency": "EUR"}


async def the_ledger_balances(it: System) -> None:
    finn = await it.who("finn")
    balances = done(await finn.get("/v1/incentives/ledger/balances"))
    assert [(one["currency"], one["total"]) for one in balances["trial_balance"]] == [("EUR", "0.00")]
    assert [(one["cash"], one["payable"]) for one in balances["trial_balance"]] == [("-1333.33", "0.00")]


async def every_step_says_why(it: System, story: Story) -> None:
    """Whoever sees a step of the deal can ask why it happened; who does not see it meets what never was."""
    for name in ("northwind", "ada"):
        who = await it.who(name)
        entries = done(await who.get(f"/v1/timeline/{story.deal_id}"))["entries"]
        kinds = {entry["type"].removeprefix("entente.").removesuffix(".v1") for entry in entries}
        assert kinds >= set(STEPS)
        for entry in entries:
            why = done(await who.get(f"/v1/why/{entry['event_id']}"), 200)
            assert why["event"]["type"] == entry["type"]
    south = await it.who("southbridge")
    assert (await south.get(f"/v1/timeline/{story.deal_id}")).status == 404


async def one_byte_more_or_less_is_found(data: Path, copy: Path) -> None:
    """In a copy, one byte of one stored event is another: the check names its position."""
    shutil.copytree(data, copy)
    changed = {name: change_a_byte(copy / name / "events.db") for name in SERVICES}
    async with on_files(copy) as services:
        found = {service.name: (await verified(service)).first for service in services}
    assert {name: one and one.position for name, one in found.items()} == changed


def change_a_byte(path: Path) -> int:
    """Changes one letter of a stored event in the middle, such that it can still be read. Its position."""
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT position, state FROM stored_events ORDER BY position").fetchall()
        position, state = rows[len(rows) // 2]
        at = state.index(b'"tenant":"') + len(b'"tenant":"')
        database.execute(
            "UPDATE stored_events SET state = ? WHERE position = ?", (state[:at] + b"b" + state[at + 1 :], position)
        )
    database.close()
    return int(position)


async def test_one_door_runs_rules_of_every_kind_again(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it:
        await main_job(it)
        ada = await it.who("ada")
        for kind, rulebook, service in (("plan", "standard", "incentives"), ("deal_rules", "default", "registration")):
            wish = {"kind": kind, "rulebook_id": rulebook, "version": 1}
            begun = done(await ada.post("/v1/shadow-runs", wish, key=f"try-{kind}"), 202)
            await it.services[service].shadow_runs.finished(begun["run_id"])
            found = done(await ada.get(f"/v1/shadow-runs/{begun['run_id']}"))
            assert (found["service"], found["status"], found["report"]["changed"]) == (service, "ready", 0)
            assert found["report"]["decided"] > 0
        unknown = {"kind": "nothing", "rulebook_id": "x", "version": 1}
        assert (await ada.post("/v1/shadow-runs", unknown, key="try-nothing")).status == 404
