"""What follows from a fact of a sale: lines are earned, taken back, and rated anew.

Facts come in any order and may repeat. Once a win has a final credit, each credited share earns one line a component.
A reversal takes back what the same part of the sale had earned. A new credit revision reverses the lines of the
partners whose share changed and rates them anew under the same plan version and dates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial

from chassis.event import LEFT_OUT, LeftOut, stable_id
from contracts.values import AmountTooLarge, Money, split
from services.incentives.domain.dues import Due, Known, dues, facts_of, mix_of, units_sold
from services.incentives.domain.exchange import Exchange, InBooks, NoRate
from services.incentives.domain.journal import AccountName, Journal, expense, move
from services.incentives.domain.meter import meter_id
from services.incentives.domain.plan import REBATE, SPIFF, payable_on
from services.incentives.domain.posting import AtHand, Decided, Posting, Shift, Ways
from services.incentives.domain.rating import Derivation, OutOfRange, RatingFacts, Sold, half_up, paid_out, rate
from services.incentives.domain.sale import (
    HELD,
    ORDERED,
    PAYABLE,
    POS,
    AwardClaimedBefore,
    Line,
    NotQuarantined,
    Quarantined,
    Sale,
    SaleInvalid,
    fact_name,
)
from services.incentives.domain.sale_commands import (
    DecideSpiffClaim,
    RecordBasis,
    RecordCredit,
    RecordReversal,
    RecordWin,
    ResolveFact,
)
from services.incentives.domain.sale_events import (
    AwardClaimed,
    AwardMissed,
    BasisRecorded,
    CreditRecorded,
    FactQuarantined,
    FactResolved,
    PayoutCalculated,
    RebateCounted,
    ReversalRecorded,
    SpiffAwarded,
    WinRecorded,
)
from services.incentives.domain.sharing import Portion, portions
from services.incentives.domain.taking import Asked, decimal_of
from services.incentives.domain.undoing import take_back, take_back_superseded
from services.incentives.domain.units import UNIT_DIGITS, UnitsPaid

NOTHING = Decimal(0)
APPROVED = "approved"


def record_win(wish: RecordWin, sale: Sale, at_hand: AtHand, known: Known) -> Decided:
    """Keeps a win once, and rates it when its credit is known."""
    if wish.win_no in sale.wins:
        return Decided()
    _sound([wish.amount, *(line.amount for line in wish.sold)], wish.amount.currency)
    won = WinRecorded(
        opportunity_id=wish.opportunity_id,
        registration_id=wish.registration_id,
        win_no=wish.win_no,
        amount=wish.amount,
        sold=wish.sold if wish.achievement else _whole(wish.amount, wish.sold),
        deal_type=wish.deal_type,
        credited_on=wish.closed_on,
        backfill=wish.backfill,
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
        margin=wish.margin,
        term=wish.term,
        chain_started_on=wish.chain_started_on,
        approved_on=wish.approved_on,
        parties=wish.parties,
        achievement=wish.achievement,
    )
    return _consequences(won, sale, at_hand, known, wish.now)


def record_basis(wish: RecordBasis, sale: Sale, at_hand: AtHand, known: Known) -> Decided:
    """Keeps an addition, invoice, collection or row once of its kind. Without an amount it is quarantined, never nothing.

    A row of a point of sale takes the place of the order of the same number, which says less.
    """
    known_as = _known_as(wish, sale, known)
    if known_as is not None and (known_as.kind, wish.kind) != (ORDERED, POS):
        return Decided()
    if wish.amount is None:
        return _without_amount(wish, sale, known)
    win = sale.wins.get(wish.win_no)
    currency = win.amount.currency if win and wish.kind != ORDERED else wish.amount.currency
    _sound([wish.amount, *(line.amount for line in wish.sold)], currency)
    sold = wish.sold or (Sold(line_id="", family="", amount=wish.amount, quantity=wish.quantity),)
    family = {line.line_id: line.family for line in win.sold} if win else {}
    happened = BasisRecorded(
        opportunity_id=wish.opportunity_id,
        win_no=wish.win_no,
        kind=wish.kind,
        external_id=wish.external_id,
        sold=tuple(_own(line, wish, family) for line in (sold if _undivided(wish) else _whole(wish.amount, sold))),
        amount=wish.amount,
        happened_on=wish.happened_on,
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
    )
    return _consequences(happened, sale, at_hand, known, wish.now)


def _known_as(wish: RecordBasis, sale: Sale, known: Known) -> BasisRecorded | None:
    """The fact of this kind and id. It was once any of this id: a collection with its invoice's number was dropped."""
    if known.of_own_kind:
        return sale.bases.get(fact_name(wish.kind, wish.external_id))
    return next((one for one in sale.bases.values() if one.external_id == wish.external_id), None)


