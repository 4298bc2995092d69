"""Why each event of money happened: recomputed from what the event keeps, with what would have changed it."""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from chassis.event import LEFT_OUT, Seen, iso
from chassis.rulebook import Change, Decision, Input, Reason
from contracts.values import none_of
from services.incentives.domain import (
    account,
    accrual,
    books,
    case,
    claim,
    forfeiture,
    fund_request_events,
    line_dispute,
    meter,
    payee_events,
    recognition,
    sale_events,
    tier,
)
from services.incentives.domain.abuse_rules import AbuseFacts
from services.incentives.domain.abuse_rules import text_of as signal_text
from services.incentives.domain.exchange import Exchange
from services.incentives.domain.explaining_payments import EXPLAIN_PAYMENTS
from services.incentives.domain.rating import alternatives, exchange_steps, inputs, rate_inputs, steps, text_of

CREDITED = "credited_id"
OF_EVERY_PART = ("plan", "dates", "remaining")
OF_ANOTHER = Reason(
    code="part", text="your part of what a plan pays for a deal of another partner, in which you take part"
)


def calculated(seen: Seen) -> Decision:
    """Facts, credit revision, plan version, F(before), F(after), rounding, dates; the pay without each band and cap."""
    line: sale_events.PayoutCalculated = seen.event
    plan_id = line.key.plan_id
    dates = f"credited {iso(line.credited_on)}, earned {iso(line.earned_on)}, payable {iso(line.payable_on)}"
    version = f"version {line.plan_version} of {plan_id} was in force on {iso(line.credited_on)}"
    return Decision(
        outcome=text_of(line.amount),
        reasons=(
            Reason(code="plan", text=version, rule=plan_id, version=line.plan_version),
            *steps(line.derivation, rule=plan_id, version=line.plan_version),
            *_spent(line),
            *_exchanged(line.exchange),
            Reason(code="dates", text=dates, rule=plan_id, version=line.plan_version),
        ),
        inputs=(
            Input(name=line.derivation.achievement or "win", value=line.key.win_no, event_id=line.win_event_id),
            Input(name="credit_revision", value=line.credit_revision, event_id=line.credit_event_id),
            *inputs(line.derivation),
            *rate_inputs(line.exchange),
        ),
        would_change=alternatives(line.derivation),
        detail={
            "rule_id": line.rule_id,
            "pool": line.key.pool,
            "plan_sha256": line.plan_sha256,
            "state": line.state,
            **_credited(line),
        },
    )


def _exchanged(exchange: Exchange | None) -> tuple[Reason, ...]:
    """How what the plan pays came into the currency in which it is paid out."""
    return tuple(Reason(code=code, text=text) for code, text in exchange_steps(exchange))


def _credited(line: sale_events.PayoutCalculated | sale_events.PayoutReversed) -> dict[str, str]:
    """Who is credited with the sale, where the line is another partner's part of the pay."""
    return {CREDITED: line.key.partner_id} if line.partner_id else {}


def disclose(decision: Decision) -> Decision:
    """What a partner may read: of its part in another partner's sale not what that sold and earned, and by which terms."""
    if CREDITED not in decision.detail:
        return decision
    kept = tuple(reason for reason in decision.reasons if reason.code in OF_EVERY_PART)
    return Decision(outcome=decision.outcome, reasons=(OF_ANOTHER, *kept))


def _spent(line: sale_events.PayoutCalculated) -> tuple[Reason, ...]:
    """That the pay was drawn from a budget, which gives no more than it has."""
    if line.budget_id is None:
        return ()
    text = _in_part(line) or f"{_drawn(line)} drawn from the budget {line.budget_id}, at most what it had left"
    return (Reason(code="spend-limit", text=text, rule=line.key.plan_id, version=line.plan_version),)


def _drawn(line: sale_events.PayoutCalculated) -> str:
    units = line.units.given if line.units else line.drawn_units
    return f"{units} units" if units else text_of(line.drawn or line.amount)


def _in_part(line: sale_events.PayoutCalculated) -> str:
    """Of how many units only some were left, whose part of the pay is paid."""
    if not line.units or line.units.given == line.units.asked:
        return ""
    units = f"{line.units.given} of the {line.units.asked} units of this share"
    return f"{units} drawn from the budget {line.budget_id}, which had no more left: that part of the pay is paid"


