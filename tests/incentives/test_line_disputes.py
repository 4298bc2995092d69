"""Disputes of earning lines: in time, with evidence, decided by who took no part, appealed once; until then not paid."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from chassis.case import AppealedBefore, ArbiterInvolved, FilingClosed
from chassis.decider import WrongState
from chassis.event import LEFT_OUT
from chassis.rulebook import Rules
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.shared import AttentionCleared, AttentionRaised
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.application.disputing import Verdict, may_decide
from services.incentives.domain.account import PAYMENT_APPROVED, Accounts
from services.incentives.domain.disputing import (
    DisputeLate,
    UnknownLine,
    request_dispute_evidence,
    request_dispute_evidence_of_partner,
)
from services.incentives.domain.drawing import due
from services.incentives.domain.line_dispute import (
    AppealDispute,
    ConcludeDispute,
    CorrectionAsked,
    DecideDispute,
    DisputeAnswered,
    DisputeAppealed,
    DisputeConcluded,
    DisputeDecided,
    DisputeEvidence,
    DisputeEvidenceRequested,
    DisputeEvidenceShown,
    DisputeHeard,
    DisputeLine,
    DisputeWithdrawn,
    HearDispute,
    LineDisputed,
    RequestDisputeEvidence,
    ShowDisputeEvidence,
    WithdrawDispute,
)
from services.incentives.domain.payment import Payments
from services.incentives.domain.payment_commands import ProposePayment
from services.incentives.projections.attentions import attentions
from services.incentives.projections.dispute_dues import DISPUTE_DUES
from services.incentives.projections.disputes import DISPUTES
from services.incentives.publishing import publish
from tests.incentives.fund_facts import published
from tests.incentives.orders import ACCOUNT, APPROVE, NOW, PAYMENT, TABLE, Desk, issued, line, proposal
from tests.incentives.test_paying import next_statement
from tests.incentives.test_service import APPROVER, FINANCE, P1, P2, TENANT, earned, incentives, stated

__all__ = ["incentives"]

STATED = issued(line("60.00", 5), line("40.00", 6))
LINE = {"account_id": ACCOUNT, "statement_id": STATED.statement_id, "event_id": "e6"}
OF = {**LINE, "partner_id": "p1"}
PHOTO = DisputeEvidence(sha256="a" * 64, text="the order was larger")
MAIL = DisputeEvidence(sha256="b" * 64, text="the customer says so")
DISPUTED = LineDisputed(
    **OF,
    amount=money("40.00", "EUR"),
    reason="too little",
    disputed_by="per-1",
    disputed_at=NOW,
    evidence=(PHOTO,),
    due_at=datetime(2026, 4, 11, tzinfo=UTC),
    drawn_by=None,
)
"""Filed on Friday, the 3rd of April; five business days later is Friday, the 10th."""
TOLD = {"payee_id": "p1", "line_id": "line-6"}
HEARD = DisputeHeard(**OF, due_at=datetime(2026, 4, 21, tzinfo=UTC), heard_at=NOW)
REJECTED = DisputeDecided(
    **OF,
    outcome="rejected",
    reason="it is right",
    decided_by="fin-2",
    decided_at=NOW,
    due_at=datetime(2026, 4, 18, tzinfo=UTC),
    **TOLD,
)
ANSWERED = DisputeAnswered(**OF, answered_at=NOW)
APPEALED = DisputeAppealed(
    **OF, statement="look again", due_at=datetime(2026, 4, 11, tzinfo=UTC), appealed_by="per-1", appealed_at=NOW
)
DISPUTE = DisputeLine(**LINE, reason="too little", by="per-1", evidence=(PHOTO,), now=NOW)
DECIDE = DecideDispute(**LINE, outcome="rejected", reason="it is right", by="fin-2", now=NOW)
APPEAL = AppealDispute(**LINE, statement="look again", by="per-1", now=NOW)
FIRST = {handles.command: handles for handles in reversed(HANDLES) if handles.evaluator == 1}


def after(*history, stated_=STATED):
    return Accounts.at(ACCOUNT), [stated_, *history]


def when(wish, *history):
    return given(TABLE[type(wish)], after(*history)).when(wish)


def stopped(wish, *history, by=ArbiterInvolved):
    """It is answered so, and not recorded."""
    with pytest.raises(by):
        when(wish, *history)


# Steps


def test_a_line_is_disputed_with_evidence_and_more_may_be_shown_for_five_business_days():
    when(DISPUTE).then([DISPUTED])
    when(DISPUTE, DISPUTED).then_nothing()


@pytest.mark.parametrize(("day", "late"), [(date(2026, 4, 17), False), (date(2026, 4, 18), True)])
def test_a_line_is_disputed_for_ten_business_days_after_its_statement(day, late):
    wish = replace(DISPUTE, now=datetime(day.year, day.month, day.day, 23, tzinfo=UTC))
    if late:
        when(wish).refused(DisputeLate)
    else:
        assert when(wish).verdict.events[0]


def test_business_days_of_a_dispute_pass_over_the_holidays_of_the_payment_rules():
    easter = {"calendar": {"holidays": ["DE"], "holiday_dates": ["2026-04-03", "2026-04-06"]}}
    rules = (Rules.at("pay"), [published(easter, kind="payment", book="pay")])
    wish = replace(DISPUTE, rules=("pay",))
    [[filed]] = given(TABLE[DisputeLine], after(), rules).when(wish).verdict.events
    assert filed.due_at == datetime(2026, 4, 15, tzinfo=UTC), "Good Friday, a weekend and Easter Monday are no days"
    late = replace(wish, now=datetime(2026, 4, 20, 9, tzinfo=UTC))
    assert given(TABLE[DisputeLine], after(), rules).when(late).verdict.events[0]


def test_more_evidence_is_asked_for_and_shown():
    ask = RequestDisputeEvidence(**LINE, question="which order?", by="fin-1", now=NOW)
    due_at = datetime(2026, 4, 11, tzinfo=UTC)
    asked = DisputeEvidenceRequested(
        **OF, question="which order?", due_at=due_at, requested_by="fin-1", requested_at=NOW
    )
    when(ask, DISPUTED).then([asked])
    show = ShowDisputeEvidence(**LINE, evidence=(MAIL,), by="per-1", now=NOW)
    when(show, DISPUTED, asked).then(
        [DisputeEvidenceShown(**OF, evidence=(MAIL,), due_at=due_at, shown_by="per-1", shown_at=NOW)]
    )
    when(show, DISPUTED).refused(WrongState)


def test_once_the_time_for_evidence_is_over_it_is_under_review():
    hear = HearDispute(**LINE, now=datetime(2026, 4, 11, tzinfo=UTC))
    when(hear, DISPUTED).then(
        [DisputeHeard(**OF, due_at=datetime(2026, 4, 21, tzinfo=UTC), heard_at=datetime(2026, 4, 11, tzinfo=UTC))]
    )
    when(replace(hear, now=NOW), DISPUTED).then_nothing()
    when(hear, DISPUTED, HEARD).then_nothing()
    when(hear).then_nothing()


def test_a_decision_can_be_appealed_once_for_ten_business_days():
    when(DECIDE, DISPUTED, HEARD).then([REJECTED, ANSWERED])
    when(APPEAL, DISPUTED, REJECTED).then([APPEALED])
    when(replace(APPEAL, now=datetime(2026, 4, 18, 1, tzinfo=UTC)), DISPUTED, REJECTED).refused(FilingClosed)
    again = replace(REJECTED, decided_by="fin-3", due_at=None)
    when(APPEAL, DISPUTED, REJECTED, APPEALED, again).refused(AppealedBefore)
    when(DECIDE, DISPUTED, REJECTED).refused(WrongState)


def test_an_appeal_is_decided_by_a_third_person_and_final_at_once():
    history = (DISPUTED, REJECTED, APPEALED)
    stopped(DECIDE, *history)
    third = replace(DECIDE, outcome="upheld", reason="it was more", by="fin-3")
    decided = replace(REJECTED, outcome="upheld", reason="it was more", decided_by="fin-3", due_at=None)
    concluded = DisputeConcluded(**OF, outcome="upheld", concluded_at=NOW, **TOLD)
    asked = CorrectionAsked(**OF, line_id="line-6", times=1, due_at=datetime(2026, 4, 11, tzinfo=UTC), asked_at=NOW)
    when(third, *history).then([decided, ANSWERED, concluded, asked])
    assert when(third, *history, decided, concluded).refused(WrongState).fields["state"] == "final"


def test_a_decision_that_nobody_appeals_is_final_when_its_time_is_over():
    conclude = ConcludeDispute(**LINE, now=datetime(2026, 4, 18, tzinfo=UTC))
    when(conclude, DISPUTED, REJECTED).then(
        [DisputeConcluded(**OF, outcome="rejected", concluded_at=datetime(2026, 4, 18, tzinfo=UTC), **TOLD)]
    )
    when(replace(conclude, now=NOW), DISPUTED, REJECTED).then_nothing()
    when(conclude, DISPUTED, REJECTED, APPEALED).then_nothing()
    when(conclude, DISPUTED).then_nothing()


def test_a_dispute_is_taken_back_before_it_is_decided_and_may_be_filed_again():
    back = WithdrawDispute(**LINE, by="per-1", now=NOW)
    withdrawn = DisputeWithdrawn(**OF, withdrawn_by="per-1", withdrawn_at=NOW)
    when(back, DISPUTED).then([withdrawn])
    when(back, DISPUTED, REJECTED).refused(WrongState)
    when(DISPUTE, DISPUTED, withdrawn).then([DISPUTED])
    stopped(DECIDE, DISPUTED, withdrawn, by=UnknownLine)


def test_what_nobody_disputes_has_no_steps():
    for wish in (DECIDE, APPEAL, replace(DECIDE, event_id="e9")):
        stopped(wish, by=UnknownLine)
    stopped(replace(DECIDE, statement_id="another"), DISPUTED, by=UnknownLine)


# Who decides


def test_who_filed_it_does_not_decide_it():
    stopped(replace(DECIDE, by="per-1"), DISPUTED)


def test_who_approved_a_payment_does_not_decide_a_dispute_over_it():
    desk = Desk(line("100.00", 5))
    desk.after(desk.proposed, APPROVE)
    drawn = replace(line("-100.00", 7, PAYMENT_APPROVED), cause=PAYMENT)
    second = next_statement(desk.account[0], drawn)
    over = {"statement_id": second.statement_id, "event_id": "e7"}
    history = (Accounts.at(ACCOUNT), [*desk.account, second, replace(DISPUTED, **over)])
    wish = replace(DECIDE, **over, payment_ids=(PAYMENT,), by="fin-2")
    payment = (Payments.at(PAYMENT), desk.payment)
    for involved in ("fin-1", "fin-2"):
        with pytest.raises(ArbiterInvolved):
            given(TABLE[DecideDispute], history, payment).when(replace(wish, by=involved))
    assert given(TABLE[DecideDispute], history, payment).when(replace(wish, by="fin-3")).verdict.events[0]


# What is disputed is not paid


def test_a_disputed_line_is_not_paid_until_the_dispute_is_final():
    concluded = DisputeConcluded(**OF, outcome="rejected", concluded_at=NOW)
    free = []
    for history in (
        [],
        [DISPUTED],
        [DISPUTED, REJECTED],
        [DISPUTED, REJECTED, APPEALED],
        [DISPUTED, REJECTED, concluded],
    ):
        account = Accounts.fold([STATED, *history])
        free.append(due(STATED, account, money("100.00", "EUR"), money("0.00", "EUR")).amount.amount)
    assert [str(amount) for amount in free] == ["100.00", "60.00", "60.00", "60.00", "100.00"]


def test_a_disputed_line_waits_in_later_statements_too():
    second = next_statement(STATED, line("5.00", 8))
    waiting = given(TABLE[ProposePayment], (Accounts.at(ACCOUNT), [STATED, DISPUTED, second])).when(
        proposal(second, "105.00")
    )
    assert waiting.verdict.events[0][0].amount == money("65.00", "EUR")


# As it was decided before


def test_the_first_evaluator_filed_without_evidence_and_ended_a_dispute_at_once():
    bare = replace(DISPUTE, evidence=())
    filed = LineDisputed(**OF, amount=money("40.00", "EUR"), reason="too little", disputed_by="per-1", disputed_at=NOW)
    given(FIRST[DisputeLine], after()).when(bare).then([filed])
    decided = DisputeDecided(**OF, outcome="rejected", reason="it is right", decided_by="fin-2", decided_at=NOW)
    given(FIRST[DecideDispute], after(filed)).when(DECIDE).then([decided])
    given(FIRST[DecideDispute], after(filed, decided)).when(DECIDE).then_nothing()
    assert not Accounts.fold([STATED, filed, decided]).disputes
    when(DECIDE, filed, decided).refused(WrongState)


def test_a_dispute_that_was_filed_before_is_decided_as_one_of_today():
    filed = LineDisputed(**OF, amount=money("40.00", "EUR"), reason="too little", disputed_by="per-1", disputed_at=NOW)
    when(DECIDE, filed).then([REJECTED, ANSWERED])


UNTOLD = replace(REJECTED, payee_id=LEFT_OUT, line_id=LEFT_OUT)
SECOND = {handles.command: handles for handles in HANDLES if handles.evaluator == 2}


def test_the_second_evaluator_told_nobody_of_a_decision_and_stopped_no_payment():
    given(SECOND[DecideDispute], after(DISPUTED, HEARD)).when(DECIDE).then([UNTOLD])
    given(SECOND[DisputeLine], after()).when(DISPUTE).then([replace(DISPUTED, drawn_by=LEFT_OUT)])
    upheld = replace(UNTOLD, outcome="upheld")
    late = ConcludeDispute(**LINE, now=datetime(2026, 4, 18, tzinfo=UTC))
    concluded = DisputeConcluded(**OF, outcome="upheld", concluded_at=late.now)
    given(FIRST[ConcludeDispute], after(DISPUTED, upheld)).when(late).then([concluded])
    assert publish(told(UNTOLD)[0]).attention_id == publish(told(DISPUTED)[0]).attention_id
    assert publish(told(concluded)[0]) is None


# What is read and told

HISTORY = (
    DISPUTED,
    DisputeEvidenceRequested(**OF, question="which?", due_at=NOW, requested_by="fin-1", requested_at=NOW),
    DisputeEvidenceShown(**OF, evidence=(MAIL,), due_at=NOW, shown_by="per-1", shown_at=NOW),
    REJECTED,
    ANSWERED,
    APPEALED,
    replace(REJECTED, outcome="upheld", reason="it was more", due_at=None),
    ANSWERED,
    DisputeConcluded(**OF, outcome="upheld", concluded_at=NOW, **TOLD),
)


def test_a_dispute_is_read_with_where_it_stands():
    shown, steps = [], [one for one in HISTORY if one is not ANSWERED]
    for n in range(1, len(steps) + 1):
        [document] = project(DISPUTES, told(*steps[:n])).values()
        shown.append((document["state"], document["stage"], document["outcome"]))
    assert shown == [
        ("open", "opened", None),
        ("open", "evidence_requested", None),
        ("open", "under_review", None),
        ("open", "decided", "rejected"),
        ("open", "appealed", "rejected"),
        ("open", "decided", "upheld"),
        ("upheld", "final", "upheld"),
    ]
    assert [one["text"] for one in document["evidence"]] == ["the order was larger", "the customer says so"]
    assert (document["question"], document["appeal"], document["decision"]) == ("which?", "look again", "it was more")
    assert_repeatable(DISPUTES, told(*HISTORY))
    assert_repeatable(DISPUTE_DUES, told(*HISTORY))


def test_a_dispute_that_was_decided_at_once_is_read_as_final():
    filed = replace(DISPUTED, evidence=(), due_at=None)
    decided = DisputeDecided(**OF, outcome="rejected", reason="no", decided_by="f", decided_at=NOW)
    [document] = project(DISPUTES, told(filed, decided)).values()
    assert (document["state"], document["stage"], document["due_at"]) == ("rejected", "final", None)


def test_whoever_is_asked_next_is_told_and_cleared_again():
    public = [publish(one) for one in told(*HISTORY)]
    asking = [one for one in public if isinstance(one, AttentionRaised | AttentionCleared)]
    kinds = [(type(one).__name__, one.side, one.topic) for one in asking]
    vendor, partner = ("vendor", "line-disputed"), ("partner", "line-dispute-evidence")
    assert kinds == [
        ("AttentionRaised", *vendor),
        ("AttentionRaised", *partner),
        ("AttentionRaised", *vendor),
        ("AttentionCleared", *vendor),
        ("AttentionRaised", *vendor),
        ("AttentionCleared", *vendor),
    ]
    assert {one.attention_id for one in public if isinstance(one, AttentionCleared)} == {
        one.attention_id for one in public if isinstance(one, AttentionRaised) and one.side == "vendor"
    }
    [document] = project(attentions(publish), told(*HISTORY[:3])).values()
    assert [one["topic"] for one in document["ended"]] == ["line-dispute-evidence"]


def test_a_person_is_asked_by_itself_for_evidence_of_its_own_pay_and_was_not_by_the_evaluator_before():
    """The partner's owner cannot answer in its place."""
    stated = issued(line("100.00", 5), payee_id="per-7")
    filed = replace(DISPUTED, statement_id=stated.statement_id, event_id=stated.lines[0].event_id)
    wish = RequestDisputeEvidence(
        account_id=filed.account_id,
        statement_id=filed.statement_id,
        event_id=filed.event_id,
        question="which?",
        by="fin-1",
        now=NOW,
    )
    account = Accounts.fold((stated, filed))
    [asked] = request_dispute_evidence(wish, account, ())
    [before] = request_dispute_evidence_of_partner(wish, account, ())
    [of_person, of_partner] = [publish(one) for one in told(asked, before)]
    assert (of_person.roles, of_person.person_id, of_person.partner_id) == ((), "per-7", "p1")
    assert (of_partner.roles, bool(of_partner.person_id)) == (("owner", "finance"), False)


