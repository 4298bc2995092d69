"""Orders about parked messages: over the operator API and the command line, recorded, and two persons for what is final."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chassis.access import Access
from chassis.asgi import Answer, Api
from chassis.cli import command_line
from chassis.identity import Principal
from chassis.parked import (
    HANDLES,
    DiscardParked,
    DiscardProposed,
    Discards,
    ParkedDiscarded,
    ParkedReplayed,
    ReplayParked,
    SamePerson,
    _identity,
)
from chassis.parking import DONE, PARKED, WAITING, Place
from chassis.process import make_world, running
from chassis.service import Blueprint, Service, World, assemble
from chassis.settings import ServiceSettings
from chassis.testing.feed import MemoryFeed, outlet
from chassis.testing.kit import given
from chassis.transport.port import translated
from chassis.verify import verify_decisions

GROUP, TOPIC = "entente.testing.reactions", "entente.testing"
AT = datetime(2026, 3, 2, 10, tzinfo=UTC)
FIRST = Place(group=GROUP, topic=TOPIC, partition=0, offset=1)
REPLAY, DISCARD = HANDLES
BLUEPRINT = Blueprint(name="testing", handles=(), access=Access({}), routers=(), publish=lambda seen: None)


# Decisions


def test_one_person_proposes_to_discard_and_another_agrees() -> None:
    proposed = DiscardProposed(place=FIRST, proposed_by="ada", proposed_at=AT)
    stream = Discards.at(_identity(FIRST))
    given(DISCARD).when(DiscardParked(place=FIRST, by="ada", now=AT)).then([proposed])
    refused = (
        given(DISCARD, (stream, [proposed])).when(DiscardParked(place=FIRST, by="ada", now=AT)).refused(SamePerson)
    )
    assert refused.fields == {"proposed_by": "ada"}
    given(DISCARD, (stream, [proposed])).when(DiscardParked(place=FIRST, by="grace", now=AT)).then(
        [ParkedDiscarded(place=FIRST, proposed_by="ada", discarded_by="grace", discarded_at=AT)]
    )


def test_what_is_discarded_stays_discarded() -> None:
    gone = ParkedDiscarded(place=FIRST, proposed_by="ada", discarded_by="grace", discarded_at=AT)
    past = [DiscardProposed(place=FIRST, proposed_by="ada", proposed_at=AT), gone]
    given(DISCARD, (Discards.at(_identity(FIRST)), past)).when(
        DiscardParked(place=FIRST, by="mary", now=AT)
    ).then_nothing()


def test_a_replay_says_who_let_how_many_go() -> None:
    given(REPLAY).when(ReplayParked(subject="acme:deal-1", messages=2, by="ada", now=AT)).then(
        [ParkedReplayed(subject="acme:deal-1", messages=2, replayed_by="ada", replayed_at=AT)]
    )


# Over HTTP


@dataclass
class Asked:
    """The service, and who asks it."""

    service: Service

    def as_(self, subject: str, kind: str = "operator") -> Api:
        who = Principal(tenant="acme", subject=subject, kind=kind, roles=("admin",))
        return Api(self.service.api, self.service.world.signer.sign(who, "testing"))

    async def discard(self, by: str, key: str, **place: Any) -> Answer:
        body = {"group": GROUP, "topic": TOPIC, "partition": 0, "offset": 1, **place}
        return await self.as_(by).post("/parked/discard", body, key=key)

    async def park(self) -> None:
        """The first message of a is parked, its second waits; one of b is parked too."""
        feed = MemoryFeed()
        for counter in ("a", "a", "b"):
            await feed.commit(7, counter=counter)
        first, second, other = translated(outlet(feed), feed.recorded)
        await self.service.parking.park(GROUP, [(first, PARKED), (second, WAITING)], "ValueError: a bug")
        await self.service.parking.park(GROUP, [(other, PARKED)], "ValueError: a bug")


def build(settings: ServiceSettings, world: World) -> Service:
    return assemble(BLUEPRINT, settings, world)


@pytest.fixture
async def asked(tmp_path: Path) -> AsyncIterator[Asked]:
    settings = ServiceSettings(data=tmp_path)
    world = make_world(settings)
    service = build(settings, world)
    async with running([service], world):
        asked = Asked(service)
        await asked.park()
        yield asked
        report = await verify_decisions(service.store, service.application.executor.every_handles)
        assert report.holds, report.lines()


async def test_operators_see_what_is_parked_where_and_why(asked: Asked) -> None:
    items = (await asked.as_("ada").get("/parked")).json()["items"]
    assert [(item["offset"], item["state"], item["subject"]) for item in items] == [
        (1, "parked", "acme:counter-a"),
        (2, "waiting", "acme:counter-a"),
        (3, "parked", "acme:counter-b"),
    ]
    first = items[0]
    assert (first["type"], first["body"], first["tenant"]) == ("entente.testing.CountTold.v1", '{"number":7}', "acme")
    assert (first["reason"], first["discard_proposed_by"]) == ("ValueError: a bug", None)


@pytest.mark.parametrize("kind", ["vendor", "partner", "service", "anonymous"])
async def test_nobody_but_operators_gets_at_parked_messages(asked: Asked, kind: str) -> None:
    who = asked.as_("ada", kind)
    body = {"group": GROUP, "topic": TOPIC, "partition": 0, "offset": 1}
    assert (await who.get("/parked")).status == 403
    assert (await who.post("/parked/replay", {}, key="r")).status == 403
    assert (await who.post("/parked/discard", body, key="d")).status == 403
    assert await asked.service.parking.count() == 3


async def test_a_replay_lets_a_subject_go_again_is_recorded_and_answers_a_repeat_alike(asked: Asked) -> None:
    answer = await asked.as_("ada").post("/parked/replay", {"subject": "acme:counter-a"}, key="r")
    assert (answer.status, answer.json()) == (200, {"released": 1})
    states = [row.state for row in await asked.service.parking.listed()]
    assert states == ["replay", "waiting", "parked"]
    again = await asked.as_("ada").post("/parked/replay", {"subject": "acme:counter-a"}, key="r")
    assert (again.status, again.body) == (200, answer.body)
    [replayed] = [r for r in await asked.service.store.feed(0, 100) if r.type == "chassis.ParkedReplayed.v1"]
    assert (replayed.tenant, replayed.actor.kind, replayed.actor.subject) == ("shared", "operator", "ada")
    assert (replayed.event.subject, replayed.event.messages, replayed.event.replayed_by) == ("acme:counter-a", 1, "ada")


async def test_two_operators_discard_a_message_and_one_cannot(asked: Asked) -> None:
    proposed = await asked.discard("ada", "one")
    assert proposed.json() == {"state": "proposed", "proposed_by": "ada", "discarded_by": None}
    alone = await asked.discard("ada", "two")
    assert (alone.status, alone.json()["slug"]) == (409, "same-person")
    agreed = await asked.discard("grace", "three")
    assert agreed.json() == {"state": "discarded", "proposed_by": "ada", "discarded_by": "grace"}
    assert (await asked.discard("grace", "three")).body == agreed.body
    assert [row.place.offset for row in await asked.service.parking.runnable(GROUP, TOPIC, 9)] == [2]
    types = [r.type for r in await asked.service.store.feed(0, 100) if r.type != "chassis.CommandRecorded.v1"]
    assert types == ["chassis.DiscardProposed.v1", "chassis.ParkedDiscarded.v1"]


async def test_one_operator_who_asks_many_times_at_once_is_still_one(asked: Asked) -> None:
    answers = await asyncio.gather(*(asked.discard("ada", f"key-{number}") for number in range(8)))
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    assert (await asked.service.parking.find(FIRST)).state == "parked"


async def test_what_is_not_parked_or_settled_cannot_be_discarded(asked: Asked) -> None:
    missing = await asked.discard("ada", "one", offset=99)
    assert (missing.status, missing.json()["slug"]) == (404, "not-found")
    await asked.service.parking.settle(FIRST, DONE)
    settled = await asked.discard("ada", "two")
    assert (settled.status, settled.json()["slug"]) == (409, "already-settled")


# On the command line


def test_the_command_line_orders_the_same_and_names_who(tmp_path: Path) -> None:
    cli, runner = command_line("testing", ServiceSettings, build), CliRunner()

    def said(*words: str) -> tuple[int, str]:
        ended = runner.invoke(cli, ["parked", *words, "--data", str(tmp_path)])
        return ended.exit_code, ended.output.strip()

    asyncio.run(_parked_in(tmp_path))
    place = [GROUP, TOPIC, "0", "1"]
    code, listed = said("list")
    assert (code, listed.splitlines()[0]) == (0, f"parked {GROUP} {TOPIC} 0 1 acme:counter-a: ValueError: a bug")
    assert said("discard", *place, "--by", "ada") == (0, "proposed")
    code, refused = said("discard", *place, "--by", "ada")
    assert (code, refused.split(":")[0]) == (1, "same-person")
    assert said("discard", *place, "--by", "grace") == (0, "discarded")
    assert said("replay", "--by", "ada", "--subject", "acme:counter-b") == (0, "1 released")


async def _parked_in(data: Path) -> None:
    settings = ServiceSettings(data=data)
    world = make_world(settings)
    service = build(settings, world)
    async with running([service], world):
        await Asked(service).park()
