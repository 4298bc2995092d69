"""Shows that one stream is what was decided: everything its decisions rest on, and the decisions themselves.

What they rest on are the events of the commands that wrote it, and of every stream they read, up to the version that they
read. Each of these events must be under the newest signed checkpoint; each command is decided again from them.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

import msgspec

from chassis.execution import Handles
from chassis.leaves.port import Leaves
from chassis.leaves.tree import computed
from chassis.merkle import includes, inclusion_proof
from chassis.note import BadNote, Checkpoint, NoteVerifier
from chassis.record import At, CommandRecorded, command_stream
from chassis.segments import StreamContinued
from chassis.store.port import EventStore, Recorded
from chassis.verify import Again, Difference, Report
from chassis.witness import leaf_of

COMMIT_EVENTS_MAX = 1_000
"""The events of one command, its own record the last of them, are looked for so far before that record."""


async def verify_stream(
    store: EventStore, leaves: Leaves, key: NoteVerifier, handles: Iterable[Handles], name: str
) -> Report:
    """Compares what stands in a stream, by its stored name, with what was signed and what would be decided again.

    Open the store freshly for this. A stream without events is a difference.
    """
    try:
        return await _compared(store, leaves, key, handles, name)
    except (msgspec.MsgspecError, UnicodeDecodeError, sqlite3.DatabaseError) as error:
        return Report(compared={"events": 0}, differences=(Difference(0, f"a stored event cannot be read: {error}"),))


async def _compared(
    store: EventStore, leaves: Leaves, key: NoteVerifier, handles: Iterable[Handles], name: str
) -> Report:
    own = await history(store, name)
    commits = [await _commit(store, own[0].tenant, one) for one in _commands(own)]
    again = Again(store, handles)
    for event in (event for commit in commits for event in commit):
        await again.take(event)
    used = {event.position: event for event in (*own, *(e for commit in commits for e in commit))}
    used |= {event.position: event for event in await _read(store, commits)}
    decided = again.report()
    unsigned = [one async for one in _unsigned(leaves, key, used.values())]
    found = [*_missing(own, name), *unsigned, *decided.differences]
    return Report(compared={"events": len(used), **decided.compared}, differences=tuple(found))


async def history(store: EventStore, name: str) -> list[Recorded]:
    """All events of a stream, over all its segments."""
    found = await store.load(name)
    if found and isinstance(found[-1].event, StreamContinued):
        return [*found, *await history(store, found[-1].event.next)]
    return found


def _missing(own: Sequence[Recorded], name: str) -> Iterator[Difference]:
    """What is not there: all of it, or a version in between."""
    if not own:
        yield Difference(0, f"nothing is recorded in {name}")
    for version, event in enumerate(own, start=1):
        if event.version != version:
            yield Difference(event.position, f"version {version} of {name} is gone")
            return


def _commands(own: Iterable[Recorded]) -> list[str]:
    return list(dict.fromkeys(event.command_id for event in own if event.command_id is not None))


async def _commit(store: EventStore, tenant: str, command_id: str) -> list[Recorded]:
    """All that was recorded with a command, itself the last."""
    records = await store.load(command_stream(tenant, command_id))
    if not records:
        return []
    last = records[0].position
    near = await store.feed(max(0, last - COMMIT_EVENTS_MAX), COMMIT_EVENTS_MAX)
    return [one for one in near if one.command_id == command_id and one.tenant == tenant and one.position <= last]


async def _read(store: EventStore, commits: Iterable[Sequence[Recorded]]) -> list[Recorded]:
    """The events of the streams that the commands were decided on, up to the versions that they were decided on."""
    records: list[CommandRecorded] = [commit[-1].event for commit in commits if commit]
    newest: dict[str, int] = {}
    for at in (at for record in records for at in (*record.guarded, *record.read)):
        newest[at.stream] = max(at.version, newest.get(at.stream, 0))
    return [
        event for stream, version in newest.items() for event in await _up_to(store, At(stream=stream, version=version))
    ]


async def _up_to(store: EventStore, at: At) -> list[Recorded]:
    return [event for event in await store.load(at.stream) if event.version <= at.version]


async def _unsigned(leaves: Leaves, key: NoteVerifier, events: Iterable[Recorded]) -> AsyncIterator[Difference]:
    """Each event that the newest checkpoint does not cover as it stands here."""
    latest = await leaves.latest()
    if latest is None:
        yield Difference(0, "no checkpoint is signed yet")
        return
    try:
        signed = Checkpoint.of(key.open(latest[1]))
    except BadNote as error:
        yield Difference(0, f"the newest checkpoint does not hold: {error}")
        return
    for event in events:
        if not await _covered(leaves, signed, event):
            yield Difference(event.position, f"{event.stream} {event.version} is not the event that was signed")


async def _covered(leaves: Leaves, signed: Checkpoint, event: Recorded) -> bool:
    try:
        number = (await leaves.numbers_at([event.position]))[event.position]
        path = await computed(leaves, lambda tree: inclusion_proof(tree, number, signed.size))
    except LookupError:
        return False
    return includes(leaf_of(event), number, signed.size, path, signed.root)
