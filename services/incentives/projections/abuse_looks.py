"""What has to be looked at for abuse, and with which figures? What just happened is due at once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

from chassis.application import Application, NothingToDo, Prepared
from chassis.deadlines import Deadline
from chassis.event import LEFT_OUT, Seen, iso
from chassis.execution import Peek
from chassis.read_store.port import PAGE_MAX, TURN, Range
from services.incentives.application.achieving import unsold_id
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain.abuse_rules import ABUSE, REFUND_DAYS, SPLIT_DAYS, AbuseFacts, Signal
from services.incentives.domain.approval import Approval, ApprovalRecorded, Approvals
from services.incentives.domain.case import LINES_MAX, LineRef, LookForAbuse, case_id
from services.incentives.domain.claim import ClaimSubmitted
from services.incentives.domain.fund_request_events import FundRequestSubmitted
from services.incentives.domain.payee import Payee, Payees, domains_of
from services.incentives.domain.payee_events import BankDetailsChanged
from services.incentives.domain.payment_events import PaymentProposed
from services.incentives.domain.rating import tidy
from services.incentives.domain.sale import HELD, PAYABLE
from services.incentives.domain.sale_events import PayoutCalculated, PayoutReversed
from services.incentives.projections.earnings import credited_with

SHARED_MAX, ROWS_MAX = 50, 2_000
PERCENT_STEP = Decimal("0.1")
Look = dict[str, Any]


def evolve(document: Look | None, seen: Seen) -> Look | None:
    found = LOOKS[type(seen.event)](document, seen.event)
    return None if found is None else {**found, "due_at": iso(seen.recorded_at), TURN: seen.id}


def _look(signal: Signal, it: Any, subject: str, **more: Any) -> Look:
    key = getattr(it, "key", None)
    partner_id = key.partner_id if key else it.partner_id
    return {
        "signal": signal,
        "partner_id": partner_id,
        "payee_id": getattr(it, "payee_id", partner_id),
        "subject": subject,
        **more,
    }


def _reversed(_: Look | None, it: PayoutReversed) -> Look:
    return _look("refund_ratio", it, it.key.partner_id)


def _calculated(_: Look | None, it: PayoutCalculated) -> Look | None:
    """Only a registered deal names its customer."""
    if it.registration_id is None:
        return None
    named = {"opportunity_id": it.opportunity_id, "registration_id": it.registration_id}
    return _look("self_referral", it, f"{it.opportunity_id}-{it.key.partner_id}", **named)


def _approved(document: Look | None, _: ApprovalRecorded) -> Look | None:
    """What was paid for the registration is looked at again: the approval may name another customer."""
    return document


def _claimed(_: Look | None, it: ClaimSubmitted) -> Look | None:
    others = sorted({claim_id for reuse in it.reused for claim_id in reuse.claim_ids})
    return _look("shared_proof", it, it.claim_id, related=others) if others else None


def _banked(document: Look | None, it: BankDetailsChanged) -> Look:
    """Everybody who ever named this account."""
    known = [one for one in (document["payees"] if document else ()) if one != it.payee_id]
    named = {"fingerprint": it.fingerprint, "payees": [*known, it.payee_id][-SHARED_MAX:]}
    return _look("shared_bank", it, it.bank_id, **named)


def _proposed(_: Look | None, it: PaymentProposed) -> Look:
    return _look("bank_change", it, it.payment_id)


def _requested(_: Look | None, it: FundRequestSubmitted) -> Look:
    return _look("split_below_limit", it, f"{it.partner_id}-{it.fund_id}", fund_id=it.fund_id)


def _registered_as(it: ApprovalRecorded) -> str:
    """The sale that the registration is paid for as, where it is."""
    return unsold_id("deal_registered", it.registration_id)


LOOKS: dict[type[Any], Callable[[Look | None, Any], Look | None]] = {
    PayoutReversed: _reversed,
    PayoutCalculated: _calculated,
    ApprovalRecorded: _approved,
    ClaimSubmitted: _claimed,
    BankDetailsChanged: _banked,
    PaymentProposed: _proposed,
    FundRequestSubmitted: _requested,
}
KEYS: dict[type[Any], Callable[[Seen], str]] = {
    PayoutReversed: lambda seen: f"refunds-{seen.event.key.partner_id}",
    PayoutCalculated: lambda seen: f"sale-{seen.event.opportunity_id}-{seen.event.key.partner_id}",
    ApprovalRecorded: lambda seen: f"sale-{_registered_as(seen.event)}-{seen.event.partner_id}",
    ClaimSubmitted: lambda seen: f"claim-{seen.event.claim_id}",
    BankDetailsChanged: lambda seen: f"bank-{seen.event.fingerprint}",
    PaymentProposed: lambda seen: f"payment-{seen.event.payment_id}",
    FundRequestSubmitted: lambda seen: f"requests-{seen.event.partner_id}-{seen.event.fund_id}",
}

# What a look finds


@dataclass(frozen=True)
class Asking:
    """Where a look can look."""

    app: Application
    tenant: str
    peek: Peek
    now: datetime

    async def rows(self, model: str, where: dict[str, Any], sort: str) -> list[dict[str, Any]]:
        """The first rows, up to ROWS_MAX."""
        await self.app.caught_up(model)
        rows: list[dict[str, Any]] = []
        cursor = None
        while len(rows) < ROWS_MAX:
            found = await self.app.read.find(model, self.tenant, where=where, sort=sort, after=cursor, limit=PAGE_MAX)
            rows += found.items
            cursor = found.next_cursor
            if cursor is None:
                break
        return rows


@dataclass(frozen=True)
class Found:
    facts: AbuseFacts
    subject: str
    related: tuple[str, ...] = ()
    lines: tuple[LineRef, ...] = ()


def issue(document: Look, now: datetime) -> Prepared:
    """Looks at what just happened, with the figures of now; without abuse rules nobody looks."""

    async def make(app: Application, tenant: str, peek: Peek) -> LookForAbuse:
        rules = await rules_of_kind(app, tenant, ABUSE)
        if not rules:
            raise NothingToDo
        found = await FIND[document["signal"]](Asking(app, tenant, peek, now), document)
        return LookForAbuse(
            case_id=case_id(document["signal"], found.subject),
            partner_id=document["partner_id"],
            payee_id=document["payee_id"],
            subject=found.subject,
            related=found.related,
            facts=found.facts,
            lines=found.lines,
            rules=rules,
            now=now,
        )

    return Prepared(make)


async def _refunds(at: Asking, look: Look) -> Found:
    """What of the partner's lines of the last days was taken back, in the currency in which it is most.

    A line that another credit took the place of is none: nobody asked its money back.
    """
    since = Range(at_least=iso((at.now - timedelta(days=REFUND_DAYS)).date()))
    where = {"partner_id": look["partner_id"], "earned_on": since}
    found = await at.rows("earnings", where, "-earned_on")
    rows = [row for row in found if Decimal(row["amount"]["amount"]) and not row["recredited"]]
    ratio, count = max((_ratio(rows, code) for code in {row["currency"] for row in rows}), default=(Decimal(0), 0))
    facts = AbuseFacts(signal="refund_ratio", percent=ratio, count=count if ratio else 0)
    return Found(facts, f"{look['partner_id']}-{at.now:%Y-%m}", lines=_unpaid(rows))


def _ratio(rows: list[dict[str, Any]], currency: str) -> tuple[Decimal, int]:
    mine = [row for row in rows if row["currency"] == currency]
    earned = sum(Decimal(row["amount"]["amount"]) for row in mine)
    taken = sum(Decimal(row["reversed"]["amount"]) for row in mine)
    ratio = 100 * Decimal(taken) / earned if earned > 0 else Decimal(0)
    return tidy(ratio.quantize(PERCENT_STEP)), len(mine)


def _unpaid(rows: list[dict[str, Any]]) -> tuple[LineRef, ...]:
    """The lines of sales that can still be held."""
    open_rows = [row for row in rows if row["state"] in (HELD, PAYABLE) and row["opportunity_id"]]
    found = [LineRef(opportunity_id=row["opportunity_id"], line_id=row["line_id"]) for row in open_rows]
    return tuple(found[:LINES_MAX])


async def _customer(at: Asking, look: Look) -> Found:
    """Whether the customer of a registered deal has a domain of the partner that is credited."""
    approval: Approval = await at.peek(Approvals.at(look["registration_id"]))
    partner: Payee = await at.peek(Payees.at(look["partner_id"]))
    if not same_company(approval.customer_domain, domains_of(partner)):
        return Found(AbuseFacts(signal="self_referral"), look["subject"])
    rows = await at.rows("earnings", {"opportunity_id": look["opportunity_id"]}, "-earned_on")
    mine = [row for row in rows if credited_with(row) == look["partner_id"]]
    facts = AbuseFacts(signal="self_referral", count=1)
    return Found(facts, look["subject"], (look["opportunity_id"],), _unpaid(mine))


def same_company(customer: str | None, domains: tuple[str, ...]) -> bool:
    """Whether a customer's domain is one of a partner's, or below it."""
    return customer is not None and any(customer == own or customer.endswith(f".{own}") for own in domains)


async def _proofs(_: Asking, look: Look) -> Found:
    others = tuple(look["related"])
    return Found(AbuseFacts(signal="shared_proof", count=len(others)), look["subject"], others)


async def _accounts(at: Asking, look: Look) -> Found:
    """The other payees whose money goes to the same account now."""
    others = []
    for payee_id in look["payees"]:
        other: Payee = await at.peek(Payees.at(payee_id))
        if payee_id != look["payee_id"] and other.bank and other.bank.fingerprint == look["fingerprint"]:
            others.append(payee_id)
    return Found(AbuseFacts(signal="shared_bank", count=len(others)), look["subject"], tuple(others))


async def _change(at: Asking, look: Look) -> Found:
    """How long before a payment it began to go to another account; the first details are no change, nor the same anew."""
    payee: Payee = await at.peek(Payees.at(look["payee_id"]))
    changes = [after for before, after in pairwise(payee.banks) if before.fingerprint != after.fingerprint]
    if payee.bank is None or not changes:
        return Found(AbuseFacts(signal="bank_change"), look["subject"])
    days = (at.now - changes[-1].changed_at).days
    return Found(AbuseFacts(signal="bank_change", count=len(changes), days=days), look["subject"])


async def _requests(at: Asking, look: Look) -> Found:
    """What the partner asked of one fund within a month, by when it was sent in; not what came to nothing."""
    rows = await at.rows("fund_requests", {"partner_id": look["partner_id"]}, "-changed_at")
    since = iso(at.now - timedelta(days=SPLIT_DAYS))
    asked = [row for row in rows if row["fund_id"] == look["fund_id"] and _submitted_at(row) >= since]
    counted = [row for row in asked if row["state"] in ("submitted", "accepted", "completed")]
    amounts = tuple(sorted(Decimal(row["asked"]["amount"]) for row in counted))
    several = amounts if len(amounts) > 1 else ()
    currency = counted[0]["asked"]["currency"] if several else LEFT_OUT
    facts = AbuseFacts(signal="split_below_limit", count=len(several), amounts=several, currency=currency)
    return Found(facts, f"{look['subject']}-{at.now:%Y-%m}", tuple(sorted(row["fund_request_id"] for row in counted)))


def _submitted_at(row: dict[str, Any]) -> str:
    """When a request was sent in last; nothing for a draft."""
    return max((step["at"] for step in row["history"] if step["kind"] == FundRequestSubmitted.__name__), default="")


FIND: dict[str, Callable[[Asking, Look], Awaitable[Found]]] = {
    "refund_ratio": _refunds,
    "self_referral": _customer,
    "shared_proof": _proofs,
    "shared_bank": _accounts,
    "bank_change": _change,
    "split_below_limit": _requests,
}

ABUSE_LOOKS = Deadline(name="abuse_looks", version=3, keys=KEYS, evolve=evolve, issue=issue)
