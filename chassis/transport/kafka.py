"""The transport over Apache Kafka: an idempotent aiokafka producer out, FastStream batch subscribers in.

Several calls of these libraries never return while the broker is away, so each await here is bounded, and a producer or
consumer that failed is thrown away, never repaired. Offsets are committed after the batch is done. What made one of
them never return is known, and mended in `kafka_connection`; the bounds stay.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, field, replace
from functools import lru_cache
from operator import attrgetter
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.partitioner import murmur2
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.security import parse_security
from faststream.security import BaseSecurity

from chassis.event import frozen
from chassis.relay import OpenSender, Relay
from chassis.relay import Settings as RelaySettings
from chassis.supervision import Backoff, Tasks, bounded_stop, log
from chassis.transport import kafka_connection  # noqa: F401  before the first connection is made
from chassis.transport.headers import message_of, written
from chassis.transport.port import Lag, Lost, Message, OnBatch, Outlet, Positions

Records = tuple[Any, ...]
KNOWN_POLL_SECONDS = 0.05
LOOK_BACK_POLL_MS = 200
LOST_MAX = 10_000
"""So many lost messages are named one by one."""
TO_THE_END = -1
"""What Kafka takes for the offset of the next record."""
REFUSED = (GroupAuthorizationFailedError, TopicAuthorizationFailedError)
"""The principal has no right to it: somebody has to give it one."""


@frozen
class Settings:
    """Where the broker is, and the limits of every call to it."""

    bootstrap: str
    security: BaseSecurity | None = None
    token_provider: Any = None
    client_id: str = "entente"
    partitions: int = 12
    replication: int = 3
    in_sync_min: int = 2
    retention_days: int = 30
    """How long a group may be away and still find everything."""
    start_seconds: float = 10.0
    confirm_seconds: float = 10.0
    consumer_start_seconds: float = 45.0
    stop_seconds: float = 8.0
    discard_seconds: float = 2.0
    request_timeout_ms: int = 5_000
    metadata_max_age_ms: int = 30_000
    producer_batch_bytes: int = 131_072
    message_bytes_max: int = 1_048_576
    batch_messages: int = 500
    # FastStream sleeps as long again after an empty poll, so this bounds how late the first message of a quiet time is.
    batch_timeout_ms: int = 50
    session_timeout_ms: int = 10_000
    heartbeat_interval_ms: int = 3_000
    consumer_request_timeout_ms: int = 11_000
    max_poll_interval_ms: int = 300_000
    watch_seconds: float = 1.0
    allowed_seconds: float = 10.0
    """A reader that was refused and then goes on so long without another no is one that may read."""
    outside_seconds: float = 30.0
    """A consumer that has been out of its group for so long, or has stood still, while a broker answers, does not come back
    by itself. A broker that has come back may itself need nearly as long to load a group."""
    look_back_records: int = 5_000
    """How many records of a partition are read at once where lost ones are looked for."""
    relay: RelaySettings = field(default_factory=RelaySettings)
    backoff: Backoff = field(default_factory=lambda: Backoff(most_seconds=2.0))
    """Short: what waits when a broker comes back waits for nothing."""

    def client(self) -> dict[str, Any]:
        """What every aiokafka client of this transport is given."""
        return {
            "bootstrap_servers": self.bootstrap,
            "client_id": self.client_id,
            "request_timeout_ms": self.request_timeout_ms,
            "metadata_max_age_ms": self.metadata_max_age_ms,
            **parse_security(self.security),
            **self.bearer(),
        }

    def bearer(self) -> dict[str, Any]:
        """Where every client finds its token, if there are any."""
        return {"sasl_oauth_token_provider": self.token_provider} if self.token_provider else {}


NO_GENERATION = -1
"""What a coordinator of aiokafka holds while its consumer is no member of a group."""


class SendFailed(Exception):
    """Not everything was acknowledged in time: the producer is given up, all is sent again from the saved position."""


class ConsumerEnded(Exception):
    """A subscriber's loop ended though nobody stopped it."""


def topic_config(settings: Settings) -> dict[str, str]:
    """What a topic is set to, whoever makes it."""
    return {
        "cleanup.policy": "delete",
        "min.insync.replicas": str(min(settings.in_sync_min, settings.replication)),
        "retention.ms": str(settings.retention_days * 24 * 3_600 * 1_000),
    }


