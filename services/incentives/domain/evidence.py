"""Evidence: one document or one sold unit, and the claims that showed it. Whoever shows it again is seen by the reviewer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider
from chassis.event import event


@event("incentives.EvidenceShown.v1")
class EvidenceShown:
    """A claim shows it; `shown_before` are the claims that did before."""

    evidence_id: str
    claim_id: str
    partner_id: str
    shown_before: tuple[str, ...]
    shown_at: datetime


@dataclass(frozen=True)
class Evidence:
    """The claims that showed it, in order."""

    claims: tuple[str, ...] = ()

    def others(self, claim_id: str) -> tuple[str, ...]:
        """The other claims that showed it."""
        return tuple(claim for claim in self.claims if claim != claim_id)


def show_evidence(
    evidence_id: str, evidence: Evidence, claim: tuple[str, str], now: datetime
) -> Sequence[EvidenceShown]:
    """Keeps that a claim (its id and partner) shows it; once."""
    claim_id, partner_id = claim
    if claim_id in evidence.claims:
        return []
    return [
        EvidenceShown(
            evidence_id=evidence_id,
            claim_id=claim_id,
            partner_id=partner_id,
            shown_before=evidence.claims,
            shown_at=now,
        )
    ]


def evolve(evidence: Evidence, happened: EvidenceShown) -> Evidence:
    return Evidence(claims=(*evidence.claims, happened.claim_id))


AllEvidence = Decider[Evidence, EvidenceShown](kind="evidence", initial=Evidence(), evolve=evolve)
