"""Tiers: up at once, down only by a person, with grace, review, appeal, and what plans see of it."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import settings
from hypothesis import strategies as st

from chassis.rulebook import Rules, RulesInvalid
from chassis.testing.projections import assert_repeatable, project, told
from services.incentives.domain.condition import Circumstances
from services.incentives.domain.explaining import EXPLAIN
from services.incentives.domain.payee import Payees, circumstances_of
from services.incentives.domain.tier import (
    AnswerTierAppeal,
    AppealTier,
    DecideTierReview,
    EvaluateTier,
    OverrideTier,
    RecordTierMetric,
    Tier,
    TierAppealAnswered,
    TierChanged,
    TierReviewEscalated,
    TierReviewOpened,
    Tiers,
    tier_id,
)
from services.incentives.domain.tier_rules import TIERS as RULES
from services.incentives.domain.tier_rules import MetricFact, decision_of, values_on
from services.incentives.projections.tiers import TIER_DUES, TIERS
from tests.incentives.fund_facts import NOW, PARTNER, Log, published

D = Decimal
PROGRAMME, MARCH = "partner-tiers", date(2026, 3, 16)


def rules(**changes: Any) -> dict[str, Any]:
    """Silver at 50,000 of revenue, gold at 200,000 and two certified people; a calendar year; grace 90 days."""
    levels = [
        {"name": "silver", "thresholds": {"revenue": "50000"}},
        {"name": "gold", "thresholds": {"revenue": "200000", "certified": "2"}},
    ]
    metrics = [{"name": "revenue", "window": "calendar"}, {"name": "certified", "window": "latest"}]
    return {"name": "Partner tiers", "metrics": metrics, "levels": levels, **changes}


def log_of(**changes: Any) -> Log:
    return Log(published(rules(**changes), kind="tier", book=PROGRAMME))


def fact(value: str, metric: str = "revenue", ref: str = "jan", on: date = MARCH, now: datetime = NOW):
    found = MetricFact(metric=metric, ref=ref, value=Decimal(value), on=on)
    return RecordTierMetric(programme=PROGRAMME, partner_id=PARTNER, fact=found, source="vendor", now=now)


def look(now: datetime) -> EvaluateTier:
    return EvaluateTier(programme=PROGRAMME, partner_id=PARTNER, now=now)


def tier(log: Log) -> Tier:
    found: Tier = log.state(Tiers.at(tier_id(PROGRAMME, PARTNER)))
    return found


def gold() -> Log:
    return log_of().tell(fact("2", "certified", "people"), fact("250000"))


NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


def below() -> Log:
    """Gold in 2026, and nothing of the new year yet."""
    return gold().tell(look(NEW_YEAR))


AFTER = datetime(2027, 4, 2, tzinfo=UTC)
"""The day after the grace that began with the new year."""


def review(outcome: str, now: datetime | None = None, **changes: Any) -> DecideTierReview:
    """A person's decision: that it is lowered once the grace is over, else on the day on which the review was opened."""
    wish = {"programme": PROGRAMME, "partner_id": PARTNER, "outcome": outcome, "reason": "as agreed", "by": "cam"}
    return DecideTierReview(**wish, now=now or (AFTER if outcome == "lower" else NEW_YEAR), **changes)


def test_who_meets_the_criteria_rises_at_once_past_a_level():
    log = gold()
    assert tier(log).level == "gold"
    assert [(one.from_level, one.to_level) for one in log.happened if isinstance(one, TierChanged)] == [(None, "gold")]


def test_a_tier_is_what_plans_see_from_that_day_on():
    log = gold()
    payee = log.state(Payees.at(PARTNER))
    assert circumstances_of(payee, NOW.date(), Circumstances()).tier == "gold"
    assert circumstances_of(payee, NOW.date() - timedelta(days=1), Circumstances()).tier is None


def test_a_fact_that_comes_twice_counts_once_and_a_corrected_one_replaces_it():
    log = log_of().tell(fact("30000"), fact("30000"), fact("40000"))
    assert tier(log).level is None
    assert tier(log.tell(fact("50000"))).level == "silver"


