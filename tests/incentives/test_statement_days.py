"""Statements by calendar: which period a day is in, when it is stated, and that it is stated by itself."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given as forall
from hypothesis import strategies as st

from chassis.testing.kit import given
from services.incentives.domain.account import Accounts, ScheduleStatement, StatementScheduled
from services.incentives.domain.payment_rules import PAYMENT_RULES
from services.incentives.domain.periods import Calendar, PeriodInvalid, calendar_faults, dates_of, period_end, period_of
from tests.incentives.facts import plan
from tests.incentives.orders import ACCOUNT, NOW, TABLE, issued, line
from tests.incentives.test_service import (
    ADMIN,
    FINANCE,
    OTHER_ADMIN,
    P1,
    P2,
    activated,
    credited,
    refunded,
    started,
    won,
)

CADENCES = ("week", "month", "quarter")


@pytest.mark.parametrize(
    ("period", "end"),
    [
        ("2026-03", "2026-04-01"),
        ("2026-12", "2027-01-01"),
        ("2026-Q1", "2026-04-01"),
        ("2026-Q4", "2027-01-01"),
        ("2026-W14", "2026-04-06"),
        ("2026-W53", "2027-01-04"),
    ],
)
def test_a_period_is_a_month_a_quarter_or_a_week(period, end):
    assert period_end(period).isoformat() == end


@pytest.mark.parametrize(
    "period",
    [
        "2026-13",
        "2026-00",
        "0000-01",
        "9999-12",
        "2026",
        "\uff12\uff10\uff12\uff16-01",
        "2026-1",
        "2026-Q0",
        "2026-Q5",
        "2026-W54",
        "2026-W1",
    ],
)
def test_anything_else_is_no_period(period):
    with pytest.raises(PeriodInvalid):
        period_end(period)


@forall(st.dates(min_value=date(1990, 1, 1), max_value=date(2100, 1, 1)), st.sampled_from(CADENCES))
def test_every_day_is_in_one_period_that_ends_after_it(day, cadence):
    period = period_of(day, cadence)
    end = period_end(period)
    assert day < end
    assert period_of(end - timedelta(days=1), cadence) == period != period_of(end, cadence)


@pytest.mark.parametrize(
    ("roll", "issues_on", "available_on"),
    [
        ("none", "2026-10-03", "2026-10-15"),
        ("preceding", "2026-10-02", "2026-10-15"),
        ("following", "2026-10-05", "2026-10-15"),
    ],
)
def test_a_day_on_a_weekend_rolls_to_a_business_day(roll, issues_on, available_on):
    dates = dates_of("2026-Q3", Calendar(cadence="quarter", roll=roll))
    assert (dates.issues_on.isoformat(), dates.available_on.isoformat()) == (issues_on, available_on)


CLOSED = Calendar(closed_on=(date(2026, 5, 4),), holidays=("DE",), holiday_dates=(date(2026, 5, 1), date(2026, 5, 14)))
"""May Day is a Friday, and the Monday after it is a day off of the vendor's own."""


@pytest.mark.parametrize(
    ("roll", "issues_on"), [("none", "2026-05-01"), ("preceding", "2026-05-05"), ("following", "2026-05-05")]
)
def test_a_day_on_a_holiday_rolls_to_a_business_day_too(roll, issues_on):
    dates = dates_of("2026-04", replace(CLOSED, statement_day=1, roll=roll))
    assert dates.issues_on.isoformat() == issues_on, "none before it is after the period"


def test_a_day_on_a_holiday_rolls_back_over_all_days_off():
    dates = dates_of("2026-04", replace(CLOSED, pay_by_day=14, roll="preceding"))
    assert dates.pay_by == date(2026, 5, 13)
    closed = replace(CLOSED, closed_on=(date(2026, 5, 13), date(2026, 5, 12)), pay_by_day=14, roll="preceding")
    assert dates_of("2026-04", closed).pay_by == date(2026, 5, 11)


