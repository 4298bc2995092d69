"""An account that lives long goes on in segments, and nobody outside can tell."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from chassis.event import LEFT_OUT, decode, encode
from chassis.segments import SEGMENT_EVENTS
from chassis.testing.projections import told
from chassis.verify import verify_decisions
from contracts.samples import sample
from contracts.values import money
from services.incentives.domain.account import (
    FUND_APPROVED,
    PAYMENT_APPROVED,
    Account,
    AccountCarried,
    Accounts,
    InvoiceNoted,
    PaymentClosed,
    PaymentOpened,
    StatementScheduled,
    WriteOffNegative,
    WriteOffProposed,
    carry,
    issue_statement,
)
from services.incentives.domain.disputing import DisputeLate, UnknownLine, dispute_line
from services.incentives.domain.drawing import due
from services.incentives.domain.line_dispute import (
    CorrectionAsked,
    DisputeAppealed,
    DisputeDecided,
    DisputeHeard,
    DisputeLine,
    DisputeWithdrawn,
    LineDisputed,
)
from services.incentives.domain.payment import payment_id
from tests.incentives.orders import ACCOUNT, NOW, issued, line, statement
from tests.incentives.test_service import FINANCE, P1, earned, incentives

__all__ = ["incentives"]


def eur(amount: str) -> Any:
    return money(amount, "EUR")


def paid_months() -> list[Any]:
    """March with fund money was paid, May states what that drew, June is a month later and not paid."""
    march = issued(line("100.00", 5), line("40.00", 6, FUND_APPROVED))
    drawn = replace(line("-140.00", 8, PAYMENT_APPROVED), cause=payment_id(ACCOUNT, 1))
    may = issued(
        drawn, line("30.00", 9), history=(march,), period="2026-05", from_position=6, to_position=9, now=at(6, 3)
    )
    june = issued(
        line("7.00", 11), history=(march, may), period="2026-06", from_position=9, to_position=11, now=at(7, 3)
    )
    return [march, *draws(march.statement_id, 1, "140.00", "40.00"), may, *draws(may.statement_id, 2, "30.00"), june]


def at(month: int, day: int) -> datetime:
    return datetime(2026, month, day, 9, tzinfo=UTC)


def draws(statement_id: str, number: int, amount: str, fund: str | None = None) -> list[Any]:
    named = {"account_id": ACCOUNT, "payment_id": payment_id(ACCOUNT, number)}
    opened = PaymentOpened(
        **named, statement_id=statement_id, amount=eur(amount), opened_at=NOW, fund=eur(fund) if fund else None
    )
    return [opened, PaymentClosed(**named, paid=True, closed_at=NOW)]


def disputed(event_id: str, statement_id: str) -> LineDisputed:
    return LineDisputed(
        account_id=ACCOUNT,
        partner_id="p1",
        statement_id=statement_id,
        event_id=event_id,
        amount=eur("100.00"),
        reason="wrong",
        disputed_by="per",
        disputed_at=NOW,
    )


def carried(account: Account) -> Account:
    """The account as the next segment reads it from the log."""
    [stored] = [carry(account)]
    return Accounts.fold([decode("incentives.AccountCarried.v1", encode(stored))])


def test_everything_that_an_account_knows_is_carried() -> None:
    march = issued(line("100.00", 5), line("9.00", 6))
    named = {"account_id": ACCOUNT, "partner_id": "p1"}
    scheduled = StatementScheduled(
        **named,
        payee_id="p1",
        period="2026-04",
        issues_on=NOW.date(),
        review_until=NOW.date(),
        pay_by=NOW.date(),
        available_on=NOW.date(),
        scheduled_at=NOW,
    )
    decided = DisputeDecided(
        **named,
        statement_id=march.statement_id,
        event_id="e6",
        outcome="rejected",
        reason="right",
        decided_by="fin",
        decided_at=NOW,
    )
    noted = InvoiceNoted(account_id=ACCOUNT, number="17", payment_id="y1", noted_at=NOW)
    off = WriteOffProposed(**named, amount=eur("3.00"), reason="small", proposed_by="fin", proposed_at=NOW)
    opened = draws(march.statement_id, 1, "109.00")[0]
    gone = decode("incentives.BalanceTransferred.v1", sample("incentives.BalanceTransferred.v1"))
    history = [march, scheduled, opened, noted, disputed("e5", march.statement_id), disputed("e6", march.statement_id)]
    asked = CorrectionAsked(
        **named, statement_id=march.statement_id, event_id="e4", line_id="l4", times=1, due_at=NOW, asked_at=NOW
    )
    account = Accounts.fold([*history, decided, off, gone, asked])
    assert all(value for name, value in vars(account).items() if name != "shortened")
    assert carried(account) == account


def test_where_each_dispute_stands_is_carried() -> None:
    march = issued(line("100.00", 5), line("40.00", 6), line("30.00", 7), line("20.00", 8))
    lines = {
        name: {"account_id": ACCOUNT, "partner_id": "p1", "statement_id": march.statement_id, "event_id": name}
        for name in ("e5", "e6", "e7")
    }
    history: list[Any] = [
        march,
        *(replace(disputed(name, march.statement_id), due_at=NOW, evidence=()) for name in lines),
    ]
    assert carry(Accounts.fold(history)).cases is LEFT_OUT, "what stands at its beginning is not told twice"
    history += [
        DisputeHeard(**lines["e5"], due_at=at(4, 9), heard_at=NOW),
        DisputeDecided(**lines["e6"], outcome="upheld", reason="so", decided_by="fay", decided_at=NOW, due_at=at(5, 1)),
        DisputeAppealed(**lines["e6"], statement="no", due_at=at(5, 3), appealed_by="per", appealed_at=NOW),
        DisputeWithdrawn(**lines["e7"], withdrawn_by="per", withdrawn_at=NOW),
    ]
    account = Accounts.fold(history)
    assert [(name, one.case.stage.value, one.case.due_at) for name, one in account.disputes.items()] == [
        ("e5", "under_review", at(4, 9)),
        ("e6", "appealed", at(5, 3)),
    ]
    assert carried(account) == account
    assert carried(account).disputes["e6"].case.barred == ("per", "fay")


def test_of_what_was_paid_long_ago_the_lines_are_carried_that_decisions_look_at() -> None:
    account = Accounts.fold(paid_months())
    after = carried(account)
    kinds = [[one.kind for one in stated.lines] for stated in after.statements]
    assert kinds == [[FUND_APPROVED], [PAYMENT_APPROVED, "released"], ["released"]]
    assert after.shortened == {after.statements[0].statement_id}
    assert carried(after) == after
    assert [stated.closing for stated in after.statements] == [stated.closing for stated in account.statements]


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_can_be_paid_of_each_statement_is_the_same_after_a_segment(number: int) -> None:
    account = Accounts.fold(paid_months())
    stated = account.statements[number]
    sums = (eur("177.00"), eur("40.00"))
    assert due(carried(account).statements[number], carried(account), *sums) == due(stated, account, *sums)


def test_the_chain_of_statements_goes_on_over_a_segment() -> None:
    account = Accounts.fold(paid_months())
    wish = statement(line("1.00", 13), period="2026-07", from_position=11, to_position=13, now=at(8, 3))
    assert issue_statement(wish, carried(account)) == issue_statement(wish, account)


@pytest.mark.parametrize(("event_id", "refusal"), [("e5", DisputeLate), ("e6", DisputeLate)])
def test_a_line_of_a_shortened_statement_is_disputed_too_late_as_before(event_id: str, refusal: type[Any]) -> None:
    account = Accounts.fold(paid_months())
    wish = DisputeLine(
        account_id=ACCOUNT,
        statement_id=account.statements[0].statement_id,
        event_id=event_id,
        reason="wrong",
        by="per",
        now=at(7, 3),
    )
    for one in (account, carried(account)):
        with pytest.raises(refusal):
            dispute_line(wish, one, ())
    with pytest.raises(UnknownLine):
        dispute_line(replace(wish, event_id="e99"), account, ())


async def changed_often(incentives: Any) -> None:
    """A sale of 1,000.00 at 10 %, and more than 200 events of its partner's account."""
    await earned(incentives, hold_days=60)
    for n in range(SEGMENT_EVENTS + 5):
        wish = WriteOffNegative(
            account_id=ACCOUNT,
            payee_id="p1",
            partner_id="p1",
            payable=eur(f"-{n + 1}.00"),
            payable_books=None,
            reason="small",
            by="fin-1",
            now=incentives.clock.now(),
        )
        [seen] = told(wish, tenant="acme", first=5_000 + n)
        await incentives.service.application.react(seen, "propose", wish)