def test_below_its_level_a_review_with_grace_opens_and_the_tier_stands():
    log = below()
    assert tier(log).level == "gold"
    [opened] = [one for one in log.happened if isinstance(one, TierReviewOpened)]
    assert opened.grace_until == date(2027, 4, 1)
    assert {one.metric: str(one.gap) for one in opened.criteria} == {"certified": "0", "revenue": "200000"}


def test_who_recovers_within_the_grace_ends_the_review():
    log = below().tell(fact("200000", ref="feb", on=date(2027, 2, 1), now=datetime(2027, 2, 2, tzinfo=UTC)))
    assert (tier(log).level, tier(log).review) == ("gold", None)


def test_undecided_at_its_end_the_tier_stands_and_is_escalated_once():
    log = below().tell(look(datetime(2027, 4, 1, tzinfo=UTC)))
    assert not tier(log).escalated
    log.tell(look(datetime(2027, 4, 2, tzinfo=UTC)), look(datetime(2027, 4, 3, tzinfo=UTC)))
    assert sum(isinstance(one, TierReviewEscalated) for one in log.happened) == 1
    assert tier(log).level == "gold"


def test_a_person_lowers_it_to_what_the_partner_qualifies_for():
    log = below().tell(review("lower"))
    assert (tier(log).level, tier(log).review) == (None, None)
    assert circumstances_of(log.state(Payees.at(PARTNER)), AFTER.date(), Circumstances()).tier is None


@pytest.mark.parametrize("days", [0, 1, 90])
def test_a_tier_is_not_lowered_before_its_grace_is_over_and_was_by_the_evaluator_before(days):
    early = review("lower", NEW_YEAR + timedelta(days=days))
    assert below().refused(early) == "grace-runs"
    assert tier(below().as_then(DecideTierReview=2).tell(early)).level is None


def test_a_grace_of_no_days_is_over_at_once():
    log = log_of(grace_days=0).tell(fact("50000"), fact("1000"))
    assert tier(log.tell(review("lower", NOW))).level is None


def test_who_qualifies_again_is_not_lowered_though_nobody_has_looked_since():
    """New rules ask for less of gold, from the last day of the grace on."""
    log = below()
    levels = [{"name": "silver", "thresholds": {"revenue": "0"}}, {"name": "gold", "thresholds": {"certified": "2"}}]
    eased = replace(published(rules(levels=levels), 2, "tier", PROGRAMME), effective_from=AFTER - timedelta(days=1))
    log.streams[Rules.kind, PROGRAMME].append(eased)
    log.tell(review("lower"))
    assert (tier(log).level, tier(log).review) == ("gold", None)
    assert log.happened[-1].outcome == "recovered"


def test_a_look_of_the_last_day_of_a_grace_that_is_recorded_after_midnight_is_followed_by_one_on_the_next_day():
    log = below().tell(look(datetime(2027, 4, 1, 23, 59, tzinfo=UTC)))
    seen = told(*[one for one in log.happened if hasattr(one, "programme")], at=AFTER)
    assert project(TIER_DUES, seen)[tier_id(PROGRAMME, PARTNER)]["due_at"] == "2027-04-02T00:00:00Z"


@pytest.mark.parametrize(
    ("decision", "due"),
    [
        (review("keep_until", keep_until=date(2027, 1, 10)), "2027-01-11T00:00:00Z"),
        (review("waive"), "2027-02-01T00:00:00Z"),
    ],
)
def test_what_was_kept_until_a_day_is_looked_at_on_the_next_one(decision, due):
    log = below().tell(decision)
    seen = told(*[one for one in log.happened if hasattr(one, "programme")], at=NEW_YEAR)
    assert project(TIER_DUES, seen)[tier_id(PROGRAMME, PARTNER)]["due_at"] == due


def test_a_person_keeps_it_until_a_day_and_then_it_is_reviewed_again():
    log = below().tell(review("keep_until", keep_until=date(2027, 6, 30)))
    assert tier(log.tell(look(datetime(2027, 6, 30, tzinfo=UTC)))).review is None
    assert tier(log.tell(look(datetime(2027, 7, 1, tzinfo=UTC)))).review is not None


def test_a_waived_review_is_not_opened_again_within_its_grace():
    log = below().tell(review("waive"), look(datetime(2027, 1, 2, tzinfo=UTC)))
    assert (tier(log).level, tier(log).review) == ("gold", None)


