"""Which windows of accumulating plans are due: a rebate's settlement, and every window's close?"""

from collections.abc import Awaitable, Callable
from datetime import date, datetime
from typing import Any

from chassis.deadlines import Deadline
from chassis.decider import Busy
from chassis.event import Seen, iso
from chassis.execution import Peek
from contracts.values import none_of
from services.incentives.application.sales import in_books, paid_in, rates_about, with_survivors
from services.incentives.domain.exchange import InBooks, NoRate
from services.incentives.domain.meter import CloseWindow, Metered, RebateSettled, SettleRebate, WindowClosed
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
        books, rates = await in_books(peek, now.date()), await rates_about(peek, [now.date()])
        if currencies := await paid_in(peek, named):
            _wait_for_rates(books, InBooks(currency=currencies[1], rates=rates), currencies, now.date())
        if not over:
            return SettleRebate(**named, now=now, books=books)
        survivors = await with_survivors(peek, {document["payee_id"]}) - {document["payee_id"]}
        between = tuple(rate for rate in rates if currencies and {rate.base, rate.quote} == set(currencies))
        return CloseWindow(**named, now=now, books=books, survivor_ids=tuple(sorted(survivors)), rates=between)

    return make


def _wait_for_rates(books: InBooks, payout: InBooks, currencies: tuple[str, str], today: date) -> None:
    """Raises Busy while no rate is recorded into the books, or the payee's currency.

    A refusal would settle it, and the window stay open.
    """
    try:
        payout.amount(none_of(currencies[0]), today)
        for currency in currencies:
            books.amount(none_of(currency), today)
    except NoRate as missing:
        raise Busy(str(missing)) from missing


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
