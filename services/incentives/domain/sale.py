"""A sale: what was won, who is credited, what was taken back, and the earning lines that follow from it.

`earning` decides what follows from a fact; here are the facts, the lines, their hold, and the state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider, Invalid, NotFound, Refused
from chassis.event import command, event, iso
from contracts.attribution import Share
from contracts.values import Money, none_of
from services.incentives.domain.journal import Journal, move
from services.incentives.domain.rating import Derivation, Sold
from services.incentives.domain.taking import Asked, Part

HELD, PAYABLE, REVERSED = "held", "payable", "reversed"
POSTPONE_DAYS_MAX = 180
MONTH_CHARACTERS = 7

# Events


@event("incentives.WinRecorded.v1")
class WinRecorded:
    """The lines of `sold` sum to `amount`. A backfilled win is history: it earns nothing."""

    opportunity_id: str
    registration_id: str | None
    win_no: int
    amount: Money
    sold: tuple[Sold, ...]
    deal_type: str
    credited_on: date
    backfill: bool
    source_event_id: str
    recorded_at: datetime


@event("incentives.CreditRecorded.v1")
class CreditRecorded:
    """One final revision of one pool's credit: the whole vector of shares."""

    opportunity_id: str
    pool: str
    revision: int
    win_no: int | None
    shares: tuple[Share, ...]
    source_event_id: str
    recorded_at: datetime


@event("incentives.ReversalRecorded.v1")
class ReversalRecorded:
    opportunity_id: str
    win_no: int
    asked: Asked
    source_event_id: str
    recorded_at: datetime


@event("incentives.FactQuarantined.v1")
class FactQuarantined:
    """A plan cannot rate this win. Reason code: no-rate."""

    opportunity_id: str
    win_no: int
    plan_id: str
    reason_code: str
    quarantined_at: datetime


@dataclass(frozen=True, kw_only=True)
class LineKey:
    """What a line is for: one share of one win under one plan."""

    win_no: int
    pool: str
    role: str
    partner_id: str
    plan_id: str


@event("incentives.PayoutCalculated.v1")
class PayoutCalculated:
    """One earning line with its full derivation. `state` is held, or payable where there is no hold left."""

    line_id: str
    opportunity_id: str
    registration_id: str | None
    key: LineKey
    payee_id: str
    kind: str
    component: str
    plan_version: int
    plan_sha256: str
    rule_id: str
    credit_revision: int
    credit_event_id: str
    win_event_id: str
    meter_id: str | None
    amount: Money
    derivation: Derivation
    refund_days: int | None
    credited_on: date
    earned_on: date
    payable_on: date
    state: str
    journal: Journal
    calculated_at: datetime


@event("incentives.PayoutReversed.v1")
class PayoutReversed:
    """Part of a line is taken back: `round(earned * taken / basis)` less what was reversed before.

    Reason codes: those of the reversal, or recredited. `remaining` is what of the line stands.
    """

    line_id: str
    opportunity_id: str
    registration_id: str | None
    key: LineKey
    payee_id: str
    kind: str
    plan_version: int
    rule_id: str
    reversal_id: str
    reason_code: str
    source_event_id: str
    basis: Money
    taken: Decimal
    earned: Money
    reversed_before: Money
    amount: Money
    remaining: Money
    effective_on: date
    journal: Journal
    reversed_at: datetime


@event("incentives.PayoutReleased.v1")
class PayoutReleased:
    """The hold is over: what remains of the line may be paid."""

    line_id: str
    opportunity_id: str
    registration_id: str | None
    partner_id: str
    payee_id: str
    amount: Money
    payable_on: date
    journal: Journal
    released_at: datetime


@event("incentives.PayoutPostponed.v1")
class PayoutPostponed:
    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    amount: Money
    payable_on: date
    reason: str
    postponed_by: str
    journal: Journal
    postponed_at: datetime


LineEvent = PayoutCalculated | PayoutReversed | PayoutReleased | PayoutPostponed
SaleEvent = WinRecorded | CreditRecorded | ReversalRecorded | FactQuarantined | LineEvent

# Commands: a fact names the plans that may rate it and the meters that it may move


@command("incentives.RecordWin.v1")
class RecordWin:
    opportunity_id: str
    registration_id: str | None = None
    win_no: int
    amount: Money
    sold: tuple[Sold, ...] = ()
    deal_type: str
    closed_on: date
    backfill: bool = False
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime


