"""A sale: what was won, who is credited, what was taken back, and the earning lines that follow from it.

`earning` decides what follows from a fact, `line` what becomes of a line; here are the facts, the lines, and the state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import assert_never

from chassis.decider import Decider, Invalid, Refused
from chassis.event import command, event, iso
from contracts.attribution import Share
from contracts.values import Money, Term, none_of
from services.incentives.domain.ageing import Ageing
from services.incentives.domain.exchange import Exchange, Rate
from services.incentives.domain.journal import Journal
from services.incentives.domain.plan import BILLED, REBATE
from services.incentives.domain.rating import Derivation, Sold
from services.incentives.domain.taking import Asked, Part

HELD, PAYABLE, REVERSED = "held", "payable", "reversed"
CRM, BILLING = "crm", "billing"
ADDED = "added"
MONTH_CHARACTERS = 7

# Events


@event("incentives.WinRecorded.v1")
class WinRecorded:
    """The lines of `sold` sum to `amount`. A backfilled win is history: it earns nothing.

    `approved_on` is the day its registration was approved, `chain_started_on` the first day of the chain of terms that
    it renews, `parties` the payees by party whom the deal names beside its partner.
    """

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
    margin: Money | None = None
    term: Term | None = None
    chain_started_on: date | None = None
    approved_on: date | None = None
    parties: dict[str, str] = field(default_factory=dict)


@event("incentives.BasisRecorded.v1")
class BasisRecorded:
    """More that happened to a won sale: an addition, an invoice, a collection, a row of a point of sale.

    Kind: added, invoiced, collected, pos. `line_id` is the sold line that it is about, where it says so.
    """

    opportunity_id: str
    win_no: int
    kind: str
    external_id: str
    sold: tuple[Sold, ...]
    amount: Money
    happened_on: date
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
    source: str = CRM


@event("incentives.FactQuarantined.v1")
class FactQuarantined:
    """A plan cannot rate this win. Reason codes: no-rate, no-amount (a fact came without one: `fact_id`)."""

    opportunity_id: str
    win_no: int
    plan_id: str
    reason_code: str
    quarantined_at: datetime
    fact_id: str | None = None


@event("incentives.FactResolved.v1")
class FactResolved:
    """What a plan could not rate is rated now, or was found to need no line."""

    opportunity_id: str
    win_no: int
    plan_id: str
    fact_id: str | None
    resolved_by: str
    resolved_at: datetime


@dataclass(frozen=True, kw_only=True)
class LineKey:
    """What a line is for: one share of one win under one plan; `fact_id` names what happened later, if that is rated."""

    win_no: int
    pool: str
    role: str
    partner_id: str
    plan_id: str
    fact_id: str | None = None


@event("incentives.PayoutCalculated.v1")
class PayoutCalculated:
    """One earning line with its full derivation. `state` is held, or payable where there is no hold left.

    `amount` is this payee's part of the derivation's pay, release part `part`, in the payout's currency (`exchange`).
    `measured` of the derivation's measure and `rated` of its pay stand on this line, so that a refund lowers both once.
    `hears` is where its plan hears reversals from.
    """

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
    part: int = 0
    ageing: tuple[Ageing, ...] = ()
    exchange: Exchange | None = None
    measured: Decimal | None = None
    rated: Decimal | None = None
    hears: str = CRM
    budget_id: str | None = None


@event("incentives.RebateCounted.v1")
class RebateCounted:
    """A share of a sale counts in a rebate's window: nothing is earned on the line, the window accrues it."""

    line_id: str
    opportunity_id: str
    key: LineKey
    payee_id: str
    plan_version: int
    credit_revision: int
    meter_id: str
    derivation: Derivation
    refund_days: int | None
    ageing: tuple[Ageing, ...]
    hears: str
    earned_on: date
    counted_at: datetime
    mix: Decimal = Decimal(0)


@event("incentives.SpiffAwarded.v1")
class SpiffAwarded:
    """The line that was just calculated is an award of a SPIFF."""

    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    plan_id: str
    plan_version: int
    budget_id: str | None
    amount: Money
    awarded_at: datetime


@event("incentives.AwardMissed.v1")
class AwardMissed:
    """A SPIFF's budget had nothing left for this share. Reason code: budget-exhausted."""

    line_id: str
    opportunity_id: str
    key: LineKey
    payee_id: str
    budget_id: str
    amount: Money
    reason_code: str
    missed_at: datetime


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


