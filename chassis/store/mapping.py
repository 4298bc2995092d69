"""How an event stands in the database: the one place that turns commits into stored events and back.

The library's stored event has four fields. `originator_id` is the stream, `originator_version` the version, `topic` the
type; `state` is the JSON of everything else, with the event's own JSON under `data`, untouched.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from eventsourcing.persistence import StoredEvent

from chassis.event import Actor
from chassis.store.port import Commit, NewEvent, Recorded


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The circumstances of an event as stored, absent ones left out. Fields may be added, never renamed."""

    id: str
    recorded_at: datetime
    tenant: str
    actor: Actor
    command_id: str | None = None
    causation_id: str | None = None
    correlation_id: str | None = None
    traceparent: str | None = None
    evaluator: int
    data: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Envelope).decode


def to_stored(commit: Commit) -> list[StoredEvent]:
    """The commit's events in the form the recorders take."""
    return [_stored(commit, new) for new in commit.events]


def _stored(commit: Commit, new: NewEvent) -> StoredEvent:
    envelope = Envelope(
        id=new.id,
        recorded_at=commit.recorded_at,
        tenant=commit.tenant,
        actor=commit.actor,
        command_id=commit.command_id,
        causation_id=commit.causation_id,
        correlation_id=commit.correlation_id,
        traceparent=commit.traceparent,
        evaluator=commit.evaluator,
        data=msgspec.Raw(new.data),
    )
    return StoredEvent(new.stream, new.version, new.type, _encode(envelope))


def at_positions(commit: Commit, stored: Sequence[StoredEvent], positions: Sequence[int]) -> list[Recorded]:
    """The commit's events as `to_recorded` would read them back from their rows, without decoding what is at hand."""
    return [
        Recorded(
            id=new.id,
            type=new.type,
            stream=new.stream,
            version=new.version,
            position=position,
            recorded_at=commit.recorded_at,
            tenant=commit.tenant,
            actor=commit.actor,
            command_id=commit.command_id,
            causation_id=commit.causation_id,
            correlation_id=commit.correlation_id,
            traceparent=commit.traceparent,
            evaluator=commit.evaluator,
            data=msgspec.Raw(new.data),
            stored=row.state,
        )
        for new, row, position in zip(commit.events, stored, positions, strict=True)
    ]


def to_recorded(position: int, stream: str, version: int, type_name: str, state: bytes) -> Recorded:
    """The event of one row. Raises msgspec.ValidationError when the stored envelope is damaged."""
    envelope = _decode(state)
    return Recorded(
        id=envelope.id,
        type=type_name,
        stream=stream,
        version=version,
        position=position,
        recorded_at=envelope.recorded_at,
        tenant=envelope.tenant,
        actor=envelope.actor,
        command_id=envelope.command_id,
        causation_id=envelope.causation_id,
        correlation_id=envelope.correlation_id,
        traceparent=envelope.traceparent,
        evaluator=envelope.evaluator,
        data=envelope.data,
        stored=state,
    )
