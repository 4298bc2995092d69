"""The declaration of one read model: which facts concern which documents, and how a fact changes a document.

A projection is data and two pure functions. The runner (`chassis.projecting`) feeds it, the read store keeps its
documents.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chassis.event import PublicEvent, Seen

Document = dict[str, Any]
"""Plain JSON. A projection declares a TypedDict for it; the chassis reads only the fields that `indexes` names."""

Key = Callable[[Seen], str | tuple[str, ...] | None]
"""The ids of the documents that a fact concerns: one, several (at most `KEYS_MAX`), or none (None or ())."""

Evolve = Callable[[Any, Seen], Any]
"""`evolve(document or None, seen)` returns the new document, None to have none. It never raises, never mutates."""

KEYS_MAX = 10_000
"""The most documents that one fact may change."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Projection:
    """One read model of a service.

    `keys` names the facts it reads: event classes of the own service (from the own store's feed) and classes of
    `contracts` (public events of other services). `version` rises whenever `evolve`, `keys` or the meaning of the
    document changes; the new version is then filled beside the live one and swapped in.
    `indexes` are the document fields that queries filter or sort by: `stage`, `account.id` (dots reach into objects),
    `stage,due_at` (both together), `partner_ids[]` (a list that queries ask with `Contains`).
    `sources` may list the services heard; left out, the type names tell it.

    Order is given within one tenant of one source, not between two sources. A document that mixes sources holds their
    contributions under ids of their own, so that every order gives the same document.
    """

    name: str
    version: int
    keys: Mapping[type[Any], Key]
    evolve: Evolve
    indexes: tuple[str, ...] = ()
    sources: Collection[str] = field(default=())

    def __post_init__(self) -> None:
        if not self.name.isidentifier() or "__" in self.name or self.version < 1:
            raise ValueError(f"projection {self.name!r} needs a name like deal_board and a version from 1")
        nameless = [cls.__name__ for cls in self.keys if not getattr(cls, "type", "")]
        if nameless:
            raise ValueError(f"projection {self.name!r} reads classes without a stored name: {nameless}")

    @property
    def model(self) -> str:
        """The name of this version's collection, e.g. `deal_board__v2`."""
        return f"{self.name}__v{self.version}"

    @cached_property
    def own(self) -> Mapping[str, Key]:
        """How facts of the own store find their documents, by type name."""
        return {cls.type: key for cls, key in self.keys.items() if not is_public(cls)}

    @cached_property
    def public(self) -> Mapping[str, Key]:
        """How public events of other services find their documents, by type name."""
        return {cls.type: key for cls, key in self.keys.items() if is_public(cls)}

    @cached_property
    def heard(self) -> frozenset[str]:
        """The other services whose public events this model needs."""
        return frozenset(self.sources) or frozenset(publisher(cls) for cls in self.keys if is_public(cls))

    def documents_of(self, seen: Seen) -> tuple[str, ...]:
        """The ids of the documents that the fact concerns, each once, in the order given; () when it concerns none."""
        key = self.own.get(seen.type) or self.public.get(seen.type)
        found = key(seen) if key else None
        if found is None:
            return ()
        ids = (found,) if isinstance(found, str) else tuple(dict.fromkeys(found))
        if len(ids) > KEYS_MAX:
            raise ValueError(f"{self.model}: one {seen.type} concerns {len(ids)} documents, more than {KEYS_MAX}")
        return ids


def is_public(cls: type[Any]) -> bool:
    """Whether the class is a public event, that is, comes from a transport and not from the own store's feed."""
    return issubclass(cls, PublicEvent)


def publisher(cls: type[Any]) -> str:
    """The service that publishes the class: the first word of its type after `entente.`."""
    words: list[str] = cls.type.split(".")
    return words[1] if words[0] == "entente" else words[0]
