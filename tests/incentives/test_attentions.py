"""Attention that somebody was asked for is settled by what was asked for, and told so under the same id; once."""

from dataclasses import replace

import pytest
from hypothesis import given as given_any
from hypothesis import strategies as st

from chassis.read_store.port import TURN
from chassis.testing.kit import given
from chassis.testing.projections import assert_repeatable, project, told
from contracts.shared import AttentionCleared, AttentionRaised
from services.incentives.domain.attention import (
    Attention,
    AttentionAskedAgain,
    SettleAttentions,
    Settled,
    Wish,
    ask_again,
    settle_attentions,
)
from services.incentives.domain.case import Cases, CloseCase
from services.incentives.domain.claim import ClaimReturned
from services.incentives.domain.contradiction import OpenContradictionCase, contradiction_id
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.fund_request_commands import AmendFundRequest, RecallFundRequest
from services.incentives.domain.fund_request_events import FundRequestDecided, ItemDecision
from services.incentives.domain.meter import WindowResumed, WindowWaits
from services.incentives.domain.payment import Payments, reference_of
from services.incentives.domain.payment_commands import NoteUnreported
from services.incentives.projections.attentions import attentions
from services.incentives.projections.cases import CASES
from services.incentives.projections.contradictions import CONTRADICTIONS
from services.incentives.publishing import publish
from tests.incentives.facts import World, basis, book, credit, plan, win
from tests.incentives.fund_facts import (
    FUND,
    NOW,
    Log,
    accepted,
    as_is,
    asked,
    claimed,
    decide,
    details,
    eur,
    funded,
    verdict,
)
from tests.incentives.orders import APPROVE, PAYMENT, SUBMIT, TABLE, Desk, said
from tests.incentives.test_service import APPROVER, FINANCE, proposed, started
from tests.incentives.test_waiting import RATE, in_dollars, resolve

ATTENTIONS = attentions(publish)


def settled(*events):
    """What is cleared after some events, as the others are told it: attention ids by subject."""
    found = {}
    for subject, document in project(ATTENTIONS, told(*events)).items():
        if document["due_at"]:
            made = settle_attentions(ATTENTIONS.issue(document, NOW), Settled())
            found[subject] = [publish(one) for one in told(*made)]
    return found


def raised(*events):
    public = [publish(one) for one in told(*events)]
    return [one for one in public if isinstance(one, AttentionRaised)]


def same(cleared, asked_for):
    assert all(isinstance(one, AttentionCleared) for one in cleared)
    names = ("attention_id", "side", "topic", "subject", "partner_id")
    assert [[getattr(one, name) for name in names] for one in cleared] == [
        [getattr(one, name) for name in names] for one in asked_for
    ]


def test_a_fact_without_an_amount_is_settled_once_it_comes_with_one_and_its_namesake_waits_on():
    world = World(book(plan(basis="invoiced"))).tell(win(), credit())
    world.tell(basis("invoiced", "7001", None), basis("collected", "7001", None))
    assert settled(*world.events) == {}
    asked_for = raised(*world.events)
    assert [one.topic for one in asked_for] == ["fact-no-amount", "fact-no-amount"]
    same(settled(*world.tell(basis("invoiced", "7001", "400.00")).events)["o1"], asked_for[:1])


def test_what_waited_for_a_rate_is_settled_once_it_is_rated_and_told_once_where_a_person_resolved_it():
    waits = in_dollars().tell(win(), credit())
    asked_for = raised(*waits.events)
    waits.known["rates"] = (RATE,)
    same(settled(*waits.tell(basis("added", "a", "10.00")).events)["o1"], asked_for)

    waits = in_dollars().tell(win(), credit())
    waits.known["rates"] = (RATE,)
    assert settled(*waits.tell(resolve()).events) == {}


def test_a_payment_that_nobody_knew_of_is_settled_once_it_is_paid():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("unknown"))
    [*_, unknown] = desk.payment
    events = [replace(unknown, ask_again_at=None)]
    assert settled(*events) == {}
    desk.after(said("paid"))
    same(settled(*events, desk.payment[-1])[PAYMENT], raised(*events))