# Through the service


async def test_a_partner_disputes_a_line_shows_evidence_and_appeals(incentives):
    statement = await stated(incentives)
    path = f"/statements/{statement['statement_id']}"
    whole = await incentives.get(P1, path)
    of = {"event_id": whole["lines"][0]["event_id"]}
    body = {**of, "reason": "too little", "evidence": [{"sha256": "a" * 64, "text": "the order"}]}
    assert (await incentives.post(FINANCE, f"{path}/dispute", body)).status_code == 403
    assert (await incentives.post(P2, f"{path}/dispute", body)).status_code == 404
    assert (await incentives.post(P1, f"{path}/dispute", body)).status_code == 201
    asked = {**of, "question": "which order?"}
    assert (await incentives.post(P1, f"{path}/dispute/request-evidence", asked)).status_code == 403
    assert (await incentives.post(FINANCE, f"{path}/dispute/request-evidence", asked)).status_code == 200
    shown = {**of, "evidence": [{"sha256": "b" * 64, "text": "this one"}]}
    assert (await incentives.post(P2, f"{path}/dispute/show-evidence", shown)).status_code == 404
    assert (await incentives.post(P1, f"{path}/dispute/show-evidence", shown)).status_code == 200
    decision = {**of, "outcome": "rejected", "reason": "as agreed"}
    assert (await incentives.post(APPROVER, f"{path}/dispute/decide", decision)).status_code == 200
    pay = {"statement_id": statement["statement_id"]}
    assert (await incentives.post(FINANCE, "/payments", pay)).json()["slug"] == "below-minimum"
    assert (await incentives.post(P1, f"{path}/dispute/appeal", {**of, "statement": "no"})).status_code == 200
    involved = await incentives.post(APPROVER, f"{path}/dispute/decide", decision)
    assert (involved.status_code, involved.json()["slug"]) == (403, "arbiter-involved")
    third = replace(APPROVER, subject="per-9", duties=("arbiter",), roles=())
    assert (await incentives.post(third, f"{path}/dispute/decide", decision)).status_code == 200
    [document] = (await incentives.get(P1, "/disputes?stage=final"))["items"]
    assert (document["state"], document["appeal"], len(document["evidence"])) == ("rejected", "no", 2)
    assert (await incentives.post(FINANCE, "/payments", pay)).status_code == 201
    table = await incentives.text(P1, f"{path}/csv")
    assert table.splitlines()[-1] == ",closing,,,100.00,,,,,"


