"""Rules as data: how a version is published, what is told of its end, and what an end of before is decided to be again."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.event import decode, encode, plain
from chassis.rulebook import (
    Backdated,
    Decision,
    EndRules,
    ExampleFailed,
    FourEyes,
    Kind,
    PublishRules,
    Rules,
    RulesDrafted,
    RulesEnded,
    RulesPublished,
)
from chassis.rulebook_api import rule_handles
from chassis.testing.kit import When, given
from chassis.testing.projections import told
from contracts.shared import of_rulebook

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True)
class Body:
    """Rules that say nothing."""


def nothing(facts: Body, body: Body) -> Decision:
    return Decision(outcome="nothing")


KINDS: dict[str, Kind[Any, Any]] = {"some_rules": Kind(name="some_rules", body=Body, facts=Body, evaluate=nothing)}
BEFORE, NOW = [one for one in rule_handles(KINDS) if one.command is EndRules]
PUBLISHED = RulesPublished(
    rulebook_id="default",
    kind="some_rules",
    scope="default",
    version=1,
    body={},
    sha256="0" * 64,
    author="ada",
    publisher="amir",
    effective_from=AT,
    effective_until=None,
    mode="live",
    published_at=AT,
)
LATER = AT + timedelta(days=3)
WISH = EndRules(rulebook_id="default", version=1, ended_from=LATER, ended_by="ada", now=AT)
ENDED = RulesEnded(rulebook_id="default", kind="some_rules", version=1, ended_from=LATER, ended_by="ada", mode="live")


@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_the_end_of_a_version_says_whether_it_bound_anybody(mode: str) -> None:
    ended = replace(ENDED, mode=mode)
    given(NOW, (Rules.at("default"), [replace(PUBLISHED, mode=mode)])).when(WISH).then([ended])
    (seen,) = told(decode(RulesEnded.type, encode(ended)))
    public: Any = of_rulebook(seen)
    assert public.mode == mode
    assert (public.for_partner("p1") is None) == (mode == "shadow")


def test_an_end_of_before_is_decided_again_to_the_byte() -> None:
    (again,) = given(BEFORE, (Rules.at("default"), [PUBLISHED])).when(WISH).verdict.events[0]
    assert (BEFORE.evaluator, NOW.evaluator) == (1, 2)
    assert encode(again) == (
        b'{"rulebook_id":"default","kind":"some_rules","version":1,'
        b'"ended_from":"2026-03-05T09:00:00Z","ended_by":"ada"}'
    )
    assert "mode" not in plain(again)
    (seen,) = told(decode(RulesEnded.type, encode(again)))
    assert "mode" not in plain(of_rulebook(seen))


# Published


@dataclass(frozen=True, kw_only=True)
class Limit:
    most: int


@dataclass(frozen=True, kw_only=True)
class Amount:
    amount: int


def within(facts: Amount, body: Limit) -> Decision:
    return Decision(outcome="yes" if facts.amount <= body.most else "no")


PUBLISH = next(
    one
    for one in rule_handles({"some_rules": Kind(name="some_rules", body=Limit, facts=Amount, evaluate=within)})
    if one.command is PublishRules
)
DRAFT = RulesDrafted(
    rulebook_id="default",
    kind="some_rules",
    scope="default",
    version=1,
    body={"most": 3},
    examples=({"name": "three is not too much", "facts": {"amount": 3}, "expect": "yes"},),
    author="ada",
    drafted_at=AT,
)
PUBLISHING = PublishRules(rulebook_id="default", version=1, effective_from=AT, publisher="amir", now=AT)


def publishing(wish: PublishRules = PUBLISHING, **draft: Any) -> When:
    return given(PUBLISH, (Rules.at("default"), [replace(DRAFT, **draft)])).when(wish)


def test_rules_are_published_by_another_person_from_now_on_once_their_own_examples_pass() -> None:
    (published,) = publishing().verdict.events[0]
    assert (published.author, published.publisher, published.effective_from) == ("ada", "amir", AT)


def test_rules_whose_example_comes_to_something_else_are_not_published_and_say_which_one() -> None:
    refused = publishing(body={"most": 2}).refused(ExampleFailed)
    assert (refused.slug, refused.status) == ("example-failed", 422)
    assert {"example": "three is not too much"} == refused.fields


def test_who_drafted_rules_does_not_publish_them() -> None:
    assert {"author": "ada"} == publishing(replace(PUBLISHING, publisher="ada")).refused(FourEyes).fields


def test_rules_take_no_effect_in_the_past() -> None:
    publishing(replace(PUBLISHING, effective_from=AT - timedelta(seconds=1))).refused(Backdated)
