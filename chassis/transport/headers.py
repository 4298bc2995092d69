"""The envelope of a message as Kafka headers: CloudEvents 1.0 in binary mode.

Reading never fails: what cannot be read becomes the message's `fault`, and the rest of the envelope stands.
"""

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from chassis.event import iso
from chassis.transport.port import Message, service_of

Header = tuple[str, bytes]
SOURCE = re.compile(r"/entente/([a-z_]+)/([0-9]{1,9})")
SEQUENCE_DIGITS = 20


def written(message: Message) -> list[Header]:
    """The headers that carry the message's envelope; those it arrived with, where it arrived with some."""
    if message.headers:
        return list(message.headers)
    texts = {
        "ce_specversion": "1.0",
        "ce_id": message.id,
        "ce_type": message.type,
        "ce_source": f"/entente/{message.source}/{message.epoch}",
        "ce_subject": message.stream,
        "ce_time": iso(message.time) if message.time else None,
        "ce_sequence": f"{message.position:0{SEQUENCE_DIGITS}d}",
        "ce_tenant": message.tenant,
        "ce_streamversion": str(message.version),
        "ce_commandid": message.command_id,
        "ce_causationid": message.causation_id,
        "ce_correlationid": message.correlation_id,
        "traceparent": message.traceparent,
        "content-type": "application/json",
    }
    return [(name, text.encode()) for name, text in texts.items() if text]


def _source(text: str) -> tuple[str, int]:
    found = SOURCE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not /entente/<service>/<epoch>")
    return found[1], int(found[2])


def _time(text: str) -> datetime:
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return time


FIELDS: dict[str, tuple[str, Callable[[str], Any], bool]] = {
    "ce_id": ("id", str, True),
    "ce_type": ("type", str, True),
    "ce_source": ("source", _source, True),
    "ce_subject": ("stream", str, True),
    "ce_time": ("time", _time, True),
    "ce_sequence": ("position", int, True),
    "ce_tenant": ("tenant", str, True),
    "ce_streamversion": ("version", int, False),
    "ce_commandid": ("command_id", str, False),
    "ce_causationid": ("causation_id", str, False),
    "ce_correlationid": ("correlation_id", str, False),
    "traceparent": ("traceparent", str, False),
}
REQUIRED = frozenset(name for name, (_, _, required) in FIELDS.items() if required)


def message_of(
    headers: Iterable[tuple[str, bytes | None]], body: bytes | None, *, topic: str, partition: int, offset: int
) -> Message:
    """The message that arrived, with a `fault` if its envelope breaks the contract."""
    kept = tuple((name, value or b"") for name, value in headers)
    values, faults = _values(kept)
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
        headers=kept,
        fault="; ".join(faults) or None,
    )


def _values(headers: tuple[Header, ...]) -> tuple[dict[str, Any], list[str]]:
    values: dict[str, Any] = {}
    faults: list[str] = []
    for name, raw in headers:
        if field := FIELDS.get(name):
            try:
                values[field[0]] = field[1](raw.decode())
            except ValueError as error:
                faults.append(f"{name}: {error}")
    if len(values) < len(FIELDS):
        missing = sorted(name for name in REQUIRED - {name for name, _ in headers})
        faults.extend(f"{name} is missing" for name in missing)
    return values, faults
