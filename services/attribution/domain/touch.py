"""A touch: one thing a partner did for a sale, recorded once however often it is told."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from chassis.decider import Decider, Invalid
from chassis.event import command, event, frozen, stable_id
from contracts.values import AccountId, OpportunityId, PartnerId, RegistrationId

SOURCE, COSELL, FULFIL, INFLUENCE, SERVICE = "source", "cosell", "fulfil", "influence", "service"
ROLES = (SOURCE, COSELL, FULFIL, INFLUENCE, SERVICE)

TYPES_OF_ROLE = {
    SOURCE: ("registration_approved", "lead_accepted", "referral"),
    COSELL: ("cosell_accepted",),
    FULFIL: ("order_fulfilled",),
    SERVICE: ("service",),
    INFLUENCE: ("meeting", "demo", "poc", "training", "assessment", "event", "mdf_activity", "content", "renewal"),
}
ROLE_OF_TYPE = {kind: role for role, kinds in TYPES_OF_ROLE.items() for kind in kinds}
OWN_TYPE_PREFIX = "x_"

OF_PARTICIPANT = {
    "referral": "referral",
    "resell": "referral",
    "distribute": "order_fulfilled",
    "service": "service",
    "influence": "x_participant",
}
"""The touch that a participant of a registration leaves, by its role there."""

AHEAD_MAX = timedelta(minutes=5)
SOURCE_LENGTH_MAX, SOURCE_KEY_LENGTH_MAX = 32, 128
CONFIRMED, CLAIMED = "confirmed", "claimed"


@frozen
class TouchFact:
    """A touch as credit sees it. Status: confirmed, claimed (a partner's own word) or retracted."""

    touch_id: str
    touch_type: str
    role: str
    partner_id: PartnerId
    touched_at: datetime
    status: str = CONFIRMED


def touch_id(tenant: str, source: str, source_key: str) -> str:
    """The same source's same key is the same touch."""
    return stable_id(tenant, source, source_key)


def kind_of(role: str) -> str:
    """The type of touch that taking part in a registration in some role is."""
    return OF_PARTICIPANT.get(role, "x_participant")


def role_of(touch_type: str) -> str:
    """The role that a type of touch plays: its own, or influence for a vendor's own types."""
    return ROLE_OF_TYPE.get(touch_type, INFLUENCE)


# Events


@event("attribution.TouchRecorded.v1")
class TouchRecorded:
    touch_id: str
    touch_type: str
    partner_id: PartnerId
    role: str
    opportunity_id: OpportunityId | None = None
    registration_id: RegistrationId | None = None
    account_id: AccountId | None = None
    touched_at: datetime
    source: str
    source_key: str
    status: str = CONFIRMED
    evidence_sha256: str | None = None
    recorded_by: str


TouchEvent = TouchRecorded


# Commands


@command("attribution.RecordTouch.v1")
class RecordTouch:
    """`status` follows from who tells: a service or the vendor confirms, a partner claims.

    `merged` are the partner, if it was ever absorbed, and those with whom it is one.
    """

    touch_id: str
    touch_type: str
    partner_id: PartnerId
    role: str
    opportunity_id: OpportunityId
    registration_id: RegistrationId | None = None
    touched_at: datetime
    source: str
    source_key: str
    status: str = CONFIRMED
    evidence_sha256: str | None = None
    recorded_by: str
    pools: tuple[str, ...] = ()
    policy_id: str
    now: datetime
    merged: tuple[PartnerId, ...] = ()


# State


@dataclass(frozen=True)
class Touch:
    fact: TouchFact | None = None


# Refusals


class TouchInvalid(Invalid):
    """A touch has a known type and role, is not in the future, and says where it comes from."""

    slug = "touch-invalid"


# Decisions


def record_touch(wish: RecordTouch, touch: Touch) -> list[TouchEvent]:
    """Records a touch once. Raises TouchInvalid naming the field."""
    if touch.fact:
        return []
    faults = _faults(wish)
    if faults:
        raise TouchInvalid(faults[0]["message"], errors=faults)
    return [recorded(wish)]


def recorded(wish: RecordTouch) -> TouchRecorded:
    """The fact that a touch command asks for."""
    return TouchRecorded(
        touch_id=wish.touch_id,
        touch_type=wish.touch_type,
        partner_id=wish.partner_id,
        role=wish.role,
        opportunity_id=wish.opportunity_id,
        registration_id=wish.registration_id,
        touched_at=wish.touched_at,
        source=wish.source,
        source_key=wish.source_key,
        status=wish.status,
        evidence_sha256=wish.evidence_sha256,
        recorded_by=wish.recorded_by,
    )


def fact_of(touch: TouchRecorded) -> TouchFact:
    """What credit needs to know of a recorded touch."""
    return TouchFact(
        touch_id=touch.touch_id,
        touch_type=touch.touch_type,
        role=touch.role,
        partner_id=touch.partner_id,
        touched_at=touch.touched_at,
        status=touch.status,
    )


def _faults(wish: RecordTouch) -> list[dict[str, str]]:
    known = wish.touch_type in ROLE_OF_TYPE or wish.touch_type.startswith(OWN_TYPE_PREFIX)
    checks = (
        (known, "touch_type", f"{wish.touch_type!r} is not a type of touch; own types start with x_"),
        (wish.role in ROLES, "role", f"a role is one of {', '.join(ROLES)}"),
        (wish.touched_at <= wish.now + AHEAD_MAX, "touched_at", "a touch cannot lie in the future"),
        (0 < len(wish.source) <= SOURCE_LENGTH_MAX, "source", f"a source has 1 to {SOURCE_LENGTH_MAX} characters"),
        (0 < len(wish.source_key) <= SOURCE_KEY_LENGTH_MAX, "source_key", "a source key has 1 to 128 characters"),
    )
    return [{"path": path, "code": "touch", "message": text} for holds, path, text in checks if not holds]


# Evolve


def evolve(touch: Touch, happened: TouchEvent) -> Touch:
    match happened:
        case TouchRecorded():
            return Touch(fact=fact_of(happened))
        case _:
            assert_never(happened)


Touches = Decider[Touch, TouchEvent](kind="touch", initial=Touch(), evolve=evolve)
