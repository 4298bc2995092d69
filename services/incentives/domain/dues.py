"""Which shares of a sale should have a line and have none yet, and what each of them is rated on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import partial

from chassis.event import frozen
from chassis.rulebook import Rulebook
from contracts.attribution import Share
from services.incentives.domain.choice import Chosen, alone, overlapping, paid_for, plans_for, version_of
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.exchange import NoRate, Rate
from services.incentives.domain.payee import Payee, circumstances_of, standing_for
from services.incentives.domain.plan import BILLED, SPIFF, Plan
from services.incentives.domain.rating import Derivation, OutOfRange, RatingFacts, Sold, pieces, rate, tidy
from services.incentives.domain.sale import Line, Quarantined, Sale, rated_kind, shares_in_month
from services.incentives.domain.sale_events import CreditRecorded, LineKey, WinRecorded

PARTY_OF_ROLE = {"distribute": "distributor", "resell": "reseller"}
Waiting = frozenset[tuple[int, str]]
"""The wins and plans of what is quarantined."""


@frozen
class Known:
    """What rating needs beside the sale: plans, payees by id, rates, and the currency of the books.

    Without `billed_later` a plan on what is billed pays nothing where another one paid on the booking before; without
    `rest_in_books` the rest of a budget stands in the books for the whole award; without `even_steps` what is left of a
    measure has as many digits as a decimal carries, and its steps do not always sum to nothing; without `whole_awards`
    an award is drawn and given back in the currency in which it is paid out, and a measure has all its digits; without
    `waited_for` a plan that waits for a rate pays nothing once another one has paid, nor does one on what is billed beside
    a SPIFF that names its component; without `of_kinds` a rebate and a commission of one component displace each other;
    without `deal_in_plan` a cap on a deal counts what was paid out, in that currency, whatever was taken back of it; without
    `alone_later` a SPIFF on what is billed pays beside another one that was paid before, also where one of them pays alone;
    without `names_partners` nobody is named whose share waits for a rate; without `own_parts` the part of a distributor is a
    line of the partner whose deal it is; without `of_terms` unearned months are also taken of what was sold or billed after
    their day; without `holds_true_ups` what a closed window is trued up by is payable at once;
    without `of_nothing` the pieces of what was sold for nothing stay in their window when they are credited anew;
    without `spent_aside` a SPIFF whose budget has nothing left keeps others from paying all the same;
    without `pays_out_true_ups` a closed window is trued up in the plan's currency, whatever the payee is paid in;
    without `waits_in_window` a fact is refused of which a window has to post something that has no rate into the books, and
    of a true-up that is lowered to nothing a rest may stay in the books; without `began_inside` a plan that began inside a
    window rates it by its first version of all, though that had ended before; without `keeps_too_much` a fact is refused, and
    lost, that comes to more than money can hold; without `of_own_kind` a fact is known by its number alone, whatever it is;
    without `answers_reversals` a reversal is decided as with it, and whoever enters it is not told what it did;
    without `says_units` a line does not say of how many units its budget pays for how many.
    """

    books: Sequence[Rulebook]
    payees: Mapping[str, Payee]
    rates: tuple[Rate, ...] = ()
    books_currency: str | None = None
    billed_later: bool = True
    rest_in_books: bool = True
    even_steps: bool = True
    whole_awards: bool = True
    waited_for: bool = True
    of_kinds: bool = True
    deal_in_plan: bool = True
    alone_later: bool = True
    names_partners: bool = True
    own_parts: bool = True
    of_terms: bool = True
    holds_true_ups: bool = True
    of_nothing: bool = True
    spent_aside: bool = True
    pays_out_true_ups: bool = True
    waits_in_window: bool = True
    began_inside: bool = True
    keeps_too_much: bool = True
    of_own_kind: bool = True
    answers_reversals: bool = True
    says_units: bool = True


@dataclass(frozen=True)
class Basis:
    """What a plan rates: the win itself, or by id something that happened to it later."""

    fact_id: str | None
    sold: tuple[Sold, ...]
    earned_on: date


@dataclass(frozen=True)
class Due:
    """A share that should have a line, what it is rated on, and the plan version that rates it."""

    key: LineKey
    share: Share
    credit: CreditRecorded
    win: WinRecorded
    basis: Basis
    chosen: Chosen


Asking = tuple[Known, Waiting, Callable[[Due], Decimal] | None]


def dues(
    sale: Sale, known: Known, resolved: Quarantined | None = None, drawn: Callable[[Due], Decimal] | None = None
) -> Iterator[Due]:
    """The credited shares of each win that have no line yet, in one fixed order; `resolved` waited until now.

    `drawn` says what the budget of a plan would give for a share now: which SPIFF pays alone is asked share by share.
    """
    waiting = _waiting(sale, resolved) if known.waited_for else frozenset()
    for win_no in sorted(sale.wins):
        if sale.wins[win_no].backfill:
            continue
        for credit in sale.credit_of(win_no):
            for due in _dues_of(sale, sale.wins[win_no], credit, (known, waiting, drawn)):
                if sale.current(due.key) is None and due.key not in sale.missed and _earns(due, known):
                    yield due


def _earns(due: Due, known: Known) -> bool:
    """Whether the partner was still doing business when it happened."""
    payee = known.payees.get(due.key.partner_id)
    return payee is None or payee.leaving.earns(due.basis.earned_on)


def _waiting(sale: Sale, resolved: Quarantined | None) -> Waiting:
    waits = (*sale.quarantined, resolved) if resolved else sale.quarantined
    return frozenset((win_no, plan_id) for win_no, plan_id, _ in waits)


def _dues_of(sale: Sale, win: WinRecorded, credit: CreditRecorded, of: Asking) -> Iterator[Due]:
    known, waiting, drawn = of
    for share in shares_in_month(credit.shares, win.credited_on):
        found = _found(sale, win, (credit.pool, share), known, waiting)
        everything = [due for chosen in found for due in _of_plan(sale, win, credit, share, chosen)]
        paying = _paying(everything, sale, known, drawn)
        yield from (due for due in everything if due.chosen in paying)


def _found(sale: Sale, win: WinRecorded, of: tuple[str, Share], known: Known, waiting: Waiting) -> list[Chosen]:
    """The plans that pay a share of a pool: those that paid it before, and beside them what could not pay then."""
    pool, share = of
    before = _rated_before(sale, win, pool, share, known.books)
    ways = {"of_kinds": known.of_kinds, "began_inside": known.began_inside}
    found_now = _fitting(plans_for(pool, win.credited_on, known.books, win.achievement, **ways), win)
    fitting = [chosen for chosen in found_now if not chosen.plan.claimed or _claimed(sale, win, chosen, share)]
    if not before:
        return fitting
    later = _billed_later(fitting, before, known) if known.billed_later else []
    if known.alone_later:
        paid = _spiffs_paid(sale, win, of, before)
        later = [chosen for chosen in later if chosen.plan.kind != SPIFF or not alone(chosen.plan, paid)]
    found = [*before, *later, *_claimed_later(fitting, before)]
    if not known.waited_for:
        return found
    only_claimed = all(chosen.plan.claimed for chosen in before)
    waited = [chosen for chosen in fitting if only_claimed or (win.win_no, chosen.plan_id) in waiting]
    return [*found, *(chosen for chosen in waited if _beside(chosen, found, known))]


def _beside(waited: Chosen, found: Sequence[Chosen], known: Known) -> bool:
    """Whether a plan that waited pays beside what has paid: no second one of a component, nor a SPIFF where one is alone."""
    if waited.plan_id in {chosen.plan_id for chosen in found}:
        return False
    if waited.plan.kind == SPIFF:
        return not alone(waited.plan, [chosen.plan for chosen in found if chosen.plan.kind == SPIFF])
    return paid_for(waited.plan, of_kinds=known.of_kinds) not in _paid_for(found, known)


def _paid_for(found: Sequence[Chosen], known: Known) -> set[tuple[str, str]]:
    return {paid_for(chosen.plan, of_kinds=known.of_kinds) for chosen in found if chosen.plan.kind != SPIFF}


def _fitting(found: Sequence[Chosen], win: WinRecorded) -> list[Chosen]:
    return [chosen for chosen in found if not chosen.plan.deal_types or win.deal_type in chosen.plan.deal_types]


def _claimed(sale: Sale, win: WinRecorded, chosen: Chosen, share: Share) -> bool:
    return (win.win_no, chosen.plan_id, str(share.partner_id)) in sale.claimed


def _claimed_later(fitting: Sequence[Chosen], before: Sequence[Chosen]) -> list[Chosen]:
    """The SPIFFs that were claimed after other plans had paid."""
    paid = {chosen.plan_id for chosen in before}
    return [chosen for chosen in fitting if chosen.plan.claimed and chosen.plan_id not in paid]


def _billed_later(fitting: Sequence[Chosen], before: Sequence[Chosen], known: Known) -> list[Chosen]:
    """The plans that pay on what is billed and had nothing to pay on when others paid on the booking."""
    ids = {chosen.plan_id for chosen in before}
    later = [
        chosen
        for chosen in fitting
        if chosen.plan.basis in BILLED and not chosen.plan.claimed and chosen.plan_id not in ids
    ]
    if not known.waited_for:
        components = {chosen.plan.component for chosen in before}
        return [chosen for chosen in later if chosen.plan.component not in components]
    taken = _paid_for(before, known)
    return [
        chosen
        for chosen in later
        if chosen.plan.kind == SPIFF or paid_for(chosen.plan, of_kinds=known.of_kinds) not in taken
    ]


def _of_plan(sale: Sale, win: WinRecorded, credit: CreditRecorded, share: Share, chosen: Chosen) -> Iterator[Due]:
    for basis in bases_for(chosen.plan, sale, win):
        key = LineKey(
            win_no=win.win_no,
            pool=credit.pool,
            role=share.role,
            partner_id=share.partner_id,
            plan_id=chosen.plan_id,
            fact_id=basis.fact_id,
        )
        yield Due(key, share, credit, win, basis, chosen)


def bases_for(plan: Plan, sale: Sale, win: WinRecorded) -> list[Basis]:
    """What a plan rates of a win: what was booked and added, or what was billed."""
    later = [
        Basis(one.external_id, one.sold, one.happened_on)
        for one in sale.bases_of(win.win_no, (rated_kind(plan.basis),))
    ]
    return later if plan.basis in BILLED else [Basis(None, win.sold, win.credited_on), *later]


def _paying(
    found: Sequence[Due], sale: Sale, known: Known, drawn: Callable[[Due], Decimal] | None
) -> tuple[Chosen, ...]:
    """The plans that pay beside each other."""
    chosen = tuple(dict.fromkeys(due.chosen.plan_id for due in found))
    by_id = {due.chosen.plan_id: due.chosen for due in found}
    plans = [by_id[plan_id] for plan_id in chosen]
    if sum(one.plan.kind == SPIFF for one in plans) < 2:  # noqa: PLR2004  two can overlap
        return tuple(plans)
    pays = partial(_pay, sale=sale, known=known, drawn=drawn)
    return overlapping(plans, lambda one: sum((pays(due) for due in found if due.chosen is one), Decimal(0)))


def _pay(due: Due, sale: Sale, known: Known, drawn: Callable[[Due], Decimal] | None) -> Decimal:
    if drawn and due.chosen.plan.budget_id and sale.current(due.key) is None:
        return Decimal(0) if due.key in sale.missed else drawn(due)
    try:
        return rate(facts_of(due, sale, known, Decimal(0)), due.chosen.plan).pay.amount
    except (NoRate, OutOfRange) as reason:
        if isinstance(reason, OutOfRange) and not known.keeps_too_much:
            raise
        return Decimal(0)


def facts_of(due: Due, sale: Sale, known: Known, measure_before: Decimal) -> RatingFacts:
    """What the rating of a share looks at."""
    win, plan = due.win, due.chosen.plan
    partner = known.payees.get(due.key.partner_id, Payee())
    return RatingFacts(
        sold=due.basis.sold,
        percent=due.share.percent,
        credited_on=win.credited_on,
        measure_before=measure_before,
        earned_on=due.basis.earned_on,
        payee_id=due.key.partner_id,
        circumstances=_circumstances(due, known),
        margin=win.margin if due.basis.fact_id is None else None,
        term=win.term,
        chain_started_on=win.chain_started_on,
        deal_earned=_deal_earned(sale, due, plan, known),
        rates=known.rates,
        parties=parties_of(due, sale),
        payout_currency=partner.payout_currency,
        achievement=win.achievement,
    )


def _circumstances(due: Due, known: Known) -> Circumstances:
    """What modifiers look at, of the partner or of who it was one with on that day."""
    day = _tier_day(due)
    return circumstances_of(standing_for(known.payees, due.key.partner_id, day), day, _deal(due))


def _tier_day(due: Due) -> date:
    """The day of which the tier counts: the registration's approval, else the win; the closing; the invoice."""
    as_of = due.chosen.plan.tier_as_of
    if as_of == "registration_approved" and due.win.approved_on is not None:
        return due.win.approved_on
    return due.basis.earned_on if as_of == "invoiced" else due.win.credited_on