def reversed_line(seen: Seen) -> Decision:
    """Earned, basis, what was taken of it, and what was reversed before."""
    line: sale_events.PayoutReversed = seen.event
    share = f"{text_of(line.earned)} * {line.taken} / {line.basis.amount}"
    text = f"{share}, half-up, less {text_of(line.reversed_before)} reversed before = {text_of(line.amount)}"
    return Decision(
        outcome=text_of(line.amount),
        reasons=(
            Reason(code=line.reason_code, text=text, rule=line.key.plan_id, version=line.plan_version),
            Reason(code="remaining", text=f"{text_of(line.remaining)} of the line stands"),
        ),
        inputs=(
            Input(name="reversal", value=line.reversal_id, event_id=line.source_event_id),
            Input(name="earned", value=text_of(line.earned)),
            Input(name="basis", value=text_of(line.basis)),
            Input(name="taken", value=str(line.taken)),
        ),
        would_change=(_without("reversal", line.amount.currency),),
        detail=_credited(line),
    )


def _without(code: str, currency: str) -> Change:
    nothing = text_of(none_of(currency))
    return Change(code=code, text=f"without the {code} nothing would be reversed", outcome=nothing)


def released(seen: Seen) -> Decision:
    """The hold was over on its day."""
    line: sale_events.PayoutReleased | meter.TrueUpReleased = seen.event
    text = f"the hold ended on {iso(line.payable_on)}"
    return Decision(
        outcome="released",
        reasons=(Reason(code="hold-over", text=text),),
        inputs=(Input(name="payable_on", value=iso(line.payable_on)), Input(name="amount", value=text_of(line.amount))),
    )


def postponed(seen: Seen) -> Decision:
    """A person held the line back, and why."""
    line: sale_events.PayoutPostponed | meter.TrueUpPostponed | meter.TrueUpHeldLonger = seen.event
    return Decision(
        outcome="postponed",
        reasons=(Reason(code="postponed", text=line.reason),),
        inputs=(Input(name="payable_on", value=iso(line.payable_on)),),
        would_change=(Change(code="day", text=f"on {iso(line.payable_on)} it is released", outcome="released"),),
    )


def adjusted(seen: Seen) -> Decision:
    """One person proposed, another confirmed, and why."""
    line: sale_events.PayoutAdjusted = seen.event
    return Decision(
        outcome=text_of(line.amount),
        reasons=(
            Reason(code="adjusted", text=line.reason),
            Reason(code="four-eyes", text="a second person confirmed it"),
            Reason(code="remaining", text=f"{text_of(line.remaining)} of the line stands"),
        ),
    )


def awarded(seen: Seen) -> Decision:
    """The SPIFF's line."""
    line: sale_events.SpiffAwarded = seen.event
    budget = f", from the budget {line.budget_id}" if line.budget_id else ""
    text = f"version {line.plan_version} of {line.plan_id} awards it{budget}"
    reason = Reason(code="spiff", text=text, rule=line.plan_id, version=line.plan_version)
    return Decision(outcome=text_of(line.amount), reasons=(reason,))


def missed(seen: Seen) -> Decision:
    """The budget had nothing left when this share came."""
    it: sale_events.AwardMissed = seen.event
    text = f"the budget {it.budget_id} had nothing left for {text_of(it.amount)} when this sale came"
    return Decision(outcome="missed", reasons=(Reason(code=it.reason_code, text=text, rule=it.key.plan_id),))


def counted(seen: Seen) -> Decision:
    """What counts in the window, and in how much."""
    it: sale_events.RebateCounted = seen.event
    return Decision(
        outcome=f"{it.derivation.measure} counted",
        reasons=steps(it.derivation, rule=it.key.plan_id, version=it.plan_version),
        inputs=inputs(it.derivation),
    )


def quarantined(seen: Seen) -> Decision:
    """What was missing to rate it."""
    it: sale_events.FactQuarantined = seen.event
    texts = {"no-rate": "no rate of exchange of that week is recorded", "no-amount": "it came without an amount"}
    reason = Reason(code=it.reason_code, text=texts.get(it.reason_code, it.reason_code), rule=it.plan_id)
    return Decision(outcome="quarantined", reasons=(reason,))


def _resolved(seen: Seen) -> Decision:
    return Decision(outcome="resolved", reasons=(Reason(code="resolved", text="a person resolved it"),))


def accrued(seen: Seen) -> Decision:
    """What the window is worth now, and what it was."""
    it: meter.RebateAccrued = seen.event
    text = f"the window {it.window} is worth {text_of(it.total)}, {text_of(it.amount)} more than had accrued"
    reason = Reason(code=it.kind.replace("_", "-"), text=text, rule=it.plan_id, version=it.plan_version)
    return Decision(outcome=text_of(it.amount), reasons=(reason,))


