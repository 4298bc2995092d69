"""The core of the table of faults, on five processes, Kafka and PostgreSQL; `make test-faults` prints all of it."""

import pytest

from tests.engines import temporary_folder
from tests.faults.load import STREAM_LEAST
from tests.faults.table import FAULTS, SHORT, put_through


@pytest.mark.long
@pytest.mark.timeout(1_500)
async def test_faults_at_their_worst_moments_lose_nothing_and_do_nothing_twice(three_engines: None) -> None:
    core = [fault for fault in FAULTS if fault.core]
    with temporary_folder("entente-faults-") as folder:
        rows = await put_through(folder, core, SHORT, lambda row: print(row.line()), "compact")  # noqa: T201  shown
    assert [row.fault for row in rows] == [fault.name for fault in core]
    assert [(row.line(), row.named) for row in rows if not row.holds] == []
    assert all(row.acknowledged > STREAM_LEAST for row in rows)
