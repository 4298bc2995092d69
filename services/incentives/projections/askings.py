"""Whose eye does a fact ask for besides what it tells? A review that opened and bank details that changed: at once."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

from chassis.application import Application, NothingToDo, Prepared
from chassis.deadlines import Deadline
from chassis.event import Seen, iso, stable_id
from chassis.execution import Peek
from chassis.read_store.port import TURN
from services.incentives.domain.attention import AskForAttention, Attention, Wish
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.payee_events import BankDetailsChanged
from services.incentives.domain.tier import Tier, TierReviewOpened, Tiers, tier_id
from services.incentives.projections.attentions import BANK, TIER_REVIEW

Asked = dict[str, Any]
WHO_VERIFIES = {"partner": ("owner", "finance"), "vendor": ("approver",)}


def _key(seen: Seen) -> str:
    it: TierReviewOpened | BankDetailsChanged = seen.event
    return it.payee_id if isinstance(it, BankDetailsChanged) else tier_id(it.programme, it.partner_id)


def evolve(_: Asked | None, seen: Seen) -> Asked:
    it: TierReviewOpened | BankDetailsChanged = seen.event
    bank_id = it.bank_id if isinstance(it, BankDetailsChanged) else None
    return {"subject": _key(seen), "bank_id": bank_id, "due_at": iso(seen.recorded_at), "by": seen.id, TURN: seen.id}


async def _of_review(document: Asked, peek: Peek) -> tuple[Wish, ...]:
    """The partner may recover until the end of the grace; nobody is asked once that, or the review, is over."""
    tier: Tier = await peek(Tiers.at(document["subject"]))
    if tier.review is None or tier.escalated:
        return ()
    [topic] = TIER_REVIEW
    over = datetime.combine(tier.review.grace_until + timedelta(days=1), time(), tzinfo=UTC)
    about = _attention(document, topic, "partner", tier.review.partner_id)
    return (Wish(attention=about, roles=("owner",), severity="high", due_at=over),)


async def _of_bank(document: Asked, peek: Peek) -> tuple[Wish, ...]:
    """Both sides may verify them, or find that they are not the payee's: more urgent where money went elsewhere before."""
    payee: Payee = await peek(Payees.at(document["subject"]))
    if payee.bank is None or payee.bank_verified or payee.bank.bank_id != document["bank_id"]:
        return ()
    [topic] = BANK
    severity = "high" if len(payee.banks) > 1 else "normal"
    return tuple(
        Wish(attention=_attention(document, topic, side, payee.partner_id), roles=roles, severity=severity)
        for side, roles in WHO_VERIFIES.items()
    )


def _attention(document: Asked, topic: str, side: str, partner_id: str) -> Attention:
    subject = document["subject"]
    named = stable_id(topic, subject, side)
    return Attention(attention_id=named, side=side, topic=topic, subject=subject, partner_id=partner_id)


def issue(document: Asked, now: datetime) -> Prepared:
    """Asks for what is still so."""
    wishes: Callable[[Asked, Peek], Awaitable[tuple[Wish, ...]]] = _of_bank if document["bank_id"] else _of_review

    async def make(_: Application, __: str, peek: Peek) -> AskForAttention:
        found = await wishes(document, peek)
        if not found:
            raise NothingToDo
        return AskForAttention(subject=document["subject"], wishes=found, by_event_id=document["by"], now=now)

    return Prepared(make)


ASKINGS = Deadline(
    name="askings",
    version=1,
    keys={TierReviewOpened: _key, BankDetailsChanged: _key},
    evolve=evolve,
    issue=issue,
)
