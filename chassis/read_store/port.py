"""The read store: documents of read models, their guards and checkpoints, changed in one atomic step.

Queries name a model by its projection (`deal_board`) and meet its live version; changes name one version
(`deal_board__v2`), so that a new version is filled beside the live one and then swapped in.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import msgspec
import orjson

from chassis.event import frozen

Document = dict[str, Any]
DocumentKey = tuple[str, str]
"""Tenant and id."""

Cursor = tuple[Any, str]
"""Where a page ended: the value it is sorted by and the id. After `orjson` it may come back as a list."""

WHOLE = ""
"""The tenant under which a lane's checkpoint counts for every tenant: all up to it has been applied."""

PAGE_MAX = 1000
VALUES_MAX = 1000
ASIDE_MAX = 1000
"""At most this many kept messages a model; the model is marked incomplete by the first."""


@dataclass(frozen=True)
class Contains:
    """The document's list holds the value, or one of the others: `where={"partner_ids": Contains("p-1")}`."""

    value: str | int
    others: tuple[str | int, ...] = ()

    @classmethod
    def any_of(cls, values: Sequence[str | int]) -> "Contains":
        """One of these values, of which there is at least one."""
        return cls(values[0], tuple(values[1:]))

    @property
    def values(self) -> list[str | int]:
        return [self.value, *self.others]


@frozen
class Range:
    """The document's value is at least `at_least` and below `below`; either may be open."""

    at_least: str | int | None = None
    below: str | int | None = None


Where = Mapping[str, Any]
"""Field to value (equal; None: absent or null), tuple of values (one of them), `Contains` or `Range`. All must hold."""


@dataclass(frozen=True)
class Page:
    """Some documents in the order asked for. `next_cursor` continues after the last one; None at the end."""

    items: list[Document]
    next_cursor: Cursor | None = None


class Kept(msgspec.Struct, frozen=True, gc=False):
    """A document and the last position of each lane that was applied to it. `document` None: there is none any more."""

    document: Document | None
    guards: Mapping[str, int]


Fold = Callable[[Mapping[DocumentKey, Kept], Mapping[str, int]], Mapping[DocumentKey, Kept]]
"""Pure: from the documents kept and the lane's checkpoints by tenant to the documents that change."""


@frozen
class Change:
    """A batch of facts for one version of a model, applied entirely or not at all.

    The store reads `keys` and the lane's checkpoints, calls `fold`, and writes its result and `reached` (tenant to
    position; checkpoints only rise) in the same transaction. Without keys there is nothing to fold.
    """

    model: str
    lane: str
    keys: Sequence[DocumentKey]
    fold: Fold
    reached: Mapping[str, int]
    asides: Sequence["Aside"] = ()


@frozen
class Aside:
    """A message that could not be decoded, kept so that someone can look at it."""

    source: str
    tenant: str
    position: int
    type: str
    id: str
    reason: str
    body: bytes = b""


@frozen
class Model:
    """One version of a read model. Lanes `behind` must be filled from their feeds before live facts count."""

    model: str
    name: str
    version: int
    generation: int
    live: bool
    incomplete: bool = False
    behind: frozenset[str] = frozenset()
    checkpoints: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


TURN = "turn"
"""The field of a deadline's document that tells one due date from another at the same instant."""

DuePlace = tuple[str, str, str]
FIRST: DuePlace = ("", "", "")


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline's document whose time has come."""

    tenant: str
    id: str
    due_at: str
    document: Document

    @property
    def place(self) -> DuePlace:
        """Where it stands among all that are due."""
        return self.due_at, self.tenant, self.id

    @property
    def mark(self) -> str:
        """What is remembered once its command was issued: in another turn the same instant is due anew."""
        return self.due_at + (self.document.get(TURN) or "")


class ProjectionFailed(Exception):
    """A projection's own function raised, or returned what is not plain JSON. Nothing of its batch was written."""


class Retired(Exception):
    """The version of the model has been replaced: there is nothing left to write to."""


class NoSuchModel(LookupError):
    """No projection of this name has ever been prepared in this read store."""


class NotIndexed(ValueError):
    """A query sorts by a field that the projection does not name in `indexes`."""