def test_only_an_open_review_is_decided():
    assert gold().refused(review("lower")) == "wrong-state"


LATER = datetime(2026, 6, 1, tzinfo=UTC)


def renamed(log: Log) -> Log:
    """The log once new rules call what was gold platinum, and silver asks for less."""
    levels = [
        {"name": "silver", "thresholds": {"revenue": "40000"}},
        {"name": "platinum", "thresholds": {"revenue": "300000"}},
    ]
    again = replace(published(rules(levels=levels), 2, "tier", PROGRAMME), effective_from=LATER)
    log.streams[Rules.kind, PROGRAMME].append(again)
    return log


def test_a_level_that_new_rules_no_longer_name_stands_until_a_person_decides():
    log = renamed(gold()).tell(look(LATER))
    [opened] = [one for one in log.happened if isinstance(one, TierReviewOpened)]
    assert (tier(log).level, opened.level, opened.qualifies_for, opened.criteria) == ("gold", "gold", "silver", ())
    assert tier(log.tell(fact("40000", ref="feb", now=LATER))).level == "gold", "nor do new figures move it"
    assert tier(log.tell(review("lower", LATER + timedelta(days=91)))).level == "silver"


def test_who_meets_no_level_of_new_rules_is_not_measured_at_the_highest_of_them():
    log = renamed(gold()).tell(look(NEW_YEAR))
    [opened] = [one for one in log.happened if isinstance(one, TierReviewOpened)]
    assert (opened.level, opened.qualifies_for, opened.criteria) == ("gold", None, ())


def test_the_evaluator_before_moved_it_to_whatever_level_was_met():
    log = renamed(gold()).as_then(EvaluateTier=2).tell(look(LATER))
    assert tier(log).level == "silver"


def override(level: str, by: str, now: datetime = NOW) -> OverrideTier:
    return OverrideTier(
        programme=PROGRAMME,
        partner_id=PARTNER,
        level=level,
        until=date(2026, 12, 31),
        reason="strategic",
        by=by,
        now=now,
    )


def test_an_override_takes_two_people_and_holds_until_its_day():
    log = log_of().tell(override("gold", "cam"))
    assert log.refused(override("gold", "cam")) == "four-eyes"
    assert tier(log.tell(override("gold", "ada"))).level == "gold"
    assert tier(log.tell(look(datetime(2026, 12, 31, tzinfo=UTC)))).review is None
    log.tell(look(NEW_YEAR))
    assert tier(log).review is not None, "it does not fall by itself"
    assert tier(log).level == "gold"


def test_a_level_that_is_none_of_the_programmes_is_refused():
    assert log_of().refused(override("diamond", "cam")) == "tier-invalid"


def appeal(now: datetime) -> AppealTier:
    return AppealTier(programme=PROGRAMME, partner_id=PARTNER, reason="a deal is missing", by="per", now=now)


def test_a_lowered_tier_is_appealed_once_within_ten_business_days():
    log = below().tell(review("lower"))
    assert log.refused(appeal(datetime(2027, 4, 17, tzinfo=UTC))) == "appeal-late"
    log.tell(appeal(datetime(2027, 4, 16, tzinfo=UTC)))
    assert log.refused(appeal(datetime(2027, 4, 16, tzinfo=UTC))) == "appeal-late"


def answer(by: str = "ada") -> AnswerTierAppeal:
    at = datetime(2027, 4, 19, tzinfo=UTC)
    return AnswerTierAppeal(programme=PROGRAMME, partner_id=PARTNER, reason="both deals are counted", by=by, now=at)


def test_an_appeal_is_answered_once_by_another_person_than_who_lowered_the_tier():
    log = below().tell(review("lower"))
    assert log.refused(answer()) == "wrong-state", "nobody has appealed"
    log.tell(appeal(datetime(2027, 4, 5, tzinfo=UTC)))
    assert log.refused(answer(by="cam")) == "four-eyes"
    log.tell(answer())
    assert type(log.happened[-1]) is TierAppealAnswered
    assert log.refused(answer(by="eve")) == "wrong-state"
    assert log.refused(appeal(datetime(2027, 4, 6, tzinfo=UTC))) == "appeal-late", "once"
    assert (tier(log).level, tier(log).appeal_until) == (None, None)
    seen = told(*[one for one in log.happened if hasattr(one, "programme")])
    assert_repeatable(TIERS, seen)
    document = project(TIERS, seen)[tier_id(PROGRAMME, PARTNER)]
    assert (document["appealed"], document["answered"]) == ("a deal is missing", "both deals are counted")
    assert document["history"][-1]["text"].endswith("and it stays lowered: both deals are counted")


