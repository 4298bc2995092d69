"""What waits for whose eye? One document a thing that somebody should look at; it goes by itself when it is settled.

A service asks by AttentionRaised, and says by AttentionCleared that nobody need look any more. What was asked for a deal
that is over, or for a lead that is closed, nobody need look at either.
"""

from datetime import datetime
from typing import Annotated, Any, TypedDict

from chassis.event import Seen, iso
from chassis.projection import Projection
from contracts import registration
from contracts.catalogue import SERVICES
from contracts.shared import AttentionCleared, AttentionRaised

NEWS = ("claim-denied",)
"""Topics that ask for nothing that could ever be done: they are told, and settled by nothing."""


class Task(TypedDict):
    """Something that people with one of the `roles`, which are duties too, should look at, or as `person:` and an id that one.

    `subject` is the id of what `topic` is about. `order` sorts by urgency: what has no `due_at` counts from `raised_at`.
    """

    task_id: str
    source: str
    side: str
    roles: list[str]
    topic: str
    subject: str
    partner_id: str | None
    severity: str
    raised_at: Annotated[str, datetime]
    due_at: Annotated[str, datetime] | None
    order: str


def person(person_id: str) -> str:
    """How one person alone is asked, beside the roles."""
    return f"person:{person_id}"


def evolve(task: Task | None, seen: Seen) -> Task | None:
    it = seen.event
    match it:
        case AttentionRaised():
            return _task(seen, it.attention_id, it)
        case registration.DealReturned():
            return _task(seen, f"{it.registration_id}.returned", _to_correct(it))
        case _:
            return None


def _task(seen: Seen, task_id: str, it: AttentionRaised) -> Task:
    raised_at = iso(seen.recorded_at)
    due_at = iso(it.due_at) if it.due_at else None
    return {
        "task_id": task_id,
        "source": seen.source,
        "side": it.side,
        "roles": [*it.roles, *([person(it.person_id)] if it.person_id else [])],
        "topic": it.topic,
        "subject": it.subject,
        "partner_id": it.partner_id,
        "severity": it.severity,
        "raised_at": raised_at,
        "due_at": due_at,
        "order": due_at or raised_at,
    }


def _to_correct(it: registration.DealReturned) -> AttentionRaised:
    """A deal that is returned asks its partner, as an event of its own."""
    return AttentionRaised(
        attention_id=f"{it.registration_id}.returned",
        side="partner",
        roles=("owner", "seller"),
        topic="deal-returned",
        subject=it.registration_id,
        partner_id=it.partner_id,
        due_at=it.due_at,
    )


# Which tasks a fact concerns


def _named(seen: Seen) -> str | None:
    return None if seen.event.topic in NEWS else str(seen.event.attention_id)


def _correction(seen: Seen) -> str:
    return f"{seen.event.registration_id}.returned"


def _of_deal(seen: Seen) -> tuple[str, ...]:
    """What a deal asks for, and takes back by nothing but its end."""
    of = seen.event.registration_id
    return f"{of}.returned", f"{of}.idle", f"{of}.extension"


def _appeal(seen: Seen) -> str:
    return f"{seen.event.lead_id}.appeal"


KEYS: dict[type[Any], Any] = {
    AttentionRaised: _named,
    AttentionCleared: _named,
    **dict.fromkeys(
        (
            registration.DealReturned,
            registration.DealResubmitted,
            registration.DealQueued,
            registration.DealApproved,
        ),
        _correction,
    ),
    **dict.fromkeys(
        (
            registration.DealRejected,
            registration.DealWithdrawn,
            registration.DealRevoked,
            registration.ProtectionEnded,
        ),
        _of_deal,
    ),
    registration.LeadClosed: _appeal,
}

WORKLIST = Projection(
    name="worklist",
    version=1,
    keys=KEYS,
    evolve=evolve,
    sources=SERVICES,
    indexes=("order", "partner_id,order", "roles[]"),
)
