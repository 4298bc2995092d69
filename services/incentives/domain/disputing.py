"""What becomes of a dispute over a line: its account decides each step in time, and who may decide it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from chassis.case import APPEAL, DECIDE, HEAR, REQUEST, SHOW, STEPS, WITHDRAW, ArbiterInvolved, Stage
from chassis.decider import NotFound, Refused, WrongState
from chassis.event import LEFT_OUT
from chassis.rulebook import Rulebook
from services.incentives.domain.account import Account, StatementIssued, StatementLine
from services.incentives.domain.claim import Claim
from services.incentives.domain.line_dispute import (
    AppealDispute,
    ConcludeDispute,
    CorrectionAsked,
    DecideDispute,
    DisputeAnswered,
    DisputeAppealed,
    DisputeConcluded,
    DisputeDecided,
    DisputeEvidenceRequested,
    DisputeEvidenceShown,
    DisputeHeard,
    DisputeLine,
    DisputeWithdrawn,
    HearDispute,
    LineCorrected,
    LineDispute,
    LineDisputed,
    LineDisputeEvent,
    NoteCorrected,
    OnDispute,
    RemindCorrection,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.incentives.domain.meter import Meter
from services.incentives.domain.payment import Payment, rules_of
from services.incentives.domain.periods import Calendar
from services.incentives.domain.sale import Sale

DISPUTE_DAYS, EVIDENCE_DAYS, DECISION_DAYS, APPEAL_DAYS, CORRECTION_DAYS = 10, 5, 5, 10, 5
"""Business days to file, to show evidence, to decide, to appeal, and to correct the line of who was right."""
UPHELD, REJECTED = "upheld", "rejected"
Books = Sequence[Rulebook]
Origins = tuple[Sequence[Sale], Sequence[Claim], Sequence[Payment], Sequence[Meter]]
"""The sale, claims, payment and window that a line is of: each of them one, or none."""

# Refusals


class UnknownLine(NotFound):
    """The statement has no such line, or no dispute about it."""


class DisputeLate(Refused):
    """A line is disputed within ten business days of its statement."""

    slug = "dispute-late"


# Decisions


def dispute_line(wish: DisputeLine, account: Account, books: Books) -> list[LineDisputed]:
    """Keeps a payee's objection to a line, with what shows it, for ten business days after its statement.

    It names the payment that pays the line: while that was not sent, it waits until the dispute is final.
    """
    return [replace(one, drawn_by=_drawn_by(one, account)) for one in dispute_line_of_statement(wish, account, books)]


def _drawn_by(filed: LineDisputed, account: Account) -> str | None:
    """The first payment of the line's statement or of a later one, into which it was carried.

    Not one that was proposed while the line was disputed before: that does not pay it.
    """
    numbers = {one.statement_id: one.number for one in account.statements}
    since = numbers[filed.statement_id]
    later = [one for one in account.payments.values() if numbers.get(one.statement_id, 0) >= since]
    paying = [one for one in later if filed.event_id not in (one.waiting or ())]
    first = min(paying, key=lambda one: numbers[one.statement_id], default=None)
    return first.payment_id if first else None


def dispute_line_of_statement(wish: DisputeLine, account: Account, books: Books) -> list[LineDisputed]:
    """As the second evaluator decided: what a payment of its statement paid, sent or not, was not stopped any more."""
    calendar = rules_of(books, wish.now).calendar
    filed = _filed(wish, account, calendar)
    due_at = _after(calendar, wish.now, EVIDENCE_DAYS)
    return [replace(one, evidence=wish.evidence, due_at=due_at) for one in filed]


def dispute_line_to_be_decided_at_once(wish: DisputeLine, account: Account) -> list[LineDisputed]:
    """As the first evaluator decided: no evidence, no days off but weekends, and one decision."""
    return _filed(wish, account, Calendar())


def _filed(wish: DisputeLine, account: Account, calendar: Calendar) -> list[LineDisputed]:
    statement = account.statement(wish.statement_id)
    line = _line_of(statement, wish.event_id)
    if line is None and wish.statement_id not in account.shortened:
        raise UnknownLine
    if wish.event_id in account.disputes or wish.event_id in account.decided:
        return []
    last = calendar.business_days_after(statement.issued_at.date(), DISPUTE_DAYS)
    if line is None or wish.now.date() > last:
        raise DisputeLate
    return [
        LineDisputed(
            account_id=wish.account_id,
            partner_id=statement.partner_id,
            statement_id=wish.statement_id,
            event_id=wish.event_id,
            amount=line.amount,
            reason=wish.reason,
            disputed_by=wish.by,
            disputed_at=wish.now,
        )
    ]


def _line_of(statement: StatementIssued, event_id: str) -> StatementLine | None:
    return next((line for line in statement.lines if line.event_id == event_id), None)


def request_dispute_evidence(wish: RequestDisputeEvidence, account: Account, books: Books) -> list[LineDisputeEvent]:
    """Asks the payee for more: a person by itself, where it is its own pay."""
    [asked] = request_dispute_evidence_of_partner(wish, account, books)
    statement = account.statement(asked.statement_id)
    person = LEFT_OUT if statement.payee_id == statement.partner_id else statement.payee_id
    return [replace(asked, payee_id=person)]


def request_dispute_evidence_of_partner(
    wish: RequestDisputeEvidence, account: Account, books: Books
) -> list[DisputeEvidenceRequested]:
    """As the first evaluator decided: whose pay it was was not said, and the partner was asked for a person's too."""
    dispute = _dispute(wish, account, REQUEST)
    due_at = _after(rules_of(books, wish.now).calendar, wish.now, EVIDENCE_DAYS)
    return [
        DisputeEvidenceRequested(
            **dispute.header, question=wish.question, due_at=due_at, requested_by=wish.by, requested_at=wish.now
        )
    ]