@pytest.mark.parametrize("outcome", ["paid", "rejected", "unknown"])
def test_a_payment_of_which_no_report_came_is_settled_once_something_is_reported(outcome):
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT)
    note = NoteUnreported(payment_id=PAYMENT, reference=reference_of(PAYMENT, 1), now=NOW)
    [[unreported]] = given(TABLE[NoteUnreported], (Payments.at(PAYMENT), desk.payment)).when(note).verdict.events
    assert settled(unreported) == {}
    desk.after(said(outcome))
    same(settled(unreported, desk.payment[-1])[PAYMENT], raised(unreported))
    given(TABLE[NoteUnreported], (Payments.at(PAYMENT), desk.payment)).when(note).then_nothing()


@pytest.mark.parametrize("ends", [decide(as_is("10000.00")), RecallFundRequest(fund_request_id="r1", now=NOW)])
def test_a_fund_request_is_settled_by_its_decision_or_recall(ends):
    log = funded().tell(*asked("10000.00"))
    before = list(log.happened)
    assert settled(*before) == {}
    log.tell(ends)
    same(settled(*log.happened)["r1"], raised(*before))


RETURN = ItemDecision(outcome="returned", amount=eur("0.00"), reason="name the caterer")


def test_a_partner_is_asked_for_a_request_that_was_returned_until_it_is_submitted_again():
    log = funded().tell(*asked("1000.00"), decide(RETURN))
    [told_of] = raised(log.happened[-1])
    about = (told_of.side, told_of.topic, told_of.subject, told_of.partner_id)
    assert about == ("partner", "fund-request-returned", "r1", "p1")
    assert told_of.roles == ("owner", "marketer", "finance")
    log.tell(*asked("900.00"))
    document = project(ATTENTIONS, told(*log.happened))["r1"]
    assert [one["topic"] for one in document["open"]] == ["fund-request-submitted"]
    assert "fund-request-returned" in [one["topic"] for one in document["ended"]]


def test_nobody_is_asked_for_an_amendment_that_was_returned_nor_by_the_evaluator_before():
    amendment = AmendFundRequest(
        fund_request_id="r1", fund_id=FUND, details=details("1600.00"), reason="bigger hall", by="per", now=NOW
    )
    amended = accepted("1000.00").tell(amendment, decide(RETURN))
    assert isinstance(amended.happened[-1], FundRequestDecided)
    before = funded().as_then(DecideFundRequest=1).tell(*asked("1000.00"), decide(RETURN))
    assert isinstance(before.happened[-1], FundRequestDecided)


@pytest.mark.parametrize("outcome", ["approved", "denied", "returned"])
def test_a_claim_is_settled_by_its_decision(outcome):
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim())
    before = [one for one in log.happened if getattr(one, "claim_id", None) == "c1"]
    log.tell(verdict("9000.00", outcome=outcome, reason="looked at it"))
    mine = [one for one in log.happened if getattr(one, "claim_id", None) == "c1"]
    same(settled(*mine)["c1"], raised(*before))


def test_what_is_asked_for_again_is_open_again():
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00", outcome="returned", reason="which hall?"), log.submit_claim())
    mine = [one for one in log.happened if getattr(one, "claim_id", None) == "c1"]
    document = project(ATTENTIONS, told(*mine))["c1"]
    topics = ([one["topic"] for one in document[which]] for which in ("open", "ended"))
    assert list(topics) == [["claim-submitted"], ["claim-returned"]]


def test_a_partner_is_asked_for_a_claim_that_was_returned_until_it_is_submitted_again():
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00", outcome="returned", reason="which hall?"))
    [told_of] = [one for one in raised(*log.happened) if one.side == "partner"]
    about = (told_of.topic, told_of.subject, told_of.partner_id, told_of.roles)
    assert about == ("claim-returned", "c1", "p1", ("owner", "marketer", "finance"))
    mine = [one for one in log.happened if getattr(one, "claim_id", None) == "c1"]
    document = project(ATTENTIONS, told(*mine))["c1"]
    assert [one["topic"] for one in document["open"]] == ["claim-returned"]


