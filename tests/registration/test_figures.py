"""How fast and how evenly deals are decided: counted from the events, for everybody and for the vendor."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.testing.projections import assert_repeatable, project, told
from contracts.values import PartnerId, RegistrationId
from services.registration.domain.deal_events import StepClosed
from services.registration.projections.partner_sizes import PARTNER_SIZES, by_size, size_of
from services.registration.projections.review_times import REVIEW_TIMES, attainment
from tests.registration.service import DESK, Running, activated, seller, started

CLOSED_AT = datetime(2026, 3, 31, 23, 0, tzinfo=UTC)


def closed(minutes: float, outcome: str = "approved") -> StepClosed:
    return StepClosed(
        registration_id=RegistrationId("a"),
        number="R-a",
        programme="default",
        partner_id=PartnerId("p-1"),
        step=0,
        outcome=outcome,
        used_seconds=int(minutes * 60),
        closed_at=CLOSED_AT,
    )


def months(*events: StepClosed) -> list[Any]:
    seen = told(*events)
    assert_repeatable(REVIEW_TIMES, seen)
    return list(project(REVIEW_TIMES, seen).values())


def test_answers_are_counted_in_time_and_half_and_nine_tenths_of_them_by_their_open_minutes() -> None:
    found = months(*(closed(minutes) for minutes in (60, 120, 180, 240, 300, 360, 420, 480, 481, 3_000)))

    assert attainment(found, 480) == {
        "answered": 10,
        "in_time": 8,
        "in_time_percent": "80.00",
        "target_minutes": 480,
        "p50_minutes": 300,
        "p90_minutes": 485,
    }


def test_what_was_not_answered_does_not_count_and_nothing_is_no_figure() -> None:
    found = months(closed(5, "queued"), closed(5, "withdrawn"), closed(5, "amended"))

    assert found == []
    assert (attainment(found, 480)["answered"], attainment(found, 480)["p50_minutes"]) == (0, None)


def test_an_answer_beyond_sixty_business_days_is_counted_there() -> None:
    assert months(closed(1_000_000))[0]["answers"] == {"28800": 1}


def test_partners_are_together_by_how_many_deals_they_registered() -> None:
    assert [size_of(deals) for deals in (1, 2, 10, 11, 50, 51)] == ["1", "2-10", "2-10", "11-50", "11-50", "51+"]
    counts = {"approved": 1, "rejected": 1, "queued": 0, "revoked": 0}
    rows = [{"partner_id": "a", "registered": 3, **counts}, {"partner_id": "b", "registered": 5, **counts}]

    small, middle, *_ = by_size(rows)

    assert (small["partners"], small["approved_percent"]) == (0, None)
    assert middle == {
        "size": "2-10",
        "partners": 2,
        "registered": 8,
        "approved": 2,
        "rejected": 2,
        "queued": 0,
        "revoked": 0,
        "approved_percent": "25.00",
        "rejected_percent": "25.00",
    }


@pytest.fixture
async def registration(tmp_path: Path) -> AsyncIterator[Running]:
    async with started(tmp_path) as asked:
        await asked.hear(activated("p1"))
        await asked.publish_rules()
        yield asked


async def test_everybody_reads_what_was_answered_in_time_and_the_vendor_who_was_answered_how(
    registration: Running,
) -> None:
    first = await registration.register("p1")
    second = await registration.register("p1", products=[{"sku": "2"}])
    registration.clock.set(registration.clock.now() + timedelta(hours=2))
    await registration.post(DESK, f"/deals/{first['registration_id']}/approve")
    registration.clock.set(datetime(2026, 3, 5, 12, 0, tzinfo=UTC))
    await registration.post(DESK, f"/deals/{second['registration_id']}/reject", {"reason_code": "not-a-fit"})

    mine = (await registration.get(seller("p1"), "/attainment", months=1)).json()
    sizes = (await registration.get(DESK, "/fairness")).json()["items"]

    assert mine == {
        "from_month": "2026-03",
        "answered": 2,
        "in_time": 1,
        "in_time_percent": "50.00",
        "target_minutes": 480,
        "p50_minutes": 120,
        "p90_minutes": 1080,
    }
    assert [one["registered"] for one in sizes] == [0, 2, 0, 0]
    assert sizes[1]["approved_percent"] == sizes[1]["rejected_percent"] == "50.00"
    recorded = [one.seen("registration") for one in await registration.service.store.feed(0, 1_000)]
    assert_repeatable(PARTNER_SIZES, [one for one in recorded if type(one.event) in PARTNER_SIZES.keys])
    assert (await registration.get(seller("p1"), "/fairness")).status_code == 403