async def is_there(settings: Settings) -> bool:
    """Whether a broker answers, asked over a connection of its own."""
    client = AIOKafkaClient(**settings.client())
    try:
        await asyncio.wait_for(client.bootstrap(), settings.start_seconds)
    except (KafkaError, OSError, TimeoutError):
        return False
    else:
        return True
    finally:
        await bounded_stop({asyncio.ensure_future(client.close())}, settings.discard_seconds)


@asynccontextmanager
async def _administering(settings: Settings) -> AsyncIterator[Any]:
    admin = AIOKafkaAdminClient(**settings.client())
    try:
        await asyncio.wait_for(admin.start(), settings.start_seconds)
        yield admin
    finally:
        await bounded_stop({asyncio.ensure_future(admin.close())}, settings.discard_seconds)


async def make_topics(topics: Sequence[str], settings: Settings) -> None:
    """Makes the topics that are missing; once, by `migrate`, because brokers make none by themselves.

    Where all are there, made by an administrator, a principal is enough that may make none.
    """
    async with _administering(settings) as admin:
        there = await asyncio.wait_for(admin.list_topics(), settings.start_seconds)
        wanted = [
            NewTopic(
                name=topic,
                num_partitions=settings.partitions,
                replication_factor=settings.replication,
                topic_configs=topic_config(settings),
            )
            for topic in topics
            if topic not in there
        ]
        if not wanted:
            return
        answer = await asyncio.wait_for(admin.create_topics(wanted), settings.start_seconds)
        for topic, code, *_ in answer.topic_errors:
            if code and for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(topic)
        await _known(admin, [topic.name for topic in wanted], settings)


async def _known(admin: Any, topics: Sequence[str], settings: Settings) -> None:
    """Waits until the broker knows topics that its controller has made: it hears of them a moment later.

    They are made in any case, so that a broker which is slow to hear fails nobody.
    """
    with contextlib.suppress(TimeoutError):
        await _heard_of(admin, topics, settings)


async def _heard_of(admin: Any, topics: Sequence[str], settings: Settings) -> None:
    async with asyncio.timeout(settings.start_seconds):
        while any(one["error_code"] for one in await admin.describe_topics(list(topics))):  # noqa: ASYNC110  it tells nobody
            await asyncio.sleep(KNOWN_POLL_SECONDS)


@frozen
class Copies:
    """On how many brokers a topic lies, and how many of them must have a record before it is acknowledged."""

    topic: str
    replicas: int
    in_sync_min: int


async def copies_of(topics: Sequence[str], settings: Settings) -> list[Copies]:
    """How well each topic is kept; one that is not there is left out. Raises the broker's error."""
    async with _administering(settings) as admin, asyncio.timeout(settings.start_seconds):
        found = [one for one in await admin.describe_topics(list(topics)) if not one["error_code"]]
        replicas = {one["topic"]: min(len(part["replicas"]) for part in one["partitions"]) for one in found}
        asked = [ConfigResource(ConfigResourceType.TOPIC, topic, {"min.insync.replicas": None}) for topic in replicas]
        in_sync = {
            topic: int(entries[0][1])
            for answer in (await admin.describe_configs(asked) if asked else ())
            for _, _, _, topic, entries in answer.resources
        }
        return [Copies(topic=topic, replicas=number, in_sync_min=in_sync[topic]) for topic, number in replicas.items()]


def _added(batch: Any, message: Message) -> bool:
    key = message.tenant.encode()
    return batch.append(timestamp=None, key=key, value=message.body, headers=written(message)) is not None


@lru_cache(maxsize=4096)
def partition_of(key: bytes, partitions: int) -> int:
    """Where a key goes, as every Kafka client has it; remembered, because the hash is slow in Python."""
    return int(murmur2(key) & 0x7FFFFFFF) % partitions