@event("incentives.AdjustmentProposed.v1")
class AdjustmentProposed:
    """Someone wants to correct a line by an amount of either sign; a second person confirms."""

    line_id: str
    opportunity_id: str
    adjustment_id: str
    amount: Money
    reason: str
    proposed_by: str
    proposed_at: datetime


@event("incentives.PayoutAdjusted.v1")
class PayoutAdjusted:
    """A line is corrected by hand. `remaining` is what of the line stands."""

    line_id: str
    opportunity_id: str
    registration_id: str | None
    partner_id: str
    payee_id: str
    kind: str
    adjustment_id: str
    amount: Money
    remaining: Money
    reason: str
    proposed_by: str
    confirmed_by: str
    journal: Journal
    adjusted_at: datetime


@event("incentives.PayoutPutUnderReview.v1")
class PayoutPutUnderReview:
    """A case holds the line: it is not released before somebody has said what the case was."""

    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    case_id: str
    amount: Money
    journal: Journal
    held_at: datetime


@event("incentives.PayoutCleared.v1")
class PayoutCleared:
    """The case was a false alarm; without another one the line is released on its day."""

    line_id: str
    opportunity_id: str
    partner_id: str
    payee_id: str
    case_id: str
    payable_on: date
    others_open: bool
    cleared_at: datetime


Reviewed = PayoutPutUnderReview | PayoutCleared
LineEvent = (
    PayoutCalculated
    | RebateCounted
    | PayoutReversed
    | PayoutReleased
    | PayoutPostponed
    | AdjustmentProposed
    | PayoutAdjusted
    | Reviewed
)
SaleEvent = (
    WinRecorded
    | BasisRecorded
    | CreditRecorded
    | ReversalRecorded
    | FactQuarantined
    | FactResolved
    | AwardMissed
    | SpiffAwarded
    | LineEvent
)

# Commands: a fact names the plans that may rate it, the meters that it may move, and what was looked up for it


@dataclass(frozen=True, kw_only=True)
class LookedUp:
    """What a fact's rating needs beside plans and meters: payees, budgets, and recorded rates of exchange."""

    payee_ids: tuple[str, ...] = ()
    budget_ids: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()
    books_currency: str | None = None


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
    margin: Money | None = None
    term: Term | None = None
    renews_id: str | None = None
    chain_started_on: date | None = None
    approved_on: date | None = None
    parties: dict[str, str] = field(default_factory=dict)
    looked_up: LookedUp = LookedUp()


@command("incentives.RecordBasis.v1")
class RecordBasis:
    """What happened to a won sale later; without an amount it is quarantined, never counted as nothing."""

    opportunity_id: str
    win_no: int = 1
    kind: str
    external_id: str
    sold: tuple[Sold, ...] = ()
    line_id: str | None = None
    quantity: int = 1
    amount: Money | None = None
    happened_on: date
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime
    looked_up: LookedUp = LookedUp()


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
    looked_up: LookedUp = LookedUp()


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
    unearned_months: int | None = None
    term_months: int | None = None
    source: str = CRM
    looked_up: LookedUp = LookedUp()


@command("incentives.ResolveFact.v1")
class ResolveFact:
    """Rates again what was quarantined. With `dropped` it needs no line."""

    opportunity_id: str
    win_no: int
    plan_id: str
    fact_id: str | None = None
    dropped: bool = False
    by: str
    plan_ids: tuple[str, ...] = ()
    meter_ids: tuple[str, ...] = ()
    now: datetime
    looked_up: LookedUp = LookedUp()


@command("incentives.AdjustLine.v1")
class AdjustLine:
    """Proposes to correct a line by an amount, above or below zero."""

    opportunity_id: str
    line_id: str
    adjustment_id: str
    amount: Money
    reason: str
    by: str
    now: datetime


@command("incentives.ConfirmAdjustment.v1")
class ConfirmAdjustment:
    opportunity_id: str
    line_id: str
    adjustment_id: str
    by: str
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


FactCommand = RecordWin | RecordBasis | RecordCredit | RecordReversal | ResolveFact

# State