async def issued_in_june(incentives: Any) -> None:
    incentives.clock.set(datetime(2026, 6, 3, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines", lambda page: page["items"][0]["state"] == "payable")
    body = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    issued_now = await incentives.post(FINANCE, "/statements", body)
    assert (issued_now.status_code, issued_now.json()["closing"]) == (201, {"amount": "100.00", "currency": "EUR"})


async def as_decided(incentives: Any) -> None:
    executor = incentives.service.application.executor
    report = await verify_decisions(executor.store, executor.handles.values())
    assert report.holds, report.lines()


async def account_events(incentives: Any) -> list[Any]:
    return [one for one in await incentives.service.store.feed(0, 5_000) if f"account-{ACCOUNT}" in one.stream]


async def test_an_account_of_more_than_200_events_goes_on_in_a_second_segment(incentives: Any) -> None:
    await changed_often(incentives)
    await issued_in_june(incentives)
    feed = await account_events(incentives)
    assert {one.stream.partition("~")[2] for one in feed} == {"", "2"}
    assert [one.type for one in feed].count(AccountCarried.type) == 1  # type: ignore[attr-defined]
    assert all(later.version - before.version == 1 for before, later in pairwise(feed))
    await as_decided(incentives)


async def test_a_long_account_of_a_release_that_did_not_carry_goes_on_in_a_segment_at_its_next_command(
    incentives: Any,
) -> None:
    object.__setattr__(Accounts, "carry", None)
    try:
        await changed_often(incentives)
        assert {one.stream.partition("~")[2] for one in await account_events(incentives)} == {""}
    finally:
        object.__setattr__(Accounts, "carry", carry)
    await as_decided(incentives)
    await issued_in_june(incentives)
    feed = await account_events(incentives)
    assert {one.stream.partition("~")[2] for one in feed} == {"", "2"}
    assert [one.type for one in feed].count(AccountCarried.type) == 1  # type: ignore[attr-defined]
    await as_decided(incentives)