@pytest.mark.parametrize(
    ("day", "count", "found"),
    [
        ("2026-04-03", 10, "2026-04-17"),
        ("2026-04-02", 1, "2026-04-03"),
        ("2026-04-03", 1, "2026-04-06"),
        ("2026-04-04", 10, "2026-04-20"),
        ("2026-04-30", 1, "2026-05-05"),
        ("2026-05-01", 10, "2026-05-20"),
    ],
)
def test_business_days_are_counted_past_weekends_and_days_off(day, count, found):
    assert CLOSED.business_days_after(date.fromisoformat(day), count).isoformat() == found


async def test_the_holidays_that_payment_rules_name_are_written_out_for_whoever_publishes_them(tmp_path):
    async with started(tmp_path) as incentives:
        draft = {"rulebook_id": "pay", "kind": "payment", "body": {"calendar": {"holidays": ["DE-BE"]}}, "examples": []}
        assert (await incentives.post(ADMIN, "/rulebooks", draft)).status_code == 201
        [book] = (await incentives.get(ADMIN, "/rulebooks?kind=payment"))["items"]
        dates = book["draft"]["body"]["calendar"]["holiday_dates"]
        assert {"2026-03-08", "2026-04-03", "2031-12-25"} <= set(dates)
        unknown = {**draft, "rulebook_id": "pay-2", "body": {"calendar": {"holidays": ["XX"]}}}
        refused = (await incentives.post(ADMIN, "/rulebooks", unknown)).json()
        assert (refused["errors"][0]["code"], refused["errors"][0]["path"]) == (
            "unknown-calendar",
            "body.calendar.holidays",
        )


def test_a_statement_is_never_issued_before_its_period_is_over():
    assert dates_of("2026-07", Calendar(statement_day=1, roll="preceding")).issues_on == date(2026, 8, 3)


def test_days_follow_each_other_and_are_within_28():
    assert calendar_faults(Calendar()) == []
    assert calendar_faults(Calendar(statement_day=11)) == [
        "a statement is issued, then reviewed, then paid, then available"
    ]
    assert PAYMENT_RULES.check(PAYMENT_RULES.read({"calendar": {"available_day": 29}}))
    assert calendar_faults(Calendar(holidays=("DE",))) == ["holidays are written out as dates"]
    assert "10 places at most" in calendar_faults(Calendar(holidays=("DE",) * 11, holiday_dates=(date(2026, 1, 1),)))[0]


def schedule(day):
    return ScheduleStatement(account_id=ACCOUNT, payee_id="p1", partner_id="p1", day=day, calendar=Calendar(), now=NOW)


def test_what_becomes_payable_opens_its_month_with_the_days_of_the_calendar():
    given(TABLE[ScheduleStatement]).when(schedule(date(2026, 3, 20))).then(
        [
            StatementScheduled(
                account_id=ACCOUNT,
                payee_id="p1",
                partner_id="p1",
                period="2026-03",
                issues_on=date(2026, 4, 3),
                review_until=date(2026, 4, 10),
                pay_by=date(2026, 4, 15),
                available_on=date(2026, 4, 15),
                scheduled_at=NOW,
            )
        ]
    )


def test_one_period_is_open_at_a_time_and_what_comes_late_belongs_to_the_next_one():
    stated = [issued(line("100.00", 5))]
    verdict = given(TABLE[ScheduleStatement], (Accounts.at(ACCOUNT), stated)).when(schedule(date(2026, 3, 9))).verdict
    [opened] = verdict.events[0]
    assert opened.period == "2026-04"
    history = (Accounts.at(ACCOUNT), [*stated, opened])
    given(TABLE[ScheduleStatement], history).when(schedule(date(2026, 5, 9))).then_nothing()