def _undivided(wish: RecordBasis) -> bool:
    """Whether nothing says how much of its amount each product is."""
    return wish.kind == ORDERED and len(wish.sold) > 1


def _own(line: Sold, wish: RecordBasis, family: dict[str, str]) -> Sold:
    """A sold line under an id of its own: two invoices may speak of the same one."""
    identity = f"{wish.external_id}/{line.line_id}" if line.line_id else wish.external_id
    return replace(line, line_id=identity, family=line.family or family.get(wish.line_id or line.line_id, ""))


def _without_amount(wish: RecordBasis, sale: Sale, known: Known) -> Decided:
    name = fact_name(wish.kind, wish.external_id) if known.of_own_kind else wish.external_id
    if not sale.quarantined.isdisjoint({(wish.win_no, "", wish.external_id), (wish.win_no, "", name)}):
        return Decided()
    happened = FactQuarantined(
        opportunity_id=wish.opportunity_id,
        win_no=wish.win_no,
        plan_id="",
        reason_code="no-amount",
        quarantined_at=wish.now,
        fact_id=name,
        partner_ids=_credited(sale, wish.win_no) if known.names_partners else LEFT_OUT,
    )
    return Decided([happened])


def _credited(sale: Sale, win_no: int) -> tuple[str, ...] | LeftOut:
    """Whoever is credited with a win now."""
    shares = (share for credit in sale.credit_of(win_no) for share in credit.shares)
    return tuple(sorted({str(share.partner_id) for share in shares if share.percent > 0})) or LEFT_OUT


def record_credit(wish: RecordCredit, sale: Sale, at_hand: AtHand, known: Known) -> Decided:
    """Keeps a final revision unless a later one is known; lines follow the shares that changed."""
    before = sale.credits.get((wish.pool, wish.win_no))
    if before and before.revision >= wish.revision:
        return Decided()
    credited = CreditRecorded(
        opportunity_id=wish.opportunity_id,
        pool=wish.pool,
        revision=wish.revision,
        win_no=wish.win_no,
        shares=wish.shares,
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
    )
    return _consequences(credited, sale, at_hand, known, wish.now)


def record_reversal(wish: RecordReversal, sale: Sale, at_hand: AtHand, known: Known) -> Decided:
    """Keeps a reversal once, and takes back what that part of the sale has earned."""
    if any(seen.asked.reversal_id == wish.reversal_id for seen in sale.reversals):
        return Decided()
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
            unearned_months=wish.unearned_months,
            term_months=wish.term_months,
        ),
        source_event_id=wish.source_event_id,
        recorded_at=wish.now,
        source=wish.source,
        fact_kind=wish.fact_kind,
    )
    return _consequences(reversal, sale, at_hand, known, wish.now)


def resolve_fact(wish: ResolveFact, sale: Sale, at_hand: AtHand, known: Known) -> Decided:
    """Rates what was quarantined, now that what was missing is known, or drops it."""
    if (wish.win_no, wish.plan_id, wish.fact_id) not in sale.quarantined:
        raise NotQuarantined
    resolved = FactResolved(
        opportunity_id=wish.opportunity_id,
        win_no=wish.win_no,
        plan_id=wish.plan_id,
        fact_id=wish.fact_id,
        resolved_by=wish.by,
        resolved_at=wish.now,
    )
    return Decided([resolved]) if wish.dropped else _consequences(resolved, sale, at_hand, known, wish.now)