def test_who_is_lowered_anew_may_appeal_anew():
    log = overridden("silver").tell(appeal(NOW), replace(answer(by="eve"), now=NOW))
    log.tell(override("gold", "cam"), override("gold", "ada"), override("silver", "cam"), override("silver", "ada"))
    assert tier(log).appeal_until == date(2026, 3, 30)
    log.tell(appeal(NOW))
    assert log.refused(replace(answer(by="ada"), now=NOW)) == "four-eyes"


def test_what_was_not_lowered_is_not_appealed():
    assert gold().refused(appeal(NOW)) == "appeal-late"


def overridden(level: str, **evaluators: int) -> Log:
    """A partner of gold that two people set to a level."""
    return gold().as_then(**evaluators).tell(override(level, "cam"), override(level, "ada"))


def test_a_tier_that_two_people_lowered_is_appealed_like_one_that_a_review_did():
    log = overridden("silver")
    log.tell(appeal(NOW))
    assert log.refused(appeal(NOW)) == "appeal-late", "once"
    seen = told(*[one for one in log.happened if hasattr(one, "programme")])
    document = project(TIERS, seen)[tier_id(PROGRAMME, PARTNER)]
    assert (document["level"], document["lowered"], document["appealed"]) == ("silver", True, "a deal is missing")


def test_a_tier_that_two_people_raised_or_left_is_not_appealed_nor_was_any_by_the_evaluator_before():
    assert overridden("gold").refused(appeal(NOW)) == "appeal-late"
    assert overridden("silver", OverrideTier=2).refused(appeal(NOW)) == "appeal-late"


def test_without_rules_in_force_there_are_no_tiers():
    assert Log().refused(fact("1")) == "no-tier-rules"


# Criteria


def outcome(values: dict[str, str], **changes: Any) -> str:
    return RULES.answer({"values": values}, rules(**changes)).outcome


@pytest.mark.parametrize(
    ("revenue", "certified", "level"),
    [
        ("49999.99", "9", "none"),
        ("50000", "0", "silver"),
        ("200000", "1", "silver"),
        ("200000", "2", "gold"),
    ],
)
def test_all_thresholds_of_a_level_are_reached(revenue, certified, level):
    assert outcome({"revenue": revenue, "certified": certified}) == level


WEIGHTED = {
    "combine": "weighted",
    "metrics": [{"name": "revenue", "weight": "3"}, {"name": "certified", "weight": "1"}],
    "levels": [{"name": "gold", "thresholds": {"revenue": "100", "certified": "10"}, "pass_at": "80"}],
}


@pytest.mark.parametrize(
    ("revenue", "certified", "each", "level"),
    [
        ("100", "2", False, "gold"),  # 3 x 1 + 1 x 0.2 = 3.2 of 4: 80 %
        ("100", "1", False, "none"),
        ("1000", "0", False, "none"),  # more than the threshold counts as the threshold
        ("200", "10", False, "gold"),
        ("100", "2", True, "gold"),
        ("100", "0", True, "none"),
    ],
)
def test_weighted_criteria_count_up_to_their_threshold(revenue, certified, each, level):
    values = {"revenue": revenue, "certified": certified}
    assert outcome(values, each_above_zero=each, **WEIGHTED) == level


THIRDS: dict[str, Any] = {
    "combine": "weighted",
    "metrics": [{"name": "revenue", "weight": "30"}, {"name": "certified", "weight": "70", "window": "latest"}],
    "levels": [{"name": "gold", "thresholds": {"revenue": "300", "certified": "7"}, "pass_at": "10"}],
}


PASSES_AT_HALF = {"levels": [{"name": "gold", "thresholds": {"revenue": "300", "certified": "7"}, "pass_at": "50"}]}