class KafkaSender:
    """One idempotent producer. After any failure it is of no further use."""

    def __init__(self, producer: Any, settings: Settings) -> None:
        self._producer, self._settings = producer, settings
        self._sending: list[asyncio.Future[Any]] = []

    async def send(self, messages: Sequence[Message]) -> Mapping[int, int]:
        topic, tails = messages[0].topic, {}
        async with asyncio.timeout(self._settings.confirm_seconds):
            partitions = len(await self._producer.partitions_for(topic))
            for where, batch, last in self._batches(messages, partitions):
                self._sending.append(await self._producer.send_batch(batch, topic, partition=where))
                tails[where] = last
        await self._acknowledged()
        return tails

    def _batches(self, messages: Sequence[Message], partitions: int) -> Iterator[tuple[int, Any, int]]:
        """Whole batches of one partition each, with their last position. A future for each batch is twice as fast."""
        filling: dict[int, tuple[Any, int]] = {}
        for message in messages:
            where = partition_of(message.tenant.encode(), partitions)
            batch, last = filling.get(where) or (self._producer.create_batch(), 0)
            if not _added(batch, message):
                yield where, batch, last
                batch = self._producer.create_batch()
                _added(batch, message)
            filling[where] = batch, message.position
        for where, (batch, last) in filling.items():
            yield where, batch, last

    async def _acknowledged(self) -> None:
        done, pending = await asyncio.wait(self._sending, timeout=self._settings.confirm_seconds)
        if pending:
            raise SendFailed(f"{len(pending)} of {len(self._sending)} batches were not acknowledged in time")
        for future in done:
            # `result()` of a cancelled future raises CancelledError, which passes every `except Exception`.
            if future.cancelled():
                raise SendFailed("the producer gave a batch up")
            future.result()
        self._sending = []

    async def tails(self, topic: str, epoch: int) -> Mapping[int, int]:
        partitions = await asyncio.wait_for(self._producer.partitions_for(topic), self._settings.start_seconds)
        return await read_tails([TopicPartition(topic, number) for number in partitions], epoch, self._settings)

    def forget(self) -> None:
        """Cancels what is still on its way, so that nothing waits for it."""
        for future in self._sending:
            future.cancel()


@asynccontextmanager
async def sender(settings: Settings) -> AsyncIterator[KafkaSender]:
    """A started producer, gone afterwards whatever state the broker is in."""
    producer = AIOKafkaProducer(
        **settings.client(),
        enable_idempotence=True,
        acks="all",
        linger_ms=0,
        max_batch_size=settings.producer_batch_bytes,
        max_request_size=settings.message_bytes_max,
    )
    opened = KafkaSender(producer, settings)
    try:
        await asyncio.wait_for(producer.start(), settings.start_seconds)
        yield opened
    finally:
        opened.forget()
        await _discard(producer, settings)


async def _discard(producer: Any, settings: Settings) -> None:
    stop = asyncio.ensure_future(producer.stop())
    await asyncio.wait({stop}, timeout=settings.discard_seconds)
    if stop.done():
        _note("producer_stop_failed", stop)
        return
    # With an unsendable batch `stop` waits for ever: end its sender by hand, then close the connections.
    stop.cancel()
    task = getattr(producer._sender, "_sender_task", None)  # noqa: SLF001 - the library offers no other way
    if task is not None:
        task.cancel()
    await bounded_stop({asyncio.ensure_future(producer.client.close())}, settings.discard_seconds)


def _note(what: str, task: "asyncio.Task[Any]") -> None:
    if not task.cancelled() and (error := task.exception()):
        log.warning(what, error=repr(error))


async def read_tails(partitions: Sequence[TopicPartition], epoch: int, settings: Settings) -> dict[int, int]:
    """The position in the last record of each partition; 0 where there never was one.

    Left out are a partition whose records have all expired and one that ends with an older epoch or unreadably.
    """
    consumer = AIOKafkaConsumer(**settings.client(), group_id=None, enable_auto_commit=False)
    try:
        await asyncio.wait_for(consumer.start(), settings.start_seconds)
        consumer.assign(list(partitions))
        async with asyncio.timeout(settings.start_seconds):
            ends = await consumer.end_offsets(partitions)
            starts = await consumer.beginning_offsets(partitions)
            found = {where.partition: 0 for where, end in ends.items() if end == 0}
            for where, end in ends.items():
                if end > starts[where]:
                    found.update(await _tail(consumer, where, end, epoch))
        return found
    finally:
        await bounded_stop({asyncio.ensure_future(consumer.stop())}, settings.discard_seconds)


async def _tail(consumer: Any, where: TopicPartition, end: int, epoch: int) -> dict[int, int]:
    consumer.seek(where, end - 1)
    last = _message(await consumer.getone(where))
    return {} if last.fault or last.epoch < epoch else {where.partition: last.position}


