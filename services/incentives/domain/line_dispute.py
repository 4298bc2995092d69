"""A dispute over a line of a statement, in the stream of its account. How it goes on is the case's (`chassis.case`).

Its line is not paid until the dispute is final: when the time to appeal has passed, or at once where it was appealed.
"""

from dataclasses import field, replace
from datetime import datetime
from typing import Any, assert_never

from chassis.case import APPEAL, CONCLUDE, DECIDE, HEAR, REQUEST, SHOW, WITHDRAW, Case, Stage
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen
from contracts.values import Money

OVER = (Stage.FINAL, Stage.WITHDRAWN)


# Events


@frozen
class DisputeEvidence:
    """A document that supports what is said: the SHA-256 of its file, and what it shows."""

    sha256: str
    text: str


@event("incentives.LineDisputed.v1")
class LineDisputed:
    """The payee says that a line of a statement is wrong; it is not paid until that is final.

    More evidence may be shown until `due_at`; where that is left out, the dispute was to be decided at once. `drawn_by` is
    the payment that pays the line; disputes from before it was told go by whether its statement was being paid.
    """

    account_id: str
    partner_id: str
    statement_id: str
    event_id: str
    amount: Money
    reason: str
    disputed_by: str
    disputed_at: datetime
    evidence: tuple[DisputeEvidence, ...] | LeftOut = LEFT_OUT
    due_at: datetime | LeftOut = LEFT_OUT
    drawn_by: str | LeftOut | None = LEFT_OUT


@frozen
class OfDispute:
    """What every later event of a dispute says: `event_id` names the line of the statement."""

    account_id: str
    partner_id: str
    statement_id: str
    event_id: str


@event("incentives.DisputeEvidenceRequested.v1")
class DisputeEvidenceRequested(OfDispute):
    """`payee_id` is the person whose pay it is: that one alone answers. Where it is left out, the partner does."""

    question: str
    due_at: datetime
    requested_by: str
    requested_at: datetime
    payee_id: str | LeftOut = LEFT_OUT


@event("incentives.DisputeEvidenceShown.v1")
class DisputeEvidenceShown(OfDispute):
    evidence: tuple[DisputeEvidence, ...]
    due_at: datetime
    shown_by: str
    shown_at: datetime


@event("incentives.DisputeHeard.v1")
class DisputeHeard(OfDispute):
    """It is under review: an arbiter decides it by `due_at`."""

    due_at: datetime
    heard_at: datetime


@event("incentives.DisputeDecided.v1")
class DisputeDecided(OfDispute):
    """Outcome: upheld (the line is corrected by an adjustment) or rejected.

    It may be appealed until `due_at`; None: not again. Where that is left out, it was final at once. `line_id` is what the
    line of the statement is of; with it the payee is told.
    """

    outcome: str
    reason: str
    decided_by: str
    decided_at: datetime
    due_at: datetime | LeftOut | None = LEFT_OUT
    payee_id: str | LeftOut = LEFT_OUT
    line_id: str | LeftOut = LEFT_OUT


@event("incentives.DisputeAnswered.v1")
class DisputeAnswered(OfDispute):
    """Nobody need decide it any more."""

    answered_at: datetime


@event("incentives.DisputeAppealed.v1")
class DisputeAppealed(OfDispute):
    statement: str
    due_at: datetime
    appealed_by: str
    appealed_at: datetime


@event("incentives.DisputeConcluded.v1")
class DisputeConcluded(OfDispute):
    """Final: the line can be paid. Told to the payee as the decision is."""

    outcome: str
    concluded_at: datetime
    payee_id: str | LeftOut = LEFT_OUT
    line_id: str | LeftOut = LEFT_OUT


@event("incentives.CorrectionAsked.v1")
class CorrectionAsked(OfDispute):
    """The payee was right, and the line is not corrected yet: finance is asked to, by `due_at`, and again after it."""

    line_id: str
    times: int
    due_at: datetime
    asked_at: datetime


@event("incentives.LineCorrected.v1")
class LineCorrected(OfDispute):
    """What the payee was right about is settled: the line was adjusted, or somebody says in `reason` how else."""

    line_id: str
    reason: str | None
    corrected_by: str | None
    corrected_at: datetime


@event("incentives.DisputeWithdrawn.v1")
class DisputeWithdrawn(OfDispute):
    withdrawn_by: str
    withdrawn_at: datetime


Told = DisputeAnswered | CorrectionAsked | LineCorrected
"""What leaves a dispute where it stands."""
LaterStep = (
    DisputeEvidenceRequested
    | DisputeEvidenceShown
    | DisputeHeard
    | DisputeDecided
    | DisputeAppealed
    | DisputeConcluded
    | DisputeWithdrawn
)
LineDisputeEvent = LineDisputed | LaterStep | Told


