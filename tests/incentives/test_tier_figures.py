"""The figures of tiers that follow from events: what a sale is worth to whom now, deals approved, leads converted."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from chassis.event import decode, iso
from chassis.testing.kit import given
from contracts.onboarding import CertifiedCountChanged
from contracts.registration import DealApproved, DealRevoked, LeadConverted
from contracts.samples import sample
from contracts.values import money
from services.incentives.application import HANDLES
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.exchange import Rate
from services.incentives.domain.measuring import figures_of
from services.incentives.domain.payee import Payees, certifications_on, circumstances_of
from services.incentives.domain.payee_commands import RecordCertified
from services.incentives.domain.payee_events import CertifiedRecorded, StandingRecorded
from services.incentives.domain.rating import Sold
from services.incentives.domain.sale import Sale, Sales
from services.incentives.domain.sale_events import BasisRecorded, CreditRecorded, ReversalRecorded, WinRecorded
from services.incentives.domain.taking import Asked, Part
from services.incentives.domain.tier_rules import TIERS, Metric
from tests.incentives.facts import plan
from tests.incentives.test_imports import imported, moved
from tests.incentives.test_service import ADMIN, FINANCE, OTHER_ADMIN, activated, credited, refunded, started, won

MARCH = date(2026, 3, 16)
AT = datetime(2026, 3, 16, tzinfo=UTC)
REVENUE = Metric(name="revenue", source="revenue", currency="EUR")


def sale_of(currency: str = "EUR", *credits: Any) -> Sale:
    """A win of 1,000, and its credit in order."""
    win = WinRecorded(
        opportunity_id="o1",
        registration_id=None,
        win_no=1,
        amount=money("1000.00", currency),
        sold=(Sold(line_id="1", family="licences", amount=money("1000.00", currency)),),
        deal_type="new",
        credited_on=MARCH,
        backfill=False,
        source_event_id="w",
        recorded_at=AT,
    )
    told = [
        CreditRecorded(
            opportunity_id="o1",
            pool="sourced",
            revision=revision,
            win_no=1,
            shares=credited(*shares).shares,
            source_event_id=f"c{revision}",
            recorded_at=AT,
        )
        for revision, shares in enumerate(credits, start=1)
    ]
    return Sales.fold([win, *told])


def added(amount: str, external_id: str = "a1", on: date = date(2027, 1, 10)) -> BasisRecorded:
    line = Sold(line_id=external_id, family="licences", amount=money(amount, "EUR"))
    return BasisRecorded(
        opportunity_id="o1",
        win_no=1,
        kind="added",
        external_id=external_id,
        sold=(line,),
        amount=line.amount,
        happened_on=on,
        source_event_id=external_id,
        recorded_at=AT,
    )


def taken_back(amount: str, *parts: str, **months: int) -> ReversalRecorded:
    """What the CRM took back on 1 February 2027, of named lines or of all."""
    of = money(amount, "EUR")
    asked = Asked(
        reversal_id="x",
        amount=of,
        parts=tuple(Part(line_id=line, amount=of) for line in parts),
        reason_code="refund",
        occurred_on=date(2027, 2, 1),
        **months,
    )
    return ReversalRecorded(opportunity_id="o1", win_no=1, asked=asked, source_event_id="x", recorded_at=AT)


def values(sale: Sale, metric: Metric = REVENUE, *rates: Rate) -> dict[str, str]:
    return {partner: str(fact.value.normalize()) for partner, fact in figures_of(sale, metric, rates)}


def test_who_is_no_longer_credited_has_nothing_of_the_sale():
    first, second = [("p1", "60.00"), ("p2", "40.00")], [("p2", "100.00")]

    assert values(sale_of("EUR", first)) == {"p1": "6E+2", "p2": "4E+2"}
    assert values(sale_of("EUR", first, second)) == {"p1": "0", "p2": "1E+3"}
    won_deals = Metric(name="deals", source="deals_won")
    assert values(sale_of("EUR", first, second), won_deals) == {"p1": "0", "p2": "1"}


def by_day(*happened: Any, metric: Metric = REVENUE) -> dict[str, str]:
    sale = Sales.fold(happened, sale_of("EUR", [("p1", "50.00")]))
    return {iso(fact.on): str(int(fact.value)) for _, fact in figures_of(sale, metric, ())}


def test_what_was_added_to_a_deal_counts_on_its_own_day_and_what_was_taken_of_it_no_longer():
    assert by_day(added("400.00")) == {"2026-03-16": "500", "2027-01-10": "200"}
    assert by_day(added("400.00"), taken_back("400.00", "a1")) == {"2026-03-16": "500", "2027-01-10": "0"}
    assert by_day(added("400.00"), taken_back("700.00")) == {"2026-03-16": "250", "2027-01-10": "100"}
    refs = [fact.ref for _, fact in figures_of(Sales.fold([added("1.00")], sale_of("EUR", [("p1", "1")])), REVENUE, ())]
    assert refs == ["o1-1", "o1-1-a1"]


def test_unearned_months_take_their_part_of_the_revenue_though_they_name_no_amount():
    assert by_day(taken_back("0.00", unearned_months=3, term_months=12)) == {"2026-03-16": "375"}


def test_a_deal_counts_as_one_whatever_was_added_to_it_while_something_of_it_stands():
    deals = Metric(name="deals", source="deals_won")
    assert by_day(added("400.00"), taken_back("1000.00", "1"), metric=deals) == {"2026-03-16": "1"}
    assert by_day(added("400.00"), taken_back("1400.00"), metric=deals) == {"2026-03-16": "0"}


def test_another_currency_counts_at_the_recorded_rate_and_not_without_one():
    sale = sale_of("USD", [("p1", "50.00")])
    rate = Rate(base="USD", quote="EUR", rate=Decimal("0.9"), on=MARCH, source="bank")

    assert values(sale) == {}
    assert values(sale, REVENUE, rate) == {"p1": "4.5E+2"}


def test_revenue_needs_a_currency():
    rules = {"name": "t", "metrics": [{"name": "revenue", "source": "revenue"}], "levels": [{"name": "one"}]}

    assert TIERS.check(TIERS.read(rules)) == ["revenue is in a currency of ISO 4217"]


def of(name: str, **changes: Any) -> Any:
    return replace(decode(name, sample(name)), **changes)


async def test_wins_credits_refunds_approvals_and_leads_move_a_tier_by_themselves(tmp_path):
    metrics = [
        {"name": "revenue", "source": "revenue", "currency": "EUR"},
        {"name": "approved", "source": "deals_approved"},
        {"name": "leads", "source": "leads_converted"},
    ]
    levels = [{"name": "silver", "thresholds": {"revenue": "900"}}]
    rules = {"name": "Tiers", "metrics": metrics, "levels": levels}
    async with started(tmp_path) as it:
        draft = {"rulebook_id": "tiers", "kind": "tier", "body": rules, "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/tiers/publish", {"version": 1})).status_code == 200
        await it.hear(activated("p1"))
        it.clock.set(datetime(2026, 3, 31, 9, tzinfo=UTC))
        deal = {"registration_id": "r1", "partner_id": "p1"}
        await it.hear(of(DealApproved.type, **deal, approved_at=AT))
        await it.hear(of(LeadConverted.type, partner_id="p1", converted_at=AT))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")), times=2)
        tier = await it.get(ADMIN, "/tiers/tiers/p1")
        assert (tier["level"], _figures(tier)) == ("silver", {"revenue": "1000", "approved": "1", "leads": "1"})
        await it.hear(refunded("rev-1", "300.00"))
        await it.hear(of(DealRevoked.type, **deal, revoked_at=AT))
        tier = await it.get(ADMIN, "/tiers/tiers/p1")
        assert _figures(tier) == {"revenue": "700", "approved": "0", "leads": "1"}
        assert (tier["level"], tier["review"]["qualifies_for"]) == ("silver", None), "nobody falls by itself"


async def test_what_other_systems_tell_of_sales_moves_a_tier_without_a_word_from_attribution(tmp_path):
    metric = {"name": "revenue", "source": "revenue", "currency": "EUR"}
    rules = {"name": "T", "metrics": [metric], "levels": [{"name": "silver", "thresholds": {"revenue": "1200"}}]}
    sale = "kind,source,sale_id,partner_id,amount,currency,on\nsale,shop,S-1,p1,500.00,EUR,2026-03-20\n"
    async with started(tmp_path) as it:
        draft = {"rulebook_id": "tiers", "kind": "tier", "body": rules, "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/tiers/publish", {"version": 1})).status_code == 200
        await it.hear(activated("p1"))
        it.clock.set(datetime(2026, 3, 31, 9, tzinfo=UTC))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        added = {"opportunity_id": "o1", "kind": "added", "external_id": "a1", "amount": "300.00", "currency": "EUR"}
        answer = await it.post(FINANCE, "/sales-facts", {"facts": [{**added, "on": "2026-03-20"}]})
        assert answer.status_code == 201, answer.text
        tier = await it.until(ADMIN, "/tiers/tiers/p1", lambda tier: len(tier["facts"]) == 2)
        assert (tier["level"], sorted(int(Decimal(fact["value"])) for fact in tier["facts"])) == ("silver", [300, 1000])
        batch = await imported(it, sale)
        await moved(it, batch["batch_id"], "apply", "applied")
        it.clock.forward(timedelta(minutes=1))
        tier = await it.until(ADMIN, "/tiers/tiers/p1", lambda tier: len(tier["facts"]) == 3)
        assert sorted(int(Decimal(fact["value"])) for fact in tier["facts"]) == [300, 500, 1000]


def _figures(tier: dict[str, Any]) -> dict[str, str]:
    return {fact["metric"]: str(int(Decimal(fact["value"]))) for fact in tier["facts"]}


# Certifications


def certified(position: int, count: int, on: date, name: str = "security") -> CertifiedRecorded:
    return CertifiedRecorded(
        payee_id="p1",
        partner_id="p1",
        certification=name,
        count=count,
        effective_on=on,
        source_event_id=f"c{position}",
        source_position=position,
        recorded_at=AT,
    )


def test_a_certification_is_had_from_its_day_on_while_somebody_holds_it_and_the_newest_word_counts():
    facts = [
        certified(1, 2, date(2026, 3, 1)),
        certified(2, 1, date(2026, 3, 5), "cloud"),
        certified(3, 0, date(2026, 3, 10)),
    ]
    days = [date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 5), date(2026, 3, 10)]
    expected = [(), ("security",), ("cloud", "security"), ("cloud",)]
    for told in (facts, facts[::-1]):
        assert [certifications_on(Payees.fold(told), day) for day in days] == expected
    taken_back = [*facts, certified(4, 0, date(2026, 3, 1))]
    assert certifications_on(Payees.fold(taken_back), date(2026, 3, 5)) == ("cloud",)


def test_what_modifiers_look_at_joins_certifications_that_were_recorded_in_either_way():
    before = StandingRecorded(
        payee_id="p1",
        partner_id="p1",
        field="certification",
        values=("expert", "security"),
        effective_on=MARCH,
        source_event_id="s1",
        recorded_at=AT,
    )
    payee = Payees.fold([before, certified(1, 1, MARCH), certified(2, 1, MARCH, "cloud")])
    assert circumstances_of(payee, MARCH, Circumstances()).certifications == ("expert", "security", "cloud")


def test_a_count_of_certified_people_is_kept_once():
    [handles] = [one for one in HANDLES if one.command is RecordCertified]
    wish = RecordCertified(
        partner_id="p1",
        certification="security",
        count=2,
        effective_on=MARCH,
        source_event_id="c1",
        source_position=1,
        now=AT,
    )
    given(handles).when(wish).then([certified(1, 2, MARCH)])
    given(handles, (Payees.at("p1"), [certified(1, 2, MARCH)])).when(wish).then_nothing()


def test_what_is_certified_names_its_certification_and_is_the_newest_value():
    metric = {"name": "experts", "source": "certified"}
    sound = {**metric, "window": "latest", "certification": "security"}
    wrong = [metric, {**metric, "window": "latest"}, {**metric, "certification": "security"}]
    wrong.append({"name": "experts", "certification": "security"})
    checked = [TIERS.check(TIERS.read({"name": "t", "metrics": [one], "levels": [{"name": "one"}]})) for one in wrong]
    assert {text for faults in checked for text in faults} == {
        "what is certified names its certification, and is the newest value (window latest or any_day)"
    }
    assert TIERS.check(TIERS.read({"name": "t", "metrics": [sound], "levels": [{"name": "one"}]})) == []


async def test_how_many_were_certified_on_any_day_counts_where_the_metric_says_so(tmp_path):
    metric = {"name": "experts", "source": "certified", "window": "any_day", "months": 2, "certification": "security"}
    rules = {"name": "Tiers", "metrics": [metric], "levels": [{"name": "silver", "thresholds": {"experts": "2"}}]}
    async with started(tmp_path) as it:
        draft = {"rulebook_id": "tiers", "kind": "tier", "body": rules, "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/tiers/publish", {"version": 1})).status_code == 200
        await it.hear(activated("p1"))
        roster = {"partner_id": "p1", "certification": "security"}
        for on, count in ((date(2026, 3, 1), 2), (MARCH, 1)):
            await it.hear(of(CertifiedCountChanged.type, **roster, effective_on=on, count=count))
        tier = await it.get(ADMIN, "/tiers/tiers/p1")
        assert (tier["level"], _figures(tier), tier["review"]) == ("silver", {"experts": "2"}, None)


async def test_certified_people_move_a_tier_and_meet_the_condition_of_a_modifier(tmp_path):
    metric = {"name": "experts", "source": "certified", "window": "latest", "certification": "security"}
    rules = {"name": "Tiers", "metrics": [metric], "levels": [{"name": "silver", "thresholds": {"experts": "2"}}]}
    when = {"field": "certification", "is_one_of": ["security"]}
    modifier = {"modifier_id": "expert", "when": when, "multiply": "1.5"}
    async with started(tmp_path) as it:
        draft = {"rulebook_id": "tiers", "kind": "tier", "body": rules, "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/tiers/publish", {"version": 1})).status_code == 200
        await it.publish_plan(plan(modifiers=[modifier]))
        await it.hear(activated("p1"))
        roster = {"partner_id": "p1", "certification": "security", "effective_on": date(2026, 3, 1)}
        await it.hear(of(CertifiedCountChanged.type, **roster, count=2), times=2)
        await it.hear(of(CertifiedCountChanged.type, **roster | {"certification": "cloud"}, count=9))
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        tier = await it.get(ADMIN, "/tiers/tiers/p1")
        assert (tier["level"], _figures(tier)) == ("silver", {"experts": "2"})
        [line] = (await it.get(FINANCE, "/lines"))["items"]
        assert line["amount"] == {"amount": "150.00", "currency": "EUR"}
        await it.hear(of(CertifiedCountChanged.type, **roster | {"effective_on": MARCH}, count=1))
        tier = await it.get(ADMIN, "/tiers/tiers/p1")
        assert (tier["level"], _figures(tier), tier["review"]["qualifies_for"]) == ("silver", {"experts": "1"}, None)


async def test_an_estimate_says_what_the_next_tier_would_pay(tmp_path):
    levels = [{"name": name, "thresholds": {"deals": count}} for name, count in (("silver", "1"), ("gold", "5"))]
    rules = {"name": "Tiers", "metrics": [{"name": "deals"}], "levels": levels}
    modifiers = [
        {"modifier_id": name, "when": {"field": "tier", "is_one_of": [name]}, "multiply": times}
        for name, times in (("silver", "1.5"), ("gold", "2"))
    ]
    asked = {"partner_id": "p1", "amount": "1000.00", "currency": "EUR", "closes_on": "2026-03-20"}
    async with started(tmp_path) as it:
        draft = {"rulebook_id": "tiers", "kind": "tier", "body": rules, "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/tiers/publish", {"version": 1})).status_code == 200
        await it.publish_plan(plan(modifiers=modifiers))
        await it.hear(activated("p1"))
        told = []
        for deals in (None, "1", "5"):
            if deals:
                fact = {"metric": "deals", "ref": "all", "value": deals, "on": it.clock.now().date().isoformat()}
                reported = await it.post(ADMIN, "/tiers/tiers/p1/metrics", fact)
                assert reported.status_code == 201, reported.text
            [line] = (await it.post(ADMIN, "/estimates", asked)).json()["lines"]
            ahead = [one["text"] for one in line["would_change"] if one["code"] == "next-tier"]
            told.append((line["pay"], *ahead))
        assert told == [
            ("100.00 EUR", "in the next tier, silver, it would pay 150.00 EUR"),
            ("150.00 EUR", "in the next tier, gold, it would pay 200.00 EUR"),
            ("200.00 EUR",),
        ]