def show_dispute_evidence(wish: ShowDisputeEvidence, account: Account, books: Books) -> list[LineDisputeEvent]:
    """Answers with documents; an arbiter decides next."""
    dispute = _dispute(wish, account, SHOW)
    due_at = _after(rules_of(books, wish.now).calendar, wish.now, DECISION_DAYS)
    return [
        DisputeEvidenceShown(
            **dispute.header, evidence=wish.evidence, due_at=due_at, shown_by=wish.by, shown_at=wish.now
        )
    ]


def hear_dispute(wish: HearDispute, account: Account, books: Books) -> list[LineDisputeEvent]:
    """The time for evidence is over; nothing where it is not, or the dispute has gone on."""
    dispute = account.disputes.get(wish.event_id)
    if dispute is None or dispute.case.due_at is None or dispute.case.due_at > wish.now:
        return []
    if dispute.case.stage not in STEPS[HEAR][0]:
        return []
    due_at = _after(rules_of(books, wish.now).calendar, wish.now, DECISION_DAYS)
    return [DisputeHeard(**dispute.header, due_at=due_at, heard_at=wish.now)]


def decide_dispute(  # noqa: PLR0913, PLR0917  a state a parameter
    wish: DecideDispute,
    account: Account,
    sales: Sequence[Sale],
    claims: Sequence[Claim],
    payments: Sequence[Payment],
    meters: Sequence[Meter],
    books: Books,
) -> list[LineDisputeEvent]:
    """What somebody decides who neither approved, adjusted nor postponed the line; an appeal by a third person, and final.

    The payee is told. Where it was right, and that is final, finance is asked to correct the line.
    """
    return _decided_and_told(wish, account, (sales, claims, payments, meters), books)


def decide_dispute_but_of_windows(
    wish: DecideDispute,
    account: Account,
    sales: Sequence[Sale],
    claims: Sequence[Claim],
    payments: Sequence[Payment],
    books: Books,
) -> list[LineDisputeEvent]:
    """As the third evaluator decided: who postponed the line of a window could decide the dispute over it."""
    return _decided_and_told(wish, account, (sales, claims, payments, ()), books)


