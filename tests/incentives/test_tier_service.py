"""Tiers at work: over HTTP, by the clock, and in the plans that look at them."""

from datetime import UTC, datetime

from chassis.identity import Principal
from tests.incentives.facts import plan
from tests.incentives.test_service import (
    ADMIN,
    OTHER_ADMIN,
    P1,
    P2,
    TENANT,
    activated,
    credited,
    started,
    won,
)
from tests.incentives.test_tiers import rules

CM = Principal(tenant=TENANT, subject="cm-1", kind="vendor", roles=("channel_manager",))
PATH = "/tiers/partner-tiers/p1"


async def test_a_tier_rises_pays_by_plan_is_reviewed_by_the_clock_and_falls_only_by_a_person(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        draft = {"rulebook_id": "partner-tiers", "kind": "tier", "body": rules(), "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/partner-tiers/publish", {"version": 1})).status_code == 200
        better = {"modifier_id": "gold", "when": {"field": "tier", "is_one_of": ["gold"]}, "add_points": "5"}
        await it.publish_plan(plan(modifiers=[better], tier_as_of="closed"))

        for metric, value in (("certified", "2"), ("revenue", "200000")):
            fact = {"metric": metric, "ref": "q1", "value": value, "on": "2026-03-01"}
            assert (await it.post(CM, f"{PATH}/metrics", fact)).status_code == 201
        assert (await it.get(P1, PATH))["level"] == "gold"
        await it.hear(won())
        await it.hear(credited(("p1", "100.00")))
        [line] = (await it.get(P1, "/lines"))["items"]
        assert line["amount"]["amount"] == "150.00", "ten percent, and five points for gold"

        it.clock.set(datetime(2027, 1, 1, 0, 1, tzinfo=UTC))
        reviewed = await it.until(P1, PATH, lambda tier: tier["review"] is not None)
        assert (reviewed["level"], reviewed["review"]["grace_until"]) == ("gold", "2027-04-01")
        it.clock.set(datetime(2027, 4, 1, 23, 0, tzinfo=UTC))
        lower = {"outcome": "lower", "reason": "nothing was sold"}
        early = (await it.post(CM, f"{PATH}/review", lower)).json()
        assert (early["slug"], early["grace_until"]) == ("grace-runs", "2027-04-01")
        it.clock.set(datetime(2027, 4, 2, 0, 1, tzinfo=UTC))
        assert (await it.until(CM, PATH, lambda tier: tier["escalated"]))["level"] == "gold"
        assert (await it.post(P1, f"{PATH}/review", lower)).status_code == 403
        assert (await it.post(CM, f"{PATH}/review", lower)).json()["level"] is None
        appeal = {"reason": "a deal of March is missing"}
        assert (await it.post(P2, f"{PATH}/appeal", appeal)).status_code == 404
        assert (await it.post(P1, f"{PATH}/appeal", appeal)).status_code == 200
        assert (await it.get(P1, PATH))["appealed"] == "a deal of March is missing"
        assert (await it.get(P2, "/tiers"))["items"] == []


async def test_a_tier_shows_what_its_figures_come_to_now_and_not_when_it_was_last_looked_at(tmp_path):
    """Two fifths of gold are there: what is missing is told at once, though the level stays."""
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        draft = {"rulebook_id": "partner-tiers", "kind": "tier", "body": rules(), "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/partner-tiers/publish", {"version": 1})).status_code == 200
        for metric, ref, value in (("certified", "q1", "2"), ("revenue", "q1", "50000"), ("revenue", "q2", "30000")):
            fact = {"metric": metric, "ref": ref, "value": value, "on": "2026-03-01"}
            assert (await it.post(CM, f"{PATH}/metrics", fact)).status_code == 201
        shown = await it.get(P1, PATH)
        assert (shown["level"], shown["values"]) == ("silver", {"certified": "2", "revenue": "80000"})
        assert [one["text"] for one in shown["to_next"]] == ["120000 more revenue would count for gold"]
        assert shown["criteria"] == [
            {"metric": "revenue", "value": "80000", "threshold": "50000", "gap": "0"},
        ]
        assert shown["next_criteria"] == [
            {"metric": "certified", "value": "2", "threshold": "2", "gap": "0"},
            {"metric": "revenue", "value": "80000", "threshold": "200000", "gap": "120000"},
        ]
        assert (shown["sum"], shown["next_sum"]) == (None, None), "all of it is asked"
        it.clock.set(datetime(2027, 1, 1, 0, 0, 30, tzinfo=UTC))
        assert (await it.get(P1, PATH))["values"] == {"certified": "2", "revenue": "0"}