def test_who_reaches_a_weighted_sum_exactly_has_reached_it():
    assert outcome({"revenue": "100", "certified": "0"}, **THIRDS) == "gold", "30 x 1/3 of 100"
    assert outcome({"revenue": "99.99", "certified": "0"}, **THIRDS) == "none"
    assert tier(log_of(**THIRDS).tell(fact("100"))).level == "gold"
    assert tier(log_of(**THIRDS).as_then(RecordTierMetric=3).tell(fact("100"))).level is None


def test_a_weighted_sum_is_said_with_what_is_missing():
    decided = RULES.answer({"values": {"revenue": "299.99", "certified": "0"}}, rules(**THIRDS | PASSES_AT_HALF))
    assert [one.text for one in decided.would_change] == [
        "20.01 % of all weights more are needed for gold",
        "7 more certified would count for gold",
        "0.01 more revenue would count for gold",
    ]
    held = RULES.answer({"values": {"revenue": "300", "certified": "2"}}, rules(**THIRDS | PASSES_AT_HALF))
    assert held.reasons[-1].text == "50 % of all weights of 50 that are needed"


def test_a_weighted_threshold_of_nothing_is_refused_in_new_rules_and_stands_in_older_ones():
    levels = [{"name": "gold", "thresholds": {"revenue": "100", "certified": "0"}, "pass_at": "80"}]
    body = rules(**{**WEIGHTED, "levels": levels})
    with pytest.raises(RulesInvalid, match="a weighted threshold is above 0"):
        RULES.completed(body, NOW)
    assert RULES.check(RULES.read(body)) == []
    assert RULES.answer({"values": {"revenue": "100"}}, body).outcome == "none", "3 of 4 weights: 75 %"
    assert RULES.completed({**body, "combine": "all_of"}, NOW)


def test_points_add_up_with_a_least_value_of_each_kind():
    points = {
        "combine": "points",
        "metrics": [{"name": "deals", "weight": "10"}, {"name": "courses", "weight": "5"}],
        "levels": [{"name": "gold", "thresholds": {"courses": "2"}, "pass_at": "50"}],
    }
    assert outcome({"deals": "5", "courses": "0"}, **points) == "none"
    assert outcome({"deals": "4", "courses": "2"}, **points) == "gold"
    assert outcome({"deals": "3", "courses": "3"}, **points) == "none"
    short = RULES.answer({"values": {"deals": "3", "courses": "3"}}, rules(**points))
    assert [one.text for one in short.would_change] == ["5 points more are needed for gold"], "of 50, 45 are there"


def test_without_skipping_a_lower_level_that_is_not_met_stops_the_way_up():
    levels = [
        {"name": "silver", "thresholds": {"certified": "1"}},
        {"name": "gold", "thresholds": {"revenue": "10"}},
    ]
    assert outcome({"revenue": "10"}, levels=levels) == "gold"
    assert outcome({"revenue": "10"}, levels=levels, skip_levels=False) == "none"


def test_a_level_of_other_rules_has_no_next_one():
    why = decision_of(RULES.read(rules()), {"revenue": D(1), "certified": D(0)}, "platinum")
    assert (why.outcome, why.reasons, why.would_change) == ("platinum", (), ())


def test_what_is_missing_to_the_next_level_is_named():
    found = RULES.answer({"values": {"revenue": "60000", "certified": "2"}}, rules())
    assert [(change.outcome, change.text) for change in found.would_change] == [
        ("gold", "140000 more revenue would count for gold")
    ]


@pytest.mark.parametrize(
    ("on", "value"),
    [
        (date(2026, 1, 20), "4"),
        (date(2026, 3, 20), "9"),
        (date(2026, 5, 31), "9"),  # nine stood from the 10th to the 11th of March
        (date(2026, 6, 1), "3"),
        (date(2025, 12, 1), "0"),
    ],
)
def test_what_was_reached_on_any_day_of_the_last_three_months_counts(on, value):
    body = rules(metrics=[{"name": "certified", "window": "any_day", "months": 3}], levels=[{"name": "gold"}])
    known = [("4", date(2026, 1, 5)), ("5", date(2026, 2, 1)), ("9", date(2026, 3, 10)), ("3", date(2026, 3, 12))]
    facts = {
        ("certified", f"r{n}"): MetricFact(metric="certified", ref=f"r{n}", value=Decimal(count), on=day)
        for n, (count, day) in enumerate(known)
    }
    assert values_on(RULES.read(body), facts, on) == {"certified": Decimal(value)}


