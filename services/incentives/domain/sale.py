"""A sale: what was won, who is credited, what was taken back, and the earning lines that follow from it.

`earning` decides what follows from a fact, `line` what becomes of a line; here are the facts, the lines, and the state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import assert_never

from chassis.decider import Decider, Invalid, Refused
from chassis.event import frozen, iso
from contracts.attribution import Share
from contracts.values import Money, none_of
from services.incentives.domain.ageing import Ageing
from services.incentives.domain.journal import Journal
from services.incentives.domain.plan import BILLED, REBATE
from services.incentives.domain.rating import Sold, half_up
from services.incentives.domain.sale_events import (
    CRM,
    AdjustmentProposed,
    AwardClaimed,
    AwardMissed,
    BasisRecorded,
    CreditRecorded,
    FactQuarantined,
    FactResolved,
    LineEvent,
    LineKey,
    PayoutAdjusted,
    PayoutCalculated,
    PayoutCleared,
    PayoutPostponed,
    PayoutPutUnderReview,
    PayoutReleased,
    PayoutReversed,
    RebateCounted,
    ReversalRecorded,
    SaleEvent,
    SpiffAwarded,
    WinRecorded,
)
from services.incentives.domain.taking import Asked, Taken, taken_by

HELD, PAYABLE, REVERSED = "held", "payable", "reversed"
ADDED, POS, ORDERED = "added", "pos", "ordered"
MONTH_CHARACTERS = 7


# State


@frozen
class Line:
    """One earning line as it stands. `superseded`: a later credit revision put another in its place, or none.

    `partner_id` is whose line it is, `key` names who is credited. `reviews` are the open or confirmed cases that hold it.
    `drawn` and `drawn_units` are what it took of its budget, and `refilled` the part of that which reversals have given
    back. `in_plan` is the amount in the plan's currency. `changed_by` are who postponed or adjusted it.
    """

    line_id: str
    key: LineKey
    partner_id: str
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
    drawn: Money | None = None
    drawn_units: Decimal = Decimal(0)
    refilled: Fraction = Fraction(0)
    adjusted: Decimal = Decimal(0)
    proposed: AdjustmentProposed | None = None
    books: Money | None = None
    books_reversed: Decimal = Decimal(0)
    reviews: frozenset[str] = frozenset()
    in_plan: Money | None = None
    changed_by: frozenset[str] = frozenset()

    @property
    def stands_in_plan(self) -> Decimal:
        """What reversals have left of what the plan paid, in its currency."""
        if self.in_plan is None or self.amount.zero:
            return Decimal(0)
        left = 1 - Fraction(self.reversed.amount) / Fraction(self.amount.amount)
        return half_up(Fraction(self.in_plan.amount) * max(left, Fraction(0)), self.in_plan.currency).amount

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


ClaimedBy = tuple[int, str, str]
"""The win, the plan and the partner of a SPIFF that was claimed."""
Quarantined = tuple[int, str, str | None]
"""What could not be rated: the win, the plan, the later fact if it was one."""


@dataclass(frozen=True)
class Sale:
    """The facts by their keys (`bases` by `fact_name`), and the lines in the order they were calculated.

    `told` names what happened to its wins, and what was asked back, in the order in which it became known.
    """

    wins: Mapping[int, WinRecorded] = field(default_factory=dict)
    credits: Mapping[tuple[str, int | None], CreditRecorded] = field(default_factory=dict)
    reversals: tuple[ReversalRecorded, ...] = ()
    bases: Mapping[str, BasisRecorded] = field(default_factory=dict)
    quarantined: frozenset[Quarantined] = frozenset()
    named: Mapping[Quarantined, tuple[str, ...]] = field(default_factory=dict)
    """Whose shares wait for what is quarantined."""
    missed: frozenset[LineKey] = frozenset()
    lines: Mapping[str, Line] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    partners: frozenset[str] = frozenset()
    """Whoever was ever credited."""
    claimed: Mapping[ClaimedBy, AwardClaimed] = field(default_factory=dict)

    def current(self, key: LineKey) -> Line | None:
        """The line that stands for a share, if one does."""
        return next((line for line in self.lines.values() if line.key == key and not line.superseded), None)

    def told_of(
        self, win_no: int, basis_kind: str, heard: Sequence[ReversalRecorded]
    ) -> list[tuple[Sold, ...] | Asked]:
        """What some reversals eat into, and they, as it became known: what was won and added to it, or was billed."""
        billed = basis_kind in BILLED
        facts: dict[str, tuple[Sold, ...] | Asked] = {told_name(reversal): reversal.asked for reversal in heard}
        facts |= {told_name(one): one.sold for one in self.bases_of(win_no, (rated_kind(basis_kind),))}
        later = [facts[name] for name in self.told if name in facts]
        return later if billed else [self.wins[win_no].sold, *later]

    def days_of(self, win_no: int, basis_kind: str) -> list[date]:
        """The days of what reversals eat into, in the order in which it became known. A win is before any of them."""
        billed = basis_kind in BILLED
        known = {told_name(one): one.happened_on for one in self.bases_of(win_no, (rated_kind(basis_kind),))}
        later = [known[name] for name in self.told if name in known]
        return later if billed else [date.min, *later]

    def taken(
        self, win_no: int, basis_kind: str, heard: Sequence[ReversalRecorded], *, of_terms: bool = True
    ) -> tuple[Taken, ...]:
        """What some reversals take of a win. Of what sold nothing each of them takes all that it names.

        Not `of_terms`: unearned months are also taken of what came after them, as it was once decided.
        """
        win = self.wins[win_no]
        if not win.achievement:
            days = self.days_of(win_no, basis_kind) if of_terms else ()
            return taken_by(self.told_of(win_no, basis_kind, heard), days)
        everything = {line.line_id: Fraction(1) for line in win.sold}
        return tuple(Taken(one.asked, everything, none_of(win.amount.currency)) for one in heard)

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


def heard_of(reversals: Sequence[ReversalRecorded], source: str, basis_kind: str) -> list[ReversalRecorded]:
    """Those that a plan on some basis hears, which listens to a source: of a fact taken back only plans on its kind do."""
    kind = rated_kind(basis_kind)
    return [one for one in reversals if one.source == source and (one.fact_kind or kind) == kind]


def rated_kind(basis_kind: str) -> str:
    """The kind of what happens to a win later that plans on some basis rate."""
    return basis_kind if basis_kind in BILLED else ADDED


# Refusals


class SaleInvalid(Invalid):
    """A sale's fact has an amount below zero, or mixes currencies."""

    slug = "sale-invalid"


