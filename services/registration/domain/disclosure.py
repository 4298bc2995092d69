"""What of a decision a partner may read: why, its place, when to come back, the day the rival asked. Never who or what.

Fields can only be switched off here; nothing that names a rival, its terms or its customer is ever let through.
"""

from dataclasses import replace
from typing import Any

from chassis.rulebook import Decision

OWN_INPUTS = frozenset(
    (
        *("partner", "role", "minimum", "tender", "product", "identity", "territory", "capacity"),
        *("win_rate", "asked"),
    )
)
"""Checks on the partner's own submission; the others look at rivals and at other customers."""


def disclosed(decision: Decision) -> Decision:
    """The decision as the losing side may know it."""
    return replace(
        decision,
        inputs=tuple(known for known in decision.inputs if known.name in OWN_INPUTS),
        detail=_detail(decision.detail),
    )


def _detail(detail: dict[str, Any]) -> dict[str, Any]:
    blocking = [conflict["claim"]["submitted_at"] for conflict in detail.get("conflicts", ()) if conflict["blocks"]]
    return {
        "place": detail.get("place"),
        "free_from": detail.get("free_from"),
        "rival_since": min(blocking)[: len("2026-03-02")] if blocking else None,
    }
