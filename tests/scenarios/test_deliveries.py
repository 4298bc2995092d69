"""Every event delivered twice, and the events of different services in other orders: the same documents and ledger."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from chassis.transport.port import Transport
from tests.scenarios.main_job import main_job
from tests.scenarios.mischief import Unkind
from tests.scenarios.proofs import every_log_is_what_it_was
from tests.scenarios.system import comparable, ids_in, running_system

ORDERS, ORDERS_FULL = 1, 12
UNHURRIED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@dataclass
class Usual:
    """The beginning that all runs share, and how the main job usually ends from there."""

    folder: Path
    documents: dict[str, Any] = field(default_factory=dict)

    async def told(self) -> dict[str, Any]:
        if not self.documents:
            async with running_system(self.folder / "opened"):
                pass
            self.documents = await self.job(self.folder / "usual", None)
        return self.documents

    async def job(self, data: Path, transport: Transport | None) -> dict[str, Any]:
        """Tells the main job from the beginning; the documents that it ends in."""
        shutil.copytree(self.folder / "opened", data)
        async with running_system(data, transport) as it:
            await main_job(it)
            await it.settle()
            assert await it.parked() == 0
            return await it.documents()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Usual:
    return Usual(tmp_path_factory.mktemp("deliveries"))


@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=ORDERS, phases=[Phase.generate], suppress_health_check=UNHURRIED)
async def test_events_delivered_twice_and_in_other_orders_come_to_the_same(usual: Usual, seed: int) -> None:
    await comes_to_the_same(usual, seed)


@pytest.mark.long
@pytest.mark.timeout(300)
@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=ORDERS_FULL, phases=[Phase.generate], suppress_health_check=UNHURRIED)
async def test_events_delivered_twice_and_in_many_other_orders_come_to_the_same(usual: Usual, seed: int) -> None:
    await comes_to_the_same(usual, seed)


async def comes_to_the_same(usual: Usual, seed: int) -> None:
    expected, unkind = await usual.told(), Unkind(seed)
    data = usual.folder / f"unkind-{uuid4().hex}"
    other = await usual.job(data, unkind)
    assert unkind.repeated >= unkind.delivered > 0
    same = ids_in(expected) & ids_in(other)
    assert comparable(expected, same) == comparable(other, same)
    await every_log_is_what_it_was(data)