async def read_lost(topic: str, head: int, settings: Settings) -> Lost:
    """What the topic holds beyond the position `head`, looked for from the ends of its partitions backwards."""
    consumer = AIOKafkaConsumer(**settings.client(), group_id=None, enable_auto_commit=False)
    try:
        await asyncio.wait_for(consumer.start(), settings.start_seconds)
        partitions = await partitions_of(topic, settings)
        consumer.assign(partitions)
        async with asyncio.timeout(settings.start_seconds):
            starts, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
        found = [
            message
            for where in partitions
            async for message in _beyond(consumer, where, range(starts[where], ends[where]), head, settings)
        ]
    finally:
        await bounded_stop({asyncio.ensure_future(consumer.stop())}, settings.discard_seconds)
    told = sorted({message.position: message for message in found}.values(), key=attrgetter("position"))
    return Lost(messages=tuple(told[:LOST_MAX]), count=len(told), read_to=told[-1].position if told else 0)


async def _beyond(
    consumer: Any, where: TopicPartition, offsets: range, head: int, settings: Settings
) -> AsyncIterator[Message]:
    """The messages of a partition beyond the position, page by page from its end until a page holds none."""
    high = offsets.stop
    while high > offsets.start:
        low = max(offsets.start, high - settings.look_back_records)
        async with asyncio.timeout(settings.confirm_seconds):
            page = [one async for one in _records(consumer, where, range(low, high))]
        beyond = [message for message in map(_message, page) if not message.fault and message.position > head]
        for message in beyond:
            yield message
        high = low if beyond else offsets.start


async def _records(consumer: Any, where: TopicPartition, offsets: range) -> AsyncIterator[Any]:
    consumer.seek(where, offsets.start)
    while await consumer.position(where) < offsets.stop:
        for record in (await consumer.getmany(where, timeout_ms=LOOK_BACK_POLL_MS)).get(where, ()):
            if record.offset < offsets.stop:
                yield record


async def partitions_of(topic: str, settings: Settings) -> list[TopicPartition]:
    """The partitions of a topic; none of one that is not there."""
    async with _administering(settings) as admin, asyncio.timeout(settings.start_seconds):
        [found] = await admin.describe_topics([topic])
        return [TopicPartition(topic, part["partition"]) for part in found["partitions"]]


async def remove_records(topic: str, settings: Settings) -> None:
    """Removes all that the topic holds; the right `Delete` on it is needed. Raises the broker's error."""
    partitions = await partitions_of(topic, settings)
    async with _administering(settings) as admin, asyncio.timeout(settings.start_seconds):
        if partitions:
            await admin.delete_records({where: RecordsToDelete(before_offset=TO_THE_END) for where in partitions})


def _message(record: Any) -> Message:
    return message_of(
        record.headers, record.value, topic=record.topic, partition=record.partition, offset=record.offset
    )


async def parse(batch: Records, original: Callable[[Records], Awaitable[Any]]) -> Any:
    """Keeps the raw records. FastStream's own parser decodes headers and loses a message whose header is not UTF-8."""
    message = await original((replace(batch[0], headers=()),))
    message.raw_message = batch
    return message


async def read_records(message: Any) -> list[Message]:
    """One message a record, readable or not: a bad one must not fail its batch."""
    return [_message(record) for record in message.raw_message]


class _Overheard:
    """Reads what FastStream would log: errors of its own loop, which it tries again for ever and tells nobody."""

    def __init__(self, is_fetching: Callable[[], bool]) -> None:
        self.refused: Exception | None = None
        self.failed: Exception | None = None
        self._is_fetching = is_fetching

    def log(self, _level: int, _said: Any, /, *, exc_info: Any = None, extra: Any = None) -> None:
        if isinstance(exc_info, REFUSED):
            self.refused = exc_info
        elif isinstance(exc_info, KafkaError) and self._is_fetching():
            # The error came out of a fetch, which the library counts as going on from then on: nobody sees it stand still.
            self.failed = exc_info


