"""What a dispute over a line brings: its payee is told, a payment that was not sent waits, who was right is corrected."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.incentives import LineDisputeDecided
from contracts.shared import AttentionCleared, AttentionRaised
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.account import Accounts, PaymentClosed, PaymentHandedOver
from services.incentives.domain.batch import ApproveBatch, BatchApproved, Batches, BatchPrepared, SendBatch
from services.incentives.domain.disputing import UnknownLine
from services.incentives.domain.drawing import due
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.journal import NO_JOURNAL
from services.incentives.domain.line_dispute import (
    ConcludeDispute,
    CorrectionAsked,
    DisputeConcluded,
    DisputeWithdrawn,
    LineCorrected,
    NoteCorrected,
    RemindCorrection,
)
from services.incentives.domain.payee import Payees
from services.incentives.domain.payment import GateUnmet, Payments
from services.incentives.domain.payment_commands import SubmitPayment
from services.incentives.domain.payment_events import PaymentApproved, PaymentBlocked, PaymentSubmitted
from services.incentives.domain.sale_events import PayoutAdjusted
from services.incentives.projections.corrections import CORRECTIONS, issue
from services.incentives.projections.disputes import DISPUTES
from services.incentives.publishing import publish
from tests.incentives.orders import APPROVE, DECLINE, NOW, OPENED, PAYMENT, RESUME, SUBMIT, TABLE, Desk, line
from tests.incentives.test_awards import OTHER_SELLER, SELLER
from tests.incentives.test_line_disputes import ANSWERED, DISPUTE, DISPUTED, LINE, OF, REJECTED, STATED, TOLD, when
from tests.incentives.test_paying import next_statement
from tests.incentives.test_people_paid import awarded, paid, papers
from tests.incentives.test_service import APPROVER, FINANCE, P1, P2, balances, incentives, proposed, stated

__all__ = ["incentives"]

UPHELD = replace(REJECTED, outcome="upheld", reason="it was more")
CONCLUDED = DisputeConcluded(**OF, outcome="upheld", concluded_at=NOW, **TOLD)
IN_TIME, LATE = datetime(2026, 4, 28, tzinfo=UTC), datetime(2026, 4, 18, tzinfo=UTC)
ASKED = CorrectionAsked(**OF, line_id="line-6", times=1, due_at=IN_TIME, asked_at=LATE)
CORRECTED = LineCorrected(**OF, line_id="line-6", reason=None, corrected_by=None, corrected_at=NOW)


# The payee is told


def test_the_payee_is_told_of_a_decision_and_until_when_it_may_be_appealed_and_that_it_is_final():
    decided, concluded = (publish(one) for one in told(REJECTED, replace(CONCLUDED, outcome="rejected")))
    assert decided == LineDisputeDecided(
        statement_id=STATED.statement_id,
        event_id="e6",
        line_id="line-6",
        partner_id="p1",
        payee_id="p1",
        outcome="rejected",
        final=False,
        appeal_until=LATE,
        decided_at=NOW,
    )
    assert (concluded.outcome, concluded.final, concluded.appeal_until) == ("rejected", True, None)
    assert decided.for_partner("p1") == decided
    assert decided.for_partner("p2") is None


# Who was right is corrected


def test_once_an_upheld_dispute_is_final_finance_has_five_business_days_to_correct_the_line():
    conclude = ConcludeDispute(**LINE, now=LATE)
    when(conclude, DISPUTED, UPHELD).then([replace(CONCLUDED, concluded_at=LATE), ASKED])
    raised = publish(told(ASKED)[0])
    assert (raised.topic, raised.roles, raised.due_at) == ("line-to-correct", ("finance",), IN_TIME)
    assert (raised.severity, raised.subject) == ("normal", STATED.statement_id)


def test_finance_is_asked_again_until_the_line_is_corrected():
    history = (DISPUTED, UPHELD, CONCLUDED, ASKED)
    when(RemindCorrection(**LINE, now=LATE), *history).then_nothing()
    again = replace(ASKED, times=2, due_at=datetime(2026, 5, 6, tzinfo=UTC), asked_at=IN_TIME)
    when(RemindCorrection(**LINE, now=IN_TIME), *history).then([again])
    assert publish(told(again)[0]).severity == "high"
    when(RemindCorrection(**LINE, now=IN_TIME), *history, CORRECTED).then_nothing()


def test_a_line_is_corrected_once_and_nobody_need_look_any_more():
    history = (DISPUTED, UPHELD, CONCLUDED, ASKED)
    when(NoteCorrected(**LINE, now=NOW), *history).then([CORRECTED])
    said = NoteCorrected(**LINE, by="fin-1", reason="a credit note", now=NOW)
    when(said, *history).then([replace(CORRECTED, corrected_by="fin-1", reason="a credit note")])
    when(said, *history, CORRECTED).then_nothing()
    with pytest.raises(UnknownLine):
        when(said, DISPUTED)
    raised, cleared = (publish(one) for one in told(ASKED, CORRECTED))
    assert isinstance(raised, AttentionRaised)
    assert isinstance(cleared, AttentionCleared)
    assert raised.attention_id == cleared.attention_id != publish(told(DISPUTED)[0]).attention_id


def adjusted(line_id="line-6"):
    return PayoutAdjusted(
        line_id=line_id,
        opportunity_id="o1",
        registration_id="r1",
        partner_id="p1",
        payee_id="p1",
        kind="commission",
        adjustment_id="a1",
        amount=money("5.00", "EUR"),
        remaining=money("45.00", "EUR"),
        reason="it was more",
        proposed_by="fin-1",
        confirmed_by="fin-2",
        journal=NO_JOURNAL,
        adjusted_at=NOW,
    )


def waits(*history):
    found = list(project(CORRECTIONS, told(*history, at=NOW)).values())
    return found[0] if found else None


def test_the_clock_asks_again_on_the_day_and_notes_an_adjustment_at_once():
    assert waits(UPHELD)["due_at"] is None
    assert waits(UPHELD, CONCLUDED, ASKED)["due_at"] == "2026-04-28T00:00:00Z"
    for history in ((UPHELD, CONCLUDED, ASKED, adjusted()), (UPHELD, adjusted(), CONCLUDED, ASKED)):
        document = waits(*history)
        assert document["due_at"] == "2026-04-03T09:00:00Z"
        assert issue(document, NOW) == NoteCorrected(**LINE, now=NOW)
    assert waits(UPHELD, ASKED, adjusted("another"))["due_at"] == "2026-04-28T00:00:00Z"
    assert waits(UPHELD, ASKED, CORRECTED) is None
    assert waits(REJECTED) is None
    assert waits(UPHELD, adjusted(), UPHELD)["waiting"]["e6"]["adjusted"] is False, "it was found wrong again"
    assert_repeatable(CORRECTIONS, told(UPHELD, CONCLUDED, ASKED, adjusted(), CORRECTED))


def test_two_disputes_over_one_line_are_each_asked_for_and_noted():
    other = {"event_id": "e7"}
    both = (replace(UPHELD, **other), UPHELD, replace(ASKED, **other), ASKED, adjusted())
    document = waits(*both)
    assert issue(document, NOW).event_id == "e6"
    rest = waits(*both, CORRECTED)
    assert (issue(rest, NOW).event_id, rest["turn"] != document["turn"]) == ("e7", True)


def test_a_dispute_is_read_with_until_when_its_line_is_corrected_and_how_it_was():
    shown = []
    for history in ((ASKED,), (ASKED, CORRECTED), (ASKED, replace(CORRECTED, reason="a credit note"))):
        [document] = project(DISPUTES, told(DISPUTED, UPHELD, ANSWERED, CONCLUDED, *history)).values()
        shown.append((document["payee_id"], document["state"], document["correct_by"], document["corrected"]))
    assert shown == [
        ("p1", "upheld", "2026-04-28T00:00:00Z", None),
        ("p1", "upheld", None, "adjusted"),
        ("p1", "upheld", None, "a credit note"),
    ]


def test_what_is_to_be_corrected_goes_on_in_the_next_segment_of_an_account():
    account = Accounts.fold([STATED, DISPUTED, UPHELD, CONCLUDED, ASKED])
    assert Accounts.carry is not None
    assert Accounts.fold([Accounts.carry(account)]).corrections == {"e6": ASKED}


# A payment that was not sent waits

OVER = DisputeWithdrawn(**OF, withdrawn_by="per-1", withdrawn_at=NOW)
HANDED_OVER = PaymentHandedOver(account_id="p1-EUR", payment_id=PAYMENT, handed_over_at=NOW)


def paying(*steps):
    """A payment of both lines of a statement, as far as these steps, and a dispute over the second line."""
    desk = Desk(line("60.00", 5), line("40.00", 6))
    desk.after(desk.proposed, *steps)
    [filed] = given(TABLE[type(DISPUTE)], (Accounts.at("p1-EUR"), desk.account)).when(DISPUTE).verdict.events[0]
    desk.account.append(filed)
    return desk, filed


def test_a_dispute_names_the_payment_that_pays_its_line():
    assert paying()[1].drawn_by == PAYMENT
    desk = Desk(line("60.00", 5), line("40.00", 6))
    second = next_statement(desk.account[0], line("5.00", 8))
    opened = replace(desk.after(desk.proposed).account[1], statement_id=second.statement_id)
    history = [desk.account[0], second, opened]
    [filed] = given(TABLE[type(DISPUTE)], (Accounts.at("p1-EUR"), history)).when(DISPUTE).verdict.events[0]
    assert filed.drawn_by == PAYMENT, "into whose statement the line was carried"
    assert Accounts.fold([*history, filed]).stops(PAYMENT)


def test_a_payment_stops_while_a_line_of_it_is_disputed_and_goes_on_when_that_is_over():
    desk, _ = paying()
    assert Accounts.fold(desk.account).stops(PAYMENT)
    desk.after(replace(APPROVE, disputed=True))
    [*_, blocked] = desk.payment
    assert (type(blocked), blocked.gates) == (PaymentBlocked, ("disputed",))
    desk.asks(replace(RESUME, disputed=True)).refused(GateUnmet)
    desk.account.append(OVER)
    assert not Accounts.fold(desk.account).stops(PAYMENT)
    desk.after(RESUME, APPROVE, SUBMIT)
    assert desk.stage == "submitted"


def test_a_payment_that_was_approved_before_is_not_sent_and_what_it_drew_is_payable_again():
    desk, _ = paying(APPROVE)
    desk.after(SUBMIT)
    [*_, blocked] = desk.payment
    assert (type(blocked), desk.stage) == (PaymentBlocked, "blocked")
    approved = next(one for one in desk.payment if isinstance(one, PaymentApproved))
    back = {entry.name: -entry.amount for entry in approved.journal.entries}
    assert {entry.name: entry.amount for entry in blocked.journal.entries} == back


def test_a_deduction_that_is_disputed_stops_nothing():
    """The payee says that too much was taken: what is left is paid."""
    desk = Desk(line("100.00", 5), line("-10.00", 6))
    desk.after(replace(desk.proposed, released=money("90.00", "EUR")))
    [filed] = given(TABLE[type(DISPUTE)], (Accounts.at("p1-EUR"), desk.account)).when(DISPUTE).verdict.events[0]
    assert not Accounts.fold([*desk.account, filed]).stops(PAYMENT)


def test_declined_the_next_payment_is_made_without_the_disputed_line():
    desk, _ = paying()
    desk.after(replace(APPROVE, disputed=True), DECLINE)
    account = Accounts.fold(desk.account)
    assert due(desk.account[0], account, money("100.00", "EUR"), money("0.00", "EUR")).amount == money("60.00", "EUR")


def test_what_was_paid_is_paid_whatever_is_disputed_then():
    desk, filed = paying()
    closed = PaymentClosed(account_id="p1-EUR", payment_id=PAYMENT, paid=True, closed_at=NOW)
    account = Accounts.fold([*desk.account, closed])
    assert "e6" in account.too_late
    old = replace(filed, drawn_by=replace(DISPUTED).drawn_by)
    assert old.drawn_by is None


def test_a_batch_stops_the_payments_of_which_a_line_is_disputed_alone():
    batch = {"batch_id": "b1", "payment_ids": (PAYMENT,), "payee_ids": ("p1",), "rules": (), "now": NOW}
    prepared = BatchPrepared(
        batch_id="b1",
        currency="EUR",
        day=NOW.date(),
        payment_ids=(PAYMENT,),
        total=money("100.00", "EUR"),
        prepared_by="fin-1",
        prepared_at=NOW,
    )
    desk, _ = paying()
    payee = ((Payees.at("p1"), [OPENED]),)
    for disputed, kind in (((PAYMENT,), PaymentBlocked), ((), PaymentApproved)):
        wish = ApproveBatch(**batch, by="fin-2", roles=(), books={}, disputed=disputed)
        streams = ((Batches.at("b1"), [prepared]), (Payments.at(PAYMENT), desk.payment))
        [_, [made]] = given(TABLE[ApproveBatch], *streams, *payee).when(wish).verdict.events
        assert isinstance(made, kind)
    desk.after(APPROVE)
    approved = BatchApproved(batch_id="b1", approved_by="fin-2", approved_at=NOW)
    wish = SendBatch(**batch, by="fin-1", account_ids=("p1-EUR",))
    for over, kind, told_ in (((), PaymentBlocked, ()), ((OVER,), PaymentSubmitted, (HANDED_OVER,))):
        streams = ((Batches.at("b1"), [prepared, approved]), (Payments.at(PAYMENT), desk.payment))
        account = (Accounts.at("p1-EUR"), [*desk.account, *over])
        [_, [made], handed_over, passed] = given(TABLE[SendBatch], *streams, account, *payee).when(wish).verdict.events
        assert isinstance(made, kind)
        assert (tuple(handed_over), [one.payment_id for one in passed]) == (told_, [PAYMENT] if told_ else [])


def test_before_a_payment_was_sent_by_what_somebody_had_looked_up():
    second = {handles.command: handles for handles in HANDLES if handles.evaluator == 2}
    desk, _ = paying(APPROVE)
    streams = ((Payments.at(PAYMENT), desk.payment), (Payees.at("p1"), [OPENED]))
    before = replace(SUBMIT, account_id="")
    for disputed, kind in ((True, PaymentBlocked), (False, PaymentSubmitted)):
        [[made]] = given(second[SubmitPayment], *streams).when(replace(before, disputed=disputed)).verdict.events
        assert isinstance(made, kind)


def test_a_payment_says_that_the_dispute_stops_it():
    desk, _ = paying()
    desk.after(replace(APPROVE, disputed=True))
    [seen] = told(desk.payment[-1])
    opens = next(change.text for change in EXPLAIN[PaymentBlocked](seen).would_change)
    assert opens == (
        "disputed opens once the dispute over a line of it is final; declined, the rest can be paid without that line"
    )


# Through the service


ARBITER = replace(APPROVER, subject="per-5", roles=(), duties=("arbiter",))


async def disputed(incentives, who=P1):
    """The path of a statement, and its first line, which its payee disputes."""
    statement = await stated(incentives)
    path = f"/statements/{statement['statement_id']}"
    of = {"event_id": (await incentives.get(P1, path))["lines"][0]["event_id"]}
    assert (await incentives.post(who, f"{path}/dispute", {**of, "reason": "too little"})).status_code == 201
    return path, of


async def upheld(incentives):
    path, of = await disputed(incentives)
    verdict = {**of, "outcome": "upheld", "reason": "it was more"}
    assert (await incentives.post(ARBITER, f"{path}/dispute/decide", verdict)).status_code == 200
    incentives.clock.set(datetime(2026, 6, 18, tzinfo=UTC))
    await incentives.until(P1, "/disputes", lambda page: page["items"][0]["correct_by"])
    return path, of


async def test_finance_is_asked_to_correct_the_line_of_who_was_right_until_it_is_adjusted(incentives):
    await upheld(incentives)
    first = (await incentives.get(FINANCE, "/disputes"))["items"][0]["correct_by"]
    incentives.clock.set(datetime.fromisoformat(first) + timedelta(minutes=1))
    await incentives.until(FINANCE, "/disputes", lambda page: page["items"][0]["correct_by"] > first)
    [earning] = (await incentives.get(P1, "/lines"))["items"]
    path = f"/lines/{earning['line_id']}"
    assert (await incentives.post(FINANCE, f"{path}/adjust", {"amount": "5.00", "reason": "more"})).status_code == 201
    adjustment = (await incentives.get(FINANCE, path))["adjustment"]["adjustment_id"]
    confirmed = await incentives.post(APPROVER, f"{path}/adjust/confirm", {"adjustment_id": adjustment})
    assert confirmed.status_code == 200
    found = await incentives.until(P1, "/disputes", lambda page: page["items"][0]["corrected"])
    assert (found["items"][0]["corrected"], found["items"][0]["correct_by"]) == ("adjusted", None)


async def test_finance_says_how_else_a_line_was_corrected(incentives):
    path, of = await upheld(incentives)
    body = {**of, "reason": "paid by hand"}
    assert (await incentives.post(P1, f"{path}/dispute/corrected", body)).status_code == 403
    assert (await incentives.post(FINANCE, f"{path}/dispute/corrected", body)).status_code == 200
    assert (await incentives.get(P1, "/disputes"))["items"][0]["corrected"] == "paid by hand"


async def test_a_payment_whose_line_is_disputed_after_it_was_proposed_waits_for_the_decision(incentives):
    payment = await proposed(incentives)
    statement_id = (await incentives.get(P1, payment))["statement_id"]
    path = f"/statements/{statement_id}"
    of = {"event_id": (await incentives.get(P1, path))["lines"][0]["event_id"]}
    await incentives.post(P1, f"{path}/dispute", {**of, "reason": "too little"})
    blocked = await incentives.post(APPROVER, f"{payment}/approve", {})
    assert (blocked.status_code, blocked.json()["state"]) == (200, "blocked")
    assert (await incentives.get(FINANCE, payment))["gates"] == ["disputed"]
    refused = await incentives.post(FINANCE, f"{payment}/resume", {})
    assert (refused.status_code, refused.json()["gates"]) == (409, ["disputed"])
    assert (await incentives.post(P1, f"{path}/dispute/withdraw", of)).status_code == 200
    for who, verb in ((FINANCE, "resume"), (APPROVER, "approve")):
        assert (await incentives.post(who, f"{payment}/{verb}", {})).status_code == 200
    assert (await incentives.get(FINANCE, payment))["state"] == "approved"


async def test_a_payment_whose_line_is_disputed_after_it_was_approved_is_not_sent(incentives):
    payment = await proposed(incentives)
    assert (await incentives.post(APPROVER, f"{payment}/approve", {})).json()["state"] == "approved"
    path = f"/statements/{(await incentives.get(P1, payment))['statement_id']}"
    of = {"event_id": (await incentives.get(P1, path))["lines"][0]["event_id"]}
    await incentives.post(P1, f"{path}/dispute", {**of, "reason": "too little"})
    assert (await incentives.post(FINANCE, f"{payment}/submit", {})).json()["state"] == "blocked"
    assert (await balances(incentives))["p1-EUR"]["payable"] == "-100.00"


async def test_who_decides_disputes_and_nothing_else_reads_what_is_disputed_and_nothing_more(incentives):
    statement = await stated(incentives)
    path = f"/statements/{statement['statement_id']}"
    [earning] = (await incentives.get(P1, "/lines"))["items"]
    line_path = f"/lines/{earning['line_id']}"
    assert await incentives.get(ARBITER, path) == 404
    assert await incentives.get(ARBITER, line_path) == 404
    of = {"event_id": (await incentives.get(P1, path))["lines"][0]["event_id"]}
    await incentives.post(P1, f"{path}/dispute", {**of, "reason": "too little"})
    assert (await incentives.get(ARBITER, path))["lines"] == (await incentives.get(P1, path))["lines"]
    assert (await incentives.get(ARBITER, line_path))["line_id"] == earning["line_id"]
    assert len((await incentives.get(ARBITER, "/disputes"))["items"]) == 1
    for closed in ("/lines", "/statements", f"{path}/proof", f"{path}/csv", "/liability", "/payments", "/lines/csv"):
        assert await incentives.get(ARBITER, closed) == 403, closed


async def told_to_the_partner(asked):
    """Whom of the partner's side attention was asked for."""
    public = [publish(one.seen("incentives")) for one in await asked.service.store.feed(0, 1_000)]
    return [one for one in public if isinstance(one, AttentionRaised) and one.side == "partner"]


