"""Rules as data: what is told of the end of a version, and what an end of before is decided to be again."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis.event import decode, encode, plain
from chassis.rulebook import Decision, EndRules, Kind, Rules, RulesEnded, RulesPublished
from chassis.rulebook_api import rule_handles
from chassis.testing.kit import given
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
