"""The decision of a dispute: what its line is of says who took part in it, and is looked up before."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chassis.application import Application
from chassis.decider import Stream
from chassis.event import frozen
from chassis.execution import Peek
from services.incentives.application.sales import rules_of_kind
from services.incentives.application.streams import disputed_and_window_reads
from services.incentives.domain.account import FUND_APPROVED, PAYMENT_APPROVED, Account, Accounts, StatementLine
from services.incentives.domain.disputing import barred
from services.incentives.domain.line_dispute import DecideDispute
from services.incentives.domain.meter import meter_of
from services.incentives.domain.payment_rules import PAYMENT
from services.incentives.domain.sale import Sale, Sales
from services.incentives.projections.earnings import TRUE_UP

CLAIMED = ("claim_approved", "claim_credited", FUND_APPROVED)
"""The kinds of statement lines that come from a claim, or an instalment of one."""
Name = tuple[str, str]
"""The kind of a stream and its id."""


@frozen
class Verdict:
    """What somebody says of the line of a statement."""

    account_id: str
    statement_id: str
    event_id: str
    outcome: str
    reason: str
    by: str


@dataclass(frozen=True)
class Origin:
    """What the line of a statement is of: the line itself, its sale and the window that it was trued up in, if there are any."""

    line: StatementLine | None
    sale: Sale | None
    window: str | None


async def deciding(app: Application, tenant: str, peek: Peek, said: Verdict) -> DecideDispute:
    """The wish to decide a dispute. Raises UnknownStatement."""
    accounts = await _accounts_of(peek, [said])
    [origin] = await _origins(app, tenant, peek, accounts, [said])
    return _decide(said, origin, app.clock.now(), await rules_of_kind(app, tenant, PAYMENT))


async def may_decide(app: Application, tenant: str, said: Sequence[Verdict]) -> list[bool]:
    """Whether somebody may decide each dispute: who took part in its line, filed it or decided it before may not.

    It asks the same few times, however many there are.
    """
    peek = app.executor.peek(tenant)
    accounts, now = await _accounts_of(peek, said), app.clock.now()
    origins = await _origins(app, tenant, peek, accounts, said)
    wishes = [_decide(one, origin, now, ()) for one, origin in zip(said, origins, strict=True)]
    needed = [disputed_and_window_reads(wish)[:-1] for wish in wishes]
    states = await _states(peek, (stream for kinds in needed for streams in kinds for stream in streams))

    def taken_part(wish: DecideDispute, kinds: tuple[Any, ...]) -> frozenset[str]:
        sales, claims, payments, meters = [[states[_name(stream)] for stream in streams] for streams in kinds]
        return barred(wish, accounts[wish.account_id], (sales, claims, payments, meters))

    return [wish.by not in taken_part(wish, kinds) for wish, kinds in zip(wishes, needed, strict=True)]


async def _accounts_of(peek: Peek, said: Sequence[Verdict]) -> dict[str, Account]:
    found = await _states(peek, (Accounts.at(one.account_id) for one in said))
    return {one.account_id: found[_name(Accounts.at(one.account_id))] for one in said}


async def _states(peek: Peek, streams: Iterable[Stream]) -> dict[Name, Any]:
    once = {_name(stream): stream for stream in streams}
    return dict(zip(once, await peek.all(once.values()), strict=True)) if once else {}


def _name(stream: Stream) -> Name:
    return stream.decider.kind, stream.identity


async def _origins(
    app: Application, tenant: str, peek: Peek, accounts: Mapping[str, Account], said: Sequence[Verdict]
) -> list[Origin]:
    """What the line of each dispute is of, from one look at the sales and one at the windows' lines."""
    lines = [_line_of(accounts[one.account_id], one) for one in said]
    sales = await _states(peek, (Sales.at(one.opportunity_id) for one in lines if one and one.opportunity_id))
    apart = sorted({one.cause for one in lines if one and not one.opportunity_id})
    earned = await app.read.get_many("earnings", tenant, apart) if apart else {}
    return [
        Origin(
            line=one,
            sale=sales[_name(Sales.at(one.opportunity_id))] if one and one.opportunity_id else None,
            window=_window_of(earned.get(one.cause)) if one and not one.opportunity_id else None,
        )
        for one in lines
    ]


def _line_of(account: Account, said: Verdict) -> StatementLine | None:
    lines = account.statement(said.statement_id).lines
    return next((one for one in lines if one.event_id == said.event_id), None)


def _decide(said: Verdict, of: Origin, now: datetime, rules: tuple[str, ...]) -> DecideDispute:
    line = of.line
    return DecideDispute(
        account_id=said.account_id,
        statement_id=said.statement_id,
        event_id=said.event_id,
        outcome=said.outcome,
        reason=said.reason,
        by=said.by,
        now=now,
        rules=rules,
        sale_ids=(line.opportunity_id,) if line and line.opportunity_id else (),
        claim_ids=_claims_of(line, of.sale) if line else (),
        payment_ids=(line.cause,) if line and line.kind == PAYMENT_APPROVED else (),
        meter_ids=(of.window,) if of.window else (),
    )


def _window_of(known: Mapping[str, Any] | None) -> str | None:
    """The window that an earning line was trued up in, if it was."""
    if known is None or known["kind"] != TRUE_UP:
        return None
    return meter_of(known["plan_id"], known["payee_id"], known["rule_id"])


def _claims_of(line: StatementLine, sale: Sale | None) -> tuple[str, ...]:
    """The claim that a line was approved in: its own cause, or of a sale's award the one for that."""
    if sale is None:
        return (line.cause.partition("/")[0],) if line.kind in CLAIMED else ()
    earned = sale.lines.get(line.cause)
    claimed = earned and sale.claimed.get((earned.key.win_no, earned.key.plan_id, earned.key.partner_id))
    return (claimed.claim_id,) if claimed else ()