def earn_claimed(wish: DecideSpiffClaim, sale: Sale, at_hand: AtHand, known: Known) -> Decided:
    """Earns what a sale earns a partner under a SPIFF, once the claim for it is approved. Raises AwardClaimedBefore."""
    if wish.outcome != APPROVED:
        return Decided()
    before = sale.claimed.get((wish.win_no, wish.plan_id, wish.partner_id))
    if before is not None:
        raise AwardClaimedBefore(claim_id=before.claim_id)
    claimed = AwardClaimed(
        opportunity_id=wish.opportunity_id,
        win_no=wish.win_no,
        partner_id=wish.partner_id,
        plan_id=wish.plan_id,
        claim_id=wish.claim_id,
        claimant_id=wish.claimant_id,
        claimed_at=wish.now,
    )
    return _consequences(claimed, sale, at_hand, known, wish.now)


def _sound(amounts: Sequence[Money], currency: str) -> None:
    if any(amount.amount < 0 for amount in amounts):
        raise SaleInvalid("an amount is not below zero: a reversal takes back")
    if any(amount.currency != currency for amount in amounts):
        raise SaleInvalid("a sale is in one currency")


def _whole(amount: Money, sold: tuple[Sold, ...]) -> tuple[Sold, ...]:
    """The sold lines scaled to the deal's amount, so that a discount on the whole spreads; one where none is named."""
    weights = [line.amount.amount for line in sold]
    if not any(weights):
        kept = sold[0] if len(sold) == 1 else Sold(line_id="", family="", amount=amount)
        return (replace(kept, amount=amount),)
    return tuple(replace(line, amount=part) for line, part in zip(sold, split(amount, weights), strict=True))


# What follows from a fact

Fact = WinRecorded | BasisRecorded | CreditRecorded | ReversalRecorded | FactResolved | AwardClaimed


def _consequences(fact: Fact, sale: Sale, at_hand: AtHand, known: Known, now: datetime) -> Decided:
    in_books = InBooks(currency=known.books_currency, rates=known.rates)
    ways = Ways(
        rest_in_books=known.rest_in_books,
        even_steps=known.even_steps,
        whole_awards=known.whole_awards,
        own_parts=known.own_parts,
        of_terms=known.of_terms,
        holds_true_ups=known.holds_true_ups,
        of_nothing=known.of_nothing,
        pays_out_true_ups=known.pays_out_true_ups,
        waits_in_window=known.waits_in_window,
        says_units=known.says_units,
        payouts={name: one.payout_currency for name, one in known.payees.items() if one.payout_currency},
    )
    posting = Posting(sale, at_hand, in_books, now, ways)
    posting.add(fact)
    if isinstance(fact, CreditRecorded):
        take_back_superseded(posting, sale, fact, known.books)
    if isinstance(fact, ReversalRecorded):
        for line in _standing(posting.sale, fact.win_no):
            take_back(posting, line, fact, posting.sale.reversals_of(fact.win_no), known.books)
    resolved = (fact.win_no, fact.plan_id, fact.fact_id) if isinstance(fact, FactResolved) else None
    drawn = partial(_would_draw, posting, known) if known.spent_aside else None
    waiting = [due for due in dues(posting.sale, known, resolved, drawn) if not _calculate(posting, due, known)]
    if known.names_partners:
        _quarantine(posting, waiting)
    return posting.decided()


def _standing(sale: Sale, win_no: int) -> list[Line]:
    return [line for line in sale.lines.values() if line.key.win_no == win_no and not line.superseded]