class Queries(Protocol):
    """What routes and reactions may ask. Everything is asked within one tenant."""

    async def get(self, name: str, tenant: str, document_id: str) -> Document | None: ...

    async def get_many(self, name: str, tenant: str, document_ids: Sequence[str]) -> dict[str, Document]: ...

    async def find(
        self,
        name: str,
        tenant: str,
        where: Where | None = None,
        sort: str = "id",
        after: Sequence[Any] | None = None,
        limit: int = 50,
    ) -> Page:
        """A page sorted by an indexed field and then the id; `-field` turns both round. Absent values come first."""
        ...

    async def count(self, name: str, tenant: str, where: Where | None = None) -> int: ...


Birth = Literal["first", "again"]


class ReadStore(Queries, Protocol):
    """The port of the read store; `chassis.testing.read_store_conformance` holds every adapter to it."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def prepare(
        self, name: str, version: int, indexes: Sequence[str], *, behind: Sequence[str] = (), birth: Birth = "first"
    ) -> Model:
        """The model of this version, made if absent; `again` makes a new generation beside the present one.

        The first model of a name is live at once; any other becomes so, and gets its indexes, by `go_live`. `behind`
        are the lanes of a new one.
        """
        ...

    async def models(self) -> list[Model]: ...

    async def change(self, change: Change) -> None:
        """Applies the change atomically. Raises ProjectionFailed from its fold, Retired when the model is gone."""
        ...

    async def go_live(self, model: str) -> None:
        """Queries meet this model from now on; every other version of its name is dropped."""
        ...

    async def set_behind(self, model: str, lane: str, *, behind: bool) -> None: ...

    async def asides(self, model: str) -> list[Aside]: ...

    async def due(self, name: str, until: str, limit: int, after: DuePlace = FIRST) -> list[Due]:
        """Documents of every tenant with `due_at` up to `until`, not marked issued for it in this turn, oldest first.

        `after` is the place of one that was read: the answer goes on behind it.
        """
        ...

    async def mark_issued(self, name: str, due: Sequence[Due]) -> None: ...

    async def export(
        self, model: str, after: DocumentKey = ("", ""), limit: int = PAGE_MAX
    ) -> list[tuple[DocumentKey, bytes]]:
        """The documents as canonical JSON, sorted by tenant and id: what a rebuild must reproduce byte for byte."""
        ...


async def each(
    read: ReadStore, model: str, tenant: str, where: Where | None = None, sort: str = "id"
) -> AsyncIterator[Document]:
    """All documents of a question in the order asked for, read a page at a time."""
    cursor = None
    while True:
        page = await read.find(model, tenant, where=where, sort=sort, after=cursor, limit=PAGE_MAX)
        for document in page.items:
            yield document
        cursor = page.next_cursor
        if cursor is None:
            return


def canonical(document: Document) -> bytes:
    """The one spelling of a document. Raises TypeError when it is not plain JSON."""
    return orjson.dumps(document, option=PLAIN)


PLAIN = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_SUBCLASS
)
"""Only builtin types: a value that would change its Python type on the way through the store is refused at once."""


def lane_model(name: str, version: int, generation: int) -> str:
    """The name of one collection: `deal_board__v2`, and `deal_board__v2_3` for its third filling."""
    return f"{name}__v{version}" + (f"_{generation}" if generation > 1 else "")


def canonical_of(change: Change, changed: Mapping[DocumentKey, Kept]) -> Iterator[tuple[DocumentKey, Kept, bytes]]:
    """The changed documents with their spelling, empty for one that is gone.

    Raises ProjectionFailed: a document that is not plain JSON is its projection's fault.
    """
    for key, kept in changed.items():
        try:
            yield key, kept, b"" if kept.document is None else canonical(kept.document)
        except TypeError as error:
            raise ProjectionFailed(f"{change.model}: document {key[1]!r} is not plain JSON: {error}") from error


def check_page(limit: int) -> None:
    """Raises ValueError for a page beyond the limit."""
    if not 1 <= limit <= PAGE_MAX:
        raise ValueError(f"a page holds 1 to {PAGE_MAX} documents, not {limit}")


def check_ids(document_ids: Sequence[str]) -> None:
    """Raises ValueError for more documents than one question may name."""
    if len(document_ids) > VALUES_MAX:
        raise ValueError(f"at most {VALUES_MAX} documents at once, not {len(document_ids)}")
