import asyncio
import signal
import socket
import struct
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvloop
from aiokafka import TopicPartition
from aiokafka.conn import create_conn
from aiokafka.consumer.fetcher import FetchError
from aiokafka.errors import CorruptRecordException, KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from structlog.testing import capture_logs

from chassis.access import Access
from chassis.epoch import LogBehind
from chassis.positions import MemoryPositions
from chassis.process import make_world, running
from chassis.service import Blueprint, Service, assemble
from chassis.settings import ServiceSettings
from chassis.supervision import Backoff
from chassis.testing.feed import MemoryFeed, outlet
from chassis.testing.transport_conformance import Hearing, TransportConformance, Travel, first_times
from chassis.transport.kafka import Copies, KafkaTransport, Settings, copies_of, make_topics, sender
from chassis.transport.port import Lost, topic_of, translated
from tests.engines.kafka import Broker
from tests.faults.wire import wire
from tests.patience import PATIENCE_SECONDS

QUICK = Backoff(first_seconds=0.05, most_seconds=0.5)


def settings_for(bootstrap: str) -> Settings:
    return Settings(bootstrap=bootstrap, partitions=3, replication=1, backoff=QUICK)


def new_name() -> str:
    """A service that no other test uses."""
    return "testing_" + "".join(chr(97 + int(digit, 16)) for digit in uuid.uuid4().hex[:12])


async def new_service(settings: Settings) -> str:
    """The same, with its topic."""
    service = new_name()
    await make_topics([topic_of(service)], settings)
    return service


class TestKafka(TransportConformance):
    @pytest.fixture
    async def travel(self, kafka: str) -> Travel:
        settings = settings_for(kafka)
        return Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))


async def test_making_topics_again_is_harmless(kafka: str) -> None:
    settings = settings_for(kafka)
    service = await new_service(settings)
    await make_topics([topic_of(service)], settings)


async def test_who_starts_before_the_topic_is_made_begins_with_it(kafka: str) -> None:
    settings = settings_for(kafka)
    transport, hearing = KafkaTransport(settings), Hearing()
    travel = Travel(make=lambda: transport, service=new_name())
    async with travel.running(reader=hearing):
        await travel.feed.commit(1, 2)
        await hearing.until(lambda: transport.tasks.failures.get(f"relay {topic_of(travel.service)}", 0) > 0)
        await make_topics([topic_of(travel.service)], settings)
        await hearing.until(lambda: first_times(hearing.numbers()) == [1, 2])


async def test_topics_with_too_few_copies_are_told_of_at_the_start_and_no_others(kafka: str) -> None:
    one_broker = replace(settings_for(kafka), in_sync_min=1)
    service = await new_service(one_broker)
    copies = Copies(topic=topic_of(service), replicas=1, in_sync_min=1)
    assert await copies_of([topic_of(service), "entente.nowhere"], one_broker) == [copies]
    three_brokers = replace(one_broker, replication=3, in_sync_min=2)
    for wanted, told in ((one_broker, []), (three_brokers, ["topic_has_too_few_copies"])):
        transport = KafkaTransport(wanted)
        transport.offer(outlet(MemoryFeed(), service), MemoryPositions())
        with capture_logs() as logs:
            await transport._look_at_copies()
        assert [line["event"] for line in logs] == told


async def test_what_a_topic_tells_beyond_its_log_is_named_and_removed(kafka: str) -> None:
    settings = replace(settings_for(kafka), look_back_records=2)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    transport, told, before = KafkaTransport(settings), outlet(travel.feed, travel.service), Hearing()
    async with travel.running(before=before):
        await travel.feed.commit(1, 2, 3, 4, 5, 6, 7)
        await before.until(lambda: 7 in before.numbers())
    assert await transport.lost(told) == Lost()

    del travel.feed.recorded[3:]  # restored from a backup of before
    lost = await transport.lost(told)
    assert [message.seen().event.number for message in lost.messages] == [4, 5, 6, 7]
    assert (lost.count, lost.read_to) == (4, 7)

    await transport.empty(told.topic)
    assert await transport.lost(told) == Lost()
    travel.feed.epoch, after = 2, Hearing()
    async with travel.running(after=after):
        await after.until(lambda: 3 in after.numbers())
    assert after.numbers() == [1, 2, 3]


