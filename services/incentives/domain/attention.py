"""A wish for someone's attention that is settled: what it was about was decided, paid, recalled or closed since.

What raised it and what settles it are facts of other streams.
"""

from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider
from chassis.event import command, event, frozen


@frozen
class Attention:
    """Who was asked to look at what."""

    attention_id: str
    side: str
    topic: str
    subject: str
    partner_id: str | None = None


@event("incentives.AttentionSettled.v1")
class AttentionSettled:
    """`subject` is what it was about: a payment, request, claim, tier, window or disputed line, or a contradiction's case."""

    subject: str
    attention: Attention
    settled_at: datetime


@command("incentives.SettleAttentions.v1")
class SettleAttentions:
    """What was open of one subject until the fact `by_event_id`."""

    subject: str
    attentions: tuple[Attention, ...]
    by_event_id: str
    now: datetime


@dataclass(frozen=True)
class Settled:
    """Nothing that a decision looks at."""


def settle_attentions(wish: SettleAttentions, _: Settled) -> list[AttentionSettled]:
    return [AttentionSettled(subject=wish.subject, attention=one, settled_at=wish.now) for one in wish.attentions]


def evolve(settled: Settled, _: AttentionSettled) -> Settled:
    return settled


Attentions = Decider[Settled, AttentionSettled](kind="attention", initial=Settled(), evolve=evolve)
