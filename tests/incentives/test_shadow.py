"""What another plan would have paid for what really happened."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.incentives.facts import plan
from tests.incentives.test_service import ADMIN, FINANCE, OTHER_ADMIN, P1, Running, credited, refunded, started, won


@pytest.fixture
async def quarter(tmp_path: Path) -> AsyncIterator[Running]:
    """Three sales of 1,000.00 under ten percent, the first shared by two partners and refunded by half."""
    async with started(tmp_path) as asked:
        await asked.publish_plan(plan())
        for number in (1, 2, 3):
            await asked.hear(won(f"o{number}"))
        await asked.hear(credited(("p1", "60.00"), ("p2", "40.00"), opportunity_id="o1"))
        for number in (2, 3):
            await asked.hear(credited(("p1", "100.00"), opportunity_id=f"o{number}"))
        await asked.hear(refunded("r1", "500.00"))
        yield asked


async def shadow(asked: Running, **body: Any) -> dict[str, Any]:
    answer = await asked.post(FINANCE, "/shadow-runs", {"rulebook_id": "commission", **body})
    assert answer.status_code == 202, answer.text
    run_id = answer.json()["run_id"]
    await asked.service.shadow_runs.finished(run_id)
    return await asked.get(FINANCE, f"/shadow-runs/{run_id}")


def totals(run: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    return {one["partner_id"]: (one["old"], one["new"], one["difference"]) for one in run["report"]["partners"]}


async def test_the_same_version_would_have_changed_nothing(quarter: Running) -> None:
    run = await shadow(quarter, version=1)
    assert (run["status"], run["report"]["changed"], run["report"]["rows"]) == ("ready", 0, [])
    assert totals(run) == {"p1": ("230.00", "230.00", "0.00"), "p2": ("20.00", "20.00", "0.00")}


async def test_a_richer_plan_names_who_would_have_earned_how_much_more(quarter: Running) -> None:
    run = await shadow(quarter, body=plan({"percent": "20"}))
    assert totals(run) == {"p1": ("230.00", "460.00", "230.00"), "p2": ("20.00", "40.00", "20.00")}
    rows = [(row["command"], row["old"]["outcome"], row["new"]["outcome"]) for row in run["report"]["rows"]]
    assert rows == [
        ("incentives.RecordCredit.v1", "60.00 EUR + 40.00 EUR", "120.00 EUR + 80.00 EUR"),
        ("incentives.RecordCredit.v1", "100.00 EUR", "200.00 EUR"),
        ("incentives.RecordCredit.v1", "100.00 EUR", "200.00 EUR"),
        ("incentives.RecordReversal.v1", "30.00 EUR + 20.00 EUR", "60.00 EUR + 40.00 EUR"),
    ]


async def test_a_plan_that_counts_over_the_quarter_carries_its_measure_from_sale_to_sale(quarter: Running) -> None:
    body = plan({"up_to": "1500", "percent": "10"}, {"percent": "50"}, accumulate="quarter")
    run = await shadow(quarter, body=body)
    # p1 counts 600, 1,600 and 2,600, then gives 300 back: 60 + 90 + 50 + 500 - 30.
    assert totals(run)["p1"] == ("230.00", "670.00", "440.00")


async def test_the_same_run_twice_has_one_digest_and_another_plan_another(quarter: Running) -> None:
    one, two = [await shadow(quarter, body=plan({"percent": "20"})) for _ in range(2)]
    other = await shadow(quarter, body=plan({"percent": "21"}))
    assert one["report"] == two["report"]
    assert one["report"]["digest"] != other["report"]["digest"]


async def test_a_run_writes_nothing(quarter: Running) -> None:
    await quarter.rest()
    before = await quarter.service.store.head()
    await shadow(quarter, body=plan({"percent": "20"}))
    assert await quarter.service.store.head() == before


async def test_a_window_leaves_out_what_was_recorded_outside_it(quarter: Running) -> None:
    run = await shadow(quarter, body=plan({"percent": "20"}), until_at="2026-03-02T08:59:59Z")
    assert (run["report"]["decided"], run["report"]["partners"]) == (0, [])


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"rulebook_id": "nowhere", "version": 1}, 404, "not-found"),
        ({"rulebook_id": "commission", "version": 7}, 409, "no-draft"),
        ({"rulebook_id": "commission", "body": {"kind": "commission"}}, 422, "rules-invalid"),
        ({"rulebook_id": "commission", "body": plan(semantics="")}, 422, "rules-invalid"),
        ({"rulebook_id": "commission", "body": plan(holddays=3)}, 422, "rules-invalid"),
    ],
)
async def test_what_cannot_be_run_is_refused(quarter: Running, body: Any, status: int, slug: str) -> None:
    answer = await quarter.post(FINANCE, "/shadow-runs", body)
    assert (answer.status_code, answer.json()["slug"]) == (status, slug)


async def test_a_partner_neither_begins_nor_reads_a_run(quarter: Running) -> None:
    run = await shadow(quarter, version=1)
    assert (await quarter.post(P1, "/shadow-runs", {"rulebook_id": "commission", "version": 1})).status_code == 403
    assert await quarter.get(P1, f"/shadow-runs/{run['run_id']}") == 403
    assert await quarter.get(FINANCE, "/shadow-runs/never") == 404


async def test_a_plan_in_the_shadow_is_the_vendor_s_alone(quarter: Running) -> None:
    await quarter.publish_plan(plan({"percent": "3"}), plan_id="trial", mode="shadow")
    second = {"rulebook_id": "commission", "kind": "plan", "body": plan({"percent": "4"}), "examples": []}
    assert (await quarter.post(ADMIN, "/rulebooks", second)).status_code == 201
    published = {"version": 2, "mode": "shadow"}
    assert (await quarter.post(OTHER_ADMIN, "/rulebooks/commission/publish", published)).status_code == 200
    await quarter.rest()
    read = (await quarter.get(P1, "/rulebooks"))["items"]
    assert [(book["rulebook_id"], _versions(book)) for book in read] == [("commission", [1])]
    assert _versions(await quarter.get(P1, "/rulebooks/commission")) == [1]
    for path in ("trial", "trial/versions/1", "commission/versions/2", "commission/diff?before=1&after=2"):
        assert await quarter.get(P1, f"/rulebooks/{path}") == 404
    assert _versions(await quarter.get(FINANCE, "/rulebooks/commission")) == [1, 2]
    assert _versions(await quarter.get(FINANCE, "/rulebooks/trial")) == [1]


def _versions(book: dict[str, Any]) -> list[int]:
    return [version["version"] for version in book["versions"]]


async def test_a_diff_names_every_place_that_changes(quarter: Running) -> None:
    draft = {"rulebook_id": "commission", "kind": "plan", "body": plan({"percent": "12"}, hold_days=10)}
    assert (await quarter.post(ADMIN, "/rulebooks", draft)).status_code == 201
    found = await quarter.get(ADMIN, "/rulebooks/commission/diff?before=1")
    assert found == {
        "rulebook_id": "commission",
        "before": 1,
        "after": 2,
        "changes": [
            {"path": "hold_days", "before": None, "after": 10},
            {"path": "schedule.bands[0].percent", "before": "10", "after": "12"},
        ],
    }
    assert await quarter.get(P1, "/rulebooks/commission/diff?before=1") == 403
    assert await quarter.get(P1, "/rulebooks/commission/diff?before=1&after=2") == 404