@command("incentives.RecordCredit.v1")
class RecordCredit:
    opportunity_id: str
    pool: str
    revision: int
    win_no: int | None = None
    shares: tuple[Share, ...]
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime


@command("incentives.RecordReversal.v1")
class RecordReversal:
    opportunity_id: str
    win_no: int
    reversal_id: str
    amount: Money
    parts: tuple[Part, ...] = ()
    reason_code: str
    occurred_on: date
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime


@command("incentives.ReleaseLine.v1")
class ReleaseLine:
    opportunity_id: str
    line_id: str
    now: datetime


@command("incentives.PostponeLine.v1")
class PostponeLine:
    opportunity_id: str
    line_id: str
    until: date
    reason: str
    by: str
    now: datetime


FactCommand = RecordWin | RecordCredit | RecordReversal

# State


@dataclass(frozen=True, kw_only=True)
class Line:
    """One earning line as it stands. `superseded`: a later credit revision put another in its place, or none."""

    line_id: str
    key: LineKey
    payee_id: str
    kind: str
    plan_version: int
    rule_id: str
    meter_id: str | None
    amount: Money
    reversed: Money
    counted: tuple[str, ...]
    basis: Money
    share_percent: Decimal
    measure: Decimal
    refund_days: int | None
    earned_on: date
    payable_on: date
    state: str
    superseded: bool = False

    @property
    def remaining(self) -> Money:
        return self.amount - self.reversed


@dataclass(frozen=True)
class Sale:
    """The facts by their keys, and the lines in the order they were calculated."""

    wins: Mapping[int, WinRecorded] = field(default_factory=dict)
    credits: Mapping[tuple[str, int | None], CreditRecorded] = field(default_factory=dict)
    reversals: tuple[ReversalRecorded, ...] = ()
    quarantined: frozenset[tuple[int, str]] = frozenset()
    lines: Mapping[str, Line] = field(default_factory=dict)

    def current(self, key: LineKey) -> Line | None:
        """The line that stands for a share, if one does."""
        return next((line for line in self.lines.values() if line.key == key and not line.superseded), None)

    def reversals_of(self, win_no: int) -> tuple[ReversalRecorded, ...]:
        return tuple(reversal for reversal in self.reversals if reversal.win_no == win_no)

    def credit_of(self, win_no: int) -> list[CreditRecorded]:
        """The latest final revision of each pool that speaks of a win, by pool."""
        latest: dict[str, CreditRecorded] = {}
        for credit in self.credits.values():
            if credit.win_no in (None, win_no) and credit.revision > getattr(latest.get(credit.pool), "revision", 0):
                latest[credit.pool] = credit
        return [latest[pool] for pool in sorted(latest)]


# Refusals


class SaleInvalid(Invalid):
    """A sale's fact has an amount below zero, or mixes currencies."""

    slug = "sale-invalid"


class UnknownLine(NotFound):
    """There is no such line."""


class OnHold(Refused):
    """The hold of this line is not over."""

    slug = "on-hold"


class PostponedTooFar(Invalid):
    """A line can be postponed by 180 days at most, and only to a later day than it has."""

    slug = "postponed-too-far"


class NothingLeft(Refused):
    """All of this line is reversed: there is nothing to pay or to postpone."""

    slug = "nothing-left"


# Decisions on lines


def release_line(wish: ReleaseLine, sale: Sale) -> list[SaleEvent]:
    """Makes a held line payable once its day has come."""
    line = _line(sale, wish.line_id)
    if line.state != HELD:
        return []
    if wish.now.astimezone(UTC).date() < line.payable_on:
        raise OnHold(f"payable on {iso(line.payable_on)}", payable_on=iso(line.payable_on))
    return [
        PayoutReleased(
            line_id=line.line_id,
            opportunity_id=wish.opportunity_id,
            registration_id=sale.wins[line.key.win_no].registration_id,
            partner_id=line.key.partner_id,
            payee_id=line.payee_id,
            amount=line.remaining,
            payable_on=line.payable_on,
            journal=move(line.remaining, debit="held", credit="payable", payee_id=line.payee_id, cause=line.line_id),
            released_at=wish.now,
        )
    ]


