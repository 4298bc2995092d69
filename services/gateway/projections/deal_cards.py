"""Where does each deal stand, over all services? A card holds what each service said, and what a board shows of it."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal, NotRequired, TypedDict

from chassis.event import Seen, iso, plain
from chassis.projection import Projection
from contracts import attribution, incentives, registration
from contracts.values import Money

SEARCH_PREFIX = range(2, 16)
SEARCH_WORDS_MAX = 12


class Card(TypedDict):
    """`parts` are contributions by service, so that any order between services gives the same card."""

    registration_id: str
    partner_id: str | None
    partner_ids: list[str]
    number: str
    customer: str
    country: str
    status: str
    stage: str
    amount: dict[str, str] | None
    submitted_at: str
    changed_at: str
    protected_until: str | None
    earned: dict[str, str] | None
    tokens: list[str]
    parts: dict[str, Any]


class ShownCard(TypedDict):
    """A deal over all services: its review, its sale, and what was earned, for who may read that.

    `credit` is the vendor's: who has how much, by pool.
    """

    registration_id: str
    partner_id: str | None
    partner_ids: list[str]
    number: str
    customer: str
    country: str
    status: str
    stage: str
    amount: Money | None
    submitted_at: Annotated[str, datetime] | Literal[""]
    changed_at: str
    protected_until: Annotated[str, datetime] | None
    earned: Money | None
    credit: NotRequired[dict[str, Any]]


STATUS = {
    registration.DealRegistered: "in_review",
    registration.DealReturned: "action_required",
    registration.DealResubmitted: "in_review",
    registration.DealQueued: "waiting",
    registration.DealPromoted: "in_review",
    registration.DealApproved: "approved",
    registration.DealRejected: "rejected",
    registration.DealWithdrawn: "withdrawn",
}


def evolve(card: Card | None, seen: Seen) -> Card:
    parts = dict(card["parts"]) if card else {}
    part = parts.get(seen.source, {})
    change = _CHANGES[type(seen.event)]
    parts[seen.source] = {**part, **change(part, seen.event), "at": iso(seen.recorded_at)}
    return _card(seen.event.registration_id, parts)


def _card(registration_id: str, parts: dict[str, Any]) -> Card:
    deal, sale, money = (parts.get(name, {}) for name in ("registration", "attribution", "incentives"))
    credited = sale.get("credited", ()) if "won" in sale else ()
    involved = {deal.get("partner_id"), *sale.get("partner_ids", ()), *credited}
    return {
        "registration_id": registration_id,
        "partner_id": deal.get("partner_id"),
        "partner_ids": sorted(filter(None, involved)),
        "number": deal.get("number", ""),
        "customer": deal.get("customer") or "",
        "country": deal.get("country", ""),
        "status": deal.get("status", ""),
        "stage": sale.get("stage", ""),
        "amount": sale.get("won") or deal.get("amount"),
        "submitted_at": deal.get("submitted_at", ""),
        "changed_at": max(part["at"] for part in parts.values()),
        "protected_until": deal.get("protected_until"),
        "earned": _earned(money.get("lines", {})),
        "tokens": _tokens(deal.get("number", ""), deal.get("customer") or "", deal.get("domain") or ""),
        "parts": parts,
    }


def _earned(lines: dict[str, Any]) -> dict[str, str] | None:
    """The sum of what stands of the lines of this deal; None without lines or with several currencies."""
    currencies = {line["currency"] for line in lines.values()}
    if len(currencies) != 1:
        return None
    return {"amount": str(sum(Decimal(line["amount"]) for line in lines.values())), "currency": currencies.pop()}


def _tokens(*texts: str) -> list[str]:
    """Every prefix of every word, so that a search finds a word by its beginning."""
    words = {word for text in texts for word in text.casefold().replace(".", " ").replace("-", " ").split()}
    kept = sorted(words)[:SEARCH_WORDS_MAX]
    return sorted({word[:length] for word in kept for length in SEARCH_PREFIX if length <= len(word)} | set(kept))


# What each event says about its deal


def _registered(part: dict[str, Any], it: registration.DealRegistered) -> dict[str, Any]:
    return {
        "partner_id": it.partner_id,
        "number": it.number,
        "customer": it.account.name,
        "domain": it.account.domain,
        "country": it.account.country,
        "amount": plain(it.amount),
        "submitted_at": iso(it.submitted_at),
        "status": part.get("status") or "in_review",
    }


def _reviewed(part: dict[str, Any], it: Any) -> dict[str, Any]:
    return {"status": STATUS[type(it)], "partner_id": it.partner_id, "number": it.number}


def _resubmitted(part: dict[str, Any], it: registration.DealResubmitted) -> dict[str, Any]:
    return {**_reviewed(part, it), **({"amount": plain(it.amount)} if it.amount else {})}


def _approved(part: dict[str, Any], it: registration.DealApproved) -> dict[str, Any]:
    return {**_reviewed(part, it), "protected_until": iso(it.protection.end), "amount": plain(it.amount)}


def _amended(part: dict[str, Any], it: registration.DealAmended) -> dict[str, Any]:
    return {"amount": plain(it.amount)}


def _protection_ended(part: dict[str, Any], it: registration.ProtectionEnded) -> dict[str, Any]:
    expired = dict.fromkeys(("expired", "inactive", "partner-left"), "expired")
    ended = {**expired, "revoked": "revoked", "withdrawn": "withdrawn"}
    status = ended.get(it.reason_code, "closed")
    return {"protected_until": None, "status": status}


def _conflict(part: dict[str, Any], it: registration.ConflictDetected) -> dict[str, Any]:
    return {"conflict": it.conflict_class}


def _linked(part: dict[str, Any], it: attribution.OpportunityLinked) -> dict[str, Any]:
    return {"opportunity_id": it.opportunity_id, "stage": part.get("stage") or "prospect"}


def _stage(part: dict[str, Any], it: attribution.DealStageChanged) -> dict[str, Any]:
    return {"stage": it.to_stage, "partner_ids": list(it.partner_ids)}


def _won(part: dict[str, Any], it: attribution.DealWon) -> dict[str, Any]:
    return {"stage": "won", "won": plain(it.amount), "partner_ids": list(it.partner_ids)}


def _lost(part: dict[str, Any], it: attribution.DealLost) -> dict[str, Any]:
    return {"stage": "lost", "partner_ids": list(it.partner_ids)}


def _reversed(part: dict[str, Any], it: attribution.RevenueReversed) -> dict[str, Any]:
    return {"remaining": plain(it.remaining), "partner_ids": list(it.partner_ids)}


def _credit(part: dict[str, Any], it: attribution.CreditAllocated) -> dict[str, Any]:
    shares = [{"partner_id": s.partner_id, "percent": str(s.percent)} for s in it.shares]
    credited = sorted({*part.get("credited", ()), *(share["partner_id"] for share in shares)})
    return {
        "credit": {**part.get("credit", {}), it.pool: {"status": it.status, "shares": shares}},
        "credited": credited,
    }


def _paid_line(part: dict[str, Any], it: incentives.PayoutCalculated) -> dict[str, Any]:
    return _line(part, it.line_id, it.partner_id, plain(it.amount))


def _unpaid_line(part: dict[str, Any], it: incentives.PayoutReversed) -> dict[str, Any]:
    return _line(part, it.line_id, it.partner_id, plain(it.remaining))


def _line(part: dict[str, Any], line_id: str, partner_id: str, amount: dict[str, str]) -> dict[str, Any]:
    return {"lines": {**part.get("lines", {}), line_id: {"partner_id": partner_id, **amount}}}


_CHANGES: dict[type[Any], Any] = {
    **dict.fromkeys(STATUS, _reviewed),
    registration.DealRegistered: _registered,
    registration.DealResubmitted: _resubmitted,
    registration.DealApproved: _approved,
    registration.DealAmended: _amended,
    registration.ProtectionEnded: _protection_ended,
    registration.ConflictDetected: _conflict,
    attribution.OpportunityLinked: _linked,
    attribution.DealStageChanged: _stage,
    attribution.DealWon: _won,
    attribution.DealLost: _lost,
    attribution.RevenueReversed: _reversed,
    attribution.CreditAllocated: _credit,
    incentives.PayoutCalculated: _paid_line,
    incentives.PayoutReversed: _unpaid_line,
}


def partner_view(card: dict[str, Any], partner_ids: Sequence[str]) -> dict[str, Any]:
    """The card as one of its partners may read it: no other partner's name, customer, share or money.

    `partner_ids` are those for which it acts: its own, and who it absorbed.
    """
    parts = card["parts"]
    lines = parts.get("incentives", {}).get("lines", {})
    own = {line_id: line for line_id, line in lines.items() if line["partner_id"] in partner_ids}
    hidden = (
        {}
        if card["partner_id"] in partner_ids
        else {**_OF_ITS_PARTNER, "amount": parts.get("attribution", {}).get("won")}
    )
    return {
        **_public(card),
        **hidden,
        "partner_ids": [one for one in partner_ids if one in card["partner_ids"]],
        "earned": _earned(own),
    }


_OF_ITS_PARTNER = {"partner_id": None, "customer": "", "country": "", "submitted_at": "", "protected_until": None}
"""What only the partner that registered the deal reads; who is credited with a part of its sale does not."""


def _public(card: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in card.items() if name not in ("tokens", "parts")}


def vendor_view(card: dict[str, Any]) -> dict[str, Any]:
    """The card as the vendor reads it."""
    return {**_public(card), "credit": card["parts"].get("attribution", {}).get("credit", {})}


SALE = "parts.attribution.opportunity_id"
"""Where a card names the sale that its deal became."""

DEAL_CARDS = Projection(
    name="deal_cards",
    version=4,
    keys=dict.fromkeys(_CHANGES, lambda seen: seen.event.registration_id),
    evolve=evolve,
    indexes=("status", "partner_id", "stage", "submitted_at", "changed_at", "partner_ids", "tokens", SALE),
)
