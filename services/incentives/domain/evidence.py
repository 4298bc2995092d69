"""Evidence: one document or what was sold, and the claims that showed it. Whoever shows it again is seen by the reviewer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider
from chassis.event import LEFT_OUT, LeftOut, event


@event("incentives.EvidenceShown.v1")
class EvidenceShown:
    """A claim shows it; `shown_before` are the claims that did before. In `part`, it shows single units of an invoice."""

    evidence_id: str
    claim_id: str
    partner_id: str
    shown_before: tuple[str, ...]
    shown_at: datetime
    part: bool | LeftOut = LEFT_OUT


@event("incentives.EvidenceWithdrawn.v1")
class EvidenceWithdrawn:
    """A claim was sent in again without it; `in_part`, with single units of the invoice alone, at the place that it had."""

    evidence_id: str
    claim_id: str
    partner_id: str
    in_part: bool
    withdrawn_at: datetime


EvidenceEvent = EvidenceShown | EvidenceWithdrawn


@dataclass(frozen=True)
class Evidence:
    """The claims that showed it, in order, and those of them that showed all of it."""

    claims: tuple[str, ...] = ()
    whole: frozenset[str] = frozenset()

    def others(self, claim_id: str) -> tuple[str, ...]:
        """The other claims that showed it."""
        return tuple(claim for claim in self.claims if claim != claim_id)

    def before(self, claim_id: str, *, part: bool) -> tuple[str, ...]:
        """The claims that showed it before this one did; for whoever shows a part of it, those that showed all of it."""
        earlier = self.claims[: self.claims.index(claim_id)] if claim_id in self.claims else self.claims
        return tuple(claim for claim in earlier if not part or claim in self.whole)


def show_evidence(
    evidence_id: str, evidence: Evidence, claim: tuple[str, str], now: datetime, *, part: bool = False
) -> Sequence[EvidenceShown]:
    """Keeps that a claim (its id and partner) shows it, or a part of it; once."""
    claim_id, partner_id = claim
    if claim_id in (evidence.claims if part else evidence.whole):
        return []
    return [
        EvidenceShown(
            evidence_id=evidence_id,
            claim_id=claim_id,
            partner_id=partner_id,
            shown_before=evidence.claims,
            shown_at=now,
            part=part or LEFT_OUT,
        )
    ]


def withdraw_evidence(
    evidence_id: str, evidence: Evidence, claim: tuple[str, str], now: datetime, *, in_part: bool
) -> Sequence[EvidenceWithdrawn]:
    """Keeps that a claim shows it no more, or a part of it alone, where it did."""
    claim_id, partner_id = claim
    if claim_id not in (evidence.whole if in_part else evidence.claims):
        return []
    return [
        EvidenceWithdrawn(
            evidence_id=evidence_id, claim_id=claim_id, partner_id=partner_id, in_part=in_part, withdrawn_at=now
        )
    ]


def evolve(evidence: Evidence, happened: EvidenceEvent) -> Evidence:
    claim_id = happened.claim_id
    if isinstance(happened, EvidenceWithdrawn):
        others = evidence.claims if happened.in_part else evidence.others(claim_id)
        return Evidence(claims=others, whole=evidence.whole - {claim_id})
    claims = evidence.claims if claim_id in evidence.claims else (*evidence.claims, claim_id)
    return Evidence(claims=claims, whole=evidence.whole if happened.part else evidence.whole | {claim_id})


AllEvidence = Decider[Evidence, EvidenceEvent](kind="evidence", initial=Evidence(), evolve=evolve)