@frozen
class CarriedCase:
    """Where a dispute stands at the start of a new segment."""

    event_id: str
    stage: str
    barred: tuple[str, ...]
    appeals: int
    due_at: datetime | None
    outcome: str | None


# Commands


@frozen
class OnDispute:
    """What every command on a dispute says: `event_id` names the line of the statement."""

    account_id: str
    statement_id: str
    event_id: str
    now: datetime


@frozen
class ByRules(OnDispute):
    """`rules` are the payment rules, in whose calendar days are counted."""

    rules: tuple[str, ...] = ()


@command("incentives.DisputeLine.v1")
class DisputeLine(ByRules):
    reason: str
    by: str
    evidence: tuple[DisputeEvidence, ...] = ()


@command("incentives.RequestDisputeEvidence.v1")
class RequestDisputeEvidence(ByRules):
    question: str
    by: str


@command("incentives.ShowDisputeEvidence.v1")
class ShowDisputeEvidence(ByRules):
    evidence: tuple[DisputeEvidence, ...]
    by: str


@command("incentives.HearDispute.v1")
class HearDispute(ByRules):
    pass


@command("incentives.DecideDispute.v1")
class DecideDispute(ByRules):
    """The sale, claims, payment and window that the line is of say who took part in it."""

    outcome: str
    reason: str
    by: str
    sale_ids: tuple[str, ...] = ()
    claim_ids: tuple[str, ...] = ()
    payment_ids: tuple[str, ...] = ()
    meter_ids: tuple[str, ...] = ()


@command("incentives.AppealDispute.v1")
class AppealDispute(ByRules):
    statement: str
    by: str


@command("incentives.ConcludeDispute.v1")
class ConcludeDispute(ByRules):
    pass


@command("incentives.RemindCorrection.v1")
class RemindCorrection(ByRules):
    pass


@command("incentives.NoteCorrected.v1")
class NoteCorrected(OnDispute):
    """Without `by` the line was adjusted by two people; somebody else says how it was corrected."""

    by: str | None = None
    reason: str | None = None


@command("incentives.WithdrawDispute.v1")
class WithdrawDispute(OnDispute):
    by: str


# State


@frozen
class LineDispute:
    """A dispute that is not over, and what was decided in it last."""

    opened: LineDisputed
    case: Case = field(default_factory=Case)
    outcome: str | None = None

    @property
    def header(self) -> dict[str, Any]:
        """The fields of `OfDispute`."""
        it = self.opened
        return {
            "account_id": it.account_id,
            "partner_id": it.partner_id,
            "statement_id": it.statement_id,
            "event_id": it.event_id,
        }

    @property
    def over(self) -> bool:
        return self.case.stage in OVER


def opened(it: LineDisputed) -> LineDispute:
    """A dispute at its beginning: who filed it does not decide it."""
    case = Case(stage=Stage.OPENED, barred=(it.disputed_by,), due_at=it.due_at or None)
    return LineDispute(opened=it, case=case)


# Evolve


def evolve(dispute: LineDispute, happened: LaterStep) -> LineDispute:
    case = dispute.case
    match happened:
        case DisputeDecided(decided_by=by, outcome=outcome, due_at=due_at):
            decided = replace(dispute, case=case.moved(DECIDE, due_at or None, by), outcome=outcome)
            at_once = due_at is LEFT_OUT
            return replace(decided, case=decided.case.moved(CONCLUDE, None)) if at_once else decided
        case DisputeConcluded():
            return replace(dispute, case=case.moved(CONCLUDE, None))
        case DisputeWithdrawn():
            return replace(dispute, case=case.moved(WITHDRAW, None))
        case _:
            return replace(dispute, case=case.moved(_step(happened), happened.due_at))


def _step(happened: DisputeEvidenceRequested | DisputeEvidenceShown | DisputeHeard | DisputeAppealed) -> str:
    match happened:
        case DisputeEvidenceRequested():
            return REQUEST
        case DisputeEvidenceShown():
            return SHOW
        case DisputeHeard():
            return HEAR
        case DisputeAppealed():
            return APPEAL
        case _:
            assert_never(happened)


def carried_case(dispute: LineDispute) -> CarriedCase:
    """Where it stands, as the next segment begins with it."""
    case = dispute.case
    return CarriedCase(
        event_id=dispute.opened.event_id,
        stage=case.stage.value,
        barred=case.barred,
        appeals=case.appeals,
        due_at=case.due_at,
        outcome=dispute.outcome,
    )


def taken_up(it: LineDisputed, carried: CarriedCase | None) -> LineDispute:
    """A dispute as it was carried; one of which nothing was carried stands at its beginning."""
    if carried is None:
        return opened(it)
    case = Case(stage=Stage(carried.stage), barred=carried.barred, appeals=carried.appeals, due_at=carried.due_at)
    return LineDispute(opened=it, case=case, outcome=carried.outcome)
