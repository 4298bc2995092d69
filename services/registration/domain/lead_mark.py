"""What a lead leaves behind by which a repeat is known: its text, and the customer's domain or e-mail with a family.

A mark is named by a keyed hash, so that its stream tells nothing of anybody. One stream a mark keeps it exact.
"""

from dataclasses import dataclass
from datetime import datetime

from chassis.decider import Decider
from chassis.event import event, frozen

TEXT, CUSTOMER = "text", "customer"
KEPT_MAX = 20


@frozen
class Mark:
    """One mark of a lead. Kind: text or customer."""

    kind: str
    key: str

    @property
    def identity(self) -> str:
        return f"{self.kind}.{self.key}"


@event("registration.MarkLeft.v1")
class MarkLeft:
    kind: str
    lead_id: str
    left_at: datetime


@event("registration.MarksCarried.v1")
class MarksCarried:
    """The last leads of a mark that is left often, with which its next segment begins."""

    left: tuple[tuple[str, datetime], ...]


@dataclass(frozen=True)
class Marked:
    """The last leads that left this mark, the oldest first."""

    left: tuple[tuple[str, datetime], ...] = ()


def evolve(marked: Marked, happened: MarkLeft | MarksCarried) -> Marked:
    match happened:
        case MarkLeft(lead_id=lead_id, left_at=at):
            return Marked((*marked.left, (lead_id, at))[-KEPT_MAX:])
        case MarksCarried(left=left):
            return Marked(left)


def carry(marked: Marked) -> MarksCarried:
    return MarksCarried(left=marked.left)


Marks = Decider[Marked, MarkLeft | MarksCarried](kind="lead_mark", initial=Marked(), evolve=evolve, carry=carry)