@dataclass(frozen=True, kw_only=True)
class Line:
    """One earning line as it stands. `superseded`: a later credit revision put another in its place, or none.

    `reviews` are the open or confirmed cases that hold it.
    """

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
    part: int = 0
    ageing: tuple[Ageing, ...] = ()
    hears: str = CRM
    basis_kind: str = "bookings"
    rated: Decimal = Decimal(0)
    mix: Decimal = Decimal(0)
    budget_id: str | None = None
    adjusted: Decimal = Decimal(0)
    proposed: AdjustmentProposed | None = None
    books: Money | None = None
    books_reversed: Decimal = Decimal(0)
    reviews: frozenset[str] = frozenset()

    @property
    def remaining(self) -> Money:
        """What of the line stands."""
        return Money(amount=self.amount.amount + self.adjusted - self.reversed.amount, currency=self.amount.currency)

    @property
    def books_remaining(self) -> Money | None:
        """What of it stands in the books; None where the line is in their currency."""
        if self.books is None:
            return None
        return Money(amount=self.books.amount - self.books_reversed, currency=self.books.currency)


Quarantined = tuple[int, str, str | None]
"""What could not be rated: the win, the plan, the later fact if it was one."""


@dataclass(frozen=True)
class Sale:
    """The facts by their keys, and the lines in the order they were calculated.

    `told` names what happened to its wins, and what was asked back, in the order in which it became known.
    """

    wins: Mapping[int, WinRecorded] = field(default_factory=dict)
    credits: Mapping[tuple[str, int | None], CreditRecorded] = field(default_factory=dict)
    reversals: tuple[ReversalRecorded, ...] = ()
    bases: Mapping[str, BasisRecorded] = field(default_factory=dict)
    quarantined: frozenset[Quarantined] = frozenset()
    missed: frozenset[LineKey] = frozenset()
    lines: Mapping[str, Line] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    partners: frozenset[str] = frozenset()
    """Whoever was ever credited."""

    def current(self, key: LineKey) -> Line | None:
        """The line that stands for a share, if one does."""
        return next((line for line in self.lines.values() if line.key == key and not line.superseded), None)

    def told_of(
        self, win_no: int, basis_kind: str, heard: Sequence[ReversalRecorded]
    ) -> list[tuple[Sold, ...] | Asked]:
        """What some reversals eat into, and they, as it became known: what was won and added to it, or was billed."""
        billed = basis_kind in BILLED
        facts: dict[str, tuple[Sold, ...] | Asked] = {told_name(reversal): reversal.asked for reversal in heard}
        facts |= {told_name(one): one.sold for one in self.bases_of(win_no, (basis_kind if billed else ADDED,))}
        later = [facts[name] for name in self.told if name in facts]
        return later if billed else [self.wins[win_no].sold, *later]

    def reversals_of(self, win_no: int) -> tuple[ReversalRecorded, ...]:
        return tuple(reversal for reversal in self.reversals if reversal.win_no == win_no)

    def bases_of(self, win_no: int, kinds: Sequence[str]) -> list[BasisRecorded]:
        """What happened to a win later, of some kinds, in one fixed order."""
        mine = (basis for basis in self.bases.values() if basis.win_no == win_no and basis.kind in kinds)
        return sorted(mine, key=lambda basis: (basis.happened_on, basis.external_id))

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


class NotQuarantined(Refused):
    """That fact is not quarantined."""

    slug = "not-quarantined"


# Evolve


def told_name(fact: BasisRecorded | ReversalRecorded) -> str:
    """A name of its own among what happened to the wins of a sale and what was asked back."""
    return f"basis {fact.external_id}" if isinstance(fact, BasisRecorded) else f"reversal {fact.asked.reversal_id}"


def evolve(sale: Sale, happened: SaleEvent) -> Sale:
    match happened:
        case WinRecorded():
            return replace(sale, wins={**sale.wins, happened.win_no: happened})
        case BasisRecorded():
            bases = {**sale.bases, happened.external_id: happened}
            return replace(sale, bases=bases, told=(*sale.told, told_name(happened)))
        case ReversalRecorded():
            reversals = (*sale.reversals, happened)
            return replace(sale, reversals=reversals, told=(*sale.told, told_name(happened)))
        case CreditRecorded():
            credits = {**sale.credits, (happened.pool, happened.win_no): happened}
            partners = sale.partners | {str(share.partner_id) for share in happened.shares}
            return _recredited(replace(sale, credits=credits, partners=partners))
        case SpiffAwarded():
            return sale
        case AwardMissed():
            return replace(sale, missed=sale.missed | {happened.key})
        case FactQuarantined() | FactResolved():
            return replace(sale, quarantined=_quarantined(sale, happened))
        case _:
            line = _line_after(sale.lines.get(happened.line_id), happened)
            return replace(sale, lines={**sale.lines, **line})


