"""What of a decision a partner may read: why, its place, when to come back, the day the rival asked. Never who or what.

Fields can only be switched off here; nothing that names a rival, its terms or its customer is ever let through.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from chassis.event import LeftOut
from chassis.rulebook import Decision

OWN_INPUTS = frozenset(
    (
        *("partner", "role", "minimum", "tender", "product", "identity", "territory", "capacity"),
        *("win_rate", "asked", "agreement", "authorisation", "certification"),
    )
)
"""Checks on the partner's own submission; the others look at rivals and at other customers."""
OWN_REASONS = frozenset(
    (
        *("partner-not-active", "agreement-missing", "not-authorised", "role-not-allowed", "below-minimum", "tender"),
        *("capacity-full", "identity-unconfirmed", "outside-territory", "certification-missing", "win-rate-low"),
        *("product-not-listed", "review-required", "changed-after-loss"),
    )
)
"""What these checks say where they fail, and what is said of every deal: nothing of others, nor of whose customers they are."""
WITHHELD = "withheld"
GIVING_REASONS = ("checks", "would_change")
"""What says as much as the reasons do: it goes with them."""


def told(shown: Mapping[str, object], withheld: Iterable[str] | LeftOut) -> dict[str, Any]:
    """What is shown, without what the rules keep from a partner: a list is empty, anything else is null."""
    kept = set(withheld or ())
    gone = {*kept, *(GIVING_REASONS if "reasons" in kept else ())}
    return {name: _nothing_of(value) if name in gone else value for name, value in shown.items()}


def tells_of_others(codes: Iterable[str]) -> bool:
    """Whether one of these reasons says anything of other partners, of the vendor or of who its customers are."""
    return not OWN_REASONS.issuperset(codes)


def _nothing_of(value: Any) -> Any:
    return type(value)() if isinstance(value, list | tuple) else None


def keeping(detail: dict[str, Any], withheld: tuple[str, ...] | LeftOut) -> dict[str, Any]:
    """The detail of a decision with what of it is kept from the partner; where that is nothing, as it was."""
    return {**detail, WITHHELD: list(withheld)} if withheld else detail


def disclosed(decision: Decision) -> Decision:
    """The decision as the losing side may know it."""
    withheld = decision.detail.get(WITHHELD, ())
    said = told({"reasons": decision.reasons, "would_change": decision.would_change}, withheld)
    return replace(
        decision,
        **said,
        inputs=tuple(known for known in decision.inputs if known.name in OWN_INPUTS),
        detail=keeping(told(_detail(decision.detail), withheld), withheld),
    )


def _detail(detail: dict[str, Any]) -> dict[str, Any]:
    return {
        "place": detail.get("place"),
        "free_from": detail.get("free_from"),
        "rival_since": rival_since(detail.get("conflicts", ())),
    }


def rival_since(conflicts: Iterable[dict[str, Any]]) -> str | None:
    """The day on which the first of those who are ahead asked; None where nobody is."""
    blocking = [conflict["claim"]["submitted_at"] for conflict in conflicts if conflict["blocks"]]
    return min(blocking)[: len("2026-03-02")] if blocking else None
