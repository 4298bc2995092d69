"""The envelope of a message as Kafka headers: CloudEvents 1.0 in binary mode.

Reading never fails: what cannot be read becomes the message's `fault`, and the rest of the envelope stands.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import lru_cache
from typing import Any

from chassis.event import iso
from chassis.transport.port import Message, service_of

Header = tuple[str, bytes]
SOURCE = re.compile(r"/entente/([a-z_]+)/([0-9]{1,9})")
SPEC_VERSION = ("ce_specversion", b"1.0")
CONTENT_TYPE = ("content-type", b"application/json")


def written(message: Message) -> list[Header]:
    """The headers that carry the message's envelope; those it arrived with, where it arrived with some."""
    if message.headers:
        return [(name, value or b"") for name, value in message.headers]
    headers = [
        SPEC_VERSION,
        ("ce_id", message.id.encode()),
        ("ce_type", message.type.encode()),
        ("ce_source", f"/entente/{message.source}/{message.epoch}".encode()),
        ("ce_subject", message.stream.encode()),
        ("ce_sequence", b"%020d" % message.position),
        ("ce_tenant", message.tenant.encode()),
        ("ce_streamversion", b"%d" % message.version),
        CONTENT_TYPE,
    ]
    headers += [(name, value.encode()) for name, value in _optional(message) if value]
    return headers


def _optional(message: Message) -> tuple[tuple[str, str | None], ...]:
    return (
        ("ce_time", iso(message.time) if message.time else None),
        ("ce_commandid", message.command_id),
        ("ce_causationid", message.causation_id),
        ("ce_correlationid", message.correlation_id),
        ("traceparent", message.traceparent),
    )


@lru_cache(maxsize=256)
def _source(raw: bytes) -> tuple[str, int]:
    found = SOURCE.fullmatch(raw.decode())
    if found is None:
        raise ValueError(f"{raw!r} is not /entente/<service>/<epoch>")
    return found[1], int(found[2])


def _time(raw: bytes) -> datetime:
    time = datetime.fromisoformat(raw.decode())
    if time.tzinfo is None:
        raise ValueError(f"{raw!r} has no zone")
    return time


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else raw.decode()


FIELDS: dict[str, tuple[str, Callable[[bytes], Any], bool]] = {
    "ce_id": ("id", bytes.decode, True),
    "ce_type": ("type", bytes.decode, True),
    "ce_source": ("source", _source, True),
    "ce_subject": ("stream", bytes.decode, True),
    "ce_time": ("time", _time, True),
    "ce_sequence": ("position", int, True),
    "ce_tenant": ("tenant", bytes.decode, True),
    "ce_streamversion": ("version", int, False),
    "ce_commandid": ("command_id", bytes.decode, False),
    "ce_causationid": ("causation_id", bytes.decode, False),
    "ce_correlationid": ("correlation_id", bytes.decode, False),
    "traceparent": ("traceparent", bytes.decode, False),
}
REQUIRED = frozenset(name for name, (_, _, required) in FIELDS.items() if required)


def message_of(
    headers: Iterable[tuple[str, bytes | None]], body: bytes | None, *, topic: str, partition: int, offset: int
) -> Message:
    """The message that arrived, with a `fault` if its envelope breaks the contract."""
    kept = tuple(headers)
    try:
        return _whole(kept, body, topic, partition, offset)
    except (KeyError, ValueError, TypeError, AttributeError):
        return _marked(kept, body, topic, partition, offset)


def _whole(headers: tuple[Any, ...], body: bytes | None, topic: str, partition: int, offset: int) -> Message:
    """The plain case, written out: it runs for every message, and the careful way takes thrice as long."""
    found = dict(headers)
    source, epoch = _source(found["ce_source"])
    if body is None:
        raise ValueError("there is no body")
    return Message(
        id=found["ce_id"].decode(),
        type=found["ce_type"].decode(),
        source=source,
        epoch=epoch,
        tenant=found["ce_tenant"].decode(),
        stream=found["ce_subject"].decode(),
        version=int(found.get("ce_streamversion", 0)),
        position=int(found["ce_sequence"]),
        time=_time(found["ce_time"]),
        command_id=_text(found.get("ce_commandid")),
        causation_id=_text(found.get("ce_causationid")),
        correlation_id=_text(found.get("ce_correlationid")),
        traceparent=_text(found.get("traceparent")),
        topic=topic,
        partition=partition,
        offset=offset,
        body=body,
        headers=headers,
    )


def _marked(headers: tuple[Any, ...], body: bytes | None, topic: str, partition: int, offset: int) -> Message:
    values, faults = _values(headers)
    if body is None:
        faults.append("there is no body")
    source, epoch = values.pop("source", (service_of(topic), 1))
    return Message(
        **values,
        source=source,
        epoch=epoch,
        topic=topic,
        partition=partition,
        offset=offset,
        body=body or b"",
        headers=tuple((name, value or b"") for name, value in headers),
        fault="; ".join(faults) or None,
    )


def _values(headers: tuple[tuple[str, bytes | None], ...]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    faults = [f"{name} is missing" for name in sorted(REQUIRED - {name for name, _ in headers})]
    for name, raw in headers:
        if field := FIELDS.get(name):
            try:
                values[field[0]] = field[1](raw or b"")
            except ValueError as error:
                faults.append(f"{name}: {error}")
    return values, faults
