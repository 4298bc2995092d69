"""One seeded workload, in one process on files and on five on real engines: it ends in the same documents."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from services import first_run
from services.demo.story import Size
from tests.scenarios.distributed import five_processes, move_logs, no_engines
from tests.scenarios.system import assert_alike, begun_alike, comparable, ids_in, running_system
from tests.scenarios.workload import seeded_workload

SIZE = Size(partners=3, deals=14, seed=3)
HAPPENED = {
    *("onboarding.PartnerActivated", "onboarding.MembershipStarted"),
    *("registration.LeadAssigned", "registration.LeadAccepted", "registration.DealRegistered"),
    *("registration.ConflictDetected", "registration.DealQueued", "registration.DealApproved"),
    *("registration.DealRejected", "registration.DisputeOpened", "registration.DisputeDecided"),
    *("attribution.DealWon", "attribution.DealLost", "attribution.CreditAllocated", "attribution.RevenueReversed"),
    *("incentives.PayoutCalculated", "incentives.PayoutReversed", "incentives.FundRequestDecided"),
    *("incentives.FundClaimDecided", "incentives.StatementIssued", "incentives.PaymentMade", "incentives.PeriodClosed"),
}
"""What the workload is of, so that equal documents are not empty ones."""


@pytest.mark.long
@pytest.mark.timeout(1_500)
@pytest.mark.parametrize("engines", [pytest.param("mongo", marks=pytest.mark.nightly), "postgres"], indirect=True)
async def test_one_seeded_workload_ends_in_the_same_documents_on_five_processes(
    tmp_path: Path, engines: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_run, "POLL_SECONDS", 3_600)  # the CRM is read when the story says so
    on_engines, in_process = tmp_path / "five", tmp_path / "one"
    with no_engines(monkeypatch):
        await begun_alike(in_process, on_engines)
        async with running_system(in_process) as it:
            await seeded_workload(it, SIZE)
            alone = await it.documents()
    assert HAPPENED - kinds(alone) == set()
    await move_logs(on_engines, engines["postgres"])

    async with five_processes(on_engines) as it:
        await seeded_workload(it, SIZE)
        assert await it.parked() == 0
        together = await it.documents()

    same = ids_in(together) & ids_in(alone)
    assert_alike(comparable(alone, same), comparable(together, same))


def kinds(documents: dict[str, list[tuple[Any, bytes]]]) -> set[str]:
    """The types of the public events that happened."""
    types = {orjson.loads(body)["type"] for _, body in documents["gateway/event_log"]}
    return {one.removeprefix("entente.").removesuffix(".v1") for one in types}
