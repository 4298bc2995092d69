"""Facts of sales: which plans may rate them and which streams they move is looked up before they are decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date
from typing import Any

from chassis.application import Application
from chassis.decider import Problem
from chassis.execution import Look, Peek
from chassis.read_store.port import PAGE_MAX
from chassis.rulebook import Rulebook, Rules
from services.incentives.domain import earning
from services.incentives.domain.approval import Approval, Approvals
from services.incentives.domain.award import decide_spiff_claim
from services.incentives.domain.books import CURRENCY, AllBooks, Books, months_about
from services.incentives.domain.budget import Budget, BudgetEvent
from services.incentives.domain.choice import version_of
from services.incentives.domain.claim import Claim, ClaimEvent
from services.incentives.domain.dues import Known
from services.incentives.domain.exchange import NO_BOOKS, RATE_DAYS_MAX, InBooks, Rate, exact, newest
from services.incentives.domain.meter import Meter, MeterEvent, Meters, paid_currency
from services.incentives.domain.payee import Payee, Payees
from services.incentives.domain.posting import AtHand, Decided
from services.incentives.domain.rating import PLANS
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.sale_commands import (
    DecideSpiffClaim,
    LookedUp,
    RecordBasis,
    RecordCredit,
    RecordReversal,
    RecordWin,
    ResolveFact,
)
from services.incentives.domain.sale_events import SaleEvent

PLANS_MAX = PAGE_MAX


# Facts of sales: which plans may rate them and which streams they move is looked up before they are decided


FactCommand = RecordWin | RecordBasis | RecordCredit | RecordReversal | ResolveFact | DecideSpiffClaim
DECISIONS: dict[type[Any], Callable[..., Decided]] = {
    RecordWin: earning.record_win,
    RecordBasis: earning.record_basis,
    RecordCredit: earning.record_credit,
    RecordReversal: earning.record_reversal,
    ResolveFact: earning.resolve_fact,
    DecideSpiffClaim: earning.earn_claimed,
}


LEARNED = (
    "billed_later",
    "rest_in_books",
    "even_steps",
    "whole_awards",
    "waited_for",
    "of_kinds",
    "deal_in_plan",
    "alone_later",
    "names_partners",
    "own_parts",
    "of_terms",
    "holds_true_ups",
    "of_nothing",
    "spent_aside",
    "pays_out_true_ups",
    "waits_in_window",
    "began_inside",
    "keeps_too_much",
    "of_own_kind",
    "answers_reversals",
    "says_units",
)
"""What each evaluator after the first decides with, and those before it without; see `Known`."""
EVALUATORS = range(1, len(LEARNED) + 2)
ANSWERS_REVERSALS = LEARNED.index("answers_reversals") + 2
"""The evaluator from which on whoever enters a reversal is told what it did."""
AWARDS_LEARNED = LEARNED[LEARNED.index("waited_for") :]
"""The same of a claim's decision, whose first evaluator decided with all that was learned before."""
AWARD_EVALUATORS = range(1, len(AWARDS_LEARNED) + 2)


