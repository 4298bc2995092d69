"""Tests of a projection without a store: `project(BOARD, told(...))`, and `assert_repeatable` for what every one owes.

def test_an_approved_deal_leaves_the_queue() -> None:
    seen = [*told(DealRegistered(...), DealApproved(...)), *told(DealWon(...), source="attribution")]

    assert project(DEAL_BOARD, seen) == {"r-1": {"stage": "approved", ...}}
    assert_repeatable(DEAL_BOARD, seen)
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain, zip_longest
from typing import Any

import orjson

from chassis.event import Actor, Seen, stable_id
from chassis.folding import fold, steps_of
from chassis.projection import Projection, is_public, publisher
from chassis.read_store.port import WHOLE, Document, DocumentKey, Kept, canonical

TENANT = "t-1"
AT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BY = Actor(kind="vendor", subject="staff-1")
OWN = "own"


def told(
    *events: Any,
    source: str | None = None,
    tenant: str = TENANT,
    stream: str = "thing-1",
    first: int = 1,
    at: datetime = AT,
    actor: Actor | None = BY,
) -> list[Seen]:
    """The events as a reader meets them: positions and versions count from `first`, ids are stable.

    Public events come from the service that publishes them, others from `OWN`, unless `source` says otherwise.
    """
    places = enumerate(events, start=first)
    told = {"tenant": tenant, "stream": f"{tenant}:{stream}", "recorded_at": at, "actor": actor}
    return [_told(event, place, source or _source(event), told) for place, event in places]


def _source(event: Any) -> str:
    return publisher(type(event)) if is_public(type(event)) else OWN


def _told(event: Any, place: int, source: str, told: Mapping[str, Any]) -> Seen:
    return Seen(
        id=stable_id("told", source, told["tenant"], place),
        type=event.type,
        source=source,
        version=place,
        position=place,
        command_id=stable_id("command", source, told["tenant"], place),
        causation_id=None,
        correlation_id=None,
        event=event,
        **told,
    )


def project(projection: Projection, seen: Iterable[Seen], tenant: str = TENANT) -> dict[str, Document]:
    """The documents of one tenant after the facts, by id. Each passes through JSON after every fact, as in a store."""
    return {one: document for (owner, one), document in _one_by_one(projection, seen).items() if owner == tenant}


def assert_repeatable(projection: Projection, seen: Sequence[Seen]) -> None:
    """What every projection owes: repeats, other batches and other orders between sources change nothing."""
    expected = _one_by_one(projection, seen)
    again = "gives other documents when"
    name = projection.model
    assert _one_by_one(projection, chain.from_iterable((fact, fact) for fact in seen)) == expected, (
        f"{name} {again} each fact comes twice"
    )
    assert _one_by_one(projection, [*seen, *seen]) == expected, f"{name} {again} all facts come again"
    assert _together(projection, seen) == expected, f"{name} {again} the facts come in one batch"
    for order in _orders(seen):
        assert _one_by_one(projection, order) == expected, f"{name} {again} its sources come in another order"


def _one_by_one(projection: Projection, seen: Iterable[Seen]) -> dict[DocumentKey, Document]:
    kept: dict[DocumentKey, Kept] = {}
    reached: dict[tuple[str, str], int] = {}
    for fact in seen:
        done = reached.get((fact.source, fact.tenant), 0)
        before = {key: canonical(value.document) for key, value in kept.items() if value.document is not None}
        changed = fold(projection, fact.source, steps_of(projection, [fact]), kept, {fact.tenant: done})
        _assert_untouched(projection, fact, before, kept)
        kept.update({key: _stored(value) for key, value in changed.items()})
        reached[fact.source, fact.tenant] = max(done, fact.position)
    return _documents(kept)


def _together(projection: Projection, seen: Sequence[Seen]) -> dict[DocumentKey, Document]:
    kept: dict[DocumentKey, Kept] = {}
    for source in dict.fromkeys(fact.source for fact in seen):
        facts = [fact for fact in seen if fact.source == source]
        changed = fold(projection, source, steps_of(projection, facts), kept, {WHOLE: 0})
        kept.update({key: _stored(value) for key, value in changed.items()})
    return _documents(kept)


def _assert_untouched(
    projection: Projection, fact: Seen, before: dict[DocumentKey, bytes], kept: dict[DocumentKey, Kept]
) -> None:
    changed = [key for key, body in before.items() if canonical(kept[key].document or {}) != body]
    assert not changed, f"{projection.model}: evolve changed the document it was given on {fact.type}; return a new one"


def _stored(kept: Kept) -> Kept:
    document = orjson.loads(canonical(kept.document)) if kept.document is not None else None
    return Kept(document, kept.guards)


def _documents(kept: dict[DocumentKey, Kept]) -> dict[DocumentKey, Document]:
    return {key: value.document for key, value in sorted(kept.items()) if value.document is not None}


def _orders(seen: Sequence[Seen]) -> Iterable[list[Seen]]:
    """Other orders that a reader may meet: each source's facts of a tenant in theirs, the sources in any."""
    lanes: dict[tuple[str, str], list[Seen]] = {}
    for fact in seen:
        lanes.setdefault((fact.source, fact.tenant), []).append(fact)
    parts = list(lanes.values())
    yield list(chain.from_iterable(parts))
    yield list(chain.from_iterable(reversed(parts)))
    yield [fact for row in zip_longest(*parts) for fact in row if fact is not None]
    yield [fact for row in zip_longest(*reversed(parts)) for fact in row if fact is not None]
