"""Orders that distributors book for a deal: facts of the deal's sale, which name no product of their own."""

from collections.abc import Sequence
from datetime import datetime

from chassis.application import Application
from contracts.values import OpportunityId, ProductLine, none_of
from services.incentives.domain.approval import OrderNoted
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import ORDERED
from services.incentives.domain.sale_commands import RecordBasis

OF_DEAL_MAX = 10
"""A deal is few sales here: its opportunity, and what is paid for its registration."""
WonDeal = tuple[OpportunityId, int, str]
"""The sale of a deal, its last win, and its registration."""


async def won_of(app: Application, tenant: str, registration_id: str) -> WonDeal | None:
    """The sale of a registration; None while it is not won."""
    await app.caught_up("sales")
    where = {"registration_id": registration_id}
    found = await app.read.find("sales", tenant, where=where, sort="opportunity_id", limit=OF_DEAL_MAX)
    won = next((sale for sale in found.items if not any("achievement" in win for win in sale["wins"].values())), None)
    if won is None:
        return None
    return OpportunityId(won["opportunity_id"]), max(int(number) for number in won["wins"]), registration_id


def ordered(
    opportunity_id: OpportunityId, win_no: int, order: OrderNoted, products: Sequence[ProductLine], now: datetime
) -> RecordBasis:
    """The command for an order, with the products of the registration; plans and meters are looked up later."""
    nothing = none_of(order.amount.currency)
    sold = tuple(
        Sold(line_id=str(place), family=one.family, sku=one.sku, quantity=one.quantity, amount=nothing)
        for place, one in enumerate(products, start=1)
    )
    return RecordBasis(
        opportunity_id=opportunity_id,
        win_no=win_no,
        kind=ORDERED,
        external_id=order.order_ref,
        sold=sold,
        amount=order.amount,
        happened_on=order.ordered_on,
        source_event_id=order.source_event_id,
        plan_ids=(),
        now=now,
    )
