"""Why: recorded facts turned back into decisions, each with its reasons, inputs and what would have changed it."""

from collections.abc import Callable
from typing import Any

from chassis.event import Seen, iso, plain
from chassis.rulebook import Change, Decision, Input, Reason
from services.attribution.domain.credit import MERGE, CreditAllocated
from services.attribution.domain.credit_policy import TEXTS, Row
from services.attribution.domain.crm_record import CrmChangeQuarantined
from services.attribution.domain.opportunity import DealLost, DealWon, RevenueReversed

MERGED_TEXT = "a partner is one with another, or no longer: the shares are those of before, by the names that count now"
OPEN_TO_A_PERSON = ("outside-look-back", "after-cutoff", "protection-lapsed", "claimed")


def explain_credit(seen: Seen) -> Decision:
    """Every touch used or ignored, weights, rounding, and the policy version; or the person and the reason."""
    it: CreditAllocated = seen.event
    return Decision(
        outcome=f"{it.status} revision {it.revision}",
        reasons=tuple(_credit_reasons(it)),
        inputs=tuple(Input(name=row.touch_type, value=plain(row)) for row in it.rows),
        would_change=tuple(_change(row) for row in it.rows if row.code in OPEN_TO_A_PERSON),
        detail={
            "pool": it.pool,
            "model": it.model,
            "shares": plain(it.shares),
            "parts": plain(it.parts),
            "policy": {"id": it.policy_id, "version": it.policy_version, "sha256": it.policy_sha256},
            "cutoff_at": iso(it.cutoff_at),
            "decision_sha256": it.decision_sha256,
            **({"aliases": plain(it.aliases)} if it.aliases else {}),
        },
    )


def _credit_reasons(it: CreditAllocated) -> list[Reason]:
    merged = [Reason(code=MERGE, text=MERGED_TEXT)] if it.reason_code == MERGE else []
    if it.revised_by is not None:
        return merged or [Reason(code=it.reason_code, text=it.reason or "", rule="revised by a person")]
    return [*merged, *_model_reasons(it)]


def _model_reasons(it: CreditAllocated) -> list[Reason]:
    if not it.shares:
        return [
            Reason(code="no-eligible-touch", text="no touch counts any more", rule=it.pool, version=it.policy_version)
        ]
    code = f"model-{it.model}".replace("_", "-")
    return [
        Reason(code=code, text=f"{part.percent} % as {part.role}", rule=it.policy_id, version=it.policy_version)
        for part in it.parts
    ]


def _change(row: Row) -> Change:
    text = f"the {row.touch_type} of {iso(row.touched_at)} {TEXTS[row.code]}"
    return Change(code=row.code, text=text, outcome="counted")


def explain_win(seen: Seen) -> Decision:
    """Which row of the CRM said won, and what was taken over."""
    it: DealWon = seen.event
    day = "the close lay ahead, so the day of the change counts" if it.dated_ahead else "the CRM's close counts"
    return Decision(
        outcome="won",
        reasons=(Reason(code="crm-says-won", text=f"the CRM moved the deal to won; {day}"),),
        inputs=(
            Input(name="amount", value=plain(it.amount)),
            Input(name="closed_on", value=iso(it.closed_on)),
            Input(name="changed_at", value=iso(it.won_at)),
        ),
        detail={"win_no": it.win_no, "lines": plain(it.lines), "cutoff_at": iso(it.cutoff_at)},
    )


def explain_loss(seen: Seen) -> Decision:
    it: DealLost = seen.event
    return Decision(outcome="lost", reasons=(Reason(code=it.reason_code, text="the CRM moved the deal to lost"),))


def explain_reversal(seen: Seen) -> Decision:
    """What was taken back of which win, and what is left."""
    it: RevenueReversed = seen.event
    return Decision(
        outcome="reversed",
        reasons=(Reason(code=it.reason_code, text=REVERSALS[it.reason_code]),),
        inputs=(Input(name="amount", value=plain(it.amount)), Input(name="remaining", value=plain(it.remaining))),
        detail={"win_no": it.win_no, "lines": plain(it.lines)},
    )


REVERSALS = {
    "refund": "the CRM's running total of refunds rose",
    "reopened": "the CRM took the deal out of won",
    "corrected": "the CRM changed the won amount: the old win is taken back and won anew",
}


def explain_quarantine(seen: Seen) -> Decision:
    """Why a change of the CRM waits, and what it showed."""
    it: CrmChangeQuarantined = seen.event
    return Decision(
        outcome="held",
        reasons=(Reason(code=it.code, text=it.text),),
        inputs=tuple(Input(name=name, value=value) for name, value in plain(it.change).items()),
    )


EXPLAIN: dict[type[Any], Callable[[Seen], Decision]] = {
    CreditAllocated: explain_credit,
    DealWon: explain_win,
    DealLost: explain_loss,
    RevenueReversed: explain_reversal,
    CrmChangeQuarantined: explain_quarantine,
}


SHOWN_TO_PARTNERS = ("pool", "model", "policy", "cutoff_at")


def disclose(decision: Decision) -> Decision:
    """What a partner may read of a decision: the outcome and its reasons; other partners' touches only as a number."""
    kept: dict[str, Any] = {name: value for name, value in decision.detail.items() if name in SHOWN_TO_PARTNERS}
    inputs = (Input(name="touches", value=len(decision.inputs)),)
    codes = tuple(Reason(code=r.code, text="", rule=r.rule, version=r.version) for r in decision.reasons[:1])
    return Decision(outcome=decision.outcome, reasons=codes, inputs=inputs, detail=kept)