def settled(seen: Seen) -> Decision:
    """What the window is worth so far, less what was settled before."""
    it: meter.RebateSettled = seen.event
    text = f"the window {it.window} is worth {text_of(it.total)} so far; {text_of(it.amount)} of it was not settled"
    reason = Reason(code="settled", text=text, rule=it.plan_id, version=it.plan_version)
    return Decision(outcome=text_of(it.amount), reasons=(reason,))


def trued_up(seen: Seen) -> Decision:
    """What the schedule makes of the window's net measure, less what its lines were rated at."""
    it: meter.WindowTruedUp = seen.event
    counted = f"at a measure of {it.measure} " if it.measure is not LEFT_OUT else ""
    text = f"{counted}the window {it.window} is worth {text_of(it.total)}; its lines differ by {text_of(it.in_plan)}"
    reason = Reason(code="true-up", text=text, rule=it.plan_id, version=it.plan_version)
    dates = Reason(code="dates", text=f"earned {iso(it.earned_on)}, payable {iso(it.payable_day)}", rule=it.plan_id)
    exchange = it.exchange or None
    return Decision(
        outcome=text_of(it.amount), reasons=(reason, *_exchanged(exchange), dates), inputs=rate_inputs(exchange)
    )


def reduced(seen: Seen) -> Decision:
    """What the window is worth less is taken of a true-up that is held, before anything that is payable."""
    it: meter.TrueUpReduced = seen.event
    text = (
        f"the window {it.window} is worth {text_of(it.total)} now; {text_of(it.amount)} of a held true-up is not earned"
    )
    return Decision(
        outcome=text_of(it.amount),
        reasons=(
            Reason(code="true-up", text=text, rule=it.plan_id, version=it.plan_version),
            Reason(code="remaining", text=f"{text_of(it.remaining)} of the line stands"),
        ),
    )


def closed(seen: Seen) -> Decision:
    """Every account summed to nothing."""
    it: books.MonthClosed = seen.event
    reason = Reason(code="balanced", text=f"the ledger up to position {it.position} sums to nothing")
    return Decision(outcome="closed", reasons=(reason,), detail={"sha256": it.sha256})


def issued(seen: Seen) -> Decision:
    """Opening plus lines is closing; every line with the event that it came from."""
    statement: account.StatementIssued = seen.event
    text = f"{text_of(statement.opening)} and {len(statement.lines)} lines make {text_of(statement.closing)}"
    return Decision(
        outcome=text_of(statement.closing),
        reasons=(Reason(code="sum", text=text),),
        inputs=tuple(
            Input(name=line.kind, value=text_of(line.amount), event_id=line.event_id, position=line.position)
            for line in statement.lines
        ),
        detail={"sha256": statement.sha256, "previous_sha256": statement.previous_sha256},
    )


def disputed(seen: Seen) -> Decision:
    """What the payee says of a line."""
    it: line_dispute.LineDisputed = seen.event
    return Decision(outcome="disputed", reasons=(Reason(code="disputed", text=it.reason), *_shown(it.evidence or ())))


def _shown(evidence: Sequence[line_dispute.DisputeEvidence]) -> tuple[Reason, ...]:
    return tuple(Reason(code="evidence", text=f"{one.text} (SHA-256 {one.sha256})") for one in evidence)


def dispute_stepped(seen: Seen) -> Decision:
    """What was asked, shown, or said against the decision of a dispute."""
    it: Any = seen.event
    if isinstance(it, line_dispute.DisputeEvidenceShown):
        return Decision(outcome="shown", reasons=_shown(it.evidence))
    if isinstance(it, line_dispute.DisputeEvidenceRequested):
        return Decision(outcome="asked", reasons=(Reason(code="question", text=it.question),))
    return Decision(outcome="appealed", reasons=(Reason(code="appealed", text=it.statement),))


def dispute_decided(seen: Seen) -> Decision:
    """How the dispute was decided."""
    it: line_dispute.DisputeDecided = seen.event
    return Decision(outcome=it.outcome, reasons=(Reason(code=it.outcome, text=it.reason),))


def bank_changed(seen: Seen) -> Decision:
    """What has to happen before money goes there."""
    text = "another person has to verify the new bank details, and they cool down"
    return Decision(outcome="changed", reasons=(Reason(code="bank-changed", text=text),))


def fund_accrued(seen: Seen) -> Decision:
    """What the percent of what was bought comes to, less what the sale brought before, and what stays owed."""
    it: accrual.FundAccrued = seen.event
    return Decision(
        outcome=text_of(it.amount),
        reasons=tuple(
            Reason(code=code, text=text, rule=it.fund_id, version=it.version)
            for code, text in accrual.steps_of(it).items()
        ),
        inputs=(Input(name="bought", value=text_of(it.bought), event_id=it.source_event_id),),
    )