@pytest.mark.parametrize("outcome", ["approved", "denied"])
def test_nobody_is_asked_for_a_claim_that_was_not_returned_nor_by_the_evaluator_before(outcome):
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00", outcome=outcome, reason="looked at it"))
    assert not any(isinstance(one, ClaimReturned) for one in log.happened)
    before = accepted().as_then(DecideFundClaim=4).tell(claimed("9000.00"))
    before.tell(before.submit_claim(), verdict("9000.00", outcome="returned", reason="which hall?"))
    assert not any(isinstance(one, ClaimReturned) for one in before.happened)


def test_what_was_told_is_not_told_again():
    log = funded().tell(*asked("10000.00"), decide(as_is("10000.00")))
    [document] = project(ATTENTIONS, told(*log.happened)).values()
    assert (
        project(ATTENTIONS, told(*log.happened, *settle_attentions(ATTENTIONS.issue(document, NOW), Settled()))) == {}
    )


WINDOW = {"meter_id": "m1", "plan_id": "plan-a", "payee_id": "p1", "window": "2026-Q1"}
WAITS = WindowWaits(**WINDOW, pairs=("EUR/USD",), noted_at=NOW)
RESUMED = WindowResumed(**WINDOW, resumed_at=NOW)


def due(*happened):
    """The command that is due after this, if any."""
    document = project(ATTENTIONS, told(*happened)).get("m1")
    return ATTENTIONS.issue(document, NOW) if document and document["due_at"] else None


def decided(command):
    decide = settle_attentions if isinstance(command, SettleAttentions) else ask_again
    return decide(command, Settled())


def test_what_is_asked_for_anew_while_it_is_told_to_be_settled_is_asked_for_again():
    late = decided(due(WAITS, RESUMED))
    again = decided(due(WAITS, RESUMED, WAITS, *late))
    assert [publish(one) for one in told(*again)] == raised(WAITS)
    assert due(WAITS, RESUMED, WAITS, *late, *again) is None
    [cleared] = decided(due(WAITS, RESUMED, WAITS, *late, *again, RESUMED))
    assert_repeatable(ATTENTIONS, told(WAITS, RESUMED, WAITS, *late, *again, RESUMED, cleared))


def test_a_person_is_asked_again_by_itself():
    """Whoever is asked alone has no role, and is named."""
    wish = Wish(
        attention=Attention(attention_id="a", side="partner", topic="t", subject="s", partner_id="p1"),
        roles=(),
        severity="high",
        due_at=NOW,
        person_id="per-7",
    )
    [asked_again] = told(AttentionAskedAgain(subject="s", wish=wish, asked_at=NOW))
    told_as = publish(asked_again)
    assert (told_as.person_id, told_as.roles, told_as.due_at, told_as.severity) == ("per-7", (), NOW, "high")


class Tickers:
    """Processes that look before a fact and write after it; each due date is written once."""

    def __init__(self):
        self.log, self.looked, self.written, self.waits = [], [], set(), False

    def fact(self):
        self.waits = not self.waits
        self.log.append(WAITS if self.waits else RESUMED)

    def look(self):
        document = project(ATTENTIONS, told(*self.log)).get("m1")
        if document and document["due_at"]:
            self.looked.append((document[TURN], ATTENTIONS.issue(document, NOW)))

    def write(self):
        turn, command = self.looked.pop(0) if self.looked else (None, None)
        if command and turn not in self.written:
            self.written.add(turn)
            self.log.extend(decided(command))


