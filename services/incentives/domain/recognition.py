"""A payee's year of recognition: points for what it did, badges at totals, both gone when the reason is taken back.

Others see it only while the partner shares it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import date, datetime
from itertools import chain
from typing import assert_never

from chassis.decider import Decider, NotFound
from chassis.event import LEFT_OUT, LeftOut, command, event, frozen
from chassis.rulebook import Rulebook, Version
from services.incentives.domain.plan import end_of
from services.incentives.domain.recognition_rules import RECOGNITION, RECOGNITIONS, Badge, RecognitionPlan

# Events


@event("incentives.PointsCounted.v1")
class PointsCounted:
    """An achievement counts once: `ref` names it. `total` is what the year then has under these rules."""

    payee_id: str
    partner_id: str
    year: int
    plan_id: str
    version: int
    achievement: str
    ref: str
    points: int
    total: int
    achieved_on: date
    source_event_id: str
    counted_at: datetime


@event("incentives.PointsTakenBack.v1")
class PointsTakenBack:
    """The achievement came to nothing: its points are gone, and it counts again only where it stands after all."""

    payee_id: str
    partner_id: str
    year: int
    plan_id: str
    version: int
    ref: str
    points: int
    total: int
    reason_code: str
    source_event_id: str
    taken_back_at: datetime


@event("incentives.RecognitionAwarded.v1")
class RecognitionAwarded:
    """The year's total reached the badge's."""

    payee_id: str
    partner_id: str
    year: int
    plan_id: str
    version: int
    badge: str
    at: int
    points: int
    awarded_at: datetime


@event("incentives.RecognitionRevoked.v1")
class RecognitionRevoked:
    """The year's total fell below the badge's again."""

    payee_id: str
    partner_id: str
    year: int
    plan_id: str
    version: int
    badge: str
    at: int
    points: int
    reason_code: str
    revoked_at: datetime


@event("incentives.RecognitionShared.v1")
class RecognitionShared:
    """The partner lets the other partners see the year, or no longer does."""

    payee_id: str
    partner_id: str
    year: int
    shared: bool
    shared_by: str
    shared_at: datetime


@frozen
class Counted:
    """What an achievement was worth under some rules."""

    plan_id: str
    version: int
    points: int


@frozen
class Held:
    """A badge that is held, and the total it was given at."""

    plan_id: str
    version: int
    badge: str
    at: int


@event("incentives.RecognitionCarried.v1")
class RecognitionCarried:
    """What a long year goes on with in its next segment."""

    counted: dict[str, tuple[Counted, ...]]
    taken_back: tuple[str, ...]
    held: tuple[Held, ...]
    shared: bool


Points = PointsCounted | PointsTakenBack
Badges = RecognitionAwarded | RecognitionRevoked
RecognitionEvent = Points | Badges | RecognitionShared | RecognitionCarried

# Commands


@command("incentives.RecordAchievement.v1")
class RecordAchievement:
    """Something that recognition rules may give points for; `rules` are those that may.

    With `again` it stands after all: it counts where it was taken back, and nowhere else.
    """

    payee_id: str
    partner_id: str
    year: int
    achievement: str
    ref: str
    achieved_on: date
    source_event_id: str
    rules: tuple[str, ...]
    now: datetime
    again: bool | LeftOut = LEFT_OUT


@command("incentives.TakeBackAchievement.v1")
class TakeBackAchievement:
    payee_id: str
    partner_id: str
    year: int
    ref: str
    reason_code: str
    source_event_id: str
    now: datetime


@command("incentives.ShareRecognition.v1")
class ShareRecognition:
    payee_id: str
    partner_id: str
    year: int
    shared: bool
    by: str
    now: datetime


# State


@frozen
class Recognition:
    """What counts by achievement, the points by rules, what was taken back, the badges, and whether others see it."""

    counted: Mapping[str, tuple[Counted, ...]] = field(default_factory=dict)
    totals: Mapping[str, int] = field(default_factory=dict)
    taken_back: frozenset[str] = frozenset()
    held: tuple[Held, ...] = ()
    shared: bool = False

    def total(self, plan_id: str) -> int:
        return self.totals.get(plan_id, 0)


# Decisions


def recognition_id(payee_id: str, year: int) -> str:
    """The stream of one payee's calendar year."""
    return f"{payee_id}-{year}"


def record_achievement(
    wish: RecordAchievement, state: Recognition, books: Sequence[Rulebook]
) -> list[RecognitionEvent]:
    """Counts an achievement once, under every set of rules of its day, and gives the badges that are then reached.

    What was taken back counts no more, unless it stands after all: an old word that is heard late is no new one.
    """
    if wish.ref in state.counted or (wish.ref in state.taken_back) != bool(wish.again):
        return []
    found: list[RecognitionEvent] = []
    for version in _in_force(books, wish.achieved_on):
        plan = RECOGNITIONS.read(version.body)
        if points := plan.points_of(wish.achievement):
            total = state.total(version.rulebook_id) + points
            found += [_counted(wish, version, points, total), *_awards(wish, state, version, plan, total)]
    return found


