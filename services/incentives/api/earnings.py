"""Earning lines, sales and the ledger over HTTP."""

from decimal import Decimal
from typing import Annotated, Any, TypedDict

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import Field

from chassis.access import PARTNER
from chassis.answers import Page, answers
from chassis.decider import NotFound, WrongState
from chassis.event import iso
from chassis.execution import Peek
from chassis.http import App, Body, Caller, Day, Paged, Reader, Writer, listed, page, perform, reads, shown
from chassis.identity import Principal
from chassis.read_store.port import Contains, Range, each
from services.incentives.access import READ_DISPUTED, READ_EARNINGS, READ_LEDGER, READ_OWN_PAY, READ_SALES, READ_TOTALS
from services.incentives.api.narrowing import Currency, Filter, Month, Sort, sorted_by
from services.incentives.application.answers import LineAnswer
from services.incentives.application.books import with_months
from services.incentives.application.paying import paying
from services.incentives.application.taken_back import ShownSale, taken_back
from services.incentives.domain.meter import PostponeTrueUp, meter_of
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.sale_commands import PostponeLine
from services.incentives.projections.earnings import TRUE_UP, EarningDocument, for_partner
from services.incentives.projections.ledger import BalanceDocument, JournalDocument, TrialDocument
from services.incentives.projections.missed_awards import MissedAward
from services.incentives.projections.payee_gates import under_own_partner
from services.incentives.projections.sales import SaleDocument, concerned, why_waiting

Id = Annotated[str, Path(min_length=1, max_length=64)]

router = APIRouter(tags=["earnings"])


class PostponeBody(Body):
    """Hold the line until a later day, at most 180 days from today."""

    until: Day
    reason: Annotated[str, Field(min_length=1, max_length=500)]


Whose = tuple[str, ...] | None
"""The partners whose rows are listed; None for all."""


def own(caller: Reader, partner_id: str | None) -> Whose:
    """Whose rows a caller may list: a partner only its own and those of who it absorbed, whatever it asks for."""
    return caller.principal.partner_ids if caller.principal.kind == PARTNER else named(partner_id)


def named(partner_id: str | None) -> Whose:
    """The rows of a partner, all of them where none is named."""
    return None if partner_id is None else (partner_id,)


def only_payee(caller: Reader, app: App) -> str | None:
    """The payee whose pay the caller may see: itself, a partner's person who may not see its partner's; None: all.

    Raises Forbidden.
    """
    if app.access.allows(caller.principal, READ_EARNINGS):
        return None
    app.access.check(caller.principal, READ_OWN_PAY)
    return caller.principal.by


def arbiter_alone(caller: Reader, app: App) -> bool:
    """Whether the caller reads what is disputed, and no other earnings."""
    allows = app.access.allows
    return allows(caller.principal, READ_DISPUTED) and not allows(caller.principal, READ_EARNINGS)


def earned_at(caller: Reader, payee_id: str | None, partner_id: str | None) -> Whose:
    """The partner at which a caller may list what was earned: the only payee that it may know of is itself, anywhere."""
    return named(partner_id) if payee_id is not None else own(caller, partner_id)


def shown_to(payee_id: str | None, found: dict[str, Any]) -> dict[str, Any]:
    """The document, if it is about the only payee that the caller may know of. Raises NotFound."""
    if payee_id is not None and found["payee_id"] != payee_id:
        raise NotFound
    return found


def as_read_by(principal: Principal, line: dict[str, Any]) -> dict[str, Any]:
    """The line as the vendor reads it, or as its partner does."""
    return for_partner(line) if principal.kind == PARTNER else line


async def line_filter(  # noqa: PLR0913, PLR0917  a filter a parameter
    partner_id: Filter = None,
    payee_id: Filter = None,
    opportunity_id: Filter = None,
    registration_id: Filter = None,
    kind: Filter = None,
    state: Filter = None,
    period: Filter = None,
    currency: Currency = None,
) -> dict[str, str | None]:
    """Narrows a list of lines. State: held, payable, reversed, paid; period: the month it was earned in.

    Kind: commission, spiff, true_up, rebate.
    """
    return {
        "partner_id": partner_id,
        "payee_id": payee_id,
        "opportunity_id": opportunity_id,
        "registration_id": registration_id,
        "kind": kind,
        "state": state,
        "period": period,
        "currency": currency,
    }


LineFilter = Annotated[dict[str, str | None], Depends(line_filter)]


@router.get("/lines")
@answers(Page[EarningDocument])
@reads("earnings")
async def list_lines(caller: Reader, app: App, paged: Paged, narrowed: LineFilter, sort: Sort = "-date") -> Response:
    """Earning lines, by the day they were earned on or by amount; a partner's own only, a person's likewise."""
    only = only_payee(caller, app)
    earned = earned_at(caller, only, narrowed["partner_id"])
    where = {**narrowed, "partner_id": earned, "payee_id": only or narrowed["payee_id"]}
    items, cursor = await page(caller, app, "earnings", paged, where, sorted_by(sort, "earned_on"))
    return listed([as_read_by(caller.principal, item) for item in items], cursor)


