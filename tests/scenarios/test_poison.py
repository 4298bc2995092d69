"""A message that a reaction cannot carry out: parked, what follows of its subject waits, all else goes on, replay heals."""

import html
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from chassis.service import Service
from chassis.transport.kafka import KafkaTransport, Settings, make_topics, sender
from chassis.transport.port import Message, Transport, topic_of
from contracts.catalogue import SERVICES
from services.attribution.domain.opening import OpenOpportunity
from tests.engines.kafka import Broker
from tests.scenarios.main_job import DEALS, deal
from tests.scenarios.proofs import every_log_is_what_it_was, every_model_can_be_made_again
from tests.scenarios.system import System, done, running_system, until
from tests.scenarios.test_money_pages import portal_of

PARKED = "/v1/attribution/parked"
AMENDED = {"amount": {"amount": "21000.00", "currency": "EUR"}}


async def test_a_poison_message_is_parked_and_healed_in_one_process(tmp_path: Path) -> None:
    await poisoned_and_healed(tmp_path, None)


async def test_a_poison_message_is_parked_and_healed_over_kafka(tmp_path: Path, broker: Broker) -> None:
    settings = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
    await make_topics([topic_of(service) for service in SERVICES], settings)
    await poisoned_and_healed(tmp_path, KafkaTransport(settings))


async def poisoned_and_healed(data: Path, transport: Transport | None) -> None:
    async with running_system(data, transport) as it:
        bad, good = [await registered(it, name) for name in ("Fabrikam", "Tailspin")]
        with bug(it.services["attribution"], OpenOpportunity, lambda wish: wish.registration_id == bad):
            await approved(it, bad)
            await until(lambda: parked(it, "parked"))
            done(await (await it.who("northwind")).post(f"{DEALS}/{bad}/amend", AMENDED, key="amend"))
            await until(lambda: parked(it, "waiting"))
            await approved(it, good)
            await until(lambda: opportunity(it, good))
            assert await opportunity(it, bad) is None
            await stays_parked_while_the_bug_is_there(it)
        await nobody_but_an_operator_gets_at_it(it)
        await replayed(it)
        await until(lambda: opportunity(it, bad))
        await until(lambda: none_parked(it))
        await it.settle()
        assert await told_of(it, bad) == ["attribution.OpportunityOpened.v1", "attribution.RegistrationFollowed.v1"]
        await every_model_can_be_made_again(it)
    await every_log_is_what_it_was(data)


async def registered(it: System, customer: str) -> str:
    north = await it.who("northwind")
    wish = deal(f"{customer} GmbH", f"www.{customer.lower()}.de")
    made: str = done(await north.post(DEALS, wish, key=f"deal-{customer}"), 201)["registration_id"]
    return made


async def approved(it: System, registration_id: str) -> None:
    done(await (await it.who("dora")).post(f"{DEALS}/{registration_id}/approve", key=f"yes-{registration_id[:20]}"))


Fails = Callable[[], Exception]


def a_bug() -> Exception:
    return KeyError("a bug of this release")


@contextmanager
def bug(service: Service, command: type[Any], meets: Callable[[Any], bool], error: Fails = a_bug) -> Iterator[None]:
    """A release of the service whose decision on some commands fails; afterwards the next release, where it is mended."""
    table = service.application.executor.handles
    sound = table[command]

    def broken(wish: Any, *states: Any) -> Any:
        if meets(wish):
            raise error()
        return sound.decide(wish, *states)

    table[command] = replace(sound, decide=broken)
    try:
        yield
    finally:
        table[command] = sound


async def parked(it: System, state: str) -> list[Any]:
    operator = await it.who("operator")
    return [row for row in done(await operator.get(PARKED))["items"] if row["state"] == state]


async def opportunity(it: System, registration_id: str) -> Any:
    read = it.services["attribution"].application.read
    found = await read.find("opportunity_board", "acme", where={"registration_id": registration_id})
    return found.items[0] if found.items else None


async def none_parked(it: System) -> bool:
    return await it.parked() == 0


async def told_of(it: System, registration_id: str) -> list[str]:
    """What attribution took over of a registration, in the order in which it did."""
    taken = ("attribution.OpportunityOpened.v1", "attribution.RegistrationFollowed.v1")
    recorded = await it.services["attribution"].store.feed(0, 10_000)
    return [one.type for one in recorded if one.type in taken and one.event.registration_id == registration_id]


async def stays_parked_while_the_bug_is_there(it: System) -> None:
    [row] = await parked(it, "parked")
    assert (row["type"], row["tenant"]) == ("entente.registration.DealApproved.v1", "acme")
    assert row["reason"] == "KeyError: '…'"
    await replayed(it, key="too soon")
    await until(lambda: parked(it, "parked"))
    assert len(await parked(it, "waiting")) >= 1


async def nobody_but_an_operator_gets_at_it(it: System) -> None:
    for name in ("ada", "northwind"):
        who = await it.who(name)
        assert (await who.get(PARKED)).status == 403
        assert (await who.post(f"{PARKED}/replay", {}, key="mine")).status == 403


async def replayed(it: System, key: str = "replay") -> None:
    [row] = await parked(it, "parked")
    operator = await it.who("operator")
    answer = await operator.post(f"{PARKED}/replay", {"subject": row["subject"]}, key=key)
    assert done(answer, 200) == {"released": 1}


# Unreadable