def _in_force(books: Sequence[Rulebook], day: date) -> Iterable[Version]:
    versions = (book.in_force(end_of(day)) for book in books)
    return (version for version in versions if version and version.kind == RECOGNITION)


def _counted(wish: RecordAchievement, version: Version, points: int, total: int) -> PointsCounted:
    return PointsCounted(
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        year=wish.year,
        plan_id=version.rulebook_id,
        version=version.version,
        achievement=wish.achievement,
        ref=wish.ref,
        points=points,
        total=total,
        achieved_on=wish.achieved_on,
        source_event_id=wish.source_event_id,
        counted_at=wish.now,
    )


def _awards(
    wish: RecordAchievement, state: Recognition, version: Version, plan: RecognitionPlan, total: int
) -> list[RecognitionEvent]:
    held = {one.badge for one in state.held if one.plan_id == version.rulebook_id}
    return [_awarded(wish, version, badge, total) for badge in plan.reached(total) if badge.name not in held]


def _awarded(wish: RecordAchievement, version: Version, badge: Badge, total: int) -> RecognitionAwarded:
    return RecognitionAwarded(
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        year=wish.year,
        plan_id=version.rulebook_id,
        version=version.version,
        badge=badge.name,
        at=badge.at,
        points=total,
        awarded_at=wish.now,
    )


def take_back_achievement(wish: TakeBackAchievement, state: Recognition) -> list[RecognitionEvent]:
    """Takes the points of an achievement back, and the badges whose total the year no longer has."""
    found: list[RecognitionEvent] = []
    for one in state.counted.get(wish.ref, ()):
        total = state.total(one.plan_id) - one.points
        lost = [held for held in state.held if held.plan_id == one.plan_id and held.at > total]
        found += [_taken_back(wish, one, total), *(_revoked(wish, held, total) for held in lost)]
    return found


def _taken_back(wish: TakeBackAchievement, one: Counted, total: int) -> PointsTakenBack:
    return PointsTakenBack(
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        year=wish.year,
        plan_id=one.plan_id,
        version=one.version,
        ref=wish.ref,
        points=one.points,
        total=total,
        reason_code=wish.reason_code,
        source_event_id=wish.source_event_id,
        taken_back_at=wish.now,
    )


def _revoked(wish: TakeBackAchievement, held: Held, total: int) -> RecognitionRevoked:
    return RecognitionRevoked(
        payee_id=wish.payee_id,
        partner_id=wish.partner_id,
        year=wish.year,
        plan_id=held.plan_id,
        version=held.version,
        badge=held.badge,
        at=held.at,
        points=total,
        reason_code=wish.reason_code,
        revoked_at=wish.now,
    )


def share_recognition(wish: ShareRecognition, state: Recognition) -> list[RecognitionEvent]:
    """Opens the year to the other partners, or closes it again."""
    if state == Recognition():
        raise NotFound
    if state.shared == wish.shared:
        return []
    return [
        RecognitionShared(
            payee_id=wish.payee_id,
            partner_id=wish.partner_id,
            year=wish.year,
            shared=wish.shared,
            shared_by=wish.by,
            shared_at=wish.now,
        )
    ]


# Evolve


def evolve(state: Recognition, happened: RecognitionEvent) -> Recognition:
    match happened:
        case PointsCounted():
            one = Counted(plan_id=happened.plan_id, version=happened.version, points=happened.points)
            counted = (*state.counted.get(happened.ref, ()), one)
            totals = {**state.totals, happened.plan_id: happened.total}
            known = replace(state, counted={**state.counted, happened.ref: counted}, totals=totals)
            return replace(known, taken_back=state.taken_back - {happened.ref})
        case PointsTakenBack():
            left = {ref: counted for ref, counted in state.counted.items() if ref != happened.ref}
            totals = {**state.totals, happened.plan_id: happened.total}
            return replace(state, counted=left, totals=totals, taken_back=state.taken_back | {happened.ref})
        case RecognitionAwarded():
            held = Held(plan_id=happened.plan_id, version=happened.version, badge=happened.badge, at=happened.at)
            return replace(state, held=(*state.held, held))
        case RecognitionRevoked():
            gone = (happened.plan_id, happened.badge)
            return replace(state, held=tuple(one for one in state.held if (one.plan_id, one.badge) != gone))
        case RecognitionShared():
            return replace(state, shared=happened.shared)
        case RecognitionCarried():
            return Recognition(
                counted=happened.counted,
                totals=_totals(happened.counted),
                taken_back=frozenset(happened.taken_back),
                held=happened.held,
                shared=happened.shared,
            )
        case _:
            assert_never(happened)


def _totals(counted: Mapping[str, tuple[Counted, ...]]) -> dict[str, int]:
    totals: Counter[str] = Counter()
    for one in chain.from_iterable(counted.values()):
        totals[one.plan_id] += one.points
    return totals


def carry(state: Recognition) -> RecognitionEvent:
    return RecognitionCarried(
        counted=dict(state.counted), taken_back=tuple(sorted(state.taken_back)), held=state.held, shared=state.shared
    )


Recognitions = Decider[Recognition, RecognitionEvent](
    kind="recognition", initial=Recognition(), evolve=evolve, carry=carry
)
