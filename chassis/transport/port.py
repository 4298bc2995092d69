"""What travels between services, and the port through which it does.

A service offers an `Outlet`: its feed and the translation of a recorded event into a public one. Whoever listens
subscribes a group to the topic `entente.<service>` and gets that feed in position order, in batches, at least once.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import msgspec

from chassis.decider import stream_base
from chassis.event import PublicEvent, Seen, UnknownType, decode, encode, frozen
from chassis.tracing import PRODUCER, UNTRACED, Tracer

SERVICE_PREFIX = "entente."
KEPT = frozenset("13579bdf")
"""The last digit of the context of a trace that is kept."""
COMMAND_RECORDED = "chassis.CommandRecorded.v1"


def topic_of(service: str) -> str:
    """The topic on which a service publishes."""
    return f"{SERVICE_PREFIX}{service}"


def service_of(topic: str) -> str:
    """The service that publishes on a topic."""
    return topic.removeprefix(SERVICE_PREFIX)


def reactions_group(service: str) -> str:
    """The group under which a service's reactions read a topic."""
    return f"{topic_of(service)}.reactions"


def group_in(group: str, epoch: int) -> str:
    """The name by which a group reads whose own log is in that epoch: what a restored log did not do is heard again."""
    return group if epoch == 1 else f"{group}.{epoch}"


def projection_group(service: str, projection: str) -> str:
    """The group under which one read model of a service reads a topic."""
    return f"{topic_of(service)}.{projection}"


def relay_name(outlet: "Outlet") -> str:
    """The name under which a relay keeps its position; a new epoch is sent anew, and known events dropped as repeats."""
    return f"relay {outlet.topic}/{outlet.store.epoch}"


class Broken(Exception):
    """A message that cannot be read: its envelope or its body breaks the contract."""