async def test_an_unreadable_record_is_kept_for_two_operators_and_stops_nobody(tmp_path: Path, broker: Broker) -> None:
    settings = Settings(bootstrap=broker.bootstrap, partitions=1, replication=1)
    await make_topics([topic_of(service) for service in SERVICES], settings)
    async with running_system(tmp_path, KafkaTransport(settings)) as it:
        async with sender(settings) as opened:
            headers = [("ce_id", b"\xff\xfe"), ("ce_subject", b"acme:deal-x")]
            await opened._producer.send_and_wait(topic_of("registration"), value=b"{", key=b"acme", headers=headers)
        await until(lambda: parked(it, "parked"))
        good = await registered(it, "Adventure")
        await approved(it, good)
        await until(lambda: opportunity(it, good))
        await discarded_by_two(it)
        assert await parked(it, "parked") == []


async def discarded_by_two(it: System) -> None:
    [row] = await parked(it, "parked")
    assert (row["subject"], row["body"]) == ("acme:deal-x", "{")
    place = {name: row[name] for name in ("group", "topic", "partition", "offset")}
    one, other = await it.who("operator:ann"), await it.who("operator:ben")
    assert done(await one.post(f"{PARKED}/discard", place, key="one"))["state"] == "proposed"
    assert (await one.post(f"{PARKED}/discard", place, key="again")).json()["slug"] == "same-person"
    assert done(await other.post(f"{PARKED}/discard", place, key="two"))["state"] == "discarded"


# What pages say of figures that are not whole


async def test_pages_say_which_figures_miss_a_message_until_their_model_is_rebuilt(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it, portals(it) as (vendor, partner):
        [cards] = [one for one in groups(it, "gateway", "registration") if ".deal_cards__v" in one.name]
        await cards.on_batch([Message(topic=topic_of("registration"), body=b"{", fault="no ce_id")])
        said = "A message could not be read and is missing in deals in brief (gateway), until an operator rebuilds it."
        assert said in await notes_of(vendor)
        assert await notes_of(partner) == ["Some figures may be incomplete."]
        await it.services["gateway"].runner.rebuild("deal_cards")
        assert await notes_of(vendor) == await notes_of(partner) == []


async def test_pages_say_which_figures_a_bug_has_stopped(tmp_path: Path) -> None:
    async with running_system(tmp_path) as it, portals(it) as (vendor, partner):
        assert await notes_of(vendor) == []
        bug_of_model(it.services["registration"], "deal_board")
        await registered(it, "Fabrikam")
        await until(lambda: notes_of(vendor))
        assert await notes_of(vendor) == [
            "A fault has stopped the list of deals (registration): what came since is missing there until a release mends it."
        ]
        assert await notes_of(partner) == ["Some figures may be incomplete."]


@asynccontextmanager
async def portals(it: System) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    async with portal_of(it, await it.who("ada")) as vendor, portal_of(it, await it.who("northwind")) as partner:
        yield vendor, partner


async def notes_of(client: httpx.AsyncClient) -> list[str]:
    """What stands above a page that has nothing to say of itself."""
    text = (await client.get("/events")).text
    return [
        html.unescape(note) for note in re.findall(r'<p class="note (?:warn|bad)" role="status">\s*(.*?)\s*</p>', text)
    ]


def bug_of_model(service: Service, name: str) -> None:
    """A release of the service whose projection fails."""

    def broken(document: Any, seen: Any) -> Any:
        raise a_bug()

    [running] = [one for one in service.runner._running if one.name == name]
    running.projection = replace(running.projection, evolve=broken)


# Old news


async def test_a_partner_that_was_reinstated_stays_so_when_the_old_event_comes_again(tmp_path: Path) -> None:
    async with suspended_and_reinstated(tmp_path) as it:
        partner_id, old = await the_suspension(it)
        for service, source in (
            ("registration", "onboarding"),
            ("incentives", "onboarding"),
            ("gateway", "onboarding"),
        ):
            for group in groups(it, service, source):
                await group.on_batch([old])
                await group.on_batch([old])
        await it.settle()
        await may_do_everything(it, partner_id)
        await every_model_can_be_made_again(it)


@asynccontextmanager
async def suspended_and_reinstated(data: Path) -> AsyncIterator[System]:
    async with running_system(data) as it:
        ada, north = await it.who("ada"), await it.who("northwind")
        mine = done(await north.get("/v1/me"))["partner_id"]
        wish = {"scopes": ["new_business", "payouts", "access"], "reason_code": "audit"}
        done(await ada.post(f"/v1/onboarding/partners/{mine}/suspend", wish, key="out"))
        await it.settle()
        assert (await north.post(DEALS, deal("Fabrikam", "fabrikam.de"), key="not now")).status in (401, 403, 409)
        done(await ada.post(f"/v1/onboarding/partners/{mine}/reinstate", {}, key="in"))
        await it.settle()
        it.clients.pop("northwind")
        yield it


async def the_suspension(it: System) -> tuple[str, Any]:
    """The partner, and the message that once told of its suspension."""
    onboarding = it.services["onboarding"]
    for recorded in await onboarding.store.feed(0, 10_000):
        message = onboarding.outlet.translate(recorded)
        if message is not None and message.type == "entente.onboarding.PartnerSuspended.v1":
            return message.seen().event.partner_id, message
    raise AssertionError("nobody was suspended")


def groups(it: System, service: str, source: str) -> list[Any]:
    """The groups of a service that hear a source."""
    transport: Any = it.world.transport
    return [g for g in transport._groups.values() if g.topic == topic_of(source) and f".{service}." in g.name]


async def may_do_everything(it: System, partner_id: str) -> None:
    north = await it.who("northwind")
    done(await north.post(DEALS, deal("Fabrikam", "fabrikam.de"), key="now"), 201)
    payee = await it.services["incentives"].application.read.get("payee_gates", "acme", partner_id)
    assert payee is not None
    assert payee["gates"] == []
    card = await it.services["gateway"].application.read.get("partner_cards", "acme", partner_id)
    assert card is not None
    assert card["access"]