def fund_decided(seen: Seen) -> Decision:
    """Item by item, what was accepted and why; the fund's part of it, and until when it is claimed."""
    it: fund_request_events.FundRequestDecided = seen.event
    items = tuple(
        Reason(code=item.outcome.replace("_", "-"), text=f"item {number}: {text_of(item.amount)} {item.reason}".strip())
        for number, item in enumerate(it.items, start=1)
    )
    return Decision(
        outcome=it.outcome,
        reasons=(*items, *_terms(it)),
        inputs=(Input(name="available", value=text_of(it.available)),),
    )


def _terms(it: fund_request_events.FundRequestDecided) -> tuple[Reason, ...]:
    terms = it.terms
    if terms is None or it.claim_by is None:
        return ()
    text = f"{terms.participation_percent} % of {text_of(terms.accepted)} reserves {text_of(terms.reserved)}"
    return (
        Reason(code="reserved", text=text, rule=it.fund_id, version=terms.plan_version),
        Reason(code="claim-by", text=f"to be claimed by {iso(it.claim_by)}", rule=it.fund_id),
    )


def fund_escalated(seen: Seen) -> Decision:
    """The amount and the limit of who wanted to accept it."""
    it: fund_request_events.FundRequestEscalated = seen.event
    text = f"{text_of(it.amount)} is above the limit of {text_of(it.limit)}: somebody with a higher one decides"
    return Decision(outcome="escalated", reasons=(Reason(code="over-limit", text=text, rule=it.fund_id),))


def fund_ended(seen: Seen) -> Decision:
    """Why it ended, and what was given back."""
    it: fund_request_events.FundRequestEnded = seen.event
    released = Reason(code="released", text=f"{text_of(it.released)} is available again")
    return Decision(outcome=it.outcome, reasons=(Reason(code=it.outcome, text=it.reason), released))


def claim_decided(seen: Seen) -> Decision:
    """Each step from what was claimed to what is payable, and what a person said."""
    it: claim.ClaimDecided = seen.event
    steps = tuple(Reason(code="step", text=text, rule=it.fund_id or it.of_id) for text in it.steps)
    said = (Reason(code="reason", text=it.reason),) if it.reason and it.reason not in it.steps else ()
    return Decision(
        outcome=text_of(it.amount) if it.outcome == claim.APPROVED else it.outcome,
        reasons=(*steps, *said),
        inputs=(Input(name="claimed", value=text_of(it.claimed)), Input(name="eligible", value=text_of(it.eligible))),
    )


def tier_changed(seen: Seen) -> Decision:
    """Each threshold of the level it came to, and who said so where it was a person."""
    it: tier.TierChanged = seen.event
    said = (Reason(code=it.cause, text=it.reason),) if it.reason else ()
    return _tier(it.to_level or "none", it, said)


def tier_review(seen: Seen) -> Decision:
    """Each threshold of the level that is not met any more, and until when it can be."""
    it: tier.TierReviewOpened = seen.event
    text = f"it qualifies for {it.qualifies_for or 'no level'}, and may recover until {iso(it.grace_until)}"
    return _tier("review", it, (Reason(code="grace", text=text),))


def _tier(outcome: str, it: tier.TierChanged | tier.TierReviewOpened, said: tuple[Reason, ...]) -> Decision:
    found = tuple(
        Reason(
            code=one.metric.replace("_", "-"),
            text=f"{one.metric}: {one.value} of {one.threshold}",
            rule=it.programme,
            version=it.version,
        )
        for one in it.criteria
    )
    inputs = tuple(Input(name=name, value=str(value)) for name, value in sorted(it.values.items()))
    return Decision(outcome=outcome, reasons=(*found, *said), inputs=inputs)


def forfeited(seen: Seen) -> Decision:
    """Since when the payee's own papers were missing."""
    it: forfeiture.BalanceForfeited = seen.event
    text = f"blocked since {iso(it.blocked_at)[:10]} by the payee's own papers, announced 60, 30 and 7 days before"
    return Decision(
        outcome=forfeiture.FORFEITED,
        reasons=(Reason(code="papers-missing", text=text),),
        inputs=(Input(name="amount", value=f"{it.amount.amount} {it.amount.currency}"),),
    )


def case_opened(seen: Seen) -> Decision:
    """The rules that the signal met; a provider's contradiction needs none."""
    it: case.CaseOpened = seen.event
    code = it.signal.replace("_", "-")
    met = tuple(Reason(code=code, text=hit.text, rule=hit.rule_id, version=it.version) for hit in it.hits)
    return Decision(
        outcome=it.action,
        reasons=met or (Reason(code=code, text=signal_text(AbuseFacts(signal=it.signal, count=1))),),
        inputs=(Input(name="lines", value=len(it.lines)), Input(name="holds_payee", value=it.holds_payee)),
    )