def _calculate(posting: Posting, due: Due, known: Known) -> bool:
    """Earns the lines of a share, then lets the reversals that are already known take their part; False where it waits.

    A rate at which nothing can be paid or booked, such as one with a slip of its point, is as good as none.
    """
    plan = due.chosen.plan
    metered = meter_id(plan, due.chosen.plan_id, due.key.partner_id, due.win.credited_on)
    meter = metered[0] if metered else None
    facts = facts_of(due, posting.sale, known, posting.measure(meter))
    try:
        derivation = rate(facts, plan)
        earned = _earned(posting, due, derivation, meter, facts) if derivation.counted else []
    except (NoRate, AmountTooLarge, OutOfRange) as reason:
        if isinstance(reason, OutOfRange) and not known.keeps_too_much:
            raise
        if not known.names_partners:
            _quarantine_unnamed(posting, due)
        return False
    if plan.kind == REBATE and derivation.counted:
        _count(posting, due, derivation, meter or "")
    elif plan.kind != REBATE:
        for line in _within_units(posting, due, derivation, earned, facts):
            _earn(posting, line, facts)
    _reverse_known(posting, due, known)
    return True


def _would_draw(posting: Posting, known: Known, due: Due) -> Decimal:
    """What a share would be paid now out of the budget of its plan, in the plan's currency; nothing is posted."""
    posting.budgets.touch(due.chosen.plan.budget_id or "")
    tried = posting.aside()
    _calculate(tried, due, known)
    made = (line for line in tried.sale.lines.values() if line.key == due.key and not line.superseded)
    return sum((line.in_plan.amount for line in made if line.in_plan), NOTHING)


def _reverse_known(posting: Posting, due: Due, known: Known) -> None:
    before = posting.sale.reversals_of(due.win.win_no)
    for count, reversal in enumerate(before, start=1):
        for line in [line for line in posting.sale.lines.values() if line.key == due.key and not line.superseded]:
            take_back(posting, line, reversal, before[:count], known.books)


def _quarantine(posting: Posting, waiting: Sequence[Due]) -> None:
    """Tells what cannot be rated and whose shares wait for it: once, and again when these are others."""
    shares: dict[Quarantined, list[Due]] = {}
    for due in waiting:
        shares.setdefault(_name_of(due), []).append(due)
    for it, mine in shares.items():
        partner_ids = tuple(sorted({due.key.partner_id for due in mine}))
        if posting.sale.named.get(it) != partner_ids:
            posting.add(replace(_waits(posting, mine[0]), partner_ids=partner_ids))


def _quarantine_unnamed(posting: Posting, due: Due) -> None:
    """As it was once decided: nobody was named."""
    if _name_of(due) not in posting.sale.quarantined:
        posting.add(_waits(posting, due))


def _name_of(due: Due) -> Quarantined:
    return due.win.win_no, due.chosen.plan_id, due.basis.fact_id


def _waits(posting: Posting, due: Due) -> FactQuarantined:
    return FactQuarantined(
        opportunity_id=due.win.opportunity_id,
        win_no=due.win.win_no,
        plan_id=due.chosen.plan_id,
        reason_code="no-rate",
        quarantined_at=posting.now,
        fact_id=due.basis.fact_id,
    )


def _count(posting: Posting, due: Due, derivation: Derivation, meter: str) -> None:
    """Counts a share in a rebate's window, where it accrues."""
    plan = due.chosen.plan
    whose = due.key.partner_id
    line_id = _line_id(due, Portion(payee_id=whose, partner_id=whose, part=0, after_days=0, amount=derivation.pay))
    mix = mix_of(due, derivation)
    posting.add(
        RebateCounted(
            line_id=line_id,
            opportunity_id=due.win.opportunity_id,
            key=due.key,
            payee_id=due.key.partner_id,
            plan_version=due.chosen.version.version,
            credit_revision=due.credit.revision,
            meter_id=meter,
            derivation=derivation,
            refund_days=plan.refund_days,
            ageing=plan.ageing,
            hears=plan.hears,
            earned_on=due.basis.earned_on,
            counted_at=posting.now,
            mix=mix,
        )
    )
    posting.shift(
        posting.sale.lines[line_id], Shift(posting.counted(derivation.measure), mix=posting.counted(mix)), due.chosen
    )


@dataclass(frozen=True)
class Earned:
    """One line that is about to be earned: a portion of a share's pay in the payout's currency, and in the books."""

    due: Due
    derivation: Derivation
    portion: Portion
    amount: Money
    exchange: Exchange | None
    books: Money | None
    meter: str | None
    first: bool
    drawn: Money | LeftOut = LEFT_OUT
    drawn_units: Decimal | LeftOut = LEFT_OUT
    units: UnitsPaid | LeftOut = LEFT_OUT


