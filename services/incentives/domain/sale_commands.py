"""What is asked of a sale.

A fact names the plans that may rate it, the meters that it may move, and what was looked up for it.
"""

from dataclasses import field
from datetime import date, datetime
from typing import Literal

from chassis.event import LEFT_OUT, LeftOut, command, frozen
from contracts.attribution import Share
from contracts.values import Money, Term
from services.incentives.domain.exchange import NO_BOOKS, InBooks, Rate
from services.incentives.domain.rating import Sold
from services.incentives.domain.recognition_rules import Achievement
from services.incentives.domain.sale_events import CRM
from services.incentives.domain.taking import Part


@frozen
class LookedUp:
    """What a fact's rating needs beside plans and meters: payees, budgets, and recorded rates of exchange."""

    payee_ids: tuple[str, ...] = ()
    budget_ids: tuple[str, ...] = ()
    rates: tuple[Rate, ...] = ()
    books_currency: str | None = None


@command("incentives.RecordWin.v1")
class RecordWin:
    opportunity_id: str
    registration_id: str | None = None
    win_no: int
    amount: Money
    sold: tuple[Sold, ...] = ()
    deal_type: str
    closed_on: date
    backfill: bool = False
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime
    margin: Money | None = None
    term: Term | None = None
    renews_id: str | None = None
    chain_started_on: date | None = None
    approved_on: date | None = None
    parties: dict[str, str] = field(default_factory=dict)
    looked_up: LookedUp = LookedUp()
    achievement: Achievement | LeftOut = LEFT_OUT


@command("incentives.RecordBasis.v1")
class RecordBasis:
    """What happened to a won sale later; without an amount it is quarantined, never counted as nothing."""

    opportunity_id: str
    win_no: int = 1
    kind: str
    external_id: str
    sold: tuple[Sold, ...] = ()
    line_id: str | None = None
    quantity: int = 1
    amount: Money | None = None
    happened_on: date
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime
    looked_up: LookedUp = LookedUp()


@command("incentives.RecordCredit.v1")
class RecordCredit:
    opportunity_id: str
    pool: str
    revision: int
    win_no: int | None = None
    shares: tuple[Share, ...]
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime
    looked_up: LookedUp = LookedUp()


@command("incentives.RecordReversal.v1")
class RecordReversal:
    opportunity_id: str
    win_no: int
    reversal_id: str
    amount: Money
    parts: tuple[Part, ...] = ()
    reason_code: str
    occurred_on: date
    source_event_id: str
    plan_ids: tuple[str, ...]
    meter_ids: tuple[str, ...] = ()
    now: datetime
    unearned_months: int | None = None
    term_months: int | None = None
    source: str = CRM
    looked_up: LookedUp = LookedUp()
    fact_kind: str | LeftOut = LEFT_OUT


@command("incentives.ResolveFact.v1")
class ResolveFact:
    """Rates again what was quarantined. With `dropped` it needs no line."""

    opportunity_id: str
    win_no: int
    plan_id: str
    fact_id: str | None = None
    dropped: bool = False
    by: str
    plan_ids: tuple[str, ...] = ()
    meter_ids: tuple[str, ...] = ()
    now: datetime
    looked_up: LookedUp = LookedUp()


@command("incentives.DecideSpiffClaim.v1")
class DecideSpiffClaim:
    """Decides a claim for a SPIFF. What is approved is earned as what any fact earns: it names plans, meters and budgets."""

    claim_id: str
    opportunity_id: str
    win_no: int
    plan_id: str
    partner_id: str
    claimant_id: str
    outcome: Literal["approved", "denied", "returned"]
    reason: str
    by: str
    plan_ids: tuple[str, ...] = ()
    meter_ids: tuple[str, ...] = ()
    now: datetime
    looked_up: LookedUp = LookedUp()


@command("incentives.AdjustLine.v1")
class AdjustLine:
    """Proposes to correct a line by an amount, above or below zero."""

    opportunity_id: str
    line_id: str
    adjustment_id: str
    amount: Money
    reason: str
    by: str
    now: datetime


@command("incentives.ConfirmAdjustment.v1")
class ConfirmAdjustment:
    """`books` are as they are on the day: a line of nothing has no rate of its own."""

    opportunity_id: str
    line_id: str
    adjustment_id: str
    by: str
    now: datetime
    books: InBooks = NO_BOOKS


@command("incentives.ReleaseLine.v1")
class ReleaseLine:
    opportunity_id: str
    line_id: str
    now: datetime


@command("incentives.PostponeLine.v1")
class PostponeLine:
    """`payment_ids` are the payments that pay the line, as its account says; `paid`: all that is known of it is that."""

    opportunity_id: str
    line_id: str
    until: date
    reason: str
    by: str
    now: datetime
    payment_ids: tuple[str, ...] = ()
    paid: bool = False


FactCommand = RecordWin | RecordBasis | RecordCredit | RecordReversal | ResolveFact
