"""Abuse: signals meet rules or not, cases hold lines and payments, people say what it was, and rules are tried on that."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.decider import Raced
from chassis.event import decode
from chassis.identity import Principal
from chassis.record import CommandRecorded
from chassis.testing.projections import assert_repeatable, project, told
from contracts.registration import DealApproved, DealRegistered
from contracts.samples import sample
from services.incentives.domain.abuse_rules import ABUSES, AbuseFacts, hits
from services.incentives.domain.case import (
    CaseExtended,
    CaseOpened,
    Cases,
    CloseCase,
    Labelled,
    LineRef,
    LookForAbuse,
    SignalSeen,
    backtest,
)
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.payee import Payees
from services.incentives.domain.payee_events import PayeeBlocked, PayeeReviewClosed, PayeeReviewOpened
from services.incentives.projections import abuse_looks
from services.incentives.projections.abuse_looks import same_company
from services.incentives.projections.cases import CASES
from services.incentives.publishing import publish
from tests.incentives.facts import plan
from tests.incentives.fund_facts import NOW, PARTNER, Log, published
from tests.incentives.test_event_lines import per_event
from tests.incentives.test_service import (
    ADMIN,
    APPROVER,
    FINANCE,
    OTHER_ADMIN,
    P1,
    P2,
    TENANT,
    activated,
    credited,
    refunded,
    started,
    won,
)

BOOK = "watch"
AUDITOR = Principal(tenant=TENANT, subject="aud", kind="vendor", roles=("analyst",), duties=("auditor",))


def rules(*given: dict[str, Any]) -> dict[str, Any]:
    return {"name": "Watch", "rules": list(given)}


def rule(signal: str, action: str = "hold", **more: Any) -> dict[str, Any]:
    return {"rule_id": f"{signal}-{action}", "signal": signal, "action": action, **more}


EUROS = {"limit": "5000", "currency": "EUR"}


def shared(count: int = 1, subject: str = "b1") -> LookForAbuse:
    return LookForAbuse(
        case_id="case-1",
        partner_id=PARTNER,
        payee_id=PARTNER,
        subject=subject,
        related=("p2",),
        facts=AbuseFacts(signal="shared_bank", count=count),
        rules=(BOOK,),
        now=NOW,
    )


def close(outcome: str) -> CloseCase:
    return CloseCase(
        case_id="case-1", payee_id=PARTNER, outcome=outcome, reason="looked at it", lines=(), by="ada", now=NOW
    )


def log_of(*given: dict[str, Any]) -> Log:
    return Log(published(rules(*given), kind="abuse", book=BOOK))


def names(log: Log) -> list[str]:
    return [type(one).__name__ for one in log.happened]


@pytest.mark.parametrize(
    ("facts", "given", "met"),
    [
        ({"signal": "refund_ratio", "percent": "50", "count": 2}, {"percent": "50", "least": 2}, True),
        ({"signal": "refund_ratio", "percent": "49.9", "count": 2}, {"percent": "50", "least": 2}, False),
        ({"signal": "refund_ratio", "percent": "90", "count": 1}, {"percent": "50", "least": 2}, False),
        ({"signal": "bank_change", "count": 1, "days": 13}, {"days": 14}, True),
        ({"signal": "bank_change", "count": 1, "days": 14}, {"days": 14}, False),
        ({"signal": "split_below_limit", "amounts": ["3000", "2500"]}, {"limit": "5000"}, True),
        ({"signal": "split_below_limit", "amounts": ["3000", "2000"]}, {"limit": "5000"}, False),
        ({"signal": "split_below_limit", "amounts": ["6000", "2000"]}, {"limit": "5000"}, False),
        ({"signal": "split_below_limit", "amounts": ["3000", "2500"], "currency": "EUR"}, EUROS, True),
        ({"signal": "split_below_limit", "amounts": ["3000", "2500"], "currency": "JPY"}, EUROS, False),
        ({"signal": "split_below_limit", "amounts": ["3000", "2500"]}, EUROS, False),
        ({"signal": "shared_proof", "count": 1}, {}, True),
        ({"signal": "self_referral", "count": 0}, {}, False),
    ],
)
def test_a_signal_meets_a_rule_from_its_threshold_on(facts, given, met):
    found = ABUSES.answer(facts, rules(rule(facts["signal"], "note", **given)))

    assert found.outcome == ("note" if met else "none")


def test_a_hold_is_stricter_than_a_note():
    both = ABUSES.read(rules(rule("shared_bank", "note"), rule("shared_bank", "hold")))

    assert [hit.action for hit in hits(AbuseFacts(signal="shared_bank", count=1), both)] == ["note", "hold"]
    assert ABUSES.evaluate(AbuseFacts(signal="shared_bank", count=1), both).outcome == "hold"


@pytest.mark.parametrize(
    "wrong",
    [
        *([], [rule("shared_bank"), rule("shared_bank")], [rule("bank_change", days=0)]),
        *([rule("split_below_limit")], [rule("split_below_limit", limit="5000", currency="EURO")]),
    ],
)
def test_rules_that_make_no_sense_are_not_drafted(wrong):
    assert ABUSES.check(ABUSES.read(rules(*wrong)))


@pytest.mark.parametrize(
    ("customer", "own", "same"),
    [
        ("north.example", ("north.example",), True),
        ("shop.north.example", ("north.example",), True),
        ("deepnorth.example", ("north.example",), False),
        (None, ("north.example",), False),
    ],
)
def test_a_customer_below_the_partner_s_domain_is_the_partner(customer, own, same):
    assert same_company(customer, own) is same


def test_a_hold_shuts_the_payee_s_gate_and_a_false_alarm_opens_it():
    log = log_of(rule("shared_bank")).tell(shared(), shared())

    assert names(log) == ["SignalSeen", "CaseOpened", "PayeeReviewOpened"]
    assert log.state(Payees.at(PARTNER)).reviews == {"case-1"}
    log.tell(close("false_alarm"))
    assert log.state(Payees.at(PARTNER)).reviews == frozenset()
    assert PayeeBlocked not in {type(one) for one in log.happened}
    assert log.refused(close("confirmed")) == "wrong-state"


def test_what_is_confirmed_blocks_the_payee_until_two_people_open_it():
    log = log_of(rule("shared_bank")).tell(shared(), close("confirmed"))

    assert [type(one) for one in log.happened[-2:]] == [PayeeReviewClosed, PayeeBlocked]
    assert log.state(Payees.at(PARTNER)).blocked.reason == "looked at it"


def test_a_signal_that_meets_no_rule_is_kept_for_later_rules_and_may_still_open_a_case():
    log = log_of(rule("refund_ratio"))
    low = LookForAbuse(
        case_id="case-1",
        partner_id=PARTNER,
        payee_id=PARTNER,
        subject="p1-2026-03",
        facts=AbuseFacts(signal="refund_ratio", percent=Decimal(10), count=9),
        rules=(BOOK,),
        now=NOW,
    )
    assert names(log.tell(low, low)) == ["SignalSeen"]
    log.tell(replace(low, facts=replace(low.facts, percent=Decimal(60))))
    assert names(log) == ["SignalSeen", "SignalSeen", "CaseOpened"]


def test_without_rules_in_force_nothing_is_kept():
    log = Log()
    log.tell(replace(shared(), rules=()))

    assert log.happened == []


def test_a_case_is_told_to_the_vendor_alone():
    log = log_of(rule("shared_bank")).tell(shared(), close("false_alarm"))

    heard = [public for one in told(*log.happened) if (public := publish(one))]
    assert [(one.topic, one.for_partner(PARTNER)) for one in heard] == [("case-opened", None), ("case-opened", None)]


def test_the_read_model_says_what_a_case_holds_and_what_it_was():
    log = log_of(rule("shared_bank")).tell(shared(), close("false_alarm"))
    seen = told(*[one for one in log.happened if isinstance(one, SignalSeen | CaseOpened) or hasattr(one, "outcome")])

    assert_repeatable(CASES, seen)
    assert log.state(Cases.at("case-1")).stage.value == "false_alarm"
    assert [type(one) for one in log.happened].count(PayeeReviewOpened) == 1


def test_rules_are_tried_on_what_people_said():
    def past(name: str, percent: int, label: str | None) -> Labelled:
        facts = AbuseFacts(signal="refund_ratio", percent=Decimal(percent), count=5)
        return Labelled(case_id=name, partner_id=PARTNER, facts=facts, was="none", label=label)

    signals = [
        past("a", 80, "confirmed"),
        past("b", 60, "false_alarm"),
        past("c", 30, "confirmed"),
        past("d", 70, None),
    ]

    found = backtest(ABUSES.read(rules(rule("refund_ratio", percent="50"))), signals)

    assert found.pop("changed")[0].would_be == "hold"
    assert found == {
        "signals": 4,
        "hits": 3,
        "confirmed_hit": 1,
        "false_alarms_hit": 1,
        "unlabelled_hit": 1,
        "confirmed_missed": 1,
        "precision_percent": "50.0",
    }


async def watched(it: Any, *given: dict[str, Any]) -> None:
    draft = {"rulebook_id": BOOK, "kind": "abuse", "body": rules(*given), "examples": []}
    assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await it.post(OTHER_ADMIN, f"/rulebooks/{BOOK}/publish", {"version": 1})).status_code == 200


async def opened(it: Any) -> Any:
    found = await it.until(FINANCE, "/cases?state=open", lambda page: page["items"])
    return found["items"][0]


async def looks(it: Any) -> int:
    """How many looks for abuse the log holds."""
    commands = [one.event for one in await it.service.store.feed(0, 1000) if isinstance(one.event, CommandRecorded)]
    return sum(one.command_type == LookForAbuse.type for one in commands)


async def test_without_abuse_rules_a_calculated_line_records_no_look(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        await it.publish_plan(plan(hold_days=0))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        await it.hear(refunded("rev-1", "100.00"))
        await it.rest()
        assert await looks(it) == 0
        await watched(it, rule("refund_ratio", percent="40", least=2))
        it.clock.set(NOW + timedelta(hours=1))
        await it.hear(refunded("rev-2", "100.00"))
        await it.rest()
        assert await looks(it) == 1


async def test_refunds_hold_what_is_unpaid_and_a_false_alarm_releases_it(tmp_path):
    async with started(tmp_path) as it:
        await watched(it, rule("refund_ratio", percent="40", least=2))
        await it.hear(activated("p1"))
        await it.publish_plan(plan(hold_days=0))
        it.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
        for sale in ("o1", "o2"):
            await it.hear(won(sale))
            await it.hear(credited(("p1", "100.00"), opportunity_id=sale))
        await it.hear(refunded("rev-1", "900.00"))
        case = await opened(it)
        assert (case["signal"], case["action"], len(case["lines"])) == ("refund_ratio", "hold", 2)
        lines = (await it.get(P1, "/lines"))["items"]
        assert {line["why_held"] for line in lines} == {"under review"}
        balances = (await it.get(APPROVER, "/ledger/balances"))["trial_balance"][0]
        assert (balances["payable"], balances["total"]) == ("0.00", "0.00")
        assert (await it.get(AUDITOR, f"/cases/{case['case_id']}"))["text"].startswith("45 % of what 2 lines")
        path = f"/cases/{case['case_id']}/close"
        assert (await it.post(P1, path, {"outcome": "false_alarm", "reason": "x"})).status_code == 403
        assert (await it.post(APPROVER, path, {"outcome": "false_alarm", "reason": "one big customer left"})).json()[
            "state"
        ] == "false_alarm"
        await it.until(P1, "/lines", lambda page: {line["state"] for line in page["items"]} == {"payable"})
        tried = await it.post(ADMIN, "/case-backtests", {"rulebook_id": BOOK, "version": 1})
        assert tried.json()["false_alarms_hit"] == 1


class Behind:
    """A read store whose cases are as they were when they were seen, before they were opened."""

    def __init__(self, read: Any, case: dict[str, Any]) -> None:
        self._read, self._case = read, case

    def __getattr__(self, name: str) -> Any:
        return getattr(self._read, name)

    async def get(self, name: str, tenant: str, document_id: str) -> Any:
        return self._case if name == "cases" else await self._read.get(name, tenant, document_id)


async def test_a_false_alarm_frees_what_the_case_holds_while_the_read_model_does_not_know_that_it_was_opened(tmp_path):
    async with started(tmp_path) as it:
        await watched(it, rule("refund_ratio", percent="40", least=1))
        await it.hear(activated("p1"))
        await it.publish_plan(plan(hold_days=0))
        it.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        await it.hear(refunded("rev-1", "900.00"))
        case = await opened(it)
        it.service.application.read = Behind(it.service.application.read, {**case, "state": "seen", "lines": []})
        closed = await it.post(APPROVER, f"/cases/{case['case_id']}/close", {"outcome": "false_alarm", "reason": "one"})
        assert closed.json()["state"] == "false_alarm"
        await it.until(P1, "/lines", lambda page: {line["state"] for line in page["items"]} == {"payable"})


async def test_a_case_that_was_not_opened_cannot_be_closed(tmp_path):
    async with started(tmp_path) as it:
        await watched(it, rule("refund_ratio", percent="95", least=1))
        await it.hear(activated("p1"))
        await it.publish_plan(plan(hold_days=0))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        await it.hear(refunded("rev-1", "900.00"))
        seen = await it.until(FINANCE, "/cases?state=seen", lambda page: page["items"])
        said = {"outcome": "false_alarm", "reason": "one"}
        refused = await it.post(APPROVER, f"/cases/{seen['items'][0]['case_id']}/close", said)
        assert (refused.status_code, refused.json()["slug"], refused.json()["state"]) == (409, "wrong-state", "seen")
        assert (await it.post(APPROVER, "/cases/of-nothing/close", said)).status_code == 404


def test_a_case_that_was_opened_between_the_look_and_the_word_is_looked_at_again_and_was_not_before():
    log = log_of(rule("shared_bank")).tell(shared())
    untrue = replace(close("false_alarm"), payee_id="p9")

    with pytest.raises(Raced):
        log.tell(untrue)
    assert names(log.as_then(CloseCase=1).tell(untrue))[-1] == "CaseClosed"


async def test_a_deal_with_a_customer_of_the_partner_s_own_domain_is_held(tmp_path):
    async with started(tmp_path) as it:
        await watched(it, rule("self_referral"))
        await it.hear(replace(activated("p1"), domains=("north.example",)))
        approved: DealApproved = decode(
            "entente.registration.DealApproved.v1", sample("entente.registration.DealApproved.v1")
        )
        account = replace(approved.account, domain="lab.north.example")
        await it.hear(replace(approved, registration_id="r1", partner_id="p1", account=account))
        await it.publish_plan(plan(hold_days=0))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        case = await opened(it)
        assert (case["signal"], [line["opportunity_id"] for line in case["lines"]]) == ("self_referral", ["o1"])


@pytest.mark.parametrize("named_at", ["registration", "approval"])
async def test_what_is_paid_for_a_registration_is_held_once_the_customer_is_known_to_be_the_partner(tmp_path, named_at):
    async with started(tmp_path) as it:
        await watched(it, rule("self_referral"))
        await it.hear(replace(activated("p1"), domains=("north.example",)))
        await it.publish_plan(per_event(hold_days=0), "starter")
        at = it.clock.now()
        approved = decode(DealApproved.type, sample(DealApproved.type))
        account = replace(approved.account, domain="north.example")
        unnamed = account if named_at == "registration" else replace(account, domain=None)
        registered = decode(DealRegistered.type, sample(DealRegistered.type))
        of_r1 = {"registration_id": "r1", "partner_id": "p1", "submitted_at": at}
        await it.hear(replace(registered, account=unnamed, **of_r1))
        await it.rest()
        if named_at == "approval":
            assert (await it.get(FINANCE, "/cases"))["items"] == []
            await it.hear(replace(approved, account=account, approved_at=at, **of_r1))
        case = await opened(it)
        assert (case["signal"], case["action"], len(case["lines"])) == ("self_referral", "hold", 1)
        [line] = (await it.get(P1, "/lines"))["items"]
        assert (line["state"], line["why_held"]) == ("held", "under review")


async def test_two_payees_with_one_account_wait_until_somebody_has_looked(tmp_path):
    async with started(tmp_path) as it:
        await watched(it, rule("shared_bank"))
        for who, principal in (("p1", P1), ("p2", P2)):
            await it.hear(activated(who))
            bank = {"iban": "DE89370400440532013000", "holder": "Somebody"}
            assert (await it.put(principal, f"/payees/{who}/bank", bank)).status_code == 200
            await it.rest()
        case = await opened(it)
        assert (case["payee_id"], case["related"], case["holds_payee"]) == ("p2", ["p1"], True)
        [payee] = (await it.get(P2, "/payees"))["items"]
        assert "under_review" in payee["gates"]
        path = f"/cases/{case['case_id']}/close"
        assert (await it.post(APPROVER, path, {"outcome": "confirmed", "reason": "one family"})).status_code == 200
        [payee] = (await it.get(P2, "/payees"))["items"]
        assert ("under_review" in payee["gates"], "blocked" in payee["gates"]) == (False, True)


async def self_referred(it: Any) -> Any:
    """A deal whose customer is its own partner, paid on what is invoiced; the case that its first invoice opened."""
    await watched(it, rule("self_referral"))
    await it.hear(replace(activated("p1"), domains=("north.example",)))
    name = "entente.registration.DealApproved.v1"
    approved: DealApproved = decode(name, sample(name))
    account = replace(approved.account, domain="north.example")
    await it.hear(replace(approved, registration_id="r1", partner_id="p1", account=account))
    await it.publish_plan(plan(basis="invoiced", hold_days=0))
    it.clock.set(datetime(2026, 3, 20, 9, tzinfo=UTC))
    await it.hear(won())
    await it.hear(credited(("p1", "100.00")))
    await invoiced(it, "i1")
    return await opened(it)


async def invoiced(it: Any, number: str) -> None:
    fact = {"opportunity_id": "o1", "kind": "invoiced", "currency": "EUR", "amount": "100.00", "on": "2026-03-16"}
    answer = await it.post(FINANCE, "/sales-facts", {"facts": [{**fact, "external_id": number}]})
    assert [one["result"] for one in answer.json()["results"]] == ["recorded"]


async def all_under_review(it: Any, count: int) -> None:
    said = ["under review"] * count
    await it.until(P1, "/lines", lambda page: [line["why_held"] for line in page["items"]] == said)


async def test_what_a_deal_earns_later_is_held_as_well_and_freed_with_the_rest(tmp_path):
    async with started(tmp_path) as it:
        case = await self_referred(it)
        await invoiced(it, "i2")
        await all_under_review(it, 2)
        path = f"/cases/{case['case_id']}"
        held = await it.until(FINANCE, path, lambda found: len(found["lines"]) == 2)
        assert (held["state"], held["action"]) == ("open", "hold")
        said = {"outcome": "false_alarm", "reason": "another company of that name"}
        assert (await it.post(APPROVER, f"{path}/close", said)).status_code == 200
        await it.until(P1, "/lines", lambda page: [line["state"] for line in page["items"]] == ["payable"] * 2)
        await invoiced(it, "i3")
        await it.rest()
        assert {line["state"] for line in (await it.get(P1, "/lines"))["items"]} == {"payable"}


async def test_what_a_confirmed_deal_earns_later_is_held_too(tmp_path):
    async with started(tmp_path) as it:
        case = await self_referred(it)
        said = {"outcome": "confirmed", "reason": "it is the partner itself"}
        assert (await it.post(APPROVER, f"/cases/{case['case_id']}/close", said)).status_code == 200
        await invoiced(it, "i2")
        await all_under_review(it, 2)
        lines = (await it.until(FINANCE, f"/cases/{case['case_id']}", lambda found: len(found["lines"]) == 2))["lines"]
        assert {line["opportunity_id"] for line in lines} == {"o1"}


def test_a_case_that_has_all_of_the_lines_says_nothing_and_the_first_evaluator_never_held_more():
    log = log_of(rule("self_referral"))
    wish = replace(shared(), facts=AbuseFacts(signal="self_referral", count=1))
    log.tell(wish)
    log.tell(replace(wish, now=NOW + timedelta(days=1)))
    assert names(log) == ["SignalSeen", "CaseOpened"]
    assert names(log.as_then(LookForAbuse=1).tell(wish)) == ["SignalSeen", "CaseOpened"]


def test_a_case_that_goes_on_says_so_and_its_read_model_names_all_that_it_holds():
    first, later = [LineRef(opportunity_id="o1", line_id=one) for one in ("l1", "l2")]
    seen = told(
        SignalSeen(
            case_id="c1",
            partner_id="p1",
            payee_id="p1",
            subject="o1-p1",
            related=("o1",),
            facts=AbuseFacts(signal="self_referral", count=1),
            seen_at=NOW,
        ),
        CaseOpened(
            case_id="c1",
            partner_id="p1",
            payee_id="p1",
            signal="self_referral",
            action="hold",
            rulebook_id=BOOK,
            version=1,
            hits=(),
            lines=(first,),
            holds_payee=False,
            opened_at=NOW,
        ),
        CaseExtended(case_id="c1", partner_id="p1", payee_id="p1", lines=(later,), extended_at=NOW),
    )
    assert_repeatable(CASES, seen)
    [document] = project(CASES, seen).values()
    assert [line["line_id"] for line in document["lines"]] == ["l1", "l2"]
    assert EXPLAIN[CaseExtended](seen[-1]).outcome == "hold"


async def test_a_line_that_another_credit_took_the_place_of_is_no_refund(tmp_path):
    """At 50 % of 2 lines its 100.00, all of which its new credit takes back, would meet the rule beside the new line."""
    async with started(tmp_path) as it:
        await watched(it, rule("refund_ratio"))
        await it.hear(activated("p1"))
        await it.publish_plan(plan(hold_days=0))
        it.clock.set(datetime(2026, 3, 20, 9, tzinfo=UTC))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        await it.hear(credited(("p1", "99.00"), ("p2", "1.00"), revision=2))
        await it.rest()
        lines = (await it.get(P1, "/lines"))["items"]
        assert sorted((line["state"], line["recredited"]) for line in lines) == [("payable", False), ("reversed", True)]
        assert (await it.get(FINANCE, "/cases"))["items"] == []


async def test_the_same_account_anew_is_no_change_of_it(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        first, other = "DE89370400440532013000", "DE02120300000000202051"
        day = datetime(2026, 3, 2, 9, tzinfo=UTC)
        for days, iban in ((0, first), (1, first), (2, other), (40, other)):
            it.clock.set(day + timedelta(days=days))
            bank = {"iban": iban, "holder": "North"}
            assert (await it.put(P1, "/payees/p1/bank", bank)).status_code == 200
            changed = await changes_of(it)
            assert (changed.count, changed.days) == {0: (0, 0), 1: (0, 0), 2: (1, 0), 40: (1, 38)}[days]


async def changes_of(it: Any) -> AbuseFacts:
    """What a look at a payment that is proposed now would find."""
    app = it.service.application
    asking = abuse_looks.Asking(app, TENANT, app.executor.peek(TENANT), it.clock.now())
    look = {"payee_id": "p1", "subject": "payment"}
    return (await abuse_looks.FIND["bank_change"](asking, look)).facts
