"""What follows from a fact of a sale: lines are earned, taken back, and rated anew.

Facts come in any order and may repeat. Once a win has a final credit, each credited share earns one line a component.
A reversal takes back what the same part of the sale had earned. A new credit revision reverses the lines of the
partners whose share changed and rates them anew under the same plan version and dates.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal

from chassis.decider import Raced
from chassis.event import stable_id
from chassis.rulebook import Rulebook
from contracts.attribution import Share
from contracts.values import Money, split
from services.incentives.domain.choice import Chosen, plans_for, version_of
from services.incentives.domain.journal import AccountName, move
from services.incentives.domain.meter import Meter, Metered, meter_id
from services.incentives.domain.plan import payable_on
from services.incentives.domain.rating import Derivation, RatingFacts, Sold, rate, reversed_by, tidy
from services.incentives.domain.sale import (
    HELD,
    PAYABLE,
    CreditRecorded,
    FactQuarantined,
    Line,
    LineKey,
    PayoutCalculated,
    PayoutReversed,
    RecordCredit,
    RecordReversal,
    RecordWin,
    ReversalRecorded,
    Sale,
    SaleEvent,
    SaleInvalid,
    WinRecorded,
    evolve,
    shares_in_month,
)
from services.incentives.domain.taking import Asked, counted, taken_by

RECREDITED = "recredited"

Meters = Mapping[str, Meter] | None
"""The meters at hand by id; None while a command is prepared, to learn which it will move."""

Decided = tuple[list[SaleEvent], dict[str, list[Metered]]]


def record_win(wish: RecordWin, sale: Sale, meters: Meters, books: Sequence[Rulebook]) -> Decided:
    """Keeps a win once, and rates it when its credit is known."""
    if wish.win_no in sale.wins:
        return [], {}
    _sound([wish.amount, *(line.amount for line in wish.sold)], wish.amount.currency)
    won = WinRecorded(
        opportunity_id=wish.opportunity_id,
        registration_id=wish.registration_id,
        win_no=wish.win_no,
        amount=wish.amount,
        sold=_whole(wish.amount, wish.sold),
        deal_type=wish.deal_type,
        credited_on=wish.closed_on,
        backfill=wish.backfill,
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
    )
    return _consequences(won, sale, meters, books, wish.now)


def record_credit(wish: RecordCredit, sale: Sale, meters: Meters, books: Sequence[Rulebook]) -> Decided:
    """Keeps a final revision unless a later one is known; lines follow the shares that changed."""
    known = sale.credits.get((wish.pool, wish.win_no))
    if known and known.revision >= wish.revision:
        return [], {}
    credited = CreditRecorded(
        opportunity_id=wish.opportunity_id,
        pool=wish.pool,
        revision=wish.revision,
        win_no=wish.win_no,
        shares=wish.shares,
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
    )
    return _consequences(credited, sale, meters, books, wish.now)


def record_reversal(wish: RecordReversal, sale: Sale, meters: Meters, books: Sequence[Rulebook]) -> Decided:
    """Keeps a reversal once, and takes back what that part of the sale has earned."""
    if any(known.asked.reversal_id == wish.reversal_id for known in sale.reversals):
        return [], {}
    win = sale.wins.get(wish.win_no)
    currency = win.amount.currency if win else wish.amount.currency
    _sound([wish.amount, *(part.amount for part in wish.parts)], currency)
    reversal = ReversalRecorded(
        opportunity_id=wish.opportunity_id,
        win_no=wish.win_no,
        asked=Asked(
            reversal_id=wish.reversal_id,
            amount=wish.amount,
            parts=wish.parts,
            reason_code=wish.reason_code,
            occurred_on=wish.occurred_on,
        ),
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
    )
    return _consequences(reversal, sale, meters, books, wish.now)


def _sound(amounts: Sequence[Money], currency: str) -> None:
    if any(amount.amount < 0 for amount in amounts):
        raise SaleInvalid("an amount is not below zero: a reversal takes back")
    if any(amount.currency != currency for amount in amounts):
        raise SaleInvalid("a sale is in one currency")


def _whole(amount: Money, sold: tuple[Sold, ...]) -> tuple[Sold, ...]:
    """The sold lines scaled to the deal's amount, so that a discount on the whole spreads; one where none is named."""
    weights = [line.amount.amount for line in sold]
    if not any(weights):
        return (Sold(line_id="", family="", amount=amount),)
    return tuple(replace(line, amount=part) for line, part in zip(sold, split(amount, weights), strict=True))


# What follows from a fact


@dataclass(frozen=True)
class Due:
    """A share that should have a line, and the plan version that rates it."""

    key: LineKey
    share: Share
    credit: CreditRecorded
    win: WinRecorded
    chosen: Chosen


