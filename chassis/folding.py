"""From facts to changed documents, without I/O: what a runner hands to the read store, and what tests call directly.

A fact counts once for a document. Two things see to it: the checkpoint of its lane (for its tenant or for the whole
source), written with the documents, and the document's own guard.
"""

from collections.abc import Iterable, Mapping, Sequence

from chassis.event import Seen
from chassis.projection import Projection
from chassis.read_store.port import WHOLE, Aside, Change, DocumentKey, Kept, ProjectionFailed

Step = tuple[Seen, tuple[str, ...]]
"""A fact and the ids of the documents that it changes."""

NEVER = Kept(None, {})


def steps_of(projection: Projection, facts: Iterable[Seen]) -> list[Step]:
    """The facts that concern some document, with their documents. Raises ProjectionFailed when a key raises."""
    return [(seen, ids) for seen in facts if (ids := _documents_of(projection, seen))]


def _documents_of(projection: Projection, seen: Seen) -> tuple[str, ...]:
    try:
        return projection.documents_of(seen)
    except Exception as error:
        raise _failed(projection, "keys", seen, error) from error


def fold(
    projection: Projection,
    lane: str,
    steps: Iterable[Step],
    kept: Mapping[DocumentKey, Kept],
    checkpoints: Mapping[str, int],
) -> dict[DocumentKey, Kept]:
    """The documents that the steps change, each folded over all of its facts."""
    changed: dict[DocumentKey, Kept] = {}
    whole, evolve = checkpoints.get(WHOLE, 0), projection.evolve
    for seen, ids in steps:
        tenant, position = seen.tenant, seen.position
        if position <= whole or position <= checkpoints.get(tenant, 0):
            continue
        for document_id in ids:
            key = (tenant, document_id)
            before = changed.get(key) or kept.get(key, NEVER)
            if before.guards.get(lane, 0) < position:
                try:
                    document = evolve(before.document, seen)
                except Exception as error:
                    raise _failed(projection, "evolve", seen, error) from error
                changed[key] = Kept(document, {**before.guards, lane: position})
    return changed


def _failed(projection: Projection, function: str, seen: Seen, error: Exception) -> ProjectionFailed:
    place = f"{seen.type} at {seen.source} {seen.position} ({seen.id})"
    return ProjectionFailed(f"{projection.model}: {function} raised {error!r} on {place}")


def change_of(
    projection: Projection,
    model: str,
    lane: str,
    facts: Iterable[Seen],
    reached: Mapping[str, int],
    asides: Sequence[Aside] = (),
) -> Change:
    """The change that applies the facts of one lane to one version of the model. Raises ProjectionFailed."""
    steps = steps_of(projection, facts)
    keys = dict.fromkeys((seen.tenant, document_id) for seen, ids in steps for document_id in ids)
    return Change(
        model=model,
        lane=lane,
        keys=list(keys),
        fold=lambda kept, checkpoints: fold(projection, lane, steps, kept, checkpoints),
        reached=reached,
        asides=asides,
    )