class NotQuarantined(Refused):
    """That fact is not quarantined."""

    slug = "not-quarantined"


class AwardClaimedBefore(Refused):
    """This sale was claimed for this SPIFF before: see the claim in `claim_id`."""

    slug = "award-claimed"


# Evolve


def fact_name(kind: str, external_id: str) -> str:
    """A fact's own name in its sale: an invoice and its collection may have one number, an order and its row are one."""
    return f"{POS if kind == ORDERED else kind}/{external_id}"


def told_name(fact: BasisRecorded | ReversalRecorded) -> str:
    """A name of its own among what happened to the wins of a sale and what was asked back."""
    if isinstance(fact, ReversalRecorded):
        return f"reversal {fact.asked.reversal_id}"
    return f"basis {fact_name(fact.kind, fact.external_id)}"


def evolve(sale: Sale, happened: SaleEvent) -> Sale:
    match happened:
        case WinRecorded():
            return replace(sale, wins={**sale.wins, happened.win_no: happened})
        case BasisRecorded():
            bases = {**sale.bases, fact_name(happened.kind, happened.external_id): happened}
            told = () if told_name(happened) in sale.told else (told_name(happened),)
            return replace(sale, bases=bases, told=(*sale.told, *told))
        case ReversalRecorded():
            reversals = (*sale.reversals, happened)
            return replace(sale, reversals=reversals, told=(*sale.told, told_name(happened)))
        case CreditRecorded():
            credits = {**sale.credits, (happened.pool, happened.win_no): happened}
            partners = sale.partners | {str(share.partner_id) for share in happened.shares}
            return _recredited(replace(sale, credits=credits, partners=partners))
        case SpiffAwarded() | AwardMissed() | AwardClaimed():
            return _awarded(sale, happened)
        case FactQuarantined() | FactResolved():
            return _with_quarantine(sale, happened)
        case _:
            line = _line_after(sale.lines.get(happened.line_id), happened)
            return replace(sale, lines={**sale.lines, **line})