async def test_the_clock_brings_a_dispute_under_review_and_ends_it_when_nobody_appeals(incentives):
    statement = await stated(incentives)
    path = f"/statements/{statement['statement_id']}"
    of = {"event_id": (await incentives.get(P1, path))["lines"][0]["event_id"]}
    await incentives.post(P1, f"{path}/dispute", {**of, "reason": "too little"})
    incentives.clock.set(datetime(2026, 6, 11, 9, tzinfo=UTC))
    await incentives.until(P1, "/disputes", lambda page: page["items"][0]["stage"] == "under_review")
    decision = {**of, "outcome": "upheld", "reason": "it was more"}
    assert (await incentives.post(APPROVER, f"{path}/dispute/decide", decision)).status_code == 200
    [document] = (await incentives.get(P1, "/disputes?state=open"))["items"]
    assert (document["stage"], document["due_at"]) == ("decided", "2026-06-26T00:00:00Z")
    incentives.clock.forward(timedelta(days=15))
    await incentives.until(P1, "/disputes", lambda page: page["items"][0]["state"] == "upheld")
    withdrawn = await incentives.post(P1, f"{path}/dispute/withdraw", of)
    assert (withdrawn.status_code, withdrawn.json()["slug"]) == (409, "wrong-state")


async def test_who_adjusted_a_line_does_not_decide_its_dispute(incentives):
    statement = await stated(incentives)
    path = f"/statements/{statement['statement_id']}"
    of = {"event_id": (await incentives.get(P1, path))["lines"][0]["event_id"]}
    await incentives.post(P1, f"{path}/dispute", {**of, "reason": "too little"})
    [line_] = (await incentives.get(P1, "/lines"))["items"]
    change = {"amount": "5.00", "reason": "rounding"}
    proposed = await incentives.post(FINANCE, f"/lines/{line_['line_id']}/adjust", change)
    assert proposed.status_code == 201
    adjustment = (await incentives.get(FINANCE, f"/lines/{line_['line_id']}"))["adjustment"]["adjustment_id"]
    confirm = f"/lines/{line_['line_id']}/adjust/confirm"
    assert (await incentives.post(APPROVER, confirm, {"adjustment_id": adjustment})).status_code == 200
    decision = {**of, "outcome": "upheld", "reason": "adjusted"}
    refused = await incentives.post(APPROVER, f"{path}/dispute/decide", decision)
    assert (refused.status_code, refused.json()["slug"]) == (403, "arbiter-involved")
    another = replace(APPROVER, subject="per-9")
    for who, may in ((APPROVER, False), (another, True), (FINANCE, False), (P1, False)):
        assert [one["may_decide"] for one in (await incentives.get(who, "/disputes"))["items"]] == [may]
    assert (await incentives.post(another, f"{path}/dispute/decide", decision)).status_code == 200
    [decided] = (await incentives.get(replace(APPROVER, subject="per-8"), "/disputes"))["items"]
    assert (decided["stage"], decided["may_decide"]) == ("decided", False)