def _quarantined(sale: Sale, happened: FactQuarantined | FactResolved) -> frozenset[Quarantined]:
    it = (happened.win_no, happened.plan_id, happened.fact_id)
    return sale.quarantined | {it} if isinstance(happened, FactQuarantined) else sale.quarantined - {it}


def _line_after(line: Line | None, happened: LineEvent) -> dict[str, Line]:
    if isinstance(happened, PayoutCalculated | RebateCounted):
        return {happened.line_id: _new_line(happened)}
    if line is None:
        return {}
    if isinstance(happened, PayoutPutUnderReview):
        return {line.line_id: replace(line, state=HELD, reviews=line.reviews | {happened.case_id})}
    if isinstance(happened, PayoutCleared):
        return {line.line_id: replace(line, reviews=line.reviews - {happened.case_id})}
    return {line.line_id: _changed(line, happened)}


def _changed(
    line: Line, happened: PayoutReversed | PayoutReleased | PayoutPostponed | AdjustmentProposed | PayoutAdjusted
) -> Line:
    match happened:
        case PayoutReversed():
            state = REVERSED if happened.remaining.zero else line.state
            books = line.books_reversed + _books_of(happened.journal)
            return replace(line, reversed=line.reversed + happened.amount, state=state, books_reversed=books)
        case PayoutReleased():
            return replace(line, state=PAYABLE)
        case PayoutPostponed():
            return replace(line, state=HELD, payable_on=happened.payable_on)
        case AdjustmentProposed():
            return replace(line, proposed=happened)
        case PayoutAdjusted():
            books = line.books_reversed - _books_of(happened.journal)
            state = REVERSED if happened.remaining.zero else HELD if line.state == HELD else PAYABLE
            adjusted = line.adjusted + happened.amount.amount
            return replace(line, adjusted=adjusted, proposed=None, books_reversed=books, state=state)
        case _:
            assert_never(happened)


def _books_of(journal: Journal) -> Decimal:
    """What a journal's first entry is in the books, where they are in another currency."""
    first = journal.entries[0].books_amount if journal.entries else None
    return first.amount if first else Decimal(0)


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


def _new_line(happened: PayoutCalculated | RebateCounted) -> Line:
    made = happened.derivation
    line = Line(
        line_id=happened.line_id,
        key=happened.key,
        payee_id=happened.payee_id,
        kind=REBATE,
        plan_version=happened.plan_version,
        rule_id="",
        meter_id=happened.meter_id,
        amount=none_of(made.rounded_after.currency),
        reversed=none_of(made.rounded_after.currency),
        counted=made.counted,
        basis=made.booked or made.basis,
        share_percent=made.share_percent,
        measure=made.measure,
        refund_days=happened.refund_days,
        earned_on=happened.earned_on,
        payable_on=happened.earned_on,
        state=PAYABLE,
        ageing=happened.ageing,
        hears=happened.hears,
        basis_kind=made.basis_kind,
        mix=getattr(happened, "mix", Decimal(0)),
    )
    return _earning(line, happened) if isinstance(happened, PayoutCalculated) else line


def _earning(line: Line, happened: PayoutCalculated) -> Line:
    """The line of a payout: its amount, where its money stands, and the part of the measure that it holds."""
    entries = happened.journal.entries
    return replace(
        line,
        kind=happened.kind,
        rule_id=happened.rule_id,
        amount=happened.amount,
        reversed=none_of(happened.amount.currency),
        measure=line.measure if happened.measured is None else happened.measured,
        payable_on=happened.payable_on,
        state=happened.state,
        part=happened.part,
        rated=happened.derivation.rated.amount if happened.rated is None else happened.rated,
        budget_id=happened.budget_id,
        books=entries[0].books_amount if entries else None,
    )


Sales = Decider[Sale, SaleEvent](kind="sale", initial=Sale(), evolve=evolve)