async def test_a_tier_of_points_shows_how_many_there_are_and_how_many_are_needed(tmp_path):
    async with started(tmp_path) as it:
        await it.hear(activated("p1"))
        body = {
            "name": "Points",
            "combine": "points",
            "metrics": [{"name": "deals", "weight": "10"}, {"name": "courses", "weight": "5"}],
            "levels": [{"name": "bronze", "pass_at": "20"}, {"name": "gold", "pass_at": "50"}],
        }
        draft = {"rulebook_id": "partner-tiers", "kind": "tier", "body": body, "examples": []}
        assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
        assert (await it.post(OTHER_ADMIN, "/rulebooks/partner-tiers/publish", {"version": 1})).status_code == 200
        for metric, value in (("deals", "4"), ("courses", "1")):
            fact = {"metric": metric, "ref": "q1", "value": value, "on": "2026-03-01"}
            assert (await it.post(CM, f"{PATH}/metrics", fact)).status_code == 201
        shown = await it.get(P1, PATH)
        assert shown["level"] == "bronze"
        assert shown["sum"] == {"metric": "points", "value": "45", "threshold": "20", "gap": "0"}
        assert shown["next_sum"] == {"metric": "points", "value": "45", "threshold": "50", "gap": "5"}


async def below_silver(it, grace_days=0):
    """A partner of silver whose figure was corrected to less."""
    await it.hear(activated("p1"))
    draft = {"rulebook_id": "partner-tiers", "kind": "tier", "body": rules(grace_days=grace_days), "examples": []}
    assert (await it.post(ADMIN, "/rulebooks", draft)).status_code == 201
    assert (await it.post(OTHER_ADMIN, "/rulebooks/partner-tiers/publish", {"version": 1})).status_code == 200
    for value in ("50000.00", "1000.50"):
        fact = {"metric": "revenue", "ref": "q1", "value": value, "on": "2026-03-01"}
        assert (await it.post(CM, f"{PATH}/metrics", fact)).status_code == 201


async def test_a_proposed_level_is_the_vendors_to_read_and_an_appeal_has_an_answer(tmp_path):
    async with started(tmp_path) as it:
        await below_silver(it)
        early = await it.post(P1, f"{PATH}/appeal", {"reason": "why?"})
        assert (early.json()["slug"], early.json()["detail"]) == ("appeal-late", "nobody has lowered this tier")
        assert (await it.post(CM, f"{PATH}/review", {"outcome": "lower", "reason": "too little"})).status_code == 200
        shown = await it.get(P1, PATH)
        assert (shown["values"]["revenue"], shown["appeal_until"]) == ("1000.5", "2026-03-16")
        assert shown["to_next"][0]["text"] == "48999.5 more revenue would count for silver"

        raised = {"level": "silver", "until": "2026-12-31", "reason": "perhaps"}
        assert (await it.post(CM, f"{PATH}/override", raised)).status_code == 200
        assert (await it.get(CM, PATH))["proposed"]["reason"] == "perhaps"
        seen = [await it.get(P1, PATH), *(await it.get(P1, "/tiers"))["items"]]
        assert [one["proposed"] for one in seen] == [None, None]

        said = {"reason": "both deals count already"}
        assert (await it.post(ADMIN, f"{PATH}/answer", said)).json()["slug"] == "wrong-state"
        assert (await it.post(P1, f"{PATH}/appeal", {"reason": "two deals are missing"})).status_code == 200
        assert (await it.post(P1, f"{PATH}/answer", said)).status_code == 403
        assert (await it.post(CM, f"{PATH}/answer", said)).json()["slug"] == "four-eyes"
        assert (await it.post(ADMIN, f"{PATH}/answer", said)).status_code == 200
        shown = await it.get(P1, PATH)
        assert (shown["appealed"], shown["answered"]) == ("two deals are missing", "both deals count already")
        assert (shown["level"], shown["appeal_until"]) == (None, None)
        late = await it.post(P1, f"{PATH}/appeal", {"reason": "again"})
        assert (late.json()["slug"], late.json()["detail"]) == ("appeal-late", "it was appealed before")