def _deal(due: Due) -> Circumstances:
    products = tuple(dict.fromkeys(line.family for line in due.basis.sold))
    return Circumstances(products=products, deal_type=due.win.deal_type, role=due.share.role)


def _deal_earned(sale: Sale, due: Due, plan: Plan, known: Known) -> Decimal:
    """What stands of what this plan paid for the same win so far; only a plan with a cap on the deal needs to know."""
    if plan.deal_cap is None:
        return Decimal(0)
    same = [
        line
        for line in sale.lines.values()
        if (line.key.plan_id, line.key.win_no) == (due.key.plan_id, due.key.win_no) and not line.superseded
    ]
    paid = (line.stands_in_plan if known.deal_in_plan else line.amount.amount for line in same)
    return sum(paid, Decimal(0))


def parties_of(due: Due, sale: Sale) -> dict[str, str]:
    """The payees by party: the credited partner, who the deal names or claimed it, and who is credited in another role."""
    roles = {PARTY_OF_ROLE[s.role]: str(s.partner_id) for s in due.credit.shares if s.role in PARTY_OF_ROLE}
    claimed = sale.claimed.get((due.win.win_no, due.key.plan_id, due.key.partner_id))
    seller = {"seller": claimed.claimant_id} if claimed else {}
    return {**roles, **due.win.parties, **seller, "partner": due.key.partner_id}


