"""One running system for the tests of a module: they share its people, and each uses ids of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.scenarios.system import System, running_system


@pytest_asyncio.fixture(scope="module", loop_scope="module", name="it")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    data: Path = tmp_path_factory.mktemp("system")
    async with running_system(data) as system:
        yield system