def postpone_line(wish: PostponeLine, sale: Sale) -> list[SaleEvent]:
    """Holds a line until a later day, 180 days from today at most."""
    line = _line(sale, wish.line_id)
    today = wish.now.astimezone(UTC).date()
    if line.state == REVERSED:
        raise NothingLeft
    if line.payable_on == wish.until and line.state == HELD:
        return []
    if not max(line.payable_on, today) < wish.until <= today + timedelta(days=POSTPONE_DAYS_MAX):
        raise PostponedTooFar(payable_on=iso(line.payable_on))
    moved = line.remaining if line.state == PAYABLE else none_of(line.amount.currency)
    return [
        PayoutPostponed(
            line_id=line.line_id,
            opportunity_id=wish.opportunity_id,
            partner_id=line.key.partner_id,
            payee_id=line.payee_id,
            amount=line.remaining,
            payable_on=wish.until,
            reason=wish.reason,
            postponed_by=wish.by,
            journal=move(moved, debit="payable", credit="held", payee_id=line.payee_id, cause=line.line_id),
            postponed_at=wish.now,
        )
    ]


def _line(sale: Sale, line_id: str) -> Line:
    if line_id not in sale.lines:
        raise UnknownLine
    return sale.lines[line_id]


# Evolve


def evolve(sale: Sale, happened: SaleEvent) -> Sale:
    match happened:
        case WinRecorded():
            return replace(sale, wins={**sale.wins, happened.win_no: happened})
        case CreditRecorded():
            return _recredited(replace(sale, credits={**sale.credits, (happened.pool, happened.win_no): happened}))
        case ReversalRecorded():
            return replace(sale, reversals=(*sale.reversals, happened))
        case FactQuarantined():
            return replace(sale, quarantined=sale.quarantined | {(happened.win_no, happened.plan_id)})
        case PayoutCalculated() | PayoutReversed() | PayoutReleased() | PayoutPostponed():
            line = _line_after(sale.lines.get(happened.line_id), happened)
            return replace(sale, lines={**sale.lines, **line})
        case _:
            assert_never(happened)


def _line_after(line: Line | None, happened: LineEvent) -> dict[str, Line]:
    if isinstance(happened, PayoutCalculated):
        return {happened.line_id: _new_line(happened)}
    if line is None:
        return {}
    match happened:
        case PayoutReversed():
            state = REVERSED if happened.remaining.zero else line.state
            return {line.line_id: replace(line, reversed=line.reversed + happened.amount, state=state)}
        case PayoutReleased():
            return {line.line_id: replace(line, state=PAYABLE)}
        case PayoutPostponed():
            return {line.line_id: replace(line, state=HELD, payable_on=happened.payable_on)}
        case _:
            assert_never(happened)


def _recredited(sale: Sale) -> Sale:
    """Puts aside the lines whose share is no longer the one they were rated for."""
    marked = (replace(line, superseded=line.superseded or _outdated(sale, line)) for line in sale.lines.values())
    return replace(sale, lines={line.line_id: line for line in marked})


def _outdated(sale: Sale, line: Line) -> bool:
    day = sale.wins[line.key.win_no].credited_on
    credit = next((c for c in sale.credit_of(line.key.win_no) if c.pool == line.key.pool), None)
    mine = (line.key.partner_id, line.key.role)
    shares = shares_in_month(credit.shares, day) if credit else ()
    return [share.percent for share in shares if (share.partner_id, share.role) == mine] != [line.share_percent]


def shares_in_month(shares: Sequence[Share], day: date) -> tuple[Share, ...]:
    """The shares that hold in the month of a day, one a partner and role, those of nothing left out."""
    month = iso(day)[:MONTH_CHARACTERS]
    merged: dict[tuple[str, str], Share] = {}
    for share in shares:
        if share.from_month <= month and (share.until_month is None or month <= share.until_month):
            mine = (share.partner_id, share.role)
            before = merged[mine].percent if mine in merged else Decimal(0)
            merged[mine] = replace(share, percent=before + share.percent)
    return tuple(share for share in merged.values() if share.percent > 0)


def _new_line(happened: PayoutCalculated) -> Line:
    return Line(
        line_id=happened.line_id,
        key=happened.key,
        payee_id=happened.payee_id,
        kind=happened.kind,
        plan_version=happened.plan_version,
        rule_id=happened.rule_id,
        meter_id=happened.meter_id,
        amount=happened.amount,
        reversed=none_of(happened.amount.currency),
        counted=happened.derivation.counted,
        basis=happened.derivation.basis,
        share_percent=happened.derivation.share_percent,
        measure=happened.derivation.measure,
        refund_days=happened.refund_days,
        earned_on=happened.earned_on,
        payable_on=happened.payable_on,
        state=happened.state,
    )


Sales = Decider[Sale, SaleEvent](kind="sale", initial=Sale(), evolve=evolve)