async def test_a_topic_that_nobody_has_made_holds_nothing_that_was_lost(kafka: str) -> None:
    transport, told = KafkaTransport(settings_for(kafka)), outlet(MemoryFeed(), new_name())
    assert await transport.lost(told) == Lost()
    await transport.empty(told.topic)


async def test_a_record_that_cannot_be_read_arrives_marked_and_fails_nobody_else(kafka: str) -> None:
    settings = settings_for(kafka)
    service = await new_service(settings)
    travel = Travel(make=lambda: KafkaTransport(settings), service=service)
    async with sender(settings) as opened:
        producer = opened._producer
        for headers, body in (
            ([("ce_id", b"\xff\xfe"), ("ce_subject", b"acme:counter-a")], b"{}"),
            ([("ce_id", None)], b"{}"),
            ([], None),
        ):
            await producer.send_and_wait(topic_of(service), value=body, key=b"acme", headers=headers)
    hearing = Hearing()
    async with travel.running(reader=hearing):
        await hearing.until(lambda: len(hearing.heard) >= 3)
        await travel.feed.commit(4)
        await hearing.until(lambda: len(hearing.heard) >= 4)
    bad, empty, nothing, good = hearing.heard
    assert bad.fault is not None
    assert "; ce_id: 'utf-8' codec can't decode" in bad.fault
    assert bad.subject == "acme:counter-a"
    assert bad.headers == (("ce_id", b"\xff\xfe"), ("ce_subject", b"acme:counter-a"))
    assert empty.fault is not None
    assert nothing.fault is not None
    assert nothing.fault.endswith("; there is no body")
    assert good.seen().event.number == 4


async def test_the_end_of_each_partition_is_known_and_older_epochs_do_not_count(kafka: str) -> None:
    settings = settings_for(kafka)
    service = await new_service(settings)
    feed = MemoryFeed()
    await feed.commit(1, 2, 3)
    async with sender(settings) as opened:
        assert await opened.tails(topic_of(service), 1) == {0: 0, 1: 0, 2: 0}
        sent = await opened.send(translated(outlet(feed, service), feed.recorded))
        (partition,) = sent
        assert sent == {partition: 3}
        assert await opened.tails(topic_of(service), 1) == {0: 0, 1: 0, 2: 0} | sent
        assert partition not in await opened.tails(topic_of(service), 2)
        assert await opened.tails(topic_of(service), 0) == {0: 0, 1: 0, 2: 0} | sent


@pytest.mark.parametrize("epoch", [1, 2])
async def test_a_log_that_its_own_topic_is_ahead_of_does_not_start(kafka: str, tmp_path: Path, epoch: int) -> None:
    """As when a backup of a whole server took back log, desk and read models together: the topic alone knows better."""
    restored = alone(kafka, tmp_path, await told_three_times(settings_for(kafka), epoch))
    with pytest.raises(LogBehind, match=r"the log ends at 0 and was read further \(the topic to 3\).*run `reconcile`"):
        async with running([restored], restored.world):
            pass


async def test_a_relay_that_finds_its_topic_ahead_of_the_log_ends_the_process(kafka: str) -> None:
    """As when the server is taken back while the process runs."""
    settings, ended = settings_for(kafka), asyncio.Event()
    transport = KafkaTransport(settings)
    transport.offer(outlet(MemoryFeed(), await told_three_times(settings)), MemoryPositions())
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    with capture_logs() as logs:
        await transport.start()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await ended.wait()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    await transport.stop()
    [told] = [line["told"] for line in logs if line["event"] == "task_cannot_go_on"]
    assert "the log ends at 0 and was read further (the topic to 3)" in told