def _decided_and_told(wish: DecideDispute, account: Account, of: Origins, books: Books) -> list[LineDisputeEvent]:
    decided, over = _verdict(wish, account, of, books)
    told = _told(wish, account)
    answered = DisputeAnswered(**account.disputes[wish.event_id].header, answered_at=wish.now)
    final = [replace(one, **told) for one in over]
    return [replace(decided, **told), answered, *final, *_to_correct(final, wish.now, books)]


def _told(wish: OnDispute, account: Account) -> dict[str, Any]:
    """Whose line it is, and what it is of."""
    statement = account.statement(wish.statement_id)
    line = _line_of(statement, wish.event_id)
    return {"payee_id": statement.payee_id, "line_id": line.cause if line else ""}


def _to_correct(final: Sequence[DisputeConcluded], now: datetime, books: Books) -> list[LineDisputeEvent]:
    """Finance has five business days to correct the line of who was right."""
    due_at = _after(rules_of(books, now).calendar, now, CORRECTION_DAYS)
    return [
        CorrectionAsked(
            account_id=one.account_id,
            partner_id=one.partner_id,
            statement_id=one.statement_id,
            event_id=one.event_id,
            line_id=one.line_id or "",
            times=1,
            due_at=due_at,
            asked_at=now,
        )
        for one in final
        if one.outcome == UPHELD
    ]


def decide_dispute_untold(
    wish: DecideDispute,
    account: Account,
    sales: Sequence[Sale],
    claims: Sequence[Claim],
    payments: Sequence[Payment],
    books: Books,
) -> list[LineDisputeEvent]:
    """As the second evaluator decided: the payee was not told, and finance not asked to correct the line."""
    decided, final = _verdict(wish, account, (sales, claims, payments, ()), books)
    return [decided, *final]


def _verdict(
    wish: DecideDispute, account: Account, of: Origins, books: Books
) -> tuple[DisputeDecided, list[DisputeConcluded]]:
    """The decision, and that it is final where it was appealed."""
    dispute = _dispute(wish, account, DECIDE)
    if wish.by in barred(wish, account, of):
        raise ArbiterInvolved
    appealed = dispute.case.stage == Stage.APPEALED
    until = _after(rules_of(books, wish.now).calendar, wish.now, APPEAL_DAYS)
    decided = replace(_decided(wish, dispute), due_at=None if appealed else until)
    return decided, [_concluded(dispute, wish.outcome, wish.now)] if appealed else []


def barred(wish: DecideDispute, account: Account, of: Origins) -> frozenset[str]:
    """Everybody who may not decide a dispute: who filed it, who decided it before, and who took part in its line."""
    dispute, line = account.disputes.get(wish.event_id), _line_of(account.statement(wish.statement_id), wish.event_id)
    took_part = _took_part(line, *of) if line is not None else ()
    return frozenset((*(dispute.case.barred if dispute else ()), *took_part))


def decide_dispute_at_once(wish: DecideDispute, account: Account) -> list[DisputeDecided]:
    """As the first evaluator decided: anybody who approves ended it, once and for all."""
    disputed = account.disputes.get(wish.event_id)
    if disputed is None:
        if wish.event_id in account.decided:
            return []
        raise UnknownLine
    return [_decided(wish, disputed)]


def _decided(wish: DecideDispute, dispute: LineDispute) -> DisputeDecided:
    return DisputeDecided(
        **dispute.header, outcome=wish.outcome, reason=wish.reason, decided_by=wish.by, decided_at=wish.now
    )


def _took_part(
    line: StatementLine,
    sales: Sequence[Sale],
    claims: Sequence[Claim],
    payments: Sequence[Payment],
    meters: Sequence[Meter],
) -> Iterator[str]:
    """Who postponed or adjusted the line, approved the claim that it came from, or prepared and approved the payment."""
    for sale in sales:
        if line.cause in sale.lines:
            yield from sale.lines[line.cause].changed_by
    for claim in claims:
        if claim.approved is not None:
            yield claim.approved.decided_by
    for payment in payments:
        if payment.approved is not None:
            yield from (payment.approved.proposed_by, payment.approved.approved_by)
    for meter in meters:
        yield from meter.changed_by.get(line.cause, ())


