"""Public events that every service may publish: its rules, and a wish for someone's attention."""

from datetime import datetime
from typing import Any

from chassis.event import LEFT_OUT, LeftOut, PublicEvent, Seen, public_event


@public_event("entente.rules.RulesPublished.v1", audience="all")
class RulesPublished(PublicEvent):
    """A version of rules is law from `effective_from`; in the mode shadow it binds nobody, and is the vendor's alone."""

    kind: str
    rulebook_id: str
    version: int
    scope: str
    effective_from: datetime
    effective_until: datetime | None = None
    sha256: str
    mode: str

    def for_partner(self, partner_id: str) -> "RulesPublished | None":
        return None if self.mode == "shadow" else self


@public_event("entente.rules.RulesEnded.v1", audience="all")
class RulesEnded(PublicEvent):
    """A version of rules holds no longer from `ended_from` on. Mode: as it was published; one in the shadow is the vendor's."""

    kind: str
    rulebook_id: str
    version: int
    ended_from: datetime
    mode: str | LeftOut = LEFT_OUT

    def for_partner(self, partner_id: str) -> "RulesEnded | None":
        return None if self.mode == "shadow" else self


@public_event("entente.attention.AttentionRaised.v1", audience="both")
class AttentionRaised(PublicEvent):
    """Someone should look at `subject`. Side: vendor or partner; `partner_id` names the partner it is about, if any.

    With a `person_id` it is for that person alone, whatever its roles; then `roles` are empty.
    """

    attention_id: str
    side: str
    roles: tuple[str, ...]
    topic: str
    subject: str
    partner_id: str | None = None
    due_at: datetime | None = None
    severity: str = "normal"
    person_id: str | LeftOut = LEFT_OUT

    def for_partner(self, partner_id: str) -> "AttentionRaised | None":
        return self if self.side == "partner" and self.partner_id == partner_id else None


@public_event("entente.attention.AttentionCleared.v1", audience="both")
class AttentionCleared(PublicEvent):
    attention_id: str
    side: str
    topic: str
    subject: str
    partner_id: str | None = None

    def for_partner(self, partner_id: str) -> "AttentionCleared | None":
        return self if self.side == "partner" and self.partner_id == partner_id else None


def of_rulebook(seen: Seen) -> PublicEvent | None:
    """The public form of what a rulebook recorded, None for anything else. The rules' body stays with their owner."""
    if seen.type == "chassis.RulesPublished.v1":
        return _published(seen.event)
    if seen.type == "chassis.RulesEnded.v1":
        return _ended(seen.event)
    return None


def _ended(rules: Any) -> RulesEnded:
    return RulesEnded(
        kind=rules.kind,
        rulebook_id=rules.rulebook_id,
        version=rules.version,
        ended_from=rules.ended_from,
        mode=rules.mode,
    )


def _published(rules: Any) -> RulesPublished:
    return RulesPublished(
        kind=rules.kind,
        rulebook_id=rules.rulebook_id,
        version=rules.version,
        scope=rules.scope,
        effective_from=rules.effective_from,
        effective_until=rules.effective_until,
        sha256=rules.sha256,
        mode=rules.mode,
    )