def test_of_two_figures_of_one_day_the_newer_one_held_on_it():
    body = rules(metrics=[{"name": "certified", "window": "any_day", "months": 1}], levels=[{"name": "gold"}])
    facts = {
        ("certified", ref): MetricFact(metric="certified", ref=ref, value=Decimal(count), on=date(2026, 3, 10))
        for ref, count in (("a", "9"), ("b", "6"))
    }
    assert values_on(RULES.read(body), facts, date(2026, 3, 20)) == {"certified": Decimal(6)}


def test_a_trailing_window_holds_whole_months():
    log = log_of(metrics=[{"name": "revenue", "window": "trailing", "months": 3}, {"name": "certified"}])
    log.tell(fact("50000", on=date(2026, 1, 1)))
    assert tier(log).level == "silver", "January to March"
    assert tier(log.tell(look(datetime(2026, 4, 1, tzinfo=UTC)))).review is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"levels": []},
        {"metrics": []},
        {"grace_days": 181},
        {"levels": [{"name": "a", "thresholds": {"other": "1"}}]},
        {"levels": [{"name": "a"}, {"name": "a"}]},
        {"combine": "weighted", "levels": [{"name": "a", "pass_at": "101"}]},
    ],
)
def test_unsound_tier_rules_are_named(changes):
    assert RULES.check(RULES.read(rules(**changes)))


# Whatever comes


@settings(max_examples=60, deadline=None)
@examples(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 300_000), st.integers(0, 3)), max_size=25))
def test_done_when_9_a_tier_falls_only_by_a_person(steps):
    """Whatever facts and days come, no evaluation ever lowers a level."""
    log, levels = log_of(), ("silver", "gold")
    day = NOW
    for days, value, certified in steps:
        day += timedelta(days=days % 60)
        before = tier(log).level
        log.tell(
            fact(str(value), ref=f"{days}", on=day.date(), now=day),
            fact(str(certified), "certified", "people", on=day.date(), now=day),
            look(day + timedelta(hours=1)),
        )
        after = tier(log).level
        assert _rank(levels, after) >= _rank(levels, before)
    assert RULES.check(RULES.read(rules())) == []


def _rank(levels: tuple[str, ...], level: str | None) -> int:
    return levels.index(level) if level in levels else -1


def test_repeats_and_other_orders_change_no_model_of_tiers():
    log = below().tell(review("lower"), appeal(datetime(2027, 4, 5, tzinfo=UTC)))
    seen = told(*[one for one in log.happened if hasattr(one, "programme")])
    for model in (TIERS, TIER_DUES):
        assert_repeatable(model, seen)
    document = project(TIERS, seen)[tier_id(PROGRAMME, PARTNER)]
    assert (document["level"], document["review"], document["appealed"]) == (None, None, "a deal is missing")
    explained = [EXPLAIN[type(one.event)](one) for one in seen if type(one.event) in EXPLAIN]
    assert "revenue: 250000 of 200000" in [reason.text for one in explained for reason in one.reasons]


def told_in_words(log: Log) -> tuple[str | None, list[str]]:
    """How the level came about, and the history as people read it."""
    seen = told(*[one for one in log.happened if hasattr(one, "programme")])
    document = project(TIERS, seen)[tier_id(PROGRAMME, PARTNER)]
    return document["cause"], [step["text"] for step in document["history"]]


def test_the_history_says_in_words_how_each_level_came_about():
    assert told_in_words(log_of().tell(fact("50000"))) == ("evaluation", ["joined at silver"])
    risen = log_of().tell(fact("50000"), fact("2", "certified", "people"), fact("250000", ref="more"))
    assert told_in_words(risen)[1][-1] == "silver to gold, by its figures"
    cause, lines = told_in_words(below().tell(review("lower")))
    assert (cause, lines[0], lines[-2:]) == (
        "review",
        "joined at gold",
        ["review closed, lower: as agreed", "no level any more, gold before, after a review: as agreed"],
    )
    pinned = log_of().tell(override("gold", "cam"), override("gold", "cid"))
    assert told_in_words(pinned) == ("override", ["joined at gold, set by two people: strategic"])
