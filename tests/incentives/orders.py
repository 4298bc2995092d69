"""Statements and payments as tests write them: one payee, euros, March 2026 stated in April."""

from datetime import UTC, date, datetime
from typing import Any

from chassis.testing.kit import given
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.account import (
    Accounts,
    IssueStatement,
    StatementIssued,
    StatementLine,
    issue_statement,
)
from services.incentives.domain.payee import Payees
from services.incentives.domain.payee_events import PayeeOpened, PayeeSuspended
from services.incentives.domain.payment import Payments, payment_id, reference_of
from services.incentives.domain.payment_commands import (
    ApprovePayment,
    DeclinePayment,
    ProposePayment,
    ReportOutcome,
    ResumePayment,
    RetryPayment,
    SubmitPayment,
)

NOW = datetime(2026, 4, 3, 9, tzinfo=UTC)
TABLE = {handles.command: handles for handles in HANDLES}
ACCOUNT = "p1-EUR"
PAYMENT = payment_id(ACCOUNT, 1)
OPENED = PayeeOpened(payee_id="p1", partner_id="p1", revision=1, opened_at=NOW)
SUSPENDED = PayeeSuspended(
    payee_id="p1", partner_id="p1", revision=2, scopes=("payouts",), reason_code="audit", until=None, suspended_at=NOW
)


def line(amount: str, position: int, kind: str = "released") -> StatementLine:
    return StatementLine(
        event_id=f"e{position}",
        position=position,
        kind=kind,
        cause=f"line-{position}",
        opportunity_id="o1",
        amount=money(amount, "EUR"),
        effective_on=date(2026, 3, 20),
    )


def statement(*lines: StatementLine, **changes: Any) -> IssueStatement:
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "payee_id": "p1",
        "partner_id": "p1",
        "currency": "EUR",
        "period": "2026-03",
        "from_position": 0,
        "to_position": lines[-1].position if lines else 0,
        "lines": lines,
        "by": "fin-1",
        "now": NOW,
    }
    return IssueStatement(**{**fields, **changes})


def issued(*lines: StatementLine, history: tuple[Any, ...] = (), **changes: Any) -> StatementIssued:
    [happened] = issue_statement(statement(*lines, **changes), Accounts.fold(history))
    assert isinstance(happened, StatementIssued)
    return happened


def proposal(stated: StatementIssued, released: str = "100.00", **changes: Any) -> ProposePayment:
    fields: dict[str, Any] = {
        "payment_id": payment_id(ACCOUNT, stated.number),
        "account_id": ACCOUNT,
        "statement_id": stated.statement_id,
        "released": money(released, "EUR"),
        "released_position": 9,
        "by": "fin-1",
        "now": NOW,
    }
    return ProposePayment(**{**fields, **changes})


def said(outcome: str, *, attempt: int = 1, provider_event_id: str = "pe-1", **changes: Any) -> ReportOutcome:
    fields: dict[str, Any] = {
        "payment_id": PAYMENT,
        "account_id": ACCOUNT,
        "reference": reference_of(PAYMENT, attempt),
        "outcome": outcome,
        "provider_event_id": provider_event_id,
        "on": date(2026, 4, 3),
        "now": NOW,
    }
    return ReportOutcome(**{**fields, **changes})


APPROVE = ApprovePayment(payment_id=PAYMENT, payee_id="p1", by="fin-2", now=NOW)
SUBMIT = SubmitPayment(payment_id=PAYMENT, payee_id="p1", account_id=ACCOUNT, by="fin-1", now=NOW)
RESUME = ResumePayment(payment_id=PAYMENT, payee_id="p1", by="fin-1", now=NOW)
RETRY = RetryPayment(payment_id=PAYMENT, by="fin-1", now=NOW)
DECLINE = DeclinePayment(payment_id=PAYMENT, account_id=ACCOUNT, category="fraud", by="fin-2", now=NOW)


class Desk:
    """One account with its payments, which decides commands in turn on all that happened before."""

    def __init__(self, *lines: StatementLine, payee: tuple[Any, ...] = (OPENED,)) -> None:
        self.payee = list(payee)
        self.account: list[Any] = [issued(*(lines or (line("100.00", 5),)))]
        self.payment: list[Any] = []

    def asks(self, wish: Any) -> Any:
        """The verdict on a command; what it decided has happened."""
        payment, account = (Payments.at(PAYMENT), self.payment), (Accounts.at(ACCOUNT), self.account)
        when = given(TABLE[type(wish)], payment, account, (Payees.at("p1"), self.payee)).when(wish)
        if when.verdict.refusal is None:
            self.payment += when.verdict.events[0]
            self.account += when.verdict.events[1] if len(when.verdict.events) > 1 else []
        return when

    def after(self, *wishes: Any) -> "Desk":
        for wish in wishes:
            verdict = self.asks(wish).verdict
            assert verdict.refusal is None, verdict.refusal
        return self

    @property
    def stage(self) -> str:
        return Payments.fold(self.payment).stage.value

    @property
    def proposed(self) -> ProposePayment:
        return proposal(self.account[0])
