"""Two plans that pay for the same at the same time: the second one is refused, whatever else is published."""

from datetime import UTC, datetime

import pytest

from chassis.rulebook import PublishRules, Rulebook, RulesDrafted, publish_rules
from services.incentives.application import KINDS
from services.incentives.domain.plan import PlanOverlap
from tests.incentives.facts import plan, version
from tests.incentives.test_service import ADMIN, OTHER_ADMIN, incentives  # noqa: F401  the fixture

NOW = datetime(2026, 3, 2, tzinfo=UTC)
APRIL, JUNE = datetime(2026, 4, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)


def other(**changes):
    """A plan that is in force from April on."""
    return Rulebook(versions=(version(plan(**changes), "plan-a", APRIL, 1),))


def published(body, beside, *, since=NOW, until=None, mode="live", scope="default"):
    draft = RulesDrafted(
        rulebook_id="plan-b",
        kind="plan",
        scope=scope,
        version=1,
        body=body,
        examples=(),
        author="adm-1",
        drafted_at=NOW,
    )
    dates = {"effective_from": since, "effective_until": until, "mode": mode}
    wish = PublishRules(rulebook_id="plan-b", version=1, publisher="adm-2", now=NOW, beside=("plan-a",), **dates)
    return publish_rules(KINDS, wish, Rulebook(draft=draft), [beside])


@pytest.mark.parametrize("dates", [{}, {"since": JUNE}, {"until": JUNE}])
def test_a_plan_of_the_same_component_pool_and_priority_is_refused_wherever_the_times_meet(dates):
    with pytest.raises(PlanOverlap) as refused:
        published(plan({"percent": "12"}), other(), **dates)
    assert refused.value.fields == {"rulebook_id": "plan-a", "version": 1}


@pytest.mark.parametrize(
    ("body", "how"),
    [
        (plan(priority=1), {}),
        (plan(component="more"), {}),
        (plan(pool="influenced"), {}),
        (plan(kind="rebate", accumulate="year"), {}),
        (plan(), {"until": APRIL}),
        (plan(), {"mode": "shadow"}),
        (plan(), {"scope": "south"}),
    ],
)
def test_plans_that_something_tells_apart_hold_beside_each_other(body, how):
    assert len(published(body, other(), **how)) == 1


def test_spiffs_meet_as_their_overlap_says():
    spiff = {"kind": "spiff", "component": "spiff", "overlap": "exclusive"}
    assert len(published(plan(**spiff), other(**spiff))) == 1


def test_a_plan_that_gave_way_to_another_version_is_no_longer_in_the_way():
    moved = Rulebook(versions=(*other().versions, version(plan(priority=5), "plan-a", JUNE, 2)))
    assert len(published(plan(), moved, since=JUNE)) == 1
    with pytest.raises(PlanOverlap):
        published(plan(), moved)


async def test_whoever_publishes_it_learns_which_plan_is_in_the_way(incentives):  # noqa: F811
    await incentives.publish_plan(plan(), "standard")
    draft = {"rulebook_id": "second", "kind": "plan", "body": plan({"percent": "12"}), "examples": []}
    assert (await incentives.post(ADMIN, "/rulebooks", draft)).status_code == 201
    answer = await incentives.post(OTHER_ADMIN, "/rulebooks/second/publish", {"version": 1})
    assert (answer.status_code, answer.json()["slug"], answer.json()["rulebook_id"]) == (
        409,
        "plan-overlap",
        "standard",
    )
    assert (await incentives.post(ADMIN, "/rulebooks", {**draft, "body": plan(priority=1)})).status_code == 201
    assert (await incentives.post(OTHER_ADMIN, "/rulebooks/second/publish", {"version": 1})).status_code == 200
