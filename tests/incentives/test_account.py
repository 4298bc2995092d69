"""Statements: a chain without gaps, each with its own name."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from chassis.decider import Raced
from chassis.event import decode, encode
from chassis.testing.kit import given
from contracts.values import money
from services.incentives.domain.account import (
    Accounts,
    IssueStatement,
    PeriodOpen,
    PeriodStated,
    adds_up,
    issue_statement,
)
from tests.incentives.orders import ACCOUNT, TABLE, issued, line, statement


def test_opening_and_lines_make_the_closing():
    first = issued(line("100.00", 5), line("-30.00", 7, "reversed"))
    assert (first.number, first.opening, first.closing) == (1, money("0.00", "EUR"), money("70.00", "EUR"))
    assert (first.from_position, first.to_position, first.previous_sha256) == (0, 7, None)


def test_the_next_statement_goes_on_where_the_last_one_ended():
    first = issued(line("100.00", 5))
    later = datetime(2026, 5, 2, tzinfo=UTC)
    second = issued(
        line("-120.00", 8, "reversed"), history=(first,), period="2026-04", from_position=5, to_position=8, now=later
    )
    assert (second.number, second.opening, second.closing) == (2, money("100.00", "EUR"), money("-20.00", "EUR"))
    assert second.previous_sha256 == first.sha256


def test_a_statement_prepared_from_another_place_is_prepared_again():
    later = datetime(2026, 5, 2, tzinfo=UTC)
    account = Accounts.fold([issued(line("100.00", 5))])
    with pytest.raises(Raced):
        issue_statement(statement(line("1.00", 8), period="2026-04", from_position=4, now=later), account)


def test_a_period_is_stated_once():
    history = (Accounts.at(ACCOUNT), [issued(line("100.00", 5))])
    given(TABLE[IssueStatement], history).when(statement(line("100.00", 5))).then_nothing()


def test_a_period_that_is_not_over_is_refused():
    early = datetime(2026, 3, 31, 23, 59, tzinfo=UTC)
    given(TABLE[IssueStatement]).when(statement(now=early)).refused(PeriodOpen)


def test_periods_follow_each_other():
    history = (Accounts.at(ACCOUNT), [issued()])
    given(TABLE[IssueStatement], history).when(statement(period="2026-02")).refused(PeriodStated)


def test_one_altered_digit_breaks_the_name_of_a_statement():
    first = issued(line("100.00", 5))
    assert adds_up(first)
    assert adds_up(decode(first.type, encode(first)))
    forged = replace(first, lines=(line("100.01", 5),), closing=money("100.01", "EUR"))
    assert not adds_up(forged)