@router.get("/lines/{line_id}")
@answers(EarningDocument)
@reads("earnings")
async def one_line(line_id: Id, caller: Reader, app: App) -> Response:
    """One line with its derivation, dates, and why it is held; for who decides disputes, one that is disputed."""
    if arbiter_alone(caller, app):
        return shown(await _disputed(caller, app, line_id))
    only = only_payee(caller, app)
    if only is None:
        return shown(as_read_by(caller.principal, await app.document(caller.principal, "earnings", line_id)))
    found = await app.read.get("earnings", caller.tenant, line_id)
    if found is None:
        raise NotFound
    return shown(as_read_by(caller.principal, shown_to(only, found)))


async def _disputed(caller: Reader, app: App, line_id: str) -> dict[str, Any]:
    """A line that a dispute is about. Raises NotFound for every other."""
    line = await app.read.get("earnings", caller.tenant, line_id)
    if line is None:
        raise NotFound
    await app.caught_up("disputes")
    async for one in each(app.read, "disputes", caller.tenant, {"partner_id": line["partner_id"]}, "-changed_at"):
        statement = await app.read.get("statements", caller.tenant, one["statement_id"])
        stated = statement["lines"] if statement else ()
        if any((it["event_id"], it["cause"]) == (one["event_id"], line_id) for it in stated):
            return line
    raise NotFound


@router.post("/lines/{line_id}/postpone")
@answers(LineAnswer)
async def postpone(line_id: Id, body: PostponeBody, caller: Writer, app: App) -> Response:
    """Holds a line until a later day."""
    app.access.check(caller.principal, PostponeLine)
    line = await app.document(caller.principal, "earnings", line_id)
    if line["kind"] == TRUE_UP:
        window = meter_of(line["plan_id"], line["payee_id"], line["rule_id"])
        return await _postponed(line, body, caller, app, PostponeTrueUp, meter_id=window)
    if line["opportunity_id"] is None:
        raise WrongState("a rebate is paid when it is settled", state=line["state"], allowed=[])
    return await _postponed(line, body, caller, app, PostponeLine, opportunity_id=line["opportunity_id"])


async def _postponed(
    line: dict[str, Any], body: PostponeBody, caller: Writer, app: App, action: type[Any], **where: str
) -> Response:
    async def make(peek: Peek) -> Any:
        said = {"until": body.until, "reason": body.reason, "by": caller.principal.by, "now": app.clock.now()}
        return action(**where, line_id=line["line_id"], **said, **await paying(peek, line))

    return await perform(caller, app, action, make, partner_id=line["partner_id"])


@router.get("/sales")
@answers(Page[SaleDocument])
@reads("sales")
async def list_sales(caller: Reader, app: App, paged: Paged, registration_id: Filter = None) -> Response:
    """What is known of each sale, and what it waits for."""
    app.access.check(caller.principal, READ_SALES)
    return listed(*await page(caller, app, "sales", paged, {"registration_id": registration_id}, sort="-changed_at"))


class ShownWaiting(TypedDict):
    """A fact that waits, since when and why. For the vendor with whose shares wait, where that is known."""

    win_no: int
    plan_id: str
    fact_id: str | None
    reason_code: str
    why: str
    since: str
    partner_ids: list[str] | None
    event_id: str


class WaitingSale(TypedDict):
    """A sale of which something cannot be rated."""

    opportunity_id: str
    registration_id: str | None
    waiting: list[ShownWaiting]


@router.get("/missed-awards")
@answers(Page[MissedAward])
@reads("missed_awards")
async def missed_awards(caller: Reader, app: App, paged: Paged, partner_id: Filter = None) -> Response:
    """Sales that earned nothing under a plan because its budget had nothing left, each with why; a partner its own."""
    app.access.check(caller.principal, READ_EARNINGS)
    where = {"partner_id": own(caller, partner_id)}
    return listed(*await page(caller, app, "missed_awards", paged, where, sort="-missed_at"))


@router.get("/waiting-facts")
@answers(Page[WaitingSale])
@reads("sales")
async def waiting_facts(caller: Reader, app: App, paged: Paged, partner_id: Filter = None) -> Response:
    """Sales of which something cannot be rated, each with what waits and why; a partner sees what its own shares wait for."""
    app.access.check(caller.principal, READ_EARNINGS)
    whose = own(caller, partner_id)
    where = {"waits": 1, "waiting_partner_ids": Contains.any_of(whose) if whose else None}
    items, cursor = await page(caller, app, "sales", paged, where, sort="-changed_at")
    return listed([_waiting(caller, item, whose) for item in items], cursor)