class Message(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One public event on its way: the envelope in fields, the body as JSON bytes.

    `position` is the publishing service's total order, `stream` the subject with a closed segment's `~n` left out.
    `fault` says why an arriving envelope could not be read; then only `topic`, `partition`, `offset`, `headers` and
    `body` can be relied on. `headers` are kept as they arrived, `event` where it need not be decoded.
    """

    id: str = ""
    type: str = ""
    source: str = ""
    epoch: int = 1
    tenant: str = ""
    stream: str = ""
    version: int = 0
    position: int = 0
    time: datetime | None = None
    command_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    topic: str = ""
    partition: int = 0
    offset: int = 0
    body: bytes = b""
    headers: tuple[tuple[str, bytes], ...] = ()
    fault: str | None = None
    event: PublicEvent | None = None
    decoded: Seen | None = None

    @property
    def subject(self) -> str:
        """What must stay in order: the tenant's stream. Messages with one subject are never handled side by side."""
        return self.stream

    def seen(self) -> Seen:
        """The public event and its circumstances, decoded once. Raises UnknownType, or Broken with the reason."""
        if self.decoded is None:
            msgspec.structs.force_setattr(self, "decoded", self._decode())
        assert self.decoded is not None
        return self.decoded

    def _decode(self) -> Seen:
        if self.event is not None:
            return self.seen_as(self.event)
        if self.fault is not None or self.time is None:
            raise Broken(self.fault or "the envelope has no time")
        try:
            return self.seen_as(decode(self.type, self.body))
        except (msgspec.MsgspecError, ValueError) as error:
            raise Broken(f"{self.type}: {error}") from error

    def seen_as(self, event: PublicEvent) -> Seen:
        """The event with this message's circumstances."""
        assert self.time is not None
        return Seen(
            id=self.id,
            type=self.type,
            source=self.source,
            tenant=self.tenant,
            stream=self.stream,
            version=self.version,
            position=self.position,
            recorded_at=self.time,
            actor=None,
            command_id=self.command_id,
            causation_id=self.causation_id,
            correlation_id=self.correlation_id,
            event=event,
            traceparent=self.traceparent,
        )


@frozen
class Undecodable:
    """What a projection gets instead of a `Seen` for a message that cannot be read: it keeps it aside."""

    source: str
    tenant: str
    stream: str
    position: int
    reason: str
    message: Message


def read(message: Message) -> "Seen | Undecodable | None":
    """The event of a message, the marker of one that cannot be read, or None for a type unknown to this release."""
    try:
        return message.seen()
    except UnknownType:
        return None
    except Broken as error:
        return Undecodable(
            source=message.source or service_of(message.topic),
            tenant=message.tenant,
            stream=message.stream,
            position=message.position,
            reason=str(error),
            message=message,
        )


class Feed(Protocol):
    """The part of an event store that a relay reads; see `chassis.store.port.EventStore`."""

    @property
    def epoch(self) -> int: ...

    async def feed(self, after: int, limit: int) -> Sequence[Any]: ...

    async def head(self) -> int: ...

    async def wait_beyond(self, position: int, timeout_seconds: float) -> None: ...

    async def take_lease(self, name: str, holder: str, seconds: float) -> bool: ...

    async def release_lease(self, name: str, holder: str) -> None: ...


@dataclass(frozen=True)
class Outlet:
    """What one service publishes: its feed, and `publish`, which makes a recorded event public or answers None."""

    service: str
    store: Feed
    publish: Callable[[Seen], PublicEvent | None]
    tracer: Tracer = UNTRACED

    @property
    def topic(self) -> str:
        return topic_of(self.service)

    def translate(self, recorded: Any) -> Message | None:
        """The message of one recorded event; None where nothing is public. Records of commands never are."""
        if recorded.type == COMMAND_RECORDED:
            return None
        seen: Seen = recorded.seen(self.service)
        event = self.publish(seen)
        return None if event is None else self._message(seen, event)

    def _message(self, seen: Seen, event: PublicEvent) -> Message:
        return Message(
            id=seen.id,
            type=event.type,
            source=self.service,
            epoch=self.store.epoch,
            tenant=seen.tenant,
            stream=stream_base(seen.stream),
            version=seen.version,
            position=seen.position,
            time=seen.recorded_at,
            command_id=seen.command_id,
            causation_id=seen.causation_id,
            correlation_id=seen.correlation_id,
            traceparent=seen.traceparent,
            topic=self.topic,
            offset=seen.position,
            body=encode(event),
            event=event,
        )


def event_name(type_name: str) -> str:
    """`DealWon` of `entente.attribution.DealWon.v1`."""
    return type_name.split(".")[-2]


@contextmanager
def sending(tracer: Tracer, messages: list[Message]) -> Iterator[list[Message]]:
    """The messages while they are sent: where a trace is kept, each in a span that its readers' spans stand beneath."""
    with ExitStack() as spans:
        yield [_traced(tracer, spans, message) for message in messages] if tracer.on else messages


def _traced(tracer: Tracer, spans: ExitStack, message: Message) -> Message:
    if not message.traceparent or message.traceparent[-1] not in KEPT:
        return message
    span = spans.enter_context(tracer.span(f"send {event_name(message.type)}", message.traceparent, kind=PRODUCER))
    span.note(messaging__destination__name=message.topic, messaging__message__id=message.id)
    return msgspec.structs.replace(message, traceparent=span.traceparent)


def translated(outlet: Outlet, recorded: Iterable[Any]) -> list[Message]:
    """The messages of a stretch of the feed, all or, when a translation fails, none."""
    return [message for message in map(outlet.translate, recorded) if message is not None]


class Positions(Protocol):
    """What readers have finished, kept in the service's own database. A name never set stands at 0."""

    async def get(self, name: str) -> int: ...

    async def set(self, name: str, position: int) -> None: ...

    async def set_many(self, positions: Mapping[str, int]) -> None: ...


OnBatch = Callable[[list[Message]], Awaitable[None]]
"""Handles a batch in order. Returning finishes it; raising holds it, and it comes again after a pause."""


class Lag(msgspec.Struct, frozen=True, kw_only=True):
    """How far one group is: the last position it finished, and the last one its source is known to have."""

    topic: str
    group: str
    finished: int
    head: int
    refused: str | None = None
    """Why the broker does not let it read, where it does not."""

    @property
    def behind(self) -> int:
        return max(0, self.head - self.finished)


@frozen
class Lost:
    """What a topic holds and its service's log does not, because the log was restored from an older backup.

    `messages` are the first of them in position order, `count` how many there are, `read_to` the last one's position.
    """

    messages: Sequence[Message] = ()
    count: int = 0
    read_to: int = 0


class Relaying(Protocol):
    """What brings an outlet's feed to a broker."""

    outlet: Outlet

    async def age_seconds(self, now: datetime) -> float:
        """For how long the oldest public event has waited that the broker has not acknowledged; 0 for none."""
        ...


class Transport(Protocol):
    """Carries the feeds of outlets to subscribed groups. Offers and subscriptions are made before `start`."""

    @property
    def relays(self) -> Sequence[Relaying]:
        """Those of this process; none where groups read the feeds themselves."""
        ...

    async def migrate(self, topics: Sequence[str]) -> None:
        """Makes the topics that are missing; again is harmless."""

    def offer(self, outlet: Outlet, positions: Positions) -> None:
        """Publishes a service's feed on its topic; `positions` remember how far a relay has sent."""

    def subscribe(self, topic: str, group: str, on_batch: OnBatch, positions: Positions) -> None:
        """Hands every message of the topic to `on_batch`: at least once, a tenant's in position order."""

    def listen(self, topic: str, on_batch: OnBatch) -> None:
        """Hands every message from now on to this process, whatever others hear. Nothing is kept of how far it came."""

    async def told_to(self, outlet: Outlet) -> int:
        """The last position that the outlet's topic tells of; 0 where nothing does, or where it cannot be asked now."""
        ...

    async def lost(self, outlet: Outlet) -> Lost:
        """What is told of beyond the end of a log. Raises the broker's error."""
        ...

    async def empty(self, topic: str) -> None:
        """Removes all that the topic holds: a restored log is told from its beginning. Raises the broker's error."""

    async def start(self) -> None: ...

    async def stop(self) -> None:
        """Takes nothing new, finishes the batches in hand, saves positions, closes. Bounded by a setting."""

    def lag(self) -> list[Lag]: ...
