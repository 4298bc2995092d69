"""One way in which people contest what was decided: file in time, show evidence, hear an impartial person, appeal once.

A service records the steps as events of its own, keeps a `Case` in its state and asks it what may come next. Days are the
service's own: it counts them in its calendar and names instants here. Pure; no step is specific to what is contested.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum

from chassis.decider import Forbidden, NotFound, Refused, WrongState
from chassis.event import frozen


class Stage(StrEnum):
    NONE = "none"
    OPENED = "opened"
    EVIDENCE_REQUESTED = "evidence_requested"
    UNDER_REVIEW = "under_review"
    DECIDED = "decided"
    APPEALED = "appealed"
    FINAL = "final"
    WITHDRAWN = "withdrawn"


REQUEST, SHOW, HEAR, DECIDE, APPEAL, CONCLUDE, WITHDRAW = (
    *("request_evidence", "show_evidence", "hear", "decide", "appeal", "conclude", "withdraw"),
)
OPEN = (Stage.OPENED, Stage.EVIDENCE_REQUESTED, Stage.UNDER_REVIEW)
STEPS: dict[str, tuple[tuple[Stage, ...], Stage]] = {
    REQUEST: ((Stage.OPENED, Stage.UNDER_REVIEW), Stage.EVIDENCE_REQUESTED),
    SHOW: ((Stage.EVIDENCE_REQUESTED,), Stage.UNDER_REVIEW),
    HEAR: ((Stage.OPENED, Stage.EVIDENCE_REQUESTED), Stage.UNDER_REVIEW),
    DECIDE: ((*OPEN, Stage.APPEALED), Stage.DECIDED),
    APPEAL: ((Stage.DECIDED,), Stage.APPEALED),
    CONCLUDE: ((Stage.DECIDED,), Stage.FINAL),
    WITHDRAW: (OPEN, Stage.WITHDRAWN),
}
"""Each step: the stages from which it may be taken, and the one it leads to."""


class FilingClosed(Refused):
    """The time to contest this has passed."""

    slug = "filing-closed"


class AppealedBefore(Refused):
    """A decision can be appealed once."""

    slug = "appealed-before"


class ArbiterInvolved(Forbidden):
    """Who took part in what is contested, or has decided it before, cannot decide it: ask another person."""

    slug = "arbiter-involved"


@frozen
class Case:
    """Where a case stands. `barred` are the people who may not decide it; `due_at` is when its next step is due."""

    stage: Stage = Stage.NONE
    barred: tuple[str, ...] = ()
    appeals: int = 0
    due_at: datetime | None = None

    def may(self, step: str) -> None:
        """Raises NotFound for a case that never was, WrongState where the step cannot be taken now."""
        if self.stage == Stage.NONE:
            raise NotFound
        stages, _ = STEPS[step]
        if self.stage not in stages:
            allowed = [name for name, (from_stages, _) in STEPS.items() if self.stage in from_stages]
            raise WrongState(f"the case is {self.stage.replace('_', ' ')}", state=self.stage.value, allowed=allowed)

    def may_decide(self, by: str) -> None:
        """As `may`, and raises ArbiterInvolved for who took part before."""
        self.may(DECIDE)
        if by in self.barred:
            raise ArbiterInvolved

    def may_appeal(self, now: datetime) -> None:
        """As `may`; once, and in time."""
        self.may(APPEAL)
        if self.appeals:
            raise AppealedBefore
        in_time(self.due_at, now)

    def may_conclude(self, now: datetime) -> bool:
        """Whether nothing can be said against the decision any more."""
        return self.stage == Stage.DECIDED and (self.appeals > 0 or self.due_at is None or self.due_at <= now)

    def opened(self, barred: tuple[str, ...], due_at: datetime) -> "Case":
        return replace(self, stage=Stage.OPENED, barred=barred, due_at=due_at)

    def moved(self, step: str, due_at: datetime | None, by: str | None = None) -> "Case":
        """The case after a step. Who has decided is barred from deciding again."""
        barred = (*self.barred, by) if by is not None and step == DECIDE else self.barred
        appeals = self.appeals + (step == APPEAL)
        return replace(self, stage=STEPS[step][1], due_at=due_at, barred=barred, appeals=appeals)


def in_time(until: datetime | None, now: datetime) -> None:
    """Raises FilingClosed after the last instant to file; None: there is no last one."""
    if until is not None and until < now:
        raise FilingClosed(until=until.isoformat())