class _Subscription:
    """One group on one topic, or no group: then from now on, all of it. A `run` is a consumer of its own.

    One that ends is replaced by the supervisor.
    """

    def __init__(self, topic: str, group: str | None, on_batch: OnBatch, settings: Settings) -> None:
        self.topic, self.group = topic, group
        self.failures = 0
        self.finished: dict[int, int] = {}
        self.refused: str | None = None
        self._in_hand = False
        self._on_batch, self._settings = on_batch, settings
        self._subscriber: Any = None

    async def run(self) -> None:
        """Consumes until its loop ends, it is cancelled, or the broker says that it may not: that is raised."""
        overheard = _Overheard(self._is_fetching)
        broker = self._broker(overheard)
        try:
            await asyncio.wait_for(broker.start(), self._settings.consumer_start_seconds)
            await self._watch(overheard)
        except REFUSED as no:
            self.refused = repr(no)
            raise
        finally:
            stop = asyncio.ensure_future(broker.stop())
            await asyncio.shield(bounded_stop({stop}, self._settings.stop_seconds))
            if stop.done():
                _note("consumer_stop_failed", stop)

    async def _watch(self, overheard: _Overheard) -> None:
        watched_seconds = outside_seconds = 0.0
        while any(not task.done() for task in self._subscriber.tasks):
            await asyncio.sleep(self._settings.watch_seconds)
            if no := overheard.refused or overheard.failed:
                raise no
            watched_seconds += self._settings.watch_seconds
            if watched_seconds > self._settings.allowed_seconds:
                self.refused = None
            await self._learn_beginnings()
            out = self._is_outside() or self._stands_still()
            outside_seconds = outside_seconds + self._settings.watch_seconds if out else 0.0
            if outside_seconds > self._settings.outside_seconds:
                if await is_there(self._settings):
                    break
                # Whoever waits for a broker that is away goes on as the member it was; one that joins anew would have its
                # group wait until the old session is over.
                outside_seconds = 0.0
        raise ConsumerEnded(f"{self.group} on {self.topic}")

    async def _learn_beginnings(self) -> None:
        """Where the group went on in partitions of which nothing has come yet: what lies before was finished long ago."""
        consumer = self._subscriber.consumer
        for where in consumer.assignment():
            if where.partition not in self.finished and not self._in_hand:
                with contextlib.suppress(TimeoutError, KafkaError):
                    began = await asyncio.wait_for(consumer.position(where), self._settings.watch_seconds)
                    self.finished.setdefault(where.partition, began)

    def _is_outside(self) -> bool:
        """Whether it is no member of its group: after a network that was cut, the library may never join again.

        Who knows no coordinator tells nobody that it lives, and is put out, though it holds itself for a member: the search
        for one may never return either.
        """
        if self.group is None:
            return False
        coordinator = self._subscriber.consumer._coordinator  # noqa: SLF001  nothing public tells it
        return coordinator.generation == NO_GENERATION or coordinator.coordinator_id is None

    def _is_fetching(self) -> bool:
        consumer = self._subscriber.consumer
        return bool(consumer and consumer._subscription._fetch_count)  # noqa: SLF001  nothing public tells it

    def _stands_still(self) -> bool:
        """Whether it asks for nothing although nothing is in hand: its commit may never return.

        It is a member all the same, until `max_poll_interval_ms` is over.
        """
        if self.group is None or self._in_hand:
            return False
        idle_seconds = self._subscriber.consumer._subscription.fetcher_idle_time  # noqa: SLF001  nothing public tells it
        return bool(idle_seconds > self._settings.watch_seconds)

    def _broker(self, overheard: _Overheard) -> KafkaBroker:
        settings = self._settings
        broker = KafkaBroker(
            settings.bootstrap,
            security=settings.security,
            **settings.bearer(),
            client_id=settings.client_id,
            request_timeout_ms=settings.consumer_request_timeout_ms,
            metadata_max_age_ms=settings.metadata_max_age_ms,
            consumer_only=True,
            allow_auto_create_topics=False,
            # Shorter than a stop may take: who hangs in a commit is cut off before its connections are closed else.
            graceful_timeout=settings.stop_seconds * 3 / 4,
            apply_types=False,
            logger=overheard,
        )
        self._subscriber = broker.subscriber(
            self.topic,
            group_id=self.group,
            batch=True,
            max_records=settings.batch_messages,
            batch_timeout_ms=settings.batch_timeout_ms,
            auto_offset_reset="earliest" if self.group else "latest",
            # Without a group there is nothing to acknowledge, and the library refuses to be told not to.
            ack_policy=AckPolicy.NACK_ON_ERROR if self.group else AckPolicy.ACK_FIRST,
            session_timeout_ms=settings.session_timeout_ms,
            heartbeat_interval_ms=settings.heartbeat_interval_ms,
            max_poll_interval_ms=settings.max_poll_interval_ms,
            parser=parse,
            decoder=read_records,
        )
        self._subscriber(self.take)
        return broker

    async def take(self, messages: list[Message]) -> None:
        """Hands a batch over. A failure is given back after a pause: FastStream repeats it at once, for ever."""
        self._in_hand = True
        try:
            await self._on_batch(messages)
        except Exception as error:
            self.failures += 1
            log.warning("batch_held", group=self.group, topic=self.topic, failures=self.failures, exc_info=error)
            await asyncio.sleep(self._settings.backoff.pause_seconds(self.failures))
            raise
        finally:
            self._in_hand = False
        self.failures, self.refused = 0, None
        for message in messages:
            self.finished[message.partition] = message.offset + 1

    def lag(self) -> Lag:
        consumer = self._subscriber.consumer if self._subscriber is not None else None
        finished = head = 0
        if consumer is None:
            return Lag(topic=self.topic, group=self.group or "", finished=0, head=0, refused=self.refused)
        for where in consumer.assignment():
            done = self.finished.get(where.partition, 0)
            finished += done
            head += max(done, consumer.highwater(where) or 0)
        return Lag(topic=self.topic, group=self.group or "", finished=finished, head=head, refused=self.refused)


