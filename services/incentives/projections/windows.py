"""Which windows of accumulating plans are due: a rebate's settlement, and every window's close? Which wait for a rate?"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from chassis.application import NothingToDo
from chassis.deadlines import Deadline
from chassis.decider import Busy
from chassis.event import Seen, iso
from chassis.execution import Peek
from chassis.read_store.port import TURN
from contracts.values import none_of
from services.incentives.application.sales import in_books, paid_in, rates_about, with_survivors
from services.incentives.domain.exchange import InBooks, NoRate, Rate
from services.incentives.domain.meter import (
    CloseWindow,
    Metered,
    NoteWindowWaits,
    RebateSettled,
    ResumeWindow,
    SettleRebate,
    WindowClosed,
    WindowResumed,
    WindowWaits,
)
from services.incentives.projections.releases import start_of


def evolve(document: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    happened = seen.event
    if isinstance(happened, Metered):
        return _due(happened) if happened.closes_on else None
    if isinstance(happened, RebateSettled) and document and happened.settles_on:
        return {**document, "due_at": iso(start_of(happened.settles_on))}
    return None


def _due(happened: Metered) -> dict[str, Any]:
    closes_on: date = happened.closes_on or date.max
    return {
        "due_at": iso(start_of(happened.settles_on or closes_on)),
        "meter_id": happened.meter_id,
        "plan_id": happened.plan_id,
        "payee_id": happened.payee_id,
        "closes_at": iso(start_of(closes_on)),
    }


def issue(document: dict[str, Any], now: datetime) -> Callable[[Peek], Awaitable[CloseWindow | SettleRebate]]:
    """The window's close once it is over, else the rebate's settlement, with the rates of the day; without one it waits."""
    over = document["due_at"] >= document["closes_at"]
    named = {name: document[name] for name in ("meter_id", "plan_id", "payee_id")}

    async def make(peek: Peek) -> CloseWindow | SettleRebate:
        at_hand = await _at_hand(peek, named, now.date())
        if missing := at_hand.missing(now.date()):
            raise _busy(missing)
        if not over:
            return SettleRebate(**named, now=now, books=at_hand.books)
        survivors = await with_survivors(peek, {document["payee_id"]}) - {document["payee_id"]}
        return CloseWindow(
            **named, now=now, books=at_hand.books, survivor_ids=tuple(sorted(survivors)), rates=at_hand.between
        )

    return make


def _busy(missing: Sequence[str]) -> Busy:
    """A refusal would settle it, and the window stay as it is."""
    return Busy(f"no rate of the week is recorded for {', '.join(missing)}")


def note(document: dict[str, Any], now: datetime) -> Callable[[Peek], Awaitable[NoteWindowWaits]]:
    """That the window waits, where it does: whoever records rates is asked to."""

    async def make(peek: Peek) -> NoteWindowWaits:
        missing = (await _at_hand(peek, document, now.date())).missing(now.date())
        if not missing:
            raise NothingToDo
        return NoteWindowWaits(meter_id=document["meter_id"], pairs=missing, now=now)

    return make


def waiting(_: dict[str, Any] | None, seen: Seen) -> dict[str, Any] | None:
    """A window that waits is looked at from then on, until it need not wait any more."""
    it = seen.event
    if not isinstance(it, WindowWaits):
        return None
    named = {"meter_id": it.meter_id, "plan_id": it.plan_id, "payee_id": it.payee_id}
    return {**named, "due_at": iso(it.noted_at), TURN: seen.id}


def resume(document: dict[str, Any], now: datetime) -> Callable[[Peek], Awaitable[ResumeWindow]]:
    """What a window could not post is posted once the rates are recorded; until then it waits."""
    named = {name: document[name] for name in ("meter_id", "plan_id", "payee_id")}

    async def make(peek: Peek) -> ResumeWindow:
        at_hand = await _at_hand(peek, named, now.date())
        if missing := at_hand.missing(now.date(), late=True):
            raise _busy(missing)
        return ResumeWindow(**named, now=now, books=at_hand.books, rates=at_hand.between)

    return make


@dataclass(frozen=True)
class AtHand:
    """The books and rates of a day, and the currencies of a window's plan and payee; none where no plan is known."""

    books: InBooks
    rates: tuple[Rate, ...]
    currencies: tuple[str, str] | None

    @property
    def between(self) -> tuple[Rate, ...]:
        """The rates at which it is paid out."""
        return tuple(rate for rate in self.rates if self.currencies and {rate.base, rate.quote} == set(self.currencies))

    def missing(self, today: date, *, late: bool = False) -> tuple[str, ...]:
        """The pairs without whose rate, into the payee's currency and the books, the window waits.

        What comes `late` is paid in the plan's currency where it has no rate into the payee's.
        """
        if self.currencies is None:
            return ()
        plan, payout = self.currencies
        unpaid = _missing(InBooks(currency=payout, rates=self.rates), plan, today)
        into_books = [_missing(self.books, code, today) for code in ((plan,) if late and unpaid else self.currencies)]
        found = into_books if late else [unpaid, *into_books]
        return tuple(dict.fromkeys(pair for pair in found if pair))


def _missing(books: InBooks, currency: str, today: date) -> str | None:
    try:
        books.amount(none_of(currency), today)
    except NoRate as missing:
        return missing.pair
    return None


async def _at_hand(peek: Peek, window: dict[str, Any], today: date) -> AtHand:
    books, rates = await in_books(peek, today), await rates_about(peek, [today])
    return AtHand(books, rates, await paid_in(peek, window))


def _meter(seen: Seen) -> str:
    meter_id: str = seen.event.meter_id
    return meter_id


WINDOWS = Deadline(
    name="windows",
    version=1,
    keys=dict.fromkeys((Metered, RebateSettled, WindowClosed), _meter),
    evolve=evolve,
    issue=issue,
)

WAITING_WINDOWS = Deadline(
    name="waiting_windows",
    version=1,
    keys=dict.fromkeys((Metered, RebateSettled, WindowClosed), _meter),
    evolve=evolve,
    issue=note,
)

RESUMED_WINDOWS = Deadline(
    name="resumed_windows",
    version=1,
    keys=dict.fromkeys((WindowWaits, WindowResumed, RebateSettled, WindowClosed), _meter),
    evolve=waiting,
    issue=resume,
)