def _earned(posting: Posting, due: Due, derivation: Derivation, meter: str | None, facts: RatingFacts) -> list[Earned]:
    """The lines of a share: one a payee and release part. The first one holds the measure."""
    return _lines_of(posting, due, derivation, (derivation.pay, meter), facts)


def _lines_of(
    posting: Posting, due: Due, derivation: Derivation, of: tuple[Money, str | None], facts: RatingFacts
) -> list[Earned]:
    (pay, meter), plan = of, due.chosen.plan
    found = portions(pay, plan.payees, plan.released, facts.parties)
    made = []
    for place, portion in enumerate(found):
        amount, exchange = paid_out(portion.amount, plan, facts)
        books = posting.books.amount(amount, posting.today)
        made.append(Earned(due, derivation, portion, amount, exchange, books, meter, place == 0))
    return made


def _within_units(
    posting: Posting, due: Due, derivation: Derivation, earned: list[Earned], facts: RatingFacts
) -> list[Earned]:
    """The lines with what they pay for as many units as a budget of units still has; what it has not is missed.

    The largest of them holds the units, so that a refund gives them back once.
    """
    plan = due.chosen.plan
    if not posting.of_units(plan.budget_id) or derivation.pay.zero:
        return earned
    asked = decimal_of(round(units_sold(due), UNIT_DIGITS))
    given = posting.units_left(plan.budget_id or "", asked, plan.last_award)
    part = Fraction(given) / Fraction(asked) if asked else Fraction(0)
    pay = half_up(Fraction(derivation.pay.amount) * part, derivation.pay.currency)
    if pay.zero:
        for line in earned:
            posting.add(_missed(posting, line, _line_id(due, line.portion)))
        return []
    lines = _lines_of(posting, due, derivation, (pay, earned[0].meter), facts)
    most = max(lines, key=lambda line: line.portion.amount)
    posting.use_units(plan.budget_id or "", _line_id(due, most.portion), given)
    units = UnitsPaid(given=given, asked=asked) if posting.ways.says_units else LEFT_OUT
    return [replace(line, units=units, drawn_units=given if line is most else LEFT_OUT) for line in lines]


def _earn(posting: Posting, it: Earned, facts: RatingFacts) -> None:
    """Earns one line; what the budget of its plan cannot give is missed, and stays so."""
    plan = it.due.chosen.plan
    line_id = _line_id(it.due, it.portion)
    if plan.budget_id and not posting.of_units(plan.budget_id):
        in_plan = posting.ways.whole_awards and not posting.has(plan.budget_id, it.amount.currency)
        given = (_drawn if in_plan else _drawn_as_paid_out)(posting, it, line_id, facts)
        if given is None:
            posting.add(_missed(posting, it, line_id))
            return
        it = given
    posting.add(_calculated(posting, it, line_id))
    if plan.kind == SPIFF:
        posting.add(_awarded(posting, it, line_id))
    if it.first:
        shift = Shift(posting.counted(it.derivation.measure), it.derivation.rated.amount)
        posting.shift(posting.sale.lines[line_id], shift, it.due.chosen)


def _drawn(posting: Posting, it: Earned, line_id: str, facts: RatingFacts) -> Earned | None:
    """The line with what its budget gives, in the plan's currency, and with what that comes to in the payout's."""
    plan = it.due.chosen.plan
    given = posting.awarded(plan.budget_id or "", line_id, it.portion.amount, plan.last_award)
    if given is None:
        return None
    amount, exchange = paid_out(given, plan, facts)
    books = posting.books.amount(amount, posting.today)
    return replace(it, amount=amount, exchange=exchange, books=books, drawn=given)