def appeal_dispute(wish: AppealDispute, account: Account, books: Books) -> list[LineDisputeEvent]:
    """Asks for another arbiter, once and in time."""
    dispute = _dispute(wish, account, APPEAL)
    dispute.case.may_appeal(wish.now)
    due_at = _after(rules_of(books, wish.now).calendar, wish.now, DECISION_DAYS)
    return [
        DisputeAppealed(
            **dispute.header, statement=wish.statement, due_at=due_at, appealed_by=wish.by, appealed_at=wish.now
        )
    ]


def conclude_dispute(wish: ConcludeDispute, account: Account, books: Books) -> list[LineDisputeEvent]:
    """Nothing can be said against the decision any more; nothing where it was appealed.

    The payee is told. Where it was right finance is asked to correct the line.
    """
    final = [replace(one, **_told(wish, account)) for one in conclude_dispute_untold(wish, account)]
    return [*final, *_to_correct(final, wish.now, books)]


def conclude_dispute_untold(wish: ConcludeDispute, account: Account) -> list[DisputeConcluded]:
    """As the first evaluator decided: the payee was not told, and finance not asked to correct the line."""
    dispute = account.disputes.get(wish.event_id)
    if dispute is None or dispute.outcome is None or not dispute.case.may_conclude(wish.now):
        return []
    return [_concluded(dispute, dispute.outcome, wish.now)]


def _concluded(dispute: LineDispute, outcome: str, now: datetime) -> DisputeConcluded:
    return DisputeConcluded(**dispute.header, outcome=outcome, concluded_at=now)


def remind_correction(wish: RemindCorrection, account: Account, books: Books) -> list[LineDisputeEvent]:
    """Asks finance again to correct a line; nothing once that is done."""
    asked = account.corrections.get(wish.event_id)
    if asked is None or asked.due_at > wish.now:
        return []
    due_at = _after(rules_of(books, wish.now).calendar, wish.now, CORRECTION_DAYS)
    return [replace(asked, times=asked.times + 1, due_at=due_at, asked_at=wish.now)]


def note_corrected(wish: NoteCorrected, account: Account) -> list[LineDisputeEvent]:
    """The line was corrected: it is asked for no more. Raises UnknownLine where nobody was to correct it."""
    asked = account.corrections.get(wish.event_id)
    if asked is None:
        if wish.event_id in account.decided:
            return []
        raise UnknownLine
    return [
        LineCorrected(
            account_id=asked.account_id,
            partner_id=asked.partner_id,
            statement_id=asked.statement_id,
            event_id=asked.event_id,
            line_id=asked.line_id,
            reason=wish.reason,
            corrected_by=wish.by,
            corrected_at=wish.now,
        )
    ]


def withdraw_dispute(wish: WithdrawDispute, account: Account) -> list[LineDisputeEvent]:
    """Takes the dispute back, before it is decided."""
    dispute = _dispute(wish, account, WITHDRAW)
    return [DisputeWithdrawn(**dispute.header, withdrawn_by=wish.by, withdrawn_at=wish.now)]


def _dispute(wish: OnDispute, account: Account, step: str) -> LineDispute:
    """The dispute, which this step may be taken in. Raises UnknownLine and WrongState."""
    dispute = account.disputes.get(wish.event_id)
    if dispute is None and wish.event_id in account.decided:
        raise WrongState("the dispute is final", state=Stage.FINAL.value, allowed=[])
    if dispute is None or dispute.opened.statement_id != wish.statement_id:
        raise UnknownLine
    dispute.case.may(step)
    return dispute


def _after(calendar: Calendar, now: datetime, days: int) -> datetime:
    """The end of the day some business days from now."""
    last: date = calendar.business_days_after(now.astimezone(UTC).date(), days)
    return datetime.combine(last + timedelta(days=1), time.min, tzinfo=UTC)
