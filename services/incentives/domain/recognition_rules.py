"""What is recognised: rules of the kind `recognition` give points for what a partner did, and badges at totals."""

from collections.abc import Mapping
from typing import Literal

from chassis.event import frozen
from chassis.rulebook import Change, Decision, Input, Kind, Reason

RECOGNITION = "recognition"
POINTS_MAX, RULES_MAX, BADGES_MAX = 100_000, 20, 50
Achievement = Literal["deal_registered", "deal_approved", "deal_won", "lead_converted"]


@frozen
class PointRule:
    """The points of one achievement."""

    event: Achievement
    points: int


@frozen
class Badge:
    """A badge and the total of points in a year that it is given at."""

    name: str
    at: int


@frozen
class RecognitionPlan:
    """The body of recognition rules. Points start anew with each calendar year."""

    name: str
    points: tuple[PointRule, ...]
    badges: tuple[Badge, ...] = ()

    def points_of(self, event: str) -> int:
        return sum(rule.points for rule in self.points if rule.event == event)

    def reached(self, total: int) -> tuple[Badge, ...]:
        """The badges of a total, from the lowest up."""
        return tuple(sorted((badge for badge in self.badges if badge.at <= total), key=lambda badge: badge.at))


@frozen
class RecognitionFacts:
    """How often each achievement happened in a year."""

    counts: Mapping[str, int]


def evaluate(facts: RecognitionFacts, plan: RecognitionPlan) -> Decision:
    """The highest badge of a year, `none` below the first one, with what each achievement is worth."""
    total = sum(plan.points_of(event) * count for event, count in facts.counts.items())
    reached = plan.reached(total)
    reasons = tuple(
        Reason(code=event.replace("_", "-"), text=f"{count} times {plan.points_of(event)} points")
        for event, count in sorted(facts.counts.items())
    )
    ahead = min((badge for badge in plan.badges if badge.at > total), key=lambda badge: badge.at, default=None)
    change = ahead and Change(code="points", text=f"{ahead.at - total} more points", outcome=ahead.name)
    return Decision(
        outcome=reached[-1].name if reached else "none",
        reasons=reasons,
        inputs=(Input(name="points", value=total),),
        would_change=(change,) if change else (),
    )


def faults(plan: RecognitionPlan) -> list[str]:
    """What is wrong with recognition rules, in sentences; nothing for sound ones."""
    events, badges = [rule.event for rule in plan.points], [badge.name for badge in plan.badges]
    wrong = {
        "rules of recognition have a name": not plan.name.strip(),
        f"there are 1 to {RULES_MAX} achievements, each once": not 1 <= len(events) <= RULES_MAX
        or len(set(events)) != len(events),
        f"there are at most {BADGES_MAX} badges, each once": len(badges) > BADGES_MAX
        or len(set(badges)) != len(badges),
        f"points are 1 to {POINTS_MAX}": any(
            not 1 <= points <= POINTS_MAX
            for points in (*(rule.points for rule in plan.points), *(badge.at for badge in plan.badges))
        ),
    }
    return [sentence for sentence, is_so in wrong.items() if is_so]


RECOGNITIONS: Kind[RecognitionFacts, RecognitionPlan] = Kind(
    name=RECOGNITION, body=RecognitionPlan, facts=RecognitionFacts, evaluate=evaluate, check=faults
)
