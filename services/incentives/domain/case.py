"""A case: a signal that met abuse rules. It may hold lines or payments until a person says what it was.

The label that closes it is what abuse rules are tested against later, so signals that met no rule are kept as well.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Literal, assert_never

from chassis.decider import Decider, NotFound, Raced, WrongState
from chassis.event import command, event, frozen, stable_id
from chassis.rulebook import Rulebook, Version
from services.incentives.domain.abuse_rules import (
    ABUSE,
    ABUSES,
    HOLD,
    LINE_SIGNALS,
    SELF_REFERRAL,
    AbuseFacts,
    AbuseRules,
    CaseSignal,
    Hit,
    action_of,
    hits,
    text_of,
)
from services.incentives.domain.line import clear_line, put_under_review
from services.incentives.domain.payee import Payee
from services.incentives.domain.payee_events import PayeeBlocked, PayeeEvent, PayeeReviewClosed, PayeeReviewOpened
from services.incentives.domain.sale import Sale
from services.incentives.domain.sale_events import PayoutPutUnderReview, SaleEvent

LINES_MAX = 200
Outcome = Literal["confirmed", "false_alarm"]
CONFIRMED, FALSE_ALARM = "confirmed", "false_alarm"


@frozen
class LineRef:
    """A line, and the sale that it is of."""

    opportunity_id: str
    line_id: str


# Events


@event("incentives.SignalSeen.v1")
class SignalSeen:
    """Something that abuse rules look at. `related` are the other claims, payees or requests that it is about."""

    case_id: str
    partner_id: str
    payee_id: str
    subject: str
    related: tuple[str, ...]
    facts: AbuseFacts
    seen_at: datetime


@event("incentives.CaseOpened.v1")
class CaseOpened:
    """The signal met rules. `action` is note or hold; a hold names the lines that it holds, else the payee waits."""

    case_id: str
    partner_id: str
    payee_id: str
    signal: CaseSignal
    action: str
    rulebook_id: str
    version: int
    hits: tuple[Hit, ...]
    lines: tuple[LineRef, ...]
    holds_payee: bool
    opened_at: datetime


@event("incentives.CaseExtended.v1")
class CaseExtended:
    """Lines that were earned since are held as well, as those that the case was opened with."""

    case_id: str
    partner_id: str
    payee_id: str
    lines: tuple[LineRef, ...]
    extended_at: datetime


@event("incentives.CaseClosed.v1")
class CaseClosed:
    """What it was: confirmed or a false alarm. What a confirmed case holds stays held."""

    case_id: str
    partner_id: str
    payee_id: str
    outcome: Outcome
    reason: str
    closed_by: str
    closed_at: datetime


CaseEvent = SignalSeen | CaseOpened | CaseExtended | CaseClosed

# Commands


@command("incentives.LookForAbuse.v1")
class LookForAbuse:
    """A signal, with the lines that a hold would hold; `rules` are the rulebooks that may judge it."""

    case_id: str
    partner_id: str
    payee_id: str
    subject: str
    related: tuple[str, ...] = ()
    facts: AbuseFacts
    lines: tuple[LineRef, ...] = ()
    rules: tuple[str, ...] = ()
    now: datetime


@command("incentives.CloseCase.v1")
class CloseCase:
    """`lines` are those that the case holds."""

    case_id: str
    payee_id: str
    outcome: Outcome
    reason: str
    lines: tuple[LineRef, ...]
    by: str
    now: datetime


# State


class Stage(StrEnum):
    NONE = "none"
    SEEN = "seen"
    OPEN = "open"
    CONFIRMED = "confirmed"
    FALSE_ALARM = "false_alarm"


@frozen
class Case:
    stage: Stage = Stage.NONE
    payee_id: str = ""
    facts: AbuseFacts | None = None
    opened: CaseOpened | None = None
    added: tuple[LineRef, ...] = ()

    @property
    def lines(self) -> tuple[LineRef, ...]:
        """The lines that it holds; none unless it was opened."""
        return (*self.opened.lines, *self.added) if self.opened else ()

    @property
    def goes_on(self) -> bool:
        """Whether it holds lines that are earned from now on: while it is open, and of a confirmed deal as long as that earns."""
        if self.opened is None or self.opened.action != HOLD or self.opened.signal not in LINE_SIGNALS:
            return False
        return self.stage is Stage.OPEN or (self.stage is Stage.CONFIRMED and self.opened.signal == SELF_REFERRAL)


# Decisions

Changed = tuple[list[CaseEvent], list[list[SaleEvent]], list[PayeeEvent]]


def case_id(signal: str, subject: str) -> str:
    """One subject has one case a signal."""
    return stable_id("case", signal, subject)


def sales_of(lines: Sequence[LineRef]) -> tuple[str, ...]:
    """The sales of some lines, each once, in one order."""
    return tuple(sorted({line.opportunity_id for line in lines}))


def look_for_abuse(
    wish: LookForAbuse, case: Case, sales: Sequence[Sale], payee: Payee, books: Sequence[Rulebook]
) -> Changed:
    """Keeps a signal while abuse rules are in force, and opens the case where one is met. Never opens it twice.

    What was earned since a case holds lines is held as well.
    """
    if not case.goes_on:
        return look_for_abuse_once(wish, case, sales, payee, books)
    held = [_held_as_well(wish, case, sale) for sale in sales]
    found = [hit for version in _in_force(books, wish.now) for hit in hits(wish.facts, ABUSES.read(version.body))]
    if not any(held) or action_of(tuple(found)) != HOLD:
        return [], [[] for _ in sales], []
    reviewed = {one.line_id for events in held for one in events if isinstance(one, PayoutPutUnderReview)}
    added = tuple(line for line in wish.lines if line.line_id in reviewed)
    return [_extended(wish, added)], held, []


def look_for_abuse_once(
    wish: LookForAbuse, case: Case, sales: Sequence[Sale], payee: Payee, books: Sequence[Rulebook]
) -> Changed:
    """As the first evaluator decided: a case held the lines that there were when it was opened, and none that came later."""
    judged = [(version, hits(wish.facts, ABUSES.read(version.body))) for version in _in_force(books, wish.now)]
    untouched: list[list[SaleEvent]] = [[] for _ in sales]
    if not judged or case.stage not in (Stage.NONE, Stage.SEEN) or not _tells(wish.facts):
        return [], untouched, []
    events: list[CaseEvent] = [] if case.facts == wish.facts else [_seen(wish)]
    met = [(version, found) for version, found in judged if found]
    if not met:
        return events, untouched, []
    version, found = max(met, key=lambda one: action_of(one[1]) == HOLD)
    opened = _opened(wish, version, found)
    return [*events, opened], [_held(opened, sale, wish) for sale in sales], _payee_held(opened, payee)


def _tells(facts: AbuseFacts) -> bool:
    return bool(facts.count or facts.amounts)


def _in_force(books: Sequence[Rulebook], now: datetime) -> Iterator[Version]:
    versions = (book.in_force(now) for book in books)
    return (version for version in versions if version and version.kind == ABUSE)


def _seen(wish: LookForAbuse) -> SignalSeen:
    return SignalSeen(
        case_id=wish.case_id,
        partner_id=wish.partner_id,
        payee_id=wish.payee_id,
        subject=wish.subject,
        related=wish.related,
        facts=wish.facts,
        seen_at=wish.now,
    )


def _opened(wish: LookForAbuse, version: Version, found: tuple[Hit, ...]) -> CaseOpened:
    held = action_of(found) == HOLD
    of_lines = wish.facts.signal in LINE_SIGNALS
    return CaseOpened(
        case_id=wish.case_id,
        partner_id=wish.partner_id,
        payee_id=wish.payee_id,
        signal=wish.facts.signal,
        action=action_of(found),
        rulebook_id=version.rulebook_id,
        version=version.version,
        hits=found,
        lines=wish.lines if held and of_lines else (),
        holds_payee=held and not of_lines,
        opened_at=wish.now,
    )


def _held(opened: CaseOpened, sale: Sale, wish: LookForAbuse) -> list[SaleEvent]:
    return _under_review(opened.lines, sale, wish)


def _under_review(lines: Sequence[LineRef], sale: Sale, wish: LookForAbuse) -> list[SaleEvent]:
    mine = [line.line_id for line in lines if line.line_id in sale.lines]
    return [one for line_id in mine for one in put_under_review(sale, line_id, wish.case_id, wish.now)]


def _held_as_well(wish: LookForAbuse, case: Case, sale: Sale) -> list[SaleEvent]:
    """What holds the lines that the case does not hold yet, up to as many as a case can."""
    new = [line for line in wish.lines if line not in case.lines][: LINES_MAX - len(case.lines)]
    return _under_review(new, sale, wish)


def _extended(wish: LookForAbuse, lines: tuple[LineRef, ...]) -> CaseExtended:
    return CaseExtended(
        case_id=wish.case_id, partner_id=wish.partner_id, payee_id=wish.payee_id, lines=lines, extended_at=wish.now
    )


def _payee_held(opened: CaseOpened, payee: Payee) -> list[PayeeEvent]:
    if not opened.holds_payee or opened.case_id in payee.reviews:
        return []
    return [
        PayeeReviewOpened(
            payee_id=opened.payee_id,
            partner_id=opened.partner_id,
            case_id=opened.case_id,
            opened_at=opened.opened_at,
        )
    ]


def close_case(wish: CloseCase, case: Case, sales: Sequence[Sale], payee: Payee) -> Changed:
    """Labels a case. A false alarm frees what it held; a confirmed one keeps its lines held and blocks the payee."""
    if case.opened and (wish.payee_id, wish.lines) != (case.opened.payee_id, case.lines):
        raise Raced
    return close_case_as_named(wish, case, sales, payee)


def close_case_as_named(wish: CloseCase, case: Case, sales: Sequence[Sale], payee: Payee) -> Changed:
    """As the first evaluator decided: freed were the lines that the command named, whatever the case held."""
    if case.stage is Stage.NONE:
        raise NotFound
    if case.opened is None or case.stage is not Stage.OPEN:
        raise WrongState(f"the case is {case.stage.value}", state=case.stage.value, allowed=["open"])
    closed = CaseClosed(
        case_id=wish.case_id,
        partner_id=case.opened.partner_id,
        payee_id=wish.payee_id,
        outcome=wish.outcome,
        reason=wish.reason,
        closed_by=wish.by,
        closed_at=wish.now,
    )
    freed = [_freed(closed, wish.lines, sale) if wish.outcome == FALSE_ALARM else [] for sale in sales]
    return [closed], freed, _payee_freed(closed, payee)


def _freed(closed: CaseClosed, lines: Sequence[LineRef], sale: Sale) -> list[SaleEvent]:
    mine = [line.line_id for line in lines if line.line_id in sale.lines]
    return [one for line_id in mine for one in clear_line(sale, line_id, closed.case_id, closed.closed_at)]


def _payee_freed(closed: CaseClosed, payee: Payee) -> list[PayeeEvent]:
    if closed.case_id not in payee.reviews:
        return []
    over = PayeeReviewClosed(
        payee_id=closed.payee_id,
        partner_id=closed.partner_id,
        case_id=closed.case_id,
        others_open=len(payee.reviews) > 1,
        closed_at=closed.closed_at,
    )
    if closed.outcome == FALSE_ALARM or payee.blocked is not None:
        return [over]
    blocked = PayeeBlocked(
        payee_id=closed.payee_id,
        partner_id=closed.partner_id,
        reason=closed.reason,
        blocked_by=closed.closed_by,
        blocked_at=closed.closed_at,
    )
    return [over, blocked]


# Evolve


def evolve(case: Case, happened: CaseEvent) -> Case:
    match happened:
        case SignalSeen():
            return replace(case, stage=Stage.SEEN, payee_id=happened.payee_id, facts=happened.facts)
        case CaseOpened():
            return replace(case, stage=Stage.OPEN, payee_id=happened.payee_id, opened=happened)
        case CaseExtended():
            return replace(case, added=(*case.added, *happened.lines))
        case CaseClosed():
            return replace(case, stage=Stage(happened.outcome))
        case _:
            assert_never(happened)


Cases = Decider[Case, CaseEvent](kind="case", initial=Case(), evolve=evolve)

# Testing abuse rules against what people said of past signals


@frozen
class Labelled:
    """A past signal and what a person said it was; None while nobody has."""

    case_id: str
    partner_id: str
    facts: AbuseFacts
    was: str
    label: str | None


@frozen
class Tested:
    """What rules would have done with one past signal."""

    case_id: str
    partner_id: str
    text: str
    was: str
    would_be: str
    label: str | None


def backtest(rules: AbuseRules, signals: Sequence[Labelled]) -> dict[str, int | str | list[Tested]]:
    """How often rules would have met signals of each label, what they would have missed, and what would differ."""
    tested = [_tested(one, action_of(hits(one.facts, rules))) for one in signals]
    met = [one for one in tested if one.would_be != "none"]
    confirmed = sum(one.label == CONFIRMED for one in met)
    labelled = sum(one.label is not None for one in met)
    return {
        "signals": len(tested),
        "hits": len(met),
        "confirmed_hit": confirmed,
        "false_alarms_hit": labelled - confirmed,
        "unlabelled_hit": len(met) - labelled,
        "confirmed_missed": sum(one.label == CONFIRMED for one in tested) - confirmed,
        "precision_percent": str(_share(confirmed, labelled)),
        "changed": [one for one in tested if one.was != one.would_be][:LINES_MAX],
    }


def _share(part: int, whole: int) -> Decimal:
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1")) if whole else Decimal(0)


def _tested(one: Labelled, would_be: str) -> Tested:
    return Tested(
        case_id=one.case_id,
        partner_id=one.partner_id,
        text=text_of(one.facts),
        was=one.was,
        would_be=would_be,
        label=one.label,
    )