class Posting:
    """The events of one decision while they add up, each seen by the next; gone when the decision is made."""

    def __init__(self, sale: Sale, meters: Meters, now: datetime) -> None:
        self.sale = sale
        self.now = now
        self.happened: list[SaleEvent] = []
        self.metered: dict[str, list[Metered]] = {}
        self._measures = {meter: state.measure for meter, state in (meters or {}).items()}

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()

    def add(self, happened: SaleEvent) -> None:
        self.happened.append(happened)
        self.sale = evolve(self.sale, happened)

    def measure(self, meter: str | None) -> Decimal:
        return self._measures.get(meter, Decimal(0)) if meter else Decimal(0)

    def shift(self, line: Line, opportunity_id: str, by: Decimal) -> None:
        """Moves the line's meter; a line without one, or nothing to move, leaves no event."""
        if line.meter_id is None or not by:
            return
        before = self.measure(line.meter_id)
        after = tidy(before + by)
        self._measures[line.meter_id] = after
        self.metered.setdefault(line.meter_id, []).append(
            Metered(
                meter_id=line.meter_id,
                plan_id=line.key.plan_id,
                payee_id=line.payee_id,
                window=line.meter_id.removeprefix(f"{line.key.plan_id}-{line.payee_id}-"),
                opportunity_id=opportunity_id,
                line_id=line.line_id,
                before=before,
                after=after,
                metered_at=self.now,
            )
        )


Fact = WinRecorded | CreditRecorded | ReversalRecorded


def _consequences(fact: Fact, sale: Sale, meters: Meters, books: Sequence[Rulebook], now: datetime) -> Decided:
    posting = Posting(sale, meters, now)
    posting.add(fact)
    if isinstance(fact, CreditRecorded):
        _take_back_superseded(posting, sale, fact)
    if isinstance(fact, ReversalRecorded):
        for line in _standing(posting.sale, fact.win_no):
            _take_back(posting, line, fact, posting.sale.reversals_of(fact.win_no))
    for due in _dues(posting.sale, books):
        _calculate(posting, due)
    if meters is not None and not posting.metered.keys() <= meters.keys():
        raise Raced
    return posting.happened, posting.metered


def _standing(sale: Sale, win_no: int) -> list[Line]:
    return [line for line in sale.lines.values() if line.key.win_no == win_no and not line.superseded]


def _dues(sale: Sale, books: Sequence[Rulebook]) -> list[Due]:
    """The credited shares of each win that have no line yet, in one fixed order."""
    return [
        due
        for win_no in sorted(sale.wins)
        if not sale.wins[win_no].backfill
        for credit in sale.credit_of(win_no)
        for due in _dues_of(sale, sale.wins[win_no], credit, books)
        if sale.current(due.key) is None
    ]


def _dues_of(sale: Sale, win: WinRecorded, credit: CreditRecorded, books: Sequence[Rulebook]) -> Iterator[Due]:
    for share in shares_in_month(credit.shares, win.credited_on):
        before = _rated_before(sale, win.win_no, credit.pool, share, books)
        for chosen in before or plans_for(credit.pool, win.credited_on, books):
            yield Due(_key(win.win_no, credit.pool, share, chosen.plan_id), share, credit, win, chosen)


def _key(win_no: int, pool: str, share: Share, plan_id: str) -> LineKey:
    return LineKey(win_no=win_no, pool=pool, role=share.role, partner_id=share.partner_id, plan_id=plan_id)


def _rated_before(sale: Sale, win_no: int, pool: str, share: Share, books: Sequence[Rulebook]) -> list[Chosen]:
    """The plan versions that this partner's lines of the win were rated under: a correction keeps them."""
    mine = [
        line
        for line in sale.lines.values()
        if (line.key.win_no, line.key.pool, line.key.role, line.key.partner_id)
        == (win_no, pool, share.role, share.partner_id)
    ]
    versions = dict.fromkeys((line.key.plan_id, line.plan_version) for line in mine)
    return [chosen for plan_id, number in versions if (chosen := version_of(books, plan_id, number))]


def _calculate(posting: Posting, due: Due) -> None:
    """Earns the line of a share, then lets the reversals that are already known take their part."""
    plan, win = due.chosen.plan, due.win
    if win.amount.currency != plan.currency:
        _quarantine(posting, due)
        return
    metered = meter_id(plan, due.chosen.plan_id, due.key.partner_id, win.credited_on)
    before = posting.measure(metered[0]) if metered else Decimal(0)
    facts = RatingFacts(sold=win.sold, percent=due.share.percent, credited_on=win.credited_on, measure_before=before)
    derivation = rate(facts, plan)
    if not derivation.counted:
        return
    calculated = _calculated(posting, due, derivation, metered[0] if metered else None)
    posting.add(calculated)
    posting.shift(posting.sale.lines[calculated.line_id], win.opportunity_id, derivation.measure)
    known = posting.sale.reversals_of(win.win_no)
    for count, reversal in enumerate(known, start=1):
        _take_back(posting, posting.sale.lines[calculated.line_id], reversal, known[:count])


def _quarantine(posting: Posting, due: Due) -> None:
    if (due.win.win_no, due.chosen.plan_id) in posting.sale.quarantined:
        return
    posting.add(
        FactQuarantined(
            opportunity_id=due.win.opportunity_id,
            win_no=due.win.win_no,
            plan_id=due.chosen.plan_id,
            reason_code="no-rate",
            quarantined_at=posting.now,
        )
    )