async def test_a_person_disputes_its_own_lines_and_nobody_else_s(incentives):
    await awarded(incentives)
    await papers(incentives)
    statement = await paid(incentives)
    path = f"/statements/{statement['statement_id']}"
    of = {"event_id": (await incentives.get(SELLER, path))["lines"][0]["event_id"]}
    body = {**of, "reason": "I sold two"}
    assert (await incentives.post(OTHER_SELLER, f"{path}/dispute", body)).status_code == 404
    assert (await incentives.post(P1, f"{path}/dispute", body)).status_code == 403
    assert (await incentives.post(SELLER, f"{path}/dispute", body)).status_code == 201
    assert (await incentives.post(P1, f"{path}/dispute/withdraw", of)).status_code == 403
    for who, known in ((SELLER, 1), (OTHER_SELLER, 0), (P1, 1), (P2, 0)):
        assert len((await incentives.get(who, "/disputes"))["items"]) == known
    asked = {**of, "question": "which?"}
    assert (await incentives.post(FINANCE, f"{path}/dispute/request-evidence", asked)).status_code == 200
    [wish] = await told_to_the_partner(incentives)
    assert (wish.topic, wish.roles, wish.person_id) == ("line-dispute-evidence", (), SELLER.subject)
    shown = {**of, "evidence": [{"sha256": "b" * 64, "text": "this one"}]}
    assert (await incentives.post(OTHER_SELLER, f"{path}/dispute/show-evidence", shown)).status_code == 404
    assert (await incentives.post(SELLER, f"{path}/dispute/show-evidence", shown)).status_code == 200
    assert (await incentives.post(SELLER, f"{path}/dispute/withdraw", of)).status_code == 200


async def test_a_person_disputes_an_earning_line_by_its_own_id(incentives):
    await awarded(incentives)
    await papers(incentives)
    await paid(incentives)
    [earning] = (await incentives.get(SELLER, "/lines"))["items"]
    path, body = f"/lines/{earning['line_id']}/dispute", {"reason": "I sold two"}
    assert (await incentives.post(OTHER_SELLER, path, body)).status_code == 404
    assert (await incentives.post(P2, path, body)).status_code == 404
    assert (await incentives.post(SELLER, path, body)).status_code == 201