def decide_fact(  # noqa: PLR0913, PLR0917  the evaluator, the command, and a state a parameter
    evaluator: int,
    wish: FactCommand,
    state: Sale,
    meters: Sequence[Meter],
    budgets: Sequence[Budget],
    books: Sequence[Rulebook],
    payees: Sequence[Payee],
) -> tuple[list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    """The events of the sale, and of each meter and budget in the order of the command's ids, as an evaluator decides."""
    unlearned: dict[str, Any] = dict.fromkeys(LEARNED[evaluator - 1 :], False)
    known = replace(known_of(wish.looked_up, books, payees), **unlearned)
    return _in_order(wish, DECISIONS[type(wish)](wish, state, _at_hand(wish, meters, budgets), known))


def decide_award(  # noqa: PLR0913, PLR0917  the evaluator, the command, and a state a parameter
    evaluator: int,
    wish: DecideSpiffClaim,
    claim: Claim,
    state: Sale,
    meters: Sequence[Meter],
    budgets: Sequence[Budget],
    books: Sequence[Rulebook],
    payees: Sequence[Payee],
) -> tuple[list[ClaimEvent], list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    """The events of the claim, and of its sale as of any fact, as an evaluator decides."""
    unlearned: dict[str, Any] = dict.fromkeys(AWARDS_LEARNED[evaluator - 1 :], False)
    known = replace(known_of(wish.looked_up, books, payees), **unlearned)
    events, made = decide_spiff_claim(wish, claim, state, _at_hand(wish, meters, budgets), known)
    return events, *_in_order(wish, made)


def _at_hand(wish: FactCommand, meters: Sequence[Meter], budgets: Sequence[Budget]) -> AtHand:
    return AtHand(
        dict(zip(wish.meter_ids, meters, strict=True)), dict(zip(wish.looked_up.budget_ids, budgets, strict=True))
    )


def _in_order(
    wish: FactCommand, made: Decided
) -> tuple[list[SaleEvent], list[list[MeterEvent]], list[list[BudgetEvent]]]:
    return (
        made.sale,
        [made.meters.get(meter, []) for meter in wish.meter_ids],
        [made.budgets.get(budget, []) for budget in wish.looked_up.budget_ids],
    )


def known_of(looked_up: LookedUp, books: Sequence[Rulebook], payees: Sequence[Payee]) -> Known:
    """What was looked up for a fact, as its rating takes it."""
    return Known(
        books=books,
        payees=dict(zip(looked_up.payee_ids, payees, strict=True)),
        rates=looked_up.rates,
        books_currency=looked_up.books_currency,
    )


async def prepared(app: Application, tenant: str, peek: Peek, wish: FactCommand) -> FactCommand:
    """The fact with the plans that may rate it, what its rating looks at, and the streams it will move."""
    plan_ids = await _plan_ids(app, tenant)
    if isinstance(wish, RecordWin):
        wish = await _with_history(peek, wish)
    return await with_streams(replace(wish, plan_ids=plan_ids), peek)


async def with_streams(wish: FactCommand, look: Look) -> FactCommand:
    """The fact with what its rating looks at under its plans, and with the meters and budgets that it will move."""
    books = [await look(Rules.at(plan_id)) for plan_id in wish.plan_ids]
    state: Sale = await look(Sales.at(wish.opportunity_id))
    looked_up = await _looked_up(look, wish, state, books)
    payees = [await look(Payees.at(payee_id)) for payee_id in looked_up.payee_ids]
    try:
        made = DECISIONS[type(wish)](wish, state, AtHand(), known_of(looked_up, books, payees))
    except Problem:
        made = Decided()
    looked_up = replace(looked_up, budget_ids=tuple(sorted(made.budgets)))
    return replace(wish, meter_ids=tuple(sorted(made.meters)), looked_up=looked_up)


async def _with_history(peek: Peek, wish: RecordWin) -> RecordWin:
    """The win with what its registration says, and the first day of the chain of terms that it renews."""
    approval: Approval = await peek(Approvals.at(wish.registration_id)) if wish.registration_id else Approval()
    renewed: Sale = await peek(Sales.at(wish.renews_id)) if wish.renews_id else Sale()
    first = renewed.wins[max(renewed.wins)] if renewed.wins else None
    started = first and (first.chain_started_on or (first.term.starts_on if first.term else first.credited_on))
    started_on, parties = started or wish.chain_started_on, {**approval.parties, **wish.parties}
    return replace(wish, approved_on=approval.approved_on, chain_started_on=started_on, parties=parties)


async def _looked_up(look: Look, wish: FactCommand, state: Sale, books: Sequence[Rulebook]) -> LookedUp:
    shares = [*(share for credit in state.credits.values() for share in credit.shares), *getattr(wish, "shares", ())]
    opened: Books = await look(AllBooks.at(CURRENCY))
    payee_ids = tuple(sorted(await with_survivors(look, {str(share.partner_id) for share in shares})))
    preferred = {(await look(Payees.at(payee_id))).payout_currency for payee_id in payee_ids}
    currencies = _currencies(wish, state, books) | ({opened.currency, *preferred} - {None})
    rates: tuple[Rate, ...] = ()
    if len(currencies) > 1:
        rates = await rates_about(look, [*_days_of(wish, state), wish.now.astimezone(UTC).date()])
    return LookedUp(
        payee_ids=payee_ids,
        rates=tuple(rate for rate in rates if {rate.base, rate.quote} <= currencies),
        books_currency=opened.currency,
    )


async def with_survivors(look: Look, payee_ids: set[str]) -> set[str]:
    """The payees, and those that they have become one with: their standing counts."""
    found, new = set(payee_ids), payee_ids
    while new:
        merged = {(await look(Payees.at(payee_id))).merging.survivor_id for payee_id in new}
        new = {survivor_id for survivor_id in merged if survivor_id} - found
        found |= new
    return found


def _currencies(wish: FactCommand, state: Sale, books: Sequence[Rulebook]) -> set[str]:
    """The currencies of the sale and of every plan, among which rates are looked up."""
    bodies = [version.body for book in books for version in book.versions]
    given = {body.get(name) for body in bodies for name in ("currency", "payout_currency")} - {None}
    sales = {win.amount.currency for win in state.wins.values()}
    return {str(code) for code in given} | sales | ({wish.amount.currency} if isinstance(wish, RecordWin) else set())


def _days_of(wish: FactCommand, state: Sale) -> list[date]:
    days = [win.credited_on for win in state.wins.values()] + [one.happened_on for one in state.bases.values()]
    given = getattr(wish, "closed_on", None) or getattr(wish, "happened_on", None)
    return [*days, given] if given else days


async def all_payees(app: Application, tenant: str, peek: Peek) -> dict[str, Payee]:
    """Every payee that is known, with its standing."""
    found: dict[str, Payee] = {}
    cursor = None
    while True:
        page = await app.read.find("payee_gates", tenant, sort="partner_id", after=cursor, limit=PAGE_MAX)
        found |= {item["payee_id"]: await peek(Payees.at(item["payee_id"])) for item in page.items}
        cursor = page.next_cursor
        if cursor is None:
            return found


async def rates_about(look: Look, days: Sequence[date]) -> tuple[Rate, ...]:
    """The recorded rates that may hold on some days; of one that was corrected the last."""
    found = [rate for month in months_about(days) for rate in (await look(AllBooks.at(month))).rates]
    return exact(rate for rate in newest(found) if any(0 <= (day - rate.on).days <= RATE_DAYS_MAX for day in days))


async def paid_in(look: Look, window: Mapping[str, str]) -> tuple[str, str] | None:
    """The currencies of a window's plan, and in which its payee is paid; None where nothing is known of it."""
    plan_id, meter = window["plan_id"], await look(Meters.at(window["meter_id"]))
    chosen = version_of([await look(Rules.at(plan_id))], plan_id, meter.plan_version)
    if chosen is None:
        return None
    payee: Payee = await look(Payees.at(window["payee_id"]))
    return chosen.plan.currency, paid_currency(chosen.plan, payee.payout_currency)


async def in_books(look: Look, today: date) -> InBooks:
    """The currency of the books and the rates of a day."""
    opened: Books = await look(AllBooks.at(CURRENCY))
    return InBooks(currency=opened.currency, rates=await rates_about(look, [today])) if opened.currency else NO_BOOKS


async def _plan_ids(app: Application, tenant: str) -> tuple[str, ...]:
    return await rules_of_kind(app, tenant, PLANS.name)


async def rules_of_kind(app: Application, tenant: str, kind: str) -> tuple[str, ...]:
    """The rulebooks of a kind that have a published version."""
    await app.caught_up("rulebooks")
    found = await app.read.find("rulebooks", tenant, where={"kind": kind}, sort="kind", limit=PLANS_MAX)
    return tuple(sorted(book["rulebook_id"] for book in found.items if book["versions"]))