@given_any(st.lists(st.sampled_from([Tickers.fact, Tickers.look, Tickers.write]), max_size=30))
def test_whatever_is_told_late_in_the_end_all_know_whether_it_is_open(moves):
    tickers = Tickers()
    for move in moves:
        move(tickers)
    while tickers.looked or due(*tickers.log):
        tickers.look()
        tickers.write()
    public = [publish(one) for one in told(*tickers.log)]
    last = [type(one) for one in public if isinstance(one, AttentionRaised | AttentionCleared)][-1:]
    assert last == ([AttentionRaised if tickers.waits else AttentionCleared] if tickers.log else [])


def test_repeats_and_other_orders_settle_the_same():
    log = accepted().tell(claimed("9000.00"))
    log.tell(log.submit_claim(), verdict("9000.00"))
    assert_repeatable(ATTENTIONS, told(*log.happened))


# A provider's contradiction is a case


def open_case():
    return OpenContradictionCase(
        case_id=contradiction_id(PAYMENT, "pe-2"),
        payment_id=PAYMENT,
        partner_id="p1",
        payee_id="p1",
        reference="r-01",
        now=NOW,
    )


def close(outcome="false_alarm"):
    return CloseCase(
        case_id=open_case().case_id,
        payee_id="p1",
        outcome=outcome,
        reason="the bank erred",
        lines=(),
        by="fin",
        now=NOW,
    )


def test_a_contradiction_opens_one_case_that_holds_nothing_and_a_person_closes():
    log = Log().tell(open_case(), open_case())
    assert [type(one).__name__ for one in log.happened] == ["SignalSeen", "CaseOpened"]
    [shown] = project(CASES, told(*log.happened)).values()
    assert (shown["signal"], shown["subject"], shown["state"]) == ("provider_contradiction", PAYMENT, "open")
    assert shown["text"] == "the provider says otherwise of the payment than before"
    log.tell(close("confirmed"))
    assert log.state(Cases.at(open_case().case_id)).stage == "confirmed"
    assert [type(one).__name__ for one in log.happened][2:] == ["CaseClosed"]


def test_a_contradiction_is_settled_when_its_case_is_closed():
    desk = Desk()
    desk.after(desk.proposed, APPROVE, SUBMIT, said("paid"))
    kept, _ = desk.asks(said("rejected", provider_event_id="pe-2")).verdict.events
    [document] = project(CONTRADICTIONS, told(*kept)).values()
    assert document["case_id"] == open_case().case_id
    log = Log().tell(open_case(), close())
    same(settled(*kept, log.happened[-1])[open_case().case_id], raised(*kept))


async def test_a_provider_that_takes_its_word_back_is_a_case_which_finance_closes(tmp_path):
    async with started(tmp_path, provider_secret="shared") as incentives:
        payment = await proposed(incentives)
        await incentives.post(APPROVER, f"{payment}/approve")
        reference = (await incentives.post(FINANCE, f"{payment}/submit")).json()["reference"]
        await incentives.until(FINANCE, payment, lambda row: row["state"] == "paid")
        await contradicts(incentives, reference)
        found = await incentives.until(FINANCE, "/cases", lambda one: one["items"])
        [case] = found["items"]
        assert (case["signal"], case["subject"]) == ("provider_contradiction", payment.removeprefix("/payments/"))
        body = {"outcome": "false_alarm", "reason": "the bank erred"}
        assert (await incentives.post(APPROVER, f"/cases/{case['case_id']}/close", body)).status_code == 200


async def contradicts(asked_for, reference):
    import hashlib
    import hmac

    row = f"reference,outcome,on,provider_event_id\n{reference},rejected,2026-06-03,S-1\n"
    signature = hmac.new(b"shared", row.encode(), hashlib.sha256).hexdigest()
    body = {"kind": "csv", "content": row, "signature": signature}
    answer = await asked_for.post(FINANCE, "/provider-reports/file", body)
    assert answer.json()["results"][0]["result"] == "recorded"


def test_why_there_is_a_case_says_what_the_provider_did():
    log = Log().tell(open_case())
    [_, opened] = told(*log.happened)
    [reason] = EXPLAIN[type(opened.event)](opened).reasons
    assert (reason.code, reason.text) == (
        "provider-contradiction",
        "the provider says otherwise of the payment than before",
    )
