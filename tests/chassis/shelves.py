"""A small service for shadow runs: orders take from shelves that others take from too, as long as the rules let them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from chassis.access import Access
from chassis.decider import Decider, Refused, Stream
from chassis.event import command, event
from chassis.execution import Handles, Slots
from chassis.rulebook import LIVE, Decision, Reason, Rulebook, Rules, RulesPublished
from chassis.service import Blueprint

AT = datetime(2026, 3, 3, 10, tzinfo=UTC)
BOOK = "limits"


@event("shelves.Stocked.v1")
class Stocked:
    amount: int


@event("shelves.Taken.v1")
class Taken:
    amount: int


@event("shelves.Ordered.v1")
class Ordered:
    customer: str
    amount: int
    left: tuple[int, ...]
    most: int


@event("shelves.OrderClosed.v1")
class OrderClosed:
    amount: int
    seen: int


@command("shelves.Stock.v1")
class Stock:
    shelf: str
    amount: int


@command("shelves.PublishLimit.v1")
class PublishLimit:
    most: int


@command("shelves.Order.v1")
class Order:
    order_id: str
    customer: str
    shelves: tuple[str, ...]
    near: tuple[str, ...]
    amount: int


@command("shelves.CloseOrder.v1")
class CloseOrder:
    order_id: str
    shelf: str


class TooMuch(Refused):
    """The rules let nobody take so much at once."""

    slug = "too-much"


class Empty(Refused):
    """There is not so much on a shelf."""

    slug = "empty"


class NoOrder(Refused):
    """There is no such order."""

    slug = "no-order"


def _count(count: int, happened: Stocked | Taken) -> int:
    return count + happened.amount if isinstance(happened, Stocked) else count - happened.amount


@dataclass(frozen=True)
class OrderState:
    amount: int = 0
    closed: int = 0


def _order(order: OrderState, happened: Ordered | OrderClosed) -> OrderState:
    if isinstance(happened, Ordered):
        return OrderState(happened.amount, order.closed)
    return OrderState(order.amount, order.closed + 1)


Shelves = Decider[int, Stocked | Taken](kind="shelf", initial=0, evolve=_count)
Orders = Decider[OrderState, Ordered | OrderClosed](kind="order", initial=OrderState(), evolve=_order)


def stock(wish: Stock, count: int) -> list[Stocked]:
    return [Stocked(amount=wish.amount)]


def publish_limit(wish: PublishLimit, book: Rulebook) -> list[RulesPublished]:
    return [
        RulesPublished(
            rulebook_id=BOOK,
            kind=BOOK,
            scope=BOOK,
            version=book.next_version,
            body={"most": wish.most},
            sha256="0" * 64,
            author="ann",
            publisher="bob",
            effective_from=AT,
            effective_until=None,
            mode=LIVE,
            published_at=AT,
        )
    ]


def order(wish: Order, mine: OrderState, counts: tuple[int, ...], book: Rulebook, near: tuple[int, ...]) -> Any:
    version = book.in_force(AT)
    if mine.amount:
        return [], [[] for _ in counts]
    if version is None or wish.amount > version.body["most"]:
        raise TooMuch
    if min(counts, default=0) < wish.amount:
        raise Empty
    taken = Ordered(customer=wish.customer, amount=wish.amount, left=(*counts, *near), most=version.body["most"])
    return [taken], [[Taken(amount=wish.amount)] for _ in counts]


def close_alone(wish: CloseOrder, mine: OrderState) -> list[OrderClosed]:
    if not mine.amount:
        raise NoOrder
    return [OrderClosed(amount=mine.amount, seen=0)]


def close_order(wish: CloseOrder, mine: OrderState, count: int) -> tuple[list[OrderClosed], list[Stocked]]:
    """As decided by now: what was not used goes back."""
    if not mine.amount:
        raise NoOrder
    return [OrderClosed(amount=mine.amount, seen=count)], [Stocked(amount=1)] if count < mine.amount else []


def shelves(names: Iterable[str]) -> tuple[Stream, ...]:
    return tuple(map(Shelves.at, names))


def order_streams(wish: Order) -> Slots:
    return Orders.at(wish.order_id), shelves(wish.shelves)


BEFORE = Handles(CloseOrder, close_alone, streams=lambda wish: (Orders.at(wish.order_id),))
HANDLES = (
    Handles(Stock, stock, streams=lambda wish: (Shelves.at(wish.shelf),)),
    Handles(PublishLimit, publish_limit, streams=lambda wish: (Rules.at(BOOK),)),
    Handles(Order, order, streams=order_streams, reads=lambda wish: (Rules.at(BOOK), shelves(wish.near))),
    BEFORE,
    Handles(
        CloseOrder,
        close_order,
        streams=lambda wish: (Orders.at(wish.order_id), Shelves.at(wish.shelf)),
        evaluator=2,
    ),
)


def _explained(seen: Any) -> Decision:
    happened: Ordered = seen.event
    return Decision(outcome="taken", reasons=(Reason(code=f"of-{happened.most}", text="The rules let it."),))


BLUEPRINT = Blueprint(
    declared_in=__name__,
    name="shelves",
    handles=HANDLES,
    access=Access({}),
    routers=(),
    publish=lambda seen: None,
    explain={Ordered: _explained},
    weigh={Ordered: lambda it: (it.customer, "EUR", Decimal(it.amount) / 10)},
    tally={OrderClosed: lambda it: ("closed", str(it.seen))},
)
