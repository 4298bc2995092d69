"""The record of a command: what was asked, what was read, what was answered. It makes retries harmless and decisions provable."""

from typing import Any

import msgspec

from chassis.decider import Problem, stream_name
from chassis.event import Light, event

ACCEPTED, NOTHING, REFUSED = "accepted", "nothing", "refused"
COMMAND = "command"


class At(Light, frozen=True, kw_only=True):
    """A stream and the version it had; 0 when it was empty."""

    stream: str
    version: int


@event("chassis.CommandRecorded.v1")
class CommandRecorded:
    """One command with its outcome: accepted, nothing, or refused with a slug.

    `version` is the first stream's version after it. `guarded` are the streams it decided on and wrote, `read` those
    it only read, both with the version before it.
    `digest` is a keyed hash of the request it came from, so that the same key with another body is told apart.
    """

    command_type: str
    command: msgspec.Raw
    outcome: str
    answer: dict[str, Any]
    version: int = 0
    status: int = 0
    slug: str | None = None
    detail: str | None = None
    fields: dict[str, Any] | None = None
    digest: str | None = None
    guarded: tuple[At, ...] = ()
    read: tuple[At, ...] = ()


def command_stream(tenant: str, command_id: str) -> str:
    """The stream of one command's record."""
    return stream_name(tenant, COMMAND, command_id)


def recorded_refusal(record: CommandRecorded) -> Problem:
    """The refusal that was answered, to be answered again."""
    refusal = type("RecordedRefusal", (Problem,), {"status": record.status, "slug": record.slug, "recorded": True})
    problem: Problem = refusal(record.detail or "", **(record.fields or {}))
    return problem
