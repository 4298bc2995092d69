"""What incentives does when the others tell it something: sales are recorded, payees opened, the books kept."""

from datetime import UTC, datetime
from typing import Any

from chassis.application import Application, Reaction
from chassis.event import Seen
from chassis.execution import Peek
from contracts.attribution import CreditAllocated, DealWon, RevenueReversed, SoldLine
from contracts.gateway import TenantOpened
from contracts.onboarding import PartnerActivated, PartnerProfileChanged, PartnerReinstated, PartnerSuspended
from contracts.registration import DealApproved
from services.incentives.application import FactCommand, prepared
from services.incentives.domain.approval import RecordApproval
from services.incentives.domain.books import OpenBooks
from services.incentives.domain.payee import OpenPayee, RecordStanding, ReinstatePayee, SuspendPayee
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import RecordCredit, RecordReversal, RecordWin
from services.incentives.domain.taking import Part

FINAL = "final"


async def on_deal_won(seen: Seen, app: Application) -> None:
    """A win is a fact of its sale; it pays once its credit is final."""
    await _record(seen, app, "record_win", win_of(seen, app.clock.now()))


async def on_credit_allocated(seen: Seen, app: Application) -> None:
    """Only final credit pays."""
    if seen.event.status == FINAL:
        await _record(seen, app, "record_credit", credit_of(seen, app.clock.now()))


async def on_revenue_reversed(seen: Seen, app: Application) -> None:
    """What was earned on that part of the sale is taken back."""
    await _record(seen, app, "record_reversal", reversal_of(seen, app.clock.now()))


async def _record(seen: Seen, app: Application, name: str, wish: FactCommand) -> None:
    async def make(peek: Peek) -> FactCommand:
        return await prepared(app, seen.tenant, peek, wish)

    await app.react(seen, name, make)


def win_of(seen: Seen, now: datetime) -> RecordWin:
    """The command for a win; plans and meters are looked up later."""
    won: DealWon = seen.event
    return RecordWin(
        opportunity_id=won.opportunity_id,
        registration_id=won.registration_id,
        win_no=won.win_no,
        amount=won.amount,
        sold=tuple(_sold(line) for line in won.lines),
        deal_type=won.deal_type,
        closed_on=won.closed_on,
        backfill=won.backfill,
        source_event_id=seen.id,
        plan_ids=(),
        now=now,
        margin=won.margin,
        term=won.term,
        renews_id=won.renews_id,
    )


def _sold(line: SoldLine) -> Sold:
    return Sold(
        line_id=line.line_id, family=line.product_family, amount=line.amount, quantity=line.quantity, sku=line.sku
    )


def credit_of(seen: Seen, now: datetime) -> RecordCredit:
    """The command for a final credit revision; plans and meters are looked up later."""
    credit: CreditAllocated = seen.event
    return RecordCredit(
        opportunity_id=credit.opportunity_id,
        pool=credit.pool,
        revision=credit.revision,
        win_no=credit.win_no,
        shares=credit.shares,
        source_event_id=seen.id,
        plan_ids=(),
        now=now,
    )


def reversal_of(seen: Seen, now: datetime) -> RecordReversal:
    """The command for a reversal; plans and meters are looked up later."""
    taken: RevenueReversed = seen.event
    return RecordReversal(
        opportunity_id=taken.opportunity_id,
        win_no=taken.win_no,
        reversal_id=taken.reversal_id,
        amount=taken.amount,
        parts=tuple(Part(line_id=line.line_id, amount=line.amount) for line in taken.lines),
        reason_code=taken.reason_code,
        occurred_on=taken.occurred_on,
        source_event_id=seen.id,
        plan_ids=(),
        now=now,
    )


async def on_partner_activated(seen: Seen, app: Application) -> None:
    """A partner that does business can be paid."""
    it: PartnerActivated = seen.event
    wish = OpenPayee(partner_id=it.partner_id, revision=it.revision, now=app.clock.now())
    await app.react(seen, "open_payee", wish)
    await _region(seen, app, it.activated_at)


async def on_partner_profile_changed(seen: Seen, app: Application) -> None:
    """A partner's country is the region that modifiers look at."""
    await _region(seen, app, seen.event.changed_at)


async def _region(seen: Seen, app: Application, since: datetime) -> None:
    wish = RecordStanding(
        partner_id=seen.event.partner_id,
        field="region",
        values=(seen.event.country,),
        effective_on=since.astimezone(UTC).date(),
        source_event_id=seen.id,
        now=app.clock.now(),
    )
    await app.react(seen, "record_region", wish)


async def on_deal_approved(seen: Seen, app: Application) -> None:
    """A plan may look at the tier of the day on which the registration was approved."""
    it: DealApproved = seen.event
    wish = RecordApproval(
        registration_id=it.registration_id,
        partner_id=it.partner_id,
        approved_on=it.approved_at.astimezone(UTC).date(),
        source_event_id=seen.id,
        now=app.clock.now(),
    )
    await app.react(seen, "record_approval", wish)


async def on_tenant_opened(seen: Seen, app: Application) -> None:
    """The books are kept in the vendor's currency."""
    it: TenantOpened = seen.event
    await app.react(seen, "open_books", OpenBooks(currency=it.currency, source_event_id=seen.id, now=app.clock.now()))


async def on_partner_suspended(seen: Seen, app: Application) -> None:
    """The payee's gate follows the scopes of the suspension."""
    it: PartnerSuspended = seen.event
    wish = SuspendPayee(
        partner_id=it.partner_id,
        revision=it.revision,
        scopes=it.scopes,
        reason_code=it.reason_code,
        until=it.until,
        now=app.clock.now(),
    )
    await app.react(seen, "suspend_payee", wish)


async def on_partner_reinstated(seen: Seen, app: Application) -> None:
    """The gate opens again."""
    it: PartnerReinstated = seen.event
    wish = ReinstatePayee(partner_id=it.partner_id, revision=it.revision, now=app.clock.now())
    await app.react(seen, "reinstate_payee", wish)


REACTIONS: dict[type[Any], Reaction] = {
    DealWon: on_deal_won,
    CreditAllocated: on_credit_allocated,
    RevenueReversed: on_revenue_reversed,
    TenantOpened: on_tenant_opened,
    DealApproved: on_deal_approved,
    PartnerActivated: on_partner_activated,
    PartnerProfileChanged: on_partner_profile_changed,
    PartnerSuspended: on_partner_suspended,
    PartnerReinstated: on_partner_reinstated,
}