class KafkaTransport:
    """Relays out, subscribers in, each in a supervised task. Kafka keeps the groups' positions."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.tasks = Tasks(settings.backoff)
        self.relays: list[Relay] = []
        self._looking: asyncio.Task[None] | None = None
        self._subscriptions: list[_Subscription] = []
        self._listeners: list[_Subscription] = []

    async def migrate(self, topics: Sequence[str]) -> None:
        """Makes the topics that are missing. Raises the broker's error when it does not answer in time."""
        await make_topics(topics, self.settings)

    def offer(self, outlet: Outlet, positions: Positions) -> None:
        """Relays a service's feed to its topic."""
        open_sender: OpenSender = lambda: sender(self.settings)  # noqa: E731
        self.relays.append(Relay(outlet, open_sender, positions, self.settings.relay))

    def subscribe(self, topic: str, group: str, on_batch: OnBatch, positions: Positions) -> None:
        """Adds a group of a topic. Kafka keeps its offsets, so `positions` stay untouched."""
        self._subscriptions.append(_Subscription(topic, group, on_batch, self.settings))

    def listen(self, topic: str, on_batch: OnBatch) -> None:
        """Adds a reader of all partitions without a group: every process has its own, and hears everything."""
        self._listeners.append(_Subscription(topic, None, on_batch, self.settings))

    async def told_to(self, outlet: Outlet) -> int:
        """The last position that the topic tells of. Where the broker does not answer, its relay asks again later."""
        try:
            async with asyncio.timeout(self.settings.start_seconds):
                partitions = await partitions_of(outlet.topic, self.settings)
                tails = await read_tails(partitions, outlet.store.epoch, self.settings) if partitions else {}
        except Exception as error:  # noqa: BLE001  a broker that is away or says no holds up nobody's start
            log.warning("topic_not_asked", topic=outlet.topic, error=repr(error))
            return 0
        return max(tails.values(), default=0)

    async def lost(self, outlet: Outlet) -> Lost:
        """What the topic holds beyond the end of the outlet's log. Raises the broker's error."""
        return await read_lost(outlet.topic, await outlet.store.head(), self.settings)

    async def empty(self, topic: str) -> None:
        """Removes all that the topic holds. Raises the broker's error."""
        await remove_records(topic, self.settings)

    async def start(self) -> None:
        """Starts all relays and subscribers and does not wait for the broker: they come when it does."""
        for relay in self.relays:
            self.tasks.start(f"relay {relay.outlet.topic}", relay.run)
        for subscription in self._subscriptions:
            self.tasks.start(f"{subscription.topic}>{subscription.group}", subscription.run)
        for listener in self._listeners:
            self.tasks.start(f"{listener.topic}>listening", listener.run)
        self._looking = asyncio.create_task(self._look_at_copies(), name="look at topics")

    async def _look_at_copies(self) -> None:
        """Warns once of each topic of ours that a lost broker could take acknowledged records with."""
        try:
            for one in await copies_of([relay.outlet.topic for relay in self.relays], self.settings):
                if one.replicas < self.settings.replication or one.in_sync_min < self.settings.in_sync_min:
                    log.warning("topic_has_too_few_copies", **asdict(one), wanted=self.settings.replication)
        except Exception as error:  # noqa: BLE001  a broker that is away or says no is met again by the relay
            log.warning("topics_not_looked_at", error=repr(error))

    async def stop(self) -> None:
        """Ends intake, lets batches in hand finish and commits them; bounded, whatever state the broker is in."""
        if self._looking is not None:
            self._looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.tasks.stop(self.settings.stop_seconds + 2 * self.settings.discard_seconds)

    def lag(self) -> list[Lag]:
        """How far each group is behind, in records of the partitions that this process holds."""
        return [subscription.lag() for subscription in self._subscriptions]