def _awarded(sale: Sale, happened: SpiffAwarded | AwardMissed | AwardClaimed) -> Sale:
    if isinstance(happened, AwardMissed):
        return replace(sale, missed=sale.missed | {happened.key})
    if isinstance(happened, AwardClaimed):
        by = (happened.win_no, happened.plan_id, happened.partner_id)
        return replace(sale, claimed={**sale.claimed, by: happened})
    return sale


def _with_quarantine(sale: Sale, happened: FactQuarantined | FactResolved) -> Sale:
    it = (happened.win_no, happened.plan_id, happened.fact_id)
    others = {one: named for one, named in sale.named.items() if one != it}
    if isinstance(happened, FactResolved):
        return replace(sale, quarantined=sale.quarantined - {it}, named=others)
    return replace(sale, quarantined=sale.quarantined | {it}, named={**others, it: happened.partner_ids or ()})


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
            return _reversed(line, happened)
        case PayoutReleased():
            return replace(line, state=PAYABLE)
        case PayoutPostponed():
            by = line.changed_by | {happened.postponed_by}
            return replace(line, state=HELD, payable_on=happened.payable_on, changed_by=by)
        case AdjustmentProposed():
            return replace(line, proposed=happened)
        case PayoutAdjusted():
            return _adjusted(line, happened)
        case _:
            assert_never(happened)


def _reversed(line: Line, happened: PayoutReversed) -> Line:
    taken = line.reversed + happened.amount
    part = Fraction(taken.amount) / Fraction(line.amount.amount) if line.amount.amount else Fraction(1)
    return replace(
        line,
        reversed=taken,
        state=REVERSED if happened.remaining.zero else line.state,
        books_reversed=line.books_reversed + _books_of(happened.journal),
        refilled=Fraction(1) if happened.remaining.zero else max(line.refilled, min(part, Fraction(1))),
    )


def _adjusted(line: Line, happened: PayoutAdjusted) -> Line:
    """A line of nothing stands in the books from its first adjustment on."""
    entries = happened.journal.entries
    first = entries[0].books_amount if entries else None
    return replace(
        line,
        adjusted=line.adjusted + happened.amount.amount,
        proposed=None,
        books=line.books or (none_of(first.currency) if first else None),
        books_reversed=line.books_reversed - _books_of(happened.journal),
        state=REVERSED if happened.remaining.zero else HELD if line.state == HELD else PAYABLE,
        changed_by=line.changed_by | {happened.proposed_by, happened.confirmed_by},
    )


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
        partner_id=happened.key.partner_id,
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
        partner_id=happened.whose,
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
        drawn=_drawn(happened),
        drawn_units=happened.drawn_units or Decimal(0),
        books=entries[0].books_amount if entries else None,
        in_plan=_in_plan(happened),
    )


def _in_plan(happened: PayoutCalculated) -> Money:
    """The amount before it was exchanged; of one that a budget cut afterwards, as much of it."""
    if happened.exchange is None:
        return happened.amount
    given, whole = happened.exchange.given, happened.exchange.result
    if happened.amount == whole or whole.zero:
        return given
    return half_up(Fraction(given.amount) * Fraction(happened.amount.amount) / Fraction(whole.amount), given.currency)


def _drawn(happened: PayoutCalculated) -> Money | None:
    """The money that a line took of a budget: of one of units none, and once it was always the amount itself."""
    if happened.budget_id is None or happened.drawn_units:
        return None
    return happened.drawn or happened.amount


Sales = Decider[Sale, SaleEvent](kind="sale", initial=Sale(), evolve=evolve)
