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


@frozen
class Wish:
    """What was asked of them, as it was told."""

    attention: Attention
    roles: tuple[str, ...]
    severity: str
    due_at: datetime | None = None
    person_id: str | None = None


@event("incentives.AttentionSettled.v1")
class AttentionSettled:
    """`subject` is what it was about: a payment, payee, request, claim, tier, window, disputed line or contradiction."""

    subject: str
    attention: Attention
    settled_at: datetime


@event("incentives.AttentionAskedAgain.v1")
class AttentionAskedAgain:
    """What was told to be settled had been asked for anew before it was told: the wish stands."""

    subject: str
    wish: Wish
    asked_at: datetime


@event("incentives.AttentionAsked.v1")
class AttentionAsked:
    """Something that the others are told in its own words asks for somebody's eye besides."""

    subject: str
    wish: Wish
    asked_at: datetime


@command("incentives.SettleAttentions.v1")
class SettleAttentions:
    """What was open of one subject until the fact `by_event_id`."""

    subject: str
    attentions: tuple[Attention, ...]
    by_event_id: str
    now: datetime


@command("incentives.AskForAttentionAgain.v1")
class AskForAttentionAgain:
    """What is open of one subject, and was told by the fact `by_event_id` to be settled."""

    subject: str
    wishes: tuple[Wish, ...]
    by_event_id: str
    now: datetime


@command("incentives.AskForAttention.v1")
class AskForAttention:
    """What the fact `by_event_id` asks of them."""

    subject: str
    wishes: tuple[Wish, ...]
    by_event_id: str
    now: datetime


AttentionEvent = AttentionSettled | AttentionAskedAgain | AttentionAsked


@dataclass(frozen=True)
class Settled:
    """Nothing that a decision looks at."""


def settle_attentions(wish: SettleAttentions, _: Settled) -> list[AttentionSettled]:
    return [AttentionSettled(subject=wish.subject, attention=one, settled_at=wish.now) for one in wish.attentions]


def ask_again(wish: AskForAttentionAgain, _: Settled) -> list[AttentionAskedAgain]:
    return [AttentionAskedAgain(subject=wish.subject, wish=one, asked_at=wish.now) for one in wish.wishes]


def ask(wish: AskForAttention, _: Settled) -> list[AttentionAsked]:
    return [AttentionAsked(subject=wish.subject, wish=one, asked_at=wish.now) for one in wish.wishes]


def evolve(settled: Settled, _: AttentionEvent) -> Settled:
    return settled


Attentions = Decider[Settled, AttentionEvent](kind="attention", initial=Settled(), evolve=evolve)