def mix_of(due: Due, derivation: Derivation) -> Decimal:
    """The part of the measure in the families of a mix."""
    families = due.chosen.plan.rebate_terms.mix_families
    left_out = derivation.special_priced or ()
    sold = [line for line in due.basis.sold if line.family in families and line.line_id not in left_out]
    inside = sum((line.amount.amount for line in sold), Decimal(0))
    return tidy(derivation.measure * inside / derivation.basis.amount) if derivation.basis.amount else Decimal(0)


def units_sold(due: Due) -> Fraction:
    """How many pieces of what a plan pays for are a share's part."""
    plan, achieved = due.chosen.plan, bool(due.win.achievement)
    return pieces(plan, due.basis.sold, due.share.percent, achieved=achieved)


def _spiffs_paid(sale: Sale, win: WinRecorded, of: tuple[str, Share], before: Sequence[Chosen]) -> list[Plan]:
    """The SPIFFs that a share was paid something by, whatever became of it."""
    paid = {line.key.plan_id for line in _lines_of(sale, win, *of) if not line.amount.zero}
    return [chosen.plan for chosen in before if chosen.plan.kind == SPIFF and chosen.plan_id in paid]


def _lines_of(sale: Sale, win: WinRecorded, pool: str, share: Share) -> list[Line]:
    """A partner's lines of a win, also those that another credit revision put aside."""
    mine = (win.win_no, pool, share.role, share.partner_id)
    lines = sale.lines.values()
    return [line for line in lines if (line.key.win_no, line.key.pool, line.key.role, line.key.partner_id) == mine]


def _rated_before(sale: Sale, win: WinRecorded, pool: str, share: Share, books: Sequence[Rulebook]) -> list[Chosen]:
    """The plan versions that this partner's lines of the win were rated under: a correction keeps them."""
    mine = _lines_of(sale, win, pool, share)
    versions = dict.fromkeys((line.key.plan_id, line.plan_version) for line in mine)
    return [chosen for plan_id, number in versions if (chosen := version_of(books, plan_id, number))]
