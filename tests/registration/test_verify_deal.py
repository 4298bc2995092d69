"""`verify deal ID`: one deal's decisions rest on what was signed, and are decided again."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chassis.cli import command_line
from services.registration.app import Settings, build
from tests.registration.service import DESK, TENANT, activated, started

REGISTRATION = command_line("registration", Settings, build)


@pytest.fixture(scope="module")
def deal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A store in which a deal was queued behind a rival, and the id of that deal."""
    data = tmp_path_factory.mktemp("deal")
    return data, asyncio.run(_queued(data))


async def _queued(data: Path) -> str:
    async with started(data) as asked:
        for partner in ("p1", "p2"):
            await asked.hear(activated(partner))
        await asked.publish_rules()
        rival = await asked.register("p1")
        await asked.post(DESK, f"/deals/{rival['registration_id']}/approve")
        mine = await asked.register("p2")
        assert mine["status"] == "waiting"
        return str(mine["registration_id"])


def verified(data: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(REGISTRATION, ["verify", "deal", *words, "--tenant", TENANT, "--data", str(data)])
    return result.exit_code, result.output


def rows(data: Path, like: str) -> list[tuple[int, bytes]]:
    with sqlite3.connect(data / "registration" / "events.db") as store:
        found = store.execute(
            "SELECT position, CAST(state AS BLOB) FROM stored_events WHERE originator_id LIKE ? ORDER BY position",
            (f"{TENANT}:{like}%",),
        )
        return [(position, bytes(state)) for position, state in found]


def write(data: Path, position: int, state: bytes) -> None:
    with sqlite3.connect(data / "registration" / "events.db") as store:
        store.execute("UPDATE stored_events SET state = ? WHERE position = ?", (state, position))


def test_done_when_10_verify_deal_passes(deal: tuple[Path, str]) -> None:
    data, registration_id = deal
    status, said = verified(data, registration_id)
    assert (0, True) == (
        status,
        said.startswith("compared ") and said.rstrip().endswith("1 decisions: all as recorded"),
    )


@pytest.mark.parametrize("stream", ["deal-", "claims-", "rulebook-"])
def test_done_when_10_one_changed_byte_fails_it(deal: tuple[Path, str], stream: str) -> None:
    data, registration_id = deal
    stream = f"deal-{registration_id}" if stream == "deal-" else stream
    position, state = rows(data, stream)[-1]
    at = state.rindex(b"20")
    write(data, position, state[: at + 1] + b"1" + state[at + 2 :])
    try:
        assert 1 == verified(data, registration_id)[0]
    finally:
        write(data, position, state)


def test_a_deal_that_never_was_is_not_verified(deal: tuple[Path, str]) -> None:
    status, said = verified(deal[0], "no-deal")
    assert (1, True) == (status, "nothing is recorded in" in said)