def _waiting(caller: Caller, sale: Any, whose: Whose) -> dict[str, Any]:
    found = []
    for one in sale["waiting"]:
        whom = concerned(sale, one)
        if whose is None or any(one in whom for one in whose):
            told = None if caller.principal.kind == "partner" else whom
            found.append({**one, "why": why_waiting(one["reason_code"]), "partner_ids": told})
    return {"opportunity_id": sale["opportunity_id"], "registration_id": sale["registration_id"], "waiting": found}


@router.get("/sales/{opportunity_id}")
@answers(ShownSale)
@reads("sales")
async def one_sale(opportunity_id: Id, caller: Reader, app: App) -> Response:
    """One sale: wins, credits, lines, and what each reversal took of which line."""
    app.access.check(caller.principal, READ_SALES)
    found: Any = await app.document(caller.principal, "sales", opportunity_id)
    state: Sale = await app.executor.peek(caller.tenant)(Sales.at(opportunity_id))
    return shown({**found, "taken_back": taken_back(found, state)})


async def journal_filter(
    partner_id: Filter = None,
    payee_id: Filter = None,
    currency: Currency = None,
    position: Annotated[int | None, Query(ge=0, le=1 << 53)] = None,
) -> dict[str, Any]:
    """Narrows the ledger by partner (its people included), payee and currency, and to a position of the log."""
    named = {"partner_id": partner_id, "payee_id": payee_id, "currency": currency}
    return {**named, "position": None if position is None else Range(below=position + 1)}


JournalFilter = Annotated[dict[str, Any], Depends(journal_filter)]


class ShownJournal(JournalDocument):
    """A journal with the month in which it counts: that of `booked_on`, or the first open one where that was closed before."""

    counts_in: str


@router.get("/ledger")
@answers(Page[ShownJournal])
@reads("ledger")
async def list_journals(
    caller: Reader, app: App, paged: Paged, narrowed: JournalFilter, period: Month = None, as_of: Day | None = None
) -> Response:
    """Balanced journals in the order they were posted; `period` is the month they were booked in.

    With `as_of` those that were booked until a day, with `position` those that the log held at a position.
    """
    app.access.check(caller.principal, READ_LEDGER)
    ends = [f"{period}-32"] if period else []
    ends += [f"{iso(as_of)}~"] if as_of else []
    booked = Range(at_least=f"{period}-01" if period else None, below=min(ends)) if ends else None
    items, cursor = await page(caller, app, "ledger", paged, {**narrowed, "booked_on": booked}, sort="position")
    return listed(await with_months(app.executor.peek(caller.tenant), items), cursor)


class Balances(TypedDict):
    """The trial balance of each currency, whose total is zero, and a part of the accounts of the payees."""

    trial_balance: list[TrialDocument]
    items: list[BalanceDocument]
    next_cursor: str | None


class Totals(TypedDict):
    """What is owed and was paid in one currency, above zero, and what it cost; of whom is not said."""

    currency: str
    held: str
    payable: str
    in_payment: str
    paid: str
    accrued: str
    withheld: str
    expense: str


@router.get("/ledger/totals")
@answers(Page[Totals])
@reads("trial_balance")
async def totals(caller: Reader, app: App) -> Response:
    """What all partners together are owed, were paid and cost, in each currency."""
    app.access.check(caller.principal, READ_TOTALS)
    trial = await app.read.find("trial_balance", caller.tenant, sort="currency", limit=200)
    return listed([_totals(one) for one in trial.items], None)


def _totals(trial: dict[str, Any]) -> dict[str, str]:
    """The books have debts below zero."""
    credits = {"paid": "cash", **{name: name for name in ("held", "payable", "in_payment", "accrued", "withheld")}}
    owed = {name: str(0 - Decimal(trial[account])) for name, account in credits.items()}
    return {"currency": trial["currency"], **owed, "expense": trial["expense"]}


@router.get("/ledger/balances")
@answers(Balances)
@reads("balances", "trial_balance", "payee_gates")
async def balances(caller: Reader, app: App, paged: Paged, payee_id: Filter = None) -> Response:
    """The trial balance of each currency (its total is zero), and the accounts of each payee."""
    app.access.check(caller.principal, READ_LEDGER)
    trial = await app.read.find("trial_balance", caller.tenant, sort="currency", limit=200)
    items, cursor = await page(caller, app, "balances", paged, {"payee_id": payee_id}, sort="account_id")
    mine = await under_own_partner(app.read, caller.tenant, items)
    body: dict[str, Any] = {"trial_balance": trial.items, "items": mine, "next_cursor": cursor}
    return shown(body)
