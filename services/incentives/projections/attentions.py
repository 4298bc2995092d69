"""Whom was attention asked for, and what has settled it since? What was settled is due to be told at once.

What is asked for anew while it is being told goes out before it, and would be cleared by it: then it is asked for again.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from chassis.deadlines import Deadline
from chassis.event import PublicEvent, Seen, iso, plain
from chassis.read_store.port import TURN
from contracts.shared import AttentionRaised
from services.incentives.domain import line_dispute, payment_events
from services.incentives.domain.attention import (
    AskForAttentionAgain,
    Attention,
    AttentionAsked,
    AttentionAskedAgain,
    AttentionSettled,
    SettleAttentions,
    Wish,
)
from services.incentives.domain.case import CaseClosed
from services.incentives.domain.claim import DISPUTED, ClaimDecided, ClaimReturned, ClaimSubmitted
from services.incentives.domain.contradiction import contradiction_id
from services.incentives.domain.fund_request_events import (
    FundRequestDecided,
    FundRequestEnded,
    FundRequestEscalated,
    FundRequestRecalled,
    FundRequestReturned,
    FundRequestSubmitted,
)
from services.incentives.domain.meter import RebateSettled, WindowClosed, WindowResumed, WindowWaits
from services.incentives.domain.payee_events import BankDetailsVerified, PayeeForgotten
from services.incentives.domain.sale import fact_name
from services.incentives.domain.sale_events import (
    BasisRecorded,
    FactQuarantined,
    FactResolved,
    PayoutCalculated,
    RebateCounted,
    quarantine_id,
)
from services.incentives.domain.tier import (
    TierAppealAnswered,
    TierAppealed,
    TierChanged,
    TierReviewClosed,
    TierReviewEscalated,
    tier_id,
)

FUND = ("fund-request-submitted", "fund-request-escalated")
CLAIM = ("claim-submitted", "claim-needs-review")
UNREPORTED = "payment-unreported"
UNKNOWN = ("payment-unknown", UNREPORTED)
EVIDENCE = ("line-dispute-evidence",)
WINDOW = ("window-no-rate",)
TIER_REVIEW, BANK = ("tier-review",), ("bank-to-verify",)
FACT = ("fact-no-amount", "fact-no-rate")
"""What waits is told once of each fact and plan: it is settled by its own id, whatever else of its sale waits."""
SETTLES: Mapping[type[Any], tuple[str, ...]] = {
    payment_events.PaymentMade: UNKNOWN,
    payment_events.PaymentFailed: UNKNOWN,
    payment_events.PaymentDeclined: UNKNOWN,
    payment_events.PaymentUnknown: (UNREPORTED,),
    CaseClosed: ("payment-contradicted",),
    WindowClosed: WINDOW,
    WindowResumed: WINDOW,
    RebateSettled: WINDOW,
    FundRequestSubmitted: ("fund-request-returned",),
    FundRequestDecided: FUND,
    FundRequestRecalled: FUND,
    FundRequestEnded: FUND,
    ClaimDecided: CLAIM,
    ClaimSubmitted: ("claim-returned",),
    TierReviewEscalated: TIER_REVIEW,
    TierReviewClosed: (*TIER_REVIEW, "tier-review-undecided"),
    BankDetailsVerified: BANK,
    PayeeForgotten: BANK,
    TierChanged: ("tier-appealed",),
    TierAppealAnswered: ("tier-appealed",),
    line_dispute.DisputeEvidenceShown: EVIDENCE,
    line_dispute.DisputeHeard: EVIDENCE,
    line_dispute.DisputeDecided: EVIDENCE,
    line_dispute.DisputeWithdrawn: EVIDENCE,
}
"""The topics of a subject that a fact about it settles."""
TOPICS = frozenset(topic for topics in (*SETTLES.values(), FACT) for topic in topics)


OF_SALES = (FactQuarantined, FactResolved, BasisRecorded, PayoutCalculated, RebateCounted)
Publish = Callable[[Seen], PublicEvent | None]


def _evolve(publish: Publish, document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    known = document or {"open": [], "ended": [], "again": [], "due_at": None}
    if isinstance(seen.event, AttentionSettled):
        changed = _told(known, seen, seen.event.attention.attention_id)
    elif isinstance(seen.event, AttentionAskedAgain):
        changed = _told_again({**known, "subject": seen.event.subject}, seen, seen.event.wish)
    else:
        changed = _changed(known, seen, _raised(publish(seen)))
    return changed if changed["open"] or changed["ended"] or changed["again"] else None


def _told(known: dict[str, Any], seen: Seen, attention_id: str) -> dict[str, Any]:
    """What is open was asked for after the fact that settled it, so that nobody sees it any more."""
    ended = _without(known["ended"], attention_id)
    unseen = [one for one in known["open"] if one["attention_id"] == attention_id]
    again = [*_without(known["again"], attention_id), *unseen]
    return _due({**known, "ended": ended, "again": again}, seen, anew=bool(again))


def _told_again(known: dict[str, Any], seen: Seen, wish: Wish) -> dict[str, Any]:
    """What was settled while it was being asked for again is to be told so."""
    named = wish.attention.attention_id
    is_open = any(one["attention_id"] == named for one in known["open"])
    gone = [] if is_open else [*_without(known["ended"], named), _kept(wish)]
    again = _without(known["again"], named)
    return _due({**known, "ended": gone or known["ended"], "again": again}, seen, anew=bool(gone))


def _due(document: dict[str, Any], seen: Seen, *, anew: bool) -> dict[str, Any]:
    """With its due date: now and in a new turn where there is more to tell, and none once all is told."""
    if anew:
        return {**document, "due_at": iso(seen.recorded_at), "by": seen.id, TURN: seen.id}
    return document if document["ended"] or document["again"] else {**document, "due_at": None}


def _changed(known: dict[str, Any], seen: Seen, raised: dict[str, Any] | None) -> dict[str, Any]:
    topics, ids = _settled(seen.event), _settled_facts(seen.event)
    before = _without(known["open"], _cleared(seen.event))
    gone = [one for one in before if one["topic"] in topics or one["attention_id"] in ids]
    still = [one for one in before if one not in gone]
    ended = [*known["ended"], *gone]
    again = [one for one in known["again"] if one in still]
    if raised:
        still = [*_without(still, raised["attention_id"]), raised]
        ended = _without(ended, raised["attention_id"])
        again = _without(again, raised["attention_id"])
    changed = {**known, "open": still, "ended": ended, "again": again, "subject": _subject(seen)}
    return _due(changed, seen, anew=bool(gone))


def _settled(happened: Any) -> tuple[str, ...]:
    """What a fact settles; of a disputed claim its reviewers know still."""
    disputed = isinstance(happened, ClaimDecided) and happened.outcome == DISPUTED
    return () if disputed else SETTLES.get(type(happened), ())


def _settled_facts(happened: Any) -> set[str]:
    """The quarantines that are over by themselves: a fact came once more with its amount, or a share was rated after all."""
    if isinstance(happened, BasisRecorded):
        names = (happened.external_id, fact_name(happened.kind, happened.external_id))
        return {quarantine_id(happened.opportunity_id, happened.win_no, "", name) for name in names}
    if isinstance(happened, PayoutCalculated | RebateCounted):
        key = happened.key
        return {quarantine_id(happened.opportunity_id, key.win_no, key.plan_id, key.fact_id)}
    return set()


def _cleared(happened: Any) -> str:
    """The quarantine that a person resolved: the others are told that by itself."""
    if not isinstance(happened, FactResolved):
        return ""
    return quarantine_id(happened.opportunity_id, happened.win_no, happened.plan_id, happened.fact_id)


def _raised(told: PublicEvent | None) -> dict[str, Any] | None:
    """The attention that a fact asks for, as the others are told it; none that nothing settles."""
    if not isinstance(told, AttentionRaised) or told.topic not in TOPICS:
        return None
    named = ("attention_id", "side", "topic", "subject", "partner_id")
    about = Attention(**{name: getattr(told, name) for name in named})
    asked: dict[str, Any] = {"roles": told.roles, "severity": told.severity, "due_at": told.due_at}
    return _kept(Wish(attention=about, **asked, person_id=told.person_id or None))


def _kept(wish: Wish) -> dict[str, Any]:
    return {"attention_id": wish.attention.attention_id, "topic": wish.attention.topic, "wish": plain(wish)}


def _without(some: list[dict[str, Any]], attention_id: str) -> list[dict[str, Any]]:
    return [one for one in some if one["attention_id"] != attention_id]


def _subject(seen: Seen) -> str:
    """What it is about: of a provider's contradiction its case, of a dispute the line of its account."""
    it = seen.event
    if isinstance(it, line_dispute.OfDispute):
        return f"{it.account_id}-{it.event_id}"
    if isinstance(it, payment_events.OutcomeContradicted):
        return contradiction_id(it.payment_id, it.provider_event_id)
    if isinstance(it, OF_SALES):
        return it.opportunity_id
    if isinstance(it, TierAppealed | TierAppealAnswered | TierReviewEscalated | TierReviewClosed | TierChanged):
        return tier_id(it.programme, it.partner_id)
    if isinstance(it, BankDetailsVerified | PayeeForgotten):
        return it.payee_id
    names = ("subject", "meter_id", "claim_id", "fund_request_id", "payment_id", "case_id")
    return str(next(getattr(it, name) for name in names if hasattr(it, name)))


def issue(document: dict[str, Any], now: datetime) -> SettleAttentions | AskForAttentionAgain:
    """Says of everything that was settled that it is; then asks again for what is not."""
    about: Any = {"subject": document["subject"], "by_event_id": document["by"], "now": now}
    ended, again = (tuple(msgspec.convert(one["wish"], Wish) for one in document[name]) for name in ("ended", "again"))
    if ended:
        return SettleAttentions(attentions=tuple(one.attention for one in ended), **about)
    return AskForAttentionAgain(wishes=again, **about)


READ = (
    *SETTLES,
    *OF_SALES,
    WindowWaits,
    payment_events.PaymentUnreported,
    payment_events.OutcomeContradicted,
    FundRequestReturned,
    ClaimReturned,
    FundRequestEscalated,
    TierAppealed,
    line_dispute.DisputeEvidenceRequested,
    AttentionSettled,
    AttentionAsked,
    AttentionAskedAgain,
)


def attentions(publish: Publish) -> Deadline:
    """What was asked for is what `publish` tells the others of a fact."""
    return Deadline(
        name="attentions",
        version=4,
        keys=dict.fromkeys(READ, _subject),
        evolve=partial(_evolve, publish),
        issue=issue,
    )