class Asked:
    """A store of documents that notes what it was asked."""

    def __init__(self, store):
        self.store, self.calls = store, []

    def __getattr__(self, name):
        self.calls.append(name)
        return getattr(self.store, name)


async def test_who_may_decide_is_looked_up_once_for_all_disputes_of_a_page(incentives):
    statement = await stated(incentives)
    whole = await incentives.get(P1, f"/statements/{statement['statement_id']}")
    [line_], of = whole["lines"], {name: whole[name] for name in ("account_id", "statement_id")}
    said = [Verdict(**of, event_id=line_["event_id"], outcome="", reason="", by=who) for who in ("per-9", "per-8")]
    app = incentives.service.application
    asked = [Asked(app.read) for _ in said]
    for store, rows in zip(asked, (1, 50), strict=True):
        assert await may_decide(replace(app, read=store), TENANT, said[:1] * rows) == [True] * rows
    assert asked[0].calls == asked[1].calls


async def test_a_partner_disputes_an_earning_line_by_its_own_id_once_it_is_stated(incentives):
    early = await earned(incentives, hold_days=60)
    path, body = f"/lines/{early['line_id']}/dispute", {"reason": "too little"}
    refused = await incentives.post(P1, path, body)
    assert (refused.status_code, refused.json()["slug"]) == (409, "not-stated")
    incentives.clock.set(datetime(2026, 6, 3, 9, tzinfo=UTC))
    await incentives.until(P1, "/lines", lambda page: page["items"][0]["state"] == "payable")
    period = {"partner_id": "p1", "period": "2026-05", "currency": "EUR"}
    statement = (await incentives.post(FINANCE, "/statements", period)).json()
    assert (await incentives.post(P2, path, body)).status_code == 404
    assert (await incentives.post(FINANCE, path, body)).status_code == 403
    assert (await incentives.post(P1, path, body)).status_code == 201
    [disputed] = (await incentives.get(P1, "/disputes?state=open"))["items"]
    whole = await incentives.get(P1, f"/statements/{statement['statement_id']}")
    assert (disputed["event_id"], disputed["statement_id"]) == (
        whole["lines"][0]["event_id"],
        statement["statement_id"],
    )