def _calculated(posting: Posting, due: Due, derivation: Derivation, meter: str | None) -> PayoutCalculated:
    win, version, plan = due.win, due.chosen.version, due.chosen.plan
    line_id = stable_id(win.opportunity_id, *vars(due.key).values(), due.credit.revision)
    payable = payable_on(win.credited_on, plan.hold_days)
    state = HELD if posting.today < payable else PAYABLE
    account: AccountName = "held" if state == HELD else "payable"
    payee_id = due.key.partner_id
    return PayoutCalculated(
        line_id=line_id,
        opportunity_id=win.opportunity_id,
        registration_id=win.registration_id,
        key=due.key,
        payee_id=payee_id,
        kind=plan.kind,
        component=plan.component,
        plan_version=version.version,
        plan_sha256=version.sha256,
        rule_id=f"band-{derivation.bands[-1].band}" if derivation.bands else "band-1",
        credit_revision=due.credit.revision,
        credit_event_id=due.credit.source_event_id,
        win_event_id=win.source_event_id,
        meter_id=meter,
        amount=derivation.pay,
        derivation=derivation,
        refund_days=plan.refund_days,
        credited_on=win.credited_on,
        earned_on=win.credited_on,
        payable_on=payable,
        state=state,
        journal=move(derivation.pay, debit="expense", credit=account, payee_id=payee_id, cause=line_id),
        calculated_at=posting.now,
    )


# What is taken back


def _take_back(posting: Posting, line: Line, reversal: ReversalRecorded, known: Sequence[ReversalRecorded]) -> None:
    """Lets one reversal take its part of a line, after all those known with it: amount and measure, each once."""
    win = posting.sale.wins[line.key.win_no]
    taken = _taken(line, win, known)
    before = _taken(line, win, [other for other in known if other != reversal])
    posting.shift(line, win.opportunity_id, _standing_measure(line, taken) - _standing_measure(line, before))
    amount = _farther(reversed_by(line.amount, line.basis.amount, taken), line.reversed) - line.reversed
    if not amount.zero:
        posting.add(_reversed(posting, line, amount, taken, _Why.of(reversal)))


def _taken(line: Line, win: WinRecorded, known: Sequence[ReversalRecorded]) -> Decimal:
    taken = taken_by(win.sold, [reversal.asked for reversal in known])
    return counted(taken, line.counted, line.earned_on, line.refund_days)


def _standing_measure(line: Line, taken: Decimal) -> Decimal:
    """What of the line's measure still counts."""
    return line.measure - line.measure * taken / line.basis.amount if line.basis.amount else Decimal(0)


def _farther(one: Money, other: Money) -> Money:
    return one if abs(one.amount) >= abs(other.amount) else other


def _take_back_superseded(posting: Posting, before: Sale, credit: CreditRecorded) -> None:
    """Reverses all that stands of the lines which this credit revision put aside."""
    for line in [line for line in posting.sale.lines.values() if line.superseded]:
        if before.lines[line.line_id].superseded:
            continue
        win = posting.sale.wins[line.key.win_no]
        taken = _taken(line, win, posting.sale.reversals_of(win.win_no))
        posting.shift(line, win.opportunity_id, -_standing_measure(line, taken))
        if not line.remaining.zero:
            reversal_id = stable_id(line.line_id, RECREDITED, credit.revision)
            why = _Why(reversal_id, RECREDITED, credit.source_event_id, posting.today)
            posting.add(_reversed(posting, line, line.remaining, line.basis.amount, why))


@dataclass(frozen=True)
class _Why:
    reversal_id: str
    reason_code: str
    source_event_id: str
    effective_on: date

    @staticmethod
    def of(reversal: ReversalRecorded) -> "_Why":
        asked = reversal.asked
        return _Why(asked.reversal_id, asked.reason_code, reversal.source_event_id, asked.occurred_on)


def _reversed(posting: Posting, line: Line, amount: Money, taken: Decimal, why: _Why) -> PayoutReversed:
    win = posting.sale.wins[line.key.win_no]
    account: AccountName = "held" if line.state == HELD else "payable"
    return PayoutReversed(
        line_id=line.line_id,
        opportunity_id=win.opportunity_id,
        registration_id=win.registration_id,
        key=line.key,
        payee_id=line.payee_id,
        kind=line.kind,
        plan_version=line.plan_version,
        rule_id=line.rule_id,
        reversal_id=why.reversal_id,
        reason_code=why.reason_code,
        source_event_id=why.source_event_id,
        basis=line.basis,
        taken=tidy(taken),
        earned=line.amount,
        reversed_before=line.reversed,
        amount=amount,
        remaining=line.remaining - amount,
        effective_on=why.effective_on,
        journal=move(amount, debit=account, credit="expense", payee_id=line.payee_id, cause=line.line_id),
        reversed_at=posting.now,
    )