async def test_each_month_is_stated_by_itself_on_its_day_and_a_partner_knows_when(tmp_path):
    async with started(tmp_path) as incentives:
        await incentives.publish_plan(plan(hold_days=0))
        incentives.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
        await incentives.hear(won())
        await incentives.hear(credited(("p1", "100.00")))
        due = await incentives.until(P1, "/statements/next", lambda found: found["items"])
        assert [(it["period"], it["issues_on"], it["pay_by"]) for it in due["items"]] == [
            ("2026-03", "2026-04-03", "2026-04-15")
        ]
        assert (await incentives.get(P2, "/statements/next"))["items"] == []
        incentives.clock.set(datetime(2026, 4, 2, 9, tzinfo=UTC))
        await incentives.hear(refunded("x", "250.00", date(2026, 4, 2)))
        assert (await incentives.get(P1, "/statements"))["items"] == []
        incentives.clock.set(datetime(2026, 4, 3, 1, tzinfo=UTC))
        [march] = (await incentives.until(P1, "/statements", lambda found: found["items"]))["items"]
        assert (march["period"], march["closing"]["amount"], march["issued_by"]) == ("2026-03", "100.00", "calendar")
        april = await incentives.until(P1, "/statements/next", lambda found: found["items"])
        assert april["items"][0]["period"] == "2026-04"
        incentives.clock.set(datetime(2026, 5, 3, 1, tzinfo=UTC))
        stated = await incentives.until(P1, "/statements", lambda found: len(found["items"]) == 2)
        assert [it["closing"]["amount"] for it in stated["items"]] == ["75.00", "100.00"]
        assert (await incentives.get(P1, "/statements/next"))["items"] == []


async def test_the_payment_rules_say_by_which_calendar(tmp_path):
    async with started(tmp_path) as incentives:
        await incentives.publish_plan(plan(hold_days=0))
        rules = {
            "rulebook_id": "payments",
            "kind": "payment",
            "body": {"calendar": {"cadence": "week", "roll": "following"}},
        }
        assert (await incentives.post(ADMIN, "/rulebooks", {**rules, "examples": []})).status_code == 201
        assert (await incentives.post(OTHER_ADMIN, "/rulebooks/payments/publish", {"version": 1})).status_code == 200
        incentives.clock.set(datetime(2026, 3, 17, 9, tzinfo=UTC))
        await incentives.hear(won())
        await incentives.hear(credited(("p1", "100.00")))
        [due] = (await incentives.until(FINANCE, "/statements/next", lambda found: found["items"]))["items"]
        assert (due["period"], due["issues_on"], due["pay_by"]) == ("2026-W12", "2026-03-25", "2026-04-06")


async def test_a_refund_of_a_day_that_is_still_to_come_keeps_nothing_from_the_statements_before_that(tmp_path):
    """Told on 21 March of 2062, by a slip of the pen: it is taken back at once, and stated in March."""
    async with started(tmp_path) as asked:
        await asked.publish_plan(plan(hold_days=0, refund_days=None))
        await asked.hear(activated())
        asked.clock.set(datetime(2026, 3, 21, 9, tzinfo=UTC))
        await asked.hear(won())
        await asked.hear(credited(("p1", "100.00")))
        await asked.hear(refunded("x", "400.00", date(2062, 3, 1)))
        await asked.hear(won("o2"))
        await asked.hear(credited(("p1", "100.00"), opportunity_id="o2"))
        asked.clock.set(datetime(2026, 4, 2, 9, tzinfo=UTC))
        march = {"partner_id": "p1", "period": "2026-03", "currency": "EUR"}
        statement = (await asked.post(FINANCE, "/statements", march)).json()
        lines = (await asked.get(FINANCE, f"/statements/{statement['statement_id']}"))["lines"]
        assert [(one["amount"]["amount"], one["effective_on"]) for one in lines] == [
            ("100.00", "2026-03-16"),
            ("-40.00", "2026-03-21"),
            ("100.00", "2026-03-16"),
        ]