async def told_three_times(settings: Settings, epoch: int = 1) -> str:
    """A service whose topic tells of three positions of that epoch."""
    service, feed = await new_service(settings), MemoryFeed(epoch)
    await feed.commit(1, 2, 3)
    async with sender(settings) as opened:
        await opened.send(translated(outlet(feed, service), feed.recorded))
    return service


async def test_a_broker_that_is_away_holds_up_no_start(tmp_path: Path) -> None:
    one = alone("127.0.0.1:1", tmp_path, "testing")
    with capture_logs() as logs:
        async with running([one], one.world):
            pass
    assert "topic_not_asked" in [line["event"] for line in logs]


def alone(kafka: str, data: Path, name: str) -> Service:
    """A service of nothing but its log."""
    blueprint = Blueprint(name=name, handles=(), access=Access({}), routers=(), publish=lambda seen: None)
    settings = ServiceSettings(data=data, kafka=kafka)
    return assemble(blueprint, settings, make_world(settings))


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_a_broker_that_goes_away_loses_nothing_and_comes_back_without_help(broker: Broker, fault: str) -> None:
    settings = replace(settings_for(broker.bootstrap), confirm_seconds=3.0, start_seconds=3.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with travel.running(reader=hearing):
        await travel.feed.commit(*range(1, 101))
        await hearing.until(lambda: len(hearing.heard) >= 100)
        broker.kill() if fault == "killed" else broker.freeze()
        for number in range(101, 301):
            await travel.feed.commit(number)
            await asyncio.sleep(0.03)
        await asyncio.to_thread(broker.start if fault == "killed" else broker.thaw)
        await hearing.until(lambda: 300 in hearing.numbers())
    assert first_times(hearing.numbers()) == list(range(1, 301))


async def test_a_group_that_comes_back_and_finds_nothing_new_is_not_behind(kafka: str) -> None:
    settings = settings_for(kafka)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing, again = Hearing(), Hearing()
    async with travel.running(reader=hearing) as transport:
        await travel.feed.commit(1, 2, 3)
        await hearing.until(lambda: len(hearing.heard) >= 3)
        await travel.noted(transport)
    async with travel.running(reader=again) as transport:
        await again.until(lambda: [(lag.head, lag.behind) for lag in transport.lag()] == [(3, 0)])
    assert again.heard == []


async def test_a_consumer_that_does_not_come_back_into_its_group_is_replaced(kafka: str) -> None:
    settings = replace(settings_for(kafka), outside_seconds=1.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with travel.running(reader=hearing) as transport:
        await travel.feed.commit(1)
        await hearing.until(lambda: 1 in hearing.numbers())
        stops_for_ever(transport)
        await travel.feed.commit(2)
        await hearing.until(lambda: 2 in hearing.numbers())
        await travel.feed.commit(3)
        await hearing.until(lambda: 3 in hearing.numbers())


def stops_for_ever(transport: Any) -> None:
    """The library's consumers have left their group and wait for something that never comes, as after a cut network."""
    for subscription in transport._subscriptions:
        coordinator = subscription._subscriber.consumer._coordinator
        coordinator.ensure_coordinator_known = asyncio.Event().wait
        coordinator.reset_generation()


async def test_a_consumer_that_looks_for_its_coordinator_for_ever_is_replaced(kafka: str) -> None:
    """Seen after a network that was cut: it holds itself for a member, tells nobody that it lives, and cannot commit."""
    settings = replace(settings_for(kafka), outside_seconds=1.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with travel.running(reader=hearing) as transport:
        await travel.feed.commit(1)
        await hearing.until(lambda: 1 in hearing.numbers())
        for subscription in transport._subscriptions:
            coordinator = subscription._subscriber.consumer._coordinator
            coordinator.ensure_coordinator_known = asyncio.Event().wait
            coordinator.coordinator_dead()
        await travel.feed.commit(2)
        await hearing.until(lambda: 2 in hearing.numbers())
        await travel.feed.commit(3)
        await hearing.until(lambda: 3 in hearing.numbers())


@pytest.mark.timeout(300)
async def test_a_consumer_whose_broker_is_away_waits_for_it_as_the_member_that_it_was(broker: Broker) -> None:
    """One that joined anew had its group wait, once the broker was back, until the session of the old member was over."""
    settings = replace(settings_for(broker.bootstrap), outside_seconds=1.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with travel.running(reader=hearing) as transport:
        await travel.feed.commit(1)
        await hearing.until(lambda: 1 in hearing.numbers())
        [subscription] = transport._subscriptions
        await hearing.until(lambda: not subscription._in_hand and subscription._is_fetching())
        broker.kill()
        await hearing.until(subscription._is_outside)
        await asyncio.sleep(4 * settings.outside_seconds)
        assert f"{subscription.topic}>{subscription.group}" not in transport.tasks.failures
        await asyncio.to_thread(broker.start)
        await travel.feed.commit(2)
        await hearing.until(lambda: 2 in hearing.numbers())


async def test_a_consumer_whose_commit_never_returns_is_replaced(kafka: str) -> None:
    """Seen after a network that was cut at that moment: it stays in its group, and reads nothing for five minutes."""
    settings = replace(settings_for(kafka), outside_seconds=1.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with travel.running(reader=hearing) as transport:
        await travel.feed.commit(1)
        await hearing.until(lambda: 1 in hearing.numbers())
        for subscription in transport._subscriptions:
            subscription._subscriber.consumer.commit = asyncio.Event().wait
        await travel.feed.commit(2)
        await hearing.until(lambda: 2 in hearing.numbers())
        await travel.feed.commit(3)
        await hearing.until(lambda: 3 in hearing.numbers())


async def test_a_consumer_whose_fetch_failed_is_replaced(kafka: str) -> None:
    """The library counts that fetch as going on for ever, so that nobody would see the consumer stand still later."""
    settings = replace(settings_for(kafka), outside_seconds=1.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with travel.running(reader=hearing) as transport:
        await travel.feed.commit(1)
        await hearing.until(lambda: 1 in hearing.numbers())
        [subscription] = transport._subscriptions
        consumer = subscription._subscriber.consumer
        where = TopicPartition(topic_of(travel.service), hearing.heard[0].partition)
        consumer._fetcher._records[where] = FetchError(error=CorruptRecordException("on its way"), backoff=0)
        consumer.commit = asyncio.Event().wait
        await travel.feed.commit(2)
        await hearing.until(lambda: 2 in hearing.numbers())
        await travel.feed.commit(3)
        await hearing.until(lambda: 3 in hearing.numbers())


def test_a_connection_that_was_reset_is_a_broken_one_to_the_library_on_uvloop_too(kafka: str) -> None:
    """Its task that keeps metadata ended by it, and whoever looked for a coordinator waited for that task for ever."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        met = runner.run(met_after_a_reset(kafka))
    assert isinstance(met, KafkaConnectionError), repr(met)


async def met_after_a_reset(kafka: str) -> Exception:
    """What somebody who sends all the time meets first, when the other side has reset the connection."""
    host, _, port = kafka.partition(":")
    async with wire(int(port)) as between:
        connection, sent = await create_conn(host, between.front, request_timeout_ms=5_000), []
        for writer in between._open:
            at_once = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        between.cut()
        try:
            while True:
                sent.append(asyncio.ensure_future(connection.send(MetadataRequest([]))))
                await asyncio.sleep(0)
        except Exception as met:  # noqa: BLE001  whatever it is
            return met
        finally:
            await asyncio.gather(*sent, return_exceptions=True)
            await connection.close()


async def test_a_stop_returns_while_the_broker_is_away(broker: Broker) -> None:
    settings = replace(settings_for(broker.bootstrap), stop_seconds=2.0)
    travel = Travel(make=lambda: KafkaTransport(settings), service=await new_service(settings))
    hearing = Hearing()
    async with asyncio.timeout(PATIENCE_SECONDS):
        async with travel.running(reader=hearing):
            await travel.feed.commit(1)
            await hearing.until(lambda: len(hearing.heard) >= 1)
            broker.freeze()
            await travel.feed.commit(2)
    broker.thaw()
