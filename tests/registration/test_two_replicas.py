"""Two processes of registration on one database: many approvals of what overlaps at once, and one is held."""

from pathlib import Path

import pytest

from tests.registration.racing import in_line, one_round

LONG = [pytest.mark.long, pytest.mark.timeout(3_000)]
SIZES = [
    pytest.param(20, 4, id="short"),
    pytest.param(200, 5, id="200-approvals", marks=LONG),
    pytest.param(8, 250, id="250-rounds", marks=[*LONG, pytest.mark.nightly]),
]


@pytest.mark.parametrize(("approvals", "rounds"), SIZES)
async def test_done_when_1_of_approvals_at_once_over_two_replicas_one_is_held_in_each_round(
    tmp_path: Path, postgres_server: str, approvals: int, rounds: int
) -> None:
    async with in_line(postgres_server, tmp_path, approvals) as line:
        won = [await one_round(line, number) for number in range(rounds)]
    assert len(won) == rounds
    assert len(set(won)) > 1
