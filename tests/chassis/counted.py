"""A document that counts how often a change was applied to it."""

from collections.abc import Mapping

from chassis.read_store.port import Change, DocumentKey, Kept
from chassis.testing.read_store_conformance import TENANT


def once_more(model: str, position: int) -> Change:
    """A change whose projection adds one each time it is applied, and is applied once by its guard."""
    key = (TENANT, "counted")

    def fold(kept: Mapping[DocumentKey, Kept], _: Mapping[str, int]) -> dict[DocumentKey, Kept]:
        before = kept.get(key, Kept(None, {}))
        if before.guards.get("own", 0) >= position:
            return {}
        return {key: Kept({"times": (before.document or {"times": 0})["times"] + 1}, {"own": position})}

    return Change(model=model, lane="own", keys=[key], fold=fold, reached={"": position})
