"""Public events that every service may publish: its rules, and a wish for someone's attention."""

from datetime import datetime

from chassis.event import PublicEvent, public_event


@public_event("entente.rules.RulesPublished.v1", audience="all")
class RulesPublished(PublicEvent):
    kind: str
    rulebook_id: str
    version: int
    scope: str
    effective_from: datetime
    effective_until: datetime | None = None
    sha256: str
    mode: str


@public_event("entente.rules.RulesEnded.v1", audience="all")
class RulesEnded(PublicEvent):
    kind: str
    rulebook_id: str
    version: int
    ended_from: datetime


@public_event("entente.attention.AttentionRaised.v1", audience="both")
class AttentionRaised(PublicEvent):
    """Someone should look at `subject`. Side: vendor or partner; `partner_id` names the partner it is about, if any."""

    attention_id: str
    side: str
    roles: tuple[str, ...]
    topic: str
    subject: str
    partner_id: str | None = None
    due_at: datetime | None = None
    severity: str = "normal"

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