def case_extended(seen: Seen) -> Decision:
    """The lines that were earned since it held others."""
    it: case.CaseExtended = seen.event
    reason = Reason(code="earned-since", text="lines that were earned since the case held others are held as well")
    return Decision(outcome="hold", reasons=(reason,), inputs=(Input(name="lines", value=len(it.lines)),))


def case_closed(seen: Seen) -> Decision:
    """What a person said of it."""
    it: case.CaseClosed = seen.event
    return Decision(outcome=it.outcome, reasons=(Reason(code="decided", text=it.reason),))


def recognised(seen: Seen) -> Decision:
    """The year's points beside the total that the badge is given at."""
    it: recognition.RecognitionAwarded = seen.event
    return _badge(it.badge, it, f"{it.points} points in {it.year}: {it.badge} is given at {it.at}")


def unrecognised(seen: Seen) -> Decision:
    """What was taken back, and the points that are left."""
    it: recognition.RecognitionRevoked = seen.event
    return _badge(
        "revoked", it, f"{it.reason_code}: {it.points} points are left in {it.year}, {it.badge} needs {it.at}"
    )


def _badge(outcome: str, it: recognition.RecognitionAwarded | recognition.RecognitionRevoked, text: str) -> Decision:
    reason = Reason(code="points", text=text, rule=it.plan_id, version=it.version)
    return Decision(outcome=outcome, reasons=(reason,), inputs=(Input(name="points", value=it.points),))


EXPLAIN: dict[type[Any], Callable[[Seen], Decision]] = {
    sale_events.PayoutCalculated: calculated,
    sale_events.PayoutReversed: reversed_line,
    sale_events.PayoutReleased: released,
    sale_events.PayoutPostponed: postponed,
    sale_events.PayoutAdjusted: adjusted,
    sale_events.SpiffAwarded: awarded,
    sale_events.AwardMissed: missed,
    sale_events.RebateCounted: counted,
    sale_events.FactQuarantined: quarantined,
    sale_events.FactResolved: _resolved,
    meter.RebateAccrued: accrued,
    meter.RebateSettled: settled,
    meter.WindowTruedUp: trued_up,
    meter.TrueUpPostponed: postponed,
    meter.TrueUpHeldLonger: postponed,
    meter.TrueUpReduced: reduced,
    meter.TrueUpReleased: released,
    books.MonthClosed: closed,
    account.StatementIssued: issued,
    **EXPLAIN_PAYMENTS,
    line_dispute.LineDisputed: disputed,
    line_dispute.DisputeEvidenceRequested: dispute_stepped,
    line_dispute.DisputeEvidenceShown: dispute_stepped,
    line_dispute.DisputeDecided: dispute_decided,
    line_dispute.DisputeAppealed: dispute_stepped,
    payee_events.BankDetailsChanged: bank_changed,
    accrual.FundAccrued: fund_accrued,
    fund_request_events.FundRequestDecided: fund_decided,
    fund_request_events.FundRequestEscalated: fund_escalated,
    fund_request_events.FundRequestEnded: fund_ended,
    claim.ClaimDecided: claim_decided,
    forfeiture.BalanceForfeited: forfeited,
    case.CaseOpened: case_opened,
    case.CaseExtended: case_extended,
    case.CaseClosed: case_closed,
    recognition.RecognitionAwarded: recognised,
    recognition.RecognitionRevoked: unrecognised,
    tier.TierChanged: tier_changed,
    tier.TierReviewOpened: tier_review,
}


WEIGH: Mapping[type[Any], Callable[[Any], tuple[str, str, Decimal]]] = {
    sale_events.PayoutCalculated: lambda it: (it.whose, it.amount.currency, it.amount.amount),
    sale_events.PayoutReversed: lambda it: (it.whose, it.amount.currency, -it.amount.amount),
    meter.RebateAccrued: lambda it: (it.payee_id, it.amount.currency, it.amount.amount),
    meter.WindowTruedUp: lambda it: (it.payee_id, it.amount.currency, it.amount.amount),
    meter.TrueUpReduced: lambda it: (it.payee_id, it.amount.currency, -it.amount.amount),
    sale_events.PayoutAdjusted: lambda it: (it.partner_id, it.amount.currency, it.amount.amount),
}
"""The money that an event earns a partner, or takes back from it: partner, currency, amount."""
