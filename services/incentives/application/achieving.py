"""What is paid for although nothing is sold by it: a registered deal, a converted lead. Each is a sale without money.

It is kept only where a published plan pays for it, and taken back when its deal comes to nothing.
"""

from datetime import date, datetime
from itertools import product

from chassis.application import Application
from chassis.event import frozen, iso, stable_id
from chassis.rulebook import Rulebook, Rules
from contracts.attribution import Share
from contracts.values import HUNDRED, OpportunityId, PartnerId, ProductLine, none_of
from services.incentives.application.sales import rules_of_kind
from services.incentives.domain.approval import DealEndRecorded, RecordDealEnd
from services.incentives.domain.choice import read_plan
from services.incentives.domain.plan import EVENT, PLAN, SOURCED, UNSOLD
from services.incentives.domain.rating import Sold
from services.incentives.domain.recognition_rules import Achievement
from services.incentives.domain.sale import MONTH_CHARACTERS, Sale, Sales
from services.incentives.domain.sale_commands import RecordCredit, RecordReversal, RecordWin
from services.incentives.domain.sale_events import WinRecorded


@frozen
class Unsold:
    """An achievement that plans may pay for: whose, on which day, of which deal if there is one, for which products."""

    achievement: Achievement
    ref: str
    registration_id: str | None
    partner_id: str
    deal_type: str = "new"
    products: tuple[ProductLine, ...] = ()
    on: date
    source_event_id: str

    @property
    def sale_id(self) -> str:
        return unsold_id(self.achievement, self.ref)


def unsold_id(achievement: Achievement, ref: str) -> str:
    """The id of the sale that an achievement is kept as; `ref` is its deal, or the lead where no deal came of it."""
    return stable_id(achievement, ref)


async def currencies_paid(app: Application, tenant: str) -> dict[Achievement, str]:
    """What is paid for, each in the currency of the first plan that does, or ever did."""
    peek = app.executor.peek(tenant)
    found: dict[Achievement, str] = {}
    for plan_id in await rules_of_kind(app, tenant, PLAN):
        book: Rulebook = await peek(Rules.at(plan_id))
        plans = [read_plan(one.body) for one in book.versions if one.body.get("basis") == EVENT]
        for achievement, plan in product(UNSOLD, plans):
            if plan.pays_for(achievement):
                found.setdefault(achievement, plan.currency)
    return found


async def kept_as(app: Application, tenant: str, achievement: Achievement, ref: str) -> Sale:
    """The sale that it is kept as; an empty one where it is not."""
    sale: Sale = await app.executor.peek(tenant)(Sales.at(unsold_id(achievement, ref)))
    return sale


def achieved(it: Unsold, currency: str, now: datetime) -> tuple[RecordWin, RecordCredit]:
    """The commands that keep an achievement, wholly its partner's; plans and meters are looked up later."""
    products = it.products or (ProductLine(family=""),)
    sold = tuple(
        Sold(line_id=str(place), family=one.family, sku=one.sku, quantity=one.quantity, amount=none_of(currency))
        for place, one in enumerate(products, start=1)
    )
    won = RecordWin(
        opportunity_id=OpportunityId(it.sale_id),
        registration_id=it.registration_id,
        win_no=1,
        amount=none_of(currency),
        sold=sold,
        deal_type=it.deal_type,
        closed_on=it.on,
        source_event_id=it.source_event_id,
        plan_ids=(),
        now=now,
        achievement=it.achievement,
    )
    month = iso(it.on)[:MONTH_CHARACTERS]
    whole = Share(partner_id=PartnerId(it.partner_id), role="source", percent=HUNDRED, from_month=month)
    return won, _credit(won, whole)


def _credit(won: RecordWin, whole: Share) -> RecordCredit:
    return RecordCredit(
        opportunity_id=won.opportunity_id,
        pool=SOURCED,
        revision=1,
        win_no=won.win_no,
        shares=(whole,),
        source_event_id=won.source_event_id,
        plan_ids=(),
        now=won.now,
    )


def again(sale: Sale, source_event_id: str, now: datetime) -> list[RecordWin | RecordCredit]:
    """The commands that keep once more, as of its own day, what was taken back; none where it stands."""
    if not sale.wins:
        return []
    last = sale.wins[max(sale.wins)]
    if not sale.credit_of(last.win_no):
        return [_credit(_once_more(sale.wins[last.win_no - 1], source_event_id, now), _share_of(sale))]
    if not sale.reversals_of(last.win_no):
        return []
    won = _once_more(last, source_event_id, now)
    return [won, _credit(won, _share_of(sale))]


def _once_more(last: WinRecorded, source_event_id: str, now: datetime) -> RecordWin:
    return RecordWin(
        opportunity_id=last.opportunity_id,
        registration_id=last.registration_id,
        win_no=last.win_no + 1,
        amount=last.amount,
        sold=last.sold,
        deal_type=last.deal_type,
        closed_on=last.credited_on,
        source_event_id=source_event_id,
        plan_ids=(),
        now=now,
        achievement=last.achievement,
    )


def _share_of(sale: Sale) -> Share:
    """The one share that all its credits have."""
    [credit] = sale.credit_of(1)
    return credit.shares[0]


def gone(sale: Sale, ended: RecordDealEnd | DealEndRecorded, now: datetime) -> RecordReversal | None:
    """The command that takes it back with its deal; None where nothing stands."""
    last = sale.wins[max(sale.wins)] if sale.wins else None
    if last is None or sale.reversals_of(last.win_no):
        return None
    return RecordReversal(
        opportunity_id=last.opportunity_id,
        win_no=last.win_no,
        reversal_id=ended.source_event_id,
        amount=last.amount,
        reason_code=ended.reason_code,
        occurred_on=ended.happened_on,
        source_event_id=ended.source_event_id,
        plan_ids=(),
        now=now,
    )
