"""The decision of a dispute: what its line is of says who took part in it, and is looked up before."""

from chassis.application import Application
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


@frozen
class Verdict:
    """What somebody says of the line of a statement."""

    account_id: str
    statement_id: str
    event_id: str
    outcome: str
    reason: str
    by: str


async def deciding(app: Application, tenant: str, peek: Peek, said: Verdict) -> DecideDispute:
    """The wish to decide a dispute. Raises UnknownStatement."""
    account: Account = await peek(Accounts.at(said.account_id))
    lines = account.statement(said.statement_id).lines
    line = next((one for one in lines if one.event_id == said.event_id), None)
    sale: Sale | None = await peek(Sales.at(line.opportunity_id)) if line and line.opportunity_id else None
    return DecideDispute(
        account_id=said.account_id,
        statement_id=said.statement_id,
        event_id=said.event_id,
        outcome=said.outcome,
        reason=said.reason,
        by=said.by,
        now=app.clock.now(),
        rules=await rules_of_kind(app, tenant, PAYMENT),
        sale_ids=(line.opportunity_id,) if line and line.opportunity_id else (),
        claim_ids=_claims_of(line, sale) if line else (),
        payment_ids=(line.cause,) if line and line.kind == PAYMENT_APPROVED else (),
        meter_ids=await _windows_of(app, tenant, line) if line else (),
    )


async def may_decide(app: Application, tenant: str, said: Verdict) -> bool:
    """Whether somebody may decide a dispute: who took part in its line, filed it or decided it before may not."""
    peek = app.executor.peek(tenant)
    wish = await deciding(app, tenant, peek, said)
    sales, claims, payments, meters, _ = disputed_and_window_reads(wish)
    of = [[await peek(one) for one in streams] for streams in (sales, claims, payments, meters)]
    return said.by not in barred(wish, await peek(Accounts.at(said.account_id)), (of[0], of[1], of[2], of[3]))


async def _windows_of(app: Application, tenant: str, line: StatementLine) -> tuple[str, ...]:
    """The window that a line was trued up in, if it was."""
    known = await app.read.get("earnings", tenant, line.cause) if line.opportunity_id is None else None
    if known is None or known["kind"] != TRUE_UP:
        return ()
    return (meter_of(known["plan_id"], known["payee_id"], known["rule_id"]),)


def _claims_of(line: StatementLine, sale: Sale | None) -> tuple[str, ...]:
    """The claim that a line was approved in: its own cause, or of a sale's award the one for that."""
    if sale is None:
        return (line.cause.partition("/")[0],) if line.kind in CLAIMED else ()
    earned = sale.lines.get(line.cause)
    claimed = earned and sale.claimed.get((earned.key.win_no, earned.key.plan_id, earned.key.partner_id))
    return (claimed.claim_id,) if claimed else ()