def _drawn_as_paid_out(posting: Posting, it: Earned, line_id: str, _: RatingFacts) -> Earned | None:
    """The line with what a budget in the payout's currency gives. It was drawn so of every one, and of others missed."""
    plan = it.due.chosen.plan
    given = posting.awarded(plan.budget_id or "", line_id, it.amount, plan.last_award)
    if given is None:
        return None
    books = posting.books.amount(given, posting.today) if posting.ways.rest_in_books else it.books
    return replace(it, amount=given, books=books)


def _awarded(posting: Posting, it: Earned, line_id: str) -> SpiffAwarded:
    chosen = it.due.chosen
    return SpiffAwarded(
        line_id=line_id,
        opportunity_id=it.due.win.opportunity_id,
        partner_id=_whose(posting, it),
        payee_id=it.portion.payee_id,
        plan_id=chosen.plan_id,
        plan_version=chosen.version.version,
        budget_id=chosen.plan.budget_id,
        amount=it.amount,
        awarded_at=posting.now,
    )


def _whose(posting: Posting, it: Earned) -> str:
    """The partner whose line it is: that of the payee, which once was whoever is credited."""
    return it.portion.partner_id if posting.ways.own_parts else it.due.key.partner_id


def _another(posting: Posting, it: Earned) -> str | LeftOut:
    """The partner whose line it is, where that is not who is credited."""
    whose = _whose(posting, it)
    return LEFT_OUT if whose == it.due.key.partner_id else whose


def _missed(posting: Posting, it: Earned, line_id: str) -> AwardMissed:
    return AwardMissed(
        line_id=line_id,
        opportunity_id=it.due.win.opportunity_id,
        key=it.due.key,
        payee_id=it.portion.payee_id,
        budget_id=it.due.chosen.plan.budget_id or "",
        amount=it.amount,
        reason_code="budget-exhausted",
        missed_at=posting.now,
    )


def _line_id(due: Due, portion: Portion) -> str:
    """What the line is for, as an id: share, plan and revision; then the later fact, the payee, the part, if any."""
    key = due.key
    parts: list[str | int] = [due.win.opportunity_id, key.win_no, key.pool, key.role, key.partner_id, key.plan_id]
    parts.append(due.credit.revision)
    if key.fact_id is not None or portion.payee_id != key.partner_id or portion.part:
        parts += [key.fact_id or "", portion.payee_id, portion.part]
    return stable_id(*parts)


def _calculated(posting: Posting, it: Earned, line_id: str) -> PayoutCalculated:
    due, derivation, win, plan = it.due, it.derivation, it.due.win, it.due.chosen.plan
    payable = payable_on(due.basis.earned_on, it.portion.after_days)
    state = HELD if posting.today < payable else PAYABLE
    return PayoutCalculated(
        line_id=line_id,
        opportunity_id=win.opportunity_id,
        registration_id=win.registration_id,
        key=due.key,
        payee_id=it.portion.payee_id,
        kind=plan.kind,
        component=plan.component,
        plan_version=due.chosen.version.version,
        plan_sha256=due.chosen.version.sha256,
        rule_id=f"band-{derivation.bands[-1].band}" if derivation.bands else "band-1",
        credit_revision=due.credit.revision,
        credit_event_id=due.credit.source_event_id,
        win_event_id=win.source_event_id,
        meter_id=it.meter,
        amount=it.amount,
        derivation=derivation,
        refund_days=plan.refund_days,
        credited_on=win.credited_on,
        earned_on=due.basis.earned_on,
        payable_on=payable,
        state=state,
        journal=_posted(it, state, line_id),
        calculated_at=posting.now,
        part=it.portion.part,
        ageing=plan.ageing,
        exchange=it.exchange,
        measured=None if it.first else NOTHING,
        rated=None if it.first else NOTHING,
        hears=plan.hears,
        budget_id=plan.budget_id,
        drawn=it.drawn,
        drawn_units=it.drawn_units,
        units=it.units,
        partner_id=_another(posting, it),
    )


def _posted(it: Earned, state: str, line_id: str) -> Journal:
    account: AccountName = "held" if state == HELD else "payable"
    return move(
        it.amount,
        debit=expense(it.due.chosen.plan.kind),
        credit=account,
        payee_id=it.portion.payee_id,
        cause=line_id,
        books=it.books,
    )
